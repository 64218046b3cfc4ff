-- The server watched from the inside, by a process that needs no connection: what it sees, what it warns of, and how others read it.
-- It looks every few seconds here; wait until it has.
DO $$
BEGIN
    FOR i IN 1 .. 150 LOOP
        EXIT WHEN EXISTS (SELECT FROM wc_health_status() WHERE last_check IS NOT NULL) AND EXISTS (SELECT FROM wc_alerts);
        PERFORM pg_sleep(0.2);
    END LOOP;
END $$;
\echo '--- SELECT * FROM wc_connections: now; wc_connection_history has the samples of eight days'
SELECT scope, database, role, active, idle, total, max, utilisation_percent FROM wc_connections;
\echo '--- SELECT * FROM wc_health_status(): what the monitor found when it looked last'
SELECT healthy, consecutive_failures, last_check, failing FROM wc_health_status();
\echo '--- SELECT * FROM wc_alerts: the twelve wrong heart rates did not go unnoticed'
SELECT level, name, subject, value, "limit", since FROM wc_alerts;
\echo '--- SELECT wc_prometheus(): a few of its lines'
\pset tuples_only on
\pset format unaligned
SELECT line FROM regexp_split_to_table(wc_prometheus(), E'\n') AS line
 WHERE line ~ '^whitecross_(connections_(active|limit)|refresh_last_age_seconds|queries_(slow|failed)_total|constraint_violations_total)\M' ORDER BY line LIMIT 10;
\pset tuples_only off
\pset format aligned
\echo '--- SELECT * FROM wc_pool_profile(''production''): sizes for PgBouncer and the application that fit this server; wc_pgbouncer_ini() writes the file'
SELECT setting, value, place FROM wc_pool_profile('production') WHERE setting IN ('default_pool_size', 'query_wait_timeout', 'server_idle_timeout', 'statement_timeout', 'pool.max');

-- What the monitor warns of.

CREATE FUNCTION @extschema@.wc_raised_alerts()
RETURNS TABLE (level text, name text, subject text, database text, value double precision, "limit" double precision,
               since timestamptz, last_raised timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_raised_alerts';
COMMENT ON FUNCTION @extschema@.wc_raised_alerts() IS
'Internal: the alerts that are raised now, without what to do about them; see wc_alerts.';

CREATE VIEW @extschema@.wc_alerts AS
SELECT a.level, a.name, a.subject, a.database, a.value, a."limit", a.since, a.last_raised,
       CASE a.name
       WHEN 'connections' THEN 'SELECT * FROM @extschema@.wc_connections ORDER BY total DESC;'
       WHEN 'connections_waiting' THEN 'SELECT pid, pg_blocking_pids(pid), datname, usename, now() - xact_start FROM pg_stat_activity WHERE wait_event_type = ''Lock'';'
       WHEN 'pooler_connections' THEN 'SELECT * FROM @extschema@.wc_pooler;'
       WHEN 'pooler_waiting' THEN 'SELECT * FROM @extschema@.wc_pooler;'
       WHEN 'pooler_down' THEN 'SELECT * FROM @extschema@.wc_pooler_status;'
       WHEN 'unhealthy' THEN 'SELECT * FROM @extschema@.wc_health_status();'
       WHEN 'constraint_violations' THEN 'SELECT * FROM @extschema@.wc_constraint_violations;'
       WHEN 'slow_queries' THEN 'SELECT * FROM @extschema@.wc_slow_queries LIMIT 10;'
       WHEN 'n_plus_one' THEN 'SELECT * FROM @extschema@.wc_n_plus_one LIMIT 10;'
       WHEN 'view_age' THEN 'SELECT * FROM @extschema@.wc_view_stats();'
       WHEN 'refresh_failed' THEN 'SELECT * FROM @extschema@.wc_refresh_log WHERE status = ''failed'' ORDER BY started_at DESC LIMIT 10;'
       WHEN 'change_log' THEN 'SELECT * FROM @extschema@.wc_pending_changes();'
       WHEN 'transaction_id_age' THEN format('SELECT oid::regclass, age(relfrozenxid) FROM pg_class WHERE relkind IN (''r'', ''m'', ''t'') ORDER BY 2 DESC LIMIT 10; -- in database %I', a.subject)
       WHEN 'replication_lag' THEN CASE WHEN a.subject LIKE 'slot %' THEN 'SELECT * FROM pg_replication_slots;'
                                        WHEN pg_is_in_recovery() THEN 'SELECT * FROM pg_stat_wal_receiver;'
                                        ELSE 'SELECT * FROM pg_stat_replication;' END
       END || CASE WHEN a.database <> current_database() THEN format(' -- in database %I', a.database) ELSE '' END AS hint
  FROM @extschema@.wc_raised_alerts() AS a;
COMMENT ON VIEW @extschema@.wc_alerts IS
'The alerts that are raised now: of the server, of this database, and of the others for who may see them; with a statement that shows more.';
GRANT SELECT ON @extschema@.wc_alerts TO PUBLIC;

CREATE FUNCTION @extschema@.wc_alert_status()
RETURNS TABLE (raised integer, max integer, refused bigint, last_refused timestamptz, pending_notifications integer,
               lost_notifications bigint, last_notified timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_alert_status';
COMMENT ON FUNCTION @extschema@.wc_alert_status() IS
'How many alerts of all databases are raised, how many there is room for (whitecross.alerts_max) and how often there was none, and what listeners in this database are still to be notified of.';

-- The metrics of the server; see metrics.sql for what holds for all.

-- Of the whole server, the same in each of its databases.
CREATE FUNCTION @extschema@.wc_server_metrics(family text)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 300
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $server_metrics$
BEGIN
    IF family IS NULL OR family = 'transaction_ids' THEN
        RETURN QUERY
        SELECT 'whitecross_database_transaction_id_age', 'gauge',
               'Age of the oldest transaction id that the database may still hold.',
               jsonb_build_object('database', d.name), max(d.age)::double precision
          FROM (SELECT CASE WHEN row_number() OVER (ORDER BY age(b.datfrozenxid) DESC, b.datname) <= 50 THEN b.datname ELSE '(other)' END AS name,
                       age(b.datfrozenxid) AS age
                  FROM pg_database AS b) AS d
         GROUP BY d.name;
    END IF;

    IF family IS NULL OR family IN ('connections', 'connections_by_database', 'connections_by_role', 'connection_limit_of_database',
                                    'connection_limit_of_role', 'oldest_transaction') THEN
        RETURN QUERY
        WITH sample AS MATERIALIZED (
            SELECT c.scope, coalesce(c.database, '(dropped)') AS database, coalesce(c.role, '(dropped)') AS role, c.active, c.idle, c.idle_in_transaction,
                   c.waiting, c.total, c.max, extract(epoch FROM c.oldest_transaction)::double precision AS oldest,
                   row_number() OVER (PARTITION BY c.scope ORDER BY c.total DESC, c.database, c.role) AS place
              FROM @extschema@.wc_connections() AS c WHERE c.scope <> 'database and role'
        ), grouped AS (
            SELECT s.scope, CASE s.scope WHEN 'server' THEN '{}' ELSE jsonb_build_object(s.scope, CASE WHEN s.place > 50 THEN '(other)'
                                              WHEN s.scope = 'database' THEN s.database ELSE s.role END) END AS labels,
                   CASE s.scope WHEN 'server' THEN 'connections' ELSE 'connections_by_' || s.scope END AS family,
                   CASE s.scope WHEN 'server' THEN 'whitecross_connections_' ELSE 'whitecross_' || s.scope || '_connections_' END AS prefix,
                   CASE s.scope WHEN 'server' THEN 'of clients' WHEN 'database' THEN 'to the database' ELSE 'of the role' END AS whose,
                   s.active, s.idle, s.idle_in_transaction, s.waiting, s.total
              FROM sample AS s
        )
        SELECT g.prefix || m.name, 'gauge', format(m.help, g.whose), g.labels, sum(m.value)::double precision
          FROM grouped AS g
         CROSS JOIN LATERAL (VALUES
            ('open', 'Connections %s.', g.total),
            ('active', 'Connections %s that run a statement.', g.active),
            ('idle', 'Connections %s that wait for the client outside a transaction.', g.idle),
            ('idle_in_transaction', 'Connections %s that wait for the client within a transaction.', g.idle_in_transaction),
            ('waiting', 'Connections %s that wait for a lock.', g.waiting)
         ) AS m (name, help, value)
         WHERE g.family = coalesce($1, g.family)
         GROUP BY g.prefix, m.name, m.help, g.whose, g.labels
        UNION ALL
        SELECT 'whitecross_connections_limit', 'gauge', 'Connections that there may be: max_connections less those that are reserved.', '{}', s.max
          FROM sample AS s WHERE s.scope = 'server' AND coalesce($1, 'connections') = 'connections'
        UNION ALL
        SELECT format('whitecross_%s_connection_limit', s.scope), 'gauge',
               format('Connections that the %s may have, by the least limit that applies.', s.scope),
               jsonb_build_object(s.scope, CASE s.scope WHEN 'database' THEN s.database ELSE s.role END), min(s.max)
          FROM sample AS s WHERE s.scope <> 'server' AND s.place <= 50 AND coalesce($1, 'connection_limit_of_' || s.scope) = 'connection_limit_of_' || s.scope
         GROUP BY 1, 3, 4
        UNION ALL
        SELECT 'whitecross_oldest_transaction_age_seconds', 'gauge', 'How long the oldest open transaction of a client has been open.', '{}', s.oldest
          FROM sample AS s WHERE s.scope = 'server' AND s.oldest IS NOT NULL AND coalesce($1, 'oldest_transaction') = 'oldest_transaction';
    END IF;

    -- How far whoever follows the log is behind, and whom it is kept for; seen from the primary in bytes, from the standby in time.
    IF (family IS NULL OR family = 'replication') AND NOT pg_is_in_recovery() THEN
        RETURN QUERY
        SELECT 'whitecross_replication_lag_bytes', 'gauge', 'Write-ahead log that the standby has not replayed yet, or that is kept for the slot.',
               jsonb_build_object('standby', f.name), max(f.lag)::double precision
          FROM (SELECT CASE WHEN row_number() OVER (ORDER BY g.lag DESC, g.name) <= 50 THEN g.name ELSE '(other)' END AS name, g.lag
                  FROM (SELECT coalesce(nullif(r.application_name, ''), '(none)') AS name, max(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.replay_lsn, r.flush_lsn))) AS lag
                          FROM pg_stat_replication AS r WHERE coalesce(r.replay_lsn, r.flush_lsn) IS NOT NULL GROUP BY 1
                        UNION ALL
                        SELECT 'slot ' || s.slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)
                          FROM pg_replication_slots AS s WHERE NOT s.active AND s.restart_lsn IS NOT NULL) AS g) AS f
         GROUP BY f.name;
    END IF;
    IF (family IS NULL OR family = 'replay') AND pg_is_in_recovery() THEN
        RETURN QUERY
        SELECT 'whitecross_replay_delay_seconds', 'gauge', 'Time since the last commit that this standby has replayed, where it has received more; else 0.', '{}'::jsonb, d.seconds::double precision
          FROM (SELECT CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() THEN extract(epoch FROM greatest(now() - pg_last_xact_replay_timestamp(), '0'))
                            ELSE 0 END AS seconds) AS d
         WHERE d.seconds IS NOT NULL;
    END IF;

    IF NOT @extschema@.wc_preloaded() THEN
        RETURN;
    END IF;

    IF family IS NULL OR family = 'pooler' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, '{}'::jsonb, m.value::double precision
          FROM @extschema@.wc_pooler_status() AS s
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pooler_up', 'gauge', 'Whether PgBouncer answers the monitor.', s.connected::integer::bigint),
            ('whitecross_pooler_answers_total', 'counter', 'Answers of PgBouncer to the monitor.', s.answers),
            ('whitecross_pooler_failures_total', 'counter', 'Attempts of the monitor to ask PgBouncer that failed.', s.failures)
         ) AS m (name, type, help, value)
         WHERE s.configured AND s.since IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'pools' THEN
        RETURN QUERY
        WITH pools AS (
            SELECT p.*, row_number() OVER (ORDER BY p.clients_waiting DESC, p.servers_active DESC, p.database, p."user") > 50 AS rest
              FROM @extschema@.wc_pooler() AS p
             WHERE p.clients_active IS NOT NULL AND p.servers_idle IS NOT NULL AND p.servers_used IS NOT NULL AND p.maxwait_ms IS NOT NULL AND p.pool_size IS NOT NULL
        ), grouped AS (
            SELECT CASE WHEN p.rest THEN '{"database": "(other)", "user": "(other)"}' ELSE jsonb_build_object('database', p.database, 'user', p."user") END AS labels,
                   sum(p.clients_active) AS clients, sum(p.clients_waiting) AS waiting, sum(p.servers_active) AS active, sum(p.servers_idle) AS idle,
                   sum(p.servers_used) AS used, max(p.maxwait_ms) / 1000 AS maxwait, sum(p.pool_size) AS size
              FROM pools AS p GROUP BY 1
        )
        SELECT m.name, 'gauge', m.help, g.labels, m.value
          FROM grouped AS g
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pool_clients_active', 'Clients of the pool that have a server connection, or need none.', g.clients::double precision),
            ('whitecross_pool_clients_waiting', 'Clients of the pool that wait for a server connection.', g.waiting),
            ('whitecross_pool_servers_active', 'Server connections of the pool that a client uses.', g.active),
            ('whitecross_pool_servers_idle', 'Server connections of the pool that are free.', g.idle),
            ('whitecross_pool_servers_used', 'Server connections of the pool that are free, and checked before they are used.', g.used),
            ('whitecross_pool_servers_limit', 'Server connections that the pool may have.', g.size),
            ('whitecross_pool_wait_seconds', 'How long the first of the waiting clients of the pool has waited.', g.maxwait)
         ) AS m (name, help, value);
    END IF;
    IF family IS NULL OR family = 'pool_waits' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, jsonb_build_object('database', w.database, 'user', w."user"), m.value
          FROM (SELECT p.database, p."user", p.waits, p.longest_wait_ms FROM @extschema@.wc_pooler() AS p
                 WHERE p.waits IS NOT NULL AND p.longest_wait_ms IS NOT NULL ORDER BY p.waits DESC, p.database, p."user" LIMIT 50) AS w
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pool_waits_seen_total', 'counter', 'Answers of PgBouncer in which clients of the pool were waiting.', w.waits::double precision),
            ('whitecross_pool_waits_longest_seconds', 'gauge', 'The longest wait for a server connection of the pool in all answers.', w.longest_wait_ms / 1000)
         ) AS m (name, type, help, value);
    END IF;
    IF family IS NULL OR family = 'pooled_databases' THEN
        RETURN QUERY
        SELECT m.name, 'counter', m.help, jsonb_build_object('database', d.database), m.value
          FROM (SELECT p.database, max(p.database_transactions) AS transactions, max(p.database_queries) AS queries, max(p.database_wait_ms) / 1000 AS wait
                  FROM @extschema@.wc_pooler() AS p
                 WHERE p.database_transactions IS NOT NULL AND p.database_queries IS NOT NULL AND p.database_wait_ms IS NOT NULL
                 GROUP BY p.database ORDER BY 2 DESC, 1 LIMIT 50) AS d
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pooled_database_transactions_total', 'Transactions through PgBouncer in the database.', d.transactions::double precision),
            ('whitecross_pooled_database_queries_total', 'Queries through PgBouncer in the database.', d.queries),
            ('whitecross_pooled_database_wait_seconds_total', 'Time that clients of PgBouncer waited for a server connection to the database.', d.wait)
         ) AS m (name, help, value);
    END IF;

    IF family IS NULL OR family = 'monitor' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, '{}'::jsonb, m.value::double precision
          FROM @extschema@.wc_connection_history_status() AS h
         CROSS JOIN LATERAL (VALUES
            ('whitecross_monitor_last_sample_timestamp_seconds', 'gauge', 'When the monitor has last sampled the server''s connections.', extract(epoch FROM h.sampled_at)),
            ('whitecross_monitor_interval_seconds', 'gauge', 'How often it is to: whitecross.monitor_interval.',
             (SELECT s.setting::numeric * CASE s.unit WHEN 's' THEN 1 WHEN 'ms' THEN 0.001 WHEN 'min' THEN 60 END FROM pg_settings AS s WHERE s.name = 'whitecross.monitor_interval')),
            ('whitecross_monitor_lost_samples_total', 'counter', 'Samples that could not be written, and were lost.', h.lost)
         ) AS m (name, type, help, value)
         WHERE h.sampled_at IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'alerts' THEN
        RETURN QUERY
        SELECT 'whitecross_alerts_raised', 'gauge', 'Alerts that are raised, of the server and all its databases.',
               jsonb_build_object('name', a.name, 'level', a.level), count(*)::double precision
          FROM @extschema@.wc_raised_alerts() AS a GROUP BY a.name, a.level;
    END IF;
    IF family IS NULL OR family = 'queries' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, jsonb_build_object('database', t.name), m.value
          FROM (SELECT coalesce(d.datname, '(other)') AS name, sum(q.calls) AS calls, sum(q.failures) AS failures, sum(q.total_ms) AS total_ms,
                       sum(q.rows) AS rows, sum(q.slow) AS slow, sum(q.bursts) AS bursts
                  FROM @extschema@.wc_query_totals() AS q LEFT JOIN pg_database AS d ON d.oid = q.database_oid
                 WHERE q.database_oid = 0 OR d.oid IS NOT NULL
                 GROUP BY 1) AS t
         CROSS JOIN LATERAL (VALUES
            ('whitecross_queries_completed_total', 'counter', 'Statements that ended well, since the server''s start.', t.calls::double precision),
            ('whitecross_queries_failed_total', 'counter', 'Statements that ended with an error, or were cancelled, since the server''s start.', t.failures),
            ('whitecross_queries_seconds_total', 'counter', 'Time that the completed statements ran.', t.total_ms / 1000),
            ('whitecross_queries_rows_total', 'counter', 'Rows that the completed statements have returned or affected.', t.rows),
            ('whitecross_queries_slow_total', 'counter', 'Statements that took at least whitecross.slow_query_threshold.', t.slow),
            ('whitecross_queries_n_plus_one_bursts_total', 'counter', 'Bursts of one statement repeated in a loop (N+1).', t.bursts)
         ) AS m (name, type, help, value);
    END IF;
    IF family IS NULL OR family = 'query_patterns' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, '{}'::jsonb, m.value
          FROM @extschema@.wc_query_patterns_kept() AS k
         CROSS JOIN LATERAL (VALUES
            ('whitecross_query_patterns_kept', 'gauge', 'Statement patterns that statistics are kept of.', k.patterns::double precision),
            ('whitecross_query_patterns_limit', 'gauge', 'Statement patterns that there is room for: whitecross.query_stats_max.', k.max_patterns),
            ('whitecross_query_patterns_evicted_total', 'counter', 'Statement patterns that gave their place to others.', k.evicted)
         ) AS m (name, type, help, value);
    END IF;
END
$server_metrics$;
COMMENT ON FUNCTION @extschema@.wc_server_metrics(text) IS
'Internal: the metrics of the server, of one family or of all.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_server_metrics(text) FROM PUBLIC;

-- Everything measured, as metrics, and in Prometheus' text format.
--
-- Metrics come in families: those of one have the same labels, and the same name but for its last words, so that a family is one
-- query of monitoring/postgres_exporter.yml. Each row of a family has all of its metrics: that exporter makes NaN of NULL, so what can be
-- unknown by itself is a family by itself.
--
-- A scrape is small and waits for nothing: no row is counted, no label has more than 100 values, and of what is locked the size is left out.
-- A counter counts what is never given up for something else, so that it only grows.

-- The views that metrics tell of, at most 100: ours, and the site's by name, without those that are switched off. known: whether what the last refresh has noted is of the rows that
-- are there (see wc_view_stats). relation: null where the view isn't there.
CREATE FUNCTION @extschema@.wc_metric_views()
RETURNS TABLE (view_name text, relation oid, known boolean)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $metric_views$
SELECT d.name, c.oid, coalesce(c.relispopulated AND c.relfilenode = s.relfilenode, false)
  FROM (SELECT v.name FROM @extschema@.wc_view_catalogue AS v
         WHERE NOT EXISTS (SELECT FROM @extschema@.wc_registry AS r WHERE r.name = v.name AND r.disabled)
         ORDER BY v.of_site, v.name LIMIT 100) AS d
 CROSS JOIN (SELECT value AS base_schema FROM @extschema@.wc_configuration WHERE name = 'base_schema') AS b
  LEFT JOIN pg_namespace AS n ON n.nspname = b.base_schema
  LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = d.name AND c.relkind = 'm'
  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = d.name
$metric_views$;
COMMENT ON FUNCTION @extschema@.wc_metric_views() IS
'Internal: the materialized views that metrics tell of, and whether what their last refresh has noted holds for the rows that are there.';

-- Of this database: each metric says which, so that several databases can be scraped together.
CREATE FUNCTION @extschema@.wc_database_metrics(family text)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 300
SET search_path = pg_catalog, pg_temp
SET jit = off
SET lock_timeout = '100ms'
AS $database_metrics$
DECLARE
    this constant jsonb := jsonb_build_object('database', current_database());
    preloaded constant boolean := @extschema@.wc_preloaded(); -- this loads the library, without which its settings are not known
BEGIN
    IF family IS NULL OR family = 'extension' THEN
        RETURN QUERY
        SELECT 'whitecross_extension_info', 'gauge', 'Version of the extension in the database; always 1.',
               this || jsonb_build_object('version', e.extversion), 1::double precision
          FROM pg_extension AS e WHERE e.extname = 'whitecross';
    END IF;

    -- Of the materialized views that there are.
    IF family IS NULL OR family = 'view' THEN
        BEGIN
            RETURN QUERY
            SELECT m.name, m.type, m.help, this || jsonb_build_object('view', v.view_name), m.value
              FROM (SELECT c.relname AS view_name, c.relispopulated, pg_total_relation_size(c.oid) AS size, pg_stat_get_numscans(c.oid) AS scans,
                           coalesce((SELECT sum(pg_stat_get_numscans(i.indexrelid)) FROM pg_index AS i WHERE i.indrelid = c.oid), 0) AS index_scans
                      FROM @extschema@.wc_metric_views() AS w JOIN pg_class AS c ON c.oid = w.relation) AS v
             CROSS JOIN LATERAL (VALUES
                ('whitecross_view_populated', 'gauge', 'Whether the materialized view can be queried.', v.relispopulated::integer::double precision),
                ('whitecross_view_size_bytes', 'gauge', 'Size on disk of the materialized view, with its indexes and TOAST.', v.size),
                ('whitecross_view_sequential_scans_total', 'counter', 'Sequential scans of the materialized view on this server.', v.scans),
                ('whitecross_view_index_scans_total', 'counter', 'Scans of the indexes of the materialized view on this server.', v.index_scans)
             ) AS m (name, type, help, value)
             WHERE v.size IS NOT NULL;
        EXCEPTION WHEN lock_not_available THEN
            NULL; -- a view is locked against readers
        END;
    END IF;
    IF family IS NULL OR family = 'view_rows' THEN
        RETURN QUERY
        SELECT 'whitecross_view_rows', 'gauge', 'Rows of the materialized view, counted by its last refresh; after a REFRESH by hand estimated by the server.',
               this || jsonb_build_object('view', v.view_name), v.rows::double precision
          FROM (SELECT w.view_name,
                       CASE WHEN NOT c.relispopulated THEN NULL
                            WHEN w.known THEN s.row_count
                            WHEN pg_is_in_recovery() THEN nullif(greatest(c.reltuples, -1), -1)::bigint
                            ELSE pg_stat_get_live_tuples(c.oid) END AS rows
                  FROM @extschema@.wc_metric_views() AS w
                  JOIN pg_class AS c ON c.oid = w.relation
                  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = w.view_name) AS v
         WHERE v.rows IS NOT NULL;
    END IF;

    -- Of all that are managed, there or not.
    IF family IS NULL OR family = 'refresh' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, this || jsonb_build_object('view', v.view_name), m.value::double precision
          FROM (SELECT w.view_name, coalesce(s.refreshes, 0) + l.refreshes AS refreshes, coalesce(s.failures, 0) + l.failures AS failures,
                       (SELECT count(*) FROM @extschema@.wc_refresh_log AS g
                         WHERE g.view_name = w.view_name AND g.status = 'failed' AND g.started_at > coalesce(s.last_refresh, '-infinity')) AS in_a_row
                  FROM @extschema@.wc_metric_views() AS w
                  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = w.view_name
                 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE g.status = 'refreshed') AS refreshes,
                                            count(*) FILTER (WHERE g.status = 'failed') AS failures
                                       FROM @extschema@.wc_refresh_log AS g
                                      WHERE g.view_name = w.view_name AND NOT g.counted) AS l) AS v
         CROSS JOIN LATERAL (VALUES
            ('whitecross_refresh_successes_total', 'counter', 'Refreshes of the materialized view that succeeded, since CREATE EXTENSION.', v.refreshes),
            ('whitecross_refresh_failures_total', 'counter', 'Refreshes of the materialized view that failed, since CREATE EXTENSION.', v.failures),
            ('whitecross_refresh_failures_in_a_row', 'gauge', 'Refreshes of the materialized view that failed, since the last one that did not.', v.in_a_row)
         ) AS m (name, type, help, value);
    END IF;
    IF family IS NULL OR family = 'refresh_last' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, this || jsonb_build_object('view', v.view_name), m.value
          FROM (SELECT w.view_name, extract(epoch FROM s.last_refresh)::double precision AS at, extract(epoch FROM now() - s.last_refresh)::double precision AS age,
                       s.last_duration_ms / 1000 AS duration, s.last_rows_written::double precision AS rows
                  FROM @extschema@.wc_metric_views() AS w JOIN @extschema@.wc_view_state AS s ON s.view_name = w.view_name
                 WHERE w.known) AS v
         CROSS JOIN LATERAL (VALUES
            ('whitecross_refresh_last_timestamp_seconds', 'gauge', 'When the rows of the materialized view were computed, by its last successful refresh.', v.at),
            ('whitecross_refresh_last_age_seconds', 'gauge', 'Age of the rows of the materialized view.', v.age),
            ('whitecross_refresh_last_duration_seconds', 'gauge', 'How long the last successful refresh of the materialized view took.', v.duration),
            ('whitecross_refresh_last_rows_written', 'gauge', 'Rows that the last successful refresh of the materialized view has written.', v.rows)
         ) AS m (name, type, help, value)
         WHERE v.at IS NOT NULL AND v.duration IS NOT NULL AND v.rows IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'refresh_schedule' THEN
        RETURN QUERY
        SELECT 'whitecross_refresh_schedule_interval_seconds', 'gauge', 'How often the materialized view is to be refreshed by its schedule.',
               this || jsonb_build_object('view', w.view_name), extract(epoch FROM i.every)::double precision
          FROM @extschema@.wc_metric_views() AS w
          JOIN @extschema@.wc_view_schedule AS s ON s.view_name = w.view_name
          JOIN (VALUES ('hourly', interval '1 hour'), ('six_hourly', '6 hours'), ('daily', '24 hours')) AS i (schedule, every) ON i.schedule = s.schedule;
    END IF;

    -- The log of changes is the primary's affair. Rows are the server's count of live ones: to count them would be to read them.
    IF (family IS NULL OR family = 'change_log') AND NOT pg_is_in_recovery() THEN
        BEGIN
            RETURN QUERY
            SELECT m.name, m.type, m.help, this, m.value
              FROM (SELECT '@extschema@.wc_change'::regclass AS log) AS l
             CROSS JOIN LATERAL (VALUES
                ('whitecross_change_log_rows', 'gauge', 'Changes that some materialized view has yet to take up, as the server''s statistics count them.',
                 pg_stat_get_live_tuples(l.log)::double precision),
                ('whitecross_change_log_limit_rows', 'gauge', 'Changes that the log may have before a view gives its share up: whitecross.change_log_limit.',
                 current_setting('whitecross.change_log_limit')::double precision),
                ('whitecross_change_log_size_bytes', 'gauge', 'Size on disk of the log of changes, with its index.', pg_total_relation_size(l.log)::double precision),
                ('whitecross_change_log_oldest_age_seconds', 'gauge', 'How long ago the first of these changes was noted; 0: there are none.',
                 coalesce((SELECT greatest(extract(epoch FROM now() - c.noted_at), 0) FROM @extschema@.wc_change AS c ORDER BY c.xid, c.seq LIMIT 1), 0)::double precision)
             ) AS m (name, type, help, value);
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END IF;

    -- The largest indexes by name; of all of them, how many there are of each verdict.
    IF family IS NULL OR family IN ('index', 'indexes') THEN
        BEGIN
            RETURN QUERY
            WITH usage AS MATERIALIZED (
                SELECT u.schema_name, u.table_name, u.index_name, u.scans, u.tuples_read, u.size_bytes, split_part(u.verdict, ' ', 1) AS verdict
                  FROM @extschema@.wc_index_usage AS u
            ), largest AS (
                SELECT u.* FROM usage AS u WHERE u.size_bytes IS NOT NULL ORDER BY u.size_bytes DESC, u.schema_name, u.index_name LIMIT 50
            ), verdicts AS (
                SELECT v.verdict, count(u.index_name) AS number, coalesce(sum(u.size_bytes), 0) AS size
                  FROM unnest(ARRAY['used', 'unused', 'duplicate', 'prefix', 'invalid']) AS v (verdict) LEFT JOIN usage AS u ON u.verdict = v.verdict
                 GROUP BY v.verdict
            )
            SELECT m.name, m.type, m.help, this || jsonb_build_object('schema', i.schema_name, 'table', i.table_name, 'index', i.index_name), m.value::double precision
              FROM largest AS i
             CROSS JOIN LATERAL (VALUES
                ('whitecross_index_size_bytes', 'gauge', 'Size on disk of the index; of the largest of the base tables and views.', i.size_bytes),
                ('whitecross_index_scans_total', 'counter', 'Scans of the index on this server; of the largest of the base tables and views.', i.scans),
                ('whitecross_index_tuples_read_total', 'counter', 'Entries that scans of the index have returned; of the largest of the base tables and views.', i.tuples_read)
             ) AS m (name, type, help, value)
             WHERE family IS DISTINCT FROM 'indexes'
            UNION ALL
            SELECT m.name, m.type, m.help, this || jsonb_build_object('verdict', v.verdict), m.value::double precision
              FROM verdicts AS v
             CROSS JOIN LATERAL (VALUES
                ('whitecross_indexes_present', 'gauge', 'Indexes of the base tables and views, by what wc_index_usage says of them.', v.number),
                ('whitecross_indexes_size_bytes', 'gauge', 'Size on disk of these indexes together.', v.size)
             ) AS m (name, type, help, value)
             WHERE family IS DISTINCT FROM 'index';
        EXCEPTION WHEN lock_not_available THEN
            NULL; -- an index is being dropped or built anew
        END;
    END IF;

    IF NOT preloaded THEN
        RETURN;
    END IF;

    IF family IS NULL OR family = 'health' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, this, m.value
          FROM @extschema@.wc_health_status() AS h
         CROSS JOIN LATERAL (VALUES
            ('whitecross_health_healthy', 'gauge', 'Whether the database is healthy: 0 after three checks in a row that failed.', h.healthy::integer::double precision),
            ('whitecross_health_consecutive_failures', 'gauge', 'Health checks of the database that failed in a row.', h.consecutive_failures),
            ('whitecross_health_last_check_timestamp_seconds', 'gauge', 'When the last health check of the database ended.', extract(epoch FROM h.last_check)),
            ('whitecross_health_last_check_duration_seconds', 'gauge', 'How long the last health check of the database took.', h.duration_ms / 1000)
         ) AS m (name, type, help, value)
         WHERE h.healthy IS NOT NULL AND h.last_check IS NOT NULL AND h.duration_ms IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'health_checks' THEN
        RETURN QUERY
        SELECT 'whitecross_health_check_failing', 'gauge', 'A check that was critical in the last health check of the database; always 1.',
               this || jsonb_build_object('check', c.name), 1::double precision
          FROM @extschema@.wc_health_status() AS h CROSS JOIN LATERAL (SELECT DISTINCT f.name FROM unnest(h.failing) AS f (name) ORDER BY f.name LIMIT 100) AS c;
    END IF;

    IF family IS NULL OR family = 'violations' THEN
        RETURN QUERY
        SELECT 'whitecross_constraint_violations_total', 'counter', 'Violations of constraints, since the server''s start or the last reset.', this, v.total::double precision
          FROM @extschema@.wc_constraint_violations() AS v WHERE v.kind = 'all';
    END IF;
    IF family IS NULL OR family = 'violations_by_constraint' THEN
        RETURN QUERY
        SELECT 'whitecross_constraint_recent_violations', 'gauge',
               'Violations of the constraint in the last hour.',
               this || jsonb_build_object('table', r.table_name, 'constraint', r.constraint_name, 'kind', r.kind), sum(r.last_hour)::double precision
          FROM (SELECT CASE WHEN v.place <= 50 THEN coalesce(v.table_name, '(none)') ELSE '(other)' END AS table_name,
                       CASE WHEN v.place <= 50 THEN coalesce(v.constraint_name, '(none)') ELSE '(other)' END AS constraint_name,
                       CASE WHEN v.place <= 50 THEN v.kind ELSE '(other)' END AS kind, v.last_hour
                  FROM (SELECT c.*, row_number() OVER (ORDER BY c.last_hour DESC, c.last_day DESC, c.total DESC, c.table_name, c.constraint_name, c.kind) AS place
                          FROM @extschema@.wc_constraint_violations() AS c WHERE c.kind <> 'all') AS v) AS r
         GROUP BY r.table_name, r.constraint_name, r.kind;
    END IF;
END
$database_metrics$;
COMMENT ON FUNCTION @extschema@.wc_database_metrics(text) IS
'Internal: the metrics of this database, of one family or of all.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_database_metrics(text) FROM PUBLIC;

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
        SELECT 'whitecross_replay_delay_seconds', 'gauge', 'Time since the last commit that this standby has replayed, where it has received more; else 0.', '{}'::jsonb,
               CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() THEN greatest(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::double precision ELSE 0 END
         WHERE pg_last_xact_replay_timestamp() IS NOT NULL;
    END IF;

    IF NOT @extschema@.wc_preloaded() THEN
        RETURN;
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

-- With the rights of the owner, so that whoever may call it needs no right to see what others do.
CREATE FUNCTION @extschema@.wc_metrics(family text DEFAULT NULL)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 500
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $metrics$
DECLARE
    families constant text[] := ARRAY['extension', 'view', 'view_rows', 'refresh', 'refresh_last', 'refresh_schedule', 'change_log', 'index', 'indexes',
                                      'health', 'health_checks', 'violations', 'violations_by_constraint', 'connections', 'connections_by_database', 'connections_by_role',
                                      'connection_limit_of_database', 'connection_limit_of_role', 'oldest_transaction', 'transaction_ids',
                                      'replication', 'replay', 'monitor', 'alerts', 'queries', 'query_patterns'];
BEGIN
    IF family <> ALL (families) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('there is no family of metrics "%s"', family),
            HINT = 'Families are ' || array_to_string(families, ', ') || '.';
    END IF;
    RETURN QUERY SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_database_metrics(family) AS m
                  UNION ALL
                 SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_server_metrics(family) AS m;
END
$metrics$;
COMMENT ON FUNCTION @extschema@.wc_metrics(text) IS
'Everything measured, as metrics of Prometheus: name, type, help, labels, value; of one family, or all. Numbers and names of databases, roles, views, constraints and indexes only.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_metrics(text) FROM PUBLIC;

CREATE VIEW @extschema@.wc_metrics AS
SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_metrics() AS m;
COMMENT ON VIEW @extschema@.wc_metrics IS
'Everything measured, as metrics of Prometheus: wc_metrics() as a view.';

CREATE FUNCTION @extschema@.wc_prometheus()
RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET extra_float_digits = 1
AS $prometheus$
WITH lines AS (
    SELECT m.name, m.type, m.help, l.labels,
           concat(m.name, '{' || l.labels || '}', ' ',
                  CASE m.value WHEN 'Infinity' THEN '+Inf' WHEN '-Infinity' THEN '-Inf' ELSE m.value::text END, E'\n') AS line
      FROM @extschema@.wc_metrics() AS m
     CROSS JOIN LATERAL (SELECT string_agg(format('%s="%s"', e.key, replace(replace(replace(e.value, '\', '\\'), '"', '\"'), E'\n', '\n')), ',' ORDER BY e.key) AS labels
                           FROM jsonb_each_text(m.labels) AS e) AS l
), metrics AS (
    SELECT l.name, concat('# HELP ', l.name, ' ', replace(replace(min(l.help), '\', '\\'), E'\n', '\n'), E'\n',
                          '# TYPE ', l.name, ' ', min(l.type), E'\n', string_agg(l.line, '' ORDER BY l.labels)) AS block
      FROM lines AS l GROUP BY l.name
)
SELECT coalesce(string_agg(m.block, '' ORDER BY m.name), '') FROM metrics AS m
$prometheus$;
COMMENT ON FUNCTION @extschema@.wc_prometheus() IS
'wc_metrics in Prometheus'' text format, to be scraped as it is.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_prometheus() FROM PUBLIC;

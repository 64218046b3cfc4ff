-- The metrics of a database; see metrics.sql for what holds for all.

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

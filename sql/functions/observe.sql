-- Statistics of the materialized views. Any role may call these: they read catalogues and the memory of refreshes.

CREATE FUNCTION @extschema@.wc_view_name(view_name text)
RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_view_name';
COMMENT ON FUNCTION @extschema@.wc_view_name(text) IS
'Full name of a materialized view, given with or without mv_; error 42704 for one that there is not.';

CREATE TYPE @extschema@.wc_view_statistics AS (
    view_name        text,
    size_bytes       bigint,
    row_count        bigint,
    populated        boolean,
    last_refresh     timestamptz,
    age              interval,
    last_duration_ms double precision,
    refreshes        bigint,
    failures         bigint,
    refreshed_by     text,
    pending_changes  bigint,
    oldest_pending   timestamptz
);
COMMENT ON TYPE @extschema@.wc_view_statistics IS 'A row of wc_view_stats().';

CREATE FUNCTION @extschema@.wc_pending_changes()
RETURNS TABLE (view_name text, pending_changes bigint, oldest_pending timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 5
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $pending$
WITH views AS MATERIALIZED (
    SELECT s.view_name, s.consumed, string_to_array(s.plan ->> 'tables', ',') AS tables
      FROM @extschema@.wc_view_state AS s WHERE s.consumed IS NOT NULL
)
SELECT v.view_name, c.changes, c.oldest
  FROM views AS v
 CROSS JOIN LATERAL (SELECT count(*) AS changes, min(c.noted_at) AS oldest
                       FROM @extschema@.wc_change AS c
                      WHERE c.xid >= pg_snapshot_xmin(v.consumed) AND NOT pg_visible_in_snapshot(c.xid, v.consumed)
                        AND c.table_name = ANY (v.tables)) AS c
$pending$;
COMMENT ON FUNCTION @extschema@.wc_pending_changes() IS
'Internal: how many changes each view has yet to take up, and when the oldest was noted; no row for a view whose next refresh is of the whole view.';

-- A REFRESH by hand (so too VACUUM FULL and CLUSTER) gives the view another file than the last refresh of ours left it;
-- REFRESH ... CONCURRENTLY by hand writes the same file and can't be told. What we then know of the last refresh is not
-- of the rows that are there, so it isn't shown. A standby has no counters of live rows: there the planner's estimate.
CREATE FUNCTION @extschema@.wc_view_stats(view_name text DEFAULT NULL)
RETURNS SETOF @extschema@.wc_view_statistics
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $view_stats$
SELECT d.name,
       pg_total_relation_size(c.oid),
       CASE WHEN c.oid IS NULL OR NOT c.relispopulated THEN NULL
            WHEN k.known THEN s.row_count
            WHEN pg_is_in_recovery() THEN nullif(greatest(c.reltuples, -1), -1)::bigint
            ELSE pg_stat_get_live_tuples(c.oid) END,
       c.relispopulated,
       CASE WHEN k.known THEN s.last_refresh END,
       CASE WHEN k.known THEN now() - s.last_refresh END,
       CASE WHEN k.known THEN s.last_duration_ms END,
       coalesce(s.refreshes, 0) + l.refreshes,
       coalesce(s.failures, 0) + l.failures,
       CASE WHEN c.oid IS NULL OR NOT c.relispopulated THEN NULL
            WHEN k.known AND s.last_origin IS NOT NULL THEN s.last_origin
            WHEN k.known THEN (SELECT g.origin FROM @extschema@.wc_refresh_log AS g
                                WHERE g.view_name = d.name AND g.status = 'refreshed'
                                ORDER BY g.started_at DESC, g.id DESC LIMIT 1)
            ELSE 'by hand' END,
       CASE WHEN k.known THEN p.pending_changes END,
       CASE WHEN k.known THEN p.oldest_pending END
  FROM @extschema@.wc_view_catalogue AS d
 CROSS JOIN (SELECT value AS base_schema FROM @extschema@.wc_configuration WHERE name = 'base_schema') AS b
  LEFT JOIN pg_namespace AS n ON n.nspname = b.base_schema
  LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = d.name AND c.relkind = 'm'
  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = d.name
  LEFT JOIN @extschema@.wc_pending_changes() AS p ON p.view_name = d.name
 CROSS JOIN LATERAL (SELECT coalesce(c.relispopulated AND c.relfilenode = s.relfilenode, false) AS known) AS k
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE g.status = 'refreshed') AS refreshes,
                            count(*) FILTER (WHERE g.status = 'failed') AS failures
                       FROM @extschema@.wc_refresh_log AS g
                      WHERE g.view_name = d.name AND NOT g.counted) AS l
 WHERE $1 IS NULL OR d.name = @extschema@.wc_view_name($1)
 ORDER BY d.name
$view_stats$;
COMMENT ON FUNCTION @extschema@.wc_view_stats(text) IS
'Size in bytes (with indexes and TOAST), rows, age and last refresh of one materialized view, or all; refreshed_by: manual, schedule, install, live or by hand (REFRESH without wc_refresh); changes that it has yet to take up.';

CREATE FUNCTION @extschema@.wc_last_refresh(view_name text)
RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $last_refresh$
SELECT s.last_refresh FROM @extschema@.wc_view_stats(@extschema@.wc_view_name($1)) AS s
$last_refresh$;
COMMENT ON FUNCTION @extschema@.wc_last_refresh(text) IS
'When the rows of a view were last computed; NULL where that is not known (never, or REFRESH by hand).';

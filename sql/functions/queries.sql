-- Statistics of statement patterns, normalised text, what runs now.

CREATE FUNCTION @extschema@.wc_query_patterns()
RETURNS TABLE (database_oid oid, role_oid oid, query_id bigint, command_tag text, query text, calls bigint, failures bigint,
               total_ms double precision, min_ms double precision, max_ms double precision, rows bigint,
               since timestamptz, last_executed timestamptz, plan_hash bigint, plan_changes bigint,
               last_plan_change timestamptz)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 500
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_patterns';
COMMENT ON FUNCTION @extschema@.wc_query_patterns() IS
'Internal: what wc_query_stats shows, with OIDs; only the caller''s own statements without the rights of pg_read_all_stats.';

CREATE VIEW @extschema@.wc_query_stats AS
SELECT d.datname AS database, r.rolname AS role, p.query_id,
       CASE WHEN p.query_id = 0 THEN 'not identified: compute_query_id was off' ELSE p.query END AS normalised_text,
       p.calls, p.failures, p.total_ms, p.total_ms / nullif(p.calls, 0) AS mean_ms, p.min_ms, p.max_ms, p.rows,
       p.since, p.last_executed, p.plan_hash, p.plan_changes, p.last_plan_change, p.command_tag
  FROM @extschema@.wc_query_patterns() AS p
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = p.database_oid
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = p.role_oid;
GRANT SELECT ON @extschema@.wc_query_stats TO PUBLIC;
COMMENT ON VIEW @extschema@.wc_query_stats IS
'Statistics of statement patterns, of the whole server: calls, times in ms, rows, changes of plan; text has $n for every constant. Own statements only without the rights of pg_read_all_stats.';

CREATE FUNCTION @extschema@.wc_query_patterns_kept()
RETURNS TABLE (patterns integer, max_patterns integer, evicted bigint, resets bigint, since timestamptz)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_patterns_kept';
COMMENT ON FUNCTION @extschema@.wc_query_patterns_kept() IS
'Internal: what wc_query_stats_info shows of shared memory.';

CREATE VIEW @extschema@.wc_query_stats_info AS
SELECT k.patterns, k.max_patterns, k.evicted, k.resets, k.since,
       pg_catalog.current_setting('whitecross.track_queries')::boolean AS tracking,
       pg_catalog.current_setting('compute_query_id') <> 'off' AS query_ids
  FROM @extschema@.wc_query_patterns_kept() AS k;
GRANT SELECT ON @extschema@.wc_query_stats_info TO PUBLIC;
COMMENT ON VIEW @extschema@.wc_query_stats_info IS
'How many statement patterns are kept, of how many at most, how many were evicted, when counting began; whether statements are counted, and identified (compute_query_id).';

CREATE FUNCTION @extschema@.wc_reset_query_stats()
RETURNS integer
LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_query_stats';
COMMENT ON FUNCTION @extschema@.wc_reset_query_stats() IS
'Forgets the statistics of all statement patterns of the server; returns how many there were.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_reset_query_stats() FROM PUBLIC;

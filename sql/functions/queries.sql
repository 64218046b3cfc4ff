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
       CASE WHEN p.query_id <> 0 THEN p.query
            WHEN pg_catalog.current_setting('compute_query_id') = 'off' THEN 'not identified: compute_query_id is off'
            ELSE 'not identified' END AS normalised_text,
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

CREATE FUNCTION @extschema@.wc_query_totals()
RETURNS TABLE (database_oid oid, calls bigint, failures bigint, total_ms double precision, rows bigint, slow bigint, bursts bigint)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_totals';
COMMENT ON FUNCTION @extschema@.wc_query_totals() IS
'Internal: what statements have come to since the server''s start, by database; OID 0: databases after the first 50. Unlike wc_query_stats it forgets nothing.';

CREATE FUNCTION @extschema@.wc_reset_query_stats()
RETURNS integer
LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_query_stats';
COMMENT ON FUNCTION @extschema@.wc_reset_query_stats() IS
'Forgets the statistics of all statement patterns of the server; returns how many there were.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_reset_query_stats() FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_normalise_query(query text)
RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_normalise_query';
COMMENT ON FUNCTION @extschema@.wc_normalise_query(text) IS
'A statement without its values: every constant as $n, no comments; of other statements than queries the command tag.';

CREATE FUNCTION @extschema@.wc_activity_text(query text, analysed boolean, encoding integer)
RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_activity_text';
COMMENT ON FUNCTION @extschema@.wc_activity_text(text, boolean, integer) IS
'Internal: pg_stat_activity.query normalised; analysed: whether the row has a query id, without which a text that is cut may be no SQL; encoding: of its database.';

-- What a role may not see of a session has no state either, so that such a session has no row. A session waits for others
-- where it waits for a lock: elsewhere the locks need not be looked at.
CREATE VIEW @extschema@.wc_active_queries AS
SELECT a.pid,
       a.datname AS database,
       a.usename AS role,
       a.application_name,
       a.state,
       clock_timestamp() - CASE WHEN a.state IN ('active', 'fastpath function call') THEN a.query_start ELSE a.state_change END AS duration,
       a.wait_event_type,
       a.wait_event,
       CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by,
       -- The server's id of any other statement is a fingerprint of its text, constants and all.
       CASE WHEN t.normalised_text ~* '^[(\s]*(select|insert|update|delete|merge|with|values|table)\M[^;]*$' THEN a.query_id END AS query_id,
       t.normalised_text
  FROM pg_stat_activity AS a
  LEFT JOIN pg_database AS d ON d.oid = a.datid
 CROSS JOIN LATERAL (SELECT @extschema@.wc_activity_text(a.query, a.query_id IS NOT NULL, coalesce(d.encoding, pg_char_to_encoding(getdatabaseencoding()))) AS normalised_text) AS t
 WHERE a.state <> 'idle' AND a.pid <> pg_backend_pid() AND a.backend_type <> 'walsender'
 ORDER BY duration DESC;
COMMENT ON VIEW @extschema@.wc_active_queries IS
'What the sessions that the role may see run now, or hold a transaction open after: longest first, with normalised text.';
GRANT SELECT ON @extschema@.wc_active_queries TO PUBLIC;

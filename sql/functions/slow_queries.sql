-- Slow queries, and statements that an application repeats in a loop.

CREATE FUNCTION @extschema@.wc_slow_queries()
RETURNS TABLE (started_at timestamptz, duration_ms double precision, database text, role text, application_name text,
               client text, command_tag text, query_id bigint, normalised_text text, relations text[], rows bigint,
               parameters integer, parameter_types text[], plan_hash bigint, blocks_hit bigint, blocks_read bigint,
               temp_blocks bigint, outcome text, sqlstate text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_slow_queries';
COMMENT ON FUNCTION @extschema@.wc_slow_queries() IS
'The last statements that ran at least whitecross.slow_query_threshold, newest first, of all databases; those of other roles only with pg_read_all_stats. No value of a statement or a parameter is in it.';

CREATE VIEW @extschema@.wc_slow_queries AS
SELECT q.started_at, q.duration_ms, q.database, q.role, q.application_name, q.client, q.command_tag, q.query_id,
       q.normalised_text, q.relations, q.rows, q.parameters, q.parameter_types, q.plan_hash, q.blocks_hit,
       q.blocks_read, q.temp_blocks, q.outcome, q.sqlstate
  FROM @extschema@.wc_slow_queries() AS q;
COMMENT ON VIEW @extschema@.wc_slow_queries IS
'The last slow statements, newest first: wc_slow_queries() as a view.';
GRANT SELECT ON @extschema@.wc_slow_queries TO PUBLIC;

CREATE FUNCTION @extschema@.wc_reset_slow_queries()
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_slow_queries';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_slow_queries() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_slow_queries() IS
'Forgets the slow statements of all databases; returns how many there were.';

CREATE FUNCTION @extschema@.wc_n_plus_one()
RETURNS TABLE (database text, role text, application_name text, kind text, query_id bigint, normalised_text text,
               bursts bigint, largest_burst bigint, first_seen timestamptz, last_seen timestamptz, suggestion text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_n_plus_one';
COMMENT ON FUNCTION @extschema@.wc_n_plus_one() IS
'Statements that an application repeats in loops, in one session or over several (kind), and what to do instead, the latest first, of all databases; those of other roles only with pg_read_all_stats.';

CREATE VIEW @extschema@.wc_n_plus_one AS
SELECT n.database, n.role, n.application_name, n.kind, n.query_id, n.normalised_text, n.bursts, n.largest_burst,
       n.first_seen, n.last_seen, n.suggestion
  FROM @extschema@.wc_n_plus_one() AS n;
COMMENT ON VIEW @extschema@.wc_n_plus_one IS
'Statements that an application repeats in loops: wc_n_plus_one() as a view.';
GRANT SELECT ON @extschema@.wc_n_plus_one TO PUBLIC;

CREATE FUNCTION @extschema@.wc_reset_n_plus_one()
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_n_plus_one';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_n_plus_one() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_n_plus_one() IS
'Forgets the statements in loops of all databases; returns how many there were.';

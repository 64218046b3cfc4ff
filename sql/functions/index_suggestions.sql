-- Indexes that the collected statements would be quicker with.
--
-- A pattern is planned with the rights of the role that ran it, so only that role's members are shown what it would
-- gain. Names are found by the caller's search_path: a default is evaluated before the function's own one is set.

CREATE FUNCTION @extschema@.wc_search_indexes(statements text[], calls text[], roles text[], ids text[],
  min_gain_percent double precision, min_table_rows bigint, search_path text)
RETURNS TABLE (table_name text, columns text[], definition text, statements_helped integer, calls_helped bigint,
               cost_before double precision, cost_after double precision, gain_percent double precision,
               estimated_size_bytes bigint, writes bigint, query_ids bigint[], reason text)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_search_indexes';
COMMENT ON FUNCTION @extschema@.wc_search_indexes(text[], text[], text[], text[], double precision, bigint, text) IS
'Internal: wc_suggest_indexes() for the given statements of the given roles (NULL: the caller''s).';

CREATE FUNCTION @extschema@.wc_unjudged_statements(statements text[], calls text[], roles text[], ids text[],
  search_path text)
RETURNS TABLE (reason text, statements_left_out integer, calls_left_out bigint, query_ids bigint[])
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_unjudged_statements';
COMMENT ON FUNCTION @extschema@.wc_unjudged_statements(text[], text[], text[], text[], text) IS
'Internal: wc_suggest_indexes_skipped() for the given statements of the given roles (NULL: the caller''s).';

CREATE FUNCTION @extschema@.wc_suggest_indexes_for(statements text[], calls bigint[] DEFAULT NULL,
  min_gain_percent double precision DEFAULT 20, min_table_rows bigint DEFAULT 1000,
  search_path text DEFAULT current_setting('search_path'))
RETURNS TABLE (table_name text, columns text[], definition text, statements_helped integer, calls_helped bigint,
               cost_before double precision, cost_after double precision, gain_percent double precision,
               estimated_size_bytes bigint, writes bigint, statement_numbers bigint[], reason text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $suggest_for$
SELECT s.table_name, s.columns, s.definition, s.statements_helped, s.calls_helped, s.cost_before, s.cost_after,
       s.gain_percent, s.estimated_size_bytes, s.writes, s.query_ids, s.reason
  FROM @extschema@.wc_search_indexes($1, coalesce($2::text[], array_fill('1'::text, ARRAY[cardinality($1)])), NULL,
         ARRAY(SELECT g.n::text FROM generate_series(1, cardinality($1)) AS g (n) ORDER BY g.n), $3, $4, $5) AS s
$suggest_for$;
COMMENT ON FUNCTION @extschema@.wc_suggest_indexes_for(text[], bigint[], double precision, bigint, text) IS
'Indexes that the given statements, called so often, would be quicker with; values may be written as $1, $2. They are planned with the caller''s rights, and not executed. Needs the extension hypopg.';

-- The patterns of this database whose text is known, as arrays.
CREATE FUNCTION @extschema@.wc_plannable_patterns(OUT statements text[], OUT calls text[], OUT roles text[], OUT ids text[])
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $plannable$
SELECT coalesce(array_agg(p.query ORDER BY p.query_id, p.role_oid), '{}'),
       coalesce(array_agg(p.calls::text ORDER BY p.query_id, p.role_oid), '{}'),
       coalesce(array_agg(p.role_oid::text ORDER BY p.query_id, p.role_oid), '{}'),
       coalesce(array_agg(p.query_id::text ORDER BY p.query_id, p.role_oid), '{}')
  FROM @extschema@.wc_query_patterns() AS p
  JOIN pg_database AS d ON d.oid = p.database_oid AND d.datname = current_database()
 WHERE p.query_id <> 0 AND p.query IS NOT NULL AND p.query <> p.command_tag
   AND p.command_tag IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE')
$plannable$;
COMMENT ON FUNCTION @extschema@.wc_plannable_patterns() IS
'Internal: the patterns of this database that wc_suggest_indexes() plans.';

CREATE FUNCTION @extschema@.wc_suggest_indexes(min_gain_percent double precision DEFAULT 20,
  min_table_rows bigint DEFAULT 1000, search_path text DEFAULT current_setting('search_path'))
RETURNS TABLE (table_name text, columns text[], definition text, statements_helped integer, calls_helped bigint,
               cost_before double precision, cost_after double precision, gain_percent double precision,
               estimated_size_bytes bigint, writes bigint, query_ids bigint[], reason text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $suggest$
SELECT s.*
  FROM @extschema@.wc_plannable_patterns() AS p
 CROSS JOIN LATERAL @extschema@.wc_search_indexes(p.statements, p.calls, p.roles, p.ids, $1, $2, $3) AS s
$suggest$;
COMMENT ON FUNCTION @extschema@.wc_suggest_indexes(double precision, bigint, text) IS
'Indexes that the collected statement patterns of this database would be quicker with, those that save most first: what each is for, costs before and after in the planner''s units, estimated size in bytes, writes so far that would have paid for it. Nothing is executed or made. Needs the extension hypopg.';

CREATE FUNCTION @extschema@.wc_suggest_indexes_skipped(search_path text DEFAULT current_setting('search_path'))
RETURNS TABLE (reason text, statements_left_out integer, calls_left_out bigint, query_ids bigint[])
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $skipped$
SELECT s.*
  FROM @extschema@.wc_plannable_patterns() AS p
 CROSS JOIN LATERAL @extschema@.wc_unjudged_statements(p.statements, p.calls, p.roles, p.ids, $1) AS s
 UNION ALL
SELECT r.reason, count(*)::integer, sum(q.calls)::bigint, array_agg(q.query_id ORDER BY q.query_id)
  FROM @extschema@.wc_query_patterns() AS q
  JOIN pg_database AS d ON d.oid = q.database_oid AND d.datname = current_database()
 CROSS JOIN LATERAL (SELECT CASE WHEN q.query_id = 0 THEN 'it is not identified: the server gave it no query id (compute_query_id)'
                                 ELSE 'its text is not known' END AS reason) AS r
 WHERE q.query_id = 0 OR q.query IS NULL
    OR (q.query = q.command_tag AND q.command_tag IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE'))
 GROUP BY r.reason
$skipped$;
COMMENT ON FUNCTION @extschema@.wc_suggest_indexes_skipped(text) IS
'The collected statement patterns of this database that wc_suggest_indexes() can''t judge, or not wholly, counted by reason; commands without a plan are not among them.';

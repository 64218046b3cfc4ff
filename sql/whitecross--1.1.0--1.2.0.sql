-- From whitecross 1.1.0 to 1.2.0. What it leads to is what a fresh 1.2.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped: data, grants, settings, mapping and schedules stay. No managed object changes, so no lock of a
-- table is taken.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.2.0'" to load this file. \quit

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

-- Hourly totals of statement patterns, named copies of their statistics, and the report.

CREATE FUNCTION @extschema@.wc_query_history(since timestamptz DEFAULT NULL)
RETURNS TABLE (hour timestamptz, database text, role text, query_id bigint, normalised_text text, calls bigint,
               total_ms double precision, mean_ms double precision, max_ms double precision, rows bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10000
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_history';
COMMENT ON FUNCTION @extschema@.wc_query_history(timestamptz) IS
'Totals of each statement pattern by the hour, from the hour of that moment on, or all that are kept (whitecross.query_history_days); the present hour included. A row without query_id: patterns that were evicted or reset within the hour.';

CREATE VIEW @extschema@.wc_query_history AS
SELECT h.hour, h.database, h.role, h.query_id, h.normalised_text, h.calls, h.total_ms, h.mean_ms, h.max_ms, h.rows
  FROM @extschema@.wc_query_history() AS h;
COMMENT ON VIEW @extschema@.wc_query_history IS
'Totals of each statement pattern by the hour, of all hours that are kept: wc_query_history() as a view.';
GRANT SELECT ON @extschema@.wc_query_history TO PUBLIC;

CREATE FUNCTION @extschema@.wc_query_history_status()
RETURNS TABLE (monitored boolean, written_at timestamptz, sqlstate text, files bigint, unusable bigint, size_bytes bigint,
               first_hour timestamptz, last_hour timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_history_status';
COMMENT ON FUNCTION @extschema@.wc_query_history_status() IS
'Of the files of the query history: whether the process runs that writes them, when they were last written to since the server started, the error that the last attempt ended with, how many there are and how many of them can''t be used, and the hours that they are of.';

CREATE TABLE @extschema@.wc_baseline (
    name text PRIMARY KEY,
    taken_at timestamptz NOT NULL,
    taken_by text NOT NULL,
    patterns bigint NOT NULL,
    run bigint NOT NULL
);
COMMENT ON TABLE @extschema@.wc_baseline IS 'Named copies of wc_query_stats, by wc_query_baseline(). Not dumped: query ids hold for this server alone.';
COMMENT ON COLUMN @extschema@.wc_baseline.taken_by IS 'The role whose sight of wc_query_stats was copied.';
COMMENT ON COLUMN @extschema@.wc_baseline.patterns IS 'How many patterns there were.';
COMMENT ON COLUMN @extschema@.wc_baseline.run IS 'The run of the server that counted them: another one, or a standby, has counted from zero.';
GRANT SELECT ON @extschema@.wc_baseline TO PUBLIC;

-- Of all roles: only wc_compare_baseline() shows it, to each caller what it may see.
CREATE TABLE @extschema@.wc_baseline_pattern (
    name text NOT NULL REFERENCES @extschema@.wc_baseline (name) ON DELETE CASCADE,
    number integer NOT NULL,
    database text,
    role text,
    query_id bigint,
    normalised_text text,
    calls bigint NOT NULL,
    total_ms double precision NOT NULL,
    PRIMARY KEY (name, number)
);
COMMENT ON TABLE @extschema@.wc_baseline_pattern IS 'The statement patterns of each baseline, as they were then.';
COMMENT ON COLUMN @extschema@.wc_baseline_pattern.number IS 'Counts the patterns of a baseline: without a key its rows could not be deleted where all tables are published.';
REVOKE ALL ON @extschema@.wc_baseline_pattern FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_query_baseline(name text)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_baseline';
REVOKE ALL ON FUNCTION @extschema@.wc_query_baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_query_baseline(text) IS
'Keeps a copy of what the caller may see of wc_query_stats, by that name, to compare with; returns the number of patterns. Error 42710 where there is one of that name.';

CREATE FUNCTION @extschema@.wc_drop_baseline(name text)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_drop_baseline';
REVOKE ALL ON FUNCTION @extschema@.wc_drop_baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_drop_baseline(text) IS
'Forgets a baseline; returns the number of patterns that it had. Error 42704 where there is none of that name.';

CREATE FUNCTION @extschema@.wc_compare_baseline(name text)
RETURNS TABLE (database text, role text, query_id bigint, normalised_text text, calls_before bigint, calls_since bigint,
               mean_before_ms double precision, mean_since_ms double precision, ratio double precision, verdict text)
LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 1000
SET search_path = pg_catalog, pg_temp
SET jit = off
AS 'MODULE_PATHNAME', 'wc_compare_baseline';
REVOKE ALL ON FUNCTION @extschema@.wc_compare_baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_compare_baseline(text) IS
'What has become slower or faster since a baseline, of what the caller may see: calls and mean duration up to it and since, their ratio, and slower, faster, unchanged, new or gone.';

-- Text for a person. Of others' statements it shows what the caller may see. A part that has nothing to tell says so: what
-- is left out could be taken for what was not looked at.
CREATE FUNCTION @extschema@.wc_query_report()
RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $report$
WITH stats AS MATERIALIZED (
    SELECT s.calls, s.failures, s.total_ms, s.mean_ms, s.max_ms, s.rows, s.plan_changes, s.last_plan_change,
           format('role %s, database %s', coalesce(s.role::text, '(dropped)'), coalesce(s.database::text, '(dropped)')) AS who,
           left(regexp_replace(s.normalised_text, '\s+', ' ', 'g'), 200) AS statement
      FROM @extschema@.wc_query_stats AS s
), totals AS MATERIALIZED (
    SELECT count(*) AS patterns, coalesce(sum(calls), 0) AS calls, coalesce(sum(failures), 0) AS failures,
           coalesce(sum(total_ms), 0) AS total_ms, coalesce(sum(rows), 0) AS rows
      FROM stats
), sections (place, title, nothing, lines) AS (
    SELECT 1, format('Totals since %s', to_char(i.since, 'YYYY-MM-DD HH24:MI:SS TZ')), '',
           format(E'  %s executions of %s patterns in %s s, %s ms on average, %s rows; %s failed or were cancelled',
                  t.calls, t.patterns, round((t.total_ms / 1000)::numeric, 1),
                  coalesce(round((t.total_ms / nullif(t.calls, 0))::numeric, 3)::text, '-'), t.rows, t.failures)
           || CASE WHEN i.evicted > 0 THEN format(E'\n  %s patterns gave their place to others (whitecross.query_stats_max is %s)', i.evicted, i.max_patterns) ELSE '' END
           || CASE WHEN NOT i.tracking THEN E'\n  nothing is counted: whitecross.track_queries is off' ELSE '' END
           || CASE WHEN NOT i.query_ids THEN E'\n  statements are not told apart: compute_query_id is off' ELSE '' END
           || CASE WHEN NOT h.monitored THEN E'\n  the query history is not written before the server is shut down: its monitor does not run (max_worker_processes?)' ELSE '' END
           || CASE WHEN h.sqlstate IS NOT NULL THEN format(E'\n  the query history is not written: SQLSTATE %s, last written %s', h.sqlstate, coalesce(to_char(h.written_at, 'YYYY-MM-DD HH24:MI:SS TZ'), 'never')) ELSE '' END
           || CASE WHEN h.unusable > 0 THEN format(E'\n  %s files of the query history can''t be used: SELECT * FROM @extschema@.wc_query_history names them', h.unusable) ELSE '' END
      FROM totals AS t CROSS JOIN @extschema@.wc_query_stats_info AS i CROSS JOIN @extschema@.wc_query_history_status() AS h
    UNION ALL
    SELECT 2, 'Active now, longest first', 'no other session is active, or you may not see it',
           string_agg(format(E'  %s s: pid %s, role %s, database %s%s, %s%s%s\n      %s', round(extract(epoch FROM a.duration), 1), a.pid,
                             coalesce(a.role::text, '-'), coalesce(a.database::text, '-'),
                             coalesce(', ' || nullif(a.application_name, ''), ''), a.state,
                             coalesce(format(', waits for %s %s', a.wait_event_type, a.wait_event), ''),
                             CASE WHEN cardinality(a.blocked_by) > 0 THEN ', blocked by pid ' || array_to_string(a.blocked_by, ', ') ELSE '' END,
                             coalesce(left(regexp_replace(a.normalised_text, '\s+', ' ', 'g'), 200), '(no text)')),
                      E'\n' ORDER BY a.duration DESC)
      FROM (SELECT * FROM @extschema@.wc_active_queries AS q ORDER BY q.duration DESC NULLS LAST LIMIT 20) AS a
    UNION ALL
    SELECT 3, 'Slowest by mean', 'nothing has run yet',
           string_agg(format(E'  %s ms on average, %s ms at most, calls: %s, %s s in all; %s\n      %s', round(s.mean_ms::numeric, 3),
                             round(s.max_ms::numeric, 3), s.calls, round((s.total_ms / 1000)::numeric, 1), s.who, s.statement),
                      E'\n' ORDER BY s.mean_ms DESC)
      FROM (SELECT * FROM stats WHERE calls > 0 ORDER BY mean_ms DESC LIMIT 5) AS s
    UNION ALL
    SELECT 4, 'Most frequent', 'nothing has run yet',
           string_agg(format(E'  calls: %s, %s ms on average, %s s in all; %s\n      %s', s.calls, round(s.mean_ms::numeric, 3),
                             round((s.total_ms / 1000)::numeric, 1), s.who, s.statement), E'\n' ORDER BY s.calls DESC)
      FROM (SELECT * FROM stats WHERE calls > 0 ORDER BY calls DESC LIMIT 5) AS s
    UNION ALL
    SELECT 5, 'Slow queries, latest first', format('none above whitecross.slow_query_threshold (%s)', current_setting('whitecross.slow_query_threshold', true)),
           string_agg(format(E'  %s: %s ms, role %s, database %s%s; %s\n      %s', to_char(s.started_at, 'YYYY-MM-DD HH24:MI:SS'),
                             round(s.duration_ms::numeric, 1), coalesce(s.role, '(dropped)'), coalesce(s.database, '(dropped)'),
                             coalesce(', ' || nullif(s.application_name, ''), ''), s.outcome,
                             left(regexp_replace(coalesce(s.normalised_text, s.command_tag), '\s+', ' ', 'g'), 200)),
                      E'\n' ORDER BY s.started_at DESC)
      FROM (SELECT * FROM @extschema@.wc_slow_queries ORDER BY started_at DESC LIMIT 5) AS s
    UNION ALL
    SELECT 6, 'N+1 patterns, latest first', 'none',
           string_agg(format(E'  bursts: %s (%s), largest: %s executions, last %s; role %s, database %s%s\n      %s\n      %s', n.bursts, n.kind,
                             n.largest_burst, to_char(n.last_seen, 'YYYY-MM-DD HH24:MI:SS'), coalesce(n.role, '(dropped)'),
                             coalesce(n.database, '(dropped)'), coalesce(', ' || nullif(n.application_name, ''), ''),
                             left(regexp_replace(coalesce(n.normalised_text, '(no text)'), '\s+', ' ', 'g'), 200), n.suggestion),
                      E'\n' ORDER BY n.last_seen DESC)
      FROM (SELECT * FROM @extschema@.wc_n_plus_one ORDER BY last_seen DESC LIMIT 10) AS n
    UNION ALL
    SELECT 7, 'Changes of plan, latest first', 'none',
           string_agg(format(E'  changes: %s, last %s, %s ms on average; %s\n      %s', s.plan_changes,
                             to_char(s.last_plan_change, 'YYYY-MM-DD HH24:MI:SS'), coalesce(round(s.mean_ms::numeric, 3)::text, '-'),
                             s.who, s.statement), E'\n' ORDER BY s.last_plan_change DESC)
      FROM (SELECT * FROM stats WHERE plan_changes > 0 ORDER BY last_plan_change DESC LIMIT 10) AS s
)
SELECT format(E'Query report, %s, asked for in database %s by %s\n\n', to_char(now(), 'YYYY-MM-DD HH24:MI:SS TZ'), current_database(), current_user)
       || string_agg(s.title || E'\n' || coalesce(s.lines, '  ' || s.nothing), E'\n\n' ORDER BY s.place) || E'\n'
  FROM sections AS s
$report$;
COMMENT ON FUNCTION @extschema@.wc_query_report() IS
'Text to read: totals, what is active, the five slowest and the five most frequent statement patterns, the last slow queries, N+1 patterns, changes of plan; of what the caller may see.';

-- Constraint violations, counted.

CREATE FUNCTION @extschema@.wc_constraint_violations()
RETURNS TABLE (table_name text, constraint_name text, kind text, last_hour bigint, last_day bigint, total bigint,
               last_seen timestamptz, level text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_constraint_violations';
COMMENT ON FUNCTION @extschema@.wc_constraint_violations() IS
'How often each constraint of this database was violated in the last hour, the last day and altogether, and first of all the sum (kind all); level ok, warning or critical.';

CREATE VIEW @extschema@.wc_constraint_violations AS
SELECT v.table_name, v.constraint_name, v.kind, v.last_hour, v.last_day, v.total, v.last_seen, v.level
  FROM @extschema@.wc_constraint_violations() AS v;
COMMENT ON VIEW @extschema@.wc_constraint_violations IS
'How often each constraint of this database was violated: wc_constraint_violations() as a view.';
GRANT SELECT ON @extschema@.wc_constraint_violations TO PUBLIC;

CREATE FUNCTION @extschema@.wc_constraint_violations_info()
RETURNS TABLE (constraints integer, max integer, evicted bigint, since timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_constraint_violations_info';
COMMENT ON FUNCTION @extschema@.wc_constraint_violations_info() IS
'Of the table that constraint violations are counted in: constraints in it, room (whitecross.violations_max), how many gave their place to others, and since when this database is counted.';

CREATE FUNCTION @extschema@.wc_reset_constraint_violations()
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_constraint_violations';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_constraint_violations() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_constraint_violations() IS
'Forgets the constraint violations of this database; returns of how many constraints.';

-- What each index is used for, and how bloated it is.
--
-- Whether an index can be done without is told by the catalogues alone: another index of the same table finds every row that it
-- finds, in its order or the reverse, has all its columns, and enforces what it enforces. No row of a table is read.

CREATE VIEW @extschema@.wc_index_usage AS
WITH RECURSIVE site AS (
    SELECT n.oid AS base_oid, e.oid AS extension
      FROM @extschema@.wc_configuration AS c
      JOIN pg_catalog.pg_namespace AS n ON n.nspname = c.value
      JOIN pg_catalog.pg_extension AS e ON e.extname = 'whitecross'
     WHERE c.name = 'base_schema'
), tables (oid) AS (
    SELECT c.oid
      FROM pg_catalog.pg_class AS c
      JOIN site ON c.relnamespace = site.base_oid
     WHERE (c.relkind IN ('r', 'p') AND c.relname IN (SELECT b.table_name FROM @extschema@.wc_base_table AS b))
        OR (c.relkind = 'm' AND c.relname IN (SELECT v.name FROM @extschema@.wc_view_catalogue AS v))
    UNION
    SELECT h.inhrelid FROM tables AS t JOIN pg_catalog.pg_inherits AS h ON h.inhparent = t.oid
), indexes AS MATERIALIZED (
    SELECT i.indexrelid AS oid, i.indrelid, n.nspname AS schema_name, t.relname AS table_name, c.relname AS index_name,
           c.relkind = 'i' AS stored, c.relispartition AS of_partition,
           CASE WHEN c.relispartition THEN pg_partition_root(i.indexrelid)::oid ELSE i.indexrelid END AS root,
           i.indisunique, i.indisunique OR i.indisexclusion AS enforces, i.indnullsnotdistinct, i.indimmediate, i.indnkeyatts,
           i.indisvalid AND i.indisready AND i.indislive AS valid,
           -- A constraint, a foreign key to it, a replica identity, the order of CLUSTER and a parent keep an index where it is.
           i.indisprimary OR i.indisexclusion OR i.indisreplident OR i.indisclustered OR c.relispartition
           OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid) AS held,
           m.oid AS method, m.amname = 'btree' AS ordered,
           coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate,
           -- Of a B-tree they say how it is kept, of others what it can find.
           CASE WHEN m.amname = 'btree' THEN '{}' ELSE coalesce(c.reloptions, '{}') END AS options,
           d.keys, d.orders, d.reverse_orders, d.included,
           CASE WHEN m.amname = 'btree' THEN d.plain_keys || d.included ELSE d.included END AS returned,
           o.kind
      FROM tables
     CROSS JOIN site
      JOIN pg_catalog.pg_index AS i ON i.indrelid = tables.oid
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
      JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
     CROSS JOIN LATERAL (
         -- A key is the same by its column or expression, operator class, that one's parameters, and collation.
         SELECT array_agg(concat_ws(' / ', pg_get_indexdef(i.indexrelid, k.n, false), i.indclass[k.n - 1], i.indcollation[k.n - 1],
                                    a.attoptions) ORDER BY k.n) FILTER (WHERE k.n <= i.indnkeyatts) AS keys,
                array_agg(i.indoption[k.n - 1]::integer ORDER BY k.n) FILTER (WHERE k.n <= i.indnkeyatts) AS orders,
                array_agg(i.indoption[k.n - 1]::integer # 3 ORDER BY k.n) FILTER (WHERE k.n <= i.indnkeyatts) AS reverse_orders,
                coalesce(array_agg(i.indkey[k.n - 1] ORDER BY i.indkey[k.n - 1]) FILTER (WHERE k.n <= i.indnkeyatts), '{}') AS plain_keys,
                coalesce(array_agg(i.indkey[k.n - 1] ORDER BY i.indkey[k.n - 1]) FILTER (WHERE k.n > i.indnkeyatts), '{}') AS included
           FROM generate_series(1, i.indnatts::integer) AS k (n)
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indexrelid AND a.attnum = k.n) AS d
      LEFT JOIN LATERAL (
         SELECT g.kind
           FROM @extschema@.wc_index_catalogue AS g
           JOIN @extschema@.wc_registry AS r ON r.name = g.name AND r.made
          WHERE t.relnamespace = site.base_oid AND g.name = c.relname AND g.table_name = t.relname
            AND (obj_description(i.indexrelid, 'pg_class') = g.comment
                 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS l
                             WHERE l.classid = 'pg_catalog.pg_class'::regclass AND l.objid = i.indexrelid AND l.deptype = 'x'
                               AND l.refclassid = 'pg_catalog.pg_extension'::regclass AND l.refobjid = site.extension))) AS o ON true
), counted AS MATERIALIZED (
    SELECT i.oid, c.scans, c.tuples_read, c.tuples_fetched, c.size_bytes,
           coalesce(sum(c.scans) OVER (PARTITION BY i.root), 0) AS scans_of_all
      FROM indexes AS i
      LEFT JOIN LATERAL (
         SELECT pg_stat_get_numscans(i.oid) AS scans, pg_stat_get_tuples_returned(i.oid) AS tuples_read,
                pg_stat_get_tuples_fetched(i.oid) AS tuples_fetched, pg_relation_size(i.oid) AS size_bytes
          WHERE i.stored) AS c ON true
), spared AS (
    -- Index d can be done without, because of x.
    SELECT d.oid AS d, x.oid AS x, x.index_name, x.indnkeyatts, cardinality(x.included) AS more,
           x.indnkeyatts = d.indnkeyatts AND x.included = d.included AS equal, x.kind IS NULL AS of_site, x.held
      FROM indexes AS d
      JOIN indexes AS x ON x.indrelid = d.indrelid AND x.oid <> d.oid
     WHERE NOT d.held AND d.valid AND x.valid
       AND x.method = d.method AND x.predicate = d.predicate AND x.options = d.options
       AND x.keys[1:d.indnkeyatts] = d.keys
       AND (x.orders[1:d.indnkeyatts] = d.orders OR x.ordered AND x.reverse_orders[1:d.indnkeyatts] = d.orders)
       AND (x.indnkeyatts = d.indnkeyatts OR x.ordered)
       AND d.included <@ x.returned
       AND (NOT d.indisunique
            OR x.indisunique AND x.indnkeyatts = d.indnkeyatts AND x.indimmediate >= d.indimmediate
               AND x.indnullsnotdistinct >= d.indnullsnotdistinct)
), redundant AS (
    -- Of two that can each stand for the other, one of ours goes; else the later by name.
    SELECT DISTINCT ON (s.d) s.d, CASE WHEN s.equal THEN 'duplicate of ' ELSE 'prefix of ' END || quote_ident(s.index_name) AS verdict
      FROM spared AS s
      LEFT JOIN spared AS r ON r.d = s.x AND r.x = s.d
     WHERE r.d IS NULL OR (s.of_site, r.index_name) > (r.of_site, s.index_name)
     ORDER BY s.d, s.equal DESC, s.indnkeyatts DESC, s.more DESC, s.held DESC, s.of_site DESC, s.index_name
)
SELECT i.schema_name::text AS schema_name, i.table_name::text AS table_name, i.index_name::text AS index_name, i.kind,
       c.scans, c.tuples_read, c.tuples_fetched, c.size_bytes, i.indisunique AS is_unique, i.kind IS NOT NULL AS ours,
       pg_stat_get_db_stat_reset_time((SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())) AS stats_reset,
       CASE WHEN NOT i.valid THEN 'invalid'
            WHEN r.verdict IS NOT NULL THEN r.verdict
            WHEN i.enforces OR c.scans_of_all > 0 THEN 'used'
            ELSE 'unused' END AS verdict
  FROM indexes AS i
  JOIN counted AS c ON c.oid = i.oid
  LEFT JOIN redundant AS r ON r.d = i.oid
 ORDER BY i.schema_name, i.table_name, i.index_name;
COMMENT ON VIEW @extschema@.wc_index_usage IS
'Every index of the base tables and materialized views: how often it was scanned on this server, its size in bytes, whether it is one of ours, and a verdict: used, unused, duplicate of another, prefix of another, invalid.';
GRANT SELECT ON @extschema@.wc_index_usage TO PUBLIC;

-- First an estimate from the planner's statistics, which reads no page: how many pages the entries would fill if the index were
-- built today. Only what that calls bloated, or can't tell of, is then read page by page.
CREATE FUNCTION @extschema@.wc_index_bloat(min_size bigint DEFAULT 1048576, min_percent double precision DEFAULT 30, exact boolean DEFAULT true)
RETURNS TABLE (schema_name text, table_name text, index_name text, method text, size_bytes bigint, estimated_percent numeric,
               measured_percent numeric, leaf_density numeric, wasted_bytes bigint, command text, note text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 50
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $index_bloat$
DECLARE
  measuring text;  -- the schema of pgstattuple
  candidate record;
  pages record;
  needed double precision;
BEGIN
  IF min_size IS NULL OR min_percent IS NULL OR exact IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'min_size, min_percent and exact must not be null',
      HINT = 'Leave an argument out for its default.';
  END IF;
  IF exact THEN
    SELECT n.nspname INTO measuring FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pgstattuple';
    IF measuring IS NULL THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'extension pgstattuple is not installed',
        DETAIL = 'It reads an index page by page and tells how full it is.',
        HINT = 'CREATE EXTENSION pgstattuple; or SELECT * FROM @extschema@.wc_index_bloat(exact => false); for estimates alone.';
    END IF;
    IF NOT has_schema_privilege(measuring, 'USAGE') OR NOT has_function_privilege(format('%I.pgstatindex(regclass)', measuring), 'EXECUTE') THEN
      RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('permission denied for function %I.pgstatindex', measuring),
        HINT = format('GRANT pg_stat_scan_tables TO %I; GRANT USAGE ON SCHEMA %I TO %I; or SELECT * FROM @extschema@.wc_index_bloat(exact => false); for estimates alone.',
                      current_user, measuring, current_user);
    END IF;
  END IF;

  FOR candidate IN
    WITH indexes AS MATERIALIZED (
      SELECT i.indexrelid AS oid, u.schema_name AS its_schema, u.table_name AS its_table, u.index_name AS its_name, u.size_bytes AS bytes,
             i.indisexclusion, i.indisunique, i.indnatts, i.indnkeyatts, i.indclass, i.indcollation, i.indkey, i.indrelid,
             m.amname AS its_method, c.reltuples, t.reltuples AS table_tuples, u.verdict = 'invalid' AS invalid,
             coalesce((SELECT o.option_value::double precision FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'fillfactor'), 90) AS fill,
             NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) AS o
                          WHERE o.option_name = 'deduplicate_items' AND NOT o.option_value::boolean) AS deduplicates
        FROM @extschema@.wc_index_usage AS u
        JOIN pg_namespace AS n ON n.nspname = u.schema_name
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = u.index_name AND c.relkind = 'i'
        JOIN pg_index AS i ON i.indexrelid = c.oid
        JOIN pg_class AS t ON t.oid = i.indrelid
        JOIN pg_am AS m ON m.oid = c.relam
       WHERE u.size_bytes >= min_size
    ), entries AS (
      -- What is known of the entries of a B-tree: their size, how many there are of each value, whether those share a key.
      SELECT i.oid, bool_and(s.avg_width IS NOT NULL) AS known,
             8 + 8 * max(s.null_frac) + sum((1 - s.null_frac) * s.avg_width) AS width, bool_and(a.attlen > 0) AS fixed_width,
             exp(sum(ln(greatest(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * i.table_tuples ELSE s.n_distinct END, 1)))
                 FILTER (WHERE k.n <= i.indnkeyatts)) AS combinations,
             i.deduplicates AND NOT i.indisunique AND i.indnatts = i.indnkeyatts
             AND coalesce(bool_and(EXISTS (SELECT FROM pg_opclass AS o
                                             JOIN pg_amproc AS p ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocnum = 4
                                            WHERE o.oid = i.indclass[k.n - 1])
                                   AND NOT EXISTS (SELECT FROM pg_collation AS l WHERE l.oid = i.indcollation[k.n - 1] AND NOT l.collisdeterministic))
                          FILTER (WHERE k.n <= i.indnkeyatts), false) AS shared
        FROM indexes AS i
       CROSS JOIN LATERAL generate_series(1, i.indnatts::integer) AS k (n)
        JOIN pg_attribute AS a ON a.attrelid = i.oid AND a.attnum = k.n
        LEFT JOIN pg_attribute AS b ON b.attrelid = i.indrelid AND b.attnum = i.indkey[k.n - 1] AND i.indkey[k.n - 1] <> 0
        LEFT JOIN pg_stats AS s
          ON s.schemaname = i.its_schema AND NOT s.inherited
         AND ((b.attname IS NOT NULL AND s.tablename = i.its_table AND s.attname = b.attname)
              OR (b.attname IS NULL AND s.tablename = i.its_name AND s.attname = a.attname))
       WHERE i.its_method = 'btree' AND i.reltuples >= 0
       GROUP BY i.oid, i.deduplicates, i.indisunique, i.indnatts, i.indnkeyatts
    ), sized AS (
      SELECT i.*, e.known, q.entry, q.groups,
             current_setting('block_size')::double precision AS page
        FROM indexes AS i
        LEFT JOIN entries AS e ON e.oid = i.oid AND e.known
        LEFT JOIN LATERAL (
          SELECT CASE WHEN e.fixed_width THEN 8 * ceil(e.width / 8) ELSE e.width + 4 END AS entry,
                 CASE WHEN e.shared THEN least(greatest(e.combinations, 1), greatest(i.reltuples, 1)) END AS groups) AS q ON e.known
    )
    SELECT z.*, CASE WHEN z.known AND z.bytes > 0 THEN 100 * greatest(1 - p.pages * z.page / z.bytes, 0) END AS estimate
      FROM sized AS z
      -- Entries of one value share a key from the second on: six bytes for each row, in lists of a tenth of a page.
      LEFT JOIN LATERAL (
        SELECT CASE WHEN z.groups IS NULL OR z.reltuples < 1.1 * z.groups THEN z.reltuples * (z.entry + 4)
                    ELSE 6 * z.reltuples
                         + z.groups * ceil(z.reltuples / z.groups / greatest(floor((z.page / 10 - z.entry) / 6), 1)) * (z.entry + 8) END
               / ((z.page - 40) * z.fill / 100) AS leaves) AS l ON z.known
      LEFT JOIN LATERAL (SELECT 1 + greatest(ceil(l.leaves), 1) * (1 + (z.entry + 4) / (0.7 * z.page)) AS pages) AS p ON z.known
     ORDER BY z.its_schema, z.its_table, z.its_name
  LOOP
    schema_name := candidate.its_schema;
    table_name := candidate.its_table;
    index_name := candidate.its_name;
    method := candidate.its_method;
    size_bytes := candidate.bytes;
    estimated_percent := round(candidate.estimate::numeric, 1);
    measured_percent := NULL;
    leaf_density := NULL;
    note := CASE WHEN candidate.invalid THEN 'not valid: no query uses it'
                 WHEN method <> 'btree' THEN format('%s indexes are neither estimated nor measured: REINDEX one and compare its size', method)
                 WHEN candidate.estimate IS NULL AND NOT exact THEN 'no statistics that you may read: ANALYZE the table, or measure'
                 WHEN candidate.estimate < min_percent AND exact THEN 'estimated below min_percent: not measured' END;
    IF exact AND method = 'btree' AND NOT candidate.invalid AND coalesce(candidate.estimate >= min_percent, true) THEN
      EXECUTE format('SELECT p.index_size / current_setting(''block_size'')::double precision AS size, p.internal_pages, p.leaf_pages, '
                     'nullif(p.avg_leaf_density, ''NaN'') AS density FROM %I.pgstatindex($1) AS p', measuring)
         INTO pages USING candidate.oid::regclass;
      -- As many leaves as their contents fill when it is built anew, and of the levels above them as large a part.
      needed := CASE WHEN pages.leaf_pages > 0
                     THEN pages.leaf_pages * coalesce(pages.density, 0) / candidate.fill * (1 + pages.internal_pages / pages.leaf_pages::double precision) ELSE 0 END;
      measured_percent := round((100 * greatest(1 - (1 + greatest(ceil(needed), 1)) / nullif(pages.size, 0), 0))::numeric, 1);
      leaf_density := round(pages.density::numeric, 1);
    END IF;
    wasted_bytes := size_bytes * coalesce(measured_percent, estimated_percent) / 100;
    -- The index of an exclusion constraint can't be built concurrently.
    command := CASE WHEN candidate.invalid OR coalesce(measured_percent, estimated_percent) >= greatest(min_percent, 0.1)
                    THEN format('REINDEX INDEX %s%I.%I;', CASE WHEN candidate.indisexclusion THEN '' ELSE 'CONCURRENTLY ' END, schema_name, index_name) END;
    RETURN NEXT;
  END LOOP;
END
$index_bloat$;
COMMENT ON FUNCTION @extschema@.wc_index_bloat(bigint, double precision, boolean) IS
'Bloat of the indexes of the base tables and materialized views of at least min_size bytes: in percent, estimated, and where that is at least min_percent, or unknown, measured by pgstattuple; with the REINDEX to run.';

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

-- Settings of the server that let protected health information into its log.
--
-- What is judged is a value, whatever set it: the configuration as this session sees it, and each setting of a role or a
-- database. Statement texts, values of parameters and details of errors are told apart because each has a setting of its own.

CREATE FUNCTION @extschema@.wc_privacy_settings()
RETURNS TABLE (setting text, value text, source text, risk text, why text, advice text, command text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 30
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $privacy$
WITH known (position, name, kind, advised) AS (
    VALUES (1, 'log_error_verbosity', 'detail', 'terse'),
           (2, 'log_min_error_statement', 'error statement', 'panic'),
           (3, 'log_parameter_max_length_on_error', 'error parameters', '0'),
           (4, 'log_statement', 'statement', 'none'),
           (5, 'log_min_duration_statement', 'duration', '-1'),
           (6, 'log_min_duration_sample', 'sample', '-1'),
           (7, 'log_transaction_sample_rate', 'rate', '0'),
           (8, 'log_parameter_max_length', 'parameters', '0'),
           (9, 'log_duration', 'harmless', 'off'),
           (10, 'log_min_messages', 'messages', 'warning'),
           (11, 'debug_print_parse', 'tree', 'off'),
           (12, 'debug_print_rewritten', 'tree', 'off'),
           (13, 'debug_print_plan', 'tree', 'off'),
           (14, 'log_parser_stats', 'statistics', 'off'),
           (15, 'log_planner_stats', 'statistics', 'off'),
           (16, 'log_executor_stats', 'statistics', 'off'),
           (17, 'log_statement_stats', 'statistics', 'off'),
           (18, 'log_lock_waits', 'event', 'off'),
           (19, 'log_temp_files', 'event', '-1'),
           (20, 'auto_explain.log_min_duration', 'plan', '-1'),
           (21, 'auto_explain.log_parameter_max_length', 'plan parameters', '0'),
           (22, 'pgaudit.log', 'audit', 'none'),
           (23, 'pgaudit.log_parameter', 'audit parameters', 'off'),
           (24, 'pg_stat_statements.track_utility', 'utility', 'off'),
           (25, 'pg_stat_statements.track', 'patterns', 'none'),
           (26, 'track_activities', 'activity', 'off')
), roles AS MATERIALIZED (
    -- Who but a superuser sees the texts of other roles' statements.
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) AS readers
      FROM pg_roles AS r
     WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_has_role(r.oid, 'pg_read_all_stats', 'MEMBER')
), found AS MATERIALIZED (
    SELECT k.position, k.name, k.kind, k.advised, s.value, s.place, s.source, s.change
      FROM known AS k
     CROSS JOIN LATERAL (
           SELECT current_setting(k.name) AS value, 0 AS place, p.source, format('ALTER SYSTEM SET %s = %s;', k.name, k.advised) AS change
             FROM pg_settings AS p WHERE p.name = k.name
           UNION ALL
           SELECT substr(c.entry, strpos(c.entry, '=') + 1), 1, concat_ws(' in ', coalesce('role ' || quote_ident(r.rolname), CASE WHEN d.datname IS NULL THEN 'all roles' END),
                         'database ' || quote_ident(d.datname)),
                  CASE WHEN r.rolname IS NULL AND d.datname IS NOT NULL THEN format('ALTER DATABASE %I', d.datname)
                       ELSE concat_ws(' ', 'ALTER ROLE', coalesce(quote_ident(r.rolname), 'ALL'), 'IN DATABASE ' || quote_ident(d.datname)) END
                  || format(' RESET %s;', k.name)
             FROM pg_db_role_setting AS o
            CROSS JOIN LATERAL unnest(o.setconfig) AS c (entry)
             LEFT JOIN pg_roles AS r ON r.oid = o.setrole
             LEFT JOIN pg_database AS d ON d.oid = o.setdatabase
            WHERE lower(split_part(c.entry, '=', 1)) = k.name) AS s
), judged AS MATERIALIZED (
    SELECT f.*, lower(f.value) AS low, f.value ~ '^\s*-' AS negative, f.value ~* '^\s*0*(\.0*)?\s*[a-z]*\s*$' AND f.value ~ '0' AS zero,
           f.value ~* '^\s*(on|t(r(ue?)?)?|y(es?)?|1)\s*$' AS yes
      FROM found AS f
), logging AS MATERIALIZED (
    -- Whether, anywhere, texts of statements go to the log as they run, and whether they do with an error or an event.
    SELECT bool_or(j.kind = 'statement' AND j.low <> 'none' OR j.kind IN ('duration', 'sample') AND NOT j.negative OR j.kind = 'rate' AND NOT j.zero) AS statements,
           bool_or(j.kind = 'error statement' AND j.low <> 'panic') AS with_events,
           bool_or(j.kind = 'plan' AND NOT j.negative) AS plans,
           bool_or(j.kind = 'audit' AND j.low <> 'none') AS audits
      FROM judged AS j
), verdicts AS (
    SELECT j.*,
           CASE j.kind
                WHEN 'detail' THEN CASE WHEN j.low = 'terse' THEN 'ok' ELSE 'critical' END
                WHEN 'error statement' THEN CASE WHEN j.low = 'panic' THEN 'ok' WHEN j.low IN ('fatal', 'log') THEN 'warning' ELSE 'critical' END
                WHEN 'error parameters' THEN CASE WHEN j.zero THEN 'ok' ELSE 'critical' END
                WHEN 'statement' THEN CASE j.low WHEN 'none' THEN 'ok' WHEN 'ddl' THEN 'warning' ELSE 'critical' END
                WHEN 'duration' THEN CASE WHEN j.negative THEN 'ok' ELSE 'critical' END
                WHEN 'sample' THEN CASE WHEN j.negative THEN 'ok' ELSE 'critical' END
                WHEN 'rate' THEN CASE WHEN j.zero THEN 'ok' ELSE 'critical' END
                WHEN 'parameters' THEN CASE WHEN j.zero THEN 'ok' WHEN l.statements THEN 'critical' ELSE 'warning' END
                WHEN 'messages' THEN CASE WHEN j.low ~ '^debug' AND j.low <> 'debug1' THEN 'critical'
                                          WHEN j.low IN ('debug1', 'info', 'notice') THEN 'warning' ELSE 'ok' END
                WHEN 'tree' THEN CASE WHEN j.yes THEN 'critical' ELSE 'ok' END
                WHEN 'statistics' THEN CASE WHEN NOT j.yes THEN 'ok' WHEN l.with_events THEN 'critical' ELSE 'ok' END
                WHEN 'event' THEN CASE WHEN j.negative OR j.name = 'log_lock_waits' AND NOT j.yes THEN 'ok' WHEN l.with_events THEN 'warning' ELSE 'ok' END
                WHEN 'plan' THEN CASE WHEN j.negative THEN 'ok' ELSE 'critical' END
                WHEN 'plan parameters' THEN CASE WHEN j.zero THEN 'ok' WHEN l.plans THEN 'critical' ELSE 'warning' END
                WHEN 'audit' THEN CASE j.low WHEN 'none' THEN 'ok' ELSE 'critical' END
                WHEN 'audit parameters' THEN CASE WHEN NOT j.yes THEN 'ok' WHEN l.audits THEN 'critical' ELSE 'warning' END
                WHEN 'utility' THEN CASE WHEN j.yes THEN 'warning' ELSE 'ok' END
                WHEN 'patterns' THEN CASE j.low WHEN 'none' THEN 'ok' ELSE 'warning' END
                WHEN 'activity' THEN CASE WHEN j.yes AND r.readers IS NOT NULL THEN 'warning' ELSE 'ok' END
                ELSE 'ok' END AS risk,
           CASE j.kind
                WHEN 'detail' THEN 'the detail of an error goes to the log: the failing row, the key that is there already, a deadlock''s statements'
                WHEN 'error statement' THEN 'the text of a statement that fails, or waits for a lock, or writes a temporary file, goes to the log with its constants'
                WHEN 'error parameters' THEN 'the values of parameters go to the log with an error'
                WHEN 'statement' THEN 'the texts of statements go to the log with their constants'
                WHEN 'duration' THEN 'the texts of slow statements go to the log with their constants; wc_slow_queries has them without'
                WHEN 'sample' THEN 'the texts of a sample of slow statements go to the log with their constants; wc_slow_queries has them without'
                WHEN 'rate' THEN 'the texts of all statements of some transactions go to the log with their constants'
                WHEN 'parameters' THEN 'the values of parameters go to the log with each statement that goes there'
                WHEN 'harmless' THEN 'durations alone, without a text'
                WHEN 'messages' THEN 'up to debug2 the server logs texts of statements; up to notice, what functions tell their callers'
                WHEN 'tree' THEN 'the tree of each statement goes to the log with its constants'
                WHEN 'statistics' THEN 'each statement makes an entry in the log, which has its text as long as log_min_error_statement lets it'
                WHEN 'event' THEN 'such an event makes an entry in the log, which has the statement''s text as long as log_min_error_statement lets it'
                WHEN 'plan' THEN 'texts and plans of slow statements go to the log with their constants'
                WHEN 'plan parameters' THEN 'the values of parameters go to the log with each plan that goes there'
                WHEN 'audit' THEN 'the texts of statements go to the log with their constants'
                WHEN 'audit parameters' THEN 'the values of parameters go to the log with each statement that goes there'
                WHEN 'utility' THEN 'pg_stat_statements keeps utility statements (COPY, DO, CREATE VIEW, EXPLAIN, ...) with their constants, in a file too'
                WHEN 'patterns' THEN 'pg_stat_statements keeps comments and some constants of statements, in a file too; wc_query_stats does not'
                WHEN 'activity' THEN concat('pg_stat_activity shows what each session runs, constants and all, to members of pg_read_all_stats', ': ' || r.readers) END AS why,
           CASE j.kind
                WHEN 'detail' THEN 'terse; the message itself may still quote a value, as in "invalid input syntax"'
                WHEN 'error statement' THEN 'panic'
                WHEN 'harmless' THEN 'may be on'
                WHEN 'messages' THEN 'warning or error; above that, violations of constraints are not counted'
                WHEN 'event' THEN 'may be on where log_min_error_statement is panic'
                WHEN 'patterns' THEN 'none where wc_query_stats is enough; else let nobody be a member of pg_read_all_stats who must not see values'
                WHEN 'activity' THEN 'let nobody be a member of pg_read_all_stats who must not see values; off blinds every monitor, wc_active_queries too'
                ELSE j.advised END AS advice
      FROM judged AS j CROSS JOIN logging AS l CROSS JOIN roles AS r
)
SELECT v.name, v.value, v.source, v.risk, v.why, v.advice,
       CASE WHEN v.risk <> 'ok' AND v.kind <> 'activity'
            THEN CASE WHEN v.kind = 'event' THEN 'ALTER SYSTEM SET log_min_error_statement = panic;' ELSE v.change END END
  FROM verdicts AS v
 ORDER BY CASE v.risk WHEN 'critical' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, v.position, v.place, v.source
$privacy$;
COMMENT ON FUNCTION @extschema@.wc_privacy_settings() IS
'Settings of the server that let protected health information into its log or its statistics: what they are here and for roles and databases, how bad that is (ok, warning, critical), what we advise, and the statement for it.';

-- The part of the health check that is about the server and its statements, not about the managed objects.

CREATE FUNCTION @extschema@.wc_server_health()
RETURNS TABLE (place integer, check_name text, status text, detail text, hint text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $server_health$
BEGIN
    -- What is counted in shared memory. Without it the check 'library' says so.
    IF @extschema@.wc_preloaded() THEN
        RETURN QUERY
        WITH known AS MATERIALIZED (
            SELECT i.patterns, i.max_patterns, i.evicted, i.since, i.tracking, i.query_ids FROM @extschema@.wc_query_stats_info AS i
        ), history AS MATERIALIZED (
            SELECT h.monitored, h.sqlstate, h.written_at, h.unusable FROM @extschema@.wc_query_history_status() AS h
        ), slow AS MATERIALIZED (
            SELECT count(*) AS statements, max(s.duration_ms) AS longest, count(*) FILTER (WHERE s.outcome <> 'completed') AS unfinished
              FROM @extschema@.wc_slow_queries AS s WHERE s.started_at > now() - interval '1 hour'
        ), loops AS MATERIALIZED (
            SELECT count(*) AS patterns, max(n.largest_burst) AS largest
              FROM @extschema@.wc_n_plus_one AS n WHERE n.last_seen > now() - interval '1 hour'
        ), violations AS MATERIALIZED (
            SELECT v.table_name, v.constraint_name, v.kind, v.last_hour, v.last_day, v.level FROM @extschema@.wc_constraint_violations AS v
        ), unlogged AS MATERIALIZED (
            -- What keeps an error from the log keeps it from being counted.
            SELECT b.value, b.place, b.command
              FROM (SELECT p.reset_val AS value, '' AS place, 'ALTER SYSTEM SET log_min_messages = warning; SELECT pg_reload_conf();' AS command
                      FROM pg_settings AS p WHERE p.name = 'log_min_messages'
                    UNION ALL
                    SELECT substr(c.entry, strpos(c.entry, '=') + 1),
                           ' for ' || coalesce(nullif(concat_ws(' in ', 'role ' || quote_ident(r.rolname), 'database ' || quote_ident(d.datname)), ''), 'all roles'),
                           CASE WHEN r.rolname IS NULL AND d.datname IS NOT NULL THEN format('ALTER DATABASE %I', d.datname)
                                ELSE concat_ws(' ', 'ALTER ROLE', coalesce(quote_ident(r.rolname), 'ALL'), 'IN DATABASE ' || quote_ident(d.datname)) END || ' RESET log_min_messages;'
                      FROM pg_db_role_setting AS o
                     CROSS JOIN LATERAL unnest(o.setconfig) AS c (entry)
                      LEFT JOIN pg_roles AS r ON r.oid = o.setrole
                      LEFT JOIN pg_database AS d ON d.oid = o.setdatabase
                     WHERE split_part(c.entry, '=', 1) = 'log_min_messages' AND (d.datname IS NULL OR d.datname = current_database())) AS b
             WHERE lower(b.value) IN ('log', 'fatal', 'panic')
        ), swallowing AS MATERIALIZED (
            -- Functions of the site's with an EXCEPTION block that may catch a violation.
            SELECT p.oid, format('%I.%I', n.nspname, p.proname) AS name, row_number() OVER (ORDER BY n.nspname, p.proname, p.oid) AS number
              FROM pg_proc AS p
              JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
              JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
             WHERE p.prosrc ~* '\mexception\s+when\M'
               AND p.prosrc ~* '\mwhen\s[^;]*\m(others|(integrity_constraint|unique|check|foreign_key|not_null|exclusion|restrict)_violation|sqlstate\s*''23)'
               AND NOT EXISTS (SELECT FROM pg_depend AS m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid AND m.deptype = 'e')
        ), findings (place, check_name, status, detail, hint) AS (
            SELECT 22, 'statement statistics', 'warning', 'statements are not identified, because compute_query_id is off',
                   'ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();'
              FROM known AS k WHERE NOT k.query_ids
            UNION ALL
            SELECT 22, 'statement statistics', 'warning', 'statements are not followed, because whitecross.track_queries is off',
                   'ALTER SYSTEM SET whitecross.track_queries = on; SELECT pg_reload_conf();'
              FROM known AS k WHERE NOT k.tracking
            UNION ALL
            SELECT 22, 'statement statistics', 'warning',
                   format('%s patterns gave their place to others since %s: there is room for %s', k.evicted, date_trunc('second', k.since), k.max_patterns),
                   format('ALTER SYSTEM SET whitecross.query_stats_max = %s; -- and restart the server', 2 * k.max_patterns)
              FROM known AS k WHERE k.evicted > 10 * k.max_patterns
            UNION ALL
            SELECT 23, 'query history', 'warning', 'its monitor does not run: it is written when the server is shut down, and lost in a crash',
                   format('ALTER SYSTEM SET max_worker_processes = %s; -- and restart the server', current_setting('max_worker_processes')::integer + 4)
              FROM history AS h WHERE NOT h.monitored
            UNION ALL
            SELECT 23, 'query history', 'warning',
                   format('the query history can''t be written (%s); last written %s', h.sqlstate, coalesce(date_trunc('second', h.written_at)::text, 'never')),
                   'See to the data folder: is there room, and may the server write there? The server''s log has the error.'
              FROM history AS h WHERE h.sqlstate IS NOT NULL
            UNION ALL
            SELECT 23, 'query history', 'warning', format('%s files of the query history can''t be used', h.unusable),
                   'SELECT * FROM @extschema@.wc_query_history;'
              FROM history AS h WHERE h.unusable > 0
            UNION ALL
            SELECT 24, 'slow queries', 'warning',
                   format('%s statements took longer than %s in the last hour, the longest %s ms; %s failed or were cancelled', s.statements,
                          current_setting('whitecross.slow_query_threshold'), round(s.longest::numeric), s.unfinished),
                   'SELECT * FROM @extschema@.wc_slow_queries LIMIT 10; -- and where hypopg is installed SELECT * FROM @extschema@.wc_suggest_indexes();'
              FROM slow AS s WHERE s.statements > 0
            UNION ALL
            SELECT 25, 'N+1 patterns', 'warning',
                   format('%s statements were repeated in loops in the last hour, one of them %s times in a row', l.patterns, l.largest),
                   'SELECT * FROM @extschema@.wc_n_plus_one;'
              FROM loops AS l WHERE l.patterns > 0
            UNION ALL
            SELECT 26, 'constraint violations', v.level,
                   CASE WHEN v.kind = 'all' THEN format('%s violations of constraints in the last hour, %s in the last day', v.last_hour, v.last_day)
                        ELSE format('%s violations of %s in the last hour, %s in the last day', v.last_hour,
                                    coalesce(concat_ws(' of ', v.constraint_name, v.table_name), 'a constraint that the error does not name'), v.last_day) END,
                   'SELECT * FROM @extschema@.wc_constraint_violations;'
              FROM violations AS v
             -- The sum where no constraint by itself says as much.
             WHERE v.level <> 'ok' AND (v.kind <> 'all' OR NOT EXISTS (SELECT FROM violations AS o WHERE o.kind <> 'all' AND o.level = v.level))
            UNION ALL
            SELECT 27, 'violations seen', 'warning', format('log_min_messages is %s%s: violations of constraints are not counted there', u.value, u.place), u.command
              FROM unlogged AS u
            UNION ALL
            SELECT 27, 'violations seen', 'warning',
                   format('%s functions have an EXCEPTION block that may catch violations of constraints, which are then not counted: %s', count(*),
                          string_agg(s.name, ', ' ORDER BY s.number) FILTER (WHERE s.number <= 5) || CASE WHEN count(*) > 5 THEN ', ...' ELSE '' END),
                   format('SELECT p.oid::regprocedure, p.prosrc FROM pg_proc AS p WHERE p.oid IN (%s); -- they see what the server can''t tell', string_agg(s.oid::text, ', ' ORDER BY s.number))
              FROM swallowing AS s HAVING count(*) > 0
        ), checks (place, check_name, good) AS (
            SELECT 22, 'statement statistics', format('%s of at most %s patterns of statements are kept', k.patterns, k.max_patterns) FROM known AS k
            UNION ALL SELECT 23, 'query history', 'written ' || coalesce(date_trunc('second', now() - h.written_at) || ' ago', 'never yet') FROM history AS h
            UNION ALL SELECT 24, 'slow queries', format('no statement took longer than %s in the last hour', current_setting('whitecross.slow_query_threshold'))
            UNION ALL SELECT 25, 'N+1 patterns', 'no statement was repeated in a loop in the last hour'
            UNION ALL SELECT 26, 'constraint violations', format('%s in the last hour, %s in the last day', v.last_hour, v.last_day)
                        FROM violations AS v WHERE v.kind = 'all'
            UNION ALL SELECT 27, 'violations seen', 'every violation that ends a statement is counted'
        )
        SELECT c.place, c.check_name, coalesce(f.status, 'ok'), coalesce(f.detail, c.good), f.hint
          FROM checks AS c LEFT JOIN findings AS f ON f.place = c.place;
    END IF;

    RETURN QUERY
    WITH usage AS MATERIALIZED (
        SELECT u.schema_name, u.table_name, u.index_name, u.ours, u.verdict FROM @extschema@.wc_index_usage AS u
    ), private AS MATERIALIZED (
        SELECT p.setting, p.source, p.risk FROM @extschema@.wc_privacy_settings() AS p
    ), findings (place, check_name, status, detail, hint) AS (
        SELECT 28, 'index usage', 'warning', format('index %I of %I is invalid: it costs every write, and no query uses it', u.index_name, u.table_name),
               format('REINDEX INDEX CONCURRENTLY %I.%I; -- or DROP INDEX, if nobody misses it', u.schema_name, u.index_name)
          FROM usage AS u WHERE u.verdict = 'invalid' AND NOT u.ours -- ours: check 'indexes valid'
        UNION ALL
        SELECT 28, 'index usage', 'warning', format('index %I of %I is a %s', u.index_name, u.table_name, u.verdict),
               CASE WHEN u.ours THEN format('SELECT * FROM @extschema@.wc_disable(%L);', u.index_name)
                    ELSE format('DROP INDEX CONCURRENTLY %I.%I; -- if nothing names it', u.schema_name, u.index_name) END
          FROM usage AS u WHERE u.verdict LIKE 'duplicate of %'
        UNION ALL
        SELECT 29, 'privacy of the log', 'warning',
               format('%s settings let values of rows into the server''s log: %s', count(*), string_agg(DISTINCT p.setting, ', ')),
               'SELECT * FROM @extschema@.wc_privacy_settings() WHERE risk = ''critical'';'
          FROM private AS p WHERE p.risk = 'critical' HAVING count(*) > 0
    ), checks (place, check_name, good) AS (
        SELECT 28, 'index usage', format('%s indexes, none of them invalid or a duplicate', count(*)) FROM usage
        UNION ALL SELECT 29, 'privacy of the log', 'no setting lets values of rows into the server''s log'
    )
    SELECT c.place, c.check_name, coalesce(f.status, 'ok'), coalesce(f.detail, c.good), f.hint
      FROM checks AS c LEFT JOIN findings AS f ON f.place = c.place;
END
$server_health$;
COMMENT ON FUNCTION @extschema@.wc_server_health() IS
'Internal: what wc_health_check() has to say of statements, violations, indexes and the privacy of the log; a role sees of statements what it may see.';

-- The health check has the new findings too.

CREATE OR REPLACE FUNCTION @extschema@.wc_health_check()
RETURNS TABLE (check_name text, status text, detail text, hint text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 20
SET search_path = pg_catalog, pg_temp
SET jit = off -- a second of compiling for milliseconds of work
AS $health$
WITH site AS MATERIALIZED (
    SELECT c.value AS base_schema, n.oid AS base_oid, e.extowner AS owner,
           EXISTS (SELECT FROM pg_class AS t
                    WHERE t.relnamespace = n.oid AND t.relname = 'students' AND t.relkind IN ('r', 'p')) AS has_tables
      FROM @extschema@.wc_configuration AS c
      JOIN pg_extension AS e ON e.extname = 'whitecross'
      LEFT JOIN pg_namespace AS n ON n.nspname = c.value
     WHERE c.name = 'base_schema'
), objects AS MATERIALIZED (
    SELECT o.kind, o.name, o.table_name, o.status, o.validated, o.reason,
           o.status IN ('installed', 'adopted', 'outdated') AS there
      FROM @extschema@.wc_objects() AS o
), views AS MATERIALIZED (
    SELECT o.name, o.status, o.reason, c.oid, c.relispopulated, c.relowner, c.relacl,
           format('%I.%I', site.base_schema, o.name) AS qualified,
           s.row_count, s.last_refresh, s.refreshed_by, t.last_refresh AS recorded_refresh, p.has_rows,
           sch.schedule,
           CASE sch.schedule WHEN 'hourly' THEN interval '1 hour' WHEN 'six_hourly' THEN interval '6 hours'
                             WHEN 'daily' THEN interval '24 hours' END AS every
      FROM objects AS o
     CROSS JOIN site
      JOIN @extschema@.wc_view_stats() AS s ON s.view_name = o.name
      LEFT JOIN pg_class AS c ON c.relnamespace = site.base_oid AND c.relname = o.name AND c.relkind = 'm'
      LEFT JOIN @extschema@.wc_view_state AS t ON t.view_name = o.name
      LEFT JOIN @extschema@.wc_view_schedule AS sch ON sch.view_name = o.name
      LEFT JOIN @extschema@.wc_data_presence() AS p ON p.relation_name = o.name
     WHERE o.kind = 'materialized view'
), base_tables AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relowner
      FROM pg_class AS c
      JOIN site ON c.relnamespace = site.base_oid
     WHERE c.relkind IN ('r', 'p')
       AND c.relname IN (SELECT d.table_name FROM @extschema@.wc_base_table AS d)
), indexes AS MATERIALIZED (
    SELECT o.name, o.kind, c.oid, i.indisvalid AND i.indisready AND i.indislive AS valid, i.indisunique,
           format('%I.%I', site.base_schema, o.name) AS qualified
      FROM objects AS o
     CROSS JOIN site
      JOIN pg_class AS c ON c.relnamespace = site.base_oid AND c.relname = o.name
      JOIN pg_index AS i ON i.indexrelid = c.oid
     WHERE o.kind IN ('covering index', 'partial index', 'composite index', 'view index', 'refresh index')
), readers AS MATERIALIZED (
    -- Who but its owner was granted a view, whole or in columns.
    SELECT g.name, string_agg(DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC'), ', ') AS roles
      FROM (SELECT v.name, v.relowner, a.grantee FROM views AS v
             CROSS JOIN LATERAL aclexplode(v.relacl) AS a WHERE a.privilege_type = 'SELECT'
            UNION
            SELECT v.name, v.relowner, a.grantee FROM views AS v
              JOIN pg_attribute AS t ON t.attrelid = v.oid AND t.attacl IS NOT NULL
             CROSS JOIN LATERAL aclexplode(t.attacl) AS a WHERE a.privilege_type = 'SELECT') AS g
      LEFT JOIN pg_roles AS r ON r.oid = g.grantee
     WHERE g.grantee <> g.relowner
     GROUP BY g.name
), scheduler AS MATERIALIZED (
    SELECT s.loaded, s.database, s.here, s.usable FROM @extschema@.wc_scheduler() AS s
), expected AS MATERIALIZED (
    SELECT s.schedule, max(v.every) AS every, string_agg(v.name, ', ' ORDER BY v.name) AS view_names,
           format('CALL @extschema@.wc_run_schedule(%L)', s.schedule) AS command
      FROM @extschema@.wc_view_schedule AS s
      JOIN views AS v ON v.name = s.view_name
     WHERE s.schedule <> 'off' AND v.status <> 'disabled'
     GROUP BY s.schedule
), jobs AS MATERIALIZED (
    SELECT j.job_name, j.schedule AS cron, j.command, j.run_as, j.active, j.last_status, j.last_start,
           substring(j.command FROM 'wc_run_schedule\(''([a-z_]+)''\)') AS schedule
      FROM @extschema@.wc_scheduled_jobs() AS j
), last_attempts AS MATERIALIZED (
    SELECT v.name, l.status, l.origin, l.sqlstate, l.message, l.started_at, f.first_scheduled
      FROM views AS v
      LEFT JOIN LATERAL (SELECT g.status, g.origin, g.sqlstate, g.message, g.started_at
                           FROM @extschema@.wc_refresh_log AS g WHERE g.view_name = v.name AND g.status <> 'skipped'
                          ORDER BY g.started_at DESC, g.id DESC LIMIT 1) AS l ON true
      LEFT JOIN LATERAL (SELECT max(g.started_at) AS first_scheduled
                           FROM @extschema@.wc_refresh_log AS g
                          WHERE g.view_name = v.name AND g.origin = 'schedule') AS f ON true
), changes AS MATERIALIZED (
    -- What each view has yet to take up; as long as nothing refreshes it, that is kept for it.
    SELECT v.name, p.pending_changes, now() - p.oldest_pending AS lag, t.last_reason, t.plan ->> 'problem' AS problem,
           coalesce(2 * v.every, interval '1 day') AS patience,
           coalesce(nullif(current_setting('whitecross.change_log_limit', true), ''), '1000000')::bigint AS most
      FROM views AS v
      JOIN @extschema@.wc_view_state AS t ON t.view_name = v.name
      LEFT JOIN @extschema@.wc_pending_changes() AS p ON p.view_name = v.name
     WHERE v.oid IS NOT NULL AND v.relispopulated
), findings (check_name, status, detail, hint) AS (
    SELECT 'base tables', 'warning', format('there is no table students in schema %I', site.base_schema),
           'SELECT * FROM @extschema@.wc_configure(''base_schema'', ''...''); or SELECT * FROM @extschema@.wc_create_base_tables(); and then SELECT * FROM @extschema@.wc_install();'
      FROM site WHERE NOT site.has_tables
    UNION ALL
    SELECT 'views exist', CASE WHEN site.has_tables THEN 'critical' ELSE 'warning' END,
           concat_ws(': ', format('%s is not there (%s)', v.name, v.status), v.reason),
           'SELECT * FROM @extschema@.wc_install(''materialized view'');'
      FROM views AS v CROSS JOIN site WHERE v.oid IS NULL AND v.status IN ('pending', 'conflict')
    UNION ALL
    SELECT 'views populated', 'critical', format('%s has never been filled: every query on it fails', v.name),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v WHERE NOT v.relispopulated
    UNION ALL
    -- Each student has a row in the first, each active one in the next two. The others may well be empty in the holidays,
    -- so there it counts only where they had rows before.
    SELECT 'views have data',
           CASE WHEN v.name = 'mv_student_health_summary' THEN 'critical' ELSE 'warning' END,
           format('%s is empty although table %s has rows%s', v.name, b.table_name, b.unless),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v
      JOIN (VALUES ('mv_student_health_summary', 'students', ''),
                   ('mv_compliance_status', 'students', ': right only where no student is active'),
                   ('mv_allergy_summary', 'students', ': right only where no student is active'),
                   ('mv_medication_schedule', 'student_medications', ', and it had rows before: right only where no medication is current'),
                   ('mv_appointment_statistics', 'appointments', ', and it had rows before: right only where none is of the last 90 days or to come'))
           AS b (view_name, table_name, unless) ON b.view_name = v.name
      JOIN @extschema@.wc_data_presence() AS p ON p.relation_name = b.table_name AND p.has_rows
     WHERE v.relispopulated AND NOT v.has_rows
       AND (b.table_name = 'students'
            OR EXISTS (SELECT FROM @extschema@.wc_refresh_log AS g WHERE g.view_name = v.name AND g.row_count > 0))
    UNION ALL
    SELECT 'views fresh',
           CASE WHEN now() - v.recorded_refresh > 12 * v.every AND v.last_refresh IS NOT NULL THEN 'critical' ELSE 'warning' END,
           CASE WHEN v.last_refresh IS NOT NULL
                THEN format('%s was refreshed %s ago; its schedule is %s', v.name,
                            date_trunc('second', now() - v.last_refresh), v.schedule)
                ELSE format('%s was filled by other means than wc_refresh(), at an unknown time; its schedule is %s', v.name, v.schedule) END,
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v
     WHERE v.relispopulated AND v.every IS NOT NULL AND v.status <> 'disabled'
       AND coalesce(now() - v.recorded_refresh > 2 * v.every, true)
    UNION ALL
    SELECT 'last refresh', 'warning',
           format('the last attempt to refresh %s (%s, %s ago) failed: %s %s', l.name, l.origin,
                  date_trunc('second', now() - l.started_at), l.sqlstate, l.message),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', l.name)
      FROM last_attempts AS l WHERE l.status = 'failed'
    UNION ALL
    SELECT 'indexes valid', CASE WHEN i.kind = 'view index' AND i.indisunique THEN 'critical' ELSE 'warning' END,
           format('index %s is not valid: no query uses it', i.name),
           format('REINDEX INDEX CONCURRENTLY %s;', i.qualified)
      FROM indexes AS i WHERE NOT i.valid
    UNION ALL
    SELECT 'indexes exist', 'warning', concat_ws(': ', format('%s %s on %s is %s', o.kind, o.name, o.table_name, o.status), o.reason),
           format('SELECT * FROM @extschema@.wc_install(%L);', o.kind)
      FROM objects AS o CROSS JOIN site
     WHERE o.kind LIKE '% index' AND o.status = 'pending' AND site.has_tables
    UNION ALL
    SELECT 'constraints', 'warning',
           CASE WHEN o.there THEN format('constraint %s on %s is not validated: old rows may violate it', o.name, o.table_name)
                ELSE concat_ws(': ', format('constraint %s on %s is %s', o.name, o.table_name, o.status), o.reason) END,
           format('SELECT * FROM @extschema@.wc_breaches(%L); -- mend those rows, then SELECT * FROM @extschema@.wc_validate();', o.name)
      FROM objects AS o CROSS JOIN site
     WHERE o.kind = 'check constraint' AND site.has_tables
       AND ((o.there AND NOT o.validated) OR o.status = 'pending')
    UNION ALL
    SELECT 'conflicts', 'warning',
           concat_ws(': ', format('%s %s on %s has another definition than ours', o.kind, o.name, o.table_name), o.reason),
           format('SELECT * FROM @extschema@.wc_disable(%L); -- to live with it; or rename or drop that object, and SELECT * FROM @extschema@.wc_install(%L);', o.name, o.kind)
      FROM objects AS o WHERE o.status = 'conflict'
    UNION ALL
    SELECT 'definitions', 'warning',
           concat_ws(': ', format('%s %s has an older definition than today''s', o.kind, o.name), o.reason),
           format('SELECT * FROM @extschema@.wc_install(%L);', o.kind)
      FROM objects AS o WHERE o.status = 'outdated'
    UNION ALL
    SELECT 'links', 'warning', format('DROP EXTENSION would leave %s %s behind: it has lost its link', l.kind, l.name),
           'SELECT * FROM @extschema@.wc_install();'
      FROM @extschema@.wc_object_links() AS l WHERE NOT l.linked
    UNION ALL
    SELECT 'row security', 'warning',
           format('%s can read %s, which shows all rows whatever the policies of %s say', r.roles, r.name, t.names),
           format('REVOKE SELECT ON %s FROM %s; -- and give them a view on it that has the policy''s condition', v.qualified, r.roles)
      FROM readers AS r
      JOIN views AS v ON v.name = r.name
     CROSS JOIN (SELECT string_agg(b.relname, ', ' ORDER BY b.relname) AS names FROM base_tables AS b WHERE b.relrowsecurity) AS t
     WHERE t.names IS NOT NULL
    UNION ALL
    SELECT 'view owners', 'critical',
           format('%s, the owner of %s, %s: the view can''t be refreshed, or lacks rows', quote_ident(o.rolname), v.name,
                  concat_ws(', and ', 'may not read ' || t.unreadable, 'is subject to row security on ' || t.hidden)),
           concat_ws(' ', CASE WHEN t.qualified IS NOT NULL THEN format('GRANT SELECT ON %s TO %I;', t.qualified, o.rolname) END,
                     CASE WHEN t.hidden IS NOT NULL THEN format('ALTER ROLE %I BYPASSRLS;', o.rolname) END)
      FROM views AS v
      JOIN pg_roles AS o ON o.oid = v.relowner
     CROSS JOIN site
     CROSS JOIN LATERAL (
         SELECT string_agg(b.relname, ', ' ORDER BY b.relname) FILTER (WHERE NOT a.readable) AS unreadable,
                string_agg(b.relname, ', ' ORDER BY b.relname) FILTER (WHERE a.hidden) AS hidden,
                string_agg(format('%I.%I', site.base_schema, b.relname), ', ' ORDER BY b.relname) FILTER (WHERE NOT a.readable) AS qualified
           FROM base_tables AS b
          CROSS JOIN LATERAL (SELECT has_table_privilege(o.oid, b.oid, 'SELECT') AS readable,
                                     b.relrowsecurity AND NOT o.rolsuper AND NOT o.rolbypassrls
                                     AND (b.relforcerowsecurity OR NOT pg_has_role(o.oid, b.relowner, 'USAGE')) AS hidden) AS a
          WHERE NOT a.readable OR a.hidden) AS t
     WHERE t.unreadable IS NOT NULL OR t.hidden IS NOT NULL
    UNION ALL
    SELECT 'extension owner', 'critical',
           format('the extension''s owner, %s, is not a superuser: refreshing fails', quote_ident(r.rolname)),
           format('ALTER ROLE %I SUPERUSER;', r.rolname)
      FROM site JOIN pg_roles AS r ON r.oid = site.owner WHERE NOT r.rolsuper
    UNION ALL
    SELECT 'schedule', 'warning',
           CASE WHEN NOT s.loaded THEN 'pg_cron is not loaded: nothing refreshes the views by schedule'
                WHEN s.here THEN 'extension pg_cron is not installed: nothing refreshes the views by schedule'
                ELSE format('database %I of pg_cron does not exist', s.database) END,
           CASE WHEN NOT s.loaded
                THEN 'In postgresql.conf: shared_preload_libraries = ''pg_cron,whitecross'' and cron.database_name = ''...''; restart; there CREATE EXTENSION pg_cron; then here SELECT * FROM @extschema@.wc_schedule();'
                WHEN s.here THEN 'CREATE EXTENSION pg_cron; SELECT * FROM @extschema@.wc_schedule();'
                ELSE 'Set cron.database_name in postgresql.conf to a database that exists, and restart.' END
      FROM scheduler AS s WHERE NOT s.usable AND EXISTS (SELECT FROM expected)
    UNION ALL
    SELECT 'schedule', 'warning',
           CASE WHEN j.job_name IS NULL THEN format('no job of pg_cron refreshes %s (%s)', e.view_names, e.schedule)
                WHEN NOT j.active THEN format('job "%s" is switched off', j.job_name)
                WHEN j.command <> e.command THEN format('job "%s" runs %s, not %s', j.job_name, j.command, e.command)
                ELSE format('role %I of job "%s" can''t log in', j.run_as, j.job_name) END,
           'SELECT * FROM @extschema@.wc_schedule();'
      FROM expected AS e
      JOIN scheduler AS s ON s.here AND s.usable
      LEFT JOIN jobs AS j ON j.schedule = e.schedule
      LEFT JOIN pg_roles AS r ON r.rolname = j.run_as
     WHERE j.job_name IS NULL OR NOT j.active OR j.command <> e.command OR NOT coalesce(r.rolcanlogin, false)
    UNION ALL
    -- From another database than pg_cron's its jobs can't be seen, only what they did.
    SELECT 'schedule', 'warning',
           format('no scheduled refresh of %s (%s) has been seen for %s; its job is in database %I', l.name, v.schedule,
                  coalesce(date_trunc('second', now() - l.first_scheduled)::text, 'as long as the log goes back'), s.database),
           format('SELECT * FROM @extschema@.wc_schedule(); and in database %I: SELECT * FROM cron.job; SELECT * FROM cron.job_run_details ORDER BY runid DESC LIMIT 20;', s.database)
      FROM last_attempts AS l
      JOIN views AS v ON v.name = l.name
      JOIN scheduler AS s ON s.usable AND NOT s.here
     WHERE v.every IS NOT NULL AND v.oid IS NOT NULL AND v.status <> 'disabled'
       AND coalesce(now() - l.first_scheduled > 2 * v.every, true)
    UNION ALL
    SELECT 'last scheduled run', 'warning',
           format('the last run of job "%s", %s ago, failed', j.job_name, date_trunc('second', now() - j.last_start)),
           'SELECT * FROM cron.job_run_details ORDER BY runid DESC LIMIT 20; SELECT * FROM @extschema@.wc_refresh_log ORDER BY started_at DESC LIMIT 20;'
      FROM jobs AS j WHERE j.last_status = 'failed'
    UNION ALL
    SELECT 'change log', 'warning',
           format('%s changes are pending for %s, the oldest for %s', c.pending_changes, c.name, date_trunc('second', c.lag)),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', c.name)
      FROM changes AS c WHERE c.pending_changes > c.most / 2 OR c.lag > c.patience
    UNION ALL
    SELECT 'incremental refresh', 'warning', format('%s is refreshed as a whole each time: %s', c.name, coalesce(nullif(c.problem, ''), c.last_reason)),
           'SELECT * FROM @extschema@.wc_install();'
      FROM changes AS c
     WHERE nullif(c.problem, '') IS NOT NULL OR c.last_reason LIKE 'there is no capture trigger on table %'
        OR c.last_reason LIKE 'a capture trigger is switched off on table %'
    UNION ALL
    SELECT 'library', 'warning', 'whitecross is not loaded at server start: what needs shared memory is not available',
           'In postgresql.conf add whitecross to shared_preload_libraries, and restart.'
     WHERE NOT @extschema@.wc_preloaded()
    UNION ALL
    -- A worker is behind for as long as a round takes, and away for moments: 10 seconds are neither.
    SELECT 'live mode', 'warning',
           CASE WHEN l.state = 'not preloaded' THEN 'live mode is switched on, but the server has not loaded the library at its start'
                WHEN l.state <> 'running' THEN concat_ws(': ', format('live mode is switched on, but its worker does not run: %s', l.state), l.sqlstate)
                WHEN l.behind_since IS NOT NULL
                THEN concat_ws('; ', format('the views are behind by what was committed since %s', date_trunc('second', l.behind_since)),
                               format('the last failure was %s', l.sqlstate))
                ELSE format('no view was refreshed at %s, when it changed by time alone', date_trunc('second', l.next_moment)) END,
           CASE l.state WHEN 'not preloaded' THEN 'In postgresql.conf add whitecross to shared_preload_libraries, and restart.'
                        WHEN 'no worker slot' THEN 'Raise max_worker_processes in postgresql.conf, and restart.'
                        ELSE 'SELECT * FROM @extschema@.wc_live_status(); SELECT * FROM @extschema@.wc_refresh_log WHERE origin = ''live'' ORDER BY started_at DESC LIMIT 20;' END
      FROM @extschema@.wc_live_status() AS l
     WHERE l.switched_on AND l.state <> 'standby'
       AND (l.state = 'not preloaded'
            OR l.state <> 'running' AND coalesce(l.since < clock_timestamp() - interval '10 seconds', true)
            OR l.state = 'running' AND least(l.behind_since, l.next_moment) < clock_timestamp() - interval '10 seconds')
), checks (position, check_name, good) AS (
    SELECT 1, 'base tables', format('base tables are in schema %I', site.base_schema) FROM site
    UNION ALL SELECT 2, 'views exist', format('%s of %s views are there', count(v.oid), count(*)) FROM views AS v
    UNION ALL SELECT 3, 'views populated', format('%s views are filled', count(*) FILTER (WHERE v.relispopulated)) FROM views AS v
    UNION ALL SELECT 4, 'views have data', 'no view is empty that should have rows'
    UNION ALL SELECT 5, 'views fresh', concat_ws(', ', 'every view is as fresh as its schedule wants it',
                     'the oldest refreshed ' || date_trunc('second', max(now() - v.last_refresh)) || ' ago') FROM views AS v
    UNION ALL SELECT 6, 'last refresh', 'no view''s last refresh failed'
    UNION ALL SELECT 7, 'indexes exist', format('%s indexes are there', count(*)) FROM indexes
    UNION ALL SELECT 8, 'indexes valid', format('%s indexes are valid', count(*)) FROM indexes
    UNION ALL SELECT 9, 'constraints', format('%s constraints are there and validated', count(*) FILTER (WHERE o.there))
                FROM objects AS o WHERE o.kind = 'check constraint'
    UNION ALL SELECT 10, 'conflicts', 'nothing else has a managed object''s name'
    UNION ALL SELECT 11, 'definitions', 'every object has today''s definition'
    UNION ALL SELECT 12, 'links', 'DROP EXTENSION would leave nothing of ours behind'
    UNION ALL SELECT 13, 'row security', 'no view shows a role what a base table''s policies hide'
    UNION ALL SELECT 14, 'view owners', 'each view''s owner can read every row of the base tables'
    UNION ALL SELECT 15, 'extension owner', 'the extension''s owner is a superuser'
    UNION ALL SELECT 16, 'schedule',
                     CASE WHEN NOT EXISTS (SELECT FROM expected) THEN 'every schedule is off'
                          WHEN s.here THEN 'each schedule has its job'
                          WHEN s.usable THEN format('scheduled refreshes come in; their jobs are in database %I', s.database) END FROM scheduler AS s
    UNION ALL SELECT 17, 'last scheduled run', 'no job''s last run failed'
    UNION ALL SELECT 18, 'change log', format('no view lags far behind; %s changes are pending for the furthest', coalesce(max(c.pending_changes), 0))
                FROM changes AS c
    UNION ALL SELECT 19, 'incremental refresh', 'each view''s changes are captured'
    UNION ALL SELECT 20, 'library', 'whitecross is loaded at server start'
    UNION ALL SELECT 21, 'live mode',
                     CASE WHEN NOT l.switched_on THEN 'live mode is off' WHEN l.state = 'standby' THEN 'live mode waits for promotion'
                          ELSE 'live mode keeps the views true' END FROM @extschema@.wc_live_status() AS l
)
SELECT r.check_name, r.status, r.detail, r.hint
  FROM (SELECT c.position AS place, c.check_name, coalesce(f.status, 'ok') AS status, coalesce(f.detail, c.good) AS detail, f.hint
          FROM checks AS c
          LEFT JOIN findings AS f ON f.check_name = c.check_name
         UNION ALL
        SELECT s.place, s.check_name, s.status, s.detail, s.hint FROM @extschema@.wc_server_health() AS s) AS r
 ORDER BY CASE r.status WHEN 'critical' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, r.place, r.detail
$health$;

-- A publication FOR ALL TABLES has the extension's own tables in it. What it brings from another server is dropped: each server
-- has its own settings, views and changes. Fired in replication workers and sessions in their role, so that it costs nothing else.
DO $ignore$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT c.oid::pg_catalog.regclass AS name
          FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension AS e
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.oid = d.refobjid AND e.extname = 'whitecross'
         WHERE c.relkind = 'r'
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgname = 'whitecross_ignore_replicated')
         ORDER BY c.relname
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER whitecross_ignore_replicated BEFORE INSERT OR UPDATE OR DELETE ON %s'
                                  ' FOR EACH ROW EXECUTE FUNCTION @extschema@.wc_ignore_replicated()', own.name);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE REPLICA TRIGGER whitecross_ignore_replicated', own.name);
    END LOOP;
END
$ignore$;

-- What is new belongs to the extension's owner, whichever superuser runs the update. The GRANT changes nothing but what the
-- server remembers as the privileges that this script gave, which a dump leaves out.
DO $owner$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT 'TABLE' AS kind, c.oid::pg_catalog.regclass::text AS name, e.extowner::pg_catalog.regrole AS owner,
               EXISTS (SELECT FROM pg_catalog.pg_init_privs AS i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0) AS granted
          FROM pg_catalog.pg_extension AS e
          JOIN pg_catalog.pg_depend AS d
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_class AS c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
         WHERE e.extname = 'whitecross' AND c.relowner <> e.extowner AND c.relkind IN ('r', 'v')
         UNION ALL
        SELECT 'ROUTINE', p.oid::pg_catalog.regprocedure::text, e.extowner::pg_catalog.regrole,
               EXISTS (SELECT FROM pg_catalog.pg_init_privs AS i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0)
          FROM pg_catalog.pg_extension AS e
          JOIN pg_catalog.pg_depend AS d
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_proc AS p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
         WHERE e.extname = 'whitecross' AND p.proowner <> e.extowner
    LOOP
        EXECUTE pg_catalog.format('ALTER %s %s OWNER TO %s', own.kind, own.name, own.owner);
        IF own.granted THEN
            EXECUTE pg_catalog.format('GRANT ALL ON %s %s TO %s', own.kind, own.name, own.owner);
        END IF;
    END LOOP;
END
$owner$;

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

CREATE FUNCTION @extschema@.wc_query_history_outcome()
RETURNS TABLE (monitored boolean, written_at timestamptz, sqlstate text, unusable bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_history_outcome';
COMMENT ON FUNCTION @extschema@.wc_query_history_outcome() IS
'Internal: what the monitor has noted of the files of the query history, for wc_health_check(); reads none of them.';

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

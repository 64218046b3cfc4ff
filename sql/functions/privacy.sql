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

-- The health check: one row for each thing that is wrong, and one row 'ok' for each check that finds nothing.
--
-- Any role may call it, on a standby and in a read-only transaction too. What a role may not see by itself comes from
-- functions that tell no more than is needed; no row's value is read.

CREATE FUNCTION @extschema@.wc_preloaded()
RETURNS boolean
LANGUAGE c STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_preloaded';
COMMENT ON FUNCTION @extschema@.wc_preloaded() IS
'Whether the server loads the library at its start (shared_preload_libraries).';

CREATE FUNCTION @extschema@.wc_data_presence()
RETURNS TABLE (relation_name text, has_rows boolean)
LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 8
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_data_presence';
COMMENT ON FUNCTION @extschema@.wc_data_presence() IS
'Internal: whether the views, and the tables that they can''t be empty without, have any row.';

CREATE FUNCTION @extschema@.wc_health_check()
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
COMMENT ON FUNCTION @extschema@.wc_health_check() IS
'What is wrong, worst first: status ok, warning or critical, what it is about, and what to run. One row for each finding, one for each check without any.';

CREATE FUNCTION @extschema@.wc_healthy()
RETURNS boolean
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $healthy$
SELECT NOT EXISTS (SELECT FROM @extschema@.wc_health_check() AS h WHERE h.status = 'critical')
$healthy$;
COMMENT ON FUNCTION @extschema@.wc_healthy() IS
'True when nothing that wc_health_check() finds is critical.';

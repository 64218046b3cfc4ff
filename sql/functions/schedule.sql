-- When each view is refreshed, and the jobs of pg_cron that see to it.

-- Shipped.
CREATE TABLE @extschema@.wc_default_schedule (
    view_name text PRIMARY KEY,
    schedule  text NOT NULL CHECK (schedule IN ('hourly', 'six_hourly', 'daily', 'off')),
    at_time   time,
    CHECK ((at_time IS NOT NULL) = (schedule = 'daily'))
);
COMMENT ON TABLE @extschema@.wc_default_schedule IS 'Default schedule of each materialized view.';

INSERT INTO @extschema@.wc_default_schedule (view_name, schedule, at_time) VALUES
('mv_student_health_summary', 'hourly', NULL),
('mv_medication_schedule', 'hourly', NULL),
('mv_allergy_summary', 'hourly', NULL),
('mv_compliance_status', 'six_hourly', NULL),
('mv_appointment_statistics', 'daily', '02:00');

-- The site's: dumped, so this script puts no row into it.
CREATE TABLE @extschema@.wc_site_schedule (
    view_name text PRIMARY KEY,
    schedule  text NOT NULL CHECK (schedule IN ('hourly', 'six_hourly', 'daily', 'off')),
    at_time   time,
    CHECK ((at_time IS NOT NULL) = (schedule = 'daily'))
);
COMMENT ON TABLE @extschema@.wc_site_schedule IS 'Schedules that this site has changed (wc_set_schedule).';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.wc_site_schedule', '');

CREATE VIEW @extschema@.wc_view_schedule AS
SELECT d.view_name,
       coalesce(s.schedule, d.schedule) AS schedule,
       CASE WHEN s.view_name IS NULL THEN d.at_time ELSE s.at_time END AS at_time
  FROM (SELECT e.view_name, e.schedule, e.at_time FROM @extschema@.wc_default_schedule AS e
        UNION ALL
        SELECT v.name, 'hourly', NULL FROM @extschema@.wc_site_view AS v) AS d
  LEFT JOIN @extschema@.wc_site_schedule AS s ON s.view_name = d.view_name;
COMMENT ON VIEW @extschema@.wc_view_schedule IS 'Schedule of each materialized view: the site''s, or the default; at_time is of the site''s time zone.';

GRANT SELECT ON @extschema@.wc_default_schedule, @extschema@.wc_site_schedule, @extschema@.wc_view_schedule TO PUBLIC;

CREATE FUNCTION @extschema@.wc_schedule(run_as text DEFAULT NULL)
RETURNS TABLE (job_name text, schedule text, command text, status text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_schedule';
COMMENT ON FUNCTION @extschema@.wc_schedule(text) IS
'Makes the jobs of pg_cron that refresh the views by their schedules, or brings them up to date. run_as: role of the jobs (default: as before, or the extension''s owner).';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_schedule(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_unschedule()
RETURNS TABLE (job_name text, schedule text, command text, status text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_unschedule';
COMMENT ON FUNCTION @extschema@.wc_unschedule() IS
'Removes this database''s jobs from pg_cron. Schedules are kept: wc_schedule() makes the jobs again.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_unschedule() FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_set_schedule(view_name text, schedule text, at_time time DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_set_schedule';
COMMENT ON FUNCTION @extschema@.wc_set_schedule(text, text, time) IS
'Sets how often a view is refreshed: hourly, six_hourly, daily (at_time in the site''s time zone, default 02:00) or off. Jobs that are there follow.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_set_schedule(text, text, time) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_refresh_due(schedule text)
RETURNS SETOF @extschema@.wc_refresh_result
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_refresh_due';
COMMENT ON FUNCTION @extschema@.wc_refresh_due(text) IS
'Internal: what a job runs. Refreshes the views of a schedule (hourly, six_hourly, daily) that are due, with origin schedule.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_refresh_due(text) FROM PUBLIC;

-- A procedure, because a failed view must make the job fail, where pg_cron shows it, without taking back what was
-- refreshed. Transaction control excludes SECURITY DEFINER and SET, so every name in it is qualified.
CREATE PROCEDURE @extschema@.wc_run_schedule(schedule text)
LANGUAGE plpgsql
AS $run_schedule$
DECLARE
    failed pg_catalog.text;
BEGIN
    SELECT pg_catalog.string_agg(pg_catalog.concat(d.view_name, ' (', d.message, ')'), ', ' ORDER BY d.view_name)
      INTO failed
      FROM @extschema@.wc_refresh_due(schedule) AS d
     WHERE d.status OPERATOR(pg_catalog.=) 'failed';
    IF failed IS NOT NULL THEN
        COMMIT;
        RAISE EXCEPTION 'could not refresh %', failed
            USING HINT = 'SELECT * FROM @extschema@.wc_refresh_log tells more.';
    END IF;
END
$run_schedule$;
COMMENT ON PROCEDURE @extschema@.wc_run_schedule(text) IS
'Internal: the command of a job of pg_cron. Refreshes what is due, and fails, after that is committed, where a view failed.';
REVOKE EXECUTE ON PROCEDURE @extschema@.wc_run_schedule(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_scheduler(OUT loaded boolean, OUT database text, OUT here boolean, OUT usable boolean)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_scheduler';
COMMENT ON FUNCTION @extschema@.wc_scheduler() IS
'Where pg_cron is: whether its library is loaded, which database keeps its jobs, whether that is this one, whether jobs can be made.';

-- A role without rights in pg_cron may see the jobs of this database that are ours, and how their last run went. The
-- server's message about a run is left out: it could carry a value.
CREATE FUNCTION @extschema@.wc_scheduled_jobs()
RETURNS TABLE (job_name text, schedule text, command text, run_as text, active boolean,
               last_status text, last_start timestamptz, last_end timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 3
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $scheduled_jobs$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'pg_cron') THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE $query$
        SELECT j.jobname::text, j.schedule, j.command, j.username, j.active, r.status, r.start_time, r.end_time
          FROM cron.job AS j
          LEFT JOIN LATERAL (
              SELECT d.status, d.start_time, d.end_time FROM cron.job_run_details AS d
               WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1) AS r ON true
         WHERE j.database = current_database() AND j.jobname ~ '^whitecross .* (hourly|six_hourly|daily)$'
           AND j.command ~ 'wc_run_schedule\(''(hourly|six_hourly|daily)''\)'
         ORDER BY j.jobname, j.username
    $query$;
END
$scheduled_jobs$;
COMMENT ON FUNCTION @extschema@.wc_scheduled_jobs() IS
'Jobs of pg_cron that refresh this database''s views, and how their last run went. Seen from the database of pg_cron only.';

CREATE FUNCTION @extschema@.wc_watch_drop() RETURNS event_trigger
LANGUAGE c
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_watch_drop';
COMMENT ON FUNCTION @extschema@.wc_watch_drop() IS
'Internal: when the extension is dropped, its jobs are removed from pg_cron.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_watch_drop() FROM PUBLIC;

-- On the command's start, because sql_drop does not fire for a trigger that is itself dropped; whether the extension is
-- gone is seen when the transaction commits.
CREATE EVENT TRIGGER whitecross_watch_drop ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION @extschema@.wc_watch_drop();
ALTER EVENT TRIGGER whitecross_watch_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER whitecross_watch_drop IS 'Removes the jobs of pg_cron when the extension whitecross is dropped.';

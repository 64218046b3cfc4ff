-- When each view is refreshed. pg_cron is in another database here; its jobs themselves: test/t/065_cron.pl and following.
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE ROLE regress_wc_scheduler LOGIN;
CREATE DATABASE regression_wc_schedule TEMPLATE template0;
\c regression_wc_schedule
SET client_min_messages = warning;
SET timezone = 'America/New_York';
\set ECHO none
\i examples/reference/schema.sql
\set ECHO all
CREATE EXTENSION whitecross;

-- The defaults: shipped, not the site's.
SELECT * FROM wc_view_schedule ORDER BY view_name;
SELECT count(*) FROM wc_site_schedule;

-- A view's schedule, with and without mv_.
SELECT wc_set_schedule('allergy_summary', 'six_hourly');
SELECT wc_set_schedule('mv_compliance_status', 'daily');
SELECT wc_set_schedule('mv_appointment_statistics', 'daily', '23:15:30');
SELECT wc_set_schedule('medication_schedule', 'off');
SELECT * FROM wc_view_schedule ORDER BY view_name;
SELECT * FROM wc_site_schedule ORDER BY view_name;
SELECT wc_set_schedule('mv_appointment_statistics', 'hourly');
SELECT * FROM wc_view_schedule WHERE view_name = 'mv_appointment_statistics';

-- What can't be.
SELECT wc_set_schedule('allergies', 'hourly'); \echo :LAST_ERROR_SQLSTATE
SELECT wc_set_schedule('allergy_summary', 'weekly'); \echo :LAST_ERROR_SQLSTATE
SELECT wc_set_schedule('allergy_summary', 'hourly', '02:00'); \echo :LAST_ERROR_SQLSTATE
SELECT wc_set_schedule(NULL, 'hourly'); \echo :LAST_ERROR_SQLSTATE
SELECT wc_set_schedule('allergy_summary', NULL); \echo :LAST_ERROR_SQLSTATE
SELECT * FROM wc_refresh_due('off'); \echo :LAST_ERROR_SQLSTATE
CALL wc_run_schedule('off'); \echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT wc_set_schedule('allergy_summary', 'hourly'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SET ROLE regress_wc_scheduler;
SELECT wc_set_schedule('allergy_summary', 'hourly'); \echo :LAST_ERROR_SQLSTATE
SELECT * FROM wc_schedule(); \echo :LAST_ERROR_SQLSTATE
SELECT * FROM wc_unschedule(); \echo :LAST_ERROR_SQLSTATE
SELECT * FROM wc_refresh_due('hourly'); \echo :LAST_ERROR_SQLSTATE
CALL wc_run_schedule('hourly'); \echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM wc_view_schedule;
SELECT * FROM wc_scheduled_jobs();
RESET ROLE;
SELECT loaded, here, usable FROM wc_scheduler();

-- Jobs for the groups that have a view, and only those. Nothing stays of this: it rolls back.
BEGIN;
SELECT * FROM wc_schedule() ORDER BY job_name;
SELECT wc_set_schedule('compliance_status', 'hourly');
SELECT job_name, schedule FROM wc_schedule() ORDER BY job_name;
ROLLBACK;
DELETE FROM wc_site_schedule;

-- What is due. The site is in New York; the last scheduled refresh that succeeded is made up.
CREATE FUNCTION due(clock text, last_success timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  attempts bigint;
BEGIN
  PERFORM set_config('whitecross.now', clock, false);
  DELETE FROM wc_refresh_log;
  INSERT INTO wc_refresh_log (view_name, mode, status, origin, in_worker, started_at, finished_at, duration_ms)
  SELECT 'mv_appointment_statistics', 'concurrent', 'refreshed', 'schedule', true, last_success, last_success, 1
   WHERE last_success IS NOT NULL
  UNION ALL -- neither of these counts
  SELECT 'mv_appointment_statistics', 'concurrent', 'failed', 'schedule', true, clock::timestamptz, clock::timestamptz, 1
  UNION ALL
  SELECT 'mv_appointment_statistics', 'concurrent', 'refreshed', 'manual', true, clock::timestamptz, clock::timestamptz, 1;
  SELECT count(*) INTO attempts FROM wc_refresh_due('daily') WHERE view_name = 'mv_appointment_statistics' AND status = 'refreshed';
  PERFORM set_config('whitecross.now', '', false);
  RETURN attempts = 1;
END $$;
-- The truth again, in SQL: the latest 2:00 in New York that isn't after the clock.
CREATE FUNCTION truly_due(clock text, last_success timestamptz) RETURNS boolean LANGUAGE sql AS $$
  SELECT last_success IS NULL OR last_success < max(t.at)
    FROM generate_series(-2, 1) AS d,
         LATERAL (SELECT ((clock::timestamptz AT TIME ZONE 'America/New_York')::date + d + time '02:00') AT TIME ZONE 'America/New_York') AS t (at)
   WHERE t.at <= clock::timestamptz
$$;
SELECT c.comment, due(c.clock, c.last_success), due(c.clock, c.last_success) = truly_due(c.clock, c.last_success) AS right
  FROM (VALUES
    (1, 'never refreshed', '2026-07-15 12:00-04', NULL::timestamptz),
    (2, 'a second before two o''clock', '2026-07-15 01:59:59-04', '2026-07-14 02:00:01-04'),
    (3, 'two o''clock', '2026-07-15 02:00-04', '2026-07-14 02:00:01-04'),
    (4, 'done at two', '2026-07-15 03:00-04', '2026-07-15 02:00-04'),
    (5, 'missed at two, made up for at noon', '2026-07-15 12:00-04', '2026-07-14 02:00-04'),
    (6, 'clocks skip two o''clock: before', '2026-03-08 01:59-05', '2026-03-07 02:00-05'),
    (7, 'clocks skip two o''clock: after', '2026-03-08 03:00-04', '2026-03-07 02:00-05'),
    (8, 'one o''clock comes twice: the second', '2026-11-01 01:30-05', '2026-10-31 02:00-04'),
    (9, 'then two o''clock, once', '2026-11-01 02:00-05', '2026-10-31 02:00-04'),
    (10, 'the evening after', '2026-11-01 20:00-05', '2026-11-01 02:00-05')) AS c (position, comment, clock, last_success)
 ORDER BY c.position;

-- Hourly views are due whenever their job runs; a view that isn't there is skipped and logged.
SELECT view_name, status FROM wc_refresh_due('hourly') ORDER BY view_name;
SELECT count(*) FROM wc_suspend_views() WHERE action = 'dropped';
SELECT view_name, mode, status, message FROM wc_refresh_due('six_hourly');
SELECT view_name, status, origin, message FROM wc_refresh_log ORDER BY id DESC LIMIT 1;
CALL wc_run_schedule('hourly');
SELECT view_name FROM wc_view_schedule WHERE schedule = 'hourly' ORDER BY view_name;
SELECT count(*) FROM wc_install() WHERE kind = 'materialized view' AND action = 'created';

-- A disabled view has no job.
SELECT count(*) FROM wc_disable('mv_appointment_statistics');
BEGIN;
SELECT job_name FROM wc_schedule() ORDER BY job_name;
ROLLBACK;

\c contrib_regression
DROP DATABASE regression_wc_schedule;
DROP ROLE regress_wc_scheduler;

-- Refreshing: modes, outcomes, the log and the state, transactions, roles.
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE ROLE regress_wc_owner NOLOGIN;
CREATE ROLE regress_wc_clerk LOGIN;
CREATE ROLE regress_wc_stranger LOGIN;
CREATE DATABASE regression_wc_refresh TEMPLATE template0;
\c regression_wc_refresh
SET client_min_messages = warning;
GRANT CREATE ON SCHEMA public TO regress_wc_owner;
SET ROLE regress_wc_owner;
\set ECHO none
\i examples/reference/schema.sql
\set ECHO all
RESET ROLE;
INSERT INTO schools (id, name) VALUES ('00000000-0000-0000-0000-00000000a001', 'North'), ('00000000-0000-0000-0000-00000000a002', 'South');
INSERT INTO users (id, "firstName", "lastName") VALUES ('00000000-0000-0000-0000-00000000b001', 'Nora', 'Nurse');
INSERT INTO students (id, "studentNumber", "firstName", "lastName", "dateOfBirth", grade, "enrollmentDate", "nurseId", "schoolId")
SELECT ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, 'N' || i, 'First' || i, 'Last' || i, '2015-05-05', '4', '2024-09-01',
       '00000000-0000-0000-0000-00000000b001', ('00000000-0000-0000-0000-00000000a00' || 1 + i % 2)::uuid
  FROM generate_series(1, 10) AS i;
INSERT INTO allergies ("studentId", allergen, severity)
SELECT id, 'Peanut', 'MILD' FROM students WHERE "studentNumber" IN ('N1', 'N2', 'N3');
INSERT INTO appointments ("studentId", "nurseId", "schoolId", type, status, "scheduledAt", duration)
SELECT id, "nurseId", "schoolId", 'CHECKUP', 'COMPLETED', '2026-03-02 12:00+00', 20 FROM students;
CREATE EXTENSION whitecross;
-- A clock that stands still, for the refreshes and for the oracle alike.
SET whitecross.now = '2026-03-02 18:00+00';

-- The oracle: what the view's definition says now, against what the view holds.
CREATE FUNCTION differences(view regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  query text := rtrim(pg_get_viewdef(view), ';');
  found bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM ((TABLE %1$s EXCEPT ALL (%2$s)) UNION ALL ((%2$s) EXCEPT ALL TABLE %1$s)) AS d', view, query) INTO found;
  RETURN found;
END $$;
CREATE VIEW all_differences AS
SELECT matviewname AS view, differences(format('%I.%I', schemaname, matviewname)::regclass) AS differences FROM pg_matviews;
-- What of a log row is the same each time.
CREATE VIEW log AS
SELECT id, view_name, mode, status, origin, in_worker, rows_written, row_count, sqlstate, message FROM wc_refresh_log;

-- CREATE EXTENSION filled the views and says so.
SELECT view_name, mode, status, origin, in_worker, rows_written = row_count AS all_written FROM log ORDER BY view_name;
SELECT bool_and(reltuples >= 0) AS analyzed FROM pg_class WHERE relkind = 'm';

-- The clock has moved to where it stands still since they were filled; this settles it.
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed' AND mode = 'concurrent';
SELECT * FROM all_differences ORDER BY view;
TRUNCATE wc_refresh_log;

-- Rows written are the rows that differ: one changed (deleted and inserted), one new, one gone.
UPDATE allergies SET severity = 'SEVERE' WHERE "studentId" = (SELECT id FROM students WHERE "studentNumber" = 'N1');
INSERT INTO students ("studentNumber", "firstName", "lastName", grade) VALUES ('N11', 'First11', 'Last11', '4');
UPDATE students SET "deletedAt" = now() WHERE "studentNumber" = 'N2';
SELECT view, differences FROM all_differences ORDER BY view;
SELECT view_name, mode, status, rows_written, duration_ms > 0 AS timed, sqlstate, message FROM wc_refresh('allergy_summary');
SELECT view_name, mode, status, rows_written FROM wc_refresh('mv_allergy_summary');
SELECT view_name, mode, status, rows_written FROM wc_refresh_all(workers => 0) ORDER BY view_name;
SELECT * FROM all_differences ORDER BY view;
-- With the statistics of the session off as well.
SET track_counts = off;
UPDATE allergies SET severity = 'MILD' WHERE severity = 'SEVERE';
SELECT rows_written FROM wc_refresh_all(workers => 0) WHERE view_name = 'mv_allergy_summary';
SHOW track_counts;
RESET track_counts;
SELECT view_name, mode, status, rows_written FROM wc_refresh_all('full', 3) ORDER BY view_name;
SELECT view_name, mode, status, origin, in_worker, rows_written, row_count FROM log ORDER BY in_worker, mode, view_name, rows_written;
SELECT bool_and(started_at <= finished_at AND duration_ms > 0 AND started_at > now() - interval '1 hour') AS plausible FROM wc_refresh_log;

-- The state: of the last refresh, with the counters; the file is the view's.
SELECT s.view_name, last_mode, last_rows_written, row_count, s.relfilenode = pg_relation_filenode(s.view_name::regclass) AS own_file,
       refreshes, failures, last_refresh <= now() AS past
  FROM wc_view_state AS s ORDER BY view_name;

-- A view that isn't populated is filled, whatever was asked.
REFRESH MATERIALIZED VIEW mv_allergy_summary WITH NO DATA;
SELECT relfilenode = pg_relation_filenode('mv_allergy_summary') AS own_file FROM wc_view_state WHERE view_name = 'mv_allergy_summary';
SELECT mode, status, rows_written FROM wc_refresh('allergy_summary');
REFRESH MATERIALIZED VIEW mv_allergy_summary WITH NO DATA;
SELECT mode, status, rows_written FROM wc_refresh('allergy_summary', 'concurrent');

-- The groups of the schedule.
SELECT view_name, status FROM wc_refresh_group('hourly') ORDER BY view_name;
SELECT view_name, status FROM wc_refresh_group('six_hourly');
SELECT view_name, status FROM wc_refresh_group('daily');

-- What is refused.
\set VERBOSITY default
SELECT * FROM wc_refresh('mv_nothing');
SELECT * FROM wc_refresh(NULL);
SELECT * FROM wc_refresh('allergy_summary', 'incrementally');
SELECT * FROM wc_refresh('allergy_summary', NULL);
SELECT * FROM wc_refresh('allergy_summary', 'auto', 'fail');
SELECT * FROM wc_refresh_all('Full');
SELECT * FROM wc_refresh_all(workers => -1);
SELECT * FROM wc_refresh_all(workers => 1025);
SELECT * FROM wc_refresh_all(on_conflict => NULL);
SELECT * FROM wc_refresh_group('weekly');
SELECT * FROM wc_refresh_group(NULL);
BEGIN TRANSACTION READ ONLY;
SELECT * FROM wc_refresh_all();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM wc_refresh_all(workers => 0);
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CREATE TABLE written (i int);
SELECT * FROM wc_refresh('allergy_summary');
ROLLBACK;
\set VERBOSITY terse
-- In workers it is no matter.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed';
COMMIT;
ALTER DATABASE regression_wc_refresh SET default_transaction_isolation = 'serializable';
ALTER DATABASE regression_wc_refresh SET default_transaction_read_only = on;
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed';
ALTER DATABASE regression_wc_refresh RESET default_transaction_isolation;
ALTER DATABASE regression_wc_refresh RESET default_transaction_read_only;

-- After writes of the same transaction: in that transaction, which sees them. Its end is theirs.
TRUNCATE wc_refresh_log;
BEGIN;
UPDATE students SET "firstName" = 'Renamed' WHERE "studentNumber" = 'N5';
SELECT view_name, rows_written FROM wc_refresh_all() ORDER BY view_name;
SELECT "firstName" FROM mv_student_health_summary WHERE "studentNumber" = 'N5';
SELECT count(*) AS logged, bool_or(in_worker) AS in_worker FROM wc_refresh_log;
ROLLBACK;
SELECT "firstName" FROM mv_student_health_summary WHERE "studentNumber" = 'N5';
SELECT count(*) AS logged FROM wc_refresh_log;
-- Where nothing was written: in workers, whose work and log stand.
BEGIN;
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed';
ROLLBACK;
SELECT count(*) AS logged, bool_and(in_worker) AS in_worker FROM wc_refresh_log;
-- A lock of the calling transaction that a worker needs: reported, not waited for. (The server's own patience with
-- deadlocks is ours too.)
SET deadlock_timeout = '10ms';
BEGIN;
SELECT count(*) FROM mv_allergy_summary;
SELECT view_name, mode, status, sqlstate, message FROM wc_refresh('allergy_summary', 'full');
SELECT view_name, mode, status, sqlstate, message FROM wc_refresh('allergy_summary');
SET LOCAL whitecross.lock_timeout = 0;
SELECT view_name, mode, status, sqlstate, message FROM wc_refresh('allergy_summary', 'full');
SELECT view_name, mode, status, sqlstate, message FROM wc_refresh('allergy_summary', 'full', 'skip');
COMMIT;
RESET deadlock_timeout;
SELECT view_name, mode, status, in_worker, sqlstate, message FROM log WHERE status <> 'refreshed' ORDER BY id;
-- A cursor open on the view.
BEGIN;
DECLARE reader CURSOR FOR SELECT "studentNumber" FROM mv_allergy_summary ORDER BY 1;
FETCH 1 FROM reader;
SELECT mode, status, sqlstate, message FROM wc_refresh_all('full', workers => 0) WHERE view_name = 'mv_allergy_summary';
FETCH 1 FROM reader;
COMMIT;

-- The caller's settings are as they were, whichever way it ended.
SET lock_timeout = '7s'; SET search_path = public, pg_catalog; SET jit = on; SET row_security = on;
SELECT count(*) FROM wc_refresh_all(workers => 0);
SELECT * FROM wc_refresh_group('weekly');
SELECT current_setting('lock_timeout') AS lock_timeout, current_setting('search_path') AS search_path, current_setting('jit') AS jit,
       current_setting('row_security') AS row_security, current_user = session_user AS same_user;
RESET lock_timeout; RESET search_path; RESET jit; RESET row_security;

-- The clock, and work_mem and the like, are the caller's in workers too: a dose is due at ten.
INSERT INTO medications (id, name) VALUES ('00000000-0000-0000-0000-00000000c001', 'Ibuprofen');
INSERT INTO student_medications ("studentId", "medicationId", dosage, "scheduledTimes", "startDate")
SELECT id, '00000000-0000-0000-0000-00000000c001', '10 mg', '{10:00}', '2026-01-01' FROM students WHERE "studentNumber" = 'N7';
SELECT count(*) > 0 AS configured FROM wc_configure('timezone', 'UTC');
SELECT count(*) > 0 AS rebuilt FROM wc_install();
SET whitecross.now = '2026-03-02 09:40+00';
SELECT status FROM wc_refresh('medication_schedule');
SELECT "isDueNow" FROM mv_medication_schedule;
SET whitecross.now = '2026-03-02 11:40+00';
SELECT status FROM wc_refresh('medication_schedule');
SELECT "isDueNow" FROM mv_medication_schedule;
SET whitecross.now = '2026-03-02 18:00+00';
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed';

-- One view that fails leaves the others alone. The server's text would carry a value of a row; ours doesn't.
CREATE UNIQUE INDEX mine ON mv_allergy_summary ("firstName", "lastName");
UPDATE students SET "firstName" = 'Marker', "lastName" = 'Marker' WHERE "studentNumber" IN ('N3', 'N4');
TRUNCATE wc_refresh_log;
SELECT view_name, mode, status, rows_written, sqlstate, message FROM wc_refresh_all() ORDER BY view_name;
SELECT view_name, mode, status, rows_written, sqlstate, message FROM wc_refresh_all('full', 0) ORDER BY view_name;
DROP INDEX mine;
CREATE INDEX mine ON mv_allergy_summary ((1 / ("lastName" <> 'Marker')::int));
SELECT view_name, mode, status, rows_written, sqlstate, message FROM wc_refresh('allergy_summary');
SELECT view_name, mode, status, in_worker, sqlstate, message FROM log WHERE status <> 'refreshed' ORDER BY id;
SELECT count(*) AS leaks FROM wc_refresh_log AS l WHERE l::text ~* 'marker';
SELECT failures FROM wc_view_state WHERE view_name = 'mv_allergy_summary';
DROP INDEX mine;
SELECT status FROM wc_refresh('allergy_summary');
SELECT * FROM all_differences ORDER BY view;

-- No unique index: nothing to refresh concurrently by, and nobody asked to shut readers out.
DROP INDEX mv_allergy_summary_pkey;
SELECT mode, status, sqlstate, message FROM wc_refresh('allergy_summary');
SELECT mode, status, sqlstate, message FROM wc_refresh('allergy_summary', 'full');
SELECT count(*) > 0 AS mended FROM wc_install();
SELECT mode, status FROM wc_refresh('allergy_summary');

-- A view that isn't there.
DROP MATERIALIZED VIEW mv_appointment_statistics;
SELECT view_name, mode, status, sqlstate, message FROM wc_refresh('appointment_statistics');
SELECT view_name, status FROM wc_refresh_all() ORDER BY view_name;
SELECT view_name, mode, status, in_worker, sqlstate, message FROM log WHERE sqlstate = '42P01';
SELECT count(*) > 0 AS mended FROM wc_install();
SELECT view_name, status FROM wc_refresh('appointment_statistics');

-- An owner that row security would hide rows from gets an error, not a view without them.
ALTER TABLE allergies ENABLE ROW LEVEL SECURITY;
ALTER TABLE allergies FORCE ROW LEVEL SECURITY;
SELECT view_name, status, sqlstate, message FROM wc_refresh_all('concurrent') ORDER BY view_name;
SELECT "totalAllergies" FROM mv_allergy_summary WHERE "studentNumber" = 'N1';
ALTER TABLE allergies NO FORCE ROW LEVEL SECURITY;
ALTER TABLE allergies DISABLE ROW LEVEL SECURITY;
-- An owner that may not read.
REVOKE SELECT ON vaccinations FROM regress_wc_owner;
SELECT view_name, status, sqlstate FROM wc_refresh_all('concurrent', 0) ORDER BY view_name;
GRANT SELECT ON vaccinations TO regress_wc_owner;

-- The log is pruned as refreshes go.
INSERT INTO wc_refresh_log (view_name, status, origin, in_worker, started_at, finished_at, duration_ms)
SELECT 'mv_allergy_summary', 'skipped', 'manual', false, now() - i * interval '1 day', now(), 1 FROM generate_series(1, 60) AS i;
SET whitecross.refresh_log_days = 7;
SELECT status FROM wc_refresh('allergy_summary');
SELECT max(now() - started_at) < interval '7 days' AS pruned, count(*) FILTER (WHERE started_at < now() - interval '12 hours') AS kept FROM wc_refresh_log;
RESET whitecross.refresh_log_days;

-- Roles. Nobody but who was granted EXECUTE; who was needs no other right, and works as the view's owner.
GRANT CREATE ON DATABASE regression_wc_refresh TO regress_wc_clerk;
GRANT EXECUTE ON FUNCTION wc_refresh_all, wc_refresh, wc_refresh_group TO regress_wc_clerk;
SET SESSION AUTHORIZATION regress_wc_stranger;
SELECT * FROM wc_refresh_all();
SELECT * FROM wc_refresh('allergy_summary');
SELECT * FROM wc_refresh_group('hourly');
SELECT count(*) > 0 AS may_read FROM wc_refresh_log;
SET SESSION AUTHORIZATION regress_wc_clerk;
SELECT count(*) FROM students;
SELECT view_name, status FROM wc_refresh_all() ORDER BY view_name;
SELECT view_name, status FROM wc_refresh_all(workers => 0) ORDER BY view_name;
-- What a name in our statements could be made to mean, it would mean here: nothing of it may run or be read.
CREATE SCHEMA attack;
CREATE FUNCTION attack.trap() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'the attack ran as %', current_user; END$$;
CREATE FUNCTION attack.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT attack.trap(); SELECT pg_catalog.now()$$;
CREATE FUNCTION attack.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT attack.trap(); SELECT pg_catalog.clock_timestamp()$$;
CREATE FUNCTION attack.pg_relation_filenode(oid) RETURNS oid LANGUAGE sql AS $$SELECT attack.trap(); SELECT $1$$;
CREATE FUNCTION attack.make_interval(days int) RETURNS interval LANGUAGE sql AS $$SELECT attack.trap(); SELECT NULL::interval$$;
CREATE FUNCTION attack.equal(text, text) RETURNS boolean LANGUAGE sql AS $$SELECT attack.trap(); SELECT true$$;
CREATE OPERATOR attack.= (LEFTARG = text, RIGHTARG = text, FUNCTION = attack.equal);
CREATE FUNCTION attack.less(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS $$SELECT attack.trap(); SELECT true$$;
CREATE OPERATOR attack.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = attack.less);
CREATE TABLE attack.wc_refresh_log (view_name text);
CREATE TABLE attack.wc_view_state (view_name text);
CREATE TABLE attack.mv_allergy_summary ("studentId" uuid);
CREATE TEMPORARY TABLE wc_view_schedule (view_name text, schedule text);
CREATE TEMPORARY TABLE wc_view_definition (name text);
CREATE TEMPORARY TABLE wc_refresh_log (LIKE attack.wc_refresh_log);
CREATE TEMPORARY TABLE mv_allergy_summary (LIKE attack.mv_allergy_summary);
CREATE TEMPORARY TABLE pg_class (LIKE pg_catalog.pg_class);
SET search_path = attack, pg_temp, public, pg_catalog;
SELECT view_name, status FROM public.wc_refresh_all() ORDER BY view_name;
SELECT view_name, status FROM public.wc_refresh_all('full', 0) ORDER BY view_name;
SELECT view_name, status FROM public.wc_refresh('allergy_summary');
SELECT count(*) FROM public.wc_refresh_group('hourly');
RESET search_path;
SELECT (SELECT count(*) FROM attack.wc_refresh_log) AS log, (SELECT count(*) FROM attack.wc_view_state) AS state,
       (SELECT count(*) FROM pg_temp.wc_refresh_log) AS temporary_log;
RESET SESSION AUTHORIZATION;
SELECT * FROM all_differences ORDER BY view;

-- Right after CREATE EXTENSION and writes, in the same transaction.
DISCARD ALL;
SET client_min_messages = warning;
DROP EXTENSION whitecross CASCADE;
SET whitecross.now = '2026-03-02 18:00+00';
BEGIN;
CREATE EXTENSION whitecross;
INSERT INTO students ("studentNumber", "firstName", "lastName", grade) VALUES ('N12', 'First12', 'Last12', '4');
SELECT view_name, mode, status FROM wc_refresh_all() ORDER BY view_name;
SELECT count(*) FROM mv_allergy_summary WHERE "studentNumber" = 'N12';
COMMIT;
SELECT count(*) FROM mv_allergy_summary WHERE "studentNumber" = 'N12';
-- Neither the views nor anything that a refresh made for a moment is a member of the extension.
SELECT count(*) FROM pg_depend AS d JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND c.relkind NOT IN ('r', 'v', 'c', 'S', 'i');

\c contrib_regression
DROP DATABASE regression_wc_refresh;
DROP ROLE regress_wc_owner, regress_wc_clerk, regress_wc_stranger;

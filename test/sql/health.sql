-- Statistics and the health check: each thing that can be wrong is made wrong, is seen, and is mended by what the hint says.
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE ROLE regress_wc_reader LOGIN;
CREATE ROLE regress_wc_weak NOLOGIN;
CREATE DATABASE regression_wc_health TEMPLATE template0;
\c regression_wc_health
SET client_min_messages = warning;
\set ECHO none
\i examples/reference/schema.sql
\set ECHO all
CREATE EXTENSION whitecross;

-- The jobs, in another database here, are tested elsewhere; the rest must be in order, and what is not is shown.
-- What the server was asked to do so far, and how it logs, is no part of this: test/t/130_server_health.pl looks at that.
CREATE VIEW findings AS
SELECT check_name, status, detail, hint FROM wc_health_check()
 WHERE status <> 'ok' AND check_name NOT IN ('schedule', 'library') AND check_name NOT IN (SELECT s.check_name FROM wc_server_health() AS s);
SELECT check_name, status FROM wc_health_check()
 WHERE status = 'ok' AND check_name <> 'library' AND check_name NOT IN (SELECT s.check_name FROM wc_server_health() AS s) ORDER BY check_name;
TABLE findings;
SELECT wc_healthy();

-- Statistics against the truth.
INSERT INTO schools (id, name) VALUES ('00000000-0000-0000-0000-00000000a001', 'North');
INSERT INTO students (id, "studentNumber", "firstName", "lastName", "dateOfBirth", grade, "enrollmentDate", "schoolId")
SELECT ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, 'N' || i, 'First' || i, 'Last' || i, '2015-05-05', '4', '2024-09-01',
       '00000000-0000-0000-0000-00000000a001' FROM generate_series(1, 7) AS i;

-- Empty views over tables with rows.
SELECT check_name, status, detail, hint FROM findings;
SELECT wc_healthy();
\set mend 'SELECT CASE WHEN hint LIKE ''SELECT%'' THEN format(''SELECT count(*) FROM (%s) AS done'', rtrim(hint, '';'')) ELSE hint END FROM findings'
:mend ORDER BY hint \gexec
TABLE findings;
SELECT view_name, row_count, populated, refreshes, failures, refreshed_by, age < interval '1 minute' AS recent, last_duration_ms > 0 AS timed
  FROM wc_view_stats();
SELECT s.view_name, s.size_bytes = pg_total_relation_size(s.view_name::regclass) AS size, s.last_refresh = wc_last_refresh(s.view_name) AS time,
       s.row_count = (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I', s.view_name), false, true, '')))[1]::text::bigint AS rows
  FROM wc_view_stats() AS s ORDER BY s.view_name;
SELECT view_name FROM wc_view_stats('allergy_summary');
SELECT view_name FROM wc_view_stats(view_name => 'mv_allergy_summary');
SELECT wc_last_refresh('allergy_summary') = wc_last_refresh('mv_allergy_summary');
SELECT * FROM wc_view_stats('allergies'); \echo :LAST_ERROR_SQLSTATE
SELECT wc_last_refresh('allergies'); \echo :LAST_ERROR_SQLSTATE
SELECT wc_last_refresh(NULL); \echo :LAST_ERROR_SQLSTATE

-- REFRESH by hand.
DELETE FROM students WHERE "studentNumber" = 'N7';
REFRESH MATERIALIZED VIEW mv_allergy_summary;
ANALYZE mv_allergy_summary;
SELECT view_name, row_count, last_refresh, age, last_duration_ms, refreshed_by FROM wc_view_stats('allergy_summary');
SELECT wc_last_refresh('allergy_summary') IS NULL;
TABLE findings;
UPDATE wc_view_state SET last_refresh = now() - interval '3 days' WHERE view_name = 'mv_allergy_summary';
TABLE findings;
:mend \gexec
TABLE findings;

-- Too old for its schedule.
UPDATE wc_view_state SET last_refresh = now() - CASE view_name WHEN 'mv_allergy_summary' THEN interval '13 hours'
  WHEN 'mv_medication_schedule' THEN interval '3 hours' ELSE interval '90 minutes' END;
SELECT check_name, status, hint FROM findings;
SELECT wc_set_schedule('medication_schedule', 'off');
SELECT check_name, status, hint FROM findings;
:mend \gexec
TABLE findings;

-- A refresh that fails.
ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO regress_wc_weak;
SELECT status, sqlstate FROM wc_refresh('allergy_summary');
SELECT check_name, status, regexp_replace(detail, '[\d:]+ ago', '... ago') AS detail, hint FROM findings;
SELECT failures FROM wc_view_stats('allergy_summary');
ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO CURRENT_USER;
SELECT status FROM wc_refresh('allergy_summary');
TABLE findings;

-- Not there, not filled.
REFRESH MATERIALIZED VIEW mv_compliance_status WITH NO DATA;
DROP MATERIALIZED VIEW mv_medication_schedule;
SELECT check_name, status, detail, hint FROM findings WHERE check_name ~ '^view';
SELECT view_name, size_bytes > 0 AS sized, row_count, populated, last_refresh, refreshed_by FROM wc_view_stats() WHERE NOT coalesce(populated, false);
SELECT wc_healthy();
SELECT count(*) FROM wc_install();
SELECT status FROM wc_refresh('compliance_status');
TABLE findings;

-- Indexes.
UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('idx_active_students_nurse'::regclass, 'mv_allergy_summary_pkey'::regclass);
SELECT * FROM findings WHERE check_name = 'indexes valid';
:mend WHERE check_name = 'indexes valid' \gexec
DROP INDEX idx_active_students_nurse;
DROP INDEX idx_students_school_lookup;
CREATE INDEX idx_students_school_lookup ON students (grade);
TABLE findings;
DROP INDEX idx_students_school_lookup;
SELECT count(*) FROM wc_install();
TABLE findings;

-- Constraints: not validated, dropped, with old rows that violate it.
ALTER TABLE appointments DROP CONSTRAINT chk_appointments_duration_range;
INSERT INTO appointments ("studentId", "schoolId", type, status, "scheduledAt", duration)
SELECT id, "schoolId", 'CHECKUP', 'COMPLETED', now(), 999 FROM students LIMIT 2;
SELECT count(*) FROM wc_install();
SELECT * FROM findings WHERE check_name = 'constraints';
SELECT action FROM wc_enforce('chk_appointments_duration_range');
SELECT * FROM findings WHERE check_name = 'constraints';
UPDATE appointments SET duration = 99;
SELECT constraint_name, violations, validated FROM wc_validate() WHERE constraint_name = 'chk_appointments_duration_range';
TABLE findings;

-- Links, row security, owners.
ALTER INDEX idx_active_students_nurse NO DEPENDS ON EXTENSION whitecross;
TABLE findings;
:mend \gexec
TABLE findings;
ALTER TABLE allergies ENABLE ROW LEVEL SECURITY;
TABLE findings;
GRANT SELECT ON mv_allergy_summary TO regress_wc_reader;
GRANT SELECT ("studentId") ON mv_compliance_status TO PUBLIC;
TABLE findings;
ALTER TABLE allergies DISABLE ROW LEVEL SECURITY;
TABLE findings;

-- By a role with few rights, in a read-only transaction, at every isolation level: the same.
CREATE TEMPORARY TABLE seen AS SELECT check_name, status FROM wc_health_check();
GRANT SELECT ON seen TO regress_wc_reader;
SET ROLE regress_wc_reader;
BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT count(*) > 0 AS any, count(*) FILTER (WHERE s.status IS DISTINCT FROM h.status) AS differences
  FROM wc_health_check() AS h FULL JOIN seen AS s USING (check_name) WHERE check_name NOT IN ('schedule', 'slow queries', 'N+1 patterns');
SELECT wc_healthy();
SELECT count(*) FROM wc_view_stats();
COMMIT;
RESET ROLE;
-- Views that had rows, or must have.
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed';
TABLE findings;
INSERT INTO users (id, "firstName", "lastName") VALUES ('00000000-0000-0000-0000-00000000b001', 'Nora', 'Nurse');
UPDATE appointments SET "nurseId" = '00000000-0000-0000-0000-00000000b001';
SELECT status, rows_written FROM wc_refresh('appointment_statistics');
UPDATE appointments SET "scheduledAt" = now() - interval '1 year';
UPDATE students SET "isActive" = false;
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed';
TABLE findings;
UPDATE students SET "isActive" = true;
SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed';
TABLE findings;
DELETE FROM wc_refresh_log;
TABLE findings;
-- An owner for whom policies hide rows.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO regress_wc_weak;
ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO regress_wc_weak;
TABLE findings;
ALTER TABLE allergies ENABLE ROW LEVEL SECURITY;
SELECT check_name, status, detail, hint FROM findings WHERE check_name = 'view owners';
ALTER TABLE allergies OWNER TO regress_wc_weak;
SELECT check_name, status FROM findings;
ALTER TABLE allergies FORCE ROW LEVEL SECURITY;
SELECT check_name, status FROM findings;
DROP EXTENSION whitecross CASCADE;

-- A database without base tables: nothing critical.
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE EXTENSION whitecross;
SELECT check_name, status FROM wc_health_check()
 WHERE status <> 'ok' AND check_name NOT IN ('schedule', 'library') AND check_name NOT IN (SELECT s.check_name FROM wc_server_health() AS s);
SELECT wc_healthy();

\c contrib_regression
SET client_min_messages = warning;
DROP DATABASE regression_wc_health;
DROP ROLE regress_wc_reader;
DROP ROLE regress_wc_weak;

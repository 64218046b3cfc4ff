-- Managed objects as an administrator sees them: installing, retiring, switching off, configuring, mapping, validating, and
-- every error with its SQLSTATE, detail and hint.
\set SHOW_CONTEXT never
CREATE DATABASE regression_wc_objects TEMPLATE template0;
\c regression_wc_objects
SET timezone = 'America/New_York';

-- An empty database.
CREATE EXTENSION whitecross;
SELECT * FROM wc_install();
SELECT kind, status, count(*) FROM wc_objects() GROUP BY kind, status ORDER BY kind;
SELECT reason, count(*) FROM wc_objects() GROUP BY reason ORDER BY reason COLLATE "C";
SELECT * FROM wc_configuration ORDER BY name;
SELECT table_name, canonical, expression, source, present FROM wc_column_mapping WHERE table_name = 'allergies' ORDER BY canonical COLLATE "C";
SELECT * FROM wc_create_base_tables();
SELECT * FROM wc_create_base_tables();

-- Everything, in the order in which it is made; a second time there is nothing to do.
SELECT kind, action, count(*), count(reason) AS with_reason FROM wc_install() WITH ORDINALITY AS i GROUP BY kind, action ORDER BY min(ordinality);
SELECT * FROM wc_install();
SELECT kind, name, table_name, status, validated, reason FROM wc_objects() WITH ORDINALITY AS o ORDER BY ordinality;
SELECT count(*) FROM wc_objects AS v JOIN wc_objects() AS f USING (kind, name);
SELECT kind, count(*) FROM wc_object_links() WHERE linked GROUP BY kind ORDER BY kind;
SELECT name, definition FROM wc_objects() WHERE name IN ('chk_students_grade_valid', 'chk_vital_signs_temperature_range', 'idx_students_health_dashboard',
  'idx_severe_allergies_school', 'idx_health_records_student_type_date', 'mv_appointment_statistics_pkey', 'mv_compliance_status_non_compliant') ORDER BY name COLLATE "C";
SELECT canonical, expression, source, present FROM wc_column_mapping WHERE table_name = 'allergies' ORDER BY canonical COLLATE "C";

-- Each kind goes and comes by itself.
SELECT kind, action, count(*) FROM wc_retire('check constraint') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_install('check constraint') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_retire('covering index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_install('covering index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_retire('partial index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_install('partial index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_retire('composite index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_install('composite index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_retire('view index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_install('view index') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_retire('materialized view') GROUP BY kind, action ORDER BY kind;
SELECT kind, status, reason, count(*) FROM wc_objects() WHERE kind ~ 'view' GROUP BY kind, status, reason ORDER BY kind, reason;
SELECT kind, action, count(*) FROM wc_install('materialized view') GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_suspend_views() GROUP BY kind, action ORDER BY kind;
SELECT kind, action, reason, count(*) FROM wc_install('view index') GROUP BY kind, action, reason ORDER BY reason;
SELECT kind, action, count(*) FROM wc_install() GROUP BY kind, action ORDER BY kind;
SELECT kind, action, count(*) FROM wc_retire() GROUP BY kind, action ORDER BY kind;
SELECT DISTINCT status, reason FROM wc_objects() WHERE kind <> 'trigger' ORDER BY status;
SELECT * FROM wc_retire();
SELECT kind, action, count(*) FROM wc_install() GROUP BY kind, action ORDER BY kind;
SELECT wc_install('index');
\echo :SQLSTATE
SELECT wc_retire('');
\echo :SQLSTATE

-- Switched off and on.
SELECT * FROM wc_disable('idx_students_school_lookup');
SELECT status, reason FROM wc_objects() WHERE name = 'idx_students_school_lookup';
SELECT * FROM wc_install();
SELECT * FROM wc_disable('idx_students_school_lookup');
SELECT * FROM wc_enable('idx_students_school_lookup');
SELECT status, reason FROM wc_objects() WHERE name = 'idx_students_school_lookup';
SELECT * FROM wc_install();
SELECT * FROM wc_disable('mv_allergy_summary');
SELECT name, status, reason FROM wc_objects() WHERE table_name = 'mv_allergy_summary' ORDER BY name;
SELECT * FROM wc_enable('mv_allergy_summary');
SELECT kind, name, action FROM wc_install();
SELECT * FROM wc_disable('mv_allergy_summary_epipen');
SELECT * FROM wc_install();
SELECT * FROM wc_enable('mv_allergy_summary_epipen');
SELECT * FROM wc_install();
SELECT wc_disable('idx_nothing');
\echo :SQLSTATE
SELECT wc_enable('idx_nothing');
\echo :SQLSTATE
SELECT wc_disable(NULL);
\echo :SQLSTATE
CREATE VIEW alerts AS SELECT "alertLevel" FROM mv_allergy_summary;
SELECT wc_disable('mv_allergy_summary');
\echo :SQLSTATE
SELECT * FROM wc_retire('materialized view') WHERE action <> 'dropped';
SELECT kind, action, count(*) FROM wc_install() GROUP BY kind, action ORDER BY kind;

-- Rows that violate.
SELECT * FROM wc_validate();
SELECT count(*) FROM wc_retire('check constraint');
INSERT INTO students (id, "studentNumber", "firstName", "lastName", grade) VALUES ('00000000-0000-0000-0000-0000000000a1', 'S1', 'A', 'B', '4');
INSERT INTO vital_signs (id, "studentId", "heartRate", systolic)
SELECT format('00000000-0000-0000-0000-00000000000%s', i)::uuid, '00000000-0000-0000-0000-0000000000a1', 300, 110 FROM generate_series(1, 3) AS i;
SELECT kind, name, action, reason FROM wc_install() WHERE action <> 'created';
SELECT * FROM wc_validate() WHERE NOT validated;
SELECT * FROM wc_breaches('chk_vital_signs_heart_rate_range');
SELECT * FROM wc_breaches('chk_vital_signs_diastolic_range');
SELECT * FROM wc_enforce('chk_vital_signs_heart_rate_range');
SELECT * FROM wc_enforce('chk_vital_signs_heart_rate_range');
SELECT status, validated, reason FROM wc_objects() WHERE name = 'chk_vital_signs_heart_rate_range';
\set VERBOSITY terse
INSERT INTO vital_signs ("studentId", "heartRate") VALUES ('00000000-0000-0000-0000-0000000000a1', 301);
\set VERBOSITY default
\echo :SQLSTATE
UPDATE vital_signs SET "heartRate" = 80;
SELECT kind, name, action FROM wc_install();
SELECT DISTINCT violations, validated FROM wc_validate();
SELECT wc_enforce('chk_nothing');
\echo :SQLSTATE
SELECT wc_enforce('idx_students_school_lookup');
\echo :SQLSTATE
SELECT wc_enforce(NULL);
\echo :SQLSTATE
SELECT wc_breaches('chk_nothing');
\echo :SQLSTATE
SELECT wc_breaches('mv_allergy_summary');
\echo :SQLSTATE
SELECT wc_breaches(NULL);
\echo :SQLSTATE
ALTER TABLE vital_signs RENAME COLUMN "heartRate" TO pulse;
SELECT wc_enforce('chk_vital_signs_heart_rate_range');
\echo :SQLSTATE
SELECT wc_breaches('chk_vital_signs_heart_rate_range');
\echo :SQLSTATE
SELECT status, reason FROM wc_objects() WHERE name = 'chk_vital_signs_heart_rate_range';
SELECT * FROM wc_install();
SELECT * FROM wc_validate() WHERE constraint_name = 'chk_vital_signs_heart_rate_range';
ALTER TABLE vital_signs RENAME COLUMN pulse TO "heartRate";
SELECT count(*) FROM wc_retire('check constraint');
ALTER TABLE students ADD CONSTRAINT chk_students_grade_valid CHECK (grade <> '');
SELECT name, action, reason FROM wc_install() WHERE action <> 'created';
SELECT status, reason FROM wc_objects() WHERE name = 'chk_students_grade_valid';
SELECT wc_enforce('chk_students_grade_valid');
\echo :SQLSTATE
ALTER TABLE students DROP CONSTRAINT chk_students_grade_valid;
SELECT name, action FROM wc_install();

-- Configuration: what wc_install() will rebuild is said, and rebuilt.
SELECT * FROM wc_configure('grades', 'Pre-K, K,1,2,3,4,5,6,7,8,9,10,11,12');
SELECT status, reason FROM wc_objects() WHERE name = 'chk_students_grade_valid';
SELECT * FROM wc_install();
UPDATE students SET grade = 'Pre-K';
SELECT name, action FROM wc_configure('grades', NULL);
SELECT * FROM wc_install();
SELECT status, validated, reason FROM wc_objects() WHERE name = 'chk_students_grade_valid';
SELECT * FROM wc_breaches('chk_students_grade_valid');
UPDATE students SET grade = '4';
SELECT * FROM wc_install();
SELECT kind, name, action FROM wc_configure('timezone', 'Asia/Tokyo');
SELECT * FROM wc_configuration ORDER BY name;
SELECT kind, name, action, reason FROM wc_install();
SELECT pg_get_viewdef('alerts'::regclass);
DROP VIEW alerts;
SELECT kind, name, action, reason FROM wc_install();
SELECT wc_configure('color', 'blue');
\echo :SQLSTATE
SELECT wc_configure(NULL, 'blue');
\echo :SQLSTATE
SELECT wc_configure('timezone', 'Mars/Olympus');
\echo :SQLSTATE
SELECT wc_configure('grades', 'K,,1');
\echo :SQLSTATE
SELECT wc_configure('grades', 'K,1''');
\echo :SQLSTATE
SELECT wc_configure('base_schema', 'nowhere');
\echo :SQLSTATE
SELECT wc_configure('base_schema', 'pg_catalog');
\echo :SQLSTATE
SELECT wc_configure('base_schema', 'public');

-- Mapping.
ALTER TABLE allergies RENAME COLUMN reaction TO reaction_text;
SELECT name, status, reason FROM wc_objects() WHERE status <> 'installed';
SELECT * FROM wc_map_column('allergies', 'reaction', 'reaction_text');
SELECT name, status, reason FROM wc_objects() WHERE status <> 'installed';
SELECT canonical, expression, source, present FROM wc_column_mapping WHERE source <> 'default' ORDER BY 1;
ALTER TABLE allergies RENAME COLUMN reaction_text TO reaction;
SELECT * FROM wc_map_column('allergies', 'reaction', NULL);
SELECT name, action FROM wc_map_column('users', 'firstName', 'upper("firstName")');
SELECT name, action FROM wc_install();
SELECT name, action FROM wc_map_column('users', 'firstName', NULL);
SELECT name, action FROM wc_install();
-- A column that the site does not have after all.
SELECT name, action, reason FROM wc_map_column('incident_reports', 'schoolId', 'NULL');
SELECT name, action, reason FROM wc_install();
SELECT name, status, reason FROM wc_objects() WHERE name = 'idx_pending_incidents_school';
SELECT name, action FROM wc_retire() WHERE name = 'idx_pending_incidents_school';
SELECT name, status, reason FROM wc_objects() WHERE name = 'idx_pending_incidents_school';
SELECT * FROM wc_map_column('incident_reports', 'schoolId', NULL);
SELECT count(*) FROM wc_install();
SELECT wc_map_column('pupils', 'grade', 'grade');
\echo :SQLSTATE
SELECT wc_map_column('students', 'color', 'grade');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', ' ');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', 'year_of_school');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', 'upper(grade');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', 'grade) FROM students; DROP TABLE students; SELECT (1');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', 'grade -- comment');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', '(SELECT max(s.grade) FROM public.students AS s)');
\echo :SQLSTATE
CREATE FUNCTION mine(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1;
SELECT wc_map_column('students', 'grade', 'mine(grade)');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', 'public.mine(grade)');
\echo :SQLSTATE
SELECT wc_map_column(NULL, 'grade', 'grade');
\echo :SQLSTATE
SELECT wc_map_column('students', NULL, 'grade');
\echo :SQLSTATE

-- Where nothing can be written.
BEGIN READ ONLY;
\set ON_ERROR_ROLLBACK on
SELECT wc_install();
\echo :SQLSTATE
SELECT wc_retire();
\echo :SQLSTATE
SELECT wc_suspend_views();
\echo :SQLSTATE
SELECT wc_validate();
\echo :SQLSTATE
SELECT wc_enforce('chk_students_grade_valid');
\echo :SQLSTATE
SELECT wc_disable('chk_students_grade_valid');
\echo :SQLSTATE
SELECT wc_enable('chk_students_grade_valid');
\echo :SQLSTATE
SELECT wc_configure('grades', 'K');
\echo :SQLSTATE
SELECT wc_map_column('students', 'grade', NULL);
\echo :SQLSTATE
SELECT count(*) FROM wc_objects() WHERE status = 'installed' AND kind <> 'trigger';
SELECT count(*) FROM wc_breaches('chk_students_grade_valid');
COMMIT;
\set ON_ERROR_ROLLBACK off

-- An index that a failed REINDEX or CREATE INDEX CONCURRENTLY has left invalid.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_active_students_nurse'::regclass;
SELECT status, validated, reason FROM wc_objects() WHERE name = 'idx_active_students_nurse';
REINDEX INDEX idx_active_students_nurse;
SELECT status, validated, reason FROM wc_objects() WHERE name = 'idx_active_students_nurse';

-- Whatever the session's settings: the same objects.
SET quote_all_identifiers = on;
SET search_path = pg_catalog;
SET transform_null_equals = on;
SET timezone = 'Pacific/Kiritimati';
SET DateStyle = 'SQL, DMY';
SET default_tablespace = 'pg_default';
SELECT DISTINCT status FROM public.wc_objects() WHERE kind <> 'trigger';
SELECT * FROM public.wc_install();
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM public.wc_retire('partial index');
SELECT count(*) FROM public.wc_install();
COMMIT;
RESET ALL;

-- Dropped, they are gone.
DROP EXTENSION whitecross;
SELECT count(*) FROM pg_class WHERE relname ~ '^(idx|mv)_' OR relname ~ '^wc_';
SELECT count(*) FROM pg_constraint WHERE conname LIKE 'chk\_%';
SELECT count(*) FROM pg_event_trigger;

\c contrib_regression
DROP DATABASE regression_wc_objects;

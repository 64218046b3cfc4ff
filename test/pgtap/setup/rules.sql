-- What the rule tests share (\i test/pgtap/setup/rules.sql): it opens the transaction that each of them rolls back, sets the
-- site's time zone to America/New_York, and makes the schema "rules" with a small language for test data, so that one file
-- states a rule for the reference database and for the platform's alike:
--
--   rules.put('allergies', '{"studentId": "ann", "isActive": false}')   a row, by canonical names; returns its id
--   rules.change('allergies', id, '{"severity": "MILD"}')               a change of it
--   rules.student('ann')                                                a student of that name, unremarkable otherwise
--   rules.refresh('2024-05-15 08:00')                                   all views, the clock at that New York time
--   rules.row('mv_allergy_summary', 'ann')                              a view's row as jsonb; NULL where it has none
--
-- Labels stand for uuids: wherever a column is a uuid, "ann" is the same one. A date given for a column that is a moment on
-- this database is noon of that day in New York. What a database can't hold (rules.has) is left out of the row. The stand-ins
-- are written here once more, not read from the extension's mapping: it is what is being tested.
\set QUIET on
SET client_min_messages = warning;
BEGIN;

CREATE SCHEMA rules;

CREATE FUNCTION rules.id(label text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN label ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN label::uuid ELSE md5(label)::uuid END
$$;

-- The column of this database for a canonical one; NULL where it has none.
CREATE FUNCTION rules.site_column(in_table text, canonical text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT a.attname::text
    FROM pg_attribute AS a
   WHERE a.attrelid = to_regclass(quote_ident(in_table)) AND a.attnum > 0 AND NOT a.attisdropped
     AND a.attname IN (canonical,
           (SELECT s.site
              FROM (VALUES ('allergies', 'isActive', 'active'), ('allergies', 'reaction', 'reactions'),
                           ('chronic_conditions', 'managementPlan', 'carePlan'),
                           ('chronic_conditions', 'emergencyProcedure', 'emergencyProtocol'),
                           ('health_records', 'recordedBy', 'createdBy'), ('incident_reports', 'reporterId', 'reportedById'),
                           ('medication_logs', 'dosageGiven', 'dosage'), ('vaccinations', 'dosage', 'dosageAmount'),
                           ('vital_signs', 'systolic', 'bloodPressureSystolic'),
                           ('vital_signs', 'diastolic', 'bloodPressureDiastolic')) AS s (of_table, of_column, site)
             WHERE s.of_table = in_table AND s.of_column = canonical))
   ORDER BY a.attname = canonical DESC
   LIMIT 1
$$;

CREATE FUNCTION rules.has(in_table text, canonical text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT rules.site_column(in_table, canonical) IS NOT NULL
$$;

-- Whether a canonical column may be NULL on this database.
CREATE FUNCTION rules.nullable(in_table text, canonical text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT a.attnotnull FROM pg_attribute AS a
   WHERE a.attrelid = to_regclass(quote_ident(in_table)) AND a.attname = rules.site_column(in_table, canonical)
$$;

-- The columns and values of this database for a row of canonical ones.
CREATE FUNCTION rules.translate(in_table text, given jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  translated jsonb := '{}';
  entry record;
  target text;
  target_type regtype;
BEGIN
  FOR entry IN SELECT key, value FROM jsonb_each(given) LOOP
    target := rules.site_column(in_table, entry.key);
    IF target IS NULL THEN
      IF (in_table, entry.key) NOT IN (
           ('allergies', 'schoolId'), ('appointments', 'schoolId'), ('appointments', 'location'), ('health_records', 'isActive'),
           ('health_records', 'schoolId'), ('medication_logs', 'studentMedicationId'), ('medication_logs', 'medicationId'),
           ('medication_logs', 'witnessed'), ('medication_logs', 'witnessedBy'), ('student_medications', 'scheduledTimes'),
           ('student_medications', 'requiresWitness'), ('student_medications', 'schoolId'), ('student_medications', 'deletedAt')) THEN
        RAISE 'a test names column %.% that no database has', in_table, entry.key;
      END IF;
      CONTINUE;
    END IF;
    SELECT a.atttypid INTO target_type FROM pg_attribute AS a WHERE a.attrelid = to_regclass(quote_ident(in_table)) AND a.attname = target;
    translated := translated || jsonb_build_object(target, CASE
      WHEN target_type = 'uuid'::regtype THEN to_jsonb(rules.id(entry.value #>> '{}'))
      WHEN target_type = 'timestamptz'::regtype AND entry.value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
        THEN to_jsonb(((entry.value #>> '{}')::date + time '12:00') AT TIME ZONE 'America/New_York')
      ELSE entry.value END);
  END LOOP;
  RETURN translated;
END
$$;

-- Inserts a row; columns that must not be NULL and that nobody cares about get a value of their type.
CREATE FUNCTION rules.put(in_table text, given jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  usual jsonb := CASE in_table
    WHEN 'student_medications' THEN '{"dosage": "5 mg", "startDate": "2024-01-01", "isActive": true}'
    WHEN 'medications' THEN '{"name": "Aspirin", "isActive": true}'
    WHEN 'students' THEN '{"dateOfBirth": "2012-06-01", "enrollmentDate": "2023-09-01", "grade": "3", "isActive": true}'
    WHEN 'allergies' THEN '{"allergen": "Peanut", "allergyType": "FOOD", "severity": "MILD", "isActive": true}'
    WHEN 'health_records' THEN '{"recordType": "CHECKUP", "recordDate": "2024-03-01", "isActive": true}'
    WHEN 'vaccinations' THEN '{"administrationDate": "2024-01-10", "complianceStatus": "COMPLIANT"}'
    WHEN 'appointments' THEN '{"type": "SCREENING", "status": "SCHEDULED", "duration": 30}'
    ELSE '{}' END::jsonb;
  complete jsonb;
  new_id uuid := coalesce(rules.id(given ->> 'id'), gen_random_uuid());
BEGIN
  complete := usual || given || jsonb_build_object('id', new_id);
  IF in_table = 'medication_logs' AND complete ? 'studentMedicationId' THEN
    SELECT complete || jsonb_build_object('studentId', sm."studentId", 'medicationId', sm."medicationId") INTO STRICT complete
      FROM student_medications AS sm WHERE sm.id = rules.id(complete ->> 'studentMedicationId');
  END IF;
  complete := rules.translate(in_table, complete);
  SELECT coalesce(jsonb_object_agg(a.attname, CASE
           WHEN a.atttypid = 'uuid'::regtype THEN to_jsonb(gen_random_uuid())
           WHEN a.atttypid = 'timestamptz'::regtype THEN '"2024-01-01T12:00:00Z"'
           WHEN a.atttypid = 'date'::regtype THEN '"2024-01-01"'
           WHEN a.atttypid IN ('jsonb'::regtype, 'json'::regtype) THEN '[]'
           WHEN t.typcategory = 'N' THEN '20'
           WHEN t.typcategory = 'E' THEN (SELECT to_jsonb(e.enumlabel) FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1)
           -- A number or name of its own: some are unique.
           WHEN a.atttypmod < 0 OR a.atttypmod >= 40 THEN to_jsonb(new_id)
           ELSE '"x"' END), '{}') || complete
    INTO complete
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
   WHERE a.attrelid = to_regclass(quote_ident(in_table)) AND a.attnum > 0 AND a.attnotnull AND NOT a.atthasdef AND NOT complete ? a.attname;
  EXECUTE (SELECT format('INSERT INTO %1$I (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$I, $1)', in_table,
                         string_agg(quote_ident(k), ', ')) FROM jsonb_object_keys(complete) AS k)
    USING complete;
  RETURN new_id;
END
$$;

CREATE FUNCTION rules.change(in_table text, label text, given jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  translated jsonb := rules.translate(in_table, given);
BEGIN
  EXECUTE (SELECT format('UPDATE %1$I AS t SET (%2$s) = (SELECT %2$s FROM jsonb_populate_record(NULL::%1$I, $1)) WHERE t.id = $2',
                         in_table, string_agg(quote_ident(k), ', ')) FROM jsonb_object_keys(translated) AS k)
    USING translated, rules.id(label);
END
$$;

CREATE FUNCTION rules.school(label text) RETURNS uuid LANGUAGE sql AS $$
  SELECT rules.put('schools', jsonb_build_object('id', label, 'name', label))
$$;

CREATE FUNCTION rules.nurse(label text) RETURNS uuid LANGUAGE sql AS $$
  SELECT rules.put('users', jsonb_build_object('id', label, 'firstName', label, 'lastName', 'Nurse', 'email', label))
$$;

CREATE FUNCTION rules.student(label text, given jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
  SELECT rules.put('students', jsonb_build_object('id', label, 'studentNumber', label, 'firstName', label, 'lastName', 'Student') || given)
$$;

-- Refreshes the views in this session, the clock standing at that time of New York: which views failed, NULL where none did.
CREATE FUNCTION rules.refresh_failures(local_now timestamp) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('whitecross.now', (local_now AT TIME ZONE 'America/New_York')::text, true);
  RETURN (SELECT string_agg(format('%s: %s %s', r.view_name, r.status, r.sqlstate), ', ')
            FROM wc_refresh_all(workers => 0) AS r WHERE r.status <> 'refreshed');
END
$$;

CREATE FUNCTION rules.refresh(local_now timestamp) RETURNS text LANGUAGE sql AS $$
  SELECT is(rules.refresh_failures(local_now), NULL, format('all views are refreshed at %s', local_now))
$$;

-- The row of a view by its first column. Moments are shown in UTC, whatever the session's TimeZone.
CREATE FUNCTION rules.row(of_view text, label text) RETURNS jsonb LANGUAGE plpgsql STABLE SET TimeZone = 'UTC' AS $$
DECLARE
  found_row jsonb;
BEGIN
  EXECUTE format('SELECT to_jsonb(v) FROM %I AS v WHERE v.%I = $1', of_view,
                 (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = of_view::regclass AND a.attnum = 1))
    INTO found_row USING rules.id(label);
  RETURN found_row;
END
$$;

-- TAP lines: the column of a view's row; whether the row is there.
CREATE FUNCTION rules.shows(of_view text, label text, of_column text, wanted text, description text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  found_row jsonb := rules.row(of_view, label);
BEGIN
  IF found_row IS NULL OR NOT found_row ? of_column THEN
    RETURN fail(description) || E'\n' || diag(format('%s has no row %s with a column %s', of_view, label, of_column));
  END IF;
  RETURN is(found_row ->> of_column, wanted, description);
END
$$;

CREATE FUNCTION rules.moment(of_view text, label text, of_column text, local_time timestamp, description text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  found_row jsonb := rules.row(of_view, label);
BEGIN
  IF found_row IS NULL OR NOT found_row ? of_column THEN
    RETURN fail(description) || E'\n' || diag(format('%s has no row %s with a column %s', of_view, label, of_column));
  END IF;
  RETURN is((found_row ->> of_column)::timestamptz, local_time AT TIME ZONE 'America/New_York', description);
END
$$;

-- TAP lines: a row is taken by the table, or refused with 23514 by the constraint of that name.
CREATE FUNCTION rules.accepts(in_table text, given jsonb, description text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  violated text;
BEGIN
  PERFORM rules.put(in_table, given);
  RETURN pass(description);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
  RETURN fail(description) || E'\n' || diag(SQLSTATE, ' ', violated);
END
$$;

CREATE FUNCTION rules.refuses(in_table text, given jsonb, constraint_name text, description text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  violated text;
BEGIN
  PERFORM rules.put(in_table, given);
  RETURN fail(description) || E'\n' || diag('the row was accepted');
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
  RETURN is(SQLSTATE || ' ' || violated, '23514 ' || constraint_name, description);
END
$$;

DO $$
BEGIN
  PERFORM wc_configure('timezone', 'America/New_York');
  PERFORM wc_install();
END
$$;
SELECT * FROM no_plan();

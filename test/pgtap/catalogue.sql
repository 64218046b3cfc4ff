-- Properties of the installed catalogue. The lists are written out here by hand from the specification: names, columns in
-- their order, what each database lacks and why.
-- databases: reference platform
SELECT * FROM no_plan();

CREATE TEMP TABLE site AS
SELECT to_regclass('districts') IS NOT NULL AS platform;
CREATE FUNCTION pg_temp.on_platform() RETURNS boolean LANGUAGE sql AS 'SELECT platform FROM site';

-- ---- What there is. An index: key columns, INCLUDE columns, predicate; of the platform where it differs ('-': not there).
CREATE TEMP TABLE index_of (kind text, name text, relation text, key_columns text, included text, predicate text,
  platform_key text, platform_included text, platform_predicate text);
INSERT INTO index_of VALUES
('covering', 'idx_students_health_dashboard', 'students', 'id isActive', 'firstName lastName grade studentNumber nurseId schoolId dateOfBirth', NULL, NULL, NULL, NULL),
('covering', 'idx_students_school_lookup', 'students', 'schoolId isActive grade', 'id firstName lastName studentNumber nurseId', NULL, NULL, NULL, NULL),
('covering', 'idx_medication_logs_history', 'medication_logs', 'studentMedicationId administeredAt-', 'status dosageGiven administeredBy witnessed witnessedBy', NULL,
  'studentId medicationId administeredAt-', 'status dosage administeredBy', NULL),
('covering', 'idx_medication_logs_by_student', 'medication_logs', 'studentId administeredAt-', 'studentMedicationId status dosageGiven administeredBy', NULL,
  NULL, 'medicationId status dosage administeredBy', NULL),
('covering', 'idx_medication_logs_by_nurse', 'medication_logs', 'administeredBy administeredAt-', 'studentId studentMedicationId status dosageGiven', NULL,
  NULL, 'studentId medicationId status dosage', NULL),
('covering', 'idx_appointments_calendar', 'appointments', 'nurseId scheduledAt- status', 'studentId type duration reason', NULL, NULL, NULL, NULL),
('covering', 'idx_appointments_by_student', 'appointments', 'studentId scheduledAt-', 'nurseId type status duration reason', NULL, NULL, NULL, NULL),
('covering', 'idx_appointments_by_school', 'appointments', 'schoolId scheduledAt- status', 'studentId nurseId type duration', NULL, '-', NULL, NULL),
('covering', 'idx_health_records_by_student', 'health_records', 'studentId recordDate- isActive', 'recordType diagnosis recordedBy id', NULL,
  'studentId recordDate-', 'recordType createdBy id', NULL),
('covering', 'idx_health_records_by_type', 'health_records', 'recordType recordDate- isActive', 'studentId diagnosis recordedBy', NULL,
  'recordType recordDate-', 'studentId createdBy', NULL),
('covering', 'idx_allergies_by_student', 'allergies', 'studentId isActive', 'allergyType allergen severity epiPenRequired epiPenLocation', NULL, 'studentId active', NULL, NULL),
('covering', 'idx_chronic_conditions_by_student', 'chronic_conditions', 'studentId isActive', 'condition severity', NULL, NULL, NULL, NULL),
('covering', 'idx_vaccinations_by_student', 'vaccinations', 'studentId administrationDate-', 'vaccineType dosage complianceStatus administeredBy nextDueDate', NULL,
  NULL, 'vaccineType dosageAmount complianceStatus administeredBy nextDueDate', NULL),
('covering', 'idx_incident_reports_by_student', 'incident_reports', 'studentId occurredAt-', 'reporterId type status severity location', NULL,
  NULL, 'reportedById type status severity location', NULL),
('covering', 'idx_incident_reports_by_reporter', 'incident_reports', 'reporterId occurredAt- status', 'studentId type severity', NULL, 'reportedById occurredAt- status', NULL, NULL),

('partial', 'idx_active_students_school_grade', 'students', 'schoolId grade nurseId', '', '"isActive" AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_active_students_nurse', 'students', 'nurseId grade', '', '"isActive" AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_active_students_search', 'students', 'lastName firstName studentNumber', '', '"isActive" AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_upcoming_appointments_nurse', 'appointments', 'nurseId scheduledAt', '', 'status IN (''SCHEDULED'', ''CONFIRMED'') AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_upcoming_appointments_student', 'appointments', 'studentId scheduledAt', '', 'status IN (''SCHEDULED'', ''CONFIRMED'') AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_upcoming_appointments_school', 'appointments', 'schoolId scheduledAt status', '', 'status IN (''SCHEDULED'', ''CONFIRMED'') AND "deletedAt" IS NULL', '-', NULL, NULL),
('partial', 'idx_pending_incidents_reporter', 'incident_reports', 'reporterId occurredAt-', '', 'status IN (''DRAFT'', ''PENDING_REVIEW'') AND "deletedAt" IS NULL', 'reportedById occurredAt-', NULL, NULL),
('partial', 'idx_pending_incidents_student', 'incident_reports', 'studentId occurredAt-', '', 'status IN (''DRAFT'', ''PENDING_REVIEW'') AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_pending_incidents_school', 'incident_reports', 'schoolId status occurredAt-', '', 'status IN (''DRAFT'', ''PENDING_REVIEW'') AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_active_student_medications', 'student_medications', 'studentId startDate endDate', '', '"isActive" AND "deletedAt" IS NULL', NULL, NULL, '"isActive"'),
('partial', 'idx_active_medications_school', 'student_medications', 'schoolId studentId', '', '"isActive" AND "deletedAt" IS NULL', '-', NULL, NULL),
('partial', 'idx_controlled_medications_active', 'student_medications', 'studentId medicationId startDate', '', '"isActive" AND "requiresWitness" AND "deletedAt" IS NULL', '-', NULL, NULL),
('partial', 'idx_current_health_records_student', 'health_records', 'studentId recordDate- recordType', '', '"isActive" AND "deletedAt" IS NULL', NULL, NULL, '"deletedAt" IS NULL'),
('partial', 'idx_current_health_records_school', 'health_records', 'schoolId recordType recordDate-', '', '"isActive" AND "deletedAt" IS NULL', '-', NULL, NULL),
('partial', 'idx_active_allergies_student', 'allergies', 'studentId severity allergyType', '', '"isActive" AND "deletedAt" IS NULL', NULL, NULL, 'active AND "deletedAt" IS NULL'),
('partial', 'idx_severe_allergies_school', 'allergies', 'schoolId studentId allergyType', '', '"isActive" AND severity IN (''SEVERE'', ''LIFE_THREATENING'') AND "deletedAt" IS NULL', '-', NULL, NULL),
('partial', 'idx_epipen_required_students', 'allergies', 'studentId epiPenLocation', '', '"isActive" AND "epiPenRequired" AND "deletedAt" IS NULL', NULL, NULL, 'active AND "epiPenRequired" AND "deletedAt" IS NULL'),
('partial', 'idx_active_chronic_conditions_student', 'chronic_conditions', 'studentId severity', '', '"isActive" AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_overdue_vaccinations', 'vaccinations', 'studentId nextDueDate vaccineType', '',
  '"complianceStatus" IN (''NON_COMPLIANT'', ''OVERDUE'') AND "nextDueDate" IS NOT NULL AND "deletedAt" IS NULL', NULL, NULL, NULL),
('partial', 'idx_upcoming_vaccinations', 'vaccinations', 'studentId nextDueDate vaccineType', '', '"nextDueDate" IS NOT NULL AND "deletedAt" IS NULL', NULL, NULL, NULL),

('composite', 'idx_health_records_student_type_date', 'health_records', 'studentId recordType recordDate', '', NULL, NULL, NULL, NULL),
('composite', 'idx_health_records_student_confidential', 'health_records', 'studentId isConfidential', '', NULL, NULL, NULL, NULL),
('composite', 'idx_health_records_type_confidential_date', 'health_records', 'recordType isConfidential recordDate', '', NULL, NULL, NULL, NULL),
('composite', 'idx_health_records_provider_date', 'health_records', 'provider recordDate', '', NULL, NULL, NULL, NULL),
('composite', 'idx_health_records_diagnosis_code', 'health_records', 'diagnosisCode', '', NULL, NULL, NULL, NULL),
('composite', 'idx_appointments_student_scheduled', 'appointments', 'studentId scheduledAt', '', NULL, NULL, NULL, NULL),
('composite', 'idx_appointments_nurse_scheduled', 'appointments', 'nurseId scheduledAt', '', NULL, NULL, NULL, NULL),
('composite', 'idx_appointments_status_scheduled', 'appointments', 'status scheduledAt', '', NULL, NULL, NULL, NULL),
('composite', 'idx_appointments_student_status_scheduled', 'appointments', 'studentId status scheduledAt', '', NULL, NULL, NULL, NULL),
('composite', 'idx_appointments_type_status_scheduled', 'appointments', 'type status scheduledAt', '', NULL, NULL, NULL, NULL),
('composite', 'idx_appointments_recurring_group', 'appointments', 'recurringGroupId', '', NULL, NULL, NULL, NULL),
('composite', 'idx_medications_active_name', 'medications', 'isActive name', '', NULL, NULL, NULL, NULL),
('composite', 'idx_medications_controlled_schedule', 'medications', 'isControlled deaSchedule', '', NULL, NULL, NULL, NULL),
('composite', 'idx_medications_form_active', 'medications', 'dosageForm isActive', '', NULL, NULL, NULL, NULL),

('view', 'mv_student_health_summary_pkey', 'mv_student_health_summary', 'studentId', '', NULL, NULL, NULL, NULL),
('view', 'mv_student_health_summary_school_grade', 'mv_student_health_summary', 'schoolId grade isActive', '', NULL, NULL, NULL, NULL),
('view', 'mv_student_health_summary_nurse', 'mv_student_health_summary', 'nurseId isActive', '', NULL, NULL, NULL, NULL),
('view', 'mv_compliance_status_pkey', 'mv_compliance_status', 'studentId', '', NULL, NULL, NULL, NULL),
('view', 'mv_compliance_status_school', 'mv_compliance_status', 'schoolId overallComplianceStatus', '', NULL, NULL, NULL, NULL),
('view', 'mv_compliance_status_nurse', 'mv_compliance_status', 'nurseId overallComplianceStatus', '', NULL, NULL, NULL, NULL),
('view', 'mv_compliance_status_non_compliant', 'mv_compliance_status', 'schoolId', '', '"overallComplianceStatus" IN (''NON_COMPLIANT'', ''PAST_DUE'')', NULL, NULL, NULL),
('view', 'mv_medication_schedule_pkey', 'mv_medication_schedule', 'studentMedicationId', '', NULL, NULL, NULL, NULL),
('view', 'mv_medication_schedule_student', 'mv_medication_schedule', 'studentId', '', NULL, NULL, NULL, NULL),
('view', 'mv_medication_schedule_school', 'mv_medication_schedule', 'schoolId nurseId', '', NULL, NULL, NULL, NULL),
('view', 'mv_medication_schedule_nurse', 'mv_medication_schedule', 'nurseId', '', NULL, NULL, NULL, NULL),
('view', 'mv_medication_schedule_due_now', 'mv_medication_schedule', 'schoolId nurseId', '', '"isDueNow"', NULL, NULL, NULL),
('view', 'mv_allergy_summary_pkey', 'mv_allergy_summary', 'studentId', '', NULL, NULL, NULL, NULL),
('view', 'mv_allergy_summary_school', 'mv_allergy_summary', 'schoolId alertLevel', '', NULL, NULL, NULL, NULL),
('view', 'mv_allergy_summary_epipen', 'mv_allergy_summary', 'schoolId', '', '"requiresEpiPen"', NULL, NULL, NULL),
('view', 'mv_appointment_statistics_pkey', 'mv_appointment_statistics', 'nurseId schoolId date', '', NULL, NULL, NULL, NULL),
('view', 'mv_appointment_statistics_nurse_date', 'mv_appointment_statistics', 'nurseId date-', '', NULL, NULL, NULL, NULL),
('view', 'mv_appointment_statistics_school_date', 'mv_appointment_statistics', 'schoolId date-', '', NULL, NULL, NULL, NULL);

SELECT is((SELECT array_agg(kind || ' ' || n ORDER BY kind) FROM (SELECT kind, count(*) AS n FROM index_of GROUP BY kind) AS k),
          ARRAY['composite 14', 'covering 15', 'partial 20', 'view 18'], 'the list here is complete');

CREATE TEMP TABLE wanted AS
SELECT kind, name, relation, coalesce(CASE WHEN pg_temp.on_platform() THEN platform_key END, key_columns) AS key_columns,
       coalesce(CASE WHEN pg_temp.on_platform() THEN platform_included END, included) AS included,
       coalesce(CASE WHEN pg_temp.on_platform() THEN platform_predicate END, predicate) AS predicate
  FROM index_of;

-- Reads pg_index, with '-' behind a descending key, in the server's default order of NULLs for each direction.
CREATE TEMP VIEW present AS
SELECT c.relname::text AS name, t.relname::text AS relation, i.indisunique AS is_unique, i.indnullsnotdistinct AS nulls_not_distinct,
       i.indisvalid AND i.indisready AND i.indislive AS usable, am.amname::text AS method,
       (SELECT string_agg(a.attname || CASE WHEN o.bits & 1 = 1 THEN '-' ELSE '' END
                          || CASE WHEN (o.bits & 2 = 2) <> (o.bits & 1 = 1) THEN ' in another order of NULLs' ELSE '' END, ' ' ORDER BY k.n)
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
          JOIN unnest(i.indoption::int2[]) WITH ORDINALITY AS o (bits, n) USING (n)
          JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
         WHERE k.n <= i.indnkeyatts) AS key_columns,
       coalesce((SELECT string_agg(a.attname, ' ' ORDER BY k.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
          JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n > i.indnkeyatts), '') AS included,
       pg_get_expr(i.indpred, i.indrelid) AS predicate, i.indexrelid
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_am AS am ON am.oid = c.relam
 WHERE c.relnamespace = 'public'::regnamespace;

SELECT set_eq('SELECT name FROM wc_objects() WHERE kind IN (''covering index'', ''partial index'', ''composite index'', ''view index'')',
              'SELECT name FROM wanted', 'every index of the specification is managed, and no other');
SELECT is((SELECT p.relation || ': ' || p.key_columns || ' INCLUDE ' || p.included || ' BY ' || p.method FROM present AS p WHERE p.name = w.name),
          w.relation || ': ' || w.key_columns || ' INCLUDE ' || w.included || ' BY btree', w.name || ' has its columns')
  FROM wanted AS w WHERE w.key_columns <> '-' ORDER BY w.name;
SELECT is((SELECT count(*) FROM present AS p WHERE p.name = w.name), 0::bigint, w.name || ' is not there') FROM wanted AS w WHERE w.key_columns = '-' ORDER BY w.name;
SELECT ok(p.usable, p.name || ' is valid') FROM present AS p JOIN wanted USING (name) ORDER BY p.name;
SELECT is(p.predicate IS NOT NULL, w.predicate IS NOT NULL, w.name || ' has a predicate or none') FROM wanted AS w JOIN present AS p USING (name) ORDER BY w.name;
SELECT set_eq('SELECT name FROM present JOIN wanted USING (name) WHERE is_unique', ARRAY['mv_student_health_summary_pkey', 'mv_compliance_status_pkey',
              'mv_medication_schedule_pkey', 'mv_allergy_summary_pkey', 'mv_appointment_statistics_pkey'], 'each view has one unique index, and no other index is unique');
SELECT set_eq('SELECT name FROM present JOIN wanted USING (name) WHERE nulls_not_distinct', ARRAY['mv_appointment_statistics_pkey'], 'where a key may be NULL, NULLs are not distinct');

-- A predicate holds for the rows that the one written here holds for: over the sample district, some of it made odd.
UPDATE appointments SET status = (ARRAY['SCHEDULED', 'COMPLETED', 'CANCELLED', 'NO_SHOW', 'IN_PROGRESS'])[1 + abs(hashtext(id::text)) % 5];
UPDATE incident_reports SET status = (ARRAY['DRAFT', 'PENDING_REVIEW', 'CLOSED', 'RESOLVED'])[1 + abs(hashtext(id::text)) % 4];
UPDATE vaccinations SET "complianceStatus" = (ARRAY['NON_COMPLIANT', 'OVERDUE', 'COMPLIANT', 'EXEMPT', 'PARTIALLY_COMPLIANT'])[1 + abs(hashtext(id::text)) % 5],
                        "nextDueDate" = CASE WHEN abs(hashtext(id::text || 'd')) % 3 > 0 THEN now() END;
UPDATE allergies SET severity = (ARRAY['MILD', 'MODERATE', 'SEVERE', 'LIFE_THREATENING'])[1 + abs(hashtext(id::text)) % 4];
DO $$
DECLARE c record;
BEGIN
  FOR c IN SELECT format('UPDATE %I SET %I = %s', t, a.attname, CASE WHEN a.attname = 'deletedAt' THEN 'CASE WHEN abs(hashtext(id::text)) % 4 = 0 THEN now() END'
                    ELSE format('abs(hashtext(id::text || %L)) %% 3 > 0', a.attname) END) AS statement
             FROM (SELECT DISTINCT relation AS t FROM wanted WHERE kind <> 'view') AS r JOIN pg_attribute AS a ON a.attrelid = t::regclass
            WHERE a.attname IN ('isActive', 'active', 'requiresWitness', 'deletedAt') AND t <> 'medications' LOOP
    EXECUTE c.statement;
  END LOOP;
END
$$;
CREATE FUNCTION pg_temp.differing(relation text, one text, other text, OUT rows bigint, OUT held bigint) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT count(*) FILTER (WHERE ((%s) IS TRUE) <> ((%s) IS TRUE)), count(*) FILTER (WHERE %2$s) FROM %I', one, other, relation) INTO rows, held;
END
$$;
SELECT is(d.rows, 0::bigint, w.name || ' is of the right rows')
  FROM wanted AS w JOIN present AS p USING (name), pg_temp.differing(w.relation, p.predicate, w.predicate) AS d WHERE w.predicate IS NOT NULL ORDER BY w.name;
SELECT cmp_ok(d.held, '>', 0::bigint, w.name || ' has rows to be of')
  FROM wanted AS w JOIN present AS p USING (name), pg_temp.differing(w.relation, p.predicate, w.predicate) AS d
 WHERE w.predicate IS NOT NULL AND w.kind <> 'view' ORDER BY w.name;

-- ---- Constraints.
CREATE TEMP TABLE constraint_of (name text, relation text);
INSERT INTO constraint_of VALUES ('chk_students_grade_valid', 'students'), ('chk_students_age_range', 'students'),
('chk_medications_controlled_schedule', 'medications'), ('chk_medications_witness_requirement', 'medications'),
('chk_vital_signs_temperature_range', 'vital_signs'), ('chk_vital_signs_heart_rate_range', 'vital_signs'),
('chk_vital_signs_blood_pressure_range', 'vital_signs'), ('chk_vital_signs_diastolic_range', 'vital_signs'),
('chk_appointments_duration_range', 'appointments'), ('chk_allergies_epipen_location', 'allergies'),
('chk_student_medications_dosage_positive', 'student_medications'), ('chk_health_records_record_date', 'health_records'),
('chk_vaccinations_administration_date', 'vaccinations');
SELECT set_eq($$SELECT conname::text, conrelid::regclass::text, contype::text, convalidated, condeferrable FROM pg_constraint WHERE conname LIKE 'chk\_%'$$,
              $$SELECT name, relation, 'c'::text AS type, true AS validated, false AS deferrable FROM constraint_of$$, 'the 13 constraints are there, on their tables, and validated');

-- ---- Views: their columns in order, with the types that the specification fixes.
CREATE TEMP TABLE view_of (name text, columns text);
INSERT INTO view_of VALUES
('mv_student_health_summary', 'studentId studentNumber firstName lastName grade schoolId nurseId dateOfBirth:date isActive:boolean activeHealthRecordsCount:bigint lastHealthRecordDate:date '
 'lastPhysicalExamDate:date lastVisionScreeningDate:date lastHearingScreeningDate:date activeAllergiesCount:bigint severeAllergiesCount:bigint hasEpiPenRequired:boolean epiPenLocation '
 'activeMedicationsCount:bigint controlledMedicationsCount:bigint chronicConditionsCount:bigint vaccinationsCount:bigint compliantVaccinationsCount:bigint '
 'nonCompliantVaccinationsCount:bigint lastDataUpdate:timestamp with time zone'),
('mv_compliance_status', 'studentId schoolId nurseId studentNumber firstName lastName grade compliantVaccinations:bigint nonCompliantVaccinations:bigint exemptVaccinations:bigint '
 'nextVaccinationDue:date overdueVaccinations:bigint lastPhysicalDate:date physicalExamCompliant:boolean lastVisionDate:date visionScreeningCompliant:boolean '
 'lastHearingDate:date hearingScreeningCompliant:boolean overallComplianceStatus:text'),
('mv_medication_schedule', 'studentMedicationId studentId studentNumber studentName grade schoolId nurseId medicationId medicationName medicationGenericName dosage route frequency '
 'scheduledTimes:text[] instructions startDate:date endDate:date requiresWitness:boolean isControlled:boolean deaSchedule:text nextScheduledTime:timestamp with time zone '
 'lastAdministeredAt:timestamp with time zone administeredCountToday:bigint isDueNow:boolean'),
('mv_allergy_summary', 'studentId studentNumber firstName lastName grade schoolId nurseId allergies:jsonb totalAllergies:bigint severeAllergies:bigint moderateAllergies:bigint '
 'requiresEpiPen:boolean epiPenLocations:text alertLevel:text lifeThreateningAllergies:bigint mildAllergies:bigint'),
('mv_appointment_statistics', 'nurseId nurseName schoolId schoolName date:date totalAppointments:bigint completedAppointments:bigint cancelledAppointments:bigint noShowAppointments:bigint '
 'scheduledAppointments:bigint checkupAppointments:bigint medicationAppointments:bigint injuryAppointments:bigint illnessAppointments:bigint avgDuration:numeric totalDuration:bigint '
 'uniqueStudentsSeen:bigint');
CREATE TEMP TABLE view_column AS
SELECT v.name AS view, split_part(c.entry, ':', 1) AS name, nullif(split_part(c.entry, ':', 2), '') AS type, c.n
  FROM view_of AS v, regexp_split_to_table(regexp_replace(v.columns, ' (with|time|zone)', '~\1', 'g'), ' ') WITH ORDINALITY AS c (entry, n);
UPDATE view_column SET type = replace(type, '~', ' ');
SELECT is((SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = c.view::regclass AND a.attnum > 0 AND NOT a.attisdropped),
          string_agg(c.name, ' ' ORDER BY c.n), c.view || ' has its columns, in order')
  FROM view_column AS c GROUP BY c.view ORDER BY c.view;
SELECT is(format_type(a.atttypid, a.atttypmod), c.type, format('%s.%s has its type', c.view, c.name))
  FROM view_column AS c JOIN pg_attribute AS a ON a.attrelid = c.view::regclass AND a.attname = c.name WHERE c.type IS NOT NULL ORDER BY c.view, c.n;
SELECT set_eq($$SELECT matviewname::text, ispopulated FROM pg_matviews$$, $$SELECT name, true AS populated FROM view_of$$, 'the five views are there, and populated');
SELECT isnt(col_description(c.view::regclass, a.attnum), NULL, format('%s.%s has a comment', c.view, c.name))
  FROM view_column AS c JOIN pg_attribute AS a ON a.attrelid = c.view::regclass AND a.attname = c.name ORDER BY c.view, c.n;

-- ---- What wc_objects() says of all that.
SELECT is((SELECT string_agg(n, ', ' ORDER BY n) FROM (SELECT kind || ' ' || status || ' ' || count(*) AS n FROM wc_objects() WHERE kind NOT IN ('trigger', 'refresh index') GROUP BY kind, status) AS o),
  CASE WHEN pg_temp.on_platform()
       THEN 'check constraint installed 13, composite index adopted 14, covering index installed 14, covering index not applicable 1, '
            || 'materialized view installed 5, partial index installed 15, partial index not applicable 5, view index installed 18'
       ELSE 'check constraint installed 13, composite index installed 14, covering index installed 15, materialized view installed 5, '
            || 'partial index installed 20, view index installed 18' END, 'every object is accounted for');
SELECT results_eq($$SELECT name, reason FROM wc_objects() WHERE status = 'not applicable' ORDER BY name$$,
  $$SELECT name, format('column %s of table %s is absent', col, tab) FROM (VALUES
      ('idx_active_medications_school', 'schoolId', 'student_medications'), ('idx_appointments_by_school', 'schoolId', 'appointments'),
      ('idx_controlled_medications_active', 'requiresWitness', 'student_medications'), ('idx_current_health_records_school', 'schoolId', 'health_records'),
      ('idx_severe_allergies_school', 'schoolId', 'allergies'), ('idx_upcoming_appointments_school', 'schoolId', 'appointments')) AS n (name, col, tab)
    WHERE pg_temp.on_platform() ORDER BY name$$, 'what is not applicable has the reason of the specification');
SELECT set_eq('SELECT name FROM wc_objects() WHERE reason LIKE ''left out: %''',
  CASE WHEN pg_temp.on_platform()
       THEN ARRAY['idx_medication_logs_history', 'idx_appointments_calendar', 'idx_health_records_by_student', 'idx_health_records_by_type', 'idx_allergies_by_student',
                  'idx_chronic_conditions_by_student']
       ELSE ARRAY['idx_medication_logs_history', 'idx_appointments_calendar', 'idx_allergies_by_student', 'idx_chronic_conditions_by_student'] END,
  'what was left out of an index stands in its reason');
SELECT is_empty('SELECT name FROM wc_objects() WHERE status = ''installed'' AND NOT validated', 'all of it is validated and valid');

-- ---- Comments, links, membership.
CREATE TEMP VIEW managed AS
SELECT o.kind, o.name, o.status, x.class, x.oid FROM wc_objects() AS o,
 LATERAL (SELECT 'pg_constraint'::regclass AS class, k.oid FROM pg_constraint AS k WHERE o.kind = 'check constraint' AND k.conname = o.name AND k.conrelid = o.table_name::regclass
          UNION ALL SELECT 'pg_class'::regclass, to_regclass(o.name)::oid WHERE o.kind <> 'check constraint' AND to_regclass(o.name) IS NOT NULL) AS x;
SELECT is((SELECT count(*) FROM managed), (SELECT count(*) FROM wc_objects() WHERE status IN ('installed', 'adopted') AND kind <> 'trigger'), 'every installed object is in the catalogue');
SELECT isnt(obj_description(oid, class::text), NULL, name || ' has a comment') FROM managed WHERE status = 'installed' ORDER BY name;
SELECT is((SELECT count(*) FROM pg_depend AS d WHERE d.classid = m.class AND d.objid = m.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'),
          CASE m.status WHEN 'installed' THEN 1::bigint ELSE 0::bigint END, m.name || CASE m.status WHEN 'installed' THEN ' is linked to the extension' ELSE ' is adopted, so not linked' END)
  FROM managed AS m ORDER BY m.name;
SELECT is_empty($$SELECT m.name FROM managed AS m JOIN pg_depend AS d ON d.classid = m.class AND d.objid = m.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'$$,
                'no managed object is a member of the extension, or it would be in no dump');
SELECT is_empty($$SELECT i.objoid::regclass FROM pg_init_privs AS i JOIN managed AS m ON m.oid = i.objoid AND m.class = i.classoid$$, 'nor has one initial privileges');
SELECT is_empty($$SELECT m.name FROM managed AS m JOIN pg_rewrite AS r ON r.ev_class = m.oid AND m.class = 'pg_class'::regclass
                    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                   WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_cast'::regclass)$$, 'no view uses a function that is not built in');
SELECT is_empty($$SELECT m.name FROM managed AS m JOIN pg_depend AS d ON d.classid = m.class AND d.objid = m.oid WHERE d.refclassid = 'pg_proc'::regclass$$, 'nor does a constraint or an index');
SELECT is_empty($$SELECT c.relname FROM pg_class AS c JOIN managed AS m ON m.oid = c.oid AND m.class = 'pg_class'::regclass, aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner$$,
                'nobody is granted a view');
SELECT is((SELECT DISTINCT relowner FROM pg_class WHERE relkind = 'm'), (SELECT relowner FROM pg_class WHERE oid = 'students'::regclass), 'the views belong to the owner of students');

-- ---- Members: functions, tables, views, types, event triggers.
CREATE TEMP VIEW member AS
SELECT d.classid AS class, d.objid AS oid FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
 WHERE d.deptype = 'e' AND e.extname = 'whitecross';
CREATE TEMP VIEW member_function AS SELECT p.* FROM pg_proc AS p JOIN member AS m ON m.class = 'pg_proc'::regclass AND m.oid = p.oid;
SELECT isnt(obj_description(p.oid, 'pg_proc'), NULL, p.oid::regprocedure || ' has a comment') FROM member_function AS p ORDER BY p.proname;
SELECT isnt(obj_description(c.oid, 'pg_class'), NULL, c.oid::regclass || ' has a comment')
  FROM member AS m JOIN pg_class AS c ON m.class = 'pg_class'::regclass AND m.oid = c.oid WHERE c.relkind IN ('r', 'v', 'p') ORDER BY c.relname;
SELECT isnt(obj_description(e.oid, 'pg_event_trigger'), NULL, 'event trigger ' || e.evtname || ' has a comment')
  FROM member AS m JOIN pg_event_trigger AS e ON m.class = 'pg_event_trigger'::regclass AND m.oid = e.oid ORDER BY e.evtname;
SELECT is((SELECT count(*) FROM pg_class WHERE relname ~ '^wc_' AND relkind IN ('r', 'v')), (SELECT count(*) FROM member AS m JOIN pg_class AS c ON m.oid = c.oid
           WHERE m.class = 'pg_class'::regclass AND c.relkind IN ('r', 'v')), 'every table and view of ours is a member');
SELECT matches(p.proname::text, '^wc_', p.proname || ' begins with wc_') FROM member_function AS p ORDER BY p.proname;
-- Transaction control excludes a SET clause: a procedure writes its names out. What fires for every row written looks no name up, and a SET clause
-- would cost each writer. A cached query runs as its caller would run it.
SELECT ok('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), p.oid::regprocedure || ' pins search_path')
  FROM member_function AS p WHERE p.prokind = 'f' AND p.proname NOT IN ('wc_capture', 'wc_ignore_replicated', 'wc_cached', 'wc_cached_json') ORDER BY p.proname;
SELECT unalike(p.prosrc, '% FROM wc\_%', p.oid::regprocedure || ' qualifies names') FROM member_function AS p WHERE p.prokind = 'p' ORDER BY p.proname;
-- What changes something is for nobody until somebody says so; the rest is a list. A cached query runs with its caller's rights, and only who may alter a
-- role can lock it.
SELECT ok(NOT EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g WHERE g.grantee = 0), p.oid::regprocedure || ' is revoked from PUBLIC')
  FROM member_function AS p WHERE p.provolatile = 'v' AND p.proname NOT IN ('wc_cached', 'wc_cached_json', 'wc_lock_role') ORDER BY p.proname;
SELECT set_has($$SELECT p.proname::text FROM member_function AS p WHERE p.provolatile = 'v'$$,
  $$SELECT unnest(ARRAY['wc_install', 'wc_retire', 'wc_suspend_views', 'wc_disable', 'wc_enable', 'wc_validate', 'wc_enforce', 'wc_configure', 'wc_map_column', 'wc_create_base_tables',
        'wc_add_view', 'wc_remove_view', 'wc_refresh', 'wc_refresh_all', 'wc_refresh_group', 'wc_schedule', 'wc_unschedule', 'wc_set_schedule', 'wc_apply_session_limits', 'wc_reset_session_limits', 'wc_reset_query_stats', 'wc_reset_slow_queries', 'wc_reset_n_plus_one', 'wc_reset_constraint_violations'])$$, 'what changes something is known to');
SELECT ok(NOT has_function_privilege('public', 'wc_breaches(text)', 'EXECUTE'), 'wc_breaches(text), which shows keys, is revoked from PUBLIC');
SELECT ok(NOT has_function_privilege('public', f, 'EXECUTE'), f || ', which shows what others do, is revoked from PUBLIC')
  FROM unnest(ARRAY['wc_metrics(text)', 'wc_prometheus()', 'wc_database_metrics(text)', 'wc_server_metrics(text)']) AS f;
SELECT ok(NOT has_table_privilege('public', 'wc_metrics', 'SELECT'), 'and so is their view');
SELECT is_empty($$SELECT m.oid::regclass, g.privilege_type FROM member AS m JOIN pg_class AS c ON m.class = 'pg_class'::regclass AND m.oid = c.oid, aclexplode(c.relacl) AS g
                   WHERE g.grantee = 0 AND g.privilege_type <> 'SELECT'$$, 'tables of ours can be read, not written');
SELECT set_eq($$SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'whitecross'$$,
              ARRAY['wc_site_setting', 'wc_site_mapping', 'wc_registry', 'wc_site_schedule', 'wc_site_view'], 'the site''s values, and no other table, are dumped');

SELECT * FROM finish();

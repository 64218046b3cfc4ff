-- Fills the White Cross application's own tables (test/fixtures/platform.sql is a copy of them) with a sample district:
-- the one that examples/reference/generate.sql makes from the same parameters, as far as these tables can hold it.
--
--   psql -d DATABASE -v students=5000 -v seed=1 -f examples/platform/generate.sql
--
-- Where the platform differs: dates are moments there; no appointment is CONFIRMED; a health record can't be inactive, so
-- it is deleted; a student's medication can't be deleted, so it and its doses are left out; no dose is without a moment
-- of administration. examples/README.md says what the parameters mean. All or nothing: one transaction.

\ir ../district/parameters.sql
\ir ../district/people.sql
\ir ../district/records.sql
\ir ../district/care.sql

BEGIN;

-- Compiling these long expressions costs more than it saves, and no two rows have the same dice to remember.
SET LOCAL jit = off;
SET LOCAL enable_memoize = off;

INSERT INTO districts (id, name, code, city, state, "createdAt", "updatedAt")
SELECT pg_temp.id('district', 0, 0), 'Sample School District', 'DIST-1', 'Northfield', 'NY',
       pg_temp.at(date :'anchor' - 3000, time '09:00'), pg_temp.at(date :'anchor' - 3000, time '09:00');
\echo districts :ROW_COUNT

INSERT INTO schools (id, name, code, "districtId", address, city, phone, "createdAt", "updatedAt", "deletedAt", "isActive")
SELECT id, name, code, pg_temp.id('district', 0, 0), address, city, phone, created_at, created_at, deleted_at, deleted_at IS NULL
  FROM sample_schools ORDER BY number;
\echo schools :ROW_COUNT

-- Nobody can sign in with these: '!' is the hash of no password.
INSERT INTO users (id, email, password, "firstName", "lastName", role, "schoolId", "districtId", "isActive", "createdAt", "updatedAt", "deletedAt")
SELECT id, email, '!', given, family, role::enum_users_role, school_id, pg_temp.id('district', 0, 0), is_active, created_at, created_at, deleted_at
  FROM sample_users ORDER BY number;
\echo users :ROW_COUNT

INSERT INTO medications (id, name, "genericName", "dosageForm", strength, "isControlled", "deaSchedule", "requiresWitness", "isActive",
                         "createdAt", "updatedAt", "deletedAt")
SELECT id, name, generic, form, strength, controlled, schedule::"enum_medications_deaSchedule", witness, is_active, created_at, created_at,
       deleted_at
  FROM sample_medications ORDER BY number;
\echo medications :ROW_COUNT

INSERT INTO students (id, "studentNumber", "firstName", "lastName", "dateOfBirth", grade, gender, "medicalRecordNum", "isActive",
                      "enrollmentDate", "nurseId", "schoolId", "districtId", "createdAt", "updatedAt", "deletedAt")
SELECT id, student_number, given, family, date_of_birth, grade, gender, 'MRN-' || student_number, is_active, enrolled_at, nurse_id,
       school_id, pg_temp.id('district', 0, 0), created_at, updated_at, deleted_at
  FROM sample_students;
\echo students :ROW_COUNT

INSERT INTO health_records (id, "studentId", "recordType", "recordDate", title, description, provider, diagnosis, "diagnosisCode",
                            "isConfidential", "createdBy", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), type::"enum_health_records_recordType", pg_temp.at(day, time '12:00'), title, description,
       provider, diagnosis, code, confidential, recorded_by, pg_temp.at(day, time '12:00'), updated_at,
       CASE WHEN is_active IS NOT FALSE THEN deleted_at ELSE coalesce(deleted_at, updated_at) END
  FROM sample_health_records;
\echo health_records :ROW_COUNT

INSERT INTO allergies (id, "studentId", allergen, "allergyType", severity, reactions, "epiPenRequired", "epiPenLocation", active,
                       verified, "createdBy", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), allergen, type, severity, jsonb_build_array(reaction), epipen_required, epipen_location,
       is_active, true, recorded_by, updated_at, updated_at, deleted_at
  FROM sample_allergies;
\echo allergies :ROW_COUNT

INSERT INTO vaccinations (id, "studentId", "vaccineName", "vaccineType", "doseNumber", "administrationDate", "administeredBy",
                          "dosageAmount", "nextDueDate", "complianceStatus", "exemptionStatus", "exemptionReason", "createdBy",
                          "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), name, type, dose_number, pg_temp.at(day, time '13:00'), administered_by, amount, next_due,
       status, exemption IS NOT NULL, exemption, recorded_by, pg_temp.at(day, time '13:00'), updated_at, deleted_at
  FROM sample_vaccinations;
\echo vaccinations :ROW_COUNT

INSERT INTO chronic_conditions (id, "studentId", condition, "icdCode", "diagnosedDate", status, severity, "carePlan", "emergencyProtocol",
                                "isActive", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), condition, code, diagnosed, status, severity, plan, emergency, is_active,
       updated_at, updated_at, deleted_at
  FROM sample_conditions;
\echo chronic_conditions :ROW_COUNT

INSERT INTO incident_reports (id, "studentId", "reportedById", "schoolId", type, severity, status, description, location, "actionsTaken",
                              "parentNotified", "occurredAt", "createdBy", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), reporter_id, school_id, type, severity, status, description, location, actions,
       true, occurred_at, reporter_id, occurred_at, occurred_at, deleted_at
  FROM sample_incidents;
\echo incident_reports :ROW_COUNT

INSERT INTO vital_signs (id, "studentId", "measurementDate", temperature, "temperatureUnit", "heartRate", "bloodPressureSystolic",
                         "bloodPressureDiastolic", "oxygenSaturation", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), measured_at, temperature, unit::"enum_vital_signs_temperatureUnit", heart_rate, systolic,
       diastolic, oxygen, measured_at, measured_at, deleted_at
  FROM sample_vital_signs;
\echo vital_signs :ROW_COUNT

INSERT INTO student_medications (id, "studentId", "medicationId", dosage, frequency, route, instructions, "startDate", "endDate",
                                 "isActive", "prescribedBy", "createdBy", "createdAt", "updatedAt")
SELECT id, pg_temp.id('student', student, 0), medication_id, amount || ' ' || unit, frequency, route, instructions,
       pg_temp.at(starts, time '08:00'), pg_temp.at(ends, time '08:00'), is_active, prescriber, recorded_by, updated_at, updated_at
  FROM sample_student_medications
 WHERE deleted_at IS NULL;
\echo student_medications :ROW_COUNT

INSERT INTO medication_logs (id, "studentId", "medicationId", dosage, "dosageUnit", route, "scheduledAt", "administeredAt",
                             "administeredBy", status, "reasonNotGiven", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), medication_id, amount, unit, route, scheduled_at, coalesce(given_at, scheduled_at),
       given_by, status, reason, coalesce(given_at, scheduled_at), coalesce(given_at, scheduled_at), deleted_at
  FROM sample_doses
 WHERE NOT of_deleted;
\echo medication_logs :ROW_COUNT

INSERT INTO appointments (id, "studentId", "nurseId", type, "scheduledAt", duration, status, reason, "recurringGroupId",
                          "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), nurse_id, type, scheduled_at, duration,
       CASE status WHEN 'CONFIRMED' THEN 'SCHEDULED' ELSE status END, reason, series_id, created_at, created_at, deleted_at
  FROM sample_appointments;
\echo appointments :ROW_COUNT

COMMIT;

ANALYZE districts, schools, users, medications, students, health_records, allergies, vaccinations, chronic_conditions, incident_reports,
        vital_signs, student_medications, medication_logs, appointments;

\ir ../district/cleanup.sql

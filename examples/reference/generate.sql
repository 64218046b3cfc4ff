-- Fills the reference tables (examples/reference/schema.sql, or wc_create_base_tables()) with a sample district.
--
--   psql -d DATABASE -v students=5000 -v seed=1 -f examples/reference/generate.sql
--
-- examples/README.md says what the parameters mean. All or nothing: one transaction.

\ir ../district/parameters.sql
\ir ../district/people.sql
\ir ../district/records.sql
\ir ../district/care.sql

BEGIN;

-- Compiling these long expressions costs more than it saves, and no two rows have the same dice to remember.
SET LOCAL jit = off;
SET LOCAL enable_memoize = off;

INSERT INTO schools (id, name, code, address, city, phone, "createdAt", "updatedAt", "deletedAt", "isActive")
SELECT id, name, code, address, city, phone, created_at, created_at, deleted_at, deleted_at IS NULL FROM sample_schools ORDER BY number;
\echo schools :ROW_COUNT

INSERT INTO users (id, email, "firstName", "lastName", role, "schoolId", "isActive", "createdAt", "updatedAt", "deletedAt")
SELECT id, email, given, family, role, school_id, is_active, created_at, created_at, deleted_at FROM sample_users ORDER BY number;
\echo users :ROW_COUNT

INSERT INTO medications (id, name, "genericName", "dosageForm", strength, "isControlled", "deaSchedule", "requiresWitness", "isActive",
                         "createdAt", "updatedAt", "deletedAt")
SELECT id, name, generic, form, strength, controlled, schedule, witness, is_active, created_at, created_at, deleted_at
  FROM sample_medications ORDER BY number;
\echo medications :ROW_COUNT

INSERT INTO students (id, "studentNumber", "firstName", "lastName", "dateOfBirth", grade, gender, "isActive", "enrollmentDate", "nurseId",
                      "schoolId", "createdAt", "updatedAt", "deletedAt")
SELECT id, student_number, given, family, date_of_birth, grade, gender, is_active, enrolled_at, nurse_id, school_id, created_at,
       updated_at, deleted_at
  FROM sample_students;
\echo students :ROW_COUNT

INSERT INTO health_records (id, "studentId", "schoolId", "recordType", "recordDate", title, description, provider, diagnosis,
                            "diagnosisCode", "isConfidential", "recordedBy", "isActive", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), school_id, CASE WHEN type IN ('VISION', 'HEARING') THEN type || '_SCREENING' ELSE type END,
       day, title, description, provider, diagnosis, code, confidential, recorded_by, is_active, pg_temp.at(day, time '12:00'),
       updated_at, deleted_at
  FROM sample_health_records;
\echo health_records :ROW_COUNT

INSERT INTO allergies (id, "studentId", "schoolId", allergen, "allergyType", severity, reaction, "epiPenRequired", "epiPenLocation",
                       "isActive", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), school_id, allergen, type, severity, reaction, epipen_required, epipen_location, is_active,
       updated_at, updated_at, deleted_at
  FROM sample_allergies;
\echo allergies :ROW_COUNT

INSERT INTO vaccinations (id, "studentId", "vaccineName", "vaccineType", "doseNumber", "administrationDate", "administeredBy", dosage,
                          "nextDueDate", "complianceStatus", "exemptionReason", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), name, type, dose_number, day, administered_by, amount, next_due, status, exemption,
       pg_temp.at(day, time '13:00'), updated_at, deleted_at
  FROM sample_vaccinations;
\echo vaccinations :ROW_COUNT

INSERT INTO chronic_conditions (id, "studentId", condition, "icdCode", "diagnosedDate", status, severity, "managementPlan",
                                "emergencyProcedure", "isActive", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), condition, code, diagnosed, status, severity, plan, emergency, is_active,
       updated_at, updated_at, deleted_at
  FROM sample_conditions;
\echo chronic_conditions :ROW_COUNT

INSERT INTO incident_reports (id, "studentId", "reporterId", "schoolId", type, severity, status, description, location, "actionsTaken",
                              "occurredAt", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), reporter_id, school_id, type, severity, status, description, location, actions,
       occurred_at, occurred_at, occurred_at, deleted_at
  FROM sample_incidents;
\echo incident_reports :ROW_COUNT

INSERT INTO vital_signs (id, "studentId", "measurementDate", temperature, "temperatureUnit", "heartRate", systolic, diastolic,
                         "oxygenSaturation", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), measured_at, temperature, unit, heart_rate, systolic, diastolic, oxygen,
       measured_at, measured_at, deleted_at
  FROM sample_vital_signs;
\echo vital_signs :ROW_COUNT

INSERT INTO student_medications (id, "studentId", "medicationId", "schoolId", dosage, frequency, route, instructions, "scheduledTimes",
                                 "startDate", "endDate", "requiresWitness", "isActive", "prescribedBy", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), medication_id, school_id, amount || ' ' || unit, frequency, route, instructions, times,
       starts, ends, requires_witness, is_active, prescriber, updated_at, updated_at, deleted_at
  FROM sample_student_medications;
\echo student_medications :ROW_COUNT

INSERT INTO medication_logs (id, "studentMedicationId", "studentId", "scheduledAt", "administeredAt", "administeredBy", "dosageGiven",
                             status, witnessed, "witnessedBy", "reasonNotGiven", "createdAt", "updatedAt", "deletedAt")
SELECT id, student_medication_id, pg_temp.id('student', student, 0), scheduled_at, given_at,
       CASE WHEN status = 'ADMINISTERED' THEN given_by::text END, CASE WHEN status = 'ADMINISTERED' THEN amount || ' ' || unit END,
       status, witnessed, CASE WHEN witnessed THEN witness_id END, reason, coalesce(given_at, scheduled_at), coalesce(given_at, scheduled_at),
       deleted_at
  FROM sample_doses;
\echo medication_logs :ROW_COUNT

INSERT INTO appointments (id, "studentId", "nurseId", "schoolId", type, "scheduledAt", duration, status, reason, location,
                          "recurringGroupId", "createdAt", "updatedAt", "deletedAt")
SELECT id, pg_temp.id('student', student, 0), nurse_id, school_id, type, scheduled_at, duration, status, reason, location, series_id,
       created_at, created_at, deleted_at
  FROM sample_appointments;
\echo appointments :ROW_COUNT

COMMIT;

ANALYZE schools, users, medications, students, health_records, allergies, vaccinations, chronic_conditions, incident_reports,
        vital_signs, student_medications, medication_logs, appointments;

\ir ../district/cleanup.sql

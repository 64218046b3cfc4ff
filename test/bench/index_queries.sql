-- For each covering, partial and composite index: a query that an application sends and that the index is there for.
--
-- index_query: the name of the index, what the query is for, and the query over the reference tables; platform_query is
-- the same over the White Cross application's tables, where names there are different ('' where the index does not apply);
-- psql's variable kind says which of the two databases this is.
-- A word in braces is a value that the application would have at hand, taken from the data by index_query_value.
-- A query that is to be answered from a covering index alone can't ask for deletedAt, which is in none of them.

CREATE TEMPORARY TABLE index_query_value (name text PRIMARY KEY, value text NOT NULL);
INSERT INTO index_query_value
SELECT 'today', current_date::text
UNION ALL SELECT 'now', now()::text
UNION ALL (SELECT 'school', "schoolId"::text FROM students WHERE "isActive" AND "deletedAt" IS NULL ORDER BY "studentNumber" LIMIT 1)
UNION ALL (SELECT 'nurse', "nurseId"::text FROM students WHERE "isActive" AND "nurseId" IS NOT NULL ORDER BY "studentNumber" LIMIT 1)
UNION ALL (SELECT 'student', id::text FROM students WHERE "isActive" AND "deletedAt" IS NULL ORDER BY "studentNumber" LIMIT 1)
UNION ALL (SELECT 'medicated', "studentId"::text FROM medication_logs GROUP BY "studentId" ORDER BY count(*) DESC, "studentId" LIMIT 1)
UNION ALL (SELECT 'allergic', "studentId"::text FROM allergies GROUP BY "studentId" ORDER BY count(*) DESC, "studentId" LIMIT 1)
UNION ALL (SELECT 'chronic', "studentId"::text FROM chronic_conditions GROUP BY "studentId" ORDER BY count(*) DESC, "studentId" LIMIT 1)
UNION ALL (SELECT 'injured', "studentId"::text FROM incident_reports ORDER BY "studentId" LIMIT 1)
UNION ALL (SELECT 'series', "recurringGroupId"::text FROM appointments WHERE "recurringGroupId" IS NOT NULL ORDER BY id LIMIT 1)
UNION ALL (SELECT 'class', string_agg(quote_literal(id), ', ') FROM (
             SELECT s.id FROM students AS s WHERE s."isActive" AND s."deletedAt" IS NULL AND s."schoolId" = (
                    SELECT f."schoolId" FROM students AS f ORDER BY f."studentNumber" LIMIT 1)
              ORDER BY s."lastName", s."firstName", s.id LIMIT 25) AS class);

CREATE TEMPORARY TABLE index_query (
  position integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  index_name text NOT NULL UNIQUE,
  name text NOT NULL,
  query text NOT NULL,
  platform_query text
);

-- Covering indexes.
INSERT INTO index_query (index_name, name, query, platform_query) VALUES
('idx_students_health_dashboard', 'Head of a student''s dashboard',
 $$SELECT "firstName", "lastName", grade, "studentNumber", "nurseId", "schoolId", "dateOfBirth"
     FROM students WHERE id = {student} AND "isActive"$$, NULL),
('idx_students_school_lookup', 'Roster of a school, by grade',
 $$SELECT id, "firstName", "lastName", grade, "studentNumber", "nurseId"
     FROM students WHERE "schoolId" = {school} AND "isActive" ORDER BY grade$$, NULL),
('idx_medication_logs_history', 'Last doses of a student''s medication',
 $$SELECT "administeredAt", status, "dosageGiven", "administeredBy", witnessed, "witnessedBy"
     FROM medication_logs
    WHERE "studentMedicationId" = (SELECT "studentMedicationId" FROM medication_logs WHERE "studentId" = {medicated} LIMIT 1)
    ORDER BY "administeredAt" DESC LIMIT 20$$,
 $$SELECT "administeredAt", status, dosage, "administeredBy"
     FROM medication_logs
    WHERE "studentId" = {medicated}
      AND "medicationId" = (SELECT "medicationId" FROM student_medications WHERE "studentId" = {medicated} LIMIT 1)
    ORDER BY "administeredAt" DESC LIMIT 20$$),
('idx_medication_logs_by_student', 'Last doses of a student, of any medication',
 $$SELECT "administeredAt", "studentMedicationId", status, "dosageGiven", "administeredBy"
     FROM medication_logs WHERE "studentId" = {medicated} ORDER BY "administeredAt" DESC LIMIT 20$$,
 $$SELECT "administeredAt", "medicationId", status, dosage, "administeredBy"
     FROM medication_logs WHERE "studentId" = {medicated} ORDER BY "administeredAt" DESC LIMIT 20$$),
('idx_medication_logs_by_nurse', 'What a nurse gave in the last week',
 $$SELECT "administeredAt", "studentId", "studentMedicationId", status, "dosageGiven"
     FROM medication_logs
    WHERE "administeredBy" = {nurse} AND "administeredAt" >= date {today} - 7 ORDER BY "administeredAt" DESC$$,
 $$SELECT "administeredAt", "studentId", "medicationId", status, dosage
     FROM medication_logs
    WHERE "administeredBy" = {nurse} AND "administeredAt" >= date {today} - 7 ORDER BY "administeredAt" DESC$$),
('idx_appointments_calendar', 'A nurse''s calendar of a week',
 $$SELECT "scheduledAt", status, "studentId", type, duration, reason
     FROM appointments
    WHERE "nurseId" = {nurse} AND "scheduledAt" >= date {today} - 7 AND "scheduledAt" < date {today}
    ORDER BY "scheduledAt" DESC$$, NULL),
('idx_appointments_by_student', 'Appointments of a student, latest first',
 $$SELECT "scheduledAt", "nurseId", type, status, duration, reason
     FROM appointments WHERE "studentId" = {student} ORDER BY "scheduledAt" DESC LIMIT 20$$, NULL),
('idx_appointments_by_school', 'Appointments of a school in the last week',
 $$SELECT "scheduledAt", status, "studentId", "nurseId", type, duration
     FROM appointments
    WHERE "schoolId" = {school} AND "scheduledAt" >= date {today} - 7 AND "scheduledAt" < date {today}
    ORDER BY "scheduledAt" DESC$$, ''),
('idx_health_records_by_student', 'Health records of a student, latest first',
 $$SELECT id, "recordDate", "recordType", diagnosis, "recordedBy", "isActive"
     FROM health_records WHERE "studentId" = {student} ORDER BY "recordDate" DESC LIMIT 20$$,
 $$SELECT id, "recordDate", "recordType", "createdBy"
     FROM health_records WHERE "studentId" = {student} ORDER BY "recordDate" DESC LIMIT 20$$),
('idx_health_records_by_type', 'Injuries of the last two weeks, with their diagnosis',
 $$SELECT "recordDate", "studentId", diagnosis, "recordedBy"
     FROM health_records
    WHERE "recordType" = 'INJURY' AND "recordDate" >= date {today} - 14 AND "isActive" ORDER BY "recordDate" DESC$$,
 $$SELECT "recordDate", "studentId", "createdBy"
     FROM health_records
    WHERE "recordType" = 'INJURY' AND "recordDate" >= date {today} - 14 ORDER BY "recordDate" DESC$$),
('idx_allergies_by_student', 'Allergies of a student',
 $$SELECT "allergyType", allergen, severity, "epiPenRequired", "epiPenLocation"
     FROM allergies WHERE "studentId" = {allergic} AND "isActive"$$,
 $$SELECT "allergyType", allergen, severity, "epiPenRequired", "epiPenLocation"
     FROM allergies WHERE "studentId" = {allergic} AND active$$),
('idx_chronic_conditions_by_student', 'Chronic conditions of a student',
 $$SELECT condition, severity FROM chronic_conditions WHERE "studentId" = {chronic} AND "isActive"$$, NULL),
('idx_vaccinations_by_student', 'Vaccination record of a student',
 $$SELECT "administrationDate", "vaccineType", dosage, "complianceStatus", "administeredBy", "nextDueDate"
     FROM vaccinations WHERE "studentId" = {student} ORDER BY "administrationDate" DESC$$,
 $$SELECT "administrationDate", "vaccineType", "dosageAmount", "complianceStatus", "administeredBy", "nextDueDate"
     FROM vaccinations WHERE "studentId" = {student} ORDER BY "administrationDate" DESC$$),
('idx_incident_reports_by_student', 'Incidents of a student, latest first',
 $$SELECT "occurredAt", "reporterId", type, status, severity, location
     FROM incident_reports WHERE "studentId" = {injured} ORDER BY "occurredAt" DESC$$,
 $$SELECT "occurredAt", "reportedById", type, status, severity, location
     FROM incident_reports WHERE "studentId" = {injured} ORDER BY "occurredAt" DESC$$),
('idx_incident_reports_by_reporter', 'Latest incidents that a nurse reported',
 $$SELECT "occurredAt", status, "studentId", type, severity
     FROM incident_reports WHERE "reporterId" = {nurse} ORDER BY "occurredAt" DESC LIMIT 20$$,
 $$SELECT "occurredAt", status, "studentId", type, severity
     FROM incident_reports WHERE "reportedById" = {nurse} ORDER BY "occurredAt" DESC LIMIT 20$$);

-- Partial indexes.
INSERT INTO index_query (index_name, name, query, platform_query) VALUES
('idx_active_students_school_grade', 'How many students each nurse has in each grade of a school',
 $$SELECT grade, "nurseId", count(*) FROM students
    WHERE "schoolId" = {school} AND "isActive" AND "deletedAt" IS NULL GROUP BY grade, "nurseId"$$, NULL),
('idx_active_students_nurse', 'A nurse''s students of a grade',
 $$SELECT * FROM students WHERE "nurseId" = {nurse} AND grade = '3' AND "isActive" AND "deletedAt" IS NULL$$, NULL),
('idx_active_students_search', 'A page of the directory of students',
 $$SELECT id, "lastName", "firstName", "studentNumber", grade FROM students
    WHERE "isActive" AND "deletedAt" IS NULL AND ("lastName", "firstName") > ('Garcia', 'Ana')
    ORDER BY "lastName", "firstName", "studentNumber" LIMIT 25$$, NULL),
('idx_upcoming_appointments_nurse', 'A nurse''s next appointments',
 $$SELECT * FROM appointments
    WHERE "nurseId" = {nurse} AND status IN ('SCHEDULED', 'CONFIRMED') AND "deletedAt" IS NULL AND "scheduledAt" >= {now}
    ORDER BY "scheduledAt" LIMIT 10$$, NULL),
('idx_upcoming_appointments_student', 'The next appointment of each student of a class',
 $$SELECT "studentId", min("scheduledAt") FROM appointments
    WHERE "studentId" IN ({class}) AND status IN ('SCHEDULED', 'CONFIRMED') AND "deletedAt" IS NULL AND "scheduledAt" >= {now}
    GROUP BY "studentId"$$, NULL),
('idx_upcoming_appointments_school', 'What is booked at a school today and tomorrow',
 $$SELECT * FROM appointments
    WHERE "schoolId" = {school} AND status IN ('SCHEDULED', 'CONFIRMED') AND "deletedAt" IS NULL
      AND "scheduledAt" >= date {today} AND "scheduledAt" < date {today} + 2
    ORDER BY "scheduledAt"$$, ''),
('idx_pending_incidents_reporter', 'Reports that a nurse has to finish',
 $$SELECT * FROM incident_reports
    WHERE "reporterId" = {nurse} AND status IN ('DRAFT', 'PENDING_REVIEW') AND "deletedAt" IS NULL ORDER BY "occurredAt" DESC$$,
 $$SELECT * FROM incident_reports
    WHERE "reportedById" = {nurse} AND status IN ('DRAFT', 'PENDING_REVIEW') AND "deletedAt" IS NULL ORDER BY "occurredAt" DESC$$),
('idx_pending_incidents_student', 'Which students of a class have an incident under review',
 $$SELECT "studentId", max("occurredAt") FROM incident_reports
    WHERE "studentId" IN ({class}) AND status IN ('DRAFT', 'PENDING_REVIEW') AND "deletedAt" IS NULL GROUP BY "studentId"$$, NULL),
('idx_pending_incidents_school', 'Reports to be reviewed at a school',
 $$SELECT * FROM incident_reports
    WHERE "schoolId" = {school} AND status = 'PENDING_REVIEW' AND "deletedAt" IS NULL ORDER BY "occurredAt" DESC$$, NULL),
('idx_active_student_medications', 'Medications that a student takes today',
 $$SELECT * FROM student_medications
    WHERE "studentId" = {medicated} AND "isActive" AND "deletedAt" IS NULL
      AND "startDate" <= {today} AND ("endDate" IS NULL OR "endDate" >= {today})$$,
 $$SELECT * FROM student_medications
    WHERE "studentId" = {medicated} AND "isActive" AND "startDate" <= {now} AND ("endDate" IS NULL OR "endDate" >= {now})$$),
('idx_active_medications_school', 'Students of a school who take medication',
 $$SELECT DISTINCT "studentId" FROM student_medications WHERE "schoolId" = {school} AND "isActive" AND "deletedAt" IS NULL$$, ''),
('idx_controlled_medications_active', 'Register of controlled medications',
 $$SELECT "studentId", "medicationId", "startDate" FROM student_medications
    WHERE "isActive" AND "requiresWitness" AND "deletedAt" IS NULL ORDER BY "studentId", "medicationId"$$, ''),
('idx_current_health_records_student', 'The latest records of a student, by type',
 $$SELECT "recordType", "recordDate" FROM health_records
    WHERE "studentId" = {student} AND "isActive" AND "deletedAt" IS NULL ORDER BY "recordDate" DESC$$,
 $$SELECT "recordType", "recordDate" FROM health_records
    WHERE "studentId" = {student} AND "deletedAt" IS NULL ORDER BY "recordDate" DESC$$),
('idx_current_health_records_school', 'Injuries at a school in the last month',
 $$SELECT * FROM health_records
    WHERE "schoolId" = {school} AND "recordType" = 'INJURY' AND "isActive" AND "deletedAt" IS NULL AND "recordDate" >= date {today} - 30
    ORDER BY "recordDate" DESC$$, ''),
('idx_active_allergies_student', 'What a student is allergic to, by severity',
 $$SELECT severity, "allergyType" FROM allergies
    WHERE "studentId" = {allergic} AND "isActive" AND "deletedAt" IS NULL ORDER BY severity, "allergyType"$$,
 $$SELECT severity, "allergyType" FROM allergies
    WHERE "studentId" = {allergic} AND active AND "deletedAt" IS NULL ORDER BY severity, "allergyType"$$),
('idx_severe_allergies_school', 'Severe allergies of a school',
 $$SELECT * FROM allergies
    WHERE "schoolId" = {school} AND "isActive" AND severity IN ('SEVERE', 'LIFE_THREATENING') AND "deletedAt" IS NULL$$, ''),
('idx_epipen_required_students', 'How many EpiPens are kept where',
 $$SELECT "epiPenLocation", count(DISTINCT "studentId") FROM allergies
    WHERE "isActive" AND "epiPenRequired" AND "deletedAt" IS NULL GROUP BY "epiPenLocation"$$,
 $$SELECT "epiPenLocation", count(DISTINCT "studentId") FROM allergies
    WHERE active AND "epiPenRequired" AND "deletedAt" IS NULL GROUP BY "epiPenLocation"$$),
('idx_active_chronic_conditions_student', 'How severe a student''s conditions are',
 $$SELECT severity FROM chronic_conditions
    WHERE "studentId" = {chronic} AND "isActive" AND "deletedAt" IS NULL ORDER BY severity$$, NULL),
('idx_overdue_vaccinations', 'Vaccinations recorded as overdue, longest first',
 $$SELECT "studentId", "nextDueDate", "vaccineType" FROM vaccinations
    WHERE "complianceStatus" IN ('NON_COMPLIANT', 'OVERDUE') AND "nextDueDate" < {today} AND "deletedAt" IS NULL
    ORDER BY "nextDueDate"$$, NULL),
('idx_upcoming_vaccinations', 'Vaccinations of a student that come due',
 $$SELECT "nextDueDate", "vaccineType" FROM vaccinations
    WHERE "studentId" = {student} AND "nextDueDate" >= {today} AND "deletedAt" IS NULL ORDER BY "nextDueDate"$$, NULL);

-- Composite indexes.
INSERT INTO index_query (index_name, name, query, platform_query) VALUES
('idx_health_records_student_type_date', 'The last vision screening of a student',
 $$SELECT * FROM health_records
    WHERE "studentId" = {student} AND "recordType" = 'VISION_SCREENING' AND "deletedAt" IS NULL ORDER BY "recordDate" DESC LIMIT 1$$,
 $$SELECT * FROM health_records
    WHERE "studentId" = {student} AND "recordType" = 'VISION' AND "deletedAt" IS NULL ORDER BY "recordDate" DESC LIMIT 1$$),
('idx_health_records_student_confidential', 'Confidential records of a student',
 $$SELECT * FROM health_records WHERE "studentId" = {student} AND "isConfidential" AND "deletedAt" IS NULL$$, NULL),
('idx_health_records_type_confidential_date', 'Confidential counselling of the last month',
 $$SELECT * FROM health_records
    WHERE "recordType" = 'COUNSELING' AND "isConfidential" AND "recordDate" >= date {today} - 30 AND "deletedAt" IS NULL
    ORDER BY "recordDate" DESC$$, NULL),
('idx_health_records_provider_date', 'What a provider examined yesterday',
 $$SELECT * FROM health_records
    WHERE provider = 'County Pediatrics' AND "recordDate" >= date {today} - 1 AND "recordDate" < date {today} AND "deletedAt" IS NULL$$, NULL),
('idx_health_records_diagnosis_code', 'How often a diagnosis was made',
 $$SELECT count(*) FROM health_records WHERE "diagnosisCode" = 'R50.9'$$, NULL),
('idx_appointments_student_scheduled', 'Appointments of a class in a month, student by student',
 $$SELECT * FROM appointments
    WHERE "studentId" IN ({class}) AND "scheduledAt" >= date {today} - 30 AND "scheduledAt" < {today} AND "deletedAt" IS NULL
    ORDER BY "studentId", "scheduledAt"$$, NULL),
('idx_appointments_nurse_scheduled', 'How many appointments a nurse had on each day of half a year',
 $$SELECT "scheduledAt"::date, count(*) FROM appointments
    WHERE "nurseId" = {nurse} AND "scheduledAt" >= date {today} - 180 AND "scheduledAt" < {today} GROUP BY 1$$, NULL),
('idx_appointments_status_scheduled', 'Who did not come in the last week',
 $$SELECT * FROM appointments
    WHERE status = 'NO_SHOW' AND "scheduledAt" >= date {today} - 7 AND "scheduledAt" < {today} AND "deletedAt" IS NULL
    ORDER BY "scheduledAt"$$, NULL),
('idx_appointments_student_status_scheduled', 'When a student was seen last',
 $$SELECT * FROM appointments
    WHERE "studentId" = {student} AND status = 'COMPLETED' AND "deletedAt" IS NULL ORDER BY "scheduledAt" DESC LIMIT 1$$, NULL),
('idx_appointments_type_status_scheduled', 'Emergencies of the last week that were dealt with',
 $$SELECT * FROM appointments
    WHERE type = 'EMERGENCY' AND status = 'COMPLETED' AND "scheduledAt" >= date {today} - 7 AND "deletedAt" IS NULL
    ORDER BY "scheduledAt"$$, NULL),
('idx_appointments_recurring_group', 'Appointments of a series',
 $$SELECT * FROM appointments WHERE "recurringGroupId" = {series} AND "deletedAt" IS NULL ORDER BY "scheduledAt"$$, NULL),
('idx_medications_active_name', 'Pick list of active medications',
 $$SELECT id, name, strength, "dosageForm" FROM medications WHERE "isActive" AND name >= 'Cetro' ORDER BY name LIMIT 20$$, NULL),
('idx_medications_controlled_schedule', 'Controlled medications of schedule II',
 $$SELECT * FROM medications WHERE "isControlled" AND "deaSchedule" = 'II' AND "deletedAt" IS NULL$$, NULL),
('idx_medications_form_active', 'Active inhalers',
 $$SELECT * FROM medications WHERE "dosageForm" = 'Inhaler' AND "isActive" AND "deletedAt" IS NULL$$, NULL);

UPDATE index_query SET query = platform_query WHERE platform_query IS NOT NULL AND :'kind' = 'platform';

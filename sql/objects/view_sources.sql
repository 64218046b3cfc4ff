-- What an incremental refresh recomputes after a change: for each view and each table that it reads, the query of the keys
-- (refresh_columns) whose rows may differ once rows of that table have changed.
--
-- {changed: columns} is the changed rows, as they were and as they are, with those canonical columns; the triggers note
-- just the columns that these queries name. The other tables are read as they are now. That is enough: a row that links a
-- changed one to a key, and was itself changed, is in the log with its own key, old and new.
-- LATERAL ... OFFSET 0: from the changed rows, mostly few or none, to the others by an index, whatever the planner would
-- think of numbers that it does not know.
-- A student's medications are looked up as they are indexed: the active ones, and the others (of which a missing isActive
-- counts as active).
-- A table that a view reads on some sites only (a student's school that stands for the appointment's) counts there alone.

INSERT INTO @extschema@.wc_view_source (view_name, table_name, keys) VALUES
('mv_student_health_summary', 'students', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_student_health_summary', 'health_records', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'allergies', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'student_medications', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'chronic_conditions', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'vaccinations', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'medications', $keys$
SELECT sm."studentId"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT m."studentId" FROM {student_medications: studentId, medicationId} AS m
                      WHERE m."medicationId" = c."id" OFFSET 0) AS sm
$keys$),

('mv_compliance_status', 'students', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_compliance_status', 'vaccinations', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_compliance_status', 'health_records', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),

('mv_allergy_summary', 'students', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_allergy_summary', 'allergies', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),

('mv_medication_schedule', 'student_medications', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_medication_schedule', 'medication_logs', $keys$SELECT c."studentMedicationId" FROM {changed: studentMedicationId} AS c$keys$),
('mv_medication_schedule', 'students', $keys$
SELECT sm."id"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT m."id" FROM {student_medications: id, studentId, isActive, deletedAt} AS m
                      WHERE m."studentId" = c."id" AND m."isActive" AND m."deletedAt" IS NULL
                     UNION ALL
                     SELECT m."id" FROM {student_medications: id, studentId, isActive} AS m
                      WHERE m."studentId" = c."id" AND m."isActive" IS NOT TRUE
                     OFFSET 0) AS sm
$keys$),
('mv_medication_schedule', 'medications', $keys$
SELECT sm."id"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT m."id" FROM {student_medications: id, medicationId} AS m WHERE m."medicationId" = c."id" OFFSET 0) AS sm
$keys$),

-- Days that were in the view neither then nor are now have no rows to refresh. The date is that of the view.
('mv_appointment_statistics', 'appointments', $keys$
SELECT c."nurseId",
       CASE WHEN c."scheduledAt" < to_timestamp(9224000000000)
            THEN (c."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END
  FROM {changed: nurseId, scheduledAt} AS c
 WHERE c."scheduledAt" >= (SELECT {then} - interval '92 days')
$keys$),
('mv_appointment_statistics', 'users', $keys$
SELECT p."nurseId",
       CASE WHEN p."scheduledAt" < to_timestamp(9224000000000)
            THEN (p."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT a."nurseId", a."scheduledAt" FROM {appointments: nurseId, scheduledAt} AS a
                      WHERE a."nurseId" = c."id" AND a."scheduledAt" >= (SELECT {then} - interval '92 days') OFFSET 0) AS p
$keys$),
('mv_appointment_statistics', 'students', $keys$
SELECT p."nurseId",
       CASE WHEN p."scheduledAt" < to_timestamp(9224000000000)
            THEN (p."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT a."nurseId", a."scheduledAt" FROM {appointments: nurseId, studentId, scheduledAt} AS a
                      WHERE a."studentId" = c."id" AND a."scheduledAt" >= (SELECT {then} - interval '92 days') OFFSET 0) AS p
$keys$),
-- The school gives a row its name only: the rows are those that the view has.
('mv_appointment_statistics', 'schools', $keys$
SELECT v."nurseId", v."date"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT s."nurseId", s."date" FROM {view} AS s WHERE s."schoolId" = c."id" OFFSET 0) AS v
$keys$);

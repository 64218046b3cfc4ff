-- The dashboards of an application, over the views. {views} is the schema that they are read from: the materialized views,
-- or ordinary views over the base tables that give the same answers. A word in other braces is a value from the data, or
-- NULL for a filter that is not given. 'district' marks what asks for all schools: there is no filter to be had.

-- name: A school's health summary (school, grade and nurse as filters)
SELECT "studentNumber", "firstName", "lastName", grade, "activeAllergiesCount", "severeAllergiesCount", "hasEpiPenRequired",
       "epiPenLocation", "activeMedicationsCount", "controlledMedicationsCount", "chronicConditionsCount", "lastPhysicalExamDate",
       "lastVisionScreeningDate", "vaccinationsCount", "compliantVaccinationsCount", "nonCompliantVaccinationsCount"
  FROM {views}.mv_student_health_summary
 WHERE ({school}::uuid IS NULL OR "schoolId" = {school}) AND ({none}::text IS NULL OR grade = {none})
   AND ({none}::uuid IS NULL OR "nurseId" = {none}) AND "isActive"
 ORDER BY "lastName", "firstName", "studentNumber";

-- name: The same, of one grade and nurse
SELECT "studentNumber", "firstName", "lastName", grade, "activeAllergiesCount", "severeAllergiesCount", "hasEpiPenRequired",
       "epiPenLocation", "activeMedicationsCount", "controlledMedicationsCount", "chronicConditionsCount", "lastPhysicalExamDate",
       "lastVisionScreeningDate", "vaccinationsCount", "compliantVaccinationsCount", "nonCompliantVaccinationsCount"
  FROM {views}.mv_student_health_summary
 WHERE ({school}::uuid IS NULL OR "schoolId" = {school}) AND ({grade}::text IS NULL OR grade = {grade})
   AND ({nurse}::uuid IS NULL OR "nurseId" = {nurse}) AND "isActive"
 ORDER BY "lastName", "firstName", "studentNumber";

-- name: Students of a school who are not compliant
SELECT "studentNumber", "firstName", "lastName", grade, "overallComplianceStatus", "nonCompliantVaccinations", "overdueVaccinations",
       "nextVaccinationDue", "lastPhysicalDate", "physicalExamCompliant"
  FROM {views}.mv_compliance_status
 WHERE ({school}::uuid IS NULL OR "schoolId" = {school})
   AND ({status}::text IS NULL OR "overallComplianceStatus" = {status})
 ORDER BY "lastName", "firstName", "studentNumber";

-- name: What a nurse has to give now
SELECT "studentNumber", "studentName", "medicationName", dosage, route, "nextScheduledTime", "administeredCountToday", "requiresWitness"
  FROM {views}.mv_medication_schedule
 WHERE ({nurse}::uuid IS NULL OR "nurseId" = {nurse}) AND ({none}::uuid IS NULL OR "schoolId" = {none})
   AND ({due}::boolean IS NULL OR "isDueNow" = {due})
 ORDER BY "nextScheduledTime", "studentNumber";

-- name: Medications of a school
SELECT "studentNumber", "studentName", "medicationName", dosage, route, "nextScheduledTime", "lastAdministeredAt",
       "administeredCountToday", "isDueNow"
  FROM {views}.mv_medication_schedule
 WHERE ({none}::uuid IS NULL OR "nurseId" = {none}) AND ({school}::uuid IS NULL OR "schoolId" = {school})
   AND ({none}::boolean IS NULL OR "isDueNow" = {none})
 ORDER BY "studentName", "medicationName";

-- name: Allergy alerts of a school, worst first
SELECT "studentNumber", "firstName", "lastName", grade, "alertLevel", allergies, "requiresEpiPen", "epiPenLocations"
  FROM {views}.mv_allergy_summary
 WHERE "schoolId" = {school} AND "alertLevel" IN ('CRITICAL', 'WARNING')
 ORDER BY "lifeThreateningAllergies" DESC, "severeAllergies" DESC, "lastName", "firstName", "studentNumber";

-- name: Students of a school who need an EpiPen
SELECT "studentNumber", "firstName", "lastName", grade, "epiPenLocations"
  FROM {views}.mv_allergy_summary WHERE "schoolId" = {school} AND "requiresEpiPen" ORDER BY "lastName", "firstName", "studentNumber";

-- name: A nurse's week
SELECT date, "totalAppointments", "completedAppointments", "noShowAppointments", "avgDuration", "totalDuration", "uniqueStudentsSeen"
  FROM {views}.mv_appointment_statistics
 WHERE "nurseId" = {nurse} AND date > current_date - 7 AND date <= current_date
 ORDER BY date;

-- name: Appointments of a school in the last quarter
SELECT date, sum("totalAppointments") AS total, sum("noShowAppointments") AS missed, sum("totalDuration") AS minutes
  FROM {views}.mv_appointment_statistics WHERE "schoolId" = {school} AND date <= current_date GROUP BY date ORDER BY date DESC;

-- name: Compliance by school (district)
SELECT "schoolId", count(*) AS students, count(*) FILTER (WHERE "overallComplianceStatus" = 'COMPLIANT') AS compliant,
       count(*) FILTER (WHERE "overallComplianceStatus" = 'PAST_DUE') AS "pastDue", sum("overdueVaccinations") AS overdue
  FROM {views}.mv_compliance_status GROUP BY "schoolId" ORDER BY "schoolId";

-- name: Students with severe allergies and chronic conditions by grade (district)
SELECT grade, count(*) AS students, sum("severeAllergiesCount") AS allergies, sum("chronicConditionsCount") AS conditions,
       count(*) FILTER (WHERE "hasEpiPenRequired") AS epipens
  FROM {views}.mv_student_health_summary WHERE "isActive" GROUP BY grade ORDER BY grade;

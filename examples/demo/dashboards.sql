-- What a nurse, a school and a district see, read from the materialized views alone (and the schools' names).
-- :clock is the moment for which they were refreshed.

SELECT (:'clock'::timestamptz)::date AS today, to_char(:'clock'::timestamptz, 'FMDay, DD Mon YYYY HH24:MI') AS shown_clock \gset

-- The school with the most students, the grade with the most severe allergies there, and its busiest nurse of this week.
SELECT "schoolId" AS school, schools.name AS school_name
  FROM mv_student_health_summary JOIN schools ON schools.id = "schoolId"
 WHERE mv_student_health_summary."isActive"
 GROUP BY 1, 2 ORDER BY count(*) DESC, 2 LIMIT 1 \gset
SELECT grade FROM mv_student_health_summary
 WHERE "schoolId" = :'school' AND "isActive" GROUP BY 1 ORDER BY sum("severeAllergiesCount") DESC, 1 LIMIT 1 \gset
SELECT "nurseId" AS nurse, "nurseName" AS nurse_name
  FROM mv_appointment_statistics
 WHERE "schoolId" = :'school' AND date >= date_trunc('week', :'today'::date) AND date < date_trunc('week', :'today'::date) + interval '7 days'
 GROUP BY 1, 2 ORDER BY sum("totalAppointments") DESC, 2 LIMIT 1 \gset

\echo
\echo '--- Roster:' :school_name', grade' :grade', students with something to know (first 15)'
SELECT h."lastName" || ', ' || h."firstName" AS student, h."studentNumber" AS number,
       nullif(a."alertLevel", 'NONE') AS allergy_alert,
       CASE WHEN h."hasEpiPenRequired" THEN coalesce(h."epiPenLocation", '?') END AS epipen,
       nullif(h."activeMedicationsCount", 0) AS medications,
       CASE WHEN h."controlledMedicationsCount" > 0 THEN 'yes' END AS controlled,
       nullif(h."chronicConditionsCount", 0) AS conditions,
       nullif(c."overallComplianceStatus", 'COMPLIANT') AS compliance
  FROM mv_student_health_summary AS h
  JOIN mv_allergy_summary AS a USING ("studentId")
  JOIN mv_compliance_status AS c USING ("studentId")
 WHERE h."schoolId" = :'school' AND h.grade = :'grade' AND h."isActive"
   AND (h."activeAllergiesCount" > 0 OR h."activeMedicationsCount" > 0 OR h."chronicConditionsCount" > 0 OR c."overallComplianceStatus" <> 'COMPLIANT')
 ORDER BY 1, 2 LIMIT 15;

\echo '--- Medication due now,' :shown_clock', in the whole district (first 15)'
SELECT m."studentName" AS student, m.grade, schools.name AS school, m."medicationName" AS medication, m.dosage,
       to_char(m."nextScheduledTime", 'HH24:MI') AS next, CASE WHEN m."requiresWitness" THEN 'yes' END AS witness,
       to_char(m."lastAdministeredAt", 'DD Mon HH24:MI') AS last_given, m."administeredCountToday" AS given_today
  FROM mv_medication_schedule AS m JOIN schools ON schools.id = m."schoolId"
 WHERE m."isDueNow"
 ORDER BY school, student, medication LIMIT 15;
SELECT count(*) AS due_now, count(*) FILTER (WHERE "requiresWitness") AS with_a_witness, count(DISTINCT "schoolId") AS schools
  FROM mv_medication_schedule WHERE "isDueNow";

\echo '--- Allergy alerts of' :school_name', worst first (first 15)'
SELECT a."alertLevel" AS alert, a."lastName" || ', ' || a."firstName" AS student, a.grade,
       (SELECT string_agg(format('%s (%s)', e.entry ->> 'allergen', lower(replace(e.entry ->> 'severity', '_', ' '))), ', ' ORDER BY e.position)
          FROM jsonb_array_elements(a.allergies) WITH ORDINALITY AS e (entry, position)) AS allergies,
       a."epiPenLocations" AS epipen
  FROM mv_allergy_summary AS a
 WHERE a."schoolId" = :'school' AND a."alertLevel" <> 'NONE'
 ORDER BY array_position(ARRAY['CRITICAL', 'WARNING', 'INFO'], a."alertLevel"), a."lifeThreateningAllergies" DESC, a."severeAllergies" DESC, student
 LIMIT 15;

\echo '--- Compliance by school'
SELECT schools.name AS school, count(*) AS students,
       count(*) FILTER (WHERE c."overallComplianceStatus" = 'COMPLIANT') AS compliant,
       count(*) FILTER (WHERE c."overallComplianceStatus" = 'PAST_DUE') AS past_due,
       count(*) FILTER (WHERE c."overallComplianceStatus" = 'NON_COMPLIANT') AS non_compliant,
       round(100.0 * count(*) FILTER (WHERE c."overallComplianceStatus" = 'COMPLIANT') / count(*), 1) AS percent,
       count(*) FILTER (WHERE NOT c."physicalExamCompliant") AS no_physical_exam,
       sum(c."overdueVaccinations") AS overdue_vaccinations
  FROM mv_compliance_status AS c JOIN schools ON schools.id = c."schoolId"
 GROUP BY schools.id, schools.name
 ORDER BY percent, school;

\echo '--- The week of nurse' :nurse_name
SELECT to_char(date, 'Dy DD Mon') AS day, "schoolName" AS school, "totalAppointments" AS appointments, "completedAppointments" AS completed,
       "scheduledAppointments" AS to_come, "cancelledAppointments" AS cancelled, "noShowAppointments" AS no_show,
       "medicationAppointments" AS medication, "illnessAppointments" AS illness, "injuryAppointments" AS injury,
       round("avgDuration") AS avg_minutes, "uniqueStudentsSeen" AS students_seen
  FROM mv_appointment_statistics
 WHERE "nurseId" = :'nurse' AND date >= date_trunc('week', :'today'::date) AND date < date_trunc('week', :'today'::date) + interval '7 days'
 ORDER BY date, school;

-- The five views as one would write them first: every child table joined to the student, COUNT(DISTINCT ...) to undo what the
-- joins multiply. Ordinary views in schema obvious_joins; the bench makes materialized ones of them. They give the same
-- answers as the extension's on the sample district, which the bench checks. "Today" is CURRENT_DATE: the session's zone
-- has to be the site's.

CREATE SCHEMA obvious_joins;

CREATE VIEW obvious_joins.mv_student_health_summary AS
SELECT s.id AS "studentId", s."studentNumber", s."firstName", s."lastName", s.grade, s."schoolId", s."nurseId", s."dateOfBirth",
       s."isActive",
       count(DISTINCT h.id) FILTER (WHERE h."isActive" IS NOT FALSE) AS "activeHealthRecordsCount",
       max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE) AS "lastHealthRecordDate",
       max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE AND h."recordType" = 'PHYSICAL_EXAM') AS "lastPhysicalExamDate",
       max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE AND h."recordType" IN ('VISION_SCREENING', 'VISION'))
         AS "lastVisionScreeningDate",
       max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE AND h."recordType" IN ('HEARING_SCREENING', 'HEARING'))
         AS "lastHearingScreeningDate",
       count(DISTINCT a.id) FILTER (WHERE a."isActive" IS NOT FALSE) AS "activeAllergiesCount",
       count(DISTINCT a.id) FILTER (WHERE a."isActive" IS NOT FALSE AND a.severity IN ('SEVERE', 'LIFE_THREATENING'))
         AS "severeAllergiesCount",
       coalesce(bool_or(a."epiPenRequired") FILTER (WHERE a."isActive" IS NOT FALSE), false) AS "hasEpiPenRequired",
       string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation")
         FILTER (WHERE a."isActive" IS NOT FALSE AND a."epiPenRequired") AS "epiPenLocation",
       count(DISTINCT sm.id) FILTER (WHERE sm."isActive" IS NOT FALSE AND sm."startDate" <= current_date
                                       AND (sm."endDate" IS NULL OR sm."endDate" >= current_date)) AS "activeMedicationsCount",
       count(DISTINCT sm.id) FILTER (WHERE sm."isActive" IS NOT FALSE AND sm."startDate" <= current_date
                                       AND (sm."endDate" IS NULL OR sm."endDate" >= current_date)
                                       AND coalesce(sm."requiresWitness", m."requiresWitness")) AS "controlledMedicationsCount",
       count(DISTINCT c.id) FILTER (WHERE c."isActive") AS "chronicConditionsCount",
       count(DISTINCT v.id) AS "vaccinationsCount",
       count(DISTINCT v.id) FILTER (WHERE v."complianceStatus" = 'COMPLIANT') AS "compliantVaccinationsCount",
       count(DISTINCT v.id) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliantVaccinationsCount",
       greatest(s."updatedAt", max(h."updatedAt"), max(a."updatedAt"), max(sm."updatedAt"), max(c."updatedAt"), max(v."updatedAt"))
         AS "lastDataUpdate"
  FROM students AS s
  LEFT JOIN health_records AS h ON h."studentId" = s.id AND h."deletedAt" IS NULL
  LEFT JOIN allergies AS a ON a."studentId" = s.id AND a."deletedAt" IS NULL
  LEFT JOIN student_medications AS sm ON sm."studentId" = s.id AND sm."deletedAt" IS NULL
  LEFT JOIN medications AS m ON m.id = sm."medicationId"
  LEFT JOIN chronic_conditions AS c ON c."studentId" = s.id AND c."deletedAt" IS NULL
  LEFT JOIN vaccinations AS v ON v."studentId" = s.id AND v."deletedAt" IS NULL
 WHERE s."deletedAt" IS NULL
 GROUP BY s.id;

CREATE VIEW obvious_joins.mv_compliance_status AS
SELECT t."studentId", t."schoolId", t."nurseId", t."studentNumber", t."firstName", t."lastName", t.grade,
       t."compliantVaccinations", t."nonCompliantVaccinations", t."exemptVaccinations", t."nextVaccinationDue", t."overdueVaccinations",
       t."lastPhysicalDate", coalesce(t."lastPhysicalDate" >= current_date - interval '1 year', false) AS "physicalExamCompliant",
       t."lastVisionDate", coalesce(t."lastVisionDate" >= current_date - interval '1 year', false) AS "visionScreeningCompliant",
       t."lastHearingDate", coalesce(t."lastHearingDate" >= current_date - interval '1 year', false) AS "hearingScreeningCompliant",
       CASE WHEN t."openNonCompliant" > 0 OR t."lastPhysicalDate" IS NULL OR t."lastPhysicalDate" < current_date - interval '1 year'
            THEN 'NON_COMPLIANT'
            WHEN t."overdueVaccinations" > 0 THEN 'PAST_DUE' ELSE 'COMPLIANT' END AS "overallComplianceStatus"
  FROM (SELECT s.id AS "studentId", s."schoolId", s."nurseId", s."studentNumber", s."firstName", s."lastName", s.grade,
               count(DISTINCT v.id) FILTER (WHERE v."complianceStatus" = 'COMPLIANT') AS "compliantVaccinations",
               count(DISTINCT v.id) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliantVaccinations",
               count(DISTINCT v.id) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT' AND later.id IS NULL) AS "openNonCompliant",
               count(DISTINCT v.id) FILTER (WHERE v."complianceStatus" = 'EXEMPT') AS "exemptVaccinations",
               min(v."nextDueDate") FILTER (WHERE v."nextDueDate" >= current_date AND v."complianceStatus" <> 'EXEMPT'
                                              AND later.id IS NULL) AS "nextVaccinationDue",
               count(DISTINCT v.id) FILTER (WHERE (v."nextDueDate" < current_date OR v."complianceStatus" = 'OVERDUE')
                                              AND v."complianceStatus" <> 'EXEMPT' AND later.id IS NULL) AS "overdueVaccinations",
               max(h."recordDate") FILTER (WHERE h."recordType" = 'PHYSICAL_EXAM') AS "lastPhysicalDate",
               max(h."recordDate") FILTER (WHERE h."recordType" IN ('VISION_SCREENING', 'VISION')) AS "lastVisionDate",
               max(h."recordDate") FILTER (WHERE h."recordType" IN ('HEARING_SCREENING', 'HEARING')) AS "lastHearingDate"
          FROM students AS s
          LEFT JOIN vaccinations AS v ON v."studentId" = s.id AND v."deletedAt" IS NULL
          LEFT JOIN vaccinations AS later ON later."studentId" = v."studentId" AND later."vaccineType" = v."vaccineType"
                                         AND later."administrationDate" > v."administrationDate" AND later."deletedAt" IS NULL
          LEFT JOIN health_records AS h ON h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
         WHERE s."deletedAt" IS NULL AND s."isActive"
         GROUP BY s.id) AS t;

CREATE VIEW obvious_joins.mv_medication_schedule AS
SELECT sm.id AS "studentMedicationId", sm."studentId", s."studentNumber", concat_ws(' ', s."firstName", s."lastName") AS "studentName",
       s.grade, s."schoolId", s."nurseId", sm."medicationId", m.name AS "medicationName", m."genericName" AS "medicationGenericName",
       sm.dosage, sm.route, sm.frequency, sm."scheduledTimes", sm.instructions, sm."startDate", sm."endDate",
       coalesce(sm."requiresWitness", m."requiresWitness", false) AS "requiresWitness",
       coalesce(m."isControlled", false) AS "isControlled", m."deaSchedule",
       min(dose.at) FILTER (WHERE dose.at > now()) AS "nextScheduledTime",
       max(l."administeredAt") AS "lastAdministeredAt",
       count(DISTINCT l.id) FILTER (WHERE l."administeredAt"::date = current_date) AS "administeredCountToday",
       coalesce(bool_or(dose.at <= now() + interval '30 minutes'), false) AS "isDueNow"
  FROM student_medications AS sm
  JOIN students AS s ON s.id = sm."studentId" AND s."isActive" AND s."deletedAt" IS NULL
  JOIN medications AS m ON m.id = sm."medicationId" AND m."deletedAt" IS NULL
  LEFT JOIN medication_logs AS l ON l."studentMedicationId" = sm.id AND l.status = 'ADMINISTERED' AND l."deletedAt" IS NULL
  LEFT JOIN LATERAL (
       SELECT (day + hour::time)::timestamptz AS at
         FROM unnest(sm."scheduledTimes") AS hour
        CROSS JOIN LATERAL (SELECT current_date + n AS day FROM generate_series(-1, 2) AS n) AS days
        WHERE day >= sm."startDate" AND (sm."endDate" IS NULL OR day <= sm."endDate")) AS dose
    ON dose.at >= now() - interval '30 minutes'
   AND NOT EXISTS (SELECT FROM medication_logs AS g
                    WHERE g."studentMedicationId" = sm.id AND g.status = 'ADMINISTERED' AND g."deletedAt" IS NULL
                      AND g."administeredAt" BETWEEN dose.at - interval '30 minutes' AND dose.at + interval '30 minutes')
 WHERE sm."deletedAt" IS NULL AND sm."isActive" IS NOT FALSE
   AND sm."startDate" <= current_date AND (sm."endDate" IS NULL OR sm."endDate" >= current_date)
 GROUP BY sm.id, s.id, m.id;

CREATE VIEW obvious_joins.mv_allergy_summary AS
SELECT s.id AS "studentId", s."studentNumber", s."firstName", s."lastName", s.grade, s."schoolId", s."nurseId",
       coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'allergen', a.allergen, 'allergyType', a."allergyType", 'severity', a.severity,
                                             'reaction', a.reaction, 'epiPenRequired', coalesce(a."epiPenRequired", false),
                                             'epiPenLocation', a."epiPenLocation")
                          ORDER BY array_position('{LIFE_THREATENING,SEVERE,MODERATE,MILD}', a.severity::text), a.allergen, a.id)
                FILTER (WHERE a.id IS NOT NULL), '[]') AS allergies,
       count(a.id) AS "totalAllergies",
       count(a.id) FILTER (WHERE a.severity IN ('SEVERE', 'LIFE_THREATENING')) AS "severeAllergies",
       count(a.id) FILTER (WHERE a.severity = 'MODERATE') AS "moderateAllergies",
       coalesce(bool_or(a."epiPenRequired"), false) AS "requiresEpiPen",
       string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") FILTER (WHERE a."epiPenRequired") AS "epiPenLocations",
       CASE WHEN count(a.id) FILTER (WHERE a.severity IN ('SEVERE', 'LIFE_THREATENING')) > 0 THEN 'CRITICAL'
            WHEN count(a.id) FILTER (WHERE a.severity = 'MODERATE') > 0 THEN 'WARNING'
            WHEN count(a.id) > 0 THEN 'INFO' ELSE 'NONE' END AS "alertLevel",
       count(a.id) FILTER (WHERE a.severity = 'LIFE_THREATENING') AS "lifeThreateningAllergies",
       count(a.id) FILTER (WHERE a.severity = 'MILD') AS "mildAllergies"
  FROM students AS s
  LEFT JOIN allergies AS a ON a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
 WHERE s."deletedAt" IS NULL AND s."isActive"
 GROUP BY s.id;

CREATE VIEW obvious_joins.mv_appointment_statistics AS
SELECT a."nurseId", concat_ws(' ', n."firstName", n."lastName") AS "nurseName", a."schoolId", c.name AS "schoolName",
       a."scheduledAt"::date AS date,
       count(DISTINCT a.id) AS "totalAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.status = 'COMPLETED') AS "completedAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.status = 'CANCELLED') AS "cancelledAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.status = 'NO_SHOW') AS "noShowAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.status IN ('SCHEDULED', 'CONFIRMED')) AS "scheduledAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.type IN ('CHECKUP', 'ROUTINE_CHECKUP')) AS "checkupAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.type IN ('MEDICATION', 'MEDICATION_ADMINISTRATION')) AS "medicationAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.type IN ('INJURY', 'INJURY_ASSESSMENT')) AS "injuryAppointments",
       count(DISTINCT a.id) FILTER (WHERE a.type IN ('ILLNESS', 'ILLNESS_EVALUATION')) AS "illnessAppointments",
       avg(a.duration) FILTER (WHERE a.status = 'COMPLETED') AS "avgDuration",
       coalesce(sum(a.duration) FILTER (WHERE a.status = 'COMPLETED'), 0) AS "totalDuration",
       count(DISTINCT a."studentId") FILTER (WHERE a.status = 'COMPLETED') AS "uniqueStudentsSeen"
  FROM appointments AS a
  JOIN users AS n ON n.id = a."nurseId"
  LEFT JOIN schools AS c ON c.id = a."schoolId"
 WHERE a."deletedAt" IS NULL AND a."scheduledAt"::date >= current_date - 90
 GROUP BY a."nurseId", n."firstName", n."lastName", a."schoolId", c.name, a."scheduledAt"::date;

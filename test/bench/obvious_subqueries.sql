-- The five views as one would write them second: a correlated subquery for each column. Ordinary views in schema
-- obvious_subqueries; otherwise as obvious_joins.sql says.

CREATE SCHEMA obvious_subqueries;

CREATE VIEW obvious_subqueries.mv_student_health_summary AS
SELECT s.id AS "studentId", s."studentNumber", s."firstName", s."lastName", s.grade, s."schoolId", s."nurseId", s."dateOfBirth",
       s."isActive",
       (SELECT count(*) FROM health_records AS h
         WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE) AS "activeHealthRecordsCount",
       (SELECT max(h."recordDate") FROM health_records AS h
         WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE) AS "lastHealthRecordDate",
       (SELECT max(h."recordDate") FROM health_records AS h
         WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
           AND h."recordType" = 'PHYSICAL_EXAM') AS "lastPhysicalExamDate",
       (SELECT max(h."recordDate") FROM health_records AS h
         WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
           AND h."recordType" IN ('VISION_SCREENING', 'VISION')) AS "lastVisionScreeningDate",
       (SELECT max(h."recordDate") FROM health_records AS h
         WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
           AND h."recordType" IN ('HEARING_SCREENING', 'HEARING')) AS "lastHearingScreeningDate",
       (SELECT count(*) FROM allergies AS a
         WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE) AS "activeAllergiesCount",
       (SELECT count(*) FROM allergies AS a
         WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
           AND a.severity IN ('SEVERE', 'LIFE_THREATENING')) AS "severeAllergiesCount",
       EXISTS (SELECT FROM allergies AS a
                WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE AND a."epiPenRequired")
         AS "hasEpiPenRequired",
       (SELECT string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") FROM allergies AS a
         WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE AND a."epiPenRequired") AS "epiPenLocation",
       (SELECT count(*) FROM student_medications AS sm
         WHERE sm."studentId" = s.id AND sm."deletedAt" IS NULL AND sm."isActive" IS NOT FALSE AND sm."startDate" <= current_date
           AND (sm."endDate" IS NULL OR sm."endDate" >= current_date)) AS "activeMedicationsCount",
       (SELECT count(*) FROM student_medications AS sm JOIN medications AS m ON m.id = sm."medicationId"
         WHERE sm."studentId" = s.id AND sm."deletedAt" IS NULL AND sm."isActive" IS NOT FALSE AND sm."startDate" <= current_date
           AND (sm."endDate" IS NULL OR sm."endDate" >= current_date)
           AND coalesce(sm."requiresWitness", m."requiresWitness")) AS "controlledMedicationsCount",
       (SELECT count(*) FROM chronic_conditions AS c
         WHERE c."studentId" = s.id AND c."deletedAt" IS NULL AND c."isActive") AS "chronicConditionsCount",
       (SELECT count(*) FROM vaccinations AS v WHERE v."studentId" = s.id AND v."deletedAt" IS NULL) AS "vaccinationsCount",
       (SELECT count(*) FROM vaccinations AS v
         WHERE v."studentId" = s.id AND v."deletedAt" IS NULL AND v."complianceStatus" = 'COMPLIANT') AS "compliantVaccinationsCount",
       (SELECT count(*) FROM vaccinations AS v
         WHERE v."studentId" = s.id AND v."deletedAt" IS NULL AND v."complianceStatus" = 'NON_COMPLIANT')
         AS "nonCompliantVaccinationsCount",
       greatest(s."updatedAt",
                (SELECT max(h."updatedAt") FROM health_records AS h WHERE h."studentId" = s.id AND h."deletedAt" IS NULL),
                (SELECT max(a."updatedAt") FROM allergies AS a WHERE a."studentId" = s.id AND a."deletedAt" IS NULL),
                (SELECT max(sm."updatedAt") FROM student_medications AS sm WHERE sm."studentId" = s.id AND sm."deletedAt" IS NULL),
                (SELECT max(c."updatedAt") FROM chronic_conditions AS c WHERE c."studentId" = s.id AND c."deletedAt" IS NULL),
                (SELECT max(v."updatedAt") FROM vaccinations AS v WHERE v."studentId" = s.id AND v."deletedAt" IS NULL))
         AS "lastDataUpdate"
  FROM students AS s
 WHERE s."deletedAt" IS NULL;

CREATE VIEW obvious_subqueries.mv_compliance_status AS
SELECT t."studentId", t."schoolId", t."nurseId", t."studentNumber", t."firstName", t."lastName", t.grade,
       t."compliantVaccinations", t."nonCompliantVaccinations", t."exemptVaccinations", t."nextVaccinationDue", t."overdueVaccinations",
       t."lastPhysicalDate", coalesce(t."lastPhysicalDate" >= current_date - interval '1 year', false) AS "physicalExamCompliant",
       t."lastVisionDate", coalesce(t."lastVisionDate" >= current_date - interval '1 year', false) AS "visionScreeningCompliant",
       t."lastHearingDate", coalesce(t."lastHearingDate" >= current_date - interval '1 year', false) AS "hearingScreeningCompliant",
       CASE WHEN EXISTS (SELECT FROM vaccinations AS v
                          WHERE v."studentId" = t."studentId" AND v."deletedAt" IS NULL AND v."complianceStatus" = 'NON_COMPLIANT'
                            AND NOT EXISTS (SELECT FROM vaccinations AS later
                                             WHERE later."studentId" = v."studentId" AND later."vaccineType" = v."vaccineType"
                                               AND later."administrationDate" > v."administrationDate" AND later."deletedAt" IS NULL))
                 OR t."lastPhysicalDate" IS NULL OR t."lastPhysicalDate" < current_date - interval '1 year' THEN 'NON_COMPLIANT'
            WHEN t."overdueVaccinations" > 0 THEN 'PAST_DUE' ELSE 'COMPLIANT' END AS "overallComplianceStatus"
  FROM (SELECT s.id AS "studentId", s."schoolId", s."nurseId", s."studentNumber", s."firstName", s."lastName", s.grade,
               (SELECT count(*) FROM vaccinations AS v
                 WHERE v."studentId" = s.id AND v."deletedAt" IS NULL AND v."complianceStatus" = 'COMPLIANT') AS "compliantVaccinations",
               (SELECT count(*) FROM vaccinations AS v
                 WHERE v."studentId" = s.id AND v."deletedAt" IS NULL AND v."complianceStatus" = 'NON_COMPLIANT')
                 AS "nonCompliantVaccinations",
               (SELECT count(*) FROM vaccinations AS v
                 WHERE v."studentId" = s.id AND v."deletedAt" IS NULL AND v."complianceStatus" = 'EXEMPT') AS "exemptVaccinations",
               (SELECT min(v."nextDueDate") FROM vaccinations AS v
                 WHERE v."studentId" = s.id AND v."deletedAt" IS NULL AND v."complianceStatus" <> 'EXEMPT'
                   AND v."nextDueDate" >= current_date
                   AND NOT EXISTS (SELECT FROM vaccinations AS later
                                    WHERE later."studentId" = v."studentId" AND later."vaccineType" = v."vaccineType"
                                      AND later."administrationDate" > v."administrationDate" AND later."deletedAt" IS NULL))
                 AS "nextVaccinationDue",
               (SELECT count(*) FROM vaccinations AS v
                 WHERE v."studentId" = s.id AND v."deletedAt" IS NULL AND v."complianceStatus" <> 'EXEMPT'
                   AND (v."nextDueDate" < current_date OR v."complianceStatus" = 'OVERDUE')
                   AND NOT EXISTS (SELECT FROM vaccinations AS later
                                    WHERE later."studentId" = v."studentId" AND later."vaccineType" = v."vaccineType"
                                      AND later."administrationDate" > v."administrationDate" AND later."deletedAt" IS NULL))
                 AS "overdueVaccinations",
               (SELECT max(h."recordDate") FROM health_records AS h
                 WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
                   AND h."recordType" = 'PHYSICAL_EXAM') AS "lastPhysicalDate",
               (SELECT max(h."recordDate") FROM health_records AS h
                 WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
                   AND h."recordType" IN ('VISION_SCREENING', 'VISION')) AS "lastVisionDate",
               (SELECT max(h."recordDate") FROM health_records AS h
                 WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
                   AND h."recordType" IN ('HEARING_SCREENING', 'HEARING')) AS "lastHearingDate"
          FROM students AS s
         WHERE s."deletedAt" IS NULL AND s."isActive") AS t;

CREATE VIEW obvious_subqueries.mv_medication_schedule AS
SELECT sm.id AS "studentMedicationId", sm."studentId", s."studentNumber", concat_ws(' ', s."firstName", s."lastName") AS "studentName",
       s.grade, s."schoolId", s."nurseId", sm."medicationId", m.name AS "medicationName", m."genericName" AS "medicationGenericName",
       sm.dosage, sm.route, sm.frequency, sm."scheduledTimes", sm.instructions, sm."startDate", sm."endDate",
       coalesce(sm."requiresWitness", m."requiresWitness", false) AS "requiresWitness",
       coalesce(m."isControlled", false) AS "isControlled", m."deaSchedule",
       (SELECT min((day + hour::time)::timestamptz)
          FROM unnest(sm."scheduledTimes") AS hour
         CROSS JOIN LATERAL (SELECT current_date + n AS day FROM generate_series(0, 2) AS n) AS days
         WHERE day >= sm."startDate" AND (sm."endDate" IS NULL OR day <= sm."endDate") AND (day + hour::time)::timestamptz > now()
           AND NOT EXISTS (SELECT FROM medication_logs AS g
                            WHERE g."studentMedicationId" = sm.id AND g.status = 'ADMINISTERED' AND g."deletedAt" IS NULL
                              AND g."administeredAt" BETWEEN (day + hour::time)::timestamptz - interval '30 minutes'
                                                         AND (day + hour::time)::timestamptz + interval '30 minutes'))
         AS "nextScheduledTime",
       (SELECT max(l."administeredAt") FROM medication_logs AS l
         WHERE l."studentMedicationId" = sm.id AND l.status = 'ADMINISTERED' AND l."deletedAt" IS NULL) AS "lastAdministeredAt",
       (SELECT count(*) FROM medication_logs AS l
         WHERE l."studentMedicationId" = sm.id AND l.status = 'ADMINISTERED' AND l."deletedAt" IS NULL
           AND l."administeredAt"::date = current_date) AS "administeredCountToday",
       EXISTS (SELECT FROM unnest(sm."scheduledTimes") AS hour
                CROSS JOIN LATERAL (SELECT current_date + n AS day FROM generate_series(-1, 1) AS n) AS days
                WHERE day >= sm."startDate" AND (sm."endDate" IS NULL OR day <= sm."endDate")
                  AND (day + hour::time)::timestamptz BETWEEN now() - interval '30 minutes' AND now() + interval '30 minutes'
                  AND NOT EXISTS (SELECT FROM medication_logs AS g
                                   WHERE g."studentMedicationId" = sm.id AND g.status = 'ADMINISTERED' AND g."deletedAt" IS NULL
                                     AND g."administeredAt" BETWEEN (day + hour::time)::timestamptz - interval '30 minutes'
                                                                AND (day + hour::time)::timestamptz + interval '30 minutes'))
         AS "isDueNow"
  FROM student_medications AS sm
  JOIN students AS s ON s.id = sm."studentId" AND s."isActive" AND s."deletedAt" IS NULL
  JOIN medications AS m ON m.id = sm."medicationId" AND m."deletedAt" IS NULL
 WHERE sm."deletedAt" IS NULL AND sm."isActive" IS NOT FALSE
   AND sm."startDate" <= current_date AND (sm."endDate" IS NULL OR sm."endDate" >= current_date);

CREATE VIEW obvious_subqueries.mv_allergy_summary AS
SELECT t."studentId", t."studentNumber", t."firstName", t."lastName", t.grade, t."schoolId", t."nurseId", t.allergies, t."totalAllergies",
       t."severeAllergies", t."moderateAllergies", t."requiresEpiPen", t."epiPenLocations",
       CASE WHEN t."severeAllergies" > 0 THEN 'CRITICAL' WHEN t."moderateAllergies" > 0 THEN 'WARNING'
            WHEN t."totalAllergies" > 0 THEN 'INFO' ELSE 'NONE' END AS "alertLevel",
       t."lifeThreateningAllergies", t."mildAllergies"
  FROM (SELECT s.id AS "studentId", s."studentNumber", s."firstName", s."lastName", s.grade, s."schoolId", s."nurseId",
               (SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'allergen', a.allergen, 'allergyType', a."allergyType",
                                                             'severity', a.severity, 'reaction', a.reaction,
                                                             'epiPenRequired', coalesce(a."epiPenRequired", false),
                                                             'epiPenLocation', a."epiPenLocation")
                                          ORDER BY array_position('{LIFE_THREATENING,SEVERE,MODERATE,MILD}', a.severity::text),
                                                   a.allergen, a.id), '[]')
                  FROM allergies AS a WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE) AS allergies,
               (SELECT count(*) FROM allergies AS a
                 WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE) AS "totalAllergies",
               (SELECT count(*) FROM allergies AS a
                 WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
                   AND a.severity IN ('SEVERE', 'LIFE_THREATENING')) AS "severeAllergies",
               (SELECT count(*) FROM allergies AS a
                 WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
                   AND a.severity = 'MODERATE') AS "moderateAllergies",
               EXISTS (SELECT FROM allergies AS a
                        WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
                          AND a."epiPenRequired") AS "requiresEpiPen",
               (SELECT string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") FROM allergies AS a
                 WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
                   AND a."epiPenRequired") AS "epiPenLocations",
               (SELECT count(*) FROM allergies AS a
                 WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
                   AND a.severity = 'LIFE_THREATENING') AS "lifeThreateningAllergies",
               (SELECT count(*) FROM allergies AS a
                 WHERE a."studentId" = s.id AND a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE
                   AND a.severity = 'MILD') AS "mildAllergies"
          FROM students AS s
         WHERE s."deletedAt" IS NULL AND s."isActive") AS t;

CREATE VIEW obvious_subqueries.mv_appointment_statistics AS
SELECT d."nurseId", concat_ws(' ', n."firstName", n."lastName") AS "nurseName", d."schoolId", c.name AS "schoolName", d.date,
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1) AS "totalAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1 AND a.status = 'COMPLETED') AS "completedAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1 AND a.status = 'CANCELLED') AS "cancelledAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1 AND a.status = 'NO_SHOW') AS "noShowAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1
           AND a.status IN ('SCHEDULED', 'CONFIRMED')) AS "scheduledAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1
           AND a.type IN ('CHECKUP', 'ROUTINE_CHECKUP')) AS "checkupAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1
           AND a.type IN ('MEDICATION', 'MEDICATION_ADMINISTRATION')) AS "medicationAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1
           AND a.type IN ('INJURY', 'INJURY_ASSESSMENT')) AS "injuryAppointments",
       (SELECT count(*) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1
           AND a.type IN ('ILLNESS', 'ILLNESS_EVALUATION')) AS "illnessAppointments",
       (SELECT avg(a.duration) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1 AND a.status = 'COMPLETED') AS "avgDuration",
       (SELECT coalesce(sum(a.duration), 0) FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1 AND a.status = 'COMPLETED') AS "totalDuration",
       (SELECT count(DISTINCT a."studentId") FROM appointments AS a
         WHERE a."nurseId" = d."nurseId" AND a."schoolId" IS NOT DISTINCT FROM d."schoolId" AND a."deletedAt" IS NULL
           AND a."scheduledAt" >= d.date AND a."scheduledAt" < d.date + 1 AND a.status = 'COMPLETED') AS "uniqueStudentsSeen"
  FROM (SELECT DISTINCT a."nurseId", a."schoolId", a."scheduledAt"::date AS date
          FROM appointments AS a
         WHERE a."deletedAt" IS NULL AND a."scheduledAt" >= current_date - 90) AS d
  JOIN users AS n ON n.id = d."nurseId"
  LEFT JOIN schools AS c ON c.id = d."schoolId";

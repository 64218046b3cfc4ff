-- mv_compliance_status: one row for each live, active student.
--
-- A vaccination is superseded by a live one of the same, known type with a strictly later date. Those latest dates are
-- aggregated first and joined: each vaccination meets one row, never the other doses.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, comment, definition) VALUES
('mv_compliance_status', '{studentId}', 'Vaccination and screening compliance of each active student.', $view$
SELECT s."id" AS "studentId", s."schoolId", s."nurseId", s."studentNumber", s."firstName", s."lastName", s."grade",
       coalesce(vaccination."compliant", 0) AS "compliantVaccinations",
       coalesce(vaccination."nonCompliant", 0) AS "nonCompliantVaccinations",
       coalesce(vaccination."exempt", 0) AS "exemptVaccinations",
       vaccination."nextDue" AS "nextVaccinationDue",
       coalesce(vaccination."overdue", 0) AS "overdueVaccinations",
       record."lastPhysical" AS "lastPhysicalDate",
       coalesce(record."lastPhysical" >= (SELECT ({today} - interval '1 year')::date), false) AS "physicalExamCompliant",
       record."lastVision" AS "lastVisionDate",
       coalesce(record."lastVision" >= (SELECT ({today} - interval '1 year')::date), false) AS "visionScreeningCompliant",
       record."lastHearing" AS "lastHearingDate",
       coalesce(record."lastHearing" >= (SELECT ({today} - interval '1 year')::date), false) AS "hearingScreeningCompliant",
       CASE WHEN vaccination."openNonCompliant" > 0 THEN 'NON_COMPLIANT'
            WHEN (record."lastPhysical" >= (SELECT ({today} - interval '1 year')::date)) IS NOT TRUE THEN 'NON_COMPLIANT'
            WHEN vaccination."overdue" > 0 THEN 'PAST_DUE'
            ELSE 'COMPLIANT' END AS "overallComplianceStatus"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s
  LEFT JOIN (
       SELECT dose."studentId",
              count(*) FILTER (WHERE dose."complianceStatus" = 'COMPLIANT') AS "compliant",
              count(*) FILTER (WHERE dose."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliant",
              count(*) FILTER (WHERE dose."complianceStatus" = 'EXEMPT') AS "exempt",
              count(*) FILTER (WHERE dose."complianceStatus" = 'NON_COMPLIANT' AND NOT dose."superseded") AS "openNonCompliant",
              count(*) FILTER (WHERE dose."complianceStatus" IS DISTINCT FROM 'EXEMPT' AND NOT dose."superseded"
                                 AND (dose."complianceStatus" = 'OVERDUE' OR dose."nextDueDate" < (SELECT {today}))) AS "overdue",
              min(dose."nextDueDate") FILTER (WHERE dose."complianceStatus" IS DISTINCT FROM 'EXEMPT' AND NOT dose."superseded"
                                                AND dose."nextDueDate" >= (SELECT {today})) AS "nextDue"
         FROM (SELECT v."studentId", v."complianceStatus", v."nextDueDate",
                      (latest."administrationDate" > v."administrationDate") IS TRUE AS "superseded"
                 FROM {vaccinations: studentId, vaccineType, administrationDate, complianceStatus, nextDueDate, deletedAt} AS v
                 LEFT JOIN (
                      SELECT w."studentId", w."vaccineType", max(w."administrationDate") AS "administrationDate"
                        FROM {vaccinations: studentId, vaccineType, administrationDate, deletedAt} AS w
                       WHERE w."deletedAt" IS NULL AND w."vaccineType" IS NOT NULL {only w."studentId"}
                       GROUP BY w."studentId", w."vaccineType") AS latest
                   ON latest."studentId" = v."studentId" AND latest."vaccineType" = v."vaccineType"
                WHERE v."deletedAt" IS NULL {only v."studentId"}) AS dose
        GROUP BY dose."studentId") AS vaccination ON vaccination."studentId" = s."id"
  LEFT JOIN (
       SELECT h."studentId",
              max(h."recordDate") FILTER (WHERE h."recordType" = 'PHYSICAL_EXAM') AS "lastPhysical",
              max(h."recordDate") FILTER (WHERE h."recordType" IN ('VISION_SCREENING', 'VISION')) AS "lastVision",
              max(h."recordDate") FILTER (WHERE h."recordType" IN ('HEARING_SCREENING', 'HEARING')) AS "lastHearing"
         FROM {health_records: studentId, recordType, recordDate, isActive, deletedAt} AS h
        WHERE h."deletedAt" IS NULL AND h."isActive" IS NOT FALSE
          AND h."recordType" IN ('PHYSICAL_EXAM', 'VISION_SCREENING', 'VISION', 'HEARING_SCREENING', 'HEARING') {only h."studentId"}
        GROUP BY h."studentId") AS record ON record."studentId" = s."id"
 WHERE s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE {only s."id"}
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_compliance_status', 'studentId', 'The student (students.id); unique.'),
('mv_compliance_status', 'schoolId', 'School of the student.'),
('mv_compliance_status', 'nurseId', 'Nurse of the student.'),
('mv_compliance_status', 'studentNumber', 'Number of the student.'),
('mv_compliance_status', 'firstName', 'First name of the student.'),
('mv_compliance_status', 'lastName', 'Last name of the student.'),
('mv_compliance_status', 'grade', 'Grade of the student.'),
('mv_compliance_status', 'compliantVaccinations', 'Number of live vaccinations with status COMPLIANT.'),
('mv_compliance_status', 'nonCompliantVaccinations', 'Number of live vaccinations with status NON_COMPLIANT, superseded ones included.'),
('mv_compliance_status', 'exemptVaccinations', 'Number of live vaccinations with status EXEMPT.'),
('mv_compliance_status', 'nextVaccinationDue', 'Earliest due date from today on, of vaccinations neither exempt nor superseded by a later dose.'),
('mv_compliance_status', 'overdueVaccinations',
 'Number of vaccinations due before today or with status OVERDUE, neither exempt nor superseded by a later dose.'),
('mv_compliance_status', 'lastPhysicalDate', 'Latest date of a live, active record of type PHYSICAL_EXAM.'),
('mv_compliance_status', 'physicalExamCompliant', 'Whether that is not older than a year.'),
('mv_compliance_status', 'lastVisionDate', 'Latest date of a live, active record of type VISION_SCREENING or VISION.'),
('mv_compliance_status', 'visionScreeningCompliant', 'Whether that is not older than a year.'),
('mv_compliance_status', 'lastHearingDate', 'Latest date of a live, active record of type HEARING_SCREENING or HEARING.'),
('mv_compliance_status', 'hearingScreeningCompliant', 'Whether that is not older than a year.'),
('mv_compliance_status', 'overallComplianceStatus',
 'NON_COMPLIANT (a non-compliant vaccination not superseded, or no physical exam within a year), PAST_DUE (an overdue vaccination) or COMPLIANT.');

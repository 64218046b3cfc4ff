-- mv_compliance_status: one row for each live, active student.
--
-- A vaccination is superseded by a live one of the same, known type with a strictly later date. Only the doses that could make
-- a student non-compliant, overdue or due are asked whether they are, by an anti-join; the plain counts need no join at all.
-- OFFSET 0: the type of a record, which is an enumeration on some sites, is then made text and looked at once for each row; and
-- the types, a third of all rows, do not tempt the planner to fetch those rows one by one through an index.
-- ORDER BY: REFRESH CONCURRENTLY sorts all rows without a NULL, which are most here, column by column, twice, to look for
-- equal ones; rows that come sorted by the first column halve what it takes, and sorting them by it costs next to nothing.
--
-- Time. A dose turns from due to overdue, and an exam or a screening grows older than a year, when a day begins. The row as it
-- was tells both: its nextVaccinationDue is the earliest dose that was not overdue yet, and its dates are the latest ones.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_compliance_status', '{studentId}', '{studentId}', 'Vaccination and screening compliance of each active student.', $keys$
SELECT v."studentId"
  FROM {view} AS v
 WHERE {that day} < {today}
   AND (v."nextVaccinationDue" >= (SELECT {that day}) AND v."nextVaccinationDue" < (SELECT {today})
        OR v."lastPhysicalDate" >= (SELECT ({that day} - interval '1 year')::date)
           AND v."lastPhysicalDate" < (SELECT ({today} - interval '1 year')::date)
        OR v."lastVisionDate" >= (SELECT ({that day} - interval '1 year')::date)
           AND v."lastVisionDate" < (SELECT ({today} - interval '1 year')::date)
        OR v."lastHearingDate" >= (SELECT ({that day} - interval '1 year')::date)
           AND v."lastHearingDate" < (SELECT ({today} - interval '1 year')::date))
$keys$, 'SELECT {next day}', $view$
SELECT s."id" AS "studentId", s."schoolId", s."nurseId", s."studentNumber", s."firstName", s."lastName", s."grade",
       coalesce(vaccination."compliant", 0) AS "compliantVaccinations",
       coalesce(vaccination."nonCompliant", 0) AS "nonCompliantVaccinations",
       coalesce(vaccination."exempt", 0) AS "exemptVaccinations",
       dose."nextDue" AS "nextVaccinationDue",
       coalesce(dose."overdue", 0) AS "overdueVaccinations",
       record."lastPhysical" AS "lastPhysicalDate",
       coalesce(record."lastPhysical" >= (SELECT ({today} - interval '1 year')::date), false) AS "physicalExamCompliant",
       record."lastVision" AS "lastVisionDate",
       coalesce(record."lastVision" >= (SELECT ({today} - interval '1 year')::date), false) AS "visionScreeningCompliant",
       record."lastHearing" AS "lastHearingDate",
       coalesce(record."lastHearing" >= (SELECT ({today} - interval '1 year')::date), false) AS "hearingScreeningCompliant",
       CASE WHEN dose."nonCompliant" > 0 THEN 'NON_COMPLIANT'
            WHEN (record."lastPhysical" >= (SELECT ({today} - interval '1 year')::date)) IS NOT TRUE THEN 'NON_COMPLIANT'
            WHEN dose."overdue" > 0 THEN 'PAST_DUE'
            ELSE 'COMPLIANT' END AS "overallComplianceStatus"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s
  LEFT JOIN (
       SELECT v."studentId",
              count(*) FILTER (WHERE v."complianceStatus" = 'COMPLIANT') AS "compliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'EXEMPT') AS "exempt"
         FROM {vaccinations: studentId, complianceStatus, deletedAt} AS v
        WHERE v."deletedAt" IS NULL {only v."studentId"}
        GROUP BY v."studentId") AS vaccination ON vaccination."studentId" = s."id"
  LEFT JOIN (
       SELECT v."studentId",
              count(*) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'OVERDUE' OR v."nextDueDate" < (SELECT {today})) AS "overdue",
              min(v."nextDueDate") FILTER (WHERE v."nextDueDate" >= (SELECT {today})) AS "nextDue"
         FROM {vaccinations: studentId, vaccineType, administrationDate, complianceStatus, nextDueDate, deletedAt} AS v
        WHERE v."deletedAt" IS NULL AND v."complianceStatus" IS DISTINCT FROM 'EXEMPT'
          AND (v."nextDueDate" IS NOT NULL OR v."complianceStatus" IN ('NON_COMPLIANT', 'OVERDUE'))
          AND NOT EXISTS (SELECT FROM {vaccinations: studentId, vaccineType, administrationDate, deletedAt} AS later
                           WHERE later."studentId" = v."studentId" AND later."vaccineType" = v."vaccineType"
                             AND later."administrationDate" > v."administrationDate" AND later."deletedAt" IS NULL
                                 {only later."studentId"})
              {only v."studentId"}
        GROUP BY v."studentId") AS dose ON dose."studentId" = s."id"
  LEFT JOIN (
       SELECT h."studentId",
              max(h."recordDate") FILTER (WHERE h."kind" = 1) AS "lastPhysical",
              max(h."recordDate") FILTER (WHERE h."kind" = 2) AS "lastVision",
              max(h."recordDate") FILTER (WHERE h."kind" = 3) AS "lastHearing"
         FROM (SELECT r."studentId", r."recordDate",
                      CASE r."recordType" WHEN 'PHYSICAL_EXAM' THEN 1
                                          WHEN 'VISION_SCREENING' THEN 2 WHEN 'VISION' THEN 2
                                          WHEN 'HEARING_SCREENING' THEN 3 WHEN 'HEARING' THEN 3 END AS "kind"
                 FROM {health_records: studentId, recordType, recordDate, isActive, deletedAt} AS r
                WHERE r."deletedAt" IS NULL AND r."isActive" IS NOT FALSE {only r."studentId"}
               OFFSET 0) AS h
        WHERE h."kind" IS NOT NULL
        GROUP BY h."studentId") AS record ON record."studentId" = s."id"
 WHERE s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE {only s."id"}
 ORDER BY s."id"
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

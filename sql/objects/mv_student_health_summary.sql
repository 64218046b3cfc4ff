-- mv_student_health_summary: one row for each live student, active or not.
--
-- Each child table is aggregated by itself, so that no child multiplies another. EpiPen locations stand in a sub-query of
-- their own: an aggregate with DISTINCT or ORDER BY would keep the whole of allergies from being aggregated by hashing.
-- A medication becomes current, or no longer is, when a day begins: that is all that time changes here.
-- Restricted to keys, the medications that are active and those that are not are looked up apart, each through its own index.
-- (SELECT {today}) rather than {today}: the clock is then read once for the query, not once for each row.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_student_health_summary', '{studentId}', '{studentId}', 'Health summary of each student, active or not.', $keys$
SELECT sm."studentId"
  FROM {student_medications: studentId, startDate, endDate, deletedAt} AS sm
 WHERE {that day} < {today} AND sm."deletedAt" IS NULL
   AND (sm."startDate" > (SELECT {that day}) AND sm."startDate" <= (SELECT {today})
        OR sm."endDate" >= (SELECT {that day}) AND sm."endDate" < (SELECT {today}))
$keys$, 'SELECT {next day}', $view$
SELECT s."id" AS "studentId", s."studentNumber", s."firstName", s."lastName", s."grade", s."schoolId", s."nurseId", s."dateOfBirth",
       s."isActive" IS NOT FALSE AS "isActive",
       coalesce(record."active", 0) AS "activeHealthRecordsCount",
       record."last" AS "lastHealthRecordDate",
       record."lastPhysical" AS "lastPhysicalExamDate",
       record."lastVision" AS "lastVisionScreeningDate",
       record."lastHearing" AS "lastHearingScreeningDate",
       coalesce(allergy."active", 0) AS "activeAllergiesCount",
       coalesce(allergy."severe", 0) AS "severeAllergiesCount",
       coalesce(allergy."epiPen", false) AS "hasEpiPenRequired",
       location."all" AS "epiPenLocation",
       coalesce(medication."current", 0) AS "activeMedicationsCount",
       coalesce(medication."controlled", 0) AS "controlledMedicationsCount",
       coalesce(condition."active", 0) AS "chronicConditionsCount",
       coalesce(vaccination."live", 0) AS "vaccinationsCount",
       coalesce(vaccination."compliant", 0) AS "compliantVaccinationsCount",
       coalesce(vaccination."nonCompliant", 0) AS "nonCompliantVaccinationsCount",
       greatest(s."updatedAt", record."updated", allergy."updated", medication."updated", condition."updated",
                vaccination."updated") AS "lastDataUpdate"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, dateOfBirth, isActive, updatedAt, deletedAt} AS s
  LEFT JOIN (
       SELECT h."studentId",
              count(*) FILTER (WHERE h."isActive" IS NOT FALSE) AS "active",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE) AS "last",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE AND h."recordType" = 'PHYSICAL_EXAM') AS "lastPhysical",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE
                                            AND h."recordType" IN ('VISION_SCREENING', 'VISION')) AS "lastVision",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE
                                            AND h."recordType" IN ('HEARING_SCREENING', 'HEARING')) AS "lastHearing",
              max(h."updatedAt") AS "updated"
         FROM {health_records: studentId, recordType, recordDate, isActive, updatedAt, deletedAt} AS h
        WHERE h."deletedAt" IS NULL {only h."studentId"}
        GROUP BY h."studentId") AS record ON record."studentId" = s."id"
  LEFT JOIN (
       SELECT a."studentId",
              count(*) FILTER (WHERE a."isActive" IS NOT FALSE) AS "active",
              count(*) FILTER (WHERE a."isActive" IS NOT FALSE AND a."severity" IN ('SEVERE', 'LIFE_THREATENING')) AS "severe",
              bool_or(a."isActive" IS NOT FALSE AND a."epiPenRequired" IS TRUE) AS "epiPen",
              max(a."updatedAt") AS "updated"
         FROM {allergies: studentId, severity, epiPenRequired, isActive, updatedAt, deletedAt} AS a
        WHERE a."deletedAt" IS NULL {only a."studentId"}
        GROUP BY a."studentId") AS allergy ON allergy."studentId" = s."id"
  LEFT JOIN (
       SELECT a."studentId", string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") AS "all"
         FROM {allergies: studentId, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE AND a."epiPenRequired" AND btrim(a."epiPenLocation") <> ''
              {only a."studentId"}
        GROUP BY a."studentId") AS location ON location."studentId" = s."id"
  LEFT JOIN (
       SELECT c."studentId",
              count(*) FILTER (WHERE c."isCurrent") AS "current",
              count(*) FILTER (WHERE c."isCurrent" AND coalesce(c."requiresWitness", m."requiresWitness")) AS "controlled",
              max(c."updatedAt") AS "updated"
         FROM (SELECT sm."studentId", sm."medicationId", sm."requiresWitness", sm."updatedAt",
                      sm."isActive" IS NOT FALSE AND (sm."startDate" > (SELECT {today})) IS NOT TRUE
                      AND (sm."endDate" < (SELECT {today})) IS NOT TRUE AS "isCurrent"
                 FROM {student_medications: studentId, medicationId, requiresWitness, startDate, endDate, isActive, updatedAt, deletedAt} AS sm
                WHERE sm."deletedAt" IS NULL
               {when keys}
                  AND sm."isActive" {only sm."studentId"}
               UNION ALL
               SELECT sm."studentId", sm."medicationId", sm."requiresWitness", sm."updatedAt",
                      sm."isActive" IS NOT FALSE AND (sm."startDate" > (SELECT {today})) IS NOT TRUE
                      AND (sm."endDate" < (SELECT {today})) IS NOT TRUE AS "isCurrent"
                 FROM {student_medications: studentId, medicationId, requiresWitness, startDate, endDate, isActive, updatedAt, deletedAt} AS sm
                WHERE sm."deletedAt" IS NULL AND sm."isActive" IS NOT TRUE {only sm."studentId"}
               {end}) AS c
         LEFT JOIN {medications: id, requiresWitness} AS m ON m."id" = c."medicationId"
        GROUP BY c."studentId") AS medication ON medication."studentId" = s."id"
  LEFT JOIN (
       SELECT cc."studentId",
              count(*) FILTER (WHERE cc."isActive" IS NOT FALSE) AS "active",
              max(cc."updatedAt") AS "updated"
         FROM {chronic_conditions: studentId, isActive, updatedAt, deletedAt} AS cc
        WHERE cc."deletedAt" IS NULL {only cc."studentId"}
        GROUP BY cc."studentId") AS condition ON condition."studentId" = s."id"
  LEFT JOIN (
       SELECT v."studentId",
              count(*) AS "live",
              count(*) FILTER (WHERE v."complianceStatus" = 'COMPLIANT') AS "compliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliant",
              max(v."updatedAt") AS "updated"
         FROM {vaccinations: studentId, complianceStatus, updatedAt, deletedAt} AS v
        WHERE v."deletedAt" IS NULL {only v."studentId"}
        GROUP BY v."studentId") AS vaccination ON vaccination."studentId" = s."id"
 WHERE s."deletedAt" IS NULL {only s."id"}
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_student_health_summary', 'studentId', 'The student (students.id); unique.'),
('mv_student_health_summary', 'studentNumber', 'Number of the student.'),
('mv_student_health_summary', 'firstName', 'First name of the student.'),
('mv_student_health_summary', 'lastName', 'Last name of the student.'),
('mv_student_health_summary', 'grade', 'Grade of the student.'),
('mv_student_health_summary', 'schoolId', 'School of the student.'),
('mv_student_health_summary', 'nurseId', 'Nurse of the student.'),
('mv_student_health_summary', 'dateOfBirth', 'Date of birth.'),
('mv_student_health_summary', 'isActive', 'Whether the student is active; a missing value counts as active.'),
('mv_student_health_summary', 'activeHealthRecordsCount', 'Number of live, active health records.'),
('mv_student_health_summary', 'lastHealthRecordDate', 'Latest date of a live, active health record.'),
('mv_student_health_summary', 'lastPhysicalExamDate', 'Latest date of a record of type PHYSICAL_EXAM.'),
('mv_student_health_summary', 'lastVisionScreeningDate', 'Latest date of a record of type VISION_SCREENING or VISION.'),
('mv_student_health_summary', 'lastHearingScreeningDate', 'Latest date of a record of type HEARING_SCREENING or HEARING.'),
('mv_student_health_summary', 'activeAllergiesCount', 'Number of live, active allergies.'),
('mv_student_health_summary', 'severeAllergiesCount', 'Number of those that are SEVERE or LIFE_THREATENING.'),
('mv_student_health_summary', 'hasEpiPenRequired', 'Whether a live, active allergy requires an EpiPen.'),
('mv_student_health_summary', 'epiPenLocation', 'Distinct EpiPen locations, sorted and joined by a comma; NULL where none.'),
('mv_student_health_summary', 'activeMedicationsCount', 'Number of medications that are current today.'),
('mv_student_health_summary', 'controlledMedicationsCount', 'Number of those that require a witness.'),
('mv_student_health_summary', 'chronicConditionsCount', 'Number of live, active chronic conditions.'),
('mv_student_health_summary', 'vaccinationsCount', 'Number of live vaccinations.'),
('mv_student_health_summary', 'compliantVaccinationsCount', 'Number of those with status COMPLIANT.'),
('mv_student_health_summary', 'nonCompliantVaccinationsCount', 'Number of those with status NON_COMPLIANT.'),
('mv_student_health_summary', 'lastDataUpdate',
 'Latest updatedAt of the student and of the live health records, allergies, medications, conditions and vaccinations, active or not.');

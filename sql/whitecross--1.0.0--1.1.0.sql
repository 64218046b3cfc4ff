-- From whitecross 1.0.0 to 1.1.0. What it leads to is what a fresh 1.1.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped: data, grants, settings, mapping and schedules stay.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.1.0'" to load this file. \quit

-- The change log: which keys of which base table were written, noted by the writer's own transaction. Not dumped: a restored
-- database starts with views that are filled anew. It holds keys of rows, so nobody but the owner may read it.

CREATE TABLE @extschema@.wc_change (
    xid xid8 NOT NULL,
    seq integer NOT NULL,
    table_name text NOT NULL,
    keys text[],
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (xid, seq)
);
COMMENT ON TABLE @extschema@.wc_change IS
    'Changes of the base tables that some view has yet to take up: one row for each key that a statement touched.';
COMMENT ON COLUMN @extschema@.wc_change.xid IS 'The top-level transaction that wrote.';
COMMENT ON COLUMN @extschema@.wc_change.seq IS 'Counts the rows of one transaction.';
COMMENT ON COLUMN @extschema@.wc_change.table_name IS 'The base table, by its canonical name.';
COMMENT ON COLUMN @extschema@.wc_change.keys IS
    'Values of the captured columns of the row, old or new, in the order of the capture; null: any row may have changed.';
COMMENT ON COLUMN @extschema@.wc_change.noted_at IS 'When it was noted, by the server''s clock.';
REVOKE ALL ON @extschema@.wc_change FROM PUBLIC;

-- Incremental refresh: by which columns a view is restricted, which keys follow from a changed row of each table, and which change by
-- time alone. The definitions of the views are those of 1.1.0: where the text differs, wc_install() makes the view anew.

ALTER TABLE @extschema@.wc_view_definition
    ADD COLUMN refresh_columns text[],
    ADD COLUMN keys_between    text,
    ADD COLUMN next_moment     text;
COMMENT ON COLUMN @extschema@.wc_view_definition.refresh_columns IS
    'Columns of the view by which a refresh restricts it; its definition says where ({only ...}).';
COMMENT ON COLUMN @extschema@.wc_view_definition.keys_between IS
    'Query of the keys whose rows change between two moments though nothing is written; null: there are none.';
COMMENT ON COLUMN @extschema@.wc_view_definition.next_moment IS
    'Query of the next moment at which some row changes though nothing is written; null: there is none.';

CREATE TABLE @extschema@.wc_view_source (
    view_name  text NOT NULL REFERENCES @extschema@.wc_view_definition,
    table_name text NOT NULL,
    keys       text NOT NULL,
    PRIMARY KEY (view_name, table_name)
);
COMMENT ON TABLE @extschema@.wc_view_source IS
    'For each base table that a view reads, the query of the keys whose rows may differ after some of its rows have changed.';
GRANT SELECT ON @extschema@.wc_view_source TO PUBLIC;

CREATE FUNCTION @extschema@.wc_refresh_queries(view_name text DEFAULT NULL)
    RETURNS TABLE (view_name text, problem text, key_columns text[], tables text[], restricted text, keys text, pending text, next_moment text)
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_refresh_queries';
COMMENT ON FUNCTION @extschema@.wc_refresh_queries(text) IS
    'The queries that an incremental refresh of a view, or of each, runs, or why it can''t be refreshed so.';

CREATE FUNCTION @extschema@.wc_captured_columns()
    RETURNS TABLE (table_name text, captured text[], compared text[])
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_captured_columns';
COMMENT ON FUNCTION @extschema@.wc_captured_columns() IS
    'The columns of each base table whose values are noted of a changed row, and those that an UPDATE must change for it to count.';

COMMENT ON FUNCTION @extschema@.wc_view_query(text, text) IS
    'The query of a materialized view over this site''s tables; with keys, an SQL array expression for each column of its refresh key, the query restricted to them.';

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
                WHERE sm."deletedAt" IS NULL {only sm."studentId"}) AS c
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
$view$)
ON CONFLICT (name) DO UPDATE SET refresh_columns = excluded.refresh_columns, keys_between = excluded.keys_between, next_moment = excluded.next_moment, definition = excluded.definition;

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
$view$)
ON CONFLICT (name) DO UPDATE SET refresh_columns = excluded.refresh_columns, keys_between = excluded.keys_between, next_moment = excluded.next_moment, definition = excluded.definition;

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_medication_schedule', '{studentMedicationId}', '{studentMedicationId}', 'Current medications of active students, with their next dose.', $keys$
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {then} < {now} AND v."nextScheduledTime" <= (SELECT {now} + interval '30 minutes')
   AND (v."nextScheduledTime" <= (SELECT {now}) OR v."nextScheduledTime" > (SELECT {then} + interval '30 minutes'))
UNION ALL
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {then} + interval '60 minutes' < {now} AND v."isDueNow"
UNION ALL
SELECT v."studentMedicationId"
  FROM (SELECT d."studentMedicationId", d."scheduledTimes" FROM {view} AS d WHERE d."isDueNow" AND d."scheduledTimes" IS NOT NULL) AS v
 CROSS JOIN LATERAL unnest(v."scheduledTimes") AS given("time")
 CROSS JOIN LATERAL (SELECT CASE WHEN btrim(given."time") ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$'
                                   OR btrim(given."time") ~* '^(0?[1-9]|1[0-2]):[0-5][0-9](:[0-5][0-9])? ?[ap]m$'
                                 THEN btrim(given."time")::time END AS "time"
                     OFFSET 0) AS parsed
 CROSS JOIN (VALUES (-1), (0), (1)) AS step("days")
 WHERE {then} < {now} AND {then} + interval '60 minutes' >= {now}
   AND ((SELECT {that day}) + step."days" + parsed."time") AT TIME ZONE {timezone} >= (SELECT {then} - interval '30 minutes')
   AND ((SELECT {that day}) + step."days" + parsed."time") AT TIME ZONE {timezone} < (SELECT {now} - interval '30 minutes')
UNION ALL
SELECT v."studentMedicationId"
  FROM (SELECT d."studentMedicationId" FROM {view} AS d WHERE d."isDueNow" AND d."scheduledTimes" IS NULL) AS v
 CROSS JOIN LATERAL (SELECT FROM {medication_logs: studentMedicationId, scheduledAt, status} AS l
                      WHERE l."studentMedicationId" = v."studentMedicationId" AND l."status" = 'PENDING'
                        AND l."scheduledAt" >= (SELECT {then} - interval '30 minutes')
                        AND l."scheduledAt" < (SELECT {now} - interval '30 minutes')
                      LIMIT 1) AS pending
 WHERE {then} < {now} AND {then} + interval '60 minutes' >= {now}
UNION ALL
SELECT sm."id" FROM {student_medications: id, startDate} AS sm
 WHERE {that day} < {today} AND sm."startDate" > (SELECT {that day}) AND sm."startDate" <= (SELECT {today})
UNION ALL
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {that day} < {today}
   AND (v."endDate" >= (SELECT {that day}) AND v."endDate" < (SELECT {today})
        OR v."administeredCountToday" > 0
        OR v."nextScheduledTime" IS NULL AND cardinality(v."scheduledTimes") > 0
        OR v."nextScheduledTime" >= (SELECT ({that day} + 3)::timestamp AT TIME ZONE {timezone} - interval '3 hours')
           AND v."scheduledTimes" IS NOT NULL)
UNION ALL
SELECT l."studentMedicationId" FROM {medication_logs: studentMedicationId, administeredAt, status} AS l
 WHERE {that day} < {today} AND l."status" = 'ADMINISTERED'
   AND l."administeredAt" > (SELECT {then}) AND l."administeredAt" <= (SELECT {now} + interval '2 days')
$keys$, $next$
SELECT least({next day},
             (SELECT min(v."nextScheduledTime") FROM {view} AS v WHERE v."nextScheduledTime" > (SELECT {now})),
             (SELECT min(v."nextScheduledTime") FROM {view} AS v WHERE v."nextScheduledTime" > (SELECT {now} + interval '30 minutes'))
             - interval '30 minutes',
             (SELECT min(d."at") + interval '30 minutes 1 microsecond'
                FROM (SELECT ((SELECT {today}) + step."days" + parsed."time") AT TIME ZONE {timezone} AS "at"
                        FROM (SELECT v."scheduledTimes" FROM {view} AS v WHERE v."isDueNow" AND v."scheduledTimes" IS NOT NULL) AS v
                       CROSS JOIN LATERAL unnest(v."scheduledTimes") AS given("time")
                       CROSS JOIN LATERAL (SELECT CASE WHEN btrim(given."time") ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$'
                                                         OR btrim(given."time") ~* '^(0?[1-9]|1[0-2]):[0-5][0-9](:[0-5][0-9])? ?[ap]m$'
                                                       THEN btrim(given."time")::time END AS "time"
                                           OFFSET 0) AS parsed
                       CROSS JOIN (VALUES (-1), (0), (1)) AS step("days")
                      UNION ALL
                      SELECT l."scheduledAt"
                        FROM (SELECT v."studentMedicationId" FROM {view} AS v WHERE v."isDueNow" AND v."scheduledTimes" IS NULL) AS v
                       CROSS JOIN LATERAL (SELECT l."scheduledAt" FROM {medication_logs: studentMedicationId, scheduledAt, status} AS l
                                            WHERE l."studentMedicationId" = v."studentMedicationId" AND l."status" = 'PENDING'
                                              AND l."scheduledAt" >= (SELECT {now} - interval '30 minutes')
                                              AND l."scheduledAt" <= (SELECT {now})
                                           OFFSET 0) AS l) AS d
               WHERE d."at" >= (SELECT {now} - interval '30 minutes') AND d."at" <= (SELECT {now})))
$next$, $view$
SELECT sm."id" AS "studentMedicationId", sm."studentId", s."studentNumber",
       concat_ws(' ', s."firstName", s."lastName") AS "studentName",
       s."grade", s."schoolId", s."nurseId", sm."medicationId",
       m."name" AS "medicationName",
       m."genericName" AS "medicationGenericName",
       sm."dosage", sm."route", sm."frequency", sm."scheduledTimes", sm."instructions", sm."startDate", sm."endDate",
       coalesce(sm."requiresWitness", m."requiresWitness", false) AS "requiresWitness",
       m."isControlled" IS TRUE AS "isControlled",
       m."deaSchedule",
       dose."next" AS "nextScheduledTime",
       log."last" AS "lastAdministeredAt",
       coalesce(log."today", 0) AS "administeredCountToday",
       coalesce(dose."due", false) AS "isDueNow"
  FROM {student_medications: id, studentId, medicationId, dosage, route, frequency, scheduledTimes, instructions, startDate, endDate, requiresWitness, isActive, deletedAt} AS sm
  JOIN {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s ON s."id" = sm."studentId"
  JOIN {medications: id, name, genericName, isControlled, deaSchedule, requiresWitness, deletedAt} AS m ON m."id" = sm."medicationId"
  LEFT JOIN (
       SELECT l."studentMedicationId",
              max(l."administeredAt") FILTER (WHERE l."status" = 'ADMINISTERED') AS "last",
              count(*) FILTER (WHERE l."status" = 'ADMINISTERED'
                                 AND CASE WHEN l."administeredAt" >= (SELECT {now} - interval '2 days')
                                           AND l."administeredAt" <= (SELECT {now} + interval '2 days')
                                          THEN (l."administeredAt" AT TIME ZONE {timezone})::date = (SELECT {today})
                                          ELSE false END) AS "today",
              array_agg(l."administeredAt") FILTER (WHERE l."status" = 'ADMINISTERED'
                                                      AND l."administeredAt" >= (SELECT {now} - interval '60 minutes')
                                                      AND l."administeredAt" <= to_timestamp(9224000000000)) AS "given",
              array_agg(l."scheduledAt") FILTER (WHERE l."status" = 'PENDING'
                                                   AND l."scheduledAt" >= (SELECT {now} - interval '30 minutes')
                                                   AND l."scheduledAt" <= to_timestamp(9224000000000)) AS "pending"
         FROM {medication_logs: studentMedicationId, scheduledAt, administeredAt, status, deletedAt} AS l
        WHERE l."deletedAt" IS NULL AND l."status" IN ('ADMINISTERED', 'PENDING') {only l."studentMedicationId"}
        GROUP BY l."studentMedicationId") AS log ON log."studentMedicationId" = sm."id"
 CROSS JOIN LATERAL (
       SELECT min(d."at") FILTER (WHERE d."at" > (SELECT {now})) AS "next",
              bool_or(d."at" <= (SELECT {now} + interval '30 minutes')) AS "due"
         FROM (SELECT (near."day" + parsed."time") AT TIME ZONE {timezone} AS "at"
                 FROM (SELECT CASE WHEN btrim(given."time") ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$'
                                     OR btrim(given."time") ~* '^(0?[1-9]|1[0-2]):[0-5][0-9](:[0-5][0-9])? ?[ap]m$'
                                   THEN btrim(given."time")::time END AS "time"
                         FROM unnest(sm."scheduledTimes") AS given("time")
                       OFFSET 0) AS parsed
                CROSS JOIN (SELECT (SELECT {today}) + step."days" AS "day"
                              FROM (VALUES (-1), (0), (1), (2)) AS step("days")) AS near
                WHERE parsed."time" IS NOT NULL
                  AND (near."day" < sm."startDate") IS NOT TRUE AND (near."day" > sm."endDate") IS NOT TRUE
                UNION ALL
               SELECT pending."at"
                 FROM unnest(log."pending") AS pending("at")
                WHERE sm."scheduledTimes" IS NULL
                  AND ((pending."at" AT TIME ZONE {timezone})::date > sm."endDate") IS NOT TRUE) AS d
        WHERE d."at" >= (SELECT {now} - interval '30 minutes')
          AND (log."given" IS NULL
               OR NOT EXISTS (SELECT FROM unnest(log."given") AS administered("at")
                               WHERE d."at" BETWEEN administered."at" - interval '30 minutes'
                                                AND administered."at" + interval '30 minutes'))) AS dose
 WHERE sm."deletedAt" IS NULL AND sm."isActive" IS NOT FALSE
   AND (sm."startDate" > (SELECT {today})) IS NOT TRUE AND (sm."endDate" < (SELECT {today})) IS NOT TRUE
   AND s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE AND m."deletedAt" IS NULL {only sm."id"}
$view$)
ON CONFLICT (name) DO UPDATE SET refresh_columns = excluded.refresh_columns, keys_between = excluded.keys_between, next_moment = excluded.next_moment, definition = excluded.definition;

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, definition) VALUES
('mv_allergy_summary', '{studentId}', '{studentId}', 'Allergies of each active student, worst first.', $view$
SELECT s."id" AS "studentId", s."studentNumber", s."firstName", s."lastName", s."grade", s."schoolId", s."nurseId",
       coalesce(allergy."list", '[]'::jsonb) AS "allergies",
       coalesce(allergy."total", 0) AS "totalAllergies",
       coalesce(allergy."severe", 0) AS "severeAllergies",
       coalesce(allergy."moderate", 0) AS "moderateAllergies",
       coalesce(allergy."epiPen", false) AS "requiresEpiPen",
       location."all" AS "epiPenLocations",
       CASE WHEN allergy."severe" > 0 THEN 'CRITICAL'
            WHEN allergy."moderate" > 0 THEN 'WARNING'
            WHEN allergy."total" > 0 THEN 'INFO'
            ELSE 'NONE' END AS "alertLevel",
       coalesce(allergy."lifeThreatening", 0) AS "lifeThreateningAllergies",
       coalesce(allergy."mild", 0) AS "mildAllergies"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s
  LEFT JOIN (
       SELECT a."studentId",
              jsonb_agg(jsonb_build_object(
                          'id', a."id", 'allergen', a."allergen", 'allergyType', a."allergyType", 'severity', a."severity",
                          'reaction', a."reaction", 'epiPenRequired', a."epiPenRequired" IS TRUE, 'epiPenLocation', a."epiPenLocation")
                        ORDER BY CASE a."severity" WHEN 'LIFE_THREATENING' THEN 1 WHEN 'SEVERE' THEN 2 WHEN 'MODERATE' THEN 3
                                                   WHEN 'MILD' THEN 4 ELSE 5 END,
                                 a."allergen", a."id") AS "list",
              count(*) AS "total",
              count(*) FILTER (WHERE a."severity" IN ('SEVERE', 'LIFE_THREATENING')) AS "severe",
              count(*) FILTER (WHERE a."severity" = 'LIFE_THREATENING') AS "lifeThreatening",
              count(*) FILTER (WHERE a."severity" = 'MODERATE') AS "moderate",
              count(*) FILTER (WHERE a."severity" = 'MILD') AS "mild",
              bool_or(a."epiPenRequired" IS TRUE) AS "epiPen"
         FROM {allergies: id, studentId, allergen, allergyType, severity, reaction, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE {only a."studentId"}
        GROUP BY a."studentId") AS allergy ON allergy."studentId" = s."id"
  LEFT JOIN (
       SELECT a."studentId", string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") AS "all"
         FROM {allergies: studentId, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE AND a."epiPenRequired" AND btrim(a."epiPenLocation") <> ''
              {only a."studentId"}
        GROUP BY a."studentId") AS location ON location."studentId" = s."id"
 WHERE s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE {only s."id"}
$view$)
ON CONFLICT (name) DO UPDATE SET refresh_columns = excluded.refresh_columns, definition = excluded.definition;

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_appointment_statistics', '{nurseId,schoolId,date}', '{nurseId,date}', 'Appointments of each nurse, school and day: the last 90 days and all to come.', $keys$
SELECT v."nurseId", v."date"
  FROM {view} AS v
 WHERE {that day} < {today} AND v."date" >= (SELECT {that day} - 90) AND v."date" < (SELECT {today} - 90)
$keys$, 'SELECT {next day}', $view$
SELECT a."nurseId",
       concat_ws(' ', nurse."firstName", nurse."lastName") AS "nurseName",
       a."schoolId",
       school."name" AS "schoolName",
       a."date",
       a."total" AS "totalAppointments",
       a."completed" AS "completedAppointments",
       a."cancelled" AS "cancelledAppointments",
       a."noShow" AS "noShowAppointments",
       a."scheduled" AS "scheduledAppointments",
       a."checkup" AS "checkupAppointments",
       a."medication" AS "medicationAppointments",
       a."injury" AS "injuryAppointments",
       a."illness" AS "illnessAppointments",
       a."avgDuration",
       a."totalDuration",
       a."studentsSeen" AS "uniqueStudentsSeen"
  FROM (
       SELECT day."nurseId", day."schoolId", day."date",
              count(*) AS "total",
              count(*) FILTER (WHERE day."status" = 'COMPLETED') AS "completed",
              count(*) FILTER (WHERE day."status" = 'CANCELLED') AS "cancelled",
              count(*) FILTER (WHERE day."status" = 'NO_SHOW') AS "noShow",
              count(*) FILTER (WHERE day."status" IN ('SCHEDULED', 'CONFIRMED')) AS "scheduled",
              count(*) FILTER (WHERE day."type" IN ('CHECKUP', 'ROUTINE_CHECKUP')) AS "checkup",
              count(*) FILTER (WHERE day."type" IN ('MEDICATION', 'MEDICATION_ADMINISTRATION')) AS "medication",
              count(*) FILTER (WHERE day."type" IN ('INJURY', 'INJURY_ASSESSMENT')) AS "injury",
              count(*) FILTER (WHERE day."type" IN ('ILLNESS', 'ILLNESS_EVALUATION')) AS "illness",
              (avg(day."duration") FILTER (WHERE day."status" = 'COMPLETED'))::numeric AS "avgDuration",
              coalesce(sum(day."duration") FILTER (WHERE day."status" = 'COMPLETED'), 0)::bigint AS "totalDuration",
              count(DISTINCT day."studentId") FILTER (WHERE day."status" = 'COMPLETED') AS "studentsSeen"
         FROM {when keys} {keys} AS key("nurseId", "date") CROSS JOIN LATERAL {end}
              (SELECT p."nurseId", p."schoolId", p."studentId", p."type", p."status", p."duration",
                      CASE WHEN p."scheduledAt" < to_timestamp(9224000000000)
                           THEN (p."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END AS "date"
                 FROM {appointments: nurseId, schoolId, studentId, type, status, scheduledAt, duration, deletedAt} AS p
                WHERE p."deletedAt" IS NULL AND p."scheduledAt" >= (SELECT {now} - interval '92 days')
               {when keys}
                  AND p."nurseId" = key."nurseId"
                  AND p."scheduledAt" >= CASE WHEN isfinite(key."date") THEN (key."date" - 1)::timestamp AT TIME ZONE 'UTC'
                                              ELSE to_timestamp(9224000000000) END
                  AND p."scheduledAt" <= CASE WHEN isfinite(key."date") THEN (key."date" + 2)::timestamp AT TIME ZONE 'UTC'
                                              ELSE 'infinity' END
               OFFSET 0
               {end}) AS day
        WHERE day."date" >= (SELECT {today} - 90) {when keys} AND day."date" = key."date" {end}
        GROUP BY day."nurseId", day."schoolId", day."date") AS a
  JOIN {users: id, firstName, lastName} AS nurse ON nurse."id" = a."nurseId"
  LEFT JOIN {schools: id, name} AS school ON school."id" = a."schoolId"
$view$)
ON CONFLICT (name) DO UPDATE SET refresh_columns = excluded.refresh_columns, keys_between = excluded.keys_between, next_moment = excluded.next_moment, definition = excluded.definition;

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
 CROSS JOIN LATERAL (SELECT m."id" FROM {student_medications: id, studentId} AS m WHERE m."studentId" = c."id" OFFSET 0) AS sm
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

-- (end of the view definitions)

-- Capture of changes: the trigger functions of src/refresh/capture.

CREATE FUNCTION @extschema@.wc_capture() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'wc_capture';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_capture() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_capture() IS
    'Internal: notes in wc_change which keys of a base table a statement has touched. Arguments of the trigger: the table''s canonical name, the captured columns, the compared columns.';

CREATE FUNCTION @extschema@.wc_ignore_replicated() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'wc_ignore_replicated';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_ignore_replicated() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_ignore_replicated() IS
    'Internal: drops rows of the extension''s own tables that logical replication brings from another server.';

-- A publication FOR ALL TABLES has the extension's own tables in it. What it brings from another server is dropped: each server
-- has its own settings, views and changes. Fired in replication workers and sessions in their role, so that it costs nothing else.
DO $ignore$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT c.oid::pg_catalog.regclass AS name
          FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension AS e
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.oid = d.refobjid AND e.extname = 'whitecross'
         WHERE c.relkind = 'r'
         ORDER BY c.relname
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER whitecross_ignore_replicated BEFORE INSERT OR UPDATE OR DELETE ON %s'
                                  ' FOR EACH ROW EXECUTE FUNCTION @extschema@.wc_ignore_replicated()', own.name);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE REPLICA TRIGGER whitecross_ignore_replicated', own.name);
    END LOOP;
END
$ignore$;

ALTER TABLE @extschema@.wc_refresh_log
    DROP CONSTRAINT wc_refresh_log_origin_check,
    ADD CONSTRAINT wc_refresh_log_origin_check CHECK (origin IN ('manual', 'schedule', 'install', 'live'));
COMMENT ON COLUMN @extschema@.wc_refresh_log.origin IS 'manual, schedule, install or live.';

-- What refreshes leave behind: why the mode, how many keys; and what the next incremental refresh begins with.

ALTER TABLE @extschema@.wc_refresh_log
    DROP CONSTRAINT wc_refresh_log_mode_check,
    ADD CONSTRAINT wc_refresh_log_mode_check CHECK (mode IN ('full', 'concurrent', 'incremental')),
    ADD COLUMN keys_refreshed bigint,
    ADD COLUMN reason text;
COMMENT ON COLUMN @extschema@.wc_refresh_log.rows_written IS
    'Rows written into the view: all of them (full), those deleted and inserted because they differ (concurrent), or those deleted, updated and inserted (incremental).';
COMMENT ON COLUMN @extschema@.wc_refresh_log.keys_refreshed IS
    'Keys of the view whose rows were computed anew, of an incremental refresh.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.reason IS 'Why the view was refreshed in this mode.';

ALTER TABLE @extschema@.wc_view_state
    DROP CONSTRAINT wc_view_state_last_mode_check,
    ADD CONSTRAINT wc_view_state_last_mode_check CHECK (last_mode IN ('full', 'concurrent', 'incremental')),
    ADD COLUMN clock timestamptz,
    ADD COLUMN consumed pg_snapshot,
    ADD COLUMN trust jsonb,
    ADD COLUMN plan jsonb,
    ADD COLUMN last_keys bigint,
    ADD COLUMN last_reason text;
COMMENT ON COLUMN @extschema@.wc_view_state.clock IS
    'What the definition took for the present time in that refresh: whitecross.now, or last_refresh.';
COMMENT ON COLUMN @extschema@.wc_view_state.consumed IS
    'The transactions whose changes stand in the view; null: the next refresh computes the whole view.';
COMMENT ON COLUMN @extschema@.wc_view_state.trust IS
    'What the change log rests on (triggers, partitions, files, definition), as it was then: where it is different now, changes may have gone unnoticed.';
COMMENT ON COLUMN @extschema@.wc_view_state.plan IS
    'The statements of the view''s incremental refresh, or the problem that there can''t be any.';
COMMENT ON COLUMN @extschema@.wc_view_state.last_keys IS 'keys_refreshed of that refresh.';
COMMENT ON COLUMN @extschema@.wc_view_state.last_reason IS 'Why it was refreshed in that mode.';

COMMENT ON TYPE @extschema@.wc_refresh_result IS
    'What became of one view: mode full, concurrent or incremental; status refreshed, failed or skipped; duration in milliseconds; of a failure its SQLSTATE, and the condition''s name with names of objects.';
COMMENT ON FUNCTION @extschema@.wc_refresh(text, text, text) IS
    'Refreshes one materialized view, named with or without mv_. mode: auto (incremental where what changed can be told and is not too much; else concurrent; full where the view is not populated), incremental (concurrent where that can''t be told), concurrent, full (shuts readers out). on_conflict: wait up to whitecross.lock_timeout, or skip.';

CREATE FUNCTION @extschema@.wc_verify(view_name text DEFAULT NULL)
RETURNS TABLE (view_name text, missing bigint, extra bigint, pending bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5
AS 'MODULE_PATHNAME', 'wc_verify';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_verify(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_verify(text) IS
    'Compares one materialized view, or each, with its definition at the clock of its last refresh: rows that it lacks, rows that it has too many, and changes that it has not taken up yet. Counts only; computes the whole view.';

-- Live mode: a background worker keeps the views true as changes are committed.

CREATE FUNCTION @extschema@.wc_live_status()
RETURNS TABLE (switched_on boolean, state text, pid integer, since timestamptz, behind_since timestamptz,
               next_moment timestamptz, retry_at timestamptz, sqlstate text)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_live_status';
COMMENT ON FUNCTION @extschema@.wc_live_status() IS
'Live mode in this database: whether it is switched on, how its worker is, since when it is behind, when it looks next by itself.';

-- The last step, as that of CREATE EXTENSION: make what can be made. Off with: SET whitecross.install_on_create = off.
DO $install$
DECLARE
    unfinished bigint;
BEGIN
    -- Notices of what was not installed are meant to be seen.
    PERFORM pg_catalog.set_config('client_min_messages', @extschema@.wc_caller_messages(), true);
    IF NOT coalesce(nullif(pg_catalog.current_setting('whitecross.install_on_create', true), ''), 'on')::pg_catalog.bool THEN
        RAISE NOTICE 'managed objects are not brought up to date yet'
            USING HINT = 'Run SELECT * FROM @extschema@.wc_install() at a quiet time.';
        RETURN;
    END IF;
    SELECT count(*) INTO unfinished FROM @extschema@.wc_install() WHERE action IN ('pending', 'conflict');
    IF unfinished > 0 THEN
        RAISE NOTICE '% managed objects could not be installed', unfinished
            USING HINT = 'SELECT kind, name, status, reason FROM @extschema@.wc_objects() tells why; wc_install() tries again.';
    END IF;
END
$install$;

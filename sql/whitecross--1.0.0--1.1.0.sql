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
 WHERE {then} < {now} AND v."nextScheduledTime" <= (SELECT {now})
UNION ALL
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {then} < {now} AND v."nextScheduledTime" > (SELECT greatest({now}, {then} + interval '30 minutes'))
   AND v."nextScheduledTime" <= (SELECT {now} + interval '30 minutes')
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

-- Indexes that incremental refresh needs.

ALTER TABLE @extschema@.wc_index_definition
    DROP CONSTRAINT wc_index_definition_kind_check,
    ADD CONSTRAINT wc_index_definition_kind_check
        CHECK (kind IN ('covering index', 'partial index', 'composite index', 'view index', 'refresh index'));
INSERT INTO @extschema@.wc_index_definition
  (kind, name, table_name, position, key_columns, include_columns, predicate, is_unique, nulls_not_distinct, comment) VALUES
('refresh index', 'idx_inactive_student_medications', 'student_medications', 1,
 ARRAY['studentId'], '{}', ARRAY['{isActive} IS NOT TRUE'], false, false, 'Medications of a student that are not active.'),
('refresh index', 'idx_student_medications_by_medication', 'student_medications', 2,
 ARRAY['medicationId'], '{}', '{}', false, false, 'Students who take a medication.'),
('refresh index', 'mv_medication_schedule_next', 'mv_medication_schedule', 3,
 ARRAY['nextScheduledTime'], '{}', '{}', false, false, 'Doses that come next, by time.');

-- (end of the view definitions)

-- Materialized views of the site's own (wc_add_view), and the catalogue as it is read: what is shipped and what the site has
-- added, as one. The site's rows are dumped; this script puts none in.

CREATE TABLE @extschema@.wc_site_view (
    name         text PRIMARY KEY,
    key_columns  text[] NOT NULL,
    comment      text NOT NULL,
    definition   text NOT NULL,
    keys_between text,
    next_moment  text,
    sources      jsonb NOT NULL,
    direct       jsonb NOT NULL,
    tables       text[] NOT NULL
);
COMMENT ON TABLE @extschema@.wc_site_view IS 'Materialized views that this site has added (wc_add_view).';
COMMENT ON COLUMN @extschema@.wc_site_view.definition IS 'The SELECT as it was given, over placeholders.';
COMMENT ON COLUMN @extschema@.wc_site_view.sources IS
    'By base table: the query of the keys whose rows may differ after some of its rows have changed, as it was given.';
COMMENT ON COLUMN @extschema@.wc_site_view.direct IS 'The same, where it follows from the marks in the definition.';
COMMENT ON COLUMN @extschema@.wc_site_view.tables IS 'Every table that these texts name.';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.wc_site_view', '');

-- Of a site's definition nothing is known but what was tried. So what comes out is restricted to the keys once more, and a row
-- without a key, which no refresh by keys could find, is none of the view's.
CREATE VIEW @extschema@.wc_view_catalogue AS
SELECT d.name, d.key_columns, d.comment, d.definition, d.refresh_columns, d.keys_between, d.next_moment, false AS of_site
  FROM @extschema@.wc_view_definition AS d
UNION ALL
SELECT s.name, s.key_columns, s.comment,
       pg_catalog.concat('SELECT v.* FROM (', E'\n', s.definition, E'\n', ') AS v WHERE ', k.known, ' {only ', k.list, '}'),
       s.key_columns, s.keys_between, s.next_moment, true
  FROM @extschema@.wc_site_view AS s
 CROSS JOIN LATERAL (SELECT string_agg(pg_catalog.concat('v."', u.e, '"'), ', ' ORDER BY u.n) AS list,
                            string_agg(pg_catalog.concat('v."', u.e, '" IS NOT NULL'), ' AND ' ORDER BY u.n) AS known
                       FROM unnest(s.key_columns) WITH ORDINALITY AS u (e, n)) AS k;
COMMENT ON VIEW @extschema@.wc_view_catalogue IS 'Every materialized view that is managed: the shipped ones and the site''s.';

CREATE VIEW @extschema@.wc_source_catalogue AS
SELECT d.view_name, d.table_name, d.keys, false AS direct
  FROM @extschema@.wc_view_source AS d
UNION ALL
SELECT s.name, e.key, e.value, NOT jsonb_exists(s.sources, e.key)
  FROM @extschema@.wc_site_view AS s
 CROSS JOIN LATERAL jsonb_each_text(s.direct || s.sources) AS e (key, value);
COMMENT ON VIEW @extschema@.wc_source_catalogue IS
    'For each view and base table, the query of the keys whose rows may differ after some of its rows have changed; direct: they are in the changed row itself, by the marks in the definition.';

CREATE VIEW @extschema@.wc_index_catalogue AS
SELECT d.kind, d.name, d.table_name, d.position, d.key_columns, d.include_columns, d.predicate, d.is_unique,
       d.nulls_not_distinct, d.comment
  FROM @extschema@.wc_index_definition AS d
UNION ALL
SELECT 'view index', s.name || '_pkey', s.name, 1000, s.key_columns, '{}', '{}', true, false, 'One row for each key.'
  FROM @extschema@.wc_site_view AS s;
COMMENT ON VIEW @extschema@.wc_index_catalogue IS 'Every index that is managed: the shipped ones, and the unique one of each of the site''s views.';

CREATE VIEW @extschema@.wc_base_table AS
SELECT d.table_name FROM @extschema@.wc_default_column AS d
UNION
SELECT unnest(s.tables) FROM @extschema@.wc_site_view AS s;
COMMENT ON VIEW @extschema@.wc_base_table IS 'The tables of the base schema that managed objects are on, or read.';

GRANT SELECT ON @extschema@.wc_site_view, @extschema@.wc_view_catalogue, @extschema@.wc_source_catalogue,
    @extschema@.wc_index_catalogue, @extschema@.wc_base_table TO PUBLIC;

-- Materialized views of the site's own.

CREATE FUNCTION @extschema@.wc_add_view(name text, definition text, key_columns text[], sources jsonb DEFAULT NULL,
                                        keys_between text DEFAULT NULL, next_moment text DEFAULT NULL, comment text DEFAULT NULL)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_add_view';
COMMENT ON FUNCTION @extschema@.wc_add_view(text, text, text[], jsonb, text, text, text) IS
    'Adds a materialized view of the site''s own, and installs, fills and checks it: from then on it is refreshed, verified, scheduled and dumped as the shipped ones are. definition: a SELECT over {table: columns} with {only alias."column"} where it can be restricted to the keys.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_add_view(text, text, text[], jsonb, text, text, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_remove_view(name text)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_remove_view';
COMMENT ON FUNCTION @extschema@.wc_remove_view(text) IS
    'Takes a view that wc_add_view() added away, with its schedule, its log and what only it needed of the triggers.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_remove_view(text) FROM PUBLIC;

-- The schedules, of these too.

CREATE OR REPLACE VIEW @extschema@.wc_view_schedule AS
SELECT d.view_name,
       coalesce(s.schedule, d.schedule) AS schedule,
       CASE WHEN s.view_name IS NULL THEN d.at_time ELSE s.at_time END AS at_time
  FROM (SELECT e.view_name, e.schedule, e.at_time FROM @extschema@.wc_default_schedule AS e
        UNION ALL
        SELECT v.name, 'hourly', NULL FROM @extschema@.wc_site_view AS v) AS d
  LEFT JOIN @extschema@.wc_site_schedule AS s ON s.view_name = d.view_name;

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
    ADD COLUMN last_reason text,
    ADD COLUMN last_origin text;
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
COMMENT ON COLUMN @extschema@.wc_view_state.last_origin IS 'manual, schedule, install or live.';

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

-- Statistics and health: what is pending.

ALTER TYPE @extschema@.wc_view_statistics ADD ATTRIBUTE pending_changes bigint, ADD ATTRIBUTE oldest_pending timestamptz;
CREATE FUNCTION @extschema@.wc_pending_changes()
RETURNS TABLE (view_name text, pending_changes bigint, oldest_pending timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 5
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $pending$
WITH views AS MATERIALIZED (
    SELECT s.view_name, s.consumed, string_to_array(s.plan ->> 'tables', ',') AS tables
      FROM @extschema@.wc_view_state AS s WHERE s.consumed IS NOT NULL
)
SELECT v.view_name, c.changes, c.oldest
  FROM views AS v
 CROSS JOIN LATERAL (SELECT count(*) AS changes, min(c.noted_at) AS oldest
                       FROM @extschema@.wc_change AS c
                      WHERE c.xid >= pg_snapshot_xmin(v.consumed) AND NOT pg_visible_in_snapshot(c.xid, v.consumed)
                        AND c.table_name = ANY (v.tables)) AS c
$pending$;
COMMENT ON FUNCTION @extschema@.wc_pending_changes() IS
'Internal: how many changes each view has yet to take up, and when the oldest was noted; no row for a view whose next refresh is of the whole view.';

CREATE OR REPLACE FUNCTION @extschema@.wc_view_stats(view_name text DEFAULT NULL)
RETURNS SETOF @extschema@.wc_view_statistics
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $view_stats$
SELECT d.name,
       pg_total_relation_size(c.oid),
       CASE WHEN c.oid IS NULL OR NOT c.relispopulated THEN NULL
            WHEN k.known THEN s.row_count
            WHEN pg_is_in_recovery() THEN nullif(greatest(c.reltuples, -1), -1)::bigint
            ELSE pg_stat_get_live_tuples(c.oid) END,
       c.relispopulated,
       CASE WHEN k.known THEN s.last_refresh END,
       CASE WHEN k.known THEN now() - s.last_refresh END,
       CASE WHEN k.known THEN s.last_duration_ms END,
       coalesce(s.refreshes, 0) + l.refreshes,
       coalesce(s.failures, 0) + l.failures,
       CASE WHEN c.oid IS NULL OR NOT c.relispopulated THEN NULL
            WHEN k.known AND s.last_origin IS NOT NULL THEN s.last_origin
            WHEN k.known THEN (SELECT g.origin FROM @extschema@.wc_refresh_log AS g
                                WHERE g.view_name = d.name AND g.status = 'refreshed'
                                ORDER BY g.started_at DESC, g.id DESC LIMIT 1)
            ELSE 'by hand' END,
       CASE WHEN k.known THEN p.pending_changes END,
       CASE WHEN k.known THEN p.oldest_pending END
  FROM @extschema@.wc_view_catalogue AS d
 CROSS JOIN (SELECT value AS base_schema FROM @extschema@.wc_configuration WHERE name = 'base_schema') AS b
  LEFT JOIN pg_namespace AS n ON n.nspname = b.base_schema
  LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = d.name AND c.relkind = 'm'
  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = d.name
  LEFT JOIN @extschema@.wc_pending_changes() AS p ON p.view_name = d.name
 CROSS JOIN LATERAL (SELECT coalesce(c.relispopulated AND c.relfilenode = s.relfilenode, false) AS known) AS k
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE g.status = 'refreshed') AS refreshes,
                            count(*) FILTER (WHERE g.status = 'failed') AS failures
                       FROM @extschema@.wc_refresh_log AS g
                      WHERE g.view_name = d.name AND NOT g.counted) AS l
 WHERE $1 IS NULL OR d.name = @extschema@.wc_view_name($1)
 ORDER BY d.name
$view_stats$;
COMMENT ON FUNCTION @extschema@.wc_view_stats(text) IS
'Size in bytes (with indexes and TOAST), rows, age and last refresh of one materialized view, or all; refreshed_by: manual, schedule, install, live or by hand (REFRESH without wc_refresh); changes that it has yet to take up.';

-- Live mode: a background worker keeps the views true as changes are committed.

CREATE FUNCTION @extschema@.wc_live_status()
RETURNS TABLE (switched_on boolean, state text, pid integer, since timestamptz, behind_since timestamptz,
               next_moment timestamptz, retry_at timestamptz, sqlstate text)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_live_status';
COMMENT ON FUNCTION @extschema@.wc_live_status() IS
'Live mode in this database: whether it is switched on, how its worker is, since when it is behind, when it looks next by itself.';

-- The health check knows live mode: the function as sql/functions/health.sql has it.

CREATE OR REPLACE FUNCTION @extschema@.wc_health_check()
RETURNS TABLE (check_name text, status text, detail text, hint text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 20
SET search_path = pg_catalog, pg_temp
SET jit = off -- a second of compiling for milliseconds of work
AS $health$
WITH site AS MATERIALIZED (
    SELECT c.value AS base_schema, n.oid AS base_oid, e.extowner AS owner,
           EXISTS (SELECT FROM pg_class AS t
                    WHERE t.relnamespace = n.oid AND t.relname = 'students' AND t.relkind IN ('r', 'p')) AS has_tables
      FROM @extschema@.wc_configuration AS c
      JOIN pg_extension AS e ON e.extname = 'whitecross'
      LEFT JOIN pg_namespace AS n ON n.nspname = c.value
     WHERE c.name = 'base_schema'
), objects AS MATERIALIZED (
    SELECT o.kind, o.name, o.table_name, o.status, o.validated, o.reason,
           o.status IN ('installed', 'adopted', 'outdated') AS there
      FROM @extschema@.wc_objects() AS o
), views AS MATERIALIZED (
    SELECT o.name, o.status, o.reason, c.oid, c.relispopulated, c.relowner, c.relacl,
           format('%I.%I', site.base_schema, o.name) AS qualified,
           s.row_count, s.last_refresh, s.refreshed_by, t.last_refresh AS recorded_refresh, p.has_rows,
           sch.schedule,
           CASE sch.schedule WHEN 'hourly' THEN interval '1 hour' WHEN 'six_hourly' THEN interval '6 hours'
                             WHEN 'daily' THEN interval '24 hours' END AS every
      FROM objects AS o
     CROSS JOIN site
      JOIN @extschema@.wc_view_stats() AS s ON s.view_name = o.name
      LEFT JOIN pg_class AS c ON c.relnamespace = site.base_oid AND c.relname = o.name AND c.relkind = 'm'
      LEFT JOIN @extschema@.wc_view_state AS t ON t.view_name = o.name
      LEFT JOIN @extschema@.wc_view_schedule AS sch ON sch.view_name = o.name
      LEFT JOIN @extschema@.wc_data_presence() AS p ON p.relation_name = o.name
     WHERE o.kind = 'materialized view'
), base_tables AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relowner
      FROM pg_class AS c
      JOIN site ON c.relnamespace = site.base_oid
     WHERE c.relkind IN ('r', 'p')
       AND c.relname IN (SELECT d.table_name FROM @extschema@.wc_base_table AS d)
), indexes AS MATERIALIZED (
    SELECT o.name, o.kind, c.oid, i.indisvalid AND i.indisready AND i.indislive AS valid, i.indisunique,
           format('%I.%I', site.base_schema, o.name) AS qualified
      FROM objects AS o
     CROSS JOIN site
      JOIN pg_class AS c ON c.relnamespace = site.base_oid AND c.relname = o.name
      JOIN pg_index AS i ON i.indexrelid = c.oid
     WHERE o.kind IN ('covering index', 'partial index', 'composite index', 'view index', 'refresh index')
), readers AS MATERIALIZED (
    -- Who but its owner was granted a view, whole or in columns.
    SELECT g.name, string_agg(DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC'), ', ') AS roles
      FROM (SELECT v.name, v.relowner, a.grantee FROM views AS v
             CROSS JOIN LATERAL aclexplode(v.relacl) AS a WHERE a.privilege_type = 'SELECT'
            UNION
            SELECT v.name, v.relowner, a.grantee FROM views AS v
              JOIN pg_attribute AS t ON t.attrelid = v.oid AND t.attacl IS NOT NULL
             CROSS JOIN LATERAL aclexplode(t.attacl) AS a WHERE a.privilege_type = 'SELECT') AS g
      LEFT JOIN pg_roles AS r ON r.oid = g.grantee
     WHERE g.grantee <> g.relowner
     GROUP BY g.name
), scheduler AS MATERIALIZED (
    SELECT s.loaded, s.database, s.here, s.usable FROM @extschema@.wc_scheduler() AS s
), expected AS MATERIALIZED (
    SELECT s.schedule, max(v.every) AS every, string_agg(v.name, ', ' ORDER BY v.name) AS view_names,
           format('CALL @extschema@.wc_run_schedule(%L)', s.schedule) AS command
      FROM @extschema@.wc_view_schedule AS s
      JOIN views AS v ON v.name = s.view_name
     WHERE s.schedule <> 'off' AND v.status <> 'disabled'
     GROUP BY s.schedule
), jobs AS MATERIALIZED (
    SELECT j.job_name, j.schedule AS cron, j.command, j.run_as, j.active, j.last_status, j.last_start,
           substring(j.command FROM 'wc_run_schedule\(''([a-z_]+)''\)') AS schedule
      FROM @extschema@.wc_scheduled_jobs() AS j
), last_attempts AS MATERIALIZED (
    SELECT v.name, l.status, l.origin, l.sqlstate, l.message, l.started_at, f.first_scheduled
      FROM views AS v
      LEFT JOIN LATERAL (SELECT g.status, g.origin, g.sqlstate, g.message, g.started_at
                           FROM @extschema@.wc_refresh_log AS g WHERE g.view_name = v.name AND g.status <> 'skipped'
                          ORDER BY g.started_at DESC, g.id DESC LIMIT 1) AS l ON true
      LEFT JOIN LATERAL (SELECT max(g.started_at) AS first_scheduled
                           FROM @extschema@.wc_refresh_log AS g
                          WHERE g.view_name = v.name AND g.origin = 'schedule') AS f ON true
), changes AS MATERIALIZED (
    -- What each view has yet to take up; as long as nothing refreshes it, that is kept for it.
    SELECT v.name, p.pending_changes, now() - p.oldest_pending AS lag, t.last_reason, t.plan ->> 'problem' AS problem,
           coalesce(2 * v.every, interval '1 day') AS patience,
           coalesce(nullif(current_setting('whitecross.change_log_limit', true), ''), '1000000')::bigint AS most
      FROM views AS v
      JOIN @extschema@.wc_view_state AS t ON t.view_name = v.name
      LEFT JOIN @extschema@.wc_pending_changes() AS p ON p.view_name = v.name
     WHERE v.oid IS NOT NULL AND v.relispopulated
), findings (check_name, status, detail, hint) AS (
    SELECT 'base tables', 'warning', format('there is no table students in schema %I', site.base_schema),
           'SELECT * FROM @extschema@.wc_configure(''base_schema'', ''...''); or SELECT * FROM @extschema@.wc_create_base_tables(); and then SELECT * FROM @extschema@.wc_install();'
      FROM site WHERE NOT site.has_tables
    UNION ALL
    SELECT 'views exist', CASE WHEN site.has_tables THEN 'critical' ELSE 'warning' END,
           concat_ws(': ', format('%s is not there (%s)', v.name, v.status), v.reason),
           'SELECT * FROM @extschema@.wc_install(''materialized view'');'
      FROM views AS v CROSS JOIN site WHERE v.oid IS NULL AND v.status IN ('pending', 'conflict')
    UNION ALL
    SELECT 'views populated', 'critical', format('%s has never been filled: every query on it fails', v.name),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v WHERE NOT v.relispopulated
    UNION ALL
    -- Each student has a row in the first, each active one in the next two. The others may well be empty in the holidays,
    -- so there it counts only where they had rows before.
    SELECT 'views have data',
           CASE WHEN v.name = 'mv_student_health_summary' THEN 'critical' ELSE 'warning' END,
           format('%s is empty although table %s has rows%s', v.name, b.table_name, b.unless),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v
      JOIN (VALUES ('mv_student_health_summary', 'students', ''),
                   ('mv_compliance_status', 'students', ': right only where no student is active'),
                   ('mv_allergy_summary', 'students', ': right only where no student is active'),
                   ('mv_medication_schedule', 'student_medications', ', and it had rows before: right only where no medication is current'),
                   ('mv_appointment_statistics', 'appointments', ', and it had rows before: right only where none is of the last 90 days or to come'))
           AS b (view_name, table_name, unless) ON b.view_name = v.name
      JOIN @extschema@.wc_data_presence() AS p ON p.relation_name = b.table_name AND p.has_rows
     WHERE v.relispopulated AND NOT v.has_rows
       AND (b.table_name = 'students'
            OR EXISTS (SELECT FROM @extschema@.wc_refresh_log AS g WHERE g.view_name = v.name AND g.row_count > 0))
    UNION ALL
    SELECT 'views fresh',
           CASE WHEN now() - v.recorded_refresh > 12 * v.every AND v.last_refresh IS NOT NULL THEN 'critical' ELSE 'warning' END,
           CASE WHEN v.last_refresh IS NOT NULL
                THEN format('%s was refreshed %s ago; its schedule is %s', v.name,
                            date_trunc('second', now() - v.last_refresh), v.schedule)
                ELSE format('%s was filled by other means than wc_refresh(), at an unknown time; its schedule is %s', v.name, v.schedule) END,
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v
     WHERE v.relispopulated AND v.every IS NOT NULL AND v.status <> 'disabled'
       AND coalesce(now() - v.recorded_refresh > 2 * v.every, true)
    UNION ALL
    SELECT 'last refresh', 'warning',
           format('the last attempt to refresh %s (%s, %s ago) failed: %s %s', l.name, l.origin,
                  date_trunc('second', now() - l.started_at), l.sqlstate, l.message),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', l.name)
      FROM last_attempts AS l WHERE l.status = 'failed'
    UNION ALL
    SELECT 'indexes valid', CASE WHEN i.kind = 'view index' AND i.indisunique THEN 'critical' ELSE 'warning' END,
           format('index %s is not valid: no query uses it', i.name),
           format('REINDEX INDEX CONCURRENTLY %s;', i.qualified)
      FROM indexes AS i WHERE NOT i.valid
    UNION ALL
    SELECT 'indexes exist', 'warning', concat_ws(': ', format('%s %s on %s is %s', o.kind, o.name, o.table_name, o.status), o.reason),
           format('SELECT * FROM @extschema@.wc_install(%L);', o.kind)
      FROM objects AS o CROSS JOIN site
     WHERE o.kind LIKE '% index' AND o.status = 'pending' AND site.has_tables
    UNION ALL
    SELECT 'constraints', 'warning',
           CASE WHEN o.there THEN format('constraint %s on %s is not validated: old rows may violate it', o.name, o.table_name)
                ELSE concat_ws(': ', format('constraint %s on %s is %s', o.name, o.table_name, o.status), o.reason) END,
           format('SELECT * FROM @extschema@.wc_breaches(%L); -- mend those rows, then SELECT * FROM @extschema@.wc_validate();', o.name)
      FROM objects AS o CROSS JOIN site
     WHERE o.kind = 'check constraint' AND site.has_tables
       AND ((o.there AND NOT o.validated) OR o.status = 'pending')
    UNION ALL
    SELECT 'conflicts', 'warning',
           concat_ws(': ', format('%s %s on %s has another definition than ours', o.kind, o.name, o.table_name), o.reason),
           format('SELECT * FROM @extschema@.wc_disable(%L); -- to live with it; or rename or drop that object, and SELECT * FROM @extschema@.wc_install(%L);', o.name, o.kind)
      FROM objects AS o WHERE o.status = 'conflict'
    UNION ALL
    SELECT 'definitions', 'warning',
           concat_ws(': ', format('%s %s has an older definition than today''s', o.kind, o.name), o.reason),
           format('SELECT * FROM @extschema@.wc_install(%L);', o.kind)
      FROM objects AS o WHERE o.status = 'outdated'
    UNION ALL
    SELECT 'links', 'warning', format('DROP EXTENSION would leave %s %s behind: it has lost its link', l.kind, l.name),
           'SELECT * FROM @extschema@.wc_install();'
      FROM @extschema@.wc_object_links() AS l WHERE NOT l.linked
    UNION ALL
    SELECT 'row security', 'warning',
           format('%s can read %s, which shows all rows whatever the policies of %s say', r.roles, r.name, t.names),
           format('REVOKE SELECT ON %s FROM %s; -- and give them a view on it that has the policy''s condition', v.qualified, r.roles)
      FROM readers AS r
      JOIN views AS v ON v.name = r.name
     CROSS JOIN (SELECT string_agg(b.relname, ', ' ORDER BY b.relname) AS names FROM base_tables AS b WHERE b.relrowsecurity) AS t
     WHERE t.names IS NOT NULL
    UNION ALL
    SELECT 'view owners', 'critical',
           format('%s, the owner of %s, %s: the view can''t be refreshed, or lacks rows', quote_ident(o.rolname), v.name,
                  concat_ws(', and ', 'may not read ' || t.unreadable, 'is subject to row security on ' || t.hidden)),
           concat_ws(' ', CASE WHEN t.qualified IS NOT NULL THEN format('GRANT SELECT ON %s TO %I;', t.qualified, o.rolname) END,
                     CASE WHEN t.hidden IS NOT NULL THEN format('ALTER ROLE %I BYPASSRLS;', o.rolname) END)
      FROM views AS v
      JOIN pg_roles AS o ON o.oid = v.relowner
     CROSS JOIN site
     CROSS JOIN LATERAL (
         SELECT string_agg(b.relname, ', ' ORDER BY b.relname) FILTER (WHERE NOT a.readable) AS unreadable,
                string_agg(b.relname, ', ' ORDER BY b.relname) FILTER (WHERE a.hidden) AS hidden,
                string_agg(format('%I.%I', site.base_schema, b.relname), ', ' ORDER BY b.relname) FILTER (WHERE NOT a.readable) AS qualified
           FROM base_tables AS b
          CROSS JOIN LATERAL (SELECT has_table_privilege(o.oid, b.oid, 'SELECT') AS readable,
                                     b.relrowsecurity AND NOT o.rolsuper AND NOT o.rolbypassrls
                                     AND (b.relforcerowsecurity OR NOT pg_has_role(o.oid, b.relowner, 'USAGE')) AS hidden) AS a
          WHERE NOT a.readable OR a.hidden) AS t
     WHERE t.unreadable IS NOT NULL OR t.hidden IS NOT NULL
    UNION ALL
    SELECT 'extension owner', 'critical',
           format('the extension''s owner, %s, is not a superuser: refreshing fails', quote_ident(r.rolname)),
           format('ALTER ROLE %I SUPERUSER;', r.rolname)
      FROM site JOIN pg_roles AS r ON r.oid = site.owner WHERE NOT r.rolsuper
    UNION ALL
    SELECT 'schedule', 'warning',
           CASE WHEN NOT s.loaded THEN 'pg_cron is not loaded: nothing refreshes the views by schedule'
                WHEN s.here THEN 'extension pg_cron is not installed: nothing refreshes the views by schedule'
                ELSE format('database %I of pg_cron does not exist', s.database) END,
           CASE WHEN NOT s.loaded
                THEN 'In postgresql.conf: shared_preload_libraries = ''pg_cron,whitecross'' and cron.database_name = ''...''; restart; there CREATE EXTENSION pg_cron; then here SELECT * FROM @extschema@.wc_schedule();'
                WHEN s.here THEN 'CREATE EXTENSION pg_cron; SELECT * FROM @extschema@.wc_schedule();'
                ELSE 'Set cron.database_name in postgresql.conf to a database that exists, and restart.' END
      FROM scheduler AS s WHERE NOT s.usable AND EXISTS (SELECT FROM expected)
    UNION ALL
    SELECT 'schedule', 'warning',
           CASE WHEN j.job_name IS NULL THEN format('no job of pg_cron refreshes %s (%s)', e.view_names, e.schedule)
                WHEN NOT j.active THEN format('job "%s" is switched off', j.job_name)
                WHEN j.command <> e.command THEN format('job "%s" runs %s, not %s', j.job_name, j.command, e.command)
                ELSE format('role %I of job "%s" can''t log in', j.run_as, j.job_name) END,
           'SELECT * FROM @extschema@.wc_schedule();'
      FROM expected AS e
      JOIN scheduler AS s ON s.here AND s.usable
      LEFT JOIN jobs AS j ON j.schedule = e.schedule
      LEFT JOIN pg_roles AS r ON r.rolname = j.run_as
     WHERE j.job_name IS NULL OR NOT j.active OR j.command <> e.command OR NOT coalesce(r.rolcanlogin, false)
    UNION ALL
    -- From another database than pg_cron's its jobs can't be seen, only what they did.
    SELECT 'schedule', 'warning',
           format('no scheduled refresh of %s (%s) has been seen for %s; its job is in database %I', l.name, v.schedule,
                  coalesce(date_trunc('second', now() - l.first_scheduled)::text, 'as long as the log goes back'), s.database),
           format('SELECT * FROM @extschema@.wc_schedule(); and in database %I: SELECT * FROM cron.job; SELECT * FROM cron.job_run_details ORDER BY runid DESC LIMIT 20;', s.database)
      FROM last_attempts AS l
      JOIN views AS v ON v.name = l.name
      JOIN scheduler AS s ON s.usable AND NOT s.here
     WHERE v.every IS NOT NULL AND v.oid IS NOT NULL AND v.status <> 'disabled'
       AND coalesce(now() - l.first_scheduled > 2 * v.every, true)
    UNION ALL
    SELECT 'last scheduled run', 'warning',
           format('the last run of job "%s", %s ago, failed', j.job_name, date_trunc('second', now() - j.last_start)),
           'SELECT * FROM cron.job_run_details ORDER BY runid DESC LIMIT 20; SELECT * FROM @extschema@.wc_refresh_log ORDER BY started_at DESC LIMIT 20;'
      FROM jobs AS j WHERE j.last_status = 'failed'
    UNION ALL
    SELECT 'change log', 'warning',
           format('%s changes are pending for %s, the oldest for %s', c.pending_changes, c.name, date_trunc('second', c.lag)),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', c.name)
      FROM changes AS c WHERE c.pending_changes > c.most / 2 OR c.lag > c.patience
    UNION ALL
    SELECT 'incremental refresh', 'warning', format('%s is refreshed as a whole each time: %s', c.name, coalesce(nullif(c.problem, ''), c.last_reason)),
           'SELECT * FROM @extschema@.wc_install();'
      FROM changes AS c
     WHERE nullif(c.problem, '') IS NOT NULL OR c.last_reason LIKE 'there is no capture trigger on table %'
        OR c.last_reason LIKE 'a capture trigger is switched off on table %'
    UNION ALL
    SELECT 'library', 'warning', 'whitecross is not loaded at server start: what needs shared memory is not available',
           'In postgresql.conf add whitecross to shared_preload_libraries, and restart.'
     WHERE NOT @extschema@.wc_preloaded()
    UNION ALL
    -- A worker is behind for as long as a round takes, and away for moments: 10 seconds are neither.
    SELECT 'live mode', 'warning',
           CASE WHEN l.state = 'not preloaded' THEN 'live mode is switched on, but the server has not loaded the library at its start'
                WHEN l.state <> 'running' THEN concat_ws(': ', format('live mode is switched on, but its worker does not run: %s', l.state), l.sqlstate)
                WHEN l.behind_since IS NOT NULL
                THEN concat_ws('; ', format('the views are behind by what was committed since %s', date_trunc('second', l.behind_since)),
                               format('the last failure was %s', l.sqlstate))
                ELSE format('no view was refreshed at %s, when it changed by time alone', date_trunc('second', l.next_moment)) END,
           CASE l.state WHEN 'not preloaded' THEN 'In postgresql.conf add whitecross to shared_preload_libraries, and restart.'
                        WHEN 'no worker slot' THEN 'Raise max_worker_processes in postgresql.conf, and restart.'
                        ELSE 'SELECT * FROM @extschema@.wc_live_status(); SELECT * FROM @extschema@.wc_refresh_log WHERE origin = ''live'' ORDER BY started_at DESC LIMIT 20;' END
      FROM @extschema@.wc_live_status() AS l
     WHERE l.switched_on AND l.state <> 'standby'
       AND (l.state = 'not preloaded'
            OR l.state <> 'running' AND coalesce(l.since < clock_timestamp() - interval '10 seconds', true)
            OR l.state = 'running' AND least(l.behind_since, l.next_moment) < clock_timestamp() - interval '10 seconds')
), checks (position, check_name, good) AS (
    SELECT 1, 'base tables', format('base tables are in schema %I', site.base_schema) FROM site
    UNION ALL SELECT 2, 'views exist', format('%s of %s views are there', count(v.oid), count(*)) FROM views AS v
    UNION ALL SELECT 3, 'views populated', format('%s views are filled', count(*) FILTER (WHERE v.relispopulated)) FROM views AS v
    UNION ALL SELECT 4, 'views have data', 'no view is empty that should have rows'
    UNION ALL SELECT 5, 'views fresh', concat_ws(', ', 'every view is as fresh as its schedule wants it',
                     'the oldest refreshed ' || date_trunc('second', max(now() - v.last_refresh)) || ' ago') FROM views AS v
    UNION ALL SELECT 6, 'last refresh', 'no view''s last refresh failed'
    UNION ALL SELECT 7, 'indexes exist', format('%s indexes are there', count(*)) FROM indexes
    UNION ALL SELECT 8, 'indexes valid', format('%s indexes are valid', count(*)) FROM indexes
    UNION ALL SELECT 9, 'constraints', format('%s constraints are there and validated', count(*) FILTER (WHERE o.there))
                FROM objects AS o WHERE o.kind = 'check constraint'
    UNION ALL SELECT 10, 'conflicts', 'nothing else has a managed object''s name'
    UNION ALL SELECT 11, 'definitions', 'every object has today''s definition'
    UNION ALL SELECT 12, 'links', 'DROP EXTENSION would leave nothing of ours behind'
    UNION ALL SELECT 13, 'row security', 'no view shows a role what a base table''s policies hide'
    UNION ALL SELECT 14, 'view owners', 'each view''s owner can read every row of the base tables'
    UNION ALL SELECT 15, 'extension owner', 'the extension''s owner is a superuser'
    UNION ALL SELECT 16, 'schedule',
                     CASE WHEN NOT EXISTS (SELECT FROM expected) THEN 'every schedule is off'
                          WHEN s.here THEN 'each schedule has its job'
                          WHEN s.usable THEN format('scheduled refreshes come in; their jobs are in database %I', s.database) END FROM scheduler AS s
    UNION ALL SELECT 17, 'last scheduled run', 'no job''s last run failed'
    UNION ALL SELECT 18, 'change log', format('no view lags far behind; %s changes are pending for the furthest', coalesce(max(c.pending_changes), 0))
                FROM changes AS c
    UNION ALL SELECT 19, 'incremental refresh', 'each view''s changes are captured'
    UNION ALL SELECT 20, 'library', 'whitecross is loaded at server start'
    UNION ALL SELECT 21, 'live mode',
                     CASE WHEN NOT l.switched_on THEN 'live mode is off' WHEN l.state = 'standby' THEN 'live mode waits for promotion'
                          ELSE 'live mode keeps the views true' END FROM @extschema@.wc_live_status() AS l
)
SELECT c.check_name, coalesce(f.status, 'ok'), coalesce(f.detail, c.good), f.hint
  FROM checks AS c
  LEFT JOIN findings AS f ON f.check_name = c.check_name
 ORDER BY CASE f.status WHEN 'critical' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, c.position, f.detail
$health$;
-- What is new belongs to the extension's owner, whichever superuser runs the update. The GRANT changes nothing but what the
-- server remembers as the privileges that this script gave, which a dump leaves out.
DO $owner$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT 'TABLE' AS kind, c.oid::pg_catalog.regclass::text AS name, e.extowner::pg_catalog.regrole AS owner,
               EXISTS (SELECT FROM pg_catalog.pg_init_privs AS i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0) AS granted
          FROM pg_catalog.pg_extension AS e
          JOIN pg_catalog.pg_depend AS d
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_class AS c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
         WHERE e.extname = 'whitecross' AND c.relowner <> e.extowner AND c.relkind IN ('r', 'v')
         UNION ALL
        SELECT 'ROUTINE', p.oid::pg_catalog.regprocedure::text, e.extowner::pg_catalog.regrole,
               EXISTS (SELECT FROM pg_catalog.pg_init_privs AS i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0)
          FROM pg_catalog.pg_extension AS e
          JOIN pg_catalog.pg_depend AS d
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_proc AS p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
         WHERE e.extname = 'whitecross' AND p.proowner <> e.extowner
    LOOP
        EXECUTE pg_catalog.format('ALTER %s %s OWNER TO %s', own.kind, own.name, own.owner);
        IF own.granted THEN
            EXECUTE pg_catalog.format('GRANT ALL ON %s %s TO %s', own.kind, own.name, own.owner);
        END IF;
    END LOOP;
END
$owner$;

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

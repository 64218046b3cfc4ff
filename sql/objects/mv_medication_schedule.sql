-- mv_medication_schedule: one row for each current medication of a live, active student.
--
-- Doses. A time of day in scheduledTimes stands for a dose on each day from startDate to endDate, at that local time; the
-- zone's rules give the moment (a local time that the clocks skip is an hour later, one that comes twice is the second).
-- Yesterday's doses are looked at because one at 23:50 is still due at 00:10; the day after tomorrow's because tomorrow's at
-- 00:10 may have been given at 23:50 already. A row whose scheduledTimes is NULL, as it is for every row of a database
-- without the column, has the doses of its PENDING logs instead. An empty array has no doses.
--
-- Nothing here raises: a time that isn't hh:mm or hh:mm:ss, with AM or PM or without, is left out before it is
-- cast; logs are compared around "now" only, so that no extreme timestamp meets an addition or a zone. No backslash: the
-- definition must mean the same whatever standard_conforming_strings is. OFFSET 0: each time is parsed once, not once a day.
--
-- A dose was given where a live ADMINISTERED log stands within 30 minutes of it. Only logs from now less 60 minutes on can
-- say so of a dose that is due or to come.
--
-- Time. Whether a dose was given does not depend on the clock, so between two moments of a day the doses ahead of a row only
-- become fewer, and the row as it was tells what happens to it: its next dose is over, or comes within 30 minutes; or a
-- dose for which it was due is more than 30 minutes old, which takes a look at its doses, but only if it is due and was
-- refreshed within the hour before (after more than an hour none of those doses is near). When a day begins, the medication may
-- begin or end, other logs are those of today, and a row without a next dose may have one again, since one more day is
-- looked at. A row whose next dose is on a day after those that were looked at, by a clock that was set forward
-- across midnight, is taken along, because the day that is new may hold an earlier one.

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
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_medication_schedule', 'studentMedicationId', 'The student''s medication (student_medications.id); unique.'),
('mv_medication_schedule', 'studentId', 'The student (students.id).'),
('mv_medication_schedule', 'studentNumber', 'Number of the student.'),
('mv_medication_schedule', 'studentName', 'First and last name of the student.'),
('mv_medication_schedule', 'grade', 'Grade of the student.'),
('mv_medication_schedule', 'schoolId', 'School of the student.'),
('mv_medication_schedule', 'nurseId', 'Nurse of the student.'),
('mv_medication_schedule', 'medicationId', 'The medication (medications.id).'),
('mv_medication_schedule', 'medicationName', 'Name of the medication.'),
('mv_medication_schedule', 'medicationGenericName', 'Generic name of the medication.'),
('mv_medication_schedule', 'dosage', 'Dosage for this student.'),
('mv_medication_schedule', 'route', 'Route of administration.'),
('mv_medication_schedule', 'frequency', 'Frequency as prescribed.'),
('mv_medication_schedule', 'scheduledTimes', 'Times of day in the time zone of the site; NULL where the doses are the PENDING logs.'),
('mv_medication_schedule', 'instructions', 'Instructions for this student.'),
('mv_medication_schedule', 'startDate', 'First day of the medication.'),
('mv_medication_schedule', 'endDate', 'Last day of the medication; NULL where it is open.'),
('mv_medication_schedule', 'requiresWitness', 'Whether a witness is required: for this student or, where that is unknown, by the medication.'),
('mv_medication_schedule', 'isControlled', 'Whether the medication is controlled.'),
('mv_medication_schedule', 'deaSchedule', 'DEA schedule of the medication.'),
('mv_medication_schedule', 'nextScheduledTime', 'First dose after now that was not given; NULL where none is left, or where it would be after endDate.'),
('mv_medication_schedule', 'lastAdministeredAt', 'Latest live log with status ADMINISTERED.'),
('mv_medication_schedule', 'administeredCountToday', 'Number of live logs with status ADMINISTERED today.'),
('mv_medication_schedule', 'isDueNow', 'Whether a dose that was not given is scheduled within 30 minutes of now, either side.');

-- mv_appointment_statistics: one row for each nurse, school and local date; the last 90 days and everything to come.
--
-- The window is judged by the local date. The bound on scheduledAt before it only spares old rows the conversion: two days
-- wider than any difference of zones. A time at the end of time (about 294266 AD) counts as infinity, for the conversion might
-- raise. Restricted to keys, the appointments of each are looked up through the index on nurse and time, whatever the planner thinks:
-- local days begin and end less than a day away from those of UTC. avgDuration is the exact average, not rounded: that is the reader's choice.
-- When a day begins, another one leaves the window. None ever comes in: all that is to come is there already.

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
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_appointment_statistics', 'nurseId', 'The nurse (users.id).'),
('mv_appointment_statistics', 'nurseName', 'First and last name of the nurse.'),
('mv_appointment_statistics', 'schoolId', 'The school (schools.id); NULL where none is known.'),
('mv_appointment_statistics', 'schoolName', 'Name of the school.'),
('mv_appointment_statistics', 'date', 'Local date of the appointments, in the time zone of the site.'),
('mv_appointment_statistics', 'totalAppointments', 'Number of live appointments.'),
('mv_appointment_statistics', 'completedAppointments', 'Number of those with status COMPLETED.'),
('mv_appointment_statistics', 'cancelledAppointments', 'Number of those with status CANCELLED.'),
('mv_appointment_statistics', 'noShowAppointments', 'Number of those with status NO_SHOW.'),
('mv_appointment_statistics', 'scheduledAppointments', 'Number of those with status SCHEDULED or CONFIRMED.'),
('mv_appointment_statistics', 'checkupAppointments', 'Number of those of type CHECKUP or ROUTINE_CHECKUP.'),
('mv_appointment_statistics', 'medicationAppointments', 'Number of those of type MEDICATION or MEDICATION_ADMINISTRATION.'),
('mv_appointment_statistics', 'injuryAppointments', 'Number of those of type INJURY or INJURY_ASSESSMENT.'),
('mv_appointment_statistics', 'illnessAppointments', 'Number of those of type ILLNESS or ILLNESS_EVALUATION.'),
('mv_appointment_statistics', 'avgDuration', 'Average minutes of the completed ones, not rounded; NULL where none is completed.'),
('mv_appointment_statistics', 'totalDuration', 'Total minutes of the completed ones; 0 where none is completed.'),
('mv_appointment_statistics', 'uniqueStudentsSeen', 'Number of students with a completed appointment.');

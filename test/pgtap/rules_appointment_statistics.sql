-- The rules of mv_appointment_statistics, from both sides. Local times are New York's; today is 2024-05-15.
\i test/pgtap/setup/rules.sql

-- An appointment of a student of a school, at a local time. Where the table has no school of its own, the student's counts.
CREATE FUNCTION rules.visit(nurse text, school text, child text, local_time timestamp, given jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM students WHERE id = rules.id(child)) THEN
    PERFORM rules.student(child, jsonb_build_object('schoolId', school));
  END IF;
  PERFORM rules.put('appointments', jsonb_build_object('nurseId', nurse, 'schoolId', school, 'studentId', child,
                                                       'scheduledAt', local_time AT TIME ZONE 'America/New_York') || given);
END
$$;
CREATE FUNCTION rules.day(nurse text, school text, day date) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT to_jsonb(s) FROM mv_appointment_statistics AS s
   WHERE s."nurseId" = rules.id(nurse) AND s."schoolId" IS NOT DISTINCT FROM rules.id(school) AND s."date" = day
$$;

DO $$
DECLARE
  kind text;
BEGIN
  PERFORM rules.school('north'), rules.school('south'), rules.nurse('nina'), rules.nurse('otto'), rules.nurse('left');
  PERFORM rules.change('users', 'left', '{"deletedAt": "2024-05-01"}');

  -- One full day: every status and every type.
  PERFORM rules.visit('nina', 'north', 'ann', '2024-05-14 09:00', '{"status": "COMPLETED", "duration": 20, "type": "ROUTINE_CHECKUP"}'),
          rules.visit('nina', 'north', 'ann', '2024-05-14 10:00', '{"status": "COMPLETED", "duration": 25, "type": "CHECKUP"}'),
          rules.visit('nina', 'north', 'bob', '2024-05-14 11:00', '{"status": "COMPLETED", "duration": 55, "type": "MEDICATION_ADMINISTRATION"}'),
          rules.visit('nina', 'north', 'bob', '2024-05-14 12:00', '{"status": "CANCELLED", "duration": 60, "type": "MEDICATION"}'),
          rules.visit('nina', 'north', 'cat', '2024-05-14 13:00', '{"status": "NO_SHOW", "type": "INJURY_ASSESSMENT"}'),
          rules.visit('nina', 'north', 'cat', '2024-05-14 14:00', '{"status": "SCHEDULED", "type": "INJURY"}'),
          rules.visit('nina', 'north', 'cat', '2024-05-14 15:00', '{"status": "CONFIRMED", "type": "ILLNESS_EVALUATION"}'),
          rules.visit('nina', 'north', 'dan', '2024-05-14 16:00', '{"status": "IN_PROGRESS", "type": "ILLNESS"}'),
          rules.visit('nina', 'north', 'dan', '2024-05-14 17:00', '{"status": "SCHEDULED", "type": "SCREENING"}'),
          rules.visit('nina', 'north', 'dan', '2024-05-14 18:00', '{"status": "COMPLETED", "type": "CHECKUP", "deletedAt": "2024-05-14"}');
  -- Each nurse, school and day by itself.
  PERFORM rules.visit('otto', 'north', 'ann', '2024-05-14 09:00'), rules.visit('nina', 'south', 'eve', '2024-05-14 09:00'),
          rules.visit('nina', NULL, 'homeless', '2024-05-14 09:00'), rules.visit('nina', NULL, 'homeless', '2024-05-14 10:00');
  -- The local day: 23:59 and 00:00.
  PERFORM rules.visit('otto', 'south', 'eve', '2024-05-10 23:59'), rules.visit('otto', 'south', 'eve', '2024-05-11 00:00');
  -- The window: from today less 90 on, and all to come.
  PERFORM rules.visit('otto', 'south', 'eve', '2024-02-15 00:00'), rules.visit('otto', 'south', 'eve', '2024-02-14 23:59'),
          rules.visit('otto', 'south', 'eve', '2031-05-15 09:00');
  -- Nobody's, a stranger's, and one of a nurse who has left.
  PERFORM rules.visit('left', 'north', 'ann', '2024-05-14 09:00');
  PERFORM rules.put('appointments', '{"studentId": "ann", "schoolId": "north", "nurseId": null, "scheduledAt": "2024-05-14T13:00:00Z"}');
END
$$;
SELECT rules.refresh('2024-05-15 08:00');

SELECT is(rules.day('nina', 'north', '2024-05-14') ->> c, v, c)
  FROM (VALUES ('nurseName', 'nina Nurse'), ('schoolName', 'north'), ('totalAppointments', '9'), ('completedAppointments', '3'), ('cancelledAppointments', '1'),
               ('noShowAppointments', '1'), ('scheduledAppointments', '3'), ('checkupAppointments', '2'), ('medicationAppointments', '2'),
               ('injuryAppointments', '2'), ('illnessAppointments', '2'), ('totalDuration', '100'), ('uniqueStudentsSeen', '2')) AS c (c, v);
SELECT is((rules.day('nina', 'north', '2024-05-14') ->> 'avgDuration')::numeric, (SELECT avg(d) FROM unnest(ARRAY[20, 25, 55]) AS d), 'avgDuration is of the completed ones');
SELECT is(rules.day('otto', 'north', '2024-05-14') ->> c, v, format('%s where none is completed', c))
  FROM (VALUES ('totalAppointments', '1'), ('completedAppointments', '0'), ('avgDuration', NULL), ('totalDuration', '0'), ('uniqueStudentsSeen', '0'),
               ('cancelledAppointments', '0'), ('noShowAppointments', '0'), ('scheduledAppointments', '1'), ('checkupAppointments', '0')) AS c (c, v);
SELECT is(rules.day('nina', 'south', '2024-05-14') ->> 'totalAppointments', '1', 'another school is another row');
SELECT is(rules.day('nina', NULL, '2024-05-14') ->> 'totalAppointments', '2', 'no school is one row');
SELECT is(rules.day('nina', NULL, '2024-05-14') ->> 'schoolName', NULL, 'without a name');
SELECT is(rules.day('otto', 'south', d::date) ->> 'totalAppointments', n, format('the local day %s', d))
  FROM (VALUES ('2024-05-10', '1'), ('2024-05-11', '1')) AS c (d, n);
SELECT is(rules.day('otto', 'south', '2024-02-15') ->> 'totalAppointments', '1', '90 days ago is in the window');
SELECT ok(rules.day('otto', 'south', '2024-02-14') IS NULL, '91 days ago is not');
SELECT is(rules.day('otto', 'south', '2031-05-15') ->> 'totalAppointments', '1', 'years ahead is');
SELECT is(rules.day('left', 'north', '2024-05-14') ->> 'totalAppointments', '1', 'a nurse who was deleted still counts');
SELECT is_empty($$SELECT FROM mv_appointment_statistics WHERE "nurseId" IS NULL OR "nurseId" NOT IN (SELECT id FROM users)$$, 'no row without a row in users');

-- A nurse whom no row in users is for: only where no foreign key forbids it.
DO $$
DECLARE
  foreign_key name;
BEGIN
  FOR foreign_key IN SELECT conname FROM pg_constraint WHERE conrelid = 'appointments'::regclass AND confrelid = 'users'::regclass LOOP
    EXECUTE format('ALTER TABLE appointments DROP CONSTRAINT %I', foreign_key);
  END LOOP;
  PERFORM rules.visit('stranger', 'north', 'ann', '2024-05-14 09:00');
  -- The ends of time: no refresh may fail by them.
  PERFORM rules.put('appointments', jsonb_build_object('nurseId', 'otto', 'schoolId', 'south', 'studentId', 'eve', 'scheduledAt', t))
     FROM unnest(ARRAY['infinity', '-infinity', '294276-12-31T23:59:59Z', '4714-11-24T00:00:00Z BC']) AS t;
END
$$;
SELECT rules.refresh('2024-05-15 23:59');
SELECT ok(rules.day('stranger', 'north', '2024-05-14') IS NULL, 'no row for a nurse without a row in users');
SELECT is(rules.day('otto', 'south', 'infinity') ->> 'totalAppointments', '2', 'times beyond any local time count as infinity');
SELECT is(rules.day('otto', 'south', '2024-02-15') ->> 'totalAppointments', '1', 'the window moves at local midnight, not before');
SELECT rules.refresh('2024-05-16 00:00');
SELECT ok(rules.day('otto', 'south', '2024-02-15') IS NULL, 'and at local midnight it does');

-- The days on which the clocks change: all hours of the local day, 23 and 25 of them.
DO $$
BEGIN
  PERFORM rules.put('appointments', jsonb_build_object('nurseId', 'nina', 'schoolId', 'north', 'studentId', 'ann', 'scheduledAt', t))
     FROM generate_series(timestamptz '2024-03-09 00:30-05', '2024-03-12 00:00-04', '1 hour') AS t;
  PERFORM rules.put('appointments', jsonb_build_object('nurseId', 'nina', 'schoolId', 'north', 'studentId', 'ann', 'scheduledAt', t))
     FROM generate_series(timestamptz '2024-11-02 00:30-04', '2024-11-05 00:00-05', '1 hour') AS t;
END
$$;
SELECT rules.refresh('2024-05-16 08:00');
SELECT is(rules.day('nina', 'north', d::date) ->> 'totalAppointments', n, format('%s has %s hours', d, n))
  FROM (VALUES ('2024-03-09', '24'), ('2024-03-10', '23'), ('2024-03-11', '24'), ('2024-11-02', '24'), ('2024-11-03', '25'), ('2024-11-04', '24')) AS c (d, n);

SELECT is_empty($$SELECT FROM mv_appointment_statistics WHERE num_nulls("totalAppointments", "completedAppointments", "cancelledAppointments", "noShowAppointments",
  "scheduledAppointments", "checkupAppointments", "medicationAppointments", "injuryAppointments", "illnessAppointments", "totalDuration", "uniqueStudentsSeen") > 0$$,
  'no count or total is NULL');
SELECT is_empty($$SELECT "nurseId", "schoolId", "date" FROM mv_appointment_statistics GROUP BY 1, 2, 3 HAVING count(*) > 1$$, 'one row for each nurse, school and day');

SELECT * FROM finish();
ROLLBACK;

-- The rules of mv_medication_schedule, from both sides: who has a row, what it shows, what is next and what is due.
-- All local times are New York's. rules_medication_times.sql has the ways to write a time, midnight, and the clock's changes.
\i test/pgtap/setup/rules.sql
\i test/pgtap/setup/doses.sql

DO $$
BEGIN
  PERFORM rules.school('north'), rules.nurse('nina');
  -- Who has a row. Today is 2024-05-15.
  PERFORM rules.medicated('plain', ARRAY['12:00'], '{"route": "oral", "frequency": "daily", "instructions": "with food", "dosage": "10 ml", "startDate": "2024-02-01", "endDate": "2024-08-01"}');
  PERFORM rules.medicated('starts today', NULL, '{"startDate": "2024-05-15"}'), rules.medicated('starts tomorrow', NULL, '{"startDate": "2024-05-16"}'),
          rules.medicated('ends today', NULL, '{"endDate": "2024-05-15"}'), rules.medicated('ended yesterday', NULL, '{"endDate": "2024-05-14"}'),
          rules.medicated('stopped', NULL, '{"isActive": false}'), rules.medicated('activity unknown', NULL, '{"isActive": null}'),
          rules.medicated('deleted', NULL, '{"deletedAt": "2024-05-01"}'),
          rules.medicated('student inactive', NULL), rules.medicated('student deleted', NULL);
  PERFORM rules.change('students', 'student inactive', '{"isActive": false}'), rules.change('students', 'student deleted', '{"deletedAt": "2024-05-01"}');
  PERFORM rules.put('medications', '{"id": "deleted drug", "deletedAt": "2024-05-01"}'), rules.put('medications', '{"id": "inactive drug", "isActive": false}');
  PERFORM rules.medicated('of deleted drug', NULL, '{"medicationId": "deleted drug"}'), rules.medicated('of inactive drug', NULL, '{"medicationId": "inactive drug"}');

  -- What it shows.
  PERFORM rules.put('medications', '{"id": "opioid", "name": "Oxycodone", "genericName": "oxycodone hydrochloride", "isControlled": true, "deaSchedule": "II", "requiresWitness": true}'),
          rules.put('medications', '{"id": "unknown", "isControlled": null, "requiresWitness": null}');
  PERFORM rules.medicated('opioid', NULL, '{"medicationId": "opioid"}'), rules.medicated('unknown', NULL, '{"medicationId": "unknown"}'),
          rules.medicated('witness waived', NULL, '{"medicationId": "opioid", "requiresWitness": false}'),
          rules.medicated('witness wanted', NULL, '{"medicationId": "drug", "requiresWitness": true}');

  -- Doses.
  PERFORM rules.medicated('at ' || t, ARRAY[t]) FROM unnest(ARRAY['07:29', '07:30', '08:00', '08:30', '08:31']) AS t;
  PERFORM rules.medicated('two', ARRAY['08:00', '12:00']), rules.medicated('unordered', ARRAY['18:00', '06:00', '12:00']);
  PERFORM rules.medicated('over, ends today', ARRAY['07:00'], '{"endDate": "2024-05-15"}'), rules.medicated('over, ends tomorrow', ARRAY['07:00'], '{"endDate": "2024-05-16"}'),
          rules.medicated('tonight, ends today', ARRAY['20:00'], '{"endDate": "2024-05-15"}');
  -- Given, or not: the moment and the kind of the log beside a dose at 08:00.
  PERFORM rules.medicated('given ' || t, ARRAY['08:00', '14:00']), rules.log('given ' || t, ('2024-05-15 ' || t)::timestamp)
     FROM unnest(ARRAY['07:29', '07:30', '07:50', '08:00']) AS t;
  PERFORM rules.medicated('given early', ARRAY['08:20']), rules.log('given early', '2024-05-15 07:55');
  PERFORM rules.medicated('given late', ARRAY['07:40']), rules.log('given late', '2024-05-15 08:00');
  PERFORM rules.medicated('given early, long ago', ARRAY['07:40']), rules.log('given early, long ago', '2024-05-15 07:15');
  PERFORM rules.medicated('given by a clock ahead', ARRAY['07:40']), rules.log('given by a clock ahead', '2024-05-15 08:10'),
          rules.medicated('given too late', ARRAY['07:40']), rules.log('given too late', '2024-05-15 08:11');
  PERFORM rules.medicated(lower(s), ARRAY['08:00']), rules.log(lower(s), '2024-05-15 07:50', s) FROM unnest(ARRAY['MISSED', 'REFUSED', 'CANCELLED']) AS s;
  PERFORM rules.medicated('log deleted', ARRAY['08:00']), rules.log('log deleted', '2024-05-15 07:50', 'ADMINISTERED', '{"deletedAt": "2024-05-15"}');
  PERFORM rules.medicated('other drug given', ARRAY['08:00']),
          rules.put('student_medications', '{"id": "other", "studentId": "other drug given", "medicationId": "inactive drug"}'),
          rules.log('other', '2024-05-15 07:50');

  -- Counts of today: by the local day.
  PERFORM rules.medicated('counted', NULL);
  PERFORM rules.log('counted', t, s) FROM (VALUES ('2024-05-14 23:59'::timestamp, 'ADMINISTERED'), ('2024-05-15 00:00', 'ADMINISTERED'),
    ('2024-05-15 06:00', 'ADMINISTERED'), ('2024-05-15 07:00', 'MISSED'), ('2024-05-15 07:10', 'PENDING')) AS l (t, s);
  PERFORM rules.log('counted', '2024-05-15 07:20', 'ADMINISTERED', '{"deletedAt": "2024-05-15"}');

  -- Doses of PENDING logs, where there are no scheduled times.
  PERFORM rules.medicated('pending ' || t, NULL), rules.log('pending ' || t, ('2024-05-15 ' || t)::timestamp, 'PENDING')
     FROM unnest(ARRAY['07:29', '07:30', '08:00', '08:30', '08:31']) AS t;
  PERFORM rules.medicated('pending twice', NULL), rules.log('pending twice', '2024-05-16 09:00', 'PENDING'), rules.log('pending twice', '2024-05-15 09:00', 'PENDING');
  PERFORM rules.medicated('pending, given', NULL), rules.log('pending, given', '2024-05-15 08:10', 'PENDING'), rules.log('pending, given', '2024-05-15 07:50');
  PERFORM rules.medicated('pending, deleted', NULL), rules.log('pending, deleted', '2024-05-15 08:10', 'PENDING', '{"deletedAt": "2024-05-15"}');
  PERFORM rules.medicated('scheduled but missed', NULL), rules.log('scheduled but missed', '2024-05-15 08:10', 'MISSED');
  PERFORM rules.medicated('pending after the end', NULL, '{"endDate": "2024-05-15"}'), rules.log('pending after the end', '2024-05-16 08:00', 'PENDING');
END
$$;
SELECT rules.refresh('2024-05-15 08:00');

SELECT ok(rules.row('mv_medication_schedule', k) IS NOT NULL, format('a row for: %s', k))
  FROM unnest(ARRAY['plain', 'starts today', 'ends today', 'activity unknown', 'of inactive drug']) AS k;
SELECT ok(rules.row('mv_medication_schedule', k) IS NULL, format('no row for: %s', k))
  FROM unnest(ARRAY['starts tomorrow', 'ended yesterday', 'stopped', 'student inactive', 'student deleted', 'of deleted drug']) AS k;
SELECT CASE WHEN rules.has('student_medications', 'deletedAt') THEN ok(rules.row('mv_medication_schedule', 'deleted') IS NULL, 'no row for: deleted')
            ELSE skip('a medication of a student is never deleted here') END;

SELECT rules.shows('mv_medication_schedule', 'plain', c, v, c)
  FROM (VALUES ('studentId', rules.id('plain')::text), ('studentNumber', 'plain'), ('studentName', 'plain Student'), ('grade', '3'),
               ('schoolId', rules.id('north')::text), ('nurseId', rules.id('nina')::text), ('medicationId', rules.id('drug')::text),
               ('medicationName', 'Aspirin'), ('medicationGenericName', NULL), ('dosage', '10 ml'), ('route', 'oral'), ('frequency', 'daily'),
               ('instructions', 'with food'), ('startDate', '2024-02-01'), ('endDate', '2024-08-01'), ('requiresWitness', 'false'), ('isControlled', 'false'),
               ('deaSchedule', NULL), ('lastAdministeredAt', NULL), ('administeredCountToday', '0'), ('isDueNow', 'false'),
               ('scheduledTimes', CASE WHEN rules.has('student_medications', 'scheduledTimes') THEN '["12:00"]' END)) AS c (c, v);
SELECT rules.shows('mv_medication_schedule', 'opioid', c, v, format('%s of a controlled medication', c))
  FROM (VALUES ('medicationName', 'Oxycodone'), ('medicationGenericName', 'oxycodone hydrochloride'), ('isControlled', 'true'), ('deaSchedule', 'II'), ('requiresWitness', 'true')) AS c (c, v);
SELECT rules.shows('mv_medication_schedule', 'unknown', c, 'false', format('%s where nobody knows', c)) FROM unnest(ARRAY['isControlled', 'requiresWitness']) AS c;
SELECT CASE WHEN rules.has('student_medications', 'requiresWitness')
  THEN rules.shows('mv_medication_schedule', k, 'requiresWitness', v, format('%s for the student overrules the medication', k))
  ELSE skip('the witness stands on the medication here') END
  FROM (VALUES ('witness waived', 'false'), ('witness wanted', 'true')) AS c (k, v);

SELECT rules.doses_are(k, due, next, format('due %s, next %s: %s', due, next, k))
  FROM (VALUES ('at 07:29', false, '2024-05-16 07:29'::timestamp), ('at 07:30', true, '2024-05-16 07:30'), ('at 08:00', true, '2024-05-16 08:00'),
               ('at 08:30', true, '2024-05-15 08:30'), ('at 08:31', false, '2024-05-15 08:31'),
               ('two', true, '2024-05-15 12:00'), ('unordered', false, '2024-05-15 12:00'),
               ('over, ends today', false, NULL), ('over, ends tomorrow', false, '2024-05-16 07:00'), ('tonight, ends today', false, '2024-05-15 20:00'),
               ('given 07:29', true, '2024-05-15 14:00'), ('given 07:30', false, '2024-05-15 14:00'), ('given 07:50', false, '2024-05-15 14:00'),
               ('given 08:00', false, '2024-05-15 14:00'), ('given early', false, '2024-05-16 08:20'), ('given late', false, '2024-05-16 07:40'),
               ('given early, long ago', false, '2024-05-16 07:40'), ('given by a clock ahead', false, '2024-05-16 07:40'), ('given too late', true, '2024-05-16 07:40'),
               ('missed', true, '2024-05-16 08:00'), ('refused', true, '2024-05-16 08:00'), ('cancelled', true, '2024-05-16 08:00'),
               ('log deleted', true, '2024-05-16 08:00'), ('other drug given', true, '2024-05-16 08:00'),
               ('pending 07:29', false, NULL), ('pending 07:30', true, NULL), ('pending 08:00', true, NULL), ('pending 08:30', true, '2024-05-15 08:30'),
               ('pending 08:31', false, '2024-05-15 08:31'), ('pending twice', false, '2024-05-15 09:00'), ('pending, given', false, NULL),
               ('pending, deleted', false, NULL), ('scheduled but missed', false, NULL), ('pending after the end', false, NULL),
               ('starts today', false, NULL)) AS c (k, due, next);

SELECT rules.shows('mv_medication_schedule', 'counted', 'administeredCountToday', '2', 'live ADMINISTERED logs of the local day are counted');
SELECT rules.moment('mv_medication_schedule', 'counted', 'lastAdministeredAt', '2024-05-15 06:00', 'the last live ADMINISTERED log');

-- Where a row has scheduled times, PENDING logs add none.
DO $$
BEGIN
  IF rules.has('student_medications', 'scheduledTimes') THEN
    PERFORM rules.medicated('both', ARRAY['12:00']), rules.log('both', '2024-05-15 08:10', 'PENDING');
    PERFORM rules.medicated('on demand', NULL, '{"scheduledTimes": []}'), rules.log('on demand', '2024-05-15 08:10', 'PENDING');
  END IF;
  -- A log at the ends of time, and one far away: none may make the refresh fail.
  PERFORM rules.medicated('far', NULL);
  PERFORM rules.log('far', NULL, s, jsonb_build_object('administeredAt', t, 'scheduledAt', t))
     FROM unnest(ARRAY['infinity', '-infinity', '294276-12-31T23:59:59Z', '4714-11-24T00:00:00Z BC', '2090-01-01T00:00:00Z']) AS t, unnest(ARRAY['ADMINISTERED', 'PENDING']) AS s;
  PERFORM rules.medicated('always', NULL, '{"startDate": "4714-11-24T00:00:00Z BC", "endDate": "294276-12-31T23:59:59Z"}'),
          rules.medicated('ever', NULL, '{"startDate": "-infinity", "endDate": "infinity"}');
  -- Two prescriptions of one drug.
  PERFORM rules.medicated('first', ARRAY['08:10']), rules.put('student_medications', '{"id": "second", "studentId": "first", "medicationId": "drug", "scheduledTimes": ["08:10"]}');
  PERFORM rules.log('first', '2024-05-15 07:55');
END
$$;
SELECT rules.refresh('2024-05-15 08:01');
SELECT CASE WHEN rules.has('student_medications', 'scheduledTimes')
  THEN collect_tap(rules.doses_are('both', false, '2024-05-15 12:00', 'PENDING logs add nothing to scheduled times'),
                   rules.doses_are('on demand', false, NULL, 'no scheduled times, no doses'))
  ELSE skip('no scheduledTimes here', 2) END;
SELECT rules.shows('mv_medication_schedule', 'far', 'administeredCountToday', '0', 'logs at the ends of time are not of today');
SELECT ok(rules.row('mv_medication_schedule', k) IS NOT NULL, format('a medication from one end of time to the other is current: %s', k))
  FROM unnest(ARRAY['always', 'ever']) AS k;
SELECT rules.doses_are('first', false, '2024-05-16 08:10', 'a dose of the first of two prescriptions was given');
-- A log that can't say of which prescription it is counts for each: the child had the drug.
SELECT rules.shows('mv_medication_schedule', 'second', 'administeredCountToday',
                   CASE WHEN rules.has('medication_logs', 'studentMedicationId') THEN '0' ELSE '1' END, 'the second of them counts the log where it may be its own');
SELECT rules.shows('mv_medication_schedule', 'second', 'isDueNow',
                   CASE WHEN rules.has('medication_logs', 'studentMedicationId') THEN 'true' ELSE 'false' END, 'and likewise is not due');

SELECT is_empty($$SELECT FROM mv_medication_schedule WHERE num_nulls("requiresWitness", "isControlled", "administeredCountToday", "isDueNow") > 0$$, 'no count or boolean is NULL');
SELECT is_empty($$SELECT "studentMedicationId" FROM mv_medication_schedule GROUP BY 1 HAVING count(*) > 1$$, 'one row for each medication of a student');

SELECT * FROM finish();
ROLLBACK;

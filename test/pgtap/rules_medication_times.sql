-- mv_medication_schedule: how a time of day is written, midnight, and the days on which the clocks change.
\i test/pgtap/setup/rules.sql
\i test/pgtap/setup/doses.sql

DO $$ BEGIN PERFORM rules.school('north'), rules.nurse('nina'); END $$;

-- Ways to write a time of day, read at 08:00. NULL: none, and the rest of the view is as it should be.
CREATE TEMPORARY TABLE writing (written text, meant time) ON COMMIT DROP;
INSERT INTO writing VALUES ('08:05', '08:05'), ('8:05', '08:05'), ('08:05:30', '08:05:30'), (' 08:05 ', '08:05'), ('8:05 AM', '08:05'),
  ('8:05am', '08:05'), ('08:05 PM', '20:05'), ('12:30 pm', '12:30'), ('12:30 AM', '00:30'), ('8:05:30 am', '08:05:30'), ('9:05 PM', '21:05'),
  ('00:00', '00:00'), ('23:59', '23:59'), ('23:59:59', '23:59:59'),
  ('', NULL), ('noon', NULL), ('25:00', NULL), ('24:00', NULL), ('08:60', NULL), ('08:00:60', NULL), ('8', NULL), ('8.05', NULL), ('08:05 XM', NULL),
  ('13:00 PM', NULL), ('9 am', NULL), ('0:30 AM', NULL), ('08:05-08:30', NULL), ('08:05 Europe/Paris', NULL), ('2024-05-15 08:05', NULL), ('allballs', NULL), ('now', NULL),
  ('-8:05', NULL), (repeat('8', 1000), NULL), ('08:05' || repeat(' ', 1000) || 'AM', NULL), ('８:０５', NULL), (E'08:05\n09:05', NULL);
DO $$
BEGIN
  IF rules.has('student_medications', 'scheduledTimes') THEN
    PERFORM rules.medicated('written ' || md5(written), ARRAY[written]) FROM writing;
    PERFORM rules.medicated('some malformed', ARRAY['25:00', NULL, 'noon', '12:00', ''], '{}'), rules.medicated('well formed', ARRAY['12:00']);
  END IF;
END
$$;
SELECT rules.refresh('2024-05-15 08:00');
SELECT CASE WHEN rules.has('student_medications', 'scheduledTimes')
  THEN rules.moment('mv_medication_schedule', 'written ' || md5(written), 'nextScheduledTime',
                    date '2024-05-15' + meant + CASE WHEN meant > '08:00' THEN interval '0' ELSE interval '1 day' END,
                    format('"%s" means %s', translate(left(written, 20), E'\n', ' '), coalesce(meant::text, 'nothing')))
  ELSE skip('no scheduledTimes here') END FROM writing;
SELECT CASE WHEN rules.has('student_medications', 'scheduledTimes') THEN collect_tap(
    rules.doses_are('some malformed', false, '2024-05-15 12:00', 'a malformed time leaves the others of its row'),
    rules.doses_are('well formed', false, '2024-05-15 12:00', 'and the other rows'))
  ELSE skip('no scheduledTimes here', 2) END;

-- Midnight.
DO $$
BEGIN
  PERFORM rules.medicated('late ' || t, ARRAY[t]) FROM unnest(ARRAY['23:39', '23:40', '23:50']) AS t;
  PERFORM rules.medicated('late, given', ARRAY['23:50']), rules.log('late, given', '2024-05-14 23:45');
  PERFORM rules.medicated('late, given after midnight', ARRAY['23:50']), rules.log('late, given after midnight', '2024-05-15 00:05');
  PERFORM rules.medicated('late, started today', ARRAY['23:50'], '{"startDate": "2024-05-15"}');
  PERFORM rules.medicated('early ' || t, ARRAY[t]) FROM unnest(ARRAY['00:10', '00:20', '00:21']) AS t;
  PERFORM rules.medicated('early, ends today', ARRAY['00:10'], '{"endDate": "2024-05-15"}');
  PERFORM rules.medicated('early, given', ARRAY['00:10']), rules.log('early, given', '2024-05-15 23:45');
  PERFORM rules.medicated('early and noon, given', ARRAY['00:10', '12:00']), rules.log('early and noon, given', '2024-05-15 23:45');
END
$$;
SELECT rules.refresh('2024-05-15 00:10');
SELECT rules.doses_are(k, due, next, format('at 00:10, due %s, next %s: %s', due, next, k))
  FROM (VALUES ('late 23:39', false, '2024-05-15 23:39'::timestamp), ('late 23:40', true, '2024-05-15 23:40'), ('late 23:50', true, '2024-05-15 23:50'),
               ('late, given', false, '2024-05-15 23:50'), ('late, given after midnight', false, '2024-05-15 23:50'), ('late, started today', false, '2024-05-15 23:50'),
               ('early 00:10', true, '2024-05-16 00:10'), ('early 00:20', true, '2024-05-15 00:20')) AS c (k, due, next);
SELECT rules.refresh('2024-05-15 23:50');
SELECT rules.doses_are(k, due, next, format('at 23:50, due %s, next %s: %s', due, next, k))
  FROM (VALUES ('early 00:10', true, '2024-05-16 00:10'::timestamp), ('early 00:20', true, '2024-05-16 00:20'), ('early 00:21', false, '2024-05-16 00:21'),
               ('early, ends today', false, NULL), ('early, given', false, '2024-05-17 00:10'), ('early and noon, given', false, '2024-05-16 12:00'),
               ('late 23:50', true, '2024-05-16 23:50')) AS c (k, due, next);

-- The clocks go forward at 02:00 on 2024-03-10, and back at 02:00 on 2024-11-03.
DO $$
BEGIN
  PERFORM rules.medicated('spring ' || t, ARRAY[t], '{}', '2024-03-10') FROM unnest(ARRAY['01:45', '02:30', '08:00']) AS t;
  PERFORM rules.medicated('autumn ' || t, ARRAY[t], '{}', '2024-11-03') FROM unnest(ARRAY['00:45', '01:30', '08:00']) AS t;
END
$$;
SELECT rules.refresh('2024-03-09 20:00');
SELECT is((rules.row('mv_medication_schedule', k) ->> 'nextScheduledTime')::timestamptz, v, format('the evening before the clocks go forward: %s', k))
  FROM (VALUES ('spring 01:45', timestamptz '2024-03-10 06:45Z'), ('spring 02:30', '2024-03-10 07:30Z'), ('spring 08:00', '2024-03-10 12:00Z')) AS c (k, v);
SELECT rules.refresh('2024-03-10 03:10');
SELECT rules.doses_are('spring 01:45', true, '2024-03-11 01:45', 'ten past three is 25 minutes after a quarter to two that night');
SELECT rules.doses_are('spring 02:30', true, '2024-03-10 03:30', 'a time that the clocks skip is an hour later');
SELECT rules.doses_are('spring 08:00', false, '2024-03-10 08:00', 'eight o''clock is eight o''clock of the new time');
SELECT rules.refresh('2024-11-02 20:00');
SELECT is((rules.row('mv_medication_schedule', k) ->> 'nextScheduledTime')::timestamptz, v, format('the evening before the clocks go back: %s', k))
  FROM (VALUES ('autumn 00:45', timestamptz '2024-11-03 04:45Z'), ('autumn 01:30', '2024-11-03 06:30Z'), ('autumn 08:00', '2024-11-03 13:00Z')) AS c (k, v);

SELECT * FROM finish();
ROLLBACK;

-- What is being done for a student: medications, their doses, appointments. Needs parameters.sql and people.sql.

-- Some 28 students in 100 have one, a quarter of those a second one (never twice the same: the platform's logs tell a
-- student's medications apart by the medication alone). Most go on for months; some have ended or begin next week.
-- Times are the medicine's usual ones, for some a quarter or half an hour later. A witness is named where the site says
-- so itself, and otherwise left (NULL) to the medication.
CREATE TEMPORARY VIEW sample_student_medications AS
SELECT i AS student, j AS part, i * 2 + j AS number, pg_temp.id('student medication', i, j) AS id, m.id AS medication_id,
       m.amount, m.unit, m.route, m.frequency, m.witness,
       CASE WHEN m.times IS NOT NULL THEN
         array(SELECT to_char(t::time + pg_temp.pick(roll, 2, 3) * interval '15 minutes', 'HH24:MI') FROM unnest(m.times) WITH ORDINALITY AS u (t, o) ORDER BY o)
       END AS times,
       CASE WHEN mod(i, 2) = 0 THEN m.witness END AS requires_witness,
       date :'anchor' + d.starts AS starts, date :'anchor' + d.ends AS ends,
       'Dr. ' || family[1 + pg_temp.pick(roll, 3, 64)] AS prescriber,
       'Give in the health office; the student stays for five minutes.' AS instructions,
       CASE pg_temp.pick(roll, 4, 40) WHEN 0 THEN NULL WHEN 1 THEN false WHEN 2 THEN false ELSE true END AS is_active,
       pg_temp.id('school', pg_temp.school_of(i), 0) AS school_id, pg_temp.nurse_on_duty(i) AS recorded_by,
       pg_temp.at(date :'anchor' + least(d.starts, 0) - 1, time '15:00') AS updated_at,
       CASE WHEN pg_temp.pick(roll, 5, 1000) < 20 THEN pg_temp.at(date :'anchor' - 2, time '15:00') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN sample_names
 CROSS JOIN LATERAL (SELECT pg_temp.roll('medications', i, 0) AS how_many OFFSET 0) AS n
 CROSS JOIN LATERAL generate_series(0, CASE WHEN pg_temp.pick(how_many, 0, 1000) >= 280 THEN -1 WHEN pg_temp.pick(how_many, 1, 4) > 0 THEN 0 ELSE 1 END) AS j
 CROSS JOIN LATERAL (SELECT pg_temp.roll('student medication', i, j) AS roll OFFSET 0) AS r
  JOIN sample_medications AS m ON m.number = 1 + mod(pg_temp.pick(how_many, 2, 24) + j * 7, 24)
 CROSS JOIN LATERAL (
    SELECT CASE WHEN pg_temp.pick(roll, 0, 100) < 4 THEN 7 ELSE -12 - pg_temp.pick(roll, 1, 300) END AS starts,
           CASE WHEN pg_temp.pick(roll, 0, 100) < 45 THEN NULL WHEN pg_temp.pick(roll, 0, 100) < 90 THEN 10 + pg_temp.pick(roll, 1, 200)
                WHEN pg_temp.pick(roll, 0, 100) < 93 THEN 0 ELSE -1 - pg_temp.pick(roll, 2, 10) END AS ends OFFSET 0) AS d;

-- Every dose from ten days ago to tomorrow on weekdays, on the anchor's day whatever day that is: what the time has passed
-- is mostly given, a few minutes early or late; what is due around it is given or not yet; what comes is pending.
CREATE TEMPORARY VIEW sample_doses AS
SELECT m.student, m.number * 1000 + r.day * 10 + t.position AS part,
       pg_temp.id('dose', m.number, r.day * 10 + t.position) AS id, m.id AS student_medication_id, m.medication_id,
       m.amount, m.unit, m.route, m.witness AND s.status = 'ADMINISTERED' AS witnessed,
       pg_temp.at(date :'anchor' + r.day, t.due) AS scheduled_at,
       CASE WHEN s.status = 'ADMINISTERED' THEN pg_temp.at(date :'anchor' + r.day, t.due) + (pg_temp.pick(roll, 1, 30) - 10) * interval '1 minute' END AS given_at,
       m.recorded_by AS given_by, pg_temp.id('user', pg_temp.school_of(m.student) * 10 + 2, 0) AS witness_id, s.status,
       CASE s.status WHEN 'REFUSED' THEN 'The student refused' WHEN 'MISSED' THEN 'The student was absent' WHEN 'CANCELLED' THEN 'Held by the parents' END AS reason,
       m.deleted_at IS NOT NULL AS of_deleted,
       CASE WHEN pg_temp.pick(roll, 5, 1000) < 10 THEN pg_temp.at(date :'anchor', time '06:00') END AS deleted_at
  FROM sample_student_medications AS m
 CROSS JOIN LATERAL (SELECT position, due::time AS due FROM unnest(m.times) WITH ORDINALITY AS u (due, position)) AS t
 CROSS JOIN generate_series(-10, 1) AS d (day)
 CROSS JOIN LATERAL (SELECT d.day, pg_temp.roll('dose', m.number, d.day * 10 + t.position) AS roll OFFSET 0) AS r
 CROSS JOIN LATERAL (
    SELECT CASE WHEN r.day > 0 OR r.day = 0 AND t.due > time :'time' + interval '30 minutes' THEN 'PENDING'
                WHEN r.day = 0 AND t.due > time :'time' - interval '30 minutes' AND pg_temp.pick(roll, 2, 3) > 0 THEN 'PENDING'
                WHEN pg_temp.pick(roll, 0, 100) < 91 THEN 'ADMINISTERED' WHEN pg_temp.pick(roll, 0, 100) < 95 THEN 'MISSED'
                WHEN pg_temp.pick(roll, 0, 100) < 98 THEN 'REFUSED' ELSE 'CANCELLED' END AS status OFFSET 0) AS s
 WHERE date :'anchor' + r.day BETWEEN m.starts AND coalesce(m.ends, 'infinity')
   AND (r.day = 0 OR extract(isodow FROM date :'anchor' + r.day) < 6)
   AND m.is_active IS NOT FALSE
UNION ALL
-- What is given as needed: twice within the last 80 days.
SELECT m.student, m.number * 1000 + 900 + k, pg_temp.id('dose as needed', m.number, k), m.id, m.medication_id, m.amount, m.unit, m.route, m.witness,
       NULL, g.given_at, m.recorded_by, pg_temp.id('user', pg_temp.school_of(m.student) * 10 + 2, 0), 'ADMINISTERED', NULL, m.deleted_at IS NOT NULL, NULL
  FROM sample_student_medications AS m
 CROSS JOIN generate_series(0, 1) AS k
 CROSS JOIN LATERAL (SELECT pg_temp.roll('dose as needed', m.number, k) AS roll OFFSET 0) AS r
 CROSS JOIN LATERAL (SELECT pg_temp.at_school(pg_temp.weekday(date :'anchor' - 1 - pg_temp.pick(roll, 0, 80)), pg_temp.pick(roll, 1, 30)) AS given_at OFFSET 0) AS g
 WHERE m.times IS NULL AND g.given_at >= pg_temp.at(m.starts, time '00:00') AND m.is_active IS NOT FALSE;

-- Three a student, from a year ago to two months ahead, on weekdays; one in a hundred without a nurse.
CREATE TEMPORARY VIEW sample_appointments AS
SELECT i AS student, j AS part, pg_temp.id('appointment', i, j) AS id,
       CASE WHEN mod(i * 3 + j, 100) <> 42 THEN pg_temp.nurse_on_duty(i) END AS nurse_id, pg_temp.id('school', pg_temp.school_of(i), 0) AS school_id,
       (array['ROUTINE_CHECKUP', 'MEDICATION_ADMINISTRATION', 'INJURY_ASSESSMENT', 'ILLNESS_EVALUATION', 'FOLLOW_UP', 'SCREENING', 'EMERGENCY'])
         [1 + pg_temp.pick(roll, 0, 7)] AS type,
       pg_temp.at_school(w.day, pg_temp.pick(roll, 1, 30)) AS scheduled_at,
       (array[15, 15, 20, 30, 30, 30, 45, 60])[1 + pg_temp.pick(roll, 2, 8)] AS duration,
       CASE WHEN w.day > date :'anchor' THEN (array['SCHEDULED', 'SCHEDULED', 'CONFIRMED', 'CANCELLED'])[1 + pg_temp.pick(roll, 3, 100) / 31]
            WHEN w.day = date :'anchor' THEN (array['SCHEDULED', 'IN_PROGRESS', 'COMPLETED'])[1 + pg_temp.pick(roll, 3, 3)]
            WHEN pg_temp.pick(roll, 3, 100) < 80 THEN 'COMPLETED' WHEN pg_temp.pick(roll, 3, 100) < 90 THEN 'CANCELLED'
            WHEN pg_temp.pick(roll, 3, 100) < 98 THEN 'NO_SHOW' ELSE 'SCHEDULED' END AS status,
       'Seen at the request of the ' || (array['parents', 'teacher', 'student', 'physician'])[1 + pg_temp.pick(roll, 2, 4)] AS reason,
       (array['Health office', 'Room 101', 'Gymnasium'])[1 + pg_temp.pick(roll, 5, 3)] AS location,
       CASE WHEN mod(i, 20) = 4 THEN pg_temp.id('appointment series', i, 0) END AS series_id,
       pg_temp.at(w.day - 14, time '09:00') AS created_at,
       CASE WHEN pg_temp.pick(roll, 5, 1000) < 15 THEN pg_temp.at(least(w.day, date :'anchor') - 1, time '09:00') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN generate_series(0, 2) AS j
 CROSS JOIN LATERAL (SELECT pg_temp.roll('appointment', i, j) AS roll OFFSET 0) AS r
 CROSS JOIN LATERAL (SELECT pg_temp.weekday(date :'anchor' - 365 + pg_temp.pick(roll, 4, 425)) AS day OFFSET 0) AS w;

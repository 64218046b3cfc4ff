-- Every rule of the CHECK constraints, from both sides.
\i test/pgtap/setup/rules.sql

-- Students: the grade.
SELECT rules.accepts('students', jsonb_build_object('grade', g), format('grade %s is accepted', g))
  FROM unnest(ARRAY['K', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12']) AS g;
SELECT rules.refuses('students', jsonb_build_object('grade', g), 'chk_students_grade_valid', format('grade "%s" is refused', g))
  FROM unnest(ARRAY['0', '13', 'k', '', ' 1', 'Pre-K', 'Graduate']) AS g;
SELECT CASE WHEN rules.nullable('students', 'grade')
            THEN rules.refuses('students', '{"grade": null}', 'chk_students_grade_valid', 'a NULL grade is refused')
            ELSE skip('grade is NOT NULL here') END;

-- Students: completed years on the enrolment date.
SELECT rules.accepts('students', jsonb_build_object('dateOfBirth', d, 'enrollmentDate', e), format('born %s, enrolled %s: %s', d, e, why))
  FROM (VALUES ('2016-09-01', '2020-09-01', 'exactly 4'), ('1994-09-02', '2020-09-01', '25 to the last day'),
               ('1995-09-01', '2020-09-01', 'exactly 25'), ('2016-02-29', '2020-02-29', 'exactly 4 on a leap day'),
               ('2016-02-29', '2021-03-01', 'past the birthday that the year lacks'),
               ('2016-09-01', '2020-09-01T00:00:00Z', 'at the first moment of the day in UTC'),
               ('2016-09-01', '2020-08-31T20:00:00-05:00', 'the date is that of UTC')) AS c (d, e, why);
SELECT rules.refuses('students', jsonb_build_object('dateOfBirth', d, 'enrollmentDate', e), 'chk_students_age_range',
                     format('born %s, enrolled %s: %s', d, e, why))
  FROM (VALUES ('2016-09-02', '2020-09-01', 'a day short of 4'), ('1994-09-01', '2020-09-01', 'exactly 26'),
               ('2016-02-29', '2020-02-28', 'a day short of 4, born on a leap day'),
               ('2016-09-01', '2020-09-01T01:00:00+02:00', 'the date is that of UTC'),
               ('2021-01-01', '2020-09-01', 'not born yet'), ('-infinity', '2020-09-01', 'infinite birth'),
               ('infinity', '2020-09-01', 'infinite birth'), ('2010-01-01', 'infinity', 'infinite enrolment'),
               ('2010-01-01', '-infinity', 'infinite enrolment'),
               ('5874897-12-31', '2020-09-01', 'a date beyond any timestamp'), ('4714-11-24 BC', '2020-09-01', 'the earliest date'),
               ('2010-01-01', '294276-12-31T23:59:59Z', 'the latest timestamp'),
               ('2010-01-01', '4714-11-24T00:00:00Z BC', 'the earliest timestamp')) AS c (d, e, why);
SELECT rules.accepts('students', format('{"dateOfBirth": "%s", "enrollmentDate": "%s"}', now()::date - interval '27 years', now()::date - interval '2 years 6 months')::jsonb
                     || '{"id": "grown up"}', 'enrolled at 24, 27 today: accepted');
SELECT lives_ok($$SELECT rules.change('students', 'grown up', '{"lastName": "Other"}')$$, 'enrolled at 24, 27 today: can be updated');
SELECT CASE WHEN rules.nullable('students', 'dateOfBirth')
            THEN rules.accepts('students', '{"dateOfBirth": null}', 'a NULL date of birth passes') ELSE skip('dateOfBirth is NOT NULL here') END;
SELECT CASE WHEN rules.nullable('students', 'enrollmentDate') THEN
  collect_tap(rules.accepts('students', '{"enrollmentDate": null, "createdAt": "2020-09-01", "dateOfBirth": "2016-09-01"}',
                            'without enrolment date, createdAt counts: exactly 4'),
              rules.refuses('students', '{"enrollmentDate": null, "createdAt": "2020-09-01", "dateOfBirth": "2016-09-02"}',
                            'chk_students_age_range', 'without enrolment date, createdAt counts: a day short of 4'),
              rules.accepts('students', '{"enrollmentDate": null, "createdAt": null, "dateOfBirth": "1950-01-01"}',
                            'without either date the age passes'))
  ELSE skip('enrollmentDate is NOT NULL here', 3) END;

-- Medications.
SELECT rules.accepts('medications', jsonb_build_object('isControlled', c, 'deaSchedule', s, 'requiresWitness', w),
                     format('controlled %s, schedule %s, witness %s: accepted', c, s, w))
  FROM (VALUES (true, 'II', true), (true, 'III', true), (true, 'I', false), (true, 'IV', NULL), (true, 'V', false), (false, NULL, false),
               (false, NULL, NULL), (NULL, 'IV', false), (NULL, NULL, NULL), (NULL, 'II', true), (false, NULL, true)) AS m (c, s, w);
SELECT rules.refuses('medications', jsonb_build_object('isControlled', c, 'deaSchedule', s, 'requiresWitness', w),
                     'chk_medications_controlled_schedule', format('controlled %s, schedule %s, witness %s: refused', c, s, w))
  FROM (VALUES (true, NULL, true), (true, NULL, NULL), (false, 'V', false), (false, 'II', true)) AS m (c, s, w);
SELECT rules.refuses('medications', jsonb_build_object('isControlled', true, 'deaSchedule', s, 'requiresWitness', w),
                     'chk_medications_witness_requirement', format('schedule %s with witness %s: refused', s, w))
  FROM (VALUES ('II', NULL), ('II', false), ('III', NULL), ('III', false)) AS m (s, w);

-- Vital signs.
SELECT rules.student('patient') IS NULL \g /dev/null
SELECT rules.accepts('vital_signs', jsonb_build_object('studentId', 'patient', 'temperature', t, 'temperatureUnit', u),
                     format('temperature %s %s is accepted', t, u))
  FROM (VALUES ('90'::text, 'F'), ('110', 'F'), ('98.6', 'F'), ('98.6', NULL), ('90', NULL), ('32.2', 'C'), ('43.3', 'C'), ('37.0', 'C'),
               (NULL, 'F'), (NULL, 'C'), (NULL, NULL)) AS v (t, u);
SELECT rules.refuses('vital_signs', jsonb_build_object('studentId', 'patient', 'temperature', t, 'temperatureUnit', u),
                     'chk_vital_signs_temperature_range', format('temperature %s %s is refused', t, u))
  FROM (VALUES ('89.9'::text, 'F'), ('110.1', 'F'), ('37.0', 'F'), ('37.0', NULL), ('32.1', 'C'), ('43.4', 'C'), ('98.6', 'C'),
               ('NaN', 'F'), ('Infinity', 'F'), ('-Infinity', 'C')) AS v (t, u);
SELECT rules.accepts('vital_signs', jsonb_build_object('studentId', 'patient', c, v), format('%s %s is accepted', c, v))
  FROM (VALUES ('heartRate', 40), ('heartRate', 220), ('heartRate', NULL), ('systolic', 60), ('systolic', 250), ('systolic', NULL),
               ('diastolic', 40), ('diastolic', 150), ('diastolic', NULL)) AS s (c, v);
SELECT rules.refuses('vital_signs', jsonb_build_object('studentId', 'patient', c, v), n, format('%s %s is refused', c, v))
  FROM (VALUES ('heartRate', 39, 'chk_vital_signs_heart_rate_range'), ('heartRate', 221, 'chk_vital_signs_heart_rate_range'),
               ('systolic', 59, 'chk_vital_signs_blood_pressure_range'), ('systolic', 251, 'chk_vital_signs_blood_pressure_range'),
               ('diastolic', 39, 'chk_vital_signs_diastolic_range'), ('diastolic', 151, 'chk_vital_signs_diastolic_range')) AS s (c, v, n);

-- Appointments.
SELECT rules.accepts('appointments', jsonb_build_object('studentId', 'patient', 'duration', d), format('%s minutes are accepted', d))
  FROM unnest(ARRAY[15, 30, 240]) AS d;
SELECT rules.refuses('appointments', jsonb_build_object('studentId', 'patient', 'duration', d), 'chk_appointments_duration_range',
                     format('%s minutes are refused', d))
  FROM unnest(ARRAY[14, 241, 0, -30]) AS d;
SELECT CASE WHEN rules.nullable('appointments', 'duration')
            THEN rules.accepts('appointments', '{"studentId": "patient", "duration": null}', 'a NULL duration passes')
            ELSE skip('duration is NOT NULL here') END;

-- Allergies.
SELECT rules.accepts('allergies', jsonb_build_object('studentId', 'patient', 'epiPenRequired', r, 'epiPenLocation', l),
                     format('EpiPen required %s at %s: accepted', r, l))
  FROM (VALUES (true, 'Office'), (true, ' x '), (false, NULL), (NULL, NULL), (false, ''), (NULL, '  ')) AS a (r, l);
SELECT rules.refuses('allergies', jsonb_build_object('studentId', 'patient', 'epiPenRequired', true, 'epiPenLocation', l),
                     'chk_allergies_epipen_location', format('EpiPen required at %s: refused', coalesce(format('%s blanks', length(l)), 'NULL')))
  FROM unnest(ARRAY[NULL, '', '   ', E' \t\n\r\v\f']) AS l;

-- Dosage of a student's medication.
SELECT rules.put('medications', '{"id": "drug"}') IS NULL \g /dev/null
SELECT rules.accepts('student_medications', jsonb_build_object('studentId', 'patient', 'medicationId', 'drug', 'dosage', d),
                     format('dosage "%s" is accepted', d))
  FROM unnest(ARRAY['.5 mg', '0.5', '10', '5 mg', '  2 puffs', E'\t1', '007', '0.05 ml', '1/2 tablet', '0.0001', '100mcg']) AS d;
SELECT rules.refuses('student_medications', jsonb_build_object('studentId', 'patient', 'medicationId', 'drug', 'dosage', d),
                     'chk_student_medications_dosage_positive', format('dosage "%s" is refused', d))
  FROM unnest(ARRAY['0 mg', '0', '0.0', '.0 mg', '0.', 'two', '½ tablet', '', '   ', 'mg 5', '-5 mg', 'Infinity', '.', '. 5', '0 5']) AS d;
SELECT CASE WHEN rules.nullable('student_medications', 'dosage')
            THEN rules.accepts('student_medications', '{"studentId": "patient", "medicationId": "drug", "dosage": null}', 'a NULL dosage passes')
            ELSE skip('dosage is NOT NULL here') END;

-- Dates: tomorrow in UTC is the last one, whatever the session's time zone, on insert and on a later update.
CREATE FUNCTION rules.tomorrow() RETURNS date LANGUAGE sql STABLE AS $$ SELECT (now() AT TIME ZONE 'UTC')::date + 1 $$;
CREATE FUNCTION rules.in_zone(zone text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  PERFORM set_config('TimeZone', zone, true);
  EXECUTE statement INTO line;
  RETURN line;
END
$$;
-- A moment of a UTC day, or the day itself where the column is a date.
CREATE FUNCTION rules.moment_of(day date, at time) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN (SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = 'health_records'::regclass AND a.attname = 'recordDate')
                   = 'date'::regtype THEN day::text ELSE day || 'T' || at || 'Z' END
$$;
-- One zone for each of the world's offsets, from -12 to +14.
CREATE TEMPORARY TABLE zone ON COMMIT DROP AS
  SELECT DISTINCT ON (utc_offset) name FROM pg_timezone_names WHERE utc_offset BETWEEN '-12:00' AND '14:00' AND name ~ '/' ORDER BY utc_offset, name;
SELECT cmp_ok((SELECT count(*)::int FROM zone), '>', 24, 'there are zones for more than 24 offsets');

SELECT rules.in_zone(z.name, format('SELECT rules.accepts(%L, %L, %L)', c.in_table,
         jsonb_build_object('studentId', 'patient', 'id', c.in_table || z.name, c.of_column, rules.moment_of(rules.tomorrow(), '23:59:59')),
         format('%s of tomorrow is accepted in %s', c.of_column, z.name)))
  FROM zone AS z, (VALUES ('health_records', 'recordDate'), ('vaccinations', 'administrationDate')) AS c (in_table, of_column);
SELECT rules.in_zone(z.name, format('SELECT rules.refuses(%L, %L, %L, %L)', c.in_table,
         jsonb_build_object('studentId', 'patient', c.of_column, rules.moment_of(rules.tomorrow() + 1, '00:00')), c.violated,
         format('%s of the day after is refused in %s', c.of_column, z.name)))
  FROM zone AS z, (VALUES ('health_records', 'recordDate', 'chk_health_records_record_date'),
                          ('vaccinations', 'administrationDate', 'chk_vaccinations_administration_date')) AS c (in_table, of_column, violated);
SELECT rules.in_zone(z.name, format('SELECT lives_ok(%L, %L)',
         format('UPDATE %I SET notes = notes || %L WHERE id IN (SELECT rules.id(%L || name) FROM zone)', c.in_table, 'x', c.in_table),
         format('%s dated tomorrow in any zone can be updated in %s', c.in_table, z.name)))
  FROM zone AS z, (VALUES ('health_records'), ('vaccinations')) AS c (in_table);

SELECT rules.accepts(t, jsonb_build_object('studentId', 'patient', c, '-infinity'), format('%s -infinity is not later than tomorrow', c))
  FROM (VALUES ('health_records', 'recordDate'), ('vaccinations', 'administrationDate')) AS d (t, c);
SELECT rules.refuses(t, jsonb_build_object('studentId', 'patient', c, v), n, format('%s %s is refused', c, v))
  FROM (VALUES ('health_records', 'recordDate', 'chk_health_records_record_date'),
               ('vaccinations', 'administrationDate', 'chk_vaccinations_administration_date')) AS d (t, c, n),
       unnest(ARRAY['infinity', '294276-12-31']) AS v;
SELECT CASE WHEN rules.nullable(t, c) THEN rules.accepts(t, jsonb_build_object('studentId', 'patient', c, NULL), format('a NULL %s passes', c))
            ELSE skip(format('%s is NOT NULL here', c)) END
  FROM (VALUES ('health_records', 'recordDate'), ('vaccinations', 'administrationDate')) AS d (t, c);

-- A site's own grades. Last: it changes the constraint.
DO $$
BEGIN
  PERFORM wc_configure('grades', 'Pre-K,K,1,2,3,4,5,6,7,8,9,10,11,12');
  PERFORM wc_install();
END
$$;
SELECT rules.accepts('students', '{"grade": "Pre-K"}', 'Pre-K is accepted where the site adds it');
SELECT rules.refuses('students', '{"grade": "Graduate"}', 'chk_students_grade_valid', 'another grade is still refused');

SELECT * FROM finish();
ROLLBACK;

-- The rules of mv_compliance_status, from both sides. Today is 2024-05-15.
\i test/pgtap/setup/rules.sql

-- A student with a physical exam in date and these vaccinations: status, type, given on, next due on.
CREATE FUNCTION rules.vaccinated(child text, VARIADIC doses text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  dose text;
  part text[];
BEGIN
  PERFORM rules.student(child, '{"schoolId": "north", "nurseId": "nina"}'),
          rules.put('health_records', jsonb_build_object('studentId', child, 'recordType', 'PHYSICAL_EXAM', 'recordDate', '2024-03-01'));
  FOREACH dose IN ARRAY doses LOOP
    part := string_to_array(dose, ' ', '-');
    PERFORM rules.put('vaccinations', jsonb_build_object('studentId', child, 'complianceStatus', part[1], 'vaccineType', part[2],
                                                         'administrationDate', part[3], 'nextDueDate', part[4]));
  END LOOP;
END
$$;

DO $$
DECLARE
  exam record;
BEGIN
  PERFORM rules.school('north'), rules.nurse('nina');
  PERFORM rules.vaccinated('none');
  PERFORM rules.vaccinated('counts', 'COMPLIANT MMR 2020-01-01 -', 'COMPLIANT MMR 2021-01-01 -', 'NON_COMPLIANT MMR 2019-01-01 -',
                           'EXEMPT HPV 2020-01-01 -', 'PARTIALLY_COMPLIANT DTAP 2020-01-01 -', 'OVERDUE TDAP 2020-01-01 -');
  PERFORM rules.vaccinated('due yesterday', 'COMPLIANT MMR 2020-01-01 2024-05-14');
  PERFORM rules.vaccinated('due today', 'COMPLIANT MMR 2020-01-01 2024-05-15');
  PERFORM rules.vaccinated('due later', 'COMPLIANT MMR 2020-01-01 2024-07-01', 'COMPLIANT HPV 2020-01-01 2024-06-01', 'COMPLIANT DTAP 2020-01-01 2024-05-01');
  PERFORM rules.vaccinated('status overdue', 'OVERDUE MMR 2020-01-01 -');
  PERFORM rules.vaccinated('overdue in future', 'OVERDUE MMR 2020-01-01 2024-07-01');
  PERFORM rules.vaccinated('exempt', 'EXEMPT MMR 2020-01-01 2024-01-01', 'EXEMPT HPV 2020-01-01 2024-07-01');
  PERFORM rules.vaccinated('superseded', 'OVERDUE MMR 2020-01-01 2024-01-01', 'NON_COMPLIANT MMR 2021-01-01 2024-07-01', 'COMPLIANT MMR 2022-01-01 -');
  PERFORM rules.vaccinated('same day', 'OVERDUE MMR 2020-01-01 2024-01-01', 'COMPLIANT MMR 2020-01-01 -');
  PERFORM rules.vaccinated('other type', 'OVERDUE MMR 2020-01-01 2024-01-01', 'COMPLIANT HPV 2022-01-01 -');
  PERFORM rules.vaccinated('unknown type', 'OVERDUE - 2020-01-01 2024-01-01', 'COMPLIANT - 2022-01-01 -');
  PERFORM rules.vaccinated('superseded by deleted', 'OVERDUE MMR 2020-01-01 2024-01-01');
  PERFORM rules.put('vaccinations', '{"studentId": "superseded by deleted", "vaccineType": "MMR", "administrationDate": "2022-01-01", "deletedAt": "2023-01-01"}');
  PERFORM rules.vaccinated('superseded by exempt', 'NON_COMPLIANT MMR 2020-01-01 2024-01-01', 'EXEMPT MMR 2022-01-01 -');
  PERFORM rules.vaccinated('another''s dose', 'OVERDUE MMR 2020-01-01 2024-01-01');
  PERFORM rules.vaccinated('non-compliant', 'NON_COMPLIANT MMR 2020-01-01 -');
  PERFORM rules.vaccinated('deleted doses');
  PERFORM rules.put('vaccinations', jsonb_build_object('studentId', 'deleted doses', 'complianceStatus', s, 'nextDueDate', '2024-01-01', 'deletedAt', '2024-02-01'))
     FROM unnest(ARRAY['COMPLIANT', 'NON_COMPLIANT', 'OVERDUE', 'EXEMPT']) AS s;
  PERFORM rules.vaccinated('non-compliant and overdue', 'NON_COMPLIANT MMR 2020-01-01 2024-01-01');

  -- The exam: a year ago to the day is in date, a day more is not. Likewise vision and hearing.
  FOR exam IN SELECT * FROM (VALUES ('no exam', NULL), ('exam a year ago', '2023-05-15'), ('exam too old', '2023-05-14'), ('exam today', '2024-05-15')) AS e (child, day) LOOP
    PERFORM rules.student(exam.child);
    IF exam.day IS NOT NULL THEN
      PERFORM rules.put('health_records', jsonb_build_object('studentId', exam.child, 'recordType', t, 'recordDate', exam.day))
         FROM unnest(ARRAY['PHYSICAL_EXAM', 'VISION', 'HEARING']) AS t;
      PERFORM rules.put('health_records', jsonb_build_object('studentId', exam.child, 'recordType', t, 'recordDate', '2020-01-01'))
         FROM unnest(ARRAY['PHYSICAL_EXAM', 'VISION', 'HEARING']) AS t;
    END IF;
  END LOOP;
  PERFORM rules.student('exam deleted'), rules.put('health_records', '{"studentId": "exam deleted", "recordType": "PHYSICAL_EXAM", "deletedAt": "2024-05-01"}');
  PERFORM rules.student('exam inactive'), rules.put('health_records', '{"studentId": "exam inactive", "recordType": "PHYSICAL_EXAM", "isActive": false}');
  PERFORM rules.student('exam and overdue'), rules.put('vaccinations', '{"studentId": "exam and overdue", "complianceStatus": "OVERDUE"}');
  PERFORM rules.student('inactive', '{"isActive": false}'), rules.student('gone', '{"deletedAt": "2024-05-01"}');
END
$$;
SELECT rules.refresh('2024-05-15 08:00');

SELECT ok(rules.row('mv_compliance_status', 'gone') IS NULL, 'a deleted student has no row');
SELECT ok(rules.row('mv_compliance_status', 'inactive') IS NULL, 'an inactive student has none');
SELECT rules.shows('mv_compliance_status', 'none', c, v, format('%s of a student without vaccinations', c))
  FROM (VALUES ('schoolId', rules.id('north')::text), ('nurseId', rules.id('nina')::text), ('studentNumber', 'none'), ('firstName', 'none'),
               ('lastName', 'Student'), ('grade', '3'), ('compliantVaccinations', '0'), ('nonCompliantVaccinations', '0'), ('exemptVaccinations', '0'),
               ('nextVaccinationDue', NULL), ('overdueVaccinations', '0'), ('lastPhysicalDate', '2024-03-01'), ('physicalExamCompliant', 'true'),
               ('lastVisionDate', NULL), ('visionScreeningCompliant', 'false'), ('lastHearingDate', NULL), ('hearingScreeningCompliant', 'false'),
               ('overallComplianceStatus', 'COMPLIANT')) AS c (c, v);
SELECT rules.shows('mv_compliance_status', 'counts', c, v, format('%s by status, superseded ones too', c))
  FROM (VALUES ('compliantVaccinations', '2'), ('nonCompliantVaccinations', '1'), ('exemptVaccinations', '1'), ('overdueVaccinations', '1')) AS c (c, v);
SELECT rules.shows('mv_compliance_status', 'deleted doses', c, '0', format('%s does not count deleted rows', c))
  FROM unnest(ARRAY['compliantVaccinations', 'nonCompliantVaccinations', 'exemptVaccinations', 'overdueVaccinations']) AS c;

SELECT is((SELECT ARRAY[r ->> 'overdueVaccinations', r ->> 'nextVaccinationDue', r ->> 'overallComplianceStatus']
             FROM rules.row('mv_compliance_status', k) AS r), v, format('overdue, next due and overall status: %s', k))
  FROM (VALUES ('due yesterday', ARRAY['1', NULL, 'PAST_DUE']),
               ('due today', ARRAY['0', '2024-05-15', 'COMPLIANT']),
               ('due later', ARRAY['1', '2024-06-01', 'PAST_DUE']),
               ('status overdue', ARRAY['1', NULL, 'PAST_DUE']),
               ('overdue in future', ARRAY['1', '2024-07-01', 'PAST_DUE']),
               ('exempt', ARRAY['0', NULL, 'COMPLIANT']),
               ('superseded', ARRAY['0', NULL, 'COMPLIANT']),
               ('same day', ARRAY['1', NULL, 'PAST_DUE']),
               ('other type', ARRAY['1', NULL, 'PAST_DUE']),
               ('unknown type', ARRAY['1', NULL, 'PAST_DUE']),
               ('superseded by deleted', ARRAY['1', NULL, 'PAST_DUE']),
               ('superseded by exempt', ARRAY['0', NULL, 'COMPLIANT']),
               ('another''s dose', ARRAY['1', NULL, 'PAST_DUE']),
               ('non-compliant', ARRAY['0', NULL, 'NON_COMPLIANT']),
               ('deleted doses', ARRAY['0', NULL, 'COMPLIANT']),
               ('non-compliant and overdue', ARRAY['1', NULL, 'NON_COMPLIANT']),
               ('no exam', ARRAY['0', NULL, 'NON_COMPLIANT']),
               ('exam a year ago', ARRAY['0', NULL, 'COMPLIANT']),
               ('exam too old', ARRAY['0', NULL, 'NON_COMPLIANT']),
               ('exam deleted', ARRAY['0', NULL, 'NON_COMPLIANT']),
               ('exam and overdue', ARRAY['1', NULL, 'NON_COMPLIANT'])) AS c (k, v);
SELECT rules.shows('mv_compliance_status', 'superseded', 'nonCompliantVaccinations', '1', 'a superseded vaccination is still counted by its status');
SELECT CASE WHEN rules.has('health_records', 'isActive')
  THEN rules.shows('mv_compliance_status', 'exam inactive', 'overallComplianceStatus', 'NON_COMPLIANT', 'an inactive exam does not count')
  ELSE rules.shows('mv_compliance_status', 'exam inactive', 'overallComplianceStatus', 'COMPLIANT', 'a live exam is active here') END;

SELECT is((SELECT ARRAY[r ->> 'lastPhysicalDate', r ->> 'physicalExamCompliant', r ->> 'lastVisionDate', r ->> 'visionScreeningCompliant',
                        r ->> 'lastHearingDate', r ->> 'hearingScreeningCompliant'] FROM rules.row('mv_compliance_status', k) AS r), v,
          format('dates and compliance of exam and screenings: %s', k))
  FROM (VALUES ('no exam', ARRAY[NULL, 'false', NULL, 'false', NULL, 'false']),
               ('exam a year ago', ARRAY['2023-05-15', 'true', '2023-05-15', 'true', '2023-05-15', 'true']),
               ('exam too old', ARRAY['2023-05-14', 'false', '2023-05-14', 'false', '2023-05-14', 'false']),
               ('exam today', ARRAY['2024-05-15', 'true', '2024-05-15', 'true', '2024-05-15', 'true'])) AS c (k, v);

-- What time alone changes, by the site's days: at 23:59 of New York it is the next day in UTC already.
SELECT rules.refresh('2024-05-15 23:59');
SELECT rules.shows('mv_compliance_status', 'due today', 'overdueVaccinations', '0', 'due today is not overdue until local midnight');
SELECT rules.shows('mv_compliance_status', 'exam a year ago', 'physicalExamCompliant', 'true', 'an exam is in date until local midnight');
SELECT rules.refresh('2024-05-16 00:00');
SELECT rules.shows('mv_compliance_status', 'due today', 'overdueVaccinations', '1', 'and is overdue from then on');
SELECT rules.shows('mv_compliance_status', 'due today', 'overallComplianceStatus', 'PAST_DUE', 'which makes the student past due');
SELECT rules.shows('mv_compliance_status', 'exam a year ago', 'overallComplianceStatus', 'NON_COMPLIANT', 'and the exam too old');
-- Today less a year, on a leap day.
SELECT rules.refresh('2025-02-28 08:00');
SELECT rules.shows('mv_compliance_status', 'none', 'physicalExamCompliant', 'true', 'an exam of 1 March 2024 is in date on 28 February 2025');
SELECT rules.refresh('2025-03-02 08:00');
SELECT rules.shows('mv_compliance_status', 'none', 'physicalExamCompliant', 'false', 'and too old on 2 March 2025');

SELECT is_empty($$SELECT FROM mv_compliance_status WHERE num_nulls("compliantVaccinations", "nonCompliantVaccinations", "exemptVaccinations",
  "overdueVaccinations", "physicalExamCompliant", "visionScreeningCompliant", "hearingScreeningCompliant", "overallComplianceStatus") > 0$$,
  'no count, status or boolean is NULL');
SELECT set_eq($$SELECT "studentId" FROM mv_compliance_status$$, $$SELECT id FROM students WHERE "deletedAt" IS NULL AND "isActive"$$,
  'one row for each active student');

SELECT * FROM finish();
ROLLBACK;

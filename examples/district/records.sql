-- What is on file about a student: health records, allergies, vaccinations, conditions, incidents, vital signs.
-- Needs parameters.sql. In every view the student is given by number; part counts the student's rows of that kind.

-- Five to ten a student: a physical exam, a vision and a hearing screening (one in twelve lacks each; some are older than a
-- year), then everyday visits of the last two years. One in fifty is no longer active, one in fifty deleted.
CREATE TEMPORARY VIEW sample_health_records AS
SELECT i AS student, j AS part, pg_temp.id('health record', i, j) AS id,
       CASE j WHEN 0 THEN 'PHYSICAL_EXAM' WHEN 1 THEN 'VISION' WHEN 2 THEN 'HEARING' ELSE v.type END AS type,
       CASE j WHEN 0 THEN 'Annual physical exam' WHEN 1 THEN 'Vision screening' WHEN 2 THEN 'Hearing screening'
              ELSE initcap(replace(v.type, '_', ' ')) || ' visit' END AS title,
       CASE WHEN j < 3 THEN 'Within normal limits.' ELSE v.finding || ', seen in the health office.' END AS description,
       date :'anchor' - CASE WHEN j < 3 THEN pg_temp.pick(roll, 1, 400 + 40 * pg_temp.pick(roll, 2, 4)) ELSE pg_temp.pick(roll, 1, 730) END AS day,
       CASE WHEN j < 3 THEN 'County Pediatrics' ELSE 'School health office' END AS provider,
       CASE WHEN j >= 3 THEN v.finding END AS diagnosis,
       CASE WHEN j >= 3 THEN v.code END AS code,
       v.type IN ('MENTAL_HEALTH', 'COUNSELING') AND j >= 3 AS confidential,
       pg_temp.nurse_on_duty(i) AS recorded_by, pg_temp.id('school', pg_temp.school_of(i), 0) AS school_id,
       CASE pg_temp.pick(roll, 4, 100) WHEN 0 THEN NULL WHEN 1 THEN false WHEN 2 THEN false ELSE true END AS is_active,
       pg_temp.at(date :'anchor' - pg_temp.pick(roll, 1, 400), time '12:00') AS updated_at,
       CASE WHEN pg_temp.pick(roll, 5, 1000) < 20 THEN pg_temp.at(date :'anchor' - pg_temp.pick(roll, 3, 60), time '12:00') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN LATERAL generate_series(0, 4 + pg_temp.pick(pg_temp.roll('health records', i, 0), 0, 6)) AS j
 CROSS JOIN LATERAL (SELECT pg_temp.roll('health record', i, j) AS roll OFFSET 0) AS r
  JOIN (VALUES (0, 'CHECKUP', 'Routine check', 'Z00.1'), (1, 'ILLNESS', 'Headache', 'R51.9'), (2, 'ILLNESS', 'Fever', 'R50.9'),
               (3, 'INJURY', 'Scraped knee', 'S80.2'), (4, 'INJURY', 'Sprained ankle', 'S93.4'), (5, 'ILLNESS', 'Stomach ache', 'R10.9'),
               (6, 'SCREENING', 'Scoliosis screening', 'Z13.8'), (7, 'DENTAL', 'Toothache', 'K08.8'),
               (8, 'MENTAL_HEALTH', 'Anxiety', 'F41.9'), (9, 'COUNSELING', 'Counselling', 'Z71.9'),
               (10, 'FOLLOW_UP', 'Follow-up', 'Z09'), (11, 'MEDICATION_REVIEW', 'Medication review', 'Z79.8'))
       AS v (number, type, finding, code) ON v.number = pg_temp.pick(roll, 0, 12)
 WHERE j >= 3 OR pg_temp.pick(roll, 3, 12) > 0;

-- One student in five, with one to three. Some life-threatening or severe ones need an EpiPen, and its place is known.
CREATE TEMPORARY VIEW sample_allergies AS
SELECT i AS student, j AS part, pg_temp.id('allergy', i, j) AS id, v.allergen, v.type, s.severity,
       (array['Hives', 'Swelling of the lips', 'Wheezing', 'Itching', 'Anaphylaxis', 'Rash'])[1 + pg_temp.pick(roll, 2, 6)] AS reaction,
       s.epipen AS epipen_required,
       CASE WHEN s.epipen THEN (array['Nurse office, cabinet B', 'Classroom go-bag', 'With the student', 'Cafeteria first-aid kit'])
                               [1 + pg_temp.pick(roll, 3, 4)] END AS epipen_location,
       pg_temp.id('school', pg_temp.school_of(i), 0) AS school_id, pg_temp.nurse_on_duty(i) AS recorded_by,
       CASE pg_temp.pick(roll, 4, 50) WHEN 0 THEN NULL WHEN 1 THEN false ELSE true END AS is_active,
       pg_temp.at(date :'anchor' - pg_temp.pick(roll, 1, 500), time '12:30') AS updated_at,
       CASE WHEN pg_temp.pick(roll, 5, 1000) < 20 THEN pg_temp.at(date :'anchor' - pg_temp.pick(roll, 3, 60), time '12:30') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN LATERAL (SELECT pg_temp.roll('allergies', i, 0) AS how_many OFFSET 0) AS n
 CROSS JOIN LATERAL generate_series(0, CASE WHEN pg_temp.pick(how_many, 0, 1000) >= 200 THEN -1
                                            WHEN pg_temp.pick(how_many, 1, 100) < 65 THEN 0
                                            WHEN pg_temp.pick(how_many, 1, 100) < 90 THEN 1 ELSE 2 END) AS j
 CROSS JOIN LATERAL (SELECT pg_temp.roll('allergy', i, j) AS roll OFFSET 0) AS r
  JOIN (VALUES (0, 'Peanuts', 'FOOD'), (1, 'Tree nuts', 'FOOD'), (2, 'Milk', 'FOOD'), (3, 'Eggs', 'FOOD'), (4, 'Shellfish', 'FOOD'),
               (5, 'Bee stings', 'INSECT'), (6, 'Penicillin', 'MEDICATION'), (7, 'Latex', 'LATEX'), (8, 'Pollen', 'ENVIRONMENTAL'),
               (9, 'Dust mites', 'ENVIRONMENTAL'), (10, 'Cat hair', 'ENVIRONMENTAL'), (11, 'Sesame', 'FOOD'))
       AS v (number, allergen, type) ON v.number = pg_temp.pick(how_many, 2, 12) + j * 5 - 12 * ((pg_temp.pick(how_many, 2, 12) + j * 5) / 12)
 CROSS JOIN LATERAL (
    SELECT k.severity, v.type IN ('FOOD', 'INSECT', 'LATEX')
                       AND (k.severity = 'LIFE_THREATENING' OR k.severity = 'SEVERE' AND pg_temp.pick(roll, 1, 2) = 0) AS epipen
      FROM (SELECT CASE WHEN pg_temp.pick(roll, 0, 100) < 10 THEN 'LIFE_THREATENING' WHEN pg_temp.pick(roll, 0, 100) < 28 THEN 'SEVERE'
                        WHEN pg_temp.pick(roll, 0, 100) < 62 THEN 'MODERATE' ELSE 'MILD' END AS severity) AS k OFFSET 0) AS s;

-- Five vaccines a student, two of them with an earlier dose that the later one supersedes (some of those were overdue once).
-- In 100 students: 83 are up to date, 7 overdue with one vaccine, 4 not compliant, 3 exempt, 3 part way through a series.
CREATE TEMPORARY VIEW sample_vaccinations AS
SELECT i AS student, v.number * 2 + dose AS part, pg_temp.id('vaccination', i, v.number * 2 + dose) AS id, v.name, v.type, dose AS dose_number,
       date :'anchor' - CASE WHEN dose < v.doses THEN 1100 + pg_temp.pick(roll, 0, 700) ELSE 150 + pg_temp.pick(roll, 0, 900) END AS day,
       c.status,
       CASE WHEN dose < v.doses THEN date :'anchor' - 1000 + pg_temp.pick(roll, 1, 300)
            WHEN c.status IN ('OVERDUE', 'NON_COMPLIANT') THEN date :'anchor' - 1 - pg_temp.pick(roll, 1, 200)
            WHEN c.status = 'EXEMPT' AND pg_temp.pick(roll, 2, 2) = 0 THEN date :'anchor' - 1 - pg_temp.pick(roll, 1, 200)
            WHEN c.status = 'PARTIALLY_COMPLIANT' THEN date :'anchor' + 5 + pg_temp.pick(roll, 1, 100)
            WHEN v.number = 4 THEN date :'anchor' + pg_temp.pick(roll, 1, 365) END AS next_due,
       CASE WHEN c.status = 'EXEMPT' THEN 'Medical exemption on file' END AS exemption,
       (array['County clinic', 'Family physician', 'School clinic', 'Pharmacy'])[1 + pg_temp.pick(roll, 3, 4)] AS administered_by,
       '0.5 mL' AS amount, pg_temp.nurse_on_duty(i) AS recorded_by,
       pg_temp.at(date :'anchor' - pg_temp.pick(roll, 4, 400), time '13:00') AS updated_at,
       CASE WHEN pg_temp.pick(roll, 5, 1000) < 12 THEN pg_temp.at(date :'anchor' - pg_temp.pick(roll, 3, 60), time '13:00') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN LATERAL (SELECT pg_temp.roll('vaccinations', i, 0) AS class OFFSET 0) AS k
 CROSS JOIN (VALUES (0, 'Measles, mumps and rubella', 'MMR', 2), (1, 'Polio, inactivated', 'IPV', 2),
                    (2, 'Varicella', 'VAR', 1), (3, 'Hepatitis B', 'HEPB', 1), (4, 'Influenza', 'FLU', 1)) AS v (number, name, type, doses)
 CROSS JOIN LATERAL generate_series(1, v.doses) AS dose
 CROSS JOIN LATERAL (SELECT pg_temp.roll('vaccination', i, v.number * 2 + dose) AS roll OFFSET 0) AS r
 CROSS JOIN LATERAL (
    SELECT CASE WHEN dose < v.doses THEN (array['COMPLIANT', 'COMPLIANT', 'COMPLIANT', 'COMPLIANT', 'OVERDUE', 'NON_COMPLIANT'])[1 + pg_temp.pick(roll, 2, 6)]
                WHEN v.number <> pg_temp.pick(class, 1, 5) OR pg_temp.pick(class, 0, 100) < 83 THEN 'COMPLIANT'
                WHEN pg_temp.pick(class, 0, 100) < 90 THEN 'OVERDUE'
                WHEN pg_temp.pick(class, 0, 100) < 94 THEN 'NON_COMPLIANT'
                WHEN pg_temp.pick(class, 0, 100) < 97 THEN 'EXEMPT' ELSE 'PARTIALLY_COMPLIANT' END AS status OFFSET 0) AS c;

-- One student in eight, a third of those with two.
CREATE TEMPORARY VIEW sample_conditions AS
SELECT i AS student, j AS part, pg_temp.id('condition', i, j) AS id, v.condition, v.code,
       (array['MILD', 'MODERATE', 'SEVERE'])[1 + pg_temp.pick(roll, 1, 3)] AS severity,
       (array['ACTIVE', 'MANAGED', 'MONITORING'])[1 + pg_temp.pick(roll, 2, 3)] AS status,
       v.plan, v.emergency, date :'anchor' - 100 - pg_temp.pick(roll, 3, 1000) AS diagnosed,
       pg_temp.pick(roll, 4, 100) >= 5 AS is_active,
       pg_temp.at(date :'anchor' - pg_temp.pick(roll, 3, 300), time '13:30') AS updated_at,
       CASE WHEN pg_temp.pick(roll, 5, 1000) < 20 THEN pg_temp.at(date :'anchor' - pg_temp.pick(roll, 2, 60), time '13:30') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN LATERAL generate_series(0, CASE WHEN mod(i, 8) <> 3 THEN -1 WHEN mod(i, 24) = 3 THEN 1 ELSE 0 END) AS j
 CROSS JOIN LATERAL (SELECT pg_temp.roll('condition', i, j) AS roll, pg_temp.pick(pg_temp.roll('conditions', i, 0), 0, 6) AS first OFFSET 0) AS r
  JOIN (VALUES (0, 'Asthma', 'J45.909', 'Inhaler before exercise.', 'Give the inhaler; call 911 when breathing does not ease.'),
               (1, 'Type 1 diabetes', 'E10.9', 'Glucose check before lunch.', 'Juice when below 70 mg/dL; glucagon when unconscious.'),
               (2, 'Epilepsy', 'G40.909', 'Supervise swimming and climbing.', 'Time the seizure; rescue medication after five minutes.'),
               (3, 'ADHD', 'F90.9', 'Midday dose in the health office.', 'None.'),
               (4, 'Migraine', 'G43.909', 'Rest in a dark room.', 'Call the parents when vision is affected.'),
               (5, 'Celiac disease', 'K90.0', 'Gluten-free meals.', 'None.')) AS v (number, condition, code, plan, emergency)
       ON v.number = mod(r.first + j * 2, 6);

-- One for every fourth student, within the last two years.
CREATE TEMPORARY VIEW sample_incidents AS
SELECT i AS student, 0 AS part, pg_temp.id('incident', i, 0) AS id,
       (array['INJURY', 'ILLNESS', 'BEHAVIORAL', 'MEDICATION_ERROR', 'ALLERGIC_REACTION', 'OTHER'])[1 + pg_temp.pick(roll, 0, 6)] AS type,
       (array['LOW', 'LOW', 'MEDIUM', 'MEDIUM', 'HIGH', 'CRITICAL'])[1 + pg_temp.pick(roll, 1, 6)] AS severity,
       (array['DRAFT', 'PENDING_REVIEW', 'UNDER_INVESTIGATION', 'REQUIRES_ACTION', 'RESOLVED', 'CLOSED', 'CLOSED', 'CLOSED'])
         [1 + pg_temp.pick(roll, 2, 8)] AS status,
       (array['Playground', 'Gymnasium', 'Cafeteria', 'Classroom', 'Hallway', 'School bus'])[1 + pg_temp.pick(roll, 3, 6)] AS location,
       'Reported by staff; the student was taken to the health office.' AS description, 'First aid given; parents informed.' AS actions,
       pg_temp.at_school(pg_temp.weekday(date :'anchor' - 1 - pg_temp.pick(roll, 4, 700)), pg_temp.pick(roll, 5, 30)) AS occurred_at,
       pg_temp.nurse_on_duty(i) AS reporter_id, pg_temp.id('school', pg_temp.school_of(i), 0) AS school_id,
       CASE WHEN mod(i, 200) = 101 THEN pg_temp.at(date :'anchor' - 1, time '14:00') END AS deleted_at
  FROM generate_series(1::bigint, :students, 4) AS i
 CROSS JOIN LATERAL (SELECT pg_temp.roll('incident', i, 0) AS roll OFFSET 0) AS r;

-- Two measurements a student; one in eight in degrees Celsius.
CREATE TEMPORARY VIEW sample_vital_signs AS
SELECT i AS student, j AS part, pg_temp.id('vital signs', i, j) AS id,
       pg_temp.at_school(pg_temp.weekday(date :'anchor' - 1 - pg_temp.pick(roll, 0, 365)), pg_temp.pick(roll, 1, 30)) AS measured_at,
       CASE WHEN mod(i, 8) = 5 THEN 36.1 + pg_temp.pick(roll, 2, 25) / 10.0 ELSE 97.0 + pg_temp.pick(roll, 2, 50) / 10.0 END AS temperature,
       CASE WHEN mod(i, 8) = 5 THEN 'C' ELSE 'F' END AS unit,
       60 + pg_temp.pick(roll, 3, 60) AS heart_rate, 90 + pg_temp.pick(roll, 4, 45) AS systolic, 50 + pg_temp.pick(roll, 5, 35) AS diastolic,
       94.0 + pg_temp.pick(roll, 5, 6) AS oxygen,
       CASE WHEN mod(i * 2 + j, 100) = 7 THEN pg_temp.at(date :'anchor' - 1, time '14:30') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN generate_series(0, 1) AS j
 CROSS JOIN LATERAL (SELECT pg_temp.roll('vital signs', i, j) AS roll OFFSET 0) AS r;

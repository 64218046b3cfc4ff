-- The schools, the people and the medicine cabinet of the sample district. Needs parameters.sql.
-- Names are combinations of common given and family names; no real person is meant.

CREATE TEMPORARY TABLE sample_names AS
SELECT string_to_array('Ada Aiden Alice Amara Amir Ana Andre Anika Ava Ben Bianca Caleb Carla Chen Clara Dalia Daniel '
         'Diego Elena Eli Emma Ethan Farah Felix Finn Grace Hana Hugo Ines Isaac Ivy Jada Jakob Jonah Julia Kai Kofi Lara '
         'Leo Lily Lucas Maya Mei Mila Nadia Noah Nora Omar Owen Priya Quinn Rafael Rosa Ruby Sami Sara Silas Sofia Theo '
         'Tomas Uma Victor Yara Zoe', ' ') AS given,
       string_to_array('Abbott Adeyemi Alvarez Andersen Baker Becker Bello Brooks Castillo Chan Cohen Cruz Dalal Davies '
         'Diaz Dubois Eaton Edwards Farouk Fischer Flores Foster Garcia Gupta Hansen Harper Hassan Hayes Ibrahim Ito Jansen '
         'Jensen Kaplan Keller Khan Kim Kowalski Larsen Lopez Martin Mensah Meyer Morales Murphy Nakamura Nguyen Novak '
         'Okafor Olsen Ortiz Park Patel Quist Reyes Rossi Sandoval Silva Singh Tanaka Torres Usman Vargas Walsh Young',
         ' ') AS family;

-- School 0 is closed (deleted). Every fourth school is a middle and every fourth a high school, the others elementary.
CREATE TEMPORARY VIEW sample_schools AS
SELECT s AS number, pg_temp.id('school', s, 0) AS id,
       (string_to_array('Cedar Birch Maple Willow Aspen Juniper Laurel Hazel Linden Poplar Alder Rowan', ' '))
         [1 + pg_temp.pick(r.roll, 0, 12)]
         || ' ' || (string_to_array('Creek Hill Grove Lake Park Ridge Valley Meadow', ' '))[1 + pg_temp.pick(r.roll, 1, 8)]
         || CASE mod(s, 4) WHEN 2 THEN ' Middle School ' WHEN 3 THEN ' High School ' ELSE ' Elementary School ' END || s AS name,
       'SCH-' || lpad(s::text, 4, '0') AS code,
       (10 + pg_temp.pick(r.roll, 2, 980)) || ' School Road' AS address,
       (string_to_array('Northfield Eastbrook Southport Westdale', ' '))[1 + pg_temp.pick(r.roll, 3, 4)] AS city,
       '555-01' || lpad(mod(s, 100)::text, 2, '0') AS phone,
       pg_temp.at(date :'anchor' - 2000, time '09:00') AS created_at,
       CASE WHEN s = 0 THEN pg_temp.at(date :'anchor' - 100, time '09:00') END AS deleted_at
  FROM generate_series(0::bigint, :schools) AS s
 CROSS JOIN LATERAL (SELECT pg_temp.roll('school', s, 0) AS roll OFFSET 0) AS r;

-- Two nurses (0 and 1) and an administrator (2) for each school: number = school * 10 + which.
-- Of the closed school 0 they are the nurse who has left (deleted), a counsellor, and the district's administrator.
CREATE TEMPORARY VIEW sample_users AS
SELECT s * 10 + k AS number, pg_temp.id('user', s * 10 + k, 0) AS id, n.given, n.family,
       lower(n.given || '.' || n.family) || '.' || (s * 10 + k) || '@district.example' AS email,
       CASE WHEN s = 0 THEN (array['NURSE', 'COUNSELOR', 'DISTRICT_ADMIN'])[k + 1]
            ELSE (array['NURSE', 'NURSE', 'SCHOOL_ADMIN'])[k + 1] END AS role,
       CASE WHEN s > 0 THEN pg_temp.id('school', s, 0) END AS school_id,
       (s, k) <> (0, 0) AS is_active,
       pg_temp.at(date :'anchor' - 1500, time '09:00') AS created_at,
       CASE WHEN (s, k) = (0, 0) THEN pg_temp.at(date :'anchor' - 60, time '09:00') END AS deleted_at
  FROM generate_series(0::bigint, :schools) AS s
 CROSS JOIN generate_series(0, 2) AS k
 CROSS JOIN LATERAL (
    SELECT given[1 + pg_temp.pick(roll, 0, 64)] AS given, family[1 + pg_temp.pick(roll, 1, 64)] AS family
      FROM sample_names, pg_temp.roll('user', s * 10 + k, 0) AS roll OFFSET 0) AS n;

-- Four in a hundred have left (inactive), two in a hundred are deleted. A child of grade g was g + 5 years old at the
-- beginning of the school year, or up to a year older, and came at kindergarten age or up to five years ago.
CREATE TEMPORARY VIEW sample_students AS
SELECT i AS number, pg_temp.id('student', i, 0) AS id, 'S' || lpad(i::text, 7, '0') AS student_number,
       given[1 + pg_temp.pick(roll, 0, 64)] AS given, family[1 + pg_temp.pick(roll, 1, 64)] AS family,
       CASE WHEN g.grade = 0 THEN 'K' ELSE g.grade::text END AS grade,
       (array['Female', 'Male', 'Other'])[1 + pg_temp.pick(roll, 3, 1000) / 495] AS gender,
       (date :'school_year' - make_interval(years => g.grade + 5))::date - pg_temp.pick(roll, 4, 365) AS date_of_birth,
       pg_temp.at((date :'school_year' - make_interval(years => least(g.grade, mod(i, 6))::integer))::date, time '08:00') AS enrolled_at,
       pg_temp.id('school', g.school, 0) AS school_id, pg_temp.nurse_of(i) AS nurse_id,
       pg_temp.pick(roll, 5, 1000) >= 40 AS is_active,
       pg_temp.at((date :'school_year' - make_interval(years => least(g.grade, mod(i, 6))::integer))::date, time '08:00') AS created_at,
       pg_temp.at(date :'anchor' - 1 - mod(i, 180)::integer, time '10:00') AS updated_at,
       CASE WHEN pg_temp.pick(roll, 5, 1000) >= 980 THEN pg_temp.at(date :'anchor' - 1 - mod(i, 90)::integer, time '16:00') END AS deleted_at
  FROM generate_series(1::bigint, :students) AS i
 CROSS JOIN sample_names
 CROSS JOIN LATERAL (SELECT pg_temp.roll('student', i, 0) AS roll, pg_temp.school_of(i) AS school OFFSET 0) AS r
 CROSS JOIN LATERAL (
    SELECT r.school, CASE mod(r.school, 4) WHEN 2 THEN 6 + pg_temp.pick(r.roll, 2, 3)
                                           WHEN 3 THEN 9 + pg_temp.pick(r.roll, 2, 4)
                                           ELSE pg_temp.pick(r.roll, 2, 6) END AS grade OFFSET 0) AS g;

-- The medicine cabinet, with the usual dose and its times on a school day; without times it is given as needed.
-- The last but one is no longer used (inactive), the last was entered by mistake (deleted).
CREATE TEMPORARY TABLE sample_medications AS
SELECT c.*, pg_temp.id('medication', c.number, 0) AS id, c.schedule IS NOT NULL AS controlled,
       c.number <> 25 AS is_active,
       pg_temp.at(date :'anchor' - 1200, time '09:00') AS created_at,
       CASE WHEN c.number = 26 THEN pg_temp.at(date :'anchor' - 30, time '09:00') END AS deleted_at
  FROM (VALUES
    (1, 'Albuterol inhaler', 'albuterol', 'Inhaler', '90 mcg', NULL, false, 2, 'puffs', 'Inhalation', 'As needed', NULL::text[]),
    (2, 'Methylphenidate IR', 'methylphenidate', 'Tablet', '10 mg', 'II', true, 10, 'mg', 'Oral', 'Daily', '{12:00}'),
    (3, 'Mixed amphetamine salts', 'amphetamine', 'Tablet', '5 mg', 'II', true, 5, 'mg', 'Oral', 'Twice daily', '{08:00,12:00}'),
    (4, 'Lisdexamfetamine', 'lisdexamfetamine', 'Capsule', '30 mg', 'II', true, 30, 'mg', 'Oral', 'Daily', '{08:00}'),
    (5, 'Diazepam rectal gel', 'diazepam', 'Gel', '10 mg', 'IV', true, 10, 'mg', 'Rectal', 'As needed', NULL),
    (6, 'Clonazepam', 'clonazepam', 'Tablet', '0.5 mg', 'IV', false, 0.5, 'mg', 'Oral', 'Daily', '{09:00}'),
    (7, 'Acetaminophen with codeine', 'acetaminophen/codeine', 'Tablet', '300/15 mg', 'III', true, 1, 'tablet', 'Oral', 'Daily', '{12:30}'),
    (8, 'Lacosamide', 'lacosamide', 'Tablet', '50 mg', 'V', false, 50, 'mg', 'Oral', 'Twice daily', '{07:30,15:00}'),
    (9, 'Ibuprofen', 'ibuprofen', 'Tablet', '200 mg', NULL, false, 200, 'mg', 'Oral', 'As needed', NULL),
    (10, 'Acetaminophen', 'acetaminophen', 'Chewable tablet', '160 mg', NULL, false, 160, 'mg', 'Oral', 'As needed', NULL),
    (11, 'Cetirizine', 'cetirizine', 'Tablet', '10 mg', NULL, false, 10, 'mg', 'Oral', 'Daily', '{08:00}'),
    (12, 'Loratadine', 'loratadine', 'Syrup', '5 mg/5 mL', NULL, false, 5, 'mL', 'Oral', 'Daily', '{08:30}'),
    (13, 'Insulin lispro', 'insulin lispro', 'Injection', '100 units/mL', NULL, true, 4, 'units', 'Subcutaneous', 'Before meals', '{10:00,12:00,15:00}'),
    (14, 'Insulin glargine', 'insulin glargine', 'Injection', '100 units/mL', NULL, true, 12, 'units', 'Subcutaneous', 'Daily', '{08:00}'),
    (15, 'Levetiracetam', 'levetiracetam', 'Tablet', '500 mg', NULL, false, 500, 'mg', 'Oral', 'Twice daily', '{08:00,15:00}'),
    (16, 'Fluticasone inhaler', 'fluticasone', 'Inhaler', '44 mcg', NULL, false, 2, 'puffs', 'Inhalation', 'Daily', '{08:15}'),
    (17, 'Montelukast', 'montelukast', 'Chewable tablet', '5 mg', NULL, false, 5, 'mg', 'Oral', 'Daily', '{14:30}'),
    (18, 'Amoxicillin', 'amoxicillin', 'Suspension', '400 mg/5 mL', NULL, false, 5, 'mL', 'Oral', 'Twice daily', '{09:00,14:00}'),
    (19, 'Guanfacine', 'guanfacine', 'Tablet', '1 mg', NULL, false, 1, 'mg', 'Oral', 'Daily', '{11:45}'),
    (20, 'Atomoxetine', 'atomoxetine', 'Capsule', '25 mg', NULL, false, 25, 'mg', 'Oral', 'Daily', '{11:30}'),
    (21, 'Sertraline', 'sertraline', 'Tablet', '25 mg', NULL, false, 25, 'mg', 'Oral', 'Daily', '{12:15}'),
    (22, 'Epinephrine auto-injector', 'epinephrine', 'Auto-injector', '0.15 mg', NULL, false, 0.15, 'mg', 'Intramuscular', 'As needed', NULL),
    (23, 'Pancrelipase', 'pancrelipase', 'Capsule', '12000 units', NULL, false, 2, 'capsules', 'Oral', 'With meals', '{10:00,12:00}'),
    (24, 'Polyethylene glycol', 'macrogol', 'Powder', '8.5 g', NULL, false, 8.5, 'g', 'Oral', 'Daily', '{13:00}'),
    (25, 'Theophylline', 'theophylline', 'Tablet', '100 mg', NULL, false, 100, 'mg', 'Oral', 'Daily', '{09:30}'),
    (26, 'Ibuprofin', 'ibuprofen', 'Tablet', '200 mg', NULL, false, 200, 'mg', 'Oral', 'As needed', NULL)
  ) AS c (number, name, generic, form, strength, schedule, witness, amount, unit, route, frequency, times);

ANALYZE sample_medications;

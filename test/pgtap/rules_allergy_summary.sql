-- The rules of mv_allergy_summary, from both sides.
\i test/pgtap/setup/rules.sql

DO $$
DECLARE
  child text;
  severity text;
BEGIN
  PERFORM rules.school('north'), rules.nurse('nina');
  FOREACH child IN ARRAY ARRAY['none', 'life threatening', 'severe', 'moderate', 'mild', 'odd', 'mixed', 'order', 'live', 'pens',
                               'pen elsewhere', 'no pen'] LOOP
    PERFORM rules.student(child, '{"schoolId": "north", "nurseId": "nina", "grade": "7"}');
  END LOOP;
  PERFORM rules.student('gone', '{"deletedAt": "2024-05-01"}'), rules.student('inactive', '{"isActive": false}');

  FOREACH severity IN ARRAY ARRAY['life threatening', 'severe', 'moderate', 'mild', 'odd'] LOOP
    PERFORM rules.put('allergies', jsonb_build_object('studentId', severity, 'severity', upper(replace(severity, ' ', '_'))));
  END LOOP;
  PERFORM rules.put('allergies', jsonb_build_object('studentId', 'gone')), rules.put('allergies', jsonb_build_object('studentId', 'inactive'));

  -- Worst first: the text order would be LIFE_THREATENING, MILD, MODERATE, ODD, SEVERE.
  PERFORM rules.put('allergies', a) FROM (VALUES
    ('{"studentId": "mixed", "severity": "MILD", "allergen": "Bee"}'::jsonb),
    ('{"studentId": "mixed", "severity": "ODD", "allergen": "Ant"}'),
    ('{"studentId": "mixed", "severity": "SEVERE", "allergen": "Cat"}'),
    ('{"studentId": "mixed", "severity": "LIFE_THREATENING", "allergen": "Zinc"}'),
    ('{"studentId": "mixed", "severity": "MODERATE", "allergen": "Dog"}'),
    ('{"studentId": "order", "severity": "SEVERE", "allergen": "Milk", "id": "00000000-0000-4000-8000-000000000002"}'),
    ('{"studentId": "order", "severity": "SEVERE", "allergen": "Milk", "id": "00000000-0000-4000-8000-000000000001"}'),
    ('{"studentId": "order", "severity": "SEVERE", "allergen": "Egg", "id": "00000000-0000-4000-8000-000000000003"}'),
    -- Deleted and inactive ones don't count; one whose activity nobody knows does.
    ('{"studentId": "live", "severity": "LIFE_THREATENING", "deletedAt": "2024-05-01"}'),
    ('{"studentId": "live", "severity": "LIFE_THREATENING", "isActive": false}'),
    ('{"studentId": "live", "severity": "MODERATE", "isActive": null, "allergen": "Latex", "reaction": "hives", "epiPenRequired": null}'),
    -- EpiPens: distinct, sorted; only of counted allergies that require one.
    ('{"studentId": "pens", "epiPenRequired": true, "epiPenLocation": "Office"}'),
    ('{"studentId": "pens", "epiPenRequired": true, "epiPenLocation": "Backpack"}'),
    ('{"studentId": "pens", "epiPenRequired": true, "epiPenLocation": "Office"}'),
    ('{"studentId": "pens", "epiPenRequired": false, "epiPenLocation": "Cupboard"}'),
    ('{"studentId": "pens", "epiPenRequired": true, "epiPenLocation": "Attic", "isActive": false}'),
    ('{"studentId": "pens", "epiPenRequired": true, "epiPenLocation": "Cellar", "deletedAt": "2024-05-01"}'),
    ('{"studentId": "pen elsewhere", "epiPenRequired": true, "epiPenLocation": "Gym", "isActive": false}'),
    ('{"studentId": "no pen", "epiPenRequired": false, "epiPenLocation": "Gym"}'),
    ('{"studentId": "no pen", "epiPenRequired": null}')) AS given (a);
END
$$;
SELECT rules.refresh('2024-05-15 08:00');

-- Who has a row.
SELECT ok(rules.row('mv_allergy_summary', 'none') IS NOT NULL, 'an active student without allergies has a row');
SELECT ok(rules.row('mv_allergy_summary', 'gone') IS NULL, 'a deleted student has none');
SELECT ok(rules.row('mv_allergy_summary', 'inactive') IS NULL, 'an inactive student has none');

SELECT rules.shows('mv_allergy_summary', 'none', c, v, format('%s of a student without allergies', c))
  FROM (VALUES ('allergies', '[]'), ('totalAllergies', '0'), ('severeAllergies', '0'), ('moderateAllergies', '0'),
               ('requiresEpiPen', 'false'), ('epiPenLocations', NULL), ('alertLevel', 'NONE'), ('lifeThreateningAllergies', '0'),
               ('mildAllergies', '0'), ('studentNumber', 'none'), ('firstName', 'none'), ('lastName', 'Student'), ('grade', '7'),
               ('schoolId', rules.id('north')::text), ('nurseId', rules.id('nina')::text)) AS c (c, v);

-- The level, and what is counted as what.
SELECT rules.shows('mv_allergy_summary', k, 'alertLevel', v, format('the alert level of %s is %s', k, v))
  FROM (VALUES ('life threatening', 'CRITICAL'), ('severe', 'CRITICAL'), ('moderate', 'WARNING'), ('mild', 'INFO'), ('odd', 'INFO'),
               ('mixed', 'CRITICAL'), ('live', 'WARNING')) AS c (k, v);
SELECT is((SELECT ARRAY[r ->> 'totalAllergies', r ->> 'severeAllergies', r ->> 'lifeThreateningAllergies', r ->> 'moderateAllergies', r ->> 'mildAllergies']
             FROM rules.row('mv_allergy_summary', k) AS r), v, format('total, severe, life-threatening, moderate and mild of %s', k))
  FROM (VALUES ('life threatening', ARRAY['1', '1', '1', '0', '0']), ('severe', ARRAY['1', '1', '0', '0', '0']),
               ('moderate', ARRAY['1', '0', '0', '1', '0']), ('mild', ARRAY['1', '0', '0', '0', '1']), ('odd', ARRAY['1', '0', '0', '0', '0']),
               ('mixed', ARRAY['5', '2', '1', '1', '1']), ('live', ARRAY['1', '0', '0', '1', '0'])) AS c (k, v);

-- The order.
SELECT is((SELECT array_agg(e.value ->> 'severity' ORDER BY e.ordinality)
             FROM jsonb_array_elements(rules.row('mv_allergy_summary', 'mixed') -> 'allergies') WITH ORDINALITY AS e),
          ARRAY['LIFE_THREATENING', 'SEVERE', 'MODERATE', 'MILD', 'ODD'], 'the worst severity stands first');
SELECT is((SELECT array_agg(right(e.value ->> 'id', 1) ORDER BY e.ordinality)
             FROM jsonb_array_elements(rules.row('mv_allergy_summary', 'order') -> 'allergies') WITH ORDINALITY AS e),
          ARRAY['3', '1', '2'], 'within a severity by allergen, then by id');

-- The objects.
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(rules.row('mv_allergy_summary', 'live') -> 'allergies' -> 0) AS k),
          ARRAY['allergen', 'allergyType', 'epiPenLocation', 'epiPenRequired', 'id', 'reaction', 'severity'], 'the keys of an allergy');
SELECT is(rules.row('mv_allergy_summary', 'live') -> 'allergies' -> 0 ->> k, v, format('%s of an allergy', k))
  FROM (VALUES ('allergen', 'Latex'), ('allergyType', 'FOOD'), ('severity', 'MODERATE'), ('reaction', 'hives'), ('epiPenRequired', 'false'),
               ('epiPenLocation', NULL)) AS c (k, v);

-- EpiPens.
SELECT rules.shows('mv_allergy_summary', k, 'requiresEpiPen', r, format('whether %s requires an EpiPen', k)) FROM
  (VALUES ('pens', 'true'), ('pen elsewhere', 'false'), ('no pen', 'false'), ('live', 'false')) AS c (k, r);
SELECT rules.shows('mv_allergy_summary', k, 'epiPenLocations', l, format('the EpiPen locations of %s', k)) FROM
  (VALUES ('pens', 'Backpack, Office'), ('pen elsewhere', NULL), ('no pen', NULL)) AS c (k, l);

-- For all rows, those of the sample district too.
SELECT is_empty($$SELECT FROM mv_allergy_summary WHERE num_nulls("allergies", "totalAllergies", "severeAllergies", "moderateAllergies",
  "requiresEpiPen", "alertLevel", "lifeThreateningAllergies", "mildAllergies") > 0$$, 'no count, level or boolean is NULL');
SELECT is_empty($$SELECT FROM mv_allergy_summary WHERE jsonb_array_length("allergies") <> "totalAllergies"$$, 'the array has every counted allergy');
SELECT set_eq($$SELECT "studentId" FROM mv_allergy_summary$$, $$SELECT id FROM students WHERE "deletedAt" IS NULL AND "isActive"$$,
  'one row for each active student');

SELECT * FROM finish();
ROLLBACK;

-- The medication formulary of a district: some 2,000 products. The sample district has the 26 that its students get, which
-- fill one page, so no plan but reading that page would make sense; a catalogue that nurses search is longer. Runs on both
-- databases; keys and contents follow from the numbers, so every run makes the same.

INSERT INTO medications (id, name, "genericName", "dosageForm", strength, manufacturer, ndc, "isControlled", "deaSchedule",
                         "requiresWitness", "isActive", "createdAt", "updatedAt")
SELECT md5('formulary ' || n)::uuid, initcap(syllable.first || syllable.second || syllable.third) || ' ' || strength.amount,
       syllable.first || syllable.second || syllable.third, form.name, strength.amount, 'Manufacturer ' || (1 + n % 37),
       lpad(n::text, 5, '0') || '-' || lpad((n * 7 % 1000)::text, 3, '0') || '-01',
       dea.schedule IS NOT NULL, dea.schedule, dea.schedule IS NOT NULL AND dea.schedule::text IN ('II', 'III'), n % 12 <> 0,
       now(), now()
  FROM generate_series(1, 2000) AS n
 CROSS JOIN LATERAL (SELECT (array['al', 'be', 'ce', 'di', 'en', 'fo', 'ga', 'hy', 'is', 'ke', 'lo', 'me'])[1 + n % 12] AS first,
                            (array['buta', 'cetro', 'dazo', 'fluri', 'lami', 'metha', 'prazo'])[1 + n / 12 % 7] AS second,
                            (array['lin', 'pam', 'rol', 'sone', 'tine'])[1 + n / 84 % 5] AS third) AS syllable
 CROSS JOIN LATERAL (SELECT (array['Tablet', 'Tablet', 'Capsule', 'Capsule', 'Syrup', 'Injection', 'Inhaler', 'Cream', 'Suspension',
                                   'Drops'])[1 + n % 10] AS name) AS form
 CROSS JOIN LATERAL (SELECT (array['5 mg', '10 mg', '20 mg', '50 mg', '100 mg'])[1 + n / 420 % 5] AS amount) AS strength
 -- The enumeration of the platform or the text of the reference tables, whichever the column is.
 CROSS JOIN LATERAL (SELECT (jsonb_populate_record(NULL::medications,
                               jsonb_build_object('deaSchedule', CASE n % 40 WHEN 3 THEN 'II' WHEN 11 THEN 'III' WHEN 19 THEN 'IV'
                                                                             WHEN 27 THEN 'V' END)))."deaSchedule" AS schedule) AS dea;

-- mv_allergy_summary: one row for each live, active student, with an empty array where it has no allergy.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, definition) VALUES
('mv_allergy_summary', '{studentId}', '{studentId}', 'Allergies of each active student, worst first.', $view$
SELECT s."id" AS "studentId", s."studentNumber", s."firstName", s."lastName", s."grade", s."schoolId", s."nurseId",
       coalesce(allergy."list", '[]'::jsonb) AS "allergies",
       coalesce(allergy."total", 0) AS "totalAllergies",
       coalesce(allergy."severe", 0) AS "severeAllergies",
       coalesce(allergy."moderate", 0) AS "moderateAllergies",
       coalesce(allergy."epiPen", false) AS "requiresEpiPen",
       location."all" AS "epiPenLocations",
       CASE WHEN allergy."severe" > 0 THEN 'CRITICAL'
            WHEN allergy."moderate" > 0 THEN 'WARNING'
            WHEN allergy."total" > 0 THEN 'INFO'
            ELSE 'NONE' END AS "alertLevel",
       coalesce(allergy."lifeThreatening", 0) AS "lifeThreateningAllergies",
       coalesce(allergy."mild", 0) AS "mildAllergies"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s
  LEFT JOIN (
       SELECT a."studentId",
              jsonb_agg(jsonb_build_object(
                          'id', a."id", 'allergen', a."allergen", 'allergyType', a."allergyType", 'severity', a."severity",
                          'reaction', a."reaction", 'epiPenRequired', a."epiPenRequired" IS TRUE, 'epiPenLocation', a."epiPenLocation")
                        ORDER BY CASE a."severity" WHEN 'LIFE_THREATENING' THEN 1 WHEN 'SEVERE' THEN 2 WHEN 'MODERATE' THEN 3
                                                   WHEN 'MILD' THEN 4 ELSE 5 END,
                                 a."allergen", a."id") AS "list",
              count(*) AS "total",
              count(*) FILTER (WHERE a."severity" IN ('SEVERE', 'LIFE_THREATENING')) AS "severe",
              count(*) FILTER (WHERE a."severity" = 'LIFE_THREATENING') AS "lifeThreatening",
              count(*) FILTER (WHERE a."severity" = 'MODERATE') AS "moderate",
              count(*) FILTER (WHERE a."severity" = 'MILD') AS "mild",
              bool_or(a."epiPenRequired" IS TRUE) AS "epiPen"
         FROM {allergies: id, studentId, allergen, allergyType, severity, reaction, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE {only a."studentId"}
        GROUP BY a."studentId") AS allergy ON allergy."studentId" = s."id"
  LEFT JOIN (
       SELECT a."studentId", string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") AS "all"
         FROM {allergies: studentId, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE AND a."epiPenRequired" AND btrim(a."epiPenLocation") <> ''
              {only a."studentId"}
        GROUP BY a."studentId") AS location ON location."studentId" = s."id"
 WHERE s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE {only s."id"}
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_allergy_summary', 'studentId', 'The student (students.id); unique.'),
('mv_allergy_summary', 'studentNumber', 'Number of the student.'),
('mv_allergy_summary', 'firstName', 'First name of the student.'),
('mv_allergy_summary', 'lastName', 'Last name of the student.'),
('mv_allergy_summary', 'grade', 'Grade of the student.'),
('mv_allergy_summary', 'schoolId', 'School of the student.'),
('mv_allergy_summary', 'nurseId', 'Nurse of the student.'),
('mv_allergy_summary', 'allergies',
 'The live, active allergies as objects of id, allergen, allergyType, severity, reaction, epiPenRequired, epiPenLocation; worst severity first, then allergen, then id.'),
('mv_allergy_summary', 'totalAllergies', 'Number of live, active allergies.'),
('mv_allergy_summary', 'severeAllergies', 'Number of those that are SEVERE or LIFE_THREATENING.'),
('mv_allergy_summary', 'moderateAllergies', 'Number of those that are MODERATE.'),
('mv_allergy_summary', 'requiresEpiPen', 'Whether one of them requires an EpiPen.'),
('mv_allergy_summary', 'epiPenLocations', 'Distinct EpiPen locations, sorted and joined by a comma; NULL where none.'),
('mv_allergy_summary', 'alertLevel', 'CRITICAL (a severe allergy), WARNING (a moderate one), INFO (any other) or NONE.'),
('mv_allergy_summary', 'lifeThreateningAllergies', 'Number of those that are LIFE_THREATENING.'),
('mv_allergy_summary', 'mildAllergies', 'Number of those that are MILD.');

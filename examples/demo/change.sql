-- A nurse records a life-threatening allergy of one student; the refresh after it, and the student's alert before and after.
-- The clock :clock is the one the dashboards went by.
SET whitecross.now = :'clock';
SELECT s.id AS student, s."lastName" || ', ' || s."firstName" AS student_name
  FROM mv_allergy_summary AS a JOIN students AS s ON s.id = a."studentId"
 WHERE a."alertLevel" = 'NONE' ORDER BY s."lastName", s."firstName", s.id LIMIT 1 \gset
\echo
\echo '--- INSERT INTO allergies: peanuts, life-threatening, for' :student_name
INSERT INTO allergies ("studentId", "schoolId", allergen, "allergyType", severity, reaction, "epiPenRequired", "epiPenLocation", "isActive")
SELECT id, "schoolId", 'Peanuts', 'FOOD', 'LIFE_THREATENING', 'Anaphylaxis', true, 'Nurse office', true FROM students WHERE id = :'student';
SELECT view_name, pending_changes FROM wc_view_stats() WHERE pending_changes > 0 ORDER BY view_name;
\echo '--- SELECT * FROM wc_refresh_all()'
SELECT view_name, mode, status, rows_written, round(duration_ms::numeric, 1) AS duration_ms
  FROM wc_refresh_all() ORDER BY view_name;
SELECT "lastName" || ', ' || "firstName" AS student, "alertLevel" AS alert, "requiresEpiPen" AS epipen, "epiPenLocations" AS location
  FROM mv_allergy_summary WHERE "studentId" = :'student';
\echo '--- SELECT * FROM wc_verify(): rows that differ from the definition'
SELECT * FROM wc_verify() ORDER BY view_name;

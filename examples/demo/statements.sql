-- What an application does wrong, and what the server has to say of it.
\o /dev/null
SET application_name = 'school app';
SET whitecross.slow_query_threshold = '5ms';
-- A report that nobody has an index for.
SELECT s."lastName", count(*) FROM students AS s JOIN health_records AS h ON h."studentId" = s.id
 WHERE h.description LIKE '%asthma%' GROUP BY 1 ORDER BY 2 DESC LIMIT 5;
-- A loop: one student at a time, as an ORM does without eager loading.
SELECT format('SELECT "allergen", "severity" FROM allergies WHERE "studentId" = %L', id) FROM students ORDER BY id LIMIT 25 \gexec
RESET whitecross.slow_query_threshold;
\o
-- Vital signs that can't be: the rule refuses them.
\echo 'Twelve nurses type a heart rate of 999 (23514: a rule refuses it):'
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
SELECT format('UPDATE vital_signs SET "heartRate" = 999 WHERE id = %L', id) FROM vital_signs ORDER BY id LIMIT 12 \gexec
\set VERBOSITY default
\set ON_ERROR_STOP on
\echo
\echo '--- SELECT wc_query_report()'
\pset tuples_only on
\pset format unaligned
SELECT wc_query_report();
\pset tuples_only off
\pset format aligned
\echo
\echo '--- SELECT * FROM wc_constraint_violations'
SELECT table_name, constraint_name, last_hour, last_day, level FROM wc_constraint_violations;
\echo '--- SELECT * FROM wc_index_usage: the five most used indexes, and a count of verdicts'
SELECT table_name, index_name, scans, tuples_read, pg_size_pretty(size_bytes) AS size, verdict FROM wc_index_usage ORDER BY scans DESC NULLS LAST LIMIT 5;
SELECT verdict, count(*) FROM wc_index_usage GROUP BY 1 ORDER BY 2 DESC;
\echo '--- SELECT * FROM wc_privacy_settings() WHERE risk = ''critical'''
SELECT setting, value, command FROM wc_privacy_settings() WHERE risk = 'critical';
\echo '--- SELECT * FROM wc_suggest_indexes(), with extension hypopg'
SET client_min_messages = warning;
CREATE EXTENSION hypopg;
SELECT definition, calls_helped AS calls, round(cost_before) AS cost_before, round(cost_after) AS cost_after, pg_size_pretty(estimated_size_bytes) AS size, writes
  FROM wc_suggest_indexes();

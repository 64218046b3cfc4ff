-- A report over the base tables through the result cache: computed once, then from shared memory, and computed anew as soon as anybody has written
-- what it was read from.
SELECT $report$
SELECT s.grade, count(DISTINCT s.id), count(DISTINCT a.id), count(DISTINCT c.id), count(h.id)
  FROM students AS s
  LEFT JOIN allergies AS a ON a."studentId" = s.id AND a.severity IN ('SEVERE', 'LIFE_THREATENING') AND a."deletedAt" IS NULL
  LEFT JOIN chronic_conditions AS c ON c."studentId" = s.id AND c."deletedAt" IS NULL
  LEFT JOIN health_records AS h ON h."studentId" = s.id AND h."deletedAt" IS NULL
 WHERE s."isActive" AND s."deletedAt" IS NULL AND s.grade = ANY ($1::text[]) GROUP BY s.grade ORDER BY s.grade
$report$ AS report \gset
PREPARE grades AS
SELECT * FROM wc_cached(NULL::record, :'report', ARRAY['{9,10,11,12}'], ttl => '10 minutes', tag => 'demo grades')
    AS r (grade varchar, students bigint, severe_allergies bigint, conditions bigint, records bigint);
\timing on
\echo '--- SELECT * FROM wc_cached(...), cold: the query runs'
EXECUTE grades;
\echo '--- Again: a hit'
EXECUTE grades;
\timing off
\echo '--- UPDATE allergies: one of grade 9 turns out to be life-threatening. No word to the cache'
UPDATE allergies SET severity = 'LIFE_THREATENING'
 WHERE id = (SELECT a.id FROM allergies AS a JOIN students AS s ON s.id = a."studentId"
              WHERE s.grade = '9' AND s."isActive" AND s."deletedAt" IS NULL AND a."deletedAt" IS NULL AND a.severity IN ('MILD', 'MODERATE') ORDER BY a.id LIMIT 1);
\timing on
\echo '--- Once more: computed anew, with it'
EXECUTE grades;
\echo '--- And again: a hit'
EXECUTE grades;
\timing off
\echo '--- SELECT * FROM wc_cache_stats, wc_cache_entries: no value of a row or a parameter'
SELECT entries, pg_size_pretty(bytes) AS size, hits, misses, round(hit_ratio::numeric, 2) AS hit_ratio, stores, invalidations, refusals, second_tier FROM wc_cache_stats WHERE database = current_database();
SELECT tag, tables, ttl, hits, pg_size_pretty(bytes) AS size FROM wc_cache_entries;

-- What an administrator looks at.
\echo
\echo '--- SELECT * FROM wc_view_stats()'
SELECT view_name, pg_size_pretty(size_bytes) AS size, row_count, populated, to_char(last_refresh, 'HH24:MI:SS') AS refreshed_at,
       date_trunc('second', age) AS age, round(last_duration_ms::numeric) AS duration_ms, refreshes, failures
  FROM wc_view_stats()
 ORDER BY view_name;

\echo '--- SELECT * FROM wc_health_check()'
SELECT check_name, status, detail, hint
  FROM wc_health_check()
 ORDER BY array_position(ARRAY['critical', 'warning', 'ok'], status), check_name, detail;

\echo '--- The schedule that CREATE EXTENSION made'
SELECT jobname, schedule, command FROM cron.job WHERE jobname LIKE 'whitecross %' ORDER BY jobname;

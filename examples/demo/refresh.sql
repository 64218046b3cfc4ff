-- Refreshes the five views as of :clock.
SET whitecross.now = :'clock';
\echo
SELECT view_name, mode, status, rows_written, round(duration_ms::numeric) AS duration_ms, message
  FROM wc_refresh_all()
 ORDER BY view_name;

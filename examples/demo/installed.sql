-- What CREATE EXTENSION has put in, by kind.
\echo
SELECT kind, status, count(*) AS objects
  FROM wc_objects()
 GROUP BY kind, status
 ORDER BY kind, status;

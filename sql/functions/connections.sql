-- Connections of the server, now and over the last days.

CREATE FUNCTION @extschema@.wc_connections()
RETURNS TABLE (scope text, database text, role text, active integer, idle integer, idle_in_transaction integer, waiting integer, total integer,
               max integer, utilisation_percent double precision, oldest_transaction interval)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 30
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_connections';
COMMENT ON FUNCTION @extschema@.wc_connections() IS
'Connections of clients now: of the server, of each database, of each role and of each role in each database that has any; with the limit that applies and the age of the oldest transaction that is open.';

CREATE VIEW @extschema@.wc_connections AS
SELECT c.scope, c.database, c.role, c.active, c.idle, c.idle_in_transaction, c.waiting, c.total, c.max, c.utilisation_percent, c.oldest_transaction
  FROM @extschema@.wc_connections() AS c;
COMMENT ON VIEW @extschema@.wc_connections IS 'Connections of clients now: wc_connections() as a view.';
GRANT SELECT ON @extschema@.wc_connections TO PUBLIC;

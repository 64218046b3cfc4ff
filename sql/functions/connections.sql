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

CREATE FUNCTION @extschema@.wc_connection_history(since timestamptz DEFAULT NULL)
RETURNS TABLE (sampled_at timestamptz, scope text, database text, role text, active integer, idle integer, idle_in_transaction integer, waiting integer,
               total integer, max integer, utilisation_percent double precision, oldest_transaction interval)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100000
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_connection_history';
COMMENT ON FUNCTION @extschema@.wc_connection_history(timestamptz) IS
'Samples of connections, one each whitecross.monitor_interval, from that moment on, or all of the last 8 days: the rows of wc_connections() as they were then.';

CREATE VIEW @extschema@.wc_connection_history AS
SELECT h.sampled_at, h.scope, h.database, h.role, h.active, h.idle, h.idle_in_transaction, h.waiting, h.total, h.max, h.utilisation_percent,
       h.oldest_transaction
  FROM @extschema@.wc_connection_history() AS h;
COMMENT ON VIEW @extschema@.wc_connection_history IS 'Samples of connections of the last 8 days: wc_connection_history() as a view.';
GRANT SELECT ON @extschema@.wc_connection_history TO PUBLIC;

CREATE FUNCTION @extschema@.wc_connection_history_status()
RETURNS TABLE (sampled_at timestamptz, written_at timestamptz, sqlstate text, lost bigint, files bigint, size_bytes bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_connection_history_status';
COMMENT ON FUNCTION @extschema@.wc_connection_history_status() IS
'When connections were last sampled, and when samples were last written to files, since the server started; the error that the last attempt to write ended with; how many samples were lost, how many files there are, and their size.';

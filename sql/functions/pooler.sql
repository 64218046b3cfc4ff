-- What PgBouncer says of itself.

CREATE FUNCTION @extschema@.wc_pooler()
RETURNS TABLE (database text, "user" text, clients_active bigint, clients_waiting bigint, servers_active bigint, servers_idle bigint,
               servers_used bigint, maxwait_ms double precision, pool_size bigint, utilisation_percent double precision, waits bigint,
               longest_wait_ms double precision, database_transactions bigint, database_queries bigint, database_wait_ms double precision)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 50
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_pooler';
COMMENT ON FUNCTION @extschema@.wc_pooler() IS
'Each pool of PgBouncer as it was told last (NULL where it does not answer, or has that pool no more), and what has come together since the server started: answers in which clients waited, the longest wait; and of the pool''s database, all its users together, transactions, queries and the time that clients waited.';

CREATE VIEW @extschema@.wc_pooler AS
SELECT p.database, p."user", p.clients_active, p.clients_waiting, p.servers_active, p.servers_idle, p.servers_used, p.maxwait_ms, p.pool_size,
       p.utilisation_percent, p.waits, p.longest_wait_ms, p.database_transactions, p.database_queries, p.database_wait_ms
  FROM @extschema@.wc_pooler() AS p;
COMMENT ON VIEW @extschema@.wc_pooler IS 'The pools of PgBouncer: wc_pooler() as a view.';
GRANT SELECT ON @extschema@.wc_pooler TO PUBLIC;

CREATE FUNCTION @extschema@.wc_pooler_status()
RETURNS TABLE (configured boolean, connected boolean, since timestamptz, last_answer timestamptz, answers bigint, failures bigint,
               last_failure timestamptz, last_error text, pools bigint, pools_left_out bigint, clients_active bigint, clients_waiting bigint,
               servers_active bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_pooler_status';
COMMENT ON FUNCTION @extschema@.wc_pooler_status() IS
'Whether PgBouncer is asked (whitecross.pgbouncer_conninfo) and answers, since when, how often it did and did not, the last error; and of its last answer the pools, those of them that there was no room for, and the connections of all of them.';

CREATE VIEW @extschema@.wc_pooler_status AS
SELECT s.configured, s.connected, s.since, s.last_answer, s.answers, s.failures, s.last_failure, s.last_error, s.pools, s.pools_left_out,
       s.clients_active, s.clients_waiting, s.servers_active
  FROM @extschema@.wc_pooler_status() AS s;
COMMENT ON VIEW @extschema@.wc_pooler_status IS 'Whether PgBouncer is asked and answers: wc_pooler_status() as a view.';
GRANT SELECT ON @extschema@.wc_pooler_status TO PUBLIC;

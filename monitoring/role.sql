-- The role that the exporter of metrics connects as. Run by a superuser in each database with the extension, with psql:
--
--   psql -d school -f role.sql
--
-- It may call two functions of the extension, which hold names and numbers, and nothing else: no table, and not what pg_monitor or
-- pg_read_all_stats would show it, the statements of others with the values in them. Give it a way in (pg_hba.conf) and a password, or peer
-- authentication, yourself.
\set ON_ERROR_STOP on
SELECT count(*) = 0 AS new FROM pg_roles WHERE rolname = 'whitecross_monitor' \gset
\if :new
CREATE ROLE whitecross_monitor LOGIN NOINHERIT CONNECTION LIMIT 5;
COMMENT ON ROLE whitecross_monitor IS 'Reads the metrics of whitecross.';
\endif
-- A scrape that has to wait gives up; the next one comes.
ALTER ROLE whitecross_monitor SET statement_timeout = '5s';
ALTER ROLE whitecross_monitor SET default_transaction_read_only = on;
ALTER ROLE whitecross_monitor SET idle_in_transaction_session_timeout = '5s';

SELECT n.nspname AS schema FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'whitecross' \gset
GRANT CONNECT ON DATABASE :"DBNAME" TO whitecross_monitor;
GRANT USAGE ON SCHEMA :"schema" TO whitecross_monitor;
GRANT EXECUTE ON FUNCTION :"schema".wc_metrics(text), :"schema".wc_prometheus() TO whitecross_monitor;
GRANT SELECT ON :"schema".wc_metrics TO whitecross_monitor;
-- So that postgres_exporter.yml needs no name of a schema.
ALTER ROLE whitecross_monitor IN DATABASE :"DBNAME" SET search_path = :"schema";

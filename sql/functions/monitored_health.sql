-- The health of the databases that have the extension, as the monitor has it checked.

CREATE FUNCTION @extschema@.wc_health_status()
RETURNS TABLE (healthy boolean, consecutive_failures integer, last_check timestamptz, last_failure timestamptz, duration_ms double precision,
               failing text[], reason text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_health_status';
COMMENT ON FUNCTION @extschema@.wc_health_status() IS
'The health of this database, which the monitor has checked each whitecross.health_interval: three checks in a row that fail make it unhealthy, a good one healthy again; which checks were critical, and why the last one failed or could not be made.';

CREATE FUNCTION @extschema@.wc_database_health()
RETURNS TABLE (database text, version text, healthy boolean, consecutive_failures integer, last_check timestamptz, last_failure timestamptz,
               duration_ms double precision, failing text[], reason text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 4
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_database_health';
COMMENT ON FUNCTION @extschema@.wc_database_health() IS
'wc_health_status() of each database that has the extension, with its version there; without the rights of pg_read_all_stats of this one only.';

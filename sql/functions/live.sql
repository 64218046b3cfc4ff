-- Live mode: a background worker keeps the views true as changes are committed.

CREATE FUNCTION @extschema@.wc_live_status()
RETURNS TABLE (switched_on boolean, state text, pid integer, since timestamptz, behind_since timestamptz,
               next_moment timestamptz, retry_at timestamptz, sqlstate text)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_live_status';
COMMENT ON FUNCTION @extschema@.wc_live_status() IS
'Live mode in this database: whether it is switched on, how its worker is, since when it is behind, when it looks next by itself.';

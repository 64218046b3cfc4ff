-- Constraint violations, counted.

CREATE FUNCTION @extschema@.wc_constraint_violations()
RETURNS TABLE (table_name text, constraint_name text, kind text, last_hour bigint, last_day bigint, total bigint,
               last_seen timestamptz, level text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_constraint_violations';
COMMENT ON FUNCTION @extschema@.wc_constraint_violations() IS
'How often each constraint of this database was violated in the last hour, the last day and altogether, and first of all the sum (kind all); level ok, warning or critical.';

CREATE VIEW @extschema@.wc_constraint_violations AS
SELECT v.table_name, v.constraint_name, v.kind, v.last_hour, v.last_day, v.total, v.last_seen, v.level
  FROM @extschema@.wc_constraint_violations() AS v;
COMMENT ON VIEW @extschema@.wc_constraint_violations IS
'How often each constraint of this database was violated: wc_constraint_violations() as a view.';
GRANT SELECT ON @extschema@.wc_constraint_violations TO PUBLIC;

CREATE FUNCTION @extschema@.wc_constraint_violations_info()
RETURNS TABLE (constraints integer, max integer, evicted bigint, since timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_constraint_violations_info';
COMMENT ON FUNCTION @extschema@.wc_constraint_violations_info() IS
'Of the table that constraint violations are counted in: constraints in it, room (whitecross.violations_max), how many gave their place to others, and since when this database is counted.';

CREATE FUNCTION @extschema@.wc_reset_constraint_violations()
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_constraint_violations';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_constraint_violations() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_constraint_violations() IS
'Forgets the constraint violations of this database; returns of how many constraints.';

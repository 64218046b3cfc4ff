-- Managed objects: the functions of src/schema.
-- Those that change something run as the extension's owner and are granted to nobody; see README for the GRANT lines.

CREATE FUNCTION @extschema@.wc_install(kind text DEFAULT NULL)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_install';
COMMENT ON FUNCTION @extschema@.wc_install(text) IS
    'Makes the managed objects that are missing (of one kind, or all), fills new views, rebuilds what is outdated, restores lost links; returns what it did and what it could not do.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_install(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_retire(kind text DEFAULT NULL)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_retire';
COMMENT ON FUNCTION @extschema@.wc_retire(text) IS
    'Takes away the managed objects that wc_install() made (of one kind, or all); adopted ones, and views that others depend on, stay.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_retire(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_suspend_views()
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_suspend_views';
COMMENT ON FUNCTION @extschema@.wc_suspend_views() IS
    'Takes the materialized views away for a migration of the application; wc_install() brings them back with their grants.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_suspend_views() FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_disable(name text)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_disable';
COMMENT ON FUNCTION @extschema@.wc_disable(text) IS
    'Switches a managed object off for this site; takes it away if wc_install() made it.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_disable(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_enable(name text)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_enable';
COMMENT ON FUNCTION @extschema@.wc_enable(text) IS
    'Switches a managed object on again; wc_install() then makes it.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_enable(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_objects()
    RETURNS TABLE (kind text, name text, table_name text, status text, validated boolean, reason text, definition text)
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_objects';
COMMENT ON FUNCTION @extschema@.wc_objects() IS
    'Every managed object: installed, adopted, conflict, pending, outdated, disabled or not applicable, and why.';

CREATE FUNCTION @extschema@.wc_object_links()
    RETURNS TABLE (kind text, name text, linked boolean)
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_object_links';
COMMENT ON FUNCTION @extschema@.wc_object_links() IS
    'For each object that wc_install() made: whether DROP EXTENSION removes it. wc_install() restores a link that is lost.';

CREATE FUNCTION @extschema@.wc_caller_messages() RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_caller_messages';
COMMENT ON FUNCTION @extschema@.wc_caller_messages() IS
    'Internal: client_min_messages of the session that runs CREATE EXTENSION, which the server raises meanwhile.';

CREATE FUNCTION @extschema@.wc_restore_links() RETURNS event_trigger
    LANGUAGE c SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_restore_links';
COMMENT ON FUNCTION @extschema@.wc_restore_links() IS
    'Internal: before the extension is dropped, managed objects whose links are lost are linked again, so that they go with it.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_restore_links() FROM PUBLIC;

-- On the command's start, while the registry is still there. A dump carries no links of constraints.
CREATE EVENT TRIGGER whitecross_restore_links ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION @extschema@.wc_restore_links();
ALTER EVENT TRIGGER whitecross_restore_links ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER whitecross_restore_links IS 'DROP EXTENSION whitecross removes managed objects whose links were lost, too.';

CREATE FUNCTION @extschema@.wc_validate()
    RETURNS TABLE (constraint_name text, table_name text, violations bigint, validated boolean)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_validate';
COMMENT ON FUNCTION @extschema@.wc_validate() IS
    'Counts the rows that violate each CHECK constraint; installs and validates those that none violates.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_validate() FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_enforce(constraint_name text)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_enforce';
COMMENT ON FUNCTION @extschema@.wc_enforce(text) IS
    'Puts a CHECK constraint in at once as NOT VALID: new violations are refused, old ones stay until they are mended.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_enforce(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_breaches(constraint_name text)
    RETURNS TABLE (table_name text, key jsonb)
    LANGUAGE c STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_breaches';
COMMENT ON FUNCTION @extschema@.wc_breaches(text) IS
    'Keys, and nothing else, of the rows that violate a CHECK constraint. Needs the right to read the table.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_breaches(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_configure(name text, value text)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_configure';
COMMENT ON FUNCTION @extschema@.wc_configure(text, text) IS
    'Changes a setting of this database (NULL: back to its default); returns the objects that wc_install() will rebuild.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_configure(text, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_map_column(table_name text, canonical text, expression text)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_map_column';
COMMENT ON FUNCTION @extschema@.wc_map_column(text, text, text) IS
    'Says which column, lookup or expression of this site stands for a canonical column (NULL: back to the default); returns the objects that wc_install() will rebuild.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_map_column(text, text, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_resolve_columns()
    RETURNS TABLE (table_name text, canonical text, expression text, source text, present boolean)
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_resolve_columns';
COMMENT ON FUNCTION @extschema@.wc_resolve_columns() IS
    'What stands for each canonical column on this site; see the view wc_column_mapping.';

CREATE FUNCTION @extschema@.wc_view_query(view_name text, keys text DEFAULT NULL)
    RETURNS text
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_view_query';
COMMENT ON FUNCTION @extschema@.wc_view_query(text, text) IS
    'The query of a materialized view over this site''s tables; with keys, an SQL array expression for each column of its refresh key, the query restricted to them.';

CREATE FUNCTION @extschema@.wc_refresh_queries(view_name text DEFAULT NULL)
    RETURNS TABLE (view_name text, problem text, key_columns text[], tables text[], restricted text, keys text, pending text, next_moment text)
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_refresh_queries';
COMMENT ON FUNCTION @extschema@.wc_refresh_queries(text) IS
    'The queries that an incremental refresh of a view, or of each, runs, or why it can''t be refreshed so.';

CREATE FUNCTION @extschema@.wc_captured_columns()
    RETURNS TABLE (table_name text, captured text[], compared text[])
    LANGUAGE c STABLE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_captured_columns';
COMMENT ON FUNCTION @extschema@.wc_captured_columns() IS
    'The columns of each base table whose values are noted of a changed row, and those that an UPDATE must change for it to count.';

CREATE VIEW @extschema@.wc_objects AS
SELECT kind, name, table_name, status, validated, reason, definition FROM @extschema@.wc_objects();
COMMENT ON VIEW @extschema@.wc_objects IS
    'Every managed object: installed, adopted, conflict, pending, outdated, disabled or not applicable, and why; as the function of the same name.';
GRANT SELECT ON @extschema@.wc_objects TO PUBLIC;

CREATE VIEW @extschema@.wc_column_mapping AS
SELECT table_name, canonical, expression, source, present FROM @extschema@.wc_resolve_columns();
COMMENT ON VIEW @extschema@.wc_column_mapping IS
    'What stands for each canonical column on this site, from the site''s own mapping or by default; wc_map_column() changes one.';
GRANT SELECT ON @extschema@.wc_column_mapping TO PUBLIC;

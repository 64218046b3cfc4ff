-- Materialized views of the site's own.

CREATE FUNCTION @extschema@.wc_add_view(name text, definition text, key_columns text[], sources jsonb DEFAULT NULL,
                                        keys_between text DEFAULT NULL, next_moment text DEFAULT NULL, comment text DEFAULT NULL)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_add_view';
COMMENT ON FUNCTION @extschema@.wc_add_view(text, text, text[], jsonb, text, text, text) IS
    'Adds a materialized view of the site''s own, and installs, fills and checks it: from then on it is refreshed, verified, scheduled and dumped as the shipped ones are. definition: a SELECT over {table: columns} with {only alias."column"} where it can be restricted to the keys.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_add_view(text, text, text[], jsonb, text, text, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_remove_view(name text)
    RETURNS TABLE (kind text, name text, table_name text, action text, reason text)
    LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'wc_remove_view';
COMMENT ON FUNCTION @extschema@.wc_remove_view(text) IS
    'Takes a view that wc_add_view() added away, with its schedule, its log and what only it needed of the triggers.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_remove_view(text) FROM PUBLIC;

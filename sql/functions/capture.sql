-- Capture of changes: the trigger functions of src/refresh/capture.

CREATE FUNCTION @extschema@.wc_capture() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'wc_capture';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_capture() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_capture() IS
    'Internal: notes in wc_change which keys of a base table a statement has touched. Arguments of the trigger: the table''s canonical name, the captured columns, the compared columns.';

CREATE FUNCTION @extschema@.wc_ignore_replicated() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'wc_ignore_replicated';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_ignore_replicated() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_ignore_replicated() IS
    'Internal: drops rows of the extension''s own tables that logical replication brings from another server.';

-- From whitecross 1.0.0 to 1.1.0. What it leads to is what a fresh 1.1.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped: data, grants, settings, mapping and schedules stay.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.1.0'" to load this file. \quit

-- The change log: which keys of which base table were written, noted by the writer's own transaction. Not dumped: a restored
-- database starts with views that are filled anew. It holds keys of rows, so nobody but the owner may read it.

CREATE TABLE @extschema@.wc_change (
    xid xid8 NOT NULL,
    seq integer NOT NULL,
    table_name text NOT NULL,
    keys text[],
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (xid, seq)
);
COMMENT ON TABLE @extschema@.wc_change IS
    'Changes of the base tables that some view has yet to take up: one row for each key that a statement touched.';
COMMENT ON COLUMN @extschema@.wc_change.xid IS 'The top-level transaction that wrote.';
COMMENT ON COLUMN @extschema@.wc_change.seq IS 'Counts the rows of one transaction.';
COMMENT ON COLUMN @extschema@.wc_change.table_name IS 'The base table, by its canonical name.';
COMMENT ON COLUMN @extschema@.wc_change.keys IS
    'Values of the captured columns of the row, old or new, in the order of the capture; null: any row may have changed.';
COMMENT ON COLUMN @extschema@.wc_change.noted_at IS 'When it was noted, by the server''s clock.';
REVOKE ALL ON @extschema@.wc_change FROM PUBLIC;

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

-- A publication FOR ALL TABLES has the extension's own tables in it. What it brings from another server is dropped: each server
-- has its own settings, views and changes. Fired in replication workers and sessions in their role, so that it costs nothing else.
DO $ignore$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT c.oid::pg_catalog.regclass AS name
          FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension AS e
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.oid = d.refobjid AND e.extname = 'whitecross'
         WHERE c.relkind = 'r'
         ORDER BY c.relname
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER whitecross_ignore_replicated BEFORE INSERT OR UPDATE OR DELETE ON %s'
                                  ' FOR EACH ROW EXECUTE FUNCTION @extschema@.wc_ignore_replicated()', own.name);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE REPLICA TRIGGER whitecross_ignore_replicated', own.name);
    END LOOP;
END
$ignore$;

ALTER TABLE @extschema@.wc_refresh_log
    DROP CONSTRAINT wc_refresh_log_origin_check,
    ADD CONSTRAINT wc_refresh_log_origin_check CHECK (origin IN ('manual', 'schedule', 'install', 'live'));
COMMENT ON COLUMN @extschema@.wc_refresh_log.origin IS 'manual, schedule, install or live.';

-- Live mode: a background worker keeps the views true as changes are committed.

CREATE FUNCTION @extschema@.wc_live_status()
RETURNS TABLE (switched_on boolean, state text, pid integer, since timestamptz, behind_since timestamptz,
               next_moment timestamptz, retry_at timestamptz, sqlstate text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_live_status';
COMMENT ON FUNCTION @extschema@.wc_live_status() IS
'Live mode in this database: whether it is switched on, how its worker is, since when it is behind, when it looks next by itself.';

-- The last step, as that of CREATE EXTENSION: make what can be made. Off with: SET whitecross.install_on_create = off.
DO $install$
DECLARE
    unfinished bigint;
BEGIN
    -- Notices of what was not installed are meant to be seen.
    PERFORM pg_catalog.set_config('client_min_messages', @extschema@.wc_caller_messages(), true);
    IF NOT coalesce(nullif(pg_catalog.current_setting('whitecross.install_on_create', true), ''), 'on')::pg_catalog.bool THEN
        RAISE NOTICE 'managed objects are not brought up to date yet'
            USING HINT = 'Run SELECT * FROM @extschema@.wc_install() at a quiet time.';
        RETURN;
    END IF;
    SELECT count(*) INTO unfinished FROM @extschema@.wc_install() WHERE action IN ('pending', 'conflict');
    IF unfinished > 0 THEN
        RAISE NOTICE '% managed objects could not be installed', unfinished
            USING HINT = 'SELECT kind, name, status, reason FROM @extschema@.wc_objects() tells why; wc_install() tries again.';
    END IF;
END
$install$;

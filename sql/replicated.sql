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

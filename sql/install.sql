-- The last step of CREATE EXTENSION: make what can be made. Off with: SET whitecross.install_on_create = off.
DO $install$
DECLARE
    unfinished bigint;
BEGIN
    -- Notices of what was not installed are meant to be seen, except in a restore, which raises this by itself.
    PERFORM pg_catalog.set_config('client_min_messages', @extschema@.wc_caller_messages(), true);
    IF NOT coalesce(nullif(pg_catalog.current_setting('whitecross.install_on_create', true), ''), 'on')::pg_catalog.bool THEN
        RAISE NOTICE 'managed objects are not installed yet'
            USING HINT = 'Run SELECT * FROM @extschema@.wc_install() at a quiet time.';
        -- The time zone of this session is the site's, also after a restore by another one. Without base tables this may
        -- be a restore itself, which brings the row along.
        INSERT INTO @extschema@.wc_site_setting (name, value)
        SELECT d.name, d.value FROM @extschema@.wc_default_setting AS d
         WHERE d.name = 'timezone'
           AND EXISTS (SELECT FROM pg_catalog.pg_tables AS t JOIN @extschema@.wc_default_column AS c ON c.table_name = t.tablename
                        WHERE t.schemaname = 'public');
        RETURN;
    END IF;
    SELECT count(*) INTO unfinished FROM @extschema@.wc_install() WHERE action IN ('pending', 'conflict');
    -- With wal_level = minimal, what this transaction has made is logged as it is when it commits; the server would take it that
    -- the sequence's next values are logged already, and after a crash give them out once more. setval() makes it log them.
    PERFORM pg_catalog.setval(pg_catalog.pg_get_serial_sequence('@extschema@.wc_refresh_log', 'id'), s.last_value, s.is_called)
       FROM @extschema@.wc_refresh_log_id_seq AS s;
    IF unfinished > 0 THEN
        RAISE NOTICE '% managed objects could not be installed', unfinished
            USING HINT = 'SELECT kind, name, status, reason FROM @extschema@.wc_objects() tells why; wc_install() tries again.';
    END IF;
END
$install$;

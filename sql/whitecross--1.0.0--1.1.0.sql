-- From whitecross 1.0.0 to 1.1.0. What it leads to is what a fresh 1.1.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped: data, grants, settings, mapping and schedules stay.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.1.0'" to load this file. \quit

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

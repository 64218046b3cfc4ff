-- The last step of CREATE EXTENSION: make what can be made. Off with: SET whitecross.install_on_create = off.
DO $install$
BEGIN
    IF coalesce(nullif(pg_catalog.current_setting('whitecross.install_on_create', true), ''), 'on')::pg_catalog.bool THEN
        PERFORM @extschema@.wc_install();
    ELSE
        RAISE NOTICE 'managed objects are not installed yet'
            USING HINT = 'Run SELECT * FROM @extschema@.wc_install() at a quiet time.';
    END IF;
END
$install$;

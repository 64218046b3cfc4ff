-- Refreshing the materialized views.

CREATE TYPE @extschema@.wc_refresh_result AS (
    view_name text,
    mode text,
    status text,
    rows_written bigint,
    duration_ms double precision,
    sqlstate text,
    message text
);
COMMENT ON TYPE @extschema@.wc_refresh_result IS
    'What became of one view: mode full, concurrent or incremental; status refreshed, failed or skipped; duration in milliseconds; of a failure its SQLSTATE, and the condition''s name with names of objects.';

CREATE FUNCTION @extschema@.wc_refresh(view_name text, mode text DEFAULT 'auto', on_conflict text DEFAULT 'wait')
RETURNS SETOF @extschema@.wc_refresh_result
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 1
AS 'MODULE_PATHNAME', 'wc_refresh';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_refresh(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_refresh(text, text, text) IS
    'Refreshes one materialized view, named with or without mv_. mode: auto (incremental where what changed can be told and is not too much; else concurrent; full where the view is not populated), incremental (concurrent where that can''t be told), concurrent, full (shuts readers out). on_conflict: wait up to whitecross.lock_timeout, or skip.';

CREATE FUNCTION @extschema@.wc_refresh_all(
    mode text DEFAULT 'auto', workers integer DEFAULT NULL, on_conflict text DEFAULT 'wait')
RETURNS SETOF @extschema@.wc_refresh_result
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5
AS 'MODULE_PATHNAME', 'wc_refresh_all';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_refresh_all(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_refresh_all(text, integer, text) IS
    'Refreshes every installed materialized view, the longest first. workers: background workers at once (default whitecross.max_refresh_workers); 0 refreshes in this session. One view''s failure is its row and leaves the others alone.';

CREATE FUNCTION @extschema@.wc_refresh_group(name text)
RETURNS SETOF @extschema@.wc_refresh_result
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5
AS 'MODULE_PATHNAME', 'wc_refresh_group';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_refresh_group(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_refresh_group(text) IS
    'Refreshes the installed views of one group of the schedule: hourly, six_hourly or daily.';

CREATE FUNCTION @extschema@.wc_verify(view_name text DEFAULT NULL)
RETURNS TABLE (view_name text, missing bigint, extra bigint, pending bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5
AS 'MODULE_PATHNAME', 'wc_verify';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_verify(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_verify(text) IS
    'Compares one materialized view, or each, with its definition at the clock of its last refresh: rows that it lacks, rows that it has too many, and changes that it has not taken up yet. Counts only; computes the whole view.';

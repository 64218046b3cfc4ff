-- What refreshes leave behind: every attempt, and the last state of each view. Neither is dumped: a restored database
-- starts its own history.

CREATE TABLE @extschema@.wc_refresh_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view_name text NOT NULL,
    mode text CHECK (mode IN ('full', 'concurrent', 'incremental')),
    status text NOT NULL CHECK (status IN ('refreshed', 'failed', 'skipped')),
    origin text NOT NULL CHECK (origin IN ('manual', 'schedule', 'install', 'live')),
    in_worker boolean NOT NULL,
    rows_written bigint,
    row_count bigint,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    duration_ms double precision NOT NULL,
    sqlstate text,
    message text,
    counted boolean NOT NULL DEFAULT false,
    keys_refreshed bigint,
    reason text
);
CREATE INDEX wc_refresh_log_started_at ON @extschema@.wc_refresh_log (started_at);
CREATE INDEX wc_refresh_log_view ON @extschema@.wc_refresh_log (view_name, started_at);
CREATE INDEX wc_refresh_log_uncounted ON @extschema@.wc_refresh_log (view_name) WHERE NOT counted;
COMMENT ON TABLE @extschema@.wc_refresh_log IS
    'Every attempt to refresh a view, kept whitecross.refresh_log_days days.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.mode IS
    'How the view was refreshed, or would have been; null where the view is not there.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.origin IS 'manual, schedule, install or live.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.in_worker IS
    'True: by a background worker, in a transaction of its own. False: in the calling transaction.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.rows_written IS
    'Rows written into the view: all of them (full), those deleted and inserted because they differ (concurrent), or those deleted, updated and inserted (incremental).';
COMMENT ON COLUMN @extschema@.wc_refresh_log.row_count IS 'Rows of the view after the refresh.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.duration_ms IS 'Milliseconds, waiting for locks included.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.message IS
    'Condition name and object names; never the text of the server''s error, which may carry values of rows.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.counted IS
    'Whether wc_view_state.refreshes and failures count this row already.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.keys_refreshed IS
    'Keys of the view whose rows were computed anew, of an incremental refresh.';
COMMENT ON COLUMN @extschema@.wc_refresh_log.reason IS 'Why the view was refreshed in this mode.';

CREATE TABLE @extschema@.wc_view_state (
    view_name text PRIMARY KEY,
    last_refresh timestamptz,
    last_duration_ms double precision,
    last_mode text CHECK (last_mode IN ('full', 'concurrent', 'incremental')),
    last_rows_written bigint,
    row_count bigint,
    relfilenode oid,
    refreshes bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0,
    clock timestamptz,
    consumed pg_snapshot,
    trust jsonb,
    plan jsonb,
    last_keys bigint,
    last_reason text,
    last_origin text
);
COMMENT ON TABLE @extschema@.wc_view_state IS 'The last successful refresh of each view.';
COMMENT ON COLUMN @extschema@.wc_view_state.last_refresh IS
    'When the last successful refresh took its snapshot: what was committed before stands in the view.';
COMMENT ON COLUMN @extschema@.wc_view_state.relfilenode IS
    'The view''s file right after that refresh: another one now means that it was rewritten since by other means.';
COMMENT ON COLUMN @extschema@.wc_view_state.row_count IS 'Rows of the view right after that refresh.';
COMMENT ON COLUMN @extschema@.wc_view_state.refreshes IS 'Successful refreshes since CREATE EXTENSION.';
COMMENT ON COLUMN @extschema@.wc_view_state.failures IS 'Failed refreshes since CREATE EXTENSION.';
COMMENT ON COLUMN @extschema@.wc_view_state.clock IS
    'What the definition took for the present time in that refresh: whitecross.now, or last_refresh.';
COMMENT ON COLUMN @extschema@.wc_view_state.consumed IS
    'The transactions whose changes stand in the view; null: the next refresh computes the whole view.';
COMMENT ON COLUMN @extschema@.wc_view_state.trust IS
    'What the change log rests on (triggers, partitions, files, definition), as it was then: where it is different now, changes may have gone unnoticed.';
COMMENT ON COLUMN @extschema@.wc_view_state.plan IS
    'The statements of the view''s incremental refresh, or the problem that there can''t be any.';
COMMENT ON COLUMN @extschema@.wc_view_state.last_keys IS 'keys_refreshed of that refresh.';
COMMENT ON COLUMN @extschema@.wc_view_state.last_reason IS 'Why it was refreshed in that mode.';
COMMENT ON COLUMN @extschema@.wc_view_state.last_origin IS 'manual, schedule, install or live.';

GRANT SELECT ON @extschema@.wc_refresh_log, @extschema@.wc_view_state TO PUBLIC;

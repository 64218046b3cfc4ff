-- whitecross 1.3.0 as it was released: kept for the tests of updates, and never changed.
\echo Use "CREATE EXTENSION whitecross" to load this file. \quit

-- sql/tables.sql

-- Tables of the extension. What is shipped (definitions, defaults) and what the site decides are apart: only the second kind
-- is dumped, and this script puts no row into it, or a restore would meet the rows twice. No table holds an OID that a dump
-- would make false.

-- Shipped: what the extension manages, over canonical names. Filled by sql/objects.

CREATE TABLE @extschema@.wc_default_column (
    table_name text NOT NULL,
    canonical  text NOT NULL,
    position   integer NOT NULL,
    type       text NOT NULL,
    coerce     boolean NOT NULL,
    candidates text[] NOT NULL,
    PRIMARY KEY (table_name, canonical)
);
COMMENT ON TABLE @extschema@.wc_default_column IS 'Canonical columns of the base tables, and which columns of a site may stand for them.';

CREATE TABLE @extschema@.wc_lookup (
    table_name   text NOT NULL,
    lookup       text NOT NULL,
    target_table text NOT NULL,
    join_columns text[] NOT NULL,
    PRIMARY KEY (table_name, lookup)
);
COMMENT ON TABLE @extschema@.wc_lookup IS 'Rows of another table that a column mapping may refer to by name.';

CREATE TABLE @extschema@.wc_constraint_definition (
    name       text PRIMARY KEY,
    table_name text NOT NULL,
    position   integer NOT NULL,
    expression text NOT NULL,
    comment    text NOT NULL
);
COMMENT ON TABLE @extschema@.wc_constraint_definition IS 'CHECK constraints that the extension manages.';

CREATE TABLE @extschema@.wc_index_definition (
    name               text PRIMARY KEY,
    kind               text NOT NULL
        CHECK (kind IN ('covering index', 'partial index', 'composite index', 'view index', 'refresh index')),
    table_name         text NOT NULL,
    position           integer NOT NULL,
    key_columns        text[] NOT NULL,
    include_columns    text[] NOT NULL,
    predicate          text[] NOT NULL,
    is_unique          boolean NOT NULL,
    nulls_not_distinct boolean NOT NULL,
    comment            text NOT NULL
);
COMMENT ON TABLE @extschema@.wc_index_definition IS 'Indexes that the extension manages.';

CREATE TABLE @extschema@.wc_view_definition (
    name        text PRIMARY KEY,
    key_columns text[] NOT NULL,
    comment     text NOT NULL,
    definition  text NOT NULL,
    refresh_columns text[],
    keys_between    text,
    next_moment     text
);
COMMENT ON TABLE @extschema@.wc_view_definition IS 'Materialized views that the extension manages.';
COMMENT ON COLUMN @extschema@.wc_view_definition.refresh_columns IS
    'Columns of the view by which a refresh restricts it; its definition says where ({only ...}).';
COMMENT ON COLUMN @extschema@.wc_view_definition.keys_between IS
    'Query of the keys whose rows change between two moments though nothing is written; null: there are none.';
COMMENT ON COLUMN @extschema@.wc_view_definition.next_moment IS
    'Query of the next moment at which some row changes though nothing is written; null: there is none.';

CREATE TABLE @extschema@.wc_view_source (
    view_name  text NOT NULL REFERENCES @extschema@.wc_view_definition,
    table_name text NOT NULL,
    keys       text NOT NULL,
    PRIMARY KEY (view_name, table_name)
);
COMMENT ON TABLE @extschema@.wc_view_source IS
    'For each base table that a view reads, the query of the keys whose rows may differ after some of its rows have changed.';

CREATE TABLE @extschema@.wc_view_column (
    view_name   text NOT NULL REFERENCES @extschema@.wc_view_definition,
    column_name text NOT NULL,
    comment     text NOT NULL,
    PRIMARY KEY (view_name, column_name)
);
COMMENT ON TABLE @extschema@.wc_view_column IS 'Comments on the columns of the materialized views.';

CREATE TABLE @extschema@.wc_default_setting (
    name        text PRIMARY KEY,
    value       text NOT NULL,
    description text NOT NULL
);
COMMENT ON TABLE @extschema@.wc_default_setting IS 'Settings of a database and their defaults; wc_configure() changes them.';

INSERT INTO @extschema@.wc_default_setting (name, value, description) VALUES
('base_schema', 'public', 'Schema of the base tables; the materialized views are made there too.'),
('timezone', pg_catalog.current_setting('TimeZone'), 'Time zone of the site: what "today" and a time of day mean in the views.'),
('grades', 'K,1,2,3,4,5,6,7,8,9,10,11,12', 'Grades that chk_students_grade_valid accepts, separated by commas.');

-- The site's: dumped.

CREATE TABLE @extschema@.wc_site_setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE @extschema@.wc_site_setting IS 'Settings that this site has changed (wc_configure).';

CREATE TABLE @extschema@.wc_site_mapping (
    table_name text NOT NULL,
    canonical  text NOT NULL,
    expression text NOT NULL,
    PRIMARY KEY (table_name, canonical)
);
COMMENT ON TABLE @extschema@.wc_site_mapping IS 'Column mappings that this site has changed (wc_map_column).';

CREATE TABLE @extschema@.wc_registry (
    name       text PRIMARY KEY,
    kind       text NOT NULL,
    table_name text NOT NULL,
    made       boolean NOT NULL DEFAULT false,
    disabled   boolean NOT NULL DEFAULT false,
    definition text,
    reason     text,
    grants     jsonb,
    indexes    text[]
);
COMMENT ON TABLE @extschema@.wc_registry IS 'What became of each managed object: made by us or not, from which definition, switched off, why not.';
COMMENT ON COLUMN @extschema@.wc_registry.definition IS 'The statement that made the object; where the one of today differs, the object is outdated.';
COMMENT ON COLUMN @extschema@.wc_registry.grants IS 'Grants of a view that is suspended, to be given again.';
COMMENT ON COLUMN @extschema@.wc_registry.indexes IS 'Indexes that the site had added to a view that is suspended, to be made again.';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.wc_site_setting', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.wc_site_mapping', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.wc_registry', '');

CREATE VIEW @extschema@.wc_configuration AS
SELECT d.name, coalesce(s.value, d.value) AS value, s.value IS NOT NULL AS changed, d.description
FROM @extschema@.wc_default_setting AS d
LEFT JOIN @extschema@.wc_site_setting AS s ON s.name = d.name;
COMMENT ON VIEW @extschema@.wc_configuration IS 'Settings of this database; wc_configure(name, value) changes one.';

GRANT SELECT ON @extschema@.wc_default_column, @extschema@.wc_lookup, @extschema@.wc_constraint_definition,
    @extschema@.wc_index_definition, @extschema@.wc_view_definition, @extschema@.wc_view_column,
    @extschema@.wc_view_source, @extschema@.wc_default_setting, @extschema@.wc_site_setting, @extschema@.wc_site_mapping, @extschema@.wc_registry,
    @extschema@.wc_configuration TO PUBLIC;

-- sql/site_views.sql

-- Materialized views of the site's own (wc_add_view), and the catalogue as it is read: what is shipped and what the site has
-- added, as one. The site's rows are dumped; this script puts none in.

CREATE TABLE @extschema@.wc_site_view (
    name         text PRIMARY KEY,
    key_columns  text[] NOT NULL,
    comment      text NOT NULL,
    definition   text NOT NULL,
    keys_between text,
    next_moment  text,
    sources      jsonb NOT NULL,
    direct       jsonb NOT NULL,
    tables       text[] NOT NULL
);
COMMENT ON TABLE @extschema@.wc_site_view IS 'Materialized views that this site has added (wc_add_view).';
COMMENT ON COLUMN @extschema@.wc_site_view.definition IS 'The SELECT as it was given, over placeholders.';
COMMENT ON COLUMN @extschema@.wc_site_view.sources IS
    'By base table: the query of the keys whose rows may differ after some of its rows have changed, as it was given.';
COMMENT ON COLUMN @extschema@.wc_site_view.direct IS 'The same, where it follows from the marks in the definition.';
COMMENT ON COLUMN @extschema@.wc_site_view.tables IS 'Every table that these texts name.';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.wc_site_view', '');

-- Of a site's definition nothing is known but what was tried. So what comes out is restricted to the keys once more, and a row
-- without a key, which no refresh by keys could find, is none of the view's.
CREATE VIEW @extschema@.wc_view_catalogue AS
SELECT d.name, d.key_columns, d.comment, d.definition, d.refresh_columns, d.keys_between, d.next_moment, false AS of_site
  FROM @extschema@.wc_view_definition AS d
UNION ALL
SELECT s.name, s.key_columns, s.comment,
       pg_catalog.concat('SELECT v.* FROM (', E'\n', s.definition, E'\n', ') AS v WHERE ', k.known, ' {only ', k.list, '}'),
       s.key_columns, s.keys_between, s.next_moment, true
  FROM @extschema@.wc_site_view AS s
 CROSS JOIN LATERAL (SELECT string_agg(pg_catalog.concat('v."', u.e, '"'), ', ' ORDER BY u.n) AS list,
                            string_agg(pg_catalog.concat('v."', u.e, '" IS NOT NULL'), ' AND ' ORDER BY u.n) AS known
                       FROM unnest(s.key_columns) WITH ORDINALITY AS u (e, n)) AS k;
COMMENT ON VIEW @extschema@.wc_view_catalogue IS 'Every materialized view that is managed: the shipped ones and the site''s.';

CREATE VIEW @extschema@.wc_source_catalogue AS
SELECT d.view_name, d.table_name, d.keys, false AS direct
  FROM @extschema@.wc_view_source AS d
UNION ALL
SELECT s.name, e.key, e.value, NOT jsonb_exists(s.sources, e.key)
  FROM @extschema@.wc_site_view AS s
 CROSS JOIN LATERAL jsonb_each_text(s.direct || s.sources) AS e (key, value);
COMMENT ON VIEW @extschema@.wc_source_catalogue IS
    'For each view and base table, the query of the keys whose rows may differ after some of its rows have changed; direct: they are in the changed row itself, by the marks in the definition.';

CREATE VIEW @extschema@.wc_index_catalogue AS
SELECT d.kind, d.name, d.table_name, d.position, d.key_columns, d.include_columns, d.predicate, d.is_unique,
       d.nulls_not_distinct, d.comment
  FROM @extschema@.wc_index_definition AS d
UNION ALL
SELECT 'view index', s.name || '_pkey', s.name, 1000, s.key_columns, '{}', '{}', true, false, 'One row for each key.'
  FROM @extschema@.wc_site_view AS s;
COMMENT ON VIEW @extschema@.wc_index_catalogue IS 'Every index that is managed: the shipped ones, and the unique one of each of the site''s views.';

CREATE VIEW @extschema@.wc_base_table AS
SELECT d.table_name FROM @extschema@.wc_default_column AS d
UNION
SELECT unnest(s.tables) FROM @extschema@.wc_site_view AS s;
COMMENT ON VIEW @extschema@.wc_base_table IS 'The tables of the base schema that managed objects are on, or read.';

GRANT SELECT ON @extschema@.wc_site_view, @extschema@.wc_view_catalogue, @extschema@.wc_source_catalogue,
    @extschema@.wc_index_catalogue, @extschema@.wc_base_table TO PUBLIC;

-- sql/refresh_tables.sql

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

-- sql/change_tables.sql

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

-- sql/functions/schema.sql

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

-- sql/functions/site_views.sql

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

-- sql/functions/base_tables.sql

-- The reference tables, for a site that begins with an empty database.
--
-- They belong to whoever calls the function and are no members of the extension: DROP EXTENSION leaves them, pg_dump
-- dumps them. examples/reference/schema.sql is the same schema as a plain file; test/t/*_base_tables.pl compares the two.
--
-- Why they look as they do:
-- * A column that a CHECK constraint of ours judges may be NULL here even where applications always fill it: what NULL
--   means is that constraint's to decide (chk_students_grade_valid refuses it, chk_vital_signs_heart_rate_range lets it pass).
-- * Every character column that an index of ours names has a declared length, so that its rows fit into an index page:
--   a value that the table takes can then never be refused by an index.

CREATE FUNCTION @extschema@.wc_create_base_tables()
RETURNS TABLE (table_name text)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $create_base_tables$
DECLARE
  base_schema text;
  relation record;
BEGIN
  SELECT c.value INTO STRICT base_schema FROM @extschema@.wc_configuration AS c WHERE c.name = 'base_schema';

  -- In the order of the foreign keys; %1$I is the schema, once for the table and once for each table it refers to.
  FOR relation IN
    SELECT t.name, t.definition
      FROM (VALUES
('schools', $table$
CREATE TABLE %1$I.schools (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  name varchar(200) NOT NULL,
  code varchar(50),
  address text,
  city varchar(100),
  phone varchar(20),
  email varchar(255),
  principal varchar(200),
  "totalEnrollment" integer,
  "isActive" boolean NOT NULL DEFAULT true,
  "createdAt" timestamptz NOT NULL DEFAULT now(),
  "updatedAt" timestamptz NOT NULL DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('users', $table$
CREATE TABLE %1$I.users (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  email varchar(255),
  "firstName" varchar(255) NOT NULL,
  "lastName" varchar(255) NOT NULL,
  role varchar(50) NOT NULL DEFAULT 'NURSE',
  phone varchar(255),
  "schoolId" uuid,
  "isActive" boolean NOT NULL DEFAULT true,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('medications', $table$
CREATE TABLE %1$I.medications (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  name varchar(255) NOT NULL,
  "genericName" varchar(255),
  "dosageForm" varchar(255),
  strength varchar(255),
  manufacturer varchar(255),
  ndc varchar(255),
  "isControlled" boolean DEFAULT false,
  "deaSchedule" varchar(50),
  "requiresWitness" boolean DEFAULT false,
  "isActive" boolean DEFAULT true,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('students', $table$
CREATE TABLE %1$I.students (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentNumber" varchar(50) NOT NULL,
  "firstName" varchar(100) NOT NULL,
  "lastName" varchar(100) NOT NULL,
  "dateOfBirth" date,
  grade varchar(10),
  gender varchar(20),
  "isActive" boolean NOT NULL DEFAULT true,
  "enrollmentDate" timestamptz,
  "nurseId" uuid REFERENCES %1$I.users (id) ON UPDATE CASCADE ON DELETE SET NULL,
  "schoolId" uuid REFERENCES %1$I.schools (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('student_medications', $table$
CREATE TABLE %1$I.student_medications (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "medicationId" uuid NOT NULL REFERENCES %1$I.medications (id) ON UPDATE CASCADE,
  "schoolId" uuid,
  dosage varchar(255),
  frequency varchar(255),
  route varchar(255),
  instructions text,
  "scheduledTimes" text[],
  "startDate" date NOT NULL,
  "endDate" date,
  "requiresWitness" boolean,
  "isActive" boolean DEFAULT true,
  "prescribedBy" varchar(255),
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('medication_logs', $table$
CREATE TABLE %1$I.medication_logs (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentMedicationId" uuid NOT NULL REFERENCES %1$I.student_medications (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "scheduledAt" timestamptz,
  "administeredAt" timestamptz,
  "administeredBy" varchar(255),
  "dosageGiven" varchar(255),
  status varchar(50) DEFAULT 'ADMINISTERED',
  witnessed boolean,
  "witnessedBy" uuid,
  notes varchar(2000),
  "reasonNotGiven" text,
  "createdAt" timestamptz NOT NULL DEFAULT now(),
  "updatedAt" timestamptz NOT NULL DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('vital_signs', $table$
CREATE TABLE %1$I.vital_signs (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "measurementDate" timestamptz NOT NULL DEFAULT now(),
  temperature double precision,
  "temperatureUnit" varchar(50) DEFAULT 'F',
  "heartRate" integer,
  systolic integer,
  diastolic integer,
  "oxygenSaturation" double precision,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('appointments', $table$
CREATE TABLE %1$I.appointments (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "nurseId" uuid REFERENCES %1$I.users (id) ON UPDATE CASCADE ON DELETE SET NULL,
  "schoolId" uuid,
  type varchar(50) NOT NULL,
  "scheduledAt" timestamptz NOT NULL,
  duration integer DEFAULT 30,
  status varchar(50) NOT NULL DEFAULT 'SCHEDULED',
  reason varchar(500),
  location varchar(255),
  notes text,
  "recurringGroupId" uuid,
  "createdAt" timestamptz NOT NULL DEFAULT now(),
  "updatedAt" timestamptz NOT NULL DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('allergies', $table$
CREATE TABLE %1$I.allergies (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "schoolId" uuid,
  allergen varchar(255) NOT NULL,
  "allergyType" varchar(50) NOT NULL DEFAULT 'OTHER',
  severity varchar(50) NOT NULL,
  reaction varchar(2000),
  "epiPenRequired" boolean DEFAULT false,
  "epiPenLocation" varchar(255),
  "isActive" boolean DEFAULT true,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('health_records', $table$
CREATE TABLE %1$I.health_records (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "schoolId" uuid,
  "recordType" varchar(50) NOT NULL,
  "recordDate" date,
  title varchar(200),
  description text,
  provider varchar(200),
  diagnosis varchar(500),
  "diagnosisCode" varchar(20),
  "isConfidential" boolean DEFAULT false,
  "recordedBy" uuid,
  "isActive" boolean DEFAULT true,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('vaccinations', $table$
CREATE TABLE %1$I.vaccinations (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "vaccineName" varchar(200),
  "vaccineType" varchar(50),
  "doseNumber" integer,
  "administrationDate" date,
  "administeredBy" varchar(200),
  dosage varchar(50),
  "nextDueDate" date,
  "complianceStatus" varchar(50) NOT NULL DEFAULT 'COMPLIANT',
  "exemptionReason" text,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('chronic_conditions', $table$
CREATE TABLE %1$I.chronic_conditions (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  condition varchar(200) NOT NULL,
  "icdCode" varchar(20),
  "diagnosedDate" date,
  status varchar(50) NOT NULL DEFAULT 'ACTIVE',
  severity varchar(50),
  "managementPlan" varchar(4000),
  "emergencyProcedure" varchar(4000),
  "isActive" boolean NOT NULL DEFAULT true,
  notes text,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$),
('incident_reports', $table$
CREATE TABLE %1$I.incident_reports (
  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
  "studentId" uuid NOT NULL REFERENCES %1$I.students (id) ON UPDATE CASCADE ON DELETE CASCADE,
  "reporterId" uuid NOT NULL,
  "schoolId" uuid,
  type varchar(50) NOT NULL,
  severity varchar(50) NOT NULL,
  status varchar(50) NOT NULL DEFAULT 'PENDING_REVIEW',
  description text,
  location varchar(255),
  "actionsTaken" text,
  "occurredAt" timestamptz NOT NULL,
  "createdAt" timestamptz DEFAULT now(),
  "updatedAt" timestamptz DEFAULT now(),
  "deletedAt" timestamptz
)$table$)
      ) AS t (name, definition)
  LOOP
    IF to_regclass(format('%I.%I', base_schema, relation.name)) IS NULL THEN
      EXECUTE format(relation.definition, base_schema);
      table_name := relation.name;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$create_base_tables$;

COMMENT ON FUNCTION @extschema@.wc_create_base_tables() IS
  'Creates the reference tables that are missing in the base schema, as ordinary tables of the caller, and returns their names. Call wc_install() afterwards to put the constraints, indexes and views on them.';

REVOKE EXECUTE ON FUNCTION @extschema@.wc_create_base_tables() FROM PUBLIC;

-- sql/functions/refresh.sql

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

-- sql/functions/capture.sql

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

-- sql/functions/live.sql

-- Live mode: a background worker keeps the views true as changes are committed.

CREATE FUNCTION @extschema@.wc_live_status()
RETURNS TABLE (switched_on boolean, state text, pid integer, since timestamptz, behind_since timestamptz,
               next_moment timestamptz, retry_at timestamptz, sqlstate text)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_live_status';
COMMENT ON FUNCTION @extschema@.wc_live_status() IS
'Live mode in this database: whether it is switched on, how its worker is, since when it is behind, when it looks next by itself.';

-- sql/functions/schedule.sql

-- When each view is refreshed, and the jobs of pg_cron that see to it.

-- Shipped.
CREATE TABLE @extschema@.wc_default_schedule (
    view_name text PRIMARY KEY,
    schedule  text NOT NULL CHECK (schedule IN ('hourly', 'six_hourly', 'daily', 'off')),
    at_time   time,
    CHECK ((at_time IS NOT NULL) = (schedule = 'daily'))
);
COMMENT ON TABLE @extschema@.wc_default_schedule IS 'Default schedule of each materialized view.';

INSERT INTO @extschema@.wc_default_schedule (view_name, schedule, at_time) VALUES
('mv_student_health_summary', 'hourly', NULL),
('mv_medication_schedule', 'hourly', NULL),
('mv_allergy_summary', 'hourly', NULL),
('mv_compliance_status', 'six_hourly', NULL),
('mv_appointment_statistics', 'daily', '02:00');

-- The site's: dumped, so this script puts no row into it.
CREATE TABLE @extschema@.wc_site_schedule (
    view_name text PRIMARY KEY,
    schedule  text NOT NULL CHECK (schedule IN ('hourly', 'six_hourly', 'daily', 'off')),
    at_time   time,
    CHECK ((at_time IS NOT NULL) = (schedule = 'daily'))
);
COMMENT ON TABLE @extschema@.wc_site_schedule IS 'Schedules that this site has changed (wc_set_schedule).';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.wc_site_schedule', '');

CREATE VIEW @extschema@.wc_view_schedule AS
SELECT d.view_name,
       coalesce(s.schedule, d.schedule) AS schedule,
       CASE WHEN s.view_name IS NULL THEN d.at_time ELSE s.at_time END AS at_time
  FROM (SELECT e.view_name, e.schedule, e.at_time FROM @extschema@.wc_default_schedule AS e
        UNION ALL
        SELECT v.name, 'hourly', NULL FROM @extschema@.wc_site_view AS v) AS d
  LEFT JOIN @extschema@.wc_site_schedule AS s ON s.view_name = d.view_name;
COMMENT ON VIEW @extschema@.wc_view_schedule IS 'Schedule of each materialized view: the site''s, or the default; at_time is of the site''s time zone.';

GRANT SELECT ON @extschema@.wc_default_schedule, @extschema@.wc_site_schedule, @extschema@.wc_view_schedule TO PUBLIC;

CREATE FUNCTION @extschema@.wc_schedule(run_as text DEFAULT NULL)
RETURNS TABLE (job_name text, schedule text, command text, status text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_schedule';
COMMENT ON FUNCTION @extschema@.wc_schedule(text) IS
'Makes the jobs of pg_cron that refresh the views by their schedules, or brings them up to date. run_as: role of the jobs (default: as before, or the extension''s owner).';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_schedule(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_unschedule()
RETURNS TABLE (job_name text, schedule text, command text, status text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_unschedule';
COMMENT ON FUNCTION @extschema@.wc_unschedule() IS
'Removes this database''s jobs from pg_cron. Schedules are kept: wc_schedule() makes the jobs again.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_unschedule() FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_set_schedule(view_name text, schedule text, at_time time DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_set_schedule';
COMMENT ON FUNCTION @extschema@.wc_set_schedule(text, text, time) IS
'Sets how often a view is refreshed: hourly, six_hourly, daily (at_time in the site''s time zone, default 02:00) or off. Jobs that are there follow.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_set_schedule(text, text, time) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_refresh_due(schedule text)
RETURNS SETOF @extschema@.wc_refresh_result
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_refresh_due';
COMMENT ON FUNCTION @extschema@.wc_refresh_due(text) IS
'Internal: what a job runs. Refreshes the views of a schedule (hourly, six_hourly, daily) that are due, with origin schedule.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_refresh_due(text) FROM PUBLIC;

-- A procedure, because a failed view must make the job fail, where pg_cron shows it, without taking back what was
-- refreshed. Transaction control excludes SECURITY DEFINER and SET, so every name in it is qualified.
CREATE PROCEDURE @extschema@.wc_run_schedule(schedule text)
LANGUAGE plpgsql
AS $run_schedule$
DECLARE
    failed pg_catalog.text;
BEGIN
    SELECT pg_catalog.string_agg(pg_catalog.concat(d.view_name, ' (', d.message, ')'), ', ' ORDER BY d.view_name)
      INTO failed
      FROM @extschema@.wc_refresh_due(schedule) AS d
     WHERE d.status OPERATOR(pg_catalog.=) 'failed';
    IF failed IS NOT NULL THEN
        COMMIT;
        RAISE EXCEPTION 'could not refresh %', failed
            USING HINT = 'SELECT * FROM @extschema@.wc_refresh_log tells more.';
    END IF;
END
$run_schedule$;
COMMENT ON PROCEDURE @extschema@.wc_run_schedule(text) IS
'Internal: the command of a job of pg_cron. Refreshes what is due, and fails, after that is committed, where a view failed.';
REVOKE EXECUTE ON PROCEDURE @extschema@.wc_run_schedule(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_scheduler(OUT loaded boolean, OUT database text, OUT here boolean, OUT usable boolean)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_scheduler';
COMMENT ON FUNCTION @extschema@.wc_scheduler() IS
'Where pg_cron is: whether its library is loaded, which database keeps its jobs, whether that is this one, whether jobs can be made.';

-- A role without rights in pg_cron may see the jobs of this database that are ours, and how their last run went. The
-- server's message about a run is left out: it could carry a value.
CREATE FUNCTION @extschema@.wc_scheduled_jobs()
RETURNS TABLE (job_name text, schedule text, command text, run_as text, active boolean,
               last_status text, last_start timestamptz, last_end timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 3
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $scheduled_jobs$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'pg_cron') THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE $query$
        SELECT j.jobname::text, j.schedule, j.command, j.username, j.active, r.status, r.start_time, r.end_time
          FROM cron.job AS j
          LEFT JOIN LATERAL (
              SELECT d.status, d.start_time, d.end_time FROM cron.job_run_details AS d
               WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1) AS r ON true
         WHERE j.database = current_database() AND j.jobname ~ '^whitecross .* (hourly|six_hourly|daily)$'
           AND j.command ~ 'wc_run_schedule\(''(hourly|six_hourly|daily)''\)'
         ORDER BY j.jobname, j.username
    $query$;
END
$scheduled_jobs$;
COMMENT ON FUNCTION @extschema@.wc_scheduled_jobs() IS
'Jobs of pg_cron that refresh this database''s views, and how their last run went. Seen from the database of pg_cron only.';

CREATE FUNCTION @extschema@.wc_watch_drop() RETURNS event_trigger
LANGUAGE c
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_watch_drop';
COMMENT ON FUNCTION @extschema@.wc_watch_drop() IS
'Internal: when the extension is dropped, its jobs are removed from pg_cron.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_watch_drop() FROM PUBLIC;

-- On the command's start, because sql_drop does not fire for a trigger that is itself dropped; whether the extension is
-- gone is seen when the transaction commits.
CREATE EVENT TRIGGER whitecross_watch_drop ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION @extschema@.wc_watch_drop();
ALTER EVENT TRIGGER whitecross_watch_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER whitecross_watch_drop IS 'Removes the jobs of pg_cron when the extension whitecross is dropped.';

-- sql/functions/observe.sql

-- Statistics of the materialized views. Any role may call these: they read catalogues and the memory of refreshes.

CREATE FUNCTION @extschema@.wc_view_name(view_name text)
RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_view_name';
COMMENT ON FUNCTION @extschema@.wc_view_name(text) IS
'Full name of a materialized view, given with or without mv_; error 42704 for one that there is not.';

CREATE TYPE @extschema@.wc_view_statistics AS (
    view_name        text,
    size_bytes       bigint,
    row_count        bigint,
    populated        boolean,
    last_refresh     timestamptz,
    age              interval,
    last_duration_ms double precision,
    refreshes        bigint,
    failures         bigint,
    refreshed_by     text,
    pending_changes  bigint,
    oldest_pending   timestamptz
);
COMMENT ON TYPE @extschema@.wc_view_statistics IS 'A row of wc_view_stats().';

CREATE FUNCTION @extschema@.wc_pending_changes()
RETURNS TABLE (view_name text, pending_changes bigint, oldest_pending timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 5
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $pending$
WITH views AS MATERIALIZED (
    SELECT s.view_name, s.consumed, string_to_array(s.plan ->> 'tables', ',') AS tables
      FROM @extschema@.wc_view_state AS s WHERE s.consumed IS NOT NULL
)
SELECT v.view_name, c.changes, c.oldest
  FROM views AS v
 CROSS JOIN LATERAL (SELECT count(*) AS changes, min(c.noted_at) AS oldest
                       FROM @extschema@.wc_change AS c
                      WHERE c.xid >= pg_snapshot_xmin(v.consumed) AND NOT pg_visible_in_snapshot(c.xid, v.consumed)
                        AND c.table_name = ANY (v.tables)) AS c
$pending$;
COMMENT ON FUNCTION @extschema@.wc_pending_changes() IS
'Internal: how many changes each view has yet to take up, and when the oldest was noted; no row for a view whose next refresh is of the whole view.';

-- A REFRESH by hand (so too VACUUM FULL and CLUSTER) gives the view another file than the last refresh of ours left it;
-- REFRESH ... CONCURRENTLY by hand writes the same file and can't be told. What we then know of the last refresh is not
-- of the rows that are there, so it isn't shown. A standby has no counters of live rows: there the planner's estimate.
CREATE FUNCTION @extschema@.wc_view_stats(view_name text DEFAULT NULL)
RETURNS SETOF @extschema@.wc_view_statistics
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $view_stats$
SELECT d.name,
       pg_total_relation_size(c.oid),
       CASE WHEN c.oid IS NULL OR NOT c.relispopulated THEN NULL
            WHEN k.known THEN s.row_count
            WHEN pg_is_in_recovery() THEN nullif(greatest(c.reltuples, -1), -1)::bigint
            ELSE pg_stat_get_live_tuples(c.oid) END,
       c.relispopulated,
       CASE WHEN k.known THEN s.last_refresh END,
       CASE WHEN k.known THEN now() - s.last_refresh END,
       CASE WHEN k.known THEN s.last_duration_ms END,
       coalesce(s.refreshes, 0) + l.refreshes,
       coalesce(s.failures, 0) + l.failures,
       CASE WHEN c.oid IS NULL OR NOT c.relispopulated THEN NULL
            WHEN k.known AND s.last_origin IS NOT NULL THEN s.last_origin
            WHEN k.known THEN (SELECT g.origin FROM @extschema@.wc_refresh_log AS g
                                WHERE g.view_name = d.name AND g.status = 'refreshed'
                                ORDER BY g.started_at DESC, g.id DESC LIMIT 1)
            ELSE 'by hand' END,
       CASE WHEN k.known THEN p.pending_changes END,
       CASE WHEN k.known THEN p.oldest_pending END
  FROM @extschema@.wc_view_catalogue AS d
 CROSS JOIN (SELECT value AS base_schema FROM @extschema@.wc_configuration WHERE name = 'base_schema') AS b
  LEFT JOIN pg_namespace AS n ON n.nspname = b.base_schema
  LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = d.name AND c.relkind = 'm'
  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = d.name
  LEFT JOIN @extschema@.wc_pending_changes() AS p ON p.view_name = d.name
 CROSS JOIN LATERAL (SELECT coalesce(c.relispopulated AND c.relfilenode = s.relfilenode, false) AS known) AS k
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE g.status = 'refreshed') AS refreshes,
                            count(*) FILTER (WHERE g.status = 'failed') AS failures
                       FROM @extschema@.wc_refresh_log AS g
                      WHERE g.view_name = d.name AND NOT g.counted) AS l
 WHERE $1 IS NULL OR d.name = @extschema@.wc_view_name($1)
 ORDER BY d.name
$view_stats$;
COMMENT ON FUNCTION @extschema@.wc_view_stats(text) IS
'Size in bytes (with indexes and TOAST), rows, age and last refresh of one materialized view, or all; refreshed_by: manual, schedule, install, live or by hand (REFRESH without wc_refresh); changes that it has yet to take up.';

CREATE FUNCTION @extschema@.wc_last_refresh(view_name text)
RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $last_refresh$
SELECT s.last_refresh FROM @extschema@.wc_view_stats(@extschema@.wc_view_name($1)) AS s
$last_refresh$;
COMMENT ON FUNCTION @extschema@.wc_last_refresh(text) IS
'When the rows of a view were last computed; NULL where that is not known (never, or REFRESH by hand).';

-- sql/functions/queries.sql

-- Statistics of statement patterns, normalised text, what runs now.

CREATE FUNCTION @extschema@.wc_query_patterns()
RETURNS TABLE (database_oid oid, role_oid oid, query_id bigint, command_tag text, query text, calls bigint, failures bigint,
               total_ms double precision, min_ms double precision, max_ms double precision, rows bigint,
               since timestamptz, last_executed timestamptz, plan_hash bigint, plan_changes bigint,
               last_plan_change timestamptz)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 500
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_patterns';
COMMENT ON FUNCTION @extschema@.wc_query_patterns() IS
'Internal: what wc_query_stats shows, with OIDs; only the caller''s own statements without the rights of pg_read_all_stats.';

CREATE VIEW @extschema@.wc_query_stats AS
SELECT d.datname AS database, r.rolname AS role, p.query_id,
       CASE WHEN p.query_id <> 0 THEN p.query
            WHEN pg_catalog.current_setting('compute_query_id') = 'off' THEN 'not identified: compute_query_id is off'
            ELSE 'not identified' END AS normalised_text,
       p.calls, p.failures, p.total_ms, p.total_ms / nullif(p.calls, 0) AS mean_ms, p.min_ms, p.max_ms, p.rows,
       p.since, p.last_executed, p.plan_hash, p.plan_changes, p.last_plan_change, p.command_tag
  FROM @extschema@.wc_query_patterns() AS p
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = p.database_oid
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = p.role_oid;
GRANT SELECT ON @extschema@.wc_query_stats TO PUBLIC;
COMMENT ON VIEW @extschema@.wc_query_stats IS
'Statistics of statement patterns, of the whole server: calls, times in ms, rows, changes of plan; text has $n for every constant. Own statements only without the rights of pg_read_all_stats.';

CREATE FUNCTION @extschema@.wc_query_patterns_kept()
RETURNS TABLE (patterns integer, max_patterns integer, evicted bigint, resets bigint, since timestamptz)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_patterns_kept';
COMMENT ON FUNCTION @extschema@.wc_query_patterns_kept() IS
'Internal: what wc_query_stats_info shows of shared memory.';

CREATE VIEW @extschema@.wc_query_stats_info AS
SELECT k.patterns, k.max_patterns, k.evicted, k.resets, k.since,
       pg_catalog.current_setting('whitecross.track_queries')::boolean AS tracking,
       pg_catalog.current_setting('compute_query_id') <> 'off' AS query_ids
  FROM @extschema@.wc_query_patterns_kept() AS k;
GRANT SELECT ON @extschema@.wc_query_stats_info TO PUBLIC;
COMMENT ON VIEW @extschema@.wc_query_stats_info IS
'How many statement patterns are kept, of how many at most, how many were evicted, when counting began; whether statements are counted, and identified (compute_query_id).';

CREATE FUNCTION @extschema@.wc_query_totals()
RETURNS TABLE (database_oid oid, calls bigint, failures bigint, total_ms double precision, rows bigint, slow bigint, bursts bigint)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_totals';
COMMENT ON FUNCTION @extschema@.wc_query_totals() IS
'Internal: what statements have come to since the server''s start, by database; OID 0: databases after the first 50. Unlike wc_query_stats it forgets nothing.';

CREATE FUNCTION @extschema@.wc_reset_query_stats()
RETURNS integer
LANGUAGE c VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_query_stats';
COMMENT ON FUNCTION @extschema@.wc_reset_query_stats() IS
'Forgets the statistics of all statement patterns of the server; returns how many there were.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_reset_query_stats() FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_normalise_query(query text)
RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_normalise_query';
COMMENT ON FUNCTION @extschema@.wc_normalise_query(text) IS
'A statement without its values: every constant as $n, no comments; of other statements than queries the command tag.';

CREATE FUNCTION @extschema@.wc_activity_text(query text, analysed boolean, encoding integer)
RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_activity_text';
COMMENT ON FUNCTION @extschema@.wc_activity_text(text, boolean, integer) IS
'Internal: pg_stat_activity.query normalised; analysed: whether the row has a query id, without which a text that is cut may be no SQL; encoding: of its database.';

-- What a role may not see of a session has no state either, so that such a session has no row. A session waits for others
-- where it waits for a lock: elsewhere the locks need not be looked at.
CREATE VIEW @extschema@.wc_active_queries AS
SELECT a.pid,
       a.datname AS database,
       a.usename AS role,
       a.application_name,
       a.state,
       clock_timestamp() - CASE WHEN a.state IN ('active', 'fastpath function call') THEN a.query_start ELSE a.state_change END AS duration,
       a.wait_event_type,
       a.wait_event,
       CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by,
       -- The server's id of any other statement is a fingerprint of its text, constants and all.
       CASE WHEN t.normalised_text ~* '^[(\s]*(select|insert|update|delete|merge|with|values|table)\M[^;]*$' THEN a.query_id END AS query_id,
       t.normalised_text
  FROM pg_stat_activity AS a
  LEFT JOIN pg_database AS d ON d.oid = a.datid
 CROSS JOIN LATERAL (SELECT @extschema@.wc_activity_text(a.query, a.query_id IS NOT NULL, coalesce(d.encoding, pg_char_to_encoding(getdatabaseencoding()))) AS normalised_text) AS t
 WHERE a.state <> 'idle' AND a.pid <> pg_backend_pid() AND a.backend_type <> 'walsender'
 ORDER BY duration DESC;
COMMENT ON VIEW @extschema@.wc_active_queries IS
'What the sessions that the role may see run now, or hold a transaction open after: longest first, with normalised text.';
GRANT SELECT ON @extschema@.wc_active_queries TO PUBLIC;

-- sql/functions/slow_queries.sql

-- Slow queries, and statements that an application repeats in a loop.

CREATE FUNCTION @extschema@.wc_slow_queries()
RETURNS TABLE (started_at timestamptz, duration_ms double precision, database text, role text, application_name text,
               client text, command_tag text, query_id bigint, normalised_text text, relations text[], rows bigint,
               parameters integer, parameter_types text[], plan_hash bigint, blocks_hit bigint, blocks_read bigint,
               temp_blocks bigint, outcome text, sqlstate text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_slow_queries';
COMMENT ON FUNCTION @extschema@.wc_slow_queries() IS
'The last statements that ran at least whitecross.slow_query_threshold, newest first, of all databases; those of other roles only with pg_read_all_stats. No value of a statement or a parameter is in it.';

CREATE VIEW @extschema@.wc_slow_queries AS
SELECT q.started_at, q.duration_ms, q.database, q.role, q.application_name, q.client, q.command_tag, q.query_id,
       q.normalised_text, q.relations, q.rows, q.parameters, q.parameter_types, q.plan_hash, q.blocks_hit,
       q.blocks_read, q.temp_blocks, q.outcome, q.sqlstate
  FROM @extschema@.wc_slow_queries() AS q;
COMMENT ON VIEW @extschema@.wc_slow_queries IS
'The last slow statements, newest first: wc_slow_queries() as a view.';
GRANT SELECT ON @extschema@.wc_slow_queries TO PUBLIC;

CREATE FUNCTION @extschema@.wc_reset_slow_queries()
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_slow_queries';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_slow_queries() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_slow_queries() IS
'Forgets the slow statements of all databases; returns how many there were.';

CREATE FUNCTION @extschema@.wc_n_plus_one()
RETURNS TABLE (database text, role text, application_name text, kind text, query_id bigint, normalised_text text,
               bursts bigint, largest_burst bigint, first_seen timestamptz, last_seen timestamptz, suggestion text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_n_plus_one';
COMMENT ON FUNCTION @extschema@.wc_n_plus_one() IS
'Statements that an application repeats in loops, in one session or over several (kind), and what to do instead, the latest first, of all databases; those of other roles only with pg_read_all_stats.';

CREATE VIEW @extschema@.wc_n_plus_one AS
SELECT n.database, n.role, n.application_name, n.kind, n.query_id, n.normalised_text, n.bursts, n.largest_burst,
       n.first_seen, n.last_seen, n.suggestion
  FROM @extschema@.wc_n_plus_one() AS n;
COMMENT ON VIEW @extschema@.wc_n_plus_one IS
'Statements that an application repeats in loops: wc_n_plus_one() as a view.';
GRANT SELECT ON @extschema@.wc_n_plus_one TO PUBLIC;

CREATE FUNCTION @extschema@.wc_reset_n_plus_one()
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_n_plus_one';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_n_plus_one() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_n_plus_one() IS
'Forgets the statements in loops of all databases; returns how many there were.';

-- sql/functions/query_history.sql

-- Hourly totals of statement patterns, named copies of their statistics, and the report.

CREATE FUNCTION @extschema@.wc_query_history(since timestamptz DEFAULT NULL)
RETURNS TABLE (hour timestamptz, database text, role text, query_id bigint, normalised_text text, calls bigint,
               total_ms double precision, mean_ms double precision, max_ms double precision, rows bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10000
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_history';
COMMENT ON FUNCTION @extschema@.wc_query_history(timestamptz) IS
'Totals of each statement pattern by the hour, from the hour of that moment on, or all that are kept (whitecross.query_history_days); the present hour included. A row without query_id: patterns that were evicted or reset within the hour.';

CREATE VIEW @extschema@.wc_query_history AS
SELECT h.hour, h.database, h.role, h.query_id, h.normalised_text, h.calls, h.total_ms, h.mean_ms, h.max_ms, h.rows
  FROM @extschema@.wc_query_history() AS h;
COMMENT ON VIEW @extschema@.wc_query_history IS
'Totals of each statement pattern by the hour, of all hours that are kept: wc_query_history() as a view.';
GRANT SELECT ON @extschema@.wc_query_history TO PUBLIC;

CREATE FUNCTION @extschema@.wc_query_history_status()
RETURNS TABLE (monitored boolean, written_at timestamptz, sqlstate text, files bigint, unusable bigint, size_bytes bigint,
               first_hour timestamptz, last_hour timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_history_status';
COMMENT ON FUNCTION @extschema@.wc_query_history_status() IS
'Of the files of the query history: whether the process runs that writes them, when they were last written to since the server started, the error that the last attempt ended with, how many there are and how many of them can''t be used, and the hours that they are of.';

CREATE FUNCTION @extschema@.wc_query_history_outcome()
RETURNS TABLE (monitored boolean, written_at timestamptz, sqlstate text, unusable bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_history_outcome';
COMMENT ON FUNCTION @extschema@.wc_query_history_outcome() IS
'Internal: what the monitor has noted of the files of the query history, for wc_health_check(); reads none of them.';

CREATE TABLE @extschema@.wc_baseline (
    name text PRIMARY KEY,
    taken_at timestamptz NOT NULL,
    taken_by text NOT NULL,
    patterns bigint NOT NULL,
    run bigint NOT NULL
);
COMMENT ON TABLE @extschema@.wc_baseline IS 'Named copies of wc_query_stats, by wc_query_baseline(). Not dumped: query ids hold for this server alone.';
COMMENT ON COLUMN @extschema@.wc_baseline.taken_by IS 'The role whose sight of wc_query_stats was copied.';
COMMENT ON COLUMN @extschema@.wc_baseline.patterns IS 'How many patterns there were.';
COMMENT ON COLUMN @extschema@.wc_baseline.run IS 'The run of the server that counted them: another one, or a standby, has counted from zero.';
GRANT SELECT ON @extschema@.wc_baseline TO PUBLIC;

-- Of all roles: only wc_compare_baseline() shows it, to each caller what it may see.
CREATE TABLE @extschema@.wc_baseline_pattern (
    name text NOT NULL REFERENCES @extschema@.wc_baseline (name) ON DELETE CASCADE,
    number integer NOT NULL,
    database text,
    role text,
    query_id bigint,
    normalised_text text,
    calls bigint NOT NULL,
    total_ms double precision NOT NULL,
    PRIMARY KEY (name, number)
);
COMMENT ON TABLE @extschema@.wc_baseline_pattern IS 'The statement patterns of each baseline, as they were then.';
COMMENT ON COLUMN @extschema@.wc_baseline_pattern.number IS 'Counts the patterns of a baseline: without a key its rows could not be deleted where all tables are published.';
REVOKE ALL ON @extschema@.wc_baseline_pattern FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_query_baseline(name text)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_baseline';
REVOKE ALL ON FUNCTION @extschema@.wc_query_baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_query_baseline(text) IS
'Keeps a copy of what the caller may see of wc_query_stats, by that name, to compare with; returns the number of patterns. Error 42710 where there is one of that name.';

CREATE FUNCTION @extschema@.wc_drop_baseline(name text)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_drop_baseline';
REVOKE ALL ON FUNCTION @extschema@.wc_drop_baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_drop_baseline(text) IS
'Forgets a baseline; returns the number of patterns that it had. Error 42704 where there is none of that name.';

CREATE FUNCTION @extschema@.wc_compare_baseline(name text)
RETURNS TABLE (database text, role text, query_id bigint, normalised_text text, calls_before bigint, calls_since bigint,
               mean_before_ms double precision, mean_since_ms double precision, ratio double precision, verdict text)
LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 1000
SET search_path = pg_catalog, pg_temp
SET jit = off
AS 'MODULE_PATHNAME', 'wc_compare_baseline';
REVOKE ALL ON FUNCTION @extschema@.wc_compare_baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_compare_baseline(text) IS
'What has become slower or faster since a baseline, of what the caller may see: calls and mean duration up to it and since, their ratio, and slower, faster, unchanged, new or gone.';

-- Text for a person. Of others' statements it shows what the caller may see. A part that has nothing to tell says so: what
-- is left out could be taken for what was not looked at.
CREATE FUNCTION @extschema@.wc_query_report()
RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $report$
WITH stats AS MATERIALIZED (
    SELECT s.calls, s.failures, s.total_ms, s.mean_ms, s.max_ms, s.rows, s.plan_changes, s.last_plan_change,
           format('role %s, database %s', coalesce(s.role::text, '(dropped)'), coalesce(s.database::text, '(dropped)')) AS who,
           left(regexp_replace(s.normalised_text, '\s+', ' ', 'g'), 200) AS statement
      FROM @extschema@.wc_query_stats AS s
), totals AS MATERIALIZED (
    SELECT count(*) AS patterns, coalesce(sum(calls), 0) AS calls, coalesce(sum(failures), 0) AS failures,
           coalesce(sum(total_ms), 0) AS total_ms, coalesce(sum(rows), 0) AS rows
      FROM stats
), sections (place, title, nothing, lines) AS (
    SELECT 1, format('Totals since %s', to_char(i.since, 'YYYY-MM-DD HH24:MI:SS TZ')), '',
           format(E'  %s executions of %s patterns in %s s, %s ms on average, %s rows; %s failed or were cancelled',
                  t.calls, t.patterns, round((t.total_ms / 1000)::numeric, 1),
                  coalesce(round((t.total_ms / nullif(t.calls, 0))::numeric, 3)::text, '-'), t.rows, t.failures)
           || CASE WHEN i.evicted > 0 THEN format(E'\n  %s patterns gave their place to others (whitecross.query_stats_max is %s)', i.evicted, i.max_patterns) ELSE '' END
           || CASE WHEN NOT i.tracking THEN E'\n  nothing is counted: whitecross.track_queries is off' ELSE '' END
           || CASE WHEN NOT i.query_ids THEN E'\n  statements are not told apart: compute_query_id is off' ELSE '' END
           || CASE WHEN NOT h.monitored THEN E'\n  the query history is not written before the server is shut down: its monitor does not run (max_worker_processes?)' ELSE '' END
           || CASE WHEN h.sqlstate IS NOT NULL THEN format(E'\n  the query history is not written: SQLSTATE %s, last written %s', h.sqlstate, coalesce(to_char(h.written_at, 'YYYY-MM-DD HH24:MI:SS TZ'), 'never')) ELSE '' END
           || CASE WHEN h.unusable > 0 THEN format(E'\n  %s files of the query history can''t be used: SELECT * FROM @extschema@.wc_query_history names them', h.unusable) ELSE '' END
      FROM totals AS t CROSS JOIN @extschema@.wc_query_stats_info AS i CROSS JOIN @extschema@.wc_query_history_status() AS h
    UNION ALL
    SELECT 2, 'Active now, longest first', 'no other session is active, or you may not see it',
           string_agg(format(E'  %s s: pid %s, role %s, database %s%s, %s%s%s\n      %s', round(extract(epoch FROM a.duration), 1), a.pid,
                             coalesce(a.role::text, '-'), coalesce(a.database::text, '-'),
                             coalesce(', ' || nullif(a.application_name, ''), ''), a.state,
                             coalesce(format(', waits for %s %s', a.wait_event_type, a.wait_event), ''),
                             CASE WHEN cardinality(a.blocked_by) > 0 THEN ', blocked by pid ' || array_to_string(a.blocked_by, ', ') ELSE '' END,
                             coalesce(left(regexp_replace(a.normalised_text, '\s+', ' ', 'g'), 200), '(no text)')),
                      E'\n' ORDER BY a.duration DESC)
      FROM (SELECT * FROM @extschema@.wc_active_queries AS q ORDER BY q.duration DESC NULLS LAST LIMIT 20) AS a
    UNION ALL
    SELECT 3, 'Slowest by mean', 'nothing has run yet',
           string_agg(format(E'  %s ms on average, %s ms at most, calls: %s, %s s in all; %s\n      %s', round(s.mean_ms::numeric, 3),
                             round(s.max_ms::numeric, 3), s.calls, round((s.total_ms / 1000)::numeric, 1), s.who, s.statement),
                      E'\n' ORDER BY s.mean_ms DESC)
      FROM (SELECT * FROM stats WHERE calls > 0 ORDER BY mean_ms DESC LIMIT 5) AS s
    UNION ALL
    SELECT 4, 'Most frequent', 'nothing has run yet',
           string_agg(format(E'  calls: %s, %s ms on average, %s s in all; %s\n      %s', s.calls, round(s.mean_ms::numeric, 3),
                             round((s.total_ms / 1000)::numeric, 1), s.who, s.statement), E'\n' ORDER BY s.calls DESC)
      FROM (SELECT * FROM stats WHERE calls > 0 ORDER BY calls DESC LIMIT 5) AS s
    UNION ALL
    SELECT 5, 'Slow queries, latest first', format('none above whitecross.slow_query_threshold (%s)', current_setting('whitecross.slow_query_threshold', true)),
           string_agg(format(E'  %s: %s ms, role %s, database %s%s; %s\n      %s', to_char(s.started_at, 'YYYY-MM-DD HH24:MI:SS'),
                             round(s.duration_ms::numeric, 1), coalesce(s.role, '(dropped)'), coalesce(s.database, '(dropped)'),
                             coalesce(', ' || nullif(s.application_name, ''), ''), s.outcome,
                             left(regexp_replace(coalesce(s.normalised_text, s.command_tag), '\s+', ' ', 'g'), 200)),
                      E'\n' ORDER BY s.started_at DESC)
      FROM (SELECT * FROM @extschema@.wc_slow_queries ORDER BY started_at DESC LIMIT 5) AS s
    UNION ALL
    SELECT 6, 'N+1 patterns, latest first', 'none',
           string_agg(format(E'  bursts: %s (%s), largest: %s executions, last %s; role %s, database %s%s\n      %s\n      %s', n.bursts, n.kind,
                             n.largest_burst, to_char(n.last_seen, 'YYYY-MM-DD HH24:MI:SS'), coalesce(n.role, '(dropped)'),
                             coalesce(n.database, '(dropped)'), coalesce(', ' || nullif(n.application_name, ''), ''),
                             left(regexp_replace(coalesce(n.normalised_text, '(no text)'), '\s+', ' ', 'g'), 200), n.suggestion),
                      E'\n' ORDER BY n.last_seen DESC)
      FROM (SELECT * FROM @extschema@.wc_n_plus_one ORDER BY last_seen DESC LIMIT 10) AS n
    UNION ALL
    SELECT 7, 'Changes of plan, latest first', 'none',
           string_agg(format(E'  changes: %s, last %s, %s ms on average; %s\n      %s', s.plan_changes,
                             to_char(s.last_plan_change, 'YYYY-MM-DD HH24:MI:SS'), coalesce(round(s.mean_ms::numeric, 3)::text, '-'),
                             s.who, s.statement), E'\n' ORDER BY s.last_plan_change DESC)
      FROM (SELECT * FROM stats WHERE plan_changes > 0 ORDER BY last_plan_change DESC LIMIT 10) AS s
)
SELECT format(E'Query report, %s, asked for in database %s by %s\n\n', to_char(now(), 'YYYY-MM-DD HH24:MI:SS TZ'), current_database(), current_user)
       || string_agg(s.title || E'\n' || coalesce(s.lines, '  ' || s.nothing), E'\n\n' ORDER BY s.place) || E'\n'
  FROM sections AS s
$report$;
COMMENT ON FUNCTION @extschema@.wc_query_report() IS
'Text to read: totals, what is active, the five slowest and the five most frequent statement patterns, the last slow queries, N+1 patterns, changes of plan; of what the caller may see.';

-- sql/functions/violations.sql

-- Constraint violations, counted.

CREATE FUNCTION @extschema@.wc_constraint_violations()
RETURNS TABLE (table_name text, constraint_name text, kind text, last_hour bigint, last_day bigint, total bigint,
               last_seen timestamptz, level text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_constraint_violations';
COMMENT ON FUNCTION @extschema@.wc_constraint_violations() IS
'How often each constraint of this database was violated in the last hour, the last day and altogether, and first of all the sum (kind all); level ok, warning or critical.';

CREATE VIEW @extschema@.wc_constraint_violations AS
SELECT v.table_name, v.constraint_name, v.kind, v.last_hour, v.last_day, v.total, v.last_seen, v.level
  FROM @extschema@.wc_constraint_violations() AS v;
COMMENT ON VIEW @extschema@.wc_constraint_violations IS
'How often each constraint of this database was violated: wc_constraint_violations() as a view.';
GRANT SELECT ON @extschema@.wc_constraint_violations TO PUBLIC;

CREATE FUNCTION @extschema@.wc_constraint_violations_info()
RETURNS TABLE (constraints integer, max integer, evicted bigint, since timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_constraint_violations_info';
COMMENT ON FUNCTION @extschema@.wc_constraint_violations_info() IS
'Of the table that constraint violations are counted in: constraints in it, room (whitecross.violations_max), how many gave their place to others, and since when this database is counted.';

CREATE FUNCTION @extschema@.wc_reset_constraint_violations()
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_constraint_violations';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_constraint_violations() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_constraint_violations() IS
'Forgets the constraint violations of this database; returns of how many constraints.';

-- sql/functions/index_health.sql

-- What each index is used for, and how bloated it is.
--
-- Whether an index can be done without is told by the catalogues alone: another index of the same table finds every row that it
-- finds, in its order or the reverse, has all its columns, and enforces what it enforces. No row of a table is read.

CREATE VIEW @extschema@.wc_index_usage AS
WITH RECURSIVE site AS (
    SELECT n.oid AS base_oid, e.oid AS extension
      FROM @extschema@.wc_configuration AS c
      JOIN pg_catalog.pg_namespace AS n ON n.nspname = c.value
      JOIN pg_catalog.pg_extension AS e ON e.extname = 'whitecross'
     WHERE c.name = 'base_schema'
), tables (oid) AS (
    SELECT c.oid
      FROM pg_catalog.pg_class AS c
      JOIN site ON c.relnamespace = site.base_oid
     WHERE (c.relkind IN ('r', 'p') AND c.relname IN (SELECT b.table_name FROM @extschema@.wc_base_table AS b))
        OR (c.relkind = 'm' AND c.relname IN (SELECT v.name FROM @extschema@.wc_view_catalogue AS v))
    UNION
    SELECT h.inhrelid FROM tables AS t JOIN pg_catalog.pg_inherits AS h ON h.inhparent = t.oid
), indexes AS MATERIALIZED (
    SELECT i.indexrelid AS oid, i.indrelid, n.nspname AS schema_name, t.relname AS table_name, c.relname AS index_name,
           c.relkind = 'i' AS stored, c.relispartition AS of_partition,
           CASE WHEN c.relispartition THEN pg_partition_root(i.indexrelid)::oid ELSE i.indexrelid END AS root,
           i.indisunique, i.indisunique OR i.indisexclusion AS enforces, i.indnullsnotdistinct, i.indimmediate, i.indnkeyatts,
           i.indisvalid AND i.indisready AND i.indislive AS valid,
           -- A constraint, a foreign key to it, a replica identity, the order of CLUSTER and a parent keep an index where it is.
           i.indisprimary OR i.indisexclusion OR i.indisreplident OR i.indisclustered OR c.relispartition
           OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid) AS held,
           m.oid AS method, m.amname = 'btree' AS ordered,
           coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate,
           -- Of a B-tree they say how it is kept, of others what it can find.
           CASE WHEN m.amname = 'btree' THEN '{}' ELSE coalesce(c.reloptions, '{}') END AS options,
           d.keys, d.orders, d.reverse_orders, d.included,
           CASE WHEN m.amname = 'btree' THEN d.plain_keys || d.included ELSE d.included END AS returned,
           o.kind
      FROM tables
     CROSS JOIN site
      JOIN pg_catalog.pg_index AS i ON i.indrelid = tables.oid
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
      JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
     CROSS JOIN LATERAL (
         -- A key is the same by its column or expression, operator class, that one's parameters, and collation.
         SELECT array_agg(concat_ws(' / ', pg_get_indexdef(i.indexrelid, k.n, false), i.indclass[k.n - 1], i.indcollation[k.n - 1],
                                    a.attoptions) ORDER BY k.n) FILTER (WHERE k.n <= i.indnkeyatts) AS keys,
                array_agg(i.indoption[k.n - 1]::integer ORDER BY k.n) FILTER (WHERE k.n <= i.indnkeyatts) AS orders,
                array_agg(i.indoption[k.n - 1]::integer # 3 ORDER BY k.n) FILTER (WHERE k.n <= i.indnkeyatts) AS reverse_orders,
                coalesce(array_agg(i.indkey[k.n - 1] ORDER BY i.indkey[k.n - 1]) FILTER (WHERE k.n <= i.indnkeyatts), '{}') AS plain_keys,
                coalesce(array_agg(i.indkey[k.n - 1] ORDER BY i.indkey[k.n - 1]) FILTER (WHERE k.n > i.indnkeyatts), '{}') AS included
           FROM generate_series(1, i.indnatts::integer) AS k (n)
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indexrelid AND a.attnum = k.n) AS d
      LEFT JOIN LATERAL (
         SELECT g.kind
           FROM @extschema@.wc_index_catalogue AS g
           JOIN @extschema@.wc_registry AS r ON r.name = g.name AND r.made
          WHERE t.relnamespace = site.base_oid AND g.name = c.relname AND g.table_name = t.relname
            AND (obj_description(i.indexrelid, 'pg_class') = g.comment
                 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS l
                             WHERE l.classid = 'pg_catalog.pg_class'::regclass AND l.objid = i.indexrelid AND l.deptype = 'x'
                               AND l.refclassid = 'pg_catalog.pg_extension'::regclass AND l.refobjid = site.extension))) AS o ON true
), counted AS MATERIALIZED (
    SELECT i.oid, c.scans, c.tuples_read, c.tuples_fetched, c.size_bytes,
           coalesce(sum(c.scans) OVER (PARTITION BY i.root), 0) AS scans_of_all
      FROM indexes AS i
      LEFT JOIN LATERAL (
         SELECT pg_stat_get_numscans(i.oid) AS scans, pg_stat_get_tuples_returned(i.oid) AS tuples_read,
                pg_stat_get_tuples_fetched(i.oid) AS tuples_fetched, pg_relation_size(i.oid) AS size_bytes
          WHERE i.stored) AS c ON true
), spared AS (
    -- Index d can be done without, because of x.
    SELECT d.oid AS d, x.oid AS x, x.index_name, x.indnkeyatts, cardinality(x.included) AS more,
           x.indnkeyatts = d.indnkeyatts AND x.included = d.included AS equal, x.kind IS NULL AS of_site, x.held
      FROM indexes AS d
      JOIN indexes AS x ON x.indrelid = d.indrelid AND x.oid <> d.oid
     WHERE NOT d.held AND d.valid AND x.valid
       AND x.method = d.method AND x.predicate = d.predicate AND x.options = d.options
       AND x.keys[1:d.indnkeyatts] = d.keys
       AND (x.orders[1:d.indnkeyatts] = d.orders OR x.ordered AND x.reverse_orders[1:d.indnkeyatts] = d.orders)
       AND (x.indnkeyatts = d.indnkeyatts OR x.ordered)
       AND d.included <@ x.returned
       AND (NOT d.indisunique
            OR x.indisunique AND x.indnkeyatts = d.indnkeyatts AND x.indimmediate >= d.indimmediate
               AND x.indnullsnotdistinct >= d.indnullsnotdistinct)
), redundant AS (
    -- Of two that can each stand for the other, one of ours goes; else the later by name.
    SELECT DISTINCT ON (s.d) s.d, CASE WHEN s.equal THEN 'duplicate of ' ELSE 'prefix of ' END || quote_ident(s.index_name) AS verdict
      FROM spared AS s
      LEFT JOIN spared AS r ON r.d = s.x AND r.x = s.d
     WHERE r.d IS NULL OR (s.of_site, r.index_name) > (r.of_site, s.index_name)
     ORDER BY s.d, s.equal DESC, s.indnkeyatts DESC, s.more DESC, s.held DESC, s.of_site DESC, s.index_name
)
SELECT i.schema_name::text AS schema_name, i.table_name::text AS table_name, i.index_name::text AS index_name, i.kind,
       c.scans, c.tuples_read, c.tuples_fetched, c.size_bytes, i.indisunique AS is_unique, i.kind IS NOT NULL AS ours,
       pg_stat_get_db_stat_reset_time((SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())) AS stats_reset,
       CASE WHEN NOT i.valid THEN 'invalid'
            WHEN r.verdict IS NOT NULL THEN r.verdict
            WHEN i.enforces OR c.scans_of_all > 0 THEN 'used'
            ELSE 'unused' END AS verdict
  FROM indexes AS i
  JOIN counted AS c ON c.oid = i.oid
  LEFT JOIN redundant AS r ON r.d = i.oid
 ORDER BY i.schema_name, i.table_name, i.index_name;
COMMENT ON VIEW @extschema@.wc_index_usage IS
'Every index of the base tables and materialized views: how often it was scanned on this server, its size in bytes, whether it is one of ours, and a verdict: used, unused, duplicate of another, prefix of another, invalid.';
GRANT SELECT ON @extschema@.wc_index_usage TO PUBLIC;

-- First an estimate from the planner's statistics, which reads no page: how many pages the entries would fill if the index were
-- built today. Only what that calls bloated, or can't tell of, is then read page by page.
CREATE FUNCTION @extschema@.wc_index_bloat(min_size bigint DEFAULT 1048576, min_percent double precision DEFAULT 30, exact boolean DEFAULT true)
RETURNS TABLE (schema_name text, table_name text, index_name text, method text, size_bytes bigint, estimated_percent numeric,
               measured_percent numeric, leaf_density numeric, wasted_bytes bigint, command text, note text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 50
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $index_bloat$
DECLARE
  measuring text;  -- the schema of pgstattuple
  candidate record;
  pages record;
  needed double precision;
BEGIN
  IF min_size IS NULL OR min_percent IS NULL OR exact IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'min_size, min_percent and exact must not be null',
      HINT = 'Leave an argument out for its default.';
  END IF;
  IF exact THEN
    SELECT n.nspname INTO measuring FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pgstattuple';
    IF measuring IS NULL THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'extension pgstattuple is not installed',
        DETAIL = 'It reads an index page by page and tells how full it is.',
        HINT = 'CREATE EXTENSION pgstattuple; or SELECT * FROM @extschema@.wc_index_bloat(exact => false); for estimates alone.';
    END IF;
    IF NOT has_schema_privilege(measuring, 'USAGE') OR NOT has_function_privilege(format('%I.pgstatindex(regclass)', measuring), 'EXECUTE') THEN
      RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('permission denied for function %I.pgstatindex', measuring),
        HINT = format('GRANT pg_stat_scan_tables TO %I; GRANT USAGE ON SCHEMA %I TO %I; or SELECT * FROM @extschema@.wc_index_bloat(exact => false); for estimates alone.',
                      current_user, measuring, current_user);
    END IF;
  END IF;

  FOR candidate IN
    WITH indexes AS MATERIALIZED (
      SELECT i.indexrelid AS oid, u.schema_name AS its_schema, u.table_name AS its_table, u.index_name AS its_name, u.size_bytes AS bytes,
             i.indisexclusion, i.indisunique, i.indnatts, i.indnkeyatts, i.indclass, i.indcollation, i.indkey, i.indrelid,
             m.amname AS its_method, c.reltuples, t.reltuples AS table_tuples, u.verdict = 'invalid' AS invalid,
             coalesce((SELECT o.option_value::double precision FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'fillfactor'), 90) AS fill,
             NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) AS o
                          WHERE o.option_name = 'deduplicate_items' AND NOT o.option_value::boolean) AS deduplicates
        FROM @extschema@.wc_index_usage AS u
        JOIN pg_namespace AS n ON n.nspname = u.schema_name
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = u.index_name AND c.relkind = 'i'
        JOIN pg_index AS i ON i.indexrelid = c.oid
        JOIN pg_class AS t ON t.oid = i.indrelid
        JOIN pg_am AS m ON m.oid = c.relam
       WHERE u.size_bytes >= min_size
    ), entries AS (
      -- What is known of the entries of a B-tree: their size, how many there are of each value, whether those share a key.
      SELECT i.oid, bool_and(s.avg_width IS NOT NULL) AS known,
             8 + 8 * max(s.null_frac) + sum((1 - s.null_frac) * s.avg_width) AS width, bool_and(a.attlen > 0) AS fixed_width,
             exp(sum(ln(greatest(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * i.table_tuples ELSE s.n_distinct END, 1)))
                 FILTER (WHERE k.n <= i.indnkeyatts)) AS combinations,
             i.deduplicates AND NOT i.indisunique AND i.indnatts = i.indnkeyatts
             AND coalesce(bool_and(EXISTS (SELECT FROM pg_opclass AS o
                                             JOIN pg_amproc AS p ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocnum = 4
                                            WHERE o.oid = i.indclass[k.n - 1])
                                   AND NOT EXISTS (SELECT FROM pg_collation AS l WHERE l.oid = i.indcollation[k.n - 1] AND NOT l.collisdeterministic))
                          FILTER (WHERE k.n <= i.indnkeyatts), false) AS shared
        FROM indexes AS i
       CROSS JOIN LATERAL generate_series(1, i.indnatts::integer) AS k (n)
        JOIN pg_attribute AS a ON a.attrelid = i.oid AND a.attnum = k.n
        LEFT JOIN pg_attribute AS b ON b.attrelid = i.indrelid AND b.attnum = i.indkey[k.n - 1] AND i.indkey[k.n - 1] <> 0
        LEFT JOIN pg_stats AS s
          ON s.schemaname = i.its_schema AND NOT s.inherited
         AND ((b.attname IS NOT NULL AND s.tablename = i.its_table AND s.attname = b.attname)
              OR (b.attname IS NULL AND s.tablename = i.its_name AND s.attname = a.attname))
       WHERE i.its_method = 'btree' AND i.reltuples >= 0
       GROUP BY i.oid, i.deduplicates, i.indisunique, i.indnatts, i.indnkeyatts
    ), sized AS (
      SELECT i.*, e.known, q.entry, q.groups,
             current_setting('block_size')::double precision AS page
        FROM indexes AS i
        LEFT JOIN entries AS e ON e.oid = i.oid AND e.known
        LEFT JOIN LATERAL (
          SELECT CASE WHEN e.fixed_width THEN 8 * ceil(e.width / 8) ELSE e.width + 4 END AS entry,
                 CASE WHEN e.shared THEN least(greatest(e.combinations, 1), greatest(i.reltuples, 1)) END AS groups) AS q ON e.known
    )
    SELECT z.*, CASE WHEN z.known AND z.bytes > 0 THEN 100 * greatest(1 - p.pages * z.page / z.bytes, 0) END AS estimate
      FROM sized AS z
      -- Entries of one value share a key from the second on: six bytes for each row, in lists of a tenth of a page.
      LEFT JOIN LATERAL (
        SELECT CASE WHEN z.groups IS NULL OR z.reltuples < 1.1 * z.groups THEN z.reltuples * (z.entry + 4)
                    ELSE 6 * z.reltuples
                         + z.groups * ceil(z.reltuples / z.groups / greatest(floor((z.page / 10 - z.entry) / 6), 1)) * (z.entry + 8) END
               / ((z.page - 40) * z.fill / 100) AS leaves) AS l ON z.known
      LEFT JOIN LATERAL (SELECT 1 + greatest(ceil(l.leaves), 1) * (1 + (z.entry + 4) / (0.7 * z.page)) AS pages) AS p ON z.known
     ORDER BY z.its_schema, z.its_table, z.its_name
  LOOP
    schema_name := candidate.its_schema;
    table_name := candidate.its_table;
    index_name := candidate.its_name;
    method := candidate.its_method;
    size_bytes := candidate.bytes;
    estimated_percent := round(candidate.estimate::numeric, 1);
    measured_percent := NULL;
    leaf_density := NULL;
    note := CASE WHEN candidate.invalid THEN 'not valid: no query uses it'
                 WHEN method <> 'btree' THEN format('%s indexes are neither estimated nor measured: REINDEX one and compare its size', method)
                 WHEN candidate.estimate IS NULL AND NOT exact THEN 'no statistics that you may read: ANALYZE the table, or measure'
                 WHEN candidate.estimate < min_percent AND exact THEN 'estimated below min_percent: not measured' END;
    IF exact AND method = 'btree' AND NOT candidate.invalid AND coalesce(candidate.estimate >= min_percent, true) THEN
      EXECUTE format('SELECT p.index_size / current_setting(''block_size'')::double precision AS size, p.internal_pages, p.leaf_pages, '
                     'nullif(p.avg_leaf_density, ''NaN'') AS density FROM %I.pgstatindex($1) AS p', measuring)
         INTO pages USING candidate.oid::regclass;
      -- As many leaves as their contents fill when it is built anew, and of the levels above them as large a part.
      needed := CASE WHEN pages.leaf_pages > 0
                     THEN pages.leaf_pages * coalesce(pages.density, 0) / candidate.fill * (1 + pages.internal_pages / pages.leaf_pages::double precision) ELSE 0 END;
      measured_percent := round((100 * greatest(1 - (1 + greatest(ceil(needed), 1)) / nullif(pages.size, 0), 0))::numeric, 1);
      leaf_density := round(pages.density::numeric, 1);
    END IF;
    wasted_bytes := size_bytes * coalesce(measured_percent, estimated_percent) / 100;
    -- The index of an exclusion constraint can't be built concurrently.
    command := CASE WHEN candidate.invalid OR coalesce(measured_percent, estimated_percent) >= greatest(min_percent, 0.1)
                    THEN format('REINDEX INDEX %s%I.%I;', CASE WHEN candidate.indisexclusion THEN '' ELSE 'CONCURRENTLY ' END, schema_name, index_name) END;
    RETURN NEXT;
  END LOOP;
END
$index_bloat$;
COMMENT ON FUNCTION @extschema@.wc_index_bloat(bigint, double precision, boolean) IS
'Bloat of the indexes of the base tables and materialized views of at least min_size bytes: in percent, estimated, and where that is at least min_percent, or unknown, measured by pgstattuple; with the REINDEX to run.';

-- sql/functions/index_suggestions.sql

-- Indexes that the collected statements would be quicker with.
--
-- A pattern is planned with the rights of the role that ran it, so only that role's members are shown what it would
-- gain. Names are found by the caller's search_path: a default is evaluated before the function's own one is set.

CREATE FUNCTION @extschema@.wc_search_indexes(statements text[], calls text[], roles text[], ids text[],
  min_gain_percent double precision, min_table_rows bigint, search_path text)
RETURNS TABLE (table_name text, columns text[], definition text, statements_helped integer, calls_helped bigint,
               cost_before double precision, cost_after double precision, gain_percent double precision,
               estimated_size_bytes bigint, writes bigint, query_ids bigint[], reason text)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_search_indexes';
COMMENT ON FUNCTION @extschema@.wc_search_indexes(text[], text[], text[], text[], double precision, bigint, text) IS
'Internal: wc_suggest_indexes() for the given statements of the given roles (NULL: the caller''s).';

CREATE FUNCTION @extschema@.wc_unjudged_statements(statements text[], calls text[], roles text[], ids text[],
  search_path text)
RETURNS TABLE (reason text, statements_left_out integer, calls_left_out bigint, query_ids bigint[])
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_unjudged_statements';
COMMENT ON FUNCTION @extschema@.wc_unjudged_statements(text[], text[], text[], text[], text) IS
'Internal: wc_suggest_indexes_skipped() for the given statements of the given roles (NULL: the caller''s).';

CREATE FUNCTION @extschema@.wc_suggest_indexes_for(statements text[], calls bigint[] DEFAULT NULL,
  min_gain_percent double precision DEFAULT 20, min_table_rows bigint DEFAULT 1000,
  search_path text DEFAULT current_setting('search_path'))
RETURNS TABLE (table_name text, columns text[], definition text, statements_helped integer, calls_helped bigint,
               cost_before double precision, cost_after double precision, gain_percent double precision,
               estimated_size_bytes bigint, writes bigint, statement_numbers bigint[], reason text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $suggest_for$
SELECT s.table_name, s.columns, s.definition, s.statements_helped, s.calls_helped, s.cost_before, s.cost_after,
       s.gain_percent, s.estimated_size_bytes, s.writes, s.query_ids, s.reason
  FROM @extschema@.wc_search_indexes($1, coalesce($2::text[], array_fill('1'::text, ARRAY[cardinality($1)])), NULL,
         ARRAY(SELECT g.n::text FROM generate_series(1, cardinality($1)) AS g (n) ORDER BY g.n), $3, $4, $5) AS s
$suggest_for$;
COMMENT ON FUNCTION @extschema@.wc_suggest_indexes_for(text[], bigint[], double precision, bigint, text) IS
'Indexes that the given statements, called so often, would be quicker with; values may be written as $1, $2. They are planned with the caller''s rights, and not executed. Needs the extension hypopg.';

-- The patterns of this database whose text is known, as arrays.
CREATE FUNCTION @extschema@.wc_plannable_patterns(OUT statements text[], OUT calls text[], OUT roles text[], OUT ids text[])
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $plannable$
SELECT coalesce(array_agg(p.query ORDER BY p.query_id, p.role_oid), '{}'),
       coalesce(array_agg(p.calls::text ORDER BY p.query_id, p.role_oid), '{}'),
       coalesce(array_agg(p.role_oid::text ORDER BY p.query_id, p.role_oid), '{}'),
       coalesce(array_agg(p.query_id::text ORDER BY p.query_id, p.role_oid), '{}')
  FROM @extschema@.wc_query_patterns() AS p
  JOIN pg_database AS d ON d.oid = p.database_oid AND d.datname = current_database()
 WHERE p.query_id <> 0 AND p.query IS NOT NULL AND p.query <> p.command_tag
   AND p.command_tag IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE')
$plannable$;
COMMENT ON FUNCTION @extschema@.wc_plannable_patterns() IS
'Internal: the patterns of this database that wc_suggest_indexes() plans.';

CREATE FUNCTION @extschema@.wc_suggest_indexes(min_gain_percent double precision DEFAULT 20,
  min_table_rows bigint DEFAULT 1000, search_path text DEFAULT current_setting('search_path'))
RETURNS TABLE (table_name text, columns text[], definition text, statements_helped integer, calls_helped bigint,
               cost_before double precision, cost_after double precision, gain_percent double precision,
               estimated_size_bytes bigint, writes bigint, query_ids bigint[], reason text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $suggest$
SELECT s.*
  FROM @extschema@.wc_plannable_patterns() AS p
 CROSS JOIN LATERAL @extschema@.wc_search_indexes(p.statements, p.calls, p.roles, p.ids, $1, $2, $3) AS s
$suggest$;
COMMENT ON FUNCTION @extschema@.wc_suggest_indexes(double precision, bigint, text) IS
'Indexes that the collected statement patterns of this database would be quicker with, those that save most first: what each is for, costs before and after in the planner''s units, estimated size in bytes, writes so far that would have paid for it. Nothing is executed or made. Needs the extension hypopg.';

CREATE FUNCTION @extschema@.wc_suggest_indexes_skipped(search_path text DEFAULT current_setting('search_path'))
RETURNS TABLE (reason text, statements_left_out integer, calls_left_out bigint, query_ids bigint[])
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $skipped$
SELECT s.*
  FROM @extschema@.wc_plannable_patterns() AS p
 CROSS JOIN LATERAL @extschema@.wc_unjudged_statements(p.statements, p.calls, p.roles, p.ids, $1) AS s
 UNION ALL
SELECT r.reason, count(*)::integer, sum(q.calls)::bigint, array_agg(q.query_id ORDER BY q.query_id)
  FROM @extschema@.wc_query_patterns() AS q
  JOIN pg_database AS d ON d.oid = q.database_oid AND d.datname = current_database()
 CROSS JOIN LATERAL (SELECT CASE WHEN q.query_id = 0 THEN 'it is not identified: the server gave it no query id (compute_query_id)'
                                 ELSE 'its text is not known' END AS reason) AS r
 WHERE q.query_id = 0 OR q.query IS NULL
    OR (q.query = q.command_tag AND q.command_tag IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE'))
 GROUP BY r.reason
$skipped$;
COMMENT ON FUNCTION @extschema@.wc_suggest_indexes_skipped(text) IS
'The collected statement patterns of this database that wc_suggest_indexes() can''t judge, or not wholly, counted by reason; commands without a plan are not among them.';

-- sql/functions/privacy.sql

-- Settings of the server that let protected health information into its log.
--
-- What is judged is a value, whatever set it: the configuration as this session sees it, and each setting of a role or a
-- database. Statement texts, values of parameters and details of errors are told apart because each has a setting of its own.

CREATE FUNCTION @extschema@.wc_privacy_settings()
RETURNS TABLE (setting text, value text, source text, risk text, why text, advice text, command text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 30
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $privacy$
WITH known (position, name, kind, advised) AS (
    VALUES (1, 'log_error_verbosity', 'detail', 'terse'),
           (2, 'log_min_error_statement', 'error statement', 'panic'),
           (3, 'log_parameter_max_length_on_error', 'error parameters', '0'),
           (4, 'log_statement', 'statement', 'none'),
           (5, 'log_min_duration_statement', 'duration', '-1'),
           (6, 'log_min_duration_sample', 'sample', '-1'),
           (7, 'log_transaction_sample_rate', 'rate', '0'),
           (8, 'log_parameter_max_length', 'parameters', '0'),
           (9, 'log_duration', 'harmless', 'off'),
           (10, 'log_min_messages', 'messages', 'warning'),
           (11, 'debug_print_parse', 'tree', 'off'),
           (12, 'debug_print_rewritten', 'tree', 'off'),
           (13, 'debug_print_plan', 'tree', 'off'),
           (14, 'log_parser_stats', 'statistics', 'off'),
           (15, 'log_planner_stats', 'statistics', 'off'),
           (16, 'log_executor_stats', 'statistics', 'off'),
           (17, 'log_statement_stats', 'statistics', 'off'),
           (18, 'log_lock_waits', 'event', 'off'),
           (19, 'log_temp_files', 'event', '-1'),
           (20, 'auto_explain.log_min_duration', 'plan', '-1'),
           (21, 'auto_explain.log_parameter_max_length', 'plan parameters', '0'),
           (22, 'pgaudit.log', 'audit', 'none'),
           (23, 'pgaudit.log_parameter', 'audit parameters', 'off'),
           (24, 'pg_stat_statements.track_utility', 'utility', 'off'),
           (25, 'pg_stat_statements.track', 'patterns', 'none'),
           (26, 'track_activities', 'activity', 'off')
), roles AS MATERIALIZED (
    -- Who but a superuser sees the texts of other roles' statements.
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) AS readers
      FROM pg_roles AS r
     WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_has_role(r.oid, 'pg_read_all_stats', 'MEMBER')
), found AS MATERIALIZED (
    SELECT k.position, k.name, k.kind, k.advised, s.value, s.place, s.source, s.change
      FROM known AS k
     CROSS JOIN LATERAL (
           SELECT current_setting(k.name) AS value, 0 AS place, p.source, format('ALTER SYSTEM SET %s = %s;', k.name, k.advised) AS change
             FROM pg_settings AS p WHERE p.name = k.name
           UNION ALL
           SELECT substr(c.entry, strpos(c.entry, '=') + 1), 1, concat_ws(' in ', coalesce('role ' || quote_ident(r.rolname), CASE WHEN d.datname IS NULL THEN 'all roles' END),
                         'database ' || quote_ident(d.datname)),
                  CASE WHEN r.rolname IS NULL AND d.datname IS NOT NULL THEN format('ALTER DATABASE %I', d.datname)
                       ELSE concat_ws(' ', 'ALTER ROLE', coalesce(quote_ident(r.rolname), 'ALL'), 'IN DATABASE ' || quote_ident(d.datname)) END
                  || format(' RESET %s;', k.name)
             FROM pg_db_role_setting AS o
            CROSS JOIN LATERAL unnest(o.setconfig) AS c (entry)
             LEFT JOIN pg_roles AS r ON r.oid = o.setrole
             LEFT JOIN pg_database AS d ON d.oid = o.setdatabase
            WHERE lower(split_part(c.entry, '=', 1)) = k.name) AS s
), judged AS MATERIALIZED (
    SELECT f.*, lower(f.value) AS low, f.value ~ '^\s*-' AS negative, f.value ~* '^\s*0*(\.0*)?\s*[a-z]*\s*$' AND f.value ~ '0' AS zero,
           f.value ~* '^\s*(on|t(r(ue?)?)?|y(es?)?|1)\s*$' AS yes
      FROM found AS f
), logging AS MATERIALIZED (
    -- Whether, anywhere, texts of statements go to the log as they run, and whether they do with an error or an event.
    SELECT bool_or(j.kind = 'statement' AND j.low <> 'none' OR j.kind IN ('duration', 'sample') AND NOT j.negative OR j.kind = 'rate' AND NOT j.zero) AS statements,
           bool_or(j.kind = 'error statement' AND j.low <> 'panic') AS with_events,
           bool_or(j.kind = 'plan' AND NOT j.negative) AS plans,
           bool_or(j.kind = 'audit' AND j.low <> 'none') AS audits
      FROM judged AS j
), verdicts AS (
    SELECT j.*,
           CASE j.kind
                WHEN 'detail' THEN CASE WHEN j.low = 'terse' THEN 'ok' ELSE 'critical' END
                WHEN 'error statement' THEN CASE WHEN j.low = 'panic' THEN 'ok' WHEN j.low IN ('fatal', 'log') THEN 'warning' ELSE 'critical' END
                WHEN 'error parameters' THEN CASE WHEN j.zero THEN 'ok' ELSE 'critical' END
                WHEN 'statement' THEN CASE j.low WHEN 'none' THEN 'ok' WHEN 'ddl' THEN 'warning' ELSE 'critical' END
                WHEN 'duration' THEN CASE WHEN j.negative THEN 'ok' ELSE 'critical' END
                WHEN 'sample' THEN CASE WHEN j.negative THEN 'ok' ELSE 'critical' END
                WHEN 'rate' THEN CASE WHEN j.zero THEN 'ok' ELSE 'critical' END
                WHEN 'parameters' THEN CASE WHEN j.zero THEN 'ok' WHEN l.statements THEN 'critical' ELSE 'warning' END
                WHEN 'messages' THEN CASE WHEN j.low ~ '^debug' AND j.low <> 'debug1' THEN 'critical'
                                          WHEN j.low IN ('debug1', 'info', 'notice') THEN 'warning' ELSE 'ok' END
                WHEN 'tree' THEN CASE WHEN j.yes THEN 'critical' ELSE 'ok' END
                WHEN 'statistics' THEN CASE WHEN NOT j.yes THEN 'ok' WHEN l.with_events THEN 'critical' ELSE 'ok' END
                WHEN 'event' THEN CASE WHEN j.negative OR j.name = 'log_lock_waits' AND NOT j.yes THEN 'ok' WHEN l.with_events THEN 'warning' ELSE 'ok' END
                WHEN 'plan' THEN CASE WHEN j.negative THEN 'ok' ELSE 'critical' END
                WHEN 'plan parameters' THEN CASE WHEN j.zero THEN 'ok' WHEN l.plans THEN 'critical' ELSE 'warning' END
                WHEN 'audit' THEN CASE j.low WHEN 'none' THEN 'ok' ELSE 'critical' END
                WHEN 'audit parameters' THEN CASE WHEN NOT j.yes THEN 'ok' WHEN l.audits THEN 'critical' ELSE 'warning' END
                WHEN 'utility' THEN CASE WHEN j.yes THEN 'warning' ELSE 'ok' END
                WHEN 'patterns' THEN CASE j.low WHEN 'none' THEN 'ok' ELSE 'warning' END
                WHEN 'activity' THEN CASE WHEN j.yes AND r.readers IS NOT NULL THEN 'warning' ELSE 'ok' END
                ELSE 'ok' END AS risk,
           CASE j.kind
                WHEN 'detail' THEN 'the detail of an error goes to the log: the failing row, the key that is there already, a deadlock''s statements'
                WHEN 'error statement' THEN 'the text of a statement that fails, or waits for a lock, or writes a temporary file, goes to the log with its constants'
                WHEN 'error parameters' THEN 'the values of parameters go to the log with an error'
                WHEN 'statement' THEN 'the texts of statements go to the log with their constants'
                WHEN 'duration' THEN 'the texts of slow statements go to the log with their constants; wc_slow_queries has them without'
                WHEN 'sample' THEN 'the texts of a sample of slow statements go to the log with their constants; wc_slow_queries has them without'
                WHEN 'rate' THEN 'the texts of all statements of some transactions go to the log with their constants'
                WHEN 'parameters' THEN 'the values of parameters go to the log with each statement that goes there'
                WHEN 'harmless' THEN 'durations alone, without a text'
                WHEN 'messages' THEN 'up to debug2 the server logs texts of statements; up to notice, what functions tell their callers'
                WHEN 'tree' THEN 'the tree of each statement goes to the log with its constants'
                WHEN 'statistics' THEN 'each statement makes an entry in the log, which has its text as long as log_min_error_statement lets it'
                WHEN 'event' THEN 'such an event makes an entry in the log, which has the statement''s text as long as log_min_error_statement lets it'
                WHEN 'plan' THEN 'texts and plans of slow statements go to the log with their constants'
                WHEN 'plan parameters' THEN 'the values of parameters go to the log with each plan that goes there'
                WHEN 'audit' THEN 'the texts of statements go to the log with their constants'
                WHEN 'audit parameters' THEN 'the values of parameters go to the log with each statement that goes there'
                WHEN 'utility' THEN 'pg_stat_statements keeps utility statements (COPY, DO, CREATE VIEW, EXPLAIN, ...) with their constants, in a file too'
                WHEN 'patterns' THEN 'pg_stat_statements keeps comments and some constants of statements, in a file too; wc_query_stats does not'
                WHEN 'activity' THEN concat('pg_stat_activity shows what each session runs, constants and all, to members of pg_read_all_stats', ': ' || r.readers) END AS why,
           CASE j.kind
                WHEN 'detail' THEN 'terse; the message itself may still quote a value, as in "invalid input syntax"'
                WHEN 'error statement' THEN 'panic'
                WHEN 'harmless' THEN 'may be on'
                WHEN 'messages' THEN 'warning or error; above that, violations of constraints are not counted'
                WHEN 'event' THEN 'may be on where log_min_error_statement is panic'
                WHEN 'patterns' THEN 'none where wc_query_stats is enough; else let nobody be a member of pg_read_all_stats who must not see values'
                WHEN 'activity' THEN 'let nobody be a member of pg_read_all_stats who must not see values; off blinds every monitor, wc_active_queries too'
                ELSE j.advised END AS advice
      FROM judged AS j CROSS JOIN logging AS l CROSS JOIN roles AS r
)
SELECT v.name, v.value, v.source, v.risk, v.why, v.advice,
       CASE WHEN v.risk <> 'ok' AND v.kind <> 'activity'
            THEN CASE WHEN v.kind = 'event' THEN 'ALTER SYSTEM SET log_min_error_statement = panic;' ELSE v.change END END
  FROM verdicts AS v
 ORDER BY CASE v.risk WHEN 'critical' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, v.position, v.place, v.source
$privacy$;
COMMENT ON FUNCTION @extschema@.wc_privacy_settings() IS
'Settings of the server that let protected health information into its log or its statistics: what they are here and for roles and databases, how bad that is (ok, warning, critical), what we advise, and the statement for it.';

-- sql/functions/connections.sql

-- Connections of the server, now and over the last days.

CREATE FUNCTION @extschema@.wc_connections()
RETURNS TABLE (scope text, database text, role text, active integer, idle integer, idle_in_transaction integer, waiting integer, total integer,
               max integer, utilisation_percent double precision, oldest_transaction interval)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 30
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_connections';
COMMENT ON FUNCTION @extschema@.wc_connections() IS
'Connections of clients now: of the server, of each database, of each role and of each role in each database that has any; with the limit that applies and the age of the oldest transaction that is open.';

CREATE VIEW @extschema@.wc_connections AS
SELECT c.scope, c.database, c.role, c.active, c.idle, c.idle_in_transaction, c.waiting, c.total, c.max, c.utilisation_percent, c.oldest_transaction
  FROM @extschema@.wc_connections() AS c;
COMMENT ON VIEW @extschema@.wc_connections IS 'Connections of clients now: wc_connections() as a view.';
GRANT SELECT ON @extschema@.wc_connections TO PUBLIC;

CREATE FUNCTION @extschema@.wc_connection_history(since timestamptz DEFAULT NULL)
RETURNS TABLE (sampled_at timestamptz, scope text, database text, role text, active integer, idle integer, idle_in_transaction integer, waiting integer,
               total integer, max integer, utilisation_percent double precision, oldest_transaction interval)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100000
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_connection_history';
COMMENT ON FUNCTION @extschema@.wc_connection_history(timestamptz) IS
'Samples of connections, one each whitecross.monitor_interval, from that moment on, or all of the last 8 days: the rows of wc_connections() as they were then.';

CREATE VIEW @extschema@.wc_connection_history AS
SELECT h.sampled_at, h.scope, h.database, h.role, h.active, h.idle, h.idle_in_transaction, h.waiting, h.total, h.max, h.utilisation_percent,
       h.oldest_transaction
  FROM @extschema@.wc_connection_history() AS h;
COMMENT ON VIEW @extschema@.wc_connection_history IS 'Samples of connections of the last 8 days: wc_connection_history() as a view.';
GRANT SELECT ON @extschema@.wc_connection_history TO PUBLIC;

CREATE FUNCTION @extschema@.wc_connection_history_status()
RETURNS TABLE (sampled_at timestamptz, written_at timestamptz, sqlstate text, lost bigint, files bigint, size_bytes bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_connection_history_status';
COMMENT ON FUNCTION @extschema@.wc_connection_history_status() IS
'When connections were last sampled, and when samples were last written to files, since the server started; the error that the last attempt to write ended with; how many samples were lost, how many files there are, and their size.';

-- sql/functions/pooler.sql

-- What PgBouncer says of itself.

CREATE FUNCTION @extschema@.wc_pooler()
RETURNS TABLE (database text, "user" text, clients_active bigint, clients_waiting bigint, servers_active bigint, servers_idle bigint,
               servers_used bigint, maxwait_ms double precision, pool_size bigint, utilisation_percent double precision, waits bigint,
               longest_wait_ms double precision, database_transactions bigint, database_queries bigint, database_wait_ms double precision)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 50
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_pooler';
COMMENT ON FUNCTION @extschema@.wc_pooler() IS
'Each pool of PgBouncer as it was told last (NULL where it does not answer, or has that pool no more), and what has come together since the server started: answers in which clients waited, the longest wait; and of the pool''s database, all its users together, transactions, queries and the time that clients waited.';

CREATE VIEW @extschema@.wc_pooler AS
SELECT p.database, p."user", p.clients_active, p.clients_waiting, p.servers_active, p.servers_idle, p.servers_used, p.maxwait_ms, p.pool_size,
       p.utilisation_percent, p.waits, p.longest_wait_ms, p.database_transactions, p.database_queries, p.database_wait_ms
  FROM @extschema@.wc_pooler() AS p;
COMMENT ON VIEW @extschema@.wc_pooler IS 'The pools of PgBouncer: wc_pooler() as a view.';
GRANT SELECT ON @extschema@.wc_pooler TO PUBLIC;

CREATE FUNCTION @extschema@.wc_pooler_status()
RETURNS TABLE (configured boolean, connected boolean, since timestamptz, last_answer timestamptz, answers bigint, failures bigint,
               last_failure timestamptz, last_error text, pools bigint, pools_left_out bigint, clients_active bigint, clients_waiting bigint,
               servers_active bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_pooler_status';
COMMENT ON FUNCTION @extschema@.wc_pooler_status() IS
'Whether PgBouncer is asked (whitecross.pgbouncer_conninfo) and answers, since when, how often it did and did not, the last error; and of its last answer the pools, those of them that there was no room for, and the connections of all of them.';

CREATE VIEW @extschema@.wc_pooler_status AS
SELECT s.configured, s.connected, s.since, s.last_answer, s.answers, s.failures, s.last_failure, s.last_error, s.pools, s.pools_left_out,
       s.clients_active, s.clients_waiting, s.servers_active
  FROM @extschema@.wc_pooler_status() AS s;
COMMENT ON VIEW @extschema@.wc_pooler_status IS 'Whether PgBouncer is asked and answers: wc_pooler_status() as a view.';
GRANT SELECT ON @extschema@.wc_pooler_status TO PUBLIC;

-- sql/functions/pool_profiles.sql

-- Sizes of connection pools, PgBouncer's configuration, limits of sessions.
--
-- In transaction pooling a server connection belongs to no client, and what a client asks for in its startup packet reaches no
-- server: limits of sessions are settings of the role. What wc_apply_session_limits() found there, and what it put there, it
-- notes in one more setting of the role, whitecross.session_limits: that goes with the role, through dumps and from
-- database to database, and ALTER ROLE's own rules say who may write it.

CREATE FUNCTION @extschema@.wc_pool_profile(profile text, roles text[] DEFAULT NULL, databases text[] DEFAULT NULL)
RETURNS TABLE (setting text, value text, place text, object text, why text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 40
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $pool_profile$
#variable_conflict use_column
DECLARE
    production constant boolean := profile = 'production';
    wanted constant integer := CASE WHEN production THEN 20 ELSE 10 END;
    clients constant integer := CASE WHEN production THEN 500 ELSE 100 END;
    idle_limit constant text := CASE WHEN production THEN '30s' ELSE '5min' END;
    most constant integer := current_setting('max_connections')::integer;
    reserved constant integer := current_setting('superuser_reserved_connections')::integer
                               + coalesce(current_setting('reserved_connections', true)::integer, 0);
    -- What does not go through the pooler: migrations, jobs, monitoring, somebody with psql.
    direct constant integer := greatest(3, ceil((most - reserved) / 10.0));
    room constant integer := greatest(most - reserved - direct, 1);
    pooled_roles oid[];
    pooled_databases oid[];
    wrong text;
    pair_count integer;
    asked integer;
    size integer;
    sum text;
BEGIN
    IF profile IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'profile must not be null';
    ELSIF profile NOT IN ('production', 'development') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown pool profile "%s"', profile),
            HINT = 'It is production or development.';
    ELSIF array_position(roles, NULL) IS NOT NULL OR array_position(databases, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'roles and databases must not contain nulls',
            HINT = 'Leave an argument out for all that may be meant.';
    END IF;
    SELECT n INTO wrong FROM unnest(roles) WITH ORDINALITY AS u (n, i) WHERE NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = n) ORDER BY i LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', wrong);
    END IF;
    SELECT r.rolname INTO wrong FROM pg_roles AS r WHERE r.rolname = ANY (roles) AND (NOT r.rolcanlogin OR r.rolconnlimit = 0) ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('role "%s" may not connect', wrong),
            HINT = 'Name the roles that log in, not those that they are members of.';
    END IF;
    SELECT n INTO wrong FROM unnest(databases) WITH ORDINALITY AS u (n, i) WHERE NOT EXISTS (SELECT FROM pg_database AS d WHERE d.datname = n) ORDER BY i LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_catalog_name', MESSAGE = format('database "%s" does not exist', wrong);
    END IF;
    SELECT d.datname INTO wrong FROM pg_database AS d
     WHERE d.datname = ANY (databases) AND (NOT d.datallowconn OR d.datconnlimit < -1 OR d.datconnlimit = 0 OR d.datname IN ('pgbouncer', '*')) ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('database "%s" cannot be reached through PgBouncer', wrong),
            DETAIL = CASE wrong WHEN 'pgbouncer' THEN 'The name is that of PgBouncer''s console.' WHEN '*' THEN 'The name stands for every other database.' ELSE 'It accepts no connections.' END;
    END IF;

    SELECT array_agg(r.oid) INTO pooled_roles FROM pg_roles AS r
     WHERE CASE WHEN roles IS NULL THEN r.rolcanlogin AND r.rolconnlimit <> 0 AND NOT r.rolsuper AND NOT r.rolreplication AND r.rolname <> 'whitecross_monitor' ELSE r.rolname = ANY (roles) END;
    SELECT array_agg(d.oid) INTO pooled_databases FROM pg_database AS d
     WHERE CASE WHEN databases IS NOT NULL THEN d.datname = ANY (databases)
                ELSE d.datallowconn AND NOT d.datistemplate AND (d.datconnlimit = -1 OR d.datconnlimit > 0) AND d.datname NOT IN ('pgbouncer', '*')
                     AND (d.datname <> 'postgres' OR d.datname = current_database()) END;
    SELECT count(*) INTO pair_count FROM unnest(pooled_roles) AS r CROSS JOIN unnest(pooled_databases) AS d WHERE has_database_privilege(r, d, 'CONNECT');
    asked := wanted * greatest(pair_count, 1);
    size := greatest(least(wanted, room / greatest(pair_count, 1)), 1);
    sum := format('%s of %s connections are left to pools: max_connections less %s reserved and %s for what connects directly', room, most, reserved, direct);
    IF pair_count > 0 AND (size < wanted OR room < size * pair_count) THEN
        RAISE NOTICE USING MESSAGE = format('pools of %s for %s pairs of role and database do not fit this server', wanted, pair_count),
            DETAIL = format('%s; %s.', sum, CASE WHEN room < size * pair_count THEN 'not even one for each pair' ELSE format('the profile gives %s to each pair', size) END),
            HINT = format('Name the roles and databases that go through the pooler (arguments roles, databases), or set max_connections to %s.',
                          asked + greatest(3, ceil(asked / 9.0)) + reserved);
    END IF;

    RETURN QUERY
    VALUES ('pool_mode', 'transaction', 'pgbouncer.ini', NULL,
            'a server connection is a client''s for one transaction, so that few serve many; no LISTEN, no named prepared statement, no SET or lock that outlives the transaction'),
           ('default_pool_size', size::text, 'pgbouncer.ini', NULL,
            concat('server connections of each pair of role and database, ',
                   CASE WHEN pair_count = 0 THEN 'of which there is none yet' ELSE format('of which there %s: %s in all', CASE pair_count WHEN 1 THEN 'is 1' ELSE 'are ' || pair_count END, size * pair_count) END,
                   '; ', sum, CASE WHEN room < size * pair_count THEN format('; that does not fit, and max_db_connections holds it back: the profile wants %s for each pair', wanted)
                                   WHEN size < wanted THEN format('; %s, which the profile wants, would not fit', wanted) END)),
           ('min_pool_size', least(2, size)::text, 'pgbouncer.ini', NULL, 'kept open while a client is there, so that the first ones after a pause need not wait for a login'),
           ('reserve_pool_size', '0', 'pgbouncer.ini', NULL, 'nothing beyond the pool: its size is what the server was asked for'),
           ('max_client_conn', clients::text, 'pgbouncer.ini', NULL, 'clients that may be connected; those who wait for a server connection need none of the server''s. With the pools within the usual 1024 open files'),
           ('query_wait_timeout', '30', 'pgbouncer.ini', NULL, 'seconds that a client waits for a server connection; after that it is told so and disconnected, instead of waiting for ever'),
           ('server_idle_timeout', '10', 'pgbouncer.ini', NULL, 'seconds after which a server connection that nobody needs is closed, down to min_pool_size'),
           ('server_lifetime', '3600', 'pgbouncer.ini', NULL, 'seconds after which one is replaced when no client has it: its memory is given back, and settings of the role that were changed take effect'),
           ('server_check_query', 'select 1', 'pgbouncer.ini', NULL, 'asked of a server connection that has rested before a client gets it; a dead one is replaced'),
           ('server_check_delay', '5', 'pgbouncer.ini', NULL, 'seconds of rest after which it is asked'),
           ('server_connect_timeout', '5', 'pgbouncer.ini', NULL, 'seconds for a login to the server; well within query_wait_timeout, so that there is time to try again'),
           ('server_login_retry', '2', 'pgbouncer.ini', NULL, 'seconds after a login that the server refused until the next; meanwhile clients that need one are told so at once, where the server can''t be reached they wait. PAUSE and RESUME on the console around a restart spare them both'),
           ('tcp_keepidle', '30', 'pgbouncer.ini', NULL, 'seconds of silence after which the other side is asked whether it is still there'),
           ('tcp_keepintvl', '10', 'pgbouncer.ini', NULL, 'seconds between two such questions'),
           ('tcp_keepcnt', '3', 'pgbouncer.ini', NULL, 'questions without an answer after which the connection is dead'),
           ('ignore_startup_parameters', 'statement_timeout,idle_in_transaction_session_timeout,lock_timeout,extra_float_digits,options', 'pgbouncer.ini', NULL,
            'what node-postgres and others send at connecting and a shared server connection can''t follow: accepted, without effect. The limits that hold are the role''s'),
           ('application_name_add_host', '0', 'pgbouncer.ini', NULL, 'the application''s name is passed on as it is: a name for each client and port would be no name to count by');
    RETURN QUERY
    SELECT 'max_db_connections', least(greatest(room * m.part / m.parts, 1), CASE WHEN d.datconnlimit > 0 THEN d.datconnlimit END)::text,
           'pgbouncer.ini, [databases]', d.datname::text,
           concat(format('its part of the %s connections that pools may have, by its %s of %s pairs, whatever roles come along later', room, m.part, m.parts),
                  CASE WHEN d.datconnlimit > 0 THEN format('; the database''s own limit is %s', d.datconnlimit) END)
      FROM pg_database AS d
     -- Without a role yet, as if there were one.
     CROSS JOIN LATERAL (SELECT CASE pair_count WHEN 0 THEN 1 ELSE count(*) END AS part, CASE pair_count WHEN 0 THEN cardinality(pooled_databases) ELSE pair_count END AS parts
                           FROM unnest(pooled_roles) AS r WHERE has_database_privilege(r, d.oid, 'CONNECT')) AS m
     WHERE d.oid = ANY (pooled_databases) ORDER BY d.datname;
    RETURN QUERY
    SELECT 'max_user_connections', r.rolconnlimit::text, 'pgbouncer.ini, [users]', r.rolname::text,
           format('the role''s own connection limit is %s, and its pools may ask for %s', r.rolconnlimit, size * m.pairs)
      FROM pg_roles AS r
     CROSS JOIN LATERAL (SELECT count(*) AS pairs FROM unnest(pooled_databases) AS d WHERE has_database_privilege(r.oid, d, 'CONNECT')) AS m
     WHERE r.oid = ANY (pooled_roles) AND r.rolconnlimit > 0 AND r.rolconnlimit < size * m.pairs ORDER BY r.rolname;
    RETURN QUERY
    VALUES ('statement_timeout', '30s', 'role', NULL::text, 'a statement that runs longer is cancelled; wc_apply_session_limits() sets it'),
           ('idle_in_transaction_session_timeout', idle_limit, 'role', NULL,
            'a transaction that waits for its client longer is ended: its locks and its server connection are somebody else''s too'
            || CASE WHEN production THEN '' ELSE '; long enough for a breakpoint' END),
           ('pool.max', size::text, 'application', NULL, 'Sequelize: transactions of one process at once; more than PgBouncer has for them would only wait there'),
           ('pool.min', least(2, size)::text, 'application', NULL, 'Sequelize: connections to PgBouncer that stay open'),
           ('pool.acquire', '30000', 'application', NULL, 'Sequelize: milliseconds that a request waits for one of the process''s own connections'),
           ('pool.idle', '10000', 'application', NULL, 'Sequelize: milliseconds after which one that nobody needs is closed'),
           ('pool.evict', '1000', 'application', NULL, 'Sequelize: milliseconds between two looks for those'),
           ('dialectOptions.application_name', 'white-cross', 'application', NULL, 'who it is: PgBouncer passes it on, and the server shows it. One name for each application, none for each process'),
           ('dialectOptions.statement_timeout', '30000', 'application', NULL, 'milliseconds; for connections that don''t go through PgBouncer, which ignores it'),
           ('dialectOptions.idle_in_transaction_session_timeout', (extract(epoch FROM idle_limit::interval) * 1000)::bigint::text, 'application', NULL,
            'milliseconds; for connections that don''t go through PgBouncer, which ignores it');
END
$pool_profile$;
COMMENT ON FUNCTION @extschema@.wc_pool_profile(text, text[], text[]) IS
'Settings for connection pools, production or development: the value, where it goes (pgbouncer.ini, role, application) and why; sizes fit this server''s max_connections and its pairs of role and database. roles, databases: those that go through the pooler (default: every role that logs in and every database).';

CREATE FUNCTION @extschema@.wc_pgbouncer_ini(profile text, roles text[] DEFAULT NULL, databases text[] DEFAULT NULL,
                                             host text DEFAULT NULL, settings jsonb DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $pgbouncer_ini$
#variable_conflict use_column
DECLARE
    -- The first address that the server listens on, as its own machine sees it; without one, its Unix socket.
    first_address constant text := split_part(regexp_replace(current_setting('listen_addresses'), '\s', '', 'g'), ',', 1);
    server text := coalesce(host, CASE WHEN first_address IN ('*', '0.0.0.0', 'localhost') THEN '127.0.0.1' WHEN first_address = '::' THEN '::1' ELSE first_address END);
    -- What a key can be made of: the manual tells of quoted names, but PgBouncer's parser knows none.
    plain constant text := '^[A-Za-z0-9_.-]+$';
    breaks constant text := '[\n\r]';
    wrong text;
    ini text;
BEGIN
    IF settings IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'settings must not be null';
    ELSIF jsonb_typeof(settings) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'settings must be an object',
            HINT = 'For example {"listen_port": 6432, "logfile": null}; null leaves a line out.';
    END IF;
    SELECT s.key INTO wrong FROM jsonb_each(settings) AS s
     WHERE s.key !~ '^[a-z_]+$' OR jsonb_typeof(s.value) IN ('object', 'array') OR s.value #>> '{}' ~ breaks ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" cannot be written to pgbouncer.ini', wrong),
            DETAIL = 'A name is of small letters and underscores; a value is a string of one line, a number, true, false or null.';
    ELSIF server ~ breaks THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'host must be one line';
    END IF;

    WITH rows AS MATERIALIZED (
        SELECT p.* FROM @extschema@.wc_pool_profile(profile, roles, databases) WITH ORDINALITY AS p (setting, value, place, object, why, number)
    ), target AS (
        SELECT coalesce('host=' || CASE WHEN nullif(server, '') ~ '^[A-Za-z0-9_./:,-]+$' THEN server ELSE '''' || replace(nullif(server, ''), '''', '''''') || '''' END || ' ', '')
               || 'port=' || current_setting('port') || ' ' AS connection
    ), line (section, number, line) AS (
        SELECT 1, r.number, r.object || ' = ' || t.connection || r.setting || '=' || r.value
          FROM rows AS r CROSS JOIN target AS t WHERE r.place = 'pgbouncer.ini, [databases]' AND r.object ~ plain
        UNION ALL
        -- A name that can be no key is reached by the entry for every other database.
        SELECT 1, 1000000, E'; For names that can be no key here, and so for every other database of the server, to roles that may connect to it:\n'
               || string_agg(';   ' || regexp_replace(r.object, breaks, ' ', 'g') || E'\n', '' ORDER BY r.number)
               || '* = ' || t.connection || min(r.setting) || '=' || min(r.value::integer)
          FROM rows AS r CROSS JOIN target AS t WHERE r.place = 'pgbouncer.ini, [databases]' AND r.object !~ plain GROUP BY t.connection
        UNION ALL
        SELECT 2, r.number, CASE WHEN r.object ~ plain THEN r.object ELSE '; can be no key here, so it will meet its limit at the server: ' || regexp_replace(r.object, breaks, ' ', 'g') END
               || ' = ' || r.setting || '=' || r.value
          FROM rows AS r WHERE r.place = 'pgbouncer.ini, [users]'
        UNION ALL
        SELECT 3, coalesce(d.number, 2000000), concat('; ' || d.why || E'\n', coalesce(d.name, e.key), ' = ', CASE WHEN e.key IS NULL THEN d.value ELSE e.value END)
          FROM (SELECT r.number, r.setting, r.value, r.why FROM rows AS r WHERE r.place = 'pgbouncer.ini'
                UNION ALL
                VALUES (-10, 'listen_addr', '127.0.0.1', 'this machine''s clients; others need TLS (client_tls_*) too'),
                       (-9, 'listen_port', '6432', NULL), (-8, 'unix_socket_dir', '/var/run/postgresql', NULL),
                       (-7, 'auth_type', 'scram-sha-256', 'the accounts, with their SCRAM secrets as they are in pg_authid'), (-6, 'auth_file', '/etc/pgbouncer/userlist.txt', NULL),
                       (-5, 'stats_users', 'whitecross_monitor', 'who may ask SHOW POOLS and its like'),
                       (-4, 'logfile', '/var/log/postgresql/pgbouncer.log', NULL), (-3, 'pidfile', '/var/run/postgresql/pgbouncer.pid', NULL),
                       (-2, 'log_connections', '0', NULL), (-1, 'log_disconnections', '0', NULL)) AS d (number, name, value, why)
          FULL JOIN (SELECT o.key, CASE o.value WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE o.value #>> '{}' END AS value FROM jsonb_each(settings) AS o) AS e ON e.key = d.name
         WHERE e.key IS NULL OR e.value IS NOT NULL
    )
    SELECT concat('; PgBouncer 1.18 for the server at port ', current_setting('port'), ', profile ', profile, E': made by wc_pgbouncer_ini() of whitecross.\n',
                  E'; Limits of statements and transactions are the roles'' own: wc_apply_session_limits().\n',
                  E'\n[databases]\n', (SELECT string_agg(l.line || E'\n', '' ORDER BY l.number) FROM line AS l WHERE l.section = 1),
                  E'\n[users]\n' || (SELECT string_agg(l.line || E'\n', '' ORDER BY l.number) FROM line AS l WHERE l.section = 2),
                  E'\n[pgbouncer]\n', (SELECT string_agg(l.line || E'\n', '' ORDER BY l.number, l.line) FROM line AS l WHERE l.section = 3))
      INTO ini;
    RETURN ini;
END
$pgbouncer_ini$;
COMMENT ON FUNCTION @extschema@.wc_pgbouncer_ini(text, text[], text[], text, jsonb) IS
'A complete pgbouncer.ini of a pool profile, for PgBouncer 1.18, in transaction pooling. host: where PgBouncer finds this server (default: the address it listens on); settings: what the section [pgbouncer] has otherwise, null for a line to be left out.';

CREATE FUNCTION @extschema@.wc_role_setting(role oid, setting text)
RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $role_setting$
    SELECT substr(c.entry, length($2) + 2) FROM pg_db_role_setting AS o CROSS JOIN unnest(o.setconfig) AS c (entry)
     WHERE o.setrole = $1 AND o.setdatabase = 0 AND split_part(c.entry, '=', 1) = $2
$role_setting$;
COMMENT ON FUNCTION @extschema@.wc_role_setting(oid, text) IS
'Internal: what ALTER ROLE ... SET has set for a role in all databases; NULL: nothing.';

CREATE FUNCTION @extschema@.wc_session_limits_noted(role oid)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $session_limits_noted$
DECLARE
    noted jsonb;
BEGIN
    -- It is a setting of the library's, which a session may not have loaded yet.
    PERFORM @extschema@.wc_preloaded();
    noted := @extschema@.wc_role_setting(role, 'whitecross.session_limits');
    -- A role may write its own: nothing else than such limits is ever set from it.
    IF jsonb_typeof(noted) <> 'object' OR EXISTS (SELECT FROM jsonb_each(noted) AS e WHERE e.key NOT IN ('statement_timeout', 'idle_in_transaction_session_timeout')
                                                     OR coalesce(jsonb_typeof(e.value -> 'applied') <> 'string', true) OR coalesce(jsonb_typeof(e.value -> 'before') NOT IN ('string', 'null'), true)) THEN
        RAISE invalid_text_representation;
    END IF;
    RETURN noted;
EXCEPTION WHEN invalid_text_representation THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('what is noted of the limits of role "%s" cannot be read', pg_get_userbyid(role)),
        HINT = format('ALTER ROLE %I RESET whitecross.session_limits; forgets it, and leaves the limits as they are.', pg_get_userbyid(role));
END
$session_limits_noted$;
COMMENT ON FUNCTION @extschema@.wc_session_limits_noted(oid) IS
'Internal: what wc_apply_session_limits() has put where for a role; NULL: nothing.';

CREATE FUNCTION @extschema@.wc_apply_session_limits(role_name text, profile text)
RETURNS TABLE (setting text, previous text, value text, action text, reason text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE ROWS 3
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $apply_session_limits$
#variable_conflict use_column
DECLARE
    target pg_roles;
    had jsonb;
    noted jsonb := '{}';
    wanted record;
    there record;
    members text;
BEGIN
    IF role_name IS NULL OR profile IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'role_name and profile must not be null';
    END IF;
    SELECT * INTO target FROM pg_roles AS r WHERE r.rolname = role_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', role_name);
    END IF;
    had := @extschema@.wc_session_limits_noted(target.oid);
    IF target.rolsuper THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('role "%s" is a superuser', role_name),
            DETAIL = 'Limits of sessions would end its maintenance: dumps, VACUUM, CREATE INDEX.',
            HINT = 'Let the application connect as a role of its own.';
    END IF;
    FOR wanted IN SELECT p.setting, p.value FROM @extschema@.wc_pool_profile(profile, '{}', '{}') AS p WHERE p.place = 'role' LOOP
        setting := wanted.setting;
        value := wanted.value;
        reason := NULL;
        previous := @extschema@.wc_role_setting(target.oid, setting);
        -- What was there before us: as noted if nobody has touched it since, else what it is now.
        noted := noted || jsonb_build_object(setting, jsonb_build_object('applied', value, 'before',
                     CASE WHEN previous = had -> setting ->> 'applied' THEN had -> setting ->> 'before' ELSE previous END));
        action := CASE WHEN previous IS NULL THEN 'set' WHEN previous = value THEN 'unchanged' ELSE 'changed' END;
        IF action <> 'unchanged' THEN
            EXECUTE format('ALTER ROLE %I SET %s = %L', target.rolname, setting, value);
        END IF;
        RETURN NEXT;
        -- What is set for the role in one database wins over what is set for the role.
        FOR there IN SELECT d.datname, substr(c.entry, length(wanted.setting) + 2) AS entry_value FROM pg_db_role_setting AS o
                       JOIN pg_database AS d ON d.oid = o.setdatabase CROSS JOIN unnest(o.setconfig) AS c (entry)
                      WHERE o.setrole = target.oid AND split_part(c.entry, '=', 1) = wanted.setting ORDER BY d.datname LOOP
            previous := there.entry_value;
            value := there.entry_value;
            action := 'overridden';
            reason := format('ALTER ROLE %I IN DATABASE %I RESET %s;', target.rolname, there.datname, setting);
            RETURN NEXT;
        END LOOP;
    END LOOP;
    IF noted IS DISTINCT FROM had THEN
        EXECUTE format('ALTER ROLE %I SET whitecross.session_limits = %L', target.rolname, noted);
    END IF;
    IF NOT target.rolcanlogin THEN
        SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) INTO members
          FROM pg_roles AS r WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_has_role(r.oid, target.oid, 'MEMBER');
        RAISE NOTICE USING MESSAGE = format('role "%s" cannot log in, so its limits hold for no session', role_name),
            DETAIL = 'A role''s settings are not those of its members.', HINT = 'Members that log in: ' || coalesce(members, 'none') || '.';
    END IF;
END
$apply_session_limits$;
COMMENT ON FUNCTION @extschema@.wc_apply_session_limits(text, text) IS
'Sets the limits of a pool profile (statement_timeout, idle_in_transaction_session_timeout) for a role, notes what was there before, and says what it changed. They hold for sessions that begin afterwards. ALTER ROLE''s rules say who may.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_apply_session_limits(text, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.wc_reset_session_limits(role_name text)
RETURNS TABLE (setting text, previous text, value text, action text, reason text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE ROWS 3
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $reset_session_limits$
#variable_conflict use_column
DECLARE
    target pg_roles;
    had jsonb;
    noted record;
BEGIN
    IF role_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'role_name must not be null';
    END IF;
    SELECT * INTO target FROM pg_roles AS r WHERE r.rolname = role_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', role_name);
    END IF;
    had := @extschema@.wc_session_limits_noted(target.oid);
    IF had IS NULL THEN
        RAISE NOTICE USING MESSAGE = format('role "%s" has no limits that wc_apply_session_limits() has set', role_name);
        RETURN;
    END IF;
    FOR noted IN SELECT e.key, e.value ->> 'applied' AS applied, e.value ->> 'before' AS before FROM jsonb_each(had) AS e ORDER BY e.key DESC LOOP
        setting := noted.key;
        previous := @extschema@.wc_role_setting(target.oid, setting);
        reason := NULL;
        IF previous IS DISTINCT FROM noted.applied THEN
            value := previous;
            action := 'kept';
            reason := 'somebody else has changed it since';
        ELSIF noted.before IS NULL THEN
            EXECUTE format('ALTER ROLE %I RESET %s', target.rolname, setting);
            value := NULL;
            action := 'removed';
        ELSE
            EXECUTE format('ALTER ROLE %I SET %s = %L', target.rolname, setting, noted.before);
            value := noted.before;
            action := CASE WHEN value = previous THEN 'unchanged' ELSE 'restored' END;
        END IF;
        RETURN NEXT;
    END LOOP;
    EXECUTE format('ALTER ROLE %I RESET whitecross.session_limits', target.rolname);
END
$reset_session_limits$;
COMMENT ON FUNCTION @extschema@.wc_reset_session_limits(text) IS
'Takes back what wc_apply_session_limits() has set for a role: what was there before is restored, what somebody has changed since is kept. ALTER ROLE''s rules say who may.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_reset_session_limits(text) FROM PUBLIC;

-- sql/functions/monitored_health.sql

-- The health of the databases that have the extension, as the monitor has it checked.

CREATE FUNCTION @extschema@.wc_health_status()
RETURNS TABLE (healthy boolean, consecutive_failures integer, last_check timestamptz, last_failure timestamptz, duration_ms double precision,
               failing text[], reason text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_health_status';
COMMENT ON FUNCTION @extschema@.wc_health_status() IS
'The health of this database, which the monitor has checked each whitecross.health_interval: three checks in a row that fail make it unhealthy, a good one healthy again; which checks were critical, and why the last one failed or could not be made.';

CREATE FUNCTION @extschema@.wc_database_health()
RETURNS TABLE (database text, version text, healthy boolean, consecutive_failures integer, last_check timestamptz, last_failure timestamptz,
               duration_ms double precision, failing text[], reason text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 4
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_database_health';
COMMENT ON FUNCTION @extschema@.wc_database_health() IS
'wc_health_status() of each database that has the extension, with its version there; without the rights of pg_read_all_stats of this one only.';

-- sql/functions/alerts.sql

-- What the monitor warns of.

CREATE FUNCTION @extschema@.wc_raised_alerts()
RETURNS TABLE (level text, name text, subject text, database text, value double precision, "limit" double precision,
               since timestamptz, last_raised timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_raised_alerts';
COMMENT ON FUNCTION @extschema@.wc_raised_alerts() IS
'Internal: the alerts that are raised now, without what to do about them; see wc_alerts.';

CREATE VIEW @extschema@.wc_alerts AS
SELECT a.level, a.name, a.subject, a.database, a.value, a."limit", a.since, a.last_raised,
       CASE a.name
       WHEN 'connections' THEN 'SELECT * FROM @extschema@.wc_connections ORDER BY total DESC;'
       WHEN 'connections_waiting' THEN 'SELECT pid, pg_blocking_pids(pid), datname, usename, now() - xact_start FROM pg_stat_activity WHERE wait_event_type = ''Lock'';'
       WHEN 'pooler_connections' THEN 'SELECT * FROM @extschema@.wc_pooler;'
       WHEN 'pooler_waiting' THEN 'SELECT * FROM @extschema@.wc_pooler;'
       WHEN 'pooler_down' THEN 'SELECT * FROM @extschema@.wc_pooler_status;'
       WHEN 'unhealthy' THEN 'SELECT * FROM @extschema@.wc_health_status();'
       WHEN 'constraint_violations' THEN 'SELECT * FROM @extschema@.wc_constraint_violations;'
       WHEN 'slow_queries' THEN 'SELECT * FROM @extschema@.wc_slow_queries LIMIT 10;'
       WHEN 'n_plus_one' THEN 'SELECT * FROM @extschema@.wc_n_plus_one LIMIT 10;'
       WHEN 'view_age' THEN 'SELECT * FROM @extschema@.wc_view_stats();'
       WHEN 'refresh_failed' THEN 'SELECT * FROM @extschema@.wc_refresh_log WHERE status = ''failed'' ORDER BY started_at DESC LIMIT 10;'
       WHEN 'change_log' THEN 'SELECT * FROM @extschema@.wc_pending_changes();'
       WHEN 'transaction_id_age' THEN format('SELECT oid::regclass, age(relfrozenxid) FROM pg_class WHERE relkind IN (''r'', ''m'', ''t'') ORDER BY 2 DESC LIMIT 10; -- in database %I', a.subject)
       WHEN 'replication_lag' THEN CASE WHEN a.subject LIKE 'slot %' THEN 'SELECT * FROM pg_replication_slots;'
                                        WHEN pg_is_in_recovery() THEN 'SELECT * FROM pg_stat_wal_receiver;'
                                        ELSE 'SELECT * FROM pg_stat_replication;' END
       END || CASE WHEN a.database <> current_database() THEN format(' -- in database %I', a.database) ELSE '' END AS hint
  FROM @extschema@.wc_raised_alerts() AS a;
COMMENT ON VIEW @extschema@.wc_alerts IS
'The alerts that are raised now: of the server, of this database, and of the others for who may see them; with a statement that shows more.';
GRANT SELECT ON @extschema@.wc_alerts TO PUBLIC;

CREATE FUNCTION @extschema@.wc_alert_status()
RETURNS TABLE (raised integer, max integer, refused bigint, last_refused timestamptz, pending_notifications integer,
               lost_notifications bigint, last_notified timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_alert_status';
COMMENT ON FUNCTION @extschema@.wc_alert_status() IS
'How many alerts of all databases are raised, how many there is room for (whitecross.alerts_max) and how often there was none, and what listeners in this database are still to be notified of.';

-- sql/functions/server_health.sql

-- The part of the health check that is about the server and its statements, not about the managed objects.

CREATE FUNCTION @extschema@.wc_server_health()
RETURNS TABLE (place integer, check_name text, status text, detail text, hint text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $server_health$
BEGIN
    -- What is counted in shared memory. Without it the check 'library' says so.
    IF @extschema@.wc_preloaded() THEN
        RETURN QUERY
        WITH known AS MATERIALIZED (
            SELECT i.patterns, i.max_patterns, i.evicted, i.since, i.tracking, i.query_ids FROM @extschema@.wc_query_stats_info AS i
        ), history AS MATERIALIZED (
            SELECT h.monitored, h.sqlstate, h.written_at, h.unusable FROM @extschema@.wc_query_history_outcome() AS h
        ), slow AS MATERIALIZED (
            SELECT count(*) AS statements, max(s.duration_ms) AS longest, count(*) FILTER (WHERE s.outcome <> 'completed') AS unfinished
              FROM @extschema@.wc_slow_queries AS s WHERE s.started_at > now() - interval '1 hour'
        ), loops AS MATERIALIZED (
            SELECT count(*) AS patterns, max(n.largest_burst) AS largest
              FROM @extschema@.wc_n_plus_one AS n WHERE n.last_seen > now() - interval '1 hour'
        ), violations AS MATERIALIZED (
            SELECT v.table_name, v.constraint_name, v.kind, v.last_hour, v.last_day, v.level FROM @extschema@.wc_constraint_violations AS v
        ), sampling AS MATERIALIZED (
            SELECT c.sampled_at, c.sqlstate FROM @extschema@.wc_connection_history_status() AS c
        ), checked AS MATERIALIZED (
            SELECT h.last_check, h.reason FROM @extschema@.wc_health_status() AS h
        ), pooler AS MATERIALIZED (
            SELECT p.configured, p.connected, p.since, p.last_answer, p.last_error, p.pools, p.pools_left_out FROM @extschema@.wc_pooler_status() AS p
        ), alerts AS MATERIALIZED (
            -- But for the one that says that this check itself is critical.
            SELECT a.name, a.subject, a.level FROM @extschema@.wc_alerts AS a
             WHERE a.name <> 'unhealthy' AND (a.database IS NULL OR a.database = current_database())
        ), unlogged AS MATERIALIZED (
            -- What keeps an error from the log keeps it from being counted.
            SELECT b.value, b.place, b.command
              FROM (SELECT p.reset_val AS value, '' AS place, 'ALTER SYSTEM SET log_min_messages = warning; SELECT pg_reload_conf();' AS command
                      FROM pg_settings AS p WHERE p.name = 'log_min_messages'
                    UNION ALL
                    SELECT substr(c.entry, strpos(c.entry, '=') + 1),
                           ' for ' || coalesce(nullif(concat_ws(' in ', 'role ' || quote_ident(r.rolname), 'database ' || quote_ident(d.datname)), ''), 'all roles'),
                           CASE WHEN r.rolname IS NULL AND d.datname IS NOT NULL THEN format('ALTER DATABASE %I', d.datname)
                                ELSE concat_ws(' ', 'ALTER ROLE', coalesce(quote_ident(r.rolname), 'ALL'), 'IN DATABASE ' || quote_ident(d.datname)) END || ' RESET log_min_messages;'
                      FROM pg_db_role_setting AS o
                     CROSS JOIN LATERAL unnest(o.setconfig) AS c (entry)
                      LEFT JOIN pg_roles AS r ON r.oid = o.setrole
                      LEFT JOIN pg_database AS d ON d.oid = o.setdatabase
                     WHERE split_part(c.entry, '=', 1) = 'log_min_messages' AND (d.datname IS NULL OR d.datname = current_database())) AS b
             WHERE lower(b.value) IN ('log', 'fatal', 'panic')
        ), swallowing AS MATERIALIZED (
            -- Functions of the site's with an EXCEPTION block that may catch a violation.
            SELECT p.oid, format('%I.%I', n.nspname, p.proname) AS name, row_number() OVER (ORDER BY n.nspname, p.proname, p.oid) AS number
              FROM pg_proc AS p
              JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
              JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
             WHERE p.prosrc ~* '\mexception\s+when\M'
               AND p.prosrc ~* '\mwhen\s[^;]*\m(others|(integrity_constraint|unique|check|foreign_key|not_null|exclusion|restrict)_violation|sqlstate\s*''23)'
               AND NOT EXISTS (SELECT FROM pg_depend AS m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid AND m.deptype = 'e')
        ), findings (place, check_name, status, detail, hint) AS (
            SELECT 22, 'statement statistics', 'warning', 'statements are not identified, because compute_query_id is off',
                   'ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();'
              FROM known AS k WHERE NOT k.query_ids
            UNION ALL
            SELECT 22, 'statement statistics', 'warning', 'statements are not followed, because whitecross.track_queries is off',
                   'ALTER SYSTEM SET whitecross.track_queries = on; SELECT pg_reload_conf();'
              FROM known AS k WHERE NOT k.tracking
            UNION ALL
            SELECT 22, 'statement statistics', 'warning',
                   format('%s patterns gave their place to others since %s: there is room for %s', k.evicted, date_trunc('second', k.since), k.max_patterns),
                   format('ALTER SYSTEM SET whitecross.query_stats_max = %s; -- and restart the server', 2 * k.max_patterns)
              FROM known AS k WHERE k.evicted > 10 * k.max_patterns
            UNION ALL
            SELECT 23, 'query history', 'warning', 'its monitor does not run: it is written when the server is shut down, and lost in a crash',
                   format('ALTER SYSTEM SET max_worker_processes = %s; -- and restart the server', current_setting('max_worker_processes')::integer + 4)
              FROM history AS h WHERE NOT h.monitored
            UNION ALL
            SELECT 23, 'query history', 'warning',
                   format('the query history can''t be written (%s); last written %s', h.sqlstate, coalesce(date_trunc('second', h.written_at)::text, 'never')),
                   'See to the data folder: is there room, and may the server write there? The server''s log has the error.'
              FROM history AS h WHERE h.sqlstate IS NOT NULL
            UNION ALL
            SELECT 23, 'query history', 'warning', format('%s files of the query history can''t be used', h.unusable),
                   'SELECT * FROM @extschema@.wc_query_history;'
              FROM history AS h WHERE h.unusable > 0
            UNION ALL
            SELECT 24, 'slow queries', 'warning',
                   format('%s statements took longer than %s in the last hour, the longest %s ms; %s failed or were cancelled', s.statements,
                          current_setting('whitecross.slow_query_threshold'), round(s.longest::numeric), s.unfinished),
                   'SELECT * FROM @extschema@.wc_slow_queries LIMIT 10; -- and where hypopg is installed SELECT * FROM @extschema@.wc_suggest_indexes();'
              FROM slow AS s WHERE s.statements > 0
            UNION ALL
            SELECT 25, 'N+1 patterns', 'warning',
                   format('%s statements were repeated in loops in the last hour, one of them %s times in a row', l.patterns, l.largest),
                   'SELECT * FROM @extschema@.wc_n_plus_one;'
              FROM loops AS l WHERE l.patterns > 0
            UNION ALL
            SELECT 26, 'constraint violations', v.level,
                   CASE WHEN v.kind = 'all' THEN format('%s violations of constraints in the last hour, %s in the last day', v.last_hour, v.last_day)
                        ELSE format('%s violations of %s in the last hour, %s in the last day', v.last_hour,
                                    coalesce(concat_ws(' of ', v.constraint_name, v.table_name), 'a constraint that the error does not name'), v.last_day) END,
                   'SELECT * FROM @extschema@.wc_constraint_violations;'
              FROM violations AS v
             -- The sum where no constraint by itself says as much.
             WHERE v.level <> 'ok' AND (v.kind <> 'all' OR NOT EXISTS (SELECT FROM violations AS o WHERE o.kind <> 'all' AND o.level = v.level))
            UNION ALL
            SELECT 27, 'violations seen', 'warning', format('log_min_messages is %s%s: violations of constraints are not counted there', u.value, u.place), u.command
              FROM unlogged AS u
            UNION ALL
            SELECT 27, 'violations seen', 'warning',
                   format('%s functions have an EXCEPTION block that may catch violations of constraints, which are then not counted: %s', count(*),
                          string_agg(s.name, ', ' ORDER BY s.number) FILTER (WHERE s.number <= 5) || CASE WHEN count(*) > 5 THEN ', ...' ELSE '' END),
                   format('SELECT p.oid::regprocedure, p.prosrc FROM pg_proc AS p WHERE p.oid IN (%s); -- they see what the server can''t tell', string_agg(s.oid::text, ', ' ORDER BY s.number))
              FROM swallowing AS s HAVING count(*) > 0
            UNION ALL
            SELECT 30, 'monitor', 'warning', format('connections were last sampled %s ago, which is to be done each %s',
                                                    date_trunc('second', now() - s.sampled_at), current_setting('whitecross.monitor_interval')),
                   'SELECT pid, state, wait_event FROM pg_stat_activity WHERE backend_type = ''whitecross monitor''; -- and the server''s log says more'
              FROM sampling AS s WHERE s.sampled_at < now() - 3 * current_setting('whitecross.monitor_interval')::interval - interval '10 s'
            UNION ALL
            SELECT 30, 'monitor', 'warning', format('samples of connections can''t be written (%s)', s.sqlstate),
                   'See to the data folder: is there room, and may the server write there? The server''s log has the error.'
              FROM sampling AS s WHERE s.sqlstate IS NOT NULL
            UNION ALL
            SELECT 30, 'monitor', 'warning',
                   CASE WHEN h.last_check IS NULL THEN format('the health of this database is not checked: %s', h.reason)
                        ELSE format('the health of this database was last checked %s ago, which is to be done each %s%s', date_trunc('second', now() - h.last_check),
                                    current_setting('whitecross.health_interval'), ': ' || h.reason) END,
                   'SELECT * FROM @extschema@.wc_health_status();'
              FROM checked AS h
             WHERE current_setting('whitecross.health_interval')::interval > interval '0'
               AND (h.last_check < now() - 3 * current_setting('whitecross.health_interval')::interval - interval '30 s'
                    OR h.last_check IS NULL AND h.reason ~ '^(it can''t be checked|there is no room)')
            UNION ALL
            SELECT 31, 'pooler', 'warning',
                   concat('PgBouncer does not answer', ': ' || p.last_error, '; it last did ', coalesce(date_trunc('second', now() - p.last_answer) || ' ago', 'never')),
                   'SELECT * FROM @extschema@.wc_pooler_status;'
              FROM pooler AS p WHERE p.configured AND NOT p.connected AND p.since IS NOT NULL -- what it said is not for everybody
            UNION ALL
            SELECT 31, 'pooler', 'warning', format('%s of PgBouncer''s pools are left out: there is no room for more', p.pools_left_out),
                   'SELECT * FROM @extschema@.wc_pooler_status;'
              FROM pooler AS p WHERE p.pools_left_out > 0
            UNION ALL
            SELECT 32, 'alerts', 'warning', format('%s alerts are raised: %s', count(*), string_agg(a.name || ' of ' || a.subject, ', ' ORDER BY a.level, a.name, a.subject)),
                   'SELECT * FROM @extschema@.wc_alerts;'
              FROM alerts AS a HAVING count(*) > 0
            UNION ALL
            SELECT 32, 'alerts', 'warning', format('there was no room for %s more, the last time %s', a.refused, date_trunc('second', a.last_refused)),
                   format('ALTER SYSTEM SET whitecross.alerts_max = %s; -- and restart the server', 2 * a.max)
              FROM @extschema@.wc_alert_status() AS a WHERE a.last_refused > now() - interval '1 hour'
        ), checks (place, check_name, good) AS (
            SELECT 22, 'statement statistics', format('%s of at most %s patterns of statements are kept', k.patterns, k.max_patterns) FROM known AS k
            UNION ALL SELECT 23, 'query history', 'written ' || coalesce(date_trunc('second', now() - h.written_at) || ' ago', 'never yet') FROM history AS h
            UNION ALL SELECT 24, 'slow queries', format('no statement took longer than %s in the last hour', current_setting('whitecross.slow_query_threshold'))
            UNION ALL SELECT 25, 'N+1 patterns', 'no statement was repeated in a loop in the last hour'
            UNION ALL SELECT 26, 'constraint violations', format('%s in the last hour, %s in the last day', v.last_hour, v.last_day)
                        FROM violations AS v WHERE v.kind = 'all'
            UNION ALL SELECT 27, 'violations seen', 'every violation that ends a statement is counted'
            UNION ALL SELECT 30, 'monitor', concat('connections sampled ', coalesce(date_trunc('second', now() - s.sampled_at) || ' ago', 'not yet'),
                                                   ', health checked ', coalesce(date_trunc('second', now() - h.last_check) || ' ago', 'not yet'))
                        FROM sampling AS s CROSS JOIN checked AS h
            UNION ALL SELECT 31, 'pooler', CASE WHEN p.connected THEN format('PgBouncer answers, with %s pools', p.pools)
                                              WHEN p.configured THEN 'PgBouncer was not asked yet' ELSE 'no PgBouncer is watched' END FROM pooler AS p
            UNION ALL SELECT 32, 'alerts', 'no alert is raised'
        )
        SELECT c.place, c.check_name, coalesce(f.status, 'ok'), coalesce(f.detail, c.good), f.hint
          FROM checks AS c LEFT JOIN findings AS f ON f.place = c.place;
    END IF;

    RETURN QUERY
    WITH usage AS MATERIALIZED (
        SELECT u.schema_name, u.table_name, u.index_name, u.ours, u.verdict FROM @extschema@.wc_index_usage AS u
    ), private AS MATERIALIZED (
        SELECT p.setting, p.source, p.risk FROM @extschema@.wc_privacy_settings() AS p
    ), findings (place, check_name, status, detail, hint) AS (
        SELECT 28, 'index usage', 'warning', format('index %I of %I is invalid: it costs every write, and no query uses it', u.index_name, u.table_name),
               format('REINDEX INDEX CONCURRENTLY %I.%I; -- or DROP INDEX, if nobody misses it', u.schema_name, u.index_name)
          FROM usage AS u WHERE u.verdict = 'invalid' AND NOT u.ours -- ours: check 'indexes valid'
        UNION ALL
        SELECT 28, 'index usage', 'warning', format('index %I of %I is a %s', u.index_name, u.table_name, u.verdict),
               CASE WHEN u.ours THEN format('SELECT * FROM @extschema@.wc_disable(%L);', u.index_name)
                    ELSE format('DROP INDEX CONCURRENTLY %I.%I; -- if nothing names it', u.schema_name, u.index_name) END
          FROM usage AS u WHERE u.verdict LIKE 'duplicate of %'
        UNION ALL
        SELECT 29, 'privacy of the log', 'warning',
               format('%s settings let values of rows into the server''s log: %s', count(*), string_agg(DISTINCT p.setting, ', ')),
               'SELECT * FROM @extschema@.wc_privacy_settings() WHERE risk = ''critical'';'
          FROM private AS p WHERE p.risk = 'critical' HAVING count(*) > 0
    ), checks (place, check_name, good) AS (
        SELECT 28, 'index usage', format('%s indexes, none of them invalid or a duplicate', count(*)) FROM usage
        UNION ALL SELECT 29, 'privacy of the log', 'no setting lets values of rows into the server''s log'
    )
    SELECT c.place, c.check_name, coalesce(f.status, 'ok'), coalesce(f.detail, c.good), f.hint
      FROM checks AS c LEFT JOIN findings AS f ON f.place = c.place;
END
$server_health$;
COMMENT ON FUNCTION @extschema@.wc_server_health() IS
'Internal: what wc_health_check() has to say of statements, violations, indexes, the privacy of the log, and what the monitor finds; a role sees of statements what it may see.';

-- sql/functions/health.sql

-- The health check: one row for each thing that is wrong, and one row 'ok' for each check that finds nothing.
--
-- Any role may call it, on a standby and in a read-only transaction too. What a role may not see by itself comes from
-- functions that tell no more than is needed; no row's value is read.

CREATE FUNCTION @extschema@.wc_preloaded()
RETURNS boolean
LANGUAGE c STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_preloaded';
COMMENT ON FUNCTION @extschema@.wc_preloaded() IS
'Whether the server loads the library at its start (shared_preload_libraries).';

CREATE FUNCTION @extschema@.wc_data_presence()
RETURNS TABLE (relation_name text, has_rows boolean)
LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 8
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_data_presence';
COMMENT ON FUNCTION @extschema@.wc_data_presence() IS
'Internal: whether the views, and the tables that they can''t be empty without, have any row.';

CREATE FUNCTION @extschema@.wc_health_check()
RETURNS TABLE (check_name text, status text, detail text, hint text)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 20
SET search_path = pg_catalog, pg_temp
SET jit = off -- a second of compiling for milliseconds of work
AS $health$
WITH site AS MATERIALIZED (
    SELECT c.value AS base_schema, n.oid AS base_oid, e.extowner AS owner,
           EXISTS (SELECT FROM pg_class AS t
                    WHERE t.relnamespace = n.oid AND t.relname = 'students' AND t.relkind IN ('r', 'p')) AS has_tables
      FROM @extschema@.wc_configuration AS c
      JOIN pg_extension AS e ON e.extname = 'whitecross'
      LEFT JOIN pg_namespace AS n ON n.nspname = c.value
     WHERE c.name = 'base_schema'
), objects AS MATERIALIZED (
    SELECT o.kind, o.name, o.table_name, o.status, o.validated, o.reason,
           o.status IN ('installed', 'adopted', 'outdated') AS there
      FROM @extschema@.wc_objects() AS o
), views AS MATERIALIZED (
    SELECT o.name, o.status, o.reason, c.oid, c.relispopulated, c.relowner, c.relacl,
           format('%I.%I', site.base_schema, o.name) AS qualified,
           s.row_count, s.last_refresh, s.refreshed_by, t.last_refresh AS recorded_refresh, p.has_rows,
           sch.schedule,
           CASE sch.schedule WHEN 'hourly' THEN interval '1 hour' WHEN 'six_hourly' THEN interval '6 hours'
                             WHEN 'daily' THEN interval '24 hours' END AS every
      FROM objects AS o
     CROSS JOIN site
      JOIN @extschema@.wc_view_stats() AS s ON s.view_name = o.name
      LEFT JOIN pg_class AS c ON c.relnamespace = site.base_oid AND c.relname = o.name AND c.relkind = 'm'
      LEFT JOIN @extschema@.wc_view_state AS t ON t.view_name = o.name
      LEFT JOIN @extschema@.wc_view_schedule AS sch ON sch.view_name = o.name
      LEFT JOIN @extschema@.wc_data_presence() AS p ON p.relation_name = o.name
     WHERE o.kind = 'materialized view'
), base_tables AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relowner
      FROM pg_class AS c
      JOIN site ON c.relnamespace = site.base_oid
     WHERE c.relkind IN ('r', 'p')
       AND c.relname IN (SELECT d.table_name FROM @extschema@.wc_base_table AS d)
), indexes AS MATERIALIZED (
    SELECT o.name, o.kind, c.oid, i.indisvalid AND i.indisready AND i.indislive AS valid, i.indisunique,
           format('%I.%I', site.base_schema, o.name) AS qualified
      FROM objects AS o
     CROSS JOIN site
      JOIN pg_class AS c ON c.relnamespace = site.base_oid AND c.relname = o.name
      JOIN pg_index AS i ON i.indexrelid = c.oid
     WHERE o.kind IN ('covering index', 'partial index', 'composite index', 'view index', 'refresh index')
), readers AS MATERIALIZED (
    -- Who but its owner was granted a view, whole or in columns.
    SELECT g.name, string_agg(DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC'), ', ') AS roles
      FROM (SELECT v.name, v.relowner, a.grantee FROM views AS v
             CROSS JOIN LATERAL aclexplode(v.relacl) AS a WHERE a.privilege_type = 'SELECT'
            UNION
            SELECT v.name, v.relowner, a.grantee FROM views AS v
              JOIN pg_attribute AS t ON t.attrelid = v.oid AND t.attacl IS NOT NULL
             CROSS JOIN LATERAL aclexplode(t.attacl) AS a WHERE a.privilege_type = 'SELECT') AS g
      LEFT JOIN pg_roles AS r ON r.oid = g.grantee
     WHERE g.grantee <> g.relowner
     GROUP BY g.name
), scheduler AS MATERIALIZED (
    SELECT s.loaded, s.database, s.here, s.usable FROM @extschema@.wc_scheduler() AS s
), expected AS MATERIALIZED (
    SELECT s.schedule, max(v.every) AS every, string_agg(v.name, ', ' ORDER BY v.name) AS view_names,
           format('CALL @extschema@.wc_run_schedule(%L)', s.schedule) AS command
      FROM @extschema@.wc_view_schedule AS s
      JOIN views AS v ON v.name = s.view_name
     WHERE s.schedule <> 'off' AND v.status <> 'disabled'
     GROUP BY s.schedule
), jobs AS MATERIALIZED (
    SELECT j.job_name, j.schedule AS cron, j.command, j.run_as, j.active, j.last_status, j.last_start,
           substring(j.command FROM 'wc_run_schedule\(''([a-z_]+)''\)') AS schedule
      FROM @extschema@.wc_scheduled_jobs() AS j
), last_attempts AS MATERIALIZED (
    SELECT v.name, l.status, l.origin, l.sqlstate, l.message, l.started_at, f.first_scheduled
      FROM views AS v
      LEFT JOIN LATERAL (SELECT g.status, g.origin, g.sqlstate, g.message, g.started_at
                           FROM @extschema@.wc_refresh_log AS g WHERE g.view_name = v.name AND g.status <> 'skipped'
                          ORDER BY g.started_at DESC, g.id DESC LIMIT 1) AS l ON true
      LEFT JOIN LATERAL (SELECT max(g.started_at) AS first_scheduled
                           FROM @extschema@.wc_refresh_log AS g
                          WHERE g.view_name = v.name AND g.origin = 'schedule') AS f ON true
), changes AS MATERIALIZED (
    -- What each view has yet to take up; as long as nothing refreshes it, that is kept for it.
    SELECT v.name, p.pending_changes, now() - p.oldest_pending AS lag, t.last_reason, t.plan ->> 'problem' AS problem,
           coalesce(2 * v.every, interval '1 day') AS patience,
           coalesce(nullif(current_setting('whitecross.change_log_limit', true), ''), '1000000')::bigint AS most
      FROM views AS v
      JOIN @extschema@.wc_view_state AS t ON t.view_name = v.name
      LEFT JOIN @extschema@.wc_pending_changes() AS p ON p.view_name = v.name
     WHERE v.oid IS NOT NULL AND v.relispopulated
), findings (check_name, status, detail, hint) AS (
    SELECT 'base tables', 'warning', format('there is no table students in schema %I', site.base_schema),
           'SELECT * FROM @extschema@.wc_configure(''base_schema'', ''...''); or SELECT * FROM @extschema@.wc_create_base_tables(); and then SELECT * FROM @extschema@.wc_install();'
      FROM site WHERE NOT site.has_tables
    UNION ALL
    SELECT 'views exist', CASE WHEN site.has_tables THEN 'critical' ELSE 'warning' END,
           concat_ws(': ', format('%s is not there (%s)', v.name, v.status), v.reason),
           'SELECT * FROM @extschema@.wc_install(''materialized view'');'
      FROM views AS v CROSS JOIN site WHERE v.oid IS NULL AND v.status IN ('pending', 'conflict')
    UNION ALL
    SELECT 'views populated', 'critical', format('%s has never been filled: every query on it fails', v.name),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v WHERE NOT v.relispopulated
    UNION ALL
    -- Each student has a row in the first, each active one in the next two. The others may well be empty in the holidays,
    -- so there it counts only where they had rows before.
    SELECT 'views have data',
           CASE WHEN v.name = 'mv_student_health_summary' THEN 'critical' ELSE 'warning' END,
           format('%s is empty although table %s has rows%s', v.name, b.table_name, b.unless),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v
      JOIN (VALUES ('mv_student_health_summary', 'students', ''),
                   ('mv_compliance_status', 'students', ': right only where no student is active'),
                   ('mv_allergy_summary', 'students', ': right only where no student is active'),
                   ('mv_medication_schedule', 'student_medications', ', and it had rows before: right only where no medication is current'),
                   ('mv_appointment_statistics', 'appointments', ', and it had rows before: right only where none is of the last 90 days or to come'))
           AS b (view_name, table_name, unless) ON b.view_name = v.name
      JOIN @extschema@.wc_data_presence() AS p ON p.relation_name = b.table_name AND p.has_rows
     WHERE v.relispopulated AND NOT v.has_rows
       AND (b.table_name = 'students'
            OR EXISTS (SELECT FROM @extschema@.wc_refresh_log AS g WHERE g.view_name = v.name AND g.row_count > 0))
    UNION ALL
    SELECT 'views fresh',
           CASE WHEN now() - v.recorded_refresh > 12 * v.every AND v.last_refresh IS NOT NULL THEN 'critical' ELSE 'warning' END,
           CASE WHEN v.last_refresh IS NOT NULL
                THEN format('%s was refreshed %s ago; its schedule is %s', v.name,
                            date_trunc('second', now() - v.last_refresh), v.schedule)
                ELSE format('%s was filled by other means than wc_refresh(), at an unknown time; its schedule is %s', v.name, v.schedule) END,
           format('SELECT * FROM @extschema@.wc_refresh(%L);', v.name)
      FROM views AS v
     WHERE v.relispopulated AND v.every IS NOT NULL AND v.status <> 'disabled'
       AND coalesce(now() - v.recorded_refresh > 2 * v.every, true)
    UNION ALL
    SELECT 'last refresh', 'warning',
           format('the last attempt to refresh %s (%s, %s ago) failed: %s %s', l.name, l.origin,
                  date_trunc('second', now() - l.started_at), l.sqlstate, l.message),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', l.name)
      FROM last_attempts AS l WHERE l.status = 'failed'
    UNION ALL
    SELECT 'indexes valid', CASE WHEN i.kind = 'view index' AND i.indisunique THEN 'critical' ELSE 'warning' END,
           format('index %s is not valid: no query uses it', i.name),
           format('REINDEX INDEX CONCURRENTLY %s;', i.qualified)
      FROM indexes AS i WHERE NOT i.valid
    UNION ALL
    SELECT 'indexes exist', 'warning', concat_ws(': ', format('%s %s on %s is %s', o.kind, o.name, o.table_name, o.status), o.reason),
           format('SELECT * FROM @extschema@.wc_install(%L);', o.kind)
      FROM objects AS o CROSS JOIN site
     WHERE o.kind LIKE '% index' AND o.status = 'pending' AND site.has_tables
    UNION ALL
    SELECT 'constraints', 'warning',
           CASE WHEN o.there THEN format('constraint %s on %s is not validated: old rows may violate it', o.name, o.table_name)
                ELSE concat_ws(': ', format('constraint %s on %s is %s', o.name, o.table_name, o.status), o.reason) END,
           format('SELECT * FROM @extschema@.wc_breaches(%L); -- mend those rows, then SELECT * FROM @extschema@.wc_validate();', o.name)
      FROM objects AS o CROSS JOIN site
     WHERE o.kind = 'check constraint' AND site.has_tables
       AND ((o.there AND NOT o.validated) OR o.status = 'pending')
    UNION ALL
    SELECT 'conflicts', 'warning',
           concat_ws(': ', format('%s %s on %s has another definition than ours', o.kind, o.name, o.table_name), o.reason),
           format('SELECT * FROM @extschema@.wc_disable(%L); -- to live with it; or rename or drop that object, and SELECT * FROM @extschema@.wc_install(%L);', o.name, o.kind)
      FROM objects AS o WHERE o.status = 'conflict'
    UNION ALL
    SELECT 'definitions', 'warning',
           concat_ws(': ', format('%s %s has an older definition than today''s', o.kind, o.name), o.reason),
           format('SELECT * FROM @extschema@.wc_install(%L);', o.kind)
      FROM objects AS o WHERE o.status = 'outdated'
    UNION ALL
    SELECT 'links', 'warning', format('DROP EXTENSION would leave %s %s behind: it has lost its link', l.kind, l.name),
           'SELECT * FROM @extschema@.wc_install();'
      FROM @extschema@.wc_object_links() AS l WHERE NOT l.linked
    UNION ALL
    SELECT 'row security', 'warning',
           format('%s can read %s, which shows all rows whatever the policies of %s say', r.roles, r.name, t.names),
           format('REVOKE SELECT ON %s FROM %s; -- and give them a view on it that has the policy''s condition', v.qualified, r.roles)
      FROM readers AS r
      JOIN views AS v ON v.name = r.name
     CROSS JOIN (SELECT string_agg(b.relname, ', ' ORDER BY b.relname) AS names FROM base_tables AS b WHERE b.relrowsecurity) AS t
     WHERE t.names IS NOT NULL
    UNION ALL
    SELECT 'view owners', 'critical',
           format('%s, the owner of %s, %s: the view can''t be refreshed, or lacks rows', quote_ident(o.rolname), v.name,
                  concat_ws(', and ', 'may not read ' || t.unreadable, 'is subject to row security on ' || t.hidden)),
           concat_ws(' ', CASE WHEN t.qualified IS NOT NULL THEN format('GRANT SELECT ON %s TO %I;', t.qualified, o.rolname) END,
                     CASE WHEN t.hidden IS NOT NULL THEN format('ALTER ROLE %I BYPASSRLS;', o.rolname) END)
      FROM views AS v
      JOIN pg_roles AS o ON o.oid = v.relowner
     CROSS JOIN site
     CROSS JOIN LATERAL (
         SELECT string_agg(b.relname, ', ' ORDER BY b.relname) FILTER (WHERE NOT a.readable) AS unreadable,
                string_agg(b.relname, ', ' ORDER BY b.relname) FILTER (WHERE a.hidden) AS hidden,
                string_agg(format('%I.%I', site.base_schema, b.relname), ', ' ORDER BY b.relname) FILTER (WHERE NOT a.readable) AS qualified
           FROM base_tables AS b
          CROSS JOIN LATERAL (SELECT has_table_privilege(o.oid, b.oid, 'SELECT') AS readable,
                                     b.relrowsecurity AND NOT o.rolsuper AND NOT o.rolbypassrls
                                     AND (b.relforcerowsecurity OR NOT pg_has_role(o.oid, b.relowner, 'USAGE')) AS hidden) AS a
          WHERE NOT a.readable OR a.hidden) AS t
     WHERE t.unreadable IS NOT NULL OR t.hidden IS NOT NULL
    UNION ALL
    SELECT 'extension owner', 'critical',
           format('the extension''s owner, %s, is not a superuser: refreshing fails', quote_ident(r.rolname)),
           format('ALTER ROLE %I SUPERUSER;', r.rolname)
      FROM site JOIN pg_roles AS r ON r.oid = site.owner WHERE NOT r.rolsuper
    UNION ALL
    SELECT 'schedule', 'warning',
           CASE WHEN NOT s.loaded THEN 'pg_cron is not loaded: nothing refreshes the views by schedule'
                WHEN s.here THEN 'extension pg_cron is not installed: nothing refreshes the views by schedule'
                ELSE format('database %I of pg_cron does not exist', s.database) END,
           CASE WHEN NOT s.loaded
                THEN 'In postgresql.conf: shared_preload_libraries = ''pg_cron,whitecross'' and cron.database_name = ''...''; restart; there CREATE EXTENSION pg_cron; then here SELECT * FROM @extschema@.wc_schedule();'
                WHEN s.here THEN 'CREATE EXTENSION pg_cron; SELECT * FROM @extschema@.wc_schedule();'
                ELSE 'Set cron.database_name in postgresql.conf to a database that exists, and restart.' END
      FROM scheduler AS s WHERE NOT s.usable AND EXISTS (SELECT FROM expected)
    UNION ALL
    SELECT 'schedule', 'warning',
           CASE WHEN j.job_name IS NULL THEN format('no job of pg_cron refreshes %s (%s)', e.view_names, e.schedule)
                WHEN NOT j.active THEN format('job "%s" is switched off', j.job_name)
                WHEN j.command <> e.command THEN format('job "%s" runs %s, not %s', j.job_name, j.command, e.command)
                ELSE format('role %I of job "%s" can''t log in', j.run_as, j.job_name) END,
           'SELECT * FROM @extschema@.wc_schedule();'
      FROM expected AS e
      JOIN scheduler AS s ON s.here AND s.usable
      LEFT JOIN jobs AS j ON j.schedule = e.schedule
      LEFT JOIN pg_roles AS r ON r.rolname = j.run_as
     WHERE j.job_name IS NULL OR NOT j.active OR j.command <> e.command OR NOT coalesce(r.rolcanlogin, false)
    UNION ALL
    -- From another database than pg_cron's its jobs can't be seen, only what they did.
    SELECT 'schedule', 'warning',
           format('no scheduled refresh of %s (%s) has been seen for %s; its job is in database %I', l.name, v.schedule,
                  coalesce(date_trunc('second', now() - l.first_scheduled)::text, 'as long as the log goes back'), s.database),
           format('SELECT * FROM @extschema@.wc_schedule(); and in database %I: SELECT * FROM cron.job; SELECT * FROM cron.job_run_details ORDER BY runid DESC LIMIT 20;', s.database)
      FROM last_attempts AS l
      JOIN views AS v ON v.name = l.name
      JOIN scheduler AS s ON s.usable AND NOT s.here
     WHERE v.every IS NOT NULL AND v.oid IS NOT NULL AND v.status <> 'disabled'
       AND coalesce(now() - l.first_scheduled > 2 * v.every, true)
    UNION ALL
    SELECT 'last scheduled run', 'warning',
           format('the last run of job "%s", %s ago, failed', j.job_name, date_trunc('second', now() - j.last_start)),
           'SELECT * FROM cron.job_run_details ORDER BY runid DESC LIMIT 20; SELECT * FROM @extschema@.wc_refresh_log ORDER BY started_at DESC LIMIT 20;'
      FROM jobs AS j WHERE j.last_status = 'failed'
    UNION ALL
    SELECT 'change log', 'warning',
           format('%s changes are pending for %s, the oldest for %s', c.pending_changes, c.name, date_trunc('second', c.lag)),
           format('SELECT * FROM @extschema@.wc_refresh(%L);', c.name)
      FROM changes AS c WHERE c.pending_changes > c.most / 2 OR c.lag > c.patience
    UNION ALL
    SELECT 'incremental refresh', 'warning', format('%s is refreshed as a whole each time: %s', c.name, coalesce(nullif(c.problem, ''), c.last_reason)),
           'SELECT * FROM @extschema@.wc_install();'
      FROM changes AS c
     WHERE nullif(c.problem, '') IS NOT NULL OR c.last_reason LIKE 'there is no capture trigger on table %'
        OR c.last_reason LIKE 'a capture trigger is switched off on table %'
    UNION ALL
    SELECT 'library', 'warning', 'whitecross is not loaded at server start: what needs shared memory is not available',
           'In postgresql.conf add whitecross to shared_preload_libraries, and restart.'
     WHERE NOT @extschema@.wc_preloaded()
    UNION ALL
    -- A worker is behind for as long as a round takes, and away for moments: 10 seconds are neither.
    SELECT 'live mode', 'warning',
           CASE WHEN l.state = 'not preloaded' THEN 'live mode is switched on, but the server has not loaded the library at its start'
                WHEN l.state <> 'running' THEN concat_ws(': ', format('live mode is switched on, but its worker does not run: %s', l.state), l.sqlstate)
                WHEN l.behind_since IS NOT NULL
                THEN concat_ws('; ', format('the views are behind by what was committed since %s', date_trunc('second', l.behind_since)),
                               format('the last failure was %s', l.sqlstate))
                ELSE format('no view was refreshed at %s, when it changed by time alone', date_trunc('second', l.next_moment)) END,
           CASE l.state WHEN 'not preloaded' THEN 'In postgresql.conf add whitecross to shared_preload_libraries, and restart.'
                        WHEN 'no worker slot' THEN 'Raise max_worker_processes in postgresql.conf, and restart.'
                        ELSE 'SELECT * FROM @extschema@.wc_live_status(); SELECT * FROM @extschema@.wc_refresh_log WHERE origin = ''live'' ORDER BY started_at DESC LIMIT 20;' END
      FROM @extschema@.wc_live_status() AS l
     WHERE l.switched_on AND l.state <> 'standby'
       AND (l.state = 'not preloaded'
            OR l.state <> 'running' AND coalesce(l.since < clock_timestamp() - interval '10 seconds', true)
            OR l.state = 'running' AND least(l.behind_since, l.next_moment) < clock_timestamp() - interval '10 seconds')
), checks (position, check_name, good) AS (
    SELECT 1, 'base tables', format('base tables are in schema %I', site.base_schema) FROM site
    UNION ALL SELECT 2, 'views exist', format('%s of %s views are there', count(v.oid), count(*)) FROM views AS v
    UNION ALL SELECT 3, 'views populated', format('%s views are filled', count(*) FILTER (WHERE v.relispopulated)) FROM views AS v
    UNION ALL SELECT 4, 'views have data', 'no view is empty that should have rows'
    UNION ALL SELECT 5, 'views fresh', concat_ws(', ', 'every view is as fresh as its schedule wants it',
                     'the oldest refreshed ' || date_trunc('second', max(now() - v.last_refresh)) || ' ago') FROM views AS v
    UNION ALL SELECT 6, 'last refresh', 'no view''s last refresh failed'
    UNION ALL SELECT 7, 'indexes exist', format('%s indexes are there', count(*)) FROM indexes
    UNION ALL SELECT 8, 'indexes valid', format('%s indexes are valid', count(*)) FROM indexes
    UNION ALL SELECT 9, 'constraints', format('%s constraints are there and validated', count(*) FILTER (WHERE o.there))
                FROM objects AS o WHERE o.kind = 'check constraint'
    UNION ALL SELECT 10, 'conflicts', 'nothing else has a managed object''s name'
    UNION ALL SELECT 11, 'definitions', 'every object has today''s definition'
    UNION ALL SELECT 12, 'links', 'DROP EXTENSION would leave nothing of ours behind'
    UNION ALL SELECT 13, 'row security', 'no view shows a role what a base table''s policies hide'
    UNION ALL SELECT 14, 'view owners', 'each view''s owner can read every row of the base tables'
    UNION ALL SELECT 15, 'extension owner', 'the extension''s owner is a superuser'
    UNION ALL SELECT 16, 'schedule',
                     CASE WHEN NOT EXISTS (SELECT FROM expected) THEN 'every schedule is off'
                          WHEN s.here THEN 'each schedule has its job'
                          WHEN s.usable THEN format('scheduled refreshes come in; their jobs are in database %I', s.database) END FROM scheduler AS s
    UNION ALL SELECT 17, 'last scheduled run', 'no job''s last run failed'
    UNION ALL SELECT 18, 'change log', format('no view lags far behind; %s changes are pending for the furthest', coalesce(max(c.pending_changes), 0))
                FROM changes AS c
    UNION ALL SELECT 19, 'incremental refresh', 'each view''s changes are captured'
    UNION ALL SELECT 20, 'library', 'whitecross is loaded at server start'
    UNION ALL SELECT 21, 'live mode',
                     CASE WHEN NOT l.switched_on THEN 'live mode is off' WHEN l.state = 'standby' THEN 'live mode waits for promotion'
                          ELSE 'live mode keeps the views true' END FROM @extschema@.wc_live_status() AS l
)
SELECT r.check_name, r.status, r.detail, r.hint
  FROM (SELECT c.position AS place, c.check_name, coalesce(f.status, 'ok') AS status, coalesce(f.detail, c.good) AS detail, f.hint
          FROM checks AS c
          LEFT JOIN findings AS f ON f.check_name = c.check_name
         UNION ALL
        SELECT s.place, s.check_name, s.status, s.detail, s.hint FROM @extschema@.wc_server_health() AS s) AS r
 ORDER BY CASE r.status WHEN 'critical' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, r.place, r.detail
$health$;
COMMENT ON FUNCTION @extschema@.wc_health_check() IS
'What is wrong, worst first: status ok, warning or critical, what it is about, and what to run. One row for each finding, one for each check without any.';

CREATE FUNCTION @extschema@.wc_healthy()
RETURNS boolean
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $healthy$
SELECT NOT EXISTS (SELECT FROM @extschema@.wc_health_check() AS h WHERE h.status = 'critical')
$healthy$;
COMMENT ON FUNCTION @extschema@.wc_healthy() IS
'True when nothing that wc_health_check() finds is critical.';

-- sql/functions/database_metrics.sql

-- The metrics of a database; see metrics.sql for what holds for all.

-- The views that metrics tell of, at most 100: ours, and the site's by name, without those that are switched off. known: whether what the last refresh has noted is of the rows that
-- are there (see wc_view_stats). relation: null where the view isn't there.
CREATE FUNCTION @extschema@.wc_metric_views()
RETURNS TABLE (view_name text, relation oid, known boolean)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $metric_views$
SELECT d.name, c.oid, coalesce(c.relispopulated AND c.relfilenode = s.relfilenode, false)
  FROM (SELECT v.name FROM @extschema@.wc_view_catalogue AS v
         WHERE NOT EXISTS (SELECT FROM @extschema@.wc_registry AS r WHERE r.name = v.name AND r.disabled)
         ORDER BY v.of_site, v.name LIMIT 100) AS d
 CROSS JOIN (SELECT value AS base_schema FROM @extschema@.wc_configuration WHERE name = 'base_schema') AS b
  LEFT JOIN pg_namespace AS n ON n.nspname = b.base_schema
  LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = d.name AND c.relkind = 'm'
  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = d.name
$metric_views$;
COMMENT ON FUNCTION @extschema@.wc_metric_views() IS
'Internal: the materialized views that metrics tell of, and whether what their last refresh has noted holds for the rows that are there.';

-- Of this database: each metric says which, so that several databases can be scraped together.
CREATE FUNCTION @extschema@.wc_database_metrics(family text)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 300
SET search_path = pg_catalog, pg_temp
SET jit = off
SET lock_timeout = '100ms'
AS $database_metrics$
DECLARE
    this constant jsonb := jsonb_build_object('database', current_database());
    preloaded constant boolean := @extschema@.wc_preloaded(); -- this loads the library, without which its settings are not known
BEGIN
    IF family IS NULL OR family = 'extension' THEN
        RETURN QUERY
        SELECT 'whitecross_extension_info', 'gauge', 'Version of the extension in the database; always 1.',
               this || jsonb_build_object('version', e.extversion), 1::double precision
          FROM pg_extension AS e WHERE e.extname = 'whitecross';
    END IF;

    -- Of the materialized views that there are.
    IF family IS NULL OR family = 'view' THEN
        BEGIN
            RETURN QUERY
            SELECT m.name, m.type, m.help, this || jsonb_build_object('view', v.view_name), m.value
              FROM (SELECT c.relname AS view_name, c.relispopulated, pg_total_relation_size(c.oid) AS size, pg_stat_get_numscans(c.oid) AS scans,
                           coalesce((SELECT sum(pg_stat_get_numscans(i.indexrelid)) FROM pg_index AS i WHERE i.indrelid = c.oid), 0) AS index_scans
                      FROM @extschema@.wc_metric_views() AS w JOIN pg_class AS c ON c.oid = w.relation) AS v
             CROSS JOIN LATERAL (VALUES
                ('whitecross_view_populated', 'gauge', 'Whether the materialized view can be queried.', v.relispopulated::integer::double precision),
                ('whitecross_view_size_bytes', 'gauge', 'Size on disk of the materialized view, with its indexes and TOAST.', v.size),
                ('whitecross_view_sequential_scans_total', 'counter', 'Sequential scans of the materialized view on this server.', v.scans),
                ('whitecross_view_index_scans_total', 'counter', 'Scans of the indexes of the materialized view on this server.', v.index_scans)
             ) AS m (name, type, help, value)
             WHERE v.size IS NOT NULL;
        EXCEPTION WHEN lock_not_available THEN
            NULL; -- a view is locked against readers
        END;
    END IF;
    IF family IS NULL OR family = 'view_rows' THEN
        RETURN QUERY
        SELECT 'whitecross_view_rows', 'gauge', 'Rows of the materialized view, counted by its last refresh; after a REFRESH by hand estimated by the server.',
               this || jsonb_build_object('view', v.view_name), v.rows::double precision
          FROM (SELECT w.view_name,
                       CASE WHEN NOT c.relispopulated THEN NULL
                            WHEN w.known THEN s.row_count
                            WHEN pg_is_in_recovery() THEN nullif(greatest(c.reltuples, -1), -1)::bigint
                            ELSE pg_stat_get_live_tuples(c.oid) END AS rows
                  FROM @extschema@.wc_metric_views() AS w
                  JOIN pg_class AS c ON c.oid = w.relation
                  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = w.view_name) AS v
         WHERE v.rows IS NOT NULL;
    END IF;

    -- Of all that are managed, there or not.
    IF family IS NULL OR family = 'refresh' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, this || jsonb_build_object('view', v.view_name), m.value::double precision
          FROM (SELECT w.view_name, coalesce(s.refreshes, 0) + l.refreshes AS refreshes, coalesce(s.failures, 0) + l.failures AS failures,
                       (SELECT count(*) FROM @extschema@.wc_refresh_log AS g
                         WHERE g.view_name = w.view_name AND g.status = 'failed' AND g.started_at > coalesce(s.last_refresh, '-infinity')) AS in_a_row
                  FROM @extschema@.wc_metric_views() AS w
                  LEFT JOIN @extschema@.wc_view_state AS s ON s.view_name = w.view_name
                 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE g.status = 'refreshed') AS refreshes,
                                            count(*) FILTER (WHERE g.status = 'failed') AS failures
                                       FROM @extschema@.wc_refresh_log AS g
                                      WHERE g.view_name = w.view_name AND NOT g.counted) AS l) AS v
         CROSS JOIN LATERAL (VALUES
            ('whitecross_refresh_successes_total', 'counter', 'Refreshes of the materialized view that succeeded, since CREATE EXTENSION.', v.refreshes),
            ('whitecross_refresh_failures_total', 'counter', 'Refreshes of the materialized view that failed, since CREATE EXTENSION.', v.failures),
            ('whitecross_refresh_failures_in_a_row', 'gauge', 'Refreshes of the materialized view that failed, since the last one that did not.', v.in_a_row)
         ) AS m (name, type, help, value);
    END IF;
    IF family IS NULL OR family = 'refresh_last' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, this || jsonb_build_object('view', v.view_name), m.value
          FROM (SELECT w.view_name, extract(epoch FROM s.last_refresh)::double precision AS at, extract(epoch FROM now() - s.last_refresh)::double precision AS age,
                       s.last_duration_ms / 1000 AS duration, s.last_rows_written::double precision AS rows
                  FROM @extschema@.wc_metric_views() AS w JOIN @extschema@.wc_view_state AS s ON s.view_name = w.view_name
                 WHERE w.known) AS v
         CROSS JOIN LATERAL (VALUES
            ('whitecross_refresh_last_timestamp_seconds', 'gauge', 'When the rows of the materialized view were computed, by its last successful refresh.', v.at),
            ('whitecross_refresh_last_age_seconds', 'gauge', 'Age of the rows of the materialized view.', v.age),
            ('whitecross_refresh_last_duration_seconds', 'gauge', 'How long the last successful refresh of the materialized view took.', v.duration),
            ('whitecross_refresh_last_rows_written', 'gauge', 'Rows that the last successful refresh of the materialized view has written.', v.rows)
         ) AS m (name, type, help, value)
         WHERE v.at IS NOT NULL AND v.duration IS NOT NULL AND v.rows IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'refresh_schedule' THEN
        RETURN QUERY
        SELECT 'whitecross_refresh_schedule_interval_seconds', 'gauge', 'How often the materialized view is to be refreshed by its schedule.',
               this || jsonb_build_object('view', w.view_name), extract(epoch FROM i.every)::double precision
          FROM @extschema@.wc_metric_views() AS w
          JOIN @extschema@.wc_view_schedule AS s ON s.view_name = w.view_name
          JOIN (VALUES ('hourly', interval '1 hour'), ('six_hourly', '6 hours'), ('daily', '24 hours')) AS i (schedule, every) ON i.schedule = s.schedule;
    END IF;

    -- The log of changes is the primary's affair. Rows are the server's count of live ones: to count them would be to read them.
    IF (family IS NULL OR family = 'change_log') AND NOT pg_is_in_recovery() THEN
        BEGIN
            RETURN QUERY
            SELECT m.name, m.type, m.help, this, m.value
              FROM (SELECT '@extschema@.wc_change'::regclass AS log) AS l
             CROSS JOIN LATERAL (VALUES
                ('whitecross_change_log_rows', 'gauge', 'Changes that some materialized view has yet to take up, as the server''s statistics count them.',
                 pg_stat_get_live_tuples(l.log)::double precision),
                ('whitecross_change_log_limit_rows', 'gauge', 'Changes that the log may have before a view gives its share up: whitecross.change_log_limit.',
                 current_setting('whitecross.change_log_limit')::double precision),
                ('whitecross_change_log_size_bytes', 'gauge', 'Size on disk of the log of changes, with its index.', pg_total_relation_size(l.log)::double precision),
                ('whitecross_change_log_oldest_age_seconds', 'gauge', 'How long ago the first of these changes was noted; 0: there are none.',
                 coalesce((SELECT greatest(extract(epoch FROM now() - c.noted_at), 0) FROM @extschema@.wc_change AS c ORDER BY c.xid, c.seq LIMIT 1), 0)::double precision)
             ) AS m (name, type, help, value);
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END IF;

    -- The largest indexes by name; of all of them, how many there are of each verdict.
    IF family IS NULL OR family IN ('index', 'indexes') THEN
        BEGIN
            RETURN QUERY
            WITH usage AS MATERIALIZED (
                SELECT u.schema_name, u.table_name, u.index_name, u.scans, u.tuples_read, u.size_bytes, split_part(u.verdict, ' ', 1) AS verdict
                  FROM @extschema@.wc_index_usage AS u
            ), largest AS (
                SELECT u.* FROM usage AS u WHERE u.size_bytes IS NOT NULL ORDER BY u.size_bytes DESC, u.schema_name, u.index_name LIMIT 50
            ), verdicts AS (
                SELECT v.verdict, count(u.index_name) AS number, coalesce(sum(u.size_bytes), 0) AS size
                  FROM unnest(ARRAY['used', 'unused', 'duplicate', 'prefix', 'invalid']) AS v (verdict) LEFT JOIN usage AS u ON u.verdict = v.verdict
                 GROUP BY v.verdict
            )
            SELECT m.name, m.type, m.help, this || jsonb_build_object('schema', i.schema_name, 'table', i.table_name, 'index', i.index_name), m.value::double precision
              FROM largest AS i
             CROSS JOIN LATERAL (VALUES
                ('whitecross_index_size_bytes', 'gauge', 'Size on disk of the index; of the largest of the base tables and views.', i.size_bytes),
                ('whitecross_index_scans_total', 'counter', 'Scans of the index on this server; of the largest of the base tables and views.', i.scans),
                ('whitecross_index_tuples_read_total', 'counter', 'Entries that scans of the index have returned; of the largest of the base tables and views.', i.tuples_read)
             ) AS m (name, type, help, value)
             WHERE family IS DISTINCT FROM 'indexes'
            UNION ALL
            SELECT m.name, m.type, m.help, this || jsonb_build_object('verdict', v.verdict), m.value::double precision
              FROM verdicts AS v
             CROSS JOIN LATERAL (VALUES
                ('whitecross_indexes_present', 'gauge', 'Indexes of the base tables and views, by what wc_index_usage says of them.', v.number),
                ('whitecross_indexes_size_bytes', 'gauge', 'Size on disk of these indexes together.', v.size)
             ) AS m (name, type, help, value)
             WHERE family IS DISTINCT FROM 'index';
        EXCEPTION WHEN lock_not_available THEN
            NULL; -- an index is being dropped or built anew
        END;
    END IF;

    IF NOT preloaded THEN
        RETURN;
    END IF;

    IF family IS NULL OR family = 'health' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, this, m.value
          FROM @extschema@.wc_health_status() AS h
         CROSS JOIN LATERAL (VALUES
            ('whitecross_health_healthy', 'gauge', 'Whether the database is healthy: 0 after three checks in a row that failed.', h.healthy::integer::double precision),
            ('whitecross_health_consecutive_failures', 'gauge', 'Health checks of the database that failed in a row.', h.consecutive_failures),
            ('whitecross_health_last_check_timestamp_seconds', 'gauge', 'When the last health check of the database ended.', extract(epoch FROM h.last_check)),
            ('whitecross_health_last_check_duration_seconds', 'gauge', 'How long the last health check of the database took.', h.duration_ms / 1000)
         ) AS m (name, type, help, value)
         WHERE h.healthy IS NOT NULL AND h.last_check IS NOT NULL AND h.duration_ms IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'health_checks' THEN
        RETURN QUERY
        SELECT 'whitecross_health_check_failing', 'gauge', 'A check that was critical in the last health check of the database; always 1.',
               this || jsonb_build_object('check', c.name), 1::double precision
          FROM @extschema@.wc_health_status() AS h CROSS JOIN LATERAL (SELECT DISTINCT f.name FROM unnest(h.failing) AS f (name) ORDER BY f.name LIMIT 100) AS c;
    END IF;

    IF family IS NULL OR family = 'violations' THEN
        RETURN QUERY
        SELECT 'whitecross_constraint_violations_total', 'counter', 'Violations of constraints, since the server''s start or the last reset.', this, v.total::double precision
          FROM @extschema@.wc_constraint_violations() AS v WHERE v.kind = 'all';
    END IF;
    IF family IS NULL OR family = 'violations_by_constraint' THEN
        RETURN QUERY
        SELECT 'whitecross_constraint_recent_violations', 'gauge',
               'Violations of the constraint in the last hour.',
               this || jsonb_build_object('table', r.table_name, 'constraint', r.constraint_name, 'kind', r.kind), sum(r.last_hour)::double precision
          FROM (SELECT CASE WHEN v.place <= 50 THEN coalesce(v.table_name, '(none)') ELSE '(other)' END AS table_name,
                       CASE WHEN v.place <= 50 THEN coalesce(v.constraint_name, '(none)') ELSE '(other)' END AS constraint_name,
                       CASE WHEN v.place <= 50 THEN v.kind ELSE '(other)' END AS kind, v.last_hour
                  FROM (SELECT c.*, row_number() OVER (ORDER BY c.last_hour DESC, c.last_day DESC, c.total DESC, c.table_name, c.constraint_name, c.kind) AS place
                          FROM @extschema@.wc_constraint_violations() AS c WHERE c.kind <> 'all') AS v) AS r
         GROUP BY r.table_name, r.constraint_name, r.kind;
    END IF;
END
$database_metrics$;
COMMENT ON FUNCTION @extschema@.wc_database_metrics(text) IS
'Internal: the metrics of this database, of one family or of all.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_database_metrics(text) FROM PUBLIC;

-- sql/functions/server_metrics.sql

-- The metrics of the server; see metrics.sql for what holds for all.

-- Of the whole server, the same in each of its databases.
CREATE FUNCTION @extschema@.wc_server_metrics(family text)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 300
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $server_metrics$
BEGIN
    IF family IS NULL OR family = 'transaction_ids' THEN
        RETURN QUERY
        SELECT 'whitecross_database_transaction_id_age', 'gauge',
               'Age of the oldest transaction id that the database may still hold.',
               jsonb_build_object('database', d.name), max(d.age)::double precision
          FROM (SELECT CASE WHEN row_number() OVER (ORDER BY age(b.datfrozenxid) DESC, b.datname) <= 50 THEN b.datname ELSE '(other)' END AS name,
                       age(b.datfrozenxid) AS age
                  FROM pg_database AS b) AS d
         GROUP BY d.name;
    END IF;

    IF family IS NULL OR family IN ('connections', 'connections_by_database', 'connections_by_role', 'connection_limit_of_database',
                                    'connection_limit_of_role', 'oldest_transaction') THEN
        RETURN QUERY
        WITH sample AS MATERIALIZED (
            SELECT c.scope, coalesce(c.database, '(dropped)') AS database, coalesce(c.role, '(dropped)') AS role, c.active, c.idle, c.idle_in_transaction,
                   c.waiting, c.total, c.max, extract(epoch FROM c.oldest_transaction)::double precision AS oldest,
                   row_number() OVER (PARTITION BY c.scope ORDER BY c.total DESC, c.database, c.role) AS place
              FROM @extschema@.wc_connections() AS c WHERE c.scope <> 'database and role'
        ), grouped AS (
            SELECT s.scope, CASE s.scope WHEN 'server' THEN '{}' ELSE jsonb_build_object(s.scope, CASE WHEN s.place > 50 THEN '(other)'
                                              WHEN s.scope = 'database' THEN s.database ELSE s.role END) END AS labels,
                   CASE s.scope WHEN 'server' THEN 'connections' ELSE 'connections_by_' || s.scope END AS family,
                   CASE s.scope WHEN 'server' THEN 'whitecross_connections_' ELSE 'whitecross_' || s.scope || '_connections_' END AS prefix,
                   CASE s.scope WHEN 'server' THEN 'of clients' WHEN 'database' THEN 'to the database' ELSE 'of the role' END AS whose,
                   s.active, s.idle, s.idle_in_transaction, s.waiting, s.total
              FROM sample AS s
        )
        SELECT g.prefix || m.name, 'gauge', format(m.help, g.whose), g.labels, sum(m.value)::double precision
          FROM grouped AS g
         CROSS JOIN LATERAL (VALUES
            ('open', 'Connections %s.', g.total),
            ('active', 'Connections %s that run a statement.', g.active),
            ('idle', 'Connections %s that wait for the client outside a transaction.', g.idle),
            ('idle_in_transaction', 'Connections %s that wait for the client within a transaction.', g.idle_in_transaction),
            ('waiting', 'Connections %s that wait for a lock.', g.waiting)
         ) AS m (name, help, value)
         WHERE g.family = coalesce($1, g.family)
         GROUP BY g.prefix, m.name, m.help, g.whose, g.labels
        UNION ALL
        SELECT 'whitecross_connections_limit', 'gauge', 'Connections that there may be: max_connections less those that are reserved.', '{}', s.max
          FROM sample AS s WHERE s.scope = 'server' AND coalesce($1, 'connections') = 'connections'
        UNION ALL
        SELECT format('whitecross_%s_connection_limit', s.scope), 'gauge',
               format('Connections that the %s may have, by the least limit that applies.', s.scope),
               jsonb_build_object(s.scope, CASE s.scope WHEN 'database' THEN s.database ELSE s.role END), min(s.max)
          FROM sample AS s WHERE s.scope <> 'server' AND s.place <= 50 AND coalesce($1, 'connection_limit_of_' || s.scope) = 'connection_limit_of_' || s.scope
         GROUP BY 1, 3, 4
        UNION ALL
        SELECT 'whitecross_oldest_transaction_age_seconds', 'gauge', 'How long the oldest open transaction of a client has been open.', '{}', s.oldest
          FROM sample AS s WHERE s.scope = 'server' AND s.oldest IS NOT NULL AND coalesce($1, 'oldest_transaction') = 'oldest_transaction';
    END IF;

    -- How far whoever follows the log is behind, and whom it is kept for; seen from the primary in bytes, from the standby in time.
    IF (family IS NULL OR family = 'replication') AND NOT pg_is_in_recovery() THEN
        RETURN QUERY
        SELECT 'whitecross_replication_lag_bytes', 'gauge', 'Write-ahead log that the standby has not replayed yet, or that is kept for the slot.',
               jsonb_build_object('standby', f.name), max(f.lag)::double precision
          FROM (SELECT CASE WHEN row_number() OVER (ORDER BY g.lag DESC, g.name) <= 50 THEN g.name ELSE '(other)' END AS name, g.lag
                  FROM (SELECT coalesce(nullif(r.application_name, ''), '(none)') AS name, max(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.replay_lsn, r.flush_lsn))) AS lag
                          FROM pg_stat_replication AS r WHERE coalesce(r.replay_lsn, r.flush_lsn) IS NOT NULL GROUP BY 1
                        UNION ALL
                        SELECT 'slot ' || s.slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)
                          FROM pg_replication_slots AS s WHERE NOT s.active AND s.restart_lsn IS NOT NULL) AS g) AS f
         GROUP BY f.name;
    END IF;
    IF (family IS NULL OR family = 'replay') AND pg_is_in_recovery() THEN
        RETURN QUERY
        SELECT 'whitecross_replay_delay_seconds', 'gauge', 'Time since the last commit that this standby has replayed, where it has received more; else 0.', '{}'::jsonb, d.seconds::double precision
          FROM (SELECT CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() THEN extract(epoch FROM greatest(now() - pg_last_xact_replay_timestamp(), '0'))
                            ELSE 0 END AS seconds) AS d
         WHERE d.seconds IS NOT NULL;
    END IF;

    IF NOT @extschema@.wc_preloaded() THEN
        RETURN;
    END IF;

    IF family IS NULL OR family = 'pooler' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, '{}'::jsonb, m.value::double precision
          FROM @extschema@.wc_pooler_status() AS s
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pooler_up', 'gauge', 'Whether PgBouncer answers the monitor.', s.connected::integer::bigint),
            ('whitecross_pooler_answers_total', 'counter', 'Answers of PgBouncer to the monitor.', s.answers),
            ('whitecross_pooler_failures_total', 'counter', 'Attempts of the monitor to ask PgBouncer that failed.', s.failures)
         ) AS m (name, type, help, value)
         WHERE s.configured AND s.since IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'pools' THEN
        RETURN QUERY
        WITH pools AS (
            SELECT p.*, row_number() OVER (ORDER BY p.clients_waiting DESC, p.servers_active DESC, p.database, p."user") > 50 AS rest
              FROM @extschema@.wc_pooler() AS p
             WHERE p.clients_active IS NOT NULL AND p.servers_idle IS NOT NULL AND p.servers_used IS NOT NULL AND p.maxwait_ms IS NOT NULL AND p.pool_size IS NOT NULL
        ), grouped AS (
            SELECT CASE WHEN p.rest THEN '{"database": "(other)", "user": "(other)"}' ELSE jsonb_build_object('database', p.database, 'user', p."user") END AS labels,
                   sum(p.clients_active) AS clients, sum(p.clients_waiting) AS waiting, sum(p.servers_active) AS active, sum(p.servers_idle) AS idle,
                   sum(p.servers_used) AS used, max(p.maxwait_ms) / 1000 AS maxwait, sum(p.pool_size) AS size
              FROM pools AS p GROUP BY 1
        )
        SELECT m.name, 'gauge', m.help, g.labels, m.value
          FROM grouped AS g
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pool_clients_active', 'Clients of the pool that have a server connection, or need none.', g.clients::double precision),
            ('whitecross_pool_clients_waiting', 'Clients of the pool that wait for a server connection.', g.waiting),
            ('whitecross_pool_servers_active', 'Server connections of the pool that a client uses.', g.active),
            ('whitecross_pool_servers_idle', 'Server connections of the pool that are free.', g.idle),
            ('whitecross_pool_servers_used', 'Server connections of the pool that are free, and checked before they are used.', g.used),
            ('whitecross_pool_servers_limit', 'Server connections that the pool may have.', g.size),
            ('whitecross_pool_wait_seconds', 'How long the first of the waiting clients of the pool has waited.', g.maxwait)
         ) AS m (name, help, value);
    END IF;
    IF family IS NULL OR family = 'pool_waits' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, jsonb_build_object('database', w.database, 'user', w."user"), m.value
          FROM (SELECT p.database, p."user", p.waits, p.longest_wait_ms FROM @extschema@.wc_pooler() AS p
                 WHERE p.waits IS NOT NULL AND p.longest_wait_ms IS NOT NULL ORDER BY p.waits DESC, p.database, p."user" LIMIT 50) AS w
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pool_waits_seen_total', 'counter', 'Answers of PgBouncer in which clients of the pool were waiting.', w.waits::double precision),
            ('whitecross_pool_waits_longest_seconds', 'gauge', 'The longest wait for a server connection of the pool in all answers.', w.longest_wait_ms / 1000)
         ) AS m (name, type, help, value);
    END IF;
    IF family IS NULL OR family = 'pooled_databases' THEN
        RETURN QUERY
        SELECT m.name, 'counter', m.help, jsonb_build_object('database', d.database), m.value
          FROM (SELECT p.database, max(p.database_transactions) AS transactions, max(p.database_queries) AS queries, max(p.database_wait_ms) / 1000 AS wait
                  FROM @extschema@.wc_pooler() AS p
                 WHERE p.database_transactions IS NOT NULL AND p.database_queries IS NOT NULL AND p.database_wait_ms IS NOT NULL
                 GROUP BY p.database ORDER BY 2 DESC, 1 LIMIT 50) AS d
         CROSS JOIN LATERAL (VALUES
            ('whitecross_pooled_database_transactions_total', 'Transactions through PgBouncer in the database.', d.transactions::double precision),
            ('whitecross_pooled_database_queries_total', 'Queries through PgBouncer in the database.', d.queries),
            ('whitecross_pooled_database_wait_seconds_total', 'Time that clients of PgBouncer waited for a server connection to the database.', d.wait)
         ) AS m (name, help, value);
    END IF;

    IF family IS NULL OR family = 'monitor' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, '{}'::jsonb, m.value::double precision
          FROM @extschema@.wc_connection_history_status() AS h
         CROSS JOIN LATERAL (VALUES
            ('whitecross_monitor_last_sample_timestamp_seconds', 'gauge', 'When the monitor has last sampled the server''s connections.', extract(epoch FROM h.sampled_at)),
            ('whitecross_monitor_interval_seconds', 'gauge', 'How often it is to: whitecross.monitor_interval.',
             (SELECT s.setting::numeric * CASE s.unit WHEN 's' THEN 1 WHEN 'ms' THEN 0.001 WHEN 'min' THEN 60 END FROM pg_settings AS s WHERE s.name = 'whitecross.monitor_interval')),
            ('whitecross_monitor_lost_samples_total', 'counter', 'Samples that could not be written, and were lost.', h.lost)
         ) AS m (name, type, help, value)
         WHERE h.sampled_at IS NOT NULL;
    END IF;
    IF family IS NULL OR family = 'alerts' THEN
        RETURN QUERY
        SELECT 'whitecross_alerts_raised', 'gauge', 'Alerts that are raised, of the server and all its databases.',
               jsonb_build_object('name', a.name, 'level', a.level), count(*)::double precision
          FROM @extschema@.wc_raised_alerts() AS a GROUP BY a.name, a.level;
    END IF;
    IF family IS NULL OR family = 'queries' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, jsonb_build_object('database', t.name), m.value
          FROM (SELECT coalesce(d.datname, '(other)') AS name, sum(q.calls) AS calls, sum(q.failures) AS failures, sum(q.total_ms) AS total_ms,
                       sum(q.rows) AS rows, sum(q.slow) AS slow, sum(q.bursts) AS bursts
                  FROM @extschema@.wc_query_totals() AS q LEFT JOIN pg_database AS d ON d.oid = q.database_oid
                 WHERE q.database_oid = 0 OR d.oid IS NOT NULL
                 GROUP BY 1) AS t
         CROSS JOIN LATERAL (VALUES
            ('whitecross_queries_completed_total', 'counter', 'Statements that ended well, since the server''s start.', t.calls::double precision),
            ('whitecross_queries_failed_total', 'counter', 'Statements that ended with an error, or were cancelled, since the server''s start.', t.failures),
            ('whitecross_queries_seconds_total', 'counter', 'Time that the completed statements ran.', t.total_ms / 1000),
            ('whitecross_queries_rows_total', 'counter', 'Rows that the completed statements have returned or affected.', t.rows),
            ('whitecross_queries_slow_total', 'counter', 'Statements that took at least whitecross.slow_query_threshold.', t.slow),
            ('whitecross_queries_n_plus_one_bursts_total', 'counter', 'Bursts of one statement repeated in a loop (N+1).', t.bursts)
         ) AS m (name, type, help, value);
    END IF;
    IF family IS NULL OR family = 'query_patterns' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, '{}'::jsonb, m.value
          FROM @extschema@.wc_query_patterns_kept() AS k
         CROSS JOIN LATERAL (VALUES
            ('whitecross_query_patterns_kept', 'gauge', 'Statement patterns that statistics are kept of.', k.patterns::double precision),
            ('whitecross_query_patterns_limit', 'gauge', 'Statement patterns that there is room for: whitecross.query_stats_max.', k.max_patterns),
            ('whitecross_query_patterns_evicted_total', 'counter', 'Statement patterns that gave their place to others.', k.evicted)
         ) AS m (name, type, help, value);
    END IF;
END
$server_metrics$;
COMMENT ON FUNCTION @extschema@.wc_server_metrics(text) IS
'Internal: the metrics of the server, of one family or of all.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_server_metrics(text) FROM PUBLIC;

-- sql/functions/metrics.sql

-- Everything measured, as metrics, and in Prometheus' text format.
--
-- Metrics come in families: those of one have the same labels, and the same name but for its last words, so that a family is one
-- query of monitoring/postgres_exporter.yml. Each row of a family has all of its metrics: that exporter makes NaN of NULL, so what can be
-- unknown by itself is a family by itself.
--
-- A scrape is small and waits for nothing: no row is counted, no label has more than 100 values, and of what is locked the size is left out.
-- A counter counts what is never given up for something else, so that it only grows.

-- With the rights of the owner, so that whoever may call it needs no right to see what others do.
CREATE FUNCTION @extschema@.wc_metrics(family text DEFAULT NULL)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 500
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $metrics$
DECLARE
    families constant text[] := ARRAY['extension', 'view', 'view_rows', 'refresh', 'refresh_last', 'refresh_schedule', 'change_log', 'index', 'indexes',
                                      'health', 'health_checks', 'violations', 'violations_by_constraint', 'connections', 'connections_by_database', 'connections_by_role',
                                      'connection_limit_of_database', 'connection_limit_of_role', 'oldest_transaction', 'transaction_ids',
                                      'replication', 'replay', 'pooler', 'pools', 'pool_waits', 'pooled_databases', 'monitor', 'alerts', 'queries', 'query_patterns'];
BEGIN
    IF family <> ALL (families) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('there is no family of metrics "%s"', family),
            HINT = 'Families are ' || array_to_string(families, ', ') || '.';
    END IF;
    RETURN QUERY SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_database_metrics(family) AS m
                  UNION ALL
                 SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_server_metrics(family) AS m;
END
$metrics$;
COMMENT ON FUNCTION @extschema@.wc_metrics(text) IS
'Everything measured, as metrics of Prometheus: name, type, help, labels, value; of one family, or all. Numbers and names of databases, roles, views, constraints and indexes only.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_metrics(text) FROM PUBLIC;

CREATE VIEW @extschema@.wc_metrics AS
SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_metrics() AS m;
COMMENT ON VIEW @extschema@.wc_metrics IS
'Everything measured, as metrics of Prometheus: wc_metrics() as a view.';

CREATE FUNCTION @extschema@.wc_prometheus()
RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET extra_float_digits = 1
AS $prometheus$
WITH lines AS (
    SELECT m.name, m.type, m.help, l.labels,
           concat(m.name, '{' || l.labels || '}', ' ',
                  CASE m.value WHEN 'Infinity' THEN '+Inf' WHEN '-Infinity' THEN '-Inf' ELSE m.value::text END, E'\n') AS line
      FROM @extschema@.wc_metrics() AS m
     CROSS JOIN LATERAL (SELECT string_agg(format('%s="%s"', e.key, replace(replace(replace(e.value, '\', '\\'), '"', '\"'), E'\n', '\n')), ',' ORDER BY e.key) AS labels
                           FROM jsonb_each_text(m.labels) AS e) AS l
), metrics AS (
    SELECT l.name, concat('# HELP ', l.name, ' ', replace(replace(min(l.help), '\', '\\'), E'\n', '\n'), E'\n',
                          '# TYPE ', l.name, ' ', min(l.type), E'\n', string_agg(l.line, '' ORDER BY l.labels)) AS block
      FROM lines AS l GROUP BY l.name
)
SELECT coalesce(string_agg(m.block, '' ORDER BY m.name), '') FROM metrics AS m
$prometheus$;
COMMENT ON FUNCTION @extschema@.wc_prometheus() IS
'wc_metrics in Prometheus'' text format, to be scraped as it is.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_prometheus() FROM PUBLIC;

-- sql/objects/columns.sql

-- The canonical columns: every column of a base table that a constraint, an index or a view of ours names.
--
-- type        what the column is NULL of where a site has no such column
-- coerce      whether views convert the column to that type: an enum or varchar status arrives as text, a timestamptz that
--             stands for a day as the date in the site's time zone.  The others keep the site's type.
-- candidates  expressions over the site's own columns, tried in order: the first whose columns all exist stands for the
--             canonical column.  A site changes it with wc_map_column().
-- A candidate may name a column of a lookup (below), a row of another table that the same row points to: in views the
-- lookup is joined, for an index the column counts as absent.

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('students', 'id', 1, 'uuid', false, ARRAY['id']),
('students', 'studentNumber', 2, 'text', false, ARRAY['"studentNumber"']),
('students', 'firstName', 3, 'text', false, ARRAY['"firstName"']),
('students', 'lastName', 4, 'text', false, ARRAY['"lastName"']),
('students', 'dateOfBirth', 5, 'date', true, ARRAY['"dateOfBirth"']),
('students', 'grade', 6, 'text', false, ARRAY['grade']),
('students', 'schoolId', 7, 'uuid', false, ARRAY['"schoolId"']),
('students', 'nurseId', 8, 'uuid', false, ARRAY['"nurseId"']),
('students', 'isActive', 9, 'boolean', true, ARRAY['"isActive"']),
('students', 'enrollmentDate', 10, 'timestamptz', true, ARRAY['"enrollmentDate"']),
('students', 'createdAt', 11, 'timestamptz', true, ARRAY['"createdAt"']),
('students', 'updatedAt', 12, 'timestamptz', true, ARRAY['"updatedAt"']),
('students', 'deletedAt', 13, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('medications', 'id', 1, 'uuid', false, ARRAY['id']),
('medications', 'name', 2, 'text', false, ARRAY['name']),
('medications', 'genericName', 3, 'text', false, ARRAY['"genericName"']),
('medications', 'dosageForm', 4, 'text', false, ARRAY['"dosageForm"']),
('medications', 'isControlled', 5, 'boolean', true, ARRAY['"isControlled"']),
('medications', 'deaSchedule', 6, 'text', true, ARRAY['"deaSchedule"']),
('medications', 'requiresWitness', 7, 'boolean', true, ARRAY['"requiresWitness"']),
('medications', 'isActive', 8, 'boolean', true, ARRAY['"isActive"']),
('medications', 'updatedAt', 9, 'timestamptz', true, ARRAY['"updatedAt"']),
('medications', 'deletedAt', 10, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('student_medications', 'id', 1, 'uuid', false, ARRAY['id']),
('student_medications', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('student_medications', 'medicationId', 3, 'uuid', false, ARRAY['"medicationId"']),
('student_medications', 'schoolId', 4, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('student_medications', 'dosage', 5, 'text', false, ARRAY['dosage']),
('student_medications', 'route', 6, 'text', false, ARRAY['route']),
('student_medications', 'frequency', 7, 'text', false, ARRAY['frequency']),
('student_medications', 'scheduledTimes', 8, 'text[]', true, ARRAY['"scheduledTimes"']),
('student_medications', 'instructions', 9, 'text', false, ARRAY['instructions']),
('student_medications', 'startDate', 10, 'date', true, ARRAY['"startDate"']),
('student_medications', 'endDate', 11, 'date', true, ARRAY['"endDate"']),
('student_medications', 'requiresWitness', 12, 'boolean', true, ARRAY['"requiresWitness"']),
('student_medications', 'isActive', 13, 'boolean', true, ARRAY['"isActive"']),
('student_medications', 'updatedAt', 14, 'timestamptz', true, ARRAY['"updatedAt"']),
('student_medications', 'deletedAt', 15, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('medication_logs', 'id', 1, 'uuid', false, ARRAY['id']),
('medication_logs', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('medication_logs', 'medicationId', 3, 'uuid', false, ARRAY['"medicationId"']),
('medication_logs', 'studentMedicationId', 4, 'uuid', false, ARRAY['"studentMedicationId"', 'student_medication.id']),
('medication_logs', 'scheduledAt', 5, 'timestamptz', true, ARRAY['"scheduledAt"']),
('medication_logs', 'administeredAt', 6, 'timestamptz', true, ARRAY['"administeredAt"']),
('medication_logs', 'administeredBy', 7, 'text', false, ARRAY['"administeredBy"']),
('medication_logs', 'status', 8, 'text', true, ARRAY['status']),
('medication_logs', 'dosageGiven', 9, 'text', false, ARRAY['"dosageGiven"', 'dosage']),
('medication_logs', 'witnessed', 10, 'boolean', true, ARRAY['witnessed']),
('medication_logs', 'witnessedBy', 11, 'uuid', false, ARRAY['"witnessedBy"']),
('medication_logs', 'notes', 12, 'text', false, ARRAY['notes']),
('medication_logs', 'deletedAt', 13, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('vital_signs', 'id', 1, 'uuid', false, ARRAY['id']),
('vital_signs', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('vital_signs', 'temperature', 3, 'double precision', false, ARRAY['temperature']),
('vital_signs', 'temperatureUnit', 4, 'text', true, ARRAY['"temperatureUnit"']),
('vital_signs', 'heartRate', 5, 'integer', false, ARRAY['"heartRate"']),
('vital_signs', 'systolic', 6, 'integer', false, ARRAY['systolic', '"bloodPressureSystolic"']),
('vital_signs', 'diastolic', 7, 'integer', false, ARRAY['diastolic', '"bloodPressureDiastolic"']),
('vital_signs', 'deletedAt', 8, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('appointments', 'id', 1, 'uuid', false, ARRAY['id']),
('appointments', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('appointments', 'nurseId', 3, 'uuid', false, ARRAY['"nurseId"']),
('appointments', 'schoolId', 4, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('appointments', 'type', 5, 'text', true, ARRAY['type']),
('appointments', 'status', 6, 'text', true, ARRAY['status']),
('appointments', 'scheduledAt', 7, 'timestamptz', true, ARRAY['"scheduledAt"']),
('appointments', 'duration', 8, 'integer', false, ARRAY['duration']),
('appointments', 'reason', 9, 'text', false, ARRAY['reason']),
('appointments', 'location', 10, 'text', false, ARRAY['location']),
('appointments', 'recurringGroupId', 11, 'uuid', false, ARRAY['"recurringGroupId"']),
('appointments', 'deletedAt', 12, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('allergies', 'id', 1, 'uuid', false, ARRAY['id']),
('allergies', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('allergies', 'schoolId', 3, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('allergies', 'allergen', 4, 'text', false, ARRAY['allergen']),
('allergies', 'allergyType', 5, 'text', true, ARRAY['"allergyType"']),
('allergies', 'severity', 6, 'text', true, ARRAY['severity']),
('allergies', 'reaction', 7, 'text', false, ARRAY['reaction', 'reactions']),
('allergies', 'epiPenRequired', 8, 'boolean', true, ARRAY['"epiPenRequired"']),
('allergies', 'epiPenLocation', 9, 'text', false, ARRAY['"epiPenLocation"']),
('allergies', 'isActive', 10, 'boolean', true, ARRAY['"isActive"', 'active']),
('allergies', 'updatedAt', 11, 'timestamptz', true, ARRAY['"updatedAt"']),
('allergies', 'deletedAt', 12, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('health_records', 'id', 1, 'uuid', false, ARRAY['id']),
('health_records', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('health_records', 'schoolId', 3, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('health_records', 'recordType', 4, 'text', true, ARRAY['"recordType"']),
('health_records', 'recordDate', 5, 'date', true, ARRAY['"recordDate"']),
('health_records', 'diagnosis', 6, 'text', false, ARRAY['diagnosis']),
('health_records', 'diagnosisCode', 7, 'text', false, ARRAY['"diagnosisCode"']),
('health_records', 'provider', 8, 'text', false, ARRAY['provider']),
('health_records', 'isConfidential', 9, 'boolean', true, ARRAY['"isConfidential"']),
('health_records', 'recordedBy', 10, 'uuid', false, ARRAY['"recordedBy"', '"createdBy"']),
('health_records', 'isActive', 11, 'boolean', true, ARRAY['"isActive"']),
('health_records', 'updatedAt', 12, 'timestamptz', true, ARRAY['"updatedAt"']),
('health_records', 'deletedAt', 13, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('vaccinations', 'id', 1, 'uuid', false, ARRAY['id']),
('vaccinations', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('vaccinations', 'vaccineType', 3, 'text', true, ARRAY['"vaccineType"']),
('vaccinations', 'administrationDate', 4, 'date', true, ARRAY['"administrationDate"']),
('vaccinations', 'administeredBy', 5, 'text', false, ARRAY['"administeredBy"']),
('vaccinations', 'dosage', 6, 'text', false, ARRAY['dosage', '"dosageAmount"']),
('vaccinations', 'nextDueDate', 7, 'date', true, ARRAY['"nextDueDate"']),
('vaccinations', 'complianceStatus', 8, 'text', true, ARRAY['"complianceStatus"']),
('vaccinations', 'updatedAt', 9, 'timestamptz', true, ARRAY['"updatedAt"']),
('vaccinations', 'deletedAt', 10, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('chronic_conditions', 'id', 1, 'uuid', false, ARRAY['id']),
('chronic_conditions', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('chronic_conditions', 'condition', 3, 'text', false, ARRAY['condition']),
('chronic_conditions', 'severity', 4, 'text', true, ARRAY['severity']),
('chronic_conditions', 'managementPlan', 5, 'text', false, ARRAY['"managementPlan"', '"carePlan"']),
('chronic_conditions', 'emergencyProcedure', 6, 'text', false, ARRAY['"emergencyProcedure"', '"emergencyProtocol"']),
('chronic_conditions', 'isActive', 7, 'boolean', true, ARRAY['"isActive"']),
('chronic_conditions', 'updatedAt', 8, 'timestamptz', true, ARRAY['"updatedAt"']),
('chronic_conditions', 'deletedAt', 9, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('incident_reports', 'id', 1, 'uuid', false, ARRAY['id']),
('incident_reports', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('incident_reports', 'reporterId', 3, 'uuid', false, ARRAY['"reporterId"', '"reportedById"']),
('incident_reports', 'schoolId', 4, 'uuid', false, ARRAY['"schoolId"']),
('incident_reports', 'type', 5, 'text', true, ARRAY['type']),
('incident_reports', 'status', 6, 'text', true, ARRAY['status']),
('incident_reports', 'severity', 7, 'text', true, ARRAY['severity']),
('incident_reports', 'location', 8, 'text', false, ARRAY['location']),
('incident_reports', 'occurredAt', 9, 'timestamptz', true, ARRAY['"occurredAt"']),
('incident_reports', 'deletedAt', 10, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('schools', 'id', 1, 'uuid', false, ARRAY['id']),
('schools', 'name', 2, 'text', false, ARRAY['name']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('users', 'id', 1, 'uuid', false, ARRAY['id']),
('users', 'firstName', 2, 'text', false, ARRAY['"firstName"']),
('users', 'lastName', 3, 'text', false, ARRAY['"lastName"']);

-- A lookup joins at most one row of the target, except student_medication, of which a student may have several for one
-- medication: then a log row without a studentMedicationId of its own counts for each of them.
-- join_columns: a canonical column of the table = a canonical column of the target.
INSERT INTO @extschema@.wc_lookup (table_name, lookup, target_table, join_columns) VALUES
('allergies', 'student', 'students', ARRAY['studentId=id']),
('appointments', 'student', 'students', ARRAY['studentId=id']),
('health_records', 'student', 'students', ARRAY['studentId=id']),
('student_medications', 'student', 'students', ARRAY['studentId=id']),
('medication_logs', 'student_medication', 'student_medications', ARRAY['studentId=studentId', 'medicationId=medicationId']);

-- sql/objects/constraints.sql

-- The CHECK constraints. Braces are placeholders (see docs/architecture.md, "Definitions over canonical names"):
--   {col}            the column as it is
--   {col date}       the column as a date, a timestamptz taken in UTC
--   {col date?}      the same; NULL::date where the site has no such column
--   {col IN 'a','b'} membership; labels that an enum lacks are dropped
--   {col IN @grades} membership in a configured list
-- Three rules hold for each expression. It is never UNKNOWN by accident: what NULL does is written out. It never raises: a bad
-- value is a violation, so no cast that can fail, and dates are compared as dates, never as timestamps, whose range is smaller.
-- And no answer depends on the session: no CURRENT_DATE, no backslash in a plain literal, no collation of the column's.

INSERT INTO @extschema@.wc_constraint_definition (name, table_name, position, expression, comment) VALUES
('chk_students_grade_valid', 'students', 1,
 $check${grade} IS NOT NULL AND {grade IN @grades}$check$,
 'The grade is one of the grades of the site (setting grades).'),

-- Completed years by the calendar: the difference of the years, less one before the birthday. Bound to the enrolment date,
-- not to today, so that no row becomes invalid by waiting.
('chk_students_age_range', 'students', 2,
 $check$CASE
    WHEN coalesce({enrollmentDate date?}, {createdAt date?}) IS NULL OR {dateOfBirth} IS NULL THEN true
    WHEN NOT isfinite(coalesce({enrollmentDate date?}, {createdAt date?})) OR NOT isfinite({dateOfBirth date}) THEN false
    ELSE extract(year FROM coalesce({enrollmentDate date?}, {createdAt date?})) - extract(year FROM {dateOfBirth date})
         - CASE WHEN (extract(month FROM coalesce({enrollmentDate date?}, {createdAt date?})) * 100
                      + extract(day FROM coalesce({enrollmentDate date?}, {createdAt date?})))
                     < (extract(month FROM {dateOfBirth date}) * 100 + extract(day FROM {dateOfBirth date}))
                THEN 1 ELSE 0 END
         BETWEEN 4 AND 25
  END$check$,
 'The student was 4 to 25 years old, in completed years, on the enrolment date.'),

('chk_medications_controlled_schedule', 'medications', 3,
 $check${isControlled} IS NULL OR {isControlled} = ({deaSchedule} IS NOT NULL)$check$,
 'A medication is controlled exactly when it has a DEA schedule.'),

('chk_medications_witness_requirement', 'medications', 4,
 $check$({deaSchedule IN 'II', 'III'}) IS NOT TRUE OR {requiresWitness} IS TRUE$check$,
 'A medication of DEA schedule II or III requires a witness.'),

('chk_vital_signs_temperature_range', 'vital_signs', 5,
 $check${temperature} IS NULL
  OR CASE WHEN {temperatureUnit IN 'C'} THEN {temperature} BETWEEN 32.2 AND 43.3 ELSE {temperature} BETWEEN 90 AND 110 END$check$,
 'The temperature is 90 to 110 degrees Fahrenheit; where the unit is C, 32.2 to 43.3 degrees Celsius.'),

('chk_vital_signs_heart_rate_range', 'vital_signs', 6,
 $check${heartRate} IS NULL OR {heartRate} BETWEEN 40 AND 220$check$,
 'The heart rate is 40 to 220 beats a minute.'),

('chk_vital_signs_blood_pressure_range', 'vital_signs', 7,
 $check${systolic} IS NULL OR {systolic} BETWEEN 60 AND 250$check$,
 'The systolic blood pressure is 60 to 250 mmHg.'),

('chk_vital_signs_diastolic_range', 'vital_signs', 8,
 $check${diastolic} IS NULL OR {diastolic} BETWEEN 40 AND 150$check$,
 'The diastolic blood pressure is 40 to 150 mmHg.'),

('chk_appointments_duration_range', 'appointments', 9,
 $check${duration} IS NULL OR {duration} BETWEEN 15 AND 240$check$,
 'An appointment takes 15 to 240 minutes.'),

('chk_allergies_epipen_location', 'allergies', 10,
 $check${epiPenRequired} IS NOT TRUE
  OR ({epiPenLocation} IS NOT NULL AND btrim({epiPenLocation}, E' \t\n\v\f\r') <> '')$check$,
 'Where an EpiPen is required, its location is given.'),

-- COLLATE "C": a site's nondeterministic collation would make the match an error.
('chk_student_medications_dosage_positive', 'student_medications', 11,
 $check${dosage} IS NULL OR {dosage} COLLATE "C" ~ '^[[:space:]]*[0-9]*([.][0-9]*)?[1-9]'$check$,
 'The dosage begins with a number greater than zero.'),

('chk_health_records_record_date', 'health_records', 12,
 $check${recordDate} IS NULL OR {recordDate date} <= (now() AT TIME ZONE 'UTC')::date + 1$check$,
 'A health record is dated tomorrow (UTC) at the latest.'),

('chk_vaccinations_administration_date', 'vaccinations', 13,
 $check${administrationDate} IS NULL OR {administrationDate date} <= (now() AT TIME ZONE 'UTC')::date + 1$check$,
 'A vaccination is dated tomorrow (UTC) at the latest.');

-- sql/objects/covering_indexes.sql

-- The covering indexes: key columns, then the columns a list needs beside them, so that an Index Only Scan answers it.
-- Which INCLUDE columns stay is decided at install from the declared lengths of the site's columns (an index row may not
-- grow so large that it refuses an application's row); a column the site lacks is left out.

INSERT INTO @extschema@.wc_index_definition
  (kind, name, table_name, position, key_columns, include_columns, predicate, is_unique, nulls_not_distinct, comment) VALUES
('covering index', 'idx_students_health_dashboard', 'students', 1,
 ARRAY['id', 'isActive'],
 ARRAY['firstName', 'lastName', 'grade', 'studentNumber', 'nurseId', 'schoolId', 'dateOfBirth'],
 '{}', false, false, 'Head of a student''s health dashboard, by id.'),
('covering index', 'idx_students_school_lookup', 'students', 2,
 ARRAY['schoolId', 'isActive', 'grade'],
 ARRAY['id', 'firstName', 'lastName', 'studentNumber', 'nurseId'],
 '{}', false, false, 'Roster of a school, by grade.'),
('covering index', 'idx_medication_logs_history', 'medication_logs', 3,
 ARRAY['studentMedicationId', 'administeredAt desc'],
 ARRAY['status', 'dosageGiven', 'administeredBy', 'notes', 'witnessed', 'witnessedBy'],
 '{}', false, false, 'Administration history of a student''s medication, latest first.'),
('covering index', 'idx_medication_logs_by_student', 'medication_logs', 4,
 ARRAY['studentId', 'administeredAt desc'],
 ARRAY['studentMedicationId', 'status', 'dosageGiven', 'administeredBy'],
 '{}', false, false, 'Administration history of a student, latest first.'),
('covering index', 'idx_medication_logs_by_nurse', 'medication_logs', 5,
 ARRAY['administeredBy', 'administeredAt desc'],
 ARRAY['studentId', 'studentMedicationId', 'status', 'dosageGiven'],
 '{}', false, false, 'What a nurse administered, latest first.'),
('covering index', 'idx_appointments_calendar', 'appointments', 6,
 ARRAY['nurseId', 'scheduledAt desc', 'status'],
 ARRAY['studentId', 'type', 'duration', 'reason', 'location'],
 '{}', false, false, 'Calendar of a nurse.'),
('covering index', 'idx_appointments_by_student', 'appointments', 7,
 ARRAY['studentId', 'scheduledAt desc'],
 ARRAY['nurseId', 'type', 'status', 'duration', 'reason'],
 '{}', false, false, 'Appointments of a student, latest first.'),
('covering index', 'idx_appointments_by_school', 'appointments', 8,
 ARRAY['schoolId', 'scheduledAt desc', 'status'],
 ARRAY['studentId', 'nurseId', 'type', 'duration'],
 '{}', false, false, 'Appointments of a school, latest first.'),
('covering index', 'idx_health_records_by_student', 'health_records', 9,
 ARRAY['studentId', 'recordDate desc', 'isActive'],
 ARRAY['recordType', 'diagnosis', 'recordedBy', 'id'],
 '{}', false, false, 'Health records of a student, latest first.'),
('covering index', 'idx_health_records_by_type', 'health_records', 10,
 ARRAY['recordType', 'recordDate desc', 'isActive'],
 ARRAY['studentId', 'diagnosis', 'recordedBy'],
 '{}', false, false, 'Health records of a type, latest first.'),
('covering index', 'idx_allergies_by_student', 'allergies', 11,
 ARRAY['studentId', 'isActive'],
 ARRAY['allergyType', 'allergen', 'severity', 'reaction', 'epiPenRequired', 'epiPenLocation'],
 '{}', false, false, 'Allergies of a student.'),
('covering index', 'idx_chronic_conditions_by_student', 'chronic_conditions', 12,
 ARRAY['studentId', 'isActive'],
 ARRAY['condition', 'severity', 'managementPlan', 'emergencyProcedure'],
 '{}', false, false, 'Chronic conditions of a student.'),
('covering index', 'idx_vaccinations_by_student', 'vaccinations', 13,
 ARRAY['studentId', 'administrationDate desc'],
 ARRAY['vaccineType', 'dosage', 'complianceStatus', 'administeredBy', 'nextDueDate'],
 '{}', false, false, 'Vaccinations of a student, latest first.'),
('covering index', 'idx_incident_reports_by_student', 'incident_reports', 14,
 ARRAY['studentId', 'occurredAt desc'],
 ARRAY['reporterId', 'type', 'status', 'severity', 'location'],
 '{}', false, false, 'Incidents of a student, latest first.'),
('covering index', 'idx_incident_reports_by_reporter', 'incident_reports', 15,
 ARRAY['reporterId', 'occurredAt desc', 'status'],
 ARRAY['studentId', 'type', 'severity'],
 '{}', false, false, 'Incidents that a person reported, latest first.');

-- sql/objects/partial_indexes.sql

-- The partial indexes: key columns over the rows of a predicate. The predicate is an array of terms, all of which must hold;
-- it may hold only immutable expressions, so a bound that moves with time is no term: the time column stands in the key.
--   {col IN 'a', 'b'}              labels that an enum lacks are dropped
--   {col or true}, {col IS NULL or true}   the term is lost where the site has no such column: there a row is never deleted,
--                                  and a live row is active. Any other absent column makes the index not applicable.

INSERT INTO @extschema@.wc_index_definition
  (kind, name, table_name, position, key_columns, include_columns, predicate, is_unique, nulls_not_distinct, comment) VALUES
('partial index', 'idx_active_students_school_grade', 'students', 1,
 ARRAY['schoolId', 'grade', 'nurseId'], '{}',
 ARRAY['{isActive}', '{deletedAt} IS NULL'], false, false, 'Active students of a school and grade.'),
('partial index', 'idx_active_students_nurse', 'students', 2,
 ARRAY['nurseId', 'grade'], '{}',
 ARRAY['{isActive}', '{deletedAt} IS NULL'], false, false, 'Active students of a nurse.'),
('partial index', 'idx_active_students_search', 'students', 3,
 ARRAY['lastName', 'firstName', 'studentNumber'], '{}',
 ARRAY['{isActive}', '{deletedAt} IS NULL'], false, false, 'Active students by name.'),
('partial index', 'idx_upcoming_appointments_nurse', 'appointments', 4,
 ARRAY['nurseId', 'scheduledAt'], '{}',
 ARRAY['{status IN ''SCHEDULED'', ''CONFIRMED''}', '{deletedAt} IS NULL'], false, false, 'Open appointments of a nurse, by time.'),
('partial index', 'idx_upcoming_appointments_student', 'appointments', 5,
 ARRAY['studentId', 'scheduledAt'], '{}',
 ARRAY['{status IN ''SCHEDULED'', ''CONFIRMED''}', '{deletedAt} IS NULL'], false, false, 'Open appointments of a student, by time.'),
('partial index', 'idx_upcoming_appointments_school', 'appointments', 6,
 ARRAY['schoolId', 'scheduledAt', 'status'], '{}',
 ARRAY['{status IN ''SCHEDULED'', ''CONFIRMED''}', '{deletedAt} IS NULL'], false, false, 'Open appointments of a school, by time.'),
('partial index', 'idx_pending_incidents_reporter', 'incident_reports', 7,
 ARRAY['reporterId', 'occurredAt desc'], '{}',
 ARRAY['{status IN ''DRAFT'', ''PENDING_REVIEW''}', '{deletedAt} IS NULL'], false, false, 'Incidents under review, by reporter.'),
('partial index', 'idx_pending_incidents_student', 'incident_reports', 8,
 ARRAY['studentId', 'occurredAt desc'], '{}',
 ARRAY['{status IN ''DRAFT'', ''PENDING_REVIEW''}', '{deletedAt} IS NULL'], false, false, 'Incidents under review, by student.'),
('partial index', 'idx_pending_incidents_school', 'incident_reports', 9,
 ARRAY['schoolId', 'status', 'occurredAt desc'], '{}',
 ARRAY['{status IN ''DRAFT'', ''PENDING_REVIEW''}', '{deletedAt} IS NULL'], false, false, 'Incidents under review, by school.'),
('partial index', 'idx_active_student_medications', 'student_medications', 10,
 ARRAY['studentId', 'startDate', 'endDate'], '{}',
 ARRAY['{isActive}', '{deletedAt IS NULL or true}'], false, false, 'Active medications of a student, by period.'),
('partial index', 'idx_active_medications_school', 'student_medications', 11,
 ARRAY['schoolId', 'studentId'], '{}',
 ARRAY['{isActive}', '{deletedAt IS NULL or true}'], false, false, 'Active medications of a school.'),
('partial index', 'idx_controlled_medications_active', 'student_medications', 12,
 ARRAY['studentId', 'medicationId', 'startDate'], '{}',
 ARRAY['{isActive}', '{requiresWitness}', '{deletedAt IS NULL or true}'], false, false,
 'Active medications that require a witness.'),
('partial index', 'idx_current_health_records_student', 'health_records', 13,
 ARRAY['studentId', 'recordDate desc', 'recordType'], '{}',
 ARRAY['{isActive or true}', '{deletedAt} IS NULL'], false, false, 'Current health records of a student, latest first.'),
('partial index', 'idx_current_health_records_school', 'health_records', 14,
 ARRAY['schoolId', 'recordType', 'recordDate desc'], '{}',
 ARRAY['{isActive or true}', '{deletedAt} IS NULL'], false, false, 'Current health records of a school, by type.'),
('partial index', 'idx_active_allergies_student', 'allergies', 15,
 ARRAY['studentId', 'severity', 'allergyType'], '{}',
 ARRAY['{isActive}', '{deletedAt} IS NULL'], false, false, 'Active allergies of a student.'),
('partial index', 'idx_severe_allergies_school', 'allergies', 16,
 ARRAY['schoolId', 'studentId', 'allergyType'], '{}',
 ARRAY['{isActive}', '{severity IN ''SEVERE'', ''LIFE_THREATENING''}', '{deletedAt} IS NULL'], false, false,
 'Severe and life-threatening allergies of a school.'),
('partial index', 'idx_epipen_required_students', 'allergies', 17,
 ARRAY['studentId', 'epiPenLocation'], '{}',
 ARRAY['{isActive}', '{epiPenRequired}', '{deletedAt} IS NULL'], false, false, 'Students who need an EpiPen, and where it is.'),
('partial index', 'idx_active_chronic_conditions_student', 'chronic_conditions', 18,
 ARRAY['studentId', 'severity'], '{}',
 ARRAY['{isActive}', '{deletedAt} IS NULL'], false, false, 'Active chronic conditions of a student.'),
('partial index', 'idx_overdue_vaccinations', 'vaccinations', 19,
 ARRAY['studentId', 'nextDueDate', 'vaccineType'], '{}',
 ARRAY['{complianceStatus IN ''NON_COMPLIANT'', ''OVERDUE''}', '{nextDueDate} IS NOT NULL', '{deletedAt} IS NULL'], false, false,
 'Vaccinations recorded as overdue or non-compliant, by due date.'),
('partial index', 'idx_upcoming_vaccinations', 'vaccinations', 20,
 ARRAY['studentId', 'nextDueDate', 'vaccineType'], '{}',
 ARRAY['{nextDueDate} IS NOT NULL', '{deletedAt} IS NULL'], false, false, 'Vaccinations with a due date, by due date.');

-- sql/objects/composite_indexes.sql

-- The composite indexes. The platform's own models create all of these under these names; there they are adopted.

INSERT INTO @extschema@.wc_index_definition
  (kind, name, table_name, position, key_columns, include_columns, predicate, is_unique, nulls_not_distinct, comment) VALUES
('composite index', 'idx_health_records_student_type_date', 'health_records', 1,
 ARRAY['studentId', 'recordType', 'recordDate'], '{}', '{}', false, false, 'Health records of a student and type, by date.'),
('composite index', 'idx_health_records_student_confidential', 'health_records', 2,
 ARRAY['studentId', 'isConfidential'], '{}', '{}', false, false, 'Confidential health records of a student.'),
('composite index', 'idx_health_records_type_confidential_date', 'health_records', 3,
 ARRAY['recordType', 'isConfidential', 'recordDate'], '{}', '{}', false, false, 'Health records of a type, by confidentiality and date.'),
('composite index', 'idx_health_records_provider_date', 'health_records', 4,
 ARRAY['provider', 'recordDate'], '{}', '{}', false, false, 'Health records of a provider, by date.'),
('composite index', 'idx_health_records_diagnosis_code', 'health_records', 5,
 ARRAY['diagnosisCode'], '{}', '{}', false, false, 'Health records with a diagnosis code.'),
('composite index', 'idx_appointments_student_scheduled', 'appointments', 6,
 ARRAY['studentId', 'scheduledAt'], '{}', '{}', false, false, 'Appointments of a student, by time.'),
('composite index', 'idx_appointments_nurse_scheduled', 'appointments', 7,
 ARRAY['nurseId', 'scheduledAt'], '{}', '{}', false, false, 'Appointments of a nurse, by time.'),
('composite index', 'idx_appointments_status_scheduled', 'appointments', 8,
 ARRAY['status', 'scheduledAt'], '{}', '{}', false, false, 'Appointments of a status, by time.'),
('composite index', 'idx_appointments_student_status_scheduled', 'appointments', 9,
 ARRAY['studentId', 'status', 'scheduledAt'], '{}', '{}', false, false, 'Appointments of a student and status, by time.'),
('composite index', 'idx_appointments_type_status_scheduled', 'appointments', 10,
 ARRAY['type', 'status', 'scheduledAt'], '{}', '{}', false, false, 'Appointments of a type and status, by time.'),
('composite index', 'idx_appointments_recurring_group', 'appointments', 11,
 ARRAY['recurringGroupId'], '{}', '{}', false, false, 'Appointments of a recurring series.'),
('composite index', 'idx_medications_active_name', 'medications', 12,
 ARRAY['isActive', 'name'], '{}', '{}', false, false, 'Active medications by name.'),
('composite index', 'idx_medications_controlled_schedule', 'medications', 13,
 ARRAY['isControlled', 'deaSchedule'], '{}', '{}', false, false, 'Controlled medications by DEA schedule.'),
('composite index', 'idx_medications_form_active', 'medications', 14,
 ARRAY['dosageForm', 'isActive'], '{}', '{}', false, false, 'Medications of a dosage form.');

-- sql/objects/mv_student_health_summary.sql

-- mv_student_health_summary: one row for each live student, active or not.
--
-- Each child table is aggregated by itself, so that no child multiplies another. EpiPen locations stand in a sub-query of
-- their own: an aggregate with DISTINCT or ORDER BY would keep the whole of allergies from being aggregated by hashing.
-- A medication becomes current, or no longer is, when a day begins: that is all that time changes here.
-- Restricted to keys, the medications that are active and those that are not are looked up apart, each through its own index.
-- (SELECT {today}) rather than {today}: the clock is then read once for the query, not once for each row.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_student_health_summary', '{studentId}', '{studentId}', 'Health summary of each student, active or not.', $keys$
SELECT sm."studentId"
  FROM {student_medications: studentId, startDate, endDate, deletedAt} AS sm
 WHERE {that day} < {today} AND sm."deletedAt" IS NULL
   AND (sm."startDate" > (SELECT {that day}) AND sm."startDate" <= (SELECT {today})
        OR sm."endDate" >= (SELECT {that day}) AND sm."endDate" < (SELECT {today}))
$keys$, 'SELECT {next day}', $view$
SELECT s."id" AS "studentId", s."studentNumber", s."firstName", s."lastName", s."grade", s."schoolId", s."nurseId", s."dateOfBirth",
       s."isActive" IS NOT FALSE AS "isActive",
       coalesce(record."active", 0) AS "activeHealthRecordsCount",
       record."last" AS "lastHealthRecordDate",
       record."lastPhysical" AS "lastPhysicalExamDate",
       record."lastVision" AS "lastVisionScreeningDate",
       record."lastHearing" AS "lastHearingScreeningDate",
       coalesce(allergy."active", 0) AS "activeAllergiesCount",
       coalesce(allergy."severe", 0) AS "severeAllergiesCount",
       coalesce(allergy."epiPen", false) AS "hasEpiPenRequired",
       location."all" AS "epiPenLocation",
       coalesce(medication."current", 0) AS "activeMedicationsCount",
       coalesce(medication."controlled", 0) AS "controlledMedicationsCount",
       coalesce(condition."active", 0) AS "chronicConditionsCount",
       coalesce(vaccination."live", 0) AS "vaccinationsCount",
       coalesce(vaccination."compliant", 0) AS "compliantVaccinationsCount",
       coalesce(vaccination."nonCompliant", 0) AS "nonCompliantVaccinationsCount",
       greatest(s."updatedAt", record."updated", allergy."updated", medication."updated", condition."updated",
                vaccination."updated") AS "lastDataUpdate"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, dateOfBirth, isActive, updatedAt, deletedAt} AS s
  LEFT JOIN (
       SELECT h."studentId",
              count(*) FILTER (WHERE h."isActive" IS NOT FALSE) AS "active",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE) AS "last",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE AND h."recordType" = 'PHYSICAL_EXAM') AS "lastPhysical",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE
                                            AND h."recordType" IN ('VISION_SCREENING', 'VISION')) AS "lastVision",
              max(h."recordDate") FILTER (WHERE h."isActive" IS NOT FALSE
                                            AND h."recordType" IN ('HEARING_SCREENING', 'HEARING')) AS "lastHearing",
              max(h."updatedAt") AS "updated"
         FROM {health_records: studentId, recordType, recordDate, isActive, updatedAt, deletedAt} AS h
        WHERE h."deletedAt" IS NULL {only h."studentId"}
        GROUP BY h."studentId") AS record ON record."studentId" = s."id"
  LEFT JOIN (
       SELECT a."studentId",
              count(*) FILTER (WHERE a."isActive" IS NOT FALSE) AS "active",
              count(*) FILTER (WHERE a."isActive" IS NOT FALSE AND a."severity" IN ('SEVERE', 'LIFE_THREATENING')) AS "severe",
              bool_or(a."isActive" IS NOT FALSE AND a."epiPenRequired" IS TRUE) AS "epiPen",
              max(a."updatedAt") AS "updated"
         FROM {allergies: studentId, severity, epiPenRequired, isActive, updatedAt, deletedAt} AS a
        WHERE a."deletedAt" IS NULL {only a."studentId"}
        GROUP BY a."studentId") AS allergy ON allergy."studentId" = s."id"
  LEFT JOIN (
       SELECT a."studentId", string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") AS "all"
         FROM {allergies: studentId, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE AND a."epiPenRequired" AND btrim(a."epiPenLocation") <> ''
              {only a."studentId"}
        GROUP BY a."studentId") AS location ON location."studentId" = s."id"
  LEFT JOIN (
       SELECT c."studentId",
              count(*) FILTER (WHERE c."isCurrent") AS "current",
              count(*) FILTER (WHERE c."isCurrent" AND coalesce(c."requiresWitness", m."requiresWitness")) AS "controlled",
              max(c."updatedAt") AS "updated"
         FROM (SELECT sm."studentId", sm."medicationId", sm."requiresWitness", sm."updatedAt",
                      sm."isActive" IS NOT FALSE AND (sm."startDate" > (SELECT {today})) IS NOT TRUE
                      AND (sm."endDate" < (SELECT {today})) IS NOT TRUE AS "isCurrent"
                 FROM {student_medications: studentId, medicationId, requiresWitness, startDate, endDate, isActive, updatedAt, deletedAt} AS sm
                WHERE sm."deletedAt" IS NULL
               {when keys}
                  AND sm."isActive" {only sm."studentId"}
               UNION ALL
               SELECT sm."studentId", sm."medicationId", sm."requiresWitness", sm."updatedAt",
                      sm."isActive" IS NOT FALSE AND (sm."startDate" > (SELECT {today})) IS NOT TRUE
                      AND (sm."endDate" < (SELECT {today})) IS NOT TRUE AS "isCurrent"
                 FROM {student_medications: studentId, medicationId, requiresWitness, startDate, endDate, isActive, updatedAt, deletedAt} AS sm
                WHERE sm."deletedAt" IS NULL AND sm."isActive" IS NOT TRUE {only sm."studentId"}
               {end}) AS c
         LEFT JOIN {medications: id, requiresWitness} AS m ON m."id" = c."medicationId"
        GROUP BY c."studentId") AS medication ON medication."studentId" = s."id"
  LEFT JOIN (
       SELECT cc."studentId",
              count(*) FILTER (WHERE cc."isActive" IS NOT FALSE) AS "active",
              max(cc."updatedAt") AS "updated"
         FROM {chronic_conditions: studentId, isActive, updatedAt, deletedAt} AS cc
        WHERE cc."deletedAt" IS NULL {only cc."studentId"}
        GROUP BY cc."studentId") AS condition ON condition."studentId" = s."id"
  LEFT JOIN (
       SELECT v."studentId",
              count(*) AS "live",
              count(*) FILTER (WHERE v."complianceStatus" = 'COMPLIANT') AS "compliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliant",
              max(v."updatedAt") AS "updated"
         FROM {vaccinations: studentId, complianceStatus, updatedAt, deletedAt} AS v
        WHERE v."deletedAt" IS NULL {only v."studentId"}
        GROUP BY v."studentId") AS vaccination ON vaccination."studentId" = s."id"
 WHERE s."deletedAt" IS NULL {only s."id"}
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_student_health_summary', 'studentId', 'The student (students.id); unique.'),
('mv_student_health_summary', 'studentNumber', 'Number of the student.'),
('mv_student_health_summary', 'firstName', 'First name of the student.'),
('mv_student_health_summary', 'lastName', 'Last name of the student.'),
('mv_student_health_summary', 'grade', 'Grade of the student.'),
('mv_student_health_summary', 'schoolId', 'School of the student.'),
('mv_student_health_summary', 'nurseId', 'Nurse of the student.'),
('mv_student_health_summary', 'dateOfBirth', 'Date of birth.'),
('mv_student_health_summary', 'isActive', 'Whether the student is active; a missing value counts as active.'),
('mv_student_health_summary', 'activeHealthRecordsCount', 'Number of live, active health records.'),
('mv_student_health_summary', 'lastHealthRecordDate', 'Latest date of a live, active health record.'),
('mv_student_health_summary', 'lastPhysicalExamDate', 'Latest date of a record of type PHYSICAL_EXAM.'),
('mv_student_health_summary', 'lastVisionScreeningDate', 'Latest date of a record of type VISION_SCREENING or VISION.'),
('mv_student_health_summary', 'lastHearingScreeningDate', 'Latest date of a record of type HEARING_SCREENING or HEARING.'),
('mv_student_health_summary', 'activeAllergiesCount', 'Number of live, active allergies.'),
('mv_student_health_summary', 'severeAllergiesCount', 'Number of those that are SEVERE or LIFE_THREATENING.'),
('mv_student_health_summary', 'hasEpiPenRequired', 'Whether a live, active allergy requires an EpiPen.'),
('mv_student_health_summary', 'epiPenLocation', 'Distinct EpiPen locations, sorted and joined by a comma; NULL where none.'),
('mv_student_health_summary', 'activeMedicationsCount', 'Number of medications that are current today.'),
('mv_student_health_summary', 'controlledMedicationsCount', 'Number of those that require a witness.'),
('mv_student_health_summary', 'chronicConditionsCount', 'Number of live, active chronic conditions.'),
('mv_student_health_summary', 'vaccinationsCount', 'Number of live vaccinations.'),
('mv_student_health_summary', 'compliantVaccinationsCount', 'Number of those with status COMPLIANT.'),
('mv_student_health_summary', 'nonCompliantVaccinationsCount', 'Number of those with status NON_COMPLIANT.'),
('mv_student_health_summary', 'lastDataUpdate',
 'Latest updatedAt of the student and of the live health records, allergies, medications, conditions and vaccinations, active or not.');

-- sql/objects/mv_compliance_status.sql

-- mv_compliance_status: one row for each live, active student.
--
-- A vaccination is superseded by a live one of the same, known type with a strictly later date. Only the doses that could make
-- a student non-compliant, overdue or due are asked whether they are, by an anti-join; the plain counts need no join at all.
-- OFFSET 0: the type of a record, which is an enumeration on some sites, is then made text and looked at once for each row; and
-- the types, a third of all rows, do not tempt the planner to fetch those rows one by one through an index.
-- ORDER BY: REFRESH CONCURRENTLY sorts all rows without a NULL, which are most here, column by column, twice, to look for
-- equal ones; rows that come sorted by the first column halve what it takes, and sorting them by it costs next to nothing.
--
-- Time. A dose turns from due to overdue, and an exam or a screening grows older than a year, when a day begins. The row as it
-- was tells both: its nextVaccinationDue is the earliest dose that was not overdue yet, and its dates are the latest ones.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_compliance_status', '{studentId}', '{studentId}', 'Vaccination and screening compliance of each active student.', $keys$
SELECT v."studentId"
  FROM {view} AS v
 WHERE {that day} < {today}
   AND (v."nextVaccinationDue" >= (SELECT {that day}) AND v."nextVaccinationDue" < (SELECT {today})
        OR v."lastPhysicalDate" >= (SELECT ({that day} - interval '1 year')::date)
           AND v."lastPhysicalDate" < (SELECT ({today} - interval '1 year')::date)
        OR v."lastVisionDate" >= (SELECT ({that day} - interval '1 year')::date)
           AND v."lastVisionDate" < (SELECT ({today} - interval '1 year')::date)
        OR v."lastHearingDate" >= (SELECT ({that day} - interval '1 year')::date)
           AND v."lastHearingDate" < (SELECT ({today} - interval '1 year')::date))
$keys$, 'SELECT {next day}', $view$
SELECT s."id" AS "studentId", s."schoolId", s."nurseId", s."studentNumber", s."firstName", s."lastName", s."grade",
       coalesce(vaccination."compliant", 0) AS "compliantVaccinations",
       coalesce(vaccination."nonCompliant", 0) AS "nonCompliantVaccinations",
       coalesce(vaccination."exempt", 0) AS "exemptVaccinations",
       dose."nextDue" AS "nextVaccinationDue",
       coalesce(dose."overdue", 0) AS "overdueVaccinations",
       record."lastPhysical" AS "lastPhysicalDate",
       coalesce(record."lastPhysical" >= (SELECT ({today} - interval '1 year')::date), false) AS "physicalExamCompliant",
       record."lastVision" AS "lastVisionDate",
       coalesce(record."lastVision" >= (SELECT ({today} - interval '1 year')::date), false) AS "visionScreeningCompliant",
       record."lastHearing" AS "lastHearingDate",
       coalesce(record."lastHearing" >= (SELECT ({today} - interval '1 year')::date), false) AS "hearingScreeningCompliant",
       CASE WHEN dose."nonCompliant" > 0 THEN 'NON_COMPLIANT'
            WHEN (record."lastPhysical" >= (SELECT ({today} - interval '1 year')::date)) IS NOT TRUE THEN 'NON_COMPLIANT'
            WHEN dose."overdue" > 0 THEN 'PAST_DUE'
            ELSE 'COMPLIANT' END AS "overallComplianceStatus"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s
  LEFT JOIN (
       SELECT v."studentId",
              count(*) FILTER (WHERE v."complianceStatus" = 'COMPLIANT') AS "compliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'EXEMPT') AS "exempt"
         FROM {vaccinations: studentId, complianceStatus, deletedAt} AS v
        WHERE v."deletedAt" IS NULL {only v."studentId"}
        GROUP BY v."studentId") AS vaccination ON vaccination."studentId" = s."id"
  LEFT JOIN (
       SELECT v."studentId",
              count(*) FILTER (WHERE v."complianceStatus" = 'NON_COMPLIANT') AS "nonCompliant",
              count(*) FILTER (WHERE v."complianceStatus" = 'OVERDUE' OR v."nextDueDate" < (SELECT {today})) AS "overdue",
              min(v."nextDueDate") FILTER (WHERE v."nextDueDate" >= (SELECT {today})) AS "nextDue"
         FROM {vaccinations: studentId, vaccineType, administrationDate, complianceStatus, nextDueDate, deletedAt} AS v
        WHERE v."deletedAt" IS NULL AND v."complianceStatus" IS DISTINCT FROM 'EXEMPT'
          AND (v."nextDueDate" IS NOT NULL OR v."complianceStatus" IN ('NON_COMPLIANT', 'OVERDUE'))
          AND NOT EXISTS (SELECT FROM {vaccinations: studentId, vaccineType, administrationDate, deletedAt} AS later
                           WHERE later."studentId" = v."studentId" AND later."vaccineType" = v."vaccineType"
                             AND later."administrationDate" > v."administrationDate" AND later."deletedAt" IS NULL
                                 {only later."studentId"})
              {only v."studentId"}
        GROUP BY v."studentId") AS dose ON dose."studentId" = s."id"
  LEFT JOIN (
       SELECT h."studentId",
              max(h."recordDate") FILTER (WHERE h."kind" = 1) AS "lastPhysical",
              max(h."recordDate") FILTER (WHERE h."kind" = 2) AS "lastVision",
              max(h."recordDate") FILTER (WHERE h."kind" = 3) AS "lastHearing"
         FROM (SELECT r."studentId", r."recordDate",
                      CASE r."recordType" WHEN 'PHYSICAL_EXAM' THEN 1
                                          WHEN 'VISION_SCREENING' THEN 2 WHEN 'VISION' THEN 2
                                          WHEN 'HEARING_SCREENING' THEN 3 WHEN 'HEARING' THEN 3 END AS "kind"
                 FROM {health_records: studentId, recordType, recordDate, isActive, deletedAt} AS r
                WHERE r."deletedAt" IS NULL AND r."isActive" IS NOT FALSE {only r."studentId"}
               OFFSET 0) AS h
        WHERE h."kind" IS NOT NULL
        GROUP BY h."studentId") AS record ON record."studentId" = s."id"
 WHERE s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE {only s."id"}
 ORDER BY s."id"
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_compliance_status', 'studentId', 'The student (students.id); unique.'),
('mv_compliance_status', 'schoolId', 'School of the student.'),
('mv_compliance_status', 'nurseId', 'Nurse of the student.'),
('mv_compliance_status', 'studentNumber', 'Number of the student.'),
('mv_compliance_status', 'firstName', 'First name of the student.'),
('mv_compliance_status', 'lastName', 'Last name of the student.'),
('mv_compliance_status', 'grade', 'Grade of the student.'),
('mv_compliance_status', 'compliantVaccinations', 'Number of live vaccinations with status COMPLIANT.'),
('mv_compliance_status', 'nonCompliantVaccinations', 'Number of live vaccinations with status NON_COMPLIANT, superseded ones included.'),
('mv_compliance_status', 'exemptVaccinations', 'Number of live vaccinations with status EXEMPT.'),
('mv_compliance_status', 'nextVaccinationDue', 'Earliest due date from today on, of vaccinations neither exempt nor superseded by a later dose.'),
('mv_compliance_status', 'overdueVaccinations',
 'Number of vaccinations due before today or with status OVERDUE, neither exempt nor superseded by a later dose.'),
('mv_compliance_status', 'lastPhysicalDate', 'Latest date of a live, active record of type PHYSICAL_EXAM.'),
('mv_compliance_status', 'physicalExamCompliant', 'Whether that is not older than a year.'),
('mv_compliance_status', 'lastVisionDate', 'Latest date of a live, active record of type VISION_SCREENING or VISION.'),
('mv_compliance_status', 'visionScreeningCompliant', 'Whether that is not older than a year.'),
('mv_compliance_status', 'lastHearingDate', 'Latest date of a live, active record of type HEARING_SCREENING or HEARING.'),
('mv_compliance_status', 'hearingScreeningCompliant', 'Whether that is not older than a year.'),
('mv_compliance_status', 'overallComplianceStatus',
 'NON_COMPLIANT (a non-compliant vaccination not superseded, or no physical exam within a year), PAST_DUE (an overdue vaccination) or COMPLIANT.');

-- sql/objects/mv_medication_schedule.sql

-- mv_medication_schedule: one row for each current medication of a live, active student.
--
-- Doses. A time of day in scheduledTimes stands for a dose on each day from startDate to endDate, at that local time; the
-- zone's rules give the moment (a local time that the clocks skip is an hour later, one that comes twice is the second).
-- Yesterday's doses are looked at because one at 23:50 is still due at 00:10; the day after tomorrow's because tomorrow's at
-- 00:10 may have been given at 23:50 already. A row whose scheduledTimes is NULL, as it is for every row of a database
-- without the column, has the doses of its PENDING logs instead. An empty array has no doses.
--
-- Nothing here raises: a time that isn't hh:mm or hh:mm:ss, with AM or PM or without, is left out before it is
-- cast; logs are compared around "now" only, so that no extreme timestamp meets an addition or a zone. No backslash: the
-- definition must mean the same whatever standard_conforming_strings is. OFFSET 0: each time is parsed once, not once a day.
--
-- A dose was given where a live ADMINISTERED log stands within 30 minutes of it. Only logs from now less 60 minutes on can
-- say so of a dose that is due or to come.
--
-- Time. Whether a dose was given does not depend on the clock, so between two moments of a day the doses ahead of a row only
-- become fewer, and the row as it was tells what happens to it: its next dose is over, or comes within 30 minutes; or a
-- dose for which it was due is more than 30 minutes old, which takes a look at its doses, but only if it is due and was
-- refreshed within the hour before (after more than an hour none of those doses is near). When a day begins, the medication may
-- begin or end, other logs are those of today, and a row without a next dose may have one again, since one more day is
-- looked at. A row whose next dose is on a day after those that were looked at, by a clock that was set forward
-- across midnight, is taken along, because the day that is new may hold an earlier one.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_medication_schedule', '{studentMedicationId}', '{studentMedicationId}', 'Current medications of active students, with their next dose.', $keys$
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {then} < {now} AND v."nextScheduledTime" <= (SELECT {now})
UNION ALL
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {then} < {now} AND v."nextScheduledTime" > (SELECT greatest({now}, {then} + interval '30 minutes'))
   AND v."nextScheduledTime" <= (SELECT {now} + interval '30 minutes')
UNION ALL
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {then} + interval '60 minutes' < {now} AND v."isDueNow"
UNION ALL
SELECT v."studentMedicationId"
  FROM (SELECT d."studentMedicationId", d."scheduledTimes" FROM {view} AS d WHERE d."isDueNow" AND d."scheduledTimes" IS NOT NULL) AS v
 CROSS JOIN LATERAL unnest(v."scheduledTimes") AS given("time")
 CROSS JOIN LATERAL (SELECT CASE WHEN btrim(given."time") ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$'
                                   OR btrim(given."time") ~* '^(0?[1-9]|1[0-2]):[0-5][0-9](:[0-5][0-9])? ?[ap]m$'
                                 THEN btrim(given."time")::time END AS "time"
                     OFFSET 0) AS parsed
 CROSS JOIN (VALUES (-1), (0), (1)) AS step("days")
 WHERE {then} < {now} AND {then} + interval '60 minutes' >= {now}
   AND ((SELECT {that day}) + step."days" + parsed."time") AT TIME ZONE {timezone} >= (SELECT {then} - interval '30 minutes')
   AND ((SELECT {that day}) + step."days" + parsed."time") AT TIME ZONE {timezone} < (SELECT {now} - interval '30 minutes')
UNION ALL
SELECT v."studentMedicationId"
  FROM (SELECT d."studentMedicationId" FROM {view} AS d WHERE d."isDueNow" AND d."scheduledTimes" IS NULL) AS v
 CROSS JOIN LATERAL (SELECT FROM {medication_logs: studentMedicationId, scheduledAt, status} AS l
                      WHERE l."studentMedicationId" = v."studentMedicationId" AND l."status" = 'PENDING'
                        AND l."scheduledAt" >= (SELECT {then} - interval '30 minutes')
                        AND l."scheduledAt" < (SELECT {now} - interval '30 minutes')
                      LIMIT 1) AS pending
 WHERE {then} < {now} AND {then} + interval '60 minutes' >= {now}
UNION ALL
SELECT sm."id" FROM {student_medications: id, startDate} AS sm
 WHERE {that day} < {today} AND sm."startDate" > (SELECT {that day}) AND sm."startDate" <= (SELECT {today})
UNION ALL
SELECT v."studentMedicationId" FROM {view} AS v
 WHERE {that day} < {today}
   AND (v."endDate" >= (SELECT {that day}) AND v."endDate" < (SELECT {today})
        OR v."administeredCountToday" > 0
        OR v."nextScheduledTime" IS NULL AND cardinality(v."scheduledTimes") > 0
        OR v."nextScheduledTime" >= (SELECT ({that day} + 3)::timestamp AT TIME ZONE {timezone} - interval '3 hours')
           AND v."scheduledTimes" IS NOT NULL)
UNION ALL
SELECT l."studentMedicationId" FROM {medication_logs: studentMedicationId, administeredAt, status} AS l
 WHERE {that day} < {today} AND l."status" = 'ADMINISTERED'
   AND l."administeredAt" > (SELECT {then}) AND l."administeredAt" <= (SELECT {now} + interval '2 days')
$keys$, $next$
SELECT least({next day},
             (SELECT min(v."nextScheduledTime") FROM {view} AS v WHERE v."nextScheduledTime" > (SELECT {now})),
             (SELECT min(v."nextScheduledTime") FROM {view} AS v WHERE v."nextScheduledTime" > (SELECT {now} + interval '30 minutes'))
             - interval '30 minutes',
             (SELECT min(d."at") + interval '30 minutes 1 microsecond'
                FROM (SELECT ((SELECT {today}) + step."days" + parsed."time") AT TIME ZONE {timezone} AS "at"
                        FROM (SELECT v."scheduledTimes" FROM {view} AS v WHERE v."isDueNow" AND v."scheduledTimes" IS NOT NULL) AS v
                       CROSS JOIN LATERAL unnest(v."scheduledTimes") AS given("time")
                       CROSS JOIN LATERAL (SELECT CASE WHEN btrim(given."time") ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$'
                                                         OR btrim(given."time") ~* '^(0?[1-9]|1[0-2]):[0-5][0-9](:[0-5][0-9])? ?[ap]m$'
                                                       THEN btrim(given."time")::time END AS "time"
                                           OFFSET 0) AS parsed
                       CROSS JOIN (VALUES (-1), (0), (1)) AS step("days")
                      UNION ALL
                      SELECT l."scheduledAt"
                        FROM (SELECT v."studentMedicationId" FROM {view} AS v WHERE v."isDueNow" AND v."scheduledTimes" IS NULL) AS v
                       CROSS JOIN LATERAL (SELECT l."scheduledAt" FROM {medication_logs: studentMedicationId, scheduledAt, status} AS l
                                            WHERE l."studentMedicationId" = v."studentMedicationId" AND l."status" = 'PENDING'
                                              AND l."scheduledAt" >= (SELECT {now} - interval '30 minutes')
                                              AND l."scheduledAt" <= (SELECT {now})
                                           OFFSET 0) AS l) AS d
               WHERE d."at" >= (SELECT {now} - interval '30 minutes') AND d."at" <= (SELECT {now})))
$next$, $view$
SELECT sm."id" AS "studentMedicationId", sm."studentId", s."studentNumber",
       concat_ws(' ', s."firstName", s."lastName") AS "studentName",
       s."grade", s."schoolId", s."nurseId", sm."medicationId",
       m."name" AS "medicationName",
       m."genericName" AS "medicationGenericName",
       sm."dosage", sm."route", sm."frequency", sm."scheduledTimes", sm."instructions", sm."startDate", sm."endDate",
       coalesce(sm."requiresWitness", m."requiresWitness", false) AS "requiresWitness",
       m."isControlled" IS TRUE AS "isControlled",
       m."deaSchedule",
       dose."next" AS "nextScheduledTime",
       log."last" AS "lastAdministeredAt",
       coalesce(log."today", 0) AS "administeredCountToday",
       coalesce(dose."due", false) AS "isDueNow"
  FROM {student_medications: id, studentId, medicationId, dosage, route, frequency, scheduledTimes, instructions, startDate, endDate, requiresWitness, isActive, deletedAt} AS sm
  JOIN {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s ON s."id" = sm."studentId"
  JOIN {medications: id, name, genericName, isControlled, deaSchedule, requiresWitness, deletedAt} AS m ON m."id" = sm."medicationId"
  LEFT JOIN (
       SELECT l."studentMedicationId",
              max(l."administeredAt") FILTER (WHERE l."status" = 'ADMINISTERED') AS "last",
              count(*) FILTER (WHERE l."status" = 'ADMINISTERED'
                                 AND CASE WHEN l."administeredAt" >= (SELECT {now} - interval '2 days')
                                           AND l."administeredAt" <= (SELECT {now} + interval '2 days')
                                          THEN (l."administeredAt" AT TIME ZONE {timezone})::date = (SELECT {today})
                                          ELSE false END) AS "today",
              array_agg(l."administeredAt") FILTER (WHERE l."status" = 'ADMINISTERED'
                                                      AND l."administeredAt" >= (SELECT {now} - interval '60 minutes')
                                                      AND l."administeredAt" <= to_timestamp(9224000000000)) AS "given",
              array_agg(l."scheduledAt") FILTER (WHERE l."status" = 'PENDING'
                                                   AND l."scheduledAt" >= (SELECT {now} - interval '30 minutes')
                                                   AND l."scheduledAt" <= to_timestamp(9224000000000)) AS "pending"
         FROM {medication_logs: studentMedicationId, scheduledAt, administeredAt, status, deletedAt} AS l
        WHERE l."deletedAt" IS NULL AND l."status" IN ('ADMINISTERED', 'PENDING') {only l."studentMedicationId"}
        GROUP BY l."studentMedicationId") AS log ON log."studentMedicationId" = sm."id"
 CROSS JOIN LATERAL (
       SELECT min(d."at") FILTER (WHERE d."at" > (SELECT {now})) AS "next",
              bool_or(d."at" <= (SELECT {now} + interval '30 minutes')) AS "due"
         FROM (SELECT (near."day" + parsed."time") AT TIME ZONE {timezone} AS "at"
                 FROM (SELECT CASE WHEN btrim(given."time") ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$'
                                     OR btrim(given."time") ~* '^(0?[1-9]|1[0-2]):[0-5][0-9](:[0-5][0-9])? ?[ap]m$'
                                   THEN btrim(given."time")::time END AS "time"
                         FROM unnest(sm."scheduledTimes") AS given("time")
                       OFFSET 0) AS parsed
                CROSS JOIN (SELECT (SELECT {today}) + step."days" AS "day"
                              FROM (VALUES (-1), (0), (1), (2)) AS step("days")) AS near
                WHERE parsed."time" IS NOT NULL
                  AND (near."day" < sm."startDate") IS NOT TRUE AND (near."day" > sm."endDate") IS NOT TRUE
                UNION ALL
               SELECT pending."at"
                 FROM unnest(log."pending") AS pending("at")
                WHERE sm."scheduledTimes" IS NULL
                  AND ((pending."at" AT TIME ZONE {timezone})::date > sm."endDate") IS NOT TRUE) AS d
        WHERE d."at" >= (SELECT {now} - interval '30 minutes')
          AND (log."given" IS NULL
               OR NOT EXISTS (SELECT FROM unnest(log."given") AS administered("at")
                               WHERE d."at" BETWEEN administered."at" - interval '30 minutes'
                                                AND administered."at" + interval '30 minutes'))) AS dose
 WHERE sm."deletedAt" IS NULL AND sm."isActive" IS NOT FALSE
   AND (sm."startDate" > (SELECT {today})) IS NOT TRUE AND (sm."endDate" < (SELECT {today})) IS NOT TRUE
   AND s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE AND m."deletedAt" IS NULL {only sm."id"}
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_medication_schedule', 'studentMedicationId', 'The student''s medication (student_medications.id); unique.'),
('mv_medication_schedule', 'studentId', 'The student (students.id).'),
('mv_medication_schedule', 'studentNumber', 'Number of the student.'),
('mv_medication_schedule', 'studentName', 'First and last name of the student.'),
('mv_medication_schedule', 'grade', 'Grade of the student.'),
('mv_medication_schedule', 'schoolId', 'School of the student.'),
('mv_medication_schedule', 'nurseId', 'Nurse of the student.'),
('mv_medication_schedule', 'medicationId', 'The medication (medications.id).'),
('mv_medication_schedule', 'medicationName', 'Name of the medication.'),
('mv_medication_schedule', 'medicationGenericName', 'Generic name of the medication.'),
('mv_medication_schedule', 'dosage', 'Dosage for this student.'),
('mv_medication_schedule', 'route', 'Route of administration.'),
('mv_medication_schedule', 'frequency', 'Frequency as prescribed.'),
('mv_medication_schedule', 'scheduledTimes', 'Times of day in the time zone of the site; NULL where the doses are the PENDING logs.'),
('mv_medication_schedule', 'instructions', 'Instructions for this student.'),
('mv_medication_schedule', 'startDate', 'First day of the medication.'),
('mv_medication_schedule', 'endDate', 'Last day of the medication; NULL where it is open.'),
('mv_medication_schedule', 'requiresWitness', 'Whether a witness is required: for this student or, where that is unknown, by the medication.'),
('mv_medication_schedule', 'isControlled', 'Whether the medication is controlled.'),
('mv_medication_schedule', 'deaSchedule', 'DEA schedule of the medication.'),
('mv_medication_schedule', 'nextScheduledTime', 'First dose after now that was not given; NULL where none is left, or where it would be after endDate.'),
('mv_medication_schedule', 'lastAdministeredAt', 'Latest live log with status ADMINISTERED.'),
('mv_medication_schedule', 'administeredCountToday', 'Number of live logs with status ADMINISTERED today.'),
('mv_medication_schedule', 'isDueNow', 'Whether a dose that was not given is scheduled within 30 minutes of now, either side.');

-- sql/objects/mv_allergy_summary.sql

-- mv_allergy_summary: one row for each live, active student, with an empty array where it has no allergy.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, definition) VALUES
('mv_allergy_summary', '{studentId}', '{studentId}', 'Allergies of each active student, worst first.', $view$
SELECT s."id" AS "studentId", s."studentNumber", s."firstName", s."lastName", s."grade", s."schoolId", s."nurseId",
       coalesce(allergy."list", '[]'::jsonb) AS "allergies",
       coalesce(allergy."total", 0) AS "totalAllergies",
       coalesce(allergy."severe", 0) AS "severeAllergies",
       coalesce(allergy."moderate", 0) AS "moderateAllergies",
       coalesce(allergy."epiPen", false) AS "requiresEpiPen",
       location."all" AS "epiPenLocations",
       CASE WHEN allergy."severe" > 0 THEN 'CRITICAL'
            WHEN allergy."moderate" > 0 THEN 'WARNING'
            WHEN allergy."total" > 0 THEN 'INFO'
            ELSE 'NONE' END AS "alertLevel",
       coalesce(allergy."lifeThreatening", 0) AS "lifeThreateningAllergies",
       coalesce(allergy."mild", 0) AS "mildAllergies"
  FROM {students: id, studentNumber, firstName, lastName, grade, schoolId, nurseId, isActive, deletedAt} AS s
  LEFT JOIN (
       SELECT a."studentId",
              jsonb_agg(jsonb_build_object(
                          'id', a."id", 'allergen', a."allergen", 'allergyType', a."allergyType", 'severity', a."severity",
                          'reaction', a."reaction", 'epiPenRequired', a."epiPenRequired" IS TRUE, 'epiPenLocation', a."epiPenLocation")
                        ORDER BY CASE a."severity" WHEN 'LIFE_THREATENING' THEN 1 WHEN 'SEVERE' THEN 2 WHEN 'MODERATE' THEN 3
                                                   WHEN 'MILD' THEN 4 ELSE 5 END,
                                 a."allergen", a."id") AS "list",
              count(*) AS "total",
              count(*) FILTER (WHERE a."severity" IN ('SEVERE', 'LIFE_THREATENING')) AS "severe",
              count(*) FILTER (WHERE a."severity" = 'LIFE_THREATENING') AS "lifeThreatening",
              count(*) FILTER (WHERE a."severity" = 'MODERATE') AS "moderate",
              count(*) FILTER (WHERE a."severity" = 'MILD') AS "mild",
              bool_or(a."epiPenRequired" IS TRUE) AS "epiPen"
         FROM {allergies: id, studentId, allergen, allergyType, severity, reaction, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE {only a."studentId"}
        GROUP BY a."studentId") AS allergy ON allergy."studentId" = s."id"
  LEFT JOIN (
       SELECT a."studentId", string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") AS "all"
         FROM {allergies: studentId, epiPenRequired, epiPenLocation, isActive, deletedAt} AS a
        WHERE a."deletedAt" IS NULL AND a."isActive" IS NOT FALSE AND a."epiPenRequired" AND btrim(a."epiPenLocation") <> ''
              {only a."studentId"}
        GROUP BY a."studentId") AS location ON location."studentId" = s."id"
 WHERE s."deletedAt" IS NULL AND s."isActive" IS NOT FALSE {only s."id"}
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_allergy_summary', 'studentId', 'The student (students.id); unique.'),
('mv_allergy_summary', 'studentNumber', 'Number of the student.'),
('mv_allergy_summary', 'firstName', 'First name of the student.'),
('mv_allergy_summary', 'lastName', 'Last name of the student.'),
('mv_allergy_summary', 'grade', 'Grade of the student.'),
('mv_allergy_summary', 'schoolId', 'School of the student.'),
('mv_allergy_summary', 'nurseId', 'Nurse of the student.'),
('mv_allergy_summary', 'allergies',
 'The live, active allergies as objects of id, allergen, allergyType, severity, reaction, epiPenRequired, epiPenLocation; worst severity first, then allergen, then id.'),
('mv_allergy_summary', 'totalAllergies', 'Number of live, active allergies.'),
('mv_allergy_summary', 'severeAllergies', 'Number of those that are SEVERE or LIFE_THREATENING.'),
('mv_allergy_summary', 'moderateAllergies', 'Number of those that are MODERATE.'),
('mv_allergy_summary', 'requiresEpiPen', 'Whether one of them requires an EpiPen.'),
('mv_allergy_summary', 'epiPenLocations', 'Distinct EpiPen locations, sorted and joined by a comma; NULL where none.'),
('mv_allergy_summary', 'alertLevel', 'CRITICAL (a severe allergy), WARNING (a moderate one), INFO (any other) or NONE.'),
('mv_allergy_summary', 'lifeThreateningAllergies', 'Number of those that are LIFE_THREATENING.'),
('mv_allergy_summary', 'mildAllergies', 'Number of those that are MILD.');

-- sql/objects/mv_appointment_statistics.sql

-- mv_appointment_statistics: one row for each nurse, school and local date; the last 90 days and everything to come.
--
-- The window is judged by the local date. The bound on scheduledAt before it only spares old rows the conversion: two days
-- wider than any difference of zones. A time at the end of time (about 294266 AD) counts as infinity, for the conversion might
-- raise. Restricted to keys, the appointments of each are looked up through the index on nurse and time, whatever the planner thinks:
-- local days begin and end less than a day away from those of UTC. avgDuration is the exact average, not rounded: that is the reader's choice.
-- When a day begins, another one leaves the window. None ever comes in: all that is to come is there already.

INSERT INTO @extschema@.wc_view_definition (name, key_columns, refresh_columns, comment, keys_between, next_moment, definition) VALUES
('mv_appointment_statistics', '{nurseId,schoolId,date}', '{nurseId,date}', 'Appointments of each nurse, school and day: the last 90 days and all to come.', $keys$
SELECT v."nurseId", v."date"
  FROM {view} AS v
 WHERE {that day} < {today} AND v."date" >= (SELECT {that day} - 90) AND v."date" < (SELECT {today} - 90)
$keys$, 'SELECT {next day}', $view$
SELECT a."nurseId",
       concat_ws(' ', nurse."firstName", nurse."lastName") AS "nurseName",
       a."schoolId",
       school."name" AS "schoolName",
       a."date",
       a."total" AS "totalAppointments",
       a."completed" AS "completedAppointments",
       a."cancelled" AS "cancelledAppointments",
       a."noShow" AS "noShowAppointments",
       a."scheduled" AS "scheduledAppointments",
       a."checkup" AS "checkupAppointments",
       a."medication" AS "medicationAppointments",
       a."injury" AS "injuryAppointments",
       a."illness" AS "illnessAppointments",
       a."avgDuration",
       a."totalDuration",
       a."studentsSeen" AS "uniqueStudentsSeen"
  FROM (
       SELECT day."nurseId", day."schoolId", day."date",
              count(*) AS "total",
              count(*) FILTER (WHERE day."status" = 'COMPLETED') AS "completed",
              count(*) FILTER (WHERE day."status" = 'CANCELLED') AS "cancelled",
              count(*) FILTER (WHERE day."status" = 'NO_SHOW') AS "noShow",
              count(*) FILTER (WHERE day."status" IN ('SCHEDULED', 'CONFIRMED')) AS "scheduled",
              count(*) FILTER (WHERE day."type" IN ('CHECKUP', 'ROUTINE_CHECKUP')) AS "checkup",
              count(*) FILTER (WHERE day."type" IN ('MEDICATION', 'MEDICATION_ADMINISTRATION')) AS "medication",
              count(*) FILTER (WHERE day."type" IN ('INJURY', 'INJURY_ASSESSMENT')) AS "injury",
              count(*) FILTER (WHERE day."type" IN ('ILLNESS', 'ILLNESS_EVALUATION')) AS "illness",
              (avg(day."duration") FILTER (WHERE day."status" = 'COMPLETED'))::numeric AS "avgDuration",
              coalesce(sum(day."duration") FILTER (WHERE day."status" = 'COMPLETED'), 0)::bigint AS "totalDuration",
              count(DISTINCT day."studentId") FILTER (WHERE day."status" = 'COMPLETED') AS "studentsSeen"
         FROM {when keys} {keys} AS key("nurseId", "date") CROSS JOIN LATERAL {end}
              (SELECT p."nurseId", p."schoolId", p."studentId", p."type", p."status", p."duration",
                      CASE WHEN p."scheduledAt" < to_timestamp(9224000000000)
                           THEN (p."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END AS "date"
                 FROM {appointments: nurseId, schoolId, studentId, type, status, scheduledAt, duration, deletedAt} AS p
                WHERE p."deletedAt" IS NULL AND p."scheduledAt" >= (SELECT {now} - interval '92 days')
               {when keys}
                  AND p."nurseId" = key."nurseId"
                  AND p."scheduledAt" >= CASE WHEN isfinite(key."date") THEN (key."date" - 1)::timestamp AT TIME ZONE 'UTC'
                                              ELSE to_timestamp(9224000000000) END
                  AND p."scheduledAt" <= CASE WHEN isfinite(key."date") THEN (key."date" + 2)::timestamp AT TIME ZONE 'UTC'
                                              ELSE 'infinity' END
               OFFSET 0
               {end}) AS day
        WHERE day."date" >= (SELECT {today} - 90) {when keys} AND day."date" = key."date" {end}
        GROUP BY day."nurseId", day."schoolId", day."date") AS a
  JOIN {users: id, firstName, lastName} AS nurse ON nurse."id" = a."nurseId"
  LEFT JOIN {schools: id, name} AS school ON school."id" = a."schoolId"
$view$);

INSERT INTO @extschema@.wc_view_column (view_name, column_name, comment) VALUES
('mv_appointment_statistics', 'nurseId', 'The nurse (users.id).'),
('mv_appointment_statistics', 'nurseName', 'First and last name of the nurse.'),
('mv_appointment_statistics', 'schoolId', 'The school (schools.id); NULL where none is known.'),
('mv_appointment_statistics', 'schoolName', 'Name of the school.'),
('mv_appointment_statistics', 'date', 'Local date of the appointments, in the time zone of the site.'),
('mv_appointment_statistics', 'totalAppointments', 'Number of live appointments.'),
('mv_appointment_statistics', 'completedAppointments', 'Number of those with status COMPLETED.'),
('mv_appointment_statistics', 'cancelledAppointments', 'Number of those with status CANCELLED.'),
('mv_appointment_statistics', 'noShowAppointments', 'Number of those with status NO_SHOW.'),
('mv_appointment_statistics', 'scheduledAppointments', 'Number of those with status SCHEDULED or CONFIRMED.'),
('mv_appointment_statistics', 'checkupAppointments', 'Number of those of type CHECKUP or ROUTINE_CHECKUP.'),
('mv_appointment_statistics', 'medicationAppointments', 'Number of those of type MEDICATION or MEDICATION_ADMINISTRATION.'),
('mv_appointment_statistics', 'injuryAppointments', 'Number of those of type INJURY or INJURY_ASSESSMENT.'),
('mv_appointment_statistics', 'illnessAppointments', 'Number of those of type ILLNESS or ILLNESS_EVALUATION.'),
('mv_appointment_statistics', 'avgDuration', 'Average minutes of the completed ones, not rounded; NULL where none is completed.'),
('mv_appointment_statistics', 'totalDuration', 'Total minutes of the completed ones; 0 where none is completed.'),
('mv_appointment_statistics', 'uniqueStudentsSeen', 'Number of students with a completed appointment.');

-- sql/objects/view_sources.sql

-- What an incremental refresh recomputes after a change: for each view and each table that it reads, the query of the keys
-- (refresh_columns) whose rows may differ once rows of that table have changed.
--
-- {changed: columns} is the changed rows, as they were and as they are, with those canonical columns; the triggers note
-- just the columns that these queries name. The other tables are read as they are now. That is enough: a row that links a
-- changed one to a key, and was itself changed, is in the log with its own key, old and new.
-- LATERAL ... OFFSET 0: from the changed rows, mostly few or none, to the others by an index, whatever the planner would
-- think of numbers that it does not know.
-- A student's medications are looked up as they are indexed: the active ones, and the others (of which a missing isActive
-- counts as active).
-- A table that a view reads on some sites only (a student's school that stands for the appointment's) counts there alone.

INSERT INTO @extschema@.wc_view_source (view_name, table_name, keys) VALUES
('mv_student_health_summary', 'students', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_student_health_summary', 'health_records', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'allergies', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'student_medications', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'chronic_conditions', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'vaccinations', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_student_health_summary', 'medications', $keys$
SELECT sm."studentId"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT m."studentId" FROM {student_medications: studentId, medicationId} AS m
                      WHERE m."medicationId" = c."id" OFFSET 0) AS sm
$keys$),

('mv_compliance_status', 'students', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_compliance_status', 'vaccinations', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),
('mv_compliance_status', 'health_records', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),

('mv_allergy_summary', 'students', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_allergy_summary', 'allergies', $keys$SELECT c."studentId" FROM {changed: studentId} AS c$keys$),

('mv_medication_schedule', 'student_medications', $keys$SELECT c."id" FROM {changed: id} AS c$keys$),
('mv_medication_schedule', 'medication_logs', $keys$SELECT c."studentMedicationId" FROM {changed: studentMedicationId} AS c$keys$),
('mv_medication_schedule', 'students', $keys$
SELECT sm."id"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT m."id" FROM {student_medications: id, studentId, isActive, deletedAt} AS m
                      WHERE m."studentId" = c."id" AND m."isActive" AND m."deletedAt" IS NULL
                     UNION ALL
                     SELECT m."id" FROM {student_medications: id, studentId, isActive} AS m
                      WHERE m."studentId" = c."id" AND m."isActive" IS NOT TRUE
                     OFFSET 0) AS sm
$keys$),
('mv_medication_schedule', 'medications', $keys$
SELECT sm."id"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT m."id" FROM {student_medications: id, medicationId} AS m WHERE m."medicationId" = c."id" OFFSET 0) AS sm
$keys$),

-- Days that were in the view neither then nor are now have no rows to refresh. The date is that of the view.
('mv_appointment_statistics', 'appointments', $keys$
SELECT c."nurseId",
       CASE WHEN c."scheduledAt" < to_timestamp(9224000000000)
            THEN (c."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END
  FROM {changed: nurseId, scheduledAt} AS c
 WHERE c."scheduledAt" >= (SELECT {then} - interval '92 days')
$keys$),
('mv_appointment_statistics', 'users', $keys$
SELECT p."nurseId",
       CASE WHEN p."scheduledAt" < to_timestamp(9224000000000)
            THEN (p."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT a."nurseId", a."scheduledAt" FROM {appointments: nurseId, scheduledAt} AS a
                      WHERE a."nurseId" = c."id" AND a."scheduledAt" >= (SELECT {then} - interval '92 days') OFFSET 0) AS p
$keys$),
('mv_appointment_statistics', 'students', $keys$
SELECT p."nurseId",
       CASE WHEN p."scheduledAt" < to_timestamp(9224000000000)
            THEN (p."scheduledAt" AT TIME ZONE {timezone})::date ELSE date 'infinity' END
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT a."nurseId", a."scheduledAt" FROM {appointments: nurseId, studentId, scheduledAt} AS a
                      WHERE a."studentId" = c."id" AND a."scheduledAt" >= (SELECT {then} - interval '92 days') OFFSET 0) AS p
$keys$),
-- The school gives a row its name only: the rows are those that the view has.
('mv_appointment_statistics', 'schools', $keys$
SELECT v."nurseId", v."date"
  FROM {changed: id} AS c
 CROSS JOIN LATERAL (SELECT s."nurseId", s."date" FROM {view} AS s WHERE s."schoolId" = c."id" OFFSET 0) AS v
$keys$);

-- sql/objects/view_indexes.sql

-- The indexes of the materialized views. Each view has a unique one without a predicate: REFRESH MATERIALIZED VIEW
-- CONCURRENTLY needs it. table_name is the view, the columns are the view's own.

INSERT INTO @extschema@.wc_index_definition
  (kind, name, table_name, position, key_columns, include_columns, predicate, is_unique, nulls_not_distinct, comment) VALUES
('view index', 'mv_student_health_summary_pkey', 'mv_student_health_summary', 1,
 ARRAY['studentId'], '{}', '{}', true, false, 'One row for each student.'),
('view index', 'mv_student_health_summary_school_grade', 'mv_student_health_summary', 2,
 ARRAY['schoolId', 'grade', 'isActive'], '{}', '{}', false, false, 'Students of a school and grade.'),
('view index', 'mv_student_health_summary_nurse', 'mv_student_health_summary', 3,
 ARRAY['nurseId', 'isActive'], '{}', '{}', false, false, 'Students of a nurse.'),
('view index', 'mv_compliance_status_pkey', 'mv_compliance_status', 4,
 ARRAY['studentId'], '{}', '{}', true, false, 'One row for each active student.'),
('view index', 'mv_compliance_status_school', 'mv_compliance_status', 5,
 ARRAY['schoolId', 'overallComplianceStatus'], '{}', '{}', false, false, 'Compliance of a school.'),
('view index', 'mv_compliance_status_nurse', 'mv_compliance_status', 6,
 ARRAY['nurseId', 'overallComplianceStatus'], '{}', '{}', false, false, 'Compliance of a nurse''s students.'),
('view index', 'mv_compliance_status_non_compliant', 'mv_compliance_status', 7,
 ARRAY['schoolId'], '{}', ARRAY['{overallComplianceStatus IN ''NON_COMPLIANT'', ''PAST_DUE''}'], false, false,
 'Students of a school who are not compliant.'),
('view index', 'mv_medication_schedule_pkey', 'mv_medication_schedule', 8,
 ARRAY['studentMedicationId'], '{}', '{}', true, false, 'One row for each current medication of a student.'),
('view index', 'mv_medication_schedule_student', 'mv_medication_schedule', 9,
 ARRAY['studentId'], '{}', '{}', false, false, 'Current medications of a student.'),
('view index', 'mv_medication_schedule_school', 'mv_medication_schedule', 10,
 ARRAY['schoolId', 'nurseId'], '{}', '{}', false, false, 'Current medications of a school.'),
('view index', 'mv_medication_schedule_nurse', 'mv_medication_schedule', 11,
 ARRAY['nurseId'], '{}', '{}', false, false, 'Current medications of a nurse''s students.'),
('view index', 'mv_medication_schedule_due_now', 'mv_medication_schedule', 12,
 ARRAY['schoolId', 'nurseId'], '{}', ARRAY['{isDueNow}'], false, false, 'Medications of a school that are due now.'),
('view index', 'mv_allergy_summary_pkey', 'mv_allergy_summary', 13,
 ARRAY['studentId'], '{}', '{}', true, false, 'One row for each active student.'),
('view index', 'mv_allergy_summary_school', 'mv_allergy_summary', 14,
 ARRAY['schoolId', 'alertLevel'], '{}', '{}', false, false, 'Allergy alerts of a school.'),
('view index', 'mv_allergy_summary_epipen', 'mv_allergy_summary', 15,
 ARRAY['schoolId'], '{}', ARRAY['{requiresEpiPen}'], false, false, 'Students of a school who need an EpiPen.'),
('view index', 'mv_appointment_statistics_nurse_date', 'mv_appointment_statistics', 16,
 ARRAY['nurseId', 'date desc'], '{}', '{}', false, false, 'Appointments of a nurse, latest day first.'),
('view index', 'mv_appointment_statistics_school_date', 'mv_appointment_statistics', 17,
 ARRAY['schoolId', 'date desc'], '{}', '{}', false, false, 'Appointments of a school, latest day first.'),
('view index', 'mv_appointment_statistics_pkey', 'mv_appointment_statistics', 18,
 ARRAY['nurseId', 'schoolId', 'date'], '{}', '{}', true, true, 'One row for each nurse, school and day; a missing school counts as a school.');

-- sql/objects/refresh_indexes.sql

-- Indexes that incremental refresh needs: without them the cost of a refresh would grow with the tables, not with what
-- changed. table_name is a base table (canonical columns) or a view (its own).
--
-- A student's medications that are not active count where only their updatedAt matters: they have an index beside that of the
-- active ones, so that the application's queries keep to the latter. From a medication to the students who take it there is no
-- other way. The view is asked at every refresh which of its doses have come near.

INSERT INTO @extschema@.wc_index_definition
  (kind, name, table_name, position, key_columns, include_columns, predicate, is_unique, nulls_not_distinct, comment) VALUES
('refresh index', 'idx_inactive_student_medications', 'student_medications', 1,
 ARRAY['studentId'], '{}', ARRAY['{isActive} IS NOT TRUE'], false, false, 'Medications of a student that are not active.'),
('refresh index', 'idx_student_medications_by_medication', 'student_medications', 2,
 ARRAY['medicationId'], '{}', '{}', false, false, 'Students who take a medication.'),
('refresh index', 'mv_medication_schedule_next', 'mv_medication_schedule', 3,
 ARRAY['nextScheduledTime'], '{}', '{}', false, false, 'Doses that come next, by time.');

-- sql/replicated.sql

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

-- sql/install.sql

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

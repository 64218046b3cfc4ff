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

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

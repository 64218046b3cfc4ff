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

-- What the result cache has done and holds, and making it forget.

CREATE FUNCTION @extschema@.wc_cache_counts()
RETURNS TABLE (database_oid oid, entries bigint, bytes bigint, hits bigint, misses bigint, stores bigint, evictions bigint,
               invalidations bigint, expirations bigint, refusals jsonb, waits bigint, second_tier_hits bigint,
               second_tier_misses bigint, second_tier_stores bigint, second_tier_errors bigint, second_tier_timeouts bigint,
               since timestamptz)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_cache_counts';
COMMENT ON FUNCTION @extschema@.wc_cache_counts() IS
'Internal: what wc_cache_stats shows, with OIDs; OID 0: databases after the first 50.';

CREATE FUNCTION @extschema@.wc_cache_memory()
RETURNS TABLE (entries bigint, max_entries bigint, bytes bigint, max_bytes bigint, fills integer, held_by_prepared integer)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_cache_memory';
COMMENT ON FUNCTION @extschema@.wc_cache_memory() IS
'Of the result cache''s shared memory, which all databases share: entries and bytes taken, of how many, queries that are being run to be kept, and prepared transactions that keep tables from being cached.';

CREATE FUNCTION @extschema@.wc_cache_second_tier()
RETURNS TABLE (state text, last_error text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_cache_second_tier';
COMMENT ON FUNCTION @extschema@.wc_cache_second_tier() IS
'Whether the result cache''s second tier is used: not built, off, no keys, up, down or probing; and its last error since the server''s start.';

CREATE VIEW @extschema@.wc_cache_stats AS
SELECT CASE WHEN c.database_oid = 0 THEN '(other)' ELSE d.datname END::text AS database, c.entries, c.bytes, c.hits, c.misses,
       c.hits / nullif(c.hits + c.misses, 0)::double precision AS hit_ratio, c.stores, c.evictions, c.invalidations,
       c.expirations, c.refusals, c.waits, s.state AS second_tier, c.second_tier_hits, c.second_tier_misses,
       c.second_tier_stores, c.second_tier_errors, c.second_tier_timeouts, s.last_error AS second_tier_last_error, c.since
  FROM @extschema@.wc_cache_counts() AS c
 CROSS JOIN @extschema@.wc_cache_second_tier() AS s
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = c.database_oid;
GRANT SELECT ON @extschema@.wc_cache_stats TO PUBLIC;
COMMENT ON VIEW @extschema@.wc_cache_stats IS
'What the result cache has done, by database: entries, bytes, hits, misses, hit_ratio (0 to 1), stores, what left it, calls that it refused by reason, waits for another session''s query; the state of the second tier and its counts.';

CREATE FUNCTION @extschema@.wc_reset_cache_stats()
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_reset_cache_stats';
REVOKE ALL ON FUNCTION @extschema@.wc_reset_cache_stats() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_reset_cache_stats() IS
'Sets the counts of wc_cache_stats to 0, of this database. Entries stay.';

CREATE FUNCTION @extschema@.wc_cached_entries()
RETURNS TABLE (tag text, tables oid[], role_oid oid, query_id bigint, ttl_ms bigint, age_ms bigint, hits bigint,
               bytes bigint, cost_ms double precision)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 200
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_cached_entries';
COMMENT ON FUNCTION @extschema@.wc_cached_entries() IS
'Internal: what wc_cache_entries shows, with OIDs; only the caller''s own entries without the rights of pg_read_all_stats.';

-- A query that several roles run, or that changes its plan, has several patterns of one text.
CREATE VIEW @extschema@.wc_cache_entries AS
WITH text AS MATERIALIZED (
    SELECT p.query_id, min(p.query) AS query
      FROM @extschema@.wc_query_patterns() AS p
     WHERE p.query_id <> 0
       AND p.database_oid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
     GROUP BY p.query_id)
SELECT e.tag, e.tables::pg_catalog.regclass[] AS tables, r.rolname::text AS role, nullif(e.query_id, 0) AS query_id,
       t.query AS normalised_text, pg_catalog.make_interval(secs => e.ttl_ms / 1000.0) AS ttl,
       pg_catalog.make_interval(secs => e.age_ms / 1000.0) AS age, e.hits, e.bytes, e.cost_ms
  FROM @extschema@.wc_cached_entries() AS e
  LEFT JOIN text AS t ON t.query_id = e.query_id
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = e.role_oid;
GRANT SELECT ON @extschema@.wc_cache_entries TO PUBLIC;
COMMENT ON VIEW @extschema@.wc_cache_entries IS
'What the result cache holds of this database: tag, tables, with whose rights it was read, the query (normalised, where wc_query_stats has it), time to live, age, hits, bytes, what running the query took. Own entries only without the rights of pg_read_all_stats.';

CREATE FUNCTION @extschema@.wc_cache_clear()
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_cache_clear';
REVOKE ALL ON FUNCTION @extschema@.wc_cache_clear() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_cache_clear() IS
'Removes all cached results of this database, in both tiers, and lets no query that runs now be kept; returns how many entries of the first tier that were.';

CREATE FUNCTION @extschema@.wc_cache_invalidate("table" regclass)
RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_cache_invalidate';
REVOKE ALL ON FUNCTION @extschema@.wc_cache_invalidate(regclass) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_cache_invalidate(regclass) IS
'Removes the cached results that were read from a table, its partitions or children, or from a view, as a write would; returns how many entries of the first tier that were.';

CREATE FUNCTION @extschema@.wc_cache_invalidate_tag(pattern text)
RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_cache_invalidate_tag';
REVOKE ALL ON FUNCTION @extschema@.wc_cache_invalidate_tag(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.wc_cache_invalidate_tag(text) IS
'Removes the cached results of this database whose tag is LIKE a pattern, and lets no query that runs now be kept; returns how many entries of the first tier that were.';

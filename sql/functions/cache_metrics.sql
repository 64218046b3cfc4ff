-- The metrics of the result cache; see metrics.sql for what holds for all. Of the whole server: the cache is one for all databases. It counts by itself for the first 50
-- databases, and for all others together. What entries there are by tag is of this database alone.

CREATE FUNCTION @extschema@.wc_cache_metrics(family text)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $cache_metrics$
BEGIN
    IF NOT @extschema@.wc_preloaded() THEN
        RETURN;
    END IF;

    IF family IS NULL OR family = 'cache' THEN
        RETURN QUERY
        SELECT m.name, m.type, m.help, jsonb_build_object('database', d.name), m.value
          FROM (SELECT coalesce(s.database, '(other)') AS name, sum(s.entries) AS entries, sum(s.bytes) AS bytes, sum(s.hits) AS hits,
                       sum(s.misses) AS misses, sum(s.stores) AS stores, sum(s.evictions) AS evictions, sum(s.invalidations) AS invalidations,
                       sum(s.expirations) AS expirations, sum(s.waits) AS waits
                  FROM @extschema@.wc_cache_stats AS s
                 GROUP BY 1) AS d
         CROSS JOIN LATERAL (VALUES
            ('whitecross_cache_entries', 'gauge', 'Results that the cache has.', d.entries::double precision),
            ('whitecross_cache_size_bytes', 'gauge', 'Memory that these results take.', d.bytes),
            ('whitecross_cache_hits_total', 'counter', 'Questions that the cache has answered, since the server''s start or the last reset.', d.hits),
            ('whitecross_cache_misses_total', 'counter', 'Questions that could be cached, and that the cache had no answer to, since the server''s start or the last reset.', d.misses),
            ('whitecross_cache_stores_total', 'counter', 'Results that were put into the cache, since the server''s start or the last reset.', d.stores),
            ('whitecross_cache_evictions_total', 'counter', 'Results that gave their place to others, since the server''s start or the last reset.', d.evictions),
            ('whitecross_cache_invalidations_total', 'counter', 'Results that were found to be older than a write, since the server''s start or the last reset.', d.invalidations),
            ('whitecross_cache_expirations_total', 'counter', 'Results whose time was over, since the server''s start or the last reset.', d.expirations),
            ('whitecross_cache_waits_total', 'counter', 'Questions that waited for another session to compute the same, since the server''s start or the last reset.', d.waits)
         ) AS m (name, type, help, value);
    END IF;
    IF family IS NULL OR family = 'cache_limits' THEN
        RETURN QUERY
        SELECT m.name, 'gauge', m.help, '{}'::jsonb, m.value
          FROM (VALUES
            ('whitecross_cache_limit_entries', 'Results that the cache has room for: whitecross.cache_entries.',
             current_setting('whitecross.cache_entries')::double precision),
            ('whitecross_cache_limit_bytes', 'Memory that results may take: whitecross.cache_size.',
             pg_size_bytes(current_setting('whitecross.cache_size'))::double precision)
         ) AS m (name, help, value);
    END IF;
    IF family IS NULL OR family = 'cache_refusals' THEN
        RETURN QUERY
        SELECT 'whitecross_cache_refusals_total', 'counter', 'Calls whose query ran uncached, by reason, since the server''s start or the last reset.',
               jsonb_build_object('database', r.name, 'reason', r.reason), sum(r.number)::double precision
          FROM (SELECT CASE WHEN s.place <= 20 THEN coalesce(s.database, '(other)') ELSE '(other)' END AS name, e.key AS reason, e.value::numeric AS number
                  FROM (SELECT c.database, c.refusals, row_number() OVER (ORDER BY c.hits + c.misses DESC, c.database) AS place FROM @extschema@.wc_cache_stats AS c) AS s
                 CROSS JOIN LATERAL jsonb_each_text(s.refusals) AS e) AS r
         GROUP BY r.name, r.reason;
    END IF;
    IF family IS NULL OR family = 'cache_tags' THEN
        RETURN QUERY
        SELECT m.name, 'gauge', m.help, jsonb_build_object('database', current_database(), 'tag', t.tag), m.value
          FROM (SELECT CASE WHEN e.place <= 50 THEN e.tag ELSE '(other)' END AS tag, sum(e.entries) AS entries, sum(e.bytes) AS bytes, sum(e.hits) AS hits, max(e.age) AS age
                  FROM (SELECT coalesce(c.tag, '(none)') AS tag, count(*) AS entries, sum(c.bytes) AS bytes, sum(c.hits) AS hits, max(c.age_ms) / 1000.0 AS age,
                               row_number() OVER (ORDER BY sum(c.bytes) DESC, c.tag) AS place
                          FROM @extschema@.wc_cached_entries() AS c GROUP BY c.tag) AS e
                 GROUP BY 1) AS t
         CROSS JOIN LATERAL (VALUES
            ('whitecross_cache_tag_entries', 'Results that the cache has by that tag; of the tags that take most memory.', t.entries::double precision),
            ('whitecross_cache_tag_size_bytes', 'Memory that these results take.', t.bytes),
            ('whitecross_cache_tag_hits', 'How often these results have been hits, as long as they are there.', t.hits),
            ('whitecross_cache_tag_oldest_age_seconds', 'Age of the oldest of these results.', t.age)
         ) AS m (name, help, value);
    END IF;
    IF family IS NULL OR family = 'cache_second_tier' THEN
        RETURN QUERY
        SELECT m.name, 'counter', m.help, jsonb_build_object('database', d.name), m.value
          FROM (SELECT coalesce(s.database, '(other)') AS name, sum(s.second_tier_hits) AS hits, sum(s.second_tier_misses) AS misses,
                       sum(s.second_tier_stores) AS stores, sum(s.second_tier_errors) AS errors, sum(s.second_tier_timeouts) AS timeouts
                  FROM @extschema@.wc_cache_stats AS s
                 WHERE s.second_tier NOT IN ('not built', 'off')
                 GROUP BY 1) AS d
         CROSS JOIN LATERAL (VALUES
            ('whitecross_cache_second_tier_hits_total', 'Questions that Redis has answered, since the server''s start or the last reset.', d.hits::double precision),
            ('whitecross_cache_second_tier_misses_total', 'Questions that Redis had no answer to, since the server''s start or the last reset.', d.misses),
            ('whitecross_cache_second_tier_stores_total', 'Results that Redis has taken, since the server''s start or the last reset.', d.stores),
            ('whitecross_cache_second_tier_errors_total', 'Answers of Redis that were errors or could not be used, since the server''s start or the last reset.', d.errors),
            ('whitecross_cache_second_tier_timeouts_total', 'Questions that Redis did not answer within whitecross.redis_timeout, since the server''s start or the last reset.', d.timeouts)
         ) AS m (name, help, value);
    END IF;
    IF family IS NULL OR family = 'cache_second_tier_state' THEN
        RETURN QUERY
        SELECT 'whitecross_cache_second_tier_up', 'gauge', 'Whether Redis is asked: 0 while it has failed, and is left alone for a while.', '{}'::jsonb, (s.second_tier = 'up')::integer::double precision
          FROM (SELECT min(c.second_tier) AS second_tier FROM @extschema@.wc_cache_stats AS c) AS s
         WHERE s.second_tier NOT IN ('not built', 'off');
    END IF;
END
$cache_metrics$;
COMMENT ON FUNCTION @extschema@.wc_cache_metrics(text) IS
'Internal: the metrics of the result cache, of one family or of all.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_cache_metrics(text) FROM PUBLIC;

-- From whitecross 1.3.0 to 1.4.0. What it leads to is what a fresh 1.4.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped: data, grants, settings, mapping and schedules stay. No managed object changes, so no lock of a
-- table is taken.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.4.0'" to load this file. \quit

-- The result cache: queries whose rows are kept until a table they were read from is written.

-- These two run the caller's own query with the caller's rights and settings, as the caller would: so they pin no
-- search_path, and everybody may call them.
CREATE FUNCTION @extschema@.wc_cached(row_type anyelement, query text, params text[] DEFAULT '{}',
                                      ttl interval DEFAULT '5 minutes', tag text DEFAULT NULL)
RETURNS SETOF anyelement
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'wc_cached';
COMMENT ON FUNCTION @extschema@.wc_cached(anyelement, text, text[], interval, text) IS
'The rows of a query, as many columns and of the same types as row_type has, from the result cache where they are there: never other rows than the query would return now. params: values of $1, $2, ...; ttl: how long they are kept at most; tag: a word for wc_cache_invalidate_tag(). A query that can''t be cached runs.';

CREATE FUNCTION @extschema@.wc_cached_json(query text, params text[] DEFAULT '{}',
                                           ttl interval DEFAULT '5 minutes', tag text DEFAULT NULL)
RETURNS SETOF jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'wc_cached_json';
COMMENT ON FUNCTION @extschema@.wc_cached_json(text, text[], interval, text) IS
'The rows of a query as jsonb, one object a row, from the result cache where they are there: as wc_cached(), for any columns.';

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

CREATE OR REPLACE FUNCTION @extschema@.wc_server_health()
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
        ), cache AS MATERIALIZED (
            SELECT c.here, c.hits, c.misses, c.evictions, c.bytes, c.entries, c.second_tier, c.second_tier_last_error
              FROM (SELECT s.database = current_database() AS here, s.hits, s.misses, s.evictions, s.second_tier, s.second_tier_last_error,
                           sum(s.bytes) OVER () AS bytes, sum(s.entries) OVER () AS entries
                      FROM @extschema@.wc_cache_stats AS s) AS c
             WHERE c.here
        ), prepared AS MATERIALIZED (
            SELECT count(*) AS number, max(now() - x.prepared) AS age FROM pg_prepared_xacts AS x WHERE x.database = current_database()
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
            UNION ALL
            -- Each place has changed hands ten times, and more results were put out than were of use.
            SELECT 33, 'result cache', 'warning',
                   format('of %s questions %s were hits, and %s results gave their place to others: there is room for %s', c.hits + c.misses, c.hits, c.evictions,
                          CASE WHEN taken.places THEN format('%s results', current_setting('whitecross.cache_entries')) ELSE current_setting('whitecross.cache_size') END),
                   CASE WHEN taken.places THEN format('ALTER SYSTEM SET whitecross.cache_entries = %s; -- and restart the server', 2 * current_setting('whitecross.cache_entries')::bigint)
                        ELSE format('ALTER SYSTEM SET whitecross.cache_size = %L; -- and restart the server', pg_size_bytes(current_setting('whitecross.cache_size')) * 2 / 1024 || 'kB') END
              FROM cache AS c
             CROSS JOIN LATERAL (SELECT c.entries >= 0.9 * current_setting('whitecross.cache_entries')::bigint AS places) AS taken
             WHERE c.evictions > 10 * current_setting('whitecross.cache_entries')::bigint AND c.evictions > c.hits
            UNION ALL
            SELECT 33, 'result cache', 'warning',
                   concat(CASE c.second_tier WHEN 'no keys' THEN 'Redis is not used: the file of its keys is not there, or can''t be used'
                                             ELSE 'Redis has failed, and is left alone for a while' END, ': ' || nullif(c.second_tier_last_error, '')),
                   CASE c.second_tier WHEN 'no keys' THEN 'SHOW whitecross.redis_key_file; -- is it there, owned by the server''s user, and readable by nobody else? The server''s log has the error.'
                                      ELSE 'SELECT database, second_tier, second_tier_errors, second_tier_timeouts, second_tier_last_error FROM @extschema@.wc_cache_stats;' END
              FROM cache AS c WHERE c.second_tier IN ('no keys', 'down', 'probing')
            UNION ALL
            -- What it has written is cached by nobody until it ends.
            SELECT 33, 'result cache', 'warning',
                   format('%s transactions are prepared, the oldest for %s: what they have written is not cached', p.number, date_trunc('second', p.age)),
                   'SELECT gid, prepared, owner FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared; -- COMMIT PREPARED or ROLLBACK PREPARED what nobody ends'
              FROM prepared AS p CROSS JOIN cache AS c
             WHERE p.age > interval '5 minutes' AND c.hits + c.misses > 0
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
            UNION ALL SELECT 33, 'result cache',
                             CASE WHEN current_setting('whitecross.cache_entries')::bigint = 0 THEN 'there is none: whitecross.cache_entries is 0'
                                  WHEN pg_is_in_recovery() THEN 'it is off on a standby'
                                  WHEN coalesce(c.hits + c.misses, 0) = 0 THEN 'nothing was asked of it'
                                  ELSE format('of %s questions %s were hits', c.hits + c.misses, c.hits) END
                        FROM (VALUES (1)) AS one (one) LEFT JOIN cache AS c ON true
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

-- With the rights of the owner, so that whoever may call it needs no right to see what others do.
CREATE OR REPLACE FUNCTION @extschema@.wc_metrics(family text DEFAULT NULL)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 500
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $metrics$
DECLARE
    families constant text[] := ARRAY['extension', 'view', 'view_rows', 'refresh', 'refresh_last', 'refresh_schedule', 'change_log', 'index', 'indexes',
                                      'health', 'health_checks', 'violations', 'violations_by_constraint', 'connections', 'connections_by_database', 'connections_by_role',
                                      'connection_limit_of_database', 'connection_limit_of_role', 'oldest_transaction', 'transaction_ids',
                                      'replication', 'replay', 'pooler', 'pools', 'pool_waits', 'pooled_databases', 'monitor', 'alerts', 'queries', 'query_patterns',
                                      'cache', 'cache_limits', 'cache_refusals', 'cache_tags', 'cache_second_tier', 'cache_second_tier_state'];
BEGIN
    IF family <> ALL (families) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('there is no family of metrics "%s"', family),
            HINT = 'Families are ' || array_to_string(families, ', ') || '.';
    END IF;
    RETURN QUERY SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_database_metrics(family) AS m
                  UNION ALL
                 SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_server_metrics(family) AS m
                  UNION ALL
                 SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_cache_metrics(family) AS m;
END
$metrics$;
COMMENT ON FUNCTION @extschema@.wc_metrics(text) IS
'Everything measured, as metrics of Prometheus: name, type, help, labels, value; of one family, or all. Numbers and names of databases, roles, views, constraints and indexes only.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_metrics(text) FROM PUBLIC;

-- Of two that change the limits of a role at the same time, the second waits for the first.

CREATE FUNCTION @extschema@.wc_lock_role(role oid)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_lock_role';
COMMENT ON FUNCTION @extschema@.wc_lock_role(oid) IS
'Internal: until the transaction ends, others that change the limits of this role wait; nobody else does. Who may not alter the role takes no lock.';

CREATE OR REPLACE FUNCTION @extschema@.wc_role_setting(role oid, setting text)
RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_role_setting';
COMMENT ON FUNCTION @extschema@.wc_role_setting(oid, text) IS
'Internal: what ALTER ROLE ... SET has set for a role in all databases, as it is now; NULL: nothing.';

CREATE OR REPLACE FUNCTION @extschema@.wc_apply_session_limits(role_name text, profile text)
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
    PERFORM @extschema@.wc_lock_role(target.oid);
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

CREATE OR REPLACE FUNCTION @extschema@.wc_reset_session_limits(role_name text)
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
    PERFORM @extschema@.wc_lock_role(target.oid);
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

-- What is new belongs to the extension's owner, whichever superuser runs the update. The GRANT changes nothing but what the
-- server remembers as the privileges that this script gave, which a dump leaves out.
DO $owner$
DECLARE
    own record;
BEGIN
    FOR own IN
        SELECT 'TABLE' AS kind, c.oid::pg_catalog.regclass::text AS name, e.extowner::pg_catalog.regrole AS owner,
               EXISTS (SELECT FROM pg_catalog.pg_init_privs AS i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0) AS granted
          FROM pg_catalog.pg_extension AS e
          JOIN pg_catalog.pg_depend AS d
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_class AS c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
         WHERE e.extname = 'whitecross' AND c.relowner <> e.extowner AND c.relkind IN ('r', 'v')
         UNION ALL
        SELECT 'ROUTINE', p.oid::pg_catalog.regprocedure::text, e.extowner::pg_catalog.regrole,
               EXISTS (SELECT FROM pg_catalog.pg_init_privs AS i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0)
          FROM pg_catalog.pg_extension AS e
          JOIN pg_catalog.pg_depend AS d
            ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_proc AS p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
         WHERE e.extname = 'whitecross' AND p.proowner <> e.extowner
    LOOP
        EXECUTE pg_catalog.format('ALTER %s %s OWNER TO %s', own.kind, own.name, own.owner);
        IF own.granted THEN
            EXECUTE pg_catalog.format('GRANT ALL ON %s %s TO %s', own.kind, own.name, own.owner);
        END IF;
    END LOOP;
END
$owner$;

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

-- From whitecross 1.2.0 to 1.3.0. What it leads to is what a fresh 1.3.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped: data, grants, settings, mapping and schedules stay. No managed object changes, so no lock of a
-- table is taken.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.3.0'" to load this file. \quit

CREATE FUNCTION @extschema@.wc_query_totals()
RETURNS TABLE (database_oid oid, calls bigint, failures bigint, total_ms double precision, rows bigint, slow bigint, bursts bigint)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_totals';
COMMENT ON FUNCTION @extschema@.wc_query_totals() IS
'Internal: what statements have come to since the server''s start, by database; OID 0: databases after the first 50. Unlike wc_query_stats it forgets nothing.';

CREATE FUNCTION @extschema@.wc_query_history_outcome()
RETURNS TABLE (monitored boolean, written_at timestamptz, sqlstate text, unusable bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_query_history_outcome';
COMMENT ON FUNCTION @extschema@.wc_query_history_outcome() IS
'Internal: what the monitor has noted of the files of the query history, for wc_health_check(); reads none of them.';

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

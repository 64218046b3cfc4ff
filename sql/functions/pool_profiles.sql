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

CREATE FUNCTION @extschema@.wc_lock_role(role oid)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_lock_role';
COMMENT ON FUNCTION @extschema@.wc_lock_role(oid) IS
'Internal: until the transaction ends, others that change the limits of this role wait; nobody else does. Who may not alter the role takes no lock.';

CREATE FUNCTION @extschema@.wc_role_setting(role oid, setting text)
RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'wc_role_setting';
COMMENT ON FUNCTION @extschema@.wc_role_setting(oid, text) IS
'Internal: what ALTER ROLE ... SET has set for a role in all databases, as it is now; NULL: nothing.';

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
COMMENT ON FUNCTION @extschema@.wc_reset_session_limits(text) IS
'Takes back what wc_apply_session_limits() has set for a role: what was there before is restored, what somebody has changed since is kept. ALTER ROLE''s rules say who may.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_reset_session_limits(text) FROM PUBLIC;

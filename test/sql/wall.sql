-- The wall (src/pg): what it promises of errors, destructors, subtransactions, settings, identity and memory. The
-- functions are those of test/modules/wall, a library that only this test loads.
\getenv libdir PG_LIBDIR
\set wall :libdir '/whitecross_wall'
\set VERBOSITY terse
CREATE SCHEMA wall;
SET search_path = wall;

CREATE FUNCTION wall_live() RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_held() RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_counted(sql text, depth int) RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_nested(function_name text, sql text, depth int) RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_throw(kind text) RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_stale_handler() RETURNS bool AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_attempt(sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_rethrow(sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_copied(sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_scripts(first text, second text, third text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_foreign_exception(sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_failed_commit(sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_loop(kind text) RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_setting(name text, value text, sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_setting_attempt(name text, value text, sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_kept(sql text, value text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_user(role text, sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_user_attempt(role text, sql text) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_relation(relation regclass, ending text) RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_unwinding() RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_holdoff(sql text) RETURNS bool AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_raise_held() RETURNS int AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_text(size int) RETURNS text AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_same_expression(relation regclass, expression text, stored text, predicate bool) RETURNS bool AS :'wall' LANGUAGE c;
CREATE FUNCTION wall_foreign_function("select" text) RETURNS text AS :'wall' LANGUAGE c;

SELECT pg_catalog.pg_backend_pid() AS pid \gset

-- Everything that an application can see of an error.
CREATE FUNCTION report(sql text) RETURNS TABLE (field text, value text) LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text; context text; schema_name text; table_name text; column_name text;
    datatype text; constraint_name text;
BEGIN
    EXECUTE sql;
    RETURN QUERY VALUES ('no error', NULL);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT, schema_name = SCHEMA_NAME, table_name = TABLE_NAME,
        column_name = COLUMN_NAME, datatype = PG_DATATYPE_NAME, constraint_name = CONSTRAINT_NAME;
    RETURN QUERY SELECT * FROM (VALUES ('sqlstate', state), ('message', message), ('detail', detail), ('hint', hint),
        ('context', context), ('schema', schema_name), ('table', table_name), ('column', column_name),
        ('datatype', datatype), ('constraint', constraint_name)) AS v(f, x) WHERE v.x <> '';
END $$;

-- Something that raises an error with every field there is.
CREATE FUNCTION everything() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'a message' USING ERRCODE = 'WC001', DETAIL = 'A detail.', HINT = 'A hint.', SCHEMA = 'a schema', TABLE = 'a table',
        COLUMN = 'a column', DATATYPE = 'a type', CONSTRAINT = 'a constraint';
END $$;
CREATE TABLE child (id int CONSTRAINT child_id_positive CHECK (id > 0), name text NOT NULL);

-- Destructors run when SQL raises, at every depth.
SELECT wall_counted('SELECT 1', 3) AS alive_after_success;
SELECT wall_counted('SELECT 1/0', 30);
SELECT wall_live() AS alive;
SELECT wall_nested('wall.wall_nested', 'SELECT 1/0', 5);
SELECT wall_live() AS alive;

-- The whole report comes up: through a call guard and the entry guard; through three of each; through attempt(), three
-- deep and thrown on; through copies of the exception while others come and go.
SELECT * FROM report('SELECT everything()');
SELECT * FROM report($$SELECT wall_counted('SELECT wall.everything()', 1)$$);
SELECT * FROM report($$SELECT wall_nested('wall.wall_nested', 'SELECT wall.everything()', 2)$$);
SELECT * FROM report($$SELECT wall_rethrow('SELECT wall.everything()')$$);
SELECT * FROM report($$SELECT wall_copied('SELECT wall.everything()')$$);
SELECT wall_attempt('SELECT wall.everything()');
SELECT * FROM report($$SELECT wall_counted('INSERT INTO wall.child VALUES (-1, ''x'')', 1)$$) WHERE field <> 'context';
SELECT wall_attempt('INSERT INTO wall.child VALUES (1, NULL)');
SELECT wall_attempt('SELECT FROM');
SELECT wall_live() AS alive;

-- Exceptions of C++.
SELECT * FROM report($$SELECT wall_throw('bad_alloc')$$) WHERE field <> 'context';
SELECT * FROM report($$SELECT wall_throw('exception')$$) WHERE field <> 'context';
SELECT * FROM report($$SELECT wall_throw('int')$$) WHERE field <> 'context';
SELECT * FROM report($$SELECT wall_throw('percent')$$) WHERE field <> 'context';
SELECT * FROM report($$SELECT wall_throw('error')$$) WHERE field <> 'context';
SELECT * FROM report($$SELECT wall_throw('bare error')$$) WHERE field <> 'context';
SELECT * FROM report($$SELECT wall_throw('inside call')$$) WHERE field <> 'context';
SELECT * FROM report($$SELECT wall_nested('wall.wall_nested', 'SELECT wall.wall_throw(''error'')', 2)$$) WHERE field <> 'context';
SELECT wall_attempt($$SELECT wall.wall_throw('error')$$);
SELECT wall_attempt($$SELECT wall.wall_throw('int')$$);
-- A text that is cut is cut between characters.
SELECT length(value) BETWEEN 70 AND 90 AS shortened, right(value, 1) = U&'\00e4' AS whole_character
  FROM report($$SELECT wall_throw('long')$$) WHERE field = 'message';
-- At top level.
SELECT wall_throw('bad_alloc');
SELECT wall_throw('int');
SELECT wall_throw('error');
SELECT wall_throw('inside call');
SELECT 1/0;
SELECT wall_stale_handler() AS handler_as_before;
SELECT 1/0;
SELECT wall_live() AS alive, pg_catalog.pg_backend_pid() = :pid AS same_backend;

-- attempt() rolls back its own writes, and only those.
CREATE TABLE note (text text);
SELECT wall_scripts($$INSERT INTO wall.note VALUES ('first')$$, $$INSERT INTO wall.note VALUES ('second')$$,
                    $$INSERT INTO wall.note VALUES ('third'); SELECT 1/0$$);
SELECT text FROM note ORDER BY text;
TRUNCATE note;
SELECT wall_scripts($$INSERT INTO wall.note VALUES ('first')$$, $$INSERT INTO wall.note VALUES ('second'); SELECT 1/0$$,
                    $$INSERT INTO wall.note VALUES ('third')$$);
SELECT text FROM note ORDER BY text;
TRUNCATE note;
SELECT wall_scripts($$INSERT INTO wall.note VALUES ('first')$$, $$INSERT INTO wall.note VALUES ('second')$$,
                    $$INSERT INTO wall.note VALUES ('third')$$);
SELECT text FROM note ORDER BY text;
TRUNCATE note;
-- So it is when what ends it is another exception, or its own commit.
SELECT wall_foreign_exception($$INSERT INTO wall.note VALUES ('lost')$$);
SELECT wall_failed_commit($$INSERT INTO wall.note VALUES ('lost')$$);
SELECT count(*) AS notes FROM note;
-- In a block with an exception handler too.
BEGIN;
INSERT INTO note VALUES ('before');
SAVEPOINT s;
SELECT wall_scripts($$INSERT INTO wall.note VALUES ('first')$$, 'SELECT 1', $$SELECT 1/0$$);
SELECT wall_throw('exception');
ROLLBACK TO s;
SELECT wall_attempt('SELECT 1/0') LIKE '%division_by_zero%' AS caught;
COMMIT;
SELECT text FROM note;
TRUNCATE note;

-- What is to end a statement ends it, whatever it was doing.
SET statement_timeout = '200ms';
SELECT wall_loop('c++');
SELECT wall_loop('spi');
SELECT wall_loop('attempt');
RESET statement_timeout;
SELECT wall_live() AS alive;
-- A lock timeout is a failure like others.
SELECT wall_attempt($$SELECT wall.wall_throw('error')$$) LIKE '%lock_not_available%' AS caught;

-- Settings, restored on both ways out.
SET application_name = 'outside';
SELECT wall_setting('application_name', 'inside', 'SELECT 1');
SHOW application_name;
SELECT wall_setting('application_name', 'inside', 'SELECT 1/0');
SHOW application_name;
SELECT wall_setting('work_mem', 'much', 'SELECT 1');
SELECT wall_setting_attempt('application_name', 'inside', 'SELECT 1');
SELECT wall_setting_attempt('application_name', 'inside', 'SELECT 1/0');
BEGIN;
SET LOCAL application_name = 'local';
SELECT wall_setting('application_name', 'inside', 'SELECT 1');
SELECT wall_setting_attempt('application_name', 'inside', 'SELECT 1/0');
SHOW application_name;
COMMIT;
SHOW application_name;

-- Identity, restored on both ways out.
CREATE ROLE regress_wall NOLOGIN;
GRANT USAGE ON SCHEMA wall TO regress_wall;
SELECT wall_user('regress_wall', 'SELECT 1');
SELECT current_user = session_user AS as_before;
SELECT wall_user('regress_wall', 'SELECT * FROM wall.child');
SELECT current_user = session_user AS as_before;
SELECT wall_user('regress_wall', 'SET ROLE NONE');
SELECT wall_user_attempt('regress_wall', 'SELECT * FROM wall.child') = 'inside: regress_wall, after: ' || session_user AS as_before;
SELECT wall_user_attempt('regress_wall', 'SELECT 1') = 'inside: regress_wall, after: ' || session_user AS as_before;
SELECT current_user = session_user AS as_before;
DROP OWNED BY regress_wall;
DROP ROLE regress_wall;

-- Relations are closed on every way out: no warning of a leak.
SELECT wall_relation('child', 'return');
SELECT wall_relation('child', 'exception');
SELECT wall_relation('child', 'error');
SELECT wall_relation('child', 'attempt');

-- Connections, settings, relations and attempts while an exception is passing.
SELECT wall_unwinding();
SHOW application_name;
RESET application_name;

-- Interrupts that C++ code holds off stay held off when a guard catches an error, and don't when one leaves.
SELECT wall_holdoff('SELECT 1/0') AS as_before;
SELECT wall_raise_held();
SELECT wall_held() AS held;

-- Kept plans: another value, another shape of the table, none, a new one of the name; an error keeps nothing; a session
-- keeps so many and no more, and finds again what it had to let go.
CREATE TABLE wall.changing (a int);
INSERT INTO wall.changing VALUES (1), (2);
SELECT n, wall_kept('SELECT a + 1 FROM wall.changing WHERE a = $1::int', n::text) FROM generate_series(1, 3) AS n;
ALTER TABLE wall.changing ALTER a TYPE numeric(5, 1), ADD b text;
SELECT wall_kept('SELECT a + 1 FROM wall.changing WHERE a = $1::int', '2');
SELECT wall_kept('SELECT a + 1 FROM wall.changing WHERE a = $1::int', NULL) IS NULL AS none;
DROP TABLE wall.changing;
SELECT wall_kept('SELECT a + 1 FROM wall.changing WHERE a = $1::int', '2');
SELECT wall_kept('SELECT b FROM wall.changing WHERE a = $1::int', '2');
CREATE TABLE wall.changing (b text, a int);
INSERT INTO wall.changing VALUES ('two', 2);
SELECT wall_kept('SELECT a + 1 FROM wall.changing WHERE a = $1::int', '2');
SELECT wall_kept('SELECT b FROM wall.changing WHERE a = $1::int', '2');
SELECT wall_kept('SELECT 1 / $1::int', '0');
SELECT wall_kept('SELECT 1 / $1::int', '1');
SELECT count(*) AS before FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' \gset
SELECT count(*) AS right FROM generate_series(1, 2) AS round, generate_series(1, 300) AS n
 WHERE wall_kept(format('SELECT %s + $1::int', n), round::text) = (n + round)::text;
SELECT count(*) - :before BETWEEN 100 AND 128 AS bounded FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource';
SELECT wall_kept('SELECT b FROM wall.changing WHERE a = $1::int', '2');

-- A result outlives the connections that were open when it was made.
SELECT size, md5(wall_text(size)) = md5(repeat('0123456789', size / 10)) AS whole
  FROM (VALUES (10), (10000), (1000000), (20000000)) AS v(size);

-- Expressions: what isn't one is an error, not the server's end, and leaves nothing open.
SELECT expression, wall_same_expression('child', expression, (SELECT conbin FROM pg_constraint WHERE conname = 'child_id_positive')::text, false)
  FROM (VALUES ('id > 0'), ('id > 1'), ('id >= 0'), ('(id) > (0)')) AS v(expression);
SELECT wall_same_expression('child', '', '<>', false);
SELECT wall_same_expression('child', 'id > 0 FROM child', '<>', false);
SELECT wall_same_expression('child', 'true, true', '<>', false);
SELECT wall_same_expression('child', 'true UNION SELECT true', '<>', true);
SELECT wall_same_expression('child', 'id IN (''one'')', '<>', false);
SELECT wall_attempt($$SELECT wall.wall_same_expression('wall.child', 'no_such_column', '<>', true)$$) LIKE '%undefined_column%' AS caught;
SELECT wall_foreign_function('SELECT lower(name) FROM wall.child') IS NULL AS built_in;
SELECT wall_foreign_function('SELECT wall.wall_live()');
SELECT wall_foreign_function('SELECT (SELECT max(wall.wall_live()) FROM wall.child)');
SELECT wall_foreign_function('');
SELECT wall_foreign_function('SELECT 1; SELECT wall.wall_live()');
SELECT wall_foreign_function('DROP TABLE wall.child');

SELECT wall_live() AS alive, pg_catalog.pg_backend_pid() = :pid AS same_backend;
\set VERBOSITY default
SET client_min_messages = warning;
DROP SCHEMA wall CASCADE;

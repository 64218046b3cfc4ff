# The result cache and definitions: whatever changes what a query means, or what its rows look like, the next to ask gets what the
# plain query gives. And what can't be cached at all, each with its reason.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('definitions', conf => "autovacuum = off\nwhitecross.monitor_interval = 3600\nwhitecross.health_interval = 0\n");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE TABLE bystander (id int);
INSERT INTO bystander VALUES (7);
CREATE SCHEMA first;
CREATE TABLE plain (id int, v int, note text);
INSERT INTO plain VALUES (1, 10, 'a'), (2, 20, 'B');
CREATE TABLE other (id int, v int, note text);
INSERT INTO other VALUES (3, 30, 'c');
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE moods (id int, mood mood, pair pair);
INSERT INTO moods VALUES (1, 'glad', (1, 'x'));
CREATE VIEW shown AS SELECT id, v FROM plain;
CREATE VIEW above AS SELECT id, v FROM shown;
CREATE FUNCTION add(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i + 1; END';
CREATE FUNCTION add_inlined(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i + 1';
CREATE FUNCTION calls_add(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN add(i); END';
CREATE FUNCTION plus(i int, j int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i + j; END';
CREATE OPERATOR <+> (FUNCTION = plus, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION many() RETURNS SETOF int IMMUTABLE LANGUAGE sql AS 'VALUES (1), (2)';
CREATE FUNCTION lies() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(v) FROM other); END';
CREATE FUNCTION lies_inlined() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT sum(v) FROM other';
CREATE FUNCTION lies_of(i int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i + (SELECT sum(v) FROM other); END';
CREATE FUNCTION reads() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(v) FROM other); END';
CREATE FUNCTION reads_inlined() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT sum(v) FROM other';
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO other VALUES (9, 9); RETURN 1; END';
CREATE FUNCTION add_clock(s text, i int) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN now()::text; END';
CREATE AGGREGATE last_clock(int) (SFUNC = add_clock, STYPE = text);
CREATE FUNCTION add_setting(s text, i int) RETURNS text VOLATILE LANGUAGE sql AS $$SELECT current_setting('my.setting', true)$$;
CREATE AGGREGATE last_setting(int) (SFUNC = add_setting, STYPE = text);
CREATE FUNCTION final_setting(s int) RETURNS text STABLE LANGUAGE sql AS $$SELECT current_setting('my.setting', true)$$;
CREATE AGGREGATE sum_setting(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', FINALFUNC = final_setting);
CREATE TABLE secured (id int);
CREATE TABLE cached_type (id int, v int);
CREATE SEQUENCE numbers;
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE with_domain (id int, p positive);
INSERT INTO with_domain VALUES (1, 2);
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE outside (id int) SERVER files OPTIONS (program 'echo 5');
CREATE TABLE mixed (id int) PARTITION BY LIST (id);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES IN (1);
INSERT INTO mixed VALUES (1);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE COLLATION loud (LOCALE = 'C');
CREATE MATERIALIZED VIEW copied AS SELECT id, v FROM plain;
SQL

my $cache = WhiteCross::Cache->new($node, 'postgres', bystander => 'SELECT id FROM bystander');
my $s     = $cache->session;
sub changes { my ($name, $query, $event, @more) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return $cache->changes($name, $s, $query, $event, wide => 1, @more) }
sub refuses { my ($name, $query, $reason, @more) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return $cache->refuses($name, $s, $query, $reason, @more) }
sub control { return $node->safe_psql('postgres', $_[0]) }

# ---- Tables.
changes('ADD COLUMN',             'SELECT * FROM plain ORDER BY id', 'ALTER TABLE plain ADD COLUMN extra int DEFAULT 5');
changes('RENAME COLUMN, *',       'SELECT * FROM plain ORDER BY id', 'ALTER TABLE plain RENAME COLUMN extra TO more');
changes('ALTER COLUMN TYPE',      'SELECT * FROM plain ORDER BY id', q{ALTER TABLE plain ALTER COLUMN more TYPE text USING 'n' || more});
changes('DROP COLUMN',            'SELECT * FROM plain ORDER BY id', 'ALTER TABLE plain DROP COLUMN more');
changes('a row as a whole',       'SELECT plain FROM plain ORDER BY id', 'ALTER TABLE plain ADD COLUMN extra int DEFAULT 6');
changes('a row as a whole, without a column', 'SELECT to_jsonb(plain) AS j FROM plain ORDER BY id', 'ALTER TABLE plain DROP COLUMN extra');
changes('two tables swap their names', 'SELECT v FROM plain ORDER BY id', 'BEGIN; ALTER TABLE plain RENAME TO aside; ALTER TABLE other RENAME TO plain; ALTER TABLE aside RENAME TO other; COMMIT');
changes('and back',               'SELECT v FROM plain ORDER BY id', 'BEGIN; ALTER TABLE plain RENAME TO aside; ALTER TABLE other RENAME TO plain; ALTER TABLE aside RENAME TO other; COMMIT', expected => qr/hit|stored/);
changes('DROP and CREATE again',  'SELECT * FROM secured', 'DROP TABLE secured; CREATE TABLE secured (id int); INSERT INTO secured VALUES (5)');
changes('DROP and CREATE again, of another type', 'SELECT * FROM secured', q{DROP TABLE secured; CREATE TABLE secured (id text); INSERT INTO secured VALUES ('5')});
changes('a table earlier in search_path', 'SELECT v FROM plain ORDER BY id', sub { $s->ask('SET search_path = first, public;'); control('CREATE TABLE first.plain AS SELECT 99 AS v, 1 AS id') });
changes('and gone again',         'SELECT v FROM plain ORDER BY id', 'DROP TABLE first.plain', expected => qr/hit|stored/);
$cache->ask($s, 'SELECT v FROM plain ORDER BY id');
$s->ask('CREATE TEMP TABLE plain AS SELECT 5 AS v, 1 AS id;');
refuses('a temporary table under its name', 'SELECT v FROM plain ORDER BY id', 'temporary_table');
$s->ask('DROP TABLE pg_temp.plain; RESET search_path;');
$cache->expect('and gone again', $s, 'SELECT v FROM plain ORDER BY id', qr/hit|stored/);
changes('DROP TABLE',             'SELECT * FROM secured', 'DROP TABLE secured', expected => 'nothing');
changes('SET SCHEMA',             'SELECT id FROM other ORDER BY id', 'ALTER TABLE other SET SCHEMA first; CREATE TABLE other AS SELECT 1 AS id');
control('DROP TABLE other; ALTER TABLE first.other SET SCHEMA public');

# ---- Views.
changes('a view redefined',       'SELECT * FROM shown ORDER BY id', 'CREATE OR REPLACE VIEW shown AS SELECT id, v + 1 AS v FROM plain');
changes('a view of a view',       'SELECT * FROM above ORDER BY id', 'CREATE OR REPLACE VIEW shown AS SELECT id, v + 2 AS v FROM plain');
changes('a view with a column more', 'SELECT * FROM above ORDER BY id', 'CREATE OR REPLACE VIEW above AS SELECT id, v, v AS w FROM shown');
changes('a view dropped and made again', 'SELECT * FROM above ORDER BY id', 'DROP VIEW above; CREATE VIEW above AS SELECT id FROM plain WHERE id = 1');
changes('a view of another table', 'SELECT * FROM above ORDER BY id', 'CREATE OR REPLACE VIEW above AS SELECT id FROM other');
changes('a write to that',        'SELECT * FROM above ORDER BY id', 'UPDATE other SET id = id + 1');
changes('a materialized view made anew', 'SELECT * FROM copied ORDER BY id', 'DROP MATERIALIZED VIEW copied; CREATE MATERIALIZED VIEW copied AS SELECT id, -v AS v FROM plain');

# ---- Functions, operators, casts, types.
changes('a function redefined',   'SELECT add(v) AS a FROM plain ORDER BY id', q{CREATE OR REPLACE FUNCTION add(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i + 2; END'});
changes('a function redefined, of constants', 'SELECT add(5) AS a', q{CREATE OR REPLACE FUNCTION add(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i + 3; END'});
changes('one that is called by one', 'SELECT calls_add(v) AS a FROM plain ORDER BY id', q{CREATE OR REPLACE FUNCTION add(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i + 4; END'});
changes('a function that is inlined', 'SELECT add_inlined(v) AS a FROM plain ORDER BY id', q{CREATE OR REPLACE FUNCTION add_inlined(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i + 2'});
changes('a function that gives rows', 'SELECT m FROM many() AS m', q{CREATE OR REPLACE FUNCTION many() RETURNS SETOF int IMMUTABLE LANGUAGE sql AS 'VALUES (1), (3)'});
changes('an operator\'s function', 'SELECT v <+> 1 AS a FROM plain ORDER BY id', q{CREATE OR REPLACE FUNCTION plus(i int, j int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i * j + 7; END'});
changes('an operator made anew',  'SELECT v <+> 1 AS a FROM plain ORDER BY id', 'DROP OPERATOR <+> (int, int); CREATE OPERATOR <+> (FUNCTION = int4mi, LEFTARG = int, RIGHTARG = int)');
changes('a function that fits better', 'SELECT add(v::smallint) AS a FROM plain ORDER BY id', q{CREATE FUNCTION add(i smallint) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN -1; END'});
changes('ALTER FUNCTION',         'SELECT add(v) AS a FROM plain ORDER BY id', 'ALTER FUNCTION add(int) STABLE', expected => 'refused: stable_function', same => 1);
control('ALTER FUNCTION add(int) IMMUTABLE');
changes('DROP FUNCTION',          'SELECT add(v::smallint) AS a FROM plain ORDER BY id', 'DROP FUNCTION add(smallint)');
changes('ALTER TYPE RENAME VALUE', 'SELECT mood::text AS m FROM moods', q{ALTER TYPE mood RENAME VALUE 'glad' TO 'merry'});
changes('ALTER TYPE RENAME VALUE, as it is', 'SELECT mood FROM moods', q{ALTER TYPE mood RENAME VALUE 'merry' TO 'glad'}, type => 'NULL::mood', expected => qr/hit|stored/);
changes('ALTER TYPE RENAME VALUE, json', 'SELECT mood FROM moods', q{ALTER TYPE mood RENAME VALUE 'glad' TO 'jolly'});
changes('ALTER TYPE ADD ATTRIBUTE', 'SELECT pair FROM moods', q{ALTER TYPE pair ADD ATTRIBUTE c int});
changes('ALTER TYPE RENAME ATTRIBUTE', 'SELECT pair FROM moods', q{ALTER TYPE pair RENAME ATTRIBUTE c TO d});
changes('a text search configuration', q{SELECT to_tsvector('words', note || ' running') AS t FROM plain ORDER BY id}, 'ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH english_stem');

# Functions that say that they read nothing, and do: what they read counts.
changes('a function that lies',              'SELECT id, lies_of(id) AS l FROM plain ORDER BY id', 'UPDATE other SET v = v + 1');
changes('a function that lies, of constants', 'SELECT id, lies() AS l FROM plain ORDER BY id',     'UPDATE other SET v = v + 1');
changes('a function that lies, inlined',     'SELECT id, lies_inlined() AS l FROM plain ORDER BY id', 'UPDATE other SET v = v + 1');
$s->ask('SET plan_cache_mode = force_generic_plan;');
changes('a function that lies, of constants, with generic plans', 'SELECT v, lies() AS l FROM plain ORDER BY id', 'UPDATE other SET v = v + 1');
changes('a function that lies, inlined, with generic plans', 'SELECT v, lies_inlined() AS l FROM plain WHERE id > $1 ORDER BY id', 'UPDATE other SET v = v + 1', params => ['0']);
$s->ask('RESET plan_cache_mode; SET force_parallel_mode = on; ALTER FUNCTION lies_of(int) PARALLEL SAFE;');
changes('a function that lies, in another process', 'SELECT id, lies_of(id) AS l, v FROM plain ORDER BY id', 'UPDATE other SET v = v + 1');
$s->ask('RESET force_parallel_mode;');
changes('a function that lies, alone',       'SELECT lies() AS l',                                'UPDATE other SET v = v + 1');

# A name in such a function may mean something else to another session, or from another search_path.
{
    my $theirs = $cache->session;
    $theirs->ask('CREATE TEMP TABLE other AS SELECT 1 AS id, 1000000 AS v;');
    for my $query ('SELECT id, lies_of(id) AS l FROM plain ORDER BY id', 'SELECT lies() AS l') {
        $cache->ask($s, $query);
        my $mine = $cache->expect("a temporary table in the way of: $query", $s, $query, 'hit');
        isnt($cache->expect("a temporary table in the way of: $query, for who has it", $theirs, $query, qr/refused: \w+|missed/), $mine, 'other rows');
        $cache->expect("a temporary table in the way of: $query, for nobody else", $s, $query, 'hit');
    }
    control('CREATE TABLE first.other AS SELECT 1 AS id, 5000 AS v');
    $cache->apart('a function that lies and search_path', $s, 'SELECT id, lies_of(id) AS l FROM plain ORDER BY id', 'SET search_path = public, first', 'SET search_path = first, public');
    changes('a table in the way of a function that lies', 'SELECT id, lies_of(id) AS l FROM plain ORDER BY id', 'DROP TABLE first.other');
    $s->ask('RESET search_path;');
}

# ---- What can't be cached.
sub never { # rows that differ from call to call can't be compared
    my ($name, $query, $reason) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like(($cache->ask($s, $query))[0], qr/^refused: (?:$reason)$/, "$name: refused, $_") for 'once', 'twice';
    return;
}
never('now()',                  'SELECT id, now() AS n FROM plain',                   'clock');
never('now(), in a condition',  'SELECT id FROM plain WHERE now() > $$2020-01-01$$',  'clock');
never('clock_timestamp()',      'SELECT clock_timestamp() AS n FROM plain',           'volatile_function|clock');
never('CURRENT_TIMESTAMP',      'SELECT CURRENT_TIMESTAMP AS n FROM plain',           'clock');
never('CURRENT_DATE',           'SELECT CURRENT_DATE AS d FROM plain',                'clock');
never('LOCALTIME',              'SELECT LOCALTIME AS d FROM plain',                   'clock');
never('age() of one',           q{SELECT age(timestamp '2020-01-01' + id * interval '1 day') AS a FROM plain}, 'stable_function|clock');
never("'now'::timestamptz",     q{SELECT 'now'::timestamptz AS n, id FROM plain},     'clock');
never("'Tomorrow'::date",       q{SELECT ' Tomorrow'::date AS n, id FROM plain},      'clock');
never("timestamp 'today'",      q{SELECT timestamp 'today 12:00' AS n, id FROM plain}, 'clock');
never("a cast of what is text", q{SELECT (note || 'now')::timestamptz AS n FROM plain WHERE false}, 'stable_function|clock');
never('a time with a zone',     q{SELECT (time '12:00' + id * interval '1 hour')::timetz AS t FROM plain}, 'stable_function|clock');
never('random()',               'SELECT random() AS r FROM plain',                    'volatile_function');
never('gen_random_uuid()',      'SELECT gen_random_uuid() AS r FROM plain',           'volatile_function');
never('nextval()',              q{SELECT nextval('numbers') AS n FROM plain},         'volatile_function');
refuses('a sequence',           'SELECT last_value FROM numbers',                     'sequence');
never('pg_backend_pid()',       'SELECT pg_backend_pid() AS p FROM plain',            'stable_function|volatile_function');
refuses('current_user',         'SELECT current_user AS u FROM plain',                'current_user');
refuses('session_user',         'SELECT session_user AS u FROM plain',                'current_user');
refuses('current_schema',       'SELECT current_schema AS u FROM plain',              qr/current_user|stable_function/);
refuses('current_setting()',    q{SELECT current_setting('my.setting', true) AS s FROM plain}, 'stable_function');
refuses('a function that reads a table', 'SELECT id, reads() AS r FROM plain ORDER BY id', 'stable_function');
refuses('one that is inlined',  'SELECT id, reads_inlined() AS r FROM plain ORDER BY id', 'stable_function');
never('an aggregate that asks the clock', 'SELECT last_clock(id) AS c FROM plain',    'stable_function|volatile_function');
refuses('an aggregate that asks a setting', 'SELECT last_setting(id) AS c FROM plain', qr/(stable|volatile)_function/);
refuses('an aggregate that asks a setting at its end', 'SELECT sum_setting(id) AS c FROM plain', qr/(stable|volatile)_function/);
refuses('such a one as a window', 'SELECT sum_setting(id) OVER (ORDER BY id) AS c FROM plain', qr/(stable|volatile)_function/);
refuses('a catalogue table',    q{SELECT relname FROM pg_class WHERE relname = 'plain'}, 'catalogue_table');
refuses('a view of catalogue tables', q{SELECT tablename FROM pg_tables WHERE tablename = 'plain'}, qr/catalogue_table|stable_function/);
refuses('a name of a table',    q{SELECT id, 'plain'::regclass AS r FROM plain ORDER BY id}, qr/\w+/);
refuses('the table of a row',   'SELECT tableoid::regclass::text AS r FROM plain',    qr/\w+/);
refuses('a domain',             'SELECT id::positive AS p FROM plain ORDER BY id',    'domain_check');
refuses('a foreign table',      'SELECT * FROM outside',                              'foreign_table');
refuses('FOR UPDATE',           'SELECT id FROM plain ORDER BY id FOR UPDATE',        'row_marks', plain => 'SELECT to_jsonb(q) FROM (SELECT id FROM plain ORDER BY id) AS q;');
refuses('FOR SHARE in a subquery', 'SELECT * FROM (SELECT id FROM plain ORDER BY id FOR SHARE) AS x', 'row_marks');
refuses('TABLESAMPLE',          'SELECT count(*) AS n FROM plain TABLESAMPLE SYSTEM (100)', 'tablesample');
refuses('FOR UPDATE\'s mark in a row', 'SELECT id, xmax::text AS x FROM plain ORDER BY id', qr/\w+/);

# A foreign table among the partitions.
$cache->ask($s, 'SELECT id FROM mixed ORDER BY id');
$cache->expect('before', $s, 'SELECT id FROM mixed ORDER BY id', 'hit');
control(q{CREATE FOREIGN TABLE mixed_2 PARTITION OF mixed FOR VALUES IN (2) SERVER files OPTIONS (program 'echo 2')});
refuses('a partition that is a foreign table', 'SELECT id FROM mixed ORDER BY id', 'foreign_table');
$cache->ask($s, 'SELECT id FROM mixed WHERE id = 1');
$cache->expect('another partition', $s, 'SELECT id FROM mixed WHERE id = 1', qr/hit|refused: foreign_table/);

# ---- Statements that write run once each time.
my $rows = 'SELECT count(*) FROM other';
my $number = control($rows);
for my $write (
    [ 'INSERT ... RETURNING',        'INSERT INTO other VALUES (50, 1, $$x$$) RETURNING id', 'modifies_data' ],
    [ 'a data-modifying CTE',        'WITH w AS (INSERT INTO other VALUES (51, 1, $$x$$) RETURNING id) SELECT id FROM w', 'modifies_data' ],
    [ 'a function that writes',      'SELECT writes() AS w', 'volatile_function' ]) {
    my ($name, $query, $reason) = @$write;
    for (1 .. 2) {
        my ($done, $got) = $cache->ask($s, $query);
        $number++;
        is($done, "refused: $reason", "$name: refused");
        is(control($rows), $number, "$name: has run once");
    }
}
is(($cache->ask($s, 'INSERT INTO other VALUES (52, 1, $$x$$)'))[1], 'ERROR:  0A000', 'INSERT without rows to give is an error');
is(control($rows), $number, 'and has not run');
is(($cache->ask($s, 'INSERT INTO other VALUES (50, 1, $$x$$) RETURNING id'))[1], '{"id": 50}', 'the rows are returned');
is(control(q{SELECT count(*) FROM other WHERE id = 50}), 3, 'and there');
$s->ask('BEGIN READ ONLY;');
is(($cache->ask($s, 'INSERT INTO other VALUES (50, 1, $$x$$) RETURNING id'))[1], 'ERROR:  25006', 'not in a transaction that is read only');
$s->ask('ROLLBACK;');

# ---- Errors are those of the plain query.
for my $wrong ('SELECT FROM WHERE', 'SELECT nosuch FROM plain', 'SELECT * FROM nosuch', 'SELECT 1 / (id - 1) AS x FROM plain', 'SELECT note::int AS x FROM plain', 'SELECT (SELECT id FROM plain) AS x') {
    my (undef, $got) = $cache->ask($s, $wrong);
    is($got, WhiteCross::Cache::answer($s, "$wrong;"), "as it fails plainly: $wrong");
}
for my $wrong ([ '', '42601' ], [ ';', '42601' ], [ 'SELECT 1; SELECT 2', '42601' ], [ 'SELECT $2::int', '42P02', 'x' ], [ 'SELECT 1', '08P01', 'x' ], [ 'SELECT $1::int AS i', '22P02', 'Zq9' ]) {
    my ($query, $state, @params) = @$wrong;
    is(($cache->ask($s, $query, params => \@params))[1], "ERROR:  $state", "$state for '$query'");
}
is(($cache->ask($s, 'SELECT id, v FROM plain', type => 'NULL::int'))[1],  'ERROR:  42804', 'another row type: too many columns');
is(($cache->ask($s, 'SELECT note FROM plain', type => 'NULL::int'))[1],   'ERROR:  42804', 'another row type');
is(($cache->ask($s, 'SELECT id FROM plain', columns => 'a int, b int'))[1], 'ERROR:  42804', 'too few columns');
$cache->ask($s, 'SELECT id, v FROM plain ORDER BY id', type => 'NULL::cached_type');
$cache->expect('a named row type', $s, 'SELECT id, v FROM plain ORDER BY id', 'hit', type => 'NULL::cached_type');
control('ALTER TABLE cached_type ADD COLUMN more int');
is(($cache->ask($s, 'SELECT id, v FROM plain ORDER BY id', type => 'NULL::cached_type'))[1], 'ERROR:  42804', 'the row type has a column more');
control('ALTER TABLE cached_type DROP COLUMN more');
$cache->expect('and not any more', $s, 'SELECT id, v FROM plain ORDER BY id', qr/hit|stored/, type => 'NULL::cached_type');
$cache->expect('of no rows', $s, 'SELECT id FROM plain WHERE id = -1', 'stored');
$cache->expect('of no rows, again', $s, 'SELECT id FROM plain WHERE id = -1', 'hit');
$cache->expect('a row of NULLs', $s, 'SELECT NULL::int AS a, NULL::text AS b', 'stored');
$cache->expect('a row of NULLs, again', $s, 'SELECT NULL::int AS a, NULL::text AS b', 'hit');
$cache->ask($s, 'SELECT FROM plain') for 1 .. 2;
$cache->expect('rows of no columns', $s, 'SELECT FROM plain', 'hit');

done_testing();

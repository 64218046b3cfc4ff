# wc_cached() where applications call it: prepared, in functions, cursors and larger statements; errors come out as the query's own, and
# leave nothing; rows are kept no longer than ttl, apart by tag; thousands of calls in one statement leave nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('cached_calls', conf => "fsync = off\nautovacuum = off\nwhitecross.monitor_interval = 3600\nwhitecross.health_interval = 0\n");
$node->safe_psql('postgres', 'CREATE DATABASE school');
$node->safe_psql('school', <<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION whitecross;
CREATE TABLE notes (id int PRIMARY KEY, v int);
INSERT INTO notes SELECT i, i FROM generate_series(1, 10) AS i;
CREATE TABLE written (id int);
CREATE FUNCTION sum_of(lowest int) RETURNS bigint LANGUAGE plpgsql AS
  $$ BEGIN RETURN (SELECT c FROM wc_cached(NULL::bigint, 'SELECT sum(v) FROM notes WHERE id >= $1', ARRAY[lowest::text]) AS c); END $$;
CREATE FUNCTION in_a_loop(times int) RETURNS bigint LANGUAGE plpgsql AS
  $$ DECLARE n bigint := 0; r record; BEGIN
     FOR i IN 1 .. times LOOP FOR r IN SELECT * FROM wc_cached(NULL::notes, 'SELECT * FROM notes WHERE id = $1', ARRAY[(i % 10 + 1)::text]) LOOP n := n + r.v; END LOOP; END LOOP;
     RETURN n; END $$;
CREATE FUNCTION in_sql(i int) RETURNS SETOF notes LANGUAGE sql AS $$ SELECT * FROM wc_cached(NULL::notes, 'SELECT * FROM notes WHERE id = $1', ARRAY[i::text]) $$;
CREATE FUNCTION caught(query text) RETURNS text LANGUAGE plpgsql AS
  $$ DECLARE d text; BEGIN PERFORM wc_cached(NULL::int, query); RETURN 'nothing'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
CREATE FUNCTION stops(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF i = 5 THEN RAISE EXCEPTION 'half way'; END IF; RETURN i; END $$;
CREATE FUNCTION waits(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_advisory_lock_shared(7); PERFORM pg_advisory_unlock_shared(7); RETURN i; END $$;
SQL
$node->safe_psql('school', WhiteCross::Cache::SINCE_THE_LAST_LOOK);
my $here  = WhiteCross::Session->new($node, 'school');
my $there = WhiteCross::Session->new($node, 'school');
my $watch = WhiteCross::Session->new($node, 'school');
sub done { return scalar $watch->ask('SELECT done();') }
my $call = q{SELECT v FROM wc_cached(NULL::notes, 'SELECT * FROM notes ORDER BY id')};

# The ways of calling it.
$here->ask("PREPARE p AS $call;");
is_deeply([ $here->ask('EXECUTE p;') ], [ 1 .. 10 ], 'a prepared statement') for 1 .. 7;
$there->ask('UPDATE notes SET v = 11 WHERE id = 10;');
is_deeply([ $here->ask('EXECUTE p;') ], [ 1 .. 9, 11 ], 'sees what was written since');
$there->ask('UPDATE notes SET v = 10 WHERE id = 10;');
done();
is($here->ask('SELECT sum_of(9);'), 19, 'in a function') for 1 .. 2;
is(done(), '1 hits, 1 misses', 'the second time from the cache');
is($here->ask('SELECT in_a_loop(1000);'), 5500, 'in a loop');
is(done(), '990 hits, 10 misses', 'as often as not there');
is($here->ask('SELECT v FROM in_sql(3);'), 3, 'in a function of SQL');
is($here->ask("SELECT sum(c.v) FROM notes AS n, LATERAL wc_cached(NULL::notes, 'SELECT * FROM notes WHERE id = \$1', ARRAY[n.id::text]) AS c;"), 55, 'for each row of a table');
is($here->ask("WITH c AS MATERIALIZED ($call) SELECT count(*) FROM c AS a, c AS b;"), 100, 'in a WITH query');
$here->ask("INSERT INTO written $call; CREATE TEMPORARY TABLE taken AS $call;");
is($here->ask('SELECT sum(id) FROM written;'), 55, 'in an INSERT');
$watch->ask('DELETE FROM written;');
is_deeply([ $here->ask("DROP TABLE taken; BEGIN READ ONLY; $call LIMIT 3; COMMIT;") ], [ 'DROP TABLE', 'BEGIN', 1 .. 3, 'COMMIT' ], 'in a read-only transaction, the first of its rows')
  or diag(join ' ', $here->ask('SELECT 1;'));

# LIMIT and a cursor that is fetched in part: what is kept are all rows.
$watch->ask('SELECT wc_cache_clear();');
done();
is_deeply([ $here->ask("$call LIMIT 2;") ], [ 1, 2 ], 'the first of the rows');
is_deeply([ $here->ask("$call;") ], [ 1 .. 10 ], 'and all of them after that');
is(done(), '1 hits, 1 misses', 'of one entry');
$watch->ask('SELECT wc_cache_clear();');
is_deeply([ $here->ask("BEGIN; DECLARE c SCROLL CURSOR FOR $call; FETCH 2 FROM c;") ], [ 'BEGIN', 'DECLARE CURSOR', 1, 2 ], 'a cursor, fetched in part');
$there->ask('UPDATE notes SET v = 0 WHERE id = 3;');
is_deeply([ $there->ask("$call;") ], [ 1, 2, 0, 4 .. 10 ], 'others see what is written meanwhile');
is_deeply([ $here->ask('FETCH 2 FROM c; FETCH BACKWARD 1 FROM c; CLOSE c; COMMIT;') ], [ 3, 4, 3, 'CLOSE CURSOR', 'COMMIT' ], 'the cursor goes on with its own rows');
is_deeply([ $here->ask("$call;") ], [ 1, 2, 0, 4 .. 10 ], 'which nobody gets afterwards');
$there->ask('UPDATE notes SET v = id;');
is_deeply([ $here->ask("BEGIN; DECLARE c CURSOR WITH HOLD FOR $call; FETCH 1 FROM c; COMMIT; FETCH 1 FROM c; CLOSE c;") ],
    [ 'BEGIN', 'DECLARE CURSOR', 1, 'COMMIT', 2, 'CLOSE CURSOR' ], 'a cursor that outlives its transaction');
is_deeply([ $here->ask(q{BEGIN; DECLARE c CURSOR FOR SELECT v FROM notes ORDER BY id; SELECT * FROM wc_cached(NULL::int, 'FETCH 2 FROM c'); COMMIT;}) ],
    [ 'BEGIN', 'DECLARE CURSOR', 1, 2, 'COMMIT' ], 'FETCH as the query itself');
is(($here->ask(q{SELECT * FROM wc_cached(NULL::text, 'EXPLAIN (COSTS OFF) SELECT * FROM notes');}))[0], 'Seq Scan on notes', 'EXPLAIN');

# Statements that write run once a call.
done();
is_deeply([ $here->ask(q{SELECT * FROM wc_cached(NULL::int, 'INSERT INTO written VALUES ($1), ($2) RETURNING id', ARRAY['1', '2']);}) ], [ 1, 2 ], 'RETURNING');
is($here->ask('SELECT count(*) FROM written;'), 2, 'written once');
is_deeply([ $here->ask(q{SELECT * FROM wc_cached(NULL::int, 'WITH d AS (DELETE FROM written RETURNING id) SELECT id FROM d ORDER BY id');}) ], [ 1, 2 ], 'a WITH query that writes');
is($here->ask('SELECT count(*) FROM written;'), 0, 'as well');
$here->ask('CREATE SEQUENCE numbers;');
is($here->ask(q{SELECT c FROM wc_cached(NULL::bigint, $$SELECT nextval('numbers')$$) AS c;}), $_, 'a sequence goes on by one') for 1 .. 3;
is_deeply([ map { error_of(qq{SELECT * FROM wc_cached(NULL::int, '$_')}) } 'INSERT INTO written VALUES (1)', 'CREATE TABLE no (i int)', 'COMMIT', 'VACUUM' ], [ ('0A000') x 4 ], 'statements without rows are refused');
is($here->ask('SELECT count(*) FROM written;'), 0, 'before they have done anything');

# Errors.
sub error_of { my ($sql) = @_; return (try_sql($node, 'school', $sql))[1] }
my (undef, $state, $err) = try_sql($node, 'school', q{SELECT * FROM wc_cached(NULL::int, 'SELECT nonsense FROM notes')});
is($state, '42703', 'what the analysis finds');
like($err, qr/LINE 1: SELECT nonsense FROM notes\n\s+\^\nQUERY:  SELECT nonsense FROM notes/, 'with its place in the query');
(undef, $state, $err) = try_sql($node, 'school', q{SELECT * FROM wc_cached(NULL::int, 'SELECT v / (id - 5) FROM notes')});
is($state, '22012', 'what running it finds');
like($err, qr/CONTEXT:  SQL statement "SELECT v/, 'with the query');
for my $case ([ "NULL::int, ''", '42601' ], [ "NULL::int, 'SELECT 1; SELECT 2'", '42601' ], [ "NULL::int, 'SELECT 1 +'", '42601' ], [ "NULL::int, NULL", '22004' ],
    [ "NULL::int, 'SELECT 1', NULL", '22004' ], [ "NULL::int, 'SELECT 1', ttl => NULL", '22004' ], [ "NULL::int, 'SELECT 1', '{{a},{b}}'", '22023' ],
    [ "NULL::int, 'SELECT 1', ttl => '0'", '22023' ], [ "NULL::int, 'SELECT 1', ttl => '-1 day 1 hour'", '22023' ], [ "NULL::int, 'SELECT 1', ttl => '30 days 1 microsecond'", '22023' ],
    [ "NULL::int, 'SELECT 1', ttl => '178000000 years'", '22023' ], [ "NULL::int, 'SELECT 1', tag => repeat('x', 129)", '22001' ], [ "NULL::int, 'SELECT 1', ARRAY['1']", '08P01' ],
    [ "NULL::int, 'SELECT \$1::int'", '42P02' ], [ "NULL::int, 'SELECT * FROM no_such_table'", '42P01' ])
{
    is(error_of("SELECT * FROM wc_cached($case->[0])"), $case->[1], "wc_cached($case->[0])");
}
is($here->ask(q{SELECT count(*) FROM wc_cached(NULL::int, 'SELECT 1', ttl => '30 days', tag => repeat('x', 128));}), 1, 'the longest ttl and tag');
is($here->ask(q{SELECT count(*) FROM wc_cached(NULL::int, 'SELECT 1', ttl => '1 microsecond', tag => '');}), 1, 'the shortest');

# A parameter's value stands in no message of ours.
for my $type (qw(int uuid date jsonb point int[] numeric inet)) {
    (undef, $state, $err) = try_sql($node, 'school', qq{SET log_min_messages = debug5;\nSELECT * FROM wc_cached(NULL::$type, 'SELECT \$2::$type WHERE \$1 = 1', ARRAY['1', 'Zwölferkogel'])});
    like($state, qr/^22/, "no value of type $type: an error of class 22");
    like($err, qr/parameter \$2 is no valid value of type \Q$type\E/ms, 'that names parameter and type') if $type !~ /int/;
    unlike($err =~ s/^LINE \d+:.*$//mr, qr/Zw.{1,2}lferkogel/, 'not the value');
}
unlike(slurp_file($node->logfile) =~ s/^.*(?:STATEMENT|statement|QUERY|Query Text|LINE \d+): .*$//mgr, qr/lferkogel/, 'nor in the log, but where the server itself logs statements');

# Errors leave nothing: no entry, no turn to compute it, no connection of the server programming interface.
$watch->ask('SELECT wc_cache_clear();');
done();
is($here->ask(q{SELECT caught('SELECT stops(id) FROM notes ORDER BY id');}), 'P0001 half way', 'half way through') for 1 .. 2;
is(done(), '0 hits, 2 misses', 'it is run again');
is($watch->ask('SELECT entries, fills FROM wc_cache_memory();'), '0|0', 'nothing is kept, and nobody would wait');
$watch->ask('UPDATE notes SET id = 50 WHERE id = 5;');
is($here->ask(q{SELECT count(*) FROM wc_cached(NULL::int, 'SELECT stops(id) FROM notes ORDER BY id');}), 10, 'when it has an answer, it is the answer');
$watch->ask('UPDATE notes SET id = 5 WHERE id = 50;');

# A cancel while it is computed.
my $slow = q{SELECT count(*) FROM wc_cached(NULL::int, 'SELECT waits(id) FROM notes')};
$watch->ask('SELECT pg_advisory_lock(7);');
$here->send("$slow;");
$node->poll_query_until('school', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)});
is($watch->ask('SELECT fills FROM wc_cache_memory();'), 1, 'one is being computed');
$watch->ask("SELECT pg_cancel_backend($here->{process});");
like(join("\n", $here->answer), qr/57014/, 'cancelled');
is($watch->ask('SELECT entries, fills FROM wc_cache_memory();'), '1|0', 'nothing is kept, and nobody would wait');
$watch->ask('SELECT pg_advisory_unlock(7);');
is($here->ask("$slow;"), 10, 'the next one computes it');
is($here->ask("$slow;"), 10, 'it is there');

# Rows that can't be kept: nobody waits for them again.
my $large = q{SELECT count(*) FROM wc_cached(NULL::record, 'SELECT waits(id), repeat(id::text, 2000000) FROM notes') AS x (i int, t text)};
is($here->ask("$large;"), 10, 'rows that are too large');
done();
$watch->ask('SELECT pg_advisory_lock(7);');
$here->send("$large;");
$node->poll_query_until('school', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)});
is($watch->ask('SELECT fills FROM wc_cache_memory();'), 0, 'the next time they are nobody else\'s to wait for');
$watch->ask('SELECT pg_advisory_unlock(7);');
is(($here->answer)[0], 10, 'they come all the same');
is(done(), '0 hits, 1 misses, too_large 1', 'and are counted');

# A call within a call: a function that says to be immutable and asks the cache while the cache computes what it is part of.
$watch->ask(q{CREATE FUNCTION asks(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  PERFORM * FROM wc_cached(NULL::int, 'SELECT waits(id) FROM notes WHERE id = $1', ARRAY[i::text]); RETURN waits(i); END $$;});
$watch->ask('SELECT pg_advisory_lock(7);');
$here->send(q{SELECT count(*) FROM wc_cached(NULL::int, 'SELECT asks(id) FROM notes WHERE id = 1');});
$node->poll_query_until('school', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)});
is($watch->ask('SELECT fills FROM wc_cache_memory();'), 1, 'one turn, that of the call around it');
$watch->ask("SELECT pg_cancel_backend($here->{process});");
like(join("\n", $here->answer), qr/57014/, 'cancelled within it');
is($watch->ask('SELECT fills FROM wc_cache_memory();'), 0, 'it is over');
$watch->ask('SELECT pg_advisory_unlock(7);');

# ttl and tags.
$watch->ask('SELECT wc_cache_clear();');
done();
my $until = q{SELECT v FROM wc_cached(NULL::notes, 'SELECT * FROM notes WHERE id = 1', ttl => '%s'%s);};
sub asked { my ($ttl, $tag) = @_; return scalar $here->ask(sprintf $until, $ttl, $tag ? ", tag => '$tag'" : '') }
is(asked('1 hour'), 1, 'kept for an hour') for 1 .. 2;
is(done(), '1 hits, 1 misses', 'is there');
$node->poll_query_until('school', q{SELECT max(age) > '5 ms' FROM wc_cache_entries});
is(asked('5 ms'), 1, 'who wants no older rows');
is(done(), '0 hits, 1 misses', 'has the query run');
$node->poll_query_until('school', q{SELECT coalesce(max(age) > '10 ms', true) FROM wc_cache_entries});
is(asked('1 hour'), 1, 'and these are kept no longer');
is(done(), '0 hits, 1 misses', 'than they were said to be');
is(asked('1 hour', $_), 1, "tag $_") for qw(a b a b);
is(done(), '2 hits, 2 misses', 'rows are kept apart by tag');
$watch->ask(q{SELECT wc_cache_invalidate_tag('a');});
is(asked('1 hour', $_), 1, "tag $_") for qw(a b);
is(done(), '1 hits, 1 misses', 'and go by it');
$here->ask('SET whitecross.cache = off;');
is(asked('1 hour'), 1, 'a session that does without');
is(done(), '0 hits, 0 misses, off 1', 'is counted');
$here->ask('RESET whitecross.cache;');

# Thousands of calls in one statement, and in one session: nothing is left.
my $many = q{SELECT max(m) - min(m) FROM (SELECT CASE WHEN g IN (500, 10000) THEN (SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE g > 0) END
  FROM generate_series(1, 10000) AS g, LATERAL %s AS c OFFSET 0) AS x (m);};
for my $form (q{wc_cached(NULL::notes, 'SELECT * FROM notes WHERE id = $1', ARRAY[(g % 10 + 1)::text])}, q{wc_cached_json('SELECT * FROM notes WHERE id = $1', ARRAY[(g % 10 + 1)::text])},
    q{wc_cached(NULL::notes, 'SELECT * FROM notes WHERE id = $1 AND random() < 2', ARRAY[(g % 10 + 1)::text])}, q{wc_cached(NULL::notes, 'SELECT * FROM notes WHERE id = $1', ARRAY[(g % 10 + 1)::text], tag => g::text)})
{
    cmp_ok($here->ask(sprintf $many, $form), '<', 64 * 1024, "10,000 calls in one statement: $form");
}

# Not preloaded: every query runs.
my $plain = new_node('not_preloaded', preload => '', conf => "fsync = off\n");
$plain->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION whitecross; CREATE TABLE notes AS SELECT 1 AS v');
is($plain->safe_psql('postgres', q{SELECT * FROM wc_cached(NULL::notes, 'SELECT * FROM notes WHERE v = $1', ARRAY['1']); UPDATE notes SET v = 2; SELECT * FROM wc_cached_json('SELECT * FROM notes')}),
    qq{1\n{"v": 2}}, 'a server that has not loaded the library');

$_->quit for $here, $there, $watch;
done_testing();

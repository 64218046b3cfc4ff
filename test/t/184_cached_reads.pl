# What the rows of a cached query were read from is known, whatever reads it: partitions, children, functions that say to be immutable
# and are not; and what the session alone sees is neither taken from the cache nor put there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('cached_reads', conf => "fsync = off\nautovacuum = off\nwhitecross.monitor_interval = 3600\nwhitecross.health_interval = 0\nmax_prepared_transactions = 5\n");
$node->safe_psql('postgres', 'CREATE DATABASE school');
$node->safe_psql('school', <<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION whitecross;
CREATE TABLE notes (id int PRIMARY KEY, v int);
INSERT INTO notes SELECT i, 0 FROM generate_series(1, 10) AS i;
CREATE TABLE one (id int);
INSERT INTO one VALUES (1);
CREATE TABLE part (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
INSERT INTO part VALUES (1, 0), (11, 0);
CREATE TABLE base (v int);
CREATE TABLE heir () INHERITS (base);
INSERT INTO heir VALUES (0);
-- Functions that are not what they say.
CREATE FUNCTION reads_sql(i int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT sum(v) + i FROM notes';
CREATE FUNCTION reads_plpgsql(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT sum(v) + i FROM notes); END';
CREATE FUNCTION reads_dynamically(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
  'DECLARE r bigint; BEGIN EXECUTE ''SELECT sum(v) + $1 FROM '' || ''notes'' INTO r USING i; RETURN r; END';
CREATE FUNCTION reads_in_parallel(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS 'BEGIN RETURN (SELECT sum(v) + i FROM notes); END';
CREATE FUNCTION reads_catalogue(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT count(*) + i FROM pg_class WHERE relname = 'appears'); END $$;
CREATE FUNCTION reads_temporary(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT count(*) + i FROM pg_temp.mine); END $$;
CREATE FUNCTION does_write(i int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN INSERT INTO one VALUES (i); RETURN i; END';
CREATE FUNCTION writes(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN does_write(i); END';
CREATE FUNCTION does_set(i int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN SET LOCAL work_mem = '1MB'; RETURN i; END $$;
CREATE FUNCTION sets(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN does_set(i); END';
CREATE FUNCTION asks_cache(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT c + i FROM wc_cached(NULL::bigint, 'SELECT sum(v) FROM notes') AS c); END $$;
CREATE FUNCTION asks_second(i int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN reads_plpgsql(i); END $$;
-- What the cache has done since the last look.
SQL
$node->safe_psql('school', WhiteCross::Cache::SINCE_THE_LAST_LOOK);
my $here  = WhiteCross::Session->new($node, 'school');
my $there = WhiteCross::Session->new($node, 'school');
my $watch = WhiteCross::Session->new($node, 'school');
sub done { return scalar $watch->ask('SELECT done();') }
sub cached { my ($query) = @_; return qq{SELECT * FROM wc_cached(NULL::bigint, '$query');} }

# follows(NAME, QUERY, WRITE, AFTER): the query's rows are kept, a write by another session makes them go, and they are AFTER then.
sub follows {
    my ($name, $query, $write, $after) = @_;
    $there->ask('SELECT wc_cache_clear();');
    done();
    my $before = $here->ask(cached($query));
    is($here->ask(cached($query)), $before, "$name: kept");
    is(done(), '1 hits, 1 misses', 'by the cache');
    $there->ask($write);
    isnt($after, $before, 'a write') if defined $after;
    is($here->ask(cached($query)), $after // $before, "$name: what was written is seen");
    is(done(), '0 hits, 1 misses', 'by running the query');
    return;
}

follows('a partition, written by its own name', 'SELECT sum(v) FROM part', 'UPDATE part_2 SET v = 1;', '1');
follows('a partition that appears', 'SELECT sum(v) FROM part',
    'CREATE TABLE part_3 (id int, v int); INSERT INTO part_3 VALUES (21, 5); ALTER TABLE part ATTACH PARTITION part_3 FOR VALUES FROM (20) TO (30);', '6');
follows('and goes', 'SELECT sum(v) FROM part', 'ALTER TABLE part DETACH PARTITION part_3;', '1');
follows('a child', 'SELECT sum(v) FROM base', 'UPDATE heir SET v = 1;', '1');
follows('a child that appears', 'SELECT sum(v) FROM base', 'CREATE TABLE heir_2 () INHERITS (base); INSERT INTO heir_2 VALUES (2);', '3');
my $sum = 0;
for my $function (qw(reads_sql reads_plpgsql reads_dynamically reads_in_parallel asks_second)) {
    $sum++;
    follows("$function(), run for each row", "SELECT $function(id) FROM one", "UPDATE notes SET v = $sum WHERE id = 1;", $sum + 1);
    $sum++;
    follows("$function() of a constant, run by the planner", "SELECT $function(1)", "UPDATE notes SET v = $sum WHERE id = 1;", $sum + 1);
}
$here->ask($_) for 'SET parallel_setup_cost = 0;', 'SET parallel_tuple_cost = 0;';
$node->safe_psql('school', 'CREATE TABLE wide AS SELECT i AS id FROM generate_series(1, 300) AS i; ALTER TABLE wide SET (parallel_workers = 2); ANALYZE wide');
like($here->ask('EXPLAIN SELECT sum(reads_in_parallel(id)) FROM wide;'), qr/Workers Planned/, 'a query that has helpers');
follows('reads_in_parallel(), in a query that has helpers', 'SELECT sum(reads_in_parallel(id))::bigint FROM wide', 'UPDATE notes SET v = 1000 WHERE id = 1;', 1000 * 300 + 300 * 301 / 2);
is($here->ask('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT sum(length(id::text)) FROM wide;') =~ /Workers Launched: [1-9]/, 1, 'queries without such functions have them');
$here->ask("RESET $_;") for qw(parallel_setup_cost parallel_tuple_cost);

# Nothing that can't be followed is kept.
sub refused {
    my ($name, $query, $reason, @rows) = @_;
    done();
    is($here->ask(cached($query)), $_, "$name: the rows of the query") for @rows;
    is(done(), $reason, "$name: never kept");
    return;
}
refused('a function that reads a catalogue', 'SELECT reads_catalogue(0)', '0 hits, 2 misses, unseen 2', 0, 0);
$here->ask('CREATE TEMPORARY TABLE mine AS SELECT 1;');
refused('a function that reads a temporary table', 'SELECT reads_temporary(1)', '0 hits, 2 misses, unseen 2', 2, 2);
refused('a function that writes', 'SELECT writes(id::int) FROM one LIMIT 1', '0 hits, 2 misses, unseen 2', 1, 1);
is($watch->ask('SELECT count(*) FROM one;'), 3, 'as often as it is called');
$watch->ask('DELETE FROM one WHERE ctid <> (SELECT min(ctid) FROM one);');
refused('a function that changes a setting', 'SELECT sets(id) FROM one', '0 hits, 2 misses, unseen 2', 1, 1);
refused('a function that asks the cache', 'SELECT asks_cache(id::int) FROM one', '1 hits, 3 misses, unseen 2', 1001, 1001);
$there->ask('UPDATE notes SET v = 5 WHERE id = 1;');
is($here->ask(cached('SELECT asks_cache(id::int) FROM one')), 6, 'and sees what was written');

# Foreign tables among partitions.
$node->safe_psql('school', <<"SQL");
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE TABLE mixed (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE mixed_2 PARTITION OF mixed FOR VALUES FROM (10) TO (20) SERVER files OPTIONS (program 'echo 10,7', format 'csv');
SQL
refused('a partition that is foreign', 'SELECT sum(v) FROM mixed', '0 hits, 0 misses, foreign_table 2', 7, 7);

# A temporary child is its session's alone: others' entries have not its rows, and its own are not for others.
is($there->ask(cached('SELECT sum(v) FROM base')), 3, 'another session has an entry');
$here->ask('CREATE TEMPORARY TABLE heir_3 () INHERITS (base); INSERT INTO heir_3 VALUES (10);');
is($there->ask(cached('SELECT sum(v) FROM base')), 3, 'and one that was made since the temporary child was');
refused('a temporary child', 'SELECT sum(v) FROM base', '0 hits, 0 misses, temporary_table 2', 13, 13);
is($there->ask(cached('SELECT sum(v) FROM base')), 3, 'nobody else sees its rows');
$here->ask('DROP TABLE heir_3, mine;');

# The transaction's own writes, whichever way the tables are read that it has written.
for my $case (
    [ 'a table', 'SELECT sum(v) FROM notes', 'UPDATE notes SET v = 50 WHERE id = 1;', 50 ],
    [ 'a partition, read through its parent', 'SELECT sum(v) FROM part', 'UPDATE part_2 SET v = 50;', 50 ],
    [ 'a child, read through its parent', 'SELECT sum(v) FROM base', 'UPDATE heir SET v = 50;', 52 ],
    [ 'a table that a function reads', 'SELECT reads_plpgsql(1)', 'UPDATE notes SET v = 50 WHERE id = 1;', 51 ])
{
    my ($name, $query, $write, $after) = @$case;
    for my $before ('kept', 'not kept') {
        my $committed = $there->ask($query . ';');
        $there->ask('SELECT wc_cache_clear();');
        $there->ask(cached($query)) if $before eq 'kept';
        done();
        $here->ask("BEGIN; $write");
        is($here->ask(cached($query)), $after, "$name, $before before: the transaction sees what it has written");
        like(done(), qr/^0 hits, [01] misses, own_writes 1$/, 'which is why it was run');
        is($there->ask(cached($query)), $committed, 'and nobody else');
        $here->ask('SAVEPOINT s; ROLLBACK TO s; ROLLBACK;');
        is($here->ask(cached($query)), $committed, 'not after it is rolled back either');
        is($there->ask(cached($query)), $committed, 'nor in another session');
    }
}

# A row written by the statement that reads: as any volatile function, the query sees it.
is($here->ask(q{WITH w AS (INSERT INTO one VALUES (2) RETURNING id) SELECT c FROM w, LATERAL wc_cached(NULL::bigint, 'SELECT count(*) FROM one WHERE ' || w.id || ' = 2') AS c;}), 2, 'a row of the statement around it');
$here->ask('DELETE FROM one WHERE id = 2;');

# A snapshot that is older than the entry: in READ COMMITTED the query is a statement of its own; else it is not asked of the cache.
$here->ask("CREATE FUNCTION twice(query text) RETURNS SETOF bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN QUERY EXECUTE query; PERFORM pg_advisory_lock(1); PERFORM pg_advisory_unlock(1); RETURN QUERY EXECUTE query; END';");
$there->ask('SELECT pg_advisory_lock(1);');
$here->send(q{SELECT * FROM twice('SELECT c FROM wc_cached(NULL::bigint, ''SELECT sum(v) FROM notes'') AS c');});
$node->poll_query_until('school', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)});
$there->ask('UPDATE notes SET v = 6 WHERE id = 1; SELECT * FROM wc_cached(NULL::bigint, $$SELECT sum(v) FROM notes$$); SELECT pg_advisory_unlock(1);');
is_deeply([ $here->answer ], [ 5, 6 ], 'within one statement the second call sees what was committed before it');
for my $level ('REPEATABLE READ', 'SERIALIZABLE') {
    my $v = $there->ask('SELECT v FROM notes WHERE id = 1;');
    $here->ask("BEGIN ISOLATION LEVEL $level; SELECT 1;");
    $there->ask("UPDATE notes SET v = v + 1 WHERE id = 1; " . cached('SELECT sum(v) FROM notes'));
    done();
    is($here->ask(cached('SELECT sum(v) FROM notes')), $v, "$level: the rows of its snapshot, though a later entry is there");
    is(done(), '0 hits, 0 misses, isolation 1', 'without the cache');
    $here->ask('COMMIT;');
    is($here->ask(cached('SELECT sum(v) FROM notes')), $v + 1, 'afterwards those of now');
}

# What changes a catalogue in the transaction: its names are its own.
done();
$here->ask('BEGIN; CREATE TEMPORARY TABLE notes (v int); INSERT INTO notes VALUES (-1);');
is($here->ask(cached('SELECT sum(v) FROM notes')), -1, 'a table of the transaction itself');
is(done(), '0 hits, 0 misses, own_ddl 1', 'is not asked of the cache');
$here->ask('ROLLBACK;');
is($here->ask(cached('SELECT sum(v) FROM notes')), 8, 'nor remembered when it is gone');

$_->quit for $here, $there, $watch;
done_testing();

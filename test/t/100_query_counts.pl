# Statistics of statement patterns: what is counted and what is not, to the last call, also of sessions that come and go.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('query_counts', preload => 'pg_stat_statements,whitecross', conf => "restart_after_crash = on\nautovacuum = off\n");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE EXTENSION pg_stat_statements;
CREATE TABLE item (id integer PRIMARY KEY, note text);
INSERT INTO item SELECT n, 'x' FROM generate_series(1, 1000) AS n;
VACUUM ANALYZE item;
SQL

# The query id of a statement, by the server's own word.
sub query_id {
    my ($sql) = @_;
    my $plan = $node->safe_psql('postgres', "EXPLAIN (VERBOSE, FORMAT JSON) $sql");
    my ($id) = $plan =~ /"Query Identifier": (-?\d+)/ or die "no query id: $plan\n";
    return $id;
}

# calls, failures and rows of a statement, or of a query id.
sub counts_of {
    my ($sql) = @_;
    my $id = $sql =~ /^\d+$/ ? $sql : query_id($sql);
    return $node->safe_psql('postgres', "SELECT calls, failures, rows FROM wc_query_stats WHERE query_id = $id");
}

# The same of a command.
sub counts_of_tag {
    my ($tag) = @_;
    return $node->safe_psql('postgres', "SELECT calls, failures, rows FROM wc_query_stats WHERE command_tag = '$tag'");
}

# Sessions that have ended have added up what they counted once they are gone.
sub wait_for_ends {
    $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'}) or die "sessions do not end\n";
    return;
}

# Runs a script in a session of its own, from fresh statistics to the session's end.
sub run_alone {
    my ($sql, %options) = @_;
    wait_for_ends();
    $node->safe_psql('postgres', 'SELECT wc_reset_query_stats()');
    wait_for_ends(); # that session adds its own statement
    my ($out, $err) = ('', '');
    $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 0);
    wait_for_ends();
    return $err;
}

# --- 100,000 statements of 8 clients at a time, by three protocols, some with a connection for each statement

my $statement = 'SELECT note FROM item WHERE id = 1';
my $script    = $node->basedir . '/select.sql';
append_to_file($script, "\\set id random(1, 1000)\nSELECT note FROM item WHERE id = :id;\n");
$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset(), wc_reset_query_stats()');
{
    local $ENV{PGHOST} = $node->host;
    local $ENV{PGPORT} = $node->port;
    my @runs = map {
        my ($name, @arguments) = @$_;
        my ($out, $err) = ('', '');
        [ $name, IPC::Run::start([ 'pgbench', '-n', '-f', $script, @arguments, 'postgres' ], '>', \$out, '2>', \$err), \$err ]
    } ([ 'simple', '-c', 3, '-t', 16500 ], [ 'extended', '-M', 'extended', '-c', 3, '-t', 10000 ], [ 'prepared', '-M', 'prepared', '-c', 2, '-t', 10000 ]);
    my ($out, $err) = ('', '');
    ok(IPC::Run::run([ 'pgbench', '-n', '-C', '-c', 2, '-t', 250, '-f', $script, 'postgres' ], '>', \$out, '2>', \$err), 'a connection for each statement') or diag $err;
    for my $run (@runs) {
        ok(IPC::Run::finish($run->[1]), "protocol $run->[0]") or diag ${ $run->[2] };
    }
}
wait_for_ends();
# Simple: a constant, a parameter in the others: two fingerprints.
my ($total) = $node->safe_psql('postgres', <<'SQL');
SELECT sum(w.calls), sum(w.failures), sum(w.rows), sum(s.calls), bool_and(w.min_ms <= w.mean_ms AND w.mean_ms <= w.max_ms AND w.total_ms >= w.max_ms), count(*)
  FROM wc_query_stats AS w JOIN pg_stat_statements AS s ON s.queryid = w.query_id
 WHERE s.query ~ 'SELECT note FROM item WHERE id = \$1'
SQL
my ($calls, $failures, $rows, $theirs, $ordered, $patterns) = split /\|/, $total;
is($calls,    100_000, 'every call is counted');
is($theirs,   100_000, 'pg_stat_statements has as many');
is($rows,     100_000, 'and every row');
is($failures, 0,      'none failed');
is($ordered,  't',    'times are in their order');
is($patterns, 2,      'a constant and a parameter are two patterns of the server');

# --- A session that goes on, one that is ended, one that is killed

{
    wait_for_ends();
    $node->safe_psql('postgres', 'SELECT wc_reset_query_stats()');
    my $session = WhiteCross::Session->new($node, 'postgres');
    $session->ask("$statement;") for 1 .. 5;
    $session->ask('SELECT pg_sleep(1.1);');
    is(counts_of($statement), '5|0|5', 'a statement that ends a second later adds all of them up');
    $session->ask("$statement;") for 1 .. 5;
    $node->safe_psql('postgres', "SELECT pg_terminate_backend($session->{process}, 180000)");
    is(counts_of($statement), '10|0|10', 'a session that is ended adds up what it has counted');
    my $since = $node->safe_psql('postgres', 'SELECT since FROM wc_query_stats_info');
    my $victim = WhiteCross::Session->new($node, 'postgres');
    kill 'KILL', $victim->{process};
    $node->poll_query_until('postgres', "SELECT since > '$since' FROM wc_query_stats_info");
    is($node->safe_psql('postgres', "SELECT count(*) FROM wc_query_stats WHERE command_tag = 'SELECT' AND calls > 5"), 0, 'after a crash of the server all begins anew');
    is(counts_of($statement), '', 'with nothing of before');
}

# --- What is one execution, and what is none

my @cases = (
    [ 'an error while it runs', 'SELECT 1 / (id - 5) FROM item', 'SELECT 1 / (id - 5) FROM item;', '0|1|0' ],
    [ 'a cancelled one', 'SELECT pg_sleep(600)', q{SET statement_timeout = '2s'; SELECT pg_sleep(600);}, '0|1|0' ],
    [ 'no right to it', 'SELECT max(id) FROM item', 'CREATE ROLE nobody; SET ROLE nobody; SELECT max(id) FROM item; RESET ROLE; DROP ROLE nobody;', '0|1|0' ],
    [ 'EXECUTE', 'SELECT note FROM item WHERE id < 10', 'PREPARE few AS SELECT note FROM item WHERE id < 10; EXECUTE few; EXECUTE few; DEALLOCATE few;', '2|0|18' ],
    [ 'rolled back', 'SELECT note FROM item WHERE id < 6', 'BEGIN; SAVEPOINT s; SELECT note FROM item WHERE id < 6; ROLLBACK TO s; SELECT note FROM item WHERE id < 6; ROLLBACK;', '2|0|10' ],
    [ 'many in one message', 'SELECT note FROM item WHERE id < 4', "SELECT note FROM item WHERE id < 4\\; SELECT note FROM item WHERE id < 4\\; SELECT 1;", '2|0|6' ],
    [ 'EXPLAIN', 'SELECT note FROM item WHERE id < 3', 'EXPLAIN SELECT note FROM item WHERE id < 3; EXPLAIN ANALYZE SELECT note FROM item WHERE id < 3;', '' ],
    [ 'a cursor, whose FETCH counts', 'SELECT id FROM item', 'BEGIN; DECLARE c CURSOR FOR SELECT id FROM item; FETCH 10 FROM c; FETCH 20 FROM c; COMMIT;', '' ],
    [ 'a holdable cursor', 'SELECT id, note FROM item', 'DECLARE h CURSOR WITH HOLD FOR SELECT id, note FROM item; FETCH 10 FROM h; CLOSE h;', '' ],
    [ 'rows that are written', 'UPDATE item SET note = note WHERE id < 8', 'UPDATE item SET note = note WHERE id < 8;', '1|0|7' ],
    [ 'what a function runs', 'SELECT count(*) FROM item WHERE id > 1',
        q{DO $$BEGIN PERFORM count(*) FROM item WHERE id > 1; EXECUTE 'SELECT count(*) FROM item WHERE id > 1'; END$$;}, '' ],
    [ 'what a nested error leaves', 'SELECT note FROM item WHERE id < 7',
        q{DO $$BEGIN BEGIN PERFORM 1 / (id - 5) FROM item; EXCEPTION WHEN division_by_zero THEN NULL; END; END$$; SELECT note FROM item WHERE id < 7;}, '1|0|6' ],
    [ 'a function that the planner evaluates', 'SELECT count(*) FROM item WHERE id > 2',
        q{CREATE FUNCTION counted() RETURNS integer LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM item WHERE id > 2); END';
          CREATE FUNCTION looked_up() RETURNS integer LANGUAGE plpgsql STABLE AS $f$DECLARE n integer; BEGIN EXECUTE 'SELECT count(*) FROM item WHERE id > 2' INTO n; RETURN n; END$f$;
          SELECT note FROM item WHERE id = looked_up() - 900; DROP FUNCTION counted(), looked_up();}, '' ],
    [ 'switched off', 'SELECT note FROM item WHERE id < 2', 'SET whitecross.track_queries = off; SELECT note FROM item WHERE id < 2;', '' ],
    [ 'nested ones by setting', 'SELECT count(*) FROM item WHERE id > 3',
        q{SET whitecross.track_nested = on; DO $$BEGIN FOR i IN 1 .. 3 LOOP EXECUTE 'SELECT count(*) FROM item WHERE id > 3'; END LOOP; END$$;}, '3|0|3' ],
    # The server gives the query of a cursor no id.
    [ 'more portals open than have a place', 0,
        'SET whitecross.track_nested = on; BEGIN;' . join('', map { "DECLARE c$_ CURSOR FOR SELECT note FROM item WHERE id < 9; FETCH 1 FROM c$_; FETCH 2 FROM c$_;" } 1 .. 300) . join('', map { "CLOSE c$_;" } 1 .. 300) . 'COMMIT;', '300|0|900' ],
    [ 'the outermost of a recursion deeper than there are places', 'SELECT deep(300)',
        q{CREATE FUNCTION deep(n integer) RETURNS integer LANGUAGE plpgsql AS 'DECLARE r integer; BEGIN IF n = 0 THEN RETURN 0; END IF; SELECT deep(n - 1) + 1 INTO r; RETURN r; END';
          SET whitecross.track_nested = on; SELECT deep(300);}, '1|0|1' ],
    [ 'portals of a subtransaction that fails', 0,
        'SET whitecross.track_nested = on; BEGIN;'
          . join('', map { "SAVEPOINT s; DECLARE c CURSOR FOR SELECT note FROM item WHERE id < 11; FETCH 1 FROM c; ROLLBACK TO s;" } 1 .. 300) . 'COMMIT;', '' ],
);
for my $case (@cases) {
    my ($name, $sql, $run, $expected) = @$case;
    run_alone($run);
    is(counts_of($sql), $expected, $name);
}

# --- Commands are known by their tags

run_alone(q{CREATE TABLE made AS SELECT id FROM item; COPY (SELECT id FROM item LIMIT 5) TO '/dev/null'; DROP TABLE no_such; DROP TABLE made;});
is(counts_of_tag('CREATE TABLE AS'), '1|0|1000', 'CREATE TABLE AS, with its rows');
is(counts_of_tag('COPY'),            '1|0|5',    'COPY');
is(counts_of_tag('DROP TABLE'),      '1|1|0',    'DROP TABLE, once in vain');
run_alone(q{CREATE PROCEDURE steps() LANGUAGE plpgsql AS 'BEGIN FOR i IN 1 .. 3 LOOP INSERT INTO item VALUES (i + 5000); COMMIT; END LOOP; END'; CALL steps(); DROP PROCEDURE steps;});
is(counts_of_tag('CALL'),   '1|0|0', 'CALL of a procedure that commits');
is(counts_of_tag('INSERT'), '',      'and nothing of what it runs');

# --- Changes of plan

run_alone(q{SELECT note FROM item WHERE id = 7; SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT note FROM item WHERE id = 7; SELECT note FROM item WHERE id = 9;
RESET enable_indexscan; RESET enable_bitmapscan; SELECT note FROM item WHERE id = 7;});
is($node->safe_psql('postgres', 'SELECT plan_changes, last_plan_change > since FROM wc_query_stats WHERE query_id = ' . query_id('SELECT note FROM item WHERE id = 7')),
    '2|t', 'another plan and back are two changes of plan; another constant is none');
run_alone('SELECT note FROM item WHERE id = 7');
$node->safe_psql('postgres', 'SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT note FROM item WHERE id = 7');
wait_for_ends();
is($node->safe_psql('postgres', 'SELECT calls, plan_changes FROM wc_query_stats WHERE query_id = ' . query_id('SELECT note FROM item WHERE id = 7')),
    '2|1', 'from one session to the next too');

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE part (id integer, day integer, note text) PARTITION BY LIST (day);
SELECT format('CREATE TABLE part_%s PARTITION OF part FOR VALUES IN (%s)', n, n) FROM generate_series(1, 8) AS n \gexec
CREATE INDEX ON part (id);
INSERT INTO part SELECT n, 1 + n % 8, 'x' FROM generate_series(1, 8000) AS n;
VACUUM ANALYZE part;
SQL
run_alone('SET plan_cache_mode = force_custom_plan;' . join '', map { "SELECT note FROM part WHERE id = 17 AND day IN ($_);" } '1, 2', '3, 3', '4, 5', '6, 8');
is($node->safe_psql('postgres', 'SELECT calls, plan_changes FROM wc_query_stats WHERE query_id = ' . query_id('SELECT note FROM part WHERE id = 17 AND day IN (1, 2)')),
    '4|0', 'which partitions a constant leaves is no change of plan');

# --- Rights

$node->safe_psql('postgres', 'CREATE ROLE nurse');
my (undef, $state) = try_sql($node, 'postgres', 'SET ROLE nurse; SELECT wc_reset_query_stats()');
is($state, '42501', 'a reset is granted to nobody');

done_testing();

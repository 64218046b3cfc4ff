# The texts of statements as sessions come by them, however they were sent, and what sessions do now.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('texts', conf => <<'CONF');
whitecross.slow_query_entries = 2000
whitecross.query_text_size = 1000
whitecross.health_interval = 0
autovacuum = off
CONF
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE ROLE clerk LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
CREATE TABLE t (a int, b text);
INSERT INTO t VALUES (1, 'x');
GRANT ALL ON t TO clerk;
SQL

# The texts of what a script runs, nested statements included, in the order in which they ended; with psql's messages.
my $messages;
sub texts {
    my ($sql) = @_;
    $node->safe_psql('postgres', 'SELECT wc_reset_slow_queries()');
    my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
    append_to_file($file, "SET whitecross.track_nested = on; SET whitecross.slow_query_threshold = 0;\n$sql\n");
    (undef, $messages) = run_command([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $file ]);
    unlink $file;
    my @texts = split /\x1e/, $node->safe_psql('postgres', <<'SQL');
SELECT string_agg(normalised_text, E'\x1e' ORDER BY place) FROM (SELECT *, row_number() OVER () * -1 AS place FROM wc_slow_queries()) AS s
 WHERE normalised_text <> 'SET' AND normalised_text !~ 'slow_quer'
SQL
    return \@texts;
}

is_deeply(texts(q{SELECT 'SSN', a FROM t WHERE b = 'SSN' /* SSN */ AND a = -5;}), [ 'SELECT $1, a FROM t WHERE b = $2 AND a = $3' ], 'a statement');
is_deeply(texts(q{SELECT 1, 'a' \; SELECT 2 FROM t \; /* SSN */ UPDATE t SET b = 'SSN';}),
    [ 'SELECT $1, $2', 'SELECT $1 FROM t', 'UPDATE t SET b = $1' ], 'each of several in one string');
is_deeply(texts(q{EXPLAIN (ANALYZE, COSTS off) SELECT a FROM t WHERE b = 'SSN';}), [ 'SELECT a FROM t WHERE b = $1', 'EXPLAIN' ], 'the statement of EXPLAIN');
is_deeply(texts(q{EXPLAIN ANALYZE VERBOSE (SELECT a, 5 FROM t);}), [ '(SELECT a, $1 FROM t)', 'EXPLAIN' ], 'in parentheses');
is_deeply(texts(q{SELECT 1 \; EXPLAIN ANALYZE SELECT a, 'SSN' FROM t \; SELECT 'SSN', 3;}), [ 'SELECT $1', 'SELECT a, $1 FROM t', 'EXPLAIN', 'SELECT $1, $2' ],
    'among others in a string');
is_deeply(texts(q{EXPLAIN ANALYZE SELECT a, 'SSN' FROM t \; EXPLAIN ANALYZE SELECT b, 5 FROM t \; EXPLAIN ANALYZE DELETE FROM t WHERE a = 77;}),
    [ 'SELECT a, $1 FROM t', 'EXPLAIN', 'SELECT b, $1 FROM t', 'EXPLAIN', 'DELETE FROM t WHERE a = $1', 'EXPLAIN' ], 'each of several of them');
is_deeply(texts(q{EXPLAIN ANALYZE DELETE FROM t \; EXPLAIN ANALYZE UPDATE t SET b = 'SSN';}), [ 'DELETE', 'EXPLAIN', 'UPDATE t SET b = $1', 'EXPLAIN' ],
    'where it can\'t be told which, none');
is_deeply(texts(q{PREPARE p AS SELECT b FROM t WHERE a = $1 AND b = 'SSN'; EXECUTE p(5); EXECUTE p(6);}),
    [ ('SELECT b FROM t WHERE a = $1 AND b = $2') x 2 ], 'a prepared statement');
is_deeply(texts(q{COPY (SELECT a, 'SSN' FROM t) TO STDOUT WITH (DELIMITER ',');}), [ 'SELECT a, $1 FROM t', 'COPY' ], 'COPY of a query');
is_deeply(texts(q{DO 'BEGIN PERFORM a FROM t WHERE b = ''SSN''; END';}), [ 'SELECT a FROM t WHERE b = $1', 'DO' ], 'of a function');
is_deeply(texts(q{SET standard_conforming_strings = off; SET escape_string_warning = off; SELECT 'it\'s SSN', a FROM t;}), [ 'SELECT $1, a FROM t' ], 'strings with escapes');
is_deeply(texts(q{SET standard_conforming_strings = off \; SELECT 'C:\', a FROM t;}), [ 'SELECT $1, a FROM t' ],
    'a string as it was when it was parsed, not as it is now');
is_deeply(texts(q{SET standard_conforming_strings = off; SET escape_string_warning = off;
SET standard_conforming_strings = on \; SELECT 'a\'' , b, 'c\'' FROM t;}), [ 'SELECT' ],
    'none, where it may have been read either way');
texts('SELECT 1 AS ' . 'a' x 70 . ';');
is(() = $messages =~ /will be truncated/g, 1, 'a name that is too long is told of once');

my ($long) = @{ texts('SELECT a FROM t WHERE b IN (' . join(', ', ("'SSN'") x 50_000) . ');') };
is($long, substr('SELECT a FROM t WHERE b IN (' . join(', ', map {"\$$_"} 1 .. 500), 0, 1000), 'a statement of 350 kB, cut');
($long) = @{ texts('SELECT ' . join(', ', map {"'SSN' AS \"ä$_\""} 1 .. 500) . ';') };
cmp_ok(length $long, '>=', 997, 'cut at a character\'s border');
($long) = @{ texts(q{SELECT a FROM t WHERE b = '} . 'SSN' x 50_000 . q{' AND a = 5;}) };
is($long, 'SELECT a FROM t WHERE b =', 'a constant of 150 kB, of which the end is not looked for');

# A session keeps some of its texts: those that it used last.
my $session = WhiteCross::Session->new($node, 'postgres');
my $columns = sub { return join ', ', map {"a AS c$_"} 0 .. $_[0] };
$session->ask(join "\n", map { "PREPARE p$_ AS SELECT " . $columns->($_) . ' FROM t;' } 1 .. 700);
$session->ask('SET whitecross.slow_query_threshold = 0;');
$node->safe_psql('postgres', 'SELECT wc_reset_slow_queries()');
$session->ask('EXECUTE p700; EXECUTE p1;');
is($node->safe_psql('postgres', q{SELECT string_agg(left(normalised_text, 20), '|') FROM wc_slow_queries WHERE normalised_text LIKE 'SELECT%' AND normalised_text NOT LIKE '%wc_%'}),
    'SELECT|SELECT a AS c0, a AS', 'the text of a statement prepared long ago is gone');
cmp_ok($session->ask(q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name = 'whitecross query texts';}), '<', 2 * 1024 * 1024, 'and with it its memory');
is($session->ask(q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'whitecross query text';}), '0', 'nothing else is left');

# --- What sessions do now

$node->safe_psql('postgres', q{INSERT INTO t VALUES (1, 'x')});
my $active = 'SELECT state, normalised_text FROM wc_active_queries';
my $holder = $session;
my $waiter = WhiteCross::Session->new($node, 'postgres');
is($node->safe_psql('postgres', "$active WHERE database = 'postgres'"), '', 'who is idle is not shown, nor is oneself');
$holder->ask(q{BEGIN; UPDATE t SET b = 'SSN' WHERE a = 1;});
$waiter->ask('SET application_name = $$clinic$$;');
$waiter->send(q{/* SSN */ DELETE FROM t WHERE a = 1 AND b <> 'SSN-131' ;});
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM wc_active_queries WHERE wait_event_type = 'Lock'}) or die "nobody waits\n";
is($node->safe_psql('postgres', q{SELECT pid, database, role, application_name, state, wait_event, blocked_by, normalised_text FROM wc_active_queries WHERE blocked_by <> '{}'}),
    "$waiter->{process}|postgres|postgres|clinic|active|transactionid|{$holder->{process}}|DELETE FROM t WHERE a = \$1 AND b <> \$2", 'who waits, for whom, with what');
is($node->safe_psql('postgres', qq{SELECT role, state, wait_event, blocked_by, normalised_text FROM wc_active_queries WHERE pid = $holder->{process}}),
    'postgres|idle in transaction|ClientRead|{}|UPDATE t SET b = $1 WHERE a = $2', 'who holds a transaction open, after what');
is($node->safe_psql('postgres', q{SELECT bool_and(q.duration BETWEEN '0' AND clock_timestamp() - s.query_start AND q.query_id = s.query_id) FROM wc_active_queries AS q JOIN pg_stat_activity AS s USING (pid)}),
    't', 'for how long, and its query id');
is($node->safe_psql('postgres', 'SELECT count(*) FROM wc_active_queries', extra_params => [ '-U', 'clerk' ]), '0', 'another role sees nothing of it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM wc_active_queries', extra_params => [ '-U', 'watcher' ]), '2', 'one that may read all statistics does');
$holder->ask('ROLLBACK;');
$waiter->answer;

# A failed statement leaves its text behind; one that was never parsed has a value where a name would stand.
$waiter->send(q{BEGIN; SELECT 1/0 AS "divided" FROM t WHERE b = 'SSN'; });
$waiter->answer;
is($node->safe_psql('postgres', "$active WHERE pid = $waiter->{process}"), 'idle in transaction (aborted)|SELECT $1/$2 AS "divided" FROM t WHERE b = $3', 'what failed');
$waiter->send(q{SELECT 'it's Bob's SSN' FROM t;});
$waiter->send(q{ROLLBACK; BEGIN; SELECT a FROM 5;});
$waiter->answer;
is($node->safe_psql('postgres', "$active WHERE pid = $waiter->{process}"), 'idle in transaction (aborted)|SELECT', 'what is no SQL');
$waiter->send('ROLLBACK;');
$waiter->answer;

# The server's query id of a utility statement is made of its constants: it isn't shown.
$waiter->ask(q{BEGIN; SET LOCAL application_name = 'SSN-131';});
is($node->safe_psql('postgres', "SELECT normalised_text, query_id IS NULL, (SELECT s.query_id IS NULL FROM pg_stat_activity AS s WHERE s.pid = q.pid) FROM wc_active_queries AS q WHERE pid = $waiter->{process}"),
    'SET|t|f', 'no query id of a utility statement');
$waiter->ask('ROLLBACK;');

# Cut at track_activity_query_size.
my $cut = q{SELECT a FROM t WHERE b = 'SSN' AND b NOT IN (} . join(', ', ("'SSN'") x 200) . ');';
$waiter->ask("BEGIN; $cut");
like($node->safe_psql('postgres', "SELECT normalised_text FROM wc_active_queries WHERE pid = $waiter->{process}"),
    qr/^SELECT a FROM t WHERE b = \$1 AND b NOT IN \(\$2, [\$0-9, ]+\$1[34][0-9],?$/, 'what the server has cut is shown up to there');
$waiter->ask("ROLLBACK; SET compute_query_id = off; BEGIN; $cut");
is($node->safe_psql('postgres', "$active WHERE pid = $waiter->{process}"), 'idle in transaction|SELECT', 'without a query id only its first word');
$waiter->ask('ROLLBACK; BEGIN; SELECT 5, a FROM t;');
is($node->safe_psql('postgres', "$active WHERE pid = $waiter->{process}"), 'idle in transaction|SELECT $1, a FROM t', 'unless it is whole');
$waiter->ask('ROLLBACK;');

# A database with another encoding.
$node->safe_psql('postgres', "CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'");
my $latin = WhiteCross::Session->new($node, 'latin');
$latin->ask("SET client_encoding = 'UTF8'; BEGIN; SELECT 'Jürgen' AS \"größe\";");
is($node->safe_psql('postgres', $active), 'idle in transaction|SELECT $1 AS "größe"', 'names of a database with another encoding');
$latin->quit;

# Without the library in shared_preload_libraries.
$_->quit for $holder, $waiter;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$waiter = WhiteCross::Session->new($node, 'postgres');
$waiter->ask(q{BEGIN; SELECT a FROM t WHERE b = 'SSN';});
is($node->safe_psql('postgres', $active), 'idle in transaction|SELECT a FROM t WHERE b = $1', 'without preloading, too');
is($node->safe_psql('postgres', q{SELECT wc_normalise_query('SELECT 5')}), 'SELECT $1', 'and the function');
$waiter->quit;

done_testing();

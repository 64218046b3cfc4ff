# Who computes a missing entry, and who waits for it: whatever becomes of the one or the others, nobody waits for somebody that is
# gone, nor for longer than whitecross.cache_wait.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $library = tree() . '/test/modules/store/whitecross_store.so';
my $node = new_node('fills', preload => $library, conf => <<'CONF');
fsync = off
autovacuum = off
max_prepared_transactions = 2
restart_after_crash = on
whitecross.cache_wait = 1min
CONF
$node->safe_psql('postgres', <<SQL);
CREATE FUNCTION test_turn(key bigint) RETURNS text LANGUAGE c STRICT AS '$library', 'test_turn';
CREATE FUNCTION test_end_turn() RETURNS void LANGUAGE c AS '$library', 'test_end_turn';
CREATE FUNCTION memory(OUT entries bigint, OUT max_entries bigint, OUT bytes bigint, OUT max_bytes bigint, OUT fills int, OUT prepared int)
    RETURNS SETOF record LANGUAGE c AS '$library', 'wc_cache_memory';
CREATE FUNCTION counts(OUT database_oid oid, OUT entries bigint, OUT bytes bigint, OUT hits bigint, OUT misses bigint, OUT stores bigint,
    OUT evictions bigint, OUT invalidations bigint, OUT expirations bigint, OUT refusals jsonb, OUT waits bigint, OUT second_tier_hits bigint,
    OUT second_tier_misses bigint, OUT second_tier_stores bigint, OUT second_tier_errors bigint, OUT second_tier_timeouts bigint,
    OUT since timestamptz) RETURNS SETOF record LANGUAGE c AS '$library', 'wc_cache_counts';
CREATE FUNCTION fail_inside() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END';
CREATE FUNCTION turn_inside(key bigint) RETURNS text LANGUAGE plpgsql AS
    'BEGIN PERFORM test_turn(key); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN RETURN (SELECT fills FROM memory()); END';
SQL

my ($filler, @waiters) = map { WhiteCross::Session->new($node, 'postgres') } 1 .. 5;
my $waiter = $waiters[0];

sub on { my ($session, $sql) = @_; $session->send("$sql;"); return join ' ', map { s/^psql:.*?: (?=ERROR)//r } $session->answer }
sub fills { return $node->safe_psql('postgres', 'SELECT fills FROM memory()') }

# Sends it, and returns when the session waits for another's fill.
sub send_and_wait {
    my ($session, $sql) = @_;
    $session->send("$sql;");
    $node->poll_query_until('postgres', "SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = " . $session->process)
      or die 'the session does not wait';
    return;
}
sub reply { my ($session) = @_; return join ' ', map { s/^psql:.*?: (?=ERROR)//r } $session->answer }

# The ordinary way.
is(on($filler, 'BEGIN; SELECT test_turn(1)'), 'BEGIN mine', 'the first computes');
is(on($filler, 'SELECT test_turn(2)'), 'alone', 'a session has one turn: what it needs meanwhile it computes without');
is(on($waiter, 'SELECT test_turn(2)'), 'mine', 'another entry is another turn');
is(fills(), 1, 'a turn ends with its transaction');
send_and_wait($_, 'SELECT test_turn(1)') for @waiters;
is(on($filler, 'SELECT test_end_turn()'), '', 'the turn is over');
is(reply($_), 'waited', 'and who waited goes on') for @waiters;
is(on($filler, 'SELECT test_turn(3); COMMIT'), 'mine COMMIT', 'the next turn in the same transaction');
is(fills(), 0, 'ends with it');
is($node->safe_psql('postgres', 'SELECT sum(waits) FROM counts()'), 4, 'waits are counted');

# What ends a turn. Each time one waits.
my %ends = (
    'a commit'                 => [ 'BEGIN; SELECT test_turn(1)', 'COMMIT', 'COMMIT' ],
    'a rollback'               => [ 'BEGIN; SELECT test_turn(1)', 'ROLLBACK', 'ROLLBACK' ],
    'an error'                 => [ 'BEGIN; SELECT test_turn(1)', 'SELECT 1 / 0', 'ERROR:  22012' ],
    'a rollback to before it'  => [ 'BEGIN; SAVEPOINT a; SELECT test_turn(1)', 'ROLLBACK TO a', 'ROLLBACK' ],
    'one of an outer savepoint' => [ 'BEGIN; SAVEPOINT a; SAVEPOINT b; SELECT test_turn(1); RELEASE b', 'ROLLBACK TO a', 'ROLLBACK' ],
    'a prepared transaction'   => [ 'BEGIN; SELECT test_turn(1)', q{PREPARE TRANSACTION 'p'}, 'PREPARE TRANSACTION' ],
);
for my $end (sort keys %ends) {
    my ($begin, $sql, $answer) = @{ $ends{$end} };
    like(on($filler, $begin), qr/mine/, "before $end");
    send_and_wait($waiter, 'SELECT test_turn(1)');
    is(on($filler, $sql), $answer, $end);
    is(reply($waiter), 'waited', "$end ends the turn");
    on($filler, 'ROLLBACK');
}
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'p'});
is(on($filler, 'SELECT turn_inside(1)'), '0', 'an exception that is caught ends a turn in its block');
is(on($filler, 'BEGIN; SELECT test_turn(1); SELECT fail_inside(); SAVEPOINT a; ROLLBACK TO a; SAVEPOINT b; RELEASE b; SELECT fills FROM memory()'),
    'BEGIN mine SAVEPOINT ROLLBACK SAVEPOINT RELEASE 1', 'and no other: nor a savepoint that is later than the turn');

# Who waits can be cancelled, timed out or ended, and the others don't mind.
send_and_wait($_, 'SELECT test_turn(1)') for @waiters;
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $waiters[0]->process . ')');
is(reply($waiters[0]), 'ERROR:  57014', 'who waits can be cancelled');
is(on($waiters[0], 'SELECT test_turn(2)'), 'mine', 'and goes on with something else');
is(on($waiters[0], "BEGIN; SET LOCAL statement_timeout = '10ms'; SELECT test_turn(1); ROLLBACK"), 'BEGIN SET ERROR:  57014 ROLLBACK', 'the statement may time out');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $waiters[1]->process . ', 60000)');
is(on($waiters[0], "SET whitecross.cache_wait = 0; SELECT test_turn(1)"), 'SET alone', 'who does not want to wait does not');
is(on($waiters[0], "SET whitecross.cache_wait = '20ms'; SELECT test_turn(1); RESET whitecross.cache_wait"), 'SET alone RESET', 'and others only so long');
is(on($filler, 'COMMIT'), 'COMMIT');
is(reply($_), 'waited', 'those who are left go on') for @waiters[2, 3];

# Who computes is ended.
is(on($filler, 'BEGIN; SELECT test_turn(1)'), 'BEGIN mine');
send_and_wait($waiter, 'SELECT test_turn(1)');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $filler->process . ', 60000)');
is(reply($waiter), 'waited', 'nobody waits for a process that was terminated');
is(fills(), 0, 'which has left nothing');
$filler = WhiteCross::Session->new($node, 'postgres');
$filler->send('SELECT test_turn(1), pg_sleep(600);');
$node->poll_query_until('postgres', 'SELECT fills = 1 FROM memory()') or die 'there is no fill';
send_and_wait($waiter, 'SELECT test_turn(1)');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $filler->process . ')');
is(reply($filler), 'ERROR:  57014', 'who computes is cancelled');
is(reply($waiter), 'waited', 'nobody waits for it any more');

# Killed: the server starts again.
is(on($filler, 'BEGIN; SELECT test_turn(1)'), 'BEGIN mine');
send_and_wait($waiter, 'SELECT test_turn(1)');
kill 'KILL', $filler->process;
$waiter->answer(may_be_lost => 1);
ok($waiter->lost, 'a process that is killed takes all sessions with it');
$node->poll_query_until('postgres', 'SELECT fills = 0 FROM memory()') or die 'the server does not come back';
is($node->safe_psql('postgres', 'SELECT test_turn(1)'), 'mine', 'and after that nobody has a turn');

done_testing();

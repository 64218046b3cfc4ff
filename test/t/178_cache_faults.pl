# Many sessions that want one missing result have it computed once; and whatever becomes of the session that computes it, of those who wait,
# of the server, everybody gets the right rows, nobody waits for ever, and no memory stays taken.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('cachefaults', conf => <<'CONF');
fsync = off
autovacuum = off
restart_after_crash = on
whitecross.health_interval = 0
whitecross.cache_wait = 1min
whitecross.cache_size = 4MB
CONF
$node->safe_psql('postgres', 'CREATE DATABASE school');
$node->safe_psql('school', <<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION whitecross;
CREATE TABLE pupil (id int, name text);
INSERT INTO pupil SELECT g, repeat('x', 100) FROM generate_series(1, 100) AS g;
-- Declared to be what they aren't, so that their queries can be kept: one counts, and waits for a lock of the test's; one fails.
CREATE FUNCTION held(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    $$BEGIN IF $1 = 1 THEN RAISE LOG 'computed'; END IF; PERFORM pg_advisory_xact_lock_shared(1); RETURN $1; END$$;
CREATE FUNCTION failing(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    $$BEGIN PERFORM pg_advisory_xact_lock_shared(1); IF $1 = 50 THEN RAISE 'no' USING ERRCODE = 'XX999'; END IF; RETURN $1; END$$;
SQL

my ($control, @sessions);
sub connect_all { $control = WhiteCross::Session->new($node, 'school'); @sessions = map { WhiteCross::Session->new($node, 'school') } 1 .. 6; return }
sub on { my ($session, $sql) = @_; $session->send("$sql;"); return join "\n", reply($session) }
sub reply { my ($session) = @_; return join "\n", map { s/^psql:.*?: (?=ERROR)//r } $session->answer }
sub stats { my ($columns) = @_; return on($control, "SELECT $columns FROM wc_cache_stats WHERE database = 'school'") }
sub memory { return on($control, 'SELECT entries, fills FROM wc_cache_memory()') }
sub begin { is(on($control, 'SELECT wc_cache_clear() >= 0, wc_reset_cache_stats(), pg_advisory_lock(1)'), 't||', 'the test holds the lock'); return }
sub let_go { is(on($control, 'SELECT pg_advisory_unlock(1)'), 't', 'and lets it go'); return }

# Sends a query to a session and returns when it waits: for the test's lock, or for another's fill.
sub send_and_wait {
    my ($session, $sql, $event) = @_;
    $session->send("$sql;");
    $node->poll_query_until('postgres', "SELECT wait_event = '$event' FROM pg_stat_activity WHERE pid = " . $session->process) or die "the session does not wait: $event";
    return;
}
my $query = "SELECT count(*), sum((wc_cached_json ->> 'held')::int) FROM wc_cached_json('SELECT held(id) FROM pupil')";
my $right = '100|5050';

connect_all();
begin();
my ($filler, @waiters) = @sessions;
send_and_wait($filler, $query, 'advisory');
send_and_wait($_, $query, 'Extension') for @waiters;
is(memory(), '0|1', 'one computes');
let_go();
is(reply($_), $right, 'all have the rows') for @sessions;
is(scalar(() = slurp_file($node->logfile) =~ /LOG: +computed/g), 1, 'which were computed once');
is(stats('misses, hits, waits, stores'), '1|5|5|1', 'the others waited for them');
is(memory(), '1|0', 'one entry');

# Who computes is cancelled, terminated, fails: one of the others computes.
for my $end ([ 'is cancelled', sub { $node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $filler->process . ')') }, $query ],
    [ 'is terminated', sub { $node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $filler->process . ', 60000)') }, $query ],
    [ 'rolls back to a savepoint', sub { $node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $filler->process . ')') }, "BEGIN; SAVEPOINT a; $query; ROLLBACK TO a" ]) {
    my ($what, $do, $sql) = @$end;
    begin();
    send_and_wait($filler, $sql, 'advisory');
    send_and_wait($_, $query, 'Extension') for @waiters[0, 1];
    $do->();
    $node->poll_query_until('postgres', "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event = 'advisory' AND pid IN (" . join(',', map { $_->process } @waiters[0, 1]) . ')')
      or die 'the others do not go on';
    let_go();
    is(reply($_), $right, "who computes $what: the others have the rows") for @waiters[0, 1];
    like(join("\n", $filler->answer(may_be_lost => 1)), qr/57014|57P01|lost/, 'it has an error itself');
    $filler = $sessions[0] = WhiteCross::Session->new($node, 'school') if $filler->lost;
    on($filler, 'ROLLBACK');
    is(memory(), '1|0', 'and nothing is left but what the others have kept');
}
my $fails = "SELECT count(*) FROM wc_cached_json('SELECT failing(id) FROM pupil')";
begin();
send_and_wait($filler, $fails, 'advisory');
send_and_wait($waiters[0], $fails, 'Extension');
let_go();
is(reply($_), 'ERROR:  XX999', 'a query that fails half way fails for each') for $filler, $waiters[0];
is(memory(), '0|0', 'and nothing is kept of it');

# Who waits is cancelled, or is terminated: nobody else minds.
begin();
send_and_wait($filler, $query, 'advisory');
send_and_wait($_, $query, 'Extension') for @waiters[0 .. 3];
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $waiters[0]->process . ')');
is(reply($waiters[0]), 'ERROR:  57014', 'who waits can be cancelled');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $waiters[1]->process . ', 60000)');
is(on($waiters[4], "SET whitecross.cache_wait = '10ms'; SET statement_timeout = '1min'; SELECT count(*) FROM wc_cached_json('SELECT id FROM pupil')"), "SET\nSET\n100", 'other queries are not waited for');
$waiters[4]->send("RESET statement_timeout; $query;");
$node->poll_query_until('postgres', "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = " . $waiters[4]->process) or die 'it does not give up waiting';
let_go();
is(reply($filler), $right, 'who computes goes on');
is(reply($_), $right, 'and the others have the rows') for @waiters[2, 3];
is(reply($waiters[4]), "RESET\n$right", 'as has who would not wait so long, and ran it too');

# Killed while it computes, or while it waits: the server starts again, empty.
for my $victim (0, 1) {
    connect_all();
    begin();
    send_and_wait($sessions[0], $query, 'advisory');
    send_and_wait($sessions[1], $query, 'Extension');
    kill 'KILL', $sessions[$victim]->process;
    $_->answer(may_be_lost => 1) for @sessions[0, 1];
    $node->poll_query_until('school', 'SELECT entries = 0 AND fills = 0 FROM wc_cache_memory()') or die 'the server does not come back';
    is($node->safe_psql('school', $query), $right, 'after a crash the rows are right');
    is($node->safe_psql('school', "SELECT entries, fills, bytes > 0 FROM wc_cache_memory()"), '1|0|t', 'and kept');
}
$node->stop('immediate');
$node->start;
is($node->safe_psql('school', 'SELECT entries, bytes, fills FROM wc_cache_memory()'), '0|0|0', 'nothing outlives the server');

# Full of memory: what is too large runs, what fits makes room; results of all sizes are right whoever is evicted.
connect_all();
my $sized = q{SELECT length(wc_cached_json ->> 'repeat') FROM wc_cached_json('SELECT repeat(''y'', $1::int) FROM pupil WHERE id = 1', ARRAY['%d'])};
is(on($control, sprintf $sized, 1_100_000), '1100000', 'a result that is larger than whitecross.cache_max_entry');
is(stats("stores, refusals -> 'too_large'"), '0|1', 'is not kept, which is counted');
is(on($control, sprintf $sized, 1_000_000), '1000000', 'one that is not too large');
is(stats('entries, stores'), '1|1', 'is');
my @sent = map { my $first = $_; join ';', map { sprintf $sized, 1 + ($_ * 7919 * $first) % 300_000 } 1 .. 60 } 1 .. 6;
$sessions[$_]->send("$sent[$_];") for 0 .. 5;
is(reply($sessions[$_]), join("\n", $sent[$_] =~ /ARRAY\['(\d+)'\]/g), 'each has its own rows') for 0 .. 5;
is(stats('evictions > 100'), 't', 'while others made room');
is(on($control, 'SELECT bytes <= max_bytes AND bytes > max_bytes / 2, fills FROM wc_cache_memory()'), 't|0', 'in memory that is full');
is(on($control, 'SELECT wc_cache_clear() > 0, (SELECT entries + bytes + fills FROM wc_cache_memory())'), 't|0', 'and of which nothing is lost');

done_testing();

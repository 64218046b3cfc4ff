# The monitor outlives what happens to it: it is killed, told of another configuration; the lock table is full, the clock is
# set back, databases are dropped. And it holds nothing up.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Clients;
use WhiteCross::Test;

my $node = new_node('monitor', conf => <<'CONF');
max_connections = 20
max_locks_per_transaction = 10
restart_after_crash = on
autovacuum = off
whitecross.health_interval = 0
whitecross.monitor_interval = 1h
CONF
$node->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION whitecross; CREATE ROLE early LOGIN; CREATE ROLE late LOGIN');

sub value { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }
sub wait_for { my ($sql, $what) = @_; return ok($node->poll_query_until('postgres', $sql), $what) }

my $monitor = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'};

# ---- Another configuration, at once

wait_for('SELECT count(DISTINCT sampled_at) = 1 FROM wc_connection_history', 'it begins with a sample');
$node->adjust_conf('postgresql.conf', 'whitecross.monitor_interval', '1s');
$node->reload;
my $since = value('SELECT clock_timestamp()');
wait_for("SELECT count(DISTINCT sampled_at) >= 2 FROM wc_connection_history('$since')", 'an interval that is made shorter holds at once');
wait_for(q{SELECT datname IS NULL AND xact_start IS NULL AND backend_xid IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'},
    'between samples it has no database, no transaction and no snapshot');

# ---- A database that is dropped

value('CREATE DATABASE doomed');
my @clients = connect_clients($node, 'doomed', 'early', 2);
wait_for(q{SELECT count(*) > 0 FROM wc_connection_history WHERE scope = 'database' AND database = 'doomed' AND total = 2}, 'connections to a database are sampled');
close $_ for splice @clients;
value('DROP DATABASE doomed WITH (FORCE)');
$since = value('SELECT clock_timestamp()');
wait_for("SELECT count(DISTINCT sampled_at) >= 2 FROM wc_connection_history('$since')", 'and when it is dropped it goes on');
is(value("SELECT count(*) FROM wc_connection_history('$since') WHERE database = 'doomed'"), 0, 'with what is left');
cmp_ok(value(q{SELECT count(*) FROM wc_connection_history WHERE database = 'doomed'}), '>', 0, 'the history keeps its name');

# ---- No lock is to be had

# It meets one role, and then another, of which it knows nothing.
$node->adjust_conf('postgresql.conf', 'whitecross.monitor_interval', '1h');
$node->restart;
wait_for('SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()', 'from here on it samples when it is asked to');
@clients = connect_clients($node, 'postgres', 'early', 1);
$since = value('SELECT clock_timestamp()');
$node->reload;
wait_for("SELECT count(*) > 0 FROM wc_connection_history('$since') WHERE scope = 'role' AND role = 'early'", 'a role that is connected');
push @clients, connect_clients($node, 'postgres', 'late', 1);
my $pid = value($monitor);
# Nobody else gives back a lock that the monitor would find: neither who has asked nor who has looked for the extension.
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM wc_database_health()}) or die "the database is not known\n";
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'whitecross visitor'}) or die "a visitor stays\n";
$since = value('SELECT clock_timestamp()');
await_clients($node, 2);
my $log = -s $node->logfile;
send_query($clients[0], <<'SQL');
DO $$ BEGIN
  FOR i IN 1 .. 1000000 LOOP
    BEGIN PERFORM pg_advisory_lock(i); EXCEPTION WHEN out_of_memory THEN RETURN; END;
  END LOOP;
  RAISE EXCEPTION 'the lock table has no end';
END $$
SQL
is(last_answer($clients[0]), undef, 'the lock table is full');
ok(!eval { connect_clients($node, 'postgres', 'postgres', 1); 1 }, 'nobody can connect');
like($@, qr/out of shared memory/, 'for want of a lock');
await_clients($node, 2);
$node->reload;
ok($node->wait_for_log(qr/WARNING:  (53200: )?names and limits of databases and roles can't be looked up: out of shared memory/, $log), 'it says what it can\'t look up');
close $clients[0];
wait_for('SELECT true', 'when locks are free again');
is(value($monitor), $pid, 'it is still the same process');
is(value("SELECT active, idle, total FROM wc_connection_history('$since') WHERE scope = 'server' ORDER BY sampled_at LIMIT 1"), '0|2|2', 'it has counted all the same');
is(value("SELECT count(*) FROM wc_connection_history('$since') WHERE scope = 'role' AND role IS NULL AND total = 1"), 1, 'without the name of a role that it had not met before');
$node->reload;
wait_for("SELECT count(*) > 0 FROM wc_connection_history('$since') WHERE scope = 'role' AND role = 'late'", 'which the next sample has');
close $clients[1];

# ---- It is killed (test/t/141_connection_history.pl terminates it)

$node->adjust_conf('postgresql.conf', 'whitecross.monitor_interval', '1s');
$node->reload;
my $killed = value($monitor);
kill 'KILL', $killed or die "kill: $!\n";
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross monitor' AND pid <> $killed") or die "there is no other monitor\n";
$since = value('SELECT clock_timestamp()');
wait_for("SELECT count(DISTINCT sampled_at) >= 2 FROM wc_connection_history('$since')", 'a crash of the server\'s processes leaves another one');

# ---- The clock is set back, and forth. A library gives the server another time of day.

my $library = $node->basedir . '/clock.so';
my $file    = $node->basedir . '/offset';
system_or_bail('cc', '-shared', '-fPIC', '-o', $library, tree() . '/test/modules/clock/clock.c');
sub set_clock {
    my ($hours) = @_;
    open my $out, '+<:raw', $file or die "$file: $!\n";
    syswrite $out, pack('q', $hours * 3600);
    close $out or die "$file: $!\n";
    return;
}
append_to_file($file, pack 'q', 0);
$node->stop('smart');
pass('it does not hold up a shutdown');
{
    local %ENV = (%ENV, LD_PRELOAD => $library, CLOCK_OFFSET_FILE => $file);
    $node->start;
}
$since = value('SELECT clock_timestamp()');
wait_for("SELECT count(DISTINCT sampled_at) >= 2 FROM wc_connection_history('$since')", 'with a clock that can be set');
set_clock(-3);
is(value("SELECT clock_timestamp() < '$since'::timestamptz - interval '2 hours'"), 't', 'the clock is set back');
wait_for("SELECT count(DISTINCT sampled_at) >= 2 FROM wc_connection_history WHERE sampled_at < '$since'::timestamptz - interval '2 hours'", 'it goes on as before');
is(value(q{SELECT count(*) FROM wc_connections WHERE oldest_transaction < interval '0'}), 0, 'no transaction is younger than nothing');
set_clock(2);
wait_for("SELECT count(DISTINCT sampled_at) >= 2 FROM wc_connection_history WHERE sampled_at > '$since'::timestamptz + interval '1 hour'", 'set ahead too');
set_clock(0);
$node->restart('fast');
cmp_ok(value("SELECT count(DISTINCT sampled_at) FILTER (WHERE sampled_at < '$since'::timestamptz - interval '2 hours') FROM wc_connection_history"), '>=', 2, 'all of it is in the history');
is(value(q{SELECT lost, sqlstate IS NULL FROM wc_connection_history_status()}), '0|t', 'and nothing was lost');

done_testing();

# The file of wc_pgbouncer_ini('production') under load, with the real PgBouncer and pgbench: 200 clients at 200 transactions a
# second over a pool of 20 (WC_POOL_SECONDS, 60), none of them failing and a connection waited for under 50 ms in the mean. The
# limits of the role hold through it, which a client's own startup parameters don't; a wait that is too long is refused; dead
# server connections are replaced; at full speed the waits show in wc_pooler and in the metrics.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use WhiteCross::Pooler;
use WhiteCross::Session;
use WhiteCross::Test;

use constant { CLIENTS => 200, RATE => 200, POOL => 20, MEAN_WAIT_US => 50_000 };
my $seconds = $ENV{WC_POOL_SECONDS} // 60;

my $node = new_node('load', conf => "listen_addresses = '127.0.0.1'\nfsync = off\nmax_connections = 100\nwhitecross.monitor_interval = 1s\n", start => 0);
my $pooler = WhiteCross::Pooler->new($node);
$pooler->require_passwords;
my $passfile = $pooler->folder . '/pass';
append_to_file($passfile, "*:@{[ $pooler->port ]}:pgbouncer:whitecross_monitor:of the monitor\n");
chmod 0600, $passfile;
$node->append_conf('postgresql.conf', "whitecross.pgbouncer_conninfo = 'hostaddr=127.0.0.1 port=@{[ $pooler->port ]} user=whitecross_monitor passfile=$passfile'\n");
$node->start;
$node->safe_psql('postgres', $_) for 'CREATE DATABASE school', q{CREATE ROLE app LOGIN PASSWORD 'secret'}, q{CREATE ROLE patient LOGIN PASSWORD 'secret'},
  q{CREATE ROLE whitecross_monitor LOGIN PASSWORD 'of the monitor'};
$node->safe_psql('school', 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
command_ok([ 'pgbench', '-h', $node->host, '-p', $node->port, '-U', 'postgres', '-i', '-q', '-s', 5, 'school' ], 'tables to write to');
$node->safe_psql('school', <<'SQL');
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO app;
SELECT wc_apply_session_limits('app', 'production'), wc_apply_session_limits('patient', 'production');
SQL
my $ini = $node->safe_psql('school', "SELECT wc_pgbouncer_ini('production', settings => '{@{[ $pooler->settings ]}}')");
like($ini, qr/^default_pool_size = @{[ POOL ]}$/m, 'a pool of 20');
$pooler->start($ini);
local $ENV{PGPASSWORD} = 'secret';

# pool(ROLE): its line of SHOW POOLS; servers(LINE): the server connections that it has.
sub pool { my ($role) = @_; return (grep { $_->{database} eq 'school' && $_->{user} eq $role } $pooler->show('POOLS'))[0] // {} }
sub servers { my ($pool) = @_; my $sum = 0; $sum += $pool->{"sv_$_"} // 0 for qw(active active_cancel being_canceled idle used tested login); return $sum }
# What SHOW STATS has added up for the database: transactions, and microseconds that clients waited.
sub stats { my ($row) = grep { $_->{database} eq 'school' } $pooler->show('STATS'); return ($row->{total_xact_count}, $row->{total_wait_time}) }
sub client { return WhiteCross::Session->new($node, 'school', connstr => $pooler->connstr('school', shift)) }
my $pgbench;
END { local ($?, $!); $pgbench->kill_kill if $pgbench && $pgbench->pumpable }
sub pgbench {
    my ($result, @options) = @_;
    return $pgbench = IPC::Run::start([ 'pgbench', '-n', '-j', 2, @options, $pooler->connstr('school', 'app') ], '<', \undef, '>', \$result->{out}, '2>', \$result->{err});
}

# ---- Clients of another role, whose limits are those of the profile. These last 30 seconds, and the load goes on meanwhile.
{
    # node-postgres sends such parameters with its startup packet: here they ask for less than the role has, and for nothing.
    local $ENV{PGOPTIONS} = '-c statement_timeout=1 -c idle_in_transaction_session_timeout=1';
    is(client('patient')->ask('SHOW statement_timeout; SHOW idle_in_transaction_session_timeout;'), "30s\n30s", 'what a client asks for at its start is ignored, what the role has holds');
}
{
    my @crowd = map { client('patient') } 1 .. 6;
    $_->ask('BEGIN; SELECT 1;') for @crowd;
    cmp_ok(servers(pool('patient')), '>=', 6, 'as many server connections as transactions at once');
    $_->ask('COMMIT;') for @crowd;
}
my $sleeper = client('patient');
my $dreamer = client('patient');
$sleeper->send('SELECT pg_sleep(100000);');
$dreamer->ask('BEGIN; SELECT 1;');

# ---- The load.
my ($transactions, $waited) = stats();
my %result;
my $load = pgbench(\%result, '-c', CLIENTS, '-R', RATE, '-T', $seconds);
my ($most_clients, $most_servers, $most_sessions) = (0, 0, 0);
while ($load->pumpable) {
    $load->pump_nb;
    my $pool = pool('app');
    my $clients = ($pool->{cl_active} // 0) + ($pool->{cl_waiting} // 0);
    my $sessions = $node->safe_psql('school', q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'});
    $most_clients  = $clients if $clients > $most_clients;
    $most_servers  = servers($pool) if servers($pool) > $most_servers;
    $most_sessions = $sessions if $sessions > $most_sessions;
    usleep(200_000);
}
ok($load->finish, 'pgbench ends well') or diag($result{err});
my ($transactions_after, $waited_after) = stats();
note($result{out});
is($result{err}, '', 'no connection failed');
like($result{out}, qr/^number of failed transactions: 0 /m, 'nor did a transaction');
my ($processed) = $result{out} =~ /^number of transactions actually processed: (\d+)/m;
cmp_ok($processed, '>', 0.9 * RATE * ($seconds - 5), 'as many as were asked for, once all were connected');
is($most_clients, CLIENTS, 'all clients were connected at once');
cmp_ok($most_servers, '<=', POOL, 'over no more server connections than the pool has');
cmp_ok($most_sessions, '<=', POOL, 'which the server says too');
cmp_ok($transactions_after - $transactions, '>=', $processed, 'PgBouncer has counted them');
my $mean = ($waited_after - $waited) / ($transactions_after - $transactions);
cmp_ok($mean, '<', MEAN_WAIT_US, sprintf('a connection was waited for under 50 ms in the mean: %.3f ms', $mean / 1000));
is(join("\n", grep { !m{school/patient@} } split /\n/, $pooler->complaints), '', 'and PgBouncer has nothing to complain of');

# ---- What has become of the others meanwhile.
like(join(' ', $sleeper->answer), qr/ERROR:  57014$/, 'a statement over the limit was cancelled');
is($sleeper->ask('SELECT 1;'), 1, 'and its client goes on');
$node->poll_query_until('school', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'patient' AND state LIKE 'idle in transaction%'})
  or die 'the idle transaction was not ended';
$dreamer->send('SELECT 1;');
like(join(' ', $dreamer->answer(may_be_lost => 1)), qr/FATAL:  25P03/, 'an idle transaction was ended');
is(client('patient')->ask('SELECT 1;'), 1, 'and its pool goes on');
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
until (servers(pool('patient')) == 2) {
    die 'idle server connections are not closed' if time > $deadline;
    usleep(100_000);
}
is(servers(pool('patient')), 2, 'of the six two are left, as many as the profile keeps while a client is there');

# ---- At full speed, where nearly all of them wait.
sub becomes {
    my ($sql, $name) = @_;
    return ok($node->poll_query_until('school', $sql), $name) || diag($node->safe_psql('school', 'SELECT * FROM wc_pooler; SELECT * FROM wc_pooler_status; SELECT * FROM wc_alerts'));
}
sub metric { my ($name, $labels) = @_; return "(SELECT value FROM wc_metrics WHERE name = '$name' AND labels = '{$labels}')" }
my $of_pool     = '"database": "school", "user": "app"';
my $of_database = '"database": "school"';
becomes(q{SELECT count(*) = 1 FROM wc_pooler WHERE database = 'school' AND "user" = 'app'}, 'the monitor knows the pool') or die 'PgBouncer is not watched';
my $before      = $node->safe_psql('school', q{SELECT waits || ' AND database_wait_ms > ' || database_wait_ms FROM wc_pooler WHERE database = 'school' AND "user" = 'app'});
my %rush;
my $rush = pgbench(\%rush, '-c', CLIENTS, '-T', 3600);
becomes(qq{SELECT clients_waiting > 100 AND servers_active > 0 AND pool_size = @{[ POOL ]} AND longest_wait_ms > 0 AND waits > $before FROM wc_pooler WHERE database = 'school' AND "user" = 'app'},
    'the waits show in wc_pooler');
becomes('SELECT ' . metric('whitecross_pool_clients_waiting', $of_pool) . ' > 100', 'and in the metrics');
becomes(q{SELECT count(*) = 1 FROM wc_alerts WHERE name = 'pooler_waiting' AND subject = 'school/app' AND level = 'critical'}, 'and raise the alert');
$rush->kill_kill;
becomes(q{SELECT clients_waiting = 0 AND servers_active = 0 FROM wc_pooler WHERE database = 'school' AND "user" = 'app'}, 'once they are gone nobody waits');
becomes('SELECT ' . metric('whitecross_pool_clients_waiting', $of_pool) . ' = 0', 'by the metrics too');
becomes('SELECT (' . join(', ', map { metric(@$_) } [ 'whitecross_pool_waits_seen_total', $of_pool ], [ 'whitecross_pool_waits_longest_seconds', $of_pool ], [ 'whitecross_pooled_database_wait_seconds_total', $of_database ])
      . q{) = (waits, longest_wait_ms / 1000, database_wait_ms / 1000) FROM wc_pooler WHERE database = 'school' AND "user" = 'app'}, 'what came together is the same in both');
becomes(q{SELECT count(*) = 0 FROM wc_alerts WHERE name = 'pooler_waiting'}, 'and the alert is cleared');

# ---- A dead server connection is replaced before a client gets it.
my $steady = client('app');
$steady->ask('SELECT 1;');
my $pids = $node->safe_psql('school', q{SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE usename = 'app'});
is($node->safe_psql('school', "SELECT count(pg_terminate_backend(pid)) > 0 FROM unnest(ARRAY[$pids]) AS pid"), 't', 'the server connections of a pool are ended');
$node->poll_query_until('school', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid IN ($pids)") or die 'they do not end';
is($steady->ask('SELECT 2;'), 2, 'its clients notice nothing');

# A restart that is announced: clients wait for its end. One that is not: they may be refused, and get through again afterwards.
like($pooler->console('PAUSE'), qr/PAUSE/, 'PgBouncer gives the server connections back');
$steady->send('SELECT 3;');
$node->restart;
like($pooler->console('RESUME'), qr/RESUME/, 'and takes them up again');
is(join(' ', $steady->answer), 3, 'who asked meanwhile has an answer');
$node->restart;
sub gets_through {
    my ($out, $err) = run_command([ 'psql', '-XAtq', '-d', $pooler->connstr('school', 'app'), '-c', 'SELECT 4' ]);
    return $out eq '4';
}
$deadline = time + $PostgreSQL::Test::Utils::timeout_default;
until (gets_through()) {
    die 'nobody gets through after a restart' if time > $deadline;
    usleep(100_000);
}
pass('after a restart that nobody announced clients get through again');

# ---- A wait that is too long is refused. Of the profile's 30 seconds one is enough here.
$steady->quit;
$pooler->stop;
$pooler->start($node->safe_psql('school', "SELECT wc_pgbouncer_ini('production', settings => '{@{[ $pooler->settings(q{\"default_pool_size\": 1}, q{\"query_wait_timeout\": 1}) ]}}')"));
my $holder = client('app');
my $waiter = client('app');
$holder->ask('BEGIN; SELECT 1;');
$waiter->send('SELECT 1;');
like(join(' ', $waiter->answer(may_be_lost => 1)), qr/FATAL:  08P01/, 'who waits too long is told so');
like($pooler->log, qr/school\/app\@.* pooler error: query_wait_timeout/, 'and why, in the log');
is($holder->ask('SELECT 2;'), 2, 'who has the connection keeps it');
$holder->ask('COMMIT;');
is(client('app')->ask('SELECT 1;'), 1, 'and the next gets it');

done_testing();

# PgBouncer, watched: a real one, with a passfile. What it says of its pools, what comes together of it, a saturated pool, its end and its
# new beginning, a wrong passfile, TLS; who may see what, and that the password is nowhere.

use strict;
use warnings;

use IO::Socket::INET;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my ($bouncer_program) = grep { -x } '/usr/sbin/pgbouncer', map { "$_/pgbouncer" } split /:/, $ENV{PATH};
die "there is no pgbouncer: scripts/setup installs it\n" unless $bouncer_program;

my $password = 'Correct-Horse-42';
my $node     = new_node('pooler', conf => "whitecross.monitor_interval = 1\nwhitecross.pgbouncer_timeout = '3s'\nwhitecross.alert_pooler_waiting_warning = 2\nmax_connections = 40\n");
make_database($node, 'school', 'empty', extensions => ['whitecross']);
$node->safe_psql('school', <<'SQL');
CREATE ROLE app LOGIN;
CREATE ROLE other LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
SQL
my $place = PostgreSQL::Test::Utils::tempdir();
my $port  = PostgreSQL::Test::Cluster::get_free_port();
my $pass  = "$place/monitor.pass";

sub sql    { return $node->safe_psql('school', $_[0]) }
sub status { return sql("SELECT $_[0] FROM wc_pooler_status") }
sub pool   { return sql("SELECT $_[0] FROM wc_pooler WHERE database = 'school' AND \"user\" = 'app'") }

sub becomes {
    my ($query, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', $query, $expected), $name) || diag(sql('SELECT * FROM wc_pooler_status'), "\n", sql('SELECT * FROM wc_pooler'));
}

sub write_file {
    my ($file, $text) = @_;
    open my $handle, '>', $file or die "$file: $!\n";
    print $handle $text;
    close $handle or die "$file: $!\n";
    chmod 0600, $file or die "$file: $!\n";
    return;
}
# By address, and by name where one is given: the environment of the server, which has a PGHOST here, has no say.
sub passfile { my ($word) = @_; return write_file($pass, join '', map { "$_:$port:pgbouncer:stats:$word\n" } '127.0.0.1', 'pooler.test') }

# ---- A PgBouncer of our own.
my $bouncer;
my ($said, $complained) = ('', '');

sub bouncer_conf {
    my (@more) = @_;
    my $host = $node->host;
    my $to   = $node->port;
    return write_file("$place/bouncer.ini", join "\n", '[databases]', "school = host=$host port=$to dbname=school pool_size=2", '[pgbouncer]',
        'listen_addr = 127.0.0.1', "listen_port = $port", "unix_socket_dir = $place", 'auth_type = scram-sha-256', "auth_file = $place/users.txt",
        'stats_users = stats', 'pool_mode = transaction', 'default_pool_size = 5', 'query_wait_timeout = 0', @more, '');
}

sub start_bouncer {
    $bouncer = IPC::Run::start([ $bouncer_program, "$place/bouncer.ini" ], '<', \undef, '>', \$said, '2>', \$complained);
    return;
}

sub stop_bouncer {
    $bouncer->signal('INT');
    $bouncer->finish;
    return;
}
END { $bouncer->kill_kill if $bouncer && $bouncer->pumpable }

write_file("$place/users.txt", qq{"stats" "$password"\n"app" "app"\n});
passfile($password);
bouncer_conf();

# ---- Nothing is configured.
is(status('configured, connected, since, answers, failures, last_error, pools'), 'f|f||0|0||', 'without the setting nothing is asked');
is(sql('SELECT count(*) FROM wc_pooler'), '0', 'and there are no pools');

# ---- Configured, and not there yet.
my $conninfo = "hostaddr=127.0.0.1 port=$port user=stats passfile=$pass";
$node->append_conf('postgresql.conf', "whitecross.pgbouncer_conninfo = '$conninfo'");
$node->reload;
becomes('SELECT configured AND NOT connected AND failures > 1 FROM wc_pooler_status', 't', 'a pooler that is not there is reported, and tried again');
like(status('last_error'), qr/127\.0\.0\.1.*refused/, 'with the reason');
start_bouncer();
becomes('SELECT connected FROM wc_pooler_status', 't', 'it is found when it has started');
is(status('since <= last_answer AND last_answer <= now() AND answers > 0'), 't', 'since when, and when it answered last');

# ---- Its pools, as it has them itself.
sub through {
    my ($sql) = @_;
    return IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', "host=127.0.0.1 port=$port user=app password=app dbname=school", '-c', $sql ], '<', \undef, '>', \my $out, '2>', \my $err);
}
IPC::Run::finish(through('SELECT 1')) or die "no connection through the pooler\n";
becomes(q{SELECT count(*) FROM wc_pooler WHERE servers_idle = 1}, '1', 'a pool is there, its connection idle');
# Who makes the first connection of a pool waits for it, and is seen to wait where that takes long.
is(sql('SELECT database, "user", clients_waiting, servers_active, servers_used, maxwait_ms, pool_size, utilisation_percent, waits <= 1, waits = 1 OR longest_wait_ms = 0 FROM wc_pooler'),
    'school|app|0|0|0|0|2|0|t|t', 'with its size, and no other waits');
is(pool('database_transactions'), '1', 'the transaction that made it is counted');

# ---- Saturated: two hold the connections, three wait.
my $lock = $node->background_psql('school');
$lock->query_safe('SELECT pg_advisory_lock(7)');
my @clients = map { through('SELECT 1 FROM pg_advisory_xact_lock_shared(7)') } 1 .. 5;
becomes(q{SELECT clients_active, clients_waiting, servers_active, servers_idle, pool_size, utilisation_percent FROM wc_pooler}, '2|3|2|0|2|100', 'a full pool, and who waits for it');
is(status('pools, pools_left_out, clients_active, clients_waiting, servers_active'), '1|0|2|3|2', 'all pools together');
becomes(q{SELECT name, level, subject, value, "limit" FROM wc_alerts ORDER BY name}, "pooler_connections|critical|school/app|100|95\npooler_waiting|warning|school/app|3|2", 'alerts are raised');
# A second longer than the first of them by now: then each of the three has waited as long.
my $longest = pool('maxwait_ms');
becomes(qq{SELECT waits >= 2 AND maxwait_ms >= $longest + 1000 AND longest_wait_ms >= maxwait_ms FROM wc_pooler}, 't', 'waits are counted, and the longest is known');
$lock->query_safe('SELECT pg_advisory_unlock(7)');
$lock->quit;
for my $client (@clients) { $client->finish or die "a client failed\n" }
becomes(q{SELECT clients_waiting = 0 AND servers_active = 0 AND maxwait_ms = 0 FROM wc_pooler}, 't', 'the queue is gone');
is(pool('waits >= 2 AND longest_wait_ms >= 1000'), 't', 'what came together stays');
becomes('SELECT count(*) FROM wc_alerts', '0', 'the alerts are over');
becomes(q{SELECT database_transactions, database_wait_ms >= 3000 FROM wc_pooler}, '6|t', 'with the time that all of them waited');

# ---- Who sees what.
sub as { my ($role, $query) = @_; return sql("SET ROLE $role; $query") }
is(as('watcher', 'SELECT count(*) FROM wc_pooler'),                                     '1',   'who may read all statistics sees all pools');
is(as('app',     'SELECT count(*) FROM wc_pooler'),                                     '1',   'a role sees its own');
is(as('other',   'SELECT count(*) FROM wc_pooler'),                                     '0',   'and no other');
is(as('other',   'SELECT configured, connected, last_error IS NULL FROM wc_pooler_status'), 't|t|t', 'it sees whether the pooler answers, not what it said');
is((try_sql($node, 'school', 'SET ROLE other; SHOW whitecross.pgbouncer_conninfo'))[1], '42501', 'nor how it is connected to');

# ---- Stopped, and started again.
my $before = pool('waits, database_transactions, database_wait_ms::bigint');
my $at     = -s $node->logfile;
stop_bouncer();
becomes('SELECT connected FROM wc_pooler_status', 'f', 'its end is reported');
becomes('SELECT name, level, subject FROM wc_alerts', 'pooler_down|critical|pooler', 'an alert is raised');
is(sql('SELECT clients_active, servers_active, servers_idle, maxwait_ms, pool_size, utilisation_percent FROM wc_pooler'), '|||||', 'nothing is said of the present');
is(pool('waits, database_transactions, database_wait_ms::bigint'), $before, 'what came together stays');
ok($node->wait_for_log(qr/WARNING:  PgBouncer does not answer: .*refused/, $at), 'the log says so');
like(sql(q{SELECT status || ': ' || detail FROM wc_health_check() WHERE check_name = 'pooler'}), qr/\Awarning: PgBouncer does not answer: .*; it last did .* ago\z/, 'the health check too');
like(as('other', q{SELECT status || ': ' || detail FROM wc_health_check() WHERE check_name = 'pooler'}), qr/\Awarning: PgBouncer does not answer; it last did .* ago\z/, 'to any role');
start_bouncer();
becomes('SELECT connected FROM wc_pooler_status', 't', 'its new beginning too');
like(sql(q{SELECT status || ': ' || detail FROM wc_health_check() WHERE check_name = 'pooler'}), qr{\Aok: PgBouncer answers, with \d+ pools\z}, 'in the health check as well');
becomes('SELECT count(*) FROM wc_alerts', '0', 'and the alert is over');
ok($node->wait_for_log(qr/LOG:  PgBouncer answers again/, $at), 'in the log as well');
IPC::Run::finish(through('SELECT 1')) or die "no connection through the pooler\n";
my ($waits_before, $transactions_before, $wait_before) = split /\|/, $before;
becomes("SELECT waits BETWEEN $waits_before AND $waits_before + 1 AND database_transactions = $transactions_before + 1 AND database_wait_ms >= $wait_before - 1 FROM wc_pooler", 't',
    'and its totals, which began anew, are added');

# ---- A wrong password.
passfile('Wrong-Horse-42');
stop_bouncer();
start_bouncer();
$node->reload;
becomes(q{SELECT NOT connected AND last_error ~ 'password authentication failed|SASL' FROM wc_pooler_status}, 't', 'a wrong password is refused, which is said');
unlink $pass or die "$pass: $!\n";
becomes(q{SELECT last_error ~ 'no password supplied' FROM wc_pooler_status}, 't', 'no password at all is said to be none');
passfile($password);
becomes('SELECT connected FROM wc_pooler_status', 't', 'with the right one it goes on');

# ---- TLS.
{
    PostgreSQL::Test::Utils::system_or_bail('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=pooler.test', '-days', '2', '-keyout', "$place/key.pem", '-out', "$place/cert.pem");
    stop_bouncer();
    bouncer_conf('client_tls_sslmode = require', "client_tls_key_file = $place/key.pem", "client_tls_cert_file = $place/cert.pem");
    start_bouncer();
    $node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_conninfo', "'host=pooler.test $conninfo sslmode=verify-full sslrootcert=$place/cert.pem'");
    $node->reload;
    my $answers = status('answers');
    becomes("SELECT connected AND answers > $answers FROM wc_pooler_status", 't', 'with TLS, the name verified, it answers');
    my $console = `PGPASSWORD='$password' psql -XAtc 'SHOW CLIENTS' 'hostaddr=127.0.0.1 port=$port user=stats dbname=pgbouncer sslmode=require'`;
    like($console, qr/TLSv1.*whitecross monitor/, 'and sees the monitor come over TLS');
}

# ---- The monitor ends, and comes back to where it was.
my $waits = pool('waits');
my $answers = status('answers');
my $pid   = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'");
sql("SELECT pg_terminate_backend($pid)");
becomes("SELECT connected AND answers > $answers FROM wc_pooler_status AS s WHERE EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'whitecross monitor' AND pid <> $pid)", 't', 'another monitor asks on');
is(pool('waits'), $waits, 'and has lost nothing');

# ---- Taken away: nothing is asked any more.
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_conninfo', "''");
$node->reload;
becomes('SELECT configured OR connected FROM wc_pooler_status', 'f', 'without the setting it is left alone');
becomes('SELECT count(*) FROM wc_pooler WHERE clients_active IS NOT NULL', '0', 'nothing is said of the present');

# ---- The password is nowhere.
my $everything = sql('SELECT * FROM pg_settings') . sql('SELECT * FROM pg_file_settings') . sql('SELECT * FROM wc_pooler_status') . sql('SELECT * FROM wc_pooler') . sql('SELECT * FROM pg_stat_activity');
unlike($everything, qr/Horse-42/, 'no setting and no view has a password');
unlike(slurp_file($node->logfile), qr/Horse-42/, 'nor has the log');
stop_bouncer();

done_testing();

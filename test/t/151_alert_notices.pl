# Who is told of alerts, and when they can't be: listeners in every database that has the extension, or in the alert's own; a
# notification that finds no worker waits for one, and comes once; a table that is full says so; what roles see; names that
# no log and no JSON may stumble over; a crash.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $odd = qq{school "two"\nlevel=ok ü};
# The server's own workers and one more: the monitor, the launchers of live mode and of logical replication.
my $node = new_node('notices', conf => <<'CONF');
fsync = off
autovacuum = off
max_worker_processes = 4
restart_after_crash = on
whitecross.alerts_max = 5
whitecross.monitor_interval = 1
whitecross.health_interval = 3600
whitecross.health_timeout = 60s
whitecross.alert_transaction_id_age_warning = -1
whitecross.alert_n_plus_one_warning = -1
whitecross.alert_slow_queries_warning = -1
CONF
$node->safe_psql('postgres', qq{CREATE DATABASE "$_"}) for 'school', $odd =~ s/"/""/gr;
for my $database ('school', $odd) {
    run_in($database, 'CREATE EXTENSION whitecross; CREATE TABLE pupil (id int PRIMARY KEY); INSERT INTO pupil VALUES (1);');
}

# psql takes a name like that as a connection string's value alone.
sub quoted { return "'" . ($_[0] =~ s/(['\\])/\\$1/gr) . "'" }

sub run_in {
    my ($database, $sql) = @_;
    local $ENV{PGHOST} = $node->host;
    local $ENV{PGPORT} = $node->port;
    my ($out, $err);
    my $done = IPC::Run::run([ 'psql', '-XAtq', '-d', 'dbname=' . quoted($database) ], '<', \"SET client_min_messages = warning; $sql", '>', \$out, '2>', \$err);
    chomp $out;
    return wantarray ? ($out, $err) : $out;
}

# Who listens, by database.
my (%session, %heard);
sub listen_in {
    my ($database) = @_;
    $session{$database} = WhiteCross::Session->new($node, $database);
    heard($database, 'LISTEN wc_alert;');
    return;
}

# What a listener has heard so far, without the times.
sub heard {
    my ($database, $sql) = @_;
    for my $line ($session{$database}->ask($sql // 'SELECT pg_sleep(0.05);')) {
        next unless $line =~ /^Asynchronous notification "wc_alert" with payload "(\{.*\})" received/;
        my $told = decode_json($1);
        push @{ $heard{$database} }, join ' ', map { $told->{$_} // 'null' } qw(event level name subject database);
    }
    return $heard{$database} // [];
}

sub await {
    my ($database, $number) = @_;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    while (@{ heard($database) } < $number) { die "too little was heard in $database: @{ $heard{$database} }" if time > $deadline }
    return $heard{$database};
}

sub alter {
    my %settings = @_;
    $node->safe_psql('postgres', join "\n", (map { "ALTER SYSTEM SET whitecross.$_ = $settings{$_};" } sort keys %settings), 'SELECT pg_reload_conf();');
    return;
}

sub await_sql {
    my ($sql) = @_;
    $node->poll_query_until('school', $sql) or die "in vain: $sql";
    return;
}

# ---- Every database that has the extension is told of the server, and each of itself.
$node->safe_psql('postgres', 'CREATE ROLE reader; CREATE ROLE watcher IN ROLE pg_read_all_stats');
listen_in($_) for 'school', 'postgres';
alter(alert_connections_warning => 0);
await('school', 1);
run_in($_, "INSERT INTO pupil VALUES (1);\n" x 11) for 'school', $odd;
is_deeply(await('school', 2), [ 'raised warning connections server null', 'raised warning constraint_violations school school' ], 'a database hears of the server and of itself');
await_sql(q{SELECT count(*) = 3 FROM wc_alerts});
is_deeply(heard('postgres'), [], 'and one without the extension hears nothing');
is($node->safe_psql('school', q{SET ROLE reader; SELECT name, database FROM wc_alerts ORDER BY name}), "connections|\nconstraint_violations|school", 'any role sees the server and its own database');
is($node->safe_psql('school', q{SET ROLE watcher; SELECT count(*) FROM wc_alerts}), 3, 'and who may see statistics all of them');
is(run_in($odd, q{SET ROLE reader; SELECT count(*) FROM wc_alerts WHERE name = 'constraint_violations' AND subject = current_database() AND database = subject}), 1, 'whatever it is called');
ok($node->wait_for_log(qr/^.*WARNING:  whitecross alert: level=warning name=constraint_violations subject="school \\"two\\"\\u000alevel=ok ü" value=11 limit=10 event=raised database="school \\"two\\"\\u000alevel=ok ü" since=\S+$/m),
    'in one line of the log');

# A database that has just got the extension hears of what is new.
$node->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
is_deeply(await('postgres', 1), ['raised warning connections server null'], 'a database that has just got the extension is told of the last minute');
$node->safe_psql('postgres', 'DROP EXTENSION whitecross');

# ---- No worker: it waits for one.
alter(alert_repeat => 0);
my $hog = WhiteCross::Session->new($node, 'postgres');
$hog->ask('SET force_parallel_mode = on;');
# Where a visitor has the place just then, the statement runs without a helper: then once more.
for (;;) {
    $hog->send('SELECT pg_sleep(1000);');
    my $sleeps = q{FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1000);' AND wait_event = 'PgSleep'};
    await_sql("SELECT count(*) = 1 $sleeps");
    last if $node->safe_psql('school', "SELECT backend_type $sleeps") eq 'parallel worker';
    $node->safe_psql('school', "SELECT pg_cancel_backend(pid) $sleeps");
    $hog->answer;
}
alter(alert_connections_warning => -1);
$node->wait_for_log(qr/listeners in database "school" are not notified of alerts/);
like(slurp_file($node->logfile), qr/HINT:  Raise max_worker_processes/, 'that no process is free is told in the log');
await_sql('SELECT pending_notifications = 1 FROM wc_alert_status()');
is(@{ heard('school') }, 2, 'and the notification is pending');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1000);' AND backend_type = 'client backend'});
$hog->answer;
is_deeply([ @{ await('school', 3) }[2 .. 2] ], ['cleared warning connections server null'], 'until one is');
await_sql(q{SELECT pending_notifications = 0 AND lost_notifications = 0 AND last_notified > now() - interval '1 min' FROM wc_alert_status()});
is(@{ heard('school', 'SELECT pg_sleep(1.2);') }, 3, 'and is not told twice');

# ---- A table that is full.
alter(alert_transaction_id_age_warning => 0);
await_sql('SELECT raised = 5 AND max = 5 AND refused > 0 AND last_refused IS NOT NULL FROM wc_alert_status()');
$node->wait_for_log(qr/WARNING:  not all alerts can be raised or told\n.*DETAIL:  There is room for 5 at once.*\n.*HINT:  Raise whitecross.alerts_max/);
pass('a table that is full is told in the log');
alter(alert_transaction_id_age_warning => -1);
await_sql('SELECT raised = 2 FROM wc_alert_status()');

# ---- A database that goes takes its alerts along.
$node->safe_psql('postgres', 'DROP DATABASE "' . ($odd =~ s/"/""/gr) . '"');
await_sql('SELECT raised = 1 FROM wc_alert_status()');
ok($node->wait_for_log(qr/LOG:  whitecross alert: level=warning name=constraint_violations subject="school \\"two\\"\S* ü" value=11 limit=10 event=cleared/), 'an alert of a database that is dropped is cleared');

# ---- A crash: what is still so is raised anew.
alter(alert_transaction_id_age_warning => 0);
await_sql(q{SELECT count(*) = 1 FROM wc_alerts WHERE name = 'transaction_id_age' AND subject = 'school'});
my $pid = $node->safe_psql('school', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'});
my $size = -s $node->logfile;
kill 'KILL', $pid;
$node->wait_for_log(qr/whitecross alert: level=warning name=transaction_id_age subject="school" \S+ limit=0 event=raised/, $size);
pass('after a crash it is raised again');

$node->stop;
done_testing();

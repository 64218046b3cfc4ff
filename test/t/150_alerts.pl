# Alerts of what the monitor reads itself: a server that is filled to 85, 96 and 100 % of its connections tells warning, critical
# and cleared, once each, with the right numbers, in the log, in wc_alerts and to who listens, while it is sampled all along;
# repeated, eased and cleared 5 % below; locks, violations, slow statements, loops, transaction ids; limits that are switched
# off; nothing of a row in any of it.

use strict;
use warnings;

use IO::Socket::UNIX;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

use constant MARKER => 'Quillington-Vane';

# 100 connections for ordinary roles. The control session is one of those that are counted.
my $node = new_node('alerts', conf => <<'CONF');
fsync = off
max_connections = 103
superuser_reserved_connections = 3
autovacuum = off
whitecross.monitor_interval = 3600
whitecross.health_interval = 1h
whitecross.health_timeout = 60s
whitecross.alert_n_plus_one_warning = -1
whitecross.alert_n_plus_one_critical = -1
CONF
$node->safe_psql('postgres', 'CREATE DATABASE school');
$node->safe_psql('school', 'SET client_min_messages = warning; CREATE EXTENSION whitecross; CREATE ROLE app LOGIN; CREATE TABLE pupil (id int PRIMARY KEY, name text); GRANT ALL ON pupil TO app');
my $control = WhiteCross::Session->new($node, 'school');
my @heard; # notifications, decoded

sub ask {
    my @lines = $control->ask($_[0]);
    push @heard, map { /^Asynchronous notification "wc_alert" with payload "(\{.*\})" received/ ? decode_json($1) : () } @lines;
    return join "\n", grep { !/^Asynchronous notification / } @lines;
}

# A connection of an application, by the protocol itself: a hundred of them in no time.
sub connection {
    my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "socket: $!";
    my $parameters = "user\0app\0database\0school\0application_name\0" . MARKER . "\0\0";
    syswrite $socket, pack('NN', 8 + length $parameters, 196608) . $parameters;
    my $type = message($socket);
    $type = message($socket) while $type ne 'Z' && $type ne 'E';
    return $type eq 'Z' ? $socket : undef;
}

# The type of the next message. Waits for it.
sub message {
    my ($socket) = @_;
    my $bytes = '';
    for (5, undef) {
        my $wanted = $_ // 1 + unpack 'x N', $bytes;
        while (length $bytes < $wanted) {
            sysread $socket, $bytes, $wanted - length $bytes, length $bytes or die 'the server has gone';
        }
    }
    return substr $bytes, 0, 1;
}

my @connections;
sub connections {
    my ($number) = @_;
    close pop @connections while @connections > $number;
    push @connections, connection() // die 'no connection' while @connections < $number;
    # One that was closed is counted until its process is gone. The control session is the other one.
    return await_clients($node, $number + 1);
}

# The samples stop, so that none is taken half way: when the monitor has read that, it raises what has no limit any more. And
# they go on, each second, the first one at once.
sub interval {
    my ($seconds) = @_;
    my $limit = $seconds > 1 ? 0 : -1;
    ask("ALTER SYSTEM SET whitecross.monitor_interval = $seconds; ALTER SYSTEM SET whitecross.alert_transaction_id_age_warning = $limit; SELECT pg_reload_conf();");
    until_true("SELECT (count(*) > 0) = ($limit = 0) FROM wc_alerts WHERE name = 'transaction_id_age';");
    return;
}

# alter(SETTING => VALUE, ...): of the server.
sub alter {
    my %settings = @_;
    ask(join ' ', (map { "ALTER SYSTEM SET whitecross.$_ = $settings{$_};" } sort keys %settings), 'SELECT pg_reload_conf();');
    return;
}

# Waits until somebody has been notified of so many events of a name; returns them all.
sub events {
    my ($name, $number) = @_;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    while ((grep { $_->{name} eq $name } @heard) < $number) {
        die "too few events of $name: " . encode_json(\@heard) if time > $deadline;
        ask('SELECT pg_sleep(0.05);');
    }
    return map { my $told = $_; join ' ', map { $told->{$_} // 'null' } qw(event level subject database value limit) } grep { $_->{name} eq $name } @heard;
}

# Waits until a query says t.
sub until_true {
    my ($sql) = @_;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    until (ask($sql) eq 't') {
        die "in vain: $sql" if time > $deadline;
        ask('SELECT pg_sleep(0.05);');
    }
    return;
}

# Waits until wc_alerts says so of a name.
sub shown {
    my ($name, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $sql = qq{SELECT concat_ws(' ', level, subject, database, value, "limit") FROM wc_alerts WHERE name = '$name';};
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    my $found;
    until (($found = ask($sql)) eq $expected || time > $deadline) { ask('SELECT pg_sleep(0.05);') }
    return is($found, $expected, "$name: $expected");
}

# ---- Connections.
ask('LISTEN wc_alert;');
is(ask('SELECT count(*) FROM wc_alerts;'), 0, 'nothing is raised at first');
connections(84);
interval(1);
is((events('connections', 1))[0], 'raised warning server null 85 80', '85 % is a warning');
shown('connections', 'warning server 85 80');
interval(3600);
connections(95);
interval(1);
is((events('connections', 2))[1], 'raised critical server null 96 95', '96 % is critical');
interval(3600);
connections(99);
interval(1);
shown('connections', 'critical server 100 95');
is(connection(), undef, 'nobody can connect to a full server');
await_clients($node, 100);
my $last = ask('SELECT max(sampled_at) FROM wc_connection_history;');
until_true("SELECT count(DISTINCT sampled_at) >= 3 FROM wc_connection_history WHERE sampled_at > '$last';");
pass('which goes on being sampled, and takes no connection for it');
is(ask(qq{SELECT min(total) || ' ' || max(total) || ' ' || min(max) || ' ' || max(utilisation_percent) FROM wc_connection_history WHERE scope = 'server' AND sampled_at > '$last';}),
   '100 100 100 100', 'with the right numbers');
interval(3600);
connections(76);
interval(1);
is((events('connections', 3))[2], 'eased warning server null 77 80', 'below 95 % less a twentieth it is a warning');
until_true("SELECT max(sampled_at) > now() - interval '900 ms' FROM wc_connection_history;");
shown('connections', 'warning server 77 80');
interval(3600);
connections(75);
interval(1);
is((events('connections', 4))[3], 'cleared warning server null 76 80', 'cleared 5 % of the limit below it');
shown('connections', '');
interval(3600);
connections(79);
interval(1);
until_true(q{SELECT count(*) > 0 FROM wc_connection_history WHERE scope = 'server' AND total = 80;});
shown('connections', '');
connections(0);
is_deeply([ events('connections', 4) ], [
    'raised warning server null 85 80', 'raised critical server null 96 95', 'eased warning server null 77 80', 'cleared warning server null 76 80'
], 'each once');
my @lines = slurp_file($node->logfile) =~ /^.*?(\w+:  whitecross alert: .* name=connections .*)$/mg;
s/since=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/since=.../ for @lines;
is_deeply(\@lines, [
    'WARNING:  whitecross alert: level=warning name=connections subject="server" value=85 limit=80 event=raised since=...',
    'WARNING:  whitecross alert: level=critical name=connections subject="server" value=96 limit=95 event=raised since=...',
    'LOG:  whitecross alert: level=warning name=connections subject="server" value=77 limit=80 event=eased since=...',
    'LOG:  whitecross alert: level=warning name=connections subject="server" value=76 limit=80 event=cleared since=...'
], 'and one line of the log for each');
my %since = map { $_->{since} => 1 } grep { $_->{name} eq 'connections' } @heard;
is(keys %since, 1, 'all of them tell since when');

# ---- Repeated while it lasts; limits that are changed, and switched off.
alter(alert_connections_warning => 0, alert_connections_critical => -1, alert_repeat => 1);
is((events('connections', 6))[5], 'repeated warning server null 1 0', 'told again after a while');
is(ask(q{SELECT count(*) FROM wc_alerts WHERE name = 'connections' AND last_raised > since;}), 1, 'and wc_alerts says when');
alter(alert_repeat => 3600, alert_connections_warning => -1);
shown('connections', '');
my $number = 7; # or more, where it was repeated again before that
$number++ until (events('connections', $number))[-1] =~ /^cleared/;
like((events('connections', $number))[-1], qr/^cleared warning server null 1 0$/, 'a limit that is switched off clears');

# ---- Waiting for locks.
my @waiting = map { connection() } 1 .. 6;
my $holder = WhiteCross::Session->new($node, 'school');
interval(3600);
$holder->ask('BEGIN; LOCK TABLE pupil;');
my $query = "TABLE pupil\0";
syswrite $_, 'Q' . pack('N', 4 + length $query) . $query for @waiting;
until_true(q{SELECT count(*) = 6 FROM pg_stat_activity WHERE wait_event_type = 'Lock';});
interval(1);
shown('connections_waiting', 'warning server 6 5');
interval(3600);
$holder->ask('ROLLBACK;');
until_true(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock';});
$holder->quit;
@waiting = ();
await_clients($node, 1);
interval(1);
shown('connections_waiting', '');
is_deeply([ events('connections_waiting', 2) ], [ 'raised warning server null 6 5', 'cleared warning server null 0 5' ], 'told once each');

# ---- Of a database: violations, slow statements, loops, each with a value that must not be seen.
my $marker = MARKER;
ask("INSERT INTO pupil VALUES (1, '$marker');");
$node->psql('school', "INSERT INTO pupil VALUES (1, '$marker');\n" x 11, on_error_stop => 0);
shown('constraint_violations', 'warning school school 11 10');
alter(alert_slow_queries_warning => 3, alert_n_plus_one_warning => 0);
$node->safe_psql('school', "SET whitecross.slow_query_threshold = 0; SELECT * FROM pupil WHERE name = '$marker'; SELECT 1; SELECT 2; SELECT 3;");
$node->safe_psql('school', "SELECT FROM pupil WHERE name = '$marker';\n" x 200);
# This test asks again and again, in loops of its own.
until_true(q{SELECT count(*) = 1 FROM wc_alerts WHERE name = 'n_plus_one' AND level = 'warning' AND subject = 'school' AND value >= 1 AND "limit" = 0;});
pass('statements in loops');
until_true(q{SELECT count(*) = 1 FROM wc_alerts WHERE name = 'slow_queries' AND subject = 'school' AND database = 'school' AND value > 3 AND "limit" = 3;});
pass('slow statements');
alter(alert_slow_queries_warning => 10, alert_n_plus_one_warning => -1, alert_constraint_violations => 'off');
shown($_, '') for qw(constraint_violations slow_queries n_plus_one);
is(scalar(grep { !defined $_->{database} || $_->{database} ne 'school' } grep { $_->{subject} eq 'school' && $_->{name} ne 'transaction_id_age' } @heard), 0, 'alerts of a database name it');

# ---- Transaction ids: of the server, as its trouble is.
ask('SELECT pg_current_xact_id();') for 1 .. 3;
alter(alert_transaction_id_age_warning => 0);
my $ages = q{SELECT count(*) = (SELECT count(*) FROM pg_database) AND bool_and(a.value BETWEEN age(d.datfrozenxid) - 20 AND age(d.datfrozenxid) AND a.database IS NULL)
  FROM wc_alerts AS a JOIN pg_database AS d ON d.datname = a.subject WHERE a.name = 'transaction_id_age';};
until_true($ages);
pass('each database has its age');
alter(alert_transaction_id_age_warning => -1);
shown('transaction_id_age', '');

# ---- Hints can be run; what is seen is names and numbers.
alter(alert_connections_warning => 0);
shown('connections', 'warning server 1 0');
is(ask(q{SELECT hint FROM wc_alerts WHERE name = 'connections';}), 'SELECT * FROM public.wc_connections ORDER BY total DESC;', 'a hint');
my $hint = ask('SELECT hint FROM wc_alerts;');
ask($hint);
my @told = slurp_file($node->logfile) =~ /^(.*whitecross alert.*)$/mg;
cmp_ok(@told, '>', 15, 'the log has been told a lot');
unlike(join("\n", @told, encode_json(\@heard), ask('SELECT a FROM wc_alerts AS a;')), qr/\Q$marker\E/, 'but no value of a row');
is(scalar(() = slurp_file($node->logfile) =~ /(?:can't be read|not notified|not all alerts)/g), 0, 'and nothing has failed');

$node->stop;
done_testing();

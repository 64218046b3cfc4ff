# Alerts and standbys: the lag of one is told from both ends, and is over when it has caught up; on a standby alerts go to its log and
# to its wc_alerts, and nobody is notified; a slot that nobody reads; promoted, it notifies.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $conf = <<'CONF';
fsync = off
autovacuum = off
log_statement = none
wal_receiver_status_interval = 1
whitecross.monitor_interval = 1
whitecross.health_interval = 3600
whitecross.health_timeout = 60s
whitecross.alert_replication_lag_warning = 5
whitecross.alert_replication_lag_critical = 10000
whitecross.alert_n_plus_one_warning = -1
whitecross.alert_slow_queries_warning = -1
CONF
my $primary = new_node('primary', allows_streaming => 1, conf => $conf);
$primary->safe_psql('postgres', 'CREATE DATABASE school');
$primary->safe_psql('school', 'SET client_min_messages = warning; CREATE EXTENSION whitecross; CREATE TABLE pupil (id int)');
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

my $lag = q{SELECT coalesce(string_agg(concat_ws(' ', level, subject, database, value >= 5, "limit"), ', ' ORDER BY subject), '') FROM wc_alerts WHERE name = 'replication_lag'};
sub await {
    my ($node, $sql, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', $sql, $expected), $name);
}

# What a session has been notified of that matches, when there is as much as is expected, or too much.
sub hear {
    my ($session, $pattern, $number) = @_;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    my @heard;
    do { push @heard, $session->ask('SELECT pg_sleep(0.5);') } until (grep { /$pattern/ } @heard) >= $number || time > $deadline;
    return @heard;
}

await($_, $lag, '', 'no lag') for $primary, $standby;

# ---- Replay stops, and the log goes on.
my $listener = WhiteCross::Session->new($primary, 'school');
$listener->ask('LISTEN wc_alert;');
$standby->safe_psql('school', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('school', q{SELECT pg_get_wal_replay_pause_state() = 'paused'});
$primary->safe_psql('school', 'INSERT INTO pupil SELECT generate_series(1, 1000)');
await($primary, $lag, 'warning standby t 5', 'the primary tells of the standby by its name');
await($standby, $lag, 'warning standby t 5', 'and the standby of itself');
is($standby->safe_psql('school', q{SELECT hint FROM wc_alerts WHERE name = 'replication_lag'}), 'SELECT * FROM pg_stat_wal_receiver;', 'with a hint of its own');
my $value = $primary->safe_psql('school', q{SELECT value FROM wc_alerts WHERE name = 'replication_lag'});
await($primary, qq{SELECT value > $value FROM wc_alerts WHERE name = 'replication_lag'}, 't', 'it grows, though nothing more is written');
like($_->safe_psql('school', 'SELECT pg_is_in_recovery() = (pending_notifications = 0 AND last_notified IS NULL) FROM wc_alert_status()'), qr/^t$/, 'nobody is notified on a standby') for $primary, $standby;
$standby->safe_psql('school', 'SELECT pg_wal_replay_resume()');
await($_, $lag, '', 'it has caught up') for $primary, $standby;
my $of_standby = qr/"event": "(?:raised|cleared)".*"name": "replication_lag", "subject": "standby"/;
is(scalar(grep { /$of_standby/ } hear($listener, $of_standby, 2)), 2, 'told on the primary');
for my $node ($primary, $standby) {
    my @lines = slurp_file($node->logfile) =~ /^.*?(\w+:  whitecross alert: level=warning name=replication_lag subject="standby" .*)$/mg;
    like(join("\n", @lines), qr/^WARNING: .* event=raised since=\S+\nLOG: .* event=cleared since=\S+$/, 'and in the log, once each');
    unlike(slurp_file($node->logfile), qr/(?:not notified|can't be read|during recovery)/, 'nothing failed');
}

# ---- A slot that nobody reads keeps the log.
$primary->safe_psql('school', q{SELECT pg_create_physical_replication_slot('gone', true); INSERT INTO pupil SELECT generate_series(1, 1000)});
await($primary, $lag, 'warning slot gone t 5', 'a slot that nobody reads');
$primary->safe_psql('school', q{SELECT pg_drop_replication_slot('gone')});
await($primary, $lag, '', 'is over when it is dropped');

# ---- A standby that has lost its primary; and one that becomes it.
$listener->quit;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop;
await($standby, $lag, 'warning standby t 5', 'a standby that hears nothing');
$standby->promote;
await($standby, $lag, '', 'is none any more when it is promoted');
$listener = WhiteCross::Session->new($standby, 'school');
$listener->ask('LISTEN wc_alert;');
$standby->append_conf('postgresql.conf', 'whitecross.alert_connections_warning = 0');
$standby->reload;
await($standby, q{SELECT last_notified IS NOT NULL FROM wc_alert_status()}, 't', 'and notifies');
my @notices = hear($listener, qr/"name": "connections"/, 1);
is(scalar(grep { /"event": "raised".*"name": "connections"/ } @notices), 1, 'of what is new');
is(scalar(grep { /"event": "raised".*"name": "replication_lag"/ } @notices), 0, 'not of what it told as a standby');
$listener->quit;
$standby->stop;
done_testing();

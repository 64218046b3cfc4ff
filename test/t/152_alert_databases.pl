# Alerts of what is inside a database: unhealthy and healthy again; a view older than its schedule allows, a refresh that
# fails, a change log that grows, each raised once and cleared; nothing of a row in it.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

use constant MARKER => 'Quillington-Vane';

my $node = new_node('databases', conf => <<'CONF');
fsync = off
autovacuum = off
log_statement = none
whitecross.monitor_interval = 1
whitecross.health_interval = 1
whitecross.change_log_limit = 100
whitecross.alert_n_plus_one_warning = -1
whitecross.alert_slow_queries_warning = -1
whitecross.violations_warning = 1000
CONF
make_database($node, 'district', 'reference', students => 30);
my $session = WhiteCross::Session->new($node, 'district');
my @heard;

sub ask {
    my @lines = $session->ask($_[0]);
    push @heard, map { /^Asynchronous notification "wc_alert" with payload "(\{.*\})" received/ ? decode_json($1) : () } @lines;
    return join "\n", grep { !/^Asynchronous notification / } @lines;
}

# Waits until wc_alerts says so of a name.
sub shown {
    my ($name, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $sql = qq{SELECT string_agg(concat_ws(' ', level, subject, database, value, "limit"), ', ' ORDER BY subject) FROM wc_alerts WHERE name = '$name';};
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    my $found;
    until (($found = ask($sql)) =~ /^$expected$/ || time > $deadline) { ask('SELECT pg_sleep(0.05);') }
    return like($found, qr/^$expected$/, "$name: $expected");
}

# What was told of a name.
sub told {
    my ($name, @expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    my @told;
    do {
        ask('SELECT pg_sleep(0.05);');
        @told = map { my $event = $_; join ' ', map { $event->{$_} // 'null' } qw(event level subject database value limit) } grep { $_->{name} eq $name } @heard;
    } until @told >= @expected || time > $deadline;
    return is_deeply(\@told, \@expected, "$name is told once each");
}

my $marker = MARKER;
ask('LISTEN wc_alert;');
ask('SET client_min_messages = warning;');
ask(qq{UPDATE students SET "lastName" = '$marker';});
ask('SELECT count(*) FROM wc_refresh_all();');

# ---- A view that was refreshed too long ago: its schedule is hourly.
my ($view) = split /\|/, ask(q{SELECT s.view_name, s.schedule FROM wc_view_schedule AS s WHERE s.schedule = 'hourly' ORDER BY 1 LIMIT 1;});
ask(qq{UPDATE wc_view_state SET last_refresh = now() - interval '3 hours 1 min' WHERE view_name = '$view';});
shown('view_age', qr/warning public.$view district 3\.0\d 2/);
ask(qq{UPDATE wc_view_state SET last_refresh = now() - interval '1 hour 55 min' WHERE view_name = '$view';});
shown('view_age', qr/warning public.$view district 1\.9\d 2/);
ask(qq{UPDATE wc_view_state SET last_refresh = now() - interval '5 hours 1 min' WHERE view_name = '$view';});
shown('view_age', qr/critical public.$view district 5\.0\d 4/);
is(ask(qq{SELECT status FROM wc_refresh('$view', 'full');}), 'refreshed', 'refreshed at last');
shown('view_age', '');

# ---- A refresh that fails, once and thrice: the view is locked.
my $other = WhiteCross::Session->new($node, 'district');
$other->ask("BEGIN; CREATE INDEX ON $view ((1));");
ask(q{SET whitecross.lock_timeout = '50ms';});
is(ask(qq{SELECT status FROM wc_refresh('$view');}), 'failed', 'a refresh fails');
shown('refresh_failed', "warning public.$view district 1 0");
ask(qq{SELECT status FROM wc_refresh('$view');}) for 2 .. 3;
shown('refresh_failed', "critical public.$view district 3 2");
$other->ask('ROLLBACK;');
ask('RESET whitecross.lock_timeout;');
is(ask(qq{SELECT status FROM wc_refresh('$view');}), 'refreshed', 'and one succeeds');
shown('refresh_failed', '');
told('refresh_failed', "raised warning public.$view district 1 0", "raised critical public.$view district 3 2", "cleared critical public.$view district 0 2");

# ---- A change log that grows.
ask(q{UPDATE students SET "firstName" = "firstName" || 'x';}) for 1 .. 2;
shown('change_log', qr/warning district district \d+(?:\.\d+)? 50/);
# What a transaction that is still under way might need of the log stays until a later refresh: a look of the monitor's.
my $tries = 0;
until (ask('SELECT (SELECT count(*) FROM wc_refresh_all()) > 0 AND NOT EXISTS (SELECT FROM wc_change);') eq 't') {
    die "the change log does not become empty\n" if ++$tries > 1000;
}
shown('change_log', '');

# ---- Unhealthy, and healthy again: a managed view is gone.
my $gone = 'mv_appointment_statistics';
ask("DROP MATERIALIZED VIEW $gone;");
shown('unhealthy', 'critical district district 1 0');
is(ask('SELECT healthy FROM wc_health_status();'), 'f', 'as wc_health_status() says');
like(ask(q{SELECT hint FROM wc_alerts WHERE name = 'unhealthy';}), qr/^SELECT \* FROM public\.wc_health_status\(\);$/, 'a hint');
ask(q{SELECT count(*) FROM wc_install('materialized view');});
shown('unhealthy', '');
told('unhealthy', 'raised critical district district 1 0', 'cleared critical district district 0 0');

# ---- The extension goes, and takes its alerts along.
ask(qq{UPDATE wc_view_state SET last_refresh = now() - interval '3 hours 1 min' WHERE view_name = '$view';});
shown('view_age', qr/warning public.$view district 3\.0\d 2/);
my $size = -s $node->logfile;
ask('DROP EXTENSION whitecross;');
$node->wait_for_log(qr/whitecross alert: level=warning name=view_age subject="public.$view" \S+ limit=2 event=cleared database="district"/, $size);
pass('cleared with the extension');

my @lines = slurp_file($node->logfile) =~ /^(.*whitecross alert.*)$/mg;
cmp_ok(@lines, '>=', 10, 'the log has been told');
unlike(join("\n", @lines, encode_json(\@heard)), qr/\Q$marker\E/, 'but no value of a row');

$session->quit;
$node->stop;
done_testing();

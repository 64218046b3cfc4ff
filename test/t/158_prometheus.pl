# The real Prometheus with monitoring/prometheus.yml and rules.yml scrapes the real exporter: every rule is evaluated, every panel of the dashboard
# answers, and an alert that the server has cause for fires, and is over when the cause is.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use WhiteCross::Metrics;
use WhiteCross::Test;

my $monitoring = tree() . '/monitoring';
my $node = new_node('prometheus', conf => "whitecross.monitor_interval = '1s'\nwhitecross.slow_query_threshold = '1min'\n");
make_database($node, 'school', 'reference', students => 20);
$node->safe_psql('school', q{SELECT wc_cached_json('SELECT count(*) FROM students'); SELECT wc_cached_json('SELECT now()')});
my ($made) = run_tool('', 'psql', '-X', '-q', '-h', $node->host, '-p', $node->port, '-d', 'school', '-f', "$monitoring/role.sql");
is($made, 0, 'the role is made');
my $exporter = start_exporter($node, "$monitoring/postgres_exporter.yml", 'school');
my $prometheus;
END {
    local $?;
    stop_exporter($exporter) if $exporter;
    $prometheus->kill_kill if $prometheus;
}

# The files as they are, but for ports, and often: rates over five minutes are then known soon. To be scraped takes a busy machine more than a second.
my $folder = PostgreSQL::Test::Utils::tempdir();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $config = slurp_file("$monitoring/prometheus.yml") =~ s/localhost:9187/127.0.0.1:$exporter->{port}/r =~ s/scrape_(interval|timeout): \d+s/scrape_$1: 5s/gr =~ s/(evaluation_interval): \d+s/$1: 1s/r =~ s/localhost:(?:9093|9100)/127.0.0.1:1/gr;
append_to_file("$folder/prometheus.yml", $config);
append_to_file("$folder/rules.yml", slurp_file("$monitoring/rules.yml"));
my $said = '';
$prometheus = IPC::Run::start([ 'prometheus', "--config.file=$folder/prometheus.yml", "--storage.tsdb.path=$folder/data", "--web.listen-address=127.0.0.1:$port" ], '<', \undef, '>&', \$said);

sub ask {
    my ($path) = @_;
    $prometheus->pump_nb;
    my $body = fetch($port, "/api/v1/$path") or return;
    my $answer = decode_json($body);
    return $answer->{status} eq 'success' ? $answer->{data} : undef;
}
sub query { my ($expression) = @_; return ask('query?query=' . $expression =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger) }

# becomes(WHAT, CONDITION): waits until it holds.
sub becomes {
    my ($what, $condition) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    for (1 .. 5 * $PostgreSQL::Test::Utils::timeout_default) {
        return pass($what) if $condition->();
        usleep(200_000);
    }
    return fail($what) || diag($said);
}
sub rules { return map { @{ $_->{rules} } } @{ (ask('rules') // { groups => [] })->{groups} } }
sub firing { my ($name) = @_; return grep { $_->{labels}{alertname} eq "whitecross_$name" && $_->{state} eq 'firing' } @{ (ask('alerts') // { alerts => [] })->{alerts} } }

becomes('the exporter is scraped, and has two samples', sub { my $data = query('count_over_time(whitecross_queries_completed_total{database="school"}[5m])'); $data && @{ $data->{result} } && $data->{result}[0]{value}[1] > 2 });
becomes('every rule is evaluated', sub { my @rules = rules(); @rules && !grep { $_->{health} ne 'ok' } @rules });
my ($in_file) = scalar(() = slurp_file("$monitoring/rules.yml") =~ /^      - alert: /mg);
is(scalar(rules()), $in_file, 'all of the file');
is(join("\n", map { "$_->{name}: $_->{lastError}" } grep { $_->{lastError} } rules()), '', 'without an error');
is(join(' ', map { $_->{labels}{alertname} } grep { $_->{state} eq 'firing' } @{ ask('alerts')->{alerts} }), '', 'nothing fires');

my $dashboard = decode_json(slurp_file("$monitoring/dashboard.json"));
# What such a server has nothing of: a pooler, a Redis, standbys, a host's exporter, alerts, violations.
my $absent = qr/whitecross_(?:pool|cache_second_tier|alerts|replication|replay|health_check_failing|constraint_recent)|node_/;
for my $panel (@{ $dashboard->{panels} }) {
    for my $target (@{ $panel->{targets} // [] }) {
        my $data = query($target->{expr} =~ s/\$__rate_interval/1m/gr =~ s/\$(?:instance|database)/.*/gr);
        ok($data && ($target->{expr} =~ $absent || @{ $data->{result} }), "panel '$panel->{title}' answers: $target->{expr}");
    }
}

# ---- Eleven violations; then they are forgotten.
$node->psql('school', 'INSERT INTO students (id) VALUES (NULL);' x 11, on_error_stop => 0);
becomes('an alert fires', sub { firing('constraint_violations') });
my ($alert) = firing('constraint_violations');
is($alert->{labels}{severity}, 'warning', 'as a warning');
is($alert->{annotations}{summary}, '11 violations of constraints in database school within an hour', 'and says what it is about');
$node->safe_psql('school', 'SELECT wc_reset_constraint_violations()');
becomes('it is over', sub { !firing('constraint_violations') });

# ---- The server ends: the exporter says so, or says nothing while it tries again.
$node->stop('immediate');
becomes('the server is missed', sub { my $data = query('up{job="whitecross"} == 0 or pg_up{job="whitecross"} == 0'); $data && @{ $data->{result} } });
becomes('and that is an alert to be', sub { grep { $_->{labels}{alertname} eq 'whitecross_not_scraped' } @{ (ask('alerts') // { alerts => [] })->{alerts} } });

done_testing();

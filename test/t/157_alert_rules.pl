# monitoring/: Prometheus' own programs find nothing wrong with the files; each rule has a unit test that sees it raised, its limits are those that the
# settings have by default, and its line in the runbook, as each alert of wc_alerts has; and each expression, of rules and of the dashboard, names metrics that there are.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Metrics;
use WhiteCross::Test;

my $monitoring = tree() . '/monitoring';
my $operations = slurp_file(tree() . '/docs/operations.md');
my ($runbook) = $operations =~ /^### Alerts\n(.*?)^## /ms;
sub in_runbook { my ($name) = @_; return $runbook =~ /^\| `\Q$name\E` \|/m }

# ---- The files.
for my $command ([ 'promtool', 'check', 'rules', 'rules.yml' ], [ 'promtool', 'test', 'rules', 'rules_test.yml' ], [ 'promtool', 'check', 'config', 'prometheus.yml' ],
    [ 'amtool', 'check-config', 'alertmanager.yml' ]) {
    my ($status, $said) = run_tool('', 'sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', $monitoring, @$command);
    is($status, 0, "@$command") or diag($said);
}for my $route ([ 'warning', 'mail' ], [ 'critical', 'mail_and_slack' ]) {
    my (undef, $said) = run_tool('', 'amtool', 'config', 'routes', 'test', "--config.file=$monitoring/alertmanager.yml", "severity=$route->[0]", 'alertname=whitecross_connections');
    like($said, qr{^$route->[1]$}m, "what is $route->[0] goes to $route->[1]");
}

# ---- The rules, each as { alert, expr, severity }.
my @rules;
for my $block (split /^      - alert: /m, slurp_file("$monitoring/rules.yml")) {
    my ($alert) = $block =~ /^(whitecross_\w+)\n/ or next;
    my ($expr, $folded) = ($block =~ /^        expr: (?!>-)(.*)\n/m, '');
    ($expr) = $block =~ /^        expr: >-\n((?:          .*\n)+)/m unless defined $expr && $expr ne '';
    my ($severity) = $block =~ /severity: (\w+)/;
    push @rules, { alert => $alert, expr => $expr =~ s/\s+/ /gr, severity => $severity, block => $block };
}
cmp_ok(scalar @rules, '>=', 20, 'there are rules');
my %seen;
for my $test (split /^      - eval_time: /m, slurp_file("$monitoring/rules_test.yml")) {
    my ($alert) = $test =~ /^        alertname: (\w+)/m or next;
    $seen{"$alert $_"} = 1 for $test =~ /exp_labels: \{severity: (\w+)/g;
    $seen{"$alert nothing"} = 1 if $test =~ /exp_alerts: \[\]/;
}
for my $rule (@rules) {
    my ($name) = $rule->{alert} =~ /^whitecross_(\w+)$/;
    ok($seen{"$rule->{alert} $rule->{severity}"}, "$rule->{alert}, $rule->{severity}: a test sees it raised");
    ok($seen{"$rule->{alert} nothing"}, "$rule->{alert}: and not raised");
    ok(in_runbook($name), "$rule->{alert}: has its line in the runbook");
    like($rule->{block}, qr/^          runbook: docs\/operations\.md, Alerts, \Q$name\E$|annotations: \*\Q$name\E$/m, "$rule->{alert}: says so");
}

# ---- The alerts of the extension: their names as the source has them, each with a rule and its line; limits as the settings have them.
my @alerts = slurp_file(tree() . '/src/monitor/reading.cpp') =~ /^const char \*name\(.*?^\}/ms ? $& =~ /return "(\w+)";/g : ();
cmp_ok(scalar @alerts, '>=', 14, 'there are alerts');
my $node = new_node('rules', allows_streaming => 1);
make_database($node, 'school', 'reference', students => 10);
sub default_of { my ($setting) = @_; return $node->safe_psql('school', "SELECT CASE s.unit WHEN 'ms' THEN s.boot_val::float8 / 1000 ELSE s.boot_val::float8 END FROM pg_settings AS s WHERE s.name = '$setting'") }
for my $name (@alerts) {
    ok(in_runbook($name), "alert $name has its line in the runbook");
    my @its = grep { $_->{alert} eq "whitecross_$name" } @rules;
    ok(scalar @its, "alert $name has its rules");
    for my $rule (@its) {
        my ($limit) = $rule->{expr} =~ / > ([\d.]+)$/ or next;
        next if $rule->{expr} =~ /whitecross_alerts_raised/;    # the limit was held against before
        my $setting = $name eq 'constraint_violations' ? "whitecross.violations_$rule->{severity}" : "whitecross.alert_${name}_$rule->{severity}";
        is($limit + 0, default_of($setting) + 0, "$rule->{alert}, $rule->{severity}: the limit is that of $setting");
    }
}

# ---- The metrics that there are: those that a server can tell of, by its own list, and what the exporters make.
my $queries = slurp_file("$monitoring/postgres_exporter.yml");
my %metrics = map { $_ => 1 } qw(up pg_up pg_exporter_last_scrape_error pg_exporter_user_queries_load_error node_cpu_seconds_total node_memory_MemAvailable_bytes
  node_memory_MemTotal_bytes node_filesystem_avail_bytes node_filesystem_size_bytes);
$metrics{$_} = 1 for $queries =~ /name = '(whitecross_\w+)'/g;
my @shown = split /\n/, $node->safe_psql('school', 'SELECT DISTINCT name FROM wc_metrics');
is(join(' ', grep { !$metrics{$_} } @shown), '', 'the exporter has a query for each metric');
my $dashboard = decode_json(slurp_file("$monitoring/dashboard.json"));
my @expressions = map { $_->{expr} } map { @{ $_->{targets} // [] } } @{ $dashboard->{panels} };
cmp_ok(scalar @expressions, '>', 30, 'the dashboard has expressions');
my %used;
for my $expression (@expressions, map { $_->{expr} } @rules) {
    my @names = metric_names($expression);
    ok(scalar @names && !(grep { !$metrics{$_} } @names), "names metrics that there are: $expression");
    $used{$_} = 1 for @names;
}
my ($queried) = map { $_->{definition} } grep { $_->{name} eq 'instance' } @{ $dashboard->{templating}{list} };
ok($queried =~ /\((whitecross_\w+),/ && $metrics{$1}, 'so does the list of instances');
# Prometheus reads them, with what Grafana puts in place of its variables.
my $recorded = "groups:\n  - name: dashboard\n    rules:\n";
for my $i (0 .. $#expressions) {
    my $expression = $expressions[$i] =~ s/\$__rate_interval/5m/gr =~ s/\$(?:instance|database)/.*/gr =~ s/'/''/gr;
    $recorded .= "      - record: dashboard:expression:$i\n        expr: '$expression'\n";
}
my $written = PostgreSQL::Test::Utils::tempdir() . '/expressions.yml';
append_to_file($written, $recorded);
my ($status, $said) = run_tool('', 'promtool', 'check', 'rules', $written);
is($status, 0, 'Prometheus reads every expression of the dashboard') or diag($said);
unlike($recorded, qr/\$/, 'with no variable left');
my %ids;
$ids{ $_->{id} }++ for @{ $dashboard->{panels} };
is(join(' ', grep { $ids{$_} > 1 } keys %ids), '', 'each panel has a number of its own');

# ---- What is installed is what is here.
my ($installed, $differences) = run_tool('', 'sh', '-c', 'diff -r "$(pg_config --sharedir)/whitecross" "$1"', 'sh', $monitoring);
is($installed, 0, 'the package has these files') or diag($differences);

done_testing();

# The real prometheus-postgres-exporter with monitoring/postgres_exporter.yml, as the role of monitoring/role.sql: what it serves over HTTP is what
# wc_metrics has, by name, labels, type, help and value; of two databases at once; and the role reads nothing but that.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Metrics;
use WhiteCross::Pooler;
use WhiteCross::Test;

my $monitoring = tree() . '/monitoring';
my $node = new_node('exporter', conf => "autovacuum = off\nwhitecross.health_interval = '1h'\nwhitecross.alert_slow_queries_warning = -1\nwhitecross.alert_n_plus_one_warning = -1\n");
make_database($node, 'school', 'reference', students => 50);
make_database($node, 'other', 'platform', students => 20, whitecross => 0);
$node->safe_psql('other', 'SET client_min_messages = warning; CREATE SCHEMA watch; CREATE EXTENSION whitecross SCHEMA watch; ALTER DATABASE other SET search_path = public, watch');
sub sql { return $node->safe_psql('school', $_[0]) }

ok($node->poll_query_until($_, 'SELECT healthy FROM wc_health_status()'), "the health of $_ is known") for 'school', 'other';

# ---- The role.
sub make_role {
    my ($database) = @_;
    my ($status, $said) = run_tool('', 'psql', '-X', '-q', '-h', $node->host, '-p', $node->port, '-d', $database, '-f', "$monitoring/role.sql");
    return $status == 0 && $said !~ /ERROR|WARNING/;
}
ok(make_role($_), "the role is made in $_") for 'school', 'other', 'school';
is(sql(q{SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR rolinherit FROM pg_roles WHERE rolname = 'whitecross_monitor'}), 'f', 'it has no attribute');
is(sql(q{SELECT count(*) FROM pg_auth_members WHERE member = 'whitecross_monitor'::regrole}), 0, 'it is a member of no other role');
sub as_role { my ($sql, $database) = @_; return try_sql($node, $database // 'school', $sql, connstr => $node->connstr($database // 'school') . ' user=whitecross_monitor') }
is((as_role('SELECT count(*) > 100 FROM wc_metrics'))[0], 't', 'it reads the metrics');
like((as_role('SELECT wc_prometheus()'))[0], qr/^whitecross_view_size_bytes\{/m, 'and their text');
my @readable = split /\n/, sql(q{SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm', 'p', 'v') AND c.relname !~ '^wc_' AND has_any_column_privilege('whitecross_monitor', c.oid, 'SELECT')});
is("@readable", '', 'it can read no table and no view of the site');
for my $forbidden ('SELECT * FROM students', 'SELECT * FROM mv_allergy_summary', 'SELECT * FROM wc_change', 'SELECT wc_install()', q{SELECT wc_breaches('chk_students_age_range')}) {
    is((as_role($forbidden))[1], '42501', "refused: $forbidden");
}
is((as_role('CREATE TABLE mine ()'))[1], '25006', 'it writes nothing');
is((as_role('SET default_transaction_read_only = off; CREATE TABLE mine ()'))[1], '42501', 'also where it wants to');
# What another session says is not for it, though its numbers are.
my $patient = $node->background_psql('school');
$patient->query_safe(q{SELECT 'Zq9' || 'Marke' FROM students WHERE "firstName" = 'Zq9Marke'});
is((as_role(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%Zq9' || 'Marke%'}))[0], 0, 'statements of others are hidden from it');
unlike((as_role('SELECT wc_prometheus()'))[0], qr/Zq9Marke/, 'and in no metric');
$patient->quit;

# ---- A pooler, with a client that waits for the one connection of its pool; then the monitor stands still, so that numbers do.
sql('CREATE ROLE clerk LOGIN');
my $pooler = WhiteCross::Pooler->new($node);
$pooler->start(join "\n", '[databases]', 'school = host=' . $node->host . ' port=' . $node->port . ' dbname=school pool_size=1', '[pgbouncer]', 'listen_addr = 127.0.0.1',
    'listen_port = ' . $pooler->port, 'unix_socket_dir = ' . $pooler->folder, 'logfile = ' . $pooler->folder . '/log', 'auth_type = trust', 'auth_file = ' . $pooler->folder . '/users.txt', 'query_wait_timeout = 0');
$node->append_conf('postgresql.conf', "whitecross.pgbouncer_conninfo = 'host=" . $pooler->folder . ' port=' . $pooler->port . " user=pgbouncer'\nwhitecross.monitor_interval = '1s'");
$node->reload;
my @clerks = map { IPC::Run::start([ 'psql', '-X', '-d', $pooler->connstr('school', 'clerk'), '-c', 'SELECT pg_sleep(600)' ], '<', \undef, '>', \my $out, '2>', \my $err) } 0, 1;
END { local $?; $_->kill_kill for grep { defined } @clerks }
ok($node->poll_query_until('school', q{SELECT clients_active = 1 AND clients_waiting = 1 AND servers_active = 1 AND maxwait_ms > 0 AND waits > 0 AND database_transactions IS NOT NULL
     FROM wc_pooler WHERE "user" = 'clerk'}), 'a client waits') or diag(sql('TABLE wc_pooler'));
ok($node->poll_query_until('school', q{SELECT string_agg(name || ' ' || level, ', ') FROM wc_alerts}, 'pooler_connections critical'), 'and its pool is all in use');
$node->adjust_conf('postgresql.conf', 'whitecross.monitor_interval', "'1h'");
$node->reload;
is(sql(q{SELECT bool_and(value = CASE split_part(m.name, '_', 3) || '_' || split_part(m.name, '_', 4)
       WHEN 'clients_active' THEN 1 WHEN 'clients_waiting' THEN 1 WHEN 'servers_active' THEN 1 WHEN 'servers_limit' THEN 1 WHEN 'wait_seconds' THEN value ELSE 0 END) || ' ' || count(*)
     FROM wc_metrics('pools') AS m WHERE m.labels ->> 'user' = 'clerk'}), 'true 7', 'which the metrics tell');
is(sql(q{SELECT value FROM wc_metrics('pooler') WHERE name = 'whitecross_pooler_up'}), 1, 'the pooler is up');

# ---- The exporter. While nothing else goes on, what changes from one look to the next only grows: what is served lies between a look before and one after.
$node->psql('school', 'INSERT INTO students (id) VALUES (NULL);' x 2, on_error_stop => 0);
sql(q{SET whitecross.slow_query_threshold = 0; SELECT count(*) FROM students; SELECT wc_refresh('allergy_summary'); REFRESH MATERIALIZED VIEW mv_compliance_status});
sql('DROP MATERIALIZED VIEW mv_medication_schedule CASCADE');
sql(q{SELECT wc_cached_json('SELECT count(*) FROM students'); SELECT wc_cached_json('SELECT count(*) FROM students'); SELECT wc_cached_json('SELECT now()')});
sql('SELECT pg_stat_force_next_flush()');
my $exporter = start_exporter($node, "$monitoring/postgres_exporter.yml", 'school', 'other');
END { local $?; stop_exporter($exporter) if $exporter }
ok(defined fetch($exporter->{port}, '/metrics'), 'the exporter answers');

my %look = map { $_ => $node->background_psql($_, extra_params => [ '-U', 'whitecross_monitor' ]) } 'school', 'other';
my %types_true;
my %helps_true;
sub look {
    my (%all);
    for my $database (sort keys %look) {
        my ($series, $types, $helps) = parse_exposition($look{$database}->query_safe('SELECT wc_prometheus()'));
        # Of the server they are the first database's to tell.
        %all = (%$series, %all) if $database ne 'school';
        %all = (%all, %$series) if $database eq 'school';
        %types_true = (%types_true, %$types);
        %helps_true = (%helps_true, %$helps);
    }
    return \%all;
}
my $oldest = $node->background_psql('school');
$oldest->query_safe('BEGIN; SELECT 1');
look() for 1 .. 2;
my $before = look();
my $served = fetch($exporter->{port}, '/metrics');
my $after  = look();
my ($series, $types, $helps) = parse_exposition($served, leave_out => ['server']);
ok(exists $series->{'whitecross_pool_waits_seen_total{database="school",user="clerk"}'}, 'pools are served');
is($series->{'whitecross_cache_hits_total{database="school"}'}, 1, 'so is the result cache');
my %ours = map { $_ => $series->{$_} } grep { /^whitecross_/ } keys %$series;
is(join("\n", grep { !exists $ours{$_} } sort keys %$before), '', 'every series of wc_metrics is served');
is(join("\n", grep { !exists $before->{$_} } sort keys %ours), '', 'and no other');
cmp_ok(scalar keys %ours, '>', 300, 'they are many');
my @odd = grep { my ($least, $most) = sort { $a <=> $b } $before->{$_}, $after->{$_}; $ours{$_} eq 'NaN' || $ours{$_} < $least || $ours{$_} > $most }
  grep { exists $before->{$_} && exists $after->{$_} } keys %ours;
is(join("\n", map { "$_: $before->{$_}, served $ours{$_}, $after->{$_}" } sort @odd), '', 'with the values that SQL gives');
my @same = grep { exists $after->{$_} && $before->{$_} == $after->{$_} } keys %$before;
cmp_ok(scalar @same, '>', 250, 'most of which do not change from one look to the next');
is(join(' ', grep { $types->{$_} ne $types_true{$_} } sort keys %types_true), '', 'types are the same');
is(join("\n", map { "$_: $helps->{$_}" } grep { $helps->{$_} ne $helps_true{$_} } sort keys %helps_true), '', 'what they are about is said in the same words');
is($series->{'pg_up{}'}, 1, 'the server is up');
is($series->{'pg_exporter_last_scrape_error{}'}, 0, 'no query has failed');
my ($status, $findings) = run_tool(join("\n", grep { /^(?:# \w+ )?whitecross_/ } split /\n/, $served) . "\n", 'promtool', 'check', 'metrics');
is("$status $findings", '0 ', 'promtool finds nothing');
$_->quit for values %look, $oldest;

# ---- A family of each query, and a query for each family.
my $file = slurp_file("$monitoring/postgres_exporter.yml");
my @asked = $file =~ /FROM wc_metrics\('(\w+)'\)/g;
my ($families) = (try_sql($node, 'school', q{SELECT wc_metrics('nonsense')}))[2] =~ /Families are ([\w, ]+)\./;
is(join(' ', sort @asked), join(' ', sort split /, /, $families), 'each family is asked for once');
is(stop_exporter($exporter) =~ /level=(?:error|warn)/ ? $exporter->{out} : '', '', 'the exporter has nothing to complain of');
undef $exporter;

done_testing();

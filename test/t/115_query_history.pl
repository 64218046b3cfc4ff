# The query history: hours add up over restarts, crashes, evictions and resets; what is torn or foreign is told and left out;
# what is old goes. Its clock is set ahead, so that no test waits for an hour to end, and none runs into the end of one.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# Only what role app runs is counted, so that every call in the history is known.
my $hour   = 3600;
my $offset = (1.5 * $hour - time % $hour) % $hour;
my $node   = new_node('history', allows_streaming => 1, conf => <<"CONF");
whitecross.track_queries = off
whitecross.query_stats_max = 100
max_connections = 60
whitecross.query_history_clock_offset = $offset
autovacuum = off
CONF
make_database($node, 'school', 'empty', extensions => ['whitecross']);
$node->safe_psql('school', <<'SQL');
CREATE ROLE app LOGIN;
CREATE ROLE other LOGIN;
ALTER ROLE app SET whitecross.track_queries = on;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
CREATE TABLE counted (a int);
GRANT SELECT ON counted TO app;
SQL
my $folder = $node->data_dir . '/pg_stat/whitecross';

# Statements that the application runs, in a session of their own, until they are counted.
my $expected = 0;
our $server  = $node;

sub send_statements {
    my (@statements) = @_;
    local $ENV{PGUSER} = 'app';
    $server->safe_psql('school', join ";\n", @statements);
    $expected += @statements;
    return;
}

sub run_statements {
    my (@statements) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    send_statements(@statements);
    return total_is('after ' . @statements . ' more statements');
}
sub counted { my ($n) = @_; return ('SELECT a FROM counted WHERE a = 1') x $n }

sub total_is {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $server->poll_query_until('school', "SELECT coalesce(sum(calls), 0) >= $expected FROM wc_query_history");
    return is($server->safe_psql('school', 'SELECT sum(calls) FROM wc_query_history'), $expected, "every call is in the history: $name");
}

# The calls of each hour, of the counted statement or of all, in order.
sub by_hour {
    my ($where) = @_;
    return $server->safe_psql('school', "SELECT string_agg(calls::text, ' ' ORDER BY hour) FROM (SELECT hour, sum(calls) AS calls FROM wc_query_history WHERE $where GROUP BY 1) AS h");
}
my $of_counted = q{normalised_text = 'SELECT a FROM counted WHERE a = $1'};

# Reads the configuration again and waits until the monitor has written what there is.
sub write_now {
    my $before = $server->safe_psql('school', 'SELECT clock_timestamp()');
    $server->reload;
    $server->poll_query_until('school', "SELECT written_at > '$before' FROM wc_query_history_status()") or die "nothing was written\n";
    return;
}

sub set_clock {
    my ($hours) = @_;
    $offset += $hours * $hour;
    $server->adjust_conf('postgresql.conf', 'whitecross.query_history_clock_offset', $offset);
    write_now();
    $server->poll_query_until('school', "SELECT current_setting('whitecross.query_history_clock_offset')::interval = '$offset s'") or die "the clock was not set\n";
    return;
}

# ---- A restart, and a crash

run_statements(counted(57));
is(by_hour($of_counted), '57', 'the present hour is there at once');
is($node->safe_psql('school', "SELECT database, role, calls, rows, abs(mean_ms - total_ms / calls) < 0.00001, max_ms <= total_ms, hour = date_trunc('hour', hour) FROM wc_query_history WHERE $of_counted"),
    'school|app|57|0|t|t|t', 'with what belongs to it');
$node->restart('fast');
total_is('after a restart');
is(by_hour($of_counted), '57', 'with its text');
is($node->safe_psql('school', 'SELECT count(*) FROM wc_query_stats'), 0, 'while the statistics begin anew');
run_statements(counted(10));
is($node->safe_psql('school', "SELECT calls FROM wc_query_history WHERE $of_counted"), '67', 'two runs of the server make one row of the hour');

write_now();
run_statements(counted(3));
$node->stop('immediate');
$node->start;
my $after_crash = $node->safe_psql('school', 'SELECT sum(calls) FROM wc_query_history');
ok($after_crash == 67 || $after_crash == 70, 'a crash loses at most what came after the last time it was written') or diag("$after_crash calls");
$expected = $after_crash;
run_statements(counted(5));

# ---- Hours go by. Each is in memory for two, and then in files.

set_clock(1);
run_statements(counted(4));
is(by_hour($of_counted), join(' ', $expected - 4, 4), 'an hour later there are two');
is($node->safe_psql('school', 'SELECT max(hour) - min(hour) FROM wc_query_history'), '01:00:00', 'an hour apart');
set_clock(1);
run_statements(counted(2));
set_clock(1);
run_statements(counted(1));
is(by_hour($of_counted), join(' ', $expected - 7, 4, 2, 1), 'and then four');
set_clock(5);
run_statements(counted(3));
my $hours = join(' ', $expected - 10, 4, 2, 1, 3);
is(by_hour($of_counted), $hours, 'hours in which nothing runs have no rows');
is($node->safe_psql('school', "SELECT count(DISTINCT hour) FROM wc_query_history((SELECT max(hour) FROM wc_query_history) - interval '5 hours')"), 2,
    'the function begins with the hour of a moment');
is($node->safe_psql('school', q{SELECT (SELECT count(*) FROM wc_query_history('infinity')), (SELECT count(*) FROM wc_query_history('-infinity')) = (SELECT count(*) FROM wc_query_history)}),
    '0|t', 'which may be any');
$node->restart;
is(by_hour($of_counted), $hours, 'a restart changes none of it');

# ---- Patterns that are evicted, or reset

run_statements(map { 'SELECT ' . join ', ', (1) x $_ } 1 .. 150);
is($node->safe_psql('school', 'SELECT evicted > 0 FROM wc_query_stats_info'), 't', 'where patterns had to make room for others');
is($node->safe_psql('school', "SELECT count(*), sum(calls) > 0, bool_or(database IS NOT NULL OR role IS NOT NULL OR normalised_text IS NOT NULL) FROM wc_query_history WHERE query_id IS NULL"),
    '1|t|f', 'what they had counted is in one row of nobody');
$node->restart;
total_is('evicted, after a restart');
run_statements(counted(6));
$node->safe_psql('school', 'SELECT wc_reset_query_stats()');
total_is('after a reset');
run_statements(counted(2));
set_clock(2);
run_statements(counted(1));
total_is('and in later hours');

# ---- Statements that the server doesn't identify

$node->safe_psql('school', 'ALTER ROLE app SET compute_query_id = off');
run_statements(counted(2), 'SELECT 1');
is($node->safe_psql('school', 'SELECT normalised_text, calls FROM wc_query_history WHERE query_id = 0'), 'not identified|3', 'what has no query id is one pattern');
$node->safe_psql('school', 'ALTER ROLE app RESET compute_query_id');

# ---- Texts of databases of several encodings

$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$node->safe_psql('latin', 'CREATE EXTENSION whitecross');
{
    local $ENV{PGUSER} = 'app';
    local $ENV{PGCLIENTENCODING} = 'UTF8';
    $node->safe_psql('latin', qq{SELECT 1 AS "caf\xc3\xa9"});
    $node->safe_psql('school', qq{SELECT 1, 2 AS "caf\xc3\xa9 \xce\xa9"});
}
$expected += 2;
total_is('in another database');
$node->restart; # from here on the texts come from files
{
    local $ENV{PGCLIENTENCODING} = 'UTF8';
    my $texts = q{SELECT database, normalised_text FROM wc_query_history WHERE normalised_text LIKE '%caf%' ORDER BY 1};
    is($node->safe_psql('school', $texts), qq{latin|SELECT \$1 AS "caf\xc3\xa9"\nschool|SELECT \$1, \$2 AS "caf\xc3\xa9 \xce\xa9"}, 'a text is shown in the encoding of the database');
    is($node->safe_psql('latin', $texts), qq{latin|SELECT \$1 AS "caf\xc3\xa9"\nschool|SELECT \$1, \$2 AS "caf?? ??"}, 'or with question marks for what that one lacks');
}

# ---- The monitor ends, and is started again: what it has written isn't counted twice

my $monitor = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'};
my $pid     = $node->safe_psql('school', $monitor);
$node->safe_psql('school', "SELECT pg_terminate_backend($pid, 180000)");
run_statements(counted(2));
$node->poll_query_until('school', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross monitor' AND pid <> $pid");
write_now();
total_is('with another monitor');

# ---- No process is left for a monitor: what is counted is written at the end all the same

is($node->safe_psql('school', 'SELECT monitored FROM wc_query_history_status()'), 't', 'the status tells of the monitor');
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '2'); # the launchers of logical replication and of live mode
$node->restart;
is($node->safe_psql('school', 'SELECT monitored, written_at IS NULL FROM wc_query_history_status()'), 'f|t', 'and that there is none');
is($node->safe_psql('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'query history'}), 'warning', 'as the health check does');
run_statements(counted(3));
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '24');
$node->restart;
total_is('without a monitor');
ok($node->poll_query_until('school', 'SELECT monitored FROM wc_query_history_status()'), 'with room for one, it is back');

# ---- Under load, with sessions that come and go, while hours end, patterns are reset and the server writes

my $script = $node->basedir . '/load.sql';
append_to_file($script, "SELECT a FROM counted WHERE a = 1;\nSELECT count(*) FROM counted;\n");
my @bench = ('pgbench', '-n', '-c', 4, '-j', 1, '-t', 1500, '-f', $script, '-U', 'app', '-h', $node->host, '-p', $node->port, 'school');
my $load  = IPC::Run::start(\@bench, '>', \my $load_out, '2>', \my $load_err);
my $brief = IPC::Run::start([ @bench[ 0 .. 5 ], '-t', 150, '-C', @bench[ 8 .. $#bench ] ], '>', \my $brief_out, '2>', \my $brief_err);
for (1 .. 3) {
    my $latest = $node->safe_psql('school', 'SELECT max(hour) FROM wc_query_history');
    set_clock(1);
    last if !$node->poll_query_until('school', "SELECT max(hour) > '$latest' OR (SELECT count(*) FROM pg_stat_activity WHERE usename = 'app') = 0 FROM wc_query_history");
    $node->safe_psql('school', 'SELECT wc_reset_query_stats()');
    write_now();
}
$load->finish or die "pgbench failed: $load_err\n";
$brief->finish or die "pgbench failed: $brief_err\n";
$expected += 2 * 4 * (1500 + 150);
total_is('under load');
$node->restart;
total_is('and after it');

# ---- Who sees what

sub seen_by {
    my ($role, $sql) = @_;
    local $ENV{PGUSER} = $role;
    local $ENV{PGOPTIONS} = '-c default_transaction_read_only=on';
    return $server->safe_psql('school', $sql);
}
my $roles = q{SELECT string_agg(DISTINCT coalesce(role, '-'), ' '), sum(calls) FROM wc_query_history};
is(seen_by('other', $roles), '|', 'a role sees no statement of another');
is(seen_by('watcher', $roles), "- app|$expected", 'one with pg_read_all_stats sees all, in a read-only transaction too');
$node->safe_psql('school', 'ALTER ROLE app SET whitecross.track_queries = off');
is((split /\|/, seen_by('app', $roles))[0], 'app', 'and who ran them its own, without the row of nobody');

# ---- A standby: what the copy brought along, and then its own

$node->safe_psql('school', 'ALTER ROLE app SET whitecross.track_queries = on');
write_now();
run_statements(counted(2));
$node->safe_psql('school', q{SELECT wc_query_baseline('primary')});
my $baseline = $node->safe_psql('school', "SELECT calls FROM wc_query_stats WHERE $of_counted");
write_now();
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
{
    local $server = $standby;
    my $on_primary = $expected;
    total_is('a standby has what the copy had');
    run_statements(counted(7));
    is($standby->safe_psql('school', "SELECT calls_before, calls_since FROM wc_compare_baseline('primary') WHERE $of_counted"), $baseline . '|7',
        'what is compared with one of the primary is what the standby itself has run');
    $standby->restart;
    total_is('what ran on the standby, after it was restarted');
    my (undef, $state, $message) = try_sql($standby, 'school', q{SELECT wc_query_baseline('here')});
    is($state, '25006', 'a baseline can\'t be taken there');
    like($message, qr/cannot execute wc_query_baseline\(\) during recovery.*HINT:.*primary/s, 'which the error says');
    is($standby->safe_psql('school', $monitor) =~ /^\d+$/, 1, 'a monitor runs there');
    $standby->promote;
    run_statements(counted(1));
    total_is('promoted');
    $standby->stop;
    $expected = $on_primary;
}

# ---- Where nothing can be written

chmod 0500, $folder or die "chmod: $!\n";
my $log = -s $node->logfile;
run_statements(counted(4));
$node->reload;
ok($node->poll_query_until('school', q{SELECT sqlstate = '42501' FROM wc_query_history_status()}), 'the status tells the error');
$node->reload;
total_is('nothing is lost while it can\'t be written');
chmod 0700, $folder or die "chmod: $!\n";
write_now();
is($node->safe_psql('school', 'SELECT sqlstate IS NULL FROM wc_query_history_status()'), 't', 'and later it is');
my @said = slurp_file($node->logfile, $log) =~ /(WARNING:.*the query history is not written: could not \w+ file .*Permission denied)/g;
is(scalar @said, 1, 'the log has said it once');

# ---- Files that are torn, foreign or damaged

$node->restart;
total_is('before the damage');
my @files = sort grep { /\.totals$/ } slurp_dir($folder);
cmp_ok(scalar @files, '>=', 8, 'there are files of several hours and runs');
my $torn = "$folder/$files[0]";
truncate $torn, (-s $torn) - 5 or die "truncate: $!\n";
append_to_file("$folder/notes.txt", 'of somebody');
append_to_file("$folder/20250101T00-0123456789abcdef.totals", 'SSN-131-31-3131');
append_to_file("$folder/" . substr($files[1], 0, 28) . '.totals.unfinished', 'half');
my ($out, undef, $err) = try_sql($node, 'school', 'SELECT sum(calls) FROM wc_query_history');
cmp_ok($out, '<', $expected, 'without a file its calls are missing');
like($err, qr/WARNING:  XX001: "\Q$files[0]\E" is damaged, and is left out/, 'a torn file is told of');
like($err, qr/WARNING:  XX001: "notes.txt" is no name of a file of the query history/, 'and one that does not belong there');
unlike($err, qr/SSN/, 'of contents nothing is told');
is($node->safe_psql('school', 'SELECT unusable FROM wc_query_history_status()'), 3, 'the status counts them');
$node->restart;
ok($node->poll_query_until('school', q{SELECT bool_or(detail ~ '^2 files of the query history can''t be used$') FROM wc_health_check() WHERE check_name = 'query history'}),
    'and the health check, when the monitor has looked into them, those that were not too old');
$node->restart;
is($node->safe_psql('school', 'SELECT sum(calls) FROM wc_query_history'), $out, 'the server starts with them all the same');
ok(!-e "$folder/" . substr($files[1], 0, 28) . '.totals.unfinished', 'what a crash left half written is gone');
unlink $torn, "$folder/notes.txt", "$folder/20250101T00-0123456789abcdef.totals";
my ($texts) = sort grep { /\.texts$/ } slurp_dir($folder);
append_to_file("$folder/$texts", 'x');
$node->safe_psql('school', 'SELECT wc_reset_query_stats()');
(undef, undef, $err) = try_sql($node, 'school', 'SELECT * FROM wc_query_history');
like($err, qr/WARNING:  XX001: "\Q$texts\E" is damaged/, 'a damaged file of texts is told of too');
is($node->safe_psql('school', 'SELECT sum(calls) FROM wc_query_history'), $out, 'and costs no calls');
unlink "$folder/$texts";

# ---- What is old goes

$expected = $out;
set_clock(2);
run_statements(counted(4));
$expected = $node->safe_psql('school', q{SELECT sum(calls) FROM wc_query_history WHERE hour > (SELECT max(hour) FROM wc_query_history) - interval '1 hour'});
$node->append_conf('postgresql.conf', 'whitecross.query_history_days = 1');
set_clock(23);
run_statements(counted(3));
is(by_hour('true'), $expected - 3 . ' 3', 'older hours are gone, later ones not');
ok($node->poll_query_until('school', q{SELECT first_hour >= (SELECT min(hour) FROM wc_query_history) FROM wc_query_history_status()}), 'and so are their files');
set_clock(48);
$expected = 0;
run_statements(counted(1));
$node->restart;
is(by_hour($of_counted), '1', 'the last hour stays');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing unexpected in the log');

# ---- Not preloaded

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $call ('SELECT * FROM wc_query_history', 'SELECT * FROM wc_query_history_status()', q{SELECT wc_query_baseline('x')}, q{SELECT * FROM wc_compare_baseline('x')}, 'SELECT wc_query_report()') {
    my (undef, $state, $message) = try_sql($node, 'school', $call);
    is($state, '55000', "$call is refused where the library is not preloaded");
    like($message, qr/HINT:.*shared_preload_libraries = 'whitecross'/, 'with the line to add');
}

$node->stop;
done_testing();

# Live mode: which databases have a worker, and who it gets out of the way of.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('live', conf => "max_prepared_transactions = 4\nautovacuum = off\nwhitecross.live_refresh_delay = 50\n");

# The state of a database's live mode, as its own function tells.
sub live_state {
    my ($database) = @_;
    return $node->safe_psql($database, 'SELECT state FROM wc_live_status()');
}

sub workers {
    return $node->safe_psql('postgres',
        q{SELECT coalesce(string_agg(datname, ',' ORDER BY datname), '') FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh'});
}

# Waits until the databases with a worker are these.
sub wait_for_workers {
    my ($expected, $name) = @_;
    ok( $node->poll_query_until(
            'postgres',
            q{SELECT coalesce(string_agg(datname, ',' ORDER BY datname), '') FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh'},
            $expected),
        $name);
    return;
}

make_database($node, 'school', 'reference', students => 50);
make_database($node, 'other',  'reference', students => 20);
make_database($node, 'plain',  'empty');

# --- On and off

is(workers(),             '',    'off by default');
is(live_state('school'), 'off', 'and it says so');

$node->safe_psql('postgres', 'ALTER DATABASE school SET whitecross.live_refresh = on');
wait_for_workers('school', 'ALTER DATABASE SET starts a worker');
$node->poll_query_until('school', q{SELECT state = 'running' FROM wc_live_status()});
is(live_state('school'), 'running', 'and it says so');

$node->safe_psql('postgres', 'BEGIN; ALTER DATABASE other SET whitecross.live_refresh = on; ROLLBACK');
$node->safe_psql('postgres', 'ALTER DATABASE plain SET whitecross.live_refresh = on');
wait_for_workers('school', 'one without the extension gets none for long');

$node->safe_psql('postgres', 'ALTER DATABASE school RESET whitecross.live_refresh');
wait_for_workers('', 'RESET ends it');

# --- For every database, by the configuration and by ALTER ROLE ALL

$node->append_conf('postgresql.conf', 'whitecross.live_refresh = on');
$node->reload;
wait_for_workers('other,school', 'the configuration switches it on everywhere, but for templates and where there is no extension');
$node->safe_psql('postgres', 'ALTER DATABASE other SET whitecross.live_refresh = off');
wait_for_workers('school', 'what a database says counts more');
$node->safe_psql('postgres', 'ALTER ROLE ALL SET whitecross.live_refresh = off');
wait_for_workers('', 'and what is said of all roles');
$node->safe_psql('postgres', 'ALTER ROLE ALL RESET whitecross.live_refresh');
wait_for_workers('school', 'RESET brings the configuration back');
$node->adjust_conf('postgresql.conf', 'whitecross.live_refresh', 'off');
$node->reload;
wait_for_workers('', 'off again');

# --- It comes when the extension comes, and goes with it

$node->safe_psql('plain', 'CREATE EXTENSION whitecross');
wait_for_workers('plain', 'CREATE EXTENSION brings the worker');
$node->safe_psql('plain', 'DROP EXTENSION whitecross');
wait_for_workers('', 'DROP EXTENSION sends it away');
$node->safe_psql('postgres', 'DROP DATABASE plain');

# --- It comes with an update of the extension that it needs

$node->safe_psql('postgres', 'CREATE DATABASE old');
$node->safe_psql('postgres', 'ALTER DATABASE old SET whitecross.live_refresh = on');
$node->safe_psql('old', q{CREATE EXTENSION whitecross VERSION '1.0.0'});
wait_for_workers('', 'a database with the extension at 1.0.0 has no worker');
$node->safe_psql('old', 'ALTER EXTENSION whitecross UPDATE');
wait_for_workers('old', 'until it is updated');
$node->safe_psql('postgres', 'DROP DATABASE old');
wait_for_workers('', 'and dropped');

# --- Commands that want a database to themselves

$node->safe_psql('postgres', 'ALTER DATABASE school SET whitecross.live_refresh = on');
wait_for_workers('school', 'on');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE school');
wait_for_workers('school', 'a database can be copied while its worker runs, and the worker comes back');
is($node->safe_psql('copy', 'SELECT count(*) > 0 FROM mv_student_health_summary'), 't', 'the copy has the views');
$node->safe_psql('postgres', 'ALTER DATABASE copy SET whitecross.live_refresh = on');
wait_for_workers('copy,school', 'the copy gets one when it is told to');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO twin');
wait_for_workers('school,twin', 'a database can be renamed');
my $tablespace = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
$node->safe_psql('postgres', 'ALTER DATABASE twin SET TABLESPACE elsewhere');
wait_for_workers('school,twin', 'and moved');
$node->safe_psql('postgres', 'DROP DATABASE twin');
wait_for_workers('school', 'and dropped');

# Another's database is not for everybody to send the worker away from.
my $pid = $node->safe_psql('school', 'SELECT pid FROM wc_live_status()');
$node->safe_psql('postgres', 'CREATE ROLE stranger CREATEDB');
for my $statement ('DROP DATABASE school', 'ALTER DATABASE school RENAME TO mine', 'CREATE DATABASE mine TEMPLATE school') {
    my (undef, $state) = try_sql($node, 'postgres', "SET ROLE stranger; $statement");
    is($state, '42501', "$statement is refused");
}
is($node->safe_psql('school', 'SELECT pid FROM wc_live_status()'), $pid, 'and the worker has stayed');

# A worker that was ended comes back.
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$node->poll_query_until('school', "SELECT pid <> $pid FROM wc_live_status()");
wait_for_workers('school', 'one that was terminated is started again');
my $launcher = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross live launcher'});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
ok( $node->poll_query_until(
        'postgres',
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross live launcher' AND pid <> $launcher"),
    'so is the launcher');
$node->safe_psql('postgres', 'ALTER DATABASE school RESET whitecross.live_refresh');
wait_for_workers('', 'and the new one knows the workers of the old one');

# --- Idle: no transaction, no snapshot

$node->safe_psql('postgres', 'ALTER DATABASE school SET whitecross.live_refresh = on');
wait_for_workers('school', 'on');
ok( $node->poll_query_until(
        'postgres', q{SELECT state = 'idle' AND xact_start IS NULL AND backend_xmin IS NULL
                        FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh'}),
    'an idle worker holds back no vacuum');

# --- Nothing but the settings of the database counts

is($node->safe_psql('school', 'SET whitecross.live_refresh = off; SELECT switched_on FROM wc_live_status()'), 't', 'what a session sets does not');
is($node->safe_psql('other', 'SET whitecross.live_refresh = on; SELECT switched_on FROM wc_live_status()'), 'f', 'either way');
my (undef, $denied) = try_sql($node, 'other', 'SET ROLE stranger; SET whitecross.live_refresh = on');
is($denied, '42501', 'and who is no superuser may not even set it');

# --- A worker that does not get on

my $said = q{SELECT concat_ws(': ', status, detail) FROM wc_health_check() WHERE check_name = 'live mode'};
ok($node->poll_query_until('school', 'SELECT behind_since IS NULL FROM wc_live_status()'), 'the worker has done all there was');
like($node->safe_psql('school', $said), qr/^ok: /, 'with which the health check is content');
my $stuck = $node->safe_psql('school', 'SELECT pid FROM wc_live_status()');
kill 'STOP', $stuck;
my $moment = $node->safe_psql('school', 'SELECT clock_timestamp()');
$node->safe_psql('school', q{UPDATE students SET "firstName" = 'Marker' WHERE id = (SELECT id FROM students ORDER BY id LIMIT 1)});
is($node->safe_psql('school', "SELECT ($said) LIKE 'ok: %' OR clock_timestamp() > timestamptz '$moment' + interval '10 seconds'"), 't',
    'a moment after a commit nothing is wrong');
ok($node->poll_query_until('school', "SELECT ($said) LIKE 'warning: the views are behind by what was committed since %'"),
    'ten seconds later the health check says since when the views are behind');
kill 'CONT', $stuck;
ok($node->poll_query_until('school', "SELECT ($said) LIKE 'ok: %'"), 'until the worker has caught up');
is($node->safe_psql('school', q{SELECT count(*) FROM mv_student_health_summary WHERE "firstName" = 'Marker'}), '1', 'as it has');

# --- The end of the server

$node->stop('smart');
$node->start;
wait_for_workers('school', 'a start of the server starts it');
$node->stop('fast');
$node->start;
wait_for_workers('school', 'again');
$node->stop('immediate');
$node->start;
wait_for_workers('school', 'after a crash too');

# --- Where no process can be started

$node->adjust_conf('postgresql.conf', 'max_worker_processes', '3'); # the launcher's, that of logical replication, the monitor's
$node->restart;
ok( $node->poll_query_until('school', q{SELECT switched_on AND state = 'stopped' FROM wc_live_status()}),
    'without a free slot for a process no worker runs');
is($node->safe_psql('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'live mode'}), 'warning', 'which the health check tells');
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '4');
$node->restart;
wait_for_workers('school', 'one slot is enough: for the scout, and then for the worker');
$node->safe_psql('postgres', 'ALTER DATABASE other SET whitecross.live_refresh = on');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|ERROR:  (?!permission denied|must be owner)/, 'nothing unexpected in the log');
done_testing();

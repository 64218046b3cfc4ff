# Schedules from a database that is not pg_cron's: after commit, never on rollback, and errors before the commit.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('elsewhere', preload => 'pg_cron,whitecross', allows_streaming => 1, conf => "max_prepared_transactions = 2\nsynchronous_standby_names = 'missing'\nsynchronous_commit = local\n");
$node->safe_psql('postgres', 'CREATE ROLE nurse LOGIN');
make_database($node, 'school', 'platform', students => 20);

# Jobs of a database, as pg_cron has them.
sub jobs {
    my ($database) = @_;
    return $node->safe_psql('postgres', <<"SQL");
SELECT string_agg(jobname || ' ' || username || ' ' || command, E'\\n' ORDER BY jobname) FROM cron.job WHERE database = '$database'
SQL
}

# No worker of ours is left: what was to happen after a commit or a rollback has happened.
sub settle {
    ok($node->poll_query_until('postgres',
            q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'whitecross schedule')}),
        'the worker has ended');
    return;
}

my ($out, $state, $message) = try_sql($node, 'school', 'SELECT * FROM wc_schedule()');
is($state, '55000', 'without the extension pg_cron over there the commit fails');
like($message, qr/extension "pg_cron" is not installed in database "postgres".*HINT:\s+Connect to database "postgres" and run CREATE EXTENSION pg_cron/s,
    'and says what to do');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), 0, 'CREATE EXTENSION whitecross in another database scheduled nothing');

my $all = join "\n", map { "whitecross school $_ postgres CALL public.wc_run_schedule('$_')" } qw(daily hourly six_hourly);

# Rolled back: whole, in a subtransaction, by an error at commit after ours.
$node->safe_psql('school', 'BEGIN; SELECT wc_schedule(); ROLLBACK');
settle();
is(jobs('school'), '', 'nothing is scheduled by a transaction that rolls back');
$node->safe_psql('school', 'BEGIN; SAVEPOINT s; SELECT wc_schedule(); ROLLBACK TO s; COMMIT');
$node->safe_psql('school', 'DO $$ BEGIN PERFORM wc_schedule(); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $$');
settle();
is(jobs('school'), '', 'nor by a subtransaction that does');
$node->safe_psql('school', q{
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)});
(undef, $state) = try_sql($node, 'school', 'BEGIN; INSERT INTO child VALUES (1); SELECT wc_schedule(); COMMIT');
is($state, '23503', 'a commit that fails');
settle();
is(jobs('school'), '', 'schedules nothing either');

# Committed.
is($node->safe_psql('school', 'SELECT string_agg(DISTINCT status, $$,$$) FROM wc_schedule()'), 'at commit', 'jobs are promised for the commit');
settle();
is(jobs('school'), $all, 'and are there after it');
$node->safe_psql('school', 'BEGIN; SAVEPOINT s; SELECT wc_unschedule(); RELEASE s; SELECT wc_schedule(); SAVEPOINT t; SELECT wc_unschedule(); ROLLBACK TO t; COMMIT');
settle();
is(jobs('school'), $all, 'of several changes in one transaction the last that was kept wins');

$node->safe_psql('school', q{
    DO $$ BEGIN
      FOR i IN 1 .. 1000 LOOP
        BEGIN PERFORM wc_unschedule(); PERFORM wc_schedule(); PERFORM wc_set_schedule('allergy_summary', 'hourly');
        EXCEPTION WHEN division_by_zero THEN NULL; END;
      END LOOP;
    END $$});
settle();
is(jobs('school'), $all, 'a thousand times in one transaction is like once');

# One right after the other, whatever the isolation level over there: each sees what the one before has done.
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'});
$node->safe_psql('school', join "\n", ('SELECT wc_unschedule();', 'SELECT wc_schedule();') x 20);
settle();
is(jobs('school'), $all, 'changes in a row');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET default_transaction_isolation');

# The worker waits for the caller's commit; here one that takes long, since it waits for a standby that isn't there. (It isn't from the
# start: where the setting changes it is the checkpointer that makes commits wait, in its own time.)
my ($answer, $errors) = ('', '');
my $timer  = IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default);
my $commit = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('school'),
        '-c', 'BEGIN; SET LOCAL synchronous_commit = on; INSERT INTO parent VALUES (1); SELECT wc_unschedule(); COMMIT' ], '>', \$answer, '2>', \$errors, $timer);
ok($node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'whitecross schedule' AND wait_event = 'transactionid')}),
    'while the commit is not complete the worker waits for it');
is(jobs('school'), $all, 'and nothing has changed');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
$commit->finish;
settle();
is(jobs('school'), '', 'when it is complete the jobs are changed');

# Schedules of views, and the role of the jobs.
$node->safe_psql('school', q{SELECT wc_set_schedule('allergy_summary', 'six_hourly')});
settle();
is(jobs('school'), '', 'wc_set_schedule() alone schedules nothing');
$node->safe_psql('school', q{
    GRANT EXECUTE ON PROCEDURE wc_run_schedule(text) TO nurse; GRANT EXECUTE ON FUNCTION wc_refresh_due(text) TO nurse;
    SELECT wc_schedule(run_as => 'nurse')});
settle();
is(jobs('school'), $all =~ s/ postgres / nurse /gr, 'jobs run as the role that was named');
$node->safe_psql('school', q{SELECT wc_set_schedule('appointment_statistics', 'off')});
settle();
is(jobs('school'), join("\n", grep { !/daily/ } split /\n/, $all) =~ s/ postgres / nurse /gr, 'jobs follow wc_set_schedule(), and keep their role');

# A real job in this database.
$node->safe_psql('postgres', q{SELECT cron.alter_job(jobid, schedule => '* * * * *') FROM cron.job WHERE jobname = 'whitecross school hourly'});
my $log = q{SELECT count(*) > 0 FROM wc_refresh_log WHERE origin = 'schedule' AND status = 'refreshed'};
ok($node->poll_query_until('school', $log), 'a job refreshes the views of a database that is not pg_cron\'s');

# Refused, and impossible.
(undef, $state) = try_sql($node, 'school', q{BEGIN; SELECT wc_unschedule(); PREPARE TRANSACTION 'p'});
is($state, '0A000', 'PREPARE TRANSACTION is refused');
(undef, $state) = try_sql($node, 'school', q{BEGIN READ ONLY; SELECT wc_unschedule()});
is($state, '25006', 'and a read-only transaction');
$node->append_conf('postgresql.conf', 'max_worker_processes = 2'); # the launchers of logical replication and of pg_cron
$node->restart;
(undef, $state, $message) = try_sql($node, 'school', 'BEGIN; CREATE TABLE not_kept (); SELECT wc_unschedule(); COMMIT');
is($state, '53000', 'with no slot for a worker the commit fails');
like($message, qr/HINT:.*max_worker_processes/, 'with a hint');
is($node->safe_psql('school', 'SELECT to_regclass($$not_kept$$) IS NULL'), 't', 'and the transaction is rolled back');
$node->append_conf('postgresql.conf', 'max_worker_processes = 24');
$node->restart;

# A lock over there: the commit fails when whitecross.lock_timeout is over, and nothing hangs.
my $blocker = '';
my $lock_in = "BEGIN; LOCK TABLE cron.job IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n";
my $lock = IPC::Run::start([ 'psql', '-X', '-At', '-d', $node->connstr('postgres') ], '<', \$lock_in, '>', \$blocker, '2>', \$errors, $timer);
$lock->pump until $blocker =~ /locked/;
(undef, $state) = try_sql($node, 'school', q{SET whitecross.lock_timeout = '200ms'; SELECT wc_unschedule()});
is($state, '55P03', 'what pg_cron\'s tables lock out fails within the lock timeout');
my $cancelled = '';
my $waiting = IPC::Run::start([ 'psql', '-X', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('school'),
        '-c', 'SET whitecross.lock_timeout = 0', '-c', 'SELECT wc_unschedule()' ], '>', \$answer, '2>', \$cancelled, $timer);
ok($node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'whitecross schedule' AND wait_event_type = 'Lock')}),
    'without a timeout the commit waits');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT wc_unschedule'});
$waiting->finish;
like($cancelled, qr/57014/, 'until it is cancelled');
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'whitecross schedule')}),
    'which ends the worker too, although the lock is still held');
$lock_in = "ROLLBACK;\n\\q\n";
$lock->finish;
settle();

# The database of pg_cron is gone.
$node->append_conf('postgresql.conf', "cron.database_name = 'nowhere'");
$node->restart;
(undef, $state, $message) = try_sql($node, 'school', 'SELECT * FROM wc_schedule()');
is($state, '55000', 'a database of pg_cron that does not exist is an error');
is($node->safe_psql('school', 'DROP EXTENSION whitecross; SELECT count(*) FROM pg_extension WHERE extname = $$whitecross$$'), 0, 'which does not stop DROP EXTENSION');

done_testing();

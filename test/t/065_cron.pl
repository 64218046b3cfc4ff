# Schedules in the database of pg_cron: jobs from CREATE EXTENSION on, a job that runs, one that fails, what follows what.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('cron', preload => 'pg_cron,whitecross', cron_database => 'school');
$node->safe_psql('postgres', 'CREATE ROLE nurse LOGIN; CREATE ROLE clerk; CREATE ROLE weak');

# Scheduled right away, because pg_cron is in this database and views were installed.
make_database($node, 'school', 'reference', students => 50, extensions => ['pg_cron']);
my $jobs = 'SELECT jobname, schedule, command, username, database, active FROM cron.job ORDER BY jobname';
is( $node->safe_psql('school', $jobs), <<'END' =~ s/\n\z//r, 'CREATE EXTENSION schedules the views that it installed');
whitecross school daily|0 * * * *|CALL public.wc_run_schedule('daily')|postgres|school|t
whitecross school hourly|0 * * * *|CALL public.wc_run_schedule('hourly')|postgres|school|t
whitecross school six_hourly|0 */6 * * *|CALL public.wc_run_schedule('six_hourly')|postgres|school|t
END

is($node->safe_psql('school', 'SELECT string_agg(DISTINCT status, $$,$$) FROM wc_schedule()'),
    'unchanged', 'scheduling again changes nothing');

# A real job, at the next minute rather than the next hour.
$node->safe_psql('school', q{SELECT cron.alter_job(jobid, schedule => '* * * * *') FROM cron.job});
ok($node->poll_query_until('school', q{SELECT count(DISTINCT view_name) = 5 FROM wc_refresh_log
     WHERE origin = 'schedule' AND status = 'refreshed'}), 'jobs of pg_cron refresh all five views with origin schedule');
ok($node->poll_query_until('school', q{SELECT count(*) = 3 FROM wc_scheduled_jobs() WHERE last_status = 'succeeded'}),
    'pg_cron reports success');
is($node->safe_psql('school', q{SELECT count(*) FROM wc_view_stats() WHERE refreshed_by = 'schedule'}),
    5, 'wc_view_stats() tells that the schedule did it');
is($node->safe_psql('school', q{SELECT string_agg(check_name, ',') FROM wc_health_check() WHERE check_name ~ 'schedul|library' AND status <> 'ok'}),
    '', 'the health check finds the schedule in order');

# A view that can't be refreshed makes the job fail, and what else the job refreshed stays.
$node->safe_psql('school', q{ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO weak});
my $before = $node->safe_psql('school', 'SELECT coalesce(max(id), 0) FROM wc_refresh_log');
ok($node->poll_query_until('school', q{SELECT EXISTS (SELECT FROM wc_scheduled_jobs() WHERE job_name ~ 'hourly' AND last_status = 'failed')}),
    'the job fails when a view fails');
is($node->safe_psql('school', qq{SELECT DISTINCT view_name, status, sqlstate FROM wc_refresh_log WHERE id > $before AND view_name ~ 'allergy|medication' AND status <> 'skipped' ORDER BY 1}),
    "mv_allergy_summary|failed|42501\nmv_medication_schedule|refreshed|", 'the other views of the job are refreshed all the same');
is($node->safe_psql('school', q{SELECT string_agg(DISTINCT check_name, ',' ORDER BY check_name) FROM wc_health_check()
      WHERE status <> 'ok' AND check_name NOT IN (SELECT s.check_name FROM wc_server_health() AS s)}),
    'last refresh,last scheduled run,view owners', 'the health check names the view and the job');
my (undef, $state, $message) = try_sql($node, 'school', q{CALL wc_run_schedule('hourly')});
like($message, qr/could not refresh mv_allergy_summary \(insufficient_privilege/, 'the error names the view and the condition');
$node->safe_psql('school', q{ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO postgres});

(undef, $state, $message) = try_sql($node, 'school', q{CALL wc_run_schedule('weekly')});
is($state, '22023', 'an unknown schedule is refused');

# Jobs back to their own times; a view moves to another schedule, and the jobs follow.
is($node->safe_psql('school', 'SELECT string_agg(DISTINCT status, $$,$$) FROM wc_schedule()'),
    'scheduled', 'wc_schedule() puts altered jobs right');
$node->safe_psql('school', q{SELECT wc_set_schedule('appointment_statistics', 'daily', '03:20')});
is($node->safe_psql('school', q{SELECT schedule FROM cron.job WHERE jobname = 'whitecross school daily'}),
    '20 * * * *', 'the daily job runs at the minute of the view');
$node->safe_psql('school', q{SELECT wc_configure('timezone', 'Asia/Kathmandu')});
$node->safe_psql('school', q{SELECT wc_set_schedule('appointment_statistics', 'daily')});
is($node->safe_psql('school', q{SELECT schedule FROM cron.job WHERE jobname = 'whitecross school daily'}),
    '15 * * * *', 'in a zone 5:45 ahead of pg_cron it runs a quarter past');
$node->safe_psql('school', q{SELECT wc_set_schedule('appointment_statistics', 'off')});
is($node->safe_psql('school', q{SELECT string_agg(jobname, ',' ORDER BY jobname) FROM cron.job}),
    'whitecross school hourly,whitecross school six_hourly', 'a group without a view has no job');
$node->safe_psql('school', q{UPDATE cron.job SET active = false WHERE jobname ~ 'six'; SELECT wc_set_schedule('appointment_statistics', 'six_hourly')});
is($node->safe_psql('school', q{SELECT active FROM cron.job WHERE jobname ~ 'six'}), 'f', 'a job that the site switched off stays off');
is($node->safe_psql('school', q{SELECT detail FROM wc_health_check() WHERE check_name = 'schedule' AND status = 'warning'}),
    'job "whitecross school six_hourly" is switched off', 'and the health check says so');

# All in the caller's transaction.
$node->safe_psql('school', 'BEGIN; SELECT wc_unschedule(); ROLLBACK');
is($node->safe_psql('school', 'SELECT count(*) FROM cron.job'), 2, 'a rolled-back wc_unschedule() changes nothing');
$node->safe_psql('school', q{SELECT cron.schedule('ours', '0 0 1 1 *', 'SELECT 1')});
$node->safe_psql('school', 'SELECT wc_unschedule()');
is($node->safe_psql('school', 'SELECT jobname FROM cron.job'), 'ours', 'wc_unschedule() removes our jobs and no other');
$node->safe_psql('school', q{SELECT wc_set_schedule('appointment_statistics', 'daily')});
is($node->safe_psql('school', 'SELECT jobname FROM cron.job'), 'ours', 'wc_set_schedule() alone schedules nothing');

# The jobs' role.
(undef, $state) = try_sql($node, 'school', q{SELECT wc_schedule(run_as => 'nobody')});
is($state, '42704', 'a role that does not exist is refused');
(undef, $state) = try_sql($node, 'school', q{SELECT wc_schedule(run_as => 'clerk')});
is($state, '55000', 'a role that cannot log in is refused');
(undef, $state, $message) = try_sql($node, 'school', q{SELECT wc_schedule(run_as => 'nurse')});
is($state, '42501', 'a role that may not run the refresh is refused');
my ($hint) = $message =~ /HINT:\s+(GRANT.*;)/;
$node->safe_psql('school', $hint);
$node->safe_psql('school', q{SELECT wc_schedule(run_as => 'nurse')});
is($node->safe_psql('school', q{SELECT DISTINCT username FROM cron.job WHERE jobname ~ 'whitecross'}), 'nurse', 'with the GRANT of the hint it is taken');
$node->safe_psql('school', 'SELECT wc_schedule()');
is($node->safe_psql('school', q{SELECT DISTINCT username FROM cron.job WHERE jobname ~ 'whitecross'}), 'nurse', 'wc_schedule() keeps the role');
(undef, $state) = try_sql($node, 'school', 'SET ROLE nurse; SELECT * FROM wc_schedule()');
is($state, '42501', 'a role without EXECUTE may not schedule');

# With views away the job finds nothing to do, and says so in the log only.
$node->safe_psql('school', 'SELECT wc_suspend_views()');
$before = $node->safe_psql('school', 'SELECT max(id) FROM wc_refresh_log');
$node->safe_psql('school', q{CALL wc_run_schedule('hourly')});
is($node->safe_psql('school', qq{SELECT DISTINCT view_name, status, origin FROM wc_refresh_log WHERE id > $before AND view_name ~ 'allergy'}),
    'mv_allergy_summary|skipped|schedule', 'a suspended view is skipped');

# As that role, over a connection of its own (not in a background worker): CALL with a COMMIT inside works there as well.
$node->append_conf('postgresql.conf', "cron.use_background_workers = off\ncron.host = '" . $node->host . "'");
$node->restart;
$node->safe_psql('school', q{SELECT wc_install(); SELECT wc_unschedule(); SELECT wc_schedule(run_as => 'nurse')});
$node->safe_psql('school', q{SELECT cron.alter_job(jobid, schedule => '@reboot') FROM cron.job WHERE jobname ~ ' hourly'});
$before = $node->safe_psql('school', 'SELECT max(id) FROM wc_refresh_log');
$node->restart;
ok($node->poll_query_until('school', qq{SELECT count(DISTINCT view_name) = 3 FROM wc_refresh_log
     WHERE id > $before AND origin = 'schedule' AND status = 'refreshed'}), 'a job runs over a connection of its own');
ok($node->poll_query_until('school', q{SELECT EXISTS (SELECT FROM wc_scheduled_jobs()
     WHERE job_name ~ ' hourly' AND run_as = 'nurse' AND last_status = 'succeeded' AND last_start > pg_postmaster_start_time())}),
    'as a role that has only those grants');

# Without pg_cron.
$node->safe_psql('school', 'SELECT wc_unschedule()');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'whitecross'");
$node->restart;
(undef, $state, $message) = try_sql($node, 'school', 'SELECT * FROM wc_schedule()');
is($state, '55000', 'wc_schedule() without pg_cron is an error');
like($message, qr/HINT:.*shared_preload_libraries = 'pg_cron,whitecross'.*cron\.database_name/, 'whose hint gives the lines for postgresql.conf');
is($node->safe_psql('school', 'SELECT count(*) FROM wc_unschedule()'), 0, 'wc_unschedule() has nothing to do');
is($node->safe_psql('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'schedule'}), 'warning', 'the health check warns');
is($node->safe_psql('school', 'SELECT wc_healthy()'), 't', 'and the database is healthy');
$node->safe_psql('school', q{SELECT wc_set_schedule('allergy_summary', 'six_hourly')});
is($node->safe_psql('school', 'DROP EXTENSION whitecross; SELECT count(*) FROM pg_class WHERE relkind = $$m$$'), 0, 'DROP EXTENSION works');

done_testing();

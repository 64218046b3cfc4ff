# Live mode: what is committed shows, and so does what time alone changes; nobody waits for the worker, and it survives what
# goes wrong.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('live_changes', allows_streaming => 'logical', conf => "max_prepared_transactions = 4\n");
make_database($node, 'school', 'reference', students => 100);
$node->safe_psql('school', 'SELECT wc_install()');

sub sql { return $node->safe_psql('school', $_[0]) }

sub eventually {
    my ($query, $name) = @_;
    ok($node->poll_query_until('school', $query), $name) or diag(sql('SELECT * FROM wc_live_status()'));
    return;
}

# Until the worker has taken up everything and sleeps until a moment to come.
my $quiet = q{SELECT state = 'running' AND behind_since IS NULL AND coalesce(next_moment > clock_timestamp(), false) FROM wc_live_status()};

$node->safe_psql('postgres', 'ALTER DATABASE school SET whitecross.live_refresh = on');
eventually($quiet, 'the worker runs, and has nothing to do');

# --- Commits

my $student = sql('SELECT min("studentId"::text) FROM mv_allergy_summary');
sql(qq{UPDATE students SET "firstName" = 'Zora' WHERE id::text = '$student'});
eventually(qq{SELECT "firstName" = 'Zora' FROM mv_compliance_status WHERE "studentId"::text = '$student'}, 'a commit shows');
eventually($quiet, 'and the worker comes to rest');
is(sql(q{SELECT string_agg(DISTINCT last_mode, ',') FROM wc_view_state}), 'incremental', 'it refreshes by keys');
is(sql(q{SELECT count(*) FROM wc_refresh_log WHERE origin = 'live' AND mode = 'incremental'}), '0', 'without a row in the log for each');
cmp_ok(sql(q{SELECT refreshes FROM wc_view_state WHERE view_name = 'mv_compliance_status'}), '>=', 2, 'but counted');

sql(qq{BEGIN; UPDATE students SET "firstName" = 'Yuri' WHERE id::text = '$student'; PREPARE TRANSACTION 'renamed'});
sql(q{COMMIT PREPARED 'renamed'});
eventually(qq{SELECT "firstName" = 'Yuri' FROM mv_compliance_status WHERE "studentId"::text = '$student'}, 'COMMIT PREPARED too');

# What the change log does not tell: triggers switched off for a while.
$node->safe_psql('school', <<"SQL");
ALTER TABLE students DISABLE TRIGGER ALL;
UPDATE students SET "firstName" = 'Walter' WHERE id::text = '$student';
ALTER TABLE students ENABLE TRIGGER ALL;
SQL
eventually(qq{SELECT "firstName" = 'Walter' FROM mv_compliance_status WHERE "studentId"::text = '$student'},
    'what was written while the triggers were switched off shows');
cmp_ok(sql(q{SELECT count(*) FROM wc_refresh_log WHERE origin = 'live' AND mode = 'concurrent' AND status = 'refreshed'}), '>=', 1,
    'by refreshes of whole views, and these are logged');
sql('TRUNCATE appointments');
eventually('SELECT count(*) = 0 FROM mv_appointment_statistics', 'TRUNCATE shows');
eventually($quiet, 'quiet again');

# --- Nobody waits for it, and it waits for nobody in particular

my $holder = $node->background_psql('school');
$holder->query_safe('BEGIN; REFRESH MATERIALIZED VIEW mv_student_health_summary');
sql(qq{UPDATE students SET "firstName" = 'Vera' WHERE id::text = '$student'});
eventually(qq{SELECT "firstName" = 'Vera' FROM mv_compliance_status WHERE "studentId"::text = '$student'},
    'while a session holds one view, the others are kept true');
sql(qq{UPDATE students SET "firstName" = 'Ugo' WHERE id::text = '$student'});
eventually(qq{SELECT "firstName" = 'Ugo' FROM mv_compliance_status WHERE "studentId"::text = '$student'}, 'again and again');
ok(sql('SELECT behind_since IS NOT NULL FROM wc_live_status()') eq 't', 'the status tells that something is behind');
$holder->query_safe('COMMIT');
$holder->quit;
eventually(qq{SELECT "firstName" = 'Ugo' FROM mv_student_health_summary WHERE "studentId"::text = '$student'}, 'the held view follows');
eventually($quiet, 'quiet again');

# In the midst of a refresh it can be ended, and sent away; that is no failure of the view.
$holder = $node->background_psql('school');
$holder->query_safe('BEGIN; LOCK TABLE vaccinations IN ACCESS EXCLUSIVE MODE');
my $stuck = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh' AND wait_event_type = 'Lock'};
sql(qq{UPDATE students SET "firstName" = 'Otto' WHERE id::text = '$student'});
eventually($stuck, 'a refresh waits for a base table');
my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh'});
sql("SELECT pg_terminate_backend($pid)");
eventually(qq{SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid}, 'the worker can be ended meanwhile');
eventually($stuck, 'the next one waits again');
sql('ALTER DATABASE school RESET whitecross.live_refresh');
eventually(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh'}, 'and can be sent away');
sql('ALTER DATABASE school SET whitecross.live_refresh = on');
$holder->query_safe('COMMIT');
$holder->quit;
eventually(qq{SELECT "firstName" = 'Otto' FROM mv_compliance_status WHERE "studentId"::text = '$student'}, 'the change shows when the table is free');
eventually($quiet, 'quiet again');
is(sql(q{SELECT count(*) FROM wc_refresh_log WHERE origin = 'live' AND sqlstate IN ('57P01', '57014')}), '0', 'the log has no failure');

# --- A view that can't be refreshed

sql('DROP INDEX mv_allergy_summary_pkey');
sql(qq{UPDATE students SET "firstName" = 'Tess' WHERE id::text = '$student'});
eventually(q{SELECT sqlstate = '55000' FROM wc_live_status()}, 'a view that fails is told of by its SQLSTATE');
is(sql(q{SELECT DISTINCT view_name || ' ' || status FROM wc_refresh_log WHERE origin = 'live' AND sqlstate = '55000'}),
    'mv_allergy_summary failed', 'and in the log');
eventually(qq{SELECT "firstName" = 'Tess' FROM mv_compliance_status WHERE "studentId"::text = '$student'}, 'the others go on');
sql(q{SELECT wc_install('view index')});
eventually(qq{SELECT "firstName" = 'Tess' FROM mv_allergy_summary WHERE "studentId"::text = '$student'}, 'it is tried again, and mends');
eventually($quiet, 'quiet again');
is(sql('SELECT sqlstate IS NULL FROM wc_live_status()'), 't', 'and the failure is forgotten');
is(sql(q{SELECT status FROM wc_health_check() WHERE check_name = 'live mode'}), 'ok', 'the health check finds nothing');

# --- Time alone

# What time changes is to be seen before that moment: on a machine where it has come first, there is another, later one.
my @seconds_ahead = (4, 16, 64, 150);
sub before_the_moment {
    my ($prepare, $seen, $name) = @_;
    my $there = '';
    for my $seconds (@seconds_ahead) {
        my ($moment, @rest) = $prepare->($seconds);
        $node->poll_query_until('school', 'SELECT (' . $seen->(@rest) . ") OR clock_timestamp() >= timestamptz '$moment'");
        $there = sql('SELECT (' . $seen->(@rest) . ") AND clock_timestamp() < timestamptz '$moment'");
        next if $there ne 't';
        pass($name);
        return @rest;
    }
    fail($name);
    diag(sql('SELECT * FROM wc_live_status()'));
    return;
}

# A dose that comes due thirty minutes before its time, which is in a few seconds from here.
my ($medication) = before_the_moment(
    sub {
        my ($seconds) = @_;
        my ($row) = split /\n/, sql(<<"SQL");
WITH moment AS (SELECT date_trunc('second', now() + interval '$seconds seconds') AS due)
UPDATE student_medications SET "isActive" = true, "startDate" = current_date - 2, "endDate" = NULL,
       "scheduledTimes" = ARRAY[to_char((moment.due + interval '30 minutes') AT TIME ZONE (SELECT value FROM wc_configuration WHERE name = 'timezone'), 'HH24:MI:SS')]
  FROM moment WHERE id = (SELECT "studentMedicationId" FROM mv_medication_schedule ORDER BY 1 LIMIT 1)
RETURNING moment.due, id
SQL
        return split /\|/, $row;
    },
    sub {
        my ($medication) = @_;
        return qq{SELECT coalesce(bool_and(state = 'running' AND behind_since IS NULL AND s.clock > now() - interval '1 minute'), false)
             FROM wc_live_status(), wc_view_state AS s WHERE s.view_name = 'mv_medication_schedule'
              AND EXISTS (SELECT FROM mv_medication_schedule WHERE "studentMedicationId" = '$medication' AND NOT "isDueNow")};
    },
    'a dose that is not due yet');
eventually(qq{SELECT "isDueNow" FROM mv_medication_schedule WHERE "studentMedicationId" = '$medication'}, 'comes due without any write');
diag('a dose shows isDueNow after its moment by '
      . sql(qq{SELECT s.last_refresh - (m."nextScheduledTime" - interval '30 minutes') FROM mv_medication_schedule AS m, wc_view_state AS s
               WHERE m."studentMedicationId" = '$medication' AND s.view_name = 'mv_medication_schedule'}));

# A vaccination turns overdue at midnight. The zone is made so that the site's midnight is some seconds from now; POSIX counts
# offsets to the west.
my ($zone, $today, $vaccinated) = before_the_moment(
    sub {
        my ($ahead) = @_;
        $ahead += 20; # the views are made anew for it
        my ($seconds, $midnight) = split /\|/, sql(qq{SELECT extract(epoch FROM m)::bigint % 86400, m FROM date_trunc('second', now() + interval '$ahead seconds') AS m});
        my $east = $seconds > 43200 ? '-' : '';
        $seconds = 86400 - $seconds if $east;
        my $zone = sprintf 'SITE%s%d:%02d:%02d', $east, int($seconds / 3600), int($seconds / 60) % 60, $seconds % 60;
        sql("SELECT wc_configure('timezone', '$zone'); SELECT wc_install()");
        my ($row) = split /\n/, sql(<<"SQL");
WITH chosen AS (
  SELECT "studentId", "nextVaccinationDue" FROM mv_compliance_status
   WHERE "overdueVaccinations" = 0 AND "nextVaccinationDue" IS NOT NULL ORDER BY "studentId" LIMIT 1)
UPDATE vaccinations AS v SET "nextDueDate" = (timestamptz '$midnight' AT TIME ZONE '$zone')::date - 1
  FROM chosen WHERE v."studentId" = chosen."studentId" AND v."nextDueDate" = chosen."nextVaccinationDue" AND v."deletedAt" IS NULL
RETURNING (timestamptz '$midnight' AT TIME ZONE '$zone')::date - 1, v."studentId"
SQL
        return ($midnight, $zone, split /\|/, $row);
    },
    sub {
        my ($zone, $today, $vaccinated) = @_;
        return qq{SELECT coalesce(bool_and("nextVaccinationDue" = '$today' AND "overdueVaccinations" = 0), false) FROM mv_compliance_status WHERE "studentId" = '$vaccinated'};
    },
    'a vaccination is due today');
eventually(qq{SELECT "overdueVaccinations" > 0 FROM mv_compliance_status WHERE "studentId" = '$vaccinated'},
    'and turns overdue at midnight without any write');
is(sql(qq{SELECT (now() AT TIME ZONE '$zone')::date - '$today'}), '1', 'which it is by the clocks of the site');
is(sql(q{SELECT last_mode FROM wc_view_state WHERE view_name = 'mv_compliance_status'}), 'incremental', 'by the keys of those that do');
eventually($quiet, 'quiet again');

is(sql('SELECT coalesce(sum(missing + extra + pending), -1) FROM wc_verify()'), '0', 'the views are what their definitions say');

# --- Many writers at once

my $script = PostgreSQL::Test::Utils::tempdir . '/writes.sql';
append_to_file($script, <<'SQL');
\set n random(0, 99)
UPDATE students SET "firstName" = 'Name ' || :n WHERE id = (SELECT id FROM students ORDER BY id LIMIT 1 OFFSET :n);
UPDATE student_medications SET "dosage" = (:n + 1) || ' mg' WHERE id = (SELECT id FROM student_medications ORDER BY id LIMIT 1 OFFSET :n % 10);
SQL
$node->command_ok([ 'pgbench', '--no-vacuum', '--client=8', '--transactions=100', "--file=$script", 'school' ], 'eight sessions write as fast as they can');
eventually($quiet, 'and the worker keeps up, or catches up');
is(sql('SELECT sum(missing + extra + pending) FROM wc_verify()'), '0', 'all of it is in the views');
is(sql(q{SELECT count(*) FROM wc_refresh_log WHERE origin = 'live' AND status = 'failed' AND view_name <> 'mv_allergy_summary'}), '0',
    'and no refresh has failed but those that were to');

# --- A standby has no worker, until it is promoted

$node->backup('live');
my $standby = PostgreSQL::Test::Cluster->new('live_standby');
$standby->init_from_backup($node, 'live', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('school', 'SELECT switched_on, state FROM wc_live_status()'), 't|standby', 'a standby has no worker, and says so');
is($standby->safe_psql('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'live mode'}), 'ok', 'and nothing is wrong with that');
$standby->promote;
ok($standby->poll_query_until('school', $quiet), 'after the promotion it has one');
$standby->safe_psql('school', qq{UPDATE students SET "firstName" = 'Sam' WHERE id::text = '$student'});
ok($standby->poll_query_until('school', qq{SELECT "firstName" = 'Sam' FROM mv_compliance_status WHERE "studentId"::text = '$student'}),
    'which keeps the views true');

# --- A subscriber: changes come by apply, prepared transactions of the publisher too

my $connection = $standby->connstr . ' dbname=school';
$standby->safe_psql('school', 'CREATE PUBLICATION names FOR TABLE students');
sql("CREATE SUBSCRIPTION names CONNECTION '$connection' PUBLICATION names WITH (copy_data = false, two_phase = on)");
$node->wait_for_subscription_sync($standby, 'names', 'school');
$standby->safe_psql('school', qq{UPDATE students SET "firstName" = 'Rita' WHERE id::text = '$student'});
eventually(qq{SELECT "firstName" = 'Rita' FROM mv_compliance_status WHERE "studentId"::text = '$student'}, 'what logical replication brings shows');
$standby->safe_psql('school', qq{BEGIN; UPDATE students SET "firstName" = 'Quinn' WHERE id::text = '$student'; PREPARE TRANSACTION 'quinn'});
eventually('SELECT count(*) = 1 FROM pg_prepared_xacts', 'a prepared transaction arrives');
$standby->safe_psql('school', q{COMMIT PREPARED 'quinn'});
eventually(qq{SELECT "firstName" = 'Quinn' FROM mv_compliance_status WHERE "studentId"::text = '$student'}, 'and shows when it commits');
sql('DROP SUBSCRIPTION names');
$standby->stop;

$node->stop;
for my $server ($node, $standby) {
    unlike(slurp_file($server->logfile), qr/PANIC|TRAP|terminated by signal/, $server->name . ': nothing has crashed');
}
done_testing();

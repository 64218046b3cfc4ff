# What the monitor reads inside databases, of whichever version of the extension, and holds against the limits of alerts: ages of views by their
# schedules, refreshes that failed, the length of the change log. And a server whose memory for locks is full.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('readings', conf => <<'CONF');
whitecross.health_interval = 200ms
whitecross.monitor_interval = 1s
autovacuum = off
max_connections = 20
max_locks_per_transaction = 40
CONF
make_database($node, 'school', 'reference', students => 60);
make_database($node, 'old',    'reference', students => 5, whitecross => 0);
$node->safe_psql('old', q{SET client_min_messages = warning; CREATE EXTENSION whitecross VERSION '1.0.0'});

sub sql { return $node->safe_psql('school', "SET client_min_messages = warning; $_[0]") }

sub becomes {
    my ($sql, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', $sql, $expected), $name);
}

# alerts_become(NAME, EXPECTED, TEST): level, database and subject of those that are raised.
sub alerts_become {
    my ($alert, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return becomes(qq{SELECT coalesce(string_agg(concat_ws(' ', level, database, subject), ', ' ORDER BY database, subject), '') FROM wc_alerts WHERE name = '$alert'}, $expected, $name);
}

becomes('SELECT count(*) FROM wc_database_health() WHERE healthy', '2', 'both databases are healthy');
alerts_become($_, '', "no alert: $_") for 'view_age', 'refresh_failed', 'change_log';

# ---- Ages, in intervals of the schedule.
is(sql(q{SELECT string_agg(DISTINCT schedule, ',') FROM wc_view_schedule WHERE view_name IN ('mv_student_health_summary', 'mv_allergy_summary')}), 'hourly', 'schedules');
sql(q{UPDATE wc_view_state SET last_refresh = now() - interval '3 hours' WHERE view_name = 'mv_student_health_summary'});
alerts_become('view_age', 'warning school public.mv_student_health_summary', 'a view three times as old as its schedule has it');
is(sql(q{SELECT value >= 3 AND value < 3.2, "limit" FROM wc_alerts WHERE name = 'view_age'}), 't|2', 'and how old it is');
$node->safe_psql('old', q{UPDATE wc_view_state SET last_refresh = now() - interval '5 hours' WHERE view_name = 'mv_allergy_summary'});
alerts_become('view_age', 'critical old public.mv_allergy_summary, warning school public.mv_student_health_summary', 'one in a database of 1.0.0, five times as old');
sql(q{SELECT wc_refresh('student_health_summary')});
alerts_become('view_age', 'critical old public.mv_allergy_summary', 'refreshed, one is young again');
$node->safe_psql('old', q{SELECT wc_set_schedule('allergy_summary', 'off')});
alerts_become('view_age', '', 'one without a schedule can\'t be late');

# ---- Refreshes that fail.
$node->safe_psql('postgres', 'CREATE ROLE registrar');
sql('ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO registrar');
is(sql(q{SELECT status FROM wc_refresh('allergy_summary')}), 'failed', 'a refresh fails');
alerts_become('refresh_failed', 'warning school public.mv_allergy_summary', 'which is an alert');
sql(q{SELECT wc_refresh('allergy_summary') FROM generate_series(1, 2)});
alerts_become('refresh_failed', 'critical school public.mv_allergy_summary', 'three in a row are worse');
is(sql(q{SELECT value FROM wc_alerts WHERE name = 'refresh_failed'}), '3', 'they are counted');
sql(q{ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO postgres; SELECT wc_refresh('allergy_summary')});
alerts_become('refresh_failed', '', 'a good one is the end of it');

# ---- The change log, against the database's own limit.
sql('ALTER DATABASE school SET whitecross.change_log_limit = 100');
sql(q{UPDATE students SET "lastName" = 'Other' WHERE id IN (SELECT id FROM students ORDER BY id LIMIT 55)});
my $rows = sql('SELECT count(*) FROM wc_change');
cmp_ok($rows, '>', 50, 'changes are pending');
cmp_ok($rows, '<', 90, 'but not too many');
alerts_become('change_log', 'warning school school', 'more than half of what the log may have');
is(sql(q{SELECT value FROM wc_alerts WHERE name = 'change_log'}), $rows, 'in percent of the limit');
# A visitor that looks at the log just then puts off what a refresh would remove of it: the next one does.
becomes('SELECT (SELECT count(*) FROM wc_refresh_all()) > 0 AND NOT EXISTS (SELECT FROM wc_change)', 't', 'refreshes take up what is pending');
alerts_become('change_log', '', 'taken up by the views, they are gone');

# ---- What is alerted of a database ends with the extension in it.
$node->safe_psql('old', q{SELECT wc_set_schedule('allergy_summary', 'hourly')});
alerts_become('view_age', 'critical old public.mv_allergy_summary', 'an old view');
$node->safe_psql('old', 'SET client_min_messages = warning; DROP EXTENSION whitecross');
alerts_become('view_age', '', 'is nobody\'s any more');

# ---- No memory for locks: a check fails, the monitor goes on.
my $holder = $node->background_psql('school', on_error_stop => 0);
$holder->query('SELECT count(pg_advisory_lock(n)) FROM generate_series(1, 1000000) AS n');
ok($node->wait_for_log(qr/database "school" is unhealthy.*\n.*DETAIL:  .*(?:out_of_memory|could not be entered)/), 'checks that find no memory have failed');
$holder->query('SELECT pg_advisory_unlock_all()');
$holder->quit;
becomes('SELECT healthy AND reason IS NULL FROM wc_health_status()', 't', 'there is some again: healthy');

$node->stop;
done_testing();

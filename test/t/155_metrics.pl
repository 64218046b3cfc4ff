# wc_metrics and wc_prometheus(): the numbers are those of what they are taken from, the text is Prometheus' format, nothing is there twice, no
# label gets long, counters only grow, and what is not known is not there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Metrics;
use WhiteCross::Test;

my $node = new_node('metrics', allows_streaming => 1,
    conf => "max_connections = 100\nwhitecross.query_stats_max = 100\nwhitecross.n_plus_one_threshold = 5\nwhitecross.n_plus_one_window = '1min'\nwhitecross.slow_query_threshold = '1min'\nwhitecross.monitor_interval = '1s'\nautovacuum = off\nlog_min_messages = warning\n");
make_database($node, 'school', 'reference', students => 50, extensions => ['dblink']);
sub sql { my ($sql, $on) = @_; return ($on // $node)->safe_psql('school', $sql) }

# The query that says 'the same' where the series of a metric, as (labels without the database, value), are the rows of another query.
sub comparison {
    my ($name, $query) = @_;
    return <<"SQL";
WITH shown AS MATERIALIZED (SELECT m.labels - 'database' AS labels, m.value FROM wc_metrics AS m WHERE m.name = '$name'),
     truth AS MATERIALIZED (SELECT t.labels::jsonb, t.value::double precision AS value FROM ($query) AS t (labels, value)),
     odd AS ((SELECT 'shown', * FROM (TABLE shown EXCEPT ALL TABLE truth) AS s) UNION ALL (SELECT 'truth', * FROM (TABLE truth EXCEPT ALL TABLE shown) AS t))
SELECT CASE WHEN NOT EXISTS (TABLE truth) THEN 'nothing to compare' ELSE coalesce((SELECT string_agg(o::text, ' ') FROM odd AS o), 'the same') END
SQL
}

# equal(NAME, QUERY, WHAT): they are, both asked in one statement. becomes_equal: once sessions that have ended have counted what they did, and gone.
sub equal {
    my ($name, $query, $what, $on) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(sql(comparison($name, $query), $on), 'the same', "$name: $what");
}
sub becomes_equal {
    my ($name, $query, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', comparison($name, $query), 'the same'), "$name: $what");
}
sub value_of { my ($name, $labels) = @_; return sql("SELECT value FROM wc_metrics WHERE name = '$name' AND labels \@> '" . ($labels // '{}') . "'") }
sub as_label { my ($column) = @_; return "jsonb_build_object('view', $column)" }

# sound(WHAT): the text passes promtool, has what the view has, and no label of it has more than 100 values.
sub sound {
    my ($what, $on) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $text = sql('SELECT wc_prometheus()', $on);
    my ($status, $findings) = run_tool("$text\n", 'promtool', 'check', 'metrics');
    is("$status $findings", '0 ', "$what: promtool finds nothing");
    my ($series) = eval { parse_exposition($text) };
    is($@, '', "$what: each line is of the format, and no series is there twice");
    cmp_ok(scalar keys %$series, '>', 50, "$what: there are series");
    my %values;
    for my $key (keys %$series) {
        my ($name, $labels) = $key =~ /^(\w+)\{(.*)\}$/;
        $values{"$name $1"}{$2} = 1 while $labels =~ /(\w+)="((?:[^"\\]|\\.)*)"/g;
    }
    is(join(', ', grep { keys %{ $values{$_} } > 100 } sort keys %values), '', "$what: no label has more than 100 values");
    return $series;
}

# ---- The numbers, of views, refreshes, indexes.
sql(q{SELECT wc_refresh('allergy_summary'); REFRESH MATERIALIZED VIEW mv_compliance_status; DROP MATERIALIZED VIEW mv_medication_schedule CASCADE});
sql(q{SELECT wc_refresh('medication_schedule')});
sql('SELECT count(*) FROM mv_allergy_summary');
sql('SELECT "studentId" FROM mv_allergy_summary WHERE "studentId" = gen_random_uuid()') for 1 .. 3;
sql('SELECT pg_stat_force_next_flush()');
my $there = 'wc_view_stats() AS v WHERE v.size_bytes IS NOT NULL';
is(sql("SELECT count(*) FROM $there"), 4, 'one view of the five is not there');
equal('whitecross_view_populated', 'SELECT ' . as_label('v.view_name') . ", v.populated::integer FROM $there", 'as in wc_view_stats()');
equal('whitecross_view_size_bytes', 'SELECT ' . as_label('v.view_name') . ", v.size_bytes FROM $there", 'as in wc_view_stats()');
equal('whitecross_view_rows', 'SELECT ' . as_label('v.view_name') . ', v.row_count FROM wc_view_stats() AS v WHERE v.row_count IS NOT NULL', 'as in wc_view_stats()');
equal('whitecross_view_sequential_scans_total', 'SELECT ' . as_label('s.relname') . ', s.seq_scan FROM pg_stat_user_tables AS s WHERE s.relname LIKE \'mv\_%\'', 'as the server counts');
equal('whitecross_view_index_scans_total', 'SELECT ' . as_label('s.relname') . ', s.idx_scan FROM pg_stat_user_tables AS s WHERE s.relname LIKE \'mv\_%\'', 'as the server counts');
equal('whitecross_refresh_successes_total', 'SELECT ' . as_label('v.view_name') . ', v.refreshes FROM wc_view_stats() AS v', 'of all views');
equal('whitecross_refresh_failures_total', 'SELECT ' . as_label('v.view_name') . ', v.failures FROM wc_view_stats() AS v', 'of all views');
is(value_of('whitecross_refresh_failures_total', '{"view": "mv_medication_schedule"}'), 1, 'a refresh has failed');
equal('whitecross_refresh_last_age_seconds', 'SELECT ' . as_label('v.view_name') . ', extract(epoch FROM v.age) FROM wc_view_stats() AS v WHERE v.age IS NOT NULL', 'where it is known');
equal('whitecross_refresh_last_timestamp_seconds', 'SELECT ' . as_label('v.view_name') . ', extract(epoch FROM v.last_refresh) FROM wc_view_stats() AS v WHERE v.age IS NOT NULL', 'where it is known');
equal('whitecross_refresh_last_duration_seconds', 'SELECT ' . as_label('v.view_name') . ', v.last_duration_ms / 1000 FROM wc_view_stats() AS v WHERE v.age IS NOT NULL', 'where it is known');
is(sql(q{SELECT string_agg(v.view_name, ' ') FROM wc_view_stats() AS v WHERE v.age IS NULL}), 'mv_compliance_status mv_medication_schedule',
    'it is not of a view that was refreshed by hand, nor of one that is not there');
is(value_of('whitecross_refresh_last_rows_written', '{"view": "mv_allergy_summary"}'), 0, 'a refresh that found nothing changed has written nothing');
sql(q{SELECT wc_set_schedule('appointment_statistics', 'off')});
equal('whitecross_refresh_schedule_interval_seconds', q{VALUES ('{"view": "mv_student_health_summary"}', 3600), ('{"view": "mv_medication_schedule"}', 3600),
     ('{"view": "mv_allergy_summary"}', 3600), ('{"view": "mv_compliance_status"}', 21600)}, 'without the view that has no schedule');

my $largest = <<'SQL';
SELECT jsonb_build_object('schema', s.schemaname, 'table', s.relname, 'index', s.indexrelname), NUMBER FROM pg_stat_user_indexes AS s
 WHERE s.relname IN (SELECT b.table_name FROM wc_base_table AS b) OR s.relname LIKE 'mv\_%' ORDER BY pg_relation_size(s.indexrelid) DESC, s.indexrelname LIMIT 50
SQL
equal('whitecross_index_size_bytes', $largest =~ s/NUMBER/pg_relation_size(s.indexrelid)/r, 'of the 50 largest');
equal('whitecross_index_scans_total', $largest =~ s/NUMBER/s.idx_scan/r, 'as the server counts');
equal('whitecross_index_tuples_read_total', $largest =~ s/NUMBER/s.idx_tup_read/r, 'as the server counts');
sql('CREATE INDEX twice ON students ("schoolId"); CREATE INDEX and_twice ON students ("schoolId")');
is(value_of('whitecross_indexes_present', '{"verdict": "duplicate"}'), 1, 'of two indexes that are the same one is a duplicate');
is(sql(q{SELECT sum(value) FROM wc_metrics WHERE name = 'whitecross_indexes_present'}), sql('SELECT count(*) FROM wc_index_usage'), 'every index has a verdict');
is(sql(q{SELECT sum(value) FROM wc_metrics WHERE name = 'whitecross_indexes_size_bytes'}), sql('SELECT sum(size_bytes) FROM wc_index_usage'), 'and a size');

# ---- The change log.
is(value_of('whitecross_change_log_oldest_age_seconds'), 0, 'no change is pending');
sql(q{UPDATE students SET "firstName" = "firstName" || 'x' WHERE id IN (SELECT id FROM students LIMIT 7)});
sql(q{SELECT pg_stat_force_next_flush()});
becomes_equal('whitecross_change_log_rows', q{SELECT '{}', count(*) FROM wc_change}, 'the changes that there are');
equal('whitecross_change_log_oldest_age_seconds', q{SELECT '{}', extract(epoch FROM now() - min(noted_at)) FROM wc_change}, 'since the first of them');
equal('whitecross_change_log_size_bytes', q{SELECT '{}', pg_total_relation_size('wc_change')}, 'on disk');
equal('whitecross_change_log_limit_rows', q{SELECT '{}', 1000000}, 'the setting');

# ---- Connections, as this session sees them.
my $others = $node->background_psql('school');
$others->query_safe('BEGIN; SELECT count(*) FROM students');
my $clients = q{FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend'};
becomes_equal('whitecross_connections_open', "SELECT '{}', count(*) $clients", 'all of them');
becomes_equal('whitecross_connections_idle_in_transaction', "SELECT '{}', count(*) FILTER (WHERE a.state = 'idle in transaction') $clients", 'one');
becomes_equal('whitecross_connections_active', "SELECT '{}', count(*) FILTER (WHERE a.state = 'active') $clients", 'the one that asks');
equal('whitecross_connections_limit', q{SELECT '{}', current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer}, 'less the reserved');
becomes_equal('whitecross_role_connections_open', "SELECT jsonb_build_object('role', a.usename), count(*) $clients GROUP BY a.usename", 'by role');
becomes_equal('whitecross_database_connections_open', "SELECT '{}', count(*) $clients", 'by database, of which there is one');
cmp_ok(value_of('whitecross_oldest_transaction_age_seconds'), '>', 0, 'the oldest transaction has an age');
$others->query_safe('ROLLBACK');
$others->quit;

# ---- Statements. Patterns make room for others, and are reset: what they came to stays.
sub totals { return map { $_ => value_of("whitecross_queries_${_}_total", '{"database": "counted"}') } qw(completed failed rows slow n_plus_one_bursts) }
$node->safe_psql('postgres', 'CREATE DATABASE counted');
$node->safe_psql('counted', 'SELECT 1');
# A session counts its last second when it ends.
sub counted { my ($calls) = @_; return ok($node->poll_query_until('school', qq(SELECT value FROM wc_metrics WHERE name = 'whitecross_queries_completed_total' AND labels ->> 'database' = 'counted'), $calls), "$calls statements are counted") }
counted(1);
my %before = totals();
$node->psql('counted', join("\n", ('SELECT generate_series(1, 3);') x 10, 'SELECT 1 / (SELECT 0);', 'SET whitecross.slow_query_threshold = 0;', 'SELECT 2;'), on_error_stop => 0);
counted(13);
my %after = totals();
is_deeply({ map { $_ => $after{$_} - $before{$_} } keys %after }, { completed => 12, failed => 1, rows => 31, slow => 2, n_plus_one_bursts => 1 },
    'statements, failures, rows, slow ones and bursts are counted');
sql(join "\n", map { 'SELECT ' . join(', ', map { $_ ? '1' : 'NULL::text' } split //, sprintf '%09b', $_) . ';' } 1 .. 400);
cmp_ok(value_of('whitecross_query_patterns_evicted_total'), '>', 100, 'patterns gave their place to others');
sql('SELECT wc_reset_query_stats(), wc_reset_slow_queries(), wc_reset_n_plus_one()');
is_deeply({ totals() }, \%after, 'what is forgotten stays counted');
cmp_ok(value_of('whitecross_queries_seconds_total', '{"database": "counted"}'), '>', 0, 'they took time');
$node->safe_psql('postgres', 'DROP DATABASE counted');
is(value_of('whitecross_queries_completed_total', '{"database": "counted"}'), '', 'of a database that is dropped nothing is told');

# ---- Violations.
$node->psql('school', 'INSERT INTO students (id) VALUES (NULL);' x 3, on_error_stop => 0);
equal('whitecross_constraint_violations_total', q{SELECT '{}', v.total FROM wc_constraint_violations AS v WHERE v.kind = 'all'}, 'the sum');
equal('whitecross_constraint_recent_violations', q{SELECT jsonb_build_object('table', v.table_name, 'constraint', v.constraint_name, 'kind', v.kind), v.last_hour
    FROM wc_constraint_violations AS v WHERE v.kind <> 'all'}, 'by constraint');


# ---- The monitor, health, alerts.
ok($node->poll_query_until('school', 'SELECT healthy IS NOT NULL FROM wc_health_status()'), 'the database was checked');
becomes_equal('whitecross_health_healthy', q{SELECT '{}', h.healthy::integer FROM wc_health_status() AS h}, 'as it was checked');
becomes_equal('whitecross_health_consecutive_failures', q{SELECT '{}', h.consecutive_failures FROM wc_health_status() AS h}, 'as it was checked');
becomes_equal('whitecross_health_last_check_timestamp_seconds', q{SELECT '{}', extract(epoch FROM h.last_check) FROM wc_health_status() AS h}, 'as it was checked');
ok($node->poll_query_until('school', q{SELECT max(abs(m.value - extract(epoch FROM clock_timestamp()))) < 3600 FROM wc_metrics AS m WHERE m.name = 'whitecross_monitor_last_sample_timestamp_seconds'}),
    'the monitor has sampled');
is(value_of('whitecross_monitor_interval_seconds'), 1, 'each second');
$node->psql('school', 'INSERT INTO students (id) VALUES (NULL);' x 60, on_error_stop => 0);
ok($node->poll_query_until('school', q{SELECT count(*) > 0 FROM wc_alerts WHERE name = 'constraint_violations' AND level = 'critical'}), 'an alert is raised');
becomes_equal('whitecross_alerts_raised', q{SELECT jsonb_build_object('name', a.name, 'level', a.level), count(*) FROM wc_alerts AS a GROUP BY a.name, a.level}, 'which is told');

my %first = %{ sound('a school') };

# ---- A standby.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('metrics_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
my %there = %{ sound('a standby', $standby) };
is(join(' ', grep { /change_log/ } keys %there), '', 'the change log is the primary\'s affair');
equal('whitecross_view_rows', 'SELECT ' . as_label('v.view_name') . ', v.row_count FROM wc_view_stats() AS v WHERE v.row_count IS NOT NULL', 'on a standby', $standby);
ok($standby->poll_query_until('school', q{SELECT value FROM wc_metrics WHERE name = 'whitecross_replay_delay_seconds'}, '0'), 'a standby that has replayed all that it received is not behind');
becomes_equal('whitecross_replication_lag_bytes', q{SELECT '{"standby": "metrics_standby"}', pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) FROM pg_stat_replication}, 'of the standby, seen from the primary');
$standby->stop;
ok($node->poll_query_until('school', 'SELECT count(*) = 0 FROM pg_stat_replication'), 'the standby has gone');
sql(q{SELECT pg_create_physical_replication_slot('kept', true)});
becomes_equal('whitecross_replication_lag_bytes', q{SELECT '{"standby": "slot kept"}', pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots}, 'of a slot that nobody is connected to');
sql(q{SELECT pg_drop_replication_slot('kept')});

# ---- Many of everything, and names that need quoting: more than 50 databases and roles with connections, constraints violated and indexes, 115 views.
my @numbers = map { sprintf '%02d', $_ } 1 .. 53;
$node->safe_psql('postgres', 'CREATE DATABASE bare TEMPLATE template0');
$node->safe_psql('postgres', join "\n", map { qq(CREATE ROLE "role $_" LOGIN; CREATE DATABASE "many $_" TEMPLATE bare STRATEGY file_copy;) } @numbers);
$node->safe_psql('postgres', qq(CREATE DATABASE "a ""quoted\\" TEMPLATE bare));
$node->safe_psql(qq(a "quoted\\), 'SELECT 1');
sql(join "\n", 'CREATE TABLE limited (' . join(', ', map { "c$_ integer CONSTRAINT no_$_ CHECK (c$_ > 0)" } @numbers) . ');', map { "CREATE INDEX more_$_ ON students ((length(\"firstName\") + $_));" } @numbers);
$node->psql('school', join("\n", map { "INSERT INTO limited (c$_) VALUES (0);" } @numbers), on_error_stop => 0);
sql(q{INSERT INTO wc_site_view (name, key_columns, comment, definition, sources, direct, tables)
      SELECT 'mv_site_' || n, '{id}', 'one of many', 'SELECT', '{}', '{}', '{}' FROM generate_series(1, 110) AS n});
my $crowd = $node->background_psql('school');
$crowd->query_safe(join ' ', map { sprintf q{SELECT dblink_connect('c%s', 'host=%s port=%s user=''role %1$s'' dbname=''many %1$s''');}, $_, $node->host, $node->port } @numbers);
$crowd->query_safe(join ' ', map { "SELECT dblink_exec('c$_', 'SET work_mem = ''1MB''');" } @numbers[ 48 .. 52 ]);
my %many = %{ sound('many of everything') };
is(scalar(grep { /^whitecross_database_connections_open\{/ } keys %many), 51, 'connections of 50 databases and the others');
is($many{'whitecross_database_connections_open{database="(other)"}'}, 4, 'of which there are four');
is($many{'whitecross_role_connections_open{role="(other)"}'}, 4, 'as many roles');
is(scalar(grep { /^whitecross_role_connection_limit\{/ } keys %many), 50, 'of the others together there is no limit');
is(scalar(grep { /^whitecross_database_transaction_id_age\{/ } keys %many), 51, 'ages of 50 databases and the others');
is(scalar(grep { /^whitecross_constraint_recent_violations\{/ } keys %many), 51, 'violations of 50 constraints and the others');
is($many{'whitecross_constraint_recent_violations{constraint="(other)",database="school",kind="(other)",table="(other)"}'}, 4, 'of which there are four');
is(scalar(grep { /^whitecross_index_size_bytes\{/ } keys %many), 50, 'the 50 largest indexes');
is(scalar(grep { /^whitecross_refresh_failures_total\{/ } keys %many), 100, '100 views');
is(scalar(grep { /^whitecross_refresh_failures_total\{/ && !/view="mv_site_/ } keys %many), 5, 'among them ours');
ok(exists $many{'whitecross_queries_completed_total{database="a \"quoted\\\\"}'}, 'a name is quoted as the format says')
  or diag(join "\n", grep { /queries_completed/ } keys %many);
$crowd->quit;

# ---- Locks, and what is not there.
my $locker = $node->background_psql('school');
$locker->query_safe('BEGIN; REFRESH MATERIALIZED VIEW mv_allergy_summary');
is(sql(q{SELECT count(*) FROM wc_metrics WHERE name = 'whitecross_view_size_bytes' AND labels ->> 'view' = 'mv_allergy_summary'}), 0, 'the size of a locked view is left out');
cmp_ok(sql(q{SELECT count(*) FROM wc_metrics WHERE name LIKE 'whitecross_refresh%'}), '>', 10, 'and the rest is there');
$locker->query_safe('ROLLBACK; BEGIN; DROP INDEX twice');
is(sql(q{SELECT count(*) FROM wc_metrics WHERE name LIKE 'whitecross_index%'}), 0, 'indexes are left out while one is being dropped');
$locker->query_safe('ROLLBACK');
$locker->quit;
is(sql(q{SELECT count(*) FROM wc_metrics WHERE value IS NULL OR name IS NULL OR help IS NULL OR labels IS NULL}), 0, 'nothing is NULL');
is((try_sql($node, 'school', q{SELECT * FROM wc_metrics('nonsense')}))[1], '22023', 'an unknown family');
is(sql(q{SELECT count(*) FROM (SELECT m.labels, m.name FROM wc_metrics('refresh_last') AS m) AS f GROUP BY f.labels HAVING count(*) <> 4}), '', 'a row of a family has all its metrics');
for my $call ('SELECT * FROM wc_metrics', 'SELECT wc_prometheus()', 'SELECT * FROM wc_metrics()') {
    is((try_sql($node, 'school', qq(SET ROLE "role 01"; $call)))[1], '42501', "granted to nobody: $call");
}

# ---- A server that has not loaded the library.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
my %less = %{ sound('not preloaded') };
sub names { return map { /^(\w+)/ ? ($1 => 1) : () } keys %{ $_[0] } }
my %named = names(\%first);
my %left  = names(\%less);
is(join(' ', grep { !$left{$_} } sort keys %named), join(' ', grep { /^whitecross_(?:queries|query_patterns|constraint|health|monitor|alerts|pool|pooler|pooled|cache)_/ } sort keys %named),
    'what is counted in shared memory is left out');

done_testing();

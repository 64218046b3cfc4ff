# Memory: each function is called many times in one session, and in one that keeps failing; neither the session's memory
# contexts nor its resident memory may grow. The aim is 10,000 calls after 100 of warm-up and less than 256 kB. That takes a
# hours, so by default there are fewer calls, with the bounds below; WC_MEMORY_CALLS=10000 makes it all of them, and
# WC_MEMORY_ONLY='wc_objects|wc_view' picks statements.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WhiteCross::Test;

# Calls of a costly function (above a millisecond or so) and of a cheap one.
my $costly = $ENV{WC_MEMORY_CALLS} // 30;
my $cheap  = $ENV{WC_MEMORY_CALLS} // 400;

# Bytes by which contexts (used, held) and resident memory may grow. With few calls a tighter bound shows a small leak; but
# the server's caches come and go, and what is resident comes in pages, some of which the heap can't give back: it grows
# by 128 kB at a time, and may do so once.
sub bounds { my ($calls) = @_; return $calls >= 2500 ? (256 * 1024) x 3 : (64 * 1024, 64 * 1024, 160 * 1024) }

my $node = new_node('memory', preload => 'pg_cron,whitecross');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron; CREATE ROLE limited');
make_database($node, 'district', 'reference', students => 20, extensions => ['hypopg']);
make_database($node, 'retired',  'reference', students => 20);
$node->safe_psql('retired', 'SELECT wc_retire()');
$node->safe_psql('district', 'CREATE EXTENSION pgstattuple');
my $library = tree() . '/test/modules/wall/whitecross_wall.so';
$node->safe_psql($_, "CREATE FUNCTION wall_trim() RETURNS void AS '$library' LANGUAGE c") for 'district', 'retired';

# Functions in a form that is cheap where there is one: nothing to do, or the same again. [database, calls, SQL, SQL before].
# With a fifth element, that is what the function has the server do: the server's own caches grow by it (REFRESH makes and
# drops tables, whose types it remembers for the life of a session), and only what is beyond that counts. In background
# workers, as refreshes usually run, the session itself does not grow.
sub refresh {
    my ($how, @views) = @_;
    return join ';', map { "REFRESH MATERIALIZED VIEW $how $_" } @views;
}
my $here   = 'SET whitecross.max_refresh_workers = 0';
my $own    = q{'mv_own', 'SELECT s."id" FROM {students: id} AS s WHERE true {only s."id"}', ARRAY['id']};
my $made   = q{BEGIN; CREATE MATERIALIZED VIEW mv_own AS SELECT id FROM students WITH NO DATA; CREATE UNIQUE INDEX ON mv_own (id); REFRESH MATERIALIZED VIEW mv_own; DROP MATERIALIZED VIEW mv_own; ROLLBACK};
my @forms  = (
    [ 'district', $costly, 'SELECT * FROM wc_install()' ],
    [ 'district', $costly, 'BEGIN; SELECT * FROM wc_retire(); ROLLBACK' ],
    [ 'district', $costly, "BEGIN; SELECT * FROM wc_add_view($own); SELECT * FROM wc_remove_view('mv_own'); ROLLBACK", undef, $made ],
    [ 'retired',  $costly, 'SELECT * FROM wc_retire()' ],
    [ 'retired',  $costly, 'SELECT * FROM wc_suspend_views()' ],
    [ 'retired',  $costly, q{SELECT * FROM wc_disable('idx_active_students_nurse')} ],
    [ 'retired',  $costly, q{SELECT * FROM wc_enable('idx_active_students_nurse')} ],
    [ 'district', $costly, q{SELECT * FROM wc_disable('idx_health_records_diagnosis_code'), wc_enable('idx_health_records_diagnosis_code'); SELECT * FROM wc_install('composite index')} ],
    [ 'district', $costly, 'SELECT * FROM wc_objects()' ],
    [ 'retired',  $costly, 'SELECT * FROM wc_objects()' ],
    [ 'district', $costly, 'SELECT * FROM wc_object_links()' ],
    [ 'district', $costly, 'SELECT * FROM wc_validate()' ],
    [ 'district', $costly, q{SELECT * FROM wc_enforce('chk_students_age_range')} ],
    [ 'district', $costly, q{SELECT * FROM wc_breaches('chk_students_age_range')} ],
    [ 'district', $costly, q{SELECT * FROM wc_configure('grades', 'K,1,2,3,4,5,6,7,8,9,10,11,12')} ],
    [ 'district', $costly, q{SELECT * FROM wc_map_column('students', 'grade', '"grade"')} ],
    [ 'district', $costly, 'SELECT * FROM wc_resolve_columns()' ],
    [ 'district', $costly, q{SELECT wc_view_query('mv_compliance_status')} ],
    [ 'district', $costly, q{SELECT wc_view_query('mv_compliance_status', '$1')} ],
    [ 'district', $costly, 'SELECT * FROM wc_create_base_tables()' ],
    [ 'district', $costly, q{SELECT * FROM wc_refresh('allergy_summary', 'concurrent')}, $here, refresh('CONCURRENTLY', 'mv_allergy_summary') ],
    [ 'district', $costly, q{UPDATE allergies SET reaction = CASE reaction WHEN 'hives' THEN 'rash' ELSE 'hives' END /* wc_capture */; SELECT * FROM wc_refresh('allergy_summary', 'incremental')}, $here ],
    [ 'district', $costly, q{BEGIN; TRUNCATE allergies /* wc_capture */; ROLLBACK} ],
    [ 'district', $costly, q{UPDATE wc_site_setting SET value = value /* wc_ignore_replicated */} ],
    [ 'district', $costly, q{SELECT * FROM wc_verify('allergy_summary')} ],
    [ 'district', $costly, 'SELECT * FROM wc_refresh_queries()' ],
    [ 'district', $costly, 'SELECT * FROM wc_pending_changes()' ],
    [ 'district', $costly, 'SELECT * FROM wc_captured_columns()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_live_status()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_health_status(), wc_database_health()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_query_stats, wc_query_stats_info /* wc_query_patterns, wc_query_patterns_kept */' ],
    [ 'district', $cheap,  'SELECT * FROM wc_query_totals()' ],
    [ 'district', $cheap,  'SELECT wc_reset_query_stats()' ],
    [ 'district', $costly, 'SELECT * FROM wc_query_history' ],
    [ 'district', $costly, 'SELECT * FROM wc_query_history_status()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_query_history_outcome()' ],
    [ 'district', $costly, 'SELECT wc_query_report()' ],
    [ 'district', $costly, q{SELECT wc_query_baseline('one'); SELECT * FROM wc_compare_baseline('one'); SELECT wc_drop_baseline('one')} ],
    [ 'district', $costly, q{SELECT * FROM wc_refresh('allergy_summary', 'full')}, $here, refresh('', 'mv_allergy_summary') ],
    [ 'district', $costly, q{SELECT * FROM wc_refresh('allergy_summary')} ],
    [ 'district', $costly, q{SELECT * FROM wc_refresh_all('concurrent')}, $here, refresh('CONCURRENTLY', VIEWS) ],
    [ 'district', $costly, 'SELECT * FROM wc_refresh_all()' ],
    [ 'district', $costly, q{SELECT * FROM wc_refresh_group('daily')}, $here, refresh('CONCURRENTLY', 'mv_appointment_statistics') ],
    [ 'district', $costly, 'SELECT * FROM wc_schedule()' ],
    [ 'district', $costly, 'SELECT * FROM wc_unschedule()' ],
    [ 'district', $costly, q{SELECT wc_set_schedule('allergy_summary', 'hourly')} ],
    [ 'district', $costly, q{SELECT * FROM wc_refresh_due('daily')}, $here ],
    [ 'district', $costly, q{CALL wc_run_schedule('daily')}, $here ],
    [ 'district', $cheap,  'SELECT * FROM wc_scheduler()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_scheduled_jobs()' ],
    [ 'district', $costly, 'DROP EXTENSION IF EXISTS no_such_extension /* wc_watch_drop, wc_restore_links */', 'SET client_min_messages = warning' ],
    [ 'district', $cheap,  'SELECT wc_caller_messages()' ],
    [ 'district', $cheap,  q{SELECT wc_view_name('allergy_summary')} ],
    [ 'district', $costly, 'SELECT * FROM wc_view_stats()' ],
    [ 'district', $cheap,  q{SELECT wc_last_refresh('allergy_summary')} ],
    [ 'district', $cheap,  'SELECT wc_preloaded()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_data_presence()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_slow_queries()', 'SET whitecross.slow_query_threshold = 0' ],
    [ 'district', $cheap,  'SELECT wc_reset_slow_queries()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_n_plus_one()' ],
    [ 'district', $cheap,  'SELECT wc_reset_n_plus_one()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_constraint_violations' ],
    [ 'district', $cheap,  'SELECT * FROM wc_constraint_violations()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_constraint_violations_info()' ],
    [ 'district', $cheap,  'SELECT wc_reset_constraint_violations()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_cache_stats, wc_cache_memory() /* wc_cache_counts, wc_cache_second_tier */' ],
    [ 'district', $cheap,  'SELECT * FROM wc_cache_entries /* wc_cached_entries */' ],
    [ 'district', $cheap,  q{SELECT wc_cache_clear(), wc_reset_cache_stats(), wc_cache_invalidate('students'), wc_cache_invalidate_tag('%')} ],
    [ 'district', $cheap,  'SELECT * FROM wc_connections, wc_connections() AS c' ],
    [ 'district', $cheap,  'SELECT * FROM wc_pooler, wc_pooler_status' ],
    [ 'district', $cheap,  'SELECT * FROM wc_pooler(), wc_pooler_status()' ],
    [ 'district', $cheap,  'SELECT * FROM wc_alerts, wc_alert_status() /* wc_raised_alerts */' ],
    [ 'district', $cheap,  q{SELECT * FROM wc_cached(NULL::students, 'SELECT * FROM students WHERE id = $1', ARRAY['0b6f1a52-7f0e-4c5c-9d1c-000000000001'])} ],
    [ 'district', $cheap,  q{SELECT count(*) FROM wc_cached(NULL::timestamptz, 'SELECT now() FROM students')} ],
    [ 'district', $cheap,  q{SELECT count(*) FROM wc_cached_json('SELECT * FROM students WHERE random() < $1', ARRAY['2'], tag => 'memory')} ],
    [ 'district', $costly, q{SELECT count(*) FROM wc_cached_json('SELECT * FROM students'); UPDATE wc_site_setting SET value = value; UPDATE students SET grade = grade} ],
    [ 'district', $costly, q{SELECT * FROM wc_pool_profile('production')} ],
    [ 'district', $costly, q{SELECT wc_pgbouncer_ini('development')} ],
    [ 'district', $costly, q{SELECT * FROM wc_apply_session_limits('limited', 'production'); SELECT * FROM wc_reset_session_limits('limited') /* wc_lock_role, wc_role_setting, wc_session_limits_noted */} ],
    [ 'district', $costly, 'SELECT count(*) FROM wc_connection_history; SELECT * FROM wc_connection_history(now()); SELECT * FROM wc_connection_history_status()' ],
    [ 'district', $costly, 'SELECT * FROM wc_index_usage' ],
    [ 'district', $costly, 'SELECT * FROM wc_index_bloat(0, 0)' ],
    [ 'district', $costly, 'SELECT * FROM wc_privacy_settings()' ],
    [ 'district', $cheap,  q{SELECT wc_normalise_query('SELECT 1 FROM students WHERE "firstName" = ''x''; BEGIN')} ],
    [ 'district', $cheap,  q{SELECT wc_normalise_query('SELECT ''it''s')} ],
    [ 'district', $cheap,  q{SELECT wc_activity_text(repeat('SELECT 1;', 120), true, 6)} ],
    [ 'district', $cheap,  'SELECT * FROM wc_active_queries' ],
    [ 'district', $costly, q{SELECT * FROM wc_suggest_indexes_for(ARRAY['SELECT * FROM appointments WHERE "nurseId" = $1 ORDER BY "scheduledAt"', 'SELECT 1 +', 'DELETE FROM students WHERE lower("lastName") = $1'], min_table_rows => 0) /* wc_search_indexes */}, undef,
        # hypopg keeps some of what an index was made of when it is dropped, and the server that there are no statistics of it.
        q{SELECT FROM hypopg_create_index('CREATE INDEX ON appointments ("scheduledAt")') AS a, hypopg_create_index('CREATE INDEX ON students (lower("lastName"))') AS b;
          EXPLAIN SELECT FROM students WHERE lower("lastName") = 'x'; SELECT hypopg_drop_index(h.indexrelid) FROM hypopg() AS h} ],
    [ 'district', $costly, 'SELECT * FROM wc_suggest_indexes() /* wc_plannable_patterns */', 'SELECT wc_reset_query_stats()' ],
    [ 'district', $costly, 'SELECT * FROM wc_suggest_indexes_skipped() /* wc_unjudged_statements */', 'SELECT wc_reset_query_stats()' ],
    [ 'district', $costly, 'SELECT * FROM wc_health_check()' ],
    [ 'district', $costly, 'SELECT * FROM wc_server_health()' ],
    [ 'district', $costly, 'SELECT * FROM wc_metrics() /* wc_database_metrics, wc_server_metrics, wc_cache_metrics, wc_metric_views */' ],
    [ 'district', $costly, 'SELECT wc_prometheus()' ],
    [ 'district', $costly, 'SELECT wc_healthy()' ],
);

# Statements that fail: errors of ours, of the server under a call guard, of C++.
my @failing = (
    q{SELECT * FROM wc_install('nonsense')},
    q{SELECT * FROM wc_retire('nonsense')},
    q{SELECT * FROM wc_configure('nonsense', 'x')},
    q{SELECT * FROM wc_configure('timezone', 'Nowhere/Land')},
    q{SELECT * FROM wc_configure('base_schema', 'no such schema')},
    q{SELECT * FROM wc_map_column('students', 'nonsense', 'x')},
    q{SELECT * FROM wc_map_column('students', 'grade', 'no_such_column + 1')},
    q{SELECT * FROM wc_map_column('students', 'grade', '((')},
    q{SELECT * FROM wc_disable(NULL)},
    q{SELECT wc_view_query('nonsense')},
    q{SELECT wc_view_name('nonsense')},
    q{SELECT * FROM wc_refresh('nonsense')},
    q{SELECT * FROM wc_refresh('allergy_summary', 'nonsense')},
    q{SELECT * FROM wc_refresh_all('nonsense')},
    q{SELECT * FROM wc_refresh_group('nonsense')},
    q{SELECT * FROM wc_refresh_due('nonsense')},
    q{SELECT * FROM wc_schedule('no such role')},
    q{SELECT wc_set_schedule('nonsense', 'hourly')},
    q{SELECT wc_set_schedule('allergy_summary', 'nonsense')},
    q{SELECT wc_compare_baseline('nonsense')},
    q{SELECT * FROM wc_metrics('nonsense')},
    q{SELECT * FROM wc_cached(NULL::integer, 'SELECT 1 / 0')},
    q{SELECT * FROM wc_cached(NULL::integer, 'SELECT nonsense')},
    q{SELECT * FROM wc_cached(NULL::integer, 'SELECT $1::integer', ARRAY['nonsense'])},
    q{SELECT * FROM wc_cached(NULL::date, 'SELECT 1')},
);
my @failing_costly = (
    q{SELECT * FROM wc_add_view('own', 'SELECT s."id", now() AS t FROM {students: id} AS s WHERE true {only s."id"}', ARRAY['id'])},
    q{SELECT * FROM wc_add_view('own', 'SELECT s."id" FROM {students: no_such} AS s WHERE true {only s."id"}', ARRAY['id'])},
    q{SELECT * FROM wc_suggest_indexes(0)},
    q{SELECT * FROM wc_remove_view('nonsense')}, q{SELECT * FROM wc_disable('nonsense')}, q{SELECT * FROM wc_enforce('nonsense')}, q{SELECT * FROM wc_breaches('nonsense')},
);

# No function is forgotten.
my $all = join "\n", map { join ' ', @$_ } @forms;
for my $function (split /\n/, $node->safe_psql('district', <<'SQL')) {
SELECT DISTINCT p.proname FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'whitecross' ORDER BY 1
SQL
    like($all, qr/\b$function\b/, "$function is called");
}

my $measure = q{SELECT wall_trim() \g /dev/null
SELECT 'memory', sum(used_bytes), sum(total_bytes), 1024 * substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::bigint
  FROM pg_backend_memory_contexts;};

# growth(DATABASE, CALLS, SQL, SQL before): bytes used, held and resident by which calls let the session grow, and its errors.
sub growth {
    my ($database, $calls, $sql, $before) = @_;
    my $warm_up = $calls < 100 ? $calls : 100;
    my $script  = join "\n", $before ? "$before;" : '', '\o /dev/null', $measure, ("$sql;") x $warm_up, $measure, '\o', $measure,
      '\o /dev/null', ("$sql;") x $calls, '\o', $measure, '';
    my ($out, $err) = ('', '');
    $node->psql($database, $script, stdout => \$out, stderr => \$err, on_error_stop => 0, timeout => 7200);
    my @lines = map { [ (split /\|/)[ 1 .. 3 ] ] } grep { /^memory\|/ } split /\n/, $out;
    die "the session did not last: $err\n" if @lines != 2;
    return ((map { $lines[1][$_] - $lines[0][$_] } 0 .. 2), $err);
}

# not_growing(NAME, DATABASE, CALLS, SQL, SQL before, what is not ours): as said above. Returns the errors. Where resident memory alone has
# grown, another session has to show it, too, and one more: a leak is in each, what the heap could not give back is not.
sub not_growing {
    my ($name, $database, $calls, $sql, $before, $not_ours) = @_;
    my $started = time;
    my (@grown, $err);
    for (1 .. 3) {
        @grown = growth($database, $calls, $sql, $before);
        $err   = pop @grown;
        last if $not_ours || $grown[2] < (bounds($calls))[2];
    }
    my @allowed = $not_ours ? (growth($database, $calls, $not_ours))[ 0 .. 2 ] : (0, 0, 0);
    my @bounds  = bounds($calls);
    # Contexts hold blocks that double in size, and the heap keeps pages: two sessions in which the server's own memory grows
    # differ in both by as much as it grew. There, what is used decides.
    if ($not_ours) { $bounds[$_] += $allowed[0] for 1, 2 }
    ok((grep { $grown[$_] - $allowed[$_] < $bounds[$_] } 0 .. 2) == 3,
        sprintf('%s: %d calls grow memory contexts by less than %d kB, resident memory by less than %d kB', $name, $calls, map { $_ / 1024 } @bounds[ 1, 2 ]))
      or diag(sprintf 'memory contexts grew by %d bytes used, %d held, resident memory by %d; %d, %d, %d of it not ours', @grown, @allowed);
    note(sprintf '%d, %d, %d bytes (%d, %d, %d); %.1f s', @grown, @allowed, time - $started);
    return $err;
}

my $only = $ENV{WC_MEMORY_ONLY} // '';
for my $form (grep { "$_->[2]" =~ /$only/ } @forms) {
    my ($database, $calls, $sql, $before, $not_ours) = @$form;
    my $err = not_growing($sql . ($before ? " ($before)" : ''), $database, $calls, $sql, $before, $not_ours);
    unlike($err, qr/ERROR/, 'and none of them fails');
}

# Failing at top level, and caught, in one transaction.
for my $test (grep { $_->[1] =~ /$only/ } (map { [ $cheap, $_ ] } @failing), map { [ $costly, $_ ] } @failing_costly) {
    my ($calls, $sql) = @$test;
    my $err = not_growing("$sql, failing", 'district', $calls, $sql);
    my $errors = () = $err =~ /ERROR/g;
    is($errors, $calls + ($calls < 100 ? $calls : 100), 'and each of them fails');

    my $block = sub { my ($n) = @_; return "DO \$do\$ BEGIN FOR i IN 1..$n LOOP BEGIN EXECUTE \$sql\$$sql\$sql\$; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$do\$" };
    not_growing("$sql, caught $calls times", 'district', 1, $block->($calls), $block->(100));
}

done_testing();

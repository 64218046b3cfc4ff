# A server has one library for all its databases, so the new one also serves those that are still at an earlier version, from
# the moment the package is installed until each is updated: everything of that version works there as it did, beside
# databases at this one.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my ($current) = slurp_file(tree() . '/whitecross.control') =~ /^default_version\s*=\s*'([^']+)'/m;
my @earlier = grep { $_ ne $current } map { m{/whitecross--([^-]+)\.sql\z} ? $1 : () } glob tree() . '/sql/whitecross--*.sql';

# With live mode on for every database: in one of an earlier version it has nothing to do.
my $node = new_node('old', preload => 'pg_cron,whitecross', cron_database => 'with_cron', conf => "whitecross.live_refresh = on\n");
$node->safe_psql('postgres', "CREATE ROLE $_") for 'registrar', 'reader';

# Each version once beside pg_cron, and once in another database than its.
my $database;
sub sql { return $node->safe_psql($database, "SET client_min_messages = warning; $_[0]") }
sub state_of { return (try_sql($node, $database, $_[0]))[1] }

# Objects by kind and status; what this version has added must not show where its parts are not.
my $objects = q{SELECT string_agg(n, ', ' ORDER BY n) FROM (SELECT kind || ' ' || status || ' ' || count(*) AS n FROM wc_objects() GROUP BY kind, status) AS o};
my $all     = 'check constraint installed 13, composite index installed 14, covering index installed 15, '
  . 'materialized view installed 5, partial index installed 20, view index installed 18';

# What 1.1.0 has beyond that: refreshes by keys, live mode, views of the site's own. A refresh there may be of any mode.
my %since_1_1 = map { $_ => $_ ne '1.0.0' } @earlier;
my %since_1_2 = map { $_ => $since_1_1{$_} && $_ ne '1.1.0' } @earlier;
my %since_1_3 = map { $_ => $since_1_2{$_} && $_ ne '1.2.0' } @earlier;
my $more      = ', partial index installed 20, refresh index installed 3, trigger installed 11, view index installed 18';

# What 1.2.0 has beyond that: the server's statements are watched.
sub watching {
    return (
        [ 'statements', q{SELECT wc_reset_query_stats() >= 0; SELECT count(*) FROM schools WHERE name = 'nobody';
            SELECT calls, normalised_text FROM wc_query_stats WHERE normalised_text ~ 'FROM schools WHERE'}, qr/^1\|SELECT count\(\*\) FROM schools WHERE name = \$1$/m ],
        [ 'how many', 'SELECT count(*) > 0 FROM wc_query_patterns(); SELECT patterns > 0 FROM wc_query_patterns_kept()', "t\nt" ],
        [ 'their text', q{SELECT wc_normalise_query('SELECT 1'), wc_activity_text('SELECT 2', true, pg_char_to_encoding('UTF8'))}, 'SELECT $1|SELECT $1' ],
        [ 'history', q{SELECT count(*) > 0 FROM wc_query_history(now() - interval '1 day'); SELECT monitored FROM wc_query_history_status()}, "t\nt" ],
        [ 'a report', q{SELECT wc_query_report() ~ 'database'}, 't' ],
        [ 'baselines', q{SELECT wc_query_baseline('old') > 0; SELECT count(*) > 0 FROM wc_compare_baseline('old'); SELECT wc_drop_baseline('old') > 0}, "t\nt\nt" ],
        [ 'slow ones', q{SET whitecross.slow_query_threshold = 0; SELECT count(*) FROM allergies; SELECT count(*) > 0 FROM wc_slow_queries(); SET whitecross.slow_query_threshold = -1; SELECT wc_reset_slow_queries() > 0},
            qr/\A\d+\nt\nt\z/ ],
        [ 'loops', q{SELECT 'SELECT count(*) FROM vaccinations WHERE "doseNumber" = ' || i FROM generate_series(1, 150) AS i \\gexec
            SELECT count(*) FROM wc_n_plus_one(); SELECT wc_reset_n_plus_one()}, qr/\n1\n1\z/ ],
        [ 'violations', q{DO $$BEGIN PERFORM wc_reset_constraint_violations(); END$$; SELECT count(*) FROM wc_constraint_violations() WHERE total > 0; SELECT count(*) FROM wc_constraint_violations_info()}, "0\n1" ],
        [ 'indexes', 'SELECT count(*) > 50 FROM wc_index_usage; SELECT count(*) FROM wc_index_bloat(0, 0, false) WHERE index_name IS NULL', "t\n0" ],
        [ 'suggestions', q{/* wc_search_indexes, wc_unjudged_statements */ SELECT count(*) >= 0 FROM wc_plannable_patterns(); SELECT count(*) FROM wc_suggest_indexes() WHERE table_name = 'none';
            SELECT count(*) FROM wc_suggest_indexes_for(ARRAY['SELECT FROM students']); SELECT count(*) >= 0 FROM wc_suggest_indexes_skipped()}, "t\n0\n0\nt" ],
        [ 'privacy', 'SELECT count(*) > 5 FROM wc_privacy_settings()', 't' ],
        [ 'the server', 'SELECT count(*) > 5 FROM wc_server_health()', 't' ]);
}

# What 1.3.0 has beyond that: connections, PgBouncer, the health of databases, alerts, metrics, pools.
sub monitored {
    return (
        [ 'connections', q{SELECT count(*), max(total) >= 1 FROM wc_connections() WHERE scope = 'server'; SELECT count(*) >= 0 FROM wc_connection_history(now()); SELECT lost FROM wc_connection_history_status()}, "1|t\nt\n0" ],
        [ 'no PgBouncer', 'SELECT count(*) FROM wc_pooler(); SELECT configured FROM wc_pooler_status()', "0\nf" ],
        [ 'the health of databases', q{SELECT count(*) FROM wc_health_status(); SELECT count(*) >= 0 FROM wc_database_health()}, "1\nt" ],
        [ 'alerts', q{SELECT count(*) >= 0 FROM wc_raised_alerts(); SELECT count(*) FROM wc_alert_status()}, "t\n1" ],
        [ 'metrics', q{SELECT count(*) > 20 FROM wc_metrics(); SELECT count(*) > 5 FROM wc_database_metrics(NULL); SELECT count(*) > 5 FROM wc_server_metrics(NULL); SELECT count(*) FROM wc_metric_views(); SELECT wc_prometheus() ~ '^# HELP whitecross_'},
            "t\nt\nt\n5\nt" ],
        [ 'totals', 'SELECT count(*) >= 1 FROM wc_query_totals(); SELECT count(*) FROM wc_query_history_outcome()', "t\n1" ],
        [ 'pools', q{SELECT count(*) > 3 FROM wc_pool_profile('production'); SELECT wc_pgbouncer_ini('production') ~ 'pool_mode'}, "t\nt" ],
        [ 'limits of a role', q{SELECT count(*) > 1 FROM wc_apply_session_limits('reader', 'production'); SELECT wc_role_setting('reader'::regrole, 'statement_timeout') IS NOT NULL;
            SELECT wc_session_limits_noted('reader'::regrole) IS NOT NULL; SELECT count(*) > 1 FROM wc_reset_session_limits('reader')}, "t\nt\nt\nt" ]);
}

# Every function of the version, called for what it does: [what, SQL, result]. A result that is a pattern has to match.
sub calls {
    my ($version, $cron) = @_;
    my @views = VIEWS;
    my $views = join "\n", sort @views;
    my $newer = $since_1_1{$version};
    my $all   = $newer ? $all =~ s/, partial index.*/$more/r : $all;
    my ($count, $dropped, $mode) = $newer ? (99, 24, 'incremental') : (85, 23, 'concurrent');
    my $in_each_view = sub { my ($tail) = @_; return $views =~ s/$/$tail/mgr };
    return (
        [ 'objects', $objects, $all ],
        [ 'links', 'SELECT count(*), bool_and(linked) FROM wc_object_links()', "$count|t" ],
        [ 'mapping', 'SELECT count(*) > 100, count(*) FILTER (WHERE present) > 100 FROM wc_resolve_columns()', 't|t' ],
        [ 'a query', q{SELECT wc_view_query('allergy_summary') ~ 'allergies', wc_view_query('allergy_summary', 'ARRAY[]::uuid[]') ~ 'ANY'}, 't|t' ],
        [ 'a name', q{SELECT wc_view_name('allergy_summary')}, 'mv_allergy_summary' ],
        [ 'retire', 'SELECT action, count(*) FROM wc_retire() GROUP BY 1', "dropped|$count" ],
        [ 'install', 'SELECT action, count(*) FROM wc_install() GROUP BY 1', "created|$count" ],
        [ 'install, nothing to do', 'SELECT count(*) FROM wc_install()', '0' ],
        [ 'suspend', q{GRANT SELECT ON mv_allergy_summary TO reader; SELECT action, count(*) FROM wc_suspend_views() GROUP BY 1}, "dropped|$dropped" ],
        [ 'bring back', 'SELECT action, count(*) FROM wc_install() GROUP BY 1', "created|$dropped" ],
        [ 'with their grants', q{SELECT has_table_privilege('reader', 'mv_allergy_summary', 'SELECT')}, 't' ],
        [ 'disable', q{SELECT name, action FROM wc_disable('idx_active_students_nurse'); SELECT to_regclass('idx_active_students_nurse') IS NULL},
            "idx_active_students_nurse|dropped\nidx_active_students_nurse|disabled\nt" ],
        [ 'enable', q{SELECT name, action FROM wc_enable('idx_active_students_nurse'); SELECT action FROM wc_install()}, "idx_active_students_nurse|enabled\ncreated" ],
        [ 'validate', 'SELECT count(*), sum(violations), bool_and(validated) FROM wc_validate()', '13|0|t' ],
        [ 'enforce', q{SELECT count(*) FROM wc_enforce('chk_students_age_range')}, '0' ],
        [ 'breaches', q{SELECT count(*) FROM wc_breaches('chk_students_age_range')}, '0' ],
        [ 'configure', q{SELECT count(*) > 0 FROM wc_configure('timezone', 'America/Denver'); SELECT action, count(*) FROM wc_install() GROUP BY 1; SELECT value FROM wc_configuration WHERE name = 'timezone'},
            qr/\At\nrebuilt\|\d+\nAmerica\/Denver\z/ ],
        [ 'map a column', q{SELECT count(*) > 0 FROM wc_map_column('users', 'lastName', 'upper("lastName")'); SELECT name, action FROM wc_install() WHERE name = 'mv_appointment_statistics'; SELECT source FROM wc_column_mapping WHERE table_name = 'users' AND canonical = 'lastName'},
            "t\nmv_appointment_statistics|rebuilt\nsite" ],
        [ 'tables', 'SELECT count(*) FROM wc_create_base_tables()', '0' ],
        [ 'a script\'s messages', 'SELECT wc_caller_messages()', 'warning' ],

        [ 'writes', q{INSERT INTO allergies (id, "studentId", allergen, "allergyType", severity) SELECT gen_random_uuid(), id, 'Latex', 'LATEX', 'MILD' FROM students LIMIT 5;
                      UPDATE students SET "lastName" = 'Other' WHERE id IN (SELECT id FROM students LIMIT 3); SELECT 1}, '1' ],
        [ 'refresh', q{SELECT view_name, mode, status, rows_written > 0, sqlstate, message FROM wc_refresh('allergy_summary')}, 'mv_allergy_summary|concurrent|refreshed|t||' ],
        [ 'refresh in this session', q{SELECT view_name, mode, status FROM wc_refresh_all(workers => 0) ORDER BY 1},
            $newer ? qr/\A(?:\w+\|(?:incremental|concurrent)\|refreshed\n?){5}\z/ : $in_each_view->('|concurrent|refreshed') ],
        [ 'refresh by workers', q{SELECT view_name, mode, status FROM wc_refresh_all(workers => 2) ORDER BY 1}, $in_each_view->("|$mode|refreshed") ],
        [ 'refresh where something was written', q{BEGIN; DELETE FROM allergies WHERE allergen = 'Latex'; SELECT mode, status FROM wc_refresh('allergy_summary'); COMMIT}, "$mode|refreshed" ],
        [ 'refresh, full', q{SELECT DISTINCT mode, status FROM wc_refresh_all('full')}, 'full|refreshed' ],
        [ 'refresh of what is not filled', q{REFRESH MATERIALIZED VIEW mv_allergy_summary WITH NO DATA; SELECT mode, status FROM wc_refresh('allergy_summary')}, 'full|refreshed' ],
        [ 'what 1.0.0 does not have yet', q{SELECT mode, status FROM wc_refresh('allergy_summary', 'incremental')}, "$mode|refreshed" ],
        [ 'a group', q{SELECT count(*), string_agg(DISTINCT status, ',') FROM wc_refresh_group('hourly')}, '3|refreshed' ],
        [ 'a failure', q{ALTER TABLE students OWNER TO registrar; SELECT wc_install(); ALTER MATERIALIZED VIEW mv_allergy_summary OWNER TO registrar; REVOKE ALL ON allergies FROM registrar;
                         SELECT mode, status, sqlstate, message FROM wc_refresh('allergy_summary')}, qr/concurrent\|failed\|42501\|insufficient_privilege while refreshing mv_allergy_summary\z/ ],
        [ 'mended', q{GRANT SELECT ON ALL TABLES IN SCHEMA public TO registrar; SELECT status FROM wc_refresh('allergy_summary')}, 'refreshed' ],
        [ 'the log', q{SELECT string_agg(DISTINCT mode, ',') , string_agg(DISTINCT status, ','), string_agg(DISTINCT origin, ','), bool_and(status <> 'refreshed' OR rows_written >= 0) FROM wc_refresh_log},
            ($newer ? 'concurrent,full,incremental' : 'concurrent,full') . '|failed,refreshed|install,manual|t' ],
        [ 'statistics', 'SELECT view_name, populated, row_count > 0, age < interval \'1 hour\', last_duration_ms > 0, refreshed_by, refreshes > 1 FROM wc_view_stats() ORDER BY 1',
            $in_each_view->('|t|t|t|t|manual|t') ],
        [ 'the last refresh', q{SELECT wc_last_refresh('allergy_summary') > now() - interval '1 hour'}, 't' ],
        [ 'what is there', 'SELECT count(*) > 0, bool_and(has_rows) FROM wc_data_presence()', 't|t' ],
        [ 'whether the library is preloaded', 'SELECT wc_preloaded()', 't' ],
        [ 'health', q{SELECT check_name, detail FROM wc_health_check() WHERE status = 'critical'}, '' ],
        [ 'healthy', 'SELECT wc_healthy()', 't' ],
        [ 'health for anybody', q{SET ROLE reader; SELECT count(*) > 5 FROM wc_health_check()}, 't' ],

        [ 'the scheduler', 'SELECT loaded, database, here FROM wc_scheduler()', 't|with_cron|' . ($cron ? 't' : 'f') ],
        [ 'jobs', 'SELECT count(*) FROM wc_schedule()', '3' ],
        [ 'jobs, seen', 'SELECT count(*) FROM wc_scheduled_jobs()', $cron ? '3' : '0' ],
        [ 'a schedule', q{SELECT wc_set_schedule('allergy_summary', 'daily', '04:30'); SELECT schedule, at_time FROM wc_view_schedule WHERE view_name = 'mv_allergy_summary'}, "\ndaily|04:30:00" ],
        [ 'what is due', q{SELECT DISTINCT status FROM wc_refresh_due('hourly')}, 'refreshed' ],
        [ 'what a job runs', q{CALL wc_run_schedule('six_hourly'); SELECT DISTINCT origin FROM wc_refresh_log WHERE origin = 'schedule'}, 'schedule' ],
        [ 'no jobs', 'SELECT count(*) FROM wc_unschedule()', $cron ? '3' : '0' ],    # removed at commit
        !$newer ? () : (
            [ 'live mode', 'SELECT switched_on, state FROM wc_live_status()', 'f|off' ],
            [ 'what is captured', 'SELECT count(*) > 5 FROM wc_captured_columns()', 't' ],
            [ 'changes', q{/* wc_capture, wc_ignore_replicated */ UPDATE allergies SET reaction = 'hives' WHERE id IN (SELECT id FROM allergies LIMIT 2); UPDATE wc_site_setting SET value = value;
                SELECT pending_changes FROM wc_pending_changes() WHERE view_name = 'mv_allergy_summary'}, qr/\A[1-9]/ ],
            [ 'what a refresh runs', q{SELECT count(*) FROM wc_refresh_queries('allergy_summary')}, '1' ],
            [ 'verification', q{SELECT missing, extra FROM wc_verify('allergy_summary') WHERE pending = 0 UNION ALL SELECT 0, 0 FROM wc_refresh('allergy_summary') WHERE keys_refreshed = 0}, '' ],
            [ 'a view of its own', q{SELECT count(*) FROM wc_add_view('mv_own', 'SELECT s."id" FROM {students: id} AS s WHERE true {only s."id"}', ARRAY['id']) WHERE action = 'created';
                SELECT action FROM wc_remove_view('mv_own')}, qr/\A[1-9]\d*\ndropped/ ]),
        !$since_1_2{$version} ? () : watching(),
        !$since_1_3{$version} ? () : monitored(),
        [ 'still the objects', $objects, $all ]);
}

for my $version (@earlier) {
    for my $cron (1, 0) {
        $database = $cron ? 'with_cron' : 'without_cron';
        my $label = "$version, " . ($cron ? 'beside pg_cron' : 'without pg_cron');
        make_database($node, $database, 'reference', whitecross => 0, extensions => [ 'hypopg', $cron ? 'pg_cron' : () ]);
        sql("ALTER DATABASE $database SET whitecross.live_refresh = off") if $since_1_1{$version};
        my $before = catalogue($node, $database);
        sql("CREATE EXTENSION whitecross VERSION '$version'");
        my @calls = calls($version, $cron);
        for my $function (split /\n/, sql(<<'SQL')) {
SELECT DISTINCT p.proname FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'whitecross'
 WHERE p.prorettype <> 'event_trigger'::regtype ORDER BY 1
SQL
            ok((grep { $_->[1] =~ /\b$function\b/ } @calls) > 0, "$label: $function is called");
        }
        for my $call (@calls) {
            my ($what, $sql, $expected) = @$call;
            my ($out, $state, $err) = try_sql($node, $database, "SET client_min_messages = warning; $sql");
            if (ref $expected) { like($out, $expected, "$label: $what") or diag($err) }
            else               { is($out, $expected, "$label: $what")  or diag($err) }
        }
        ok($node->poll_query_until('with_cron', "SELECT count(*) = 0 FROM cron.job WHERE database = '$database'"), "$label: the jobs are gone");
        # Beside it, in a database at this version, the same library does what is new.
        make_database($node, "new_$database", 'reference', students => 20);
        is($node->safe_psql("new_$database", 'SELECT DISTINCT status FROM wc_refresh_all()'), 'refreshed', "$label: a database at $current is served, too");
        is($node->safe_psql("new_$database", q{SELECT extversion FROM pg_extension WHERE extname = 'whitecross'}), $current, "$label: it is at $current");
        is(sql(q{SELECT extversion FROM pg_extension WHERE extname = 'whitecross'}), $version, "$label: this one stays where it is");
        is(sql('SELECT DISTINCT status FROM wc_refresh_all()'), 'refreshed', "$label: and works");

        is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$database' AND backend_type LIKE 'whitecross live%'"),
            '0', "$label: live mode stays away");
        ok($node->poll_query_until("new_$database", 'SELECT state FROM wc_live_status()', 'running'), "$label: it is in the database at $current");

        sql('ALTER TABLE students OWNER TO postgres; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM registrar, reader; DROP EXTENSION whitecross');
        my $after = catalogue($node, $database);
        # What the test itself granted and took away again leaves the owner's own rights written out.
        s/ \{postgres=\w+\/postgres\}$/ /mg for $before, $after;
        same_lines($after, $before, "$label: DROP EXTENSION leaves what was there before");

        # An update brings it, or keeps it.
        sql("ALTER DATABASE $database RESET whitecross.live_refresh");
        sql("CREATE EXTENSION whitecross VERSION '$version'; ALTER EXTENSION whitecross UPDATE");
        ok($node->poll_query_until($database, 'SELECT state FROM wc_live_status()', 'running'), "$label: updated, the database has live mode");
        sql(q{UPDATE students SET "firstName" = 'Live'});
        ok($node->poll_query_until($database, q{SELECT bool_and("firstName" = 'Live') FROM mv_student_health_summary}), "$label: which refreshes its views");
    }
    $node->safe_psql('postgres', "DROP DATABASE $_ WITH (FORCE)") for map { ($_, "new_$_") } 'without_cron', 'with_cron';
}

unlike(slurp_file($node->logfile), qr/live refresh is started again after an error/, 'live mode met no error');

done_testing();

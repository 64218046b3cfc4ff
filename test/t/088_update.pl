# ALTER EXTENSION whitecross UPDATE, from every earlier version whose script is kept: a site with data, grants, settings,
# mapping and schedules of its own becomes, to the last comment, what a fresh installation of this version set up in the same
# way is, and so is what a dump of it restores. Nothing of the site's is lost, and what could not be done is said.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Description;
use WhiteCross::Test;

my ($current) = slurp_file(tree() . '/whitecross.control') =~ /^default_version\s*=\s*'([^']+)'/m;
my @earlier = grep { $_ ne $current } map { m{/whitecross--([^-]+)\.sql\z} ? $1 : () } glob tree() . '/sql/whitecross--*.sql';
cmp_ok(scalar @earlier, '>', 0, 'there are versions to come from');

# Versions from which an update changes managed objects, and so ends with wc_install(): those before the present definitions.
my %changes_objects = ('1.0.0' => 1);

# One clock for every session, so that views can be compared row by row.
my $node = new_node('update', preload => 'pg_cron,whitecross', conf => "whitecross.now = '2026-02-03 15:00:00+00'\n");
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
$node->safe_psql('postgres', "CREATE ROLE $_") for 'registrar NOLOGIN', 'operator LOGIN', qw(nurse counselor auditor);
my %schema = (reference => 'wc', platform => 'public');

# The tables of a site, not the extension.
sub make_tables {
    my ($database, $kind) = @_;
    make_database($node, $database, $kind, whitecross => 0, owner => 'registrar');
    $node->safe_psql($database, <<"SQL");
CREATE SCHEMA IF NOT EXISTS $schema{$kind};
UPDATE vital_signs SET "heartRate" = 500 WHERE id = (SELECT min(id::text)::uuid FROM vital_signs);
SQL
    return;
}

# What a site decides, and grants, on everything of ours that it can; and what it builds on that.
sub live_with_it {
    my ($database, $kind) = @_;
    my $schema = $schema{$kind};
    $node->safe_psql($database, <<"SQL");
SET client_min_messages = warning;
SET search_path = $schema, public;
GRANT USAGE ON SCHEMA $schema TO PUBLIC;
SELECT wc_configure('timezone', 'America/New_York');
SELECT wc_configure('grades', 'Pre-K,K,1,2,3,4,5,6,7,8,9,10,11,12,Graduate');
SELECT wc_map_column('users', 'lastName', '"lastName" || '', RN''');
SELECT wc_map_column('health_records', 'recordedBy', '"@{[$kind eq 'platform' ? 'updatedBy' : 'studentId']}"');
SELECT wc_disable('idx_appointments_calendar');
SELECT wc_enforce('chk_vital_signs_heart_rate_range');
SELECT wc_set_schedule('mv_allergy_summary', 'daily', '04:30');
SELECT wc_set_schedule('mv_compliance_status', 'off');
SELECT wc_install();
GRANT SELECT ON public.mv_allergy_summary TO nurse WITH GRANT OPTION;
SET ROLE nurse;
GRANT SELECT ON public.mv_allergy_summary TO counselor;
RESET ROLE;
GRANT SELECT ("studentId", "overallComplianceStatus") ON public.mv_compliance_status TO counselor;
GRANT SELECT ON public.mv_appointment_statistics TO PUBLIC;
CREATE INDEX alerts_first ON public.mv_allergy_summary ("alertLevel") WHERE "alertLevel" <> 'NONE';
CREATE VIEW public.alerts AS SELECT "studentId", "alertLevel" FROM public.mv_allergy_summary WHERE "alertLevel" <> 'NONE';
GRANT SELECT ON public.alerts TO nurse;
-- On our functions, types and tables: to be kept by whatever replaces them.
GRANT EXECUTE ON FUNCTION wc_refresh(text, text, text), wc_refresh_all(text, int, text), wc_install(text), wc_refresh_due(text) TO operator WITH GRANT OPTION;
SET ROLE operator;
GRANT EXECUTE ON FUNCTION wc_refresh_all(text, int, text) TO nurse;
RESET ROLE;
GRANT EXECUTE ON PROCEDURE wc_run_schedule(text) TO operator;
SELECT wc_schedule('operator');
REVOKE EXECUTE ON FUNCTION wc_view_stats(text), wc_health_check(), wc_objects() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION wc_view_stats(text), wc_health_check(), wc_objects() TO auditor;
REVOKE SELECT ON wc_refresh_log FROM PUBLIC;
GRANT SELECT ON wc_refresh_log TO auditor;
GRANT SELECT (view_name, last_refresh) ON wc_view_state TO auditor;
REVOKE USAGE ON TYPE wc_refresh_result FROM PUBLIC;
GRANT USAGE ON TYPE wc_refresh_result TO auditor;
-- Views of the site's on ours.
CREATE VIEW public.how_old AS SELECT view_name, age FROM wc_view_stats();
CREATE VIEW public.everything_of AS SELECT * FROM wc_view_stats();
CREATE VIEW public.problems AS SELECT * FROM wc_health_check() WHERE status <> 'ok';
CREATE VIEW public.attempts AS SELECT * FROM wc_refresh_log;
CREATE VIEW public.last_states AS SELECT * FROM wc_view_state;
CREATE FUNCTION public.refresh_now() RETURNS SETOF wc_refresh_result LANGUAGE sql AS 'SELECT * FROM $schema.wc_refresh_all()';
SQL
    return;
}

# The views of the site that say "all columns": of a row that has got more since, a fresh one shows more. Compared apart.
my $whole_rows = qr/\b(?:everything_of|attempts|last_states)\b/;
sub without_whole_rows { return join "\n", grep { !/$whole_rows/ } split /\n/, $_[0] }
sub only_whole_rows { return join "\n", grep { /$whole_rows/ } split /\n/, $_[0] }

sub all_of { my ($database, $kind) = @_; return without_whole_rows(description($node, $database)) }

sub rows_of_views {
    my ($database) = @_;
    return join "\n", map { $node->safe_psql($database, "SELECT '$_', count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM public.$_ AS t") } VIEWS;
}

# What the extension remembers of before, and the site's jobs.
sub history_of {
    my ($database, $schema) = @_;
    await_jobs($node);
    return $node->safe_psql($database, <<"SQL")
SELECT id, view_name, mode, status, origin, in_worker, rows_written, row_count, started_at, finished_at FROM $schema.wc_refresh_log WHERE id <= 12 ORDER BY id;
SELECT view_name, refreshes >= 2 FROM $schema.wc_view_state ORDER BY 1;
SELECT * FROM $schema.wc_site_setting ORDER BY 1;
SELECT * FROM $schema.wc_site_mapping ORDER BY 1, 2;
SELECT * FROM $schema.wc_site_schedule ORDER BY 1;
SELECT name, disabled FROM $schema.wc_registry WHERE disabled;
SQL
      . "\n" . $node->safe_psql('postgres', "SELECT jobname, schedule, command, database, username, active FROM cron.job WHERE database = '$database' ORDER BY 1");
}

sub actions { my ($database, $schema) = @_; return $node->safe_psql($database, "SELECT action, name, reason FROM $schema.wc_install() ORDER BY 1, 2") }

# restored(DATABASE): a copy of a database by dump and restore.
my $number_of_dumps = 0;
sub restored {
    my ($database) = @_;
    my $copy = $database . '_restored';
    my $file = $node->basedir . '/' . $number_of_dumps++ . '.dump';
    my @at   = ('--host', $node->host, '--port', $node->port);
    $node->safe_psql('postgres', "CREATE DATABASE $copy TEMPLATE template0");
    command_ok([ 'pg_dump', @at, '--format=custom', '--file', $file, $database ], "$database: it can be dumped");
    command_ok([ 'pg_restore', @at, '--exit-on-error', '--dbname', $copy, $file ], "$database: and restored");
    return $copy;
}

for my $kind (qw(reference platform)) {
    my $schema = $schema{$kind};
    my $fresh  = "${kind}_fresh";
    make_tables($fresh, $kind);
    $node->safe_psql($fresh, "SET client_min_messages = warning; CREATE EXTENSION whitecross SCHEMA $schema");
    live_with_it($fresh, $kind);
    my $wanted = all_of($fresh);
    my $rows   = rows_of_views($fresh);
    my $pending = actions($fresh, $schema);

    for my $version (@earlier) {
        my $label    = "$kind, $version";
        my $database = "${kind}_" . $version =~ s/\W/_/gr;
        make_tables($database, $kind);
        $node->safe_psql($database, "SET client_min_messages = warning; CREATE EXTENSION whitecross SCHEMA $schema VERSION '$version'");
        live_with_it($database, $kind);
        is($node->safe_psql($database, "SELECT DISTINCT status FROM $schema.wc_refresh_all()"), 'refreshed', "$label: the views are refreshed");
        is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'whitecross'}), $version, "$label: at that version");
        my $history = history_of($database, $schema);
        cmp_ok(scalar(split /\n/, $history), '>', 20, "$label: there is something to keep");
        my $own = only_whole_rows(description($node, $database));

        # A dump doesn't say of which version it is: what it restores is of the one that the server has. Dumps of the latest version are
        # tried on both databases, those of earlier ones on one.
        my $dumps = $kind eq 'reference' || $version eq $earlier[-1];
        if ($dumps) {
            my $moved = restored($database);
            is($node->safe_psql($moved, q{SELECT extversion FROM pg_extension WHERE extname = 'whitecross'}), $current, "$label: dumped and restored, it is at this version");
            actions($moved, $schema);
            same_lines(without_whole_rows(description($node, $moved)), $wanted, "$label: and once wc_install() has run, the catalogue is that of a fresh installation");
            same_lines(shipped_rows($node, $moved, $schema), shipped_rows($node, $fresh, $schema), "$label: so are the rows");
            is(rows_of_views($moved), $rows, "$label: and the views");
            $node->safe_psql('postgres', "DROP DATABASE $moved WITH (FORCE)");
        }

        # An update that is rolled back leaves the version of before, working.
        my $before = description($node, $database);
        $node->safe_psql($database, 'SET client_min_messages = warning; BEGIN; ALTER EXTENSION whitecross UPDATE; ROLLBACK');
        same_lines(description($node, $database), $before, "$label: rolled back, the update leaves nothing");

        # In a session that has used the version of before.
        my ($out, $state, $err) = try_sql($node, $database, <<"SQL");
SET search_path = $schema, public;
SELECT DISTINCT status FROM wc_refresh_all(workers => 0);
SELECT count(*) > 0 FROM wc_objects();
ALTER EXTENSION whitecross UPDATE;
SELECT DISTINCT status FROM wc_refresh_all(workers => 0);
SELECT status, count(*) FROM wc_health_check() WHERE status = 'critical' GROUP BY 1;
SELECT DISTINCT status FROM wc_refresh_all();
SQL
        is($state, '', "$label: the update succeeds") or diag($err);
        is($out, "refreshed\nt\nrefreshed\nrefreshed", "$label: what was loaded before it goes on to work");
        is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'whitecross'}), $current, "$label: it leads to this version");
        unlike($err, qr/WARNING|could not/, "$label: without a warning");

        my $updated = description($node, $database);
        same_lines(without_whole_rows($updated), $wanted, "$label: updated, the catalogue is that of a fresh installation");
        same_lines(only_whole_rows($updated), $own, "$label: and what the site has built on our rows is what it was");
        same_lines(shipped_rows($node, $database, $schema), shipped_rows($node, $fresh, $schema), "$label: the shipped rows and the site's, too");
        same_lines(history_of($database, $schema), $history, "$label: log, settings, mapping, schedules and jobs are kept");
        is(rows_of_views($database), $rows, "$label: the views show the same rows");
        is(actions($database, $schema), $pending, "$label: wc_install() has nothing left to do but what it can't");
        is($node->safe_psql($database, 'SET ROLE nurse; SELECT count(*) > 0 FROM public.mv_allergy_summary'), 't', "$label: who could read a view still can");
        is($node->safe_psql($database, "SET ROLE auditor; SELECT count(*) FROM $schema.wc_view_stats()"), '5', "$label: and who could call a function");
        is((try_sql($node, $database, "SET ROLE counselor; SELECT count(*) FROM $schema.wc_view_stats()"))[1], '42501', "$label: from whom it was taken still can't");

        # Dumped and restored.
        next if !$dumps;
        my $copy = restored($database);
        same_lines(without_constraint_links(without_whole_rows(description($node, $copy))), without_constraint_links($wanted),
            "$label: dumped and restored, the catalogue is that of a fresh installation, but for the links of constraints");
        actions($copy, $schema);
        same_lines(without_whole_rows(description($node, $copy)), $wanted, "$label: which wc_install() puts back");
        same_lines(shipped_rows($node, $copy, $schema), shipped_rows($node, $fresh, $schema), "$label: the rows, too");
        is(rows_of_views($copy), $rows, "$label: and so are the views");
    }
}

# ---- On a busy site.
for my $version (@earlier) {
    my $database = 'busy_' . $version =~ s/\W/_/gr;
    make_tables($database, 'reference');
    $node->safe_psql($database, "SET client_min_messages = warning; CREATE EXTENSION whitecross VERSION '$version'");
    $node->safe_psql('postgres', "CREATE DATABASE ${database}_later TEMPLATE $database");

    if (!$changes_objects{$version}) {

        # Nothing to make, so nobody is waited for.
        my $holder = $node->background_psql($database);
        $holder->query_safe('BEGIN; UPDATE public.students SET grade = grade');
        my (undef, $state, $err) = try_sql($node, $database, 'ALTER EXTENSION whitecross UPDATE');
        is($state, '', "$version: while a table is written to, the update succeeds") or diag($err);
        unlike($err, qr/NOTICE|WARNING/, "$version: and has nothing to say");
        $holder->query_safe('COMMIT');
        $holder->quit;
        is(actions($database, 'public'), actions("${database}_later", 'public'), "$version: wc_install() has no more to do than before it");
        next;
    }

    # Nothing is installed when that is asked for; it is said how to go on.
    my (undef, $state, $err) = try_sql($node, "${database}_later", 'SET whitecross.install_on_create = off; ALTER EXTENSION whitecross UPDATE');
    is($state, '', "$version: with install_on_create off, the update succeeds");
    like($err, qr/NOTICE: .*managed objects are not brought up to date yet\n.*HINT: .*wc_install\(\)/s, "$version: and says what is left to do");
    is($node->safe_psql("${database}_later", 'SELECT DISTINCT status FROM wc_refresh_all()'), 'refreshed', "$version: meanwhile views are refreshed as ever");
    is($node->safe_psql("${database}_later", q{SELECT count(*) FROM wc_health_check() WHERE status = 'critical'}), '0', "$version: and nothing is critical");
    $node->safe_psql("${database}_later", 'SET client_min_messages = warning; SELECT wc_install()');

    # A table that the application is writing to: what needs its lock waits for another time, and that is said.
    my $holder = $node->background_psql($database);
    $holder->query_safe('BEGIN; UPDATE public.students SET grade = grade');
    (undef, $state, $err) = try_sql($node, $database, q{SET whitecross.lock_timeout = '200ms'; ALTER EXTENSION whitecross UPDATE});
    is($state, '', "$version: while a table is written to, the update succeeds") or diag($err);
    my $missing = $node->safe_psql($database, q{SELECT count(*) FROM wc_objects() WHERE status = 'pending'});
    my $notice  = qr/NOTICE: .*$missing managed objects could not be installed\n.*HINT: .*wc_objects\(\)/s;
    like($err, $notice, "$version: and says how many objects could not be made");
    is($node->safe_psql($database, q{SELECT status FROM wc_objects() WHERE kind = 'trigger' AND table_name = 'students'}), 'pending', "$version: the triggers of that table");
    $holder->query_safe('COMMIT');
    $holder->quit;
    actions($database, 'public');
    is(actions($database, 'public'), actions("${database}_later", 'public'), "$version: when it is free, wc_install() makes up for it");
    same_lines(description($node, $database), description($node, "${database}_later"), "$version: by either way the catalogue is the same");
}

# ---- By another superuser than the one who installed it; and where a site has built a view on one whose definition is new.
$node->safe_psql('postgres', 'CREATE ROLE dba SUPERUSER');
for my $version (@earlier) {
    my $database = 'others_' . $version =~ s/\W/_/gr;
    my $create   = sub { my ($name, $with) = @_; make_tables($name, 'reference'); $node->safe_psql($name, "SET client_min_messages = warning; SET ROLE dba; CREATE EXTENSION whitecross$with") };
    $create->($database, " VERSION '$version'");
    $create->("${database}_fresh", '');
    $node->safe_psql($database, 'SET client_min_messages = warning; ALTER EXTENSION whitecross UPDATE');
    same_lines(description($node, $database), description($node, "${database}_fresh"), "$version: whoever updates, everything belongs to who installed the extension");

    next if !$changes_objects{$version};
    my $built = "${database}_built";
    $create->($built, " VERSION '$version'");
    $node->safe_psql($built, 'CREATE VIEW public.due AS SELECT "studentId" FROM public.mv_medication_schedule WHERE "isDueNow"');
    my (undef, $state, $err) = try_sql($node, $built, 'ALTER EXTENSION whitecross UPDATE');
    is($state, '', "$version: with a view of the site's on one of ours, the update succeeds");
    my $object = q{SELECT status, reason FROM wc_objects() WHERE name = 'mv_medication_schedule'};
    is($node->safe_psql($built, $object), 'outdated|others depend on it: view public.due', "$version: ours stays, outdated, and who depends on it is named");
    is($node->safe_psql($built, q{SELECT string_agg(DISTINCT status, ',') FROM wc_refresh_all()}), 'refreshed', "$version: it is refreshed as the others are") for 1, 2;
    my $reason = $node->safe_psql($built, q{SELECT mode, reason FROM wc_refresh_log WHERE view_name = 'mv_medication_schedule' ORDER BY id DESC LIMIT 1});
    like($reason, qr/\Aconcurrent\|.*wc_install\(\)/, "$version: as a whole, and the log says why");
    $node->safe_psql($built, 'DROP VIEW public.due; SET client_min_messages = warning; SELECT wc_install()');
    same_lines(description($node, $built), description($node, "${database}_fresh"), "$version: when nothing depends on it any more, it follows");
}

done_testing();

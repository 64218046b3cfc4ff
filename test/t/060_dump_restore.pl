# pg_dump and restore of both databases, in every format: nothing is lost, nothing warns, wc_install() only puts the
# links back, and DROP EXTENSION leaves what was there before CREATE EXTENSION.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Description;
use WhiteCross::Test;

# One clock for every session of every server, jobs included: views can be compared row by row.
my $conf = "whitecross.now = '2026-02-03 15:00:00+00'\n";
my $node = new_node('origin', preload => 'pg_cron,whitecross', cron_database => 'reference', conf => $conf);
my $copy = new_node('copy', preload => 'pg_cron,whitecross', cron_database => 'reference', conf => $conf);

my %schema = (reference => 'wc', platform => 'public');

# Every table and view with the number and the digest of its rows; the extension's own tables are compared by name below.
sub rows_of {
    my ($server, $database) = @_;
    my @relations = split /\n/, $server->safe_psql($database, <<'SQL');
SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.oid::regclass::text
SQL
    return $server->safe_psql($database, join ' UNION ALL ', map {
        "SELECT '$_', count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM $_ AS t"
    } @relations);
}

# What the extension knows of its objects and of the site.
sub state_of {
    my ($server, $database, $schema) = @_;
    return join "\n", map { $server->safe_psql($database, $_) } (
        "SELECT kind, name, table_name, status, validated, reason, definition FROM $schema.wc_objects() ORDER BY name",
        "SELECT * FROM $schema.wc_configuration ORDER BY name",
        "SELECT * FROM $schema.wc_column_mapping ORDER BY 1, 2",
        "SELECT * FROM $schema.wc_site_setting ORDER BY 1",
        "SELECT * FROM $schema.wc_site_mapping ORDER BY 1, 2",
        "SELECT * FROM $schema.wc_site_schedule ORDER BY 1",
        "SELECT * FROM $schema.wc_site_view ORDER BY 1",
        "SELECT * FROM $schema.wc_registry ORDER BY 1");
}

sub jobs_of {
    my ($server) = @_;
    await_jobs($server);
    return $server->safe_psql('reference', 'SELECT jobname, schedule, command, database, username, active FROM cron.job ORDER BY jobname');
}

sub run_quietly {
    my ($what, @command) = @_;
    my ($out, $err) = ('', '');
    my $status = IPC::Run::run(\@command, '>', \$out, '2>', \$err);
    ok($status, "$what succeeds");
    is($err, '', "$what says nothing on standard error");
    return;
}

sub at { my ($server) = @_; return ('--host', $server->host, '--port', $server->port) }

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE registrar NOLOGIN;
CREATE ROLE nurse LOGIN;
CREATE ROLE counselor LOGIN;
CREATE ROLE head_nurse LOGIN;
SQL

my (%before, %jobs_before);
for my $kind (qw(reference platform)) {
    my $schema = $schema{$kind};
    make_database($node, $kind, $kind, whitecross => 0, owner => 'registrar', extensions => $kind eq 'reference' ? ['pg_cron'] : []);
    my $pressure = $kind eq 'platform' ? '"bloodPressureDiastolic"' : 'diastolic';
    $node->safe_psql($kind, <<"SQL");
CREATE SCHEMA IF NOT EXISTS $schema;
-- Of the site's own, for a view of its own.
CREATE TABLE clubs ("studentId" uuid NOT NULL, "name of the club" text);
INSERT INTO clubs SELECT id, 'Chess' FROM students WHERE grade = '5';
ALTER TABLE clubs OWNER TO registrar;
UPDATE vital_signs SET "heartRate" = 500 WHERE id = (SELECT min(id::text)::uuid FROM vital_signs);
UPDATE vital_signs SET $pressure = 10 WHERE id IN (SELECT id FROM vital_signs ORDER BY id LIMIT 3);
-- A child of four enrolled at 24 and long grown up: the rule looks at the day of enrolment.
UPDATE students SET "dateOfBirth" = '1999-01-10', "enrollmentDate" = '2023-06-01' WHERE id = (SELECT min(id::text)::uuid FROM students);
SQL
    $before{$kind} = catalogue($node, $kind);
    $node->safe_psql($kind, <<"SQL");
SET client_min_messages = warning;
CREATE EXTENSION whitecross SCHEMA $schema;
SET search_path = $schema, public;
SELECT wc_configure('timezone', 'America/New_York');
SELECT wc_configure('grades', 'Pre-K,K,1,2,3,4,5,6,7,8,9,10,11,12,Graduate');
SELECT wc_map_column('users', 'lastName', '"lastName" || '', RN''');
SELECT wc_map_column('health_records', 'recordedBy', '"@{[$kind eq 'platform' ? 'updatedBy' : 'studentId']}"');
SELECT wc_disable('idx_appointments_calendar');
SELECT wc_enforce('chk_vital_signs_heart_rate_range');
SELECT wc_set_schedule('mv_allergy_summary', 'daily', '04:30');
SELECT wc_install();
SELECT wc_add_view('mv_clubs', 'SELECT c."studentId", c."name of the club" AS club, {today} AS today
  FROM {clubs: studentId, "name of the club"} AS c WHERE true {only c."studentId"}', '{studentId}', NULL,
  'SELECT v."studentId" FROM {view} AS v WHERE {that day} <> {today}', 'SELECT {next day}', 'It''s ours.');
SELECT wc_set_schedule('mv_clubs', 'daily', '05:15');
SELECT wc_schedule();
GRANT SELECT ON public.mv_clubs TO nurse;
GRANT SELECT ON public.mv_allergy_summary TO nurse WITH GRANT OPTION;
SET ROLE nurse;
GRANT SELECT ON public.mv_allergy_summary TO counselor;
RESET ROLE;
GRANT SELECT ("studentId", "overallComplianceStatus") ON public.mv_compliance_status TO counselor;
GRANT SELECT ON public.mv_appointment_statistics TO PUBLIC;
GRANT EXECUTE ON FUNCTION wc_refresh_all(text, int, text) TO head_nurse;
CREATE VIEW public.alerts AS SELECT "studentId", "alertLevel" FROM public.mv_allergy_summary WHERE "alertLevel" <> 'NONE';
GRANT SELECT ON public.alerts TO nurse;
SQL
    is($node->safe_psql($kind, "SELECT string_agg(name || ' ' || status || coalesce(' ' || validated, ''), ', ' ORDER BY name) FROM $schema.wc_objects() WHERE status IN ('pending', 'outdated', 'conflict', 'disabled') OR NOT validated"),
        'chk_vital_signs_diastolic_range pending, chk_vital_signs_heart_rate_range installed false, idx_appointments_calendar disabled',
        "$kind: everything is installed but what was meant not to be");
}
# The user's view belongs to the catalogue before as much as to the one after.
my %made = map { $_ => settled(catalogue($node, $_)) } qw(reference platform);
my %state = map { $_ => state_of($node, $_, $schema{$_}) } qw(reference platform);
my %rows = map { $_ => rows_of($node, $_) } qw(reference platform);
my $jobs = jobs_of($node);
like($jobs, qr/whitecross reference hourly/, 'the cron database has jobs of its own');
like($jobs, qr/whitecross platform daily/, 'and jobs of the other database');
like($made{platform}, qr/dependency constraint chk_students_grade_valid .* x extension whitecross/,
    'constraints are linked to the extension');

# Roles are no part of a database's dump.
run_quietly('pg_dumpall --roles-only', 'pg_dumpall', at($node), '--roles-only', '--no-role-passwords', '--file', $node->basedir . '/roles.sql');
my $roles = slurp_file($node->basedir . '/roles.sql');
$roles =~ s/^CREATE ROLE postgres;\n//m;
$copy->safe_psql('postgres', $roles);

my %format = (
    plain     => { dump => ['--format=plain'] },
    custom    => { dump => ['--format=custom'], restore => ['--exit-on-error'] },
    directory => { dump => [ '--format=directory', '--jobs=2' ], restore => [ '--exit-on-error', '--jobs=2' ] });

# verify(SERVER, DATABASE, KIND, LABEL): a restored database against its origin, and to its end.
sub verify {
    my ($server, $database, $kind, $label) = @_;
    my $schema = $schema{$kind};
    same_lines(rows_of($server, $database), $rows{$kind}, "$label: the rows are the same");
    same_lines(state_of($server, $database, $schema), $state{$kind}, "$label: objects, configuration, mapping and schedules are the same");
    same_lines(without_constraint_links(settled(catalogue($server, $database))),
        without_constraint_links($made{$kind}), "$label: the catalogue is the same, grants and comments included");
    is( $server->safe_psql($database, "SELECT action, count(*) FROM $schema.wc_install() GROUP BY action ORDER BY action"),
        "linked|12\npending|1", "$label: wc_install() puts the constraints' links back and does nothing else");
    same_lines(settled(catalogue($server, $database)), $made{$kind}, "$label: then the catalogue is the same, links included");
    is($server->safe_psql($database, "SELECT action, name FROM $schema.wc_install()"),
        'pending|chk_vital_signs_diastolic_range', "$label: a second time there is nothing to do");
    is( $server->safe_psql($database, "SELECT string_agg(DISTINCT status, ',') FROM $schema.wc_refresh_all()"),
        'refreshed', "$label: the views can be refreshed");
    same_lines(rows_of($server, $database), $rows{$kind}, "$label: and show the same rows");
    is( $server->safe_psql($database, q{UPDATE students SET "lastName" = 'Other' WHERE "dateOfBirth" = '1999-01-10' RETURNING 1}),
        '1', "$label: a student who has grown up since enrolment can be updated");
    return;
}

# drop(SERVER, DATABASE, KIND, LABEL): the extension goes, and nothing of it stays.
sub drop {
    my ($server, $database, $kind, $label) = @_;
    my (undef, $state, $err) = try_sql($server, $database, 'DROP EXTENSION whitecross');
    is($state, '2BP01', "$label: DROP EXTENSION stops at the user's view");
    like($err, qr/view alerts depends on materialized view mv_allergy_summary/, "$label: and names it");
    $server->safe_psql($database, 'DROP VIEW alerts');
    $server->safe_psql($database, 'DROP EXTENSION whitecross');
    same_lines(catalogue($server, $database), $before{$kind}, "$label: DROP EXTENSION leaves what was there before CREATE EXTENSION");
    return;
}

for my $format (sort keys %format) {
    for my $kind (qw(reference platform)) {
        my $file = $node->basedir . "/$kind.$format";
        run_quietly("$kind, $format: pg_dump", 'pg_dump', at($node), @{ $format{$format}{dump} }, '--file', $file, $kind);
    }
}

for my $format (sort keys %format) {
    for my $kind (qw(reference platform)) {
        # The cron database is that of another server, under the same name; the other one stands beside its origin.
        my ($server, $database) = $kind eq 'reference' ? ($copy, 'reference') : ($node, "platform_$format");
        my $label = "$kind, $format";
        my $file  = $node->basedir . "/$kind.$format";
        $server->safe_psql('postgres', "DROP DATABASE IF EXISTS $database WITH (FORCE)") if $kind eq 'reference';
        $server->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
        if ($format eq 'plain') {
            run_quietly("$label: psql --single-transaction", 'psql', '-X', at($server), '--set', 'ON_ERROR_STOP=1', '--single-transaction',
                '--quiet', '--output', '/dev/null', '--dbname', $database, '--file', $file);
        }
        else {
            run_quietly("$label: pg_restore", 'pg_restore', at($server), @{ $format{$format}{restore} }, '--dbname', $database, $file);
        }
        same_lines(jobs_of($server), $jobs, "$label: the jobs are those of before");
        # Without wc_install() first: the links of constraints are put back by DROP EXTENSION itself.
        if ($format eq 'custom') {
            drop($server, $database, $kind, "$label, nothing called before");
            $server->safe_psql($database, "SET client_min_messages = warning; CREATE EXTENSION whitecross SCHEMA $schema{$kind}");
            is( $server->safe_psql($database, "SELECT count(*) FROM $schema{$kind}.wc_objects() WHERE kind = 'materialized view' AND status = 'installed'"),
                '5', "$label: CREATE EXTENSION works again");
            next;
        }
        verify($server, $database, $kind, $label);
        drop($server, $database, $kind, $label);
        if ($kind eq 'reference') {
            is($server->safe_psql('reference', q{SELECT count(*) FROM cron.job WHERE jobname LIKE 'whitecross reference %'}),
                '0', "$label: its jobs are gone with the extension");
        }
    }
}

done_testing();

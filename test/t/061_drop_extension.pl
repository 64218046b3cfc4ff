# DROP EXTENSION takes back everything that CREATE EXTENSION and use of it made, and nothing else: not what was adopted,
# and no user's object without the user's own word.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('drop', preload => 'pg_cron,whitecross');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');

# The catalogue, every dependency of an object that isn't the system's, the jobs, and what else an object leaves behind.
sub everything {
    my ($database) = @_;
    await_jobs($node);
    return join "\n", catalogue($node, $database), $node->safe_psql($database, <<'SQL'), $node->safe_psql('postgres', 'SELECT * FROM cron.job');
SELECT 'depends ' || pg_describe_object(classid, objid, objsubid) || ' ' || deptype::text || ' ' || pg_describe_object(refclassid, refobjid, refobjsubid)
  FROM pg_depend WHERE objid >= 16384 AND (classid, objid) NOT IN (SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace)
                       AND (refclassid, refobjid) NOT IN (SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace)
UNION ALL
SELECT 'role ' || refobjid::regrole::text || ' ' || pg_describe_object(classid, objid, objsubid) || ' ' || deptype::text
  FROM pg_shdepend WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid <> 'pg_init_privs'::regclass
UNION ALL
SELECT 'initial privilege ' || pg_describe_object(classoid, objoid, objsubid) FROM pg_init_privs WHERE objoid >= 16384
UNION ALL
SELECT 'default privilege ' || defaclacl::text FROM pg_default_acl
UNION ALL
SELECT 'options of ' || attrelid::regclass || '.' || attname FROM pg_attribute WHERE attoptions IS NOT NULL OR attacl IS NOT NULL
UNION ALL
SELECT 'rows of ' || oid::regclass FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
ORDER BY 1
SQL
}

my $installed = q{SELECT string_agg(n, ', ' ORDER BY n) FROM (SELECT kind || ' ' || status || ' ' || count(*) AS n FROM wc_objects()
                  WHERE kind NOT IN ('trigger', 'refresh index') GROUP BY kind, status) AS o};
my %expected = (
    reference => 'check constraint installed 13, composite index installed 14, covering index installed 15, '
      . 'materialized view installed 5, partial index installed 20, view index installed 18',
    platform => 'check constraint installed 13, composite index adopted 14, covering index installed 14, covering index not applicable 1, '
      . 'materialized view installed 5, partial index installed 15, partial index not applicable 5, view index installed 18');

for my $kind (qw(reference platform)) {
    make_database($node, $kind, $kind, whitecross => 0);
    $node->safe_psql($kind, 'CREATE ROLE reader') if $kind eq 'reference';
    my $before = everything($kind);

    # Use of everything that leaves a trace.
    my $use = <<'SQL';
SET client_min_messages = warning;
CREATE EXTENSION whitecross;
SELECT wc_schedule();
SELECT wc_set_schedule('compliance_status', 'hourly');
SELECT wc_configure('timezone', 'America/Chicago');
SELECT wc_configure('grades', 'Pre-K,K,1,2,3,4,5,6,7,8,9,10,11,12');
SELECT wc_map_column('users', 'firstName', 'email');
SELECT wc_disable('idx_active_students_search');
SELECT wc_install();
SELECT wc_enable('idx_active_students_search');
SELECT wc_map_column('users', 'firstName', NULL);
SELECT wc_install();
GRANT SELECT ON mv_allergy_summary TO reader WITH GRANT OPTION;
GRANT SELECT ("studentId", grade) ON mv_student_health_summary TO reader;
INSERT INTO allergies (id, "studentId", allergen, "allergyType", severity) SELECT gen_random_uuid(), id, 'Latex', 'LATEX', 'MILD' FROM students LIMIT 5;
SELECT wc_refresh_all('concurrent');
SELECT wc_refresh_all('full', 0);
SELECT wc_retire('covering index');
SELECT wc_suspend_views();
SELECT wc_install();
SELECT wc_retire();
SELECT wc_install();
SELECT wc_validate();
SELECT wc_health_check();
DELETE FROM allergies WHERE allergen = 'Latex';
SQL
    $node->safe_psql($kind, $use);
    is($node->safe_psql($kind, $installed), $expected{$kind}, "$kind: everything is installed");
    ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM cron.job WHERE jobname = 'whitecross $kind hourly')"), "$kind: with its jobs");
    $node->safe_psql($kind, 'DROP EXTENSION whitecross');
    same_lines(everything($kind), $before, "$kind: CREATE, use and DROP EXTENSION leave the database as it was");

    # A session in which it all happens in one transaction, the library loaded or not.
    $node->safe_psql($kind, "BEGIN; $use DROP EXTENSION whitecross; COMMIT");
    same_lines(everything($kind), $before, "$kind: and so they do in one transaction");

    $node->safe_psql($kind, 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
    is($node->safe_psql($kind, $installed), $expected{$kind}, "$kind: CREATE EXTENSION works again");

    # Users' objects on a view of ours, of every kind that depends on it.
    $node->safe_psql($kind, <<'SQL');
CREATE VIEW alerts AS SELECT "studentId", "alertLevel" FROM mv_allergy_summary;
CREATE MATERIALIZED VIEW alert_counts AS SELECT "alertLevel", count(*) FROM alerts GROUP BY 1;
CREATE FUNCTION due_now() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM mv_medication_schedule WHERE "isDueNow"; END;
CREATE FUNCTION overdue() RETURNS SETOF mv_compliance_status LANGUAGE sql AS 'SELECT * FROM mv_compliance_status';
SQL
    my $theirs = q{SELECT to_regclass('alerts'), to_regclass('alert_counts'), to_regprocedure('due_now()'), to_regprocedure('overdue()')};
    my $all_there = $node->safe_psql($kind, $theirs);
    is($all_there, 'alerts|alert_counts|due_now()|overdue()', "$kind: a user builds on the views");

    my (undef, $state, $err) = try_sql($node, $kind, 'DROP EXTENSION whitecross');
    is($state, '2BP01', "$kind: DROP EXTENSION refuses");
    like($err, qr/\Q$_\E/, "$kind: and names $_")
      for 'view alerts depends on materialized view mv_allergy_summary', 'function due_now() depends on', 'function overdue() depends on';

    for my $statement ('wc_suspend_views()', "wc_retire('materialized view')", 'wc_retire()') {
        my $kept = $node->safe_psql($kind, "BEGIN; SELECT name, action, reason FROM $statement WHERE kind = 'materialized view' ORDER BY name; ROLLBACK");
        is($kept, <<'ROWS' =~ s/\n\z//r, "$kind: $statement keeps what others depend on, and names them");
mv_allergy_summary|kept|others depend on it: view public.alerts
mv_appointment_statistics|dropped|
mv_compliance_status|kept|others depend on it: function public.overdue()
mv_medication_schedule|kept|others depend on it: function public.due_now()
mv_student_health_summary|dropped|
ROWS
    }

    # A change that alters every view rebuilds those that nobody depends on; the others stay as they were, outdated.
    my $definition = $node->safe_psql($kind, "SELECT pg_get_viewdef('mv_medication_schedule'::regclass)");
    $node->safe_psql($kind, q{SELECT wc_configure('timezone', 'Asia/Tokyo')});
    is( $node->safe_psql($kind, q{SELECT name, action, reason FROM wc_install() WHERE kind = 'materialized view' AND name IN
          ('mv_medication_schedule', 'mv_appointment_statistics') ORDER BY name}),
        "mv_appointment_statistics|rebuilt|\nmv_medication_schedule|outdated|others depend on it: function public.due_now()",
        "$kind: a rebuild leaves what others depend on, and names them");
    is($node->safe_psql($kind, q{SELECT status, reason FROM wc_objects() WHERE name = 'mv_medication_schedule'}),
        'outdated|others depend on it: function public.due_now()', "$kind: which wc_objects() tells, too");
    is($node->safe_psql($kind, "SELECT pg_get_viewdef('mv_medication_schedule'::regclass)"), $definition, "$kind: it is the one of before");
    is($node->safe_psql($kind, $theirs), $all_there, "$kind: nothing of the user's is gone");
    ($state) = (try_sql($node, $kind, q{SELECT wc_disable('mv_medication_schedule')}))[1];
    is($state, '2BP01', "$kind: wc_disable() refuses, too");

    # Once nobody depends on it any more, the view follows.
    $node->safe_psql($kind, 'DROP FUNCTION due_now()');
    is($node->safe_psql($kind, q{SELECT action FROM wc_install() WHERE name = 'mv_medication_schedule'}), 'rebuilt', "$kind: when they are gone, it is rebuilt");

    # By the user's own word.
    $node->safe_psql($kind, 'SET client_min_messages = warning; DROP EXTENSION whitecross CASCADE');
    is($node->safe_psql($kind, $theirs), '|||', "$kind: DROP EXTENSION CASCADE takes them along");
    same_lines(everything($kind), $before, "$kind: and leaves nothing else");

    # The other ways for an extension to go.
    $node->safe_psql($kind, 'SET client_min_messages = warning; CREATE SCHEMA wc; CREATE EXTENSION whitecross SCHEMA wc; SELECT wc.wc_schedule()');
    (undef, $state) = try_sql($node, $kind, 'DROP SCHEMA wc');
    is($state, '2BP01', "$kind: DROP SCHEMA refuses");
    $node->safe_psql($kind, 'SET client_min_messages = warning; DROP SCHEMA wc CASCADE');
    same_lines(everything($kind), $before, "$kind: DROP SCHEMA CASCADE leaves the database as it was");

    $node->safe_psql($kind, <<'SQL');
SET client_min_messages = warning;
CREATE ROLE installer SUPERUSER LOGIN;
SET ROLE installer;
CREATE EXTENSION whitecross;
SELECT wc_schedule();
RESET ROLE;
DROP OWNED BY installer CASCADE;
DROP ROLE installer;
SQL
    same_lines(everything($kind), $before, "$kind: DROP OWNED leaves the database as it was");
}

# What has taken the place of an object of ours isn't ours.
make_database($node, 'replaced', 'reference', students => 10);
$node->safe_psql('replaced', <<'SQL');
ALTER TABLE students DROP CONSTRAINT chk_students_grade_valid;
ALTER TABLE students ADD CONSTRAINT chk_students_grade_valid CHECK (grade <> '');
DROP INDEX idx_active_students_nurse;
CREATE INDEX idx_active_students_nurse ON students (grade);
DROP MATERIALIZED VIEW mv_allergy_summary;
CREATE MATERIALIZED VIEW mv_allergy_summary AS SELECT 1 AS one;
SQL
is( $node->safe_psql('replaced', q{SELECT name, action FROM wc_install() ORDER BY name}),
    "chk_students_grade_valid|conflict\nidx_active_students_nurse|conflict\nmv_allergy_summary|conflict",
    'what replaced an object of ours is a conflict, and not touched');
$node->safe_psql('replaced', 'SET client_min_messages = warning; DROP EXTENSION whitecross');
is( $node->safe_psql('replaced', q{SELECT (SELECT count(*) FROM pg_constraint WHERE conname LIKE 'chk\_%'), to_regclass('idx_active_students_nurse'), to_regclass('mv_allergy_summary')}),
    '1|idx_active_students_nurse|mv_allergy_summary', 'and stays when the extension goes');

# Adopted: made by hand with the very definitions, before the extension came.
make_database($node, 'adopted', 'reference', students => 10);
my $definitions = $node->safe_psql('adopted', q{SELECT string_agg(definition, E';\n' ORDER BY kind = 'view index', name) FROM wc_objects() WHERE kind NOT IN ('trigger', 'refresh index')});
$node->safe_psql('adopted', 'DROP EXTENSION whitecross');
$node->safe_psql('adopted', $definitions);
my $adopted = catalogue($node, 'adopted');
$node->safe_psql('adopted', 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
is($node->safe_psql('adopted', q{SELECT string_agg(DISTINCT status, ',') FROM wc_objects() WHERE kind NOT IN ('trigger', 'refresh index')}), 'adopted', 'objects with the same definitions are adopted, views too');
is($node->safe_psql('adopted', q{SELECT string_agg(DISTINCT status, ',') FROM wc_refresh_all()}), 'refreshed', 'adopted views are refreshed');
is($node->safe_psql('adopted', q{SELECT count(*) FROM wc_retire() WHERE kind NOT IN ('trigger', 'refresh index')}), '0', 'and not retired');
$node->safe_psql('adopted', 'DROP EXTENSION whitecross');
same_lines(catalogue($node, 'adopted'), $adopted, 'DROP EXTENSION leaves them');

done_testing();

# Sites that are set up otherwise: other schemas, with names that need quoting; text and enums where the reference has
# varchar; partitioned and inherited tables; tables that come later; columns that change their type.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('sites', conf => "whitecross.now = '2026-02-03 15:00:00+00'\n");
make_database($node, 'plain', 'reference', students => 40, whitecross => 0);

my ($database, $number);
sub fresh { my ($sql) = @_; $database = 'site' . ++$number; $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE plain"); sql($sql) if $sql; return; }
sub sql { return $node->safe_psql($database, "SET client_min_messages = warning; $_[0]") }
sub numbers {
    my ($schema) = @_;
    return sql(qq{SELECT string_agg(n, ', ' ORDER BY n) FROM (SELECT kind || ' ' || status || ' ' || count(*) AS n
                  FROM $schema.wc_objects() WHERE kind NOT IN ('trigger', 'refresh index') GROUP BY kind, status) AS o});
}
my $all = 'check constraint installed 13, composite index installed 14, covering index installed 15, materialized view installed 5, '
  . 'partial index installed 20, view index installed 18';
# Rows of the views as of any site: what a changed type or place of the tables must not change.
sub contents { my ($schema) = @_; return join "\n", map { sql("SELECT * FROM $schema.$_ AS v ORDER BY v::text") } VIEWS; }
fresh('CREATE EXTENSION whitecross');
my $contents = contents('public');
cmp_ok(length $contents, '>', 10_000, 'the views have contents to compare');

# Dumps the database, restores it beside itself, and compares; leaves $database at the copy.
sub restored {
    my ($schema, $base, $label) = @_;
    my $file = $node->basedir . "/$database.dump";
    my $copy = $database . '_copy';
    command_ok([ 'pg_dump', '-Fc', '-h', $node->host, '-p', $node->port, '-f', $file, $database ], "$label: pg_dump");
    $node->safe_psql('postgres', "CREATE DATABASE $copy TEMPLATE template0");
    my ($out, $err);
    ok(IPC::Run::run([ 'pg_restore', '--exit-on-error', '-h', $node->host, '-p', $node->port, '-d', $copy, $file ], '>', \$out, '2>', \$err), "$label: pg_restore");
    is($err, '', "$label: without a word");
    my $state = "SELECT name, status, validated, reason, definition FROM $schema.wc_objects() ORDER BY name";
    my $before = sql($state);
    $database = $copy;
    same_lines(sql($state), $before, "$label: the same objects");
    is(sql("SELECT DISTINCT action FROM $schema.wc_install()"), 'linked', "$label: wc_install() only puts links back");
    is(contents($base), $contents, "$label: the same contents");
    return;
}

# ---- Schemas.
{
    my ($extension, $base) = ('"White Cross"', '"Health Office"');
    fresh(qq{CREATE SCHEMA $extension; CREATE SCHEMA $base});
    sql(sql(qq{SELECT string_agg(format('ALTER TABLE %I SET SCHEMA $base', tablename), '; ') FROM pg_tables WHERE schemaname = 'public'}));
    sql('CREATE TABLE public.students (id int)');
    my $before = catalogue($node, $database);
    sql(qq{SET whitecross.install_on_create = off; CREATE EXTENSION whitecross SCHEMA $extension; SELECT $extension.wc_configure('base_schema', 'Health Office')});
    sql("SELECT $extension.wc_install()");
    is(numbers($extension), $all, 'odd schemas: everything is installed');
    is(sql("SELECT DISTINCT schemaname FROM pg_matviews"), 'Health Office', 'the views beside the tables');
    is(sql("SELECT DISTINCT status FROM $extension.wc_refresh_all(); SELECT DISTINCT status FROM $extension.wc_refresh_all('concurrent', 0)"),
        "refreshed\nrefreshed", 'and refreshed, in workers and in the session');
    is(contents($base), $contents, 'with the right contents');
    is(sql("SELECT count(*) FROM $extension.wc_health_check() WHERE status = 'critical'"), '0', 'and are healthy');
    is(sql("SELECT count(*) FROM $extension.wc_view_stats() WHERE populated"), '5', 'wc_view_stats() finds them');
    is(sql("SELECT DISTINCT action FROM $extension.wc_suspend_views(); SELECT DISTINCT action FROM $extension.wc_install()"), "dropped\ncreated", 'suspended and installed');
    my (undef, $state, $err) = try_sql($node, $database, "SELECT $extension.wc_configure('base_schema', 'public')");
    is($state, '55000', 'base_schema can\'t change while objects are installed');
    (undef, $state) = try_sql($node, $database, "SELECT $extension.wc_configure('base_schema', 'nowhere')");
    is($state, '3F000', 'nor to a schema that does not exist');
    restored($extension, $base, 'odd schemas');
    sql('DROP EXTENSION whitecross');
    same_lines(catalogue($node, $database), $before, 'odd schemas: DROP EXTENSION leaves nothing');
}

# ---- text wherever the reference has a declared length.
{
    fresh(<<'SQL');
DO $$
DECLARE c record;
BEGIN
  FOR c IN SELECT attrelid::regclass AS relation, attname FROM pg_attribute JOIN pg_class AS r ON r.oid = attrelid
            WHERE r.relkind = 'r' AND r.relnamespace = 'public'::regnamespace AND atttypid = 'varchar'::regtype LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE text', c.relation, c.attname);
  END LOOP;
END
$$;
CREATE EXTENSION whitecross;
SQL
    is(numbers('public'), $all, 'text columns: everything is installed');
    is(contents('public'), $contents, 'text columns: the same contents');
    is(sql(q{SELECT reason FROM wc_objects() WHERE name = 'idx_appointments_calendar'}),
        'left out: reason (free text without a declared length), location (free text without a declared length)', 'free text is left out of INCLUDE, and said so');
    restored('public', 'public', 'text columns');
}

# ---- Enums, and labels that they lack.
{
    fresh(<<'SQL');
CREATE TYPE appointment_status AS ENUM ('SCHEDULED', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED', 'NO_SHOW');
CREATE TYPE severity AS ENUM ('MILD', 'MODERATE', 'SEVERE', 'LIFE_THREATENING');
CREATE TYPE incident_status AS ENUM ('OPEN', 'CLOSED');
CREATE TYPE unit AS ENUM ('F');
CREATE TYPE grade AS ENUM ('K', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12');
ALTER TABLE appointments ALTER COLUMN status DROP DEFAULT, ALTER COLUMN status TYPE appointment_status USING CASE status WHEN 'CONFIRMED' THEN 'SCHEDULED' ELSE status END::appointment_status;
ALTER TABLE allergies ALTER COLUMN severity TYPE severity USING severity::severity;
ALTER TABLE incident_reports ALTER COLUMN status DROP DEFAULT, ALTER COLUMN status TYPE incident_status USING 'OPEN';
UPDATE vital_signs SET temperature = temperature * 1.8 + 32 WHERE "temperatureUnit" = 'C';
ALTER TABLE vital_signs ALTER COLUMN "temperatureUnit" DROP DEFAULT, ALTER COLUMN "temperatureUnit" TYPE unit USING 'F';
ALTER TABLE students ALTER COLUMN grade TYPE grade USING grade::grade;
CREATE EXTENSION whitecross;
SQL
    is(numbers('public'), $all, 'enums: everything is installed');
    is(sql(q{SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'idx_pending_incidents_student'::regclass}),
        '(false AND ("deletedAt" IS NULL))', 'a predicate none of whose labels there is holds for no row');
    is(contents('public'), $contents, 'enums: the same contents');
    is((try_sql($node, $database, q{UPDATE vital_signs SET temperature = 37}))[1], '23514', 'a unit that knows no C means F');
    restored('public', 'public', 'enums');
    # A new label changes what a definition may say.
    sql(q{ALTER TYPE incident_status ADD VALUE 'DRAFT'});
    is(sql(q{SELECT name, status FROM wc_objects() WHERE status <> 'installed' ORDER BY name}),
        join("\n", map { "idx_pending_incidents_$_|outdated" } qw(reporter school student)), 'a label that comes later makes definitions outdated');
    is(sql(q{SELECT DISTINCT action FROM wc_install()}), 'rebuilt', 'and wc_install() rebuilds them');
    sql('DROP EXTENSION whitecross');
    is(sql(q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'chk\_%'}), '0', 'enums: DROP EXTENSION leaves no constraint');
}

# ---- Partitioned tables, with partitions of partitions, and a child by inheritance.
{
    fresh(<<'SQL');
CREATE TABLE part (LIKE vital_signs INCLUDING DEFAULTS) PARTITION BY RANGE ("measurementDate");
CREATE TABLE vital_signs_old PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('2025-12-01');
CREATE TABLE vital_signs_new PARTITION OF part FOR VALUES FROM ('2025-12-01') TO (MAXVALUE) PARTITION BY HASH (id);
CREATE TABLE vital_signs_new_0 PARTITION OF vital_signs_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE vital_signs_new_1 PARTITION OF vital_signs_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT * FROM vital_signs;
DROP TABLE vital_signs;
ALTER TABLE part RENAME TO vital_signs;
CREATE TABLE part (LIKE appointments INCLUDING DEFAULTS) PARTITION BY RANGE ("scheduledAt");
CREATE TABLE appointments_past PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('2026-02-01');
CREATE TABLE appointments_future PARTITION OF part FOR VALUES FROM ('2026-02-01') TO ('2028-01-01');
INSERT INTO part SELECT * FROM appointments;
DROP TABLE appointments;
ALTER TABLE part RENAME TO appointments;
CREATE TABLE allergies_archive () INHERITS (allergies);
SQL
    my $before = catalogue($node, $database);
    sql('CREATE EXTENSION whitecross');
    is(numbers('public'), $all, 'partitions: everything is installed');
    is(contents('public'), $contents, 'partitions: the same contents');
    is((try_sql($node, $database, q{INSERT INTO vital_signs_new_0 SELECT * FROM vital_signs_new_0 LIMIT 0; UPDATE vital_signs_old SET "heartRate" = 1}))[1],
        '23514', 'a partition is held to the constraints');
    is(sql('SELECT count(*) FROM wc_install()'), '0', 'partitions: a second wc_install() has nothing to do');

    # A partition that comes later, one that is attached, and one that goes its own way.
    my $later = q{CREATE TABLE appointments_later PARTITION OF appointments FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');
         CREATE TABLE appointments_far (LIKE appointments INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
         ALTER TABLE appointments ATTACH PARTITION appointments_far FOR VALUES FROM ('2029-01-01') TO ('2030-01-01');
         CREATE TABLE appointments_apart PARTITION OF appointments FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
         ALTER TABLE appointments DETACH PARTITION appointments_apart};
    sql($later);
    is(sql(q{SELECT name FROM wc_object_links() WHERE NOT linked}), 'chk_appointments_duration_range', 'the constraint of a new partition has no link yet');
    is(sql('SELECT action, name FROM wc_install()'), 'linked|chk_appointments_duration_range', 'wc_install() gives it one');
    sql('CREATE TABLE appointments_last PARTITION OF appointments DEFAULT');
    restored('public', 'public', 'partitions');
    $database =~ s/_copy$//;
    # Without wc_install() for the last one.
    sql('DROP EXTENSION whitecross');
    is(sql(q{SELECT conrelid::regclass, conislocal, coninhcount FROM pg_constraint WHERE conname LIKE 'chk\_%'}), 'appointments_apart|t|0',
        'DROP EXTENSION takes the constraints of all partitions and children; a table that has left keeps its own');
    sql('DROP TABLE appointments_later, appointments_far, appointments_apart, appointments_last');
    same_lines(catalogue($node, $database), $before, 'partitions: and leaves nothing');

    # Each kind down and up again.
    sql('CREATE EXTENSION whitecross');
    is(sql('SELECT DISTINCT action FROM wc_retire(); SELECT DISTINCT action FROM wc_install()'), "dropped\ncreated", 'partitions: everything goes and comes');
    is(numbers('public'), $all, 'partitions: and is there');
}

# ---- Columns that change their type.
{
    fresh(q{CREATE EXTENSION whitecross});
    my (undef, $state) = try_sql($node, $database, 'ALTER TABLE appointments ALTER COLUMN status TYPE text');
    is($state, '0A000', 'a column that a view reads can\'t change its type');
    sql('SELECT wc_suspend_views(); ALTER TABLE appointments ALTER COLUMN status TYPE text; ALTER TABLE allergies ALTER COLUMN allergen TYPE varchar(200)');
    my $unlinked = sql(q{SELECT name FROM wc_object_links() WHERE NOT linked ORDER BY name});
    like($unlinked, qr/^idx_appointments_calendar$/m, 'an index loses its link by ALTER COLUMN TYPE');
    like($unlinked, qr/^idx_allergies_by_student$/m, 'even where its definition stays the same');
    my $actions = sql(q{SELECT DISTINCT name FROM wc_install() WHERE action IN ('linked', 'rebuilt') ORDER BY name});
    is($actions, $unlinked, 'wc_install() links each of them again');
    is(sql(q{SELECT count(*) FROM wc_object_links() WHERE NOT linked}), '0', 'and nothing is without a link');
    is(numbers('public'), $all, 'everything is installed');
    is(contents('public'), $contents, 'the views have the same contents');
    # And without wc_install().
    sql('ALTER TABLE allergies ALTER COLUMN allergen TYPE varchar(255)') if (try_sql($node, $database, 'SELECT wc_suspend_views()'))[1] eq '';
    sql('DROP EXTENSION whitecross');
    is(sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^idx_'}), '0', 'an index without its link goes with the extension, too');
}

# ---- Tables that come one by one.
{
    $database = 'growing';
    make_database($node, $database, 'empty');
    sql(q{SET timezone = 'Asia/Tokyo'; CREATE EXTENSION whitecross});
    sql('CREATE TABLE schools (id uuid PRIMARY KEY, name text); CREATE TABLE users (id uuid PRIMARY KEY, "firstName" text, "lastName" text)');
    sql('CREATE TABLE medications (id uuid PRIMARY KEY, name text)');
    sql('SELECT wc_install()');
    is(sql(q{SELECT status, reason FROM wc_objects() WHERE name = 'idx_medications_active_name'}), 'not applicable|column isActive of table medications is absent',
        'an index whose first column is absent is not applicable');
    is(sql(q{SELECT status, reason FROM wc_objects() WHERE name IN ('chk_students_grade_valid', 'mv_allergy_summary') ORDER BY name}),
        "pending|table public.students does not exist\npending|table public.students does not exist", 'what has no table is pending');
    is(sql(q{SELECT value FROM wc_configuration WHERE name = 'timezone'}), 'Asia/Tokyo', 'the time zone is that of CREATE EXTENSION');
    sql('DROP TABLE medications; SELECT wc_create_base_tables(); SELECT wc_install()');
    is(numbers('public'), $all, 'with all tables, everything is installed');
    like(sql(q{SELECT pg_get_viewdef('mv_compliance_status'::regclass)}), qr/Asia\/Tokyo/, 'with that time zone, whatever that of the session');
}

done_testing();

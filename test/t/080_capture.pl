# The triggers that wc_install() puts on the base tables: on which columns they look, what they note on partitions and children,
# how they come, go, get out of order and are mended, in a dump and its restore too.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# Nobody holds a lock on a table that triggers are put on but who is meant to.
my $node = new_node('capture', conf => "autovacuum = off\nwhitecross.now = '2026-02-03 15:00:00+00'\nmax_prepared_transactions = 5\n");
my $database;

sub sql { return $node->safe_psql($database, $_[0]) }

# What has been noted since the last look, and forgets it.
sub noted {
    return sql(q{WITH gone AS (DELETE FROM wc_change RETURNING *)
        SELECT table_name, coalesce(keys::text, 'whole'), count(*) FROM gone GROUP BY 1, 2 ORDER BY 1, 2});
}

# The same by numbers: table, whether as a whole, rows.
sub numbers {
    return sql(q{WITH gone AS (DELETE FROM wc_change RETURNING *)
        SELECT table_name, keys IS NULL, count(*) FROM gone GROUP BY 1, 2 ORDER BY 1, 2});
}

# The triggers of the tables whose names begin so, with their states; a partition's by the server are clones.
sub triggers {
    my ($prefix) = @_;
    return sql(qq{SELECT tgrelid::regclass, tgname, tgenabled, CASE WHEN tgparentid <> 0 THEN 'clone' END FROM pg_trigger
        WHERE NOT tgisinternal AND tgname LIKE 'wc\\_%' AND tgrelid::regclass::text LIKE '$prefix%' ORDER BY tgrelid::regclass::text, tgname});
}

my $of_table = "wc_capture_delete|O|\nwc_capture_insert|O|\nwc_capture_replica|R|\nwc_capture_truncate|A|\nwc_capture_update|O|";
sub of { my ($table) = @_; return join "\n", map { "$table|$_" } split /\n/, $of_table }

sub state_of { return sql("SELECT status, validated, coalesce(reason, '') FROM wc_objects() WHERE name = '$_[0]'") }

# ---- Both databases: where they stand, and which columns they look at.
for my $kind (qw(reference platform)) {
    $database = $kind;
    make_database($node, $kind, $kind, students => 30);
    is( sql(q{SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM wc_objects() WHERE kind = 'trigger' AND status = 'installed' AND validated}),
        sql(q{SELECT string_agg(DISTINCT t.relname::text, ' ' ORDER BY t.relname::text) FROM pg_class AS v JOIN pg_rewrite AS r ON r.ev_class = v.oid
              JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
              JOIN pg_class AS t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p') WHERE v.relkind = 'm'}),
        "$kind: every table that a view reads has them, and no other");
    is(triggers('students'), of('students'), "$kind: in the states in which they fire when they must");
    is(sql(q{SELECT count(*) FROM pg_trigger AS t WHERE t.tgfoid = 'wc_capture'::regproc AND obj_description(t.oid, 'pg_trigger') IS NULL}), '0',
        "$kind: each with a comment");
    is(sql('SELECT count(*) FROM wc_object_links() WHERE NOT linked'), '0', "$kind: each with its link");
    is(sql('SELECT count(*) FROM wc_install()'), '0', "$kind: a second wc_install() has nothing to do");
    # The server itself knows which columns the views read.
    my $columns = q{
        WITH compared AS (
          SELECT t.tgrelid, c::name AS attname FROM pg_trigger AS t,
                 unnest(split_part(encode(t.tgargs, 'escape'), '\000', 3)::text[]) AS c WHERE t.tgname = 'wc_capture_update'
        ), captured AS (
          SELECT t.tgrelid, c::name AS attname FROM pg_trigger AS t,
                 unnest(split_part(encode(t.tgargs, 'escape'), '\000', 2)::text[]) AS c WHERE t.tgname = 'wc_capture_update'
        ), read AS (
          SELECT DISTINCT a.attrelid AS tgrelid, a.attname FROM pg_class AS v JOIN pg_rewrite AS r ON r.ev_class = v.oid
            JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
            JOIN pg_class AS t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
            JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE v.relkind = 'm')
        };
    is(sql("$columns SELECT * FROM read EXCEPT SELECT * FROM compared"), '', "$kind: every column that a view reads is compared");
    is(sql("$columns SELECT * FROM compared EXCEPT SELECT * FROM read EXCEPT SELECT * FROM captured"), '', "$kind: and no other but the captured ones");
    is(sql("$columns SELECT * FROM captured EXCEPT SELECT * FROM compared"), '', "$kind: which are compared too");
}

# ---- What a writer notes, and what stays out of the log.
$database = 'reference';
noted();
sql(q{INSERT INTO students (id, "studentNumber", "firstName", "lastName", "dateOfBirth", grade, gender, "nurseId", "isActive")
      VALUES ('00000000-0000-0000-0000-00000000beef', 'N-MARKERPHI', 'MARKERPHI', 'MARKERPHI', '2016-03-04', '5', 'OTHER', NULL, true)});
like(sql('SELECT string_agg(keys::text, \' \') FROM wc_change'), qr/00000000-0000-0000-0000-00000000beef/, 'a new student is noted by its id');
sql(q{UPDATE students SET "lastName" = 'MARKERPHI too' WHERE id = '00000000-0000-0000-0000-00000000beef'});
sql(q{INSERT INTO allergies (id, "studentId", allergen, "allergyType", severity, "isActive")
      VALUES (gen_random_uuid(), '00000000-0000-0000-0000-00000000beef', 'MARKERPHI', 'FOOD', 'MILD', true)});
sql(q{DELETE FROM students WHERE id = '00000000-0000-0000-0000-00000000beef'});
is(sql('SELECT count(*) FROM wc_change WHERE wc_change::text LIKE \'%MARKERPHI%\''), '0', 'no value of a row that is no key is in the log');
cmp_ok(sql('SELECT count(*) FROM wc_change'), '>=', 3, 'which has the keys of all that');
is(sql(q{SELECT count(*) FROM wc_change WHERE table_name = 'allergies' AND '00000000-0000-0000-0000-00000000beef' = ANY (keys)}), '2',
    'the student of an allergy is noted, for the row that came and that went with its student');
noted();
sql('UPDATE students SET "createdAt" = now()');
is(noted(), '', 'a column that no view reads notes nothing');
sql('UPDATE students SET "lastName" = "lastName"');
is(noted(), '', 'nor does an UPDATE that changes nothing');
sql('UPDATE students SET "lastName" = "lastName" || \'x\'');
is(numbers(), 'students|f|' . sql('SELECT count(*) FROM students'), 'each changed student is noted once');
sql('ALTER TABLE students RENAME COLUMN "lastName" TO surname');
sql(q{UPDATE students SET surname = 'new' WHERE grade = '5'; UPDATE students SET "createdAt" = now()});
is(numbers(), 'students|t|2', 'after a column has been renamed writers go on, and the whole table counts as changed');
sql('ALTER TABLE students RENAME COLUMN surname TO "lastName"');
sql('TRUNCATE medication_logs');
is(numbers(), 'medication_logs|t|1', 'TRUNCATE is noted for the whole table');

# ---- A role that may just write.
sql(q{CREATE ROLE clerk; GRANT SELECT, INSERT, UPDATE, DELETE ON students TO clerk; SET ROLE clerk; UPDATE students SET "lastName" = 'by a clerk'});
is(numbers(), 'students|f|' . sql('SELECT count(*) FROM students'), 'a writer needs no right on the log');
is((try_sql($node, $database, 'SET ROLE clerk; SELECT * FROM wc_change'))[1], '42501', 'and has none');

# ---- Out of order, and in order again.
sql('ALTER TABLE students DISABLE TRIGGER ALL; UPDATE students SET "lastName" = \'unseen\'; ALTER TABLE students ENABLE TRIGGER ALL');
is(noted(), '', 'triggers that are switched off note nothing');
is(state_of('wc_capture_students'), 'installed|f|not on every child, or switched off: wc_install() mends it', 'wc_objects() says that something is wrong');
is(sql('SELECT name, action FROM wc_install()'), 'wc_capture_students|rebuilt', 'wc_install() mends it');
is(triggers('students'), of('students'), 'the states are as they were');
sql('DROP TRIGGER wc_capture_update ON students');
is(sql('SELECT name, action FROM wc_install()'), 'wc_capture_students|rebuilt', 'one that is missing is made again');
is(state_of('wc_capture_students'), 'installed|t|', 'and all is well');
sql(q{CREATE OR REPLACE TRIGGER wc_capture_update AFTER UPDATE ON students REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
      FOR EACH STATEMENT EXECUTE FUNCTION wc_capture('students', '{id}', '{grade}')});
like(state_of('wc_capture_students'), qr/^outdated\|/, 'one with other arguments makes the object outdated');
is(sql('SELECT name, action FROM wc_install()'), "wc_capture_students|linked\nwc_capture_students|rebuilt", 'wc_install() replaces it');
is(sql('SELECT count(*) FROM wc_object_links() WHERE NOT linked'), '0', 'with its link');

# ---- A mapping that makes a view read another column.
sql(q{SELECT wc_map_column('students', 'lastName', '"lastName" || coalesce("middleName", '''')')}) if sql(q{SELECT count(*) FROM pg_attribute
      WHERE attrelid = 'students'::regclass AND attname = 'middleName'});
sql(q{SELECT wc_map_column('students', 'grade', '"grade" || coalesce("photo", '''')')}) if sql(q{SELECT count(*) FROM pg_attribute
      WHERE attrelid = 'students'::regclass AND attname = 'photo'});
sql('SELECT wc_install()');
is(state_of('wc_capture_students'), 'installed|t|', 'after a mapping the triggers are of today');
sql(q{DELETE FROM wc_site_mapping});
sql('SELECT wc_install()');

# ---- Away and back; one by one; with the views that need them.
is(sql(q{SELECT DISTINCT action FROM wc_retire('trigger')}), 'dropped', 'wc_retire(\'trigger\') takes them away');
is(triggers(''), '', 'all of them');
is(sql(q{SELECT DISTINCT action FROM wc_install('trigger')}), 'created', 'wc_install(\'trigger\') brings them back');
is(sql(q{SELECT name, action FROM wc_disable('wc_capture_allergies')}), "wc_capture_allergies|dropped\nwc_capture_allergies|disabled", 'one is switched off');
is(sql('SELECT count(*) FROM wc_install()'), '0', 'and left out');
sql(q{SELECT wc_enable('wc_capture_allergies')});
is(sql('SELECT name, action FROM wc_install()'), 'wc_capture_allergies|created', 'and on again');
is(sql(q{SELECT kind, name, action FROM wc_disable('mv_allergy_summary') WHERE kind = 'trigger'}), '', 'a view less: other views read its tables');
is( sql(q{SELECT kind, name, action FROM wc_disable('mv_student_health_summary') WHERE kind = 'trigger' ORDER BY name}) =~ s/^trigger\|//gmr,
    "wc_capture_allergies|dropped\nwc_capture_chronic_conditions|dropped", 'two views less: what nobody reads any more notes nothing');
is(state_of('wc_capture_allergies'), 'not applicable||no view that is in use here reads table allergies', 'and is not applicable');
sql(q{SELECT wc_enable('mv_allergy_summary'); SELECT wc_enable('mv_student_health_summary'); SELECT wc_install()});
is(sql(q{SELECT count(*) FROM wc_objects() WHERE status <> 'installed' OR NOT validated}), '0', 'everything is back');

# ---- A name that is taken, a lock that can't be had.
sql(q{SELECT wc_retire('trigger');
      CREATE FUNCTION public.site_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER wc_capture_insert AFTER INSERT ON allergies FOR EACH STATEMENT EXECUTE FUNCTION public.site_trigger()});
is(sql(q{SELECT name, action, reason FROM wc_install() WHERE action <> 'created'}), 'wc_capture_allergies|conflict|another object has this name: not touched',
    'a trigger of the site\'s own with the name is not touched');
is(triggers('allergies'), 'allergies|wc_capture_insert|O|', 'and stands alone');
sql('DROP TRIGGER wc_capture_insert ON allergies');
{
    my $writer = $node->background_psql($database);
    $writer->query_safe('BEGIN; UPDATE allergies SET severity = severity');
    is(sql(q{SET whitecross.lock_timeout = '100ms'; SELECT name, action, reason FROM wc_install()}),
        'wc_capture_allergies|pending|no lock on allergies within whitecross.lock_timeout', 'while somebody writes the triggers can\'t be made');
    my $reader = $node->background_psql($database);
    $writer->query_safe('COMMIT');
    $reader->query_safe('BEGIN; SELECT count(*) FROM allergies');
    is(sql(q{SET whitecross.lock_timeout = '100ms'; SELECT name, action, reason FROM wc_install()}), 'wc_capture_allergies|created|', 'who reads does not stop them');
    $_->quit for $writer, $reader;
}

# ---- Partitions and children.
sql(<<'SQL');
SELECT wc_retire();
CREATE TABLE part (LIKE appointments INCLUDING DEFAULTS) PARTITION BY RANGE ("scheduledAt");
CREATE TABLE appointments_past PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE appointments_new PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2030-01-01') PARTITION BY HASH (id);
CREATE TABLE appointments_new_0 PARTITION OF appointments_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE appointments_new_1 PARTITION OF appointments_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT * FROM appointments;
DROP TABLE appointments;
ALTER TABLE part RENAME TO appointments;
CREATE TABLE allergies_archive () INHERITS (allergies);
SELECT wc_install();
DELETE FROM wc_change;
SQL
is(triggers('appointments'), join("\n", 'appointments|wc_capture_row|A|', 'appointments|wc_capture_truncate|A|',
    map { "appointments_$_|wc_capture_row|A|clone" } qw(new new_0 new_1 past)), 'a partitioned table has a row trigger, its partitions clones of it');
is(triggers('allergies'), of('allergies') . "\n" . of('allergies_archive'), 'a child by inheritance has the triggers of its parent');
sql(q{UPDATE appointments_new_0 SET status = 'CANCELLED' WHERE id = (SELECT id FROM appointments_new_0 ORDER BY id LIMIT 1)});
like(numbers(), qr/^appointments\|f\|[12]$/, 'what is written to a partition is noted');
sql(q{UPDATE appointments SET "scheduledAt" = '2025-06-01' WHERE id = (SELECT id FROM appointments_new ORDER BY id LIMIT 1)});
like(numbers(), qr/^appointments\|f\|[12]$/, 'a row that moves to another partition is noted');
sql(q{COPY (SELECT * FROM appointments ORDER BY id LIMIT 3) TO '} . $node->data_dir . q{/appointments.copy';
      DELETE FROM appointments WHERE id IN (SELECT id FROM appointments ORDER BY id LIMIT 3)});
noted();
sql(q{COPY appointments FROM '} . $node->data_dir . q{/appointments.copy'});
like(numbers(), qr/^appointments\|f\|[1-6]$/, 'COPY into a partitioned table is noted');
sql(q{CREATE TABLE appointments_far PARTITION OF appointments FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
      CREATE TABLE appointments_own (LIKE appointments INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
      ALTER TABLE appointments ATTACH PARTITION appointments_own FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')});
is(triggers('appointments_far') . triggers('appointments_own'), 'appointments_far|wc_capture_row|A|cloneappointments_own|wc_capture_row|A|clone',
    'a later partition, and one that is attached, get theirs by the server');
is(state_of('wc_capture_appointments'), 'installed|t|', 'so that nothing is missing');
sql('ALTER TABLE appointments DETACH PARTITION appointments_own');
is(triggers('appointments_own'), '', 'one that is detached has none any more');
sql('ALTER TABLE appointments_new_1 DISABLE TRIGGER ALL');
like(state_of('wc_capture_appointments'), qr/^installed\|f\|/, 'a partition whose triggers are off is seen');
like(sql('SELECT name, action FROM wc_install()'), qr/^wc_capture_appointments\|rebuilt$/m, 'and mended');
like(triggers('appointments_new_1'), qr/\|A\|/, 'on that partition');
sql('TRUNCATE appointments');
is(numbers(), 'appointments|t|1', 'TRUNCATE of the partitioned table is noted');

sql('SET session_replication_role = replica; INSERT INTO allergies_archive SELECT DISTINCT ON ("studentId") * FROM allergies ORDER BY "studentId" LIMIT 2; TRUNCATE allergies_archive');
is(numbers(), "allergies|f|2\nallergies|t|1", 'a child in the role of a replica: rows one by one, TRUNCATE as a whole');
sql('INSERT INTO allergies_archive SELECT * FROM allergies LIMIT 2; UPDATE allergies SET severity = \'MILD\'');
my $severity = numbers();
like($severity, qr/^allergies\|f\|\d+$/, 'what is written to a child, and through the parent, is noted as the parent\'s');
sql('CREATE TABLE allergies_later () INHERITS (allergies)');
like(state_of('wc_capture_allergies'), qr/^installed\|f\|/, 'a later child has no triggers yet');
sql('SELECT wc_install()');
is(triggers('allergies_later'), of('allergies_later'), 'wc_install() makes them');
sql('ALTER TABLE allergies_later NO INHERIT allergies');
like(state_of('wc_capture_allergies'), qr/^outdated\|/, 'one that has left its parent still has them');
sql('SELECT wc_install()');
is(triggers('allergies_later'), '', 'wc_install() takes them away');
# A parent of the base table itself: a statement that names it fires none of the table's statement triggers.
sql(q{CREATE TABLE complaints (LIKE allergies); ALTER TABLE allergies INHERIT complaints; SELECT wc_install(); DELETE FROM wc_change;
      UPDATE complaints SET severity = 'SEVERE'});
like(numbers(), qr/^allergies\|f\|\d+$/, 'what is written through a table above the base table is noted, too');
sql('ALTER TABLE allergies NO INHERIT complaints; DROP TABLE complaints, allergies_later; SELECT wc_install()');
is(triggers('allergies'), of('allergies') . "\n" . of('allergies_archive'), 'and without that parent the triggers are as before');

# ---- Where writes may have slipped past, the next refresh computes the views that may be wrong as a whole, says why, and has
# put the triggers in order; then it goes by keys again.
sub refreshed {
    my ($name, $write, $views, $reason) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    sql('SELECT wc_refresh_all(); DELETE FROM wc_refresh_log');
    sql($write);
    sql('SELECT wc_refresh_all()');
    is(sql(q{SELECT string_agg(view_name, ' ' ORDER BY view_name) FROM wc_refresh_log WHERE mode <> 'incremental' OR status <> 'refreshed'}), $views,
        "$name: what may be wrong is computed as a whole");
    like(sql(q{SELECT string_agg(DISTINCT reason, '; ') FROM wc_refresh_log WHERE mode <> 'incremental'}), $reason, "$name: which the log gives the reason of");
    is(sql('SELECT sum(missing), sum(extra), sum(pending) FROM wc_verify()'), '0|0|0', "$name: every view is right");
    is(sql(q{SELECT count(*) FROM wc_objects() WHERE kind = 'trigger' AND (status <> 'installed' OR NOT validated)}), '0', "$name: and every trigger in order");
    sql(q{UPDATE allergies SET severity = CASE severity WHEN 'MILD' THEN 'SEVERE' ELSE 'MILD' END; UPDATE appointments SET status = 'CANCELLED'});
    sql('DELETE FROM wc_refresh_log; SELECT wc_refresh_all()');
    is(sql(q{SELECT DISTINCT mode FROM wc_refresh_log}), 'incremental', "$name: then it goes by keys again");
    is(sql('SELECT sum(missing), sum(extra), sum(pending) FROM wc_verify()'), '0|0|0', "$name: and every view is right");
    return;
}
my $allergies = 'mv_allergy_summary mv_student_health_summary';
my $statistics = 'mv_appointment_statistics';
sql(q{INSERT INTO appointments SELECT (jsonb_populate_record(NULL::appointments, to_jsonb(x))).* FROM (
        SELECT gen_random_uuid() AS id, s.id AS "studentId", u.id AS "nurseId", timestamptz '2026-01-20 15:00:00+00' + n * interval '1 day' AS "scheduledAt",
               30 AS duration, 'ROUTINE_CHECKUP' AS type, 'SCHEDULED' AS status, 'checkup' AS reason, now() AS "createdAt", now() AS "updatedAt"
          FROM generate_series(1, 40) AS n, (SELECT id FROM students ORDER BY id LIMIT 2) AS s, (SELECT id FROM users ORDER BY id LIMIT 2) AS u) AS x});
refreshed('triggers off and on', q{ALTER TABLE allergies DISABLE TRIGGER ALL; UPDATE allergies SET severity = 'MODERATE'; ALTER TABLE allergies ENABLE TRIGGER ALL},
    $allergies, qr/^triggers of table allergies changed$/);
refreshed('a trigger that is off', q{ALTER TABLE allergies DISABLE TRIGGER wc_capture_update; UPDATE allergies SET severity = 'MODERATE'},
    $allergies, qr/^triggers of table allergies changed$/);
refreshed('a new child', q{CREATE TABLE allergies_new () INHERITS (allergies); INSERT INTO allergies_new SELECT * FROM ONLY allergies LIMIT 1;
        UPDATE allergies_new SET id = gen_random_uuid()}, $allergies, qr/table allergies/);
refreshed('a child that leaves', q{ALTER TABLE allergies_new NO INHERIT allergies; DROP TABLE allergies_new}, $allergies, qr/table allergies/);
refreshed('TRUNCATE of one partition', q{TRUNCATE appointments_new_0}, $statistics, qr/table appointments/);
refreshed('a partition that is detached', q{ALTER TABLE appointments DETACH PARTITION appointments_new}, $statistics, qr/table appointments/);
refreshed('a partition that is attached', q{ALTER TABLE appointments ATTACH PARTITION appointments_new FOR VALUES FROM ('2026-01-01') TO ('2030-01-01')},
    $statistics, qr/table appointments/);
refreshed('a partition with triggers off', q{ALTER TABLE appointments_new_1 DISABLE TRIGGER ALL; DELETE FROM appointments_new_1 WHERE status <> 'never'},
    $statistics, qr/table appointments/);
refreshed('a table above the base table', q{CREATE TABLE complaints (LIKE allergies); ALTER TABLE allergies INHERIT complaints; UPDATE complaints SET severity = 'MODERATE'},
    $allergies, qr/table allergies/);
sql(q{UPDATE complaints SET severity = 'SEVERE'; DELETE FROM wc_refresh_log; SELECT wc_refresh_all()});
is(sql(q{SELECT DISTINCT mode FROM wc_refresh_log}), 'incremental', 'what is written through it is seen from then on');
is(sql('SELECT sum(missing), sum(extra), sum(pending) FROM wc_verify()'), '0|0|0', 'and every view is right');
sql('ALTER TABLE allergies NO INHERIT complaints; DROP TABLE complaints; SELECT wc_install(); SELECT wc_refresh_all()');

# ---- A dump and its restore.
sql('ALTER TABLE vaccinations DISABLE TRIGGER wc_capture_update'); # a dump carries this, too
my $catalogue = catalogue($node, $database);
my $dump = $node->basedir . '/dump';
sub restore {
    my ($name, @options) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0") if !grep { $_ eq '--data-only' } @options;
    $node->command_ok([ 'pg_restore', '--exit-on-error', @options, '--dbname', $node->connstr($name), $dump ], "restored into $name @options");
    return;
}
$node->command_ok([ 'pg_dump', '--format=custom', '--file', $dump, $node->connstr($database) ], 'dumped');
sub of_triggers { return join "\n", grep { /^(trigger|comment on trigger|dependency trigger) / } split /\n/, $_[0] }
restore('restored');
same_lines(of_triggers(catalogue($node, 'restored')), of_triggers($catalogue), 'the restored database has the same triggers, in the same states, with their links');
is($node->safe_psql('restored', q{SELECT name, action FROM wc_install('trigger')}), 'wc_capture_vaccinations|rebuilt', 'and wc_install() only mends what was out of order');
is($node->safe_psql('restored', 'SELECT count(*) FROM wc_change'), '0', 'what was noted is not dumped, and a restore notes nothing');

# Schema first, then the rows with the triggers off.
restore('in_steps', '--schema-only');
restore('in_steps', '--data-only', '--disable-triggers');
is($node->safe_psql('in_steps', q{SELECT count(*) FROM wc_objects() WHERE kind = 'trigger' AND NOT validated}) > 5, 1, '--disable-triggers leaves the triggers in other states');
$node->safe_psql('in_steps', 'SELECT wc_install()');
$database = 'in_steps';
is(triggers('students'), of('students'), 'wc_install() puts them in order');
is(sql(q{SELECT count(*) FROM wc_objects() WHERE kind = 'trigger' AND (status <> 'installed' OR NOT validated)}), '0', 'all of them');
is(sql(q{SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname = 'whitecross_ignore_replicated'}), 'R', 'and those of our own tables');

# ---- The end: whatever state they are in.
for my $name (qw(reference platform restored in_steps)) {
    $database = $name;
    sql('ALTER TABLE students DISABLE TRIGGER ALL');
    sql('ALTER TABLE students RENAME TO pupils') if $name eq 'restored';
    sql('DROP EXTENSION whitecross');
    is(sql(q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'wc\_%' OR tgname LIKE 'whitecross%'}), '0', "$name: DROP EXTENSION leaves no trigger");
}

done_testing();

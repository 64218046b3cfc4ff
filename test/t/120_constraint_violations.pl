# Violations of constraints are counted, each once and under its name, wherever an error can be raised; nothing of the
# row is kept; the table is bounded; levels, reset, rights.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('violations', allows_streaming => 'logical', conf => "fsync = off\nmax_connections = 40\n");
my $library = tree() . '/test/modules/wall/whitecross_wall.so';
for my $database ('school', 'other') {
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
}
$node->safe_psql('school', "CREATE FUNCTION wall_violation(level text) RETURNS int AS '$library' LANGUAGE c");

my $counts = q{SELECT coalesce(table_name, '-'), coalesce(constraint_name, '-'), kind, total FROM wc_constraint_violations ORDER BY kind <> 'all', table_name COLLATE "C", constraint_name COLLATE "C", kind};
my $reset  = 'SELECT wc_reset_constraint_violations()';

# fails(SQLSTATE, SQL): a statement that has to fail.
my $database = 'school';
sub fails {
    my ($state, $sql) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is((try_sql($node, $database, $sql))[1], $state, "$state: $sql");
}
sub counted { return $node->safe_psql($database, $counts) }

# ---- Each kind, with its name.
is(counted(), '-|-|all|0', 'before any violation the sum is there');
$node->safe_psql('school', <<'SQL');
CREATE DOMAIN age AS int CHECK (VALUE > 0) NOT NULL;
CREATE SCHEMA "Old";
CREATE TABLE "Old"."Pupil" (id int PRIMARY KEY, name text NOT NULL, grade int CHECK (grade BETWEEN 0 AND 12), bed int4range, EXCLUDE USING gist (bed WITH &&));
CREATE TABLE guardian (pupil int REFERENCES "Old"."Pupil" DEFERRABLE, since age);
CREATE TABLE visit (day date) PARTITION BY RANGE (day);
CREATE TABLE visit_2026 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE twice AS SELECT 1 AS id FROM generate_series(1, 2);
INSERT INTO "Old"."Pupil" VALUES (1, 'a', 1, '[1,3]'), (2, 'b', 2, '[7,7]');
INSERT INTO guardian VALUES (1, 1);
SQL
fails('23505', q{INSERT INTO "Old"."Pupil" VALUES (1, 'x')});
fails('23502', q{INSERT INTO "Old"."Pupil" VALUES (3, NULL)});
fails('23514', q{UPDATE "Old"."Pupil" SET grade = 13});
fails('23P01', q{UPDATE "Old"."Pupil" SET bed = '[2,2]' WHERE id = 2});
fails('23503', q{INSERT INTO guardian VALUES (7, 1)});
fails('23503', q{DELETE FROM "Old"."Pupil"});
fails('23514', q{INSERT INTO guardian VALUES (1, -1)});
fails('23502', q{INSERT INTO guardian VALUES (1, NULL)});
fails('23514', q{INSERT INTO visit VALUES ('2020-01-01')});
fails('23514', q{INSERT INTO visit_2026 VALUES ('2020-01-01')});
fails('23505', q{CREATE UNIQUE INDEX twice_id ON twice (id)});
fails('23514', q{ALTER TABLE twice ADD CONSTRAINT more CHECK (id > 1)});
is(counted(), <<'ROWS' =~ s/\n\z//r, 'each is counted under its name');
-|-|all|12
"Old"."Pupil"|"Pupil_bed_excl"|exclusion|1
"Old"."Pupil"|"Pupil_grade_check"|check|1
"Old"."Pupil"|"Pupil_pkey"|unique|1
"Old"."Pupil"|not null: name|not null|1
public.guardian|guardian_pupil_fkey|foreign key|2
public.twice|more|check|1
public.twice|twice_id|unique|1
public.visit|partition constraint|check|1
public.visit_2026|partition constraint|check|1
-|domain public.age: age_check|check|1
-|domain public.age: not null|not null|1
ROWS
is($node->safe_psql('school', q{SELECT bool_and(last_hour = total AND last_day = total AND now() - last_seen < interval '10 min') FROM wc_constraint_violations}), 't', 'in the last hour and the last day');
is($node->safe_psql('school', 'SELECT constraints, max, evicted, since > pg_postmaster_start_time() - interval \'1 min\' FROM wc_constraint_violations_info()'), '11|500|0|t', 'the table tells its room');
is($node->safe_psql('other', $counts), '-|-|all|0', 'another database has its own');

# ---- Who may do what; what a reset leaves.
$node->safe_psql('postgres', 'CREATE ROLE reader LOGIN');
is($node->safe_psql('school', "SET ROLE reader; $counts"), counted(), 'any role sees the counts');
is((try_sql($node, 'school', "SET ROLE reader; $reset"))[1], '42501', 'but may not reset them');
is($node->safe_psql('other', $reset), 0, 'a reset of another database forgets nothing');
is($node->safe_psql('school', $reset), 11, 'a reset says how many it forgets');
is(counted(), '-|-|all|0', 'and nothing is left');
is($node->safe_psql('school', q{SELECT constraints, now() - since < interval '10 min' FROM wc_constraint_violations_info()}), '0|t', 'but when that was');

# ---- What isn't counted.
$node->safe_psql('school', <<'SQL');
DO $do$ BEGIN INSERT INTO "Old"."Pupil" VALUES (1, 'x'); EXCEPTION WHEN unique_violation THEN NULL; END $do$;
INSERT INTO "Old"."Pupil" VALUES (1, 'x') ON CONFLICT DO NOTHING;
DO $do$ BEGIN RAISE WARNING 'w' USING ERRCODE = '23505'; END $do$;
SQL
fails('22012', 'SELECT 1/0');
fails('44000', 'CREATE TEMP VIEW v AS SELECT id FROM twice WHERE id > 1 WITH CHECK OPTION; INSERT INTO v VALUES (1)');
fails('23505', "SET log_min_messages = $_; INSERT INTO \"Old\".\"Pupil\" VALUES (1, 'x')") for 'log', 'fatal', 'panic';
is(counted(), '-|-|all|0', 'caught, avoided, warned of, of another class, kept from the log: none of it is counted');

# ---- Any state that an error can be raised in.
fails('23503', 'BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO guardian VALUES (9, 1); COMMIT');
fails('23514', 'SELECT wall_violation($$error$$)');
fails('23514', 'SELECT wall_violation($$fatal$$)');
is((try_sql($node, 'school', <<'SQL', on_error_stop => 0))[0], "1\n2", 'a transaction goes on at its savepoint');
BEGIN; SAVEPOINT s; SELECT 1; INSERT INTO "Old"."Pupil" VALUES (1, 'x'); INSERT INTO "Old"."Pupil" VALUES (1, 'x');
ROLLBACK TO s; SELECT 2; INSERT INTO guardian VALUES (9, 1); COMMIT;
SQL
is((try_sql($node, 'school', q{PREPARE p AS INSERT INTO "Old"."Pupil" VALUES ($1, $2); EXECUTE p(1, 'x')}))[1], '23505', 'of a prepared statement');
is((try_sql($node, 'school', "\\copy \"Old\".\"Pupil\" (id, name) FROM PROGRAM 'echo 1,x' CSV"))[1], '23505', 'of COPY');
is(counted(), <<'ROWS' =~ s/\n\z//r, 'at commit, with locks held, in FATAL, after savepoints: each once');
-|-|all|7
"Old"."Pupil"|"Pupil_pkey"|unique|3
public.guardian|guardian_pupil_fkey|foreign key|2
-|-|check|2
ROWS
ok($node->poll_query_until('school', 'SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = $$LWLock$$', '0'), 'and nobody waits for a lock that was left');

# A parallel worker's error is its leader's too: one violation. An apply worker's is its own.
$node->safe_psql('school', $reset);
$node->safe_psql('school', 'CREATE TABLE measured AS SELECT 1 AS n FROM generate_series(1, 100)');
$node->safe_psql('school', q{CREATE FUNCTION too_small(n int) RETURNS bool LANGUAGE plpgsql PARALLEL SAFE AS $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '23514'; END$$});
my (undef, $state, $message) = try_sql($node, 'school', 'SET force_parallel_mode = on; SELECT count(*) FROM measured WHERE too_small(n)');
is($state, '23514', 'an error in a parallel worker');
like($message, qr/parallel worker/, 'which it was');
is(counted(), "-|-|all|1\n-|-|check|1", 'counts once');

$node->safe_psql('school', q{CREATE TABLE sent (id int PRIMARY KEY); INSERT INTO sent VALUES (1); CREATE PUBLICATION p FOR TABLE sent; SELECT pg_create_logical_replication_slot('s', 'pgoutput')});
$node->safe_psql('other', 'CREATE TABLE sent (id int PRIMARY KEY); INSERT INTO sent VALUES (1), (2)');
my $here = 'host=' . $node->host . ' port=' . $node->port . ' dbname=school';
$node->safe_psql('other', "CREATE SUBSCRIPTION s CONNECTION '$here' PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false, disable_on_error = true)");
$node->safe_psql('school', 'INSERT INTO sent VALUES (2)');
$node->poll_query_until('other', 'SELECT NOT subenabled FROM pg_subscription') or die 'the subscription did not fail';
is($node->safe_psql('other', $counts), "-|-|all|1\npublic.sent|sent_pkey|unique|1", 'a conflict of logical apply is counted in its database');
$node->safe_psql('other', 'ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s');
$node->poll_query_until('school', q{SELECT NOT active FROM pg_replication_slots WHERE slot_name = 's'}) or die 'the slot is still read';
$node->safe_psql('school', "SELECT pg_drop_replication_slot('s')");

# ---- Names that a function gives may be anything.
$node->safe_psql('school', $reset);
my $marker = 'SSN-131-31-3131';
fails($_, "DO \$do\$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '$_', CONSTRAINT = '$marker', TABLE = '$marker', SCHEMA = '$marker', COLUMN = '$marker', DATATYPE = '$marker'; END \$do\$")
  for '23505', '23514', '23000', '23999';
is(counted(), <<'ROWS' =~ s/\n\z//r, 'so they are not kept');
-|-|all|4
-|-|check|1
-|-|other|2
-|-|unique|1
ROWS

# ---- Levels.
$node->safe_psql('school', $reset);
my $violate = qq{INSERT INTO "Old"."Pupil" VALUES (1, '$marker');\n};
my $levels  = 'SELECT string_agg(level, $$,$$ ORDER BY kind <> $$all$$) FROM wc_constraint_violations';
my $again   = sub { my ($times) = @_; $node->psql('school', $violate x $times, on_error_stop => 0); return $node->safe_psql('school', $levels) };
is($again->(10), 'ok,ok', '10 in an hour are ok');
is($again->(1),  'warning,warning', '11 are a warning');
is($again->(39), 'warning,warning', '50 are one still');
is($again->(1),  'critical,critical', '51 are critical');
fails('23502', q{INSERT INTO "Old"."Pupil" VALUES (3, NULL)});
is($node->safe_psql('school', $levels), 'critical,critical,ok', 'each constraint has its own level, and the sum too');
is($node->safe_psql('school', "SET whitecross.violations_warning = 0; SET whitecross.violations_critical = 51; $levels"), 'critical,warning,warning', 'the bounds are settings');

# ---- Sessions that come and go at once: no violation is lost, none counted twice.
$node->safe_psql('school', $reset);
my $script = PostgreSQL::Test::Utils::tempdir() . '/violate.sql';
append_to_file($script, $violate x 250 . qq{INSERT INTO guardian VALUES (8, 1);\n} x 50);
my @runs = map { IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('school'), '-f', $script ], '>', '/dev/null', '2>', '/dev/null') } 1 .. 8;
$_->finish for @runs;
is(counted(), qq{-|-|all|2400\n"Old"."Pupil"|"Pupil_pkey"|unique|2000\npublic.guardian|guardian_pupil_fkey|foreign key|400}, 'eight sessions at once are counted exactly');
unlike($node->safe_psql('school', 'SELECT * FROM wc_constraint_violations, wc_constraint_violations_info()'), qr/$marker/, 'and no value is kept');

# ---- A small table: who was longest not seen goes, the sum stays right.
$node->append_conf('postgresql.conf', 'whitecross.violations_max = 16');
$node->restart;
is(counted(), '-|-|all|0', 'a restart begins anew');
$node->safe_psql('school', join ';', map { "CREATE TABLE t$_ (id int CHECK (id > 0))" } 10 .. 49);
$node->psql('school', join(';', map { "INSERT INTO t$_ VALUES (0)" } 10 .. 24) . ';INSERT INTO t10 VALUES (0);' , on_error_stop => 0);
is($node->safe_psql('school', 'SELECT constraints, max, evicted FROM wc_constraint_violations_info()'), '15|16|0', 'the table is full');
$node->psql('school', 'INSERT INTO t25 VALUES (0)');
is($node->safe_psql('school', q{SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM wc_constraint_violations}),
    join(' ', map { "public.t$_" } 10, 12 .. 25), 'the one that was longest not seen gives its place');
$node->psql('school', join(';', map { "INSERT INTO t$_ VALUES (0)" } 26 .. 49), on_error_stop => 0);
is($node->safe_psql('school', q{SELECT total FROM wc_constraint_violations WHERE kind = 'all'}), 41, 'the sum has them all');
is($node->safe_psql('school', 'SELECT constraints, evicted, (SELECT count(*) FROM wc_constraint_violations WHERE kind = $$check$$) FROM wc_constraint_violations_info()'), '15|25|15', 'and what was evicted is counted');
$node->psql('other', 'INSERT INTO sent VALUES (1)');
is($node->safe_psql('other', $counts), "-|-|all|1\npublic.sent|sent_pkey|unique|1", 'a second database finds room for its own, and its sum');
is($node->safe_psql('school', q{SELECT total FROM wc_constraint_violations WHERE kind = 'all'}), 41, 'which is not that of the first');

# ---- Not preloaded.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auto_explain'");
$node->restart;
for my $call ('SELECT * FROM wc_constraint_violations', 'SELECT * FROM wc_constraint_violations_info()', $reset) {
    (undef, $state, $message) = try_sql($node, 'school', $call);
    is($state, '55000', "without preloading: $call");
    like($message, qr/HINT:  In postgresql.conf set shared_preload_libraries = 'auto_explain,whitecross'/, 'the hint has the line');
}
(undef, $state, $message) = try_sql($node, 'school', 'SET ROLE reader; SELECT * FROM wc_constraint_violations');
is($state, '55000', 'for any role');
like($message, qr/shared_preload_libraries = 'whitecross'/, 'who isn\'t told what else is loaded');

done_testing();

# Incremental refresh: what it refreshes and how it is logged; each reason for computing the whole view; transactions; the
# change log's end.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('incremental', conf => "max_prepared_transactions = 2\n");
my $db;

sub sql { return $node->safe_psql($db, $_[0]) }

# Every view is what its definition says, and nothing is pending.
sub verified {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(sql('SELECT * FROM wc_verify() WHERE missing <> 0 OR extra <> 0 OR pending <> 0 OR num_nulls(missing, extra, pending) > 0'),
        '', $name);
}

# What the last refresh of a view was.
sub last_is {
    my ($view, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(sql("SELECT mode, reason FROM wc_refresh_log WHERE view_name = '$view' ORDER BY id DESC LIMIT 1"), $expected, $name);
}

# Something is done, and after the next refresh the view is right, in this way and for this reason; after one more it is
# incremental again.
sub whole_after {
    my ($done, $view, $reason, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    subtest $name => sub {
        sql($done);
        sql('SELECT wc_refresh_all()');
        last_is($view, "concurrent|$reason", 'computed as a whole');
        verified('the contents are right');
        sql('SELECT wc_refresh_all()');
        last_is($view, 'incremental|the change log is complete', 'and then by keys again');
    };
    return;
}

my $all  = q{SELECT view_name, mode, status FROM wc_refresh_all() WHERE mode <> 'incremental' OR status <> 'refreshed'};
my $here = q{SELECT view_name, mode, status FROM wc_refresh_all(workers => 0) WHERE mode <> 'incremental' OR status <> 'refreshed'};

for my $kind (qw(reference platform)) {
    $db = $kind;
    make_database($node, $db, $kind, students => 120);
    note("database of kind $kind");
    verified("$kind: filled by CREATE EXTENSION");
    is(sql($all), '', 'the first refresh is incremental already');
    is(sql('SELECT sum(rows_written), sum(keys_refreshed) IS NOT NULL FROM wc_refresh_log WHERE in_worker'), '0|t', 'and finds nothing to write');

    sql(q{UPDATE students SET "firstName" = 'Zora' WHERE id IN (SELECT "studentId" FROM mv_student_health_summary ORDER BY 1 LIMIT 3)});
    is(sql(q{SELECT pending_changes, oldest_pending <= now() FROM wc_view_stats('student_health_summary')}), '3|t', 'changes are pending');
    is(sql(q{SELECT missing, extra, pending FROM wc_verify('student_health_summary')}), '3|3|3', 'which wc_verify() counts and sees');
    is(sql($all), '', 'and are refreshed by keys');
    is(sql(q{SELECT keys_refreshed, rows_written, reason FROM wc_refresh_log
              WHERE view_name = 'mv_student_health_summary' ORDER BY id DESC LIMIT 1}), '3|3|the change log is complete', 'the log says how many');
    is(sql(q{SELECT last_mode, last_keys, last_rows_written, last_reason, last_origin, row_count = (SELECT count(*) FROM mv_student_health_summary)
               FROM wc_view_state WHERE view_name = 'mv_student_health_summary'}),
        'incremental|3|3|the change log is complete|manual|t', 'so does the state');
    verified('every view is right');
    # Whatever writes meanwhile, as autovacuum does, puts it off to a later refresh.
    my $left;
    for (1 .. 200) {
        $left = sql('SELECT count(*) FROM wc_change');
        last if $left eq '0';
        sql($all);
    }
    is($left, '0', 'what every view has taken up is pruned');

    # Parents widen to what they touch.
    sql(q{UPDATE medications SET name = name || ' forte' WHERE id IN (SELECT "medicationId" FROM mv_medication_schedule LIMIT 1)});
    sql(q{UPDATE users SET "lastName" = 'Nightingale' WHERE id IN (SELECT "nurseId" FROM mv_appointment_statistics LIMIT 1)});
    sql(q{UPDATE students SET "nurseId" = NULL WHERE id IN (SELECT "studentId" FROM mv_compliance_status ORDER BY 1 LIMIT 2)});
    is(sql($here), '', 'changes of parents are refreshed by keys');
    verified('in each view that shows them');

    # Rows come and go.
    sql(q{UPDATE students SET "deletedAt" = now() WHERE id IN (SELECT "studentId" FROM mv_compliance_status ORDER BY 1 LIMIT 2)});
    is(sql($all), '', 'deleted students are refreshed by keys');
    verified('and are gone');
    sql(q{UPDATE students SET "deletedAt" = NULL WHERE "deletedAt" IS NOT NULL});
    is(sql($all), '', 'and back again');
    verified('with everything that is theirs');
    sql(q{DELETE FROM appointments WHERE "nurseId" IN (SELECT "nurseId" FROM mv_appointment_statistics LIMIT 1)});
    is(sql($all), '', 'deleted appointments');
    verified('take their days with them');

    # Time.
    for my $step ('20 minutes', '1 day', '11 months') {
        my $clock = sql("SELECT max(clock) + interval '$step' FROM wc_view_state");
        sql("ALTER DATABASE $db SET whitecross.now = '$clock'");
        sql(q{SELECT wc_refresh_all('incremental')});
        is(sql(q{SELECT string_agg(DISTINCT last_mode, ',') FROM wc_view_state}), 'incremental', "$step later");
        verified('every row that time changes is refreshed');
    }
    my $back = sql(q{SELECT min(clock) - interval '2 hours' FROM wc_view_state});
    sql("ALTER DATABASE $db SET whitecross.now = '$back'");
    sql('SELECT wc_refresh_all()');
    last_is('mv_medication_schedule', 'concurrent|the clock went back', 'a clock that goes back');
    verified('gives the view of then');
    sql("ALTER DATABASE $db RESET whitecross.now");
    sql('SELECT wc_refresh_all()');
    sql('SELECT wc_refresh_all()');
    is(sql($all), '', 'the real clock again');
}

# --- Each reason for the whole view

$db = 'reference';
my $summary = 'mv_student_health_summary';
whole_after('TRUNCATE allergies', 'mv_allergy_summary', 'table allergies was changed as a whole', 'TRUNCATE');
whole_after(q{ALTER TABLE students DISABLE TRIGGER ALL; UPDATE students SET "lastName" = 'Unseen'; ALTER TABLE students ENABLE TRIGGER ALL},
    $summary, 'triggers of table students changed', 'triggers switched off for a while');
is(sql(q{SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'students'::regclass AND tgname LIKE 'wc\_%' ORDER BY 1}),
    "wc_capture_delete|O\nwc_capture_insert|O\nwc_capture_replica|R\nwc_capture_truncate|A\nwc_capture_update|O", 'each is in its state again');
whole_after(q{ALTER TABLE vaccinations DISABLE TRIGGER wc_capture_insert}, 'mv_compliance_status', 'triggers of table vaccinations changed',
    'a trigger left switched off');
whole_after('REFRESH MATERIALIZED VIEW mv_allergy_summary', 'mv_allergy_summary', 'the view was refreshed or altered by other means', 'REFRESH by hand');
whole_after('REFRESH MATERIALIZED VIEW CONCURRENTLY mv_allergy_summary', 'mv_allergy_summary',
    'the view was refreshed or altered by other means', 'REFRESH CONCURRENTLY by hand');
whole_after('VACUUM FULL mv_allergy_summary', 'mv_allergy_summary', 'the view was refreshed or altered by other means', 'VACUUM FULL of the view');
whole_after('CREATE TABLE more_allergies () INHERITS (allergies); SELECT wc_install()', 'mv_allergy_summary',
    'partitions or children of table allergies changed', 'another child of a base table');
whole_after(q{INSERT INTO more_allergies ("studentId", allergen, severity) SELECT "studentId", 'Bee', 'SEVERE' FROM mv_allergy_summary LIMIT 1;
              DROP TABLE more_allergies}, 'mv_allergy_summary', 'partitions or children of table allergies changed', 'and its end');
whole_after('ALTER TABLE allergies ADD COLUMN remark text', 'mv_allergy_summary', 'its definition changed', 'another column of a base table');
whole_after(q{DELETE FROM wc_view_state}, $summary, 'no refresh on record', 'no record');
whole_after('VACUUM FULL wc_change', $summary, 'the change log was rewritten', 'the change log rewritten');

sql(q{SELECT wc_refresh('allergy_summary', 'concurrent')});
last_is('mv_allergy_summary', 'concurrent|asked for', 'concurrent is what is asked for');
sql(q{SELECT wc_refresh('allergy_summary', 'full')});
last_is('mv_allergy_summary', 'full|asked for', 'so is full');
sql(q{SELECT wc_refresh('allergy_summary', 'incremental')});
last_is('mv_allergy_summary', 'incremental|asked for', 'and incremental, after a full one too');
sql('REFRESH MATERIALIZED VIEW mv_allergy_summary WITH NO DATA');
sql(q{SELECT wc_refresh('allergy_summary', 'incremental')});
last_is('mv_allergy_summary', 'full|the view was not populated', 'a view that is not populated is filled outright');

# In a session nothing is mended: that would hold locks on the base tables to the end of a transaction of the caller's.
sql('ALTER TABLE allergies DISABLE TRIGGER wc_capture_update');
sql(q{SELECT wc_refresh_all(workers => 0)});
sql(q{SELECT wc_refresh_all(workers => 0)});
last_is('mv_allergy_summary', 'concurrent|a capture trigger is switched off on table allergies', 'a session does not mend triggers');
is(sql(q{SELECT status FROM wc_health_check() WHERE check_name = 'incremental refresh' LIMIT 1}), 'warning', 'and the health check says so');
sql('SELECT wc_refresh_all()');
sql('SELECT wc_refresh_all()');
last_is('mv_allergy_summary', 'incremental|the change log is complete', 'a worker does');
is(sql(q{SELECT status FROM wc_health_check() WHERE check_name = 'incremental refresh'}), 'ok', 'and all is well');

# --- Transactions

my $one = sql('SELECT min("studentId"::text) FROM mv_allergy_summary');
my $peanut = qq{INSERT INTO allergies ("studentId", allergen, severity) VALUES ('$one', 'Peanut', 'MILD')};
my $count  = qq{SELECT "totalAllergies" FROM mv_allergy_summary WHERE "studentId" = '$one';};
my $before = sql($count);
my $out = sql(qq{BEGIN; $peanut; SELECT status, rows_written FROM wc_refresh('allergy_summary'); $peanut; $count COMMIT;});
is($out, "refreshed|1\n" . ($before + 1), 'a refresh sees what its own transaction wrote before it');
is(sql(q{SELECT missing, extra, pending > 0 FROM wc_verify('allergy_summary')}), '1|1|t', 'and leaves pending what that wrote after it');
sql($all);
verified('for the next one');

sql(qq{BEGIN; $peanut; SAVEPOINT a; SELECT wc_refresh('allergy_summary'); ROLLBACK TO a; COMMIT});
is(sql($count), $before + 2, 'a refresh that is rolled back leaves nothing');
is(sql(q{SELECT missing, extra, pending FROM wc_verify('allergy_summary')}), '1|1|1', 'and takes up nothing');
sql(qq{BEGIN; SAVEPOINT a; $peanut; ROLLBACK TO a; SELECT wc_refresh('allergy_summary'); COMMIT});
is(sql($count), $before + 3, 'a write that is rolled back is none');
sql($all);
verified('nothing is left of it');

sql(qq{BEGIN; $peanut; PREPARE TRANSACTION 'p'});
sql($all);
verified('a prepared transaction is not seen');
sql(q{COMMIT PREPARED 'p'});
is(sql(q{SELECT pending FROM wc_verify('allergy_summary')}), '1', 'until it is committed');
sql($all);
verified('and then taken up');

my ($nothing, $state) = try_sql($node, $db, "BEGIN ISOLATION LEVEL REPEATABLE READ; $peanut; SELECT wc_refresh('allergy_summary')");
is($state, '25001', 'a REPEATABLE READ transaction that has written may not refresh');

# The triggers are newer than the snapshot that the views are filled with; what was committed in between no trigger has noted.
sql('SELECT wc_retire()');
my $installer = WhiteCross::Session->new($node, $db);
$installer->ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM allergies;');
sql($peanut);
is(join("\n", grep { /ERROR/ } $installer->ask('SELECT wc_install(); COMMIT;')), '', 'a REPEATABLE READ transaction installs');
$installer->quit;
is(sql($count), $before + 4, 'with what its snapshot saw');
is(sql(q{SELECT status FROM wc_refresh('allergy_summary')}), 'refreshed', 'the next refresh');
last_is('mv_allergy_summary', 'concurrent|no refresh on record', 'is of the whole view');
is(sql($count), $before + 5, 'and brings what was committed since');
sql('SELECT wc_refresh_all()');
verified('in every view');

# --- A failure keeps what was there, and says nothing of rows

sql('CREATE UNIQUE INDEX mine ON mv_allergy_summary ("totalAllergies") WHERE "totalAllergies" > 90');
sql(qq{INSERT INTO allergies ("studentId", allergen, severity)
       SELECT s.id, 'Secret' || n, 'MILD' FROM (SELECT "studentId" AS id FROM mv_allergy_summary ORDER BY 1 LIMIT 2) AS s, generate_series(1, 100) AS n;
       DELETE FROM allergies WHERE allergen = 'Peanut'; UPDATE allergies SET "isActive" = allergen LIKE 'Secret%'});
is(sql(q{SELECT mode, status, sqlstate, message FROM wc_refresh('allergy_summary')}),
    'incremental|failed|23505|unique_violation while refreshing mv_allergy_summary: constraint mine', 'a failure names the index');
unlike(slurp_file($node->logfile), qr/Key \("totalAllergies"\)/, 'and no value, in the server log either');
sql('DROP INDEX mine');
sql($all);
verified('the next refresh is right');

# --- The change log's end

sql("ALTER SYSTEM SET whitecross.change_log_limit = 100");
$node->reload;
sql(q{UPDATE students SET "firstName" = 'New' || id});
sql(q{UPDATE students SET "firstName" = 'Newer' || id});
cmp_ok(sql('SELECT count(*) FROM wc_change'), '>', 100, 'more changes than the log may have');
sql(q{SELECT wc_refresh('allergy_summary')});
# Whatever is under way meanwhile puts it off to a later refresh.
my $kept;
for (1 .. 200) {
    sql(q{SELECT wc_refresh('allergy_summary')});
    $kept = sql('SELECT count(*) FROM wc_change');
    last if $kept eq '0';
}
is($kept, '0', 'views that lag give theirs up');
is(sql(qq{SELECT pending FROM wc_verify('$summary')}), '', 'what is pending for them is not known any more');
sql('SELECT wc_refresh_all()');
last_is($summary, 'concurrent|the change log had grown longer than whitecross.change_log_limit', 'they are computed as a whole');
verified('and right');

# --- A mapping to a row that is not found by its id: the platform's logs have no other way to their medication

$db = 'platform';
sql(q{SELECT wc_map_column('medication_logs', 'scheduledAt', 'student_medication."updatedAt"'); SELECT wc_install('materialized view')});
sql(q{SELECT wc_refresh('medication_schedule')});
last_is('mv_medication_schedule', 'concurrent|column scheduledAt of table medication_logs is mapped to a row that is not found by its id',
    'a change of that row could be missed, so the view is computed as a whole');
is(sql(q{SELECT missing, extra FROM wc_verify('medication_schedule')}), '0|0', 'and right');
sql(q{SELECT wc_map_column('medication_logs', 'scheduledAt', NULL); SELECT wc_install('materialized view')});
sql(q{SELECT wc_refresh('medication_schedule')});
is(sql(q{SELECT mode FROM wc_refresh_log WHERE view_name = 'mv_medication_schedule' ORDER BY id DESC LIMIT 1}), 'incremental', 'no longer, without it');

done_testing();

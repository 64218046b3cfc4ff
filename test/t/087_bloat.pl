# A thousand incremental refreshes of a hundred keys each, with autovacuum on, which is never cancelled for them: the view does
# not grow, and its files are sound.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;
use WhiteCross::Truth;

use constant { REFRESHES => 1000, KEYS => 100, STUDENTS => 6000 };

my $node = new_node('bloat', conf => "whitecross.health_interval = 0\nautovacuum_naptime = 1\nlog_autovacuum_min_duration = 0\nlog_statement = none\nlog_min_messages = log\n");
make_true_database($node, 'district', 'reference', students => STUDENTS, after => 'CREATE EXTENSION amcheck; CREATE EXTENSION pgstattuple');

# Every student gets a number: those of a refresh are a hundred of them, of every part of the view.
$node->safe_psql('district', 'CREATE TABLE numbers AS SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS number FROM students; ALTER TABLE numbers ADD PRIMARY KEY (number); ANALYZE');

# Vacuum keeps pace, however fast the machine refreshes: after each tenth of the students the next refresh waits until autovacuum has no
# more to do at the view, which leaves it a fifth of dead rows. So there are never more dead rows than a third.
$node->safe_psql('district', <<'SQL');
CREATE PROCEDURE vacuumed() LANGUAGE plpgsql AS $$
DECLARE
    patience timestamptz := clock_timestamp() + interval '180 seconds';
BEGIN
    LOOP
        COMMIT; -- no snapshot is held for which vacuum would have to spare rows
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN pg_stat_get_dead_tuples('mv_student_health_summary'::regclass)
               <= current_setting('autovacuum_vacuum_threshold')::int
                + current_setting('autovacuum_vacuum_scale_factor')::float * pg_stat_get_live_tuples('mv_student_health_summary'::regclass);
        IF clock_timestamp() > patience THEN
            RAISE 'autovacuum does not come';
        END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SQL

# Each hundred is changed again and again; every second time in a column that an index of the view has, which no HOT update
# can be.
my $groups  = STUDENTS / KEYS;
my $set_up  = -s $node->logfile;
my $session = WhiteCross::Session->new($node, 'district');
$session->send(join "\n", q{SET whitecross.now = '2025-03-07 12:00-05'; SET whitecross.max_refresh_workers = 0;}, map {
        my ($visit, $first) = (int($_ / $groups), $_ % $groups * KEYS);
        my $nurse = ($_ + $visit) % 2 ? qq{, "nurseId" = (SELECT id FROM users ORDER BY id OFFSET $visit % 15 LIMIT 1)} : '';
        qq{UPDATE students SET "lastName" = 'Name $_'$nurse FROM numbers AS n
            WHERE n.id = students.id AND n.number > $first AND n.number <= $first + } . KEYS . q{;
           SELECT status FROM wc_refresh('student_health_summary', 'incremental');} . ($_ % ($groups / 10) ? '' : 'SELECT pg_stat_force_next_flush(); CALL vacuumed();')
} 1 .. REFRESHES);
my @refreshed = grep { $_ eq 'refreshed' } $session->answer;
is(scalar @refreshed, REFRESHES, 'refreshed a thousand times');
$session->quit;
is($node->safe_psql('district', q{SELECT count(*), min(keys_refreshed) FROM wc_refresh_log WHERE mode = 'incremental' AND view_name = 'mv_student_health_summary'}),
    REFRESHES . '|' . KEYS, 'incrementally, a hundred keys each time');

my $log = slurp_file($node->logfile, $set_up);
my $vacuumed = () = $log =~ /automatic vacuum of table "district\.public\.mv_student_health_summary"/g;
cmp_ok($vacuumed, '>', 3, 'autovacuum has been at the view');
unlike($log, qr/canceling autovacuum task/, 'and was never cancelled');

is( $node->safe_psql('district', q{SELECT bt_index_check(indexrelid, true) FROM pg_index WHERE indrelid IN ('mv_student_health_summary'::regclass, 'wc_change'::regclass);
        SELECT v.* FROM unnest(ARRAY['mv_student_health_summary'::regclass, 'wc_change'::regclass]) AS r, verify_heapam(r) AS v}) =~ s/\n//gr,
    '', 'amcheck finds nothing');

# The same contents in new files.
my $size = q{SELECT pg_table_size('mv_student_health_summary'), pg_indexes_size('mv_student_health_summary')};
my ($heap, $indexes) = split /\|/, $node->safe_psql('district', $size);
is($node->safe_psql('district', q{SET whitecross.now = '2025-03-07 12:00-05'; SELECT missing, extra, pending FROM wc_verify('student_health_summary');
        SELECT missing, extra FROM truth.differences('mv_student_health_summary', '"studentId"::text')}), "0|0|0\n0|0", 'the view is true');
$node->safe_psql('district', q{SELECT wc_refresh('student_health_summary', 'full')});
my ($fresh_heap, $fresh_indexes) = split /\|/, $node->safe_psql('district', $size);
note("table $heap bytes, fresh $fresh_heap; indexes $indexes, fresh $fresh_indexes");
cmp_ok($heap, '<=', 1.5 * $fresh_heap, 'the view is at most half as large again as when it is new');
cmp_ok($heap + $indexes, '<=', 1.5 * ($fresh_heap + $fresh_indexes), 'and so it is with its indexes');

# The other views have waited for all of it; once they have it, the change log empties.
$node->safe_psql('district', 'SELECT wc_refresh_all()');
my $left = $node->safe_psql('district', 'SELECT count(*) FROM wc_change');
for (1 .. 200) {
    last if $left == 0;
    $node->safe_psql('district', 'SELECT wc_refresh_all(workers => 0)');
    $left = $node->safe_psql('district', 'SELECT count(*) FROM wc_change');
}
is($left, 0, 'what no view waits for goes from the change log');

$node->stop;
done_testing();

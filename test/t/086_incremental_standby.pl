# Incremental refreshes and a physical standby: the standby shows what was applied, through a crash of its own; promoted,
# it goes on incrementally with what the primary had not applied yet.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;
use WhiteCross::Truth;

my $primary = new_node('primary', allows_streaming => 1, conf => "hot_standby_feedback = on\n");
make_true_database($primary, 'district', 'reference', students => 60);
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

my $minutes = 0;
sub clock { return sprintf '2025-03-07 %02d:%02d:00-05', 8 + int($minutes / 60), $minutes++ % 60 }

# Something of every kind: rows that change, come and go, and a parent.
my $number = 0;

sub change {
    my ($node) = @_;
    $number++;
    $node->safe_psql('district', <<"SQL");
UPDATE students SET "lastName" = 'Name $number' WHERE id IN (SELECT id FROM students ORDER BY md5(id::text || '$number') LIMIT 5);
UPDATE medications SET name = 'Drug $number' WHERE id = (SELECT "medicationId" FROM student_medications ORDER BY md5(id::text || '$number') LIMIT 1);
DELETE FROM vaccinations WHERE id IN (SELECT id FROM vaccinations ORDER BY md5(id::text || '$number') LIMIT 5);
INSERT INTO allergies ("studentId", allergen, severity) SELECT id, 'Nuts', 'SEVERE' FROM students ORDER BY md5(id::text || '$number') LIMIT 3;
UPDATE appointments SET status = 'COMPLETED' WHERE id IN (SELECT id FROM appointments ORDER BY md5(id::text || '$number') LIMIT 5);
SQL
    return;
}

sub same_contents {
    my ($name) = @_;
    $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
    my $contents = join ' UNION ALL ', map { "SELECT '$_', md5(string_agg(v::text, ',' ORDER BY v::text)) FROM $_ AS v" } VIEWS;
    is($standby->safe_psql('district', $contents), $primary->safe_psql('district', $contents), "$name: every view is the same on the standby");
    return;
}

sub last_modes { my ($node) = @_; return $node->safe_psql('district', 'SELECT DISTINCT last_mode FROM wc_view_state') }

for my $round (1 .. 3) {
    change($primary);
    is_true($primary, 'district', clock(), "round $round: true on the primary");
    is(last_modes($primary), 'incremental', 'refreshed incrementally');
    same_contents("round $round");
}

# wc_verify() only reads.
is($standby->safe_psql('district', 'SELECT count(*), sum(missing), sum(extra), sum(pending) FROM wc_verify()'), '5|0|0|0', 'wc_verify() on the standby finds nothing');
change($primary);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('district', 'SELECT bool_and(pending > 0) FROM wc_verify()'), 't', 'and sees what is pending');

# The standby crashes while the primary goes on.
$standby->stop('immediate');
is_true($primary, 'district', clock(), 'true on the primary');
change($primary);
$standby->start;
same_contents('after a crash of the standby');

# What was not applied when the primary was lost is applied by the next refresh.
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
$standby->promote;
change($standby);
is_true($standby, 'district', clock(), 'promoted: true');
is(last_modes($standby), 'incremental', 'refreshed incrementally, from where the primary left off');
change($standby);
$standby->stop('immediate');
$standby->start;
is_true($standby, 'district', clock(), 'and after a crash: true');
is(last_modes($standby), 'incremental', 'refreshed incrementally');

$standby->safe_psql('district', 'CREATE EXTENSION amcheck');
is( $standby->safe_psql('district', q{SELECT bt_index_check(i.indexrelid, true) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
        WHERE c.relkind = 'm'; SELECT v.* FROM pg_class AS c, verify_heapam(c.oid) AS v WHERE c.relkind = 'm'}) =~ s/\n//gr, '', 'amcheck finds nothing');

$standby->stop;
done_testing();

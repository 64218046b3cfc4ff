# Writes that no statement of a client's makes, and the generations of the result cache: apply workers of logical replication, their
# first copy, TRUNCATE and prepared transactions; refreshes of materialized views, whole and incremental; a second database that has
# the same OIDs.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cells;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('apply', allows_streaming => 'logical', conf => <<'CONF');
fsync = off
autovacuum = off
max_prepared_transactions = 10
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
CONF
make_database($node, 'district', 'reference', students => 20);
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'source', 'other';
my $tables = <<'SQL';
CREATE TABLE a (id int PRIMARY KEY, v int);
CREATE TABLE b (id int PRIMARY KEY, v int);
CREATE TABLE part (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
SQL
$node->safe_psql($_, $tables) for 'source', 'other';
$node->safe_psql('source', 'INSERT INTO a VALUES (1, 1); CREATE PUBLICATION ours FOR TABLE a, b, part WITH (publish_via_partition_root = true)');
$node->safe_psql('source', q{SELECT pg_create_logical_replication_slot('ours', 'pgoutput', false, true)});

my $cells = WhiteCross::Cells->new($node, 'other');
my $source = WhiteCross::Session->new($node, 'source');
my $other = WhiteCross::Session->new($node, 'other');
$cells->ask('SELECT cells.cells_usable();');

sub arrived { $node->wait_for_catchup('ours', 'replay', $node->lsn('insert')); return }
sub applies {
    my ($name, $sql, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($cells->moved(sub { $source->ask($sql); arrived() }), $expected, "applied: $name");
}

# ---- Logical replication. The trigger fires there as on any replica.
$node->safe_psql('other', <<'SQL');
CREATE TABLE seen (id int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen VALUES (NEW.id); RETURN NULL; END';
CREATE TRIGGER note AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE b ENABLE ALWAYS TRIGGER note;
SQL
my $moved = $cells->moved(sub {
    $node->safe_psql('other', "CREATE SUBSCRIPTION ours CONNECTION '" . $node->connstr . " dbname=source' PUBLICATION ours WITH (create_slot = false, slot_name = 'ours', two_phase = true)");
    $node->poll_query_until('other', q{SELECT count(*) = 3 FROM pg_subscription_rel WHERE srsubstate = 'r'});
    $node->poll_query_until('other', q{SELECT subtwophasestate = 'e' FROM pg_subscription});
});
like($moved, qr/^a\b/, 'the first copy');
# What is seen to be done may have to move its cells yet.
$node->poll_query_until('other', 'SELECT cells.cells_marked() = 0') or die "something stays marked\n";
is($node->safe_psql('other', 'SELECT * FROM a'), '1|1', 'which has copied');
$cells->ask('SELECT cells.cells_usable();');
applies('INSERT',                'INSERT INTO a VALUES (2, 2);', 'a');
applies('UPDATE',                'UPDATE a SET v = 3 WHERE id = 2;', 'a');
applies('DELETE',                'DELETE FROM a WHERE id = 2;', 'a');
applies('a trigger there',       'INSERT INTO b VALUES (1, 1);', 'b seen');
applies('several tables',        'BEGIN; UPDATE a SET v = 5; UPDATE b SET v = 5; COMMIT;', 'a b');
applies('through the root',      'INSERT INTO part VALUES (1, 1);', 'part part_1');
applies('to another partition',  'UPDATE part SET id = 11;', 'part part_1 part_2');
applies('TRUNCATE',              'TRUNCATE b;', 'b names');
applies('nothing',               'BEGIN; UPDATE a SET v = 6; ROLLBACK;', '');
applies('a prepared transaction', q{BEGIN; UPDATE a SET v = 7; PREPARE TRANSACTION 'first';}, 'a!');
is($node->safe_psql('other', 'SELECT v FROM a'), '5', 'which nobody sees');
applies('committed',              q{COMMIT PREPARED 'first';}, 'a!');
is($node->safe_psql('other', 'SELECT v FROM a'), '7', 'which everybody sees');
is($cells->moved(sub { $cells->ask('SELECT cells.cells_usable();') }), 'a', 'who asks next moves the cell');
applies('another one', q{BEGIN; UPDATE a SET v = 8; PREPARE TRANSACTION 'first';}, 'a!');
applies('rolled back', q{ROLLBACK PREPARED 'first';}, 'a!');
is($cells->moved(sub { $cells->ask('SELECT cells.cells_usable();') }), '', 'moves nothing');
is($cells->ask('SELECT cells.cells_marked(), cells.cells_held();'), '0|0', 'and nothing stays marked');

# ---- A copy of the database has its OIDs, and cells of its own.
$node->safe_psql('other', 'ALTER SUBSCRIPTION ours DISABLE');
undef $_ for $cells->{session}, $other;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'other'}) or die "somebody stays in the database\n";
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE other');
$cells->connect($node, 'other');
is($cells->moved(sub { $node->safe_psql('copied', 'UPDATE a SET v = 0; CREATE TABLE c (id int); DROP FUNCTION note() CASCADE') }), '', 'a copy of the database');
is($cells->moved(sub { $node->safe_psql('copied', 'CREATE ROLE pupil') }), 'shared names', 'has roles in common with it');
$node->safe_psql('other', 'ALTER SUBSCRIPTION ours SET (slot_name = NONE); DROP SUBSCRIPTION ours');

# ---- Refreshes.
$node->safe_psql('district', 'SELECT count(*) FROM wc_refresh_all()');
my $views = WhiteCross::Cells->new($node, 'district');
my $view = 'mv_allergy_summary';
my $table = $node->safe_psql('district', q{SELECT quote_ident(relname) FROM pg_class WHERE relname = 'allergies'});
like($views->moved(sub { $node->safe_psql('district', "UPDATE $table SET severity = severity") }), qr/^allergies\b/, 'a change of a table');
my $written = $views->moved(sub { is($node->safe_psql('district', "SELECT status, mode FROM wc_refresh('$view')"), 'refreshed|incremental', 'an incremental refresh') });
unlike($written, qr/\bmv_(?!allergy_summary)/, 'writes no other view');
$node->safe_psql('district', qq{UPDATE $table SET severity = CASE severity WHEN 'MILD' THEN 'SEVERE' ELSE 'MILD' END});
$written = $views->moved(sub { $node->safe_psql('district', "SELECT * FROM wc_refresh('$view')") });
like($written, qr/\bmv_allergy_summary\b/, 'and moves the one it writes');
unlike($written, qr/\ballergies\b|!/, 'not what it reads');
$written = $views->moved(sub { $node->safe_psql('district', "SELECT * FROM wc_refresh('$view', 'concurrent')") });
like($written, qr/\bmv_allergy_summary\b/, 'so does a refresh of the whole view');

$node->stop;
done_testing();

# Other libraries that are told of a commit after the result cache has been, and write then: their tables' generations move all the
# same. And a server that keeps no cache: nothing of it is there, and nothing of it is missed.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cells;
use WhiteCross::Session;
use WhiteCross::Test;

my $library = tree() . '/test/modules/cells/whitecross_cells.so';
my $node = new_node('late', preload => "$library,whitecross", conf => <<'CONF');
fsync = off
autovacuum = off
max_prepared_transactions = 5
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
CONF
$node->safe_psql('postgres', 'CREATE DATABASE school');
my $cells = WhiteCross::Cells->new($node, 'school');
$node->safe_psql('school', 'CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)');
my $session = WhiteCross::Session->new($node, 'school');
$cells->ask('SELECT cells.cells_usable();');

sub moves {
    my ($name, $sql, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($cells->moved(sub { $session->ask($sql) }), $expected, $name);
}

my $late = q{SELECT cells.cells_write_late('UPDATE b SET id = id');};
moves('a write after the end was announced', "BEGIN; UPDATE a SET id = id; $late COMMIT;", 'a b');
moves('of a transaction that had written nothing', "BEGIN; $late COMMIT;", 'b');
moves('in the transaction after that no more', 'UPDATE a SET id = id;', 'a');
moves('of one that is rolled back', "BEGIN; $late ROLLBACK; BEGIN; COMMIT;", 'b'); # it was asked for, and done by the next
$session->send(q{BEGIN; UPDATE a SET id = id; SELECT cells.cells_write_late('SELECT 1 / 0'); COMMIT;});
is(join(' ', map { WhiteCross::Session::error($_) } $session->answer), '22012', 'one that fails there');
is($cells->ask('SELECT cells.cells_marked();'), '0', 'leaves nothing marked');
moves('nor moves anything', 'SELECT 1;', '');
moves('of one that is prepared: whatever it may be', "BEGIN; UPDATE a SET id = id; $late PREPARE TRANSACTION 'first';", 'a! everything!');
$session->ask(q{COMMIT PREPARED 'first';});
is($cells->moved(sub { $cells->ask('SELECT cells.cells_usable();') }), 'a everything', 'which moves when it is committed');
is($cells->ask('SELECT cells.cells_marked(), cells.cells_held();'), '0|0', 'and nothing stays');

# ---- No cache.
undef $session;
$node->append_conf('postgresql.conf', "whitecross.cache_entries = 0\n");
$node->restart;
is((try_sql($node, 'school', 'SELECT cells.cells_usable()'))[1], '55000', 'without entries there is no memory for generations');
is($node->safe_psql('school', q{BEGIN; UPDATE a SET id = 2; PREPARE TRANSACTION 'first'; COMMIT PREPARED 'first'; SELECT id FROM a}), '2', 'and transactions go on without');

$node->stop;
done_testing();

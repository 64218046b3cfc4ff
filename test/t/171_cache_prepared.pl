# Prepared transactions and the generations of the result cache: what one has written stays marked until it is over, whoever ends it,
# whenever: another session, after a start of the server, after a crash, on a standby that has become a primary.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cells;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('prepared', allows_streaming => 1, conf => <<'CONF');
fsync = off
restart_after_crash = on
autovacuum = off
max_connections = 20
max_prepared_transactions = 10
synchronous_standby_names = 'nobody'
synchronous_commit = local
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
CONF
$node->safe_psql('postgres', 'CREATE DATABASE school');
my $cells = WhiteCross::Cells->new($node, 'school');
$node->safe_psql('school', <<'SQL');
CREATE TABLE a (id int PRIMARY KEY, v int);
CREATE TABLE b (id int PRIMARY KEY, v int);
CREATE FUNCTION pure() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
INSERT INTO a VALUES (1, 0);
INSERT INTO b VALUES (1, 0);
SQL
my $session = WhiteCross::Session->new($node, 'school');

# What moves and what is marked after SQL of the session, and after the next look-up in the cache.
sub moves {
    my ($name, $sql, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($cells->moved(sub { $session->send($sql); $session->answer }), $expected, $name);
}

sub settles {
    my ($name, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($cells->moved(sub { $cells->ask('SELECT cells.cells_usable();') }), $expected, $name);
}
sub marked { return $cells->ask('SELECT cells.cells_marked(), cells.cells_held();') }

my $prepare = q{BEGIN; UPDATE a SET v = v + 1; PREPARE TRANSACTION 'first';};
settles('the first look-up after the start, which moves all there is', join(' ', sort('a', 'b', 'everything', 'names', 'rules', 'shared names', 'shared rules')));

# ---- One session and another.
moves('nothing is written', q{BEGIN; SELECT * FROM a; PREPARE TRANSACTION 'empty'; COMMIT PREPARED 'empty';}, '');
moves('PREPARE TRANSACTION marks', $prepare, 'a!');
settles('and the mark stays', 'a!');
moves('other tables are none of its business', 'UPDATE b SET v = v;', 'a! b');
is($node->safe_psql('school', q{COMMIT PREPARED 'first'; SELECT v FROM a}), '1', 'another session commits it');
settles('the next who asks moves the cell', 'a');
is(marked(), '0|0', 'nothing is left');
moves('again', $prepare, 'a!');
$node->safe_psql('school', q{ROLLBACK PREPARED 'first'});
settles('what is rolled back moves nothing', '');
is(marked(), '0|0', 'nor leaves a mark');
moves('functions', q{BEGIN; CREATE OR REPLACE FUNCTION pure() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2'; PREPARE TRANSACTION 'first';}, 'names! rules!');
moves('committed', q{COMMIT PREPARED 'first';}, 'names! rules!');
settles('then moved', 'names rules');
moves('too many tables', join(' ', 'BEGIN;', (map { "CREATE TABLE many_$_ (id int);" } 1 .. 300), q{PREPARE TRANSACTION 'first';}), 'everything! names!');
$session->ask(q{ROLLBACK PREPARED 'first';});
settles('rolled back', '');

# How many there are is told without those that are over, though nobody has used the cache since.
$node->safe_psql('school', 'SET client_min_messages = warning; CREATE SCHEMA wc; CREATE EXTENSION whitecross SCHEMA wc');
$session->ask($prepare);
is($session->ask('SELECT held_by_prepared FROM wc.wc_cache_memory();'), '1', 'one holds a table back');
$session->ask(q{ROLLBACK PREPARED 'first';});
is($session->ask('SELECT held_by_prepared FROM wc.wc_cache_memory();'), '0', 'none does');

# ---- What fails on its way.
$session->ask(q{BEGIN; UPDATE b SET v = v; PREPARE TRANSACTION 'taken';});
settles('one is there', 'b!');
moves('its name is taken', q{BEGIN; UPDATE a SET v = v; PREPARE TRANSACTION 'taken';}, 'a! b!');
settles('the other fails, and nothing is left of it', 'b!');
moves('a temporary table', q{BEGIN; CREATE TEMPORARY TABLE t (id int); UPDATE a SET v = v; PREPARE TRANSACTION 'temporary';}, 'a! b! names!');
settles('is refused, and nothing is left of it', 'b!');
$session->ask(q{COMMIT PREPARED 'taken';});
settles('the first one goes its way', 'b');

# ---- Several, of which some are over; more than there are records for, with nobody asking meanwhile.
$session->ask(join ' ', map { "BEGIN; INSERT INTO a VALUES ($_ + 100, 0); PREPARE TRANSACTION 'n $_';" } 1 .. 9);
is(marked(), '1|9', 'nine hold the same table');
$session->ask(join ' ', map { "COMMIT PREPARED 'n $_';" } 2 .. 9);
settles('eight are over', 'a!');
$cells->ask('SELECT cells.cells_usable();'); # who asks looks at eight of them
is(marked(), '1|1', 'one is not');
my $records = $node->safe_psql('school', q{SELECT current_setting('max_prepared_transactions')::int + 200});
$session->ask("BEGIN; UPDATE b SET v = v; PREPARE TRANSACTION 'r'; COMMIT PREPARED 'r';") for 1 .. $records;
cmp_ok($cells->ask('SELECT cells.cells_held();'), '<', $records, 'records are used again');
$cells->ask('SELECT cells.cells_usable();') for 1 .. 40;
is(marked(), '1|1', 'who asks settles them');
$session->ask(q{ROLLBACK PREPARED 'n 1';});
settles('the last', '');

# ---- COMMIT PREPARED waits for a standby: nobody sees it, and the marks stay until somebody does. (No standby has that name, from
# the start: where the setting changes it is the checkpointer that makes commits wait, in its own time.)
$session->ask($prepare);
$session->ask('SET synchronous_commit = on;');
$session->send(q{COMMIT PREPARED 'first';});
$node->poll_query_until('school', q{SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = } . $session->process) or die "it does not wait\n";
settles('a commit that waits', 'a!');
$node->safe_psql('school', 'SELECT pg_terminate_backend(' . $session->process . ')');
$session->answer(may_be_lost => 1);
$node->poll_query_until('school', q{SELECT count(*) = 0 FROM pg_prepared_xacts});
settles('terminated there, it is visible', 'a');

# ---- The server starts again, in order and after a crash. What such a transaction has changed in the catalogue nobody can tell
# before its messages are sent, so its database's is marked too.
my $all = join ' ', sort 'a!', 'b', 'everything', 'names!', 'rules!', 'shared names!', 'shared rules!';
$session = WhiteCross::Session->new($node, 'school');
$session->ask($prepare);
undef $session;
$node->restart;
$cells->connect($node, 'school');
is(marked(), '0|0', 'a server that has started knows nothing yet');
settles('who asks first looks at the locks of what was prepared', $all);
$node->safe_psql('school', q{COMMIT PREPARED 'first'});
settles('and it is settled as any other', 'a names rules shared names shared rules');
is(marked(), '0|0', 'nothing is left');

$session = WhiteCross::Session->new($node, 'school');
$session->ask($prepare);
kill 'KILL', $session->process;
$session->send('SELECT 1;');
$session->answer(may_be_lost => 1);
# Its client may see that it is gone before the server does.
$node->wait_for_log(qr/all server processes terminated; reinitializing/);
$node->poll_query_until('postgres', 'SELECT true') or die "the server does not come back\n";
$cells->connect($node, 'school');
settles('after a crash likewise', $all);
$node->safe_psql('school', q{ROLLBACK PREPARED 'first'});
settles('and rolled back', '');
is(marked(), '0|0', 'nothing is left');

# One that has written no table, in a database that nothing names.
$session = WhiteCross::Session->new($node, 'school');
$session->ask(q{BEGIN; REVOKE EXECUTE ON FUNCTION pure() FROM PUBLIC; PREPARE TRANSACTION 'first';});
undef $session;
$node->restart;
$cells->connect($node, 'school');
like($cells->moved(sub { $cells->ask('SELECT cells.cells_usable();') }), qr/^a b (?:everything!|everything names! rules!) /, 'a change of the catalogue alone');
$node->safe_psql('school', q{COMMIT PREPARED 'first'});
$cells->ask('SELECT cells.cells_usable();');
is(marked(), '0|0', 'is settled');

# ---- A standby: nothing there can be relied on, until it is a primary.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$session = WhiteCross::Session->new($node, 'school');
$session->ask($prepare);
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$cells->connect($standby, 'school');
is($cells->ask('SELECT cells.cells_usable(), cells.cells_marked();'), 'f|0', 'a standby knows nothing of what it replays');
undef $session;
$node->stop;
$standby->promote;
is($cells->ask('SELECT pg_is_in_recovery();'), 'f', 'promoted');
is($cells->moved(sub { is($cells->ask('SELECT cells.cells_usable();'), 't', 'a session of before goes on') }), $all, 'everything moves, what is prepared is marked');
$standby->safe_psql('school', q{COMMIT PREPARED 'first'});
settles('and settled', 'a names rules shared names shared rules');
is(marked(), '0|0', 'nothing is left');
$standby->stop;

done_testing();

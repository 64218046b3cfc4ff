# The generations of the result cache: whatever way a table is written, its cell moves, and nobody else's; what is rolled back moves
# none; what changes the catalogue moves the cells of what it changes. Looked at in the server's memory, by test/modules/cells.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cells;
use WhiteCross::Session;
use WhiteCross::Test;

# Who asks for synchronous_commit waits for a standby that never comes: from the start, since it is the checkpointer that makes commits
# wait where the setting changes, in its own time.
my $node = new_node('generations', allows_streaming => 1, conf => <<'CONF');
fsync = off
restart_after_crash = on
autovacuum = off
synchronous_standby_names = 'nobody'
synchronous_commit = local
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
CONF
$node->safe_psql('postgres', 'CREATE DATABASE school');
my $cells = WhiteCross::Cells->new($node, 'school');
$node->safe_psql('school', <<'SQL');
CREATE TABLE a (id int PRIMARY KEY, v int);
CREATE TABLE untouched (id int PRIMARY KEY, v int);
CREATE TABLE wide (id int, t text);
ALTER TABLE wide ALTER t SET STORAGE EXTERNAL;
CREATE UNLOGGED TABLE unlogged (id int);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchild (id int PRIMARY KEY, child int REFERENCES child ON DELETE SET NULL);
CREATE TABLE source (id int);
CREATE TABLE target (id int);
CREATE FUNCTION copy_to_target() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO target VALUES (NEW.id); RETURN NULL; END';
CREATE TRIGGER copy AFTER INSERT ON source FOR EACH ROW EXECUTE FUNCTION copy_to_target();
CREATE TABLE late (id int);
CREATE TABLE late_target (id int);
CREATE FUNCTION copy_late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO late_target VALUES (NEW.id); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER copy AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION copy_late();
CREATE TABLE part (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE part_3 (id int, v int);
CREATE TABLE base (id int);
CREATE TABLE heir () INHERITS (base);
CREATE VIEW looked AS SELECT * FROM a;
CREATE RULE put AS ON INSERT TO looked DO INSTEAD INSERT INTO target VALUES (NEW.id);
CREATE MATERIALIZED VIEW kept AS SELECT id, v FROM a;
CREATE UNIQUE INDEX ON kept (id);
CREATE FUNCTION write_a() RETURNS int LANGUAGE sql AS 'INSERT INTO a VALUES (1000, 0) ON CONFLICT (id) DO UPDATE SET v = a.v + 1 RETURNING v';
CREATE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE PROCEDURE two_transactions() LANGUAGE plpgsql AS 'BEGIN UPDATE a SET v = v; COMMIT; UPDATE wide SET id = id; ROLLBACK; END';
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TYPE pair AS (x int, y int);
CREATE SEQUENCE numbers;
CREATE ROLE teacher;
INSERT INTO a SELECT n, n FROM generate_series(1, 20) AS n;
INSERT INTO part SELECT n, n FROM generate_series(0, 19) AS n;
INSERT INTO parent SELECT generate_series(1, 20);
INSERT INTO child SELECT n, n FROM generate_series(1, 20) AS n;
INSERT INTO grandchild SELECT n, n FROM generate_series(1, 20) AS n;
INSERT INTO base VALUES (1);
INSERT INTO heir VALUES (2);
INSERT INTO wide VALUES (1, 'x');
VACUUM ANALYZE;
SQL

my $session = WhiteCross::Session->new($node, 'school');
is($cells->ask('SELECT cells.cells_usable();'), 't', 'generations can be relied on');

sub moves {
    my ($name, $sql, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($cells->moved(sub { $session->ask($sql) }), $expected, $name);
}

# ---- Rows.
moves('reading moves nothing',       'SELECT count(*) FROM a JOIN part USING (id);', '');
moves('nor does locking rows',       'BEGIN; SELECT * FROM a FOR UPDATE; COMMIT;', '');
moves('INSERT',                      'INSERT INTO a VALUES (100, 1);', 'a');
moves('UPDATE',                      'UPDATE a SET v = v + 1 WHERE id = 100;', 'a');
moves('UPDATE of no row',            'BEGIN; UPDATE untouched SET v = 1 WHERE id = -1; COMMIT;', '');
moves('DELETE',                      'DELETE FROM a WHERE id = 100;', 'a');
moves('an unlogged table',           'INSERT INTO unlogged VALUES (1);', 'unlogged');
moves('a value kept out of line',    q{UPDATE wide SET t = repeat('x', 100000);}, 'wide');
moves('COPY',                        "COPY a FROM stdin;\n101\t1\n\\.\n", 'a');
moves('MERGE',                       'MERGE INTO a USING (VALUES (101)) AS s (id) ON a.id = s.id WHEN MATCHED THEN DELETE;', 'a');
moves('a CTE that writes',           'WITH moved AS (DELETE FROM base WHERE id < 0 RETURNING id), put AS (INSERT INTO target VALUES (7)) SELECT count(*) FROM moved;', 'base heir target');
moves('a function in a SELECT',      'SELECT write_a();', 'a');
moves('DO',                          'DO $$ BEGIN UPDATE a SET v = v WHERE id = 1; END $$;', 'a');
moves('EXECUTE',                     'PREPARE p AS UPDATE a SET v = v WHERE id = $1; EXECUTE p (1); DEALLOCATE p;', 'a');
moves('a cursor',                    'BEGIN; DECLARE c CURSOR FOR SELECT * FROM a FOR UPDATE; FETCH c; UPDATE a SET v = v WHERE CURRENT OF c; COMMIT;', 'a');
moves('a rule',                      'INSERT INTO looked VALUES (7, 7);', 'looked target');
moves('a trigger',                   'INSERT INTO source VALUES (1);', 'source target');
moves('a deferred trigger',          'INSERT INTO late VALUES (1);', 'late late_target');
moves('ON DELETE CASCADE, SET NULL', 'DELETE FROM parent WHERE id = 1;', 'child grandchild parent');
moves('ON UPDATE CASCADE',           'UPDATE parent SET id = 102 WHERE id = 2;', 'child parent');
moves('replication role replica',    'BEGIN; SET LOCAL session_replication_role = replica; INSERT INTO source VALUES (2); COMMIT;', 'source');
moves('a partition',                 'UPDATE part_1 SET v = v WHERE id = 1;', 'part_1');
moves('through the parent',          'INSERT INTO part VALUES (3, 3);', 'part part_1');
moves('from one to the other',       'UPDATE part SET id = 13 WHERE id = 3;', 'part part_1 part_2');
moves('an heir',                     'INSERT INTO heir VALUES (3);', 'heir');
moves('several tables',              'BEGIN; UPDATE a SET v = v; INSERT INTO target VALUES (1); UPDATE wide SET id = id; COMMIT;', 'a target wide');
moves('COMMIT in a procedure',       'CALL two_transactions();', 'a');
moves('COMMIT AND CHAIN',            'BEGIN; UPDATE a SET v = v; COMMIT AND CHAIN; UPDATE wide SET id = id; COMMIT;', 'a wide');
moves('a large object',              q{SELECT 1 FROM (SELECT lo_from_bytea(0, 'x')) AS made;}, '');
moves('a sequence',                  q{SELECT 1 FROM (SELECT nextval('numbers')) AS next;}, '');
moves('hundreds of locks',           'DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format($f$CREATE TABLE IF NOT EXISTS many.t_%s (id int)$f$, n); END LOOP; END $$;', 'everything names')
  if $node->safe_psql('school', 'CREATE SCHEMA many') eq '';
moves('more than sixteen, which spill into the shared table', 'BEGIN; ' . join('', map { "INSERT INTO many.t_$_ VALUES (1); " } 1 .. 40) . 'UPDATE a SET v = v; COMMIT;', 'a');

# A lock of ours that another session's strong lock moves from our own slots to the table that all share.
my $other = WhiteCross::Session->new($node, 'school');
$session->ask('BEGIN; UPDATE a SET v = v;');
$other->send('BEGIN; LOCK TABLE a IN SHARE MODE; COMMIT;');
$node->poll_query_until('school', q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'a'::regclass AND NOT granted});
is($node->safe_psql('school', q{SELECT fastpath FROM pg_locks WHERE relation = 'a'::regclass AND mode = 'RowExclusiveLock'}), 'f', 'a lock is in the shared table');
moves('and is seen there', 'COMMIT;', 'a');
$other->answer;

# ---- What does not happen.
moves('ROLLBACK',              'BEGIN; UPDATE a SET v = v; ROLLBACK;', '');
moves('a savepoint',           'BEGIN; SAVEPOINT s; UPDATE a SET v = v; ROLLBACK TO s; UPDATE wide SET id = id; COMMIT;', 'wide');
moves('a savepoint kept',      'BEGIN; SAVEPOINT s; UPDATE a SET v = v; RELEASE s; COMMIT;', 'a');
moves('an EXCEPTION block',    'DO $$ BEGIN BEGIN UPDATE a SET v = 1 / (id - id); EXCEPTION WHEN division_by_zero THEN NULL; END; UPDATE wide SET id = id; END $$;', 'wide');
is($cells->moved(sub { $session->send('BEGIN; UPDATE a SET v = v; SELECT 1 / 0; COMMIT;'); $session->answer }), '', 'an error');
is($cells->moved(sub { $session->send('BEGIN; INSERT INTO a VALUES (200, 1); ALTER TABLE child ADD CHECK (id > 0); SELECT 1 / 0; COMMIT;'); $session->answer }), '', 'an error after DDL');
$node->safe_psql('school', <<'SQL');
CREATE TABLE late_check (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO late_check VALUES (1);
SQL
is($cells->moved(sub { $session->send('INSERT INTO late_check VALUES (1);'); $session->answer }), '', 'an error at COMMIT');

# Two serializable transactions of which the second can't commit: it finds out when it has been asked to.
$other->ask('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM wide;');
$session->ask('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM a; INSERT INTO wide (id) VALUES (300);');
$other->ask('INSERT INTO a VALUES (300, 1); COMMIT;');
is($cells->moved(sub { $session->send('COMMIT;'); is(join(' ', map { WhiteCross::Session::error($_) } $session->answer), '40001', 'a serialization failure at COMMIT') }), '', 'moves nothing');
is($cells->ask('SELECT cells.cells_marked();'), '0', 'nothing is left marked of what failed');

# ---- The catalogue.
moves('TRUNCATE',                      'TRUNCATE target;', 'names target');
moves('TRUNCATE of what was made in the transaction', 'BEGIN; CREATE TABLE fresh (id int); INSERT INTO fresh VALUES (1); TRUNCATE fresh; COMMIT;', 'fresh names');
moves('CREATE TABLE AS',               'CREATE TABLE made AS SELECT * FROM a;', 'made names');
moves('DROP TABLE',                    'DROP TABLE made;', 'made names');
moves('ADD COLUMN',                    'ALTER TABLE wide ADD more int DEFAULT 5;', 'names wide');
moves('a rename',                      'ALTER TABLE untouched RENAME v TO w;', 'names untouched');
moves('and back',                      'ALTER TABLE untouched RENAME w TO v;', 'names untouched');
moves('CREATE INDEX',                  'CREATE INDEX wide_id ON wide (id);', 'names wide');
moves('CREATE INDEX CONCURRENTLY',     'CREATE INDEX CONCURRENTLY wide_more ON wide (more);', 'names wide');
moves('CLUSTER',                       'CLUSTER wide USING wide_id;', 'names wide');
moves('VACUUM FULL',                   'VACUUM FULL target;', 'names target');
moves('ATTACH PARTITION',              'ALTER TABLE part ATTACH PARTITION part_3 FOR VALUES FROM (20) TO (30);', 'names part part_3');
moves('DETACH PARTITION',              'ALTER TABLE part DETACH PARTITION part_3;', 'names part part_3');
moves('ATTACH again',                  'ALTER TABLE part ATTACH PARTITION part_3 FOR VALUES FROM (20) TO (30);', 'names part part_3');
moves('DETACH PARTITION CONCURRENTLY', 'ALTER TABLE part DETACH PARTITION part_3 CONCURRENTLY;', 'names part part_3');
moves('a new partition',               'CREATE TABLE part_4 PARTITION OF part FOR VALUES FROM (30) TO (40);', 'names part part_4');
moves('a new heir',                    'CREATE TABLE second_heir () INHERITS (base);', 'base names second_heir');
moves('an heir no more',               'ALTER TABLE second_heir NO INHERIT base;', 'names second_heir');
moves('row security',                  'ALTER TABLE a ENABLE ROW LEVEL SECURITY;', 'a names');
moves('a policy',                      'CREATE POLICY own ON a USING (true);', 'a');
moves('and off',                       'DROP POLICY own ON a; ALTER TABLE a DISABLE ROW LEVEL SECURITY;', 'a names');
moves('a view redefined',              'CREATE OR REPLACE VIEW looked AS SELECT * FROM a WHERE id > 0;', 'looked names');
moves('REFRESH',                       'REFRESH MATERIALIZED VIEW kept;', 'kept names');
moves('REFRESH CONCURRENTLY of what is the same', 'UPDATE a SET v = v; REFRESH MATERIALIZED VIEW CONCURRENTLY kept;', 'a kept names');
moves('a function redefined',          q{CREATE OR REPLACE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';}, 'names rules');
moves('an enum',                       q{ALTER TYPE mood RENAME VALUE 'cross' TO 'angry';}, 'names rules');
moves('a composite type',              'ALTER TYPE pair ADD ATTRIBUTE z int;', 'names pair');
moves('an operator',                   'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);', 'names rules');
moves('a cast',                        'CREATE FUNCTION to_mood(int) RETURNS mood LANGUAGE sql IMMUTABLE AS $$SELECT mood \'calm\'$$;' =~ s/\\'/'/gr . ' CREATE CAST (int AS mood) WITH FUNCTION to_mood(int);', 'names rules');
moves('a text search configuration',   'CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple); ALTER TEXT SEARCH CONFIGURATION plain DROP MAPPING FOR word;', 'names rules');
moves('a schema',                      'CREATE SCHEMA tenant;', 'names');
moves('GRANT',                         'GRANT SELECT ON a TO teacher;', 'a names');
moves('REVOKE of a function',          'REVOKE EXECUTE ON FUNCTION pure FROM PUBLIC;', 'names rules');
moves('a role',                        'CREATE ROLE pupil;', 'shared names');
moves('a database',                    'ALTER DATABASE postgres ALLOW_CONNECTIONS true;', 'shared names');
moves('a membership',                  'GRANT pupil TO teacher;', 'shared names');
moves('a role dropped',                'DROP ROLE pupil;', 'shared names');
moves('ANALYZE',                       'ANALYZE a;', 'a names');
moves('extended statistics',           'CREATE STATISTICS a_ids ON id, v FROM a;', 'a');
moves('a comment',                     q{COMMENT ON TABLE a IS 'x';}, '');
moves('a temporary table',             'CREATE TEMPORARY TABLE here (id int) ON COMMIT DROP; SELECT 1;', 'names');
moves('what is written to one',        'CREATE TEMPORARY TABLE stays (id int);', 'names');
moves('row by row',                    'INSERT INTO stays VALUES (1);', '');
moves('a catalogue changed by hand',   q{BEGIN; UPDATE pg_inherits SET inhseqno = inhseqno; COMMIT;}, 'names rules');

# ---- A transaction's own.
like($session->ask(q{BEGIN; SELECT 1 FROM a LIMIT 1; SELECT cells.cells_wrote('a'::regclass); UPDATE a SET v = v; SELECT cells.cells_wrote('a'::regclass), cells.cells_wrote('wide'::regclass); ROLLBACK;}),
    qr/\nf\nUPDATE \d+\nt\|f\nROLLBACK$/, 'a transaction knows what it has written');

# ---- Marks, and what may be stored: while a transaction is on its way to be visible, and of one that began before.
my $oids = q{(SELECT oid FROM pg_database WHERE datname = 'school'), 'a'::regclass};
my $since = $cells->ask('SELECT cells.cells_moment();');
is($cells->ask("SELECT cells.cell_storable('table', $oids, $since);"), 't', 'a result may be stored');
$session->ask('UPDATE a SET v = v;');
is($cells->ask("SELECT cells.cell_storable('table', $oids, $since), cells.cell_storable('table', $oids, cells.cells_moment());"), 'f|t', 'not one that was begun before the write');
is($cells->ask('SELECT cells.cells_marked();'), '0', 'nothing is left marked');

# A standby that must confirm each commit is not there: the commit waits, written and not yet visible.
sub waits_for_standby {
    my ($waiting) = @_;
    $node->poll_query_until('school', q{SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = } . $waiting->process) or die "it does not wait\n";
    return;
}
$session->ask('SET synchronous_commit = on;');
my $generation = $cells->ask("SELECT cells.cell_state('table', $oids);");
$session->send('UPDATE a SET v = -1;');
waits_for_standby($session);
is($cells->ask("SELECT cells.cell_state('table', $oids), cells.cell_storable('table', $oids, cells.cells_moment()), (SELECT count(*) FROM a WHERE v = -1);"),
    $generation =~ s/ 0$/ 1/r . '|f|0', 'a commit that waits has its table marked: nobody sees it, nothing is stored');
$node->safe_psql('school', 'SELECT pg_cancel_backend(' . $session->process . ')');
$session->answer;
$session->ask('RESET synchronous_commit;');
like($cells->ask("SELECT cells.cell_state('table', $oids), (SELECT count(*) > 0 FROM a WHERE v = -1);"), qr/^(?!\Q$generation\E)\d+ 0\|t$/, 'when it is visible the cell has moved');
# Another session, for this one has a temporary table, which it removes in a transaction of its own when it ends.
my $terminated = WhiteCross::Session->new($node, 'school');
$terminated->ask('SET synchronous_commit = on;');
$terminated->send('UPDATE a SET v = -2;');
waits_for_standby($terminated);
$generation = $cells->ask("SELECT cells.cell_state('table', $oids);");
$node->safe_psql('school', 'SELECT pg_terminate_backend(' . $terminated->process . ')');
$terminated->answer(may_be_lost => 1);
$node->poll_query_until('school', q{SELECT count(*) > 0 FROM a WHERE v = -2});
$node->poll_query_until('school', 'SELECT cells.cells_marked() = 0');
isnt($cells->ask("SELECT cells.cell_state('table', $oids);"), $generation, 'terminated there: moved all the same');

# ---- A server that crashes begins anew, and nothing stays marked.
$session->ask('BEGIN; UPDATE a SET v = v;');
kill 'KILL', $session->process;
$session->send('SELECT 1;');
$session->answer(may_be_lost => 1);
# Its client may see that it is gone before the server does.
$node->wait_for_log(qr/all server processes terminated; reinitializing/);
$node->poll_query_until('postgres', 'SELECT true', 't') or die "the server does not come back\n";
$cells->connect($node, 'school');
is($cells->ask('SELECT cells.cells_usable(), cells.cells_marked(), cells.cells_held();'), 't|0|0', 'after a crash nothing is marked');

$node->stop;
done_testing();

# The result cache and writes: whatever writes a table, the next to ask gets the new rows; what is rolled back, and what is written
# elsewhere, throws nothing away.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('writes', conf => "autovacuum = off\nwhitecross.monitor_interval = 3600\nwhitecross.health_interval = 0\nmax_locks_per_transaction = 128\n");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE TABLE bystander (id int);
INSERT INTO bystander VALUES (7);
CREATE TABLE plain (id int PRIMARY KEY, v int);
INSERT INTO plain VALUES (1, 10), (2, 20), (3, 30);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE orphan (id int PRIMARY KEY, parent int DEFAULT 1 REFERENCES parent ON DELETE SET NULL);
CREATE TABLE grandchild (id int, child int REFERENCES child ON DELETE CASCADE);
INSERT INTO parent SELECT generate_series(1, 9);
INSERT INTO child SELECT i, i FROM generate_series(1, 9) AS i;
INSERT INTO orphan SELECT i, i FROM generate_series(1, 9) AS i;
INSERT INTO grandchild SELECT i, i FROM generate_series(1, 9) AS i;
CREATE TABLE source (id int);
CREATE TABLE audited (id int);
CREATE TABLE late (id int);
CREATE TABLE ruled (id int);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audited VALUES (1); RETURN NULL; END';
CREATE FUNCTION audit_late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO late VALUES (1); RETURN NULL; END';
CREATE TRIGGER audit AFTER INSERT ON source FOR EACH ROW EXECUTE FUNCTION audit();
CREATE CONSTRAINT TRIGGER audit_late AFTER INSERT ON source DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_late();
CREATE RULE also AS ON INSERT TO source DO ALSO INSERT INTO ruled VALUES (new.id);
CREATE TABLE parts (id int, k int) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY LIST (k);
CREATE TABLE parts_2_10 PARTITION OF parts_2 FOR VALUES IN (10);
CREATE TABLE parts_2_rest PARTITION OF parts_2 DEFAULT;
INSERT INTO parts SELECT k, k FROM generate_series(0, 19) AS k;
CREATE TABLE attached (id int, k int);
INSERT INTO attached VALUES (100, 20);
CREATE TABLE heir_of (id int);
CREATE TABLE heir () INHERITS (heir_of);
INSERT INTO heir VALUES (1);
CREATE TABLE late_heir (id int);
INSERT INTO late_heir VALUES (50);
CREATE MATERIALIZED VIEW copied AS SELECT id, v FROM plain;
CREATE UNIQUE INDEX ON copied (id);
CREATE VIEW writable AS SELECT id, v FROM plain;
CREATE VIEW instead AS SELECT id, v FROM plain;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE plain SET v = new.v WHERE id = old.id; RETURN new; END';
CREATE TRIGGER instead INSTEAD OF UPDATE ON instead FOR EACH ROW EXECUTE FUNCTION instead();
CREATE FUNCTION bump() RETURNS int LANGUAGE plpgsql AS 'BEGIN UPDATE plain SET v = v + 1; RETURN 1; END';
CREATE FUNCTION bump_quietly() RETURNS int LANGUAGE plpgsql SECURITY DEFINER STABLE AS 'BEGIN RETURN bump(); END';
CREATE PROCEDURE bump_twice() LANGUAGE plpgsql AS 'BEGIN UPDATE plain SET v = v + 1 WHERE id = 1; COMMIT; UPDATE plain SET v = v + 1 WHERE id = 2; COMMIT; UPDATE plain SET v = 0; ROLLBACK; END';
CREATE PROCEDURE caught() LANGUAGE plpgsql AS 'BEGIN BEGIN UPDATE plain SET v = 0; RAISE EXCEPTION ''no''; EXCEPTION WHEN raise_exception THEN NULL; END; END';
CREATE TABLE wide (id int, note text);
INSERT INTO wide VALUES (1, repeat('x', 100000));
CREATE TABLE many (id int) PARTITION BY LIST (id);
SELECT format('CREATE TABLE many_%s PARTITION OF many FOR VALUES IN (%s)', i, i) FROM generate_series(1, 300) AS i \gexec
CREATE TABLE some_1 (id int);
SELECT format('CREATE TABLE some_%s (id int)', i) FROM generate_series(2, 40) AS i \gexec
SQL

my $cache = WhiteCross::Cache->new($node, 'postgres', bystander => 'SELECT id FROM bystander');
my $s     = $cache->session;
sub changes { my ($name, $query, $event, @more) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return $cache->changes($name, $s, $query, $event, @more) }
sub keeps { my ($name, $query, $event, @more) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return $cache->keeps($name, $s, $query, $event, @more) }

my $plain = 'SELECT id, v FROM plain ORDER BY id';

# ---- Statements.
changes('INSERT',                $plain, 'INSERT INTO plain VALUES (4, 40)');
changes('UPDATE',                $plain, 'UPDATE plain SET v = v + 1 WHERE id = 2');
changes('DELETE',                $plain, 'DELETE FROM plain WHERE id = 4');
changes('INSERT ON CONFLICT',    $plain, 'INSERT INTO plain VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET v = plain.v + excluded.v');
changes('MERGE',                 $plain, 'MERGE INTO plain USING (VALUES (1, 3), (9, 9)) AS n (id, v) ON n.id = plain.id WHEN MATCHED THEN UPDATE SET v = plain.v + n.v WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.v)');
changes('data-modifying CTE',    $plain, 'WITH w AS (UPDATE plain SET v = v + 1 RETURNING 1) SELECT 1');
changes('COPY',                  $plain, qq{COPY plain FROM PROGRAM 'printf "20\\t1\\n"'});
changes('COPY FROM STDIN',       $plain, sub { $node->safe_psql('postgres', "COPY plain FROM STDIN;\n21\t1\n\\.\n") });
changes('DO',                    $plain, 'DO $$BEGIN UPDATE plain SET v = v + 1; END$$');
changes('DO, EXECUTE',           $plain, q{DO $$BEGIN EXECUTE 'UPDATE plain SET v = v + $1' USING 1; END$$});
changes('a function that writes', $plain, 'SELECT bump()');
changes('a function that writes, in a DEFAULT', $plain, 'CREATE TEMP TABLE d (i int DEFAULT bump()); INSERT INTO d DEFAULT VALUES; DROP TABLE d');
changes('an EXECUTEd statement', $plain, 'PREPARE p AS UPDATE plain SET v = v + 1; EXECUTE p; DEALLOCATE p');
changes('EXPLAIN ANALYZE',       $plain, 'EXPLAIN ANALYZE UPDATE plain SET v = v + 1');
changes('a writable view',       $plain, 'UPDATE writable SET v = v + 1');
changes('INSTEAD OF trigger',    $plain, 'UPDATE instead SET v = v + 1');
changes('read through a view',   'SELECT * FROM writable ORDER BY id', 'UPDATE plain SET v = v + 1');
changes('a procedure that commits', $plain, 'CALL bump_twice()');
changes('WHERE CURRENT OF',      $plain, 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM plain WHERE id = 1 FOR UPDATE; FETCH c; UPDATE plain SET v = v + 1 WHERE CURRENT OF c; COMMIT');
changes('a value kept outside the row', 'SELECT md5(note) AS m FROM wide', q{UPDATE wide SET note = repeat('y', 100000)});
changes('a chain of transactions', $plain, 'BEGIN; UPDATE plain SET v = v + 1; COMMIT AND CHAIN; SELECT 1; COMMIT');
changes('several statements in one message', $plain, sub { $node->safe_psql('postgres', 'UPDATE plain SET v = v + 1\; SELECT 1\; SELECT 2') });
changes('a writer that is READ COMMITTED no more', $plain, 'BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE plain SET v = v + 1; COMMIT');
changes('TRUNCATE', 'SELECT id FROM wide', 'TRUNCATE wide');
changes('INSERT after TRUNCATE', 'SELECT id FROM wide', q{INSERT INTO wide VALUES (3, 'z')});
changes('TRUNCATE with CASCADE', 'SELECT count(*) AS n FROM grandchild', 'BEGIN; TRUNCATE parent CASCADE; INSERT INTO parent SELECT generate_series(1, 9); INSERT INTO child SELECT i, i FROM generate_series(1, 9) AS i; INSERT INTO orphan SELECT i, i FROM generate_series(1, 9) AS i; INSERT INTO grandchild SELECT i, i FROM generate_series(1, 8) AS i; COMMIT');
changes('of no rows', 'SELECT id FROM plain WHERE id = 77', 'INSERT INTO plain VALUES (77, 1)');

# ---- What a write makes others write.
changes('ON DELETE CASCADE',           'SELECT id FROM child ORDER BY id',            'DELETE FROM parent WHERE id = 1');
changes('ON DELETE CASCADE, twice',    'SELECT id, child FROM grandchild ORDER BY id', 'DELETE FROM parent WHERE id = 2');
changes('ON DELETE SET NULL',          'SELECT id, parent FROM orphan ORDER BY id',   'DELETE FROM parent WHERE id = 3');
changes('ON UPDATE CASCADE',           'SELECT id, parent FROM child ORDER BY id',    'DELETE FROM orphan WHERE parent = 4; UPDATE parent SET id = 40 WHERE id = 4');
changes('a trigger',                   'SELECT count(*) AS n FROM audited',           'INSERT INTO source VALUES (1)');
changes('a deferred trigger',          'SELECT count(*) AS n FROM late',              'INSERT INTO source VALUES (1)');
changes('a rule',                      'SELECT count(*) AS n FROM ruled',             'INSERT INTO source VALUES (1)');
changes('session_replication_role = replica', $plain, 'SET session_replication_role = replica; UPDATE plain SET v = v + 1; RESET session_replication_role');
changes('the trigger that fires for replicas', 'SELECT count(*) AS n FROM audited',
    'ALTER TABLE source ENABLE ALWAYS TRIGGER audit; SET session_replication_role = replica; INSERT INTO source VALUES (1); RESET session_replication_role');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION note_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audited VALUES (2); END';
CREATE EVENT TRIGGER note_ddl ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION note_ddl();
SQL
changes('an event trigger', 'SELECT count(*) AS n FROM audited', q{COMMENT ON TABLE source IS 'x'});
keeps('a statement that finds nothing to do, elsewhere', $plain, 'DELETE FROM source WHERE id = -1');

# ---- Partitions and heirs.
my $parts = 'SELECT id, k FROM parts ORDER BY k, id';
changes('a partition, read through its parent',     $parts, 'UPDATE parts_1 SET id = id + 1 WHERE k = 1');
changes('a partition of a partition',               $parts, 'UPDATE parts_2_10 SET id = id + 1');
changes('through the parent, read as a partition',  'SELECT id FROM parts_1 ORDER BY k', 'UPDATE parts SET id = id + 1 WHERE k = 2');
changes('a row that moves to another partition',    'SELECT id FROM parts_2_10 ORDER BY id', 'UPDATE parts SET k = 10 WHERE k = 3');
changes('the one it leaves',                        'SELECT id FROM parts_1 ORDER BY id',  'UPDATE parts SET k = 10 WHERE k = 4');
changes('COPY to the parent',                       $parts, qq{COPY parts FROM PROGRAM 'printf "200\\t5\\n"'});
changes('TRUNCATE of a partition',                  $parts, 'TRUNCATE parts_2_10');
keeps('another partition than the one that is read', 'SELECT id FROM parts WHERE k < 10 ORDER BY k, id', 'UPDATE parts_2_rest SET id = id + 1');
changes('the one that is read',                     'SELECT id FROM parts WHERE k < 10 ORDER BY k, id', 'UPDATE parts_1 SET id = id + 1');
changes('ATTACH PARTITION',                         $parts, 'ALTER TABLE parts ATTACH PARTITION attached FOR VALUES FROM (20) TO (30)');
changes('a write to it',                            $parts, 'UPDATE attached SET id = id + 1');
changes('DETACH PARTITION',                         $parts, 'ALTER TABLE parts DETACH PARTITION attached');
keeps('a write to it, then',                        $parts, 'UPDATE attached SET id = id + 1');
changes('ATTACH PARTITION, one that was pruned away', 'SELECT id FROM parts WHERE k = 20', 'ALTER TABLE parts ATTACH PARTITION attached FOR VALUES FROM (20) TO (30)');
changes('DETACH PARTITION CONCURRENTLY',            $parts, 'ALTER TABLE parts DETACH PARTITION attached CONCURRENTLY');
changes('a new partition with rows',                $parts, 'BEGIN; CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (30) TO (40); INSERT INTO parts_3 VALUES (1, 30); COMMIT');
changes('a partition dropped',                      $parts, 'DROP TABLE parts_3');
changes('a default partition',                      $parts, 'CREATE TABLE parts_default PARTITION OF parts DEFAULT; INSERT INTO parts VALUES (1, 99)');
my $heirs = 'SELECT id FROM heir_of ORDER BY id';
changes('an heir',                $heirs, 'INSERT INTO heir VALUES (2)');
changes('a table becomes an heir', $heirs, 'ALTER TABLE late_heir INHERIT heir_of');
changes('a write to it',          $heirs, 'UPDATE late_heir SET id = id + 1');
changes('it is one no more',      $heirs, 'ALTER TABLE late_heir NO INHERIT heir_of');
changes('a new heir of an heir',  $heirs, 'BEGIN; CREATE TABLE heirs_heir () INHERITS (heir); INSERT INTO heirs_heir VALUES (9); COMMIT');
keeps('an heir of a table that is read alone', 'SELECT id FROM ONLY heir_of', 'INSERT INTO heir VALUES (3)');
# A session's own temporary heir is seen by that session alone.
{
    my ($one, $other) = map { $cache->session } 1 .. 2;
    $one->ask('CREATE TEMP TABLE mine () INHERITS (heir_of); INSERT INTO mine VALUES (1000);');
    $cache->ask($other, $heirs);
    $cache->expect('a session without a temporary heir', $other, $heirs, 'hit');
    $cache->refuses('one with a temporary heir', $one, $heirs, 'temporary_table');
    $cache->expect('the other still', $other, $heirs, 'hit');
    $one->ask('INSERT INTO mine VALUES (1001);');
    $cache->refuses('a row more in it', $one, $heirs, 'temporary_table');
    $one->ask('DROP TABLE mine;');
    $cache->ask($other, $heirs);
    $cache->expect('dropped', $one, $heirs, 'hit');
    $one->ask('CREATE TEMP TABLE deep () INHERITS (heir); INSERT INTO deep VALUES (2000);');
    $cache->ask($other, $heirs);
    $cache->expect('a temporary heir of an heir', $one, $heirs, 'refused: temporary_table');
    $cache->expect('for nobody else', $other, $heirs, 'hit');
}

# ---- Many tables.
changes('a transaction that writes 40 tables', 'SELECT count(*) AS n FROM some_40', 'DO $$BEGIN FOR i IN 1..40 LOOP EXECUTE format(\'INSERT INTO some_%s VALUES (1)\', i); END LOOP; END$$');
changes('the first of them',                   'SELECT count(*) AS n FROM some_1',  'DO $$BEGIN FOR i IN 1..40 LOOP EXECUTE format(\'INSERT INTO some_%s VALUES (1)\', i); END LOOP; END$$');
changes('a transaction that writes 300 tables', 'SELECT count(*) AS n FROM many_300', 'INSERT INTO many SELECT generate_series(1, 300)', wide => 1);
changes('read through their parent',            'SELECT count(*) AS n FROM many',     'INSERT INTO many VALUES (222)');

# ---- Materialized views.
my $copied = 'SELECT id, v FROM copied ORDER BY id';
changes('REFRESH MATERIALIZED VIEW', $copied, 'UPDATE plain SET v = v + 1; REFRESH MATERIALIZED VIEW copied');
changes('REFRESH MATERIALIZED VIEW CONCURRENTLY', $copied, 'UPDATE plain SET v = v + 1; REFRESH MATERIALIZED VIEW CONCURRENTLY copied');
keeps('a write to its table', $copied, 'UPDATE plain SET v = v + 1');

# Our own, by keys: rows of the view are written below the executor.
{
    make_database($node, 'district', 'reference', students => 20);
    my $district = WhiteCross::Cache->new($node, 'district', bystander => 'SELECT count(*) AS n FROM mv_appointment_statistics');
    my $d = $district->session;
    $d->ask('SELECT wc_refresh_all(workers => 0);');
    my $summary = 'SELECT * FROM mv_student_health_summary ORDER BY 1';
    $district->changes('an incremental refresh', $d, $summary, sub {
        $node->safe_psql('district', q{UPDATE students SET "lastName" = 'Zimmer' WHERE id = (SELECT min(id::text)::uuid FROM students)});
        $district->expect('before it the view is as it was', $d, $summary, 'hit');
        is($node->safe_psql('district', q{SELECT mode FROM wc_refresh('mv_student_health_summary')}), 'incremental', 'by keys');
    });
    $district->changes('one by a worker', $d, $summary, sub {
        $node->safe_psql('district', q{UPDATE students SET "lastName" = 'Zeller' WHERE id = (SELECT min(id::text)::uuid FROM students)});
        is($node->safe_psql('district', q{SELECT string_agg(DISTINCT status, ',') FROM wc_refresh_all()}), 'refreshed', 'of all views');
    }, wide => 1);
    $_->quit for $d, $district->{reader};
}

# ---- Tables moved to other files, with the rows they had.
for my $event ('CLUSTER plain USING plain_pkey', 'VACUUM FULL plain', 'ALTER TABLE plain SET UNLOGGED', 'ALTER TABLE plain SET LOGGED', 'REINDEX TABLE plain', 'ANALYZE plain', 'VACUUM (FREEZE) plain') {
    $cache->ask($s, $plain);
    $cache->happen($event);
    $cache->expect($event, $s, $plain, qr/hit|stored/);
    $cache->expect("$event: is in the cache", $s, $plain, 'hit');
}

# ---- What is undone.
keeps('ROLLBACK',                       $plain, 'BEGIN; UPDATE plain SET v = 0; ROLLBACK');
keeps('ROLLBACK TO SAVEPOINT',          $plain, 'BEGIN; SAVEPOINT s; UPDATE plain SET v = 0; ROLLBACK TO s; COMMIT');
keeps('ROLLBACK TO SAVEPOINT, with a write elsewhere', $plain, 'BEGIN; INSERT INTO source VALUES (3); SAVEPOINT s; UPDATE plain SET v = 0; ROLLBACK TO s; COMMIT');
keeps('an exception that is caught',    $plain, 'CALL caught()');
keeps('an error',                       $plain, sub { try_sql($node, 'postgres', 'UPDATE plain SET v = 1 / (v - v)') });
keeps('a temporary table of another session', $plain, 'CREATE TEMP TABLE t (i int PRIMARY KEY, n text DEFAULT 1); INSERT INTO t VALUES (1); DROP TABLE t');
changes('a savepoint that stays, one that is undone', $plain, 'BEGIN; SAVEPOINT a; UPDATE plain SET v = v + 1; SAVEPOINT b; DELETE FROM plain; ROLLBACK TO b; RELEASE a; COMMIT');
keeps('TRUNCATE rolled back',           $plain, 'BEGIN; TRUNCATE plain; ROLLBACK');
keeps('row locks',                      $plain, 'SELECT * FROM plain FOR UPDATE');
keeps('LOCK TABLE of one that writes nothing', $plain, 'BEGIN; LOCK TABLE plain IN ROW EXCLUSIVE MODE; COMMIT');

# ---- A writer's lock that another session's request has moved to the shared table of locks.
{
    my ($writer, $indexer) = map { $cache->session } 1 .. 2;
    $cache->ask($s, $plain);
    $writer->ask('BEGIN; UPDATE plain SET v = v + 1;');
    $indexer->send('CREATE INDEX plain_v ON plain (v);');
    $node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $indexer->{process}") or die "nobody waits\n";
    changes('a lock that another waits for', $plain, sub { $writer->ask('COMMIT;'); $indexer->answer }, expected => 'stored');
}

# ---- Told by hand.
changes('wc_cache_invalidate()',            $plain, q{SELECT wc_cache_invalidate('plain')},    same => 1);
changes('wc_cache_invalidate(), a view',    'SELECT * FROM writable ORDER BY id', q{SELECT wc_cache_invalidate('writable')}, same => 1);
changes('wc_cache_invalidate(), a parent',  'SELECT id FROM parts_1 ORDER BY id', q{SELECT wc_cache_invalidate('parts')}, same => 1);
changes('wc_cache_invalidate_tag()',        $plain, q{SELECT wc_cache_invalidate_tag('dash%')}, same => 1, tag => 'dashboard');
keeps('wc_cache_invalidate_tag() of another', $plain, q{SELECT wc_cache_invalidate_tag('dish%')}, tag => 'dashboard');
changes('wc_cache_clear()',                 $plain, 'SELECT wc_cache_clear()', same => 1, wide => 1);

done_testing();

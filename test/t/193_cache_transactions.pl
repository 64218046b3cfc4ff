# The result cache and transactions: own uncommitted writes, other isolation levels, old snapshots, PREPARE TRANSACTION through
# restarts and crashes, commits that fail or are cut short, fills that others write into, or that are cancelled.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

# Who asks for synchronous_commit waits for a standby that never comes: from the start, since it is the checkpointer that makes commits
# wait where the setting changes, in its own time.
my $node = new_node('transactions', allows_streaming => 1, conf => <<'CONF');
autovacuum = off
max_prepared_transactions = 10
synchronous_standby_names = 'nobody'
synchronous_commit = local
whitecross.cache_wait = 60s
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
restart_after_crash = on
CONF
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE TABLE bystander (id int);
INSERT INTO bystander VALUES (7);
CREATE TABLE plain (id int PRIMARY KEY, v int);
INSERT INTO plain VALUES (1, 10), (2, 20);
CREATE TABLE other (id int, v int);
INSERT INTO other VALUES (1, 1);
CREATE TABLE trapped (id int);
INSERT INTO trapped VALUES (1);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
-- Waits in the middle of a query while a test holds lock 1.
CREATE FUNCTION gate(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock_shared(1); PERFORM pg_advisory_unlock_shared(1); RETURN i; END';
CREATE FUNCTION own_write() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN UPDATE other SET v = v + 1; RETURN QUERY SELECT * FROM wc_cached_json('SELECT id, v FROM other ORDER BY id'); END$$;
CREATE FUNCTION in_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE other SET v = (SELECT count(*) FROM wc_cached_json('SELECT id FROM trapped')); RETURN NULL; END$$;
CREATE TRIGGER in_trigger AFTER INSERT ON trapped FOR EACH STATEMENT EXECUTE FUNCTION in_trigger();
CREATE PROCEDURE steps(INOUT answers text) LANGUAGE plpgsql AS $$
DECLARE
  answer jsonb;
BEGIN
  answers := '';
  FOR i IN 1 .. 3 LOOP
    UPDATE other SET v = 100 * i;
    SELECT w INTO answer FROM wc_cached_json('SELECT v FROM other') AS w;
    answers := answers || (answer->>'v') || ' ';
    COMMIT;
    SELECT w INTO answer FROM wc_cached_json('SELECT v FROM other') AS w;
    answers := answers || (answer->>'v') || ' ';
    UPDATE other SET v = -1;
    ROLLBACK;
    SELECT w INTO answer FROM wc_cached_json('SELECT v FROM other') AS w;
    answers := answers || (answer->>'v') || ' ';
  END LOOP;
END$$;
SQL

my $cache = WhiteCross::Cache->new($node, 'postgres', bystander => 'SELECT id FROM bystander');
my ($s, $w) = map { $cache->session } 1 .. 2;
my $plain   = 'SELECT id, v FROM plain ORDER BY id';
my $other   = 'SELECT id, v FROM other ORDER BY id';
sub in_cache { my ($query, @more) = @_; $cache->ask($s, $query, @more); local $Test::Builder::Level = $Test::Builder::Level + 1; return $cache->expect('is in the cache', $s, $query, 'hit', @more) }

sub waits { my ($session, $type) = @_; $node->poll_query_until('postgres', "SELECT coalesce(wait_event_type || wait_event, '') ~ '$type' FROM pg_stat_activity WHERE pid = $session->{process}") or die "it does not wait for $type\n"; return }

# ---- Own uncommitted writes.
in_cache($_) for $plain, $other;
$w->ask('BEGIN; UPDATE plain SET v = v + 1;');
$cache->expect('own uncommitted writes', $w, $plain, 'refused: own_writes');
$cache->expect('in a table of which another is read', $w, $other, 'hit');
$cache->expect('seen by nobody else', $s, $plain, 'hit');
$w->ask('SAVEPOINT a; UPDATE other SET v = v + 1;');
$cache->expect('after a savepoint', $w, $other, 'refused: own_writes');
$w->ask('ROLLBACK TO a;');
$cache->expect('rolled back to it', $w, $other, 'hit');
$cache->expect('the other write stays', $w, $plain, 'refused: own_writes');
$w->ask('ROLLBACK;');
$cache->expect('rolled back', $w, $plain, 'hit');
for my $write ('DELETE FROM plain WHERE id = 1', 'MERGE INTO plain USING (VALUES (1)) AS n (id) ON n.id = plain.id WHEN MATCHED THEN DELETE', 'TRUNCATE plain', 'WITH w AS (DELETE FROM plain) SELECT 1',
    q{DO $$BEGIN DELETE FROM plain; END$$}, 'COPY plain FROM PROGRAM \'printf "9\t9\n"\'') {
    $w->ask("BEGIN; $write;");
    $cache->expect("own: $write", $w, $plain, qr/refused: own_(writes|ddl)/);
    $w->ask('ROLLBACK;');
    $cache->expect("rolled back: $write", $w, $plain, 'hit');
}
$w->ask('BEGIN; INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1); COMMIT;');
$w->ask('BEGIN; UPDATE plain SET v = v + 1;');
$w->send('SELECT * FROM own_write();');
is(join(' ', $w->answer), '{"v": 2, "id": 1}', 'a function sees what it has written');
$w->ask('ROLLBACK;');
$w->send(q{INSERT INTO trapped VALUES (2); SELECT v FROM other;});
is((grep { /^\d+$/ } $w->answer)[0], '2', 'so does a trigger');
$w->ask('DELETE FROM trapped WHERE id = 2; UPDATE other SET v = 1;');
$w->send('CALL steps(NULL);');
is(join(' ', $w->answer), '100 100 100 200 200 200 300 300 300 ', 'a procedure that commits and rolls back');
# What is written is not what the query names: a partition, an heir, a table that a function reads.
$w->ask(q{CREATE TABLE parts (id int, v int) PARTITION BY LIST (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1); INSERT INTO parts VALUES (1, 1);
    CREATE TABLE heirs (v int); CREATE TABLE heir () INHERITS (heirs); INSERT INTO heir VALUES (1);
    CREATE TABLE hidden (v int); INSERT INTO hidden VALUES (1); CREATE FUNCTION lies(i int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i + (SELECT sum(v) FROM hidden); END';});
for my $case ([ 'a partition', 'SELECT v FROM parts', 'UPDATE parts_1 SET v = v + 100' ], [ 'an heir', 'SELECT v FROM heirs', 'UPDATE heir SET v = v + 100' ],
    [ 'a table that a function reads', 'SELECT lies(id) AS l FROM other', 'UPDATE hidden SET v = v + 100' ], [ 'the same, of constants', 'SELECT lies(1) AS l', 'UPDATE hidden SET v = v + 100' ]) {
    my ($name, $query, $write) = @$case;
    my $committed = in_cache($query);
    $w->ask("BEGIN; $write;");
    isnt($cache->expect("own write of $name", $w, $query, qr/refused: own_writes/), $committed, "own write of $name: is seen");
    is($cache->expect("own write of $name: by nobody else", $s, $query, 'hit'), $committed, 'who has the rows of before');
    $cache->happen('SELECT wc_cache_clear()');
    isnt($cache->expect("own write of $name, no entry there", $w, $query, qr/refused: own_writes/), $committed, "own write of $name: is seen");
    is($cache->expect("own write of $name: is not kept for others", $s, $query, 'stored'), $committed, 'who have the rows of before');
    $w->ask('ROLLBACK;');
    $cache->expect("own write of $name: rolled back", $w, $query, 'hit');
}
# Own changes of definitions, and their end.
$w->ask('BEGIN; CREATE TEMP TABLE plain AS SELECT 1 AS id, 99 AS v;');
is(($cache->ask($w, $plain))[1], '{"v": 99, "id": 1}', 'an own temporary table of the name');
$w->ask('ROLLBACK;');
in_cache($plain);
$cache->expect('rolled back', $w, $plain, 'hit');
$w->ask('BEGIN; ALTER TABLE plain RENAME COLUMN v TO u; ALTER TABLE plain ADD COLUMN v int DEFAULT 7;');
is(($cache->ask($w, $plain))[1], qq({"v": 7, "id": 1}\n{"v": 7, "id": 2}), 'an own column');
$w->ask('ROLLBACK;');
$cache->expect('rolled back', $w, $plain, 'hit');
$w->ask('BEGIN; SAVEPOINT a; DROP TABLE other; CREATE TABLE other AS SELECT 5 AS id, 5 AS v;');
is(($cache->ask($w, $other))[1], '{"v": 5, "id": 5}', 'an own table');
$w->ask('ROLLBACK TO a;');
$cache->expect('rolled back to the savepoint', $w, $other, qr/hit|stored|refused: own_ddl/);
$w->ask('COMMIT;');
in_cache($other);
$cache->expect('committed', $w, $other, 'hit');
$w->ask('CREATE FUNCTION three() RETURNS int IMMUTABLE LANGUAGE sql RETURN 3;');
in_cache('SELECT three() + id AS t FROM other');
$w->ask('BEGIN; CREATE OR REPLACE FUNCTION three() RETURNS int IMMUTABLE LANGUAGE sql RETURN 4;');
$cache->expect('an own function', $w, 'SELECT three() + id AS t FROM other', 'refused: own_ddl');
$w->ask('ROLLBACK;');
$cache->expect('rolled back', $w, 'SELECT three() + id AS t FROM other', 'hit');

# ---- Isolation.
for my $level ('REPEATABLE READ', 'SERIALIZABLE') {
    in_cache($plain);
    $s->ask("BEGIN ISOLATION LEVEL $level; SELECT 1 FROM other;");
    $cache->expect("$level", $s, $plain, 'refused: isolation');
    $w->ask('UPDATE plain SET v = v + 1;');
    my ($old) = $cache->expect("$level: goes on with its snapshot", $s, $plain, 'refused: isolation');
    my $new = $cache->expect("$level: which others do not", $w, $plain, 'stored');
    isnt($new, $old, "$level: other rows");
    $cache->expect("$level: an entry younger than its snapshot", $s, $plain, 'refused: isolation');
    $s->ask('COMMIT;');
    $cache->expect("$level: ended", $s, $plain, 'hit');
}
$s->ask('BEGIN READ ONLY;');
$cache->expect('READ ONLY', $s, $plain, 'hit');
$s->ask('COMMIT;');
# In one transaction each statement sees what is committed before it.
$s->ask('BEGIN;');
my $before = $cache->expect('READ COMMITTED', $s, $plain, 'hit');
$w->ask('UPDATE plain SET v = v + 1;');
isnt($cache->expect('READ COMMITTED: the next statement', $s, $plain, 'stored'), $before, 'has what was committed meanwhile');
$s->ask('COMMIT;');
# A portal opened before the write: wc_cached() is VOLATILE, and runs when it is fetched from.
$s->ask(q{BEGIN; DECLARE c CURSOR FOR SELECT (w->>'v')::int - (SELECT sum(v) FROM plain) * 0 FROM wc_cached_json('SELECT sum(v) AS v FROM plain') AS w;});
$w->ask('UPDATE plain SET v = v + 1;');
my $sum = $node->safe_psql('postgres', 'SELECT sum(v) FROM plain');
is(($s->ask('FETCH c;'))[0], $sum, 'an older cursor');
$s->ask('COMMIT;');
is(($cache->ask($s, 'SELECT sum(v) AS v FROM plain'))[1], qq({"v": $sum}), 'and what it leaves in the cache');

# ---- Parts of an answer.
$cache->ask($s, 'SELECT g FROM generate_series(1, 1000) AS g, other', after => ' LIMIT 3');
$cache->expect('LIMIT: the entry has all rows', $s, 'SELECT g FROM generate_series(1, 1000) AS g, other', 'hit');
$s->ask(q{BEGIN; DECLARE c CURSOR FOR SELECT * FROM wc_cached(NULL::int, 'SELECT g + id FROM generate_series(1, 1000) AS g, other');});
is(join(' ', $s->ask('FETCH 3 FROM c;')), '2 3 4', 'a cursor fetched in part');
$w->ask('UPDATE other SET id = id + 1;');
is(join(' ', $s->ask('FETCH 2 FROM c;')), '5 6', 'goes on with the rows it had');
$s->ask('COMMIT;');
is(scalar(my @all = $s->ask(q{SELECT * FROM wc_cached(NULL::int, 'SELECT g + id FROM generate_series(1, 1000) AS g, other');})), 1000, 'all rows');
is($all[0], '3', 'the new ones');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT wc_cached_json('SELECT g FROM generate_series(1, 5) AS g, other') LIMIT 2) AS x}), '2', 'LIMIT over the function in the list');

# ---- An error half way; a cancelled fill; a fill that was overtaken.
my $half = 'SELECT 10 / (v - 21) AS q, v FROM plain ORDER BY id';
$w->ask('UPDATE plain SET v = 20 + id - 1; UPDATE plain SET v = 30 WHERE id = 1; UPDATE plain SET v = 21 WHERE id = 2;');
is(($cache->ask($s, $half))[1], 'ERROR:  22012', 'an error half way through');
is(($cache->ask($s, $half))[1], 'ERROR:  22012', 'again');
$w->ask('UPDATE plain SET v = 22 WHERE id = 2;');
$cache->expect('nothing of it was kept', $s, $half, 'stored');

my $gated = 'SELECT gate(v) AS v FROM plain ORDER BY id';
my $keeper = $cache->session;
sub close_gate { $keeper->ask('SELECT pg_advisory_lock(1);'); return }
sub open_gate { $keeper->ask('SELECT pg_advisory_unlock(1);'); return }
$w->ask(q{SET client_min_messages = error;});
close_gate();
$s->send(WhiteCross::Cache::call($gated));
waits($s, 'Lockadvisory');
$w->ask('UPDATE plain SET v = v + 100;');
open_gate();
like(join(' ', $s->answer), qr/^\{"v": 30\} \{"v": 22\}$/, 'a fill into which another writes gives what its snapshot saw');
is($cache->expect('and is not kept', $s, $gated, 'stored'), qq({"v": 130}\n{"v": 122}), 'the next has the new rows');
$w->ask('UPDATE plain SET v = v + 1;');
close_gate();
$s->send(WhiteCross::Cache::call($gated));
waits($s, 'Lockadvisory');
my @waiting = map { $cache->session } 1 .. 2;
$_->send(WhiteCross::Cache::call($gated)) for @waiting;
waits($_, 'Extension') for @waiting;
$node->safe_psql('postgres', "SELECT pg_cancel_backend($s->{process})");
is(join(' ', map { WhiteCross::Session::error($_) } $s->answer), '57014', 'a cancelled fill');
open_gate();
is(join(' ', $_->answer), '{"v": 131} {"v": 123}', 'those who waited for it get their rows') for @waiting;
$cache->expect('which are kept', $s, $gated, 'hit');
# The one who fills is killed at the client's side: by pg_terminate_backend().
$w->ask('UPDATE plain SET v = v + 1;');
close_gate();
my $filler = $cache->session;
$filler->send(WhiteCross::Cache::call($gated));
waits($filler, 'Lockadvisory');
$_->send(WhiteCross::Cache::call($gated)) for @waiting;
waits($_, 'Extension') for @waiting;
$node->safe_psql('postgres', "SELECT pg_terminate_backend($filler->{process})");
$filler->answer(may_be_lost => 1);
open_gate();
is(join(' ', $_->answer), '{"v": 132} {"v": 124}', 'a terminated fill: those who waited get their rows') for @waiting;
# A waiting one can be cancelled.
$w->ask('UPDATE plain SET v = v + 1;');
close_gate();
$s->send(WhiteCross::Cache::call($gated));
waits($s, 'Lockadvisory');
$waiting[0]->send(WhiteCross::Cache::call($gated));
waits($waiting[0], 'Extension');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($waiting[0]{process})");
is(join(' ', map { WhiteCross::Session::error($_) } $waiting[0]->answer), '57014', 'one that waits is cancelled');
open_gate();
is(join(' ', $s->answer), '{"v": 133} {"v": 125}', 'the one who fills is not');
$cache->expect('and its rows are kept', $s, $gated, 'hit');

# Whoever waits for a fill that began before a write that it knows of must not be given that.
$w->ask('UPDATE plain SET v = v + 1;');
close_gate();
$s->send(WhiteCross::Cache::call($gated));
waits($s, 'Lockadvisory');
$w->ask('UPDATE plain SET v = v + 1;');
$waiting[0]->send(WhiteCross::Cache::call($gated));
waits($waiting[0], 'Extension|Lockadvisory');
open_gate();
is(join(' ', $s->answer), '{"v": 134} {"v": 126}', 'a fill that is older than a write');
is(join(' ', $waiting[0]->answer), '{"v": 135} {"v": 127}', 'is not for one who came after the write');

# ---- Locks: a hit waits where the plain query would.
in_cache($plain);
$w->ask('BEGIN; LOCK TABLE plain;');
$s->ask('SET lock_timeout = 50;');
is(($cache->ask($s, $plain))[1], 'ERROR:  55P03', 'a table that is locked');
$w->ask('ROLLBACK;');
$s->ask('RESET lock_timeout;');
$cache->expect('and no more', $s, $plain, 'hit');

# ---- Commits that fail after all has been written.
in_cache('SELECT id, parent FROM child');
$w->send('BEGIN; INSERT INTO child VALUES (9, 99); COMMIT;');
like(join(' ', $w->answer), qr/ERROR:  23503/, 'a deferred constraint fails');
$cache->expect('its table\'s entry stays', $s, 'SELECT id, parent FROM child', 'hit');
in_cache($_) for $plain, $other;
{
    my $rival = $cache->session;
    $w->ask('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(v) FROM plain; UPDATE other SET v = v + 1;');
    $rival->ask('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(v) FROM other; UPDATE plain SET v = v + 1; COMMIT;');
    $w->send('COMMIT;');
    is(join(' ', map { WhiteCross::Session::error($_) } $w->answer), '40001', 'a serialization failure at COMMIT');
    $cache->expect('the entry of what it wrote stays', $s, $other, 'hit');
    $cache->expect('that of its rival does not', $s, $plain, 'stored');
}
# A commit that waits for a standby that never comes: written, but not yet visible.
for my $end ('pg_cancel_backend', 'pg_terminate_backend') {
    in_cache($plain);
    my $late = $cache->session;
    $late->send('SET synchronous_commit = on; UPDATE plain SET v = v + 1;');
    waits($late, 'SyncRep');
    $cache->expect("commit waits for a standby: the old rows, not from the cache", $s, $plain, qr/missed|refused: \w+/);
    $node->safe_psql('postgres', "SELECT $end($late->{process})");
    $late->answer(may_be_lost => 1);
    $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $late->{process} AND wait_event = 'SyncRep'") or die;
    $cache->expect("$end: the new rows", $s, $plain, 'stored');
}
# A writer that is terminated, or killed at its client's side, in the middle.
in_cache($plain);
{
    my $lost = $cache->session;
    $lost->ask('BEGIN; UPDATE plain SET v = 0;');
    $node->safe_psql('postgres', "SELECT pg_terminate_backend($lost->{process}, 60000)");
    $cache->expect('a writer is terminated', $s, $plain, 'hit');
}

# ---- PREPARE TRANSACTION.
sub prepared { # something of which nothing may be seen before COMMIT PREPARED
    my ($name, $change) = @_;
    $w->ask("BEGIN; $change; PREPARE TRANSACTION 'one';");
    return;
}
in_cache($_) for $plain, $other;
prepared('', 'UPDATE plain SET v = v + 1');
my $old = $cache->expect('prepared: the old rows, not from the cache', $s, $plain, qr/missed|refused: \w+/);
$cache->expect('prepared: another table', $s, $other, 'hit');
$cache->session->ask(q{COMMIT PREPARED 'one';});
isnt($cache->expect('COMMIT PREPARED from another session', $s, $plain, 'stored'), $old, 'the new rows');
$cache->expect('and in the cache', $s, $plain, 'hit');
prepared('', 'UPDATE plain SET v = v + 1');
$cache->session->ask(q{ROLLBACK PREPARED 'one';});
$cache->ask($s, $plain);
$cache->expect('ROLLBACK PREPARED', $s, $plain, 'hit');
in_cache('SELECT three() + id AS t FROM other');
prepared('', 'CREATE OR REPLACE FUNCTION three() RETURNS int IMMUTABLE LANGUAGE sql RETURN 33');
$cache->expect('a function, prepared', $s, 'SELECT three() + id AS t FROM other', qr/missed|refused: \w+/);
$cache->session->ask(q{COMMIT PREPARED 'one';});
$cache->expect('a function, committed', $s, 'SELECT three() + id AS t FROM other', 'stored');
prepared('', 'DO $$BEGIN FOR i IN 1..80 LOOP EXECUTE format(\'CREATE TABLE IF NOT EXISTS t%s (a int)\', i); EXECUTE format(\'INSERT INTO t%s VALUES (1)\', i); END LOOP; UPDATE plain SET v = v + 1; END$$');
$cache->expect('80 tables, prepared', $s, $plain, qr/missed|refused: \w+/);
$cache->session->ask(q{COMMIT PREPARED 'one';});
$cache->expect('80 tables, committed', $s, $plain, 'stored');
$cache->expect('and in the cache again', $s, $plain, 'hit');

# Through a restart and a crash of the server.
for my $how ('fast', 'immediate') {
    for my $what ([ 'rows', $plain, 'UPDATE plain SET v = v + 1' ], [ 'a function', 'SELECT three() + id AS t FROM other', "CREATE OR REPLACE FUNCTION three() RETURNS int IMMUTABLE LANGUAGE sql RETURN 3" . ($how eq 'fast' ? 4 : 5) ]) {
        my ($name, $query, $change) = @$what;
        in_cache($query);
        prepared('', $change);
        $_->quit for $s, $w, $keeper, @waiting, $cache->{reader};
        $node->stop($how);
        $node->start;
        $cache->reconnect;
        ($s, $w) = map { $cache->session } 1 .. 2;
        # What its messages will be is not known: so nothing of its database is kept.
        $cache->expect("$how restart, $name prepared: a table that has nothing to do with it", $s, 'SELECT id FROM bystander', 'refused: written');
        my $was = $cache->expect("$how restart, $name prepared: the old", $s, $query, qr/missed|refused: \w+/);
        $w->ask(q{COMMIT PREPARED 'one';});
        isnt($cache->expect("$how restart, $name committed", $s, $query, 'stored'), $was, 'the new');
        $cache->expect("$how restart, $name: in the cache again", $s, $query, 'hit');
        $cache->expect("$how restart, $name: the other table too", $s, 'SELECT id FROM bystander', 'stored');
    }
}

# ---- A server that crashes has nothing of what it had.
in_cache($plain);
$s->send('SELECT pg_sleep(600);');
kill 'KILL', $w->{process};
$s->answer(may_be_lost => 1); # with all other sessions
$node->poll_query_until('postgres', 'SELECT true') or die;
$cache->reconnect;
$s = $cache->session;
$cache->expect('after a crash: nothing there', $s, $plain, 'stored');
$cache->expect('and all works', $s, $plain, 'hit');

done_testing();

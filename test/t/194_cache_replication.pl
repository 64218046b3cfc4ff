# The result cache where others write: what a subscription applies, its prepared transactions among it, is seen at once; a standby
# keeps nothing, and begins to when it is promoted, with what is prepared there held back until it ends.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

# One server: database 'far' publishes to database 'near', and a standby has both.
my $node = new_node('apply', allows_streaming => 'logical', conf => <<'CONF');
autovacuum = off
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
max_prepared_transactions = 10
max_logical_replication_workers = 8
wal_retrieve_retry_interval = 100ms
CONF
my $tables = <<'SQL';
CREATE TABLE plain (id int PRIMARY KEY, v int);
CREATE TABLE parts (id int, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE TABLE emptied (id int);
SQL
for my $database ('far', 'near') {
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, $tables);
}
$node->safe_psql('far', <<'SQL');
INSERT INTO plain VALUES (1, 10), (2, 20);
INSERT INTO parts VALUES (1, 1), (2, 11);
INSERT INTO emptied VALUES (1);
CREATE PUBLICATION pub FOR TABLE plain, parts, emptied;
SELECT pg_create_logical_replication_slot('sub', 'pgoutput', false, true);
SQL
$node->safe_psql('near', <<'SQL');
CREATE EXTENSION whitecross;
CREATE TABLE bystander (id int);
INSERT INTO bystander VALUES (7);
CREATE TABLE noted (id int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.noted VALUES (new.id); RETURN NULL; END';
CREATE TRIGGER note AFTER UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE plain ENABLE REPLICA TRIGGER note;
SQL
my $connection = 'host=' . $node->host . ' port=' . $node->port . ' dbname=far user=postgres';

my $cache = WhiteCross::Cache->new($node, 'near', bystander => 'SELECT id FROM bystander');
my $s     = $cache->session;
my $plain = 'SELECT id, v FROM plain ORDER BY id';

# ---- The initial copy.
$cache->changes('the initial copy', $s, $plain, sub {
    $node->safe_psql('near', "CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION pub WITH (create_slot = false, slot_name = sub, two_phase = true, streaming = true)");
    # What the subscription has to note of itself in catalogues, which ends all results of its database, is over.
    $node->poll_query_until('near', q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'}) or die "no copy\n";
    $node->poll_query_until('near', q{SELECT subtwophasestate = 'e' FROM pg_subscription}) or die "no prepared transactions\n";
}, wide => 1);

# ---- What is applied.
sub far {
    my ($sql) = @_;
    $node->safe_psql('far', $sql);
    $node->wait_for_catchup('sub');
    return;
}
my $parts = 'SELECT id, k FROM parts ORDER BY id';
for my $case (
    [ 'an applied INSERT',          $plain, 'INSERT INTO plain VALUES (3, 30)' ],
    [ 'an applied UPDATE',          $plain, 'UPDATE plain SET v = v + 1 WHERE id = 1' ],
    [ 'an applied DELETE',          $plain, 'DELETE FROM plain WHERE id = 3' ],
    [ 'a trigger of what is applied', 'SELECT count(*) AS n FROM noted', 'UPDATE plain SET v = v + 1 WHERE id = 1' ],
    [ 'an applied write of a partition', $parts, 'INSERT INTO parts VALUES (3, 2)' ],
    [ 'an applied move to another partition', $parts, 'UPDATE parts SET k = 12 WHERE id = 3' ],
    [ 'an applied TRUNCATE',        'SELECT id FROM emptied', 'TRUNCATE emptied' ],
    [ 'several in a transaction',   $parts, 'BEGIN; UPDATE plain SET v = v + 1; UPDATE parts SET k = k - 1 WHERE k > 10; COMMIT' ]) {
    my ($name, $query, $sql) = @$case;
    $cache->changes($name, $s, $query, sub { far($sql) });
}
$cache->keeps('what is rolled back there', $s, $plain, sub { far('BEGIN; UPDATE plain SET v = 0; ROLLBACK; INSERT INTO emptied VALUES (1)') });

# ---- What is prepared there.
is($node->safe_psql('near', 'SELECT subtwophasestate FROM pg_subscription'), 'e', 'prepared transactions are applied as such');
$cache->ask($s, $plain);
my $before = $cache->expect('in the cache', $s, $plain, 'hit');
far(q{BEGIN; UPDATE plain SET v = v + 1; PREPARE TRANSACTION 'far_one'});
$node->poll_query_until('near', q{SELECT count(*) = 1 FROM pg_prepared_xacts WHERE database = 'near'}) or die "not prepared\n";
is($cache->expect('prepared by apply: the old rows, not from the cache', $s, $plain, qr/missed|refused: \w+/), $before, 'the old rows');
far(q{COMMIT PREPARED 'far_one'});
isnt($cache->expect('committed by apply', $s, $plain, 'stored'), $before, 'the new rows');
$cache->expect('in the cache again', $s, $plain, 'hit');
far(q{BEGIN; UPDATE plain SET v = v + 1; PREPARE TRANSACTION 'far_two'});
$node->poll_query_until('near', q{SELECT count(*) = 1 FROM pg_prepared_xacts WHERE database = 'near'}) or die "not prepared\n";
far(q{ROLLBACK PREPARED 'far_two'});
$cache->ask($s, $plain);
$cache->expect('rolled back by apply', $s, $plain, 'hit');

# ---- A standby.
$node->safe_psql('near', 'DROP SUBSCRIPTION sub');
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my $there = WhiteCross::Cache->new($standby, 'near', bystander => 'SELECT id FROM bystander');
my $r     = $there->session;
$there->refuses('a standby', $r, $plain, 'recovery');
$node->safe_psql('near', 'UPDATE plain SET v = v + 1');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$there->refuses('a standby, after a write', $r, $plain, 'recovery');
is(($there->ask($r, $plain))[1], ($cache->ask($s, $plain))[1], 'has the rows of its primary');
$there->refuses('a standby, a query that writes', $r, 'INSERT INTO plain VALUES (99, 99) RETURNING id', qr/\w+/, plain => 'INSERT INTO plain VALUES (99, 99) RETURNING id;');
# Promoted with something prepared.
$node->safe_psql('near', q{BEGIN; UPDATE plain SET v = v + 1; PREPARE TRANSACTION 'at_promotion'});
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$_->quit for $s, $cache->{reader};
$node->stop('immediate');
$standby->promote;
my $held = $there->expect('promoted: what is prepared is held back', $r, $plain, qr/missed|refused: \w+/);
$there->expect('promoted: and all of its database', $r, 'SELECT id FROM bystander', 'refused: written');
$there->session->ask(q{COMMIT PREPARED 'at_promotion';});
isnt($there->expect('committed', $r, $plain, 'stored'), $held, 'the new rows');
$there->expect('hit', $r, $plain, 'hit');
$there->changes('a write to it', $r, $plain, 'UPDATE plain SET v = v + 1');

$_->quit for $r, $there->{reader};
done_testing();

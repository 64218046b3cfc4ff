# The result cache's store without queries: what is found, what is evicted and for whom, what makes entries go; 1,000,000 stores of
# random sizes by two sessions at once leave no memory taken; too large, no room, no memory in the session.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $library = tree() . '/test/modules/store/whitecross_store.so';
my $node = new_node('store', preload => $library, conf => <<'CONF');
fsync = off
autovacuum = off
whitecross.cache_entries = 1000
whitecross.cache_size = 8MB
CONF
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql($_, <<SQL) for qw(postgres other);
CREATE FUNCTION test_moment() RETURNS bigint LANGUAGE c AS '$library', 'test_moment';
CREATE FUNCTION test_put(key bigint, size bigint, tables text[] DEFAULT '{}', ttl_ms bigint DEFAULT 3600000, tag text DEFAULT NULL,
                         cost_ms float8 DEFAULT 1, since bigint DEFAULT NULL) RETURNS text LANGUAGE c AS '$library', 'test_put';
CREATE FUNCTION test_find(key bigint) RETURNS text LANGUAGE c STRICT AS '$library', 'test_find';
CREATE FUNCTION test_move(tab oid) RETURNS void LANGUAGE c STRICT AS '$library', 'test_move';
CREATE FUNCTION test_load(calls bigint, keys bigint, largest bigint, seed bigint) RETURNS bigint LANGUAGE c STRICT AS '$library', 'test_load';
CREATE FUNCTION test_zipf(calls bigint, keys bigint, exponent float8) RETURNS float8 LANGUAGE c STRICT AS '$library', 'test_zipf';
CREATE FUNCTION counts(OUT database_oid oid, OUT entries bigint, OUT bytes bigint, OUT hits bigint, OUT misses bigint, OUT stores bigint,
    OUT evictions bigint, OUT invalidations bigint, OUT expirations bigint, OUT refusals jsonb, OUT waits bigint, OUT second_tier_hits bigint,
    OUT second_tier_misses bigint, OUT second_tier_stores bigint, OUT second_tier_errors bigint, OUT second_tier_timeouts bigint,
    OUT since timestamptz) RETURNS SETOF record LANGUAGE c AS '$library', 'wc_cache_counts';
CREATE FUNCTION memory(OUT entries bigint, OUT max_entries bigint, OUT bytes bigint, OUT max_bytes bigint, OUT fills int, OUT prepared int) RETURNS SETOF record
    LANGUAGE c AS '$library', 'wc_cache_memory';
CREATE FUNCTION listed(OUT tag text, OUT tables oid[], OUT role_oid oid, OUT query_id bigint, OUT ttl_ms bigint, OUT age_ms bigint,
    OUT hits bigint, OUT bytes bigint, OUT cost_ms float8) RETURNS SETOF record LANGUAGE c AS '$library', 'wc_cached_entries';
CREATE FUNCTION clear() RETURNS bigint LANGUAGE c AS '$library', 'wc_cache_clear';
CREATE FUNCTION invalidate(tab regclass) RETURNS bigint LANGUAGE c STRICT AS '$library', 'wc_cache_invalidate';
CREATE FUNCTION invalidate_tag(pattern text) RETURNS bigint LANGUAGE c STRICT AS '$library', 'wc_cache_invalidate_tag';
CREATE FUNCTION reset() RETURNS void LANGUAGE c AS '$library', 'wc_reset_cache_stats';
SQL

my $one = WhiteCross::Session->new($node, 'postgres');
my $two = WhiteCross::Session->new($node, 'postgres');
my $other = WhiteCross::Session->new($node, 'other');
# What a session answers, errors too; lines of nothing are left out.
sub on { my ($session, $sql) = @_; $session->send("$sql;"); return join "\n", map { s/^psql:.*?: (?=ERROR)//r } $session->answer }
sub ask { return on($one, @_) }

# Found by any session, byte for byte, at every length around the size of a block.
for my $size (0, 1, 900, 1008, 1009, 1024, 2048, 100_000, 1_048_576) {
    is(ask("SELECT test_put($size, $size, '{1001,1002}')"), 'stored', "$size bytes are stored");
    is(on($two, "SELECT test_find($size)"), "hit $size", "$size bytes are found by another session");
}
is(ask('SELECT test_find(77)'), 'absent', 'what was not stored is not there');
is(ask('SELECT test_put(7, 1048577)'), 'too large', 'more than whitecross.cache_max_entry is not stored');
is(ask("SET whitecross.cache_max_entry = '1GB'; SELECT test_put(7, 8 * 1024 * 1024 + 1)"), "SET\ntoo large", 'nor more than all there is');
is(ask('SELECT refusals FROM counts() WHERE database_oid = (SELECT oid FROM pg_database WHERE datname = current_database())'),
    '{"too_large": 2}', 'which is counted');
is(ask('SELECT test_put(7, 8 * 1024 * 1024 - 16)'), 'stored', 'what fills all of it is');
is(ask('SELECT entries, bytes, max_bytes FROM memory()'), '1|8388608|8388608', 'and everything else made room');
is(ask('SELECT test_put(1, 10), test_find(7)'), 'stored|absent', 'as it does for the next');
is(ask('RESET whitecross.cache_max_entry'), 'RESET');

# What makes entries go.
is(ask("SELECT clear()"), '1', 'clear() says how many there were');
is(ask('SELECT entries, bytes FROM memory()'), '0|0', 'and leaves nothing');
ask("SELECT test_put(1, 10, '{1001}'), test_put(2, 10, '{1001,1002}'), test_put(3, 10, '{1003}')");
ask('SELECT test_move(1002)');
is(ask('SELECT test_find(1), test_find(2), test_find(3)'), 'hit 10|stale|hit 10', 'a table that moves takes what was read from it, and nothing else');
is(ask('SELECT test_find(2)'), 'absent', 'which is gone for good');
is(ask("SELECT test_put(4, 10, ttl_ms => 1)"), 'stored');
$node->poll_query_until('postgres', "SELECT test_find(4) IN ('expired', 'absent')") or die 'it does not expire';
is(ask("SELECT test_put(5, 10, ttl_ms => 9223372036854775807), test_find(5)"), 'stored|hit 10', 'the longest time to live is one');
is(ask('SELECT stores > 0, evictions > 0, invalidations, expirations FROM counts() WHERE stores > 0'), 't|t|2|1', 'all is counted');
is(ask('SELECT reset(); SELECT stores, evictions, invalidations, expirations, refusals, entries FROM counts()'), '0|0|0|0|{}|3',
    'and set to 0 without anything being lost');

# By hand: one database only.
ask('SELECT clear()');
on($other, "SELECT test_put(101, 10, tag => 'a_1')");
ask("SELECT test_put(1, 10, tag => 'a_1'), test_put(2, 10, tag => 'a%2'), test_put(3, 10, tag => 'b'), test_put(4, 10), test_put(5, 10, tag => '')");
is(ask('SELECT tag, bytes, hits, ttl_ms, cost_ms FROM listed() ORDER BY tag'), "|10|0|3600000|1\na%2|10|0|3600000|1\na_1|10|0|3600000|1\nb|10|0|3600000|1\n|10|0|3600000|1",
    'entries are listed with what is known of them');
is(ask("SELECT invalidate_tag('a\\%%')"), '1', 'a pattern is LIKE\'s: escaped');
is(ask("SELECT invalidate_tag('a_1')"), '1', 'one character');
is(ask("SELECT invalidate_tag('')"), '1', 'an empty tag is one');
is(ask("SELECT invalidate_tag('%')"), '1', 'any tag');
is(ask('SELECT test_find(4)'), 'hit 10', 'what has no tag is like none');
is(ask("SELECT invalidate_tag('x\\')"), 'ERROR:  22025', 'a pattern that is none');
is(on($other, 'SELECT test_find(101)'), 'hit 10', 'another database keeps its own');
is(ask('CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p DEFAULT; CREATE SEQUENCE s'),
    join "\n", ('CREATE TABLE') x 3, 'CREATE SEQUENCE');
ask("SELECT test_put(10, 10, ARRAY['p1'::regclass::oid::text]), test_put(11, 10, ARRAY['p'::regclass::oid::text]), test_put(12, 10, ARRAY['p2'::regclass::oid::text])");
is(ask("SELECT invalidate('p1')"), '1', 'a partition');
is(ask("SELECT invalidate('p')"), '2', 'a partitioned table, with its partitions');
is(ask("SELECT invalidate('s')"), 'ERROR:  42809', 'a sequence is nothing that is read');
is(ask("SELECT invalidate(4000000000::oid)"), 'ERROR:  42P01', 'nor is what is not there');

# What was read before it was asked to go is not stored after.
for my $how ("clear()", "invalidate_tag('z')") {
    my $since = ask('SELECT test_moment()');
    on($two, "SELECT $how");
    is(ask("SELECT test_put(20, 10, tag => 'z', since => $since)"), $how eq 'clear()' ? 'moved' : 'forgotten', "$how keeps out what was read before");
    is(ask("SELECT test_put(20, 10, tag => 'z')"), 'stored', 'and lets in what is read after');
}
# Of two that computed one entry the one that began later stays.
my $since = ask('SELECT test_moment()');
ask('SELECT test_move(999)');
is(ask("SELECT test_put(30, 11)"), 'stored');
is(ask("SELECT test_put(30, 12, since => $since)"), 'newer', 'the earlier is not put in its place');
is(ask("SELECT test_put(30, 13), test_find(30)"), 'stored|hit 13', 'a later one is');

# Full of places, full of memory: what is asked for again and again stays, what is dear stays longer.
ask('SELECT clear()');
ask('SELECT test_put(g, 100, cost_ms => 1000) FROM generate_series(1, 50) AS g; SELECT test_find(g) FROM generate_series(1, 50) AS g, generate_series(1, 30)');
ask('SELECT test_put(g, 100) FROM generate_series(1001, 4000) AS g');
is(ask("SELECT count(*) FROM generate_series(1, 50) AS g WHERE test_find(g) = 'hit 100'"), '50', '3000 stores that nobody asks for leave 50 favourites there');
is(ask('SELECT entries FROM memory()'), '1000', 'in a cache that is full');
ask('SELECT test_put(g, 100) FROM generate_series(10001, 60000) AS g');
is(ask("SELECT count(*) < 10 FROM generate_series(1, 50) AS g WHERE test_find(g) = 'hit 100'"), 't', 'fifty times as many as there are places do: favourites grow old');
ask('SELECT clear()');
ask('SELECT test_put(g, 1000) FROM generate_series(1, 300) AS g; SELECT test_find(g) FROM generate_series(1, 300) AS g, generate_series(1, 5)');
ask('SELECT test_put(g, 900000) FROM generate_series(1001, 1040) AS g');
is(ask("SELECT count(*) > 290 FROM generate_series(1, 300) AS g WHERE test_find(g) = 'hit 1000'"), 't', 'where memory is short, large ones make room for large ones');
cmp_ok(ask('SELECT clear(); SELECT test_zipf(200000, 10000, 1.2)') =~ s/.*\n//r, '>', 0.86, 'of a Zipf-distributed load with ten times as many keys as places 86 % are hits');

# A million stores.
ask('SELECT clear(), reset()');
is(ask('SELECT entries, bytes FROM memory()'), '0|0', 'the other database\'s entry has made room too');
is(ask('SELECT test_load(20000, 4000, 40000, 1)'), '0', 'each hit has its own bytes');
my $stores = sub { ask('SELECT sum(stores) FROM counts()') };
for my $round (2 .. 1000) {
    $two->send("SELECT test_load(60000, 4000, 40000, 2$round);");
    is(ask("SELECT test_load(60000, 4000, 40000, 1$round)"), '0', 'nor with two sessions at once') if $round == 2;
    ask("SELECT test_load(60000, 4000, 40000, 1$round)") eq '0' or fail('a hit was another\'s');
    join('', $two->answer) eq '0' or fail('a hit was another\'s');
    last if $stores->() >= 1_000_000;
}
cmp_ok($stores->(), '>=', 1_000_000, 'a million stores');
is(ask('SELECT m.entries = sum(c.entries), m.bytes <= m.max_bytes, m.max_bytes FROM memory() AS m, counts() AS c GROUP BY m.entries, m.bytes, m.max_bytes'),
    't|t|8388608', 'what is taken is what entries hold');
on($other, 'SELECT clear()');
ask('SELECT clear()');
is(ask('SELECT entries, bytes, fills FROM memory()'), '0|0|0', 'and no block is lost');

# A session that has no memory for what it would copy runs its query.
ask("SELECT test_put(1, 1000000)");
SKIP: {
    skip 'the limit on memory would be the test\'s own', 2 if $ENV{SANITIZE};
    my $pid = $two->{process};
    my $vm = slurp_file("/proc/$pid/statm") =~ /^(\d+)/ ? $1 * 4096 : 0;
    system_or_bail('prlimit', "--pid=$pid", '--as=' . ($vm + 300_000) . ':');
    is(on($two, 'SELECT test_find(1)'), 'absent', 'there is no memory to copy a large entry into: it is not there');
    system_or_bail('prlimit', "--pid=$pid", '--as=unlimited:');
    is(on($two, 'SELECT test_find(1)'), 'hit 1000000', 'and is again when there is');
}

# A crash and a restart leave nothing of what was.
$node->restart;
is($node->safe_psql('postgres', "SELECT test_find(1) || (SELECT entries::text FROM memory())"), 'absent0', 'nothing outlives the server');
$node->append_conf('postgresql.conf', 'whitecross.cache_entries = 0');
$node->restart;
is($node->safe_psql('postgres', "SELECT test_put(1, 10), test_find(1), clear(), invalidate_tag('%'), (SELECT max_entries FROM memory())"), 'moved|absent|0|0|0',
    'without entries there is no cache, and nothing fails');

done_testing();

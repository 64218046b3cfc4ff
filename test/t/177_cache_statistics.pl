# What is shown of the result cache, and to whom: counts by database, entries without a value of anybody's, what reasons there were;
# making it forget by table, by tag and as a whole; who may; a library that isn't preloaded; a server without a cache.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

use constant MARKER => 'Quillington-Vane';

my $node = new_node('cachestats', conf => <<'CONF');
fsync = off
autovacuum = off
whitecross.health_interval = 0
log_statement = none
log_min_error_statement = panic
log_min_messages = debug1
CONF
$node->safe_psql('postgres', 'CREATE ROLE nurse; CREATE ROLE clerk; CREATE ROLE auditor; GRANT pg_read_all_stats TO auditor; CREATE DATABASE school; CREATE DATABASE second');
$node->safe_psql($_, <<'SQL') for qw(school second);
SET client_min_messages = warning;
CREATE EXTENSION whitecross;
CREATE TABLE pupil (id int, name text);
CREATE TABLE visit (id int, pupil int) PARTITION BY LIST (id);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES IN (1);
CREATE TABLE visit_2 PARTITION OF visit DEFAULT;
CREATE VIEW pupils AS SELECT * FROM pupil;
INSERT INTO pupil SELECT g, 'Quillington-Vane' FROM generate_series(1, 10) AS g;
INSERT INTO visit SELECT g, g FROM generate_series(1, 10) AS g;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO nurse, clerk;
SQL

my $control = WhiteCross::Session->new($node, 'school');
my $second = WhiteCross::Session->new($node, 'second');
sub on { my ($session, $sql) = @_; $session->send("$sql;"); return join "\n", map { s/^psql:.*?: (?=ERROR)//r } $session->answer }
sub ask { return on($control, @_) }
my $own = "database = current_database()";

# Counts.
is(ask("SELECT entries, bytes, hits, misses, hit_ratio IS NULL, stores, evictions, invalidations, expirations, refusals, waits, second_tier, second_tier_hits FROM wc_cache_stats WHERE $own"),
    '0|0|0|0|t|0|0|0|0|{}|0|off|0', 'a database that has asked for nothing has a row');
my $pupils = "SELECT count(*) FROM wc_cached_json('SELECT * FROM pupil WHERE name = \$1', ARRAY['Quillington-Vane'], tag => 'pupils')";
is(ask($pupils), '10', 'ten rows');
is(ask($pupils), '10', 'again');
is(ask($pupils), '10', 'and again');
is(ask("SELECT entries, bytes > 10, hits, misses, round(hit_ratio::numeric, 3), stores FROM wc_cache_stats WHERE $own"), '1|t|2|1|0.667|1', 'one miss, two hits');
is(ask('INSERT INTO pupil VALUES (11, NULL)'), 'INSERT 0 1');
is(ask($pupils), '10');
is(ask("SELECT entries, hits, misses, stores, invalidations FROM wc_cache_stats WHERE $own"), '1|2|2|2|1', 'after a write what was kept is found to be out of date');
is(ask("SELECT count(*) FROM wc_cached_json('SELECT now()')"), '1');
is(ask("SELECT count(*) FROM wc_cached_json('SELECT random()') FROM generate_series(1, 2)"), 'ERROR:  42601');
is(ask("SELECT count(*) FROM generate_series(1, 2), LATERAL wc_cached_json('SELECT random()')"), '2');
is(ask("BEGIN; UPDATE pupil SET id = id WHERE id = 1; $pupils; ROLLBACK"), "BEGIN\nUPDATE 1\n10\nROLLBACK");
is_deeply(decode_json(ask("SELECT refusals FROM wc_cache_stats WHERE $own"))->{own_writes}, 1, 'a transaction that has written it: counted');
my %refusals = %{ decode_json(ask("SELECT refusals FROM wc_cache_stats WHERE $own")) };
is(join(' ', map { "$_ $refusals{$_}" } grep { !/stable|clock/ } sort keys %refusals) =~ s/volatile_function [12]/volatile_function/r, 'own_writes 1 volatile_function', 'the reasons')
  or diag explain \%refusals;
is(ask("SET whitecross.cache = off; $pupils; RESET whitecross.cache; SELECT refusals -> 'off' FROM wc_cache_stats WHERE $own"), "SET\n10\nRESET\n1", 'a session that does without');
ask("SELECT count(*) FROM wc_cached_json('SELECT id FROM pupil', ttl => '1 millisecond')");
$node->poll_query_until('school', "SELECT count(*) = 11 AND (SELECT expirations FROM wc_cache_stats WHERE $own) > 0 FROM wc_cached_json('SELECT id FROM pupil', ttl => '1 millisecond')")
  or die 'nothing expires';
pass('what was too old was run again, and counted');

# Another database has its own.
is(on($second, "$pupils; $pupils"), "10\n10");
is(on($second, "SELECT hits, misses, entries FROM wc_cache_stats WHERE $own"), '1|1|1', 'another database counts for itself');
is(on($second, "SELECT count(*) FROM wc_cache_stats WHERE database IN ('school', 'second')"), '2', 'and all are shown');
my $hits = ask("SELECT hits FROM wc_cache_stats WHERE database = 'school'");
is(on($second, "SELECT wc_reset_cache_stats(); SELECT hits, misses, stores, entries FROM wc_cache_stats WHERE $own"), '0|0|0|1', 'counts are reset');
is(ask("SELECT hits FROM wc_cache_stats WHERE database = 'school'"), $hits, 'of one database only');

# Entries, and who sees which.
is(ask('SELECT wc_cache_clear() > 0, (SELECT count(*) FROM wc_cache_entries)'), 't|0', 'the cache is cleared');
ask($pupils);
ask('SELECT count(*) FROM wc_cached_json($$SELECT count(*) FROM visit WHERE pupil > 1$$)');
is(ask("SELECT tag, tables, role, ttl, age < ttl, hits, bytes > 0, cost_ms > 0 FROM wc_cache_entries ORDER BY tag"),
    "pupils|{pupil}|postgres|00:05:00|t|0|t|t\n|{visit,visit_1,visit_2}|postgres|00:05:00|t|0|t|t", 'entries tell what they were read from');
ask($pupils);
is(ask("SELECT hits FROM wc_cache_entries WHERE tag = 'pupils'"), '1', 'how often they were asked for');
is(ask("PREPARE p AS SELECT * FROM pupil WHERE name = \$1; EXECUTE p ('x'); SELECT normalised_text FROM wc_cache_entries WHERE tag = 'pupils'"),
    "PREPARE\nSELECT * FROM pupil WHERE name = \$1", 'and the text of their query, where the query log has it');
my $shown = ask('SELECT * FROM wc_cache_entries; SELECT * FROM wc_cache_stats; SELECT * FROM wc_cached_entries()');
ok($shown =~ /pupil/ && index($shown, MARKER) < 0, 'no value is in it');
for my $role (qw(nurse clerk)) {
    is(ask("SET ROLE $role; $pupils; SELECT string_agg(DISTINCT role, ' ') FROM wc_cache_entries; RESET ROLE"), "SET\n10\n$role\nRESET", "$role has an entry of its own, and sees no other's");
}
is(ask("SET ROLE auditor; SELECT string_agg(DISTINCT role, ' ' ORDER BY role) FROM wc_cache_entries; RESET ROLE"), "SET\nclerk nurse postgres\nRESET", 'who may read all statistics sees all');
is(ask("SET ROLE nurse; SELECT entries > 2 FROM wc_cache_stats WHERE $own; RESET ROLE"), "SET\nt\nRESET", 'counts are for anybody');
for my $sql ('wc_cache_clear()', "wc_cache_invalidate('pupil')", "wc_cache_invalidate_tag('%')", 'wc_reset_cache_stats()') {
    is(ask("SET ROLE nurse; SELECT $sql; RESET ROLE"), "SET\nERROR:  42501\nRESET", "$sql is not");
}

# Forgetting.
is(ask("SELECT wc_cache_invalidate('visit_2')"), '1', 'by a partition');
is(ask("SELECT wc_cache_invalidate('visit')"), '0', 'which was all that had read it');
ask('SELECT count(*) FROM wc_cached_json($$SELECT * FROM pupils$$) AS a, wc_cached_json($$SELECT * FROM visit_1$$) AS b');
is(ask("SELECT wc_cache_invalidate('visit')"), '1', 'by a partitioned table, what was read from its partition');
is(ask("SELECT wc_cache_invalidate('pupils')"), '1', 'by a view, what was read by its name');
is(ask("SELECT wc_cache_invalidate_tag('pup_ls')"), '3', 'by tag, of all roles');
is(ask('SELECT count(*) FROM wc_cache_entries'), '0', 'nothing is left');
is(ask('SELECT wc_cache_invalidate(NULL), wc_cache_invalidate_tag(NULL)'), '|', 'NULL is nothing');
is(ask('SELECT wc_cache_invalidate(4000000000::regclass)'), 'ERROR:  42P01', 'what is not there');
is(ask("SELECT wc_cache_invalidate('pg_toast.pg_toast_1255')"), 'ERROR:  42809', 'what nobody reads by its name');
is(ask("SELECT wc_cache_invalidate_tag('\\')"), 'ERROR:  22025', 'a pattern that is none');
ask($pupils);
is(ask("BEGIN; SELECT wc_cache_clear(); ROLLBACK; SELECT count(*) FROM wc_cache_entries"), "BEGIN\n1\nROLLBACK\n0", 'whether or not the transaction commits');
is(on($second, 'SELECT count(*) FROM wc_cache_entries'), '1', 'another database keeps what it has');

# A query that runs while the cache is told to forget is not kept.
ask(q{CREATE FUNCTION held(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN $1; END'; SELECT pg_advisory_lock(1)});
for my $how ('wc_cache_clear()', "wc_cache_invalidate_tag('other')", "wc_cache_invalidate('pupil')") {
    my $reader = WhiteCross::Session->new($node, 'school');
    $reader->send("SELECT count(*) FROM wc_cached_json('SELECT held(id) FROM pupil');");
    $node->poll_query_until('school', "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = " . $reader->process) or die 'the query does not wait';
    ask("SELECT $how, pg_advisory_unlock(1)");
    is(join('', $reader->answer), '11', "its rows are there all the same: $how");
    is(ask('SELECT count(*) FROM wc_cache_entries'), '0', 'but are not kept');
    ask('SELECT pg_advisory_lock(1)');
}
is(ask("SELECT refusals -> 'forgotten', (refusals -> 'written')::int > 0 FROM wc_cache_stats WHERE $own"), '1|t', 'which is counted');
is(ask('SELECT entries, max_entries, bytes, max_bytes, fills, held_by_prepared FROM wc_cache_memory()'), '1|1000|1024|67108864|0|0', 'of the memory one entry is taken, the other database\'s');

# Where there is no cache, and where there is no memory at all.
$_->quit for $control, $second;
$node->append_conf('postgresql.conf', 'whitecross.cache_entries = 0');
$node->restart;
$control = WhiteCross::Session->new($node, 'school');
is(ask($pupils), '10', 'a server without a cache: the query runs');
is(ask("SELECT entries, misses, refusals FROM wc_cache_stats WHERE $own"), '0|0|{"off": 1}', 'and why is counted');
is(ask("SELECT wc_cache_clear(), wc_cache_invalidate('pupil'), wc_cache_invalidate_tag('%'), (SELECT max_bytes FROM wc_cache_memory())"), '0|0|0|0', 'there is nothing to forget');
$control->quit;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->adjust_conf('postgresql.conf', 'whitecross.cache_entries', undef);
$node->restart;
$control = WhiteCross::Session->new($node, 'school');
is(ask($pupils), '10', 'not preloaded: the query runs');
for my $sql ('* FROM wc_cache_stats', '* FROM wc_cache_entries', '* FROM wc_cache_memory()', 'wc_cache_clear()', "wc_cache_invalidate('pupil')", "wc_cache_invalidate_tag('%')", 'wc_reset_cache_stats()') {
    is(ask("SELECT $sql"), 'ERROR:  55000', "$sql says what is missing");
}

ok(index(slurp_file($node->logfile), MARKER) < 0, 'nothing of a row or a parameter is in the server\'s log');

done_testing();

# wc_cached() and wc_cached_json(): the rows are those of the plain query, of every type and shape, computed and from the cache.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('cached_rows', conf => "fsync = off\nautovacuum = off\nwhitecross.monitor_interval = 3600\nwhitecross.health_interval = 0\n");
$node->safe_psql('postgres', 'CREATE DATABASE school');
$node->safe_psql('school', <<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION whitecross;
CREATE TYPE mood AS ENUM ('well', 'unwell');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE every (
  id int PRIMARY KEY, t_bool bool, t_int2 int2, t_int8 int8, t_float4 float4, t_float8 float8, t_numeric numeric, t_numeric_2 numeric(12, 2),
  t_text text, t_varchar varchar(40), t_char char(7), t_one "char", t_name name, t_bytea bytea, t_date date, t_time time, t_timetz timetz,
  t_timestamp timestamp, t_timestamptz timestamptz, t_interval interval, t_uuid uuid, t_json json, t_jsonb jsonb, t_inet inet, t_cidr cidr,
  t_macaddr macaddr, t_bit bit(5), t_varbit varbit, t_point point, t_box box, t_polygon polygon, t_path path, t_tsvector tsvector, t_tsquery tsquery,
  t_range int4range, t_multirange nummultirange, t_ints int[], t_texts text[], t_mood mood, t_moods mood[], t_positive positive, t_pair pair,
  t_pairs pair[], t_lsn pg_lsn, t_plain text);
ALTER TABLE every ALTER t_plain SET STORAGE EXTERNAL;
INSERT INTO every SELECT 1, true, -32768, 9223372036854775807, 'NaN', '-Infinity', 'NaN', -0.005, '', 'väl', 'abc', 'x', 'a name', '\x00ff', 'infinity',
  '24:00', '12:00:01.5+05:30', '-infinity', '2024-02-29 23:59:60+02', '-1 mons +3 days -00:00:00.000001', '0b6f1a52-7f0e-4c5c-9d1c-000000000001',
  '{"b": 1,  "a": [null]}', '{"b": 1, "a": [null, 1e2]}', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101', B'', '(1e300,-0)', '((1,2),(3,4))',
  '((0,0),(1,1),(1,0))', '[(0,0),(1,1)]', 'fat:3A cat:1', 'fat & !cat:*', '[2,2]', '{(,1),[2,3]}', '[0:1][2:3]={{1,NULL},{3,4}}', '{"",NULL,"a,\"b"}', 'unwell',
  '{well,NULL}', 5, ROW(NULL, 'x,"y')::pair, ARRAY[ROW(1, '')::pair, NULL], '16/B374D848', repeat('longer than a page ', 20000);
INSERT INTO every (id) VALUES (2);
INSERT INTO every SELECT 3, false, 0, 0, 1e-45, 5e-324, 1e1000::numeric, 0, repeat('ü', 100000), '', '', '', '', decode(repeat('00ff', 30000), 'hex');
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE changed (a int, gone text, c varchar(10));
INSERT INTO changed VALUES (1, 'x', 'one'), (2, 'y', NULL);
ALTER TABLE changed DROP gone;
ALTER TABLE changed ADD d text DEFAULT 'added';
CREATE VIEW seen AS SELECT id, t_mood, t_numeric_2 FROM every;
CREATE TABLE many AS SELECT i, md5(i::text) AS t FROM generate_series(1, 25000) AS i;
SQL
$node->safe_psql('school', WhiteCross::Cache::SINCE_THE_LAST_LOOK);
my $session = WhiteCross::Session->new($node, 'school');
sub sql { return join "\n", $session->ask("$_[0];") }

# twice(NAME, SQL of the call, SQL of the same rows, what the cache has done): the call gives these rows, computed and from the cache.
sub twice {
    my ($name, $call, $plain, $done) = @_;
    my $expected = sql($plain);
    sql('SELECT done()');
    is(sql($call),           $expected,                    "$name: the rows of the query");
    is(sql($call),           $expected,                    "$name: the same once more");
    is(sql('SELECT done()'), $done // '1 hits, 1 misses', "$name: what the cache has done");
    return;
}

twice('every type', q{SELECT * FROM wc_cached(NULL::every, 'SELECT * FROM every ORDER BY id')}, 'SELECT * FROM every ORDER BY id');
cmp_ok(sql(q{SELECT bytes FROM wc_cache_entries WHERE 'every'::regclass = ANY (tables)}), '>', 380000 + 2000,
    'a value that its table keeps elsewhere is in the entry itself');
is(sql(q{SELECT count(*) FROM wc_cached(NULL::every, 'SELECT * FROM every ORDER BY id') AS c FULL JOIN every AS e USING (id) WHERE c::text IS DISTINCT FROM e::text}),
    '0', 'the row as a whole is the row of the table');
twice('every type as JSON', q{SELECT * FROM wc_cached_json('SELECT * FROM every ORDER BY id')},
    'SELECT to_jsonb(e) FROM every AS e ORDER BY id');

my @columns = split /\n/, sql(q{SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'every'::regclass AND attnum > 1 ORDER BY attnum});
is(scalar @columns, 44, 'columns of the table');
sql('SELECT done()');
my $script = join "\n", map {
    my ($column, $type) = split / /, $_, 2;
    (qq{SELECT '$column', c::text IS NOT DISTINCT FROM e.$column\::text FROM wc_cached(NULL::record, 'SELECT id, $column FROM every') AS r (id int, c $type) JOIN every AS e USING (id);}) x 2
} @columns;
my @answers = split /\n/, sql($script);
is(scalar @answers, 3 * 2 * @columns, 'each column is read alone, twice');
is_deeply([ grep { !/\|t$/ } @answers ], [], 'and each gives its values');
is(sql('SELECT done()'), '44 hits, 44 misses', 'the second time from the cache');

# Parameters: text as PREPARE would read it; NULL is a value.
twice('parameters', q{SELECT * FROM wc_cached(NULL::every, 'SELECT * FROM every WHERE id = $1 AND t_mood = $2 AND t_ints = $3', ARRAY['1', 'unwell', '[0:1][2:3]={{1,NULL},{3,4}}'])},
    'SELECT * FROM every WHERE id = 1');
twice('NULL', q{SELECT * FROM wc_cached(NULL::int, 'SELECT id FROM every WHERE t_bool IS NOT DISTINCT FROM $1', ARRAY[NULL])}, 'SELECT 2');
twice('no parameter can be taken for another', q{SELECT * FROM wc_cached(NULL::text, 'SELECT concat($1::text, $2::text)', ARRAY['a', 'bc'])}, q{SELECT 'abc'});
twice('that has the same letters', q{SELECT * FROM wc_cached(NULL::text, 'SELECT concat($1::text, $2::text)', ARRAY['ab', 'c'])}, q{SELECT 'abc'});

# Shapes.
twice('no columns', q{SELECT count(*) FROM wc_cached(NULL::nothing, 'SELECT FROM nothing')}, 'SELECT 2');
twice('no columns as JSON', q{SELECT * FROM wc_cached_json('SELECT FROM nothing')}, q{SELECT '{}' UNION ALL SELECT '{}'});
twice('no rows', q{SELECT * FROM wc_cached(NULL::every, 'SELECT * FROM every WHERE id > 3')}, 'SELECT * FROM every WHERE id > 3');
twice('a scalar', q{SELECT c + 1 FROM wc_cached(NULL::bigint, 'SELECT count(*) FROM every') AS c}, 'SELECT 4');
twice('a domain', q{SELECT * FROM wc_cached(NULL::positive, 'SELECT t_positive FROM every WHERE id = 1')}, 'SELECT 5');
twice('a type with a dropped and an added column', q{SELECT e.*, e FROM wc_cached(NULL::changed, 'SELECT * FROM changed ORDER BY a') AS e},
    'SELECT e.*, e FROM changed AS e ORDER BY a');
twice('of other columns', q{SELECT * FROM wc_cached(NULL::changed, 'SELECT id, t_varchar::varchar(10), t_text FROM every WHERE id = 1')}, 'SELECT 1, t_varchar, t_text FROM every WHERE id = 1');
twice('a view', q{SELECT * FROM wc_cached(NULL::seen, 'SELECT * FROM seen ORDER BY id')}, 'SELECT * FROM seen ORDER BY id');
twice('text for varchar', q{SELECT t FROM wc_cached(NULL::record, 'SELECT id, t_varchar FROM every ORDER BY id') AS x (i int, t text)}, 'SELECT t_varchar FROM every ORDER BY id');
twice('in a select list', q{SELECT wc_cached(NULL::changed, 'SELECT * FROM changed ORDER BY a')}, 'SELECT e FROM changed AS e ORDER BY a', '2 hits, 0 misses');
twice('a record that nobody describes', q{SELECT wc_cached(NULL::record, 'SELECT id, t_mood FROM every ORDER BY id')}, 'SELECT ROW(id, t_mood) FROM every ORDER BY id');
twice('of two kinds of caller, one entry', q{SELECT * FROM wc_cached(NULL::record, 'SELECT * FROM changed ORDER BY a') AS x (p int, q text, r text)}, 'SELECT * FROM changed ORDER BY a', '2 hits, 0 misses');

# Large results: beyond work_mem, and beyond what an entry may have.
sql(q{SET work_mem = '64kB'});
twice('beyond work_mem', q{SELECT count(*), sum(i), md5(string_agg(t, '' ORDER BY i)) FROM wc_cached(NULL::many, 'SELECT * FROM many WHERE i <= 10000')},
    q{SELECT count(*), sum(i), md5(string_agg(t, '' ORDER BY i)) FROM many WHERE i <= 10000});
sql('RESET work_mem');
twice('larger than an entry may be', q{SELECT count(*), sum(i), md5(string_agg(t, '' ORDER BY i)) FROM wc_cached(NULL::many, 'SELECT * FROM many')},
    q{SELECT count(*), sum(i), md5(string_agg(t, '' ORDER BY i)) FROM many}, '0 hits, 2 misses, too_large 2');
twice('and as JSON', q{SELECT count(*), md5(string_agg(j::text, '' ORDER BY j ->> 't')) FROM wc_cached_json('SELECT * FROM many') AS j},
    q{SELECT count(*), md5(string_agg(to_jsonb(m)::text, '' ORDER BY m.t)) FROM many AS m}, '0 hits, 2 misses, too_large 2');

# What does not fit, says so as the server does, whether the rows are in the cache or not.
for my $time ('computed', 'from the cache') {
    my ($out, $state, $err) = try_sql($node, 'school', q{SELECT * FROM wc_cached(NULL::int, 'SELECT count(*) FROM many')});
    is($state, '42804', "another type ($time)");
    like($err, qr/DETAIL:  Returned type bigint at ordinal position 1, but query expects integer\./, 'which');
    ($out, $state, $err) = try_sql($node, 'school', q{SELECT * FROM wc_cached(NULL::changed, 'SELECT count(*) FROM many')});
    is($state, '42804', 'another number of columns');
    like($err, qr/DETAIL:  Returned row contains 1 attribute, but query expects 3\./, 'how many');
    ($out, $state, $err) = try_sql($node, 'school', q{SELECT * FROM wc_cached(NULL::record, 'SELECT t_varchar FROM every') AS x (t varchar(5))});
    is($state, '42804', 'a narrower type');
    like($err, qr/DETAIL:  Returned type character varying\(40\) at ordinal position 1, but query expects character varying\(5\)\./, 'how wide');
    ($out, $state, $err) = try_sql($node, 'school', q{SELECT * FROM wc_cached(NULL::positive, 'SELECT 0')});
    is($state, '42804', 'a domain of what was not checked');
    sql(q{SELECT * FROM wc_cached(NULL::bigint, 'SELECT count(*) FROM many')});
}
my ($out, $state) = try_sql($node, 'school', q{CREATE DOMAIN changed_domain AS changed; SELECT * FROM wc_cached(NULL::changed_domain, 'SELECT * FROM changed')});
is($state, '0A000', 'a domain over a row type');
($out, $state) = try_sql($node, 'school', q{SELECT * FROM wc_cached(NULL, 'SELECT 1')});
is($state, '42804', 'no type at all');

done_testing();

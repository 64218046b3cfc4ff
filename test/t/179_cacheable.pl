# Which queries the result cache takes, and for what reason it leaves the others alone; what they return either way. The list of
# functions that it trusts although they are STABLE is compared with the server's catalogue.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('cacheable', conf => "autovacuum = off\n");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
CREATE TYPE mood AS ENUM ('now', 'unknown');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE named AS (a int, r regclass);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE SEQUENCE numbers;
CREATE TABLE t (id int PRIMARY KEY, name text, d date, ts timestamptz, at time, m mood, p pair, span tstzrange, price money, x xml, ids int[]);
INSERT INTO t VALUES (1, 'a', '2026-01-02', '2026-01-02 03:04:05+00', '01:02', 'now', '(1,one)', '[2026-01-01,2026-02-01)', 5, '<a/>', '{1,2}');
CREATE TABLE odd (id int, r regclass, c positive, n named);
INSERT INTO odd VALUES (1, 't', 1, '(1,t)');
CREATE TABLE written (id int);
CREATE TABLE guarded (id int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE parts (id int) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE mixed (id int) PARTITION BY LIST (id);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES IN (1);
CREATE FOREIGN TABLE mixed_2 PARTITION OF mixed FOR VALUES IN (2) SERVER elsewhere;
CREATE FOREIGN TABLE far (id int) SERVER elsewhere;
CREATE MATERIALIZED VIEW kept AS SELECT id, now() AS made FROM t;
CREATE VIEW plain_view AS SELECT id, name FROM t WHERE d > '2020-01-01';
CREATE VIEW guarded_view AS SELECT id FROM guarded;
CREATE VIEW clock_view AS SELECT id, now() AS n FROM t;
CREATE FUNCTION sure(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION reads(int) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) + $1 FROM t';
CREATE FUNCTION any_time(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION add_reads(int, int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1 + $2 + count(*)::int FROM t';
CREATE FUNCTION add_any(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END';
CREATE AGGREGATE sum_reads (int) (sfunc = add_reads, stype = int, initcond = '0');
CREATE AGGREGATE sum_any (int) (sfunc = add_any, stype = int, initcond = '0');
CREATE AGGREGATE sum_sure (int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE FUNCTION mood_json(mood) RETURNS json STABLE LANGUAGE sql AS 'SELECT to_json(count(*)) FROM t';
CREATE TYPE cast_mood AS ENUM ('x');
CREATE FUNCTION cast_mood_json(cast_mood) RETURNS json STABLE LANGUAGE sql AS 'SELECT to_json(count(*)) FROM t';
CREATE CAST (cast_mood AS json) WITH FUNCTION cast_mood_json;
CREATE OPERATOR %#% (leftarg = int, rightarg = int, function = add_any);
-- Asks twice. 'cached': the second time was a hit; otherwise the reasons that were counted.
CREATE FUNCTION outcome(query text, params text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  before record;
  after record;
BEGIN
  SELECT hits, refusals INTO before FROM wc_cache_stats WHERE database = current_database();
  PERFORM count(*) FROM wc_cached_json(query, params);
  PERFORM count(*) FROM wc_cached_json(query, params);
  SELECT hits, refusals INTO after FROM wc_cache_stats WHERE database = current_database();
  RETURN concat_ws(' ', CASE WHEN after.hits = before.hits + 1 THEN 'cached' END,
    (SELECT string_agg(a.key, ',' ORDER BY a.key) FROM jsonb_each_text(after.refusals) AS a
      WHERE a.value::bigint > coalesce((before.refusals ->> a.key)::bigint, 0)));
END $$;
SQL

# ---- Each query with what becomes of it.
my @cases = split /\n/, <<'LIST';
cached              SELECT * FROM t WHERE id = 1
cached              SELECT 1
cached              TABLE t
cached              VALUES (1, 'a'), (2, 'b')
cached              SELECT * FROM plain_view
cached              SELECT * FROM parent
cached              SELECT * FROM parts WHERE id = 1
cached              SELECT * FROM kept
cached              SELECT sure(id) FROM t
cached              SELECT sum_sure(id) FROM t
cached              SELECT id FROM t WHERE name IN (SELECT name FROM t) AND EXISTS (SELECT 1 FROM odd)
cached              WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a WHERE x < 5) SELECT * FROM a
cached              SELECT count(*), array_agg(id), string_agg(name, ',' ORDER BY id), max(ts) FROM t GROUP BY GROUPING SETS ((id), ())
cached              SELECT lead(id) OVER w, sum(id) OVER (ORDER BY ts RANGE BETWEEN '1 day' PRECEDING AND CURRENT ROW) FROM t WINDOW w AS (ORDER BY id)
cached              SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM t
cached              SELECT DISTINCT ON (name) name, coalesce(id, 1), CASE WHEN id = 1 THEN 2 END, nullif(id, 2), greatest(id, 3), id IS DISTINCT FROM 4, id = ANY (ids), (id, name) < (1, 'a'), ids[1], NOT id IS NULL FROM t ORDER BY name LIMIT 3 OFFSET 0
cached              SELECT * FROM t AS a LEFT JOIN LATERAL (SELECT g FROM generate_series(1, a.id) AS g) AS b ON true
cached              SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY[1])) WITH ORDINALITY AS r (a, b, n)
cached              (SELECT id FROM t UNION SELECT 2) EXCEPT SELECT 3 ORDER BY 1
cached              SELECT ts::date, to_char(ts, 'YYYY'), date_trunc('day', ts), extract(year FROM ts), ts + '1 day', d < ts, ts AT TIME ZONE 'UTC', age(ts, ts) FROM t
cached              SELECT d::text, ts::text, id::text, m::text, p::text, span::text, price::text, name::varchar(3), ids::text FROM t
cached              SELECT name || d, concat(name, d, m), concat_ws(',', id, ts), format('%s %L', d, m), quote_literal(id), array_to_string(ids, ',') FROM t
cached              SELECT to_json(t), to_jsonb(p), row_to_json(ROW(id, name)), json_build_object('a', m), jsonb_build_array(ts, ids) FROM t
cached              SELECT json_agg(q), jsonb_object_agg(q.id, q.m) FROM (SELECT id, m, p FROM t) AS q
cached              SELECT json_agg(j) FROM (t JOIN plain_view USING (id)) AS j
cached              SELECT to_tsvector('english', name) @@ to_tsquery('a'), to_tsvector(name) FROM t
cached              SELECT c.id, c.n FROM XMLTABLE('/a' PASSING (xml '<a><id>1</id><n>b</n></a>') COLUMNS id int, n text) AS c
cached              SELECT xmlelement(NAME a, id, ts), xmlforest(name AS b) FROM t
cached              SELECT 't'::regclass::oid
cached              SELECT tableoid::int FROM t
cached              SELECT * FROM t WHERE d > '2024-01-01' AND name = 'unknown'
cached              SELECT * FROM t WHERE m = 'now'
cached              SELECT id FROM t WHERE name = 'today'
cached              SELECT c + 1 AS one FROM odd
modifies_data       INSERT INTO written VALUES (1) RETURNING id
modifies_data       UPDATE written SET id = 2 RETURNING id
modifies_data       DELETE FROM written RETURNING id
modifies_data       WITH a AS (INSERT INTO written VALUES (1) RETURNING id) SELECT * FROM a
row_marks           SELECT id FROM t FOR UPDATE
row_marks           SELECT id FROM t FOR KEY SHARE
row_marks           SELECT * FROM (SELECT id FROM t FOR SHARE) AS q
row_security        SELECT * FROM guarded
row_security        SELECT * FROM guarded_view
foreign_table       SELECT 1 WHERE EXISTS (SELECT 1 FROM mixed WHERE id = 1)
foreign_table       SELECT * FROM t LEFT JOIN far USING (id) WHERE false
catalogue_table     SELECT count(*) FROM pg_class
catalogue_table     SELECT count(*) FROM information_schema.sql_features
sequence            SELECT last_value FROM numbers
tablesample         SELECT id FROM t TABLESAMPLE BERNOULLI (100)
other_query         SELECT ctid FROM t
other_query         SELECT xmax::text FROM t
domain_check        SELECT id::positive FROM t
record_type         SELECT ROW(1, 2)
record_type         SELECT ARRAY[ROW(1, 2)]
record_type         SELECT q FROM (SELECT 1 AS a) AS q
current_user        SELECT current_user
current_user        SELECT current_schema
current_user        SELECT session_user::text
clock               SELECT now()
clock               SELECT CURRENT_DATE
clock               SELECT LOCALTIME(0)
clock               SELECT statement_timestamp()
clock               SELECT age(ts) FROM t
clock               SELECT at::timetz FROM t
clock               SELECT timetz '04:05'
clock               SELECT * FROM clock_view
clock               SELECT * FROM t WHERE d < 'today'
clock               SELECT id FROM t WHERE ts < E'\x6eow'
clock               SELECT id FROM t WHERE span && '[yesterday,tomorrow)'::tstzrange
clock               SELECT id FROM t WHERE d = ANY ('{today}'::date[])
volatile_function   SELECT random() > 2
volatile_function   SELECT nextval('numbers')
volatile_function   SELECT any_time(id) FROM t
volatile_function   SELECT id %#% 1 FROM t
volatile_function   SELECT sum_any(id) FROM t
volatile_function   SELECT sum_any(id) OVER () FROM t
volatile_function   SELECT id FROM t ORDER BY any_time(id)
volatile_function   SELECT id FROM t LIMIT any_time(1)
clock               SELECT clock_timestamp()
stable_function     SELECT reads(id) FROM t
stable_function     SELECT sum_reads(id) FROM t
stable_function     SELECT name::date FROM t WHERE false
stable_function     SELECT * FROM XMLTABLE('/a' PASSING (xml '<a/>') COLUMNS x date) AS c
stable_function     SELECT current_setting('work_mem')
stable_function     SELECT pg_get_viewdef('plain_view'::regclass)
stable_function     SELECT has_table_privilege('t', 'SELECT')
stable_function     SELECT * FROM json_to_record('{"d": "today"}') AS r (d date)
stable_function     SELECT txid_current_if_assigned()
object_identifier   SELECT to_json(r) FROM odd
object_identifier   SELECT 'name ' || r FROM odd
object_identifier   SELECT n::text FROM odd
object_identifier   SELECT array_to_string(ARRAY[r], ',') FROM odd
object_identifier   SELECT row_to_json(q) FROM (SELECT id, r FROM odd) AS q
object_identifier   SELECT row_to_json(q) FROM (t JOIN odd USING (id)) AS q
object_identifier   SELECT json_agg(r) FROM odd
object_identifier   SELECT xmlelement(NAME a, r) FROM odd
object_identifier   SELECT to_json('x'::cast_mood)
object_identifier   SELECT r FROM odd
object_identifier   SELECT n FROM odd
utility             SHOW work_mem
utility             EXPLAIN (COSTS off) SELECT 1
LIST
my $script = join '', map {
    my ($query) = /^\S+\s+(.+)$/;
    "SELECT outcome(\$query\$$query\$query\$);\n"
} @cases;
my @outcomes = split /\n/, $node->safe_psql('postgres', $script);
for my $i (0 .. $#cases) {
    my ($wanted, $query) = $cases[$i] =~ /^(\S+)\s+(.+)$/;
    is($outcomes[$i], $wanted, "$wanted: $query");
}

# ---- What a session has of its own.
is( $node->safe_psql('postgres', <<'SQL'), "temporary_table\ntemporary_table\ntemporary_table\ncached", 'temporary tables, and those with a temporary child');
CREATE TEMP TABLE own (id int);
SELECT outcome('SELECT * FROM own');
CREATE VIEW pg_temp.of_own AS SELECT * FROM own;
SELECT outcome('SELECT * FROM of_own');
CREATE TEMP TABLE own_child () INHERITS (child);
SELECT outcome('SELECT * FROM parent');
DROP TABLE own_child;
SELECT outcome('SELECT * FROM parent');
SQL
is($node->safe_psql('postgres', q{SELECT string_agg(r::text, ',') FROM wc_cached(NULL::regclass, 'SELECT r FROM odd') AS r, generate_series(1, 2)}),
    't,t', 'rows with a name of the catalogue in them can be kept as rows');

# ---- Refused or not, the rows are the query's.
is($node->safe_psql('postgres', q{SELECT wc_cached_json('INSERT INTO written VALUES (41) RETURNING id + 1 AS n')}), '{"n": 42}', 'what a refused query returns');
is($node->safe_psql('postgres', 'SELECT count(*) FROM written WHERE id = 41'), '1', 'and it ran once');

# ---- The list of functions that are trusted, as it is written, beside the catalogue.
my $list = slurp_file(tree() . '/src/cache/stable_functions.cpp');
my @rows = $list =~ /^\s*\{(\d+), Stable::(\w+)\},/mg;
my %kind = @rows;
is(scalar(keys %kind), scalar(@rows) / 2, 'each function is listed once');
cmp_ok(scalar(keys %kind), '>', 100, 'many are');
my $values = join ',', map { "($_, '$kind{$_}')" } sort { $a <=> $b } keys %kind;
is($node->safe_psql('postgres', <<"SQL"), '', 'they exist, are the server\'s own, and are STABLE but for clocks');
SELECT l.oid, p.oid::regprocedure, p.provolatile
  FROM (VALUES $values) AS l (oid, kind)
  LEFT JOIN pg_proc AS p ON p.oid = l.oid
 WHERE p.oid IS NULL OR p.pronamespace <> 'pg_catalog'::regnamespace OR p.oid >= 10000
    OR NOT (p.provolatile = 's' OR p.provolatile = 'v' AND l.kind = 'Clock')
SQL
is($node->safe_psql('postgres', <<"SQL"), '', 'none of those that are trusted is known to tell the time, the session or what is in catalogues');
SELECT p.oid::regprocedure
  FROM (VALUES $values) AS l (oid, kind) JOIN pg_proc AS p ON p.oid = l.oid
 WHERE l.kind <> 'Clock'
   AND (p.prosrc ~* '^(now|.*_user|date_in|time_in|timetz_in|timestamp_in|timestamptz_in|array_in|record_in|range_in|multirange_in|domain_in|time_timetz|timetz_zone|jsonb_path_.*_tz|reg.*|to_reg.*|pg_.*|has_.*|current_.*|inet_.*|show_.*|.*_to_xml.*|json.*_record.*|.*recv|.*sel)\$'
        OR p.prosrc ~* 'current_(date|time)'
        OR 'internal'::regtype = ANY (p.proargtypes) AND NOT p.proname ~ '^jsonb?_.*(transfn|finalfn)\$')
SQL
is($node->safe_psql('postgres', <<"SQL"), '', 'those that print take arguments of any type, and only those do');
SELECT p.oid::regprocedure, l.kind
  FROM (VALUES $values) AS l (oid, kind) JOIN pg_proc AS p ON p.oid = l.oid
 WHERE (l.kind = 'Prints') <> (EXISTS (SELECT FROM unnest(p.proargtypes) AS a JOIN pg_type AS t ON t.oid = a
                                        WHERE t.typtype = 'p' AND t.typname NOT IN ('internal', 'cstring', 'anyenum'))
                               OR p.proname ~ 'finalfn\$')
SQL

done_testing();

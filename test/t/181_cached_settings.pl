# Every function that is trusted because it reads nothing but settings, under every setting that is in the key: what comes out of
# the cache is what the query returns under the settings of the moment, whichever were asked under before.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('settings_cross', conf => "autovacuum = off\n");

# What values are asked for: t has one row.
my @expressions = split /\n/, <<'LIST';
d < ts, d <= ts, d = ts, d <> ts, d >= ts, d > ts
ts < d, ts <= d, ts = d, ts <> d, ts >= d, ts > d
w < ts, w <= ts, w = ts, w <> ts, w >= ts, w > ts
ts < w, ts <= w, ts = w, ts <> w, ts >= w, ts > w
ts::date, ts::time, ts::timestamp, ts::timetz::text, w::timestamptz::text, d::timestamptz::text, timestamptz(d, tm)::text
ts + '1 month'::interval, ts - '1 day'::interval, '1 day'::interval + ts, (ts, '1 day'::interval) OVERLAPS (ts, ts)
(ts, '1 day'::interval) OVERLAPS (ts, '1 hour'::interval), (ts, ts) OVERLAPS (ts, '1 hour'::interval)
date_part('hour', ts), extract(hour FROM ts), extract(timezone FROM ts), date_trunc('day', ts), date_trunc('day', ts, 'Asia/Tokyo')
(SELECT array_agg(g) FROM generate_series(ts, ts + '2 days', '1 day') AS g), make_timestamptz(2026, 3, 29, 2, 30, 0)
(SELECT sum(n) OVER (ORDER BY ts RANGE BETWEEN '1 day' PRECEDING AND CURRENT ROW))
make_timestamptz(2026, 3, 29, 2, 30, 0, 'Europe/Berlin'), ts AT TIME ZONE 'UTC'
to_char(ts, 'YYYY-MM-DD HH24:MI TZ OF'), to_char(w, 'TMDay TMMonth'), to_char(i, 'HH24:MI'), to_char(ts, 'TMDy')
to_char(n, 'L9G999D99'), to_char(1234567, '9G999G999'), to_char(1234567::bigint, '9G999G999'), to_char(1.5::real, '9D9'), to_char(2.5::float8, '9D9')
to_timestamp('2026-03-04 05:06', 'YYYY-MM-DD HH24:MI'), to_date('04 03 2026', 'DD MM YYYY'), to_number('1234.5', '9999D9')
money::text, money::numeric, n::numeric(8,2)::money, 5::money, 6::bigint::money, '7.5'::text::money
d::text, w::text, ts::text, i::text, '1 day 2 hours'::text::interval, '-1 1:00'::interval
m::text, enum_range(m)::text, enum_first(m), enum_last(m), enum_range(m, NULL), 'good'::text::mood
to_tsvector('running runners'), to_tsquery('running'), plainto_tsquery('running'), phraseto_tsquery('running far'), websearch_to_tsquery('running')
to_tsvector('{"a": "running"}'::json), to_tsvector('{"a": "running"}'::jsonb), json_to_tsvector('{"a": "running"}', '"all"'), jsonb_to_tsvector('{"a": "running"}', '"all"')
'running'::text @@ to_tsquery('run'), 'running'::text @@ 'run'::text, ts_headline('running far', 'run'::tsquery), ts_headline('running far', 'run'::tsquery, 'StartSel=*')
ts_headline('{"a": "running"}'::json, 'run'::tsquery), ts_headline('{"a": "running"}'::jsonb, 'run'::tsquery, 'StartSel=*')
xml_is_well_formed('a<b/>'), CASE WHEN xml_is_well_formed('a<b/>') THEN 'a<b/>'::text::xml ELSE '<b/>'::text::xml END::text
xmlelement(NAME a, by, ts, d, f)::text, xmlforest(by AS b)::text
array_to_string(dates, ','), array_to_string(ARRAY[ts, NULL], ',', '-'), dates::text, p::text, span::text, ('{' || span::text || '}')
ROW(ts, i, f, by)::text, nested::text, ARRAY[f, 0.1::float8]::text, floats::text
to_json(ts), to_json(d), to_json(i), to_json(f), to_json(by), to_json(money), to_json(dates), to_json(span)
to_jsonb(ts), to_jsonb(w), to_jsonb(i), to_jsonb(f), to_jsonb(by), to_jsonb(money), to_jsonb(p), to_jsonb(nested), row_to_json(t), row_to_json(t, true)
array_to_json(dates), array_to_json(ARRAY[ts], true), json_build_array(ts, i, money), json_build_object('a', ts, 'f', f), jsonb_build_array(ts, i), jsonb_build_object('a', by)
(SELECT json_agg(q) FROM (SELECT ts, i, f FROM t) AS q), (SELECT jsonb_agg(q) FROM (SELECT ts, i, by FROM t) AS q), (SELECT json_object_agg(u.ts, u.i) FROM t AS u), (SELECT jsonb_object_agg(u.ts, u.money) FROM t AS u)
concat(ts, ' ', i, f), concat_ws('|', d, by, money), format('%s %L %I', ts, d, f), quote_literal(ts), quote_nullable(i), 'x' || ts, i || 'y', quote_ident('plain')
f::text, (f * 3)::real::text, by::text, point(f, f)::text, encode(by, 'escape'), (f * 1e20)::text
'01/02/03'::date - d, '2026-01-02 03:04'::timestamptz - ts, 'EST'::text, '2026-01-02 03:04 EST'::timestamptz - ts
'a\b', E'a\\b', length('a\\b'), NULL = 1, 1 = NULL, '{NULL,1}'::text[]
unqualified.x, (SELECT count(*) FROM unqualified), pick(1)
LIST
my %settings = (
    'DateStyle'                  => [ 'ISO, MDY', 'German', 'SQL, DMY', 'Postgres, YMD' ],
    'IntervalStyle'              => [qw(postgres iso_8601 sql_standard)],
    'TimeZone'                   => [ 'UTC', 'America/Denver', 'Pacific/Kiritimati', '<x>-03:30' ],
    'timezone_abbreviations'     => [qw(Default Australia)],
    'extra_float_digits'         => [qw(1 0 -3)],
    'bytea_output'               => [qw(hex escape)],
    'xmlbinary'                  => [qw(base64 hex)],
    'xmloption'                  => [qw(content document)],
    'lc_monetary'                => [ 'C', 'C.UTF-8' ],
    'lc_numeric'                 => [ 'C', 'C.UTF-8' ],
    'lc_time'                    => [ 'C', 'C.UTF-8' ],
    'default_text_search_config' => [qw(pg_catalog.english pg_catalog.simple pg_catalog.german)],
    'quote_all_identifiers'      => [qw(off on)],
    'standard_conforming_strings' => [qw(on off)],
    'transform_null_equals'      => [qw(off on)],
    'array_nulls'                => [qw(on off)],
    'search_path'                => [ 'one, public', 'two, public' ],
);
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE TYPE mood AS ENUM ('bad', 'good');
CREATE TYPE pair AS (a timestamptz, b float8);
CREATE TYPE nest AS (p pair, i interval[]);
CREATE TABLE t (d date, tm time, w timestamp, ts timestamptz, i interval, n numeric, f float8, by bytea, money money, m mood, dates date[], floats float8[],
                p pair, nested nest, span tstzrange);
SET TimeZone = 'UTC';
INSERT INTO t VALUES ('2026-01-02', '03:04', '2026-01-02 00:00', '2026-01-02 00:00+00', '-1 day 2 hours', 1234.5, 1.0 / 3, '\xc300ff', 12.5, 'good', '{2026-01-02,2026-03-04}',
  ARRAY[1.0 / 3, 2], ROW('2026-01-02 00:00+00', 0.1), ROW(ROW('2026-06-01 00:00+00', 0.3)::pair, ARRAY['1 year 2 mons'::interval])::nest, '[2026-01-01,2026-07-01)');
CREATE SCHEMA one;
CREATE SCHEMA two;
CREATE TABLE one.unqualified AS SELECT 1 AS x;
CREATE TABLE two.unqualified AS SELECT 2 AS x UNION ALL SELECT 2;
CREATE FUNCTION one.pick(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN ''one''; END';
CREATE FUNCTION two.pick(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN ''two''; END';
SQL

# NULLs are left out by concat_ws(): what is there has to differ.
my @asked = map { "SELECT concat_ws('|', $_) AS c FROM t, unqualified" } @expressions;

# Under the first value of each setting, then under each of the others, and under the first again: every expression twice through the
# cache and once plainly.
my $script = <<'SQL';
SET client_min_messages = error;
CREATE TEMP TABLE asked (n int, query text);
CREATE TEMP TABLE seen (query int, setting text, cached text, again text, plain text);
CREATE FUNCTION pg_temp.cached(query text) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT string_agg(wc::text, ';') FROM public.wc_cached_json(query) AS wc $$;
CREATE FUNCTION pg_temp.plainly(query text) RETURNS text LANGUAGE plpgsql SET escape_string_warning = off AS $$
DECLARE
  rows text;
BEGIN
  EXECUTE 'SELECT string_agg(to_jsonb(q)::text, '';'') FROM (' || query || ') AS q' INTO rows;
  RETURN rows;
END $$;
SQL
$script .= "INSERT INTO pg_temp.asked VALUES ($_, \$q\$$asked[$_]\$q\$);\n" for 0 .. $#asked;
my @under = ([ 'first', '' ]);
for my $name (sort keys %settings) {
    my ($first, @others) = @{ $settings{$name} };
    push @under, map { [ "$name = $_", "SET $name = " . ($name eq 'search_path' ? $_ : "'$_'") . ';' ] } @others;
}
my $reset = join '', map { "SET $_ = " . ($_ eq 'search_path' ? $settings{$_}[0] : "'$settings{$_}[0]'") . ";\n" } sort keys %settings;
for my $under (@under, $under[0]) {
    my ($name, $set) = @$under;
    $script .= "$reset$set\n";
    $script .= "INSERT INTO pg_temp.seen SELECT n, \$n\$$name\$n\$, pg_temp.cached(query), pg_temp.cached(query), pg_temp.plainly(query) FROM pg_temp.asked;\n";
}
$script .= <<'SQL';
RESET ALL;
SELECT 'query ' || query || ' under ' || setting || E':\n' || concat_ws(E'\n', cached, again, plain)
  FROM pg_temp.seen WHERE cached IS DISTINCT FROM plain OR again IS DISTINCT FROM plain;
SELECT 'query ' || query || ' is always the same' FROM pg_temp.seen GROUP BY query HAVING count(DISTINCT plain) < 2;
SELECT 'hits ' || hits || ', misses ' || misses || ', refusals ' || refusals FROM wc_cache_stats WHERE database = current_database();
SQL
my ($out, $err);
$node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 0);
is($err, '', 'all of it runs');
# Those of the first settings are asked for once more at the end.
my ($queries, $settings) = (scalar(@asked), scalar(@under));
is($out, 'hits ' . ($queries * ($settings + 2)) . ', misses ' . ($queries * $settings) . ', refusals {}',
    "$queries queries under $settings settings: each has entries of its own, which are what the query returns, and all are cached");

done_testing();

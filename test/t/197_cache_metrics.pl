# What the result cache tells of itself in wc_metrics: the numbers are those of wc_cache_stats, by database and reason, and move with what is asked;
# a second tier is told of where one is configured; rules and dashboard have what they go by.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Metrics;
use WhiteCross::Test;

my $node = new_node('cache_metrics', conf => "whitecross.cache_entries = 100\nwhitecross.cache_size = '8MB'\nautovacuum = off\nwhitecross.monitor_interval = '1h'\nwhitecross.health_interval = 0\n");
make_database($node, $_, 'empty', extensions => ['whitecross']) for 'school', 'other';
sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'school', $sql) }
sub value_of { my ($name, $labels) = @_; return sql("SELECT value FROM wc_metrics WHERE name = 'whitecross_cache_$name' AND labels = '" . ($labels // '{"database": "school"}') . "'") }
sub families { my ($what, $database) = @_; return sql("SELECT string_agg(DISTINCT m.name, ' ' ORDER BY m.name) FROM wc_metrics() AS m WHERE m.name LIKE 'whitecross\\_cache\\_$what'", $database) }

is(value_of('limit_entries', '{}'), 100, 'the limit of entries');
is(value_of('limit_bytes', '{}'), 8 * 1024 * 1024, 'and of memory');
is(families('second%'), '', 'no second tier is told of where there is none');

# ---- What is asked for moves the numbers.
for my $database ('school', 'other') {
    sql('CREATE TABLE notes (id int PRIMARY KEY, note text); INSERT INTO notes SELECT n, n FROM generate_series(1, 1000) AS n', $database);
}
my $ask = sub { my ($id) = @_; return "SELECT wc_cached_json('SELECT note FROM notes WHERE id = \$1', '{$id}');" };
sql(join "\n", map { $ask->($_) } 1, 1, 1, 2, 2);
sql($ask->(1), 'other');
sql(q{SELECT wc_cached_json('SELECT now()'); SELECT wc_cached_json('SELECT now()'); SELECT wc_cached_json('SELECT random()')});
sql('UPDATE notes SET note = 0');
sql($ask->(2));
my @counters = qw(hits misses stores evictions invalidations expirations waits);
is(join(' ', map { "$_ " . value_of("${_}_total") } @counters), 'hits 3 misses 3 stores 3 evictions 0 invalidations 1 expirations 0 waits 0', 'hits, misses and what was older than a write');
is(join(' ', map { value_of("${_}_total", '{"database": "other"}') } @counters), '0 1 1 0 0 0 0', 'each database has its own');
is(value_of('entries', '{"database": "other"}'), 1, 'so have entries');
cmp_ok(value_of('size_bytes'), '>', 0, 'they have a size');
# As in the view, whatever columns it has.
is(sql(<<'SQL'), '', 'every number is that of wc_cache_stats');
WITH shown AS MATERIALIZED (SELECT m.name, m.labels ->> 'database' AS database, m.value FROM wc_metrics('cache') AS m),
     truth AS MATERIALIZED (SELECT 'whitecross_cache_' || CASE e.key WHEN 'entries' THEN 'entries' WHEN 'bytes' THEN 'size_bytes' ELSE e.key || '_total' END AS name, s.database, e.value::float8
                              FROM wc_cache_stats AS s CROSS JOIN LATERAL jsonb_each_text(to_jsonb(s)) AS e
                             WHERE e.key IN ('entries', 'bytes', 'hits', 'misses', 'stores', 'evictions', 'invalidations', 'expirations', 'waits'))
SELECT string_agg(d::text, ' ') FROM ((TABLE shown EXCEPT TABLE truth) UNION ALL (TABLE truth EXCEPT TABLE shown)) AS d
SQL
is(sql('SELECT count(*) FROM wc_metrics($$cache$$)'), 18, 'nine of each of two databases');
is(sql(<<'SQL'), '', 'refusals are those of the view');
WITH shown AS (SELECT m.labels, m.value FROM wc_metrics('cache_refusals') AS m),
     truth AS (SELECT jsonb_build_object('database', s.database, 'reason', r.key) AS labels, r.value::float8 FROM wc_cache_stats AS s CROSS JOIN LATERAL jsonb_each_text(s.refusals) AS r)
SELECT string_agg(d::text, ' ') FROM ((TABLE shown EXCEPT TABLE truth) UNION ALL (TABLE truth EXCEPT TABLE shown)) AS d
SQL
is(sql(q{SELECT sum(value) FROM wc_metrics('cache_refusals') WHERE labels ->> 'database' = 'school'}), 3, 'three queries were not cached');
is(sql(q{SELECT max(value) FROM wc_metrics('cache_refusals') WHERE labels ->> 'database' = 'school'}), 2, 'two of them for one reason');

# ---- By tag, of this database.
sql(q{SELECT wc_cached_json('SELECT note FROM notes WHERE id = $1', '{7}', tag => 'a "quoted" tag') FROM generate_series(1, 3)});
is(sql(q{SELECT string_agg(split_part(name, '_tag_', 2) || ' ' || value, ', ' ORDER BY name) FROM wc_metrics('cache_tags') WHERE labels = '{"database": "school", "tag": "a \\"quoted\\" tag"}' AND name !~ 'size|age'}),
    'entries 1, hits 2', 'an entry by its tag');
is(sql(<<'SQL'), '', 'entries, memory and hits of each tag are those of wc_cache_entries');
WITH shown AS (SELECT m.name, m.labels ->> 'tag' AS tag, m.value FROM wc_metrics('cache_tags') AS m WHERE m.name !~ 'age'),
     truth AS (SELECT v.name, coalesce(e.tag, '(none)') AS tag, v.value FROM (SELECT c.tag, count(*) AS entries, sum(c.bytes) AS bytes, sum(c.hits) AS hits FROM wc_cache_entries AS c GROUP BY c.tag) AS e
                CROSS JOIN LATERAL (VALUES ('whitecross_cache_tag_entries', e.entries::float8), ('whitecross_cache_tag_size_bytes', e.bytes), ('whitecross_cache_tag_hits', e.hits)) AS v (name, value))
SELECT string_agg(d::text, ' ') FROM ((TABLE shown EXCEPT TABLE truth) UNION ALL (TABLE truth EXCEPT TABLE shown)) AS d
SQL
is(sql(q{SELECT count(*) FROM wc_metrics('cache_tags')}), 8, 'four of each of two tags, and none of another database');

# ---- More questions than places.
sql(join "\n", map { $ask->($_) } 1 .. 400);
cmp_ok(value_of('evictions_total'), '>=', 250, 'results that gave their place to others');
cmp_ok(sql(q{SELECT sum(value) FROM wc_metrics('cache') WHERE name = 'whitecross_cache_entries'}), '<=', 100, 'there are no more than there are places');

sql(join "\n", map { "SELECT wc_cached_json('SELECT note FROM notes WHERE id = \$1', '{1}', tag => 'tag $_');" } 1 .. 70);
cmp_ok(sql(q{SELECT count(*) FROM wc_metrics('cache_tags') WHERE name = 'whitecross_cache_tag_entries'}), '<=', 51, 'fifty tags, and the others');
is(sql(q{SELECT sum(m.value) = (SELECT count(*) FROM wc_cache_entries) FROM wc_metrics('cache_tags') AS m WHERE m.name = 'whitecross_cache_tag_entries'}), 't', 'which are all there are');

# ---- The text of it.
my ($status, $findings) = run_tool(sql('SELECT wc_prometheus()') . "\n", 'promtool', 'check', 'metrics');
is("$status $findings", '0 ', 'promtool finds nothing');
unlike(sql('SELECT wc_prometheus()'), qr/whitecross_cache\S* (?:NaN|$)/m, 'every number is one');

# ---- Reset, and what is told without a cache.
sql('SELECT wc_reset_cache_stats()');
is(sql(q{SELECT coalesce(sum(value), 0) FROM wc_metrics WHERE name LIKE 'whitecross\_cache\_%\_total' AND labels ->> 'database' = 'school'}), 0, 'counters begin anew');
cmp_ok(sql(q{SELECT sum(value) FROM wc_metrics('cache') WHERE name = 'whitecross_cache_entries'}), '>', 50, 'entries are still there');
is((try_sql($node, 'school', q{CREATE ROLE somebody; SET ROLE somebody; SELECT * FROM wc_cache_metrics(NULL)}))[1], '42501', 'granted to nobody');
$node->append_conf('postgresql.conf', 'whitecross.cache_entries = 0');
$node->restart;
sql($ask->(1));
is(value_of('limit_entries', '{}'), 0, 'a cache that is off has no places');
is(sql(q{SELECT coalesce(sum(value), 0) FROM wc_metrics('cache') WHERE name IN ('whitecross_cache_entries', 'whitecross_cache_hits_total')}), 0, 'and no entries');
is(sql(q{SELECT detail FROM wc_health_check() WHERE check_name = 'result cache'}), 'there is none: whitecross.cache_entries is 0', 'the health check says so');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(families('%'), '', 'not preloaded, nothing is told');

done_testing();

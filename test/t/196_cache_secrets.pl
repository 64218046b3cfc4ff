# Two different parameter values never share an entry of the result cache; its keys tell nothing; and no row's or parameter's value is
# in the clear in what it shows, logs or gives to Redis.
# WC_CACHE_PAIRS says of how many pairs at least (1,000,000).

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('secrets', conf => <<'CONF');
autovacuum = off
whitecross.cache_entries = 20000
whitecross.cache_size = '256MB'
whitecross.track_nested = on
whitecross.slow_query_threshold = 0
whitecross.log_slow_queries = on
log_statement = none
log_min_messages = debug5
log_min_error_statement = panic
log_error_verbosity = terse
log_line_prefix = '%m <%p> '
CONF
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE TABLE bystander (id int);
INSERT INTO bystander VALUES (7);
SQL
my $cache = WhiteCross::Cache->new($node, 'postgres', bystander => 'SELECT id FROM bystander');
my $s     = $cache->session;

# ---- Pairs. Of n different values each is compared with each: the first time none of the others' entries is taken for it, the second
# time it finds its own. Values that a careless key would take for one another are among them: pairs of texts that are the same in a
# row, numbers and their texts, NULL and words for it, one changed bit, lengths.
my $pairs = $ENV{WC_CACHE_PAIRS} // 1_000_000;
my $n     = 1;
$n++ until $n * ($n - 1) / 2 >= $pairs;
my $seed = $ENV{WC_CACHE_SEED} // $$;
$s->ask(<<"SQL");
SELECT setseed(($seed % 1000) / 1000.0);
CREATE TABLE pair AS
SELECT DISTINCT ON (a, b) a, b FROM (
  SELECT * FROM (VALUES ('ab', 'c'), ('a', 'bc'), ('abc', ''), ('', 'abc'), ('abc', NULL), (NULL, 'abc'), (NULL, NULL), ('', ''), ('', NULL), (NULL, ''), ('NULL', 'null'), ('0', '00'), ('00', '0'),
                        (E'\\x01', ''), ('', E'\\x01'), ('a,b', 'c'), ('a', 'b,c'), (repeat('a', 126), 'a'), (repeat('a', 127), ''), (repeat('a', 65536), 'b'), (repeat('a', 65536), 'c')) AS v (a, b)
  UNION ALL
  SELECT substr(t, 1, cut), nullif(substr(t, cut + 1), 'x') FROM (SELECT (random() * 100000)::int::text || chr(97 + (random() * 3)::int) AS t, (random() * 6)::int AS cut FROM generate_series(1, 2 * $n)) AS x
) AS y ORDER BY a, b LIMIT $n;
ANALYZE pair;
SQL
my $number = $s->ask('SELECT count(*) FROM pair;');
is($number, $n, "$n values of two parameters: " . $n * ($n - 1) / 2 . ' pairs');
my $ask = q{SELECT count(*) FILTER (WHERE w IS DISTINCT FROM pair.a || '|' OR x IS DISTINCT FROM '|' || pair.b)
              FROM pair, LATERAL (SELECT * FROM wc_cached(NULL::record, 'SELECT $1::text || ''|'', ''|'' || $2::text FROM bystander', ARRAY[a, b]) AS r (w text, x text)) AS l;};
for my $case ([ 'misses', 'a first time each is new' ], [ 'hits', 'a second time each finds its own' ]) {
    my ($what, $name) = @$case;
    my $before = $cache->counters;
    is($s->ask($ask), 0, "$name: each has its own rows");
    my $after = $cache->counters;
    is($after->{$what} - $before->{$what}, $n, $name);
}
# Where the types are others than text.
for my $type ('numeric', 'float8', 'bytea', 'timestamptz', 'int[]', 'uuid', 'jsonb') {
    my $value = { numeric => 'g::numeric / 100', float8 => 'g::float8 / 3', bytea => q{('\x' || lpad(to_hex(g), 6, '0'))::bytea}, timestamptz => q{'epoch'::timestamptz + g * interval '1 microsecond'},
        'int[]' => 'ARRAY[g / 100, g % 100]', uuid => q{lpad(to_hex(g), 32, '0')::uuid}, jsonb => q{jsonb_build_object('a', g)} }->{$type};
    my $asked = qq{SELECT count(*) FILTER (WHERE w IS DISTINCT FROM v) FROM (SELECT $value AS v FROM generate_series(1, 300) AS g) AS x, LATERAL wc_cached(NULL::$type, 'SELECT \$1::$type FROM bystander', ARRAY[v::text]) AS w;};
    my $before = $cache->counters;
    my @wrong = $s->ask($asked);
    push @wrong, $s->ask($asked);
    my $after = $cache->counters;
    is(join(' ', @wrong, map { $after->{$_} - $before->{$_} } 'misses', 'hits'), '0 0 300 300', "values of $type");
}

# ---- Values that may be nowhere.
my @secret = ('Zq9Patient', 'SSN-131-31-3131', '1313131313', 'Zq9Diagnosis', 'Zq9Column');
sub secrets_in { my ($text) = @_; return join ' ', grep { index(lc $text, lc $_) >= 0 } @secret }
my $redis = $cache->with_redis;
$s->ask(q{DISCARD ALL; SET client_min_messages = warning;});
# What puts the values into tables is not what is looked at here.
$s->ask(q{SET whitecross.track_queries = off; SET log_min_messages = error;
    CREATE TABLE patients (ssn text, name text, mrn bigint, note text); INSERT INTO patients VALUES ('SSN-131-31-3131', 'Zq9Patient', 1313131313, repeat('Zq9Diagnosis ', 2000)); CREATE VIEW shown AS SELECT * FROM patients;
    RESET whitecross.track_queries; RESET log_min_messages;});
my @queries = (
    [ 'SELECT ssn, name, mrn FROM patients WHERE ssn = $1',                    'SSN-131-31-3131' ],
    [ 'SELECT * FROM patients WHERE name = $1 AND mrn = $2',                   'Zq9Patient', '1313131313' ],
    [ q{SELECT note FROM shown WHERE name = 'Zq9Patient' /* Zq9Patient */ },   ],
    [ 'SELECT count(*) AS harmless FROM patients WHERE mrn = ANY ($1)',        '{1313131313,1}' ],
    [ q{SELECT name, now() FROM patients WHERE name = $1 AND mrn = 1313131313 AND ssn LIKE 'SSN-131%'}, 'Zq9Patient' ]);
for (1 .. 3) {
    for my $query (@queries) {
        my ($text, @params) = @$query;
        $s->send(WhiteCross::Cache::call($text, params => \@params, tag => 'dashboard'));
        $s->answer;
    }
}
like(($cache->ask($s, $queries[0][0], params => [ $queries[0][1] ], tag => 'dashboard'))[0], qr/hit/, 'what is looked at is in the cache');
# Errors of ours: a parameter that is no value of its type, in each of the functions; the message does not tell it.
for my $type ('int', 'uuid', 'date', 'timestamptz', 'jsonb', 'numeric', 'int[]', 'bool', 'inet') {
    my ($out, $state, $error) = try_sql($node, 'postgres', qq{SET whitecross.track_queries = off; SELECT * FROM wc_cached_json('SELECT \$1::$type AS x FROM patients', ARRAY['Zq9Patient'])});
    like($state, qr/^22/, "no value of $type: $state");
    is(secrets_in($error =~ s/^.*LINE \d+:.*$//mgr =~ s/^STATEMENT:.*$//mgr), '', 'the error does not tell it') or diag($error);
}
my $shown = join "\n", map { $s->ask("SELECT * FROM $_;") } 'wc_cache_stats', 'wc_cache_entries', 'wc_query_stats', 'wc_slow_queries', 'wc_active_queries', 'wc_metrics';
like($shown, qr/dashboard/, 'the tag is shown');
is(secrets_in($shown =~ s/^.*wc_active_queries.*$//mgr), '', 'no value is in what can be seen');

# ---- Redis.
{
    cmp_ok(scalar(my @all = $redis->keys), '>=', 3, 'entries are in Redis');
    my @names = @all;
    is(scalar(grep { /dashboard|select|patients/i } @names), 0, 'their names tell nothing');
    is(secrets_in(join "\n", map { $redis->ask('GET', $_) // '' } @names), '', 'nor do the values');
    my $memory = $redis->memory;
    isnt(index($memory, $names[0]), -1, 'its memory has the names');
    is(secrets_in($memory), '', 'and no value in the clear');
    # The same queries have other names after a restart, and what was there before is not taken.
    $_->quit for $s, $cache->{reader}, $cache->{writer} // ();
    $node->restart;
    $cache->reconnect;
    delete $cache->{writer};
    $s = $cache->session;
    my $before = () = $redis->keys;
    my ($done) = $cache->ask($s, $queries[0][0], params => [ $queries[0][1] ], tag => 'dashboard');
    is($done, 'stored', 'after a restart the query runs');
    is(scalar(my @now = $redis->keys), $before + 1, 'and gets another name');
    my %old = map { $_ => 1 } @names;
    is(scalar(grep { !$old{$_} } @now), 1, 'which was not there');
}

# ---- The server's log, with everything on, and our files.
$_->quit for $s, $cache->{reader};
$node->stop;
my $log = slurp_file($node->logfile);
cmp_ok(length $log, '>', 10_000, 'there is a log');
is(secrets_in($log), '', 'no value is in it') or diag(join "\n", grep { secrets_in($_) } split /\n/, $log);
is(secrets_in(slurp_file($_)), '', "nor in $_") for glob $node->data_dir . '/pg_stat/whitecross/*';

done_testing();

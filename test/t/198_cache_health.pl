# The health check's row on the result cache: too small for what is asked of it, a Redis that has failed or has no key, transactions that stay
# prepared; each is seen, its hint runs, and it is over when its cause is.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Redis;
use WhiteCross::Test;

my $node = new_node('cache_health', allows_streaming => 1, conf => "whitecross.cache_entries = 16\nmax_prepared_transactions = 5\nautovacuum = off\nwhitecross.monitor_interval = 3600\nwhitecross.health_interval = 0\nallow_system_table_mods = on\n");
make_database($node, 'school', 'empty', extensions => ['whitecross']);
sub sql { return $node->safe_psql('school', $_[0]) }
sub row { return sql(q{SELECT string_agg(status || ': ' || detail, E'\n' ORDER BY detail) FROM wc_health_check() WHERE check_name = 'result cache'}) }
# Its hints, as they stand.
sub hints_run {
    for my $hint (split /\n/, sql(q{SELECT hint FROM wc_health_check() WHERE check_name = 'result cache' AND hint IS NOT NULL})) {
        my (undef, $state, $err) = try_sql($node, 'school', $hint =~ s/ --.*//r);
        is($state, '', "the hint runs: $hint") or diag($err);
    }
    return;
}
my $ask = sub { my ($id) = @_; return "SELECT wc_cached_json('SELECT note FROM notes WHERE id = \$1', '{$id}');" };
sql('CREATE TABLE notes (id int PRIMARY KEY, note text); INSERT INTO notes SELECT n, n FROM generate_series(1, 1000) AS n; CREATE ROLE reader LOGIN');

is(row(), 'ok: nothing was asked of it', 'a new server');
sql($ask->(1) x 4);
is(row(), 'ok: of 4 questions 3 were hits', 'what it has done');
is(sql(q{SET ROLE reader; SELECT count(*) FROM wc_health_check() WHERE check_name = 'result cache'}), 1, 'any role may ask');

# ---- More different questions than places, none of them twice.
sql(join "\n", map { $ask->($_) } 1 .. 400);
like(row(), qr/\Awarning: of \d+ questions \d+ were hits, and \d+ results gave their place to others: there is room for 16 results\z/, 'a cache that is too small is told');
is(sql(q{SELECT hint FROM wc_health_check() WHERE check_name = 'result cache'}), 'ALTER SYSTEM SET whitecross.cache_entries = 32; -- and restart the server', 'with what to do');
hints_run();
sql('SELECT wc_reset_cache_stats()');
is(row(), 'ok: nothing was asked of it', 'until the counters begin anew');

# ---- A transaction that stays prepared: its age is in the server's hands, so that its view tells another one here.
sql('BEGIN; UPDATE notes SET note = 0 WHERE id = 1; PREPARE TRANSACTION $$kept$$');
sql($ask->(2) x 2);
is(row(), 'ok: of 2 questions 0 were hits', 'what it has written is not cached, which for a moment is nothing to warn of');
my $definition = sql(q{SELECT pg_get_viewdef('pg_prepared_xacts'::regclass)});
sql('CREATE OR REPLACE VIEW pg_catalog.pg_prepared_xacts AS ' . $definition =~ s/p\.prepared,/now() - interval '1 hour' AS prepared,/r);
like(row(), qr/\Awarning: 1 transactions are prepared, the oldest for 01:00:00: what they have written is not cached\z/, 'after an hour it is');
hints_run();
sql('ROLLBACK PREPARED $$kept$$');
is(row(), 'ok: of 2 questions 0 were hits', 'until it is ended');
sql("CREATE OR REPLACE VIEW pg_catalog.pg_prepared_xacts AS $definition");
sql($ask->(2) x 2);
is(row(), 'ok: of 4 questions 1 were hits', 'then the table is cached again');

# ---- A second tier without its keys, then one that isn't there, then one that is. Each question is another one, so that Redis would be asked.
my $redis = WhiteCross::Redis->new;
my $keys  = PostgreSQL::Test::Utils::tempdir() . '/keys';
$node->append_conf('postgresql.conf', "whitecross.redis_conninfo = 'host=@{[ $redis->socket ]}'\nwhitecross.redis_key_file = '$keys'\nwhitecross.redis_timeout = '1s'");
$node->reload;
my $number = 100;
sub becomes {
    my ($pattern, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default) {
        sql($ask->(++$number));
        return pass($what) if row() =~ $pattern;
        select undef, undef, undef, 0.1;
    }
    return fail($what) || diag(row());
}
sub up { return sql(q{SELECT value FROM wc_metrics('cache_second_tier_state')}) }
becomes(qr/^warning: Redis is not used: the file of its keys is not there, or can't be used/m, 'no keys for Redis');
is(up(), 0, 'which the metrics tell');
hints_run();
write_secret($keys, key_text(7));
$node->reload;
becomes(qr/^warning: Redis has failed, and is left alone for a while: \S/m, 'a Redis that is not there, with its error');
is(up(), 0, 'which the metrics tell');
hints_run();
$redis->start;
becomes(qr/\Aok: of \d+ questions \d+ were hits\z/, 'until it is there');
is(up(), 1, 'and asked');
cmp_ok(sql(q{SELECT sum(value) FROM wc_metrics('cache_second_tier') WHERE name IN ('whitecross_cache_second_tier_errors_total', 'whitecross_cache_second_tier_timeouts_total')}), '>', 0, 'failures are counted');
is(sql(q{SELECT count(*) FROM wc_metrics('cache_second_tier')}), 5, 'all of the second tier is told');

# ---- On a standby there is none.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('cache_health_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('school', q{SELECT status || ': ' || detail FROM wc_health_check() WHERE check_name = 'result cache'}), 'ok: it is off on a standby', 'a standby has none');
is($standby->safe_psql('school', $ask->(2)), '{"note": "2"}', 'there the query runs');
$standby->stop;

done_testing();

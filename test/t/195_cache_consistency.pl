# No answer of the result cache is older than the last commit that was acknowledged before it was asked: eight sessions write, define
# and read at random (WhiteCross::Consistency), without a second tier, with one, and with one that is killed, halted and restarted.
# WC_CACHE_SECONDS says for how long each (60 where it counts), WC_CACHE_SEED from where.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use WhiteCross::Cache;
use WhiteCross::Consistency;
use WhiteCross::Test;

my $seconds = $ENV{WC_CACHE_SECONDS} // 3;
my $seed    = $ENV{WC_CACHE_SEED}    // 1_000 + $$;
# Commits take their time between what a session does before and after: so much can happen meanwhile.
my $node = new_node('consistency', conf => <<'CONF');
max_prepared_transactions = 20
whitecross.cache_entries = 40
fsync = on
wal_sync_method = open_datasync
commit_delay = 10000
commit_siblings = 0
log_min_messages = fatal
CONF
$node->safe_psql('postgres', 'CREATE EXTENSION whitecross');
my $cache = WhiteCross::Cache->new($node, 'postgres');
my $check = WhiteCross::Consistency->new($node, 'postgres', processes => 8, seed => $seed);

sub checked {
    my ($name, %options) = @_;
    my $before = $cache->counters;
    my @wanted = ('invalidations', @{ delete $options{wanted} // [] });
    my %result = $check->run(seconds => $seconds, %options, enough => sub {
        my ($transactions) = @_;
        my $now = $cache->counters;
        return $transactions >= 40 && !grep { $now->{$_} == $before->{$_} } @wanted;
    });
    my $after  = $cache->counters;
    my %more   = map { $_ => $after->{$_} - ($before->{$_} // 0) } keys %$after;
    my $violations = delete $result{violations};
    note("$name, seed $seed: " . join ', ', map { "$_ $result{$_}" } sort keys %result);
    note("$name: " . join ', ', map { "$_ $more{$_}" } grep { $more{$_} } sort keys %more);
    is(join("\n", @$violations), '', "$name: each answer of $result{reads} is as new as it must be (seed $seed)");
    cmp_ok($more{hits},          '>', $result{reads} / 20, "$name: $more{hits} from the cache");
    cmp_ok($more{invalidations}, '>', 0,                   "$name: of which $more{invalidations} were found to be stale");
    cmp_ok(($result{commit} // 0) + ($result{prepare} // 0), '>', 0, "$name: with commits");
    is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 0, "$name: nothing is left prepared");
    return \%more;
}

checked('first tier');
my $redis = $cache->with_redis;
my $more = checked('second tier', wanted => [ 'second_tier_stores', 'second_tier_hits' ]);
cmp_ok($more->{second_tier_stores}, '>', 0, "$more->{second_tier_stores} entries went to Redis");
cmp_ok($more->{second_tier_hits},   '>', 0, "$more->{second_tier_hits} came back");
cmp_ok(scalar(my @names = $redis->keys), '>', 0, 'Redis has entries');
my $turn = 0;
checked('a second tier that comes and goes', meanwhile => sub {
    my $halt = $turn++ % 2;
    $halt ? $redis->freeze : $redis->kill;
    usleep(200_000);
    $halt ? $redis->thaw : $redis->start;
    usleep(300_000);
});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()}), 'nobody is stuck');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'nobody has crashed');

done_testing();

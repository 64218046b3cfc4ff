# Statistics of statements with every table full: of a session's, of the server's. And after many sessions; WC_SESSIONS=10000 makes
# it as many.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $sessions = $ENV{WC_SESSIONS} // 400;
my $node = new_node('query_stats_full', conf => "whitecross.query_stats_max = 100\nautovacuum = off\nmax_connections = 60\nwal_level = replica\nlog_statement = none\n");
$node->safe_psql('postgres', 'CREATE EXTENSION whitecross; CREATE TABLE item (id integer PRIMARY KEY); INSERT INTO item VALUES (1)');

sub wait_for_ends {
    $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'}) or die "sessions do not end\n";
    return;
}

sub reset_stats {
    wait_for_ends();
    $node->safe_psql('postgres', 'SELECT wc_reset_query_stats()');
    wait_for_ends();
    return;
}

# A statement of its own pattern for each number: as many columns.
sub pattern { my ($number) = @_; return 'SELECT ' . join(', ', ('1') x $number) . ';' }

# --- A session that counts more patterns than its own table has, in one transaction, and less than the server has

{
    my @run = map { pattern($_) } 1 .. 90;
    reset_stats();
    $node->safe_psql('postgres', 'BEGIN;' . join('', @run, @run) . 'COMMIT;');
    wait_for_ends();
    is($node->safe_psql('postgres', q{SELECT count(*), sum(calls) FROM wc_query_stats WHERE calls = 2 AND normalised_text ~ '^SELECT [$]1(, [$]\d+)*$'}), '90|180', 'ninety patterns, twice each');
    is($node->safe_psql('postgres', 'SELECT evicted FROM wc_query_stats_info'), 0, 'nobody made room');
}
{
    # The same for three roles: nothing but the role is different, and a session's table overflows.
    reset_stats();
    $node->safe_psql('postgres', 'CREATE ROLE a; CREATE ROLE b; CREATE ROLE c; CREATE ROLE d');
    reset_stats();
    my @some = map { pattern($_) } 1 .. 20;
    $node->safe_psql('postgres', join '', 'BEGIN;', (map { ("SET LOCAL ROLE $_;", @some, @some, @some) } qw(a b c d)), 'COMMIT;');
    wait_for_ends();
    is($node->safe_psql('postgres', q{SELECT role, count(*), sum(calls) FROM wc_query_stats WHERE role <> 'postgres' AND command_tag = 'SELECT' GROUP BY 1 ORDER BY 1}),
        join("\n", map { "$_|20|60" } qw(a b c d)), 'each role has its own');
}

# --- More patterns than the server keeps

{
    reset_stats();
    $node->safe_psql('postgres', join '', map { pattern(1) . pattern(2) . pattern(3) } 1 .. 50);
    $node->safe_psql('postgres', join '', map { pattern($_) } 4 .. 300) for 1 .. 2;
    wait_for_ends();
    my ($patterns, $max, $evicted) = split /\|/, $node->safe_psql('postgres', 'SELECT patterns, max_patterns, evicted FROM wc_query_stats_info');
    cmp_ok($patterns, '<=', 100, 'no more are kept than there is room for');
    cmp_ok($patterns, '>=', 90,  'and not many less');
    is($max, 100, 'which is what the setting says');
    cmp_ok($evicted, '>=', 200 + 297 - 100, 'what made room is counted');
    is($node->safe_psql('postgres', q{SELECT count(*) FROM wc_query_stats WHERE calls = 50}), 3, 'the most called ones stay');
    is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT (database, role, query_id)) FROM wc_query_stats'), 0, 'none is there twice');
}

# --- All at once, from many sessions

{
    reset_stats();
    my $script = $node->basedir . '/patterns.sql';
    append_to_file($script, join '', map { pattern($_) . "\n" } 1 .. 60);
    local $ENV{PGHOST} = $node->host;
    local $ENV{PGPORT} = $node->port;
    my ($out, $err) = ('', '');
    ok(IPC::Run::run([ 'pgbench', '-n', '-C', '-c', 8, '-j', 2, '-t', int($sessions / 8), '-f', $script, 'postgres' ], '>', \$out, '2>', \$err), "$sessions sessions") or diag $err;
    wait_for_ends();
    my $runs = 8 * int($sessions / 8);
    is($node->safe_psql('postgres', "SELECT count(*), sum(calls), sum(rows) FROM wc_query_stats WHERE command_tag = 'SELECT' AND calls = $runs"),
        '60|' . 60 * $runs . '|' . 60 * $runs, 'sixty patterns of each are counted to the last call');
}
is($node->safe_psql('postgres', 'SELECT wc_reset_query_stats() > 60'), 't', 'a reset says how many there were');
wait_for_ends();
is($node->safe_psql('postgres', 'SELECT patterns <= 2, resets > 0, since > now() - interval \'1 hour\' FROM wc_query_stats_info'), 't|t|t', 'and they are gone');

# --- In recovery, where nothing can be written, statements are counted too

$node->stop;
$node->append_conf('postgresql.conf', "whitecross.query_stats_max = 100000\nwhitecross.query_text_size = 256\n");
$node->append_conf('standby.signal', '');
$node->start;
$node->safe_psql('postgres', pattern(7)) for 1 .. 2;
wait_for_ends();
is($node->safe_psql('postgres', q{SELECT pg_is_in_recovery(), calls FROM wc_query_stats WHERE normalised_text = 'SELECT $1, $2, $3, $4, $5, $6, $7'}), 't|2', 'on a standby');

done_testing();

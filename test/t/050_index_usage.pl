# Every covering, partial and composite index is used by a query of the application, on both databases; the covering ones
# in an Index Only Scan. The queries are those of test/bench, which asks the same of 100,000 students; the planner's
# settings are PostgreSQL's defaults.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# Nobody holds a snapshot for which VACUUM would leave pages that are not visible to all.
my $node = new_node('index_usage', conf => "autovacuum = off\nwhitecross.health_interval = 0\nmaintenance_work_mem = 128MB\n");
my %applicable = (reference => 15 + 20 + 14, platform => 14 + 15 + 14);

for my $kind (sort keys %applicable) {
    make_database($node, $kind, $kind, students => 3000);
    my $bench = tree() . '/test/bench';
    $node->command_ok([ 'psql', '-XAtq', '-d', $kind, '-v', 'ON_ERROR_STOP=1', '-f', "$bench/formulary.sql", '-c', 'VACUUM (ANALYZE)' ],
        "$kind: 3,000 students and a formulary");
    my ($out, $err) = run_command(
        [   'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-d', $kind, '-v', 'ON_ERROR_STOP=1', '-v', "kind=$kind",
            '-f', "$bench/index_queries.sql", '-f', "$bench/index_usage.sql",
            '-c', 'SELECT kind, index_name, query_name, nodes, used FROM index_usage ORDER BY position' ]);
    is($err, '', "$kind: the queries can be planned");
    my @indexes = map { [ split /\|/ ] } split /\n/, $out;
    is(scalar @indexes, $applicable{$kind}, "$kind: every applicable index is asked about");
    for my $index (@indexes) {
        my ($index_kind, $name, $query, $nodes, $used) = @$index;
        ok($used eq 't', "$kind: $index_kind $name is used" . ($index_kind eq 'covering index' ? ' by an Index Only Scan' : ''))
          or diag("query \"$query\" uses: $nodes");
    }
}

done_testing();

# docs/operations.md: every SQL block of it runs, in its order, on a database with the base tables and pg_cron; and what
# the runbook promises on the way is there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('runbook', preload => 'pg_cron,whitecross');
make_database($node, 'plain', 'reference', students => 100, whitecross => 0);
$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS district');
$node->safe_psql('postgres', 'ALTER DATABASE plain RENAME TO district');
$node->append_conf('postgresql.conf', "cron.database_name = 'district'");
$node->restart;
$node->safe_psql('district', 'CREATE EXTENSION pg_cron');
my $before = catalogue($node, 'district');

my $page = slurp_file(tree() . '/docs/operations.md');
my @blocks;
while ($page =~ /^```sql\n(.*?)^```$/msg) { push @blocks, $1 }
cmp_ok(scalar @blocks, '>', 15, 'the runbook has its SQL blocks');

# One session, as somebody who follows the page would have.
my $session = $node->background_psql('district', on_error_stop => 0);
for my $number (0 .. $#blocks) {
    my $block = $blocks[$number];
    my ($first) = $block =~ /\A\s*(.*)$/m;
    # A block that runs to its end without an error prints the mark.
    my $printed = $session->query("\\set ON_ERROR_STOP 0\n\\set FAILED 0\n" . marked($block) . "\\echo failed=:FAILED\n");
    like($printed, qr/^failed=0$/m, "runs: $first") or diag($block, $printed);

    if ($block =~ /^SELECT \* FROM wc_install\(\);\nRESET/m) {
        is( $node->safe_psql('district', q{SELECT count(*) FROM wc_objects() WHERE status = 'installed'}),
            '85', 'after the installation kind by kind everything is there');
    }
    elsif ($block =~ /^SELECT \* FROM wc_schedule\(\)/m) {
        is( $node->safe_psql('district', 'SELECT count(*) FROM cron.job'), '2', 'the jobs of the two schedules in use are there');
    }
    elsif ($block =~ /wc_suspend_views/) {
        is( $node->safe_psql('district', q{SELECT count(*) FROM pg_matviews WHERE ispopulated}), '5', 'after the migration the views are back');
        is( $node->safe_psql(
                'district', q{SELECT count(*) FROM pg_matviews WHERE has_table_privilege('dashboard_reader', matviewname::regclass, 'SELECT')}),
            '5', 'with their grants');
        is( $node->safe_psql('district', 'SELECT count(*) FROM wc_object_links() WHERE NOT linked'), '0', 'and every link is there');
    }
    elsif ($block =~ /RENAME COLUMN/) {
        is( $node->safe_psql('district', q{SELECT count(*) FROM wc_objects() WHERE status NOT IN ('installed', 'disabled')}),
            '0', 'after renaming a column everything is of today');
    }
}
$session->quit;

is($node->safe_psql('district', 'SELECT count(*) FROM cron.job'), '0', 'rolled back: no job is left');
$node->safe_psql('district', q{ALTER TABLE allergies RENAME COLUMN "isCurrent" TO "isActive";
                               ALTER TABLE students ALTER COLUMN "firstName" TYPE varchar(100)});
same_lines(catalogue($node, 'district'), $before, 'rolled back: the catalogue is what it was');

done_testing();

# Each statement of a block, followed by one that counts it if it failed.
sub marked {
    my ($block) = @_;
    my $text = '';
    for my $statement (split /;\s*\n/, $block) {
        $text .= "$statement;\n\\if :ERROR\n\\echo failed: :SQLSTATE :LAST_ERROR_MESSAGE\n\\set FAILED 1\n\\endif\n" if $statement =~ /\S/;
    }
    return $text;
}

# A third site: the same district in tables whose columns have other names and types (test/fixtures/renamed.sql) gives the
# same views as the reference does, after changing the mapping alone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $zone  = 'America/New_York';
my $clock = "2025-03-18 11:45 $zone";
my $node  = new_node('renamed');

sub run_file {
    my ($database, $file, @options) = @_;
    local $ENV{PGOPTIONS} = "-c timezone=$zone" . ($database eq 'renamed' ? ' -c search_path=reference' : '');
    system_or_bail('psql', '-Xq', '-h', $node->host, '-p', $node->port, '-v', 'ON_ERROR_STOP=1', '-d', $database,
        '-o', File::Spec->devnull, @options, '-f', tree() . "/$file");
    return;
}

# Two databases with the same district; in the second it is copied from a schema with the reference tables into the
# site's own, column by column in the order in which they stand.
make_database($node, 'reference', 'reference', students => 0, whitecross => 0);
make_database($node, 'renamed',   'renamed',   students => 0, whitecross => 0);
my @parameters = ('-v', 'students=300', '-v', 'seed=3', '-v', 'anchor=2025-03-18', '-v', 'time=11:45', '-v', "timezone=$zone");
run_file('reference', 'examples/reference/generate.sql', @parameters);
$node->safe_psql('renamed', 'CREATE SCHEMA reference');
run_file('renamed', 'examples/reference/schema.sql');
run_file('renamed', 'examples/reference/generate.sql', @parameters);
my @tables = qw(schools users medications students student_medications medication_logs vital_signs appointments allergies
  health_records vaccinations chronic_conditions incident_reports);
$node->safe_psql('renamed', join(";\n", "SET timezone = '$zone'", map { "INSERT INTO public.$_ SELECT * FROM reference.$_" } @tables));

$node->safe_psql($_, "ALTER DATABASE $_ SET whitecross.now = '$clock'") for 'reference', 'renamed';
$node->safe_psql($_, "SET timezone = '$zone'; SET client_min_messages = warning; CREATE EXTENSION whitecross") for 'reference', 'renamed';

my $missing = q{SELECT count(*) FROM wc_objects() WHERE status <> 'installed'};
cmp_ok($node->safe_psql('renamed', $missing), '>', 20, 'without a mapping most objects lack a column');
is($node->safe_psql('renamed', q{SELECT count(*) FROM wc_objects() WHERE status <> 'installed' AND coalesce(reason, '') = ''}),
    '0', 'and each says why');

$node->safe_psql('renamed', "\\i @{[ tree() ]}/test/fixtures/renamed_mapping.sql\n SELECT * FROM wc_install()");
is( $node->safe_psql('renamed', q{SELECT string_agg(o.kind || ' ' || o.number, ', ' ORDER BY o.kind)
        FROM (SELECT kind, count(*) AS number FROM wc_objects() WHERE status = 'installed' AND kind NOT IN ('trigger', 'refresh index') GROUP BY kind) AS o}),
    'check constraint 13, composite index 14, covering index 15, materialized view 5, partial index 20, view index 18',
    'after the mapping every object is installed');
is($node->safe_psql('renamed', q{SELECT sum(violations) FROM wc_validate()}), '0', 'the constraints find nothing wrong');

for my $view (VIEWS) {
    my $contents = "SET timezone = 'UTC'; SELECT * FROM $view AS v ORDER BY v::text";
    my $expected = $node->safe_psql('reference', $contents);
    cmp_ok(scalar(split /\n/, $expected), '>', 30, "$view has rows");
    is($node->safe_psql('renamed', $contents), $expected, "$view is the same");
}

# Rows that come in afterwards meet the constraints under the site's own names.
my (undef, $state) = try_sql($node, 'renamed', 'UPDATE public.vital_signs SET body_temperature = 37 WHERE "temperatureUnit" = \'F\'');
is($state, '23514', 'a constraint watches the renamed column');

done_testing();

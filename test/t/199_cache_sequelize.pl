# examples/sequelize with the real Sequelize: a dashboard through the cache shows what is there, is a hit in another process, is fresh after any
# write; parameters of every kind arrive as they do without the cache; an application's own transaction sees what it wrote.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# The application and its packages, from the registry as npm is set up on this machine.
my $app = tree() . '/build/sequelize-cached';
remove_tree($app);
make_path($app);
copy($_, $app) or die "$_: $!" for glob(tree() . '/examples/sequelize/*.js'), map { tree() . "/test/sequelize/$_" } qw(parameters.js package.json package-lock.json .npmrc);
{
    local $ENV{HOME} = $app;
    system_log('npm', 'ci', '--prefix', $app, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error') == 0 or die "npm could not install the application\n";
}

my $node = new_node('cached', conf => "autovacuum = off\n");
make_database($node, 'school', 'platform', students => 100);
$node->safe_psql('school', 'CREATE ROLE clerk LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk; CREATE TABLE noted (n int); GRANT ALL ON noted TO clerk');
my $school = $node->safe_psql('school', 'SELECT "schoolId" FROM mv_allergy_summary GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1');
sub truth { return $node->safe_psql('school', qq{SELECT "studentNumber" || ' ' || "severeAllergies" || ' ' || "alertLevel" FROM mv_allergy_summary WHERE "schoolId" = '$school' ORDER BY "studentNumber"}) }

sub node {
    my ($script, @operands) = @_;
    local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($node->host, $node->port, 'school', 'clerk');
    my ($out, $err) = run_command([ 'node', "$app/$script", @operands ]);
    return $err . $out;
}

my $first = truth();
cmp_ok(scalar(split /\n/, $first), '>', 5, 'a school has students');
is(node('dashboard.js', 'rows', $school), $first, 'the dashboard shows what is there');
is(node('dashboard.js', 'stats'), '0 1 1', 'which was computed, and stored');
is(node('dashboard.js', 'rows', $school), $first, 'another process of the application sees the same');
is(node('dashboard.js', 'stats'), '1 1 1', 'from the cache');

$node->safe_psql('school', qq{UPDATE allergies SET severity = 'LIFE_THREATENING', "updatedAt" = now() WHERE id =
    (SELECT a.id FROM allergies AS a JOIN students AS s ON s.id = a."studentId" WHERE s."schoolId" = '$school' AND a.severity = 'MILD' AND a."deletedAt" IS NULL ORDER BY a.id LIMIT 1)});
$node->safe_psql('school', q{SELECT status FROM wc_refresh('allergy_summary')});
my $second = truth();
isnt($second, $first, 'a write, and the refresh of the view after it');
is(node('dashboard.js', 'rows', $school), $second, 'are seen at once');
is(node('dashboard.js', 'stats'), '1 2 2', 'computed again');

my @models = split /\n/, node('dashboard.js', 'models', $school);
my @ids = map { "true $_" } split /\n/, $node->safe_psql('school', qq{SELECT "studentId" FROM mv_allergy_summary WHERE "schoolId" = '$school' ORDER BY "studentNumber"});
is_deeply(\@models, \@ids, 'the rows as instances of a model');

my %told = map { split / /, $_, 2 } split /\n/, node('parameters.js');
is(delete $told{transaction}, '0 1 0 0', 'a transaction sees its own writes, others see them once they are committed');
cmp_ok(scalar keys %told, '>=', 13, 'parameters of many kinds');
is($told{$_}, 'same', "as without the cache: $_") for sort keys %told;

done_testing();

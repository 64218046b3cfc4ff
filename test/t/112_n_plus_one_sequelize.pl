# A real Sequelize application, with a pool of 10 connections, that reads a list and then once more for each row: found, whether
# it awaits one after the other or sends them all at once; with eager loading there is nothing to find.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

use constant STUDENTS => 100;

# The application and its packages, from the registry as npm is set up on this machine.
my $app = tree() . '/build/sequelize-loops';
remove_tree($app);
make_path($app);
copy(tree() . "/test/sequelize/$_", "$app/$_") or die "$_: $!" for qw(loops.js models.js package.json package-lock.json .npmrc);
{
    local $ENV{HOME} = $app;
    system_log('npm', 'ci', '--prefix', $app, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error') == 0 or die "npm could not install the application\n";
}

# The default threshold; the window is wide, so that no pause of this machine's makes two bursts of one.
my $node = new_node('loops', conf => "whitecross.n_plus_one_window = '1min'\n");
make_database($node, 'school', 'platform', students => 400);
$node->safe_psql('school', 'CREATE ROLE clerk LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk');
my $allergies = $node->safe_psql('school', <<"SQL");
SELECT count(a.id) FROM (SELECT id FROM students ORDER BY "studentNumber" LIMIT @{[ STUDENTS ]}) AS s JOIN allergies AS a ON a."studentId" = s.id
SQL
cmp_ok($allergies, '>', 10, 'there are allergies to read');

sub app {
    my ($way) = @_;
    $node->safe_psql('school', 'SET whitecross.track_queries = off; SELECT wc_reset_n_plus_one()');
    local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($node->host, $node->port, 'school', 'clerk');
    my ($out, $err) = run_command([ 'node', "$app/loops.js", $way, STUDENTS ]);
    is("$err$out", STUDENTS . " $allergies", "$way: the application reads what there is");
    return;
}

# The statements on allergies that were found, of one way: kind and executions.
sub found {
    my ($way) = @_;
    return $node->safe_psql('school', <<"SQL");
SET whitecross.track_queries = off;
SELECT kind || ' ' || bursts || ' ' || largest_burst FROM wc_n_plus_one
 WHERE application_name = 'clinic $way' AND role = 'clerk' AND database = 'school'
   AND normalised_text LIKE 'SELECT "id", "studentId", % FROM "allergies" AS "Allergy" WHERE "Allergy"."studentId" = \$1%'
 ORDER BY kind
SQL
}

# Everything else that the application was found to repeat.
sub others {
    return $node->safe_psql('school', q{SET whitecross.track_queries = off;
        SELECT normalised_text FROM wc_n_plus_one WHERE application_name LIKE 'clinic %' AND normalised_text NOT LIKE '%FROM "allergies" AS "Allergy"%'});
}

app('awaited');
is(found('awaited'), 'session 1 ' . STUDENTS, 'awaited one by one: a burst of one session, with every execution');
is(others(), '', 'and no other statement');

# How many of them each connection gets is the pool's business: a connection that gets more than ten is in a burst by itself, and
# of the others there is one together if they have more than ten.
for my $way ('warmed', 'parallel') {
    app($way);
    my @kinds = split /\n/, found($way);
    cmp_ok(scalar @kinds, '>', 0, "$way: over the pool") or diag($node->safe_psql('school', 'SELECT * FROM wc_n_plus_one'));
    note("found: @kinds");
    like($_, qr/^sessions? \d+ (?:1[1-9]|[2-9]\d|100)$/, 'more than ten executions') for @kinds;
    is(others(), '', 'and no other statement');
}
like($node->safe_psql('school', 'SELECT DISTINCT suggestion FROM wc_n_plus_one'), qr/eager loading, include/, 'the advice is what mends it');

app('include');
is($node->safe_psql('school', q{SELECT count(*) FROM wc_n_plus_one WHERE application_name = 'clinic include'}), '0', 'with include there is nothing to find');

done_testing();

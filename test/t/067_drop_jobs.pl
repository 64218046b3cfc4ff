# The jobs go with the extension, whichever command drops it, and only if it is really gone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('drop_jobs', preload => 'pg_cron,whitecross');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron; CREATE ROLE owner SUPERUSER LOGIN; CREATE ROLE tenant');
$node->safe_psql('postgres', q{SELECT cron.schedule('mine', '0 0 1 1 *', 'SELECT 1')});

sub jobs {
    my ($database) = @_;
    return $node->safe_psql('postgres', "SELECT count(*) FROM cron.job WHERE jobname LIKE 'whitecross $database %'");
}

# The same in pg_cron's database and in another; the tables stay, so that views are there each time.
make_database($node, 'school', 'reference', students => 0, whitecross => 0);
$node->safe_psql('postgres', slurp_file(tree() . '/examples/reference/schema.sql'));

for my $database ('postgres', 'school') {
    my $where = $database eq 'postgres' ? 'in the database of pg_cron' : 'in another database';

    # create(SQL before it, schema): the extension with its jobs, made by role owner.
    my $create = sub {
        my ($schema) = @_;
        $node->safe_psql($database, "SET ROLE owner; CREATE SCHEMA IF NOT EXISTS $schema; CREATE EXTENSION whitecross SCHEMA $schema; SELECT $schema.wc_schedule()");
        await_jobs($node);
        is(jobs($database), 3, "$where: three jobs");
        return;
    };
    my $gone = sub {
        my ($sql) = @_;
        await_jobs($node);
        is(jobs($database), 0, "$where: gone with $sql");
        is($node->safe_psql($database, 'SELECT count(*) FROM pg_matviews'), 0, "$where: and so are the views");
        return;
    };
    my $kept = sub {
        my ($what) = @_;
        await_jobs($node);
        is(jobs($database), 3, "$where: kept when $what");
        return;
    };

    $create->('public');
    my $before = $node->safe_psql('postgres', q{SELECT string_agg(j::text, ',' ORDER BY jobid) FROM cron.job AS j});
    $node->safe_psql($database, 'CREATE SCHEMA users; CREATE VIEW users.own AS SELECT * FROM mv_allergy_summary');
    my (undef, $state) = try_sql($node, $database, 'DROP EXTENSION whitecross');
    is($state, '2BP01', "$where: a user's view stops DROP EXTENSION");
    $kept->('DROP EXTENSION fails');
    $node->safe_psql($database, 'DROP SCHEMA users CASCADE');
    $kept->('another schema is dropped');
    $node->safe_psql($database, 'BEGIN; DROP EXTENSION whitecross; ROLLBACK');
    $kept->('DROP EXTENSION is rolled back');
    $node->safe_psql($database, 'BEGIN; SAVEPOINT s; DROP EXTENSION whitecross; ROLLBACK TO s; COMMIT');
    $kept->('DROP EXTENSION is rolled back to a savepoint');
    $node->safe_psql($database, 'CREATE EXTENSION hstore; DROP EXTENSION hstore');
    $kept->('another extension is dropped');
    $node->safe_psql($database, 'CREATE SCHEMA a; CREATE SCHEMA b; DROP OWNED BY tenant; DROP SCHEMA a, b');
    $kept->('what somebody else owns is dropped');
    is($node->safe_psql('postgres', q{SELECT string_agg(j::text, ',' ORDER BY jobid) FROM cron.job AS j}), $before, "$where: the jobs were not touched");

    $node->safe_psql($database, 'SET client_min_messages = warning; DROP EXTENSION whitecross CASCADE');
    $gone->('DROP EXTENSION');

    $create->('wc');
    $node->safe_psql($database, 'SET client_min_messages = warning; DROP SCHEMA wc CASCADE');
    $gone->('DROP SCHEMA CASCADE');

    # By a role that owns the schema and has no right in pg_cron.
    $create->('wc');
    $node->safe_psql($database, 'ALTER SCHEMA wc OWNER TO tenant; SET ROLE tenant; SET client_min_messages = warning; DROP SCHEMA wc CASCADE');
    $gone->('DROP SCHEMA CASCADE by its owner');

    $create->('wc');
    $node->safe_psql($database, 'SET client_min_messages = warning; DROP OWNED BY owner CASCADE');
    $gone->('DROP OWNED');

    $create->('wc');
    $node->safe_psql($database, 'SET client_min_messages = warning; SET session_replication_role = replica; DROP SCHEMA wc CASCADE');
    $gone->('DROP SCHEMA CASCADE as a replica');

    # A new one in place of the old in one transaction takes the jobs over.
    $create->('wc');
    $node->safe_psql($database, 'BEGIN; DROP EXTENSION whitecross; CREATE EXTENSION whitecross SCHEMA wc; SELECT wc.wc_schedule(); COMMIT');
    $kept->('the extension is made again in the same transaction');
    $node->safe_psql($database, 'DROP SCHEMA wc CASCADE');
    $gone->('DROP SCHEMA CASCADE again');
}
is($node->safe_psql('postgres', 'SELECT jobname FROM cron.job'), 'mine', 'a job that is not ours stays');

# pg_cron first, then whitecross.
$node->safe_psql('postgres', 'CREATE EXTENSION whitecross; DROP EXTENSION pg_cron');
$node->safe_psql('postgres', 'DROP EXTENSION whitecross');
$node->safe_psql('school', 'CREATE EXTENSION whitecross; DROP EXTENSION whitecross');
is($node->safe_psql('school', 'SELECT count(*) FROM pg_extension WHERE extname = $$whitecross$$'), 0, 'without pg_cron there is nothing to remove, and no error');

done_testing();

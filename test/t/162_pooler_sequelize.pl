# Real Sequelize through the real PgBouncer, with the file of wc_pgbouncer_ini(): its own pool, its options for limits (which
# PgBouncer accepts and ignores: the role's hold), transactions of many at once over few server connections, time zones.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Pooler;
use WhiteCross::Test;

# The application and its packages, from the registry as npm is set up on this machine.
my $app = tree() . '/build/sequelize-pooled';
remove_tree($app);
make_path($app);
copy(tree() . "/test/sequelize/$_", "$app/$_") or die "$_: $!" for qw(pooled.js models.js package.json package-lock.json .npmrc);
{
    local $ENV{HOME} = $app;
    system_log('npm', 'ci', '--prefix', $app, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error') == 0 or die "npm could not install the application\n";
}

my $node = new_node('pooled', conf => "listen_addresses = '127.0.0.1'\nfsync = off\nmax_connections = 10\nsuperuser_reserved_connections = 3\n", start => 0);
my $pooler = WhiteCross::Pooler->new($node);
$pooler->require_passwords;
$node->start;
make_database($node, 'school', 'platform', students => 100);
$node->safe_psql('school', <<'SQL');
CREATE ROLE clerk LOGIN PASSWORD 'it''s secret';
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO clerk;
SELECT wc_apply_session_limits('clerk', 'production');
SQL
my ($ini, undef, $told) = try_sql($node, 'school', "SELECT wc_pgbouncer_ini('production', roles => '{clerk}', settings => '{@{[ $pooler->settings ]}}')");
like($ini, qr/^default_pool_size = 4$/m, 'a server of ten connections has four for the pool');
like($told, qr/NOTICE: .*pools of 20 .* do not fit/, 'which is fewer than the profile wants');
$pooler->start($ini);

sub app {
    local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD)} = ('127.0.0.1', $pooler->port, 'school', 'clerk', q{it's secret});
    my ($out, $err) = run_command([ 'node', "$app/pooled.js", @_ ]);
    return "$err$out";
}

is(app('limits'), '30s 30s 4MB white-cross', 'what Sequelize asks for at its start is accepted and ignored, the limits of the role hold, its name is passed on');
like(app('work', 100), qr/^100 [1-4]$/, 'a hundred transactions at once, each in one session, over four');
is($node->safe_psql('school', q{SELECT count(*) FROM allergies WHERE allergen LIKE 'Pooled %' AND notes = 'confirmed'}), 100, 'all of them are written');
is(app('zones', 100), '100 0', 'each pool of the application has its own time zone, whoever had the server connection before');
is($pooler->complaints, '', 'and PgBouncer has nothing to complain of');

# Shorter limits, which new server connections have.
$node->safe_psql('school', q{ALTER ROLE clerk SET statement_timeout = '2s'; ALTER ROLE clerk SET idle_in_transaction_session_timeout = '2s'});
like($pooler->console('RECONNECT'), qr/RECONNECT/, 'server connections are replaced');
is(app('slow'), '57014 1', 'a statement over the limit is cancelled, and the application goes on');
like(app('idle'), qr/ended 1$/, 'a transaction that waits too long is ended, and the application goes on');

done_testing();

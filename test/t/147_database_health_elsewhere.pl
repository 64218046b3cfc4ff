# The health of databases on a standby, after its promotion, and on a server that has no process to spare.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $primary = new_node('health_primary', allows_streaming => 1, conf => "whitecross.health_interval = 200ms\nwhitecross.health_timeout = 60s\nautovacuum = off\n");
make_database($primary, 'school', 'reference', students => 5);
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('health_standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\n");    # conflicts are not what ends a visit
$standby->start;

# becomes(NODE, SQL, EXPECTED, NAME): waits until a query in school gives that.
sub becomes {
    my ($node, $sql, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', $sql, $expected), $name);
}

# ---- A standby has its databases checked, too.
becomes($standby, 'SELECT healthy FROM wc_health_status()', 't', 'a standby\'s database is healthy');
$primary->safe_psql('school', 'DROP MATERIALIZED VIEW mv_allergy_summary');
becomes($_, 'SELECT NOT healthy FROM wc_health_status()', 't', $_->name . ': a view was dropped') for $primary, $standby;
is($standby->safe_psql('school', 'SELECT failing FROM wc_health_status()'), '{"views exist"}', 'the standby tells which check fails');

# What the primary does to a database, the standby does after it, whoever is in it there.
$primary->safe_psql('postgres', 'CREATE DATABASE other');
$primary->safe_psql('other', q{SET client_min_messages = warning; CREATE EXTENSION whitecross;
  CREATE OR REPLACE FUNCTION wc_health_check() RETURNS TABLE (check_name text, status text, detail text, hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $f$ BEGIN PERFORM pg_sleep(3600); END $f$});
becomes($standby, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross visitor' AND datname = 'other' AND wait_event = 'PgSleep'}, 't', 'the standby finds a new database, and checks it');
$primary->safe_psql('postgres', 'DROP DATABASE other');
becomes($standby, q{SELECT count(*) = 0 FROM pg_database WHERE datname = 'other'}, 't', 'a database can be dropped while the standby checks it');
becomes($standby, q{SELECT string_agg(database, ',') FROM wc_database_health()}, 'school', 'which the standby forgets');

# ---- Promoted.
$standby->promote;
$standby->safe_psql('school', 'SET client_min_messages = warning; SELECT wc_install()');
becomes($standby, 'SELECT healthy FROM wc_health_status()', 't', 'promoted and mended: healthy');
is($primary->safe_psql('school', 'SELECT healthy FROM wc_health_status()'), 'f', 'while the other server is not');
$standby->stop;

# ---- No process to spare: the monitor, the launcher of live mode and that of logical replication have them all.
$primary->append_conf('postgresql.conf', "max_worker_processes = 3\n");
$primary->restart;
becomes($primary, q{SELECT reason ~ '^it can''t be checked since .*: no background worker was free \(max_worker_processes\)$' FROM wc_health_status()}, 't', 'no process can be had, which is said');
is($primary->safe_psql('school', 'SELECT healthy IS NULL, consecutive_failures FROM wc_health_status()'), 't|0', 'what can\'t be checked is not unhealthy');
is(scalar(() = slurp_file($primary->logfile) =~ /WARNING:  no background worker is free to look into databases/g), 1, 'the log says so once');
$primary->append_conf('postgresql.conf', "max_worker_processes = 4\n");
$primary->restart;
becomes($primary, 'SELECT NOT healthy AND reason IS NOT NULL FROM wc_health_status()', 't', 'one is enough');
$primary->safe_psql('school', 'SET client_min_messages = warning; SELECT wc_install()');
becomes($primary, 'SELECT healthy AND reason IS NULL FROM wc_health_status()', 't', 'mended: healthy');

$primary->stop;
done_testing();

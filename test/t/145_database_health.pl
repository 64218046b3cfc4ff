# The health of databases as the monitor has it checked: which databases there are, of whichever version, what makes one unhealthy and healthy
# again, and what is said of it. A check that waits is nobody's obstacle.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('health', conf => "whitecross.health_interval = 200ms\nwhitecross.health_timeout = 30s\nautovacuum = off\n");
make_database($node, 'school', 'reference', students => 20);
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'plain', 'old_1_0_0', 'old_1_1_0', 'old_1_2_0';
$node->safe_psql("old_$_", "SET client_min_messages = warning; CREATE EXTENSION whitecross VERSION '" . tr/_/./r . q{'}) for '1_0_0', '1_1_0', '1_2_0';
my ($version) = slurp_file(tree() . '/whitecross.control') =~ /^default_version\s*=\s*'([^']+)'/m;

sub sql { return $node->safe_psql('school', "SET client_min_messages = warning; $_[0]") }

# becomes(SQL, EXPECTED, NAME): waits until a query in school gives that.
sub becomes {
    my ($sql, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', $sql, $expected), $name);
}
sub databases_become { return becomes(q{SELECT string_agg(database || ' ' || version, ', ' ORDER BY database) FROM wc_database_health() WHERE healthy}, $_[0], $_[1]) }
sub said { my ($pattern) = @_; return scalar(() = slurp_file($node->logfile) =~ /$pattern/g) }

# ---- Which databases: those that have the extension, of any version.
databases_become("old_1_0_0 1.0.0, old_1_1_0 1.1.0, old_1_2_0 1.2.0, school $version", 'databases of every version of the extension are found and healthy');
is(sql(q{SELECT healthy, consecutive_failures, last_check > now() - interval '1 minute', last_failure, duration_ms > 0, failing, reason FROM wc_health_status()}),
    't|0|t||t|{}|', 'and each has its own status');
$node->safe_psql('plain', 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
databases_become("old_1_0_0 1.0.0, old_1_1_0 1.1.0, old_1_2_0 1.2.0, plain $version, school $version", 'one that gets the extension is found at once');
$node->safe_psql('plain', 'SET client_min_messages = warning; BEGIN; DROP EXTENSION whitecross; ROLLBACK; DROP EXTENSION whitecross');
databases_become("old_1_0_0 1.0.0, old_1_1_0 1.1.0, old_1_2_0 1.2.0, school $version", 'one that loses it is gone');
$node->safe_psql('old_1_0_0', q{ALTER EXTENSION whitecross UPDATE TO '1.1.0'});
databases_become("old_1_0_0 1.1.0, old_1_1_0 1.1.0, old_1_2_0 1.2.0, school $version", 'an update is seen');
$node->safe_psql('old_1_0_0', 'SET client_min_messages = warning; DROP SCHEMA public CASCADE');
$node->safe_psql('postgres', 'DROP DATABASE old_1_1_0');
databases_become("old_1_2_0 1.2.0, school $version", 'the extension can go with its schema, and a database as a whole');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE school');
databases_become("copy $version, old_1_2_0 1.2.0, school $version", 'a copy is one more');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO twin');
databases_become("old_1_2_0 1.2.0, school $version, twin $version", 'which can be renamed');
$node->safe_psql('postgres', 'ALTER DATABASE twin IS_TEMPLATE true');
databases_become("old_1_2_0 1.2.0, school $version", 'a template is not checked');
is($node->safe_psql('twin', 'SELECT healthy, reason FROM wc_health_status()'), '|a template is not checked: whoever copies it wants it to himself', 'which it says');
$node->safe_psql('postgres', 'ALTER DATABASE twin IS_TEMPLATE false; ALTER DATABASE old_1_2_0 ALLOW_CONNECTIONS false');
databases_become("school $version, twin $version", 'nor is one that allows no connections');
$node->safe_psql('postgres', 'DROP DATABASE twin; DROP DATABASE old_1_2_0');

# ---- A view is dropped: three failures in a row, unhealthy; a good check, healthy again.
sql('DROP MATERIALIZED VIEW mv_allergy_summary');
becomes('SELECT NOT healthy FROM wc_health_status()', 't', 'a database without one of its views is unhealthy');
is(sql('SELECT consecutive_failures >= 3, last_failure = last_check, failing, reason FROM wc_health_status()'),
    't|t|{"views exist"}|wc_health_check() finds something critical', 'and says since how many checks, and why');
$node->wait_for_log(qr/whitecross: database "school" is unhealthy/);
is(said(qr/whitecross: database "school" is unhealthy: 3 checks in a row failed/), 1, 'the log says so once');
becomes(q{SELECT level, database FROM wc_alerts WHERE name = 'unhealthy'}, 'critical|school', 'there is an alert');

# The monitor that comes after another knows what that knew.
my $failures = sql('SELECT consecutive_failures FROM wc_health_status()');
my $monitor  = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'});
sql("SELECT pg_terminate_backend($monitor)");
becomes("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross monitor' AND pid <> $monitor", 't', 'a monitor that was terminated is started again');
is(sql("SELECT consecutive_failures >= $failures, healthy FROM wc_health_status()"), 't|f', 'the verdict stands meanwhile');
becomes("SELECT consecutive_failures > $failures AND NOT healthy FROM wc_health_status()", 't', 'and it goes on counting');
is(said(qr/whitecross: database "school" is unhealthy/), 1, 'without saying it again');

sql('SELECT wc_install()');
becomes('SELECT healthy AND consecutive_failures = 0 FROM wc_health_status()', 't', 'the view is back: healthy again');
is(sql('SELECT last_failure < last_check, failing, reason FROM wc_health_status()'), 't|{}|', 'with the last failure kept');
$node->wait_for_log(qr/whitecross: database "school" is healthy again/);
is(said(qr/whitecross: database "school" is healthy again/), 1, 'which the log says');
becomes(q{SELECT count(*) FROM wc_alerts WHERE name = 'unhealthy'}, '0', 'and the alert is over');

# ---- A check that a lock holds up fails. It keeps no lock meanwhile, so that it can't be what somebody's deadlock is made of.
sub allow { $node->append_conf('postgresql.conf', "whitecross.health_timeout = $_[0]\n"); $node->reload; return }
my $holder = WhiteCross::Session->new($node, 'school');
allow('1s');
$holder->ask('BEGIN; ALTER MATERIALIZED VIEW mv_allergy_summary RENAME TO elsewhere;');
becomes('SELECT NOT healthy FROM wc_health_status()', 't', 'a database whose check waits for a lock is unhealthy');
like(sql('SELECT reason FROM wc_health_status()'), qr/\A(?:a lock could not be had within|the check took longer than) 1000 ms\z/, 'for that reason');
$holder->ask('ROLLBACK;');
allow('30s');
becomes('SELECT healthy AND reason IS NULL FROM wc_health_status()', 't', 'the lock is gone: healthy again');

# From here on the check is one of the test's own making. An old one is replaced when its turn comes, and the next one is of the new kind.
my $check = sql(q{SELECT pg_get_functiondef('wc_health_check()'::regprocedure)});
sub replace_check {
    my ($body) = @_;
    return sql(qq{CREATE OR REPLACE FUNCTION public.wc_health_check() RETURNS TABLE (check_name text, status text, detail text, hint text)
        LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS \$f\$ BEGIN $body END \$f\$});
}
my $visitor = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'whitecross visitor' AND datname = 'school'};
replace_check('PERFORM FROM public.students LIMIT 1; PERFORM FROM public.mv_allergy_summary LIMIT 1;');
$holder->ask('BEGIN; ALTER MATERIALIZED VIEW mv_allergy_summary RENAME TO elsewhere;');
becomes("$visitor AND wait_event_type = 'Lock'", '1', 'a check waits for the view, with a lock on its table');
is_deeply([ grep { /ERROR/ } $holder->ask('LOCK TABLE students IN ACCESS EXCLUSIVE MODE;') ], [], 'who holds the view gets the table too: no deadlock');
is_deeply([ grep { /ERROR/ } $holder->ask('COMMIT;') ], [], 'and can commit');
sql('ALTER MATERIALIZED VIEW elsewhere RENAME TO mv_allergy_summary');
becomes('SELECT healthy AND consecutive_failures = 0 AND reason IS NULL FROM wc_health_status()', 't', 'the check goes on');

# ---- One that takes too long is ended: so no snapshot of it holds a vacuum back, however long it would have run.
allow('500ms');
replace_check('PERFORM pg_sleep(3600);');
becomes('SELECT NOT healthy FROM wc_health_status()', 't', 'a check that does not end has failed');
becomes('SELECT reason FROM wc_health_status()', 'the check took longer than 500 ms', 'for that reason');
becomes(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'whitecross visitor'}, '0', 'who made it is gone');
becomes(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'whitecross monitor' AND (backend_xmin IS NOT NULL OR xact_start IS NOT NULL)}, '0', 'the monitor itself has no transaction');
my $before = sql(q{DELETE FROM allergies; SELECT txid_current()});
ok($node->poll_query_until('school', qq{SELECT coalesce(min(backend_xmin::text::bigint), $before + 1) > $before FROM pg_stat_activity WHERE backend_type LIKE 'whitecross%'}), 'no snapshot stays');
like((try_sql($node, 'school', 'VACUUM (VERBOSE) allergies'))[2], qr/tuples: [1-9]\d* removed, 0 remain, 0 are dead but not yet removable/, 'so what is deleted can be removed');

allow('30s');

# ---- One that fails: what it says is not repeated, for it may have values in it.
replace_check(q{RAISE EXCEPTION USING ERRCODE = 'division_by_zero', MESSAGE = 'Smith has measles';});
becomes('SELECT reason FROM wc_health_status()', 'wc_health_check() failed: division_by_zero', 'a check that raises an error has failed');
is(said(qr/Smith has measles.*(?<!MESSAGE)/) - said(qr/MESSAGE = 'Smith has measles/), 0, 'whose message is not in the log');

# ---- One that is run with a superuser's rights may only be what superusers have made.
replace_check(q{RETURN;});
becomes('SELECT healthy AND reason IS NULL FROM wc_health_status()', 't', 'healthy');
$node->safe_psql('postgres', 'CREATE ROLE somebody LOGIN');
sql('ALTER FUNCTION wc_healthy() OWNER TO somebody');
becomes('SELECT reason FROM wc_health_status()', 'a function or table of the extension belongs to a role that is not a superuser', 'what somebody else could change is not run');
sql('ALTER FUNCTION wc_healthy() OWNER TO postgres');
sql($check);
becomes('SELECT healthy AND reason IS NULL FROM wc_health_status()', 't', 'healthy');

# ---- Who is told.
make_database($node, 'other', 'empty');
$node->safe_psql('other', 'SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS whitecross');
databases_become("other $version, school $version", 'two databases');
is(sql('SET ROLE somebody; SELECT healthy FROM wc_health_status()'), 't', 'anybody is told of his database');
is(sql('SET ROLE somebody; SELECT string_agg(database, \',\') FROM wc_database_health()'), 'school', 'and of no other');
sql('GRANT pg_read_all_stats TO somebody');
is(sql('SET ROLE somebody; SELECT string_agg(database, \',\') FROM wc_database_health()'), 'school,other', 'but with the rights of pg_read_all_stats') or diag(sql('SELECT * FROM wc_database_health()'));

# ---- No checks.
$node->append_conf('postgresql.conf', "whitecross.health_interval = 0\n");
$node->reload;
becomes('SELECT reason FROM wc_health_status()', 'health checks are off: whitecross.health_interval is 0', 'switched off, which it says');
is(sql('SELECT healthy FROM wc_health_status()'), 't', 'beside the last verdict');

# ---- Without shared memory.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
is((try_sql($node, 'school', "SELECT * FROM $_()"))[1], '55000', "$_() needs the library preloaded") for 'wc_health_status', 'wc_database_health';

done_testing();

# Who checks a database from inside is nobody's obstacle: commands that need a database for themselves, or change the extension in it, send
# him away and run; so do shutdowns. He comes back when they are over. Live mode gives way at the same moments.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# A check that never ends, and may take a minute: without giving way each command below would fail, for the server itself waits 5 s for sessions
# to leave a database.
my $node = new_node('claims', conf => "whitecross.health_interval = 200ms\nwhitecross.health_timeout = 60s\nautovacuum = off\n");
make_database($node, 'school', 'empty', whitecross => 0);
$node->safe_psql('school', q{SET client_min_messages = warning; CREATE EXTENSION whitecross VERSION '1.1.0'});

# It has locks on what is the extension's, and a snapshot.
my $endless = q{CREATE OR REPLACE FUNCTION public.wc_health_check() RETURNS TABLE (check_name text, status text, detail text, hint text)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
  AS $f$ BEGIN PERFORM FROM public.wc_view_state; PERFORM FROM public.wc_configuration; PERFORM pg_sleep(3600); END $f$};
$node->safe_psql('school', $endless);

sub pid_in { my ($database) = @_; return $node->safe_psql('postgres', qq{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross visitor' AND datname = '$database'}) }

# Waits until a check is under way in a database, and sleeps. The one that was under way when the check was replaced is none.
sub await_check {
    my ($database, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('postgres',
        qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross visitor' AND datname = '$database' AND wait_event = 'PgSleep'}), $name);
}
sub runs { my ($database, $sql, $name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; my (undef, $state, $err) = try_sql($node, $database, $sql); return is($state, '', $name) || diag($err) }

await_check('school', 'a check is under way');
runs('postgres', 'CREATE DATABASE copy TEMPLATE school', 'the database can be copied');
await_check('school', 'and is checked again');
await_check('copy',   'so is the copy');
runs('postgres', 'ALTER DATABASE copy RENAME TO twin', 'a database can be renamed');
await_check('twin', 'and is checked under its new name');
my $tablespace = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
runs('postgres', 'ALTER DATABASE twin SET TABLESPACE elsewhere', 'it can be moved');
await_check('twin', 'and is checked there');

# Another's database is not for everybody to send anybody away from. A check that has just begun does not come to its own end meanwhile.
my $pid = pid_in('school');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross visitor' AND datname = 'school' AND wait_event = 'PgSleep' AND pid <> $pid}),
    'a check that was cancelled is followed by another');
$pid = pid_in('school');
$node->safe_psql('postgres', 'CREATE ROLE stranger CREATEDB');
is((try_sql($node, 'postgres', "SET ROLE stranger; $_"))[1], '42501', "$_ is refused")
  for 'DROP DATABASE school', 'ALTER DATABASE school RENAME TO mine', 'CREATE DATABASE mine TEMPLATE school';
is((try_sql($node, 'school', "SET ROLE stranger; $_"))[1], '42501', "$_ is refused")
  for 'DROP EXTENSION whitecross', 'ALTER EXTENSION whitecross UPDATE';
is(pid_in('school'), $pid, 'and nobody was sent away');

# The extension is changed or dropped under its hands: its locks are gone before those are wanted.
runs('school', q{SET client_min_messages = warning; SET lock_timeout = '1ms'; BEGIN; DROP EXTENSION whitecross; ROLLBACK}, 'DROP EXTENSION waits for no lock');
await_check('school', 'rolled back, it is checked again');
runs('school', q{SET client_min_messages = warning; SET lock_timeout = '1ms'; ALTER EXTENSION whitecross UPDATE TO '1.2.0'}, 'nor does ALTER EXTENSION UPDATE');
ok($node->poll_query_until('postgres', qq{SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid}), 'who was there is gone');
$node->safe_psql('school', $endless);    # the update has brought its own
await_check('school', 'the new version is checked');

# While the extension is being changed nobody comes.
my $session = $node->background_psql('school', on_error_stop => 0);
$session->query_safe('SET client_min_messages = warning; BEGIN; DROP EXTENSION whitecross');
is(pid_in('school'), '', 'while the transaction that drops it is open, nobody is in its way');
$node->poll_query_until('twin', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'twin'});
runs('postgres', 'ALTER DATABASE twin RENAME TO third', 'another database is claimed meanwhile');
await_check('third', 'which is checked again');
is(pid_in('school'), '', 'and still nobody came to the first');
$session->query_safe('ROLLBACK');
$session->quit;
await_check('school', 'until that transaction is over');

# Live mode and checks both give way.
runs('postgres', 'ALTER DATABASE third SET whitecross.live_refresh = on', 'live mode is switched on');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh' AND datname = 'third'}), 'its worker is there');
await_check('third', 'and a check');
runs('postgres', 'CREATE DATABASE fourth TEMPLATE third', 'the database can be copied');
await_check('third', 'a check comes back');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross live refresh' AND datname = 'third'}), 'and so does the worker of live mode');
runs('postgres', "DROP DATABASE $_", "database $_ can be dropped") for 'third', 'fourth';

# A check that was kept from its end so often has not failed.
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE datname IN ('third', 'fourth', 'twin', 'copy')}), '0', 'nobody is left anywhere');
unlike(slurp_file($node->logfile), qr/is unhealthy/, 'no database is called unhealthy for having been claimed');

# A visitor that somebody cancels or ends is followed by another.
await_check('school', 'a check is under way');
$pid = pid_in('school');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'whitecross visitor' AND datname = 'school' AND pid <> $pid}), 'one that was terminated is followed by another');

# Nor does it hold up a shutdown.
await_check('school', 'a check is under way');
$node->stop('fast');
ok(1, 'the server stops');
$node->start;
await_check('school', 'and has its databases checked when it is there again');
runs('postgres', 'DROP DATABASE school WITH (FORCE)', 'a database can be dropped by force');

done_testing();

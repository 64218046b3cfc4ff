# wc_connections: the sums of pg_stat_activity, the limits that apply, who sees what; a server that fills up until nobody gets in, while
# the monitor goes on sampling.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Clients;
use WhiteCross::Test;

my $usable = 100;
my $node   = new_node('connections', conf => <<"CONF");
max_connections = @{[$usable + 3]}
superuser_reserved_connections = 3
whitecross.monitor_interval = 1s
CONF
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE app LOGIN;
CREATE ROLE reports LOGIN CONNECTION LIMIT 20;
CREATE ROLE "Odd ""name""" LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
CREATE ROLE nobody LOGIN;
CREATE DATABASE school;
CREATE DATABASE archive CONNECTION LIMIT 40;
SQL
$node->safe_psql($_, 'SET client_min_messages = warning; CREATE EXTENSION whitecross') for 'postgres', 'school';
$node->safe_psql('school', 'CREATE TABLE locked ()');

# Who has asked is gone before anybody else counts: each but the clients that the test keeps open.
my $open = 0;
sub value {
    my ($sql, $database) = @_;
    my $value = $node->safe_psql($database // 'postgres', $sql);
    await_clients($node, $open);
    return $value;
}

sub seen_by {
    my ($role, $sql) = @_;
    local $ENV{PGUSER} = $role;
    return value($sql);
}

# keep(DATABASE, ROLE, NUMBER): that many clients. Where the last places are still taken by who is about to go, it waits for them.
sub keep {
    my ($database, $role, $number) = @_;
    await_clients($node, $open);
    my @clients = connect_clients($node, $database, $role, $number);
    $open += @clients;
    return @clients;
}

# Ends clients, and waits until their processes are gone.
sub leave {
    close $_ for @_;
    $open -= @_;
    return await_clients($node, $open);
}

# Waits until a query says t.
sub await_true {
    my ($sql, $otherwise) = @_;
    $node->poll_query_until('postgres', $sql) or die "$otherwise\n";
    return await_clients($node, $open);
}

# What the server's own view says, in the same form.
my $expected = <<'SQL';
SELECT CASE grouping(datname, usename) WHEN 3 THEN 'server' WHEN 1 THEN 'database' WHEN 2 THEN 'role' ELSE 'database and role' END AS scope, datname::text, usename::text,
       count(*) FILTER (WHERE state IN ('active', 'fastpath function call')) AS active, count(*) FILTER (WHERE state = 'idle') AS idle,
       count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS in_transaction, count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting, count(*) AS total,
       date_trunc('second', now() - min(xact_start)) AS oldest
  FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY CUBE (datname, usename)
SQL
my $found = <<'SQL';
SELECT scope, database, role, active, idle, idle_in_transaction, waiting, total, date_trunc('second', oldest_transaction) FROM wc_connections
SQL

sub agrees {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(value("SELECT * FROM (($expected) EXCEPT ALL ($found)) AS missing UNION ALL SELECT * FROM (($found) EXCEPT ALL ($expected)) AS unexpected"),
        '', $name);
}

# ---- States

agrees('the caller alone');
my %client;
($client{$_}) = keep('school', 'app', 1) for 'idle', 'open', 'failed', 'active', 'holder', 'waiting';
my @reports = keep('archive', 'reports', 4);
my @odd     = keep('archive', 'Odd "name"', 1);
my @super   = keep('archive', 'postgres', 1);
send_query($client{open}, 'BEGIN; SELECT 1');
send_query($client{failed}, 'BEGIN; SELECT 1 / 0');
send_query($client{holder}, 'BEGIN');
last_answer($client{$_}) for 'open', 'failed', 'holder';
send_query($client{failed}, 'SELECT 1'); # in the failed transaction
like(last_answer($client{failed}), qr/current transaction is aborted/, 'a failed transaction');
value('GRANT ALL ON locked TO app', 'school');
send_query($client{holder}, 'LOCK TABLE locked');
is(last_answer($client{holder}), undef, 'a lock is held');
send_query($client{active}, 'SELECT pg_sleep(600)');
send_query($client{waiting}, 'SELECT FROM locked');
await_true(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}, 'nobody waits');
await_true(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, 'nobody sleeps');
agrees('in every state');
is(value(q{SELECT active, idle, idle_in_transaction, waiting, total, max, utilisation_percent FROM wc_connections WHERE scope = 'database and role' AND database = 'school' AND role = 'app'}),
    '2|1|3|1|6|100|6', 'the application: two are active, one of which waits, one is idle, three have left a transaction open');
is(value(q{SELECT string_agg(scope, ', ') FROM wc_connections WHERE oldest_transaction IS NULL}), 'database, role, role, database and role, database and role, database and role',
    'who has no transaction open has no oldest one') or diag(value('TABLE wc_connections'));

# ---- Limits

my $limits = q{SELECT string_agg(format('%s %s %s', coalesce(role, database), max, utilisation_percent), ', ' ORDER BY role, database) FROM wc_connections WHERE scope IN ('database', 'role')};
is(value($limits), 'Odd "name" 100 1, app 100 6, postgres 103 1.94, reports 20 20, archive 40 15, postgres 100 1, school 100 6', 'the limits of databases and roles');
is(value(q{SELECT max, utilisation_percent FROM wc_connections WHERE scope = 'database and role' AND database = 'archive' AND role = 'reports'}), '20|20', 'of both the least');
is(value(q{SELECT max FROM wc_connections WHERE scope = 'database and role' AND database = 'archive' AND role = 'postgres'}), '103', 'a superuser is held to none');
value('ALTER ROLE reports CONNECTION LIMIT 80; ALTER DATABASE archive CONNECTION LIMIT 0');
is(value(q{SELECT scope, max, utilisation_percent FROM wc_connections WHERE database = 'archive' AND coalesce(role, 'reports') = 'reports' ORDER BY scope}),
    "database|0|\ndatabase and role|0|", 'where nobody may connect there is no utilisation');
value('ALTER ROLE postgres CONNECTION LIMIT 1; ALTER DATABASE archive CONNECTION LIMIT -1');
is(value(q{SELECT max FROM wc_connections WHERE scope = 'role' AND role IN ('postgres', 'reports') ORDER BY max}), "80\n103", 'a limit that was raised, and one of a superuser, which is none');

# ---- Sessions that don't say what they do; roles and databases that are gone

value('ALTER ROLE nobody SET track_activities = off');
my @silent = keep('school', 'nobody', 2);
is(value(q{SELECT active, idle, idle_in_transaction, total, oldest_transaction FROM wc_connections WHERE role = 'nobody' AND scope = 'role'}), '0|0|0|2|', 'without track_activities they count all the same');
value('DROP ROLE nobody');
is(value(q{SELECT scope, database, role, total FROM wc_connections WHERE total = 2 AND role IS NULL}), "role|||2\ndatabase and role|school||2", 'a role that was dropped has no name');
leave(splice @silent);

# ---- Who sees what

is(seen_by('watcher', q{SELECT string_agg(DISTINCT role, ', ' ORDER BY role) FROM wc_connections}), 'Odd "name", app, postgres, reports, watcher',
    'a role with pg_read_all_stats sees all');
is(seen_by('app', q{SELECT string_agg(DISTINCT coalesce(role, scope), ', ' ORDER BY coalesce(role, scope)) FROM wc_connections}), 'app, database, server', 'another sees the sums, and itself');
is(seen_by('app', q{SELECT total FROM wc_connections WHERE scope = 'server'}), value(q{SELECT total FROM wc_connections WHERE scope = 'server'}), 'the sums are the same');
await_true(q{SELECT count(*) > 0 FROM wc_connection_history WHERE role = 'app'}, 'nothing is sampled');
is(seen_by('app', q{SELECT string_agg(DISTINCT coalesce(role, scope), ', ' ORDER BY coalesce(role, scope)) FROM wc_connection_history}), 'app, database, server', 'of the history too');

# ---- Full: the monitor goes on, and the numbers are right

$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'client' AND wait_event = 'PgSleep'});
leave(splice(@reports), splice(@odd), splice(@super), values %client);
%client = ();
my @app;

# That many of the application, and nobody else; until the monitor has seen just that.
sub fill_to {
    my ($number) = @_;
    push @app, keep('school', 'app', $number - @app) if $number > @app;
    leave(splice @app, $number) if @app > $number;
    my $since = value('SELECT clock_timestamp()');
    return $node->poll_query_until('postgres', "SELECT count(*) > 0 FROM wc_connection_history('$since') WHERE scope = 'server' AND total = $number")
      ? value("SELECT max, utilisation_percent FROM wc_connection_history('$since') WHERE scope = 'server' AND total = $number LIMIT 1")
      : 'not seen';
}
is(fill_to(85), '100|85', 'at 85 percent');
is(fill_to(96), '100|96', 'at 96 percent');
is(fill_to(100), '100|100', 'at 100 percent');
ok(!eval { connect_clients($node, 'school', 'app', 1); 1 }, 'nobody else gets in');
like($@, qr/remaining connection slots are reserved/, 'but a superuser');
await_clients($node, $open);
is(value(q{SELECT total, max, utilisation_percent FROM wc_connections WHERE scope = 'server'}), '101|100|101', 'who takes what is reserved');
push @super, keep('school', 'postgres', 3);
ok(!eval { connect_clients($node, 'school', 'postgres', 1); 1 }, 'until that is taken too');
like($@, qr/too many clients/, 'nobody at all gets in');
send_query($super[0], 'CREATE TABLE seen (sampled_at timestamptz)');
is(last_answer($super[0]), undef, 'a session that was there before');
# The samples that are taken while it looks, in which it is active.
send_query($super[0], <<'SQL');
DO $$
DECLARE begun timestamptz := clock_timestamp();
BEGIN
  WHILE (SELECT count(DISTINCT h.sampled_at) < 2 FROM wc_connection_history(begun) AS h) LOOP PERFORM pg_sleep(0.1); END LOOP;
  INSERT INTO seen SELECT DISTINCT h.sampled_at FROM wc_connection_history(begun) AS h;
END $$
SQL
is(last_answer($super[0]), undef, 'sees that it is sampled again and again');
leave(splice @super);
is(value(q{SELECT DISTINCT h.total, h.max, h.utilisation_percent, h.active FROM wc_connection_history AS h JOIN seen AS s USING (sampled_at) WHERE h.scope = 'server'}, 'school'), '103|100|103|1',
    'all of them were counted');
is(fill_to(0), '100|0', 'and empty again');

# ---- Without the library preloaded

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->restart;
agrees('without the library in shared_preload_libraries');
is((try_sql($node, 'postgres', 'TABLE wc_connection_history'))[1], '55000', 'there is no history');
is((try_sql($node, 'postgres', 'SELECT * FROM wc_connection_history_status()'))[1], '55000', 'nor what becomes of it');

done_testing();

# wc_install() beside a running application: what it can't lock is pending with the reason, everything else is made, nothing
# fails half way, and no session of the application becomes the victim of a deadlock.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WhiteCross::Test;

# Nobody holds locks on the tables but who is meant to.
my $node = new_node('locks', conf => "deadlock_timeout = '200ms'\nautovacuum = off\nwhitecross.health_interval = 0\n");
make_database($node, 'plain', 'reference', students => 50, whitecross => 0);

my $database = 'site0';
sub fresh {
    my ($options) = @_;
    $database++;
    $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE plain");
    return;
}

# Objects with a status other than installed, by kind; what else there is of theirs.
sub unfinished {
    return $node->safe_psql($database, q{SELECT kind || ' ' || status || ': ' || count(*) || ' ' || coalesce(string_agg(DISTINCT reason, '; '), '')
        FROM wc_objects() WHERE status <> 'installed' AND kind NOT IN ('trigger', 'refresh index') GROUP BY kind, status ORDER BY 1});
}
my $all_made = sub { is(unfinished(), '', $_[0]) };

sub session {
    my ($sql) = @_;
    my $session = $node->background_psql($database, on_error_stop => 0);
    $session->query_safe($sql) if $sql;
    return $session;
}

sub waits { my ($name) = @_; ok($node->poll_query_until($database, q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}), $name); return; }

my $brief = q{SET client_min_messages = warning; SET whitecross.lock_timeout = '300ms'};
my $no_lock = 'no lock on students within whitecross.lock_timeout';

# ---- One table is locked, more and more weakly: what needs the lock is pending, the rest is made.
my @cases = (
    [   'locked against everything', 'LOCK TABLE students IN ACCESS EXCLUSIVE MODE',
        "check constraint pending: 2 $no_lock\ncovering index pending: 2 $no_lock\nmaterialized view pending: 4 $no_lock\n"
          . "partial index pending: 3 $no_lock\nview index pending: 15 "
          . join '; ', map { "view $_ is not installed" } grep { !/statistics/ } sort { $a cmp $b } VIEWS ],
    [   'being written', q{UPDATE students SET "lastName" = 'Other' WHERE id IN (SELECT id FROM students LIMIT 1)},
        "check constraint pending: 2 $no_lock\ncovering index pending: 2 $no_lock\npartial index pending: 3 $no_lock" ],
    [ 'being read', 'SELECT count(*) FROM students', "check constraint pending: 2 $no_lock" ]);
for my $case (@cases) {
    my ($how, $lock, $expected) = @$case;
    fresh();
    my $application = session("BEGIN; $lock");
    my $started = time;
    is((try_sql($node, $database, "$brief; CREATE EXTENSION whitecross"))[1], '', "a table is $how: CREATE EXTENSION succeeds");
    cmp_ok(time - $started, '<', 20, 'and does not wait longer than it was told to');
    is(unfinished(), $expected, 'what needs its lock is pending with the reason, the rest is made');
    $application->query_safe('COMMIT');
    $application->quit;
    $node->safe_psql($database, "$brief; SELECT wc_install()");
    $all_made->('once it is free, wc_install() makes the rest');
}

# ---- Taking away.
{
    fresh();
    $node->safe_psql($database, "$brief; CREATE EXTENSION whitecross");
    my $application = session('BEGIN; SELECT count(*) FROM mv_allergy_summary; SELECT count(*) FROM allergies');
    is($node->safe_psql($database, "$brief; SELECT name, action, reason FROM wc_suspend_views() WHERE name LIKE 'mv_allergy%' OR action <> 'dropped'"),
        "mv_allergy_summary|kept|no lock on mv_allergy_summary within whitecross.lock_timeout\n"
          . join("\n", map { "mv_allergy_summary_$_|kept|its view is kept" } qw(pkey school epipen)), 'a view that is being read is kept, with the reason');
    my $kept = $node->safe_psql($database, "$brief; SELECT DISTINCT table_name, action, reason FROM wc_retire() WHERE action <> 'dropped' ORDER BY 1, 3");
    is($kept, "allergies|kept|no lock on allergies within whitecross.lock_timeout\nmv_allergy_summary|kept|its view is kept\n"
          . 'mv_allergy_summary|kept|no lock on mv_allergy_summary within whitecross.lock_timeout',
        'so are the objects on its table, and nothing else');
    my (undef, $state, $err) = try_sql($node, $database, "$brief; SELECT wc_disable('idx_allergies_by_student')");
    is($state, '55P03', 'wc_disable() refuses');
    like($err, qr/The reason: no lock on allergies within whitecross\.lock_timeout\./, 'with the reason');
    $application->query_safe('COMMIT');
    $application->quit;
    is($node->safe_psql($database, "$brief; SELECT DISTINCT action FROM wc_retire()"), 'dropped', 'and go once it is free');
}

# ---- Deadlocks, either way round. The server fails whichever session looks first: it must not be the application's.
{
    fresh();
    my $application = session(q{BEGIN; UPDATE students SET "lastName" = 'Other'});
    my $installer = session();
    send_to($installer, q{SET client_min_messages = warning; SET whitecross.lock_timeout = '60s'; CREATE EXTENSION whitecross});
    waits('wc_install() waits for the application');
    # Were it holding the locks of the tables that come before students, this would wait for it, and one had to fail.
    my $started = time;
    is($application->query(q{UPDATE allergies SET notes = 'seen'; UPDATE appointments SET notes = 'seen'; UPDATE health_records SET notes = 'seen'}), '',
        'which meanwhile writes other tables');
    is($application->{stderr}, '', 'without an error');
    cmp_ok(time - $started, '<', 30, 'nor a long wait');
    $application->query_safe('COMMIT');
    my (undef, $err) = answer($installer);
    unlike($err, qr/ERROR/, 'wc_install() ends well');
    $all_made->('and has made everything');
    $application->quit;
}
{
    fresh();
    $node->safe_psql($database, "$brief; CREATE EXTENSION whitecross");
    # An application that writes tables in every order, at the same time as everything comes and goes.
    my $script = $node->basedir . '/application.sql';
    append_to_file($script, <<'SQL');
\set first random(1, 3)
\if :first = 1
BEGIN;
UPDATE students SET "updatedAt" = now() WHERE id = (SELECT id FROM students ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED);
UPDATE allergies SET "updatedAt" = now() WHERE id = (SELECT id FROM allergies ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED);
COMMIT;
\elif :first = 2
BEGIN;
UPDATE vaccinations SET "updatedAt" = now() WHERE id = (SELECT id FROM vaccinations ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED);
UPDATE appointments SET "updatedAt" = now() WHERE id = (SELECT id FROM appointments ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED);
UPDATE medications SET "updatedAt" = now() WHERE id = (SELECT id FROM medications ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED);
COMMIT;
\else
BEGIN;
SELECT count(*) FROM students;
SELECT count(*) FROM health_records;
UPDATE allergies SET "updatedAt" = now() WHERE id = (SELECT id FROM allergies ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED);
COMMIT;
\endif
SQL
    my ($out, $err) = ('', '');
    my $pgbench = do {
        local $ENV{PGAPPNAME} = 'application';
        IPC::Run::start([ 'pgbench', '--no-vacuum', '--client=4', '--jobs=2', '--time=600', '--file', $script,
            '--host', $node->host, '--port', $node->port, $database ], '>', \$out, '2>', \$err);
    };
    ok($node->poll_query_until($database, q{SELECT count(*) = 4 FROM pg_stat_activity WHERE application_name = 'application'}), 'the application is at work');
    for my $round (1 .. 5) {
        my ($actions, $state) = try_sql($node, $database, q{SET client_min_messages = warning; SELECT DISTINCT action FROM wc_retire(); SELECT DISTINCT action FROM wc_install() WHERE action <> 'pending'});
        is("$state $actions", " dropped\ncreated", "round $round: everything goes and comes");
    }
    # Between two transactions there is no beginning of one.
    my $at_work = q{SELECT count(*), bool_and(coalesce(xact_start, state_change) > now() - interval '1 minute') FROM pg_stat_activity WHERE application_name = 'application'};
    is($node->safe_psql($database, $at_work), '4|t', 'all of the application is still at work');
    $pgbench->signal('INT');
    $pgbench->finish;
    unlike($err, qr/error|abort/i, 'the application saw no error');
    $all_made->('and in the end everything is there');
}

# ---- A caller's own lock: the server sees that deadlock, and we are the one to give way.
{
    fresh();
    $node->safe_psql($database, "$brief; SET whitecross.install_on_create = off; CREATE EXTENSION whitecross");
    my $application = session('BEGIN; UPDATE students SET "lastName" = \'Other\'');
    my $installer = session(q{SET client_min_messages = warning; SET whitecross.lock_timeout = '60s'; BEGIN; LOCK TABLE vaccinations});
    send_to($installer, 'SELECT wc_install() IS NULL AS nothing; COMMIT');
    waits('wc_install() waits in a transaction that holds a lock');
    send_to($application, 'UPDATE vaccinations SET notes = \'seen\'; COMMIT');
    my (undef, $err) = answer($installer);
    unlike($err, qr/ERROR/, 'wc_install() gives way');
    (undef, $err) = answer($application);
    unlike($err, qr/ERROR/, 'the application does not');
    like(unfinished(), qr/^check constraint pending: 2 deadlock_detected \(40P01\)$/m, 'and what that left undone is pending, with the reason');
    $node->safe_psql($database, 'SELECT wc_install()');
    $all_made->('until wc_install() is called again');
}

# ---- Two at once; a cancel.
{
    fresh();
    my $first = session("$brief; BEGIN; CREATE EXTENSION whitecross; SAVEPOINT made");
    my (undef, $state) = try_sql($node, $database, 'SELECT 1');
    is($state, '', 'while one installs, others work');
    $first->query_safe('COMMIT');
    $first->query_safe("BEGIN; SELECT wc_retire('view index')");
    (undef, $state, my $err) = try_sql($node, $database, "$brief; SELECT wc_install()");
    is($state, '55P03', 'a second wc_install() waits for the first, and not for ever');
    like($err, qr/DETAIL: .*Another session is installing or retiring managed objects\..*HINT: .*try again/s, 'and says so');
    $first->query_safe('ROLLBACK');

    $node->safe_psql($database, "SELECT wc_retire()");
    $first->query_safe('BEGIN; LOCK TABLE vital_signs');
    my $second = session(q{SET whitecross.lock_timeout = '0'});
    my $pid = $second->query_safe('SELECT pg_backend_pid()');
    send_to($second, 'SELECT wc_install()');
    waits('a lock timeout of 0 waits without limit');
    $node->safe_psql($database, "SELECT pg_cancel_backend($pid)");
    (undef, $err) = answer($second);
    like($err, qr/ERROR:  57014:/, 'but can be cancelled');
    is($node->safe_psql($database, q{SELECT count(*) FROM wc_objects() WHERE status = 'installed'}), '0', 'and leaves nothing half way');
    $first->query_safe('COMMIT');
    $first->quit;
    $node->safe_psql($database, 'SELECT wc_install()');
    $all_made->('it can be done again');
}

# ---- Later, at a quiet time.
{
    fresh();
    my (undef, $state, $err) = try_sql($node, $database, 'SET whitecross.install_on_create = off; CREATE EXTENSION whitecross');
    is($state, '', 'install_on_create = off: CREATE EXTENSION succeeds');
    like($err, qr/NOTICE: .*managed objects are not installed yet\nHINT:  Run SELECT \* FROM public\.wc_install\(\) at a quiet time\./, 'with a notice and a hint');
    is($node->safe_psql($database, q{SELECT DISTINCT status, reason FROM wc_objects() WHERE kind NOT IN ('trigger', 'refresh index')}), 'pending|not installed yet: run wc_install()', 'and nothing is installed');
    is($node->safe_psql($database, 'SELECT count(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation WHERE relname = \'students\''), '0', 'nor locked');
    $node->safe_psql($database, 'SELECT wc_install()');
    $all_made->('wc_install() makes it all');

    make_database($node, 'no_tables', 'empty');
    (undef, $state, $err) = try_sql($node, 'no_tables', 'CREATE EXTENSION whitecross');
    is($state, '', 'no base tables: CREATE EXTENSION succeeds');
    my $notice = qr/NOTICE:  00000: schema "public" has no base tables: no managed object is installed\nHINT:  Create the tables, or run wc_create_base_tables\(\), and then run wc_install\(\)\./;
    like($err, $notice, 'with a notice and a hint');
    like((try_sql($node, 'no_tables', 'SELECT * FROM wc_install()'))[2], $notice, 'and so does wc_install()');
    is((try_sql($node, 'no_tables', 'SET client_min_messages = warning; DROP EXTENSION whitecross; CREATE EXTENSION whitecross'))[2], '', 'for those who want to see notices');
    is($node->safe_psql('no_tables', 'SELECT DISTINCT status FROM wc_objects() WHERE kind <> \'trigger\''), 'pending', 'everything is pending');
}

done_testing();

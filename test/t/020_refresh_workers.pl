# Refreshing in background workers: readers, cancelling and ending, locks, slots, timeouts, shutdown. In mode concurrent, which
# reads the base tables whatever has changed: by their locks a refresh is caught half way.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# wal_level is minimal: LOCK TABLE in a transaction gives it no transaction id, so that its refresh runs in workers. Nobody but who is
# meant to holds a lock that a refresh or a reader could have to wait for.
my $node = new_node('workers', conf => "log_min_messages = debug1\nlog_error_verbosity = verbose\nautovacuum = off\n");
make_database($node, 'district', 'reference', students => 50);
$node->safe_psql('district', 'ALTER DATABASE district SET whitecross.max_refresh_workers = 2');

my $working = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'whitecross refresh'};
my $stuck   = qq{$working AND wait_event_type = 'Lock'};

# Shuts every refresh of the five views out, half way: where it reads the base tables.
sub block {
    my $blocker = $node->background_psql('district');
    $blocker->query_safe('BEGIN; LOCK TABLE students, users IN ACCESS EXCLUSIVE MODE');
    return $blocker;
}

# A session that has sent a statement, and its process id.
sub begin_call {
    my ($sql) = @_;
    my $session = $node->background_psql('district', on_error_stop => 0);
    my $pid = $session->query_safe('SELECT pg_backend_pid()');
    send_to($session, $sql);
    return ($session, $pid);
}

sub settles { my ($sql, $expected, $name) = @_; ok($node->poll_query_until('district', $sql, $expected), $name); return; }

sub log_is {
    my ($expected, $name) = @_;
    is($node->safe_psql('district', 'SELECT status, in_worker, sqlstate, message FROM wc_refresh_log ORDER BY message, view_name'),
        $expected, $name);
    return;
}

sub forget { $node->safe_psql('district', 'TRUNCATE wc_refresh_log'); return; }

# ---- Readers never wait.
{
    my $blocker = block();
    my ($caller) = begin_call(q{SET whitecross.lock_timeout = 0; SELECT view_name, mode, status FROM wc_refresh_all('concurrent')});
    settles($stuck, 2, 'two workers are stopped half way');
    is( $node->safe_psql('district', join ' ', "SET lock_timeout = '1ms';", map { "SELECT count(*) > 0 FROM $_;" } VIEWS),
        join("\n", ('t') x VIEWS), 'every view can be read meanwhile without waiting for a lock');
    is($node->safe_psql('district', "SELECT count(DISTINCT relation) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
         WHERE c.relkind = 'm' AND l.mode = 'ExclusiveLock' AND l.granted"), 2, 'while two are being refreshed');
    $blocker->quit;
    my ($out) = answer($caller);
    my $refreshed = () = $out =~ /\|concurrent\|refreshed/g;
    is($refreshed, 5, 'and then all five are refreshed');
    is($node->safe_psql('district', $working), 0, 'the workers are gone');
}

# ---- Cancelled half way.
{
    forget();
    my $blocker = block();
    my ($caller, $pid) = begin_call(q{SET whitecross.lock_timeout = 0; SELECT * FROM wc_refresh_all('concurrent')});
    settles($stuck, 2, 'two workers are stopped half way');
    $node->safe_psql('district', "SELECT pg_cancel_backend($pid)");
    my ($out, $err) = answer($caller);
    like($err, qr/57014: canceling statement due to user request/, 'a cancel ends the call');
    is($node->safe_psql('district', $working), 0, 'no worker is left when it has ended, though the lock is still there');
    like($node->safe_psql('district', 'SELECT message FROM wc_refresh_log'),
        qr/^query_canceled while refreshing mv_\w+\nquery_canceled while refreshing mv_\w+$/, 'both attempts are in the log');
    $blocker->quit;
}

# ---- The caller is ended.
{
    forget();
    my $blocker = block();
    my ($caller, $pid) = begin_call(q{SET whitecross.lock_timeout = 0; SELECT * FROM wc_refresh_all('concurrent', workers => 3)});
    settles($stuck, 3, 'three workers are stopped half way');
    $node->safe_psql('district', "SELECT pg_terminate_backend($pid)");
    settles($working, 0, 'ending the calling session ends its workers, though the lock is still there');
    settles('SELECT count(*) FROM wc_refresh_log', 3, 'their attempts are in the log');
    is($node->safe_psql('district', 'SELECT DISTINCT sqlstate FROM wc_refresh_log'), '57P01', 'as ended by an administrator');
    $blocker->quit;
    eval { $caller->quit };
}

# ---- The call runs out of time, half way: where that is too little for its workers to get there, it is given more.
{
    my $blocker = block();
    my ($half_way, $out, $err);
    for my $seconds (1, 4, 16, 64) {
        $node->poll_query_until('district', $working, 0);
        forget();
        my ($caller, $pid) = begin_call(
            qq{SET whitecross.lock_timeout = 0; SET statement_timeout = '${seconds}s'; SELECT * FROM wc_refresh_all('concurrent')});
        $node->poll_query_until('district', qq{SELECT ($stuck) = 2 OR EXISTS (SELECT FROM pg_stat_activity
             WHERE pid = $pid AND state = 'idle' AND query ~ 'wc_refresh_all')});
        $half_way = $node->safe_psql('district', $stuck);
        ($out, $err) = answer($caller);
        last if $half_way == 2;
    }
    is($half_way, 2, 'two workers are stopped half way');
    like($err, qr/57014: canceling statement due to statement timeout/, 'statement_timeout ends the call');
    settles($working, 0, 'and its workers');
    is($node->safe_psql('district', "SELECT count(*) FROM wc_refresh_log WHERE sqlstate = '57014'"), 2, 'their attempts are in the log');
    $blocker->quit;
}

# ---- A worker is cancelled, or ended: that is its view's row.
for my $case ([ 'pg_cancel_backend', '57014' ], [ 'pg_terminate_backend', '57P01' ]) {
    my ($function, $state) = @$case;
    forget();
    my $blocker = block();
    my ($caller) = begin_call(q{SET whitecross.lock_timeout = 0; SELECT status, sqlstate FROM wc_refresh_all('concurrent', workers => 5)});
    settles($stuck, 5, 'five workers are stopped half way');
    $node->safe_psql('district', "SELECT $function(pid) FROM pg_stat_activity WHERE application_name = 'whitecross refresh mv_allergy_summary'");
    settles($working, 4, "$function ends one of them");
    $blocker->quit;
    my ($out) = answer($caller);
    my $refreshed = () = $out =~ /^refreshed\|$/mg;
    is($refreshed, 4, 'the others are refreshed');
    like($out, qr/^failed\|$state$/m, "and its own row says $state");
    is($node->safe_psql('district', "SELECT view_name, sqlstate FROM wc_refresh_log WHERE status = 'failed'"),
        "mv_allergy_summary|$state", 'as does the log');
}

# ---- A worker that can't even begin: the database lets nobody in.
{
    forget();
    my $session = $node->background_psql('district');
    $node->safe_psql('postgres', 'ALTER DATABASE district ALLOW_CONNECTIONS false');
    is($session->query_safe(q{SELECT view_name, mode, status, sqlstate, message FROM wc_refresh('allergy_summary', 'concurrent')}),
        'mv_allergy_summary||failed|57P01|admin_shutdown while refreshing mv_allergy_summary: its background worker ended early',
        'a worker that ends without a word is its view\'s row');
    $node->safe_psql('postgres', 'ALTER DATABASE district ALLOW_CONNECTIONS true');
    $session->quit;
    log_is('failed|f|57P01|admin_shutdown while refreshing mv_allergy_summary: its background worker ended early',
        'the caller writes its row in the log');
}

# ---- Locks held by others, and by the caller.
{
    forget();
    my $blocker = $node->background_psql('district');
    $blocker->query_safe('BEGIN; LOCK TABLE allergies IN ACCESS EXCLUSIVE MODE');
    is( $node->safe_psql('district', q{SET whitecross.lock_timeout = '2s';
            SELECT view_name, status, sqlstate FROM wc_refresh_all('concurrent') ORDER BY view_name}), <<'ROWS' =~ s/\n\z//r,
mv_allergy_summary|failed|55P03
mv_appointment_statistics|refreshed|
mv_compliance_status|refreshed|
mv_medication_schedule|refreshed|
mv_student_health_summary|failed|55P03
ROWS
        'what needs a table that another session has locked fails within the lock timeout, the others do not');
    $blocker->quit;
    forget();
    is( $node->safe_psql('district', q{SET deadlock_timeout = '10ms'; BEGIN; LOCK TABLE allergies IN ACCESS EXCLUSIVE MODE;
            SELECT view_name, status, sqlstate FROM wc_refresh_all('concurrent') ORDER BY view_name; COMMIT}), <<'ROWS' =~ s/\n\z//r,
mv_allergy_summary|failed|55P03
mv_appointment_statistics|refreshed|
mv_compliance_status|refreshed|
mv_medication_schedule|refreshed|
mv_student_health_summary|failed|55P03
ROWS
        'likewise where the calling transaction has locked it');
    is($node->safe_psql('district', q{SELECT DISTINCT in_worker FROM wc_refresh_log}), 't', 'in workers');
    is( $node->safe_psql('district', q{SELECT message FROM wc_refresh_log WHERE view_name = 'mv_allergy_summary'}),
        'lock_not_available while refreshing mv_allergy_summary: the calling transaction holds a lock that it needs', 'which says so');
    # Through a third session, which waits for the caller and for which the worker waits.
    forget();
    my $caller = $node->background_psql('district', on_error_stop => 0);
    my $third = $node->background_psql('district', on_error_stop => 0);
    $caller->query_safe(q{SET whitecross.lock_timeout = 0; BEGIN; LOCK TABLE vital_signs IN SHARE MODE});
    $third->query_until(qr/sent/, "\\echo sent\nBEGIN; LOCK TABLE allergies IN ACCESS EXCLUSIVE MODE; LOCK TABLE vital_signs IN EXCLUSIVE MODE;\n");
    settles(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'}, 1, 'a third session waits for the caller');
    is($caller->query_safe(q{SELECT status, sqlstate FROM wc_refresh('allergy_summary', 'concurrent')}), 'failed|55P03',
        'a deadlock through a third session is seen, without any lock timeout');
    $caller->quit;
    $third->quit;
}

# ---- Fast shutdown while refreshes are stopped half way.
{
    my $blocker = block();
    my ($caller) = begin_call(q{SET whitecross.lock_timeout = 0; SELECT * FROM wc_refresh_all('concurrent')});
    settles($stuck, 2, 'two workers are stopped half way');
    $node->stop('fast');
    ok(1, 'a fast shutdown waits for nobody');
    eval { $_->quit } for $blocker, $caller;
    $node->start;
    is($node->safe_psql('district', $working), 0, 'nothing of it comes back with the server');
    is($node->safe_psql('district', q{SELECT count(*) FROM wc_refresh_all('concurrent') WHERE status = 'refreshed'}), 5, 'and refreshes work');
}

# ---- Slots for workers. The launchers of logical replication and of live mode and the monitor take one each. The monitor's visitors, which
# would take one for a moment, leave templates alone.
$node->safe_psql('postgres', "ALTER DATABASE $_ IS_TEMPLATE true") for 'postgres', 'district';
for my $free (0, 1) {
    $node->append_conf('postgresql.conf', 'max_worker_processes = ' . (3 + $free));
    my $before = -s $node->logfile;
    $node->restart;
    # The scout of live mode, which the launcher sends once at the start, has given the slot back.
    $node->wait_for_log(qr/unregistering background worker "whitecross live scout"/, $before) if $free;
    forget();
    is($node->safe_psql('district', q{SELECT count(*) FROM wc_refresh_all('concurrent', workers => 5) WHERE status = 'refreshed'}), 5,
        "$free free slots for workers: all are refreshed");
    is($node->safe_psql('district', 'SELECT DISTINCT in_worker FROM wc_refresh_log'), $free ? 't' : 'f',
        $free ? 'one after the other in workers' : 'in the calling session');
    if (!$free) {
        forget();
        is( $node->safe_psql('district', q{BEGIN ISOLATION LEVEL REPEATABLE READ;
                SELECT status, sqlstate FROM wc_refresh('allergy_summary', 'concurrent'); COMMIT}), 'failed|25001',
            'but not in a REPEATABLE READ transaction');
    }
}

# ---- Without the library in shared_preload_libraries.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nmax_worker_processes = 8\n");
$node->restart;
forget();
is($node->safe_psql('district', q{SELECT count(*) FROM wc_refresh_all('concurrent') WHERE status = 'refreshed'}), 5, 'not preloaded: refreshes work');
is($node->safe_psql('district', 'SELECT DISTINCT in_worker FROM wc_refresh_log'), 't', 'in workers');

# ---- What the workers leave in the server's log: at worst that they were ended, never an error's text.
my $said = join "\n", grep { /whitecross refresh/ && / (?:WARNING|ERROR|FATAL|PANIC): / } split /\n/, slurp_file($node->logfile);
unlike($said, qr/ERROR|PANIC|WARNING/, 'no worker has written an error into the log');

$node->stop;
done_testing();

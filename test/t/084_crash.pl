# A server that crashes, and refreshes that are ended, at any point: nothing half-written is ever seen, and the next
# refresh is right, without starting anew.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use WhiteCross::Oracle;
use WhiteCross::Oracle::Rows qw(one_of);
use WhiteCross::Session;
use WhiteCross::Test;
use WhiteCross::Truth;

use constant CRASHES => 20;

my $seed = $ENV{WC_CRASH_SEED} // 1;
note("seed $seed");

my $node = new_node('crash', conf => "max_prepared_transactions = 20\nlog_statement = none\n");
my $minutes = 0;

# A clock that goes on by a few minutes each time that it is asked.
sub clock { return '2025-03-07 ' . sprintf '%02d:%02d:00-05', map { (int($_ / 60), $_ % 60) } $minutes++ % 1440 }

# ---- The server killed during writes and refreshes.
{
    WhiteCross::Oracle::make_template($node, 'crash', 'reference', 0);
    my $oracle = WhiteCross::Oracle->new($node, 'crash', $seed, 0);
    for my $crash (1 .. CRASHES) {
        my @writers = map { WhiteCross::Session->new($node, 'crash') } 1 .. 3;
        my $refresher = WhiteCross::Session->new($node, 'crash');
        $_->send("SET lock_timeout = '400ms'; " . join "\n", map { my $t = $oracle->{writes}->transaction; "$t->{sql}\n$t->{finish}" } 1 .. 60) for @writers;
        $refresher->send(join "\n", map { refresh_sql(clock(), 'incremental', $_ % 3 ? 0 : 2) } 1 .. 40);
        # After so many views, or in the midst of the next.
        $refresher->await(qr/\|refreshed\|/, 1 + int rand 100);
        usleep(int rand 30_000);
        $node->stop('immediate');
        $_->answer(may_be_lost => 1) for @writers, $refresher;
        $node->start;
        $node->safe_psql('crash', join '', map { one_of('COMMIT', 'ROLLBACK') . " PREPARED '$_';\n" } split /\n/,
            $node->safe_psql('crash', 'SELECT gid FROM pg_prepared_xacts'));
        is_true($node, 'crash', clock(), "crash $crash: the next refresh is right");
    }
    cmp_ok($node->safe_psql('crash', q{SELECT count(*) FROM wc_refresh_log WHERE mode = 'incremental' AND status = 'refreshed'}), '>',
        5 * CRASHES, 'most refreshes were incremental');
}

# ---- Right after the installation, where the server logs what the transaction has made only when it commits (wal_level = minimal).
{
    is($node->safe_psql('postgres', 'SHOW wal_level'), 'minimal', 'a server that logs as little as it can');
    make_true_database($node, 'young', 'reference');
    $node->stop('immediate');
    $node->start;
    is_true($node, 'young', clock(), 'a crash right after the installation: the next refresh is right');
}

# ---- A table that a crash empties: no trigger tells of that.
{
    $node->safe_psql('crash', 'TRUNCATE wc_refresh_log; ALTER TABLE allergies SET UNLOGGED');
    is_true($node, 'crash', clock(), 'with an unlogged table: every view is true');
    $node->stop('immediate');
    $node->start;
    is($node->safe_psql('crash', 'SELECT count(*) FROM allergies'), 0, 'a crash empties it');
    is_true($node, 'crash', clock(), 'every view is true again');
    is($node->safe_psql('crash', q{SELECT DISTINCT mode, reason FROM wc_refresh_log WHERE view_name = 'mv_allergy_summary'}),
        'concurrent|a crash would empty table allergies, which is unlogged, without a word', 'such a view is always computed as a whole');
}

# ---- A partition that is written at its other end: no trigger tells of that either.
{
    make_true_database($node, 'foreign', 'reference', before => q{
        CREATE EXTENSION postgres_fdw;
        DO $$ BEGIN EXECUTE format('CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
            split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database()); END $$;
        CREATE USER MAPPING FOR CURRENT_USER SERVER self OPTIONS (user 'postgres');
        CREATE TABLE part (LIKE chronic_conditions INCLUDING DEFAULTS) PARTITION BY RANGE ("createdAt");
        CREATE TABLE away (LIKE chronic_conditions INCLUDING DEFAULTS);
        INSERT INTO away SELECT * FROM chronic_conditions;
        DROP TABLE chronic_conditions;
        ALTER TABLE part RENAME TO chronic_conditions;
        CREATE FOREIGN TABLE conditions_away PARTITION OF chronic_conditions DEFAULT SERVER self OPTIONS (table_name 'away')});
    is_true($node, 'foreign', clock(), 'with a foreign partition: every view is true');
    $node->safe_psql('foreign', 'DELETE FROM away');
    is_true($node, 'foreign', clock(), 'and again when rows have gone from the other end');
}

# ---- A refresh ended at each step: it waits there for a lock that another session holds.
make_true_database($node, 'ended', 'reference', students => 300);
my $all = 'SELECT ' . join ' || ', map { "(SELECT coalesce(md5(string_agg(v::text, ',' ORDER BY v::text)), '') FROM $_ AS v)" } VIEWS;

# Changes something in the row of each student, in each view.
sub change {
    $node->safe_psql('ended', q{UPDATE students SET "lastName" = md5("lastName"); UPDATE users SET "lastName" = md5("lastName");
        UPDATE allergies SET severity = CASE severity WHEN 'MILD' THEN 'SEVERE' ELSE 'MILD' END;
        UPDATE appointments SET duration = 15 + (duration + 1) % 200; UPDATE student_medications SET instructions = md5(coalesce(instructions, ''))});
    return;
}

is_true($node, 'ended', clock(), 'before: every view is true');
for my $step (
    [ 'the lock of refreshes',       q{SET whitecross.max_refresh_workers = 0; SELECT status FROM wc_refresh('student_health_summary', 'incremental')} ],
    [ 'the view',                    'REFRESH MATERIALIZED VIEW CONCURRENTLY mv_student_health_summary' ],
    [ 'the change log',              'LOCK TABLE wc_change IN ACCESS EXCLUSIVE MODE' ],
    [ 'the base tables',             'LOCK TABLE allergies IN ACCESS EXCLUSIVE MODE' ],
    [ 'the state, all rows written', 'LOCK TABLE wc_view_state IN SHARE MODE' ],
    [ 'the refresh log',             'LOCK TABLE wc_refresh_log IN SHARE MODE' ]) {
    my ($name, $block) = @$step;
    for my $workers (0, 1) {
        change();
        my $before  = $node->safe_psql('ended', $all);
        my $blocker = WhiteCross::Session->new($node, 'ended');
        my $caller  = WhiteCross::Session->new($node, 'ended');
        $blocker->ask("SET whitecross.now = '2025-03-07 12:00-05'; BEGIN; $block;");
        my $clock = clock();
        $caller->send("SET whitecross.now = '$clock'; SET whitecross.lock_timeout = 0; SET whitecross.max_refresh_workers = $workers;
                       SELECT status, sqlstate FROM wc_refresh('student_health_summary', 'incremental');");
        my $process = $workers ? q{backend_type = 'whitecross refresh'} : 'pid = ' . $caller->process;
        my $waits = "FROM pg_stat_activity WHERE $process AND wait_event_type = 'Lock'";
        ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $waits"), "a refresh in $workers workers waits for $name");
        $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $waits");
        ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE $process"), 'ended there, it is gone');
        is($node->safe_psql('ended', $all), $before, 'nothing of it is seen');
        $blocker->ask('ROLLBACK;');
        my @answer = $caller->answer(may_be_lost => 1);
        ok((grep { $workers ? /^failed\|57P01/ : /57P01/ } @answer), 'it is told why');
        $_->quit for $blocker, $caller;
        is_true($node, 'ended', clock(), 'the next refresh is right');
    }
}

# ---- A refresh ended anywhere: all of a view's rows are new, or none.
my $halves = 0;
change();
my $session = WhiteCross::Session->new($node, 'ended');
my $started = time;
$session->ask(refresh_sql(clock(), 'incremental', 0));
my $duration = time - $started;
$session->quit;
is_true($node, 'ended', clock(), 'and so is one that nobody ends');
for my $round (1 .. 30) {
    my $workers = $round % 3 ? 0 : 2;
    change();
    my %before = map { $_ => $node->safe_psql('ended', "SELECT md5(string_agg(v::text, ',' ORDER BY v::text)) FROM $_ AS v") } VIEWS;
    my $clock  = clock();
    my $caller = WhiteCross::Session->new($node, 'ended');
    my $process = $workers ? q{backend_type = 'whitecross refresh'} : 'pid = ' . $caller->process;
    $caller->send(refresh_sql($clock, 'incremental', $workers));
    usleep(1e6 * rand $duration);
    $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $process");
    $caller->answer(may_be_lost => 1);
    $caller->quit;
    $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE $process") or die 'it does not end';
    my %differs = map { $_ => 1 } split /\n/, $node->safe_psql('ended', "SET whitecross.now = '$clock'; SELECT view_name FROM truth.comparison WHERE missing + extra > 0");
    my @broken = grep { $differs{$_} && $node->safe_psql('ended', "SELECT md5(string_agg(v::text, ',' ORDER BY v::text)) FROM $_ AS v") ne $before{$_} } VIEWS;
    is("@broken", '', "round $round: each view is as before or as after");
    $halves++ if %differs;
    # The machine may be faster by now, or slower, than when the time was taken: then the next one is given less, or more.
    $duration *= %differs ? 1.25 : 0.8;
    is_true($node, 'ended', clock(), 'and the next refresh is right');
}
cmp_ok($halves, '>', 3, 'some were ended before their end');

# ---- The files after all that.
for my $database ('crash', 'ended') {
    $node->safe_psql($database, 'CREATE EXTENSION amcheck');
    is( $node->safe_psql($database, q{SELECT bt_index_check(i.indexrelid, true) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
            WHERE c.relname ~ '^(mv|wc)_' AND c.relkind IN ('r', 'm'); SELECT v.* FROM pg_class AS c, verify_heapam(c.oid) AS v
            WHERE c.relname ~ '^(mv|wc)_' AND c.relkind IN ('r', 'm')}) =~ s/\n//gr, '', "$database: amcheck finds nothing");
}

$node->stop;
done_testing();

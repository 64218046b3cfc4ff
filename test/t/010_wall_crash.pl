# What an exception, a cancel, the end of a session and the end of memory do to a server whose backends run C++: nothing that
# an ordinary error would not do. See test/sql/wall.sql for what one session can see by itself.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node    = new_node('wall', conf => "log_min_messages = warning\n");
my $library = tree() . '/test/modules/wall/whitecross_wall.so';
$node->safe_psql('postgres', <<SQL);
CREATE FUNCTION wall_throw(kind text) RETURNS int AS '$library' LANGUAGE c;
CREATE FUNCTION wall_loop(kind text) RETURNS int AS '$library' LANGUAGE c;
CREATE FUNCTION wall_live() RETURNS int AS '$library' LANGUAGE c;
CREATE FUNCTION wall_counted(sql text, depth int) RETURNS int AS '$library' LANGUAGE c;
CREATE FUNCTION wall_no_memory_for_report() RETURNS text AS '$library' LANGUAGE c;
SQL
my $postmaster = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

# Exceptions: the same backend answers afterwards.
for my $kind ('bad_alloc', 'new', 'exception', 'int', 'long', 'percent', 'error', 'inside call') {
    my ($out) = try_sql(
        $node, 'postgres', "SELECT pg_backend_pid() AS pid \\gset
SELECT wall_throw('$kind');
SELECT 1/0;
SELECT :pid = pg_backend_pid(), wall_live();", on_error_stop => 0);
    is($out, 't|0', "a session goes on after: $kind");
}
my (undef, $state) = try_sql($node, 'postgres', "SELECT wall_throw('new')");
is($state, '53200', 'operator new without memory is 53200');

# No memory is left for the copy of an error's report: an exception too, and no jump over objects.
SKIP: {
    skip 'a sanitizer that gets no memory ends the process', 1 if $ENV{SANITIZE};
    is( $node->safe_psql('postgres', 'SELECT wall_no_memory_for_report() || (SELECT wall_live())'),
        'std::bad_alloc0', 'an error for which there is no memory becomes std::bad_alloc');
}

# Loops, in C++ and in SQL that C++ runs again and again, are stopped from outside.
sub wait_for {
    my ($query) = @_;
    $node->poll_query_until('postgres', $query) or die "timed out: $query";
    return;
}
for my $kind ('c++', 'spi', 'attempt') {
    my $running = q{FROM pg_stat_activity WHERE query LIKE 'SELECT wall_loop%' AND state = 'active'};
    my $session = $node->background_psql('postgres', on_error_stop => 0);
    $session->query_until(qr/started/, "\\echo started\nSELECT wall_loop('$kind');\n");
    wait_for("SELECT count(*) = 1 $running");
    is($node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $running"), 't', "cancel sent: $kind");
    my ($out) = $session->query('SELECT wall_live() + 40 AS alive');
    is($out, '40', "cancelled, and the session goes on with no object left: $kind");
    like($session->{stderr}, qr/canceling statement due to user request/, "the reason is told: $kind");

    $session->query_until(qr/started/, "\\echo started\nSELECT wall_loop('$kind');\n");
    wait_for("SELECT count(*) = 1 $running");
    is($node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $running"), 't', "termination sent: $kind");
    wait_for("SELECT count(*) = 0 $running");
    pass("terminated: $kind");
    $session->{run}->kill_kill; # psql, which has lost its connection
}

my (undef, $timeout) = try_sql($node, 'postgres', "SET statement_timeout = 100; SELECT wall_counted('SELECT pg_sleep(600)', 3)");
is($timeout, '57014', 'statement_timeout stops SQL that C++ waits for');

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $postmaster, 'the server has never restarted');
my $log = slurp_file($node->logfile);
unlike($log, qr/terminated by signal|server process .* exited with exit code [^01]/, 'no backend has crashed');
unlike($log, qr/leak|WARNING:/, 'nothing has leaked');

done_testing();

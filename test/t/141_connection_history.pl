# The history of connections: samples outlive restarts, crashes lose what was not written, hours go by, what is old goes; what is
# torn, foreign or damaged is told of and left out; where nothing can be written nothing is lost at once. The clock of the histories is
# set ahead and back, so that no test waits for an hour to end.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(stat usleep);
use WhiteCross::Clients;
use WhiteCross::Test;

# The monitor begins with a sample; then it takes one when this test asks for it, by having the configuration read again, which writes it too,
# before the interval is over.
my $hour   = 3600;
my $offset = (1.5 * $hour - time % $hour) % $hour;
my $node   = new_node('samples', allows_streaming => 1, conf => <<"CONF");
max_connections = 100
whitecross.monitor_interval = 55s
whitecross.query_history_clock_offset = $offset
whitecross.track_queries = off
autovacuum = off
CONF
make_database($node, 'school', 'empty', extensions => ['whitecross']);
$node->safe_psql('school', 'CREATE ROLE app LOGIN; CREATE ROLE "R\'s" LOGIN CONNECTION LIMIT 7');
my $folder = $node->data_dir . '/pg_stat/whitecross';
our $server = $node;

sub value { my ($sql) = @_; return $server->safe_psql('school', $sql) }
sub samples { return value('SELECT count(DISTINCT sampled_at) FROM wc_connection_history') }

# Has the monitor take one more, until it is there, written where it can be. With clients => NUMBER nobody else is connected meanwhile; kept => 1:
# where it can't be written, until it is in the history all the same; written => 1: until it is written, whatever happened before.
sub sample {
    my ($times, %options) = @_;
    my $end = 's.sqlstate IS NOT NULL OR s.written_at > s.sampled_at';
    $end = 's.sqlstate IS NULL AND s.written_at > s.sampled_at' if $options{written};
    for (1 .. $times // 1) {
        my $before = value('SELECT coalesce(max(sampled_at), $$-infinity$$) FROM wc_connection_history_status()');
        await_clients($server, $options{clients}) if defined $options{clients};
        $end = "(SELECT max(h.sampled_at) FROM wc_connection_history AS h) > '" . value('SELECT max(sampled_at) FROM wc_connection_history') . q{'} if $options{kept};
        my $size = bytes();
        $server->reload;
        if (defined $options{clients}) {
            my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
            while (bytes() == $size) {
                die "no sample was written\n" if time > $deadline;
                usleep(10_000);
            }
        }
        $server->poll_query_until('school', "SELECT s.sampled_at > '$before' AND coalesce($end, false) FROM wc_connection_history_status() AS s")
          or die "no sample was taken\n";
    }
    return;
}

# The connections of role app in each sample, in order.
my $of_app = q{SELECT string_agg(total::text, ' ' ORDER BY sampled_at) FROM wc_connection_history WHERE scope = 'role' AND role = 'app'};

sub files { my @files = -d $folder ? grep { /\.connections$/ } sort(slurp_dir($folder)) : (); return @files }
sub bytes { my $sum = 0; $sum += -s "$folder/$_" for files(); return $sum }
sub file_of_this_run { my ($newest) = sort { (stat $b)[9] <=> (stat $a)[9] } map { "$folder/$_" } files(); return $newest }

# ---- A restart, and a crash

ok($node->poll_query_until('school', 'SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()'), 'the monitor begins with a sample');
is(samples(), 1, 'which is in the history before it is in a file');
is(scalar files(), 0, 'nothing is written yet');
my @app = connect_clients($node, 'school', 'app', 3);
my @limited = connect_clients($node, 'school', q{R's}, 2);
sample();
is(scalar files(), 1, 'then it is');
push @app, connect_clients($node, 'school', 'app', 2);
sample(1, clients => @app + @limited);
my $rows = q{SELECT scope, database, role, total, max, utilisation_percent FROM wc_connection_history
 WHERE sampled_at = (SELECT max(sampled_at) FROM wc_connection_history) AND role IS DISTINCT FROM 'postgres' AND database IS DISTINCT FROM 'postgres' ORDER BY 1, 2, 3};
my $expected = join "\n", q{database|school||7|97|7.22}, q{database and role|school|R's|2|7|28.57}, q{database and role|school|app|5|97|5.15}, q{role||R's|2|7|28.57},
  q{role||app|5|97|5.15}, q{server|||7|97|7.22};
is(value($rows), $expected, 'with the rows of wc_connections');
is(value($of_app), '3 5', 'sample by sample');
close $_ for splice(@app), splice @limited;
$node->restart;
ok($node->poll_query_until('school', 'SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()'), 'after a restart it is sampled again');
is(samples(), 4, 'and all that was before is there') or diag(value('TABLE wc_connection_history'));
is(value($of_app), '3 5', 'with what belongs to it');
is(value(q{SELECT written_at IS NULL, lost FROM wc_connection_history_status()}), 't|0', 'what was sampled since is not written yet');
$node->stop; # and that is enough
$node->start;
$node->poll_query_until('school', 'SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()') or die "no sample\n";
is(samples(), 5, 'a shutdown writes it');
sample(2);
$node->stop('immediate');
$node->start;
$node->poll_query_until('school', 'SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()') or die "no sample\n";
is(samples(), 8, 'a crash loses nothing that was written');
is(value(q{SELECT count(*) FROM wc_connection_history(now() - interval '8 days')}), value('SELECT count(*) FROM wc_connection_history'), 'the function begins with a moment');
is(value(q{SELECT (SELECT count(*) FROM wc_connection_history('infinity')), (SELECT count(*) FROM wc_connection_history('-infinity')) = (SELECT count(*) FROM wc_connection_history)}),
    '0|t', 'which may be any');
is(value(q{SELECT count(DISTINCT h.sampled_at) FROM (SELECT max(sampled_at) AS last FROM wc_connection_history) AS m, wc_connection_history(m.last) AS h}), 1, 'from the latest on it is one');

# Nothing below depends on what is sampled after a while: then it is when this test asks for it, however slow the machine.
$node->adjust_conf('postgresql.conf', 'whitecross.monitor_interval', '1h');
sample();

# ---- Names as they were, of what is dropped or renamed since

@app = connect_clients($node, 'school', 'app', 1);
sample();
close $_ for splice @app;
value('ALTER ROLE app RENAME TO application; DROP ROLE "R\'s"');
is(value(q{SELECT string_agg(DISTINCT role, ', ' ORDER BY role) FROM wc_connection_history WHERE role <> 'postgres'}), q{R's, app}, 'names are those of their time');
value('ALTER ROLE application RENAME TO app');

# ---- The monitor ends, and another goes on

my $monitor = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'};
my $pid     = value($monitor);
my $before  = samples();
value("SELECT pg_terminate_backend($pid, 60000)");
$node->poll_query_until('school', "SELECT count(*) = $before + 1 FROM (SELECT DISTINCT sampled_at FROM wc_connection_history) AS s") or die "no other monitor\n";
sample();
is(samples(), $before + 2, 'another monitor goes on with what there is');

# ---- Hours go by, and the clock goes back

my $count = samples();
sub set_clock {
    my ($hours, %options) = @_;
    $offset += $hours * $hour;
    $server->adjust_conf('postgresql.conf', 'whitecross.query_history_clock_offset', $offset);
    sample(1, %options);
    $server->poll_query_until('school', "SELECT current_setting('whitecross.query_history_clock_offset')::interval = '$offset s'") or die "the clock was not set\n";
    return $count++;
}
my $number = files();
set_clock(1);
is(scalar files(), $number + 1, 'another hour, another file');
set_clock(2);
set_clock(-2); # a file that there is
sample();
$count++;
is(scalar files(), $number + 2, 'an hour that comes again has one file');
set_clock(-1);
is(samples(), $count, 'a clock that is set back loses nothing');
$node->restart;
$count++;
$node->poll_query_until('school', 'SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()') or die "no sample\n";
is(samples(), $count, 'nor does a restart then');
set_clock(3);
is(value(q{SELECT count(DISTINCT h.sampled_at) FROM (SELECT max(sampled_at) - interval '1 hour' AS t FROM wc_connection_history) AS m, wc_connection_history(m.t) AS h}), 2,
    'one may begin in the midst of it');

# ---- Where nothing can be written

chmod 0500, $folder or die "chmod: $!\n";
my ($present) = file_of_this_run();
my $log = -s $node->logfile;
chmod 0400, $present or die "chmod: $!\n";
sample();
sample(2, kept => 1);
$count += 3;
is(value('SELECT sqlstate FROM wc_connection_history_status()'), '42501', 'the status tells the error');
is(samples(), $count, 'nothing is lost while it can\'t be written');
my @said = slurp_file($node->logfile, $log) =~ /(WARNING:.*the connection history is not written: could not open file .*Permission denied)/g;
is(scalar @said, 1, 'the log has said it once');
set_clock(1, kept => 1);
is(samples(), $count, 'it stays with its hour for one more');
chmod 0600, $present or die "chmod: $!\n";
chmod 0700, $folder  or die "chmod: $!\n";
sample(1, written => 1);
$count++;
is(value('SELECT sqlstate IS NULL, lost FROM wc_connection_history_status()'), 't|0', 'and later it is written');
is(samples(), $count, 'all of it');
chmod 0500, $folder or die "chmod: $!\n";
chmod 0400, file_of_this_run() or die "chmod: $!\n";
sample();
sample(1, kept => 1);
set_clock(5, kept => 1);
cmp_ok(value(q{SELECT lost FROM wc_connection_history_status()}), '>=', 2, 'what can\'t be written hours later is lost, and counted');
$count = samples();
chmod 0700, $folder or die "chmod: $!\n";
chmod 0600, "$folder/$_" for files();
sample(1, written => 1);
is(samples(), ++$count, 'and it goes on');

# ---- The file is taken away under it

unlink file_of_this_run() or die "unlink: $!\n";
my (undef, undef, $err) = try_sql($node, 'school', 'SELECT count(*) FROM wc_connection_history');
like($err, qr/WARNING:  XX001: "[0-9T]+-[0-9a-f]{16}\.connections" is not what was written to it/, 'a file that was taken away is told of');
sample(3);
(undef, undef, $err) = try_sql($node, 'school', 'SELECT count(*) FROM wc_connection_history');
unlike($err, qr/WARNING/, 'another takes its place');

# ---- Files that are torn, foreign or damaged

$node->restart;
$node->poll_query_until('school', 'SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()') or die "no sample\n";
my $all   = samples();
my @files = files();
my ($torn) = map { "$folder/$_" } grep { -s "$folder/$_" > 150 } @files;
my $whole = slurp_file($torn);
sub put { my ($file, $bytes) = @_; open my $out, '>:raw', $file or die "$file: $!\n"; print $out $bytes; close $out or die "$file: $!\n"; return }
put($torn, substr $whole, 0, -5);
my $out;
($out, undef, $err) = try_sql($node, 'school', 'SELECT count(DISTINCT sampled_at) FROM wc_connection_history');
cmp_ok($out, '<', $all, 'what a crash leaves unfinished is missing');
unlike($err, qr/WARNING/, 'and no fault');
put($torn, substr($whole, 0, -5) . "\0\0\0\0\0");
($out, undef, $err) = try_sql($node, 'school', 'SELECT count(DISTINCT sampled_at) FROM wc_connection_history');
cmp_ok($out, '<', $all, 'what is damaged is missing too');
my ($name) = $torn =~ m{([^/]+)$};
like($err, qr/WARNING:  XX001: "\Q$name\E" is damaged, and what follows is left out of the connection history/, 'and told of');
put($torn, 'SSN-131-31-3131 of somebody, who has no business here');
(undef, undef, $err) = try_sql($node, 'school', 'SELECT count(*) FROM wc_connection_history');
like($err, qr/"\Q$name\E" is not a file of whitecross/, 'a file of another is told of');
unlike($err, qr/SSN/, 'but not what is in it');
put($torn, $whole);
is(samples(), $all, 'whole again, all is there');
($out, undef, $err) = try_sql($node, 'school', 'SELECT unusable, (SELECT count(*) FROM wc_query_history) FROM wc_query_history_status()');
like($out, qr/^0\|/, 'the query history has nothing to do with them');
unlike($err, qr/WARNING/, 'nor anything to say of them');

# ---- A standby: what the copy brought along, and then its own

sample();
$all = samples();
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
{
    local $server = $standby;
    $standby->poll_query_until('school', 'SELECT sampled_at IS NOT NULL FROM wc_connection_history_status()') or die "no sample\n";
    is(samples(), $all + 1, 'a standby has what the copy had, and samples itself');
    ok($standby->poll_query_until('school', q{SELECT total FROM wc_connections WHERE scope = 'server'}, '1'), 'its own connections');
    sample();
    $standby->promote;
    sample();
    is(samples(), $all + 3, 'promoted it goes on');
    $standby->stop;
}

# ---- What is old goes

set_clock(24 * 8 - 3);
cmp_ok(samples(), '>', 1, 'within 8 days it is there');
set_clock(12);
is(samples(), 2, 'then it is not');
is(scalar files(), 2, 'and its files are gone');
is(value('SELECT files FROM wc_connection_history_status()'), 2, 'which the status tells');

done_testing();

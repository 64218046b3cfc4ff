package Live;

# Live mode: how long after its commit a change stands in the views, while an ordinary morning is written at a steady rate.

use strict;
use warnings;

use Bench;
use Exporter qw(import);
use Measures qw(ms);
use POSIX qw(sysconf _SC_CLK_TCK);
use Time::HiRes qw(sleep);

our @EXPORT = qw(live);

my $bench = tree() . '/test/bench';

# Asks until the answer is the wanted one.
sub wait_for {
    my ($database, $sql, $wanted, $seconds) = @_;
    my $answer;
    for (1 .. 10 * $seconds) {
        $answer = value($database, $sql);
        return if $answer eq $wanted;
        sleep 0.1;
    }
    die "$sql: still \"$answer\", not \"$wanted\", after $seconds s\n";
}

sub processor_time {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or die "/proc/$pid/stat: $!\n";
    my $line = <$in>;
    $line =~ s/^.*\) //;
    my @field = split / /, $line;
    return ($field[11] + $field[12]) / sysconf(_SC_CLK_TCK);
}

# Runs a command beside what goes on; finish() waits for it and returns what it printed.
sub begin {
    my @command = @_;
    my $pid = open my $out, '-|', @command or die "$command[0]: $!\n";
    return $out;
}

sub finish {
    my ($out) = @_;
    my $said = do { local $/; <$out> };
    close $out or die "a command of the live bench failed: $said\n";
    return $said;
}

sub live {
    my ($database) = @_;
    my $seconds = $ENV{LIVE_SECONDS} || 60;
    my $rate    = $ENV{LIVE_RATE}    || 500;
    my $probes  = 8;
    text(<<"MARKDOWN");
## Live mode, from the commit to the view

`whitecross.live_refresh` is on, `whitecross.live_refresh_delay` as shipped. For $seconds seconds pgbench writes $rate transactions a second of an ordinary morning
(test/bench/writes.sql, four clients, synchronous_commit = on); $probes more sessions each change a student's name, again and again, and ask the three views that show
it until all of them do (test/bench/live_probe.sql). What is counted is the time from the return of COMMIT.

MARKDOWN
    my %n = map { $_->[0] => $_->[1] } rows($database, <<'SQL');
SELECT 'students', count(*) FROM bench_student UNION ALL SELECT 'medications', count(*) FROM bench_medication
UNION ALL SELECT 'appointments', count(*) FROM bench_appointment
SQL
    psql($database, '-c', 'DROP TABLE IF EXISTS bench_latency, bench_probed', '-c', 'DROP PROCEDURE IF EXISTS bench_probe', '-f', "$bench/live_probe.sql");
    psql($database, '-c', 'SELECT wc_refresh_all()', '-c', 'VACUUM (ANALYZE)', '-c', 'CHECKPOINT',
        '-c', "ALTER DATABASE $database SET whitecross.live_refresh = on");
    wait_for($database, 'SELECT state FROM wc_live_status()', 'running', 60);
    my $worker = value($database, 'SELECT pid FROM wc_live_status()');
    say_step("live mode, $rate writes a second for $seconds s");
    my $cpu     = processor_time($worker);
    my $rounds  = value($database, 'SELECT sum(refreshes) FROM wc_view_state');
    my $writer  = begin('pgbench', '-n', '-c', '4', '-j', '2', '-T', $seconds, '-R', $rate, '--random-seed', '1', '-M', 'prepared',
        (map { ('-D', "$_=$n{$_}") } sort keys %n), '-f', "$bench/writes.sql", $database);
    my @probing = map { begin('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-c', "CALL bench_probe($_, $seconds)") } 1 .. $probes;
    my $said = finish($writer);
    finish($_) for @probing;
    my ($tps) = $said =~ /^tps = ([0-9.]+)/m or die "pgbench gave no tps: $said\n";
    die "live mode was started anew meanwhile\n" if value($database, 'SELECT pid FROM wc_live_status()') ne $worker;
    $cpu    = processor_time($worker) - $cpu;
    $rounds = value($database, 'SELECT sum(refreshes) FROM wc_view_state') - $rounds;
    my ($count, $p50, $p99, $most) = @{ (rows($database, <<'SQL'))[0] };
SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY ms), percentile_disc(0.99) WITHIN GROUP (ORDER BY ms), max(ms) FROM bench_latency
SQL
    wait_for($database, 'SELECT behind_since IS NULL FROM wc_live_status()', 't', 60);
    psql('postgres', '-c', "ALTER DATABASE $database RESET whitecross.live_refresh");
    wait_for($database, 'SELECT state FROM wc_live_status()', 'off', 60);
    my $wrong = value($database, q{SELECT string_agg(view_name, ', ') FROM wc_verify() WHERE missing > 0 OR extra > 0});
    die "wc_verify() finds differences in $wrong\n" if $wrong ne '';
    table([ 'writes', 'looked for', 'p50', 'p99', 'longest', 'refreshes', 'of one core' ],
        [ sprintf('%.0f tps', $tps), $count, ms($p50), ms($p99), ms($most), $rounds, sprintf('%.0f %%', 100 * $cpu / $seconds) ]);
    verdict(sprintf('%.0f writes a second are written', $rate), $tps >= 0.97 * $rate);
    verdict('99 of 100 changes are in the views within 1 s: ' . ms($p99), $p99 <= 1000);
    return;
}

1;

package Capture;

# What noting changes costs those who write: transactions a second, and processor time and WAL of a transaction, with the
# triggers that note changes and without them.

use strict;
use warnings;

use Bench;
use Exporter qw(import);
use POSIX qw(sysconf _SC_CLK_TCK);
use Time::HiRes qw(sleep);

our @EXPORT = qw(capture);

my $bench = tree() . '/test/bench';

sub stat_of {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return;
    my $line = <$in> // return;
    $line =~ s/^.*\) //;
    return split / /, $line;
}

# Seconds of processor time that the server's sessions took which have ended, as their parent counts it: once it has seen to
# the last of them.
sub spent {
    my ($database) = @_;
    my $parent = postmaster();
    for (1 .. 3000) {
        my $sessions = 0;
        for my $file (glob '/proc/[0-9]*/stat') {
            my ($pid) = $file =~ m{/(\d+)/};
            my @field = stat_of($pid) or next;
            next if $field[1] != $parent;
            open my $in, '<', "/proc/$pid/cmdline" or next;
            my $name = <$in> // '';
            # One that has ended and isn't seen to yet has no name any more.
            $sessions++ if $name eq '' || $name =~ /^postgres: postgres $database\b/;
        }
        if ($sessions == 0) {
            my @field = stat_of($parent);
            return ($field[13] + $field[14]) / sysconf(_SC_CLK_TCK);
        }
        sleep 0.01;
    }
    die "sessions of $database do not end\n";
}

# One run: transactions a second, microseconds of processor time and bytes of WAL a transaction.
sub write_for {
    my ($database, $clients, $seconds, $seed, $n) = @_;
    psql($database, '-c', 'CHECKPOINT');
    my $wal  = value($database, 'SELECT pg_current_wal_insert_lsn()');
    my $cpu  = spent($database);
    my $out  = run_command('pgbench', '-n', '-c', $clients, '-j', $clients > 1 ? 2 : 1, '-T', $seconds, '--random-seed', $seed, '-M', 'prepared',
        (map { ('-D', "$_=$n->{$_}") } sort keys %$n), '-f', "$bench/writes.sql", $database);
    $cpu = spent($database) - $cpu;
    $wal = value($database, "SELECT pg_current_wal_insert_lsn() - '$wal'");
    my ($tps) = $out =~ /^tps = ([0-9.]+)/m or die "pgbench gave no tps: $out\n";
    my ($transactions) = $out =~ /^number of transactions actually processed: (\d+)/m or die "pgbench gave no count: $out\n";
    return { tps => $tps, cpu => 1e6 * $cpu / $transactions, wal => $wal / $transactions };
}

sub capture {
    my ($database, $runs) = @_;
    my $seconds = $ENV{CAPTURE_SECONDS} || 15;
    my $rounds  = $ENV{CAPTURE_ROUNDS}  || 4 * $runs;
    text(<<"MARKDOWN");
## What noting changes costs those who write

pgbench, $seconds seconds a run, a transaction for each write of an ordinary school morning (test/bench/writes.sql), each commit waiting for the
disk (synchronous_commit = on), on three copies of one database. *With*: the triggers that note changes are there. *Without*: wc_retire('trigger') has taken
them away. *Control*: without, once more. The three take turns, each round in another order, $rounds rounds, a CHECKPOINT before each run. Processor time is that
of the server's processes, all of it, for one transaction.

MARKDOWN
    my %n = map { $_->[0] => $_->[1] } rows($database, <<'SQL');
SELECT 'students', count(*) FROM bench_student UNION ALL SELECT 'medications', count(*) FROM bench_medication
UNION ALL SELECT 'appointments', count(*) FROM bench_appointment
SQL
    local $ENV{PGOPTIONS} = '-c synchronous_commit=on -c client_min_messages=error';
    my @arms = ('without', 'with', 'control');
    my %copy = map { $_ => "capture_$_" } @arms;
    psql($database, '-c', 'SELECT wc_refresh_all()', '-c', 'VACUUM (ANALYZE)');
    for my $arm (@arms) {
        say_step("writes: the copy $arm");
        run_command('createdb', '-T', $database, '-S', 'file_copy', $copy{$arm});
        psql($copy{$arm}, '-c', $arm eq 'with' ? q{SELECT wc_install('trigger')} : q{SELECT wc_retire('trigger')});
        my $triggers = value($copy{$arm}, q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'wc\_capture%'});
        die "$triggers triggers note changes, where the copy is $arm\n" if ($triggers > 0) != ($arm eq 'with');
        # What a first run would find cold.
        write_for($copy{$arm}, 4, 5, 0, \%n);
    }
    my %of;
    for my $round (1 .. $rounds) {
        push @arms, shift @arms;
        for my $clients (1, 4) {
            for my $arm (@arms) {
                say_step("writes by $clients, $arm, round $round of $rounds");
                my $result = write_for($copy{$arm}, $clients, $seconds, $round, \%n);
                push @{ $of{$clients}{$arm}{$_} }, $result->{$_} for keys %$result;
            }
        }
    }
    die "no change was noted\n" if value($copy{with}, 'SELECT count(*) FROM wc_change') == 0;
    my (@rows, %kept);
    for my $clients (1, 4) {
        my %median;
        for my $arm ('without', 'control', 'with') {
            $median{$arm}{$_} = median(@{ $of{$clients}{$arm}{$_} }) for 'tps', 'cpu', 'wal';
        }
        # Of each round the three are compared with one another, so that what changes from round to round is in none of it.
        my %share = map { my $arm = $_; $arm => median(map { 100 * $of{$clients}{$arm}{tps}[$_] / (($of{$clients}{without}{tps}[$_] + $of{$clients}{$arm eq 'with' ? 'control' : 'without'}{tps}[$_]) / 2) } 0 .. $rounds - 1) } 'with', 'control';
        $kept{$clients} = $share{with};
        push @rows, map { [ $clients, $_, sprintf('%.0f tps', $median{$_}{tps}), defined $share{$_} ? sprintf('%.1f %%', $share{$_}) : '',
            sprintf('%.0f us', $median{$_}{cpu}), sprintf('%.0f bytes', $median{$_}{wal}) ] } 'without', 'control', 'with';
    }
    table([ 'clients', 'noting changes', 'median', 'of without', 'processor time', 'WAL' ], @rows);
    verdict(sprintf('%d client%s: at least 93 %% of the transactions a second without: %.1f %%', $_, $_ > 1 ? 's' : '', $kept{$_}), $kept{$_} >= 93) for 1, 4;
    psql('postgres', map { ('-c', "DROP DATABASE $copy{$_}") } @arms);
    return;
}

1;

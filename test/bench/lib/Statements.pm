package Statements;

# What watching statements costs: processor time of the server's sessions for one transaction, with nothing that watches, with
# pg_stat_statements, and with whitecross. The least that a statement can be, a prepared SELECT of one row by its key, so that the cost
# of watching is as large a part of it as it can be.

use strict;
use warnings;

use Bench;
use Exporter qw(import);
use File::Temp qw(tempdir);
use POSIX qw(sysconf _SC_CLK_TCK);
use Time::HiRes qw(sleep);

our @EXPORT = qw(statements);

my $clients = 2;
my %servers;    # arm => { port, process id of the postmaster }

my %preload = (none => '', control => '', pg_stat_statements => 'pg_stat_statements', whitecross => 'whitecross');

# Four servers from one initdb, each with a pgbench database of its own: what differs is the library alone.
sub start_servers {
    my ($folder) = @_;
    run_command('initdb', '-D', "$folder/first", '-U', 'postgres', '-A', 'trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync');
    my $port = $ENV{PGPORT};
    for my $arm (sort keys %preload) {
        my $data = "$folder/statements_$arm";
        run_command('cp', '-a', "$folder/first", $data);
        $port++;
        open my $conf, '>>', "$data/postgresql.conf" or die "postgresql.conf: $!\n";
        print $conf map { "$_\n" } "listen_addresses = ''", 'shared_buffers = 512MB', 'autovacuum = off', 'fsync = off', 'max_wal_size = 4GB', 'checkpoint_timeout = 1h',
          "unix_socket_directories = '$folder/s'", "port = $port", "shared_preload_libraries = '$preload{$arm}'";
        close $conf or die "postgresql.conf: $!\n";
        run_command('pg_ctl', '-D', $data, '-l', "$folder/statements_$arm.log", '-w', '-t', '120', 'start');
        open my $in, '<', "$data/postmaster.pid" or die "postmaster.pid: $!\n";
        chomp(my $pid = <$in>);
        $servers{$arm} = { port => $port, pid => $pid, data => $data };
        run_command('pgbench', '-p', $port, '-i', '-q', '-s', 10, 'postgres');
        run_command('psql', '-p', $port, '-XAtq', '-d', 'postgres', '-c', "CREATE EXTENSION $preload{$arm}") if $preload{$arm} ne '';
    }
    return;
}

sub stop_servers {
    my $status = $?;
    system("pg_ctl -D '$servers{$_}{data}' -m fast -w stop > /dev/null") for keys %servers;
    %servers = ();
    $? = $status;
    return;
}

END { stop_servers() }

# Seconds of processor time of the sessions that have ended, once all have.
sub spent {
    my ($parent) = @_;
    for (1 .. 3000) {
        my $sessions = 0;
        for my $file (glob '/proc/[0-9]*/stat') {
            open my $in, '<', $file or next;
            my $line = <$in> // next;
            my ($pid, undef, $ppid) = $line =~ /^(\d+) \(.*\) (\S) (\d+)/ or next;
            next if $ppid != $parent;
            open my $name, '<', "/proc/$pid/cmdline" or next;
            my $title = <$name> // '';
            $sessions++ if $title eq '' || $title =~ /^postgres: postgres /;
        }
        if ($sessions == 0) {
            open my $in, '<', "/proc/$parent/stat" or die "the server is gone\n";
            my $line = <$in>;
            $line =~ s/^.*\) //;
            my @field = split / /, $line;
            return ($field[13] + $field[14]) / sysconf(_SC_CLK_TCK);
        }
        sleep 0.01;
    }
    die "sessions do not end\n";
}

# The mean of the lowest quarter.
sub least {
    my @sorted = sort { $a <=> $b } @_;
    my $number = int(@sorted / 4) || 1;
    my $sum    = 0;
    $sum += $_ for @sorted[ 0 .. $number - 1 ];
    return $sum / $number;
}

# test/bench/slices.c, built against the client library that the server's development package brings along.
sub slices_program {
    my $program = tempdir(CLEANUP => 1) . '/slices';
    run_command('cc', '-O2', '-I/usr/include/postgresql', '-o', $program, tree() . '/test/bench/slices.c', '-lpq');
    return $program;
}

# Microseconds of processor time for each transaction.
sub run_for {
    my ($arm, $mode, $transactions, $seed) = @_;
    my $server = $servers{$arm};
    my $before = spent($server->{pid});
    my $out = run_command('pgbench', '-p', $server->{port}, '-n', '-S', '-M', $mode, '-c', $clients, '-j', 2, '-t', $transactions, '--random-seed', $seed, 'postgres');
    my ($done) = $out =~ /^number of transactions actually processed: (\d+)/m or die "pgbench gave no count: $out\n";
    die "pgbench did $done transactions\n" if $done != $clients * $transactions;
    return 1e6 * (spent($server->{pid}) - $before) / $done;
}

sub statements {
    my (undef, $runs) = @_;
    my $rounds       = $ENV{STATEMENT_ROUNDS}       || 8 * $runs;
    my $transactions = $ENV{STATEMENT_TRANSACTIONS} || 60_000;
    my @arms = ('none', 'whitecross', 'control', 'pg_stat_statements');
    my %rounds = (prepared => $rounds, simple => int($rounds / 2) || 1);
    text(<<"MARKDOWN");
## What watching statements costs

pgbench -S, $clients clients, $transactions transactions each a run, on four servers that differ in shared_preload_libraries alone: none, none once more (the control),
pg_stat_statements, whitecross, each as it comes. They take turns, each round in another order. Processor time is that of the server's sessions, all of it, for
one transaction. What else the machine does can only add to it, so an arm's is the mean of the quarter of its rounds that took least; the median of all rounds stands beside it, and the control shows what the
difference of two that are the same looks like.

MARKDOWN
    start_servers($ENV{PGHOST} =~ s{/s$}{}r);
    for my $mode ('prepared', 'simple') {
        run_for($_, $mode, 20_000, 0) for @arms;
        my %of;
        for my $round (1 .. $rounds{$mode}) {
            say_step("statements, $mode, round $round of $rounds{$mode}");
            push @arms, shift @arms;
            push @{ $of{$_} }, run_for($_, $mode, $transactions, $round) for @arms;
            say_step(join ', ', map { sprintf '%s %.2f us', $_, $of{$_}[-1] } sort @arms);
        }
        my %time = map { $_ => least(@{ $of{$_} }) } @arms;
        my %cost = map { $_ => $time{$_} - $time{none} } @arms;
        table([ "protocol $mode", 'processor time', 'more than none', 'of none', 'median' ],
            map { [ $_, sprintf('%.2f us', $time{$_}), $_ eq 'none' ? '' : sprintf('%.2f us', $cost{$_}), $_ eq 'none' ? '' : sprintf('%.1f %%', 100 * $cost{$_} / $time{none}),
                    sprintf('%.2f us', median(@{ $of{$_} })) ] } 'none', 'control', 'pg_stat_statements', 'whitecross');
        my $fewer = grep { $of{whitecross}[$_] <= $of{pg_stat_statements}[$_] } 0 .. $rounds{$mode} - 1;
        my $line = sprintf('%s, %d rounds: whitecross costs %.2f us, pg_stat_statements %.2f us; the control differs by %.2f us; whitecross took no more than pg_stat_statements in %d of the rounds',
            $mode, $rounds{$mode}, $cost{whitecross}, $cost{pg_stat_statements}, $cost{control}, $fewer);
        # A clock tick of 10 ms in a run is all that a difference so small can be.
        my $noise = abs $cost{control};
        $noise = 1e4 / ($clients * $transactions) if $noise < 1e4 / ($clients * $transactions);
        if (abs($cost{whitecross} - $cost{pg_stat_statements}) <= $noise) { text("Undecided, see below: $line\n\n"); print "Undecided: $line\n\n" }
        else                                                              { verdict("$line: at most that", $cost{whitecross} <= $cost{pg_stat_statements}) }
    }
    # What runs of seconds can't tell apart: the same in slices of milliseconds, each time in new sessions.
    my $program  = slices_program();
    my $sessions = $ENV{STATEMENT_SESSIONS} || 8 * $runs;
    my (%median, %difference);
    for my $session (1 .. $sessions) {
        say_step("statements, slices, sessions $session of $sessions");
        my @lines = split /\n/, run_command($program, 250, 200, map { "port=$servers{$_}{port} dbname=postgres" } 'none', 'control', 'pg_stat_statements', 'whitecross');
        for my $arm ('none', 'control', 'pg_stat_statements', 'whitecross') {
            my ($time, $difference) = split / /, shift @lines;
            push @{ $median{$arm} }, $time;
            push @{ $difference{$arm} }, $difference;
        }
    }
    text(<<"MARKDOWN");
The same SELECT, prepared, by libpq (test/bench/slices.c): 200 executions on one server, then on the next, 250 times over, in another order each time, and all of that in $sessions sets of new sessions. Processor time is the
kernel's account of the server's process. Differences are from *none* in the same round: of each set of sessions their median, of all sets the median of these.

MARKDOWN
    my %more = map { $_ => median(@{ $difference{$_} }) } keys %difference;
    table([ 'prepared, in slices', 'processor time', 'more than none', 'of none' ],
        map { [ $_, sprintf('%.2f us', median(@{ $median{$_} })), $_ eq 'none' ? '' : sprintf('%.2f us', $more{$_}),
                $_ eq 'none' ? '' : sprintf('%.1f %%', 100 * $more{$_} / median(@{ $median{none} })) ] } 'none', 'control', 'pg_stat_statements', 'whitecross');
    my $less = grep { $difference{whitecross}[$_] <= $difference{pg_stat_statements}[$_] } 0 .. $sessions - 1;
    verdict(sprintf('in slices, %d sets of sessions: whitecross costs at most what pg_stat_statements costs: %.2f us against %.2f us (the goal is half of it); the control differs by %.2f us; whitecross took no more in %d of the sets',
        $sessions, $more{whitecross}, $more{pg_stat_statements}, $more{control}, $less), $more{whitecross} <= $more{pg_stat_statements});
    stop_servers();
    return;
}

1;

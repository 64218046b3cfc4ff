package Monitor;

# What the monitor costs the sessions of clients: processor time of a transaction on a server that is sampled each second, against the same
# server without a monitor, and that against one more of its kind.

use strict;
use warnings;

use Bench;
use Exporter qw(import);
use List::Util qw(sum);
use Statements ();

our @EXPORT = qw(monitor);

my $clients = 2;
my %servers;    # arm => { port, pid: of the postmaster, data }

# Both without: the launchers of logical replication and of live mode take all places of background workers. A health check is a process of
# its own, whose processor time would count as a session's: none is made.
my %settings = (
    none    => ['max_worker_processes = 2'],
    control => ['max_worker_processes = 2'],
    monitor => [ 'max_worker_processes = 24', "whitecross.monitor_interval = '1s'", 'whitecross.health_interval = 0' ]);

sub start_servers {
    my ($folder) = @_;
    run_command('initdb', '-D', "$folder/first_monitor", '-U', 'postgres', '-A', 'trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync');
    my $port = $ENV{PGPORT} + 10;
    for my $arm (sort keys %settings) {
        my $data = "$folder/monitor_$arm";
        run_command('cp', '-a', "$folder/first_monitor", $data);
        $port++;
        open my $conf, '>>', "$data/postgresql.conf" or die "postgresql.conf: $!\n";
        print $conf map { "$_\n" } "listen_addresses = ''", 'shared_buffers = 512MB', 'autovacuum = off', 'fsync = off', 'max_wal_size = 4GB', 'checkpoint_timeout = 1h',
          "unix_socket_directories = '$folder/s'", "port = $port", "shared_preload_libraries = 'whitecross'", @{ $settings{$arm} };
        close $conf or die "postgresql.conf: $!\n";
        run_command('pg_ctl', '-D', $data, '-l', "$folder/monitor_$arm.log", '-w', '-t', '120', 'start');
        open my $in, '<', "$data/postmaster.pid" or die "postmaster.pid: $!\n";
        chomp(my $pid = <$in>);
        $servers{$arm} = { port => $port, pid => $pid, data => $data };
        run_command('pgbench', '-p', $port, '-i', '-q', '-s', 10, 'postgres');
        query($arm, 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
        my $monitors = query($arm, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'});
        die "server $arm has $monitors monitors\n" if $monitors != ($arm eq 'monitor' ? 1 : 0);
    }
    return;
}

sub query {
    my ($arm, $sql) = @_;
    my $out = run_command('psql', '-p', $servers{$arm}{port}, '-XAtq', '-d', 'postgres', '-c', $sql);
    chomp $out;
    return $out;
}

sub stop_servers {
    my $status = $?;
    system("pg_ctl -D '$servers{$_}{data}' -m fast -w stop > /dev/null") for keys %servers;
    %servers = ();
    $? = $status;
    return;
}

END { stop_servers() }

# Microseconds of the sessions' processor time for each transaction.
sub run_for {
    my ($arm, $transactions, $seed) = @_;
    my $server = $servers{$arm};
    my $before = Statements::spent($server->{pid});
    my $out    = run_command('pgbench', '-p', $server->{port}, '-n', '-S', '-M', 'prepared', '-c', $clients, '-j', 2, '-t', $transactions, '--random-seed', $seed, 'postgres');
    my ($done) = $out =~ /^number of transactions actually processed: (\d+)/m or die "pgbench gave no count: $out\n";
    die "pgbench did $done transactions\n" if $done != $clients * $transactions;
    return 1e6 * (Statements::spent($server->{pid}) - $before) / $done;
}

# Quantiles of Student's distribution, 97.5 percent, by degrees of freedom.
my %student = (1 => 12.706, 2 => 4.303, 3 => 3.182, 4 => 2.776, 5 => 2.571, 7 => 2.365, 9 => 2.262, 14 => 2.145, 19 => 2.093, 29 => 2.045, 39 => 2.023, 59 => 2.001, 99 => 1.984);

sub student {
    my ($freedom) = @_;
    my ($known) = sort { $b <=> $a } grep { $_ <= $freedom } keys %student; # of fewer: the wider
    return $student{$known};
}

# The mean, and half the width of its 95 % interval.
sub interval {
    my (@values) = @_;
    my $mean     = sum(@values) / @values;
    my $variance = sum(map { ($_ - $mean)**2 } @values) / (@values - 1);
    return ($mean, student(@values - 1) * sqrt($variance / @values));
}

sub monitor {
    my $pairs        = $ENV{MONITOR_PAIRS}        || 20;
    my $transactions = $ENV{MONITOR_TRANSACTIONS} || 60_000;
    text(<<"MARKDOWN");
## What the monitor costs

pgbench -S -M prepared, $clients clients, $transactions transactions each a run, on three servers with whitecross preloaded: without a monitor, without one once more (the control), and with one that
samples connections each second. They take turns, $pairs times, each time in another order. Processor time is that of the clients' sessions for one transaction; the differences are those of the runs of the
same round, with the 95 % interval of their mean.

MARKDOWN
    start_servers($ENV{PGHOST} =~ s{/s$}{}r);
    my @arms = ('none', 'monitor', 'control');
    run_for($_, 20_000, 0) for @arms;
    my $samples = q{SELECT count(DISTINCT sampled_at) FROM wc_connection_history};
    my $before  = query('monitor', $samples);
    my $started = time;
    my %of;
    for my $pair (1 .. $pairs) {
        push @arms, shift @arms;
        @arms[ 0, 1 ] = @arms[ 1, 0 ] if $pair % 2;
        push @{ $of{$_} }, run_for($_, $transactions, $pair) for @arms;
        say_step("monitor, pair $pair of $pairs: " . join ', ', map { sprintf '%s %.2f us', $_, $of{$_}[-1] } sort @arms);
    }
    my $elapsed = time - $started;
    my $taken   = query('monitor', $samples) - $before;
    my (%mean, %half);
    for my $arm ('monitor', 'control') {
        ($mean{$arm}, $half{$arm}) = interval(map { $of{$arm}[$_] - $of{none}[$_] } 0 .. $pairs - 1);
    }
    table([ 'server', 'processor time, median', 'more than none', '95 % from', 'to' ],
        map { my $arm = $_; [ $arm, sprintf('%.3f us', median(@{ $of{$arm} })),
              $arm eq 'none' ? ('', '', '') : map { sprintf '%.3f us', $_ } $mean{$arm}, $mean{$arm} - $half{$arm}, $mean{$arm} + $half{$arm} ] } 'none', 'control', 'monitor');
    verdict("the monitor has sampled each second, $taken times in $elapsed seconds", $taken >= 0.9 * $elapsed);
    verdict(sprintf('the interval of what the monitor costs, %.3f to %.3f us, contains no difference', $mean{monitor} - $half{monitor}, $mean{monitor} + $half{monitor}),
        abs $mean{monitor} <= $half{monitor});
    verdict(sprintf('it is no wider than 1.5 times that of the control: %.2f times', $half{monitor} / $half{control}), $half{monitor} <= 1.5 * $half{control});
    stop_servers();
    return;
}

1;

package Bench;

# What the parts of the bench share: the throwaway server, statements and their times, and the report.

use strict;
use warnings;

use Exporter qw(import);
use File::Basename qw(dirname);
use File::Spec;
use File::Temp qw(tempdir);
use IPC::Open3;
use POSIX qw(strftime);

our @EXPORT = qw(tree start_server stop_server run_command psql value rows timed session median say_step text table verdict report postmaster VIEWS);

use constant VIEWS => qw(mv_student_health_summary mv_compliance_status mv_medication_schedule mv_allergy_summary
  mv_appointment_statistics);

# A statement that takes longer than this (milliseconds) is given up, and counts as having taken exactly this long.
our $limit = 300_000;

my ($data, $report, $failures) = (undef, '', 0);

sub tree { return File::Spec->rel2abs(dirname(__FILE__) . '/../../..') }

# What a machine with some memory and a solid-state disk would be given.  No autovacuum in the midst of a measurement: the
# bench vacuums itself.  Compiling (jit) is left as the server ships it: that a refresh does without it is part of what it does.
my @settings = (
    "listen_addresses = ''", 'shared_buffers = 1GB', 'effective_cache_size = 4GB', 'work_mem = 64MB',
    'maintenance_work_mem = 512MB', 'random_page_cost = 1.1', 'effective_io_concurrency = 200', 'max_wal_size = 8GB',
    'checkpoint_timeout = 30min', 'autovacuum = off', 'max_worker_processes = 24',
    "timezone = 'America/New_York'", "shared_preload_libraries = 'whitecross'");

sub settings { return @settings }

sub start_server {
    my ($dir, $port) = @_;
    $data = "$dir/data";
    run_command('initdb', '-D', $data, '-U', 'postgres', '-A', 'trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync');
    mkdir "$dir/s" or die "$dir/s: $!\n";
    open my $conf, '>>', "$data/postgresql.conf" or die "postgresql.conf: $!\n";
    print $conf join("\n", @settings, "unix_socket_directories = '$dir/s'", "port = $port", '');
    close $conf or die "postgresql.conf: $!\n";
    run_command('pg_ctl', '-D', $data, '-l', "$dir/server.log", '-w', '-t', '120', 'start');
    @ENV{qw(PGHOST PGPORT PGUSER)} = ("$dir/s", $port, 'postgres');
    return;
}

# pg_ctl takes the process id from the folder of this very server.
sub stop_server {
    return if !defined $data || !-e "$data/postmaster.pid";
    my $status = $?;
    system("pg_ctl -D '$data' -m fast -w stop > /dev/null");
    $? = $status;
    return;
}

END { stop_server() }

# Runs a program; returns what it printed, or dies with what it complained of.
sub run_command {
    my @command = @_;
    my ($out, $err, $status) = capture(@command);
    die join(' ', $command[0], 'failed:', $err || $out), "\n" if $status != 0;
    return $out;
}

sub capture {
    my @command = @_;
    open my $errors, '+>', undef or die "temporary file: $!\n";
    my $pid = open3(my $in, my $stdout, '>&' . fileno $errors, @command);
    close $in;
    my $out = do { local $/; <$stdout> };
    waitpid $pid, 0;
    my $status = $?;
    seek $errors, 0, 0;
    my $err = do { local $/; <$errors> };
    return ($out // '', $err // '', $status);
}

sub psql { my ($database, @arguments) = @_; return run_command('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $database, @arguments) }
sub value { my ($database, $sql) = @_; my $out = psql($database, '-c', $sql); chomp $out; return $out }
sub rows { my ($database, $sql) = @_; return map { [ split /\|/, $_, -1 ] } split /\n/, psql($database, '-c', $sql) }

# Milliseconds that psql waits for a statement, its result fetched, each time it is run in one session.
sub timed {
    my ($database, $sql, $times) = @_;
    local $ENV{PGOPTIONS} = "-c statement_timeout=$limit -c client_min_messages=error";
    my @statements = map { ('-c', $sql) } 1 .. ($times // 1);
    my ($out, $err, $status) = capture('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $database,
        '-o', File::Spec->devnull, '-c', '\timing on', @statements);
    if ($status != 0) {
        die "statement failed: $err\n" unless $err =~ /57014/;
        return map { $limit } 1 .. ($times // 1);
    }
    my @times = $out =~ /^Time: ([0-9.]+) ms/mg;
    die "psql gave no time: $out$err\n" if @times != ($times // 1);
    return @times;
}

# Steps of one session: each a reference to a name and its SQL, or lines of psql's own; what is called '' is done and not timed. Returns the milliseconds
# of the others by name, in their order: { name => [ ms, ... ] }.
sub session {
    my ($database, @steps) = @_;
    my $script = '';
    for my $step (@steps) {
        my ($name, $sql) = @$step;
        $script .= '\timing ' . ($name eq '' ? 'off' : 'on') . "\n$sql" . ($sql =~ /^\\/ ? "\n" : ";\n");
    }
    my $file = tempdir(CLEANUP => 1) . '/session.sql';
    open my $out, '>', $file or die "$file: $!\n";
    print $out $script;
    close $out or die "$file: $!\n";
    local $ENV{PGOPTIONS} = "-c statement_timeout=$limit -c client_min_messages=error";
    my $said = run_command('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-o', File::Spec->devnull, '-f', $file);
    my @times = $said =~ /^Time: ([0-9.]+) ms/mg;
    my @names = grep { $_ ne '' } map { $_->[0] } @steps;
    die "psql gave " . @times . " times for " . @names . " statements\n" if @times != @names;
    my %times;
    push @{ $times{ $names[$_] } }, $times[$_] for 0 .. $#names;
    return \%times;
}

# The server's first process, which the others are children of.
sub postmaster {
    open my $in, '<', "$data/postmaster.pid" or die "postmaster.pid: $!\n";
    my $pid = <$in>;
    chomp $pid;
    return $pid;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return @sorted % 2 ? $sorted[ $#sorted / 2 ] : ($sorted[ @sorted / 2 - 1 ] + $sorted[ @sorted / 2 ]) / 2;
}

# Progress, not part of the report.
sub say_step { my ($what) = @_; printf STDERR "[%s] %s\n", strftime('%H:%M:%S', gmtime), $what; return }

sub text { my ($text) = @_; $report .= $text; return }

# A table: a reference to the heads, then to each row.  Columns whose cells are all numbers, ratios or sizes are set right.
sub table {
    my ($heads, @rows) = @_;
    my @width;
    my @right = map {
        my $column = $_;
        @rows && !grep { defined $_->[$column] && $_->[$column] !~ /^(?:|[>≥]? ?[-0-9.,]+ ?(?:x|%|us|ms|s|bytes|kB|MB|GB|tps)?)$/ } @rows
    } 0 .. $#$heads;
    for my $row ($heads, @rows) {
        for my $column (0 .. $#$heads) {
            my $length = length($row->[$column] // '');
            $width[$column] = $length if $length > ($width[$column] // 2);
        }
    }
    my $line = sub {
        my ($row) = @_;
        return '| ' . join(' | ', map { sprintf $right[$_] ? '%*s' : '%-*s', $width[$_] * ($right[$_] ? 1 : 1), $row->[$_] // '' } 0 .. $#$heads) . " |\n";
    };
    my $table = $line->($heads);
    $table .= '|' . join('|', map { $right[$_] ? '-' x ($width[$_] + 1) . ':' : '-' x ($width[$_] + 2) } 0 .. $#$heads) . "|\n";
    $table .= $line->($_) for @rows;
    $report .= "$table\n";
    print "$table\n";
    return;
}

# What was to be shown, and whether it was.
sub verdict {
    my ($what, $met) = @_;
    $failures++ if !$met;
    my $line = ($met ? 'Met' : '**Not met**') . ": $what\n\n";
    $report .= $line;
    print $line;
    return;
}

sub report { return ($report, $failures) }

1;

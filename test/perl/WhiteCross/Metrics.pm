package WhiteCross::Metrics;

# What the tests of metrics share: Prometheus' text format read, its programs run, the exporter started and asked.

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::INET;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use WhiteCross::Test;

our @EXPORT = qw(parse_exposition run_tool fetch start_exporter stop_exporter metric_names);

# parse_exposition(TEXT, leave_out => [LABEL, ...]): ({ 'name{label="value",...}' => value }, { name => type }, { name => help }), labels in the
# order of their names. Dies where a line is none of the format, or a series is there twice.
sub parse_exposition {
    my ($text, %options) = @_;
    my %left_out = map { $_ => 1 } @{ $options{leave_out} // [] };
    my (%series, %types, %helps);
    for my $line (split /\n/, $text) {
        if    ($line =~ /^# TYPE (\w+) (\w+)$/)  { die "two types: $line\n" if $types{$1}; $types{$1} = $2 }
        elsif ($line =~ /^# HELP (\w+) (.*)$/)   { die "two helps: $line\n" if defined $helps{$1}; $helps{$1} = $2 }
        elsif ($line =~ /^(\w+)(?:\{(.*)\})? (\S+)$/) {
            my ($name, $labels, $value) = ($1, $2 // '', $3);
            my %label;
            $label{$1} = $2 while $labels =~ /\G(\w+)="((?:[^"\\]|\\.)*)"(?:,|\z)/gc;
            die "labels: $line\n" if (pos($labels) // 0) != length $labels;
            my $key = $name . '{' . join(',', map { qq($_="$label{$_}") } grep { !$left_out{$_} } sort keys %label) . '}';
            die "twice: $key\n" if exists $series{$key};
            $series{$key} = $value;
        }
        elsif ($line ne '') { die "no line of the format: $line\n" }
    }
    return (\%series, \%types, \%helps);
}

# run_tool(INPUT, COMMAND...): (exit status, all that it printed).
sub run_tool {
    my ($input, @command) = @_;
    my $out = '';
    my $done = IPC::Run::start(\@command, '<', \$input, '>&', \$out, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    $done->finish;
    return ($done->full_result(0), $out);
}

# fetch(PORT, PATH): the body that an HTTP server on this machine answers with; undef where it doesn't answer, or not with 200.
sub fetch {
    my ($port, $path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $PostgreSQL::Test::Utils::timeout_default) or return;
    print {$socket} "GET $path HTTP/1.0\r\nHost: localhost\r\n\r\n";
    my $answer = do { local $/; <$socket> };
    return unless defined $answer && $answer =~ /\AHTTP\S+ 200 .*?\r\n\r\n(.*)\z/s;
    return $1;
}

# start_exporter(NODE, QUERIES, DATABASE...): the real postgres_exporter with that file of queries, as whitecross_monitor, of nothing but them;
# returns it as { port, run }.
sub start_exporter {
    my ($node, $queries, $database, @others) = @_;
    my $exporter = { port => PostgreSQL::Test::Cluster::get_free_port(), out => '' };
    local $ENV{DATA_SOURCE_NAME} = 'user=whitecross_monitor host=' . $node->host . ' port=' . $node->port . " dbname=$database sslmode=disable";
    $exporter->{run} = IPC::Run::start(
        [ 'prometheus-postgres-exporter', "--extend.query-path=$queries", '--disable-default-metrics', '--disable-settings-metrics',
            '--no-collector.database', '--no-collector.bgwriter', "--web.listen-address=127.0.0.1:$exporter->{port}",
            @others ? ('--auto-discover-databases', '--include-databases=' . join ',', @others) : () ],
        '<', \undef, '>&', \$exporter->{out});
    for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default) {
        return $exporter if defined fetch($exporter->{port}, '/');
        $exporter->{run}->pump_nb;
        last unless $exporter->{run}->pumpable;
        usleep(100_000);
    }
    $exporter->{run}->kill_kill;
    die "the exporter did not start: $exporter->{out}\n";
}

sub stop_exporter {
    my ($exporter) = @_;
    $exporter->{run}->signal('TERM');
    eval { $exporter->{run}->finish };
    return $exporter->{out};
}

# metric_names(EXPRESSION): the names of metrics in an expression of PromQL that begin as those of ours and of the exporters do.
sub metric_names {
    my ($expression) = @_;
    my %names = map { $_ => 1 } $expression =~ /\b((?:whitecross|pg|node)_\w+|up)\b/g;
    return sort keys %names;
}

1;

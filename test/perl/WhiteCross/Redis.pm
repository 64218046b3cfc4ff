package WhiteCross::Redis;

# A Redis of a test's own, on a socket of its own, with nothing on disk; and servers that only claim to be one.

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::UNIX;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(usleep);

our @EXPORT = qw(key_text write_secret);

# key_text(BYTE): a line of a key file, made of one byte.
sub key_text { return sprintf('%02x', $_[0]) x 32 . "\n" }

# write_secret(FILE, TEXT, MODE): a file as the server wants its secrets, replaced at once, as a careful administrator does it.
sub write_secret {
    my ($file, $text, $mode) = @_;
    open my $handle, '>', "$file.new" or die "$file.new: $!\n";
    print $handle $text;
    close $handle or die "$file.new: $!\n";
    chmod $mode // 0600, "$file.new" or die "$file.new: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
    return;
}

my @running;

# WhiteCross::Redis->new(OPTION...): where it will be; options of redis-server, such as '--maxmemory', '1mb'.
sub new {
    my ($class, @options) = @_;
    my ($program) = grep { -x } map { "$_/redis-server" } '/usr/bin', split /:/, $ENV{PATH};
    die "there is no redis-server: scripts/setup installs it\n" unless $program;
    my $place = PostgreSQL::Test::Utils::tempdir_short();
    return bless { program => $program, place => $place, options => \@options, said => '' }, $class;
}

sub socket { my ($self) = @_; return "$self->{place}/redis.sock" }

# Starts it, and waits until it answers.
sub start {
    my ($self, @options) = @_;
    $self->{run} = IPC::Run::start(
        [ $self->{program}, '--port', '0', '--unixsocket', $self->socket, '--dir', $self->{place}, '--save', '', '--appendonly', 'no', @{ $self->{options} }, @options ],
        '<', \undef, '>&', \$self->{said});
    push @running, $self;
    for (1 .. 100 * $PostgreSQL::Test::Utils::timeout_default) {
        return $self if -S $self->socket && defined eval { $self->ask('PING') };
        $self->{run}->pump_nb;
        last unless $self->{run}->pumpable;
        usleep(10_000);
    }
    die "redis-server did not start: $self->{said}\n";
}

sub pid { my ($self) = @_; return $self->{run}{KIDS}[0]{PID} }

# Ends it as a crash does, and waits for that.
sub kill {
    my ($self) = @_;
    CORE::kill 'CONT', $self->pid;
    $self->{run}->signal('KILL');
    eval { $self->{run}->finish };
    delete $self->{run};
    delete $self->{client};
    unlink $self->socket;
    return;
}

# Stops it as it is, so that it neither answers nor closes anything; and lets it go on.
sub freeze { my ($self) = @_; return CORE::kill 'STOP', $self->pid }
sub thaw   { my ($self) = @_; return CORE::kill 'CONT', $self->pid }

# ask(WORD...): the answer to a command: text, undef for nothing, a reference to an array; "-..." for an error.
sub ask {
    my ($self, @words) = @_;
    my $client = $self->{client} //= IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $self->socket) // die "no connection to Redis: $!\n";
    print {$client} '*' . @words . "\r\n" . join '', map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $client->flush;
    return eval { answer($client) } // do {
        delete $self->{client} if $@;
        die $@ if $@;
        undef;
    };
}

sub answer {
    my ($client) = @_;
    my $line = do { local $/ = "\r\n"; <$client> };
    die "Redis closed the connection\n" unless defined $line;
    my ($kind, $text) = $line =~ /\A(.)(.*)\r\n\z/s or die "Redis says $line\n";
    return "-$text" if $kind eq '-';
    return $text if $kind eq '+' || $kind eq ':';
    return if $text == -1;
    if ($kind eq '*') {
        return [ map { scalar answer($client) } 1 .. $text ];
    }
    my $body = '';
    while (length $body < $text + 2) {
        read($client, $body, $text + 2 - length $body, length $body) or die "Redis closed the connection\n";
    }
    return substr $body, 0, $text;
}

# The names of all that it holds.
sub keys { my ($self) = @_; return sort @{ $self->ask('KEYS', '*') } }

# All of the memory of its process that can be read, as one text.
sub memory {
    my ($self) = @_;
    my $pid = $self->pid;
    open my $maps, '<', "/proc/$pid/maps" or die "/proc/$pid/maps: $!\n";
    open my $memory, '<:raw', "/proc/$pid/mem" or die "/proc/$pid/mem: $!\n";
    my $text = '';
    while (my $line = <$maps>) {
        my ($from, $to) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        my $length = hex($to) - hex($from);
        sysseek $memory, hex($from), 0 or next;
        while ($length > 0) {
            my $got = sysread $memory, my $piece, $length > 1 << 20 ? 1 << 20 : $length;
            last unless $got;
            $text .= $piece;
            $length -= $got;
        }
    }
    return $text;
}

END {
    for my $redis (@running) {
        next unless $redis->{run} && $redis->{run}->pumpable;
        CORE::kill 'CONT', $redis->pid;
        $redis->{run}->kill_kill;
    }
}

1;

package WhiteCross::Session;

# A psql that stays connected and is sent whole scripts without being waited for: several of them work at once, and one
# process asks each for its answer when it wants it. An error shows as its SQLSTATE alone and does not end the session.
#
#   my $session = WhiteCross::Session->new($node, 'district');
#   $session->send("BEGIN; UPDATE ...; COMMIT;");
#   my @lines = $session->answer;      # what psql printed: rows, command tags, 'ERROR:  23505'
#   my @rows = $session->ask("SELECT ...;");
#   WhiteCross::Session->new($node, 'district', connstr => ...);    # by another way, a pooler's
#
# A session that goes out of scope while a statement of its own runs is not waited for: so a test that dies ends at once,
# whatever its sessions do. quit() waits.

use strict;
use warnings;

use Carp;
use IO::Select;
use IPC::Open2;
use PostgreSQL::Test::Utils;

my %open; # processes of psql that were not waited for yet, and whose they are

sub new {
    my ($class, $node, $database, %options) = @_;
    my $self = bless { database => $database, sent => 0, answered => 0, text => '' }, $class;
    # Standard error goes where the rows go: messages come in their order.
    $self->{pid} = open2($self->{out}, $self->{in}, 'sh', '-c', 'exec psql "$@" 2>&1', 'psql', '-XAt', '-v', 'VERBOSITY=sqlstate',
        '-d', $options{connstr} // $node->connstr($database), '-f', '-');
    $open{ $self->{pid} } = $$;
    $self->{in}->autoflush(1);
    $self->{process} = $self->ask('SELECT pg_backend_pid();');
    return $self;
}

sub send {
    my ($self, $sql) = @_;
    $self->{sent}++;
    local $SIG{PIPE} = 'IGNORE';
    # A psql that has lost its server is gone; the answer tells.
    print { $self->{in} } "$sql\n\\echo answered $self->{sent}\n";
    return;
}

# Waits until what was printed so far has so many matches, the answer is complete, or the session is lost.
sub await {
    my ($self, $pattern, $number) = @_;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    until ($self->{lost} || $self->{text} =~ /^answered $self->{sent}$/m || (() = $self->{text} =~ /$pattern/g) >= $number) {
        croak "the session of $self->{database} printed too little: $self->{text}" if time > $deadline;
        $deadline = time + $PostgreSQL::Test::Utils::timeout_default if $self->read;
    }
    return;
}

# Whether there was something to read. As long as there is, a script may go on.
sub read {
    my ($self) = @_;
    return 0 unless IO::Select->new($self->{out})->can_read(1);
    sysread($self->{out}, $self->{text}, 65536, length $self->{text}) or $self->{lost} = 1;
    return 1;
}

# The lines since the last answer. Dies where the session is lost (unless told that this may be) or the wait is too long.
sub answer {
    my ($self, %options) = @_;
    my $mark = "answered $self->{sent}\n";
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    until ($self->{lost} || $self->{text} =~ /^\Q$mark\E/m) {
        croak "no answer from the session of $self->{database}: $self->{text}" if time > $deadline;
        $deadline = time + $PostgreSQL::Test::Utils::timeout_default if $self->read;
    }
    my $text = $self->{text};
    $self->{text} = '';
    $self->{answered} = $self->{sent};
    croak "the session of $self->{database} is lost: $text" if $self->{lost} && !$options{may_be_lost};
    return grep { !/^answered \d+$/ && $_ ne '' } split /\n/, $text;
}

# The SQLSTATE (or psql's own words) where a line of an answer is an error; nothing otherwise.
sub error { return $_[0] =~ /^(?:psql:.*?: )?(?:ERROR|FATAL|PANIC|error): +(.*)/ }

# Sends, waits, and dies of an error. In list context all lines, otherwise one string.
sub ask {
    my ($self, $sql) = @_;
    $self->send($sql);
    my @lines = $self->answer;
    my ($error) = map { error($_) } @lines;
    croak "error $error from the session of $self->{database} in: $sql" if defined $error;
    return wantarray ? @lines : join "\n", @lines;
}

sub lost { return $_[0]{lost} // 0 }

sub process { return $_[0]{process} }

sub quit {
    my ($self) = @_;
    return unless defined $self->{pid};
    close $self->{in};
    1 while sysread($self->{out}, my $rest, 65536);
    close $self->{out};
    delete $open{ $self->{pid} };
    waitpid delete $self->{pid}, 0;
    $? = 0; # psql's own, which is not that of the test
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    return unless defined $self->{pid} && ($open{ $self->{pid} } // 0) == $$;
    kill 'KILL', $self->{pid} if $self->{answered} < $self->{sent};
    $self->quit;
    return;
}

# Those of which the program itself is the scope. Servers are stopped only after that.
END { local ($?, $!); kill 'KILL', grep { $open{$_} == $$ } keys %open }

1;

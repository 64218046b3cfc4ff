package WhiteCross::Pooler;

# A PgBouncer of the test's own, on free ports and in a temporary folder, in front of a server of the test's.
#
#   my $pooler = WhiteCross::Pooler->new($node, accounts => 1);
#   my $ini = $node->safe_psql('school', "SELECT wc_pgbouncer_ini('production', settings => '{$own}')");  # $own = $pooler->settings
#   $pooler->start($ini);
#   local $ENV{PGPASSWORD} = ...; psql with $pooler->connstr('school', 'clerk')
#   my $rows = $pooler->show('POOLS');     # the console's answer: a list of { column => value }
#   is($pooler->complaints, '', ...);      # what its log says above LOG
#   $pooler->stop;

use strict;
use warnings;

use Carp;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

my %running;

sub new {
    my ($class, $node) = @_;
    # The socket's path must be short, and its folder the owner's alone.
    my $folder = PostgreSQL::Test::Utils::tempdir_short();
    return bless { node => $node, folder => $folder, port => PostgreSQL::Test::Cluster::get_free_port() }, $class;
}

sub folder { return $_[0]{folder} }
sub port   { return $_[0]{port} }

# Members of a JSON object for the argument settings of wc_pgbouncer_ini(): where this PgBouncer is, and what the caller adds.
sub settings {
    my ($self, @more) = @_;
    return join ', ', qq("listen_port": $self->{port}, "unix_socket_dir": "$self->{folder}", "auth_file": "$self->{folder}/users.txt", "logfile": "$self->{folder}/log", "pidfile": null), @more;
}

# Lets nobody into the server over TCP without a password. Before it is started.
sub require_passwords {
    my ($self) = @_;
    my $path = $self->{node}->data_dir . '/pg_hba.conf';
    my $rules = PostgreSQL::Test::Utils::slurp_file($path);
    $rules =~ s/^(host\s+\S+\s+\S+\s+\S+\s+)trust$/$1scram-sha-256/mg;
    open(my $file, '>', $path) or croak "$path: $!";
    print $file $rules;
    close $file or croak "$path: $!";
    return;
}

# Writes the file of accounts as docs/operations.md has it done: names and secrets of the roles that log in.
sub write_accounts {
    my ($self) = @_;
    my $accounts = $self->{node}->safe_psql('postgres', <<'SQL');
SELECT format('"%s" "%s"', replace(rolname, '"', '""'), replace(coalesce(rolpassword, ''), '"', '""')) FROM pg_authid WHERE rolcanlogin AND NOT rolsuper
SQL
    open(my $file, '>', "$self->{folder}/users.txt") or croak "$self->{folder}/users.txt: $!";
    print $file "$accounts\n";
    close $file or croak "$self->{folder}/users.txt: $!";
    return;
}

# Starts it with this text as pgbouncer.ini (the last one where there is none given) and waits until its console answers.
sub start {
    my ($self, $ini) = @_;
    if (defined $ini) {
        open(my $file, '>', "$self->{folder}/pgbouncer.ini") or croak "$self->{folder}/pgbouncer.ini: $!";
        print $file "$ini\n";
        close $file or croak "$self->{folder}/pgbouncer.ini: $!";
        $self->write_accounts;
    }
    $self->{stderr} = '';
    $self->{process} = IPC::Run::start([ 'pgbouncer', "$self->{folder}/pgbouncer.ini" ], '<', \undef, '>&', \$self->{stderr});
    $self->{pid} = $self->{process}{KIDS}[0]{PID};
    $running{ $self->{pid} } = 1;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    until ($self->console('SHOW VERSION')) {
        $self->{process}->pump_nb;
        croak "PgBouncer did not start: $self->{stderr}" if time > $deadline || !$self->{process}->pumpable;
        usleep(20_000);
    }
    return;
}

# Ends it, as `kill` does: its clients are disconnected.
sub stop {
    my ($self, $signal) = @_;
    return unless $self->{process};
    $self->{process}->signal($signal // 'TERM');
    eval { $self->{process}->finish };
    delete $self->{process};
    delete $running{ delete $self->{pid} };
    return;
}

# However a test ends, its processes end with it.
END { local ($?, $!); kill 'KILL', keys %running if %running }

# The console's answer to a command, as psql prints it unaligned with a heading; '' where there is none. Over its socket the
# user that PgBouncer runs as is let in as its administrator.
sub console {
    my ($self, $command) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XA', '-F', "\t", '-P', 'footer=off', '-d', "host=$self->{folder} port=$self->{port} user=pgbouncer dbname=pgbouncer", '-c', $command ],
        '<', \undef, '>', \$out, '2>', \$err);
    return $out;
}

sub show {
    my ($self, $what) = @_;
    my ($heading, @rows) = split /\n/, $self->console("SHOW $what");
    croak "PgBouncer does not show $what" unless defined $heading;
    my @names = split /\t/, $heading;
    return map { my %row; @row{@names} = split /\t/, $_, -1; \%row } @rows;
}

# How a client reaches a database through it.
sub connstr {
    my ($self, $database, $user) = @_;
    return join ' ', "host=127.0.0.1 port=$self->{port}", map { my ($name, $value) = @$_; $value =~ s/(['\\])/\\$1/g; "$name='$value'" } ([ dbname => $database ], [ user => $user ]);
}

sub log {
    my ($self) = @_;
    return -e "$self->{folder}/log" ? PostgreSQL::Test::Utils::slurp_file("$self->{folder}/log") : '';
}

# What its log says that is worse than LOG.
sub complaints {
    my ($self) = @_;
    return join "\n", grep { /\] (?:WARNING|ERROR|FATAL|NOISE)\b/ } split /\n/, $self->log;
}

1;

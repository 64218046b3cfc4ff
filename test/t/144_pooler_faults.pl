# Poolers that are none, or that misbehave: one that accepts and never answers, answers late, in pieces, with nonsense, without end, or with
# the password. The monitor samples on meanwhile, says what is wrong on one line, and finds the next one that is right. And what may not
# stand in the setting.

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use WhiteCross::Test;

my $place = PostgreSQL::Test::Utils::tempdir();
my $word  = 'Battery-Staple-7';

sub write_file {
    my ($file, $text) = @_;
    open my $handle, '>', "$file.new" or die "$file: $!\n";
    print $handle $text;
    close $handle or die "$file: $!\n";
    chmod 0600, "$file.new" or die "$file: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
    return;
}

# ---- The other side: a process of our own, which does what the file says when it is connected to.
sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body }
sub ready { return message('Z', 'I') }
sub columns { return message('T', pack('n', scalar @_) . join '', map { "$_\0" . pack('NnNnNn', 0, 0, 25, 65535, 4294967295, 0) } @_) }
sub row { return message('D', pack('n', scalar @_) . join '', map { pack('N', length $_) . $_ } @_) }
sub refusal { my ($text) = @_; return message('E', "SFATAL\0C08P01\0M$text\0\0") }
sub complete { return message('C', "SHOW\0") . ready() }

my %columns = (
    POOLS     => [qw(database user cl_active cl_waiting sv_active sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode)],
    STATS     => [qw(database total_xact_count total_query_count total_received total_sent total_xact_time total_query_time total_wait_time)],
    DATABASES => [qw(name host port database force_user pool_size min_pool_size reserve_pool pool_mode max_connections current_connections paused disabled)]);
my %rows = (
    POOLS     => [qw(school app 1 0 1 3 0 0 0 0 0 transaction)],
    STATS     => [qw(school 10 20 30 40 50 60 70)],
    DATABASES => [qw(school localhost 5432 school app 4 0 0 transaction 0 4 0 0)]);

sub mode { return slurp_file("$place/mode") }

# The answer to a question, whole.
sub reply {
    my ($mode, $what) = @_;
    my @names = @{ $columns{$what} };
    my @first = @{ $rows{$what} };
    my @all   = (\@first);
    if ($mode eq 'many') {    # 600 pools, of which the last one is in use
        @all = map { my @row = @first; $row[0] = "school$_"; $what eq 'POOLS' && ($row[2] = $row[3] = $row[4] = $_ == 600 ? 5 : 0); \@row } 1 .. 600;
    }
    @all = (\@first) x 20000 if $mode eq 'endless';
    $first[-1] = 'many' if $mode eq 'words' && $what eq 'STATS';
    pop @names, pop @first if $mode eq 'lacking' && $what eq 'STATS';
    return message('H', pack('Cn', 0, 0)) if $mode eq 'copy';
    return message('I', '') . ready() if $mode eq 'empty';
    return columns(@names) . row(@first) if $mode eq 'cut' || $mode eq 'half';
    return columns(@names) . join('', map { row(@$_) } @all) . complete();
}

sub read_exactly {
    my ($socket, $bytes) = @_;
    my $got = '';
    while (length $got < $bytes) {
        sysread($socket, $got, $bytes - length $got, length $got) or exit 0;
    }
    return $got;
}

sub speak {
    my ($socket, $bytes) = @_;
    while (length $bytes) {
        my $sent = syswrite $socket, $bytes or exit 0;
        substr $bytes, 0, $sent, '';
    }
    return;
}

sub converse {
    my ($socket) = @_;
    my $mode = mode();
    if ($mode eq 'web') { speak($socket, "HTTP/1.1 400 Bad Request\r\n\r\n"); return }
    if ($mode eq 'noise') { speak($socket, join '', map { chr(($_ * 167 + 13) % 256) } 1 .. 5000); return }
    read_exactly($socket, unpack('N', read_exactly($socket, 4)) - 4);
    if ($mode eq 'silent') { read_exactly($socket, 1); return }
    if ($mode eq 'drop') { return }
    if ($mode eq 'echo') {
        speak($socket, message('R', pack 'N', 3));
        read_exactly($socket, 1);
        my $password = read_exactly($socket, unpack('N', read_exactly($socket, 4)) - 4);
        speak($socket, refusal('I know that ' . ($password =~ s/\0//r) . ' is it'));
        return;
    }
    if ($mode eq 'colours') { speak($socket, refusal("no \e[31mred\e[0m \xC3\xA4ther\nLOG:  another line")); return }
    speak($socket, message('R', pack 'N', 0) . message('S', "server_version\0" . "1.18\0") . ready());
    if ($mode eq 'flood') { speak($socket, message('N', "SNOTICE\0M$word\0\0") x 50) while 1 }
    while (1) {
        my ($type, $length) = unpack 'aN', read_exactly($socket, 5);
        my $body = read_exactly($socket, $length - 4);
        return if $type eq 'X' || mode() ne $mode;
        my ($what) = $body =~ /\ASHOW (\w+)\0\z/ or return;
        if ($mode eq 'deaf') { read_exactly($socket, 1); return }
        usleep(50_000) if $mode eq 'late';
        my $reply = reply($mode, $what);
        if ($mode eq 'pieces' || $mode eq 'drip') {
            for my $piece (unpack $mode eq 'drip' ? '(a1)*' : '(a40)*', $reply) { speak($socket, $piece); usleep($mode eq 'drip' ? 20_000 : 5_000) }
            next;
        }
        speak($socket, $reply);
        if ($mode eq 'half') { read_exactly($socket, 1); return }
        return if $mode eq 'cut';
    }
    return;
}

write_file("$place/mode", 'silent');
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "no socket: $!\n";
my $port     = $listener->sockport;
my $test     = $$;
my $pooler   = fork // die "no process: $!\n";
if ($pooler == 0) {
    $SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
    while (1) {
        my $socket = $listener->accept or next;
        my $child = fork // POSIX::_exit(1);
        if ($child == 0) {
            converse($socket);
            close $socket;
            POSIX::_exit(0);
        }
        close $socket;
    }
}
close $listener;
END { kill 'TERM', $pooler if $pooler && $$ == $test }

# ---- The server. Where a statement fails, it would be logged with what was refused.
write_file("$place/pass", "*:*:*:*:$word\n");
my $conninfo = "hostaddr=127.0.0.1 port=$port user=stats passfile=$place/pass sslmode=disable";
my $node     = new_node('pooler_faults', conf => <<"CONF");
log_statement = none
log_min_error_statement = panic
whitecross.monitor_interval = 1
whitecross.pgbouncer_timeout = '10min'
whitecross.pgbouncer_conninfo = '$conninfo'
CONF
make_database($node, 'school', 'empty', extensions => ['whitecross']);

sub sql    { return $node->safe_psql('school', $_[0]) }
sub status { return sql("SELECT $_[0] FROM wc_pooler_status") }

sub becomes {
    my ($query, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', $query, $expected), $name) || diag(sql('SELECT * FROM wc_pooler_status'), "\n", sql('SELECT * FROM wc_pooler'));
}

# Samples of connections go on: two more of them while nothing is heard of the pooler.
sub samples_go_on {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $now = sql('SELECT clock_timestamp()');
    return becomes("SELECT count(DISTINCT sampled_at) >= 2 FROM wc_connection_history WHERE sampled_at > '$now'", 't', $name);
}

# ---- Accepts, and never answers.
becomes(q{SELECT count(*) > 0 FROM wc_connection_history}, 't', 'the monitor runs');
samples_go_on('a pooler that accepts and never answers holds nothing up');
is(status('connected, answers, failures'), 'f|0|0', 'it is still waited for');
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_timeout', q{'3s'});
$node->reload;

# A reload has the monitor try at once.
sub turn {
    my ($mode) = @_;
    write_file("$place/mode", $mode);
    $node->reload;
    return;
}

# fails(MODE, what is said, name): with that pooler the monitor says so.
sub fails {
    my ($mode, $error, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    turn($mode);
    return becomes("SELECT NOT connected AND last_error ~ '$error' FROM wc_pooler_status", 't', $name);
}

# works(MODE, name): that pooler answers. The one before it has hung up by then.
sub works {
    my ($mode, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($connected, $failures) = split /\|/, status('connected, failures');
    turn($mode);
    return becomes('SELECT connected' . ($connected eq 't' ? " AND failures > $failures" : '') . ' FROM wc_pooler_status', 't', $name);
}
$node->restart;
becomes(q{SELECT NOT connected AND last_error ~ '^it did not let us in within 3000 ms$' FROM wc_pooler_status}, 't', 'when its time is over that is said');
my $at = -s $node->logfile;
works('right', 'one that is right is found');
is(sql('SELECT * FROM wc_pooler'), 'school|app|1|0|1|3|0|0|4|25|0|0|0|0|0', 'its pool, with totals from now on');
ok($node->wait_for_log(qr/LOG:  PgBouncer answers again/, $at), 'which the log says');

# ---- Does not even accept: its queue is full, and who comes is not heard.
my $full  = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no socket: $!\n";
my @queue = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0) } 1 .. 8;
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_conninfo', q{'} . $conninfo =~ s/\b$port\b/$full->sockport/er . q{'});
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_timeout',  q{'10min'});
$node->reload;
becomes('SELECT connected OR since IS NOT NULL FROM wc_pooler_status', 'f', 'one that does not accept is neither there nor missed yet');
$node->reload;    # each has the monitor look at it, though nothing has come
samples_go_on('it holds nothing up either');
$node->reload;
samples_go_on('however often it is looked at');
is(status('connected, since'), 'f|', 'it is still waited for');
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_timeout', q{'3s'});
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_conninfo', "'$conninfo'");
close $_ for @queue, $full;
works('right', 'and the right one again');

# ---- Answers late.
fails('deaf', '^it did not answer within 3000 ms$', 'one that lets us in and never answers');
is(sql('SELECT clients_active IS NULL AND pool_size IS NULL FROM wc_pooler'), 't', 'what it last said is not taken for the present');
works('late', 'one that answers late, but in time');
fails('drip', '^it did not answer within 3000 ms$', 'one that sends a byte now and then');
works('pieces', 'one that sends pieces, but in time');
fails('half', '^it did not answer within 3000 ms$', 'one that stops in the middle');

# ---- Answers nonsense.
fails('web',     'expected authentication request from server, but received H', 'one that is no pooler');
my ($end, $failures) = (-s $node->logfile, status('failures'));
becomes("SELECT failures >= $failures + 2 FROM wc_pooler_status", 't', 'it is tried again and again');
unlike(slurp_file($node->logfile, $end), qr/PgBouncer does not answer/, 'and told in the log once');
fails('cut',     'closed the connection', 'one that hangs up in the middle');
fails('lacking', '^its answer lacks a column that PgBouncer has$', 'one whose answer lacks a column');
fails('words',   '^its answer has something else where a number should be$', 'one that has words for numbers');
fails('copy',    '^it answered with something else than rows$', 'one that answers with a copy');
fails('empty',   '^it answered with something else than rows$|^it gave no answer$', 'one that answers with nothing');
fails('endless', '^its answer has too many rows$', 'one that does not end');
fails('drop',    'closed the connection', 'one that hangs up at once');
fails('noise',   'expected authentication request|received', 'one that sends noise');
fails('flood',   'not asked for|did not answer', 'one that talks without being asked');
samples_go_on('nor does that hold anything up');

# ---- Says what should not be said.
fails('echo', '^it answered with the password$', 'one that tells the password');
fails('colours', 'no .*red', 'one that writes terminal sequences and lines of its own');
unlike(status('last_error'), qr/[^ -~]|another line/, 'of which the first line of plain text is kept');

# ---- More pools than there is room for.
works('many', 'one with more pools than are kept');
is(status('pools, pools_left_out, clients_active, clients_waiting, servers_active'), '600|100|5|5|5', 'says how many are left out; the totals are of all');
is(sql('SELECT count(*) FROM wc_pooler WHERE clients_active IS NOT NULL'), '500', 'what there is room for is shown');
is(sql(q{SELECT clients_waiting, waits > 0 FROM wc_pooler WHERE database = 'school600'}), '5|t', 'and of the others the one that is used');
works('right', 'and back');
is(sql(q{SELECT database || clients_active FROM wc_pooler WHERE clients_active IS NOT NULL}), 'school1', 'the others are pools no more');

# ---- What may not stand in the setting. Nothing of it is quoted.
for my $case (
    [ "host=/tmp user=stats password=$word",                          'password' ],
    [ "postgresql://stats:$word\@127.0.0.1:6432/pgbouncer",           'password' ],
    [ "hostaddr=127.0.0.1 sslpassword=$word",                         'password' ],
    [ "hostaddr=127.0.0.1 user=stats passwort=$word",                 'a connection string' ],
    [ "hostaddr=127.0.0.1 password = a $word",                        'a connection string' ],
    [ 'service=pooler',                                               'service' ],
    [ 'host=pooler.example.org user=stats',                           'hostaddr' ],
    [ 'user=stats',                                                   'hostaddr' ],
    [ 'host=/tmp,/var/run user=stats',                                'one pooler' ],
    [ 'hostaddr=127.0.0.1,127.0.0.2 user=stats',                      'one pooler' ],
    [ 'hostaddr=127.0.0.1 gssencmode=require',                        'GSSAPI' ],
  ) {
    my ($value, $reason) = @$case;
    my (undef, $state, $err) = try_sql($node, 'postgres', "ALTER SYSTEM SET whitecross.pgbouncer_conninfo = '$value'");
    is($state, '22023', "refused: $reason") or diag($err);
    like($err, qr/DETAIL:  .*\Q$reason\E/, 'with the reason');
    unlike($err, qr/\Q$word\E/, 'and without the value');
}
for my $value ('host=127.0.0.1 user=stats', 'host=::1', 'host=/tmp', 'host=@pooler', 'host=pooler.example.org hostaddr=192.0.2.7', 'postgresql://stats@127.0.0.1:6432/pgbouncer', '') {
    is((try_sql($node, 'postgres', "ALTER SYSTEM SET whitecross.pgbouncer_conninfo = '$value'"))[1], '', "taken: '$value'");
}
sql('ALTER SYSTEM RESET whitecross.pgbouncer_conninfo');
is((try_sql($node, 'postgres', "SET whitecross.pgbouncer_conninfo = ''"))[1], '55P02', 'a session can\'t set it');

# In the configuration the old value stays; a server that is started with such a line has none.
$at = -s $node->logfile;
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_conninfo', "'$conninfo password=$word'");
$node->reload;
ok($node->wait_for_log(qr/invalid value for parameter "whitecross\.pgbouncer_conninfo"/, $at), 'a password in the configuration is refused');
my $answers = status('answers');
becomes("SELECT connected AND answers > $answers FROM wc_pooler_status", 't', 'and what was set before goes on');
$node->restart;
becomes('SELECT configured FROM wc_pooler_status', 'f', 'a server that is started with it has no pooler');
unlike(slurp_file($node->logfile), qr/\Q$word\E/, 'the password is in no line of the log');

# ---- Not preloaded.
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->adjust_conf('postgresql.conf', 'whitecross.pgbouncer_conninfo', "''");
$node->restart;
is((try_sql($node, 'school', "SELECT * FROM $_"))[1], '55000', "$_ needs the library to be preloaded") for 'wc_pooler', 'wc_pooler_status';

done_testing();

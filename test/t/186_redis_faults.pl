# A Redis that isn't there, hangs, is full, restarts, refuses us, or is something else: the rows are right, a call waits no longer than it may,
# and after failures nobody asks for a while.

use strict;
use warnings;

use IO::Socket::UNIX;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(SOCK_STREAM);
use Test::More;
use Time::HiRes qw(time);
use WhiteCross::Redis;
use WhiteCross::Session;
use WhiteCross::Test;

my $place = PostgreSQL::Test::Utils::tempdir();
my $keys  = "$place/keys";
my $pass  = "$place/pass";
my $redis = WhiteCross::Redis->new;
write_secret($keys, key_text(1));
my $node = new_node('redis', conf => <<"CONF");
whitecross.cache_entries = 1
whitecross.redis_conninfo = 'host=@{[ $redis->socket ]}'
whitecross.redis_key_file = '$keys'
whitecross.redis_timeout = '1s'
autovacuum = off
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
CONF
make_database($node, 'school', 'empty', extensions => ['whitecross']);
$node->safe_psql('school', q{CREATE TABLE visit (id int PRIMARY KEY, note text); INSERT INTO visit SELECT i, repeat('x', 1000 * i) || i FROM generate_series(1, 100) AS i});

# One session does most of it: to connect takes longer.
my $main = $node->background_psql('school');
sub sql    { return $main->query_safe("$_[0];") }
sub cached { my ($id) = @_; return sql(qq{SELECT right(wc_cached_json('SELECT note FROM visit WHERE id = \$1', '{$id}') ->> 'note', 4)}) }
sub stats  { my ($what) = @_; return sql("SELECT $what FROM wc_cache_stats WHERE database = current_database()") }

# Asks until the second tier is said to be so; different questions, so that each is asked of Redis.
sub becomes {
    my ($state, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($node->poll_query_until('school', <<"SQL"), $name) || diag(stats('*'));
SELECT second_tier = '$state' FROM (SELECT count(*) FROM wc_cached_json('SELECT note FROM visit WHERE id = \$1', ARRAY[(20 + random() * 50)::int::text])) AS asked (rows),
       wc_cache_stats WHERE database = current_database() AND asked.rows = 1
SQL
}

sub reload {
    my ($name, $value) = @_;
    $node->append_conf('postgresql.conf', "whitecross.$name = '$value'");
    $node->reload;
    $node->poll_query_until('school', "SELECT current_setting('whitecross.$name') = '$value'") or die "the server does not reload\n";
    return;
}

# So many questions at once, while the pause lasts.
sub many { my ($from) = @_; return sql("SELECT count(note) FROM generate_series($from, $from + 19) AS i, wc_cached_json('SELECT note FROM visit WHERE id = \$1', ARRAY[i::text]) AS note") }

# ---- Not there.
is(cached($_), "xxx$_", "row $_ without a Redis") for 1 .. 4;
is(many(1), '20', 'rows without a Redis');
my ($failed, $others) = split /\|/, stats('second_tier_errors, second_tier_hits + second_tier_misses + second_tier_stores + second_tier_timeouts');
ok($failed >= 3 && $failed < 20, 'after three failures it is left alone, but for a look now and then') or diag("$failed failures");
is($others, '0', 'and nothing else happens');
is(stats('second_tier_last_error'), "it can't be reached: No such file or directory", 'the reason is there');
$redis->start;
becomes('up', 'it is asked again when it is there');

# ---- Restarted: connections that it has closed are not asked, and nothing has failed.
my $session = $node->background_psql('school');
my $asked   = q{SELECT right(wc_cached_json('SELECT note FROM visit WHERE id = $1', '{%s}') ->> 'note', 4);};
is($session->query_safe(sprintf $asked, 1), 'xxx1', 'a session with a connection');
my $errors = stats('second_tier_errors');
$redis->kill;
$redis->start;
is($session->query_safe(sprintf $asked, 2), 'xxx2', 'finds a new Redis');
is(stats('second_tier_errors'), $errors, 'without an error');
is(scalar(my @stored = $redis->keys), 1, 'and stores there');

# ---- It hangs. One call waits for it, and nobody after that.
reload('redis_timeout', '50ms');
becomes('up', 'a Redis that answers');
my $timeouts = stats('second_tier_timeouts');
$redis->freeze;
my $began = time;
is(cached(3), 'xxx3', 'the row comes without it');
# Whoever waits in vain makes the others leave it alone for 250 ms, and then for twice as long each time.
my $waits = stats('second_tier_timeouts') - $timeouts;
ok($waits == 1 || $waits > 1 && 250 * (2**($waits - 1) - 1) <= 1000 * (time - $began), 'after one wait') or diag("$waits waits");
like(stats('second_tier'), qr/^(?:down|probing)$/, 'it is left alone at once');
is(many(1), '20', 'nor do others ask it');
cmp_ok(stats('second_tier_timeouts') - $timeouts, '<', 10, 'but for a look now and then');
is(stats('second_tier_errors'), $errors, 'which is no error');
is($session->query_safe(sprintf $asked, 4), 'xxx4', 'a session that has a connection gets its rows, too');
becomes('down', 'whoever looks makes the pause longer');
$redis->thaw;
becomes('up', 'until it answers');
is($session->query_safe(sprintf $asked, 6), 'xxx6', 'the late answer to somebody is nobody else\'s');

# ---- Who waits for it can be cancelled.
reload('redis_timeout', '1s');
becomes('up', 'asked with more patience');
$redis->freeze;
# It waits for a second at most: so who cancels it looks for it already.
my ($waiting, $watcher) = map { WhiteCross::Session->new($node, 'school') } 1 .. 2;
$watcher->send(<<"SQL");
DO \$\$
BEGIN
  WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = @{[ $waiting->process ]} AND wait_event = 'Extension') LOOP
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
  PERFORM pg_cancel_backend(@{[ $waiting->process ]});
END
\$\$;
SQL
$node->poll_query_until('school', q{SELECT state = 'active' FROM pg_stat_activity WHERE pid = } . $watcher->process) or die "nobody looks\n";
$waiting->send(q{SELECT wc_cached_json('SELECT note FROM visit WHERE id = $1', '{7}');});
is(join("\n", map { s/^psql:.*?: (?=ERROR)//r } $waiting->answer), 'ERROR:  57014', 'the statement is cancelled, without a row');
is(join(' ', $watcher->answer), 'DO', 'while it waits');
$redis->thaw;
becomes('up', 'which does not speak against Redis for long');

# ---- Full.
$redis->ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
$redis->ask('CONFIG', 'SET', 'maxmemory', '1');
my ($stores, $misses) = split /\|/, stats('second_tier_stores, second_tier_misses');
$errors = stats('second_tier_errors');
is(cached(8), 'xxx8', 'a full Redis: the row comes');
is(stats("second_tier_stores - $stores, second_tier_misses - $misses, second_tier_errors - $errors, second_tier"), '0|1|1|up', 'what it can\'t take is an error, and nothing more');
$redis->ask('CONFIG', 'SET', 'maxmemory', '0');
cached(9);
is(stats("second_tier_stores - $stores"), '1', 'when there is room again it is taken');

# ---- A password.
$redis->ask('ACL', 'SETUSER', 'cache', 'on', '>Correct-Horse', '~whitecross:*', '+get', '+set', '+select');
write_secret($pass, "Wrong-Horse\n");
reload('redis_conninfo', "host=@{[ $redis->socket ]} user=cache passfile=$pass db=2");
is(cached($_), "xx$_", "row $_ with a wrong password") for 10 .. 13;
like(stats('second_tier, second_tier_last_error'), qr/^(?:down|probing).it does not let the server in: WRONGPASS$/, 'which is a failure');
write_secret($pass, "Correct-Horse\n");
becomes('up', 'with the right one it works');
$redis->ask('SELECT', 2);
cmp_ok(scalar(my @there = $redis->keys), '>', 0, 'in the database that it was told');
chmod 0644, $pass or die "$pass: $!\n";
$redis->kill;
$redis->start;
cached($_) for 14 .. 17;
like(stats('second_tier, second_tier_last_error'), qr/^(?:down|probing).its passfile can be used by other users/, 'a passfile that others can read is not used');

# ---- Something else behind that socket.
my $fake = PostgreSQL::Test::Utils::tempdir_short() . '/fake';
my $talk = <<'PERL';
use IO::Socket::UNIX; use Socket;
my ($path, $answer) = @ARGV;
unlink $path;
my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path, Listen => 100) or die "$path: $!\n";
$answer =~ s/\\r/\r/g; $answer =~ s/\\n/\n/g; $answer =~ s/LONG/'x' x 30_000_000/e;
$| = 1; print "ready\n"; $SIG{PIPE} = 'IGNORE';
while (my $client = $listener->accept) {
    sysread $client, my $asked, 65536;
    syswrite $client, $answer;
    push @kept, $client if $answer !~ /closes/;
}
PERL
reload('redis_timeout', '50ms');
my $round = 0;
for my $says ('HTTP/1.1 400 Bad Request\r\n\r\n', '$99999999999999\r\nab', '*1000000000\r\n', '$LONG', '-MOVED 1\r\n') {
    my ($said, $input) = ('', '');
    my $run = IPC::Run::start([ $^X, '-e', $talk, $fake, $says ], '<', \$input, '>', \$said, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    $run->pump until $said =~ /ready/;
    reload('redis_conninfo', "host=$fake" . ' ' x (++$round));
    my $failures = stats('second_tier_errors + second_tier_timeouts');
    # The rest of before must be over for it to be asked at all.
    ok($node->poll_query_until('school', <<"SQL"), "asked of one that says \"$says\"") || diag(stats('*'));
SELECT second_tier_errors + second_tier_timeouts > $failures FROM (SELECT count(*) FROM wc_cached_json('SELECT note FROM visit WHERE id = \$1', ARRAY[(20 + random() * 50)::int::text])) AS asked (rows),
       wc_cache_stats WHERE database = current_database() AND asked.rows = 1
SQL
    is(cached(18), 'xx18', 'the rows are right');
    $run->kill_kill;
    # A Redis that answers ends the rest.
    unlink $fake;
}

# ---- The server has said nothing of it, nor of what is in the rows.
my $log = slurp_file($node->logfile);
unlike($log, qr/xxxxx|Correct-Horse|Wrong-Horse/, 'neither rows nor passwords are in the log');
$_->quit for $session, $main, $waiting, $watcher;
$node->stop;

done_testing();

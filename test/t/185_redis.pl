# The second tier of the result cache, a real Redis: what is stored there comes back, and only where it may; what writes, tags, time, roles,
# keys, restarts and other servers do to it; what it has to see.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WhiteCross::Redis;
use WhiteCross::Test;

my $place = PostgreSQL::Test::Utils::tempdir();
my $keys  = "$place/keys";
my $redis = WhiteCross::Redis->new->start;

# One place: each other question takes it, so that the first is asked of Redis again.
my $conf = <<"CONF";
whitecross.cache_entries = 1
whitecross.redis_conninfo = 'host=@{[ $redis->socket ]}'
whitecross.redis_key_file = '$keys'
whitecross.redis_timeout = '1s'
autovacuum = off
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
CONF

my $marker = 'Penicillin-Marker';
sub school {
    my ($name) = @_;
    my $node = new_node($name, conf => $conf);
    make_database($node, 'school', 'empty', extensions => ['whitecross']);
    $node->safe_psql('school', <<"SQL");
CREATE ROLE reader LOGIN;
CREATE ROLE stranger LOGIN;
CREATE TABLE visit (id int PRIMARY KEY, note text);
GRANT SELECT ON visit TO reader;
INSERT INTO visit SELECT i, '$marker ' || i || ' of $name' FROM generate_series(1, 20) AS i;
SQL
    return $node;
}

my $node = school('first');
# One session does it all: to connect takes longer than most of this.
my $session = $node->background_psql('school');
sub sql { return $session->query_safe("$_[0];") }

# The rows of a question, of which there are as many as one likes; how: more arguments.
sub cached {
    my ($id, $how) = @_;
    return sql(qq{SELECT wc_cached_json('SELECT note FROM visit WHERE id = \$1', '{$id}'} . ($how ? ", $how" : '') . q{) ->> 'note'});
}
sub evict { return cached(20) }
sub state { return sql('SELECT second_tier FROM wc_cache_stats WHERE database = current_database()') }

# counted(CODE): its result, and what it added to hits, misses, stores, errors and timeouts of the second tier.
sub counts {
    return split /\|/, sql('SELECT second_tier_hits, second_tier_misses, second_tier_stores, second_tier_errors, second_tier_timeouts FROM wc_cache_stats WHERE database = current_database()');
}
sub counted {
    my ($code) = @_;
    my @before = counts();
    my $result = $code->();
    my @after  = counts();
    return ($result, join ' ', map { $after[$_] - $before[$_] } 0 .. 4);
}

sub is_counted {
    my ($code, $result, $added, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([ counted($code) ], [ $result, $added ], $name);
}

# ---- Without keys nothing leaves the server.
is(cached(1), "$marker 1 of first", 'without keys queries run');
is(state(), 'no keys', 'which is said');
is_deeply([ $redis->keys ], [], 'and nothing is stored');
write_secret($keys, key_text(1), 0640);
cached(2);
is(state(), 'no keys', 'nor with keys that others can read');
is_deeply([ $redis->keys ], [], 'which are not used');
write_secret($keys, key_text(1));
is(state(), 'up', 'until the file is as it has to be');

# ---- Stored and fetched.
my $began = time;
is_counted(sub { cached(1) }, "$marker 1 of first", '0 1 1 0 0', 'a miss of both tiers is stored in both');
my ($key) = $redis->keys;
like($key, qr/^whitecross:[0-9a-f]{64}$/, 'under a name that says nothing');
my $left = $redis->ask('PTTL', $key);
my $past = 1000 * (time - $began);
ok($left <= 300_000 && $left >= 299_998 - $past, 'as long as it may be used') or diag("$left ms are left after $past ms");
is_counted(sub { cached(1) }, "$marker 1 of first", '0 0 0 0 0', 'a hit of the first tier asks nobody');
evict();
is_counted(sub { cached(1) }, "$marker 1 of first", '1 0 0 0 0', 'what the first tier has given up comes back');
is_counted(sub { cached(1) }, "$marker 1 of first", '0 0 0 0 0', 'and is in the first tier again');
evict();
is_counted(sub { sql(q{SELECT string_agg(note, ',') FROM (SELECT (wc_cached(NULL::visit, 'SELECT * FROM visit WHERE id < $1 ORDER BY id', '{3}')).note) AS v}) },
    "$marker 1 of first,$marker 2 of first", '0 1 1 0 0', 'rows as a table has them are another entry');

# ---- What ends an entry of the first tier ends it there too.
evict();
sql(q{BEGIN; UPDATE visit SET note = 'never' WHERE id = 1; ROLLBACK});
is_counted(sub { cached(1) }, "$marker 1 of first", '1 0 0 0 0', 'what is rolled back changes nothing');
sql(q{UPDATE visit SET note = note || ', changed' WHERE id = 1});
is_counted(sub { cached(1) }, "$marker 1 of first, changed", '0 1 1 0 0', 'a write makes it a miss');
evict();
sql('SELECT wc_cache_clear()');
is_counted(sub { cached(1) }, "$marker 1 of first, changed", '0 1 1 0 0', 'wc_cache_clear() reaches it');
evict();
sql(q{SELECT wc_cache_invalidate('visit')});
is_counted(sub { cached(1) }, "$marker 1 of first, changed", '0 1 1 0 0', 'wc_cache_invalidate() does');
is_counted(sub { cached(1, q{tag => 'board'}) }, "$marker 1 of first, changed", '0 1 1 0 0', 'with a tag it is another entry');
evict();
is_counted(sub { cached(1, q{tag => 'board'}) }, "$marker 1 of first, changed", '1 0 0 0 0', 'which comes back');
evict();
sql(q{SELECT wc_cache_invalidate_tag('boa%')});
is_counted(sub { cached(1, q{tag => 'board'}) }, "$marker 1 of first, changed", '0 1 1 0 0', 'wc_cache_invalidate_tag() reaches it');
is_counted(sub { cached(1) }, "$marker 1 of first, changed", '1 0 0 0 0', 'and not what has no tag');

# ---- Time is over when it is over here, whatever Redis thinks.
evict();
my %known = map { $_ => 1 } $redis->keys;
my ($ttl, @counted, $kept) = (250);
until ($kept) { # on a slow machine Redis is faster than we are
    $ttl *= 2;
    evict();
    @counted = counted(sub { cached(5, qq{ttl => '$ttl ms'}) });
    my ($short) = grep { !$known{$_} } $redis->keys;
    $kept = defined $short && $redis->ask('PERSIST', $short);
    die "nothing is stored\n" if $ttl > 60_000;
}
is_deeply(\@counted, [ "$marker 5 of first", '0 1 1 0 0' ], 'an entry for half a second');
is($kept, 1, 'that Redis keeps for ever');
evict();
my $then = sql("SELECT clock_timestamp() + '$ttl ms'");
$node->poll_query_until('school', "SELECT clock_timestamp() > '$then'") or die "time stands still\n";
is_counted(sub { cached(5) }, "$marker 5 of first", '0 1 1 0 0', 'is not used any more');

# ---- Roles.
evict();
my ($out, $state) = try_sql($node, 'school', q{SET ROLE stranger; SELECT wc_cached_json('SELECT note FROM visit WHERE id = $1', '{1}')});
is("$out $state", ' 42501', 'who may not read the table gets nothing');
is_counted(sub { $node->safe_psql('school', q{SET ROLE reader; SELECT wc_cached_json('SELECT note FROM visit WHERE id = $1', '{1}') ->> 'note'}) }, "$marker 1 of first, changed", '0 1 1 0 0', 'another role has an entry of its own');
for my $role (qw(reader stranger)) {
    is($node->safe_psql('school', "SET ROLE $role; SELECT count(current_setting(name)) FROM pg_settings WHERE name IN ('whitecross.redis_conninfo', 'whitecross.redis_key_file')"), '0', "$role is not told where Redis and its keys are");
}

# ---- Values that somebody has been at.
sub entry_of {
    my ($id) = @_;
    my %before = map { $_ => 1 } $redis->keys;
    cached($id);
    my ($new) = grep { !$before{$_} } $redis->keys;
    evict();
    return $new // die "no entry of $id\n";
}
my ($six, $seven) = map { entry_of($_) } 6, 7;
my ($value6, $value7) = map { $redis->ask('GET', $_) } $six, $seven;
is(length($value6), length($value7), 'two entries of the same size');
$redis->ask('SET', $six, $value7);
$redis->ask('SET', $seven, $value6);
is_counted(sub { cached(6) }, "$marker 6 of first", '0 1 1 1 0', 'an entry under the name of another is none');
is_counted(sub { cached(7) }, "$marker 7 of first", '0 1 1 1 0', 'nor is the other');
my $flipped = $value6;
substr($flipped, -1) ^= "\1";
for my $tampered ([ 'nothing', '' ], [ 'one byte', "\1" ], [ 'half of it', substr($value6, 0, length($value6) / 2) ], [ 'one bit', $flipped ],
    [ 'a byte more', "$value6\0" ], [ 'another version', "\2" . substr($value6, 1) ], [ 'a long one', 'x' x 900_000 ]) {
    evict();
    $redis->ask('SET', $six, $tampered->[1]);
    is_counted(sub { cached(6) }, "$marker 6 of first", '0 1 1 1 0', "$tampered->[0]: a miss");
}
evict();
$redis->ask('DEL', $six);
$redis->ask('RPUSH', $six, 'a', 'b');
is_counted(sub { cached(6) }, "$marker 6 of first", '0 0 1 1 0', 'a list: an error, and replaced');
evict();
is_counted(sub { cached(6) }, "$marker 6 of first", '1 0 0 0 0', 'then it is an entry again');
$redis->ask('SET', $six, 'x' x 3_000_000);
evict();
is_counted(sub { cached(6) }, "$marker 6 of first", '0 0 1 1 0', 'one that is longer than any entry: an error, and replaced');
is(state(), 'up', 'none of that speaks against Redis');

# ---- Another key.
write_secret($keys, "# new\n" . key_text(2) . "# old\n" . key_text(1));
evict();
is_counted(sub { cached(6) }, "$marker 6 of first", '1 0 0 0 0', 'a new key before the old one: what the old one has sealed is read');
my $eight = entry_of(8);
write_secret($keys, key_text(2));
is_counted(sub { cached(8) }, "$marker 8 of first", '1 0 0 0 0', 'what is stored since is sealed with the new one');
is_counted(sub { cached(6) }, "$marker 6 of first", '0 1 1 0 0', 'without the old one its entries are misses, and stored anew');
for my $wrong ([ 'a short key', '11' x 31 . "\n" ], [ 'no key', "# none\n" ]) {
    write_secret($keys, $wrong->[1]);
    is_counted(sub { cached(6) . cached(7) }, "$marker 6 of first$marker 7 of first", '0 0 0 0 0', "$wrong->[0]: Redis is not asked");
    is(state(), 'no keys', 'which is said');
}
write_secret($keys, key_text(1));

# ---- What is in it, with a word that must be nowhere.
cached($_) for 1 .. 20;
my $memory = $redis->memory;
ok(index($memory, 'whitecross:') >= 0, 'the memory of Redis can be read here');
is(index($memory, 'Penicillin'), -1, 'no row in it is in the clear');
is(index($memory, 'FROM visit'), -1, 'nor a query');
is(index($memory, pack('H*', key_text(1) =~ s/\n//r)), -1, 'nor a key');

# ---- Another server that uses the same Redis and the same keys has entries of its own.
my $other = school('second');
is($other->safe_psql('school', q{SELECT 'visit'::regclass::oid}), sql(q{SELECT 'visit'::regclass::oid}), 'two servers that look the same from inside');
is($other->safe_psql('school', q{SELECT wc_cached_json('SELECT note FROM visit WHERE id = $1', '{7}') ->> 'note'}), "$marker 7 of second", 'each has its own rows');
evict();
is_counted(sub { cached(7) }, "$marker 7 of first", '1 0 0 0 0', 'and keeps them');
$other->stop;

# ---- The same question has another name after a restart, and what was stored before is of no use.
my %before = map { $_ => 1 } $redis->keys;
$session->quit;
$node->restart;
$session = $node->background_psql('school');
is_counted(sub { cached(7) }, "$marker 7 of first", '0 1 1 0 0', 'after a restart it is a miss');
my @after = grep { !$before{$_} } $redis->keys;
is(scalar(@after), 1, 'under another name');
my ($old) = grep { $_ ne $after[0] } $redis->keys;
evict();
$redis->ask('SET', $after[0], $redis->ask('GET', $old));
is_counted(sub { cached(7) }, "$marker 7 of first", '0 1 1 0 0', 'what was sealed before the restart is of another key');

# ---- Settings.
for my $wrong ([ "host=localhost", 'numeric' ], [ "host=127.0.0.1 password=Geheim", 'passfile' ], [ 'port=6379', 'host' ], [ 'host=127.0.0.1 port=x', 'port' ]) {
    my (undef, $state, $error) = try_sql($node, 'school', "ALTER SYSTEM SET whitecross.redis_conninfo = '$wrong->[0]'");
    is($state, '22023', "$wrong->[0] is refused");
    like($error, qr/DETAIL: .*$wrong->[1]/, 'with the reason');
    is(index($error =~ s/^.*STATEMENT:.*//smr =~ s/ALTER SYSTEM.*//gr, 'Geheim'), -1, 'which repeats no password');
}
is((try_sql($node, 'school', q{ALTER SYSTEM SET whitecross.redis_key_file = 'keys'}))[1], '22023', 'so is a relative path of keys');
is((try_sql($node, 'school', q{SET whitecross.redis_timeout = 5}))[1], '55P02', 'no session sets them');
$node->append_conf('postgresql.conf', "whitecross.redis_conninfo = ''");
$node->reload;
$node->poll_query_until('school', q{SELECT current_setting('whitecross.redis_conninfo') = ''}) or die "the server does not reload\n";
is_counted(sub { cached(9) }, "$marker 9 of first", '0 0 0 0 0', 'switched off, nobody is asked');
is(state(), 'off', 'which is said');
$session->quit;
$node->stop;

done_testing();

# A session that is served from the result cache sends large rows at once: they arrive as they are, of any size and mixed with small ones, by either
# kind of socket; what it keeps for that is bounded; a client that goes away meanwhile, or reads slowly, harms nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('messages', conf => "autovacuum = off\nlisten_addresses = '127.0.0.1'\n");
make_database($node, 'school', 'empty', extensions => ['whitecross']);
$node->safe_psql('school', <<'SQL');
CREATE TABLE document (id int PRIMARY KEY, body text);
INSERT INTO document SELECT n, left(repeat(md5(n::text), 1 + s / 32), s)
  FROM unnest(ARRAY[0, 1, 8186, 8187, 8188, 8192, 8193, 100000, 262138, 262139, 262140, 262144, 262145, 600000]) WITH ORDINALITY AS d (s, n);
SQL

# Answers of a session that has had a hit of a document before, which makes it send so.
my $hit = q{SELECT length(c.body) FROM wc_cached(NULL::document, 'SELECT * FROM document WHERE id = 8') AS c;};
my $tcp = 'host=127.0.0.1 port=' . $node->port . ' dbname=school';
sub after_a_hit {
    my ($sql, %options) = @_;
    my ($out, $err);
    $node->psql('school', "$hit\n$hit\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 1, %options);
    is($err, '', 'no error');
    my @lines = split /\n/, $out, -1;
    is(join(' ', splice @lines, 0, 2), '100000 100000', 'a hit before');
    return join "\n", @lines;
}

my $all = q{SELECT id, md5(body), body FROM document ORDER BY id};
my $cached = q{SELECT c.id, c.md5, c.body FROM wc_cached(NULL::record, 'SELECT id, md5(body), body FROM document ORDER BY id') AS c (id int, md5 text, body text)};
my $truth = $node->safe_psql('school', $all);
cmp_ok(length $truth, '>', 1_900_000, 'rows of many sizes');
for my $options ([], [ connstr => $tcp ]) {
    my $socket = @$options ? 'TCP' : 'a Unix socket';
    ok(after_a_hit("$all;", @$options) eq $truth, "they arrive as they are, over $socket");
    ok(after_a_hit("$cached;\n$cached;", @$options) eq "$truth\n$truth", "so do cached ones, over $socket");
}

# Hundreds of them, with small ones between, and what the session's memory has become. Its buffer is in the memory that lives as long as it.
my $many = q{SELECT CASE WHEN n % 3 = 0 THEN 'small ' || n ELSE repeat(chr(65 + n % 26), 1000 * (n % 256)) END FROM generate_series(1, 600) AS n};
my $kept = q{SELECT total_bytes FROM pg_backend_memory_contexts WHERE name = 'TopMemoryContext'};
my $rows = after_a_hit("$kept;\n$many;\n$kept;");
my ($before, $after) = ($rows =~ /\A(\d+)\n/, $rows =~ /\n(\d+)\z/);
my $plain = $node->safe_psql('school', $many);
ok($rows eq "$before\n$plain\n$after", 'hundreds of large rows and small ones');
cmp_ok(length $plain, '>', 40_000_000, 'tens of megabytes');
cmp_ok($after - $before, '<', 600_000, 'of which the session keeps no more than a buffer');

# COPY, and errors half way.
ok(after_a_hit('COPY (SELECT body FROM document ORDER BY id) TO STDOUT;') eq $node->safe_psql('school', 'SELECT body FROM document ORDER BY id'), 'COPY');
my ($out, $state) = try_sql($node, 'school', "$hit\n$hit\nSELECT repeat('x', 100000) || 1 / (5 - n) FROM generate_series(1, 10) AS n");
is($state, '22012', 'an error after large rows arrives');

# A client that is killed while it does not read.
my $reader = IPC::Run::start([ 'psql', '-X', '-A', '-t', '-d', $node->connstr('school'), '-c', $hit, '-c', q{SELECT repeat('x', 200000) FROM generate_series(1, 100000)} ],
    '<', \undef, '>', sub { select undef, undef, undef, 0.05 }, '2>', \my $said);
my $busy = q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT repeat(%100000)' AND pid <> pg_backend_pid()};
ok($node->poll_query_until('school', $busy, 1), 'a client reads');
$reader->kill_kill;
ok($node->poll_query_until('school', $busy, 0), 'and is gone, and its session with it');
is($node->safe_psql('school', $hit), 100000, 'others go on');

done_testing();

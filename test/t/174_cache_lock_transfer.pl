# Locks that wander while a transaction ends: from a session's own few slots to the table that all sessions share, when others ask for
# strong locks on the same tables, or when the slots are full. Whatever happens to a writer's locks, each table that it has written has
# moved when its COMMIT returns; and of two writers of a table at once each moves it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cells;
use WhiteCross::Test;

my $node = new_node('transfer', conf => <<'CONF');
fsync = off
autovacuum = off
log_statement = none
whitecross.monitor_interval = 3600
whitecross.health_interval = 0
CONF
$node->safe_psql('postgres', 'CREATE DATABASE school');
my $cells = WhiteCross::Cells->new($node, 'school');
my $tables = 24; # more than a session has slots
$node->safe_psql('school', <<SQL);
SELECT format('CREATE TABLE t_%s (id int PRIMARY KEY, v int); INSERT INTO t_%s SELECT n, 0 FROM generate_series(1, 8) AS n', n, n) FROM generate_series(1, $tables) AS n \\gexec
CREATE TABLE one (v int);
INSERT INTO one VALUES (1);
CREATE FUNCTION generation(n int) RETURNS bigint LANGUAGE sql AS
  \$\$ SELECT split_part(cells.cell_state('table', (SELECT oid FROM pg_database WHERE datname = current_database()), ('t_' || n)::regclass), ' ', 1)::bigint \$\$;
SQL

# Each writes three tables in order, of which it has read many before, and then finds that they have moved; or else divides by 0.
my $read = join ' + ', map { "(SELECT count(*) FROM t_$_)" } map { 2 * $_ } 1 .. $tables / 2;
my $write = join "\n", map { "UPDATE t_:$_ SET v = v + 1 WHERE id = :row;" } qw(a b c);
my %scripts = (
    'write' => <<"SCRIPT",
\\set row :client_id + 1
\\set a random(1, 8)
\\set b random(9, 16)
\\set c random(17, $tables)
SELECT generation(:a) AS before_a, generation(:b) AS before_b, generation(:c) AS before_c \\gset
BEGIN;
SELECT $read;
$write
COMMIT;
SELECT 1 / (generation(:a) > :before_a AND generation(:b) > :before_b AND generation(:c) > :before_c)::int;
SCRIPT
    'few' => <<"SCRIPT",
\\set row :client_id + 1
\\set a random(1, 8)
SELECT generation(:a) AS before_a \\gset
UPDATE t_:a SET v = v + 1 WHERE id = :row;
SELECT 1 / (generation(:a) > :before_a)::int;
SCRIPT
    'lock' => <<"SCRIPT",
\\set a random(1, $tables)
BEGIN;
LOCK TABLE t_:a IN SHARE MODE;
COMMIT;
SCRIPT
    'rolled_back' => <<"SCRIPT",
\\set row :client_id + 1
\\set a random(1, $tables)
BEGIN;
UPDATE t_:a SET v = v + 1 WHERE id = :row;
SAVEPOINT s;
UPDATE t_:a SET v = v + 1 WHERE id = :row;
ROLLBACK;
SCRIPT
);
my @files;
for my $name (sort keys %scripts) {
    my $file = $node->basedir . "/$name.sql";
    append_to_file($file, $scripts{$name});
    push @files, '-f', "$file\@" . { write => 4, few => 4, lock => 5, rolled_back => 1 }->{$name};
}
$node->command_checks_all(
    [ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '150', @files, $node->connstr('school') ],
    0, [qr/number of transactions actually processed: 1200\/1200/], [qr/^(?!.*(?:ERROR|aborted))/s], 'each table that was written has moved when its COMMIT returned');
is($cells->ask('SELECT cells.cells_marked();'), '0', 'and nothing stays marked');
cmp_ok($node->safe_psql('school', join ' + ', 'SELECT 0', map { "(SELECT sum(v) FROM t_$_)" } 1 .. $tables), '>', 500, 'they were written');

$node->stop;
done_testing();

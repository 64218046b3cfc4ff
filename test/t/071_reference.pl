# docs/reference.md tells of everything that the extension makes, and of nothing else.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('reference');
make_database($node, 'empty', 'empty', extensions => ['whitecross']);

my $page = slurp_file(tree() . '/docs/reference.md');

my @functions = split /\n/, $node->safe_psql('empty', <<'SQL');
SELECT DISTINCT p.proname FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'whitecross' ORDER BY 1
SQL
cmp_ok(scalar @functions, '>', 20, 'the extension has functions');
for my $function (@functions) {
    ok($page =~ /^###.*\b$function\(/m, "$function() has its place in the reference");
}
for my $view (split /\n/, $node->safe_psql('empty', <<'SQL')) {
SELECT c.relname FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'whitecross'
 WHERE c.relkind = 'v' ORDER BY 1
SQL
    ok($page =~ /^###.*\b$view \(view\)/m, "view $view has its place in the reference");
}
my %known = map { $_ => 1 } @functions;
my %told;
while ($page =~ /^###(.*)$/mg) {
    my $line = $1;
    $told{$1} = 1 while $line =~ /\b(wc_\w+)\(/g;
}
is_deeply([ grep { !$known{$_} } sort keys %told ], [], 'the reference tells of no function that there is not');

for my $setting (split /\n/, $node->safe_psql('empty', q{SELECT name FROM pg_settings WHERE name LIKE 'whitecross.%'})) {
    ok($page =~ /`\Q$setting\E`/, "setting $setting is told of");
}

done_testing();

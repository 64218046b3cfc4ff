# The library without hiredis: what such a build has in place of the second tier is complete, nothing else needs hiredis or OpenSSL, and the
# setting says what is missing. (Building all of it once more would take a minute: only what is another in such a build is compiled.)

use strict;
use warnings;

use File::Find;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $top  = tree();
my $copy = PostgreSQL::Test::Utils::tempdir();
my $list = sub { my @words = split ' ', `make -s -C '$top' @_`; return @words };

# ---- Which files are which build's.
my @with    = $list->('WITH_REDIS=yes', 'show-SOURCES');
my @without = $list->('WITH_REDIS=no', 'show-SOURCES');
my %in_both = map { $_ => 1 } grep { my $name = $_; grep { $_ eq $name } @without } @with;
is_deeply([ grep { !$in_both{$_} } @without ], ['src/cache/no_second_tier.cpp'], 'one file takes the place of the second tier');
is_deeply([ grep { !$in_both{$_} } @with ], [ $list->('show-SECOND_TIER') ], 'and of nothing else');
my @needing = grep { slurp_file("$top/$_") =~ /^#include <(?:hiredis|openssl)/m } sort keys %in_both;
is_deeply(\@needing, [], 'what both builds have needs neither hiredis nor OpenSSL');

# ---- That file has all that the others call.
system('cp', '-r', "$top/Makefile", "$top/src", "$top/sql", "$top/monitoring", "$top/test", $copy) == 0 or die "no copy of the sources\n";

sub functions_of {
    my ($file, $with) = @_;
    my $object = $file =~ s/\.cpp$/.o/r;
    my $log    = "$copy/log";
    system("make -s -C '$copy' WERROR=1 WITH_REDIS=$with '$object' > '$log' 2>&1") == 0 or die slurp_file($log);
    return sort map { /^[0-9a-f]+ T (wc::cache::second_tier::.*)/ ? $1 : () } split /\n/, `nm -C '$copy/$object'`;
}
my @tier = functions_of('src/cache/second_tier.cpp', 'yes');
ok(@tier > 4, 'the second tier has functions');
is_deeply([ functions_of('src/cache/no_second_tier.cpp', 'no') ], \@tier, 'a build without it has the same');
functions_of('src/pg/guc_redis.cpp', 'no');
like(`strings '$copy/src/pg/guc_redis.o'`, qr/whitecross was built without Redis/, 'and a setting that says why it can\'t be used');

done_testing();

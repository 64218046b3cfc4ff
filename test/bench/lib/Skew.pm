package Skew;

# How often the result cache hits where some questions are asked far more often than others, against a cache that puts out what was not used for
# the longest time.

use strict;
use warnings;

use Bench;
use Exporter qw(import);
use File::Temp qw(tempdir);

our @EXPORT = qw(skewed);

# Keys 1 to $keys with probabilities that go as rank to the power of -$exponent.
sub zipf {
    my ($keys, $exponent, $draws) = @_;
    my ($sum, @up_to) = (0);
    push @up_to, $sum += $_**-$exponent for 1 .. $keys;
    srand 42;
    my @drawn;
    for (1 .. $draws) {
        my ($low, $high, $at) = (0, $keys - 1, rand $sum);
        while ($low < $high) {
            my $middle = int(($low + $high) / 2);
            if ($up_to[$middle] > $at) { $high = $middle }
            else                       { $low  = $middle + 1 }
        }
        push @drawn, $low + 1;
    }
    return \@drawn;
}

# How many of them are hits with so many places, where what was not used for the longest time goes; the first $cold don't count.
sub lru {
    my ($drawn, $places, $cold) = @_;
    my ($hits, $at, %last, %of) = (0, 0);
    my $oldest = 0;
    for my $key (@$drawn) {
        if (defined $last{$key}) {
            $hits++ if $at >= $cold;
            delete $of{ $last{$key} };
        }
        elsif (keys %last == $places) {
            $oldest++ while !defined $of{$oldest};
            delete $last{ delete $of{$oldest} };
        }
        $last{$key} = $at;
        $of{$at++} = $key;
    }
    return $hits;
}

sub skewed {
    my ($database) = @_;
    say_step('a skewed load');
    my ($keys, $draws, $cold) = (10_000, $ENV{CACHE_DRAWS} || 120_000, 20_000);
    my $drawn = zipf($keys, 1.2, $draws);
    my $file = tempdir(CLEANUP => 1) . '/drawn';
    open my $out, '>', $file or die "$file: $!\n";
    print $out map { "$_\t$drawn->[$_]\n" } 0 .. $#$drawn;
    close $out or die "$file: $!\n";
    # A page of ten students of a school is a dashboard; there are ten thousand of them, told apart by school and page.
    psql($database, '-c', 'CREATE TABLE bench_drawn (n int PRIMARY KEY, key int)', '-c', "\\copy bench_drawn FROM '$file'",
        '-c', q{CREATE TABLE bench_dashboard AS SELECT (row_number() OVER (ORDER BY md5(s."schoolId"::text || p.page)))::int AS key, s."schoolId"::text AS school, p.page::text
                  FROM (SELECT DISTINCT "schoolId" FROM mv_student_health_summary) AS s CROSS JOIN generate_series(0, 10000) AS p (page) ORDER BY p.page, 1 LIMIT 10000},
        '-c', 'WITH n AS (SELECT ctid, row_number() OVER (ORDER BY key) AS key FROM bench_dashboard) UPDATE bench_dashboard AS d SET key = n.key FROM n WHERE n.ctid = d.ctid',
        '-c', 'ALTER TABLE bench_dashboard ADD PRIMARY KEY (key)', '-c', 'VACUUM (ANALYZE) bench_dashboard', '-c', 'VACUUM (ANALYZE) bench_drawn');
    my $ask = sub {
        my ($from, $to) = @_;
        return <<"SQL";
DO \$ask\$
DECLARE d record;
BEGIN
    FOR d IN SELECT b.school, b.page FROM bench_drawn AS n JOIN bench_dashboard AS b ON b.key = n.key WHERE n.n >= $from AND n.n < $to ORDER BY n.n LOOP
        PERFORM count(*) FROM wc_cached_json('SELECT "studentNumber", "lastName", "firstName", "activeAllergiesCount", "activeMedicationsCount" FROM mv_student_health_summary
            WHERE "schoolId" = \$1 ORDER BY "lastName", "firstName", "studentNumber" LIMIT 10 OFFSET 10 * \$2::int', ARRAY[d.school, d.page], '1 day');
    END LOOP;
END
\$ask\$
SQL
    };
    psql($database, '-c', 'SELECT wc_cache_clear()', '-c', $ask->(0, $cold), '-c', 'SELECT wc_reset_cache_stats()', '-c', $ask->($cold, $draws));
    my ($row) = rows($database, 'SELECT hits, misses, entries, evictions FROM wc_cache_stats WHERE database = current_database()');
    my ($hits, $misses, $entries, $evictions) = @$row;
    psql($database, '-c', 'DROP TABLE bench_drawn, bench_dashboard');
    die "of " . ($draws - $cold) . " questions $hits were hits and $misses misses\n" if $hits + $misses != $draws - $cold;
    my $others = lru($drawn, 1000, $cold);
    my $best = do { my %of; $of{$_}++ for @$drawn[ $cold .. $#$drawn ]; my $sum = 0; $sum += $_ for (sort { $b <=> $a } values %of)[ 0 .. 999 ]; $sum };
    text(<<"MARKDOWN");
## Hits of a skewed load

@{[commas($draws)]} questions, drawn from 10,000 different dashboards by Zipf's law with exponent 1.2, to a cache of 1,000 places; the first @{[commas($cold)]} don't count. *LRU* is the same questions to a cache that puts out what was not used for the longest time;
*best* is what could be hit if the thousand that are asked for most were there all the time.

MARKDOWN
    my $asked = $draws - $cold;
    my @share = map { 100 * $_ / $asked } $hits, $others, $best;
    table([ 'cache', 'hits', 'of all' ], map { [ @$_ ] } [ 'whitecross', $hits, sprintf '%.2f %%', $share[0] ], [ 'LRU', $others, sprintf '%.2f %%', $share[1] ], [ 'best', $best, sprintf '%.2f %%', $share[2] ]);
    verdict(sprintf('over 80 %% are hits: %.2f %%', $share[0]), $share[0] > 80);
    verdict(sprintf('no fewer than LRU has: %.2f %% against %.2f %%', @share[ 0, 1 ]), $hits >= $others);
    return;
}

sub commas { my ($number) = @_; 1 while $number =~ s/^(\d+)(\d{3})/$1,$2/; return $number }

1;

package Incremental;

# The measurements of the incremental refresh: against refreshing whole views, by the number of changes, by the size of the
# district, and where refreshing the whole view becomes the quicker way.

use strict;
use warnings;

use Bench;
use Exporter qw(import);
use Measures qw(make_obvious_views ms ratio wc_refresh);

our @EXPORT = qw(incremental growth crossover make_district);

my $bench = tree() . '/test/bench';

# Repetitions of what takes milliseconds.
my $many = $ENV{INCREMENTAL_RUNS} || 15;

# A district with the sample's data and this bench's keys, and the extension; seconds that CREATE EXTENSION took.  With
# copy => NAME, a copy of it without the extension.
sub make_district {
    my ($database, $students, %options) = @_;
    say_step("$database: a district of $students students");
    run_command('createdb', '-T', 'template0', $database);
    psql($database, '-f', tree() . '/examples/reference/schema.sql');
    psql($database, '-v', "students=$students", '-v', 'seed=1', '-f', tree() . '/examples/reference/generate.sql');
    psql($database, '-f', "$bench/formulary.sql", '-f', "$bench/write_keys.sql");
    psql($database, '-c', 'VACUUM (ANALYZE)', '-c', 'CHECKPOINT');
    run_command('createdb', '-T', $database, $options{copy}) if $options{copy};
    say_step("$database: CREATE EXTENSION whitecross");
    local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
    my ($seconds) = map { $_ / 1000 } timed($database, 'CREATE EXTENSION whitecross');
    psql($database, '-c', 'VACUUM (ANALYZE)', '-c', 'CHECKPOINT');
    return $seconds;
}

# A step that changes so many students, others each time.
my $run = 0;
sub change { my ($students) = @_; $run++; return [ '', "\\set n $students\n\\set run $run\n\\i $bench/change_students.sql" ] }

my $incremental = q{SELECT * FROM wc_refresh_all('incremental', 0)};

# The last incremental refresh of each of the five views has to have been one; the keys of each.
sub keys_of_last {
    my ($database) = @_;
    my %keys;
    for my $row (rows($database, 'SELECT DISTINCT ON (view_name) view_name, mode, status, keys_refreshed, reason FROM wc_refresh_log ORDER BY view_name, id DESC')) {
        my ($view, $mode, $status, $keys, $reason) = @$row;
        die "$view: $mode, $status ($reason), where an incremental refresh was to be measured\n" if $mode ne 'incremental' || $status ne 'refreshed';
        $keys{$view} = $keys;
    }
    die "not all views were refreshed\n" if keys %keys != 5;
    return \%keys;
}

# Nothing is measured that is not right.
sub check {
    my ($database) = @_;
    my $wrong = value($database, q{SELECT string_agg(view_name, ', ') FROM wc_verify() WHERE missing > 0 OR extra > 0 OR pending > 0});
    die "wc_verify() finds differences in $wrong\n" if $wrong ne '';
    return;
}

sub incremental {
    my ($database, $runs) = @_;
    make_obvious_views($database);
    psql($database, '-c', 'SELECT wc_refresh_all()', '-c', 'VACUUM (ANALYZE)', '-c', 'CHECKPOINT');
    text(<<'MARKDOWN');
## Incremental refresh

After 100 students have changed (each another name, an allergy, a visit, a vaccination, a dose where the student takes a
medication, and the last appointment kept: test/bench/change_students.sql), all five views are refreshed, one after the other:
*incremental*, by `wc_refresh_all('incremental', 0)`; *concurrent*, by wc_refresh(view, 'concurrent') of each; and by REFRESH MATERIALIZED
VIEW CONCURRENTLY of the two obvious definitions (see above). Before each of these refreshes another 100 students have changed. All in one
session, as of an application whose connections are warm; the other lines tell what the first refresh in a new session takes, and
one by background workers, as wc_refresh_all() does it unless told otherwise.

MARKDOWN
    my (%time, $keys);
    my %whole = (
        'concurrent'                   => [ map { wc_refresh($_, 'CONCURRENTLY') } VIEWS ],
        'the joins, concurrently'      => [ map { "REFRESH MATERIALIZED VIEW CONCURRENTLY joins.$_" } VIEWS ],
        'the subqueries, concurrently' => [ map { "REFRESH MATERIALIZED VIEW CONCURRENTLY subqueries.$_" } VIEWS ]);
    for my $round (1 .. $runs) {
        say_step("100 and 1,000 changed students, run $round of $runs");
        # A first one, so that the session is warm; then by turns.
        my $times = session($database, [ '', $incremental ], [ '', $incremental ], map { (change(100), [ '100', $incremental ], change(1000), [ '1000', $incremental ]) } 1 .. int(($many + $runs - 1) / $runs));
        check($database);
        push @{ $time{$_} }, @{ $times->{$_} } for '100', '1000';
        session($database, change(100));
        push @{ $time{'incremental, new session'} }, timed($database, $incremental);
        $keys = keys_of_last($database);
        session($database, change(100));
        push @{ $time{'incremental, workers'} }, timed($database, q{SELECT * FROM wc_refresh_all('incremental')});
        keys_of_last($database);
        for my $side (sort keys %whole) {
            say_step("100 changed students, $side, run $round of $runs");
            my $each = session($database, change(100), map { [ 'all', $_ ] } @{ $whole{$side} });
            my $sum  = 0;
            $sum += $_ for @{ $each->{all} };
            push @{ $time{$side} }, $sum;
        }
        psql($database, '-c', 'VACUUM (ANALYZE)', '-c', 'CHECKPOINT');
    }
    my %median = map { $_ => median(@{ $time{$_} }) } keys %time;
    my $base   = $median{100};
    table([ 'all five views after 100 changed students', 'time', 'against incremental' ],
        [ 'incremental', ms($base), ratio(1) ],
        map { [ $_, ms($median{$_}), ratio($median{$_} / $base) ] } 'incremental, new session', 'incremental, workers', sort keys %whole);
    text('Keys that each view took: ' . join(', ', map { "$_ $keys->{$_}" } sort keys %$keys) . ".\n\n");
    my $concurrent = $median{'concurrent'} / $base;
    my ($obvious) = sort { $a <=> $b } map { $median{"the $_, concurrently"} / $base } 'joins', 'subqueries';
    verdict('at least 100 times faster than REFRESH CONCURRENTLY of whitecross\'s own definitions: ' . ratio($concurrent), $concurrent >= 100);
    verdict('at least 300 times faster than the quicker of the two obvious ones: ' . ratio($obvious), $obvious >= 300);
    my $growth = $median{1000} / $median{100};
    text(sprintf "After 1,000 changed students the same takes %s.\n\n", ms($median{1000}));
    verdict('1,000 changed students take at most 12 times what 100 take: ' . ratio($growth), $growth <= 12);
    return;
}

sub growth {
    my (undef, $runs) = @_;
    my @sizes = split /,/, $ENV{GROWTH_STUDENTS} || '50000,200000';
    my ($small, $large) = map { "growth_$_" } @sizes;
    text(<<"MARKDOWN");
## Incremental refresh, by the size of the district

The same 100 changed students, all five views, in a district of $sizes[0] students and in one of $sizes[1].

MARKDOWN
    make_district("growth_$_", $_) for @sizes;
    my (%time, %concurrent);
    for my $round (1 .. $runs) {
        for my $database ($small, $large) {
            say_step("$database, run $round of $runs");
            my $times = session($database, [ '', $incremental ], [ '', $incremental ], map { (change(100), [ '100', $incremental ]) } 1 .. int(($many + $runs - 1) / $runs));
            keys_of_last($database);
            check($database);
            push @{ $time{$database} }, @{ $times->{100} };
            my $each = session($database, change(100), map { [ 'all', wc_refresh($_, 'CONCURRENTLY') ] } VIEWS);
            my $sum  = 0;
            $sum += $_ for @{ $each->{all} };
            push @{ $concurrent{$database} }, $sum;
            psql($database, '-c', 'VACUUM (ANALYZE)', '-c', 'CHECKPOINT');
        }
    }
    my %median = map { $_ => median(@{ $time{$_} }) } $small, $large;
    my %whole  = map { $_ => median(@{ $concurrent{$_} }) } $small, $large;
    table([ 'students', 'incremental', 'concurrent', 'faster' ],
        map { [ $_, ms($median{"growth_$_"}), ms($whole{"growth_$_"}), ratio($whole{"growth_$_"} / $median{"growth_$_"}) ] } @sizes);
    my $growth = $median{$large} / $median{$small};
    verdict(sprintf('%d students take at most 1.5 times what %d take: %.2f x', @sizes[ 1, 0 ], $growth), $growth <= 1.5);
    run_command('dropdb', "growth_$_") for @sizes;
    return;
}

# One change for each of so many keys of a view, and nothing else that it reads.
my %touch = (
    (map { $_ => q{UPDATE students AS s SET "firstName" = 'Student ' || %run% WHERE id IN (SELECT "studentId" FROM %view% ORDER BY md5("studentId"::text || %run%) LIMIT %n%)} }
        qw(mv_student_health_summary mv_compliance_status mv_allergy_summary)),
    mv_medication_schedule => q{UPDATE student_medications SET dosage = %run% || ' mL' WHERE id IN (SELECT "studentMedicationId" FROM %view% ORDER BY md5("studentMedicationId"::text || %run%) LIMIT %n%)},
    mv_appointment_statistics => q{UPDATE appointments AS a SET duration = 15 + %run% FROM (SELECT DISTINCT ON (b."nurseId", v.date) b.id
        FROM (SELECT "nurseId", date FROM %view% ORDER BY md5("nurseId"::text || date || %run%) LIMIT %n%) AS v
        JOIN appointments AS b ON b."nurseId" = v."nurseId" AND (b."scheduledAt" AT TIME ZONE 'America/New_York')::date = v.date AND b."deletedAt" IS NULL) AS one WHERE a.id = one.id});

sub crossover {
    my ($database, $runs) = @_;
    my @shares = split /,/, $ENV{CROSSOVER_SHARES} || '0.001,0.01,0.03,0.1,0.2,0.3,0.5,1';
    text(<<'MARKDOWN');
## Where refreshing the whole view is the quicker way

Of each view a share of its keys is changed, one row each, and the view refreshed incrementally; then as many others, and the view
refreshed concurrently. *Crossing*: the share at which both take the same time, between the two shares where they change places.

MARKDOWN
    psql($database, '-c', 'SELECT wc_refresh_all()', '-c', 'VACUUM (ANALYZE)', '-c', 'CHECKPOINT');
    my (@rows, @crossings);
    for my $view (VIEWS) {
        my $count = value($database, "SELECT count(*) FROM $view");
        my (@cells, $crossing, @last);
        for my $share (@shares) {
            my $n = int($share * $count + 0.5) || 1;
            # A statement that touches more keys than this notes the whole table instead.
            if ($n > 100_000) { push @cells, ''; next }
            say_step("$view: $n of $count keys");
            my %time;
            for my $round (1 .. $runs) {
                my @steps;
                for my $mode ('incremental', 'concurrent') {
                    $run++;
                    my $touch = $touch{$view};
                    my %value = (run => "'$run'", n => $n, view => $view);
                    $value{run} = $run % 50 if $view eq 'mv_appointment_statistics';
                    $touch =~ s/%$_%/$value{$_}/g for keys %value;
                    push @steps, [ '', $touch ], [ $mode, "SELECT 1 / (status = 'refreshed' AND mode = '$mode')::integer FROM wc_refresh('$view', '$mode')" ];
                }
                my $times = session($database, [ '', "SELECT wc_refresh('$view', 'incremental')" ], @steps);
                push @{ $time{$_} }, @{ $times->{$_} } for keys %$times;
            }
            psql($database, '-c', "VACUUM (ANALYZE) $view, wc_change, students, student_medications, appointments");
            my ($incremental, $concurrent) = map { median(@{ $time{$_} }) } 'incremental', 'concurrent';
            push @cells, ratio($concurrent / $incremental);
            # Between two shares the logarithm of the ratio is taken for a straight line.
            my $distance = log($concurrent / $incremental);
            if (!defined $crossing && $distance <= 0 && @last) { $crossing = $last[0] + ($share - $last[0]) * $last[1] / ($last[1] - $distance) }
            @last = ($share, $distance);
        }
        push @crossings, $crossing if defined $crossing;
        push @rows, [ $view, $count, @cells, defined $crossing ? sprintf('%.0f %%', 100 * $crossing) : 'none' ];
    }
    text("Concurrent against incremental, by the share of keys changed:\n\n");
    table([ 'view', 'rows', (map { sprintf '%g %%', 100 * $_ } @shares), 'crossing' ], @rows);
    # Each view was refreshed by itself, so the others have changes of its tables still to come.
    psql($database, '-c', 'SELECT wc_refresh_all()');
    check($database);
    my ($set) = slurp(tree() . '/src/core/refresh_plan.cpp') =~ /share_percent\s*=\s*(\d+)/ or die "no share_percent in src/core/refresh_plan.cpp\n";
    my ($least) = sort { $a <=> $b } @crossings;
    text((defined $least ? sprintf('The least crossing is at %.0f %%', 100 * $least) : 'No view was refreshed more quickly as a whole')
          . "; `auto` changes at $set % of a view's rows (share_percent in src/core/refresh_plan.cpp).\n\n");
    return;
}

sub slurp { my ($file) = @_; open my $in, '<', $file or die "$file: $!\n"; local $/; return scalar <$in> }

1;

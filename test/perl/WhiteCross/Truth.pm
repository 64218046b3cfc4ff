package WhiteCross::Truth;

# A database with a small district, and the five views once more by hand (test/fixtures/truth) to compare the extension's
# with. The district's own day is 2025-03-07 in New York, which is the site's time zone.

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

our @EXPORT = qw(make_true_database refresh_sql faults is_true);

# make_true_database(NODE, NAME, KIND, students => 40, before => SQL run before CREATE EXTENSION, after => SQL run after it)
sub make_true_database {
    my ($node, $name, $kind, %options) = @_;
    local $ENV{PGOPTIONS} = '-c timezone=America/New_York -c client_min_messages=warning';
    my $students = $options{students} // 40;
    my $truth    = tree() . '/test/fixtures/truth';
    my @psql     = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', File::Spec->devnull, '-d', $node->connstr($name));
    make_database($node, $name, $kind, students => 0, whitecross => 0);
    system_or_bail(@psql, (map { ('-v', $_) } "students=$students", 'seed=1', 'anchor=2025-03-07'), '-f', tree() . "/examples/$kind/generate.sql");
    $node->safe_psql($name, ($options{before} // '') . '; CREATE EXTENSION whitecross; ' . ($options{after} // ''));
    system_or_bail(@psql, '-f', "$truth/$kind.sql", '-f', "$truth/views.sql");
    # From the clock of the installation to that of the tests it goes back.
    $node->safe_psql($name, q{SET whitecross.now = '2025-03-07 00:00-05'; SELECT wc_refresh_all('concurrent', 0)});
    return;
}

# A refresh of all views with the clock at that moment, as a script: a row view_name|mode|status|sqlstate|message each.
sub refresh_sql {
    my ($clock, $mode, $workers) = @_;
    return "SET whitecross.now = '$clock'; SELECT view_name, mode, status, sqlstate, message FROM wc_refresh_all('$mode', $workers);";
}

# What is wrong with the views, the clock being that of their last refresh: one line for each view, '' where nothing is.
sub faults {
    my ($node, $database, $clock) = @_;
    return $node->safe_psql($database, <<"SQL");
SET whitecross.now = '$clock';
SELECT format('wc_verify: %s has %s missing, %s extra, %s pending', view_name, missing, extra, pending)
  FROM wc_verify() WHERE (missing, extra, pending) <> (0, 0, 0)
 UNION ALL
SELECT format('truth: %s has %s missing, %s extra: keys %s', view_name, missing, extra, keys) FROM truth.comparison WHERE missing + extra > 0
SQL
}

# is_true(NODE, DATABASE, CLOCK, NAME): refreshed incrementally, in this session, every view says what its rules say.
sub is_true {
    my ($node, $database, $clock, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $rows = $node->safe_psql($database, refresh_sql($clock, 'incremental', 0));
    my $refreshed = () = $rows =~ /\|refreshed\|/g;
    my $views = $node->safe_psql($database, 'SELECT count(*) FROM wc_view_stats()');
    return is(($refreshed == $views ? '' : "$refreshed of $views refreshed: $rows\n") . faults($node, $database, $clock), '', $name);
}

1;

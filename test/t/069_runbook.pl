# docs/operations.md: each of its SQL and shell blocks, in order, on a real database; and that they do what the page says.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# ANALYZE, which autovacuum does at any moment, ends what the result cache has stored.
my $node = new_node('runbook', preload => 'pg_cron,whitecross', conf => "autovacuum = off\n");
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
make_database($node, 'school', 'reference', students => 50, whitecross => 0);
my $before = catalogue($node, 'school');

# The page as (section, kind, line, text) for each fenced block of SQL or shell.
my @blocks;
{
    my ($section, $line, $kind, $start, $text) = ('', 0);
    for (split /^/, slurp_file(tree() . '/docs/operations.md')) {
        ++$line;
        if (defined $kind) {
            if (/^```$/) {
                push @blocks, [ $section, $kind, $start, $text ] if $kind =~ /^(sql|sh)$/;
                undef $kind;
            }
            else { $text .= $_ }
        }
        elsif (/^```(\w*)$/) { ($kind, $start, $text) = ($1, $line, '') }
        elsif (/^## (.*)/) { $section = $1 }
    }
    die 'a block of docs/operations.md does not end' if defined $kind;
}
cmp_ok(scalar(grep { $_->[1] eq 'sql' } @blocks), '>=', 20, 'the page has its SQL blocks');

sub school { return $node->safe_psql('school', shift) }

# What must be true once all blocks of a section have run.
my %afterwards = (
    'Install on a live server' => sub {
        is(school(q{SELECT count(*) FROM wc_objects() WHERE status NOT IN ('installed', 'adopted')}), 0, 'every object is there');
        is(school(q{SELECT bool_and(status = 'adopted') FROM wc_objects() WHERE kind LIKE '% index' AND table_name = 'health_records'}),
            't', 'indexes made CONCURRENTLY by hand are adopted');
        is(school(q{SET ROLE dashboard; SELECT count(*) FROM mv_student_health_summary}), school('SELECT count(*) FROM students WHERE "deletedAt" IS NULL'),
            'the dashboard reads the views');
        is(school(q{SET ROLE operator; SELECT status FROM wc_refresh('allergy_summary')}), 'refreshed', 'the operator refreshes them');
    },
    'Schedule' => sub {
        ok($node->poll_query_until('postgres', q{SELECT array_agg(jobname ORDER BY jobname) = '{whitecross school daily,whitecross school hourly}'
             FROM cron.job WHERE database = 'school' AND username = 'scheduler'}),
            'the jobs are there, with their role');
        is($node->safe_psql('postgres', q{SELECT schedule FROM cron.job WHERE jobname = 'whitecross school daily'}), '30 * * * *', 'at the minute of 4:30 in Chicago');
    },
    'Result cache' => sub {
        is(school(q{SELECT hits || ' ' || stores FROM wc_cache_stats WHERE database = 'school'}), '1 2', 'two results were stored, one of them asked for again');
        is(school('SELECT count(*) FROM wc_cache_entries'), 0, 'and the cache is empty again');
    },
    'Migrations of the application' => sub {
        is(school(q{SELECT character_maximum_length FROM information_schema.columns WHERE table_name = 'students' AND column_name = 'firstName'}),
            300, 'the migration was made');
        is(school(q{SET ROLE dashboard; SELECT count(*) > 0 FROM mv_student_health_summary}), 't', 'the views are back, with their grants');
        is(school('SELECT count(*) FROM wc_object_links() WHERE NOT linked'), 0, 'every link is there');
        is(school(q{SELECT count(*) FROM wc_objects() WHERE status NOT IN ('installed', 'adopted')}), 0, 'and every object is of today');
    },
    'Dump and restore' => sub {
        is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname IN ('restored', 'partial')}), 0, 'made and taken away');
    },
    'Monitoring' => sub {
        is(school(q{SELECT count(*) FROM pg_roles WHERE rolname = 'whitecross_monitor'}), 0, 'the monitoring role was made, and has gone');
    },
    'Roll back' => sub {
        ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM cron.job'), 'no job is left');
        # The adopted indexes, and the columns that the migrations changed, are the site's own doing.
        my $own = qr/^(index CREATE INDEX idx_\w+ ON public\.health_records |column students\.firstName |column allergies\.is(Active|Current) )/;
        my @old = grep { !/$own/ } split /\n/, $before;
        my @new = grep { !/$own/ } split /\n/, catalogue($node, 'school');
        is_deeply(\@new, \@old, 'after DROP EXTENSION the catalogue is as before');
    });


my $folder = PostgreSQL::Test::Utils::tempdir();
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
for my $i (0 .. $#blocks) {
    my ($section, $kind, $line, $text) = @{ $blocks[$i] };
    my @command = $kind eq 'sql'
      ? ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'school', '-f', '-')
      : ('bash', '-euo', 'pipefail', '-c', "cd '$folder'; $text");
    my ($in, $out, $err) = ($kind eq 'sql' ? $text : '', '', '');
    my $good = IPC::Run::run(\@command, '<', \$in, '>', \$out, '2>', \$err);
    ok($good, "$section, line $line") or diag("$text\n$err");
    unlike($err, qr/(?:ERROR|WARNING|FATAL)/, "$section, line $line: no error and no warning");
    my $last = $i == $#blocks || $blocks[ $i + 1 ][0] ne $section;
    $afterwards{$section}->() if $last && $afterwards{$section};
    delete $afterwards{$section} if $last;
}
is_deeply([ sort keys %afterwards ], [], 'every section that is checked is on the page');

done_testing();

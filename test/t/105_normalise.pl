# Normalised text, beside libpg_query, another normaliser of PostgreSQL 15's grammar (test/normaliser).

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $folder = tree() . '/test/normaliser';
my $node   = new_node('normalise');
$node->safe_psql('postgres', 'CREATE EXTENSION whitecross');

# What both make of statements.
my $other = PostgreSQL::Test::Utils::tempdir() . '/libpg_query';
system_or_bail($ENV{CC} // 'cc', '-O1', '-Wall', '-Werror', '-o', $other, "$folder/libpg_query.c", '-lpg_query');

sub libpg_query {
    my $out = '';
    IPC::Run::run([$other], '<', \join('', map { "$_\0" } @_), '>', \$out) or die "libpg_query failed\n";
    return split /\0/, $out, -1;
}
sub ours {
    my $list = join ',', map { '"' . unpack('H*', $_) . '"' } @_;
    return map { pack 'H*', $_ } split /\n/, $node->safe_psql('postgres', <<"SQL"), -1;
SELECT coalesce(encode(convert_to(wc_normalise_query(convert_from(decode(s.hex, 'hex'), 'UTF8')), 'UTF8'), 'hex'), '')
  FROM unnest('{$list}'::text[]) WITH ORDINALITY AS s (hex, n) ORDER BY n
SQL
}
sub lines_of {
    my ($name) = @_;
    my @lines = grep { !/^(#|$)/ } split /\n/, slurp_file("$folder/$name");
    s/\\(.)/$1 eq 'n' ? "\n" : $1 eq 't' ? "\t" : $1/ge for @lines;
    return @lines;
}

my @statements = lines_of('statements.txt');
my @theirs     = libpg_query(@statements);
my @mine       = ours(@statements);
my $equal      = 0;
for my $i (0 .. $#statements) {
    is($mine[$i], $theirs[$i], "the same text of $statements[$i]");
    $equal++ if $mine[$i] eq $theirs[$i] && $theirs[$i] ne '';
}
cmp_ok($equal, '>=', 300, 'of 300 statements and more');

# Where they differ, they differ as is told in the list.
my ($why, $same);
for my $line (lines_of('differences.txt')) {
    if ($line =~ s/^(kept|numbered|broken): //) {
        ($why, $same) = ($1, $line);
        next if $why ne 'numbered';
    }
    my ($mine)   = ours($same);
    my ($theirs) = libpg_query($same);
    isnt($theirs, $mine, "another text of $same");
    isnt($theirs, '', "libpg_query takes $same");
    if ($why eq 'numbered') {
        s/\$\d+/\$/g for $mine, $theirs;
        is($mine, $theirs, 'but only by its numbers');
    } else {
        is($mine, $line =~ s/^  //r, "a constant or a comment $why there");
    }
}

# What isn't one query.
my %texts = (
    q{SELECT 1; SELECT 'a', 5;}                       => 'SELECT $1; SELECT $1, $2',
    q{BEGIN; UPDATE t SET a = 5; COMMIT}              => 'BEGIN; UPDATE t SET a = $1; COMMIT',
    q{SET x.y = 'SSN'; /* SSN */; SELECT $1, 5}       => 'SET; SELECT $1, $2',
    q{EXPLAIN SELECT 'SSN'}                           => 'EXPLAIN',
    q{CREATE TABLE t AS SELECT 'SSN'}                 => 'CREATE TABLE AS',
    q{DO $$BEGIN PERFORM 'SSN'; END$$}                => 'DO',
    q{COMMENT ON TABLE t IS 'SSN'}                    => 'COMMENT',
    q{CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3} => 'CREATE FUNCTION; SELECT $1',
    qq{SELECT 'a' -- b\n 'c'}                         => 'SELECT $1',
    q{}                                               => '',
    q{-- SSN}                                         => '',
    # Broken: a value may be taken for a name.
    q{SELECT * FROM t WHERE a = 'it's Bob's'}         => 'SELECT',
    q{update t set a = 'SSN}                          => 'UPDATE',
    q{SELECT 1; SELEC 'SSN'}                          => 'SELECT',
    q{SSN 131}                                        => '',
    q{'SSN}                                           => '',
    q{<insufficient privilege>}                       => '',
    # Under one setting a string ends where it goes on under the other.
    q{SELECT 'it\'s'}                                 => 'SELECT $1',
    q{SELECT 'C:\'}                                   => 'SELECT $1',
    q{SELECT 'a\', b, 'c\', d, 'e'}                   => 'SELECT $1, b, $2, d, $3',
    q{SELECT 'a\' , SSN , 'b\'' , SSN, 'c'}           => 'SELECT',
);
my @sources = sort keys %texts;
my @texts   = ours(@sources);
is($texts[$_], $texts{$sources[$_]}, "the text of $sources[$_]") for 0 .. $#sources;
$node->safe_psql('postgres', 'ALTER SYSTEM SET standard_conforming_strings = off; ALTER SYSTEM SET escape_string_warning = off; SELECT pg_reload_conf()');
$node->poll_query_until('postgres', q{SELECT current_setting('standard_conforming_strings') = 'off'}) or die "no reload\n";
@texts = ours(@sources);
is($texts[$_], $texts{$sources[$_]}, "and with the other strings, of $sources[$_]") for 0 .. $#sources;

done_testing();

# The sample district: the same rows from the same parameters, the same district in both databases, nothing that a
# constraint of ours refuses, and something of everything that the views tell apart.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('sample_district');

# generate(DATABASE, KIND, VARIABLE => VALUE...): in tables that are empty, under a time zone of the session's own.
sub generate {
    my ($database, $kind, %variables) = @_;
    local $ENV{PGOPTIONS} = '-c timezone=' . (delete $variables{session_zone} // 'UTC');
    make_database($node, $database, $kind, students => 0, whitecross => 0);
    command_ok(
        [ 'psql', '-X', '-q', '-h', $node->host, '-p', $node->port, '-d', $database, '-o', File::Spec->devnull,
            (map { ('-v', "$_=$variables{$_}") } sort keys %variables), '-f', tree() . "/examples/$kind/generate.sql" ],
        "$database is generated");
    return;
}

# Every row of every table, as one number.
sub contents {
    my ($database) = @_;
    return $node->safe_psql($database, <<'SQL');
SET timezone = 'UTC';
SELECT md5(query_to_xml(string_agg(format('SELECT %L AS t, count(*), md5(string_agg(r::text, %L ORDER BY id)) FROM %I AS r',
                                          tablename, E'\n', tablename), ' UNION ALL ' ORDER BY tablename), true, true, '')::text)
  FROM pg_tables WHERE schemaname = 'public'
SQL
}

my %parameters = (students => 400, seed => 7, anchor => '2025-03-18', time => '11:45', timezone => 'America/New_York');
generate('one', 'reference', %parameters);
generate('two', 'reference', %parameters, session_zone => 'Asia/Tokyo');
generate('other', 'reference', %parameters, seed => 8);
is(contents('two'), contents('one'), 'the same parameters make the same rows, whatever the session');
isnt(contents('other'), contents('one'), 'another seed makes another district');
is($node->safe_psql('other', 'SELECT count(*) FROM students'), '400', 'with as many students');

# The parts of the district that both databases can hold.
generate('platform', 'platform', %parameters);
my $canonical = <<'SQL';
SET timezone = 'America/New_York';
SELECT 'student', id, "studentNumber", "firstName", grade, "schoolId", "nurseId", "deletedAt" FROM students
UNION ALL
SELECT 'allergy', id, "studentId"::text, allergen, severity, NULL, NULL, "deletedAt" FROM allergies
UNION ALL
SELECT 'vaccination', id, "studentId"::text, "vaccineType", "complianceStatus" || "administrationDate"::date, NULL, NULL, "deletedAt" FROM vaccinations
UNION ALL
SELECT 'appointment', id, "studentId"::text, type, duration::text, NULL, "nurseId", "scheduledAt" FROM appointments
UNION ALL
SELECT 'condition', id, "studentId"::text, condition, severity, NULL, NULL, "deletedAt" FROM chronic_conditions
UNION ALL
SELECT 'record', id, "studentId"::text, title, "recordDate"::date::text, NULL, NULL, NULL FROM health_records
ORDER BY 1, 2
SQL
is($node->safe_psql('platform', $canonical), $node->safe_psql('one', $canonical), 'both databases hold the same district');

for my $database ('one', 'platform') {
    is( $node->safe_psql($database, q{SELECT count(*) FROM (
          SELECT 1 FROM students WHERE "isActive" AND "deletedAt" IS NULL HAVING count(*) > 300
          UNION ALL SELECT 1 FROM students HAVING count("deletedAt") > 0
          UNION ALL SELECT 1 FROM allergies HAVING count(*) FILTER (WHERE severity = 'LIFE_THREATENING' AND "epiPenLocation" IS NOT NULL) > 0
          UNION ALL SELECT 1 FROM allergies HAVING count("deletedAt") > 0
          UNION ALL SELECT 1 FROM vaccinations HAVING count(DISTINCT "complianceStatus") = 5
          UNION ALL SELECT 1 FROM medication_logs HAVING count(*) FILTER (WHERE status = 'PENDING') > 0
          UNION ALL SELECT 1 FROM medication_logs HAVING count(*) FILTER (WHERE status = 'ADMINISTERED' AND "administeredAt" > '2025-03-18 08:00 America/New_York') > 0
          UNION ALL SELECT 1 FROM appointments HAVING min("scheduledAt") < '2024-04-10' AND max("scheduledAt") > '2025-05-05'
          UNION ALL SELECT 1 FROM vital_signs HAVING count(DISTINCT "temperatureUnit") = 2
          UNION ALL SELECT 1 FROM medications HAVING count(DISTINCT "deaSchedule") = 4 AND count("deletedAt") > 0) AS found}),
        '10', "$database: something of everything");

    $node->safe_psql($database, 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
    is( $node->safe_psql($database, q{SELECT count(*), sum(violations), bool_and(validated) FROM wc_validate()}),
        '13|0|t', "$database: no row that a constraint refuses");
}

done_testing();

# Rows that violate constraints stand in the tables before CREATE EXTENSION: it succeeds, nothing that worked stops working,
# and the constraints come in when the rows are mended, or when the site says so.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('violations');

# For every constraint: its table, how a row is made to violate it (%s: the column of the platform), what mends it, and a
# column that has nothing to do with it. Of health_records and vaccinations the date is a timestamptz on the platform.
my @rules = (
    [ 'chk_students_grade_valid', 'students', 'grade = \'Graduate\'', 'grade = \'12\'', '"lastName" = \'Other\'' ],
    [ 'chk_students_age_range', 'students', '"dateOfBirth" = \'1900-01-01\'', '"dateOfBirth" = ("enrollmentDate" - interval \'10 years\')::date', '"lastName" = \'Other\'' ],
    [ 'chk_medications_controlled_schedule', 'medications', '"isControlled" = true, "deaSchedule" = NULL', '"isControlled" = false', 'name = \'Other\'' ],
    [ 'chk_medications_witness_requirement', 'medications', '"isControlled" = true, "deaSchedule" = \'II\', "requiresWitness" = NULL', '"requiresWitness" = true', 'name = \'Other\'' ],
    [ 'chk_vital_signs_temperature_range', 'vital_signs', 'temperature = 37, "temperatureUnit" = \'F\'', '"temperatureUnit" = \'C\'', 'notes = \'seen\'' ],
    [ 'chk_vital_signs_heart_rate_range', 'vital_signs', '"heartRate" = 300', '"heartRate" = 80', 'notes = \'seen\'' ],
    [ 'chk_vital_signs_blood_pressure_range', 'vital_signs', 'systolic = 20', 'systolic = 110', 'notes = \'seen\'' ],
    [ 'chk_vital_signs_diastolic_range', 'vital_signs', 'diastolic = 300', 'diastolic = 70', 'notes = \'seen\'' ],
    [ 'chk_appointments_duration_range', 'appointments', 'duration = 5', 'duration = 30', 'reason = \'Other\'' ],
    [ 'chk_allergies_epipen_location', 'allergies', '"epiPenRequired" = true, "epiPenLocation" = \' \'', '"epiPenLocation" = \'Office\'', 'allergen = \'Other\'' ],
    [ 'chk_student_medications_dosage_positive', 'student_medications', 'dosage = \'0 mg\'', 'dosage = \'5 mg\'', 'route = \'ORAL\'' ],
    [ 'chk_health_records_record_date', 'health_records', '"recordDate" = now() + interval \'10 days\'', '"recordDate" = now()', 'title = \'Other\'' ],
    [ 'chk_vaccinations_administration_date', 'vaccinations', '"administrationDate" = now() + interval \'10 days\'', '"administrationDate" = now()', 'notes = \'seen\'' ]);

for my $kind (qw(reference platform)) {
    make_database($node, $kind, $kind, whitecross => 0);
    my $site = sub {
        my ($sql) = @_;
        $sql =~ s/\b(systolic|diastolic) =/'"bloodPressure' . ucfirst($1) . '" ='/e if $kind eq 'platform';
        return $sql;
    };
    # A row of its own for each constraint of a table, and as many as the constraint's number, so that the counts differ.
    my (%offset, %count, $number);
    for my $rule (@rules) {
        my ($name, $table, $violation) = @$rule;
        $count{$name} = 1 + ++$number % 4;
        $offset{$table} //= 0;
        $node->safe_psql($kind, $site->("UPDATE $table SET $violation WHERE id IN (SELECT id FROM $table ORDER BY id OFFSET $offset{$table} LIMIT $count{$name})"));
        $offset{$table} += $count{$name};
    }
    my $rows = "SELECT " . join ', ', map { "(SELECT md5(string_agg(t::text, '' ORDER BY t.id)) FROM $_ AS t)" } sort keys %offset;
    my $before = $node->safe_psql($kind, $rows);

    my (undef, $state, $err) = try_sql($node, $kind, 'CREATE EXTENSION whitecross');
    is($state, '', "$kind: CREATE EXTENSION succeeds");
    like($err, qr/NOTICE: .*13 managed objects could not be installed/, "$kind: and says that constraints are pending");
    is( $node->safe_psql($kind, q{SELECT string_agg(DISTINCT kind, ', ') FROM wc_objects() WHERE status NOT IN ('installed', 'adopted', 'not applicable')}),
        'check constraint', "$kind: nothing else is");
    is($node->safe_psql($kind, $rows), $before, "$kind: no row is touched");

    my $verdicts = $node->safe_psql($kind, 'SELECT constraint_name, violations, validated FROM wc_validate()');
    is($verdicts, join("\n", map { "$_->[0]|$count{$_->[0]}|f" } @rules), "$kind: wc_validate() counts them");

    for my $rule (@rules) {
        my ($name, $table, $violation, $mending, $unrelated) = map { $site->($_) } @$rule;
        my $rows = $count{$name} == 1 ? '1 row violates' : "$count{$name} rows violate";
        is($node->safe_psql($kind, "SELECT status, validated, reason FROM wc_objects() WHERE name = '$name'"),
            "pending||$rows it: wc_breaches('$name') lists the keys", "$kind: $name is pending, with the count");

        # The keys, against the rows that were made to violate it.
        my $keys = $node->safe_psql($kind, "SELECT table_name, key FROM wc_breaches('$name')");
        is(scalar(split /\n/, $keys), $count{$name}, "$kind: wc_breaches('$name') lists so many keys");
        unlike($keys, qr/^(?!$table\|\{"id": "[0-9a-f-]{36}"\}$)./m, "$kind: and nothing but keys");
        my $ids = join ', ', map { "'$_'" } $keys =~ /"id": "([^"]+)"/g;

        is((try_sql($node, $kind, "UPDATE $table SET $unrelated WHERE id IN ($ids)"))[1], '', "$kind: an unrelated update of such a row works");
        is($node->safe_psql($kind, "BEGIN; UPDATE $table SET $violation WHERE id = (SELECT id FROM $table WHERE id NOT IN ($ids) LIMIT 1) RETURNING 1; ROLLBACK"),
            '1', "$kind: and so does what the application did before");

        # At once, for a site that wants that.
        is($node->safe_psql($kind, "SELECT name, action FROM wc_enforce('$name')"), "$name|created", "$kind: wc_enforce('$name')");
        (undef, $state) = try_sql($node, $kind, "UPDATE $table SET $violation WHERE id = (SELECT id FROM $table WHERE id NOT IN ($ids) LIMIT 1)");
        is($state, '23514', "$kind: a new violation is refused");
        is($node->safe_psql($kind, "SELECT status, validated FROM wc_objects() WHERE name = '$name'"), 'installed|f', "$kind: it is there, not validated");
        is($node->safe_psql($kind, "SELECT count(*) FROM wc_install() WHERE name = '$name'"), '0', "$kind: wc_install() leaves it alone");
        is($node->safe_psql($kind, "SELECT violations, validated FROM wc_validate() WHERE constraint_name = '$name'"), "$count{$name}|f", "$kind: wc_validate() too");
        is($node->safe_psql($kind, "SELECT count(*) FROM wc_enforce('$name')"), '0', "$kind: a second wc_enforce() does nothing");

        # Every second one goes back to pending, so that both ways lead to a validated constraint.
        $node->safe_psql($kind, "SELECT wc_disable('$name'); SELECT wc_enable('$name')") if $count{$name} % 2;
        $node->safe_psql($kind, "UPDATE $table SET $mending WHERE id IN ($ids)");
        is($node->safe_psql($kind, "SELECT violations, validated FROM wc_validate() WHERE constraint_name = '$name'"), '0|t', "$kind: after mending, wc_validate() installs and validates");
        is($node->safe_psql($kind, "SELECT status, validated, reason FROM wc_objects() WHERE name = '$name'"), 'installed|t|', "$kind: as wc_objects() tells");
        is($node->safe_psql($kind, "SELECT convalidated FROM pg_constraint WHERE conname = '$name'"), 't', "$kind: and the catalogue");
    }
    is($node->safe_psql($kind, 'SELECT count(*) FROM wc_install()'), '0', "$kind: nothing is left to do");
    $node->safe_psql($kind, 'DROP EXTENSION whitecross');
    is($node->safe_psql($kind, q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'chk\_%'}), '0', "$kind: DROP EXTENSION takes them all");
}

# The action of a foreign key on a violating row: deleting a nurse clears students."nurseId".
make_database($node, 'cascade', 'reference', whitecross => 0);
$node->safe_psql('cascade', q{UPDATE students SET grade = 'Graduate'});
$node->safe_psql('cascade', 'SET client_min_messages = error; CREATE EXTENSION whitecross');
is((try_sql($node, 'cascade', 'UPDATE appointments SET "nurseId" = NULL; DELETE FROM users'))[1], '', 'the action of a foreign key on a violating row works');

# A table without a primary key: the rows' places.
$node->safe_psql('cascade', 'ALTER TABLE vital_signs DROP CONSTRAINT vital_signs_pkey; SELECT wc_retire(\'check constraint\'); UPDATE vital_signs SET "heartRate" = 1');
like($node->safe_psql('cascade', q{SELECT key FROM wc_breaches('chk_vital_signs_heart_rate_range') LIMIT 1}), qr/^\{"ctid": "\([0-9]+,[0-9]+\)"\}$/,
    'without a primary key wc_breaches() gives the rows\' places');

# Whoever may call wc_breaches() still needs the right to read the table.
$node->safe_psql('cascade', 'CREATE ROLE clerk; GRANT EXECUTE ON FUNCTION wc_breaches(text) TO clerk');
my (undef, $state, $err) = try_sql($node, 'cascade', q{SET ROLE clerk; SELECT wc_breaches('chk_vital_signs_heart_rate_range')});
is($state, '42501', 'wc_breaches() needs the right to read the table');

done_testing();

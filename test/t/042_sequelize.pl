# A real Sequelize application (test/sequelize) on the platform database: what its dashboards show is true, it goes on
# writing, and its sync({ alter: true }) runs between wc_suspend_views() and wc_install().

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $zone  = 'America/New_York';
my $today = '2025-03-18';
my $now   = "$today 11:45 $zone";

# The application and its packages, from the registry as npm is set up on this machine.
my $app = tree() . '/build/sequelize';
remove_tree($app);
make_path($app);
copy(tree() . "/test/sequelize/$_", "$app/$_") or die "$_: $!" for qw(app.js models.js package.json package-lock.json .npmrc);
{
    local $ENV{HOME} = $app;
    system_log('npm', 'ci', '--prefix', $app, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error') == 0 or die "npm could not install the application\n";
}

# The application's tables belong to its own role; clerk is what its processes usually run as.
my $node = new_node('sequelize');
make_database($node, 'school', 'platform', students => 0, whitecross => 0);
command_ok(
    [ 'psql', '-Xq', '-h', $node->host, '-p', $node->port, '-d', 'school', '-o', File::Spec->devnull,
        '-v', 'students=400', '-v', "anchor=$today", '-v', 'time=11:45', '-v', "timezone=$zone",
        '-f', tree() . '/examples/platform/generate.sql' ],
    'a district of 400 students');
$node->safe_psql('school', <<"SQL");
CREATE ROLE school_app LOGIN;
CREATE ROLE clerk LOGIN;
GRANT CREATE ON SCHEMA public TO school_app;
DO \$\$
DECLARE object text;
BEGIN
  FOR object IN SELECT format('TABLE %s', oid::regclass) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
          UNION ALL SELECT format('TYPE %s', oid::regtype) FROM pg_type WHERE typtype = 'e'
  LOOP EXECUTE format('ALTER %s OWNER TO school_app', object); END LOOP;
END \$\$;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO clerk;
-- The clock of the views, for every session.
ALTER DATABASE school SET whitecross.now = '$now';
SQL
$node->safe_psql('school', <<"SQL");
SET timezone = '$zone';
CREATE EXTENSION whitecross;
GRANT SELECT ON mv_student_health_summary, mv_compliance_status, mv_medication_schedule TO clerk;
GRANT EXECUTE ON FUNCTION wc_suspend_views(), wc_install(text) TO school_app;
SQL
is( $node->safe_psql('school', q{SELECT count(*), min(matviewowner) FROM pg_matviews}),
    '5|school_app', 'the views belong to the owner of the tables');

# app(ROLE, COMMAND...): exit status is in $?, the rest is returned.
sub app {
    my ($role, @command) = @_;
    local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($node->host, $node->port, 'school', $role);
    my ($out, $err) = run_command([ 'node', "$app/app.js", @command ]);
    return ($out, $err);
}

# The truth, from the base tables, each part by itself.
my $current = qq{m."isActive" IS NOT FALSE AND (m."startDate" AT TIME ZONE '$zone')::date <= '$today'
                 AND (m."endDate" IS NULL OR (m."endDate" AT TIME ZONE '$zone')::date >= '$today')};
my $counted_allergy = q{a."studentId" = s.id AND a."deletedAt" IS NULL AND a.active IS NOT FALSE};
my $last = sub { qq{(SELECT max((h."recordDate" AT TIME ZONE '$zone')::date) FROM health_records AS h
                      WHERE h."studentId" = s.id AND h."deletedAt" IS NULL AND h."recordType" = '$_[0]')} };
my $superseded = qq{EXISTS (SELECT FROM vaccinations AS w WHERE w."studentId" = v."studentId" AND w."deletedAt" IS NULL AND w."vaccineType" = v."vaccineType"
                     AND (w."administrationDate" AT TIME ZONE '$zone')::date > (v."administrationDate" AT TIME ZONE '$zone')::date)};
my $vaccinations = q{FROM vaccinations AS v WHERE v."studentId" = s.id AND v."deletedAt" IS NULL};
my $logs = q{l."studentId" = m."studentId" AND l."medicationId" = m."medicationId" AND l."deletedAt" IS NULL};
my $pending = qq{FROM medication_logs AS l WHERE $logs AND l.status = 'PENDING'
                 AND NOT EXISTS (SELECT FROM medication_logs AS g WHERE g."studentId" = l."studentId" AND g."medicationId" = l."medicationId"
                                  AND g."deletedAt" IS NULL AND g.status = 'ADMINISTERED'
                                  AND g."administeredAt" BETWEEN l."scheduledAt" - interval '30 minutes' AND l."scheduledAt" + interval '30 minutes')};
my %truth = (
    health => {
        filters => [ 's."schoolId"', 's.grade', 's."nurseId"' ],
        sql     => qq{
SELECT s."studentNumber", s."firstName", s."lastName", s.grade, s."isActive",
       (SELECT count(*) FROM health_records AS h WHERE h."studentId" = s.id AND h."deletedAt" IS NULL),
       @{[ $last->('PHYSICAL_EXAM') ]}, @{[ $last->('VISION') ]},
       (SELECT count(*) FROM allergies AS a WHERE $counted_allergy),
       (SELECT count(*) FROM allergies AS a WHERE $counted_allergy AND a.severity IN ('SEVERE', 'LIFE_THREATENING')),
       EXISTS (SELECT FROM allergies AS a WHERE $counted_allergy AND a."epiPenRequired"),
       (SELECT string_agg(DISTINCT a."epiPenLocation", ', ' ORDER BY a."epiPenLocation") FROM allergies AS a WHERE $counted_allergy AND a."epiPenRequired"),
       (SELECT count(*) FROM student_medications AS m WHERE m."studentId" = s.id AND $current),
       (SELECT count(*) FROM student_medications AS m JOIN medications AS d ON d.id = m."medicationId"
         WHERE m."studentId" = s.id AND $current AND d."requiresWitness"),
       (SELECT count(*) FROM chronic_conditions AS c WHERE c."studentId" = s.id AND c."deletedAt" IS NULL AND c."isActive"),
       (SELECT count(*) $vaccinations)
  FROM students AS s WHERE s."deletedAt" IS NULL},
        order => 's."studentNumber"',
    },
    compliance => {
        filters => [ 's."schoolId"', 'o.status' ],
        sql     => qq{
SELECT s."studentNumber", o.status,
       (SELECT count(*) $vaccinations AND v."complianceStatus" = 'COMPLIANT'),
       (SELECT count(*) $vaccinations AND v."complianceStatus" = 'NON_COMPLIANT'),
       (SELECT count(*) $vaccinations AND v."complianceStatus" = 'EXEMPT'),
       o.overdue,
       (SELECT min(v."nextDueDate") $vaccinations AND v."nextDueDate" >= '$today' AND v."complianceStatus" <> 'EXEMPT' AND NOT $superseded),
       o.physical, o.physical IS NOT NULL AND o.physical >= '2024-03-18'
  FROM students AS s
 CROSS JOIN LATERAL (
    SELECT f.*, CASE WHEN f.refused > 0 OR f.physical IS NULL OR f.physical < '2024-03-18' THEN 'NON_COMPLIANT'
                     WHEN f.overdue > 0 THEN 'PAST_DUE' ELSE 'COMPLIANT' END AS status
      FROM (SELECT @{[ $last->('PHYSICAL_EXAM') ]} AS physical,
                   (SELECT count(*) $vaccinations AND v."complianceStatus" = 'NON_COMPLIANT' AND NOT $superseded) AS refused,
                   (SELECT count(*) $vaccinations AND (v."nextDueDate" < '$today' OR v."complianceStatus" = 'OVERDUE')
                       AND v."complianceStatus" <> 'EXEMPT' AND NOT $superseded) AS overdue) AS f) AS o
 WHERE s."deletedAt" IS NULL AND s."isActive"},
        order => 's."studentNumber"',
    },
    schedule => {
        filters => [ 's."nurseId"', 's."schoolId"', 'n.due' ],
        sql     => qq{
SELECT s."studentNumber", d.name, m.dosage, (m."startDate" AT TIME ZONE '$zone')::date, d."isControlled", d."requiresWitness", n.next,
       (SELECT count(*) FROM medication_logs AS l
         WHERE $logs AND l.status = 'ADMINISTERED' AND (l."administeredAt" AT TIME ZONE '$zone')::date = '$today'),
       n.due
  FROM student_medications AS m
  JOIN students AS s ON s.id = m."studentId"
  JOIN medications AS d ON d.id = m."medicationId"
 CROSS JOIN LATERAL (
    SELECT (SELECT extract(epoch FROM min(l."scheduledAt"))::bigint $pending AND l."scheduledAt" > '$now') AS next,
           EXISTS (SELECT $pending AND l."scheduledAt" BETWEEN timestamptz '$now' - interval '30 minutes' AND timestamptz '$now' + interval '30 minutes') AS due) AS n
 WHERE s."isActive" AND s."deletedAt" IS NULL AND d."deletedAt" IS NULL AND $current},
        order => 's."studentNumber", d.name, m.id',
    });

# same(NAME, FILTER...): what clerk is shown equals the truth; returns the number of rows.
sub same {
    my ($name, @values) = @_;
    my $truth = $truth{$name};
    my $where = join '', map { $values[$_] eq '-' ? '' : " AND $truth->{filters}[$_] = '$values[$_]'" } 0 .. $#values;
    my $expected = $node->safe_psql('school', "$truth->{sql}$where ORDER BY $truth->{order}");
    my ($shown, $err) = app('clerk', 'query', $name, @values);
    is("$err$shown", $expected, "$name: " . join(', ', map { $_ eq '-' ? 'any' : 'given' } @values));
    return scalar(split /\n/, $shown);
}

my ($school, $nurse) = split /\|/, $node->safe_psql('school',
    q{SELECT "schoolId", "nurseId" FROM students WHERE "nurseId" IS NOT NULL AND grade = '3' ORDER BY id LIMIT 1});

# Each of the three queries, with no filter, each filter by itself, and all together.
cmp_ok(same('health', '-', '-', '-'), '>', 380, 'many students');
same('health', $school, '-', '-');
same('health', '-', '3', '-');
same('health', '-', '-', $nurse);
cmp_ok(same('health', $school, '3', $nurse), '>', 0, 'a class of one nurse');
is(same('health', $school, '13', $nurse), 0, 'no such grade');
same('compliance', '-', '-');
same('compliance', $school, '-');
for my $status ('COMPLIANT', 'PAST_DUE', 'NON_COMPLIANT') {
    cmp_ok(same('compliance', '-', $status), '>', 0, "students who are $status");
}
same('compliance', $school, 'NON_COMPLIANT');
cmp_ok(same('schedule', '-', '-', '-'), '>', 50, 'many medications');
same('schedule', $nurse, '-', '-');
same('schedule', '-', $school, '-');
cmp_ok(same('schedule', '-', '-', 'true'), '>', 0, 'some are due now');
same('schedule', '-', '-', 'false');
same('schedule', $nurse, $school, 'true');

# The application writes under all constraints and indexes; what it wrote is in its dashboard after a refresh.
my $student = $node->safe_psql('school', qq{SELECT id FROM students WHERE "schoolId" = '$school' AND "deletedAt" IS NULL ORDER BY id LIMIT 1});
my ($out, $err) = app('clerk', 'write', $student);
is($err, '', 'clerk writes');
$node->safe_psql('school', 'SELECT * FROM wc_refresh_all()');
same('health', $school, '-', '-');
like((app('clerk', 'query', 'health', $school, '-', '-'))[0], qr/\|t\|.*Nurse office/, 'the new EpiPen is shown');

# Sequelize 6 reads every index of its tables at sync(), and did stumble over those with INCLUDE.
is((app('school_app', 'start'))[1], '', 'sync() finds its way through all our indexes');

# sync({ alter: true })
my $state_of = q{SELECT kind, name, table_name, status, validated FROM wc_objects() ORDER BY kind, name};
my $rows_of  = join ' UNION ALL ', map { "SELECT '$_', count(*), md5(string_agg(v::text, '\n' ORDER BY v::text)) FROM $_ AS v" } VIEWS;
my $grants_of = q{SELECT oid::regclass, relowner::regrole, relacl FROM pg_class WHERE relkind = 'm' ORDER BY 1};
my ($objects, $rows, $grants) = map { $node->safe_psql('school', $_) } $state_of, $rows_of, $grants_of;

($out, $err) = app('school_app', 'sync');
like($err, qr/^0A000 /, 'sync({ alter: true }) fails while the views are there');
is($node->safe_psql('school', $rows_of), $rows, 'and leaves them as they were');

my $as_owner = sub { $node->safe_psql('school', $_[0], extra_params => [ '-U', 'school_app' ]) };
$as_owner->('SELECT * FROM wc_suspend_views()');
is($node->safe_psql('school', 'SELECT count(*) FROM pg_matviews'), '0', 'the views are suspended');
($out, $err) = app('school_app', 'sync');
is($err, '', 'then sync({ alter: true }) succeeds');
$as_owner->('SELECT * FROM wc_install()');
is($node->safe_psql('school', $state_of),  $objects, 'wc_install() brings every object back');
is($node->safe_psql('school', $grants_of), $grants,  'with the same owners and grants');
is($node->safe_psql('school', $rows_of),   $rows,    'and the same rows');
is($node->safe_psql('school', q{SELECT count(*) FROM wc_health_check() WHERE status = 'critical'}), '0', 'nothing is critical');
same('health', $school, '3', '-');

done_testing();

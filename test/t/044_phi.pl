# What stands in the tables stays in the tables: a marker is planted in every column that can hold it; constraints, the
# filling of views and refreshes are made to fail by it; and it is in no result of ours, in none of our tables, and in no
# line of the server's log.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# Statements build it from two parts, so that a statement in the log doesn't hold it.
my $marker = 'Zq9Marke';
my $built  = q{('Zq9' || 'Marke')};

# The log has everything that a server can be told to write, about our workers too.
my $node = new_node('phi', conf => <<'CONF');
log_min_messages = debug1
log_error_verbosity = verbose
log_min_duration_statement = 0
log_line_prefix = '%m %b [%p] '
CONF

# In one row of each table: every character and JSON column that is long enough.  On the way several constraints are
# violated, by the marker itself where the column is text (a grade, a dosage, a schedule of a drug that isn't controlled).
my $plant = <<"SQL";
DO \$\$
DECLARE
  target record;
BEGIN
  FOR target IN
    SELECT c.relname AS name, string_agg(format('%I = %s', a.attname, CASE
             WHEN t.typname IN ('json', 'jsonb') THEN format('jsonb_build_object(%L::text, %1\$L::text)::%s', m.marker, t.typname)
             WHEN t.typname LIKE '\\_%' THEN format('ARRAY[%L]', m.marker) ELSE format('%L', m.marker) END), ', ') AS assignments, count(*) AS columns
      FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid JOIN pg_type AS t ON t.oid = a.atttypid, (SELECT $built AS marker) AS m
     WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
       AND t.typname IN ('text', '_text', 'varchar', '_varchar', 'json', 'jsonb') AND (a.atttypmod < 0 OR a.atttypmod - 4 >= length(m.marker))
       AND (c.relname, a.attname) <> ('students', 'lastName')
     GROUP BY c.relname
  LOOP
    EXECUTE format('UPDATE %I SET %s WHERE id = (SELECT id FROM %1\$I ORDER BY id DESC LIMIT 1)', target.name, target.assignments);
  END LOOP;
END \$\$;
UPDATE students SET "isActive" = true, "deletedAt" = NULL WHERE grade = $built;
UPDATE vital_signs SET "heartRate" = 999 WHERE notes = $built;
UPDATE appointments SET duration = 1 WHERE notes = $built;
-- Numbers so far, which the mapping below can read as such.
UPDATE students SET "lastName" = '42';
SQL

# Everything that the extension's functions and tables have to say, errors and notices included.
my $seen = '';
sub say_it {
    my ($database, $sql) = @_;
    my ($out, undef, $err) = try_sql($node, $database, $sql, on_error_stop => 0);
    $seen .= "$sql\n$out\n$err\n";
    return $out;
}
sub everything {
    my ($database, $moment) = @_;
    my $functions = $node->safe_psql($database, <<'SQL');
SELECT p.oid::regprocedure::text FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid
 WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'whitecross')
   AND p.pronargs = p.pronargdefaults AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) ORDER BY 1
SQL
    my $relations = $node->safe_psql($database, <<'SQL');
SELECT c.oid::regclass::text FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'whitecross') AND c.relkind IN ('r', 'v') ORDER BY 1
SQL
    for my $function (split /\n/, $functions) {
        (my $name = $function) =~ s/\(.*//s;
        # What it changes is undone: only what it says is of interest.
        say_it($database, "BEGIN; SELECT * FROM $name(); ROLLBACK");
    }
    say_it($database, "SELECT * FROM $_") for split /\n/, $relations;
    say_it($database, 'SELECT o.name, b.* FROM wc_objects() AS o CROSS JOIN LATERAL wc_breaches(o.name) AS b WHERE o.kind = \'check constraint\'');
    say_it($database, 'SELECT obj_description(c.oid) FROM pg_class AS c WHERE c.relkind IN (\'m\', \'i\')');
    cmp_ok(scalar(split /\n/, $functions), '>', 12, "$database: every function was called ($moment)");
    cmp_ok(scalar(split /\n/, $relations), '>', 5,  "$database: every table of ours was read ($moment)");
    unlike($seen, qr/$marker/, "$database: the marker is nowhere ($moment)");
    return;
}

for my $kind ('reference', 'platform') {
    make_database($node, $kind, $kind, students => 60, whitecross => 0);
    $node->safe_psql($kind, $plant);
    is( $node->safe_psql($kind, "SELECT count(*) FROM students WHERE \"firstName\" = $built AND grade = $built"),
        '1', "$kind: the marker is planted");

    say_it($kind, 'CREATE EXTENSION whitecross');
    my $pending = say_it($kind, q{SELECT name FROM wc_objects() WHERE kind = 'check constraint' AND status = 'pending' ORDER BY 1});
    like($pending, qr/chk_students_grade_valid/, "$kind: constraints are pending because of it");
    like(say_it($kind, q{SELECT * FROM wc_breaches('chk_students_grade_valid')}), qr/[0-9a-f]{8}-/, "$kind: the breach is shown by its key");
    everything($kind, 'constraints violated');

    # A refresh that fails by a value: a mapping that reads a column as a number, over one that no longer is.
    say_it($kind, q{SELECT wc_map_column('students', 'lastName', '"lastName"::integer::text'); SELECT * FROM wc_install()});
    cmp_ok(say_it($kind, 'SELECT count(*) FROM mv_allergy_summary WHERE "lastName" = \'42\''), '>', 0, "$kind: the mapping works while it can");
    $node->safe_psql($kind, qq{UPDATE students SET "lastName" = $built WHERE grade = $built});

    my (undef, undef, $raw) = try_sql($node, $kind, 'SET log_min_messages = panic; REFRESH MATERIALIZED VIEW mv_allergy_summary');
    like($raw, qr/22P02.*$marker/s, "$kind: the server's own message has the marker");

    my $failed = qr/^mv_allergy_summary.*failed.*22P02/m;
    for my $call ("wc_refresh_all('full', 2)", "wc_refresh_all('concurrent', 2)", "wc_refresh_all('auto', 1)",
        "wc_refresh('mv_allergy_summary', 'full')", "wc_refresh('allergy_summary')", "wc_refresh_group('hourly')") {
        like(say_it($kind, "SELECT * FROM $call"), $failed, "$kind: $call fails by it");
        unlike($seen, qr/$marker/, "$kind: and doesn't say it");
    }
    like(say_it($kind, q{SELECT view_name, status FROM wc_refresh_all('auto', 2)}), qr/^mv_appointment_statistics\|refreshed/m,
        "$kind: a view that doesn't read it is refreshed");

    # In the calling backend, which a transaction that has written needs.
    like(say_it($kind, "BEGIN; UPDATE students SET gender = gender; SELECT * FROM wc_refresh_all(); COMMIT"), $failed,
        "$kind: it fails in the caller's own backend too");
    cmp_ok($node->safe_psql($kind, q{SELECT count(*) FROM wc_refresh_log WHERE status = 'failed' AND sqlstate = '22P02'}), '>', 5,
        "$kind: the failures are in the log of refreshes");
    everything($kind, 'refreshes failed');

    # A view that can't be filled when it is made anew.
    say_it($kind, q{SELECT * FROM wc_retire('materialized view')});
    like(say_it($kind, 'SELECT * FROM wc_install()'), qr/mv_allergy_summary\|pending\|.*not filled/, "$kind: a view can't be filled");
    is(say_it($kind, q{SELECT status FROM wc_health_check() WHERE check_name = 'views populated' AND detail LIKE '%mv_allergy_summary%'}),
        'critical', "$kind: which is critical");
    everything($kind, 'views not filled');

    # Views of the site's own that can't be filled, or tried, by a value.
    my %own = (
        '23505' => q{SELECT s."firstName" AS k FROM {students: firstName} AS s WHERE true {only s."firstName"} UNION ALL SELECT s."firstName" FROM {students: firstName} AS s WHERE true {only s."firstName"}},
        '22P02' => q{SELECT s."id" AS k, s."firstName"::integer AS n FROM {students: id, firstName} AS s WHERE true {only s."id"}},
        '0A000' => q{SELECT s."id" AS k, s."firstName", count(*) OVER () AS n FROM {students: id, firstName} AS s WHERE true {only s."id"}});
    for my $sqlstate (sort keys %own) {
        my (undef, $got, $err) = try_sql($node, $kind, "SELECT * FROM wc_add_view('own', \$own\$$own{$sqlstate}\$own\$, '{k}')");
        is($got, $sqlstate, "$kind: a view of the site's own fails by $sqlstate");
        $seen .= $err;
    }
    everything($kind, 'views of the site not added');

    # Constraints put in over violating rows, and validated in vain.
    say_it($kind, "SELECT wc_enforce('$_')") for split /\n/, $pending;
    say_it($kind, 'SELECT * FROM wc_validate()');
    everything($kind, 'constraints enforced');
}

my $log = slurp_file($node->logfile);
like($log, qr/starting background worker process "whitecross/, 'the log has what was done, by our workers too');
my @lines = grep { /$marker/ } split /\n/, $log;
is(scalar(@lines), 0, 'no line of the log has the marker') or diag(join "\n", map { s/\Q$marker\E/<marker>/gr } @lines[0 .. ($#lines > 4 ? 4 : $#lines)]);

done_testing();

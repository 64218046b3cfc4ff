# wc_suggest_indexes(): for statements whose right index is known, that index is suggested; made, it is used, and the
# suggestion is gone. Nothing is suggested that an index there covers, nothing changes, and nobody gains a right.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('suggest', allows_streaming => 1, conf => "autovacuum = off\nmax_parallel_workers_per_gather = 0\nwhitecross.install_on_create = off\nwhitecross.health_interval = 0\n");
make_database($node, 'district', 'reference', students => 3000, extensions => ['hypopg']);
$node->safe_psql('district', 'VACUUM ANALYZE');

sub rows { my ($sql) = @_; return [ map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('district', $sql) ] }
sub quoted { my ($text) = @_; return "\$q\$$text\$q\$" }

# definitions(TEXT, ...): the suggested indexes for statements given as they are normalised, each as 'table (columns)'.
sub definitions {
    my $texts = join ', ', map { quoted($_) } @_;
    return map { $_->[0] =~ s/^CREATE INDEX CONCURRENTLY ON public\.//r =~ s/;$//r }
      @{ rows("SELECT definition FROM wc_suggest_indexes_for(ARRAY[$texts])") };
}

# ---- A right index for each.
# What is run; the same as a generic statement (undef: as it is normalised); its table and columns.
my $student = $node->safe_psql('district', 'SELECT "studentId" FROM medication_logs LIMIT 1');
my @planted = (
    [ q{SELECT * FROM appointments WHERE "nurseId" = '00000000-0000-0000-0000-000000000001' ORDER BY "scheduledAt" DESC LIMIT 5}, 'appointments ("nurseId", "scheduledAt")' ],
    [ q{SELECT * FROM health_records WHERE "recordType" = 'X' AND "diagnosisCode" = 'Y'}, qr/^health_records \(("diagnosisCode", "recordType"|"recordType", "diagnosisCode")\)$/ ],
    [ q{SELECT count(*) FROM users AS u JOIN appointments AS a ON a."nurseId" = u.id WHERE u.email = 'N'}, 'appointments ("nurseId")' ],
    [ qq{SELECT * FROM medication_logs WHERE "studentId" IN ('$student', '00000000-0000-0000-0000-000000000001')}, 'medication_logs ("studentId")' ],
    [ qq{SELECT * FROM vital_signs WHERE "studentId" = ANY ('{$student}'::uuid[])}, 'vital_signs ("studentId")' ],
    [ q{SELECT * FROM health_records WHERE "recordDate" > now() - interval '1 day' AND "recordDate" < now()}, 'health_records ("recordDate")' ],
    [ q{SELECT * FROM students WHERE "dateOfBirth" > current_date - 30 AND "dateOfBirth" < current_date - 7}, 'students ("dateOfBirth")' ],
    [ q{SELECT * FROM students WHERE lower("lastName") = lower('Nobody')}, 'students ((lower(("lastName")::text)))' ],
    [ q{SELECT * FROM students WHERE NOT "isActive"}, 'students ("isActive")' ],
    [ q{SELECT * FROM vaccinations ORDER BY "administrationDate" DESC, id DESC LIMIT 10}, 'vaccinations ("administrationDate", id)' ],
    [ q{SELECT * FROM vaccinations ORDER BY "nextDueDate" DESC NULLS LAST LIMIT 10}, 'vaccinations ("nextDueDate" NULLS FIRST)' ],
    [ q{SELECT max("measurementDate") FROM vital_signs}, 'vital_signs ("measurementDate")' ],
    [ q{UPDATE medication_logs SET notes = 'seen' WHERE "witnessedBy" = '00000000-0000-0000-0000-000000000001' AND "reasonNotGiven" = 'R'}, qr/^medication_logs \("(witnessedBy|reasonNotGiven)"/ ],
    [ q{SELECT s.id FROM schools AS s WHERE EXISTS (SELECT FROM appointments AS a WHERE a."schoolId" = s.id AND a.duration = 1)}, qr/^appointments \(duration|^appointments \("schoolId"/ ],
);
for my $plant (@planted) {
    my ($sql, $expected) = @$plant;
    $node->safe_psql('district', 'SELECT wc_reset_query_stats()');
    $node->safe_psql('district', $sql);
    my $patterns = rows(q{SELECT query_id, calls, normalised_text FROM wc_query_stats WHERE database = 'district' AND normalised_text NOT LIKE '%wc_%' ORDER BY 1});
    is(scalar @$patterns, 1, "one pattern: $sql");
    my ($id, $calls, $text) = @{ $patterns->[0] };
    my $found = rows('SELECT definition, calls_helped, cost_before, cost_after, gain_percent, estimated_size_bytes, query_ids, reason FROM wc_suggest_indexes()');
    is(scalar @$found, 1, 'one index is suggested') or diag(join "\n", map { "@$_" } @$found);
    my ($definition, $helped, $cost_before, $cost_after, $gain, $size, $ids, $reason) = @{ $found->[0] // next };
    my ($is) = $definition =~ /^CREATE INDEX CONCURRENTLY ON public\.(.*);$/;
    ref $expected ? like($is, $expected, 'the right one') : is($is, $expected, 'the right one');
    is("$helped $ids", "$calls {$id}", 'for this pattern');
    cmp_ok($cost_after, '<', $cost_before * 0.8, 'it costs less') and cmp_ok(abs($gain - 100 * (1 - $cost_after / $cost_before)), '<', 0.1, 'by so much');
    isnt($reason, '', "with a reason: $reason");

    # Really made, it is as large as was said, and used by the generic plan.
    my $made = $node->safe_psql('district', "$definition\nSELECT i.indexrelid::regclass, pg_relation_size(i.indexrelid) FROM pg_index AS i ORDER BY i.indexrelid DESC LIMIT 1");
    my ($name, $real) = split /\|/, $made;
    cmp_ok($size, '<', 12 * $real, 'its size is of that order, though equal values share entries') and cmp_ok($size, '>', $real / 2, 'nor is it more');
    my $plan = $node->safe_psql('district', "SET plan_cache_mode = force_generic_plan; EXPLAIN $sql");
    like($plan, qr/\Q$name\E/, "and used: $name");
    is(scalar @{ rows('SELECT * FROM wc_suggest_indexes()') }, 0, 'then nothing more is suggested');
    is_deeply(rows(q{SELECT query_id, calls, normalised_text FROM wc_query_stats WHERE database = 'district' AND command_tag IN ('SELECT', 'UPDATE')
                        AND normalised_text NOT LIKE '%wc_%' AND normalised_text NOT LIKE '%pg_index%' ORDER BY 1}), $patterns, 'planning counts as no statement');
    $node->safe_psql('district', "DROP INDEX $name");
}

# ---- What an index there covers.
my $two  = 'SELECT * FROM health_records WHERE "recordType" = $1 AND "recordDate" = $2';
my $sort = 'SELECT * FROM appointments WHERE "nurseId" = $1 ORDER BY "scheduledAt" LIMIT $2';
my $name = 'SELECT * FROM students WHERE "lastName" = $1 ORDER BY "firstName" LIMIT $2';
is(scalar definitions('SELECT * FROM health_records WHERE id = $1', 'DELETE FROM students WHERE id = $1'), 0, 'a primary key is enough');
for my $case (
    [ 'ON health_records ("recordType", "recordDate")',       $two,  'the same columns in another order' ],
    [ 'ON health_records ("recordDate", "recordType", "id")', $two,  'with another column behind' ],
    [ 'UNIQUE ON health_records ("recordDate", "recordType", id)', $two, 'unique' ],
    [ 'ON appointments ("nurseId", "scheduledAt" DESC)',         $sort, 'the order, backwards' ],
    [ 'ON appointments ("nurseId", "scheduledAt" DESC) INCLUDE (status)', $sort, 'with INCLUDE' ],
    [ 'ON students ("lastName", "firstName") WHERE "deletedAt" IS NULL', 'SELECT * FROM students WHERE "deletedAt" IS NULL AND "lastName" = $1 AND "firstName" = $2', 'partial, with the same predicate' ],
    [ 'ON students ("lastName", "firstName") WHERE "isActive"', 'SELECT * FROM students WHERE "isActive" = $1 AND "lastName" = $2 AND "firstName" = $3', 'partial, and its predicate may follow from a value' ],
    [ q{ON appointments ("nurseId", "scheduledAt") WHERE status IN ('SCHEDULED', 'CONFIRMED')}, 'SELECT * FROM appointments WHERE status IN ($1, $2) AND "nurseId" = $3 AND "scheduledAt" > $4', 'partial, and its predicate may follow from values' ],
    [ 'ON health_records USING hash ("diagnosisCode")', 'SELECT * FROM health_records WHERE "diagnosisCode" = $1', 'hash' ],
    [ 'ON students (lower("lastName"))', 'SELECT * FROM students WHERE lower("lastName") = $1', 'an expression' ],
  )
{
    my ($index, $text, $what) = @$case;
    cmp_ok(scalar definitions($text), '>', 0, "something is suggested without an index: $what");
    $node->safe_psql('district', 'CREATE ' . ($index =~ s/^UNIQUE // ? 'UNIQUE ' : '') . "INDEX covering_one $index");
    is_deeply([ definitions($text) ], [], "and nothing with it: $what");
    $node->safe_psql('district', 'DROP INDEX covering_one');
}
for my $case (
    [ 'ON appointments ("nurseId", "scheduledAt" NULLS FIRST)', $sort, 'NULLS elsewhere' ],
    [ 'ON students ("lastName", "firstName" text_pattern_ops)', $name, 'another operator class' ],
    [ 'ON students ("lastName", "firstName") WHERE "isActive"', $name, 'partial, with another predicate' ],
  )
{
    my ($index, $text, $what) = @$case;
    my @without = definitions($text);
    $node->safe_psql('district', "CREATE INDEX covering_one $index");
    is_deeply([ definitions($text) ], \@without, "an index that does not serve covers nothing: $what");
    $node->safe_psql('district', 'DROP INDEX covering_one');
}

# ---- One index for two statements, and a small table.
is_deeply([ definitions('SELECT * FROM appointments WHERE "nurseId" = $1 AND "scheduledAt" = $2', 'SELECT * FROM appointments WHERE "scheduledAt" = $1') ],
    ['appointments ("scheduledAt", "nurseId")'], 'one index for two statements')
  or diag(join '; ', definitions('SELECT * FROM appointments WHERE "nurseId" = $1 AND "scheduledAt" = $2', 'SELECT * FROM appointments WHERE "scheduledAt" = $1'));
my $few  = 'SELECT * FROM incident_reports WHERE "studentId" = $1';
is(scalar definitions($few), 0, 'a small table is not worth an index');
is(scalar @{ rows("SELECT * FROM wc_suggest_indexes_for(ARRAY[" . quoted($few) . "], min_table_rows => 0)") }, 1, 'unless one says so');
is(scalar @{ rows("SELECT * FROM wc_suggest_indexes_for(ARRAY[" . quoted($few) . "], NULL, 100, 0)") }, 0, 'nor is a small gain');
is_deeply(rows("SELECT writes = n_tup_ins + n_tup_upd - n_tup_hot_upd + n_tup_del, writes > 0 FROM wc_suggest_indexes_for(ARRAY[" . quoted($two) . "]), pg_stat_user_tables WHERE relname = 'health_records'"),
    [ [ 't', 't' ] ], 'the writes that it would burden');
$node->safe_psql('district', 'SELECT wc_reset_query_stats()');

# ---- Texts that can't be planned say why, and disturb no other.
my %reason = (
    'SELECT "lastName" FROM (SELECT'                      => qr/can't be read/,
    'SELECT $1 FROM nowhere'                              => qr/not there/,
    'VACUUM'                                              => qr/no plan/,
    'SELECT 1; SELECT 2'                                  => qr/can't be read/,
    'SELECT $1 + $2 = unnest($3, $4)'                     => qr/types/,
    'SELECT count(*) FROM students GROUP BY $1'           => qr/groups by/,
    'SELECT * FROM students WHERE "lastName" LIKE $1'     => qr/pattern/,
    'SELECT * FROM parted WHERE n = $1'                   => qr/partitions/,
);
$node->safe_psql('district', 'CREATE TABLE parted (n integer) PARTITION BY RANGE (n); CREATE TABLE part PARTITION OF parted DEFAULT');
my @bad = sort keys %reason;
for my $text (@bad) {
    my $skipped = rows("SELECT reason, statements_left_out, calls_left_out, query_ids FROM wc_unjudged_statements(ARRAY[" . quoted($text) . "], '{3}', NULL, '{-7}', 'public')");
    is(scalar @$skipped, 1, "left out: $text") and like($skipped->[0][0], $reason{$text}, 'with the reason') and is("@{$skipped->[0]}[1 .. 3]", '1 3 {-7}', 'counted');
}
is_deeply([ definitions(@bad, $two) ], ['health_records ("recordDate", "recordType")'], 'the others are judged nevertheless');
$node->safe_psql('district', 'DROP TABLE parted');

# Read although a constant has become a parameter where none may stand, or where its type is lost.
for my $text ('SELECT * FROM students WHERE "createdAt" > timestamp with time zone $1 AND "lastName" = $2::varchar($3)',
    'SELECT date_trunc($1, "createdAt") AS m, count(*) FROM students WHERE "createdAt" > now() - $2::interval GROUP BY date_trunc($3, "createdAt") ORDER BY date_trunc($4, "createdAt")',
    'SELECT grade, count(*) FROM students WHERE "dateOfBirth" > current_date - $1 GROUP BY $2 ORDER BY $3 DESC LIMIT $4',
    'SELECT jsonb_build_object(' . join(', ', map { "\$$_" } 1 .. 40) . ') FROM students WHERE $41 IS NULL OR concat($42, "lastName") = $43',
    'SELECT * FROM students WHERE "dateOfBirth" BETWEEN current_date - $1 AND date $2 AND "createdAt" < now() - $3 * interval $4')
{
    is(scalar @{ rows("SELECT * FROM wc_unjudged_statements(ARRAY[" . quoted($text) . "], '{1}', NULL, '{1}', 'public')") }, 0, "understood: $text");
}

# ---- Rights.
$node->safe_psql('district', <<'SQL');
CREATE ROLE reader LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats; CREATE ROLE evil LOGIN;
GRANT SELECT ON health_records TO reader;
CREATE SCHEMA evil AUTHORIZATION evil;
CREATE TABLE evil_seen (who text); GRANT INSERT, SELECT ON evil_seen TO PUBLIC;
SET ROLE evil;
CREATE FUNCTION evil.trap() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN EXECUTE 'ALTER ROLE evil SUPERUSER'; RETURN 'x'; EXCEPTION WHEN OTHERS THEN RAISE WARNING 'planned as %', current_user; RETURN 'y'; END $$;
SQL
$node->safe_psql('district', q{SELECT * FROM health_records WHERE "diagnosisCode" = 'a'}, extra_params => [ '-U', 'reader' ]);
$node->psql('district', q{SELECT evil.trap()}, extra_params => [ '-U', 'evil' ]);
my ($out, $state, $err) = try_sql($node, 'district', 'SELECT definition FROM wc_suggest_indexes()');
is($out, 'CREATE INDEX CONCURRENTLY ON public.health_records ("diagnosisCode");', 'a superuser sees what every role would gain');
like($err, qr/planned as evil/, q{a role's own function is called with that role's rights});
unlike($err, qr/planned as postgres/, 'and never with the rights of who asks');
is($node->safe_psql('district', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'evil'}), 'f', 'so it gains nothing');
for my $case ([ 'reader', 1, 0 ], [ 'watcher', 0, 2 ], [ 'evil', 0, 0 ]) {
    my ($role, $suggested, $refused) = @$case;
    is($node->safe_psql('district', 'SELECT count(*) FROM wc_suggest_indexes()', extra_params => [ '-U', $role ]), $suggested, "$role: $suggested suggestions");
    is($node->safe_psql('district', q{SELECT coalesce(sum(statements_left_out), 0) FROM wc_suggest_indexes_skipped() WHERE reason LIKE '%another role%'
         AND NOT query_ids <@ (SELECT array_agg(query_id) FROM wc_query_stats WHERE normalised_text LIKE '%wc\_%')}, extra_params => [ '-U', $role ]) > 0 ? 1 : 0,
        $refused ? 1 : 0, "$role: other roles' statements are " . ($refused ? 'refused' : 'not there'));
}
is_deeply(
    [ split /\n/, $node->safe_psql('district', "SELECT definition FROM wc_suggest_indexes_for(ARRAY['SELECT * FROM students WHERE grade = \$1 AND \"nurseId\" = \$2'])", extra_params => [ '-U', 'reader' ]) ],
    [], 'nothing about a table that one may not read');
is($node->safe_psql('district', q{SELECT reason FROM wc_unjudged_statements(ARRAY['SELECT * FROM students'], '{1}', NULL, '{1}', 'public')}, extra_params => [ '-U', 'reader' ]),
    'the role may not run it', 'but the reason');
my $postgres = $node->safe_psql('district', q{SELECT oid FROM pg_roles WHERE rolname = 'postgres'});
is($node->safe_psql('district', "SELECT reason FROM wc_unjudged_statements(ARRAY['SELECT * FROM students'], '{1}', '{$postgres}', '{1}', 'evil')", extra_params => [ '-U', 'evil' ]),
    q{it is another role's, which you are not a member of}, q{nobody plans with another's rights});
$node->safe_psql('district', 'DROP OWNED BY evil, reader; DROP TABLE evil_seen; DROP ROLE reader; DROP ROLE watcher; DROP ROLE evil');

my $before = catalogue($node, 'district');

# ---- The session's own hypothetical indexes neither count nor change, whatever happens; nothing else changes either.
my $texts = join ', ', map { quoted($_) } $two, $sort, $name, (map { "SELECT $_ AS n, * FROM health_records AS h JOIN students AS s ON s.id = h.\"studentId\" WHERE h.\"recordDate\" > \$1 AND s.grade = \$2 ORDER BY s.\"lastName\"" } 1 .. 400);
$out = $node->safe_psql('district', <<"SQL");
SELECT count(*) FROM hypopg_create_index('CREATE INDEX ON health_records ("recordDate", "recordType")');
SELECT definition FROM wc_suggest_indexes_for(ARRAY[@{[ quoted($two) ]}]);
SELECT count(*) FROM wc_unjudged_statements(ARRAY[@{[ quoted($two) ]}], '{1}', NULL, '{1}', 'public');
PREPARE generic AS SELECT * FROM health_records WHERE "recordType" = \$1 AND "recordDate" = \$2;
EXECUTE generic('X', '2000-01-01');
SELECT count(*) FROM hypopg();
SET hypopg.enabled = off;
SELECT definition FROM wc_suggest_indexes_for(ARRAY[@{[ quoted($two) ]}]);
SHOW hypopg.enabled;
SQL
is($out, join("\n", 1, ('CREATE INDEX CONCURRENTLY ON public.health_records ("recordDate", "recordType");', 0, 1, 'CREATE INDEX CONCURRENTLY ON public.health_records ("recordDate", "recordType");', 'off')),
    q{the session's own hypothetical index is as it was, and hides nothing});
my ($cancelled, $cancel_err) = ('', '');
$node->psql('district', <<"SQL", stdout => \$cancelled, stderr => \$cancel_err, on_error_stop => 0);
SELECT count(*) FROM hypopg_create_index('CREATE INDEX ON students (grade)');
SET statement_timeout = '200ms';
SELECT count(*) FROM wc_suggest_indexes_for(ARRAY[$texts], min_gain_percent => 1);
RESET statement_timeout;
SELECT count(*), bool_and(indexname LIKE '%grade') FROM hypopg();
SELECT * FROM wc_suggest_indexes_for(ARRAY['SELECT 1'], min_gain_percent => 0);
SELECT count(*) FROM hypopg();
SELECT count(*) FROM wc_suggest_indexes_for(ARRAY[@{[ quoted($two) ]}]);
SQL
like($cancel_err, qr/statement timeout/, 'a search can be cancelled');
like($cancel_err, qr/min_gain_percent must be between 1 and 100/, 'and refused');
is($cancelled, "1\n1|t\n1\n1", 'neither leaves a hypothetical index behind or drops one');
for my $case ([ q{ARRAY['SELECT 1'], '{1,2}'}, '2202E' ], [ q{ARRAY['SELECT 1', NULL]}, '22004' ], [ 'NULL', '22004' ], [ q{ARRAY['SELECT 1'], min_table_rows => -1}, '22023' ]) {
    is((try_sql($node, 'district', "SELECT * FROM wc_suggest_indexes_for($case->[0])"))[1], $case->[1], "error for $case->[0]");
}
same_lines(catalogue($node, 'district'), $before, 'the catalogue is as it was');
is($node->safe_psql('district', q{BEGIN READ ONLY; SELECT count(*) FROM wc_suggest_indexes_for(ARRAY['UPDATE health_records SET notes = $1 WHERE "diagnosisCode" = $2']); SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND (relation = 'students'::regclass OR mode = 'RowExclusiveLock' AND relation > 16384); COMMIT}),
    "1\n0", 'works in a read-only transaction, and keeps no lock of a statement');

# ---- A table that is locked: its statements are left out, after one wait.
my $locker = $node->background_psql('district');
$locker->query_safe('BEGIN; LOCK TABLE health_records IN ACCESS EXCLUSIVE MODE');
my $locked = join ', ', map { quoted("SELECT $_ AS n, * FROM health_records WHERE \"recordType\" = \$1") } 1 .. 100;
is($node->safe_psql('district', "SET whitecross.lock_timeout = '2s'; SET statement_timeout = '150s'; SELECT table_name FROM wc_suggest_indexes_for(ARRAY[$locked, " . quoted($sort) . '])'),
    'public.appointments', 'what is not locked is judged');
is($node->safe_psql('district', "SET whitecross.lock_timeout = '2s'; SET statement_timeout = '150s'; SELECT reason, statements_left_out FROM wc_unjudged_statements(ARRAY[$locked], array_fill('1'::text, '{100}'), NULL, array_fill('1'::text, '{100}'), 'public')"),
    'a table that it reads is locked|100', 'what is locked is left out');
$locker->query_safe('ROLLBACK');
$locker->quit;

# ---- Statements that are not identified.
$node->safe_psql('district', 'SELECT wc_reset_query_stats()');
$node->safe_psql('district', 'SET compute_query_id = off; SELECT count(*) FROM students');
# It has counted that when it has ended.
$node->poll_query_until('district', q{SELECT count(*) > 0 FROM wc_query_stats WHERE query_id = 0}) or die "nothing is counted\n";
like($node->safe_psql('district', 'SELECT reason, statements_left_out FROM wc_suggest_indexes_skipped()'), qr/^it is not identified: the server gave it no query id \(compute_query_id\)\|1$/m, 'said of statements without a query id');

# ---- Names that need quotes, and settings that write them otherwise.
$node->safe_psql('district', q{CREATE TABLE "We""ird, \ table" AS SELECT i AS "a""b,c", 'v' || i AS "x\y{}", i AS "select" FROM generate_series(1, 20000) AS i; ANALYZE "We""ird, \ table"});
my $weird = q{SELECT count(*) FROM "We""ird, \ table" WHERE "a""b,c" = $1 AND "select" > $2};
my $made  = q{CREATE INDEX CONCURRENTLY ON public."We""ird, \ table" ("a""b,c");};
is($node->safe_psql('district', 'SELECT columns[1], definition FROM wc_suggest_indexes_for(ARRAY[' . quoted($weird) . '])'), qq{"a""b,c"|$made}, 'names are quoted');
$node->safe_psql('district', $made);
is($node->safe_psql('district', 'SET quote_all_identifiers = on; SELECT definition FROM wc_suggest_indexes_for(ARRAY[' . quoted($weird) . '])'), '', 'and the line works');
$node->safe_psql('district', q{DROP TABLE "We""ird, \ table"});

# ---- A standby.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('district', 'SELECT table_name FROM wc_suggest_indexes_for(ARRAY[' . join(', ', map { quoted($_) } $two, 'DELETE FROM students WHERE "lastName" = $1') . '])'),
    "public.health_records\npublic.students", 'a standby suggests as well');
$standby->stop;

# ---- Without hypopg; and with it in another schema.
$node->safe_psql('district', 'DROP EXTENSION hypopg');
for my $call ('wc_suggest_indexes()', q{wc_suggest_indexes_for(ARRAY['SELECT 1'])}) {
    my ($none, $sqlstate, $message) = try_sql($node, 'district', "SELECT * FROM $call");
    is($sqlstate, '55000', "$call without hypopg fails") and like($message, qr/HINT:  CREATE EXTENSION hypopg/, 'with a hint');
}
is($node->safe_psql('district', q{SELECT count(*) FROM wc_unjudged_statements(ARRAY['SELECT $1 FROM nowhere'], '{1}', NULL, '{1}', 'public')}), 1, 'what is left out can be told without it');
$node->safe_psql('district', 'CREATE SCHEMA "Hypo schema"; CREATE EXTENSION hypopg SCHEMA "Hypo schema"');
is_deeply([ definitions($two) ], ['health_records ("recordDate", "recordType")'], 'hypopg may be in any schema');

# ---- Where everything is installed, the application's queries lack nothing: each is one that an index of ours is there for.
$node->safe_psql('district', 'SET client_min_messages = warning; SELECT FROM wc_install(); VACUUM ANALYZE');
my ($lacking, $messages) = run_command([ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-d', 'district', '-v', 'ON_ERROR_STOP=1', '-v', 'kind=reference',
    '-f', tree() . '/test/bench/index_queries.sql', '-c', <<'SQL' ]);
DO $do$
DECLARE value record; suggested record; queries text[];
BEGIN
  FOR value IN SELECT * FROM index_query_value LOOP
    UPDATE index_query SET query = replace(query, '{' || value.name || '}', CASE WHEN value.name = 'class' THEN value.value ELSE quote_literal(value.value) END);
  END LOOP;
  SELECT array_agg(wc_normalise_query(query)) INTO STRICT queries FROM index_query WHERE query <> '';
  RAISE NOTICE '% queries', cardinality(queries);
  FOR suggested IN SELECT definition FROM wc_suggest_indexes_for(queries)
                    UNION ALL SELECT reason FROM wc_unjudged_statements(queries, array_fill('1'::text, ARRAY[cardinality(queries)]), NULL, array_fill('1'::text, ARRAY[cardinality(queries)]), 'public') LOOP
    RAISE NOTICE '%', suggested;
  END LOOP;
END $do$
SQL
like($messages, qr/NOTICE:  4\d queries$/, 'the application\'s queries are all understood, and no index is suggested beside ours');

done_testing();

# What each index is said to be used for, on the primary and on a standby, and how bloated it is.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $primary = new_node('primary', allows_streaming => 1, conf => "autovacuum = off\nfsync = off\nwhitecross.health_interval = 0\n"); # nobody else has a snapshot
make_database($primary, 'school', 'reference', students => 50);
make_database($primary, 'platform', 'platform', students => 50);
sub sql { return $primary->safe_psql('school', join ';', @_) }

my $verdicts = q{SELECT index_name || ': ' || verdict FROM wc_index_usage WHERE index_name LIKE 'x\_%' ORDER BY index_name COLLATE "C"};

# ---- What there is at first: every index of the tables and views, nothing superfluous in our own catalogue.
my $all = q{SELECT string_agg(index_name, ' ' ORDER BY index_name) FROM wc_index_usage};
is(sql($all), sql(q{SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
  WHERE t.relnamespace = 'public'::regnamespace AND (t.relkind = 'm' OR t.relname IN (SELECT table_name FROM wc_base_table))}), 'every index is there once');
is(sql(q{SELECT string_agg(u.index_name, ' ' ORDER BY u.index_name) FROM wc_index_usage AS u WHERE u.ours}),
    sql(q{SELECT string_agg(name, ' ' ORDER BY name) FROM wc_objects() WHERE kind LIKE '% index' AND status = 'installed'}), 'ours are those that we made');
is($primary->safe_psql('platform', q{SELECT count(*) FROM wc_index_usage AS u JOIN wc_objects() AS o ON o.name = u.index_name WHERE o.status = 'adopted' AND (u.ours OR u.kind IS NOT NULL)}),
    0, 'adopted ones are the site\'s');
is($primary->safe_psql($_, q{SELECT count(*) FROM wc_index_usage WHERE ours AND verdict !~ '^(used|unused)$'}), 0, "$_: no index of ours is superfluous, or invalid") for 'school';
is(sql(q{SELECT count(*) FROM wc_index_usage WHERE is_unique AND verdict = 'unused'}), 0, 'a unique index is never called unused');
sql('CREATE TABLE lockers (number int PRIMARY KEY, student uuid)', 'CREATE INDEX lockers_student ON lockers (student)',
    q{SELECT * FROM wc_add_view('mv_lockers', 'SELECT l."student" AS "student", count(*) AS n FROM {lockers: number, student} AS l WHERE true {only l."student"} GROUP BY 1', ARRAY['student'])});
is(sql(q{SELECT table_name, index_name, kind, ours FROM wc_index_usage WHERE table_name ~ 'lockers$' ORDER BY 1, 2}), "lockers|lockers_pkey||f\nlockers|lockers_student||f\nmv_lockers|mv_lockers_pkey|view index|t",
    'so are those of a view of the site\'s own, and of the table that it reads');
sql('CREATE ROLE reader LOGIN');
is(sql("SET ROLE reader; $all"), sql($all), 'any role sees them');

# ---- Counters and the verdict of use.
sql('CREATE TABLE IF NOT EXISTS wc_other (id int PRIMARY KEY)', 'CREATE INDEX x_city ON schools (city)', 'SELECT pg_stat_reset()');
is(sql(q{SELECT scans, tuples_read, tuples_fetched, verdict FROM wc_index_usage WHERE index_name = 'x_city'}), '0|0|0|unused', 'never scanned: unused');
sql('SET enable_seqscan = off; SELECT count(*) FROM schools WHERE city = (SELECT min(city) FROM schools)');
$primary->poll_query_until('school', q{SELECT scans > 0 FROM wc_index_usage WHERE index_name = 'x_city'}) or die 'no scan was counted';
is(sql(q{SELECT verdict, tuples_read > 0, stats_reset > now() - interval '1 hour', size_bytes = pg_relation_size('x_city') FROM wc_index_usage WHERE index_name = 'x_city'}), 'used|t|t|t', 'scanned: used');

# ---- Which can be done without. Each case, [name, statements, index => verdict ...], is rolled back; all of them in one session.
my @cases;
sub verdicts { my (@case) = @_; push @cases, \@case; return }
my $t = 'ON schools';
verdicts('the later by name of two alike', [ "CREATE INDEX x_b $t (city)", "CREATE INDEX x_a $t (city)" ], x_a => 'unused', x_b => 'duplicate of x_a');
verdicts('three alike: one stays', [ "CREATE INDEX x_b $t (city)", "CREATE INDEX x_a $t (city)", "CREATE INDEX x_c $t (city)" ],
    x_a => 'unused', x_b => 'duplicate of x_a', x_c => 'duplicate of x_a');
verdicts('a name that needs quotes', [ "CREATE INDEX \"x_A\" $t (city)", "CREATE INDEX x_b $t (city)" ], 'x_A' => 'unused', x_b => 'duplicate of "x_A"');
verdicts('the first columns', [ "CREATE INDEX x_a $t (city)", "CREATE INDEX x_b $t (city, code)", "CREATE INDEX x_c $t (city, code, name)" ],
    x_a => 'prefix of x_c', x_b => 'prefix of x_c', x_c => 'unused');
verdicts('not the last columns', [ "CREATE INDEX x_a $t (code)", "CREATE INDEX x_b $t (city, code)" ], x_a => 'unused', x_b => 'unused');
verdicts('the same backwards', [ "CREATE INDEX x_a $t (city, code DESC)", "CREATE INDEX x_b $t (city DESC, code)" ], x_a => 'unused', x_b => 'duplicate of x_a');
verdicts('half of it backwards is another order', [ "CREATE INDEX x_a $t (city, code)", "CREATE INDEX x_b $t (city, code DESC)" ], x_a => 'unused', x_b => 'unused');
verdicts('NULLs at the other end are another order', [ "CREATE INDEX x_a $t (city)", "CREATE INDEX x_b $t (city NULLS FIRST)" ], x_a => 'unused', x_b => 'unused');
verdicts('another collation', [ "CREATE INDEX x_a $t (city)", "CREATE INDEX x_b $t (city COLLATE \"C\")" ], x_a => 'unused', x_b => 'unused');
verdicts('another operator class', [ "CREATE INDEX x_a $t (city)", "CREATE INDEX x_b $t (city varchar_pattern_ops)" ], x_a => 'unused', x_b => 'unused');
verdicts('another access method', [ "CREATE INDEX x_a $t (city)", "CREATE INDEX x_b $t USING hash (city)", "CREATE INDEX x_c $t USING hash (city)" ],
    x_a => 'unused', x_b => 'unused', x_c => 'duplicate of x_b');
verdicts('expressions', [ "CREATE INDEX x_a $t (lower(city))", "CREATE INDEX x_b $t (lower(city), code)", "CREATE INDEX x_c $t (upper(city))" ],
    x_a => 'prefix of x_b', x_b => 'unused', x_c => 'unused');
verdicts('predicates', [ "CREATE INDEX x_a $t (city) WHERE code IS NULL", "CREATE INDEX x_b $t (city)", "CREATE INDEX x_c $t (city) WHERE code IS NULL", "CREATE INDEX x_d $t (city) WHERE code IS NOT NULL" ],
    x_a => 'unused', x_b => 'unused', x_c => 'duplicate of x_a', x_d => 'unused');
verdicts('INCLUDE columns have to be there', [ "CREATE INDEX x_a $t (city) INCLUDE (code)", "CREATE INDEX x_b $t (city)", "CREATE INDEX x_c $t (city) INCLUDE (name)", "CREATE INDEX x_d $t (city) INCLUDE (name, code)" ],
    x_a => 'prefix of x_d', x_b => 'prefix of x_d', x_c => 'prefix of x_d', x_d => 'unused');
verdicts('in any order, or as keys', [ "CREATE INDEX x_a $t (city) INCLUDE (code, name)", "CREATE INDEX x_b $t (city) INCLUDE (name, code)", "CREATE INDEX x_c $t (city, phone) INCLUDE (code, name)", "CREATE INDEX x_d $t (city, code, name)" ],
    x_a => 'prefix of x_d', x_b => 'duplicate of x_a', x_c => 'unused', x_d => 'unused');
verdicts('a unique one stands for a plain one, and not the other way round', [ "CREATE INDEX x_a $t (id, city)", "CREATE UNIQUE INDEX x_b $t (id, city)", "CREATE INDEX x_c $t (id)" ],
    x_a => 'duplicate of x_b', x_b => 'used', x_c => 'duplicate of schools_pkey');
verdicts('a unique one is no prefix', [ "CREATE UNIQUE INDEX x_a $t (id)", "CREATE INDEX x_b $t (id, city)", "CREATE UNIQUE INDEX x_c $t (id, city)" ],
    x_a => 'duplicate of schools_pkey', x_b => 'duplicate of x_c', x_c => 'used');
verdicts('what treats NULLs as equal is stricter', [ "CREATE UNIQUE INDEX x_a $t (id, city) NULLS NOT DISTINCT", "CREATE UNIQUE INDEX x_b $t (id, city)" ], x_a => 'used', x_b => 'duplicate of x_a');
verdicts('a constraint\'s index stays', [ "ALTER TABLE schools ADD CONSTRAINT x_z UNIQUE (id, city)", "CREATE UNIQUE INDEX x_a $t (id, city)", "CREATE INDEX x_b $t (id, city)" ],
    x_a => 'duplicate of x_z', x_b => 'duplicate of x_z', x_z => 'used');
verdicts('two constraints both stay', [ 'ALTER TABLE schools ADD CONSTRAINT x_y UNIQUE (id, city), ADD CONSTRAINT x_z UNIQUE (id, city)' ], x_y => 'used', x_z => 'used');
verdicts('a deferrable one does not stand for one that is not', [ "ALTER TABLE schools ADD CONSTRAINT x_z UNIQUE (id, city) DEFERRABLE", "CREATE UNIQUE INDEX x_a $t (id, city)" ], x_a => 'used', x_z => 'used');
verdicts('what a foreign key refers to stays', [ "CREATE UNIQUE INDEX x_b $t (id, city)", 'CREATE TABLE x (a uuid, b text, FOREIGN KEY (a, b) REFERENCES schools (id, city))', "CREATE UNIQUE INDEX x_a $t (id, city)" ],
    x_a => 'duplicate of x_b', x_b => 'used');
verdicts('a replica identity stays', [ 'ALTER TABLE schools ALTER city SET NOT NULL', "CREATE UNIQUE INDEX x_b $t (id, city)", "CREATE UNIQUE INDEX x_a $t (id, city)", 'ALTER TABLE schools REPLICA IDENTITY USING INDEX x_b' ],
    x_a => 'duplicate of x_b', x_b => 'used');
verdicts('so does what CLUSTER goes by', [ "CREATE INDEX x_b $t (city)", "CREATE INDEX x_a $t (city)", 'ALTER TABLE schools CLUSTER ON x_b' ], x_a => 'duplicate of x_b', x_b => 'unused');
verdicts('other methods: no prefix, and alike in their parameters', [ "CREATE INDEX x_a $t USING brin (city)", "CREATE INDEX x_b $t USING brin (city) WITH (pages_per_range = 8)", "CREATE INDEX x_c $t USING brin (city, code)", "CREATE INDEX x_d $t USING brin (city)" ],
    x_a => 'unused', x_b => 'unused', x_c => 'unused', x_d => 'duplicate of x_a');
verdicts('B-trees of another fill factor are alike', [ "CREATE INDEX x_a $t (city)", "CREATE INDEX x_b $t (city) WITH (fillfactor = 70)" ], x_a => 'unused', x_b => 'duplicate of x_a');
verdicts('partitions', [ 'CREATE TABLE x_parent (LIKE vital_signs) PARTITION BY RANGE (id)', 'DROP TABLE vital_signs CASCADE', 'ALTER TABLE x_parent RENAME TO vital_signs',
        "CREATE TABLE x_one PARTITION OF vital_signs FOR VALUES FROM (MINVALUE) TO ('80000000-0000-0000-0000-000000000000')",
        'CREATE INDEX x_a ON vital_signs (id)', 'CREATE INDEX x_b ON vital_signs (id)', 'CREATE INDEX x_local ON x_one (id)' ],
    x_a => 'unused', x_b => 'duplicate of x_a', x_local => 'duplicate of x_one_id_idx', x_one_id_idx => 'unused', x_one_id_idx1 => 'unused');
verdicts('one of ours goes before the site\'s', [ 'ALTER INDEX idx_appointments_recurring_group RENAME TO x_old', 'CREATE INDEX x_z ON appointments ("recurringGroupId")' ], x_old => 'unused', x_z => 'duplicate of x_old');
my @said = split /case\n?/, $primary->safe_psql('school', join "\n", map { join(";\n", 'BEGIN', 'DROP INDEX x_city', @{ $_->[1] }, $verdicts, 'ROLLBACK;') . "\n\\echo case" } @cases);
for my $case (@cases) {
    my ($name, undef, @expected) = @$case;
    my @lines;
    while (my ($index, $verdict) = splice @expected, 0, 2) { push @lines, "$index: $verdict\n" }
    is(shift @said, join('', @lines), $name);
}
is(sql('BEGIN', 'CREATE INDEX x_z ON appointments ("recurringGroupId")', q{SELECT index_name, kind, ours, verdict FROM wc_index_usage WHERE index_name ~ '^(x_z|idx_appointments_recurring_group)$' ORDER BY 1}, 'ROLLBACK'),
    "idx_appointments_recurring_group|composite index|t|duplicate of x_z\nx_z||f|unused", 'by its link to the extension, not by its place in the alphabet');
is((try_sql($primary, 'school', 'CREATE UNIQUE INDEX CONCURRENTLY "x_Not valid" ON students (grade)'))[1], '23505', 'an index that could not be built');
is(sql(q{SELECT index_name, verdict FROM wc_index_usage WHERE index_name ~ '^x_' ORDER BY 1}), "x_Not valid|invalid\nx_city|used", 'is invalid');

# ---- A standby counts for itself.
sql('DROP INDEX "x_Not valid"', 'SELECT pg_stat_reset()');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
sub caught_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')); return }
caught_up();
$standby->safe_psql('school', 'SET enable_seqscan = off; SELECT count(*) FROM schools WHERE city = $$x$$');
$standby->poll_query_until('school', q{SELECT verdict = 'used' FROM wc_index_usage WHERE index_name = 'x_city'}) or die 'no scan was counted';
is(sql(q{SELECT verdict FROM wc_index_usage WHERE index_name = 'x_city'}), 'unused', 'what a standby uses the primary may not');
is($standby->safe_psql('school', $all), sql($all), 'a standby shows the same indexes');

# ---- Bloat.
# What wc_index_bloat(ARGUMENTS) says, by index: [estimated, measured, density, wasted, command, note], -1 where it tells no number.
sub bloat {
    my ($node, $arguments) = @_;
    return map { my ($index, @rest) = split /\|/, $_, -1; $index => \@rest }
      split /\n/, $node->safe_psql('school', "SELECT index_name, coalesce(estimated_percent, -1), coalesce(measured_percent, -1), coalesce(leaf_density, -1), wasted_bytes, command, note FROM wc_index_bloat($arguments)");
}
my (undef, $state, $message) = try_sql($primary, 'school', 'SELECT * FROM wc_index_bloat()');
is($state, '55000', 'without pgstattuple');
like($message, qr/HINT:  CREATE EXTENSION pgstattuple; or SELECT \* FROM public.wc_index_bloat\(exact => false\)/, 'the hint says what to do');
my %bloat = bloat($primary, '0, 30, false');
like(join('|', @{ $bloat{students_pkey} }), qr/^[0-9.]+\|-1\|-1\|\d+\|\|$/, 'an estimate alone needs none');
sql('CREATE SCHEMA "Tools"', 'CREATE EXTENSION pgstattuple SCHEMA "Tools"');
(undef, $state, $message) = try_sql($primary, 'school', 'SET ROLE reader; SELECT * FROM wc_index_bloat()');
is($state, '42501', 'without the right to it');
like($message, qr/HINT:  GRANT pg_stat_scan_tables TO reader; GRANT USAGE ON SCHEMA "Tools" TO reader;/, 'the hint has the GRANTs');
sql('GRANT pg_stat_scan_tables TO reader; GRANT USAGE ON SCHEMA "Tools" TO reader');
like(sql(q{SET ROLE reader; SELECT coalesce(estimated_percent, -1), measured_percent FROM wc_index_bloat(0) WHERE index_name = 'students_pkey'}), qr/^-1\|[0-9.]+$/, 'who may not read the table has no estimate, but a measure');
like(sql(q{SET ROLE reader; SELECT note FROM wc_index_bloat(0, exact => false) WHERE index_name = 'students_pkey'}), qr/^no statistics that you may read/, 'and without that it is said why');
is((try_sql($primary, 'school', "SELECT * FROM wc_index_bloat($_)"))[1], '22004', "NULL: $_") for 'NULL', '0, NULL', '0, 0, NULL';

# Full indexes of several kinds of keys, then nine rows of ten deleted.
sql('ALTER TABLE vital_signs ADD x_n int, ADD x_r int, ADD x_t text, ADD x_p point',
    q{INSERT INTO vital_signs (id, "studentId", x_n, x_r, x_t) SELECT gen_random_uuid(), (SELECT min(id::text)::uuid FROM students), i, i % 100, 'text ' || i FROM generate_series(1, 20000) AS i},
    'CREATE INDEX "x_Number" ON vital_signs (x_n)', 'CREATE INDEX x_repeated ON vital_signs (x_r)', 'CREATE INDEX x_wide ON vital_signs (x_n, x_t) INCLUDE (x_r)', 'CREATE INDEX x_lower ON vital_signs (lower(x_t))',
    'CREATE INDEX x_half ON vital_signs (x_n) WITH (fillfactor = 50)', 'CREATE INDEX x_gin ON vital_signs USING gin (to_tsvector($$simple$$, x_t))', 'CREATE INDEX x_gist ON vital_signs USING gist (x_p)',
    'CREATE INDEX x_brin ON vital_signs USING brin (x_n)', 'CREATE INDEX x_hash ON vital_signs USING hash (x_n)', 'ALTER TABLE vital_signs ADD CONSTRAINT x_excluded EXCLUDE (x_n WITH =)', 'REINDEX TABLE vital_signs');
$primary->safe_psql('school', 'VACUUM ANALYZE vital_signs');
my @built = ('x_Number', 'x_repeated', 'x_wide', 'x_lower', 'x_half', 'x_excluded', 'vital_signs_pkey');
%bloat = bloat($primary, '0, 0');
for my $index (@built) {
    my ($estimated, $measured) = @{ $bloat{$index} };
    ok($estimated >= 0 && $estimated <= 12, "just built: $index is estimated at $estimated percent");
    ok($measured >= 0 && $measured <= 5, "and measured at $measured");
}
%bloat = bloat($primary, '0, 30');
is_deeply([ @{ $bloat{x_Number} }[ 1, 2, 4, 5 ] ], [ -1, -1, '', 'estimated below min_percent: not measured' ], 'a good estimate makes nobody read the pages');
is(join(', ', map { "$_ " . join(' ', @{ $bloat{$_} }[ 0 .. 2 ]) . ($bloat{$_}[5] =~ /neither estimated nor measured/ ? '' : ' ?') } grep { /^x_(gin|gist|brin|hash)$/ } sort keys %bloat),
    'x_brin -1 -1 -1, x_gin -1 -1 -1, x_gist -1 -1 -1, x_hash -1 -1 -1', 'other methods have a row that says that they are not measured');
is(sql(q{SELECT count(*) FROM wc_index_bloat(1000000000)}), 0, 'small indexes are left out');

sub sizes { return map { split /\|/ } split /\n/, sql(q{SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relkind = 'i'}) }
sql('DELETE FROM vital_signs WHERE x_n % 10 <> 0');
$primary->safe_psql('school', 'VACUUM ANALYZE vital_signs');
caught_up();
%bloat = bloat($primary, '0');
my %there  = bloat($standby, '0');
my %before = sizes();
for my $index (@built) {
    my ($estimated, $measured, $density, $wasted, $command) = @{ $bloat{$index} };
    ok($estimated >= 60 && $measured >= 70, "emptied: $index is estimated at $estimated percent, and measured at $measured");
    cmp_ok($density, '<', 50, 'its leaves are mostly empty');
    my $name = $index =~ /[A-Z]/ ? "\"$index\"" : $index;
    is($command, $index eq 'x_excluded' ? 'REINDEX INDEX public.x_excluded;' : "REINDEX INDEX CONCURRENTLY public.$name;", 'and it has the REINDEX to run');
    is_deeply($there{$index}, $bloat{$index}, 'a standby says the same');
    $primary->safe_psql('school', $command);
}
my %after = sizes();
my %then  = bloat($primary, '0');
for my $index (@built) {
    my $saved = $before{$index} - $after{$index};
    ok(abs($saved - $bloat{$index}[3]) <= 2 * 8192, "which gives back what was said: $saved bytes of $bloat{$index}[3]");
    is($then{$index}[4], '', 'and then there is nothing to do');
}
sql('DELETE FROM vital_signs');
$primary->safe_psql('school', 'VACUUM vital_signs');
sql('UPDATE pg_index SET indisvalid = false WHERE indexrelid = $$"x_Number"$$::regclass');
%bloat = bloat($primary, '0, 0');
my $measured = $bloat{x_wide}[1];
ok($measured > 80 && $measured <= 100, "without a row: $measured percent");
is_deeply([ @{ $bloat{x_Number} }[ 1, 2, 4, 5 ] ], [ -1, -1, 'REINDEX INDEX CONCURRENTLY public."x_Number";', 'not valid: no query uses it' ], 'an invalid one is not measured, but has its REINDEX');

done_testing();

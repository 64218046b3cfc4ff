# No value that a statement holds is in anything that the extension shows, logs, writes or keeps in shared memory: some 250
# statements, of each kind that can hold one (test/normaliser/values.txt), with everything on that watches them. A harmless
# alias is found everywhere, so what finds nothing does look.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my %value = (
    s => 'SSN-131-31-3131', w => 'Zq9Patient', n => '1313131313', f => '131313.13131',
    b => '1011000111100110101101', x => 'DEAD5353BEEF');
my @values = ('SSN-131', '131-31-3131', 'Zq9Patient', 'zq9patient', '1313131313', '131313.1313', '1011000111100110101101', 'DEAD5353BEEF',
    'dead5353beef', '13:13:13.131313', '1931-03-13', '0053\0053', '0053!0053', 'x53\x53', 'u0053\u0053', pack('q<', $value{n}));

# Those of them that are in it.
sub values_in {
    my ($bytes) = @_;
    return join ' ', grep { index($bytes, $_) >= 0 } @values;
}

my $harmless = 'HarmlessAlias';

# Segments of System V can be read by whoever has made them.
my $node = new_node('phi', conf => <<'CONF');
shared_memory_type = sysv
whitecross.track_nested = on
whitecross.slow_query_threshold = 0
whitecross.slow_query_entries = 2000
whitecross.query_stats_max = 1000
whitecross.log_slow_queries = on
whitecross.n_plus_one_threshold = 1
whitecross.n_plus_one_window = 10min
track_activity_query_size = 4096
log_statement = none
log_min_messages = error
log_min_error_statement = panic
log_error_verbosity = terse
log_line_prefix = '%m <%p> '
autovacuum = off
CONF
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION whitecross;
CREATE EXTENSION hypopg;
CREATE ROLE clerk LOGIN;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN code AS text;
CREATE SEQUENCE numbers MINVALUE 1 MAXVALUE 9000000000;
CREATE TABLE patients (ssn text NOT NULL, mrn bigint UNIQUE CHECK (mrn <> 13));
INSERT INTO patients VALUES ('first', 1), ('second', 2);
CREATE INDEX patients_expression ON patients ((ssn || 'x'));
CREATE POLICY own ON patients USING (true);
CREATE TABLE keys (id bigint PRIMARY KEY);
INSERT INTO keys VALUES (1);
CREATE TABLE visits (patient bigint REFERENCES keys, note text);
CREATE TABLE bookings (span int4range, note text, EXCLUDE USING gist (span WITH &&));
CREATE TABLE parted (a bigint, b text) PARTITION BY LIST (a);
CREATE TABLE parted_text (a text) PARTITION BY RANGE (a);
CREATE TABLE loose (a bigint, b text);
CREATE TABLE typed (a mood);
CREATE TABLE held (a int);
CREATE VIEW patient_view AS SELECT ssn FROM patients;
CREATE MATERIALIZED VIEW patient_copy AS SELECT * FROM patients;
CREATE FUNCTION read_patient(ssn text) RETURNS bigint LANGUAGE sql AS 'SELECT p.mrn FROM patients AS p WHERE p.ssn = \$1';
CREATE FUNCTION write_patient(ssn text, mrn bigint) RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO patients VALUES (ssn, mrn); PERFORM ssn || ''$value{s}''; END';
CREATE FUNCTION raise_it(a text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''about %'', a USING DETAIL = a, CONSTRAINT = a; END';
CREATE PROCEDURE keep_patient(ssn text, mrn bigint) LANGUAGE plpgsql AS 'BEGIN INSERT INTO patients VALUES (ssn, mrn) ON CONFLICT DO NOTHING; END';
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION watch_commands() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE TEXT SEARCH DICTIONARY words (template = simple);
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER remote FOREIGN DATA WRAPPER wrapper;
CREATE USER MAPPING FOR clerk SERVER remote OPTIONS (password 'x');
SQL

# Everything of ours that was seen.
my $seen   = '';
my $reader = WhiteCross::Session->new($node, 'postgres');
$reader->ask('SET whitecross.track_queries = off;'); # what it reads is not what is watched

sub look {
    my ($sql) = @_;
    $reader->send("$sql;");
    my @lines = $reader->answer;
    $seen .= join("\n", $sql, @lines) . "\n";
    return @lines;
}

# Sends a text as it is: psql would look for its end.
my $runner = WhiteCross::Session->new($node, 'postgres');
sub run_it {
    my ($text) = @_;
    my $hex = unpack 'H*', $text;
    $runner->send("SELECT convert_from(decode('$hex', 'hex'), 'UTF8') \\gexec");
    return grep { defined } map { WhiteCross::Session::error($_) } $runner->answer;
}
sub control { $runner->send("$_[0];"); $runner->answer; return }
sub fill {
    my ($text) = @_;
    $text =~ s/\{([swnfbx])\}/$value{$1}/g;
    $text =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;
    return $text;
}

my @statements = map { fill($_) } grep { !/^(#|$)/ } split /\n/, slurp_file(tree() . '/test/normaliser/values.txt');
cmp_ok(scalar @statements, '>=', 240, 'of 240 statements and more');
cmp_ok(scalar(grep { values_in($_) } @statements), '>=', 210, 'of which 210 and more have values in them');
run_it("PREPARE prepared (text) AS SELECT * FROM patients WHERE ssn = \$1 AND ssn <> '$value{s}'");

my $blocker = WhiteCross::Session->new($node, 'postgres');
$blocker->ask('BEGIN; LOCK TABLE held;');
my @otherwise;
for my $statement (@statements) {
    my ($outside, $fails, $text) = $statement =~ /^(~?)(!?) ?(.*)$/s;
    for (1 .. 2) {
        control('BEGIN') unless $outside;
        my @errors = run_it($text);
        push @otherwise, "$text: @errors" if (@errors > 0) != ($fails ne '');
        look("SELECT *, '' FROM wc_active_queries WHERE pid = $runner->{process}") unless $outside;
        control('ROLLBACK') unless $outside;
    }
}
is_deeply(\@otherwise, [], 'each runs, or fails, as it should');

# By the extended protocol, with parameters.
my $script = PostgreSQL::Test::Utils::tempdir() . '/parameters.sql';
append_to_file($script, <<"SQL");
SELECT * FROM patients WHERE ssn = :ssn AND mrn = :mrn AND ssn <> '$value{s}' /* $value{s} */;
INSERT INTO patients VALUES (:ssn, :mrn) ON CONFLICT DO NOTHING;
SELECT ssn AS "$harmless", mrn = :mrn AS b, ARRAY[:ssn]::text[] FROM patients;
UPDATE patients SET ssn = :ssn || '$value{w}' WHERE mrn = :mrn;
DELETE FROM patients WHERE mrn = :mrn;
SQL
for my $protocol ('extended', 'prepared') {
    command_ok([ 'pgbench', '-n', '-M', $protocol, '-t', 3, '-f', $script, '-D', "ssn=$value{s}", '-D', "mrn=$value{n}", $node->connstr('postgres') ],
        "with parameters, $protocol");
}

# Long ones, and several sessions that do the same.
my $list = join ', ', ("'$value{s}'", $value{n}) x 5000;
is_deeply([ run_it("SELECT ARRAY[" . join(', ', ("'$value{s}'") x 8000) . '], $$' . "$value{s} " x 8000 . '$$') ], [], 'a statement of 270 kB');
is_deeply([ run_it("INSERT INTO patients VALUES ('$value{s}', " . join("), ('$value{w}', ", 2_000_000 .. 2_010_000) . '); DELETE FROM patients WHERE mrn > 1000') ], [], 'one of 270 kB with many rows');
isnt((run_it("SELECT $list, '$value{s}"))[0], undef, 'a broken one of 140 kB');

# Run while everything is reset, and cancelled.
my @others = map { WhiteCross::Session->new($node, 'postgres') } 1 .. 3;
$others[0]->send("SELECT '$value{s}' AS a, $value{n} FROM held -- $value{s}\n;");
$others[1]->send("DO \$\$BEGIN PERFORM '$value{s}' FROM held WHERE a <> $value{n}; END\$\$;");
$others[2]->send('SELECT ' . join(', ', ("'$value{s}'") x 1000) . ' FROM held;');
$node->poll_query_until('postgres', q{SELECT count(*) = 3 FROM wc_active_queries WHERE wait_event_type = 'Lock'}) or die "nobody waits\n";
is((() = join("\n", look('SELECT * FROM wc_active_queries')) =~ /\|Lock\|relation\|/g), 3, 'statements that wait are seen');
look('SELECT * FROM wc_query_report()');
look("SELECT $_()") for 'wc_reset_query_stats', 'wc_reset_slow_queries', 'wc_reset_n_plus_one';
$reader->ask("SELECT pg_cancel_backend($others[1]{process});");
$others[1]->answer;
$blocker->ask('COMMIT;');
$_->answer for $others[0], $others[2];
$_->quit for @others;

# Once more, so that what was reset is filled again; and the alias, often enough for each list.
for my $statement (@statements) {
    my ($outside, $text) = $statement =~ /^(~?)!? ?(.*)$/s;
    next if $outside;
    control('BEGIN');
    run_it($text) for 1 .. 2;
    control('ROLLBACK');
}
run_it(qq{SELECT ssn AS "$harmless", mrn + $value{n} AS b, array_length(ARRAY['$value{s}'], 1) FROM patients}) for 1 .. 20;
run_it(qq{INSERT INTO patients VALUES ('$value{s}', 13)}) for 1 .. 3;

# What sessions have counted is added up when they end, and written down when the configuration is read again.
my $both = join ', ', map { $_->process } $runner, $blocker;
$_->quit for $runner, $blocker;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid IN ($both)") or die "sessions do not end\n";
my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->reload;
$node->poll_query_until('postgres', "SELECT written_at > '$before' FROM wc_query_history_status()") or die "no history\n";

# All functions that can be called, all views and tables.
look(q{SELECT wc_query_baseline('now')});
my @calls = look(<<'SQL');
SELECT DISTINCT p.proname || '()' FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'whitecross'
 WHERE p.pronargs = p.pronargdefaults AND p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND p.provolatile <> 'v' AND p.proname <> 'wc_index_bloat'
SQL
my @relations = look(<<'SQL');
SELECT c.oid::regclass::text FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'whitecross' WHERE c.relkind IN ('r', 'v')
SQL
cmp_ok(scalar @calls,     '>', 15, 'functions');
cmp_ok(scalar @relations, '>', 15, 'tables and views');
for my $what (@calls, @relations, q{wc_compare_baseline('now')}, q{wc_query_history(now() - interval '1 day')}, 'wc_suggest_indexes(1, 1)') {
    my @lines = look("SELECT * FROM $what");
    my $error = grep { defined } map { WhiteCross::Session::error($_) } @lines;
    is($error, 0, "$what was read");
    is(values_in(join("\n", @lines)), '', "$what has no value in it");
}
for my $what ('wc_query_stats', 'wc_slow_queries', 'wc_n_plus_one', 'wc_query_history', 'wc_query_report()', 'wc_constraint_violations') {
    my $found = $what eq 'wc_constraint_violations' ? 'patients_mrn_check' : $harmless;
    like(join("\n", look("SELECT * FROM $what")), qr/$found/, "$what has what is harmless");
}
my ($tags) = look('SELECT count(DISTINCT command_tag) FROM wc_query_stats');
cmp_ok($tags, '>=', 90, "$tags kinds of statements were counted");
look("SELECT wc_normalise_query(convert_from('\\x" . unpack('H*', s/^~?!? ?//r) . "', 'UTF8'))") for @statements;
# What it was asked is not what it says.
$seen =~ s/^SELECT wc_normalise_query\(convert_from.*$//mg;
for my $state ('idle in transaction', 'idle in transaction (aborted)', 'active') {
    like($seen, qr/^\d+\|postgres\|postgres\|[^|]*\|\Q$state\E\|.*\|SELECT .*\$1/m, "statements of sessions that are $state were seen");
}
is(values_in($seen), '', 'nothing that was seen has a value');

# Shared memory of ours.
my (undef, undef, undef, undef, undef, undef, $segment) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
my ($id) = $segment =~ /(\d+)\s*$/;
for my $line ($reader->ask(q{SELECT name, off, size FROM pg_shmem_allocations WHERE name LIKE 'whitecross%' ORDER BY 1;})) {
    my ($name, $offset, $size) = split /\|/, $line;
    shmread($id, my $memory, $offset, $size) or die "segment $id: $!\n";
    is(values_in($memory), '', "no value in $size bytes of $name");
    cmp_ok(index($memory, $harmless), '>=', 0, 'where the alias is') if $name =~ /query stats|slow|n plus one/;
}

# Files of ours, and the server's log.
$reader->quit;
$node->stop;
my $texts = '';
for my $file (glob $node->data_dir . '/pg_stat/whitecross/*') {
    my $content = slurp_file($file);
    is(values_in($content), '', "no value in $file");
    $texts .= $content;
}
like($texts, qr/$harmless/, 'where the alias is');
my @entries = split /^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)/m, slurp_file($node->logfile);
# Errors are the server's own words, and have values: wc_privacy_settings() says so.
my @ours = grep { !/^[^<]*<\d+> (ERROR|FATAL): / } @entries;
cmp_ok(scalar(grep { /slow/ } @ours), '>', 1000, 'slow statements are in the log');
cmp_ok(scalar(grep { /$harmless/ } @ours), '>', 0, 'with the alias');
is(values_in(join '', @ours), '', 'and no value') or diag(grep { values_in($_) } @ours);

done_testing();

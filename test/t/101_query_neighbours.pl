# Statistics of statements beside pg_stat_statements and auto_explain, loaded in every order: each sees what it sees alone. Who may
# see what is the same in both. And what is told where the library isn't preloaded, or the server gives no query ids.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('query_neighbours', conf => "autovacuum = off\nauto_explain.log_min_duration = 0\n");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE EXTENSION pg_stat_statements;
CREATE TABLE item (id integer PRIMARY KEY, note text);
CREATE TABLE touched (at timestamptz);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO touched VALUES (now()); RETURN NULL; END';
CREATE TRIGGER touch AFTER INSERT ON item FOR EACH STATEMENT EXECUTE FUNCTION touch();
SQL

# How often it has to ask is no part of what is compared.
sub wait_for_ends {
    local $ENV{PGOPTIONS} = '-c whitecross.track_queries=off';
    $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'}) or die "sessions do not end\n";
    return;
}

# Lines of what each counted: query id, calls, rows, and milliseconds that differ by no more than a clock reading would.
my $work = <<'SQL';
INSERT INTO item SELECT n, 'x' FROM generate_series(1, 100) AS n;
SELECT note FROM item WHERE id = 5;
SELECT note FROM item WHERE id = 6;
PREPARE by_id (integer) AS SELECT id, note FROM item WHERE id = $1;
EXECUTE by_id(1); EXECUTE by_id(2); EXECUTE by_id(3);
BEGIN; DECLARE c CURSOR FOR SELECT * FROM item; FETCH 10 FROM c; FETCH 5 FROM c; COMMIT;
CREATE TEMP TABLE taken AS SELECT * FROM item;
SELECT pg_sleep(0.05) FROM generate_series(1, 2);
DELETE FROM item WHERE id < 4;
SQL

# Six orders, and one that is nobody's neighbour.
my @libraries = ('whitecross', 'pg_stat_statements', 'auto_explain');
my @orders = map { my $order = $_; join ',', map { $libraries[$_] } split //, $order } qw(012 021 102 120 201 210);
my %seen;
for my $order ('whitecross', @orders) {
    $node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'$order'");
    $node->restart;
    $node->safe_psql('postgres', 'TRUNCATE item; SELECT wc_reset_query_stats()');
    $node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()') if $order =~ /pg_stat/;
    wait_for_ends();
    $node->safe_psql('postgres', 'SELECT wc_reset_query_stats()');
    wait_for_ends();
    my $log = -s $node->logfile;
    $node->safe_psql('postgres', $work);
    wait_for_ends();
    $seen{$order} = $node->safe_psql('postgres', <<'SQL');
SELECT query_id, command_tag, calls, failures, rows FROM wc_query_stats WHERE command_tag <> 'SELECT' OR total_ms > 100 OR rows < 100 ORDER BY 1, 2
SQL
    next if $order !~ /pg_stat/;
    is($seen{$order}, $seen{whitecross}, "$order: we count what we count alone");
    is($node->safe_psql('postgres', <<'SQL'), '', "$order: pg_stat_statements counts the same");
SELECT w.query_id, s.query, w.calls, s.calls, w.rows, s.rows, w.total_ms, s.total_exec_time
  FROM pg_stat_statements AS s LEFT JOIN wc_query_stats AS w ON w.query_id = s.queryid
 WHERE s.query ~ '^(INSERT INTO item|SELECT note|PREPARE by_id|SELECT pg_sleep|DELETE)'
   AND (w.calls, w.rows) IS DISTINCT FROM (s.calls, s.rows)
SQL
    is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_statements AS s JOIN wc_query_stats AS w ON w.query_id = s.queryid AND w.total_ms >= 100 WHERE s.query ~ 'pg_sleep' AND s.total_exec_time >= 100}),
        1, "$order: and both measured it");
    my $explained = () = slurp_file($node->logfile, $log) =~ /duration: .* plan:/g;
    cmp_ok($explained, '>=', 8, "$order: auto_explain explains");
}

# --- Who may see what

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'pg_stat_statements,whitecross'");
$node->restart;
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE nurse; CREATE ROLE doctor; CREATE ROLE auditor IN ROLE pg_read_all_stats; CREATE ROLE auditor_by_hand NOINHERIT IN ROLE pg_read_all_stats;
GRANT SELECT ON item TO nurse, doctor;
SET ROLE nurse; SELECT note FROM item WHERE id = 50; RESET ROLE;
SET ROLE doctor; SELECT note FROM item WHERE id = 51;
SQL
wait_for_ends();
for my $role ('nurse', 'doctor', 'auditor', 'auditor_by_hand', 'postgres') {
    my $ours = $node->safe_psql('postgres', "SET ROLE $role; SELECT string_agg(DISTINCT role, ' ' ORDER BY role) FROM wc_query_stats WHERE role IN ('nurse', 'doctor')");
    my $theirs = $node->safe_psql('postgres', <<"SQL");
SET ROLE $role;
SELECT string_agg(DISTINCT userid::regrole::text, ' ' ORDER BY userid::regrole::text) FROM pg_stat_statements
 WHERE userid IN ('nurse'::regrole, 'doctor'::regrole) AND query <> '<insufficient privilege>'
SQL
    is($ours, $theirs, "$role sees whose statements pg_stat_statements shows it");
    my %expected = (nurse => 'nurse', doctor => 'doctor', auditor => 'doctor nurse', auditor_by_hand => '', postgres => 'doctor nurse');
    is($ours, $expected{$role}, 'which are ' . ($expected{$role} || 'nobody\'s'));
}
is($node->safe_psql('postgres', q{SET ROLE nurse; SELECT patterns > 0 AND tracking AND query_ids FROM wc_query_stats_info}), 't', 'anybody sees how many there are');

# --- Without query ids

$node->safe_psql('postgres', 'SELECT wc_reset_query_stats()');
wait_for_ends();
$node->safe_psql('postgres', 'SET compute_query_id = off; SELECT note FROM item WHERE id = 50; SELECT count(*) FROM item');
wait_for_ends();
is($node->safe_psql('postgres', q{SET compute_query_id = off; SELECT query_id, role, calls, normalised_text FROM wc_query_stats WHERE query_id = 0}),
    '0|postgres|2|not identified: compute_query_id is off', 'without query ids there is one row, which says why');
is($node->safe_psql('postgres', q{SET compute_query_id = off; SELECT query_ids FROM wc_query_stats_info}), 'f', 'and so does the summary');

# --- Not preloaded

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'pg_stat_statements'");
$node->restart;
for my $sql ('SELECT * FROM wc_query_stats', 'SELECT * FROM wc_query_stats_info', 'SELECT wc_reset_query_stats()') {
    my (undef, $state, $err) = try_sql($node, 'postgres', $sql);
    is($state, '55000', "$sql without the library is an error");
    like($err, qr/HINT: .*shared_preload_libraries = 'pg_stat_statements,\s*whitecross'/, 'whose hint has the line');
}

done_testing();

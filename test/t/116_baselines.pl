# Baselines: what has become slower or faster since one was taken, whatever became of the counters meanwhile; who may take one
# and who sees what of it. The report: every part of it, and what each reader sees.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('baselines', conf => <<'CONF');
whitecross.track_queries = off
whitecross.slow_query_threshold = 90ms
whitecross.n_plus_one_window = 1min
whitecross.health_interval = 0
autovacuum = off
CONF
make_database($node, 'school', 'empty', extensions => ['whitecross']);
$node->safe_psql('school', <<'SQL');
CREATE ROLE app LOGIN;
CREATE ROLE other LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
ALTER ROLE app SET whitecross.track_queries = on;
ALTER ROLE other SET whitecross.track_queries = on;
CREATE TABLE counted (a int PRIMARY KEY, b int, c int, d int);
GRANT SELECT ON counted TO PUBLIC;
GRANT EXECUTE ON FUNCTION wc_query_baseline(text), wc_compare_baseline(text) TO app, watcher;
SQL

# Runs statements as a role, in a session of their own, and waits until each is counted.
sub run_as {
    my ($role, @statements) = @_;
    my $counted = 'SELECT coalesce(sum(calls + failures), 0) FROM wc_query_stats';
    my $before  = $node->safe_psql('school', $counted);
    {
        local $ENV{PGUSER} = $role;
        $node->safe_psql('school', join ";\n", @statements);
    }
    $node->poll_query_until('school', "SELECT ($counted) = $before + " . @statements) or die "not counted\n";
    return;
}
sub columns { my (@names) = @_; return map { "SELECT $_ FROM counted WHERE a = 1" } @names }

# What wc_compare_baseline() says of the statements over one column each; all in tests that know their times.
sub verdicts {
    my ($baseline) = @_;
    return $node->safe_psql('school', "SELECT substring(normalised_text FROM 'SELECT (\\w) FROM counted'), calls_before, calls_since, round(ratio::numeric, 3), verdict
        FROM wc_compare_baseline('$baseline') WHERE normalised_text LIKE 'SELECT _ FROM counted%' ORDER BY 1");
}

run_as('app', columns('a', 'b', 'c', 'd'));
is($node->safe_psql('school', q{SELECT wc_query_baseline('before')}), 4, 'a baseline has the patterns that there are');
is($node->safe_psql('school', q{SELECT name, taken_by, patterns, taken_at <= now() FROM wc_baseline}), 'before|postgres|4|t', 'and says so');
is(verdicts('before'), "a|1|0||gone\nb|1|0||gone\nc|1|0||gone\nd|1|0||gone", 'nothing has run since');
run_as('app', columns('a', 'b', 'c', 'd', 'd'), 'SELECT a, b FROM counted');

# Means by the numbers: the baseline gets a share of what was counted by now, in milliseconds that the clock can't change.
$node->safe_psql('school', <<'SQL');
UPDATE wc_baseline_pattern AS p SET total_ms = s.total_ms * CASE s.normalised_text
    WHEN 'SELECT a FROM counted WHERE a = $1' THEN 0.5 ELSE 1 END
  FROM wc_query_stats AS s WHERE s.query_id = p.query_id;
SQL
is((split /\n/, verdicts('before'))[0], 'a|1|1|1.000|unchanged', 'the same mean is unchanged');
is($node->safe_psql('school', q{SELECT calls_before, calls_since, mean_before_ms IS NULL, mean_since_ms > 0, ratio IS NULL, verdict FROM wc_compare_baseline('before') WHERE normalised_text = 'SELECT a, b FROM counted'}),
    '0|1|t|t|t|new', 'what hadn\'t run before is new');
is($node->safe_psql('school', q{SELECT calls_since FROM wc_compare_baseline('before') WHERE normalised_text LIKE 'SELECT d FROM%'}), 2, 'calls since then are counted');

# Slower and faster, by a difference that no machine's mood makes: half a second and none, many times over.
$node->safe_psql('school', q{CREATE FUNCTION pause(pace text) RETURNS void LANGUAGE sql AS $$SELECT pg_sleep(CASE pace WHEN 'slow' THEN 0.5 ELSE 0 END)$$});
run_as('app', (q{SELECT pause('fast') AS up}) x 20, q{SELECT pause('slow'), 'down'});
$node->safe_psql('school', q{SELECT wc_query_baseline('paces')});
run_as('app', (q{SELECT pause('fast'), 'down'}) x 20, q{SELECT pause('slow') AS up});
is($node->safe_psql('school', q{SELECT normalised_text, calls_before, calls_since, verdict, ratio > 1 FROM wc_compare_baseline('paces') WHERE normalised_text LIKE '%pause%' ORDER BY 1}),
    'SELECT pause($1) AS up|20|1|slower|t' . "\n" . 'SELECT pause($1), $2|1|20|faster|f', 'slower and faster');
is($node->safe_psql('school', q{SELECT count(*) FROM (SELECT normalised_text FROM wc_compare_baseline('paces') LIMIT 2) AS f WHERE normalised_text LIKE '%pause%'}), 2, 'what changed most comes first');

# Another run of the server, a standby for one, whose counters began before the baseline was taken
$node->safe_psql('school', q{UPDATE wc_baseline SET run = run # 1 WHERE name = 'paces'});
is($node->safe_psql('school', q{SELECT calls_before, calls_since FROM wc_compare_baseline('paces') WHERE normalised_text LIKE '%pause%' ORDER BY normalised_text}),
    "20|21\n1|21", 'has counted from zero');

# Counters that went back
$node->safe_psql('school', q{SELECT wc_query_baseline('reset')});
$node->safe_psql('school', 'SELECT wc_reset_query_stats()');
run_as('app', columns('a', 'c', 'c', 'c', 'c', 'c'));
is(verdicts('reset') =~ s/\|[\d.]*\|\w+$//mgr, "a|2|1\nb|2|0\nc|2|5\nd|3|0", 'after a reset, all that there is has been since then, more than before or less');
$node->restart;
run_as('app', columns('a', 'a', 'a'));
is((split /\n/, verdicts('reset'))[0] =~ s/\|[\d.]*\|\w+$//r, 'a|2|3', 'and after a restart');

# ---- Who may do what

sub as { my ($role, $sql) = @_; local $ENV{PGUSER} = $role; local $ENV{PGOPTIONS} = '-c whitecross.track_queries=off' if $role eq 'postgres'; return try_sql($node, 'school', $sql) }

run_as('other', 'SELECT c, d FROM counted');
$node->safe_psql('school', q{SELECT wc_query_baseline('all')});
run_as('other', 'SELECT c, d FROM counted');
$node->safe_psql('school', 'ALTER ROLE app RESET whitecross.track_queries');
my $of_roles = q{SELECT string_agg(DISTINCT role, ' ') FROM wc_compare_baseline('all')};
is((as('app', $of_roles))[0], 'app', 'a role sees its own statements in a baseline, and since');
is((as('watcher', $of_roles))[0], 'app other', 'one with pg_read_all_stats those of all');
is((as('postgres', "SET ROLE app; $of_roles"))[0], 'app', 'SET ROLE counts');
is((as('app', q{SELECT wc_query_baseline('own')}))[0], 1, 'a role can take one of what it sees');
is($node->safe_psql('school', q{SELECT DISTINCT role FROM wc_baseline_pattern WHERE name = 'own'}), 'app', 'and of nothing else');
is((as('app', 'SELECT count(*) FROM wc_baseline'))[0], 5, 'that there are baselines is no secret');
is((as('app', 'SELECT * FROM wc_baseline_pattern'))[1], '42501', 'what is in them is');
for my $call (q{wc_query_baseline('x')}, q{wc_compare_baseline('all')}, q{wc_drop_baseline('all')}) {
    is((as('other', "SELECT $call"))[1], '42501', "$call is granted to nobody");
}

is((as('postgres', q{SET session_replication_role = replica; SELECT wc_query_baseline('replica') > 0, wc_drop_baseline('replica') > 0; SELECT count(*) FROM wc_baseline_pattern WHERE name = 'replica'}))[0],
    "t|t\n0", 'a session whose writes count as replicated can keep and drop one, too');

# ---- Errors

my (undef, $state, $message) = as('postgres', q{SELECT wc_query_baseline('all')});
is($state, '42710', 'a name is taken once');
like($message, qr/there is already a baseline 'all'.*HINT:.*wc_drop_baseline\('all'\)/s, 'and the hint says how to free it');
is($node->safe_psql('school', q{SELECT wc_drop_baseline('all'), (SELECT count(*) FROM wc_baseline_pattern WHERE name = 'all')}), '2|2', 'dropping tells of how many patterns');
is($node->safe_psql('school', q{SELECT count(*) FROM wc_baseline_pattern WHERE name = 'all'}), 0, 'which are gone with it');
for my $call (q{wc_drop_baseline('all')}, q{wc_compare_baseline('all')}) {
    (undef, $state, $message) = as('postgres', "SELECT $call");
    is($state, '42704', "$call: there is none any more");
    like($message, qr/HINT:.*wc_baseline/, 'and the hint says where to look');
}
is((as('postgres', "SELECT wc_query_baseline($_->[0])"))[1], $_->[1], "wc_query_baseline($_->[0]) is refused") for [ 'NULL', '22004' ], [ q{''}, '22023' ];
is((as('postgres', "BEGIN READ ONLY; SELECT $_"))[1], '25006', "$_ is refused in a read-only transaction") for q{wc_query_baseline('x')}, q{wc_drop_baseline('own')};
is((as('app', q{BEGIN READ ONLY; SELECT count(*) > 0 FROM wc_compare_baseline('own')}))[0], 't', 'to compare, nothing is written');
my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('school') ]);
unlike($dump, qr/COPY public\.wc_baseline/, 'baselines are not dumped');

# ---- The report

$node->safe_psql('school', 'ALTER ROLE app SET whitecross.track_queries = on');
run_as('app', map { "SELECT b FROM counted WHERE a = $_" } 1 .. 30);
run_as('app', 'SELECT count(*) FROM counted WHERE a = 1', 'SET enable_indexscan = off', 'SET enable_bitmapscan = off', 'SET enable_indexonlyscan = off', 'SELECT count(*) FROM counted WHERE a = 1');
run_as('app', q{SELECT pause('slow') AS up}); # the last of the slow ones, whatever else was slow
my $busy = $node->background_psql('school');
send_to($busy, 'SELECT pg_sleep(1000)');
$node->poll_query_until('school', q{SELECT count(*) = 1 FROM wc_active_queries WHERE normalised_text LIKE '%pg_sleep%'}) or die "nothing is active\n";
my ($report) = as('postgres', 'SELECT wc_query_report()');
note($report);
like($report, qr/^Query report, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+, asked for in database school by postgres$/m, 'the report has a title');
like($report, qr/^Totals since .*\n  \d+ executions of \d+ patterns in [\d.]+ s, [\d.]+ ms on average/m, 'totals');
like($report, qr/^Active now, longest first\n  [\d.]+ s: pid \d+, role postgres, database school.*\n      SELECT pg_sleep\(\$1\)/m, 'what is active');
like($report, qr/^Slowest by mean\n  \d{3,}\.\d+ ms on average, .*role app, database school\n      SELECT pause\(\$1\) AS up\n/m, 'the slowest');
like($report, qr/^Most frequent\n  calls: 3\d, .*\n      SELECT b FROM counted WHERE a = \$1\n/m, 'the most frequent');
like($report, qr/^Slow queries, latest first\n  .*: \d+\.\d ms, role app, database school.*\n      SELECT/m, 'slow queries');
like($report, qr/^N\+1 patterns, latest first\n  bursts: 1 .*largest: 30 executions.*\n      SELECT b FROM counted WHERE a = \$1\n      \S.*\n/m, 'N+1 patterns, with a suggestion');
like($report, qr/^Changes of plan, latest first\n  changes: 1, .*role app.*\n      SELECT count\(\*\) FROM counted WHERE a = \$1\n/m, 'changes of plan');
unlike($report, qr/WHERE a = \d|pause\('/, 'and no value of any statement');
my $others = qr/role (?!other)|pg_sleep|SELECT b FROM/;
unlike((as('other', 'SELECT wc_query_report()'))[0], $others, 'another role sees nothing of these');
like((as('watcher', 'SELECT wc_query_report()'))[0], qr/role app.*SELECT b FROM counted/s, 'one with pg_read_all_stats does');
$node->safe_psql('school', q{SELECT pg_terminate_backend(pid) FROM wc_active_queries WHERE normalised_text LIKE '%pg_sleep%'});
eval { $busy->quit };
$node->safe_psql('school', 'SELECT wc_reset_query_stats(), wc_reset_slow_queries(), wc_reset_n_plus_one()');
like((as('postgres', 'SELECT wc_query_report()'))[0], qr/Active now, longest first\n  no other session.*Slowest by mean\n  nothing has run yet.*Slow queries, latest first\n  none above.*N\+1 patterns, latest first\n  none\n.*Changes of plan, latest first\n  none\n/s,
    'where there is nothing, each part says so');
append_to_file($node->data_dir . '/pg_stat/whitecross/notes.txt', 'of somebody');
$node->poll_query_until('school', 'SELECT monitored FROM wc_query_history_status()');
like((as('postgres', 'SET compute_query_id = off; SELECT wc_query_report()'))[0],
    qr/nothing is counted: whitecross.track_queries is off\n  statements are not told apart: compute_query_id is off\n  1 files of the query history can't be used/, 'and what is amiss');

$node->stop;
done_testing();

# Slow statements: what is remembered of them, what is not, who sees it, and the ring that has turned over a hundred times.

use strict;
use warnings;

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

use constant ENTRIES => 20;

my $node = new_node('slow', conf => <<"CONF");
whitecross.slow_query_entries = @{[ ENTRIES ]}
whitecross.slow_query_threshold = 1min
restart_after_crash = on
autovacuum = off
CONF
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', "CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'");
$node->safe_psql($_, 'CREATE EXTENSION whitecross') for 'postgres', 'other', 'latin';
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE clerk LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE student (id integer PRIMARY KEY, name text, mood mood DEFAULT 'glad');
CREATE TABLE "Visit" (id integer PRIMARY KEY, student integer);
INSERT INTO student SELECT n, 'student ' || n FROM generate_series(1, 2000) AS n;
INSERT INTO "Visit" SELECT n, n % 100 FROM generate_series(1, 2000) AS n;
ANALYZE student, "Visit";
CREATE FUNCTION doze(seconds double precision) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(seconds); RETURN 'done'; END $$;
GRANT SELECT ON student TO clerk;
SQL

# slow(SQL): runs a script as if all of it were slow, and returns its output and errors.
sub slow {
    my ($sql, %options) = @_;
    my ($out, $err) = ('', '');
    my $database = delete $options{database} // 'postgres';
    $node->psql($database, "SET whitecross.slow_query_threshold = 0;\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 0, %options);
    return ($out, $err);
}

# What the ring has, newest first, of the statements that aren't part of the test's own doing.
sub entries {
    my ($columns, $database) = @_;
    return $node->safe_psql($database // 'postgres', "SELECT $columns FROM wc_slow_queries WHERE command_tag <> 'SET'");
}

sub reset_ring { $node->safe_psql('postgres', 'SELECT wc_reset_slow_queries()'); return }

# --- The threshold

# The server's own is a minute here: on a busy machine what the test does itself may take half a second.
is($node->safe_psql('postgres', q{SELECT boot_val || unit FROM pg_settings WHERE name = 'whitecross.slow_query_threshold'}), '500ms', 'half a second, unless it is set');
$node->safe_psql('postgres', 'SELECT pg_sleep(0.55)');
is(entries('count(*)'), '0', 'what is not slow is not remembered');
$node->safe_psql('postgres', q{SET whitecross.slow_query_threshold = '500ms'; SELECT pg_sleep(0.55)});
is(entries('command_tag, rows, duration_ms >= 550, normalised_text'), 'SELECT|1|t|SELECT pg_sleep($1)', 'half a second is, and how long it took');
is($node->safe_psql('postgres', q{SELECT started_at BETWEEN now() - interval '5 minutes' AND now() - interval '550 ms' FROM wc_slow_queries WHERE command_tag <> 'SET'}), 't', 'it began before that');
reset_ring();
$node->safe_psql('postgres', q{SET whitecross.slow_query_threshold = '500ms'; SET whitecross.slow_query_threshold = -1; SELECT pg_sleep(0.55)});
is(entries('count(*)'), '0', 'with -1 none is');
slow('SET whitecross.track_queries = off; SELECT 1;');
is(entries('count(*)'), '0', 'nor is one in a session that is not tracked');
is((try_sql($node, 'postgres', 'SET whitecross.slow_query_threshold = 0; SELECT 1', extra_params => [ '-U', 'clerk' ]))[1], '42501', 'who is slow is not for everybody to say');

# --- What is remembered

slow(<<'SQL');
SET application_name = 'the clinic';
SET work_mem = '64kB';
SELECT s.name FROM student AS s JOIN "Visit" AS v ON v.student = s.id JOIN student AS t ON t.id = s.id
 WHERE s.name <> 'SSN-131-31-3131' /* SSN-131-31-3131 */ ORDER BY s.name, v.id;
SQL
is(entries(q{database, role, application_name, client, command_tag, query_id IS NOT NULL, relations, rows, parameters, parameter_types, plan_hash IS NOT NULL,
             blocks_hit + blocks_read > 10, temp_blocks > 0, outcome, sqlstate IS NULL}),
    'postgres|postgres|the clinic|local|SELECT|t|{public.student,"public.\\"Visit\\""}|1980|0|{}|t|t|t|completed|t', 'every fact, each relation once');
like(entries('normalised_text'), qr/^SELECT s\.name FROM student AS s JOIN "Visit" AS v .* WHERE s\.name <> \$1\s+ORDER BY s\.name, v\.id$/s, 'without constant and comment');

reset_ring();
slow(<<'SQL');
PREPARE find(integer, text[], mood) AS SELECT count(*) FROM student WHERE id = $1 AND name <> ALL ($2) AND mood = $3;
EXECUTE find(1, '{SSN-131-31-3131}', 'glad');
EXECUTE find(2, '{SSN-131-31-3131}', 'sad');
SQL
is(entries(q{parameters, parameter_types, normalised_text}), join("\n", ('3|{integer,text[],public.mood}|SELECT count(*) FROM student WHERE id = $1 AND name <> ALL ($2) AND mood = $3') x 2),
    'of parameters, their number and types; EXECUTE is the statement that it runs');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT plan_hash), count(DISTINCT query_id) FROM wc_slow_queries WHERE command_tag = 'SELECT'}), '1|1', 'the same plan of the same pattern');
is($node->safe_psql('other', q{SELECT database, relations IS NULL, parameter_types FROM wc_slow_queries WHERE parameters = 3 LIMIT 1}), 'postgres|t|{integer,text[],NULL}',
    'another database sees what it can know');

reset_ring();
slow(<<'SQL');
INSERT INTO student SELECT n, 'x' FROM generate_series(3001, 3007) AS n;
UPDATE student SET name = 'SSN-131-31-3131' WHERE id > 3000;
DELETE FROM student WHERE id > 3000;
DO $$ BEGIN PERFORM 'SSN-131-31-3131'; END $$;
COPY (SELECT 'SSN-131-31-3131') TO STDOUT;
CREATE TABLE gone (id integer);
SELECT count(*) FROM gone, student;
DROP TABLE gone;
SQL
is(entries('command_tag, rows, relations'), join("\n", 'DROP TABLE|0|', 'SELECT|1|{public.student}', 'CREATE TABLE|0|', 'COPY|1|', 'DO|0|', 'DELETE|7|{public.student}', 'UPDATE|7|{public.student}',
        'INSERT|7|{public.student}'), 'each command with its rows and relations, a dropped one left out');
is($node->safe_psql('postgres', q{SELECT string_agg(normalised_text, ', ' ORDER BY started_at) FROM wc_slow_queries WHERE command_tag IN ('DO', 'COPY')}), 'DO, COPY', 'a utility statement is its tag');

# Failed, cancelled.
reset_ring();
slow(<<'SQL');
SELECT 1 / (id - id) FROM student;
INSERT INTO student (id, name) VALUES (1, 'SSN-131-31-3131');
SET statement_timeout = '2s';
SELECT pg_sleep(600);
RESET statement_timeout;
SELECT count(*) FROM student;
SQL
is(entries('command_tag, outcome, sqlstate'), join("\n", 'SELECT|completed|', 'RESET|completed|', 'SELECT|cancelled|57014', 'INSERT|failed|23505', 'SELECT|failed|22012'), 'how each one ended');

# In functions.
reset_ring();
slow('SELECT doze(0.001);');
slow('SET whitecross.track_nested = on; SELECT doze(0.001);');
is(entries('normalised_text, parameters'), join("\n", 'SELECT doze($1)|0', 'SELECT pg_sleep(seconds)|', 'SELECT doze($1)|0'), 'statements of functions by setting');

# A background worker has no client.
reset_ring();
$node->safe_psql('postgres', q{ALTER SYSTEM SET whitecross.slow_query_threshold = 0; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT count(*) > 1 FROM wc_slow_queries}) or die 'nothing is slow';
my $in_worker = q{SET max_parallel_workers_per_gather = 0; SET force_parallel_mode = on; SELECT count(*) FROM student};
$node->safe_psql('postgres', $in_worker);
is($node->safe_psql('postgres', q{SELECT count(*) FROM wc_slow_queries WHERE normalised_text = 'SELECT count(*) FROM student'}), '1', 'a parallel worker does not tell the statement again');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET whitecross.slow_query_threshold; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT current_setting('whitecross.slow_query_threshold') = '1min'}) or die 'the setting stays';

# By network, from here; the second address is the one that other machines would know this one by.
my $route   = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '192.0.2.1', PeerPort => 9);
my $address = $route ? $route->sockhost : undef;
SKIP: {
    skip 'this server listens at an address already', 2 if !$PostgreSQL::Test::Utils::use_unix_sockets;
    $node->append_conf('postgresql.conf', q{listen_addresses = '*'});
    $node->append_conf('pg_hba.conf',     'host all all samehost trust');
    $node->restart;
    my $by = sub { return 'port=' . $node->port . " dbname=postgres host=$_[0]" };
    slow('SELECT 1;', connstr => $by->('127.0.0.1'));
    is(entries('client'), 'local', 'the loopback address is local');
    skip 'this machine has no other address', 1 if !defined $address || $address =~ /^127\./;
    reset_ring();
    slow('SELECT 1;', connstr => $by->($address));
    is(entries('client'), 'network', 'any other is not');
}

# --- The log

my $offset = -s $node->logfile;
slow('SELECT 1;');
unlike(slurp_file($node->logfile, $offset), qr/slow query/, 'nothing is logged unless it is asked for');
reset_ring();
$offset = -s $node->logfile;
my (undef, $errors) = slow(<<'SQL');
SET client_min_messages = debug5;
SET log_min_error_statement = debug5;
SET log_error_verbosity = verbose;
SET log_min_messages = notice;
SET whitecross.log_slow_queries = on;
SET whitecross.track_nested = on;
SELECT doze(0.001), 'SSN-131-31-3131'
  AS "a
b";
SELECT 1 / (id - id) FROM student WHERE name <> 'SSN-131-31-3131';
SET statement_timeout = '2s';
SELECT doze(600), 'SSN-131-31-3131';
SET whitecross.log_slow_queries = off;
SQL
my $log   = slurp_file($node->logfile, $offset);
my @lines = grep { /slow query/ } split /\n/, $log;
my @of_queries = map { s/^.*?LOG:\s+(?:00000: )?//r =~ s/[\d.]+ ms/N ms/r =~ s/query id -?\d+/query id N/r } grep { / SELECT, / } @lines;
is_deeply(\@of_queries, [
        'slow query: N ms, SELECT, query id N, 1 rows, completed: SELECT pg_sleep(seconds)',
        q{slow query: N ms, SELECT, query id N, 1 rows, completed: SELECT doze($1), $2   AS "a b"},
        'slow query: N ms, SELECT, query id N, 0 rows, failed with 22012: SELECT $1 / (id - id) FROM student WHERE name <> $2',
        'slow query: N ms, SELECT, query id N, 0 rows, cancelled with 57014: SELECT pg_sleep(seconds)',
        'slow query: N ms, SELECT, query id N, 0 rows, cancelled with 57014: SELECT doze($1), $2',
    ], 'one line for each, with its normalised text') or diag(join "\n", @lines);
# What the server adds to an error is its own; after our line comes nothing but the place in the source.
my @after = $log =~ /slow query.*\n((?:.*(?:STATEMENT|CONTEXT|QUERY|DETAIL):.*\n)+)/g;
is_deeply(\@after, [], 'and neither statement nor context');
unlike($_, qr/SSN|131-31/, 'without a value') for @lines;
unlike($errors, qr/slow query/, 'no client is told');
like($errors, qr/division by zero/, 'the error is the one that it would be');
like($errors, qr/statement timeout/, 'so is a cancel');
is(entries('count(*)', 'other'), '5', 'all of them are in the ring too');

# --- Who sees what

reset_ring();
$node->safe_psql('postgres', q{ALTER ROLE clerk SET whitecross.slow_query_threshold = 0});
slow('SELECT 1;');
$node->safe_psql('postgres', 'SELECT count(*) FROM student', extra_params => [ '-U', 'clerk' ]);
my $seen = sub { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, extra_params => [ '-U', $role ]) };
is($seen->('clerk', 'SELECT DISTINCT role FROM wc_slow_queries'), 'clerk', 'a role sees its own');
is($seen->('clerk', q{SELECT normalised_text FROM wc_slow_queries() WHERE normalised_text LIKE '%student'}), 'SELECT count(*) FROM student', 'by the function too');
is($seen->('watcher', 'SELECT string_agg(DISTINCT role, $$,$$ ORDER BY role) FROM wc_slow_queries'), 'clerk,postgres', 'pg_read_all_stats sees all');
is((try_sql($node, 'postgres', 'SELECT wc_reset_slow_queries()', extra_params => [ '-U', 'watcher' ]))[1], '42501', 'to forget them is granted to nobody');
$node->safe_psql('postgres', 'DROP OWNED BY clerk; DROP ROLE clerk');
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM wc_slow_queries WHERE role IS NULL AND application_name <> ''}), 't', 'of a role that is gone the name is gone');

# --- Another encoding

reset_ring();
slow(qq{SET client_encoding = 'UTF8'; SELECT 1 AS "caf\x{c3}\x{a9}";}, database => 'latin');
is(entries('normalised_text', $_), qq{SELECT \$1 AS "caf\x{c3}\x{a9}"}, "the text of a LATIN1 database in $_") for 'postgres';
slow(qq{SELECT 1 AS "\x{e2}\x{9d}\x{80}";});
is($node->safe_psql('latin', q{SELECT normalised_text FROM wc_slow_queries WHERE database = 'postgres' AND command_tag = 'SELECT' LIMIT 1}), 'SELECT $1 AS "???"', 'a character that there is not');

# --- The ring, turned over a hundred times; each statement is known by its rows

my $turns = ENTRIES * 100 + 7;
reset_ring();
is(entries('count(*)'), '0', 'a reset forgets all');
slow(join "\n", '\o /dev/null', map { "SELECT FROM generate_series(1, $_);" } 1 .. $turns);
is($node->safe_psql('postgres', 'SELECT string_agg(rows::text, $$ $$) FROM wc_slow_queries'), join(' ', reverse $turns - ENTRIES + 1 .. $turns), 'the last ones, newest first');
my @sessions = map { WhiteCross::Session->new($node, 'postgres') } 1 .. 4;
for my $n (1 .. 4) {
    $sessions[ $n - 1 ]->send(join "\n", "SET application_name = 'session $n'; SET whitecross.slow_query_threshold = 0;", '\o /dev/null',
        (map { "SELECT FROM generate_series(1, @{[ $n * 1000 + $_ ]});" } 1 .. 500), '\o');
}
$_->answer for @sessions;
is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE application_name <> 'session ' || rows / 1000) FROM wc_slow_queries WHERE command_tag = 'SELECT'}),
    ENTRIES . '|0', 'sessions that write into it at once mix nothing up');
$_->quit for @sessions;
is($node->safe_psql('postgres', 'SELECT wc_reset_slow_queries()'), ENTRIES, 'a reset tells how many there were');

# --- After a crash

slow('SELECT 1;');
my $victim = WhiteCross::Session->new($node, 'postgres');
$offset = -s $node->logfile;
kill 'KILL', $victim->process;
$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
is(entries('count(*)'), '0', 'a crash forgets them');
slow('SELECT 1;');
is(entries('normalised_text'), 'SELECT $1', 'and they are remembered again');

# --- Without the library at the server's start

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', q{''});
$node->restart;
for my $what ('* FROM wc_slow_queries', 'wc_reset_slow_queries()', '* FROM wc_n_plus_one', 'wc_reset_n_plus_one()') {
    my (undef, $state, $message) = try_sql($node, 'postgres', "SELECT $what");
    is($state, '55000', "SELECT $what fails");
    like($message, qr/HINT:.*shared_preload_libraries = 'whitecross'/, 'and says what to do');
}

done_testing();

# Statements in loops: what is found and what is not, in one session and over several, to the last execution. The window is
# a minute, so that no test depends on how fast this machine is; how windows slide is tested in test/unit.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('n_plus_one', conf => "whitecross.n_plus_one_window = '1min'\nautovacuum = off\nmax_connections = 60\n");
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql($_, 'CREATE EXTENSION whitecross') for 'postgres', 'other';
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE clerk LOGIN;
CREATE ROLE nurse LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
CREATE TABLE student (id integer PRIMARY KEY, name text);
INSERT INTO student SELECT n, 'student ' || n FROM generate_series(1, 100) AS n;
GRANT ALL ON student TO PUBLIC;
CREATE FUNCTION names(n integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text; all_of_them text := '';
BEGIN
  FOR i IN 1 .. n LOOP SELECT s.name INTO found FROM student AS s WHERE s.id = i; all_of_them := all_of_them || found; END LOOP;
  RETURN all_of_them;
END $$;
SQL

# control(SQL): what the test does itself, time and again, which would be found too.
sub control {
    my ($sql) = @_;
    local $ENV{PGOPTIONS} = '-c whitecross.track_queries=off';
    return $node->safe_psql('postgres', $sql);
}

sub forget { control('SELECT wc_reset_n_plus_one()'); return }

# What was found: columns of each row, in an order of its own.
sub found {
    my ($columns) = @_;
    return control("SELECT $columns FROM wc_n_plus_one ORDER BY kind, application_name, role, normalised_text COLLATE \"C\"");
}

# run(SQL): in a session of its own, with an application's name of its own, so that no test is part of another's window.
my $name = 'app 0';
sub fresh { return $name++ =~ s/ /_/r }

sub run {
    my ($sql, %options) = @_;
    my $app = delete $options{app} // fresh();
    my ($out, $err) = ('', '');
    $node->psql(delete $options{database} // 'postgres', "SET application_name = '$app';\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 0, %options);
    return $app;
}

my $one = 'SELECT name FROM student WHERE id = $1';
# A pattern of its own for each number up to 4095: what a column is called makes none.
sub pattern { my ($n) = @_; return 'SELECT 1' . join '', map { $n >> $_ & 1 ? ' + 1' : ' - 1' } reverse 0 .. 11 }

sub ask { my ($from, $to) = @_; return join "\n", map { "SELECT name FROM student WHERE id = $_;" } $from .. $to }

# --- One session

run(ask(1, 10));
is(found('*'), '', 'ten executions are none');
my $app = run(ask(1, 11));
is(found('database, role, application_name, kind, query_id IS NOT NULL, normalised_text, bursts, largest_burst, first_seen <= last_seen'),
    "postgres|postgres|$app|session|t|$one|1|11|t", 'the eleventh makes it one, of this kind and no other');
like(found('suggestion'), qr/= ANY \(\$1\), or a join/, 'with what to do instead');
run(ask(1, 30), app => $app);
is(found('bursts, largest_burst'), '2|30', 'another session of the application has another, larger one');
run(ask(1, 12), app => $app);
is(found('bursts, largest_burst'), '3|30', 'and a smaller one');
is(control('SELECT wc_reset_n_plus_one()'), '1', 'a reset tells how many there were');
is(found('*'), '', 'and forgets');

# One that lasts is shown with what it has come to, and found anew after a reset.
my $session = WhiteCross::Session->new($node, 'postgres');
$session->ask("SET application_name = 'steady';");
$session->ask(ask(1, 25));
is(found('bursts, largest_burst'), '1|25', 'a burst is seen while it lasts');
$session->ask(ask(1, 5));
is(found('bursts, largest_burst'), '1|30', 'and seen to grow');
forget();
is(found('*'), '', 'a reset forgets it');
$session->ask(ask(1, 1));
is(found('bursts, largest_burst'), '1|11', 'what goes on is a new one');
$session->quit;
is(found('bursts, largest_burst'), '1|11', 'it outlives its session');
forget();

# However the statement comes.
for my $protocol (qw(simple extended prepared)) {
    my $script = $node->basedir . "/$protocol.sql";
    append_to_file($script, "\\set id random(1, 100)\nSELECT name FROM student WHERE id = :id;\n");
    $node->command_ok([ 'pgbench', '-n', '-c', '1', '-t', '40', '-M', $protocol, '-f', $script, '-p', $node->port, '-h', $node->host, 'postgres' ], "pgbench, protocol $protocol");
    like(found('kind, bursts, largest_burst, normalised_text'), qr/^session\|1\|40\|SELECT name FROM student WHERE id = \$1;?$/, "found, protocol $protocol");
    forget();
}
run("PREPARE one(integer) AS $one;\n" . join "\n", map { "EXECUTE one($_);" } 1 .. 20);
is(found('kind, largest_burst, normalised_text'), "session|20|$one", 'EXECUTE');
forget();
run(join ' ', 'BEGIN;', ask(1, 20), 'COMMIT;');
is(found('kind, largest_burst'), 'session|20', 'in one transaction');
forget();
run(join "\n", map { "INSERT INTO student VALUES ($_, 'again');" } 1 .. 20);
is(found('kind, largest_burst'), 'session|20', 'statements that fail');
forget();
$node->safe_psql('postgres', ask(1, 20) =~ s/\n/ /gr);
is(found('kind, largest_burst'), 'session|20', 'many in one message');
forget();

# --- What is none

run(join "\n", 'SELECT names(50);', 'SELECT names(50);', q{DO $$ BEGIN PERFORM names(50); FOR i IN 1 .. 50 LOOP PERFORM name FROM student WHERE id = i; END LOOP; END $$;});
run("SET whitecross.track_nested = on;\nSELECT names(50);");
is(found('*'), '', 'a loop in a function, tracked or not');
run("SELECT name FROM student;\nINSERT INTO student SELECT n, 'x' FROM generate_series(1001, 1100) AS n;\nDELETE FROM student WHERE id > 1000;");
is(found('*'), '', 'a statement of many rows');
run(join "\n", ('BEGIN; SET LOCAL work_mem = 1000; SHOW work_mem; SAVEPOINT a; RELEASE a; COMMIT;') x 30, "BEGIN; DECLARE c CURSOR FOR SELECT name FROM student;", ('FETCH 1 FROM c;') x 30, 'COMMIT;');
is(found('*'), '', 'utility statements');
run(join "\n", 'SET whitecross.track_queries = off;', ask(1, 30));
is(found('*'), '', 'what is not tracked');
run(join "\n", 'SET compute_query_id = off;', ask(1, 30));
is(found('*'), '', 'what has no query id');
run(join "\n", map { ask($_, $_) . " SELECT count(*) FROM student WHERE id = $_ OR id = $_ + 1;" } 1 .. 10);
is(found('*'), '', 'ten of one pattern and ten of another');

# --- Writes

run(join "\n", map { ("INSERT INTO student VALUES (1000 + $_, 'x');", "UPDATE student SET name = 'y' WHERE id = 1000 + $_;", "DELETE FROM student WHERE id = 1000 + $_;") } 1 .. 15);
like(found('largest_burst, suggestion'), qr/\A15\|.*one DELETE.*\n15\|.*one INSERT.*\n15\|.*one UPDATE.*\z/, 'of each command its own advice');
forget();

# --- Several sessions

# each(COUNT, SQL of each...): sessions at work by turns, a part of their statements each time.
sub in_turns {
    my ($app, $turns, $sql, @sessions) = @_;
    $_->ask("SET application_name = '$app';") for @sessions;
    for (1 .. $turns) { $_->ask($sql) for @sessions }
    return;
}
my @pool = map { WhiteCross::Session->new($node, 'postgres') } 1 .. 5;
my $shared = fresh();
in_turns($shared, 2, ask(1, 1), @pool);
is(found('*'), '', 'ten executions by five sessions are none');
$pool[0]->ask(ask(1, 1));
is(found('kind, application_name, role, normalised_text, bursts, largest_burst'), "sessions|$shared|postgres|$one|1|11", 'the eleventh makes it one of several sessions');
$pool[1]->ask(ask(1, 1));
$pool[2]->ask(ask(1, 1));
is(found('kind, bursts, largest_burst'), 'sessions|1|13', 'it is seen to grow');
forget();
$pool[3]->ask(ask(1, 1));
like(found('kind, bursts'), qr/^sessions\|1$/, 'and found anew after a reset');
forget();

# A session with a burst of its own is none of several.
my ($first, $second) = @pool;
sub bursts_ever { return control('SELECT sum(bursts) FROM wc_query_totals()') }
my $ever = bursts_ever();
in_turns(fresh(), 8, ask(1, 1), $first, $second);
is(found('kind, largest_burst'), 'sessions|16', 'two loops at once look like one of several');
is(bursts_ever() - $ever, 1, 'which is counted');
$first->ask(ask(1, 12));
$second->ask(ask(1, 12));
is(found('kind, bursts, largest_burst'), 'session|2|20', 'until each of them is one by itself');
is(bursts_ever() - $ever, 2, 'and two are counted, since what was none is not counted twice');
forget();

# Sessions of different applications, roles and databases have nothing to do with each other.
in_turns(fresh(), 6, ask(1, 1), $_) for @pool[ 0, 1 ];
is(found('*'), '', 'two applications');
my $both = fresh();
$pool[$_]->ask('SET ROLE ' . ('clerk', 'nurse')[$_] . ';') for 0, 1;
in_turns($both, 6, ask(1, 1), @pool[ 0, 1 ]);
is(found('*'), '', 'two roles');
$_->ask('RESET ROLE;') for @pool;
my $elsewhere = WhiteCross::Session->new($node, 'other');
$elsewhere->ask('CREATE TABLE student AS SELECT 1 AS id, 1 AS name;');
in_turns(fresh(), 6, ask(1, 1), $elsewhere, $pool[0]);
is(found('*'), '', 'two databases');
$elsewhere->quit;

# More than there is room for: new ones are not counted, sessions find their own all the same.
run(join "\n", '\o /dev/null', map { pattern($_) . ';' } 1 .. 3000);
is(found('*'), '', 'three thousand patterns are no burst');
run(join "\n", '\o /dev/null', ('SELECT 1 AS after, 2 AS many;') x 11);
is(found('kind, normalised_text'), 'session|SELECT $1 AS after, $2 AS many', 'and a burst is found after them');
forget();

# Sessions that come and go, each with a loop of its own, four at a time: none of them is part of one over several.
my $short = $node->basedir . '/short.sql';
append_to_file($short, ask(1, 12));
$node->command_ok([ 'pgbench', '-n', '-C', '-c', '4', '-j', '4', '-t', '60', '-f', $short, '-p', $node->port, '-h', $node->host, 'postgres' ], '240 sessions');
is(found('kind, bursts, largest_burst'), 'session|240|12', 'are 240 bursts, to the last one');
forget();

# --- Left out

my $id = $node->safe_psql('postgres', "EXPLAIN (VERBOSE, FORMAT JSON) SELECT name FROM student WHERE id = 1") =~ /"Query Identifier": (-?\d+)/ ? $1 : die 'no query id';
$node->safe_psql('postgres', "ALTER DATABASE postgres SET whitecross.n_plus_one_allowed = '1, $id,-5'");
run(ask(1, 30));
my @allowed = map { WhiteCross::Session->new($node, 'postgres') } 1 .. 3;
in_turns(fresh(), 5, ask(1, 1), @allowed);
is(found('*'), '', 'what is allowed is left out, of both kinds');
run(join "\n", map { "SELECT id FROM student WHERE id = $_;" } 1 .. 20);
is(found('normalised_text'), 'SELECT id FROM student WHERE id = $1', 'and nothing else');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET whitecross.n_plus_one_allowed');
$_->quit for @allowed;
forget();
for my $wrong ('x', '1;2', '1 x', '1.5', '99999999999999999999', join(',', 1 .. 101)) {
    is((try_sql($node, 'postgres', "SET whitecross.n_plus_one_allowed = '$wrong'"))[1], '22023', 'a list is checked: ' . substr($wrong, 0, 20));
}
is((try_sql($node, 'postgres', "SET whitecross.n_plus_one_allowed = '@{[ join ' ,', 1 .. 100 ]}'"))[1], '', 'it may have a hundred');

# --- The settings

sub configure {
    my ($setting, $value) = @_;
    control("ALTER SYSTEM SET $setting = '$value'");
    control('SELECT pg_reload_conf()');
    local $ENV{PGOPTIONS} = '-c whitecross.track_queries=off';
    $node->poll_query_until('postgres', "SELECT current_setting('$setting') = '$value'") or die "$setting does not change";
    return;
}
my $lasting = WhiteCross::Session->new($node, 'postgres');
in_turns(fresh(), 20, ask(1, 1), $lasting);
configure('whitecross.n_plus_one_threshold', 3);
# The session has got the signal before this; it reads the setting before its next statement.
$lasting->ask('SELECT 1;') until $lasting->ask('SHOW whitecross.n_plus_one_threshold;') eq '3';
is(found('largest_burst'), '20', 'what was found with another threshold stays');
forget();
$lasting->ask(ask(1, 3));
is(found('*'), '', 'the window begins anew');
$lasting->ask(ask(1, 1));
is(found('largest_burst'), '4', 'with the new threshold');
forget();
configure('whitecross.n_plus_one_window', '10ms');
run(join "\n", map { "SELECT name, pg_sleep(0.02) FROM student WHERE id = $_;" } 1 .. 10);
is(found('*'), '', 'what comes slowly is no burst');
configure('whitecross.n_plus_one_window', '1min');
configure('whitecross.n_plus_one_threshold', 0);
run(ask(1, 30));
is(found('*'), '', 'with 0 nothing is looked for');
configure('whitecross.n_plus_one_threshold', 10);
$lasting->quit;
forget();

# --- Who sees what

$node->safe_psql('postgres', ask(1, 20) =~ s/\n/ /gr, extra_params => [ '-U', $_ ]) for 'clerk', 'nurse';
my $seen = sub { my ($role) = @_; return $node->safe_psql('postgres', 'SELECT string_agg(role, $$,$$ ORDER BY role) FROM wc_n_plus_one', extra_params => [ '-U', $role ]) };
is($seen->('clerk'),   'clerk',       'a role sees its own');
is($seen->('watcher'), 'clerk,nurse', 'pg_read_all_stats sees all');
is((try_sql($node, 'postgres', 'SELECT wc_reset_n_plus_one()', extra_params => [ '-U', 'watcher' ]))[1], '42501', 'to forget is granted to nobody');
forget();

# --- All places taken

my $many = 300;
run(join "\n", '\o /dev/null', map { (pattern($_) . ';') x 13 } 1 .. $many);
is(control('SELECT count(*), min(largest_burst), max(largest_burst) FROM wc_n_plus_one'), '256|13|13', 'as many as there is room for, each to the last execution');
my %left = map { $_ => 1 } split /\n/, control('SELECT normalised_text FROM wc_n_plus_one');
is_deeply([ grep { my $i = 0; $left{ pattern($_) =~ s/1/'$' . ++$i/egr } } 1 .. $many ], [ $many - 255 .. $many ], 'those longest not seen made room');
# One that lasts and had to make room comes back, a second after it was found at the earliest.
forget();
my $steady = WhiteCross::Session->new($node, 'postgres');
$steady->ask("SET application_name = 'steady again';");
$steady->ask(ask(1, 20));
run(join "\n", '\o /dev/null', map { (pattern($_) . ';') x 11 } 1 .. 256);
my $again = q{SELECT count(*) FROM wc_n_plus_one WHERE application_name = 'steady again'};
is(control($again), '0', 'one that lasts has made room');
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
$steady->ask(ask(1, 1)) until control($again) eq '1' || time > $deadline;
is(control($again =~ s/count\(\*\)/kind, bursts, largest_burst > 20/r), 'session|1|t', 'and comes back, with all of its executions');
$steady->quit;
# Forty patterns by turns: more than have a place of their own to be seen growing, told at the latest with their end.
forget();
run(join "\n", '\o /dev/null', (map { map { pattern($_) . ';' } 1 .. 40 } 1 .. 64));
is(control(q{SELECT count(*), count(*) FILTER (WHERE largest_burst = 64) >= 16, min(largest_burst) > 56, sum(bursts) FROM wc_n_plus_one}), '40|t|t|40',
    'all patterns of a loop of many statements');
forget();
run(ask(1, 20), app => 'at last');
is(found('application_name, largest_burst'), 'at last|20', 'and all is well after that');

$_->quit for @pool;
done_testing();

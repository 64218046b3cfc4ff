# From a text to a question: the types of parameters, errors as they'd be plainly and without values, what a session remembers of
# texts and when it must not, and that this has an end.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('questions', conf => "autovacuum = off\n");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION whitecross;
CREATE ROLE ann LOGIN;
CREATE ROLE reader NOLOGIN;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN short AS text CHECK (length(value) < 6);
CREATE TABLE t (id int PRIMARY KEY, name varchar(10), n numeric, d date, m mood, key uuid);
INSERT INTO t VALUES (1, 'a', 1.50, '2026-01-02', 'good', '7d444840-9dc0-11d1-b245-5ffdce74fad2'), (2, 'b', 2, NULL, 'bad', NULL);
GRANT SELECT (id) ON t TO ann;
SQL

# What asking gives, as one line: rows, or SQLSTATE, message, detail and where.
sub asked {
    my ($query, $params, %options) = @_;
    my $list = join ', ', map { defined $_ ? "'" . s/'/''/gr . "'" : 'NULL' } @{ $params // [] };
    my ($out, $state, $err) = try_sql($node, 'postgres', ($options{before} // '') . "SELECT wc_cached_json(\$q\$$query\$q\$, ARRAY[$list]::text[]);");
    return $out =~ s/\n/ /gr if $state eq '';
    my ($message)  = $err =~ /(?:ERROR):\s+\w{5}: (.*)/;
    my ($detail)   = $err =~ /^(?:psql:.*)?DETAIL:\s+(.*)/m;
    my ($position) = $err =~ /^LINE 1: (.*\n.*)$/m;
    $position =~ s/^(.*)\n( *)\^$/substr($1 . ' ', length($2) - 8, 8)/e if defined $position;
    return join ' | ', grep { defined } $state, $message, $detail, $position;
}

# ---- Parameters.
is(asked('SELECT id FROM t WHERE id = $1', ['1']), '{"id": 1}', 'a parameter has the type of what it is compared with');
is(asked('SELECT id FROM t WHERE n = $1 AND name = $2 AND d = $3 AND m = $4 AND key = $5', [ '1.5', 'a', '2026-01-02', 'good', '7d444840-9dc0-11d1-b245-5ffdce74fad2' ]),
    '{"id": 1}', 'of any type');
is(asked('SELECT $1::pair AS p, $2::int[] AS i, $3::short AS s', [ '(1,x)', '{1,2}', 'short' ]), '{"i": [1, 2], "p": {"a": 1, "b": "x"}, "s": "short"}', 'composite types, arrays, domains');
is(asked('SELECT $1 AS a, $2 IS NULL AS b, $3 AS c', [ '1', undef, undef ]), '{"a": "1", "b": true, "c": null}', 'text where nothing tells, and NULL');
is(asked('SELECT id FROM t WHERE id = ANY ($1) ORDER BY id', ['{1,2}']), '{"id": 1} {"id": 2}', 'an array');
is(asked('SELECT $2::int AS b', [ 'nobody asks', '2' ]), '{"b": 2}', 'one that is not used');
is(asked('SELECT id FROM t WHERE id = $2', ['1']), '42P02 | there is no value for parameter $2 | The query has parameters up to $2, and 1 value is given.', 'too few values');
is(asked('SELECT id FROM t WHERE id = $1', [ '1', '2' ]), '08P01 | there is no parameter $2 in the query | The query has parameters up to $1, and 2 values are given.', 'too many values');
is(asked('SELECT id FROM t WHERE id = 1', ['1']), '08P01 | there is no parameter $1 in the query | The query has no parameters, and 1 value is given.', 'a value, but no parameter');
is(asked('SELECT $1::int + $1::text', ['1']) =~ s/ \|.*//r, '42883', 'of a type that does not fit');

# ---- Values are not told.
is(asked('SELECT id FROM t WHERE id = $1', ['planted value']), '22P02 | parameter $1 is no valid value of type integer', 'a number');
is(asked('SELECT id FROM t WHERE id > $1 AND d > $2', [ '1', 'planted value' ]), '22007 | parameter $2 is no valid value of type date', 'a date');
is(asked('SELECT id FROM t WHERE d > $1', ['2026-02-30 planted']), '22007 | parameter $1 is no valid value of type date', 'a date with something after it');
is(asked('SELECT id FROM t WHERE m = $1', ['planted']), '22P02 | parameter $1 is no valid value of type mood', 'a label');
is(asked('SELECT $1::pair', ['(planted,x)']), '22P02 | parameter $1 is no valid value of type pair', 'a part of a composite');
is(asked('SELECT $1::short', ['planted value']), '23514 | parameter $1 is no valid value of type short', 'a domain');
is(asked('SELECT $1::regclass', ['planted']), '42P01 | parameter $1 is no valid value of type regclass', 'the name of a table');
is(asked('SELECT $1::json', ['{"a": planted}']), '22P02 | parameter $1 is no valid value of type json', 'JSON, whose context would tell it');
my $log = slurp_file($node->logfile);
unlike($log =~ s/^.*(STATEMENT|LOG:  statement):.*$//mgr, qr/planted/, 'nor in the log, but for the statement that the client sent');

# ---- Errors of the query.
is(asked(''),                       '42601 | there is no statement',                          'nothing');
is(asked(' -- a comment'),          '42601 | there is no statement',                          'only a comment');
is(asked('SELECT 1; SELECT 2'),     '42601 | more than one statement',                        'two statements');
is(asked('SELEC 1'),                '42601 | syntax error at or near "SELEC" | SELEC 1 ',      'a syntax error, and where');
is(asked('SELECT id, nobody FROM t'), '42703 | column "nobody" does not exist | nobody F',     'no such column, and where');
is(asked('SELECT id FROM nowhere'), '42P01 | relation "nowhere" does not exist | nowhere ',   'no such table');
is(asked('SELECT 1 / (id - 1) FROM t'), '22012 | division by zero',                           'an error of a row');
is(asked('SELECT id FROM t;'),      '{"id": 1} {"id": 2}',                                    'a semicolon at its end');
is(asked('SELECT id FROM t', [], before => "SET ROLE ann;\n"), '{"id": 1} {"id": 2}', 'a column that may be read');
is(asked('SELECT id, name FROM t', [], before => "SET ROLE ann;\n"), '42501 | permission denied for table t', 'one that may not');

# ---- What a session remembers, and what a name means now.
my $session = WhiteCross::Session->new($node, 'postgres');
my $other   = WhiteCross::Session->new($node, 'postgres');
sub counts {
    my ($hits) = $other->ask("SELECT coalesce(sum(hits), 0) FROM wc_cache_stats WHERE database = current_database();");
    return $hits;
}
# What a session answers, errors as their SQLSTATE.
sub reply {
    my ($sql) = @_;
    $session->send($sql);
    return join ' ', map { s/^psql:\S+ //r } $session->answer;
}
# The same text is asked three times, the last time from the cache, before something happens, and then again.
sub changes {
    my ($name, $query, $event, $before, $after, %options) = @_;
    my $where = $options{own} ? $session : $other;
    my $ask   = "SELECT wc_cached_json(\$q\$$query\$q\$);";
    reply($ask) for 1 .. 2;
    my $hits = counts();
    is(reply($ask), $before, "$name: before");
    is(counts() - $hits, 1, "$name: from the cache") unless $options{uncached};
    $where->ask($event);
    is(reply($ask), $after, "$name: after");
    $where->ask($options{undo}) if $options{undo};
    is(reply($ask), $before, "$name: undone") if $options{undo};
    return;
}
$session->ask('SET client_min_messages = warning;');
$session->ask('CREATE SCHEMA first; GRANT USAGE ON SCHEMA first TO ann; SET search_path = first, public;');
$other->ask('SET client_min_messages = warning;');
changes('a table earlier in search_path', 'SELECT id FROM t WHERE id = 1', q{CREATE TABLE first.t AS SELECT 10 AS id, 1 AS x;}, '{"id": 1}', '', undo => 'DROP TABLE first.t;');
changes('a view earlier in search_path', 'SELECT count(*) AS c FROM t', q{CREATE VIEW first.t AS SELECT 1 AS id;}, '{"c": 2}', '{"c": 1}', undo => 'DROP VIEW first.t;');
changes('a temporary table', 'SELECT max(id) AS m FROM t', 'CREATE TEMP TABLE t (id int);', '{"m": 2}', '{"m": null}', own => 1, undo => 'DROP TABLE pg_temp.t;');
changes('a temporary table of this transaction', 'SELECT min(id) AS m FROM t', 'BEGIN; CREATE TEMP TABLE t (id int);', '{"m": 1}', '{"m": null}', own => 1, undo => 'ROLLBACK;');
changes('a table renamed', 'SELECT id AS renamed FROM t WHERE id = 1', 'ALTER TABLE public.t RENAME TO was_t; CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);',
    '{"renamed": 1}', '{"renamed": 1} {"renamed": 1}', undo => 'DROP TABLE t; ALTER TABLE was_t RENAME TO t;');
$other->ask("CREATE FUNCTION public.f(bigint) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';");
changes('a function that fits better', 'SELECT f(7) AS f', "CREATE FUNCTION public.f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2';", '{"f": 1}', '{"f": 2}', undo => 'DROP FUNCTION f(int);');
changes('a function earlier in search_path', 'SELECT f(8) AS f', "CREATE FUNCTION first.f(bigint) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 3';", '{"f": 1}', '{"f": 3}', undo => 'DROP FUNCTION first.f(bigint);');
changes('an operator of the site\'s', 'SELECT 2 + 2::numeric AS s',
    'CREATE FUNCTION public.plus(int, numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$ SELECT 22.0 $$; CREATE OPERATOR first.+ (leftarg = int, rightarg = numeric, function = public.plus);',
    '{"s": 4}', '{"s": 22.0}', undo => 'DROP OPERATOR first.+ (int, numeric);');
changes('a label renamed', 'SELECT m FROM t WHERE id = 2', q{ALTER TYPE mood RENAME VALUE 'bad' TO 'worse';}, '{"m": "bad"}', '{"m": "worse"}', undo => q{ALTER TYPE mood RENAME VALUE 'worse' TO 'bad';});
changes('a column added', 'SELECT t.* FROM (SELECT * FROM public.t WHERE id = 1) AS t, generate_series(1, 1)', 'ALTER TABLE public.t ADD COLUMN more int DEFAULT 5;',
    '{"d": "2026-01-02", "m": "good", "n": 1.50, "id": 1, "key": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "name": "a"}',
    '{"d": "2026-01-02", "m": "good", "n": 1.50, "id": 1, "key": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "more": 5, "name": "a"}', undo => 'ALTER TABLE public.t DROP COLUMN more;');
changes('an attribute of a composite type added', q{SELECT ROW(1, 'x')::pair AS p, id FROM t WHERE id = 1}, 'ALTER TYPE public.pair ADD ATTRIBUTE c int;', '{"p": {"a": 1, "b": "x"}, "id": 1}', 'ERROR:  42846',
    undo => 'ALTER TYPE public.pair DROP ATTRIBUTE c;');
changes('a setting that texts are read by', q{SELECT '01/02/2026'::date AS d}, q{SET DateStyle = 'ISO, DMY';}, '{"d": "2026-01-02"}', '{"d": "2026-02-01"}', own => 1, undo => 'RESET DateStyle;');
changes('strings with backslashes', q{SELECT 'a\\\\b' AS s}, 'SET escape_string_warning = off; SET standard_conforming_strings = off;', '{"s": "a\\\\\\\\b"}', '{"s": "a\\\\b"}', own => 1, undo => 'RESET standard_conforming_strings;');
changes('= NULL', 'SELECT count(*) AS c FROM t WHERE d = NULL', 'SET transform_null_equals = on;', '{"c": 0}', '{"c": 1}', own => 1, undo => 'RESET transform_null_equals;');
changes('a schema closed', 'SELECT f.x FROM first.closed AS f', 'SELECT 1;', 'ERROR:  42P01', 'ERROR:  42P01', uncached => 1);

# ---- Rights. A function that the planner leaves out is not asked for.
$other->ask(<<'SQL');
CREATE TABLE public.open_table (id int, secret int);
INSERT INTO public.open_table VALUES (5, 55);
CREATE FUNCTION public.guarded(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 * 2; END';
REVOKE ALL ON FUNCTION public.guarded(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.guarded(int) TO reader;
CREATE VIEW public.doubled AS SELECT id, public.guarded(id) AS twice FROM public.open_table;
GRANT SELECT ON public.doubled TO reader;
GRANT reader TO ann;
SQL
$session->ask('SET ROLE ann; SET search_path = public;');
changes('no member any more', 'SELECT twice FROM doubled', 'REVOKE reader FROM ann;', '{"twice": 10}', 'ERROR:  42501', undo => 'GRANT reader TO ann;');
$other->ask('GRANT SELECT ON public.doubled TO ann;');
changes('a function only by membership', 'SELECT twice AS t FROM doubled', 'REVOKE reader FROM ann;', '{"t": 10}', 'ERROR:  42501', undo => 'GRANT reader TO ann;');
changes('a function that is not needed', 'SELECT id FROM doubled', 'REVOKE reader FROM ann;', '{"id": 5}', '{"id": 5}', undo => 'GRANT reader TO ann;');
changes('the view\'s owner', 'SELECT id AS i FROM doubled', 'ALTER VIEW public.doubled OWNER TO reader;', '{"i": 5}', 'ERROR:  42501', undo => "ALTER VIEW public.doubled OWNER TO $ENV{PGUSER};");
$session->ask('RESET ROLE;');

# ---- It has an end.
my $sizes = 'SELECT count(*), sum(total_bytes) FROM pg_backend_memory_contexts;';
my $many  = 'DO $d$ BEGIN FOR i IN 1..600 LOOP PERFORM wc_cached_json(format($q$SELECT %s AS a FROM t AS x JOIN t AS y USING (id) WHERE x.id = $1$q$, i), ARRAY[(i %% 7)::text]); END LOOP; END $d$;';
$many =~ s/%%/%/;
$session->ask($many) for 1 .. 2;
my ($contexts, $bytes) = split /\|/, ($session->ask($sizes))[0];
$session->ask($many) for 1 .. 3;
my ($more_contexts, $more_bytes) = split /\|/, ($session->ask($sizes))[0];
cmp_ok($more_contexts, '<=', $contexts + 8, 'the number of texts that a session remembers has an end');
cmp_ok($more_bytes, '<', $bytes * 1.2, 'and the memory for them');
my $large = 'DO $d$ BEGIN FOR i IN 1..8 LOOP PERFORM wc_cached_json($q$SELECT id FROM t WHERE id IN ($q$ || (SELECT string_agg(g::text, $q$,$q$) FROM generate_series(i, 20000) AS g) || $q$)$q$); END LOOP; END $d$;';
$session->ask($large);
my (undef, $large_bytes) = split /\|/, ($session->ask($sizes))[0];
cmp_ok($large_bytes, '<', $more_bytes + 18 * 1024 * 1024, 'long texts are not remembered, or not many of them');

# ---- A text that asks for itself, while its values are read.
$session->ask(<<'SQL');
CREATE FUNCTION public.again(int) RETURNS bool LANGUAGE plpgsql AS $f$
BEGIN
  IF $1 > 0 THEN
    PERFORM wc_cached_json('SELECT $1::deep AS v, count(*) FROM t', ARRAY[($1 - 1)::text]);
    EXECUTE 'COMMENT ON TABLE t IS ''' || $1 || '''';
  END IF;
  RETURN true;
END $f$;
CREATE DOMAIN public.deep AS int CHECK (again(value));
SQL
is(join(' ', $session->ask(q{SELECT wc_cached_json('SELECT $1::deep AS v, count(*) FROM t', '{5}');})), '{"v": 5, "count": 2}', 'a question within the same question');
is(join(' ', $session->ask(q{SELECT wc_cached_json('SELECT $1::deep AS v, count(*) FROM t', '{5}');})), '{"v": 5, "count": 2}', 'and once more');

done_testing();

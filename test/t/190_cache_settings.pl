# The result cache, who asks and with what settings: each setting that decides the answer has its own entry, each role its own,
# and what is taken away from a role is not to be had from the cache any more.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Cache;
use WhiteCross::Session;
use WhiteCross::Test;

my $node = new_node('settings', conf => "autovacuum = off\nwhitecross.monitor_interval = 3600\nwhitecross.health_interval = 0\n");
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE ann LOGIN;
CREATE ROLE ben LOGIN;
CREATE ROLE chief SUPERUSER LOGIN;
CREATE ROLE staff;
GRANT staff TO ben;
CREATE EXTENSION whitecross;
CREATE SCHEMA one;
CREATE SCHEMA two;
CREATE TABLE one.pupils (name text);
CREATE TABLE two.pupils (name text);
INSERT INTO one.pupils VALUES ('one''s');
INSERT INTO two.pupils VALUES ('two''s');
CREATE TABLE things (id int, at timestamptz, day date, span interval, number float8, bytes bytea, price money, note text, ids int[]);
INSERT INTO things VALUES (1, '2026-03-04 05:06:07+00', '2026-03-04', '-1 day 2 hours', 1.0/3, '\xc3a9ff', 12.5, 'caf' || chr(233), '{1,2}');
CREATE TABLE public.bystander (id int);
INSERT INTO bystander VALUES (7);
CREATE TABLE secrets (id int, name text, mark int);
INSERT INTO secrets VALUES (1, 'x', 10), (2, 'y', 20);
GRANT SELECT ON secrets, bystander, things TO ann, ben;
CREATE FUNCTION double(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 2 * i; END';
CREATE VIEW shown AS SELECT id, mark FROM secrets;
GRANT SELECT ON shown TO ann;
CREATE SCHEMA closed;
CREATE TABLE closed.records (id int);
INSERT INTO closed.records VALUES (3);
GRANT USAGE ON SCHEMA closed TO ann;
GRANT SELECT ON closed.records TO ann;
SQL

my $cache = WhiteCross::Cache->new($node, 'postgres', bystander => 'SELECT id FROM public.bystander');
my $s     = $cache->session;

# ---- search_path: the same words, another table.
$cache->apart('search_path of another tenant', $s, 'SELECT name FROM pupils', 'SET search_path = one, public', 'SET search_path = two, public');
$cache->apart('search_path of another tenant, set for a transaction', $s, 'SELECT name || $1 AS n FROM pupils', 'SET LOCAL search_path = one, public;COMMIT;SET search_path = one, public',
    'SET search_path = two, public', params => ['!']);
{
    my ($one, $two) = map { $cache->session } 1 .. 2;
    $one->ask('SET search_path = one, public;');
    $two->ask('SET search_path = two, public;');
    $cache->changes('a tenant of its own session', $one, 'SELECT name FROM pupils', q{UPDATE one.pupils SET name = 'one again'});
    $cache->expect('another tenant in another session', $two, 'SELECT name FROM pupils', 'hit');
}
$s->ask(q{SET search_path = "$user", public; CREATE SCHEMA ann AUTHORIZATION ann; CREATE TABLE ann.things (note text); INSERT INTO ann.things VALUES ('ann''s'); GRANT SELECT ON ann.things TO ann;});
$cache->apart('$user in search_path, two roles', $s, 'SELECT note FROM things', 'SET ROLE ben', 'SET ROLE ann');
$s->ask('RESET ROLE; DROP SCHEMA ann CASCADE; RESET search_path;');

# ---- What text a value has.
my %text = (
    'DateStyle, output'           => [ 'SELECT day::text FROM things', q{SET DateStyle = 'ISO, MDY'}, q{SET DateStyle = 'German'} ],
    'DateStyle, input'            => [ q{SELECT '01/02/2026'::date - day AS apart FROM things}, q{SET DateStyle = 'ISO, MDY'}, q{SET DateStyle = 'ISO, DMY'} ],
    'DateStyle, parameter'        => [ 'SELECT $1::date - day AS apart FROM things', q{SET DateStyle = 'ISO, MDY'}, q{SET DateStyle = 'ISO, DMY'}, params => ['01/02/2026'] ],
    'TimeZone, output'            => [ 'SELECT at::text FROM things', q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'America/Denver'} ],
    'TimeZone, date'              => [ 'SELECT at::date AS d FROM things', q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'America/Denver'} ],
    'TimeZone, input'             => [ q{SELECT at - '2026-01-01'::timestamptz AS apart FROM things}, q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'America/Denver'} ],
    'TimeZone, parameter'         => [ 'SELECT at - $1::timestamptz AS apart FROM things', q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'America/Denver'}, params => ['2026-01-01'] ],
    'TimeZone, comparison'        => [ 'SELECT day::timestamp < at AS b FROM things', q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'Pacific/Kiritimati'}, same => 1 ],
    'TimeZone, json'              => [ 'SELECT to_json(at) AS j FROM things', q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'America/Denver'} ],
    'TimeZone, date_trunc'        => [ q{SELECT date_trunc('day', at) AS t FROM things}, q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'America/Denver'} ],
    'IntervalStyle, output'       => [ 'SELECT span::text FROM things', 'SET IntervalStyle = postgres', 'SET IntervalStyle = iso_8601' ],
    'IntervalStyle, input'        => [ q{SELECT extract(epoch FROM '-1 1:00'::interval) AS e FROM things}, 'SET IntervalStyle = postgres', 'SET IntervalStyle = sql_standard' ],
    'extra_float_digits'          => [ 'SELECT number::text FROM things', 'SET extra_float_digits = 1', 'SET extra_float_digits = -3' ],
    'extra_float_digits, json'    => [ 'SELECT to_jsonb(number)::text AS t FROM things', 'SET extra_float_digits = 1', 'SET extra_float_digits = -3' ],
    'bytea_output'                => [ 'SELECT bytes::text FROM things', 'SET bytea_output = hex', 'SET bytea_output = escape' ],
    'lc_monetary'                 => [ 'SELECT price::text FROM things', q{SET lc_monetary = 'C'}, q{SET lc_monetary = 'C.UTF-8'}, same => 1 ],
    'lc_numeric'                  => [ q{SELECT to_char(number, '9D9G') AS t FROM things}, q{SET lc_numeric = 'C'}, q{SET lc_numeric = 'C.UTF-8'}, same => 1 ],
    'lc_time'                     => [ q{SELECT to_char(day, 'TMMonth') AS t FROM things}, q{SET lc_time = 'C'}, q{SET lc_time = 'C.UTF-8'}, same => 1 ],
    'quote_all_identifiers'       => [ 'SELECT quote_ident(note) AS t FROM (SELECT id::text || \'a\' AS note, \'abc\' || id::text AS other FROM things) AS x, LATERAL (SELECT quote_ident(other) AS q) AS y',
                                       'SET quote_all_identifiers = off', 'SET quote_all_identifiers = on', same => 1 ],
    'quote_all_identifiers, name' => [ q{SELECT quote_ident('abc' || id::text) AS t FROM things}, 'SET quote_all_identifiers = off', 'SET quote_all_identifiers = on' ],
    'default_text_search_config'  => [ q{SELECT to_tsvector(note || ' running') AS t FROM things}, q{SET default_text_search_config = 'simple'}, q{SET default_text_search_config = 'english'} ],
    'xmlbinary'                   => [ 'SELECT xmlelement(name a, bytes)::text AS t FROM things', 'SET xmlbinary = base64', 'SET xmlbinary = hex' ],
    'array_nulls'                 => [ q{SELECT ('{NULL,a}'::text[])[1] IS NULL AS n FROM things}, 'SET array_nulls = on', 'SET array_nulls = off' ],
    'array_nulls, parameter'      => [ 'SELECT ($1::text[])[1] IS NULL AS n FROM things', 'SET array_nulls = on', 'SET array_nulls = off', params => ['{NULL,a}'] ],
    'transform_null_equals'       => [ 'SELECT count(*) AS n FROM things WHERE (id = NULL) IS NULL', 'SET transform_null_equals = off', 'SET transform_null_equals = on' ],
    'standard_conforming_strings' => [ q{SELECT length('a\\\\nb') AS n FROM things}, 'SET standard_conforming_strings = on', 'SET escape_string_warning = off; SET standard_conforming_strings = off' ],
);
for my $name (sort keys %text) {
    my ($query, $one, $other, %options) = @{ $text{$name} };
    $cache->apart($name, $s, $query, $one, $other, %options);
    $s->ask('RESET ALL; SET client_min_messages = warning;');
}
$cache->apart('TimeZone, a column as it is', $s, 'SELECT at FROM things', q{SET TimeZone = 'UTC'}, q{SET TimeZone = 'America/Denver'}, type => 'NULL::timestamptz');
$cache->apart('DateStyle, a column as it is', $s, 'SELECT day, at FROM things', q{SET DateStyle = 'ISO, MDY'}, q{SET DateStyle = 'SQL, DMY'}, columns => 'day date, at timestamptz');
$s->ask('RESET ALL; SET client_min_messages = warning;');
# What the client's encoding is changes what the client sends and gets, no entry's meaning.
$s->ask(q{SET client_encoding = 'UTF8';});
$cache->ask($s, 'SELECT note FROM things WHERE note = $1', params => [ 'caf' . "\xc3\xa9" ]);
$cache->expect('client_encoding, UTF8', $s, 'SELECT note FROM things WHERE note = $1', 'hit', params => [ 'caf' . "\xc3\xa9" ]);
$s->ask(q{SET client_encoding = 'LATIN1';});
$cache->ask($s, 'SELECT note FROM things WHERE note = $1', params => [ 'caf' . "\xe9" ]);
$cache->expect('client_encoding, LATIN1', $s, 'SELECT note FROM things WHERE note = $1', 'hit', params => [ 'caf' . "\xe9" ]);
$cache->ask($s, 'SELECT note FROM things WHERE note = $1', params => [ 'caf' . "\xc3\xa9" ]);
is(($cache->expect('client_encoding, other characters', $s, 'SELECT note FROM things WHERE note = $1', 'hit', params => [ 'caf' . "\xc3\xa9" ])), '', 'which are in no row');
$s->ask('RESET client_encoding;');

# ---- Parameters: alike, but not the same.
my @texts = ('1', '1.0', '1.00', '01', '1e0', ' 1', '', undef, 'NULL', 'null', '{}', '{1}', 'a', 'A', 'a ', "a\n", '$1', "'", '"', '\\', ',', '1,1');
$cache->expect('text parameter ' . ($_ // 'NULL'), $s, 'SELECT id, $1::text AS p FROM things', 'stored', params => [$_]) for @texts;
$cache->expect('text parameter ' . ($_ // 'NULL') . ' again', $s, 'SELECT id, $1::text AS p FROM things', 'hit', params => [$_]) for @texts;
my %typed = (numeric => [ '1', '1.0', '1.00' ], interval => [ '1 day', '24 hours', '1 mon', '30 days' ], float8 => [ '0', '-0', 'NaN', 'Infinity', '1e-300' ], bpchar => [ 'a', 'a ' ],
    jsonb => [ '{"a":1}', '{"a":1.0}', '[1]' ], 'text[]' => [ '{a,b}', '{{a},{b}}', '[0:1]={a,b}', '{"a,b"}', '{a,NULL}', '{a,"NULL"}', '{}' ], bytea => [ '', '\x', '\x00', '\x0000' ]);
for my $type (sort keys %typed) {
    for my $value (@{ $typed{$type} }) {
        $cache->ask($s, "SELECT id, \$1::$type AS p, (\$1::$type)::text AS t FROM things", params => [$value]);
        $cache->expect("$type parameter $value", $s, "SELECT id, \$1::$type AS p, (\$1::$type)::text AS t FROM things", 'hit', params => [$value]);
    }
}
for my $pair ([ 'ab', 'c' ], [ 'a', 'bc' ], [ 'abc', '' ], [ 'abc', undef ], [ undef, 'abc' ], [ '', 'abc' ], [ 'c', 'ab' ]) {
    $cache->expect('parameters ' . join(' and ', map { $_ // 'NULL' } @$pair), $s, 'SELECT $1::text || \'-\' AS a, $2::text AS b FROM things', 'stored', params => $pair);
}
$cache->expect('of 200 kB', $s, 'SELECT md5($1::text) AS m FROM things', 'stored', params => [ 'x' x 200_000 . $_ ]) for 'a', 'b';
$cache->expect('of 200 kB again', $s, 'SELECT md5($1::text) AS m FROM things', 'hit', params => [ 'x' x 200_000 . $_ ]) for 'a', 'b';
for my $clock ('now', 'today', 'tomorrow', 'yesterday') {
    my ($first)  = $cache->ask($s, 'SELECT $1::timestamptz AS t, id FROM things', params => [$clock], type => 'NULL::record', columns => 't timestamptz, id int');
    is(($cache->ask($s, 'SELECT $1::timestamptz > at AS late FROM things', params => [$clock]))[1], '{"late": true}', "parameter $clock is read anew each time");
}
my @then = map { ($cache->ask($s, 'SELECT extract(epoch FROM $1::timestamptz)::text AS t FROM things', params => ['now']))[1] } 1 .. 2;
isnt($then[0], $then[1], 'what now means is read anew each time');

# ---- Words, rows and types.
$cache->ask($s, 'SELECT id AS a FROM things');
$cache->expect('another name for a column', $s, 'SELECT id AS b FROM things', 'stored');
$cache->ask($s, 'SELECT id FROM things', type => 'NULL::int');
$cache->expect('as a number', $s, 'SELECT id FROM things', 'hit', type => 'NULL::int');
my ($json) = $cache->ask($s, 'SELECT id FROM things');
$cache->expect('as json', $s, 'SELECT id FROM things', 'hit');
$cache->expect('as a record', $s, 'SELECT id FROM things', qr/hit|stored/, columns => 'id int');

# ---- Roles.
my $ann = $cache->session(role => 'ann');
my $ben = $cache->session(role => 'ben');
$cache->expect('a role',                 $ann, 'SELECT * FROM secrets ORDER BY id', 'stored');
$cache->expect('another role',           $ben, 'SELECT * FROM secrets ORDER BY id', 'stored');
$cache->expect('each has its own entry', $ann, 'SELECT * FROM secrets ORDER BY id', 'hit');
$cache->expect('the first, by SET ROLE', $s, 'SELECT * FROM secrets ORDER BY id', 'stored');
$s->ask('SET ROLE ann;');
$cache->expect('SET ROLE', $s, 'SELECT * FROM secrets ORDER BY id', 'hit');
$s->ask('RESET ROLE;');
$s->ask(q{CREATE FUNCTION as_owner() RETURNS SETOF jsonb LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM wc_cached_json(''SELECT mark FROM secrets ORDER BY id'')';});
$cache->ask($s, 'SELECT mark FROM secrets ORDER BY id');
$s->ask('REVOKE SELECT ON secrets FROM ben;');
$ben->send('SELECT * FROM as_owner();');
is(join(' ', $ben->answer), '{"mark": 10} {"mark": 20}', 'a SECURITY DEFINER function asks as its owner');
is(($cache->ask($ben, 'SELECT mark FROM secrets ORDER BY id'))[1], 'ERROR:  42501', 'who called it may not ask himself');
$s->ask('GRANT SELECT ON secrets TO ben;');

# Taken away between two hits; given back.
sub taken {
    my ($name, $session, $query, $take, $give, %options) = @_;
    $cache->ask($session, $query, %options);
    $cache->expect("$name: is in the cache", $session, $query, 'hit', %options);
    $s->ask("$take;");
    my (undef, $rows) = $cache->ask($session, $query, %options);
    is($rows, WhiteCross::Cache::answer($session, WhiteCross::Cache::plain($query, %options)), "$name: as the plain query fails");
    is($rows, 'ERROR:  42501', "$name: with 42501");
    $s->ask("$give;");
    my ($done) = $cache->ask($session, $query, %options);
    like($done, qr/hit|stored/, "$name: given back");
    $cache->expect("$name: and in the cache again", $session, $query, 'hit', %options);
    return;
}
taken('REVOKE on a table', $ann, 'SELECT * FROM secrets ORDER BY id', 'REVOKE SELECT ON secrets FROM ann', 'GRANT SELECT ON secrets TO ann');
taken('REVOKE of a column', $ann, 'SELECT id FROM secrets WHERE name = $1', 'REVOKE SELECT ON secrets FROM ann; GRANT SELECT (id, mark) ON secrets TO ann', 'GRANT SELECT ON secrets TO ann', params => ['x']);
taken('REVOKE on a function', $ann, 'SELECT double(id) AS d FROM secrets ORDER BY id', 'REVOKE EXECUTE ON FUNCTION double FROM public', 'GRANT EXECUTE ON FUNCTION double TO public');
taken('REVOKE on a function of no table', $ann, 'SELECT double($1) AS d', 'REVOKE EXECUTE ON FUNCTION double FROM public', 'GRANT EXECUTE ON FUNCTION double TO public', params => ['4']);
taken('REVOKE on a view', $ann, 'SELECT * FROM shown ORDER BY id', 'REVOKE SELECT ON shown FROM ann', 'GRANT SELECT ON shown TO ann');
taken('REVOKE on a schema', $ann, 'SELECT * FROM closed.records', 'REVOKE USAGE ON SCHEMA closed FROM ann', 'GRANT USAGE ON SCHEMA closed TO ann');
$s->ask('ALTER VIEW shown OWNER TO ben;');
taken('REVOKE of the view\'s owner', $ann, 'SELECT id FROM shown ORDER BY id', 'REVOKE SELECT ON secrets FROM ben', 'GRANT SELECT ON secrets TO ben');
$s->ask('GRANT SELECT ON closed.records TO staff; GRANT USAGE ON SCHEMA closed TO ben;');
taken('a role taken from a role', $ben, 'SELECT id FROM closed.records', 'REVOKE staff FROM ben', 'GRANT staff TO ben');
my $chief = $cache->session(role => 'chief');
taken('no superuser any more', $chief, 'SELECT * FROM closed.records', 'ALTER ROLE chief NOSUPERUSER; GRANT USAGE ON SCHEMA closed TO chief', 'ALTER ROLE chief SUPERUSER');
$s->ask('ALTER VIEW shown SET (security_invoker = on);');
taken('a view with the rights of who asks', $ann, 'SELECT mark FROM shown ORDER BY id', 'REVOKE SELECT ON secrets FROM ann', 'GRANT SELECT ON secrets TO ann');
$s->ask(q{CREATE FUNCTION marks(i int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(mark) FROM secrets); END';});
taken('REVOKE on a table that a function reads', $ann, 'SELECT marks(id) AS m FROM bystander', 'REVOKE SELECT ON secrets FROM ann', 'GRANT SELECT ON secrets TO ann');

# A role dropped and created anew under its name.
$s->ask('CREATE ROLE fay; GRANT SELECT ON secrets TO fay; SET ROLE fay;');
$cache->ask($s, 'SELECT name FROM secrets ORDER BY id');
$cache->expect('a role that will be dropped', $s, 'SELECT name FROM secrets ORDER BY id', 'hit');
$s->ask('RESET ROLE; DROP OWNED BY fay; DROP ROLE fay; CREATE ROLE fay; SET ROLE fay;');
is(($cache->ask($s, 'SELECT name FROM secrets ORDER BY id'))[1], 'ERROR:  42501', 'created anew it has nothing of its namesake');
$s->ask('RESET ROLE;');

# ---- Row security.
$s->ask('CREATE TABLE rows (id int, owner text); INSERT INTO rows VALUES (1, \'ann\'), (2, \'ben\'); GRANT SELECT ON rows TO ann, ben;');
$cache->ask($ann, 'SELECT id FROM rows ORDER BY id');
$cache->expect('before row security', $ann, 'SELECT id FROM rows ORDER BY id', 'hit');
$s->ask('CREATE POLICY own ON rows USING (owner = current_user); ALTER TABLE rows ENABLE ROW LEVEL SECURITY;');
$cache->refuses('row security switched on', $ann, 'SELECT id FROM rows ORDER BY id', 'row_security');
is(($cache->ask($ann, 'SELECT id FROM rows ORDER BY id'))[1], '{"id": 1}', 'shows one row');
is(($cache->ask($ben, 'SELECT id FROM rows ORDER BY id'))[1], '{"id": 2}', 'and another role another');
$cache->ask($s, 'SELECT id FROM rows ORDER BY id');
$s->ask('ALTER TABLE rows DISABLE ROW LEVEL SECURITY;');
$cache->ask($ann, 'SELECT id FROM rows ORDER BY id');
$cache->expect('switched off', $ann, 'SELECT id FROM rows ORDER BY id', 'hit');
$s->ask('ALTER TABLE rows ENABLE ROW LEVEL SECURITY; CREATE VIEW seen AS SELECT id FROM rows; ALTER VIEW seen OWNER TO ben; GRANT SELECT ON seen TO ann;');
$cache->refuses('row security of a view\'s owner', $ann, 'SELECT id FROM seen ORDER BY id', 'row_security');

# ---- Two databases of one template have tables and roles of the same OIDs.
# Whose sessions have ended may still be on their way out: the server waits for them, but not for long.
sub nobody_in {
    my ($database, $from) = @_;
    $node->poll_query_until($from // 'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$database'") or die "somebody stays in $database\n";
    return;
}
$_->quit for $cache->{reader}, $s, $ann, $ben, $chief;
$cache->{writer}->quit if $cache->{writer};
nobody_in('postgres', 'template1');
$node->safe_psql('template1', 'CREATE DATABASE sister TEMPLATE postgres');
$node->safe_psql('sister', 'UPDATE secrets SET name = name || name');
$cache->reconnect;
my $sisters = WhiteCross::Cache->new($node, 'sister');
my ($here, $there) = ($cache->session, $sisters->session);
$cache->ask($here, 'SELECT name FROM secrets ORDER BY id');
$cache->expect('a database', $here, 'SELECT name FROM secrets ORDER BY id', 'hit');
$sisters->expect('its sister with tables of the same OIDs', $there, 'SELECT name FROM secrets ORDER BY id', 'stored');
$sisters->happen(q{UPDATE secrets SET name = 'z'});
$cache->expect('writes of the sister are not ours', $here, 'SELECT name FROM secrets ORDER BY id', 'hit');
$sisters->expect('but its own', $there, 'SELECT name FROM secrets ORDER BY id', 'stored');

# So does a database that is dropped and made anew, where it gets its namesake's OID too.
$_->quit for $there, $sisters->{reader}, $sisters->{writer};
nobody_in('sister');
$node->safe_psql('postgres', 'ALTER DATABASE sister RENAME TO mould');
for my $name ('first', 'second') {
    $node->safe_psql('mould', "UPDATE secrets SET name = '$name'");
    nobody_in('mould');
    $node->safe_psql('postgres', 'CREATE DATABASE cast_of TEMPLATE mould OID 60000');
    my $casts = WhiteCross::Cache->new($node, 'cast_of');
    my $in    = $casts->session;
    $casts->expect("a $name database of one OID", $in, 'SELECT name FROM secrets ORDER BY id', 'stored');
    $casts->expect("a $name database of one OID, again", $in, 'SELECT name FROM secrets ORDER BY id', 'hit');
    $_->quit for $in, $casts->{reader};
    nobody_in('cast_of');
    $node->safe_psql('postgres', 'DROP DATABASE cast_of');
}
$cache->expect('which is nothing to other databases', $here, 'SELECT name FROM secrets ORDER BY id', 'hit');

done_testing();

# wc_create_base_tables(): the reference tables, as ordinary tables of the caller, and the same as the plain file has.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('base_tables');

# The schema of a database as pg_dump writes it, less what differs between two dumps of the same thing.
sub dump_of {
    my ($database) = @_;
    my ($out, $err) = run_command(
        [ 'pg_dump', '--host', $node->host, '--port', $node->port, '--schema-only', '--schema=public', '--no-owner', '--no-privileges', $database ]);
    $out =~ s/^(\\|--).*\n//mg;
    return $out;
}

make_database($node, 'plain', 'reference', students => 0, whitecross => 0);
make_database($node, 'made', 'empty');

$node->safe_psql('made', <<'SQL');
CREATE SCHEMA wc;
SET client_min_messages = warning;
CREATE EXTENSION whitecross SCHEMA wc;
CREATE ROLE registrar;
GRANT USAGE ON SCHEMA wc TO registrar;
GRANT CREATE ON SCHEMA public TO registrar;
SQL

my (undef, $state) = try_sql($node, 'made', 'SET ROLE registrar; SELECT wc.wc_create_base_tables()');
is($state, '42501', 'nobody creates base tables without the right to execute the function');

$node->safe_psql('made', 'GRANT EXECUTE ON FUNCTION wc.wc_create_base_tables() TO registrar');
my $made = $node->safe_psql('made', 'SET ROLE registrar; SELECT * FROM wc.wc_create_base_tables()');
is(scalar(split /\n/, $made), 13, 'thirteen tables are made');
is( $node->safe_psql('made', q{SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables WHERE schemaname = 'public'}),
    'registrar', 'they belong to the caller');
is( $node->safe_psql(
        'made', q{SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND classid = 'pg_class'::regclass
                  AND objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)}),
    '0', 'and are no members of the extension');
like(dump_of('made'), qr/CREATE TABLE public\.incident_reports/, 'the dump has the tables');
is(dump_of('made'), dump_of('plain'), 'examples/reference/schema.sql makes the same tables');

is($node->safe_psql('made', 'SET ROLE registrar; SELECT * FROM wc.wc_create_base_tables()'), '', 'a second call makes nothing');
$node->safe_psql('made', 'DROP TABLE incident_reports, medication_logs');
is( $node->safe_psql('made', 'SET ROLE registrar; SELECT * FROM wc.wc_create_base_tables()'),
    "medication_logs\nincident_reports", 'only what is missing is made');

# In the schema that the site names, whatever its name and the caller's search_path.
$node->safe_psql('made', <<'SQL');
CREATE SCHEMA "Health Office";
SELECT wc.wc_configure('base_schema', 'Health Office');
SELECT wc.wc_create_base_tables();
SQL
is($node->safe_psql('made', q{SELECT count(*) FROM pg_tables WHERE schemaname = 'Health Office'}), '13', 'base_schema is where tables go');

# What was made is what the managed objects need.
$node->safe_psql('made', 'SELECT wc.wc_install()');
is( $node->safe_psql(
        'made', q{SELECT string_agg(o.kind || ' ' || o.number, ', ' ORDER BY o.kind)
                    FROM (SELECT kind, count(*) AS number FROM wc.wc_objects() WHERE status = 'installed' AND kind NOT IN ('trigger', 'refresh index') GROUP BY kind) AS o}),
    'check constraint 13, composite index 14, covering index 15, materialized view 5, partial index 20, view index 18',
    'every managed object can be installed on them');

done_testing();

# Whose the views are, who may read them, and who may install: the owner of students, nobody but whom the site names, and
# whoever has EXECUTE, whatever that role tries to slip in.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('roles');
$node->safe_psql('postgres', 'CREATE ROLE registrar NOLOGIN');
make_database($node, 'plain', 'reference', students => 30, whitecross => 0, owner => 'registrar');
$node->safe_psql('plain', <<'SQL');
CREATE ROLE clinic NOLOGIN;
CREATE ROLE operator;
CREATE ROLE app;
CREATE ROLE "Head Nurse";
CREATE ROLE substitute;
SQL

my $database = 'site0';
sub fresh { my ($sql) = @_; $database++; $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE plain"); sql($sql) if $sql; return; }
sub sql { return $node->safe_psql($database, "SET client_min_messages = warning; $_[0]") }
sub views { return sql(q{SELECT name, status, reason FROM wc_objects() WHERE kind = 'materialized view' AND status <> 'installed' ORDER BY name}) }
sub state_of { return (try_sql($node, $database, $_[0]))[1] }

# ---- Owner of the views.
fresh('CREATE EXTENSION whitecross');
is(sql(q{SELECT DISTINCT matviewowner FROM pg_matviews}), 'registrar', 'the views belong to the owner of students, who can\'t even log in');
is(sql(q{SELECT DISTINCT status FROM wc_refresh_all()}), 'refreshed', 'and are refreshed as that role');

fresh('ALTER TABLE vaccinations OWNER TO clinic; CREATE EXTENSION whitecross');
my $unreadable = 'role registrar, owner of students, may not read table vaccinations';
is(views(), "mv_compliance_status|pending|$unreadable\nmv_student_health_summary|pending|$unreadable",
    'views of a table that the owner of students may not read are pending, with the reason');
is(sql(q{SELECT count(*) FROM wc_objects() WHERE status = 'installed' AND table_name = 'vaccinations'}), '5', 'everything else of that table is there');
sql('GRANT SELECT ON vaccinations TO registrar; SELECT wc_install()');
is(views(), '', 'once it may read the table, wc_install() makes them');

fresh('ALTER TABLE allergies OWNER TO clinic; GRANT SELECT ON allergies TO registrar; ALTER TABLE allergies ENABLE ROW LEVEL SECURITY;
       CREATE POLICY own ON allergies USING (false); CREATE EXTENSION whitecross');
my $row_security = 'row security of table allergies applies to role registrar, owner of students';
is(views(), "mv_allergy_summary|pending|$row_security\nmv_student_health_summary|pending|$row_security", 'as are those of a table whose row security applies to it');
sql('ALTER ROLE registrar BYPASSRLS; SELECT wc_install()');
is(views(), '', 'a role that bypasses row security may own them');
sql('ALTER ROLE registrar NOBYPASSRLS');
fresh('ALTER TABLE allergies ENABLE ROW LEVEL SECURITY; CREATE EXTENSION whitecross');
is(views(), '', 'row security does not apply to the table\'s owner');
fresh('ALTER TABLE allergies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE EXTENSION whitecross');
is(views(), "mv_allergy_summary|pending|$row_security\nmv_student_health_summary|pending|$row_security", 'unless it is forced');

# ---- Grants.
fresh('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app;
       ALTER DEFAULT PRIVILEGES FOR ROLE registrar GRANT SELECT ON TABLES TO app; CREATE EXTENSION whitecross');
my $grants = q{SELECT c.relname, coalesce(g.grantee::regrole::text, ''), g.privilege_type, g.is_grantable, g.grantor::regrole
     FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS g WHERE c.relkind = 'm' AND g.grantee <> c.relowner
   UNION ALL SELECT a.attrelid::regclass || '.' || a.attname, coalesce(g.grantee::regrole::text, ''), g.privilege_type, g.is_grantable, g.grantor::regrole
     FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS g WHERE a.attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'm')
   ORDER BY 1, 2, 3};
is(sql($grants), '', 'nobody is granted anything on a new view, whatever the default privileges');
is(state_of('SET ROLE app; SELECT count(*) FROM mv_allergy_summary'), '42501', 'so that nobody reads it');

sql(<<'SQL');
GRANT SELECT ON mv_allergy_summary TO app WITH GRANT OPTION;
GRANT SELECT ON mv_allergy_summary, mv_medication_schedule TO "Head Nurse";
GRANT SELECT ("studentId", "alertLevel") ON mv_allergy_summary TO PUBLIC;
GRANT SELECT ("studentId") ON mv_compliance_status TO substitute WITH GRANT OPTION;
GRANT REFERENCES, TRIGGER ON mv_appointment_statistics TO app;
GRANT SELECT ON mv_appointment_statistics TO PUBLIC;
SET ROLE app;
GRANT SELECT ON mv_allergy_summary TO substitute WITH GRANT OPTION;
SET ROLE substitute;
GRANT SELECT ON mv_allergy_summary TO clinic;
GRANT SELECT ("studentId") ON mv_compliance_status TO clinic;
SQL
sql('CREATE INDEX my_index ON mv_allergy_summary (lower("lastName")) WHERE "totalAllergies" > 0; CREATE INDEX my_other ON mv_allergy_summary USING hash (grade)');
my $indexes = q{SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid::regclass::text LIKE 'my\_%' ORDER BY 1};
my $added = sql($indexes);
my $given = sql($grants);
like($given, qr/^mv_allergy_summary\|clinic\|SELECT\|f\|substitute$/m, 'a chain of grants');
is(sql('SELECT DISTINCT action FROM wc_suspend_views(); SELECT count(*) FROM pg_matviews'), "dropped\n0", 'the views are suspended');
is(sql(q{SELECT DISTINCT reason FROM wc_objects() WHERE kind = 'materialized view'}), 'suspended: wc_install() brings it back', 'and said to be so');
sql('SELECT wc_suspend_views()');
is(sql('SELECT DISTINCT action FROM wc_install(); SELECT count(*) FROM wc_install()'), "created\n0", 'wc_install() brings them back');
is(sql($grants), $given, 'with all their grants, on the table and on columns, to PUBLIC, with grant options, and with their grantors');
is(sql($indexes), $added, 'and the indexes that the site had added');
is(sql(q{SELECT wc_configure('timezone', 'Asia/Tokyo') IS NULL LIMIT 1; SELECT DISTINCT action FROM wc_install()}), "f\nrebuilt", 'a change rebuilds the views');
is(sql($grants), $given, 'with all their grants');
is(sql(q{SELECT DISTINCT status FROM wc_refresh_all('full')}) && sql($grants), $given, 'a full refresh keeps them');
sql(q{SELECT wc_suspend_views(); DROP OWNED BY substitute; DROP ROLE substitute; SELECT wc_install()});
unlike(sql($grants), qr/substitute/, 'a role that is gone meanwhile gets nothing');
like(sql($grants), qr/^mv_allergy_summary\|clinic\|SELECT\|f\|registrar$/m, 'what it had granted comes from the owner');
is(sql(q{SELECT wc_map_column('users', 'lastName', 'lower("lastName")') IS NULL; CREATE INDEX my_third ON mv_appointment_statistics ("nurseName"); SELECT action FROM wc_install() WHERE name = 'mv_appointment_statistics'}) && sql($indexes),
    $added . "\nCREATE INDEX my_third ON public.mv_appointment_statistics USING btree (\"nurseName\")", 'a rebuild keeps added indexes, too');
sql(q{CREATE FUNCTION gone(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1; CREATE INDEX my_lost ON mv_allergy_summary (gone(grade)); SELECT wc_suspend_views(); DROP FUNCTION gone});
my (undef, $lost_state, $lost) = try_sql($node, $database, 'SELECT count(*) FROM wc_install()');
is($lost_state, '', 'an index that can\'t be made any more does not keep its view away');
like($lost, qr/WARNING: .*an index that was added to "mv_allergy_summary" could not be made again: undefined_function \(42883\)\nHINT: .*wc_registry/, 'but is not lost without a word');
like(sql(q{SELECT indexes FROM wc_registry WHERE indexes IS NOT NULL; UPDATE wc_registry SET indexes = NULL}), qr/my_lost ON public\.mv_allergy_summary/, 'nor at all');
is(sql(q{SELECT count(*) FROM wc_registry WHERE grants IS NOT NULL OR indexes IS NOT NULL}), '0', 'and nothing is remembered any longer');

# ---- Who may do it.
fresh('CREATE SCHEMA wc; CREATE EXTENSION whitecross SCHEMA wc; GRANT USAGE ON SCHEMA wc TO operator');
my @calls = (q{wc_install()}, q{wc_retire()}, q{wc_suspend_views()}, q{wc_validate()}, q{wc_enforce('chk_students_grade_valid')},
    q{wc_disable('mv_allergy_summary')}, q{wc_enable('mv_allergy_summary')}, q{wc_configure('grades', 'K')}, q{wc_map_column('users', 'firstName', 'email')},
    q{wc_create_base_tables()}, q{wc_breaches('chk_students_grade_valid')});
is(state_of("SET ROLE operator; SELECT wc.$_"), '42501', "$_ is granted to nobody") for @calls;
is(state_of("SET ROLE operator; SELECT * FROM wc.$_"), '', "$_ is for everybody")
  for qw(wc_objects() wc_object_links() wc_configuration wc_column_mapping wc_resolve_columns());

sql('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA wc TO operator');
is(sql('SET ROLE operator; SELECT DISTINCT action FROM wc.wc_retire()'), 'dropped', 'a role with EXECUTE that owns nothing can retire');
is(sql('SET ROLE operator; SELECT DISTINCT action FROM wc.wc_install()'), 'created', 'and install');
is(sql(q{SELECT DISTINCT matviewowner FROM pg_matviews}), 'registrar', 'for the owner');
is(state_of('SET ROLE operator; SELECT count(*) FROM mv_allergy_summary'), '42501', 'which does not let it read');
is(state_of(q{SET ROLE operator; SELECT wc.wc_breaches('chk_students_grade_valid')}), '42501', 'neither the views nor the tables');

# It tries to slip in functions, operators, casts and tables of its own, first in its search_path and as temporary ones.
sql(<<"SQL");
CREATE TABLE public.caught (who text);
GRANT INSERT ON public.caught TO PUBLIC;
CREATE SCHEMA trap AUTHORIZATION operator;
GRANT TEMPORARY ON DATABASE $database TO operator;
SQL
my $trap = q{LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.caught VALUES (current_user); };
sql(<<"SQL");
SET ROLE operator;
CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql RETURN 'DROP TABLE public.students';
CREATE FUNCTION trap.quote_ident(text) RETURNS text $trap RETURN \$1; END\$\$;
CREATE FUNCTION trap.obj_description(oid, name) RETURNS text $trap RETURN NULL; END\$\$;
CREATE FUNCTION trap.now() RETURNS timestamptz $trap RETURN clock_timestamp(); END\$\$;
CREATE FUNCTION trap.current_setting(text, boolean) RETURNS text $trap RETURN NULL; END\$\$;
CREATE FUNCTION trap.btrim(text, text) RETURNS text $trap RETURN \$1; END\$\$;
CREATE FUNCTION trap.isfinite(date) RETURNS boolean $trap RETURN true; END\$\$;
CREATE FUNCTION trap.same(text, text) RETURNS boolean $trap RETURN true; END\$\$;
CREATE FUNCTION trap.same_number(integer, integer) RETURNS boolean $trap RETURN true; END\$\$;
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.same);
CREATE OPERATOR trap.>= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.same_number);
CREATE TABLE trap.wc_registry AS SELECT * FROM wc.wc_registry LIMIT 0;
CREATE TABLE trap.students AS SELECT 1 AS id;
CREATE DOMAIN trap.timestamptz AS text;
SQL
my $dangerous = <<'SQL';
SET search_path = trap, pg_temp, public, pg_catalog;
SET ROLE operator;
CREATE TEMP TABLE pg_class (LIKE pg_catalog.pg_class);
CREATE TEMP TABLE wc_registry (LIKE wc.wc_registry);
CREATE TEMP TABLE students (id int);
SELECT wc.wc_retire();
SELECT wc.wc_install();
SELECT wc.wc_configure('grades', 'Pre-K,K,1,2,3,4,5,6,7,8,9,10,11,12');
SELECT wc.wc_install();
SELECT wc.wc_validate();
SELECT wc.wc_refresh_all(workers => 0);
SELECT * FROM wc.wc_objects();
SELECT wc.wc_suspend_views();
SELECT wc.wc_install();
SQL
is(sql(q{SET search_path = trap, pg_catalog; SET ROLE operator; SELECT 'a' = 'b'; RESET ROLE; SELECT who FROM public.caught}), "t\noperator", 'the trap works');
sql('TRUNCATE public.caught');
is(state_of($dangerous), '', 'an attack by search_path does not stop anything');
is(sql('SELECT count(*) FROM public.caught'), '0', 'nor is anything of the attacker\'s called');
is(sql(q{SELECT count(*) FROM wc.wc_objects() WHERE status <> 'installed' AND kind <> 'trigger'}), '0', 'everything is installed as it should be');

# The owner of a table brings a type with a cast of his own, and waits for a superuser to install.
fresh(<<"SQL");
CREATE TABLE public.caught (who text);
GRANT INSERT ON public.caught TO PUBLIC;
GRANT CREATE ON SCHEMA public TO registrar;
SET ROLE registrar;
CREATE TYPE place AS ENUM ('Office', 'Classroom');
CREATE FUNCTION place_text(place) RETURNS text $trap RETURN 'somewhere'; END\$\$;
CREATE CAST (place AS text) WITH FUNCTION place_text(place) AS IMPLICIT;
ALTER TABLE allergies ALTER COLUMN "epiPenLocation" TYPE place USING 'Office';
RESET ROLE;
CREATE EXTENSION whitecross;
SELECT wc_validate();
SQL
is(sql('SELECT count(*) FROM public.caught'), '0', 'a cast of the table owner\'s is never called with the installer\'s rights');
is(sql(q{SELECT btrim("epiPenLocation") = '' FROM allergies LIMIT 1; SELECT DISTINCT who FROM public.caught}) =~ /postgres\z/, 1, 'though it would have been');
is(sql(q{SELECT name, status, reason FROM wc_objects() WHERE name = 'chk_allergies_epipen_location'}),
    'chk_allergies_epipen_location|pending|insufficient_privilege (42501)', 'what would call it is pending');

# A mapping is given before its table is there, when only its form can be checked.
fresh(<<"SQL");
CREATE TABLE public.caught (who text);
GRANT INSERT ON public.caught TO PUBLIC;
CREATE FUNCTION public.curse(text) RETURNS text $trap RETURN \$1; END\$\$;
ALTER TABLE users RENAME TO users_to_come;
CREATE EXTENSION whitecross;
SELECT wc_map_column('users', 'lastName', 'public.curse("lastName")');
SQL
is(state_of(q{SELECT wc_map_column('users', 'firstName', 'a) FROM x --')}), '42601', 'its form is checked at once');
sql('ALTER TABLE users_to_come RENAME TO users; SELECT wc_install()');
is(sql(q{SELECT status, reason FROM wc_objects() WHERE name = 'mv_appointment_statistics'}), 'pending|invalid_parameter_value (22023)',
    'when the table is there, a view is not made with a function that isn\'t built in');
is(sql('SELECT count(*) FROM public.caught'), '0', 'and that function is not called');
sql(q{SELECT wc_map_column('users', 'lastName', 'upper("lastName")'); SELECT wc_install()});
is(sql(q{SELECT status FROM wc_objects() WHERE name = 'mv_appointment_statistics'}), 'installed', 'with a built-in one it is made');

done_testing();

# No index or constraint of ours refuses a row that the tables take: the longest values that every column can hold, which
# no compression makes smaller, are inserted, updated and refreshed.  An index row over 2,704 bytes would make the INSERT
# into the base table fail.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# Below: wide.of(TYPE, SALT) is the widest value of a type as jsonb, wide.values(TABLE, SALT) those of all columns of a
# table that can take one, wide.put(TABLE, SALT) inserts a row with them and changes two rows to have them.
my $tools = <<'SQL';
CREATE SCHEMA wide;

-- length characters of four bytes each, of a plane where there is nothing to compress.
CREATE FUNCTION wide.characters(length integer, salt text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(chr(131072 + mod(abs(hashtext(salt || i)), 42000)), '' ORDER BY i) FROM generate_series(1, length) AS i $$;

-- 100 kB of text.
CREATE FUNCTION wide.text(salt text) RETURNS text LANGUAGE sql AS $$
  SELECT left(string_agg(translate(encode(sha512((salt || i)::bytea), 'base64'), E'\n', ''), '' ORDER BY i), 102400) FROM generate_series(1, 1200) AS i $$;

-- The columns that matter: character types and JSON, with their declared lengths.
CREATE VIEW wide.columns AS
SELECT c.relname AS table_name, a.attname AS column_name, t.typname AS type, a.atttypmod - 4 AS length,
       EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND a.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])) AS in_key,
       EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)) AS in_check
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid JOIN pg_type AS t ON t.oid = a.atttypid
 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'wc\_%' AND a.attnum > 0
   AND NOT a.attisdropped AND t.typname IN ('text', '_text', 'varchar', '_varchar', 'json', 'jsonb');

-- grade has to be one of the site's grades: no wide value is a grade.  A dosage begins with a number.
CREATE FUNCTION wide.values(of_table text, salt text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT coalesce(jsonb_object_agg(column_name, CASE
           WHEN type = 'text' THEN to_jsonb(wide.text(salt || column_name))
           WHEN type = '_text' THEN jsonb_build_array('08:00', wide.text(salt || column_name))
           WHEN type = 'varchar' AND (of_table, column_name) = ('student_medications', 'dosage') THEN to_jsonb('5' || wide.characters(length - 1, salt || column_name))
           WHEN type = 'varchar' THEN to_jsonb(wide.characters(length, salt || column_name))
           WHEN type = '_varchar' THEN jsonb_build_array(wide.characters(length, salt || column_name))
           ELSE jsonb_build_object('value', wide.text(salt || column_name)) END), '{}')
    FROM wide.columns
   WHERE table_name = of_table AND NOT (type = 'text' AND (in_key OR in_check)) AND (table_name, column_name) <> ('students', 'grade') $$;

-- A row that is live, active, current, and belongs to the wide student, its wide medication and so on.
CREATE TABLE wide.ids (table_name text PRIMARY KEY, id uuid);
CREATE FUNCTION wide.put(of_table text, salt text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  new_id uuid := gen_random_uuid();
  live jsonb;
  model uuid;
BEGIN
  INSERT INTO wide.ids VALUES (of_table, new_id);
  SELECT jsonb_build_object('id', new_id, 'deletedAt', NULL, 'isActive', true, 'active', true, 'isControlled', true, 'requiresWitness', true,
                            'epiPenRequired', true, 'startDate', current_date - 10, 'endDate', NULL, 'scheduledAt', now(), 'administeredAt', now())
         || coalesce((SELECT jsonb_object_agg(column_name, i.id) FROM (VALUES ('students', 'studentId'), ('medications', 'medicationId'), ('schools', 'schoolId'),
                             ('users', 'nurseId'), ('student_medications', 'studentMedicationId')) AS f (table_name, column_name) JOIN wide.ids AS i USING (table_name)), '{}')
    INTO live;
  -- A controlled medication has a schedule: on the platform that is an enum, in the reference it is wide.
  IF of_table = 'medications' THEN live := live || '{"deaSchedule": "II"}'; END IF;
  EXECUTE format('SELECT id FROM public.%I ORDER BY id LIMIT 1', of_table) INTO STRICT model;
  EXECUTE format('INSERT INTO public.%I SELECT (jsonb_populate_record(t, $1)).* FROM public.%1$I AS t WHERE id = $2', of_table)
    USING live || wide.values(of_table, salt), model;
  PERFORM wide.change(of_table, new_id, salt || ' again');
  -- One that was there before, whatever it is.
  PERFORM wide.change(of_table, model, salt || ' old');
END $$;

CREATE FUNCTION wide.change(of_table text, row_id uuid, salt text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  names text;
  controlled jsonb := CASE WHEN of_table = 'medications' THEN '{"isControlled": true, "requiresWitness": true, "deaSchedule": "II"}' ELSE '{}' END;
BEGIN
  SELECT string_agg(quote_ident(key), ', ' ORDER BY key) INTO names FROM jsonb_each(controlled || wide.values(of_table, salt));
  EXECUTE format('UPDATE public.%I AS t SET (%s) = (SELECT %2$s FROM jsonb_populate_record(t, $1)) WHERE id = $2', of_table, names)
    USING controlled || wide.values(of_table, salt), row_id;
END $$;

-- The columns of a table whose widest value isn't stored whole in its row.
CREATE FUNCTION wide.missing(of_table text, salt text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  stored jsonb;
BEGIN
  EXECUTE format('SELECT to_jsonb(t) FROM public.%I AS t JOIN wide.ids AS i USING (id) WHERE i.table_name = $1', of_table) USING of_table INTO STRICT stored;
  RETURN (SELECT string_agg(key, ', ') FROM jsonb_each(wide.values(of_table, salt || ' again')) WHERE value IS DISTINCT FROM stored -> key);
END $$;
SQL

my @tables = qw(schools users medications students student_medications medication_logs vital_signs appointments allergies
  health_records vaccinations chronic_conditions incident_reports);

my $node = new_node('wide_values');

for my $kind ('reference', 'platform') {
    make_database($node, $kind, $kind, students => 60);
    $node->safe_psql($kind, $tools);

    # What is left out of the test is left out for the reason that the test allows, and nothing else.
    is( $node->safe_psql($kind, q{SELECT table_name, column_name FROM wide.columns WHERE type = 'text' AND (in_key OR in_check) ORDER BY 1, 2}),
        '', "$kind: no column of type text is in an index key or under a constraint");

    for my $table (($kind eq 'platform' ? 'districts' : ()), @tables) {
        my (undef, $state, $err) = try_sql($node, $kind, "SELECT wide.put('$table', 'a')");
        is($state, '', "$kind: the widest values go into $table") or diag(substr($err, 0, 400));
        is($node->safe_psql($kind, "SELECT wide.missing('$table', 'a')"), '', "$kind: and stand there whole");
    }

    for my $mode ('full', 'concurrent', 'auto') {
        is( $node->safe_psql($kind, "SELECT string_agg(DISTINCT status || coalesce(sqlstate, ''), ',') FROM wc_refresh_all('$mode')"),
            'refreshed', "$kind: the views are refreshed ($mode)");
        is( $node->safe_psql($kind, <<'SQL'), '100|255|t|t', "$kind: and show the wide values ($mode)");
SELECT length(h."firstName"), length(h."epiPenLocation"), a.allergies @> jsonb_build_array(jsonb_build_object('allergen', t.allergen)), m."medicationName" = d.name
  FROM wide.ids AS i
  JOIN mv_student_health_summary AS h ON h."studentId" = i.id
  JOIN mv_allergy_summary AS a ON a."studentId" = i.id
  JOIN wide.ids AS j ON j.table_name = 'allergies' JOIN allergies AS t ON t.id = j.id
  JOIN wide.ids AS k ON k.table_name = 'student_medications' JOIN mv_medication_schedule AS m ON m."studentMedicationId" = k.id
  JOIN wide.ids AS l ON l.table_name = 'medications' JOIN medications AS d ON d.id = l.id
 WHERE i.table_name = 'students'
SQL
    }
    is($node->safe_psql($kind, q{SELECT count(*) FROM wc_objects() WHERE status NOT IN ('installed', 'adopted', 'not applicable')}),
        '0', "$kind: every object is still there");

    # And where the rows stand there first: indexes and views are made over them.
    $node->safe_psql($kind, "SET client_min_messages = warning; DROP EXTENSION whitecross; CREATE EXTENSION whitecross");
    is($node->safe_psql($kind, q{SELECT count(*) FROM wc_objects() WHERE status NOT IN ('installed', 'adopted', 'not applicable')}),
        '0', "$kind: every object can be made over wide rows");
}

done_testing();

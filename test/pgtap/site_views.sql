-- Views of the site's own: what wc_add_view() refuses and with which SQLSTATE, what it leaves then (nothing), and what a view that it
-- takes is worth.
-- databases: reference platform
SELECT * FROM no_plan();

CREATE TABLE clubs (id integer PRIMARY KEY, name text, "meets on" text);
CREATE TABLE club_members (id serial PRIMARY KEY, "clubId" integer REFERENCES clubs, "studentId" uuid, since date);
INSERT INTO clubs SELECT i, 'club ' || i, 'Monday' FROM generate_series(1, 7) AS i;
INSERT INTO club_members ("clubId", "studentId", since)
SELECT 1 + n % 7, id, date '2025-01-01' + n FROM (SELECT id, row_number() OVER (ORDER BY id)::integer AS n FROM students) AS s;
CREATE VIEW club_names AS SELECT name FROM clubs;
CREATE FUNCTION doubled(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE FUNCTION drawn() RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT 4';
CREATE FUNCTION foreign_to_us(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 3 * $1';
ALTER FUNCTION foreign_to_us(integer) OWNER TO pg_monitor;

CREATE TABLE before AS SELECT * FROM wc_objects();
CREATE FUNCTION pg_temp.adding(definition text, keys text DEFAULT '{id}', rest text DEFAULT '') RETURNS text LANGUAGE sql AS
  $$ SELECT format('SELECT * FROM wc_add_view(''own'', %L, %L%s)', $1, $2, $3) $$;
-- A definition that is good but for one expression of it.
CREATE FUNCTION pg_temp.with(expression text) RETURNS text LANGUAGE sql AS
  $$ SELECT format('SELECT s."id", %s AS x FROM {students: id, lastName, schoolId} AS s WHERE true {only s."id"}', $1) $$;

-- ---- Arguments.
SELECT throws_ok($$SELECT * FROM wc_add_view(NULL, 'SELECT 1', '{a}')$$, '22004', 'name must not be null', 'a name is needed');
SELECT throws_ok($$SELECT * FROM wc_add_view('own', NULL, '{a}')$$, '22004', 'definition must not be null', 'a definition, too');
SELECT throws_ok($$SELECT * FROM wc_add_view('own', 'SELECT 1', NULL)$$, '22004', 'key_columns must not be null', 'and a key');
SELECT throws_ok($$SELECT * FROM wc_add_view('own', 'SELECT 1', '{a,NULL}')$$, '22004', 'key_columns must not be null', 'whole');
SELECT throws_ok(format('SELECT * FROM wc_add_view(%L, ''SELECT 1'', ''{a}'')', name), '22023', NULL, format('a view can''t be named "%s"', left(name, 10)))
  FROM unnest(ARRAY['', ' ', '1st', 'wc_own', 'pg_own', 'two words', 'a"b', '{x}', repeat('x', 59)]) AS name;
SELECT throws_ok(format('SELECT * FROM wc_add_view(''own'', ''SELECT 1'', %L)', keys), '22023', NULL, 'the key can''t be ' || keys)
  FROM unnest(ARRAY['{}', '{""}', '{a,a}', '{{a},{b}}', '{"a b"}', '{a,b,c,d,e,f,g,h,i}']) AS keys;
SELECT throws_ok(pg_temp.adding('   '), '22023', NULL, 'an empty definition');
SELECT throws_ok(pg_temp.adding(repeat(' x', 50001)), '22023', NULL, 'a huge definition');
SELECT throws_ok(pg_temp.adding(pg_temp.with('1'), '{id}', ', ' || quote_literal(sources)), '22023', NULL, 'sources can''t be ' || sources)
  FROM unnest(ARRAY['[]', '1', '{"students": 1}', '{"students": ""}', '{"clubs": "SELECT 1"}', '{"students": "SELECT c.id, 1 FROM {changed: id} AS c"}']) AS sources;
SELECT throws_ok(pg_temp.adding(pg_temp.with('1'), '{id}', $$, keys_between => 'SELECT v.id FROM {view} AS v'$$), '22023', NULL, 'keys_between needs next_moment');
SELECT throws_ok(pg_temp.adding(pg_temp.with('1'), '{id}', $$, next_moment => 'SELECT {next day}'$$), '22023', NULL, 'next_moment needs keys_between');

-- ---- Names that are taken.
SELECT throws_ok(format('SELECT * FROM wc_add_view(%L, %L, ''{id}'')', name, pg_temp.with('1')), state, NULL, name || ' is taken')
  FROM (VALUES ('mv_allergy_summary', '42710'), ('mv_allergy_summary_school', '42710'), ('chk_students_grade_valid', '42710'), ('students', '42P07'),
               ('club_names', '42P07'), ('clubs', '42P07'), ('students_pkey', '42P07')) AS t (name, state);
CREATE VIEW own_pkey AS SELECT 1;
SELECT throws_ok(pg_temp.adding(pg_temp.with('1')), '42P07', 'relation "own_pkey" already exists', 'the name of its index is taken');
DROP VIEW own_pkey;

CREATE TYPE own AS ENUM ('taken');
SELECT throws_ok(pg_temp.adding(pg_temp.with('1')), '55000', 'the view can''t be made now', 'the name of its row type is taken');
DROP TYPE own;
SELECT throws_ok(pg_temp.adding(pg_temp.with('1') || ' -- ', '{id}', format(', jsonb_build_object(''students'', %L)', E'SELECT c.id FROM {changed: id} AS c -- all\n) AS k')), '42601', NULL, 'a query can''t get out of its brackets');

-- ---- Texts.
SELECT throws_ok(pg_temp.adding(definition), state, NULL, what) FROM (VALUES
  ('SELECT 1 AS id', '0A000', 'no mark'),
  ('SELECT 1 AS id WHERE true {only id}', '0A000', 'no table'),
  ('SELECT s.id FROM {students: id} AS s WHERE true {only s.id', '42601', 'a brace is open'),
  ('SELECT s.id FROM {students: id} AS s WHERE true {only s.id} {nonsense}', '42601', 'an unknown placeholder'),
  ('SELECT s.id FROM {students: id} AS s WHERE true {only s.id} {changed: id}', '42601', 'changed rows in a definition'),
  ('SELECT s.id FROM {students: id} AS s WHERE true {only s.id, s.id}', '42601', 'a mark for another key'),
  ('SELECT s.id FROM {students: id} AS s {only s.id}', '42601', 'a mark without WHERE'),
  ('SELECT s.id FORM {students: id} AS s WHERE true {only s.id}', '42601', 'no SQL'),
  ('SELECT s.id FROM {students: id} AS s WHERE true {only s.id}; SELECT 2', '42601', 'two statements'),
  ('DELETE FROM {students: id} AS s WHERE true {only s.id}', '42601', 'no SELECT that could be'),
  ('EXPLAIN SELECT s.id FROM {students: id} AS s WHERE true {only s.id}', '0A000', 'no SELECT'),
  ('SELECT s.id INTO x FROM {students: id} AS s WHERE true {only s.id}', '0A000', 'SELECT INTO'),
  ('WITH d AS (DELETE FROM public.clubs RETURNING id) SELECT s.id FROM {students: id} AS s WHERE true {only s.id}', '0A000', 'data-modifying WITH'),
  ('SELECT s.id FROM {students: id} AS s WHERE true {only s.id} FOR UPDATE', '0A000', 'FOR UPDATE'),
  ('SELECT s.id FROM {no_such_table: id} AS s WHERE true {only s.id}', '42P01', 'no such table'),
  ('SELECT s.id FROM {club_names: name} AS s WHERE true {only s.id}', '42P01', 'a view'),
  ('SELECT s."studentId" AS id FROM {mv_allergy_summary: studentId} AS s WHERE true {only s."studentId"}', '42P01', 'one of our views'),
  ('SELECT s.id FROM {students: id, no_such} AS s WHERE true {only s.id}', '42703', 'no such column'),
  ('SELECT s.id FROM {clubs: id, "meetsOn"} AS s WHERE true {only s.id}', '42703', 'no such column of a table of the site''s own'),
  ('SELECT s.name AS id FROM {wc_registry: name} AS s WHERE true {only s.name}', '0A000', 'a table of the extension'),
  (pg_temp.with('(SELECT count(*) FROM public.clubs)'), '0A000', 'a table by its name'),
  (pg_temp.with('(SELECT count(*) FROM public.students)'), '0A000', 'one that it reads by a placeholder too'),
  (pg_temp.with('(SELECT count(*) FROM public.mv_allergy_summary)'), '0A000', 'a view by its name'),
  (pg_temp.with('(SELECT count(*) FROM pg_class)'), '0A000', 'a catalogue'),
  (pg_temp.with('random()'), '0A000', 'chance'),
  (pg_temp.with('public.drawn()'), '0A000', 'a volatile function'),
  (pg_temp.with('public.foreign_to_us(1)'), '42501', 'a function of another role'),
  (pg_temp.with('now()'), '0A000', 'now()'),
  (pg_temp.with('clock_timestamp()'), '0A000', 'clock_timestamp()'),
  (pg_temp.with('CURRENT_DATE'), '0A000', 'CURRENT_DATE'),
  (pg_temp.with('LOCALTIMESTAMP(0)'), '0A000', 'LOCALTIMESTAMP'),
  (pg_temp.with('age(timestamp ''2020-01-01'')'), '0A000', 'age() of one argument'),
  (pg_temp.with('date ''today'''), '0A000', 'a date that is today''s'),
  (pg_temp.with('''tomorrow 08:00''::timestamptz'), '0A000', 'a time that is tomorrow''s'),
  (pg_temp.with('CURRENT_USER'), '0A000', 'CURRENT_USER'),
  (pg_temp.with('current_setting(''work_mem'')'), '0A000', 'a setting'),
  (pg_temp.with('txid_current()'), '0A000', 'a transaction'),
  (pg_temp.with('{now}'), '0A000', '{now} without keys_between'),
  (pg_temp.with('{today}'), '0A000', '{today} without keys_between'),
  (pg_temp.with('''[]''::json'), '42883', 'a column without equality'),
  (pg_temp.with('1') || ' UNION SELECT 1', '42601', 'an operand too short'),
  ('SELECT s.id, s.id FROM {students: id} AS s WHERE true {only s.id}', '42701', 'a name twice'),
  ('SELECT s.id AS other FROM {students: id} AS s WHERE true {only s.id}', '42703', 'no key among its columns'),
  ('SELECT ARRAY[s.id] AS id FROM {students: id} AS s WHERE true {only ARRAY[s.id]}', '42883', 'a key of a type that no refresh can name')
) AS t (definition, state, what);

-- ---- Queries of keys.
SELECT throws_ok(pg_temp.adding(pg_temp.with('1'), '{id}', format(', jsonb_build_object(''students'', %L)', keys)), state, NULL, 'keys: ' || keys) FROM (VALUES
  ('SELECT 1', '42846'), ('SELECT id FROM public.clubs', '0A000'), ('SELECT c.id FROM {changed: no_such} AS c', '42703'),
  ('SELECT c.id FROM {changed: id} AS c WHERE random() > 0', '0A000'), ('DELETE FROM public.clubs', '0A000'), ('SELECT {view}', '42601'),
  ('SELECT v.x FROM {changed: id} AS c, {view} AS v', '42846'), ('SELECT l.id FROM {no_such: id} AS l', '42P01')) AS t (keys, state);
SELECT throws_ok(pg_temp.adding(pg_temp.with('{now}'), '{id}', format(', keys_between => %L, next_moment => %L', keys, moment)), state, NULL,
                 format('between: %s; next: %s', keys, moment)) FROM (VALUES
  ('SELECT v.no_such FROM {view} AS v', 'SELECT {next day}', '42703'), ('SELECT v.id, 1 FROM {view} AS v', 'SELECT {next day}', '22023'),
  ('SELECT v.id FROM {view} AS v WHERE {then} < now()', 'SELECT {next day}', '0A000'), ('SELECT v.id FROM {view} AS v', 'SELECT true', '42846'),
  ('SELECT v.id FROM {view} AS v', 'SELECT {now}, {now}', '22023'), ('SELECT v.id FROM {view} AS v', 'SELECT {then}', '42601')) AS t (keys, moment, state);

-- ---- What only the rows tell.
SELECT throws_ok(pg_temp.adding(definition, keys), state, NULL, what) FROM (VALUES
  ('SELECT s."schoolId" AS id FROM {students: schoolId} AS s WHERE true {only s."schoolId"}', '{id}', '23505', 'rows with one key'),
  (pg_temp.with('1 / (length(s."lastName") - length(s."lastName"))'), '{id}', '22012', 'a division by zero'),
  (pg_temp.with('s."lastName"::integer'), '{id}', '22P02', 'a name that is no number'),
  (pg_temp.with('rank() OVER (ORDER BY s."lastName", s."id")'), '{id}', '0A000', 'a window over all rows'),
  (pg_temp.with('count(*) OVER ()'), '{id}', '0A000', 'a count of all rows'),
  (pg_temp.with('1') || ' ORDER BY 1 LIMIT 20', '{id}', '0A000', 'the first rows'),
  (pg_temp.with('1') || ' ORDER BY 1 OFFSET 1', '{id}', '0A000', 'all but the first'),
  ('SELECT DISTINCT ON (left(s.id::text, 1)) s.id FROM {students: id} AS s WHERE true {only s.id}', '{id}', '0A000', 'the first of several'),
  ('SELECT s."schoolId", count(*) AS n FROM {students: id, schoolId} AS s WHERE true {only s."id"} GROUP BY 1', '{schoolId}', '0A000', 'a mark at another column')
) AS t (definition, keys, state, what);

-- ---- Nothing is left of all that.
SELECT is((SELECT count(*) FROM wc_site_view), 0::bigint, 'no view was registered');
SELECT set_eq('SELECT * FROM wc_objects()', 'SELECT * FROM before', 'no object is there that was not');
SELECT hasnt_materialized_view('own', 'no view was made');
SELECT is((SELECT count(*) FROM wc_refresh_log WHERE view_name = 'own'), 0::bigint, 'nothing stands in the log');

-- ---- What is taken.
SELECT lives_ok(pg_temp.adding(definition, keys), what) || E'\n' || lives_ok('SELECT * FROM wc_remove_view(''own'')', 'and is removed: ' || what) FROM (VALUES
  (pg_temp.with('1') || ';', '{id}', 'with a semicolon'), (pg_temp.with('1') || ' -- so be it', '{id}', 'with a comment'),
  (pg_temp.with('public.doubled(4)'), '{id}', 'with a function of a superuser'),
  (pg_temp.with('rank() OVER (PARTITION BY s."id" ORDER BY s."lastName")'), '{id}', 'with a window over one key'),
  ('SELECT m.id, m."studentId", m.since FROM {club_members: id, studentId, since} AS m WHERE true {only m.id, m."studentId", m.since}', '{id,studentId,since}', 'with three keys of three types'),
  ('SELECT c."meets on" AS day, count(*) AS n FROM {clubs: "meets on"} AS c WHERE true {only c."meets on"} GROUP BY 1', '{day}', 'with a name of two words'),
  ('SELECT (c.id * 1.50)::numeric AS id FROM {clubs: id} AS c WHERE true {only (c.id * 1.50)::numeric}', '{id}', 'with a key that is an expression'),
  ('WITH w AS (SELECT c.id FROM {clubs: id} AS c WHERE true {only c.id}) TABLE w', '{id}', 'with WITH'),
  ('SELECT c.id, 1 AS of FROM {clubs: id} AS c WHERE c.id < 3 {only c.id} UNION ALL SELECT c.id, 2 FROM {clubs: id} AS c WHERE c.id > 2 {only c.id}', '{id}', 'with UNION')
) AS t (definition, keys, what);

SELECT throws_ok($$SELECT * FROM wc_remove_view(NULL)$$, '22004', NULL, 'which one?');
SELECT throws_ok($$SELECT * FROM wc_remove_view('own')$$, '42704', NULL, 'there is none of that name');
SELECT throws_ok($$SELECT * FROM wc_remove_view('mv_allergy_summary')$$, '42809', NULL, 'one of ours stays');
SELECT lives_ok(pg_temp.adding(pg_temp.with('1')), 'a view is added');
SELECT throws_ok(pg_temp.adding(pg_temp.with('1')), '42710', NULL, 'once');
CREATE VIEW on_own AS SELECT id FROM own;
SELECT throws_ok($$SELECT * FROM wc_remove_view('own')$$, '2BP01', 'cannot remove view "own"', 'what others depend on stays');
DROP VIEW on_own;
SELECT throws_ok($$SET LOCAL ROLE pg_monitor; SELECT * FROM wc_remove_view('own')$$, '42501', NULL, 'nobody may remove it');
SELECT throws_ok($$SET LOCAL ROLE pg_monitor; SELECT * FROM own$$, '42501', NULL, 'or read it');

-- ---- It is one of ours.
SELECT is((SELECT string_agg(status, ',') FROM wc_objects() WHERE name IN ('own', 'own_pkey')), 'installed,installed', 'it is listed');
SELECT is((SELECT relowner::regrole FROM pg_class WHERE oid = 'own'::regclass), (SELECT relowner::regrole FROM pg_class WHERE oid = 'students'::regclass), 'it has the owner of students');
SELECT is((SELECT schedule FROM wc_view_schedule WHERE view_name = 'own'), 'hourly', 'it is scheduled');
SELECT lives_ok($$SELECT wc_set_schedule('own', 'daily', '03:00')$$, 'by the site, too');
SELECT is((SELECT refreshed_by FROM wc_view_stats('own')), 'install', 'it has statistics');
SELECT ok((SELECT bool_and(linked) FROM wc_object_links() WHERE name LIKE 'own%'), 'it goes with the extension');
SELECT is((SELECT array_agg(action ORDER BY action) FROM wc_disable('own')), ARRAY['disabled', 'dropped', 'dropped'], 'it can be switched off');
SELECT lives_ok($$SELECT wc_enable('own')$$, 'and on');
SELECT set_eq($$SELECT name, action FROM wc_install() WHERE name LIKE 'own%'$$, $$VALUES ('own', 'created'), ('own_pkey', 'created')$$, 'then it is made again');
SELECT is((SELECT count(*) FROM wc_suspend_views() WHERE name LIKE 'own%' AND action = 'dropped'), 2::bigint, 'it is suspended with ours');
SELECT lives_ok('SELECT wc_install()', 'and brought back');
UPDATE students SET "lastName" = "lastName" || '!' WHERE id = (SELECT min(id::text)::uuid FROM students);
SELECT is((SELECT status || ' ' || mode FROM wc_refresh('own')), 'refreshed incremental', 'it is refreshed by keys');
SELECT results_eq('SELECT missing, extra, pending FROM wc_verify(''own'')', 'SELECT 0::bigint, 0::bigint, 0::bigint', 'and holds what its definition says');
SELECT lives_ok('SELECT * FROM wc_remove_view(''own'')', 'it is removed');
SELECT set_eq('SELECT * FROM wc_objects()', 'SELECT * FROM before', 'with everything that came with it');
SELECT is((SELECT count(*) FROM wc_site_schedule) + (SELECT count(*) FROM wc_view_state WHERE view_name = 'own')
          + (SELECT count(*) FROM wc_registry WHERE name LIKE 'own%') + (SELECT count(*) FROM wc_refresh_log WHERE view_name = 'own'), 0::bigint, 'nothing is remembered of it');

-- ---- A wider key, {keys} and time.
SELECT lives_ok($add$SELECT * FROM wc_add_view('joined', $view$
  SELECT m."clubId", m."studentId", {today} - m.since AS days
    FROM {when keys} {keys} AS key ("clubId", "studentId") JOIN {end} {club_members: clubId, studentId, since} AS m {when keys} USING ("clubId", "studentId") {end}
   WHERE m.since <= {today}$view$, '{clubId,studentId}', jsonb_build_object('club_members', 'SELECT c."clubId", c."studentId" FROM {changed: clubId, studentId} AS c'),
  'SELECT v."clubId", v."studentId" FROM {view} AS v WHERE {that day} <> {today}
   UNION ALL SELECT m."clubId", m."studentId" FROM {club_members: clubId, studentId, since} AS m WHERE m.since > {that day} AND m.since <= {today}', 'SELECT {next day}')$add$, 'a key of two columns');
SELECT set_eq($$SELECT table_name, direct FROM wc_source_catalogue WHERE view_name = 'joined'$$, $$VALUES ('club_members', false)$$, 'its source is the given one');
UPDATE club_members SET "clubId" = 1 + "clubId" % 7 WHERE id % 5 = 0;
SELECT is((SELECT mode FROM wc_refresh('joined')), 'incremental', 'by keys');
SELECT results_eq('SELECT missing, extra, pending FROM wc_verify(''joined'')', 'SELECT 0::bigint, 0::bigint, 0::bigint', 'and right');
SELECT is((SELECT next_moment IS NOT NULL FROM wc_refresh_queries('joined')), true, 'it knows when it changes next');


-- ---- In a transaction whose snapshot may be older than the triggers.
SELECT lives_ok('SELECT * FROM wc_remove_view(''joined'')', 'it is removed, too');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT throws_ok(pg_temp.adding(pg_temp.with('1')), '25001', NULL, 'REPEATABLE READ adds none');
COMMIT;

SELECT * FROM finish();

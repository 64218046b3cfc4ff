-- What an incremental refresh rests on, for each view: the definition restricted to keys gives just the rows of the whole one with
-- these keys; and the keys query gives every key whose row differs after random writes of every kind and a step of the clock,
-- so that what it leaves out may stay as it was. Where nothing is written and nothing is due it gives few or none.
-- databases: reference platform renamed
\set QUIET on
SET client_min_messages = warning;
SELECT current_database() ~ '[.]renamed$' AS renamed \gset
\if :renamed
  -- That site's tables hold no rows: the sample district, through the tables of the reference, column by column.
  CREATE SCHEMA reference;
  SET search_path = reference, public;
  \i examples/reference/schema.sql
  \set students 150
  \set seed 5
  \o /dev/null
  \i examples/reference/generate.sql
  \o
  RESET search_path;
  SELECT format('INSERT INTO public.%1$I SELECT * FROM reference.%1$I', t)
    FROM unnest(ARRAY['schools', 'users', 'medications', 'students', 'student_medications', 'medication_logs', 'vital_signs', 'appointments',
                      'allergies', 'health_records', 'vaccinations', 'chronic_conditions', 'incident_reports']) AS t \gexec
\endif
SET search_path = public;
BEGIN;
SELECT no_plan();
SELECT wc_configure('timezone', 'America/New_York') \g /dev/null
SELECT wc_install() \g /dev/null

-- ---- Where the triggers of the extension are not on the tables, the same ones by hand.
DO $watch$
DECLARE
  of record;
BEGIN
  FOR of IN SELECT c.*, format('EXECUTE FUNCTION wc_capture(%L, %L, %L)', c.table_name, c.captured, c.compared) AS call
              FROM wc_captured_columns() AS c
             WHERE NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.table_name::regclass AND t.tgname = 'wc_capture_insert') LOOP
    EXECUTE format('CREATE TRIGGER wc_capture_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT %s', of.table_name, of.call);
    EXECUTE format('CREATE TRIGGER wc_capture_update AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT %s', of.table_name, of.call);
    EXECUTE format('CREATE TRIGGER wc_capture_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT %s', of.table_name, of.call);
  END LOOP;
END
$watch$;

CREATE SCHEMA steps;
CREATE TABLE steps.found (step integer, view_name text, differ bigint, missed bigint, keys bigint, wrong bigint, pending boolean, what text);
CREATE TABLE steps.plan AS SELECT q.*, (SELECT string_agg(quote_ident(c), ', ') FROM unnest(q.key_columns) AS c) AS key_list FROM wc_refresh_queries() AS q;
SELECT is(problem, NULL, view_name || ' can be refreshed incrementally') FROM steps.plan ORDER BY view_name;

-- Where a step puts what it finds of a view: made once and emptied, for each table that a transaction makes keeps its locks to the end.
DO $tables$
DECLARE
  p steps.plan;
BEGIN
  FOR p IN SELECT * FROM steps.plan LOOP
    EXECUTE format('CREATE TABLE steps.%I AS TABLE %I WITH NO DATA', 'whole ' || p.view_name, p.view_name);
    EXECUTE format('CREATE TABLE steps.%I AS TABLE %I WITH NO DATA', 'restricted ' || p.view_name, p.view_name);
    EXECUTE format('CREATE TABLE steps.%I AS SELECT %s FROM %I WITH NO DATA', 'different ' || p.view_name, p.key_list, p.view_name);
    EXECUTE format('CREATE TABLE steps.%I (%s)', 'keys ' || p.view_name,
                   (SELECT string_agg(format('k%s text', n), ', ') FROM generate_series(1, cardinality(p.key_columns)) AS n));
  END LOOP;
END
$tables$;

-- ---- A step of the clock and what was written, against the views as they were before.
CREATE FUNCTION steps.refresh(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v text;
BEGIN
  PERFORM set_config('whitecross.now', moment::text, true);
  FOR v IN SELECT view_name FROM steps.plan LOOP
    EXECUTE format('REFRESH MATERIALIZED VIEW %I', v);
  END LOOP;
  DELETE FROM wc_change;
END
$$;
CREATE FUNCTION steps.look(step integer, moment timestamptz, seen text, was timestamptz, what text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p steps.plan;
  whole text;
  restricted text;
  different text;
  keys text;
  typed_keys text;
  arrays text;
  found steps.found;
BEGIN
  PERFORM set_config('whitecross.now', moment::text, true);
  FOR p IN SELECT * FROM steps.plan LOOP
    whole := format('steps.%I', 'whole ' || p.view_name);
    restricted := format('steps.%I', 'restricted ' || p.view_name);
    different := format('steps.%I', 'different ' || p.view_name);
    keys := format('steps.%I', 'keys ' || p.view_name);
    typed_keys := (SELECT string_agg(format('k%s::%s', n, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY n)
                     FROM unnest(p.key_columns) WITH ORDINALITY AS c (name, n)
                     JOIN pg_attribute AS a ON a.attrelid = p.view_name::regclass AND a.attname = c.name);
    EXECUTE format('DELETE FROM %s', whole);
    EXECUTE format('DELETE FROM %s', restricted);
    EXECUTE format('DELETE FROM %s', different);
    EXECUTE format('DELETE FROM %s', keys);
    EXECUTE format('INSERT INTO %s %s', whole, wc_view_query(p.view_name));
    EXECUTE format('INSERT INTO %s %s', keys, replace(replace(p.keys, '$1', quote_literal(seen)), '$2', quote_literal(was)));
    EXECUTE format('INSERT INTO %1$s SELECT DISTINCT %2$s FROM ((TABLE %3$s EXCEPT ALL TABLE %4$I) UNION ALL (TABLE %4$I EXCEPT ALL TABLE %3$s)) AS d',
                   different, p.key_list, whole, p.view_name);
    found := ROW (step, p.view_name, 0, 0, 0, 0, NULL, what);
    EXECUTE format('SELECT count(*) FROM %s', different) INTO found.differ;
    EXECUTE format('SELECT count(*) FROM %s', keys) INTO found.keys;
    EXECUTE format('SELECT count(*) FROM %s WHERE (%s) NOT IN (SELECT %s FROM %s)', different, p.key_list, typed_keys, keys) INTO found.missed;
    -- The restricted definition, for those keys.
    EXECUTE format('SELECT string_agg(quote_literal(coalesce(a::text, ''{}'')), chr(31)) FROM (SELECT unnest(ARRAY[%s]) AS a FROM %s) AS x',
                   (SELECT string_agg(format('array_agg(k%s)::text', n), ', ' ORDER BY n) FROM generate_series(1, cardinality(p.key_columns)) AS n),
                   keys) INTO arrays;
    EXECUTE format('INSERT INTO %s %s', restricted,
                   replace(replace(p.restricted, '$1', split_part(arrays, chr(31), 1)), '$2', split_part(arrays, chr(31), 2)));
    EXECUTE format('WITH whole AS (SELECT * FROM %1$s WHERE (%2$s) IN (SELECT %3$s FROM %4$s))
                    SELECT count(*) FROM ((TABLE whole EXCEPT ALL TABLE %5$s) UNION ALL (TABLE %5$s EXCEPT ALL TABLE whole)) AS d',
                   whole, p.key_list, typed_keys, keys, restricted) INTO found.wrong;
    EXECUTE 'SELECT (pending.count > 0) FROM (' || replace(p.pending, '$1', quote_literal(seen)) || ') AS pending' INTO found.pending;
    INSERT INTO steps.found SELECT found.*;
  END LOOP;
END
$$;

-- A snapshot that has seen all there is but this transaction, in which everything here happens.
CREATE FUNCTION steps.seen() RETURNS text LANGUAGE sql AS $$ SELECT format('%s:%s:%1$s', x.id, x.id + 1) FROM (SELECT pg_current_xact_id()::text::bigint AS id) AS x $$;

-- ---- Random writes, whatever the columns are called: a row takes the value of another row, or one near the clock, or none; rows
-- come, go and change their id. What a constraint refuses is not written.
CREATE FUNCTION steps.pick(among text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT among[1 + floor(random() * cardinality(among))::int] $$;
CREATE FUNCTION steps.near() RETURNS interval LANGUAGE sql VOLATILE AS $$
  SELECT steps.pick(ARRAY['-366 days', '-365 days', '-92 days', '-91 days', '-90 days', '-89 days', '-2 days', '-1 day', '0', '1 day', '2 days', '40 days'])::interval
         + steps.pick(ARRAY['-31 minutes', '-30 minutes', '-29 minutes', '-1 minute', '0', '29 minutes', '30 minutes', '31 minutes', '9 hours'])::interval
$$;
CREATE FUNCTION steps.write() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  clock timestamptz := current_setting('whitecross.now')::timestamptz;
  tab text := steps.pick((SELECT array_agg(table_name) FROM wc_captured_columns()));
  row_there text := format('ctid = (SELECT ctid FROM %I ORDER BY random() LIMIT 1)', tab);
  col record;
  done text;
BEGIN
  CASE floor(random() * 10)::int
    WHEN 0 THEN
      done := format('DELETE FROM %I WHERE %s', tab, row_there);
    WHEN 1, 2 THEN
      done := format('INSERT INTO %1$I SELECT (jsonb_populate_record(t, jsonb_build_object(''id'', gen_random_uuid()))).* FROM %1$I AS t WHERE t.%2$s', tab, row_there);
    WHEN 3 THEN
      done := format('UPDATE %I SET id = gen_random_uuid() WHERE %s', tab, row_there);
    ELSE
      SELECT a.attname, a.atttypid::regtype::text AS type, a.attnotnull INTO col
        FROM wc_captured_columns() AS c, unnest(c.compared) AS u (name), pg_attribute AS a
       WHERE c.table_name = tab AND a.attrelid = tab::regclass AND a.attname = u.name AND u.name <> 'id' ORDER BY random() LIMIT 1;
      done := format('UPDATE %1$I SET %2$I = %3$s WHERE %4$s', tab, col.attname,
        CASE WHEN NOT col.attnotnull AND random() < 0.15 THEN 'NULL'
             WHEN col.type = 'date' THEN quote_literal(((clock + steps.near()) AT TIME ZONE 'America/New_York')::date)
             WHEN col.type ~ '^timestamp' THEN quote_literal(clock + steps.near())
             WHEN col.type = 'text[]' THEN quote_literal(ARRAY[steps.pick(ARRAY['25:00', '8:00 AM', '00:10', '23:50', '',
                                              to_char((clock + steps.near()) AT TIME ZONE 'America/New_York', 'HH24:MI')]),
                                              to_char((clock + steps.near()) AT TIME ZONE 'America/New_York', 'HH24:MI:SS')])
             ELSE format('(SELECT %I FROM %I ORDER BY random() LIMIT 1)', col.attname, tab) END, row_there);
  END CASE;
  BEGIN
    EXECUTE done;
  EXCEPTION WHEN integrity_constraint_violation THEN
    RETURN 'refused: ' || done;
  END;
  RETURN done;
END
$$;

-- ---- Steps: the views as of one moment, some writes, another moment.
\set seed 20
SELECT setseed(:seed / 100.0) \g /dev/null
DO $steps$
DECLARE
  anchor timestamptz := date_trunc('day', now()) + interval '7 hours 45 minutes';
  clock timestamptz;
  later timestamptz;
  seen text;
  wrote text;
BEGIN
  FOR step IN 1 .. 45 LOOP
    clock := anchor + steps.pick(ARRAY['-40 days', '-1 day', '0', '3 days', '30 days', '300 days'])::interval + floor(random() * 1440) * interval '1 minute';
    later := clock + steps.pick(ARRAY['0', '1 second', '1 minute', '29 minutes', '30 minutes', '31 minutes', '61 minutes', '5 hours', '1 day', '2 days', '20 days', '366 days'])::interval
                   + steps.pick(ARRAY['0', '20 seconds', '59 seconds'])::interval;
    PERFORM steps.refresh(clock);
    seen := steps.seen();
    wrote := '';
    FOR n IN 1 .. CASE WHEN step % 3 = 0 THEN 0 ELSE 1 + floor(random() * 4)::int END LOOP
      wrote := wrote || steps.write() || '; ';
    END LOOP;
    PERFORM steps.look(step, later, seen, clock, format('%s -> %s: %s', clock, later, wrote));
  END LOOP;
END
$steps$;

SELECT is((SELECT count(*) FROM steps.found AS f WHERE f.view_name = p.view_name AND f.missed > 0), 0::bigint,
          format('%s: no key whose row differs is missed in any step (seed %s)', p.view_name, :seed)) FROM steps.plan AS p ORDER BY p.view_name;
SELECT diag(format('%s missed %s of %s: %s', view_name, missed, differ, what)) FROM steps.found WHERE missed > 0 ORDER BY step, view_name;
SELECT is((SELECT count(*) FROM steps.found AS f WHERE f.view_name = p.view_name AND f.wrong > 0), 0::bigint,
          format('%s: restricted to keys it has the rows of the whole with these keys', p.view_name)) FROM steps.plan AS p ORDER BY p.view_name;
SELECT diag(format('%s restricted is wrong by %s: %s', view_name, wrong, what)) FROM steps.found WHERE wrong > 0 ORDER BY step, view_name;
SELECT cmp_ok((SELECT count(*) FROM steps.found AS f WHERE f.view_name = p.view_name AND f.differ > 0), '>', 5::bigint, p.view_name || ' differed in some steps')
  FROM steps.plan AS p ORDER BY p.view_name;
SELECT cmp_ok((SELECT count(*) FROM steps.found AS f WHERE f.what ~ ': $' AND f.differ > 0), '>', 5::bigint, 'also without any write');
SELECT is((SELECT count(*) FROM steps.found AS f WHERE f.what ~ ': $' AND f.pending), 0::bigint, 'nothing is pending where nothing was written');
SELECT diag(format('%s: %s steps differed, %s keys looked at for %s that differed', view_name, count(*) FILTER (WHERE differ > 0), sum(keys), sum(differ)))
  FROM steps.found GROUP BY view_name ORDER BY view_name;

-- ---- Nothing written, nothing due: a moment later there is nothing to do, and a day later little.
SELECT steps.refresh(date_trunc('day', now()) + interval '3 hours 7 minutes') \g /dev/null
SELECT steps.look(101, date_trunc('day', now()) + interval '3 hours 7 minutes 5 seconds', steps.seen(), date_trunc('day', now()) + interval '3 hours 7 minutes', 'idle') \g /dev/null
SELECT is((SELECT sum(keys) FROM steps.found WHERE step = 101), 0::numeric, 'five seconds later in the night no key is due');

-- ---- For each table that the restricted definition reads there is an index by which its rows are found: what a refresh of some
-- keys costs must not grow with the tables. Without rows enough the planner would not use them by itself.
CREATE FUNCTION steps.read_whole(of_view text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  p steps.plan;
  arrays text[];
  explained jsonb;
BEGIN
  SELECT * INTO p FROM steps.plan WHERE view_name = of_view;
  EXECUTE format('SELECT ARRAY[%s] FROM (SELECT * FROM %I LIMIT 10) AS v',
                 (SELECT string_agg(format('array_agg(v.%I)::text', c), ', ') FROM unnest(p.key_columns) AS c), of_view) INTO arrays;
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || replace(replace(p.restricted, '$1', quote_literal(arrays[1])), '$2', coalesce(quote_literal(arrays[2]), '')) INTO explained;
  RETURN (SELECT string_agg(DISTINCT n ->> 'Relation Name', ', ')
            FROM jsonb_path_query(explained, '$.** ? (@."Node Type" == "Seq Scan")') AS n);
END
$$;
SET LOCAL enable_seqscan = off;
SELECT is(steps.read_whole(view_name), NULL, view_name || ' restricted to keys reads no table as a whole') FROM steps.plan ORDER BY view_name;
SET LOCAL enable_seqscan = on;

-- ---- The next moment: no row differs before it, and some row does where it is a dose that it waits for.
CREATE FUNCTION steps.next_moment(of_view text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
  moment timestamptz;
BEGIN
  EXECUTE (SELECT next_moment FROM steps.plan WHERE view_name = of_view) INTO moment;
  RETURN moment;
END
$$;
SELECT is((SELECT next_moment FROM steps.plan WHERE view_name = 'mv_allergy_summary'), NULL, 'mv_allergy_summary does not depend on time');
SELECT is(steps.next_moment(v), (date_trunc('day', clock.at AT TIME ZONE 'America/New_York') + interval '1 day') AT TIME ZONE 'America/New_York', v || ' waits for midnight')
  FROM (SELECT current_setting('whitecross.now')::timestamptz AS at) AS clock, unnest(ARRAY['mv_student_health_summary', 'mv_compliance_status', 'mv_appointment_statistics']) AS v;
DO $moments$
DECLARE
  clock timestamptz := date_trunc('day', now()) + interval '6 hours';
  later timestamptz;
BEGIN
  FOR n IN 1 .. 12 LOOP
    PERFORM steps.refresh(clock);
    later := steps.next_moment('mv_medication_schedule');
    IF later <= clock THEN
      RAISE 'the next moment after % is %', clock, later;
    END IF;
    PERFORM steps.look(1000 + n, later - interval '1 microsecond', steps.seen(), clock, format('before %s', later));
    PERFORM steps.look(2000 + n, later, steps.seen(), clock, format('at %s', later));
    clock := later;
  END LOOP;
END
$moments$;
SELECT is((SELECT sum(differ) FROM steps.found WHERE step BETWEEN 1001 AND 1999), 0::numeric, 'before the next moment no row of any view differs');
SELECT is((SELECT count(*) FROM steps.found WHERE step > 2000 AND missed > 0), 0::bigint, 'at it no key is missed');
SELECT cmp_ok((SELECT count(*) FROM steps.found WHERE step > 2000 AND view_name = 'mv_medication_schedule' AND differ > 0), '>=', 10::bigint, 'at it rows differ');
SELECT diag(format('%s %s: %s differ', view_name, what, differ)) FROM steps.found WHERE step BETWEEN 1001 AND 1999 AND differ > 0;
SELECT diag(format('%s %s: nothing differs', view_name, what)) FROM steps.found WHERE step > 2000 AND differ = 0 AND view_name = 'mv_medication_schedule';

SELECT * FROM finish();
ROLLBACK;

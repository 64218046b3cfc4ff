-- The trigger function wc_capture(): what each kind of statement leaves in the change log. Triggers made by hand, on tables
-- of no school.
\set SHOW_CONTEXT never
CREATE DATABASE regression_wc_capture TEMPLATE template0;
\c regression_wc_capture
SET client_min_messages = warning;
CREATE EXTENSION whitecross;

-- What was noted since the last look, in the order in which it was; statements of one transaction together.
CREATE FUNCTION noted() RETURNS TABLE (transaction bigint, table_name text, keys text[]) LANGUAGE sql AS $$
  WITH gone AS (DELETE FROM wc_change RETURNING *)
  SELECT dense_rank() OVER (ORDER BY g.xid), g.table_name, g.keys FROM gone AS g ORDER BY g.xid, g.seq
$$;
-- The triggers as wc_install() makes them for an ordinary table.
CREATE PROCEDURE watch(tab regclass, name text, captured text, compared text) LANGUAGE plpgsql AS $$
DECLARE
  call text := format('EXECUTE FUNCTION wc_capture(%L, %L, %L)', name, captured, compared);
BEGIN
  EXECUTE format('CREATE TRIGGER wc_capture_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT %s', tab, call);
  EXECUTE format('CREATE TRIGGER wc_capture_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT %s', tab, call);
  EXECUTE format('CREATE TRIGGER wc_capture_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT %s', tab, call);
  EXECUTE format('CREATE TRIGGER wc_capture_replica AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW %s', tab, call);
  EXECUTE format('CREATE TRIGGER wc_capture_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT %s', tab, call);
  EXECUTE format('ALTER TABLE %s ENABLE REPLICA TRIGGER wc_capture_replica, ENABLE ALWAYS TRIGGER wc_capture_truncate', tab);
END
$$;

CREATE TABLE owner (id int PRIMARY KEY, name text, phone text);
CREATE TABLE pet (
  id int PRIMARY KEY, "ownerId" int REFERENCES owner ON UPDATE CASCADE ON DELETE CASCADE, name text, shots jsonb, cage text,
  born timestamptz, kept interval, weight float8, print bytea);
CALL watch('owner', 'owners', '{id}', '{name}');
CALL watch('pet', 'pets', '{id,ownerId}', '{name,shots}');

-- INSERT, UPDATE and DELETE; each key once for a statement, old and new.
INSERT INTO owner VALUES (1, 'Ada', '1'), (2, 'Ben', '2'), (3, 'Cy', '3');
SELECT * FROM noted();
INSERT INTO pet (id, "ownerId", name) VALUES (10, 1, 'Rex'), (11, NULL, 'Kit');
SELECT * FROM noted();
UPDATE pet SET name = name || '!';
UPDATE pet SET "ownerId" = 2 WHERE id = 11;
SELECT * FROM noted();
DELETE FROM pet WHERE id = 11;
SELECT * FROM noted();

-- An UPDATE that changes no column a view reads notes nothing, nor does a statement without rows, which takes no
-- transaction id either.
UPDATE owner SET phone = '5';
UPDATE owner SET name = name, id = id;
UPDATE pet SET cage = 'A', born = now();
SELECT * FROM noted();
BEGIN;
UPDATE owner SET name = 'nobody' WHERE false;
DELETE FROM owner WHERE false;
INSERT INTO owner SELECT WHERE false;
SELECT pg_current_xact_id_if_assigned() IS NULL AS read_only;
COMMIT;
-- By its image: what prints differently is different, and so is a NULL.
UPDATE pet SET shots = '{"a": 1}';
UPDATE pet SET shots = '{"a": 1}';
UPDATE pet SET shots = '{"a": 1.0}';
UPDATE pet SET shots = NULL;
SELECT * FROM noted();
-- Long values that were not written are not fetched to be compared; those that were, are.
UPDATE pet SET shots = (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 3000) AS i);
SELECT count(*) FROM noted();
UPDATE pet SET cage = 'B';
UPDATE pet SET shots = (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 3000) AS i);
SELECT count(*) FROM noted();
UPDATE pet SET shots = (SELECT jsonb_agg(md5(i::text)) FROM generate_series(2, 3001) AS i);
SELECT count(*) FROM noted();

-- A key that a transaction touches again is noted once; a savepoint that is rolled back takes its notes with it.
BEGIN;
UPDATE owner SET name = 'Abe' WHERE id = 1;
UPDATE owner SET name = 'Abi' WHERE id = 1;
SAVEPOINT one;
UPDATE owner SET name = 'Bea' WHERE id = 2;
ROLLBACK TO one;
UPDATE owner SET name = 'Cal' WHERE id = 3;
RELEASE one;
UPDATE owner SET name = 'Cas' WHERE id = 3;
COMMIT;
SELECT * FROM noted();
BEGIN;
SAVEPOINT one;
UPDATE owner SET name = 'Bob' WHERE id = 2;
ROLLBACK TO one;
UPDATE owner SET name = 'Bud' WHERE id = 2;
COMMIT;
SELECT * FROM noted();
BEGIN;
UPDATE owner SET name = 'Abu' WHERE id = 1;
ROLLBACK;
SELECT * FROM noted();
DO $$
BEGIN
  UPDATE owner SET name = 'Eve' WHERE id = 1;
  BEGIN
    UPDATE owner SET name = 'Eli' WHERE id = 2;
    RAISE EXCEPTION 'taken back';
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  UPDATE owner SET name = 'Ed' WHERE id = 3;
END
$$;
SELECT * FROM noted();
BEGIN;
UPDATE owner SET name = 'Pam' WHERE id = 1;
PREPARE TRANSACTION 'prepared';
SELECT * FROM noted();
COMMIT PREPARED 'prepared';
SELECT * FROM noted();

-- ON CONFLICT, MERGE, COPY, data-modifying CTEs, triggers of the application.
INSERT INTO owner VALUES (3, 'Cora'), (4, 'Dan') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
SELECT * FROM noted() ORDER BY keys;
INSERT INTO owner VALUES (3, 'Cleo'), (4, 'Don') ON CONFLICT DO NOTHING;
SELECT * FROM noted();
MERGE INTO owner AS o USING (VALUES (2, 'Bo'), (3, 'same'), (4, ''), (5, 'Eva')) AS v(id, name) ON o.id = v.id
  WHEN MATCHED AND v.name = '' THEN DELETE WHEN MATCHED AND v.name = 'same' THEN UPDATE SET phone = '7'
  WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name);
SELECT * FROM noted() ORDER BY keys;
COPY owner (id, name) FROM stdin;
6	Fay
7	Gus
\.
SELECT * FROM noted();
WITH gone AS (DELETE FROM owner WHERE id = 7 RETURNING *), more AS (UPDATE owner SET name = 'Flo' WHERE id = 6 RETURNING *)
INSERT INTO owner SELECT 8, g.name || m.name FROM gone AS g, more AS m;
SELECT * FROM noted() ORDER BY keys;

-- Cascades: of a key that changes, of a row that goes.
INSERT INTO pet (id, "ownerId", name) VALUES (20, 5, 'Spot'), (21, 5, 'Max'), (22, 6, 'Zoe');
SELECT count(*) FROM noted();
UPDATE owner SET id = 50 WHERE id = 5;
SELECT * FROM noted() ORDER BY table_name, keys;
DELETE FROM owner WHERE id IN (50, 6);
SELECT * FROM noted() ORDER BY table_name, keys;
UPDATE pet SET id = id + 100;
SELECT * FROM noted();

-- TRUNCATE, also by cascade, notes the whole table, once for a transaction; then no key of it needs to be noted.
BEGIN;
TRUNCATE owner CASCADE;
INSERT INTO owner VALUES (1, 'Ada');
TRUNCATE pet;
COMMIT;
SELECT * FROM noted() ORDER BY table_name;

-- Values are put into text in one way, whatever the session's settings, which stay as they are.

DROP TRIGGER wc_capture_insert ON pet;
CREATE TRIGGER wc_capture_insert AFTER INSERT ON pet REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
  EXECUTE FUNCTION wc_capture('pets', '{id,born,kept,weight,print}', '{}');
SET DateStyle = 'German';
SET TimeZone = 'Asia/Kolkata';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = -10;
SET bytea_output = 'escape';
INSERT INTO pet (id, born, kept, weight, print) VALUES (1, '2026-02-03 15:00:00+00', '1 day 2 hours', 0.1::float8 + 0.2, '\x00ff');
SELECT born, kept, weight, print FROM pet;
RESET DateStyle;
RESET TimeZone;
RESET IntervalStyle;
RESET extra_float_digits;
RESET bytea_output;
INSERT INTO pet (id, born, kept, weight, print) VALUES (2, '2026-02-03 15:00:00+00', '1 day 2 hours', 0.1::float8 + 0.2, '\x00ff');
SELECT * FROM noted();
TRUNCATE pet;
SELECT * FROM noted();

-- A column that has been renamed: the writer goes on, and the whole table counts as changed, until it is back.
ALTER TABLE owner RENAME name TO "fullName";
INSERT INTO owner VALUES (30, 'Ada');
UPDATE owner SET phone = '9';
BEGIN;
DELETE FROM owner WHERE id = 30;
DELETE FROM owner;
COMMIT;
SELECT * FROM noted();
ALTER TABLE owner RENAME "fullName" TO name;
INSERT INTO owner VALUES (31, 'Ada', '1');
SELECT * FROM noted();
-- A column of another type, or one that takes the place of another.
ALTER TABLE owner ALTER phone TYPE int USING phone::int, ALTER id TYPE bigint;
UPDATE owner SET name = 'Amy';
ALTER TABLE owner DROP COLUMN name;
UPDATE owner SET phone = 2;
ALTER TABLE owner ADD COLUMN name text;
UPDATE owner SET phone = 3;
UPDATE owner SET name = 'Ana';
SELECT * FROM noted();

-- session_replication_role = replica: row by row, by the other trigger; and what was off notes nothing.
SET session_replication_role = replica;
INSERT INTO owner (id, name) VALUES (40, 'Hal'), (41, 'Ida');
UPDATE owner SET name = 'Ivy' WHERE id = 41;
UPDATE owner SET phone = 4;
DELETE FROM owner WHERE id = 40;
SELECT * FROM noted();
TRUNCATE owner CASCADE;
SELECT * FROM noted() ORDER BY table_name;
RESET session_replication_role;
INSERT INTO owner (id, name) VALUES (42, 'Jo');
SELECT * FROM noted();

-- A statement that touches very many keys notes the whole table.
INSERT INTO owner (id, name) SELECT i, 'many' FROM generate_series(1001, 101000) AS i;
SELECT count(*), count(DISTINCT keys) FROM noted();
INSERT INTO owner (id, name) SELECT i, 'many' FROM generate_series(200001, 300001) AS i;
SELECT * FROM noted();

-- A writer needs no right on the log, and nobody else has one; it can't be called by itself, nor in other ways.
CREATE ROLE regression_wc_writer;
GRANT INSERT, UPDATE, DELETE, SELECT ON owner TO regression_wc_writer;
SET ROLE regression_wc_writer;
INSERT INTO owner (id, name) VALUES (43, 'Kim');
SELECT * FROM wc_change;
\echo :SQLSTATE
DELETE FROM wc_change;
\echo :SQLSTATE
RESET ROLE;
SELECT * FROM noted();
GRANT CREATE ON SCHEMA public TO regression_wc_writer;
SET ROLE regression_wc_writer;
CREATE TABLE mine (id int);
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION wc_capture('owners', '{id}', '{}');
\echo :SQLSTATE
RESET ROLE;
SELECT wc_capture();
\echo :SQLSTATE
CREATE TRIGGER early BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION wc_capture('mine', '{id}', '{}');
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER early ON mine;
CREATE TRIGGER short AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION wc_capture('mine');
INSERT INTO mine VALUES (1);
\echo :SQLSTATE
DROP TRIGGER short ON mine;
CREATE TRIGGER bare AFTER INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION wc_capture('mine', '{id}', '{}');
INSERT INTO mine VALUES (1);
SELECT * FROM noted();

\c contrib_regression
DROP DATABASE regression_wc_capture;
DROP ROLE regression_wc_writer;

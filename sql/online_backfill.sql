--
-- CALL migrate.backfill() and migrate.verify_rows(): semantics and messages.
-- What takes several sessions is in test/tap/400_backfill.pl.
--
-- the numbers in messages do not depend on the tests before
SELECT setval('migrate.backfill_log_id_seq', 1000);
-- and how many rows a batch takes not on how fast this machine is
SET safe_migrate.backfill_max_wait = '1min';
CREATE SCHEMA fill2;
SET search_path = fill2, public;
CREATE TABLE people (id int PRIMARY KEY, name text, n int, j json, at timestamptz);
INSERT INTO people SELECT g, 'Name ' || g, g, '{"a": 1}' FROM generate_series(1, 1000) g;

-- by default the rows that it would change
ALTER TABLE people ADD lower_name text;
CALL migrate.backfill('people', 'lower_name = lower(name)');
SELECT count(*) FROM people WHERE lower_name = lower(name);
-- there is nothing to do
CALL migrate.backfill('people', 'lower_name = lower(name)');
UPDATE people SET lower_name = 'x' WHERE id IN (3, 5);
UPDATE people SET lower_name = NULL WHERE id = 4;
CALL migrate.backfill('fill2.people', 'lower_name = lower(name) -- the name
');
-- the new value may be null, and of any type
CALL migrate.backfill('people', 'lower_name = NULL, j = ''{"b": 2}''');
SELECT count(*), count(lower_name), count(j), min(j::text) FROM people;
-- an alias, several columns, a subquery, a row
CREATE TABLE other (id int PRIMARY KEY, v text);
INSERT INTO other SELECT g, 'v' || g FROM generate_series(1, 1000) g;
CALL migrate.backfill('people', 'lower_name = (SELECT o.v FROM other o WHERE o.id = people.id), n = people.n + 0');
SELECT count(*) FROM people WHERE lower_name = 'v' || id;
CALL migrate.backfill('people', '(n, lower_name) = ROW (1, ''one'')');
SELECT count(*) FROM people WHERE n = 1 AND lower_name = 'one';
CALL migrate.backfill('people', 'n = DEFAULT');
-- with a condition
CALL migrate.backfill('people', 'at = now()', 'at IS NULL AND id <= 10 -- ten');
SELECT count(at) FROM people;
SELECT relation, set, condition, state, rows_done, pass, waits_for, error FROM migrate.progress WHERE relation LIKE 'fill2.%' ORDER BY id;

-- partitions, each with its own order of columns; children
CREATE TABLE part (i int, j int DEFAULT 5) PARTITION BY LIST (i);
CREATE TABLE part1 (j int DEFAULT 6, i int);
ALTER TABLE part ATTACH PARTITION part1 FOR VALUES IN (1);
CREATE TABLE part2 PARTITION OF part FOR VALUES IN (2) PARTITION BY LIST (j);
CREATE TABLE part2n PARTITION OF part2 DEFAULT;
INSERT INTO part SELECT g % 2 + 1, NULL FROM generate_series(1, 10) g;
CALL migrate.backfill('part', 'j = part.i * 10');
SELECT tableoid::regclass, j, count(*) FROM part GROUP BY 1, 2 ORDER BY 1;
CALL migrate.backfill('part', 'j = DEFAULT');
SELECT tableoid::regclass, j, count(*) FROM part GROUP BY 1, 2 ORDER BY 1;
CREATE TABLE parent (i int);
CREATE TABLE child (more text) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2);
CALL migrate.backfill('parent', 'i = 7');
SELECT tableoid::regclass, i FROM parent ORDER BY 1;
-- without a key, in a temporary table, empty
CREATE TEMP TABLE mine AS SELECT g AS n FROM generate_series(1, 10) g;
CALL migrate.backfill('mine', 'n = -1');
SELECT count(*) FROM mine WHERE n = -1;
CREATE TABLE nothing (n int);
CALL migrate.backfill('nothing', 'n = 1');

-- it would never end; the order of the rows tells which is the first
SET safe_migrate.mode = off;
CLUSTER people USING people_pkey;
RESET safe_migrate.mode;
CALL migrate.backfill('people', 'n = coalesce(n, 0) + 1');
CALL migrate.backfill('people', 'n = coalesce(n, 0) + 1', 'n IS NULL OR n < 10');
SELECT count(n) FROM people;
CALL migrate.backfill('people', 'n = (random() * 10)::int');
CALL migrate.backfill('people', 'at = now()');
CALL migrate.backfill('people', 'at = CURRENT_TIMESTAMP');
CALL migrate.backfill('people', 'n = id', 'id > 0');

-- a row that cannot be set
CALL migrate.backfill('people', 'n = 10 / (id - 777)', 'n IS NULL');
SELECT count(n) FROM people;
SELECT set, state, rows_done, error, sqlstate FROM migrate.progress WHERE state = 'failed' AND set LIKE '%777%';
CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = 900 THEN
		RAISE EXCEPTION 'not this one' USING ERRCODE = 'ZZ900', HINT = 'Take another one.';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER picky BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION picky();
\set VERBOSITY verbose
\set SHOW_CONTEXT never
\set VERBOSITY default
SET safe_migrate.mode = off;
CLUSTER people USING people_pkey;
RESET safe_migrate.mode;
CALL migrate.backfill('people', 'lower_name = ''picked''');
SELECT count(*) FROM people WHERE lower_name = 'picked';
DROP TRIGGER picky ON people;
CALL migrate.backfill('people', 'lower_name = ''picked''');
SELECT count(*) FROM people WHERE lower_name = 'picked';
-- also if the error would come at the commit
CREATE TABLE refers (id int PRIMARY KEY, r int REFERENCES other DEFERRABLE INITIALLY DEFERRED);
INSERT INTO refers SELECT g FROM generate_series(998, 1003) g;
CALL migrate.backfill('refers', 'r = id');
SELECT * FROM refers ORDER BY id;
CREATE TABLE no_key (n int CHECK (n < 5));
INSERT INTO no_key VALUES (1), (2), (3);
CALL migrate.backfill('no_key', 'n = n + 3', 'n < 4');

-- what it does not take
\set VERBOSITY terse
CALL migrate.backfill('people', 'n = 1 WHERE true');
CALL migrate.backfill('people', 'n = 1 FROM other');
CALL migrate.backfill('people', 'n = 1 RETURNING n');
CALL migrate.backfill('people', 'n = 1; DROP TABLE people');
CALL migrate.backfill('people', 'n = 1;');
CALL migrate.backfill('people', '');
CALL migrate.backfill('people', 'n = 1', '');
CALL migrate.backfill('people', 'n = 1', 'true) OR (true');
CALL migrate.backfill('people', 'n = 1', 'true GROUP BY n');
CALL migrate.backfill('people', 'n = 1', 'true; SELECT 1');
CALL migrate.backfill('people', 'n = $1');
CALL migrate.backfill('people', 'n = 1', 'id');
CALL migrate.backfill('people', 'nope = 1');
CALL migrate.backfill('people', 'n = nope');
CALL migrate.backfill('nope', 'n = 1');
CALL migrate.backfill(NULL, 'n = 1');
CALL migrate.backfill('people', NULL);
CALL migrate.backfill('people', 'n = 2', throttle => 'SELECT 1, 2');
CALL migrate.backfill('people', 'n = 2', throttle => 'SELECT ''x''');
CALL migrate.backfill('people', 'n = 2', throttle => 'DELETE FROM people RETURNING true');
CALL migrate.backfill('people', 'n = 2', throttle => 'nonsense');
SELECT count(*) FROM people WHERE n = 2;
CREATE VIEW seen AS SELECT * FROM people;
CALL migrate.backfill('seen', 'n = 1');
CALL migrate.backfill('pg_catalog.pg_class', 'relname = relname');
CALL migrate.backfill('migrate.task_log', 'done = 1');
BEGIN;
CALL migrate.backfill('people', 'n = 1');
ROLLBACK;
\set VERBOSITY default
CALL migrate.backfill('people', E'n =\n1 +');
CALL migrate.backfill('people', 'n = 1', 'id > > 1');

-- roles
\set VERBOSITY terse
CREATE ROLE safe_migrate_bf1;
CREATE ROLE safe_migrate_bf2;
GRANT ALL ON SCHEMA fill2 TO safe_migrate_bf1, safe_migrate_bf2;
GRANT ALL ON people TO safe_migrate_bf2;
SET ROLE safe_migrate_bf1;
CREATE TABLE owned AS SELECT g AS id, session_user::text AS s, 'x' AS u FROM generate_series(1, 5) g;
CALL migrate.backfill('owned', 'u = current_user');
SELECT DISTINCT u FROM owned;
SELECT relation, state FROM migrate.progress;
SET ROLE safe_migrate_bf2;
CALL migrate.backfill('fill2.people', 'n = 1');
CALL migrate.backfill('fill2.owned', 'u = 1');
SELECT relation, state FROM migrate.progress;
SELECT count(*) FROM migrate.backfill_log;
SET ROLE safe_migrate_bf1;
ALTER TABLE owned ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CALL migrate.backfill('owned', 'u = ''y''');
RESET ROLE;
-- operators of a role are not called with the rights of another one
CREATE ROLE safe_migrate_bf3;
CREATE SCHEMA evil AUTHORIZATION safe_migrate_bf3;
SET ROLE safe_migrate_bf3;
CREATE TABLE evil.log (who name DEFAULT current_user);
CREATE TABLE evil.t AS SELECT 1 AS id, NULL::text AS a;
CREATE FUNCTION evil.boom() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''boom''; END';
DO $$
DECLARE
	type regtype;
	name text;
BEGIN
	FOREACH type IN ARRAY '{text,int,bigint,oid,name}'::regtype[] LOOP
		EXECUTE format('CREATE FUNCTION evil.compare(%1$s, %1$s) RETURNS bool LANGUAGE plpgsql SET search_path = pg_catalog AS ''
BEGIN
	INSERT INTO evil.log DEFAULT VALUES;
	IF current_user <> ''''safe_migrate_bf3'''' THEN
		ALTER ROLE safe_migrate_bf3 SUPERUSER;
	END IF;
	RETURN true;
END''', type);
		FOREACH name IN ARRAY '{=,<>,<,>,<=,>=}'::text[] LOOP
			EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = evil.compare)', name, type);
		END LOOP;
	END LOOP;
	CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.compare(1, 1));
END $$;
TRUNCATE evil.log;
SET search_path = evil, pg_catalog, public;
CALL migrate.backfill('evil.t', 'a = evil.boom()', 'a IS NULL');
CALL migrate.backfill('evil.t', 'a = evil.boom()', 'a IS NULL');
CALL migrate.backfill('evil.t', 'a = ''x''');
CALL migrate.verify_rows('evil.t', 'a IS NULL');
RESET ROLE;
SET search_path = fill2, public;
SELECT DISTINCT who FROM evil.log WHERE who <> 'safe_migrate_bf3';
SELECT rolsuper FROM pg_roles WHERE rolname = 'safe_migrate_bf3';

-- a value becomes one of its column's type first
CREATE TABLE casts (id int PRIMARY KEY, n numeric, p numeric(10, 2), f float8, d date, v varchar(3), price numeric, at timestamp);
INSERT INTO casts SELECT g, NULL, NULL, NULL, NULL, NULL, g * 1.5, '2026-01-01'::timestamp + g * interval '7 hours' FROM generate_series(1, 100) g;
CALL migrate.backfill('casts', 'n = 0, f = id');
CALL migrate.backfill('casts', 'p = price * 1.19, d = at, v = id');
SELECT DISTINCT n FROM casts;
SELECT * FROM casts WHERE p IS DISTINCT FROM round(price * 1.19, 2) OR d <> at::date OR f <> id OR v <> id::text;
CALL migrate.backfill('casts', 'p = price * 1.19, d = at, v = id');

-- rules about many rows, and an isolation level, are not for it
SET safe_migrate.row_limit = 10;
SET default_transaction_isolation = serializable;
CALL migrate.backfill('people', 'n = 3', 'n IS DISTINCT FROM 3');
SHOW safe_migrate.row_limit;
SHOW synchronous_commit;
SHOW lock_timeout;
RESET safe_migrate.row_limit;
RESET default_transaction_isolation;
SELECT count(*) FROM people WHERE n = 3;

-- verify_rows
\set VERBOSITY default
CALL migrate.verify_rows('people', 'n IS DISTINCT FROM 3');
UPDATE people SET n = 4 WHERE id IN (5, 6);
CALL migrate.verify_rows('people', 'n IS DISTINCT FROM 3');
UPDATE people SET n = 3 WHERE id IN (6);
CALL migrate.verify_rows('people', 'n IS DISTINCT FROM 3');
CALL migrate.verify_rows('no_key', 'n > 3');
CALL migrate.verify_rows('part', 'i = 1');
\set VERBOSITY terse
CALL migrate.verify_rows('people', 'true) OR (true');
CALL migrate.verify_rows('people', NULL);
SET ROLE safe_migrate_bf2;
CALL migrate.verify_rows('fill2.owned', 'true');
RESET ROLE;

SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA fill2, evil CASCADE;
DROP ROLE safe_migrate_bf1, safe_migrate_bf2, safe_migrate_bf3;

--
-- Formats that differ from plain by the names of their files: what is
-- registered of each, and what is refused.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

\set VERBOSITY terse
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- A directory as pairs of path and text.
CREATE FUNCTION load_given(files text[], format text DEFAULT 'auto')
RETURNS TABLE (version text, name text, state text)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT l.* FROM migrate.load_files(
		ARRAY(SELECT f FROM unnest(files) WITH ORDINALITY AS u (f, n) WHERE n % 2 = 1 ORDER BY n),
		ARRAY(SELECT f FROM unnest(files) WITH ORDINALITY AS u (f, n) WHERE n % 2 = 0 ORDER BY n),
		format) l;
EXCEPTION WHEN OTHERS THEN
	RETURN QUERY SELECT SQLSTATE::text, SQLERRM, 'ERROR';
END $$;
CREATE VIEW registered AS
	SELECT m.version, m.name, m.format, btrim(m.body, E'\n') AS body,
		btrim(m.down_body, E'\n') AS down, m.in_transaction AS tx, m.repeatable AS again,
		m.listed_at, m.requires
	FROM migrate.migrations m ORDER BY m.repeatable, m.version_key;

SELECT * FROM migrate.formats();
SELECT unnest(migrate.format_files());

-- golang-migrate: the versions are numbers, the two files may have other names
SELECT * FROM load_given(ARRAY[
	'000002_b.up.sql', 'CREATE TABLE b (i int);', '000002_other.down.sql', 'DROP TABLE b;',
	'000010_c.up.sql', 'SELECT 10;',
	'000001_a.up.sql', E'-- Up migration\nCREATE TABLE a (i int);', '000001_a.down.sql', E'-- Down migration\nDROP TABLE a;']);
TABLE registered;
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
DROP TABLE a, b;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY['1_a.up.sql', 'SELECT 1', '2_b.down.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['1_a.up.sql', 'SELECT 1', '1_b.down.sql', 'SELECT 2', '1_a.down.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['1_a.up.sql', 'SELECT 1', '01_b.up.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['1_a.up.sql', 'SELECT 1', 'seed.sql', 'SELECT 2'], 'golang-migrate');
-- with a file that only format plain knows, it is that
SELECT * FROM load_given(ARRAY['1_a.up.sql', 'SELECT 1', '2_b.sql', 'SELECT 2']);
SELECT version, format FROM registered;
DELETE FROM migrate.migrations;

-- flyway: dotted versions, U to go down, R to repeat, .conf, directories
SELECT * FROM load_given(ARRAY[
	'V1__init.sql', 'CREATE TABLE a (i int);', 'U1__init.sql', 'DROP TABLE a;',
	'V1_10__later.sql', 'SELECT 110;', 'V1.2__earlier.sql', 'SELECT 12;',
	'sub/V20240101__dated.sql', 'SELECT 2024;',
	'V2__index.sql', 'CREATE INDEX CONCURRENTLY ON a (i);',
	'V2__index.sql.conf', E'# alone\nexecuteInTransaction=false\n',
	'U2__index.sql', 'DROP INDEX CONCURRENTLY a_i_idx;', 'U2__index.sql.conf', 'executeInTransaction = false',
	'V3__template.sql', $$SELECT '${x}'$$, 'V3__template.sql.conf', 'placeholderReplacement=false',
	'R__view_of_a.sql', 'CREATE OR REPLACE VIEW v AS SELECT * FROM a; -- ${in a comment}']);
TABLE registered;
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
SELECT * FROM load_given(ARRAY['V1__init.sql', 'SELECT 1', '2_b.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['V1__init.sql', 'SELECT 1', 'B5__all.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['V1__init.sql', 'SELECT 1', 'beforeMigrate.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['V1__init.sql', 'SELECT 1', 'U2__b.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['V1__init.sql', 'SELECT 1', 'V2__b.java', '']);
SELECT * FROM load_given(ARRAY['V1.0__a.sql', 'SELECT 1', 'V1_0__b.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['V1__init.sql', E'-- ${ok}\n/* ${ok} */ SELECT 1;\nSELECT ''it is ${schema}.a'';']);
SELECT * FROM load_given(ARRAY['V1__init.sql', 'SELECT 1', 'U1__init.sql', E'\n\nSELECT ${x}']);
SELECT * FROM load_given(ARRAY['V1__a.sql', 'SELECT 1', 'V1__a.sql.conf', E'\nshouldExecute=${env}==prod']);
SELECT * FROM load_given(ARRAY['V1__a.sql', 'SELECT 1', 'V1__a.sql.conf', 'shouldExecute=false']);
SELECT * FROM load_given(ARRAY['V1__a.sql', 'SELECT 1', 'V1__a.sql.conf', E'encoding=UTF-8\nencoding=ISO-8859-1']);
SELECT * FROM load_given(ARRAY['V1__a.sql', 'SELECT 1', 'V1__a.sql.conf', 'x']);
SELECT * FROM load_given(ARRAY['V1__a.sql', 'SELECT 1', 'V1__a.sql.conf', 'mixed=true']);
DROP VIEW v;
DROP TABLE a;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- postgrator
SELECT * FROM load_given(ARRAY[
	'001.do.create-a.sql', 'CREATE TABLE a (i int);', '001.undo.create-a.sql', 'DROP TABLE a;',
	'2.do.sql', 'SELECT 2;']);
TABLE registered;
CALL migrate.deploy();
DROP TABLE a;
SELECT * FROM load_given(ARRAY['1.do.a.sql', 'SELECT 1', '2.undo.b.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['1.do.a.sql', 'SELECT 1', '2_b.sql', 'SELECT 2']);
SELECT * FROM load_given(ARRAY['1.do.a.sql', 'SELECT 1', '2.do.b.js', '']);
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- diesel and prisma
SELECT * FROM load_given(ARRAY[
	'2024-01-02-000000_a/up.sql', 'SELECT 1;', '2024-01-02-000000_a/down.sql', 'SELECT 2;',
	'2024-01-03-000000_b/up.sql', 'SELECT 3;', '2024-01-03-000000_b/metadata.toml', 'run_in_transaction = false']);
TABLE registered;
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY[
	'20240102000000_a/migration.sql', 'SELECT 1;', '20240102000001_b/migration.sql', 'SELECT 2;',
	'migration_lock.toml', E'# why\nprovider = "postgresql"\n']);
TABLE registered;
SELECT * FROM load_given(ARRAY['20240102000000_a/migration.sql', 'SELECT 1;',
	'migration_lock.toml', E'# why\nprovider = "mysql"\n']);
SELECT * FROM load_given(ARRAY['20240102000000_a/migration.sql', 'SELECT 1;', '20240103_stray.sql', 'SELECT 2;',
	'migration_lock.toml', E'provider = "postgresql"\n']);
SELECT * FROM load_given(ARRAY['2024-01-02-000000_a/up.sql', 'SELECT 1;', 'stray.sql', 'SELECT 2;']);
DELETE FROM migrate.migrations;

-- drizzle: by its journal, or the newer layout; tags need no number
SELECT * FROM load_given(ARRAY[
	'0001_b.sql', E'CREATE TABLE b (i int);\n--> statement-breakpoint\nCREATE INDEX ON b (i);',
	'a.sql', 'CREATE TABLE a (i int);',
	'meta/0001_snapshot.json', '{}',
	'meta/_journal.json', '{"version":"7","dialect":"postgresql","entries":[
		{"idx":0,"version":"7","when":2,"tag":"a","breakpoints":true,"more":{"tag":"no"}},
		{"idx":1,"version":"7","when":1,"tag":"0001_\u0062","breakpoints":true}], "tag":"no"}']);
TABLE registered;
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
DROP TABLE a, b;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"dialect":"postgresql",\n"entries":[}', '0_a.sql', '']);
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"version":"6",\n"dialect":"sqlite","entries":[]}', '0_a.sql', '']);
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"entries":[]}', '0_a.sql', '']);
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"dialect":"postgresql","entries":[\n{"tag":"0_a"}]}', '1_b.sql', '']);
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"dialect":"postgresql","entries":[\n{"tag":"0_a"}]}', '0_a.sql', 'SELECT 1', '1_b.sql', '']);
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"dialect":"postgresql","entries":[\n{"tag":"../0_a"}]}', '0_a.sql', 'SELECT 1']);
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"dialect":"postgresql","entries":[\n\n{"idx":1}]}', '0_a.sql', 'SELECT 1']);
SELECT * FROM load_given(ARRAY['meta/_journal.json', E'{"dialect":"postgresql","entries":[{"tag":"0_a"},{"tag":"0_a"}]}', '0_a.sql', 'SELECT 1']);
SELECT * FROM load_given(ARRAY['20240102000000_a/migration.sql', 'SELECT 1;', '20240102000000_a/snapshot.json', '{}',
	'20240103000000_b/migration.sql', 'SELECT 2;', '20240103000000_b/snapshot.json', '{}']);
TABLE registered;
SELECT * FROM load_given(ARRAY['20240102000000_a/migration.sql', 'SELECT 1;', '20240102000000_a/snapshot.json', '{}',
	'migration_lock.toml', 'provider = "postgresql"']);
DELETE FROM migrate.migrations;

-- sqitch: the plan orders, requires and names
SELECT * FROM load_given(ARRAY[
	'sqitch.plan', '%syntax-version=1.0.0
%project=app

users 2024-01-01T00:00:00Z A. Nonymous <a@example.org> # the users
zoo/cage [users] 2024-01-02T00:00:00Z A. Nonymous <a@example.org> # a [b]
@v1 2024-01-03T00:00:00Z A. Nonymous <a@example.org>

users [users@v1 app:zoo/cage !ghosts] 2024-01-04T00:00:00Z A. Nonymous <a@example.org>
last [@v1] 2024-01-05T00:00:00Z A. Nonymous <a@example.org>',
	'deploy/users@v1.sql', E'-- Deploy users\nBEGIN;\nCREATE TABLE users (id int);\nCOMMIT;\n',
	'revert/users@v1.sql', 'DROP TABLE users;',
	'verify/users.sql', 'SELECT id FROM users WHERE false;',
	'deploy/zoo/cage.sql', $$CREATE TABLE cage (i int DEFAULT '1'::int, a int[]); SELECT a[1:i] FROM cage;$$,
	'deploy/users.sql', 'ALTER TABLE users ADD name text;', 'revert/users.sql', 'ALTER TABLE users DROP name;',
	'deploy/last.sql', 'SELECT 1;']);
TABLE registered;
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
DROP TABLE users, cage;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT plan, l.version AS sqlstate, l.name AS message FROM (VALUES
	('missing 2024-01-01T00:00:00Z A <a>'),
	(E'a 2024\na 2024'),
	(E'\na [b] 2024\nb 2024'),
	(E'a 2024\nb [!a] 2024'),
	('a [other:b] 2024'),
	('a [b 2024'),
	(E'a 2024\n- a 2024'),
	('@v1 2024'),
	(E'a 2024\n@v1 2024\n@v1 2024'),
	('../a 2024'),
	('a/../../b 2024'),
	('+')) AS p (plan),
	LATERAL load_given(ARRAY['sqitch.plan', plan, 'deploy/a.sql', 'SELECT 1', 'deploy/b.sql', 'SELECT 2']) l;
SELECT * FROM load_given(ARRAY['sqitch.plan', 'a 2024', 'deploy/a.sql', E'SELECT 1;\nSELECT :''name'';']);
SELECT * FROM load_given(ARRAY['sqitch.plan', 'a 2024', 'deploy/a.sql', E'SELECT 1;\n\\set x 1\n']);
SELECT * FROM load_given(ARRAY['sqitch.plan', 'a 2024', 'deploy/a.sql', 'SELECT 1;', 'revert/a.sql', E'SELECT 1;\n\nSELEC 2;']);
DELETE FROM migrate.migrations;

DROP VIEW registered;
DROP FUNCTION load_given(text[], text);

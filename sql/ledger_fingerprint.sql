--
-- The fingerprint of the schema: what counts, and what does not.
--
CREATE SCHEMA prints;
CREATE ROLE prints_reader;

-- A statement changes the fingerprint, and the one that takes it back brings
-- the old one back.  Everything is undone.
CREATE FUNCTION prints.compare(change text, back text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	first text := migrate.schema_fingerprint();
	second text;
	third text;
BEGIN
	EXECUTE change;
	second := migrate.schema_fingerprint();
	EXECUTE back;
	third := migrate.schema_fingerprint();
	RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ001',
		DETAIL = concat(CASE first WHEN second THEN 'THE SAME' ELSE 'changed' END,
			CASE first WHEN third THEN ', and back' ELSE ', AND NOT BACK' END);
EXCEPTION
	WHEN SQLSTATE 'ZZ001' THEN
		GET STACKED DIAGNOSTICS second = PG_EXCEPTION_DETAIL;
		RETURN second;
	WHEN OTHERS THEN
		RETURN SQLERRM;
END $$;

-- Two ways to the same schema.
CREATE FUNCTION prints.equal(one text, other text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	prints text[];
	print text;
	way text;
BEGIN
	FOREACH way IN ARRAY ARRAY[one, other] LOOP
		BEGIN
			EXECUTE way;
			print := migrate.schema_fingerprint();
			RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ001', DETAIL = print;
		EXCEPTION
			WHEN SQLSTATE 'ZZ001' THEN
				GET STACKED DIAGNOSTICS print = PG_EXCEPTION_DETAIL;
				prints := prints || print;
		END;
	END LOOP;
	RETURN prints[1] = prints[2];
END $$;

SET search_path = prints;
SET client_min_messages = warning;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE parent (id int PRIMARY KEY, name text DEFAULT 'x', m mood, v varchar(9) CHECK (v IN ('a', 'b')));
CREATE TABLE child (id int REFERENCES parent, p positive, t tsvector);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) TO (9);
CREATE VIEW seen AS SELECT id, name FROM parent;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM parent;
CREATE SEQUENCE numbers;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE FUNCTION trigger_function() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION event_function() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE TRIGGER watcher BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION trigger_function();
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE STATISTICS stats ON id, p FROM child;
CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.simple);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER far FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE faraway (a int) SERVER far;
CREATE PUBLICATION published FOR TABLE parent;
CREATE POLICY mine ON child USING (p > 1);
CREATE RULE nothing_there AS ON DELETE TO child DO INSTEAD NOTHING;
CREATE COLLATION sorted (LOCALE = 'C');
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);

SELECT change, prints.compare(change, back) FROM (VALUES
	('CREATE SCHEMA another', 'DROP SCHEMA another'),
	('CREATE TABLE n (a int)', 'DROP TABLE n'),
	('ALTER TABLE child ADD n int', 'ALTER TABLE child DROP n'),
	('ALTER TABLE child RENAME p TO q', 'ALTER TABLE child RENAME q TO p'),
	('ALTER TABLE child ALTER id TYPE bigint', 'ALTER TABLE child ALTER id TYPE int'),
	('ALTER TABLE parent ALTER v TYPE varchar(10)', 'ALTER TABLE parent ALTER v TYPE varchar(9)'),
	('ALTER TABLE child ALTER p SET NOT NULL', 'ALTER TABLE child ALTER p DROP NOT NULL'),
	('ALTER TABLE child ALTER p SET DEFAULT 3', 'ALTER TABLE child ALTER p DROP DEFAULT'),
	('ALTER TABLE child ALTER p SET STATISTICS 9', 'ALTER TABLE child ALTER p SET STATISTICS -1'),
	('ALTER TABLE child ALTER t SET STORAGE external', 'ALTER TABLE child ALTER t SET STORAGE extended'),
	('ALTER TABLE child ALTER t SET COMPRESSION pglz', 'ALTER TABLE child ALTER t SET COMPRESSION default'),
	('ALTER TABLE child ALTER p SET (n_distinct = 3)', 'ALTER TABLE child ALTER p RESET (n_distinct)'),
	('ALTER TABLE child SET (fillfactor = 70)', 'ALTER TABLE child RESET (fillfactor)'),
	('ALTER TABLE parent SET (toast.autovacuum_enabled = off)', 'ALTER TABLE parent RESET (toast.autovacuum_enabled)'),
	('ALTER TABLE child SET UNLOGGED', 'ALTER TABLE child SET LOGGED'),
	('ALTER TABLE child REPLICA IDENTITY FULL', 'ALTER TABLE child REPLICA IDENTITY DEFAULT'),
	('ALTER TABLE child ENABLE ROW LEVEL SECURITY', 'ALTER TABLE child DISABLE ROW LEVEL SECURITY'),
	('ALTER TABLE child FORCE ROW LEVEL SECURITY', 'ALTER TABLE child NO FORCE ROW LEVEL SECURITY'),
	('ALTER TABLE child DISABLE TRIGGER watcher', 'ALTER TABLE child ENABLE TRIGGER watcher'),
	('ALTER TABLE child DISABLE RULE nothing_there', 'ALTER TABLE child ENABLE RULE nothing_there'),
	('ALTER TABLE child ADD CHECK (id > 0)', 'ALTER TABLE child DROP CONSTRAINT child_id_check'),
	('ALTER TABLE child ADD CHECK (id > 0) NOT VALID', 'ALTER TABLE child DROP CONSTRAINT child_id_check'),
	('ALTER TABLE child RENAME CONSTRAINT child_id_fkey TO k', 'ALTER TABLE child RENAME CONSTRAINT k TO child_id_fkey'),
	('ALTER TABLE child OWNER TO prints_reader', 'ALTER TABLE child OWNER TO CURRENT_USER'),
	('ALTER TABLE parted DETACH PARTITION part', 'ALTER TABLE parted ATTACH PARTITION part FOR VALUES FROM (1) TO (9)'),
	('CREATE INDEX i ON child (p)', 'DROP INDEX i'),
	('ALTER INDEX parent_pkey RENAME TO j', 'ALTER INDEX j RENAME TO parent_pkey'),
	('ALTER INDEX parent_pkey SET (fillfactor = 70)', 'ALTER INDEX parent_pkey RESET (fillfactor)'),
	('CLUSTER parent USING parent_pkey', 'ALTER TABLE parent SET WITHOUT CLUSTER'),
	('CREATE TRIGGER w BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION trigger_function()', 'DROP TRIGGER w ON child'),
	('CREATE POLICY p ON child TO prints_reader', 'DROP POLICY p ON child'),
	('ALTER POLICY mine ON child USING (p > 2)', 'ALTER POLICY mine ON child USING (p > 1)'),
	('CREATE OR REPLACE VIEW seen AS SELECT id, name || ''!'' AS name FROM parent', 'CREATE OR REPLACE VIEW seen AS SELECT id, name FROM parent'),
	('ALTER VIEW seen SET (security_barrier)', 'ALTER VIEW seen RESET (security_barrier)'),
	('ALTER MATERIALIZED VIEW kept RENAME TO held', 'ALTER MATERIALIZED VIEW held RENAME TO kept'),
	('ALTER SEQUENCE numbers INCREMENT 2', 'ALTER SEQUENCE numbers INCREMENT 1'),
	('ALTER SEQUENCE numbers OWNED BY child.id', 'ALTER SEQUENCE numbers OWNED BY NONE'),
	('CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS ''SELECT 3 * n''', 'CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS ''SELECT 2 * n'''),
	('ALTER FUNCTION twice STABLE', 'ALTER FUNCTION twice VOLATILE'),
	('CREATE PROCEDURE pr() LANGUAGE sql AS ''''', 'DROP PROCEDURE pr'),
	('CREATE OR REPLACE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = ''1'')', 'CREATE OR REPLACE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = ''0'')'),
	('ALTER TYPE mood RENAME VALUE ''bad'' TO ''worse''', 'ALTER TYPE mood RENAME VALUE ''worse'' TO ''bad'''),
	('ALTER TYPE mood RENAME TO temper', 'ALTER TYPE temper RENAME TO mood'),
	('ALTER DOMAIN positive ADD CONSTRAINT less CHECK (VALUE < 9)', 'ALTER DOMAIN positive DROP CONSTRAINT less'),
	('ALTER DOMAIN positive SET DEFAULT 1', 'ALTER DOMAIN positive DROP DEFAULT'),
	('ALTER TYPE pair ADD ATTRIBUTE c int', 'ALTER TYPE pair DROP ATTRIBUTE c'),
	('CREATE TYPE span AS RANGE (subtype = int)', 'DROP TYPE span'),
	('CREATE CAST (mood AS int) WITH INOUT', 'DROP CAST (mood AS int)'),
	('ALTER OPERATOR === (text, text) SET (RESTRICT = eqsel)', 'ALTER OPERATOR === (text, text) SET (RESTRICT = NONE)'),
	('CREATE OPERATOR FAMILY fam USING btree', 'DROP OPERATOR FAMILY fam USING btree'),
	('CREATE OPERATOR CLASS cl FOR TYPE mood USING hash AS OPERATOR 1 =(anyenum, anyenum), FUNCTION 1 hashenum(anyenum)', 'DROP OPERATOR FAMILY cl USING hash'),
	('ALTER COLLATION sorted RENAME TO ordered', 'ALTER COLLATION ordered RENAME TO sorted'),
	('ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR email', 'ALTER TEXT SEARCH CONFIGURATION words ADD MAPPING FOR email WITH simple'),
	('CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)', 'DROP TEXT SEARCH DICTIONARY d'),
	('ALTER FOREIGN TABLE faraway OPTIONS (ADD o ''1'')', 'ALTER FOREIGN TABLE faraway OPTIONS (DROP o)'),
	('ALTER SERVER far OPTIONS (ADD o ''1'')', 'ALTER SERVER far OPTIONS (DROP o)'),
	('ALTER FOREIGN DATA WRAPPER nothing OPTIONS (ADD o ''1'')', 'ALTER FOREIGN DATA WRAPPER nothing OPTIONS (DROP o)'),
	('ALTER PUBLICATION published ADD TABLE child', 'ALTER PUBLICATION published DROP TABLE child'),
	('ALTER PUBLICATION published SET (publish = ''insert'')', 'ALTER PUBLICATION published SET (publish = ''insert, update, delete, truncate'')'),
	('CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION prints.event_function()', 'DROP EVENT TRIGGER e'),
	('ALTER STATISTICS stats SET STATISTICS 9', 'ALTER STATISTICS stats SET STATISTICS -1'),
	('GRANT SELECT ON child TO prints_reader', 'REVOKE SELECT ON child FROM prints_reader'),
	('GRANT SELECT (id) ON child TO prints_reader', 'REVOKE SELECT (id) ON child FROM prints_reader'),
	('REVOKE EXECUTE ON FUNCTION twice FROM PUBLIC', 'GRANT EXECUTE ON FUNCTION twice TO PUBLIC'),
	('GRANT USAGE ON SCHEMA prints TO prints_reader', 'REVOKE USAGE ON SCHEMA prints FROM prints_reader'),
	('REVOKE USAGE ON TYPE pair FROM PUBLIC', 'GRANT USAGE ON TYPE pair TO PUBLIC'),
	('ALTER DEFAULT PRIVILEGES IN SCHEMA prints GRANT SELECT ON TABLES TO prints_reader', 'ALTER DEFAULT PRIVILEGES IN SCHEMA prints REVOKE SELECT ON TABLES FROM prints_reader'),
	('ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC', 'ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC')
) AS c (change, back);

-- what does not count
SELECT change, prints.compare(change, back) FROM (VALUES
	('COMMENT ON TABLE child IS ''x''', 'COMMENT ON TABLE child IS NULL'),
	('CREATE TEMP TABLE n (a int)', 'DROP TABLE n'),
	('INSERT INTO parent (id) VALUES (1)', 'DELETE FROM parent'),
	('SELECT nextval(''numbers'')', 'SELECT 1'),
	('REINDEX TABLE parent', 'ANALYZE parent'),
	('REFRESH MATERIALIZED VIEW kept', 'SELECT 1'),
	('CREATE TABLE public.flyway_schema_history (installed_rank int PRIMARY KEY, checksum int)', 'DROP TABLE public.flyway_schema_history'),
	('SET search_path = pg_catalog, prints', 'SET search_path = prints'),
	('SET TimeZone = ''Asia/Tokyo''', 'RESET TimeZone'),
	('SET quote_all_identifiers = on', 'RESET quote_all_identifiers')
) AS c (change, back);

-- made at once, or step by step
SELECT prints.equal(
	'CREATE TABLE n (a bigint PRIMARY KEY, b text NOT NULL DEFAULT ''x'', c int CHECK (c > 0) REFERENCES parent); CREATE INDEX ON n (b)',
	'CREATE TABLE n (z int, a int, b text); ALTER TABLE n DROP z; ALTER TABLE n ALTER a TYPE bigint, ADD PRIMARY KEY (a);
	 ALTER TABLE n ADD c int; CREATE INDEX ON n (b); ALTER TABLE n ALTER b SET DEFAULT ''x'', ALTER b SET NOT NULL;
	 ALTER TABLE n ADD FOREIGN KEY (c) REFERENCES parent NOT VALID; ALTER TABLE n ADD CHECK (c > 0); ALTER TABLE n VALIDATE CONSTRAINT n_c_fkey') AS same;
SELECT prints.equal('CREATE TABLE n (a int, b int)', 'CREATE TABLE n (b int, a int)') AS same;
SELECT prints.equal('CREATE TABLE n PARTITION OF parted FOR VALUES FROM (10) TO (20)',
	'CREATE TABLE n (id int); ALTER TABLE parted ATTACH PARTITION n FOR VALUES FROM (10) TO (20)') AS same;
SELECT prints.equal('CREATE TYPE n AS ENUM (''a'', ''b'')',
	'CREATE TYPE n AS ENUM (''b''); ALTER TYPE n ADD VALUE ''a'' BEFORE ''b''') AS same;
SELECT prints.equal('CREATE VIEW n AS SELECT id FROM parent', 'CREATE VIEW m AS SELECT parent.id FROM prints.parent; ALTER VIEW m RENAME TO n') AS same;
SELECT prints.equal('CREATE TABLE n (a int); GRANT SELECT ON n TO PUBLIC',
	'CREATE TABLE n (a int); GRANT SELECT, INSERT, UPDATE ON n TO PUBLIC; REVOKE INSERT, UPDATE ON n FROM PUBLIC') AS same;

-- Each migration leaves its fingerprint.  Only what it touched is read again,
-- and safe_migrate.observation compares that with all.
RESET search_path;
CREATE FUNCTION prints.step(number int, sql text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM migrate.apply('9000.' || number, sql);
	RETURN (SELECT h.fingerprint FROM migrate.history h
			WHERE h.version = '9000.' || number) = migrate.schema_fingerprint();
END $$;
SELECT prints.step(1, 'SET search_path = prints; /* safe_migrate: override test */ ALTER TABLE parent RENAME id TO key; /* safe_migrate: override test */ ALTER TABLE parent RENAME TO ancestor');
SELECT prints.step(2, 'ALTER TYPE prints.mood RENAME TO temper');
SELECT prints.step(3, 'ALTER TYPE prints.temper RENAME VALUE ''bad'' TO ''worse''');
SELECT prints.step(4, 'GRANT EXECUTE ON FUNCTION prints.twice TO prints_reader; GRANT SELECT ON prints.seen TO prints_reader');
SELECT prints.step(5, 'ALTER SCHEMA prints RENAME TO printed; ALTER SCHEMA printed RENAME TO prints');
SELECT prints.step(6, 'ALTER SCHEMA prints RENAME TO printed');
SELECT printed.step(7, 'ALTER SCHEMA printed RENAME TO prints');
SELECT prints.step(8, 'DROP FUNCTION prints.twice; ALTER DOMAIN prints.positive ADD CHECK (VALUE < 100)');
SELECT prints.step(9, 'ALTER SEQUENCE prints.numbers CACHE 5; ALTER PUBLICATION published DROP TABLE prints.ancestor');
SELECT prints.step(10, 'ALTER TEXT SEARCH CONFIGURATION prints.words DROP MAPPING FOR email; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO prints_reader');
SELECT prints.step(11, 'CREATE TABLE prints.n (LIKE prints.child INCLUDING ALL); CREATE INDEX ON prints.n (p); COMMENT ON TABLE prints.n IS ''x''');
SELECT prints.step(12, 'CREATE TABLE prints.tree (a int) PARTITION BY LIST (a); CREATE TABLE prints.leaf PARTITION OF prints.tree FOR VALUES IN (1); CREATE INDEX ON prints.tree (a); ALTER TABLE prints.tree ADD b int');
SELECT prints.step(13, 'DO $do$ BEGIN CREATE TABLE prints.m (a int); CREATE FUNCTION prints.m_one() RETURNS int LANGUAGE sql AS ''SELECT 1''; DROP TABLE prints.n; END $do$');
SELECT prints.step(14, 'SELECT 1');
SELECT count(*) FROM migrate.schema_objects() o
FULL JOIN migrate.last_manifest m USING (kind, identity, unit, hash)
WHERE o.hash IS NULL OR m.hash IS NULL;

SELECT prints.step(15, 'CREATE ROLE prints_new; GRANT SELECT ON prints.m TO prints_new; ALTER ROLE prints_new CONNECTION LIMIT 1');
SELECT prints.step(16, 'ALTER ROLE prints_new RENAME TO prints_newer');
SELECT prints.step(17, 'DROP OWNED BY prints_newer; DROP ROLE prints_newer');
SELECT prints.step(18, 'CREATE EXTENSION hstore SCHEMA prints; CREATE TABLE prints.h (a prints.hstore); CREATE FUNCTION prints.of_hstore() RETURNS int RETURN 1');
SELECT prints.step(19, 'ALTER EXTENSION hstore ADD FUNCTION prints.of_hstore()');
SELECT prints.step(20, 'ALTER EXTENSION hstore DROP FUNCTION prints.of_hstore(); DROP TABLE prints.h; DROP EXTENSION hstore');
SELECT prints.step(21, 'CREATE TABLE prints.reused (a int); DROP TABLE prints.reused; CREATE TABLE prints.reused (b int)');
SELECT prints.step(22, '/* safe_migrate: override test */ ALTER TABLE prints.reused RENAME b TO c; CREATE VIEW prints.of_reused AS SELECT c FROM prints.reused; /* safe_migrate: override test */ ALTER TABLE prints.reused RENAME c TO d');
SELECT prints.step(23, '/* safe_migrate: override test */ ALTER TABLE prints.reused RENAME d TO e; DROP VIEW prints.of_reused');

-- What the last migration left is taken over if nothing has changed since, but
-- for temporary tables, statistics and the like.
CREATE FUNCTION prints.taken_over(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text := (SELECT f.catalog_state FROM migrate.last_fingerprint f);
	answer text;
BEGIN
	EXECUTE change;
	PERFORM migrate.apply('9000.99', 'SELECT 1');
	SELECT CASE f.catalog_state WHEN state THEN 'taken over' ELSE 'read anew' END INTO answer
	FROM migrate.last_fingerprint f;
	RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ001', DETAIL = answer;
EXCEPTION
	WHEN SQLSTATE 'ZZ001' THEN
		GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
		RETURN answer;
END $$;
SELECT migrate.apply('9000.98', 'SELECT 1');
SELECT change, prints.taken_over(change) FROM (VALUES
	('SELECT 1'),
	('ANALYZE'),
	('INSERT INTO prints.child (t) VALUES (''x'')'),
	('CREATE TEMP TABLE passing (id serial PRIMARY KEY, a text DEFAULT ''x'' CHECK (a > ''''), b int[])'),
	('COMMENT ON TABLE prints.reused IS ''x'''),
	('CREATE ROLE prints_new'),
	('CREATE TABLE prints.x (a int)'),
	('ALTER TABLE prints.reused ADD x int'),
	('ALTER TABLE prints.reused ALTER e SET DEFAULT 1'),
	('GRANT SELECT ON prints.reused TO PUBLIC'),
	('CREATE INDEX ON prints.reused (e)'),
	('ALTER SEQUENCE prints.numbers OWNED BY prints.reused.e'),
	('ALTER TYPE prints.temper ADD VALUE ''so-so'''),
	('ALTER EXTENSION plpgsql ADD FUNCTION prints.of_hstore()'),
	('ALTER ROLE prints_reader RENAME TO prints_writer')
) AS c (change);

-- deploys do so as well, whatever their migrations commit on the way
SELECT migrate.register('9001.1', '', 'BEGIN; CREATE TABLE prints.d (a int); COMMIT; CREATE INDEX ON prints.d (a)');
SELECT migrate.register('9001.2', '', 'ALTER TABLE prints.d ADD b prints.positive');
CALL migrate.deploy();
SELECT fingerprint = migrate.schema_fingerprint() AS is_last, fingerprint IS NOT NULL AS has_one
FROM migrate.history WHERE version LIKE '9001.%' ORDER BY id;

-- owners and privileges can be left out
SELECT migrate.schema_fingerprint(false) AS without \gset
GRANT SELECT ON prints.d TO prints_reader;
SELECT migrate.schema_fingerprint(false) = :'without' AS same;

SET client_min_messages = warning;
/* safe_migrate: override end of the test */ DROP SCHEMA prints CASCADE;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
DROP PUBLICATION published;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM prints_reader;
DROP OWNED BY prints_reader;
DROP ROLE prints_reader;
DELETE FROM migrate.migrations WHERE version LIKE '900%';
DELETE FROM migrate.attempts WHERE version LIKE '900%';

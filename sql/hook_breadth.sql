--
-- The breadth of PostgreSQL's DDL: whatever kind of object and way of writing,
-- a right verdict, PostgreSQL's own error where it has one, and no crash.
-- What only warns is listed at the end.
--
CREATE SCHEMA breadth;
SET search_path = breadth, public;
SET client_min_messages = error;
\set VERBOSITY sqlstate
\pset format unaligned
\pset tuples_only on

-- The verdict, without the remedy; only the SQLSTATE of PostgreSQL's own errors.
CREATE FUNCTION judged(statement text) RETURNS text LANGUAGE sql AS $$
	SELECT split_part(v, CASE WHEN v LIKE 'SM%' THEN '; ' ELSE ' ' END, 1)
	FROM public.verdict(statement) v
$$;

CREATE TABLE big (id int, t text);
INSERT INTO big SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE few (id int, t text);
CREATE INDEX few_id ON few (id);

-- temporary tables are nobody else's
CREATE TEMP TABLE temp_big AS SELECT * FROM big;
SELECT judged('CREATE INDEX ON temp_big (id)');
SELECT judged('ALTER TABLE temp_big ALTER id TYPE bigint, ADD s serial, ADD CHECK (id > 0)');
SELECT judged('ALTER TABLE temp_big RENAME id TO identifier');
SELECT judged('TRUNCATE temp_big');
SELECT judged('DROP TABLE temp_big');
SELECT judged('DROP TABLE temp_big, big');

-- views have no rows, but a column of theirs may be what another object needs
CREATE VIEW v AS SELECT id, t FROM big;
CREATE VIEW v2 AS SELECT id FROM v;
SELECT judged('CREATE OR REPLACE VIEW v AS SELECT id, t, 1 AS one FROM big');
SELECT judged('ALTER VIEW v ALTER t SET DEFAULT 1');
SELECT judged('ALTER TABLE v ALTER t SET DEFAULT 1');
SELECT judged('ALTER VIEW v SET (security_barrier)');
SELECT judged('ALTER TABLE v ADD c int');
SELECT judged('ALTER TABLE v ADD CHECK (id > 0)');
SELECT judged('CREATE INDEX ON v (id)');
SELECT judged('DROP VIEW v');
SELECT judged('DROP VIEW v CASCADE');
SELECT judged('DROP TABLE v');
SELECT judged('TRUNCATE v');
SELECT judged('CREATE TRIGGER tr INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()');
SELECT judged('ALTER TABLE big ALTER id TYPE bigint');
SELECT judged('ALTER TABLE big DROP id');

-- materialized views have rows and readers
CREATE MATERIALIZED VIEW mv AS SELECT * FROM big;
SELECT judged('CREATE INDEX ON mv (id)');
SELECT judged('REFRESH MATERIALIZED VIEW mv');
SELECT judged('REFRESH MATERIALIZED VIEW mv WITH NO DATA');
SELECT judged('ALTER MATERIALIZED VIEW mv RENAME TO mv2');
SELECT judged('ALTER MATERIALIZED VIEW mv RENAME id TO identifier');
SELECT judged('ALTER TABLE mv SET SCHEMA public');
SELECT judged('ALTER MATERIALIZED VIEW mv SET (fillfactor = 50)');
SELECT judged('ALTER MATERIALIZED VIEW mv CLUSTER ON mv_id');
SELECT judged('DROP MATERIALIZED VIEW mv');
SELECT judged('DROP VIEW mv');
CREATE MATERIALIZED VIEW mv_empty AS SELECT * FROM big WITH NO DATA;
SELECT judged('REFRESH MATERIALIZED VIEW mv_empty');
SELECT judged('DROP MATERIALIZED VIEW mv_empty');
DROP MATERIALIZED VIEW mv_empty;

-- foreign tables have their rows elsewhere
CREATE FOREIGN DATA WRAPPER breadth_wrapper;
CREATE SERVER breadth_server FOREIGN DATA WRAPPER breadth_wrapper;
CREATE FOREIGN TABLE ft (id int, t text) SERVER breadth_server;
SELECT judged('ALTER FOREIGN TABLE ft ADD c serial, ADD d int DEFAULT random()');
SELECT judged('ALTER TABLE ft ALTER id TYPE bigint');
SELECT judged('ALTER FOREIGN TABLE ft ALTER id SET NOT NULL, ADD CHECK (id > 0)');
SELECT judged('ALTER FOREIGN TABLE ft RENAME TO ft2');
SELECT judged('ALTER FOREIGN TABLE ft DROP id');
SELECT judged('CREATE INDEX ON ft (id)');
SELECT judged('TRUNCATE ft');
SELECT judged('DROP FOREIGN TABLE ft');
SELECT judged('DROP TABLE ft');
SELECT judged('DROP SERVER breadth_server');
SELECT judged('DROP SERVER breadth_server CASCADE');
SELECT judged('DROP FOREIGN DATA WRAPPER breadth_wrapper CASCADE');
SELECT judged('IMPORT FOREIGN SCHEMA x FROM SERVER breadth_server INTO breadth');

-- sequences, by their own commands and through ALTER TABLE
CREATE SEQUENCE unused;
CREATE SEQUENCE used;
SELECT nextval('used');
SELECT judged('ALTER TABLE unused RENAME TO renamed');
SELECT judged('ALTER SEQUENCE unused RENAME TO renamed');
SELECT judged('ALTER SEQUENCE unused SET SCHEMA public');
SELECT judged('ALTER SEQUENCE used RENAME TO renamed');
SELECT judged('ALTER TABLE used SET SCHEMA public');
SELECT judged('ALTER TABLE used OWNER TO CURRENT_USER');
SELECT judged('ALTER SEQUENCE used OWNED BY big.id');
SELECT judged('ALTER SEQUENCE used AS bigint RESTART 17');
SELECT judged('DROP SEQUENCE used');
SELECT judged('DROP TABLE used');

-- indexes, by their own commands and through ALTER TABLE
CREATE INDEX CONCURRENTLY big_id ON big (id);
SELECT judged('ALTER INDEX big_id RENAME TO big_id2');
SELECT judged('ALTER TABLE big_id RENAME TO big_id2');
SELECT judged('ALTER INDEX big_id SET (fillfactor = 50)');
SELECT judged('ALTER TABLE big_id SET (fillfactor = 50)');
SELECT judged('ALTER INDEX big_id ALTER 1 SET STATISTICS 100');
SELECT judged('ALTER INDEX big_id RENAME id TO other');
SELECT judged('ALTER INDEX big_id DEPENDS ON EXTENSION plpgsql');
SELECT judged('DROP INDEX big_id');
SELECT judged('DROP INDEX big_id, few_id');
SELECT judged('DROP INDEX few_id');
SELECT judged('DROP TABLE big_id');
SELECT judged('REINDEX INDEX big');
SELECT judged('REINDEX TABLE big_id');
SELECT judged('REINDEX (VERBOSE) INDEX big_id');
SELECT judged('REINDEX INDEX few_id');
SELECT judged('CLUSTER big USING big_id');
SELECT judged('CLUSTER few USING few_id');
SELECT judged('CREATE INDEX IF NOT EXISTS big_id ON big (id)');
SELECT judged('CREATE INDEX big_id ON big (id)');
SELECT judged('CREATE UNIQUE INDEX ON big (id) WHERE id > 100');
SELECT judged('CREATE INDEX ON big (id, no_such_column)');
SELECT judged('CREATE INDEX ON big (no_such_function(id))');

-- IF EXISTS, and what does not exist
SELECT judged('ALTER TABLE IF EXISTS nope ADD c serial');
SELECT judged('ALTER TABLE IF EXISTS nope RENAME TO nope2');
SELECT judged('ALTER TABLE IF EXISTS nope RENAME c TO d');
SELECT judged('ALTER TABLE IF EXISTS nope SET SCHEMA public');
SELECT judged('ALTER VIEW IF EXISTS nope RENAME TO nope2');
SELECT judged('ALTER INDEX IF EXISTS nope RENAME TO nope2');
SELECT judged('ALTER TABLE IF EXISTS no_schema.nope ADD c int');
SELECT judged('DROP TABLE IF EXISTS nope, no_schema.nope');
SELECT judged('DROP TABLE IF EXISTS nope, big');
SELECT judged('DROP INDEX IF EXISTS nope, no_schema.nope');
SELECT judged('DROP TYPE IF EXISTS nope, no_schema.nope');
SELECT judged('DROP FUNCTION IF EXISTS nope(int), no_schema.nope(no_type)');
SELECT judged('DROP TRIGGER IF EXISTS nope ON nope');
SELECT judged('DROP TRIGGER IF EXISTS nope ON big');
SELECT judged('DROP RULE IF EXISTS nope ON no_schema.nope');
SELECT judged('DROP POLICY IF EXISTS nope ON big');
SELECT judged('DROP OPERATOR IF EXISTS @#@ (int, no_type)');
SELECT judged('DROP AGGREGATE IF EXISTS nope(int)');
SELECT judged('DROP CAST IF EXISTS (text AS no_type)');
SELECT judged('DROP SCHEMA IF EXISTS nope CASCADE');
SELECT judged('DROP EXTENSION IF EXISTS nope');
SELECT judged('DROP DOMAIN IF EXISTS nope');
SELECT judged('DROP SERVER IF EXISTS nope');
SELECT judged('DROP STATISTICS IF EXISTS nope');
SELECT judged('DROP PUBLICATION IF EXISTS nope');
SELECT judged('DROP TEXT SEARCH CONFIGURATION IF EXISTS nope');
SELECT judged('DROP OWNED BY no_such_role');
SELECT judged('ALTER TABLE nope ADD c int');
SELECT judged('ALTER TYPE nope ADD VALUE ''x''');
SELECT judged('ALTER DOMAIN nope ADD CHECK (VALUE > 0)');
SELECT judged('ALTER TABLE big DROP IF EXISTS nope');
SELECT judged('ALTER TABLE big DROP nope');
SELECT judged('ALTER TABLE big ALTER nope TYPE int');
SELECT judged('ALTER TABLE big ALTER nope SET NOT NULL');
SELECT judged('ALTER TABLE big ALTER ctid TYPE int');
SELECT judged('ALTER TABLE big DROP ctid');
SELECT judged('ALTER TABLE big DROP CONSTRAINT IF EXISTS nope');
SELECT judged('ALTER TABLE big DROP CONSTRAINT nope');
SELECT judged('ALTER TABLE big VALIDATE CONSTRAINT nope');
SELECT judged('ALTER TABLE big ADD COLUMN IF NOT EXISTS id serial');
SELECT judged('ALTER TABLE big ADD c no_such_type');
SELECT judged('ALTER TABLE big ALTER id TYPE no_such_type');
SELECT judged('ALTER TABLE big ALTER id TYPE int USING (no_such_column)');
SELECT judged('ALTER TABLE big ALTER id TYPE box');
SELECT judged('ALTER TABLE big ALTER t TYPE int');
SELECT judged('ALTER TABLE big ADD c int DEFAULT ''x''');
SELECT judged('ALTER TABLE big ADD c int DEFAULT (SELECT 1)');
SELECT judged('ALTER TABLE big ADD c int DEFAULT 1 / 0');
SELECT judged('ALTER TABLE big ADD CONSTRAINT k UNIQUE USING INDEX nope');
SELECT judged('ALTER TABLE big ADD CONSTRAINT k PRIMARY KEY USING INDEX few_id');
SELECT judged('ALTER TABLE big ADD CONSTRAINT k PRIMARY KEY USING INDEX big_id');
SELECT judged('ALTER TABLE big ADD FOREIGN KEY (id) REFERENCES nope');
SELECT judged('ALTER TABLE big ADD FOREIGN KEY (id) REFERENCES no_schema.nope');
SELECT judged('ALTER TABLE big ADD FOREIGN KEY (id) REFERENCES few');
SELECT judged('CREATE TABLE big (id int)');
SELECT judged('CREATE TABLE IF NOT EXISTS big (id int REFERENCES nope)');
SELECT judged('TRUNCATE nope');
SELECT judged('CREATE TABLE refers_nope (id int REFERENCES nope)');

-- a harmless catalog change is one, whatever the size of the table
SELECT judged('ALTER TABLE big ALTER t SET STATISTICS 100, ALTER t SET STORAGE MAIN, ALTER t SET (n_distinct = 5)');
SELECT judged('ALTER TABLE big SET (fillfactor = 50), RESET (fillfactor)');
SELECT judged('ALTER TABLE big REPLICA IDENTITY FULL, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
SELECT judged('ALTER TABLE big CLUSTER ON big_id');
SELECT judged('ALTER TABLE big SET WITHOUT CLUSTER, SET WITHOUT OIDS');
SELECT judged('ALTER TABLE big DISABLE TRIGGER ALL, ENABLE TRIGGER USER');
SELECT judged('ALTER TABLE big ALTER t SET DEFAULT ''x'', ALTER t DROP DEFAULT, ALTER t DROP NOT NULL');
SELECT judged('ALTER TABLE big OWNER TO CURRENT_USER');
SELECT judged('ALTER TABLE big ADD CONSTRAINT c CHECK (id > 0) NOT VALID; ALTER TABLE big RENAME CONSTRAINT c TO d');
SELECT judged('CREATE RULE r AS ON INSERT TO big DO ALSO NOTHING; ALTER RULE r ON big RENAME TO s; DROP RULE s ON big');
SELECT judged('CREATE POLICY p ON big; ALTER POLICY p ON big RENAME TO q; DROP POLICY q ON big');
SELECT judged('CREATE TRIGGER tr BEFORE UPDATE ON big EXECUTE FUNCTION suppress_redundant_updates_trigger(); ALTER TRIGGER tr ON big RENAME TO ts; DROP TRIGGER ts ON big');
SELECT judged('CREATE STATISTICS st ON id, t FROM big; ALTER STATISTICS st RENAME TO su; DROP STATISTICS su');
SELECT judged('COMMENT ON TABLE big IS ''x''; GRANT SELECT ON big TO PUBLIC; LOCK TABLE big; ANALYZE big');

-- storage
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE breadth_space LOCATION '';
CREATE ACCESS METHOD breadth_heap TYPE TABLE HANDLER heap_tableam_handler;
SELECT judged('ALTER TABLE big SET TABLESPACE breadth_space');
SELECT judged('ALTER TABLE big SET TABLESPACE pg_default');
SELECT judged('ALTER TABLE big SET TABLESPACE nope');
SELECT judged('ALTER INDEX big_id SET TABLESPACE breadth_space');
SET safe_migrate.small_table = '100kB';
SELECT judged('ALTER INDEX big_id SET TABLESPACE breadth_space');
SELECT judged('ALTER TABLE big_id SET TABLESPACE breadth_space');
RESET safe_migrate.small_table;
SELECT judged('ALTER MATERIALIZED VIEW mv SET TABLESPACE breadth_space');
SELECT judged('ALTER TABLE few SET TABLESPACE breadth_space');
SELECT judged('ALTER TABLE v SET TABLESPACE breadth_space');
SELECT judged('ALTER TABLE big SET ACCESS METHOD breadth_heap');
SELECT judged('ALTER TABLE big SET ACCESS METHOD heap');
SELECT judged('ALTER TABLE big SET ACCESS METHOD nope');
SELECT judged('ALTER TABLE big SET UNLOGGED');
SELECT judged('ALTER TABLE big SET LOGGED');
SELECT judged('ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE breadth_space');
-- the recorder of what was refused holds a lock on an index of its own
DO $$
BEGIN
	WHILE (SELECT sum(CASE name WHEN 'decisions_queued' THEN value ELSE -value END)
		   FROM migrate.counters() WHERE name LIKE 'decisions%') > 0
	LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
END $$;
SELECT judged('ALTER INDEX ALL IN TABLESPACE pg_default OWNED BY CURRENT_USER SET TABLESPACE breadth_space NOWAIT');
DROP TABLESPACE breadth_space;
DROP ACCESS METHOD breadth_heap;

-- types: composite, typed tables, domains, enumerations, ranges
CREATE TYPE pair AS (a int, b text);
CREATE TABLE typed OF pair;
INSERT INTO typed SELECT * FROM big;
CREATE TABLE typed_empty OF pair;
CREATE TABLE has_pair AS SELECT id, NULL::pair AS p FROM big;
SELECT judged('ALTER TYPE pair ADD ATTRIBUTE c int');
SELECT judged('ALTER TABLE typed ADD c int');
SELECT judged('ALTER TABLE typed NOT OF');
SELECT judged('ALTER TABLE typed ALTER a SET NOT NULL');
SELECT judged('ALTER TABLE has_pair DROP p; ALTER TYPE pair ADD ATTRIBUTE c int CASCADE');
/* safe_migrate: override test */ DROP TABLE has_pair;
SELECT judged('ALTER TYPE pair ADD ATTRIBUTE c int CASCADE');
SELECT judged('ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint CASCADE');
SELECT judged('ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint');
SELECT judged('ALTER TYPE pair DROP ATTRIBUTE b');
SELECT judged('ALTER TYPE pair DROP ATTRIBUTE b CASCADE, ADD ATTRIBUTE c int CASCADE');
SELECT judged('ALTER TYPE pair RENAME ATTRIBUTE b TO c');
SELECT judged('ALTER TYPE pair RENAME ATTRIBUTE b TO c CASCADE');
SELECT judged('DROP TYPE pair');
SELECT judged('DROP TYPE pair CASCADE');
SELECT judged('ALTER TYPE nope DROP ATTRIBUTE b');
SELECT judged('ALTER TYPE big ADD ATTRIBUTE c int');
CREATE DOMAIN dom AS int;
CREATE DOMAIN dom_of_dom AS dom;
CREATE TABLE has_dom AS SELECT id::dom_of_dom AS d FROM big;
SELECT judged('ALTER DOMAIN dom ADD CHECK (VALUE > 0)');
SELECT judged('ALTER DOMAIN dom ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID');
SELECT judged('ALTER DOMAIN dom SET NOT NULL');
SELECT judged('ALTER DOMAIN dom SET DEFAULT 1; ALTER DOMAIN dom DROP DEFAULT; ALTER DOMAIN dom DROP NOT NULL');
SELECT judged('ALTER DOMAIN dom RENAME TO dom2');
SELECT judged('ALTER TYPE dom_of_dom RENAME TO dom2');
SELECT judged('DROP DOMAIN dom CASCADE');
SELECT judged('CREATE TYPE r AS RANGE (subtype = float8); ALTER TYPE r RENAME TO s; DROP TYPE s');
SELECT judged('CREATE TYPE shell; DROP TYPE shell');
SELECT judged('CREATE TYPE e AS ENUM (''a''); ALTER TYPE e ADD VALUE ''b''; ALTER TYPE e RENAME VALUE ''a'' TO ''c''; ALTER TYPE e RENAME TO f');

-- old inheritance
CREATE TABLE root (id int, t text);
CREATE TABLE child (extra int) INHERITS (root);
INSERT INTO child SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
SELECT judged('ALTER TABLE root ADD CHECK (id > 0)');
SELECT judged('ALTER TABLE root ADD c int');
SELECT judged('ALTER TABLE root ALTER t TYPE varchar(200)');
SELECT judged('ALTER TABLE root DROP t');
SELECT judged('ALTER TABLE root RENAME t TO u');
SELECT judged('TRUNCATE root');
SELECT judged('DROP TABLE root');
SELECT judged('DROP TABLE root CASCADE');
SELECT judged('ALTER TABLE child NO INHERIT root');
SELECT judged('ALTER TABLE child INHERIT root');
SELECT judged('CREATE TABLE grandchild () INHERITS (child, root)');
SELECT judged('CREATE TABLE grandchild () INHERITS (nope)');

-- partitions of all kinds
CREATE TABLE parted (id int NOT NULL, t text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (100000);
INSERT INTO parted SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE parted_rest PARTITION OF parted DEFAULT PARTITION BY HASH (t);
CREATE TABLE parted_rest_0 PARTITION OF parted_rest FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO parted SELECT g, repeat('x', 80) FROM generate_series(200001, 220000) g;
CREATE TABLE other_columns (id int NOT NULL, u text);
CREATE TABLE other_type (id bigint NOT NULL, t text);
CREATE TABLE other_order (gone int, t text, id int NOT NULL);
INSERT INTO other_order SELECT g, repeat('x', 80), 100000 + g FROM generate_series(1, 20000) g;
ALTER TABLE other_order ADD CONSTRAINT b CHECK (id IS NOT NULL AND id >= 100000 AND id < 130000) NOT VALID;
ALTER TABLE other_order VALIDATE CONSTRAINT b;
SELECT judged('CREATE TABLE p PARTITION OF parted FOR VALUES FROM (300000) TO (400000)');
SELECT judged('CREATE TABLE p PARTITION OF parted FOR VALUES FROM (1) TO (1)');
SELECT judged('CREATE TABLE p PARTITION OF parted FOR VALUES FROM (1) TO (2)');
SELECT judged('CREATE TABLE p PARTITION OF parted FOR VALUES IN (1)');
SELECT judged('CREATE TABLE p PARTITION OF parted FOR VALUES FROM (nope) TO (1)');
SELECT judged('CREATE TABLE p PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (0)');
SELECT judged('CREATE TABLE p PARTITION OF parted DEFAULT');
SELECT judged('CREATE TABLE p PARTITION OF big DEFAULT');
SELECT judged('CREATE TABLE p PARTITION OF parted_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1)');
SELECT judged('ALTER TABLE parted ATTACH PARTITION other_columns FOR VALUES FROM (300000) TO (400000)');
SELECT judged('ALTER TABLE parted ATTACH PARTITION other_type FOR VALUES FROM (300000) TO (400000)');
SELECT judged('ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES FROM (300000) TO (400000)');
SELECT judged('ALTER TABLE parted ATTACH PARTITION nope FOR VALUES FROM (300000) TO (400000)');
SELECT judged('ALTER TABLE big ATTACH PARTITION few FOR VALUES FROM (1) TO (2)') LIKE '42%';
/* safe_migrate: override test */ ALTER TABLE other_order DROP gone;
SELECT judged('ALTER TABLE parted ATTACH PARTITION other_order FOR VALUES FROM (100000) TO (130000)');
SELECT judged('ALTER TABLE parted ATTACH PARTITION ft FOR VALUES FROM (300000) TO (400000)');
SELECT judged('ALTER TABLE parted DETACH PARTITION parted_1');
SELECT judged('ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY');
SELECT judged('ALTER TABLE parted DETACH PARTITION parted_1 FINALIZE');
SELECT judged('ALTER TABLE parted DETACH PARTITION big');
SELECT judged('DROP TABLE parted_1');
SELECT judged('ALTER TABLE parted_1 RENAME TO p');
SELECT judged('ALTER TABLE parted ALTER t TYPE varchar(200)');
SELECT judged('ALTER TABLE parted_1 ALTER t TYPE varchar(200)');
SELECT judged('ALTER TABLE parted_1 ADD CHECK (id > 0)');
SELECT judged('ALTER TABLE parted ADD PRIMARY KEY (id)');
SELECT judged('ALTER TABLE ONLY parted ADD CONSTRAINT k UNIQUE (id)');
SELECT judged('ALTER TABLE ONLY parted ADD PRIMARY KEY (id)');
SELECT judged('CREATE INDEX k ON ONLY parted (id); ALTER INDEX k ATTACH PARTITION few_id');
SELECT judged('CREATE INDEX CONCURRENTLY ON parted (id)');
SELECT judged('REINDEX TABLE parted_1');
SELECT judged('TRUNCATE parted_rest');
CREATE TABLE by_expression (id int, t text) PARTITION BY LIST (lower(t));
SELECT judged('CREATE TABLE p PARTITION OF by_expression FOR VALUES IN (''a'', NULL)');
SELECT judged('ALTER TABLE by_expression ATTACH PARTITION big FOR VALUES IN (''xxx'')');

-- generated columns
CREATE TABLE gen (id int, twice int GENERATED ALWAYS AS (id * 2) STORED, t text);
INSERT INTO gen (id, t) SELECT * FROM big;
SELECT judged('ALTER TABLE gen ALTER twice DROP EXPRESSION');
SELECT judged('ALTER TABLE gen ALTER t DROP EXPRESSION');
SELECT judged('ALTER TABLE gen ALTER t DROP EXPRESSION IF EXISTS');
SELECT judged('ALTER TABLE gen ALTER id TYPE bigint');
SELECT judged('ALTER TABLE gen ALTER twice TYPE bigint');
SELECT judged('ALTER TABLE gen ALTER twice SET NOT NULL');
SELECT judged('ALTER TABLE gen ALTER twice SET DEFAULT 1');
SELECT judged('ALTER TABLE gen DROP twice');
SELECT judged('ALTER TABLE gen ADD thrice int GENERATED ALWAYS AS (id * 3) STORED');
SELECT judged('ALTER TABLE gen ADD nope int GENERATED ALWAYS AS (no_such_column) STORED');
SELECT judged('ALTER TABLE gen ALTER id ADD GENERATED ALWAYS AS IDENTITY');
SELECT judged('ALTER TABLE gen ADD i int GENERATED BY DEFAULT AS IDENTITY');

-- several changes in one statement, some of them to what another one makes
SELECT judged('ALTER TABLE big ADD n int, ALTER n TYPE bigint, ALTER n SET NOT NULL');
SELECT judged('ALTER TABLE big ADD n int, ADD UNIQUE (n)');
SELECT judged('ALTER TABLE big ADD n serial PRIMARY KEY');
SELECT judged('ALTER TABLE big DROP id, ADD id bigint');
SELECT judged('ALTER TABLE few ADD n serial PRIMARY KEY, ADD CHECK (n > 0), ALTER id TYPE bigint, DROP t');

-- statements with statements in them
SELECT judged('CREATE SCHEMA made CREATE TABLE one (id int PRIMARY KEY, t text) CREATE INDEX ON one (t) CREATE VIEW w AS SELECT * FROM one CREATE SEQUENCE s');
SELECT judged('CREATE SCHEMA made CREATE TABLE one (LIKE breadth.big INCLUDING ALL)');
SELECT judged('CREATE SCHEMA made CREATE TABLE made.one (id int REFERENCES breadth.big)');
SELECT judged('EXPLAIN ANALYZE CREATE TABLE made AS SELECT * FROM big');
SELECT judged('EXPLAIN CREATE MATERIALIZED VIEW made AS SELECT * FROM big');
SELECT judged('CREATE TABLE made AS SELECT * FROM big; CREATE INDEX ON made (id); ALTER TABLE made ALTER id TYPE bigint; DROP TABLE made');
SELECT judged('SELECT * INTO made FROM big; TRUNCATE made');
SELECT judged('CREATE TABLE made (LIKE big INCLUDING ALL); INSERT INTO made SELECT * FROM big; ALTER TABLE made ADD PRIMARY KEY (id); ALTER TABLE made RENAME TO made2');
SELECT judged('CREATE TABLE made PARTITION OF parted FOR VALUES FROM (300000) TO (300001)');
SELECT judged('DO $x$ BEGIN EXECUTE ''CREATE INDEX ON breadth.big (t)''; END $x$');
SELECT judged('DO $x$ BEGIN PERFORM verdict(''CREATE INDEX ON breadth.big (t)''); END $x$');
PREPARE prepared AS SELECT * FROM big;
SELECT judged('CREATE TABLE made AS EXECUTE prepared; DROP TABLE made');
DEALLOCATE prepared;
COPY (SELECT 1) TO '/dev/null';
CREATE TABLE made AS SELECT 1 AS one \; CREATE INDEX ON made (one) \; DROP TABLE made;
BEGIN;
DECLARE reads CURSOR FOR SELECT id FROM big ORDER BY id;
FETCH reads;
SELECT judged('ALTER TABLE big ADD c int');
SELECT judged('ALTER TABLE big ADD c serial');
SELECT judged('ALTER TABLE few ADD c int');
FETCH reads;
COMMIT;

-- subtransactions
BEGIN;
SAVEPOINT a;
CREATE TABLE in_savepoint AS SELECT * FROM big;
SAVEPOINT b;
CREATE INDEX ON in_savepoint (id);
CREATE INDEX ON big (t);
ROLLBACK TO b;
ALTER TABLE in_savepoint ALTER id TYPE bigint;
RELEASE a;
TRUNCATE in_savepoint;
COMMIT;
SELECT judged('DROP TABLE in_savepoint');
\set VERBOSITY terse
DO $$
DECLARE
	refused int := 0;
BEGIN
	FOR i IN 1 .. 50 LOOP
		IF verdict('ALTER TABLE breadth.big ALTER id TYPE bigint, ADD CHECK (id > 0)') ~ '^SM001' THEN
			refused := refused + 1;
		END IF;
		-- an error inside of the judgement
		FOR j IN 1 .. 10 LOOP
			PERFORM verdict('ALTER TABLE breadth.big ALTER id TYPE int USING id / (1 - 1), ADD c int DEFAULT 1 / 0');
		END LOOP;
	END LOOP;
	RAISE INFO '% times refused', refused;
END $$;
\set VERBOSITY sqlstate

-- event triggers that run DDL themselves
CREATE TABLE event_log (tag text, said text);
CREATE FUNCTION on_event() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('breadth.inside', true) = 'yes' THEN
		RETURN;
	END IF;
	PERFORM set_config('breadth.inside', 'yes', true);
	EXECUTE 'CREATE TABLE breadth.event_made (id int)';
	EXECUTE 'ALTER TABLE breadth.event_made ADD c int';
	INSERT INTO breadth.event_log VALUES (tg_event || ' ' || tg_tag, left(verdict('CREATE INDEX ON breadth.big (t)'), 19));
	EXECUTE 'DROP TABLE breadth.event_made';
	PERFORM set_config('breadth.inside', 'no', true);
END $$;
CREATE EVENT TRIGGER at_start ON ddl_command_start EXECUTE FUNCTION on_event();
CREATE EVENT TRIGGER at_end ON ddl_command_end EXECUTE FUNCTION on_event();
CREATE EVENT TRIGGER at_drop ON sql_drop EXECUTE FUNCTION on_event();
CREATE TABLE watched (id int);
CREATE INDEX ON big (t);
ALTER TABLE watched ALTER id TYPE bigint;
DROP TABLE watched;
DROP EVENT TRIGGER at_start;
DROP EVENT TRIGGER at_end;
DROP EVENT TRIGGER at_drop;
SELECT DISTINCT tag, said FROM event_log ORDER BY tag;

-- DROP of everything else, and RENAME
SELECT judged('CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS ''SELECT 1''; ALTER FUNCTION f(int) RENAME TO g; ALTER FUNCTION g(int) SET SCHEMA public; DROP FUNCTION public.g');
SELECT judged('CREATE PROCEDURE f() LANGUAGE sql AS ''SELECT 1''; ALTER ROUTINE f() RENAME TO g; DROP PROCEDURE g()');
SELECT judged('CREATE AGGREGATE agg(int) (SFUNC = int4pl, STYPE = int); ALTER AGGREGATE agg(int) RENAME TO agg2; DROP AGGREGATE agg2(int)');
SELECT judged('CREATE OPERATOR @#@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl); DROP OPERATOR @#@ (int, int)');
SELECT judged('CREATE OPERATOR @#@ (RIGHTARG = int, FUNCTION = int4um); DROP OPERATOR @#@ (NONE, int)');
SELECT judged('CREATE OPERATOR FAMILY fam USING btree; ALTER OPERATOR FAMILY fam USING btree RENAME TO fam2; DROP OPERATOR FAMILY fam2 USING btree');
SELECT judged('CREATE OPERATOR CLASS cls FOR TYPE int USING hash AS OPERATOR 1 =; ALTER OPERATOR CLASS cls USING hash RENAME TO cls2; DROP OPERATOR CLASS cls2 USING hash');
SELECT judged('CREATE CAST (pair AS big) WITH INOUT; DROP CAST (pair AS big)');
SELECT judged('CREATE COLLATION coll FROM "C"; ALTER COLLATION coll RENAME TO coll2; DROP COLLATION coll2');
SELECT judged('CREATE CONVERSION conv FOR ''LATIN1'' TO ''UTF8'' FROM iso8859_1_to_utf8; ALTER CONVERSION conv RENAME TO conv2; DROP CONVERSION conv2');
SELECT judged('CREATE TEXT SEARCH CONFIGURATION ts (PARSER = "default"); ALTER TEXT SEARCH CONFIGURATION ts RENAME TO ts2; DROP TEXT SEARCH CONFIGURATION ts2');
SELECT judged('CREATE TEXT SEARCH DICTIONARY ts (TEMPLATE = simple); ALTER TEXT SEARCH DICTIONARY ts RENAME TO ts2; DROP TEXT SEARCH DICTIONARY ts2');
SELECT judged('CREATE PUBLICATION pub FOR TABLE big; ALTER PUBLICATION pub RENAME TO pub2; DROP PUBLICATION pub2');
SELECT judged('CREATE ACCESS METHOD am TYPE INDEX HANDLER bthandler; DROP ACCESS METHOD am');
SELECT judged('CREATE USER MAPPING FOR PUBLIC SERVER breadth_server; DROP USER MAPPING FOR PUBLIC SERVER breadth_server; ALTER SERVER breadth_server RENAME TO s2');
SELECT judged('CREATE SCHEMA s; ALTER SCHEMA s RENAME TO s2; DROP SCHEMA s2');
SELECT judged('CREATE ROLE breadth_role; ALTER ROLE breadth_role RENAME TO breadth_role2; DROP ROLE breadth_role2');
SELECT judged('CREATE EVENT TRIGGER ev ON sql_drop EXECUTE FUNCTION on_event(); ALTER EVENT TRIGGER ev RENAME TO ev2; DROP EVENT TRIGGER ev2');
SELECT judged('ALTER SCHEMA breadth RENAME TO s2');
SELECT judged('DROP SCHEMA breadth');
SELECT judged('DROP SCHEMA breadth CASCADE');
SELECT judged('DROP LANGUAGE plpgsql CASCADE');

-- DROP OWNED, and extensions
CREATE ROLE breadth_owner;
GRANT ALL ON SCHEMA breadth TO breadth_owner;
CREATE TABLE owned AS SELECT * FROM big;
ALTER TABLE owned OWNER TO breadth_owner;
SELECT judged('DROP OWNED BY breadth_owner');
SELECT judged('REASSIGN OWNED BY breadth_owner TO CURRENT_USER');
ALTER TABLE owned OWNER TO CURRENT_USER;
SELECT judged('DROP OWNED BY breadth_owner');
DROP OWNED BY breadth_owner;
DROP ROLE breadth_owner;
CREATE EXTENSION citext SCHEMA breadth;
CREATE TABLE has_citext AS SELECT id, t::citext AS c FROM big;
SELECT judged('DROP EXTENSION citext');
SELECT judged('DROP EXTENSION citext CASCADE');
SELECT judged('ALTER EXTENSION citext SET SCHEMA public');
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;
SELECT judged('DROP EXTENSION safe_migrate');

-- what PostgreSQL keeps for itself
SELECT judged('CREATE INDEX ON pg_class (relname)');
SELECT judged('ALTER TABLE pg_class ADD c int');
SELECT judged('TRUNCATE pg_description');
SELECT judged('DROP TABLE pg_class');
REINDEX TABLE pg_class;
VACUUM FULL pg_description;
SELECT judged('ALTER TABLE information_schema.sql_features RENAME TO other');

-- names that need care
CREATE TABLE "we""ird;%s %n -- /* 'name'" AS SELECT id AS "a b;%d", t FROM big;
SELECT judged('ALTER TABLE "we""ird;%s %n -- /* ''name''" ALTER "a b;%d" TYPE bigint');
SELECT judged('CREATE INDEX ON "we""ird;%s %n -- /* ''name''" ("a b;%d")');
SELECT judged('DROP TABLE "we""ird;%s %n -- /* ''name''"');
CREATE TABLE "täblé_with_a_name_that_is_as_long_as_names_can_be_in_bytes" AS SELECT * FROM big;
SELECT judged('ALTER TABLE "täblé_with_a_name_that_is_as_long_as_names_can_be_in_bytes" ADD CONSTRAINT "ß" CHECK (id > 0)');
SELECT judged(U&'DROP TABLE U&"t\00E4bl\00E9_with_a_name_that_is_as_long_as_names_can_be_in_bytes"');

-- no search path at all
SET search_path = '';
SELECT breadth.judged('CREATE INDEX ON big (t)');
SELECT breadth.judged('CREATE INDEX ON breadth.big (t)');
SELECT breadth.judged('ALTER TABLE breadth.big ADD c breadth.dom DEFAULT 1');
SELECT breadth.judged('ALTER TABLE breadth.big ADD c serial');
SELECT breadth.judged('DROP FUNCTION on_event()');
SELECT breadth.judged('DROP TYPE breadth.pair CASCADE');
SET search_path = breadth, public;

-- other settings that change how things are looked up
SET session_replication_role = replica;
SELECT judged('CREATE INDEX ON big (t)');
RESET session_replication_role;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT judged('CREATE INDEX ON big (t)');
COMMIT;
BEGIN READ ONLY;
CREATE INDEX ON few (t);
COMMIT;
SET check_function_bodies = off;
SET row_security = off;
SELECT judged('DROP TABLE big');
RESET check_function_bodies;
RESET row_security;

-- what was let through with a warning
SELECT DISTINCT rule, command, relation FROM migrate.decisions
WHERE outcome = 'warned' AND relation LIKE 'breadth.%' ORDER BY 1, 2, 3;

SET safe_migrate.mode = off;
DROP SCHEMA breadth CASCADE;
DROP FOREIGN DATA WRAPPER breadth_wrapper CASCADE;

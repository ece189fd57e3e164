-- Views of two versions: schemas in which clients see the tables in one shape.
\set VERBOSITY terse
SET safe_migrate.restore_points = off;
SET client_min_messages = warning;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 4500;
CREATE ROLE version_reader;
CREATE ROLE version_writer;
CREATE ROLE version_clerk;
CREATE ROLE version_nobody;
CREATE ROLE version_owner;
GRANT CREATE ON DATABASE :DBNAME TO version_owner;
CREATE FUNCTION shown(view regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
		|| ':' || regexp_replace(replace(pg_get_viewdef(view), 'customer.', ''), '\s+', ' ', 'g')
	FROM pg_attribute WHERE attrelid = view AND attnum > 0 $$;
CREATE FUNCTION granted(view regclass) RETURNS TABLE (attname name, grantee text, privileges text) LANGUAGE sql AS $$
	SELECT o.attname, a.grantee::regrole::text, string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ', ' ORDER BY a.privilege_type)
	FROM (SELECT NULL::name AS attname, 0 AS attnum, relacl AS acl FROM pg_class WHERE oid = view
		UNION ALL SELECT attname, attnum, attacl FROM pg_attribute WHERE attrelid = view) o,
		aclexplode(o.acl) a WHERE a.grantee <> a.grantor GROUP BY o.attnum, o.attname, a.grantee ORDER BY o.attnum, 2 $$;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO version_reader, version_writer;
GRANT USAGE ON SCHEMA app TO version_clerk WITH GRANT OPTION;
CREATE TABLE app.customer (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email text NOT NULL DEFAULT '-',
	"Full Name" text DEFAULT 'Nobody Known',
	visits int DEFAULT 1,
	legacy text NOT NULL,
	doubled int GENERATED ALWAYS AS (id * 2) STORED);
GRANT SELECT ON app.customer TO version_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.customer TO version_writer;
GRANT SELECT (id, email), UPDATE (email), INSERT (legacy) ON app.customer TO version_clerk;
ALTER TABLE app.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON app.customer TO version_writer, version_clerk
	USING (visits < 100) WITH CHECK (visits < 100);
CREATE POLICY all_rows ON app.customer FOR SELECT TO version_reader USING (true);
CREATE TABLE app."Odd ""Table""" ("select" int PRIMARY KEY, "a b" text);
CREATE TABLE app.part (id int, v text) PARTITION BY LIST (id);
CREATE TABLE app.part_1 PARTITION OF app.part FOR VALUES IN (1);
CREATE VIEW app.a_view AS SELECT 1 AS one;
INSERT INTO app.customer (email, "Full Name", visits, legacy)
	SELECT 'user' || g || '@example.com', 'First' || g || ' Last' || g, g, 'x'
	FROM generate_series(1, 200) g;

-- what is refused
SELECT migrate.create_version(NULL);
SELECT migrate.create_version('v1', 'nowhere');
SELECT migrate.create_version('v1', 'app', 'both');
SELECT migrate.create_version('app', 'app');
SELECT migrate.create_version('pg_v1', 'app');
SELECT migrate.create_version('v1', 'pg_catalog');
SELECT migrate.create_version('v1', 'migrate');
SELECT migrate.drop_version('v1');
SELECT migrate.drop_version('app');
SELECT migrate.drop_version(NULL);
SET ROLE version_reader;
SELECT migrate.create_version('v1', 'app');
RESET ROLE;
BEGIN READ ONLY;
SELECT migrate.create_version('v1', 'app');
ROLLBACK;

-- the old version, before any change
SELECT migrate.create_version('v1', 'app', 'old');
SELECT version, schema, shape, views, created_at <= now() AS is_past, role = current_user AS is_mine
	FROM migrate.versions;
SELECT relname, relkind, reloptions FROM pg_class WHERE relnamespace = 'v1'::regnamespace ORDER BY 1;
SELECT shown('v1.customer');
\dn+ v1
SELECT * FROM granted('v1.customer');
SELECT relname, is_insertable_into, bool_and(is_updatable = 'YES') AS is_updatable
	FROM pg_class JOIN information_schema.tables ON table_name = relname
	JOIN information_schema.columns USING (table_schema, table_name)
	WHERE table_schema = 'v1' AND column_name <> 'doubled'
	AND relnamespace = 'v1'::regnamespace GROUP BY 1, 2 ORDER BY 1;

-- changes of one table; a version for the new code, and one more for the old
\set VERBOSITY sqlstate
SELECT migrate.rename_column('app.customer', 'email', 'mail', advance => 'manual') AS renamed \gset
SELECT migrate.change_type('app.customer', 'visits', 'bigint', advance => 'manual') AS retyped \gset
SELECT migrate.split_column('app.customer', 'Full Name', '{first,last}', '{text,text}',
	ARRAY['split_part("Full Name", '' '', 1)', 'split_part("Full Name", '' '', 2)'],
	'first || '' '' || last', advance => 'manual') AS split \gset
SELECT migrate.drop_column('app.customer', 'legacy', value => '''-''', advance => 'manual') AS dropped \gset
SELECT migrate.add_column('app.customer', 'tenfold', 'bigint', 'id::bigint * 10', advance => 'manual') AS added \gset
\set VERBOSITY terse
SELECT migrate.create_version('v2', 'app');
SELECT migrate.create_version('v1b', 'app', 'old');
SELECT version, shape, views FROM migrate.versions;
SELECT kind, old_columns, new_columns FROM migrate.change_log WHERE relation = 'app.customer' ORDER BY id;
SELECT shown('v2.customer');
SELECT shown('v1b.customer');
SELECT * FROM granted('v2.customer');
CALL migrate.advance(:renamed);
CALL migrate.advance(:retyped);
CALL migrate.advance(:split);
CALL migrate.advance(:dropped);
CALL migrate.advance(:added);

-- each reads and writes its own shape
CREATE VIEW both_sides AS SELECT o.*, n.mail, n.first, n.last, n.visits AS new_visits, n.tenfold
	FROM v1.customer o JOIN v2.customer n USING (id);
SET search_path = v1, public;
INSERT INTO customer (legacy) VALUES ('l') RETURNING *;
INSERT INTO customer (email, "Full Name", visits, legacy) VALUES ('o@old', 'Old Client', 7, 'm'), (DEFAULT, DEFAULT, DEFAULT, 'n');
UPDATE customer SET email = 'by@old' WHERE id = 1 RETURNING id, email, visits;
INSERT INTO customer (id, email, legacy) OVERRIDING SYSTEM VALUE VALUES (2, 'upsert@old', 'k')
	ON CONFLICT (id) DO UPDATE SET email = excluded.email, visits = customer.visits + 1 RETURNING id, email, visits;
DELETE FROM customer WHERE id = 3 RETURNING id;
SET search_path = v2, public;
INSERT INTO customer DEFAULT VALUES RETURNING *;
INSERT INTO customer (mail, first, last, visits, tenfold) VALUES ('n@new', 'New', 'Client', 8, 80) RETURNING *;
UPDATE customer SET mail = 'by@new', last = 'Changed' WHERE id = 4 RETURNING id, mail, first, last;
INSERT INTO customer (id, mail) OVERRIDING SYSTEM VALUE VALUES (5, 'upsert@new')
	ON CONFLICT (id) DO UPDATE SET mail = excluded.mail, visits = customer.visits + 1 RETURNING id, mail, visits;
DELETE FROM customer WHERE id = 6 RETURNING id;
INSERT INTO customer (id) VALUES (1000);
SELECT * FROM customer WHERE id = 1;
SELECT id FROM customer WHERE id = 7 FOR UPDATE;
COPY customer TO STDOUT;
COPY customer (mail) FROM STDIN;
x@y
\.
INSERT INTO "Odd ""Table""" VALUES (1, 'x') ON CONFLICT ("select") DO NOTHING;
INSERT INTO part VALUES (1, 'y');
SELECT tableoid::regclass, * FROM app.part;
RESET search_path;
SELECT * FROM both_sides WHERE id IN (1, 2, 4, 5) OR id > 200 ORDER BY id;
DROP VIEW both_sides;

-- rows and columns as the table allows
SET ROLE version_reader;
SELECT count(*) FROM v1.customer;
SELECT count(*) FROM v2.customer;
UPDATE v2.customer SET mail = 'x';
SET ROLE version_writer;
SELECT count(*), max(visits) FROM v1.customer;
SELECT count(*), max(visits) FROM v2.customer;
UPDATE v2.customer SET visits = 100 WHERE id = 10;
UPDATE v2.customer SET visits = 50 WHERE id = 150;
INSERT INTO v2.customer (visits) VALUES (200);
SET ROLE version_clerk;
SELECT id, email FROM app.customer WHERE id = 1;
INSERT INTO v1.customer (legacy) VALUES ('by a clerk');
INSERT INTO v1.customer (legacy, visits) VALUES ('by a clerk', 1);
UPDATE v1.customer SET legacy = 'x';
UPDATE v1.customer SET email = 'x';
UPDATE v2.customer SET mail = 'by a clerk';
SELECT id, email FROM v1.customer WHERE id = 1;
SET ROLE version_nobody;
SELECT count(*) FROM v1.customer;
RESET ROLE;
GRANT USAGE ON SCHEMA v1, v2 TO version_nobody;
GRANT SELECT ON v1.customer TO version_nobody;
SET ROLE version_nobody;
SELECT count(*) FROM v1.customer;
SELECT count(*) FROM v2.customer;
RESET ROLE;

-- statements that are prepared go on through the contract
PREPARE old_read AS SELECT email, "Full Name" FROM v1b.customer WHERE id = $1;
PREPARE new_read AS SELECT * FROM v2.customer WHERE id = $1;
PREPARE new_write AS UPDATE v2.customer SET visits = $2 WHERE id = $1 RETURNING mail, visits;
PREPARE direct AS SELECT * FROM app.customer WHERE id = $1;
EXECUTE old_read (1);
EXECUTE new_read (1);
EXECUTE new_write (1, 11);
EXECUTE direct (1);

-- a column that has another name: the old version goes on
SELECT migrate.contract(:renamed);
SELECT migrate.contract(:renamed, force := true);
SELECT shown('v1.customer');
SELECT attname FROM pg_attribute WHERE attrelid = 'app.customer'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
UPDATE v1.customer SET email = 'after the contract' WHERE id = 1 RETURNING email, legacy;
EXECUTE old_read (1);
EXECUTE new_read (1);
EXECUTE new_write (1, 12);
EXECUTE direct (1);
SELECT reloptions, relowner::regrole = current_user::regrole AS is_mine FROM pg_class WHERE oid = 'v1.customer'::regclass;
SELECT * FROM granted('v1.customer');

-- the others: not while a version shows what goes
SELECT migrate.contract(:retyped, force := true);
SELECT migrate.contract(:split, force := true);
SELECT migrate.contract(:dropped, force := true);
SELECT migrate.cancel(:retyped);
SELECT migrate.cancel(:split);
SELECT migrate.cancel(:added);
SET ROLE version_owner;
SELECT migrate.drop_version('v1');
RESET ROLE;
CREATE TABLE v1."A table" (a int);
SELECT migrate.drop_version('v1');
DROP TABLE v1."A table";
CREATE FUNCTION v1.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT migrate.drop_version('v1');
DROP FUNCTION v1.f;
CREATE VIEW public.above AS SELECT id FROM v1.customer;
SELECT migrate.drop_version('v1');
DROP VIEW public.above;
DROP VIEW v1.part;
SELECT migrate.drop_version('v1');
SELECT migrate.contract(:retyped, force := true);
SELECT migrate.drop_version('v1b');
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^v1';
SELECT migrate.contract(:retyped, force := true);
SELECT migrate.contract(:split, force := true);
SELECT migrate.contract(:dropped, force := true);
EXECUTE new_read (1);
EXECUTE new_write (1, 3000000000);
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'app.customer'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT shown('v2.customer');
INSERT INTO v2.customer DEFAULT VALUES RETURNING *;

-- a table that gets another name, and one that goes
\set VERBOSITY sqlstate
SELECT migrate.rename_table('app.part', 'piece', advance => 'manual') AS renamed \gset
SELECT migrate.drop_table('app."Odd ""Table"""', NULL, advance => 'manual') AS dropped \gset
\set VERBOSITY terse
SELECT migrate.create_version('v3', 'app');
SELECT migrate.create_version('v2b', 'app', 'old');
SELECT relnamespace::regnamespace, relname FROM pg_class
	WHERE relnamespace IN ('v2'::regnamespace, 'v2b'::regnamespace, 'v3'::regnamespace) ORDER BY 1, 2;
INSERT INTO v2b.part VALUES (1, 'by the old name');
INSERT INTO v3.piece VALUES (1, 'by the new name');
SELECT migrate.contract(:renamed, force := true);
SELECT * FROM v2.part ORDER BY v;
SELECT * FROM v2b.part ORDER BY v;
SELECT migrate.contract(:dropped, force := true);
SELECT migrate.drop_version('v2b');
SELECT migrate.drop_version('v2');
SELECT migrate.contract(:dropped, force := true);
SELECT relname FROM pg_class WHERE relnamespace = 'v3'::regnamespace ORDER BY 1;

-- cancelled: the new shape is not there any more
\set VERBOSITY sqlstate
SELECT migrate.rename_column('app.customer', 'mail', 'address', advance => 'manual') AS c \gset
\set VERBOSITY terse
SELECT migrate.create_version('v 4', 'app');
SELECT migrate.cancel(:c);
SELECT migrate.drop_version('v 4');
SELECT migrate.cancel(:c);
SELECT migrate.create_version('v4', 'app');
CALL migrate.advance(:c);
SELECT attname FROM pg_attribute WHERE attrelid = 'v4.customer'::regclass AND attnum > 0 ORDER BY attnum;
SELECT mail FROM v4.customer WHERE id = 1;

-- others have changed a view, or dropped the schema
CREATE OR REPLACE VIEW v4.customer WITH (security_invoker = true) AS SELECT id, doubled, mail, visits, first, last, tenfold FROM app.customer WHERE id > 1;
\set VERBOSITY sqlstate
SELECT migrate.rename_column('app.customer', 'mail', 'address', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
\set VERBOSITY terse
SELECT migrate.contract(:c, force := true);
DROP SCHEMA v4 CASCADE;
SELECT version FROM migrate.versions;
SELECT migrate.drop_version('v4');
SELECT migrate.create_version('v4', 'app');
SELECT migrate.contract(:c, force := true);
SELECT id, address FROM v4.customer WHERE id = 1;
SELECT id, mail FROM v3.customer WHERE id = 1;
BEGIN;
SELECT migrate.drop_version('v4');
ROLLBACK;
SELECT version, shape, views FROM migrate.versions;

-- by the owner of the tables, who is not a superuser
SET ROLE version_owner;
CREATE SCHEMA own;
CREATE TABLE own.thing (id serial PRIMARY KEY, a int);
SELECT migrate.create_version('own_v1', 'own');
INSERT INTO own_v1.thing (a) VALUES (1) RETURNING *;
RESET ROLE;
\dn+ own_v1
CREATE TABLE own.other (a int);
SET ROLE version_owner;
SELECT migrate.create_version('own_v2', 'own');
RESET ROLE;
SELECT migrate.create_version('own_v2', 'own');
SELECT relname, relowner::regrole = 'version_owner'::regrole AS is_owners FROM pg_class
	WHERE relnamespace = 'own_v2'::regnamespace ORDER BY 1;
SET ROLE version_owner;
SELECT migrate.drop_version('own_v2');
SELECT migrate.drop_version('own_v1');
RESET ROLE;
SELECT migrate.drop_version('own_v2');

SELECT migrate.drop_version('v3');
SELECT migrate.drop_version('v4');
SELECT * FROM migrate.versions;
SET safe_migrate.mode = off;
DROP FUNCTION shown, granted;
DROP SCHEMA app, own CASCADE;
DROP OWNED BY version_reader, version_writer, version_clerk, version_nobody, version_owner;
DROP ROLE version_reader, version_writer, version_clerk, version_nobody, version_owner;

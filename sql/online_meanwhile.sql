--
-- What others do to a table while it is being changed: neither a cancel nor a
-- contract takes what is theirs, or leaves what is not.
--
\set VERBOSITY terse
SET client_min_messages = warning;
SET safe_migrate.mode = off;
CREATE SCHEMA meanwhile;
CREATE ROLE meanwhile_reader;
CREATE ROLE meanwhile_writer;
CREATE ROLE meanwhile_former;
SET search_path = meanwhile;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 8000;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION triggers(name regclass) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT pg_get_triggerdef(oid) FROM pg_trigger
	WHERE tgrelid = name AND NOT tgisinternal ORDER BY tgname $$;
CREATE FUNCTION columns(name regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = name AND attnum > 0 AND NOT attisdropped $$;
CREATE FUNCTION phase(id bigint) RETURNS text LANGUAGE sql AS $$
	SELECT phase || ' ' || state FROM migrate.changes c WHERE c.id = $1 $$;

-- cancel: triggers that are gone, or are others by now
CREATE TABLE orders (id int PRIMARY KEY, status text);
CREATE TRIGGER audit AFTER UPDATE OF status ON orders FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER kept AFTER UPDATE OF status ON orders FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER other AFTER UPDATE OF status ON orders FOR EACH ROW EXECUTE FUNCTION note();
COMMENT ON TRIGGER audit ON orders IS 'a comment';
ALTER TABLE orders ENABLE ALWAYS TRIGGER audit;
SELECT migrate.rename_column('orders', 'status', 'state', advance => 'manual') AS c \gset
DROP TRIGGER audit ON orders;
DROP TRIGGER other ON orders;
CREATE TRIGGER other AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note();
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('orders');
SELECT triggers('orders');

-- cancel: one that is another and still needs the new column is for its owner
SELECT migrate.rename_column('orders', 'status', 'state', advance => 'manual') AS c \gset
CREATE OR REPLACE TRIGGER kept BEFORE UPDATE OF status, state ON orders FOR EACH ROW EXECUTE FUNCTION note();
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('orders');
DROP TRIGGER kept ON orders;
CALL migrate.advance(:c);
SELECT phase(:c), columns('orders');
SELECT triggers('orders');

-- cancel: a column that is gone, and one that has its name by now
CREATE TABLE people (id int PRIMARY KEY, name text);
SELECT migrate.set_not_null('people', 'name', $$''$$, advance => 'manual') AS c \gset
SELECT migrate.add_column('people', 'short', 'text', 'left(id::text, 1)', advance => 'manual') AS d \gset
ALTER TABLE people DROP COLUMN name CASCADE;
ALTER TABLE people DROP COLUMN short CASCADE;
ALTER TABLE people ADD COLUMN short text;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT migrate.cancel(:d);
CALL migrate.advance(:d);
SELECT phase(:c), phase(:d), columns('people');
SELECT triggers('people');

-- cancel: the table has another name
SELECT migrate.rename_column('people', 'short', 'brief', advance => 'manual') AS c \gset
ALTER TABLE people RENAME TO persons;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('persons');
ALTER TABLE persons RENAME TO people;
CALL migrate.advance(:c);
SELECT phase(:c), columns('people');
SELECT triggers('people');

-- contract: what bears the name by now is another column
CREATE TABLE items (id int PRIMARY KEY, old text, a text, b text);
SELECT migrate.drop_column('items', 'old', advance => 'manual') AS c \gset
ALTER TABLE items DROP COLUMN old;
ALTER TABLE items ADD COLUMN old text DEFAULT 'precious';
INSERT INTO items VALUES (1);
SELECT migrate.contract(:c, force := true);
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('items');
SELECT migrate.rename_column('items', 'a', 'aa', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
ALTER TABLE items DROP COLUMN a CASCADE;
SELECT migrate.contract(:c, force := true);
ALTER TABLE items ADD COLUMN a text;
SELECT migrate.contract(:c, force := true);
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('items');
SELECT migrate.change_type('items', 'b', 'varchar(10)', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
ALTER TABLE items DROP COLUMN b_new CASCADE;
ALTER TABLE items ADD COLUMN b_new varchar(10);
SELECT migrate.contract(:c, force := true);
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('items');

-- contract: the same of the view under the old name of a table
SELECT migrate.rename_table('items', 'things', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
DROP VIEW items;
CREATE VIEW items AS SELECT 1 AS theirs;
SELECT migrate.contract(:c, force := true);
SELECT phase(:c), columns('items');
ALTER VIEW items RENAME TO theirs;
SELECT migrate.contract(:c, force := true);
SELECT phase(:c), columns('theirs'), columns('things');

-- no trigger where tables are inherited: children have no part in it
CREATE TABLE parent (id int, name text, n int);
CREATE TABLE child (c int) INHERITS (parent);
SELECT migrate.rename_column('parent', 'name', 'x', advance => 'manual');
SELECT migrate.split_column('parent', 'name', '{a}', '{text}', '{name}', advance => 'manual');
SELECT migrate.merge_columns('parent', '{name}', 'a', 'text', 'name', advance => 'manual');
SELECT migrate.drop_column('parent', 'name', $$''$$, advance => 'manual');
SELECT migrate.set_not_null('parent', 'name', $$''$$, advance => 'manual');
SELECT migrate.add_column('parent', 'a', 'int', 'n + 1', advance => 'manual');
SELECT migrate.set_not_null('child', 'c', '0', advance => 'manual');
SELECT columns('parent'), columns('child');
SELECT triggers('parent');

-- contract: privileges and a comment that the new column has got by itself
CREATE TABLE notes (id int PRIMARY KEY, a text, b text);
GRANT SELECT (a), INSERT (a) ON notes TO meanwhile_former;
GRANT SELECT (a) ON notes TO meanwhile_reader WITH GRANT OPTION;
GRANT SELECT (b) ON notes TO meanwhile_former;
COMMENT ON COLUMN notes.b IS 'of the old one';
SELECT migrate.rename_column('notes', 'a', 'aa', advance => 'manual') AS c \gset
SELECT migrate.rename_column('notes', 'b', 'bb', advance => 'manual') AS d \gset
CALL migrate.advance(:c);
CALL migrate.advance(:d);
GRANT SELECT (aa), UPDATE (aa) ON notes TO meanwhile_writer;
GRANT UPDATE (aa) ON notes TO meanwhile_former;
GRANT SELECT (bb) ON notes TO PUBLIC;
REVOKE INSERT (a) ON notes FROM meanwhile_former;
REVOKE SELECT (b) ON notes FROM meanwhile_former;
COMMENT ON COLUMN notes.aa IS 'of the new one';
COMMENT ON COLUMN notes.b IS NULL;
SELECT migrate.contract(:c, force := true) IS NOT NULL AS contracted;
SELECT migrate.contract(:d, force := true) IS NOT NULL AS contracted;
SELECT attname, grantee::regrole, string_agg(privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, ', ' ORDER BY privilege_type),
	col_description(attrelid, attnum)
	FROM pg_attribute, aclexplode(attacl) WHERE attrelid = 'notes'::regclass AND NOT attisdropped GROUP BY 1, 2, attrelid, attnum ORDER BY 1, 2::text;

DROP SCHEMA meanwhile CASCADE;
DROP ROLE meanwhile_reader, meanwhile_writer, meanwhile_former;

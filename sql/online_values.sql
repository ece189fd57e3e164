--
-- The values of a change: what the trigger, the backfill and the contract make of
-- a row is the same, and what an assignment would make of it.
--
\set VERBOSITY terse
SET client_min_messages = warning;
SET safe_migrate.mode = off;
CREATE SCHEMA "values";
SET search_path = "values";

-- operators that an expression uses without a name are read again by it --------
CREATE TYPE code AS (letters text);
CREATE FUNCTION code_cmp(code, code) RETURNS int LANGUAGE sql IMMUTABLE AS
	'SELECT pg_catalog.bttextcmp(pg_catalog.lower(($1).letters), pg_catalog.lower(($2).letters))';
DO $$
DECLARE
	o text[];
BEGIN
	FOREACH o SLICE 1 IN ARRAY '{{<,lt},{<=,le},{=,eq},{>=,ge},{>,gt},{<>,ne}}'::text[] LOOP
		EXECUTE format('CREATE FUNCTION code_%s(code, code) RETURNS bool LANGUAGE sql IMMUTABLE AS ''SELECT "values".code_cmp($1, $2) %s 0''', o[2], o[1]);
		EXECUTE format('CREATE OPERATOR %s (LEFTARG = code, RIGHTARG = code, FUNCTION = code_%s)', o[1], o[2]);
	END LOOP;
END $$;
CREATE OPERATOR CLASS code_ops DEFAULT FOR TYPE code USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
	FUNCTION 1 code_cmp(code, code);
CREATE TABLE coded (id int PRIMARY KEY, status code, n int);
INSERT INTO coded VALUES (1, '(Active)', 1), (2, '(active)', 2), (3, '(CLOSED)', 3);
SELECT migrate.merge_columns('coded', '{status}', 'st', 'int',
	$$CASE status WHEN '(active)' THEN 1 WHEN '(closed)' THEN 2 ELSE 0 END$$,
	ARRAY[$$CASE st WHEN 1 THEN '(active)'::code WHEN 2 THEN '(closed)' END$$], advance => 'manual');
SELECT migrate.split_column('coded', 'status', '{active}', '{boolean}',
	ARRAY[$$status IS NOT DISTINCT FROM '(active)'$$], advance => 'manual');
SELECT migrate.add_column('coded', 'other', 'code', $$NULLIF(status, '(active)')$$, advance => 'manual');
SELECT migrate.add_column('coded', 'other', 'bool', $$'(A)'::code IS DISTINCT FROM '(a)'::code$$, advance => 'manual');
SELECT migrate.add_column('coded', 'other', 'bool', $$ROW(n, status) < ROW(2, '(b)'::code)$$, advance => 'manual');
-- those that can be named
SELECT migrate.merge_columns('coded', '{status}', 'st', 'int',
	$$CASE WHEN status = '(active)' THEN 1 WHEN status OPERATOR("values".=) '(closed)' THEN 2 ELSE 0 END$$,
	ARRAY[$$CASE st WHEN 1 THEN '(active)'::code WHEN 2 THEN '(closed)' END$$], advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT * FROM coded ORDER BY id;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT migrate.add_column('coded', 'other', 'bool',
	$$status IN ('(active)', '(none)') AND status BETWEEN '(a)' AND '(b)' AND ROW(status, status) > ROW('(a)'::code, '(b)'::code)
		OR CASE n WHEN 1 THEN NULLIF(n, 2) IS DISTINCT FROM 3 AND ROW(n, n) < ROW(2, 3::bigint) END$$, advance => 'manual') AS c \gset
CALL migrate.advance(:c);
INSERT INTO coded (id, status, n) VALUES (4, '(ACTIVE)', 1);
SELECT * FROM coded ORDER BY id;

-- a value that is too long is not cut off, by no way ----------------------------
CREATE TABLE lp (id int, a text) PARTITION BY LIST (id);
CREATE TABLE lp1 PARTITION OF lp FOR VALUES IN (1);
INSERT INTO lp VALUES (1, 'A');
SELECT migrate.change_type('lp', 'a', 'varchar(5)', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
CREATE TABLE lp2 (id int, a text, a_new varchar(5));
INSERT INTO lp2 VALUES (2, 'longer value', 'longe');
ALTER TABLE lp ATTACH PARTITION lp2 FOR VALUES IN (2);
SELECT migrate.contract(:c, force := true);
SELECT phase, state FROM migrate.changes WHERE id = :c;
SELECT * FROM lp ORDER BY id;
CREATE DOMAIN short AS varchar(3);
CREATE TABLE long (id int PRIMARY KEY, name text, bits varbit, names text[], many varbit[],
	v varchar(3), c char(3), b bit(3), vb varbit(3), d short,
	vs varchar(3)[], cs char(3)[], bs bit(3)[], ds short[], n numeric(5, 1), ns numeric(5, 1)[]);
INSERT INTO long VALUES (1, 'abcdef', '101010', '{abcdef}', '{101010}',
	'abc', 'abc', '101', '101', 'abc', '{abc}', '{abc}', '{101}', '{abc}', 1.2, '{1.2}');
CALL migrate.backfill('long', 'v = name');
CALL migrate.backfill('long', 'c = name');
CALL migrate.backfill('long', 'b = bits');
CALL migrate.backfill('long', 'vb = bits');
CALL migrate.backfill('long', 'd = name');
CALL migrate.backfill('long', 'vs = names');
CALL migrate.backfill('long', 'cs = names');
CALL migrate.backfill('long', 'bs = many');
CALL migrate.backfill('long', 'ds = names');
SELECT * FROM long;
-- but for spaces, as SQL has it; and others are padded or rounded
UPDATE long SET name = 'xy     ', names = '{"xy     ",NULL}', bits = '11', many = '{111}';
CALL migrate.backfill('long', 'v = name, c = name, vb = bits, d = name, vs = names, cs = names, bs = many, ds = names, n = 1.26, ns = ARRAY[1.26]');
SELECT xmin AS written FROM long \gset
SELECT * FROM long;
CALL migrate.backfill('long', 'v = name, c = name, vb = bits, d = name, vs = names, cs = names, bs = many, ds = names, n = 1.26, ns = ARRAY[1.26]');
SELECT xmin = :written AS unchanged FROM long;
CALL migrate.backfill('long', $$v = NULL, c = NULL, vs = NULL, d = 'z'$$);
SELECT v, c, vs, d FROM long;

-- a row that is not filled yet, and both sides are written -----------------------
CREATE TABLE people (id int PRIMARY KEY, name text);
INSERT INTO people SELECT i, 'Bob Miller' FROM generate_series(1, 6) i;
SELECT migrate.split_column('people', 'name', '{first,last}', '{text,text}',
	ARRAY[$$split_part(name, ' ', 1)$$, $$NULLIF(split_part(name, ' ', 2), '')$$],
	$$CASE WHEN last IS NULL THEN first ELSE first || ' ' || last END$$, 'new', advance => 'manual') AS c \gset
UPDATE people SET name = 'Rob Miller', first = 'Rob' WHERE id = 1 RETURNING *;
UPDATE people SET name = 'Rob Miller', first = 'Bert' WHERE id = 2 RETURNING *;
UPDATE people SET first = 'Rob' WHERE id = 3 RETURNING *;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT migrate.split_column('people', 'name', '{first,last}', '{text,text}',
	ARRAY[$$split_part(name, ' ', 1)$$, $$NULLIF(split_part(name, ' ', 2), '')$$],
	$$CASE WHEN last IS NULL THEN first ELSE first || ' ' || last END$$, advance => 'manual') AS c \gset
UPDATE people SET name = 'Rob Miller', first = 'Rob' WHERE id = 4 RETURNING *;
UPDATE people SET name = 'Rob Miller', last = 'Miller' WHERE id = 5 RETURNING *;
UPDATE people SET name = 'Rob Miller', first = 'Bert' WHERE id = 6 RETURNING *;
CALL migrate.advance(:c);
SELECT * FROM people ORDER BY id;

-- a column that is to go: its value is for those who leave it out -----------------
CREATE TABLE going (id int PRIMARY KEY, a text, c int);
INSERT INTO going VALUES (1, NULL, 0);
SELECT migrate.drop_column('going', 'a', value => $$'gone'$$, advance => 'manual') AS c \gset
UPDATE going SET c = 1;
INSERT INTO going (id, c) VALUES (2, 0);
SELECT * FROM going ORDER BY id;

-- the text of a floating-point number, whichever way it comes about ---------------
CREATE TABLE texts (id int PRIMARY KEY, f float8, fs float4[], b bytea, n numeric);
SELECT migrate.split_column('texts', 'f', '{t}', '{text}', ARRAY[$$'f' || f$$], advance => 'manual');
SELECT migrate.split_column('texts', 'f', '{t}', '{text}', ARRAY[$$'f' || fs::text$$], advance => 'manual');
SELECT migrate.split_column('texts', 'f', '{t}', '{text}', ARRAY[$$b || ' '::text$$], advance => 'manual');
SELECT migrate.split_column('texts', 'f', '{t}', '{text}', ARRAY[$$f::numeric || '' || n$$], advance => 'manual') > 0 AS started;

-- a row in a column of text: a value although a field is null ----------------------
CREATE TYPE point_of AS (x int, y int);
CREATE TABLE places (id int PRIMARY KEY, p point_of);
INSERT INTO places VALUES (1, '(1,)'), (2, '(1,2)'), (3, NULL);
SELECT migrate.add_column('places', 'd', 'text', 'p', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT * FROM places ORDER BY id;
CALL migrate.backfill('places', 'd = random()::text');
CALL migrate.backfill('places', 'p = ROW(random(), 1)::point_of');

-- columns that are merged: at least one, and each once ------------------------------
SELECT migrate.merge_columns('people', '{}', 'whole', 'text', 'name');
SELECT migrate.merge_columns('people', '{first,last,first}', 'whole', 'text', 'first');

-- what is carried to the new column ------------------------------------------------
-- an identity below 1, a CHECK called as a NOT NULL would be, a trigger on both
CREATE TABLE low (id int GENERATED ALWAYS AS IDENTITY (MINVALUE -2147483648 START -2147483648) PRIMARY KEY, a int);
INSERT INTO low (a) VALUES (1), (2);
SELECT migrate.change_type('low', 'id', 'bigint', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true);
INSERT INTO low (a) VALUES (3);
SELECT * FROM low ORDER BY a;
SELECT seqtypid::regtype, seqstart, seqmin, seqmax FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence('low', 'id')::regclass;
CREATE TABLE given (id int PRIMARY KEY, a int NOT NULL, CONSTRAINT a_not_null CHECK (a IS NOT NULL));
INSERT INTO given VALUES (1, 1);
CREATE FUNCTION unchanged() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
SELECT migrate.rename_column('given', 'a', 'b', advance => 'manual') AS c \gset
CREATE TRIGGER both_seen BEFORE UPDATE OF a, b ON given FOR EACH ROW
	WHEN (COALESCE(NEW.b, NEW.a, OLD.a, OLD.b) = 7) EXECUTE FUNCTION unchanged();
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true);
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'given'::regclass AND contype = 'c';
SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'given'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'given'::regclass AND tgname = 'both_seen';
INSERT INTO given VALUES (2, NULL);

SET client_min_messages = error;
DROP SCHEMA "values" CASCADE;

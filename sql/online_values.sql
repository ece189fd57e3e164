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

SET client_min_messages = error;
DROP SCHEMA "values" CASCADE;

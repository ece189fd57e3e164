--
-- What runs when: out of order, repeatable, required, missing; and what
-- comments in a migration ask for.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

\set VERBOSITY terse
SET client_min_messages = notice;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
CREATE SCHEMA ordered;
SET search_path = ordered;
CREATE TABLE runs (id int GENERATED ALWAYS AS IDENTITY, what text);
CREATE VIEW history AS
SELECT version, state, out_of_order, statements FROM migrate.history ORDER BY id;

-- out of order
SELECT migrate.register('2', 'two', 'INSERT INTO runs (what) VALUES (''2'')');
CALL migrate.deploy();
SELECT migrate.register('1', 'late', 'INSERT INTO runs (what) VALUES (''1'')');
SELECT migrate.register('3', 'three', 'INSERT INTO runs (what) VALUES (''3'')');
CALL migrate.deploy();
SELECT migrate.apply();
SET safe_migrate.out_of_order = apply;
CALL migrate.deploy();
RESET safe_migrate.out_of_order;
SELECT migrate.register('1.5', 'asks', E'-- safe_migrate: out-of-order\nINSERT INTO runs (what) VALUES (''1.5'')');
CREATE ROLE out_of_order_deployer;
GRANT EXECUTE ON PROCEDURE migrate.deploy(text) TO out_of_order_deployer;
GRANT EXECUTE ON FUNCTION migrate.apply(text) TO out_of_order_deployer;
GRANT USAGE ON SCHEMA ordered TO out_of_order_deployer;
GRANT INSERT ON runs TO out_of_order_deployer;
SET ROLE out_of_order_deployer;
CALL migrate.deploy();
RESET ROLE;
GRANT SET ON PARAMETER safe_migrate.out_of_order TO out_of_order_deployer;
SET ROLE out_of_order_deployer;
SELECT migrate.apply();
RESET ROLE;
REVOKE SET ON PARAMETER safe_migrate.out_of_order FROM out_of_order_deployer;
REVOKE ALL ON PROCEDURE migrate.deploy(text) FROM out_of_order_deployer;
REVOKE ALL ON FUNCTION migrate.apply(text) FROM out_of_order_deployer;
REVOKE ALL ON runs FROM out_of_order_deployer;
REVOKE ALL ON SCHEMA ordered FROM out_of_order_deployer;
DROP ROLE out_of_order_deployer;
SELECT what FROM runs ORDER BY id;
TABLE history;

-- repeatable ones run last, and again when they are another text; only a
-- format makes one
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
DELETE FROM runs;
SELECT migrate.register('b', 'again', 'INSERT INTO runs (what) VALUES (''b'')');
SELECT migrate.register('a', 'again', 'INSERT INTO runs (what) VALUES (''a'')');
SELECT migrate.register('z', 'once', 'INSERT INTO runs (what) VALUES (''z'')');
UPDATE migrate.migrations SET repeatable = true WHERE name = 'again';
CALL migrate.deploy();
CALL migrate.deploy();
UPDATE migrate.migrations SET body = 'INSERT INTO runs (what) VALUES (''a, another'')',
	checksum = encode(sha256('INSERT INTO runs (what) VALUES (''a, another'')'), 'hex')
WHERE version = 'a';
SELECT migrate.register('zz', 'once', 'INSERT INTO runs (what) VALUES (''zz'')');
CALL migrate.deploy();
CALL migrate.deploy();
SELECT what FROM runs ORDER BY id;
-- half of another text has run: the next deploy goes on with that, or, when
-- it is changed again, begins anew; the text that was applied runs again
CREATE FUNCTION change(sql text) RETURNS void LANGUAGE sql AS $$
	UPDATE migrate.migrations SET body = sql, checksum = encode(sha256(sql::bytea), 'hex')
	WHERE version = 'a' $$;
SELECT change('INSERT INTO runs (what) VALUES (''half''); COMMIT; SELECT 1/0');
CALL migrate.deploy();
CALL migrate.deploy();
SELECT change('INSERT INTO runs (what) VALUES (''whole''); COMMIT; SELECT 1');
CALL migrate.deploy();
SELECT change('INSERT INTO runs (what) VALUES (''half, too''); COMMIT; SELECT 1/0');
CALL migrate.deploy();
SELECT change('INSERT INTO runs (what) VALUES (''whole''); COMMIT; SELECT 1');
CALL migrate.deploy();
CALL migrate.deploy();
SELECT what FROM runs ORDER BY id OFFSET 4;
SELECT version, state FROM migrate.history WHERE version = 'a' ORDER BY id;
SELECT migrate.baseline('b');
SELECT change('SELECT 2');
SELECT migrate.baseline('b');
CALL migrate.deploy();

-- required
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT migrate.register('1', 'first', 'SELECT 1');
SELECT migrate.register('2', 'needs', E'-- safe_migrate: requires 1, nowhere\n-- safe_migrate: requires 1\nSELECT 1');
SELECT requires FROM migrate.migrations WHERE version = '2';
CALL migrate.deploy();
SELECT migrate.apply();
SELECT migrate.register('2', 'needs', E'-- safe_migrate: requires 3\nSELECT 1');
SELECT migrate.register('3', 'later', 'SELECT 1');
CALL migrate.deploy();
SELECT migrate.register('2', 'needs', E'-- safe_migrate: requires 1\nSELECT 1');
CALL migrate.deploy('1');
CALL migrate.deploy();

-- the file of a pending one is gone
SELECT migrate.register('4', 'gone', 'SELECT 1');
UPDATE migrate.migrations SET missing_since = now() WHERE version IN ('1', '4');
CALL migrate.deploy('3');
CALL migrate.deploy();
SELECT migrate.unregister('4');
CALL migrate.deploy();

-- directives
SELECT migrate.register('5', 'bad', E'-- safe_migrate: no-transactions\nSELECT 1');
SELECT migrate.register('5', 'bad', E'SELECT 1;\n\n-- safe_migrate: no-transaction\nSELECT 2');
SELECT migrate.register('5', 'bad', E'SELECT 1; /* safe_migrate: requires 1 */');
SELECT migrate.register('5', 'bad', E'-- safe_migrate: no-transaction please\nSELECT 1');
SELECT migrate.register('5', 'bad', E'-- safe_migrate: requires\nSELECT 1');
SELECT migrate.register('5', 'bad', E'-- safe_migrate: requires 1,\nSELECT 1');
SELECT migrate.register('5', 'bad', E'SELECT 1; -- safe_migrate: override of the one before\nSELECT 2');
SELECT migrate.register('5', 'bad', E'SELECT 1;\n-- safe_migrate: override of nothing\n');
SELECT migrate.register('5', 'bad', E'-- safe_migrate: override\nSELECT 1');
SELECT migrate.register('5', 'bad', E'-- safe_migrate: requires 1\nSELECT ''');
SELECT migrate.apply('5', E'/*\n * safe_migrate: nonsense\n */ SELECT 1');
SELECT count(*) FROM migrate.migrations WHERE version = '5';
-- what is no directive
SELECT migrate.register('5', 'fine', E'-- see safe_migrate: its manual\nSELECT ''-- safe_migrate: nonsense'', $$\n-- safe_migrate: nonsense\n$$ AS "safe_migrate: x";\n/* safe_migrate: override in its place */ SELECT 2;\nSELECT /* safe_migrate: override inside */ 3');
SELECT migrate.register('6', 'comment', E'-- safe_migrate: no-transaction\n-- safe_migrate: requires 5');
CALL migrate.deploy();

-- a safe way divides its migration, but only where that is possible
SET safe_migrate.small_table = 0;
CREATE TABLE big (a int, b int);
INSERT INTO big VALUES (1, 1);
SELECT migrate.register('7', 'divided', E'SET LOCAL my.own = ''x'';\nINSERT INTO runs (what) VALUES (''before'');\nCREATE INDEX big_a ON big (a);\nINSERT INTO runs (what) VALUES (current_setting(''my.own''));\nALTER TABLE big ADD CHECK (b > 0)');
SELECT migrate.apply();
CALL migrate.deploy();
SELECT what FROM runs ORDER BY id DESC LIMIT 1;
SELECT current_setting('my.own', true) = 'x' AS leaked;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_a'::regclass;
-- a table that the migration has made, or filled, is its own
SELECT migrate.register('8', 'whole', 'CREATE TABLE new AS SELECT * FROM big; CREATE INDEX ON new (a); ALTER TABLE new ADD CHECK (a > 0)');
CALL migrate.deploy();
SELECT migrate.register('9', 'block', E'BEGIN;\nALTER TABLE big ADD CONSTRAINT c CHECK (a > 0);\nCOMMIT');
CALL migrate.deploy();
SELECT migrate.register('9', 'block', E'SAVEPOINT s;\nALTER TABLE big ADD CONSTRAINT c UNIQUE (a);\nRELEASE s');
CALL migrate.deploy();
SELECT migrate.register('9', 'block', E'DO $$ BEGIN\nALTER TABLE big ADD CONSTRAINT c CHECK (a > 0);\nEND $$');
CALL migrate.deploy();
-- the data do not allow it: nothing is left of the statement
SELECT migrate.register('9', 'data', E'INSERT INTO runs (what) VALUES (''kept'');\nALTER TABLE big ADD CONSTRAINT c CHECK (a > 1)');
CALL migrate.deploy();
SELECT what FROM runs ORDER BY id DESC LIMIT 1;
SELECT count(*) FROM pg_constraint WHERE conname = 'c';
UPDATE big SET a = 2;
CALL migrate.deploy();
SELECT count(*) FROM runs WHERE what = 'kept';
SELECT version, state, transactional, statements FROM migrate.history
WHERE version >= '7' ORDER BY id;
-- a rule that lets it pass, an override, a mode
SELECT migrate.register('91', 'override', E'INSERT INTO runs (what) VALUES (''a'');\n-- safe_migrate: override it is night\nCREATE INDEX big_o ON big (b)');
CALL migrate.deploy();
SET safe_migrate.mode = warn;
SELECT migrate.register('92', 'warns', E'INSERT INTO runs (what) VALUES (''b'');\nCREATE INDEX big_w ON big (b)');
CALL migrate.deploy();
RESET safe_migrate.mode;
SELECT version, transactional FROM migrate.history WHERE version >= '91' ORDER BY id;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET safe_migrate.mode = off;
SET client_min_messages = warning;
DROP SCHEMA ordered CASCADE;
RESET client_min_messages;
RESET safe_migrate.mode;
RESET safe_migrate.small_table;
RESET search_path;

--
-- What a statement reaches beyond the relation that it names.
--
CREATE SCHEMA reach;
SET search_path = reach, public;
CREATE TABLE big (a int, b text);
INSERT INTO big SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;

-- a new parent does not make its old children new
BEGIN;
CREATE TABLE parent (LIKE big);
ALTER TABLE big INHERIT parent;
SELECT verdict('TRUNCATE parent');
SELECT verdict('ALTER TABLE parent ALTER a TYPE bigint');
SELECT verdict('ALTER TABLE parent DROP b');
ROLLBACK;

-- and what does not reach the children is not judged by them
CREATE TABLE root (a int);
CREATE TABLE leaf () INHERITS (root);
INSERT INTO leaf SELECT generate_series(1, 60000);
SELECT verdict('TRUNCATE ONLY root');
SELECT verdict('CREATE INDEX ON root (a)');
SELECT verdict('ALTER TABLE root ADD UNIQUE (a)');
SELECT verdict('ALTER TABLE ONLY root ADD CHECK (a > 0) NO INHERIT');
SELECT verdict('ALTER TABLE root ADD CHECK (a > 0)');
SELECT verdict('TRUNCATE root');

-- the far side of a foreign key whose key is rewritten
CREATE TABLE status (id int PRIMARY KEY);
INSERT INTO status VALUES (1), (2);
CREATE TABLE orders AS SELECT g AS id, 1 AS status, repeat('x', 80) AS t FROM generate_series(1, 20000) g;
ALTER TABLE orders ADD FOREIGN KEY (status) REFERENCES status NOT VALID;
ALTER TABLE orders VALIDATE CONSTRAINT orders_status_fkey;
SELECT verdict('ALTER TABLE status ALTER id TYPE bigint');

-- generated columns and views go with what they are made of
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE TABLE doubled (a int, d int GENERATED ALWAYS AS (twice(a)) STORED);
INSERT INTO doubled VALUES (1);
SELECT verdict('DROP FUNCTION twice(int) CASCADE');
CREATE TABLE source (a int);
CREATE MATERIALIZED VIEW filled AS SELECT a FROM source UNION SELECT 1;
SET client_min_messages = error;
SET safe_migrate.rules = 'drop_object:reject';
SELECT verdict('DROP TABLE source CASCADE');
RESET safe_migrate.rules;
RESET client_min_messages;

-- whatever a role owns, tables of others in its schema included
CREATE ROLE safe_migrate_owner;
CREATE SCHEMA of_owner AUTHORIZATION safe_migrate_owner;
CREATE TABLE of_owner.kept (a int);
INSERT INTO of_owner.kept VALUES (1);
SELECT verdict('DROP OWNED BY safe_migrate_owner CASCADE');

-- parts of CREATE SCHEMA
CREATE TABLE split (a int) PARTITION BY RANGE (a);
CREATE TABLE first PARTITION OF split FOR VALUES FROM (-10) TO (0);
CREATE TABLE rest PARTITION OF split DEFAULT;
INSERT INTO split SELECT generate_series(1, 60000);
SELECT verdict('CREATE SCHEMA more CREATE TABLE p PARTITION OF reach.split FOR VALUES FROM (100000) TO (200000)');
-- a partition that is there already is left alone
SELECT verdict('CREATE TABLE IF NOT EXISTS first PARTITION OF split FOR VALUES FROM (-10) TO (0)');

-- a table dressed up as the ledger of a migration tool
CREATE TABLE tags (tag_id int, change_id int);
INSERT INTO tags VALUES (1, 1);
SELECT verdict('TRUNCATE tags');

-- an override that failed to be used is not left for the next statement
SET safe_migrate.override = 'for this one';
DROP TABLE big, no_such_table;
\set VERBOSITY sqlstate
DROP TABLE big;
\set VERBOSITY default

SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA reach, of_owner CASCADE;
DROP ROLE safe_migrate_owner;

--
-- Columns: for each rule what is refused, and its harmless twin.
--
CREATE SCHEMA columns;
SET search_path = columns, public;

CREATE TABLE big (
	id int PRIMARY KEY,
	v10 varchar(10),
	t text,
	n numeric(10,2),
	i int NOT NULL,
	ts timestamp,
	z timestamptz,
	checked int CHECK (checked > 0),
	proven int,
	filler text);
INSERT INTO big
SELECT g, 'v', 't', 1.5, g, 'epoch', 'epoch', g, g, repeat('x', 80)
FROM generate_series(1, 20000) g;
CREATE TABLE small (id int PRIMARY KEY, v10 varchar(10), i int);
INSERT INTO small SELECT g, 'v', g FROM generate_series(1, 10) g;
CREATE TABLE empty (id int PRIMARY KEY, i int);
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, 20000);

-- add_column_rewrite
SELECT verdict('ALTER TABLE big ADD c int');
SELECT verdict('ALTER TABLE big ADD c int NOT NULL DEFAULT 5');
SELECT verdict('ALTER TABLE big ADD c timestamptz DEFAULT now()');
SELECT verdict('ALTER TABLE big ADD c text DEFAULT lower(''A'')');
SELECT verdict('ALTER TABLE big ADD c timestamptz DEFAULT clock_timestamp()');
SELECT verdict('ALTER TABLE big ADD c uuid DEFAULT gen_random_uuid()');
SELECT verdict('ALTER TABLE big ADD c float8[] DEFAULT array[random()]');
SELECT verdict('ALTER TABLE big ADD c serial');
SELECT verdict('ALTER TABLE big ADD c bigserial');
SELECT verdict('ALTER TABLE big ADD c int GENERATED ALWAYS AS IDENTITY');
SELECT verdict('ALTER TABLE big ADD c int GENERATED ALWAYS AS (i + 1) STORED');
SELECT verdict('ALTER TABLE small ADD c serial');
SELECT verdict('ALTER TABLE empty ADD c serial');
SELECT verdict('ALTER TABLE big ADD COLUMN IF NOT EXISTS t uuid DEFAULT gen_random_uuid()');
-- a function that says it is volatile but is inlined to a constant
CREATE FUNCTION five() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 5';
SELECT verdict('ALTER TABLE big ADD c int DEFAULT five()');
-- domains
CREATE DOMAIN plain_domain AS int;
CREATE DOMAIN volatile_domain AS float8 DEFAULT random();
SELECT verdict('ALTER TABLE big ADD c plain_domain');
SELECT verdict('ALTER TABLE big ADD c volatile_domain');
SELECT verdict('ALTER TABLE big ADD c volatile_domain DEFAULT 1');
CREATE DOMAIN checked_domain AS int CHECK (VALUE > 0 AND random() < 2);
SELECT verdict('ALTER TABLE big ADD c checked_domain');

-- add_column_constraint
SELECT verdict('ALTER TABLE big ADD c int CHECK (c > 0)');
SELECT verdict('ALTER TABLE big ADD c int UNIQUE');
SELECT verdict('ALTER TABLE big ADD c int REFERENCES other');
SELECT verdict('ALTER TABLE big ADD c int DEFAULT 1 REFERENCES other');
SELECT verdict('ALTER TABLE small ADD c int CHECK (c > 0)');

-- alter_column_type
SELECT verdict('ALTER TABLE big ALTER v10 TYPE varchar(20)');
SELECT verdict('ALTER TABLE big ALTER v10 TYPE text');
SELECT verdict('ALTER TABLE big ALTER t TYPE varchar');
SELECT verdict('ALTER TABLE big ALTER n TYPE numeric(12,2)');
SELECT verdict('ALTER TABLE big ALTER v10 TYPE varchar(5)');
SELECT verdict('ALTER TABLE big ALTER n TYPE numeric(12,3)');
SELECT verdict('ALTER TABLE big ALTER i TYPE bigint');
SELECT verdict('ALTER TABLE big ALTER i TYPE text USING i::text');
SELECT verdict('ALTER TABLE big ALTER t TYPE text USING t || ''x''');
SELECT verdict('ALTER TABLE small ALTER i TYPE bigint');
SET timezone = 'UTC';
SELECT verdict('ALTER TABLE big ALTER ts TYPE timestamptz');
SET timezone = 'Europe/Paris';
SELECT verdict('ALTER TABLE big ALTER ts TYPE timestamptz');
RESET timezone;
-- no rewrite, but an index is rebuilt, or a constraint checked again
CREATE INDEX CONCURRENTLY by_v10 ON big (v10);
SELECT verdict('ALTER TABLE big ALTER v10 TYPE varchar(20)');
CREATE INDEX CONCURRENTLY by_lower_v10 ON big (lower(v10)) WHERE id < 10;
SELECT verdict('ALTER TABLE big ALTER v10 TYPE varchar(20)');
DROP INDEX CONCURRENTLY by_lower_v10;
SELECT verdict('ALTER TABLE big ALTER checked TYPE oid USING checked::oid');
-- errors are PostgreSQL's own
SELECT verdict('ALTER TABLE big ALTER t TYPE int');
SELECT verdict('ALTER TABLE big ALTER nope TYPE int');
SELECT verdict('ALTER TABLE nope ADD c int');
SELECT verdict('ALTER TABLE IF EXISTS nope ADD c int');

-- set_not_null
SELECT verdict('ALTER TABLE big ALTER t SET NOT NULL');
SELECT verdict('ALTER TABLE big ALTER i SET NOT NULL');
SELECT verdict('ALTER TABLE small ALTER i SET NOT NULL');
BEGIN;
ALTER TABLE big ADD CONSTRAINT nn CHECK (proven IS NOT NULL AND proven > 0) NOT VALID;
SELECT verdict('ALTER TABLE big ALTER proven SET NOT NULL');
COMMIT;
ALTER TABLE big VALIDATE CONSTRAINT nn;
SELECT verdict('ALTER TABLE big ALTER proven SET NOT NULL');
-- what proves it may not go in the same statement
SELECT verdict('ALTER TABLE big DROP CONSTRAINT nn, ALTER proven SET NOT NULL');

-- drop_column
SELECT verdict('ALTER TABLE big DROP t');
SELECT verdict('ALTER TABLE small DROP i');
SELECT verdict('ALTER TABLE empty DROP i');
SELECT verdict('ALTER TABLE big DROP COLUMN IF EXISTS nope');

-- rename_column
SELECT verdict('ALTER TABLE big RENAME t TO u');
SELECT verdict('ALTER TABLE empty RENAME i TO j');

-- a table made in this transaction is nobody's business
BEGIN;
CREATE TABLE fresh AS SELECT * FROM big;
ALTER TABLE fresh ADD c serial, ALTER i TYPE bigint, DROP t;
ROLLBACK;
CREATE TEMP TABLE temporary AS SELECT * FROM big;
ALTER TABLE temporary ADD c serial, ALTER i TYPE bigint, DROP t;

--
-- CALL migrate.fill_column(): a step of the plan for a new column.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

CREATE SCHEMA fill;
SET search_path = fill, public;
CREATE SEQUENCE numbers;
CREATE TABLE big (id int, "N n" bigint);
INSERT INTO big SELECT g, CASE WHEN g = 7 THEN -7 END FROM generate_series(1, 3000) g;
CREATE TABLE child (more text) INHERITS (big);
INSERT INTO child SELECT g FROM generate_series(3001, 4000) g;
ALTER TABLE big ALTER "N n" SET DEFAULT nextval('fill.numbers');
CREATE TABLE part (i int, j int DEFAULT 5) PARTITION BY LIST (i);
CREATE TABLE part1 PARTITION OF part (j DEFAULT 6) FOR VALUES IN (1);
CREATE TABLE part2 PARTITION OF part FOR VALUES IN (2) PARTITION BY LIST (j);
CREATE TABLE part2n PARTITION OF part2 DEFAULT;
INSERT INTO part SELECT g % 2 + 1, NULL FROM generate_series(1, 10) g;

-- in the order of the rows, and only where there is nothing
CALL migrate.fill_column('fill.big', 'N n');
SELECT count(*), count("N n"), count(DISTINCT "N n"), min("N n"), max("N n") FROM big;
SELECT count(*) FROM ONLY big WHERE "N n" IS DISTINCT FROM CASE WHEN id < 7 THEN id WHEN id = 7 THEN -7 ELSE id - 1 END;
-- there is nothing to do
CALL migrate.fill_column('big', 'N n');
SELECT last_value FROM numbers;
-- each partition has its own default
CALL migrate.fill_column('part', 'j');
SELECT tableoid::regclass, j, count(*) FROM part GROUP BY 1, 2 ORDER BY 1;
-- a default that is null ends it as well
ALTER TABLE child ADD nothing text;
CALL migrate.fill_column('child', 'nothing');
-- rules about many rows are not for it
UPDATE big SET "N n" = NULL;
SET safe_migrate.row_limit = 10;
SET safe_migrate.rules = 'update_without_where:reject';
SET default_transaction_isolation = serializable;
CALL migrate.fill_column('big', 'N n');
SHOW safe_migrate.row_limit;
RESET safe_migrate.row_limit;
RESET safe_migrate.rules;
RESET default_transaction_isolation;
SELECT count(*) FROM big WHERE "N n" IS NULL;

-- what it does not take
\set VERBOSITY terse
CALL migrate.fill_column('big', 'nope');
CALL migrate.fill_column('nope', 'id');
CALL migrate.fill_column('big.', 'id');
CALL migrate.fill_column(NULL, 'id');
CALL migrate.fill_column('big', NULL);
BEGIN;
CALL migrate.fill_column('big', 'N n');
ROLLBACK;
SELECT migrate.register('1', 'fill', $$CALL migrate.fill_column('fill.big', 'N n')$$);
\set VERBOSITY default
CALL migrate.deploy();
\set VERBOSITY terse
SELECT migrate.register('1', 'fill', E'-- safe_migrate: no-transaction\nCALL migrate.fill_column(''fill.big'', ''N n'')');
CALL migrate.deploy();
CREATE ROLE safe_migrate_filler;
GRANT USAGE ON SCHEMA fill TO safe_migrate_filler;
GRANT ALL ON big TO safe_migrate_filler;
SET SESSION AUTHORIZATION safe_migrate_filler;
CALL migrate.fill_column('fill.big', 'N n');
RESET SESSION AUTHORIZATION;

SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA fill CASCADE;
DROP ROLE safe_migrate_filler;

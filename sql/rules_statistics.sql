--
-- A change of a column's type deletes the planner's statistics of it.
--
CREATE SCHEMA statistics;
SET search_path = statistics, public;
-- what a background worker does is for test/tap/120_analyze.pl
SET safe_migrate.small_table = '1GB';

CREATE TABLE t (id int PRIMARY KEY, v varchar(10), "n n" int, x int, y int);
INSERT INTO t SELECT g, 'v' || g, g, g % 7, g % 7 FROM generate_series(1, 5000) g;
CREATE TABLE empty (v varchar(10));

-- sizes are not for the expected output
CREATE FUNCTION told(statement text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT coalesce(action || ' ' || regexp_replace(message, '\(\d+ [kMGT]B\)', '(SIZE)'), 'nothing')
	FROM migrate.check(statement)
$$;

-- without statistics there is nothing to lose
SELECT told('ALTER TABLE t ALTER v TYPE varchar(20)');
ANALYZE t, empty;
SELECT told('ALTER TABLE t ALTER v TYPE varchar(20)');
SELECT told('ALTER TABLE t ALTER v TYPE varchar(10)');
SELECT told('ALTER TABLE t ALTER "n n" TYPE bigint');
SELECT told('ALTER TABLE t ALTER v TYPE varchar(20), ALTER x TYPE bigint');
SELECT told('ALTER TABLE t RENAME v TO w; ALTER TABLE t ALTER w TYPE varchar(20)');
SELECT told('ALTER TABLE empty ALTER v TYPE varchar(20)');
SELECT told('CREATE TABLE fresh (v varchar(10)); ALTER TABLE fresh ALTER v TYPE varchar(20)');
SELECT told('ALTER TABLE t ALTER v SET DEFAULT 1');
-- other statements that rewrite keep them
SELECT told('ALTER TABLE t ADD c uuid DEFAULT gen_random_uuid()');

-- what is told when it is run
\set VERBOSITY terse
SELECT verdict('ALTER TABLE t ALTER v TYPE varchar(10)') \g /dev/null
SET client_min_messages = warning;
SELECT verdict('ALTER TABLE t ALTER v TYPE varchar(10)');
SET safe_migrate.rules = 'lost_statistics:reject';
SELECT verdict('ALTER TABLE t ALTER v TYPE varchar(10)');
RESET safe_migrate.rules;
SET safe_migrate.renew_statistics = off;
SELECT told('ALTER TABLE t ALTER v TYPE varchar(20)');
RESET safe_migrate.renew_statistics;
RESET client_min_messages;

-- an expression of an index, or extended statistics, need all columns
CREATE INDEX by_lower ON t (lower(v));
SELECT told('ALTER TABLE t ALTER v TYPE varchar(20)');
CREATE STATISTICS x_y ON x, y FROM t;
CREATE STATISTICS of_id ON (id % 3), (id % 5) FROM t;
SELECT told('ALTER TABLE t ALTER x TYPE bigint');
ANALYZE t;
SELECT told('ALTER TABLE t ALTER v TYPE varchar(20)');
SELECT told('ALTER TABLE t ALTER x TYPE bigint');
SELECT told('ALTER TABLE t ALTER id TYPE bigint');
SELECT told('ALTER TABLE t ALTER "n n" TYPE bigint');
-- an index that others of its columns make go
CREATE INDEX mixed ON t ("n n", (x + 1));
ANALYZE t;
SELECT told('ALTER TABLE t ALTER "n n" TYPE bigint');

-- partitions, children and typed tables
CREATE TABLE p (id int, v varchar(10)) PARTITION BY RANGE (id);
CREATE TABLE p1 (v varchar(10), id int);
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10000);
INSERT INTO p SELECT g, 'v' FROM generate_series(1, 5000) g;
SELECT told('ALTER TABLE p ALTER v TYPE varchar(20)');
ANALYZE p1 (v);
SELECT told('ALTER TABLE p ALTER v TYPE varchar(20)');
SELECT told('ALTER TABLE p ALTER id TYPE bigint');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE pairs OF pair;
INSERT INTO pairs SELECT g, g FROM generate_series(1, 5000) g;
ANALYZE pairs;
SELECT told('ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint CASCADE');
SELECT told('ALTER TYPE pair ADD ATTRIBUTE c bigint CASCADE');

-- nothing of a temporary table, or one made in the same transaction
CREATE TEMP TABLE temporary AS SELECT * FROM t;
ANALYZE temporary;
ALTER TABLE temporary ALTER v TYPE varchar(20);
BEGIN;
CREATE TABLE fresh AS SELECT * FROM t;
ANALYZE fresh;
ALTER TABLE fresh ALTER v TYPE varchar(20);
ROLLBACK;

-- whoever prepares a transaction is told that nothing is queued
BEGIN;
ALTER TABLE t ALTER y TYPE bigint;
PREPARE TRANSACTION 'prepared';
ROLLBACK PREPARED 'prepared';

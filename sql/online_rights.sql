-- Changes run the functions of the owner of the table with nobody else's rights,
-- and lock the tables that they concern.
\set VERBOSITY terse
ALTER SEQUENCE migrate.task_log_id_seq RESTART 3500;
ALTER SEQUENCE migrate.backfill_log_id_seq RESTART 3500;
CREATE ROLE rights_owner LOGIN;
CREATE ROLE rights_member IN ROLE rights_owner;
CREATE ROLE rights_heir;
CREATE SCHEMA rights;
GRANT USAGE, CREATE ON SCHEMA rights TO rights_owner, rights_member, rights_heir;
SET search_path = rights;
CREATE TABLE seen (who name);
GRANT INSERT ON seen TO PUBLIC;

-- what a table can have its owner's functions called by
SET ROLE rights_owner;
CREATE FUNCTION side() RETURNS int LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO rights.seen VALUES (current_user); RETURN 1; END$$;
CREATE FUNCTION constant(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
	$$BEGIN RETURN rights.side(); END$$;
CREATE TABLE victim (id int PRIMARY KEY, a int, other int);
INSERT INTO victim VALUES (1, 1, 1), (2, 2, 2);
CREATE INDEX victim_a ON victim ((a + constant(1)));
\set VERBOSITY sqlstate
SELECT migrate.add_column('victim', 'c', 'int', 'rights.side()', advance => 'manual') AS added \gset
SELECT migrate.change_type('victim', 'a', 'bigint', advance => 'manual') AS changed \gset
CALL migrate.advance(:changed);
\set VERBOSITY terse
RESET ROLE;
DELETE FROM seen;

-- a superuser, and a member of the owner
SELECT migrate.change_type('victim', 'other', 'bigint', up => 'other + constant(1)', down => 'other_new - 1');
CALL migrate.advance(:added);
SELECT migrate.contract(:changed, force := true);
CALL migrate.backfill('victim', 'other = constant(1)');
CALL migrate.fill_column('victim', 'other');
CALL migrate.verify_rows('victim', 'other = constant(1)');
SET ROLE rights_member;
SELECT migrate.change_type('victim', 'other', 'bigint', up => 'other + constant(1)', down => 'other_new - 1');
CALL migrate.advance(:added);
SELECT migrate.contract(:changed, force := true);
CALL migrate.backfill('victim', 'other = constant(1)');
CALL migrate.verify_rows('victim', 'other = constant(1)');
RESET ROLE;
SELECT count(*) FROM seen WHERE who <> 'rights_owner';

-- it is taken back with the rights of the owner
SELECT migrate.cancel(:added);
CALL migrate.wait(:added);
SET ROLE rights_owner;
SELECT phase FROM migrate.changes WHERE id = :added;
SELECT migrate.contract(:changed, force := true) IS NOT NULL AS has_restore_point;

-- a new owner takes back what another role has begun, and does not go on
\set VERBOSITY sqlstate
SELECT migrate.add_column('victim', 'c', 'int', 'rights.side()', advance => 'manual') AS added \gset
\set VERBOSITY terse
RESET ROLE;
SET safe_migrate.mode = off;
ALTER TABLE victim OWNER TO rights_heir;
RESET safe_migrate.mode;
SET ROLE rights_heir;
CALL migrate.advance(:added);
RESET ROLE;
SELECT migrate.cancel(:added);
CALL migrate.wait(:added);
DO $$BEGIN
	WHILE EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'safe_migrate task') LOOP
		PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
	END LOOP;
END$$;
SET ROLE rights_heir;
CALL migrate.advance(:added);
RESET ROLE;
SELECT phase FROM migrate.changes WHERE id = :added;
SELECT count(*) FROM seen WHERE who NOT IN ('rights_owner');

-- a partition of another role
CREATE TABLE tree (id int, a int) PARTITION BY LIST (id);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES IN (1);
INSERT INTO tree VALUES (1, 1);
ALTER TABLE tree_1 OWNER TO rights_owner;
SET ROLE rights_owner;
CREATE INDEX tree_1_a ON tree_1 ((a + rights.constant(1)));
RESET ROLE;
DELETE FROM seen;
SELECT migrate.change_type('tree', 'a', 'bigint', advance => 'manual') IS NOT NULL AS started;
CALL migrate.backfill('tree', 'a = 2');
CALL migrate.verify_rows('tree', 'a = 2');
SELECT count(*) FROM seen;

-- a default that differs from row to row is filled for the owner alone
CREATE TABLE filled (id int);
ALTER TABLE filled OWNER TO rights_owner;
INSERT INTO filled SELECT generate_series(1, 10);
SET safe_migrate.small_table = 0;
SELECT action, safe_sql ~ 'fill_column' AS fills FROM migrate.check('ALTER TABLE rights.filled ADD COLUMN c uuid DEFAULT gen_random_uuid()');
SET ROLE rights_owner;
SELECT action, safe_sql ~ 'fill_column' AS fills FROM migrate.check('ALTER TABLE rights.filled ADD COLUMN c uuid DEFAULT gen_random_uuid()');
RESET ROLE;

RESET safe_migrate.small_table;

-- what is locked until the end of the transaction
CREATE VIEW stronger AS
	SELECT relation::regclass::text AS relation, CASE WHEN bool_or(mode = 'AccessExclusiveLock') THEN 'AccessExclusiveLock' ELSE string_agg(mode, ' ' ORDER BY mode) END AS mode FROM pg_locks l
	JOIN pg_class c ON c.oid = relation AND relnamespace = 'rights'::regnamespace AND relkind IN ('r', 'p', 'v')
	WHERE pid = pg_backend_pid() AND mode <> 'AccessShareLock' AND relname <> 'stronger'
	GROUP BY 1;
CREATE TABLE customer (id int PRIMARY KEY, name text);
CREATE TABLE purchase (id int PRIMARY KEY, customer int REFERENCES customer, a int, b int);
CREATE TABLE item (id int PRIMARY KEY, purchase int REFERENCES purchase);
CREATE VIEW purchases AS SELECT id, a FROM purchase;
CREATE VIEW customers AS SELECT p.id, c.name FROM purchase p JOIN customer c ON c.id = p.customer;
SET client_min_messages = warning;
BEGIN;
SELECT migrate.add_column('purchase', 'n', 'int', '1', advance => 'manual') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT migrate.rename_column('purchase', 'a', 'c', advance => 'manual') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT migrate.rename_column('purchase', 'customer', 'c', advance => 'manual') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT migrate.drop_column('purchase', 'b', advance => 'manual') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
DROP VIEW customers;
BEGIN;
SELECT migrate.drop_column('purchase', 'customer', advance => 'manual') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT migrate.drop_table('item', advance => 'manual') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT migrate.add_foreign_key('item', '{id}', 'rights.customer', advance => 'manual') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT migrate.rename_table('purchase', 'bought') IS NOT NULL AS started;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;

-- a contract, and what is taken back
SELECT migrate.rename_column('purchase', 'a', 'c', advance => 'manual') AS renamed \gset
CALL migrate.advance(:renamed);
SELECT migrate.change_type('purchase', 'customer', 'bigint', advance => 'manual') AS changed \gset
CALL migrate.advance(:changed);
CREATE VIEW newer AS SELECT a + 1 AS more FROM purchase;
BEGIN;
SELECT migrate.contract(:renamed, force := true) IS NOT NULL AS has_restore_point;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT migrate.contract(:changed, force := true) IS NOT NULL AS has_restore_point;
SELECT * FROM stronger ORDER BY 1;
ROLLBACK;
SELECT migrate.cancel(:changed);
CALL migrate.wait(:changed);
SELECT phase FROM migrate.changes WHERE id = :changed;

SET client_min_messages = warning;
SET safe_migrate.override = 'end of the test';
DROP SCHEMA rights CASCADE;
RESET safe_migrate.override;
SELECT migrate.drop_all_restore_points() > 0 AS dropped;
DROP ROLE rights_owner, rights_member, rights_heir;

--
-- What an unfinished change would not survive is refused, and what it would is
-- not.
--
\set VERBOSITY terse
SET client_min_messages = warning;
SET safe_migrate.rules = 'rename_column:allow, rename_table:allow, rename_object:allow, set_schema:allow';
CREATE SCHEMA refusals;
CREATE SCHEMA refusals_functions;
CREATE SCHEMA refusals_other;
CREATE ROLE refusals_owner;
CREATE ROLE refusals_next;
SET search_path = refusals;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 5000;
CREATE FUNCTION tried(statement text) RETURNS text LANGUAGE sql AS $$
	SELECT public.verdict(statement) $$;

-- What expressions use: functions, operators, types, collations, and so on
CREATE TYPE kind AS ENUM ('small', 'large');
CREATE TYPE pair AS (x text, y text);
CREATE DOMAIN label AS text;
CREATE COLLATION plain FROM "C";
CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.simple);
CREATE SEQUENCE numbers;
CREATE FUNCTION refusals_functions.up(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION refusals_functions.not_used(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE OPERATOR refusals_functions.|+| (leftarg = text, rightarg = text, function = pg_catalog.textcat);
CREATE TABLE used (id int PRIMARY KEY, a text, n int);
SELECT migrate.merge_columns('used', '{a}', 'b', 'text',
	$$refusals_functions.up(a) OPERATOR(refusals_functions.|+|) CASE
		WHEN 'large'::kind = 'small' THEN '-'
		WHEN (ROW(a, a)::pair).x = a::label THEN '+'
		WHEN a < 'x' COLLATE plain THEN to_tsvector('words'::regconfig, a)::text
		ELSE '' END$$, advance => 'manual') AS c \gset
SELECT migrate.add_column('used', 'number', 'bigint', $$nextval('numbers') + n$$, advance => 'manual') AS c \gset
INSERT INTO used (id, a) VALUES (1, 'q') RETURNING b;
SELECT statement, tried(statement) FROM unnest(ARRAY[
	'ALTER FUNCTION refusals_functions.up(text) RENAME TO up2',
	'ALTER ROUTINE refusals_functions.up(text) RENAME TO up2',
	'ALTER FUNCTION refusals_functions.up(text) SET SCHEMA refusals_other',
	'ALTER FUNCTION refusals_functions.not_used(text) RENAME TO not_used2',
	'ALTER FUNCTION refusals_functions.not_used(text) SET SCHEMA refusals_other',
	'ALTER FUNCTION refusals_functions.missing(text) RENAME TO x',
	'ALTER OPERATOR refusals_functions.|+| (text, text) SET SCHEMA refusals_other',
	'ALTER TYPE kind RENAME TO kinds',
	'ALTER TYPE kind SET SCHEMA refusals_other',
	'ALTER TYPE kind RENAME VALUE ''large'' TO ''huge''',
	'ALTER TYPE kind ADD VALUE ''huge''',
	'ALTER TYPE pair RENAME TO pairs',
	'ALTER TYPE pair RENAME ATTRIBUTE x TO z',
	'ALTER TYPE pair RENAME ATTRIBUTE y TO z',
	'ALTER DOMAIN label RENAME TO labels',
	'ALTER DOMAIN label SET SCHEMA refusals_other',
	'ALTER COLLATION plain RENAME TO plainer',
	'ALTER COLLATION plain SET SCHEMA refusals_other',
	'ALTER TEXT SEARCH CONFIGURATION words RENAME TO word',
	'ALTER SEQUENCE numbers RENAME TO n',
	'ALTER SEQUENCE numbers SET SCHEMA refusals_other',
	'ALTER SCHEMA refusals_functions RENAME TO x',
	'ALTER SCHEMA refusals_other RENAME TO x',
	'ALTER SCHEMA refusals RENAME TO x']) statement;

-- The table, under whatever name of its kind, and its columns
CREATE TABLE refusals_other.bystander (id int, a text);
SELECT statement, tried(statement) FROM unnest(ARRAY[
	'ALTER TABLE used RENAME TO x',
	'ALTER INDEX used RENAME TO x',
	'ALTER TABLE used SET SCHEMA refusals_other',
	'ALTER TABLE used RENAME n TO x',
	'ALTER TABLE refusals_other.bystander RENAME a TO x',
	'ALTER TABLE refusals_other.bystander RENAME TO x',
	'ALTER TABLE missing RENAME TO x',
	'ALTER INDEX used_pkey RENAME TO x']) statement;

-- Partitions, at every level
CREATE TABLE whole (id int, a text) PARTITION BY LIST (id);
CREATE TABLE refusals_other.part PARTITION OF whole FOR VALUES IN (1, 2) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF refusals_other.part FOR VALUES IN (1);
SELECT migrate.rename_column('whole', 'a', 'b', advance => 'manual') AS c \gset
SELECT statement, tried(statement) FROM unnest(ARRAY[
	'ALTER TABLE refusals_other.part RENAME TO x',
	'ALTER TABLE part_1 RENAME TO x',
	'ALTER TABLE part_1 SET SCHEMA refusals_other',
	'ALTER SCHEMA refusals_other RENAME TO x']) statement;
-- and a change of a partition alone
CREATE TABLE other_whole (id int, a text) PARTITION BY LIST (id);
CREATE TABLE other_part PARTITION OF other_whole FOR VALUES IN (1);
SELECT migrate.set_not_null('other_part', 'a', value => '''-''', advance => 'manual') AS c \gset
SELECT statement, tried(statement) FROM unnest(ARRAY[
	'ALTER TABLE other_whole RENAME a TO x',
	'ALTER TABLE other_whole DISABLE TRIGGER ALL',
	'ALTER TABLE other_whole RENAME TO x']) statement;

-- Triggers switched on and off
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := upper(NEW.a); RETURN NEW; END';
CREATE TRIGGER early BEFORE INSERT ON whole FOR EACH ROW EXECUTE FUNCTION late();
SELECT (SELECT 'ALTER TABLE %s %s TRIGGER "' || tgname || '"' FROM pg_trigger WHERE tgrelid = 'whole'::regclass AND tgname ~ 'safe_migrate') AS switch \gset
SELECT replace(statement, '~~~safe_migrate_change_', '') AS statement, tried(statement) FROM unnest(ARRAY[
	'ALTER TABLE whole DISABLE TRIGGER ALL',
	'ALTER TABLE whole DISABLE TRIGGER USER',
	'ALTER TABLE whole ENABLE TRIGGER ALL',
	'ALTER TABLE whole ENABLE TRIGGER USER',
	'ALTER TABLE part_1 DISABLE TRIGGER ALL',
	'ALTER TABLE whole DISABLE TRIGGER early',
	format(:'switch', 'whole', 'DISABLE'),
	format(:'switch', 'whole', 'ENABLE'),
	format(:'switch', 'whole', 'ENABLE REPLICA'),
	format(:'switch', 'whole', 'ENABLE ALWAYS'),
	format(:'switch', 'part_1', 'DISABLE'),
	replace(format(:'switch', 'whole', 'ALTER'), 'ALTER TABLE whole ALTER', 'ALTER') || ' ON whole RENAME TO x',
	'ALTER TABLE refusals_other.bystander DISABLE TRIGGER ALL']) statement;

-- A trigger that fires behind that of the change
SELECT statement, tried(statement) FROM unnest(ARRAY[
	'CREATE TRIGGER "überall" BEFORE INSERT ON whole FOR EACH ROW EXECUTE FUNCTION late()',
	'CREATE TRIGGER "überall" BEFORE UPDATE ON part_1 FOR EACH ROW EXECUTE FUNCTION late()',
	'CREATE TRIGGER "~~~safe_migrate_changes" BEFORE INSERT ON whole FOR EACH ROW EXECUTE FUNCTION late()',
	'CREATE TRIGGER "überall" BEFORE INSERT ON other_whole FOR EACH ROW EXECUTE FUNCTION late()',
	'CREATE TRIGGER "überall" BEFORE DELETE ON whole FOR EACH ROW EXECUTE FUNCTION late()',
	'CREATE TRIGGER "überall" AFTER INSERT ON whole FOR EACH ROW EXECUTE FUNCTION late()',
	'CREATE TRIGGER "überall" BEFORE INSERT ON whole EXECUTE FUNCTION late()',
	'CREATE TRIGGER everywhere BEFORE INSERT ON whole FOR EACH ROW EXECUTE FUNCTION late()',
	'CREATE TRIGGER "überall" BEFORE INSERT ON refusals_other.bystander FOR EACH ROW EXECUTE FUNCTION late()',
	'ALTER TRIGGER early ON whole RENAME TO "überall"',
	'ALTER TRIGGER early ON whole RENAME TO earlier']) statement;
CREATE TRIGGER "überall" BEFORE INSERT ON refusals_other.bystander FOR EACH ROW EXECUTE FUNCTION late();
SELECT migrate.rename_column('refusals_other.bystander', 'a', 'b', advance => 'manual');
CREATE TABLE third (id int, a text) PARTITION BY LIST (id);
CREATE TABLE third_part PARTITION OF third FOR VALUES IN (1);
CREATE TRIGGER "überall" BEFORE UPDATE ON third_part FOR EACH ROW EXECUTE FUNCTION late();
SELECT migrate.rename_column('third', 'a', 'b', advance => 'manual');
ALTER TRIGGER "überall" ON third_part RENAME TO everywhere;
SELECT migrate.rename_column('third', 'a', 'b', advance => 'manual') > 0 AS started;

-- Owners
GRANT USAGE, CREATE ON SCHEMA refusals, refusals_other TO refusals_owner, refusals_next;
CREATE TABLE owned (id int, a text);
ALTER TABLE owned OWNER TO refusals_owner;
SET ROLE refusals_owner;
SELECT migrate.rename_column('refusals.owned', 'a', 'b', advance => 'manual') AS c \gset
RESET ROLE;
SELECT statement, tried(statement) FROM unnest(ARRAY[
	'ALTER TABLE owned OWNER TO refusals_next',
	'ALTER TABLE owned OWNER TO refusals_owner',
	'ALTER TABLE owned OWNER TO missing_role',
	'ALTER TABLE part_1 OWNER TO refusals_next',
	'ALTER TABLE refusals_other.bystander OWNER TO refusals_next',
	'REASSIGN OWNED BY refusals_owner TO refusals_next',
	'REASSIGN OWNED BY refusals_next TO refusals_owner']) statement;

-- Changes themselves are not in their own way, and what has ended is in nobody's
SELECT max(id) AS c FROM migrate.changes WHERE relation = 'refusals.used' AND kind = 'merge_columns' \gset
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS contracted;
SELECT max(id) AS c FROM migrate.changes WHERE relation = 'refusals.whole' \gset
SELECT migrate.cancel(:c) IS NOT NULL AS cancelled;
CALL migrate.advance(:c);
SELECT statement, tried(statement) FROM unnest(ARRAY[
	'ALTER FUNCTION refusals_functions.up(text) RENAME TO up2',
	'ALTER TYPE kind RENAME TO kinds',
	'ALTER SCHEMA refusals_functions RENAME TO x',
	'ALTER TABLE part_1 RENAME TO x',
	'ALTER TABLE whole DISABLE TRIGGER ALL',
	'ALTER TABLE whole OWNER TO refusals_next',
	'CREATE TRIGGER "überall" BEFORE INSERT ON whole FOR EACH ROW EXECUTE FUNCTION late()']) statement;

-- a table that gets another name online, and a change of its partitions
CREATE TABLE halves (id int, a text) PARTITION BY LIST (id);
CREATE TABLE half_2 PARTITION OF halves FOR VALUES IN (2);
SELECT migrate.rename_table('half_2', 'half_b', advance => 'manual') > 0 AS started;
SELECT migrate.rename_column('halves', 'a', 'b', advance => 'manual');
CREATE TABLE others (id int, a text) PARTITION BY LIST (id);
CREATE TABLE other_1 PARTITION OF others FOR VALUES IN (1);
SELECT migrate.rename_column('others', 'a', 'b', advance => 'manual') > 0 AS started;
SELECT migrate.rename_table('other_1', 'other_b', advance => 'manual');

SELECT migrate.cancel(id) IS NOT NULL AS cancelled FROM migrate.changes WHERE relation ~ '^refusals' AND phase NOT IN ('contracted', 'cancelled');
DO $$BEGIN
	WHILE EXISTS (SELECT FROM migrate.changes WHERE relation ~ '^refusals' AND state IN ('undoing', 'waiting', 'running')) LOOP
		PERFORM pg_sleep(0.02);
	END LOOP;
END$$;
SET safe_migrate.override = 'end of the test';
DROP SCHEMA refusals, refusals_functions, refusals_other CASCADE;
RESET safe_migrate.override;
SELECT migrate.drop_all_restore_points() > 0 AS dropped;
DROP OWNED BY refusals_owner, refusals_next;
DROP ROLE refusals_owner, refusals_next;

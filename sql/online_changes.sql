-- Changes of tables that clients go on using: start, advance, contract, cancel.
\set VERBOSITY terse
CREATE SCHEMA change;
SET search_path = change;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 4000;
ALTER SEQUENCE migrate.backfill_log_id_seq RESTART 4000;
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 100);
CREATE TABLE account (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email text NOT NULL DEFAULT '-' CHECK (email <> ''),
	visits int,
	parent int);
CREATE UNIQUE INDEX account_lower ON account (lower(email));
INSERT INTO account (email, visits, parent)
	SELECT 'user' || g || '@example.com', g, g % 100 + 1
	FROM generate_series(1, 1000) g;

CREATE FUNCTION phases() RETURNS TABLE (number bigint, kind text, phase text, state text, next_step text)
LANGUAGE sql AS $$
	SELECT row_number() OVER (ORDER BY id), kind, phase, state,
		replace(next_step, id::text, 'N')
	FROM migrate.changes WHERE relation LIKE 'change.%' $$;

-- rename_column: both names, both ways, until the contract
BEGIN;
SELECT migrate.rename_column('account', 'email', 'mail', advance => 'manual') AS c \gset
SELECT phase, state, old_shape, statement FROM migrate.changes WHERE id = :c;
ROLLBACK;
SELECT count(*) FROM migrate.changes WHERE id = :c;
\set VERBOSITY sqlstate
SELECT migrate.rename_column('account', 'email', 'mail', advance => 'manual') AS c \gset
\set VERBOSITY terse
SELECT * FROM phases();
INSERT INTO account (email, visits) VALUES ('old', 1);
INSERT INTO account (mail, visits) VALUES ('new', 1);
UPDATE account SET visits = 2 WHERE id = 1;
UPDATE account SET mail = 'by the new name' WHERE id = 2;
UPDATE account SET email = 'by the old name' WHERE id = 3;
UPDATE account SET email = 'one', mail = 'another' WHERE id = 4;
SELECT id, email, mail FROM account WHERE id IN (1, 2, 3, 1001, 1002) ORDER BY id;
SELECT migrate.contract(:c);
CALL migrate.wait(:c);
CALL migrate.advance(:c);
SELECT * FROM phases();
SELECT count(*) FROM account WHERE mail IS DISTINCT FROM email;
SELECT set, state, rows_done > 900 AS most FROM migrate.progress WHERE relation = 'change.account';
SELECT indexrelid::regclass, indisunique, indisvalid FROM pg_index WHERE indrelid = 'account'::regclass ORDER BY 1;
SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
	WHERE conrelid = 'account'::regclass AND conname LIKE '%check%' ORDER BY 1;
SELECT migrate.contract(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
\d account
SELECT * FROM phases();
SELECT migrate.contract(:c, force := true);
SELECT migrate.cancel(:c);
INSERT INTO account (visits) VALUES (5) RETURNING mail;

-- what is refused
SELECT migrate.rename_column('account', 'nothing', 'x');
SELECT migrate.rename_column('account', 'mail', 'visits');
SELECT migrate.rename_column('nothing', 'mail', 'x');
SELECT migrate.rename_column(NULL, 'mail', 'x');
SELECT migrate.rename_column('account', 'mail', 'x', advance => 'soon');
SELECT migrate.rename_column('account', 'mail', 'x', on_conflict => 'both');
SELECT migrate.rename_column('account', 'ctid', 'x');
SELECT migrate.change_type('account', 'visits', 'text; DROP TABLE account');
SELECT migrate.change_type('account', 'visits', 'bigint', up := 'visits + random()');
SELECT migrate.change_type('account', 'visits', 'bigint', up := 'visits + (SELECT 1)');
SELECT migrate.change_type('account', 'visits', 'timestamptz', up := 'now()', down := '0');
SELECT migrate.add_check('account', 'visits > 0), DROP COLUMN (mail');
SELECT migrate.split_column('account', 'mail', '{a,b}', '{text}', '{mail,mail}');
SELECT migrate.add_column('account', 'x', 'nonsense', '1');
SELECT migrate.drop_column('account', 'mail', value => 'nothing');
SELECT migrate.drop_column('account', 'id') AS d \gset
SELECT migrate.drop_column('account', 'id');
SELECT migrate.rename_table('account', 'x');
SELECT migrate.cancel(:d);
CALL migrate.advance(:d);
SELECT migrate.rename_column('account', 'mail', '');
SELECT migrate.change_type('account', 'mail', 'varchar(3)', up := 'visits::float8::text');
SELECT migrate.drop_table('parent', NULL) IS NOT NULL AS started;
SELECT migrate.contract(0);
SELECT migrate.cancel(0);
CALL migrate.advance(0);
CALL migrate.advance(NULL);
CALL migrate.remove_change(:c);
CREATE TEMP TABLE temporary (a int);
SELECT migrate.rename_column('temporary', 'a', 'b');
CREATE VIEW account_view AS SELECT id FROM account;
SELECT migrate.rename_column('account_view', 'id', 'b');
SELECT migrate.rename_column('pg_catalog.pg_class', 'relname', 'b');
SELECT migrate.rename_column('migrate.change_log', 'kind', 'b');
DROP VIEW account_view;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT migrate.rename_column('account', 'mail', 'x');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migrate.rename_column('account', 'mail', 'x');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT migrate.contract(0);
ROLLBACK;

-- a second change of the same column, new names, and cancel
\set VERBOSITY sqlstate
SELECT migrate.change_type('account', 'visits', 'bigint', advance => 'manual') AS c \gset
\set VERBOSITY terse
SELECT migrate.rename_column('account', 'visits', 'x') ~ '' AS refused;
ALTER TABLE account RENAME TO customer;
ALTER TABLE account RENAME COLUMN visits TO x;
ALTER TABLE account SET SCHEMA public;
ALTER SCHEMA change RENAME TO other;
UPDATE account SET visits_new = 3000000000 WHERE id = 5;
UPDATE account SET visits_new = 30 WHERE id = 5;
SELECT visits, visits_new FROM account WHERE id = 5;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase, state FROM migrate.changes WHERE id = :c;
\d account
SELECT visits FROM account WHERE id = 5;

-- what does not fit is no value
\set VERBOSITY sqlstate
SELECT migrate.change_type('account', 'mail', 'varchar(3)', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);

-- a partition that comes with rows of its own
CREATE TABLE part (id int, a text) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
INSERT INTO part VALUES (1, 'one');
SELECT migrate.rename_column('part', 'a', 'b', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
CREATE TABLE part_2 (LIKE part);
INSERT INTO part_2 (id, a) VALUES (2, 'two');
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES IN (2);
\set VERBOSITY terse
SELECT migrate.contract(:c, force := true);
\set VERBOSITY sqlstate
CALL migrate.backfill('change.part', 'b = a', 'b IS DISTINCT FROM ((a)::pg_catalog.text)');
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
SELECT * FROM part ORDER BY id;

-- a type changes its column, under the same name
\set VERBOSITY sqlstate
SELECT migrate.change_type('account', 'visits', 'bigint', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
UPDATE account SET visits = 3000000000 WHERE id = 5;

-- columns are split and merged
SELECT migrate.split_column('account', 'mail', '{name,host}', '{text,text}',
	'{"split_part(mail, ''@'', 1)", "split_part(mail, ''@'', 2)"}',
	'name || ''@'' || host', advance => 'manual') AS c \gset
\set VERBOSITY terse
DELETE FROM account WHERE mail !~ '@';
INSERT INTO account (name, host) VALUES ('a', 'b') RETURNING mail;
INSERT INTO account (mail) VALUES ('c@d') RETURNING name, host;
UPDATE account SET host = 'elsewhere' WHERE id = 10 RETURNING mail;
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
\set VERBOSITY sqlstate
SELECT migrate.merge_columns('account', '{name,host}', 'mail', 'text',
	'name || ''@'' || host',
	'{"split_part(mail, ''@'', 1)", "split_part(mail, ''@'', 2)"}',
	advance => 'manual') AS c \gset
\set VERBOSITY terse
INSERT INTO account (mail) VALUES ('e@f') RETURNING name, host;
UPDATE account SET mail = 'without' WHERE name = 'e';
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
SELECT mail FROM account WHERE id IN (10, 20) ORDER BY id;

-- new columns with values
\set VERBOSITY sqlstate
SELECT migrate.add_column('account', 'token', 'uuid', 'gen_random_uuid()', not_null => true, advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT count(DISTINCT token) = count(*) AS all_differ FROM account;
SELECT migrate.contract(:c);
SELECT migrate.add_column('account', 'host', 'text', 'split_part(mail, ''@'', 2)', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
INSERT INTO account (mail) VALUES ('g@h') RETURNING host;
INSERT INTO account (mail, host) VALUES ('g@i', 'explicit') RETURNING host;
\set VERBOSITY terse
SELECT migrate.contract(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
\d account

-- a table is tightened
\set VERBOSITY sqlstate
SELECT migrate.set_not_null('account', 'visits', value => '0', advance => 'manual') AS c \gset
INSERT INTO account (mail, visits) VALUES ('j@k', NULL) RETURNING visits;
CALL migrate.advance(:c);
INSERT INTO account (mail, visits) VALUES ('l@m', NULL) RETURNING visits;
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
\set VERBOSITY terse
INSERT INTO account (mail, visits) VALUES ('n@o', NULL);
\set VERBOSITY sqlstate
UPDATE account SET visits = -1 WHERE id = 20;
SELECT migrate.add_check('account', 'visits >= 0', name => 'visits_count', "set" => 'visits = 0', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT visits FROM account WHERE id = 20;
SELECT migrate.add_foreign_key('account', '{parent}', 'change.parent', '{id}', 'ON DELETE SET NULL', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT migrate.add_unique('account', '{mail}', 'account_mail', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
\set VERBOSITY terse
SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE conrelid = 'account'::regclass AND contype IN ('c', 'f', 'u') ORDER BY 1;

-- both ends of a foreign key, one after the other; and what has no way
CREATE TABLE key (id int PRIMARY KEY);
CREATE TABLE lock_of (key int REFERENCES key);
\set VERBOSITY sqlstate
SELECT migrate.change_type('lock_of', 'key', 'bigint', advance => 'manual') AS c \gset
\set VERBOSITY terse
SELECT migrate.change_type('key', 'id', 'bigint');
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
\set VERBOSITY sqlstate
SELECT migrate.change_type('key', 'id', 'bigint', advance => 'manual') AS c \gset
\set VERBOSITY terse
SELECT migrate.rename_column('lock_of', 'key', 'of_key');
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conrelid = 'lock_of'::regclass AND contype = 'f';

-- data that do not allow it: the change waits until they do
\set VERBOSITY sqlstate
INSERT INTO account (mail, visits, parent) VALUES ('p@q', 7, 7), ('r@s', 7, 7);
SELECT migrate.add_unique('account', '{visits}', advance => 'manual') AS c \gset
\set VERBOSITY terse
CALL migrate.advance(:c);
-- which of the keys is found first is left to chance
SELECT phase, state, regexp_replace(error, '\d', 'n') AS error FROM migrate.changes WHERE id = :c;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase, state FROM migrate.changes WHERE id = :c;

-- names of tables
\set VERBOSITY sqlstate
SELECT migrate.rename_table('account', 'customer') AS c \gset
\set VERBOSITY terse
UPDATE account SET visits = 8 WHERE id = 20;
SELECT visits FROM customer WHERE id = 20;
SELECT migrate.contract(:c);
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT relname, relkind FROM pg_class WHERE relname IN ('account', 'customer');
\set VERBOSITY sqlstate
SELECT migrate.rename_table('account', 'customer') AS c \gset
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
SELECT relname, relkind FROM pg_class WHERE relname IN ('account', 'customer');

-- what is to go
SELECT migrate.drop_column('customer', 'visits', value => '1', grace => '1 hour') AS c \gset
INSERT INTO customer (mail) VALUES ('t@u') RETURNING visits;
SELECT migrate.contract(:c);
\set VERBOSITY terse
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
SELECT migrate.drop_column('customer', 'token', grace => '1 microsecond') AS c \gset
SELECT migrate.contract(:c) IS NOT NULL AS has_restore_point;
CREATE TABLE unused (id int);
INSERT INTO unused VALUES (1);
SELECT migrate.drop_table('unused', NULL) AS c \gset
SELECT count(*) FROM unused;
SELECT pg_stat_force_next_flush();
SELECT migrate.contract(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
SELECT to_regclass('unused');

-- who may
CREATE ROLE change_owner;
CREATE ROLE change_other;
GRANT USAGE, CREATE ON SCHEMA change TO change_owner;
GRANT USAGE ON SCHEMA change TO change_other;
SET ROLE change_owner;
CREATE TABLE owned (a int);
INSERT INTO owned VALUES (1);
\set VERBOSITY sqlstate
SELECT migrate.rename_column('owned', 'a', 'b', advance => 'manual') AS c \gset
\set VERBOSITY terse
SET ROLE change_other;
SELECT migrate.rename_column('owned', 'a', 'c');
SELECT count(*) FROM migrate.changes WHERE id = :c;
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true);
SELECT migrate.cancel(:c);
SET ROLE change_owner;
SELECT kind, phase FROM migrate.changes WHERE id = :c;
CALL migrate.advance(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS has_restore_point;
\d owned
RESET ROLE;

-- where it is called: in a function, a DO block, and in a migration
\set VERBOSITY sqlstate
CREATE TABLE small (a int, b int);
INSERT INTO small VALUES (1, 2);
DO $$ BEGIN PERFORM migrate.rename_column('change.small', 'a', 'c', advance => 'manual'); END $$;
SELECT migrate.apply('online_changes_1', $$SELECT migrate.rename_column('change.small', 'b', 'd', advance => 'manual')$$);
SELECT max(id) AS c FROM migrate.changes WHERE relation = 'change.small' \gset
CALL migrate.advance(:c);
SELECT b, d FROM small;
SELECT kind, phase FROM migrate.changes WHERE relation = 'change.small' ORDER BY id;
\set VERBOSITY terse
BEGIN;
CALL migrate.advance(:c);
ROLLBACK;

SELECT count(*) > 0 AS all_ended FROM migrate.verify() HAVING count(*) > 0;
SELECT * FROM phases();
SET client_min_messages = warning;
SET safe_migrate.override = 'end of the test';
DROP SCHEMA change CASCADE;
RESET safe_migrate.override;
SELECT migrate.drop_all_restore_points() > 0 AS dropped;
DROP ROLE change_owner, change_other;

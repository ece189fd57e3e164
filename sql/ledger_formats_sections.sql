--
-- Formats whose files have sections: what is registered of each, with the
-- lines of the file, and what is refused.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

\set VERBOSITY terse
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- A directory as pairs of path and text.
CREATE FUNCTION load_given(files text[], format text DEFAULT 'auto')
RETURNS TABLE (version text, name text, state text)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT l.* FROM migrate.load_files(
		ARRAY(SELECT f FROM unnest(files) WITH ORDINALITY AS u (f, n) WHERE n % 2 = 1 ORDER BY n),
		ARRAY(SELECT f FROM unnest(files) WITH ORDINALITY AS u (f, n) WHERE n % 2 = 0 ORDER BY n),
		format) l;
EXCEPTION WHEN OTHERS THEN
	RETURN QUERY SELECT SQLSTATE::text, SQLERRM, 'ERROR';
END $$;
-- Texts with the number of lines before them.
CREATE FUNCTION placed(body text, line int) RETURNS text LANGUAGE sql AS $$
	SELECT line - 1 + length(body) - length(ltrim(body, E'\n')) || ': ' || btrim(body, E'\n') $$;
CREATE VIEW registered AS
	SELECT m.version, m.name, m.format, placed(m.body, m.body_line) AS body, placed(m.down_body, m.down_line) AS down,
		m.in_transaction AS tx, m.repeatable AS again, m.listed_at
	FROM migrate.migrations m ORDER BY m.repeatable, m.version_key;
-- What is wrong with each text, as the second file of a directory.
CREATE FUNCTION try_texts(good text, texts text[], format text) RETURNS TABLE (sqlstate text, message text)
LANGUAGE sql AS $$
	SELECT l.version, l.name FROM unnest(texts) WITH ORDINALITY AS t (body, n),
		LATERAL load_given(ARRAY['1_a.sql', good, '2_b.sql', t.body], format) l
	WHERE l.state = 'ERROR' OR l.version LIKE '%2%' ORDER BY n $$;

-- A way back that cannot be parsed is a WARNING with the line of the file.

-- dbmate
SELECT * FROM load_given(ARRAY[
	'20240102000000_a.sql', E'-- the first\n\n-- migrate:up\nCREATE TABLE a (i int);\nCOMMENT ON TABLE a IS ''one'';\n\n-- migrate:down\nDROP TABLE a;\n',
	'20240103000000-b.sql', E'--migrate:up transaction:false\r\nCREATE INDEX CONCURRENTLY ON a (i);\r\n\r\n-- migrate:down transaction:false\r\nDROP INDEX CONCURRENTLY a_i_idx;\r\n',
	'20240104000000_c.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\n']);
TABLE registered;
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
-- what comes before a section is none of its text
SELECT * FROM load_given(ARRAY[
	'20240102000000_a.sql', E'-- the very\n-- first\n\n-- migrate:up\nCREATE TABLE a (i int);\nCOMMENT ON TABLE a IS ''one'';\n-- migrate:down\nDROP TABLE a CASCADE;\n',
	'20240103000000-b.sql', E'-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY ON a (i);\n-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY a_i_idx;\n',
	'20240104000000_c.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\n']);
SELECT version, state FROM migrate.status;
DROP TABLE a;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT * FROM try_texts(E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;', ARRAY[
	'SELECT 3;',
	E'SELECT 3;\n-- migrate:up\nSELECT 1;',
	E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n-- migrate:up\nSELECT 3;\n',
	E'-- migrate:down\nSELECT 1;\n-- migrate:up\nSELECT 2;\n',
	E'-- migrate:up env:prod\nSELECT 1;',
	E'-- migrate:up\nSELECT 1;\n\n-- migrate:down\nSELECT 2;\nSELEC 3;',
	E'\n-- migrate:up\nSELECT 1;\nSELEC 3;\n-- migrate:down\nSELECT 2;',
	E'-- migrate:up\n\n-- migrate:down\nSELECT 2;',
	E'-- migrate:up\nSELECT 1;\n-- migrate:down\n\\d\n',
	E'-- migrate:up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n'], 'dbmate');

DELETE FROM migrate.migrations;

-- goose
SELECT * FROM load_given(ARRAY[
	'00001_a.sql', E'-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n\tRETURN 1;\nEND $$;\n-- +goose StatementEnd\n\n-- +goose Down\nDROP FUNCTION f();\n',
	'00002_b.sql', E'-- +goose NO TRANSACTION\n-- +goose ENVSUB OFF\n-- +GOOSE UP\nSELECT 2;\n-- +goose down\nSELECT 3;\n',
	'00010_c.sql', E'-- +goose Up\nSELECT 10;\n']);
TABLE registered;
CALL migrate.deploy();
SELECT f();
DROP FUNCTION f();
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT * FROM try_texts(E'-- +goose Up\nSELECT 1;', ARRAY[
	'SELECT 3;',
	E'-- why\nSELECT 3;\n-- +goose Up\n',
	E'-- +goose Up\nSELECT 1;\n-- +goose Up\nSELECT 2;',
	E'-- +goose Down\nSELECT 1;\n-- +goose Up\nSELECT 2;',
	E'-- +goose Up\n-- +goose StatementBegin\nSELECT 2;\n',
	E'-- +goose Up\n-- +goose StatementBegin\nSELECT 2;\n-- +goose Down\nSELECT 1;',
	E'-- +goose Up\n-- +goose StatementEnd\nSELECT 2;\n',
	E'-- +goose StatementBegin\n-- +goose Up\nSELECT 2;\n',
	E'-- +goose Up\n-- +goose ENVSUB ON\nSELECT ${x};\n-- +goose ENVSUB OFF',
	E'-- +goose Up\nSELECT 1;\n-- +goose Down\n-- +goose NO TRANSACTION\nSELECT 2;',
	E'-- +goose Up again\nSELECT 1;',
	E'-- +goose\nSELECT 1;',
	E'-- +goose Sideways\nSELECT 1;',
	E'-- +goose Up\nSELECT 1;\n\n-- +goose Down\nSELECT 2;\nSELEC 3;'], 'goose');
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY['1_a.sql', E'-- +goose Up\nSELECT 1;', '2_b.go', 'package b']);
DELETE FROM migrate.migrations;

-- sql-migrate
SELECT * FROM load_given(ARRAY[
	'1-a.sql', E'-- +migrate Up\nCREATE TABLE a (i int);\n-- +migrate Down\nDROP TABLE a;\n-- +migrate Up\nCREATE TABLE b (i int);\n-- +migrate Down\nDROP TABLE b;\n',
	'10_c.sql', E'-- +migrate Up notransaction\nSELECT 10;\n-- +migrate Down notransaction\nSELECT 11;\n',
	'2_b.sql', E'-- +migrate Up\n-- +migrate StatementBegin\nSELECT 2;\n-- +migrate StatementEnd\n']);
TABLE registered;
CALL migrate.deploy();
DROP TABLE a, b;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT * FROM try_texts(E'-- +migrate Up\nSELECT 1;', ARRAY[
	'SELECT 3;',
	E'-- +migrate Up sometimes\nSELECT 1;',
	E'-- +migrate NO TRANSACTION\n-- +migrate Up\nSELECT 1;'], 'sql-migrate');
DELETE FROM migrate.migrations;

-- tern
SELECT * FROM load_given(ARRAY[
	'001_a.sql', E'CREATE TABLE a (i int);\n\n---- create above / drop below ----\n\nDROP TABLE a;\n',
	'002_b.sql', E'---- tern: disable-tx ----\nCREATE INDEX CONCURRENTLY ON a (i);\n---- create above / drop below ----\n---- tern: disable-tx ----\nDROP INDEX CONCURRENTLY a_i_idx;\n',
	'003_c.sql', E'SELECT 3;\n']);
TABLE registered;
CALL migrate.deploy();
DROP TABLE a;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT * FROM try_texts(E'SELECT 1;\n---- create above / drop below ----\nSELECT 2;', ARRAY[
	E'SELECT 1;\nSELECT {{.prefix}};',
	E'SELECT 1;\n{{ template "shared/x.sql" . }}\n---- create above / drop below ----\n',
	E'SELECT 1;\n---- create above / drop below ----\nSELEC 2;'], 'tern');
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY['1_a.sql', E'SELECT 1;\n---- create above / drop below ----\nSELECT 2;', '3_c.sql', 'SELECT 3;']);
DELETE FROM migrate.migrations;

-- node-pg-migrate
SELECT * FROM load_given(ARRAY[
	'1718236800000_a.sql', E'-- Up Migration\nCREATE TABLE a (i int);\n\n-- Down Migration\nDROP TABLE a;\n',
	'1718236800001_b.sql', E'/* why */\n  --- DOWN   migrations\nSELECT 1;\n-- up migration\nSELECT 2;\n-- down migration again\nSELECT 3;\n',
	'1718236800002_c.sql', E'-- no sections\nSELECT 3;\n']);
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY[
	'1718236800000_a.sql', E'-- Up Migration\nCREATE TABLE a (i int);\n\n-- Down Migration\nDROP TABLE a;\n',
	'1718236800001_b.sql', E'  --- DOWN   migrations\nSELECT 1;\n-- up migration\nSELECT 2;\n-- down migration again\nSELECT 3;\n',
	'1718236800002_c.sql', E'-- no sections\nSELECT 3;\n']);
TABLE registered;
DELETE FROM migrate.migrations;
SELECT * FROM try_texts(E'-- Up Migration\nSELECT 1;', ARRAY[
	E'SELECT 1;\n-- Up Migration\nSELECT 1;',
	E'SELECT 1;\n-- Down Migration\nSELECT 1;',
	E'\n-- Down Migration\nSELECT 1;',
	E'-- Up Migration\nSELECT 1;\n-- Down Migration\nSELEC 1;'], 'node-pg-migrate');
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY['1718236800000_a.sql', E'-- Up Migration\nSELECT 1;', '20240613000000000_b.sql', 'SELECT 2;']);
SELECT * FROM load_given(ARRAY['1718236800000_a.sql', E'-- Up Migration\nSELECT 1;', '1718236800001_b.ts', '']);
DELETE FROM migrate.migrations;

-- graphile-migrate, by its root and by the committed files alone
SELECT * FROM load_given(ARRAY[
	'committed/000001.sql', E'--! Previous: -\n--! Hash: sha1:0123\n\n-- a\nCREATE TABLE a (i int);\n',
	'committed/000002-index-a.sql', E'--! Previous: sha1:0123\n--! Hash: sha1:4567\n--! Message: index a\n\n--! no-transaction\nCREATE INDEX CONCURRENTLY ON a (i);\n',
	'current.sql', 'DROP TABLE a;', 'fixtures/f.sql', 'SELECT 1;']);
TABLE registered;
CALL migrate.deploy();
DROP TABLE a;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT l.version, l.name FROM unnest(ARRAY[
	'SELECT 1;',
	E'--! Previous: -\n--! Hash: sha1:0123\n\nSELECT 1;\n--!include f.sql\n',
	E'--! Previous: -\n--! Hash: sha1:0123\n\nGRANT SELECT ON a TO :DATABASE_OWNER;']) AS t (body),
	LATERAL load_given(ARRAY['000001.sql', E'--! Previous: -\n--! Hash: sha1:00\n\nSELECT 1;', '000002.sql', body], 'graphile-migrate') l;
SELECT * FROM load_given(ARRAY['000001.sql', E'--! Previous: -\n--! Hash: sha1:00\n\nSELECT 1;', 'current.sql', 'SELECT 1;'], 'graphile-migrate');
DELETE FROM migrate.migrations;

-- liquibase: a migration for each changeset, in the order of files and lines
SELECT * FROM load_given(ARRAY[
	'b.sql', E'--liquibase formatted sql\n--changeset ann:1\nSELECT 1;',
	'a/z.sql', E'\n-- liquibase formatted sql logicalFilePath:x\n\n--changeset bob:1 splitStatements:false\n--comment: the first\nCREATE TABLE a (i int);\n--rollback DROP TABLE a;\n\n'
		'--changeset "bob b":"two 2" runInTransaction:false dbms:"mysql, postgresql"\nCREATE INDEX CONCURRENTLY ON a (i);\n/* liquibase rollback\nDROP INDEX\n  a_i_idx;\n*/\n\n'
		'--changeset bob:view runOnChange:true endDelimiter:;\n-- mine\nCREATE OR REPLACE VIEW v AS SELECT * FROM a;\n--rollback not required\n'
		'--changeset bob:ora dbms:oracle\nSELECT 1 FROM dual\n--changeset bob:no dbms:!postgresql\n--changeset bob:no2 ignore:true\nSELEC;\n'
		'--changeset bob:last dbms:!oracle\nSELECT 3;']);
TABLE registered;
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
DROP VIEW v;
DROP TABLE a;
-- a new one between others changes no text
SELECT * FROM load_given(ARRAY[
	'b.sql', E'--liquibase formatted sql\n\n--changeset ann:0\nSELECT 0;\n--changeset ann:1\nSELECT 1;']);
SELECT version, listed_at, placed(body, body_line), missing_since IS NOT NULL AS missing FROM migrate.migrations ORDER BY version_key;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
-- what goes wrong is told with the line of the file, whatever moves above it
SELECT count(*) FROM load_given(ARRAY['b.sql', E'--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n'
	'--changeset ann:lines runInTransaction:false\n\n-- safe_migrate: override why not\nSELECT 1;\n\nSELECT 1 / 0;\n--rollback SELECT 1;\n--rollback SELECT 1 / 0;']);
CALL migrate.deploy('ann:lines');
SELECT statement, line FROM migrate.plan('ann:lines');
SELECT count(*) FROM load_given(ARRAY['b.sql', E'--liquibase formatted sql\n-- more\n--changeset ann:1\nSELECT 1;\n\n'
	'--changeset ann:lines runInTransaction:false\n\n-- safe_migrate: override why not\nSELECT 1;\n\nSELECT 1 / 0;\n--rollback SELECT 1;\n--rollback SELECT 1 / 0;']);
SELECT statement, line FROM migrate.plan('ann:lines');
CALL migrate.deploy('ann:lines');
SELECT statements, error_line FROM migrate.history WHERE version = 'ann:lines' ORDER BY id;
SELECT migrate.baseline('ann:lines');
SELECT migrate.revert('ann:lines');
SELECT name FROM load_given(ARRAY['b.sql', E'--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n\n'
	'--changeset ann:lines\n\n-- safe_migrate: overide why not\nSELECT 1;']) WHERE state = 'ERROR';
SELECT name FROM load_given(ARRAY['b.sql', E'--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n\n'
	'--changeset ann:lines\n\nSELECT 1;\n\\d']) WHERE state = 'ERROR';
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT l.version, l.name FROM unnest(ARRAY[
	E'--changeset bob:1\nSELECT 1;',
	E'--liquibase formatted sql\nSELECT 1;\n--changeset bob:1\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1\nSELECT 1;\n--changeset bob:2\nSELECT 2;\n--changeset bob:3\n\nSELEC 3;',
	E'--liquibase formatted sql\n--changeset bob:1\nSELECT 1;\n--rollback SELECT 2;\n--rollback SELEC 3;',
	E'--liquibase formatted sql\n--changeset bob:1\nSELECT 1;\n--changeset bob:2\n',
	E'--liquibase formatted sql\n--changeset bob:1\nSELECT 1;\n--changeset bob:1\nSELECT 2;',
	E'--liquibase formatted sql\n--changeset ann:1\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1\nSELECT ${x};',
	E'--liquibase formatted sql\n--changeset bob:1 runAlways:true\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1 failOnError:false\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1 context:"test or dev"\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1 endDelimiter:/\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1 color:red\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1 red\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1 runOnChange:maybe\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1\n--preconditions onFail:MARK_RAN\n--precondition-sql-check expectedResult:0 SELECT 1\nSELECT 1;',
	E'--liquibase formatted sql\n--property name:x value:y\n--changeset bob:1\nSELECT 1;',
	E'--liquibase formatted sql\n--rollback SELECT 1;\n--changeset bob:1\nSELECT 1;',
	E'--liquibase formatted sql\n--changeset bob:1\nSELECT 1;\n--rollback changesetId:2 changesetAuthor:bob',
	E'--liquibase formatted sql\n--changeset bob:1\nSELECT 1;\n/* liquibase rollback\nSELECT 1;']) AS t (body),
	LATERAL load_given(ARRAY['a.sql', E'--liquibase formatted sql\n--changeset ann:1\nSELECT 1;', 'b.sql', body], 'liquibase') l;
DELETE FROM migrate.migrations;
SELECT * FROM load_given(ARRAY['a.sql', E'--liquibase formatted sql\n--changeset ann:1\nSELECT 1;', 'changelog.yaml', '']);
SELECT * FROM load_given(ARRAY['a.sql', E'--liquibase formatted sql\n-- nothing yet\n']);
SELECT count(*) FROM migrate.migrations;

-- lines when it runs are those of the file as well
SELECT * FROM load_given(ARRAY['a.sql', E'--liquibase formatted sql\n--changeset bob:1\nSELECT 1;\n--rollback SELECT 2;\n--changeset bob:2\nSELECT 2;\n--changeset bob:3\nSELECT 3;\n\nSELECT 1/0;']);
CALL migrate.deploy();
SELECT version, error, error_line FROM migrate.history WHERE state = 'failed';
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- atlas
SELECT * FROM load_given(ARRAY['atlas.sum', 'h1:=', '20240102000000.sql', E'-- atlas:txmode none\n\nSELECT 1;',
	'20240103000000_b.sql', E'-- atlas:nolint DS103\nSELECT 2;']);
TABLE registered;
DELETE FROM migrate.migrations;
SELECT * FROM try_texts(E'-- atlas:txmode file\nSELECT 1;', ARRAY[
	E'-- atlas:checkpoint\n\nSELECT 1;', E'-- atlas:delimiter \\n\\n\nSELECT 1;',
	E'\n-- atlas:txmode all\nSELECT 1;', E'-- atlas:import x.sql\n\nSELECT 1;'], 'atlas');
DELETE FROM migrate.migrations;

DROP FUNCTION try_texts(text, text[], text);
DROP VIEW registered;
DROP FUNCTION placed(text, int);
DROP FUNCTION load_given(text[], text);

--
-- Checksums as other tools compute them.  The values were computed outside of
-- this extension.
--
\set file 'E''CREATE TABLE t(i int);\\r\\nSELECT 1;\\n'''

SELECT f.format, migrate.tool_checksum(f.format, :file)
	IS NOT DISTINCT FROM f.checksum AS same
FROM (VALUES
	('flyway', '-972957619'),
	('liquibase', '9:d3cf9e284dac8d3461cf4250b50c5310'),
	('prisma', 'f90df0ea124c8ba3fc4141549f9e0c4819cd15271e7e64fd3b0c1b589e02a486'),
	('drizzle', 'f90df0ea124c8ba3fc4141549f9e0c4819cd15271e7e64fd3b0c1b589e02a486'),
	('sqitch', 'fb19b4ee4107a095a8cb248e69fdca0813aa8335'),
	('postgrator', '35bf417cc996620e3032f9a74bac0116'),
	('postgres-migrations', 'fb19b4ee4107a095a8cb248e69fdca0813aa8335'),
	('sqlx', '30f38d18233c27c45db387487614c7aaa097a4e49eea3180a70bb006afb377cd8f1057fdb2fdc144c8951947d903d095'),
	('dbmate', NULL),
	('plain', NULL)) f (format, checksum);

-- Flyway sees neither line ends nor a byte order mark, and knows no empty line
SELECT migrate.tool_checksum('flyway', t.file) FROM (VALUES
	(E'CREATE TABLE t(i int);\nSELECT 1;'),
	(E'CREATE TABLE t(i int);\r\rSELECT 1;\r\n\n'),
	(E'\uFEFFCREATE TABLE t(i int);\nSELECT 1;\n'),
	(E'CREATE TABLE t(i int);\n SELECT 1;'),
	('')) t (file);

-- Liquibase: a changeset's own text, without white space
SELECT migrate.tool_checksum('liquibase', '--liquibase formatted sql', t.section)
FROM (VALUES
	(E'CREATE TABLE t(i int);\r\nSELECT 1;\n'),
	(E'CREATE TABLE t ( i int ) ; SELECT\t1;'),
	(E'CREATE TABLE t ( i int ) ; SELECT\t2;')) t (section);

-- graphile-migrate: a chain, and the headers are no part of the text
SELECT migrate.tool_checksum('graphile-migrate', t.file) FROM (VALUES
	(E'--! Previous: -\n--! Hash: sha1:6f5d52040d236b269ec58babceae8ee759778232\n\nCREATE TABLE a (i int);\n'),
	(E'CREATE TABLE a (i int);'),
	(E'--! Previous: sha1:6f5d52040d236b269ec58babceae8ee759778232\r\n--! Hash: x\r\n--! Message: b\r\n\r\nCREATE TABLE b (i int);\r\n')) t (file);

SELECT migrate.tool_checksum(NULL, ''), migrate.tool_checksum('flyway', NULL);

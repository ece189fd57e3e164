--
-- A plan is made from the user's text: comments, keywords as names, odd names.
--
CREATE SCHEMA "run Text";
SET search_path = "run Text";
CREATE TABLE "if" (a int, "Ö" int, PRIMARY KEY (a));
INSERT INTO "if" SELECT g, g FROM generate_series(1, 60000) g;

CALL migrate.run('ALTER TABLE "if" ADD COLUMN x int -- first
	, ADD COLUMN y int /* second, */
	, ADD CONSTRAINT "c,k" CHECK (a > 0) -- third');
CALL migrate.run('ALTER TABLE IF EXISTS ONLY "if" ADD CHECK ("Ö" > 0) ; -- done');
CALL migrate.run('ALTER TABLE "if" ADD UNIQUE ("Ö") INCLUDE (a), ADD UNIQUE ("Ö")');
CALL migrate.run('/* why */ CREATE INDEX /* not */ by_x ON "if" (x) -- after');
SELECT attname FROM pg_attribute WHERE attrelid = '"if"'::regclass AND attnum > 0 ORDER BY attnum;
SELECT conname, convalidated FROM pg_constraint
WHERE conrelid = '"if"'::regclass AND contype <> 'n' ORDER BY conname COLLATE "C";
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = '"if"'::regclass
ORDER BY indexrelid::regclass::text COLLATE "C";

-- a key is replaced in one step, so that there always is one
\set VERBOSITY sqlstate
CALL migrate.run('ALTER TABLE "if" DROP CONSTRAINT if_pkey, ADD PRIMARY KEY (a)');
\set VERBOSITY default
SELECT conname FROM pg_constraint WHERE conrelid = '"if"'::regclass AND contype = 'p';

SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA "run Text" CASCADE;

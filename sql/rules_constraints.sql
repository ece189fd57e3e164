--
-- Constraints, indexes, whole tables: what is refused, and its harmless twin.
--
CREATE SCHEMA constraints;
SET search_path = constraints, public;

CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, 20000);
CREATE TABLE big (id int NOT NULL, i int, t text, r int4range);
INSERT INTO big
SELECT g, g, repeat('x', 80), int4range(g, g + 1) FROM generate_series(1, 20000) g;
CREATE TABLE small AS SELECT * FROM big LIMIT 10;
CREATE TABLE empty (LIKE big);

-- add_check
SELECT verdict('ALTER TABLE big ADD CHECK (i > 0)');
SELECT verdict('ALTER TABLE big ADD CONSTRAINT c CHECK (i > 0)');
SELECT verdict('ALTER TABLE big ADD CHECK (i > 0) NOT VALID');
SELECT verdict('ALTER TABLE small ADD CHECK (i > 0)');
SELECT verdict('ALTER TABLE empty ADD CHECK (i > 0)');

-- add_foreign_key
SELECT verdict('ALTER TABLE big ADD FOREIGN KEY (i) REFERENCES other');
SELECT verdict('ALTER TABLE big ADD FOREIGN KEY (i) REFERENCES other NOT VALID');
SELECT verdict('ALTER TABLE small ADD FOREIGN KEY (i) REFERENCES other');
SELECT verdict('CREATE TABLE c (i int REFERENCES other)');

-- add_unique, add_primary_key, add_exclusion
SELECT verdict('ALTER TABLE big ADD UNIQUE (i)');
SELECT verdict('ALTER TABLE small ADD UNIQUE (i)');
SELECT verdict('ALTER TABLE big ADD PRIMARY KEY (id)');
SELECT verdict('ALTER TABLE small ADD PRIMARY KEY (id)');
SELECT verdict('ALTER TABLE big ADD EXCLUDE USING gist (r WITH &&)');
SELECT verdict('ALTER TABLE small ADD EXCLUDE USING gist (r WITH &&)');
CREATE UNIQUE INDEX CONCURRENTLY big_i ON big (i);
CREATE UNIQUE INDEX CONCURRENTLY big_id ON big (id);
SELECT verdict('ALTER TABLE big ADD UNIQUE USING INDEX big_i');
SELECT verdict('ALTER TABLE big ADD PRIMARY KEY USING INDEX big_i');
SELECT verdict('ALTER TABLE big ADD PRIMARY KEY USING INDEX big_id');

-- validate_constraint
ALTER TABLE big ADD CONSTRAINT later CHECK (i > 0) NOT VALID;
SELECT verdict('ALTER TABLE big VALIDATE CONSTRAINT later');
SELECT verdict('ALTER TABLE big VALIDATE CONSTRAINT later, ALTER t SET DEFAULT ''x''');
BEGIN;
ALTER TABLE big ALTER t SET DEFAULT 'x';
SELECT verdict('ALTER TABLE big VALIDATE CONSTRAINT later');
ROLLBACK;

-- create_index, drop_index, reindex
SELECT verdict('CREATE INDEX ON big (i)');
SELECT verdict('CREATE INDEX ON small (i)');
SELECT verdict('CREATE INDEX IF NOT EXISTS big_i ON big (i)');
SELECT verdict('REINDEX TABLE big');
SELECT verdict('REINDEX INDEX big_i');
SELECT verdict('REINDEX TABLE small');
REINDEX INDEX CONCURRENTLY big_i;
SET client_min_messages = error;
SELECT verdict('DROP INDEX big_i');
SET safe_migrate.rules = 'drop_index:reject';
SELECT verdict('DROP INDEX big_i');
DROP INDEX CONCURRENTLY big_i;
RESET safe_migrate.rules;
RESET client_min_messages;

-- alter_domain
CREATE DOMAIN positive AS int;
CREATE TABLE uses_domain (i positive, t text);
INSERT INTO uses_domain SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE DOMAIN unused AS int;
SELECT verdict('ALTER DOMAIN positive ADD CHECK (VALUE > 0)');
SELECT verdict('ALTER DOMAIN positive SET NOT NULL');
SELECT verdict('ALTER DOMAIN positive ADD CHECK (VALUE > 0) NOT VALID');
SELECT verdict('ALTER DOMAIN unused ADD CHECK (VALUE > 0)');

-- alter_type
CREATE TYPE pair AS (a int, b text);
CREATE TABLE typed OF pair;
INSERT INTO typed SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TYPE lonely AS (a int);
SELECT verdict('ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint CASCADE');
SELECT verdict('ALTER TYPE pair ADD ATTRIBUTE c int CASCADE');
SELECT verdict('ALTER TYPE lonely ALTER ATTRIBUTE a TYPE bigint CASCADE');

-- change_storage
SELECT verdict('ALTER TABLE big SET UNLOGGED');
SELECT verdict('ALTER TABLE big SET LOGGED');
SELECT verdict('ALTER TABLE small SET UNLOGGED');
SELECT verdict('ALTER TABLE big SET TABLESPACE pg_default');
SELECT verdict('ALTER TABLE big SET ACCESS METHOD heap');

-- refresh_materialized_view, drop_object
CREATE MATERIALIZED VIEW big_view AS SELECT * FROM big;
CREATE MATERIALIZED VIEW small_view AS SELECT * FROM small;
SELECT verdict('REFRESH MATERIALIZED VIEW big_view');
SELECT verdict('REFRESH MATERIALIZED VIEW small_view');
CREATE UNIQUE INDEX CONCURRENTLY big_view_id ON big_view (id);
SELECT verdict('REFRESH MATERIALIZED VIEW big_view');
SELECT verdict('REFRESH MATERIALIZED VIEW CONCURRENTLY big_view');
SET safe_migrate.rules = 'drop_object:reject, refresh_materialized_view : allow';
SELECT verdict('DROP MATERIALIZED VIEW big_view');
SELECT verdict('REFRESH MATERIALIZED VIEW big_view');
CREATE VIEW plain_view AS SELECT * FROM big;
SELECT verdict('DROP VIEW plain_view');
DROP VIEW plain_view;
RESET safe_migrate.rules;

-- vacuum_full, cluster
\set VERBOSITY terse
VACUUM FULL big;
VACUUM FULL small;
VACUUM big;
CLUSTER big USING big_id;
CREATE INDEX small_id ON small (id);
CLUSTER small USING small_id;
\set VERBOSITY default

-- truncate, drop_table, drop_cascade
CREATE TABLE referring (i int REFERENCES other);
INSERT INTO referring VALUES (1);
SELECT verdict('TRUNCATE big');
SELECT verdict('TRUNCATE small');
SELECT verdict('TRUNCATE empty');
SELECT verdict('TRUNCATE empty, other CASCADE');
SELECT verdict('DROP TABLE big CASCADE');
SELECT verdict('DROP TABLE small');
SELECT verdict('DROP TABLE empty');
SELECT verdict('DROP TABLE IF EXISTS nope');
CREATE SCHEMA full_of_data CREATE TABLE t (i int);
INSERT INTO full_of_data.t VALUES (1);
CREATE SCHEMA hollow CREATE TABLE t (i int);
SET client_min_messages = error;
SELECT verdict('DROP SCHEMA full_of_data CASCADE');
SELECT verdict('DROP SCHEMA hollow CASCADE');
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE moody (m mood);
CREATE TABLE moody_empty (m mood);
SELECT verdict('DROP TYPE mood CASCADE');
INSERT INTO moody VALUES ('sad');
SELECT verdict('DROP TYPE mood CASCADE');
RESET client_min_messages;

-- rename_table, rename_object, set_schema
SELECT verdict('ALTER TABLE big RENAME TO huge');
SELECT verdict('ALTER TABLE empty RENAME TO hollow');
SELECT verdict('ALTER INDEX big_id RENAME TO other_id');
SELECT verdict('ALTER TABLE big SET SCHEMA public');
SELECT verdict('ALTER TABLE empty SET SCHEMA public');
SET safe_migrate.rules = 'rename_object:reject';
SELECT verdict('ALTER SCHEMA full_of_data RENAME TO f');
SELECT verdict('ALTER SCHEMA hollow RENAME TO h');
SELECT verdict('ALTER TYPE mood RENAME VALUE ''sad'' TO ''blue''');
SELECT verdict('ALTER TYPE mood RENAME TO temper');
SELECT verdict('ALTER TYPE lonely RENAME TO alone');
RESET safe_migrate.rules;

-- drop_database: nothing is known of what is in it
SET safe_migrate.rules = 'drop_database:reject';
\set VERBOSITY terse
DROP DATABASE safe_migrate_no_such_database;
RESET safe_migrate.rules;
DROP DATABASE IF EXISTS safe_migrate_no_such_database;
\set VERBOSITY default

--
-- What random statements and PostgreSQL's own tests once showed to be foretold
-- wrongly.  All tests run with safe_migrate.observation on, and fail if the log
-- of the server has a difference; here there is nothing to see but errors.
--
SET client_min_messages = error;
SET safe_migrate.mode = observe;
SET safe_migrate.small_table = 0;
CREATE SCHEMA foreseen;
SET search_path = foreseen;
SELECT current_setting('server_version_num')::int >= 170000 AS from_17,
	current_setting('server_version_num')::int >= 180000 AS from_18 \gset

-- inheritance: keys and inline constraints are of one table, columns of all
CREATE TABLE up (a int PRIMARY KEY, b int, c text);
CREATE TABLE down (d int) INHERITS (up);
ALTER TABLE up ALTER a SET NOT NULL;
ALTER TABLE up ADD u int UNIQUE;
ALTER TABLE up ADD r int REFERENCES up (a);
ALTER TABLE up ADD n int DEFAULT NULL NOT NULL, ALTER b SET NOT NULL;
ALTER TABLE up ADD z numeric(20, 4) DEFAULT NULL NOT NULL;
ALTER TABLE up ALTER b DROP NOT NULL, ALTER b SET NOT NULL;
ALTER TABLE down ADD CONSTRAINT positive CHECK (b > 0);
ALTER TABLE up ADD CONSTRAINT positive CHECK (b > 0);
ALTER TABLE up ADD CONSTRAINT own CHECK (b < 100) NO INHERIT;
ALTER TABLE ONLY up DROP CONSTRAINT positive;
ALTER TABLE down ADD k int;
ALTER TABLE up ADD k int DEFAULT random();
ALTER TABLE ONLY up DROP COLUMN c;
ALTER TABLE up RENAME b TO bb;
ALTER TABLE down NO INHERIT up;
DROP TABLE up, down;

-- CHECK that proves something, and loses it
CREATE TABLE proof (a int, CONSTRAINT a_is_there CHECK (a IS NOT NULL AND a > 0));
ALTER TABLE proof ALTER a SET NOT NULL, DROP CONSTRAINT a_is_there;
ALTER TABLE proof ALTER a DROP NOT NULL;
ALTER TABLE proof ADD CHECK (a IS NOT NULL) NOT VALID;
ALTER TABLE proof VALIDATE CONSTRAINT proof_a_check, ALTER a SET NOT NULL;
ALTER TABLE proof VALIDATE CONSTRAINT proof_a_check;

-- types: what an index stores, what equality a foreign key uses
CREATE TABLE typed (a text[], b text UNIQUE, c varchar(5), d timestamp);
CREATE INDEX ON typed USING gin (a);
CREATE INDEX ON typed (c text_pattern_ops);
CREATE INDEX ON typed ((c || 'x'));
CREATE INDEX ON typed (d);
CREATE TABLE refers (b text REFERENCES typed (b), c varchar(5));
ALTER TABLE typed ALTER a TYPE text[];
ALTER TABLE typed ALTER c TYPE varchar(7);
ALTER TABLE typed ALTER c TYPE text;
ALTER TABLE typed ALTER b TYPE varchar;
ALTER TABLE typed ALTER b TYPE bpchar;
ALTER TABLE refers ALTER b TYPE varchar;
SET timezone = 'UTC';
ALTER TABLE typed ALTER d TYPE timestamptz;
SET timezone = 'Asia/Tokyo';
ALTER TABLE typed ALTER d TYPE timestamp;
RESET timezone;
ALTER TABLE typed DROP b CASCADE;

-- partitions: equal indexes and keys are taken over, one at a time
CREATE TABLE whole (a int, b int, t text) PARTITION BY RANGE (a);
CREATE TABLE part1 PARTITION OF whole FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 (t text, b int, a int NOT NULL);
CREATE TABLE rest PARTITION OF whole DEFAULT PARTITION BY LIST (a);
CREATE TABLE rest1 PARTITION OF rest FOR VALUES IN (98, 99);
CREATE INDEX ON part1 (b);
CREATE INDEX ON part2 (b);
CREATE INDEX i1 ON whole (b);
CREATE INDEX i2 ON whole (b);
ALTER TABLE whole ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);
CREATE INDEX i3 ON ONLY whole (t);
ALTER TABLE whole ALTER t TYPE varchar;
ALTER TABLE part1 ADD UNIQUE (a);
ALTER TABLE whole ADD UNIQUE (a) DEFERRABLE;
CREATE TABLE key (b int PRIMARY KEY);
ALTER TABLE part1 ADD FOREIGN KEY (b) REFERENCES key;
ALTER TABLE whole ADD FOREIGN KEY (b) REFERENCES key;
CREATE TABLE part3 PARTITION OF whole FOR VALUES FROM (20) TO (30);
ALTER TABLE rest1 ADD CHECK (a NOT IN (30, 31)), ADD CHECK (a IS NOT NULL);
CREATE TABLE part4 PARTITION OF whole FOR VALUES FROM (30) TO (32);
ALTER TABLE whole DETACH PARTITION part1;
ALTER TABLE part1 DROP CONSTRAINT part1_b_fkey;
ALTER TABLE whole ATTACH PARTITION part1 FOR VALUES FROM (0) TO (10);
REINDEX INDEX part2_b_idx;
REINDEX TABLE part1;
TRUNCATE rest;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER row_trigger AFTER INSERT ON whole FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER statement_trigger AFTER INSERT ON whole EXECUTE FUNCTION nothing();
ALTER TABLE whole DISABLE TRIGGER row_trigger;
ALTER TABLE whole DISABLE TRIGGER statement_trigger;
ALTER TRIGGER row_trigger ON whole RENAME TO renamed;
DROP TABLE part1;
DROP TABLE whole, key;

-- keys among partitions, and what detaching one looks up
CREATE TABLE self (a int PRIMARY KEY, b int) PARTITION BY RANGE (a);
CREATE TABLE self1 PARTITION OF self FOR VALUES FROM (0) TO (10);
CREATE TABLE self2 (a int NOT NULL, b int);
ALTER TABLE self ADD FOREIGN KEY (b) REFERENCES self;
ALTER TABLE self ATTACH PARTITION self2 FOR VALUES FROM (10) TO (20);
ALTER TABLE self DETACH PARTITION self1;
ALTER TABLE self ALTER CONSTRAINT self_b_fkey DEFERRABLE;
ALTER TABLE self ALTER b TYPE bigint;
DROP TABLE self, self1;

-- sequences behind columns
CREATE TABLE numbered (a int GENERATED ALWAYS AS IDENTITY, b serial, c int);
ALTER TABLE numbered ALTER a TYPE bigint;
ALTER TABLE numbered ALTER a SET INCREMENT BY 2;
ALTER TABLE numbered ALTER a DROP IDENTITY;
ALTER TABLE numbered SET UNLOGGED;
ALTER TABLE numbered SET UNLOGGED;
TRUNCATE numbered RESTART IDENTITY;
ALTER TABLE numbered SET SCHEMA public;
ALTER TABLE public.numbered SET SCHEMA foreseen;
DROP TABLE numbered;

-- types and domains
CREATE DOMAIN named AS text NOT NULL;
CREATE TYPE pair AS (x int, y text);
CREATE TABLE of_pair OF pair;
CREATE TABLE has_pair (p pair CHECK ((p).x > 0), n named) PARTITION BY LIST (n);
CREATE TABLE has_pair1 PARTITION OF has_pair FOR VALUES IN ('a');
CREATE VIEW shows_pair AS SELECT p, n FROM has_pair;
ALTER DOMAIN named SET NOT NULL;
ALTER DOMAIN named ADD CONSTRAINT short CHECK (length(VALUE) < 9) NOT VALID;
ALTER DOMAIN named VALIDATE CONSTRAINT short;
ALTER DOMAIN named VALIDATE CONSTRAINT short;
ALTER TYPE pair RENAME ATTRIBUTE y TO yy CASCADE;
ALTER TYPE pair DROP ATTRIBUTE x CASCADE;
ALTER TYPE pair OWNER TO CURRENT_USER;
ALTER TYPE pair RENAME TO couple;
CREATE TYPE single AS (x text);
CREATE TABLE of_single OF single;
ALTER TYPE single ALTER ATTRIBUTE x TYPE varchar CASCADE;
ALTER TYPE single ALTER ATTRIBUTE x TYPE varchar(3) CASCADE;
CREATE TYPE color AS ENUM ('red');
CREATE TABLE colored (id int GENERATED ALWAYS AS IDENTITY, c color, a int) PARTITION BY LIST (a);
DROP TYPE color CASCADE;
DROP DOMAIN named CASCADE;

-- what has no table in its name, or another one
CREATE TABLE locked (a int);
CREATE VIEW locks AS SELECT * FROM locked;
BEGIN;
LOCK TABLE locks IN EXCLUSIVE MODE;
COMMIT;
CREATE RULE ignore AS ON INSERT TO locked DO INSTEAD NOTHING;
CREATE INDEX locked_a ON locked (a);
ALTER INDEX locked_a DEPENDS ON EXTENSION plpgsql;
ALTER INDEX locked_a NO DEPENDS ON EXTENSION plpgsql;
ALTER TABLE locked_a RENAME TO renamed_a;
ALTER INDEX renamed_a RENAME TO locked_a;
CREATE STATISTICS two ON a, (a + 1) FROM locked;
COMMENT ON COLUMN locked.a IS 'noted';
CREATE OR REPLACE VIEW locks AS SELECT a FROM locked;
DROP STATISTICS two;
CREATE MATERIALIZED VIEW filled AS SELECT 1 AS x;
REFRESH MATERIALIZED VIEW filled WITH NO DATA;
VACUUM FULL filled;
CREATE TABLE pk (a int PRIMARY KEY);
CREATE SCHEMA inside CREATE TABLE pk (a int PRIMARY KEY) CREATE TABLE fk (a int REFERENCES pk);
DROP SCHEMA inside CASCADE;

\if :from_17
CREATE TABLE generated (a int, g int GENERATED ALWAYS AS (a * 2) STORED CHECK (g >= 0));
ALTER TABLE generated ALTER g SET EXPRESSION AS (a * 3);
CREATE TABLE numbers (a int GENERATED ALWAYS AS IDENTITY, b int) PARTITION BY RANGE (b);
CREATE TABLE numbers1 PARTITION OF numbers FOR VALUES FROM (0) TO (10);
ALTER TABLE numbers ALTER a RESTART;
ALTER TABLE numbers ALTER a SET GENERATED BY DEFAULT;
ALTER TABLE numbers ALTER a DROP IDENTITY;
\endif

\if :from_18
CREATE TABLE nn (a int, b int);
CREATE TABLE nn1 () INHERITS (nn);
ALTER TABLE nn ADD CONSTRAINT a_there NOT NULL a NOT VALID;
ALTER TABLE nn ALTER a SET NOT NULL;
ALTER TABLE nn ADD CONSTRAINT b_there NOT NULL b NO INHERIT;
ALTER TABLE nn ALTER CONSTRAINT b_there INHERIT;
ALTER TABLE nn ALTER CONSTRAINT b_there NO INHERIT;
ALTER TABLE nn DROP CONSTRAINT a_there, ALTER a SET NOT NULL;
ALTER TABLE ONLY nn ALTER a DROP NOT NULL;
CREATE TABLE target (a text PRIMARY KEY);
CREATE TABLE loose (a text REFERENCES target NOT ENFORCED);
ALTER TABLE loose ADD c int CHECK (c > 0) NOT ENFORCED;
ALTER TABLE loose ALTER a TYPE varchar;
ALTER TABLE loose ALTER CONSTRAINT loose_a_fkey ENFORCED;
ALTER TABLE loose ALTER CONSTRAINT loose_a_fkey NOT ENFORCED;
CREATE TABLE computed (a text, v int GENERATED ALWAYS AS (length(a)) VIRTUAL);
ALTER TABLE computed ALTER v SET NOT NULL;
ALTER TABLE computed ALTER v DROP NOT NULL;
ALTER TABLE computed ALTER v SET EXPRESSION AS (length(a) + 1);
CREATE TABLE split (a text) PARTITION BY LIST (a);
CREATE TABLE split1 PARTITION OF split FOR VALUES IN ('x');
ALTER TABLE split ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES target NOT VALID;
ALTER TABLE split VALIDATE CONSTRAINT fk;
\endif

DROP SCHEMA foreseen CASCADE;

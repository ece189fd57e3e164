--
-- Indexes and foreign keys, judged by the catalog: rules that are off until
-- they are named.
--
CREATE SCHEMA indexes;
SET search_path = indexes, public;

CREATE TABLE part (id bigint PRIMARY KEY, code text NOT NULL UNIQUE);
CREATE TABLE t (a int, b int, c text COLLATE "C", d text, part_id bigint, wrong_id int, e int[]);
INSERT INTO part VALUES (1, 'one');
INSERT INTO t VALUES (1, 1, 'c', 'd', 1, 1, '{1}');
CREATE INDEX t_a_b ON t (a, b);
CREATE INDEX t_c ON t (c) INCLUDE (d);
CREATE INDEX t_lower_d ON t (lower(d), a);
CREATE INDEX t_b_positive ON t (b) WHERE a > 0;
CREATE INDEX t_e ON t USING gin (e);
CREATE UNIQUE INDEX t_d ON t (d);

-- nobody asked for the rules yet
SELECT verdict('CREATE INDEX t_a ON t (a)');
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (wrong_id) REFERENCES part');

SET safe_migrate.rules = 'duplicate_index:reject, foreign_key_without_index:reject, foreign_key_type_mismatch:reject';

-- duplicate_index: the same keys, or the first ones
SELECT verdict('CREATE INDEX again ON t (a, b)');
SELECT verdict('CREATE INDEX t_a ON t (a)');
SELECT verdict('CREATE INDEX ON t (a)');
SELECT verdict('CREATE INDEX t_b ON t (b)');
SELECT verdict('CREATE INDEX t_b_a ON t (b, a)');
SELECT verdict('CREATE INDEX t_a_b_c ON t (a, b, c)');
-- a B-tree is read from both ends, but not inside out
SELECT verdict('CREATE INDEX reversed ON t (a DESC, b DESC)');
SELECT verdict('CREATE INDEX mixed ON t (a, b DESC)');
SELECT verdict('CREATE INDEX nulls_first ON t (a NULLS FIRST)');
-- collation, operators, method
SELECT verdict('CREATE INDEX t_c2 ON t (c)');
SELECT verdict('CREATE INDEX t_c2 ON t (c COLLATE "POSIX")');
SELECT verdict('CREATE INDEX t_c2 ON t (c text_pattern_ops)');
SELECT verdict('CREATE INDEX t_a_hash ON t USING hash (a)');
SELECT verdict('CREATE INDEX t_e2 ON t USING gin (e)');
-- included columns
SELECT verdict('CREATE INDEX t_a_incl ON t (a) INCLUDE (b)');
SELECT verdict('CREATE INDEX t_a_incl ON t (a) INCLUDE (c)');
SELECT verdict('CREATE INDEX t_c_incl ON t (c) INCLUDE (d)');
-- expressions and predicates
SELECT verdict('CREATE INDEX t_lower ON t (lower(d))');
SELECT verdict('CREATE INDEX t_upper ON t (upper(d))');
SELECT verdict('CREATE INDEX t_a3 ON t ((a))');
SELECT verdict('CREATE INDEX t_b_pos ON t (b) WHERE a > 0');
SELECT verdict('CREATE INDEX t_b_pos ON t (b) WHERE a > 1');
SELECT verdict('CREATE INDEX t_a_pos ON t (a) WHERE a > 0');
-- uniqueness is something that another index does not give
SELECT verdict('CREATE UNIQUE INDEX t_a_b_u ON t (a, b)');
SELECT verdict('CREATE UNIQUE INDEX t_d_u ON t (d)');
SELECT verdict('CREATE UNIQUE INDEX t_d_u ON t (d) NULLS NOT DISTINCT');
SELECT verdict('CREATE INDEX t_d_plain ON t (d)');
SELECT verdict('CREATE INDEX part_id ON part (id)');
-- the index behind a constraint
SELECT verdict('ALTER TABLE t ADD UNIQUE (d)');
SELECT verdict('ALTER TABLE t ADD CONSTRAINT t_d_key UNIQUE USING INDEX t_d');
SELECT verdict('ALTER TABLE part ADD CONSTRAINT part_id_key UNIQUE (id)');
-- an invalid one is of no use, and IF NOT EXISTS does nothing
SELECT verdict('CREATE INDEX IF NOT EXISTS t_a_b ON t (a, b)');
SELECT verdict('CREATE INDEX t_a_b ON t (a, b)');
-- PostgreSQL's own errors
SELECT verdict('CREATE INDEX ON t (nope)');
SELECT verdict('CREATE INDEX ON t (a nope_ops)');
SELECT verdict('CREATE INDEX ON t USING nope (a)');
SELECT verdict('CREATE INDEX ON t (a) WHERE nope');

-- foreign_key_without_index
SELECT verdict('ALTER TABLE t ADD CONSTRAINT t_part FOREIGN KEY (part_id) REFERENCES part');
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part NOT VALID');
CREATE INDEX t_part_b ON t (part_id, b);
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part');
DROP INDEX t_part_b;
CREATE INDEX t_b_part ON t (b, part_id);
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part');
DROP INDEX t_b_part;
-- a partial index will do if it leaves nothing out but NULL
CREATE INDEX t_part_some ON t (part_id) WHERE b > 0;
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part');
DROP INDEX t_part_some;
CREATE INDEX t_part_all ON t (part_id) WHERE part_id IS NOT NULL;
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part');
DROP INDEX t_part_all;
-- several columns, in whatever order
CREATE TABLE pair (x int, y int, PRIMARY KEY (x, y));
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (b, a) REFERENCES pair NOT VALID');
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (b, wrong_id) REFERENCES pair');
-- where the table is made, or the column
SELECT verdict('CREATE TABLE n (id int PRIMARY KEY, part_id bigint REFERENCES part)');
SELECT verdict('CREATE TABLE n (part_id bigint PRIMARY KEY REFERENCES part)');
SELECT verdict('CREATE TABLE n (part_id bigint, b int, UNIQUE (part_id, b), FOREIGN KEY (part_id) REFERENCES part)');
SELECT verdict('ALTER TABLE t ADD COLUMN second_part bigint REFERENCES part');
SELECT verdict('ALTER TABLE t ADD COLUMN second_part bigint UNIQUE REFERENCES part');

-- foreign_key_type_mismatch
SET safe_migrate.rules = 'foreign_key_type_mismatch:reject';
SELECT verdict('ALTER TABLE t ADD CONSTRAINT t_wrong FOREIGN KEY (wrong_id) REFERENCES part');
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part');
SELECT verdict('ALTER TABLE t ADD FOREIGN KEY (d) REFERENCES part (code) NOT VALID');
SELECT verdict('CREATE TABLE n (id int PRIMARY KEY, code varchar(10) REFERENCES part (code))');
SELECT verdict('CREATE TABLE n (id bigint PRIMARY KEY, parent int REFERENCES n)');
SELECT verdict('CREATE TABLE n (id bigint PRIMARY KEY, parent bigint REFERENCES n)');
SELECT verdict('ALTER TABLE t ADD COLUMN p int REFERENCES part');
CREATE DOMAIN part_number AS bigint;
SELECT verdict('ALTER TABLE t ADD COLUMN p part_number REFERENCES part');

-- temporary tables are nobody's business
SET safe_migrate.rules = 'duplicate_index:reject';
CREATE TEMP TABLE scratch (a int);
CREATE INDEX ON scratch (a);
CREATE INDEX ON scratch (a);

-- the whole error
CREATE INDEX t_a ON t (a);

-- with a reason; then with another action
/* safe_migrate: override ticket 7 */ CREATE INDEX t_a ON t (a);
DROP INDEX t_a;
SET safe_migrate.rules = 'duplicate_index:warn';
CREATE INDEX t_a ON t (a);
SET safe_migrate.rules = 'duplicate_index:note, foreign_key_without_index:warn, foreign_key_type_mismatch:note';
SELECT verdict('CREATE INDEX again ON t (a)');
ALTER TABLE t ADD CONSTRAINT t_wrong FOREIGN KEY (wrong_id) REFERENCES part;

-- a script that is checked sees what its earlier statements would have made
SELECT statement, relation, rule, action, message FROM migrate.check($$
	CREATE INDEX ON t (a);
	ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part;
	CREATE INDEX t_part ON t (part_id);
	ALTER TABLE t ADD FOREIGN KEY (part_id) REFERENCES part;
	DROP INDEX t_a_b;
	CREATE INDEX t_a_b ON t (a, b);
$$);
RESET safe_migrate.rules;

-- for a whole database, and for everybody
CREATE TABLE q (id int PRIMARY KEY, a int, b int REFERENCES q, c int REFERENCES q);
CREATE INDEX q_a ON q (a);
CREATE INDEX q_a2 ON q (a);
CREATE INDEX q_b ON q (b, c);
CREATE UNIQUE INDEX q_id ON q (id);
CREATE INDEX q_b2 ON q (b);
CREATE TABLE parted (id int, b int REFERENCES q, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE INDEX parted_id ON parted (id);
CREATE ROLE reader;
SET ROLE reader;
SELECT table_name, constraint_name, columns, referenced_table, create_sql FROM migrate.missing_indexes WHERE table_name LIKE 'indexes.%' ORDER BY 1, 2;
SELECT table_name, index_name, covered_by, columns, drop_sql FROM migrate.duplicate_indexes WHERE table_name LIKE 'indexes.%' ORDER BY 1, 2;
RESET ROLE;
DROP ROLE reader;

-- functions in indexes of others are not run with the rights of who looks
CREATE ROLE safe_migrate_owner;
GRANT USAGE, CREATE ON SCHEMA indexes TO safe_migrate_owner;
SET ROLE safe_migrate_owner;
CREATE FUNCTION telltale() RETURNS int LANGUAGE plpgsql IMMUTABLE
AS $$BEGIN RAISE NOTICE 'run by %', current_user; RETURN 1; END$$;
CREATE TABLE told (a int PRIMARY KEY, b int REFERENCES told);
SET client_min_messages = warning;
CREATE INDEX told_a ON told (a, b) WHERE a > indexes.telltale();
CREATE INDEX told_b ON told ((b + indexes.telltale()));
RESET client_min_messages;
RESET ROLE;
SELECT count(*) FROM migrate.missing_indexes WHERE table_name = 'indexes.told';
SELECT count(*) FROM migrate.duplicate_indexes WHERE table_name = 'indexes.told';
SET safe_migrate.rules = 'duplicate_index:reject, foreign_key_without_index:reject, many_indexes:reject';
CREATE INDEX told_again ON told (a) WHERE a > telltale();
CREATE INDEX told_again ON told ((b + telltale()));
ALTER TABLE told ADD CONSTRAINT told_told FOREIGN KEY (b) REFERENCES told;
RESET safe_migrate.rules;
DROP TABLE told;
DROP FUNCTION telltale();
REVOKE ALL ON SCHEMA indexes FROM safe_migrate_owner;
DROP ROLE safe_migrate_owner;

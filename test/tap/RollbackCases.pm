# Cases for 310_rollback_matrix.pl, one of each kind of DDL and DML.  Each is a
# hash:
#
#     name      for messages
#     setup     statements that make what there is at the label, in a schema of
#               the case's own (":schema") that is the search_path
#     change    the migration
#     deploy    true: by CALL migrate.deploy(), else by migrate.apply()
#     writes    what clients write after the migration
#     plain     what would have come to the same without the migration: the rows
#               that mode keep has to end with; by default the writes; undef where
#               it is a conflict, or it is refused
#     as_of     the same for mode as_of; by default nothing of what was written if
#               the storage was replaced, else what mode keep has
#     replaced  true: the migration has replaced the storage of what was written
#     keep, restore   what has to come of a conflict with on_conflict
#     refused   true: refused in both modes
#     one_way   true: the rollback cannot be rolled back, for what it would bring back
#               contradicts a foreign key
#     usable    a statement that must succeed afterwards
#     cleanup   removes what is not in a schema
#     extension what has to be available
#     from, to  the major versions it is for

package RollbackCases;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(single_cases);

my $t = q{
CREATE TABLE t (id int PRIMARY KEY, a int, b text, c numeric(10,2));
INSERT INTO t SELECT g, g % 7, 'text ' || g, g / 4.0 FROM generate_series(1, 200) g;
};
my $parts = q{
CREATE TABLE t (id int NOT NULL, k int NOT NULL, b text) PARTITION BY LIST (k);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2) PARTITION BY RANGE (id);
CREATE TABLE t2a PARTITION OF t2 FOR VALUES FROM (0) TO (100);
CREATE TABLE t2b PARTITION OF t2 DEFAULT;
CREATE INDEX ON t (id);
INSERT INTO t SELECT g, 1 + g % 2, 'text ' || g FROM generate_series(1, 200) g;
CREATE TABLE loose (k int NOT NULL, b text, id int NOT NULL);
INSERT INTO loose SELECT 3, 'loose', g FROM generate_series(1, 50) g;
CREATE INDEX loose_id ON loose (id);
};
my $keys = q{
CREATE TABLE parent (id int PRIMARY KEY, x text);
CREATE TABLE child (id int PRIMARY KEY, p int CONSTRAINT to_parent REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, y text);
CREATE INDEX ON child (p);
INSERT INTO parent SELECT g, 'p' || g FROM generate_series(1, 50) g;
INSERT INTO child SELECT g, 1 + g % 50, 'c' || g FROM generate_series(1, 200) g;
};
my $writes = q{
INSERT INTO t (id, a, b, c) VALUES (5001, 1, 'later', 1);
UPDATE t SET b = 'changed' WHERE id = 50;
DELETE FROM t WHERE id = 60;
};

# name, change, setup, options: tables are t unless there is a setup
my @schema_changes = (
	# tables
	[ 'create table', q{CREATE TABLE n (id serial PRIMARY KEY, x text UNIQUE, y int REFERENCES t); INSERT INTO n (x, y) VALUES ('x', 1)}, $t ],
	[ 'create table, clients fill it', 'CREATE TABLE n (id int)', $t, { writes => 'INSERT INTO n VALUES (1)', plain => '' } ],
	[ 'create table as', 'CREATE TABLE n AS SELECT * FROM t', $t ],
	[ 'create table like', 'CREATE TABLE n (LIKE t INCLUDING ALL)', $t ],
	[ 'create and drop in one', 'CREATE TABLE n AS SELECT 1 AS x; DROP TABLE n; CREATE TABLE n (y text)', $t ],
	[ 'drop and create in one', 'DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, other text); INSERT INTO t VALUES (1, $$x$$)', $t, { writes => '' } ],
	[ 'drop two tables', 'DROP TABLE child, parent', $keys, { writes => '' } ],
	[ 'drop a referenced table', 'DROP TABLE parent CASCADE', $keys, { writes => q{UPDATE child SET y = 'later' WHERE id = 5} } ],
	[ 'drop a referenced table, orphan', 'DROP TABLE parent CASCADE', $keys, { writes => 'INSERT INTO child VALUES (5001, 777)', refused => 1 } ],
	[ 'drop a referencing table', 'DROP TABLE child', $keys, { writes => q{INSERT INTO parent VALUES (5001, 'later')} } ],
	[ 'drop a referencing table, orphan', 'DROP TABLE child', $keys, { writes => 'DELETE FROM parent WHERE id = 7', refused => 1 } ],
	[ 'rename table', 'ALTER TABLE t RENAME TO u', $t, { writes => $writes =~ s/\bt\b/u/gr, plain => $writes } ],
	[ 'swap names', 'ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; ALTER TABLE x RENAME TO u', $t . 'CREATE TABLE u (id int, a int, b text, c numeric);',
		{ writes => $writes =~ s/\bt\b/u/gr, plain => $writes } ],
	[ 'set schema', 'ALTER TABLE t SET SCHEMA regress_elsewhere', $t, { writes => $writes =~ s/\bt\b/regress_elsewhere.t/gr, plain => $writes } ],
	[ 'owner', 'ALTER TABLE t OWNER TO regress_owner', $t ],
	[ 'grants', q{GRANT SELECT, UPDATE (a) ON t TO regress_user WITH GRANT OPTION; REVOKE SELECT ON t FROM regress_other; GRANT USAGE ON SCHEMA :schema TO PUBLIC},
		$t . 'GRANT SELECT ON t TO regress_other;' ],
	[ 'revoked from the owner', 'REVOKE ALL ON t FROM CURRENT_USER; GRANT SELECT (a) ON t TO regress_user', $t, { writes => '' } ],
	[ 'grants on everything', q{GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :schema TO regress_user; GRANT USAGE ON ALL SEQUENCES IN SCHEMA :schema TO regress_user;
GRANT USAGE ON TYPE mood TO regress_user; REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC},
		$t . q{CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE s; CREATE TYPE mood AS ENUM ('a');} ],
	[ 'default privileges', 'ALTER DEFAULT PRIVILEGES IN SCHEMA :schema GRANT SELECT ON TABLES TO regress_user; ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE TABLE n (i int)', $t,
		{ cleanup => 'ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC' } ],
	[ 'comments', q{COMMENT ON TABLE t IS 'new'; COMMENT ON COLUMN t.a IS NULL; COMMENT ON COLUMN t.b IS 'b'; COMMENT ON SCHEMA :schema IS 'schema'; COMMENT ON CONSTRAINT t_pkey ON t IS 'key'},
		$t . q{COMMENT ON TABLE t IS 'old'; COMMENT ON COLUMN t.a IS 'old';} ],
	[ 'storage parameters', 'ALTER TABLE t SET (fillfactor = 50, autovacuum_enabled = off, toast.autovacuum_enabled = off), RESET (autovacuum_vacuum_scale_factor)',
		$t . 'ALTER TABLE t SET (autovacuum_vacuum_scale_factor = 0.4);' ],
	[ 'column options', 'ALTER TABLE t ALTER a SET (n_distinct = 9), ALTER a SET STATISTICS 77, ALTER b SET STORAGE EXTERNAL, ALTER b SET COMPRESSION pglz', $t ],
	[ 'replica identity', 'ALTER TABLE t REPLICA IDENTITY FULL', $t ],
	[ 'replica identity of an index', 'ALTER TABLE t REPLICA IDENTITY USING INDEX t_b', $t . 'ALTER TABLE t ALTER b SET NOT NULL; CREATE UNIQUE INDEX t_b ON t (b); ALTER TABLE t REPLICA IDENTITY FULL;' ],
	[ 'row security', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id > 5)', $t ],
	[ 'row security off', 'ALTER TABLE t DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY; DROP POLICY p ON t; ALTER POLICY q ON t TO PUBLIC USING (true)',
		$t . q{ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t FOR SELECT TO regress_user USING (id > 5); CREATE POLICY q ON t TO regress_owner USING (a > 1) WITH CHECK (a > 2); COMMENT ON POLICY p ON t IS 'p';} ],
	[ 'typed table', 'ALTER TABLE t NOT OF', 'CREATE TYPE row_type AS (id int, a int, b text, c numeric); CREATE TABLE t OF row_type;' ],
	# columns
	[ 'add column', 'ALTER TABLE t ADD COLUMN n int', $t, { writes => $writes . 'UPDATE t SET n = 5 WHERE id = 9;', plain => $writes } ],
	[ 'add columns of all sorts', q{ALTER TABLE t ADD n1 int GENERATED ALWAYS AS IDENTITY, ADD n2 text DEFAULT 'x' CHECK (n2 <> 'y'), ADD n3 int REFERENCES t, ADD n4 int GENERATED ALWAYS AS (id + 1) STORED, ADD n5 serial},
		$t, { replaced => 1 } ],
	[ 'drop column, key', 'ALTER TABLE t DROP COLUMN id', $t . 'COMMENT ON COLUMN t.id IS $$the key$$; CREATE INDEX a_id ON t (a, id);', { writes => q{UPDATE t SET a = 99 WHERE b = 'text 9'; DELETE FROM t WHERE b = 'text 60'} } ],
	[ 'drop column with everything', 'ALTER TABLE t DROP COLUMN n CASCADE', $t . q{ALTER TABLE t ADD n int DEFAULT 5 CHECK (n > 0); UPDATE t SET n = id;
ALTER TABLE t ADD UNIQUE (n); CREATE VIEW v AS SELECT n FROM t; GRANT SELECT (n) ON t TO regress_user; CREATE STATISTICS st ON n, a FROM t; COMMENT ON COLUMN t.n IS 'n';
ALTER TABLE t ALTER n SET STATISTICS 5;},
		{ writes => q{UPDATE t SET b = 'later' WHERE id < 20; DELETE FROM t WHERE id = 60}, usable => 'INSERT INTO t (id, n) VALUES (9001, 9001)' } ],
	[ 'drop two columns, add one of the same name', 'ALTER TABLE t DROP COLUMN a, DROP COLUMN b; ALTER TABLE t ADD COLUMN b int', $t,
		{ writes => 'UPDATE t SET b = 7 WHERE id = 8; UPDATE t SET c = 0 WHERE id = 9; DELETE FROM t WHERE id = 60', plain => 'UPDATE t SET c = 0 WHERE id = 9; DELETE FROM t WHERE id = 60' } ],
	[ 'drop a not null column', 'ALTER TABLE t DROP COLUMN a', $t . 'ALTER TABLE t ALTER a SET NOT NULL;', { writes => q{UPDATE t SET b = 'later' WHERE id = 5; DELETE FROM t WHERE id = 60} } ],
	[ 'drop a not null column, new row', 'ALTER TABLE t DROP COLUMN a', $t . 'ALTER TABLE t ALTER a SET NOT NULL;', { writes => q{INSERT INTO t (id, b) VALUES (5001, 'later')}, plain => undef, as_of => '' } ],
	[ 'drop a column with a missing value', 'ALTER TABLE t DROP COLUMN n', $t . 'ALTER TABLE t ADD n int NOT NULL DEFAULT 77; UPDATE t SET n = 78 WHERE id < 10;', { writes => q{UPDATE t SET b = 'later' WHERE id IN (5, 50); DELETE FROM t WHERE id = 60} } ],
	[ 'drop a generated column', 'ALTER TABLE t DROP COLUMN g', $t . 'ALTER TABLE t ADD g int GENERATED ALWAYS AS (a * 2) STORED;', { writes => $writes . 'UPDATE t SET a = 100 WHERE id = 12;' } ],
	[ 'drop a wide column', 'ALTER TABLE t DROP COLUMN wide', $t . q{ALTER TABLE t ADD wide text; ALTER TABLE t ALTER wide SET STORAGE EXTERNAL; UPDATE t SET wide = repeat(md5(id::text), 200);},
		{ writes => q{UPDATE t SET b = 'later' WHERE id IN (5, 50); DELETE FROM t WHERE id = 60} } ],
	[ 'drop expression', 'ALTER TABLE t ALTER g DROP EXPRESSION', $t . 'ALTER TABLE t ADD g int GENERATED ALWAYS AS (a * 2) STORED;', { writes => $writes . 'UPDATE t SET a = 100, g = 200 WHERE id = 12;', plain => $writes . 'UPDATE t SET a = 100 WHERE id = 12;' } ],
	[ 'rename column', 'ALTER TABLE t RENAME a TO a2; ALTER TABLE t RENAME b TO a', $t . 'CREATE VIEW v AS SELECT a, b FROM t; CREATE INDEX ON t (a) WHERE b IS NOT NULL;', { writes => q{UPDATE t SET a = 'later' WHERE id = 50}, plain => q{UPDATE t SET b = 'later' WHERE id = 50} } ],
	[ 'not null', 'ALTER TABLE t ALTER a SET NOT NULL, ALTER b SET NOT NULL', $t ],
	[ 'drop not null', 'ALTER TABLE t ALTER a DROP NOT NULL', $t . 'ALTER TABLE t ALTER a SET NOT NULL;' ],
	[ 'drop not null, and a null', 'ALTER TABLE t ALTER a DROP NOT NULL', $t . 'ALTER TABLE t ALTER a SET NOT NULL;', { writes => 'INSERT INTO t VALUES (5001, NULL)', refused => 1 } ],
	[ 'defaults', q{ALTER TABLE t ALTER a SET DEFAULT 9, ALTER b DROP DEFAULT, ALTER c SET DEFAULT random()}, $t . q{ALTER TABLE t ALTER b SET DEFAULT 'old';} ],
	[ 'add identity', 'ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 1000)', $t, { writes => q{UPDATE t SET b = 'later' WHERE id = 50} } ],
	[ 'drop identity', 'ALTER TABLE t ALTER id DROP IDENTITY', 'CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY (INCREMENT 5) PRIMARY KEY, a int, b text, c numeric); INSERT INTO t (a) SELECT 1 FROM generate_series(1, 50);', { writes => 'UPDATE t SET a = 3 WHERE id = 6', usable => 'INSERT INTO t (a) VALUES (1)' } ],
	[ 'alter identity', 'ALTER TABLE t ALTER id SET GENERATED BY DEFAULT SET INCREMENT 7 RESTART WITH 3', 'CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b text, c numeric); INSERT INTO t (a) SELECT 1 FROM generate_series(1, 50);', { writes => '', usable => 'INSERT INTO t (a) VALUES (1)' } ],
	# types
	[ 'type, int to bigint', 'ALTER TABLE t ALTER id TYPE bigint', $t, { replaced => 1 } ],
	[ 'type, int to bigint, too large', 'ALTER TABLE t ALTER a TYPE bigint', $t, { writes => 'UPDATE t SET a = 3000000000 WHERE id = 5', plain => undef, as_of => '', restore => undef } ],
	[ 'type, no rewrite', 'ALTER TABLE t ALTER b TYPE varchar; ALTER TABLE t ALTER c TYPE numeric(12,2)', $t ],
	[ 'type, too long', 'ALTER TABLE t ALTER v TYPE text', $t . 'ALTER TABLE t ADD v varchar(5);', { writes => q{UPDATE t SET v = 'much too long' WHERE id = 9}, refused => 1 } ],
	[ 'type using', q{ALTER TABLE t ALTER a TYPE text USING CASE WHEN a > 3 THEN 'high' ELSE 'low' END}, $t, { writes => q{UPDATE t SET b = 'later' WHERE id = 50; DELETE FROM t WHERE id = 60}, replaced => 1 } ],
	[ 'type using, no way back', q{ALTER TABLE t ALTER a TYPE text USING 'x' || a}, $t, { writes => q{INSERT INTO t VALUES (5001, 'what?', 'b', 1)}, plain => undef, as_of => '', restore => undef } ],
	[ 'type of a key', 'ALTER TABLE parent ALTER id TYPE bigint; ALTER TABLE child ALTER p TYPE bigint', $keys, { writes => q{INSERT INTO parent VALUES (5001, 'later'); INSERT INTO child VALUES (5001, 5001); DELETE FROM parent WHERE id = 7}, replaced => 1 } ],
	[ 'type and index', q{ALTER TABLE t ALTER a TYPE bigint, ADD CHECK (a < 1000), ADD COLUMN z int DEFAULT 5}, $t . 'CREATE INDEX ON t (a); CREATE UNIQUE INDEX ON t (a, id) INCLUDE (b) WHERE a > 2; CREATE INDEX ON t ((a + 1)); ALTER TABLE t ADD CHECK (a >= 0); CREATE STATISTICS st ON a, b FROM t;', { replaced => 1 } ],
	[ 'type, twice', 'ALTER TABLE t ALTER a TYPE bigint; ALTER TABLE t ALTER a TYPE text; ALTER TABLE t ALTER a TYPE varchar(30)', $t, { writes => q{UPDATE t SET b = 'later' WHERE id = 50}, replaced => 1 } ],
	# constraints
	[ 'add check', 'ALTER TABLE t ADD CONSTRAINT good CHECK (a >= 0)', $t ],
	[ 'drop check', 'ALTER TABLE t DROP CONSTRAINT good', $t . 'ALTER TABLE t ADD CONSTRAINT good CHECK (a >= 0);' ],
	[ 'drop check, and a bad row', 'ALTER TABLE t DROP CONSTRAINT good', $t . 'ALTER TABLE t ADD CONSTRAINT good CHECK (a >= 0);', { writes => 'INSERT INTO t VALUES (5001, -1)', refused => 1 } ],
	[ 'not valid and validated', 'ALTER TABLE t VALIDATE CONSTRAINT old; ALTER TABLE t ADD CONSTRAINT new CHECK (a > 3) NOT VALID', $t . 'ALTER TABLE t ADD CONSTRAINT old CHECK (a >= 0) NOT VALID;' , { writes => q{UPDATE t SET b = 'later' WHERE id = 6} } ],
	[ 'add foreign key', 'ALTER TABLE child ADD CONSTRAINT second FOREIGN KEY (id) REFERENCES parent NOT VALID; ALTER TABLE parent ADD FOREIGN KEY (id) REFERENCES child DEFERRABLE INITIALLY DEFERRED', $keys, { writes => 'UPDATE child SET y = $$later$$ WHERE id = 9' } ],
	[ 'drop foreign key', 'ALTER TABLE child DROP CONSTRAINT to_parent', $keys, { writes => q{UPDATE child SET y = 'later' WHERE id = 9} } ],
	[ 'drop foreign key, orphan', 'ALTER TABLE child DROP CONSTRAINT to_parent', $keys, { writes => 'UPDATE child SET p = 777 WHERE id = 9', refused => 1 } ],
	[ 'alter foreign key', 'ALTER TABLE child ALTER CONSTRAINT to_parent DEFERRABLE INITIALLY DEFERRED', $keys, { writes => 'UPDATE child SET p = 3 WHERE id = 9' } ],
	[ 'unique', 'ALTER TABLE t ADD CONSTRAINT u UNIQUE (b) INCLUDE (a)', $t ],
	[ 'drop unique', 'ALTER TABLE t DROP CONSTRAINT u', $t . 'ALTER TABLE t ADD CONSTRAINT u UNIQUE (b);' ],
	[ 'drop unique, duplicates', 'ALTER TABLE t DROP CONSTRAINT u', $t . 'ALTER TABLE t ADD CONSTRAINT u UNIQUE (b);', { writes => q{UPDATE t SET b = 'text 9' WHERE id = 50}, refused => 1 } ],
	[ 'drop primary key', 'ALTER TABLE t DROP CONSTRAINT t_pkey', $t, { writes => q{UPDATE t SET b = 'later' WHERE id = 50; INSERT INTO t VALUES (5001)} } ],
	[ 'drop primary key, duplicates', 'ALTER TABLE t DROP CONSTRAINT t_pkey', $t, { writes => 'INSERT INTO t (id) VALUES (5)', refused => 1 } ],
	[ 'another primary key', 'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD CONSTRAINT pk PRIMARY KEY (b)', $t ],
	[ 'key by an index', 'ALTER TABLE t ADD CONSTRAINT by_index UNIQUE USING INDEX ui', $t . 'CREATE UNIQUE INDEX ui ON t (b);' ],
	[ 'exclusion', 'ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (int4range(id, id + 1) WITH &&)', $t ],
	[ 'drop exclusion', 'ALTER TABLE t DROP CONSTRAINT apart', $t . 'ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (int4range(id, id + 1) WITH &&) DEFERRABLE;' ],
	[ 'rename constraint', 'ALTER TABLE t RENAME CONSTRAINT t_pkey TO new_key; ALTER TABLE t RENAME CONSTRAINT good TO better', $t . 'ALTER TABLE t ADD CONSTRAINT good CHECK (a >= 0);' ],
	# indexes
	[ 'create index', 'CREATE INDEX i ON t (a DESC NULLS LAST) INCLUDE (b) WITH (fillfactor = 60)', $t ],
	[ 'create index concurrently', 'CREATE INDEX CONCURRENTLY i ON t (a)', $t, { deploy => 1 } ],
	[ 'drop index', 'DROP INDEX i, j', $t . 'CREATE INDEX i ON t (a); CREATE UNIQUE INDEX j ON t (lower(b)) WHERE id > 5; COMMENT ON INDEX i IS $$i$$; ALTER INDEX j ALTER COLUMN 1 SET STATISTICS 500;' ],
	[ 'drop index concurrently', 'DROP INDEX CONCURRENTLY i', $t . 'CREATE INDEX i ON t (a);', { deploy => 1 } ],
	[ 'drop unique index, duplicates', 'DROP INDEX j', $t . 'CREATE UNIQUE INDEX j ON t (b);', { writes => q{UPDATE t SET b = 'text 9' WHERE id = 50}, refused => 1 } ],
	[ 'rename index', 'ALTER INDEX i RENAME TO i2; ALTER INDEX t_pkey RENAME TO key2', $t . 'CREATE INDEX i ON t (a);' ],
	[ 'reindex', 'REINDEX TABLE t', $t . 'CREATE INDEX i ON t (a);' ],
	[ 'reindex concurrently', 'REINDEX TABLE CONCURRENTLY t', $t . 'CREATE INDEX i ON t (a);', { deploy => 1 } ],
	[ 'index in another tablespace', 'ALTER INDEX i SET TABLESPACE elsewhere; ALTER INDEX i SET (fillfactor = 40)', $t . 'CREATE INDEX i ON t (a);' ],
	[ 'cluster mark', 'ALTER TABLE t CLUSTER ON i', $t . 'CREATE INDEX i ON t (a); ALTER TABLE t CLUSTER ON t_pkey;' ],
	[ 'statistics', 'CREATE STATISTICS st (ndistinct) ON a, b FROM t; ALTER STATISTICS old SET STATISTICS 9; DROP STATISTICS older', $t . 'CREATE STATISTICS old ON a, b FROM t; CREATE STATISTICS older ON (a + 1), c FROM t; ANALYZE t;' ],
	# inheritance and partitions
	[ 'inherit', 'ALTER TABLE u INHERIT t', $t . 'CREATE TABLE u (LIKE t); INSERT INTO u VALUES (900);' ],
	[ 'no inherit', 'ALTER TABLE u NO INHERIT t', $t . 'CREATE TABLE u (x int) INHERITS (t); INSERT INTO u VALUES (900);' ],
	[ 'attach partition', 'ALTER TABLE t ATTACH PARTITION loose FOR VALUES IN (3)', $parts, { writes => q{INSERT INTO t VALUES (5001, 3, 'later'), (5002, 1, 'later')}, plain => q{INSERT INTO loose VALUES (3, 'later', 5001); INSERT INTO t VALUES (5002, 1, 'later')}, usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	[ 'detach partition', 'ALTER TABLE t DETACH PARTITION t2', $parts, { writes => q{INSERT INTO t2 VALUES (5001, 2, 'later')}, plain => q{INSERT INTO t VALUES (5001, 2, 'later')}, usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	[ 'detach concurrently', 'ALTER TABLE t DETACH PARTITION t2 CONCURRENTLY', $parts, { deploy => 1, writes => q{INSERT INTO t2 VALUES (5001, 2, 'later')}, plain => q{INSERT INTO t VALUES (5001, 2, 'later')}, usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	[ 'detached, and a row that does not fit', 'ALTER TABLE t DETACH PARTITION t1', $parts, { writes => q{INSERT INTO t1 VALUES (5001, 9, 'later')}, refused => 1 } ],
	[ 'create partition', 'CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3)', $parts, { writes => q{INSERT INTO t VALUES (5001, 1, 'later')}, usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	[ 'drop partition', 'DROP TABLE t1', $parts, { writes => q{INSERT INTO t VALUES (5001, 2, 'later')}, usable => 'INSERT INTO t VALUES (9001, 1)' } ],
	[ 'drop a partitioned partition', 'DROP TABLE t2', $parts, { writes => q{INSERT INTO t VALUES (5001, 1, 'later')}, usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	[ 'drop a partitioned table', 'DROP TABLE t', $parts, { writes => '', usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	[ 'truncate partitioned', 'TRUNCATE t', $parts, { writes => q{INSERT INTO t VALUES (5001, 2, 'later')}, replaced => 1, usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	[ 'partition made for what is there', 'ALTER TABLE t2 DETACH PARTITION t2b; CREATE TABLE t2c PARTITION OF t2 FOR VALUES FROM (100) TO (300); INSERT INTO t SELECT * FROM t2b; DROP TABLE t2b', $parts,
		{ writes => '', usable => 'INSERT INTO t VALUES (9001, 2)' } ],
	# storage
	[ 'truncate two tables', 'TRUNCATE parent, child', $keys, { writes => q{INSERT INTO parent VALUES (5001, 'later'); INSERT INTO child VALUES (5001, 5001)}, replaced => 1 } ],
	[ 'truncate cascade', 'TRUNCATE parent CASCADE', $keys, { writes => '' } ],
	[ 'truncate, restart identity', 'TRUNCATE t RESTART IDENTITY', 'CREATE TABLE t (id serial PRIMARY KEY, a int); INSERT INTO t (a) SELECT 1 FROM generate_series(1, 100);', { writes => 'INSERT INTO t (id, a) VALUES (5001, 1)', replaced => 1, usable => 'INSERT INTO t (a) VALUES (1)' } ],
	[ 'truncate and fill', 'TRUNCATE t; INSERT INTO t (id, b) SELECT g, $$new$$ FROM generate_series(1, 50) g', $t, { writes => 'INSERT INTO t (id) VALUES (5001)', replaced => 1 } ],
	[ 'update, truncate, fill, type', q{UPDATE t SET b = 'x' WHERE id < 9; TRUNCATE t; INSERT INTO t SELECT g FROM generate_series(1, 20) g; ALTER TABLE t ALTER a TYPE bigint; UPDATE t SET a = 5}, $t, { writes => 'INSERT INTO t (id) VALUES (5001)', replaced => 1 } ],
	[ 'cluster', 'CLUSTER t USING t_pkey', $t, { replaced => 1 } ],
	[ 'unlogged', 'ALTER TABLE t SET UNLOGGED', $t, { replaced => 1 } ],
	[ 'logged', 'ALTER TABLE t SET LOGGED', $t =~ s/CREATE/CREATE UNLOGGED/r, { replaced => 1 } ],
	[ 'drop unlogged', 'DROP TABLE t', $t =~ s/CREATE/CREATE UNLOGGED/r, { writes => '' } ],
	[ 'tablespace', 'ALTER TABLE t SET TABLESPACE elsewhere', $t, { replaced => 1 } ],
	# views
	[ 'create view', 'CREATE VIEW v AS SELECT * FROM t; CREATE VIEW v2 WITH (security_barrier) AS SELECT * FROM v WHERE id > 5; GRANT SELECT ON v TO regress_user', $t ],
	[ 'replace view', 'CREATE OR REPLACE VIEW v AS SELECT id, a, b FROM t WHERE id > 5; ALTER VIEW v2 SET (security_invoker = on); ALTER VIEW v ALTER id SET DEFAULT 5', $t . 'CREATE VIEW v AS SELECT id, a FROM t; CREATE VIEW v2 AS SELECT * FROM v;' ],
	[ 'drop view', 'DROP VIEW v CASCADE', $t . q{CREATE VIEW v AS SELECT id, a FROM t; CREATE VIEW v2 AS SELECT * FROM v; CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER tr INSTEAD OF UPDATE ON v FOR EACH ROW EXECUTE FUNCTION tf(); GRANT SELECT ON v TO regress_user; COMMENT ON VIEW v IS 'v';} ],
	[ 'create materialized view', 'CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE UNIQUE INDEX ON m (id)', $t ],
	[ 'drop materialized view', 'DROP MATERIALIZED VIEW m', $t . 'CREATE MATERIALIZED VIEW m AS SELECT * FROM t WHERE id < 50; CREATE UNIQUE INDEX ON m (id);' ],
	[ 'refresh materialized view', 'INSERT INTO t (id) VALUES (300); REFRESH MATERIALIZED VIEW m', $t . 'CREATE MATERIALIZED VIEW m AS SELECT id FROM t; CREATE UNIQUE INDEX ON m (id);' ],
	[ 'refresh concurrently', 'INSERT INTO t (id) VALUES (300); DELETE FROM t WHERE id < 10; REFRESH MATERIALIZED VIEW CONCURRENTLY m', $t . 'CREATE MATERIALIZED VIEW m AS SELECT id FROM t; CREATE UNIQUE INDEX ON m (id);' ],
	[ 'rename views', 'ALTER VIEW v RENAME TO v2; ALTER VIEW v2 RENAME COLUMN a TO aa; ALTER MATERIALIZED VIEW m RENAME TO m2', $t . 'CREATE VIEW v AS SELECT id, a FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM v;' ],
	# sequences
	[ 'create sequence', 'CREATE SEQUENCE s AS int CYCLE MAXVALUE 100', $t ],
	[ 'drop sequence', 'DROP SEQUENCE s', q{CREATE SEQUENCE s INCREMENT 3; SELECT nextval('s') FROM generate_series(1, 20);}, { usable => q{SELECT nextval('s')} } ],
	[ 'drop an owned sequence', 'DROP SEQUENCE t_id_seq CASCADE', q{CREATE TABLE t (id serial PRIMARY KEY, a int); INSERT INTO t (a) SELECT 1 FROM generate_series(1, 50);}, { usable => 'INSERT INTO t (a) VALUES (1)' } ],
	[ 'alter sequence', 'ALTER SEQUENCE s RESTART WITH 2; ALTER SEQUENCE s INCREMENT 5 CACHE 3 MAXVALUE 900; ALTER SEQUENCE s OWNED BY t.id; ALTER SEQUENCE s RENAME TO s2', $t . q{CREATE SEQUENCE s; SELECT setval('s', 700);} ],
	[ 'alter sequence type', 'ALTER SEQUENCE s AS smallint', $t . q{CREATE SEQUENCE s; SELECT setval('s', 700);} ],
	[ 'unlogged sequence', 'ALTER SEQUENCE s SET UNLOGGED', $t . q{CREATE SEQUENCE s; SELECT setval('s', 700);} ],
	# schemas
	[ 'create schema', 'CREATE SCHEMA regress_new; CREATE TABLE regress_new.n (i int); GRANT USAGE ON SCHEMA regress_new TO regress_user', $t, { cleanup => 'DROP SCHEMA IF EXISTS regress_new CASCADE' } ],
	[ 'drop schema', 'DROP SCHEMA regress_new CASCADE', $t . q{CREATE SCHEMA regress_new AUTHORIZATION regress_owner; SET search_path = regress_new; CREATE TABLE n (i serial PRIMARY KEY, w text); INSERT INTO n (w) SELECT repeat('w', 5000) || g FROM generate_series(1, 20) g;
CREATE VIEW v AS SELECT * FROM n; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE r (i int REFERENCES n, m mood); INSERT INTO r VALUES (1, 'a'); CREATE MATERIALIZED VIEW m AS SELECT * FROM r;
CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE COLLATION co (provider = libc, locale = 'C'); GRANT USAGE ON SCHEMA regress_new TO regress_user; COMMENT ON SCHEMA regress_new IS 'new';}, { cleanup => 'DROP SCHEMA IF EXISTS regress_new CASCADE' } ],
	[ 'rename schema', 'ALTER SCHEMA regress_new RENAME TO regress_newer; ALTER SCHEMA regress_newer OWNER TO regress_owner', $t . 'CREATE SCHEMA regress_new; CREATE TABLE regress_new.n (i int);', { cleanup => 'DROP SCHEMA IF EXISTS regress_new, regress_newer CASCADE' } ],
	# functions and their like
	[ 'create function', q{CREATE FUNCTION f(int, x text DEFAULT 'a') RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE PROCEDURE pr(INOUT x int) LANGUAGE plpgsql AS 'BEGIN x := 1; END'; ALTER TABLE t ADD CHECK (f(id) = 1)}, $t ],
	[ 'replace function', q{CREATE OR REPLACE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS 'BEGIN RETURN 2; END'}, $t . q{CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE VIEW v AS SELECT f(id) FROM t; COMMENT ON FUNCTION f(int) IS 'f'; REVOKE EXECUTE ON FUNCTION f(int) FROM PUBLIC;} ],
	[ 'alter function', q{ALTER FUNCTION f(int) STRICT LEAKPROOF COST 5 SET work_mem = '5MB'; ALTER FUNCTION f(int) RENAME TO g; ALTER FUNCTION g(int) OWNER TO regress_owner}, $t . q{CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql AS 'SELECT 1';} ],
	[ 'drop function', 'DROP FUNCTION f(int) CASCADE; DROP PROCEDURE pr', $t . q{CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT i; END; CREATE INDEX fi ON t (f(id)); ALTER TABLE t ADD CHECK (f(a) >= 0); CREATE VIEW v AS SELECT f(a) FROM t; ALTER TABLE t ALTER a SET DEFAULT f(3); CREATE PROCEDURE pr() LANGUAGE sql AS 'SELECT 1';} ],
	[ 'aggregate', 'DROP AGGREGATE su(int); CREATE AGGREGATE su2(int) (SFUNC = int4pl, STYPE = int, INITCOND = 5)', $t . 'CREATE AGGREGATE su(int) (SFUNC = int4pl, STYPE = int);' ],
	[ 'operator', 'DROP OPERATOR === (int, int) CASCADE; CREATE OPERATOR !== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4ne)', $t . 'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = ===); CREATE VIEW v AS SELECT id OPERATOR(:schema.===) a AS x FROM t;' ],
	[ 'operator class', 'DROP OPERATOR FAMILY fam USING btree CASCADE; CREATE OPERATOR CLASS other FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int)', $t . 'CREATE OPERATOR FAMILY fam USING btree; CREATE OPERATOR CLASS oc FOR TYPE int USING btree FAMILY fam AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int); CREATE INDEX oi ON t (a oc);' ],
	[ 'cast', 'DROP CAST (mood AS int); CREATE CAST (int AS mood) WITH FUNCTION back(int) AS ASSIGNMENT', $t . q{CREATE TYPE mood AS ENUM ('a', 'b'); CREATE FUNCTION fo(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION back(int) RETURNS mood LANGUAGE sql AS $$SELECT NULL::text:::schema.mood$$; CREATE CAST (mood AS int) WITH FUNCTION fo(mood);} ],
	[ 'text search', 'CREATE TEXT SEARCH CONFIGURATION tc2 (COPY = simple); ALTER TEXT SEARCH CONFIGURATION tc ALTER MAPPING FOR word WITH simple; DROP TEXT SEARCH DICTIONARY di', $t . 'CREATE TEXT SEARCH CONFIGURATION tc (COPY = english); CREATE TEXT SEARCH DICTIONARY di (TEMPLATE = simple);' ],
	[ 'collation', q{CREATE COLLATION co2 (provider = libc, locale = 'C'); ALTER COLLATION co RENAME TO co3; DROP COLLATION co4}, $t . q{CREATE COLLATION co (provider = libc, locale = 'C'); CREATE COLLATION co4 (provider = libc, locale = 'POSIX'); ALTER TABLE t ADD x text COLLATE co;} ],
	[ 'conversion', 'DROP CONVERSION conv; CREATE CONVERSION conv2 FOR $$LATIN1$$ TO $$UTF8$$ FROM iso8859_1_to_utf8', $t . 'CREATE CONVERSION conv FOR $$LATIN1$$ TO $$UTF8$$ FROM iso8859_1_to_utf8;' ],
	# types
	[ 'create types', q{CREATE TYPE mood AS ENUM ('a'); CREATE TYPE pair AS (x int, y mood); CREATE DOMAIN pos AS int CHECK (VALUE > 0); CREATE TYPE ra AS RANGE (subtype = int); ALTER TABLE t ADD m mood, ADD p pair}, $t ],
	[ 'drop types', 'DROP TYPE mood, pair, ra CASCADE; DROP DOMAIN pos CASCADE', $t . q{CREATE TYPE mood AS ENUM ('a', 'b', 'c'); CREATE TYPE pair AS (x int, y mood); CREATE DOMAIN pos AS int CHECK (VALUE > 0); CREATE TYPE ra AS RANGE (subtype = int);
ALTER TABLE t ADD m mood, ADD p pair, ADD r ra, ADD po pos; UPDATE t SET m = 'b', p = (1, 'c')::pair, r = '[1,2)', po = 7 WHERE id < 50;} ],
	[ 'enum value', q{ALTER TYPE mood ADD VALUE 'aa' AFTER 'a'; ALTER TYPE mood RENAME VALUE 'b' TO 'bb'}, $t . q{CREATE TYPE mood AS ENUM ('a', 'b'); ALTER TABLE t ADD m mood DEFAULT 'b';}, { writes => $writes . q{UPDATE t SET m = 'bb' WHERE id = 9}, plain => $writes . q{UPDATE t SET m = 'b' WHERE id = 9} } ],
	[ 'enum value, used', q{ALTER TYPE mood ADD VALUE 'z'}, $t . q{CREATE TYPE mood AS ENUM ('a', 'b'); ALTER TABLE t ADD m mood;}, { writes => q{UPDATE t SET m = 'z' WHERE id = 9}, refused => 1 } ],
	[ 'composite attributes', 'ALTER TYPE pair ADD ATTRIBUTE z text; ALTER TYPE pair RENAME ATTRIBUTE x TO xx; ALTER TYPE pair DROP ATTRIBUTE y', 'CREATE TYPE pair AS (x int, y text);', { usable => q{SELECT (1, 'a')::pair} } ],
	[ 'domain constraints', 'ALTER DOMAIN pos DROP CONSTRAINT high; ALTER DOMAIN pos ADD CONSTRAINT low CHECK (VALUE > -9) NOT VALID; ALTER DOMAIN pos SET DEFAULT 8; ALTER DOMAIN pos SET NOT NULL; ALTER DOMAIN pos RENAME TO pos2', 'CREATE DOMAIN pos AS int CONSTRAINT high CHECK (VALUE < 100); CREATE TABLE t (id int PRIMARY KEY, p pos); INSERT INTO t SELECT g, g FROM generate_series(1, 50) g;', { writes => 'UPDATE t SET p = 7 WHERE id = 3' } ],
	# triggers and rules
	[ 'create trigger', 'CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.id > 5) EXECUTE FUNCTION tf(); CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON t DEFERRABLE FOR EACH ROW EXECUTE FUNCTION tf(); CREATE TRIGGER st AFTER UPDATE ON t REFERENCING NEW TABLE AS n EXECUTE FUNCTION tf()', $t . q{CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';} ],
	[ 'drop trigger', 'DROP TRIGGER tr ON t; ALTER TABLE t DISABLE TRIGGER tr2; ALTER TRIGGER tr3 ON t RENAME TO tr4; ALTER TABLE t ENABLE ALWAYS TRIGGER tr4', $t . q{CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.c = 5; RETURN NEW; END'; CREATE TRIGGER tr BEFORE UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION tf('x', 'y'); CREATE TRIGGER tr2 BEFORE UPDATE OF c ON t FOR EACH ROW EXECUTE FUNCTION tf(); CREATE TRIGGER tr3 BEFORE DELETE ON t EXECUTE FUNCTION tf(); COMMENT ON TRIGGER tr ON t IS 'tr';} ],
	[ 'disable all triggers', 'ALTER TABLE child DISABLE TRIGGER ALL', $keys, { writes => 'UPDATE child SET y = $$later$$ WHERE id = 8' } ],
	[ 'event trigger', 'CREATE EVENT TRIGGER regress_e2 ON ddl_command_end EXECUTE FUNCTION ef(); ALTER EVENT TRIGGER regress_e DISABLE', $t . q{CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER regress_e ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION ef();}, { cleanup => 'DROP EVENT TRIGGER IF EXISTS regress_e; DROP EVENT TRIGGER IF EXISTS regress_e2' } ],
	[ 'drop event trigger', 'DROP FUNCTION ef() CASCADE', $t . q{CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE $$ef$$; END'; CREATE EVENT TRIGGER regress_e ON ddl_command_end EXECUTE FUNCTION ef();}, { cleanup => 'DROP EVENT TRIGGER IF EXISTS regress_e' } ],
	[ 'rules', 'CREATE RULE ru AS ON UPDATE TO v DO INSTEAD NOTHING; DROP RULE old ON t; ALTER TABLE t DISABLE RULE older', $t . 'CREATE VIEW v AS SELECT id FROM t; CREATE RULE old AS ON INSERT TO t WHERE NEW.id = 7777 DO INSTEAD NOTHING; CREATE RULE older AS ON INSERT TO t WHERE NEW.id = 7778 DO INSTEAD NOTHING;' ],
	# what belongs to the database
	[ 'publication', 'CREATE PUBLICATION regress_p2 FOR TABLE t; ALTER PUBLICATION regress_p ADD TABLE u; ALTER PUBLICATION regress_p SET (publish = $$insert$$); ALTER TABLE u REPLICA IDENTITY FULL', $t . 'CREATE TABLE u (i int); CREATE PUBLICATION regress_p FOR TABLE t WHERE (id > 5);', { cleanup => 'DROP PUBLICATION IF EXISTS regress_p, regress_p2' } ],
	[ 'drop publication', 'DROP PUBLICATION regress_p, regress_p2', $t . 'CREATE PUBLICATION regress_p FOR TABLE t (id, a); CREATE PUBLICATION regress_p2 FOR TABLES IN SCHEMA :schema;', { cleanup => 'DROP PUBLICATION IF EXISTS regress_p, regress_p2' } ],
	[ 'drop a published table', 'DROP TABLE t', $t . 'CREATE PUBLICATION regress_p FOR TABLE t;', { writes => '', cleanup => 'DROP PUBLICATION IF EXISTS regress_p' } ],
	[ 'foreign data', q{CREATE SERVER regress_s2 FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE ft2 (x text) SERVER regress_s2 OPTIONS (filename '/dev/null'); DROP SERVER regress_s CASCADE; CREATE USER MAPPING FOR CURRENT_USER SERVER regress_s2},
		$t . q{CREATE SERVER regress_s FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE ft (x text) SERVER regress_s OPTIONS (filename '/dev/null', null 'x'); CREATE USER MAPPING FOR PUBLIC SERVER regress_s; GRANT USAGE ON FOREIGN SERVER regress_s TO regress_user;},
		{ cleanup => 'DROP SERVER IF EXISTS regress_s, regress_s2 CASCADE', extension => 'file_fdw' } ],
	[ 'foreign table', q{ALTER FOREIGN TABLE ft OPTIONS (SET filename '/dev/zero'), ADD y int; DROP FOREIGN TABLE ft2; ALTER SERVER regress_s RENAME TO regress_s2; CREATE FOREIGN DATA WRAPPER regress_w}, $t . q{CREATE SERVER regress_s FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE ft (x text) SERVER regress_s OPTIONS (filename '/dev/null'); CREATE FOREIGN TABLE ft2 (x text) SERVER regress_s OPTIONS (filename '/dev/null');},
		{ cleanup => 'DROP SERVER IF EXISTS regress_s, regress_s2 CASCADE; DROP FOREIGN DATA WRAPPER IF EXISTS regress_w', extension => 'file_fdw' } ],
	[ 'create extension', 'CREATE EXTENSION citext SCHEMA :schema; ALTER TABLE t ALTER b TYPE citext', $t, { cleanup => 'DROP EXTENSION IF EXISTS citext CASCADE', extension => 'citext' } ],
	[ 'drop extension', 'DROP EXTENSION hstore CASCADE', $t . q{CREATE EXTENSION hstore SCHEMA :schema; ALTER TABLE t ADD h hstore; UPDATE t SET h = 'a=>1' WHERE id < 50; CREATE INDEX ON t USING gin (h);}, { cleanup => 'DROP EXTENSION IF EXISTS hstore CASCADE', extension => 'hstore' } ],
	[ 'members of an extension', 'ALTER EXTENSION hstore SET SCHEMA regress_elsewhere; SET LOCAL safe_migrate.observation = off; ALTER EXTENSION hstore ADD TABLE t', $t . 'CREATE EXTENSION hstore SCHEMA :schema;', { cleanup => 'DROP EXTENSION IF EXISTS hstore CASCADE', extension => 'hstore' } ],
	[ 'index of an extension', 'DROP INDEX tri', $t . 'CREATE EXTENSION btree_gist SCHEMA :schema; CREATE INDEX tri ON t USING gist (a, b);', { cleanup => 'DROP EXTENSION IF EXISTS btree_gist CASCADE', extension => 'btree_gist' } ],
	[ 'access method', 'CREATE ACCESS METHOD regress_am TYPE INDEX HANDLER bthandler', $t, { cleanup => 'DROP ACCESS METHOD IF EXISTS regress_am' } ],
	[ 'language', 'COMMENT ON LANGUAGE plpgsql IS $$new$$; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC', $t, { one_way => 1 } ],
	[ 'drop owned', 'DROP OWNED BY regress_owner CASCADE', $t . q{ALTER TABLE t OWNER TO regress_owner; CREATE TABLE u (i int); INSERT INTO u VALUES (1); GRANT SELECT ON u TO regress_owner; CREATE VIEW v AS SELECT id FROM t;}, { writes => '' } ],
	[ 'reassign owned', 'REASSIGN OWNED BY regress_owner TO regress_user', $t . 'ALTER TABLE t OWNER TO regress_owner; CREATE SEQUENCE s; ALTER SEQUENCE s OWNER TO regress_owner;' ],
);

# ways by which something happens
my @ways = (
	[ 'nothing at all', '', $t ],
	[ 'DO block', q{DO $do$ BEGIN EXECUTE 'ALTER TABLE t DROP COLUMN a'; UPDATE t SET b = 'do' WHERE id < 9; FOR i IN 1..3 LOOP EXECUTE format('CREATE TABLE n%s (i int)', i); END LOOP; END $do$}, $t, { writes => q{UPDATE t SET c = 0 WHERE id = 50; DELETE FROM t WHERE id = 60} } ],
	[ 'function doing DDL', 'SELECT doit()', $t . q{CREATE FUNCTION doit() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS 'BEGIN DROP TABLE u; TRUNCATE t; END'; CREATE TABLE u AS SELECT 1 AS one;}, { writes => q{INSERT INTO t (id) VALUES (5001)}, replaced => 1 } ],
	[ 'caught exceptions', q{DO $do$ BEGIN
	BEGIN DROP TABLE u; TRUNCATE t; RAISE 'no'; EXCEPTION WHEN OTHERS THEN END;
	BEGIN UPDATE t SET b = 'undone' WHERE id < 30; RAISE 'no'; EXCEPTION WHEN OTHERS THEN END;
	BEGIN UPDATE t SET b = 'done' WHERE id < 20; DELETE FROM t WHERE id = 5; EXCEPTION WHEN OTHERS THEN END;
	BEGIN ALTER TABLE u ALTER one TYPE bigint; EXCEPTION WHEN OTHERS THEN END;
END $do$}, $t . 'CREATE TABLE u AS SELECT 1 AS one;' ],
	[ 'rewritten, undone, rewritten', q{DO $do$ BEGIN
	BEGIN ALTER TABLE t ALTER a TYPE bigint; RAISE 'no'; EXCEPTION WHEN OTHERS THEN END;
	ALTER TABLE t ALTER a TYPE text;
	BEGIN TRUNCATE t; RAISE 'no'; EXCEPTION WHEN OTHERS THEN END;
END $do$}, $t, { writes => 'UPDATE t SET b = $$later$$ WHERE id = 50', replaced => 1 } ],
	[ 'as another role', q{SET LOCAL ROLE regress_owner; UPDATE t SET b = 'x' WHERE id < 9; DROP TABLE u; RESET ROLE}, $t . 'GRANT USAGE ON SCHEMA :schema TO regress_owner; ALTER TABLE t OWNER TO regress_owner; CREATE TABLE u (i int); INSERT INTO u VALUES (1); ALTER TABLE u OWNER TO regress_owner;' ],
	[ 'without triggers', q{SET LOCAL session_replication_role = replica; DELETE FROM parent WHERE id = 7; INSERT INTO child VALUES (900, 900)}, $keys, { one_way => 1, writes => 'UPDATE child SET y = $$later$$ WHERE id = 9' } ],
	[ 'several statements in a deploy', q{CREATE TABLE n (i int); UPDATE t SET b = 'x' WHERE id < 9; CREATE INDEX CONCURRENTLY ON t (a); ALTER TABLE t DROP COLUMN c; UPDATE t SET a = 0 WHERE id < 5}, $t, { deploy => 1, writes => q{UPDATE t SET b = 'later' WHERE id = 50; DELETE FROM t WHERE id = 60} } ],
	[ 'a plan in a deploy', 'CREATE INDEX ON t (a); ALTER TABLE t ADD CHECK (a >= 0); ALTER TABLE t ALTER b SET NOT NULL', $t, { deploy => 1 } ],
);

# data
my @data_changes = (
	[ 'insert', 'INSERT INTO t SELECT g FROM generate_series(1001, 1100) g', $t ],
	[ 'insert returning nothing', 'INSERT INTO t SELECT 1 ON CONFLICT DO NOTHING', $t ],
	[ 'update all', 'UPDATE t SET c = c + 1', $t, { writes => q{INSERT INTO t (id, b) VALUES (5001, 'later')} } ],
	[ 'update all, and clients', 'UPDATE t SET c = c + 1', $t, { writes => q{DELETE FROM t WHERE id = 60}, plain => undef, as_of => '', keep => 'DELETE FROM t WHERE id = 60', restore => '' } ],
	[ 'update and back', q{UPDATE t SET a = -a; UPDATE t SET a = -a}, $t, { writes => q{INSERT INTO t (id, b) VALUES (5001, 'later')} } ],
	[ 'update from', 'UPDATE t SET b = u.x FROM (SELECT 5 AS i, $$joined$$ AS x) u WHERE t.id = u.i', $t ],
	[ 'insert, update, delete the same', q{INSERT INTO t VALUES (1001, 1); UPDATE t SET a = 2 WHERE id = 1001; DELETE FROM t WHERE id = 1001; DELETE FROM t WHERE id = 9; INSERT INTO t VALUES (9, 1, 'again'); UPDATE t SET b = 'and again' WHERE id = 9}, $t ],
	[ 'swap keys', 'UPDATE t SET id = 1000 + id WHERE id <= 20; UPDATE t SET id = 1021 - id WHERE id > 1000', $t ],
	[ 'delete cascading', 'DELETE FROM parent WHERE id < 10; UPDATE parent SET id = id + 500 WHERE id BETWEEN 10 AND 20', $keys, { writes => q{INSERT INTO child VALUES (5001, 30, 'later'); UPDATE child SET y = 'later' WHERE id = 30; DELETE FROM child WHERE id = 31} } ],
	[ 'delete parents, clients add children', 'UPDATE parent SET x = $$new$$ WHERE id < 10', $keys, { writes => q{INSERT INTO child VALUES (5001, 5, 'later'); DELETE FROM child WHERE id = 31} } ],
	[ 'select for update', 'SELECT count(*) FROM (SELECT * FROM t WHERE id < 100 FOR UPDATE) x; UPDATE t SET b = $$locked$$ WHERE id < 10', $t ],
	[ 'copy', q{COPY t FROM PROGRAM 'echo 1001,1,copied,3' (FORMAT csv); COPY u FROM PROGRAM 'seq 1 500'}, $t . 'CREATE TABLE u (i int);' ],
	[ 'copy freeze', q{TRUNCATE u; COPY u FROM PROGRAM 'seq 1 500' (FREEZE)}, $t . 'CREATE TABLE u (i int); INSERT INTO u VALUES (7);', { writes => $writes . 'INSERT INTO u VALUES (8000);', as_of => $writes } ],
	[ 'wide values', q{UPDATE t SET b = repeat(md5(id::text), 300) WHERE id BETWEEN 5 AND 15; UPDATE w SET x = 'short' WHERE i < 5; DELETE FROM w WHERE i = 8}, $t . q{CREATE TABLE w (i int PRIMARY KEY, x text, y int); ALTER TABLE w ALTER x SET STORAGE EXTERNAL; INSERT INTO w SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 30) g;}, { writes => $writes . 'UPDATE w SET y = 1 WHERE i = 20;' } ],
	[ 'data, then shape', q{UPDATE t SET b = 'x' WHERE id < 9; ALTER TABLE t ADD n int; UPDATE t SET n = id WHERE id < 5; ALTER TABLE t DROP b; UPDATE t SET c = 0 WHERE id < 7; INSERT INTO t (id, n) VALUES (1001, 5)}, $t, { writes => q{UPDATE t SET a = 100 WHERE id = 50; DELETE FROM t WHERE id = 60} } ],
	[ 'data of views and rules', q{UPDATE v SET b = 'by view' WHERE id < 9; DELETE FROM v WHERE id = 12}, $t . 'CREATE VIEW v AS SELECT id, b FROM t WHERE id < 100;' ],
	[ 'writable with', 'WITH gone AS (DELETE FROM t WHERE id < 9 RETURNING *) INSERT INTO u SELECT * FROM gone', $t . 'CREATE TABLE u (LIKE t INCLUDING INDEXES);' ],
	[ 'null keys', q{UPDATE u SET x = 'new'}, $t . q{CREATE TABLE u (k int UNIQUE, x text); INSERT INTO u VALUES (NULL, 'a'), (NULL, 'b'), (1, 'c'); ALTER TABLE u ADD COLUMN z int DEFAULT 7;} ],
	[ 'deferred unique', 'UPDATE u SET i = i + 1', $t . 'CREATE TABLE u (i int UNIQUE DEFERRABLE, x int); INSERT INTO u SELECT g, g FROM generate_series(1, 50) g;', { writes => $writes . 'INSERT INTO u VALUES (900, 1)' } ],
	[ 'many rows', q{UPDATE u SET x = x || 'y' WHERE i % 2 = 0; DELETE FROM u WHERE i % 10 = 1; INSERT INTO u SELECT g, 'n' FROM generate_series(100001, 110000) g},
		q{CREATE TABLE u (i int PRIMARY KEY, x text); INSERT INTO u SELECT g, 'x' FROM generate_series(1, 20000) g;}, { writes => q{UPDATE u SET x = 'later' WHERE i % 10 = 3 AND i < 100000; INSERT INTO u VALUES (500001, 'later')} } ],
);

sub case
{
	my ($name, $change, $setup, $more) = @_;
	my $is_plain = $setup =~ /CREATE (UNLOGGED )?TABLE t \(id int PRIMARY KEY, a int, b text, c/;

	return {
		name => $name,
		setup => $setup,
		change => $change,
		writes => $is_plain ? $writes : '',
		usable => $is_plain ? q{INSERT INTO t (id, a, b, c) VALUES (9001, 9001, 'usable', 9001)} : 'SELECT 1',
		%{ $more // {} } };
}

sub single_cases
{
	return map { case(@$_) } @schema_changes, @ways, @data_changes;
}

1;

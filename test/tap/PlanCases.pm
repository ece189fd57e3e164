# Cases for 150_plans.pl: what a statement does is the same when it is done
# step by step.  Each is a hash:
#
#     name       for messages
#     setup      statements that make the tables, in a schema of the case's own
#                that is the search_path
#     statement  the one that is compared
#     plan       a pattern of its steps; undef: there is no plan, and it runs
#                under an override
#     from, to   the major versions it is for
#     allowed    an override allows it
#     fails      the data do not allow it: nothing is left behind

package PlanCases;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(plan_cases);

my $t = q{
CREATE TABLE other (id int PRIMARY KEY, x int UNIQUE);
INSERT INTO other SELECT g, g FROM generate_series(1, 500) g;
CREATE TABLE t (id int, a int, b int NOT NULL, c text, d numeric(10,2));
INSERT INTO t SELECT g, g, g % 7, 'text ' || g, g FROM generate_series(1, 500) g;
};
my $p = q{
CREATE TABLE p (id int NOT NULL, a int, k int NOT NULL, c text) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 (c text, k int NOT NULL, gone int, a int, id int NOT NULL);
ALTER TABLE p2 DROP COLUMN gone;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200);
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300) PARTITION BY LIST (id);
CREATE TABLE p3a PARTITION OF p3 FOR VALUES IN (201, 202, 203);
CREATE TABLE p3b PARTITION OF p3 DEFAULT;
INSERT INTO p SELECT g, g, g, 'text ' || g FROM generate_series(1, 299) g;
};
my $d = q{
CREATE TABLE p (id int NOT NULL, k int, c text DEFAULT 'none', CONSTRAINT positive CHECK (id > 0))
	PARTITION BY RANGE (k);
CREATE INDEX ON p (c);
CREATE INDEX p_low ON p (lower(c)) WHERE id > 5;
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE pd PARTITION OF p DEFAULT;
INSERT INTO p SELECT g, g, 'text ' || g FROM generate_series(1, 99) g;
INSERT INTO p SELECT g, g, 'text ' || g FROM generate_series(500, 600) g;
};

my @indexes = (
	[ 'index', 'CREATE INDEX by_a ON t (a)' ],
	[ 'unnamed index', 'CREATE INDEX ON t (a, b DESC NULLS LAST)' ],
	[ 'index with a comment', "/* why */ CREATE INDEX /* not */ by_a ON t (a) -- after" ],
	[ 'unnamed index of expressions', q{CREATE INDEX ON t (lower(c), (a + 1), (b || ',') COLLATE "C", (coalesce(a, b /* , */)))} ],
	[ 'unique index with everything', q{CREATE UNIQUE INDEX ON t USING btree (a, id) INCLUDE (b, c) WITH (fillfactor = 70) WHERE b > 1} ],
	[ 'index of only', 'CREATE INDEX IF NOT EXISTS by_a ON ONLY t (a)', undef, plan => 'CONCURRENTLY by_a' ],
	[ 'brin index', 'CREATE INDEX by_a ON t USING brin (a) WITH (pages_per_range = 2)' ],
	[ 'nulls not distinct', 'CREATE UNIQUE INDEX ON t (a) NULLS NOT DISTINCT' ],
	[ 'index in a tablespace', 'CREATE INDEX ON t (a) TABLESPACE elsewhere' ],
	[ 'name taken', 'CREATE INDEX ON t (a)', 'CREATE TABLE t_a_idx (i int); CREATE VIEW t_a_idx1 AS SELECT 1 AS x;' ],
	[ 'the same column twice', 'CREATE INDEX ON t (a, a, (a))' ],
	[ 'odd names', q{CREATE INDEX ON "If Only" ("Select", "a""b")}, q{CREATE TABLE "If Only" ("Select" int, "a""b" int); INSERT INTO "If Only" SELECT g, g FROM generate_series(1, 100) g;} ],
	[ 'long names', "CREATE INDEX ON " . ('x' x 60) . " (" . ('y' x 60) . ")", "CREATE TABLE " . ('x' x 60) . " (" . ('y' x 60) . " int); INSERT INTO " . ('x' x 60) . " VALUES (1);" ],
);

my @alters = (
	# checks
	[ 'check', 'ADD CHECK (a > 0)' ],
	[ 'checks', 'ADD CHECK (a > 0), ADD CHECK (a < 1000), ADD CHECK (a < b * 1000 + 500)' ],
	[ 'named check', 'ADD CONSTRAINT "Big, or not" CHECK (a > 0 AND c <> $$,;$$) NO INHERIT' ],
	[ 'check, name taken', 'ADD CHECK (a > 0)', 'ALTER TABLE t ADD CONSTRAINT t_a_check CHECK (b >= 0);' ],
	[ 'check and new column', 'ADD CHECK (a > 0), ADD n int DEFAULT 1, ADD CHECK (n > 0)' ],
	[ 'check and default', 'ALTER a SET DEFAULT 7, ADD CHECK (a > 0), ALTER b SET STATISTICS 300, ALTER c SET STORAGE EXTERNAL' ],
	[ 'check replaced', 'DROP CONSTRAINT good, ADD CONSTRAINT good CHECK (a > -5)', 'ALTER TABLE t ADD CONSTRAINT good CHECK (a > 0);' ],
	[ 'unnamed check replaced', 'DROP CONSTRAINT t_a_check, ADD CHECK (a > -5)', 'ALTER TABLE t ADD CHECK (a > 0);' ],
	[ 'check and drop', 'DROP CONSTRAINT good, ADD CHECK (b >= 0)', 'ALTER TABLE t ADD CONSTRAINT good CHECK (a > 0);' ],
	[ 'check of the whole row', 'ADD CHECK (t IS NOT NULL OR id > 0), ADD CHECK (t.a > 0), ADD CHECK (s_check(a))', 'CREATE FUNCTION s_check(int) RETURNS bool LANGUAGE sql IMMUTABLE AS $$SELECT $1 > 0$$;' ],
	[ 'check after a harmless type', 'ALTER c TYPE varchar, ADD CHECK (length(c) < 100)', undef, plan => undef ],
	[ 'check of the row after a harmless type', 'ALTER c TYPE varchar, ADD CHECK (t IS NOT NULL OR id > 0)', undef, plan => undef ],
	[ 'validation after a harmless type', 'ALTER c TYPE varchar, VALIDATE CONSTRAINT short', 'ALTER TABLE t ADD CONSTRAINT short CHECK (length(c) < 100) NOT VALID;', plan => undef ],
	[ 'check beside a harmless type', 'ALTER c TYPE varchar, ADD CHECK (a > 0), ALTER c SET STORAGE EXTERNAL, ALTER b SET DEFAULT 3', undef, plan => 'VALIDATE.* TYPE varchar' ],
	[ 'check and what cannot be taken back', 'ADD CHECK (a > 0), SET (fillfactor = 90), ALTER a SET (n_distinct = 5), ALTER b DROP NOT NULL, REPLICA IDENTITY FULL, OWNER TO CURRENT_USER', 'ALTER TABLE t ALTER a SET NOT NULL;' ],
	[ 'checks named and not valid', 'ADD CHECK (a > 0), ADD CHECK (a > 5) NOT VALID, ADD CONSTRAINT t_a_check2 CHECK (a < 1000) NOT VALID' ],
	# foreign keys
	[ 'foreign key to itself', 'ADD FOREIGN KEY (b) REFERENCES t (id) ON DELETE SET DEFAULT', 'ALTER TABLE t ADD PRIMARY KEY (id); INSERT INTO t VALUES (0, 0, 0);' ],
	[ 'foreign key of two columns', 'ADD FOREIGN KEY (id, a) REFERENCES "O o" (i, j) ON DELETE SET NULL (a)', 'CREATE TABLE "O o" (i int, j int, UNIQUE (i, j)); INSERT INTO "O o" SELECT g, g FROM generate_series(1, 500) g;' ],
	[ 'foreign key', 'ADD FOREIGN KEY (id) REFERENCES other' ],
	[ 'foreign key with everything', 'ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES other (x) MATCH FULL ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED' ],
	[ 'two foreign keys', 'ADD FOREIGN KEY (id) REFERENCES other, ADD FOREIGN KEY (id) REFERENCES other (x)' ],
	[ 'foreign key replaced', 'DROP CONSTRAINT fk, ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES other ON DELETE CASCADE', 'ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES other;' ],
	# NOT NULL
	[ 'not null', 'ALTER a SET NOT NULL' ],
	[ 'not null of some', 'ALTER a SET NOT NULL, ALTER c SET NOT NULL, ADD CHECK (a > 0)' ],
	[ 'not null, proof dropped', 'ALTER a SET NOT NULL, DROP CONSTRAINT proof', 'ALTER TABLE t ADD CONSTRAINT proof CHECK (a IS NOT NULL);' ],
	[ 'not null, check there', 'ALTER a SET NOT NULL', 'ALTER TABLE t ADD CONSTRAINT t_a_not_null_proof CHECK (a > 0);' ],
	# keys
	[ 'unique', 'ADD UNIQUE (a)' ],
	[ 'uniques', 'ADD UNIQUE (a, id), ADD UNIQUE (id) INCLUDE (c, b)' ],
	[ 'unique with everything', 'ADD CONSTRAINT "U U" UNIQUE NULLS NOT DISTINCT (a, id) INCLUDE (b) WITH (fillfactor = 60) USING INDEX TABLESPACE elsewhere DEFERRABLE INITIALLY DEFERRED' ],
	[ 'unique, name taken', 'ADD UNIQUE (a)', 'CREATE TABLE t_a_key (); ALTER TABLE other ADD CONSTRAINT t_a_key1 CHECK (id > 0);' ],
	[ 'primary key', 'ADD PRIMARY KEY (id)' ],
	[ 'primary key of two', 'ADD PRIMARY KEY (b, id) INCLUDE (a)' ],
	[ 'primary key and more', 'ADD CONSTRAINT pk PRIMARY KEY (id), ALTER id SET NOT NULL, ADD UNIQUE (a), ADD COLUMN z text' ],
	[ 'primary key by index', 'ADD CONSTRAINT pk PRIMARY KEY USING INDEX ix', 'CREATE UNIQUE INDEX ix ON t (id);' ],
	[ 'primary key replaced', 'DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (a)', 'ALTER TABLE t ADD PRIMARY KEY (id);' ],
	[ 'primary key deferred', 'ADD PRIMARY KEY (id) DEFERRABLE' ],
	# new columns
	[ 'column with check', q{ADD COLUMN n int CHECK (n > 0) DEFAULT 5} ],
	[ 'column with checks', q{ADD n int DEFAULT 5 CONSTRAINT pos CHECK (n > 0) NOT NULL CHECK (n < b + 9) NO INHERIT} ],
	[ 'column with foreign key', q{ADD COLUMN n int DEFAULT 5 REFERENCES other ON DELETE CASCADE DEFERRABLE} ],
	[ 'column with a named default', q{ADD n int CONSTRAINT d DEFAULT 5 CONSTRAINT nn NOT NULL CONSTRAINT c1 CHECK (n = 5) CONSTRAINT f REFERENCES other (x) MATCH FULL NOT DEFERRABLE CONSTRAINT c2 CHECK (n > 0)} ],
	[ 'column with type modifiers', q{ADD "n, m" numeric(10, 2)[] COLLATE "C" CHECK ("n, m"[1] > 0)} =~ s/ COLLATE "C"//r ],
	[ 'generated column with check', q{ADD g int GENERATED ALWAYS AS (a * 2) STORED CHECK (g > 0)}, undef, plan => undef ],
	[ 'column with nothing to check', q{ADD COLUMN n int REFERENCES other CHECK (n > 0)} ],
	[ 'unique column', q{ADD COLUMN "N n" text COLLATE "C" UNIQUE WITH (fillfactor = 50) DEFERRABLE INITIALLY DEFERRED CHECK ("N n" <> ',')} ],
	[ 'two columns', q{ADD COLUMN n int DEFAULT 5 CHECK (n > 0), ADD m int DEFAULT (1 + 2) CHECK (m > 0)} ],
	[ 'column there already', q{ADD COLUMN IF NOT EXISTS a int DEFAULT 5, ADD CHECK (a > 0)} ],
	[ 'column not there yet', q{ADD COLUMN /* IF NOT */ IF NOT EXISTS "if" int DEFAULT 5 CHECK ("if" > 0) REFERENCES other, ADD IF NOT EXISTS m int}, undef, plan => '^(?!.*EXISTS).* "if" int.* m int.*VALIDATE' ],
);

# [name, statement, setup, pattern of the plan, more]
my @others = (
	[ 'drop index', 'DROP INDEX by_a', "$t CREATE INDEX by_a ON t (a);", 'DROP INDEX CONCURRENTLY' ],
	[ 'drop indexes', 'DROP INDEX IF EXISTS by_a, nothing, "By B"', qq{$t CREATE INDEX by_a ON t (a); CREATE INDEX "By B" ON t (b);}, 'CONCURRENTLY IF EXISTS \S+;.*CONCURRENTLY' ],
	[ 'reindex index', 'REINDEX INDEX by_a', "$t CREATE INDEX by_a ON t (a);", 'CONCURRENTLY' ],
	[ 'reindex table', 'REINDEX (VERBOSE) TABLE t', "$t CREATE INDEX by_a ON t (a); ALTER TABLE t ADD PRIMARY KEY (id);", 'TABLE CONCURRENTLY' ],
	[ 'refresh', 'REFRESH MATERIALIZED VIEW v', "$t CREATE MATERIALIZED VIEW v AS SELECT * FROM t; CREATE UNIQUE INDEX ON v (id); INSERT INTO t VALUES (1000, 0, 0);", 'CONCURRENTLY' ],
	[ 'check of a parent', 'ALTER TABLE t ADD CHECK (a > 0)', "$t CREATE TABLE child (e int) INHERITS (t); INSERT INTO child VALUES (1, 1, 1);", 'VALIDATE' ],
	[ 'not null of a parent', 'ALTER TABLE t ALTER a SET NOT NULL', "$t CREATE TABLE child (e int) INHERITS (t); INSERT INTO child VALUES (1, 1, 1);", 'VALIDATE' ],
	[ 'check there in a child', 'ALTER TABLE t ADD CONSTRAINT pos CHECK (a > 0)', "$t CREATE TABLE child (e int, CONSTRAINT pos CHECK (a > 0)) INHERITS (t); INSERT INTO child VALUES (1, 1, 1);", 'VALIDATE' ],
	[ 'not null of only', 'ALTER TABLE ONLY t ALTER a SET NOT NULL', "$t CREATE TABLE child (e int) INHERITS (t); INSERT INTO child VALUES (1, NULL, 1);", undef, to => 17 ],
	[ 'not null there in a child', 'ALTER TABLE t ALTER a SET NOT NULL, ALTER b SET DEFAULT 3, ADD CHECK (a > 0)', "$t CREATE TABLE child (e int) INHERITS (t); ALTER TABLE child ALTER a SET NOT NULL, ALTER b SET DEFAULT 8; INSERT INTO child VALUES (1, 1, 1);", 'VALIDATE' ],
	[ 'column of a parent', 'ALTER TABLE t ADD n int DEFAULT 5 CHECK (n > 0)', "$t CREATE TABLE child (e int) INHERITS (t); INSERT INTO child VALUES (1, 1, 1);", 'VALIDATE' ],
	[ 'column there in a child', 'ALTER TABLE t ADD n int DEFAULT 5 CHECK (n > 0)', "$t CREATE TABLE child (e int, n int DEFAULT 8) INHERITS (t); INSERT INTO child VALUES (1, 1, 1);", 'VALIDATE' ],
	[ 'check of only', 'ALTER TABLE ONLY t ADD CHECK (a > 0) NO INHERIT', "$t CREATE TABLE child (e int) INHERITS (t); INSERT INTO child VALUES (1, -1, 1);", 'ONLY.*VALIDATE' ],

	# volatile defaults
	[ 'volatile default', q{ALTER TABLE t ADD COLUMN n bigint DEFAULT nextval('s')}, "$t CREATE SEQUENCE s;", 'fill_column' ],
	[ 'volatile default, not null', q{ALTER TABLE t ADD n bigint NOT NULL DEFAULT nextval('s'), ADD m int DEFAULT 3 CHECK (m = 3)}, "$t CREATE SEQUENCE s;", 'fill_column' ],
	[ 'volatile default with key', q{ALTER TABLE t ADD "N" bigint DEFAULT nextval('s') PRIMARY KEY}, "$t CREATE SEQUENCE s;", 'fill_column' ],
	[ 'volatile default with children', q{ALTER TABLE t ADD n bigint DEFAULT nextval('s') * 0 + 1 NOT NULL}, "$t CREATE SEQUENCE s; CREATE TABLE child () INHERITS (t); INSERT INTO child SELECT * FROM t;", 'fill_column' ],
	[ 'volatile default with partitions', q{ALTER TABLE p ADD n bigint NOT NULL DEFAULT nextval('s') * 0 + 1}, "$p CREATE SEQUENCE s;", 'fill_column' ],
	[ 'volatile default, trigger', q{ALTER TABLE t ADD n bigint DEFAULT nextval('s')}, qq{$t CREATE SEQUENCE s; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.c := 1; RETURN new; END'; CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();}, undef ],
	[ 'volatile default, rule', q{ALTER TABLE t ADD n bigint DEFAULT nextval('s')}, "$t CREATE SEQUENCE s; CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING;", undef ],
	[ 'volatile default, published', q{ALTER TABLE t ADD n bigint DEFAULT nextval('s')}, "$t CREATE SEQUENCE s; CREATE PUBLICATION plan_pub FOR TABLE t;", undef ],
	[ 'volatile default, unproven check', q{ALTER TABLE t ADD n bigint DEFAULT nextval('s')}, "$t CREATE SEQUENCE s; ALTER TABLE t ADD CHECK (a > 100) NOT VALID;", undef ],
	[ 'serial', q{ALTER TABLE t ADD n serial}, $t, undef ],
	[ 'identity', q{ALTER TABLE t ADD n int GENERATED ALWAYS AS IDENTITY}, $t, undef ],

	# partitioned tables
	[ 'partitioned index', 'CREATE INDEX ON p (a, lower(c)) INCLUDE (id)', $p, 'ON ONLY.*CONCURRENTLY.*ATTACH' ],
	[ 'partitioned index, some there', 'CREATE INDEX by_a ON p (a) WITH (fillfactor = 80) WHERE id > 3', "$p CREATE INDEX mine ON p1 (a) WHERE id > 3; CREATE INDEX other_one ON p2 (a); CREATE INDEX third ON p3 (a) WHERE id > 3;", 'ATTACH PARTITION \S+mine' ],
	[ 'partitioned index, names taken', 'CREATE INDEX ON p (a)', "$p CREATE TABLE p1_a_idx (i int); CREATE INDEX ON p2 (id, a);", 'p1_a_idx1' ],
	[ 'partitioned unique index', 'CREATE UNIQUE INDEX ON p (k, id)', $p, 'ON ONLY' ],
	[ 'partitioned index of expressions', 'CREATE INDEX ON p ((a + 1), (a + 2), lower(c) text_pattern_ops)', $p, 'ON ONLY' ],
	[ 'partitioned unique', 'ALTER TABLE p ADD UNIQUE (k, id) DEFERRABLE', $p, 'ON ONLY|ONLY.*ATTACH' ],
	[ 'partitioned primary key', 'ALTER TABLE p ADD CONSTRAINT "P K" PRIMARY KEY (k, id) INCLUDE (a) WITH (fillfactor = 75)', $p, 'ONLY.*ATTACH', to => 17 ],
	[ 'partitioned primary key, 18', 'ALTER TABLE p ADD PRIMARY KEY (k, id)', $p, undef, from => 18 ],
	[ 'partitioned primary key, nulls possible', 'ALTER TABLE p ADD PRIMARY KEY (k, id, a)', $p, 'ONLY.*ATTACH', to => 17 ],
	[ 'partitioned unique, some there', 'ALTER TABLE p ADD UNIQUE (k, id)', "$p ALTER TABLE p1 ADD CONSTRAINT mine UNIQUE (k, id); CREATE UNIQUE INDEX not_enough ON p2 (k, id);", 'ATTACH PARTITION \S+mine' ],
	[ 'partitioned check', 'ALTER TABLE p ADD CHECK (a > 0)', $p, 'VALIDATE' ],
	[ 'partitioned not null', 'ALTER TABLE p ALTER a SET NOT NULL', $p, 'VALIDATE' ],
	[ 'partitioned foreign key', 'ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES other', "$p CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other SELECT generate_series(1, 500);", 'VALIDATE', from => 18 ],
	[ 'detach', 'ALTER TABLE p DETACH PARTITION p2', $p, 'CONCURRENTLY.*DROP CONSTRAINT' ],
	[ 'detach a tree', 'ALTER TABLE p DETACH PARTITION p3', $p, 'CONCURRENTLY' ],
	[ 'detach, proven', 'ALTER TABLE p DETACH PARTITION p1', "$p ALTER TABLE p1 ADD CONSTRAINT b CHECK (k >= 0 AND k < 100);", 'CONCURRENTLY' ],
	[ 'detach by hash', 'ALTER TABLE h DETACH PARTITION h1', "CREATE TABLE h (i int, j int) PARTITION BY HASH (i, j); CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE h2 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO h SELECT g, g FROM generate_series(1, 500) g;", 'CONCURRENTLY' ],
	[ 'detach, name taken', 'ALTER TABLE p DETACH PARTITION l1', "CREATE TABLE p (i int) PARTITION BY LIST (i); CREATE TABLE l1 PARTITION OF p FOR VALUES IN (1, NULL); INSERT INTO p VALUES (1); ALTER TABLE l1 ADD CONSTRAINT l1_i_check CHECK (i < 5);", 'CONCURRENTLY.*l1_i_check1' ],
	[ 'partitioned not null, there in a partition', 'ALTER TABLE p ALTER a SET NOT NULL', "$p ALTER TABLE p1 ALTER a SET NOT NULL;", 'VALIDATE' ],
	[ 'partitioned column', 'ALTER TABLE p ADD n int DEFAULT 5 CHECK (n > 0) CHECK (n < k + 9)', $p, 'VALIDATE' ],
	[ 'detach with keys', 'ALTER TABLE p DETACH PARTITION p1', "$p CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other SELECT generate_series(1, 500); ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES other; ALTER TABLE p ADD UNIQUE (k, id); CREATE INDEX ON p (a);", 'CONCURRENTLY' ],
	[ 'attach with two indexes alike', 'ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (300) TO (400)', "$p CREATE TABLE q (LIKE p); INSERT INTO q SELECT g, g, g FROM generate_series(300, 399) g; CREATE INDEX i1 ON p (a); CREATE INDEX i2 ON p (a);", undef ],
	[ 'partition beside a default', 'CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200)', $d, 'LIKE.*ATTACH' ],
	[ 'partition with everything', q{CREATE TABLE "P 2" PARTITION OF p FOR VALUES FROM (100) TO (200) PARTITION BY LIST (id)}, "$d CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER tr AFTER UPDATE ON p FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE p ADD g int GENERATED ALWAYS AS (id + 1) STORED; ALTER TABLE p ALTER c SET STORAGE EXTERNAL; ALTER TABLE p ADD UNIQUE (k, id);", 'LIKE.*ATTACH' ],
	[ 'partition by list beside a default', q{CREATE UNLOGGED TABLE l2 PARTITION OF l FOR VALUES IN ('b', 'c,') WITH (fillfactor = 70)}, q{CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1); CREATE TABLE l (i int REFERENCES other, t text, PRIMARY KEY (i, t)) PARTITION BY LIST (t); CREATE TABLE l1 PARTITION OF l FOR VALUES IN ('a'); CREATE TABLE ld PARTITION OF l DEFAULT PARTITION BY RANGE (i); CREATE TABLE ld1 PARTITION OF ld DEFAULT; INSERT INTO l VALUES (1, 'x'), (1, 'a');}, 'LIKE.*ATTACH' ],
	[ 'partition with identity', 'CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200)', "CREATE TABLE p (i int GENERATED BY DEFAULT AS IDENTITY, k int NOT NULL) PARTITION BY RANGE (k); CREATE TABLE pd PARTITION OF p DEFAULT; INSERT INTO p (k) VALUES (500);", 'LIKE.*ATTACH' ],
	[ 'attach', 'ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (100) TO (200)', "$d CREATE TABLE q (c text, k int, x int, id int NOT NULL CONSTRAINT positive CHECK (id > 0)); ALTER TABLE q DROP x; INSERT INTO q SELECT 'x', g, g FROM generate_series(100, 199) g; CREATE INDEX mine ON q (c);", 'VALIDATE.*CONCURRENTLY.*ATTACH' ],
	[ 'attach without a default', 'ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (300) TO (400)', "$p CREATE TABLE q (LIKE p); INSERT INTO q SELECT g, g, g FROM generate_series(300, 399) g; CREATE INDEX ON p (a);", 'VALIDATE.*CONCURRENTLY.*ATTACH' ],

	# rewrites
	[ 'vacuum full', 'VACUUM FULL t', "$t ALTER TABLE t ADD PRIMARY KEY (id); CREATE INDEX ON t (lower(c)); DELETE FROM t WHERE a % 2 = 0;", 'REPACK .CONCURRENTLY', from => 19 ],
	[ 'cluster', 'CLUSTER t USING "By A"', qq{$t ALTER TABLE t ADD PRIMARY KEY (id); CREATE INDEX "By A" ON t (a);}, 'REPACK .CONCURRENTLY.*By A', from => 19 ],
	[ 'cluster again', 'CLUSTER t', qq{$t ALTER TABLE t ADD PRIMARY KEY (id), CLUSTER ON t_pkey;}, 'REPACK .CONCURRENTLY', from => 19 ],
	[ 'repack', 'REPACK t', qq{$t ALTER TABLE t ADD PRIMARY KEY (id), CLUSTER ON t_pkey;}, 'REPACK .CONCURRENTLY', from => 19 ],
	[ 'cluster without a key', 'CLUSTER t USING by_a', qq{$t CREATE INDEX by_a ON t (a);}, undef ],
	[ 'vacuum full before 19', 'VACUUM FULL t', "$t ALTER TABLE t ADD PRIMARY KEY (id);", undef, to => 18 ],

	# drops
	[ 'drop table with keys', 'DROP TABLE b, c', "CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int PRIMARY KEY REFERENCES a, j int REFERENCES a); CREATE TABLE c (i int REFERENCES b, j int REFERENCES a); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1);", 'DROP CONSTRAINT.*DROP (TABLE|COLUMN)', allowed => 1 ],
	[ 'drop table, cascade', 'DROP TABLE IF EXISTS b CASCADE', "CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int PRIMARY KEY REFERENCES a, j int REFERENCES a); CREATE TABLE c (i int REFERENCES b, j int REFERENCES a); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1); CREATE VIEW v AS SELECT * FROM b;", 'DROP CONSTRAINT.*DROP (TABLE|COLUMN)', allowed => 1 ],
	[ 'drop column with keys', 'ALTER TABLE c DROP COLUMN i', "CREATE TABLE a (i int, j int, PRIMARY KEY (i, j)); CREATE TABLE c (i int, j int, k int, FOREIGN KEY (i, k) REFERENCES a, FOREIGN KEY (j, k) REFERENCES a); INSERT INTO a VALUES (1); INSERT INTO c VALUES (1);" =~ s/VALUES \(1\)/VALUES (1, 1)/r, 'DROP CONSTRAINT.*DROP (TABLE|COLUMN)', allowed => 1 ],

	# types
	[ 'type with a check', 'ALTER TABLE t ALTER v TYPE varchar(50)', "$t ALTER TABLE t ADD v varchar(20) DEFAULT 'x', ADD CONSTRAINT short CHECK (length(v) < 10), ADD CHECK (v <> c);", 'DROP CONSTRAINT.*NOT VALID.*VALIDATE' ],
	[ 'type with a check, commented', 'ALTER TABLE t ALTER v TYPE varchar(50)', "$t ALTER TABLE t ADD v varchar(20) DEFAULT 'x', ADD CONSTRAINT short CHECK (length(v) < 10); COMMENT ON CONSTRAINT short ON t IS 'x';", undef ],
	[ 'type that rewrites', 'ALTER TABLE t ALTER a TYPE bigint', $t, undef ],
	[ 'exclusion', 'ALTER TABLE t ADD EXCLUDE USING btree (a WITH =)', $t, undef ],
	[ 'domain', 'ALTER DOMAIN dom ADD CHECK (VALUE > 0)', "CREATE DOMAIN dom AS int; CREATE TABLE u (i dom); INSERT INTO u VALUES (1);", undef ],
);

# [name, statement, setup, pattern of the plan]: the data do not allow it
my @failures = (
	[ 'check', 'ALTER TABLE t ADD n int, ALTER a SET DEFAULT 3, ALTER b SET STATISTICS 20, ADD CHECK (a < 100)', $t, 'VALIDATE' ],
	[ 'check beside others', 'ALTER TABLE t ADD CHECK (a > 0), ADD CONSTRAINT no CHECK (a > 100), ADD UNIQUE (a), ALTER a SET NOT NULL', $t, 'VALIDATE' ],
	[ 'default restored', 'ALTER TABLE t ALTER c SET DEFAULT lower($$A, b$$), ALTER a DROP DEFAULT, ADD CHECK (a < 100)', "$t ALTER TABLE t ALTER a SET DEFAULT 1 + 2, ALTER c SET DEFAULT 'x'::text || ','; ", 'VALIDATE' ],
	[ 'not null', 'ALTER TABLE t ALTER a SET NOT NULL, ALTER b SET NOT NULL', "$t INSERT INTO t VALUES (1000, NULL, 1);", 'VALIDATE' ],
	[ 'foreign key', 'ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES other', "$t INSERT INTO t VALUES (1000, NULL, 1);", 'VALIDATE' ],
	[ 'harmless type', 'ALTER TABLE t ALTER c TYPE varchar, ALTER c SET STORAGE EXTERNAL, ADD CHECK (a > 100)', $t, 'VALIDATE' ],
	[ 'unique index', 'CREATE UNIQUE INDEX ON t (b)', $t, 'CONCURRENTLY' ],
	[ 'unique', 'ALTER TABLE t ADD CHECK (a > 0), ADD UNIQUE (a), ADD CONSTRAINT "No" UNIQUE (b)', $t, 'CONCURRENTLY' ],
	[ 'primary key', 'ALTER TABLE t ADD PRIMARY KEY (b), ADD n int DEFAULT 5 CHECK (n = 5)', $t, 'CONCURRENTLY' ],
	[ 'primary key with nulls', 'ALTER TABLE t ADD PRIMARY KEY (a)', "$t INSERT INTO t VALUES (1000, NULL, 1);", 'CONCURRENTLY' ],
	[ 'key replaced', 'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (b)', "$t ALTER TABLE t ADD PRIMARY KEY (id);", 'CONCURRENTLY' ],
	[ 'new column', 'ALTER TABLE t ADD n int DEFAULT 5 CHECK (n < 5)', $t, 'VALIDATE' ],
	[ 'new unique column', 'ALTER TABLE t ADD n int DEFAULT 5 UNIQUE', $t, 'CONCURRENTLY' ],
	[ 'volatile default', q{ALTER TABLE t ADD n bigint DEFAULT nextval('s') CHECK (n < 100)}, "$t CREATE SEQUENCE s;", 'fill_column' ],
	[ 'partitioned unique', 'ALTER TABLE p ADD UNIQUE (k, a)', "$p UPDATE p SET a = 0; INSERT INTO p VALUES (203, 0, 203);", 'ATTACH' ],
	[ 'partitioned unique index', 'CREATE UNIQUE INDEX ON p (k, id)', "$p CREATE UNIQUE INDEX mine ON p1 (k, id); INSERT INTO p VALUES (203, 0, 203);", 'ATTACH' ],
	[ 'partitioned primary key', 'ALTER TABLE p ADD PRIMARY KEY (k, id, a)', "$p INSERT INTO p VALUES (203, NULL, 203);", 'ATTACH', to => 17 ],
	[ 'partition', 'CREATE TABLE p5 PARTITION OF p FOR VALUES FROM (500) TO (510)', $d, 'LIKE' ],
	[ 'attach', 'ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (500) TO (510)', "$d CREATE TABLE q (LIKE p INCLUDING CONSTRAINTS); INSERT INTO q VALUES (1, 501);", 'ATTACH' ],
	[ 'attach, wrong rows', 'ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (100) TO (110)', "$d CREATE TABLE q (LIKE p INCLUDING CONSTRAINTS); INSERT INTO q VALUES (1, 1);", 'ATTACH' ],
);

sub plan_cases
{
	my @cases;

	push @cases, map {
		my ($name, $statement, $setup, @more) = @$_;
		{ name => $name, statement => $statement, setup => $t . ($setup // ''), plan => 'CONCURRENTLY', @more }
	} @indexes;
	push @cases, map {
		my ($name, $actions, $setup, @more) = @$_;
		{ name => $name, statement => "ALTER TABLE t $actions", setup => $t . ($setup // ''),
			plan => 'VALIDATE|CONCURRENTLY', @more }
	} @alters;
	push @cases, map {
		my ($name, $statement, $setup, $plan, @more) = @$_;
		{ name => $name, statement => $statement, setup => $setup, plan => $plan, @more }
	} @others;
	push @cases, map {
		my ($name, $statement, $setup, $plan, @more) = @$_;
		{ name => "fails: $name", statement => $statement, setup => $setup, plan => $plan, fails => 1, @more }
	} @failures;
	return @cases;
}

1;

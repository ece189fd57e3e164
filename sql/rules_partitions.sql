--
-- Partitions: what is refused, and its harmless twin.
--
CREATE SCHEMA partitions;
SET search_path = partitions, public;

CREATE TABLE parent (id int, t text) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF parent FOR VALUES FROM (1) TO (100000);
INSERT INTO parent SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE loose (id int, t text);
INSERT INTO loose SELECT g, repeat('x', 80) FROM generate_series(100000, 120000) g;
CREATE TABLE loose_empty (id int, t text);

-- sizes are those of the whole tree
SELECT verdict('CREATE INDEX ON parent (id)');
SELECT verdict('CREATE INDEX ON ONLY parent (id)');
SELECT verdict('ALTER TABLE parent ALTER id TYPE bigint');
SELECT verdict('ALTER TABLE parent ADD CHECK (id > 0)');
SELECT verdict('TRUNCATE parent');

-- attach_partition
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose FOR VALUES FROM (100000) TO (200000)');
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose_empty FOR VALUES FROM (100000) TO (200000)');
ALTER TABLE loose ADD CONSTRAINT bound
	CHECK (id IS NOT NULL AND id >= 100000 AND id < 200000) NOT VALID;
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose FOR VALUES FROM (100000) TO (200000)');
ALTER TABLE loose VALIDATE CONSTRAINT bound;
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose FOR VALUES FROM (100000) TO (200000)');
-- an index of the parent that the partition lacks
CREATE INDEX parent_id ON ONLY parent (id);
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose FOR VALUES FROM (100000) TO (200000)');
CREATE INDEX CONCURRENTLY loose_id ON loose (id);
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose FOR VALUES FROM (100000) TO (200000)');

-- create_partition
SELECT verdict('CREATE TABLE p2 PARTITION OF parent FOR VALUES FROM (100000) TO (200000)');
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose DEFAULT');
ALTER TABLE loose DROP CONSTRAINT bound;
SELECT verdict('ALTER TABLE parent ATTACH PARTITION loose DEFAULT');
ALTER TABLE loose ADD CONSTRAINT bound
	CHECK (id IS NOT NULL AND id >= 100000 AND id < 200000) NOT VALID;
ALTER TABLE loose VALIDATE CONSTRAINT bound;
ALTER TABLE parent ATTACH PARTITION loose DEFAULT;
SELECT verdict('CREATE TABLE p3 PARTITION OF parent FOR VALUES FROM (300000) TO (400000)');
SELECT verdict('CREATE TABLE p2 PARTITION OF parent FOR VALUES FROM (200000) TO (300000)');
ALTER TABLE loose DROP CONSTRAINT bound;
SELECT verdict('CREATE TABLE p2 PARTITION OF parent FOR VALUES FROM (200000) TO (300000)');

-- detach_partition
SET client_min_messages = error;
SELECT verdict('ALTER TABLE parent DETACH PARTITION p1');
SET safe_migrate.rules = 'detach_partition:reject';
SELECT verdict('ALTER TABLE parent DETACH PARTITION p1');
RESET client_min_messages;
CREATE TABLE hollow (id int) PARTITION BY RANGE (id);
CREATE TABLE h1 PARTITION OF hollow FOR VALUES FROM (1) TO (2);
SELECT verdict('ALTER TABLE hollow DETACH PARTITION h1');
RESET safe_migrate.rules;

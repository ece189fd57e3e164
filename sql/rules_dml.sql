--
-- UPDATE and DELETE without WHERE, and the limit of rows: off until asked for.
--
CREATE SCHEMA dml;
SET search_path = dml, public;

CREATE TABLE t (id int PRIMARY KEY, a int, b text) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT g, g, 'b' FROM generate_series(1, 100) g;
CREATE TABLE s (id int PRIMARY KEY, a int);
INSERT INTO s SELECT g, g FROM generate_series(1, 50) g;
CREATE TABLE empty (id int, a int);
CREATE TABLE parent (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE child_1 PARTITION OF parent FOR VALUES FROM (1) TO (50);
CREATE TABLE child_2 PARTITION OF parent FOR VALUES FROM (50) TO (200);
INSERT INTO parent SELECT g, g FROM generate_series(1, 100) g;
ANALYZE t, s, parent;

-- nobody asked for them
SELECT verdict('UPDATE t SET a = 1');
SELECT verdict('DELETE FROM t');

SET safe_migrate.rules = 'update_without_where:reject, delete_without_where:reject';

-- no condition, or none that is left when the planner has simplified it
SELECT verdict('UPDATE t SET a = 1');
SELECT verdict('DELETE FROM t');
SELECT verdict('DELETE FROM t RETURNING id');
SELECT verdict('UPDATE t SET a = 1 WHERE true');
SELECT verdict('DELETE FROM t WHERE 1 = 1');
SELECT verdict('DELETE FROM t WHERE 1 = 1 OR id = 5');
SELECT verdict('DELETE FROM t WHERE NOT false AND length(''x'') > 0');
CREATE FUNCTION yes() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
SELECT verdict('DELETE FROM t WHERE yes()');
SELECT verdict('UPDATE ONLY t SET a = 1');
SELECT verdict('UPDATE t AS x SET a = x.a + 1');
-- conditions
SELECT verdict('UPDATE t SET a = 1 WHERE id = 5');
SELECT verdict('UPDATE t SET a = 1 WHERE a > 0');
SELECT verdict('DELETE FROM t WHERE id IN (1, 2)');
SELECT verdict('DELETE FROM t WHERE false');
SELECT verdict('DELETE FROM t WHERE ctid = ''(0,1)''');
SELECT verdict('DELETE FROM t WHERE ctid < ''(0,9)''');
SELECT verdict('DELETE FROM t WHERE random() > 2');
SELECT verdict('DELETE FROM t WHERE EXISTS (SELECT FROM s WHERE s.id = t.id)');
SELECT verdict('DELETE FROM t WHERE NOT EXISTS (SELECT FROM s WHERE s.id = t.id)');
SELECT verdict('DELETE FROM t WHERE a = (SELECT max(a) FROM s)');
SELECT verdict('DELETE FROM t WHERE a IN (SELECT a FROM s)');
SELECT verdict('DELETE FROM t WHERE (SELECT count(*) FROM s) > 1000');
-- an index, and each kind of join
SET enable_seqscan = off;
SELECT verdict('DELETE FROM t WHERE id > 0');
SELECT verdict('DELETE FROM t');
RESET enable_seqscan;
SET enable_bitmapscan = off;
SELECT verdict('UPDATE t SET a = s.a FROM s WHERE s.id = t.id');
SET enable_hashjoin = off;
SELECT verdict('UPDATE t SET a = s.a FROM s WHERE s.id = t.id');
SET enable_mergejoin = off;
SELECT verdict('UPDATE t SET a = s.a FROM s WHERE s.id = t.id');
SELECT verdict('UPDATE t SET a = s.a FROM s WHERE s.id = t.id AND s.a = 3');
SELECT verdict('UPDATE t SET a = s.a FROM s WHERE s.a < t.a');
SELECT verdict('UPDATE t SET a = p.a FROM parent p WHERE p.id = t.id');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_bitmapscan;
-- a condition that is only about another table
SELECT verdict('UPDATE t SET a = s.a FROM s');
SELECT verdict('UPDATE t SET a = s.a FROM s WHERE s.id = 7');
SELECT verdict('DELETE FROM t USING (SELECT * FROM s WHERE id < 5 ORDER BY a LIMIT 3) x');
SELECT verdict('DELETE FROM t USING (SELECT * FROM s WHERE id < 5 ORDER BY a LIMIT 3) x WHERE x.id = t.id');
-- with WITH
SELECT verdict('WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone');
SELECT verdict('WITH gone AS (DELETE FROM t WHERE id = 1 RETURNING *) SELECT count(*) FROM gone');
SELECT verdict('WITH x AS (UPDATE t SET a = 1 RETURNING *) INSERT INTO s SELECT id + 1000, a FROM x');
-- a partition tree
SELECT verdict('DELETE FROM parent');
SELECT verdict('UPDATE parent SET a = 1 WHERE id = 3');
SELECT verdict('DELETE FROM child_1');
SELECT verdict('DELETE FROM parent WHERE id < 1000 AND a > 2');
-- a view
CREATE VIEW few AS SELECT * FROM t WHERE id < 10;
CREATE VIEW every AS SELECT * FROM t;
SELECT verdict('DELETE FROM few');
SELECT verdict('DELETE FROM every');
-- MERGE says what it does with each row
SELECT verdict('MERGE INTO t USING s ON s.id = t.id WHEN MATCHED THEN UPDATE SET a = s.a');

-- inside functions, DO and triggers
SELECT verdict('DO $$BEGIN UPDATE t SET a = 1; END$$');
SELECT verdict('DO $$BEGIN EXECUTE ''DELETE FROM t''; END$$');
SELECT verdict('DO $$BEGIN FOR i IN 1..3 LOOP UPDATE t SET a = i WHERE id = i; END LOOP; END$$');
CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM t';
SELECT verdict('SELECT wipe()');
CREATE FUNCTION clear_t() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN DELETE FROM t; RETURN NULL; END';
CREATE TRIGGER clear AFTER INSERT ON s EXECUTE FUNCTION clear_t();
SELECT verdict('INSERT INTO s VALUES (999, 1)');
DROP TRIGGER clear ON s;

-- prepared: judged when it runs, by whatever rule is on then
SET safe_migrate.rules = '';
PREPARE upd (int) AS UPDATE t SET a = $1;
PREPARE del (boolean, int) AS DELETE FROM t WHERE $1 OR id = $2;
BEGIN;
EXECUTE upd (1);
ROLLBACK;
SET safe_migrate.rules = 'update_without_where:reject, delete_without_where:reject';
EXECUTE upd (1);
SET plan_cache_mode = force_generic_plan;
EXECUTE upd (1);
BEGIN;
EXECUTE del (false, 1);
ROLLBACK;
SET plan_cache_mode = force_custom_plan;
BEGIN;
EXECUTE del (false, 1);
ROLLBACK;
-- true here and now, as far as the planner knows
EXECUTE del (true, 1);
RESET plan_cache_mode;
-- EXPLAIN runs nothing, with ANALYZE it does
EXPLAIN (COSTS off) DELETE FROM t;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM t;

-- tables that are nobody's business
BEGIN;
CREATE TABLE fresh AS SELECT * FROM t;
UPDATE fresh SET a = 1;
DELETE FROM fresh;
ROLLBACK;
CREATE TEMP TABLE temporary AS SELECT * FROM t;
DELETE FROM temporary;
SELECT verdict('DELETE FROM empty');
CREATE TABLE schema_migrations (version text);
INSERT INTO schema_migrations VALUES ('1');
SELECT verdict('DELETE FROM schema_migrations');
-- references are kept by conditions
CREATE TABLE detail (id int, s_id int REFERENCES s ON DELETE CASCADE);
INSERT INTO detail VALUES (1, 1);
SELECT verdict('DELETE FROM s WHERE id = 1');

-- the whole error
UPDATE t SET a = 1;
SELECT 1; DELETE FROM t
WHERE true;
DO $$
BEGIN
	DELETE FROM t;
END$$;
-- with a reason; other actions
BEGIN;
/* safe_migrate: override ticket 12 */ DELETE FROM t;
ROLLBACK;
BEGIN;
SET LOCAL safe_migrate.override = 'ticket 13';
DELETE FROM t;
ROLLBACK;
-- one that needs no reason does not use it up
SET safe_migrate.override = 'ticket 14';
UPDATE t SET a = a WHERE id = 1;
UPDATE t SET a = a;
UPDATE t SET a = a;
SET safe_migrate.rules = 'update_without_where:note, delete_without_where:warn';
BEGIN;
UPDATE t SET a = 1;
DELETE FROM t;
ROLLBACK;
SET safe_migrate.rules = 'update_without_where:reject';
SET safe_migrate.mode = warn;
UPDATE t SET a = a;
SET safe_migrate.mode = observe;
UPDATE t SET a = a;
SET safe_migrate.mode = off;
UPDATE t SET a = a;
RESET safe_migrate.mode;
-- migrate.policy turns it on, for a table; the session hears of it
SET safe_migrate.rules = '';
INSERT INTO migrate.policy (rule, schema_name, table_name, action)
VALUES ('delete_without_where', 'dml', 's', 'reject');
SELECT verdict('DELETE FROM t');
SELECT verdict('DELETE FROM s');
-- a row without a rule does not turn it on, but may silence it
INSERT INTO migrate.policy (schema_name, action) VALUES ('dml', 'reject');
SELECT verdict('DELETE FROM t');
SET safe_migrate.rules = 'delete_without_where:reject';
SELECT verdict('DELETE FROM t');
UPDATE migrate.policy SET action = 'allow' WHERE rule IS NULL;
SELECT verdict('DELETE FROM t');
DELETE FROM migrate.policy;
SELECT verdict('DELETE FROM t');
RESET safe_migrate.rules;
SELECT verdict('DELETE FROM s');

-- row_limit
SET safe_migrate.row_limit = 10;
SELECT verdict('UPDATE t SET a = 1');
SELECT verdict('UPDATE t SET a = 1 WHERE id <= 10');
SELECT verdict('UPDATE t SET a = 1 WHERE id <= 11');
SELECT verdict('DELETE FROM t WHERE id <= 11');
SELECT verdict('DELETE FROM t WHERE id <= 11 RETURNING id');
SELECT verdict('INSERT INTO t SELECT g, 1 FROM generate_series(1000, 1100) g');
SELECT verdict('MERGE INTO t USING s ON s.id = t.id WHEN MATCHED THEN UPDATE SET a = s.a');
SELECT verdict('MERGE INTO t USING s ON s.id + 90 = t.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id + 1000)');
SELECT verdict('MERGE INTO t USING s ON s.id = t.id WHEN MATCHED AND s.id < 5 THEN DELETE WHEN MATCHED THEN DO NOTHING');
SELECT verdict('WITH x AS (DELETE FROM t WHERE id <= 11 RETURNING *) SELECT 1');
SELECT verdict('WITH x AS (DELETE FROM t WHERE id <= 10 RETURNING *) SELECT 1');
SELECT verdict('DELETE FROM parent WHERE id BETWEEN 45 AND 55');
SELECT verdict('UPDATE parent SET id = 101 WHERE id = 1');
SELECT verdict('DO $$BEGIN FOR i IN 1..20 LOOP UPDATE t SET a = i WHERE id = i; END LOOP; END$$');
SELECT verdict('DO $$BEGIN UPDATE t SET a = 1; END$$');
-- rows that a trigger keeps as they are do not count
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keep();
SELECT verdict('UPDATE t SET a = 1');
DROP TRIGGER keep ON t;
-- a size that does not depend on when dead rows could be pruned
BEGIN;
SET LOCAL safe_migrate.mode = off;
TRUNCATE t;
INSERT INTO t SELECT g, g, 'b' FROM generate_series(1, 100) g;
COMMIT;
PREPARE lower_ids (int) AS DELETE FROM t WHERE id <= $1;
BEGIN;
EXECUTE lower_ids (10);
EXECUTE lower_ids (30);
ROLLBACK;
-- nothing of it is kept
SELECT count(*) FROM t;
DELETE FROM t WHERE id > 5;
SELECT count(*) FROM t;
BEGIN;
SET LOCAL safe_migrate.override = 'ticket 15';
DELETE FROM t;
ROLLBACK;
SET safe_migrate.rules = 'row_limit:warn';
BEGIN;
DELETE FROM t;
ROLLBACK;
SET safe_migrate.rules = 'row_limit:allow';
BEGIN;
DELETE FROM t;
ROLLBACK;
RESET safe_migrate.rules;
-- REFRESH is not an UPDATE; what a foreign key deletes counts by itself
CREATE TABLE r AS SELECT id, a FROM t;
CREATE MATERIALIZED VIEW m AS SELECT id, a FROM r;
CREATE UNIQUE INDEX m_id ON m (id);
SET safe_migrate.row_limit = 0;
UPDATE r SET a = a + 1;
SET safe_migrate.row_limit = 10;
REFRESH MATERIALIZED VIEW CONCURRENTLY m;
DROP MATERIALIZED VIEW m;
INSERT INTO detail SELECT g, 2 FROM generate_series(1, 20) g;
SELECT verdict('DELETE FROM s WHERE id = 2');
SELECT verdict('DELETE FROM s WHERE id = 1');
-- PostgreSQL's own errors come first
CREATE ROLE stranger;
GRANT USAGE ON SCHEMA dml TO stranger;
SET safe_migrate.rules = 'delete_without_where:reject';
SET ROLE stranger;
SELECT verdict('DELETE FROM t');
RESET ROLE;
GRANT SELECT, DELETE ON t TO stranger;
SET ROLE stranger;
SELECT verdict('DELETE FROM t');
RESET ROLE;
DROP OWNED BY stranger;
DROP ROLE stranger;
-- both rules, and an error in the middle
SET safe_migrate.rules = 'delete_without_where:warn';
DELETE FROM t;
UPDATE t SET a = 1 / (id - 3);
UPDATE t SET a = a WHERE id < 5;
RESET safe_migrate.rules;
RESET safe_migrate.row_limit;
SELECT verdict('DELETE FROM t');

-- on record
SELECT outcome, rule, command, relation, reason, count(*) FROM migrate.decisions
WHERE rule IN ('update_without_where', 'delete_without_where', 'row_limit')
AND relation LIKE 'dml.%'
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;

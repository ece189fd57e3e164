--
-- What is learned from statements that have run, and what is not.
--
CREATE SCHEMA rates;
SET search_path = rates, public;
\set VERBOSITY terse
SET safe_migrate.rules = 'add_check:allow, add_column_rewrite:allow, add_foreign_key:allow, create_index:allow, reindex:allow, set_not_null:allow, vacuum_full:allow, refresh_materialized_view:allow';

-- 12 MB, and 3 MB; no autovacuum, whose lock somebody would wait for
CREATE TABLE big (id int, t text) WITH (autovacuum_enabled = off);
INSERT INTO big SELECT g, repeat('x', 370) FROM generate_series(1, 30000) g;
CREATE TABLE medium (id int, t text) WITH (autovacuum_enabled = off);
INSERT INTO medium SELECT g, repeat('x', 370) FROM generate_series(1, 7500) g;
CREATE TABLE ids (id int PRIMARY KEY);
INSERT INTO ids SELECT g FROM generate_series(1, 30000) g;

-- What is known, in terms of the table.
CREATE FUNCTION known(OUT work text, OUT samples bigint, OUT tables numeric,
					  OUT plausible boolean)
RETURNS SETOF record LANGUAGE SQL AS $$
	SELECT r.work, r.samples,
		round(r.bytes_seen / pg_relation_size('rates.big')::numeric),
		r.bytes_per_second BETWEEN 100000 AND 17179869184
			AND r.last_learned_at BETWEEN now() AND clock_timestamp()
	FROM migrate.work_rates r
$$;

SELECT migrate.forget_work_rates();
SELECT * FROM known();

-- each kind of work
BEGIN;
ALTER TABLE big ADD CHECK (id > 0);
CREATE INDEX big_id ON big (id);
REINDEX TABLE big;
ALTER TABLE big ADD FOREIGN KEY (id) REFERENCES ids;
ALTER TABLE big ADD c int DEFAULT random();
SELECT * FROM known();
ROLLBACK;

-- in functions, and as a step
SELECT migrate.forget_work_rates();
BEGIN;
DO 'BEGIN ALTER TABLE rates.big ALTER t SET NOT NULL; END';
SELECT * FROM known();
COMMIT;
CALL migrate.run('ALTER TABLE rates.big ADD CONSTRAINT positive CHECK (id > 0)');
SELECT work, samples, tables FROM known();
VACUUM (FULL) big;
SELECT work, samples, tables FROM known();

-- two checks are one scan, two indexes are two builds
SELECT migrate.forget_work_rates();
ALTER TABLE big ADD CHECK (id > 1 - 1), ADD CHECK (id > 2 - 2);
SELECT work, samples, tables FROM known();
SET safe_migrate.rules = 'add_unique:allow, create_index:allow';
ALTER TABLE big ADD UNIQUE (id), ADD UNIQUE (id, t);
SELECT work, samples, tables FROM known() WHERE work = 'index_build';
SELECT migrate.forget_work_rates();

-- nothing: too small, failed, a query, no work of its own, done by nobody
SET safe_migrate.rules = 'add_check:allow, add_column_rewrite:allow, add_unique:allow, create_index:allow, refresh_materialized_view:allow';
ALTER TABLE medium ADD CHECK (id > 0);
ALTER TABLE big ADD CHECK (id < 0);
CREATE MATERIALIZED VIEW copy AS SELECT id, t FROM big;
REFRESH MATERIALIZED VIEW copy;
ALTER TABLE big ADD CONSTRAINT later CHECK (id > 0) NOT VALID;
SELECT count(*) FROM migrate.check('ALTER TABLE rates.big ADD COLUMN c int DEFAULT random()');
SELECT * FROM known();

-- nor: two kinds of work, temporary tables, and where nothing is judged
ALTER TABLE big ADD CHECK (id > 5 - 5), ADD UNIQUE (id);
CREATE TEMP TABLE passing AS SELECT * FROM big;
CREATE INDEX ON passing (id);
SET safe_migrate.mode = off;
CREATE INDEX unseen ON big (id);
RESET safe_migrate.mode;
SELECT * FROM known();

-- one that is much slower than the others does not spoil the rate
CREATE FUNCTION slow(id int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF id = 1 THEN
		PERFORM pg_sleep(1);
	END IF;
	RETURN true;
END $$;
CREATE FUNCTION quick(id int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF id = 0 THEN
		PERFORM pg_sleep(1);
	END IF;
	RETURN true;
END $$;
ALTER TABLE big ADD CHECK (quick(id));
ALTER TABLE big ADD CHECK (quick(id));
ALTER TABLE big ADD CHECK (quick(id));
ALTER TABLE big DROP CONSTRAINT big_id_check;
SELECT bytes_per_second AS before FROM migrate.work_rates WHERE work = 'scan' \gset
ALTER TABLE big ADD CONSTRAINT is_slow CHECK (slow(id));
SELECT samples, bytes_per_second < :before AS is_slower,
	bytes_per_second > :before / 2 AS not_by_much
FROM migrate.work_rates WHERE work = 'scan';

-- who may see and forget them
CREATE ROLE rates_reader;
SET ROLE rates_reader;
SELECT count(*) FROM migrate.work_rates;
SELECT migrate.forget_work_rates();
RESET ROLE;
GRANT USAGE ON SCHEMA migrate TO rates_reader;
GRANT SELECT ON migrate.work_rates TO rates_reader;
SET ROLE rates_reader;
SELECT count(*) FROM migrate.work_rates;
RESET ROLE;
GRANT EXECUTE ON FUNCTION migrate.work_rate_list() TO rates_reader;
SET ROLE rates_reader;
SELECT count(*) FROM migrate.work_rates;
SELECT migrate.forget_work_rates();
RESET ROLE;

SELECT migrate.forget_work_rates();
DROP OWNED BY rates_reader;
DROP ROLE rates_reader;
SET client_min_messages = error;
SET safe_migrate.mode = off;
DROP SCHEMA rates CASCADE;

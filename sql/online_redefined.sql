--
-- What is redefined while a table is being changed, and what else the state of
-- the server has to do with a change.
--
\set VERBOSITY terse
SET client_min_messages = warning;
SET safe_migrate.mode = off;
CREATE SCHEMA redefined;
SET search_path = redefined;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 8500;
CREATE FUNCTION constraints(name regclass) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
	WHERE conrelid = name AND contype IN ('c', 'f') ORDER BY conname $$;
CREATE FUNCTION phase(id bigint) RETURNS text LANGUAGE sql AS $$
	SELECT phase || ' ' || state FROM migrate.changes c WHERE c.id = $1 $$;

-- a backfill compiles nothing for its few pages, and reads no others
CREATE FUNCTION settings_of_batch() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT concat_ws(', ', current_setting('jit'), current_setting('enable_tidscan')) $$;
CREATE TABLE batches (id int PRIMARY KEY, seen text);
INSERT INTO batches VALUES (1);
SET jit = on;
SET enable_tidscan = off;
CALL migrate.backfill('batches', 'seen = redefined.settings_of_batch()', 'seen IS NULL');
SELECT * FROM batches;
SHOW jit;
SHOW enable_tidscan;
RESET jit;
RESET enable_tidscan;

-- contract: constraints that were redefined, validated or dropped
CREATE TABLE shops (id int PRIMARY KEY);
CREATE TABLE prices (id int PRIMARY KEY, price numeric, shop int, state varchar(10),
	CONSTRAINT price_ok CHECK (price > 0), CONSTRAINT price_seen CHECK (price <> 7),
	CONSTRAINT prices_shop FOREIGN KEY (shop) REFERENCES shops,
	CONSTRAINT state_ok CHECK (state IN ('new', 'old')));
ALTER TABLE prices ADD CONSTRAINT price_late CHECK (price <> 8) NOT VALID;
SELECT migrate.rename_column('prices', 'price', 'cost', advance => 'manual') AS c \gset
SELECT migrate.rename_column('prices', 'shop', 'Shop', advance => 'manual') AS d \gset
SELECT migrate.rename_column('prices', 'state', 'phase', advance => 'manual') AS e \gset
CALL migrate.advance(:c);
CALL migrate.advance(:d);
CALL migrate.advance(:e);
ALTER TABLE prices DROP CONSTRAINT price_ok, ADD CONSTRAINT price_ok CHECK (price > 0 AND price < 100);
ALTER TABLE prices DROP CONSTRAINT price_seen, VALIDATE CONSTRAINT price_late;
ALTER TABLE prices DROP CONSTRAINT prices_shop,
	ADD CONSTRAINT prices_shop FOREIGN KEY (shop) REFERENCES shops ON DELETE CASCADE;
\set VERBOSITY default
SELECT migrate.contract(:c, force := true);
SELECT migrate.contract(:d, force := true);
\set VERBOSITY terse
SELECT migrate.contract(:e, force := true);
SELECT format('ALTER TABLE prices DROP CONSTRAINT price_ok_sm%1$s, ADD CONSTRAINT price_ok_sm%1$s CHECK (cost > 0 AND cost < 100), DROP CONSTRAINT price_seen_sm%1$s, VALIDATE CONSTRAINT price_late_sm%1$s', :c) \gexec
SELECT format('ALTER TABLE prices DROP CONSTRAINT prices_shop_sm%1$s, ADD CONSTRAINT prices_shop_sm%1$s FOREIGN KEY ("Shop") REFERENCES shops ON DELETE CASCADE', :d) \gexec
SELECT migrate.contract(:c, force := true);
SELECT migrate.contract(:d, force := true);
SELECT constraints('prices');

-- a foreign key that refers to the column, and was altered in place
CREATE TABLE codes (id int PRIMARY KEY, code int CONSTRAINT codes_code UNIQUE);
CREATE TABLE users (id int PRIMARY KEY, code int CONSTRAINT users_code REFERENCES codes (code));
SELECT migrate.rename_column('codes', 'code', 'sign', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
ALTER TABLE users ALTER CONSTRAINT users_code DEFERRABLE;
SELECT migrate.contract(:c, force := true);
ALTER TABLE users DROP CONSTRAINT users_code;
SELECT migrate.contract(:c, force := true);
SELECT format('ALTER TABLE users DROP CONSTRAINT users_code_sm%s', :c) \gexec
SELECT migrate.contract(:c, force := true);
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'codes_code';

-- contract: the same of indexes, with another type as well
CREATE TABLE words (id int PRIMARY KEY, word varchar(10), n int);
CREATE INDEX words_word ON words (word);
CREATE INDEX words_gone ON words (word, id);
CREATE INDEX words_kept ON words (word) WHERE word IN ('a', 'b');
SELECT migrate.change_type('words', 'word', 'text', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
DROP INDEX words_word, words_gone;
CREATE UNIQUE INDEX words_word ON words (word);
SELECT migrate.contract(:c, force := true);
SELECT format('DROP INDEX words_word_sm%1$s, words_gone_sm%1$s', :c) \gexec
SELECT format('CREATE UNIQUE INDEX words_word_sm%1$s ON words (word_new)', :c) \gexec
REINDEX INDEX CONCURRENTLY words_word;
SELECT migrate.contract(:c, force := true);
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'words'::regclass ORDER BY indexrelid::regclass::text;

-- and of a partitioned table, where what has not changed is no reason
CREATE TABLE parts (id int, price numeric, shop int CONSTRAINT parts_shop REFERENCES shops,
	CONSTRAINT price_ok CHECK (price > 0)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE INDEX parts_price ON parts (price) WHERE price <> 3;
CREATE INDEX parts_2_own ON parts_2 (price);
SELECT migrate.rename_column('parts', 'price', 'cost', advance => 'manual') AS c \gset
SELECT migrate.rename_column('parts', 'shop', 'store', advance => 'manual') AS d \gset
CALL migrate.advance(:c);
CALL migrate.advance(:d);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30);
DROP INDEX parts_price, parts_2_own;
CREATE INDEX parts_price ON parts (price) WHERE price <> 4;
ALTER TABLE parts DROP CONSTRAINT price_ok, ADD CONSTRAINT price_ok CHECK (price > 1);
SELECT migrate.contract(:c, force := true);
SELECT migrate.contract(:d, force := true);
SELECT format('DROP INDEX parts_price_sm%1$s, parts_2_own_sm%1$s', :c) \gexec
SELECT format('CREATE INDEX parts_price_sm%1$s ON parts (cost) WHERE cost <> 4', :c) \gexec
SELECT format('ALTER TABLE parts DROP CONSTRAINT price_ok_sm%1$s, ADD CONSTRAINT price_ok_sm%1$s CHECK (cost > 1)', :c) \gexec
SELECT migrate.contract(:c, force := true);
SELECT constraints('parts_3');
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text LIKE 'parts%' ORDER BY indexrelid::regclass::text;

-- cancel: what others have set of a trigger stays
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TABLE noted (id int, a text) PARTITION BY RANGE (id);
CREATE TABLE noted_1 PARTITION OF noted FOR VALUES FROM (0) TO (10);
CREATE TRIGGER audit AFTER UPDATE OF a ON noted FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER other AFTER UPDATE OF a ON noted FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE noted DISABLE TRIGGER audit;
COMMENT ON TRIGGER audit ON noted IS 'old comment';
SELECT migrate.rename_column('noted', 'a', 'b', advance => 'manual') AS c \gset
ALTER TABLE noted ENABLE TRIGGER audit;
ALTER TABLE noted_1 DISABLE TRIGGER other;
COMMENT ON TRIGGER audit ON noted IS 'new comment';
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c);
SELECT tgrelid::regclass, tgname, tgenabled, obj_description(oid, 'pg_trigger') FROM pg_trigger
	WHERE tgrelid IN ('noted'::regclass, 'noted_1'::regclass) ORDER BY tgrelid, tgname;

-- cancel: a constraint that others made anew under the name
SET safe_migrate.small_table = 0;
CREATE TABLE renewed (x int, y int, c int);
INSERT INTO renewed VALUES (1, 1, 1);
SELECT migrate.add_check('renewed', 'x > 0', 'x_fits', advance => 'manual') AS c \gset
ALTER TABLE renewed DROP CONSTRAINT x_fits;
ALTER TABLE renewed ADD CONSTRAINT x_fits CHECK (x > -9) NOT VALID;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c);
SELECT migrate.add_check('renewed', 'y > 0', 'y_fits', advance => 'manual') AS c \gset
SELECT conname FROM pg_constraint WHERE conrelid = 'renewed'::regclass ORDER BY conname;
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c);
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'renewed'::regclass ORDER BY conname;

-- cancel: a NOT NULL that a key needs by now
SELECT migrate.set_not_null('renewed', 'c', '0', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
ALTER TABLE renewed ADD PRIMARY KEY (c);
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c);
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'renewed'::regclass AND attname = 'c';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'renewed'::regclass;
RESET safe_migrate.small_table;

-- a version with too long a name: both functions cut it
CREATE SCHEMA redefined_app;
CREATE TABLE redefined_app.t (id int);
SELECT migrate.create_version(repeat('v', 70), 'redefined_app', 'old');
SELECT length(version) FROM migrate.versions WHERE version LIKE 'vvv%';
SELECT migrate.drop_version(repeat('v', 70));
DROP SCHEMA redefined_app CASCADE;

-- contract: counters that were reset say nothing of who uses a table
CREATE TABLE unused (id int);
SELECT migrate.drop_table('unused', grace => '0') AS c \gset
INSERT INTO unused VALUES (1);
SELECT pg_stat_reset();
SELECT migrate.contract(:c);
SELECT phase(:c);
SELECT migrate.contract(:c, force := true);

DROP SCHEMA redefined CASCADE;

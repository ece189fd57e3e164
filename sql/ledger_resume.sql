--
-- A migration that commits by itself goes on where it stopped, with the
-- settings that it had made.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

CREATE SCHEMA resume;
CREATE TABLE resume.gate (a int);
SELECT migrate.register('300', 'resumes', $$
SET search_path = resume;
BEGIN; CREATE TABLE one (a int); COMMIT;
BEGIN; SELECT 1 / (SELECT count(*) FROM resume.gate); CREATE TABLE two (a int); COMMIT;
$$);
CALL migrate.deploy('300');
SELECT state, statements, error_line FROM migrate.history WHERE version = '300' ORDER BY id;
INSERT INTO resume.gate VALUES (1);
CALL migrate.deploy('300');
SELECT state, statements FROM migrate.history WHERE version = '300' ORDER BY id;
SELECT relnamespace::regnamespace, relname FROM pg_class WHERE relname IN ('one', 'two') ORDER BY 2;
SHOW search_path;

-- the settings of what has run, once more: of what is committed, and nothing
-- that is more than a setting
CREATE SEQUENCE resume.draws;
CREATE TABLE resume.seen (who text, what text);
CREATE FUNCTION resume.settings() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat(n, '=', current_setting('my.' || n, true)), ' ')
	FROM unnest('{kept,config,local,local_config,drawn,rolled,saved,around}'::text[]) n $$;
SELECT migrate.register(v, 'settings', format($$
SET search_path = resume;
SET my.kept = 'yes';
SELECT set_config('my.config', 'yes', false);
SET LOCAL my.local = 'no';
SELECT set_config('my.local_config', 'no', true);
SELECT set_config('my.drawn', nextval('draws')::text, false);
SAVEPOINT s;
SET my.saved = 'no';
ROLLBACK TO s;
SAVEPOINT t;
SET my.around = 'yes';
RELEASE t;
COMMIT;
SET my.rolled = 'no';
ROLLBACK;
CREATE TABLE seven_%1$s (a int);
COMMIT;
INSERT INTO seen SELECT '%1$s', settings();
SELECT 1 / (SELECT count(*) FROM gate WHERE a = %1$s);
CREATE TABLE nine_%1$s (a int);
$$, v)) FROM unnest('{301,302}'::text[]) v;
CALL migrate.deploy('301');
SELECT statement, relation FROM migrate.plan('301') WHERE relation IS NOT NULL;
INSERT INTO resume.gate VALUES (301);
CALL migrate.deploy('301');
CALL migrate.deploy('302');
INSERT INTO resume.gate VALUES (302);
SELECT migrate.apply('302');
SELECT * FROM resume.seen ORDER BY 1;
SELECT last_value FROM resume.draws;
SELECT current_setting('my.kept', true), current_setting('search_path');

-- a ROLLBACK behind the place where it goes on leaves what was committed
SELECT migrate.register('303', 'back', $$
SET search_path = resume;
COMMIT;
SELECT 1 / (SELECT count(*) FROM gate WHERE a = 303);
ROLLBACK;
INSERT INTO seen VALUES ('303', current_setting('search_path'));
$$);
CALL migrate.deploy('303');
INSERT INTO resume.gate VALUES (303);
CALL migrate.deploy('303');
SELECT * FROM resume.seen WHERE who = '303';

-- divided: what is LOCAL lasts until the end of what was to be one transaction
SET safe_migrate.small_table = 0;
CREATE TABLE resume.large AS SELECT 1 AS a;
SELECT migrate.register('304', 'divided', $$
SET LOCAL my.local = 'yes';
SET LOCAL search_path = resume, public;
CREATE INDEX CONCURRENTLY large_a ON resume.large (a);
SELECT 1 / (SELECT count(*) FROM gate WHERE a = 304);
INSERT INTO seen VALUES ('304', settings());
$$);
CALL migrate.deploy('304');
SELECT statement, relation, message FROM migrate.plan('304') WHERE statement = 5;
INSERT INTO resume.gate VALUES (304);
SELECT migrate.apply('304');
SELECT * FROM resume.seen WHERE who = '304';
RESET safe_migrate.small_table;

-- a file that was given a later version leaves its old one behind
SELECT migrate.register('299', 'late', 'CREATE TABLE resume.late (a int)');
CALL migrate.deploy();
SELECT migrate.unregister('299');
SELECT migrate.unregister('300');
SELECT migrate.unregister('no such version');
CALL migrate.deploy();

-- the text of a savepoint that is not there: an error, not the end of the server
SELECT statement, action FROM migrate.check('BEGIN; ROLLBACK TO nowhere; CREATE TABLE t (a int)');
-- checking runs nobody's code
CREATE TABLE resume.ran (a int);
CREATE FUNCTION resume.runs() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE WARNING 'it ran'; RETURN 1; END $$;
SELECT work, action FROM migrate.check('ALTER TABLE resume.gate ADD b int DEFAULT resume.runs()');

SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA resume CASCADE;

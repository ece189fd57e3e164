--
-- A migration that commits by itself goes on where it stopped, with the
-- settings that it had made.
--
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

# Restore points: made by hand, before migrations and for destructive
# statements; what they say of themselves; that nobody has to wait for them, and
# nothing gets lost between one that is being made and others who destroy.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('points');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
max_prepared_transactions = 2
autovacuum = off
fsync = off
wal_level = replica
log_min_messages = 'warning'
client_min_messages = 'notice'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Its notices and error.
sub told
{
	my ($sql) = @_;
	my ($status, $output, $error) = $node->psql('postgres', $sql);

	return $error;
}

sub fails
{
	my ($sql, $pattern, $name) = @_;
	my ($status, $output, $error) =
	  $node->psql('postgres', "\\set VERBOSITY terse\n$sql", on_error_stop => 1);

	isnt($status, 0, "$name: it fails");
	like($error, $pattern, $name);
	return;
}

# By hand

is(query(q{SELECT migrate.create_restore_point('one')}), 'one',
	'the label comes back');
like(query('SELECT migrate.create_restore_point(NULL)'),
	qr/^manual \d{4}-\d\d-\d\d /, 'without a label one is made up');
fails(q{SELECT migrate.create_restore_point('one')},
	qr/already: choose another label, or SELECT migrate\.drop_restore_point\('one'\)/,
	'a label that is taken');
fails(q{SELECT migrate.create_restore_point('')}, qr/needs a label/, 'an empty label');
fails(q{SELECT migrate.create_restore_point(repeat('ab', 32))},
	qr/at most 63 bytes long, and "ababab.*" has 64/, 'a long label');
is(query(q{SELECT length(migrate.create_restore_point(repeat('x', 63)))}), 63,
	'a label of 63 bytes');
fails(q{BEGIN READ ONLY; SELECT migrate.create_restore_point('two')},
	qr/read-only transaction/, 'in a read-only transaction');
fails(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT migrate.create_restore_point('two')},
	qr/use READ COMMITTED/, 'with a snapshot of long ago');
fails(q{SET safe_migrate.restore_points = off; SELECT migrate.create_restore_point('two')},
	qr/would keep nothing/, 'where nothing is kept');
is(query(q{BEGIN;
	SELECT migrate.create_restore_point('two') || migrate.create_restore_point('three');
	COMMIT}), 'twothree', 'two in one transaction');
is(query(q{SELECT kind, is_complete, created_by, files_kept, rows_kept,
		size_bytes = own_bytes, size_bytes > 0, lsn IS NOT NULL,
		expires_at - created_at BETWEEN '6 days 23 hours' AND '7 days'
	FROM migrate.restore_points WHERE label = 'one'}),
	'manual|t|' . query('SELECT session_user') . '|0|0|t|t|t|t',
	'what the view tells');
is(query(q{BEGIN; SELECT migrate.create_restore_point('gone'); ROLLBACK;
	SELECT count(*) FROM migrate.restore_points WHERE label = 'gone'}),
	"gone\n0", 'one that is rolled back');

# Another role

query(q{CREATE ROLE deployer LOGIN;
	GRANT EXECUTE ON FUNCTION migrate.create_restore_point(text) TO deployer});
is(query(q{SET ROLE deployer; SELECT migrate.create_restore_point('theirs')}),
	'theirs', 'EXECUTE is all that it takes');
fails('SET ROLE deployer; SELECT * FROM migrate.restore_points',
	qr/permission denied for view restore_points/, 'others do not see them');
query('GRANT SELECT ON migrate.restore_points TO deployer');
is(query(q{SET ROLE deployer; SELECT count(*) > 1 FROM migrate.restore_points}),
	't', 'with SELECT they do');

# Sequences and the manifest

query(q{CREATE SEQUENCE counted; SELECT nextval('counted'), nextval('counted');
	CREATE SEQUENCE fresh START 7;
	SELECT migrate.create_restore_point('sequences')});
is(query(q{SELECT relid::regclass, last_value, is_called FROM migrate.restore_sequence
	JOIN migrate.restore_point_data p ON p.id = point WHERE label = 'sequences' ORDER BY 1}),
	"counted|2|t\nfresh|7|f", 'states of sequences');
is(query(q{SELECT manifest_sum = migrate.schema_fingerprint(true),
		(SELECT count(*) FROM migrate.restore_manifest WHERE point = p.id)
			= (SELECT count(*) FROM migrate.schema_objects())
	FROM migrate.restore_point_data p WHERE label = 'sequences'}),
	't|t', 'the manifest is that of the schema');

# Nobody is waited for: tables, a view and a sequence that others have locked

query(q{CREATE TABLE busy (i int); CREATE VIEW shown AS SELECT * FROM busy});
my $other = $node->background_psql('postgres', on_error_die => 1);
$other->query_safe('BEGIN');
$other->query_safe('LOCK TABLE busy IN ACCESS EXCLUSIVE MODE');
$other->query_safe('DROP SEQUENCE counted');
query(q{SET statement_timeout = '5s'; SELECT migrate.create_restore_point('meanwhile')});
is(query(q{SELECT is_complete, cannot_be_undone ~ 'somebody had locked',
		cannot_be_undone ~ 'cannot be compared', size_bytes > 0
	FROM migrate.restore_points WHERE label = 'meanwhile'}),
	'f|t|t|t', 'what is locked is left out, and that is told');
$other->query_safe('ROLLBACK');

# Before migrations

query(q{SELECT migrate.register('1', 'first', 'CREATE TABLE first (i int)', 'DROP TABLE first');
	SELECT migrate.register('2', 'second', 'CREATE TABLE second (i int)')});
like(told('CALL migrate.deploy()'), qr/NOTICE:  restore point: before 1_first/,
	'deploy makes one before the first that is pending');
unlike(told('CALL migrate.deploy()'), qr/restore point/, 'nothing pending: none');
query(q{SELECT migrate.register('3', 'third', 'CREATE TABLE third (i int)', 'DROP TABLE third')});
like(told('SELECT migrate.apply()'), qr/restore point: before 3_third/, 'so does apply');
unlike(told('SELECT migrate.apply()'), qr/restore point/, 'but not for nothing');
like(told(q{SELECT migrate.revert('3')}), qr/restore point: before revert of 3_third/,
	'and revert');
like(told('SELECT migrate.apply()'), qr/restore point: before 3_third \(2\)/,
	'a label is used once');
unlike(told(q{SET safe_migrate.restore_points = off; SELECT migrate.revert('3'); SELECT migrate.apply()}),
	qr/restore point/, 'where nothing is kept there is none');
is(query(q{SELECT label, kind, ledger_position FROM migrate.restore_points
	WHERE kind = 'migration' ORDER BY created_at}),
	"before 1_first|migration|0\nbefore 3_third|migration|2\n"
	. "before revert of 3_third|migration|3\nbefore 3_third (2)|migration|4",
	'what was done by then');
is(query(q{SELECT version, kind, restore_point FROM migrate.history ORDER BY id}),
	"1|apply|before 1_first\n2|apply|before 1_first\n3|apply|before 3_third\n"
	. "3|revert|before revert of 3_third\n3|apply|before 3_third (2)\n3|revert|\n3|apply|",
	'the history tells which one was made before a migration');
query(q{SELECT migrate.drop_restore_point('before 3_third (2)')});
is(query(q{SELECT count(*) FROM migrate.history WHERE version = '3' AND restore_point IS NOT NULL}), 2,
	'and none when that is gone, though there are others');
query(q{SELECT migrate.register('0', 'old', 'SELECT 1'); SELECT migrate.baseline('0')});
is(query(q{SELECT restore_point FROM migrate.history WHERE version = '0'}), '',
	'what did not run had none');
fails(q{SELECT migrate.apply('4', 'CREATE TABLE fourth (i int); SELECT 1/0')},
	qr/division by zero/, 'a migration that fails in a transaction');
is(query(q{SELECT count(*) FROM migrate.restore_points WHERE label ~ 'before 4'}), 0,
	'leaves none');

# All schemas at once

query('CREATE SCHEMA tenant_1; CREATE SCHEMA tenant_2');
like(told(q{CALL migrate.deploy_all(schemas := '{tenant_*}')}),
	qr/restore point: before deploy_all\n/, 'one for all schemas');
unlike(told(q{CALL migrate.deploy_all(schemas := '{tenant_*}')}), qr/restore point/,
	'and none if no schema is behind');

# Statements that somebody types

sub statement_points
{
	my ($sql, $expected, $name) = @_;
	my $last = query('SELECT COALESCE(max(id), 0) FROM migrate.restore_point_data');

	query($sql);
	is(query(qq{SELECT statement FROM migrate.restore_point_data
			WHERE id > $last AND kind = 'statement' ORDER BY id}),
		$expected, $name);
	return;
}

query(q{CREATE TABLE a (i int, j int); INSERT INTO a VALUES (1, 2);
	CREATE TABLE b (LIKE a); CREATE TABLE c (LIKE a); CREATE TABLE d (LIKE a);
	CREATE VIEW v AS SELECT 1; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE INDEX ix ON d (i); CREATE SCHEMA s; CREATE TABLE s.t (i int);
	CREATE TYPE ty AS ENUM ('x'); CREATE TABLE of_ty (k ty, i int)});
statement_points('TRUNCATE a', 'TRUNCATE a', 'TRUNCATE');
statement_points('ALTER TABLE a DROP COLUMN j', 'ALTER TABLE a DROP COLUMN j', 'DROP COLUMN');
statement_points('DROP VIEW v', 'DROP VIEW v', 'DROP VIEW');
statement_points('DROP FUNCTION f()', 'DROP FUNCTION f()', 'DROP FUNCTION');
statement_points('DROP SCHEMA s CASCADE', 'DROP SCHEMA s CASCADE', 'DROP SCHEMA');
statement_points('DROP TYPE ty CASCADE', 'DROP TYPE ty CASCADE', 'DROP TYPE');
statement_points('DROP TABLE IF EXISTS nope', '', 'nothing to drop');
statement_points('DROP INDEX ix', '', 'DROP INDEX: it can be built again');
statement_points('CREATE TEMP TABLE te (i serial PRIMARY KEY, j text DEFAULT 1); CREATE INDEX ON te (j);
	TRUNCATE te; ALTER TABLE te DROP COLUMN j; DROP TABLE te', '', 'a temporary table');
statement_points('BEGIN; CREATE TABLE new (i int, j int); ALTER TABLE new DROP COLUMN j; DROP TABLE new; COMMIT',
	'', 'what the transaction has made itself');
statement_points(q{DO $$ BEGIN DROP TABLE b; END $$}, '', 'not at top level');
statement_points('BEGIN; SAVEPOINT x; DROP TABLE c; ROLLBACK TO x; DROP TABLE d; COMMIT',
	'DROP TABLE d', 'a savepoint that is rolled back');
statement_points('BEGIN; DROP TABLE c; ROLLBACK', '', 'a transaction that is rolled back');
statement_points('SET safe_migrate.restore_points = off; DROP TABLE c', '', 'where nothing is kept');
query('CREATE TABLE c (i int); CREATE TABLE e (i int)');
statement_points('BEGIN; DROP TABLE c; DROP TABLE e; COMMIT', "DROP TABLE c;\nDROP TABLE e",
	'two of them in one transaction');

# What a prepared transaction destroys is there for a point that is made before
# its end, which does not have to wait for it.

query('SELECT migrate.drop_all_restore_points()');
query(q{CREATE TABLE prepared AS SELECT 1 AS i});
query(q{BEGIN; DO 'BEGIN DROP TABLE prepared; END'; PREPARE TRANSACTION 'drop'});
query(q{SET statement_timeout = '5s'; SELECT migrate.create_restore_point('before the end')});
query(q{COMMIT PREPARED 'drop'});
is(query(q{SELECT files_kept FROM migrate.restore_points}), 1, 'its file is kept');

# The same for a point that is being made: whoever destroys cannot see it yet.

query('SELECT migrate.drop_all_restore_points()');
query(q{CREATE TABLE racing AS SELECT 1 AS i});
$other->query_safe('BEGIN');
$other->query_safe(q{SELECT migrate.create_restore_point('racing')});
query(q{SET statement_timeout = '5s'; DO 'BEGIN DROP TABLE racing; END'});
$other->query_safe('COMMIT');
is(query(q{SELECT files_kept FROM migrate.restore_points}), 1,
	'its file is kept, although nobody could see the point');

# And if the point is not made after all, it is nobody's need.

query('SELECT migrate.drop_all_restore_points()');
query(q{CREATE TABLE racing AS SELECT 1 AS i});
$other->query_safe('BEGIN');
$other->query_safe(q{SELECT migrate.create_restore_point('racing')});
query(q{DO 'BEGIN DROP TABLE racing; END'});
is(query('SELECT count(*) FROM migrate.parked_storage'), 1, 'it was kept');
$other->query_safe('ROLLBACK');
query('SELECT migrate.drop_all_restore_points()');
is(query('SELECT count(*) FROM migrate.parked_storage'), 0, 'and is dropped');
$other->quit;

# What is destroyed while nothing is kept is told, for those that needed it.

query(q{SELECT migrate.drop_all_restore_points();
	CREATE TABLE lost AS SELECT 1 AS i; CREATE TABLE not_lost AS SELECT 1 AS i;
	SELECT migrate.create_restore_point('without'); CREATE TABLE later AS SELECT 1 AS i});
query(q{SET safe_migrate.restore_points = off; DROP TABLE later});
is(query('SELECT is_complete FROM migrate.restore_points'), 't', 'what it does not need');
query(q{BEGIN; SET LOCAL safe_migrate.restore_points = off; TRUNCATE lost; COMMIT});
is(query(q{SELECT is_complete, cannot_be_undone FROM migrate.restore_points}),
	'f|"lost" was dropped, truncated or rewritten while safe_migrate.restore_points was off',
	'what it needs');
query(q{SET safe_migrate.restore_points = off; SELECT migrate.apply('4.5', 'DELETE FROM not_lost')});
like(query(q{SELECT cannot_be_undone FROM migrate.restore_points}),
	qr/; a migration ran while safe_migrate\.restore_points was off/, 'rows that a migration changes');

# Sizes: what several need counts for each, and as nobody's own.

query(q{SELECT migrate.drop_all_restore_points();
	CREATE TABLE big AS SELECT g, repeat('x', 100) AS x FROM generate_series(1, 10000) g;
	CREATE TABLE changed AS SELECT g, repeat('x', 100) AS x FROM generate_series(1, 10000) g;
	SELECT migrate.create_restore_point('p1');
	SELECT migrate.create_restore_point('p2')});
my $bytes = query(q{SELECT pg_table_size('big')});
query(q{SELECT migrate.apply('5', 'DROP TABLE big; UPDATE changed SET x = '''' WHERE g <= 500')});
is(query(qq{SELECT label, size_bytes > $bytes, own_bytes < $bytes, files_kept, rows_kept
	FROM migrate.restore_points ORDER BY created_at}),
	"p1|t|t|3|500\np2|t|t|3|500\nbefore 5|t|t|3|500", 'three points share a file');
query(q{SELECT migrate.drop_restore_point('p1'); SELECT migrate.drop_restore_point('before 5')});
is(query(qq{SELECT label, own_bytes > $bytes FROM migrate.restore_points}), 'p2|t',
	'the last one has it alone');
is(query(qq{SELECT migrate.drop_restore_point('p2') > $bytes}), 't',
	'and frees it');
is(query(q{SELECT (SELECT count(*) FROM migrate.parked_storage),
		(SELECT count(*) FROM migrate.changed_rows),
		(SELECT count(*) FROM pg_class WHERE relnamespace = 'migrate'::regnamespace AND relkind = 't')}),
	'0|0|0', 'nothing is left');
fails(q{SELECT migrate.drop_restore_point('p2')}, qr/there is no restore point "p2"/,
	'one that is not there');

# A transaction that others have overtaken before it made its point

query(q{SELECT migrate.drop_all_restore_points();
	CREATE TABLE overtaken AS SELECT g AS id, 1 AS n FROM generate_series(1, 3) g; CREATE TABLE other (n int)});
my $slow = $node->background_psql('postgres');
$slow->query_safe('SET client_min_messages = warning');
$slow->query_safe('BEGIN; SELECT pg_current_xact_id()');
query('INSERT INTO other VALUES (1)');
$slow->query_safe(q{SELECT migrate.apply('c_overtaken', 'UPDATE overtaken SET n = 2')});
$slow->query_safe('COMMIT');
$slow->quit;
is(query('SELECT rows_kept FROM migrate.restore_points'), 3,
	'its own migration came after the point');
query(q{CALL migrate.rollback_to('before c_overtaken')});
is(query('SELECT sum(n) FROM overtaken'), 3, 'and is undone');

# Large objects are not what a point is about

query(q{CREATE ROLE owner_of_large; SELECT migrate.create_restore_point('large');
	SET ROLE owner_of_large; SELECT lo_create(4711); RESET ROLE;
	COMMENT ON LARGE OBJECT 4711 IS 'kept'; ALTER TABLE other ADD a int;
	CALL migrate.rollback_to('large')});
is(query(q{SELECT obj_description(4711, 'pg_largeobject')}), 'kept',
	'a large object keeps its comment');
fails('DROP ROLE owner_of_large', qr/some objects depend on it/,
	'and its owner');

# A publication of all tables

query(q{CREATE TABLE published AS SELECT g AS id, g AS n FROM generate_series(1, 9) g;
	ALTER TABLE published ADD PRIMARY KEY (id); CREATE PUBLICATION everything FOR ALL TABLES;
	SELECT migrate.create_restore_point('published');
	SELECT migrate.apply('b_published', 'ALTER TABLE published ALTER n TYPE bigint');
	UPDATE published SET n = 100 WHERE id = 1; DELETE FROM published WHERE id = 2;
	INSERT INTO published VALUES (10, 10);
	CALL migrate.rollback_to('published')});
is(query('SELECT count(*), sum(n) FROM published'), '9|152',
	'a rollback writes to hidden relations all the same');
is(query(q{SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'migrate'::regnamespace
		AND c.relkind = 'r' AND c.relreplident = 'd' AND NOT EXISTS (
			SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)}),
	0, 'our own tables can be changed, too');
query('DROP PUBLICATION everything');

# Triggers that fire under session_replication_role = replica, too

query(q{CREATE TABLE watched (id int PRIMARY KEY, n int, s int GENERATED ALWAYS AS (id) STORED);
	CREATE TABLE seen (who name);
	CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO seen VALUES (current_user); RETURN new; END';
	CREATE TRIGGER see BEFORE INSERT OR UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION see();
	ALTER TABLE watched ENABLE ALWAYS TRIGGER see;
	INSERT INTO watched (id) VALUES (1), (2);
	SELECT migrate.create_restore_point('watched');
	SELECT migrate.apply('a_watched', 'ALTER TABLE watched ALTER n TYPE bigint');
	INSERT INTO watched (id) VALUES (3); UPDATE watched SET n = 1 WHERE id = 1;
	DELETE FROM seen; CALL migrate.rollback_to('watched')});
is(query(q{SELECT (SELECT count(*) FROM watched), (SELECT sum(n) FROM watched),
		(SELECT count(*) FROM seen), (SELECT tgenabled FROM pg_trigger WHERE tgname = 'see')}),
	'3|1|0|A', 'a rollback fires none of them');

# A sequence that clients have used since

query(q{CREATE SEQUENCE used; CREATE TABLE numbered (id int DEFAULT nextval('used')); ALTER SEQUENCE used OWNED BY numbered.id;
	INSERT INTO numbered DEFAULT VALUES; SELECT migrate.create_restore_point('used');
	ALTER TABLE other ADD b int; INSERT INTO numbered DEFAULT VALUES;
	CALL migrate.rollback_to('used')});
is(query('SELECT last_value, log_cnt > 0 FROM used'), '2|t',
	'it is not set where there is no need');

# A table that a cursor of the session reads

query(q{CREATE TABLE read_by_cursor AS SELECT generate_series(1, 9) AS n});
fails(q{TRUNCATE read_by_cursor; INSERT INTO read_by_cursor VALUES (1), (2);
	BEGIN; DECLARE c CURSOR FOR SELECT * FROM read_by_cursor; FETCH c;
	SELECT migrate.undo_last()},
	qr/cannot migrate\.undo_last\(\) "read_by_cursor" because it is being used by active queries in this session/,
	'a table in use is left alone');
query('SELECT migrate.drop_all_restore_points()');

# The plan has the names of then

query(q{CREATE SCHEMA "Gone"; CREATE TABLE "Gone".t (i int); CREATE SCHEMA other; CREATE TABLE other.t AS SELECT 1 AS i;
	SELECT migrate.create_restore_point('named')});
query(q{DROP SCHEMA "Gone" CASCADE});
query(q{SET safe_migrate.mode = 'observe'; SELECT migrate.apply('98', 'TRUNCATE other.t; ALTER SCHEMA other RENAME TO renamed')});
is(query(q{SELECT object FROM migrate.rollback_plan('named') WHERE action = 'put data back' ORDER BY 1}),
	qq{"Gone".t\nother.t}, 'of tables in schemas that are gone, or have another name');
is(query(q{SELECT object FROM migrate.rollback_plan((SELECT label FROM migrate.restore_points WHERE statement ~ 'DROP SCHEMA'))
		WHERE action = 'put data back'}), '"Gone".t', 'also where a statement is to be undone');
query(q{CALL migrate.rollback_to('named')});

# The limit

query(q{CREATE TABLE big AS SELECT g, repeat('x', 1000) AS x FROM generate_series(1, 10000) g;
	SELECT migrate.create_restore_point('limited');
	ALTER SYSTEM SET safe_migrate.restore_point_limit = '5MB'; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT current_setting('safe_migrate.restore_point_limit') = '5MB'});
fails('TRUNCATE big',
	qr/restore points would keep \d+ (?:kB|MB) in this database, and safe_migrate\.restore_point_limit is 5120 kB: SELECT migrate\.drop_restore_point\('limited'\), which frees \d+ kB, SET safe_migrate\.restore_points = off/,
	'the refusal has remedies');
is(query(q{\set VERBOSITY sqlstate
	SELECT count(*) FROM big}), 10000, 'and nothing was done');
my ($status, $output, $error) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nTRUNCATE big");
like($error, qr/SM007/, 'SQLSTATE');
query('SET safe_migrate.restore_points = off; TRUNCATE big');
is(query('SELECT count(*) FROM big'), 0, 'the remedy works');

$node->stop;

# Without a WAL that knows restore points, and on a standby

$node->append_conf('postgresql.conf', "wal_level = 'minimal'\nmax_wal_senders = 0");
$node->start;
like(told(q{SELECT migrate.create_restore_point('minimal')}),
	qr/NOTICE:  restore point "minimal" is not marked in the WAL, since wal_level is minimal/,
	'wal_level minimal');
is(query(q{SELECT lsn IS NULL FROM migrate.restore_points WHERE label = 'minimal'}), 't',
	'no place in the WAL');
$node->stop;

done_testing();

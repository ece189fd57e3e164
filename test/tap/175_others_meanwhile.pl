# Between two attempts at a statement others have changed things: what is theirs
# is neither taken for done, nor taken back.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('meanwhile');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
autovacuum = off
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');
if ($node->psql('postgres', "SET safe_migrate.fault_point = ''") != 0)
{
	plan skip_all => 'needs a build with make FAULT_POINTS=1';
}

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# As nobody judges it.
sub plainly
{
	my ($sql) = @_;

	return query("SET safe_migrate.mode = off; SET client_min_messages = error; $sql");
}

# A statement that stops at a fault point.  Returns its error.
sub stopped
{
	my ($statement, $place, $before) = @_;
	my ($status, $out, $error) = $node->psql('postgres',
		($before // '') . "SET safe_migrate.fault_point = '$place'; $statement");

	like($error, qr/fault point "$place"/, "$statement: stopped at $place");
	return $error;
}

# The same again.  Returns status and messages.
sub again
{
	my ($statement) = @_;
	my ($status, $out, $error) = $node->psql('postgres', $statement);

	return ($status, $error);
}

sub last_task
{
	return query('SELECT max(id) FROM migrate.tasks');
}

my ($status, $error);

#
# A partition that somebody has attached and filled
#
plainly(q{
CREATE TABLE par (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE par_default PARTITION OF par DEFAULT;
INSERT INTO par VALUES (1000, 'x');
});
my $partition = 'CREATE TABLE par_2 PARTITION OF par FOR VALUES FROM (1) TO (100)';
my $steps = query("SELECT cardinality(string_to_array(safe_sql, ';')) - 1 FROM migrate.check('$partition') WHERE safe_sql IS NOT NULL LIMIT 1");
my $attach = query("SELECT i FROM unnest(string_to_array((SELECT safe_sql FROM migrate.check('$partition') WHERE safe_sql IS NOT NULL LIMIT 1), ';')) WITH ORDINALITY t(s, i) WHERE s ~ 'ATTACH PARTITION'");
stopped($partition, "step_${attach}_before");
plainly(q{ALTER TABLE par ATTACH PARTITION par_2 FOR VALUES FROM (1) TO (100);
INSERT INTO par SELECT 5, 'theirs' FROM generate_series(1, 1000)});
($status, $error) = again($partition);
isnt($status, 0, 'attached by somebody else: the statement fails');
like($error, qr/is given up, because .* changed since|already exists/, 'and says why');
is(query('SELECT count(*) FROM par_2'), '1000', 'the rows are there');
($status, $error) = $node->psql('postgres', 'SELECT migrate.cancel(' . last_task() . ')');
query('SELECT pg_sleep(2)');
is(query('SELECT count(*) FROM par_2'), '1000', 'also after migrate.cancel()');

#
# A column that somebody else has added meanwhile
#
plainly('CREATE TABLE tc (a int); INSERT INTO tc VALUES (1)');
my $column = 'ALTER TABLE tc ADD COLUMN IF NOT EXISTS x int DEFAULT -7 CHECK (x > 0)';
my $session = $node->background_psql('postgres');
$session->query_safe("SET safe_migrate.mode = off; BEGIN; LOCK TABLE tc IN ACCESS SHARE MODE");
{
	my ($in, $out, $err) = ('', '', '');
	my $other = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-d',
			$node->connstr('postgres'), '-c', $column
		],
		'<', \undef, '>', \$out, '2>', \$err);

	$node->poll_query_until('postgres',
		"SELECT count(*) > 0 FROM migrate.lock_waits");
	$session->query_safe(
		'ALTER TABLE tc ADD COLUMN x int; UPDATE tc SET x = 42; COMMIT');
	$other->finish;
}
is(query('SELECT x FROM tc'), '42', 'a column of others stays, with its data');
$session->quit;

#
# An override is not for ever
#
plainly(q{
CREATE TABLE cc (i int PRIMARY KEY); INSERT INTO cc VALUES (1);
CREATE TABLE ee (i int REFERENCES cc, j int REFERENCES cc); INSERT INTO ee VALUES (1, 1);
});
stopped('DROP TABLE ee', 'step_2_before', "SET safe_migrate.override = 'once';");
($status, $error) = again('DROP TABLE ee');
like($error, qr/drop_table: /, 'without the override it is refused again');
is(query('SELECT count(*) FROM ee'), '1', 'the table is there');
is((again("SET safe_migrate.override = 'twice'; DROP TABLE ee"))[0], 0, 'with it, it is finished');

#
# An index of the same name
#
plainly(q{CREATE TABLE tz (a int, b int); INSERT INTO tz VALUES (0, 1), (1, 1)});
($status, $error) = again(q{SET safe_migrate.rules = 'create_index:defer'; CREATE INDEX tz_i ON tz ((1 / a))});
my $task = last_task();
$node->psql('postgres', "CALL migrate.wait($task)");
is(query("SELECT state FROM migrate.tasks WHERE id = $task"), 'failed', 'an index that cannot be built');
plainly('DROP INDEX IF EXISTS tz_i; CREATE INDEX tz_i ON tz (a)');
query("SELECT migrate.cancel($task)");
$node->psql('postgres', "CALL migrate.wait($task)");
is(query("SELECT state FROM migrate.tasks WHERE id = $task"), 'cancelled', 'it is taken back');
is(query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'tz_i'::regclass"), 't',
	'but not the index that others have made under its name');

# one that is made before the background comes to it is not it
plainly('DROP INDEX tz_i');
my $early = $node->background_psql('postgres');
$early->query_safe('SET safe_migrate.mode = off; BEGIN; LOCK TABLE tz IN SHARE ROW EXCLUSIVE MODE');
again(q{SET safe_migrate.rules = 'create_index:defer'; CREATE INDEX tz_j ON tz (a)});
$task = last_task();
$early->query_safe('CREATE INDEX tz_j ON tz (b); COMMIT');
$early->quit;
$node->psql('postgres', "CALL migrate.wait($task)");
is(query("SELECT state || ' ' || sqlstate FROM migrate.tasks WHERE id = $task"), 'failed 42P07',
	'an index of others is not taken for its own');
query("SELECT migrate.cancel($task)");
$node->psql('postgres', "CALL migrate.wait($task)");
like(query("SELECT pg_get_indexdef('tz_j'::regclass)"), qr/\(b\)/, 'nor dropped');

# one that another session builds at the moment
plainly('DROP INDEX tz_j');
stopped('CREATE INDEX cx ON tz (a)', 'step_1_behind');
plainly('DROP INDEX cx');
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tz');
{
	my ($out, $err) = ('', '');
	my $builder = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-d',
			$node->connstr('postgres'), '-c',
			'SET safe_migrate.mode = off', '-c',
			'CREATE INDEX CONCURRENTLY cx ON tz (b)'
		],
		'<', \undef, '>', \$out, '2>', \$err);

	$node->poll_query_until('postgres',
		"SELECT count(*) > 0 FROM pg_index WHERE indexrelid = to_regclass('cx')");
	my ($again_out, $again_err) = ('', '');
	my $again = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-d',
			$node->connstr('postgres'), '-c', 'CREATE INDEX cx ON tz (a)'
		],
		'<', \undef, '>', \$again_out, '2>', \$again_err);
	query('SELECT pg_sleep(1)');
	$reader->query_safe('COMMIT');
	$builder->finish;
	$again->finish;
	like($again_err, qr/already exists/, 'sent again while others build one: it fails');
}
$reader->quit;
like(query("SELECT pg_get_indexdef('cx'::regclass) || (SELECT indisvalid FROM pg_index WHERE indexrelid = 'cx'::regclass)"),
	qr/\(b\)true/, 'and theirs is built');

#
# NOT NULL taken back by others before the last step
#
plainly('CREATE TABLE nn (a int); INSERT INTO nn VALUES (1)');
my $last = query("SELECT cardinality(string_to_array(safe_sql, ';')) - 1 FROM migrate.check('ALTER TABLE nn ALTER a SET NOT NULL')");
stopped('ALTER TABLE nn ALTER a SET NOT NULL', "step_${last}_before");
plainly('ALTER TABLE nn ALTER a DROP NOT NULL');
($status, $error) = again('ALTER TABLE nn ALTER a SET NOT NULL');
is($status, 0, 'SET NOT NULL, sent again after DROP NOT NULL') or diag($error);
is(query("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'nn'::regclass AND attname = 'a'"), 't', 'is not taken for done');

#
# A constraint that others have made anew
#
plainly('CREATE TABLE co (a int); INSERT INTO co VALUES (1)');
stopped('ALTER TABLE co ADD CONSTRAINT c CHECK (a > 0)', 'step_2_before');
$task = last_task();
plainly('ALTER TABLE co DROP CONSTRAINT c; ALTER TABLE co ADD CONSTRAINT c CHECK (a > -10)');
query("SELECT migrate.cancel($task)");
$node->psql('postgres', "CALL migrate.wait($task)");
like(query("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'c' AND conrelid = 'co'::regclass"),
	qr/-10/, 'theirs stays');

#
# READ ONLY
#
query("ALTER DATABASE postgres SET safe_migrate.in_transaction = defer");
($status, $error) = again('BEGIN READ ONLY; CREATE INDEX ro ON co (a); COMMIT');
like($error, qr/cannot execute CREATE INDEX in a read-only transaction/, 'nothing is deferred by a read-only transaction');
($status, $error) = again('SET default_transaction_read_only = on; CREATE INDEX ro ON co (a)');
like($error, qr/cannot execute CREATE INDEX in a read-only transaction/, 'nor run');

$node->stop;
done_testing();

# What golang-migrate, goose, tern and Flyway say to the server: their ledgers and
# an ordinary history pass, a harmful migration is refused with all that they can
# show, how they go on after that, and what they need not do about it when the slow
# half is left for after the commit.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RunnerReplay;
use RunnerReplay::Flyway;
use RunnerReplay::GolangMigrate;
use RunnerReplay::Goose;
use RunnerReplay::Tern;

my $node = RunnerReplay::start('runners');
my @history = RunnerReplay::history();
my $harmful = RunnerReplay::harmful();
my @divided = RunnerReplay::divided();
my $message =
  qr/create_index: CREATE INDEX orders_customer builds an index on public\.orders \(\d+ kB\) while reads and writes wait; use CREATE INDEX CONCURRENTLY, outside a transaction block/;
my $database;

sub new_database
{
	($database) = @_;

	RunnerReplay::make_database($node, $database);
	return;
}

sub value
{
	my ($sql) = @_;

	return $node->safe_psql($database, $sql);
}

sub fill
{
	RunnerReplay::fill_orders($node, $database);
	return;
}

sub decisions_are
{
	my ($expected, $name) = @_;

	return is(RunnerReplay::decisions($node, $database), $expected, $name);
}

sub index_is
{
	my ($expected, $name) = @_;

	return is(RunnerReplay::index_state($node, $database, 'orders_customer'),
		$expected, $name);
}

sub status_column_is
{
	my ($expected, $name) = @_;

	return is(RunnerReplay::has_column($node, $database, 'status'),
		$expected, $name);
}

# With everything deferred that can be.
sub defer
{
	value("ALTER DATABASE $database SET safe_migrate.in_transaction = defer");
	return;
}

sub tasks_end_well
{
	is(RunnerReplay::wait_for_tasks($node, $database),
		'done', 'its index is built after the commit');
	index_is('valid', 'and is there');
	return;
}

#
# golang-migrate
#
sub migrate_ledger_is
{
	my ($expected, $name) = @_;

	return is(value(q{SELECT string_agg(version || ' ' || dirty, ', ') FROM schema_migrations}),
		$expected, $name);
}

new_database('golang_migrate');
my $tool = RunnerReplay::GolangMigrate->new($node, $database);
is($tool->up(@history), 3, 'golang-migrate: three migrations');
migrate_ledger_is('3 false', 'in the ledger');
is($tool->up(@history), 0, 'and then none');
is($tool->down(@history), 1, 'one down');
migrate_ledger_is('2 false', 'and out of it');
is($tool->up(@history), 1, 'and up again');
decisions_are('', 'nothing of it is refused, nor done another way');

fill();
is($tool->up(@history, $harmful), 0, 'golang-migrate: an index on a large table');
is($tool->error('C'), 'SM001', 'is refused');
like($tool->said,
	qr/^error: migration failed: $message.* \(column 1\), public\.orders \(orders_customer\): ShareLock, work index_build, risk none\. in line 2: /s,
	'it shows the message, the detail and the line');
migrate_ledger_is('4 true', 'the ledger is dirty');
status_column_is(0, 'though nothing of the file was done');
decisions_are('rejected create_index', 'the decision is on record');
is($tool->up(@history, @divided), 0, 'a better file is not even tried');
is($tool->said, 'error: Dirty database version 4. Fix and force version.', 'before the ledger is mended');
is($tool->force(3), 1, 'that is done by force');
migrate_ledger_is('3 false', 'to the version before');
is($tool->up(@history, @divided), 2, 'and the index by itself in its file goes through');
migrate_ledger_is('5 false', 'to its end');
index_is('valid', 'built');
decisions_are('rejected create_index, rewritten create_index', 'the safe way');
is($tool->down(@history, @divided), 1, 'down');
index_is('no', 'it is dropped');
decisions_are('rejected create_index, rewritten create_index, rewritten drop_index', 'the safe way as well');
is($tool->down(@history, @divided), 0, 'a column of a table with rows is not');
like($tool->said, qr/drop_column: DROP COLUMN status loses data of public\.orders/, 'it says why');
migrate_ledger_is('3 true', 'and the ledger is dirty, with the version it would have come to');
$tool->force(3);
value('SET safe_migrate.mode = off; ALTER TABLE orders DROP COLUMN status');
$tool->{multi_statement} = 1;
is($tool->up(@history, $harmful), 1, 'with x-multi-statement each statement is by itself');
index_is('valid', 'and the index is built');
$tool->close;

new_database('golang_migrate_defer');
$tool = RunnerReplay::GolangMigrate->new($node, $database);
$tool->up(@history);
fill();
defer();
$tool->close;
$tool->connect;
is($tool->up(@history, $harmful), 1, 'golang-migrate, deferred: the harmful file goes through');
migrate_ledger_is('4 false', 'and is in the ledger');
status_column_is(1, 'it has added its column');
tasks_end_well();
decisions_are('deferred create_index, rewritten create_index', 'nothing is refused');
$tool->close;

#
# goose
#
sub goose_ledger_is
{
	my ($expected, $name) = @_;

	return is(value(q{SELECT string_agg(version_id || ' ' || is_applied, ', ' ORDER BY id) FROM goose_db_version WHERE version_id > 0}),
		$expected, $name);
}

my $three = '1 true, 2 true, 3 true';
new_database('goose');
$tool = RunnerReplay::Goose->new($node, $database);
is($tool->up(@history), 3, 'goose: three migrations');
goose_ledger_is($three, 'in the ledger');
is($tool->up(@history), 0, 'and then none');
is($tool->down(@history), 1, 'one down');
goose_ledger_is('1 true, 2 true', 'and out of it');
is($tool->up(@history), 1, 'and up again');
decisions_are('', 'nothing of it is refused, nor done another way');

fill();
is($tool->up(@history, $harmful), 0, 'goose: an index on a large table');
is($tool->error('C'), 'SM001', 'is refused');
like($tool->said, qr/ERROR: $message.* \(SQLSTATE SM001\)$/, 'it shows the message');
goose_ledger_is($three, 'the ledger is as before');
status_column_is(0, 'and so is the schema');
is($tool->up(@history, { %$harmful, transaction => 0 }), 1, 'with NO TRANSACTION it goes through');
goose_ledger_is("$three, 4 true", 'and is in the ledger');
index_is('valid', 'the index is built');
decisions_are('rejected create_index, rewritten create_index', 'the safe way');
my $half = {
	version => 5,
	name => 'half',
	transaction => 0,
	up => [
		'ALTER TABLE orders ADD COLUMN half int',
		'ALTER TABLE orders ALTER amount TYPE bigint'
	]
};
is($tool->up(@history, $harmful, $half), 0, 'with NO TRANSACTION, refused half way');
goose_ledger_is("$three, 4 true", 'it is not in the ledger');
is(RunnerReplay::has_column($node, $database, 'half'), 1, 'what came before stays');
is($tool->up(@history, $harmful, $half), 0, 'so that it fails another time');
is($tool->error('C'), '42701', 'at what is there already');
$half->{up} = ['ALTER TABLE orders ADD COLUMN IF NOT EXISTS half int'];
is($tool->up(@history, $harmful, $half), 1, 'which the file has to allow for');
$tool->close;

new_database('goose_defer');
$tool = RunnerReplay::Goose->new($node, $database);
$tool->up(@history);
fill();
defer();
$tool->close;
$tool->connect;
is($tool->up(@history, $harmful), 1, 'goose, deferred: the harmful file goes through');
goose_ledger_is("$three, 4 true", 'and is in the ledger');
status_column_is(1, 'it has added its column');
tasks_end_well();
decisions_are('deferred create_index, rewritten create_index', 'nothing is refused');
$tool->close;

#
# tern
#
sub tern_ledger_is
{
	my ($expected, $name) = @_;

	return is(value('SELECT version FROM schema_version'), $expected, $name);
}

new_database('tern');
$tool = RunnerReplay::Tern->new($node, $database);
is($tool->up(@history), 3, 'tern: three migrations');
tern_ledger_is(3, 'in the ledger');
is($tool->up(@history), 0, 'and then none');
is($tool->migrate_to(2, @history), 1, 'one down');
tern_ledger_is(2, 'and out of it');
is($tool->up(@history), 1, 'and up again');
value('ALTER TABLE schema_version DROP CONSTRAINT schema_version_pkey');
is($tool->up(@history), 0, 'a ledger of an older version');
is(value(q{SELECT count(*) FROM pg_constraint WHERE conrelid = 'schema_version'::regclass AND contype = 'p'}),
	1, 'gets its primary key');
decisions_are('', 'nothing of it is refused, nor done another way');

fill();
is($tool->up(@history, $harmful), 0, 'tern: an index on a large table');
is($tool->error('C'), 'SM001', 'is refused');
like($tool->said, qr/^$message.*\nDETAIL: public\.orders .*\nLINE 2: /s, 'it shows the message, the detail and the line');
tern_ledger_is(3, 'the ledger is as before');
status_column_is(0, 'and so is the schema');
is($tool->up(@history, { %$harmful, transaction => 0 }), 1, 'with disable-tx it goes through');
tern_ledger_is(4, 'and is in the ledger');
index_is('valid', 'the index is built');
decisions_are('rejected create_index, rewritten create_index', 'the safe way');
$tool->close;

new_database('tern_defer');
$tool = RunnerReplay::Tern->new($node, $database);
$tool->up(@history);
fill();
defer();
$tool->close;
$tool->connect;
is($tool->up(@history, $harmful), 1, 'tern, deferred: the harmful file goes through');
tern_ledger_is(4, 'and is in the ledger');
status_column_is(1, 'it has added its column');
tasks_end_well();
decisions_are('deferred create_index, rewritten create_index', 'nothing is refused');
$tool->close;

# "reset all" comes before the commit: what a migration sets is in force for its own
# statements alone, and what was decided by it stays decided
new_database('tern_set');
value('GRANT SET ON PARAMETER safe_migrate.in_transaction TO migrator');
value('GRANT SET ON PARAMETER safe_migrate.override TO migrator');
$tool = RunnerReplay::Tern->new($node, $database);
$tool->up(@history);
fill();
my $setting = { %$harmful, up => [ 'SET safe_migrate.in_transaction = defer', @{ $harmful->{up} } ] };
is($tool->up(@history, $setting), 1, 'tern: a migration that defers by itself');
tern_ledger_is(4, 'goes through');
tasks_end_well();
is(($tool->session->query('SHOW safe_migrate.in_transaction'))[0], 'row reject', 'and the next one is judged as ever');
my $overriding = {
	version => 5,
	name => 'overriding',
	up => [
		q{SET LOCAL safe_migrate.override = 'ticket 12'},
		'ALTER TABLE orders ALTER amount TYPE bigint'
	]
};
is($tool->up(@history, $setting, $overriding), 1, 'and one with an override');
tern_ledger_is(5, 'goes through');
is(value(q{SELECT reason FROM migrate.decisions WHERE outcome = 'overridden'}), 'ticket 12', 'with its reason on record');
is(($tool->session->query('SHOW safe_migrate.override'))[0], 'row ', 'which is gone after it');
$tool->close;

#
# Flyway
#
sub flyway_ledger_is
{
	my ($expected, $name) = @_;

	return is(value(q{SELECT string_agg(version || ' ' || success, ', ' ORDER BY installed_rank) FROM flyway_schema_history}),
		$expected, $name);
}

new_database('flyway');
$tool = RunnerReplay::Flyway->new($node, $database);
is($tool->migrate(@history), 3, 'Flyway: three migrations');
flyway_ledger_is($three, 'in the ledger');
is($tool->migrate(@history), 0, 'and then none');
decisions_are('', 'nothing of it is refused, nor done another way');

fill();
is($tool->migrate(@history, $harmful), 0, 'Flyway: an index on a large table');
like($tool->said,
	qr/^Migration order_status\.sql failed\nSQL State  : SM001\n.*Message    : ERROR: $message.*\n  Detail: public\.orders .*\n  Hint: CREATE INDEX CONCURRENTLY orders_customer ON public\.orders \(customer\);\n  Position: 1$/s,
	'is refused, and it shows everything');
flyway_ledger_is($three, 'the ledger is as before');
status_column_is(0, 'and so is the schema');
my $mixed = {
	%$harmful,
	transaction => 0,
	up => [ $harmful->{up}[0], 'ALTER TABLE orders ALTER amount TYPE bigint' ]
};
is($tool->migrate(@history, $mixed), 0, 'with executeInTransaction=false, refused half way');
flyway_ledger_is("$three, 4 false", 'the ledger has it as failed');
status_column_is(1, 'what came before stays');
is($tool->migrate(@history, @divided), 0, 'nothing is run any more');
is($tool->said, 'Schema "public" contains a failed migration to version 4 !', 'before it is repaired');
ok($tool->repair, 'which it can');
flyway_ledger_is($three, 'the ledger is as before');
$divided[0]{up} = ['ALTER TABLE orders ADD COLUMN IF NOT EXISTS status text'];
is($tool->migrate(@history, @divided), 1, 'an index in a file without a transaction');
like($tool->said,
	qr/Message    : ERROR: lock_deadline: CREATE INDEX CONCURRENTLY would wait forever for process \d+ \(.*idle in transaction.*\), which holds the lock of Flyway until this command ends; set flyway\.postgresql\.transactional\.lock=false/,
	'is refused while its other connection has a transaction open, and the message says what to set');
index_is('no', 'nothing is left behind');
flyway_ledger_is("$three, 4 true, 5 false", 'the ledger has it as failed');
$tool->{session_lock} = 1;
ok($tool->repair, 'repaired');
is($tool->migrate(@history, @divided), 1, 'with that set it goes through');
flyway_ledger_is("$three, 4 true, 5 true", 'to its end');
index_is('valid', 'built');
decisions_are('rejected create_index, rejected alter_column_type, rewrite_failed create_index, rewritten create_index', 'the safe way');
$tool->close;

new_database('flyway_defer');
$tool = RunnerReplay::Flyway->new($node, $database);
$tool->migrate(@history);
fill();
defer();
$tool->close;
$tool->connect;
is($tool->migrate(@history, $harmful), 1, 'Flyway, deferred: the harmful file goes through');
flyway_ledger_is("$three, 4 true", 'and is in the ledger');
status_column_is(1, 'it has added its column');
tasks_end_well();
decisions_are('deferred create_index, rewritten create_index', 'nothing is refused');
$tool->close;

# its ledger may be of any age
new_database('flyway_old');
$tool = RunnerReplay::Flyway->new($node, $database);
$tool->migrate(@history);
value(q{INSERT INTO flyway_schema_history SELECT g, g::text, repeat('x', 200), 'SQL', repeat('y', 900), g, 'migrator', now(), 1, g < 3000 FROM generate_series(4, 3000) g});
ok($tool->repair, 'Flyway: a long ledger is repaired');
is(value('SELECT max(installed_rank) FROM flyway_schema_history'), 2999, 'indeed');
$tool->close;

$node->stop;
unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed|safe_migrate mismatch/,
	'nothing crashed, and all was foretold');

done_testing();

# migrate.drift() where more than one session, or a dump, is concerned.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('drift');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
autovacuum = off
});
$node->start;

my $directory = PostgreSQL::Test::Utils::tempdir;

sub query
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

sub drift
{
	my ($database) = @_;

	return query($database,
		'SELECT d.kind, d.objects, d.statement FROM migrate.drift() d');
}

query('postgres', 'CREATE DATABASE source');
query('source', 'CREATE EXTENSION safe_migrate');

#
# What was marked as applied is no drift
#
query('source', 'CREATE TABLE old (id int PRIMARY KEY, parent int)');
query('source', 'CREATE VIEW olds AS SELECT id FROM old');
query('source', q{SELECT migrate.register('1', '', 'CREATE TABLE old (id int PRIMARY KEY, parent int)')});
query('source', q{SELECT migrate.baseline('1')});
is(drift('source'), '', 'after migrate.baseline() there is no drift');

#
# A migration that cannot be described: a table of a view is locked
#
my $locker = $node->background_psql('source');
$locker->query_safe('BEGIN; LOCK TABLE old');
query('source', q{SELECT migrate.register('2', '', 'CREATE TABLE two (id int)')});
my ($status, $stdout, $stderr) = $node->psql('source', 'CALL migrate.deploy()');
is($status, 0, 'a migration runs while it cannot be described');
like($stderr, qr/WARNING:  the fingerprint of the schema cannot be told/,
	'and says so');
$locker->query_safe('ROLLBACK');
$locker->quit;
unlike($stderr, qr/NOTICE:  the schema was changed/, 'there is no drift');
is(drift('source'), '', 'what it has done is not called unrecorded');
query('source', q{SELECT migrate.apply('3', 'CREATE TABLE three (id int)')});
query('source', 'SET safe_migrate.mode = off; CREATE TABLE hidden (id int)');
like(drift('source'), qr/^unrecorded\|.*added: table public\.hidden/,
	'after the next one drift is told again');
query('source', q{SELECT migrate.register('4', '', 'DROP TABLE hidden')});
($status, $stdout, $stderr) = $node->psql('source', 'CALL migrate.deploy()');
is(() = $stderr =~ /NOTICE:  the schema was changed other than by migrations/g,
	1, 'a deploy says once that there is drift');
like($stderr, qr/HINT: .*migrate\.drift\(\)/, 'and where to look');
like(drift('source'), qr/^unrecorded\|.*added: table public\.hidden[^\n]*\z/,
	'which has not forgotten it');
is(query('source', 'SELECT migrate.acknowledge_drift()'),
	2, 'the table and its privileges are acknowledged');
is(drift('source'), '', 'it is told no more');

#
# The same, and something was changed before it
#
query('source', 'SET safe_migrate.mode = off; CREATE TABLE veiled (id int)');
$locker = $node->background_psql('source');
$locker->query_safe('BEGIN; LOCK TABLE old');
($status, $stdout, $stderr) = $node->psql('source',
	q{SELECT migrate.apply('4.0.1', 'CREATE TABLE four (id int)')});
like($stderr, qr/WARNING:  the fingerprint of the schema cannot be told/, 'it cannot be compared');
$locker->query_safe('ROLLBACK');
$locker->quit;
query('source', q{SET client_min_messages = error; SELECT migrate.apply('4.0.2', 'CREATE TABLE later (id int)')});
like(drift('source'), qr/^unrecorded\|\{"unknown: the schema could not be compared with that of the last migration"\}[^\n]*\z/,
	'which stays on record');
is(query('source', 'SELECT migrate.acknowledge_drift()'), 1, 'until it is acknowledged');
query('source', q{/* safe_migrate: override by hand */ DROP TABLE veiled});
query('source', 'SELECT migrate.acknowledge_drift()');

#
# Whoever locks a table that looks like the ledger of a tool keeps nobody waiting
#
query('source', 'CREATE TABLE schema_migrations (version varchar(255) PRIMARY KEY)');
$locker = $node->background_psql('source');
$locker->query_safe('BEGIN; LOCK TABLE schema_migrations');
like(query('source', q{SET statement_timeout = '60s'; SELECT command FROM migrate.drift() WHERE kind = 'statement'}),
	qr/^CREATE TABLE$/, 'drift is told beside it');
$locker->query_safe('ROLLBACK');
$locker->quit;
query('source', 'DROP TABLE schema_migrations');
query('source', 'SELECT migrate.acknowledge_drift()');

#
# A transaction that is open while migrations run, and commits later
#
my $late = $node->background_psql('source');
$late->query_safe('BEGIN; CREATE TABLE late (id int); CREATE FUNCTION late() RETURNS int RETURN 1');
query('source', q{SELECT migrate.apply('4.1', 'CREATE TABLE beside (id int)')});
query('source', q{SELECT migrate.register('4.2', '', 'ALTER TABLE beside ADD a int')});
($status, $stdout, $stderr) = $node->psql('source', 'CALL migrate.deploy()');
unlike($stderr, qr/NOTICE:  the schema was changed/,
	'what is not committed is no drift yet');
$late->query_safe('COMMIT');
$late->quit;
like(
	drift('source'),
	qr/^statement\|\{"table public.late"\}.*\nstatement\|\{"function public.late\(\)"\}[^\n]*\z/s,
	'a record tells of it, and nothing is unrecorded');
query('source', q{SELECT migrate.register('4.3', '', 'ALTER TABLE beside ADD b int')});
($status, $stdout, $stderr) = $node->psql('source', 'CALL migrate.deploy()');
like($stderr, qr/NOTICE:  the schema was changed/, 'the next deploy tells of it');
unlike(drift('source'), qr/unrecorded/, 'and takes it for recorded');
is(query('source', 'SELECT migrate.acknowledge_drift()'),
	2, 'both are acknowledged');

#
# What another session does while migrations run
#
query('source', q{SELECT migrate.register('4.4', '', 'CREATE TABLE slow (id int); SELECT pg_sleep(3)')});
query('source', q{SELECT migrate.register('4.5', '', 'ALTER TABLE slow ADD a int')});
my $deploy = $node->background_psql('source');
$deploy->query_until(qr/begun/, "\\echo begun\nCALL migrate.deploy();\n");
$node->poll_query_until('source',
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
query('source', 'CREATE TABLE meanwhile (id int); CREATE FUNCTION meanwhile() RETURNS int RETURN 1');
query('source', 'SET safe_migrate.mode = off; CREATE TABLE in_silence (id int)');
$deploy->query('SELECT 1');
$deploy->quit;
is( query('source',
		q{SELECT fingerprint FROM migrate.history WHERE version = '4.5'}),
	query('source', 'SELECT migrate.schema_fingerprint()'),
	'the fingerprint has it');
like(drift('source'), qr/table public.meanwhile/, 'a record tells of it');
query('source', 'SELECT migrate.acknowledge_drift()');

#
# A copy of the database has other numbers, or numbers of its own
#
query('postgres', 'CREATE DATABASE copied TEMPLATE source');
query('copied', q{SELECT migrate.apply('4.6', 'CREATE TABLE six (id int)')});
is(drift('copied'), '', 'in a copy of the database nothing is drift');
is( query('copied',
		q{SELECT fingerprint FROM migrate.history WHERE version = '4.6'}),
	query('copied', 'SELECT migrate.schema_fingerprint()'),
	'and the next fingerprint is right');
query('source', q{SELECT migrate.apply('4.6', 'CREATE TABLE six (id int)')});

#
# Dump and restore
#
query(
	'source', q{
SELECT migrate.apply('5', $$
CREATE SCHEMA "a b";
CREATE TYPE "a b".mood AS ENUM ('good', 'bad');
CREATE DOMAIN "a b".positive AS int CHECK (VALUE > 0);
CREATE TABLE "a b".t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m "a b".mood DEFAULT 'good',
	p "a b".positive, word varchar(10) CHECK (word IN ('a', 'b')), gone int,
	twice int GENERATED ALWAYS AS (p * 2) STORED);
ALTER TABLE "a b".t DROP COLUMN gone;
CREATE INDEX ON "a b".t (lower(word)) WHERE p > 1;
CREATE VIEW "a b".v AS SELECT t.*, o.parent FROM "a b".t LEFT JOIN old o USING (id);
CREATE FUNCTION "a b".f(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION "a b".g() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM "a b".t; END;
CREATE TRIGGER trig BEFORE UPDATE ON "a b".t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY mine ON "a b".t USING (p > 1);
ALTER TABLE "a b".t ENABLE ROW LEVEL SECURITY;
CREATE TABLE "a b".parted (id int) PARTITION BY LIST (id);
CREATE TABLE "a b".part PARTITION OF "a b".parted FOR VALUES IN (1);
CREATE INDEX ON "a b".parted (id);
GRANT SELECT ON "a b".t TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA "a b" GRANT SELECT ON TABLES TO PUBLIC;
CREATE PUBLICATION pub FOR TABLE "a b".t;
$$)});
my $fingerprint = query('source', 'SELECT migrate.schema_fingerprint()');
is( query('source',
		'SELECT fingerprint FROM migrate.history ORDER BY finished_at DESC NULLS LAST LIMIT 1'),
	$fingerprint,
	'the ledger has the fingerprint');
query('source', 'CREATE TABLE stray (id int)');
my $drift = drift('source');
like($drift, qr/^statement\|\{"table public.stray"\}/, 'there is drift');
$fingerprint = query('source', 'SELECT migrate.schema_fingerprint()');
$node->command_ok(
	[
		'pg_dump', '-d', $node->connstr('source'), '-Fc', '-f', "$directory/dump"
	],
	'pg_dump');

foreach my $restoring ('on', 'off')
{
	my $database = "restored_$restoring";

	query('postgres', "CREATE DATABASE $database");
	local $ENV{PGOPTIONS} = "-c safe_migrate.restoring=$restoring";
	$node->command_ok(
		[
			'pg_restore', '-e', '-d', $node->connstr($database),
			"$directory/dump"
		],
		"pg_restore with safe_migrate.restoring = $restoring");
	delete $ENV{PGOPTIONS};
	is(query($database, 'SELECT migrate.schema_fingerprint()'),
		$fingerprint, 'the fingerprint is the same');
	is( query($database,
			q{SELECT d.kind, d.objects, d.statement FROM migrate.drift() d WHERE d.kind <> 'statement'}),
		'',
		'nothing is unrecorded');
	like(drift($database), qr/CREATE TABLE stray/, 'and what was recorded is there');
}
is(drift('restored_on'), $drift, 'the drift is the same');
query('restored_on',
	q{SET client_min_messages = warning; SELECT migrate.apply('6', 'CREATE TABLE restored (id int)')});
is(drift('restored_on'), $drift,
	'nor is anything of it drift for the next migration');
is( query('restored_on',
		q{SELECT fingerprint FROM migrate.history WHERE version = '6'}),
	query('restored_on', 'SELECT migrate.schema_fingerprint()'),
	'whose fingerprint is right');

unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/,
	'nothing crashed');
$node->stop;
done_testing();

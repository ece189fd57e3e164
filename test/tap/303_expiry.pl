# Restore points that have expired are dropped in the background, with what
# nobody needs any more, and the server log tells of each.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('expiry');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
safe_migrate.restore_point_ttl = '1s'
autovacuum = off
});
$node->start;

sub query
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

for my $database ('one', 'two')
{
	query('postgres', "CREATE DATABASE $database");
	query($database, q{CREATE EXTENSION safe_migrate;
		CREATE TABLE t AS SELECT g AS i, g AS j FROM generate_series(1, 1000) g});
}

# In two databases, one point that lives on beside one that does not

my $log = -s $node->logfile;
for my $database ('one', 'two')
{
	query($database, q{SET safe_migrate.restore_point_ttl = 0;
		SELECT migrate.create_restore_point('for ever')});
	query($database, q{SELECT migrate.create_restore_point('short')});
	query($database, q{SELECT migrate.apply('1', 'TRUNCATE t; ALTER TABLE t DROP COLUMN j')});
}
is(query('one', q{SELECT expires_at IS NULL FROM migrate.restore_points WHERE label = 'for ever'}),
	't', 'ttl 0 is for ever');
for my $database ('one', 'two')
{
	ok($node->poll_query_until($database,
			q{SELECT string_agg(label, ', ') = 'for ever' FROM migrate.restore_points}),
		"$database: the others are gone");
	$node->wait_for_log(
		qr/LOG:  restore point "short" of database "$database" has expired and is dropped: \d+ kB freed/,
		$log);
	pass("$database: the log says so");
	is(query($database, 'SELECT count(*) FROM migrate.parked_storage'), 1,
		"$database: what the last one needs is still there");
}

# Not while somebody is at it: nobody waits, and it is tried again.

query('one', q{SELECT migrate.drop_restore_point('for ever')});
is(query('one', q{SELECT count(*) FROM migrate.parked_storage}), 0, 'the file goes with the last one');
query('one', q{INSERT INTO t SELECT generate_series(1, 1000)});
my $other = $node->background_psql('one', on_error_die => 1);
query('one', q{SELECT migrate.create_restore_point('held')});
query('one', q{SELECT migrate.apply('2', 'ALTER TABLE t ADD COLUMN k int; ALTER TABLE t DROP COLUMN k')});
query('one', q{SET safe_migrate.restore_point_ttl = 0; TRUNCATE t});
query('one', q{SELECT migrate.drop_restore_point(label) FROM migrate.restore_points WHERE kind = 'statement'});
$other->query_safe('BEGIN');
$other->query_safe(q{SELECT * FROM migrate.restore_point_data FOR UPDATE});
sleep(3);
is(query('one', q{SELECT count(*) > 0 FROM migrate.restore_points WHERE label = 'held'}), 't',
	'one whose row somebody holds is left alone');
$other->query_safe('ROLLBACK');
ok($node->poll_query_until('one', 'SELECT count(*) = 0 FROM migrate.restore_points'),
	'until he lets go');
ok($node->poll_query_until('one', 'SELECT count(*) = 0 FROM migrate.parked_storage'),
	'and so does the file');
$other->quit;

# Triggers for dropped columns go, too.

query('one', q{CREATE TABLE u (i int, j int); INSERT INTO u VALUES (1, 2);
	SELECT migrate.create_restore_point('carried');
	ALTER TABLE u DROP COLUMN j});
is(query('one', q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'u'::regclass}), 1,
	'a dropped column is carried');
ok($node->poll_query_until('one',
		q{SELECT count(*) = 0 FROM pg_trigger WHERE tgrelid = 'u'::regclass}),
	'until nobody needs it');

# No worker stays: the database can be dropped.

query('two', q{SELECT migrate.create_restore_point('last')});
query('postgres', 'DROP DATABASE two');
pass('a database with restore points can be dropped');

# A standby drops nothing, and makes none.

my $backup = 'backup';
$node->backup($backup);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, $backup, has_streaming => 1);
$standby->start;
query('one', q{SET safe_migrate.restore_point_ttl = 0; SELECT migrate.create_restore_point('streamed')});
$node->wait_for_catchup($standby);
is($standby->safe_psql('one', q{SELECT label FROM migrate.restore_points}), 'streamed',
	'a standby has the points');
my ($status, $output, $error) =
  $standby->psql('one', q{SELECT migrate.create_restore_point('there')});
like($error, qr/cannot execute migrate\.create_restore_point\(\) during recovery/,
	'but makes none');
($status, $output, $error) = $standby->psql('one', q{SELECT migrate.drop_restore_point('streamed')});
like($error, qr/during recovery/, 'and drops none');
$standby->stop;

$node->stop;

done_testing();

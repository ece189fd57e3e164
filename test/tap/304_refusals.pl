# What restore points keep is not lost by the way: the extension is not dropped,
# and pg_upgrade not run, while there are any.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('refusals');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
autovacuum = off
fsync = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('app', $sql);
}

sub refused
{
	my ($sql, $pattern, $name) = @_;
	my ($status, $output, $error) =
	  $node->psql('app', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);

	isnt($status, 0, "$name is refused");
	like($error, $pattern, $name);
	return;
}

my $remedy = qr/SM007.*which would be lost: SELECT migrate\.drop_all_restore_points\(\) first/;

query(q{CREATE EXTENSION safe_migrate;
	CREATE TABLE u (i int, j int); INSERT INTO u VALUES (1, 2);
	SELECT migrate.create_restore_point('p');
	ALTER TABLE u DROP COLUMN j;
	TRUNCATE u});
refused('DROP EXTENSION safe_migrate', $remedy, 'DROP EXTENSION');
refused('DROP EXTENSION safe_migrate CASCADE', $remedy, 'DROP EXTENSION CASCADE');
refused('DROP EXTENSION plpgsql, safe_migrate', $remedy, 'with another one');
refused('DROP SCHEMA migrate CASCADE', $remedy, 'DROP SCHEMA');
refused(q{DO 'BEGIN DROP EXTENSION safe_migrate; END'}, $remedy, 'in DO');
refused('DROP OWNED BY CURRENT_USER', $remedy, 'DROP OWNED');
refused('DROP EXTENSION safe_migrate', qr/restore points \(p, statement .*parked files: \d+/,
	'what is there');
query('ALTER EXTENSION safe_migrate UPDATE');
pass('ALTER EXTENSION UPDATE is none of that');

# pg_upgrade starts the old server with -b.

sub restart_for_upgrade
{
	my ($options) = @_;

	$node->stop;
	system_or_bail('pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-w',
		'-o', $options, 'start');
	$node->_update_pid(1);
	return;
}

restart_for_upgrade('-b');
my ($status, $output, $error) = $node->psql('app', 'SELECT 1');
like($error,
	qr/database "app" has restore points of safe_migrate, which another version of PostgreSQL cannot use: in it, SELECT migrate\.drop_all_restore_points\(\) before pg_upgrade/,
	'the first query of pg_upgrade is told');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'elsewhere it goes on');
$node->restart;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'safe_migrate'");
$node->stop;

sub check_upgrade
{
	my $bindir = $node->config_data('--bindir');
	my $output;

	chdir(PostgreSQL::Test::Utils::tempdir);
	IPC::Run::run(
		[
			'pg_upgrade', '--check', '-d', $node->data_dir, '-D', $new->data_dir,
			'-b', $bindir, '-B', $bindir, '-s', $new->host,
			'-p', $node->port, '-P', $new->port
		],
		'>&', \$output);
	return $output;
}

like(check_upgrade(), qr/database "app" has restore points of safe_migrate/,
	'pg_upgrade --check says it');

$node->start;
query('SELECT migrate.drop_all_restore_points()');
$node->stop;
like(check_upgrade(), qr/Clusters are compatible/, 'and agrees afterwards');

# Dropped, they are in nobody's way.

$node->start;
is(query(q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'u'::regclass}), 0,
	'the trigger is gone');

# The worker that a start brings along reads the tables that are dropped.
$node->poll_query_until('app', q{SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type LIKE 'safe_migrate task%' AND datname = current_database()})
	or die 'the worker stays';
query('DROP EXTENSION safe_migrate');
pass('DROP EXTENSION');
query('UPDATE u SET i = 2');
$node->stop;

done_testing();

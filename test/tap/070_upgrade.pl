# pg_upgrade runs DDL in binary upgrade mode, where the library does nothing;
# afterwards the extension, its settings and the ledger are there.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir;

sub new_cluster
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--locale', 'C', '--encoding', 'UTF8' ]);
	$node->append_conf(
		'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = enforce
safe_migrate.small_table = 0
safe_migrate.rules = 'drop_database:reject'
autovacuum = off
});
	return $node;
}

# The whole content of a database, but for what differs from dump to dump.
sub content
{
	my ($node, $database) = @_;
	my $file = "$directory/content.sql";

	$node->command_ok(
		[ 'pg_dump', '-d', $node->connstr($database), '-f', $file ],
		"pg_dump of $database")
	  or return '';
	my $text = slurp_file($file);
	$text =~ s/^\\(un)?restrict .*\n//gm;
	return $text;
}

my $old = new_cluster('old');
my $new = new_cluster('new');
my $bindir = $new->config_data('--bindir');

#
# A database with everything that pg_upgrade restores on filled tables
#
$old->start;
$old->safe_psql('postgres', 'CREATE DATABASE main');
$old->safe_psql('postgres', 'CREATE DATABASE plain');
foreach my $database ('main', 'plain')
{
	$old->safe_psql(
		$database, q{
CREATE TABLE big (id int GENERATED ALWAYS AS IDENTITY, t text, gone int, CHECK (id > 0));
INSERT INTO big (t) SELECT repeat('x', 80) FROM generate_series(1, 20000);
CREATE TABLE parted (id int, t text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10000);
CREATE TABLE parted_default PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
SET safe_migrate.override = 'making test data';
BEGIN;
ALTER TABLE big DROP COLUMN gone, ADD PRIMARY KEY (id), ADD refers int REFERENCES big (id);
CREATE INDEX ON big (lower(t));
ALTER TABLE parted ADD PRIMARY KEY (id);
CREATE MATERIALIZED VIEW kept AS SELECT * FROM big;
CREATE UNIQUE INDEX ON kept (id);
COMMIT;
});
}
$old->safe_psql('main', 'CREATE EXTENSION safe_migrate');
$old->safe_psql('main',
	q{SELECT migrate.apply('1', 'CREATE TABLE one (id int)', 'one')});
$old->safe_psql('main',
	q{INSERT INTO migrate.policy (rule, action) VALUES ('truncate', 'allow')});
$old->safe_psql('postgres',
	q{ALTER DATABASE main SET safe_migrate.rules = 'create_index:reject, drop_index:allow';
ALTER DATABASE plain SET safe_migrate.mode = auto;
CREATE ROLE careful; ALTER ROLE careful SET safe_migrate.mode = enforce;
GRANT SET ON PARAMETER safe_migrate.override TO careful});
is($old->psql('main', 'DROP TABLE big'), 3, 'the old cluster judges');
ok( $old->poll_query_until('main',
		'SELECT count(*) > 0 AND NOT EXISTS (SELECT FROM migrate.pending_decisions()) FROM migrate.decision_log'
	),
	'and records');
$old->safe_psql('main', 'SELECT migrate.drop_all_restore_points()');
my %content = map { $_ => content($old, $_) } ('main', 'plain');
my $settings =
  q{SELECT string_agg(concat_ws(' ', datname, rolname, setconfig), ', ' ORDER BY datname, rolname)
FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole};
my $old_settings = $old->safe_psql('postgres', $settings);
$old->stop;

#
# pg_upgrade, which drops and makes template1 and postgres again, restores the
# schemas with empty tables, and writes into the current directory
#
my $here = getcwd;
chdir $PostgreSQL::Test::Utils::tmp_check or die "chdir: $!";
command_ok(
	[
		'pg_upgrade', '--no-sync',
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port
	],
	'pg_upgrade with the library preloaded and mode = enforce on both sides');
chdir $here or die "chdir: $!";

$new->start;
foreach my $database ('main', 'plain')
{
	ok(content($new, $database) eq $content{$database},
		"database $database is as it was");
}
is($new->safe_psql('postgres', $settings),
	$old_settings, 'settings of databases and roles are kept');
is( $new->safe_psql(
		'main',
		q{SELECT string_agg(version || ' ' || state, ', ') FROM migrate.status}
	),
	'1 applied',
	'the ledger is there');
is( $new->safe_psql('main', q{SELECT migrate.apply('2', 'CREATE TABLE two (id int)', 'two')}),
	1,
	'and goes on');
is( $new->safe_psql(
		'main',
		q{SELECT count(*) > 0, count(transaction_outcome) FROM migrate.decisions}
	),
	't|0',
	'decisions of the old cluster can be read');

my $stderr;
$new->psql('main', 'CREATE INDEX ON big (t)', stderr => \$stderr);
like($stderr, qr/ERROR:  create_index: /, 'the new cluster judges');
ok( $new->poll_query_until(
		'main',
		q{SELECT count(*) = 1 FROM migrate.decision_log WHERE rule = 'create_index'}),
	'and records');
is($new->psql('main', 'BEGIN; TRUNCATE big; ROLLBACK'),
	0, 'by the policy that came along');
is($new->psql('main', q{CALL migrate.run('CREATE INDEX ON big (t)')}),
	0, 'migrate.run() works');
is($new->psql('plain', 'CREATE INDEX ON big (t)'),
	0, 'a database without the extension is not judged in auto');

foreach my $node ($old, $new)
{
	unlike(
		slurp_file($node->logfile),
		qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/,
		'nothing crashed');
}
$new->stop;
done_testing();

# Many sessions that make, change, rename and drop the same few objects at
# once: what a judgement looks at may be gone a moment later.  The order of
# things is different in each run; whatever it is, PostgreSQL's own errors are
# the only ones, and the server stands.

use strict;
use warnings;

use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# It is different each time: not for a run that decides about a change.
plan skip_all => 'takes SAFE_MIGRATE_STRESS=1'
  unless $ENV{SAFE_MIGRATE_STRESS};

my $directory = PostgreSQL::Test::Utils::tempdir;
my $sessions = 8;
my $statements = 2000;

my $node = PostgreSQL::Test::Cluster->new('concurrent');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
restart_after_crash = off
autovacuum = off
fsync = off
deadlock_timeout = 50ms
lock_timeout = 2s
log_error_verbosity = verbose
});
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE other');

# %n is one of three names, %k a small number.
my @templates = (
	'CREATE TABLE IF NOT EXISTS t%n (id int, t text)',
	q{INSERT INTO t%n SELECT g, 'x' FROM generate_series(1, 50) g},
	'DROP TABLE IF EXISTS t%n CASCADE',
	'DROP TABLE t1, t2',
	'TRUNCATE t%n CASCADE',
	'ALTER TABLE t%n ADD c%n int DEFAULT 1',
	'ALTER TABLE t%n DROP c%n',
	'ALTER TABLE t%n ALTER t TYPE varchar(%k)',
	'ALTER TABLE t%n ALTER id SET NOT NULL',
	'ALTER TABLE t%n ADD CHECK (id > 0)',
	'ALTER TABLE t%n ADD PRIMARY KEY (id)',
	'ALTER TABLE t%n ADD UNIQUE (t)',
	'ALTER TABLE t1 ADD CONSTRAINT f%n FOREIGN KEY (id) REFERENCES t%n (id)',
	'ALTER TABLE t%n RENAME TO t9',
	'ALTER TABLE t9 RENAME TO t%n',
	'ALTER TABLE t%n OWNER TO other',
	'DROP OWNED BY other',
	'CREATE INDEX IF NOT EXISTS i%n ON t%n (id)',
	'CREATE INDEX CONCURRENTLY c%n ON t%n (t)',
	'DROP INDEX i%n',
	'REINDEX TABLE t%n',
	'CLUSTER t%n USING i%n',
	'VACUUM FULL t%n',
	'CREATE TABLE IF NOT EXISTS p (id int, t text) PARTITION BY RANGE (id)',
	'CREATE TABLE p%n PARTITION OF p FOR VALUES FROM (%n) TO (%n1)',
	'CREATE TABLE p9 PARTITION OF p DEFAULT',
	'CREATE TABLE p%n (id int, t text)',
	'ALTER TABLE p ATTACH PARTITION p%n FOR VALUES FROM (%n) TO (%n1)',
	'ALTER TABLE p DETACH PARTITION p%n',
	'ALTER TABLE p ADD PRIMARY KEY (id)',
	'DROP TABLE p%n',
	'DROP TABLE p',
	q{CREATE TYPE e%n AS ENUM ('a')},
	'ALTER TABLE t%n ADD e e%n',
	'DROP TYPE e%n CASCADE',
	'CREATE DOMAIN d AS int',
	'ALTER TABLE t%n ADD d d',
	'ALTER DOMAIN d ADD CHECK (VALUE > 0)',
	'DROP DOMAIN d CASCADE',
	'CREATE MATERIALIZED VIEW m%n AS SELECT id FROM t%n',
	'REFRESH MATERIALIZED VIEW m%n',
	'DROP MATERIALIZED VIEW m%n',
	'CREATE SCHEMA s',
	'ALTER TABLE t%n SET SCHEMA s',
	'ALTER TABLE s.t%n SET SCHEMA public',
	'DROP SCHEMA s CASCADE',
	q{CALL migrate.run('CREATE INDEX r%n ON t%n (t)')},
	q{CALL migrate.run('ALTER TABLE t%n ADD CONSTRAINT k%n CHECK (id < 1000)')},
	q{CALL migrate.run('ALTER TABLE t%n ADD PRIMARY KEY (id)')},
	q{SELECT * FROM migrate.check('ALTER TABLE t%n ALTER id TYPE bigint, ADD PRIMARY KEY (id); DROP TABLE t%n CASCADE; CREATE TABLE t%n (id int); CREATE TABLE p7 PARTITION OF p FOR VALUES FROM (7) TO (8)')},
	'BEGIN',
	('COMMIT', 'ROLLBACK') x 3);

sub script
{
	my ($seed) = @_;
	my $script = '';

	srand $seed;
	foreach (1 .. $statements)
	{
		my $statement = $templates[ rand @templates ];
		my ($name, $number) = (1 + int rand 3, 1 + int rand 30);

		$statement =~ s/%n1/$name + 1/ge;
		$statement =~ s/%n/$name/g;
		$statement =~ s/%k/$number/g;
		$script .= "$statement;\n";
	}
	return $script . "ROLLBACK;\n";
}

foreach my $mode ('enforce', 'observe')
{
	my $database = "in_$mode";
	my $position = -s $node->logfile;
	my @clients;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database,
		"CREATE EXTENSION safe_migrate; ALTER DATABASE $database SET safe_migrate.mode = $mode"
	);
	foreach my $session (1 .. $sessions)
	{
		my $file = "$directory/$mode.$session.sql";

		# files, for what goes through pipes waits for us
		append_to_file($file, script(time + $session));
		push @clients,
		  IPC::Run::start(
			[
				'psql', '-X', '-q', '-d', $node->connstr($database), '-f', $file
			],
			'<', File::Spec->devnull, '>', "$file.out", '2>', "$file.err");
	}
	$_->finish foreach @clients;

	is($node->safe_psql($database, 'SELECT 1'), 1, "$mode: the server stands");
	my $log = slurp_file($node->logfile, $position);
	unlike($log, qr/was terminated by signal|TRAP:|PANIC:/,
		'nothing crashed');
	unlike($log, qr/WARNING:  .*leak/, 'nothing leaked');
	cmp_ok(scalar(() = $log =~ /ERROR:  SM001: /g), '>', 100,
		'statements were refused')
	  if $mode eq 'enforce';

	# PostgreSQL itself may meet a function or type that was dropped between
	# two look-ups of its own; a relation never goes from under us.
	my @failures = $log =~
	  /safe_migrate failed while judging a statement: (could not open [^\n]*|cache lookup failed for relation[^\n]*)/g;
	is(join("\n", @failures), '', 'no judgement failed over a relation');
}

$node->stop;
done_testing();

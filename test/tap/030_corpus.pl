# Real migration histories, deployed and applied to an empty database, end in
# the schema that psql makes of the same files.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $corpus = $ENV{SAFE_MIGRATE_CORPUS}
  // dirname(abs_path(__FILE__)) . '/../../../shared/corpus';

plan skip_all => "there are no migration histories in $corpus"
  unless -d "$corpus/langfuse" && -d "$corpus/crates_io";
$corpus = abs_path($corpus);

my $node = PostgreSQL::Test::Cluster->new('corpus');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = enforce
});
$node->start;

# The files of a history in the order of its own tool, which is that of their
# directories without the dashes of the version.
sub files_in_order
{
	my ($history, $file) = @_;
	my %key_of;

	for my $path (glob(qq{"$corpus/$history/*/$file"}))
	{
		my ($version, $name) = $path =~ m{/([^/_]*)([^/]*)/[^/]*$};

		$version =~ tr/-//d;
		$key_of{$path} = "$version$name";
	}
	return sort { $key_of{$a} cmp $key_of{$b} } keys %key_of;
}

sub create_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION safe_migrate');
	return;
}

# What pg_dump says of the schema, without the key that it makes up each time.
sub dump_of
{
	my ($database) = @_;
	my ($dump) = run_command(
		[ 'pg_dump', '-s', '-N', 'migrate', $node->connstr($database) ]);

	$dump =~ s/^\\(un)?restrict .*\n//mg;
	return $dump;
}

# psql, a file at a time.
sub run_with_psql
{
	my ($database, @files) = @_;
	my $failures = 0;

	local $ENV{PGOPTIONS} = '-c safe_migrate.mode=off';
	create_database($database);
	for my $file (@files)
	{
		my ($out, $err) = run_command(
			[
				'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
				'-d', $node->connstr($database), '-f', $file
			]);

		next unless $err =~ /ERROR/;
		diag($err);
		$failures++;
	}
	is($failures, 0, "$database: psql runs all files");
	return;
}

# Load a history into a database of its own.
sub load
{
	my ($database, $history, $count) = @_;

	create_database($database);
	is( $node->safe_psql(
			$database,
			"SELECT state, count(*) FROM migrate.load('$corpus/$history') GROUP BY 1"),
		"new|$count",
		"$database: all are loaded");
	return;
}

sub all_is_applied
{
	my ($database, $count) = @_;

	is( $node->safe_psql($database,
			'SELECT state, count(*) FROM migrate.status GROUP BY 1'),
		"applied|$count",
		"$database: all are applied");
	is( $node->safe_psql(
			$database,
			q{SELECT * FROM migrate.decisions
			WHERE outcome IN ('rejected', 'overridden', 'internal_error')}),
		'',
		"$database: nothing was refused or overridden");
	return;
}

for my $history ([ 'langfuse', 'migration.sql', 434 ], [ 'crates_io', 'up.sql', 285 ])
{
	my ($name, $file, $count) = @$history;
	my @files = files_in_order($name, $file);
	my ($expected, $start, $stderr);

	is(scalar @files, $count, "$name has $count migrations");
	run_with_psql("${name}_psql", @files);
	$expected = dump_of("${name}_psql");
	like($expected, qr/CREATE TABLE/, "$name: there is something to compare");

	load("${name}_deploy", $name, $count);
	$start = time;
	$node->psql("${name}_deploy", 'CALL migrate.deploy()', stderr => \$stderr);
	diag(sprintf('%s: deployed in %d ms', $name, 1000 * (time - $start)));
	like($stderr, qr/NOTICE:  $count migrations applied/, "$name: deployed");
	all_is_applied("${name}_deploy", $count);
	ok(dump_of("${name}_deploy") eq $expected,
		"$name: the schema is that of psql, byte for byte");

	$start = time;
	$node->psql("${name}_deploy", 'CALL migrate.deploy()', stderr => \$stderr);
	diag(sprintf('%s: a deploy with nothing to do takes %d ms, psql included',
			$name, 1000 * (time - $start)));
	like($stderr, qr/nothing to do/, "$name: the second deploy does nothing");
	is( $node->safe_psql(
			"${name}_deploy",
			"SELECT state, count(*) FROM migrate.load('$corpus/$name') GROUP BY 1"),
		"unchanged|$count",
		"$name: loaded again, nothing has changed");
	is( $node->safe_psql("${name}_deploy",
			'SELECT count(*) FROM migrate.history'),
		$count, "$name: nothing ran twice");
}

# ---- all in one transaction

load('crates_io_apply', 'crates_io', 285);
is($node->safe_psql('crates_io_apply', 'SELECT migrate.apply()'),
	285, 'crates_io: applied in one transaction');
all_is_applied('crates_io_apply', 285);
ok(dump_of('crates_io_apply') eq dump_of('crates_io_psql'),
	'crates_io: the schema is that of psql, byte for byte');
is($node->safe_psql('crates_io_apply', 'SELECT migrate.apply()'),
	0, 'crates_io: the second apply does nothing');

load('langfuse_apply', 'langfuse', 434);
my $stderr;
$node->psql('langfuse_apply', 'SELECT migrate.apply()', stderr => \$stderr);
like(
	$stderr,
	qr/ERROR:  cannot apply 434 migrations in one transaction, use CALL migrate.deploy\(\): migration 20230620181114_restructure, line 13, ends a transaction by itself/,
	'langfuse: a COMMIT in the middle is told');
if ($node->pg_version < 17)
{
	like(
		$stderr,
		qr/migration 20240103135918_add_pricings, line 3, uses the enum value 'PER_1000_CHARS'/,
		'langfuse: a new enum value in use is told');
}
else
{
	unlike($stderr, qr/enum value/,
		'langfuse: the enum types are as new as their values');
}
is($node->safe_psql('langfuse_apply', 'SELECT count(*) FROM migrate.history'),
	0, 'langfuse: nothing has run');

$node->stop;
done_testing();

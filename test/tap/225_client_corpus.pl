# Real migration histories, deployed in full by the client: from a directory
# that the server does not see, over TCP, as a role that is no superuser and has
# the grants of the documentation and no more.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $top = dirname(abs_path(__FILE__)) . '/../..';
my $corpus = $ENV{SAFE_MIGRATE_CORPUS} // "$top/../shared/corpus";

plan skip_all => "there are no migration histories in $corpus"
  unless -d "$corpus/langfuse" && -d "$corpus/crates_io";
$corpus = abs_path($corpus);

my $node = PostgreSQL::Test::Cluster->new('client_corpus');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = enforce
listen_addresses = '127.0.0.1'
});
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf',
	"local all all trust\nhost all all 127.0.0.1/32 scram-sha-256");
$node->start;
$node->safe_psql('postgres',
	q{CREATE ROLE deployer LOGIN PASSWORD 'a secret'});

# The grants are those that the documentation tells.
sub documented_grants
{
	my $text = slurp_file("$top/docs/pg_safe_migrate.md");
	my ($grants) = $text =~ /^```sql\n(GRANT .*?)^```$/ms;

	$grants =~ s/\brelease_manager\b/deployer/g;
	return $grants;
}

sub client
{
	my ($database, @arguments) = @_;

	local $ENV{PGHOST} = '127.0.0.1';
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGUSER} = 'deployer';
	local $ENV{PGPASSWORD} = 'a secret';
	local $ENV{PGDATABASE} = $database;
	my ($stdout, $stderr) = ('', '');

	delete local $ENV{PGAPPNAME};
	IPC::Run::run([ 'pg_safe_migrate', @arguments ],
		'<', \undef, '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}

# What pg_dump says of the schema, without the key that it makes up each time,
# and without owners: psql ran as another one.
sub dump_of
{
	my ($database) = @_;
	my ($dump) = run_command(
		[ 'pg_dump', '-s', '-O', '-x', '-N', 'migrate', $node->connstr($database) ]);

	$dump =~ s/^\\(un)?restrict .*\n//mg;
	return $dump;
}

# In the order of the history's own tool: that of the directories without the
# dashes of the version.
sub run_with_psql
{
	my ($database, $directory, $file) = @_;
	my %key_of;

	local $ENV{PGOPTIONS} = '-c safe_migrate.mode=off';
	for my $path (glob(qq{"$directory/*/$file"}))
	{
		my ($version, $name) = $path =~ m{/([^/_]*)([^/]*)/[^/]*$};

		$version =~ tr/-//d;
		$key_of{$path} = "$version$name";
	}
	for my $path (sort { $key_of{$a} cmp $key_of{$b} } keys %key_of)
	{
		my ($out, $err) = run_command(
			[
				'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
				'-d', $node->connstr($database), '-f', $path
			]);

		die $err if $err =~ /ERROR/;
	}
	return;
}

for my $history (
	[ 'langfuse', 'migration.sql', 434 ],
	[ 'crates_io', 'up.sql', 285 ])
{
	my ($name, $file, $count) = @$history;
	my $database = "client_$name";
	my $directory = "$corpus/$name";
	my ($start, $status, $stdout, $stderr, $document);

	for my $name ($database, "psql_$name")
	{
		$node->safe_psql('postgres', "CREATE DATABASE $name");
		$node->safe_psql($name, 'CREATE EXTENSION safe_migrate');
	}
	run_with_psql("psql_$name", $directory, $file);

	# such a role cannot create what is not trusted
	$node->safe_psql($database,
		"GRANT CREATE ON DATABASE $database TO deployer; GRANT CREATE ON SCHEMA public TO deployer;"
		  . documented_grants());
	is( $node->safe_psql($database,
			q{SELECT rolsuper OR rolcreaterole OR rolcreatedb OR pg_has_role('deployer', 'pg_read_server_files', 'member')
			FROM pg_roles WHERE rolname = 'deployer'}),
		'f',
		"$name: the role is an ordinary one");

	$start = time;
	($status, $stdout, $stderr) = client($database, 'up', $directory);
	diag(sprintf('%s: sent and deployed in %d ms', $name, 1000 * (time - $start)));
	is($status, 0, "$name: up");
	like($stdout, qr/^ new +\| +$count$/m, "$name: all files are registered");
	like($stderr, qr/^NOTICE:  $count migrations applied$/m,
		"$name: all are applied");
	ok(dump_of($database) eq dump_of("psql_$name"),
		"$name: the schema is that of psql, byte for byte");
	is( $node->safe_psql(
			$database,
			q{SELECT DISTINCT role, session_role, client, application
			FROM migrate.history}),
		'deployer|deployer|127.0.0.1|pg_safe_migrate',
		"$name: by that role, over TCP");
	is( $node->safe_psql($database,
			"SELECT state, count(*) FROM migrate.load('$directory') GROUP BY 1"),
		"unchanged|$count",
		"$name: the texts are those that the server reads from the same files");

	$start = time;
	($status, $stdout, $stderr) = client($database, 'up', '--json', $directory);
	diag(sprintf('%s: an "up" with nothing to do takes %d ms', $name, 1000 * (time - $start)));
	is($status, 0, "$name: up again");
	$document = decode_json($stdout);
	is_deeply($document->{result}{loaded},
		{ states => { unchanged => $count }, changes => [] },
		"$name: no file has changed");
	is_deeply($document->{result}{attempts}, [], "$name: nothing ran");
	is((client($database, 'status', '--exit-code', $directory))[0],
		0, "$name: nothing is pending");
}

$node->stop;
done_testing();

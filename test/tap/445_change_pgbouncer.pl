# An online change under clients of both shapes that share their connections to the
# server through pgbouncer, transaction by transaction.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeCases qw(change_case);
use ChangeOracle;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';

plan skip_all => 'there is no pgbouncer' unless $program;

my $pooler;
my ($major, $minor) = `$program --version` =~ /PgBouncer (\d+)\.(\d+)/
  or plan skip_all => "$program does not tell its version";
my $knows_statements = $major > 1 || $minor >= 21;

my $node = ChangeOracle::start_node('change_pgbouncer');
my $directory = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $host = $node->host;
my $server_port = $node->port;

# fewer connections than clients
my $user = $node->safe_psql('postgres', 'SELECT current_user');

append_to_file("$directory/pgbouncer.ini", <<"END");
[databases]
postgres = host=$host port=$server_port user=$user
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $directory
auth_type = any
pool_mode = transaction
default_pool_size = 3
log_connections = 0
log_disconnections = 0
END
append_to_file("$directory/pgbouncer.ini", "max_prepared_statements = 100\n") if $knows_statements;
$pooler = IPC::Run::start([ $program, "$directory/pgbouncer.ini" ], '<', \undef, '>', "$directory/log", '2>&1');

my $connection = "host=$directory port=$port dbname=postgres";

for (1 .. 100)
{
	last if -S "$directory/.s.PGSQL.$port";
	usleep(100_000);
}

foreach my $protocol ('simple', 'extended', $knows_statements ? 'prepared' : ())
{
	my $oracle = ChangeOracle->new($node, $protocol, connection => $connection, count => 6);

	$oracle->run_to_contract(change_case('rename_column'));
	$oracle->run_to_cancel(change_case('rename_column')) if $protocol ne 'simple';
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}),
	'3', 'the clients shared three connections');
note(slurp_file("$directory/log"));
$node->stop;
done_testing();

# Nobody else stops it, whatever has happened.
END
{
	if ($pooler)
	{
		my $status = $?;

		$pooler->signal('KILL');
		$pooler->finish;
		$? = $status;
	}
}

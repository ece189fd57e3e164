# Every step of every plan, killed: the session with kill -9 before the step,
# behind it, and after its commit; the whole server with kill -9 behind it.
# Whatever was reached, sending the same statement again finishes it, and the
# end is that of the plain statement.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PlanCases qw(plan_cases);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use IPC::Run;
use Test::More;
use UntilUp qw(wait_until_up);
use Time::HiRes qw(usleep);

# One of each kind.  With SAFE_MIGRATE_KILL=few, those whose steps differ between
# versions; with SAFE_MIGRATE_KILL=all every case of PlanCases, which takes long.
my @few = ('unique index with everything', 'reindex table',
	'not null of some', 'primary key of two', 'partitioned unique', 'detach',
	'vacuum full');
my @others = (
	'index', 'drop indexes', 'reindex index', 'refresh',
	'check and new column', 'foreign key', 'unique with everything',
	'primary key replaced', 'two columns', 'volatile default, not null',
	'partitioned index', 'detach a tree', 'partition beside a default',
	'attach', 'drop table with keys', 'drop column with keys',
	'type with a check');
my $which = $ENV{SAFE_MIGRATE_KILL} // '';
my %chosen = map { $_ => 1 } @few, $which eq 'few' ? () : @others;

# What the end is compared by: names, not numbers.
my $fingerprint = q{
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'k'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'i'
UNION ALL
SELECT 'index', indrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid::text, indisready::text, indisprimary::text
FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE c.relnamespace = 'k'::regnamespace
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text, condeferrable::text
FROM pg_constraint WHERE connamespace = 'k'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'partition', inhparent::regclass::text, inhrelid::regclass::text, inhdetachpending::text, NULL, NULL
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE c.relnamespace = 'k'::regnamespace
ORDER BY 1, 2, 3, 4};

my $node = PostgreSQL::Test::Cluster->new('kill');
my $elsewhere = PostgreSQL::Test::Utils::tempdir();

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
restart_after_crash = on
autovacuum = off
wal_level = logical
search_path = k
safe_migrate.rules = 'add_column_rewrite:rewrite, drop_table:allow, drop_column:allow, drop_cascade:allow'
END
$node->start;
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$elsewhere'");
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');
if ($node->psql('postgres', "SET safe_migrate.fault_point = ''") != 0)
{
	plan skip_all => 'needs a build with make FAULT_POINTS=1';
}

# The same objects as before the statement.
sub set_up
{
	my ($setup) = @_;

	$node->safe_psql('postgres', qq{
		SET safe_migrate.mode = off;
		SET client_min_messages = error;
		DROP SCHEMA IF EXISTS k CASCADE;
		CREATE SCHEMA k;
		SET search_path = k;
		$setup});
	return;
}

# A session that sends the statement with a fault point set.
sub start_session
{
	my ($statement, $fault) = @_;
	my ($out, $err) = ('', '');

	return IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq',
			'-d', $node->connstr('postgres'),
			'-v', 'ON_ERROR_STOP=1',
			'-c', "SET safe_migrate.fault_point = '$fault'",
			'-c', $statement
		],
		'<', \undef, '>', \$out, '2>', \$err);
}

# The session is killed at that place; false if it never got there.
sub kill_session
{
	my ($statement, $place) = @_;
	my $position = -s $node->logfile;

	my $session = start_session($statement, "$place:kill");

	# psql ends with 2 when the connection is lost
	$session->finish;
	return 0 if $session->result(0) != 2;

	# it may take the connection for a moment after the session has gone
	$node->wait_for_log(
		qr/database system is ready to accept connections/, $position);
	wait_until_up($node);
	return 1;
}

# The server is killed while the session waits at that place.
sub kill_server
{
	my ($statement, $place) = @_;
	my $position = -s $node->logfile;
	my $session = start_session($statement, "$place:wait");

	$node->wait_for_log(qr/waiting at fault point "\Q$place\E"/, $position);
	$node->kill9;
	$session->finish;
	for (1 .. 100)
	{
		last if $node->start(fail_ok => 1);

		# processes of the old server may still be attached to its memory
		usleep(100_000);
		$node->stop('fast', fail_ok => 1);
	}
	wait_until_up($node);
	return;
}

# What the plain statement comes to.
sub plain_end
{
	my ($setup, $statement) = @_;

	set_up($setup);
	$node->safe_psql('postgres',
		"SET safe_migrate.mode = off; $statement");
	return $node->safe_psql('postgres', $fingerprint);
}

# After whatever happened: the same statement again.
sub is_finished
{
	my ($statement, $expected, $name) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $statement);

	is($status, 0, "$name: sent again, it succeeds") or diag($err);
	is($node->safe_psql('postgres', $fingerprint),
		$expected, "$name: the end is that of the plain statement");
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM migrate.tasks WHERE state NOT IN ('done', 'cancelled')"
		),
		'0',
		"$name: no task is left");
	return;
}

foreach my $case (plan_cases())
{
	my ($name, $setup, $statement) = @$case{qw(name setup statement)};
	my $expected;
	my $steps;

	next if !defined $case->{plan} || $case->{fails};
	next if $case->{from} && $major < $case->{from};
	next if $case->{to} && $major > $case->{to};
	next if !$chosen{$name} && $which ne 'all';


	$expected = plain_end($setup, $statement);
	set_up($setup);
	is($node->psql('postgres', $statement), 0, "$name: runs undisturbed");
	is($node->safe_psql('postgres', $fingerprint),
		$expected, "$name: undisturbed, the end is that of the plain statement");
	$steps = $node->safe_psql('postgres',
		"SELECT steps FROM migrate.tasks WHERE created_at > now() - interval '1 minute' ORDER BY id DESC LIMIT 1");

	set_up($setup);
	ok(kill_session($statement, 'task_claimed'), "$name: killed at its start");
	is_finished($statement, $expected, "$name, killed at its start");

	foreach my $step (1 .. $steps)
	{
		foreach my $place ('before', 'behind', 'committed')
		{
			my $where = "$name, killed $place step $step of $steps";

			set_up($setup);
			ok(kill_session($statement, "step_${step}_$place"),
				"$where: was reached");

			# after the last commit nothing is left to be done
			next if $place eq 'committed' && $step == $steps;
			is_finished($statement, $expected, $where);
		}
		set_up($setup);
		kill_server($statement, "step_${step}_behind");
		is_finished($statement, $expected,
			"$name, server killed behind step $step of $steps");
	}
}

$node->stop;
done_testing();

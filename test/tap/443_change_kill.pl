# kill -9 at every step of an online change, of the session in migrate.advance(), of
# the worker, and of the whole server, while clients write; and in the middle of the
# start, of the contract and of the cancel.  What was begun goes on, and no row is
# lost or wrong.

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

my $node = PostgreSQL::Test::Cluster->new('change_kill');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
restart_after_crash = on
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');
if ($node->psql('postgres', "SET safe_migrate.fault_point = ''", stderr => \my $ignored) != 0)
{
	plan skip_all => 'needs a build with make FAULT_POINTS=1';
}

my $oracle;

# ---- killing

# A session that runs statements one by one.
sub start_session
{
	my (@statements) = @_;
	my ($out, $err) = ('', '');

	return IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'),
			'-v', 'ON_ERROR_STOP=1', map { ('-c', $_) } @statements
		],
		'<', \undef, '>', \$out, '2>', \$err);
}

sub wait_until_up
{
	for (1 .. 600)
	{
		return if $node->psql('postgres', 'SELECT 1', stdout => \my $out, stderr => \my $err) == 0;
		usleep(50_000);
	}
	die 'the server did not come back';
}

# A process of the server, and with it all sessions.
sub kill_process
{
	my ($pid, $session) = @_;
	my $position = -s $node->logfile;

	kill 'KILL', $pid;
	$node->wait_for_log(qr/database system is ready to accept connections/, $position);
	eval { $session->finish } if $session;
	wait_until_up();
	return;
}

# All processes of the server at once.
sub kill_server
{
	my ($session) = @_;
	my $postmaster = $node->{_pid};
	my @children;

	foreach my $stat (glob '/proc/[0-9]*/stat')
	{
		my $text = eval { slurp_file($stat) } // next;

		push @children, $1 if $text =~ /^(\d+) \(.*\) \S $postmaster /s;
	}
	kill 'KILL', $postmaster, @children;
	$node->{_pid} = undef;
	for (1 .. 600)
	{
		last unless grep { kill 0, $_ } $postmaster, @children;
		usleep(20_000);
	}
	eval { $session->finish } if $session;
	for (1 .. 100)
	{
		return if $node->start(fail_ok => 1);

		# processes of the old server may still be attached to its memory
		usleep(100_000);
	}
	die 'the server did not come back';
}

# The process at which the statement of a session has got that far.
sub busy_with
{
	my ($pattern) = @_;
	my $query = qq{SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query ~ '$pattern' AND pid <> pg_backend_pid()};

	$node->poll_query_until('postgres', "SELECT EXISTS ($query)") or die "nobody is at $pattern";
	return $node->safe_psql('postgres', $query);
}

# A process waits at that place of the change.  Clients write meanwhile, unless it
# is in a step, whose lock they may have to wait for.
sub at_place
{
	my ($place, $start) = @_;
	my $position = -s $node->logfile;
	my $session = $start->($place);

	$node->wait_for_log(qr/waiting at fault point "\Q$place\E"/, $position);
	$oracle->let_run(10) if $place !~ /behind/;
	return $session;
}

sub advance_to
{
	my ($place) = @_;

	return start_session("SET safe_migrate.fault_point = '$place:wait'", "CALL migrate.advance($oracle->{id})");
}

# The worker reads the setting when it starts.
sub worker_to
{
	my ($place) = @_;

	$node->safe_psql('postgres', "ALTER DATABASE postgres SET safe_migrate.fault_point = '$place:wait'");
	$node->safe_psql('postgres', "SELECT migrate.retry($oracle->{id})");
	return;
}

sub pid_of_task
{
	return $node->safe_psql('postgres', "SELECT pid FROM migrate.tasks WHERE id = $oracle->{id}");
}

sub kill_session_at
{
	my ($place) = @_;
	my $session = at_place($place, \&advance_to);

	kill_process(pid_of_task(), $session);
	return;
}

sub kill_worker_at
{
	my ($place) = @_;

	at_place($place, \&worker_to);
	$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET safe_migrate.fault_point');
	kill_process(pid_of_task());
	return;
}

sub kill_server_at
{
	my ($place) = @_;

	kill_server(at_place($place, \&advance_to));
	return;
}

# ---- what is killed

# Clients whose server is gone are sent again.
sub go_on
{
	my ($when, @shapes) = @_;

	$oracle->forget_clients($when);
	$oracle->start_clients($_) foreach @shapes;
	$oracle->let_run(10);
	return;
}

sub state_of_table
{
	return $node->safe_psql('postgres', q{
SELECT attname, atttypid::regtype::text, attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT tgname, NULL, NULL FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal
UNION ALL SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE 't'::regclass IN (conrelid, confrelid)
UNION ALL SELECT pg_get_indexdef(indexrelid), NULL, indisvalid FROM pg_index WHERE indrelid = 't'::regclass
ORDER BY 1});
}

# The whole of a change, killed in this way at these places of each step.
sub run_killed
{
	my ($name, $kill, @places) = @_;
	my $case = change_case($name);
	my $steps;
	my $state;

	$oracle = ChangeOracle->new($node, 'prepared');
	$oracle->set_up($case);
	$oracle->start_clients('old');
	$oracle->let_run(10);

	# in the transaction that starts it
	$state = state_of_table();
	my $session = start_session("BEGIN", "SELECT $case->{start}", "SELECT 'started', pg_sleep(1000)");
	my $pid = busy_with(q{^SELECT ''started''});

	$kill == \&kill_server_at ? kill_server($session) : kill_process($pid, $session);
	go_on("$name, killed in the start", 'old');
	is(state_of_table(), $state, "$name, killed in the start: nothing has happened");

	$case->{start} =~ s/\)$/, advance => 'manual')/;
	$oracle->start_change;
	$steps = $node->safe_psql('postgres', "SELECT steps FROM migrate.tasks WHERE id = $oracle->{id}");
	foreach my $step (2 .. $steps)
	{
		foreach my $place (@places)
		{
			my $where = "$name, killed $place step $step of $steps";

			$kill->("step_${step}_$place");
			go_on($where, 'old');
			$oracle->compare('old', $where);
		}
	}
	$oracle->advance;
	is($oracle->phase, 'verified', "$name: is verified in the end");
	$oracle->start_clients('new');
	$oracle->let_run(10);
	$oracle->compare('verified');

	# in the transaction that contracts it
	$state = state_of_table();
	$session = start_session("BEGIN", "SELECT migrate.contract($oracle->{id}, true)", "SELECT 'contracted', pg_sleep(1000)");
	$pid = busy_with(q{^SELECT ''contracted''});
	$kill == \&kill_server_at ? kill_server($session) : kill_process($pid, $session);
	go_on("$name, killed in the contract", 'old', 'new');
	is(state_of_table(), $state, "$name, killed in the contract: nothing has happened");
	is($oracle->phase, 'verified', "$name: and says so");
	$oracle->compare('verified', 'killed in the contract');
	return;
}

sub end_by_contract
{
	my ($name) = @_;
	my $lasting = $oracle->{case}{renamed} ? 'old' : 'new';

	$oracle->stop_clients($lasting eq 'new' ? 'old' : 'new');
	$oracle->contract;
	$oracle->let_run(10);
	$oracle->stop_clients;
	$oracle->compare('contracted');
	return;
}

# What is to be removed is locked until the worker is killed.
sub end_by_cancel
{
	my ($name) = @_;
	my $holder = start_session('BEGIN', 'LOCK t IN ACCESS SHARE MODE', "SELECT 'locked', pg_sleep(1000)");

	busy_with(q{^SELECT ''locked''});
	$oracle->stop_clients('new');
	$node->safe_psql('postgres', "SELECT migrate.cancel($oracle->{id})");
	$node->poll_query_until('postgres', "SELECT state = 'undoing' AND active FROM migrate.tasks t, LATERAL (SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = t.pid) AS active) a WHERE id = $oracle->{id}")
	  or die 'nobody cancels it';
	kill_process(pid_of_task(), $holder);
	go_on("$name, killed in the cancel", 'old');
	$oracle->compare('old', 'killed in the cancel');
	$oracle->advance;
	is($oracle->phase, 'cancelled', "$name: is cancelled in the end");
	$oracle->let_run(10);
	$oracle->stop_clients;
	$oracle->compare('cancelled');
	return;
}

run_killed('rename_column', \&kill_session_at, 'before', 'behind', 'committed');
end_by_cancel('rename_column');

run_killed('change_type, a primary key', \&kill_server_at, 'behind');
end_by_contract('change_type, a primary key');

run_killed('set_not_null, with a value', \&kill_worker_at, 'behind');
end_by_contract('set_not_null, with a value');

if ($ChangeOracle::long)
{
	foreach my $case (grep { $_->{name} !~ /^(rename_table|drop)/ } ChangeCases::change_cases())
	{
		foreach my $kill (\&kill_session_at, \&kill_worker_at, \&kill_server_at)
		{
			run_killed($case->{name}, $kill, 'before', 'behind', 'committed');
			end_by_contract($case->{name});
		}
	}
}

$node->stop;
done_testing();

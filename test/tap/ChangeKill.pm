# kill -9 at every step of an online change, of the session in migrate.advance(), of
# the worker, or of the whole server, while clients write; and in the middle of the
# start, of the contract and of the cancel.
#
#     my $kill = ChangeKill->new($node);		# with fault points
#     $kill->run('rename_column', 'session', 'before', 'behind', 'committed');
#     $kill->contract;					# or cancel, killed once more
#
# The steps, the first of which fills rows, are killed at the named places of each.

package ChangeKill;

use strict;
use warnings;

use ChangeCases;
use ChangeOracle;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);
use Time::HiRes qw(usleep);

sub new
{
	my ($class, $node) = @_;

	return bless { node => $node }, $class;
}

# ---- killing

# A session that runs statements one by one.
sub start_session
{
	my ($self, @statements) = @_;
	my ($out, $err) = ('', '');

	return IPC::Run::start(
		[
			$self->{node}->installed_command('psql'), '-XAtq', '-d', $self->{node}->connstr('postgres'),
			'-v', 'ON_ERROR_STOP=1', map { ('-c', $_) } @statements
		],
		'<', \undef, '>', \$out, '2>', \$err);
}

# A process of the server, and with it all sessions.
sub kill_process
{
	my ($self, $pid, $session) = @_;
	my $position = -s $self->{node}->logfile;

	kill 'KILL', $pid;
	$self->{node}->wait_for_log(qr/database system is ready to accept connections/, $position);
	eval { $session->finish } if $session;
	wait_until_up($self->{node});
	return;
}

# All processes of the server at once.
sub kill_server
{
	my ($self, $session) = @_;
	my $node = $self->{node};
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

# The process whose statement begins so, when it is at it.
sub busy_with
{
	my ($self, $statement) = @_;
	my $query = qq{SELECT pid FROM pg_stat_activity WHERE state = 'active' AND starts_with(query, \$\$$statement\$\$)};

	$self->{node}->poll_query_until('postgres', "SELECT EXISTS ($query)") or die "nobody is at $statement";
	return $self->{node}->safe_psql('postgres', $query);
}

sub pid_of_task
{
	my ($self) = @_;

	return $self->{oracle}->query("SELECT pid FROM migrate.tasks WHERE id = $self->{oracle}{id}");
}

# What is killed, when it waits at that place of the change, to be gone on with up to
# the next one.  Clients write meanwhile, unless it is in a step, whose lock they may
# have to wait for.
sub kill_at
{
	my ($self, $what, $place, $next) = @_;
	my $oracle = $self->{oracle};
	my $position = $self->{position} // -s $self->{node}->logfile;
	my $session;

	if ($what eq 'worker')
	{
		$self->stop_workers_at($place) unless $self->{position};

		# that of the server's own accord may have come first
		$self->{node}->psql('postgres', "SELECT migrate.retry($oracle->{id})", stderr => \my $ignored);
	}
	else
	{
		$session = $self->start_session("SET safe_migrate.fault_point = '$place:wait'", "CALL migrate.advance($oracle->{id})");
	}
	$self->{node}->wait_for_log(qr/waiting at fault point "\Q$place\E"/, $position);
	$oracle->let_run(10) if $place !~ /behind|batch/;
	$self->{position} = -s $self->{node}->logfile;
	$self->stop_workers_at($next) if $what eq 'worker';
	$self->kill($what, $self->pid_of_task, $session);
	return;
}

# They read the setting when they start, which may be at once after the one before
# was killed.
sub stop_workers_at
{
	my ($self, $place) = @_;

	$self->{oracle}->query('ALTER DATABASE postgres '
		  . (defined $place ? "SET safe_migrate.fault_point = '$place:wait'" : 'RESET safe_migrate.fault_point'));
	return;
}

sub kill
{
	my ($self, $what, $pid, $session) = @_;

	if ($what eq 'server')
	{
		$self->kill_server($session);
	}
	else
	{
		$self->kill_process($pid, $session);
	}
	return;
}

# In a transaction with this statement.
sub kill_in_transaction
{
	my ($self, $what, $statement) = @_;
	my $session = $self->start_session('BEGIN', $statement, "SELECT 'it has been done', pg_sleep(1000)");

	$self->kill($what, $self->busy_with("SELECT 'it has been done'"), $session);
	return;
}

# ---- what is killed

# Clients whose server is gone are sent again.
sub go_on
{
	my ($self, $when, @shapes) = @_;

	$self->{oracle}->forget_clients($when);
	$self->{oracle}->start_clients($_) foreach @shapes;
	$self->{oracle}->let_run(10);
	return;
}

sub state_of_table
{
	my ($self) = @_;

	return $self->{oracle}->query(q{
SELECT attname, atttypid::regtype::text, attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT tgname, NULL, NULL FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal
UNION ALL SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE 't'::regclass IN (conrelid, confrelid)
UNION ALL SELECT pg_get_indexdef(indexrelid), NULL, indisvalid FROM pg_index WHERE indrelid = 't'::regclass
ORDER BY 1});
}

# A change, up to the contract.
sub run
{
	my ($self, $name, $what, @places) = @_;
	my $case = ChangeCases::change_case($name);
	my $oracle = $self->{oracle} = ChangeOracle->new($self->{node}, 'prepared');
	my $state;

	$oracle->set_up($case);
	$oracle->start_clients('old');
	$oracle->let_run(10);
	$state = $self->state_of_table;
	$self->kill_in_transaction($what, "SELECT $case->{start}");
	$self->go_on("$name, $what killed in the start", 'old');
	is($self->state_of_table, $state, "$name, $what killed in the start: nothing has happened");

	$case->{start} =~ s/\)$/, advance => 'manual')/;
	$oracle->start_change;
	$self->kill_steps($what, @places);
	$oracle->advance;
	$oracle->start_clients('new');
	$oracle->let_run(10);
	$oracle->compare('verified');
	return if $self->is_over;

	is($oracle->phase, 'verified', "$name: is verified in the end");
	$state = $self->state_of_table;
	$self->kill_in_transaction($what, "SELECT migrate.contract($oracle->{id}, force := true)");
	$self->go_on("$name, $what killed in the contract", 'old', 'new');
	is($self->state_of_table, $state, "$name, $what killed in the contract: nothing has happened");
	is($oracle->phase, 'verified', "$name: and says so");
	$oracle->compare('verified', "$what killed in the contract");
	return;
}

# What only adds to the table has no old shape, and is contracted with its last step.
sub is_over
{
	my ($self) = @_;

	return $self->{oracle}->phase eq 'contracted';
}

sub kill_steps
{
	my ($self, $what, @places) = @_;
	my $oracle = $self->{oracle};
	my $number = $oracle->query("SELECT done FROM migrate.task_log WHERE id = $oracle->{id}");
	my @all;
	my %backfilled;

	foreach my $step (split /\n/, $oracle->query(
		"SELECT translate(unnest(steps[done + 1:]), E'\n', ' ') FROM migrate.task_log WHERE id = $oracle->{id}"))
	{
		$number++;
		# a second time there may be nothing to be set
		push @all, $step =~ /^CALL migrate\.backfill/
		  ? ('backfill_begun', $backfilled{$step}++ ? () : 'backfill_batch')
		  : map { "step_${number}_$_" } @places;
	}
	delete $self->{position};
	while (defined(my $place = shift @all))
	{
		my $when = "$what killed at $place of $number steps";

		$self->kill_at($what, $place, $all[0]);
		$self->go_on("$oracle->{case}{name}, $when", 'old');
		$oracle->compare('old', $when);
	}
	return;
}

sub contract
{
	my ($self) = @_;
	my $oracle = $self->{oracle};

	if (!$self->is_over)
	{
		$oracle->stop_clients($oracle->{case}{renamed} ? 'new' : 'old');
		$oracle->contract;
		$oracle->let_run(10);
	}
	$oracle->stop_clients;
	$oracle->compare('contracted');
	return;
}

# What is to be removed is locked until the worker is killed.
sub cancel
{
	my ($self) = @_;
	my $oracle = $self->{oracle};
	my $holder = $self->start_session('BEGIN', 'LOCK t IN ACCESS SHARE MODE', "SELECT 'locked', pg_sleep(1000)");

	$self->busy_with("SELECT 'locked'");
	$oracle->stop_clients('new');
	$oracle->query("SELECT migrate.cancel($oracle->{id})");
	$self->{node}->poll_query_until('postgres', qq{
SELECT count(*) = 1 FROM migrate.tasks t JOIN pg_stat_activity a USING (pid)
WHERE t.id = $oracle->{id} AND t.state = 'undoing'}) or die 'nobody cancels it';
	$self->kill_process($self->pid_of_task, $holder);
	$self->go_on("$oracle->{case}{name}, killed in the cancel", 'old');
	$oracle->compare('old', 'killed in the cancel');
	$oracle->advance;
	is($oracle->phase, 'cancelled', "$oracle->{case}{name}: is cancelled in the end");
	$oracle->let_run(10);
	$oracle->stop_clients;
	$oracle->compare('cancelled');
	return;
}

# Every case.
sub run_all
{
	my ($self, @what) = @_;

	foreach my $case (ChangeCases::change_cases())
	{
		foreach my $what (@what)
		{
			$self->run($case->{name}, $what, 'before', 'behind', 'committed');
			$self->contract;
		}
	}
	return;
}

1;

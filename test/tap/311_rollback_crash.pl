# Restore points and kill -9 of the whole server: between the migration and the
# rollback, in the middle of the migration and in the middle of the rollback.  After
# the recovery either state is there as a whole, and the rollback works.  Every third
# case with SAFE_MIGRATE_KILL=few.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RollbackCheck;
use RollbackWorld;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = PostgreSQL::Test::Cluster->new('crash');

$node->init;
$node->append_conf('postgresql.conf', $RollbackWorld::configuration);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');
my $has_fault_points = $node->psql('postgres', "SET safe_migrate.fault_point = ''", stderr => \my $ignored) == 0;
diag 'SKIPPED: the places inside a rollback, for they need a build with make FAULT_POINTS=1'
  unless $has_fault_points;

my $world = RollbackWorld->new($node, PostgreSQL::Test::Utils::tempdir());
my $check = $world->check;

my @cases = (
	'plain: drop',
	'wide values: truncate',
	'wide values: rewriting type',
	'dropped columns: drop column',
	'keys both ways: delete',
	'partitioned: much at once',
	'all kinds of indexes: update twice',
	'other tablespace: rewriting type',
	'identity and generated: rewriting type',
	'drop schema',
	'many rows',
	'alter sequence');
my @places = ('rollback_locked', 'rollback_catalogs', 'rollback_done');

# Random moments, but always the same.
srand 1;

# All processes of the server at once.
sub kill_server
{
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
	return;
}

sub start_again
{
	for (1 .. 100)
	{
		return if $node->start(fail_ok => 1);

		# processes of the old server may still be attached to its memory
		usleep(100_000);
	}
	die 'the server did not come back';
}

# Statements in a session of their own.
sub start_session
{
	my (@statements) = @_;
	my ($out, $err) = ('', '');

	return IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-d', $node->connstr($world->{database}),
			'-v', 'ON_ERROR_STOP=1', map { ('-c', $_) } @statements
		],
		'<', \undef, '>', \$out, '2>', \$err);
}

sub kill_and_recover
{
	my ($session) = @_;

	kill_server();
	eval { $session->finish } if $session;
	start_again();
	return;
}

# One of both states, as a whole; says which.
sub is_either
{
	my ($name, %states) = @_;
	my $now = $check->state;
	my %difference;

	foreach my $which (sort keys %states)
	{
		$difference{$which} = $check->difference($states{$which}, $now)
		  . RollbackCheck::row_difference($states{$which}{rows}, $now->{rows});
		if ($difference{$which} eq '')
		{
			is($check->corruption, '', "$name: files of the state $which");
			return $which;
		}
	}
	fail("$name: one state or the other");
	diag("other than $_:\n$difference{$_}") foreach sort keys %difference;
	return '';
}

# The label's schema, and the rows that the mode promises.
sub rolls_back
{
	my ($name, $label, $mode, $before, $wanted) = @_;
	my $after;

	is($check->failure("CALL migrate.rollback_to('$label', '$mode')"), '', "$name: rolls back");
	$after = $check->state;
	is($check->difference($before, $after), '', "$name: the schema");
	is(RollbackCheck::row_difference($wanted, $after->{rows}), '', "$name: the rows");
	is($check->corruption, '', "$name: the files");
	return;
}

# Set up; the label, the state at it, and the rows that the mode promises.
sub begin
{
	my ($case, $mode) = @_;
	my $label = $world->begin($case);
	my ($wanted, $error) = $world->expected($case, $case->{ $mode eq 'keep' ? 'plain' : 'as_of' });

	is($error, '', "$case->{name}: without migrations");

	is($world->set_up($case), '', "$case->{name}: set up");
	is($check->failure("SELECT migrate.create_restore_point('$label')"), '', "$case->{name}: a restore point");
	return ($label, $check->state, $wanted);
}

sub end
{
	my ($case) = @_;

	is($check->failure('SELECT migrate.drop_all_restore_points()'), '', "$case->{name}: the points can be dropped");
	$world->clean_up($case);
	return;
}

# Killed between both, and in both directions again.
sub between
{
	my ($case, $mode) = @_;
	my ($label, $before, $wanted) = begin($case, $mode);
	my $name = "$case->{name}, killed between, $mode";
	my $undo;
	my $migrated;

	$check->failure('CHECKPOINT') if $mode eq 'keep';
	is($world->migrate($case), '', "$name: migrates");
	$check->failure('CHECKPOINT') if $mode ne 'keep';
	is($world->write($case), '', "$name: clients write");
	$migrated = $check->state;
	kill_and_recover();
	is(is_either("$name, recovered", migrated => $migrated), 'migrated', "$name: nothing is lost");
	rolls_back($name, $label, $mode, $before, $wanted);

	$undo = $check->query(
		q{SELECT label FROM migrate.restore_points WHERE kind = 'rollback' ORDER BY created_at DESC LIMIT 1});
	$before = $check->state;
	kill_and_recover();
	is(is_either("$name, recovered again", before => $before), 'before', "$name: the rollback is there");
	rolls_back("$name, and back", $undo, 'as_of', $migrated, $migrated->{rows});
	end($case);
	return;
}

# Killed at some moment of the migration.
sub in_migration
{
	my ($case) = @_;
	my ($label, $before, $wanted) = begin($case, 'keep');
	my $name = "$case->{name}, killed in the migration";
	my $started = time;
	my ($took, $migrated, $found);

	is($world->migrate($case), '', "$name: runs undisturbed");
	$took = time - $started;
	# another run of it makes other OIDs
	$migrated = $check->state;
	delete $migrated->{catalog};
	is($check->failure("CALL migrate.rollback_to('$label', 'as_of')"), '', "$name: is undone");
	foreach my $part (0.5 + rand 0.5, 0.8 + rand 0.3)
	{
		my $session = start_session($world->migration($case));

		usleep($part * $took * 1e6);
		kill_and_recover($session);
		$found = is_either("$name after $part", before => $before, migrated => $migrated);
		note("$name after $part: $found");
		is($check->failure("CALL migrate.rollback_to('$label', 'as_of')"), '', "$name: is undone again")
		  if $found eq 'migrated';
	}
	is($world->migrate($case), '', "$name: runs at last");
	is($world->write($case), '', "$name: clients write");
	rolls_back($name, $label, 'keep', $before, $wanted);
	is($world->usable($case), '', "$name: usable");
	end($case);
	return;
}

# Killed at each place inside a rollback, and at some moment of it.
sub in_rollback
{
	my ($case, $mode) = @_;
	my ($label, $before, $wanted) = begin($case, $mode);
	my $name = "$case->{name}, killed in the rollback, $mode";
	my ($migrated, $found);

	is($world->migrate($case), '', "$name: migrates");
	is($world->write($case), '', "$name: clients write");
	$migrated = $check->state;
	foreach my $place ($has_fault_points ? @places : ())
	{
		my $position = -s $node->logfile;
		my $session = start_session("SET safe_migrate.fault_point = '$place:wait'",
			"CALL migrate.rollback_to('$label', '$mode')");

		$node->wait_for_log(qr/waiting at fault point "$place"/, $position);
		kill_and_recover($session);
		is(is_either("$name at $place", migrated => $migrated), 'migrated', "$name at $place: nothing has happened");
	}
	foreach my $part (1, 2)
	{
		my $session = start_session("CALL migrate.rollback_to('$label', '$mode')");

		usleep(50_000 + rand 1_500_000);
		kill_and_recover($session);
		$found = is_either("$name at some moment", migrated => $migrated,
			before => { %$before, rows => $wanted });
		note("$name at some moment: $found");
		last if $found ne 'migrated';
	}
	rolls_back($name, $label, $mode, $before, $wanted) if $found eq 'migrated';
	is($world->usable($case), '', "$name: usable");
	end($case);
	return;
}

my $few = ($ENV{SAFE_MIGRATE_KILL} // '') eq 'few';
my $number = 0;

foreach my $name (@cases)
{
	my $case = $world->case($name);
	my @modes = $number++ % 2 ? ('keep', 'as_of') : ('as_of', 'keep');

	next if $few && $number % 3;
	between($case, $modes[0]);
	in_migration($case);
	in_rollback($case, $modes[1]);
}

# An unlogged table is empty after a crash, and nothing worse.
my $unlogged = $world->case('unlogged: truncate');
my ($label) = begin($unlogged, 'keep');

is($world->migrate($unlogged), '', 'unlogged: migrates');
kill_and_recover();
is($check->failure("CALL migrate.rollback_to('$label', 'as_of')"), '', 'unlogged: rolls back');
is($check->rows, '', 'unlogged: there is nothing any more');
is($check->corruption, '', 'unlogged: the files');
end($unlogged);

is($check->corruption('catalogs'), '', 'the system catalogs');
# a crash leaves the files of what was not committed, as PostgreSQL does without us
$node->stop;
unlike(slurp_file($node->logfile), qr/TRAP:|PANIC:|safe_migrate failed/, 'nothing crashed by itself');
done_testing();

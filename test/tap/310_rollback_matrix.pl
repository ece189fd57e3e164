# Restore points: each kind of DDL and DML under one, then writes of clients, then
# migrate.rollback_to() in both modes.  Afterwards the schema is that of the label,
# seen from outside; the rows are those that setting up and the clients' writes
# alone come to, in a database without migrations; amcheck is content; and the
# rollback can be rolled back.
#
# By default one mode of each case of RollbackCases.pm and of some of RollbackTables.pm,
# of a quarter of those with SAFE_MIGRATE_KILL=few; with SAFE_MIGRATE_ROLLBACK=all
# both modes of all, which takes an hour, with another word the cases whose name
# matches it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RollbackCheck;
use RollbackWorld;
use Test::More;
use UntilUp qw(wait_until_up);

my $node = PostgreSQL::Test::Cluster->new('matrix');

$node->init;
$node->append_conf('postgresql.conf', $RollbackWorld::configuration);
$node->start;

my $world = RollbackWorld->new($node, PostgreSQL::Test::Utils::tempdir());
my $check = $world->check;
my $failed;

if (!$world->{available}{amcheck})
{
	diag 'SKIPPED: there is no amcheck here: nothing looks into the files';
}

# What was found is nothing, or it is a failure.
sub nothing
{
	my ($found, $name) = @_;

	return if $found eq '';
	$failed = 1;
	fail($name);
	diag($found);
	return;
}

sub yes
{
	my ($condition, $name, $detail) = @_;

	return if $condition;
	$failed = 1;
	fail($name);
	diag($detail) if defined $detail;
	return;
}

# The plan tells what will be done, and does nothing.
sub look_at_plan
{
	my ($name, $label, $case, $migrated) = @_;
	my $does_nothing = $case->{change} =~ /^((SELECT 1)?$|REINDEX|CLUSTER)|DO NOTHING$/;
	my $plan = $check->query(
		"SELECT step, action, object, rows, later_writes, conflicts, unrepresentable FROM migrate.rollback_plan('$label')");
	my ($problems, $last, $odd) = (0, 0, 0);

	return yes(0, "$name: the plan can be had", $plan) if $plan =~ /^failed: /;
	foreach (split /\n/, $plan)
	{
		my ($step, $action, $object, @counts) = split /\|/, $_, -1;

		$odd++ if $step <= $last || $action eq '' || $object eq '' || grep { !/^\d*$/ } @counts;
		$problems += ($counts[2] || 0) + ($counts[3] || 0);
		$last = $step;
	}
	yes($plan ne '' || $does_nothing, "$name: the plan has steps");
	yes($odd == 0, "$name: the plan is well-formed", $plan);
	yes(($problems > 0) == !defined $case->{plain}, "$name: the plan foretells what is in the way", $plan)
	  if !$case->{refused};
	yes($migrated->{catalog} eq $check->catalog, "$name: the plan changes nothing");
	return;
}

# A session that was there before sees what a new one sees.
sub old_session_sees
{
	my ($session, $query) = @_;

	$session->{in} .= "$query\n\\echo -- done\n";
	$session->{out} = '';
	$session->{run}->pump until $session->{out} =~ /^-- done\n/m;
	return $session->{out} =~ s/^-- done\n//mr =~ s/\n\z//r;
}

sub start_session
{
	my %session = (in => '', out => '', err => '');

	$session{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($world->{database}) ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

# Sequences are not below what they were.
sub low_sequences
{
	my ($before, $after) = @_;
	my %after = map { $_->[0] => $_ } @$after;
	my @low;

	foreach my $sequence (@$before)
	{
		my ($name, $value, $called) = @$sequence;
		my $now = $after{$name};

		push @low, "$name: $value $called, now " . ($now ? "$now->[1] $now->[2]" : 'gone')
		  if !$now || $now->[1] < $value || ($now->[1] == $value && $called eq 't' && $now->[2] eq 'f');
	}
	return join "\n", @low;
}

# One case in one mode.
sub run_case
{
	my ($case, $mode, $on_conflict) = @_;
	my $label = $world->begin($case);
	my $name = "$case->{name}, $mode" . ($on_conflict ? " $on_conflict" : '');
	my $rows = $mode eq 'as_of' ? $case->{as_of} : $on_conflict ? $case->{$on_conflict} : $case->{plain};
	my $refused = $case->{refused} || !defined $rows;
	my $old_query = $case->{setup} =~ /TABLE t / ? 'SELECT count(*), min(id) FROM t;' : 'SELECT 1;';
	my ($wanted, $error, $before, $migrated, @sequences, $session, $after, $plan_failed);

	$failed = 0;
	$old_query = RollbackWorld::in_schema($case, $old_query);
	if (!$refused)
	{
		($wanted, $error) = $world->expected($case, $rows);
		nothing($error, "$name: without migrations");
	}
	nothing($world->set_up($case), "$name: set up");
	$session = start_session();
	nothing($check->failure("SELECT migrate.create_restore_point('$label')"), "$name: a restore point is made");
	$before = $check->state;
	@sequences = $check->sequences;
	old_session_sees($session, $old_query);
	nothing($world->migrate($case), "$name: migrates");
	nothing($world->write($case), "$name: clients write");

	$migrated = $check->state unless $failed;
	if (!$failed)
	{
		look_at_plan($name, $label, $case, $migrated);
		$plan_failed = $failed;
		$failed = 0;
		$error = $check->failure(
			"CALL migrate.rollback_to('$label', '$mode'" . ($on_conflict ? ", on_conflict := '$on_conflict'" : '') . ')');
		if ($refused)
		{
			yes(scalar($error =~ /ERROR:  (SM007|22\w{3}|23\w{3}): /), "$name: refused", $error eq '' ? 'it succeeds' : $error);
			$before = $migrated;
			$wanted = $migrated->{rows};
		}
		else
		{
			nothing($error, "$name: rolled back");
		}
	}
	if (!$failed)
	{
		$after = $check->state;
		nothing($check->difference($before, $after), "$name: the schema is that of the label");
		nothing(RollbackCheck::row_difference($wanted, $after->{rows}), "$name: the rows");
		nothing($check->corruption, "$name: the files");
	}
	if (!$failed && !$refused)
	{
		nothing(low_sequences(\@sequences, [ $check->sequences ]), "$name: no sequence is lower");
		nothing(RollbackCheck::row_difference($check->query($old_query), old_session_sees($session, $old_query)),
			"$name: in an old session");
		nothing($world->usable($case), "$name: usable");
		roll_back_again($name, $migrated) if !$failed && $mode eq 'keep' && !$case->{one_way};
	}
	$session->{in} .= "\\q\n";
	eval { $session->{run}->finish };
	nothing(without_points(), "$name: nothing is left");
	wait_until_up($node);
	$world->clean_up($case);
	pass($name) unless $failed || $plan_failed;
	$check = $world->new_database if $failed;
	return;
}

# A rollback is a restore point.
sub roll_back_again
{
	my ($name, $migrated) = @_;
	my $label = $check->query(
		q{SELECT label FROM migrate.restore_points WHERE kind = 'rollback' ORDER BY created_at DESC LIMIT 1});
	my $after;

	nothing($check->failure("CALL migrate.rollback_to('$label', 'as_of')"), "$name: the rollback is rolled back");
	return if $failed;
	$after = $check->state;
	nothing($check->difference($migrated, $after), "$name, and back: the schema");
	nothing(RollbackCheck::row_difference($migrated->{rows}, $after->{rows}), "$name, and back: the rows");
	nothing($check->corruption, "$name, and back: the files");
	return;
}

# All points dropped: what is still kept for them.
sub without_points
{
	my $drop =
	  $world->{number} % 5
	  ? 'migrate.drop_all_restore_points()'
	  : 'migrate.drop_restore_point(label) FROM migrate.restore_points';

	return $check->failure("SELECT $drop") || $check->query(
		q{
SELECT 'relation ' || oid::regclass FROM pg_class WHERE relkind = 't' AND relnamespace = 'migrate'::regnamespace
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger
WHERE tgfoid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace)
	AND tgrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'migrate'::regnamespace)
UNION ALL SELECT 'parked ' || holder FROM migrate.parked_storage
UNION ALL SELECT 'rows ' || id FROM migrate.changed_rows});
}

my $wanted = $ENV{SAFE_MIGRATE_ROLLBACK} // '';
my $count = 0;

foreach my $case ($world->cases)
{
	my @modes = ('keep', 'as_of');

	$count++;
	next unless $wanted =~ /^(all)?$/ || $case->{name} =~ /$wanted/;
	if ($wanted eq '')
	{
		next if $case->{name} =~ /: / && $count % 9;
		next if ($ENV{SAFE_MIGRATE_KILL} // '') eq 'few' && $count % 4;
		@modes = $modes[ $count % 2 ] if defined $case->{plain};
	}
	run_case($case, $_) foreach @modes;
	run_case($case, 'keep', $_) foreach grep { exists $case->{$_} } 'keep', 'restore';
}

nothing($check->corruption('catalogs'), 'the system catalogs');
is($check->unknown_files, '0', 'no file is left over');
$node->stop;
unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/,
	'nothing crashed');
done_testing();

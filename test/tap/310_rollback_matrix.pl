# Restore points: each kind of DDL and DML under one, then writes of clients, then
# migrate.rollback_to() in both modes.  Afterwards the schema is that of the label,
# seen from outside; the rows are those that setting up and the clients' writes
# alone come to, in a database without migrations; amcheck is content; and the
# rollback can be rolled back.
#
# By default every case of RollbackCases.pm and one mode of each of RollbackTables.pm;
# with SAFE_MIGRATE_ROLLBACK=all both modes of all, with another word the cases
# whose name matches it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RollbackCases qw(single_cases);
use RollbackCheck;
use RollbackTables qw(table_cases);
use Test::More;
use Time::HiRes qw(time usleep);

my $node = PostgreSQL::Test::Cluster->new('matrix');
my $elsewhere = PostgreSQL::Test::Utils::tempdir();

$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = observe
restart_after_crash = on
autovacuum = off
wal_level = logical
max_worker_processes = 16
});
$node->start;
$node->safe_psql(
	'postgres', qq{
CREATE TABLESPACE elsewhere LOCATION '$elsewhere';
CREATE ROLE regress_owner;
CREATE ROLE regress_user;
CREATE ROLE regress_other;
CREATE DATABASE prepared;
CREATE DATABASE twin;
});
$node->safe_psql('prepared', 'CREATE EXTENSION safe_migrate');

my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
my %available = map { $_ => 1 } split /\n/,
  $node->safe_psql('postgres', 'SELECT name FROM pg_available_extensions');

foreach my $database ('prepared', 'twin')
{
	$node->safe_psql($database, 'CREATE SCHEMA regress_elsewhere');
	$node->safe_psql($database, 'CREATE EXTENSION file_fdw') if $available{file_fdw};
	$node->safe_psql($database, 'CREATE EXTENSION amcheck SCHEMA pg_catalog') if $available{amcheck};
}
if (!$available{amcheck})
{
	diag 'SKIPPED: there is no amcheck here: nothing looks into the files';
}

my $databases = 0;
my $number = 0;
my $database;
my $check;
my $twin = RollbackCheck->new($node, 'twin');
my $failed;

# A database that nothing has happened to.
sub new_database
{
	$database = 'matrix' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE prepared");
	$check = RollbackCheck->new($node, $database);
	return;
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

# Like is() with nothing expected, but remembered.
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

sub quoted
{
	my ($text) = @_;

	return '$body$' . $text . '$body$';
}

# Statements of a case, as they run in its schema.
sub in_schema
{
	my ($case, $sql) = @_;

	$sql =~ s/:schema\b/$case->{schema}/g;
	return "SET client_min_messages = error; SET search_path = $case->{schema}; $sql";
}

# The objects of a case, in one of both databases.
sub set_up
{
	my ($seen, $case) = @_;

	return $seen->failure(
		"SET safe_migrate.restore_points = off; CREATE SCHEMA $case->{schema}; " . in_schema($case, $case->{setup}));
}

sub clean_up
{
	my ($seen, $case) = @_;
	my $before = q{SET client_min_messages = error; SET safe_migrate.mode = off; SET safe_migrate.restore_points = off;};

	$before =~ s/SET safe_migrate.restore_points = off;// if $seen == $twin;
	$seen->failure("$before $case->{cleanup}") if $case->{cleanup};
	$seen->failure("$before DROP SCHEMA $case->{schema} CASCADE; DROP SCHEMA regress_elsewhere CASCADE; CREATE SCHEMA regress_elsewhere");
	return;
}

# The rows that these writes alone lead to.
sub expected
{
	my ($case, $sql) = @_;
	my $rows;

	nothing(set_up($twin, $case), "$case->{name}: set up without migrations");
	nothing($twin->failure(in_schema($case, $sql)), "$case->{name}: writes without migrations");
	$rows = $twin->rows;
	clean_up($twin, $case);
	return $rows;
}

sub migrate
{
	my ($case, $version) = @_;
	my $body = quoted(in_schema($case, '') . $case->{change});

	$body =~ s/:schema\b/$case->{schema}/g;
	$body =~ s/SET client_min_messages = error; //;
	if ($case->{deploy})
	{
		return $check->failure("SELECT migrate.register('$version', 'case', $body)")
		  || $check->failure('CALL migrate.deploy()');
	}
	return $check->failure("SELECT migrate.apply('$version', $body)");
}

# The plan tells what will be done, and does nothing.
sub look_at_plan
{
	my ($name, $label, $case) = @_;
	my $before = $check->catalog . $check->rows;
	my $plan = $check->query("SELECT * FROM migrate.rollback_plan('$label')");
	my ($steps, $odd, $conflicts, $later, $lost) = split /\|/, $check->query(
		qq{
SELECT count(*), count(*) FILTER (WHERE action IS NULL OR object IS NULL OR rows < 0 OR later_writes < 0 OR conflicts < 0 OR unrepresentable < 0)
	+ count(*) - count(DISTINCT step), coalesce(sum(conflicts), 0), coalesce(sum(later_writes), 0), coalesce(sum(unrepresentable), 0)
FROM migrate.rollback_plan('$label')});

	if (!defined $lost)
	{
		return yes(0, "$name: the plan can be had", $plan);
	}
	yes($steps > 0 || $case->{change} =~ /^(|SELECT 1)$/, "$name: the plan has steps");
	yes($odd == 0, "$name: the plan is well-formed", $plan);
	yes($conflicts > 0 || $lost > 0, "$name: the plan foretells the conflict", $plan)
	  if !defined $case->{plain} && !$case->{refused};
	yes($conflicts == 0 && $lost == 0, "$name: the plan foretells no conflict", $plan)
	  if defined $case->{plain} && !$case->{refused};
	yes($before eq $check->catalog . $check->rows, "$name: the plan changes nothing");
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
		[ 'psql', '-XAtq', '-d', $node->connstr($database) ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

# What may be done with what came back.
sub is_usable
{
	my ($case) = @_;
	my $vacuum = $check->query(
		qq{SELECT string_agg('VACUUM (ANALYZE) ' || oid::regclass, ';') FROM pg_class
WHERE relnamespace IN ('$case->{schema}'::regnamespace) AND relkind IN ('r', 'm')});

	return $check->failure(in_schema($case, "BEGIN; $case->{usable}; ROLLBACK"))
	  || $check->failure($vacuum)
	  || $check->failure(
		q{SET enable_seqscan = off; SELECT pg_sequence_last_value(seqrelid) FROM pg_sequence});
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
	my $label = sprintf 'label%d', ++$number;
	my $name = "$case->{name}, $mode" . ($on_conflict ? " $on_conflict" : '');
	my $rows = $mode eq 'as_of' ? $case->{as_of} : $on_conflict ? $case->{$on_conflict} : $case->{plain};
	my $refused = $case->{refused} || !defined $rows;
	my ($wanted, $before, $migrated, @sequences, $session, $error, $after);

	$failed = 0;
	$case->{schema} = sprintf 's%04d', $number;
	$wanted = expected($case, $rows) unless $refused;

	nothing(set_up($check, $case), "$name: set up");
	$session = start_session();
	$check->{node} = $node;
	nothing($check->failure("SELECT migrate.create_restore_point('$label')"), "$name: a restore point is made");
	$before = $check->state;
	@sequences = $check->sequences;
	old_session_sees($session, in_schema($case, 'SELECT count(*) FROM t;')) if $case->{setup} =~ /TABLE t /;
	nothing(migrate($case, $number), "$name: migrates");
	nothing($check->failure(in_schema($case, $case->{writes})), "$name: clients write");

	look_at_plan($name, $label, $case) unless $failed;
	$migrated = $check->state unless $failed;
	if (!$failed)
	{
		$error = $check->failure(
			"CALL migrate.rollback_to('$label', '$mode'" . ($on_conflict ? ", on_conflict := '$on_conflict'" : '') . ')');
		if ($refused)
		{
			yes($error =~ /^ERROR:  SM007: /m, "$name: refused", $error eq '' ? 'it succeeds' : $error);
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
		nothing(low_sequences(\@sequences, [ $check->sequences ]), "$name: no sequence is lower") unless $refused;
		if ($case->{setup} =~ /TABLE t / && !$refused)
		{
			my $query = in_schema($case, 'SELECT count(*), min(id) FROM t;');

			nothing(RollbackCheck::row_difference($check->query($query), old_session_sees($session, $query)), "$name: in an old session");
		}
	}
	if (!$failed && !$refused)
	{
		roll_back_again($name, $migrated);
		nothing(is_usable($case), "$name: usable") if $on_conflict || $mode eq 'as_of';
	}
	$session->{in} .= "\\q\n";
	eval { $session->{run}->finish };
	nothing(without_points(), "$name: nothing is left");
	wait_until_up();
	clean_up($check, $case);
	pass($name) unless $failed;
	if ($failed)
	{
		clean_up($twin, $case);
		new_database();
	}
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
	return $check->failure('SELECT migrate.drop_restore_point(label) FROM migrate.restore_points')
	  || $check->query(
		q{
SELECT 'relation ' || oid::regclass FROM pg_class WHERE relkind = 't' AND relnamespace = 'migrate'::regnamespace
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger
WHERE tgfoid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace)
	AND tgrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'migrate'::regnamespace)
UNION ALL SELECT 'parked ' || holder FROM migrate.parked_storage
UNION ALL SELECT 'rows ' || id FROM migrate.changed_rows});
}

sub defaults
{
	my ($case) = @_;

	$case->{writes} //= '';
	$case->{plain} = $case->{refused} ? undef : $case->{writes} unless exists $case->{plain};
	$case->{as_of} = $case->{refused} ? undef : $case->{replaced} ? '' : $case->{plain} unless exists $case->{as_of};
	return $case;
}

sub is_wanted
{
	my ($case, $wanted) = @_;

	return 0 if $case->{extension} && !$available{ $case->{extension} };
	return 0 if $case->{from} && $major < $case->{from};
	return 0 if $case->{to} && $major > $case->{to};
	return $wanted =~ /^(all)?$/ || $case->{name} =~ /$wanted/;
}

my $wanted = $ENV{SAFE_MIGRATE_ROLLBACK} // '';
my $count = 0;

new_database();
foreach my $case (single_cases(), table_cases())
{
	my @modes = ('keep', 'as_of');

	defaults($case);
	$count++;
	next unless is_wanted($case, $wanted);
	@modes = $modes[ $count % 2 ] if $wanted eq '' && $case->{name} =~ /: / && defined $case->{plain};
	run_case($case, $_) foreach @modes;
	run_case($case, 'keep', $_) foreach grep { exists $case->{$_} } 'keep', 'restore';
}

new_database() if $failed;
nothing($check->corruption('catalogs'), 'the system catalogs');
is($check->unknown_files, '0', 'no file is left over');
$node->stop;
unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/,
	'nothing crashed');
done_testing();

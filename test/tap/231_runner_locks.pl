# Two runs of one migration tool at once.  Those that wait for their advisory lock
# in a query do so with a snapshot, for which CREATE INDEX CONCURRENTLY of the one
# that has the lock waits in the end.

use strict;
use warnings;

use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RunnerReplay;
use RunnerReplay::Flyway;
use RunnerReplay::GolangMigrate;
use RunnerReplay::Tern;

my $node = RunnerReplay::start('runner_locks');

# far less than the time for which a second run waits before there is a deadlock
$node->safe_psql('postgres', q{ALTER SYSTEM SET deadlock_timeout = '200ms'});
$node->reload;
my @history = RunnerReplay::history();
my @divided = RunnerReplay::divided();

# What each tool asks for its lock with, and what its ledger then says.
my %tools = (
	GolangMigrate => {
		lock => q{SELECT pg_advisory_lock(1486364155)},
		ledger => 'SELECT version, dirty FROM schema_migrations',
		failed => '5|t',
		done => '5|f'
	},
	Tern => {
		lock => q{select pg_advisory_lock(9628173550095224)},
		ledger => 'SELECT version FROM schema_version',
		failed => '4',
		done => '5'
	});

sub value
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

# A second run, which asks for the lock while the first one has it.
sub second_run
{
	my ($database, $sql) = @_;
	my $session = WireSession->new($node, $database, 'migrator');

	$session->send($session->statement($sql), $session->sync);
	$node->poll_query_until($database,
		q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'}
	) or die 'the second run does not wait';
	return $session;
}

foreach my $name (sort keys %tools)
{
	my $expected = $tools{$name};
	my $database = lc $name;
	my $second;

	RunnerReplay::make_database($node, $database);
	my $tool = "RunnerReplay::$name"->new($node, $database);
	is($tool->up(@history), 3, "$name: three migrations");
	RunnerReplay::fill_orders($node, $database);

	#
	# The second run waits already
	#
	$tool->{when_locked} =
	  sub { $second = second_run($database, $expected->{lock}) };
	is($tool->up(@history, @divided), 1, 'the index is not built while a second run waits');
	is($tool->error('C'), 'SM002', 'but refused');
	my $pid = $second->pid;
	like($tool->said,
		qr/lock_deadline: CREATE INDEX CONCURRENTLY would wait forever for process $pid .*, which waits for an advisory lock of this session; release the lock, or end that session first/,
		'the tool shows who waits');
	is(RunnerReplay::index_state($node, $database, 'orders_customer'), 'no', 'nothing is left behind');
	is(value($database, $expected->{ledger}), $expected->{failed}, 'the ledger says how far it came');
	is(join(' ', $second->answers), 'row  done SELECT 1 idle', 'the second run gets the lock');
	$second->close;

	#
	# It comes while the index is being built
	#
	delete $tool->{when_locked};
	$tool->force(4) if $tool->can('force');
	my $child;
	my $heard = PostgreSQL::Test::Utils::tempdir() . '/heard';

	$tool->{when_locked} = sub {
		$child = fork // die "could not fork: $!";
		if ($child == 0)
		{
			my $text = eval { run_beside($database, $expected->{lock}) } // "died: $@";

			append_to_file($heard, $text);
			POSIX::_exit(0);
		}
		$node->poll_query_until($database,
			q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'RowExclusiveLock'}
		) or die 'nobody writes';
	};
	is($tool->up(@history, @divided), 0, 'a second run comes while the index is being built');
	waitpid $child, 0;
	is(slurp_file($heard), 'done SELECT 1', 'it is not the one that fails');
	is($tool->error('C'), '40P01', 'the deadlock is found');
	like($tool->said,
		qr/deadlock detected: CREATE INDEX CONCURRENTLY waited for process \d+ \(.*\), which waits for an advisory lock of this session; run it again when that one has ended/,
		'the tool shows who waited for whom, and what to do');
	is(value($database, $expected->{ledger}), $expected->{failed}, 'the ledger says how far it came');
	is(RunnerReplay::index_state($node, $database, 'orders_customer'), 'invalid', 'the index is not finished');
	delete $tool->{when_locked};
	$tool->force(4) if $tool->can('force');
	is($tool->up(@history, @divided), 1, 'another run finishes it');
	is(RunnerReplay::index_state($node, $database, 'orders_customer'), 'valid', 'and it is valid');
	is(value($database, $expected->{ledger}), $expected->{done}, 'and in the ledger');
	$tool->close;
}

# Somebody else's transaction holds the build up until a second run waits for its
# lock; it waits longer than deadlock_timeout before there is a deadlock, so that
# the builder has to find it.  What the second run hears.
sub run_beside
{
	my ($database, $sql) = @_;
	my $writer = WireSession->new($node, $database);
	my $second;
	my @answers;

	$writer->query('BEGIN; UPDATE orders SET amount = 0 WHERE id = 1');
	$node->poll_query_until($database,
		q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'virtualxid'}
	) or die 'the build does not wait';
	$second = second_run($database, $sql);
	sleep 2;
	$writer->query('COMMIT');
	@answers = $second->answers;
	return join ' ', grep { /^(error|done)/ } @answers;
}

#
# Flyway asks again and again
#
RunnerReplay::make_database($node, 'flyway');
my @flyways = map { RunnerReplay::Flyway->new($node, 'flyway', session_lock => 1) } 1, 2;
is($flyways[0]->migrate(@history), 3, 'Flyway: three migrations');
RunnerReplay::fill_orders($node, 'flyway');
$flyways[1]{when_polling} = sub { die "first\n" };
my $interrupted = '';

$flyways[0]{when_locked} = sub {
	eval { $flyways[1]->migrate(@history, @divided) };
	$interrupted .= $@;
};
is($flyways[0]->migrate(@history, @divided), 2, 'one of two runs goes through');
is($interrupted, "first\nfirst\nfirst\n", 'the other one, in between, waits each time');
is(RunnerReplay::index_state($node, 'flyway', 'orders_customer'), 'valid', 'the index is built');
delete $flyways[1]{when_polling};
is($flyways[1]->migrate(@history, @divided), 0, 'and it has nothing to do after that');
is(value('flyway', q{SELECT count(*) FROM flyway_schema_history WHERE success}), 5, 'the ledger has all once');

$node->stop;
unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed|safe_migrate mismatch/,
	'nothing crashed, and all was foretold');

done_testing();

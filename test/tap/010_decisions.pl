# What was decided about a statement is kept though its transaction aborts, is
# shown at once and in the table soon after; where that cannot be, the loss is
# counted and the decision is in the server log.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);
use Time::HiRes qw(usleep);

# Slots of the queue in shared memory: QUEUE_SIZE in src/record.
my $queue_size = 512;

my $node = PostgreSQL::Test::Cluster->new('decisions');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
restart_after_crash = on
max_prepared_transactions = 2
autovacuum = off
});
$node->start;

# A database with a table whose DROP is refused.
sub create_database
{
	my ($name, %options) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION safe_migrate')
	  unless $options{no_extension};
	$node->safe_psql($name,
		'CREATE TABLE big AS SELECT g AS a FROM generate_series(1, 1000) g');
	return;
}

# Have a statement refused; returns true if it was.
sub refuse
{
	my ($database, $sql) = @_;
	my $stderr;

	$node->psql(
		$database, $sql // 'DROP TABLE big',
		stderr => \$stderr,
		on_error_stop => 0,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $stderr =~ /SM001/;
}

# A block that is refused n times, and goes on.
sub refusals
{
	my ($count) = @_;

	return qq{
DO \$\$
BEGIN
	FOR i IN 1 .. $count LOOP
		BEGIN
			EXECUTE 'DROP TABLE big -- ' || i;
		EXCEPTION WHEN SQLSTATE 'SM001' THEN
			NULL;
		END;
	END LOOP;
END
\$\$};
}

sub query
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

sub counter
{
	my ($name) = @_;

	return query('main',
		"SELECT value FROM migrate.counters() WHERE name = '$name'");
}

sub wait_until_recorded
{
	my ($database, $count) = @_;

	return $node->poll_query_until($database,
		"SELECT count(*) = $count FROM migrate.decision_log");
}

sub wait_until_queue_is_empty
{
	return $node->poll_query_until(
		'main', q{
SELECT sum(CASE name WHEN 'decisions_queued' THEN value ELSE -value END) = 0
FROM migrate.counters() WHERE name LIKE 'decisions_%'});
}

sub log_position
{
	return -s $node->logfile;
}

sub wait_for_log_line
{
	my ($regexp, $position) = @_;

	return ok(
		defined eval { $node->wait_for_log($regexp, $position); },
		"server log has: $regexp");
}

sub count_log_lines
{
	my ($regexp, $position) = @_;
	my $text = slurp_file($node->logfile, $position);

	return scalar(() = $text =~ /$regexp/g);
}

# The launcher is connected to nothing, so it is not in pg_stat_activity.
sub launcher_pid
{
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];

	foreach my $file (glob '/proc/[0-9]*/stat')
	{
		my ($pid) = $file =~ /([0-9]+)/;
		my ($stat, $title) =
		  map { eval { slurp_file("/proc/$pid/$_") } // '' } ('stat', 'cmdline');

		return $pid
		  if $title =~ /safe_migrate launcher/
		  && $stat =~ /^\d+ \(.*\) \S $postmaster /;
	}
	return;
}

# Stop the launcher for as long as the code runs, so that decisions wait.
sub without_launcher
{
	my ($code) = @_;
	my $pid = launcher_pid() or die 'no launcher';

	kill 'STOP', $pid;
	my $alive = eval { $code->(); 1; };
	my $error = $@;
	kill 'CONT', $pid;
	die $error unless $alive;
	return;
}

create_database('main');

#
# Seen at once, recorded soon
#
my $seen = query(
	'main', q{
\set ON_ERROR_STOP off
BEGIN;
CREATE TABLE other ();
DROP TABLE big;
ROLLBACK;
SELECT outcome, command, role, session_role, client IS NULL,
	application <> '', pid = pg_backend_pid(), transaction_outcome
FROM migrate.decisions;
});
is( $seen,
	'rejected|DROP TABLE|' . query('main', 'SELECT current_user') . '|'
	  . query('main', 'SELECT session_user')
	  . '|t|t|t|aborted',
	'a refusal is visible as soon as its transaction is over');
ok(wait_until_recorded('main', 1), 'and is recorded soon after');
is( query(
		'main', q{
SELECT statement LIKE '%DROP TABLE big%', relation, rule <> '', message LIKE '%big%', executed IS NULL,
	reason IS NULL, abs(extract(epoch FROM now() - decided_at)) < 600
FROM migrate.decisions}),
	't|public.big|t|t|t|t|t',
	'with what was asked and what was said');

ok(refuse('main'), 'a refusal outside a block');
is( query('main',
		'SELECT count(*), count(DISTINCT id) FROM migrate.decisions'),
	'2|2',
	'is there once, be it in shared memory or in the table');
query('main', q{BEGIN; CREATE TABLE other ();} . refusals(1) . q{; COMMIT});
is( query('main',
		q{SELECT count(*) FROM migrate.decisions WHERE transaction_outcome = 'committed'}
	),
	1,
	'a transaction that went on after a refusal shows as committed');
ok(wait_until_recorded('main', 3), 'all are recorded');
is(counter('decisions_recorded'), 3, 'and counted');
is(counter('decisions_lost'), 0, 'none is lost');

#
# A transaction of another cluster, as after a restore
#
is( query(
		'main', q{
BEGIN;
UPDATE migrate.decision_log SET transaction = '4000000000';
SELECT transaction_outcome FROM migrate.decisions LIMIT 1;
UPDATE migrate.decision_log SET cluster = cluster + 1;
SELECT transaction_outcome FROM migrate.decisions LIMIT 1;
UPDATE migrate.decision_log SET transaction = '3';
SELECT transaction_outcome IS NULL FROM migrate.decisions LIMIT 1;
ROLLBACK;
}),
	"in progress\n\nt",
	'transaction IDs of another cluster raise no error and tell nothing');

#
# Not for everybody
#
query('main', 'CREATE ROLE tenant LOGIN; GRANT ALL ON SCHEMA public TO tenant');
foreach my $sql (
	'SELECT * FROM migrate.decisions',
	'SELECT * FROM migrate.decision_log',
	'DELETE FROM migrate.decision_log',
	'SELECT * FROM migrate.pending_decisions()',
	'SELECT * FROM migrate.counters()',
	'SELECT migrate.forget_decisions(now())')
{
	my $stderr;
	$node->psql('main', "SET ROLE tenant; $sql", stderr => \$stderr);
	like($stderr, qr/permission denied/, "denied to others: $sql");
}
query('main',
	'GRANT SELECT ON migrate.decisions TO tenant; GRANT EXECUTE ON FUNCTION migrate.pending_decisions() TO tenant'
);
is(query('main', 'SET ROLE tenant; SELECT count(*) FROM migrate.decisions'),
	3, 'the two grants named in the comment are enough');

#
# Once across a restart
#
ok(refuse('main'), 'a refusal before a restart');
ok(wait_until_recorded('main', 4), 'is recorded');
$node->restart;
is( query(
		'main',
		'SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM migrate.pending_decisions()) FROM migrate.decisions'
	),
	'4|4|0',
	'and is in the table once after it');

#
# Commands that want a database for themselves
#
foreach my $round (1 .. 5)
{
	create_database('short');
	refuse('short') or fail('refusal in a database about to be copied');
	query('postgres', 'CREATE DATABASE copy TEMPLATE short');
	refuse('short') or fail('refusal in a database about to be renamed');
	query('postgres', 'ALTER DATABASE short RENAME TO renamed');
	refuse('renamed') or fail('refusal in a database about to be dropped');
	query('postgres', 'DROP DATABASE renamed');
	query('postgres', 'DROP DATABASE copy');
}
pass('CREATE DATABASE ... TEMPLATE, RENAME and DROP right after refusals');
ok(refuse('main'), 'a refusal elsewhere afterwards');
ok(wait_until_recorded('main', 5), 'is recorded');

#
# Overflow
#
ok(wait_until_queue_is_empty(),
	'decisions for databases that are gone do not stay forever');
my $lost = counter('decisions_lost');
my $position = log_position();
without_launcher(
	sub {
		query('main', refusals($queue_size + 88));
		is( query(
				'main',
				'SELECT count(*), count(DISTINCT id) FROM migrate.decisions'),
			($queue_size + 5) . '|' . ($queue_size + 5),
			'while the launcher does nothing, a full queue is visible');
		is(query('main', 'SELECT count(*) FROM migrate.pending_decisions()'),
			$queue_size, 'in shared memory');
		is(counter('decisions_lost') - $lost, 88, 'the rest is counted');
		is( count_log_lines(
				qr/decision not recorded: the queue is full/, $position),
			88,
			'and logged');
	});

# Each look is a snapshot of its own, while a worker moves the entries.
is( query(
		'main', qq{
DO \$\$
BEGIN
	FOR i IN 1 .. 300 LOOP
		IF (SELECT count(DISTINCT id) FROM migrate.decisions)
			<> $queue_size + 5 THEN
			RAISE EXCEPTION 'look %: a decision is not visible', i;
		END IF;
		PERFORM pg_sleep(0.001);
	END LOOP;
END
\$\$;
SELECT count(*) FROM migrate.decision_log}),
	$queue_size + 5,
	'all decisions are in sight while they are moved to the table');
is(query('main', 'SELECT count(*) FROM migrate.pending_decisions()'),
	0, 'then none waits');

# A snapshot that is older than the row in the table.
my $recorded = counter('decisions_recorded');
is( query(
		'main', qq{
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM migrate.decisions;
} . refusals(1) . qq{;
DO \$\$
BEGIN
	WHILE (SELECT value FROM migrate.counters()
		   WHERE name = 'decisions_recorded') < $recorded + 1 LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
END
\$\$;
SELECT count(*) FROM migrate.decision_log;
SELECT count(*) FROM migrate.decisions;
COMMIT;
SELECT count(*) FROM migrate.decisions;
SELECT count(*) FROM migrate.pending_decisions();
}),
	join("\n",
		$queue_size + 5,
		$queue_size + 5,
		$queue_size + 6,
		$queue_size + 6, 0),
	'a decision stays in sight of a snapshot older than its row in the table');

#
# The table is locked: the decision waits, and nothing is lost
#
$lost = counter('decisions_lost');
$position = log_position();
query('main',
	q{BEGIN; LOCK TABLE migrate.decision_log IN SHARE MODE; PREPARE TRANSACTION 'lock'}
);
ok(refuse('main'), 'a refusal while the table is locked');
usleep(3_000_000);
is(query('main', 'SELECT count(*) FROM migrate.pending_decisions()'),
	1, 'stays in the queue');
is(count_log_lines(qr/lock timeout/, $position),
	0, 'and no worker waits in the database');
query('main', q{ROLLBACK PREPARED 'lock'});
ok(wait_until_recorded('main', $queue_size + 7),
	'and is recorded when the lock is gone');
is(counter('decisions_lost'), $lost, 'not lost');

#
# Nowhere to go
#
$position = log_position();
create_database('gone');
without_launcher(
	sub {
		ok(refuse('gone'), 'a refusal in a database');
		query('postgres', 'DROP DATABASE gone');
	});
wait_for_log_line(
	qr/decision not recorded: no worker could record it in its database/,
	$position);
is(counter('decisions_lost') - $lost, 1, 'counted for a dropped database');

$position = log_position();
create_database('plain', no_extension => 1);
query('postgres', q{ALTER DATABASE plain SET safe_migrate.mode = 'enforce'});
ok(refuse('plain'), 'a refusal where the extension is not created');
wait_for_log_line(
	qr/decision not recorded: safe_migrate is not created in its database\n.*DETAIL: .*public\.big.*\n\tStatement: DROP TABLE big/,
	$position);
is(counter('decisions_lost') - $lost, 2, 'counted');

query('plain',
	'CREATE SCHEMA migrate; CREATE TABLE migrate.decision_log (id uuid PRIMARY KEY)'
);
$position = log_position();
ok(refuse('plain'), 'a refusal where another table has the name of ours');
wait_for_log_line(qr/safe_migrate is not created in its database/, $position);
is(query('plain', 'SELECT count(*) FROM migrate.decision_log'),
	0, 'nothing was written there');

#
# Settings and triggers of a database do not reach the worker
#
create_database('odd');
query('postgres', 'ALTER DATABASE odd SET default_transaction_read_only = on');
query('postgres',
	q{ALTER DATABASE odd SET default_transaction_isolation = 'serializable'});
query('postgres', 'ALTER DATABASE odd SET search_path = nowhere');
query('postgres', 'ALTER DATABASE odd SET row_security = off');
ok(refuse('odd', 'DROP TABLE public.big'), 'a refusal in a read-only database');
ok(wait_until_recorded('odd', 1), 'is recorded');
$recorded = counter('decisions_recorded');
without_launcher(
	sub {
		ok( refuse('odd', 'DROP TABLE public.big'),
			'a refusal before connections are disallowed');
		query('postgres', 'ALTER DATABASE odd ALLOW_CONNECTIONS false');
	});
ok( $node->poll_query_until(
		'main', qq{
SELECT value = $recorded + 1 FROM migrate.counters()
WHERE name = 'decisions_recorded'}),
	'is recorded all the same');
query('postgres', 'ALTER DATABASE odd ALLOW_CONNECTIONS true');
ok(wait_until_recorded('odd', 2), 'in its database');

#
# A worker that takes long leaves before DROP DATABASE, which waits for five
# seconds, gives up
#
my $worker = q{FROM pg_stat_activity
	WHERE backend_type = 'safe_migrate recorder' AND datname = 'slow'
	AND application_name = 'safe_migrate'};

sub refuse_slowly
{
	create_database('slow');
	query(
		'slow', q{
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN PERFORM pg_sleep(60); RETURN new; END$$;
CREATE TRIGGER slow BEFORE INSERT ON migrate.decision_log
	FOR EACH ROW EXECUTE FUNCTION slow()});
	ok(refuse('slow'), 'a refusal that takes long to be recorded');
	ok($node->poll_query_until('main', "SELECT count(*) = 1 $worker"),
		'the worker is in pg_stat_activity');
	return;
}

$position = log_position();
refuse_slowly();
query('postgres', 'DROP DATABASE slow');
pass('a slow worker is not in the way of DROP DATABASE');
wait_for_log_line(
	qr/decision not recorded: no worker could record it in its database/,
	$position);

#
# A worker is killed
#
$position = log_position();
refuse_slowly();
kill 'KILL', query('main', "SELECT pid $worker");
wait_for_log_line(
	qr/decision not recorded: the server is restarting after a crash/,
	$position);
ok(wait_until_up($node, 'main'), 'the server comes back');
is(counter('decisions_lost'), 1,
	'the count of what a crash took survives the crash');
ok(refuse('main'), 'a refusal after the crash');
ok(wait_until_recorded('main', $queue_size + 8), 'is recorded');

# The launcher alone, asked to leave, is back in a few seconds.
kill 'TERM', launcher_pid();
ok(refuse('main'), 'a refusal while the launcher is away');
ok(wait_until_recorded('main', $queue_size + 9), 'is recorded');

#
# Retention
#
is( query(
		'main',
		'SELECT migrate.forget_decisions(min(decided_at)) FROM migrate.decision_log'
	),
	0,
	'forget nothing that is not older');
is(query('main', 'SELECT migrate.forget_decisions(now())'),
	$queue_size + 9, 'forget everything');
is(query('main', 'SELECT count(*) FROM migrate.decisions'),
	0, 'and it does not come back from shared memory');

#
# No slot for a worker
#
$node->append_conf(
	'postgresql.conf', q{
max_worker_processes = 1
max_logical_replication_workers = 0
});
$position = log_position();
$node->restart;
ok(refuse('main'), 'a refusal when all worker slots are in use');
wait_for_log_line(
	qr/could not start a worker to record decisions: out of background worker slots/,
	$position);
is(query('main', 'SELECT count(*) FROM migrate.decisions'),
	1, 'is visible nevertheless');
is(counter('decisions_lost'), 0, 'and not lost');
$node->stop;
wait_for_log_line(
	qr/decision not recorded: the server is shutting down\n.*DETAIL: .*public\.big/,
	$position);

#
# Not preloaded
#
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->start;
foreach my $function ('pending_decisions', 'counters')
{
	my $stderr;
	$node->psql(
		'main',
		"SELECT * FROM migrate.$function()",
		stderr => \$stderr,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like(
		$stderr,
		qr/ERROR:  55000: .*shared_preload_libraries/,
		"migrate.$function() tells that the library is not preloaded");
}
is(query('main', 'SELECT count(*) FROM migrate.decision_log'),
	0, 'the table can be read');
$node->stop;

done_testing();

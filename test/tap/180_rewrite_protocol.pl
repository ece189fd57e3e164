# A statement for which something safer is run: to the client it is what it
# sent, whichever protocol it speaks, and however it ends.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireSession;

my $node = PostgreSQL::Test::Cluster->new('rewrite');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'safe_migrate'\nautovacuum = off\n");
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE big (id int, t text);
INSERT INTO big SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE notes (note text);
});

my $session = WireSession->new($node, 'postgres');

sub value
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub answers_are
{
	my ($answers, $expected, $name) = @_;

	return is(
		join(', ', grep { !/^notice/ } @$answers),
		join(', ', @$expected), $name);
}

# The indexes of big: valid ones by their names, others as "name invalid".
sub indexes
{
	return value(
		q{SELECT string_agg(indexrelid::regclass::text || CASE WHEN indisvalid THEN '' ELSE ' invalid' END, ', ' ORDER BY indexrelid::regclass::text)
FROM pg_index WHERE indrelid = 'big'::regclass});
}

# The state of the last task for a statement like that.
sub state_of
{
	my ($pattern) = @_;

	return value(
		"SELECT state FROM migrate.tasks WHERE statement ~ '$pattern' ORDER BY id DESC LIMIT 1"
	);
}

# The session waits in CREATE INDEX CONCURRENTLY for an old transaction.
sub send_and_wait
{
	my ($sql) = @_;
	my $pid = $session->pid;

	$session->send($session->statement($sql), $session->sync);
	return $node->poll_query_until('postgres',
		"SELECT wait_event = 'virtualxid' FROM pg_stat_activity WHERE pid = $pid"
	);
}

#
# One statement
#
answers_are(
	[ $session->query('CREATE INDEX simple ON big (id)') ],
	[ 'done CREATE INDEX', 'idle' ],
	'simple protocol: the tag of the statement');
like(
	join("\n", $session->notices),
	qr/create_index: the safe way is run instead, in 1 step/,
	'and a notice');
answers_are(
	[ $session->extended($session->statement('DROP INDEX simple')) ],
	[ 'done DROP INDEX', 'idle' ],
	'extended protocol');
answers_are(
	[
		$session->extended(
			$session->statement(
				'ALTER TABLE big ADD CONSTRAINT positive CHECK (id > 0)'))
	],
	[ 'done ALTER TABLE', 'idle' ],
	'several steps');
answers_are(
	[
		$session->extended($session->parse('twice', 'CREATE INDEX ON big (id)')),
		$session->extended(
			$session->bind(statement => 'twice'),
			$session->execute),
		$session->extended(
			$session->bind(statement => 'twice'),
			$session->execute)
	],
	[
		'idle', 'done CREATE INDEX', 'idle', 'done CREATE INDEX', 'idle'
	],
	'a prepared statement, run twice');
is(indexes(), 'big_id_idx, big_id_idx1', 'makes two indexes');

#
# Pipelines: what is committed stays, and what follows is apart from it
#
answers_are(
	[
		$session->extended(
			$session->statement('CREATE INDEX piped ON big (t)'),
			$session->statement(q{INSERT INTO notes VALUES ('behind')}),
			$session->statement('SELECT 1/0'))
	],
	[ 'done CREATE INDEX', 'done INSERT 0 1', 'error 22012', 'idle' ],
	'pipeline: as its first statement');
is(indexes(), 'big_id_idx, big_id_idx1, piped', 'it stays done');
is(value('SELECT count(*) FROM notes'), 0, 'what follows is undone');
answers_are(
	[
		$session->extended(
			$session->statement(q{INSERT INTO notes VALUES ('before')}),
			$session->statement('CREATE INDEX ON big (t)'))
	],
	[ 'done INSERT 0 1', 'error SM001', 'idle' ],
	'pipeline: behind another statement it is refused');
is(value('SELECT count(*) FROM notes'), 0, 'and that is undone');

#
# Settings of the session
#
answers_are(
	[
		$session->query('SET statement_timeout = 0'),
		$session->query('SET lock_timeout = 100'),
		$session->query('CREATE INDEX timed ON big (t)'),
		$session->query('SHOW lock_timeout'),
		$session->query('RESET lock_timeout')
	],
	[
		'done SET', 'idle', 'done SET', 'idle', 'done CREATE INDEX', 'idle',
		'row 100ms', 'done SHOW', 'idle', 'done RESET', 'idle'
	],
	'settings are as before');
$session->query(
	'DROP INDEX big_id_idx1');
$session->query('DROP INDEX timed');
$session->query('DROP INDEX piped');

#
# Ended half way
#
my $old = WireSession->new($node, 'postgres');

foreach my $how ('cancel', 'statement_timeout')
{
	$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM big');
	$session->query(q{SET statement_timeout = '5s'})
	  if $how eq 'statement_timeout';
	ok(send_and_wait("CREATE INDEX slow_$how ON big (t)"),
		"$how: the index waits for an old transaction");
	$session->cancel if $how eq 'cancel';
	answers_are([ $session->answers ],
		[ 'error 57014', 'idle' ], 'a clean error');
	like(
		$session->error('W'),
		qr/step 1 of 1 failed, and something is left behind; send the statement again to finish it, or take it back with SELECT migrate.cancel\(\d+\)/,
		'that tells what to do');
	is(indexes(), "big_id_idx, slow_$how invalid", 'what is left is there');
	is(state_of("slow_$how"), 'failed', 'and is on record');
	is(value('SELECT count(*) FROM pg_locks WHERE pid = ' . $session->pid),
		0, 'no lock is left');
	$session->query('RESET statement_timeout');
	$old->query('COMMIT');
	answers_are(
		[
			$session->extended(
				$session->statement("CREATE INDEX slow_$how ON big (t)"))
		],
		[ 'done CREATE INDEX', 'idle' ],
		'sent again, it is finished');
	is(indexes(), "big_id_idx, slow_$how", 'and is valid');
	is(state_of("slow_$how"), 'done', 'that is on record as well');
	$session->query("DROP INDEX slow_$how");
}

$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM big');
ok(send_and_wait('CREATE INDEX slow ON big (t)'),
	'terminated: the index waits for an old transaction');
my $other = WireSession->new($node, 'postgres');
answers_are(
	[ $other->query('CREATE INDEX slow ON big (t)') ],
	[ 'error 55006', 'idle' ],
	'the same from another session: it is told who runs it');
value('SELECT pg_terminate_backend(' . $session->pid . ')');
answers_are([ $session->answers ],
	[ 'error 57P01', 'closed' ], 'terminated: the session ends');
$node->poll_query_until('postgres',
	'SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = '
	  . $session->pid . ')');
is(state_of('slow ON'), 'interrupted', 'what it was at is on record');
$old->query('COMMIT');
answers_are(
	[ $other->query('CREATE INDEX slow ON big (t)') ],
	[ 'done CREATE INDEX', 'idle' ],
	'sent again from another session, it is finished');
is(indexes(), 'big_id_idx, slow', 'and is valid');

$old->close;
$other->close;
unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/,
	'nothing crashed');

$node->stop;
done_testing();

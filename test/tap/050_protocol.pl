# The server spoken to both ways: whatever the protocol, a statement is judged
# when it runs, and the session goes on afterwards.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireSession;

my $node = PostgreSQL::Test::Cluster->new('protocol');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'safe_migrate'\nautovacuum = off\n"
	  . "safe_migrate.rules = 'create_index:reject, add_check:reject, add_unique:reject'\n");
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE big (id int, t text);
INSERT INTO big SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE notes (note text);
});

my $session = WireSession->new($node, 'postgres');
my $pid = $session->pid;

sub value
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub answers_are
{
	my ($answers, $expected, $name) = @_;

	return is(join(', ', @$answers), join(', ', @$expected), $name);
}

# The indexes of a table: valid ones by their names, others as "name invalid".
sub indexes
{
	my ($table) = @_;

	return value(
		qq{SELECT string_agg(indexrelid::regclass::text || CASE WHEN indisvalid THEN '' ELSE ' invalid' END, ', ' ORDER BY indexrelid::regclass::text)
FROM pg_index WHERE indrelid = '$table'::regclass});
}

# Messages that make what follows be in a block, whichever protocol it uses.
sub in_block
{
	my ($code) = @_;

	$session->query('BEGIN');
	$code->();
	$session->query('ROLLBACK');
	return;
}

#
# One statement
#
answers_are(
	[ $session->query('CREATE INDEX ON big (id)') ],
	[ 'error SM001', 'idle' ],
	'simple protocol: refused, and ready again');
is($session->error('S'), 'ERROR', 'as an ordinary error');
is($session->error('P'), 1, 'with a position');
like(
	$session->error('M'),
	qr/^create_index: .* public\.big .*CONCURRENTLY/,
	'its message names rule, table and remedy');
like($session->error('H'), qr/^CREATE INDEX CONCURRENTLY big_id_idx ON public\.big \(id\);/,
	'its hint is the statement to run');

answers_are(
	[ $session->extended($session->statement('CREATE INDEX ON big (id)')) ],
	[ 'error SM001', 'idle' ],
	'extended protocol: refused');
is($session->error('P'), 1, 'with a position');

$session->send($session->parse('', 'CREATE INDEX ON big (id)'),
	$session->bind, $session->describe_portal(''), $session->flush);
answers_are([ $session->answers('no data') ],
	['no data'], 'Parse, Bind and Describe only look: nothing is refused yet');
answers_are(
	[ $session->extended($session->execute) ],
	[ 'error SM001', 'idle' ],
	'Execute is what is refused');

# the position counts characters, and is that of the part that is refused
my $text = "/* \x{c3}\x{a4}\x{e2}\x{82}\x{ac} */ ALTER TABLE big ADD c int, ADD CHECK (id > 0)";
my $position = index($text, 'CHECK') - 3 + 1;
foreach my $how ('query', 'extended')
{
	$session->$how($how eq 'query' ? $text : $session->statement($text));
	is($session->error('P'), $position, "$how: position of the sub-command in characters");
}

answers_are(
	[ $session->extended($session->statement('ALTER TABLE big ADD c int')) ],
	[ 'done ALTER TABLE', 'idle' ],
	'what is harmless passes');
answers_are([ $session->extended($session->statement('')) ],
	[ 'empty', 'idle' ], 'an empty statement is none of our business');

#
# Prepared once, judged at each execution
#
value('CREATE TABLE grows (id int, t text)');
answers_are(
	[
		$session->extended(
			$session->parse('make_index', 'CREATE INDEX ON grows (id)'))
	],
	['idle'],
	'a named statement is prepared');
my @run_again = (
	$session->bind(statement => 'make_index', portal => 'run'),
	$session->execute('run'));
answers_are(
	[ $session->extended(@run_again) ],
	[ 'done CREATE INDEX', 'idle' ],
	'and passes while the table is empty');
value(
	q{INSERT INTO grows SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g});
answers_are(
	[ $session->extended(@run_again) ],
	[ 'error SM001', 'idle' ],
	'the same is refused after the table grew');
answers_are(
	[ $session->query(q{SET safe_migrate.override = 'once'}),
		$session->extended(@run_again), $session->extended(@run_again) ],
	[ 'done SET', 'idle', 'done CREATE INDEX', 'idle', 'error SM001', 'idle' ],
	'passes with an override, once');

value('CREATE TABLE grows_too (id int, t text)');
in_block(
	sub {
		answers_are(
			[
				$session->extended(
					$session->parse('later', 'CREATE INDEX ON grows_too (id)'),
					$session->bind(statement => 'later', portal => 'later'))
			],
			['in transaction'],
			'a portal is bound while the table is empty');
		$session->query(
			q{INSERT INTO grows_too SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g}
		);
		answers_are(
			[ $session->extended($session->execute('later')) ],
			[ 'error SM001', 'failed' ],
			'and refused at its execution, after the table grew');
	});

# leaving the word out must not change the prepared statement itself
value('CREATE TABLE grows_last (id int, t text)');
$session->extended(
	$session->parse(
		'concurrently', 'CREATE INDEX CONCURRENTLY ON grows_last (t)'));
in_block(
	sub {
		answers_are(
			[
				$session->extended(
					$session->bind(statement => 'concurrently'),
					$session->execute)
			],
			[ 'notice 00000', 'done CREATE INDEX', 'in transaction' ],
			'CONCURRENTLY in a block loses the word on an empty table');
		like(
			($session->notices)[0],
			qr/^CONCURRENTLY was left out/,
			'and says so');
	});
value(
	q{INSERT INTO grows_last SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g});
in_block(
	sub {
		answers_are(
			[
				$session->extended(
					$session->bind(statement => 'concurrently'),
					$session->execute)
			],
			[ 'error 25001', 'failed' ],
			'the same prepared statement still has it when the table has grown');
	});
answers_are(
	[
		$session->extended(
			$session->bind(statement => 'concurrently'), $session->execute)
	],
	[ 'done CREATE INDEX', 'idle' ],
	'and outside of a block it is concurrent');
is(indexes('grows_last'), 'grows_last_t_idx', 'the index is there');

#
# Several statements before one Sync: one implicit transaction
#
answers_are(
	[
		$session->extended(
			$session->statement('CREATE TABLE fresh AS SELECT * FROM big'),
			$session->statement('CREATE INDEX CONCURRENTLY ON fresh (id)'),
			$session->statement('ALTER TABLE fresh ADD CHECK (id > 0)'),
			$session->statement('SELECT count(*) FROM fresh'))
	],
	[
		'done SELECT 20000',
		'notice 00000',
		'done CREATE INDEX',
		'done ALTER TABLE',
		'row 20000',
		'done SELECT 1',
		'idle'
	],
	'pipeline: what it made itself may be changed');
is(indexes('fresh'), 'fresh_id_idx', 'and all of it is there');

answers_are(
	[
		$session->extended(
			$session->statement(q{INSERT INTO notes VALUES ('before')}),
			$session->statement('CREATE INDEX ON big (id)'),
			$session->statement(q{INSERT INTO notes VALUES ('after')}))
	],
	[ 'done INSERT 0 1', 'error SM001', 'idle' ],
	'pipeline: what follows a refusal is skipped');
answers_are(
	[
		$session->extended(
			$session->statement(q{INSERT INTO notes VALUES ('before')}),
			$session->statement('CREATE INDEX CONCURRENTLY ON big (id)'),
			$session->statement(q{INSERT INTO notes VALUES ('after')}))
	],
	[ 'done INSERT 0 1', 'error 25001', 'idle' ],
	'pipeline: CONCURRENTLY on a large table is refused by PostgreSQL');
is(value('SELECT count(*) FROM notes'), 0, 'and what went before is undone');

answers_are(
	[
		$session->extended(
			$session->statement('CREATE INDEX CONCURRENTLY first ON big (id)'),
			$session->statement('SELECT 1'))
	],
	[ 'done CREATE INDEX', 'row 1', 'done SELECT 1', 'idle' ],
	'pipeline: as its first statement CONCURRENTLY is possible');
is(indexes('big'), 'first', 'and done');

answers_are(
	[
		$session->query(
			q{INSERT INTO notes VALUES ('before'); CREATE INDEX ON big (id); INSERT INTO notes VALUES ('after')}
		)
	],
	[ 'done INSERT 0 1', 'error SM001', 'idle' ],
	'several statements in one Query: refused');
is( $session->error('P'),
	length(q{INSERT INTO notes VALUES ('before'); }) + 1,
	'with the position in the whole message');
is(value('SELECT count(*) FROM notes'), 0, 'and undone as a whole');
answers_are(
	[
		$session->query(
			'CREATE TABLE fresh_too AS SELECT * FROM big; CREATE INDEX CONCURRENTLY ON fresh_too (id); DROP INDEX CONCURRENTLY fresh_too_id_idx; DROP TABLE fresh_too'
		)
	],
	[
		'done SELECT 20000', 'notice 00000',
		'done CREATE INDEX', 'notice 00000',
		'done DROP INDEX', 'done DROP TABLE',
		'idle'
	],
	'several statements in one Query: what they made may be changed and dropped');

#
# Suspended portals
#
value(
	q{
CREATE FUNCTION try_index() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	CREATE INDEX ON big (id);
	RETURN 'made';
EXCEPTION WHEN SQLSTATE 'SM001' THEN
	RETURN 'refused';
END $$;
CREATE FUNCTION make_table(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE made_%s (id int); CREATE INDEX ON made_%s (id)', i, i);
	RETURN i;
END $$});

sub suspend
{
	my ($sql) = @_;

	answers_are(
		[
			$session->extended(
				$session->parse('', $sql), $session->bind(portal => 'p'),
				$session->execute('p', 2))
		],
		[ 'row 1', 'row 2', 'suspended', 'in transaction' ],
		"a portal is suspended: $sql");
	return;
}

in_block(
	sub {
		suspend('SELECT generate_series(1, 3)');
		answers_are(
			[ $session->extended($session->statement('CREATE INDEX ON big (id)')) ],
			[ 'error SM001', 'failed' ],
			'meanwhile a statement is refused');
	});
in_block(
	sub {
		suspend('SELECT generate_series(1, 3)');
		answers_are(
			[
				$session->extended(
					$session->statement('ALTER TABLE notes ADD c int'),
					$session->statement('SELECT try_index()'),
					$session->execute('p', 2))
			],
			[
				'done ALTER TABLE',
				'row refused',
				'done SELECT 1',
				'row 3',
				'done SELECT 1',
				'in transaction'
			],
			'meanwhile a function has a statement refused and goes on, and so does the portal'
		);
	});
in_block(
	sub {
		suspend('SELECT id FROM big ORDER BY id');
		answers_are(
			[
				$session->extended(
					$session->statement('ALTER TABLE big ADD later int'))
			],
			[ 'error 55006', 'failed' ],
			q{on the portal's own table PostgreSQL speaks});
	});
in_block(
	sub {
		suspend('SELECT make_table(i) FROM generate_series(1, 3) i');
		answers_are(
			[
				$session->extended(
					$session->statement('SELECT try_index()'),
					$session->execute('p'),
					$session->statement('DROP TABLE made_1, made_2, made_3'))
			],
			[
				'row refused', 'done SELECT 1',
				'row 3', 'done SELECT 1',
				'done DROP TABLE', 'in transaction'
			],
			'statements inside of a suspended portal do not mix with others');
	});

#
# CALL migrate.run()
#
my $call = 'CALL migrate.run($1)';
answers_are(
	[
		$session->extended(
			$session->statement(
				q{CALL migrate.run('CREATE INDEX by_t ON big (t)')}))
	],
	[ 'done CALL', 'idle' ],
	'migrate.run() through the extended protocol');
answers_are(
	[ $session->extended($session->statement($call, 'DROP INDEX by_t')) ],
	[ 'done CALL', 'idle' ],
	'with a parameter');
is(indexes('big'), 'first', 'both were done');
answers_are(
	[
		$session->extended(
			$session->parse('run', $call),
			$session->describe_statement('run'),
			$session->bind(
				statement => 'run',
				portal    => 'run',
				values    => ['CREATE INDEX by_t ON big (t)']),
			$session->describe_portal('run'),
			$session->execute('run', 1)),
		$session->extended(
			$session->bind(
				statement => 'run',
				values    => ['ALTER TABLE big ADD CHECK (id > 0)']),
			$session->execute)
	],
	[ 'no data', 'no data', 'done CALL', 'idle', 'done CALL', 'idle' ],
	'as a named statement, executed with different parameters');
is(indexes('big'), 'by_t, first', 'the first was done');
is( value(
		q{SELECT convalidated FROM pg_constraint WHERE conname = 'big_id_check'}),
	't',
	'and the second, in its steps');
answers_are(
	[ $session->extended($session->statement($call, undef)) ],
	[ 'error 22004', 'idle' ],
	'NULL as a parameter');
answers_are(
	[ $session->extended($session->statement($call)) ],
	[ 'error 08P01', 'idle' ],
	'a missing parameter');
answers_are(
	[
		$session->extended(
			$session->statement(
				q{CALL migrate.run('ALTER TABLE big DROP CONSTRAINT ' || quote_ident(lower($1)))},
				'BIG_ID_CHECK'))
	],
	[ 'done CALL', 'idle' ],
	'a parameter in an expression');

# messages before the next Sync
answers_are(
	[
		$session->extended(
			$session->statement($call, 'CREATE INDEX piped ON big (id)'),
			$session->statement(q{INSERT INTO notes VALUES ('after')}),
			$session->statement($call, 'DROP INDEX piped'))
	],
	[ 'done CALL', 'done INSERT 0 1', 'error 25001', 'idle' ],
	'after a statement in the same pipeline migrate.run() is refused');
is(indexes('big'), 'by_t, first, piped', 'the CALL before is done');
is(value('SELECT count(*) FROM notes'),
	0, 'the statement between is undone: it waited for the Sync');
answers_are(
	[
		$session->extended(
			$session->statement($call, 'DROP INDEX piped'),
			$session->statement($call, 'DROP INDEX by_t'),
			$session->statement($call, 'DROP INDEX first'),
			$session->statement(q{INSERT INTO notes VALUES ('last')}),
			$session->statement('SELECT 1/0'))
	],
	[
		'done CALL',
		'done CALL',
		'done CALL',
		'done INSERT 0 1',
		'error 22012',
		'idle'
	],
	'one CALL after the other, each committed at once');
is(indexes('big'), '', 'so that they stay done');
is(value('SELECT count(*) FROM notes'), 0, 'and nothing else does');

answers_are(
	[
		$session->extended(
			$session->parse('', 'SELECT generate_series(1, 3)'),
			$session->bind(portal => 'p'),
			$session->execute('p', 2),
			$session->statement($call, 'CREATE INDEX ON big (id)'))
	],
	[ 'row 1', 'row 2', 'suspended', 'error 25001', 'idle' ],
	'while a portal is suspended migrate.run() is refused');
answers_are(
	[
		$session->extended(
			$session->parse('', 'SELECT generate_series(1, 3)'),
			$session->bind(portal => 'p'),
			$session->statement($call, 'CREATE INDEX by_id ON big (id)'),
			$session->execute('p'))
	],
	[ 'done CALL', 'error 34000', 'idle' ],
	'a portal that was only bound does not outlive it');
is(indexes('big'), 'by_id', 'but it is done');
foreach my $how ('query', 'extended')
{
	my $sql = q{CALL migrate.run('DROP INDEX by_id')};

	in_block(
		sub {
			answers_are(
				[ $session->$how($how eq 'query' ? $sql : $session->statement($sql)) ],
				[ 'error 25001', 'failed' ],
				"$how: migrate.run() in a block");
		});
}
answers_are(
	[ $session->query(q{CALL migrate.run('DROP INDEX by_id'); SELECT 1}) ],
	[ 'error 25001', 'idle' ],
	'migrate.run() among several statements of one Query');
answers_are(
	[ $session->query(q{CALL migrate.run('DROP INDEX by_id')}) ],
	[ 'done CALL', 'idle' ],
	'and alone');

#
# A step that fails
#
answers_are(
	[
		$session->extended(
			$session->statement(
				$call, 'ALTER TABLE big ADD CONSTRAINT low CHECK (id < 100)'))
	],
	[ 'error 23514', 'idle' ],
	'an error in the middle is an ordinary one');
like(
	$session->error('W'),
	qr/step 2 of 2 failed, and nothing is left of the statement/,
	'which tells the step');
is(value(q{SELECT count(*) FROM pg_constraint WHERE conname = 'low'}),
	0, 'the step before it is taken back');
answers_are(
	[
		$session->extended(
			$session->statement($call, 'ALTER TABLE big ADD c2 no_such_type'))
	],
	[ 'error 42704', 'idle' ],
	q{PostgreSQL's own error});
is($session->error('P'), undef, 'has no position in what the client sent');
is($session->error('p'),
	index('ALTER TABLE big ADD c2 no_such_type', 'no_such_type') + 1,
	'but one in the statement that was given');
is( $session->error('q'),
	'ALTER TABLE big ADD c2 no_such_type',
	'which is told as well');
answers_are(
	[ $session->query('SELECT count(*) FROM big') ],
	[ 'row 20000', 'done SELECT 1', 'idle' ],
	'and the session goes on');

#
# Rows that are changed
#
$session->query(q{SET safe_migrate.rules = 'update_without_where:reject'});
$session->query('SET safe_migrate.row_limit = 100');
in_block(
	sub {
		answers_are(
			[
				$session->extended(
					$session->parse('upd', q{UPDATE big SET t = $1 WHERE id <= $2}),
					$session->bind(statement => 'upd', values => [ 'y', 100 ]),
					$session->execute)
			],
			[ 'done UPDATE 100', 'in transaction' ],
			'a prepared UPDATE, up to the limit of rows');
		answers_are(
			[
				$session->extended(
					$session->bind(statement => 'upd', values => [ 'y', 101 ]),
					$session->execute)
			],
			[ 'error SM001', 'failed' ],
			'and beyond, with other values');
		like(
			$session->error('M'),
			qr/^row_limit: the UPDATE changes more than 100 rows/,
			'the limit is told');
		is($session->error('P'), 1, 'with a position');
	});
answers_are(
	[ $session->extended($session->statement('UPDATE big SET t = $1', 'y')) ],
	[ 'error SM001', 'idle' ],
	'without WHERE it does not even begin');
like($session->error('M'), qr/^update_without_where: /, 'by its own rule');
is(value(q{SELECT count(*) FROM big WHERE t = 'y'}), 0, 'nothing was changed');
$session->query('RESET safe_migrate.rules');
$session->query('RESET safe_migrate.row_limit');

#
# Cancelled while an index waits for an old transaction
#
my $old = WireSession->new($node, 'postgres');

foreach my $how ('cancel', 'statement_timeout')
{
	$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM big');
	$session->query(q{SET statement_timeout = '5s'})
	  if $how eq 'statement_timeout';
	$session->send(
		$session->statement($call, 'CREATE INDEX slow ON big (t)'),
		$session->sync);
	ok( $node->poll_query_until(
			'postgres',
			"SELECT wait_event_type = 'Lock' AND wait_event = 'virtualxid' FROM pg_stat_activity WHERE pid = $pid"
		),
		"$how: the index waits for an old transaction");
	$session->cancel if $how eq 'cancel';
	answers_are([ grep { !/^notice/ } $session->answers ],
		[ 'error 57014', 'idle' ], 'a clean error');
	answers_are(
		[
			$session->query('RESET statement_timeout'),
			$session->query('SELECT count(*) FROM big')
		],
		[ 'done RESET', 'idle', 'row 20000', 'done SELECT 1', 'idle' ],
		'the session goes on');
	is(indexes('big'), 'slow invalid',
		'the leftover has the name that was asked for, and is invalid');
	is( value("SELECT count(*) FROM pg_locks WHERE pid = $pid"),
		0, 'no lock is left');
	$old->query('COMMIT');
	answers_are(
		[ $session->query(q{CALL migrate.run('DROP INDEX slow')}) ],
		[ 'done CALL', 'idle' ],
		'which can be dropped');
}

$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM big');
$session->send($session->statement($call, 'CREATE INDEX slow ON big (t)'),
	$session->sync);
$node->poll_query_until('postgres',
	"SELECT wait_event = 'virtualxid' FROM pg_stat_activity WHERE pid = $pid");
value("SELECT pg_terminate_backend($pid)");
answers_are([ grep { !/^notice/ } $session->answers ],
	[ 'error 57P01', 'closed' ], 'terminated: the session ends');
$old->query('COMMIT');
is(indexes('big'), 'slow invalid', 'the leftover is visible');

$old->close;
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'the server is there');
unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/,
	'nothing crashed');

$node->stop;
done_testing();

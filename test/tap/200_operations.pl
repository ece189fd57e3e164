# What is done around a deploy while it runs, and after it was killed:
# migrate.plan(), migrate.status, migrate.verify(), migrate.repair() and
# migrate.revert().

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('operations');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
restart_after_crash = on
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub failing
{
	my ($sql) = @_;
	my $stderr;

	$node->psql('postgres', $sql, stderr => \$stderr);
	return $stderr;
}

# Run statements in another session, and wait until it sleeps.
sub start_sleeper
{
	my ($sql) = @_;
	my %session = (stdout => '', stderr => '');

	$session{handle} = IPC::Run::start(
		[
			'psql', '-X', '-A', '-t', '-q',
			'-d', $node->connstr('postgres') . ' application_name=sleeper',
			'-c', $sql
		],
		'<', \undef,
		'>', \$session{stdout},
		'2>', \$session{stderr},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$node->poll_query_until('postgres',
		q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'sleeper' AND wait_event = 'PgSleep')}
	) or die 'it does not sleep';
	return \%session;
}

sub kill_sleeper
{
	my ($session) = @_;
	my $pid = query(q{SELECT pid FROM pg_stat_activity WHERE application_name = 'sleeper'});

	my $offset = -s $node->logfile;

	# a query may still be answered before the server notices
	kill 'KILL', $pid;
	eval { IPC::Run::finish($session->{handle}); };
	$node->wait_for_log(qr/database system is ready to accept connections/, $offset);
	return;
}

query(
	q{
SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int)', 'DROP TABLE one');
CALL migrate.deploy();
SELECT migrate.register('2', 'two', E'-- safe_migrate: no-transaction\nCREATE TABLE two (a int);\nSELECT pg_sleep(600);\nCREATE TABLE three (a int);');
});

#
# While it runs
#
my $deploy = start_sleeper('CALL migrate.deploy()');

is(query(q{SELECT state || ' ' || statements FROM migrate.status WHERE version = '2'}),
	'running 1', 'migrate.status shows that it runs, and how far it is');
is(query('SELECT string_agg(statement || command, $$ $$ ORDER BY statement) FROM migrate.plan()'),
	'2SELECT 3CREATE TABLE', 'migrate.plan() shows what is left');
is(query(q{SELECT count(*) FROM migrate.verify() WHERE kind ~ 'migration'}),
	0, 'migrate.verify() says nothing of it');
for my $call ("repair('2')", "revert('1')")
{
	like(failing("SELECT migrate.$call"),
		qr/another deploy or apply runs in this database \(process \d+, role \S+, application 'sleeper'\)/,
		"migrate.$call does not interfere");
}

#
# After it was killed
#
kill_sleeper($deploy);

is(query(q{SELECT state || ' ' || statements FROM migrate.status WHERE version = '2'}),
	'failed 1', 'migrate.status shows that it was cut off');
is(query(q{SELECT kind || ' ' || object || ': ' || detail || ': ' || remedy FROM migrate.verify() WHERE kind ~ 'migration'}),
	'interrupted migration 2_two: 1 statement is committed; the session ended before the migration did: CALL migrate.deploy(); goes on where it stopped',
	'migrate.verify() shows what to do');
is(query(q{SELECT string_agg(DISTINCT state, ' ') || count(*) FROM migrate.plan()}),
	'resume2', 'migrate.plan() shows what is left');
query(q{/* safe_migrate: override by hand */ DROP TABLE two});
is(query(q{SELECT migrate.repair('2')}), 'restarted', 'it can begin anew');
is(query(q{SELECT string_agg(DISTINCT state, ' ') || count(*) FROM migrate.plan()}),
	'pending3', 'with its first statement');
is(query(q{SELECT string_agg(state || COALESCE(' ' || error, ''), ', ' ORDER BY id) FROM migrate.history WHERE version = '2'}),
	'failed the session ended before the migration did, restarted',
	'what happened stays on record');
query(q{SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', 'DROP TABLE two; SELECT pg_sleep(600)')});
query('CALL migrate.deploy()');

#
# A revert is all there or all gone
#
kill_sleeper(start_sleeper(q{SELECT migrate.revert('2')}));
is(query(q{SELECT string_agg(state, ' ' ORDER BY version) FROM migrate.status}),
	'applied applied', 'a revert that was killed has not been');
is(query(q{SELECT to_regclass('two') IS NOT NULL}), 't', 'nothing of it has stayed');
is(query(q{SELECT count(*) FROM migrate.history WHERE kind = 'revert'}), 0, 'nor is it on record');

my $revert = start_sleeper(q{SELECT migrate.revert('2')});
query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'sleeper'});
eval { IPC::Run::finish($revert->{handle}); };
like($revert->{stderr}, qr/down script of migration 2_two, line 1: canceling statement due to user request/,
	'a revert can be cancelled');
is(query(q{SELECT count(*) FROM migrate.decisions WHERE message LIKE 'down script of migration 2_two, line 1: cancel%'}),
	1, 'which is kept among the decisions');

# whoever waits for the other one's transaction sees what it did
query(q{SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', 'DROP TABLE two')});
query(q{SELECT migrate.acknowledge_drift()});
my $holder = $node->background_psql('postgres');
$holder->query_safe(q{SET client_min_messages = warning; BEGIN; SELECT migrate.revert('2');});
like(failing(q{SELECT migrate.repair('2')}), qr/another deploy or apply runs/,
	'a revert that is not committed keeps others out');
is(query(q{SELECT state FROM migrate.status WHERE version = '2'}), 'applied', 'and is not seen');
$holder->query_safe('COMMIT');
$holder->quit;
is(query(q{SELECT state || ': ' || next_step FROM migrate.status WHERE version = '2'}),
	'pending: it was reverted; CALL migrate.deploy();', 'until it is');

#
# On a standby, where nothing can be written
#
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('operations_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', q{SELECT version || ' ' || action FROM migrate.plan()}),
	'2 allow', 'migrate.plan() works on a standby');
is($standby->safe_psql('postgres', q{SELECT string_agg(state, ' ' ORDER BY version) FROM migrate.status}),
	'applied pending', 'and so does migrate.status');
my $stderr;
$standby->psql('postgres', q{SELECT migrate.revert('1')}, stderr => \$stderr);
like($stderr, qr/cannot execute migrate.revert\(\) (in a read-only transaction|during recovery)/, 'a revert does not');
$standby->stop;

$node->stop;
done_testing();

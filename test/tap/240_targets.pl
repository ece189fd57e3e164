# One history for many schemas or databases: each has a ledger of its own, one
# that fails does not stop the others, and what was cut off goes on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);

my $node = PostgreSQL::Test::Cluster->new('targets');
$node->init(extra => ['--encoding=UTF8'],
	auth_extra => [ '--create-role' => 'deployer,stranger' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
max_worker_processes = 16
autovacuum = off
restart_after_crash = on
});
$node->start;

my @tenants = map { sprintf('tenant_%02d', $_) } 1 .. 12;

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'main', $sql);
}

# Status and what was printed, as the role that deploys.
sub deploy_all
{
	my ($arguments, %options) = @_;
	my ($status, undef, $stderr) = $node->psql(
		$options{database} // 'main',
		($options{before} // '') . "CALL migrate.deploy_all($arguments);",
		extra_params => [ '-U', $options{role} // 'deployer' ],
		on_error_stop => 1);

	return ($status, $stderr);
}

sub applied
{
	my ($condition) = @_;

	return query(
		"SELECT count(*) FROM migrate.attempts WHERE in_effect AND $condition");
}

sub prepare_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	query(q{
CREATE EXTENSION safe_migrate;
GRANT EXECUTE ON PROCEDURE migrate.deploy_all(text[], text[], text, int),
	migrate.deploy(text) TO deployer;
GRANT EXECUTE ON FUNCTION migrate.register(text, text, text, text),
	migrate.forget_target(text) TO deployer;
}, $name);
	query("GRANT CREATE ON DATABASE $name TO deployer;"
		  . ' GRANT CREATE ON SCHEMA public TO deployer', $name);
}

$node->safe_psql('postgres', 'CREATE ROLE deployer LOGIN; CREATE ROLE stranger LOGIN');
prepare_database('main');
query("CREATE SCHEMA $_ AUTHORIZATION deployer") foreach @tenants, 'other';
query(q{
SELECT migrate.register('1', 'accounts', 'CREATE TABLE accounts (id int PRIMARY KEY)');
SELECT migrate.register('2', 'owner', 'ALTER TABLE accounts ADD COLUMN owner text');
});


note('schemas');

my ($status, $messages) = deploy_all(q{schemas := '{tenant_*}'});
is($status, 0, 'all tenants are deployed to');
like(
	$messages,
	qr/12 targets: 12 deployed \(24 migrations\), 0 with nothing to do, 0 failed/,
	'one summary tells of all of them');
is( query(q{
SELECT count(*), min(table_schema), max(table_schema) FROM information_schema.columns
WHERE table_name = 'accounts' AND column_name = 'owner'}),
	'12|tenant_01|tenant_12',
	'each tenant has the tables, and nobody else');
is(applied(q{target_schema = 'tenant_07'}), 2, 'each has a ledger of its own');
is(applied(q{target_schema = ''}), 0, 'the ledger of the database is another one');
is( query(q{
SELECT DISTINCT database, state, applied, pending, migrations, role FROM migrate.targets}),
	'main|deployed|2|0|2|deployer',
	'the view tells where each target is');
is( query(q{SELECT count(*), count(DISTINCT state) FROM migrate.status WHERE state = 'pending'}),
	'2|1',
	'for the database itself they are still pending');

($status, $messages) = deploy_all(q{schemas := '{tenant_*}'});
is($status, 0, 'once more');
like(
	$messages,
	qr/12 targets: 0 deployed \(0 migrations\), 12 with nothing to do, 0 failed/,
	'nothing is run twice');


note('one that fails');

query(q{
CREATE TABLE tenant_05.refunds (id int);
SELECT migrate.register('3', 'refunds', 'CREATE TABLE refunds (id int); INSERT INTO refunds VALUES (1)');
SELECT migrate.register('4', 'later', 'CREATE VIEW later AS SELECT 1 AS one');
});
($status, $messages) = deploy_all(q{schemas := '{tenant_*}', parallel := 3});
isnt($status, 0, 'the CALL says that a target has failed');
like(
	$messages,
	qr/ERROR: .*12 targets: 11 deployed \(22 migrations\), 0 with nothing to do, 1 failed: tenant_05: migration 3_refunds, line 1: relation "refunds" already exists/,
	'the summary names it, with the error');
is(applied(q{version = '4'}), 11, 'the others are at the end of the history');
is( query(q{SELECT state, applied, pending, sqlstate FROM migrate.targets WHERE target_schema = 'tenant_05'}),
	'failed|2|2|42P07',
	'the view has its error');

query('DROP TABLE tenant_05.refunds');
($status, $messages) = deploy_all(q{schemas := '{tenant_05,tenant_06}'});
is($status, 0, 'it goes on when the cause is gone');
like($messages, qr/2 targets: 1 deployed \(2 migrations\), 1 with nothing to do/,
	'only what was behind');
is(query('SELECT count(*) FROM tenant_05.refunds'), 1, 'with the data');

query(q{SELECT migrate.register('4', 'later', 'CREATE VIEW later AS SELECT 2 AS one')});
($status, $messages) = deploy_all(q{schemas := '{tenant_05}'});
like($messages, qr/tenant_05: migration 4_later was changed after it had been applied: restore its file and put the change into a new migration, or, if it makes no difference, SELECT migrate\.repair\('4', 'tenant_05'\)/,
	'an edited one is refused');
my (undef, undef, $refusal) = $node->psql('main', q{SELECT migrate.baseline('4')});
like($refusal,
	qr/the migrations of this database are for schemas /, 'nor is it marked as applied to the database');
query(q{SELECT migrate.register('4', 'later', 'CREATE VIEW later AS SELECT 1 AS one')});


note('versions, settings and statements of their own');

query(q{
SELECT migrate.register('5', 'build', E'-- safe_migrate: no-transaction\nCREATE INDEX CONCURRENTLY build ON accounts (owner);\nSELECT 1 / (SELECT count(*) FROM accounts)');
SELECT migrate.register('6', 'wait', $$SELECT set_config('tests.timeout', current_setting('statement_timeout'), false); CREATE TABLE waits AS SELECT current_setting('tests.timeout') AS timeout$$);
});
query('INSERT INTO tenant_01.accounts VALUES (1)');
($status, $messages) = deploy_all(q{schemas := '{tenant_01,tenant_02}', target := '6'},
	before => q{SET statement_timeout = '77s'; });
isnt($status, 0, 'a statement fails in one of two targets');
is(query('SELECT timeout FROM tenant_01.waits'), '77s', 'settings of the session hold in the workers');
is( query(q{
SELECT statements, state FROM migrate.attempts WHERE target_schema = 'tenant_02' AND version = '5'}),
	'1|failed',
	'how far the other got is on record');
query('INSERT INTO tenant_02.accounts VALUES (1)');
($status) = deploy_all(q{schemas := '{tenant_02}', target := '5'});
is($status, 0, 'it goes on behind what it had done');
is(applied(q{target_schema = 'tenant_02'}), 5, 'up to the target and no further');


note('a tenant made anew');

query('SET safe_migrate.mode = off; DROP SCHEMA tenant_12 CASCADE; CREATE SCHEMA tenant_12 AUTHORIZATION deployer');
($status, $messages) = deploy_all(q{schemas := '{tenant_12}', target := '4'});
like(
	$messages,
	qr/schema tenant_12 is empty, but migrations are on record .*migrate\.forget_target\('tenant_12'\)/,
	'a schema of the same name is not taken for the one that was dropped');
is( $node->safe_psql('main', q{SELECT migrate.forget_target('tenant_12')},
		extra_params => [ '-U', 'deployer' ]),
	4,
	'its history is forgotten');
($status) = deploy_all(q{schemas := '{tenant_12}', target := '4'});
is($status, 0, 'it begins anew');
is(query(q{SELECT count(*) FROM tenant_12.refunds}), 1, 'from the first migration on');


note('what is mended in single schemas');

# The migrations of these are other ones than those of the tenants.
prepare_database('mends');
query(q{
SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int)', 'DROP TABLE one');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', 'DROP TABLE two');
GRANT EXECUTE ON FUNCTION migrate.repair(text, text), migrate.revert(text, text),
	migrate.baseline(text, text) TO deployer;
}, 'mends');
query("CREATE SCHEMA $_ AUTHORIZATION deployer", 'mends') foreach qw(m_1 m_2 m_3);

# What a call gives, or its error, as the role that deploys.
sub call_of
{
	my ($call, $role) = @_;
	my (undef, $stdout, $stderr) = $node->psql('mends', "SELECT $call",
		extra_params => [ '-U', $role // 'deployer' ]);

	return $stdout . $stderr;
}

sub deploy_mends
{
	return deploy_all(q{schemas := '{m_*}'}, database => 'mends', @_);
}

is(call_of(q{migrate.baseline('1', 'm_3')}), 1, 'a baseline in one schema');
query('CREATE TABLE m_3.one (a int)', 'mends');
($status, $messages) = deploy_mends();
is($status, 0, 'what counts as applied there is not run there');
is( query(q{
SELECT string_agg(target_schema || version || state, ' ' ORDER BY 1, version) FROM migrate.attempts
WHERE target_schema = 'm_3'}, 'mends'),
	'm_31baseline m_32applied',
	'and nowhere else');

query(q{SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int) -- mended', 'DROP TABLE one')}, 'mends');
($status, $messages) = deploy_mends();
like(
	$messages,
	qr/m_1: migration 1_one was changed .*SELECT migrate\.repair\('1', 'm_1'\)/,
	'the remedy names the schema');
is( query(q{
SELECT a.target_schema, migrate.repair(a.version, a.target_schema)
FROM migrate.attempts a JOIN migrate.migrations m USING (version)
WHERE a.version = '1' AND a.in_effect AND a.target_schema <> '' AND a.checksum <> m.checksum
ORDER BY 1}, 'mends'),
	"m_1|accepted\nm_2|accepted\nm_3|accepted", 'all of them at once');
($status) = deploy_mends();
is($status, 0, 'and all goes on');

like(call_of(q{migrate.revert('1', 'm_1')}),
	qr/cannot be reverted while later ones are applied .*SELECT migrate\.revert\('2', 'm_1'\)/,
	'the last one first');
query('SELECT migrate.acknowledge_drift()', 'mends');
like(call_of(q{migrate.revert('2', 'm_1')}), qr{^1(?!\d)}, 'a revert in one schema');
is( query(q{SELECT string_agg(table_schema, ' ' ORDER BY 1) FROM information_schema.tables WHERE table_name = 'two'}, 'mends'),
	'm_2 m_3', 'has no table of another one');
query('CREATE SCHEMA closed; GRANT EXECUTE ON FUNCTION migrate.revert(text, text) TO stranger', 'mends');
like(call_of(q{migrate.revert('2', 'closed')}),
	qr/permission denied for schema closed/, 'nor of public, where it may not look');
like(call_of(q{migrate.revert('2', 'nowhere')}), qr/schema "nowhere" does not exist/, 'no such schema');
like(call_of(q{migrate.repair('2', 'm_2')}), qr/there is nothing to repair/, 'nothing to repair');
like(call_of(q{migrate.repair('2')}), qr/permission denied for function repair/,
	'who may mend the schemas need not be able to mend the database');
is(query('SHOW search_path', 'mends'), '"$user", public', 'settings are as before');
($status) = deploy_mends();
is(query('SELECT count(*) FROM m_1.two', 'mends'), 0, 'what was reverted is deployed again');

# half way in one schema
query(q{SELECT migrate.register('3', 'three', 'BEGIN; CREATE TABLE three (a int); COMMIT; SELECT 1 / (SELECT a FROM one)');
INSERT INTO m_1.one VALUES (1); INSERT INTO m_2.one VALUES (0); INSERT INTO m_3.one VALUES (0)}, 'mends');
($status) = deploy_mends();
isnt($status, 0, 'a migration stops half way in two schemas');
query(q{UPDATE migrate.migrations SET missing_since = now() WHERE version = '3'}, 'mends');
like(
	call_of(q{migrate.repair('3', 'm_1')}),
	qr/cannot be forgotten, it has run in part in schema m_2: .*migrate\.repair\('3', 'm_2'\) first/,
	'it is not forgotten while others have it half done');
like(call_of(q{migrate.repair('3')}, 'postgres'), qr/cannot be forgotten/,
	'nor by the database');
is(call_of(q{migrate.repair('3', 'm_2')}), 'restarted', 'one of them begins anew');
is(call_of(q{migrate.repair('3', 'm_3')}), 'forgotten', 'the last one lets it go');
is(query(q{SELECT count(*) FROM migrate.migrations WHERE version = '3'}, 'mends'), 0, 'it is gone');
my $deployer = $node->background_psql('mends');
$deployer->query_safe(q{BEGIN; SELECT migrate.baseline('1', 'm_2')});
like(call_of(q{migrate.baseline('2', 'm_1')}), qr/another deploy or apply runs in this database/,
	'one at a time in a database, whichever schema');
$deployer->query_safe('ROLLBACK');
$deployer->quit;


note('a string is read as the session reads it');

query('CREATE SCHEMA pgx AUTHORIZATION deployer', 'mends');
($status, $messages) = deploy_all(q{schemas := '{pgx}', target := '1'},
	database => 'mends', before => q{SET standard_conforming_strings = off; SET backslash_quote = on; });
is($status, 0, 'pg and one more character is no schema of the server');
unlike($messages, qr/nonstandard/, 'without a warning');


note('refusals');

foreach my $case (
	[ q{schemas := '{a}', databases := '{b}'}, qr/takes schemas or databases, not both/ ],
	[ q{schemas := '{tenant_01,nobody*}'}, qr/no schema matches "nobody\*"/ ],
	[ q{schemas := '{pg_*}'}, qr/no schema matches/ ],
	[ q{databases := '{nobody}'}, qr/no database matches "nobody"/ ],
	[ q{schemas := '{NULL}'}, qr/is NULL/ ],
	[ q{schemas := '{tenant_01}', parallel := 0}, qr/parallel must be between 1 and 64/ ])
{
	($status, $messages) = deploy_all($case->[0]);
	like($messages, $case->[1], "deploy_all($case->[0])");
}
query('CREATE SCHEMA foreign_tenant');
($status, $messages) = deploy_all(q{schemas := '{foreign_tenant}'});
like(
	$messages,
	qr/foreign_tenant: permission denied for schema foreign_tenant: GRANT USAGE, CREATE ON SCHEMA foreign_tenant TO deployer/,
	'nothing goes to public because a schema may not be used');
($status, $messages) = deploy_all(q{schemas := '{tenant_01}'}, role => 'stranger');
like($messages, qr/permission denied for procedure deploy_all/, 'not for everybody');
($status, $messages) = deploy_all(q{schemas := '{tenant_01}'}, before => 'BEGIN; ');
like($messages, qr/commits by itself/, 'not in a transaction');


note('databases');

prepare_database($_) foreach qw(app_1 app_2);
$node->safe_psql('postgres', 'CREATE DATABASE app_3');
($status, $messages) = deploy_all(q{databases := '{app_*}', target := '4'});
isnt($status, 0, 'a database without the extension fails');
like(
	$messages,
	qr/3 targets: 2 deployed \(8 migrations\), 0 with nothing to do, 1 failed: app_3: safe_migrate is not created in this database/,
	'and the others are deployed to');
is(query('SELECT count(*) FROM refunds', 'app_2'), 1, 'their tables are there');
is(query(q{SELECT count(*) FROM migrate.attempts WHERE in_effect}, 'app_1'),
	4, 'each has a ledger of its own');
is( query(q{SELECT database, state FROM migrate.targets WHERE target_schema = '' ORDER BY 1}),
	"app_1|deployed\napp_2|deployed\napp_3|failed",
	'the database that was called has the summary');
query('REVOKE EXECUTE ON FUNCTION migrate.register(text, text, text, text) FROM deployer', 'app_2');
($status, $messages) = deploy_all(q{databases := '{app_2}'});
like($messages, qr/app_2: permission denied for function migrate\.register in this database: GRANT EXECUTE ON FUNCTION migrate\.register\(text, text, text, text\) TO deployer there/,
	'what the role may not do there it does not do');
$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE app_2 FROM PUBLIC');
($status, $messages) = deploy_all(q{databases := '{app_2}'});
like($messages, qr/permission denied for database app_2/, 'nor connects where it may not');


note('cancelled, killed');

query(q{SELECT migrate.register('7', 'long', 'SELECT pg_sleep(600)')});
query("INSERT INTO $_.accounts VALUES (1) ON CONFLICT DO NOTHING") foreach @tenants;

sub long_deploy
{
	my ($in, $out, $err) = ('', '', '');
	my $session = IPC::Run::start(
		[
			'psql', '-X', '-U', 'deployer', '-d', $node->connstr('main'), '-c',
			q{CALL migrate.deploy_all('{tenant_*}', parallel := 2)}
		],
		'<', \$in, '>', \$out, '2>', \$err);

	$node->poll_query_until('main', q{
SELECT count(*) = 2 FROM pg_stat_activity
WHERE backend_type = 'safe_migrate target' AND wait_event = 'PgSleep'});
	return ($session, \$err);
}

my ($session, $err) = long_deploy();
is( query(q{SELECT count(*) FROM migrate.targets WHERE state = 'running'}),
	2, 'who is at it is visible');
query('GRANT USAGE ON SCHEMA migrate TO stranger; GRANT SELECT ON migrate.targets TO stranger');
is( query(q{SET ROLE stranger; SELECT count(*) FROM migrate.targets WHERE state = 'running'}),
	2, 'also to who may not see the sessions of others');
($status, $messages) = deploy_all(q{schemas := '{other}'}, before => q{SET lock_timeout = '500ms'; });
like($messages, qr/another deploy or apply runs in this database/,
	'one at a time in a database');
query(q{SELECT pg_cancel_backend(leader) FROM migrate.target_runs WHERE state = 'running' LIMIT 1});
$session->finish;
like($$err, qr/canceling statement due to user request/, 'the CALL can be cancelled');
is( query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'safe_migrate target'}),
	0, 'its workers end with it');
is( query(q{SELECT count(*) FROM migrate.targets WHERE state IN ('waiting', 'running')}),
	0, 'what became of each target is on record');
is( query(q{SELECT count(*) FROM migrate.targets WHERE state = 'cancelled'}),
	12, 'of those that were at it, and of those that were not begun');

($session, $err) = long_deploy();
query(q{SELECT pg_terminate_backend(leader) FROM migrate.target_runs WHERE state = 'running' LIMIT 1});
$session->finish;
$node->poll_query_until('main', q{
SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'safe_migrate target'});
is( query(q{SELECT count(*) FROM migrate.targets WHERE state = 'interrupted'}),
	12, 'a session that is gone leaves targets that are interrupted');

($session, $err) = long_deploy();
my ($pid) = split /\n/, query(q{
SELECT pid FROM pg_stat_activity WHERE backend_type = 'safe_migrate target'});
kill 'KILL', $pid;
$session->finish;
wait_until_up($node);
is( query(q{SELECT count(*) FROM migrate.targets WHERE state = 'interrupted'}),
	12, 'so does a crash of the server');

query(q{SELECT migrate.register('7', 'long', 'SELECT 1')});
($status, $messages) = deploy_all(q{schemas := '{tenant_*}'});
is($status, 0, 'afterwards all goes on');
is( query(q{SELECT count(*), min(applied), max(pending) FROM migrate.targets WHERE target_schema LIKE 'tenant%'}),
	'12|7|0', 'to the end, in every target');
is( query(q{
SELECT count(*) FROM (SELECT FROM migrate.attempts WHERE in_effect
GROUP BY target_schema, version HAVING count(*) > 1) twice}),
	0, 'and nothing was run twice');


note('what the leader makes of it');

query(q{SELECT migrate.register('8', 'naps', 'SELECT pg_sleep(2.5)')});
($status, $messages) = deploy_all(q{schemas := '{tenant_01,tenant_02,tenant_03}', parallel := 1},
	before => q{SET statement_timeout = '6s'; });
is($status, 0, 'statement_timeout counts for each statement, not for the CALL');

query(q{SELECT migrate.register('9', 'wide', $body$DO $do$ BEGIN RAISE EXCEPTION 'x%', repeat(chr(228), 5000); END $do$$body$)});
($status, $messages) = deploy_all(q{schemas := '{tenant_01}'});
is( query(q{SELECT octet_length(error) BETWEEN 4090 AND 4095, right(error, 1) = chr(228) FROM migrate.targets WHERE target_schema = 'tenant_01'}),
	't|t', 'a long error is cut between characters');

query(q{SELECT migrate.register('9', 'wide', 'SELECT pg_sleep(6)')});
my ($in, $out, $waits) = ('', '', '');
my $caller = IPC::Run::start(
	[
		'psql', '-X', '-U', 'deployer', '-d', $node->connstr('main'),
		'-c', q{SET lock_timeout = '300ms'},
		'-c', q{CALL migrate.deploy_all('{tenant_01}')}
	],
	'<', \$in, '>', \$out, '2>', \$waits);
$node->poll_query_until('main', q{
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'safe_migrate target' AND wait_event = 'PgSleep'});
my $locker = $node->background_psql('main');
$locker->query_safe('BEGIN; LOCK TABLE migrate.target_runs IN EXCLUSIVE MODE');
$caller->finish;
$locker->query_safe('ROLLBACK');
$locker->quit;
like($waits, qr/WARNING: .*what became of the targets could not be recorded/,
	'the record cannot be written');
like($waits, qr/ERROR: .*canceling statement due to lock timeout/,
	'which does not hide the error');


note('what only a superuser may set of a module that is loaded later');

my $conflict = q{DO $do$ BEGIN EXECUTE format('CREATE TABLE conflict AS SELECT %L AS is, %L AS own', current_setting('plpgsql.variable_conflict'), current_setting('tests.own', true)); END $do$};
query("SELECT migrate.register('10', 'conflict', \$body\$$conflict\$body\$)");
($status) = deploy_all(q{schemas := '{tenant_01}'},
	before => q{SET plpgsql.variable_conflict = 'use_column'; SET tests.own = 'x'; });
is($status, 0, 'a module is loaded in a worker');
is(query('SELECT * FROM tenant_01.conflict'),
	'error|x', 'what the caller has set of it does not count as set by a superuser');
prepare_database('app_4');
query("SELECT migrate.register('1', 'm', \$body\$SET LOCAL plpgsql.variable_conflict = 'use_column'; CREATE TABLE t (i int); VACUUM t; SELECT set_config('tests.got', current_setting('plpgsql.variable_conflict'), false); CREATE TABLE got AS SELECT current_setting('tests.got') AS was; $conflict\$body\$)", 'app_4');
$node->safe_psql('app_4', 'CALL migrate.deploy()', extra_params => [ '-U', 'deployer' ]);
is(query('SELECT c.is, g.was FROM conflict c, got g', 'app_4'),
	'error|use_column', 'nor does what a divided migration sets again');


note('how one goes on with a target that has stopped half way');

query(q{SELECT migrate.register('11', 'half', 'BEGIN; ALTER TABLE half ADD j int; COMMIT; SELECT 1 / (i - 5) FROM half')});
query('CREATE TABLE tenant_01.half (i int); ALTER TABLE tenant_01.half OWNER TO deployer; INSERT INTO tenant_01.half VALUES (5)');
($status, $messages) = deploy_all(q{schemas := '{tenant_01}'});
my ($call) = $messages =~ /statements 1 to 3 of 4 stay committed, and (CALL .*?) goes on behind them/;
is($call, q{CALL migrate.deploy_all(schemas := ARRAY['tenant_01'])}, 'the call that goes on is named');
query('DELETE FROM tenant_01.half');
is(($node->psql('main', $call, extra_params => [ '-U', 'deployer' ]))[0], 0, 'and does so');

$node->stop;
done_testing();

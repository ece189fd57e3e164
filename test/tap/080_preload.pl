# Where the library is not in shared_preload_libraries: nothing is judged, the
# entry points say so, and nothing breaks.  And how the extension goes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('preload');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->start;

my $dangerous = 'CREATE INDEX ON big (id)';
my $make_big =
  q{CREATE TABLE big AS SELECT g AS id, repeat('x', 80) AS t FROM generate_series(1, 20000) g};

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'postgres', $sql);
}

# What goes wrong with some SQL: "SQLSTATE message" lines, or "".
sub complaints
{
	my ($sql, $database) = @_;
	my $stderr = '';

	$node->psql(
		$database // 'postgres', $sql,
		stderr => \$stderr,
		on_error_stop => 0,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return join "\n", $stderr =~ /(?:ERROR|WARNING|FATAL):  (.*)/g;
}

sub complains
{
	my ($sql, $regexp, $name, $database) = @_;

	return like(complaints($sql, $database), $regexp, $name // $sql);
}

sub passes
{
	my ($sql, $name, $database) = @_;

	return is(complaints($sql, $database), '', $name // $sql);
}

sub nothing_crashed
{
	return unlike(slurp_file($node->logfile),
		qr/was terminated by signal|TRAP:|PANIC:/, 'nothing crashed');
}

#
# Not loaded at all
#
my $not_loaded = qr/^55000: safe_migrate is not loaded: .*shared_preload_libraries/;

query($make_big);
query('CREATE EXTENSION safe_migrate');
query('CREATE TABLE empty (id int)');

foreach my $sql (
	q{CALL migrate.run('CREATE INDEX ON big (id)')},
	'CALL migrate.deploy()',
	'SELECT migrate.apply()',
	q{SELECT migrate.apply('1', 'CREATE TABLE one (id int)')},
	q{SELECT migrate.register('1', 'one', 'CREATE TABLE one (id int)')},
	q{SELECT * FROM migrate.load('/tmp')},
	q{SELECT migrate.baseline('1')},
	q{SELECT * FROM migrate.check('CREATE INDEX ON big (id)')},
	'SELECT * FROM migrate.decisions',
	'SELECT * FROM migrate.counters()')
{
	complains($sql, $not_loaded, "says that the library is not loaded: $sql");
}
my $stderr = '';
$node->psql('postgres', 'SELECT migrate.apply()', stderr => \$stderr);
like($stderr, qr/HINT:  shared_preload_libraries = 'safe_migrate'/,
	'with the setting as a hint');

passes(
	'SELECT count(*) FROM migrate.rules; SELECT * FROM migrate.status; SELECT * FROM migrate.decision_log',
	'what only reads tables goes on working');
passes(
	q{INSERT INTO migrate.policy (rule, action) VALUES ('create_index', 'allow')},
	'and so does the CHECK of migrate.policy');
complains(
	q{INSERT INTO migrate.policy (rule, action) VALUES ('nonsense', 'allow')},
	qr/^23514/, 'in both directions');
passes(
	"$dangerous; BEGIN; ALTER TABLE big ADD s serial; TRUNCATE big; ROLLBACK",
	'DDL is not affected');
complains(
	'BEGIN; CREATE INDEX CONCURRENTLY ON empty (id); COMMIT',
	qr/^25001/, 'in no way');
passes('DROP INDEX big_id_idx');

#
# Loaded by a session
#
foreach my $how (
	q{LOAD 'safe_migrate'},
	q{SELECT count(*) FROM migrate.rules})
{
	passes("$how; $dangerous; DROP INDEX big_id_idx",
		"$how: does not judge half");
	complains("$how; SELECT migrate.apply()",
		$not_loaded, 'and entry points still say so');
	complains("$how; CALL migrate.deploy()", $not_loaded);
	passes(
		q{SET safe_migrate.mode = enforce; } . "$how; $dangerous; DROP INDEX big_id_idx",
		'nor does a setting, which is nobody\'s then');
}
query(q{ALTER DATABASE postgres SET session_preload_libraries = 'safe_migrate'});
passes("$dangerous; DROP INDEX big_id_idx",
	'session_preload_libraries: does not judge');
complains('SELECT migrate.apply()', $not_loaded);
complains(q{CALL migrate.run('CREATE INDEX ON big (id)')}, $not_loaded);
query('ALTER DATABASE postgres RESET session_preload_libraries');
nothing_crashed();

#
# Uninstalled and installed again, still not loaded
#
passes('DROP EXTENSION safe_migrate; CREATE EXTENSION safe_migrate; DROP EXTENSION safe_migrate',
	'DROP EXTENSION, and again');
passes('DROP SCHEMA migrate', 'which leaves an empty schema');

#
# Loaded: what is there already
#
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'safe_migrate'\nsafe_migrate.rules = 'create_index:reject'\n");
$node->restart;

passes("$dangerous; DROP INDEX big_id_idx",
	'preloaded: inert in a database without the extension');
query(
	q{CREATE ROLE owner LOGIN; CREATE ROLE admin SUPERUSER LOGIN; CREATE SCHEMA migrate AUTHORIZATION owner});
complains(
	'CREATE EXTENSION safe_migrate',
	qr/^SM009: schema "migrate" belongs to another role/,
	q{another role's schema of that name is refused});
query('ALTER SCHEMA migrate OWNER TO CURRENT_USER; CREATE TABLE migrate.migrations (version text)');
complains(
	'CREATE EXTENSION safe_migrate',
	qr/^SM009: schema "migrate" is not empty/,
	'and one that is in use');
query('DROP TABLE migrate.migrations; CREATE FUNCTION migrate.run() RETURNS int LANGUAGE sql AS $$SELECT 1$$');
complains('CREATE EXTENSION safe_migrate', qr/^SM009/, 'even by a function only');
passes("$dangerous; DROP INDEX big_id_idx",
	'a refused CREATE EXTENSION leaves the database unjudged');
query('DROP FUNCTION migrate.run()');
passes('CREATE EXTENSION safe_migrate', 'an empty schema of our own is taken');
complains('SET ROLE owner; DROP EXTENSION safe_migrate',
	qr/^42501/, 'only the owner may drop the extension');
complains($dangerous, qr/^SM001/, 'now it is judged');

#
# DROP EXTENSION in a database where a lot was decided and applied
#
query(
	q{
INSERT INTO migrate.policy (rule, action) SELECT 'drop_table', 'reject';
INSERT INTO migrate.decision_log (id, decided_at, outcome, role, session_role, pid, cluster)
SELECT gen_random_uuid(), now(), 'rejected', 'me', 'me', 1, 1 FROM generate_series(1, 30000);
});
query(q{SELECT migrate.apply('1', 'CREATE TABLE one (id int)', 'one')});
query(q{ALTER SYSTEM SET safe_migrate.mode = enforce; SELECT pg_reload_conf()});
complains($dangerous, qr/^SM001/);
query('SELECT migrate.drop_all_restore_points()');
passes('DROP EXTENSION safe_migrate',
	'its own tables, which have data, are not in the way of DROP EXTENSION');
complains($dangerous, qr/^SM001/,
	'mode = enforce: judged without the extension as well');
passes(
	q{SET safe_migrate.mode = auto; } . "$dangerous; DROP INDEX big_id_idx",
	'mode = auto: not judged any more');
passes('CREATE EXTENSION safe_migrate', 'it can be created again');
is(query('SELECT count(*) FROM migrate.policy'), 0, 'with nothing left over');
query(q{SELECT migrate.apply('1', 'CREATE TABLE two (id int)', 'two')});
is(query(q{SELECT string_agg(version || ' ' || state, ', ') FROM migrate.status}),
	'1 applied', 'and keeps a ledger again');
query('SELECT migrate.drop_all_restore_points()');

# a session that knew the extension before
my $session = $node->background_psql('postgres', on_error_stop => 0);
foreach my $round (1 .. 3)
{
	my $seen = sub {
		$session->query(
			q{SET safe_migrate.mode = auto;
DO $$ BEGIN
	CREATE INDEX ON big (id); DROP INDEX big_id_idx;
	RAISE NOTICE 'passed';
EXCEPTION WHEN SQLSTATE 'SM001' THEN RAISE NOTICE 'refused'; END $$});
		my ($word) = $session->{stderr} =~ /NOTICE:  (passed|refused)/;
		$session->{stderr} = '';
		return $word;
	};

	is($seen->(), 'refused', "round $round: a session sees the extension");
	query('DROP EXTENSION safe_migrate');
	is($seen->(), 'passed', 'sees it go');
	query('CREATE EXTENSION safe_migrate');
}
$session->quit;
passes('SELECT * FROM migrate.decisions', 'and all is well');

# the database itself may go at any time
query('CREATE DATABASE short');
query("CREATE EXTENSION safe_migrate; $make_big", 'short');
complains($dangerous, qr/^SM001/, 'a refusal', 'short');
complains('DROP DATABASE short', qr/^SM001: drop_database: [^\n]*$/,
	'DROP DATABASE right afterwards only warns');
is(query(q{SELECT count(*) FROM pg_database WHERE datname = 'short'}),
	0, 'and is done');

nothing_crashed();
$node->stop;
done_testing();

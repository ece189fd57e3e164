# pg_dump and pg_restore of a database with the extension: with
# safe_migrate.restoring nothing is judged and nothing recorded, and ledger,
# policy and decisions come along.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
autovacuum = off
safe_migrate.rules = 'create_index:reject, add_unique:reject, add_primary_key:reject, add_foreign_key:reject, add_check:reject'
});
$node->start;

my $directory = PostgreSQL::Test::Utils::tempdir;
my $databases = 0;
my $restoring = '-c safe_migrate.restoring=on';

sub query
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

sub new_database
{
	my $name = 'restored' . ++$databases;

	query('postgres', "CREATE DATABASE $name");
	return $name;
}

# Run a client program with these options for the server.  Returns whether it
# succeeded, and its messages.
sub client
{
	my ($options, @command) = @_;
	my ($stdout, $stderr) = ('', '');

	local $ENV{PGOPTIONS} = $options;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $success = IPC::Run::run([@command], '>', \$stdout, '2>', \$stderr);
	return ($success, $stderr);
}

# The whole content of a database, but for what differs from dump to dump.
sub content
{
	my ($database) = @_;
	my $file = "$directory/content.sql";

	client('', 'pg_dump', '-d', $database, '-f', $file);
	my $text = slurp_file($file);
	$text =~ s/^\\(un)?restrict .*\n//gm;
	return $text;
}

sub equals_source
{
	my ($database, $name) = @_;

	# not is(): nobody wants to see megabytes
	return ok(content($database) eq content('source'), $name);
}

# Rules that refused something, sorted, each once.
sub rules_that_refused
{
	my ($messages) = @_;
	my %seen;

	$seen{$1} = 1
	  while $messages =~ /ERROR:  ((?:add|create|attach|drop|refresh|set)_\w+): /g;
	return join ' ', sort keys %seen;
}

#
# A database with something of everything
#
query('postgres', 'CREATE DATABASE source');
query(
	'source', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE big (
	id bigint GENERATED ALWAYS AS IDENTITY,
	parent bigint,
	t text NOT NULL CHECK (t <> ''),
	twice int GENERATED ALWAYS AS (length(t) * 2) STORED);
INSERT INTO big (parent, t) SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
SET safe_migrate.restoring = on;
ALTER TABLE big ADD PRIMARY KEY (id), ADD UNIQUE (parent),
	ADD CONSTRAINT self FOREIGN KEY (parent) REFERENCES big (id);
CREATE INDEX ON big (t, parent);
CREATE INDEX ON big (lower(t)) WHERE id > 100;
CLUSTER big USING big_pkey;
CREATE STATISTICS big_statistics ON parent, t FROM big;
CREATE VIEW seen AS SELECT id, t FROM big;
CREATE MATERIALIZED VIEW kept AS SELECT id, t FROM big;
CREATE UNIQUE INDEX ON kept (id);
CREATE TABLE parted (id int NOT NULL, t text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10000);
CREATE TABLE parted_default PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
ALTER TABLE parted ADD PRIMARY KEY (id);
CREATE INDEX ON parted (t);
CREATE TABLE refers (id int REFERENCES parted (id));
INSERT INTO refers SELECT generate_series(1, 20000);
CREATE FUNCTION trigger_function() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER trig BEFORE UPDATE ON big EXECUTE FUNCTION trigger_function();
RESET safe_migrate.restoring;
});
query('source', q{SELECT migrate.apply('1', 'CREATE TABLE one (id int)', 'one')});
query('source', q{SELECT migrate.register('2', 'two', 'CREATE TABLE two (id int)')});
query('source',
	q{INSERT INTO migrate.policy (rule, table_name, action, note) VALUES ('drop_table', 'big', 'reject', 'precious'), (NULL, 'tmp', 'allow', E'tab\there')}
);
query(
	'source', q{
INSERT INTO migrate.task_log (statement, command, rule, steps, undos, done, state, deferred, settings,
	role, session_role, role_oid, session_role_oid, origin, attempts, created_at)
SELECT 'statement', 'ALTER TABLE', 'a_rule', '{SELECT 1}', '{NULL}', 0, state, false, '{}',
	current_user, session_user, 10, 10, migrate.origin(), 1, now()
FROM unnest('{failed, done, running, cancelled}'::text[]) state});
$node->psql('source', 'DROP TABLE big');
$node->psql('source', 'ALTER TABLE big ADD CHECK (id > 0)');
$node->poll_query_until('source',
	'SELECT count(*) = 2 FROM migrate.decision_log')
  or die 'the decisions are not recorded';
query('postgres',
	'ALTER SYSTEM SET safe_migrate.mode = enforce; SELECT pg_reload_conf()');
$node->poll_query_until('source',
	q{SELECT current_setting('safe_migrate.mode') = 'enforce'})
  or die 'the setting does not arrive';
is($node->psql('source', 'DROP TABLE big'),
	3, 'mode = enforce is in force');
$node->poll_query_until('source',
	'SELECT count(*) = 3 FROM migrate.decision_log');

my $source_decisions = query('source',
	'SELECT md5(string_agg(d::text, chr(10) ORDER BY d.id)) FROM migrate.decision_log d');

my $last_statement = query('source', 'SELECT max(executed_at) FROM migrate.ddl_log');
my $last_number = query('source', 'SELECT last_value FROM migrate.ddl_log_id_seq');

client('', 'pg_dump', '-d', 'source', '-f', "$directory/plain.sql");
client('', 'pg_dump', '-d', 'source', '-Fc', '-f', "$directory/custom");
client('', 'pg_dump', '-d', 'source', '-Fd', '-j2', '-f', "$directory/dir");
ok(-s "$directory/plain.sql" > 3_000_000, 'there is something in the dump');
like(slurp_file("$directory/plain.sql"),
	qr/^COPY migrate\.$_ /m, "data of migrate.$_ is dumped")
  foreach ('policy', 'decision_log', 'migrations', 'attempts');

#
# Restored
#
my @restores = (
	[ 'psql', [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/plain.sql", '-d' ] ],
	[ 'pg_restore -Fc', [ 'pg_restore', '-e', "$directory/custom", '-d' ] ],
	[ 'pg_restore -Fc -j2', [ 'pg_restore', '-j2', "$directory/custom", '-d' ] ],
	[ 'pg_restore -Fd -j2', [ 'pg_restore', '-j2', "$directory/dir", '-d' ] ],
	[ 'pg_restore -Fc -1', [ 'pg_restore', '-1', "$directory/custom", '-d' ] ]);

foreach my $restore (@restores)
{
	my ($name, $command) = @$restore;
	my $database = new_database();
	my ($success, $messages) = client($restoring, @$command, $database);

	is($messages, '', "$name with safe_migrate.restoring: no message");
	ok($success, 'and success');
	equals_source($database, 'the content is equal');
	is( query(
			$database,
			'SELECT md5(string_agg(d::text, chr(10) ORDER BY d.id)) FROM migrate.decision_log d'
		),
		$source_decisions,
		'so are the decisions, and there is none more');
}

# what was restored is a ledger that goes on
my $restored = 'restored1';
is( query(
		$restored,
		q{SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) FROM migrate.status}
	),
	'1 applied, 2 pending',
	'the ledger knows what is applied');
is( query($restored, 'SELECT string_agg(state, $$ $$ ORDER BY id) FROM migrate.tasks'),
	'done cancelled',
	'of the tasks, those that are finished came along');
is(query($restored, 'SELECT migrate.apply()'), 1, 'the rest can be applied');
is( query(
		$restored,
		'SELECT count(*), count(DISTINCT id), max(id) > 1 FROM migrate.attempts'
	),
	'2|2|t',
	'with a number of its own');
is( query($restored,
		q{SELECT count(*) FROM migrate.decisions WHERE transaction_outcome IS NULL}
	  ) > 0,
	1,
	'decisions that were restored can be read');
is($node->psql($restored, 'DROP TABLE big'),
	3, 'and statements are judged in the restored database');
is( query(
		$restored, q{SELECT action FROM migrate.policy WHERE note = 'precious'}),
	'reject',
	'by its policy');

# over what is there
my ($success, $messages) = client($restoring, 'pg_restore', '--clean',
	'--if-exists', '-d', 'restored2', "$directory/custom");
is(rules_that_refused($messages),
	'', 'pg_restore --clean over a filled database: nothing is refused');
equals_source('restored2', 'and the content is equal');
($success, $messages) = client('', 'pg_restore', '--clean', '--if-exists',
	'-d', 'restored2', "$directory/custom");
ok(!$success, 'without safe_migrate.restoring it fails');
like($messages, qr/drop_table: DROP TABLE loses data of public\.big/,
	'because what is there has data');

# only parts
my $parts = new_database();
foreach my $section ('pre-data', 'data', 'post-data')
{
	($success, $messages) = client($restoring, 'pg_restore',
		"--section=$section", '-d', $parts, "$directory/custom");
	is($messages, '', "pg_restore --section=$section");
}
equals_source($parts, 'in sections: the content is equal');

#
# Without safe_migrate.restoring: data are loaded first, keys and indexes then
#
my $refused = 'add_foreign_key add_primary_key add_unique create_index';
my $unprepared = new_database();
($success, $messages) = client('', 'pg_restore', '-d', $unprepared, "$directory/custom");
ok(!$success, 'without it pg_restore fails');
is(rules_that_refused($messages),
	$refused, 'keys and indexes of large tables are refused');
is( query($unprepared, 'SELECT count(*) FROM big'),
	20000, 'the data are there');
($success, $messages) =
  client($restoring, 'pg_restore', '--section=post-data', '-d', $unprepared,
	"$directory/custom");
is( $node->safe_psql(
		$unprepared,
		q{SELECT count(*) FROM pg_constraint WHERE conname IN ('big_pkey', 'big_parent_key', 'self', 'parted_pkey')}
	),
	4,
	'what is missing can be restored afterwards');

my $plain = new_database();
($success, $messages) = client('', 'psql', '-X', '-q', '-f', "$directory/plain.sql", '-d', $plain);
is(rules_that_refused($messages), $refused, 'the same with psql');

my $once = new_database();
($success, $messages) = client('', 'pg_restore', '-1', '-d', $once, "$directory/custom");
is($messages, '',
	'in a single transaction all tables are new, so nothing is refused');
like(
	query(
		$once,
		"WITH of_restore AS (DELETE FROM migrate.ddl_log l WHERE l.executed_at > '$last_statement' RETURNING l.id) SELECT count(*) FROM of_restore"
	),
	qr/^[1-9]/,
	'the restore is recorded beside what it restores');
query($once, "SELECT setval('migrate.ddl_log_id_seq', $last_number)");
equals_source($once, 'and the content is equal');

#
# Who may
#
query('postgres', 'CREATE ROLE restorer LOGIN CREATEDB');
($success, $messages) =
  client($restoring, 'psql', '-X', '-U', 'restorer', '-d', 'postgres', '-c',
	'SELECT 1');
like($messages, qr/permission denied to set parameter "safe_migrate.restoring"/,
	'not everybody may set it');
query('postgres',
	'GRANT SET ON PARAMETER safe_migrate.restoring TO restorer');
($success, $messages) =
  client($restoring, 'psql', '-X', '-U', 'restorer', '-d', 'postgres', '-c',
	'SHOW safe_migrate.restoring');
is($messages, '', 'but it can be granted');

query('postgres', 'CREATE DATABASE owned OWNER restorer');
query('owned', 'CREATE EXTENSION safe_migrate');
($success, $messages) = client('', 'pg_dump', '-U', 'restorer', '-d', 'owned',
	'-f', "$directory/owned.sql");
like($messages, qr/permission denied for (table|sequence) |lack SELECT privilege/,
	'nor may everybody dump what was decided');
($success, $messages) =
  client('', 'pg_dump', '-U', 'restorer', '-T', 'migrate.*', '-d', 'owned',
	'-f', "$directory/owned.sql");
is($messages, '', q{the owner of a database may leave it out});

unlike(slurp_file($node->logfile),
	qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/,
	'nothing crashed');
$node->stop;
done_testing();

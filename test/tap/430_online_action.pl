# Statements in whose place an online change is started: by a deploy, which waits
# for it unless it is told not to; by a client that speaks the extended protocol;
# by a role of a policy.

use strict;
use warnings;

use File::Basename;
use lib dirname(__FILE__);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireSession;

my $node = PostgreSQL::Test::Cluster->new('online');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
autovacuum = off
safe_migrate.backfill_throttle_query = 'SELECT count(*) FROM public.paused'
END
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE paused (why text);
GRANT SELECT ON paused TO PUBLIC;
});

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# A table of its own for each case.
sub make_table
{
	my ($name) = @_;

	query(qq{CREATE TABLE $name (id int PRIMARY KEY, a int);
INSERT INTO $name SELECT g, g FROM generate_series(1, 5000) g});
	return;
}

sub register
{
	my ($version, $sql) = @_;

	return query("SELECT migrate.register('$version', 'm', \$body\$$sql\$body\$)");
}

# Status and what went to stderr.
sub deploy
{
	my $err;
	my $status = $node->psql('postgres', 'CALL migrate.deploy()', stderr => \$err);

	return ($status, $err);
}

sub phase_of
{
	my ($table) = @_;

	return query("SELECT phase FROM migrate.changes WHERE relation = 'public.$table' ORDER BY id DESC LIMIT 1");
}

# Rows, and those with equal values under both names.
sub equal_rows
{
	my ($table) = @_;

	return query("SELECT count(*), count(*) FILTER (WHERE a = b) FROM $table");
}

query(q{ALTER DATABASE postgres SET safe_migrate.rules = 'rename_column:online, drop_table:online'});

#
# A deploy waits for the phase "verified"
#
make_table($_) for qw(deployed detached failed wire prepared owned);
register(1, 'ALTER TABLE deployed RENAME COLUMN a TO b; COMMENT ON COLUMN deployed.b IS $$new$$');
register(2, 'CREATE TABLE seen AS SELECT phase FROM migrate.changes; CREATE INDEX ON deployed (b)');
query(q{INSERT INTO paused VALUES ('for the test')});
my $deploy = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'CALL migrate.deploy()' ],
	'>', \my $ignored, '2>', \my $messages);
ok($node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM migrate.progress WHERE waits_for IS NOT NULL)}),
	'the backfill is held up');
is(phase_of('deployed'), 'started', 'the change has started');
query('UPDATE deployed SET b = -1 WHERE id = 1; UPDATE deployed SET a = -a WHERE id = 2');
is(query(q{SELECT to_regclass('seen') IS NULL}), 't', 'the deploy waits for it');
query('DELETE FROM paused');
ok($deploy->finish, 'it succeeds') or diag($messages);
like($messages, qr/rename_column: SELECT migrate\.rename_column\('public\.deployed', 'a', 'b'\) is run instead/, 'it tells so');
is(phase_of('deployed'), 'verified', 'the change is verified then');
is(equal_rows('deployed'), '5000|5000', 'both names have the same values');
is(query('SELECT a, b FROM deployed WHERE id < 4 ORDER BY id'), "-1|-1\n-2|-2\n3|3", 'those that clients wrote meanwhile, under either name');
is(query('SELECT phase FROM seen'), 'verified', 'the next migration found it so');
is(query(q{SELECT outcome, statement, executed FROM migrate.decisions WHERE rule = 'rename_column'}),
	q{rewritten|ALTER TABLE deployed RENAME COLUMN a TO b|SELECT migrate.rename_column('public.deployed', 'a', 'b')},
	'the decision is recorded');

#
# or does not
#
register(3, q{SELECT migrate.rename_column('detached', 'a', 'b', advance => 'detached')});
query(q{INSERT INTO paused VALUES ('for the test')});
my ($status, $err) = deploy();
is($status, 0, 'a deploy of a detached change ends') or diag($err);
is(phase_of('detached'), 'started', 'before the change is verified');
query('DELETE FROM paused');
ok($node->poll_query_until('postgres', q{SELECT phase = 'verified' FROM migrate.changes WHERE relation = 'public.detached'}),
	'which the background goes on with');
is(equal_rows('detached'), '5000|5000', 'to its end');

#
# No worker can serve a role that may not connect: then the deploy does it itself
#
query(q{
CREATE ROLE eve NOLOGIN;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO eve;
GRANT EXECUTE ON PROCEDURE migrate.deploy(text) TO eve;
SET safe_migrate.rules = '';
SET ROLE eve;
CREATE TABLE eves (id int PRIMARY KEY, a int);
CREATE TABLE eves_too (id int PRIMARY KEY, a int);
INSERT INTO eves SELECT g, g FROM generate_series(1, 5000) g});
register(31, q{SELECT migrate.rename_column('eves', 'a', 'b')});
register(32, q{ALTER TABLE eves ADD CHECK (a = b)});
($status) = $node->psql('postgres', 'SET ROLE eve; CALL migrate.deploy()', stderr => \$err);
is($status, 0, 'a deploy by a role that no worker can serve') or diag($err);
like($err, qr/change \d+ has started; CALL migrate\.deploy\(\) goes on with it after the commit/, 'it tells so');
is(phase_of('eves'), 'verified', 'the change is verified');
is(equal_rows('eves'), '5000|5000', 'and filled before the next migration');

# but not as another role
register(33, q{SET LOCAL ROLE eve; SELECT migrate.rename_column('eves_too', 'a', 'b')});
register(34, q{CREATE TABLE behind_eve ()});
($status, $err) = deploy();
is($status, 3, 'for another role it does not');
like($err, qr/the change of public\.eves_too would not be advanced by itself: .*; SET ROLE eve before CALL migrate\.deploy\(\)/,
	'and says who is to do it');
is(phase_of('eves_too'), '', 'nothing has begun');
($status) = $node->psql('postgres', 'SET ROLE eve; CALL migrate.deploy()', stderr => \$err);
is($status, 0, 'so it goes on') or diag($err);
is(phase_of('eves_too'), 'verified', 'with the change');

# nor where nobody waits
register(35, q{SELECT migrate.rename_column('eves_last', 'a', 'b')});
query('SET ROLE eve; CREATE TABLE eves_last (id int PRIMARY KEY, a int); INSERT INTO eves_last VALUES (1, 1)');
query('GRANT EXECUTE ON FUNCTION migrate.apply(text) TO eve');
($status) = $node->psql('postgres', 'SET ROLE eve; SELECT migrate.apply()', stderr => \$err);
is($status, 0, 'migrate.apply() leaves it') or diag($err);
like($err, qr/change \d+ has started; CALL migrate\.advance\(\d+\) goes on with it/, 'and says so');
query('GRANT CONNECT ON DATABASE postgres TO PUBLIC');

#
# A migration that fails takes the start back with it
#
register(4, 'ALTER TABLE failed RENAME COLUMN a TO b; SELECT 1 / 0');
($status, $err) = deploy();
is($status, 3, 'a migration fails behind the start of a change');
is(query(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'failed'::regclass AND attname = 'b'}), '0', 'nothing of it is left');
is(phase_of('failed'), '', 'nor the change');

#
# Protocols
#
my $session = WireSession->new($node, 'postgres');

is_deeply([ grep { !/^notice/ } $session->extended($session->statement('ALTER TABLE wire RENAME COLUMN a TO b')) ],
	[ 'done ALTER TABLE', 'idle' ], 'extended protocol: the tag of the statement');
$session->extended($session->parse('later', 'ALTER TABLE prepared RENAME COLUMN a TO b'));
is_deeply([ grep { !/^notice/ } $session->extended($session->bind(statement => 'later'), $session->execute) ],
	[ 'done ALTER TABLE', 'idle' ], 'a prepared statement');
is_deeply([ grep { !/^notice/ } $session->extended($session->bind(statement => 'later'), $session->execute) ],
	[ 'error 55006', 'idle' ], 'run again, while the change is not contracted');
for my $table (qw(wire prepared))
{
	ok($node->poll_query_until('postgres', "SELECT phase = 'verified' FROM migrate.changes WHERE relation = 'public.$table'"), "$table: verified");
	is(equal_rows($table), '5000|5000', "$table: both names have the same values");
}

#
# Another role, by a row of the policy; he owns the table
#
query(q{
CREATE ROLE ann LOGIN;
ALTER ROLE ann SET safe_migrate.rules = '';
GRANT CREATE, USAGE ON SCHEMA public TO ann;
ALTER TABLE owned OWNER TO ann;
INSERT INTO migrate.policy (rule, role_name, action) VALUES ('rename_column', 'ann', 'online');
});
is($node->psql('postgres', 'ALTER TABLE owned RENAME COLUMN a TO b', extra_params => [ '-U', 'ann' ], stderr => \$err), 0, 'a role without rights of its own')
  or diag($err);
ok($node->poll_query_until('postgres', q{SELECT phase = 'verified' FROM migrate.changes WHERE relation = 'public.owned'}), 'has its change verified');
is(query(q{SELECT role FROM migrate.changes WHERE relation = 'public.owned'}), 'ann', 'by itself');
isnt($node->psql('postgres', 'ALTER TABLE detached RENAME COLUMN id TO b', extra_params => [ '-U', 'ann' ], stderr => \$err), 0, 'a table of another role');
like($err, qr/must be owner|is being changed/, 'is for its owner');

#
# A DROP that is only tried makes no restore point, one that is done does
#
make_table('dropped');
query(q{INSERT INTO paused VALUES ('for the test')});
my $points = query('SELECT count(*) FROM migrate.restore_points');
query('DROP TABLE dropped');
is(query('SELECT count(*) FROM migrate.restore_points'), $points, 'no restore point when the table stays');
is(query('SELECT count(*) FROM dropped'), '5000', 'it stays');
query(q{SET safe_migrate.override = 'nobody needs it'; DROP TABLE paused});
is(query('SELECT count(*) FROM migrate.restore_points'), $points + 1, 'one for a table that goes');

$node->stop;
done_testing();

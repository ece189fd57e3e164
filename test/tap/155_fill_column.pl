# A new column is filled while clients move rows about and after the server was
# killed: no row is left out, and none gets another value.

use strict;
use warnings;

use File::Basename;
use lib dirname(__FILE__);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireSession;

my $node = PostgreSQL::Test::Cluster->new('fill');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.observation = on
autovacuum = off
END
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE t (id int PRIMARY KEY, v int, c text) WITH (fillfactor = 50);
INSERT INTO t SELECT g, 0, repeat('x', 100) FROM generate_series(1, 200000) g;
CREATE SEQUENCE s;
CREATE SEQUENCE ids START 1000000;
});
my $writer = PostgreSQL::Test::Utils::tempdir() . '/writer.pgbench';
append_to_file($writer, <<'END');
\set id random(1, 200000)
UPDATE t SET v = v + 1, c = repeat('y', 100 + v) WHERE id = :id;
INSERT INTO t VALUES (nextval('ids'), 0, 'new');
END

# While clients write; the longest of their statements is not to wait long.
sub with_writers
{
	my ($action) = @_;
	my $output = '';
	my $bench = IPC::Run::start(
		[ 'pgbench', '-n', '-c', 2, '-T', 4, '-f', $writer, '--max-tries=1', $node->connstr('postgres') ],
		'>&', \$output);

	$action->();
	$bench->finish;

	unlike($output, qr/ERROR|aborted/, 'no client failed');
}

with_writers(sub {
	$node->safe_psql('postgres', "CALL migrate.run('ALTER TABLE t ADD n bigint NOT NULL DEFAULT nextval(\$\$s\$\$)')");
});
is($node->safe_psql('postgres', 'SELECT count(*) > 200000, count(*) = count(n), count(*) = count(DISTINCT n) FROM t'),
	't|t|t', 'each row has a value of its own');
is($node->safe_psql('postgres', "SELECT attnotnull, atthasdef FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'n'"),
	't|t', 'the column is as it was to be');

# killed in the middle
$node->safe_psql('postgres', q{
CREATE TABLE k AS SELECT id, v, c FROM t;
ALTER TABLE k ADD n bigint, ALTER n SET DEFAULT nextval('s');
});
my $call = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "CALL migrate.fill_column('k', 'n')" ],
	'>', \my $ignored, '2>', \my $messages);
$node->poll_query_until('postgres', 'SELECT EXISTS (SELECT FROM k WHERE n IS NOT NULL)')
  or die 'nothing was filled';
$node->safe_psql('postgres', 'SELECT txid_current()');	# what was committed before is on disk
$node->stop('immediate');
$call->finish;
$node->start;
is($node->safe_psql('postgres', 'SELECT count(n) > 0, count(n) < count(*) FROM k'), 't|t', 'it was killed in the middle');
$node->safe_psql('postgres', 'CREATE TABLE before AS SELECT id, n FROM k WHERE n IS NOT NULL');
$node->safe_psql('postgres', "CALL migrate.fill_column('k', 'n')");
is($node->safe_psql('postgres', 'SELECT count(*) = count(n), count(*) = count(DISTINCT n) FROM k'), 't|t', 'the next call fills the rest');
is($node->safe_psql('postgres', 'SELECT count(*) FROM before JOIN k USING (id) WHERE before.n <> k.n'), '0', 'and changes nothing that was filled');

# changed in the middle: each row waits until a lock can be had, so that the
# change stands in the queue behind the first transaction
sub change_while_filling
{
	my ($table, $change) = @_;
	my $gate = WireSession->new($node, 'postgres');
	my $filler = WireSession->new($node, 'postgres');
	my $changer = WireSession->new($node, 'postgres');

	$gate->query('SELECT pg_advisory_lock(1)');
	$filler->send(WireSession::message('Q', "CALL migrate.fill_column('$table', 'n')\0"));
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'})
	  or die 'the first row is not reached';
	$changer->query('SET safe_migrate.mode = off');
	$changer->send(WireSession::message('Q', "$change\0"));
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'})
	  or die 'the change does not wait';
	$gate->query('SELECT pg_advisory_unlock(1)');
	ok(!grep({ /error/ } $changer->answers), "$table: it is changed");
	return ($filler, $filler->answers);
}

$node->safe_psql('postgres', q{
CREATE FUNCTION gated() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	WHILE NOT pg_try_advisory_xact_lock_shared(1) LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
	RETURN 5;
END $$;
CREATE TABLE renamed (id int, c text);
INSERT INTO renamed SELECT g, repeat('x', 1000) FROM generate_series(1, 2000) g;
ALTER TABLE renamed ADD n bigint, ALTER n SET DEFAULT gated();
CREATE TABLE other_column (LIKE renamed INCLUDING ALL);
INSERT INTO other_column SELECT id, c FROM renamed;
UPDATE other_column SET n = NULL;
CREATE TABLE dropped (LIKE renamed INCLUDING ALL);
INSERT INTO dropped SELECT id, c, NULL FROM renamed;
CREATE TABLE parent (LIKE renamed INCLUDING ALL);
CREATE TABLE gone () INHERITS (parent);
INSERT INTO gone SELECT id, c, NULL FROM renamed;
CREATE TABLE left_over () INHERITS (parent);
INSERT INTO left_over SELECT id, c, NULL FROM renamed;
});
my ($filler, @answers) = change_while_filling('renamed',
	'BEGIN; ALTER TABLE renamed RENAME TO old_one; CREATE TABLE renamed AS SELECT id, c, n FROM old_one WHERE n IS NULL; ALTER TABLE renamed ALTER n SET DEFAULT 7; COMMIT');
is_deeply(\@answers, [ 'done CALL', 'idle' ], 'a table under another name');
is($node->safe_psql('postgres', 'SELECT count(*), count(n) FROM old_one'), '2000|2000', 'is filled');
is($node->safe_psql('postgres', 'SELECT count(*) > 0, count(n) FROM renamed'), 't|0', 'the one with its name is not');
($filler, @answers) = change_while_filling('other_column',
	'BEGIN; ALTER TABLE other_column RENAME n TO m; ALTER TABLE other_column ADD n bigint; COMMIT');
is_deeply(\@answers, [ 'error 42703', 'idle' ], 'another column');
is($filler->error('M'), 'column "n" of public.other_column was dropped or renamed while migrate.fill_column() filled it',
	'is said so');
is($node->safe_psql('postgres', 'SELECT count(n), count(m) BETWEEN 1 AND 1999 FROM other_column'), '0|t', 'and not filled');
($filler, @answers) = change_while_filling('dropped', 'DROP TABLE dropped');
is_deeply(\@answers, [ 'error 42P01', 'idle' ], 'a table that is gone');
($filler, @answers) = change_while_filling('parent', 'DROP TABLE gone');
is_deeply(\@answers, [ 'done CALL', 'idle' ], 'a child that is gone');
is($node->safe_psql('postgres', 'SELECT count(*), count(n) FROM parent'), '2000|2000', 'the other is filled');
$node->stop;

done_testing();

# A column that comes back: rows that were inserted while it was not there get
# its default, whenever that was, and all others have what they had.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('columns');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
autovacuum = off
fsync = off
log_min_messages = 'warning'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# CALL rollback_to() in a session of its own; while it waits for a reader, others
# do this.
sub roll_back_while
{
	my ($label, $mode, $sql) = @_;
	my $reader = $node->background_psql('postgres', on_error_die => 1);
	my $rollback = $node->background_psql('postgres', on_error_stop => 0);

	$reader->query_safe('BEGIN; SELECT count(*) FROM t');
	$rollback->query_until(qr/started/,
		"\\echo started\nCALL migrate.rollback_to('$label', '$mode');\n");
	$node->poll_query_until('postgres', q{
SELECT count(*) > 0 FROM pg_locks
WHERE relation = 't'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted});

	# it has looked at the table, and cannot lock it
	$node->poll_query_until('postgres', q{
SELECT count(*) > 0 FROM pg_stat_activity a JOIN pg_locks l USING (pid)
WHERE relation = 't'::regclass AND l.mode = 'ShareUpdateExclusiveLock'
	AND (wait_event_type IN ('Lock', 'Extension') OR wait_event = 'PgSleep'
		OR EXISTS (SELECT FROM pg_locks w WHERE w.pid = a.pid AND NOT w.granted))});
	query($sql);
	$reader->query_safe('COMMIT');
	$reader->quit;
	$rollback->query('SELECT 1');
	$rollback->quit;
	return;
}

sub begin
{
	my ($table) = @_;

	query("DROP TABLE IF EXISTS t; $table");
	query(q{SELECT migrate.drop_all_restore_points();
		SELECT migrate.unregister(version) FROM migrate.status WHERE state = 'pending'});
	query(q{SELECT migrate.create_restore_point('here')});
	return;
}

my $version = 0;

sub migrate
{
	my ($sql) = @_;

	$version++;
	query("SELECT migrate.apply('$version', \$\$$sql\$\$)");
	return;
}

foreach my $mode ('keep', 'as_of')
{
	foreach my $kind ('TABLE', 'UNLOGGED TABLE')
	{
		my $name = "$mode, " . lc($kind);

		begin("CREATE $kind t (id int PRIMARY KEY, a int NOT NULL DEFAULT 7, b int NOT NULL DEFAULT 8);
INSERT INTO t SELECT n, n, n FROM generate_series(1, 2000) n; VACUUM (FREEZE) t");
		migrate('ALTER TABLE t DROP COLUMN a');
		query('INSERT INTO t SELECT n FROM generate_series(2001, 2010) n; UPDATE t SET b = b + 1 WHERE id % 10 = 0');

		# of the rows that it has seen one goes, one is changed and one moves
		roll_back_while('here', $mode, q{
DELETE FROM t WHERE id = 2001; UPDATE t SET b = 0 WHERE id = 2002;
UPDATE t SET b = -1 WHERE id IN (5, 15); INSERT INTO t SELECT n FROM generate_series(3001, 3005) n;
BEGIN; INSERT INTO t VALUES (4001); ROLLBACK;});
		is(query('SELECT count(*), count(*) FILTER (WHERE a = id), count(*) FILTER (WHERE a = 7 AND id > 2000) FROM t'),
			'2014|2000|14', "$name: the values, and the default of new rows");
		is(query('SELECT b FROM t WHERE id IN (5, 10, 2002) ORDER BY id'), "-1\n11\n0",
			"$name: what was written to other columns");
		is(query('SET enable_indexscan = off; SELECT count(*) FROM t WHERE a IS NULL'), 0,
			"$name: none is without");
	}
}

# Nothing to give: such rows have to go, and nobody but the user decides that

foreach my $how ("'as_of'", "on_conflict => 'restore'")
{
	begin('DROP TABLE IF EXISTS child; CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL); INSERT INTO t SELECT n, n FROM generate_series(1, 100) n');
	migrate('ALTER TABLE t DROP COLUMN a');
	query('INSERT INTO t VALUES (101), (102)');
	is(query(q{SELECT action, object, rows, conflicts FROM migrate.rollback_plan('here') WHERE action = 'give values'}),
		'give values|column public.t.a|2|2', 'NOT NULL without a default: the plan');
	foreach my $refused ('', q{, on_conflict => 'keep'})
	{
		my ($status, $output, $error) =
		  $node->psql('postgres', "CALL migrate.rollback_to('here'$refused)");

		isnt($status, 0, "it is refused$refused");
		like($error, qr/2 rows that clients have inserted into public\.t since have no value for column a, which was NOT NULL and has no default; delete them, or say on_conflict := 'restore'/, 'and why');
	}
	query("CREATE TABLE child (t int REFERENCES t)");
	query('INSERT INTO child VALUES (101)');
	my ($status, $output, $error) = $node->psql('postgres', "CALL migrate.rollback_to('here', $how)");
	if ($status != 0)
	{
		fail("$how: $error");
		next;
	}
	like($error, qr/WARNING:  deleting 2 rows that clients have inserted into public\.t since/, "$how: said");
	is(query('SELECT count(*), count(*) FILTER (WHERE a = id) FROM t'), '100|100', "$how: they are gone");
}

# What refers to such a row is an orphan then

begin('CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL); INSERT INTO t VALUES (1, 1); CREATE TABLE child (t int REFERENCES t)');
migrate('ALTER TABLE t DROP COLUMN a');
query('INSERT INTO t VALUES (2); INSERT INTO child VALUES (2)');
{
	my ($status, $output, $error) = $node->psql('postgres', q{CALL migrate.rollback_to('here', 'as_of')});

	isnt($status, 0, 'rows of others refer to it: refused');
	like($error, qr/violates foreign key constraint "child_t_fkey"/, 'and why');
}
query('DROP TABLE child');

# What short rows have was kept aside

begin('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100); ALTER TABLE t ADD a int NOT NULL DEFAULT 5; INSERT INTO t VALUES (101, 6)');
migrate('ALTER TABLE t DROP COLUMN a');
query('INSERT INTO t VALUES (102)');
query(q{CALL migrate.rollback_to('here')});
is(query('SELECT a, count(*) FROM t GROUP BY 1 ORDER BY 1'), "5|101\n6|1", 'a default that was never written');

# More new rows than are remembered

begin('CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL DEFAULT 7); INSERT INTO t SELECT n, n FROM generate_series(1, 10) n');
migrate('ALTER TABLE t DROP COLUMN a');
query('INSERT INTO t SELECT generate_series(11, 60100)');
query(q{CALL migrate.rollback_to('here')});
is(query('SELECT count(*) FILTER (WHERE a = 7 AND id > 10), count(*) FILTER (WHERE a = id) FROM t'), '60090|10',
	'sixty thousand new rows');

# Pages of another access method are nobody's to read but its own

query('CREATE ACCESS METHOD other_heap TYPE TABLE HANDLER heap_tableam_handler');
begin('CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL DEFAULT 7, b int) USING other_heap; INSERT INTO t SELECT n, n, n FROM generate_series(1, 100) n');
migrate('ALTER TABLE t DROP COLUMN a; ALTER TABLE t ALTER b SET DEFAULT 1');
query('INSERT INTO t VALUES (101)');
query(q{CALL migrate.rollback_to('here')});
is(query('SELECT count(*) FILTER (WHERE a = id), count(*) FILTER (WHERE a = 7) FROM t'), '100|2',
	'a table of another access method');
begin('CREATE TABLE t (id int PRIMARY KEY, b int) USING other_heap; INSERT INTO t SELECT n, n FROM generate_series(1, 100) n');
migrate('ALTER TABLE t ALTER b TYPE bigint');
query('INSERT INTO t VALUES (101, 101); DELETE FROM t WHERE id = 5');
query(q{CALL migrate.rollback_to('here')});
is(query('SELECT count(*), sum(b) FROM t'), '100|5146', 'and its later writes');

# Sequences, whether somebody looked at their data before the locks or under them

begin('CREATE TABLE t (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY); INSERT INTO t SELECT generate_series(1, 10);
DROP TABLE IF EXISTS other; CREATE TABLE other (id serial PRIMARY KEY); INSERT INTO other SELECT nextval($$other_id_seq$$) FROM generate_series(1, 5)');
migrate('TRUNCATE t RESTART IDENTITY; ALTER SEQUENCE other_id_seq RESTART');
query('INSERT INTO t SELECT generate_series(101, 130)');
query(q{CALL migrate.rollback_to('here', 'as_of')});
query('INSERT INTO t VALUES (99); INSERT INTO other DEFAULT VALUES');
is(query('SELECT n > 10 FROM t WHERE id = 99'), 't', 'a table that comes back: its sequence is behind the rows');
is(query('SELECT max(id) FROM other'), 6, 'a sequence that a migration has set back goes on where it was');

$node->stop;

done_testing();

# One rollback after another: to the same restore point, to an older one, and to
# the one of a rollback.  Each time the rows are those of the point and of
# clients, whatever the rollbacks before have moved about.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('again');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
autovacuum = off
fsync = off
wal_level = replica
log_min_messages = 'warning'
client_min_messages = 'warning'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

my $version = 0;

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub begin
{
	my ($tables) = @_;

	query("DROP TABLE IF EXISTS t; $tables");
	query(q{SELECT migrate.drop_all_restore_points();
		SELECT migrate.unregister(version) FROM migrate.status WHERE state = 'pending'});
	return;
}

# Returns the label of the restore point before it.
sub migrate
{
	my ($sql) = @_;

	$version++;
	query("SELECT migrate.apply('$version', \$\$$sql\$\$)");
	return "before $version";
}

# Returns that of the restore point of the rollback.
sub roll_back
{
	my ($label, $more) = @_;

	query("CALL migrate.rollback_to('$label'" . ($more ? ", $more" : '') . ')');
	return query(q{SELECT label FROM migrate.restore_points WHERE kind = 'rollback' ORDER BY created_at DESC LIMIT 1});
}

sub fails
{
	my ($sql, $pattern, $name) = @_;
	my ($status, $output, $error) = $node->psql('postgres', $sql);

	isnt($status, 0, "$name: it fails");
	like($error, $pattern, $name);
	return;
}

sub rows
{
	return query('SELECT t FROM t ORDER BY id') =~ s/\n/ /gr;
}

my $three = q{CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 3) n};

# There and back, more than once

foreach my $mode ('keep', 'as_of')
{
	foreach my $case (
		[ 'update', q{UPDATE t SET v = 'oops'}, '(1,oops) (2,oops) (3,oops)' ],
		[ 'delete', 'DELETE FROM t WHERE id > 1', '(1,v1)' ],
		[ 'insert', q{INSERT INTO t VALUES (4, 'v4')}, '(1,v1) (2,v2) (3,v3) (4,v4)' ],
		[ 'all of it', q{UPDATE t SET v = 'x' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (5, 'v5')}, '(1,x) (3,v3) (5,v5)' ],
		[ 'key', 'UPDATE t SET id = id + 10', '(11,v1) (12,v2) (13,v3)' ],
		[ 'truncate', 'TRUNCATE t', '' ],
		[ 'rewrite', q{ALTER TABLE t ALTER v TYPE varchar(40) USING upper(v)}, '(1,V1) (2,V2) (3,V3)' ],
		[ 'rewrite and delete', q{ALTER TABLE t ALTER v TYPE varchar(40) USING upper(v); DELETE FROM t WHERE id = 2}, '(1,V1) (3,V3)' ],
		[ 'column', 'ALTER TABLE t DROP v', '(1) (2) (3)' ],
		[ 'drop', 'DROP TABLE t', undef ])
	{
		my ($name, $sql, $after) = @$case;
		my ($before, $first, $second, $third);

		# rows that are gone from both sides are a conflict: nobody wrote any
		my $how = "'$mode'" . ($name eq 'rewrite and delete' && $mode eq 'keep' ? ", 'restore'" : '');

		begin($three);
		$before = migrate($sql);
		$first = roll_back($before, $how);
		is(rows(), '(1,v1) (2,v2) (3,v3)', "$name, $mode: back");
		$second = roll_back($first, $how);
		is($after ? rows() : $after, $after, "$name, $mode: and forth");
		is(query("SELECT state FROM migrate.status WHERE version = '$version'"),
			'applied', "$name, $mode: the ledger");
		is(query("SELECT count(*) > 0 FROM migrate.rollback_plan('$before')"), 't',
			"$name, $mode: the plan has something to do");
		$third = roll_back($before, $how);
		is(rows(), '(1,v1) (2,v2) (3,v3)', "$name, $mode: back again");
		roll_back($third, $how);
		is($after ? rows() : $after, $after, "$name, $mode: and forth again");
	}
}

# Step by step: what a rollback has written is no client's

foreach my $case (
	[ q{UPDATE t SET v = v || 'x'}, q{UPDATE t SET v = v || 'y' WHERE id < 3} ],
	[ q{UPDATE t SET v = v || 'x'}, 'DELETE FROM t WHERE id = 1' ],
	[ q{INSERT INTO t VALUES (4, 'four')}, q{UPDATE t SET v = 'z' WHERE id = 4} ],
	[ 'DELETE FROM t WHERE id = 1', q{INSERT INTO t VALUES (1, 'again')} ])
{
	my ($first, $second) = @$case;
	my $name = "$first, then $second";
	my ($before_first, $between, $before_second);

	begin($three);
	$before_first = migrate($first);
	$between = rows();
	$before_second = migrate($second);
	roll_back($before_second);
	is(rows(), $between, "$name: one step");
	is(query("SELECT COALESCE(sum(conflicts), 0) FROM migrate.rollback_plan('$before_first')"), 0,
		"$name: no conflict");
	roll_back($before_first);
	is(rows(), '(1,v1) (2,v2) (3,v3)', "$name: both");
}

# What clients have written between two rollbacks stays, and what a rollback has
# removed is no client's DELETE

{
	my ($before, $first);

	begin($three);
	$before = migrate('ALTER TABLE t ALTER id TYPE bigint');
	query(q{INSERT INTO t VALUES (4, 'client')});
	$first = roll_back($before, q{'as_of'});
	is(rows(), '(1,v1) (2,v2) (3,v3)', 'as_of: the row of a client is away');
	query(q{DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (5, 'later'); UPDATE t SET v = 'new' WHERE id = 2});
	roll_back($first);
	is(rows(), '(2,new) (3,v3) (4,client) (5,later)', 'and comes back, with what was done since');
	roll_back($before);
	is(rows(), '(2,new) (3,v3) (4,client) (5,later)', 'once more: rows are what clients have made them');
	is(query(q{SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'id'}),
		'integer', 'and the type is the old one');

	begin($three);
	$before = migrate('ALTER TABLE t ALTER id TYPE bigint');
	query(q{INSERT INTO t VALUES (4, 'client'); DELETE FROM t WHERE id = 3});
	$first = roll_back($before);
	is(rows(), '(1,v1) (2,v2) (4,client)', 'keep: it stays');
	query('DELETE FROM t WHERE id = 4');
	roll_back($first);
	is(rows(), '(1,v1) (2,v2)', 'and its DELETE between the rollbacks as well');
}

# Two migrations rewrite one table in one deploy: one restore point

begin($three);
query(q{SELECT migrate.register('900', NULL, $$ALTER TABLE t ALTER id TYPE bigint$$);
	SELECT migrate.register('901', NULL, $$ALTER TABLE t ALTER v TYPE varchar(30) USING v || '!'$$)});
query('CALL migrate.deploy()');
query(q{DELETE FROM t WHERE id = 3; UPDATE t SET v = 'v2!' WHERE id = 1; INSERT INTO t VALUES (4, 'v2!')});
is(query(q{SELECT sum(later_writes) FROM migrate.rollback_plan('before 900')}), 3,
	'rows that the second rewrite has stamped are no later writes');
fails(q{CALL migrate.rollback_to('before 900')},
	qr/migrations have rewritten or emptied public\.t more than once, with no restore point between, and what clients have written in between is not known/,
	'what was written between them is not known');
is(query(q{SELECT detail FROM migrate.rollback_plan('before 900') WHERE action = 'put data back'}),
	'was rewritten, by more than one migration: what clients have written between them is not known',
	'and the plan says so');
roll_back('before 900', q{on_conflict => 'keep'});
is(rows(), '(1,v2) (2,v2) (4,v2)', 'but goes on when that is said');
$version = 901;

# A rewrite that somebody types, with a restore point made by hand

begin($three);
query(q{SELECT migrate.create_restore_point('hand')});
query(q{SET safe_migrate.override = 'by hand'; ALTER TABLE t ALTER id TYPE bigint});
query(q{UPDATE t SET v = 'client' WHERE id = 2});
is(query(q{SELECT sum(later_writes) FROM migrate.rollback_plan('hand')}), 1,
	'only what was written behind it is a later write');
roll_back('hand');
is(rows(), '(1,v1) (2,client) (3,v3)', 'and is kept');

# What somebody has emptied other than by a migration is a later write

begin($three);
query(q{SELECT migrate.create_restore_point('hand')});
query('TRUNCATE t');
is(query(q{SELECT action, object, rows FROM migrate.rollback_plan('hand') WHERE action ~ 'leave'}),
	'leave emptied|public.t|3', 'TRUNCATE by hand: the plan says that it stays');
roll_back('hand');
is(rows(), '', 'and so it does');
roll_back('hand', q{'as_of'});
is(rows(), '(1,v1) (2,v2) (3,v3)', 'mode as_of brings the rows back');

# A migration rewrites a table and changes rows of it: those that clients have
# changed as well are a conflict

foreach my $migrations (
	[ q{ALTER TABLE t ALTER id TYPE bigint; UPDATE t SET v = 'X' WHERE id = 1} ],
	[ 'ALTER TABLE t ALTER id TYPE bigint', q{UPDATE t SET v = 'X' WHERE id = 1} ])
{
	my $name = @$migrations == 1 ? 'in one migration' : 'in two';
	my $before;

	begin(q{CREATE TABLE t (id int PRIMARY KEY, v text, b int DEFAULT 0); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 3) n});
	$before = migrate($migrations->[0]);
	migrate($migrations->[$_]) foreach 1 .. $#$migrations;
	query('UPDATE t SET b = 1 WHERE id = 1');
	is(query("SELECT sum(conflicts) FROM migrate.rollback_plan('$before')"), 1, "$name: the plan has the conflict");
	fails("CALL migrate.rollback_to('$before')", qr/rows .*changed .*by (?:the|a) migration/, "$name: refused");
	is(rows(), '(1,X,1) (2,v2,0) (3,v3,0)', "$name: nothing has happened");
	roll_back($before, q{on_conflict => 'keep'});
	is(rows(), '(1,X,1) (2,v2,0) (3,v3,0)', "$name: the row of the client");
}

# A restore point that was made in a transaction with a number, and that others
# have overtaken

begin($three);
{
	my $session = $node->background_psql('postgres', on_error_die => 1);

	$version++;
	$session->query_safe('BEGIN; SELECT pg_current_xact_id()');
	query('SELECT pg_current_xact_id()');
	$session->query_safe("SELECT migrate.apply('$version', \$\$UPDATE t SET v = 'oops'; ALTER TABLE t ALTER id TYPE bigint\$\$)");
	query('SELECT pg_current_xact_id()');
	$session->query_safe('COMMIT');
	$session->quit;
	roll_back("before $version");
	is(rows(), '(1,v1) (2,v2) (3,v3)', 'the transaction that made the point is undone');
}

# A strong lock on a table that has nothing to do with it: definitions cannot be
# read as long as somebody holds that

begin($three);
query('CREATE TABLE other (a int); CREATE VIEW of_other AS SELECT * FROM other');
query(q{SELECT migrate.create_restore_point('hand')});
{
	my $session = $node->background_psql('postgres', on_error_die => 1);

	query(q{SET safe_migrate.override = 'by hand'; ALTER TABLE t ADD c int});
	$session->query_safe('BEGIN; LOCK TABLE other');
	fails(q{SET safe_migrate.lock_deadline = '1s'; CALL migrate.rollback_to('hand')},
		qr/the definitions of the schema, with which those of restore point "hand" are compared, could not be read within safe_migrate\.lock_deadline \(1000 ms\)/,
		'a lock that lasts');
	my $other = $node->background_psql('postgres', on_error_stop => 0);
	$other->query_until(qr/started/, "\\echo started\nCALL migrate.rollback_to('hand');\n");
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^CALL' AND state = 'active'});
	query('SELECT pg_sleep(0.5)');
	$session->query_safe('COMMIT');
	$other->query('SELECT 1');
	$other->quit;
	$session->quit;
	is(query(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped}), 2,
		'one that ends is waited for');
}

$node->stop;

done_testing();

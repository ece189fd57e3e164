# Rollbacks to the restore point of a contract, after clients have written to the
# new shape: the old one is back with what they wrote, and the change can be
# contracted again, or cancelled.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('contract_rollback');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
fsync = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', "SET client_min_messages = 'error'; $sql");
}

# The error, or what else was told.
sub told
{
	my ($sql) = @_;
	my ($status, $output, $error) = $node->psql('postgres', $sql);

	return $error;
}

# Returns the number of the change.
sub start
{
	my ($setup, $call) = @_;
	my $id;

	query(q{DROP TABLE IF EXISTS t, t2, child CASCADE});
	query('SELECT migrate.drop_all_restore_points()');
	query($setup);
	$id = query("SELECT $call");
	query("CALL migrate.advance($id)");
	return $id;
}

# Returns the label of the restore point.
sub contract
{
	my ($id) = @_;

	return query("SELECT migrate.contract($id, force := true)");
}

sub phase
{
	my ($id) = @_;

	return query("SELECT phase FROM migrate.changes WHERE id = $id");
}

sub rows
{
	my ($query) = @_;

	return query($query) =~ s/\n/ /gr;
}

my $table = q{CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 5%s, c text);
INSERT INTO t SELECT n, n, 'c' FROM generate_series(1, 3) n; CREATE INDEX t_a ON t (a)};
my $plain = sprintf($table, '');
my $words = q{CREATE TABLE t (id int PRIMARY KEY, name text, c text);
INSERT INTO t SELECT n, 'x y' || n, 'c' FROM generate_series(1, 3) n};

# "write" is what clients do between the contract and the rollback; "rows" what
# there is then, of which "sql" also says what triggers do

my @cases = (
	{
		name => 'rename_column',
		setup => $plain,
		call => q{migrate.rename_column('t', 'a', 'b', advance => 'manual')},
		write => q{INSERT INTO t (id, b) VALUES (4, 40); UPDATE t SET b = 10 WHERE id = 1; UPDATE t SET c = 'd' WHERE id = 2},
		read => 'SELECT id, a, b, c FROM t ORDER BY id',
		before => '1|1|1|c 2|2|2|c 3|3|3|c',
		after => '1|10|10|c 2|2|2|d 3|3|3|c 4|40|40|',
		again => q{UPDATE t SET a = 7 WHERE id = 3; INSERT INTO t (id, b) VALUES (5, 50)},
		finally => '1|10|10|c 2|2|2|d 3|7|7|c 4|40|40| 5|50|50|',
		contracted => 'SELECT id, b, c FROM t ORDER BY id',
		rest => '1|10|c 2|2|d 3|7|c 4|40| 5|50|',
	},
	{
		name => 'rename_column, NOT NULL without a default',
		setup => q{CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL UNIQUE, c text);
INSERT INTO t SELECT n, n, 'c' FROM generate_series(1, 3) n},
		call => q{migrate.rename_column('t', 'a', 'b', advance => 'manual')},
		write => q{INSERT INTO t (id, b) VALUES (4, 40); UPDATE t SET b = 10 WHERE id = 1},
		read => 'SELECT id, a, b, c FROM t ORDER BY id',
		before => '1|1|1|c 2|2|2|c 3|3|3|c',
		after => '1|10|10|c 2|2|2|c 3|3|3|c 4|40|40|',
		again => q{UPDATE t SET a = 7 WHERE id = 3},
		finally => '1|10|10|c 2|2|2|c 3|7|7|c 4|40|40|',
		contracted => 'SELECT id, b, c FROM t ORDER BY id',
		rest => '1|10|c 2|2|c 3|7|c 4|40|',
	},
	{
		name => 'rename_column, partitioned',
		setup => q{CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, c text) PARTITION BY RANGE (id);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (3);
CREATE TABLE t_2 (c text, id int NOT NULL, a int NOT NULL); ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES FROM (3) TO (9);
CREATE INDEX ON t (a);
INSERT INTO t SELECT n, n, 'c' FROM generate_series(1, 3) n},
		call => q{migrate.rename_column('t', 'a', 'b', advance => 'manual')},
		write => q{INSERT INTO t (id, b) VALUES (4, 40); UPDATE t SET b = 10 WHERE id = 1},
		read => 'SELECT id, a, b, c FROM t ORDER BY id',
		before => '1|1|1|c 2|2|2|c 3|3|3|c',
		after => '1|10|10|c 2|2|2|c 3|3|3|c 4|40|40|',
		again => q{UPDATE t SET a = 7 WHERE id = 3},
		finally => '1|10|10|c 2|2|2|c 3|7|7|c 4|40|40|',
		contracted => 'SELECT id, b, c FROM t ORDER BY id',
		rest => '1|10|c 2|2|c 3|7|c 4|40|',
	},
	{
		name => 'change_type',
		setup => $plain,
		call => q{migrate.change_type('t', 'a', 'bigint', advance => 'manual')},
		write => q{INSERT INTO t (id, a) VALUES (4, 40); UPDATE t SET a = 10 WHERE id = 1; UPDATE t SET c = 'd' WHERE id = 2},
		read => 'SELECT id, a, a_new, c FROM t ORDER BY id',
		before => '1|1|1|c 2|2|2|c 3|3|3|c',
		after => '1|10|10|c 2|2|2|d 3|3|3|c 4|40|40|',
		again => q{UPDATE t SET a = 7 WHERE id = 3},
		finally => '1|10|10|c 2|2|2|d 3|7|7|c 4|40|40|',
		contracted => 'SELECT id, a, c FROM t ORDER BY id',
		rest => '1|10|c 2|2|d 3|7|c 4|40|',
	},
	(
		map { {
			name => "change_type to $_->[0]",
			setup => $plain,
			call => "migrate.change_type('t', 'a', $_->[1], advance => 'manual')",
			write => q{INSERT INTO t (id, a) VALUES (4, '40'); UPDATE t SET a = '10' WHERE id = 1},
			read => 'SELECT id, a, a_new, c FROM t ORDER BY id',
			before => '1|1|1|c 2|2|2|c 3|3|3|c',
			after => '1|10|10|c 2|2|2|c 3|3|3|c 4|40|40|',
			again => q{UPDATE t SET a = 7 WHERE id = 3},
			finally => '1|10|10|c 2|2|2|c 3|7|7|c 4|40|40|',
			contracted => 'SELECT id, a, c FROM t ORDER BY id',
			rest => '1|10|c 2|2|c 3|7|c 4|40|',
		} } [ 'numeric', q{'numeric'} ],
		[ 'text', q{'text', up => 'a', down => 'a_new::int'} ]
	),
	{
		name => 'change_type of a key',
		setup => q{CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, c text);
CREATE TABLE child (t_id int REFERENCES t);
INSERT INTO t (c) SELECT 'c' FROM generate_series(1, 3) n; INSERT INTO child SELECT id FROM t},
		call => q{migrate.change_type('t', 'id', 'bigint', advance => 'manual')},
		write => q{INSERT INTO t (c) VALUES ('new'); INSERT INTO child VALUES (4); UPDATE t SET c = 'd' WHERE id = 2},
		read => 'SELECT id, id_new, c FROM t ORDER BY id',
		before => '1|1|c 2|2|c 3|3|c',
		after => '1|1|c 2|2|d 3|3|c 4|4|new',
		again => q{INSERT INTO t (c) VALUES ('again')},
		finally => '1|1|c 2|2|d 3|3|c 4|4|new 5|5|again',
		contracted => 'SELECT id, c FROM t ORDER BY id',
		rest => '1|c 2|d 3|c 4|new 5|again',
	},
	{
		name => 'split_column',
		setup => $words,
		call => q{migrate.split_column('t', 'name', ARRAY['first', 'last'], ARRAY['text', 'text'],
			ARRAY['split_part(name, '' '', 1)', 'split_part(name, '' '', 2)'], 'first || '' '' || last', advance => 'manual')},
		write => q{INSERT INTO t (id, first, last) VALUES (4, 'A', 'B'); UPDATE t SET last = 'L' WHERE id = 1; UPDATE t SET c = 'd' WHERE id = 2},
		read => 'SELECT id, name, first, last, c FROM t ORDER BY id',
		before => '1|x y1|x|y1|c 2|x y2|x|y2|c 3|x y3|x|y3|c',
		after => '1|x L|x|L|c 2|x y2|x|y2|d 3|x y3|x|y3|c 4|A B|A|B|',
		again => q{UPDATE t SET name = 'p q' WHERE id = 3},
		finally => '1|x L|x|L|c 2|x y2|x|y2|d 3|p q|p|q|c 4|A B|A|B|',
		contracted => 'SELECT id, first, last, c FROM t ORDER BY id',
		rest => '1|x|L|c 2|x|y2|d 3|p|q|c 4|A|B|',
	},
	{
		name => 'drop_column',
		setup => $plain,
		call => q{migrate.drop_column('t', 'a', advance => 'manual')},
		write => q{INSERT INTO t (id, c) VALUES (4, 'new'); UPDATE t SET c = 'd' WHERE id = 2},
		read => 'SELECT id, a, c FROM t ORDER BY id',
		before => '1|1|c 2|2|c 3|3|c',
		after => '1|1|c 2|2|d 3|3|c 4||new',
		again => q{UPDATE t SET a = 7 WHERE id = 3},
		finally => '1|1|c 2|2|d 3|7|c 4||new',
		contracted => 'SELECT id, c FROM t ORDER BY id',
		rest => '1|c 2|d 3|c 4|new',
	},
	{
		name => 'drop_column, NOT NULL, with a value',
		setup => sprintf($table =~ s/DEFAULT 5//r, 'NOT NULL'),
		call => q{migrate.drop_column('t', 'a', value => 'id * 2', advance => 'manual')},
		write => q{INSERT INTO t (id, c) VALUES (4, 'new'); UPDATE t SET c = 'd' WHERE id = 2},
		read => 'SELECT id, a, c FROM t ORDER BY id',
		before => '1|1|c 2|2|c 3|3|c',
		after => '1|1|c 2|2|d 3|3|c 4|8|new',
		again => q{INSERT INTO t (id) VALUES (5)},
		finally => '1|1|c 2|2|d 3|3|c 4|8|new 5|10|',
		contracted => 'SELECT id, c FROM t ORDER BY id',
		rest => '1|c 2|d 3|c 4|new 5|',
	},
	{
		name => 'rename_table',
		setup => $plain,
		call => q{migrate.rename_table('t', 't2', advance => 'manual')},
		write => q{INSERT INTO t2 (id, c) VALUES (4, 'new'); UPDATE t2 SET a = 20 WHERE id = 2},
		read => 'SELECT id, a, c FROM t ORDER BY id',
		before => '1|1|c 2|2|c 3|3|c',
		after => '1|1|c 2|20|c 3|3|c 4|5|new',
		again => q{UPDATE t SET a = 7 WHERE id = 3},
		finally => '1|1|c 2|20|c 3|7|c 4|5|new',
		contracted => 'SELECT id, a, c FROM t2 ORDER BY id',
		rest => '1|1|c 2|20|c 3|7|c 4|5|new',
	},
	{
		name => 'drop_table',
		setup => $plain,
		call => q{migrate.drop_table('t', advance => 'manual')},
		write => 'SELECT 1',
		read => 'SELECT id, a, c FROM t ORDER BY id',
		before => '1|1|c 2|2|c 3|3|c',
		after => '1|1|c 2|2|c 3|3|c',
		again => q{UPDATE t SET a = 7 WHERE id = 3},
		finally => '1|1|c 2|2|c 3|7|c',
		contracted => q{SELECT to_regclass('t') IS NULL},
		rest => 't',
	});

foreach my $case (@cases)
{
	foreach my $mode ('keep', 'as_of')
	{
		my $name = "$case->{name}, $mode";
		my $id = start($case->{setup}, $case->{call});
		my $label = contract($id);

		is(phase($id), 'contracted', "$name: contracted");
		is(told("CALL migrate.rollback_to('$label', '$mode')") =~ s/^.*NOTICE:  rolled back to.*\n?//r,
			'', "$name: back at once");
		is(rows($case->{read}), $case->{before}, "$name: the rows are what they were");
		is(phase($id), 'verified', "$name: the change is verified again");

		$label = contract($id);
		query($case->{write});
		unlike(told("CALL migrate.rollback_to('$label', '$mode')"), qr/ERROR/,
			"$name: back after clients have written");
		is(rows($case->{read}), $case->{after}, "$name: with what they wrote");
		query($case->{again});
		is(rows($case->{read}), $case->{finally}, "$name: and both shapes can be written");
		is(query(q{SELECT count(*) FROM pg_trigger t WHERE tgname ~ 'safe_migrate_change' AND tgparentid = 0
				AND (tgenabled <> 'A' OR NOT EXISTS (SELECT FROM pg_depend d
					WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refobjid = 'migrate.dual_write'::regproc))}),
			0, "$name: the trigger is what it was");

		query("CALL migrate.rollback_to('" . query(q{SELECT label FROM migrate.restore_points
			WHERE kind = 'rollback' ORDER BY created_at DESC LIMIT 1}) . "')");
		is(phase($id), 'contracted', "$name: the rollback is taken back");
		query("CALL migrate.rollback_to('$label', '$mode')");
		is(phase($id), 'verified', "$name: and once more");

		contract($id);
		is(rows($case->{contracted}), $case->{rest}, "$name: contracted for good");
	}
}

# After a rollback it can be cancelled: nothing that was written is lost

{
	my $id = start($plain, q{migrate.rename_column('t', 'a', 'b', advance => 'manual')});
	my $label = contract($id);

	query('INSERT INTO t (id, b) VALUES (4, 40); UPDATE t SET b = 10 WHERE id = 1');
	like(told("CALL migrate.rollback_to('$label')"),
		qr/NOTICE:  2 rows of public\.t that were written since the contract have got their values of a/,
		'what was written is told');
	query("SELECT migrate.cancel($id)");
	$node->poll_query_until('postgres', "SELECT state = 'cancelled' FROM migrate.changes WHERE id = $id")
	  or die 'timed out';
	is(rows('SELECT * FROM t ORDER BY id'), '1|10|c 2|2|c 3|3|c 4|40|', 'cancelled: the old shape has all');
}

# Without an expression for the old shape nobody knows its values

{
	my $id = start(
		$words, q{migrate.split_column('t', 'name', ARRAY['first'], ARRAY['text'],
		ARRAY['split_part(name, '' '', 1)'], advance => 'manual')});
	my $label = contract($id);

	query(q{INSERT INTO t (id, first) VALUES (4, 'A'); UPDATE t SET first = 'B' WHERE id = 1});
	like(told("CALL migrate.rollback_to('$label')"),
		qr/WARNING:  2 rows of public\.t that were written since the contract do not have their values of name/,
		'no way back: it is told');
	is(rows('SELECT id, name, first FROM t ORDER BY id'), '1|x y1|B 2|x y2|x 3|x y3|x 4||A', 'and they stay');
}

# A value that the old type cannot have

{
	my $id = start($plain, q{migrate.change_type('t', 'a', 'bigint', advance => 'manual')});
	my $label = contract($id);

	query('UPDATE t SET a = 5000000000 WHERE id = 1');
	like(told("CALL migrate.rollback_to('$label')"), qr/integer out of range/, 'a value that does not fit is refused');
	is(rows('SELECT id, a FROM t ORDER BY id'), '1|5000000000 2|2 3|3', 'and nothing has happened');
	is(phase($id), 'contracted', 'the change neither');
}

# To a point before the start: the change is gone, and can be cancelled

{
	my $id;

	query('DROP TABLE t');
	query($plain);
	query(q{SELECT migrate.create_restore_point('before the start')});
	$id = query(q{SELECT migrate.rename_column('t', 'a', 'b', advance => 'manual')});
	query("CALL migrate.advance($id)");
	query(q{INSERT INTO t (id, b) VALUES (4, 40)});
	unlike(told(q{CALL migrate.rollback_to('before the start')}), qr/ERROR/, 'back before the start');
	is(rows('SELECT * FROM t ORDER BY id'), '1|1|c 2|2|c 3|3|c 4|40|', 'the old shape has all');
	query("SELECT migrate.cancel($id)");
	$node->poll_query_until('postgres', "SELECT state = 'cancelled' FROM migrate.changes WHERE id = $id")
	  or die 'timed out';
	is(rows('SELECT * FROM t ORDER BY id'), '1|1|c 2|2|c 3|3|c 4|40|', 'cancelled');
}

# From behind its contract that would lose what clients wrote

{
	my ($id, $label);

	query('DROP TABLE t');
	query($plain);
	query(q{SELECT migrate.create_restore_point('long before')});
	$id = query(q{SELECT migrate.rename_column('t', 'a', 'b', advance => 'manual')});
	query("CALL migrate.advance($id)");
	$label = contract($id);
	query(q{INSERT INTO t (id, b) VALUES (4, 40)});
	like(told(q{CALL migrate.rollback_to('long before')}),
		qr/online change $id of public\.t was started and contracted since, .*: CALL migrate\.rollback_to\('$label'\) first/,
		'back over start and contract: refused');
	query("CALL migrate.rollback_to('$label')");
	query(q{CALL migrate.rollback_to('long before')});
	is(rows('SELECT * FROM t ORDER BY id'), '1|1|c 2|2|c 3|3|c 4|40|', 'in two steps nothing is lost');
}

# A key that only the server gives

for my $mode ('keep', 'as_of')
{
	my $label;
	my $id = start(q{
		CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n text);
		INSERT INTO t (n) VALUES ('x'), ('y')},
		q{migrate.change_type('t', 'id', 'bigint', advance => 'manual')});

	$label = contract($id);
	query(q{INSERT INTO t (n) VALUES ('z')}) if $mode eq 'keep';
	is(told("CALL migrate.rollback_to('$label', mode => '$mode')") =~ /ERROR/, '', "GENERATED ALWAYS, $mode: no error");
	is(rows('SELECT id, n FROM t ORDER BY id'), $mode eq 'keep' ? '1|x 2|y 3|z' : '1|x 2|y', 'the rows');
	is(rows(q{SELECT attname, atttypid::regtype, attidentity FROM pg_attribute
		WHERE attrelid = 't'::regclass AND attname LIKE 'id%' ORDER BY 1}),
		'id|integer|a id_new|bigint|', 'it is given by the server again');
}

# What the old shape cannot tell is refused, or follows it where that was agreed

{
	my $id = start(q{
		CREATE TABLE t (id int PRIMARY KEY, a int);
		INSERT INTO t VALUES (1, 1)},
		q{migrate.change_type('t', 'a', 'numeric', advance => 'manual')});
	my $label = contract($id);

	query('INSERT INTO t VALUES (2, 1.5), (3, 3)');
	like(told("CALL migrate.rollback_to('$label')"),
		qr/ERROR: .*1 rows of public\.t that were written since the contract have values that a could not tell/,
		'a value that would be rounded');
	is(rows('SELECT id, a FROM t ORDER BY id'), '1|1 2|1.5 3|3', 'is kept');
	query('UPDATE t SET a = 2 WHERE id = 2');
	query("CALL migrate.rollback_to('$label')");
	is(rows('SELECT id, a, a_new FROM t ORDER BY id'), '1|1|1 2|2|2 3|3|3', 'once it is another one, both shapes are there');

	$id = start(q{
		CREATE TABLE t (id int PRIMARY KEY, a int);
		INSERT INTO t VALUES (1, 1)},
		q{migrate.change_type('t', 'a', 'numeric', on_conflict => 'old', advance => 'manual')});
	$label = contract($id);
	query('INSERT INTO t VALUES (2, 1.5)');
	query("CALL migrate.rollback_to('$label')");
	is(rows('SELECT id, a, a_new FROM t ORDER BY id'), '1|1|1 2|2|2', 'the old side wins');
}

# A value of another type than the column that is filled with it

{
	my $id = start(q{
		CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL);
		INSERT INTO t VALUES (1, 'x')},
		q{migrate.drop_column('t', 'code', value => 'id', advance => 'manual')});
	my $label = contract($id);

	query('INSERT INTO t (id) VALUES (2)');
	query("CALL migrate.rollback_to('$label')");
	is(rows('SELECT id, code FROM t ORDER BY id'), '1|x 2|2', 'is assigned to it');
}

# What belongs to the owner is run with no other rights than his own

{
	my ($id, $label);

	query(q{DROP TABLE t; CREATE ROLE tenant; CREATE SCHEMA tenant AUTHORIZATION tenant;
		CREATE TABLE public.seen (role text); GRANT INSERT ON public.seen TO PUBLIC});
	query(q{SET ROLE tenant; SET search_path = tenant;
		CREATE FUNCTION is_fine(text) RETURNS boolean LANGUAGE plpgsql AS
			$$BEGIN INSERT INTO public.seen VALUES (current_user); RETURN true; END$$;
		CREATE DOMAIN checked AS text CHECK (tenant.is_fine(value));
		CREATE TABLE owned (id int PRIMARY KEY, a text);
		INSERT INTO owned VALUES (1, 'x')});
	$id = query(q{SET ROLE tenant; SET search_path = tenant;
		SELECT migrate.change_type('owned', 'a', 'varchar(50)',
			up => $$CASE WHEN a = ANY ('{x}'::checked[]::text[]) THEN a ELSE a END$$, down => 'a_new', advance => 'manual')});
	query("SET ROLE tenant; CALL migrate.advance($id)");
	$label = query("SET ROLE tenant; SELECT migrate.contract($id, force := true)");
	query(q{SET ROLE tenant; INSERT INTO tenant.owned VALUES (2, 'y')});
	query("CALL migrate.rollback_to('$label')");
	is(rows('SELECT id, a FROM tenant.owned ORDER BY id'), '1|x 2|y', 'a superuser takes the contract of another one back');
	is(rows('SELECT DISTINCT role FROM public.seen'), 'tenant', 'whose functions have run with his rights alone');
}

$node->stop;

done_testing();

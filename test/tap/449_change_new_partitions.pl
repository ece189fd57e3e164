# Partitions that are created, attached and filled while a column is being changed:
# the contract carries them as if they had been there from the start.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('change_new_partitions');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate; CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other SELECT generate_series(0, 9)');

sub run_sql
{
	my ($sql, $what) = @_;
	my ($status, $out, $error) = $node->psql('postgres', $sql);

	is($status, 0, $what // $sql) or diag($error);
	return $out;
}

# the same for the table under change, and for one that is renamed at once
sub partitions
{
	my ($schema, @names) = @_;
	my %all = (
		1 => "CREATE TABLE $schema.t_1 PARTITION OF $schema.t FOR VALUES FROM (0) TO (1000);",
		2 => "CREATE TABLE $schema.t_2 PARTITION OF $schema.t FOR VALUES FROM (1000) TO (2000);",
		3 => "CREATE TABLE $schema.t_3 (LIKE $schema.t INCLUDING ALL); ALTER TABLE $schema.t ATTACH PARTITION $schema.t_3 FOR VALUES FROM (2000) TO (3000);",
		4 => "CREATE TABLE $schema.t_4 PARTITION OF $schema.t FOR VALUES FROM (3000) TO (4000);",
		5 => "CREATE TABLE $schema.t_5 PARTITION OF $schema.t FOR VALUES FROM (4000) TO (5000) PARTITION BY HASH (id);
			CREATE TABLE $schema.t_5_1 PARTITION OF $schema.t_5 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
			CREATE TABLE $schema.t_5_2 PARTITION OF $schema.t_5 FOR VALUES WITH (MODULUS 2, REMAINDER 1);",
		9 => "CREATE TABLE $schema.t_9 PARTITION OF $schema.t FOR VALUES FROM (9000) TO (9500) PARTITION BY HASH (id);
			CREATE TABLE $schema.t_9_1 PARTITION OF $schema.t_9 FOR VALUES WITH (MODULUS 1, REMAINDER 0);",
		7 => "CREATE TABLE $schema.t_7 PARTITION OF $schema.t FOR VALUES FROM (7000) TO (8000);",
		8 => "CREATE TABLE $schema.t_8 PARTITION OF $schema.t FOR VALUES FROM (8000) TO (9000);");

	return join("\n", map { $all{$_} } @names);
}

sub table
{
	my ($schema, $keys) = @_;

	return "CREATE SCHEMA $schema;
		CREATE TABLE $schema.t (id int, a int NOT NULL DEFAULT 3 CHECK (a > -2), $keys) PARTITION BY RANGE (id);
		CREATE INDEX ON $schema.t (a);
		CREATE INDEX lower_part ON $schema.t ((a + 1)) WHERE a > 0;
		ALTER TABLE $schema.t ADD FOREIGN KEY (a) REFERENCES other;
		CREATE VIEW $schema.v AS SELECT id, a FROM $schema.t;";
}

# all but the order of the columns
sub shape
{
	my ($schema) = @_;

	return run_sql(qq{
		SELECT replace(pg_get_indexdef(indexrelid), '$schema.', '') || ' ' || indisvalid || ' '
			|| coalesce((SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = indexrelid), '-')
		FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relnamespace = '$schema'::regnamespace
		UNION ALL
		SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated || ' ' || (conparentid > 0)
		FROM pg_constraint WHERE connamespace = '$schema'::regnamespace
		UNION ALL
		SELECT attrelid::regclass || ' ' || attname || ' ' || attnotnull || ' ' || format_type(atttypid, atttypmod)
		FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
		WHERE relnamespace = '$schema'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
		UNION ALL
		SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
		WHERE relnamespace = '$schema'::regnamespace AND NOT tgisinternal
		ORDER BY 1}, "$schema: its shape") =~ s/\b$schema\.//gr;
}

my @calls = (
	[ 'PRIMARY KEY (id), UNIQUE (a, id)', 'renamed', q{migrate.rename_column('%s.t', 'a', 'b', advance => 'manual')}, 'b',
		'ALTER TABLE %s.t RENAME a TO b' ],
	[ 'PRIMARY KEY (a, id)', 'retyped',
		q{migrate.change_type('%s.t', 'a', 'bigint', new_name => 'b', advance => 'manual')}, 'a',
		'DROP VIEW %1$s.v; ALTER TABLE %1$s.t ALTER a TYPE bigint; CREATE VIEW %1$s.v AS SELECT id, a FROM %1$s.t' ]);

foreach my $case (@calls)
{
	my ($keys, $name, $call, $column, $plain) = @$case;
	my $twin = "${name}_twin";

	run_sql('SET safe_migrate.mode = off; ' . table($name, $keys) . partitions($name, 1, 7, 8), "$name: a table");
	run_sql("DROP VIEW $name.v") if $name eq 'retyped';
	run_sql("INSERT INTO $name.t (id, a) SELECT g, g % 10 FROM generate_series(0, 999) g", "$name: rows");
	my $id = run_sql('SELECT ' . sprintf($call, $name), "$name: starts");

	# one before it is filled, of which one comes with rows
	run_sql('SET safe_migrate.mode = off; ' . partitions($name, 2, 3, 9), "$name: new partitions before the backfill");
	run_sql("INSERT INTO $name.t (id, a) SELECT g, g % 10 FROM generate_series(1000, 1999) g", "$name: more rows");
	run_sql("SET safe_migrate.mode = off; DROP TABLE $name.t_7; ALTER TABLE $name.t DETACH PARTITION $name.t_8", "$name: and some that go");
	run_sql("CALL migrate.advance($id)", "$name: advances");
	run_sql("SET safe_migrate.mode = off; DROP TABLE $name.t_8", "$name: what was detached is dropped");

	# and some behind that
	run_sql('SET safe_migrate.mode = off; ' . partitions($name, 4, 5), "$name: new partitions behind the backfill");
	run_sql("INSERT INTO $name.t (id, a) SELECT g, g % 10 FROM generate_series(3000, 4999) g", "$name: rows of old clients");
	run_sql("UPDATE $name.t SET b = 7 WHERE id = 4500", "$name: and of new ones");
	run_sql("SELECT migrate.contract($id, force := true)", "$name: contracts");
	is(run_sql("SELECT count(*), count($column), sum($column) FILTER (WHERE id <> 4500), max($column) FILTER (WHERE id = 4500) FROM $name.t"),
		'4000|4000|18000|7', "$name: each row has its value");

	run_sql('SET safe_migrate.mode = off; ' . table($twin, $keys) . partitions($twin, 1, 2, 3, 4, 5, 9), "$name: a twin");
	run_sql('SET safe_migrate.mode = off; ' . sprintf($plain, $twin), "$name: and its change");
	run_sql("DROP VIEW $twin.v") if $name eq 'retyped';
	is(shape($name), shape($twin), "$name: it looks as after a plain change");
	run_sql(partitions($name, 3) =~ s/t_3/t_6/gr =~ s/2000/6000/r =~ s/3000/7000/r, "$name: a partition can be added then");
}

# a partition with rows of its own that comes behind the backfill
run_sql(q{
CREATE TABLE p (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
INSERT INTO p SELECT g, g FROM generate_series(0, 999) g;
CREATE TABLE p_2 (id int, a int, b int);
INSERT INTO p_2 SELECT g, g FROM generate_series(1000, 1999) g;}, 'a table and a partition to be');
my $id = run_sql(q{SELECT migrate.rename_column('p', 'a', 'b', advance => 'manual')}, 'it starts');
run_sql("CALL migrate.advance($id)", 'it advances');
run_sql('SET safe_migrate.mode = off; ALTER TABLE p ATTACH PARTITION p_2 FOR VALUES FROM (1000) TO (2000)', 'it is attached');
my ($status, $out, $error) = $node->psql('postgres', "SELECT migrate.contract($id, force := true)");
isnt($status, 0, 'the contract is refused');
like($error, qr/public\.p_2 became a part of public\.p with rows that were not filled: CALL migrate\.backfill\('public\.p_2'/,
	'and says what is to be done');
my ($remedy) = $error =~ /not filled: (CALL .*\)) first/;
run_sql($remedy, 'which can be done as it is said');

# one that was filled, and is written to while it is no partition
run_sql('SET safe_migrate.mode = off; ALTER TABLE p DETACH PARTITION p_1; UPDATE p_1 SET a = a + 1, id = id WHERE id = 7;
	INSERT INTO p_1 (id, a) VALUES (998, 998); ALTER TABLE p ATTACH PARTITION p_1 FOR VALUES FROM (0) TO (1000)', 'another one comes back');
($status, $out, $error) = $node->psql('postgres', "SELECT migrate.contract($id, force := true)");
like($error, qr/public\.p_1 became a part of public\.p with rows that were not filled/, 'the contract is refused again');
($remedy) = $error =~ /not filled: (CALL .*\)) first/;
run_sql('UPDATE p SET a = 7 WHERE a = 8 AND id = 7; DELETE FROM p WHERE id = 998 AND ctid = (SELECT min(ctid) FROM p WHERE id = 998)');
run_sql($remedy, 'which can be done as well');
run_sql("SELECT migrate.contract($id, force := true)", 'it contracts then');
is(run_sql('SELECT count(*) FROM p WHERE b = id'), '2000', 'each row has its value');

$node->stop;
done_testing();

# Restore points and what later versions of PostgreSQL have: expressions that
# change (17), NOT NULL as a constraint, virtual columns, constraints that are not
# enforced, and keys of periods (18); besides, foreign keys to partitions.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('later');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
autovacuum = off
fsync = off
});
$node->start;
my $major = $node->safe_psql('postgres', q{SELECT current_setting('server_version_num')::int / 10000});

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# What went wrong, or nothing.
sub failure
{
	my ($sql) = @_;
	my ($out, $err);

	return '' if $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 1,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]) == 0;
	return $err;
}

# All that a schema consists of.
sub definitions
{
	my ($schema) = @_;

	return query(qq{
SELECT conrelid::regclass, conname, contype, convalidated, to_jsonb(c)->>'conenforced', pg_get_constraintdef(oid)
FROM pg_constraint c WHERE connamespace = '$schema'::regnamespace ORDER BY 1, 2;
SELECT attrelid::regclass, attnum, attname, atttypid::regtype, attnotnull, attgenerated, attidentity,
	pg_get_expr(adbin, adrelid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum JOIN pg_class t ON t.oid = attrelid
WHERE relnamespace = '$schema'::regnamespace AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p') ORDER BY 1, 2;
SELECT tgrelid::regclass, tgfoid::regproc, tgtype FROM pg_trigger g JOIN pg_class t ON t.oid = tgrelid
WHERE relnamespace = '$schema'::regnamespace AND tgfoid <> 'migrate.carry_dropped_columns'::regproc ORDER BY 1, 2, 3;
SELECT indrelid::regclass, pg_get_indexdef(indexrelid), indisvalid FROM pg_index i JOIN pg_class t ON t.oid = indrelid
WHERE relnamespace = '$schema'::regnamespace ORDER BY 1, 2});
}

my $rows = 'INSERT INTO t (id, a) SELECT g, g FROM generate_series(1, 100) g;';
my $partitions = q{
CREATE TABLE parent (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parent1 PARTITION OF parent FOR VALUES FROM (0) TO (50);
CREATE TABLE parent2 PARTITION OF parent FOR VALUES FROM (50) TO (1000);
INSERT INTO parent SELECT g FROM generate_series(0, 200) g;
CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT to_parent REFERENCES parent);
} . $rows;
my $periods = q{
CREATE TABLE t (id int4range, a int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
INSERT INTO t SELECT int4range(g, g + 1), g, daterange('2020-01-01', '2021-01-01') FROM generate_series(1, 100) g;
INSERT INTO t SELECT int4range(g, g + 1), g, daterange('2021-01-01', NULL) FROM generate_series(1, 100) g;
};

#     name      for messages
#     from      the first version that has it
#     setup     what there is at the label
#     changes   migrations, each with what clients write after it
#     refused   why it cannot be rolled back
#     mend      what the client does about that
#     shows     a query, and its answer afterwards
#     fails     statements that must fail afterwards
#     carried   how many tables are to have the trigger for dropped columns
my @cases = (
	{
		name => 'a foreign key to a partitioned table',
		setup => $partitions,
		changes => [ [ 'ALTER TABLE t DROP CONSTRAINT to_parent', 'INSERT INTO t VALUES (101, 60)' ] ],
		shows => [ 'SELECT count(*) FROM t', 101 ],
		fails => [ 'INSERT INTO t VALUES (102, 5000)', 'DELETE FROM parent WHERE id = 60' ]
	},
	{
		name => 'a foreign key to a partitioned table, an orphan',
		setup => $partitions,
		changes => [ [ 'ALTER TABLE t DROP CONSTRAINT to_parent', 'INSERT INTO t VALUES (101, 5000)' ] ],
		refused => qr/ERROR:  23503: .*"to_parent"/,
		mend => 'DELETE FROM t WHERE id = 101',
		shows => [ 'SELECT count(*) FROM t', 100 ]
	},
	{
		name => 'a foreign key of a partitioned table to itself',
		setup => q{
CREATE TABLE t (id int PRIMARY KEY, a int REFERENCES t DEFERRABLE) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (50);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (50) TO (1000);
} . $rows,
		changes => [ [ 'ALTER TABLE t DROP COLUMN a', 'INSERT INTO t VALUES (101)' ],
			[ 'UPDATE t SET id = id + 200 WHERE id < 10', '' ] ],
		shows => [ 'SELECT count(*), sum(a), sum(id) FROM t', '101|5050|5151' ],
		fails => ['INSERT INTO t VALUES (102, 5000)'],
		carried => 2
	},
	{
		name => 'another expression',
		from => 17,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED); $rows",
		changes => [ [ 'ALTER TABLE t ALTER g SET EXPRESSION AS (a * 3)', 'INSERT INTO t VALUES (101, 101)' ] ],
		shows => [ 'SELECT count(*), bool_and(g = a * 2) FROM t', '101|t' ]
	},
	{
		name => 'another expression after VACUUM FULL',
		from => 17,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED); $rows",
		changes => [ [ 'SELECT 1', 'VACUUM FULL t' ],
			[ 'ALTER TABLE t ALTER g SET EXPRESSION AS (a * 3)', 'INSERT INTO t VALUES (101, 101)' ] ],
		shows => [ 'SELECT count(*), bool_and(g = a * 2) FROM t', '101|t' ]
	},
	{
		name => 'a generated column and VACUUM FULL',
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED); $rows",
		changes => [ [ 'ALTER TABLE t ADD COLUMN n int', 'VACUUM FULL t' ] ],
		shows => [ 'SELECT count(*), bool_and(g = a * 2) FROM t', '100|t' ]
	},
	{
		name => 'rows that are changed where the table is rewritten',
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int); $rows",
		changes => [ [ 'ALTER TABLE t ADD n float DEFAULT random(); UPDATE t SET a = -a WHERE id < 10',
			'INSERT INTO t VALUES (101, 101); UPDATE t SET a = 7 WHERE id = 33' ] ],
		shows => [ 'SELECT count(*), sum(a) FROM t', '101|5125' ]
	},
	{
		name => 'rows that are changed, then VACUUM FULL, then another type',
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, b int); $rows",
		changes => [ [ 'UPDATE t SET a = -a WHERE id < 10; DELETE FROM t WHERE id = 20', 'VACUUM FULL t' ],
			[ 'ALTER TABLE t ALTER b TYPE bigint', 'UPDATE t SET a = 7 WHERE id = 33' ] ],
		shows => [ 'SELECT count(*), sum(a) FROM t', '100|5024' ]
	},
	{
		name => 'NOT NULL of a column, and rows without',
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL); $rows",
		changes => [ [ 'ALTER TABLE t ALTER a DROP NOT NULL', 'INSERT INTO t VALUES (101, NULL); ALTER DATABASE postgres SET constraint_exclusion = on' ] ],
		refused => qr/ERROR:  SM007: cannot roll back: 1 rows of s\d+\.t have no value in column a, which was NOT NULL: .*fulfil a IS NULL/,
		mend => 'UPDATE t SET a = 0 WHERE a IS NULL',
		shows => [ 'SELECT count(*) FROM t', 101 ],
		fails => ['INSERT INTO t VALUES (102, NULL)']
	},
	{
		name => 'bounds of a partition, and rows outside',
		setup => q{
CREATE TABLE t (id int PRIMARY KEY, a int) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (50);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (50) TO (1000);
} . $rows,
		changes => [ [ 'ALTER TABLE t DETACH PARTITION t1', 'INSERT INTO t1 VALUES (70, 1)' ] ],
		refused => qr/ERROR:  SM007: cannot roll back: 1 rows of s\d+\.t1 are outside of the bounds/,
		mend => 'DELETE FROM t1 WHERE id = 70',
		shows => [ 'SELECT count(*) FROM t', 100 ]
	},
	{
		name => 'identity in partitions',
		from => 17,
		setup => q{
CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a int) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (50);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (50) TO (1000);
} . $rows,
		changes => [ [ 'ALTER TABLE t ALTER id DROP IDENTITY; ALTER TABLE t DETACH PARTITION t2', 'INSERT INTO t1 VALUES (0, 0)' ] ],
		shows => [ q{SELECT count(*), count(DISTINCT pg_get_serial_sequence(x, 'id')) FROM t, (VALUES ('t'), ('t1'), ('t2')) v (x)}, '303|1' ]
	},
	{
		name => 'NOT NULL, and rows without',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT there NOT NULL); $rows",
		changes => [ [ 'ALTER TABLE t DROP CONSTRAINT there', 'INSERT INTO t VALUES (101, NULL)' ],
			[ 'ALTER TABLE t ADD CONSTRAINT there NOT NULL a NOT VALID', '' ] ],
		refused => qr/ERROR:  SM007: cannot roll back: 1 rows of s\d+\.t have no value in column a, which was NOT NULL/,
		mend => 'UPDATE t SET a = 0 WHERE a IS NULL',
		shows => [ 'SELECT count(*) FROM t', 101 ],
		fails => ['INSERT INTO t VALUES (102, NULL)']
	},
	{
		name => 'NOT NULL under another name',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT there NOT NULL); $rows",
		changes => [ [ 'ALTER TABLE t RENAME CONSTRAINT there TO elsewhere; ALTER TABLE t RENAME a TO b; ALTER TABLE t ALTER CONSTRAINT elsewhere NO INHERIT', 'INSERT INTO t VALUES (101, 1)' ] ],
		shows => [ 'SELECT count(*) FROM t', 101 ]
	},
	{
		name => 'NOT NULL that was not valid',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int); $rows INSERT INTO t VALUES (0, NULL); ALTER TABLE t ADD CONSTRAINT there NOT NULL a NOT VALID;",
		changes => [ [ 'ALTER TABLE t DROP CONSTRAINT there; ALTER TABLE t RENAME a TO b', 'INSERT INTO t VALUES (101, 1)' ] ],
		shows => [ 'SELECT count(*), count(a) FROM t', '102|101' ],
		fails => ['INSERT INTO t VALUES (102, NULL)']
	},
	{
		name => 'NOT NULL that is valid by now',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int); $rows INSERT INTO t VALUES (0, NULL); ALTER TABLE t ADD CONSTRAINT there NOT NULL a NOT VALID;",
		changes => [ [ 'UPDATE t SET a = 0 WHERE a IS NULL; ALTER TABLE t VALIDATE CONSTRAINT there', 'INSERT INTO t VALUES (101, 1)' ] ],
		shows => [ 'SELECT count(*), count(a) FROM t', '102|101' ],
		fails => ['INSERT INTO t VALUES (102, NULL)']
	},
	{
		name => 'NOT NULL of a column that is dropped, in another file',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int); $rows",
		changes => [ [ 'ALTER TABLE t DROP COLUMN a, ALTER id TYPE bigint', 'INSERT INTO t VALUES (101, 1)' ] ],
		refused => qr/ERROR:  (23502: null value in column "a"|SM007)/,
		mend => 'DELETE FROM t WHERE id = 101',
		shows => [ 'SELECT count(*), count(a) FROM t', '100|100' ]
	},
	{
		name => 'NOT NULL by inheritance',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL); CREATE TABLE child () INHERITS (t); $rows INSERT INTO child VALUES (1, 1);",
		changes => [ [ 'ALTER TABLE t ALTER a DROP NOT NULL', 'INSERT INTO child VALUES (2, NULL)' ] ],
		refused => qr/ERROR:  SM007: cannot roll back: 1 rows of s\d+\.child have no value in column a/,
		mend => 'DELETE FROM child WHERE a IS NULL',
		shows => [ 'SELECT count(*) FROM t', '101' ],
		fails => ['INSERT INTO child VALUES (102, NULL)']
	},
	{
		name => 'a virtual column is dropped',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) VIRTUAL CHECK (g < 1000), b text DEFAULT 'b'); $rows",
		changes => [ [ 'ALTER TABLE t DROP COLUMN g', 'INSERT INTO t VALUES (101, 101); UPDATE t SET a = 7 WHERE id = 3' ] ],
		shows => [ 'SELECT count(*), bool_and(g = a * 2), sum(a) FROM t', '101|t|5155' ],
		fails => ['INSERT INTO t VALUES (102, 5000)']
	},
	{
		name => 'a virtual column is dropped, and a row it refuses',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) VIRTUAL CONSTRAINT low CHECK (g < 1000)); $rows",
		changes => [ [ 'ALTER TABLE t DROP COLUMN g', 'INSERT INTO t VALUES (101, 5000)' ] ],
		refused => qr/ERROR:  23514: check constraint "low" of relation "t" is violated/,
		mend => 'DELETE FROM t WHERE id = 101',
		shows => [ 'SELECT count(*), bool_and(g = a * 2) FROM t', '100|t' ]
	},
	{
		name => 'a virtual column that must not be NULL',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (nullif(a, 0)) VIRTUAL NOT NULL); $rows",
		changes => [ [ 'ALTER TABLE t ALTER g DROP NOT NULL', 'INSERT INTO t VALUES (101, 0)' ] ],
		refused => qr/ERROR:  SM007: cannot roll back: 1 rows of s\d+\.t have no value in column g/,
		mend => 'DELETE FROM t WHERE id = 101',
		shows => [ 'SELECT count(*), bool_and(g = a) FROM t', '100|t' ]
	},
	{
		name => 'virtual columns are new',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int); $rows",
		changes => [ [ 'ALTER TABLE t ADD g int GENERATED ALWAYS AS (a * 2) VIRTUAL, ADD n int DEFAULT 5, ADD s int GENERATED ALWAYS AS (a + 1) STORED; UPDATE t SET a = -a WHERE id < 10',
			'INSERT INTO t VALUES (101, 101); UPDATE t SET a = 7 WHERE id = 33' ] ],
		shows => [ 'SELECT count(*), sum(a) FROM t', '101|5125' ]
	},
	{
		name => 'a virtual column with another expression, and another type beside it',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) VIRTUAL, b int); $rows",
		changes => [ [ 'ALTER TABLE t ALTER g SET EXPRESSION AS (a * 3), ALTER b TYPE bigint', 'INSERT INTO t VALUES (101, 101); UPDATE t SET a = 7 WHERE id = 3' ] ],
		shows => [ 'SELECT count(*), bool_and(g = a * 2), sum(a) FROM t', '101|t|5155' ]
	},
	{
		name => 'a virtual column and VACUUM FULL',
		from => 18,
		setup => "CREATE TABLE t (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) VIRTUAL); $rows",
		changes => [ [ 'ALTER TABLE t ADD COLUMN n int', 'VACUUM FULL t; INSERT INTO t VALUES (101, 101)' ] ],
		shows => [ 'SELECT count(*), bool_and(g = a * 2) FROM t', '101|t' ]
	},
	{
		name => 'constraints are not enforced any more',
		from => 18,
		setup => "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 100); CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT to_parent REFERENCES parent); $rows",
		changes => [ [ 'ALTER TABLE t ALTER CONSTRAINT to_parent NOT ENFORCED', 'INSERT INTO t VALUES (101, 5000)' ] ],
		refused => qr/ERROR:  23503: .*"to_parent"/,
		mend => 'DELETE FROM t WHERE id = 101',
		shows => [ 'SELECT count(*) FROM t', 100 ],
		fails => [ 'INSERT INTO t VALUES (102, 5000)', 'DELETE FROM parent WHERE id = 60' ]
	},
	{
		name => 'constraints are enforced now',
		from => 18,
		setup => "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 100); CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT to_parent REFERENCES parent NOT ENFORCED, CONSTRAINT low CHECK (a < 50) NOT ENFORCED); $rows INSERT INTO t VALUES (0, 0);",
		changes => [ [ 'DELETE FROM t WHERE a = 0; ALTER TABLE t ALTER CONSTRAINT to_parent ENFORCED, DROP CONSTRAINT low', 'INSERT INTO t VALUES (101, 7)' ] ],
		shows => [ 'SELECT count(*) FROM t', 102 ]
	},
	{
		name => 'a key of periods is dropped',
		from => 18,
		setup => $periods,
		changes => [ [ 'ALTER TABLE t DROP CONSTRAINT t_pkey; DELETE FROM t WHERE a < 10', q{INSERT INTO t VALUES ('[500,500]', 500, daterange('2020-01-01', '2021-01-01'))} ] ],
		shows => [ 'SELECT count(*), sum(a) FROM t', '201|10600' ],
		fails => [q{INSERT INTO t VALUES ('[500,500]', 500, daterange('2020-06-01', '2021-01-01'))}]
	},
	{
		name => 'rows of a table with a key of periods, in another file',
		from => 18,
		setup => $periods,
		changes => [ [ q{UPDATE t SET a = 0 WHERE a < 10; DELETE FROM t WHERE a = 20; INSERT INTO t VALUES ('[600,600]', 600, 'empty'::daterange + daterange('2020-01-01', '2021-01-01'))},
				q{INSERT INTO t VALUES ('[500,500]', 500, daterange('2020-01-01', '2021-01-01'))} ],
			[ 'ALTER TABLE t ALTER a TYPE bigint', q{UPDATE t SET a = 501 WHERE a = 500} ] ],
		shows => [ 'SELECT count(*), sum(a) FROM t', '201|10601' ]
	},
);

sub in_schema
{
	my ($schema, $sql) = @_;

	return map { failure("SET client_min_messages = error; SET search_path = $schema; $_") }
	  $sql =~ /VACUUM/ ? split(/;/, $sql) : $sql;
}

query('CREATE EXTENSION safe_migrate');
my $number = 0;
my $wanted = $ENV{SAFE_MIGRATE_ROLLBACK} // '';
for my $case (@cases)
{
	my $name = $case->{name};
	my $schema = 's' . ++$number;

	next if $major < ($case->{from} // 0) || $name !~ /$wanted/;
	query("CREATE SCHEMA $schema");
	is(join('', in_schema($schema, $case->{setup})), '', "$name: set up");
	my $before = definitions($schema);
	query("SELECT migrate.create_restore_point('label$number')");
	my $step = 0;
	for my $change (@{ $case->{changes} })
	{
		my ($migration, $writes) = @$change;

		$step++;
		is(failure("SELECT migrate.apply('$number.$step', \$body\$SET search_path = $schema; $migration\$body\$)"),
			'', "$name: migrated");
		is(join('', in_schema($schema, $writes)), '', "$name: written to");
	}
	is(query(qq{SELECT count(*) FROM pg_trigger g JOIN pg_class t ON t.oid = tgrelid
			WHERE tgfoid = 'migrate.carry_dropped_columns'::regproc AND relnamespace = '$schema'::regnamespace}),
		$case->{carried}, "$name: what is carried")
	  if defined $case->{carried};
	if ($case->{refused})
	{
		like(failure("CALL migrate.rollback_to('label$number')"), $case->{refused}, "$name: refused");
		is(join('', in_schema($schema, $case->{mend})), '', "$name: mended");
	}
	is(failure("CALL migrate.rollback_to('label$number')"), '', "$name: rolled back");
	is(definitions($schema), $before, "$name: the definitions are the same");
	is(query("SET search_path = $schema; $case->{shows}[0]"), $case->{shows}[1], "$name: the rows");
	isnt(join('', in_schema($schema, $_)), '', "$name: $_ fails") foreach @{ $case->{fails} // [] };
	query("SELECT migrate.drop_all_restore_points(); SET client_min_messages = error; SET safe_migrate.restore_points = off; DROP SCHEMA $schema CASCADE");
	foreach my $one (1 .. $step)
	{
		failure("SELECT migrate.unregister('$number.$one')");
	}
}
$node->stop;
unlike(slurp_file($node->logfile), qr/was terminated by signal|TRAP:|PANIC:/, 'nothing crashed');
done_testing();

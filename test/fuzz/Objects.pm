# What lies on tables and beside them: CREATE and ALTER of indexes, views,
# triggers, types and the like.

package Objects;

use strict;
use warnings;

use Constraints;
use Tables;
use Types;

sub entries
{
	return (
		{ kind => 'CREATE INDEX', weight => 26, grow => 40, sql => \&create_index },
		{
			kind => 'CREATE INDEX CONCURRENTLY',
			weight => 6,
			grow => 2,
			sql => \&create_index_concurrently,
			outside => 1,
		},
		{ kind => 'ALTER INDEX ATTACH PARTITION', weight => 8, sql => \&attach_index },
		{ kind => 'ALTER INDEX', weight => 5, sql => \&alter_index },
		{ kind => 'CREATE VIEW', weight => 4, grow => 6, sql => \&create_view },
		{ kind => 'CREATE OR REPLACE VIEW', weight => 2, sql => \&replace_view },
		{ kind => 'ALTER VIEW', weight => 3, sql => \&alter_view },
		{ kind => 'CREATE MATERIALIZED VIEW', weight => 4, grow => 5, sql => \&create_matview },
		{ kind => 'ALTER MATERIALIZED VIEW', weight => 3, sql => \&alter_matview },
		{ kind => 'CREATE SEQUENCE', weight => 3, grow => 4, sql => \&create_sequence },
		{ kind => 'ALTER SEQUENCE', weight => 4, sql => \&alter_sequence },
		{ kind => 'CREATE TRIGGER', weight => 5, grow => 5, sql => \&create_trigger },
		{ kind => 'CREATE CONSTRAINT TRIGGER', weight => 2, grow => 1, sql => \&constraint_trigger },
		{ kind => 'ALTER TRIGGER', weight => 2, sql => \&alter_trigger },
		{ kind => 'CREATE RULE', weight => 3, grow => 3, sql => \&create_rule },
		{ kind => 'ALTER RULE', weight => 2, sql => \&alter_rule },
		{ kind => 'CREATE POLICY', weight => 3, grow => 3, sql => \&create_policy },
		{ kind => 'ALTER POLICY', weight => 3, sql => \&alter_policy },
		{ kind => 'CREATE STATISTICS', weight => 3, grow => 3, sql => \&create_statistics },
		{ kind => 'ALTER STATISTICS', weight => 3, sql => \&alter_statistics },
		{ kind => 'CREATE PUBLICATION', weight => 2, grow => 1, sql => \&create_publication },
		{ kind => 'ALTER PUBLICATION', weight => 3, sql => \&alter_publication },
		{ kind => 'CREATE FUNCTION', weight => 2, grow => 2, sql => \&create_function },
		{ kind => 'ALTER FUNCTION', weight => 1, sql => \&alter_function },
		{ kind => 'CREATE SCHEMA', weight => 2, sql => \&create_schema },
		{ kind => 'ALTER SCHEMA', weight => 1, sql => \&alter_schema });
}

# ---- indexes

# (columns or expressions, the letter of their method, whether it is of columns
# only)
sub index_keys
{
	my ($w, $table, $letter) = @_;
	my @columns = grep {
		my $column = $_;

		$column->{generated} ne 'v' && grep { $_ eq $letter } Types::methods($w, $column);
	} @{ $table->{columns} };
	my $method = $Types::METHODS{$letter};
	my $many = $letter =~ /[hs]/ ? 1 : $w->pick(1, 1, 1, 2, 3);
	my @keys;

	$w->nothing unless @columns;
	foreach my $column ($w->some(1, $many, @columns))
	{
		my $is_expression = $letter eq 'b' && $w->chance(15);

		push @keys,
		  ($is_expression ? '(' . Types::expression($w, $column) . ')' : $column->{name})
		  . (Types::is_collatable($column) && !$is_expression && $letter =~ /[bh]/
			? $w->maybe(10, ' COLLATE ' . $w->collation)
			: '')
		  . ($method->{class} ? " $method->{class}" : '')
		  . ($method->{ordered} ? $w->maybe(10, $w->pick(' DESC', ' ASC NULLS FIRST')) : '');
	}
	return @keys;
}

# What follows CREATE INDEX; an index for ATTACH PARTITION needs nothing but
# its column.
sub index_body
{
	my ($w, $table, $unique) = @_;
	my @letters = $unique ? 'b' : qw(b b b b p v h r g i I S s c);
	my $letter = $w->pick(@letters);
	my @keys = index_keys($w, $table, $letter);
	my @must = $unique ? map { $_->{name} } @{ Constraints::partition_key($table) } : ();
	my %has = map { $_ => 1 } @keys;
	my @rest = grep { !$has{ $_->{name} } } @{ $table->{columns} };

	push @keys, grep { !$has{$_} } @must;
	return " USING $Types::METHODS{$letter}{method} ("
	  . join(', ', @keys) . ')'
	  . ($letter =~ /[biI]/ && @rest ? $w->maybe(12, ' INCLUDE (' . $w->pick(@rest)->{name} . ')') : '')
	  . ($unique ? $w->maybe(10, ' NULLS NOT DISTINCT') : '')
	  . ($letter =~ /[bhiI]/ ? $w->maybe(6, ' WITH (fillfactor = 60)') : '')
	  . $w->maybe(4, ' TABLESPACE fz_space')
	  . (@must
		? ''
		: $w->maybe(15, ' WHERE ' . Types::condition($w, $w->pick(@{ $table->{columns} }))));
}

sub create_index
{
	my ($w) = @_;
	my $table = $w->relation('rrpm', sub { @{ $_[0]{columns} } });
	my $unique = $w->chance(22);

	return 'CREATE '
	  . ($unique ? 'UNIQUE ' : '')
	  . 'INDEX '
	  . ($w->chance(85) ? $w->maybe(10, 'IF NOT EXISTS ') . $w->fresh('i') . ' ' : '') . 'ON '
	  . ($table->{kind} eq 'p' ? $w->only(30) : $w->only(3))
	  . $w->named($table)
	  . index_body($w, $table, $unique);
}

sub create_index_concurrently
{
	my ($w) = @_;
	my $table = $w->relation($w->chance(90) ? 'rm' : 'p', sub { @{ $_[0]{columns} } });
	my $unique = $w->chance(30);

	return 'CREATE '
	  . ($unique ? 'UNIQUE ' : '')
	  . 'INDEX CONCURRENTLY '
	  . $w->maybe(10, 'IF NOT EXISTS ')
	  . $w->fresh('i')
	  . " ON $table->{sql}"
	  . index_body($w, $table, $unique);
}

# An index of a partitioned table that is made ON ONLY it, and one of each of its
# partitions, or of all but one.
sub attach_index
{
	my ($w) = @_;
	my $parent = $w->relation('p', sub { @{ $_[0]{children} } });
	my ($column) = index_keys($w, $parent, 'b');
	my $name = $w->fresh('i');
	my @partitions = $w->shuffled(@{ $parent->{children} });
	my @statements = "CREATE INDEX $name ON ONLY $parent->{sql} ($column)";

	pop @partitions if @partitions > 1 && $w->chance(40);
	foreach my $partition (@partitions)
	{
		my $part = $w->fresh('i');

		push @statements, "CREATE INDEX $part ON $partition->{sql} ($column)",
		  "ALTER INDEX $parent->{schema}.$name ATTACH PARTITION $partition->{schema}.$part";
	}
	return @statements;
}

sub alter_index
{
	my ($w) = @_;
	my $index = $w->any_index;

	return 'ALTER INDEX ' . $w->if_exists . $w->named($index) . ' '
	  . $w->pick(
		'SET (fillfactor = 80)',
		'RESET (fillfactor)',
		'SET TABLESPACE fz_space',
		'SET TABLESPACE pg_default',
		'DEPENDS ON EXTENSION plpgsql',
		'NO DEPENDS ON EXTENSION plpgsql',
		$index->{expression} ? 'ALTER COLUMN 1 SET STATISTICS 100' : 'SET (fillfactor = 90)');
}

# ---- views

sub create_view
{
	my ($w) = @_;
	my $name = $w->fresh('v');
	my $relation = $w->relation('rpvm', sub { @{ $_[0]{columns} } });

	return "CREATE VIEW $name AS SELECT * FROM $relation->{sql}"
	  . $w->maybe(30, ' WHERE ' . Types::condition($w, $w->column($relation)))
	  . ($relation->{kind} =~ /[rp]/ ? $w->maybe(20, ' WITH CHECK OPTION') : '')
	  if $w->chance(60);
	return 'CREATE '
	  . $w->maybe(10, 'TEMP ')
	  . "VIEW $name"
	  . $w->maybe(10, ' WITH (security_barrier)') . ' AS '
	  . Tables::query($w);
}

# The same columns, which is the one thing that the server lets be replaced
# without a look at the view.
sub replace_view
{
	my ($w) = @_;
	my $view = $w->relation('v', sub { @{ $_[0]{columns} } });

	return "CREATE OR REPLACE VIEW $view->{sql} AS SELECT "
	  . join(', ', map { "NULL::$_->{type} AS $_->{name}" } @{ $view->{columns} })
	  . $w->maybe(30, ', 1 AS one');
}

sub alter_view
{
	my ($w) = @_;
	my $view = $w->relation('v', sub { @{ $_[0]{columns} } });
	my $column = $w->column($view);

	return 'ALTER VIEW ' . $w->if_exists . $w->named($view) . ' '
	  . $w->pick(
		"ALTER $column->{name} SET DEFAULT " . Types::default($w, $column),
		"ALTER $column->{name} DROP DEFAULT",
		'SET (security_barrier = true)',
		'RESET (security_barrier)',
		'OWNER TO ' . $w->role);
}

sub create_matview
{
	my ($w) = @_;

	return 'CREATE MATERIALIZED VIEW '
	  . $w->maybe(10, 'IF NOT EXISTS ')
	  . $w->fresh('m')
	  . $w->maybe(5, ' WITH (fillfactor = 80)') . ' AS '
	  . Tables::query($w)
	  . $w->maybe(30, ' WITH NO DATA');
}

sub alter_matview
{
	my ($w) = @_;
	my $view = $w->relation('m', sub { @{ $_[0]{columns} } });
	my $column = $w->column($view);

	return 'ALTER MATERIALIZED VIEW ' . $w->if_exists . $w->named($view) . ' '
	  . $w->pick(
		"ALTER $column->{name} SET STATISTICS 20",
		'SET (fillfactor = 70)',
		'RESET (fillfactor)',
		'SET WITHOUT CLUSTER',
		'SET TABLESPACE fz_space',
		'SET TABLESPACE pg_default',
		'SET ACCESS METHOD heap2',
		'OWNER TO ' . $w->role,
		'DEPENDS ON EXTENSION plpgsql');
}

# ---- sequences

sub create_sequence
{
	my ($w) = @_;
	my $owner = '';

	if ($w->chance(30) && (my @tables = $w->relations('rp', sub { $_[0]{persistence} eq 'p' && $_[0]{schema} eq 'f' })))
	{
		my $table = $w->pick(@tables);

		$owner = " OWNED BY $table->{sql}." . $w->column($table)->{name};
	}
	return 'CREATE '
	  . $w->maybe(10, $w->pick('TEMP ', 'UNLOGGED '))
	  . 'SEQUENCE '
	  . $w->maybe(10, 'IF NOT EXISTS ')
	  . $w->fresh('s')
	  . $w->maybe(15, ' AS smallint')
	  . $w->maybe(20, ' INCREMENT BY 5')
	  . $owner;
}

sub alter_sequence
{
	my ($w) = @_;
	my $sequence = $w->relation('S');
	my @changes = (
		'RESTART', 'RESTART WITH 7', 'INCREMENT BY 2', 'CACHE 3', 'NO MAXVALUE', 'AS bigint',
		'OWNED BY NONE', 'OWNER TO ' . $w->role, 'SET LOGGED', 'SET UNLOGGED');

	if (my @tables = $w->relations('r', sub { $_[0]{schema} eq $sequence->{schema} && @{ $_[0]{columns} } }))
	{
		my $table = $w->pick(@tables);

		push @changes, "OWNED BY $table->{sql}." . $w->column($table)->{name};
	}
	return 'ALTER SEQUENCE ' . $w->if_exists . $w->named($sequence) . ' ' . $w->pick(@changes);
}

# ---- triggers, rules, policies

sub create_trigger
{
	my ($w) = @_;
	my $relation = $w->relation('rrpv', sub { @{ $_[0]{columns} } });
	my $columns = $relation->{kind} ne 'v'
	  && $w->chance(20) ? ' OF ' . $w->column($relation)->{name} : '';
	my $event = $w->pick('INSERT', "UPDATE$columns", 'DELETE', "INSERT OR UPDATE$columns");
	my $head = 'CREATE '
	  . $w->maybe(10, 'OR REPLACE ')
	  . 'TRIGGER '
	  . $w->fresh('r') . ' ';
	my $tail = ' EXECUTE FUNCTION lib.no_change()';

	return "${head}INSTEAD OF $event ON $relation->{sql} FOR EACH ROW$tail"
	  if $relation->{kind} eq 'v';
	return "${head}BEFORE TRUNCATE ON $relation->{sql} FOR EACH STATEMENT$tail" if $w->chance(8);
	return "${head}AFTER UPDATE ON $relation->{sql} REFERENCING OLD TABLE AS old_rows"
	  . " NEW TABLE AS new_rows FOR EACH STATEMENT$tail"
	  if $w->chance(8);
	return $head
	  . $w->pick('BEFORE', 'AFTER')
	  . " $event ON "
	  . $w->named($relation)
	  . ' FOR EACH '
	  . $w->pick('ROW', 'ROW', 'STATEMENT')
	  . $w->maybe(10, ' WHEN (pg_trigger_depth() > 100)')
	  . $tail;
}

sub constraint_trigger
{
	my ($w) = @_;
	my $table = $w->relation('r');
	my @others = $w->relations('r', sub { $_[0]{persistence} eq $table->{persistence} });

	return 'CREATE CONSTRAINT TRIGGER '
	  . $w->fresh('r')
	  . " AFTER INSERT OR UPDATE ON $table->{sql}"
	  . ($w->chance(40) ? ' FROM ' . $w->pick(@others)->{sql} : '')
	  . Constraints::deferral($w, 50)
	  . ' FOR EACH ROW EXECUTE FUNCTION lib.no_change()';
}

# One of the things of this sort that lie on relations: ([relation, name]).
sub part_of
{
	my ($w, $sort) = @_;
	my @pairs =
	  map { my $relation = $_; map { [ $relation, $_ ] } grep { !$_->{is_child} } @{ $relation->{$sort} } }
	  $w->relations('rpvm');

	return @{ $w->one_of(@pairs) };
}

sub alter_trigger
{
	my ($w) = @_;
	my ($relation, $trigger) = part_of($w, 'triggers');

	return "ALTER TRIGGER $trigger->{name} ON $relation->{sql} "
	  . $w->pick('RENAME TO ' . $w->fresh('r'), 'DEPENDS ON EXTENSION plpgsql');
}

sub create_rule
{
	my ($w) = @_;
	my $relation = $w->relation('rpv');

	return 'CREATE '
	  . $w->maybe(10, 'OR REPLACE ')
	  . 'RULE '
	  . $w->fresh('u') . ' AS ON '
	  . $w->pick('INSERT', 'DELETE', 'UPDATE')
	  . " TO $relation->{sql}"
	  . $w->pick(
		' DO ALSO NOTHING',
		' WHERE false DO INSTEAD NOTHING',
		' WHERE false DO ALSO SELECT 1',
		' DO ALSO NOTIFY fz');
}

sub alter_rule
{
	my ($w) = @_;
	my ($relation, $rule) = part_of($w, 'rules');

	return "ALTER RULE $rule->{name} ON $relation->{sql} RENAME TO " . $w->fresh('u');
}

sub create_policy
{
	my ($w) = @_;
	my $table = $w->table(sub { @{ $_[0]{columns} } });
	my @others = grep { @{ $_->{columns} } } $w->relations('rpv');
	my $condition =
	  @others && $w->chance(15)
	  ? 'EXISTS (SELECT FROM ' . $w->pick(@others)->{sql} . ')'
	  : Types::condition($w, $w->column($table));

	return 'CREATE POLICY '
	  . $w->fresh('y')
	  . " ON $table->{sql}"
	  . $w->maybe(20, $w->pick(' AS RESTRICTIVE', ' AS PERMISSIVE'))
	  . $w->maybe(20, ' TO ' . $w->role)
	  . " USING ($condition)";
}

sub alter_policy
{
	my ($w) = @_;
	my ($table, $policy) = part_of($w, 'policies');

	return "ALTER POLICY $policy->{name} ON $table->{sql} "
	  . $w->pick(
		'RENAME TO ' . $w->fresh('y'),
		'TO ' . $w->role . ', ' . $w->role,
		'USING (' . Types::condition($w, $w->column($table)) . ')');
}

# ---- statistics, publications, functions, schemas

sub create_statistics
{
	my ($w) = @_;
	my $table = $w->relation('rpm', sub { @{ $_[0]{columns} } > 1 });
	my @columns = grep {
		my $column = $_;

		$column->{generated} ne 'v' && grep { $_ eq 'b' } Types::methods($w, $column);
	} @{ $table->{columns} };

	$w->nothing if @columns < 2;
	my @items = $w->some(2, 3, @columns);

	return 'CREATE STATISTICS '
	  . $w->maybe(10, 'IF NOT EXISTS ')
	  . $w->fresh('x')
	  . $w->maybe(30, $w->pick(' (ndistinct)', ' (mcv)', ' (dependencies, ndistinct)')) . ' ON '
	  . Constraints::names(@items)
	  . ($w->chance(20) ? ', (' . Types::expression($w, $items[0]) . ')' : '')
	  . " FROM $table->{sql}";
}

sub alter_statistics
{
	my ($w) = @_;
	my $statistics = $w->one_of(@{ $w->{catalog}{statistics} });

	return "ALTER STATISTICS $statistics->{sql} "
	  . $w->pick(
		'SET STATISTICS 100',
		'RENAME TO ' . $w->fresh('x'),
		'OWNER TO ' . $w->role,
		'SET SCHEMA ' . ($statistics->{schema} eq 'f' ? 'g' : 'f'));
}

sub published
{
	my ($w) = @_;

	return join ', ', map { $w->only(10) . $_->{sql} }
	  $w->some(1, 2, $w->relations('rp', sub { $_[0]{persistence} eq 'p' && @{ $_[0]{columns} } }));
}

sub create_publication
{
	my ($w) = @_;
	my $tables = published($w) || $w->nothing;

	return 'CREATE PUBLICATION '
	  . $w->fresh('fz_publication_')
	  . $w->pick('', " FOR TABLE $tables", " FOR TABLE $tables", ' FOR TABLES IN SCHEMA f',
		' FOR ALL TABLES')
	  . $w->maybe(20, q{ WITH (publish = 'insert')});
}

sub alter_publication
{
	my ($w) = @_;
	my $name = $w->one_of(@{ $w->{catalog}{publications} })->{name};
	my $tables = published($w) || $w->nothing;

	return "ALTER PUBLICATION $name "
	  . $w->pick("ADD TABLE $tables", "SET TABLE $tables", "DROP TABLE $tables",
		'ADD TABLES IN SCHEMA g', q{SET (publish = 'insert, delete')},
		'RENAME TO ' . $w->fresh('fz_publication_'));
}

# With the row type of a table, or a default that looks at one, sometimes.
sub create_function
{
	my ($w) = @_;
	my $table = $w->relation('rv');
	my $name = 'f.' . $w->fresh('f');

	return $w->pick(
		"CREATE FUNCTION $name(x integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT x'",
		"CREATE FUNCTION $name(x $table->{sql}) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
		"CREATE FUNCTION $name() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM $table->{sql}; END",
		"CREATE PROCEDURE $name() LANGUAGE plpgsql AS 'BEGIN PERFORM 1; END'");
}

sub alter_function
{
	my ($w) = @_;
	my $function = $w->function;

	return 'ALTER ROUTINE '
	  . $function->{sql} . ' '
	  . $w->pick(
		'RENAME TO ' . $w->fresh('f'),
		'OWNER TO ' . $w->role,
		'SET SCHEMA ' . ($function->{schema} eq 'f' ? 'g' : 'f'));
}

# The schema goes at once: the names of the fuzzer are those of f and g.
sub create_schema
{
	my ($w) = @_;
	my $name = $w->fresh('fz_schema_');
	my $table = $w->fresh('t');
	my ($target) =
	  map { $_->[0] } grep { $_->[1] } map { [ $_, $w->candidate_keys($_) ] } $w->relations('r');
	my ($key) = $target && $target->{persistence} eq 'p' ? $w->candidate_keys($target) : ();
	my $reference =
	  $key && @$key == 1
	  ? ", r $key->[0]{type} REFERENCES $target->{sql} ($key->[0]{name})"
	  : '';
	my @elements = $w->some(0, 3,
		"CREATE VIEW v AS SELECT * FROM $table",
		"CREATE INDEX ON $table (b)",
		'CREATE SEQUENCE s',
		"GRANT SELECT ON $table TO fz_other");

	return (
		"CREATE SCHEMA $name" . $w->maybe(20, ' AUTHORIZATION fz_owner')
		  . " CREATE TABLE $table (a integer PRIMARY KEY, b text$reference) "
		  . join(' ', @elements),
		"DROP SCHEMA $name CASCADE");
}

sub alter_schema
{
	my ($w) = @_;

	return 'ALTER SCHEMA ' . $w->pick('f', 'g') . ' OWNER TO ' . $w->role;
}

1;

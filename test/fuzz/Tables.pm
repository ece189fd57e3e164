# CREATE TABLE in all its shapes, and rows.

package Tables;

use strict;
use warnings;

use Columns;
use Constraints;
use Partitions;
use Types;

sub entries
{
	return (
		{ kind => 'CREATE TABLE', weight => 6, grow => 12, sql => \&plain },
		{ kind => 'CREATE TABLE wide', weight => 1, grow => 1, sql => \&wide },
		{ kind => 'CREATE TEMP TABLE', weight => 2, grow => 2, sql => \&temporary },
		{ kind => 'CREATE TABLE INHERITS', weight => 3, grow => 6, sql => \&inheriting },
		{ kind => 'CREATE TABLE PARTITION BY', weight => 3, grow => 8, sql => \&partitioned },
		{ kind => 'CREATE TABLE PARTITION OF', weight => 8, grow => 16, sql => \&partition },
		{ kind => 'CREATE TABLE to attach', weight => 6, grow => 4, sql => \&to_attach },
		{ kind => 'CREATE TABLE to inherit', weight => 3, grow => 2, sql => \&to_inherit },
		{ kind => 'CREATE TABLE LIKE', weight => 3, grow => 3, sql => \&like },
		{ kind => 'CREATE TABLE OF', weight => 2, grow => 3, sql => \&typed },
		{ kind => 'CREATE TABLE AS', weight => 3, grow => 2, sql => \&as_select },
		{ kind => 'SELECT INTO', weight => 1, sql => \&select_into },
		{ kind => 'EXPLAIN CREATE TABLE AS', weight => 1, sql => \&explained },
		{ kind => 'INSERT', weight => 10, grow => 24, sql => \&insert, quiet => 1 },
		{ kind => 'UPDATE', weight => 2, grow => 1, sql => \&update, quiet => 1 },
		{ kind => 'DELETE', weight => 1, grow => 1, sql => \&delete_rows, quiet => 1 });
}

# A table that is not in the catalog yet, with so many columns.
sub new_table
{
	my ($w, $low, $high, $kind) = @_;
	my $table = {
		name => $w->fresh('t'),
		kind => $kind // 'r',
		columns => [],
		persistence => 'p',
		key => [],
	};

	foreach (1 .. $w->between($low, $high))
	{
		push @{ $table->{columns} }, Columns::new_column($w, $table);
	}
	$table->{sql} = $w->maybe(70, $w->chance(95) ? 'f.' : 'g.') . $table->{name};
	return $table;
}

# What stands between the parentheses.
sub body
{
	my ($w, $table, $constraints) = @_;
	my @parts = map { $_->{definition} } @{ $table->{columns} };
	my %has;

	push @parts, Constraints::primary_key($w, $table) if $w->chance(45);
	foreach (1 .. $w->between(0, $constraints))
	{
		push @parts, Constraints::any($w, $table);
	}
	return '(' . join(', ', grep { length && !$has{$_}++ } @parts) . ')';
}

sub options
{
	my ($w) = @_;

	return $w->maybe(3, ' USING ' . $w->pick('heap', 'heap2'))
	  . $w->maybe(8, ' WITH (' . reloption($w) . ')')
	  . $w->maybe(3, ' TABLESPACE fz_space');
}

sub reloption
{
	my ($w) = @_;

	return $w->pick(
		'fillfactor = ' . $w->between(50, 100),
		'autovacuum_enabled = false',
		'toast_tuple_target = 256',
		'parallel_workers = 2',
		'autovacuum_vacuum_scale_factor = 0.1',
		'toast.autovacuum_enabled = false',
		'vacuum_truncate = false',
		'user_catalog_table = false');
}

sub plain
{
	my ($w) = @_;
	my $table = new_table($w, 1, 6);

	return 'CREATE '
	  . $w->maybe(8, 'UNLOGGED ')
	  . 'TABLE '
	  . $w->maybe(5, 'IF NOT EXISTS ')
	  . "$table->{sql} "
	  . body($w, $table, 2)
	  . options($w);
}

sub wide
{
	my ($w) = @_;
	my $table = new_table($w, 40, 80);

	return "CREATE TABLE $table->{sql} " . body($w, $table, 4);
}

sub temporary
{
	my ($w) = @_;
	my $table = new_table($w, 1, 5);

	$table->{persistence} = 't';
	return "CREATE TEMP TABLE $table->{name} "
	  . body($w, $table, 1)
	  . $w->maybe(25,
		' ON COMMIT ' . $w->pick('PRESERVE ROWS', 'DELETE ROWS', 'DROP'));
}

# Columns of parents may be named again, and are merged then.
sub inheriting
{
	my ($w) = @_;
	my @parents = $w->some(1, $w->pick(1, 1, 2),
		$w->relations('r', sub { !$_[0]{is_partition} && $_[0]{persistence} ne 't' }));
	my $table = new_table($w, 0, 3);

	$w->nothing unless @parents;
	return "CREATE TABLE $table->{sql} "
	  . body($w, $table, 1)
	  . ' INHERITS ('
	  . join(', ', map { $w->named($_) } @parents) . ')'
	  . options($w);
}

sub partitioned
{
	my ($w) = @_;
	my $table = new_table($w, 2, 5, 'p');
	my ($by, @key) = Partitions::partition_by($w, @{ $table->{columns} });

	$w->nothing unless $by;
	$table->{key} = \@key;
	return ("CREATE TABLE $table->{sql} " . body($w, $table, 1) . $by);
}

# A parent that has room for one more partition.
sub parent
{
	my ($w) = @_;

	return $w->relation('p', sub { @{ $_[0]{children} } < Partitions::SLOTS });
}

sub partition
{
	my ($w) = @_;
	my $parent = parent($w);
	my $name = $w->fresh('p');
	my $temporary = $parent->{persistence} eq 't' ? 'TEMP ' : '';
	my @parts;

	if ($w->chance(15))
	{
		my $column = $w->column($parent, sub { !$_[0]{generated} && !$_[0]{identity} });

		push @parts, "$column->{name} DEFAULT " . Types::default($w, $column) if $w->chance(60);
	}
	push @parts, Constraints::any($w, { %$parent, key => [], sql => "f.$name" })
	  if $w->chance(20);
	@parts = grep { length } @parts;
	my ($by) = $w->chance(15) ? Partitions::partition_by($w, @{ $parent->{columns} }) : '';

	return "CREATE ${temporary}TABLE "
	  . ($temporary ? $name : "f.$name")
	  . ' PARTITION OF '
	  . $w->named($parent)
	  . (@parts ? ' (' . join(', ', @parts) . ')' : '')
	  . Partitions::free_bound($w, $parent)
	  . ($by // '');
}

# A table like this one, but with the columns in another order and, maybe, the
# trace of one that was dropped.
sub look_alike
{
	my ($w, $relation) = @_;
	my $name = $w->fresh('t');
	my $temporary = $relation->{persistence} eq 't' ? 'TEMP ' : '';
	my @columns =
	  map { copied_column($w, $_) } $w->shuffled(@{ $relation->{columns} });
	my $gone = $w->chance(40);

	unshift @columns, 'gone integer' if $gone;
	push @columns, copied_checks($relation), spared_scan($w, $relation);
	return ("CREATE ${temporary}TABLE $name (" . join(', ', @columns) . ')',
		$gone ? "ALTER TABLE $name DROP COLUMN gone" : ());
}

sub copied_column
{
	my ($w, $column) = @_;

	return "$column->{name} $column->{type}"
	  . ($column->{collation} && $column->{collation} !~ /^(?:default|)$/
		? ' COLLATE ' . collation_name($column->{collation})
		: '')
	  . ($column->{not_null} ? ' NOT NULL' : $w->maybe(25, ' NOT NULL'));
}

sub collation_name
{
	my ($name) = @_;

	return $name =~ /^(?:ci|icu)$/ ? "lib.$name" : qq{"$name"};
}

# By their names, as ATTACH PARTITION and INHERIT compare them.
sub copied_checks
{
	my ($relation) = @_;

	return map { "CONSTRAINT $_->{name} CHECK ($_->{check})" }
	  grep { $_->{check} && !$_->{no_inherit} } @{ $relation->{constraints} };
}

# The constraint that would spare ATTACH PARTITION its scan, sometimes.
sub spared_scan
{
	my ($w, $relation) = @_;
	my ($key) = @{ Constraints::partition_key($relation) };

	return () unless $key && $w->chance(40);
	return () unless $key->{family} =~ /^(?:int|numeric)/;
	my $slot = $w->between(0, 3);

	return sprintf 'CHECK (%s IS NOT NULL AND %1$s >= %d AND %1$s < %d)',
	  $key->{name}, 10 * $slot, 10 * $slot + 10;
}

sub to_attach
{
	my ($w) = @_;

	return look_alike($w, parent($w));
}

sub to_inherit
{
	my ($w) = @_;

	return look_alike($w, $w->relation('r', sub { !$_[0]{is_partition} }));
}

sub like
{
	my ($w) = @_;
	my $relation = $w->relation('rpvmc');
	my @options = $w->some(0, 3,
		'INCLUDING ALL', 'INCLUDING DEFAULTS', 'INCLUDING CONSTRAINTS',
		'INCLUDING INDEXES', 'INCLUDING IDENTITY', 'INCLUDING GENERATED',
		'INCLUDING STORAGE', 'INCLUDING STATISTICS', 'EXCLUDING INDEXES');

	return 'CREATE TABLE f.'
	  . $w->fresh('t')
	  . " (LIKE $relation->{sql} "
	  . join(' ', @options)
	  . $w->maybe(30, ', extra integer DEFAULT 3') . ')';
}

sub typed
{
	my ($w) = @_;
	my $type = $w->type('c');
	my @columns = @{ $type->{columns} };
	my $options = '';

	if (@columns && $w->chance(50))
	{
		my $column = $w->pick(@columns);

		$options = " ($column->{name} WITH OPTIONS "
		  . $w->pick('NOT NULL', 'DEFAULT ' . Types::default($w, $column), 'UNIQUE') . ')';
	}
	return 'CREATE TABLE f.' . $w->fresh('t') . " OF $type->{sql}$options";
}

# SELECT of some columns of a relation, without the duplicates of names.
sub query
{
	my ($w, $into) = @_;
	my $relation = $w->relation('rpvm', sub { @{ $_[0]{columns} } });
	my @columns = map { $_->{name} } $w->some(1, 5, @{ $relation->{columns} });

	return 'SELECT '
	  . ($w->chance(30) ? '*' : join(', ', @columns))
	  . ($into // '')
	  . " FROM $relation->{sql}";
}

sub as_select
{
	my ($w) = @_;

	return 'CREATE '
	  . $w->pick('', '', 'TEMP ', 'UNLOGGED ')
	  . 'TABLE '
	  . $w->maybe(10, 'IF NOT EXISTS ')
	  . $w->fresh('t') . ' AS '
	  . query($w)
	  . $w->maybe(20, $w->pick(' WITH NO DATA', ' WITH DATA'));
}

sub select_into
{
	my ($w) = @_;

	return query($w, ' INTO ' . $w->maybe(20, 'TEMP ') . $w->fresh('t'));
}

sub explained
{
	my ($w) = @_;

	return 'EXPLAIN '
	  . $w->maybe(80, 'ANALYZE ')
	  . 'CREATE '
	  . $w->pick('TABLE ', 'TABLE ', 'MATERIALIZED VIEW ')
	  . $w->fresh('t') . ' AS '
	  . query($w);
}

# ---- rows

# Values of the same number fit each other: a foreign key finds what it refers
# to, if there are as many rows.
sub insert
{
	my ($w) = @_;
	my $table = $w->table(sub { @{ $_[0]{columns} } });
	my ($first, $last) = @{ $w->pick([ 1, 3 ], [ 1, 12 ], [ 1, 25 ], [ 1, 1 ], [ 4, 9 ]) };
	my @columns =
	  grep { !$_->{generated} && ($_->{not_null} || $w->chance(90)) } @{ $table->{columns} };
	my @rows;

	$w->nothing unless @columns;
	my ($long) = $w->chance(4) ? grep { $columns[$_]{type} eq 'text' } 0 .. $#columns : ();
	foreach my $n ($first .. $last)
	{
		my @values = map { Types::literal($w, $_, $n) // 'NULL' } @columns;

		$values[$long] =
		  "(SELECT string_agg(md5((i + $n)::text), '') FROM generate_series(1, 200) i)"
		  if defined $long;
		push @rows, '(' . join(', ', @values) . ')';
	}
	return "INSERT INTO $table->{sql} ("
	  . Constraints::names(@columns) . ') '
	  . ((grep { $_->{identity} eq 'a' } @columns) ? 'OVERRIDING SYSTEM VALUE ' : '')
	  . 'VALUES '
	  . join(', ', @rows);
}

sub update
{
	my ($w) = @_;
	my $table = $w->table;
	my $column = $w->column($table, sub { !$_[0]{generated} && $_[0]{identity} ne 'a' });

	return "UPDATE $table->{sql} SET $column->{name} = $column->{name}";
}

sub delete_rows
{
	my ($w) = @_;
	my $table = $w->table;
	my $column = $w->column($table);

	return "DELETE FROM $table->{sql}"
	  . $w->maybe(50, " WHERE $column->{name} IS NULL");
}

1;

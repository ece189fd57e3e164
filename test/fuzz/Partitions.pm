# What tables are partitioned by, bounds that are still free, and ALTER TABLE of
# partitions.
#
# Values are numbered as in Types::literal().  Slot $k of a list or a range holds
# the values 10 * $k to 10 * $k + 9.

package Partitions;

use strict;
use warnings;

use Constraints;
use Types;

use constant SLOTS => 8;
use constant MODULUS => 4;

my $ranges = qr/^(?:int[248]|numeric|date|timestamp)$/;
my $lists = qr/^(?:int[248]|text|varchar|date)$/;

sub entries
{
	return (
		{ kind => 'ALTER TABLE ATTACH PARTITION', weight => 24, grow => 8, sql => \&attach },
		{ kind => 'ALTER TABLE DETACH PARTITION', weight => 8, sql => \&detach },
		{
			kind => 'ALTER TABLE DETACH PARTITION CONCURRENTLY',
			weight => 4,
			sql => \&detach_concurrently,
			outside => 1,
		},
		{ kind => 'ALTER TABLE of parent storage', weight => 3, sql => \&parent_storage },
		{ kind => 'ALTER TABLE MERGE PARTITIONS', weight => 6, sql => \&merge, needs => 'merge' },
		{ kind => 'ALTER TABLE SPLIT PARTITION', weight => 6, sql => \&split_partition, needs => 'merge' });
}

# PARTITION BY for these columns, and the columns that are the key; () if none
# of them is of a type for it.
sub partition_by
{
	my ($w, @columns) = @_;
	my $how = $w->pick('RANGE', 'RANGE', 'LIST', 'LIST', 'HASH');
	my $types = $how eq 'RANGE' ? $ranges : $lists;
	my ($column, @more) =
	  $w->shuffled(grep { $_->{family} =~ $types && !$_->{generated} } @columns);

	return unless $column;
	return (" PARTITION BY $how ((" . Types::expression($w, $column) . '))', $column)
	  if $column->{family} eq 'int4' && $w->chance(5);
	return (" PARTITION BY $how ($column->{name}, $more[0]{name})", $column, $more[0])
	  if @more && $how ne 'LIST' && $w->chance(15);
	return (" PARTITION BY $how ($column->{name})", $column);
}

# FOR VALUES of a new partition of this table, or DEFAULT.
sub free_bound
{
	my ($w, $parent) = @_;
	my %taken = map { slot($_->{bound}) => 1 } @{ $parent->{children} };

	return ' DEFAULT'
	  if $parent->{strategy} ne 'h' && !$taken{default} && $w->chance(15);
	my $last = ($parent->{strategy} eq 'h' ? MODULUS : SLOTS) - 1;
	my @free = grep { !$taken{$_} } 0 .. $last;

	$w->nothing unless @free;
	return bound($w, $parent, $w->chance(70) ? $free[0] : $w->pick(@free));
}

sub bound
{
	my ($w, $parent, $slot) = @_;
	my @key = @{ key($parent) };

	return ' FOR VALUES WITH (MODULUS ' . MODULUS . ", REMAINDER $slot)"
	  if $parent->{strategy} eq 'h';
	return ' FOR VALUES IN ('
	  . join(', ', map { Types::literal($w, $key[0], $_) } 10 * $slot .. 10 * $slot + 9)
	  . ($slot == 3 ? ', NULL' : '') . ')'
	  if $parent->{strategy} eq 'l';
	return ' FOR VALUES FROM (' . edge($w, $slot, @key) . ') TO (' . edge($w, $slot + 1, @key) . ')';
}

# The lower end of slot $slot of a range.
sub edge
{
	my ($w, $slot, @key) = @_;
	my $first = shift @key;

	return join ', ', ('MINVALUE') x (1 + @key) if $slot == 0 && $w->chance(30);
	return join ', ', Types::literal($w, $first, 10 * $slot), ('MINVALUE') x @key;
}

# The key as columns; an expression is one over an integer.
sub key
{
	my ($parent) = @_;
	my $columns = Constraints::partition_key($parent);

	return @$columns ? $columns : [ { family => 'int4', base => '', type => 'integer' } ];
}

# The slot of a bound as the catalog shows it.
sub slot
{
	my ($bound) = @_;

	return 'default' if $bound eq 'DEFAULT';
	return $1 if $bound =~ /remainder (\d+)/i;
	return 0 if $bound =~ /FROM \(MINVALUE/;
	return int((($1 - 1) * 28 + $2 - 1) / 10) if $bound =~ /\D2024-(\d\d)-(\d\d)/;
	return int($1 / 10) if $bound =~ /(\d+)/;
	return 'none';
}

# ---- statements

# Every column of the parent, of the same type, is among the child's, and every
# constraint.
sub fits_below
{
	my ($parent, $child) = @_;
	my %column = map { $_->{name} => $_ } @{ $child->{columns} };

	foreach my $column (@{ $parent->{columns} })
	{
		my $other = $column{ $column->{name} };

		return 0
		  unless $other
		  && $other->{type} eq $column->{type}
		  && $other->{collation} eq $column->{collation}
		  && $other->{generated} eq $column->{generated}
		  && ($other->{not_null} || !$column->{not_null});
	}
	my %constraint = map { $_->{name} => 1 } @{ $child->{constraints} };

	return 0
	  if grep { $_->{check} && !$_->{no_inherit} && !$constraint{ $_->{name} } } @{ $parent->{constraints} };
	return ($parent->{persistence} eq 't') == ($child->{persistence} eq 't');
}

# A relation and all that it inherits from.
sub ancestors
{
	my ($relation) = @_;

	return ($relation, map { ancestors($_) } @{ $relation->{parents} });
}

# A pair of a partitioned table and one that would fit as its partition.
sub attach
{
	my ($w) = @_;
	my (@pairs, $pair);

	foreach my $parent ($w->relations('p', sub { @{ $_[0]{children} } < SLOTS }))
	{
		my $count = @{ $parent->{columns} };
		my %is_above = map { $_->{oid} => 1 } ancestors($parent);

		push @pairs, map { [ $parent, $_ ] }
		  $w->relations('rp',
			sub {
				     !$_[0]{is_partition}
				  && !@{ $_[0]{parents} }
				  && !$_[0]{of}
				  && !$is_above{ $_[0]{oid} }
				  && !($_[0]{kind} eq 'r' && @{ $_[0]{children} })
				  && @{ $_[0]{columns} } == $count
				  && fits_below($parent, $_[0]);
			});
	}
	$pair = $w->one_of(@pairs);
	return 'ALTER TABLE '
	  . $w->named($pair->[0])
	  . " ATTACH PARTITION $pair->[1]{sql}"
	  . free_bound($w, $pair->[0]);
}

sub parent_and_partition
{
	my ($w) = @_;
	my $parent = $w->relation('p', sub { @{ $_[0]{children} } });

	return ($parent, $w->pick(@{ $parent->{children} }));
}

sub detach
{
	my ($w) = @_;
	my ($parent, $partition) = parent_and_partition($w);

	return 'ALTER TABLE ' . $w->named($parent) . " DETACH PARTITION $partition->{sql}";
}

sub detach_concurrently
{
	my ($w) = @_;
	my $parent = $w->relation('p',
		sub {
			@{ $_[0]{children} } && !grep { $_->{bound} eq 'DEFAULT' } @{ $_[0]{children} };
		});

	return "ALTER TABLE $parent->{sql} DETACH PARTITION "
	  . $w->pick(@{ $parent->{children} })->{sql} . ' '
	  . $w->pick('CONCURRENTLY', 'CONCURRENTLY', 'CONCURRENTLY', 'FINALIZE');
}

# Together with a new index PostgreSQL forgets to build that of the partitions.
sub parent_storage
{
	my ($w) = @_;

	return 'ALTER TABLE '
	  . $w->named($w->relation('p')) . ' '
	  . (
		$w->at_least(17)
		? 'SET ACCESS METHOD ' . $w->pick('heap', 'heap2', 'DEFAULT')
		: $w->pick('SET LOGGED', 'SET UNLOGGED'));
}

# Neighbours of a range, any of a list; the default takes part as well.
sub merge
{
	my ($w) = @_;
	my $parent = $w->relation('p', sub { $_[0]{strategy} ne 'h' && @{ $_[0]{children} } > 1 });
	my @children = sort { slot($a->{bound}) cmp slot($b->{bound}) }
	  grep { $_->{kind} eq 'r' } @{ $parent->{children} };

	$w->nothing if @children < 2;
	my $first = $w->between(0, $#children - 1);
	my @merged = $parent->{strategy} eq 'l' && $w->chance(50)
	  ? $w->some(2, 3, @children)
	  : @children[ $first, $first + 1 ];

	return "ALTER TABLE $parent->{sql} MERGE PARTITIONS ("
	  . join(', ', map { $_->{sql} } @merged)
	  . ') INTO f.'
	  . $w->fresh('p');
}

sub split_partition
{
	my ($w) = @_;
	my $parent = $w->relation('p', sub { $_[0]{strategy} ne 'h' });
	my $partition = $w->one_of(grep { $_->{kind} eq 'r' } @{ $parent->{children} });
	my @key = @{ key($parent) };
	my @names = map { 'f.' . $w->fresh('p') } 1 .. 2;
	my $slot = slot($partition->{bound});

	if ($slot eq 'default')
	{
		return "ALTER TABLE $parent->{sql} SPLIT PARTITION $partition->{sql} INTO (PARTITION $names[0]"
		  . free_bound($w, $parent)
		  . ", PARTITION $names[1] DEFAULT)";
	}
	$w->nothing if $partition->{bound} !~ /^FOR VALUES (?:FROM \((.*)\) TO \((.*)\)|IN \((.*)\))$/;
	my ($low, $high, $list) = ($1, $2, $3);
	my @bounds;

	if ($parent->{strategy} eq 'r')
	{
		my $middle = join ', ', Types::literal($w, $key[0], 10 * $slot + 5),
		  ('MINVALUE') x $#key;

		@bounds = ("FROM ($low) TO ($middle)", "FROM ($middle) TO ($high)");
	}
	else
	{
		my @values = split /, /, $list;

		$w->nothing if @values < 2;
		@bounds = map { 'IN (' . join(', ', @$_) . ')' }
		  [ @values[ 0 .. 1 ] ], [ @values[ 2 .. $#values ] ];
	}
	return "ALTER TABLE $parent->{sql} SPLIT PARTITION $partition->{sql} INTO ("
	  . join(', ', map { "PARTITION $names[$_] FOR VALUES $bounds[$_]" } 0 .. 1) . ')';
}

1;

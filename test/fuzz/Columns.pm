# Definitions of columns, as in CREATE TABLE and ADD COLUMN.

package Columns;

use strict;
use warnings;

use Constraints;
use Types;

# A new column of a table: what the catalog would tell of it, and {definition}.
sub new_column
{
	my ($w, $table, $adding) = @_;
	my $column = { %{ Types::new_type($w) }, generated => '', identity => '' };
	my $spelled = $column->{type};

	if ($column->{family} =~ /^int([248])$/ && $w->chance(5))
	{
		$spelled = { 2 => 'smallserial', 4 => 'serial', 8 => 'bigserial' }->{$1};
		$column->{has_default} = 1;
	}
	$column->{name} = name_for($w, $column, $table);
	$column->{definition} =
	  "$column->{name} $spelled" . storage($w, $column) . collate($w, $column);
	$column->{definition} .= value($w, $column, $table) unless $column->{has_default};
	$column->{definition} .= constraints($w, $column, $table, $adding);
	return $column;
}

# Tables share names, so that some fit as partitions and children of others.
sub name_for
{
	my ($w, $column, $table) = @_;
	my $stem = $column->{family} =~ s/^_/array_/r;
	my %taken = map { $_->{name} => 1 } @{ $table->{columns} };

	foreach my $number ($w->shuffled(1 .. 3))
	{
		return "${stem}_$number" unless $taken{"${stem}_$number"};
	}
	return $w->fresh("${stem}_x");
}

sub storage
{
	my ($w, $column) = @_;

	return '' unless $column->{family} =~ /^(?:text|varchar|jsonb|bytea)$/;
	return ($w->at_least(16) ? $w->maybe(8, ' STORAGE ' . storage_kind($w)) : '')
	  . $w->maybe(8, ' COMPRESSION ' . $w->pick('pglz', 'default'));
}

sub storage_kind
{
	my ($w) = @_;

	return $w->pick(qw(PLAIN EXTERNAL EXTENDED MAIN),
		$w->at_least(16) ? 'DEFAULT' : 'EXTENDED');
}

sub collate
{
	my ($w, $column) = @_;

	return '' unless Types::is_collatable($column) && $w->chance(12);
	return ' COLLATE ' . $w->collation;
}

# DEFAULT, GENERATED AS IDENTITY or GENERATED AS an expression, or nothing.
sub value
{
	my ($w, $column, $table) = @_;
	my $how = $w->between(1, 100);

	return '' if $how <= 55;
	if ($how <= 63)
	{
		my $text = generated($w, $column, $table);

		return $text if $text;
	}
	elsif ($how <= 76 && Types::is_integer($column))
	{
		$column->{identity} = 'd';
		return identity($w);
	}
	$column->{has_default} = 1;
	return ' DEFAULT ' . any_default($w, $column);
}

sub any_default
{
	my ($w, $column) = @_;
	my @sequences = $w->relations('S', sub { $_[0]{persistence} ne 't' });

	return "nextval('" . $w->pick(@sequences)->{sql} . "')"
	  if @sequences && $column->{family} =~ /^(?:int|numeric|text|float8)/ && $w->chance(6);
	return Types::default($w, $column);
}

sub identity
{
	my ($w) = @_;

	return ' GENERATED '
	  . $w->pick('ALWAYS', 'BY DEFAULT')
	  . ' AS IDENTITY'
	  . $w->maybe(15, ' (START 100 INCREMENT BY 2)');
}

# The expression may need the column to have another type.
sub generated
{
	my ($w, $column, $table) = @_;
	my ($expression) = generation($w, $column, $table);

	return '' unless $expression;
	$column->{generated} = $w->at_least(18) && $w->chance(50) ? 'v' : 's';
	return " GENERATED ALWAYS AS ($expression) "
	  . ($column->{generated} eq 'v' ? 'VIRTUAL' : 'STORED');
}

# An immutable expression of this column's type, over others of the table.
sub generation
{
	my ($w, $column, $table) = @_;
	my @others = grep {
		!$_->{generated} && $_->{name} ne $column->{name}
		  && $_->{family} eq $column->{family}
	} @{ $table->{columns} };

	return unless @others;
	my $other = $w->pick(@others);

	return "$other->{name} + 1" if $column->{family} =~ /^(?:int|numeric|float)\w*\z/ && $w->chance(60);
	return "lower($other->{name})" if $column->{family} eq 'text' && $w->chance(60);
	return $other->{name};
}

sub is_ordered
{
	my ($w, $column) = @_;

	return scalar grep { $_ eq 'b' } Types::methods($w, $column);
}

sub constraints
{
	my ($w, $column, $table, $adding) = @_;
	my $filled = $column->{has_default} || $column->{identity} || $column->{generated};
	my $text = '';

	$text .= ' NOT NULL' if $w->chance($adding ? ($filled ? 30 : 5) : 22);
	$text .= ' NULL' if $text eq '' && !$column->{identity} && $w->chance(3);
	$text .= ' CHECK (' . Types::condition($w, $column) . ')' if $w->chance(8);
	$text .= ' UNIQUE' if $table->{kind} ne 'p' && !($adding && $filled) && $w->chance(6) && is_ordered($w, $column);
	$text .= Constraints::references($w, $table, $column) if $w->chance(5);
	return $text;
}

1;

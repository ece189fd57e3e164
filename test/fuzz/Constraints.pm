# Constraints, as they stand in CREATE TABLE and after ADD.
#
# A table here is a relation of the catalog, or the same made up for one that is
# being created: {sql}, {kind}, {columns}, and {key}, the columns that it is
# partitioned by.

package Constraints;

use strict;
use warnings;

use Types;

my @kinds = (
	{ weight => 36, text => \&check },
	{ weight => 18, text => \&unique },
	{ weight => 12, text => \&primary_key },
	{ weight => 8, text => \&exclusion },
	{ weight => 26, text => \&foreign_key },
	{ weight => 8, text => \&not_null, since => 18 });

# One that is likely to fit, "" if that kind cannot be had for this table.
sub any
{
	my ($w, $table, $adding) = @_;
	my $kind =
	  $w->weighted(grep { $w->at_least($_->{since} || 0) } @kinds);
	my $text = $kind->{text}->($w, $table, $adding);

	return '' unless length $text;
	return ($w->chance(60) ? 'CONSTRAINT ' . $w->fresh('k') . ' ' : '') . $text;
}

sub check
{
	my ($w, $table, $adding) = @_;
	my @columns = $w->some(1, 2, @{ $table->{columns} });

	return '' unless @columns;
	my $text = 'CHECK ('
	  . join($w->pick(' AND ', ' OR '), map { Types::condition($w, $_) } @columns) . ')';
	$text .= ' NO INHERIT' if $table->{kind} eq 'r' && $w->chance(10);
	return $text . ' NOT ENFORCED' if $w->at_least(18) && $w->chance(12);
	return $text . ($adding ? $w->maybe(40, ' NOT VALID') : '');
}

sub not_null
{
	my ($w, $table, $adding) = @_;
	my @columns = grep { !$_->{not_null} } @{ $table->{columns} };

	return '' unless @columns;
	return 'NOT NULL '
	  . $w->pick(@columns)->{name}
	  . ($table->{kind} eq 'r' ? $w->maybe(8, ' NO INHERIT') : '')
	  . ($adding ? $w->maybe(50, ' NOT VALID') : '');
}

# Columns for a unique key: those of the partition key are among them.
sub key_columns
{
	my ($w, $table, $letter) = @_;
	my @must = @{ $table->{key} || partition_key($table) };
	my %is_must = map { $_->{name} => 1 } @must;
	my @may = grep {
		my $column = $_;

		!$is_must{ $column->{name} }
		  && ($column->{generated} || '') ne 'v'
		  && grep { $_ eq $letter } Types::methods($w, $column);
	} @{ $table->{columns} };

	return ($w->some(@must ? 0 : 1, $w->pick(1, 1, 2), @may), @must);
}

# The columns that a relation of the catalog is partitioned by.
sub partition_key
{
	my ($table) = @_;
	my %column = map { $_->{number} => $_ } grep { $_->{number} } @{ $table->{columns} };

	return [ grep { defined } map { $column{$_} } split / /, $table->{partattrs} || '' ];
}

sub names
{
	return join ', ', map { $_->{name} } @_;
}

sub deferral
{
	my ($w, $percent) = @_;

	return '' unless $w->chance($percent);
	return ' '
	  . $w->pick(
		'DEFERRABLE',
		'DEFERRABLE INITIALLY DEFERRED',
		'DEFERRABLE INITIALLY IMMEDIATE',
		'NOT DEFERRABLE');
}

# INCLUDE, WITH and USING INDEX TABLESPACE of a constraint that has an index.
sub index_options
{
	my ($w, $table, @key) = @_;
	my %in_key = map { $_->{name} => 1 } @key;
	my @rest = grep { !$in_key{ $_->{name} } } @{ $table->{columns} };

	return (@rest && $w->chance(10) ? ' INCLUDE (' . $w->pick(@rest)->{name} . ')' : '')
	  . $w->maybe(8, ' WITH (fillfactor = 70)')
	  . $w->maybe(4, ' USING INDEX TABLESPACE fz_space');
}

sub unique
{
	my ($w, $table) = @_;
	my @key = key_columns($w, $table, 'b');

	return '' unless @key;
	return without_overlaps($w, $table, 'UNIQUE')
	  if $w->at_least(18) && $w->{has}{btree_gist} && $w->chance(20);
	return 'UNIQUE'
	  . $w->maybe(15, $w->pick(' NULLS NOT DISTINCT', ' NULLS DISTINCT'))
	  . ' (' . names(@key) . ')'
	  . index_options($w, $table, @key)
	  . deferral($w, 20);
}

sub primary_key
{
	my ($w, $table) = @_;
	my @key = key_columns($w, $table, 'b');

	return '' if !@key || has_primary_key($table);
	$table->{has_primary_key} = 1 unless $table->{oid};
	return without_overlaps($w, $table, 'PRIMARY KEY')
	  if $w->at_least(18) && $w->{has}{btree_gist} && $w->chance(15);
	return 'PRIMARY KEY ('
	  . names(@key) . ')'
	  . index_options($w, $table, @key)
	  . deferral($w, 10);
}

sub has_primary_key
{
	my ($table) = @_;

	return $table->{has_primary_key}
	  || grep { $_->{kind} eq 'p' } @{ $table->{constraints} || [] };
}

sub without_overlaps
{
	my ($w, $table, $kind) = @_;
	my ($period) = grep { $_->{family} =~ /range$/ } @{ $table->{columns} };
	my @key = $period
	  ? grep { $_ != $period } key_columns($w, $table, 'i')
	  : ();

	return '' unless @key;
	return "$kind (" . names(@key) . ", $period->{name} WITHOUT OVERLAPS)";
}

sub exclusion
{
	my ($w, $table) = @_;
	my $letter = $w->pick('b', 'h', 'I', 'i');

	return '' if $table->{kind} eq 'p' && !$w->at_least(17);
	my @key = key_columns($w, $table, $letter);
	my $text;

	return '' if !@key || ($letter eq 'i' && !$w->{has}{btree_gist});
	@key = ($key[0]) if $letter eq 'h';
	$text = "EXCLUDE USING $Types::METHODS{$letter}{method} ("
	  . join(', ',
		map { $_->{name} . ' WITH ' . ($letter eq 'I' && $_->{family} =~ /range$/ ? '&&' : '=') }
		  @key)
	  . ')';
	$text .= ' WHERE (' . Types::condition($w, $w->pick(@{ $table->{columns} })) . ')'
	  if $w->chance(20);
	return $text . deferral($w, 15);
}

# To a table with a unique key for which there are columns of these types.
sub foreign_key
{
	my ($w, $table, $adding) = @_;
	my ($foreign, $theirs, $ours) = matching_key($w, $table);
	my $text;

	return period_foreign_key($w, $table) if $w->at_least(18) && $w->chance(15);
	return '' unless $foreign;
	$text = 'FOREIGN KEY ('
	  . names(@$ours)
	  . ') REFERENCES '
	  . $foreign->{sql} . ' ('
	  . names(@$theirs) . ')'
	  . reference_options($w, $ours);
	return $text . ' NOT ENFORCED' if $w->at_least(18) && $w->chance(12);
	return $text if !$adding || ($table->{kind} eq 'p' && !$w->at_least(18));
	return $text . $w->maybe(40, ' NOT VALID');
}

# To a key WITHOUT OVERLAPS, of which the period is the last column.
sub period_foreign_key
{
	my ($w, $table) = @_;

	foreach my $foreign ($w->shuffled($w->relations('rp')))
	{
		my %column = map { $_->{number} => $_ } @{ $foreign->{columns} };

		foreach my $constraint (grep { $_->{period} && $_->{kind} =~ /[pu]/ } @{ $foreign->{constraints} })
		{
			my @theirs = map { $column{$_} } $constraint->{keys} =~ /(\d+)/g;
			my $ours = columns_like($w, \@theirs, $table) or next;
			my ($period, $their_period) = (pop @$ours, pop @theirs);

			return 'FOREIGN KEY ('
			  . names(@$ours)
			  . ", PERIOD $period->{name}) REFERENCES $foreign->{sql} ("
			  . names(@theirs)
			  . ", PERIOD $their_period->{name})";
		}
	}
	return '';
}

sub matching_key
{
	my ($w, $table) = @_;

	foreach my $foreign ($w->shuffled($w->relations('rp')))
	{
		next if ($foreign->{persistence} eq 't') != (($table->{persistence} || 'p') eq 't');
		foreach my $theirs ($w->shuffled($w->candidate_keys($foreign)))
		{
			my $ours = columns_like($w, $theirs, $table) or next;

			return ($foreign, $theirs, $ours);
		}
	}
	return;
}

# For each of these columns another one of the same type, in this order.
sub columns_like
{
	my ($w, $theirs, $table) = @_;
	my %used;
	my @ours;

	foreach my $column (@$theirs)
	{
		my ($match) = $w->shuffled(
			grep { !$used{ $_->{name} } && $_->{family} eq $column->{family} }
			  @{ $table->{columns} });

		return unless $match;
		$used{ $match->{name} } = 1;
		push @ours, $match;
	}
	return @ours ? \@ours : undef;
}

sub reference_options
{
	my ($w, $ours) = @_;
	my $text = $w->maybe(10, ' MATCH FULL');

	$text .= ' ON DELETE '
	  . $w->pick('CASCADE', 'SET NULL', 'SET DEFAULT', 'RESTRICT', 'NO ACTION',
		"SET NULL ($ours->[0]{name})")
	  if $w->chance(40);
	$text .= ' ON UPDATE ' . $w->pick('CASCADE', 'SET NULL', 'RESTRICT', 'NO ACTION')
	  if $w->chance(20);
	return $text . deferral($w, 20);
}

# REFERENCES in the definition of a column, "" if nothing fits its type.
sub references
{
	my ($w, $table, $column) = @_;
	my ($foreign, $theirs) =
	  matching_key($w, { %$table, columns => [$column] });

	return '' unless $foreign;
	return " REFERENCES $foreign->{sql} (" . names(@$theirs) . ')' . reference_options($w, [$column]);
}

1;

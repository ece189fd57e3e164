# What statements are drawn from: random numbers, the catalog as it is at the
# moment, and what the server can do.  A choice for which there is nothing dies
# of NOTHING, and whoever draws takes another statement.

package World;

use strict;
use warnings;

use Catalog;
use parent -norequire, 'Random';
use Random;

use constant NOTHING => "nothing fits\n";

our @ROLES = qw(fz_owner fz_other postgres);

sub refresh
{
	my ($self, $session) = @_;

	$self->{catalog} = Catalog::read_from($session);
	return;
}

# For the next statement: {gone} are columns that earlier parts of it drop, {changed}
# those whose type they change.
sub begin_statement
{
	my ($self) = @_;

	$self->{gone} = {};
	$self->{changed} = {};
	return;
}

# A name that this iteration has not used.
sub fresh
{
	my ($self, $prefix) = @_;

	return $prefix . ++$self->{names}{$prefix};
}

sub nothing
{
	die NOTHING;
}

sub one_of
{
	my ($self, @list) = @_;

	nothing() unless @list;
	return $self->pick(@list);
}

sub at_least
{
	my ($self, $version) = @_;

	return $self->{version} >= $version * 10000;
}

# ---- what there is

# Relations of these kinds, as in pg_class.relkind.
sub relations
{
	my ($self, $kinds, $filter) = @_;

	return grep { index($kinds, $_->{kind}) >= 0 && (!$filter || $filter->($_)) }
	  @{ $self->{catalog}{relations} };
}

sub relation
{
	my ($self, $kinds, $filter) = @_;

	return $self->one_of($self->relations($kinds, $filter));
}

sub table
{
	my ($self, $filter) = @_;

	return $self->relation('rp', $filter);
}

sub column
{
	my ($self, $relation, $filter) = @_;

	return $self->one_of(
		grep { (!$self->{gone}{ $_->{name} } || $self->chance(5)) && (!$filter || $filter->($_)) }
		  @{ $relation->{columns} });
}

sub constraint
{
	my ($self, $relation, $filter) = @_;

	return $self->one_of(grep { !$filter || $filter->($_) } @{ $relation->{constraints} });
}

# An index or a partitioned one, as {index} of its relation has it.
sub any_index
{
	my ($self, $filter) = @_;

	return $self->one_of(
		map { $_->{index} }
		  $self->relations('iI', sub { $_[0]{index} && (!$filter || $filter->($_[0]{index})) }));
}

sub type
{
	my ($self, $kinds) = @_;

	return $self->one_of(grep { index($kinds, $_->{typtype}) >= 0 } @{ $self->{catalog}{types} });
}

sub function
{
	my ($self, $filter) = @_;

	return $self->one_of(grep { !$filter || $filter->($_) } @{ $self->{catalog}{functions} });
}

# Sets of columns of a table that a foreign key can refer to.
sub candidate_keys
{
	my ($self, $table) = @_;

	return
	  map { $_->{columns} }
	  grep {
			 $_->{unique}
		  && $_->{immediate}
		  && $_->{valid}
		  && !$_->{partial}
		  && !$_->{expression}
		  && !$_->{exclusion}
	  } @{ $table->{indexes} };
}

# A table and all that inherit from it.
sub family
{
	my ($self, $relation) = @_;

	return ($relation, map { $self->family($_) } @{ $relation->{children} });
}

# ---- what there may be

# Names are found by the search_path, too.
sub named
{
	my ($self, $object) = @_;

	return $object->{schema} eq 'f' && $self->chance(30) ? $object->{name} : $object->{sql};
}

sub only
{
	my ($self, $percent) = @_;

	return $self->maybe($percent, 'ONLY ');
}

sub if_exists
{
	my ($self) = @_;

	return $self->maybe(10, 'IF EXISTS ');
}

sub behavior
{
	my ($self, $cascade) = @_;

	return $self->chance($cascade) ? ' CASCADE' : $self->maybe(20, ' RESTRICT');
}

sub role
{
	my ($self) = @_;

	return $self->pick(@ROLES);
}

sub collation
{
	my ($self) = @_;

	return $self->pick(@{ $self->{collations} });
}

1;

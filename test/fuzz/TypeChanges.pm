# CREATE and ALTER of types and domains.

package TypeChanges;

use strict;
use warnings;

use Columns;
use Types;

sub entries
{
	return (
		{ kind => 'CREATE TYPE', weight => 3, grow => 5, sql => \&create_type },
		{ kind => 'CREATE DOMAIN', weight => 3, grow => 5, sql => \&create_domain },
		{ kind => 'ALTER TYPE ADD VALUE', weight => 4, sql => \&add_value },
		{ kind => 'ALTER TYPE RENAME VALUE', weight => 1, sql => \&rename_value },
		{ kind => 'ALTER TYPE ATTRIBUTE', weight => 9, sql => \&alter_attributes },
		{ kind => 'ALTER TYPE RENAME ATTRIBUTE', weight => 2, sql => \&rename_attribute },
		{ kind => 'ALTER TYPE', weight => 3, sql => \&alter_type },
		{ kind => 'ALTER DOMAIN', weight => 16, sql => \&alter_domain });
}

sub create_type
{
	my ($w) = @_;
	my $how = $w->between(1, 10);

	return 'CREATE TYPE f.' . $w->fresh('e') . q{ AS ENUM ('red', 'green', 'blue')} if $how <= 4;
	return 'CREATE TYPE f.'
	  . $w->fresh('r')
	  . ' AS RANGE (subtype = '
	  . $w->pick('double precision', 'integer', 'text') . ')'
	  if $how <= 6;
	return 'CREATE TYPE f.' . $w->fresh('c') . ' AS (' . attributes($w) . ')';
}

# Named as columns of tables are.
sub attributes
{
	my ($w) = @_;
	my $type = { columns => [] };

	foreach (1 .. $w->between(1, 4))
	{
		my $column = plain_type($w);

		$column->{name} = Columns::name_for($w, $column, $type);
		push @{ $type->{columns} }, $column;
	}
	return join ', ', map { "$_->{name} $_->{type}" } @{ $type->{columns} };
}

# A type of the server: a composite type that has another one could have itself.
sub plain_type
{
	my ($w) = @_;

	return Types::of_family($w, $w->pick(Types::families($w)));
}

sub value_condition
{
	my ($w, $base) = @_;

	return Types::condition($w, { name => 'VALUE', family => $base, base => '' });
}

sub create_domain
{
	my ($w) = @_;
	my $type = Types::of_family($w, $w->pick(qw(int4 text int8 numeric varchar timestamp int4 text)));

	return 'CREATE DOMAIN f.'
	  . $w->fresh('d')
	  . " AS $type->{type}"
	  . $w->maybe(10, ' DEFAULT ' . Types::literal($w, $type, 5))
	  . $w->maybe(12, ' NOT NULL')
	  . $w->maybe(40, ' CHECK (' . value_condition($w, $type->{family}) . ')');
}

sub add_value
{
	my ($w) = @_;
	my $type = $w->type('e');
	my @labels = @{ $type->{labels} };

	return "ALTER TYPE $type->{sql} ADD VALUE "
	  . $w->maybe(20, 'IF NOT EXISTS ')
	  . q{'} . $w->fresh('colour') . q{'}
	  . (@labels ? $w->maybe(30, $w->pick(' BEFORE ', ' AFTER ') . q{'} . $w->pick(@labels) . q{'}) : '');
}

sub rename_value
{
	my ($w) = @_;
	my $type = $w->type('e');

	return "ALTER TYPE $type->{sql} RENAME VALUE '"
	  . $w->one_of(@{ $type->{labels} })
	  . "' TO '"
	  . $w->fresh('colour') . q{'};
}

# One or two sub-commands; typed tables are reached by CASCADE alone.
sub alter_attributes
{
	my ($w) = @_;
	my $type = $w->type('c');

	return "ALTER TYPE $type->{sql} "
	  . join(', ', map { attribute_change($w, $type) . $w->maybe(75, ' CASCADE') } 1 .. $w->pick(1, 1, 2));
}

sub attribute_change
{
	my ($w, $type) = @_;
	my $new = plain_type($w);

	return 'ADD ATTRIBUTE ' . Columns::name_for($w, $new, $type) . " $new->{type}"
	  if $w->chance(45) || !@{ $type->{columns} };
	my $column = $w->pick(@{ $type->{columns} });

	return 'DROP ATTRIBUTE ' . $w->if_exists . $column->{name} if $w->chance(35);
	my @targets = @{ ($Types::FAMILIES{ $column->{family} } || {})->{to} || [] };

	return "ALTER ATTRIBUTE $column->{name} "
	  . $w->maybe(30, 'SET DATA ') . 'TYPE '
	  . (@targets ? Types::of_family($w, $w->pick(@targets))->{type} : $column->{type});
}

sub rename_attribute
{
	my ($w) = @_;
	my $type = $w->type('c');
	my $column = $w->one_of(@{ $type->{columns} });

	return "ALTER TYPE $type->{sql} RENAME ATTRIBUTE $column->{name} TO "
	  . Columns::name_for($w, $column, $type)
	  . $w->maybe(75, ' CASCADE');
}

sub alter_type
{
	my ($w) = @_;
	my $type = $w->type('ecrd');
	my $command = $type->{typtype} eq 'd' && $w->chance(50) ? 'DOMAIN' : 'TYPE';

	return "ALTER $command $type->{sql} "
	  . $w->pick(
		'OWNER TO ' . $w->role,
		'SET SCHEMA ' . ($type->{schema} eq 'f' ? 'g' : 'f'),
		'RENAME TO ' . $w->fresh($type->{typtype}));
}

sub alter_domain
{
	my ($w) = @_;
	my $domain = $w->type('d');
	my @constraints = grep { $_->{kind} eq 'c' } @{ $domain->{constraints} };
	my @not_valid = grep { !$_->{valid} } @constraints;
	my $check =
	    'ADD '
	  . $w->maybe(60, 'CONSTRAINT ' . $w->fresh('k') . ' ')
	  . 'CHECK (' . value_condition($w, $domain->{base}) . ')';
	my @changes = (
		$check, $check,
		"$check NOT VALID",
		"$check NOT VALID",
		'SET NOT NULL',
		'DROP NOT NULL',
		'SET DEFAULT ' . (Types::literal($w, { family => $domain->{base} }, 3) // 'NULL'),
		'DROP DEFAULT');

	push @changes, 'ADD NOT NULL' if $w->at_least(17);
	push @changes, "VALIDATE CONSTRAINT $_->{name}" foreach @not_valid, @not_valid;
	push @changes, "DROP CONSTRAINT $_->{name}" . $w->behavior(20),
	  "RENAME CONSTRAINT $_->{name} TO " . $w->fresh('k')
	  foreach @constraints;
	return "ALTER DOMAIN $domain->{sql} " . $w->pick(@changes);
}

1;

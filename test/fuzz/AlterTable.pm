# ALTER TABLE: every sub-command, and the forms that stand alone.

package AlterTable;

use strict;
use warnings;

use Columns;
use Constraints;
use Partitions;
use Tables;
use Types;
use World;

# on: kinds of relations that a sub-command is drawn for.  once: it cannot be
# there twice, or makes no sense so.
my @subcommands = (
	{ name => 'ADD COLUMN', weight => 24, on => 'rp', text => \&add_column },
	{ name => 'DROP COLUMN', weight => 9, on => 'rp', text => \&drop_column },
	{ name => 'ALTER TYPE', weight => 22, on => 'rp', text => \&alter_type },
	{ name => 'SET DEFAULT', weight => 5, on => 'rpvv', text => \&set_default },
	{ name => 'DROP DEFAULT', weight => 4, on => 'rpv', text => \&drop_default },
	{ name => 'SET NOT NULL', weight => 10, on => 'rp', text => \&set_not_null },
	{ name => 'DROP NOT NULL', weight => 4, on => 'rp', text => \&drop_not_null },
	{ name => 'SET EXPRESSION', weight => 6, on => 'rp', since => 17, text => \&set_expression },
	{ name => 'DROP EXPRESSION', weight => 6, on => 'rp', text => \&drop_expression },
	{ name => 'ADD IDENTITY', weight => 3, on => 'rp', text => \&add_identity },
	{ name => 'SET IDENTITY', weight => 6, on => 'rp', text => \&set_identity },
	{ name => 'DROP IDENTITY', weight => 6, on => 'rp', text => \&drop_identity },
	{ name => 'SET STATISTICS', weight => 3, on => 'rpmiI', text => \&set_statistics },
	{ name => 'SET attribute', weight => 2, on => 'rpm', text => \&set_attribute },
	{ name => 'RESET attribute', weight => 2, on => 'rpm', text => \&reset_attribute },
	{ name => 'SET STORAGE', weight => 3, on => 'rpm', text => \&set_storage },
	{ name => 'SET COMPRESSION', weight => 3, on => 'rpm', text => \&set_compression },
	{ name => 'ADD CONSTRAINT', weight => 34, on => 'rp', text => \&add_constraint },
	{ name => 'ADD USING INDEX', weight => 5, on => 'r', text => \&add_using_index },
	{ name => 'ALTER CONSTRAINT', weight => 4, on => 'rp', text => \&alter_constraint },
	{ name => 'VALIDATE CONSTRAINT', weight => 8, on => 'rp', text => \&validate },
	{ name => 'DROP CONSTRAINT', weight => 9, on => 'rp', text => \&drop_constraint },
	{ name => 'TRIGGER', weight => 5, on => 'rp', text => \&switch_trigger },
	{ name => 'RULE', weight => 14, on => 'rpv', text => \&switch_rule },
	{ name => 'ROW LEVEL SECURITY', weight => 4, on => 'rp', text => \&row_security },
	{ name => 'CLUSTER ON', weight => 4, on => 'rm', once => 1, text => \&cluster_on },
	{ name => 'SET WITHOUT CLUSTER', weight => 2, on => 'rm', once => 1, text => sub { 'SET WITHOUT CLUSTER' } },
	{ name => 'SET WITHOUT OIDS', weight => 1, on => 'rp', text => sub { 'SET WITHOUT OIDS' } },
	{ name => 'SET LOGGED', weight => 4, on => 'r', once => 1, text => \&set_logged },
	{ name => 'SET TABLESPACE', weight => 6, on => 'rpmiI', once => 1, text => \&set_tablespace },
	{ name => 'SET ACCESS METHOD', weight => 5, on => 'rm', once => 1, text => \&set_access_method },
	{ name => 'SET reloption', weight => 6, on => 'rmvi', text => \&set_reloption },
	{ name => 'RESET reloption', weight => 3, on => 'rmvi', text => \&reset_reloption },
	{ name => 'INHERIT', weight => 7, on => 'r', text => \&inherit },
	{ name => 'NO INHERIT', weight => 4, on => 'r', text => \&no_inherit },
	{ name => 'OF', weight => 6, on => 'r', text => \&of_type },
	{ name => 'NOT OF', weight => 8, on => 'r', text => \&not_of },
	{ name => 'OWNER TO', weight => 4, on => 'rpvmS', once => 1, text => \&owner },
	{ name => 'REPLICA IDENTITY', weight => 5, on => 'rpm', text => \&replica_identity });

sub entries
{
	return (
		{ kind => 'ALTER TABLE', weight => 190, grow => 16, sql => \&subcommands },
		{ kind => 'ALTER TABLE ADD CONSTRAINT', weight => 10, grow => 30, sql => \&one_constraint },
		{ kind => 'ALTER TABLE RENAME COLUMN', weight => 6, sql => \&rename_column },
		{ kind => 'ALTER TABLE RENAME CONSTRAINT', weight => 4, sql => \&rename_constraint },
		{ kind => 'ALTER TABLE RENAME', weight => 4, sql => \&rename },
		{ kind => 'ALTER TABLE SET SCHEMA', weight => 4, sql => \&set_schema },
		{ kind => 'ALTER TABLE ALL IN TABLESPACE', weight => 1, sql => \&move_all });
}

# The kinds of sub-commands that this server has.
sub kinds
{
	my ($w) = @_;

	return map { "ALTER TABLE $_->{name}" } grep { $w->at_least($_->{since} || 0) } @subcommands;
}

# Between one and four sub-commands that fit one relation.
sub subcommands
{
	my ($w) = @_;
	my $relation = $w->relation($w->pick('r', 'r', 'r', 'r', 'p', 'p', 'vmiIS'));
	my $wanted = $w->pick(1, 1, 1, 1, 2, 2, 3, 4);
	my @fitting =
	  grep { index($_->{on}, $relation->{kind}) >= 0 && $w->at_least($_->{since} || 0) }
	  @subcommands;
	my (@texts, @kinds, %has);

	foreach (1 .. 12)
	{
		last if @texts == $wanted;
		my $subcommand = $w->weighted(@fitting);

		next if $subcommand->{once} && $has{$subcommand};
		my $text = eval { $subcommand->{text}->($w, $relation) };

		die $@ if $@ && $@ ne World::NOTHING();
		next unless $text;
		$has{$subcommand} = 1;
		push @texts, $text;
		push @kinds, "ALTER TABLE $subcommand->{name}";
	}
	$w->nothing unless @texts;
	return {
		kinds => \@kinds,
		sql => 'ALTER TABLE '
		  . $w->maybe(5, 'IF EXISTS ')
		  . ($relation->{kind} eq 'r' ? $w->only(8) : $w->only(2))
		  . $w->named($relation) . ' '
		  . join(', ', @texts),
	};
}

sub one_constraint
{
	my ($w) = @_;
	my $table = $w->table;

	return 'ALTER TABLE ' . $w->named($table) . ' ' . (add_constraint($w, $table) || $w->nothing);
}

# ---- columns

sub inherited_only
{
	my ($column) = @_;

	return $column->{inherited} > 0;
}

sub own_column
{
	my ($w, $table, $filter) = @_;

	return $w->column($table,
		sub { (!inherited_only($_[0]) || $w->chance(5)) && (!$filter || $filter->($_[0])) });
}

sub add_column
{
	my ($w, $table) = @_;

	return if $table->{is_partition} && $w->chance(95);
	return if $table->{of} && $w->chance(95);
	my $column = Columns::new_column($w, $table, 1);

	return $w->pick('ADD COLUMN ', 'ADD COLUMN ', 'ADD ', 'ADD COLUMN IF NOT EXISTS ')
	  . $column->{definition};
}

sub drop_column
{
	my ($w, $table) = @_;

	return if $table->{of} && $w->chance(95);
	my %is_key = map { $_->{name} => 1 } @{ Constraints::partition_key($table) };
	my $column = own_column($w, $table, sub { !$is_key{ $_[0]{name} } || $w->chance(5) });

	$w->{gone}{ $column->{name} } = 1;

	return 'DROP '
	  . $w->maybe(60, 'COLUMN ')
	  . $w->if_exists
	  . $column->{name}
	  . $w->behavior(55);
}

# To a type that the values turn into, with or without USING, or to any other
# with a USING clause that can do it.
sub alter_type
{
	my ($w, $table) = @_;

	return if $table->{of} && $w->chance(95);
	my %is_key = map { $_->{name} => 1 } @{ Constraints::partition_key($table) };
	my $column = own_column($w, $table,
		sub {
			     !$is_key{ $_[0]{name} }
			  && !$w->{changed}{ $_[0]{name} }
			  && ($_[0]{generated} eq '' || $w->chance(30));
		});
	my @targets = @{ ($Types::FAMILIES{ $column->{base} || $column->{family} } || {})->{to} || [] };
	my ($type, $using) = @targets && $w->chance(80)
	  ? cast($w, $column, Types::of_family($w, $w->pick(@targets)))
	  : $w->chance(40) ? domain_or_same($w, $column)
	  :                  any_type($w, $column);

	$w->{changed}{ $column->{name} } = 1;
	return 'ALTER '
	  . $w->maybe(60, 'COLUMN ')
	  . $column->{name}
	  . $w->maybe(40, ' SET DATA') . ' TYPE '
	  . $type->{type}
	  . (Types::is_collatable($type) && $w->chance(15) ? ' COLLATE ' . $w->collation : '')
	  . ($using ? " USING $using" : '');
}

sub cast
{
	my ($w, $column, $type) = @_;

	return ($type, undef) if $w->chance(65);
	return (
		$type,
		$w->pick(
			$column->{name}, "$column->{name}\::$type->{type}",
			"CAST($column->{name} AS $type->{type})", "lib.volatile($column->{name}\::$type->{type})"));
}

# The type that the column has already, or a domain over it, or what is below
# its domain.
sub domain_or_same
{
	my ($w, $column) = @_;
	my @domains =
	  grep { $_->{typtype} eq 'd' && $_->{base} eq $column->{family} } @{ $w->{catalog}{types} };

	return (Types::of_family($w, $column->{base}), undef)
	  if $column->{base} && $Types::FAMILIES{ $column->{base} };
	return ({ type => $w->pick(@domains)->{sql}, family => '', typtype => 'd', base => $column->{family} })
	  if @domains && $w->chance(70);
	return ($column, $w->maybe(25, $column->{name}));
}

sub any_type
{
	my ($w, $column) = @_;
	my $type = Types::new_type($w);
	my $literal = Types::literal($w, $type, $w->between(1, 9)) // 'NULL';

	return ($type, "NULL::$type->{type}") if !$column->{not_null} && $w->chance(30);
	return ($type, "$column->{name}\::text::$type->{type}") if $w->chance(10);
	return ($type, "$literal\::$type->{type}");
}

sub set_default
{
	my ($w, $table) = @_;
	my $column = $w->column($table, sub { !$_[0]{generated} && !$_[0]{identity} });

	return "ALTER $column->{name} SET DEFAULT " . Columns::any_default($w, $column);
}

sub drop_default
{
	my ($w, $table) = @_;
	my $column = $w->column($table, sub { !$_[0]{generated} && !$_[0]{identity} });

	return "ALTER COLUMN $column->{name} DROP DEFAULT";
}

sub set_not_null
{
	my ($w, $table) = @_;
	my $column = $w->column($table, sub { !$_[0]{not_null} || $w->chance(20) });

	return "ALTER COLUMN $column->{name} SET NOT NULL";
}

sub drop_not_null
{
	my ($w, $table) = @_;
	my $column =
	  own_column($w, $table, sub { !$_[0]{identity} && ($_[0]{not_null} || $w->chance(10)) });

	return "ALTER COLUMN $column->{name} DROP NOT NULL";
}

sub set_expression
{
	my ($w, $table) = @_;
	my $column = own_column($w, $table, sub { $_[0]{generated} });
	my $expression = Columns::generation($w, $column, $table) // 'NULL';

	return "ALTER $column->{name} SET EXPRESSION AS ($expression)";
}

sub drop_expression
{
	my ($w, $table) = @_;
	my $column = own_column($w, $table, sub { $_[0]{generated} });

	return "ALTER $column->{name} DROP EXPRESSION" . $w->maybe(20, ' IF EXISTS');
}

sub add_identity
{
	my ($w, $table) = @_;
	return if $table->{is_partition};
	my $column = own_column($w, $table,
		sub {
			Types::is_integer($_[0]) && $_[0]{not_null} && !$_[0]{has_default} && !$_[0]{identity};
		});

	return "ALTER $column->{name} ADD" . Columns::identity($w);
}

sub set_identity
{
	my ($w, $table) = @_;
	my $column = own_column($w, $table, sub { $_[0]{identity} });

	return "ALTER $column->{name} "
	  . $w->pick(
		'SET GENERATED ALWAYS', 'SET GENERATED BY DEFAULT SET INCREMENT BY 3',
		'RESTART WITH 1000', 'RESTART', 'SET CACHE 5');
}

sub drop_identity
{
	my ($w, $table) = @_;
	my $column = own_column($w, $table, sub { $_[0]{identity} });

	return "ALTER $column->{name} DROP IDENTITY" . $w->maybe(20, ' IF EXISTS');
}

# Of an index by the number of its column, which has to be an expression.
sub set_statistics
{
	my ($w, $relation) = @_;

	if ($relation->{index})
	{
		$w->nothing unless $relation->{index}{expression};
		return 'ALTER 1 SET STATISTICS 50';
	}
	return 'ALTER ' . $w->column($relation)->{name} . ' SET STATISTICS ' . $w->pick(-1, 0, 10, 500);
}

sub set_attribute
{
	my ($w, $relation) = @_;

	return 'ALTER '
	  . $w->column($relation)->{name}
	  . ' SET ('
	  . $w->pick('n_distinct = 5', 'n_distinct_inherited = -0.5') . ')';
}

sub reset_attribute
{
	my ($w, $relation) = @_;

	return 'ALTER ' . $w->column($relation)->{name} . ' RESET (n_distinct)';
}

my $is_long = qr/^(?:text|varchar|jsonb?|bytea|_\w+|numeric|tsvector)$/;

sub set_storage
{
	my ($w, $relation) = @_;
	my $column = $w->column($relation, sub { $_[0]{family} =~ $is_long });

	return "ALTER $column->{name} SET STORAGE " . Columns::storage_kind($w);
}

sub set_compression
{
	my ($w, $relation) = @_;
	my $column = $w->column($relation, sub { $_[0]{family} =~ $is_long });

	return "ALTER $column->{name} SET COMPRESSION " . $w->pick('pglz', 'default');
}

# ---- constraints

sub add_constraint
{
	my ($w, $table) = @_;
	my $text = Constraints::any($w, $table, 1);

	return $text ? "ADD $text" : undef;
}

sub add_using_index
{
	my ($w, $table) = @_;
	my @indexes = grep {
			 $_->{unique}
		  && $_->{valid}
		  && !$_->{constraint}
		  && !$_->{partial}
		  && !$_->{expression}
		  && $_->{am} eq 'btree'
	} @{ $table->{indexes} };
	my $index = $w->one_of(@indexes);
	my $kind = !Constraints::has_primary_key($table) && $w->chance(50) ? 'PRIMARY KEY' : 'UNIQUE';

	return 'ADD '
	  . $w->maybe(50, 'CONSTRAINT ' . $w->fresh('k') . ' ')
	  . "$kind USING INDEX $index->{name}"
	  . Constraints::deferral($w, 15);
}

sub alter_constraint
{
	my ($w, $table) = @_;
	my $constraint = $w->constraint($table,
		sub { !$_[0]{is_child} && ($_[0]{kind} eq 'f' || ($_[0]{kind} =~ /[cn]/ && $w->at_least(18))) });
	my @changes = $constraint->{kind} eq 'n' ? ('INHERIT', 'NO INHERIT') : ();

	if ($constraint->{kind} eq 'f')
	{
		@changes = ('DEFERRABLE', 'NOT DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED');
		push @changes, ('ENFORCED', 'NOT ENFORCED') x 2 if $w->at_least(18);
	}
	elsif ($constraint->{kind} eq 'c')
	{
		$w->nothing unless $w->at_least(19);
		@changes = ('ENFORCED', 'NOT ENFORCED');
	}
	return "ALTER CONSTRAINT $constraint->{name} " . $w->pick(@changes);
}

sub validate
{
	my ($w, $table) = @_;
	my $constraint = $w->constraint($table,
		sub { $_[0]{kind} =~ /[cfn]/ && $_[0]{enforced} && (!$_[0]{valid} || $w->chance(10)) });

	return "VALIDATE CONSTRAINT $constraint->{name}";
}

sub drop_constraint
{
	my ($w, $table) = @_;
	my $constraint =
	  $w->constraint($table, sub { $_[0]{inherited} == 0 && !$_[0]{is_child} || $w->chance(3) });

	return 'DROP CONSTRAINT ' . $w->if_exists . $constraint->{name} . $w->behavior(45);
}

# ---- the rest

sub switch_trigger
{
	my ($w, $table) = @_;
	my @names = map { $_->{name} } @{ $table->{triggers} };
	my $how = $w->pick('ENABLE', 'DISABLE', 'DISABLE', 'ENABLE REPLICA', 'ENABLE ALWAYS');

	push @names, 'ALL', 'USER' if $how !~ / /;
	return "$how TRIGGER " . $w->one_of(@names);
}

sub switch_rule
{
	my ($w, $relation) = @_;

	return $w->pick('ENABLE', 'DISABLE', 'ENABLE REPLICA', 'ENABLE ALWAYS') . ' RULE '
	  . $w->one_of(@{ $relation->{rules} })->{name};
}

sub row_security
{
	my ($w) = @_;

	return $w->pick('ENABLE', 'DISABLE', 'FORCE', 'NO FORCE') . ' ROW LEVEL SECURITY';
}

sub cluster_on
{
	my ($w, $relation) = @_;
	my $index = $w->one_of(
		grep { $_->{am} =~ /^(?:btree|gist)$/ && !$_->{partial} && $_->{valid} } @{ $relation->{indexes} });

	return "CLUSTER ON $index->{name}";
}

sub set_logged
{
	my ($w, $table) = @_;

	return if $table->{persistence} eq 't';
	return $w->pick('SET LOGGED', 'SET UNLOGGED');
}

sub set_tablespace
{
	my ($w) = @_;

	return 'SET TABLESPACE ' . $w->pick('pg_default', 'fz_space');
}

sub set_access_method
{
	my ($w) = @_;

	return 'SET ACCESS METHOD ' . $w->pick('heap', 'heap2', $w->at_least(17) ? 'DEFAULT' : 'heap');
}

sub set_reloption
{
	my ($w, $relation) = @_;

	return 'SET (security_barrier = ' . $w->pick('true', 'false') . ')' if $relation->{kind} eq 'v';
	return 'SET (fillfactor = ' . $w->between(50, 100) . ')'
	  if $relation->{kind} eq 'i' && $relation->{am} =~ /tree|hash|gist/;
	$w->nothing if $relation->{kind} eq 'i';
	return 'SET (' . Tables::reloption($w) . ')';
}

sub reset_reloption
{
	my ($w, $relation) = @_;

	return $relation->{kind} eq 'v'
	  ? 'RESET (security_barrier)'
	  : $w->pick('RESET (fillfactor)', 'RESET (autovacuum_enabled, parallel_workers)');
}

sub inherit
{
	my ($w, $table) = @_;

	return if $table->{is_partition} || $table->{of};
	my %is_family = map { $_->{oid} => 1 } $w->family($table), @{ $table->{parents} };
	my $parent = $w->relation('r',
		sub { !$_[0]{is_partition} && !$is_family{ $_[0]{oid} } && Partitions::fits_below($_[0], $table) });

	return "INHERIT $parent->{sql}";
}

sub no_inherit
{
	my ($w, $table) = @_;

	return if $table->{is_partition};
	return 'NO INHERIT ' . $w->one_of(@{ $table->{parents} })->{sql};
}

sub of_type
{
	my ($w, $table) = @_;
	my @types = grep {
		my $type = $_;

		@{ $type->{columns} } == @{ $table->{columns} } && !grep {
			$type->{columns}[$_]{name} ne $table->{columns}[$_]{name}
			  || $type->{columns}[$_]{type} ne $table->{columns}[$_]{type}
		} 0 .. $#{ $type->{columns} };
	} grep { $_->{typtype} eq 'c' } @{ $w->{catalog}{types} };

	return if @{ $table->{parents} };
	return 'OF ' . $w->one_of(@types)->{sql};
}

sub not_of
{
	my ($w, $table) = @_;

	return $table->{of} ? 'NOT OF' : undef;
}

sub owner
{
	my ($w, $relation) = @_;

	return if $relation->{owned};
	return 'OWNER TO ' . $w->pick($w->role, $w->role, 'CURRENT_USER', 'SESSION_USER');
}

sub replica_identity
{
	my ($w, $table) = @_;
	my @indexes = grep {
			 $_->{unique}
		  && $_->{immediate}
		  && $_->{valid}
		  && !$_->{partial}
		  && !$_->{expression}
		  && !grep { !$_->{not_null} } @{ $_->{columns} }
	} @{ $table->{indexes} };

	return 'REPLICA IDENTITY USING INDEX ' . $w->pick(@indexes)->{name} if @indexes && $w->chance(60);
	return 'REPLICA IDENTITY ' . $w->pick('FULL', 'NOTHING', 'DEFAULT');
}

# ---- names

sub rename_column
{
	my ($w) = @_;
	my $relation = $w->relation('rpvm', sub { !$_[0]{of} && @{ $_[0]{columns} } });
	my $column = own_column($w, $relation);
	my $new = Columns::name_for($w, $column, $relation);
	my $command = { v => 'VIEW', m => 'MATERIALIZED VIEW' }->{ $relation->{kind} };

	return 'ALTER '
	  . ($command && $w->chance(50) ? $command : 'TABLE') . ' '
	  . $w->maybe(10, 'IF EXISTS ')
	  . $w->named($relation)
	  . ' RENAME '
	  . $w->maybe(50, 'COLUMN ')
	  . "$column->{name} TO $new";
}

sub rename_constraint
{
	my ($w) = @_;
	my $table = $w->table(sub { @{ $_[0]{constraints} } });
	my $constraint = $w->constraint($table, sub { !$_[0]{inherited} || $w->chance(5) });

	return 'ALTER TABLE '
	  . $w->named($table)
	  . " RENAME CONSTRAINT $constraint->{name} TO "
	  . $w->fresh('k');
}

my %command_for = (
	r => 'TABLE',
	p => 'TABLE',
	v => 'VIEW',
	m => 'MATERIALIZED VIEW',
	i => 'INDEX',
	I => 'INDEX',
	S => 'SEQUENCE');

sub rename
{
	my ($w) = @_;
	my $relation = $w->relation('rrrpvmiIS');
	my $command = $command_for{ $relation->{kind} };

	return 'ALTER '
	  . ($w->chance(60) ? $command : 'TABLE') . ' '
	  . $w->named($relation)
	  . ' RENAME TO '
	  . $w->fresh(lc substr $command, 0, 1);
}

sub set_schema
{
	my ($w) = @_;
	my $relation = $w->relation('rpvmS', sub { $_[0]{persistence} ne 't' && !$_[0]{owned} });
	my $command = $command_for{ $relation->{kind} };

	return 'ALTER '
	  . ($w->chance(60) ? $command : 'TABLE')
	  . " $relation->{sql} SET SCHEMA "
	  . ($relation->{schema} eq 'f' ? 'g' : 'f');
}

sub move_all
{
	my ($w) = @_;

	return 'ALTER '
	  . $w->pick('TABLE', 'INDEX', 'MATERIALIZED VIEW')
	  . ' ALL IN TABLESPACE fz_space '
	  . $w->maybe(30, 'OWNED BY fz_owner ')
	  . 'SET TABLESPACE pg_default';
}

1;

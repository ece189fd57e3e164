# What ends things, moves them or looks after them: DROP, TRUNCATE, REINDEX,
# VACUUM, GRANT and the like.

package Commands;

use strict;
use warnings;

use Objects;

sub entries
{
	return (
		{ kind => 'DROP TABLE', weight => 7, sql => \&drop_table },
		{ kind => 'DROP INDEX', weight => 6, sql => \&drop_index },
		{ kind => 'DROP INDEX CONCURRENTLY', weight => 3, sql => \&drop_index_concurrently, outside => 1 },
		{ kind => 'DROP VIEW', weight => 3, sql => \&drop_view },
		{ kind => 'DROP MATERIALIZED VIEW', weight => 2, sql => \&drop_matview },
		{ kind => 'DROP SEQUENCE', weight => 2, sql => \&drop_sequence },
		{ kind => 'DROP TYPE', weight => 2, sql => \&drop_type },
		{ kind => 'DROP FUNCTION', weight => 1, sql => \&drop_function },
		{ kind => 'DROP TRIGGER', weight => 2, sql => \&drop_trigger },
		{ kind => 'DROP RULE', weight => 2, sql => \&drop_rule },
		{ kind => 'DROP POLICY', weight => 2, sql => \&drop_policy },
		{ kind => 'DROP STATISTICS', weight => 2, sql => \&drop_statistics },
		{ kind => 'DROP PUBLICATION', weight => 2, sql => \&drop_publication },
		{ kind => 'DROP SCHEMA', weight => 1, sql => \&drop_schema },
		{ kind => 'DROP OWNED', weight => 1, sql => sub { 'DROP OWNED BY ' . $_[0]->pick(qw(fz_owner fz_other)) . $_[0]->behavior(70) } },
		{ kind => 'REASSIGN OWNED', weight => 1, sql => sub { 'REASSIGN OWNED BY ' . $_[0]->pick(qw(fz_owner fz_other)) . ' TO ' . $_[0]->role } },
		{ kind => 'TRUNCATE', weight => 6, sql => \&truncate_tables },
		{ kind => 'REINDEX', weight => 6, sql => \&reindex },
		{ kind => 'REINDEX partitioned', weight => 2, sql => \&reindex_partitioned, outside => 1 },
		{ kind => 'REINDEX CONCURRENTLY', weight => 4, sql => \&reindex_concurrently, outside => 1 },
		{ kind => 'REINDEX SCHEMA', weight => 1, sql => sub { 'REINDEX SCHEMA ' . $_[0]->maybe(40, 'CONCURRENTLY ') . $_[0]->pick('f', 'g') }, outside => 1 },
		{ kind => 'CLUSTER', weight => 6, sql => \&cluster },
		{ kind => 'CLUSTER all', weight => 1, sql => sub { $_[0]->pick('CLUSTER', 'CLUSTER VERBOSE') }, outside => 1 },
		{ kind => 'REPACK', weight => 6, sql => \&repack, outside => 1, since => 19 },
		{ kind => 'VACUUM', weight => 3, sql => \&vacuum, outside => 1 },
		{ kind => 'VACUUM FULL', weight => 5, sql => \&vacuum_full, outside => 1 },
		{ kind => 'ANALYZE', weight => 4, grow => 2, sql => \&analyze },
		{ kind => 'LOCK TABLE', weight => 4, sql => \&lock_table, inside => 1 },
		{ kind => 'REFRESH MATERIALIZED VIEW', weight => 5, sql => \&refresh },
		{ kind => 'REFRESH MATERIALIZED VIEW CONCURRENTLY', weight => 4, sql => \&refresh_concurrently },
		{ kind => 'COMMENT', weight => 4, sql => \&comment },
		{ kind => 'GRANT', weight => 4, sql => \&grant },
		{ kind => 'REVOKE', weight => 2, sql => \&revoke },
		{ kind => 'ALTER DEFAULT PRIVILEGES', weight => 1, sql => sub { 'ALTER DEFAULT PRIVILEGES IN SCHEMA f GRANT SELECT ON TABLES TO ' . $_[0]->role } });
}

# ---- DROP

# One, or two of the same sort.
sub list
{
	my ($w, @objects) = @_;

	$w->nothing unless @objects;
	return join ', ', map { $w->named($_) } $w->some(1, $w->pick(1, 1, 1, 2, 3), @objects);
}

sub drop_table
{
	my ($w) = @_;

	return 'DROP TABLE ' . $w->if_exists . list($w, $w->relations('rp')) . $w->behavior(60);
}

sub free_indexes
{
	my ($w, $kinds) = @_;

	return $w->relations($kinds,
		sub {
			$_[0]{index} && (!$_[0]{index}{constraint} && !$_[0]{is_partition} || $w->chance(8));
		});
}

sub drop_index
{
	my ($w) = @_;

	return 'DROP INDEX ' . $w->if_exists . list($w, free_indexes($w, 'iI')) . $w->behavior(25);
}

sub drop_index_concurrently
{
	my ($w) = @_;

	return 'DROP INDEX CONCURRENTLY ' . $w->if_exists . $w->one_of(free_indexes($w, 'i'))->{sql};
}

sub drop_view
{
	my ($w) = @_;

	return 'DROP VIEW ' . $w->if_exists . list($w, $w->relations('v')) . $w->behavior(50);
}

sub drop_matview
{
	my ($w) = @_;

	return 'DROP MATERIALIZED VIEW ' . $w->if_exists . list($w, $w->relations('m')) . $w->behavior(50);
}

sub drop_sequence
{
	my ($w) = @_;

	return 'DROP SEQUENCE '
	  . $w->if_exists
	  . list($w, $w->relations('S', sub { ($_[0]{owned} || '') ne 'i' }))
	  . $w->behavior(60);
}

sub drop_type
{
	my ($w) = @_;
	my $type = $w->type('ecrd');

	return 'DROP '
	  . ($type->{typtype} eq 'd' && $w->chance(70) ? 'DOMAIN ' : 'TYPE ')
	  . $w->if_exists
	  . $type->{sql}
	  . $w->behavior(60);
}

sub drop_function
{
	my ($w) = @_;

	return 'DROP ROUTINE ' . $w->if_exists . $w->function->{sql} . $w->behavior(50);
}

sub drop_part
{
	my ($w, $sort, $command) = @_;
	my ($relation, $part) = Objects::part_of($w, $sort);

	return "DROP $command " . $w->if_exists . "$part->{name} ON " . $w->named($relation) . $w->behavior(20);
}

sub drop_trigger
{
	return drop_part($_[0], 'triggers', 'TRIGGER');
}

sub drop_rule
{
	return drop_part($_[0], 'rules', 'RULE');
}

sub drop_policy
{
	return drop_part($_[0], 'policies', 'POLICY');
}

sub drop_statistics
{
	my ($w) = @_;

	return 'DROP STATISTICS ' . $w->if_exists . list($w, @{ $w->{catalog}{statistics} });
}

sub drop_publication
{
	my ($w) = @_;

	return 'DROP PUBLICATION ' . $w->one_of(@{ $w->{catalog}{publications} })->{name};
}

# It is there again at once, for others to move into.
sub drop_schema
{
	my ($w) = @_;

	return ('DROP SCHEMA g' . $w->behavior(70), 'CREATE SCHEMA IF NOT EXISTS g');
}

# ---- what takes a table as a whole

sub truncate_tables
{
	my ($w) = @_;

	return 'TRUNCATE '
	  . $w->maybe(50, 'TABLE ')
	  . $w->only(10)
	  . list($w, $w->relations('rp'))
	  . $w->maybe(20, $w->pick(' RESTART IDENTITY', ' CONTINUE IDENTITY'))
	  . $w->behavior(45);
}

sub reindex_options
{
	my ($w) = @_;

	return $w->maybe(20, '(' . $w->pick('VERBOSE', 'TABLESPACE fz_space', 'TABLESPACE pg_default') . ') ');
}

sub reindex
{
	my ($w) = @_;

	return 'REINDEX '
	  . reindex_options($w)
	  . (
		$w->chance(50)
		? 'INDEX ' . $w->named($w->any_index(sub { $_[0]{kind} eq 'i' }))
		: 'TABLE ' . $w->named($w->relation('rm')));
}

sub reindex_partitioned
{
	my ($w) = @_;

	return 'REINDEX '
	  . reindex_options($w)
	  . (
		$w->chance(50)
		? 'INDEX ' . $w->named($w->any_index(sub { $_[0]{kind} eq 'I' }))
		: 'TABLE ' . $w->named($w->relation('p')));
}

sub reindex_concurrently
{
	my ($w) = @_;

	return 'REINDEX '
	  . reindex_options($w)
	  . (
		$w->chance(50)
		? 'INDEX CONCURRENTLY ' . $w->named($w->any_index)
		: 'TABLE CONCURRENTLY ' . $w->named($w->relation('rmp')));
}

sub can_cluster
{
	my ($index) = @_;

	return $index->{am} =~ /^(?:btree|gist)$/ && !$index->{partial} && $index->{valid};
}

# By an index that is named, or the one that the last time was by.
sub clustered
{
	my ($w, $kinds) = @_;
	my $relation = $w->relation($kinds, sub { grep { can_cluster($_) } @{ $_[0]{indexes} } });
	my ($marked) = grep { $_->{clustered} } @{ $relation->{indexes} };
	my $index = $w->pick(grep { can_cluster($_) } @{ $relation->{indexes} });

	return ($relation, $marked && $w->chance(50) ? undef : $index);
}

# A partitioned table cannot be clustered in a block: it is drawn seldom.
sub cluster
{
	my ($w) = @_;
	my ($relation, $index) = clustered($w, $w->chance(90) ? 'rm' : 'p');

	return 'CLUSTER '
	  . $w->maybe(10, 'VERBOSE ')
	  . $w->named($relation)
	  . ($index ? " USING $index->{name}" : '');
}

sub repack
{
	my ($w) = @_;
	my $options = $w->pick('', '', '', '(VERBOSE) ', '(ANALYZE) ', '(CONCURRENTLY) ');

	return "REPACK $options" . $w->named($w->relation('rpm')) if $w->chance(50);
	my ($relation, $index) = clustered($w, 'rm');

	return "REPACK $options" . $w->named($relation) . ' USING INDEX' . ($index ? " $index->{name}" : '');
}

sub vacuum
{
	my ($w) = @_;
	my $tables = list($w, $w->relations('rpm'));

	return $w->pick(
		"VACUUM $tables",
		"VACUUM ANALYZE $tables",
		"VACUUM (FREEZE, INDEX_CLEANUP off) $tables",
		"VACUUM (TRUNCATE false, SKIP_LOCKED) $tables");
}

sub vacuum_full
{
	my ($w) = @_;
	my $tables = list($w, $w->relations('rpm'));

	return $w->pick("VACUUM FULL $tables", "VACUUM (FULL, ANALYZE) $tables", "VACUUM (FULL, FREEZE) $tables");
}

sub analyze
{
	my ($w) = @_;
	my $table = $w->relation('rpm', sub { @{ $_[0]{columns} } });

	return 'ANALYZE ' . $w->maybe(10, 'VERBOSE ') . $w->named($table)
	  . ($w->chance(25) ? ' (' . $w->column($table)->{name} . ')' : '');
}

sub lock_table
{
	my ($w) = @_;

	return 'LOCK TABLE '
	  . $w->only(10)
	  . list($w, $w->relations('rpv')) . ' IN '
	  . $w->pick(
		'ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE',
		'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE')
	  . ' MODE'
	  . $w->maybe(10, ' NOWAIT');
}

sub refresh
{
	my ($w) = @_;

	return 'REFRESH MATERIALIZED VIEW '
	  . $w->named($w->relation('m'))
	  . $w->maybe(25, $w->pick(' WITH NO DATA', ' WITH DATA'));
}

# With the index that it needs, where there is none.
sub refresh_concurrently
{
	my ($w) = @_;
	my $view = $w->relation('m', sub { $_[0]{populated} && @{ $_[0]{columns} } });
	my $has = grep { $_->{unique} && !$_->{partial} && !$_->{expression} } @{ $view->{indexes} };

	return (
		$has ? () : 'CREATE UNIQUE INDEX ON ' . $view->{sql} . ' (' . $w->column($view)->{name} . ')',
		"REFRESH MATERIALIZED VIEW CONCURRENTLY $view->{sql}");
}

# ---- words and rights

sub comment
{
	my ($w) = @_;
	my $relation = $w->relation('rpvmiIS');
	my $command = {
		r => 'TABLE',
		p => 'TABLE',
		v => 'VIEW',
		m => 'MATERIALIZED VIEW',
		i => 'INDEX',
		I => 'INDEX',
		S => 'SEQUENCE',
	}->{ $relation->{kind} };
	my $text = $w->pick(q{'fuzz'}, q{'fuzz'}, 'NULL');

	if (@{ $relation->{columns} } && $w->chance(40))
	{
		return "COMMENT ON COLUMN $relation->{sql}." . $w->column($relation)->{name} . " IS $text";
	}
	if (@{ $relation->{constraints} } && $w->chance(30))
	{
		return 'COMMENT ON CONSTRAINT '
		  . $w->constraint($relation)->{name}
		  . " ON $relation->{sql} IS $text";
	}
	return "COMMENT ON $command $relation->{sql} IS $text";
}

sub grant
{
	my ($w) = @_;
	my $relation = $w->relation('rpvm', sub { @{ $_[0]{columns} } });
	my $role = $w->role;

	return $w->pick(
		'GRANT ' . $w->pick('SELECT', 'ALL', 'INSERT, TRUNCATE', 'REFERENCES') . " ON $relation->{sql} TO $role",
		'GRANT SELECT (' . $w->column($relation)->{name} . ") ON $relation->{sql} TO $role",
		"GRANT SELECT ON ALL TABLES IN SCHEMA f TO $role",
		"GRANT CREATE, USAGE ON SCHEMA f TO $role");
}

sub revoke
{
	my ($w) = @_;
	my $relation = $w->relation('rpvm');

	return $w->pick(
		"REVOKE SELECT ON $relation->{sql} FROM " . $w->role . $w->behavior(30),
		'REVOKE INSERT ON ALL TABLES IN SCHEMA f FROM ' . $w->role);
}

1;

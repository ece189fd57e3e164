# How statements are run: by themselves, in a transaction block, from a function,
# several in one message, as another role.

package Units;

use strict;
use warnings;

use AlterTable;
use Commands;
use Objects;
use Partitions;
use Tables;
use TypeChanges;
use World;

my @entries = (
	Tables::entries(), AlterTable::entries(), Partitions::entries(),
	Objects::entries(), TypeChanges::entries(), Commands::entries());

my @units = (
	{ weight => 48, run => \&alone },
	{ weight => 13, run => \&block },
	{ weight => 8, run => \&from_function },
	{ weight => 5, run => \&in_one_message },
	{ weight => 10, run => \&extended },
	{ weight => 3, run => \&as_other_role },
	{ weight => 4, run => \&setting });

# The kinds of statements that this server has.
sub kinds
{
	my ($w) = @_;

	return ((map { $_->{kind} } available($w, sub { !$_[0]{quiet} && $_[0]{kind} ne 'ALTER TABLE' })),
		AlterTable::kinds($w));
}

sub available
{
	my ($w, $filter) = @_;

	return grep {
		     $w->at_least($_->{since} || 0)
		  && (!$_->{needs} || $w->{has}{ $_->{needs} })
		  && (!$filter || $filter->($_))
	} @entries;
}

# A statement for which there is something: { kinds, sql => [...], outside }.
sub draw
{
	my ($w, $filter, $weight) = @_;
	my @fitting = map { { weight => $_->{ $weight // 'weight' }, entry => $_ } }
	  available($w, sub { $_[0]{ $weight // 'weight' } && (!$filter || $filter->($_[0])) });

	foreach my $attempt (1 .. 100)
	{
		my $entry = $w->weighted(@fitting)->{entry};

		$w->begin_statement;
		my @sql = eval { $entry->{sql}->($w) };

		if ($@)
		{
			die $@ if $@ ne World::NOTHING();
			next;
		}
		my $drawn = ref $sql[0] ? $sql[0] : { kinds => [ $entry->{kind} ], sql => $sql[0] };

		return {
			kinds => $entry->{quiet} ? undef : $drawn->{kinds},
			sql => ref $sql[0] ? [ $drawn->{sql} ] : \@sql,
			outside => $entry->{outside},
		};
	}
	die "nothing at all fits\n";
}

# To read the catalog takes longer than most statements do: often what it was a
# statement or two ago is good enough.
sub current
{
	my ($r, $w, $percent) = @_;

	if ($r->{dirty} && $r->{status} ne 'E' && $w->chance($percent))
	{
		$w->refresh($r->{session});
		$r->{dirty} = 0;
	}
	return;
}

# Where a statement consists of several, what counts is the last.
sub run_drawn
{
	my ($r, $drawn, $extended) = @_;
	my @sql = @{ $drawn->{sql} };
	my $last = pop @sql;

	$r->run($_, undef, $extended) foreach @sql;
	return $r->run($last, $drawn->{kinds}, $extended);
}

sub grow
{
	my ($r, $w, $filter) = @_;

	current($r, $w, 100);
	run_drawn($r, draw($w, $filter, 'grow'));
	return;
}

sub unit
{
	my ($r, $w) = @_;

	current($r, $w, 60);
	$w->weighted(@units)->{run}->($r, $w);
	return;
}

sub alone
{
	my ($r, $w) = @_;

	run_drawn($r, draw($w, \&outside));
	return;
}

sub extended
{
	my ($r, $w) = @_;

	run_drawn($r, draw($w, \&outside), 1);
	return;
}

sub outside
{
	my ($entry) = @_;

	return !$entry->{inside};
}

sub inside
{
	my ($entry) = @_;

	return !$entry->{outside};
}

# With a savepoint before each statement, or until the first that fails.
sub block
{
	my ($r, $w) = @_;
	my $guarded = $w->chance(70);

	$r->run('BEGIN' . $w->maybe(10, $w->pick(' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE')));
	foreach my $step (1 .. $w->between(1, 7))
	{
		current($r, $w, 60);
		$r->run("SAVEPOINT a$step") if $guarded || $w->chance(10);
		block_step($r, $w);
		if ($r->{status} eq 'E')
		{
			last unless $guarded;
			$r->run("ROLLBACK TO a$step");
		}
		elsif ($guarded && $w->chance(15))
		{
			$r->run("ROLLBACK TO a$step");
		}
		elsif ($guarded && $w->chance(40))
		{
			$r->run("RELEASE a$step");
		}
	}
	return end_block($r, $w);
}

sub block_step
{
	my ($r, $w) = @_;

	return run_drawn($r, draw($w, \&inside)) unless $w->chance(12);
	my ($table) = $w->some(1, 1, $w->relations('rp'));

	return unless $table;
	return $r->run(
		$w->pick(
			"SELECT count(*) FROM $table->{sql}",
			"SELECT 1 FROM $table->{sql} FOR UPDATE",
			'SET CONSTRAINTS ALL IMMEDIATE',
			'SET CONSTRAINTS ALL DEFERRED',
			"LOCK TABLE $table->{sql} IN SHARE ROW EXCLUSIVE MODE",
			"LOCK TABLE $table->{sql} IN ACCESS EXCLUSIVE MODE"));
}

sub end_block
{
	my ($r, $w) = @_;

	if ($w->chance(6) && $r->{status} eq 'T')
	{
		$r->run(q{PREPARE TRANSACTION 'fz'})
		  && $r->run($w->pick('COMMIT', 'ROLLBACK') . q{ PREPARED 'fz'});
		return;
	}
	$r->run($w->chance(65) ? 'COMMIT' : 'ROLLBACK');
	return;
}

sub from_function
{
	my ($r, $w) = @_;
	my $drawn = draw($w, \&inside);
	my @sql = map { "\$s\$$_\$s\$" } @{ $drawn->{sql} };

	if ($w->chance(60))
	{
		$r->run('DO $d$ BEGIN ' . join(' ', map { "EXECUTE $_;" } @sql) . ' END $d$', $drawn->{kinds});
		return;
	}
	my $how = $w->pick('SELECT lib.run', 'CALL lib.call');

	run_drawn($r, { %$drawn, sql => [ map { "$how($_)" } @sql ] });
	return;
}

# All are drawn from the catalog as it is before the first.
sub in_one_message
{
	my ($r, $w) = @_;
	my @drawn = map { draw($w, \&inside) } 1 .. $w->between(2, 3);

	$r->run(join(";\n", map { @{ $_->{sql} } } @drawn), [ map { @{ $_->{kinds} || [] } } @drawn ]);
	return;
}

sub as_other_role
{
	my ($r, $w) = @_;

	$r->run('SET ROLE ' . $w->pick('fz_owner', 'fz_other'));
	foreach (1 .. $w->between(1, 4))
	{
		current($r, $w, 60);
		run_drawn($r, draw($w, \&outside));
	}
	$r->run('RESET ROLE');
	return;
}

sub setting
{
	my ($r, $w) = @_;

	$r->run('SET ' . $w->pick(
			q{TimeZone = 'UTC'},
			q{TimeZone = 'Europe/Berlin'},
			q{TimeZone = 'UTC'},
			q{TimeZone = 'America/New_York'},
			'default_table_access_method = heap2',
			'default_table_access_method = heap',
			q{default_tablespace = 'fz_space'},
			q{default_tablespace = ''},
			'max_parallel_maintenance_workers = 0',
			'check_function_bodies = off',
			'enable_seqscan = off',
			'enable_seqscan = on',
			'search_path = g, f, lib',
			'search_path = f, g, lib'));
	return;
}

1;

# The cases of RollbackCases.pm and RollbackTables.pm on a server: what there is
# before the migration, the migration, and the rows that have to be there in the
# end, which a twin database without migrations has.
#
#     my $world = RollbackWorld->new($node, $directory);
#     my $case = $world->case('plain: drop');
#     my $error = $world->set_up($case);		# '' is success
#     $error = $world->migrate($case);
#     $error = $world->write($case);

package RollbackWorld;

use strict;
use warnings;

use RollbackCases qw(single_cases);
use RollbackCheck;
use RollbackTables qw(table_cases);

our $configuration = q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = observe
restart_after_crash = on
autovacuum = off
wal_level = logical
max_worker_processes = 16
};

# $elsewhere is an empty directory, for a tablespace.
sub new
{
	my ($class, $node, $elsewhere) = @_;
	my $self = bless { node => $node, databases => 0, number => 0 }, $class;

	$node->safe_psql(
		'postgres', qq{
CREATE TABLESPACE elsewhere LOCATION '$elsewhere';
CREATE ROLE regress_owner;
CREATE ROLE regress_user;
CREATE ROLE regress_other;
CREATE DATABASE prepared;
CREATE DATABASE twin;
});
	$node->safe_psql('prepared', 'CREATE EXTENSION safe_migrate');
	$self->{major} = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
	$self->{available} = { map { $_ => 1 } split /\n/,
		$node->safe_psql('postgres', 'SELECT name FROM pg_available_extensions') };
	foreach my $database ('prepared', 'twin')
	{
		$node->safe_psql($database, 'CREATE SCHEMA regress_elsewhere');
		$node->safe_psql($database, 'CREATE EXTENSION file_fdw') if $self->{available}{file_fdw};
		$node->safe_psql($database, 'CREATE EXTENSION amcheck SCHEMA pg_catalog') if $self->{available}{amcheck};
	}
	$self->{twin} = RollbackCheck->new($node, 'twin');
	$self->new_database;
	return $self;
}

# All cases for this server.
sub cases
{
	my ($self) = @_;

	return grep {
			 (!$_->{extension} || $self->{available}{ $_->{extension} })
		  && (!$_->{from} || $self->{major} >= $_->{from})
		  && (!$_->{to} || $self->{major} <= $_->{to})
	} map { defaults($_) } single_cases(), table_cases();
}

# One of them.
sub case
{
	my ($self, $name) = @_;
	my ($case) = grep { $_->{name} eq $name } $self->cases;

	die "there is no case \"$name\"" unless $case;
	return $case;
}

sub defaults
{
	my ($case) = @_;

	$case->{writes} //= '';
	$case->{plain} = $case->{refused} ? undef : $case->{writes} unless exists $case->{plain};
	$case->{as_of} = $case->{refused} ? undef : $case->{replaced} ? '' : $case->{plain} unless exists $case->{as_of};
	return $case;
}

# A database that nothing has happened to, to be the one that is used.
sub new_database
{
	my ($self) = @_;

	$self->{database} = 'rollback' . ++$self->{databases};
	$self->{node}->safe_psql('postgres', "CREATE DATABASE $self->{database} TEMPLATE prepared");
	$self->{check} = RollbackCheck->new($self->{node}, $self->{database});
	return $self->{check};
}

sub check
{
	my ($self) = @_;

	return $self->{check};
}

# ---- a case, step by step; each step returns what went wrong, or ''

# A number for a schema and a label of its own.
sub begin
{
	my ($self, $case) = @_;

	$self->{number}++;
	$case->{schema} = sprintf 's%04d', $self->{number};
	return "label$self->{number}";
}

# Statements of a case, as they run in its schema.
sub in_schema
{
	my ($case, $sql) = @_;

	$sql =~ s/:schema\b/$case->{schema}/g;
	return "SET client_min_messages = error; SET search_path = $case->{schema}; $sql";
}

sub set_up_in
{
	my ($seen, $case) = @_;

	return $seen->failure("SET safe_migrate.restore_points = off; CREATE SCHEMA $case->{schema}; "
		  . in_schema($case, $case->{setup}));
}

sub set_up
{
	my ($self, $case) = @_;

	return set_up_in($self->{check}, $case);
}

# What migrate() sends, as statements.
sub migration
{
	my ($self, $case) = @_;
	my $body = "SET search_path = $case->{schema}; $case->{change}" =~ s/:schema\b/$case->{schema}/gr;

	return ("SELECT migrate.apply('$self->{number}', \$body\$$body\$body\$)")
	  unless $case->{deploy};
	return ("SELECT migrate.register('$self->{number}', 'case', \$body\$$body\$body\$)",
		'CALL migrate.deploy()');
}

sub migrate
{
	my ($self, $case) = @_;

	foreach my $statement ($self->migration($case))
	{
		my $error = $self->{check}->failure($statement);

		return $error if $error ne '';
	}
	return '';
}

# What clients do after the migration.
sub write
{
	my ($self, $case) = @_;

	return $self->{check}->failure(in_schema($case, $case->{writes}));
}

# The case can do what it could.
sub usable
{
	my ($self, $case) = @_;
	my $check = $self->{check};
	my $vacuum = $check->query(
		qq{SELECT string_agg('VACUUM (ANALYZE) ' || oid::regclass, ';') FROM pg_class
WHERE relnamespace IN ('$case->{schema}'::regnamespace) AND relkind IN ('r', 'm')});

	return $check->failure(in_schema($case, "BEGIN; $case->{usable}; ROLLBACK"))
	  || $check->failure($vacuum)
	  || $check->corruption;
}

sub clean_up_in
{
	my ($seen, $case) = @_;
	my $before = 'SET client_min_messages = error; SET safe_migrate.mode = off; SET safe_migrate.restore_points = off;';

	$seen->failure("$before $case->{cleanup}") if $case->{cleanup};
	$seen->failure("$before DROP SCHEMA IF EXISTS $case->{schema} CASCADE");
	$seen->failure("$before DROP SCHEMA regress_elsewhere CASCADE; CREATE SCHEMA regress_elsewhere");
	return;
}

sub clean_up
{
	my ($self, $case) = @_;

	clean_up_in($self->{check}, $case);

	# what was rolled back is pending, and would have to run before later ones
	$self->{check}->failure("SELECT migrate.unregister('$self->{number}')");
	return;
}

# The rows that these writes alone lead to; and what went wrong.
sub expected
{
	my ($self, $case, $sql) = @_;
	my $twin = $self->{twin};
	my $error = set_up_in($twin, $case) || $twin->failure(in_schema($case, $sql));
	my $rows = $twin->rows;

	clean_up_in($twin, $case);
	return ($rows, $error);
}

1;

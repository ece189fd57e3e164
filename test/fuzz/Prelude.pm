# What all iterations of a run share: roles, a tablespace, the schema lib.  The
# scripts of what was found begin with it.

package Prelude;

use strict;
use warnings;

my @statements = (
	'CREATE ROLE fz_owner',
	'CREATE ROLE fz_other',
	'GRANT fz_owner TO fz_other',
	'SET allow_in_place_tablespaces = on',
	q{CREATE TABLESPACE fz_space LOCATION ''},
	'RESET allow_in_place_tablespaces',
	'GRANT CREATE ON TABLESPACE fz_space TO public',
	'CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler',
	'CREATE SCHEMA lib',
	'GRANT USAGE ON SCHEMA lib TO public',
	# plpgsql, so that the planner cannot look into them
	(
		map {
			"CREATE FUNCTION lib.$_(anyelement) RETURNS anyelement LANGUAGE plpgsql $_"
			  . q{ AS 'BEGIN RETURN $1; END'}
		} qw(immutable stable volatile)
	),
	q{CREATE FUNCTION lib.inlined(anyelement) RETURNS anyelement LANGUAGE sql VOLATILE AS 'SELECT $1'},
	q{CREATE FUNCTION lib.no_change() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN IF TG_OP = ''DELETE'' THEN RETURN OLD; END IF; RETURN NEW; END'},
	q{CREATE FUNCTION lib.run(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; END'},
	q{CREATE PROCEDURE lib.call(text) LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; END'},
	q{CREATE FUNCTION lib.on_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END'});

# Not every server can do these.
my @optional = (
	[ 'xml', q{SELECT '<a/>'::xml} ],
	[ 'merge', 'ALTER TABLE IF EXISTS lib.nothing MERGE PARTITIONS (a, b) INTO c' ],
	[ 'btree_gist', 'CREATE EXTENSION btree_gist SCHEMA lib' ],
	[ 'pg_trgm', 'CREATE EXTENSION pg_trgm SCHEMA lib' ],
	[ 'lib.icu', q{CREATE COLLATION lib.icu (provider = icu, locale = 'und')} ],
	[
		'lib.ci',
		q{CREATE COLLATION lib.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)}
	]);

my $cleaned = 0;

# What is there already is from a run before.
my $already = qr/^(?:42710|42P06|42723)$/;

# Makes it, and returns what the server can do: the statements that worked, and
# the names of what is optional and there.
sub make
{
	my ($session) = @_;
	my (@worked, %has);

	foreach my $statement (@statements)
	{
		my $error = $session->run($statement)->{error};

		die "$statement: $error->{M}\n" if $error && $error->{C} !~ $already;
		push @worked, $statement;
	}
	foreach my $optional (@optional)
	{
		my ($name, $statement) = @$optional;
		my $error = $session->run($statement)->{error};

		next if $error && $error->{C} !~ $already;
		$has{$name} = 1;
		push @worked, $statement if $statement =~ /^CREATE/;
	}
	return (\@worked, \%has);
}

# What every iteration begins with.
sub beginning
{
	return (
		'CREATE SCHEMA f',
		'CREATE SCHEMA g',
		'GRANT ALL ON SCHEMA f, g TO fz_owner',
		'SET search_path = f, g, lib');
}

# Whatever an iteration left goes away.
sub clean
{
	my ($session) = @_;

	$session->run($_)
	  foreach 'ROLLBACK', q{ROLLBACK PREPARED 'fz'}, 'RESET ROLE', 'RESET ALL', 'SET safe_migrate.mode = off';
	$session->run($_)
	  foreach 'DROP EVENT TRIGGER IF EXISTS fz_event', 'DISCARD TEMP',
	  map { "DROP SCHEMA $_->[0] CASCADE" }
	  $session->rows(q{SELECT nspname FROM pg_namespace WHERE nspname ~ '^(fz_schema|[fg]$)'});
	$session->run($_)
	  foreach 'DROP OWNED BY fz_owner, fz_other',
	  'GRANT CREATE ON TABLESPACE fz_space TO public', 'GRANT USAGE ON SCHEMA lib TO public',
	  map { "DROP PUBLICATION $_->[0]" } $session->rows('SELECT pubname FROM pg_publication');

	# many relations come and go, and nothing else tidies up behind them
	$session->run('VACUUM pg_class, pg_index, pg_attribute, pg_depend, pg_type, pg_constraint')
	  if $cleaned++ % 10 == 0;
	$session->run('RESET safe_migrate.mode');
	return;
}

1;

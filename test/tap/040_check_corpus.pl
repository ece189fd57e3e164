# migrate.check() over real migration histories: on an empty database nothing
# is refused and nothing is unknown; in the middle of a history it says in
# advance what the hook says when the same statements run.  And it waits for
# nobody longer than it was told to.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $corpus = $ENV{SAFE_MIGRATE_CORPUS}
  // dirname(abs_path(__FILE__)) . '/../../../shared/corpus';

my $node = PostgreSQL::Test::Cluster->new('check');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
autovacuum = off
max_prepared_transactions = 2
client_min_messages = error
});
$node->start;

sub read_files
{
	return join("\n;\n", map { slurp_file($_) } @_) . "\n;\n";
}

# The files of a history, in the order in which they are applied.
sub history
{
	my ($name) = @_;
	my $file = $name eq 'langfuse' ? 'migration.sql' : 'up.sql';
	my %files;

	# dashes in a version do not count
	foreach my $path (glob("$corpus/$name/*/$file"))
	{
		my ($version, $rest) = basename(dirname($path)) =~ /^([0-9-]+)(.*)$/;

		$version =~ s/-//g;
		$files{"$version$rest"} = $path;
	}
	return map { $files{$_} } sort keys %files;
}

# Check a script that is too long for a command line.
sub check_into_table
{
	my ($database, $script) = @_;
	my $path = $PostgreSQL::Test::Utils::tmp_check . '/script.sql';

	open(my $handle, '>', $path) or die "cannot write $path: $!";
	print $handle $script;
	close($handle);
	$node->safe_psql($database,
		"CREATE TABLE public.checked AS SELECT * FROM migrate.check(pg_read_file('$path'))"
	);
	return $path;
}

sub query
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

# A whole history on an empty database.
sub check_whole_history
{
	my ($name) = @_;
	my @files = history($name);
	my $database = "whole_$name";

	query('postgres', "CREATE DATABASE $database");
	query($database, 'CREATE EXTENSION safe_migrate');
	check_into_table($database, read_files(@files));
	cmp_ok(query($database, 'SELECT max(statement) FROM checked'),
		'>', scalar @files, "$name: every statement has a row");
	is( query(
			$database, q{
SELECT statement, command, action, message FROM checked
WHERE action NOT IN ('allow', 'note')
	AND message NOT LIKE 'type "ltree" does not exist, but CREATE EXTENSION on line % may change that %'
}),
		'',
		"$name: nothing is refused on an empty database");
	is(query($database, 'SELECT count(*) FROM checked WHERE rule IS NOT NULL'),
		0, "$name: no rule applies");
	return;
}

# Make every table non-empty for the server, but keep no row that a constraint
# of a later migration could be about.
my $fill_tables = q{
SET session_replication_role = replica;
CREATE FUNCTION pg_temp.value(type oid) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN typtype = 'e' THEN (SELECT quote_literal(enumlabel) || '::' || format_type(type, NULL)
			FROM pg_enum WHERE enumtypid = type LIMIT 1)
		WHEN typcategory = 'A' THEN '''{}'''
		WHEN typcategory = 'N' THEN '1'
		WHEN typcategory = 'B' THEN 'true'
		WHEN typcategory = 'D' THEN 'now()'
		WHEN typname IN ('json', 'jsonb') THEN '''{}'''
		ELSE '''x''' END
	FROM pg_type WHERE oid = type
$$;
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT c.oid::regclass AS rel,
			string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns,
			string_agg(pg_temp.value(atttypid), ', ' ORDER BY attnum) AS row
		FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
			AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
		GROUP BY 1
	LOOP
		BEGIN
			EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)',
				r.rel, r.columns, r.row);
			RAISE EXCEPTION 'undo';
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
END $$;
};

# The first migrations are run, the next ones checked and then run with
# warnings instead of refusals: the warnings must be those that were foretold.
# A table that is rewritten without a row in it is empty then, which no
# forecast can know; such tables are left out, and so is what a restore point
# does not bring back: of that a migration is warned, and psql runs none.
sub compare_with_hook
{
	my ($name, $first, $last) = @_;
	my @files = history($name);
	my $database = "half_${name}_$first";
	my $path;
	my $rewritten =
	  q{(SELECT relation FROM checked WHERE work = 'rewrite' AND relation IS NOT NULL)};
	my $foretold;
	my $warned;

	query('postgres', "CREATE DATABASE $database");
	query('postgres', "ALTER DATABASE $database SET safe_migrate.mode = off");
	$node->command_ok(
		[
			'psql', '-X', '-q', '-d', $node->connstr($database),
			map { ('-f', $_) } @files[ 0 .. $first - 1 ]
		],
		"$name: $first migrations run");
	query($database, 'CREATE EXTENSION safe_migrate');
	query($database, $fill_tables);
	query('postgres', "ALTER DATABASE $database SET safe_migrate.mode = warn");
	query('postgres',
		"ALTER DATABASE $database SET safe_migrate.small_table = 0");

	$path = check_into_table($database,
		read_files(@files[ $first .. $last - 1 ]));
	is( query(
			$database,
			q{SELECT statement, message FROM checked WHERE action = 'error'}),
		'',
		"$name from $first: no statement would fail");
	$node->command_ok(
		[ 'psql', '-X', '-q', '-d', $node->connstr($database), '-f', $path ],
		"$name: the next migrations run");

	$foretold = query(
		$database, qq{
SELECT DISTINCT rule, command, relation FROM checked
WHERE rule IS NOT NULL AND rule <> 'irreversible'
	AND relation NOT IN $rewritten ORDER BY 1, 2, 3});
	$warned = query(
		$database, qq{
SELECT DISTINCT rule, command, relation FROM migrate.decisions
WHERE rule IS NOT NULL AND relation NOT IN $rewritten ORDER BY 1, 2, 3});
	isnt($foretold, '', "$name from $first: some rules apply");
	is($foretold, $warned,
		"$name from $first: the hook warns of what was foretold");
	return;
}

SKIP:
{
	skip "there is no corpus in $corpus", 1 unless -d "$corpus/langfuse";

	check_whole_history($_) foreach qw(langfuse crates_io);
	compare_with_hook('langfuse', 60, 120);
	compare_with_hook('langfuse', 120, 200);
	compare_with_hook('langfuse', 200, 300);
	compare_with_hook('langfuse', 300, 434);
	compare_with_hook('crates_io', 30, 110);
	compare_with_hook('crates_io', 200, 285);
}

# A table that somebody holds: the check may wait, but ends when it is told to,
# and that is no row about the statement.
query('postgres', 'CREATE EXTENSION safe_migrate');
query('postgres', 'CREATE TABLE held (a int)');
query('postgres', q{BEGIN; LOCK TABLE held; PREPARE TRANSACTION 'holder'});
foreach my $limit (
	[ 'lock_timeout', qr/canceling statement due to lock timeout/ ],
	[ 'statement_timeout', qr/canceling statement due to statement timeout/ ])
{
	my ($setting, $message) = @$limit;
	my ($stdout, $stderr);

	$node->psql(
		'postgres', "SET $setting = '100ms';
SELECT * FROM migrate.check('SELECT 1; ALTER TABLE held ADD b int')",
		stdout => \$stdout,
		stderr => \$stderr);
	like($stderr, $message, "$setting ends the check");
	is($stdout, '', "$setting leaves no row");
}
query('postgres', q{ROLLBACK PREPARED 'holder'});

# The other way round: a transaction that has checked is in nobody's way.
query('postgres',
	q{BEGIN; SELECT count(*) FROM migrate.check('ALTER TABLE held ADD b int; CREATE INDEX ON held (a); DROP TABLE held'); PREPARE TRANSACTION 'checker'}
);
query('postgres', q{SET lock_timeout = '1s'; ALTER TABLE held ADD c int});
pass('nothing is locked after a check');
query('postgres', q{COMMIT PREPARED 'checker'});

$node->stop;
done_testing();

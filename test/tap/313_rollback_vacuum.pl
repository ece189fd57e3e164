# Restore points, and what rearranges files between the migration and the rollback:
# VACUUM, VACUUM FULL, CLUSTER, ANALYZE, REINDEX, by clients and by autovacuum; and a
# freeze of everything.  The rollback gives what it promised, or is refused with
# nothing changed, where the values of dropped columns are gone.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RollbackCheck;
use RollbackWorld;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('vacuum');

$node->init;
$node->append_conf('postgresql.conf', $RollbackWorld::configuration);
$node->append_conf('postgresql.conf', 'autovacuum_naptime = 1s');
$node->start;

my $world = RollbackWorld->new($node, PostgreSQL::Test::Utils::tempdir());
my $check = $world->check;

# statements on each table that there is after the migration, %s; those that do
# away with the values of dropped columns are marked
my @works = (
	[ 'vacuum', 'VACUUM %s' ],
	[ 'freeze', 'VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) %s' ],
	[ 'analyze', 'ANALYZE %s' ],
	[ 'reindex', 'REINDEX TABLE %s' ],
	[ 'reindex concurrently', 'REINDEX TABLE CONCURRENTLY %s' ],
	[ 'vacuum full', 'VACUUM FULL %s', 1 ],
	[ 'whole database', 'VACUUM (FREEZE); ANALYZE; REINDEX DATABASE :database' ],
	[ 'whole database, full', 'VACUUM FULL', 1 ]);

my @cases = (
	'plain: drop column',
	'wide values: truncate',
	'wide values: rewriting type',
	'dropped columns: update',
	'no key: delete',
	'partitioned: much at once',
	'all kinds of indexes: update twice',
	'keys both ways: drop',
	'plain: insert');
my %drops_columns = map { $_ => 1 } 'plain: drop column', 'partitioned: much at once';

sub rearrange
{
	my ($work) = @_;
	my $tables = $check->query(
		q{SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname ~ '^s\d'});
	my @statements = $work =~ /%s/ ? map { sprintf $work, $_ } split / /, $tables : split /; /, $work;

	foreach my $statement (@statements)
	{
		my $error = $check->failure('SET client_min_messages = error; ' . $statement =~ s/:database/$world->{database}/r)
		  if $statement !~ /VACUUM|CONCURRENTLY|DATABASE/;

		# these want to be alone
		$error = $check->failure($statement =~ s/:database/$world->{database}/r)
		  if $statement =~ /VACUUM|CONCURRENTLY|DATABASE/;
		return $error if $error;
	}
	return '';
}

sub run_case
{
	my ($case, $work, $mode) = @_;
	my ($what, $statement, $rewrites) = @$work;
	my $name = "$case->{name}, $what, $mode";
	my $label = $world->begin($case);
	my ($wanted) = $world->expected($case, $case->{ $mode eq 'keep' ? 'plain' : 'as_of' });
	my ($before, $migrated, $after, $error);

	is($world->set_up($case), '', "$name: set up");
	is($check->failure("SELECT migrate.create_restore_point('$label')"), '', "$name: a restore point");
	$before = $check->state;
	is($world->migrate($case), '', "$name: migrates");
	is(rearrange($statement), '', "$name: rearranged");
	is($world->write($case), '', "$name: clients write");
	is(rearrange($statement), '', "$name: rearranged again");
	$migrated = $check->state;

	# the old file comes back for the sake of the column
	$wanted = $before->{rows} if $rewrites && $mode eq 'as_of' && $drops_columns{ $case->{name} };
	$error = $check->failure("CALL migrate.rollback_to('$label', '$mode')");
	if ($rewrites && $drops_columns{ $case->{name} } && $error =~ /ERROR:  SM007: /)
	{
		note("$name: $error");
		$after = $check->state;
		is($check->difference($migrated, $after) . RollbackCheck::row_difference($migrated->{rows}, $after->{rows}),
			'', "$name: nothing has changed");
	}
	else
	{
		is($error, '', "$name: rolls back");
		$after = $check->state;
		is($check->difference($before, $after), '', "$name: the schema");
		is(RollbackCheck::row_difference($wanted, $after->{rows}), '', "$name: the rows");
		is($check->corruption, '', "$name: the files");
		is(rearrange($statement), '', "$name: rearranged at last");
		is($world->usable($case), '', "$name: usable");
		is(RollbackCheck::row_difference($wanted, $check->rows), '', "$name: still the rows");
	}
	is($check->failure('SELECT migrate.drop_all_restore_points()'), '', "$name: the points can be dropped");
	$world->clean_up($case);
	return;
}

# Each third of the pairs, with SAFE_MIGRATE_KILL=few each fifth: all cases and all
# works come up, in both modes.  SAFE_MIGRATE_ROLLBACK=all takes all of them.
my $distance = ($ENV{SAFE_MIGRATE_ROLLBACK} // '') eq 'all' ? 1 : ($ENV{SAFE_MIGRATE_KILL} // '') eq 'few' ? 5 : 3;
my $number = 0;

foreach my $name (@cases)
{
	foreach my $work (@works)
	{
		next if $number++ % $distance;
		run_case($world->case($name), $work, $number % 2 ? 'keep' : 'as_of');
	}
}

# CLUSTER, by a client, of what the migration has updated.
my $case = $world->case('plain: update');
my $label = $world->begin($case);
my ($wanted) = $world->expected($case, $case->{plain});

is($world->set_up($case), '', 'cluster: set up');
$check->failure("SELECT migrate.create_restore_point('$label')");
is($world->migrate($case), '', 'cluster: migrates');
is($world->write($case), '', 'cluster: clients write');
is($check->failure("CLUSTER $case->{schema}.t USING t_pkey"), '', 'cluster');
is($check->failure("CALL migrate.rollback_to('$label')"), '', 'cluster: rolls back');
is(RollbackCheck::row_difference($wanted, $check->rows), '', 'cluster: the rows');
is($check->corruption, '', 'cluster: the files');
$check->failure('SELECT migrate.drop_all_restore_points()');
$world->clean_up($case);

# Autovacuum, which works on what is kept too, for the sake of the transaction IDs.
$case = $world->case('wide values: truncate');
$label = $world->begin($case);
($wanted) = $world->expected($case, $case->{plain});
is($world->set_up($case), '', 'autovacuum: set up');
$check->failure("SELECT migrate.create_restore_point('$label')");
is($world->migrate($case), '', 'autovacuum: migrates');
is($world->write($case), '', 'autovacuum: clients write');
$node->append_conf('postgresql.conf', "autovacuum = on\nautovacuum_freeze_max_age = 100000\nautovacuum_multixact_freeze_max_age = 10000\n");
$node->restart;
$check->query('CREATE PROCEDURE public.burn() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..110000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$; CALL public.burn(); DROP PROCEDURE public.burn()');
ok( $node->poll_query_until(
		$world->{database},
		q{SELECT coalesce(max(age(relfrozenxid)) < 100000, true) FROM pg_class WHERE relfrozenxid <> '0'}),
	'autovacuum freezes what is kept');
is($check->failure("CALL migrate.rollback_to('$label')"), '', 'autovacuum: rolls back');
is(RollbackCheck::row_difference($wanted, $check->rows), '', 'autovacuum: the rows');
is($check->corruption, '', 'autovacuum: the files');

is($check->corruption('catalogs'), '', 'the system catalogs');
$node->stop;
unlike(slurp_file($node->logfile), qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/, 'nothing crashed');
done_testing();

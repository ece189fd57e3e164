# Restore points on a streaming standby: what the primary keeps is there as well,
# file by file, and after the promotion the rollback works.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RollbackCheck;
use RollbackWorld;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
my $elsewhere = PostgreSQL::Test::Utils::tempdir();

$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $RollbackWorld::configuration . "full_page_writes = on\n");
$primary->append_conf('postgresql.conf', 'allow_in_place_tablespaces = on');
$primary->start;

# both servers are on one machine: a path would be the same
my $world = RollbackWorld->new($primary, '');
my @cases = (
	'plain: drop',
	'plain: drop column',
	'wide values: truncate',
	'wide values: rewriting type',
	'partitioned: much at once',
	'keys both ways: delete',
	'other tablespace: rewriting type',
	'drop schema',
	'drop types',
	'many rows',
	'update, truncate, fill, type',
	'alter sequence');

# A standby of its own for each mode, for it is promoted once.
sub standby
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$primary->backup($name);
	$node->init_from_backup($primary, $name, has_streaming => 1);
	$node->start;
	return $node;
}

sub roll_back_there
{
	my ($mode) = @_;
	my $standby = standby("standby_$mode");
	my %database;

	foreach my $name (@cases)
	{
		my $case = $world->case($name);
		my $check = $world->new_database;
		my $here = { case => $case, label => $world->begin($case), name => "$name, $mode" };
		my $error;

		($here->{wanted}, $error) = $world->expected($case, $case->{ $mode eq 'keep' ? 'plain' : 'as_of' });
		is($error, '', "$here->{name}: without migrations");
		is($world->set_up($case), '', "$here->{name}: set up");
		is($check->failure("SELECT migrate.create_restore_point('$here->{label}')"), '', "$here->{name}: a restore point");
		$here->{before} = $check->state;
		is($world->migrate($case), '', "$here->{name}: migrates");
		is($world->write($case), '', "$here->{name}: clients write");
		$here->{migrated} = $check->state;
		$here->{check} = $check;
		$database{ $world->{database} } = $here;
	}

	$primary->wait_for_catchup($standby, 'replay');
	foreach my $database (sort keys %database)
	{
		my $here = $database{$database};
		my $check = $here->{check}->on($standby);
		my $state = $check->state;

		is($check->difference($here->{migrated}, $state) . RollbackCheck::row_difference($here->{migrated}{rows}, $state->{rows}),
			'', "$here->{name}: the standby has the same");
		is($check->query('SELECT count(*) FROM migrate.restore_points'),
			$here->{check}->query('SELECT count(*) FROM migrate.restore_points'),
			"$here->{name}: and the restore points");
		like($check->failure("CALL migrate.rollback_to('$here->{label}')"), qr/^.*ERROR: .*(recovery|read-only)/,
			"$here->{name}: a standby does not roll back");
	}

	$standby->promote;
	foreach my $database (sort keys %database)
	{
		my $here = $database{$database};
		my $check = $here->{check}->on($standby);
		my $after;

		is($check->failure("CALL migrate.rollback_to('$here->{label}', '$mode')"), '', "$here->{name}: rolls back there");
		$after = $check->state;
		is($check->difference($here->{before}, $after), '', "$here->{name}: the schema");
		is(RollbackCheck::row_difference($here->{wanted}, $after->{rows}), '', "$here->{name}: the rows");
		is($check->corruption, '', "$here->{name}: the files");
		is($check->corruption('catalogs'), '', "$here->{name}: the catalogs");
		is($check->failure(RollbackWorld::in_schema($here->{case}, "BEGIN; $here->{case}{usable}; ROLLBACK")),
			'', "$here->{name}: usable");
		is($check->failure('SELECT migrate.drop_all_restore_points()'), '', "$here->{name}: the points can be dropped");
		is($check->unknown_files, '0', "$here->{name}: no file is left over");
	}
	$standby->stop;
	unlike(slurp_file($standby->logfile), qr/was terminated by signal|TRAP:|PANIC:|safe_migrate failed/, "$mode: nothing crashed");
	return;
}

roll_back_there($_) foreach 'keep', 'as_of';

# A rollback is replayed as well.
my $standby = standby('replaying');
my $case = $world->case('wide values: rewriting type');
my $check = $world->new_database;
my $label = $world->begin($case);

is($world->set_up($case), '', 'set up');
$check->failure("SELECT migrate.create_restore_point('$label')");
is($world->migrate($case), '', 'migrates');
is($world->write($case), '', 'clients write');
is($check->failure("CALL migrate.rollback_to('$label')"), '', 'rolls back');
$primary->wait_for_catchup($standby, 'replay');
my ($here, $there) = ($check->state, $check->on($standby)->state);
is($check->difference($here, $there), '', 'the standby has the same schema');
is(RollbackCheck::row_difference($here->{rows}, $there->{rows}), '', 'and the same rows');
$standby->promote;
is($check->on($standby)->corruption, '', 'in files that are in order');
$standby->stop;
$primary->stop;
done_testing();

# Views of two versions under clients that never stop: those of the old code have
# search_path = v1, those of the new code v2.  Both write the same rows through
# backfill, verification and contract; no statement fails, and no row is lost or
# wrong.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeCases;
use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('versions');

# Through the views a column has the same name before and after the contract, and
# a change of type has none of its own.
my @cases = (
	{ %{ ChangeCases::change_case('rename_column') }, version_lasts => 1 },
	{ %{ ChangeCases::change_case('rename_column', 'partitioned') }, version_lasts => 1 },
	{
		%{ ChangeCases::change_case('change_type, a plain column') },
		new => { values => { a => 'nullif(V % 100, 0)' }, defaults => { a => '5' } },
		up => { a => 'a' },
	},
	{ %{ ChangeCases::change_case('split_column') } },
);
my $number = 0;

foreach my $case (@cases)
{
	# MERGE into a view is of PostgreSQL 17
	$case->{no_merge} = 1 if $node->pg_version < 17;
	run_case(ChangeOracle->new($node, ('prepared', 'simple')[ $number++ % 2 ]), $case);
}
$node->stop;
done_testing();

sub run_case
{
	my ($oracle, $case) = @_;
	my $name = $case->{name};

	$oracle->set_up($case);
	is($oracle->query(q{SELECT migrate.create_version('v1', shape => 'old')}), tables(), "$name: a version of the old code");
	$oracle->start_clients('old', settings => '-c search_path=v1,public');
	$oracle->let_run;
	$oracle->start_change;
	$oracle->let_run;
	is($oracle->query(q{SELECT migrate.create_version('v2')}), tables(), "$name: one of the new code");
	$oracle->advance;
	is($oracle->phase, 'verified', "$name: is verified");
	$oracle->start_clients('new', settings => '-c search_path=v2,public');
	$oracle->let_run;
	ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_locks WHERE relation = '$_.t'::regclass"),
		"$name: clients use version $_")
	  foreach 'v1', 'v2';
	compare($oracle, 'old', 'v1', 'while both versions write');
	compare($oracle, 'new', 'v2', 'while both versions write');
	if (!$case->{version_lasts})
	{
		my ($status, $out, $error) =
		  $node->psql('postgres', "SELECT migrate.contract($oracle->{id}, force := true)");

		like($error, qr/contract: version v1 still shows column .*: SELECT migrate\.drop_version\('v1'\) first/,
			"$name: no contract while the old version shows the column");
		$oracle->stop_clients('old');
		$oracle->query(q{SELECT migrate.drop_version('v1')});
	}
	$oracle->contract;
	$oracle->let_run;
	is($oracle->phase, 'contracted', "$name: is contracted");
	compare($oracle, 'new', 'v2', 'after the contract');
	compare($oracle, 'old', 'v1', 'after the contract') if $case->{version_lasts};
	$oracle->stop_clients;
	compare($oracle, 'new', 'v2', 'at the end');
	$oracle->query('SELECT migrate.drop_version(version) FROM migrate.versions');
	return;
}

# All tables of the schema but partitions: t, and its twin.
sub tables
{
	return 2;
}

# What a version shows, and the twin.
sub compare
{
	my ($oracle, $shape_name, $version, $when) = @_;
	my $case = $oracle->{case};
	my $shape = $case->{$shape_name};
	my $difference = ChangeOracle::difference([ $oracle->facts($shape_name) ], '*', "$version.t", 'public.twin', 'id');

	is($oracle->query("$difference LIMIT 10"),
		'', "$case->{name}, $oracle->{protocol}: $version shows no row that is lost, too many or wrong, $when");
	cmp_ok($oracle->query('SELECT count(*) FROM twin WHERE n > 0'), '>', 0, "$case->{name}: and rows were changed");
	return;
}

# Every kind of online change, through all of its phases, under clients of the old
# and of the new shape that never stop: no statement of theirs fails, and no row is
# lost or wrong.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeCases qw(change_cases);
use ChangeOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('oracle');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

# each with one protocol, and with both in the long run
my @protocols = ('prepared', 'simple');
my $number = 0;

foreach my $case (change_cases())
{
	next if defined $ENV{ORACLE_ONLY} && $case->{name} ne $ENV{ORACLE_ONLY};
	foreach my $protocol ($ChangeOracle::long ? @protocols : $protocols[ $number++ % 2 ])
	{
		my $oracle = ChangeOracle->new($node, $protocol);

		$oracle->run_to_contract($case);
	}
}

$node->stop;
done_testing();

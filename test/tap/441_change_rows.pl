# The same as 440_change_columns.pl, of changes that add, tighten and drop.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_rows', 'safe_migrate.small_table = 0');

ChangeOracle::run_cases($node, qr/^(add|set|drop)/,
	sub { my ($oracle, $case) = @_; $oracle->run_to_contract($case) });

$node->stop;
done_testing();

# Online changes in which columns take the place of others, and of names of tables,
# through all of their phases, under clients of the old and of the new shape that
# never stop: no statement of theirs fails, and no row is lost or wrong.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_columns');

ChangeOracle::run_cases($node, qr/^(rename|change|split|merge)/,
	sub { my ($oracle, $case) = @_; $oracle->run_to_contract($case) });

$node->stop;
done_testing();

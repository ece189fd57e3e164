# The same as 440_change_columns.pl and 441_change_rows.pl, of tables without a key.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_keyless', 'safe_migrate.small_table = 0');

ChangeOracle::run_cases($node, qr/./,
	sub { my ($oracle, $case) = @_; $oracle->run_to_contract($case) },
	'without a key');

$node->stop;
done_testing();

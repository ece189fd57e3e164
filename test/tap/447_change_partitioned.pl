# The same as 440_change_columns.pl and 441_change_rows.pl, of partitioned tables.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_partitioned', 'safe_migrate.small_table = 0');

# before 18 there is no safe way to add a foreign key to a partitioned table
my $kinds = $node->pg_version < 18 ? qr/^(?!add_foreign_key)/ : qr/./;

ChangeOracle::run_cases($node, $kinds,
	sub { my ($oracle, $case) = @_; $oracle->run_to_contract($case) },
	'partitioned');

$node->stop;
done_testing();

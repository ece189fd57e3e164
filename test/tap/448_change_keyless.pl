# The same as 440_change_columns.pl and 441_change_rows.pl, of tables without a key.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('change_keyless');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

ChangeOracle::run_cases($node, qr/./,
	sub { my ($oracle, $case) = @_; $oracle->run_to_contract($case) },
	'without a key');

$node->stop;
done_testing();

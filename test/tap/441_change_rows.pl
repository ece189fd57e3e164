# The same as 440_change_columns.pl, of changes that add, tighten and drop.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('change_rows');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

ChangeOracle::run_cases($node, qr/^(add|set|drop)/,
	sub { my ($oracle, $case) = @_; $oracle->run_to_contract($case) });

$node->stop;
done_testing();

# Online changes that are cancelled, when they are verified and in the middle, under
# clients that never stop: everything is as if they had not been.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('change_cancel');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

ChangeOracle::run_cases($node, qr/^(rename|change_type|split|merge|drop|add_column, a comp|set_not_null, w)/,
	sub { my ($oracle, $case) = @_; $oracle->run_to_cancel($case) });

$node->stop;
done_testing();

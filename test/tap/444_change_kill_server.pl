# kill -9 of the worker and of the whole server at every step of online changes,
# while clients write: what was begun goes on, and no row is lost or wrong.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeKill;
use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_kill_server', 'safe_migrate.small_table = 0', 'restart_after_crash = on');
if ($node->psql('postgres', "SET safe_migrate.fault_point = ''", stderr => \my $ignored) != 0)
{
	plan skip_all => 'needs a build with make FAULT_POINTS=1';
}

my $kill = ChangeKill->new($node);

$kill->run('change_type, a primary key', 'server', 'behind');
$kill->contract;
$kill->run('set_not_null, with a value', 'worker', 'behind');
$kill->contract;
$kill->run_all('server', 'worker') if $ChangeOracle::long;

$node->stop;
done_testing();

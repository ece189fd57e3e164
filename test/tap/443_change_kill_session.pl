# kill -9 of the session in migrate.advance() at every step of online changes, while
# clients write: what was begun goes on, and no row is lost or wrong.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeKill;
use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_kill_session', 'safe_migrate.small_table = 0', 'restart_after_crash = on');
if ($node->psql('postgres', "SET safe_migrate.fault_point = ''", stderr => \my $ignored) != 0)
{
	plan skip_all => 'needs a build with make FAULT_POINTS=1';
}

my $kill = ChangeKill->new($node);

$kill->run('rename_column', 'session', 'before', 'behind', 'committed');
$kill->cancel;
$kill->run_all('session') if $ChangeOracle::long;

$node->stop;
done_testing();

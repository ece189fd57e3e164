# Waiting for a server that comes back from a crash by itself.
#
#     wait_until_up($node, 'main');

package UntilUp;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(wait_until_up);

# With -c: a statement that is written to psql may find it gone already.
sub wait_until_up
{
	my ($node, $database) = @_;

	for (1 .. 1200)
	{
		my ($out, $error);
		my $done = IPC::Run::run(
			[ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr($database // 'postgres'), '-c', 'SELECT 1' ],
			'<', \undef, '>', \$out, '2>', \$error);

		return 1 if $done;
		usleep(50_000);
	}
	die 'the server did not come back';
}

1;

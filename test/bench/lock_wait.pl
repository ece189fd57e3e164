#!/usr/bin/perl
#
# One ALTER TABLE bench_accounts ADD COLUMN arrives while a reader holds the
# table for long, amid readers and writers:
#
#     lock_wait.pl DIRECTORY none|off|retry|patient HOLDER_SECONDS ROWS RATE
#
# "none" sends no ALTER, and tells what the machine does by itself.  "off" has
# safe_migrate.mode off, "retry" too, and lock_timeout at one second, and tries
# again after another second, as migration tools do.  RATE readers arrive each
# second, and half as many writers.
#
# Prints five lines: the milliseconds that the ALTER took after the reader had
# ended, how often it was sent, and how many clients failed; then for readers
# and writers the worst latency in milliseconds, the number of queries over 100
# ms and of all, first from when the ALTER was sent until the reader ended, then
# from there until half a second after the ALTER.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Time::HiRes qw(sleep time);
use Traffic;

use constant LEAD => 2;
use constant TAIL => 0.5;

my ($directory, $case, $seconds, $rows, $rate) = @ARGV;
die "usage: lock_wait.pl DIRECTORY none|off|retry|patient HOLDER_SECONDS ROWS RATE\n"
  unless $rate && $case =~ /^(?:none|off|retry|patient)$/;

my %tables = (
	table      => 'bench_accounts',
	other      => 'bench_accounts',
	rows       => $rows,
	other_rows => $rows,
	clients    => 4);
my $traffic = Traffic->new(
	$directory,
	read  => { script => 'read.pgbench',  rate => $rate,     %tables },
	write => { script => 'write.pgbench', rate => $rate / 2, %tables });
sleep LEAD;

my $holder = hold_table();
sleep 1;
my $sent = time;
my $tries = $case eq 'none' ? 0 : add_column();
my $done = time;

waitpid $holder, 0;
my $released = read_time("$directory/released");
$done = $released if $done < $released;
sleep TAIL + 0.5;
my $failed = $traffic->stop();

printf "%.1f %d %d\n", ($done - $released) * 1000, $tries, $failed;
for my $window ([ $sent, $released ], [ $released, $done + TAIL ])
{
	printf "%s %.3f %d %.3f\n", $_, $traffic->worst($_, @$window) for qw(read write);
}


# A transaction that has read one row, and goes on for long.
sub hold_table
{
	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;
	system(Traffic::psql(), qw(-X -q -o /dev/null -c),
		   "BEGIN; SELECT id FROM bench_accounts LIMIT 1; SELECT pg_sleep($seconds); COMMIT") == 0
	  or die "psql failed\n";
	open my $file, '>', "$directory/released" or die "released: $!\n";
	printf $file "%.6f\n", time;
	close $file or die "released: $!\n";
	exit 0;
}

sub read_time
{
	my ($name) = @_;
	open my $file, '<', $name or die "$name: $!\n";
	return 0 + <$file>;
}

# Returns how often it was sent.
sub add_column
{
	my %options = (
		off     => '-c safe_migrate.mode=off',
		retry   => '-c safe_migrate.mode=off -c lock_timeout=1s',
		patient => '');
	local $ENV{PGOPTIONS} = "-c client_min_messages=warning $options{$case}";
	my $statement = sprintf 'ALTER TABLE bench_accounts ADD COLUMN extra_%d int', time;
	my $times = 1;
	while (system("'" . Traffic::psql() . "' -X -q -c '$statement' 2>'$directory/alter.errors'"))
	{
		open my $errors, '<', "$directory/alter.errors" or die "alter.errors: $!\n";
		my $message = do { local $/ = undef; <$errors> };
		die $message unless $case eq 'retry' && $message =~ /lock timeout/;
		sleep 1;
		$times++;
	}
	return $times;
}

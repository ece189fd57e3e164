#!/usr/bin/perl
#
# What a command costs that prints to nowhere:
#
#     cost.pl RUNS COMMAND...
#
# Prints a line a run: microseconds of CPU, and microseconds.

use strict;
use warnings;

use Time::HiRes qw(time);

my ($runs, @command) = @ARGV;
die "usage: cost.pl RUNS COMMAND...\n" unless @command;

for (1 .. $runs)
{
	my (undef, undef, $user, $system) = times;
	my $started = time;
	my $pid     = fork // die "fork: $!\n";
	if ($pid == 0)
	{
		open STDOUT, '>', '/dev/null' or die "/dev/null: $!\n";
		open STDERR, '>', '/dev/null' or die "/dev/null: $!\n";
		exec @command or die "$command[0]: $!\n";
	}
	waitpid $pid, 0;
	my $elapsed = time - $started;
	die "$command[0] was killed\n" if $? & 127;
	my (undef, undef, $user_after, $system_after) = times;
	printf "%.0f %.0f\n", ($user_after - $user + $system_after - $system) * 1e6,
	  $elapsed * 1e6;
}

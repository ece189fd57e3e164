#!/usr/bin/perl
#
# How long a command takes, and the most memory that it had at a time:
#
#     watch.pl POSTMASTER DATABASE COMMAND [ARGUMENT...]
#
# Prints milliseconds; the sum of the resident memory of the command and of all
# that it started, kB; and the largest private memory of one server process that
# is connected to the database, kB.  Looks twenty times a second, so what is gone
# sooner is not seen.  The command's own output goes to standard error.  Exits as
# the command does.

use strict;
use warnings;

use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

my ($postmaster, $database, @command) = @ARGV;
die "usage: watch.pl POSTMASTER DATABASE COMMAND...\n" unless @command;

my ($clients, $server) = (0, 0);
my $started = time;
my $pid     = fork // die "fork: $!\n";
if ($pid == 0)
{
	open STDOUT, '>&', \*STDERR or die "stdout: $!\n";
	exec @command or die "$command[0]: $!\n";
}
until (waitpid($pid, WNOHANG) == $pid)
{
	look();
	sleep 0.05;
}
my $status = $?;
printf "%.0f %d %d\n", (time - $started) * 1000, $clients, $server;
exit($status == 0 ? 0 : 1);


sub look
{
	my (%parent, @backends);

	foreach my $stat (glob '/proc/[0-9]*/stat')
	{
		my ($process) = $stat =~ /(\d+)/;
		my $line = content($stat) // next;
		my ($ppid) = $line =~ /\) \S (\d+)/ or next;

		$parent{$process} = $ppid;
		push @backends, $process if $ppid == $postmaster;
	}

	my $sum = 0;
	foreach my $process (keys %parent)
	{
		my $ancestor = $process;
		$ancestor = $parent{$ancestor} // 0
		  while $ancestor > 1 && $ancestor != $pid;
		$sum += memory($process, 'VmRSS') if $ancestor == $pid;
	}
	$clients = $sum if $sum > $clients;

	foreach my $process (@backends)
	{
		next unless (content("/proc/$process/cmdline") // '') =~ / \Q$database\E /;
		my $private = memory($process, 'RssAnon');
		$server = $private if $private > $server;
	}
	return;
}

# kB
sub memory
{
	my ($process, $what) = @_;
	my ($size) = (content("/proc/$process/status") // '') =~ /^$what:\s+(\d+)/m;

	return $size // 0;
}

# undef if the process has just ended
sub content
{
	my ($file) = @_;

	open my $in, '<', $file or return;
	local $/ = undef;
	my $text = <$in>;
	close $in;
	return $text;
}

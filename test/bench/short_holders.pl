#!/usr/bin/perl
#
# ALTER TABLE bench_accounts ADD COLUMN, again and again, amid readers and
# writers in short transactions, so that somebody holds a lock at any time:
#
#     short_holders.pl DIRECTORY off|patient KEEP_MICROSECONDS ROWS PAIRS
#
# Half a second with an ALTER and half a second without take turns.  Prints how
# many clients and how many ALTERs failed, then a line a pair: milliseconds that
# the ALTER took, the worst latencies of readers with and without it, their
# longest waits for a lock with and without it, and the same of writers, all in
# milliseconds.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Session;
use Time::HiRes qw(sleep time);
use Traffic;

use constant LEAD => 2;
use constant SLOT => 0.5;
use constant GAP  => 0.1;     # a transaction shall not be in two slots

my ($directory, $case, $keep, $rows, $pairs) = @ARGV;
die "usage: short_holders.pl DIRECTORY off|patient KEEP_MICROSECONDS ROWS PAIRS\n"
  unless $pairs && $case =~ /^(?:off|patient)$/;

my %options = (table => 'bench_accounts', rows => $rows, rate => 0, clients => 4, keep => $keep);
my $traffic = Traffic->new(
	$directory,
	read  => { script => 'read_block.pgbench',  %options },
	write => { script => 'write_block.pgbench', %options });
my $session = Session->new(Traffic::psql());
$session->ask('SET client_min_messages = warning;');
$session->ask('SET safe_migrate.mode = off;') if $case eq 'off';
sleep LEAD;

my @slots;
my $refused = 0;
my $base    = int time;
for my $n (1 .. $pairs)
{
	my $sent = time;
	$session->ask("ALTER TABLE bench_accounts ADD COLUMN extra_${base}_$n int;");
	my $took = time - $sent;
	$refused++ if $session->sqlstate() ne '00000';
	sleep SLOT;
	my $length = time - $sent;
	sleep GAP;
	my $still = time;
	sleep $length + GAP;
	push @slots, [ $took * 1000, $sent, $still, $length ];
}
$session->end();
sleep SLOT;
printf "%d %d\n", $traffic->stop(), $refused;

for my $slot (@slots)
{
	my ($took, $sent, $still, $length) = @$slot;
	printf '%.3f', $took;
	for my $kind (qw(read write))
	{
		my @with    = $traffic->worst($kind, $sent,  $sent + $length);
		my @without = $traffic->worst($kind, $still, $still + $length);
		printf ' %.3f %.3f %.3f %.3f', $with[0], $without[0], $with[2], $without[2];
	}
	print "\n";
}

#!/usr/bin/perl
#
# What judging adds to ALTER TABLE bench_wide ADD COLUMN, in one session in which
# it is switched off for every other statement:
#
#     judge_column.pl PSQL PAIRS
#
# How it judges comes from PGOPTIONS.  Which of a pair is first changes from pair
# to pair.  Prints a line a pair: microseconds of CPU of the backend with and
# without, and microseconds with and without.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Session;

my ($psql, $pairs) = @ARGV;
die "usage: judge_column.pl PSQL PAIRS\n" unless $pairs;

my $session = Session->new($psql);
my $count   = 0;
add_column($_) for 1, 0, 1, 0;
for my $pair (1 .. $pairs)
{
	my %took;
	$took{$_} = [ add_column($_) ] for $pair % 2 ? (1, 0) : (0, 1);
	printf "%.2f %.2f %.1f %.1f\n", $took{1}[0], $took{0}[0], $took{1}[1], $took{0}[1];
}
$session->end();


# Microseconds of CPU, and microseconds.
sub add_column
{
	my ($judged) = @_;
	$session->elapsed($judged ? 'RESET safe_migrate.mode;' : 'SET safe_migrate.mode = off;');
	my $cpu = $session->cpu();
	my $elapsed =
	  $session->elapsed('ALTER TABLE bench_wide ADD COLUMN extra_' . $count++ . ' int;');
	return ($session->cpu() - $cpu, $elapsed);
}

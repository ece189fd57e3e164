#!/usr/bin/perl
#
# What a series of measurements says.
#
#     stats.pl median                  one number a line
#     stats.pl ratio                   two a line: the first divided by the second
#     stats.pl difference              the second taken off the first
#
# Prints the median, both ends of its interval, how many there were, and of two
# series the median of each.  The interval is that of order statistics, at 95 %
# or a little more, which supposes nothing of how the measurements are
# distributed.  Fewer than six cannot give one: then it is the smallest and the
# largest.

use strict;
use warnings;

my %take = (
	median     => sub { $_[0] },
	ratio      => sub { $_[0] / $_[1] },
	difference => sub { $_[0] - $_[1] });

my $what = shift // '';
die "usage: stats.pl median | ratio | difference\n" unless $take{$what};

my @rows = map { [split] } grep { /\S/ } <STDIN>;
die "stats.pl: nothing was measured\n" unless @rows;

my @values = sorted(map { $take{$what}->(@$_) } @rows);
my $rank = rank(scalar @values);
my @answer = (median(@values), $values[$rank], $values[ -1 - $rank ]);
printf "%.9g %.9g %.9g %d", @answer, scalar @values;
if ($what ne 'median')
{
	for my $series (0, 1)
	{
		printf ' %.9g', median(sorted(map { $_->[$series] } @rows));
	}
}
print "\n";


sub sorted
{
	return sort { $a <=> $b } @_;
}

sub median
{
	return ($_[ $#_ / 2 ] + $_[ @_ / 2 ]) / 2;
}

# The values of this rank (from 0) from below and from above are an interval
# that misses the median with twice the probability of at most so many heads in
# n throws of a coin.
sub rank
{
	my ($n)  = @_;
	my $rank = -1;
	my $term = 0.5**$n;
	my $tail = $term;
	while ($tail <= 0.025)
	{
		$rank++;
		$term *= ($n - $rank) / ($rank + 1);
		$tail += $term;
	}
	return $rank < 0 ? 0 : $rank;
}

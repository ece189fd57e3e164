# Random numbers that are the same on every machine, and choices made by them.

package Random;

use strict;
use warnings;

use constant MASK => 0xffffffff;

sub new
{
	my ($class, $seed) = @_;
	my $self = bless {}, $class;

	$self->seed($seed);
	return $self;
}

# Neighbouring seeds give unlike sequences: the seed is stirred first.
sub seed
{
	my ($self, $seed) = @_;

	$self->{state} = ($seed ^ ($seed >> 32) * 0x9e3779b1) & MASK;
	$self->{state} = $self->word foreach 1 .. 3;
	return;
}

# 32 bits, by the generator known as mulberry32.
sub word
{
	my ($self) = @_;
	my $z = $self->{state} = ($self->{state} + 0x6d2b79f5) & MASK;

	$z = (($z ^ ($z >> 15)) * ($z | 1)) & MASK;
	$z ^= ($z + ((($z ^ ($z >> 7)) * ($z | 61)) & MASK)) & MASK;
	return ($z ^ ($z >> 14)) & MASK;
}

sub between
{
	my ($self, $low, $high) = @_;

	return $low + $self->word % ($high - $low + 1);
}

# True in so many of a hundred cases.
sub chance
{
	my ($self, $percent) = @_;

	return $self->word % 100 < $percent;
}

sub pick
{
	my ($self, @choices) = @_;

	return $choices[ $self->word % @choices ];
}

# This text or nothing.
sub maybe
{
	my ($self, $percent, $text) = @_;

	return $self->chance($percent) ? $text : '';
}

sub shuffled
{
	my ($self, @list) = @_;

	foreach my $i (reverse 1 .. $#list)
	{
		my $j = $self->word % ($i + 1);

		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

# Between $low and $high of them, in any order.
sub some
{
	my ($self, $low, $high, @list) = @_;
	my $count = $self->between($low, $high);

	@list = $self->shuffled(@list);
	return @list[ 0 .. ($count < @list ? $count : @list) - 1 ];
}

# One of the entries, which are hashes with a {weight}.
sub weighted
{
	my ($self, @entries) = @_;
	my $total = 0;

	$total += $_->{weight} foreach @entries;
	my $point = $self->word % $total;
	foreach my $entry (@entries)
	{
		$point -= $entry->{weight};
		return $entry if $point < 0;
	}
	return $entries[-1];
}

1;

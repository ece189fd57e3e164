# How often each kind of statement ran, and how it ended.

package Coverage;

use strict;
use warnings;

sub new
{
	my ($class) = @_;

	return bless { outcomes => {}, errors => {}, examples => {}, run => 0, succeeded => 0 }, $class;
}

# All kinds that there are, so that those that never ran are seen.
sub expect
{
	my ($self, @kinds) = @_;

	$self->{outcomes}{$_} //= {} foreach @kinds;
	return;
}

sub count
{
	my ($self, $kinds, $error, $sql) = @_;
	my $outcome = $error ? $error->{C} : 'ok';

	$self->{run}++;
	$self->{succeeded}++ unless $error;
	$self->{outcomes}{$_}{$outcome}++ foreach @$kinds;
	return unless $error;
	my $message = "$outcome " . ($error->{M} =~ s/"[^"]*"/"..."/gr =~ s/\d+/0/gr);

	$self->{errors}{$message}++;
	$self->{examples}{$message} //= $sql;
	return;
}

sub ratio
{
	my ($self) = @_;

	return $self->{run} ? 100 * $self->{succeeded} / $self->{run} : 0;
}

sub kinds
{
	my ($self) = @_;

	return scalar keys %{ $self->{outcomes} };
}

# Pairs of a kind and an outcome that have been seen.
sub distinct
{
	my ($self) = @_;
	my $count = 0;

	$count += keys %$_ foreach values %{ $self->{outcomes} };
	return $count;
}

sub table
{
	my ($self) = @_;
	my $text = sprintf "%-42s %8s %8s  %s\n", 'kind of statement', 'ran', 'worked',
	  'most frequent errors';

	foreach my $kind (sort keys %{ $self->{outcomes} })
	{
		my %outcome = %{ $self->{outcomes}{$kind} };
		my $worked = delete $outcome{ok} // 0;
		my $ran = $worked;
		my @errors = sort { $outcome{$b} <=> $outcome{$a} || $a cmp $b } keys %outcome;

		$ran += $_ foreach values %outcome;
		$#errors = 3 if $#errors > 3;
		$text .= sprintf "%-42s %8d %8d  %s\n", $kind, $ran, $worked,
		  join ' ', map { "$_:$outcome{$_}" } @errors;
	}
	return $text;
}

# Kinds that never worked.
sub gaps
{
	my ($self) = @_;

	return grep { !$self->{outcomes}{$_}{ok} } sort keys %{ $self->{outcomes} };
}

# The most frequent errors, for those who work on the grammar.
sub errors
{
	my ($self, $limit) = @_;
	my %errors = %{ $self->{errors} };
	my @sorted = sort { $errors{$b} <=> $errors{$a} || $a cmp $b } keys %errors;

	$#sorted = $limit - 1 if @sorted > $limit;
	return map { sprintf "%6d  %s\n        %s\n", $errors{$_}, $_, $self->{examples}{$_} } @sorted;
}

1;

# Makes the script of a find shorter, as long as its last statement still shows
# the same: first fewer statements, then fewer parts of each.

package Reducer;

use strict;
use warnings;

use Prelude;
use Runner;

# Trials that one reduction may take.
use constant TRIALS => 400;

sub new
{
	my ($class, $runner, $form) = @_;

	return bless { runner => $runner, form => $form, trials => 0 }, $class;
}

# The shortest script found, or () if the find cannot be had again.  {text} is then
# what it shows.
sub reduce
{
	my ($self, @script) = @_;
	my @shorter = grep { $_->{outcome} eq 'ok' } @script[ 0 .. $#script - 1 ];

	push @shorter, $script[-1];
	@script = @shorter if $self->shows(@shorter);
	return unless $self->shows(@script);
	@script = $self->fewer_statements(@script);
	@script = $self->single_statements(@script);
	@script = $self->plainer_statements(@script);
	@script = $self->smaller_statements(@script);
	return $self->fewer_statements(@script);
}

# Runs it from the beginning.
sub shows
{
	my ($self, @script) = @_;
	my $runner = $self->{runner};

	return 0 if $self->{trials}++ >= TRIALS;
	Prelude::clean($runner->{session});
	eval {
		$runner->run($_) foreach Prelude::beginning();
		$runner->begin_script;
		foreach my $entry (@script)
		{
			$runner->{finds} = [];
			$runner->run($entry->{sql}, undef, $entry->{extended});
		}
		1;
	} or $@ eq Runner::OVER() or die $@;
	my ($same) = grep { $_->{form} eq $self->{form} } @{ $runner->{finds} };

	$self->{text} = $same->{text} if $same;
	return defined $same;
}

# Without runs of statements, long ones first; never without the last.
sub fewer_statements
{
	my ($self, @script) = @_;
	my $length = int(@script / 2);

	while ($length >= 1)
	{
		my $start = @script - 1 - $length;

		while ($start > -$length)
		{
			my $from = $start < 0 ? 0 : $start;
			my @rest = @script;

			splice @rest, $from, $start + $length - $from;
			@script = @rest if @rest < @script && $self->shows(@rest);
			$start -= $length;
		}
		$length = int($length / 2);
	}
	return @script;
}

# Each in a message of its own.  What is found may be in the middle of the last.
sub single_statements
{
	my ($self, @script) = @_;

	foreach my $i (reverse 0 .. $#script)
	{
		my @pieces = map { { %{ $script[$i] }, sql => $_ } } split /;\n/, $script[$i]{sql};

		foreach my $last ($i == $#script ? (0 .. $#pieces) : ($#pieces))
		{
			my @changed = @script;

			last if @pieces < 2;
			splice @changed, $i, 1, @pieces[ 0 .. $last ];
			next unless $self->shows(@changed);
			@script = @changed;
			last;
		}
	}
	return @script;
}

# By the simple protocol, and not from functions.
sub plainer_statements
{
	my ($self, @script) = @_;

	foreach my $i (0 .. $#script)
	{
		my ($inner) = $script[$i]{sql} =~ /\$s\$(.*)\$s\$/s;

		foreach my $change ({ extended => 0 }, { sql => $inner })
		{
			my @changed = @script;

			$changed[$i] = { %{ $script[$i] }, %$change };
			next if !defined $changed[$i]{sql} || (!$inner && !$script[$i]{extended});
			@script = @changed if $self->shows(@changed);
		}
	}
	return @script;
}

# Each statement without one after the other of the parts that commas divide.
sub smaller_statements
{
	my ($self, @script) = @_;

	foreach my $i (reverse 0 .. $#script)
	{
		my $place = 0;

		while (defined(my $sql = without_part($script[$i]{sql}, $place)))
		{
			my @changed = @script;

			$changed[$i] = { %{ $script[$i] }, sql => $sql };
			if ($self->shows(@changed))
			{
				@script = @changed;
			}
			else
			{
				$place++;
			}
		}
	}
	return @script;
}

# The text without its part number $n, undef if it has fewer.
sub without_part
{
	my ($sql, $n) = @_;
	my @cuts = parts($sql);

	return if $n >= @cuts;
	my ($from, $to) = @{ $cuts[$n] };

	return substr($sql, 0, $from) . substr($sql, $to);
}

# Clauses that most statements can do without.
my $clauses = qr{
	\ DEFAULT\ (?: '[^']*' (?: ::\w+ )? | [\w.]+ \( [^()]* \) | \d+ )
	| \ (?: NOT\ )? NULL (?= [,)\ ] )
	| \ CHECK\ \( (?: [^()] | \( [^()]* \) )* \)
	| \ (?: CONSTRAINT\ \w+ | GENERATED\ [A-Z ]+\ AS\ IDENTITY | INCLUDE\ \([^()]*\) | UNLOGGED )
	| \ (?: NOT\ )? DEFERRABLE (?: \ INITIALLY\ \w+ )?
	| \ ON\ (?: UPDATE | DELETE )\ (?: SET\ \w+ (?: \ \(\w+\) )? | CASCADE | RESTRICT | NO\ ACTION )
	| \ (?: USING\ INDEX\ )? TABLESPACE\ fz_space | \ WITH\ \([^()]*\)
	| \ (?: MATCH\ FULL | NULLS\ NOT\ DISTINCT | NULLS\ DISTINCT | IF\ EXISTS | IF\ NOT\ EXISTS | UNIQUE | SET\ DATA )
	| \ (?: COLLATE | COMPRESSION | STORAGE )\ \S+ | \ WHERE\ .*
	| \([0-9,]+\) | \ CASCADE | \ RESTRICT
}x;

# Places of what is between commas, together with one of the commas, at any
# depth of parentheses; and of clauses.
sub parts
{
	my ($sql) = @_;
	my @starts = (0);
	my @commas = ([]);
	my @parts;

	push @parts, [ $-[0], $+[0] ] while $sql =~ /$clauses/g;
	while ($sql =~ /\G(?:'[^']*'|"[^"]*"|[^(),'"]+|([(),]))/gs)
	{
		my $sign = $1 // next;
		my $place = pos($sql) - 1;

		if ($sign eq '(')
		{
			push @starts, $place + 1;
			push @commas, [];
		}
		elsif ($sign eq ',')
		{
			push @{ $commas[-1] }, $place;
		}
		elsif (@starts > 1)
		{
			push @parts, between(pop @starts, $place, @{ pop @commas });
		}
	}
	return (@parts, between(undef, length $sql, @{ $commas[0] }));
}

# Outside of all parentheses the first part has the command in it, and stays, but
# for ALTER TABLE.
sub between
{
	my ($start, $end, @commas) = @_;
	my @parts;

	return unless @commas;
	push @parts, [ $start, $commas[0] + 1 ] if defined $start;
	foreach my $i (0 .. $#commas)
	{
		push @parts, [ $commas[$i], $commas[ $i + 1 ] // $end ];
	}
	return @parts;
}

1;

# psql in a pipe, and what the kernel says of the backend behind it.

package Session;

use strict;
use warnings;

use IPC::Open2;

# new Session(PSQL [, PORT]).  Without stdbuf it would keep its answers to
# itself.
sub new
{
	my ($class, $psql, $port) = @_;
	local $ENV{PGPORT} = $port if defined $port;
	my $self = bless {}, $class;
	$self->{pid} =
	  open2($self->{out}, $self->{in}, 'stdbuf', '-oL', $psql, qw(-X -A -t -q -f -));
	$self->ask('\timing on');
	return $self;
}

# Send a line, return what it prints.
sub ask
{
	my ($self, $line) = @_;
	my $answer = '';
	print { $self->{in} } "$line\n\\echo -- done :ERROR :LAST_ERROR_SQLSTATE\n";
	$self->{in}->flush;
	while (defined(my $read = readline $self->{out}))
	{
		if ($read =~ /^-- done (\S+) (\S+)$/)
		{
			$self->{sqlstate} = $1 eq 'true' ? $2 : '00000';
			return $answer;
		}
		$answer .= $read;
	}
	die "psql failed at: $line\n";
}

# The SQLSTATE of what was asked last.
sub sqlstate
{
	my ($self) = @_;
	return $self->{sqlstate};
}

# The microseconds that a statement takes, which has to end in that SQLSTATE.
sub elapsed
{
	my ($self, $statement, $sqlstate) = @_;
	my ($ms) = $self->ask($statement) =~ /^Time: ([0-9.]+) ms/m;
	die "unexpected SQLSTATE $self->{sqlstate}: $statement\n"
	  if $self->{sqlstate} ne ($sqlstate // '00000');
	return $ms * 1000;
}

# Microseconds that the backend has spent on a CPU, as the kernel counts them.
sub cpu
{
	my ($self) = @_;
	my ($ns) = $self->ask(
		"SELECT 'cpu ' || split_part(pg_read_file('/proc/self/schedstat'), ' ', 1);") =~
	  /^cpu (\d+)$/m;
	return $ns / 1000;
}

sub end
{
	my ($self) = @_;
	close $self->{in};
	waitpid $self->{pid}, 0;
	die "psql failed\n" if $?;
	return;
}

1;

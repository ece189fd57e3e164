# A session that speaks the PostgreSQL protocol by itself: what a statement does
# to the session, to its error and to its notices is known at once.
#
#     my $session = Session->new($directory_of_socket, $port, 'postgres', 'postgres');
#     my $result = $session->run('SELECT 1, 2');
#
# A result has {rows}, each a list of texts; {error}, its fields by their letters
# (C is the SQLSTATE, M the message) or undef; {notices}, messages; and {status}:
# "I" outside of a transaction block, "T" in one, "E" in a failed one, "" when
# the connection is gone.

package Session;

use strict;
use warnings;

use IO::Socket::UNIX;

# Longer than any statement_timeout: then the server hangs.
use constant PATIENCE => 180;

sub new
{
	my ($class, $directory, $port, $user, $database) = @_;
	my $path = "$directory/.s.PGSQL.$port";
	my $socket = IO::Socket::UNIX->new(Peer => $path)
	  or die "could not connect to $path: $!\n";
	my $self = bless { socket => $socket, buffer => '' }, $class;
	my $body = pack('N', 196608)
	  . join('', map { "$_\0" } 'user', $user, 'database', $database,
		'application_name', 'fuzz', '');

	$self->send(pack('N', 4 + length $body) . $body);
	my $result = $self->result;
	die "could not log in: $result->{error}{M}\n" if $result->{error};
	return $self;
}

# What the text of a simple Query does; it may have several statements.
sub run
{
	my ($self, $sql) = @_;

	$self->send(message('Q', "$sql\0"));
	return $self->result;
}

# The same of one statement in the extended protocol.
sub run_extended
{
	my ($self, $sql) = @_;

	$self->send(message('P', "\0$sql\0" . pack('n', 0))
		  . message('B', "\0\0" . pack('n n n', 0, 0, 0))
		  . message('E', "\0" . pack('N', 0))
		  . message('S', ''));
	return $self->result;
}

# Rows, of a query that must not fail.
sub rows
{
	my ($self, $sql) = @_;
	my $result = $self->run($sql);

	die "$sql: $result->{error}{M}\n" if $result->{error};
	return @{ $result->{rows} };
}

sub close
{
	my ($self) = @_;

	$self->send(message('X', ''));
	close $self->{socket};
	return;
}

sub message
{
	my ($type, $body) = @_;

	return $type . pack('N', 4 + length $body) . $body;
}

sub send
{
	my ($self, $text) = @_;

	local $SIG{PIPE} = 'IGNORE';
	while (length $text)
	{
		my $sent = syswrite $self->{socket}, $text;

		return unless defined $sent;
		substr($text, 0, $sent) = '';
	}
	return;
}

sub result
{
	my ($self) = @_;
	my $result = { rows => [], error => undef, notices => [], status => '' };

	while (defined(my $head = $self->read_bytes(5)))
	{
		my ($type, $length) = unpack 'a N', $head;
		my $body = $length > 4 ? $self->read_bytes($length - 4) : '';

		last unless defined $body;
		if ($type eq 'D')
		{
			push @{ $result->{rows} }, row($body);
		}
		elsif ($type eq 'E')
		{
			$result->{error} = fields($body);
		}
		elsif ($type eq 'N')
		{
			push @{ $result->{notices} }, fields($body)->{M};
		}
		elsif ($type eq 'Z')
		{
			$result->{status} = $body;
			return $result;
		}
	}
	$result->{error} //= { C => '08006', M => 'the connection was lost' };
	return $result;
}

sub read_bytes
{
	my ($self, $count) = @_;

	while (length $self->{buffer} < $count)
	{
		my $readable = '';

		vec($readable, fileno $self->{socket}, 1) = 1;
		select($readable, undef, undef, PATIENCE)
		  or die "the server does not answer\n";
		my $got = sysread $self->{socket}, $self->{buffer}, 65536,
		  length $self->{buffer};
		return unless $got;
	}
	return substr $self->{buffer}, 0, $count, '';
}

# NULL is an empty text: nothing here can tell, or has to.
sub row
{
	my ($body) = @_;
	my $place = 2;
	my @values;

	while ($place < length $body)
	{
		my $length = unpack 'l>', substr $body, $place, 4;

		push @values, $length < 0 ? '' : substr $body, $place + 4, $length;
		$place += 4 + ($length < 0 ? 0 : $length);
	}
	return \@values;
}

sub fields
{
	my ($body) = @_;
	my %field;

	$field{$1} = $2 while $body =~ /\G(.)([^\0]*)\0/gs;
	return \%field;
}

1;

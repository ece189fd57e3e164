# A session that speaks the PostgreSQL protocol by itself: libpq can neither
# suspend a portal nor decide when to send a Sync.
#
#     my $session = WireSession->new($node, 'postgres');	# or with a role
#     is_deeply([ $session->query('SELECT 1') ], [ 'row 1', 'done SELECT 1', 'idle' ]);
#     $session->send($session->parse('', 'SELECT 1'), $session->bind, $session->execute, $session->sync);
#     my @answers = $session->answers;
#
# Answers are words: "row 1|2", "done CREATE TABLE", "error SM001", "notice
# 00000", "suspended", and in the end "idle", "in transaction" or "failed".
# What only confirms a message (ParseComplete and the like) is left out.

package WireSession;

use strict;
use warnings;

use IO::Socket::UNIX;
use PostgreSQL::Test::Utils;

sub new
{
	my ($class, $node, $database, $user) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $self = bless { path => $path }, $class;

	$self->{socket} = IO::Socket::UNIX->new(Peer => $path)
	  or die "could not connect to $path: $!";
	$self->{buffer} = '';
	$user //= $node->safe_psql($database, 'SELECT current_user');
	my $body = pack('N', 196608)
	  . join('', map { "$_\0" } 'user', $user, 'database', $database,
		'application_name', 'wire', '');
	$self->send(pack('N', 4 + length $body) . $body);
	$self->answers;
	return $self;
}

# ---- messages, to be given to send()

sub message
{
	my ($type, $body) = @_;

	return $type . pack('N', 4 + length $body) . $body;
}

sub parse
{
	my ($self, $statement, $sql, @types) = @_;

	return message('P',
		"$statement\0$sql\0" . pack('n N*', scalar @types, @types));
}

# Parameters are sent as text; undef is NULL.
sub bind
{
	my ($self, %option) = @_;
	my @values = @{ $option{values} // [] };

	return message('B',
		($option{portal} // '') . "\0"
		  . ($option{statement} // '') . "\0"
		  . pack('n n', 0, scalar @values)
		  . join('',
			map { defined $_ ? pack('N', length $_) . $_ : pack('N', 0xffffffff) }
			  @values)
		  . pack('n', 0));
}

sub execute
{
	my ($self, $portal, $limit) = @_;

	return message('E', ($portal // '') . "\0" . pack('N', $limit // 0));
}

# Parse, Bind and Execute of an unnamed statement.
sub statement
{
	my ($self, $sql, @values) = @_;

	return $self->parse('', $sql)
	  . $self->bind(values => \@values)
	  . $self->execute;
}

sub describe_portal
{
	my ($self, $portal) = @_;

	return message('D', "P$portal\0");
}

sub describe_statement
{
	my ($self, $statement) = @_;

	return message('D', "S$statement\0");
}

sub sync
{
	return message('S', '');
}

sub flush
{
	return message('H', '');
}

# ---- the conversation

sub send
{
	my ($self, @messages) = @_;
	my $text = join '', @messages;

	while (length $text)
	{
		my $sent = syswrite $self->{socket}, $text;
		die "could not send: $!" unless defined $sent;
		substr($text, 0, $sent) = '';
	}
	return $self;
}

# One simple Query, and its answers.
sub query
{
	my ($self, $sql) = @_;

	$self->send(message('Q', "$sql\0"));
	return $self->answers;
}

# Messages of the extended protocol with a Sync, and their answers.
sub extended
{
	my ($self, @messages) = @_;

	$self->send(@messages, $self->sync);
	return $self->answers;
}

# All answers up to ReadyForQuery, or up to the given one.
sub answers
{
	my ($self, $last) = @_;
	my @answers;

	$self->{error} = {};
	$self->{notices} = [];
	while (1)
	{
		my $answer = $self->answer;

		next unless defined $answer;
		push @answers, $answer;
		last
		  if $answer =~ /^(idle|in transaction|failed|closed)$/
		  || (defined $last && $answer eq $last);
	}
	return @answers;
}

# The fields of the last error, by their letters: C is the SQLSTATE, M the
# message, P the position.
sub error
{
	my ($self, $field) = @_;

	return $self->{error}{$field};
}

sub notices
{
	my ($self) = @_;

	return map { $_->{M} } @{ $self->{notices} };
}

# Ask the server, through a connection of its own, to cancel what we run.
sub cancel
{
	my ($self) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $self->{path})
	  or die "could not connect: $!";

	syswrite $socket, pack('N N N N', 16, 80877102, $self->{pid}, $self->{key});
	# the server closes it when it has sent the signal
	sysread $socket, my $nothing, 1;
	close $socket;
	return;
}

sub pid
{
	my ($self) = @_;

	return $self->{pid};
}

sub close
{
	my ($self) = @_;

	$self->send(message('X', ''));
	close $self->{socket};
	return;
}

# ---- reading

sub read_bytes
{
	my ($self, $count) = @_;

	while (length $self->{buffer} < $count)
	{
		my $readable = '';

		vec($readable, fileno $self->{socket}, 1) = 1;
		select($readable, undef, undef,
			$PostgreSQL::Test::Utils::timeout_default)
		  or die 'the server does not answer';
		my $got = sysread $self->{socket}, $self->{buffer}, 8192,
		  length $self->{buffer};
		return unless $got;
	}
	return substr $self->{buffer}, 0, $count, '';
}

# One answer in words; undef for those that are left out.
sub answer
{
	my ($self) = @_;
	my $head = $self->read_bytes(5);

	return 'closed' unless defined $head;
	my ($type, $length) = unpack 'a N', $head;
	my $body = $length > 4 ? $self->read_bytes($length - 4) : '';

	return 'row ' . row($body) if $type eq 'D';
	return 'done ' . unpack('Z*', $body) if $type eq 'C';
	return 'suspended' if $type eq 's';
	return 'empty' if $type eq 'I';
	return 'no data' if $type eq 'n';
	return { I => 'idle', T => 'in transaction', E => 'failed' }->{$body}
	  if $type eq 'Z';
	if ($type eq 'E')
	{
		$self->{error} = fields($body);
		return "error $self->{error}{C}";
	}
	if ($type eq 'N')
	{
		push @{ $self->{notices} }, fields($body);
		return "notice $self->{notices}[-1]{C}";
	}
	($self->{pid}, $self->{key}) = unpack 'N N', $body if $type eq 'K';
	return;
}

sub row
{
	my ($body) = @_;
	my $count = unpack 'n', substr $body, 0, 2, '';
	my @values;

	foreach (1 .. $count)
	{
		my $length = unpack 'l>', substr $body, 0, 4, '';

		push @values, $length < 0 ? 'NULL' : substr $body, 0, $length, '';
	}
	return join '|', @values;
}

sub fields
{
	my ($body) = @_;
	my %field;

	$field{$1} = $2 while $body =~ /\G(.)([^\0]*)\0/gs;
	return \%field;
}

1;

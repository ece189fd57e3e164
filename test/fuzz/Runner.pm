# Runs statements in a session, keeps the script of the iteration, and reads in
# the server's log what each statement has left there.

package Runner;

use strict;
use warnings;

use Session;

# The iteration cannot go on.
use constant OVER => "the session is lost\n";

# Statements after which the catalog, as far as it is read, is the same.
my $harmless = qr{
	^(?: SAVEPOINT | RELEASE | BEGIN | SET | RESET | SELECT\s(?!lib|.*\sINTO\s) | INSERT | UPDATE | DELETE
		| LOCK | TRUNCATE | VACUUM | ANALYZE | REINDEX(?!.*TABLESPACE) | REFRESH | COMMENT | GRANT | REVOKE
	) (?!.*;)}sx;

my @findings = (
	[ mismatch => qr/safe_migrate mismatch: .*/ ],
	[ 'internal error' => qr/safe_migrate failed while judging.*/ ],
	[ crash => qr/(?:was terminated by signal|TRAP:|PANIC:).*/ ],
	[ leak => qr/WARNING: .*leak.*/i ]);

# Internal errors that PostgreSQL raises without us as well.
my $own_errors = qr{
	^(?: cannot\ rename\ trigger
	# after ALTER DOMAIN ... DROP CONSTRAINT and SAVEPOINT
	| cannot\ start\ a\ subtransaction\ when\ there\ are\ unprocessed\ inval\ messages
	# after ALTER TYPE of a column with an exclusion constraint in a tablespace
	| could\ not\ open\ file
	# of a child, at ALTER TABLE ONLY its parent ADD PRIMARY KEY
	| column\ .*\ is\ not\ marked\ NOT\ NULL
	)}x;

# server: directory, port, user, database, log
sub new
{
	my ($class, $server, $coverage) = @_;
	my $self = bless {
		server => $server,
		coverage => $coverage,
		finds => [],
		script => [],
		place => -s $server->{log},
	}, $class;

	open $self->{log}, '<', $server->{log} or die "$server->{log}: $!\n";
	$self->connect;
	return $self;
}

sub connect
{
	my ($self) = @_;

	# a server that crashed takes a moment
	foreach my $attempt (1 .. 60)
	{
		$self->{session} =
		  eval { Session->new(@{ $self->{server} }{qw(directory port user database)}) };
		last if $self->{session};
		sleep 1;
	}
	die $@ unless $self->{session};
	$self->{status} = 'I';
	$self->{dirty} = 1;
	return;
}

sub begin_script
{
	my ($self) = @_;

	$self->{script} = [];
	$self->{finds} = [];
	$self->news;
	return;
}

# One message: its text, the kinds of its statements that are to be counted, and
# whether it goes by the extended protocol.  True if it worked.
sub run
{
	my ($self, $sql, $kinds, $extended) = @_;
	my $result = $extended ? $self->{session}->run_extended($sql) : $self->{session}->run($sql);

	$self->{status} = $result->{status};
	$self->{dirty} = 1 unless $sql =~ $harmless || ($result->{error} && $result->{status} ne 'I');
	$self->{coverage}->count($kinds, $result->{error}, $sql) if $kinds;
	push @{ $self->{script} },
	  {
		sql => $sql,
		kinds => $kinds || [],
		extended => $extended,
		outcome => $result->{error} ? $result->{error}{C} : 'ok',
	  };
	$self->look_at($result);
	if ($result->{status} eq '')
	{
		$self->connect;
		die OVER;
	}
	return !$result->{error};
}

# What a statement leaves in the log is there before its answer is.
sub look_at
{
	my ($self, $result) = @_;
	my $text = $self->news;
	my $error = $result->{error};

	if ($error && $error->{C} eq '57014' && $error->{M} =~ /statement timeout/)
	{
		$self->found('timeout', $error->{M});
	}
	if ($error && $error->{C} eq '08006')
	{
		# the postmaster has more to say about that
		sleep 2;
		$text .= $self->news;
		$self->found('crash', 'the connection was lost');
	}
	$self->found('internal error of the server', $error->{M})
	  if $error && $error->{C} =~ /^(?:XX|58)/ && $error->{M} !~ $own_errors;
	foreach my $finding (@findings)
	{
		my ($category, $pattern) = @$finding;

		$self->found($category, $1) while $text =~ /($pattern)/g;
	}
	return;
}

# What the log has more than the last time.
sub news
{
	my ($self) = @_;
	my $size = -s $self->{log};
	my $text = '';

	return '' if $size <= $self->{place};
	seek $self->{log}, $self->{place}, 0;
	read $self->{log}, $text, $size - $self->{place};
	$self->{place} = $size;
	return $text;
}

# What was found, in the last statement of the script.
sub found
{
	my ($self, $category, $text) = @_;

	push @{ $self->{finds} },
	  {
		category => $category,
		text => $text,
		form => form($category, $text),
		position => $#{ $self->{script} },
	  };
	return;
}

# The same for all objects that behave alike: of a mismatch what differs, without
# the relation and the statement.
sub form
{
	my ($category, $text) = @_;

	$text = "$1: $2" if $text =~ /mismatch: ([A-Z ]+): .*?: ((?:lock|rewrite|index|scan|foreign).*?): /;
	return "$category: " . ($text =~ s/"[^"]*"/"..."/gr =~ s/\d+/0/gr);
}

# For psql: several statements of one message are divided by \;
sub as_script
{
	my ($entries) = @_;

	return join '', map {
		($_->{extended} ? "-- in the extended protocol\n" : '')
		  . join("\\;\n", split /;\n/, $_->{sql})
		  . ";\n"
	} @$entries;
}

1;

# Readers and writers of pgbench, and how long they had to wait.

package Traffic;

use strict;
use warnings;

use File::Basename qw(dirname);
use List::Util qw(max);
use Time::HiRes qw(sleep time);

# Names of our sessions, and what these and the server log have to do with each
# other: waits for locks are logged when they have lasted deadlock_timeout.
use constant APPLICATION => 'bench_traffic_';
use constant OPTIONS     => join ' ', map { "-c $_" }
  qw(synchronous_commit=off log_lock_waits=on deadlock_timeout=1ms);

# new Traffic(DIRECTORY, READERS, WRITERS): start it.  READERS and WRITERS are
# hashes of
#     script    a file beside this one
#     rate      transactions a second, or 0 for as many as there can be
#     clients   how many send them
#     VARIABLE  any other key is a variable of the script
# With a rate the latency counts from when the transaction was due, so those
# that pile up behind one that waits count as well.
sub new
{
	my ($class, $directory, %traffic) = @_;
	my $self = bless { directory => $directory }, $class;
	unlink glob "$directory/{read,write}.*";
	$self->{log_size} = -s $ENV{SM_LOG};
	$self->start($_, %{ $traffic{$_} }) for qw(read write);
	return $self;
}

sub start
{
	my ($self, $kind, %options) = @_;
	my ($script, $rate, $clients) = delete @options{qw(script rate clients)};
	my @command = (
		pgbench(), qw(-n -j 1 -T 100000),
		-c => $clients,
		-f => dirname(__FILE__) . "/$script",
		'-l', "--log-prefix=$self->{directory}/$kind");
	push @command, -R => $rate if $rate;
	push @command, -D => "$_=$options{$_}" for sort keys %options;

	my $pid = fork // die "fork: $!\n";
	if ($pid == 0)
	{
		$ENV{PGAPPNAME}  = APPLICATION . $kind;
		$ENV{PGOPTIONS}  = OPTIONS;
		$ENV{PGDATABASE} = 'postgres';
		open STDOUT, '>', '/dev/null' or die "/dev/null: $!\n";
		open STDERR, '>', "$self->{directory}/$kind.errors" or die "$kind.errors: $!\n";
		exec @command or die "$command[0]: $!\n";
	}
	$self->{pids}{$kind} = $pid;
	return;
}

# End it, and read its logs.  Returns how many clients met an error before.
sub stop
{
	my ($self) = @_;
	my $failed = 0;
	$failed += $self->failures($_) for keys %{ $self->{pids} };

	# pgbench writes its log when it ends, not when it is killed; it ends with
	# its last client
	system(psql(), qw(-X -q -o /dev/null -c),
		   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '"
		   . APPLICATION
		   . "%'") == 0 or die "psql failed\n";
	for my $kind (keys %{ $self->{pids} })
	{
		waitpid $self->{pids}{$kind}, 0;
		$self->{$kind} = read_log($self->{directory}, $kind);
	}
	$self->read_server_log();
	return $failed;
}

sub failures
{
	my ($self, $kind) = @_;
	open my $errors, '<', "$self->{directory}/$kind.errors"
	  or die "$kind.errors: $!\n";
	my @lines = grep { /error|aborted|fatal/i } <$errors>;
	print STDERR map { "$kind: $_" } @lines;
	return scalar @lines;
}

# Triples: when it was due, when it ended, in seconds, and the milliseconds
# between.
sub read_log
{
	my ($directory, $kind) = @_;
	my @transactions;
	for my $file (grep { !/errors$/ } glob "$directory/$kind.*")
	{
		open my $log, '<', $file or die "$file: $!\n";
		while (my $line = <$log>)
		{
			my (undef, undef, $took, undef, $second, $fraction) = split ' ', $line;
			next if $took !~ /^\d+$/;
			my $end = $second + $fraction / 1e6;
			push @transactions, [ $end - $took / 1e6, $end, $took / 1e3 ];
		}
	}
	die "the $kind traffic has logged nothing\n" unless @transactions;
	return \@transactions;
}

# Waits for the lock of a relation, from the lines that the server has logged
# since the start: triples as above.  Such a line begins with the time and the
# name of the application.
sub read_server_log
{
	my ($self) = @_;
	$self->{"$_ waits"} = [] for qw(read write);
	open my $log, '<', $ENV{SM_LOG} or die "$ENV{SM_LOG}: $!\n";
	seek $log, $self->{log_size}, 0 or die "$ENV{SM_LOG}: $!\n";
	my $pattern = qr/^([0-9.]+) @{[APPLICATION]}(\w+): LOG:  process \d+ acquired \w+ /
	  . qr/on relation \d+ of database \d+ after ([0-9.]+) ms/;
	while (my $line = <$log>)
	{
		my ($end, $kind, $took) = $line =~ $pattern or next;
		push @{ $self->{"$kind waits"} }, [ $end - $took / 1e3, $end, $took ];
	}
	return;
}

# Of the transactions that were under way in the window: the longest, in
# milliseconds, how many took more than 100 ms, and the longest wait of one of
# them for the lock of a relation; 0 if there was none of at least a millisecond.
sub worst
{
	my ($self, $kind, $from, $to) = @_;
	my @took = took($self->{$kind}, $from, $to);
	my @waits = took($self->{"$kind waits"}, $from, $to);
	return (max(0, @took), scalar(grep { $_ > 100 } @took), max(0, @waits));
}

sub took
{
	my ($transactions, $from, $to) = @_;
	return map { $_->[2] } grep { $_->[1] >= $from && $_->[0] <= $to } @$transactions;
}

# Programs of the server under test.
sub psql    { return "$ENV{SM_BIN}/psql" }
sub pgbench { return "$ENV{SM_BIN}/pgbench" }

1;

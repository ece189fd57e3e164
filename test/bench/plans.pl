#!/usr/bin/perl
#
# One statement of plans.list, amid readers and writers:
#
#     plans.pl names
#     plans.pl run DIRECTORY off|ours NAME CONTROL_SECONDS ROWS RATE
#
# "off" is the plain statement, with safe_migrate.mode off.  RATE readers arrive
# each second, and half as many writers.  First they are by themselves for
# CONTROL_SECONDS.  Prints "skip" and why, or "error" and the SQLSTATE, or three
# lines: milliseconds that the statement took, how many clients failed, how many
# things were left behind that are not valid; then of the statement, and of the
# time before it, the worst latency of readers, how many of them took more
# than 100 ms and the longest wait for a lock, and the same of writers.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Session;
use Time::HiRes qw(sleep time);
use Traffic;

use constant LEAD => 1;
use constant TAIL => 0.5;

my ($what, @arguments) = @ARGV;
my @statements = read_list();
if (($what // '') eq 'names')
{
	print map { "$_->{name}\n" } @statements;
	exit 0;
}
die "usage: plans.pl names | run DIRECTORY off|ours NAME CONTROL_SECONDS ROWS RATE\n"
  unless ($what // '') eq 'run' && @arguments == 6;
my ($directory, $side, $name, $control, $rows, $rate) = @arguments;
my ($statement) = grep { $_->{name} eq $name } @statements;
die "plans.list has no $name\n" unless $statement;
measure();


sub read_list
{
	my @list;
	open my $file, '<', "$FindBin::Bin/plans.list" or die "plans.list: $!\n";
	local $/ = '';
	while (my $paragraph = <$file>)
	{
		next if $paragraph =~ /^#/;
		$paragraph =~ s/:rows/$arguments[4] || 0/ge;
		push @list, { $paragraph =~ /^(\w+): *(.*)$/mg };
	}
	return @list;
}

sub measure
{
	unjudged($statement->{prepare}) if $statement->{prepare};
	if (!has_plan())
	{
		print "skip it has no plan\n";
		unjudged($statement->{undo}) if $statement->{prepare};
		return;
	}
	unjudged('CHECKPOINT');
	my $session = Session->new(Traffic::psql());
	$session->ask('SET client_min_messages = warning;');
	$session->ask('SET safe_migrate.mode = off;') if $side eq 'off';

	my $traffic = traffic();
	sleep LEAD;
	my $still = time;
	sleep $control;
	my $sent = time;
	$session->ask(($side eq 'ours' && $statement->{ours} || $statement->{statement}) . ';');
	my $done = time;
	my $sqlstate = $session->sqlstate();
	sleep TAIL * 2;
	$session->end();
	my $failed = $traffic->stop();

	if ($sqlstate ne '00000')
	{
		print "error $sqlstate\n";

		# nobody knows how far it got
		eval { unjudged($statement->{undo}) if $statement->{undo} };
		return;
	}
	printf "%.1f %d %d\n", ($done - $sent) * 1000, $failed, leftovers();
	report($traffic, $sent,  $done + TAIL);
	report($traffic, $still, $sent - TAIL);
	unjudged($statement->{undo}) if $statement->{undo};
	return;
}

# Something with work to do on the tables that are there.
sub has_plan
{
	my $found = answer(
		"SELECT count(safe_sql) FROM migrate.check(\$check\$$statement->{statement}\$check\$)");
	return $found > 0;
}

sub traffic
{
	my %kinds;
	for my $kind (qw(read write))
	{
		my $table = $statement->{$kind} // 'bench_accounts';
		my $other = $statement->{other} // $table;
		$kinds{$kind} = {
			script     => "$kind.pgbench",
			rate       => $kind eq 'read' ? $rate : $rate / 2,
			clients    => 4,
			table      => $table,
			rows       => rows_of($table),
			other      => $other,
			other_rows => rows_of($other) };
	}
	return Traffic->new($directory, %kinds);
}

# See lock_tables.sql.
sub rows_of
{
	my ($table) = @_;
	return $table =~ /^bench_(?:branches|view)$/ ? $rows / 20 : $rows;
}

sub report
{
	my ($traffic, $from, $to) = @_;
	my @numbers = map { $traffic->worst($_, $from, $to) } qw(read write);
	printf "%.3f %d %.3f %.3f %d %.3f\n", @numbers;
	return;
}

sub leftovers
{
	return answer(<<'END');
SELECT (SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive))
	 + (SELECT count(*) FROM pg_constraint WHERE NOT convalidated)
	 + (SELECT count(*) FROM pg_inherits WHERE inhdetachpending)
	 + (SELECT count(*) FROM migrate.task_log WHERE state NOT IN ('done', 'cancelled'))
END
}

sub answer
{
	my ($query) = @_;
	open my $psql, '-|', Traffic::psql(), qw(-X -A -t -q -c), $query
	  or die "psql: $!\n";
	my $answer = do { local $/ = undef; <$psql> };
	close $psql or die "psql failed\n";
	return 0 + $answer;
}

# To prepare and to undo.
sub unjudged
{
	my ($sql) = @_;
	local $ENV{PGOPTIONS} = '-c safe_migrate.mode=off -c client_min_messages=warning';
	system(Traffic::psql(), qw(-X -q -o /dev/null -c), $sql) == 0
	  or die "psql failed\n";
	return;
}

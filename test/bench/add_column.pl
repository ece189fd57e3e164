#!/usr/bin/perl
#
# ALTER TABLE bench_wide ADD COLUMN, in two sessions on two servers, statement
# by statement in turn, so that whatever else the machine does slows both:
#
#     add_column.pl PSQL PORT PORT autocommit|block STATEMENTS
#
# "block" does all in one transaction, and rolls back.  Prints what the first
# and what the second server took, in microseconds: the first statement of the
# session, the median of the others, and the CPU time of the backend for one of
# those.

use strict;
use warnings;

use IPC::Open2;

my ($psql, $port_1, $port_2, $how, $statements) = @ARGV;
die "usage: add_column.pl PSQL PORT PORT autocommit|block STATEMENTS\n"
  unless $statements && $how =~ /^(?:autocommit|block)$/;

my @servers = map { connect_to($_) } $port_1, $port_2;

if ($how eq 'block')
{
	ask($_, 'BEGIN;') for @servers;
}
$_->{first} = add_column($_, 0) for @servers;
$_->{cpu}   = cpu($_)           for @servers;
for my $n (1 .. $statements)
{
	push @{ $_->{times} }, add_column($_, $n) for $n % 2 ? @servers : reverse @servers;
}
for my $server (@servers)
{
	$server->{cpu} = (cpu($server) - $server->{cpu}) / 1000 / $statements;
	ask($server, 'ROLLBACK;') if $how eq 'block';
	close $server->{in};
	waitpid $server->{pid}, 0;
	die "psql failed\n" if $?;
}

printf "median %.1f %.1f\n", map { median(@{ $_->{times} }) } @servers;
printf "first %.1f %.1f\n",  map { $_->{first} } @servers;
printf "cpu %.2f %.2f\n",    map { $_->{cpu} } @servers;


# psql in a pipe; without stdbuf it would keep its answers to itself.
sub connect_to
{
	my ($port) = @_;
	local $ENV{PGPORT} = $port;
	my %server;
	$server{pid} = open2($server{out}, $server{in}, 'stdbuf', '-oL', $psql,
		qw(-X -A -t -q -v ON_ERROR_STOP=1 -f -));
	ask(\%server, '\timing on');
	return \%server;
}

# Send a line, return what it prints.
sub ask
{
	my ($server, $line) = @_;
	my $answer = '';
	print { $server->{in} } "$line\n\\echo -- done\n";
	$server->{in}->flush;
	while (defined(my $read = readline $server->{out}))
	{
		return $answer if $read eq "-- done\n";
		$answer .= $read;
	}
	die "psql failed at: $line\n";
}

sub add_column
{
	my ($server, $n) = @_;
	my ($ms) =
	  ask($server, "ALTER TABLE bench_wide ADD COLUMN extra_$n int;") =~ /^Time: ([0-9.]+) ms/m;
	return $ms * 1000;
}

# Nanoseconds that the backend has spent on a CPU, as the kernel counts them.
sub cpu
{
	my ($server) = @_;
	my ($ns) = ask($server,
		"SELECT 'cpu ' || split_part(pg_read_file('/proc/self/schedstat'), ' ', 1);") =~
	  /^cpu (\d+)$/m;
	return $ns;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

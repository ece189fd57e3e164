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

use FindBin;
use lib $FindBin::Bin;
use Session;

my ($psql, $port_1, $port_2, $how, $statements) = @ARGV;
die "usage: add_column.pl PSQL PORT PORT autocommit|block STATEMENTS\n"
  unless $statements && $how =~ /^(?:autocommit|block)$/;

my @servers = map { { session => Session->new($psql, $_) } } $port_1, $port_2;

if ($how eq 'block')
{
	$_->{session}->elapsed('BEGIN;') for @servers;
}
$_->{first} = add_column($_, 0)    for @servers;
$_->{cpu}   = $_->{session}->cpu() for @servers;
for my $n (1 .. $statements)
{
	push @{ $_->{times} }, add_column($_, $n) for $n % 2 ? @servers : reverse @servers;
}
for my $server (@servers)
{
	$server->{cpu} = ($server->{session}->cpu() - $server->{cpu}) / $statements;
	$server->{session}->elapsed('ROLLBACK;') if $how eq 'block';
	$server->{session}->end();
}

printf "median %.1f %.1f\n", map { median(@{ $_->{times} }) } @servers;
printf "first %.1f %.1f\n",  map { $_->{first} } @servers;
printf "cpu %.2f %.2f\n",    map { $_->{cpu} } @servers;


sub add_column
{
	my ($server, $n) = @_;
	return $server->{session}->elapsed("ALTER TABLE bench_wide ADD COLUMN extra_$n int;");
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

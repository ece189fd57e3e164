#!/usr/bin/perl
#
# What the fingerprint costs: migrate.apply() of one ADD COLUMN where nothing has
# changed since the last migration, and where something has, in turn:
#
#     fingerprint.pl PSQL PAIRS
#
# Prints a line a pair: microseconds of CPU of the backend of the two, and
# microseconds.  Then, with "first" before it, the same of sessions that have
# done nothing before.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Session;

my ($psql, $pairs) = @ARGV;
die "usage: fingerprint.pl PSQL PAIRS\n" unless $pairs;

my $count   = 0;
my $session = Session->new($psql);
$session->ask('CREATE TABLE bench_fingerprint (id int);');
apply($session, 1) for 1 .. 3;
for (1 .. $pairs)
{
	my @same    = apply($session, 0);
	my @changed = apply($session, 1);
	printf "%.0f %.0f %.0f %.0f\n", $same[0], $changed[0], $same[1], $changed[1];
}
$session->end();
for (1 .. $pairs)
{
	my %took;
	for my $changed (0, 1)
	{
		my $new = Session->new($psql);
		$new->cpu();
		$took{$changed} = [ apply($new, $changed) ];
		$new->end();
	}
	printf "first %.0f %.0f %.0f %.0f\n", map { my $n = $_; map { $took{$_}[$n] } 0, 1 } 0, 1;
}


# Microseconds of CPU, and microseconds, of a new column.
sub apply
{
	my ($in, $change) = @_;
	$count++;
	$in->ask('SET client_min_messages = warning;');
	$in->ask("CREATE TABLE bench_between_$count (); DROP TABLE bench_between_$count;"
		  . "ALTER TABLE bench_fingerprint ALTER id SET STATISTICS $count;")
	  if $change;
	my $cpu     = $in->cpu();
	my $elapsed = $in->elapsed(
		"SELECT migrate.apply('$count', 'ALTER TABLE bench_fingerprint ADD COLUMN c$count int');");
	return ($in->cpu() - $cpu, $elapsed);
}

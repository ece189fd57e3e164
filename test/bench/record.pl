#!/usr/bin/perl
#
# What the record of schema changes adds to statements outside of migrations, in
# one session in which it is switched off for every other statement:
#
#     record.pl PSQL PAIRS
#
# Which of a pair is first changes from pair to pair.  Prints a line a pair and
# kind of statement: the kind, microseconds of CPU of the backend with and
# without, and microseconds with and without.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Session;

# Each takes back what the one before has done, and %d is a number of the pair.
my @statements = (
	[ 'CREATE_TABLE', 'CREATE TABLE bench_record_%d (id bigint PRIMARY KEY, a text)' ],
	[ 'ADD_COLUMN',   'ALTER TABLE bench_record_%d ADD COLUMN extra int' ],
	[ 'CREATE_VIEW',  'CREATE VIEW bench_shown_%d AS SELECT id FROM bench_record_%d' ],
	[ 'GRANT',        'GRANT SELECT ON bench_record_%d TO PUBLIC' ],
	[ 'DROP_VIEW',    'DROP VIEW bench_shown_%d' ],
	[ 'DROP_TABLE',   'DROP TABLE bench_record_%d' ]);

my ($psql, $pairs) = @ARGV;
die "usage: record.pl PSQL PAIRS\n" unless $pairs;

my $session = Session->new($psql);
my $count   = 0;
$session->ask("SET safe_migrate.override = 'a measurement';");
run_all($_) for 1, 0, 1, 0;
for my $pair (1 .. $pairs)
{
	my %took;
	$took{$_} = run_all($_) for $pair % 2 ? (1, 0) : (0, 1);
	for my $i (0 .. $#statements)
	{
		printf "%s %.2f %.2f %.1f %.1f\n", $statements[$i][0],
		  map { my $n = $_; map { $took{$_}[$i][$n] } 1, 0 } 0, 1;
	}
}
$session->end();


# Microseconds of CPU, and microseconds, of each.
sub run_all
{
	my ($recorded) = @_;
	my @took;
	$session->ask('SET safe_migrate.record_ddl = ' . ($recorded ? 'on' : 'off') . ';');
	$count++;
	for my $statement (@statements)
	{
		(my $sql = $statement->[1]) =~ s/%d/$count/g;
		my $cpu     = $session->cpu();
		my $elapsed = $session->elapsed("$sql;");
		push @took, [ $session->cpu() - $cpu, $elapsed ];
	}
	return \@took;
}

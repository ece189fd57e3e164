#!/usr/bin/perl
#
# Statements that are judged and not run, in one session:
#
#     judge.pl PSQL ROUNDS FILE
#
# FILE has a statement a line.  Each is one that the library refuses, so that
# it takes as long as judging it does; before one that it allows stands "check"
# and it is only checked, by migrate.check().  All are tried in turn, first two
# times to warm the caches.  Prints a line a statement and round: the number of
# the statement, microseconds of CPU, and microseconds.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Session;

my ($psql, $rounds, $file) = @ARGV;
die "usage: judge.pl PSQL ROUNDS FILE\n" unless $file;

open my $input, '<', $file or die "$file: $!\n";
chomp(my @statements = <$input>);
close $input;

my $session = Session->new($psql);

# what would be done another way is refused, too
$session->elapsed(
	"SET safe_migrate.rules = 'set_not_null:reject, add_check:reject, create_index:reject, add_unique:reject, alter_column_type:reject';",
	'00000');
for my $round (-1 .. $rounds)
{
	for my $n (0 .. $#statements)
	{
		my $allowed = $statements[$n] =~ /^check (.*)/;
		my $line =
		  $allowed ? "SELECT count(*) FROM migrate.check(\$judge\$$1\$judge\$);"
		  : "$statements[$n];";
		my $cpu     = $session->cpu();
		my $elapsed = $session->elapsed($line, $allowed ? '00000' : 'SM001');
		$cpu = $session->cpu() - $cpu;
		printf "%d %.1f %.1f\n", $n, $cpu, $elapsed if $round > 0;
	}
}
$session->end();

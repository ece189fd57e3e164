#!/usr/bin/perl
#
# Random DDL against a server that watches itself: see ../fuzz.sh.
#
#     fuzz.pl --directory D --port P --log FILE [--seconds N | --iterations N]
#         [--seed N] [--finds N] [--each N] [--save DIRECTORY] [--reduce]
#         [--errors N] [--trace FILE]
#
# The iteration of seed S is the same whenever it runs on the same version of
# the server.  A run goes on with seed S + 1 and so on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Coverage;
use Getopt::Long;
use Prelude;
use Reducer;
use Runner;
use Time::HiRes 'time';
use Units;
use World;

my %option = (
	user => 'postgres',
	database => 'postgres',
	seed => 1,
	finds => 20,
	each => 1,
	errors => 0);
GetOptions(\%option, 'directory=s', 'port=i', 'user=s', 'database=s', 'log=s',
	'seconds=f', 'iterations=i', 'seed=i', 'finds=i', 'each=i', 'save=s', 'reduce', 'errors=i', 'trace=s')
  && $option{directory} && $option{port} && $option{log} && !@ARGV
  or die "usage: see the head of $0\n";
$option{seconds} //= 60 unless $option{iterations};

my $coverage = Coverage->new;
my $runner = Runner->new(\%option, $coverage);
my $world = World->new(0);
my (%known, $prelude, $trace);
my ($iterations, $finds, $started) = (0, 0, time);

$| = 1;
open $trace, '>', $option{trace} or die "$option{trace}: $!\n" if $option{trace};
look_around();
$coverage->expect(Units::kinds($world));
while (1)
{
	last if $option{iterations} && $iterations >= $option{iterations};
	last if $option{seconds} && time - $started >= $option{seconds};
	last if $finds >= $option{finds};
	iteration($option{seed} + $iterations++);
}
report();
exit($finds ? 1 : 0);


# The version of the server, and what it can do.
sub look_around
{
	my $session = $runner->{session};
	($world->{version}) = map { $_->[0] } $session->rows('SHOW server_version_num');
	($prelude, $world->{has}) = Prelude::make($session);
	$world->{collations} =
	  [ qw("C" "POSIX" "default"), grep { $world->{has}{$_} } qw(lib.icu lib.ci) ];
	return;
}

# Shapes first, then what grows on them, then anything.
sub iteration
{
	my ($seed) = @_;

	$world->seed($seed);
	$world->{names} = {};
	Prelude::clean($runner->{session});
	$runner->{session}->rows($_) foreach 'DEALLOCATE ALL', Catalog::preparation($world->{version});
	$runner->{session}->run($_) foreach Prelude::beginning();
	$runner->begin_script;
	eval {
		event_trigger() if $world->chance(15);
		Units::grow($runner, $world, sub { $_[0]{kind} =~ /^CREATE (?:TYPE|DOMAIN|SEQUENCE)/ })
		  foreach 1 .. 5;
		Units::grow($runner, $world, sub { $_[0]{kind} =~ /^CREATE (?:TEMP )?TABLE/ })
		  foreach 1 .. $world->between(3, 8);
		Units::grow($runner, $world) foreach 1 .. $world->between(10, 40);
		Units::unit($runner, $world) foreach 1 .. 60;
		finish();
		1;
	} or $@ eq Runner::OVER() or die "seed $seed: $@";
	collect($seed);
	return;
}

# Nothing but a function of ours that runs on the way.
sub event_trigger
{
	$runner->run('CREATE EVENT TRIGGER fz_event ON '
		  . $world->pick('ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite')
		  . ' EXECUTE FUNCTION lib.on_event()');
	return;
}

# All that there is goes at once, which is a statement to be judged as well.
sub finish
{
	$runner->run('RESET ROLE');
	$runner->run('DROP SCHEMA IF EXISTS f, g CASCADE', ['DROP SCHEMA f, g CASCADE']);
	$runner->run('DISCARD TEMP', ['DISCARD TEMP']);
	return;
}

# What the iteration has found, and has not been found before, or not as often as
# is asked for.  Of a statement of
# several parts it is no news if one of them did that alone.
sub collect
{
	my ($seed) = @_;
	my @script = @{ $runner->{script} };
	my @finds = @{ $runner->{finds} };

	print $trace "-- seed $seed\n", map { "$_->{outcome}\t" . ($_->{sql} =~ s/\n/ /gr) . "\n" } @script
	  if $trace;
	foreach my $find (@finds)
	{
		my @kinds = @{ $script[ $find->{position} ]{kinds} };

		next if grep { ($known{"$_: $find->{form}"} || 0) >= $option{each} } @kinds;
		next if $known{ join(' + ', @kinds) . ": $find->{form}" }++ >= $option{each};
		show_find($seed, $find, @script[ 0 .. $find->{position} ]);
	}
	return;
}

sub show_find
{
	my ($seed, $find, @script) = @_;
	my $reduced = '';

	if ($option{reduce})
	{
		my $reducer = Reducer->new($runner, $find->{form});
		my @shorter = $reducer->reduce(@script);

		return if @shorter && $known{ outline($find, $shorter[-1]) }++;
		($find, @script) = ({ %$find, text => $reducer->{text} }, @shorter) if @shorter;
		$reduced = @shorter ? ', reduced' : ', not found again';
	}
	$finds++;
	print "\n---- $find->{form}, seed $seed$reduced\n$find->{text}\n";
	print $reduced eq ', reduced' ? Runner::as_script(\@script) : "    in: $script[-1]{sql}\n";
	save_find("$option{save}/find_$finds.sql", $seed, $find, @script) if $option{save};
	return;
}

# A statement without the names, types and values that the fuzzer chose.
sub outline
{
	my ($find, $entry) = @_;
	my $type = join '|', map { quotemeta } Types::spellings();

	return "$find->{form}, " . ($entry->{sql} =~ s/\b\w*\d\b/0/gr =~ s/'[^']*'/0/gr =~ s/\b(?:$type)(?!\w)/0/gr);
}

sub save_find
{
	my ($file, $seed, $find, @script) = @_;

	open my $out, '>', $file or die "$file: $!\n";
	print $out "-- seed $seed\n-- $find->{text}\n", map { "$_;\n" } @$prelude, Prelude::beginning();
	print $out "-- from here on it is the iteration's\n", Runner::as_script(\@script);
	close $out or die "$file: $!\n";
	print "    script: $file\n";
	return;
}

sub report
{
	my $seconds = time - $started;
	my %counter =
	  map { $_->[0] => $_->[1] } $runner->{session}->rows('SELECT * FROM migrate.counters()');
	my @gaps = $coverage->gaps;

	print "\n", $coverage->table;
	print "\nNever worked: ", join(', ', @gaps), "\n" if @gaps;
	print "\nMost frequent errors:\n", $coverage->errors($option{errors}) if $option{errors};
	printf "\n%d kinds of statement with %d outcomes, %.0f statements a second\n",
	  $coverage->kinds, $coverage->distinct, $coverage->{run} / $seconds;
	printf
	  "seed %d: %d iterations, %d statements run, %d succeeded (%.1f %%), %s compared, %s mismatches, %d finds\n",
	  $option{seed}, $iterations, $coverage->{run}, $coverage->{succeeded}, $coverage->ratio,
	  $counter{statements_observed} // 'none', $counter{mismatches} // 'no', $finds;
	return;
}

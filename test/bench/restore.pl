#!/usr/bin/perl
#
# What restore points take, on the server of PGPORT:
#
#     restore.pl PSQL PART ROUNDS ROWS LOG
#
# PART is create, undo, keep, rows or emaj.  ROWS are in the table bench_rows (see
# restore_rows.sql), LOG is the server's.  Prints lines of a series each: its name,
# and one or two figures, in milliseconds or in what the name says.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Session;
use Time::HiRes qw(time usleep);

my ($psql, $part, $rounds, $rows, $log) = @ARGV;
die "usage: restore.pl PSQL PART ROUNDS ROWS LOG\n" unless $log;

my %parts = (
	create => \&create,
	undo => \&undo,
	keep => \&keep,
	rows => \&rows,
	emaj => \&emaj);
my $session = Session->new($psql);
my $version = int(time);		# later than those of other runs

$| = 1;
$session->elapsed('SET client_min_messages = error;');
$parts{$part}->();
$session->end;
exit;


# ---- helpers

# Milliseconds of a statement.
sub ms
{
	my ($statement) = @_;

	return $session->elapsed("$statement;") / 1000;
}

sub value
{
	my ($query) = @_;
	my $answer = $session->ask("$query;") =~ s/^Time: .*\n//mr;

	die "$query: $answer\n" if $session->sqlstate ne '00000';
	chomp $answer;
	return $answer;
}

# Milliseconds of a migration with this text.
sub migrate
{
	my ($sql) = @_;

	$version++;
	return ms("SELECT migrate.apply('$version', \$\$$sql\$\$)");
}

# As at the beginning, but for the table's pages.
sub forget
{
	ms('SELECT migrate.drop_all_restore_points()');
	value(q{SELECT migrate.unregister(version) FROM migrate.status WHERE state = 'pending'});
	ms('CHECKPOINT');
	return;
}

# Another session reads the table all the time, and tells how long that took it.
sub start_reader
{
	my ($file) = @_;
	my $pid = fork // die "fork: $!\n";

	return $pid if $pid;
	my $reader = Session->new($psql);
	my $stop = 0;

	open my $out, '>', $file or die "$file: $!\n";
	$SIG{TERM} = sub { $stop = 1 };
	while (!$stop)
	{
		my $started = time;

		$reader->ask('SELECT 1 FROM bench_rows LIMIT 1;');
		printf $out "%.6f %.6f\n", $started, time;
		usleep(500);
	}
	close $out;
	$reader->end;
	exit;
}

# Seconds of its longest read that ended later than this.
sub longest_since
{
	my ($started, $file) = @_;
	my $worst = 0;

	open my $in, '<', $file or die "$file: $!\n";
	while (<$in>)
	{
		my ($from, $to) = split;

		$worst = $to - $from if $to > $started && $to - $from > $worst;
	}
	close $in;
	unlink $file;
	return $worst;
}

# CALL rollback_to(): milliseconds of it all, of the reader that it kept longest,
# and of the longest wait for a lock that the server has logged.
sub roll_back
{
	my ($label, $mode) = @_;
	my $file = "/tmp/bench_reader.$$";
	my $position = -s $log;
	my $is_there = value(q{SELECT to_regclass('bench_rows') IS NOT NULL}) eq 't';
	my ($worst, $waited) = (0, 0);
	my $reader;
	my ($started, $took);

	$reader = start_reader($file) if $is_there;
	usleep(300_000);
	$started = time;
	$took = ms("CALL migrate.rollback_to('$label', '$mode')");
	usleep(200_000);
	if ($is_there)
	{
		kill 'TERM', $reader;
		waitpid $reader, 0;
		$worst = longest_since($started, $file);
	}
	open my $in, '<', $log or die "$log: $!\n";
	seek $in, $position, 0;
	while (<$in>)
	{
		$waited = $1 if /acquired \w+ on relation .* after ([0-9.]+) ms/ && $1 > $waited;
	}
	close $in;
	return ($took, 1000 * $worst, $waited);
}

sub is_whole
{
	my ($count) = @_;
	my $found = value('SELECT count(*) FROM bench_rows');

	die "$found rows, not $count: what was measured?\n" if $found != $count;
	return;
}

sub size_of_points
{
	return value('SELECT sum(own_bytes) FROM migrate.restore_points') / 1e6;
}

# ---- the parts

# A restore point where nothing has changed since the last, and behind a change.
sub create
{
	for my $round (0 .. $rounds)
	{
		my $changed;

		ms('CREATE TABLE bench_new (a int)');
		$changed = ms("SELECT migrate.create_restore_point('changed')");
		my $same = ms("SELECT migrate.create_restore_point('same')");

		# the first one of a session fills its caches
		print "create-first $changed\n" if $round == 0;
		print "create-changed $changed\ncreate-same $same\n" if $round > 0;
		printf "create-size %s\n",
		  value("SELECT own_bytes / 1e6 FROM migrate.restore_points WHERE label = 'same'");
		ms('DROP TABLE bench_new');
		ms('SELECT migrate.drop_all_restore_points()');
	}
	return;
}

# Mode as_of.
sub undo
{
	my @kinds = (
		[ 'drop', 'DROP TABLE bench_rows' ],
		[ 'truncate', 'TRUNCATE bench_rows' ],
		[ 'column', 'ALTER TABLE bench_rows DROP COLUMN note' ],
		[ 'type', 'ALTER TABLE bench_rows ALTER status TYPE bigint' ]);

	for (1 .. $rounds)
	{
		foreach my $kind (@kinds)
		{
			my ($name, $sql) = @$kind;
			my ($took, $worst, $waited);

			ms("SELECT migrate.create_restore_point('bench')");
			print "undo-$name-migration ", migrate($sql), "\n";
			printf "undo-$name-size %s\n", size_of_points();
			ms('CHECKPOINT');
			($took, $worst, $waited) = roll_back('bench', 'as_of');
			print "undo-$name $took\nundo-$name-reader $worst\nundo-$name-lock $waited\n";
			is_whole($rows);
			forget();
		}
	}
	return;
}

# Mode keep, of a rewriting ALTER with later writes, beside the scan and the join
# that finding those takes.
sub keep
{
	value('DROP TABLE IF EXISTS bench_old');
	value('CREATE TABLE bench_old AS SELECT * FROM bench_rows');
	value('VACUUM (FREEZE, ANALYZE) bench_old');
	for (1 .. $rounds)
	{
		my ($took, $worst, $waited, $join, $xid);

		ms("SELECT migrate.create_restore_point('bench')");
		migrate('ALTER TABLE bench_rows ALTER status TYPE bigint');
		$xid = value('SELECT xmin FROM bench_rows LIMIT 1');
		ms("UPDATE bench_rows SET name = 'later' WHERE id % (($rows) / 1000) = 1");
		ms("DELETE FROM bench_rows WHERE id % (($rows) / 500) = 2");
		ms("INSERT INTO bench_rows SELECT $rows + n, 'new' || n, 'new', 1, 1, now(), 'new' FROM generate_series(1, 500) n");
		ms('CHECKPOINT');
		$join = ms("SELECT count(*) FROM bench_rows n FULL JOIN bench_old o USING (id) WHERE n.id IS NULL OR o.id IS NULL OR n.xmin <> '$xid'");
		($took, $worst, $waited) = roll_back('bench', 'keep');
		print "keep $took $join\nkeep-reader $worst\nkeep-lock $waited\n";
		is_whole($rows);
		die "later writes are lost\n"
		  if value("SELECT count(*) FROM bench_rows WHERE name = 'later' OR note = 'new'") < 1000;

		# the same rows again, for the next round
		value("DELETE FROM bench_rows WHERE id > $rows");
		value('INSERT INTO bench_rows SELECT * FROM bench_old o WHERE NOT EXISTS (SELECT FROM bench_rows n WHERE n.id = o.id)');
		forget();
		value('VACUUM (ANALYZE) bench_rows');
	}
	value('DROP TABLE bench_old');
	return;
}

# A bulk UPDATE with and without a restore point, and the way back beside an UPDATE
# ... FROM of the same rows.
sub rows
{
	my $update = q{UPDATE bench_rows SET note = note || 'x' WHERE id % 5 = 0};
	my $count = int($rows / 5);

	value('DROP TABLE IF EXISTS bench_saved');
	value('CREATE TABLE bench_saved AS SELECT * FROM bench_rows WHERE id % 5 = 0');
	value('VACUUM (FREEZE, ANALYZE) bench_saved');
	for my $round (1 .. $rounds)
	{
		my %took;

		foreach my $how ($round % 2 ? ('on', 'off') : ('off', 'on'))
		{
			value("SET safe_migrate.restore_points = $how");
			$took{$how} = migrate($update);
			if ($how eq 'on')
			{
				my $label = value("SELECT label FROM migrate.restore_points WHERE kind = 'migration'");

				printf "rows-size %s\n", size_of_points();
				ms('CHECKPOINT');
				$took{back} = ms("CALL migrate.rollback_to('$label', 'as_of')");
			}
			else
			{
				ms('CHECKPOINT');
				$took{from} = ms('UPDATE bench_rows t SET note = s.note FROM bench_saved s WHERE t.id = s.id');
			}
			die "rows are not what they were\n"
			  if value("SELECT count(*) FROM bench_rows JOIN bench_saved s USING (id) WHERE bench_rows.note = s.note") != $count;
			value('SET safe_migrate.restore_points = on');
			forget();
			value('VACUUM bench_rows');
		}
		print "capture $took{on} $took{off}\nrestored $took{back} $took{from}\n";
	}
	value('DROP TABLE bench_saved');
	return;
}

# The same UPDATE under E-Maj, and its rollback.
sub emaj
{
	my $update = q{UPDATE bench_rows SET note = note || 'x' WHERE id % 5 = 0};

	value('CREATE EXTENSION emaj CASCADE');
	value(q{SELECT emaj.emaj_create_group('bench', true)});
	value(q{SELECT emaj.emaj_assign_table('public', 'bench_rows', 'bench')});
	value(q{SELECT emaj.emaj_start_group('bench', 'started')});
	for my $round (1 .. $rounds)
	{
		printf "emaj-mark %s\n", ms("SELECT emaj.emaj_set_mark_group('bench', 'mark$round')");
		printf "emaj-update %s\n", ms($update);
		printf "emaj-size %s\n",
		  value(q{SELECT sum(pg_total_relation_size(c.oid)) / 1e6 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname ~ '^emaj_' AND relkind = 'r'});
		ms('CHECKPOINT');
		printf "emaj-back %s\n", ms("SELECT * FROM emaj.emaj_rollback_group('bench', 'mark$round')");
		value('VACUUM bench_rows');
	}
	value(q{SELECT emaj.emaj_stop_group('bench')});
	value(q{SELECT emaj.emaj_drop_group('bench')});
	value('SELECT emaj.emaj_drop_extension()');
	return;
}

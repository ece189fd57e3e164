# What a refusal says of the time that a statement would take, by what the server
# has learned; and that this outlives a restart, a crash and a damaged file.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('work_rates');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
restart_after_crash = on
autovacuum = off
safe_migrate.rules = 'create_index:reject'
});
$node->start;

my $file = $node->data_dir . '/pg_stat/safe_migrate.rates';
my $segment = 1024 * 1024 * 1024;
my $segments = 20;

my $rewrite = q{ALTER TABLE %s ADD COLUMN token uuid DEFAULT gen_random_uuid()};
my $drop = q{ALTER TABLE %s DROP COLUMN token};
my $pass = q{SET safe_migrate.rules = 'add_column_rewrite:allow, drop_column:allow, add_check:allow';};

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub message
{
	my ($sql) = @_;
	my $stderr;

	$node->psql('postgres', $sql, stderr => \$stderr, on_error_stop => 0);
	return $stderr =~ /(?:ERROR):  (.*)/ ? $1 : '';
}

sub rates
{
	return query('SELECT * FROM migrate.work_rates ORDER BY work');
}

sub samples
{
	my ($work) = @_;

	return query(
		"SELECT coalesce(sum(samples), 0) FROM migrate.work_rates WHERE work = '$work'"
	);
}

# Rewrite a table of 20 MB, twice.
sub rewrite_medium
{
	my $once = join ';', map { sprintf $_, 'medium' } $rewrite, $drop;

	query("$pass $once; $once");
	return;
}

# Samples in the file: magic and version, then for each kind of work samples,
# bytes, logarithm, weight and time.
sub saved_samples
{
	return -1 unless -e $file;
	my (undef, undef, @fields) = unpack 'L2 (q Q d d q)7', slurp_file($file);
	my $sum = 0;

	$sum += $fields[ 5 * $_ ] for 0 .. 6;
	return $sum;
}

sub wait_until_saved
{
	my $known = query('SELECT sum(samples) FROM migrate.work_rates');

	for (1 .. 300)
	{
		return 1 if saved_samples() == $known;
		usleep(100_000);
	}
	return 0;
}

query(
	q{
CREATE EXTENSION safe_migrate;
CREATE TABLE medium AS SELECT g AS id, repeat('x', 600) AS t FROM generate_series(1, 30000) g;
CREATE TABLE huge (id int, t text);
INSERT INTO huge VALUES (1, 'x');
CHECKPOINT});

# A table of 20 GB that takes no room: for who only looks at sizes.
my $path =
  $node->data_dir . '/' . query(q{SELECT pg_relation_filepath('huge')});
foreach my $number (0 .. $segments - 1)
{
	my $name = $number ? "$path.$number" : $path;

	open my $handle, '>>', $name or die "$name: $!";
	truncate $handle, $segment or die "$name: $!";
	close $handle;
}
is(query(q{SELECT pg_relation_size('huge')}),
	$segments * $segment, 'the table seems to be large');

#
# A time is told when something is known
#
my $refused = sprintf $rewrite, 'huge';
my $time = qr/about \d+ (?:s|min|h|h \d+ min)/;
my $with_time =
  qr/rewrites public\.huge \(20 GB, $time\) while reads and writes wait/;
like(message($refused), qr/rewrites public\.huge \(20 GB\) while/,
	'at first, there is a size and no time');

query($pass . sprintf 'ALTER TABLE %s ADD CHECK (id > 0)', 'medium');
is(samples('scan'), 1, 'a scan was learned from');
like(message($refused), qr/\(20 GB\) while/,
	'and says nothing about a rewrite');

# 20 GB are more than 1000 times as much
query("$pass " . sprintf $rewrite, 'medium');
is(samples('rewrite'), 1, 'a rewrite was learned from');
like(message($refused), qr/\(20 GB\) while/, 'but is too little to tell');
query("$pass " . sprintf $drop, 'medium');
rewrite_medium();
is(samples('rewrite'), 3, 'more rewrites were learned from');
like(message($refused), $with_time, 'now there is a time');
like(
	query(qq{SELECT message FROM migrate.check('$refused')}),
	$with_time, 'in migrate.check() as well');
unlike(message(sprintf $rewrite, 'medium'),
	qr/about 0/, 'no time is told that is less than a second');

like(message('ALTER TABLE huge ALTER id TYPE bigint'),
	$with_time, 'a time is that of the kind of work');
like(
	message('CREATE INDEX ON huge (id)'),
	qr/on public\.huge \(20 GB\) while/,
	'no index was built: no time for that');

#
# Indexes that were built CONCURRENTLY, and what a migration does
#
# A statement of ours may have to wait for the snapshot of a recorder.
for my $try (1 .. 10)
{
	query("CALL migrate.run('CREATE INDEX medium_$try ON medium (t)')");
	last if samples('index_build_concurrently') == 2;
}
is(samples('index_build_concurrently'),
	2, 'CONCURRENTLY was learned from, apart');
is(samples('index_build'), 0, 'and not as if it had been a plain build');
like(
	message('CREATE INDEX ON huge (id)'),
	qr/on public\.huge \(20 GB, $time\) while/,
	'its rate is told where no other is known');

query(
	q{
SELECT migrate.register('1', 'check', '
	ALTER TABLE medium ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
	COMMIT;
	ALTER TABLE medium VALIDATE CONSTRAINT positive')});
query('CALL migrate.deploy()');
is(samples('scan'), 2, 'what a migration did was learned from');

#
# Restart and crash
#
my $before = rates();
$node->restart;
is(rates(), $before, 'the rates outlive a restart');
like(message($refused), $with_time, 'and so do the times');

rewrite_medium();
ok(wait_until_saved(), 'the launcher writes what was learned');
$before = rates();
$node->stop('immediate');
$node->start;
is(rates(), $before, 'the rates outlive a stop without a farewell');

rewrite_medium();
ok(wait_until_saved(), 'the launcher goes on');
$before = rates();
message(
	q{DO $$ BEGIN EXECUTE format('COPY (SELECT) TO PROGRAM %L', 'kill -KILL ' || pg_backend_pid()); END $$}
);
ok(wait_until_up($node), 'the server comes back from a crash');
is(rates(), $before, 'the rates outlive a crash');
rewrite_medium();
ok(wait_until_saved(), 'and are saved again');

#
# A standby shows what it was given
#
my $standby = PostgreSQL::Test::Cluster->new('standby');
{
	local $ENV{PGOPTIONS} = '-c safe_migrate.override=test';
	query('DROP TABLE huge');
}
query('CHECKPOINT');
$node->backup('backup');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT * FROM migrate.work_rates ORDER BY work'),
	rates(), 'a standby has the rates of its base backup');
$standby->safe_psql('postgres', 'SELECT migrate.forget_work_rates()');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM migrate.work_rates'),
	0, 'and can forget them');
$standby->promote;
$standby->safe_psql('postgres',
	$pass . 'ALTER TABLE medium ADD CHECK (id > 0)');
is( $standby->safe_psql(
		'postgres', 'SELECT work, samples FROM migrate.work_rates'),
	'scan|1',
	'promoted, it learns its own');
$standby->stop;

#
# Damaged files
#
my $good = slurp_file($file);
my $flipped = $good;
substr($flipped, 20, 1) = chr(ord(substr($flipped, 20, 1)) ^ 1);
my $newer = $good;
substr($newer, 4, 4) = pack 'L', 99;

sub start_with_file
{
	my ($contents, $name) = @_;

	$node->stop;
	open my $handle, '>:raw', $file or die "$file: $!";
	print $handle $contents;
	close $handle;
	my $position = -s $node->logfile;
	$node->start;
	is(rates(), '', "$name: nothing is known");
	like(
		slurp_file($node->logfile, $position),
		qr/LOG:  ignoring invalid data in file "pg_stat\/safe_migrate.rates"/,
		"$name: the log says so");
	return;
}

start_with_file($flipped, 'a flipped bit');
start_with_file(substr($good, 0, 50), 'a short file');
start_with_file($good . 'x', 'a long file');
start_with_file($newer, 'another version');
start_with_file('', 'an empty file');

rewrite_medium();
$before = rates();
$node->restart;
is(rates(), $before, 'a good file follows');

query('SELECT migrate.forget_work_rates()');
$node->restart;
is(rates(), '', 'what was forgotten stays so');

$node->stop;
unlink $file;
mkdir $file or die;
my $position = -s $node->logfile;
$node->start;
rewrite_medium();
is(samples('rewrite'), 2, 'a file that cannot be is no obstacle to learning');
$node->stop;
like(
	slurp_file($node->logfile, $position),
	qr/LOG:  could not open file "pg_stat\/safe_migrate.rates": Is a directory/,
	'but logged');

done_testing();

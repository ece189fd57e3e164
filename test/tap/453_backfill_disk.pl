# What a backfill leaves for the disk: beside sessions that write, it flushes its own
# WAL, and the pages by which the table grows are on their way before they are old.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireSession;

# Linux 6.5 and later
use constant CACHESTAT => 451;
use constant OS_PAGE => 4096;

my $node = PostgreSQL::Test::Cluster->new('disk');

# the WAL writer does nothing unless it must
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = off
autovacuum = off
fsync = on
shared_buffers = 256MB
max_wal_size = 4GB
wal_writer_delay = 10s
wal_writer_flush_after = 2GB
END
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE gate (closed boolean);
INSERT INTO gate VALUES (false);
CREATE TABLE other (n int);
INSERT INTO other VALUES (0);
CREATE FUNCTION unflushed() RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn())::bigint
$$;
CREATE PROCEDURE write_on() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('synchronous_commit', 'off', false);
	LOOP
		UPDATE other SET n = n + 1;
		COMMIT;
		EXIT WHEN (SELECT closed FROM gate);
		PERFORM pg_sleep(0.001);
	END LOOP;
END
$$;
});

# For each row, how many bytes of WAL were to be flushed when it was set.
sub backfill_gaps
{
	my ($table) = @_;

	$node->safe_psql('postgres', qq{
CREATE TABLE $table (id int PRIMARY KEY, gap bigint, c text);
INSERT INTO $table SELECT g, NULL, repeat('x', 100) FROM generate_series(1, 20000) g;
CHECKPOINT;
});
	$node->safe_psql('postgres', "CALL migrate.backfill('$table', 'gap = unflushed()', 'gap IS NULL')");
}

backfill_gaps('alone');
my $alone = $node->safe_psql('postgres', 'SELECT max(gap) FROM alone');
cmp_ok($alone, '>', 1000000, 'alone, a backfill leaves its WAL to the WAL writer');

my $writer = WireSession->new($node, 'postgres');
$writer->send(WireSession::message('Q', "CALL write_on()\0"));
$node->poll_query_until('postgres', 'SELECT n > 10 FROM other')
  or die 'nobody writes';
backfill_gaps('beside');
my $beside = $node->safe_psql('postgres',
	'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY gap) FROM beside');
$node->safe_psql('postgres', 'UPDATE gate SET closed = true');
$writer->answers;
cmp_ok($beside, '<', $alone / 4, 'beside others, it flushes it');

# In the cache of the kernel, of a relation: undef if it does not tell.
sub dirty_pages
{
	my ($relation) = @_;
	my $path = $node->safe_psql('postgres', "SELECT pg_relation_filepath('$relation')");
	my $all = pack('Q2', 0, 0);
	my $result = pack('Q5', (0) x 5);

	open(my $file, '<', $node->data_dir . "/$path") or die "$path: $!";
	return if $^O ne 'linux'
	  || syscall(CACHESTAT, fileno($file), $all, $result, 0) != 0;
	return (unpack('Q5', $result))[1];
}

sub os_pages
{
	my ($relation) = @_;

	return $node->safe_psql('postgres', "SELECT pg_relation_size('$relation')") / OS_PAGE;
}

$node->safe_psql('postgres', q{
CREATE TABLE grown (id int PRIMARY KEY, name text, name2 text);
INSERT INTO grown SELECT g, 'Name ' || repeat('x', 80) || g FROM generate_series(1, 300000) g;
CREATE INDEX grown_name ON grown (name) WITH (fillfactor = 100);
CHECKPOINT;
});

SKIP:
{
	skip 'this kernel does not tell what is to be written of a file', 4
	  unless defined dirty_pages('grown');

	my @relations = ('grown', 'grown_name');
	my %before = map { $_ => os_pages($_) } @relations;

	$node->safe_psql('postgres', q{CALL migrate.backfill('grown', 'name2 = lower(name)')});
	foreach my $relation (@relations)
	{
		my $growth = os_pages($relation) - $before{$relation};
		my $dirty = dirty_pages($relation);

		cmp_ok($growth, '>', 200, "$relation grows");
		cmp_ok($dirty, '<', $growth / 2, "most of its new pages do not wait for the kernel to find them old");
		note("$growth pages, $dirty of them to be written");
	}
}

$node->stop;
done_testing();

# A new column is filled while clients move rows about and after the server was
# killed: no row is left out, and none gets another value.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('fill');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.observation = on
autovacuum = off
END
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE t (id int PRIMARY KEY, v int, c text) WITH (fillfactor = 50);
INSERT INTO t SELECT g, 0, repeat('x', 100) FROM generate_series(1, 200000) g;
CREATE SEQUENCE s;
CREATE SEQUENCE ids START 1000000;
});
my $writer = PostgreSQL::Test::Utils::tempdir() . '/writer.pgbench';
append_to_file($writer, <<'END');
\set id random(1, 200000)
UPDATE t SET v = v + 1, c = repeat('y', 100 + v) WHERE id = :id;
INSERT INTO t VALUES (nextval('ids'), 0, 'new');
END

# While clients write; the longest of their statements is not to wait long.
sub with_writers
{
	my ($action) = @_;
	my $output = '';
	my $bench = IPC::Run::start(
		[ 'pgbench', '-n', '-c', 2, '-T', 4, '-f', $writer, '--max-tries=1', $node->connstr('postgres') ],
		'>&', \$output);

	$action->();
	$bench->finish;

	unlike($output, qr/ERROR|aborted/, 'no client failed');
}

with_writers(sub {
	$node->safe_psql('postgres', "CALL migrate.run('ALTER TABLE t ADD n bigint NOT NULL DEFAULT nextval(\$\$s\$\$)')");
});
is($node->safe_psql('postgres', 'SELECT count(*) > 200000, count(*) = count(n), count(*) = count(DISTINCT n) FROM t'),
	't|t|t', 'each row has a value of its own');
is($node->safe_psql('postgres', "SELECT attnotnull, atthasdef FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'n'"),
	't|t', 'the column is as it was to be');

# killed in the middle
$node->safe_psql('postgres', q{
CREATE TABLE k AS SELECT id, v, c FROM t;
ALTER TABLE k ADD n bigint, ALTER n SET DEFAULT nextval('s');
});
my $call = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "CALL migrate.fill_column('k', 'n')" ],
	'>', \my $ignored, '2>', \my $messages);
$node->poll_query_until('postgres', 'SELECT EXISTS (SELECT FROM k WHERE n IS NOT NULL)')
  or die 'nothing was filled';
$node->stop('immediate');
$call->finish;
$node->start;
is($node->safe_psql('postgres', 'SELECT count(n) > 0, count(n) < count(*) FROM k'), 't|t', 'it was killed in the middle');
$node->safe_psql('postgres', 'CREATE TABLE before AS SELECT id, n FROM k WHERE n IS NOT NULL');
$node->safe_psql('postgres', "CALL migrate.fill_column('k', 'n')");
is($node->safe_psql('postgres', 'SELECT count(*) = count(n), count(*) = count(DISTINCT n) FROM k'), 't|t', 'the next call fills the rest');
is($node->safe_psql('postgres', 'SELECT count(*) FROM before JOIN k USING (id) WHERE before.n <> k.n'), '0', 'and changes nothing that was filled');
$node->stop;

done_testing();

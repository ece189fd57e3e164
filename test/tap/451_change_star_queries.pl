# Which statements a change names because they take all columns of its table, and
# which it does not.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('change_star_queries');

$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'safe_migrate, pg_stat_statements'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate; CREATE TABLE other (id int, a int)');

# What a start says when clients have run these statements, or one has prepared them.
sub warning
{
	my ($queries, $session) = @_;

	$node->safe_psql('postgres', q{SET client_min_messages = error; SET safe_migrate.mode = off; DROP TABLE IF EXISTS t;
		CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1)});
	$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()')
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'});
	$node->safe_psql('postgres', $_) foreach @$queries;

	# a session that has not quite gone would be a second one that sends it
	my $texts = join(', ', map { "\$q\$$_\$q\$" } @$queries);
	if (@$queries)
	{
		$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE query IN ($texts))")
		  or die 'the sessions do not end';
	}
	my ($status, $out, $error) = $node->psql('postgres', ($session // '') . q{SELECT migrate.rename_column('t', 'a', 'b', advance => 'manual')});
	is($status, 0, 'it starts') or diag($error);
	return $error;
}

my $named = qr/^psql:<stdin>:1: WARNING:  1 statement takes all columns of public\.t by "\*".*cached plan must not change result type/m;

# what another session runs
my $session = $node->background_psql('postgres', on_error_stop => 0);
like(warning([]), qr/\A(?!.*all columns)/s, 'nothing to name');
$session->query_safe('PREPARE p AS SELECT * FROM t');
like(warning([]), $named, 'a session that prepares SELECT *');
$session->query_safe('SELECT 1');
$session->quit;

# what this session has prepared
like(warning([], 'PREPARE p AS SELECT * FROM t; '), qr/DETAIL:  this session: PREPARE p AS SELECT \* FROM t/, 'this session');

# what the statistics know
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
foreach my $query (
	'SELECT * FROM t', 'SELECT t.* FROM t', 'SELECT x.* FROM other JOIN public.t x USING (id)',
	'SELECT count(*) FROM (SELECT * FROM t) s', 'WITH w AS (SELECT * FROM t) SELECT id FROM w',
	'INSERT INTO t VALUES (2, 2) RETURNING *', 'UPDATE t SET a = 3 RETURNING *', 'DELETE FROM t RETURNING t.*',
	'SELECT 1 UNION ALL SELECT x.a FROM (SELECT * FROM t) x', 'SELECT j.* FROM (t JOIN other o USING (id)) AS j')
{
	like(warning([$query]), $named, "named: $query");
}
foreach my $query (
	'SELECT id, a FROM t', 'SELECT count(*) FROM t', 'SELECT * FROM other', 'SELECT other.* FROM other, t',
	'SELECT o.*, t.a FROM other o, t', 'SELECT id FROM t WHERE id IN (SELECT (o).id FROM (SELECT * FROM other) o)',
	'CREATE SCHEMA IF NOT EXISTS s CREATE TABLE t (id int)' =~ s/IF NOT EXISTS //r, 'SELECT * FROM s.t',
	'WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d', 'SELECT * FROM other t FOR UPDATE OF t',
	'UPDATE t SET a = 3 RETURNING id')
{
	like(warning([$query]), qr/\A(?!.*all columns)/s, "not named: $query");
}
like(warning([ map { 'SELECT *' . ', id' x $_ . ' FROM t' } 1 .. 7 ]), qr/7 statements take all columns.*\n\.\.\./s, 'many are counted, and some named');

$node->stop;
done_testing();

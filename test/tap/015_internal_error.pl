# Our own code fails while judging: the statement is refused and that is
# counted, or it is let through, as safe_migrate.on_internal_error says.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('internal_error');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'safe_migrate'");
$node->start;
$node->safe_psql('postgres',
	'CREATE EXTENSION safe_migrate; CREATE TABLE t (id int)');
if ($node->psql('postgres', "SET safe_migrate.fault_point = ''") != 0)
{
	plan skip_all => 'needs a build with make FAULT_POINTS=1';
}

my ($status, $out, $error) = $node->psql('postgres',
	"SET safe_migrate.fault_point = 'judge'; ALTER TABLE t ADD a int");
like(
	$error,
	qr/ERROR:  safe_migrate failed while judging the statement, which was not run: fault point "judge"/,
	'the statement is refused');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'"
	),
	'0',
	'it did not run');

$node->safe_psql('postgres', q{
SET safe_migrate.fault_point = 'judge';
SET safe_migrate.on_internal_error = pass;
ALTER TABLE t ADD b int;
BEGIN;
ALTER TABLE t ADD c int;
SAVEPOINT s;
ALTER TABLE t ADD d int;
ROLLBACK TO s;
COMMIT;
});
is( $node->safe_psql('postgres',
		"SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 1"
	),
	'b c',
	'with "pass" statements run unjudged, also inside savepoints');
cmp_ok(
	$node->safe_psql('postgres',
		"SELECT value FROM migrate.counters() WHERE name = 'internal_errors'"),
	'>=', 4, 'each failure is counted');

# What a command with CONCURRENTLY has failed for is not lost with the look at
# what it has left behind.
$node->safe_psql('postgres',
	'CREATE TABLE twice (id int); INSERT INTO twice VALUES (1), (1)');
foreach my $fault ('concurrent_failure', '')
{
	($status, $out, $error) = $node->psql('postgres',
		"SET safe_migrate.fault_point = '$fault'; CREATE UNIQUE INDEX CONCURRENTLY twice_id$fault ON twice (id)"
		  =~ s/; /;\n/r);
	like(
		$error,
		$fault eq '' ?
		  qr/could not create unique index "twice_id"; the index public\.twice_id is left behind, invalid/ :
		  qr/could not create unique index "twice_idconcurrent_failure"\n/,
		"the first error is raised, fault point \"$fault\"");
	unlike($error, qr/fault point|WARNING/, 'and no other');
	is( $node->safe_psql('postgres',
			"SELECT indisvalid FROM pg_index WHERE indexrelid = 'twice_id$fault'::regclass"
		),
		'f',
		'the index is there');
}

$node->stop;
done_testing();

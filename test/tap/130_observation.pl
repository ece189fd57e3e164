# What is foretold of a statement is compared with what it does: a difference
# of each kind is noticed, and is one line of the log and one row.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('observation');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.observation = on
safe_migrate.mode = observe
autovacuum = off
END
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE a (id int PRIMARY KEY, v int, w varchar(10));
CREATE TABLE b (id int REFERENCES a);
CREATE INDEX a_v ON a ((v + 1));
INSERT INTO a VALUES (1, 1, 'x');
});

# Runs a statement with or without our effects.  Returns the differences that
# were logged, without what they begin and end with.
sub differences
{
	my ($statement, $blind) = @_;
	my $position = -s $node->logfile;

	$node->safe_psql('postgres',
			($blind ? "SET safe_migrate.fault_point = 'forecast';" : '')
		  . $statement);
	my $log = slurp_file($node->logfile, $position);
	my @found =
	  $log =~ /safe_migrate mismatch: [A-Z ]+: (\S+: .*?): \Q$statement\E/g;
	return join "\n", sort @found;
}

sub counter
{
	my ($name) = @_;

	return $node->safe_psql('postgres',
		"SELECT value FROM migrate.counters() WHERE name = '$name'");
}

# a statement, and what it does that nobody would have foretold
my @cases = (
	[
		'ALTER TABLE a ALTER v SET NOT NULL',
		"public.a: lock predicted none, observed AccessExclusiveLock\n"
		  . 'public.a: scan not predicted'
	],
	[
		'ALTER TABLE a ALTER v TYPE bigint',
		"public.a: lock predicted none, observed AccessExclusiveLock\n"
		  . 'public.a: rewrite not predicted'
	],
	[
		'CREATE INDEX a_w ON a (w)',
		"public.a: index build not predicted\n"
		  . 'public.a: lock predicted none, observed ShareLock'
	],
	[
		'REINDEX INDEX a_v',
		"public.a: index build not predicted\n"
		  . "public.a: lock predicted none, observed ShareLock\n"
		  . 'public.a_v: lock predicted none, observed AccessExclusiveLock'
	],
	[
		'COMMENT ON TABLE b IS NULL',
		'public.b: lock predicted none, observed ShareUpdateExclusiveLock'
	],
	[
		'DROP TABLE b',
		"public.a: lock predicted none, observed AccessExclusiveLock\n"
		  . 'public.b: lock predicted none, observed AccessExclusiveLock'
	],
	[ 'VACUUM FULL a', '' ],    # commits, and others may rewrite a table too
);

my $observed = counter('statements_observed');
my $mismatches = counter('mismatches');

foreach my $case (@cases)
{
	my ($statement, $expected) = @$case;

	is(differences($statement, 1), $expected, "not foretold: $statement");
}
is(counter('mismatches') - $mismatches, 12, 'each of them is counted');
cmp_ok(counter('statements_observed') - $observed,
	'>=', 7, 'so are the statements');
is( $node->safe_psql('postgres', q{
SELECT count(*), count(DISTINCT relation), min(outcome), count(message)
FROM migrate.decisions WHERE outcome = 'mispredicted'}),
	'12|3|mispredicted|12',
	'each is a row');

# the same statements, foretold
$node->safe_psql('postgres', q{
DROP INDEX a_w;
CREATE TABLE b (id int REFERENCES a);
ALTER TABLE a ALTER v DROP NOT NULL, ALTER v TYPE int;
});
$mismatches = counter('mismatches');
is(differences($_->[0], 0), '', "foretold: $_->[0]") foreach @cases;
is(counter('mismatches') - $mismatches, 0, 'none of them is counted');

# What a command takes that fails is nobody's business, and leaves nothing.
$mismatches = counter('mismatches');
$node->psql('postgres', 'ALTER TABLE a ALTER v TYPE date USING now()::date, '
	  . 'ADD CONSTRAINT c CHECK (1 / (id - 1) > 0)');
is( $node->safe_psql('postgres', q{
DO $$ BEGIN EXECUTE 'ALTER TABLE a ADD x int'; EXECUTE 'ALTER TABLE a DROP x'; END $$;
SELECT count(*) FROM a}),
	'1',
	'a statement that failed, then some in a DO block');
is(counter('mismatches') - $mismatches, 0, 'give no difference');

$node->stop;
done_testing();

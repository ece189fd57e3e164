# A statement that is done step by step ends in the schema and the data that
# the plain statement ends in: the same in two databases, compared by names.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PlanCases qw(plan_cases);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plans');
my $elsewhere = PostgreSQL::Test::Utils::tempdir();

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.observation = on
autovacuum = off
wal_level = logical
END
$node->start;
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$elsewhere'");
foreach my $database (qw(plain safe))
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION safe_migrate');
}

# What is in a schema: one line each, by names.
my $manifest = q{
WITH s AS (SELECT current_schema()::regnamespace::oid AS oid),
r AS (SELECT c.* FROM pg_class c, s WHERE relnamespace = s.oid)
SELECT format('relation %s %s %s tablespace %s options %s am %s partition %s bound %s rules %s',
	oid::regclass, relkind, relpersistence,
	(SELECT spcname FROM pg_tablespace t WHERE t.oid = reltablespace), reloptions,
	(SELECT amname FROM pg_am a WHERE a.oid = relam),
	relispartition, pg_get_expr(relpartbound, oid), relhasrules)
FROM r
UNION ALL
SELECT format('column %s %s %s %s %s', attrelid::regclass, attnum, attisdropped,
	-- some builds keep a number there that differs from column to column
	(SELECT string_agg(o, ',' ORDER BY o) FROM unnest(attoptions) o WHERE o !~ '^pg_attver='),
	to_jsonb(a) - '{attrelid,attcacheoff,attmissingval,atthasmissing,attoptions}'::text[])
FROM pg_attribute a WHERE attrelid IN (SELECT oid FROM r) AND attnum > 0
UNION ALL
SELECT format('default %s %s', adrelid::regclass, pg_get_expr(adbin, adrelid))
FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM r)
UNION ALL
SELECT format('index %s %s', pg_get_indexdef(indexrelid),
	to_jsonb(i) - '{indexrelid,indrelid,indexprs,indpred}'::text[])
FROM pg_index i WHERE indrelid IN (SELECT oid FROM r)
UNION ALL
SELECT format('constraint %s on %s: %s of %s index %s %s', conname, conrelid::regclass,
	pg_get_constraintdef(c.oid),
	(SELECT conname FROM pg_constraint o WHERE o.oid = c.conparentid),
	conindid::regclass,
	to_jsonb(c) - '{oid,conrelid,conindid,conparentid,confrelid,connamespace,conbin,conpfeqop,conppeqop,conffeqop}'::text[] -
		-- a key attached to that of its parent keeps it; it means nothing there,
		-- and a restored dump has it as well
		CASE WHEN contype IN ('p', 'u') THEN 'connoinherit' ELSE '' END)
FROM pg_constraint c, s WHERE connamespace = s.oid
UNION ALL
SELECT format('inherits %s %s %s', inhrelid::regclass, inhparent::regclass, inhseqno)
FROM pg_inherits WHERE inhrelid IN (SELECT oid FROM r)
UNION ALL
SELECT format('depends %s: %s on %s', deptype, pg_describe_object(classid, objid, objsubid),
	pg_describe_object(refclassid, refobjid, refobjsubid))
FROM pg_depend WHERE deptype <> 'p' AND refclassid <> 'pg_namespace'::regclass AND (
	(classid = 'pg_class'::regclass AND objid IN (SELECT oid FROM r)) OR
	(classid = 'pg_constraint'::regclass AND objid IN
		(SELECT c.oid FROM pg_constraint c, s WHERE connamespace = s.oid)))
	AND pg_describe_object(classid, objid, objsubid) !~ 'toast|RI_ConstraintTrigger'
UNION ALL
SELECT format('trigger %s on %s %s %s', regexp_replace(tgname, '\d+$', 'N'), tgrelid::regclass, tgenabled,
	(SELECT conname FROM pg_constraint o WHERE o.oid = tgconstraint))
FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM r)
	AND tgname !~ '^~~~~safe_migrate'	-- of a restore point, which the plain statement has none of
ORDER BY 1;
};

# The rows of all tables.
sub rows
{
	my ($database, $schema) = @_;

	return $node->safe_psql($database, qq{
SELECT string_agg(format('SELECT %L, to_jsonb(x)::text FROM ONLY %s x', oid::regclass, oid::regclass), ' UNION ALL ') || ' ORDER BY 1, 2'
FROM pg_class WHERE relnamespace = '$schema'::regnamespace AND relkind IN ('r', 'm') \\gexec
});
}

sub compare
{
	my ($schema, $name, $fails) = @_;
	my @found;

	foreach my $database (qw(plain safe))
	{
		push @found, $node->safe_psql($database, "SET search_path = $schema; SET client_min_messages = error; $manifest")
		  . "\n" . rows($database, $schema);
	}
	# a column that was taken back leaves its number
	if ($fails)
	{
		s/^column \S+ \d+ t .*\n//mg foreach @found;
	}
	is($found[1], $found[0], "$name: the same in the end");
}

my $number = 0;

foreach my $case (plan_cases())
{
	my $schema = sprintf('s%03d', ++$number);
	my $statement = $case->{statement};
	my $name = "$schema $case->{name}";
	my $quoted = $statement;
	my ($plain, $safe, $output, $error);

	next if $case->{from} && $major < $case->{from};
	next if $case->{to} && $major > $case->{to};
	$quoted =~ s/'/''/g;
	foreach my $database (qw(plain safe))
	{
		$node->safe_psql($database,
			"SET safe_migrate.mode = off; CREATE SCHEMA $schema; SET search_path = $schema; $case->{setup}");
	}
	$plain = $node->psql('plain',
		"SET search_path = $schema; SET safe_migrate.mode = off; SET client_min_messages = error; $statement",
		stderr => \$error);
	is($plain != 0, !!$case->{fails}, "$name: plain") or diag($error);
	my $override = $case->{allowed} ? "SET safe_migrate.override = 'wanted';" : '';
	my $start = $node->safe_psql('safe', 'SELECT clock_timestamp()');
	$safe = $node->psql('safe', "SET search_path = $schema;
SET safe_migrate.small_table = 0;
SET client_min_messages = error;
$override
CALL migrate.run('$quoted')", stdout => \$output, stderr => \$error);
	if (!defined $case->{plan})
	{
		isnt($safe, 0, "$name: refused");
		unlike($error, qr/CALL migrate.run/, "$name: no plan is offered");
		$node->safe_psql($_, "SET safe_migrate.mode = off; SET client_min_messages = error; DROP SCHEMA $schema CASCADE")
		  foreach qw(plain safe);
		next;
	}
	is($safe != 0, !!$case->{fails}, "$name: step by step") or diag($error);
	if (!$case->{fails})
	{
		my $executed = $node->safe_psql('safe', "SELECT replace(executed, chr(10), ' ') FROM migrate.decisions
WHERE executed IS NOT NULL AND decided_at >= '$start' ORDER BY decided_at DESC LIMIT 1");
		like($executed, qr/$case->{plan}/, "$name: the plan") if $executed ne '' || !$case->{allowed};
	}
	compare($schema, $name, $case->{fails});
}

my @dumps;

foreach my $database (qw(plain safe))
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';

	$node->command_ok([ 'pg_dump', '-s', '-N', 'migrate', '-d', $node->connstr($database), '-f', $file ],
		"pg_dump of $database");
	my $dump = slurp_file($file);
	$dump =~ s/^\\(un)?restrict .*$//mg;
	push @dumps, $dump;
}
is($dumps[1], $dumps[0], 'the same dump');
$node->stop;
unlike(slurp_file($node->logfile), qr/safe_migrate mismatch/, 'all was foreseen');

done_testing();

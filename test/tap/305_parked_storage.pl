# Files that a DROP, TRUNCATE or rewrite would have removed are kept while a
# restore point needs them, with their TOAST tables and indexes, and nobody but
# the server has anything to do with them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('parked');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
max_prepared_transactions = 2
autovacuum = off
wal_level = logical
});
$node->start;

my $directory = PostgreSQL::Test::Utils::tempdir;
my $database = 'case';
my $version = 0;

sub query
{
	my ($sql) = @_;

	return $node->safe_psql($database, $sql);
}

my $has_amcheck = $node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});

# A database with what a case needs, and a restore point.
sub begin_case
{
	my ($setup) = @_;

	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS "case"');
	$node->safe_psql('postgres', 'CREATE DATABASE "case"');
	query('CREATE EXTENSION safe_migrate');
	query('CREATE EXTENSION amcheck') if $has_amcheck;
	query($setup);
	query('CREATE TABLE names AS SELECT oid, relname, relfilenode FROM pg_class');
	query(q{SELECT migrate.create_restore_point('before')});
}

# What is parked: names of the relations as they were, kinds and causes, and
# whether it is a file that the restore point does not know.  What belongs to
# TOAST counts as a part of its table.
sub parked
{
	return query(
		q{SELECT concat_ws(' ', CASE WHEN s.kind IN ('t', 'i') AND n.relname ~ '^pg_toast'
				THEN 'toast' ELSE n.relname END, s.kind, s.cause,
			CASE WHEN n.relfilenode <> s.filenode THEN 'later' END)
		FROM migrate.parked_storage s
		LEFT JOIN names n ON n.oid = s.relid
		ORDER BY 1});
}

# The hidden relation with the rows of a table.
sub holder
{
	my ($table) = @_;

	return 'migrate.parked_' . query(
		qq{SELECT s.holder FROM migrate.parked_storage s
		JOIN names n ON n.oid = s.relid
		WHERE n.relname = '$table' AND s.kind IN ('r', 'm', 'S')});
}

# Nothing is wrong with any of them.
sub check_all
{
	my ($name) = @_;

  SKIP:
	{
		skip 'amcheck is not there', 2 unless $has_amcheck;
		is( query(
				q{WITH heaps AS MATERIALIZED (
					SELECT holder FROM migrate.parked_storage WHERE kind IN ('r', 'm', 't'))
				SELECT v.* FROM heaps h, LATERAL verify_heapam(h.holder, check_toast := true) v}),
			'', "$name: heaps and TOAST are sound");
		is( query(
				q{WITH indexes AS MATERIALIZED (
					SELECT c.oid FROM migrate.parked_storage s
					JOIN pg_index i ON i.indexrelid = s.holder
					JOIN pg_class c ON c.oid = s.holder
					JOIN pg_am a ON a.oid = c.relam
					WHERE i.indisvalid AND a.amname = 'btree')
				SELECT string_agg(bt_index_parent_check(x.oid, true)::text, '') FROM indexes x}),
			'', "$name: so are indexes");
	}
}

my $wide = q{
	CREATE TABLE wide (id int PRIMARY KEY, big text, n int);
	ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
	CREATE INDEX wide_n ON wide (n);
	INSERT INTO wide SELECT i, repeat(md5(i::text), 100), i FROM generate_series(1, 100) i;
};
my $wide_sum = q{count(*), md5(string_agg(big, '' ORDER BY id)), sum(n)};
my @wide_parts = ('toast i', 'toast t', 'wide r', 'wide_n i', 'wide_pkey i');

# A migration, and what must be parked by it.
sub migrate
{
	my ($sql) = @_;

	$version++;
	$sql =~ s/'/''/g;
	query(qq{SELECT migrate.apply('$version', '$sql')});
}

sub lines
{
	my ($cause, @parts) = @_;

	return join("\n", map { "$_ $cause" } @parts);
}

#
# A table with TOAST and indexes
#
foreach my $case (
	[ 'DROP TABLE', 'DROP TABLE wide', 'dropped' ],
	[ 'DROP in a function', 'DO $do$ BEGIN EXECUTE $$DROP TABLE wide$$; END $do$', 'dropped' ],
	[ 'DROP OWNED', 'DROP OWNED BY owner_of_wide', 'dropped' ],
	[ 'TRUNCATE', 'TRUNCATE wide', 'truncated' ],
	[ 'TRUNCATE and INSERT', q{TRUNCATE wide; INSERT INTO wide VALUES (1, 'x', 1)}, 'truncated' ],
	[ 'TRUNCATE twice', q{TRUNCATE wide; INSERT INTO wide VALUES (1, 'x', 1); TRUNCATE wide}, 'truncated' ],
	[ 'ALTER TYPE', 'ALTER TABLE wide ALTER n TYPE bigint', 'rewritten' ],
	[ 'ALTER TYPE and DROP', 'ALTER TABLE wide ALTER n TYPE bigint; DROP TABLE wide', 'dropped' ],
	[ 'TRUNCATE and ALTER TYPE', 'TRUNCATE wide; ALTER TABLE wide ALTER n TYPE bigint', 'truncated' ],
	[ 'SET UNLOGGED', 'ALTER TABLE wide SET UNLOGGED', 'rewritten' ],
	[ 'volatile default', 'ALTER TABLE wide ADD r float8 DEFAULT random()', 'rewritten' ],
	[ 'CLUSTER', 'CLUSTER wide USING wide_pkey', 'rewritten' ])
{
	my ($name, $sql, $cause) = @$case;

	query('DROP OWNED BY owner_of_wide') if $name eq 'TRUNCATE' ;
	$node->safe_psql('postgres',
		q{DO $$ BEGIN CREATE ROLE owner_of_wide; EXCEPTION WHEN duplicate_object THEN END $$});
	begin_case($wide
		  . ($name eq 'DROP OWNED' ? 'ALTER TABLE wide OWNER TO owner_of_wide' : ''));
	my $sum = query("SELECT $wide_sum FROM wide");
	my $toast = query(q{SELECT reltoastrelid FROM pg_class WHERE relname = 'wide'});
	migrate($sql);
	is(parked(), lines($cause, @wide_parts), "$name: all files are kept");
	check_all($name);
	my $holder = holder('wide');
	my $found = $sum;
	my $keeps_toast = query(qq{SELECT oid = $toast FROM pg_class
		WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = '$holder'::regclass)});
	is( $keeps_toast,
		$name =~ /^(TRUNCATE( and INSERT| twice)?|CLUSTER)$/ ? 'f' : 't',
		"$name: TOAST has its OID if nobody else has");
	is( query("SELECT $wide_sum FROM $holder"), $sum,
		"$name: the rows can be read") if $keeps_toast eq 't';
	is(query("SELECT count(*), sum(n) FROM $holder WHERE id BETWEEN 1 AND 100"),
		'100|5050', "$name: and found");
}

#
# What is rolled back leaves no trace
#
begin_case($wide);
my $state = q{SELECT oid, relname, relfilenode, relkind FROM pg_class WHERE relname NOT LIKE 'names%' ORDER BY oid};
my $before = query($state);
query('BEGIN; DROP TABLE wide; ROLLBACK');
is(query($state), $before, 'ROLLBACK leaves all as it was');
query('BEGIN; SAVEPOINT a; TRUNCATE wide; ROLLBACK TO a; SAVEPOINT b; DROP TABLE wide; ROLLBACK TO b; COMMIT');
is(parked(), '', 'so does ROLLBACK TO SAVEPOINT');
query('BEGIN; SAVEPOINT a; ALTER TABLE wide ALTER n TYPE bigint; ROLLBACK TO a; SAVEPOINT b; TRUNCATE wide; RELEASE b; COMMIT');
is(parked(), lines('truncated', @wide_parts),
	'what is released is kept, by what was done to it in the end');
check_all('savepoints');

begin_case($wide);
$before = query($state);
query(q{BEGIN; DROP TABLE wide; PREPARE TRANSACTION 'one'});
is(query(q{SELECT count(*) FROM migrate.parked_storage}), 0, 'not yet: a prepared transaction');
query(q{ROLLBACK PREPARED 'one'});
is(query($state), $before, 'ROLLBACK PREPARED leaves all as it was');
query(q{BEGIN; DROP TABLE wide; PREPARE TRANSACTION 'two'});
$node->restart;
query(q{COMMIT PREPARED 'two'});
is(parked(), lines('dropped', @wide_parts), 'COMMIT PREPARED keeps the files');
check_all('PREPARE TRANSACTION');

#
# What no point knows, or needs
#
begin_case($wide . 'CREATE TABLE other (id int PRIMARY KEY, t text); INSERT INTO other VALUES (1); CREATE UNLOGGED TABLE u (i int)');
query(q{DO $$ BEGIN
	CREATE TABLE new (id int PRIMARY KEY, t text); INSERT INTO new VALUES (1); TRUNCATE new; DROP TABLE new;
	CREATE TEMP TABLE temporary (id int PRIMARY KEY, t text); TRUNCATE temporary; DROP TABLE temporary;
	REINDEX TABLE wide;
	DROP INDEX wide_n;
	CLUSTER wide USING wide_pkey;
END $$});
query('VACUUM FULL wide');
query('VACUUM FULL pg_class; VACUUM FULL pg_constraint; VACUUM FULL migrate.restore_catalog');
is(parked(), '', 'what has the same rows elsewhere, or none that a point knows, is not kept');
query('DO $$ BEGIN DROP TABLE wide; END $$');
is( query(q{SELECT string_agg(kind, '' ORDER BY kind) FROM migrate.parked_storage}),
	'iirt', 'but the file that VACUUM FULL has made is, when it goes');
query('DO $$ BEGIN ALTER TABLE other ALTER id TYPE bigint; END $$');
query('DO $$ BEGIN ALTER TABLE other ALTER t TYPE text USING upper(t); END $$');
is( query(q{SELECT count(*) FROM migrate.parked_storage s JOIN names n ON n.oid = s.relid AND n.relfilenode = s.filenode WHERE n.relname = 'other'}),
	1, 'a rewrite that changes values is kept, once');
query('DO $$ BEGIN TRUNCATE u; END $$');
is(query(q{SELECT c.relpersistence FROM migrate.parked_storage s JOIN pg_class c ON c.oid = s.holder JOIN names n ON n.oid = s.relid WHERE n.relname = 'u'}),
	'u', 'one that is not logged stays so');

#
# Other kinds of relation, and those that hang together
#
begin_case(q{
	CREATE TABLE parent (id serial, k int, t text) PARTITION BY LIST (k);
	CREATE TABLE one PARTITION OF parent FOR VALUES IN (1);
	CREATE TABLE two PARTITION OF parent FOR VALUES IN (2);
	INSERT INTO parent (k) VALUES (1), (2), (2);
	CREATE SCHEMA s;
	CREATE TABLE s.base (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
	CREATE TABLE s.child () INHERITS (s.base);
	INSERT INTO s.base DEFAULT VALUES; INSERT INTO s.child VALUES (7);
	CREATE MATERIALIZED VIEW s.m AS SELECT id FROM s.base;
	CREATE UNIQUE INDEX m_id ON s.m (id);
});
query('DO $$ BEGIN REFRESH MATERIALIZED VIEW s.m; TRUNCATE parent; END $$');
is( parked(),
	lines('truncated', 'one r', 'toast i', 'toast i', 'toast t', 'toast t', 'two r'),
	'TRUNCATE of partitions; of a REFRESH outside of migrations nothing');
is(query('SELECT count(*) FROM ' . holder('two')), 2, 'the rows of a partition');
migrate('REFRESH MATERIALIZED VIEW s.m');
like(parked(), qr/^m m rewritten later\nm_id i rewritten later\n/, 'REFRESH in a migration');
is(query('SELECT id FROM ' . holder('m') . ' ORDER BY 1'), "1\n7", 'a materialized view can be read');
migrate('DROP SCHEMA s CASCADE; TRUNCATE parent RESTART IDENTITY');
like(parked(), qr/^base r dropped\nbase_id_seq S dropped\nbase_pkey i dropped\nchild r dropped\n/,
	'DROP SCHEMA CASCADE, of all kinds of relation');
like(parked(), qr/^parent_id_seq S rewritten$/m, 'RESTART IDENTITY in a migration');
is(query('SELECT last_value FROM ' . holder('parent_id_seq')), 3, 'a sequence can be read');
check_all('other kinds');

#
# Tablespaces
#
my $where = "$directory/space";
mkdir $where;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$where'");
begin_case($wide . 'ALTER TABLE wide SET TABLESPACE space; ALTER INDEX wide_n SET TABLESPACE space');
migrate('DROP TABLE wide');
is( query(q{SELECT count(*) FILTER (WHERE s.tablespace <> 0) || ' of ' || count(*) FROM migrate.parked_storage s}),
	'4 of 5', 'files stay in their tablespace');
check_all('tablespace');
my ($status, $stdout, $stderr) = $node->psql('postgres', 'DROP TABLESPACE space');
like($stderr, qr/tablespace "space" is not empty/, 'which stays as well');
begin_case($wide);
migrate('ALTER TABLE wide SET TABLESPACE space');
like(parked(), qr/^wide r rewritten$/m, 'a file that moves is kept where it was');
$node->safe_psql('postgres', 'DROP DATABASE "case"; DROP TABLESPACE space');

#
# Indexes that may not match, or cannot be opened any more
#
begin_case($wide . q{
	CREATE OPERATOR CLASS mine FOR TYPE int USING btree AS
		OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
	CREATE OPERATOR CLASS later FOR TYPE int USING btree AS
		OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
	CREATE FUNCTION twice(int) RETURNS int IMMUTABLE RETURN 2 * $1;
	CREATE INDEX wide_mine ON wide (n mine);
	CREATE INDEX wide_later ON wide (n later);
	CREATE INDEX wide_twice ON wide (twice(n));
	CREATE INDEX wide_brin ON wide USING brin (n);
	CREATE INDEX wide_brin_twice ON wide USING brin (twice(n));
});
query(q{DO $$ BEGIN DROP TABLE wide; DROP OPERATOR CLASS mine USING btree; DROP FUNCTION twice; END $$});
is( parked(),
	lines('dropped', @wide_parts[0 .. 2], 'wide_brin i', 'wide_later i', @wide_parts[3, 4], 'wide_twice i'),
	'an index is left out with its operator class');
check_all('operator classes');
my $wide_holder = holder('wide');
is(query("SELECT count(*) FROM $wide_holder WHERE n = 5"), 1, 'rows are found though functions are gone');
my $path = query(q{SELECT pg_relation_filepath(s.holder) FROM migrate.parked_storage s JOIN names n ON n.oid = s.relid WHERE n.relname = 'wide_later'});
# what is hidden is not foretold
query('SET safe_migrate.observation = off; DROP OPERATOR CLASS later USING btree');
is( query(q{SELECT n.relname FROM migrate.parked_storage s JOIN names n ON n.oid = s.relid WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.holder)}),
	'wide_later', 'one goes when its operator class does, and nothing else');
query("CHECKPOINT");
ok(!-s $node->data_dir . "/$path", 'with its file');
query("VACUUM (FREEZE) $wide_holder");
is(query("SELECT count(*) FROM $wide_holder"), 100, 'VACUUM works on the rest');

begin_case($wide);
migrate('DROP INDEX wide_n; UPDATE wide SET n = n + 1; DROP TABLE wide');
is(parked(), lines('dropped', @wide_parts[0 .. 2]),
	'an index that may lack rows is not kept');
begin_case($wide . q{UPDATE wide SET big = 'short'});
migrate('DROP INDEX wide_n; UPDATE wide SET n = n + 1; TRUNCATE wide; DROP TABLE wide');
is(parked(), lines('dropped', @wide_parts[0 .. 2]), 'be it that TRUNCATE came in between');

#
# What others see of it
#
begin_case($wide . q{
	CREATE ROLE reader;
	GRANT USAGE ON SCHEMA migrate TO reader;
	GRANT SELECT ON wide TO reader;
	ALTER TABLE wide ENABLE ROW LEVEL SECURITY;
	CREATE POLICY few ON wide USING (id < 10);
	CREATE RULE nothing AS ON DELETE TO wide DO INSTEAD NOTHING;
	CREATE PUBLICATION everything FOR ALL TABLES;
});
query('DO $$ BEGIN DROP TABLE wide; END $$');
$wide_holder = holder('wide');
($status, $stdout, $stderr) = $node->psql('case', "SET ROLE reader; SELECT FROM $wide_holder");
like($stderr, qr/permission denied for/, 'who could read the table cannot read that');
foreach my $sql ("INSERT INTO $wide_holder VALUES (1)", "DELETE FROM $wide_holder",
	"TRUNCATE $wide_holder", "ALTER TABLE $wide_holder ADD a int", "DROP TABLE $wide_holder",
	"GRANT SELECT ON $wide_holder TO reader; SET ROLE reader; INSERT INTO $wide_holder VALUES (1)")
{
	($status, $stdout, $stderr) = $node->psql('case', $sql, on_error_stop => 1);
	isnt($status, 0, "refused: $sql");
}
is(query(q{SELECT count(*) FROM pg_publication_tables WHERE tablename ~ '^parked_[0-9]'}),
	0, 'it is not published');
is(query(q{SELECT count(*) FROM migrate.drift() WHERE statement IS NULL AND objects::text ~ 'parked'}),
	0, 'it is no drift');
$node->command_ok([ 'pg_dump', '-f', "$directory/dump", $node->connstr('case') ], 'pg_dump runs');
unlike(slurp_file("$directory/dump"), qr/parked_\d/, 'and does not see it');
query('VACUUM FULL');
query('ANALYZE');
check_all('VACUUM FULL and ANALYZE of the database');
SKIP:
{
	skip 'amcheck is not there', 1 unless $has_amcheck;
	$node->command_ok([ 'pg_amcheck', '--heapallindexed', '-d', 'case' ], 'pg_amcheck finds nothing wrong');
}

#
# After a crash
#
begin_case($wide);
my $sum = query("SELECT $wide_sum FROM wide");
query('DO $$ BEGIN DROP TABLE wide; END $$');
$node->stop('immediate');
$node->start;
is(query("SELECT $wide_sum FROM " . holder('wide')), $sum, 'after a crash the rows are there');
is(query('SELECT count(*) FROM ' . holder('wide') . ' WHERE n = 7'), 1, 'and the indexes');
check_all('crash');

#
# To be gone
#
my @paths = split /\n/, query(q{SELECT pg_relation_filepath(holder) FROM migrate.parked_storage});
is(scalar(@paths), 5, 'five files');
query(q{SELECT migrate.drop_restore_point('before')});
is(query(q{SELECT count(*) FROM migrate.parked_storage}), 0, 'without a point nothing is kept');
is(query(q{SELECT count(*) FROM pg_class WHERE relname ~ '^parked_\d'}), 0, 'nor is a relation');
is( query(q{SELECT count(*) FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid)
	OR d.refclassid = 'pg_class'::regclass AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.refobjid)}),
	0, 'nor a dependency');
is(query(q{SELECT count(*) FROM pg_attribute a WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = a.attrelid)}), 0, 'nor a column');
query('CHECKPOINT');
is(scalar(grep { -s $node->data_dir . "/$_" } @paths), 0, 'nor a file');
$node->stop;

#
# Values out of line of a table that was changed, emptied and dropped
#
$node->start;
begin_case($wide);
query(q{SELECT migrate.apply('1', 'UPDATE wide SET id = id + 1000; TRUNCATE wide; DROP TABLE wide')});
is(query('SELECT updated FROM migrate.changed_rows_relation'), 100,
	'rows changed, emptied and dropped are kept');
check_all('changed, emptied and dropped');
$node->stop;

#
# They hold up no wraparound
#
$node = PostgreSQL::Test::Cluster->new('wraparound');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
autovacuum_freeze_max_age = 100000
vacuum_freeze_min_age = 0
vacuum_freeze_table_age = 0
autovacuum_naptime = 1
autovacuum_vacuum_cost_delay = 0
fsync = off
});
$node->start;
begin_case($wide . 'CREATE SEQUENCE s');
query('DO $$ BEGIN DROP TABLE wide; DROP SEQUENCE s; END $$');
my $oldest = q{SELECT max(age(relfrozenxid)) FROM pg_class WHERE relname ~ '^parked_\d' AND relkind = 't' AND relfrozenxid <> '0'};
my $burn = q{DO $$ BEGIN FOR i IN 1..60000 LOOP BEGIN PERFORM txid_current(); EXCEPTION WHEN OTHERS THEN END; END LOOP; END $$};
$burn = q{DO $$ BEGIN FOR i IN 1..60000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$};
query("SET synchronous_commit = off; $burn; $burn");
ok($node->poll_query_until('case', "SELECT ($oldest) < 90000"),
	'autovacuum against wraparound freezes them');
ok($node->poll_query_until('case', q{SELECT age(datfrozenxid) < 90000 FROM pg_database WHERE datname = 'case'}),
	'so that the database gets on');
is(query('SELECT count(*) FROM ' . holder('wide')), 100, 'the rows are there');
$node->stop;

done_testing();

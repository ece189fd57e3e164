# What a statement at top level destroys comes back with migrate.undo_last(),
# whichever way it was run, and whatever was done to the table since; or that it
# cannot come back is told.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('undo');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
autovacuum = off
fsync = off
log_min_messages = 'warning'
client_min_messages = 'notice'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Its notices and error.
sub told
{
	my ($sql) = @_;
	my ($status, $output, $error) = $node->psql('postgres', $sql);

	return $error;
}

sub fails
{
	my ($sql, $pattern, $name) = @_;
	my ($status, $output, $error) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);

	isnt($status, 0, "$name: it fails");
	like($error, $pattern, $name);
	return;
}

# A statement that is run as several, each in a transaction of its own: with an
# override, where the policy allows it, and by migrate.run()

sub make_family
{
	query(q{SET safe_migrate.mode = 'observe'; DROP TABLE IF EXISTS child, parent CASCADE;
		SELECT migrate.drop_all_restore_points();
		CREATE TABLE parent (id int PRIMARY KEY, v text);
		INSERT INTO parent VALUES (1, 'a'), (2, 'b');
		CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent);
		INSERT INTO child VALUES (10, 1), (11, 2)});
	return;
}

sub family
{
	return query(q{SELECT (SELECT count(*) FROM child), (SELECT sum(p) FROM child),
		(SELECT sum(id) FROM parent),
		(SELECT string_agg(pg_get_constraintdef(oid), ';') FROM pg_constraint
			WHERE conrelid = 'child'::regclass AND contype = 'f'),
		(SELECT count(*) FROM pg_trigger WHERE tgconstrrelid <> 0)});
}

sub family_is_back
{
	my ($set, $statement, $steps, $name) = @_;
	my $run = $set eq 'run' ? "CALL migrate.run('$statement')" : $statement;
	my $setting = $set eq 'allow' ?
	  q{INSERT INTO migrate.policy (rule, action) VALUES ('drop_table', 'allow'), ('drop_column', 'allow');} :
	  $set ne 'allow' ? q{SET safe_migrate.override = 'test';} : '';

	make_family();
	my $before = family();
	my $other = $node->background_psql('postgres', on_error_stop => 0);
	$other->query_safe('SELECT count(*) FROM parent');
	my $error = told("$setting\n$run");

	like($error, qr/in $steps steps/, "$name: as steps") if $set ne 'run';
	is(query(q{SELECT count(*), min(kind), min(statement) FROM migrate.restore_point_data}),
		"1|statement|$statement", "$name: one restore point");
	is(query(q{DELETE FROM migrate.policy; SELECT migrate.undo_last('child')}),
		$statement, "$name: it is taken back");
	is(family(), $before, "$name: everything is there again");
	my ($output, $code) = $other->query('DELETE FROM parent WHERE id = 1');
	like($other->{stderr}, qr/violates foreign key constraint/,
		"$name: and the other end of the foreign key is guarded");
	$other->{stderr} = '';
	$other->quit;
	is(query('SELECT count(*) FROM migrate.restore_points'), 0,
		"$name: nothing is left to undo");
	return;
}

family_is_back('override', 'DROP TABLE child', 2, 'DROP TABLE');
family_is_back('override', 'ALTER TABLE child DROP COLUMN p', 2, 'DROP COLUMN');
family_is_back('allow', 'DROP TABLE child', 2, 'allowed');
family_is_back('run', 'DROP TABLE child', 2, 'migrate.run()');

# CASCADE, from the same session
make_family();
my $before = family();
is(query(q{SET safe_migrate.override = 'test'; SET client_min_messages = 'warning';
	DROP TABLE parent CASCADE; SELECT migrate.undo_last()}), 'DROP TABLE parent CASCADE',
	'CASCADE: the last one of the session');
is(family(), $before, 'CASCADE: everything is there again');

# It stops on the way, and is gone on with
make_family();
is(query(q{SET client_min_messages = 'error'; SET safe_migrate.override = 'test';
	\set ON_ERROR_STOP 0
	SET safe_migrate.fault_point = 'step_2_before:error'; DROP TABLE child; RESET safe_migrate.fault_point;
	\set ON_ERROR_STOP 1
	SET safe_migrate.override = 'test'; DROP TABLE child; SELECT count(*) FROM migrate.restore_point_data;
	SELECT migrate.undo_last()}), "1\nDROP TABLE child", 'one restore point for both runs');
is(family(), $before, 'and everything is there again');
make_family();
is(query(q{SET client_min_messages = 'error'; SET safe_migrate.override = 'test';
	\set ON_ERROR_STOP 0
	SET safe_migrate.fault_point = 'step_2_before:error'; DROP TABLE child; RESET safe_migrate.fault_point;
	\set ON_ERROR_STOP 1
	SELECT migrate.undo_last()}), 'DROP TABLE child', 'what a first step has done is taken back');
is(family(), $before, 'and everything is as it was');

# Nothing is kept where that is switched off, and a migration has its own point
make_family();
query(q{SET safe_migrate.override = 'test'; SET safe_migrate.restore_points = off; DROP TABLE child});
is(query('SELECT count(*) FROM migrate.restore_points'), 0, 'none where restore_points is off');
make_family();
query(q{SELECT migrate.register('1', 'drop', 'DROP TABLE child', 'SELECT 1');
	SET safe_migrate.override = 'test'; CALL migrate.deploy()});
is(query(q{SELECT string_agg(kind, ',') FROM migrate.restore_points}), 'migration',
	'a migration has its own');

# A file that was written again since

sub make_table
{
	query(q{SET safe_migrate.mode = 'observe'; DROP TABLE IF EXISTS z CASCADE;
		CREATE TABLE z (id int PRIMARY KEY, b text, c int);
		INSERT INTO z SELECT g, 'value ' || g, g FROM generate_series(1, 20) g;
		SELECT migrate.drop_all_restore_points()});
	return;
}

foreach my $rewrite ('VACUUM FULL z', 'CLUSTER z USING z_pkey', 'ALTER TABLE z ALTER c TYPE bigint',
	'TRUNCATE z')
{
	make_table();
	query(q{SET safe_migrate.mode = 'observe'; ALTER TABLE z DROP COLUMN b});
	query("SET safe_migrate.mode = 'observe'; $rewrite");
	my $label = query(q{SELECT label FROM migrate.restore_point_data WHERE statement ~ 'DROP COLUMN'});
	fails("CALL migrate.rollback_to('$label')",
		qr/SM007: cannot bring back .* of table public\.z: /, "$rewrite: rollback_to() is refused");
	fails(q{SELECT migrate.undo_last('z')}, qr/SM007: cannot bring back .* of table public\.z: /,
		"$rewrite: it is told") if $rewrite ne 'TRUNCATE z';
	is(query(q{SELECT count(*) FROM information_schema.columns WHERE table_name = 'z'}), 2,
		"$rewrite: and nothing was done");
}
query(q{SET safe_migrate.mode = 'observe'; DO 'BEGIN DROP TABLE z; END'});
my $column_dropped = query(q{SELECT label FROM migrate.restore_point_data WHERE statement ~ 'DROP COLUMN'});
fails("CALL migrate.rollback_to('$column_dropped')", qr/SM007: cannot bring back .* of table public\.z: it was dropped/,
	'a table that is gone');

# What others have done to the table stays
make_table();
query(q{SET safe_migrate.mode = 'observe'; CREATE ROLE reader; ALTER TABLE z DROP COLUMN b});
query(q{SET safe_migrate.mode = 'observe'; GRANT SELECT ON z TO reader; ALTER TABLE z RENAME TO zz;
	ALTER TABLE zz ADD d int DEFAULT 4; UPDATE zz SET c = 0 WHERE id = 1});
query(q{SELECT migrate.undo_last('zz')});
is(query(q{SELECT count(b), min(b), sum(c), sum(d), has_table_privilege('reader', 'zz', 'SELECT') FROM zz}),
	'20|value 1|209|80|t', 'a name, a privilege, a column and rows stay');
query(q{SET safe_migrate.mode = 'observe'; ALTER TABLE zz RENAME TO z});

# By name, from another session

query(q{SET safe_migrate.mode = 'observe'; CREATE SCHEMA "Mixed"; CREATE TABLE "Mixed"."A b" (i int, "J" int, "a.b" int);
	CREATE TABLE su (i int, j int); CREATE TABLE far (i int PRIMARY KEY);
	CREATE TABLE near (i int REFERENCES far); CREATE POLICY po ON far USING (true)});
foreach my $case (
	['ALTER TABLE su DROP COLUMN j', 'public.su', 'su', 'PUBLIC.Su', 'public."su"'],
	['ALTER TABLE "Mixed"."A b" DROP COLUMN "J"', '"Mixed"."A b"', 'Mixed.A b', 'A b', '"A b"'],
	['DROP TABLE "Mixed"."A b"', '"Mixed"."A b"', 'Mixed.A b', 'A b', '"A b"'],
	['DROP POLICY po ON far', 'far', 'public.far'])
{
	my ($statement, @names) = @$case;

	foreach my $name (@names)
	{
		query("SET safe_migrate.mode = 'observe'; $statement");
		is(query("SELECT migrate.undo_last('$name')"), $statement, "$statement: known as $name");
	}
}
query(q{SET safe_migrate.mode = 'observe'; DROP TABLE near});
foreach my $name ('far', '"SU"', 'Mixed."a b"', 'other.near', 'near.i.j.k', '', '"')
{
	fails("SELECT migrate.undo_last('$name')", qr/SM007: there is nothing to undo: nothing of "\Q$name\E"/,
		"none is known as $name");
}

# What belongs to users runs as them, not as the superuser who rolls back

query(q{SET safe_migrate.mode = 'observe'; SELECT migrate.drop_all_restore_points();
	CREATE ROLE mallory; CREATE SCHEMA lair AUTHORIZATION mallory;
	CREATE TABLE ran (what text, who name DEFAULT current_user); GRANT INSERT ON ran TO mallory;
	SET ROLE mallory; SET search_path = lair;
	CREATE FUNCTION attack(what text) RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.ran VALUES (what);
		BEGIN
			ALTER ROLE mallory SUPERUSER;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
		RETURN true;
	END $$;
	CREATE FUNCTION hidden(what text, n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
		'BEGIN PERFORM lair.attack(what); RETURN n; END';
	CREATE TYPE small AS ENUM ('one');
	CREATE FUNCTION to_int(small) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
		$$ BEGIN PERFORM lair.attack('foreign key'); RETURN 1; END $$;
	CREATE CAST (small AS int) WITH FUNCTION to_int(small) AS IMPLICIT;
	CREATE DOMAIN positive AS int CONSTRAINT domain CHECK (lair.attack('domain'));
	CREATE TABLE whole (id int PRIMARY KEY);
	INSERT INTO whole VALUES (1);
	CREATE TABLE lured (id int CONSTRAINT checked CHECK (attack('check')),
		ref small CONSTRAINT referring REFERENCES whole, d positive,
		g int GENERATED ALWAYS AS (hidden('generated', id)) STORED) PARTITION BY RANGE (id);
	CREATE TABLE lured_1 PARTITION OF lured FOR VALUES FROM (1) TO (100);
	CREATE TABLE listed (id int) PARTITION BY RANGE (hidden('partition', id));
	CREATE TABLE listed_1 PARTITION OF listed FOR VALUES FROM (1) TO (100);
	INSERT INTO listed VALUES (5);
	CREATE INDEX indexed ON lured_1 (hidden('index', id)) WHERE hidden('predicate', id) > 0;
	CREATE INDEX indexed_later ON lured_1 (hidden('later index', id));
	CREATE STATISTICS measured ON hidden('statistics', id), id FROM lured_1;
	CREATE MATERIALIZED VIEW seen AS SELECT hidden('view', id) FROM lured;
	INSERT INTO lured VALUES (1, 'one', 1);
	RESET ROLE; RESET search_path; SELECT migrate.create_restore_point('trap')});
query(q{SET safe_migrate.mode = 'observe'; SET ROLE mallory; SET search_path = lair;
	ALTER TABLE lured DROP CONSTRAINT checked, DROP CONSTRAINT referring; ALTER DOMAIN positive DROP CONSTRAINT domain;
	DROP INDEX indexed; DROP INDEX indexed_later; DROP STATISTICS measured;
	DROP MATERIALIZED VIEW seen;
	ALTER TABLE lured ALTER g DROP EXPRESSION;
	ALTER TABLE listed DETACH PARTITION listed_1;
	INSERT INTO lured VALUES (2, 'one', 2)});
query(q{DELETE FROM ran; SET safe_migrate.small_table = 0; CALL migrate.rollback_to('trap')});
is(query(q{SELECT string_agg(DISTINCT what, ',') FROM ran WHERE who <> 'mallory'}), '',
	'all that ran did so as its owner');
is(query(q{SELECT string_agg(DISTINCT what, ',' ORDER BY what) FROM ran}),
	'check,domain,foreign key,generated,index,later index,partition,predicate', 'what ran');
is(query(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', 'and nobody has become a superuser');

# A foreign key to a table that its owner cannot read is checked all the same

query(q{SET safe_migrate.mode = 'observe'; SELECT migrate.drop_all_restore_points();
	CREATE TABLE unread (id int PRIMARY KEY); INSERT INTO unread VALUES (1);
	GRANT REFERENCES ON unread TO mallory;
	SET ROLE mallory; CREATE TABLE lair.reads (id int CONSTRAINT to_unread REFERENCES public.unread);
	INSERT INTO lair.reads VALUES (1); RESET ROLE;
	SELECT migrate.create_restore_point('unread'); ALTER TABLE lair.reads DROP CONSTRAINT to_unread;
	INSERT INTO lair.reads VALUES (2)});
fails(q{CALL migrate.rollback_to('unread')}, qr/23503: .*violates foreign key constraint "to_unread"/,
	'a row without its parent');
query(q{DELETE FROM lair.reads WHERE id = 2; CALL migrate.rollback_to('unread')});
is(query(q{SELECT convalidated FROM pg_constraint WHERE conname = 'to_unread'}), 't', 'and rows that have theirs');

# An incomplete restore point

query(q{SET safe_migrate.mode = 'observe'; SELECT migrate.drop_all_restore_points();
	CREATE TABLE lost (i int); INSERT INTO lost VALUES (1);
	SELECT migrate.create_restore_point('lossy');
	SELECT migrate.register('10', 'seen', 'CREATE TABLE by_migration (i int)');
	SET safe_migrate.restore_points = off; CALL migrate.deploy()});
fails(q{CALL migrate.rollback_to('lossy')},
	qr/SM007: restore point "lossy" is not complete: a migration ran while (?!.*a migration ran).* was off, .*; say on_conflict := 'keep' or 'restore', or use mode 'as_of'/,
	'what was not kept is told');
is(query(q{SELECT to_regclass('by_migration')}), 'by_migration', 'and nothing is done');
like(told(q{CALL migrate.rollback_to('lossy', on_conflict := 'keep')}),
	qr/WARNING:  restore point "lossy" is not complete: a migration ran .*NOTICE:  rolled back to restore point "lossy"; the way back from here is restore point "before rollback"/s,
	'it can be meant');
is(query(q{SELECT to_regclass('by_migration')}), '', 'then it is done');
unlike(told(q{CALL migrate.rollback_to('lossy', 'as_of')}), qr/could not be read when it was made/,
	'as_of as well, with one warning');

# Arguments

fails(q{CALL migrate.rollback_to(NULL)}, qr/22004: .*label of a restore point, not NULL/, 'no label');
fails(q{CALL migrate.rollback_to('lossy', NULL)}, qr/22004: .*a mode, not NULL: it is "keep" .* or "as_of"/, 'no mode');
fails(q{CALL migrate.rollback_to('lossy', 'keep', NULL)},
	qr/22004: .*on_conflict that is not NULL: it is "refuse", "keep" .* or "restore"/, 'no on_conflict');
fails(q{SELECT migrate.drop_restore_point(NULL)}, qr/22004: .*label of a restore point, not NULL/, 'none to drop');
fails(q{SET default_transaction_read_only = on; CALL migrate.rollback_to('lossy', 'as_of')},
	qr/25006: cannot execute CALL migrate\.rollback_to\(\) in a read-only transaction/, 'read-only');

# Remedies

query(q{SET safe_migrate.mode = 'observe'; SELECT migrate.drop_all_restore_points();
	CREATE TABLE key (id int PRIMARY KEY, v text); INSERT INTO key VALUES (1, 'old'), (2, 'old');
	TRUNCATE key; INSERT INTO key VALUES (1, 'new')});
my $truncated = query(q{SELECT label FROM migrate.restore_point_data});
fails(q{SELECT migrate.undo_last('key')},
	qr/SM007: .*have keys of rows that come back.*HINT:  migrate\.undo_last\(\) has no such arguments: CALL migrate\.rollback_to\('\Q$truncated\E', on_conflict := '\.\.\.'\)/s,
	'a key that is taken');
unlike(told(qq{CALL migrate.rollback_to('$truncated', on_conflict := 'keep')}), qr/could not be read/,
	'the remedy has no warning of definitions');
is(query(q{SELECT string_agg(id || v, ',' ORDER BY id) FROM key}), '1new,2old', 'and works');
query(q{SELECT migrate.drop_all_restore_points()});
fails(q{SET safe_migrate.mode = 'observe'; TRUNCATE key; BEGIN; DROP TABLE key; SELECT migrate.undo_last()},
	qr/SM007: .*is not committed yet; ROLLBACK instead/, 'what is not committed');
is(query(q{SELECT count(*) FROM key}), 0, 'is as it was');
query(q{SET safe_migrate.mode = 'observe'; SELECT migrate.drop_all_restore_points();
	CREATE TABLE big AS SELECT g, repeat('x', 1000) AS x FROM generate_series(1, 10000) g;
	SELECT migrate.create_restore_point('target'); DO 'BEGIN TRUNCATE big; END';
	INSERT INTO big SELECT g, repeat('y', 1000) FROM generate_series(1, 10000) g;
	SELECT migrate.create_restore_point('other')});
fails(q{SET safe_migrate.restore_point_limit = '12MB'; CALL migrate.rollback_to('target', 'as_of')},
	qr/SM007: restore points would keep (?!.*drop_restore_point\('target'\)).*drop_restore_point\('other'\)/,
	'the limit leaves alone what one goes back to');

# What others have done to a table that was emptied

sub emptied
{
	my ($meanwhile) = @_;

	query(qq{SET safe_migrate.mode = 'observe'; DROP TABLE IF EXISTS emptied; SELECT migrate.drop_all_restore_points();
		CREATE TABLE emptied (id int PRIMARY KEY, v text, w text);
		INSERT INTO emptied VALUES (1, '1', NULL), (2, '2', NULL); TRUNCATE emptied; $meanwhile});
	return;
}

emptied(q{CREATE INDEX by_v ON emptied (v); INSERT INTO emptied VALUES (3, '3', NULL)});
is(query(q{SELECT migrate.undo_last('emptied'); SET enable_seqscan = off; SET enable_bitmapscan = off;
	SELECT string_agg(id::text, ',' ORDER BY v) FROM emptied WHERE v > '0'}),
	"TRUNCATE emptied\n1,2,3", 'an index that was made since has all rows');
foreach my $case (
	['ALTER TABLE emptied ALTER v TYPE int USING v::int', 'SM007: cannot bring back .* column v has another type since; change it back first'],
	['ALTER TABLE emptied ALTER w SET NOT NULL', 'SM007: cannot bring back 2 rows of public\.emptied that have no value in column w, which is NOT NULL by now'],
	['ALTER TABLE emptied ADD x int NOT NULL', 'SM007: cannot bring back 2 rows of public\.emptied that have no value in column x, which is NOT NULL by now'],
	[q{ALTER TABLE emptied ADD CHECK (v <> '2')}, '23514: check constraint .* is violated by some row'],
	['ALTER TABLE emptied ADD FOREIGN KEY (id) REFERENCES key', '23503: .* violates foreign key constraint'],
	['CREATE UNIQUE INDEX ON emptied (length(v))', '23505: could not create unique index'])
{
	my ($meanwhile, $error) = @$case;

	emptied($meanwhile);
	fails(q{SELECT migrate.undo_last('emptied')}, qr/$error/s, $meanwhile);
	is(query('SELECT count(*) FROM emptied'), 0, "$meanwhile: nothing was done");
}
emptied(q{ALTER TABLE emptied ADD x int NOT NULL DEFAULT 7; ALTER TABLE emptied ADD CHECK (x > 0)});
my $emptied = query(q{SELECT label FROM migrate.restore_point_data});
query("CALL migrate.rollback_to('$emptied', 'as_of')");
is(query('SELECT count(*), sum(x) FROM emptied'), '2|14', 'what fits stays');

# A table whose statement had its part in the TOAST and in partitions

query(q{SET safe_migrate.mode = 'observe'; SELECT migrate.drop_all_restore_points();
	CREATE TABLE whole_p (id int PRIMARY KEY, v text, w text) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF whole_p FOR VALUES FROM (0) TO (10);
	CREATE TABLE part_2 PARTITION OF whole_p FOR VALUES FROM (10) TO (20);
	CREATE TABLE refers (id int PRIMARY KEY, p int REFERENCES whole_p);
	INSERT INTO whole_p SELECT g, g, repeat(md5(g::text), 1000) FROM generate_series(1, 15) g;
	INSERT INTO refers VALUES (1, 1), (2, 11)});
foreach my $statement ('DROP TABLE refers', 'DROP TABLE part_1 CASCADE', 'ALTER TABLE whole_p DROP COLUMN w',
	'DROP TABLE whole_p CASCADE', 'ALTER TABLE refers DROP COLUMN p', 'TRUNCATE whole_p, refers')
{
	my $sums = q{SELECT (SELECT count(*) || '.' || sum(length(w)) FROM whole_p), (SELECT sum(p) FROM refers),
		(SELECT count(*) FROM pg_constraint WHERE contype = 'f'), (SELECT count(*) FROM pg_trigger WHERE tgconstraint <> 0),
		migrate.schema_fingerprint(true)};
	my $sum = query($sums);

	query("SET safe_migrate.override = 'test'; $statement");
	isnt(scalar($node->psql('postgres', $sums)) . query('SELECT migrate.schema_fingerprint(true)'), $sum,
		"$statement: done");
	is(query(q{SELECT count(*) FROM migrate.restore_points}), 1, "$statement: one restore point");
	my $label = query(q{SELECT label FROM migrate.restore_points});
	told("CALL migrate.rollback_to('$label')");
	is(query($sums), $sum, "$statement: all of it is back");
	query('SELECT migrate.drop_all_restore_points()');
}

# What belongs to relations of all kinds

query(q{SET safe_migrate.mode = 'observe';
	CREATE TABLE kinds (id serial PRIMARY KEY, a int, b int DEFAULT 5, c int GENERATED ALWAYS AS IDENTITY,
		CONSTRAINT positive CHECK (a > 0));
	CREATE FUNCTION nix() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE FUNCTION seven() RETURNS int LANGUAGE sql AS 'SELECT 7';
	CREATE VIEW view_of AS SELECT a, b FROM kinds;
	CREATE TRIGGER on_view INSTEAD OF DELETE ON view_of FOR EACH ROW EXECUTE FUNCTION nix();
	CREATE TRIGGER on_table BEFORE UPDATE ON kinds FOR EACH ROW EXECUTE FUNCTION nix();
	CREATE RULE on_view_rule AS ON INSERT TO view_of DO INSTEAD NOTHING;
	CREATE MATERIALIZED VIEW matview_of AS SELECT a FROM kinds; CREATE INDEX ON matview_of (a);
	CREATE STATISTICS stats ON a, b FROM kinds;
	CREATE POLICY po ON kinds USING (true);
	ALTER TABLE kinds ALTER b SET DEFAULT seven();
	CREATE FOREIGN DATA WRAPPER fdw; CREATE SERVER srv FOREIGN DATA WRAPPER fdw;
	CREATE FOREIGN TABLE abroad (i int, j int) SERVER srv;
	CREATE TYPE pair AS (x int, y int); CREATE TABLE of_pair OF pair;
	CREATE TABLE heir () INHERITS (kinds);
	INSERT INTO kinds (a) VALUES (1), (2)});
foreach my $statement ('DROP TRIGGER on_view ON view_of', 'DROP TRIGGER on_table ON kinds',
	'DROP RULE on_view_rule ON view_of', 'DROP STATISTICS stats', 'DROP POLICY po ON kinds',
	'DROP FUNCTION seven() CASCADE', 'DROP FUNCTION nix() CASCADE', 'DROP VIEW view_of',
	'DROP MATERIALIZED VIEW matview_of', 'DROP SEQUENCE kinds_id_seq CASCADE',
	'ALTER TABLE kinds DROP COLUMN c', 'ALTER TABLE kinds DROP COLUMN id CASCADE',
	'ALTER TABLE kinds DROP COLUMN a CASCADE', 'ALTER FOREIGN TABLE abroad DROP COLUMN j',
	'DROP SERVER srv CASCADE', 'DROP TYPE pair CASCADE', 'DROP TABLE heir', 'DROP TABLE kinds CASCADE')
{
	my $sum = query('SELECT migrate.schema_fingerprint(true)');

	isnt(query("SET safe_migrate.mode = 'observe'; SET client_min_messages = 'error'; $statement;
		SELECT migrate.schema_fingerprint(true)"), $sum, "$statement: done");
	my $label = query(q{SELECT label FROM migrate.restore_points ORDER BY created_at DESC LIMIT 1});
	query("SELECT count(*) FROM migrate.rollback_plan('$label')");
	told("SELECT migrate.undo_last('kinds')") if $statement =~ / kinds/;
	told("CALL migrate.rollback_to('$label')") if $statement !~ / kinds/;
	is(query('SELECT migrate.schema_fingerprint(true) FROM kinds LIMIT 1'), $sum, "$statement: taken back");
	query('SELECT migrate.drop_all_restore_points()');
}

$node->stop;
done_testing();

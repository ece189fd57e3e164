# Rollbacks, and what happened between their migrations, or around them: who drops
# the restore point meanwhile, whose place VACUUM has given to another row, what a
# subtransaction has undone, and whose functions must not run with whose rights.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('between');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
autovacuum = off
fsync = off
log_min_messages = 'warning'
client_min_messages = 'warning'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# What went wrong, or nothing.
sub failure
{
	my ($sql) = @_;

	return '' if $node->psql('postgres', $sql, stdout => \my $out, stderr => \my $err, on_error_stop => 1,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]) == 0;
	return $err;
}

# A point that somebody drops while the rollback waits for a lock

query(q{CREATE TABLE held (id int PRIMARY KEY, n int); CREATE TABLE beside (n int); INSERT INTO held VALUES (1, 1);
	SELECT migrate.create_restore_point('held'); SELECT migrate.apply('z_held', 'ALTER TABLE held ALTER n TYPE bigint')});
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT * FROM held');
my $rollback = $node->background_psql('postgres');
$rollback->query_until(qr/begun/, "\\echo begun\nCALL migrate.rollback_to('held', 'as_of');\n\\echo ended\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query LIKE 'CALL migrate.rollback_to%' AND wait_event IS NOT NULL AND state = 'active'});
my $dropper = $node->background_psql('postgres');
$dropper->query_until(qr/begun/, "\\echo begun\nSELECT migrate.drop_all_restore_points();\n");
$node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE query LIKE '%drop_all_restore_points%' AND state = 'active' AND wait_event IS NULL AND pid <> pg_backend_pid())});
query('CREATE TABLE newer (n int)');
$reader->query_safe('COMMIT');
$rollback->query_until(qr/ended/, '');
$rollback->quit;
$dropper->quit;
$reader->quit;
is(query(q{SELECT pg_typeof(n) FROM held}), 'integer', 'a point is not dropped while somebody goes back to it');
is(query(q{SELECT to_regclass('beside') IS NOT NULL, to_regclass('newer') IS NULL}), 't|t', 'the rest is that of the point');
query('SELECT migrate.drop_all_restore_points()');

# The place of a row that a client has deleted is given to another one

query(q{CREATE TABLE reused (id int PRIMARY KEY, a text); INSERT INTO reused SELECT g, 'label' FROM generate_series(1, 5) g;
	SELECT migrate.create_restore_point('reused');
	SELECT migrate.apply('m_reused1', $$UPDATE reused SET a = 'first' WHERE id = 1$$);
	DELETE FROM reused WHERE id = 1});
query('VACUUM reused');
query(q{INSERT INTO reused VALUES (99, 'client'), (100, 'client');
	SELECT migrate.apply('m_reused2', $$UPDATE reused SET a = 'second' WHERE id = 100$$)});
like(failure(q{CALL migrate.rollback_to('reused')}), qr/SM007: rows of table public\.reused were changed again/,
	'the row that was deleted is a conflict');
query(q{CALL migrate.rollback_to('reused', on_conflict => 'keep')});
is(query(q{SELECT string_agg(id || a, ' ' ORDER BY id) FROM reused}), '2label 3label 4label 5label 99client 100client',
	'the other row is not taken for it');
query('SELECT migrate.drop_all_restore_points()');

# A migration that failed in a savepoint

query(q{CREATE TABLE saved (id int PRIMARY KEY, a int, b int); INSERT INTO saved VALUES (1, 0, 0), (2, 0, 0)});
$node->psql('postgres', q{BEGIN; SAVEPOINT s; SELECT migrate.apply('a_saved', 'UPDATE nothing SET b = 1'); ROLLBACK TO s;
	UPDATE saved SET a = 7 WHERE id = 1; SELECT migrate.apply('a_saved', 'UPDATE saved SET b = 1'); COMMIT}, on_error_stop => 0);
query(q{CALL migrate.rollback_to('before a_saved')});
is(query('SELECT string_agg(a || $$/$$ || b, $$ $$ ORDER BY id) FROM saved'), '7/0 0/0',
	'what came after it, and before the next one, is not the migration\'s');
query(q{SELECT migrate.create_restore_point('saved')});
$node->psql('postgres', q{BEGIN; SAVEPOINT s; SELECT migrate.apply('a_saved', 'UPDATE nothing SET b = 1'); ROLLBACK TO s;
	UPDATE saved SET a = 8 WHERE id = 1; COMMIT}, on_error_stop => 0);
query(q{CALL migrate.rollback_to('saved')});
is(query('SELECT a FROM saved WHERE id = 1'), 8, 'nor is anything without another one');
query('SELECT migrate.drop_all_restore_points()');

# What clients have written between two migrations that rewrite or empty a table

for my $second ('ALTER TABLE twice ALTER a TYPE text', 'TRUNCATE twice')
{
	query(qq{CREATE TABLE twice (id int PRIMARY KEY, a int, b text); INSERT INTO twice SELECT g, g, 'label' FROM generate_series(1, 4) g;
		SELECT migrate.create_restore_point('twice');
		SELECT migrate.apply('0_twice', 'ALTER TABLE twice ALTER a TYPE bigint');
		INSERT INTO twice VALUES (9, 9, 'client'); UPDATE twice SET b = 'client' WHERE id = 2; DELETE FROM twice WHERE id = 3;
		SELECT migrate.apply('1_twice', '$second');
		INSERT INTO twice VALUES (10, 10, 'client')});
	is(query(q{SELECT conflicts > 0 FROM migrate.rollback_plan('twice') WHERE action = 'put data back'}), 't',
		"$second: the plan tells of it");
	like(failure(q{CALL migrate.rollback_to('twice')}),
		qr/SM007: .* rows of public\.twice were written by clients between .*; CALL migrate\.rollback_to\('before 1_twice'\) first/,
		"$second: it would be lost");
	query(q{CALL migrate.rollback_to('before 1_twice'); CALL migrate.rollback_to('twice')});
	is(query(q{SELECT string_agg(id || b, ' ' ORDER BY id) FROM twice}), '1label 2client 4label 9client 10client',
		"$second: step by step it is not");
	query(q{SELECT migrate.drop_all_restore_points(); SET safe_migrate.restore_points = off; DROP TABLE twice;
		SELECT migrate.unregister('0_twice'), migrate.unregister('1_twice')});
}

# Rows that contradict an index before they are put back, and one that still does

query(q{CREATE TABLE doubled (id int PRIMARY KEY, n int, EXCLUDE USING btree (n WITH =));
	INSERT INTO doubled SELECT g, g FROM generate_series(1, 3) g;
	SELECT migrate.create_restore_point('doubled');
	SELECT migrate.apply('0_doubled', 'ALTER TABLE doubled DROP CONSTRAINT doubled_pkey; ALTER TABLE doubled DROP CONSTRAINT doubled_n_excl;
		UPDATE doubled SET id = 1, n = 1; INSERT INTO doubled VALUES (1, 1)');
	INSERT INTO doubled VALUES (3, 9)});
like(failure(q{CALL migrate.rollback_to('doubled')}), qr/23505: could not create unique index "doubled_pkey"/,
	'a row of a client that contradicts an index');
query(q{DELETE FROM doubled WHERE n = 9; CALL migrate.rollback_to('doubled')});
is(query(q{SELECT string_agg(id || '=' || n, ' ' ORDER BY id) FROM doubled}), '1=1 2=2 3=3',
	'rows of the migration do not');
like(failure('INSERT INTO doubled VALUES (1, 4)'), qr/23505/, 'the index is unique again');
like(failure('INSERT INTO doubled VALUES (4, 1)'), qr/23P01/, 'the constraint excludes again');
query(q{SELECT migrate.drop_all_restore_points(), migrate.unregister('0_doubled')});

# How the session shows values does not matter

query(q{CREATE TABLE shown (id int PRIMARY KEY, n numeric, d date); INSERT INTO shown VALUES (1, 1.00001, '2026-01-02'), (2, 1.00001, '2026-01-02');
	SELECT migrate.create_restore_point('shown');
	SELECT migrate.apply('0_shown', 'ALTER TABLE shown ALTER n TYPE float8; ALTER TABLE shown ALTER d TYPE timestamp');
	UPDATE shown SET n = 1.00002, d = '2026-02-03' WHERE id = 2;
	SET extra_float_digits = -12; SET datestyle = 'sql, dmy'; CALL migrate.rollback_to('shown')});
is(query('SELECT n, d FROM shown ORDER BY id'), "1.00001|2026-01-02\n1.00002|2026-02-03", 'a value that looks like another one');
query(q{SELECT migrate.drop_all_restore_points(), migrate.unregister('0_shown')});

# A table without columns

query(q{CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; SELECT migrate.create_restore_point('bare');
	SELECT migrate.apply('a_bare', 'TRUNCATE bare'); INSERT INTO bare DEFAULT VALUES; CALL migrate.rollback_to('bare')});
is(query('SELECT count(*) FROM bare'), 2, 'a row without columns is brought over');
query('SELECT migrate.drop_all_restore_points()');

# What belongs to the owner of a table does not get the rights of who rolls back:
# constraints, and casts from and to types.

query(q{CREATE ROLE mallory; CREATE SCHEMA hers AUTHORIZATION mallory; CREATE TABLE whose (rights text);
	GRANT ALL ON whose TO PUBLIC;
	SET ROLE mallory; SET search_path = hers;
	CREATE FUNCTION see(int) RETURNS bool LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO public.whose VALUES (current_user); RETURN true; END$$;
	CREATE TYPE kind AS ENUM ('a', 'b');
	CREATE FUNCTION see_kind(kind) RETURNS text LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO public.whose VALUES (current_user); RETURN 'a'; END$$;
	CREATE CAST (kind AS text) WITH FUNCTION see_kind(kind);
	CREATE FUNCTION see_text(text) RETURNS kind LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO public.whose VALUES (current_user); RETURN (enum_range(NULL::hers.kind))[1]; END$$;
	CREATE CAST (text AS kind) WITH FUNCTION see_text(text);
	CREATE DOMAIN seen AS int CHECK (see(value));
	CREATE TABLE checked (id int PRIMARY KEY, n int, CONSTRAINT c CHECK (see(n))); INSERT INTO checked VALUES (1, 1);
	CREATE TABLE kinds (id int PRIMARY KEY, k kind); INSERT INTO kinds VALUES (1, 'a');
	CREATE TABLE retyped (id int PRIMARY KEY, n text); INSERT INTO retyped VALUES (1, 'a');
	CREATE TABLE keys (id text PRIMARY KEY, n text); INSERT INTO keys VALUES ('a', 'a');
	CREATE TABLE numbers (id int PRIMARY KEY, n int); INSERT INTO numbers VALUES (1, 1), (2, 2);
	RESET ROLE; SELECT migrate.create_restore_point('hers');
	SET ROLE mallory; ALTER TABLE checked DROP CONSTRAINT c; ALTER TYPE kind ADD VALUE 'c'; RESET ROLE;
	SELECT migrate.apply('0_hers', 'ALTER TABLE hers.retyped ALTER n TYPE hers.kind USING n::hers.kind;
		ALTER TABLE hers.keys ALTER id TYPE hers.kind USING id::hers.kind;
		ALTER TABLE hers.numbers ALTER id TYPE hers.seen');
	UPDATE retyped SET n = 'a'; INSERT INTO retyped VALUES (3, 'a'); INSERT INTO keys VALUES ('b', 'b');
	UPDATE numbers SET n = 3 WHERE id = 1; INSERT INTO numbers VALUES (3, 3); DELETE FROM numbers WHERE id = 2;
	DELETE FROM public.whose});
query(q{SELECT * FROM migrate.rollback_plan('hers'); CALL migrate.rollback_to('hers')});
is(query('SELECT DISTINCT rights FROM whose'), 'mallory', 'her functions run with her rights');
is(query(q{SELECT string_agg(id || '=' || n, ' ' ORDER BY id) FROM hers.numbers}), '1=3 3=3',
	'a key whose type is a domain finds its row');

# A key that is equal to what it was, and not the same

query(q{CREATE TABLE scaled (id numeric PRIMARY KEY, n int); INSERT INTO scaled VALUES (1.0, 1), (2.0, 2);
	SELECT migrate.create_restore_point('scaled');
	SELECT migrate.apply('0_a_scaled', 'ALTER TABLE scaled ALTER n TYPE bigint');
	UPDATE scaled SET id = 1.00 WHERE id = 1; CALL migrate.rollback_to('scaled')});
is(query(q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM scaled}), '1.00 2.0', 'a key that a client has written anew');

query(q{SELECT migrate.drop_all_restore_points(), migrate.unregister('0_a_scaled')});

# A column that somebody has added to a table that was emptied

query(q{CREATE TABLE grown (id int PRIMARY KEY); INSERT INTO grown VALUES (1), (2); TRUNCATE grown;
	ALTER TABLE grown ADD n int DEFAULT 5; INSERT INTO grown VALUES (3, 3); SELECT migrate.undo_last('grown')});
is(query(q{SELECT string_agg(id || '=' || n, ' ' ORDER BY id) FROM grown}), '1=5 2=5 3=3', 'it stays');

# An enum value with quotes, inside of another one

query(q{CREATE TYPE quoted AS ENUM ('a'); CREATE TABLE uses_quoted (q quoted[]); SELECT migrate.create_restore_point('quoted');
	SELECT migrate.apply('0_a_quoted', $$ALTER TYPE quoted ADD VALUE 'b"c\d'$$);
	INSERT INTO uses_quoted VALUES (ARRAY['b"c\d'::quoted])});
like(failure(q{CALL migrate.rollback_to('quoted')}), qr/SM007: .*1 rows of public\.uses_quoted have the enum value/,
	'an enum value with quotes is found');
query('SELECT migrate.drop_all_restore_points()');

$node->stop;
done_testing();

--
-- Directories of migrations, their formats, and what can be wrong with them.
--
\set VERBOSITY terse
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

\getenv outputdir PG_ABS_BUILDDIR
\set top :outputdir '/results/ledger_load'
\setenv TOP :top
\! rm -rf "$TOP" && mkdir -p "$TOP"

-- Messages without the directory of this test.
CREATE FUNCTION try_load(directory text, format text DEFAULT 'auto')
RETURNS TABLE (version text, name text, state text)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT * FROM migrate.load(directory, format);
EXCEPTION WHEN OTHERS THEN
	RETURN QUERY SELECT SQLSTATE::text,
		replace(SQLERRM, regexp_replace(directory, '/results/ledger_load.*', '/results/ledger_load'), 'TOP'),
		'ERROR';
END $$;

-- plain
\! mkdir "$TOP/plain" && cd "$TOP/plain" && echo 'CREATE TABLE a (i int);' >1_a.sql && echo 'DROP TABLE a;' >1_a.down.sql && echo 'SELECT 2;' >10_ten.sql && printf '\357\273\277SELECT 1;\r\nSELECT 2;\r\n' >V2_like.sql && echo 'SELECT 3;' >3_up.up.sql && : >3_up.down.sql && echo x >README.md && mkdir sub && echo 'SELECT 1;' >.4_hidden.sql
SELECT * FROM try_load(:'top' || '/plain');
SELECT version, name, format, body, down_body FROM migrate.migrations ORDER BY version_key;
SELECT * FROM try_load(:'top' || '/plain/');
\! echo 'SELECT 11;' >"$TOP/plain/10_ten.sql"; echo 'SELECT 12' >"$TOP/plain/12_more.sql"
SELECT * FROM try_load(:'top' || '/plain', 'plain');
-- all or nothing
\! echo 'SELECT 13' >"$TOP/plain/12_more.sql"; printf 'SELECT 1;\n\nSELEC 2;\n' >"$TOP/plain/13_bad.sql"
SELECT * FROM try_load(:'top' || '/plain');
SELECT body FROM migrate.migrations WHERE version = '12';
\! rm "$TOP/plain/13_bad.sql"; echo 'SELECT 1' >"$TOP/plain/create_table.sql"
SELECT * FROM try_load(:'top' || '/plain');
\! rm "$TOP/plain/create_table.sql"; printf '%s\n' '-- up and down' '-- migrate:up' 'SELECT 1;' '-- migrate:down' 'SELECT 2;' >"$TOP/plain/14_dbmate.sql"
SELECT * FROM try_load(:'top' || '/plain');
\! rm "$TOP/plain/14_dbmate.sql"; echo 'SELECT 1' >"$TOP/plain/01_again.sql"
SELECT * FROM try_load(:'top' || '/plain');
\! mv "$TOP/plain/01_again.sql" "$TOP/plain/1_again.sql"
SELECT * FROM try_load(:'top' || '/plain');
DELETE FROM migrate.migrations;

-- prisma, with a space in a name and two of one timestamp
\! mkdir -p "$TOP/prisma/20240304123642_b" "$TOP/prisma/20240304123642_a" "$TOP/prisma/20240718011733_unique copy" "$TOP/prisma/20240101000000_init" && cd "$TOP/prisma" && for d in */; do echo "SELECT '$d'" >"$d/migration.sql"; done; echo 'provider = "postgresql"' >migration_lock.toml
SELECT * FROM try_load(:'top' || '/prisma');
\! mkdir "$TOP/prisma/20250101000000_empty"
SELECT * FROM try_load(:'top' || '/prisma');
\! rmdir "$TOP/prisma/20250101000000_empty"
DELETE FROM migrate.migrations;

-- diesel
\! mkdir -p "$TOP/diesel/00000000000000_diesel_initial_setup" "$TOP/diesel/2026-05-27-120000-0000_b" "$TOP/diesel/2026-05-27-120000_a" "$TOP/diesel/20170728002039_c" && cd "$TOP/diesel" && for d in */; do echo 'SELECT 1' >"$d/up.sql"; : >"$d/down.sql"; done; printf '# why\nrun_in_transaction = false # so\n' >20170728002039_c/metadata.toml
SELECT * FROM try_load(:'top' || '/diesel');
SELECT version, format, down_body, in_transaction FROM migrate.migrations ORDER BY version_key;
\! echo 'run_in_transaction = maybe' >"$TOP/diesel/20170728002039_c/metadata.toml"
SELECT * FROM try_load(:'top' || '/diesel');
DELETE FROM migrate.migrations;

-- directories in directories, CRLF line ends, a byte order mark
\! mkdir -p "$TOP/flyway/b/c" "$TOP/sqitch/deploy/x" "$TOP/sqitch/revert/x" && cd "$TOP/flyway" && printf 'SELECT 1;' >V1__a.sql && printf 'SELECT 2;' >b/V2__b.sql && printf 'SELECT 3;' >b/c/V3__c.sql && printf '\357\273\277executeInTransaction=false\r\n' >b/V2__b.sql.conf && cd "$TOP/sqitch" && printf '\357\273\277%%project=p\r\nx/a 2024\r\nb [x/a] 2024\r\n' >sqitch.plan && echo 'SELECT 1;' >deploy/x/a.sql && echo 'SELECT 2;' >revert/x/a.sql && echo 'SELECT 3;' >deploy/b.sql
SELECT * FROM try_load(:'top' || '/flyway');
SELECT * FROM try_load(:'top' || '/sqitch');
SELECT version, format, body, down_body, in_transaction, requires FROM migrate.migrations ORDER BY format, version_key;
\! printf 'SELECT 4;' >"$TOP/flyway/b/4_d.sql"
SELECT * FROM try_load(:'top' || '/flyway');
\! mkdir "$TOP/dbmate" && printf '\357\273\277-- migrate:up\r\nSELECT 1;\r\n\r\nSELEC 3;\r\n-- migrate:down\r\nSELECT 2;\r\n' >"$TOP/dbmate/1_a.sql"
SELECT * FROM try_load(:'top' || '/dbmate');
DELETE FROM migrate.migrations;

-- neither, both, nothing
SELECT * FROM try_load(:'top' || '/prisma', 'diesel');
SELECT * FROM try_load(:'top' || '/prisma', 'flyway');
SELECT * FROM try_load(:'top' || '/prisma', 'make');
\! mkdir "$TOP/both" && cp -r "$TOP/prisma/20240101000000_init" "$TOP/both/1_x" && echo 'SELECT 1' >"$TOP/both/1_x/up.sql"
SELECT * FROM try_load(:'top' || '/both');
SELECT * FROM try_load(:'top' || '/both', 'prisma');
DELETE FROM migrate.migrations;
\! mkdir "$TOP/empty" "$TOP/unknown" && echo 'SELECT 1' >"$TOP/unknown/schema.sql"
SELECT * FROM try_load(:'top' || '/empty');
SELECT * FROM try_load(:'top' || '/unknown');
SELECT * FROM try_load(:'top' || '/missing');
SELECT * FROM try_load(:'top' || '/plain/1_a.sql');
SELECT * FROM migrate.load('results');
SELECT * FROM migrate.load(NULL);

-- bytes that are no text
\! mkdir "$TOP/bytes" && printf 'SELECT 1;\nSELECT \000 2;\n' >"$TOP/bytes/1_nul.sql"
SELECT * FROM try_load(:'top' || '/bytes');
\! printf 'SELECT 1;\nSELECT 2;\nSELECT '"'"'\351'"'"';\n' >"$TOP/bytes/1_nul.sql"
SELECT * FROM try_load(:'top' || '/bytes');
\! printf '\377\376S\000' >"$TOP/bytes/1_nul.sql"
SELECT * FROM try_load(:'top' || '/bytes');
\! : >"$TOP/bytes/1_nul.sql"
SELECT * FROM try_load(:'top' || '/bytes');
\! truncate -s 101M "$TOP/bytes/1_nul.sql"
SELECT * FROM try_load(:'top' || '/bytes');
SELECT count(*) FROM migrate.migrations;

\! rm -rf "$TOP"
DROP FUNCTION try_load(text, text);

/*
 * Run first.  The control file names the schema, so CREATE EXTENSION uses one
 * that is there already: refuse it if somebody else owns it, because the owner
 * of a schema may drop and replace what is in it.
 */
\echo Use "CREATE EXTENSION safe_migrate" to load this file. \quit

DO $preamble$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace
				   WHERE nspname OPERATOR(pg_catalog.=) 'migrate'
				   AND nspowner OPERATOR(pg_catalog.=)
					   (SELECT oid FROM pg_catalog.pg_roles
						WHERE rolname OPERATOR(pg_catalog.=) CURRENT_USER)) THEN
		RAISE EXCEPTION 'schema "migrate" belongs to another role'
			USING HINT = 'Drop or rename the schema, then create the extension again.',
				  ERRCODE = 'SM009';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_class c
			   JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
			   WHERE n.nspname OPERATOR(pg_catalog.=) 'migrate')
	   OR EXISTS (SELECT FROM pg_catalog.pg_proc p
				  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
				  WHERE n.nspname OPERATOR(pg_catalog.=) 'migrate') THEN
		RAISE EXCEPTION 'schema "migrate" is not empty'
			USING HINT = 'Drop or rename the schema, then create the extension again.',
				  ERRCODE = 'SM009';
	END IF;
END
$preamble$;

REVOKE ALL ON SCHEMA migrate FROM PUBLIC;
GRANT USAGE ON SCHEMA migrate TO PUBLIC;
COMMENT ON SCHEMA migrate IS 'safe_migrate: judges schema changes, keeps the migration ledger and applies migrations';

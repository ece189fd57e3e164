/* Checking a script without running it. */

CREATE FUNCTION migrate.check(
	script text,
	OUT statement int, OUT command text, OUT relation text,
	OUT lock_mode text, OUT work text, OUT size_bytes bigint, OUT risk text,
	OUT rule text, OUT action text, OUT message text, OUT safe_sql text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migrate_check';
COMMENT ON FUNCTION migrate.check(text) IS
'what each statement of a script would lock, read, rewrite and break, and how to do it more safely; runs nothing and keeps no locks; one row for each statement and relation, and for each rule if several apply; a later statement is judged by what the earlier ones would have left behind; action error: the statement would fail; lock_mode or risk null: not known';

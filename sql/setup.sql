--
-- Run first: the extension, and what several tests use.
--
CREATE EXTENSION safe_migrate;

-- What becomes of a statement: 'allowed', or the message of what refused it,
-- sizes masked.  Undoes the statement in any case.
CREATE FUNCTION verdict(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ001';
EXCEPTION
	WHEN SQLSTATE 'ZZ001' THEN
		RETURN 'allowed';
	WHEN OTHERS THEN
		RETURN SQLSTATE || ' '
			|| regexp_replace(SQLERRM, '\(\d+ (bytes|[kMGT]B)(, about [^)]*)?\)', '(SIZE)', 'g');
END $$;

-- The tests begin with a schema that counts as migrated, whichever of them run
SELECT migrate.acknowledge_drift() IS NOT NULL AS acknowledged;

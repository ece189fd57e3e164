/*
 * What is left half-done in a database: by statements of ours, and by
 * whatever else was interrupted.
 */

/* Somebody is building, rebuilding or dropping it just now. */
CREATE FUNCTION migrate.index_is_being_built(index oid, tab oid)
RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (
	SELECT FROM pg_catalog.pg_locks k
	WHERE k.locktype OPERATOR(pg_catalog.=) 'relation'
		AND k.granted
		AND k.database OPERATOR(pg_catalog.=) (
			SELECT d.oid FROM pg_catalog.pg_database d
			WHERE d.datname OPERATOR(pg_catalog.=)
				pg_catalog.current_database())
		AND k.mode OPERATOR(pg_catalog.=) ANY (ARRAY[
			'ShareUpdateExclusiveLock', 'AccessExclusiveLock'])
		AND (k.relation OPERATOR(pg_catalog.=) index
			OR k.relation OPERATOR(pg_catalog.=) tab
			AND EXISTS (
				SELECT FROM pg_catalog.pg_stat_progress_create_index p
				WHERE p.pid OPERATOR(pg_catalog.=) k.pid)));
COMMENT ON FUNCTION migrate.index_is_being_built(oid, oid) IS
	'true if somebody is building, rebuilding or dropping an index; of the table given besides it';

CREATE VIEW migrate.unfinished_objects AS
SELECT CASE i.indislive WHEN true THEN 'invalid index'
		ELSE 'half-dropped index' END AS kind,
	pg_catalog.format('%I.%I', n.nspname, c.relname) AS object,
	CASE
		WHEN c.relkind OPERATOR(pg_catalog.=) 'I' THEN pg_catalog.format(
			'of partitioned table %I.%I: not every partition has such an index attached',
			tn.nspname, t.relname)
		ELSE pg_catalog.format(
			'of table %I.%I: kept up to date by writers perhaps, used by no query',
			tn.nspname, t.relname)
	END AS detail,
	CASE
		WHEN c.relkind OPERATOR(pg_catalog.=) 'I' THEN pg_catalog.format(
			'make an index like it on each partition, then ALTER INDEX %I.%I ATTACH PARTITION ...',
			n.nspname, c.relname)
		WHEN NOT i.indislive
			OR c.relname::text OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
			THEN pg_catalog.format('DROP INDEX CONCURRENTLY %I.%I;',
				n.nspname, c.relname)
		ELSE pg_catalog.format(
			'DROP INDEX CONCURRENTLY %1$I.%2$I; or REINDEX INDEX CONCURRENTLY %1$I.%2$I;',
			n.nspname, c.relname)
	END AS remedy,
	i.indrelid AS relation
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) i.indrelid
JOIN pg_catalog.pg_namespace tn ON tn.oid OPERATOR(pg_catalog.=) t.relnamespace
WHERE NOT i.indisvalid
	AND t.relpersistence OPERATOR(pg_catalog.<>) 't'
	AND NOT migrate.index_is_being_built(i.indexrelid, i.indrelid)
UNION ALL
SELECT CASE o.contype
		WHEN 'f' THEN 'foreign key NOT VALID'
		WHEN 'n' THEN 'NOT NULL constraint NOT VALID'
		ELSE 'check constraint NOT VALID' END,
	pg_catalog.format('%I on %I.%I', o.conname, n.nspname, c.relname),
	'new rows are checked, those before it were not',
	pg_catalog.format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I;',
		n.nspname, c.relname, o.conname),
	c.oid
FROM pg_catalog.pg_constraint o
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) o.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT o.convalidated
	AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
	/* 18: what is NOT ENFORCED is not meant to be valid */
	AND COALESCE((pg_catalog.to_jsonb(o) OPERATOR(pg_catalog.->>)
		'conenforced')::boolean, true)
	/* that of a partition or child is validated along with its parent's */
	AND o.conparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
	AND o.conislocal
UNION ALL
SELECT 'domain constraint NOT VALID',
	pg_catalog.format('%I on %I.%I', o.conname, n.nspname, t.typname),
	'new values are checked, those before it were not',
	pg_catalog.format('ALTER DOMAIN %I.%I VALIDATE CONSTRAINT %I;',
		n.nspname, t.typname, o.conname),
	NULL
FROM pg_catalog.pg_constraint o
JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) o.contypid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE NOT o.convalidated
UNION ALL
SELECT 'partition half-detached',
	pg_catalog.format('%I.%I', n.nspname, c.relname),
	pg_catalog.format(
		'DETACH PARTITION CONCURRENTLY from %I.%I was interrupted',
		pn.nspname, p.relname),
	pg_catalog.format('ALTER TABLE %I.%I DETACH PARTITION %I.%I FINALIZE;',
		pn.nspname, p.relname, n.nspname, c.relname),
	p.oid
FROM pg_catalog.pg_inherits h
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) h.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) h.inhparent
JOIN pg_catalog.pg_namespace pn ON pn.oid OPERATOR(pg_catalog.=) p.relnamespace
WHERE h.inhdetachpending
	/* nobody else takes such a lock on a partitioned table for long */
	AND NOT migrate.index_is_being_built(p.oid, p.oid);
GRANT SELECT ON migrate.unfinished_objects TO PUBLIC;
COMMENT ON VIEW migrate.unfinished_objects IS
	'what migrate.verify() tells of the catalog';
COMMENT ON COLUMN migrate.unfinished_objects.kind IS 'what it is';
COMMENT ON COLUMN migrate.unfinished_objects.object IS 'its name, quoted';
COMMENT ON COLUMN migrate.unfinished_objects.detail IS 'what is wrong with it';
COMMENT ON COLUMN migrate.unfinished_objects.remedy IS
	'the statements that finish it or take it away';
COMMENT ON COLUMN migrate.unfinished_objects.relation IS
	'the table concerned, null if none is';

CREATE FUNCTION migrate.verify()
RETURNS TABLE (kind text, object text, detail text, remedy text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT CASE t.state WHEN 'failed' THEN 'failed task'
			ELSE 'interrupted task' END,
		pg_catalog.format('task %s', t.id),
		pg_catalog.format('%s of %s steps done: %s%s', t.steps_done, t.steps,
			t.statement, ' (' OPERATOR(pg_catalog.||) t.error
				OPERATOR(pg_catalog.||) ')'),
		CASE WHEN t.next_attempt_at IS NULL THEN pg_catalog.format(
				'SELECT migrate.retry(%1$s); or SELECT migrate.cancel(%1$s);',
				t.id)
			ELSE pg_catalog.format('CALL migrate.wait(%s);', t.id) END
	FROM migrate.tasks t
	WHERE t.state OPERATOR(pg_catalog.=) ANY (ARRAY['failed', 'interrupted'])
	UNION ALL
	SELECT u.kind,
		u.object,
		u.detail,
		/* a task may be about to do it */
		COALESCE((
			SELECT pg_catalog.format('CALL migrate.wait(%s);', t.id)
			FROM migrate.tasks t
			WHERE t.state OPERATOR(pg_catalog.=) ANY
					(ARRAY['waiting', 'running', 'undoing'])
				AND pg_catalog.to_regclass(t.relation)::pg_catalog.oid
					OPERATOR(pg_catalog.=) u.relation
			ORDER BY t.id DESC
			LIMIT 1), u.remedy)
	FROM migrate.unfinished_objects u;
END;
COMMENT ON FUNCTION migrate.verify() IS
	'what was left half-done in this database, and how to finish it: tasks that failed or were interrupted (those that the current role sees), invalid indexes, constraints that are NOT VALID, partitions half-detached; leaves out what somebody is working on just now';

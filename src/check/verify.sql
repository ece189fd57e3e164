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

/*
 * The rows that keep a constraint from being validated.
 */
CREATE FUNCTION migrate.violations_query(con oid)
RETURNS text
LANGUAGE sql STABLE
RETURN (
	SELECT CASE o.contype
		WHEN 'c' THEN pg_catalog.format('SELECT * FROM %s%I.%I WHERE NOT (%s);',
			CASE WHEN o.connoinherit THEN 'ONLY ' END, n.nspname, c.relname,
			pg_catalog.pg_get_expr(o.conbin, o.conrelid))
		WHEN 'n' THEN pg_catalog.format('SELECT * FROM %s%I.%I WHERE %s;',
			CASE WHEN o.connoinherit THEN 'ONLY ' END, n.nspname, c.relname,
			k.nulls)
		WHEN 'f' THEN pg_catalog.format(
			'SELECT * FROM %I.%I c WHERE (%s) AND NOT EXISTS (SELECT FROM %I.%I r WHERE %s);',
			n.nspname, c.relname,
			CASE o.confmatchtype WHEN 'f' THEN k.any_value ELSE k.all_values END,
			rn.nspname, r.relname, k.matches)
		END
	FROM pg_catalog.pg_constraint o
	JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) o.conrelid
	JOIN pg_catalog.pg_namespace n
		ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
	LEFT JOIN pg_catalog.pg_class r
		ON r.oid OPERATOR(pg_catalog.=) o.confrelid
	LEFT JOIN pg_catalog.pg_namespace rn
		ON rn.oid OPERATOR(pg_catalog.=) r.relnamespace
	CROSS JOIN LATERAL (
		SELECT pg_catalog.string_agg(pg_catalog.format('%I IS NULL',
				ca.attname), ' OR ' ORDER BY u.place) AS nulls,
			pg_catalog.string_agg(pg_catalog.format('c.%I IS NOT NULL',
				ca.attname), ' AND ' ORDER BY u.place) AS all_values,
			pg_catalog.string_agg(pg_catalog.format('c.%I IS NOT NULL',
				ca.attname), ' OR ' ORDER BY u.place) AS any_value,
			pg_catalog.string_agg(CASE WHEN ra.attname IS NOT NULL
				THEN pg_catalog.format('r.%I = c.%I', ra.attname, ca.attname)
				END, ' AND ' ORDER BY u.place) AS matches
		FROM ROWS FROM (pg_catalog.unnest(o.conkey),
			pg_catalog.unnest(o.confkey)) WITH ORDINALITY
			u (attnum, refnum, place)
		JOIN pg_catalog.pg_attribute ca
			ON ca.attrelid OPERATOR(pg_catalog.=) o.conrelid
			AND ca.attnum OPERATOR(pg_catalog.=) u.attnum
		LEFT JOIN pg_catalog.pg_attribute ra
			ON ra.attrelid OPERATOR(pg_catalog.=) o.confrelid
			AND ra.attnum OPERATOR(pg_catalog.=) u.refnum) k
	WHERE o.oid OPERATOR(pg_catalog.=) con);
COMMENT ON FUNCTION migrate.violations_query(oid) IS
	'the query that finds the rows that violate a CHECK, NOT NULL or FOREIGN KEY constraint of a table, by the OID of the constraint';

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
	i.indrelid AS relation,
	pg_catalog.format('%s.%s.0', 'pg_catalog.pg_class'::pg_catalog.regclass::oid,
		i.indexrelid) AS made
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
	pg_catalog.format(
		'new rows are checked, those before it were not; those that violate it: %s',
		migrate.violations_query(o.oid)),
	pg_catalog.format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I;',
		n.nspname, c.relname, o.conname),
	c.oid,
	pg_catalog.format('%s.%s.0',
		'pg_catalog.pg_constraint'::pg_catalog.regclass::oid, o.oid)
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
	NULL,
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
	p.oid,
	NULL
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
COMMENT ON COLUMN migrate.unfinished_objects.made IS
	'its numbers, as migrate.task_log.made has them';

/*
 * Which task has made something that is not finished, if one has.
 */
CREATE VIEW migrate.task_objects WITH (security_barrier) AS
SELECT t.id AS task, m.made
FROM migrate.task_log t
CROSS JOIN LATERAL pg_catalog.unnest(t.made) m (made)
WHERE t.state OPERATOR(pg_catalog.<>) ALL (ARRAY['done', 'cancelled'])
	AND t.origin OPERATOR(pg_catalog.=) migrate.origin();
GRANT SELECT ON migrate.task_objects TO PUBLIC;
COMMENT ON VIEW migrate.task_objects IS
	'what tasks that are not finished have made so far';
COMMENT ON COLUMN migrate.task_objects.task IS 'number of the task';
COMMENT ON COLUMN migrate.task_objects.made IS
	'catalog, object and column, by their numbers';

CREATE FUNCTION migrate.verify()
RETURNS TABLE (kind text, object text, detail text, remedy text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT m.kind, m.object, m.detail, m.remedy
	FROM migrate.unfinished_migrations m
	UNION ALL
	SELECT CASE t.state WHEN 'failed' THEN 'failed task'
			ELSE 'interrupted task' END,
		pg_catalog.format('task %s', t.id),
		pg_catalog.format('%s of %s steps done: %s%s', t.steps_done, t.steps,
			t.statement, ' (' OPERATOR(pg_catalog.||) t.error
				OPERATOR(pg_catalog.||) ')'),
		CASE WHEN t.next_attempt_at IS NULL THEN pg_catalog.format(
				'%s; or SELECT migrate.cancel(%s);', COALESCE(t.continued_by,
					pg_catalog.format('SELECT migrate.retry(%s)', t.id)), t.id)
			ELSE pg_catalog.format('CALL migrate.wait(%s);', t.id) END
	FROM migrate.tasks t
	WHERE t.state OPERATOR(pg_catalog.=) ANY (ARRAY['failed', 'interrupted'])
	UNION ALL
	SELECT u.kind,
		u.object,
		CASE WHEN t.state OPERATOR(pg_catalog.=) 'failed'
				THEN pg_catalog.format('%s; task %s failed: %s', u.detail, t.id,
					t.error)
			ELSE u.detail END,
		CASE
			WHEN t.id IS NULL THEN u.remedy
			WHEN t.next_attempt_at IS NULL AND t.state OPERATOR(pg_catalog.=)
				ANY (ARRAY['failed', 'interrupted']) THEN pg_catalog.format(
				'%s%s; or SELECT migrate.cancel(%s);',
				/* it would fail again, and so would VALIDATE */
				CASE WHEN pg_catalog.left(t.sqlstate, 2)
					OPERATOR(pg_catalog.=) '23' THEN 'mend the rows, then ' END,
				COALESCE(t.continued_by,
					pg_catalog.format('SELECT migrate.retry(%s)', t.id)), t.id)
			ELSE pg_catalog.format('CALL migrate.wait(%s);', t.id)
		END
	FROM migrate.unfinished_objects u
	LEFT JOIN LATERAL (
		SELECT s.id, s.state, s.error, s.sqlstate, s.next_attempt_at,
			s.continued_by
		FROM migrate.task_objects o
		JOIN migrate.tasks s ON s.id OPERATOR(pg_catalog.=) o.task
		WHERE o.made OPERATOR(pg_catalog.=) u.made
		ORDER BY s.id DESC
		LIMIT 1) t ON true;
END;
COMMENT ON FUNCTION migrate.verify() IS
	'what was left half-done in this database, and how to finish it: migrations that failed, were interrupted, edited, are missing or out of order (for those who may read migrate.status), tasks that failed or were interrupted (those that the current role sees), invalid indexes, constraints that are NOT VALID, partitions half-detached; leaves out what somebody is working on just now';

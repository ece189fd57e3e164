/*
 * The schema as rows, one an object: what it is called, and a text that says
 * all that counts of it.  The text must not depend on OIDs, on the order of
 * rows in the catalog, on dropped columns, nor on how the object came to be
 * what it is.
 *
 * The columns classid and objid say what to look at again when something has
 * changed: for all that belongs to a relation, that relation.  "names" are
 * those by which the definitions of other objects may call it.
 *
 * Views, and functions with a parsed body, look nothing up when they run, so
 * their operators need no schema.  But what they show has its names qualified
 * only where search_path is pg_catalog alone, see migrate.schema_objects().
 */
CREATE VIEW migrate.user_schemas AS
SELECT n.oid, n.nspname, n.nspowner, n.nspacl
FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_'
	AND n.nspname NOT IN ('information_schema', 'migrate')
	AND NOT EXISTS (
		SELECT FROM pg_catalog.pg_depend e
		WHERE e.classid = 'pg_catalog.pg_namespace'::regclass
			AND e.objid = n.oid AND e.deptype = 'e');
COMMENT ON VIEW migrate.user_schemas IS
	'schemas that count for the fingerprint';
COMMENT ON COLUMN migrate.user_schemas.oid IS 'number of the schema';
COMMENT ON COLUMN migrate.user_schemas.nspname IS 'its name';
COMMENT ON COLUMN migrate.user_schemas.nspowner IS 'its owner';
COMMENT ON COLUMN migrate.user_schemas.nspacl IS 'its privileges';

CREATE FUNCTION migrate.belongs_to_runner(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migrate_belongs_to_runner';
COMMENT ON FUNCTION migrate.belongs_to_runner(oid) IS
	'true for a table in which a known migration tool keeps its books, and for its sequences';

CREATE FUNCTION migrate.options_in_words(options text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
	SELECT pg_catalog.string_agg(o.option, ', ' ORDER BY o.option COLLATE "C")
	FROM pg_catalog.unnest(options) o (option)
	/* minor versions from 2026 on number the states of a column there */
	WHERE o.option NOT LIKE 'pg\_attver=%');
COMMENT ON FUNCTION migrate.options_in_words(text[]) IS
	'options of an object, in an order of their own';

/* What differs from the privileges that such an object has by itself. */
CREATE FUNCTION migrate.privileges_in_words(acl aclitem[], object_type "char",
	owner oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (
	WITH privileges AS (
		SELECT s.sign, concat(
				CASE x.grantee WHEN 0 THEN 'PUBLIC'
					ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
				' ', x.privilege_type,
				CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END) AS what
		FROM (VALUES ('+', acl), ('-', acldefault(object_type, owner)))
			s (sign, acl), aclexplode(s.acl) x)
	SELECT string_agg(d.what, ', ' ORDER BY d.what COLLATE "C")
	FROM (
		SELECT DISTINCT p.sign || p.what
		FROM privileges p
		WHERE NOT EXISTS (
			SELECT FROM privileges o
			WHERE o.what = p.what AND o.sign <> p.sign)) d (what));
COMMENT ON FUNCTION migrate.privileges_in_words(aclitem[], "char", oid) IS
	'privileges granted on an object (+), and those taken away that it has by default (-)';

CREATE VIEW migrate.user_relations AS
SELECT c.oid, c.relkind, c.relpersistence, c.relowner, c.relacl, c.relam,
	c.reloftype, c.reloptions, c.relreplident, c.relrowsecurity,
	c.relforcerowsecurity, c.relpartbound, c.reltoastrelid,
	format('%I.%I', n.nspname, c.relname) AS identity
FROM pg_catalog.pg_class c
JOIN migrate.user_schemas n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
	AND c.relpersistence <> 't'
	AND NOT EXISTS (
		SELECT FROM pg_catalog.pg_depend e
		WHERE e.classid = 'pg_catalog.pg_class'::regclass
			AND e.objid = c.oid AND e.deptype = 'e')
	AND NOT migrate.belongs_to_runner(c.oid);
COMMENT ON VIEW migrate.user_relations IS
	'relations that count for the fingerprint, without indexes';

/* Tables, views, foreign tables and composite types, with their columns. */
CREATE VIEW migrate.schema_tables AS
SELECT c.oid AS objid,
	CASE c.relkind
		WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
		WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END AS kind,
	c.identity,
	concat_ws(E'\n',
		CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
		'(' || a.columns || ')',
		'OF ' || NULLIF(c.reloftype, 0)::regtype::text,
		'INHERITS ' || (
			SELECT string_agg(i.inhparent::regclass::text
				|| CASE WHEN i.inhdetachpending THEN ' DETACH PENDING' ELSE '' END,
				', ' ORDER BY i.inhseqno)
			FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
		pg_get_expr(c.relpartbound, c.oid),
		CASE c.relkind WHEN 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(c.oid) END,
		'USING ' || (
			SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = c.relam),
		'WITH ' || migrate.options_in_words(c.reloptions),
		'TOAST ' || (
			SELECT migrate.options_in_words(t.reloptions)
			FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid),
		'REPLICA IDENTITY ' || CASE c.relreplident
			WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL'
			WHEN 'i' THEN (
				SELECT x.indexrelid::regclass::text FROM pg_catalog.pg_index x
				WHERE x.indrelid = c.oid AND x.indisreplident) END,
		CASE WHEN c.relrowsecurity THEN 'ROW LEVEL SECURITY' END,
		CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END,
		'SERVER ' || (
			SELECT concat(quote_ident(s.srvname), ' OPTIONS ',
				migrate.options_in_words(f.ftoptions))
			FROM pg_catalog.pg_foreign_table f
			JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
			WHERE f.ftrelid = c.oid),
		CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END
	) AS definition,
	c.identity || a.names AS names,
	c.relowner AS owner,
	CASE c.relkind WHEN 'c' THEN NULL ELSE concat(
		migrate.privileges_in_words(c.relacl, 'r', c.relowner),
		a.privileges) END AS privileges
FROM migrate.user_relations c
CROSS JOIN LATERAL (
	SELECT string_agg(concat(
			quote_ident(a.attname), ' ',
			format_type(a.atttypid, a.atttypmod),
			' COLLATE ' || CASE WHEN a.attcollation <> t.typcollation
				THEN a.attcollation::regcollation::text END,
			CASE a.attidentity
				WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY'
				WHEN 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY' END,
			CASE a.attgenerated
				WHEN 's' THEN ' STORED' WHEN 'v' THEN ' VIRTUAL' END,
			' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid),
			CASE WHEN a.attnotnull THEN ' NOT NULL' END,
			/* 18: it is a constraint, which may be NOT VALID */
			CASE WHEN a.attnotnull AND EXISTS (
				SELECT FROM pg_catalog.pg_constraint o
				WHERE o.conrelid = a.attrelid AND o.contype = 'n'
					AND o.conkey = ARRAY[a.attnum] AND NOT o.convalidated)
				THEN ' NOT VALID' END,
			' STORAGE ' || CASE WHEN a.attstorage <> t.typstorage
				THEN a.attstorage::text END,
			' COMPRESSION ' || NULLIF(a.attcompression, '')::text,
			/* 17: no target of its own is null, before it was -1 */
			' STATISTICS ' || NULLIF(a.attstattarget, -1)::text,
			' SET ' || migrate.options_in_words(a.attoptions),
			' OPTIONS ' || migrate.options_in_words(a.attfdwoptions),
			CASE WHEN NOT a.attislocal THEN ' INHERITED' END),
			E',\n' ORDER BY a.attnum) AS columns,
		array_agg(a.attname::text ORDER BY a.attnum) AS names,
		string_agg(CASE WHEN a.attacl IS NOT NULL THEN concat(
			'; ', quote_ident(a.attname), ': ',
			migrate.privileges_in_words(a.attacl, 'c', c.relowner)) END,
			'' ORDER BY a.attnum) AS privileges
	FROM pg_catalog.pg_attribute a
	JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
	LEFT JOIN pg_catalog.pg_attrdef d
		ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) a
WHERE c.relkind <> 'S';
COMMENT ON VIEW migrate.schema_tables IS
	'tables, views, foreign tables and composite types in words';

CREATE VIEW migrate.schema_sequences AS
SELECT c.oid AS objid, c.identity,
	concat_ws(' ', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
		format_type(s.seqtypid, NULL),
		'START', s.seqstart, 'INCREMENT', s.seqincrement,
		'MINVALUE', s.seqmin, 'MAXVALUE', s.seqmax, 'CACHE', s.seqcache,
		CASE WHEN s.seqcycle THEN 'CYCLE' END,
		'OWNED BY ' || (
			SELECT d.refobjid::regclass::text || '.' || quote_ident(a.attname)
			FROM pg_catalog.pg_depend d
			JOIN pg_catalog.pg_attribute a
				ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
			WHERE d.classid = 'pg_catalog.pg_class'::regclass
				AND d.objid = c.oid
				AND d.refclassid = 'pg_catalog.pg_class'::regclass
				AND d.deptype IN ('a', 'i'))) AS definition,
	c.relowner AS owner,
	COALESCE(migrate.privileges_in_words(c.relacl, 's', c.relowner), '') AS privileges
FROM migrate.user_relations c
JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid;
COMMENT ON VIEW migrate.schema_sequences IS 'sequences in words, without their values';

/* What belongs to a relation. */
CREATE VIEW migrate.schema_parts AS
SELECT c.oid AS objid, c.identity AS unit, 'index' AS kind,
	x.indexrelid::regclass::text AS identity,
	concat_ws(E'\n', pg_get_indexdef(x.indexrelid),
		CASE WHEN NOT x.indisvalid THEN 'INVALID' END,
		CASE WHEN x.indisclustered THEN 'CLUSTER ON' END,
		'STATISTICS ' || (
			SELECT string_agg(concat(a.attnum, ' ', a.attstattarget), ', '
				ORDER BY a.attnum)
			FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = x.indexrelid AND a.attstattarget >= 0),
		'PARTITION OF ' || (
			SELECT i.inhparent::regclass::text
			FROM pg_catalog.pg_inherits i
			WHERE i.inhrelid = x.indexrelid)) AS definition
FROM migrate.user_relations c
JOIN pg_catalog.pg_index x ON x.indrelid = c.oid
UNION ALL
/* NOT NULL is said of the column; that of a partition follows its parent's */
SELECT c.oid, c.identity, 'constraint', concat(quote_ident(o.conname), ' on ', c.identity),
	concat_ws(' ', pg_get_constraintdef(o.oid),
		CASE WHEN NOT o.conislocal THEN 'INHERITED' END)
FROM migrate.user_relations c
JOIN pg_catalog.pg_constraint o ON o.conrelid = c.oid
WHERE o.contype NOT IN ('n', 't')
	AND NOT (o.contype = 'f' AND o.conparentid <> 0)
UNION ALL
SELECT c.oid, c.identity, 'trigger', concat(quote_ident(t.tgname), ' on ', c.identity),
	concat_ws(' ', pg_get_triggerdef(t.oid), NULLIF(t.tgenabled, 'O')::text)
FROM migrate.user_relations c
JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
WHERE NOT t.tgisinternal
UNION ALL
SELECT c.oid, c.identity, 'rule', concat(quote_ident(r.rulename), ' on ', c.identity),
	concat_ws(' ', pg_get_ruledef(r.oid), NULLIF(r.ev_enabled, 'O')::text)
FROM migrate.user_relations c
JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT c.oid, c.identity, 'policy', concat(quote_ident(p.polname), ' on ', c.identity),
	concat_ws(' ',
		CASE p.polpermissive WHEN false THEN 'RESTRICTIVE' END,
		'FOR', p.polcmd, 'TO', (
			SELECT string_agg(r.name, ', ' ORDER BY r.name COLLATE "C")
			FROM (SELECT CASE u.role WHEN 0 THEN 'PUBLIC'
						ELSE quote_ident(pg_get_userbyid(u.role)) END
				  FROM unnest(p.polroles) u (role)) r (name)),
		'USING ' || pg_get_expr(p.polqual, p.polrelid),
		'WITH CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid))
FROM migrate.user_relations c
JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid;
COMMENT ON VIEW migrate.schema_parts IS
	'indexes, constraints, triggers, rules and policies in words';

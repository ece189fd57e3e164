/*
 * Schemas of views, in which clients of old and of new code each see the tables
 * in their shape.  What a version consists of is kept by name: a dump has both.
 */
CREATE TABLE migrate.version_log (
	version text NOT NULL,
	schema text NOT NULL,
	shape text NOT NULL,
	views text[] NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	role text NOT NULL,
	CONSTRAINT version_log_pkey PRIMARY KEY (version)
);
REVOKE ALL ON migrate.version_log FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.version_log', '');

COMMENT ON TABLE migrate.version_log IS
	'schemas of views made by migrate.create_version(); read it through migrate.versions';
COMMENT ON COLUMN migrate.version_log.version IS 'name of the schema';
COMMENT ON COLUMN migrate.version_log.schema IS
	'schema whose tables the views show';
COMMENT ON COLUMN migrate.version_log.shape IS
	'shape of the tables under change that it shows: old or new';
COMMENT ON COLUMN migrate.version_log.views IS 'names of its views';
COMMENT ON COLUMN migrate.version_log.created_at IS 'time at which it was made';
COMMENT ON COLUMN migrate.version_log.role IS
	'role in force then (current_user)';
COMMENT ON CONSTRAINT version_log_pkey ON migrate.version_log IS
	'one row a version';

/*
 * The views of versions, and the columns of tables that they show.
 */
CREATE VIEW migrate.version_columns AS
SELECT l.version,
	v.oid AS view,
	d.refobjid AS relid,
	d.refobjsubid AS attnum
FROM migrate.version_log l
JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) l.version
JOIN pg_catalog.pg_class v ON v.relnamespace OPERATOR(pg_catalog.=) n.oid
	AND v.relkind OPERATOR(pg_catalog.=) 'v'
	AND v.relname OPERATOR(pg_catalog.=) ANY (l.views)
JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
	AND r.ev_type OPERATOR(pg_catalog.=) '1'
JOIN pg_catalog.pg_depend d
	ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
	AND d.objid OPERATOR(pg_catalog.=) r.oid
	AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
	AND d.refobjsubid OPERATOR(pg_catalog.>) 0
	AND d.refobjid OPERATOR(pg_catalog.<>) v.oid;
COMMENT ON VIEW migrate.version_columns IS
	'columns of tables that the views of versions show';
COMMENT ON COLUMN migrate.version_columns.version IS 'name of the version';
COMMENT ON COLUMN migrate.version_columns.view IS 'a view of it';
COMMENT ON COLUMN migrate.version_columns.relid IS 'the table';
COMMENT ON COLUMN migrate.version_columns.attnum IS
	'number of a column of the table';

CREATE VIEW migrate.versions WITH (security_barrier) AS
SELECT l.version,
	l.schema,
	l.shape,
	(SELECT pg_catalog.count(*) FROM pg_catalog.pg_class v
		WHERE v.relnamespace OPERATOR(pg_catalog.=) n.oid
			AND v.relkind OPERATOR(pg_catalog.=) 'v'
			AND v.relname OPERATOR(pg_catalog.=) ANY (l.views))::int AS views,
	l.created_at,
	l.role
FROM migrate.version_log l
JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) l.version
ORDER BY l.created_at, l.version COLLATE "C";
GRANT SELECT ON migrate.versions TO PUBLIC;
COMMENT ON VIEW migrate.versions IS
	'schemas of views in which clients see the tables in the shape of one version, see migrate.create_version()';
COMMENT ON COLUMN migrate.versions.version IS
	'name of the schema, for the search_path of clients and migrate.drop_version()';
COMMENT ON COLUMN migrate.versions.schema IS
	'schema whose tables the views show';
COMMENT ON COLUMN migrate.versions.shape IS
	'shape that it was made for: old, or new, with the new columns of the changes that were under way';
COMMENT ON COLUMN migrate.versions.views IS 'number of its views';
COMMENT ON COLUMN migrate.versions.created_at IS 'time at which it was made';
COMMENT ON COLUMN migrate.versions.role IS 'role in force then (current_user)';

CREATE FUNCTION migrate.create_version(version text,
	"schema" text DEFAULT 'public', shape text DEFAULT 'new')
RETURNS int
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_create_version';
COMMENT ON FUNCTION migrate.create_version(text, text, text) IS
	'makes a schema with a view of each table of another one, which can be written to: of the shape "new" with the new columns of online changes instead of the old ones, under the names that they will have, of the shape "old" without them; clients choose it by their search_path; returns the number of views; for the owner of the tables, with CREATE on the database';

CREATE FUNCTION migrate.drop_version(version text)
RETURNS int
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_drop_version';
COMMENT ON FUNCTION migrate.drop_version(text) IS
	'drops the views and the schema that migrate.create_version() has made, and returns the number of views; refused while anything else is in the schema; for the owner of the schema';

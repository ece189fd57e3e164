/*-------------------------------------------------------------------------
 *
 * version_views.c
 *	  migrate.create_version() and migrate.drop_version().
 *
 * A version is a schema of views that PostgreSQL itself can write to.  They
 * refer to columns by number, so that most of what becomes of a table is
 * nothing to them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lock/lock.h"
#include "miscadmin.h"
#include "online/change.h"
#include "online/change_arguments.h"
#include "online/version_views.h"
#include "plan/view_grants.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(migrate_create_version);
PG_FUNCTION_INFO_V1(migrate_drop_version);

/* A column as a version shows it. */
typedef struct VersionColumn
{
	Oid			relid;
	char	   *view;			/* not quoted, as the other names */
	AttrNumber	attnum;
	char	   *column;
	char	   *name;			/* in the view */
} VersionColumn;

static void require_possible(const char *function);
static Oid	schema_to_show(const char *name);
static void lock_tables(Oid schema);
static List *columns_of_version(Oid schema, const char *shape);
static List *write_version(const char *version, Oid schema, List *columns,
						   List **views);
static int	append_view(StringInfo script, const char *version,
						List *columns, int first);
static void insert_version(const char *version, const char *schema,
						   const char *shape, List *views);
static Oid	version_to_drop(const char *version);
static List *views_of_version(const char *version);
static void refuse_foreign_objects(const char *version, Oid schema,
								   List *views);
static List *drops_of_version(const char *version, List *views);
static void delete_version(const char *version);

/* The tables of a schema ($1) of which a version has views. */
#define TABLES_OF_SCHEMA \
	"pg_catalog.pg_class r WHERE r.relnamespace OPERATOR(pg_catalog.=) $1 " \
	"AND r.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog.\"char\"[]) " \
	"AND NOT r.relispartition " \
	"AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e " \
	"WHERE e.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass " \
	"AND e.objid OPERATOR(pg_catalog.=) r.oid " \
	"AND e.deptype OPERATOR(pg_catalog.=) 'e') "

/* migrate.create_version(version, "schema", shape) */
Datum
migrate_create_version(PG_FUNCTION_ARGS)
{
	char	   *version = needed_name(fcinfo, 0, "version");
	char	   *schema_name = needed_name(fcinfo, 1, "schema");
	char	   *shape = needed_text(fcinfo, 2, "shape");
	List	   *views;
	List	   *script;
	Oid			schema;

	require_possible("migrate.create_version()");
	if (strcmp(shape, "old") != 0 && strcmp(shape, "new") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("shape => '%s': give 'old' or 'new', for clients of the old or of the new code",
						shape)));
	schema = schema_to_show(schema_name);
	lock_tables(schema);
	script = write_version(version, schema, columns_of_version(schema, shape),
						   &views);
	run_change_as_one(script, psprintf("SELECT migrate.create_version(%s, %s, %s)",
									   quote_literal_cstr(version),
									   quote_literal_cstr(schema_name),
									   quote_literal_cstr(shape)));
	insert_version(version, schema_name, shape, views);
	PG_RETURN_INT32(list_length(views));
}

static void
require_possible(const char *function)
{
	require_preloaded();
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

static Oid
schema_to_show(const char *name)
{
	Oid			schema = get_namespace_oid(name, false);

	if (IsCatalogNamespace(schema) || IsToastNamespace(schema) ||
		isAnyTempNamespace(schema) || strcmp(name, MIGRATE_SCHEMA) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("schema \"%s\" has no tables that change: name that of the tables which clients use",
						name)));
	return schema;
}

/*
 * Nobody begins or contracts a change of them until the end of the transaction.
 * The views belong to the owners of the tables, so the caller has to be one.
 */
static void
lock_tables(Oid schema)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *relids;
	ListCell   *cell;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(schema), false);
	run_own_query("SELECT r.oid FROM " TABLES_OF_SCHEMA "ORDER BY r.oid",
				  &arguments, SPI_OK_SELECT);
	relids = own_oid_column(&access, 1);
	end_own_access(&access);
	foreach(cell, relids)
	{
		char	   *name = get_rel_name(lfirst_oid(cell));

		if (name == NULL)
			continue;
		if (!compat_owns_relation(lfirst_oid(cell), GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
		LockRelationOid(lfirst_oid(cell), AccessShareLock);
	}
}

/*
 * By table and position: a new column stands where the old one did.  What is
 * being taken back is not there any more.
 */
static List *
columns_of_version(Oid schema, const char *shape)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *columns = NIL;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(schema), false);
	add_own_text(&arguments, shape);
	run_own_query("WITH change AS MATERIALIZED (SELECT c.*, "
				  "$2 OPERATOR(pg_catalog.=) 'new' AND NOT t.cancelled AND "
				  "t.state OPERATOR(pg_catalog.<>) 'undoing' AS is_new "
				  "FROM migrate.change_log c JOIN migrate.task_log t "
				  "ON t.id OPERATOR(pg_catalog.=) c.id "
				  "WHERE " CHANGE_IS_UNFINISHED
				  "AND t.origin OPERATOR(pg_catalog.=) migrate.origin()) "
				  "SELECT r.oid::pg_catalog.int8, "
				  "COALESCE((SELECT (pg_catalog.parse_ident(x.relation))[2] FROM change x "
				  "WHERE x.relid OPERATOR(pg_catalog.=) r.oid "
				  "AND x.kind OPERATOR(pg_catalog.=) 'rename_table' "
				  "AND NOT x.is_new), r.relname::pg_catalog.text) AS view, "
				  "a.attnum::pg_catalog.int4, a.attname::pg_catalog.text, "
				  "COALESCE(k.attname, a.attname)::pg_catalog.text "
				  "FROM (SELECT r.oid, r.relname FROM " TABLES_OF_SCHEMA ") r "
				  "JOIN pg_catalog.pg_attribute a "
				  "ON a.attrelid OPERATOR(pg_catalog.=) r.oid "
				  "AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped "
				  "LEFT JOIN change n ON n.relid OPERATOR(pg_catalog.=) r.oid "
				  "AND a.attnum OPERATOR(pg_catalog.=) ANY (n.new_columns) "
				  "LEFT JOIN change o ON o.relid OPERATOR(pg_catalog.=) r.oid "
				  "AND a.attnum OPERATOR(pg_catalog.=) ANY (o.old_columns) "
				  "LEFT JOIN pg_catalog.pg_attribute k "
				  "ON k.attrelid OPERATOR(pg_catalog.=) r.oid "
				  "AND k.attnum OPERATOR(pg_catalog.=) n.old_columns[1] "
				  "AND n.kind OPERATOR(pg_catalog.=) 'change_type' "
				  "WHERE COALESCE(n.is_new, true) "
				  "AND COALESCE(NOT o.is_new, true) "
				  "AND NOT EXISTS (SELECT FROM change x "
				  "WHERE x.relid OPERATOR(pg_catalog.=) r.oid "
				  "AND x.kind OPERATOR(pg_catalog.=) 'drop_table' AND x.is_new) "
				  "ORDER BY r.oid, COALESCE(n.old_columns[1], a.attnum), a.attnum",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		VersionColumn *column =
		MemoryContextAlloc(access.caller, sizeof(VersionColumn));
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		columns = lappend(columns, column);
		MemoryContextSwitchTo(old);
		column->relid = (Oid) own_bigint_column(row, 1);
		column->view = own_text_column(&access, row, 2);
		column->attnum = own_int_column(row, 3);
		column->column = own_text_column(&access, row, 4);
		column->name = own_text_column(&access, row, 5);
	}
	end_own_access(&access);
	return columns;
}

/* Statements that make it; views becomes the names of its views. */
static List *
write_version(const char *version, Oid schema, List *columns, List **views)
{
	StringInfoData script;
	const char *quoted = quote_identifier(version);
	List	   *statements;

	*views = NIL;
	initStringInfo(&script);
	appendStringInfo(&script, "CREATE SCHEMA %s", quoted);
	append_schema_grants(&script, schema, quoted);
	statements = list_make1(script.data);
	for (int i = 0; i < list_length(columns);)
	{
		*views = lappend(*views, ((VersionColumn *) list_nth(columns, i))->view);
		initStringInfo(&script);
		i = append_view(&script, version, columns, i);
		statements = lappend(statements, script.data);
	}
	return statements;
}

/* Of the table of that column; returns the index of the next table's first. */
static int
append_view(StringInfo script, const char *version, List *columns, int first)
{
	VersionColumn *table = list_nth(columns, first);
	char	   *view = quote_qualified_identifier(version, table->view);
	char	  **names = palloc0(MaxHeapAttributeNumber * sizeof(char *));
	int			next;

	appendStringInfo(script, "CREATE VIEW %s WITH (security_invoker = true) AS SELECT ",
					 view);
	for (next = first; next < list_length(columns); next++)
	{
		VersionColumn *column = list_nth(columns, next);

		if (column->relid != table->relid)
			break;
		names[column->attnum - 1] = column->name;
		appendStringInfo(script, "%s%s", next > first ? ", " : "",
						 quote_identifier(column->column));
		if (strcmp(column->column, column->name) != 0)
			appendStringInfo(script, " AS %s", quote_identifier(column->name));
	}
	appendStringInfo(script, " FROM %s", relation_display_name(table->relid));
	append_view_grants(script, table->relid, view, names);
	return next;
}

/* The schema was made just now: if there was one of that name, it is gone. */
static void
insert_version(const char *version, const char *schema, const char *shape,
			   List *views)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *role = GetUserNameFromId(GetUserId(), false);

	delete_version(version);
	begin_own_access(&access);
	add_own_text(&arguments, version);
	add_own_text(&arguments, schema);
	add_own_text(&arguments, shape);
	add_own_text_list(&arguments, views);
	add_own_text(&arguments, role);
	run_own_query("INSERT INTO migrate.version_log "
				  "(version, schema, shape, views, role) "
				  "VALUES ($1, $2, $3, $4, $5)",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

static void
delete_version(const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, version);
	run_own_query("DELETE FROM migrate.version_log "
				  "WHERE version OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_DELETE);
	end_own_access(&access);
}

/* migrate.drop_version(version) */
Datum
migrate_drop_version(PG_FUNCTION_ARGS)
{
	char	   *version = needed_name(fcinfo, 0, "version");
	Oid			schema;
	List	   *views;

	require_possible("migrate.drop_version()");
	schema = version_to_drop(version);
	views = views_of_version(version);
	refuse_foreign_objects(version, schema, views);
	lock_relations_patiently(CMDTAG_DROP_VIEW, "migrate.drop_version()", views,
							 AccessExclusiveLock);
	run_change_as_one(drops_of_version(version, views),
					  psprintf("SELECT migrate.drop_version(%s)",
							   quote_literal_cstr(version)));
	delete_version(version);
	PG_RETURN_INT32(list_length(views));
}

/* Its schema. */
static Oid
version_to_drop(const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	Oid			schema = get_namespace_oid(version, true);
	bool		is_ours;

	begin_own_access(&access);
	add_own_text(&arguments, version);
	run_own_query("SELECT FROM migrate.version_log "
				  "WHERE version OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	is_ours = SPI_processed > 0;
	end_own_access(&access);
	if (!OidIsValid(schema) || !is_ours)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("version \"%s\" does not exist; migrate.versions lists those there are",
						version)));
	if (!compat_owns_namespace(schema, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SCHEMA, version);
	return schema;
}

/* Those that are there, in the order of their OIDs. */
static List *
views_of_version(const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *views;

	begin_own_access(&access);
	add_own_text(&arguments, version);
	run_own_query("SELECT v.oid FROM migrate.version_log l "
				  "JOIN pg_catalog.pg_namespace n "
				  "ON n.nspname OPERATOR(pg_catalog.=) l.version "
				  "JOIN pg_catalog.pg_class v "
				  "ON v.relnamespace OPERATOR(pg_catalog.=) n.oid "
				  "AND v.relkind OPERATOR(pg_catalog.=) 'v' "
				  "AND v.relname OPERATOR(pg_catalog.=) ANY (l.views) "
				  "WHERE l.version OPERATOR(pg_catalog.=) $1 ORDER BY v.oid",
				  &arguments, SPI_OK_SELECT);
	views = own_oid_column(&access, 1);
	end_own_access(&access);
	return views;
}

/* What others have put into the schema is not ours to drop. */
static void
refuse_foreign_objects(const char *version, Oid schema, List *views)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *object = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(schema), false);
	add_own_oid_list(&arguments, views);
	run_own_query("SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) "
				  "FROM pg_catalog.pg_depend d "
				  "WHERE d.refclassid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_namespace'::pg_catalog.regclass "
				  "AND d.refobjid OPERATOR(pg_catalog.=) $1 "
				  "AND d.deptype OPERATOR(pg_catalog.=) 'n' "
				  "AND NOT (d.classid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_class'::pg_catalog.regclass "
				  "AND d.objid OPERATOR(pg_catalog.=) ANY ($2)) "
				  "ORDER BY d.classid, d.objid LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		object = own_text_column(&access, 0, 1);
	end_own_access(&access);
	if (object != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("version %s has %s in its schema, which migrate.create_version() has not made: drop it, or move it elsewhere, first",
						quote_identifier(version), object)));
}

static List *
drops_of_version(const char *version, List *views)
{
	List	   *statements = NIL;
	ListCell   *cell;

	foreach(cell, views)
		statements = lappend(statements,
							 psprintf("DROP VIEW %s",
									  relation_display_name(lfirst_oid(cell))));
	return lappend(statements,
				   psprintf("DROP SCHEMA %s", quote_identifier(version)));
}

/*-------------------------------------------------------------------------
 *
 * change_refusal.c
 *	  New names for what an unfinished change knows by the old ones.
 *
 * What a change has left to do is text, and so are the expressions of its
 * trigger: with another name of the table or of a column it would fail, and so
 * would every write of a client.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "online/change.h"
#include "run/run.h"
#include "utils/lsyscache.h"

static void refuse_new_name(Node *statement);
static void refuse_if_changed(const RangeVar *relation);
static void refuse_if_schema_is_changed(const char *name);
static void refuse(const char *query, Oid oid);

#define UNFINISHED \
	"SELECT c.id::pg_catalog.text, c.relation FROM migrate.change_log c " \
	"JOIN migrate.task_log t ON t.id OPERATOR(pg_catalog.=) c.id " \
	"WHERE " CHANGE_IS_UNFINISHED

/*
 * See change.h.
 */
void
register_change_refusal(void)
{
	register_statement_check(refuse_new_name);
}

static void
refuse_new_name(Node *statement)
{
	if (!own_table_has_pages("change_log"))
		return;
	if (IsA(statement, AlterObjectSchemaStmt))
	{
		AlterObjectSchemaStmt *alter = (AlterObjectSchemaStmt *) statement;

		if (alter->objectType == OBJECT_TABLE)
			refuse_if_changed(alter->relation);
		return;
	}
	if (IsA(statement, RenameStmt))
	{
		RenameStmt *rename = (RenameStmt *) statement;

		if (rename->renameType == OBJECT_TABLE ||
			rename->renameType == OBJECT_COLUMN)
			refuse_if_changed(rename->relation);
		else if (rename->renameType == OBJECT_SCHEMA)
			refuse_if_schema_is_changed(rename->subname);
	}
}

/* A partition, too: columns are renamed in the whole tree. */
static void
refuse_if_changed(const RangeVar *relation)
{
	Oid			relid = relation == NULL ? InvalidOid :
	RangeVarGetRelid(relation, NoLock, true);

	if (OidIsValid(relid))
		refuse(UNFINISHED "AND c.relid OPERATOR(pg_catalog.=) $1 LIMIT 1",
			   relid);
}

/*
 * See change.h.
 */
void
refuse_beside_other_changes(Oid relid, const char *kind)
{
	if (!own_table_has_pages("change_log"))
		return;
	if (strcmp(kind, "rename_table") == 0)
		refuse(UNFINISHED "AND c.relid OPERATOR(pg_catalog.=) $1 LIMIT 1",
			   relid);
	else
		refuse(UNFINISHED "AND c.relid OPERATOR(pg_catalog.=) $1 "
			   "AND c.kind OPERATOR(pg_catalog.=) 'rename_table' LIMIT 1",
			   relid);
}

static void
refuse_if_schema_is_changed(const char *name)
{
	Oid			schema = name == NULL ? InvalidOid :
	get_namespace_oid(name, true);

	if (OidIsValid(schema))
		refuse(UNFINISHED "AND EXISTS (SELECT FROM pg_catalog.pg_class r "
			   "WHERE r.oid OPERATOR(pg_catalog.=) c.relid "
			   "AND r.relnamespace OPERATOR(pg_catalog.=) $1) LIMIT 1",
			   schema);
}

static void
refuse(const char *query, Oid oid)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *id = NULL;
	char	   *relation = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(oid), false);
	run_own_query(query, &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		id = own_text_column(&access, 0, 1);
		relation = own_text_column(&access, 0, 2);
	}
	end_own_access(&access);
	if (id != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s is being changed online, by change %s: not before SELECT migrate.contract(%s) or migrate.cancel(%s)",
						relation, id, id, id)));
}

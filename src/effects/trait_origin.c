/*-------------------------------------------------------------------------
 *
 * trait_origin.c
 *	  Schema changes that do not come through the ledger.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "common/catalog.h"
#include "effects/ddl.h"
#include "effects/ledgers.h"
#include "effects/trait_context.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static void look_at_dropped(TraitContext *context, DropStmt *stmt);
static void look_at_granted(TraitContext *context, GrantStmt *stmt);
static RangeVar *relation_of_statement(Node *statement);
static List *name_of_statement(Node *statement);
static bool is_relation(ObjectType type);
static void look_at_relation(TraitContext *context, RangeVar *relation);
static Oid	first_of_search_path(void);
static void look_at_name(TraitContext *context, List *name);
static void add_origin(TraitContext *context, const char *nspname,
					   const char *relname, const char *shown, int location);

/*
 * Temporary objects, those of the system, the books of migration tools and
 * what is ours may be changed by anybody.  In a script that is only checked,
 * every statement may become a migration.
 */
void
look_at_origin(TraitContext *context)
{
	Node	   *statement = context->statement;
	RangeVar   *relation = relation_of_statement(statement);
	List	   *name = name_of_statement(statement);

	if (!context->wanted[TRAIT_NO_MIGRATION] || context->source->by_migration ||
		!statement_changes_schema(statement))
		return;
	if (IsA(statement, CreateStmt) &&
		creates_runner_ledger((CreateStmt *) statement))
		return;
	if (relation != NULL)
		look_at_relation(context, relation);
	else if (name != NIL)
		look_at_name(context, name);
	else if (IsA(statement, DropStmt))
		look_at_dropped(context, (DropStmt *) statement);
	else if (IsA(statement, GrantStmt) &&
			 ((GrantStmt *) statement)->targtype == ACL_TARGET_OBJECT)
		look_at_granted(context, (GrantStmt *) statement);
	else if (IsA(statement, CreateSchemaStmt))
		add_origin(context, ((CreateSchemaStmt *) statement)->schemaname, NULL,
				   ((CreateSchemaStmt *) statement)->schemaname, -1);
	else if (!IsA(statement, AlterExtensionStmt) ||
			 strcmp(((AlterExtensionStmt *) statement)->extname,
					MIGRATE_EXTENSION) != 0)
		add_origin(context, NULL, NULL, NULL, -1);
}

static void
look_at_dropped(TraitContext *context, DropStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->objects)
	{
		Node	   *object = lfirst(cell);

		if (is_relation(stmt->removeType))
			look_at_relation(context, makeRangeVarFromNameList((List *) object));
		else if (IsA(object, ObjectWithArgs))
			look_at_name(context, ((ObjectWithArgs *) object)->objname);
		else if (IsA(object, TypeName))
			look_at_name(context, ((TypeName *) object)->names);
		else
			add_origin(context, NULL, NULL,
					   IsA(object, List) ? NameListToString((List *) object) :
					   IsA(object, String) ? strVal(object) : NULL, -1);
	}
}

static void
look_at_granted(TraitContext *context, GrantStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->objects)
	{
		Node	   *object = lfirst(cell);

		if (IsA(object, RangeVar))
			look_at_relation(context, (RangeVar *) object);
		else if (IsA(object, ObjectWithArgs))
			look_at_name(context, ((ObjectWithArgs *) object)->objname);
		else if (IsA(object, List))
			look_at_name(context, (List *) object);
		else
			add_origin(context,
					   stmt->objtype == OBJECT_SCHEMA ? strVal(object) : NULL,
					   NULL, IsA(object, String) ? strVal(object) : NULL, -1);
	}
}

/* NULL: it is about something else, or about several. */
static RangeVar *
relation_of_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterObjectSchemaStmt:
			return ((AlterObjectSchemaStmt *) statement)->relation;
		case T_AlterPolicyStmt:
			return ((AlterPolicyStmt *) statement)->table;
		case T_AlterSeqStmt:
			return ((AlterSeqStmt *) statement)->sequence;
		case T_AlterTableStmt:
			return ((AlterTableStmt *) statement)->relation;
		case T_CompositeTypeStmt:
			return ((CompositeTypeStmt *) statement)->typevar;
		case T_CreateForeignTableStmt:
			return ((CreateForeignTableStmt *) statement)->base.relation;
		case T_CreatePolicyStmt:
			return ((CreatePolicyStmt *) statement)->table;
		case T_CreateSeqStmt:
			return ((CreateSeqStmt *) statement)->sequence;
		case T_CreateStmt:
			return ((CreateStmt *) statement)->relation;
		case T_CreateTableAsStmt:
			return ((CreateTableAsStmt *) statement)->into->rel;
		case T_CreateTrigStmt:
			return ((CreateTrigStmt *) statement)->relation;
		case T_IndexStmt:
			return ((IndexStmt *) statement)->relation;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->relation;
		case T_RuleStmt:
			return ((RuleStmt *) statement)->relation;
		case T_ViewStmt:
			return ((ViewStmt *) statement)->view;
		default:
			return NULL;
	}
}

/* Of what is no relation: a list of String, or NIL. */
static List *
name_of_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterEnumStmt:
			return ((AlterEnumStmt *) statement)->typeName;
		case T_AlterFunctionStmt:
			return ((AlterFunctionStmt *) statement)->func->objname;
		case T_AlterDomainStmt:
			return ((AlterDomainStmt *) statement)->typeName;
		case T_AlterTypeStmt:
			return ((AlterTypeStmt *) statement)->typeName;
		case T_CreateDomainStmt:
			return ((CreateDomainStmt *) statement)->domainname;
		case T_CreateEnumStmt:
			return ((CreateEnumStmt *) statement)->typeName;
		case T_CreateFunctionStmt:
			return ((CreateFunctionStmt *) statement)->funcname;
		case T_CreateRangeStmt:
			return ((CreateRangeStmt *) statement)->typeName;
		case T_CreateStatsStmt:
			return ((CreateStatsStmt *) statement)->defnames;
		case T_DefineStmt:
			return ((DefineStmt *) statement)->defnames;
		default:
			return NIL;
	}
}

static bool
is_relation(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_INDEX ||
		type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
		type == OBJECT_SEQUENCE || type == OBJECT_FOREIGN_TABLE;
}

static void
look_at_relation(TraitContext *context, RangeVar *relation)
{
	Oid			relid = InvalidOid;
	Oid			namespace_oid;
	const char *nspname;

	if (relation->relpersistence == RELPERSISTENCE_TEMP)
		return;
	relid = RangeVarGetRelid(relation, NoLock, true);
	if (OidIsValid(relid) && has_shape_of_runner_ledger(relid))
		return;
	if (OidIsValid(relid))
		namespace_oid = get_rel_namespace(relid);
	else if (relation->schemaname != NULL)
		namespace_oid = LookupExplicitNamespace(relation->schemaname, true);
	else
		namespace_oid = first_of_search_path();
	if (OidIsValid(namespace_oid) ? isTempNamespace(namespace_oid) :
		relation->schemaname == NULL)
		return;
	nspname = OidIsValid(namespace_oid) ? get_namespace_name(namespace_oid) :
		relation->schemaname;
	add_origin(context, nspname, relation->relname,
			   quote_qualified_identifier(nspname, relation->relname),
			   relation->location);
}

/*
 * Where a relation is made that names no schema; InvalidOid for nowhere: that
 * PostgreSQL itself refuses, or does nothing, as for IF EXISTS.
 */
static Oid
first_of_search_path(void)
{
	List	   *path = fetch_search_path(false);
	Oid			result = path == NIL ? InvalidOid : linitial_oid(path);

	list_free(path);
	return result;
}

/* Where it is not said in which schema, it is not looked for. */
static void
look_at_name(TraitContext *context, List *name)
{
	char	   *nspname;
	char	   *object;

	DeconstructQualifiedName(name, &nspname, &object);
	add_origin(context, nspname, NULL, NameListToQuotedString(name), -1);
}

static void
add_origin(TraitContext *context, const char *nspname, const char *relname,
		   const char *shown, int location)
{
	const char *command =
	GetCommandTagName(CreateCommandTag(context->statement));
	Trait	   *trait;

	if (nspname != NULL && (strcmp(nspname, MIGRATE_SCHEMA) == 0 ||
							strcmp(nspname, "pg_catalog") == 0))
		return;
	context->relation = NULL;
	context->nspname = nspname;
	context->relname = relname;
	trait = add_trait(context, TRAIT_NO_MIGRATION, NULL, location,
					  "does not come from a migration");
	trait->object = shown == NULL ? pstrdup(command) :
		psprintf("%s %s", command, shown);
}

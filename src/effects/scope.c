/*-------------------------------------------------------------------------
 *
 * scope.c
 *	  Effects of statements that name no table, but a schema, a tablespace, or
 *	  the whole database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/tablespace.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"

/* Which relations a statement reaches; what is invalid or NIL matters not. */
typedef struct Scope
{
	Oid			schema;
	ObjectType	objtype;		/* of ALL IN TABLESPACE, 0 for tables */
	bool		by_tablespace;
	Oid			tablespace;		/* InvalidOid for the database's own */
	List	   *owners;			/* OIDs */
} Scope;

static List *relations_in(const Scope *scope);
static bool is_in_scope(Form_pg_class form, const Scope *scope);
static bool is_of_kind(char relkind, ObjectType objtype);

/*
 * ALTER TABLE, INDEX or MATERIALIZED VIEW ALL IN TABLESPACE ... SET TABLESPACE
 * copies every one there.
 */
void
describe_move_all(Node *statement, EffectContext *context)
{
	AlterTableMoveAllStmt *stmt = castNode(AlterTableMoveAllStmt, statement);
	Scope		scope = {InvalidOid, stmt->objtype, true};
	ListCell   *cell;

	scope.tablespace = get_tablespace_oid(stmt->orig_tablespacename, true);
	if (!OidIsValid(scope.tablespace) ||
		!OidIsValid(get_tablespace_oid(stmt->new_tablespacename, true)) ||
		scope.tablespace == get_tablespace_oid(stmt->new_tablespacename, true))
		return;
	context->nowait = stmt->nowait;
	if (scope.tablespace == MyDatabaseTableSpace)
		scope.tablespace = InvalidOid;
	foreach(cell, stmt->roles)
		scope.owners = lappend_oid(scope.owners,
								   get_rolespec_oid(lfirst(cell), true));
	foreach(cell, relations_in(&scope))
	{
		RelationFacts *facts;
		Effect	   *effect;

		if (!compat_owns_relation(lfirst_oid(cell), GetUserId()))
			continue;
		facts = relation_facts(lfirst_oid(cell), context);
		if (facts == NULL)
			continue;
		effect = add_effect(context, CAUSE_SET_STORAGE_OF_TABLE, facts,
							AccessExclusiveLock);
		if (RELKIND_HAS_STORAGE(facts->relkind))
			set_work(effect, WORK_REWRITE,
					 "every block is copied to the other tablespace");
	}
}

/* OIDs of the tables of a schema, or with InvalidOid of the whole database. */
List *
tables_of_schema(Oid schema)
{
	Scope		scope = {schema};

	return relations_in(&scope);
}

static List *
relations_in(const Scope *scope)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	List	   *relids = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (is_in_scope(form, scope))
			relids = lappend_oid(relids, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relids;
}

/* System catalogs and other sessions' temporary tables never are. */
static bool
is_in_scope(Form_pg_class form, const Scope *scope)
{
	if (IsCatalogNamespace(form->relnamespace) || form->relisshared ||
		IsToastNamespace(form->relnamespace) ||
		(isAnyTempNamespace(form->relnamespace) &&
		 (scope->by_tablespace || !isTempNamespace(form->relnamespace))))
		return false;
	if (OidIsValid(scope->schema) && form->relnamespace != scope->schema)
		return false;
	if (scope->by_tablespace && form->reltablespace != scope->tablespace)
		return false;
	if (scope->owners != NIL && !list_member_oid(scope->owners,
												 form->relowner))
		return false;
	return is_of_kind(form->relkind, scope->by_tablespace ? scope->objtype :
					  OBJECT_MATVIEW) ||
		(!scope->by_tablespace && form->relkind == RELKIND_RELATION);
}

static bool
is_of_kind(char relkind, ObjectType objtype)
{
	switch (objtype)
	{
		case OBJECT_TABLE:
			return relkind == RELKIND_RELATION ||
				relkind == RELKIND_PARTITIONED_TABLE;
		case OBJECT_INDEX:
			return relkind == RELKIND_INDEX ||
				relkind == RELKIND_PARTITIONED_INDEX;
		case OBJECT_MATVIEW:
			return relkind == RELKIND_MATVIEW;
		default:				/* the grammar knows these three */
			return false;
	}
}

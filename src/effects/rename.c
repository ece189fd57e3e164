/*-------------------------------------------------------------------------
 *
 * rename.c
 *	  Effects of RENAME and SET SCHEMA: instant, but what runs under the old
 *	  name fails.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void describe_rename_relation(RenameStmt *stmt, EffectContext *context);
static bool goes_down(RenameStmt *stmt, RelationFacts *relation);
static void describe_rename_attribute(RenameStmt *stmt, RelationFacts *type,
									  EffectContext *context);
static void describe_rename_other(RenameStmt *stmt, EffectContext *context);
static RelationFacts *largest_table(List *objects, EffectContext *context);
static bool is_relation_type(ObjectType type);
static bool is_unseen_by_clients(ObjectType type);

void
describe_rename(Node *statement, EffectContext *context)
{
	RenameStmt *stmt = castNode(RenameStmt, statement);

	if (stmt->relation != NULL)
		describe_rename_relation(stmt, context);
	else
		describe_rename_other(stmt, context);
}

/* A relation, or something of a relation: column, constraint, trigger ... */
static void
describe_rename_relation(RenameStmt *stmt, EffectContext *context)
{
	RelationFacts *relation;
	EffectCause cause = CAUSE_METADATA;
	LOCKMODE	lockmode = AccessExclusiveLock;
	Effect	   *effect;

	if (stmt->missing_ok && context->overlay != NULL &&
		overlay_find_relation(context->overlay, stmt->relation) == NULL &&
		!OidIsValid(RangeVarGetRelid(stmt->relation, NoLock, true)))
		return;
	relation = target_relation(stmt->relation, PERMISSION_OWNER, context);
	if (relation == NULL)
		return;

	/* ALTER TABLE ... RENAME is taken for an index or view as well */
	if (relation->relkind == RELKIND_INDEX ||
		relation->relkind == RELKIND_PARTITIONED_INDEX)
		lockmode = stmt->renameType == OBJECT_INDEX ?
			ShareUpdateExclusiveLock : AccessExclusiveLock;
	else if (stmt->renameType == OBJECT_COLUMN ||
			 stmt->renameType == OBJECT_ATTRIBUTE)
		cause = CAUSE_RENAME_COLUMN;
	else if (is_relation_type(stmt->renameType))
		cause = CAUSE_RENAME_TABLE;

	effect = add_effect(context, cause, relation, lockmode);
	effect->object = quoted_name(stmt->subname);
	if (goes_down(stmt, relation))
		effect->lockmode_below = lockmode;
	if (cause != CAUSE_METADATA)
		set_risk(effect, RISK_BREAKS_CLIENTS);
	if (stmt->renameType == OBJECT_ATTRIBUTE && OidIsValid(relation->relid) &&
		stmt->behavior == DROP_CASCADE)
		describe_rename_attribute(stmt, relation, context);
}

/* A column, an inherited constraint and a row trigger are renamed below. */
static bool
goes_down(RenameStmt *stmt, RelationFacts *relation)
{
	HeapTuple	tuple;
	Oid			constraint;
	bool		inherited = false;

	if (!OidIsValid(relation->relid))
		return false;
	switch (stmt->renameType)
	{
		case OBJECT_COLUMN:
			return stmt->relation->inh;
		case OBJECT_TRIGGER:
			return relation->relkind == RELKIND_PARTITIONED_TABLE;
		case OBJECT_TABCONSTRAINT:
			break;
		default:				/* the rest is of the relation alone */
			return false;
	}
	constraint = get_relation_constraint_oid(relation->relid, stmt->subname,
											 true);
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		inherited = (form->contype == CONSTRAINT_CHECK ||
					 form->contype == COMPAT_CONSTRAINT_NOTNULL) &&
			!form->connoinherit;
		ReleaseSysCache(tuple);
	}
	return inherited && stmt->relation->inh;
}

/* The tables made OF a composite type follow it. */
static void
describe_rename_attribute(RenameStmt *stmt, RelationFacts *type,
						  EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, tables_of_type(get_rel_type_id(type->relid)))
	{
		RelationFacts *facts = relation_facts(lfirst_oid(cell), context);
		Effect	   *effect;

		if (facts == NULL)
			continue;
		effect = add_effect(context, CAUSE_RENAME_COLUMN, facts,
							AccessExclusiveLock);
		effect->lockmode_below = AccessExclusiveLock;
		effect->object = quoted_name(stmt->subname);
		set_risk(effect, RISK_BREAKS_CLIENTS);
	}
}

static bool
is_relation_type(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_VIEW ||
		type == OBJECT_MATVIEW || type == OBJECT_FOREIGN_TABLE ||
		type == OBJECT_SEQUENCE;
}

/*
 * A schema, type, function ...: clients break if there are tables in it, or
 * columns of it, with data.
 */
static void
describe_rename_other(RenameStmt *stmt, EffectContext *context)
{
	ObjectAddress address;
	Node	   *name = stmt->object;
	Oid			relid;
	RelationFacts *largest;
	Effect	   *effect;

	if (is_unseen_by_clients(stmt->renameType))
		return;
	if (stmt->renameType == OBJECT_SCHEMA)
		name = (Node *) makeString(stmt->subname);
	else if (stmt->renameType != OBJECT_TYPE &&
			 stmt->renameType != OBJECT_DOMAIN &&
			 stmt->renameType != OBJECT_FUNCTION &&
			 stmt->renameType != OBJECT_PROCEDURE &&
			 stmt->renameType != OBJECT_ROUTINE)
		return;
	if (name == NULL)
		return;
	if (stmt->renameType == OBJECT_TYPE || stmt->renameType == OBJECT_DOMAIN)
		name = (Node *) makeTypeNameFromNameList(castNode(List, name));

	address = find_object(stmt->renameType, name, &relid);
	if (!OidIsValid(address.objectId))
		return;
	if (stmt->renameType == OBJECT_TYPE)
		add_lock_on(context, get_typ_typrelid(address.objectId),
					AccessExclusiveLock);
	largest = largest_table(dependent_objects(&address, SEARCH_USERS),
							context);
	if (largest == NULL)
		return;
	effect = add_effect(context, CAUSE_RENAME_OBJECT, largest, NoLock);
	effect->object = getObjectDescription(&address, true);
	set_risk(effect, RISK_BREAKS_CLIENTS);
}

/* One table stands for all, be there thousands in a schema. */
static RelationFacts *
largest_table(List *objects, EffectContext *context)
{
	RelationFacts *largest = NULL;
	ListCell   *cell;

	foreach(cell, objects)
	{
		const ObjectAddress *object = lfirst(cell);
		RelationFacts *facts;

		if (object->classId != RelationRelationId ||
			(get_rel_relkind(object->objectId) != RELKIND_RELATION &&
			 get_rel_relkind(object->objectId) != RELKIND_PARTITIONED_TABLE))
			continue;
		facts = relation_facts(object->objectId, context);
		if (facts == NULL)
			continue;
		measure_relation(facts);
		if (largest == NULL || facts->table_bytes > largest->table_bytes)
			largest = facts;
	}
	return largest;
}

static bool
is_unseen_by_clients(ObjectType type)
{
	return type == OBJECT_DATABASE || type == OBJECT_ROLE ||
		type == OBJECT_TABLESPACE || type == OBJECT_DOMCONSTRAINT;
}

/* ALTER ... SET SCHEMA */
void
describe_set_schema(Node *statement, EffectContext *context)
{
	AlterObjectSchemaStmt *stmt = castNode(AlterObjectSchemaStmt, statement);
	RelationFacts *relation;
	Effect	   *effect;

	if (stmt->relation == NULL)
		return;
	relation = target_relation(stmt->relation, PERMISSION_OWNER, context);
	if (relation == NULL)
		return;
	effect = add_effect(context, CAUSE_SET_SCHEMA, relation,
						AccessExclusiveLock);
	effect->object = quoted_name(stmt->newschema);
	set_risk(effect, RISK_BREAKS_CLIENTS);
	if (context->overlay == NULL)
		add_locks_on_sequences(context, relation->relid, AccessExclusiveLock);
}

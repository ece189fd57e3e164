/*-------------------------------------------------------------------------
 *
 * drop.c
 *	  Effects of DROP, DROP DATABASE and TRUNCATE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_shdepend.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static void describe_drop_table(DropStmt *stmt, RangeVar *name,
								EffectContext *context);
static void describe_drop_object(DropStmt *stmt, Node *name,
								 EffectContext *context);
static List *describe_truncate_cascade(List *relids, EffectContext *context);
static void add_cascade_victims(const ObjectAddress *root, bool cascade,
								EffectContext *context);
static void add_cascade_victim(const ObjectAddress *object,
							   EffectContext *context);
static bool is_drop_of_relation(ObjectType type);
static bool is_of_type(char relkind, ObjectType type);

/* DROP of anything that DropStmt covers. */
void
describe_drop(Node *statement, EffectContext *context)
{
	DropStmt   *stmt = castNode(DropStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->objects)
	{
		if (stmt->removeType == OBJECT_INDEX)
			describe_drop_index(makeRangeVarFromNameList(lfirst(cell)),
								stmt->concurrent,
								stmt->behavior == DROP_CASCADE, context);
		else if (is_drop_of_relation(stmt->removeType))
			describe_drop_table(stmt, makeRangeVarFromNameList(lfirst(cell)),
								context);
		else
			describe_drop_object(stmt, lfirst(cell), context);
	}
}

static bool
is_drop_of_relation(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_FOREIGN_TABLE ||
		type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
		type == OBJECT_SEQUENCE;
}

static bool
is_of_type(char relkind, ObjectType type)
{
	switch (relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return type == OBJECT_TABLE;
		case RELKIND_VIEW:
			return type == OBJECT_VIEW;
		case RELKIND_MATVIEW:
			return type == OBJECT_MATVIEW;
		case RELKIND_SEQUENCE:
			return type == OBJECT_SEQUENCE;
		case RELKIND_FOREIGN_TABLE:
			return type == OBJECT_FOREIGN_TABLE;
		default:
			return false;
	}
}

/* DROP TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE, FOREIGN TABLE */
static void
describe_drop_table(DropStmt *stmt, RangeVar *name, EffectContext *context)
{
	RelationFacts *relation;
	Effect	   *effect;
	ObjectAddress root;

	if (stmt->missing_ok && context->overlay != NULL &&
		overlay_find_relation(context->overlay, name) == NULL &&
		!OidIsValid(RangeVarGetRelid(name, NoLock, true)))
		return;
	relation = target_relation(name, PERMISSION_DROP, context);
	if (relation == NULL || !is_of_type(relation->relkind, stmt->removeType))
		return;
	effect = add_effect(context, stmt->removeType == OBJECT_TABLE ?
						CAUSE_DROP_TABLE : CAUSE_DROP_OBJECT, relation,
						AccessExclusiveLock);
	if (!OidIsValid(relation->relid))
		return;

	/* a view has no data; a foreign table's data stays where it is */
	if (stmt->removeType == OBJECT_TABLE)
		set_risk(effect, RISK_LOSES_DATA);
	else
		set_risk(effect, RISK_BREAKS_CLIENTS);
	ObjectAddressSet(root, RelationRelationId, relation->relid);
	if (stmt->behavior == DROP_CASCADE)
		add_cascade_victims(&root, true, context);
	add_deletion(&root, stmt->behavior == DROP_CASCADE, context);
}

/* DROP of a schema, type, function, extension ... */
static void
describe_drop_object(DropStmt *stmt, Node *name, EffectContext *context)
{
	ObjectAddress address;
	Oid			relid;
	Effect	   *effect;

	address = find_object(stmt->removeType, name, &relid);
	if (!OidIsValid(address.objectId))
		return;
	effect = add_effect(context, CAUSE_DROP_OBJECT, NULL, NoLock);
	effect->object = getObjectDescription(&address, true);
	set_risk(effect, RISK_BREAKS_CLIENTS);
	add_cascade_victims(&address, stmt->behavior == DROP_CASCADE, context);
	add_deletion(&address, stmt->behavior == DROP_CASCADE, context);
}

/*
 * The object that a statement names, with an invalid OID if there is none.
 * *relid is that of the relation which it belongs to, or InvalidOid.
 */
ObjectAddress
find_object(ObjectType type, Node *name, Oid *relid)
{
	Relation	rel = NULL;
	ObjectAddress address = get_object_address(type, copyObject(name), &rel,
											   AccessShareLock, true);

	*relid = InvalidOid;
	if (rel != NULL)
	{
		*relid = RelationGetRelid(rel);
		relation_close(rel, AccessShareLock);
	}
	if (!OidIsValid(address.objectId) ||
		address.classId == RelationRelationId)
		return address;

	/* a lock held into the statement would be upgraded there */
	if (IsSharedRelation(address.classId))
		UnlockSharedObject(address.classId, address.objectId, 0,
						   AccessShareLock);
	else
		UnlockDatabaseObject(address.classId, address.objectId, 0,
							 AccessShareLock);
	return address;
}

/* Dropping an object that the statement does not name. */
void
describe_deletion(const ObjectAddress *object, bool cascade,
				  EffectContext *context)
{
	if (object->classId == RelationRelationId)
		add_cascade_victim(object, context);
	add_cascade_victims(object, cascade, context);
	add_deletion(object, cascade, context);
}

/* Tables and columns that a DROP takes along. */
static void
add_cascade_victims(const ObjectAddress *root, bool cascade,
					EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, dependent_objects(root, cascade ? SEARCH_CASCADE :
									SEARCH_PARTS))
	{
		const ObjectAddress *object = lfirst(cell);

		if (object->classId == RelationRelationId &&
			object->objectId != root->objectId)
			add_cascade_victim(object, context);
	}
}

static void
add_cascade_victim(const ObjectAddress *object, EffectContext *context)
{
	RelationFacts *facts;
	Effect	   *effect;
	char		relkind = get_rel_relkind(object->objectId);

	/* indexes, TOAST and sequences go with their table */
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_MATVIEW && relkind != RELKIND_VIEW)
		return;
	facts = relation_facts(object->objectId, context);
	if (facts == NULL)
		return;
	/* a view has no rows of its own; a filled materialized one is missed */
	effect = add_effect(context, relkind == RELKIND_VIEW ||
						relkind == RELKIND_MATVIEW ? CAUSE_DROP_OBJECT :
						CAUSE_DROP_CASCADE, facts, AccessExclusiveLock);
	if (object->objectSubId > 0)
	{
		char	   *column = get_attname(object->objectId, object->objectSubId,
										 true);

		if (column != NULL)
			effect->object = psprintf("to column %s", quoted_name(column));
	}
	set_risk(effect, relkind == RELKIND_RELATION ||
			 relkind == RELKIND_PARTITIONED_TABLE ? RISK_LOSES_DATA :
			 RISK_BREAKS_CLIENTS);
}

/* DROP DATABASE: nothing in it can be looked at from here. */
void
describe_drop_database(Node *statement, EffectContext *context)
{
	DropdbStmt *stmt = castNode(DropdbStmt, statement);
	Effect	   *effect = add_effect(context, CAUSE_DROP_DATABASE, NULL,
									AccessExclusiveLock);

	effect->object = quoted_name(stmt->dbname);
	set_risk(effect, RISK_LOSES_DATA);
	add_irreversible(context, NULL,
					 psprintf("database %s", quoted_name(stmt->dbname)));
}

/* TRUNCATE, and with CASCADE the tables that refer to it. */
void
describe_truncate(Node *statement, EffectContext *context)
{
	TruncateStmt *stmt = castNode(TruncateStmt, statement);
	List	   *relids = NIL;
	ListCell   *cell;

	foreach(cell, stmt->relations)
	{
		RelationFacts *facts = target_relation(lfirst_node(RangeVar, cell),
											   PERMISSION_TRUNCATE, context);
		Effect	   *effect;

		if (facts == NULL)
			continue;
		effect = add_effect(context, CAUSE_TRUNCATE, facts,
							AccessExclusiveLock);
		effect->alone = !lfirst_node(RangeVar, cell)->inh;
		if (!effect->alone)
			effect->lockmode_below = AccessExclusiveLock;
		effect->truncates = true;
		set_risk(effect, RISK_LOSES_DATA);
		if (facts->relkind == RELKIND_FOREIGN_TABLE)
			add_irreversible(context, facts,
							 psprintf("rows of %s, which are on another server",
									  facts->name));
		if (!OidIsValid(facts->relid))
			continue;
		relids = list_concat_unique_oid(relids, !effect->alone ?
										find_all_inheritors(facts->relid,
															NoLock, NULL) :
										list_make1_oid(facts->relid));
	}
	if (stmt->behavior == DROP_CASCADE)
		relids = describe_truncate_cascade(relids, context);
	if (stmt->restart_seqs)
		foreach(cell, relids)
			add_locks_on_sequences(context, lfirst_oid(cell),
								   AccessExclusiveLock);
}

/* Returns the tables with those that CASCADE adds. */
static List *
describe_truncate_cascade(List *relids, EffectContext *context)
{
	ListCell   *cell;

	/* relids grows while new referencing tables turn up */
	for (;;)
	{
		List	   *referencing = heap_truncate_find_FKs(relids);

		if (referencing == NIL)
			return relids;
		foreach(cell, referencing)
		{
			RelationFacts *facts = relation_facts(lfirst_oid(cell), context);
			Effect	   *effect;

			relids = lappend_oid(relids, lfirst_oid(cell));
			if (facts == NULL)
				continue;
			effect = add_effect(context, CAUSE_DROP_CASCADE, facts,
								AccessExclusiveLock);
			effect->truncates = true;
			set_risk(effect, RISK_LOSES_DATA);
		}
	}
}

/* The sequences of a table's serial and identity columns. */
void
add_locks_on_sequences(EffectContext *context, Oid relid, LOCKMODE lockmode)
{
	ListCell   *cell;

	if (!OidIsValid(relid))
		return;
	foreach(cell, getOwnedSequences(relid))
		add_lock_on(context, lfirst_oid(cell), lockmode);
}

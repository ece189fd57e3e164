/*-------------------------------------------------------------------------
 *
 * dual_write_dependencies.c
 *	  What a trigger with migrate.dual_write() cannot do without.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "online/dual_write.h"
#include "online/dual_write_rule.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

static Oid	relation_of_trigger(Oid trigger_oid);
static Trigger *find_trigger(TriggerDesc *triggers, Oid trigger_oid);
static void depend_on_columns(const ObjectAddress *trigger, Oid relid,
							  const RuleColumns *columns);
static void depend_on_expressions(const ObjectAddress *trigger, Oid relid,
								  List *expressions);

/*
 * See dual_write.h.
 */
void
record_dual_write_dependencies(Oid trigger_oid)
{
	Relation	rel = table_open(relation_of_trigger(trigger_oid),
								 AccessShareLock);
	Oid			relid = RelationGetRelid(rel);
	DualWriteRule *rule;
	ObjectAddress trigger;

	/* a copy, since that of the relation may be renewed */
	rule = find_dual_write_rule(rel,
								find_trigger(CopyTriggerDesc(rel->trigdesc),
											 trigger_oid));
	ObjectAddressSet(trigger, TriggerRelationId, trigger_oid);
	depend_on_columns(&trigger, relid, &rule->old_side);
	depend_on_columns(&trigger, relid, &rule->new_side);
	depend_on_expressions(&trigger, relid, rule->ups);
	depend_on_expressions(&trigger, relid, rule->downs);
	table_close(rel, NoLock);
}

static Oid
relation_of_trigger(Oid trigger_oid)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	Oid			relid = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger_oid));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);

	if (!OidIsValid(relid))
		elog(ERROR, "could not find trigger %u", trigger_oid);
	return relid;
}

static Trigger *
find_trigger(TriggerDesc *triggers, Oid trigger_oid)
{
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (triggers->triggers[i].tgoid == trigger_oid)
			return &triggers->triggers[i];
	elog(ERROR, "could not find trigger %u", trigger_oid);
	return NULL;				/* keep compiler quiet */
}

static void
depend_on_columns(const ObjectAddress *trigger, Oid relid,
				  const RuleColumns *columns)
{
	for (int i = 0; i < columns->count; i++)
	{
		ObjectAddress column;

		ObjectAddressSubSet(column, RelationRelationId, relid,
							columns->columns[i].attnum);
		recordDependencyOn(trigger, &column, DEPENDENCY_NORMAL);
	}
}

static void
depend_on_expressions(const ObjectAddress *trigger, Oid relid,
					  List *expressions)
{
	ListCell   *cell;

	foreach(cell, expressions)
		recordDependencyOnSingleRelExpr(trigger, lfirst(cell), relid,
										DEPENDENCY_NORMAL, DEPENDENCY_NORMAL,
										false);
}

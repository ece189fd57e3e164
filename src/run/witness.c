/*-------------------------------------------------------------------------
 *
 * witness.c
 *	  What the table of a task looked like when the task was last at it.
 *
 * Each line is a fact about the catalog.  Somebody may have added columns,
 * constraints or indexes since: only what was there has to be there still.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "run/made.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* One line about a row of a catalog, or NULL. */
typedef char *(*FactOfRow) (HeapTuple tuple);

static bool is_of_other_task(const Task *task, const char *fact);
static bool object_of_fact(const char *fact, Oid relid, Oid *classid, Oid *objid,
						   int *subid);
static List *facts_of(Oid catalog, Oid index, AttrNumber key, Oid relid,
					  FactOfRow fact, List *facts);
static char *column_fact(HeapTuple tuple);
static char *not_null_fact(HeapTuple tuple);
static char *constraint_fact(HeapTuple tuple);
static char *index_fact(HeapTuple tuple);
static char *child_fact(HeapTuple tuple);

/*
 * See made.h.
 */
List *
take_witness(const Task *task)
{
	List	   *facts = NIL;
	Oid			relid = task->relid;
	ListCell   *cell;

	if (OidIsValid(relid))
	{
		facts = lappend(facts, psprintf("table %u %s", relid,
										relation_display_name(relid)));
		facts = facts_of(AttributeRelationId, AttributeRelidNumIndexId,
						 Anum_pg_attribute_attrelid, relid, column_fact,
						 facts);
		facts = facts_of(AttributeRelationId, AttributeRelidNumIndexId,
						 Anum_pg_attribute_attrelid, relid, not_null_fact,
						 facts);
		facts = facts_of(ConstraintRelationId, ConstraintRelidTypidNameIndexId,
						 Anum_pg_constraint_conrelid, relid, constraint_fact,
						 facts);
		facts = facts_of(IndexRelationId, IndexIndrelidIndexId,
						 Anum_pg_index_indrelid, relid, index_fact, facts);

		/* partitions may come and go while a change is under way */
		if (strcmp(task->rule, RULE_OF_CHANGES) != 0)
			facts = facts_of(InheritsRelationId, InheritsParentIndexId,
							 Anum_pg_inherits_inhparent, relid, child_fact,
							 facts);
	}

	/* of the indexes, which may be thousands, the numbers are enough */
	foreach(cell, relations_made(task))
	{
		Oid			made = lfirst_oid(cell);
		char		relkind = get_rel_relkind(made);

		if (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE)
			facts = lappend(facts, psprintf("made %u %s%s", made,
											relation_display_name(made),
											get_rel_relispartition(made) ?
											" partition" : ""));
	}
	return facts;
}

/*
 * See made.h.
 */
bool
witness_holds(const Task *task)
{
	List	   *now = take_witness(task);
	ListCell   *cell;

	foreach(cell, task->witness)
	{
		const char *fact = lfirst(cell);

		if (!name_is_listed(now, fact) && !is_of_other_task(task, fact))
			return false;
	}
	return true;
}

/*
 * See made.h.
 */
void
note_lost(Task *task, const List *witness)
{
	List	   *now = take_witness(task);
	ListCell   *cell;

	foreach(cell, witness)
	{
		Oid			classid;
		Oid			objid;
		int			subid;

		if (!name_is_listed(now, lfirst(cell)) &&
			object_of_fact(lfirst(cell), task->relid, &classid, &objid,
						   &subid))
			add_made(task, classid, objid, subid);
	}
}

/*
 * Tasks of a table run one after another: what was seen of one that was not
 * finished, the CHECK that proves a column NOT NULL for instance, is gone when
 * it is.
 */
static bool
is_of_other_task(const Task *task, const char *fact)
{
	Oid			classid;
	Oid			objid;
	int			subid;

	return object_of_fact(fact, task->relid, &classid, &objid, &subid) &&
		is_among_made(task_made_by_others(task), classid, objid, subid);
}

/* The object that a fact is about, or the column: false if it is another one. */
static bool
object_of_fact(const char *fact, Oid relid, Oid *classid, Oid *objid,
			   int *subid)
{
	*classid = RelationRelationId;
	*objid = relid;
	*subid = 0;
	if (sscanf(fact, "column %d", subid) == 1 ||
		sscanf(fact, "not null %d", subid) == 1 ||
		sscanf(fact, "index %u", objid) == 1)
		return true;
	*classid = ConstraintRelationId;
	return sscanf(fact, "constraint %u", objid) == 1;
}

/* Add a line for each row of a catalog that is about the relation. */
static List *
facts_of(Oid catalog, Oid index, AttrNumber key, Oid relid, FactOfRow fact,
		 List *facts)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&scan_key, key, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, index, true, NULL, 1, &scan_key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		char	   *line = fact(tuple);

		if (line != NULL)
			facts = lappend(facts, line);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return facts;
}

/* A type may change, for what is made of a column changes with it. */
static char *
column_fact(HeapTuple tuple)
{
	Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tuple);

	if (form->attnum <= 0 || form->attisdropped)
		return NULL;
	return psprintf("column %d %s", form->attnum, NameStr(form->attname));
}

/* A fact of its own: that it is added later does no harm. */
static char *
not_null_fact(HeapTuple tuple)
{
	Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tuple);

	if (form->attnum <= 0 || form->attisdropped || !form->attnotnull)
		return NULL;
	return psprintf("not null %d", form->attnum);
}

static char *
constraint_fact(HeapTuple tuple)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

	return psprintf("constraint %u %s", form->oid, NameStr(form->conname));
}

static char *
index_fact(HeapTuple tuple)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

	return psprintf("index %u %s", form->indexrelid,
					get_rel_name(form->indexrelid));
}

static char *
child_fact(HeapTuple tuple)
{
	return psprintf("child %u", ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid);
}

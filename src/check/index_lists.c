/*-------------------------------------------------------------------------
 *
 * index_lists.c
 *	  Indexes that are missing, and those that are needless, of a whole
 *	  database.
 *
 * Read from the catalog alone, so that nobody waits for us or we for them.
 * They show what the catalogs show to everybody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "effects/index_shape.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

typedef void (*RowFunction) (ReturnSetInfo *result, HeapTuple tuple,
							 TupleDesc descriptor);

PG_FUNCTION_INFO_V1(migrate_missing_index_list);
PG_FUNCTION_INFO_V1(migrate_duplicate_index_list);

static void for_each_row(Oid catalog, ReturnSetInfo *result,
						 RowFunction function);
static void put_missing_index(ReturnSetInfo *result, HeapTuple tuple,
							  TupleDesc descriptor);
static List *referencing_columns(HeapTuple tuple, TupleDesc descriptor,
								 Oid relid);
static bool columns_have_index(Oid relid, List *names);
static Datum array_of_names(List *names);
static char *quoted_list(List *names);
static void put_duplicate_indexes(ReturnSetInfo *result, HeapTuple tuple,
								  TupleDesc descriptor);
static bool may_be_needless(const IndexShape *shape);
static void put_duplicate_index(ReturnSetInfo *result, Oid relid,
								const IndexShape *shape,
								const IndexShape *other);
static int64 bytes_of_relation(Oid relid);

/* migrate.missing_index_list(): see indexes.sql. */
Datum
migrate_missing_index_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for_each_row(ConstraintRelationId, (ReturnSetInfo *) fcinfo->resultinfo,
				 put_missing_index);
	return (Datum) 0;
}

/* migrate.duplicate_index_list(): see indexes.sql. */
Datum
migrate_duplicate_index_list(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for_each_row(RelationRelationId, (ReturnSetInfo *) fcinfo->resultinfo,
				 put_duplicate_indexes);
	return (Datum) 0;
}

/* Call a function for each row of a catalog, in a context of its own. */
static void
for_each_row(Oid catalog, ReturnSetInfo *result, RowFunction function)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "safe_migrate row",
												  ALLOCSET_DEFAULT_SIZES);
	Relation	rel = table_open(catalog, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		function(result, tuple, RelationGetDescr(rel));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	MemoryContextDelete(context);
}

/* Of a partitioned table only its own constraint, not those of partitions. */
static void
put_missing_index(ReturnSetInfo *result, HeapTuple tuple, TupleDesc descriptor)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	Datum		values[6];
	bool		nulls[6] = {0};
	List	   *names;
	char	   *table;

	if (form->contype != CONSTRAINT_FOREIGN || OidIsValid(form->conparentid) ||
		isAnyTempNamespace(form->connamespace))
		return;
	names = referencing_columns(tuple, descriptor, form->conrelid);
	if (names == NIL || columns_have_index(form->conrelid, names))
		return;
	table = relation_display_name(form->conrelid);
	values[0] = CStringGetTextDatum(table);
	values[1] = CStringGetTextDatum(NameStr(form->conname));
	values[2] = array_of_names(names);
	values[3] = CStringGetTextDatum(relation_display_name(form->confrelid));
	values[4] = Int64GetDatum(bytes_of_relation(form->conrelid));
	values[5] = CStringGetTextDatum(psprintf("CREATE INDEX CONCURRENTLY ON %s (%s);",
											 table, quoted_list(names)));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* NIL when the table is just being dropped. */
static List *
referencing_columns(HeapTuple tuple, TupleDesc descriptor, Oid relid)
{
	List	   *names = NIL;
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_pg_constraint_conkey,
									 descriptor, &isnull);
	ArrayType  *array;

	if (isnull)
		return NIL;
	array = DatumGetArrayTypeP(datum);
	for (int i = 0; i < ARR_DIMS(array)[0]; i++)
	{
		char	   *name = get_attname(relid,
									   ((int16 *) ARR_DATA_PTR(array))[i],
									   true);

		if (name == NULL)
			return NIL;
		names = lappend(names, name);
	}
	return names;
}

static bool
columns_have_index(Oid relid, List *names)
{
	ListCell   *cell;

	foreach(cell, index_shapes(relid))
	{
		if (index_serves_columns(lfirst(cell), relid, names))
			return true;
	}
	return false;
}

static Datum
array_of_names(List *names)
{
	Datum	   *elements = palloc(list_length(names) * sizeof(Datum));
	ListCell   *cell;

	foreach(cell, names)
		elements[foreach_current_index(cell)] =
		CStringGetTextDatum((char *) lfirst(cell));
	return PointerGetDatum(construct_array(elements, list_length(names),
										   TEXTOID, -1, false, TYPALIGN_INT));
}

static char *
quoted_list(List *names)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, names)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(lfirst(cell)));
	return list.data;
}

/* Each index of a table that another one makes needless, with that one. */
static void
put_duplicate_indexes(ReturnSetInfo *result, HeapTuple tuple,
					  TupleDesc descriptor)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
	List	   *shapes;
	ListCell   *cell;
	ListCell   *inner;

	if (!form->relhasindex || form->oid < FirstNormalObjectId ||
		form->relpersistence == RELPERSISTENCE_TEMP ||
		form->relkind == RELKIND_TOASTVALUE)
		return;
	shapes = index_shapes(form->oid);
	foreach(cell, shapes)
	{
		const IndexShape *shape = lfirst(cell);

		if (!may_be_needless(shape))
			continue;
		foreach(inner, shapes)
		{
			const IndexShape *other = lfirst(inner);

			if (shape == other || !index_is_covered(shape, other))
				continue;
			/* of two that do the same, the younger one */
			if (shape->index < other->index && may_be_needless(other) &&
				index_is_covered(other, shape))
				continue;
			put_duplicate_index(result, form->oid, shape, other);
			break;
		}
	}
}

static bool
may_be_needless(const IndexShape *shape)
{
	return shape->is_valid && !shape->is_needed && !shape->is_exclusion &&
		!get_rel_relispartition(shape->index);
}

static void
put_duplicate_index(ReturnSetInfo *result, Oid relid, const IndexShape *shape,
					const IndexShape *other)
{
	Datum		values[6];
	bool		nulls[6] = {0};
	char	   *index = relation_display_name(shape->index);

	values[0] = CStringGetTextDatum(relation_display_name(relid));
	values[1] = CStringGetTextDatum(index);
	values[2] = CStringGetTextDatum(relation_display_name(other->index));
	values[3] = CStringGetTextDatum(index_keys_in_words(shape, relid));
	values[4] = Int64GetDatum(bytes_of_relation(shape->index));
	values[5] = CStringGetTextDatum(psprintf("DROP INDEX CONCURRENTLY %s;",
											 index));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* As VACUUM and ANALYZE have seen it: to ask the file takes a lock. */
static int64
bytes_of_relation(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int64		bytes = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	bytes = (int64) ((Form_pg_class) GETSTRUCT(tuple))->relpages * BLCKSZ;
	ReleaseSysCache(tuple);
	return bytes;
}

/*-------------------------------------------------------------------------
 *
 * silence.c
 *	  Keeping users' triggers and rules from what a rollback writes.
 *
 * They would run with the rights of the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "restore/silence.h"
#include "restore/storage.h"
#include "utils/inval.h"
#include "utils/rel.h"

/* A row of pg_trigger or pg_rewrite, and when it fires. */
typedef struct Silenced
{
	Oid			catalog;
	Oid			relid;
	HeapTuple	row;			/* as it is now */
	AttrNumber	column;
	char		fires;
} Silenced;

static List *silence_rows(List *silenced, Oid catalog, HTAB *relations);
static bool read_row(Silenced *found, HeapTuple row);
static bool is_written(HTAB *relations, Oid relid);
static void set_fires(Relation rel, Silenced *silenced, char fires);

/*
 * See silence.h.
 */
List *
silence_tables(HTAB *relations)
{
	List	   *silenced = silence_rows(NIL, TriggerRelationId, relations);

	silenced = silence_rows(silenced, RewriteRelationId, relations);
	CommandCounterIncrement();
	return silenced;
}

static List *
silence_rows(List *silenced, Oid catalog, HTAB *relations)
{
	Relation	rel = table_open(catalog, RowExclusiveLock);
	List	   *rows = NIL;
	SysScanDesc scan;
	HeapTuple	row;
	ListCell   *cell;

	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Silenced	found = {catalog};

		if (!read_row(&found, row) || !is_written(relations, found.relid))
			continue;
		found.row = heap_copytuple(row);
		rows = lappend(rows, memcpy(palloc(sizeof(Silenced)), &found,
									sizeof(Silenced)));
	}
	systable_endscan(scan);
	foreach(cell, rows)
		set_fires(rel, lfirst(cell), TRIGGER_DISABLED);
	table_close(rel, RowExclusiveLock);
	return list_concat(silenced, rows);
}

/*
 * False if it does not fire anyway, or carries the values of dropped columns.
 * That of an online change would make a row anew that comes back as it was.
 * Rules have the same letters.
 */
static bool
read_row(Silenced *found, HeapTuple row)
{
	if (found->catalog == TriggerRelationId)
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(row);

		if (form->tgisinternal)
			return false;
		found->relid = form->tgrelid;
		found->column = Anum_pg_trigger_tgenabled;
		found->fires = form->tgenabled;
	}
	else
	{
		Form_pg_rewrite form = (Form_pg_rewrite) GETSTRUCT(row);

		found->relid = form->ev_class;
		found->column = Anum_pg_rewrite_ev_enabled;
		found->fires = form->ev_enabled;
	}
	return found->fires == TRIGGER_FIRES_ALWAYS ||
		found->fires == TRIGGER_FIRES_ON_REPLICA;
}

static bool
is_written(HTAB *relations, Oid relid)
{
	RestoredRelation *relation = find_restored_relation(relations, relid);

	return relation != NULL && relation->is != NULL &&
		(relation->changed || relation->choice == STORAGE_PARKED);
}

/*
 * See silence.h.
 */
void
end_silence(List *silenced)
{
	ListCell   *cell;

	foreach(cell, silenced)
	{
		Silenced   *one = lfirst(cell);
		Relation	rel = table_open(one->catalog, RowExclusiveLock);

		set_fires(rel, one, one->fires);
		table_close(rel, RowExclusiveLock);
	}
	CommandCounterIncrement();
}

static void
set_fires(Relation rel, Silenced *silenced, char fires)
{
	TupleDesc	columns = RelationGetDescr(rel);
	Datum	   *values = palloc0(columns->natts * sizeof(Datum));
	bool	   *nulls = palloc0(columns->natts * sizeof(bool));
	bool	   *replaces = palloc0(columns->natts * sizeof(bool));

	values[silenced->column - 1] = CharGetDatum(fires);
	replaces[silenced->column - 1] = true;
	silenced->row = heap_modify_tuple(silenced->row, columns, values, nulls,
									  replaces);
	CatalogTupleUpdate(rel, &silenced->row->t_self, silenced->row);
	CacheInvalidateRelcacheByRelid(silenced->relid);
}

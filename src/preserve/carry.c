/*-------------------------------------------------------------------------
 *
 * carry.c
 *	  Keeping the values of dropped columns in rows that are updated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "preserve/carry.h"
#include "preserve/carry_trigger.h"
#include "preserve/catalog_image.h"
#include "preserve/park.h"
#include "preserve/point.h"
#include "preserve/transaction_start.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define CARRY_FUNCTION	"carry_dropped_columns"

/* The last of all in the order of names, for most names. */
#define CARRY_TRIGGER	"~~~~safe_migrate_carry"

/* A column of a table, as a key. */
typedef struct ColumnKey
{
	Oid			relid;
	int32		attnum;
} ColumnKey;

/* A column that is dropped. */
typedef struct DroppedColumn
{
	ColumnKey	key;
	HeapTuple	row;			/* of pg_attribute, as it was; or NULL */
	bool		is_known;		/* to a restore point */
} DroppedColumn;

/* A table with such columns. */
typedef struct CarriedTable
{
	Oid			relid;			/* key */
	bool		is_known;		/* one of the columns is */
	List	   *columns;		/* of DroppedColumn */
} CarriedTable;

/* A trigger of ours. */
typedef struct CarryTrigger
{
	Oid			oid;
	Oid			relid;
	List	   *arguments;		/* of String */
} CarryTrigger;

static HTAB *make_columns(void);
static void find_dropped(HTAB *columns, Snapshot before);
static HeapTuple live_attribute(Relation pg_attribute, Oid relid,
								AttrNumber attnum, Snapshot snapshot);
static bool keeps_its_file(Oid relid, Snapshot before);
static void mark_known_columns(HTAB *columns, List *points);
static bool mark_columns_of_point(HTAB *columns, int64 point);
static HTAB *tables_of(HTAB *columns);
static void add_trigger(const CarriedTable *table);
static List *missing_arguments(const CarriedTable *table);
static Oid	carry_function(void);
static List *carry_triggers(Oid relid, Snapshot snapshot);
static List *trigger_arguments(HeapTuple row, Relation pg_trigger);
static void make_trigger(Oid relid, List *arguments);
static void remove_trigger(CarryTrigger *trigger);
static void find_carried(HTAB *columns, List *triggers);

/*
 * See carry.h.
 */
void
add_carry_triggers(void)
{
	OwnAccess	access;
	Snapshot	before;
	HTAB	   *columns;
	HASH_SEQ_STATUS status;
	CarriedTable *table;

	begin_own_access(&access);
	before = register_snapshot_before();
	columns = make_columns();
	find_dropped(columns, before);
	UnregisterSnapshot(before);
	if (hash_get_num_entries(columns) > 0)
	{
		mark_known_columns(columns,
						   all_files_are_wanted() ? NIL : full_points());
		hash_seq_init(&status, tables_of(columns));
		while ((table = hash_seq_search(&status)) != NULL)
		{
			if (table->is_known)
				add_trigger(table);
		}
	}
	end_own_access(&access);
}

/*
 * See carry.h.  The invalidations of the transaction tell, which are there
 * whatever is counted: the cache by number has one for each row that was made,
 * deleted or updated, and that by name a second one for an update which gives
 * the column another name, as DROP COLUMN does.
 */
bool
columns_were_dropped(void)
{
	SharedInvalidationMessage *messages;
	bool		of_init_file;
	int			count = xactGetCommittedInvalidationMessages(&messages,
															 &of_init_file);
	int			renamed = 0;

	for (int i = 0; i < count; i++)
	{
		if (messages[i].id == ATTNAME)
			renamed++;
		else if (messages[i].id == ATTNUM)
			renamed--;
	}
	if (messages != NULL)
		pfree(messages);
	return renamed > 0;
}

static HTAB *
make_columns(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(ColumnKey);
	control.entrysize = sizeof(DroppedColumn);
	control.hcxt = CurrentMemoryContext;
	return hash_create("safe_migrate dropped columns", 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Those of this transaction, in tables whose rows still have their values. */
static void
find_dropped(HTAB *columns, Snapshot before)
{
	Relation	pg_attribute = table_open(AttributeRelationId, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = compat_beginscan(pg_attribute, snapshot);
	HeapTuple	row;

	while ((row = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_attribute attribute = (Form_pg_attribute) GETSTRUCT(row);
		ColumnKey	key = {attribute->attrelid, attribute->attnum};
		DroppedColumn *column;
		HeapTuple	old;

		if (!attribute->attisdropped ||
			!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(row->t_data)))
			continue;
		old = live_attribute(pg_attribute, key.relid, attribute->attnum, before);
		if (old == NULL ||
			compat_attribute_is_virtual(((Form_pg_attribute) GETSTRUCT(old))->attgenerated) ||
			!keeps_its_file(key.relid, before))
			continue;
		column = hash_search(columns, &key, HASH_ENTER, NULL);
		column->row = old;
		column->is_known = all_files_are_wanted();
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(pg_attribute, AccessShareLock);
}

/* A copy of the row of a column that is not dropped; NULL if there is none. */
static HeapTuple
live_attribute(Relation pg_attribute, Oid relid, AttrNumber attnum,
			   Snapshot snapshot)
{
	List	   *rows = fetch_catalog_rows(pg_attribute,
										  AttributeRelidNumIndexId,
										  Anum_pg_attribute_attrelid, relid,
										  snapshot);
	ListCell   *cell;

	foreach(cell, rows)
	{
		Form_pg_attribute attribute =
		(Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));

		if (attribute->attnum == attnum)
			return attribute->attisdropped ? NULL : lfirst(cell);
	}
	return NULL;
}

/* One whose file was replaced as well has the values in the old one, parked. */
static bool
keeps_its_file(Oid relid, Snapshot before)
{
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	HeapTuple	old_row = fetch_catalog_row(pg_class, ClassOidIndexId,
											Anum_pg_class_oid, relid, before);
	HeapTuple	row = fetch_catalog_row(pg_class, ClassOidIndexId,
										Anum_pg_class_oid, relid, NULL);
	bool		result = false;

	if (old_row != NULL && row != NULL)
	{
		Form_pg_class old = (Form_pg_class) GETSTRUCT(old_row);
		Form_pg_class form = (Form_pg_class) GETSTRUCT(row);

		result = form->relkind == RELKIND_RELATION &&
			form->relpersistence != RELPERSISTENCE_TEMP &&
			form->relnamespace != get_namespace_oid(MIGRATE_SCHEMA, false) &&
			form->relfilenode == old->relfilenode &&
			form->reltablespace == old->reltablespace;
	}
	table_close(pg_class, AccessShareLock);
	return result;
}

/* The newest points first: most often they know all there is. */
static void
mark_known_columns(HTAB *columns, List *points)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate point",
												  ALLOCSET_DEFAULT_SIZES);

	for (int i = list_length(points) - 1; i >= 0; i--)
	{
		bool		knows_all;

		MemoryContextSwitchTo(context);
		knows_all = mark_columns_of_point(columns,
										  *(int64 *) list_nth(points, i));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		if (knows_all)
			break;
	}
	MemoryContextDelete(context);
}

/* Returns true if all are known by now. */
static bool
mark_columns_of_point(HTAB *columns, int64 point)
{
	List	   *rows = load_catalog_rows(point, AttributeRelationId);
	ListCell   *cell;
	HASH_SEQ_STATUS status;
	DroppedColumn *column;

	foreach(cell, rows)
	{
		Form_pg_attribute attribute =
		(Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));
		ColumnKey	key = {attribute->attrelid, attribute->attnum};

		if (attribute->attisdropped)
			continue;
		column = hash_search(columns, &key, HASH_FIND, NULL);
		if (column != NULL)
			column->is_known = true;
	}
	hash_seq_init(&status, columns);
	while ((column = hash_seq_search(&status)) != NULL)
	{
		if (column->is_known)
			continue;
		hash_seq_term(&status);
		return false;
	}
	return true;
}

/* Of CarriedTable. */
static HTAB *
tables_of(HTAB *columns)
{
	HASHCTL		control = {0};
	HTAB	   *tables;
	HASH_SEQ_STATUS status;
	DroppedColumn *column;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(CarriedTable);
	control.hcxt = CurrentMemoryContext;
	tables = hash_create("safe_migrate tables with dropped columns", 64,
						 &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	hash_seq_init(&status, columns);
	while ((column = hash_seq_search(&status)) != NULL)
	{
		bool		found;
		CarriedTable *table = hash_search(tables, &column->key.relid,
										  HASH_ENTER, &found);

		if (!found)
		{
			table->is_known = false;
			table->columns = NIL;
		}
		table->is_known |= column->is_known;
		table->columns = lappend(table->columns, column);
	}
	return tables;
}

/* One that is there carries all that is dropped, but for what rows lack. */
static void
add_trigger(const CarriedTable *table)
{
	List	   *triggers = carry_triggers(table->relid, NULL);
	List	   *arguments = missing_arguments(table);
	ListCell   *cell;

	if (triggers != NIL && arguments == NIL)
		return;
	foreach(cell, triggers)
	{
		CarryTrigger *trigger = lfirst(cell);

		arguments = list_concat(arguments, trigger->arguments);
		remove_trigger(trigger);
	}
	make_trigger(table->relid, arguments);
	CommandCounterIncrement();
}

static List *
missing_arguments(const CarriedTable *table)
{
	Relation	pg_attribute = table_open(AttributeRelationId, AccessShareLock);
	List	   *arguments = NIL;
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		HeapTuple	row = ((DroppedColumn *) lfirst(cell))->row;
		Form_pg_attribute attribute = (Form_pg_attribute) GETSTRUCT(row);
		int			position = 1;
		bool		isnull;
		Datum		missing = heap_getattr(row, Anum_pg_attribute_attmissingval,
										   RelationGetDescr(pg_attribute),
										   &isnull);

		if (!attribute->atthasmissing || isnull)
			continue;
		missing = array_get_element(missing, 1, &position, -1,
									attribute->attlen, attribute->attbyval,
									attribute->attalign, &isnull);
		if (!isnull)
			arguments = list_concat(arguments,
									carry_arguments(attribute, missing));
	}
	table_close(pg_attribute, AccessShareLock);
	return arguments;
}

/* InvalidOid if it is gone. */
static Oid
carry_function(void)
{
	Oid			namespace = get_namespace_oid(MIGRATE_SCHEMA, true);
	oidvector  *no_arguments = buildoidvector(NULL, 0);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(CARRY_FUNCTION),
						   PointerGetDatum(no_arguments),
						   ObjectIdGetDatum(namespace));
}

/*
 * See carry.h.
 */
bool
relation_is_carried(Oid relid, Snapshot snapshot)
{
	return carry_triggers(relid, snapshot) != NIL;
}

/* Those of a table, or of all for InvalidOid, as CarryTrigger *. */
static List *
carry_triggers(Oid relid, Snapshot snapshot)
{
	Oid			function = carry_function();
	Relation	pg_trigger = table_open(TriggerRelationId, AccessShareLock);
	List	   *triggers = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_trigger, TriggerRelidNameIndexId,
							  OidIsValid(relid), snapshot,
							  OidIsValid(relid) ? 1 : 0, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(row);
		CarryTrigger *trigger;

		if (form->tgfoid != function)
			continue;
		trigger = palloc(sizeof(CarryTrigger));
		trigger->oid = form->oid;
		trigger->relid = form->tgrelid;
		trigger->arguments = trigger_arguments(row, pg_trigger);
		triggers = lappend(triggers, trigger);
	}
	systable_endscan(scan);
	table_close(pg_trigger, AccessShareLock);
	return triggers;
}

static List *
trigger_arguments(HeapTuple row, Relation pg_trigger)
{
	int			count = ((Form_pg_trigger) GETSTRUCT(row))->tgnargs;
	bool		isnull;
	Datum		value = heap_getattr(row, Anum_pg_trigger_tgargs,
									 RelationGetDescr(pg_trigger), &isnull);
	const char *argument = VARDATA_ANY(DatumGetByteaPP(value));
	List	   *arguments = NIL;

	for (int i = 0; i < count; i++)
	{
		arguments = lappend(arguments, makeString(pstrdup(argument)));
		argument += strlen(argument) + 1;
	}
	return arguments;
}

/* Also under session_replication_role = replica. */
static void
make_trigger(Oid relid, List *arguments)
{
	CreateTrigStmt *statement = makeNode(CreateTrigStmt);

	statement->trigname = CARRY_TRIGGER;
	statement->args = arguments;
	statement->row = true;
	statement->timing = TRIGGER_TYPE_BEFORE;
	statement->events = TRIGGER_TYPE_UPDATE;
	(void) CreateTriggerFiringOn(statement, NULL, relid, InvalidOid,
								 InvalidOid, InvalidOid, carry_function(),
								 InvalidOid, NULL, true, false,
								 TRIGGER_FIRES_ALWAYS);
}

static void
remove_trigger(CarryTrigger *trigger)
{
	ObjectAddress address;

	ObjectAddressSet(address, TriggerRelationId, trigger->oid);
	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

/*
 * See carry.h.
 */
void
remove_carry_triggers(void)
{
	OwnAccess	access;
	List	   *triggers;
	HTAB	   *columns;
	HTAB	   *tables;
	ListCell   *cell;

	begin_own_access(&access);
	triggers = carry_triggers(InvalidOid, NULL);
	columns = make_columns();
	find_carried(columns, triggers);
	if (triggers != NIL)
		mark_known_columns(columns, living_points());
	tables = tables_of(columns);
	foreach(cell, triggers)
	{
		CarryTrigger *trigger = lfirst(cell);
		CarriedTable *table = hash_search(tables, &trigger->relid, HASH_FIND,
										  NULL);

		if ((table == NULL || !table->is_known) &&
			ConditionalLockRelationOid(trigger->relid, AccessExclusiveLock))
			remove_trigger(trigger);
	}
	end_own_access(&access);
}

/* The dropped columns of tables that have the trigger. */
static void
find_carried(HTAB *columns, List *triggers)
{
	Relation	pg_attribute = table_open(AttributeRelationId, AccessShareLock);
	ListCell   *cell;

	foreach(cell, triggers)
	{
		List	   *rows = fetch_catalog_rows(pg_attribute,
											  AttributeRelidNumIndexId,
											  Anum_pg_attribute_attrelid,
											  ((CarryTrigger *) lfirst(cell))->relid,
											  NULL);
		ListCell   *row;

		foreach(row, rows)
		{
			Form_pg_attribute attribute =
			(Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(row));
			ColumnKey	key = {attribute->attrelid, attribute->attnum};
			DroppedColumn *column;

			if (!attribute->attisdropped)
				continue;
			column = hash_search(columns, &key, HASH_ENTER, NULL);
			column->row = NULL;
			column->is_known = false;
		}
	}
	table_close(pg_attribute, AccessShareLock);
}

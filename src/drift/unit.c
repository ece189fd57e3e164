/*-------------------------------------------------------------------------
 *
 * unit.c
 *	  What is known of the objects of the schema while migrations run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "drift/saved_manifest.h"
#include "drift/unit.h"
#include "utils/memutils.h"

/* All rows of one object; in a memory context of its own. */
typedef struct Unit
{
	TouchedObject key;
	MemoryContext context;
	List	   *rows;			/* of ManifestRow */
	uint64		pass;			/* that has seen it last */
} Unit;

/* Rows of one object that were read together with those of others. */
typedef struct FoundRows
{
	TouchedObject key;
	List	   *rows;			/* of ManifestRow */
} FoundRows;

static MemoryContext context = NULL;
static HTAB *units = NULL;
static bool all_known = false;
static uint64 pass = 0;

static Unit *find_unit(Oid classid, Oid objid);
static Unit *known_unit(Oid classid, Oid objid);
static void add_units(List *rows);
static void know_objects(List *objects);
static void know_all(void);
static bool see_unit(Unit *unit);

/*
 * See unit.h.
 */
void
know_units(MemoryContext parent, List *rows, bool is_all)
{
	HASHCTL		control = {0};

	context = AllocSetContextCreate(parent, "safe_migrate objects",
									ALLOCSET_DEFAULT_SIZES);
	control.hcxt = context;
	control.keysize = sizeof(TouchedObject);
	control.entrysize = sizeof(Unit);
	units = hash_create("safe_migrate objects", 1024, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	all_known = is_all;
	add_units(rows);
}

/*
 * See unit.h.
 */
void
forget_units(void)
{
	if (units != NULL)
		MemoryContextDelete(context);
	units = NULL;
}

/* Of objects that are not known. */
static void
add_units(List *rows)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);
		Unit	   *unit = known_unit(row->classid, row->objid);
		MemoryContext old = MemoryContextSwitchTo(unit->context);

		unit->rows = lappend(unit->rows, copy_row(row));
		MemoryContextSwitchTo(old);
	}
}

/* NULL: nothing is known of it yet. */
static Unit *
find_unit(Oid classid, Oid objid)
{
	TouchedObject key;

	memset(&key, 0, sizeof(key));
	key.classid = classid;
	key.objid = objid;
	return hash_search(units, &key, HASH_FIND, NULL);
}

/* Of a new one it is known that it has no rows. */
static Unit *
known_unit(Oid classid, Oid objid)
{
	TouchedObject key;
	Unit	   *unit;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.classid = classid;
	key.objid = objid;
	unit = hash_search(units, &key, HASH_ENTER, &found);
	if (!found)
	{
		unit->rows = NIL;
		unit->pass = 0;
		unit->context = AllocSetContextCreate(context, "safe_migrate object",
											  ALLOCSET_SMALL_SIZES);
	}
	return unit;
}

static void
know_objects(List *objects)
{
	List	   *objids = NIL;
	List	   *rows = NIL;
	ListCell   *cell;

	foreach(cell, objects)
	{
		TouchedObject *object = lfirst(cell);

		if (!all_known && find_unit(object->classid, object->objid) == NULL)
			objids = list_append_unique_oid(objids, object->objid);
	}
	if (objids != NIL)
	{
		/* numbers are those of a class, and the other may be known */
		foreach(cell, read_saved_objects(objids))
		{
			ManifestRow *row = lfirst(cell);

			if (find_unit(row->classid, row->objid) == NULL)
				rows = lappend(rows, row);
		}
		add_units(rows);
	}
	foreach(cell, objects)
		(void) known_unit(((TouchedObject *) lfirst(cell))->classid,
						  ((TouchedObject *) lfirst(cell))->objid);
}

static void
know_all(void)
{
	List	   *rows = NIL;
	ListCell   *cell;

	if (all_known)
		return;
	foreach(cell, read_saved_manifest())
	{
		ManifestRow *row = lfirst(cell);

		if (find_unit(row->classid, row->objid) == NULL)
			rows = lappend(rows, row);
	}
	add_units(rows);
	all_known = true;
}

/*
 * See unit.h.
 */
List *
rows_of_unit(const TouchedObject *object)
{
	Unit	   *unit;

	know_objects(list_make1(unconstify(TouchedObject *, object)));
	unit = find_unit(object->classid, object->objid);
	return unit->rows;
}

/*
 * See unit.h.
 */
List *
rows_of_unit_of(const ManifestRow *row)
{
	TouchedObject object;

	memset(&object, 0, sizeof(object));
	object.classid = row->classid;
	object.objid = row->objid;
	return rows_of_unit(&object);
}

/*
 * See unit.h.
 */
void
set_rows_of_unit(const TouchedObject *object, List *rows)
{
	Unit	   *unit = known_unit(object->classid, object->objid);

	MemoryContextReset(unit->context);
	unit->rows = copy_rows(unit->context, rows);
}

/*
 * See unit.h.
 */
void
begin_pass(void)
{
	pass++;
}

/*
 * See unit.h.
 */
List *
not_seen_in_pass(List *objects)
{
	List	   *result = NIL;
	ListCell   *cell;

	know_objects(objects);
	foreach(cell, objects)
	{
		TouchedObject *object = lfirst(cell);

		if (see_unit(find_unit(object->classid, object->objid)))
			result = lappend(result, object);
	}
	return result;
}

/*
 * See unit.h.
 */
List *
not_seen_of_class(Oid classid, List *rows)
{
	List	   *result = NIL;
	ListCell   *cell;
	HASH_SEQ_STATUS status;
	Unit	   *unit;

	know_all();
	foreach(cell, rows)
		(void) known_unit(((ManifestRow *) lfirst(cell))->classid,
						  ((ManifestRow *) lfirst(cell))->objid);
	hash_seq_init(&status, units);
	while ((unit = hash_seq_search(&status)) != NULL)
	{
		if ((!OidIsValid(classid) || unit->key.classid == classid) &&
			see_unit(unit))
			result = lappend(result, memcpy(palloc(sizeof(TouchedObject)),
											&unit->key, sizeof(TouchedObject)));
	}
	return result;
}

static bool
see_unit(Unit *unit)
{
	if (unit->pass == pass)
		return false;
	unit->pass = pass;
	return true;
}

/*
 * See unit.h.
 */
void
visit_units(Oid classid, bool all, void (*visit) (Oid objid, void *arg),
			void *arg)
{
	HASH_SEQ_STATUS status;
	Unit	   *unit;

	if (all)
		know_all();
	hash_seq_init(&status, units);
	while ((unit = hash_seq_search(&status)) != NULL)
	{
		if (unit->key.classid == classid)
			visit(unit->key.objid, arg);
	}
}

/*
 * See unit.h.
 */
HTAB *
rows_by_object(List *rows)
{
	HASHCTL		control = {0};
	HTAB	   *result;
	ListCell   *cell;

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(TouchedObject);
	control.entrysize = sizeof(FoundRows);
	result = hash_create("safe_migrate rows", Max(list_length(rows), 16),
						 &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);
		TouchedObject key;
		FoundRows  *of_object;
		bool		found;

		memset(&key, 0, sizeof(key));
		key.classid = row->classid;
		key.objid = row->objid;
		of_object = hash_search(result, &key, HASH_ENTER, &found);
		if (!found)
			of_object->rows = NIL;
		of_object->rows = lappend(of_object->rows, row);
	}
	return result;
}

/*
 * See unit.h.
 */
List *
rows_of_object(HTAB *by_object, const TouchedObject *object)
{
	FoundRows  *found = hash_search(by_object, object, HASH_FIND, NULL);

	return found == NULL ? NIL : found->rows;
}

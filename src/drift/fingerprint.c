/*-------------------------------------------------------------------------
 *
 * fingerprint.c
 *	  What the schema is, in 64 hexadecimal digits, after each migration.
 *
 * The fingerprint is the sum of the hashes of all objects.  While migrations
 * run, the objects are kept in memory with their hashes, and after each
 * migration only those are read again that it has touched, and those whose
 * definitions name one that was renamed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "common/settings.h"
#include "drift/fingerprint.h"
#include "drift/manifest.h"
#include "drift/touched.h"
#include "executor/spi.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

/*
 * Of many migrations in one go, this many have a fingerprint each; of the rest
 * as many as take at most that part of the time, and the last.
 */
#define ALWAYS_TAKEN 50
#define SHARE_OF_TIME 20

/* All rows of one object; in a memory context of its own. */
typedef struct Unit
{
	TouchedObject key;
	MemoryContext context;
	List	   *rows;			/* of ManifestRow */
	uint64		pass;			/* that has looked at it last */
} Unit;

/* Rows of one object that were read together with those of others. */
typedef struct FoundRows
{
	TouchedObject key;
	List	   *rows;			/* of ManifestRow */
} FoundRows;

typedef struct Fingerprints
{
	MemoryContext context;
	HTAB	   *units;
	ManifestSum sum;
	uint64		pass;
	int			expected;		/* migrations to come */
	int			taken;
	TimestampTz begun_at;
	int64		cost;			/* of all, microseconds */
	MemoryContext changes;		/* of what is not yet written to the table: */
	List	   *gone;			/* of SavedRow */
	List	   *added;
} Fingerprints;

/* NULL: there is none. */
static Fingerprints *fingerprints = NULL;

static bool is_affordable(void);
static bool guarded(void (*work) (void *arg), void *arg, bool writes);
static void read_all(void *arg);
static void compare_with_saved(void);
static void note_saved(List **list, const char *kind, const char *identity,
					   const char *unit, const char *hash);
static void note_row(List **list, const ManifestRow *row);
static void read_changes(void *arg);
static void write_changes(void *arg);
static void look_again(Touched *touched);
static List *objects_of_classes(const Touched *touched);
static List *read_objects(List *objects);
static HTAB *rows_by_object(List *rows);
static List *replace_unit(const TouchedObject *object, List *after);
static Unit *find_unit(Oid classid, Oid objid, bool create);
static List *copy_rows(MemoryContext context, List *rows);
static void compare_rows(List *before, List *after);
static bool forget_added(const ManifestRow *row);
static bool has_row(List *rows, const ManifestRow *row);
static bool name_is_lost(List *before, List *after);
static bool has_name(List *rows, uint64 name);
static List *dependents_of(const TouchedObject *object, bool views_only);
static void visit_known(Oid classid, void (*visit) (Oid objid, void *arg),
						void *arg);
static void verify_sum(void);

/*
 * See fingerprint.h.
 */
void
begin_fingerprints(int migrations)
{
	end_fingerprints();
	begin_touched();
	if (guarded(read_all, NULL, false))
		fingerprints->expected = migrations;
	else
		end_fingerprints();
}

/*
 * See fingerprint.h.
 */
void
end_fingerprints(void)
{
	Fingerprints *ended = fingerprints;

	end_touched();
	fingerprints = NULL;
	if (ended != NULL)
		MemoryContextDelete(ended->context);
}

/*
 * See fingerprint.h.
 */
char *
fingerprint_now(void)
{
	TimestampTz start = GetCurrentTimestamp();

	if (fingerprints == NULL)
		return NULL;
	fingerprints->expected--;
	if (!is_affordable())
		return NULL;
	CommandCounterIncrement();
	if (!guarded(read_changes, NULL, false) ||
		!guarded(write_changes, NULL, true))
	{
		end_fingerprints();
		return NULL;
	}
	fingerprints->taken++;
	fingerprints->cost += GetCurrentTimestamp() - start;
	return sum_in_words(&fingerprints->sum);
}

/*
 * What is not taken now is read with the next one: that costs by the objects
 * that were touched since, so that all of it counts, not the last one alone.
 */
static bool
is_affordable(void)
{
	return fingerprints->expected <= 0 ||
		fingerprints->taken < ALWAYS_TAKEN ||
		GetCurrentTimestamp() - fingerprints->begun_at >
		fingerprints->cost * SHARE_OF_TIME;
}

/*
 * See fingerprint.h.
 */
char *
take_fingerprint(void)
{
	char	   *result;

	PG_TRY();
	{
		begin_fingerprints(1);
		result = fingerprint_now();
	}
	PG_FINALLY();
	{
		end_fingerprints();
	}
	PG_END_TRY();
	return result;
}

/*
 * Whether a migration succeeds does not depend on whether it can be described:
 * a table may be locked whose view is to be shown.  Work that writes nothing is
 * rolled back all the same: so the migration does not keep the locks on tables
 * that showing a view has taken, which others would wait for until its end.
 */
static bool
guarded(void (*work) (void *arg), void *arg, bool writes)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool result = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		if (writes)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
			ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("the fingerprint of the schema cannot be told: %s",
						error->message)));
		result = false;
	}
	PG_END_TRY();
	return result;
}

static void
read_all(void *arg)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "safe_migrate fingerprints",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *rows;
	ListCell   *cell;
	HASHCTL		control = {0};

	fingerprints = MemoryContextAllocZero(context, sizeof(Fingerprints));
	fingerprints->context = context;
	fingerprints->begun_at = GetCurrentTimestamp();
	fingerprints->changes = AllocSetContextCreate(context,
												  "safe_migrate manifest changes",
												  ALLOCSET_DEFAULT_SIZES);
	control.hcxt = context;
	control.keysize = sizeof(TouchedObject);
	control.entrysize = sizeof(Unit);
	fingerprints->units = hash_create("safe_migrate objects", 1024, &control,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	rows = read_manifest(InvalidOid, NIL);
	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);
		Unit	   *unit = find_unit(row->classid, row->objid, true);
		MemoryContext old = MemoryContextSwitchTo(unit->context);

		unit->rows = list_concat(unit->rows,
								 copy_rows(unit->context, list_make1(row)));
		MemoryContextSwitchTo(old);
		add_to_sum(&fingerprints->sum, row);
	}
	compare_with_saved();
}

/*
 * What differs from the manifest of the last migration is written with that of
 * the next, and not before: until then migrate.drift() tells of it.
 */
static void
compare_with_saved(void)
{
	HASHCTL		control = {0};
	HTAB	   *hashes;
	List	   *saved = read_saved_manifest();
	ListCell   *cell;
	HASH_SEQ_STATUS status;
	Unit	   *unit;
	char		(*found)[65];

	control.keysize = control.entrysize = sizeof(*found);
	hashes = hash_create("safe_migrate saved hashes",
						 Max(list_length(saved), 16), &control,
						 HASH_ELEM | HASH_STRINGS);
	foreach(cell, saved)
		(void) hash_search(hashes, ((SavedRow *) lfirst(cell))->hash,
						   HASH_ENTER, NULL);
	if (hash_search(hashes, COMPAT_MAJOR_VERSION, HASH_REMOVE, NULL) == NULL)
		note_saved(&fingerprints->added, "server version",
				   COMPAT_MAJOR_VERSION, "", COMPAT_MAJOR_VERSION);
	hash_seq_init(&status, fingerprints->units);
	while ((unit = hash_seq_search(&status)) != NULL)
	{
		foreach(cell, unit->rows)
		{
			if (hash_search(hashes, hash_in_words(lfirst(cell)),
							HASH_REMOVE, NULL) == NULL)
				note_row(&fingerprints->added, lfirst(cell));
		}
	}
	foreach(cell, saved)
	{
		SavedRow   *row = lfirst(cell);

		if (hash_search(hashes, row->hash, HASH_FIND, NULL) != NULL)
			note_saved(&fingerprints->gone, row->kind, row->identity,
					   row->unit, row->hash);
	}
	hash_destroy(hashes);
}

static void
note_saved(List **list, const char *kind, const char *identity,
		   const char *unit, const char *hash)
{
	MemoryContext old = MemoryContextSwitchTo(fingerprints->changes);
	SavedRow   *row = palloc(sizeof(SavedRow));

	row->kind = pstrdup(kind);
	row->identity = pstrdup(identity);
	row->unit = pstrdup(unit);
	row->hash = pstrdup(hash);
	*list = lappend(*list, row);
	MemoryContextSwitchTo(old);
}

static void
note_row(List **list, const ManifestRow *row)
{
	note_saved(list, row->kind, row->identity, row->unit, hash_in_words(row));
}

static void
read_changes(void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate fingerprint",
												  ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(context);
	look_again(take_touched(visit_known));
	if (setting_observation)
		verify_sum();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

static void
write_changes(void *arg)
{
	change_saved_manifest(fingerprints->gone, fingerprints->added);
	fingerprints->gone = fingerprints->added = NIL;
	MemoryContextReset(fingerprints->changes);
}

/*
 * Read again what was touched, then what names something that has lost a name
 * by that, and so on.
 */
static void
look_again(Touched *touched)
{
	List	   *objects = list_concat(objects_of_classes(touched),
									  touched->objects);

	fingerprints->pass++;
	while (objects != NIL)
	{
		List	   *next = NIL;
		List	   *wanted = NIL;
		HTAB	   *found;
		ListCell   *cell;

		foreach(cell, objects)
		{
			TouchedObject *object = lfirst(cell);
			Unit	   *unit = find_unit(object->classid, object->objid, true);

			if (unit->pass == fingerprints->pass)
				continue;
			unit->pass = fingerprints->pass;
			wanted = lappend(wanted, object);
		}
		found = rows_by_object(read_objects(wanted));
		foreach(cell, wanted)
		{
			FoundRows  *rows = hash_search(found, lfirst(cell), HASH_FIND,
										   NULL);

			next = list_concat(next, replace_unit(lfirst(cell),
												  rows ? rows->rows : NIL));
		}
		hash_destroy(found);
		objects = next;
	}
}

/* Those that are known, and those that are there. */
static List *
objects_of_classes(const Touched *touched)
{
	List	   *objects = NIL;
	List	   *classes = touched->all ? list_make1_oid(InvalidOid) :
	touched->classes;
	ListCell   *cell;

	foreach(cell, classes)
	{
		Oid			classid = lfirst_oid(cell);
		List	   *rows = read_manifest(classid, NIL);
		HASH_SEQ_STATUS status;
		Unit	   *unit;
		ListCell   *row_cell;

		foreach(row_cell, rows)
		{
			ManifestRow *row = lfirst(row_cell);

			(void) find_unit(row->classid, row->objid, true);
		}
		hash_seq_init(&status, fingerprints->units);
		while ((unit = hash_seq_search(&status)) != NULL)
		{
			if (!OidIsValid(classid) || unit->key.classid == classid)
				objects = lappend(objects,
								  memcpy(palloc(sizeof(TouchedObject)),
										 &unit->key, sizeof(TouchedObject)));
		}
	}
	return objects;
}

/* The rows of these objects, with one query a class. */
static List *
read_objects(List *objects)
{
	List	   *classes = NIL;
	List	   *rows = NIL;
	ListCell   *cell;

	foreach(cell, objects)
		classes = list_append_unique_oid(classes,
										 ((TouchedObject *) lfirst(cell))->classid);
	foreach(cell, classes)
	{
		List	   *objids = NIL;
		ListCell   *object_cell;

		foreach(object_cell, objects)
		{
			const TouchedObject *object = lfirst(object_cell);

			if (object->classid == lfirst_oid(cell))
				objids = lappend_oid(objids, object->objid);
		}
		rows = list_concat(rows, read_manifest(lfirst_oid(cell), objids));
	}
	return rows;
}

static HTAB *
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
 * Put the rows of one object in the place of what it had.  Returns the objects
 * that have to be looked at because of that, a list of TouchedObject.
 */
static List *
replace_unit(const TouchedObject *object, List *after)
{
	Unit	   *unit = find_unit(object->classid, object->objid, true);
	List	   *before = copy_rows(CurrentMemoryContext, unit->rows);
	List	   *next = NIL;

	compare_rows(before, after);
	if (after == NIL)
	{
		MemoryContextDelete(unit->context);
		(void) hash_search(fingerprints->units, object, HASH_REMOVE, NULL);
		return NIL;
	}
	if (before != NIL && name_is_lost(before, after))
		next = dependents_of(object, false);
	else if (before != NIL && object->classid == RelationRelationId)
		next = dependents_of(object, true);

	MemoryContextReset(unit->context);
	unit->rows = copy_rows(unit->context, after);
	return next;
}

static Unit *
find_unit(Oid classid, Oid objid, bool create)
{
	TouchedObject key;
	Unit	   *unit;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.classid = classid;
	key.objid = objid;
	unit = hash_search(fingerprints->units, &key, create ? HASH_ENTER : HASH_FIND,
					   &found);
	if (unit != NULL && !found)
	{
		unit->rows = NIL;
		unit->pass = 0;
		unit->context = AllocSetContextCreate(fingerprints->context,
											  "safe_migrate object",
											  ALLOCSET_SMALL_SIZES);
	}
	return unit;
}

static List *
copy_rows(MemoryContext context, List *rows)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *copies = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		const ManifestRow *row = lfirst(cell);
		ManifestRow *copy = palloc(sizeof(ManifestRow));

		*copy = *row;
		copy->kind = pstrdup(row->kind);
		copy->identity = pstrdup(row->identity);
		copy->unit = pstrdup(row->unit);
		copy->names = palloc(Max(row->name_count, 1) * sizeof(uint64));
		if (row->name_count > 0)
			memcpy(copy->names, row->names, row->name_count * sizeof(uint64));
		copies = lappend(copies, copy);
	}
	MemoryContextSwitchTo(old);
	return copies;
}

/* Note the differences, in the sum and for the table. */
static void
compare_rows(List *before, List *after)
{
	ListCell   *cell;

	foreach(cell, before)
	{
		ManifestRow *row = lfirst(cell);

		if (has_row(after, row))
			continue;
		take_from_sum(&fingerprints->sum, row);
		if (!forget_added(row))
			note_row(&fingerprints->gone, row);
	}
	foreach(cell, after)
	{
		ManifestRow *row = lfirst(cell);

		if (has_row(before, row))
			continue;
		add_to_sum(&fingerprints->sum, row);
		note_row(&fingerprints->added, row);
	}
}

/* A row that has not been written yet need not be deleted. */
static bool
forget_added(const ManifestRow *row)
{
	char	   *hash = hash_in_words(row);
	ListCell   *cell;

	foreach(cell, fingerprints->added)
	{
		if (strcmp(((SavedRow *) lfirst(cell))->hash, hash) != 0)
			continue;
		fingerprints->added = foreach_delete_current(fingerprints->added, cell);
		return true;
	}
	return false;
}

static bool
has_row(List *rows, const ManifestRow *row)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		if (memcmp(((ManifestRow *) lfirst(cell))->hash, row->hash,
				   sizeof(row->hash)) == 0)
			return true;
	}
	return false;
}

/* Was anything renamed? */
static bool
name_is_lost(List *before, List *after)
{
	ListCell   *cell;

	foreach(cell, before)
	{
		const ManifestRow *row = lfirst(cell);

		for (int i = 0; i < row->name_count; i++)
			if (!has_name(after, row->names[i]))
				return true;
	}
	return false;
}

static bool
has_name(List *rows, uint64 name)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		const ManifestRow *row = lfirst(cell);

		for (int i = 0; i < row->name_count; i++)
			if (row->names[i] == name)
				return true;
	}
	return false;
}

/*
 * Objects whose definitions may name the object; of views that is so with
 * columns that are added as well.
 */
static List *
dependents_of(const TouchedObject *object, bool views_only)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *dependents = NIL;
	bool		isnull;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(object->classid), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(object->objid), false);
	if (views_only)
		run_own_query("SELECT p.refclassid, r.ev_class FROM pg_catalog.pg_depend p "
					  "JOIN pg_catalog.pg_rewrite r "
					  "ON r.oid OPERATOR(pg_catalog.=) p.objid "
					  "WHERE p.refclassid OPERATOR(pg_catalog.=) $1 "
					  "AND p.refobjid OPERATOR(pg_catalog.=) $2 "
					  "AND p.classid OPERATOR(pg_catalog.=) "
					  "'pg_catalog.pg_rewrite'::pg_catalog.regclass",
					  &arguments, SPI_OK_SELECT);
	else
		run_own_query("SELECT d.classid, d.objid FROM migrate.dependents($1, $2) d",
					  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(access.caller);
		TouchedObject *dependent = palloc(sizeof(TouchedObject));

		dependent->classid =
			DatumGetObjectId(SPI_getbinval(tuple, tupdesc, 1, &isnull));
		dependent->objid =
			DatumGetObjectId(SPI_getbinval(tuple, tupdesc, 2, &isnull));
		dependents = lappend(dependents, dependent);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return dependents;
}

/* See touched.h. */
static void
visit_known(Oid classid, void (*visit) (Oid objid, void *arg), void *arg)
{
	HASH_SEQ_STATUS status;
	Unit	   *unit;

	hash_seq_init(&status, fingerprints->units);
	while ((unit = hash_seq_search(&status)) != NULL)
	{
		if (unit->key.classid == classid)
			visit(unit->key.objid, arg);
	}
}

/* For developers: the short way must come to the same as the long one. */
static void
verify_sum(void)
{
	List	   *rows = read_manifest(InvalidOid, NIL);
	ManifestSum sum = {0};
	StringInfoData differences;
	ListCell   *cell;

	foreach(cell, rows)
		add_to_sum(&sum, lfirst(cell));
	if (memcmp(&sum, &fingerprints->sum, sizeof(sum)) == 0)
		return;
	initStringInfo(&differences);
	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);
		Unit	   *unit = find_unit(row->classid, row->objid, false);

		if (unit == NULL || !has_row(unit->rows, row))
			appendStringInfo(&differences, " %s %s", row->kind, row->identity);
	}
	ereport(LOG,
			(errmsg("safe_migrate mismatch: fingerprint, the change was not noticed:%s",
					differences.len > 0 ? differences.data :
					" something is gone")));
}

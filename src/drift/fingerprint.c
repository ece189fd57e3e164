/*-------------------------------------------------------------------------
 *
 * fingerprint.c
 *	  What the schema is, in 64 hexadecimal digits, after each migration.
 *
 * The fingerprint is the sum of the hashes of all objects.  Where nothing has
 * changed since the last one, that of then is taken over, and the hashes of an
 * object are read from the table that has them when they are needed; else all
 * are read anew.  After each migration only those objects are read again that
 * it has touched, and those whose definitions name one that was renamed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "common/settings.h"
#include "common/subtransaction.h"
#include "drift/catalog_state.h"
#include "drift/dependents.h"
#include "drift/fingerprint.h"
#include "drift/manifest.h"
#include "drift/saved_manifest.h"
#include "drift/touched.h"
#include "drift/unit.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * Of many migrations in one go, this many have a fingerprint each; of the rest
 * as many as take at most that part of the time, and the last.
 */
#define ALWAYS_TAKEN 50
#define SHARE_OF_TIME 20

/* So often one looks again whether others have changed something meanwhile. */
#define VERIFY_LOOKS 5

typedef struct Fingerprints
{
	MemoryContext context;
	ManifestSum sum;
	int			expected;		/* migrations to come */
	int			taken;
	TimestampTz begun_at;
	TimestampTz taken_at;		/* the last one */
	int64		cost;			/* of all, microseconds */
	char	   *snapshot;		/* what it sees is in the sum for sure */
	bool		is_first;		/* there was none before */
	bool		is_settled;		/* the tables say what we know */

	/* what is to be written: */
	MemoryContext changes;
	List	   *gone;			/* of ManifestRow */
	List	   *added;
	List	   *found_units;	/* of char *: drift, see keep_found_drift() */
	List	   *found_objects;
	char	   *catalog_state;	/* or NULL */
} Fingerprints;

/* NULL: there is none. */
static Fingerprints *fingerprints = NULL;

/* This session has been told that there is drift. */
static bool is_told = false;

static bool begin(int migrations, bool all_migrated, bool write);
static bool is_affordable(void);
static void settle(bool all_migrated);
static bool guarded(SubtransactionWork work, void *arg);
static bool read_all(void *arg);
static void read_anew(const SavedFingerprint *saved, bool all_migrated);
static void note_found(const char *what, const ManifestRow *row);
static bool note_unknown(void *arg);
static bool read_changes(void *arg);
static bool write_changes(void *arg);
static bool look_for_drift(void *arg);
static void note_row(List **list, const ManifestRow *row);
static void look_again(Touched *touched);
static List *look_at_classes(const Touched *touched);
static List *read_objects(List *objects);
static List *replace_units(List *objects, List *rows);
static bool compare_rows(List *before, List *after);
static void verify_sum(void);
static bool is_sum_of(List *rows);
static void report_unnoticed(List *rows);

/*
 * See fingerprint.h.
 */
void
begin_fingerprints(int migrations)
{
	bool		is_drift = false;

	if (!begin(migrations, false, false) ||
		!guarded(look_for_drift, &is_drift))
		return;
	if (is_drift && !is_told)
		ereport(NOTICE,
				(errmsg("the schema was changed other than by migrations, and nobody has acknowledged that"),
				 errhint("SELECT * FROM migrate.drift() tells what it was, SELECT migrate.acknowledge_drift() that it may stay.")));
	is_told = is_drift;
}

/*
 * all_migrated: no difference is drift.  write: also that nothing differs.
 * Returns false if there will be no fingerprint.
 */
static bool
begin(int migrations, bool all_migrated, bool write)
{
	end_fingerprints();
	begin_touched();
	if (guarded(read_all, &all_migrated) &&
		((fingerprints->is_settled && !write) ||
		 guarded(write_changes, NULL)))
	{
		fingerprints->expected = migrations;
		return true;
	}
	end_fingerprints();

	/* the next fingerprint will have what was changed before this migration */
	(void) guarded(note_unknown, NULL);
	return false;
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
	forget_units();
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
	fingerprints->taken_at = start;
	if (!guarded(read_changes, NULL) ||
		!guarded(write_changes, NULL))
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
void
keep_fingerprint(void)
{
	settle(true);
}

/*
 * See fingerprint.h.
 */
void
accept_schema(void)
{
	settle(true);
	(void) acknowledge_saved_drift();
	is_told = false;
}

/*
 * See fingerprint.h.
 */
int64
acknowledge_drift(void)
{
	settle(false);
	is_told = false;
	return acknowledge_saved_drift();
}

static void
settle(bool all_migrated)
{
	PG_TRY();
	{
		(void) begin(1, all_migrated, true);
	}
	PG_FINALLY();
	{
		end_fingerprints();
	}
	PG_END_TRY();
}

/*
 * Whether a migration succeeds does not depend on whether it can be described:
 * a table may be locked whose view is to be shown.  Work that writes nothing is
 * rolled back all the same: so the migration does not keep the locks on tables
 * that showing a view has taken, which others would wait for until its end.
 */
static bool
guarded(SubtransactionWork work, void *arg)
{
	ErrorData  *error = run_in_subtransaction(work, arg);

	if (error == NULL)
		return true;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("the fingerprint of the schema cannot be told: %s",
					error->message)));
	return false;
}

static bool
read_all(void *arg)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "safe_migrate fingerprints",
												  ALLOCSET_DEFAULT_SIZES);
	SavedFingerprint *saved;

	fingerprints = MemoryContextAllocZero(context, sizeof(Fingerprints));
	fingerprints->context = context;
	fingerprints->begun_at = GetCurrentTimestamp();
	fingerprints->changes = AllocSetContextCreate(context,
												  "safe_migrate manifest changes",
												  ALLOCSET_DEFAULT_SIZES);
	fingerprints->taken_at = GetCurrentTimestamp();
	fingerprints->snapshot = MemoryContextStrdup(context, current_snapshot());
	fingerprints->catalog_state =
		MemoryContextStrdup(fingerprints->changes, catalog_state());
	saved = read_saved_fingerprint();
	fingerprints->is_first = saved->server_version == 0;
	if (saved->catalog_state == NULL ||
		strcmp(saved->catalog_state, fingerprints->catalog_state) != 0)
	{
		read_anew(saved, *(bool *) arg);
		return false;
	}
	know_units(context, NIL, false);
	fingerprints->sum = saved->sum;
	fingerprints->is_settled = true;
	if (setting_observation)
		verify_sum();
	return false;
}

/*
 * What differs from the manifest of the last migration has been changed by
 * somebody else.
 */
static void
read_anew(const SavedFingerprint *saved, bool all_migrated)
{
	List	   *rows = read_manifest(InvalidOid, NIL);
	List	   *saved_rows = read_saved_manifest();
	RowDifferences differences = {0};
	ListCell   *cell;

	know_units(fingerprints->context, rows, true);
	foreach(cell, rows)
		add_to_sum(&fingerprints->sum, lfirst(cell));
	compare_manifests(saved_rows, rows, &differences);
	foreach(cell, differences.gone)
		note_row(&fingerprints->gone, lfirst(cell));
	foreach(cell, differences.added)
		note_row(&fingerprints->added, lfirst(cell));

	/* of another major version, definitions cannot be compared */
	if (all_migrated || saved->server_version != COMPAT_MAJOR_VERSION_NUM)
		return;
	foreach(cell, differences.new_objects)
		note_found("added", lfirst(cell));
	foreach(cell, differences.changed_objects)
		note_found("changed", lfirst(cell));
	foreach(cell, differences.lost_objects)
		note_found("dropped", lfirst(cell));
}

/* In the words of migrate.drift(). */
static void
note_found(const char *what, const ManifestRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(fingerprints->changes);

	fingerprints->found_units = lappend(fingerprints->found_units,
										pstrdup(row->unit));
	fingerprints->found_objects = lappend(fingerprints->found_objects,
										  psprintf("%s: %s %s", what,
												   row->kind, row->identity));
	MemoryContextSwitchTo(old);
}

static void
note_row(List **list, const ManifestRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(fingerprints->changes);

	*list = lappend(*list, copy_row(row));
	MemoryContextSwitchTo(old);
}

/* Nobody could tell what differs from the manifest of the last migration. */
static bool
note_unknown(void *arg)
{
	if (read_saved_fingerprint()->server_version == COMPAT_MAJOR_VERSION_NUM &&
		!saved_manifest_is_current())
		keep_unknown_drift();
	return true;
}

/*
 * The state of the catalog comes first: what commits after that makes another
 * one, should we have missed it.  What it has, we have been told of by the time
 * that all catalogs are read.
 */
static bool
read_changes(void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate fingerprint",
												  ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(context);
	if (fingerprints->expected <= 0)
		fingerprints->catalog_state =
			MemoryContextStrdup(fingerprints->changes, catalog_state());
	AcceptInvalidationMessages();
	look_again(take_touched(visit_units));
	if (setting_observation)
		verify_sum();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return false;
}

/*
 * Transactions that were open at the time of the snapshot of before, or began
 * later, may have been too late for what we have read.
 */
static bool
write_changes(void *arg)
{
	SavedFingerprint saved = {0};
	char	   *snapshot = current_snapshot();

	if (fingerprints->found_objects != NIL)
		keep_found_drift(fingerprints->taken_at, fingerprints->found_units,
						 fingerprints->found_objects);
	if (fingerprints->gone != NIL || fingerprints->added != NIL)
		change_saved_manifest(fingerprints->gone, fingerprints->added);
	saved.sum = fingerprints->sum;
	saved.server_version = COMPAT_MAJOR_VERSION_NUM;
	saved.catalog_state = fingerprints->catalog_state;
	write_saved_fingerprint(&saved, fingerprints->taken_at,
							fingerprints->snapshot);

	fingerprints->snapshot = MemoryContextStrdup(fingerprints->context,
												 snapshot);
	fingerprints->gone = fingerprints->added = NIL;
	fingerprints->found_units = fingerprints->found_objects = NIL;
	fingerprints->catalog_state = NULL;
	MemoryContextReset(fingerprints->changes);
	return true;
}

static bool
look_for_drift(void *arg)
{
	/* what is there before the first migration is what that begins with */
	if (fingerprints->is_first)
		(void) acknowledge_saved_drift();
	*(bool *) arg = drift_is_unacknowledged();
	return fingerprints->is_first;
}

/*
 * Read again what was touched, then what names something that has lost a name
 * by that, and so on.
 */
static void
look_again(Touched *touched)
{
	List	   *objects;

	begin_pass();
	objects = list_concat(look_at_classes(touched), touched->objects);
	while (objects != NIL)
	{
		List	   *wanted = not_seen_in_pass(objects);

		objects = replace_units(wanted, read_objects(wanted));
	}
}

/* Those that are known, and those that are there. */
static List *
look_at_classes(const Touched *touched)
{
	List	   *classes = touched->all ? list_make1_oid(InvalidOid) :
	touched->classes;
	List	   *next = NIL;
	ListCell   *cell;

	foreach(cell, classes)
	{
		List	   *rows = read_manifest(lfirst_oid(cell), NIL);

		next = list_concat(next,
						   replace_units(not_seen_of_class(lfirst_oid(cell),
														   rows), rows));
	}
	return touched->all ? NIL : next;
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

/*
 * Put rows in the place of what their objects had; one that is without any is
 * gone.  Returns the objects that have to be looked at because of that, a list
 * of TouchedObject.
 */
static List *
replace_units(List *objects, List *rows)
{
	HTAB	   *found = rows_by_object(rows);
	List	   *renamed = NIL;
	List	   *relations = NIL;
	ListCell   *cell;

	foreach(cell, objects)
	{
		TouchedObject *object = lfirst(cell);
		List	   *after = rows_of_object(found, object);
		List	   *before = rows_of_unit(object);

		if (!compare_rows(before, after))
			continue;
		if (before != NIL && after != NIL)
		{
			if (name_is_lost(before, after))
				renamed = lappend(renamed, object);
			else if (object->classid == RelationRelationId)
				relations = lappend(relations, object);
		}
		set_rows_of_unit(object, after);
	}
	hash_destroy(found);
	return list_concat(dependents_of(renamed), views_of(relations));
}

/* Note the differences, in the sum and for the table.  False: there are none. */
static bool
compare_rows(List *before, List *after)
{
	bool		differ = false;
	ListCell   *cell;

	foreach(cell, before)
	{
		ManifestRow *row = lfirst(cell);

		if (has_row(after, row))
			continue;
		take_from_sum(&fingerprints->sum, row);
		note_row(&fingerprints->gone, row);
		differ = true;
	}
	foreach(cell, after)
	{
		ManifestRow *row = lfirst(cell);

		if (has_row(before, row))
			continue;
		add_to_sum(&fingerprints->sum, row);
		note_row(&fingerprints->added, row);
		differ = true;
	}
	return differ;
}

/*
 * For developers: the short way must come to the same as the long one.  What
 * others have committed between the two is not missing from the first one, and
 * is noticed when that is gone again.
 */
static void
verify_sum(void)
{
	List	   *rows = read_manifest(InvalidOid, NIL);

	for (int looks = 0; !is_sum_of(rows); looks++)
	{
		if (looks == VERIFY_LOOKS)
		{
			report_unnoticed(rows);
			return;
		}
		look_again(take_touched(visit_units));
		rows = read_manifest(InvalidOid, NIL);
	}
}

static bool
is_sum_of(List *rows)
{
	ManifestSum sum = {0};
	ListCell   *cell;

	foreach(cell, rows)
		add_to_sum(&sum, lfirst(cell));
	return memcmp(&sum, &fingerprints->sum, sizeof(sum)) == 0;
}

static void
report_unnoticed(List *rows)
{
	StringInfoData differences;
	ListCell   *cell;

	initStringInfo(&differences);
	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);

		if (!has_row(rows_of_unit_of(row), row))
			appendStringInfo(&differences, " %s %s", row->kind, row->identity);
	}
	ereport(LOG,
			(errmsg("safe_migrate mismatch: fingerprint, the change was not noticed:%s",
					differences.len > 0 ? differences.data :
					" something is gone")));
}

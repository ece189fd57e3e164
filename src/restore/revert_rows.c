/*-------------------------------------------------------------------------
 *
 * revert_rows.c
 *	  Putting rows back that migrations have changed.
 *
 * An image tells where the row was before its transaction.  A transaction
 * before that one knows the row by that place, so when several are undone it
 * has to be remembered where each row is by now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "preserve/changed_rows.h"
#include "preserve/row_images.h"
#include "restore/revert_rows.h"
#include "restore/row_target.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Big enough to begin with; it grows. */
#define INITIAL_MOVED_ROWS	1024

/* Where a row is that an older transaction knows by another place. */
typedef struct MovedRow
{
	ItemPointerData old_tid;	/* the key */
	ItemPointerData tid;
	TransactionId maker;		/* of what was there: VACUUM may have given
								 * the place to another row in between */
	bool		was_kept;		/* a conflict: it stays what it is */
} MovedRow;

/* A file of which rows are put back. */
typedef struct RevertTarget
{
	RevertedFile *file;
	RowTarget  *rows;			/* NULL until there is an image */
	HTAB	   *moved;			/* of MovedRow; NULL if nobody will ask */

	/* only when rows are counted: those that would be gone, by TID */
	HTAB	   *gone;
} RevertTarget;

typedef struct Revert
{
	List	   *targets;		/* of RevertTarget * */
	RowConflict on_conflict;
	bool		count_only;
	bool		is_last;		/* no older transaction follows */
	ChangedRows *transaction;	/* the one that is undone */
} Revert;

static void revert_transaction(Revert *revert);
static RevertTarget *find_target(Revert *revert, Oid relid, Oid filenode);
static void open_target(Revert *revert, RevertTarget *target);
static HTAB *make_tid_table(Size entry_size);
static void revert_file(Revert *revert, RevertTarget *target,
						RowImageReader *reader);
static void revert_update(Revert *revert, RevertTarget *target,
						  RowImage *image);
static void revert_delete(Revert *revert, RevertTarget *target,
						  RowImage *image);
static void revert_insert(Revert *revert, RevertTarget *target,
						  RowImage *image);
static RowState find_row(Revert *revert, RevertTarget *target,
						 const RowImage *image, ItemPointer tid,
						 bool *was_kept);
static bool settle_conflict(Revert *revert, RevertTarget *target,
							const RowImage *image);
static void put_back(Revert *revert, RevertTarget *target, RowImage *image,
					 ItemPointer over);
static void remember_row(RevertTarget *target, const RowImage *image,
						 const ItemPointerData *tid, bool was_kept);
static void remember_gone(RevertTarget *target, ItemPointer tid);

/*
 * See revert_rows.h.
 */
void
revert_rows(List *ids, List *files, RowConflict on_conflict, bool count_only)
{
	Revert		revert = {NIL, on_conflict, count_only};
	ListCell   *cell;

	foreach(cell, files)
	{
		RevertTarget *target = palloc0(sizeof(RevertTarget));

		target->file = lfirst(cell);
		revert.targets = lappend(revert.targets, target);
	}
	foreach(cell, ids)
	{
		revert.transaction = find_changed_rows(*(int64 *) lfirst(cell));
		revert.is_last = lnext(ids, cell) == NULL;
		revert_transaction(&revert);
	}
	foreach(cell, revert.targets)
	{
		RevertTarget *target = lfirst(cell);

		if (target->rows == NULL)
			continue;
		check_row_target(target->rows);
		close_row_target(target->rows);
	}
}

static void
revert_transaction(Revert *revert)
{
	RowImageReader *reader = begin_reading_images(revert->transaction->holder);
	Oid			relid;
	Oid			filenode;

	while (read_file_images(reader, &relid, &filenode))
	{
		RevertTarget *target = find_target(revert, relid, filenode);

		if (target == NULL)
			continue;
		open_target(revert, target);
		if (revert->count_only)
			revert_file(revert, target, reader);
		else
		{
			begin_row_writes(target->rows);
			revert_file(revert, target, reader);
			end_row_writes(target->rows);
		}
	}
	end_reading_images(reader);

	/* the next one writes over what this one has written */
	if (!revert->count_only)
		CommandCounterIncrement();
}

static RevertTarget *
find_target(Revert *revert, Oid relid, Oid filenode)
{
	ListCell   *cell;

	foreach(cell, revert->targets)
	{
		RevertTarget *target = lfirst(cell);

		if (target->file->relid == relid &&
			target->file->filenode == filenode)
			return target;
	}
	return NULL;
}

static void
open_target(Revert *revert, RevertTarget *target)
{
	if (target->rows == NULL)
	{
		Oid			relid = revert->count_only ? target->file->place :
		target->file->relid;

		target->rows = open_row_target(relid, target->file->filenode,
									   target->file->rollbacks,
									   !revert->count_only);
	}
	if (target->moved == NULL && !revert->is_last)
		target->moved = make_tid_table(sizeof(MovedRow));
	if (target->gone == NULL && revert->count_only)
		target->gone = make_tid_table(sizeof(ItemPointerData));
}

static HTAB *
make_tid_table(Size entry_size)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(ItemPointerData);
	control.entrysize = entry_size;
	control.hcxt = CurrentMemoryContext;
	return hash_create("safe_migrate reverted rows", INITIAL_MOVED_ROWS,
					   &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
revert_file(Revert *revert, RevertTarget *target, RowImageReader *reader)
{
	RowImage	image;

	while (read_row_image(reader, &image))
	{
		switch (image.change)
		{
			case ROW_UPDATED:
				revert_update(revert, target, &image);
				break;
			case ROW_DELETED:
				revert_delete(revert, target, &image);
				break;
			case ROW_INSERTED:
				revert_insert(revert, target, &image);
				break;
		}
	}
}

static void
revert_update(Revert *revert, RevertTarget *target, RowImage *image)
{
	ItemPointerData tid;
	bool		was_kept;

	switch (find_row(revert, target, image, &tid, &was_kept))
	{
		case ROW_AS_LEFT:
			if (was_kept)
			{
				remember_row(target, image, &tid, true);
				return;
			}
			target->file->updated++;
			if (image->new_key != NULL)
				remember_gone(target, &tid);
			put_back(revert, target, image, &tid);
			return;
		case ROW_CHANGED_SINCE:
			if (settle_conflict(revert, target, image))
				put_back(revert, target, image, &tid);
			return;
		case ROW_NOT_FOUND:
			if (settle_conflict(revert, target, image))
				put_back(revert, target, image, NULL);
			return;
	}
}

/* A row may have got the key of one that was deleted. */
static void
revert_delete(Revert *revert, RevertTarget *target, RowImage *image)
{
	ItemPointerData tid;
	RowState	state = find_row_instead(target->rows, revert->transaction,
										 image->old_row, &tid);

	if (state == ROW_CHANGED_SINCE &&
		(target->gone == NULL ||
		 hash_search(target->gone, &tid, HASH_FIND, NULL) == NULL))
	{
		if (settle_conflict(revert, target, image))
			put_back(revert, target, image, &tid);
		return;
	}
	target->file->deleted++;
	put_back(revert, target, image, NULL);
}

/* If a client has deleted the row since, there is nothing to do. */
static void
revert_insert(Revert *revert, RevertTarget *target, RowImage *image)
{
	ItemPointerData tid;
	bool		was_kept;

	switch (find_row(revert, target, image, &tid, &was_kept))
	{
		case ROW_AS_LEFT:
			if (was_kept)
				return;
			target->file->inserted++;
			remember_gone(target, &tid);
			break;
		case ROW_CHANGED_SINCE:
			if (!settle_conflict(revert, target, image))
				return;
			break;
		case ROW_NOT_FOUND:
			return;
	}
	if (!revert->count_only)
		take_row(target->rows, &tid);
}

/* was_kept tells that a conflict with a later transaction was settled so. */
static RowState
find_row(Revert *revert, RevertTarget *target, const RowImage *image,
		 ItemPointer tid, bool *was_kept)
{
	*was_kept = false;
	if (target->moved != NULL)
	{
		MovedRow   *moved = hash_search(target->moved, &image->new_tid,
										HASH_FIND, NULL);

		if (moved != NULL &&
			has_made_version(revert->transaction, moved->maker))
		{
			*tid = moved->tid;
			*was_kept = moved->was_kept;
			return ROW_AS_LEFT;
		}
	}
	return find_written_row(target->rows, revert->transaction, image, tid);
}

/* Returns true if the row is to be put back all the same. */
static bool
settle_conflict(Revert *revert, RevertTarget *target, const RowImage *image)
{
	target->file->conflicts++;
	if (!revert->count_only)
	{
		switch (revert->on_conflict)
		{
			case ROW_CONFLICT_REFUSE:
				ereport(ERROR,
						(errcode(ERRCODE_SM_CANNOT_UNDO),
						 errmsg("rows of table %s were changed again after the migration; pass on_conflict := 'keep' to leave them, or 'restore' to put them back",
								relation_display_name(target->file->relid))));
			case ROW_CONFLICT_KEEP:
				break;
			case ROW_CONFLICT_RESTORE:
				return true;
		}
	}
	if (image->old_row != NULL)
		remember_row(target, image, &image->old_tid, true);
	return false;
}

/* Put an image back, over a row or as a new one. */
static void
put_back(Revert *revert, RevertTarget *target, RowImage *image,
		 ItemPointer over)
{
	ItemPointerData tid = over ? *over : image->old_tid;

	if (!revert->count_only)
	{
		if (over != NULL)
			put_row_over(target->rows, over, image->old_row, &tid);
		else
			put_row(target->rows, image->old_row, &tid);
	}
	if (!revert->is_last)
		remember_row(target, image, &tid, false);
}

static void
remember_row(RevertTarget *target, const RowImage *image,
			 const ItemPointerData *tid, bool was_kept)
{
	MovedRow   *moved;

	if (target->moved == NULL)
		return;
	moved = hash_search(target->moved, &image->old_tid, HASH_ENTER, NULL);
	moved->tid = *tid;
	moved->maker = HeapTupleHeaderGetRawXmin(image->old_row->t_data);
	moved->was_kept = was_kept;
}

static void
remember_gone(RevertTarget *target, ItemPointer tid)
{
	if (target->gone != NULL)
		(void) hash_search(target->gone, tid, HASH_ENTER, NULL);
}

/*-------------------------------------------------------------------------
 *
 * column_default.h
 *	  What a column gets from an INSERT that does not name it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COLUMN_DEFAULT_H
#define SAFE_MIGRATE_COLUMN_DEFAULT_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/*
 * Expressions, not planned, of the type of the column: its own default, and for
 * a partition those of the given ancestors, since an INSERT takes that of the
 * table that it names.  NIL if all of them are null.  Of the identity of an
 * ancestor it stands for only that it is volatile: it cannot be executed.
 *
 * The relation must be open and locked; its ancestors need not be.  In the
 * current memory context.
 */
extern List *possible_defaults(Relation rel, AttrNumber attnum,
							   List *ancestors);

#endif							/* SAFE_MIGRATE_COLUMN_DEFAULT_H */

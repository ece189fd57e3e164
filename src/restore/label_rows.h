/*-------------------------------------------------------------------------
 *
 * label_rows.h
 *	  The catalog rows about one table, as they were at a restore point.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LABEL_ROWS_H
#define SAFE_MIGRATE_LABEL_ROWS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/storage.h"

typedef enum LabelCatalog
{
	LABEL_ATTRIBUTES,
	LABEL_INDEXES,
	LABEL_EXPRESSIONS
} LabelCatalog;

#define LABEL_CATALOGS	(LABEL_EXPRESSIONS + 1)

/* What was read of a restore point, by table. */
struct LabelRows
{
	MemoryContext context;
	HTAB	   *by_table[LABEL_CATALOGS];	/* NULL: not yet */
};

/*
 * What these remember of a restore point, in the current memory context.  Reads
 * nothing yet.
 */
extern LabelRows *begin_label_rows(void);

/*
 * Rows of pg_attribute, pg_index and pg_attrdef: of HeapTuple.  All of a catalog
 * are read once and stay where begin_label_rows() was; only the list is in the
 * current memory context.  What the point of a statement does not have is as it
 * is now.
 */
extern List *label_attributes(const RestoreTarget *target, Oid relid);
extern List *label_indexes(const RestoreTarget *target, Oid relid);
extern List *label_expressions(const RestoreTarget *target, Oid relid);

#endif							/* SAFE_MIGRATE_LABEL_ROWS_H */

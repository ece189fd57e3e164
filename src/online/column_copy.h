/*-------------------------------------------------------------------------
 *
 * column_copy.h
 *	  What belongs to a column, made for the one that takes its place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COLUMN_COPY_H
#define SAFE_MIGRATE_COLUMN_COPY_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct ColumnCopy
{
	List	   *start;
	List	   *builds;
	List	   *contract_before;
	List	   *contract_after;
	List	   *refused;
} ColumnCopy;

extern ColumnCopy *plan_column_copy(Oid relid, AttrNumber old_column,
									const char *new_name, Oid new_type,
									int32 new_typmod, Oid new_collation,
									int64 change_id);

#endif							/* SAFE_MIGRATE_COLUMN_COPY_H */

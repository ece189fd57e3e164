/*-------------------------------------------------------------------------
 *
 * old_shapes.h
 *	  What clients have written after the contract of an online change that is
 *	  taken back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OLD_SHAPES_H
#define SAFE_MIGRATE_OLD_SHAPES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/*
 * Where triggers of online changes come back: give the columns of the old shape
 * the values that the triggers would have given them, in rows whose new shape
 * is not what the old one says, because it was written while there was no
 * trigger.  A NOTICE tells how many, and a WARNING where there is no expression
 * for the old shape.  By the differences that have been restored; tables that
 * were dropped have no such rows.  Reads each of those tables once, with the
 * rights of its owner; throws what the expressions throw.  To be called with
 * session_replication_role = replica, and the triggers silenced.  Returns
 * changed_tables with those that were written to, as OIDs.
 */
extern List *fill_old_shapes(List *differences, HTAB *relations,
							 List *changed_tables);

#endif							/* SAFE_MIGRATE_OLD_SHAPES_H */

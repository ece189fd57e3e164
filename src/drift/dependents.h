/*-------------------------------------------------------------------------
 *
 * dependents.h
 *	  Objects whose definitions name others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DEPENDENTS_H
#define SAFE_MIGRATE_DEPENDENTS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Objects whose definitions may name one of these, or a column of it, and only
 * the views that show one of these relations.  Lists of TouchedObject; the
 * result is in the current memory context.  Run SQL with the rights of the
 * extension's owner, unless there is nothing to ask.
 */
extern List *dependents_of(List *objects);
extern List *views_of(List *relations);

#endif							/* SAFE_MIGRATE_DEPENDENTS_H */

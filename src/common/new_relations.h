/*-------------------------------------------------------------------------
 *
 * new_relations.h
 *	  Relations that the deploy which is running has made.
 *
 * To a migration they are as new as those of its own transaction: nobody but
 * the migrations before it has put anything into them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_NEW_RELATIONS_H
#define SAFE_MIGRATE_NEW_RELATIONS_H

#include "postgres.h"

/*
 * Begin and end to remember the relations that this session makes.  The end
 * forgets them, and must be reached on every path.
 */
extern void begin_new_relations(void);
extern void end_new_relations(void);

/* Costs nothing where nothing is remembered. */
extern bool relation_is_remembered(Oid relid);

#endif							/* SAFE_MIGRATE_NEW_RELATIONS_H */

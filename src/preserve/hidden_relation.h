/*-------------------------------------------------------------------------
 *
 * hidden_relation.h
 *	  Heaps of ours that no client, dump, publication or VACUUM FULL sees.
 *
 * Their kind is that of TOAST tables, which pg_dump, publications, ANALYZE and
 * the statements on tables leave alone, while the autovacuum against
 * wraparound takes care of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_HIDDEN_RELATION_H
#define SAFE_MIGRATE_HIDDEN_RELATION_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "nodes/pg_list.h"

/*
 * Make an empty one in the schema of the extension, and return its OID.  It
 * belongs to the owner of the extension, is a member of it and has no
 * privileges.  The types of the columns may be dropped later, since nothing
 * depends on them.  AccessExclusiveLock is held on it to the end of the
 * transaction; a CommandCounterIncrement() makes it visible.
 */
extern Oid	create_hidden_relation(const char *name, TupleDesc columns);

/*
 * What pg_class.reloptions says of one: nothing is ever dead in there, so that
 * only the vacuum against wraparound comes, which heeds no such option.
 */
extern Datum hidden_relation_options(void);

/*
 * Remove one, with its hidden TOAST table and indexes.  Takes
 * AccessExclusiveLock.
 */
extern void drop_hidden_relation(Oid relid);

/*
 * Remove the catalog rows of one, be it an index, which leaves those of its
 * TOAST table and indexes.  Its file goes at commit if with_file; otherwise it
 * stays, and is the caller's.  Takes AccessExclusiveLock.
 */
extern void remove_hidden_relation(Oid relid, bool with_file);

/*
 * OIDs of the indexes of one.  The relation cache's list would leave out what is
 * not live.
 */
extern List *hidden_indexes(Oid relid);

#endif							/* SAFE_MIGRATE_HIDDEN_RELATION_H */

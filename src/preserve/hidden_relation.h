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

/*
 * Make an empty one in the schema of the extension, and return its OID.  It
 * belongs to the owner of the extension, is a member of it and has no
 * privileges.  The types of the columns may be dropped later, since nothing
 * depends on them.  AccessExclusiveLock is held on it to the end of the
 * transaction; a CommandCounterIncrement() makes it visible.
 */
extern Oid	create_hidden_relation(const char *name, TupleDesc columns);

/*
 * Remove the catalog rows of one, and of its hidden TOAST table and indexes.
 * The files go at commit if with_files; otherwise they stay, and are the
 * caller's.  Takes AccessExclusiveLock.
 */
extern void drop_hidden_relation(Oid relid, bool with_files);

#endif							/* SAFE_MIGRATE_HIDDEN_RELATION_H */

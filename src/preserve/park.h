/*-------------------------------------------------------------------------
 *
 * park.h
 *	  Keeping the files that a DROP, TRUNCATE or rewrite would remove.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PARK_H
#define SAFE_MIGRATE_PARK_H

#include "postgres.h"

#include "access/htup.h"
#include "access/transam.h"
#include "common/compat.h"
#include "nodes/pg_list.h"

/* A row of migrate.parked_storage. */
typedef struct ParkedFile
{
	Oid			holder;			/* the hidden relation that owns it */
	Oid			relid;			/* whose it was */
	Oid			main_relid;		/* of TOAST and indexes: the table; else relid */
	char		kind;			/* relkind of relid */
	Oid			tablespace;		/* as reltablespace: 0 is the database's */
	RelFileNumber filenode;
	const char *cause;			/* dropped, truncated, rewritten, rolled back */
	FullTransactionId xid;		/* of who parked it */
	bool		by_migration;
	bool		emptied;		/* by TRUNCATE */
	bool		rows_deleted;	/* by the same transaction */
	bool		columns_computed;	/* it has changed types with USING */
	bool		types_changed;	/* or without */
	bool		rows_changed;	/* it has also changed rows of the relation */
	bool		changed_behind; /* rows of the file that came in its place */
	int64		bytes;			/* of all its forks, when it was parked */
} ParkedFile;

/*
 * At the end of a transaction, before its commit or PREPARE: have hidden
 * relations own the files that are about to be unlinked and that a restore
 * point needs.  Returns their size in bytes.  Needs a transaction; locks no
 * table of anybody; throws if the catalogs cannot be written.
 *
 * The files of an index or of TOAST are kept with those of their table, or not
 * at all.  An index is left out if it may not match the file of the table, or
 * if what it calls is gone.
 */
extern int64 park_storage(bool by_migration);

/*
 * Have park_storage() keep all files of users' tables that this transaction
 * does away with.  A transaction ID is assigned.
 */
extern void want_all_files(void);

/* True if this transaction has said so. */
extern bool all_files_are_wanted(void);

/*
 * All of them, as ParkedFile *, in the current memory context, without those
 * whose holder is gone with an operator class.
 */
extern List *parked_files(void);

/*
 * Remove a holder and its row in migrate.parked_storage, and leave the file: it
 * is the caller's to put into another row of pg_class.  Returns a copy of the
 * holder's row of pg_class, of which relfrozenxid, relminmxid, relpages,
 * reltuples and relallvisible go with the file, in the current memory context.
 * TOAST and indexes have holders of their own, which the caller is to take or
 * to drop as well, in any order.  Takes AccessExclusiveLock on the holder;
 * throws if there is none.
 */
extern HeapTuple take_parked_file(Oid holder);

/*
 * Remove a holder with its TOAST table and indexes, and their rows in
 * migrate.parked_storage; the files go at commit.  Takes AccessExclusiveLock on
 * them.  Does nothing but forget the row if the holder is gone.
 */
extern void drop_parked_file(Oid holder);

#endif							/* SAFE_MIGRATE_PARK_H */

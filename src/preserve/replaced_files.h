/*-------------------------------------------------------------------------
 *
 * replaced_files.h
 *	  Which transactions have given a table another file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_REPLACED_FILES_H
#define SAFE_MIGRATE_REPLACED_FILES_H

#include "postgres.h"

/*
 * At the end of a transaction that has done so: a row in migrate.replaced_files.
 * To be called between begin_own_access() and end_own_access().
 */
extern void record_replaced_file(Oid relid, bool by_migration,
								 bool is_truncate);

/* True if this transaction has rewritten a table and changed its rows then. */
extern bool file_is_changed_behind(Oid relid);

/*
 * It is not so, for that was before; or what it has changed is known: say so in
 * its row.
 */
extern void note_unchanged_behind(Oid relid);

/* Those that came before all restore points. */
extern void forget_replaced_files(void);

/*
 * True if this transaction has changed, or deleted, rows of a table; before or
 * after the file was replaced is not known.
 */
extern bool rows_were_changed(Oid relid);
extern bool rows_were_deleted(Oid relid);

#endif							/* SAFE_MIGRATE_REPLACED_FILES_H */

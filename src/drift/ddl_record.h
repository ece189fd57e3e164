/*-------------------------------------------------------------------------
 *
 * ddl_record.h
 *	  The record of schema changes that do not come from a migration.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DDL_RECORD_H
#define SAFE_MIGRATE_DDL_RECORD_H

#include "postgres.h"

#include "nodes/nodes.h"

typedef struct DdlRecord DdlRecord;

/*
 * Before a statement that changes the schema: remember who sends it, and
 * watch what it touches.  source is its text.  The memory is not that of the
 * transaction, which may end on the way.  To be followed by one of the next
 * two, in the reverse order.
 */
extern DdlRecord *begin_ddl_record(Node *statement, const char *source);

/*
 * It has run: write a row to migrate.ddl_log, in the transaction that is open
 * now, unless nothing was changed, or only what does not count.  reason is
 * that of an override, or NULL.  Runs SQL with the rights of the extension's
 * owner.
 */
extern void end_ddl_record(DdlRecord *record, const char *reason);

/*
 * The statement was not run, but something else that has a record of its own:
 * to be called before end_ddl_record(), which then writes nothing.
 */
extern void disregard_ddl_record(void);

/* It has failed.  Throws nothing. */
extern void abandon_ddl_record(DdlRecord *record);

#endif							/* SAFE_MIGRATE_DDL_RECORD_H */

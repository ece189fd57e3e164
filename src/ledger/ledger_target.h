/*-------------------------------------------------------------------------
 *
 * ledger_target.h
 *	  The history of one of many schemas.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LEDGER_TARGET_H
#define SAFE_MIGRATE_LEDGER_TARGET_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

/*
 * Call a function of ours, with the arguments that it was called with, on the
 * history of the schema that argument number n, from 0, names.  Without such
 * an argument, or where it is NULL or empty, that is the history of the
 * database.
 */
extern Datum call_on_target(FunctionCallInfo fcinfo, int n, PGFunction work);

/*
 * A call of one of our functions for a version in the history that
 * ledger_target_schema() tells, as a user has to write it.  palloc'd.
 */
extern char *target_call(const char *function, const char *version);

/*
 * Throw if the current role could not run a migration in that schema: what is
 * meant for it would be made in public.  Nor where the schema was dropped and
 * made anew.  Needs a transaction.
 */
extern void require_target_schema(void);

/* Have names of a migration looked for in that schema first, then in public. */
extern void enter_target_search_path(GucAction action);

#endif							/* SAFE_MIGRATE_LEDGER_TARGET_H */

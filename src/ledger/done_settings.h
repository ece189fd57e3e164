/*-------------------------------------------------------------------------
 *
 * done_settings.h
 *	  Settings made by the part of a migration that has run already.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DONE_SETTINGS_H
#define SAFE_MIGRATE_DONE_SETTINGS_H

#include "ledger/migration_script.h"

/* Lists of ScriptStatement, in the order of the script. */
typedef struct DoneSettings
{
	List	   *lasting;		/* that outlive their transaction */
	List	   *open;			/* all of a transaction that was divided */
} DoneSettings;

/*
 * What an earlier attempt has set went with its session, but the statements to
 * come count on it: run these again before the first of them, first the
 * lasting ones, then, in the transaction of that statement, the open ones.
 * Only SET, RESET and set_config() with constants are among them, which do
 * nothing else.  Both are NIL if all of the script has run, or nothing.
 * Allocated in the current memory context.
 */
extern DoneSettings settings_of_done_part(const MigrationScript *script);

#endif							/* SAFE_MIGRATE_DONE_SETTINGS_H */

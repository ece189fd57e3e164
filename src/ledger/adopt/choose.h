/*-------------------------------------------------------------------------
 *
 * choose.h
 *	  The ledger that somebody wants to adopt.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ADOPT_CHOOSE_H
#define SAFE_MIGRATE_ADOPT_CHOOSE_H

#include "ledger/adopt/adopt.h"

/*
 * The only ledger of a tool, or of any (NULL), or the one that is named; it is
 * readable.  If there is none, one that was adopted before and is gone since.
 * Throws SM008 if there is none, or several, and SM009 if the
 * current role may not read it.
 */
extern ForeignLedger *choose_foreign_ledger(const char *tool, Oid relid);

#endif							/* SAFE_MIGRATE_ADOPT_CHOOSE_H */

/*-------------------------------------------------------------------------
 *
 * settle.h
 *	  Writing down what a ledger of another tool says.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ADOPT_SETTLE_H
#define SAFE_MIGRATE_ADOPT_SETTLE_H

#include "ledger/adopt/adopt.h"

typedef struct AdoptResult
{
	const char *version;
	const char *name;			/* or NULL */
	const char *state;
	const char *message;
} AdoptResult;

/*
 * The rows of a ledger as they are now, live, and in the archive: of those in
 * both, the live ones, with what the archive knows of them.  *vanished: what
 * only the archive has, though its migration was found.  Reads the archive.
 */
extern List *join_with_archive(const ForeignLedger *ledger, List *live,
							   List **vanished);

/*
 * Take over what a ledger says, as a list of AdoptResult of what is new; the
 * lock of the ledger is held.  Throws, with nothing written, SM003 if a file
 * is not what its tool has applied, unless the files are to be accepted as
 * they are, and SM008 if the tool is at work or has left something half done.
 */
extern List *adopt_ledger(const ForeignLedger *ledger, bool accept_edited);

/*
 * The same when something is about to run, of a ledger that was adopted: what
 * it does not list any more is only warned of.
 */
extern List *adopt_ledger_news(const ForeignLedger *ledger);

#endif							/* SAFE_MIGRATE_ADOPT_SETTLE_H */

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
 * lock of the ledger is held.  Throws SM003, with nothing written, if a file
 * is not what its tool has applied, unless the files are to be accepted as
 * they are; SM008 if the tool is at work or has left something half done.
 */
extern List *adopt_ledger(const ForeignLedger *ledger, bool accept_edited);

/*
 * The same for a ledger that was adopted before, when something is about to
 * run: a file that differs is written down as edited.  A ledger that is gone
 * says nothing new.
 */
extern List *adopt_ledger_news(const ForeignLedger *ledger);

#endif							/* SAFE_MIGRATE_ADOPT_SETTLE_H */

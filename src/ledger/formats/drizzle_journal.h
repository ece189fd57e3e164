/*-------------------------------------------------------------------------
 *
 * drizzle_journal.h
 *	  The list of migrations that drizzle-kit keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DRIZZLE_JOURNAL_H
#define SAFE_MIGRATE_DRIZZLE_JOURNAL_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct JournalEntry
{
	char	   *tag;			/* NULL if there is none */
	int			line;			/* at which the entry begins */
} JournalEntry;

typedef struct Journal
{
	char	   *dialect;		/* NULL if there is none */
	int			dialect_line;	/* or 1 */
	List	   *entries;		/* of JournalEntry */
} Journal;

/* Throws SM008, with path and line, if the text is no JSON. */
extern Journal *read_journal(const char *path, char *text);

#endif							/* SAFE_MIGRATE_DRIZZLE_JOURNAL_H */

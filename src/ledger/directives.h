/*-------------------------------------------------------------------------
 *
 * directives.h
 *	  What comments in the text of a migration ask for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DIRECTIVES_H
#define SAFE_MIGRATE_DIRECTIVES_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* What the directives of a migration come to; all but "override". */
typedef struct MigrationDirectives
{
	bool		no_transaction; /* every statement by itself */
	bool		out_of_order;	/* may run although a later one is applied */
	List	   *requires;		/* of char *, versions */
} MigrationDirectives;

/*
 * Read the directives of a text.  Throws SM008, with the line, for one that is
 * not known, is in a place where it does not count, or has no value where one
 * is needed, or one too many; origin names the text in messages.  Throws the
 * scanner's syntax errors.  Allocated in the current memory context; costs
 * next to nothing for a text without directives.
 */
extern MigrationDirectives read_directives(const char *body, int first_line,
										   const char *origin);

#endif							/* SAFE_MIGRATE_DIRECTIVES_H */

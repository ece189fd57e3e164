/*-------------------------------------------------------------------------
 *
 * liquibase_attributes.h
 *	  What a changeset says of itself behind its author and id.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LIQUIBASE_ATTRIBUTES_H
#define SAFE_MIGRATE_LIQUIBASE_ATTRIBUTES_H

#include "postgres.h"

typedef struct LiquibaseAttributes
{
	bool		in_transaction;
	bool		repeatable;
	bool		skipped;		/* for another database, or to be ignored */
} LiquibaseAttributes;

/*
 * Read "key:value" pairs of a line of a file.  Throws SM008 for those whose
 * meaning cannot be kept, and those that are not known.
 */
extern LiquibaseAttributes read_liquibase_attributes(const char *path, int line,
													 char *text);

#endif							/* SAFE_MIGRATE_LIQUIBASE_ATTRIBUTES_H */

/*-------------------------------------------------------------------------
 *
 * enum_use.h
 *	  Use of an enum value in the transaction that added it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ENUM_USE_H
#define SAFE_MIGRATE_ENUM_USE_H

#include "postgres.h"

#include "common/script.h"
#include "nodes/pg_list.h"

/* What the statements seen so far have done to enum types; zero at first. */
typedef struct EnumHistory
{
	List	   *new_types;		/* made by the statements, names */
	List	   *new_values;		/* of EnumValue */
	List	   *columns;		/* of EnumColumn */
} EnumHistory;

/* A value that must not be used before a commit. */
typedef struct EnumValue
{
	char	   *type;
	char	   *label;
	const char *migration;		/* that added it */
} EnumValue;

/*
 * Look at the next statement of a migration.  Returns the value that it uses
 * too early, or NULL.  Must be called with a memory context that lives as
 * long as the history.
 */
extern const EnumValue *look_for_enum_use(EnumHistory *history,
										  const char *migration,
										  const ScriptStatement *statement);

#endif							/* SAFE_MIGRATE_ENUM_USE_H */

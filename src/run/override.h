/*-------------------------------------------------------------------------
 *
 * override.h
 *	  The reason to let a statement pass, and how long it holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OVERRIDE_H
#define SAFE_MIGRATE_OVERRIDE_H

#include "nodes/plannodes.h"

#define OVERRIDE_SETTING "safe_migrate.override"

/*
 * The reason that counts for a statement, or NULL: the setting, or a comment
 * before or in the statement, which counts only for a role that may change the
 * setting.  *refused becomes why a reason given does not count, or stays as it
 * is.  Not a copy.
 */
extern const char *find_valid_override(PlannedStmt *pstmt,
									   const char *query_string,
									   const char **refused);

/* The same as a copy, palloc'd. */
extern char *override_reason(PlannedStmt *pstmt, const char *query_string);

/* A statement was judged: the override ends with the transaction. */
extern void use_override(void);

/* Called from _PG_init: an override ends with its transaction. */
extern void register_override_callback(void);

#endif							/* SAFE_MIGRATE_OVERRIDE_H */

/*-------------------------------------------------------------------------
 *
 * destruction.h
 *	  Statements that destroy something, typed by anybody.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DESTRUCTION_H
#define SAFE_MIGRATE_DESTRUCTION_H

#include "postgres.h"

#include "common/object_watch.h"
#include "nodes/parsenodes.h"

/* A statement of which it is being found out whether it destroys something. */
typedef struct Destruction
{
	ObjectWatch watch;
	bool		found;
} Destruction;

/*
 * True for a statement that may destroy what a point of its own can bring back:
 * DROP of anything but an index, a database, a role or a tablespace, TRUNCATE,
 * DROP OWNED, and ALTER with DROP COLUMN.  begin_destruction() is for one at top
 * level, and false in a migration.  If it is true the statement is watched, until
 * end_destruction() is called, on every path.  After that *destruction tells
 * whether it has dropped something that is not temporary, or was a TRUNCATE; what
 * is done in steps is told in another way, see begin_stepped_statement().  Needs
 * a transaction that is not aborted.
 */
extern bool statement_may_destroy(Node *statement);
extern bool begin_destruction(Destruction *destruction, Node *statement);
extern void end_destruction(Destruction *destruction);

/*
 * What has been dropped in the statement that is watched, if one is, was rolled
 * back again.
 */
extern void disregard_destruction(void);

/*
 * True for ALTER COLUMN TYPE; *is_computed: with a USING that is more than the
 * cast which there is without.
 */
extern bool changes_type(Node *statement, bool *is_computed);

#endif							/* SAFE_MIGRATE_DESTRUCTION_H */

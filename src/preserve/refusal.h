/*-------------------------------------------------------------------------
 *
 * refusal.h
 *	  What must not be done while restore points are there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_REFUSAL_H
#define SAFE_MIGRATE_REFUSAL_H

#include "postgres.h"

#include "nodes/nodes.h"

/*
 * Throws SM007 for a DROP of our extension, by name, with its schema or by DROP OWNED, while
 * there are restore points, or what they have kept, or triggers that carry the
 * values of dropped columns.  Looks at the tree, and only then at tables.
 */
extern void refuse_to_lose_restore_points(Node *statement);

/*
 * To be called from _PG_init of a server that pg_upgrade has started: every
 * query in a database with restore points throws, since the image of a catalog
 * is that of one version.
 */
extern void install_upgrade_refusal(void);

#endif							/* SAFE_MIGRATE_REFUSAL_H */

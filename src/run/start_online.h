/*-------------------------------------------------------------------------
 *
 * start_online.h
 *	  Starting an online change instead of running a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_START_ONLINE_H
#define SAFE_MIGRATE_START_ONLINE_H

#include "run/rewrite.h"
#include "tcop/cmdtag.h"

typedef struct OnlineStart OnlineStart;

/*
 * The start of the online change that does a statement, if the policy asks for
 * that and there is one; NULL otherwise, and no finding has the action "online"
 * any more.  It is in a memory context that lives as long as the current
 * portal.
 */
extern OnlineStart *choose_online(const RewriteSource *source);

/*
 * Start it, in the current transaction, and complete *qc, which may be NULL,
 * with the tag of the statement.  Throws what the change is refused for.
 */
extern void start_online(OnlineStart *start, CommandTag tag,
						 QueryCompletion *qc);

#endif							/* SAFE_MIGRATE_START_ONLINE_H */

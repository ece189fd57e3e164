/*-------------------------------------------------------------------------
 *
 * silence.h
 *	  Keeping users' triggers and rules from what a rollback writes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SILENCE_H
#define SAFE_MIGRATE_SILENCE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/*
 * Disable triggers and rules that fire whatever session_replication_role is, of
 * tables that a rollback has locked because it changes them, but for our own.
 * Nobody else sees that: they are to be enabled again, by what was returned,
 * before the end of the transaction.
 */
extern List *silence_tables(HTAB *relations);
extern void end_silence(List *silenced);

#endif							/* SAFE_MIGRATE_SILENCE_H */

/*-------------------------------------------------------------------------
 *
 * table_owner.h
 *	  Who may change a table online: its owner himself.
 *
 * Expressions of indexes, constraints and triggers are evaluated on the way,
 * with the rights of whoever asks.  They are the owner's, so nobody who has
 * other rights, be it more as a superuser, is to run them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TABLE_OWNER_H
#define SAFE_MIGRATE_TABLE_OWNER_H

#include "postgres.h"

/*
 * True if the table, and all that inherits from it, belongs to the current user
 * and not only to a role that he is a member of.  Takes no lock.
 */
extern bool is_owner_himself(Oid relid);

/*
 * Throw ERRCODE_SM_NOT_PERMITTED, with the role to SET, if it does not.
 * function is what the message says that he has called.
 */
extern void require_owner_himself(Oid relid, const char *function);

#endif							/* SAFE_MIGRATE_TABLE_OWNER_H */

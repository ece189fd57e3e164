/*-------------------------------------------------------------------------
 *
 * view_grants.h
 *	  A view that stands for a table: its owner and its privileges.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_VIEW_GRANTS_H
#define SAFE_MIGRATE_VIEW_GRANTS_H

#include "lib/stringinfo.h"

/*
 * Append to a script, each behind "; ", the statements that give a view the
 * owner and the privileges of a table, as far as they mean something for a
 * view.  The view is a qualified and quoted name.  names has, by attribute
 * number less one, the name under which the view shows a column of the table,
 * or NULL if it does not; without it all have their own.
 *
 * Takes AccessShareLock on the table, which the caller has to keep.
 */
extern void append_view_grants(StringInfo script, Oid relid, const char *view,
							   char *const *names);

/* GRANT USAGE on another schema, to all who have it on this one; likewise. */
extern void append_schema_grants(StringInfo script, Oid namespace_oid,
								 const char *schema);

#endif							/* SAFE_MIGRATE_VIEW_GRANTS_H */

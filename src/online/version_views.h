/*-------------------------------------------------------------------------
 *
 * version_views.h
 *	  Schemas of views that show tables in the shape of one version.
 *
 * Results are palloc'd in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_VERSION_VIEWS_H
#define SAFE_MIGRATE_VERSION_VIEWS_H

#include "postgres.h"

#include "online/change.h"

/* True if migrate.create_version() has made the view. */
extern bool is_version_view(Oid relid);

/*
 * Statements that drop the views of versions that show a column of a table,
 * without it any: to try what else is in the way of dropping that.
 */
extern List *drops_of_version_views(Oid relid, const char *column);

/*
 * Statements for the begin of a contract, by which the views of versions go on
 * without the old columns: those of a column that has got another name show
 * the new one under the old name.  Throws ERRCODE_SM_BREAKS_CLIENT if there is
 * one that cannot.  With AccessExclusiveLock on the table it remains so.
 */
extern List *carry_versions(const Change *change);

/* Throw likewise if one shows what goes when the change is taken back. */
extern void refuse_cancel_of_versions(const Change *change);

#endif							/* SAFE_MIGRATE_VERSION_VIEWS_H */

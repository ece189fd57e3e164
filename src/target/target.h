/*-------------------------------------------------------------------------
 *
 * target.h
 *	  One history for many targets: schemas of this database, or databases.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TARGET_H
#define SAFE_MIGRATE_TARGET_H

/* Register migrate.deploy_all().  Called once, from _PG_init. */
extern void register_target_procedures(void);

#endif							/* SAFE_MIGRATE_TARGET_H */

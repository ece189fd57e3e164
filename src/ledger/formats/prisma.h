/*-------------------------------------------------------------------------
 *
 * prisma.h
 *	  What the layouts of Prisma and of Drizzle have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PRISMA_H
#define SAFE_MIGRATE_PRISMA_H

#include "postgres.h"

#include "ledger/formats/formats.h"

#define MIGRATION_FILE "migration.sql"
#define SNAPSHOT_FILE "snapshot.json"

/* The migrations of all directories <timestamp>_<name> with MIGRATION_FILE. */
extern List *list_migration_directories(const Directory *directory);

#endif							/* SAFE_MIGRATE_PRISMA_H */

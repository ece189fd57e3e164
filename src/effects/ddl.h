/*-------------------------------------------------------------------------
 *
 * ddl.h
 *	  Statements that change the schema.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DDL_H
#define SAFE_MIGRATE_DDL_H

#include "postgres.h"

#include "nodes/nodes.h"

/*
 * True for a utility statement that can change the schema of the database: not
 * for what maintains it (REFRESH, REINDEX, CLUSTER, VACUUM, ANALYZE), nor for
 * what is about the cluster, as roles are.  Looks at the tree only.
 */
extern bool statement_changes_schema(Node *statement);

#endif							/* SAFE_MIGRATE_DDL_H */

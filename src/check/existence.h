/*-------------------------------------------------------------------------
 *
 * existence.h
 *	  Shared by the files existence*.c.
 *
 * All of these throw PostgreSQL's own error for what does not exist, or does
 * already; the objects are those of catalog and overlay.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_EXISTENCE_H
#define SAFE_MIGRATE_EXISTENCE_H

#include "postgres.h"

#include "effects/overlay.h"

/* existence.c */
extern OverlayRelation *require_relation(Overlay *overlay, RangeVar *name);
extern void require_type(Overlay *overlay, const TypeName *name);
extern void require_column_type(Overlay *overlay, ColumnDef *definition);

/*
 * existence_table.c: what a statement names of one table.  The functions that
 * return a node do it as check_existence() does.
 */
extern Node *check_create_index(Overlay *overlay, Node *statement);
extern Node *check_alter_table(Overlay *overlay, Node *statement);

/* RENAME of a relation, or of a column or constraint of one */
extern void check_rename_relation(Overlay *overlay, RenameStmt *stmt);

#endif							/* SAFE_MIGRATE_EXISTENCE_H */

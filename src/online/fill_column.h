/*-------------------------------------------------------------------------
 *
 * fill_column.h
 *	  CALL migrate.fill_column(table, column): the default for old rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_FILL_COLUMN_H
#define SAFE_MIGRATE_FILL_COLUMN_H

/* Register the procedure.  Called once, from _PG_init. */
extern void register_fill_column(void);

#endif							/* SAFE_MIGRATE_FILL_COLUMN_H */

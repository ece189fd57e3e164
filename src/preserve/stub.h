/*-------------------------------------------------------------------------
 *
 * stub.h
 *	  What other parts of src/preserve will provide.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_STUB_H
#define SAFE_MIGRATE_STUB_H

#include "postgres.h"

#include "nodes/pg_list.h"

extern int64 park_storage(bool by_migration);
extern void want_all_files(void);
extern void capture_changed_rows(bool by_rollback);
extern void add_carry_triggers(void);
extern void remove_carry_triggers(void);
extern void save_catalog_image(int64 point);
extern bool save_catalog_changes(int64 point);
extern List *load_catalog_rows(int64 point, Oid catalog);
extern void drop_parked_file(Oid holder);
extern void drop_hidden_relation(Oid relid, bool with_files);

#endif							/* SAFE_MIGRATE_STUB_H */

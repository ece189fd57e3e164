/*-------------------------------------------------------------------------
 *
 * stub.c
 *	  Stands in for other parts of src/preserve until they are there: whoever
 *	  has one of them defines it, and the weak one here gives way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "preserve/stub.h"

int64
__attribute__((weak))
park_storage(bool by_migration)
{
	return 0;
}

void
__attribute__((weak))
want_all_files(void)
{
}

void
__attribute__((weak))
capture_changed_rows(bool by_rollback)
{
}

void
__attribute__((weak))
add_carry_triggers(void)
{
}

void
__attribute__((weak))
remove_carry_triggers(void)
{
}

void
__attribute__((weak))
save_catalog_image(int64 point)
{
}

bool
__attribute__((weak))
save_catalog_changes(int64 point)
{
	return false;
}

List *
__attribute__((weak))
load_catalog_rows(int64 point, Oid catalog)
{
	return NIL;
}

void
__attribute__((weak))
drop_hidden_relation(Oid relid, bool with_files)
{
}

void
__attribute__((weak))
drop_parked_file(Oid holder)
{
}

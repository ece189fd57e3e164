#include "postgres.h"
#include "utils/rel.h"
#include "nodes/pg_list.h"
#include "online/column_copy.h"
ColumnCopy *
plan_column_copy(Oid r, AttrNumber o, const char *n, Oid t, int32 m, Oid c, int64 i)
{
	return palloc0(sizeof(ColumnCopy));
}

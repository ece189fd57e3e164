/*-------------------------------------------------------------------------
 *
 * backfill_row.c
 *	  A row in words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "online/backfill_internal.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "access/relation.h"

/*
 * See backfill_internal.h.  The text is that of (a, b)=(1, 2).
 */
char *
key_expression(Oid relid, const char *alias)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	Oid			index;
	HeapTuple	tuple;
	Form_pg_index form;
	StringInfoData names;
	StringInfoData values;

	(void) RelationGetIndexList(rel);
	index = rel->rd_pkindex;
	relation_close(rel, NoLock);
	if (!OidIsValid(index))
		return NULL;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_index) GETSTRUCT(tuple);
	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		const char *name = quote_identifier(get_attname(relid,
														form->indkey.values[i],
														false));

		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", name);
		appendStringInfo(&values, ", %s.%s", alias, name);
	}
	ReleaseSysCache(tuple);
	return psprintf("pg_catalog.format('(%%s)=(%%s)', %s, pg_catalog.concat_ws(', '%s))",
					quote_literal_cstr(names.data), values.data);
}

/*
 * See backfill_internal.h.
 */
char *
row_in_words(Oid relid, ItemPointer tid)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *key = key_expression(relid, "t");
	Oid			type = TIDOID;
	Datum		value = PointerGetDatum(tid);
	char	   *words = psprintf("ctid=(%u,%u)", ItemPointerGetBlockNumberNoCheck(tid),
								 ItemPointerGetOffsetNumberNoCheck(tid));

	if (key == NULL)
		return words;
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute_with_args(psprintf("SELECT %s FROM ONLY %s AS t WHERE t.ctid OPERATOR(pg_catalog.=) $1",
									   key, relation_display_name(relid)),
							  1, &type, &value, NULL, false, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
		words = MemoryContextStrdup(caller,
									SPI_getvalue(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, 1));
	SPI_finish();
	PopActiveSnapshot();
	return words;
}

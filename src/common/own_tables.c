/*-------------------------------------------------------------------------
 *
 * own_tables.c
 *	  SQL on the tables of the extension, with the rights of its owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A query and its plan, kept for the session. */
typedef struct KeptPlan
{
	struct KeptPlan *next;
	const char *query;
	SPIPlanPtr	plan;
} KeptPlan;

/* Nobody but a superuser makes anything in the first of these. */
#define OWN_SEARCH_PATH "pg_catalog, pg_temp"

static int	begin_own_search_path(void);
static SPIPlanPtr kept_plan(const char *query, OwnArguments *arguments);

/*
 * See own_tables.h.
 *
 * A migration may have made its transaction, or the session, read only; that
 * is about its own statements, and our tables have to be written all the same.
 * Functions that must not run in a read-only transaction have refused before
 * they get here.
 */
void
begin_own_access(OwnAccess *access)
{
	Oid			owner = migrate_extension_owner();

	access->caller = CurrentMemoryContext;
	access->read_only = XactReadOnly;
	GetUserIdAndSecContext(&access->user, &access->security_context);

	SPI_connect();
	SetUserIdAndSecContext(owner, access->security_context |
						   SECURITY_LOCAL_USERID_CHANGE);
	XactReadOnly = false;
	PushActiveSnapshot(GetTransactionSnapshot());
}

/*
 * See own_tables.h.
 */
void
end_own_access(OwnAccess *access)
{
	PopActiveSnapshot();
	XactReadOnly = access->read_only;
	SetUserIdAndSecContext(access->user, access->security_context);
	SPI_finish();
	MemoryContextSwitchTo(access->caller);
}

/*
 * See own_tables.h.
 */
void
add_own_argument(OwnArguments *arguments, Oid type, Datum value, bool isnull)
{
	Assert(arguments->count < lengthof(arguments->types));
	arguments->types[arguments->count] = type;
	arguments->values[arguments->count] = value;
	arguments->nulls[arguments->count] = isnull ? 'n' : ' ';
	arguments->count++;
}

/*
 * See own_tables.h.
 */
void
add_own_text(OwnArguments *arguments, const char *value)
{
	add_own_argument(arguments, TEXTOID,
					 value ? CStringGetTextDatum(value) : (Datum) 0,
					 value == NULL);
}

/*
 * See own_tables.h.
 */
void
add_own_text_list(OwnArguments *arguments, List *values)
{
	Datum	   *elements = palloc(list_length(values) * sizeof(Datum));
	ArrayType  *array;
	ListCell   *cell;

	foreach(cell, values)
		elements[foreach_current_index(cell)] =
		CStringGetTextDatum(lfirst(cell));
	array = construct_array(elements, list_length(values), TEXTOID, -1, false,
							TYPALIGN_INT);
	add_own_argument(arguments, TEXTARRAYOID, PointerGetDatum(array), false);
}

/*
 * See own_tables.h.
 */
void
add_own_oid_list(OwnArguments *arguments, const List *oids)
{
	Datum	   *elements = palloc(list_length(oids) * sizeof(Datum));
	ArrayType  *array;
	ListCell   *cell;

	foreach(cell, oids)
		elements[foreach_current_index(cell)] =
		ObjectIdGetDatum(lfirst_oid(cell));
	array = construct_array(elements, list_length(oids), OIDOID, sizeof(Oid),
							true, TYPALIGN_INT);
	add_own_argument(arguments, OIDARRAYOID, PointerGetDatum(array), false);
}

/*
 * See own_tables.h.
 */
void
add_own_subtransactions(OwnArguments *arguments)
{
	TransactionId *xids;
	int			count = xactGetCommittedChildren(&xids);
	Datum	   *elements = palloc(count * sizeof(Datum));

	for (int i = 0; i < count; i++)
		elements[i] = TransactionIdGetDatum(xids[i]);
	add_own_argument(arguments, XIDARRAYOID,
					 PointerGetDatum(construct_array(elements, count, XIDOID,
													 sizeof(TransactionId),
													 true, TYPALIGN_INT)),
					 false);
}

/*
 * See own_tables.h.
 */
void
run_own_query(const char *query, OwnArguments *arguments, int expected)
{
	int			nest_level = begin_own_search_path();
	int			result;

	result = SPI_execute_plan(kept_plan(query, arguments), arguments->values,
							  arguments->nulls, false, 0);
	if (result != expected)
		elog(ERROR, "unexpected result of a query of safe_migrate: %s",
			 SPI_result_code_string(result));
	if (nest_level > 0)
		AtEOXact_GUC(true, nest_level);
}

/*
 * What a query means must not depend on the caller: an operator or a type that
 * it finds by his search_path would act with the rights of our owner.  And so its
 * plan stays valid when he sets another one.  Only for the query, since callers
 * read and store that setting between begin_own_access() and end_own_access().
 *
 * Returns the level for AtEOXact_GUC(), or 0 if there is nothing to put back.
 */
static int
begin_own_search_path(void)
{
	int			nest_level;

	if (strcmp(namespace_search_path, OWN_SEARCH_PATH) == 0)
		return 0;
	nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", OWN_SEARCH_PATH, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

/*
 * The plan of a query, kept for the session: a load asks the same questions of
 * every file.  The plan cache takes care of whatever changes meanwhile, be it
 * that the extension is dropped and created again.  query is a constant.
 */
static SPIPlanPtr
kept_plan(const char *query, OwnArguments *arguments)
{
	static KeptPlan *plans = NULL;
	KeptPlan   *kept;
	SPIPlanPtr	plan;

	for (kept = plans; kept != NULL; kept = kept->next)
	{
		if (kept->query == query)
			return kept->plan;
	}
	plan = SPI_prepare(query, arguments->count, arguments->types);
	if (plan == NULL)
		elog(ERROR, "could not plan a query of safe_migrate: %s",
			 SPI_result_code_string(SPI_result));
	kept = MemoryContextAlloc(TopMemoryContext, sizeof(KeptPlan));
	SPI_keepplan(plan);
	kept->query = query;
	kept->plan = plan;
	kept->next = plans;
	plans = kept;
	return kept->plan;
}

/*
 * See own_tables.h.
 */
char *
own_text_column(OwnAccess *access, uint64 row, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row],
									 SPI_tuptable->tupdesc, column);
	char	   *copy;

	if (value == NULL)
		return NULL;
	copy = MemoryContextStrdup(access->caller, value);
	pfree(value);
	return copy;
}

/*
 * See own_tables.h.
 */
List *
own_text_list_column(OwnAccess *access, uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);
	MemoryContext old = MemoryContextSwitchTo(access->caller);
	List	   *list = NIL;
	Datum	   *elements;
	int			count = 0;

	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
						  TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		list = lappend(list, TextDatumGetCString(elements[i]));
	MemoryContextSwitchTo(old);
	return list;
}

/*
 * See own_tables.h.
 */
List *
own_oid_column(OwnAccess *access, int column)
{
	MemoryContext spi = MemoryContextSwitchTo(access->caller);
	List	   *oids = NIL;
	bool		isnull;

	for (uint64 row = 0; row < SPI_processed; row++)
		oids = lappend_oid(oids,
						   DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
														  SPI_tuptable->tupdesc,
														  column, &isnull)));
	MemoryContextSwitchTo(spi);
	return oids;
}

/*
 * See own_tables.h.
 */
bool
own_bool_column(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/*
 * See own_tables.h.
 */
int
own_int_column(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/*
 * See own_tables.h.
 */
int64
own_bigint_column(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/*
 * See own_tables.h.
 */
bool
own_table_has_pages(const char *name)
{
	Oid			relid = get_relname_relid(name,
										  get_namespace_oid(MIGRATE_SCHEMA,
															true));
	Relation	rel;
	bool		result;

	if (!OidIsValid(relid) || !extension_owns_relation(relid))
		return false;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return false;
	result = RelationGetNumberOfBlocks(rel) > 0;
	relation_close(rel, AccessShareLock);
	return result;
}

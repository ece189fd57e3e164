/*-------------------------------------------------------------------------
 *
 * foreign_ledger.c
 *	  Finding the ledgers of other tools, and reading them.
 *
 * A ledger belongs to somebody else, and it is read with the privileges of
 * who asks.  So that nothing of its owner's runs with those privileges, only
 * ordinary tables count, without their children and with columns of built-in
 * types, and row security is off: where it would apply, reading fails.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/errors.h"
#include "executor/spi.h"
#include "ledger/adopt/adopt.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#define EQUALS " OPERATOR(pg_catalog.=) "

/* Ordinary tables of given names, or one table, with their columns. */
#define TABLES_QUERY \
	"SELECT c.oid, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, " \
	"pg_catalog.has_schema_privilege(n.oid, 'USAGE') " \
	"AND pg_catalog.has_table_privilege(c.oid, 'SELECT'), " \
	"ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a " \
	"WHERE a.attrelid" EQUALS "c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 " \
	"AND NOT a.attisdropped ORDER BY a.attnum), " \
	"ARRAY(SELECT CASE WHEN t.typnamespace" EQUALS \
	"'pg_catalog'::pg_catalog.regnamespace AND a.attgenerated" EQUALS "'' " \
	"THEN t.typname::pg_catalog.text ELSE '' END " \
	"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t " \
	"ON t.oid" EQUALS "a.atttypid " \
	"WHERE a.attrelid" EQUALS "c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 " \
	"AND NOT a.attisdropped ORDER BY a.attnum) " \
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n " \
	"ON n.oid" EQUALS "c.relnamespace " \
	"WHERE c.relkind" EQUALS "'r' " \
	"AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_') " \
	"AND CASE WHEN $2" EQUALS "0::pg_catalog.oid " \
	"THEN c.relname" EQUALS "ANY ($1) ELSE c.oid" EQUALS "$2 END " \
	"ORDER BY n.nspname, c.relname"

/* The columns of the query of every tool, with their types. */
#define ROWS_QUERY \
	"SELECT r.key::pg_catalog.text, r.ids::pg_catalog.text[], " \
	"r.name::pg_catalog.text, r.applied_at::pg_catalog.timestamptz, " \
	"r.role::pg_catalog.text, r.duration_ms::pg_catalog.int8, " \
	"r.checksum::pg_catalog.text, r.body::pg_catalog.text, " \
	"r.state::pg_catalog.text FROM (%s) r (key, ids, name, applied_at, role, " \
	"duration_ms, checksum, body, state)"

static const char *const foreign_state_names[] = {
	[FOREIGN_APPLIED] = "applied",
	[FOREIGN_MARK] = "mark",
	[FOREIGN_ROLLED_BACK] = "rolled back",
	[FOREIGN_FAILED] = "failed"
};

/* A table that may be a ledger. */
typedef struct Candidate
{
	Oid			relid;
	char	   *nspname;
	char	   *relname;
	bool		readable;
	List	   *columns;		/* of char * */
	List	   *types;			/* likewise, "" for what is not built in */
} Candidate;

static void look_for_tables(Oid relid);
static ArrayType *names_of_ledgers(void);
static Candidate *candidate_of_row(uint64 row);
static List *text_list(uint64 row, int column);
static const ForeignTool *tool_of_candidate(const Candidate *candidate,
											bool any_name);
static bool has_columns(const Candidate *candidate, const ForeignTool *tool);
static bool type_is_one_of(const char *type, const char *types);
static bool table_is_beside(const Candidate *candidate, const char *relname);
static bool is_still_ledger(const ForeignLedger *ledger);
static int	begin_foreign_access(void);
static void end_foreign_access(int guc_level);
static ForeignRow *row_of_tuple(uint64 row);
static char *text_column(uint64 row, int column);
static void refuse_several_rows(const ForeignLedger *ledger, List *rows);
static void refuse_locked(const ForeignLedger *ledger);
static char *holder_of_lock(const ForeignLedger *ledger);

/*
 * See adopt.h.
 */
bool
foreign_tool_exists(const char *tool)
{
	for (int i = 0; i < foreign_tool_count; i++)
		if (strcmp(foreign_tools[i].tool, tool) == 0)
			return true;
	return false;
}

/*
 * See adopt.h.
 */
List *
find_foreign_ledgers(const char *tool, Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *ledgers = NIL;

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	look_for_tables(relid);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Candidate  *candidate = candidate_of_row(row);
		const ForeignTool *found = tool_of_candidate(candidate,
													 OidIsValid(relid));
		MemoryContext spi = MemoryContextSwitchTo(caller);

		if (found != NULL && (tool == NULL || strcmp(found->tool, tool) == 0))
		{
			ForeignLedger *ledger = palloc0(sizeof(ForeignLedger));

			ledger->tool = found;
			ledger->relid = candidate->relid;
			ledger->name = quote_qualified_identifier(candidate->nspname,
													  candidate->relname);
			ledger->readable = candidate->readable;
			ledgers = lappend(ledgers, ledger);
		}
		MemoryContextSwitchTo(spi);
	}
	PopActiveSnapshot();
	SPI_finish();
	return ledgers;
}

/* Between SPI_connect() and SPI_finish(), with a snapshot. */
static void
look_for_tables(Oid relid)
{
	Oid			types[2] = {NAMEARRAYOID, OIDOID};
	Datum		values[2];

	values[0] = PointerGetDatum(names_of_ledgers());
	values[1] = ObjectIdGetDatum(relid);
	if (SPI_execute_with_args(TABLES_QUERY, 2, types, values, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not look for ledgers");
}

static ArrayType *
names_of_ledgers(void)
{
	Datum	   *names = palloc(foreign_tool_count * sizeof(Datum));

	for (int i = 0; i < foreign_tool_count; i++)
		names[i] = DirectFunctionCall1(namein,
									   CStringGetDatum(foreign_tools[i].relname));
	return construct_array(names, foreign_tool_count, NAMEOID, NAMEDATALEN,
						   false, TYPALIGN_CHAR);
}

static Candidate *
candidate_of_row(uint64 row)
{
	Candidate  *candidate = palloc0(sizeof(Candidate));
	bool		isnull;

	candidate->relid =
		DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
									   SPI_tuptable->tupdesc, 1, &isnull));
	candidate->nspname = text_column(row, 2);
	candidate->relname = text_column(row, 3);
	candidate->readable =
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row],
								   SPI_tuptable->tupdesc, 4, &isnull));
	candidate->columns = text_list(row, 5);
	candidate->types = text_list(row, 6);
	return candidate;
}

static List *
text_list(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			count = 0;
	List	   *list = NIL;

	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
						  TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			list = lappend(list, TextDatumGetCString(elements[i]));
	return list;
}

/*
 * The tool whose ledger a table is, or NULL.
 */
static const ForeignTool *
tool_of_candidate(const Candidate *candidate, bool any_name)
{
	for (int i = 0; i < foreign_tool_count; i++)
	{
		const ForeignTool *tool = &foreign_tools[i];

		if (!any_name && strcmp(tool->relname, candidate->relname) != 0)
			continue;
		if (tool->nspname != NULL &&
			strcmp(tool->nspname, candidate->nspname) != 0)
			continue;
		if (has_columns(candidate, tool) &&
			(tool->beside == NULL ||
			 table_is_beside(candidate, tool->beside)) &&
			(tool->not_beside == NULL ||
			 !table_is_beside(candidate, tool->not_beside)))
			return tool;
	}
	return NULL;
}

static bool
has_columns(const Candidate *candidate, const ForeignTool *tool)
{
	int			count = 0;

	for (; count < TOOL_MAX_COLUMNS && tool->columns[count].name; count++)
	{
		bool		found = false;
		ListCell   *column;
		ListCell   *type;

		forboth(column, candidate->columns, type, candidate->types)
			if (strcmp(lfirst(column), tool->columns[count].name) == 0)
			found = type_is_one_of(lfirst(type), tool->columns[count].types);
		if (!found)
			return false;
	}
	return !tool->only_these || list_length(candidate->columns) == count;
}

static bool
type_is_one_of(const char *type, const char *types)
{
	while (*types)
	{
		size_t		length = strcspn(types, "|");

		if (strlen(type) == length && strncmp(type, types, length) == 0)
			return true;
		types += length;
		types += strspn(types, "|");
	}
	return false;
}

static bool
table_is_beside(const Candidate *candidate, const char *relname)
{
	return OidIsValid(get_relname_relid(relname,
										get_rel_namespace(candidate->relid)));
}

/*
 * See adopt.h.
 */
List *
read_foreign_ledger(const ForeignLedger *ledger)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *query = psprintf(ledger->tool->rows, ledger->name);
	int			guc_level;
	List	   *rows = NIL;

	/* until the lock is held its owner may put something else in its place */
	LockRelationOid(ledger->relid, AccessShareLock);
	if (!is_still_ledger(ledger))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("ledger %s of %s was changed while it was being looked at: try again",
						ledger->name, ledger->tool->tool)));
	guc_level = begin_foreign_access();
	if (SPI_execute(psprintf(ROWS_QUERY, query), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read ledger %s", ledger->name);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);
		ForeignRow *foreign = row_of_tuple(row);

		foreign->rank = row;
		rows = lappend(rows, foreign);
		MemoryContextSwitchTo(spi);
	}
	end_foreign_access(guc_level);
	refuse_several_rows(ledger, rows);
	return rows;
}

static bool
is_still_ledger(const ForeignLedger *ledger)
{
	bool		result = false;

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	look_for_tables(ledger->relid);
	if (SPI_processed == 1)
	{
		Candidate  *candidate = candidate_of_row(0);

		result = has_columns(candidate, ledger->tool) &&
			strcmp(quote_qualified_identifier(candidate->nspname,
											  candidate->relname),
				   ledger->name) == 0;
	}
	PopActiveSnapshot();
	SPI_finish();
	return result;
}

/*
 * Whatever the session has set, no name is looked up in a schema of others,
 * no policy of a table runs, and no view or foreign table is read (15.8, 17).
 */
static int
begin_foreign_access(void)
{
	int			guc_level = NewGUCNestLevel();

	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (GetConfigOption("restrict_nonsystem_relation_kind", true, false) != NULL)
		(void) set_config_option("restrict_nonsystem_relation_kind",
								 "view, foreign-table", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	return guc_level;
}

static void
end_foreign_access(int guc_level)
{
	PopActiveSnapshot();
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}

/*
 * In the current memory context.
 */
static ForeignRow *
row_of_tuple(uint64 row)
{
	ForeignRow *foreign = palloc0(sizeof(ForeignRow));
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	tupdesc = SPI_tuptable->tupdesc;
	char	   *state = text_column(row, 9);
	bool		isnull;

	foreign->key = text_column(row, 1);
	foreign->ids = text_list(row, 2);
	foreign->name = text_column(row, 3);
	foreign->applied_at =
		DatumGetTimestampTz(SPI_getbinval(tuple, tupdesc, 4, &isnull));
	foreign->has_applied_at = !isnull &&
		!TIMESTAMP_NOT_FINITE(foreign->applied_at);
	foreign->role = text_column(row, 5);
	foreign->duration_ms = DatumGetInt64(SPI_getbinval(tuple, tupdesc, 6,
													   &isnull));
	foreign->has_duration = !isnull;
	foreign->checksum = text_column(row, 7);
	foreign->body = text_column(row, 8);
	for (int i = 0; i < lengthof(foreign_state_names); i++)
		if (strcmp(foreign_state_names[i], state) == 0)
			foreign->state = i;

	/* of a table without constraints anything may be null */
	if (foreign->key == NULL)
		foreign->key = pstrdup("");
	if (foreign->ids == NIL)
		foreign->ids = list_make1(foreign->key);
	return foreign;
}

/* In the current memory context; NULL for NULL. */
static char *
text_column(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static void
refuse_several_rows(const ForeignLedger *ledger, List *rows)
{
	if (ledger->tool->single_row != NULL && list_length(rows) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("ledger %s of %s has %d rows: %s", ledger->name,
						ledger->tool->tool, list_length(rows),
						ledger->tool->single_row)));
}

/*
 * See adopt.h.
 */
void
refuse_unsettled_ledger(const ForeignLedger *ledger, List *rows)
{
	ListCell   *cell;

	refuse_locked(ledger);
	foreach(cell, rows)
	{
		const ForeignRow *row = lfirst(cell);

		if (row->state == FOREIGN_FAILED)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("ledger %s of %s says that migration %s has failed: %s",
							ledger->name, ledger->tool->tool,
							(char *) linitial(row->ids),
							ledger->tool->failed)));
	}
}

static void
refuse_locked(const ForeignLedger *ledger)
{
	char	   *holder;

	if (ledger->tool->lock.relname == NULL)
		return;
	holder = holder_of_lock(ledger);
	if (holder != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("ledger %s of %s is locked by %s: wait for it to end; %s",
						ledger->name, ledger->tool->tool, holder,
						ledger->tool->lock.remedy)));
}

/*
 * Who has locked a ledger, or NULL; also if there is no such lock table.
 */
static char *
holder_of_lock(const ForeignLedger *ledger)
{
	const ForeignLock *lock = &ledger->tool->lock;
	Oid			nspoid = get_rel_namespace(ledger->relid);
	Oid			relid = get_relname_relid(lock->relname, nspoid);
	AttrNumber	attnum;
	MemoryContext caller = CurrentMemoryContext;
	char	   *holder = NULL;
	char	   *query;
	int			guc_level;

	if (!OidIsValid(relid))
		return NULL;
	LockRelationOid(relid, AccessShareLock);
	if (get_relname_relid(lock->relname, nspoid) != relid ||
		get_rel_relkind(relid) != RELKIND_RELATION)
		return NULL;
	attnum = get_attnum(relid, lock->column);
	if (attnum == InvalidAttrNumber ||
		get_atttype(relid, attnum) != lock->type)
		return NULL;

	query = psprintf(lock->query,
					 quote_qualified_identifier(get_namespace_name(nspoid),
												lock->relname));
	guc_level = begin_foreign_access();
	if (SPI_execute(query, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the lock of ledger %s", ledger->name);
	if (SPI_processed > 0)
		holder = MemoryContextStrdup(caller, text_column(0, 1));
	end_foreign_access(guc_level);
	return holder;
}

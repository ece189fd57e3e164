/*-------------------------------------------------------------------------
 *
 * history.c
 *	  migrate.tool_history(): what adopted ledgers say beside our own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/subtransaction.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/adopt/settle.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define HISTORY_COLUMNS 9
#define STATUS_VIEW "status"

typedef struct LedgerReading
{
	const ForeignLedger *ledger;
	List	   *rows;			/* what was read */
} LedgerReading;

static void check_access(void);
static List *read_or_warn(const ForeignLedger *ledger);
static bool read_ledger(void *arg);
static void put_ledger(ReturnSetInfo *result, const ForeignLedger *ledger);
static void put_adoption(ReturnSetInfo *result, const ForeignLedger *ledger,
						 const Adoption *adoption);
static const char *state_of_adoption(const ForeignLedger *ledger,
									 const Adoption *adoption);

PG_FUNCTION_INFO_V1(migrate_tool_history);

/*
 * migrate.tool_history()
 *	  returns table (tool text, version text, name text, state text,
 *					 applied_at timestamptz, role text, duration_ms bigint,
 *					 registered boolean, place text)
 *
 * Writes nothing, and whatever is wrong with a ledger is only warned of.
 */
Datum
migrate_tool_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *ledgers;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	ledgers = store_adopted_ledgers();
	if (ledgers != NIL)
		check_access();
	foreach(cell, ledgers)
		put_ledger(result, lfirst(cell));
	return (Datum) 0;
}

/*
 * A function that a view calls is called by who reads the view: it is for
 * everybody, but tells only those who may read the view.
 */
static void
check_access(void)
{
	Oid			status = get_relname_relid(STATUS_VIEW,
										   get_namespace_oid(MIGRATE_SCHEMA,
															 false));

	if (pg_class_aclcheck(status, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function " MIGRATE_SCHEMA ".tool_history: GRANT SELECT ON " MIGRATE_SCHEMA "." STATUS_VIEW " TO %s",
						quote_identifier(GetUserNameFromId(GetUserId(),
														   false)))));
}

static void
put_ledger(ReturnSetInfo *result, const ForeignLedger *ledger)
{
	List	   *vanished;
	List	   *rows = join_with_archive(ledger, read_or_warn(ledger),
										 &vanished);
	ListCell   *cell;

	foreach(cell, match_foreign_rows(ledger->tool, rows))
		put_adoption(result, ledger, lfirst(cell));
}

/*
 * The rows of a ledger; NIL if it is gone, or if reading it fails.
 */
static List *
read_or_warn(const ForeignLedger *ledger)
{
	LedgerReading reading = {ledger, NIL};
	ErrorData  *error;

	if (ledger->changed)
		ereport(WARNING,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("what %s has applied since it was adopted is not shown, because %s has other columns now",
						ledger->tool->tool, ledger->name)));
	if (!OidIsValid(ledger->relid))
		return NIL;
	error = run_in_subtransaction(read_ledger, &reading);
	if (error == NULL)
		return reading.rows;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("what %s has applied since it was adopted is not shown, because %s cannot be read: %s",
					ledger->tool->tool, ledger->name, error->message)));
	return NIL;
}

static bool
read_ledger(void *arg)
{
	LedgerReading *reading = arg;

	reading->rows = read_foreign_ledger(reading->ledger);
	return true;
}

static void
put_adoption(ReturnSetInfo *result, const ForeignLedger *ledger,
			 const Adoption *adoption)
{
	const ForeignRow *row = adoption->row;
	const LedgerEntry *entry = adoption->entry;
	const char *state = state_of_adoption(ledger, adoption);
	Datum		values[HISTORY_COLUMNS];
	bool		nulls[HISTORY_COLUMNS] = {false};
	const char *name = entry ? entry->name : row->name;
	char	   *place = foreign_sort_key(linitial(row->ids));

	if (state == NULL)
		return;
	values[0] = CStringGetTextDatum(ledger->tool->tool);
	values[1] = CStringGetTextDatum(entry ? entry->version :
									(char *) linitial(row->ids));
	values[2] = CStringGetTextDatum(name ? name : "");
	values[3] = CStringGetTextDatum(state);
	values[4] = TimestampTzGetDatum(row->applied_at);
	nulls[4] = !row->has_applied_at;
	nulls[5] = row->role == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(row->role);
	values[6] = Int64GetDatum(row->duration_ms);
	nulls[6] = !row->has_duration;
	values[7] = BoolGetDatum(entry != NULL);
	values[8] = CStringGetTextDatum(place ? place :
									(char *) linitial(row->ids));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * In the words of migrate.status; NULL for what our own ledger knows, or what
 * does not count.
 */
static const char *
state_of_adoption(const ForeignLedger *ledger, const Adoption *adoption)
{
	const char *tool = ledger->tool->tool;

	if (adoption->entry != NULL && adoption->entry->applied)
		return NULL;
	switch (adoption->row->state)
	{
		case FOREIGN_FAILED:
			return psprintf("failed in %s", tool);
		case FOREIGN_ROLLED_BACK:
			return NULL;
		case FOREIGN_APPLIED:
		case FOREIGN_MARK:
			if (adoption->verdict != CHECKSUM_DIFFERENT)
				return psprintf("applied by %s", tool);
			return adoption->entry->repeatable ? NULL : "edited";
	}
	return NULL;
}

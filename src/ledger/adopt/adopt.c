/*-------------------------------------------------------------------------
 *
 * adopt.c
 *	  migrate.adopt(): taking over what another migration tool has applied.
 *
 * Every row of an adopted ledger is kept in migrate.adopted_rows, whether or
 * not a file for it is registered: one that is registered later counts as
 * applied then.  The ledger itself is remembered and looked at again before
 * anything runs, because its tool may go on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "drift/saved_manifest.h"
#include "drift/fingerprint.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/adopt/adopt.h"
#include "ledger/adopt/choose.h"
#include "ledger/adopt/settle.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#define RESULT_COLUMNS 6

static void put_result(ReturnSetInfo *result, const ForeignLedger *ledger,
					   const AdoptResult *adopted);
static bool may_follow_tools(void);
static void adopt_news(const ForeignLedger *ledger);
static void tell_news(const ForeignLedger *ledger, const AdoptResult *result,
					  int *adopted);

PG_FUNCTION_INFO_V1(migrate_adopt);
PG_FUNCTION_INFO_V1(migrate_forget_ledger);

/*
 * migrate.adopt(tool text, ledger regclass, accept_edited boolean)
 *	  returns table (tool text, ledger text, version text, name text,
 *					 state text, message text)
 */
Datum
migrate_adopt(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *tool = PG_ARGISNULL(0) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			relid = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	bool		accept_edited = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	ForeignLedger *ledger;
	ListCell   *cell;

	require_preloaded();
	PreventCommandIfReadOnly("migrate.adopt()");
	require_read_committed("migrate.adopt()");
	InitMaterializedSRF(fcinfo, 0);
	lock_ledger_for_transaction();
	ledger = choose_foreign_ledger(tool, relid);
	if (OidIsValid(ledger->relid))
		store_remember_ledger(ledger);
	foreach(cell, adopt_ledger(ledger, accept_edited))
		put_result(result, ledger, lfirst(cell));

	/* the schema as it is counts as migrated from now on */
	accept_schema();
	return (Datum) 0;
}

static void
put_result(ReturnSetInfo *result, const ForeignLedger *ledger,
		   const AdoptResult *adopted)
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(ledger->tool->tool);
	values[1] = CStringGetTextDatum(ledger->name);
	values[2] = CStringGetTextDatum(adopted->version);
	nulls[3] = adopted->name == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(adopted->name);
	values[4] = CStringGetTextDatum(adopted->state);
	values[5] = CStringGetTextDatum(adopted->message);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * migrate.forget_ledger(ledger text)
 */
Datum
migrate_forget_ledger(PG_FUNCTION_ARGS)
{
	char	   *name;

	require_preloaded();
	PreventCommandIfReadOnly("migrate.forget_ledger()");
	name = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	lock_ledger_for_transaction();
	if (!store_forget_ledger(name))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("ledger \"%s\" is not adopted: migrate.adopted_ledgers has those that are followed",
						name)));
	PG_RETURN_VOID();
}

/*
 * See ledger.h.
 */
void
ledger_adopt_new_rows(void)
{
	ListCell   *cell;

	if (!may_follow_tools())
		return;
	foreach(cell, store_adopted_ledgers())
		adopt_news(lfirst(cell));
}

/*
 * See ledger.h.
 */
bool
ledger_follows_tools(void)
{
	return may_follow_tools() && store_adopted_ledgers() != NIL;
}

/* Histories of single schemas are not adopted. */
static bool
may_follow_tools(void)
{
	return !RecoveryInProgress() && ledger_target_schema()[0] == '\0';
}

static void
adopt_news(const ForeignLedger *ledger)
{
	int			adopted = 0;
	ListCell   *cell;

	if (ledger->changed)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("%s, in which %s says what it has applied, has other columns now: if it is no longer its ledger, let go of it with SELECT migrate.forget_ledger(%s)",
						ledger->name, ledger->tool->tool,
						quote_literal_cstr(ledger->name))));
	if (OidIsValid(ledger->relid) && !ledger->readable)
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("role %s may not read %s, in which %s says what it has applied: GRANT SELECT on it, or let go of it with SELECT migrate.forget_ledger(%s)",
						GetUserNameFromId(GetUserId(), false), ledger->name,
						ledger->tool->tool, quote_literal_cstr(ledger->name))));
	foreach(cell, adopt_ledger_news(ledger))
		tell_news(ledger, lfirst(cell), &adopted);
	if (adopted == 0)
		return;
	acknowledge_runner(ledger->relid);
	ereport(NOTICE,
			(errmsg_plural("%d migration that %s has applied since counts as applied: %s has it",
						   "%d migrations that %s has applied since count as applied: %s has them",
						   adopted, adopted, ledger->tool->tool,
						   ledger->name)));
}

/*
 * What was adopted is counted, the rest needs somebody's attention.
 */
static void
tell_news(const ForeignLedger *ledger, const AdoptResult *result, int *adopted)
{
	if (strcmp(result->state, "adopted") == 0)
		(*adopted)++;
	else
		ereport(NOTICE,
				(errmsg("%s has migration %s: %s, %s", ledger->name,
						result->version, result->state, result->message)));
}

/*-------------------------------------------------------------------------
 *
 * check.c
 *	  migrate.check(): judge a script without running it.
 *
 * Every statement goes the way of one that runs, from its effects to the
 * verdict and the plan, and is then applied to the overlay instead of the
 * catalog.  It is looked at in a subtransaction that is always rolled back:
 * so an error costs a row, not the check, and no lock stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "check/check.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/subtransaction.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* One statement, as it is looked at. */
typedef struct StatementCheck
{
	ScriptState *state;
	ScriptStatement *statement;
	List	   *rows;			/* of CheckRow */
} StatementCheck;

PG_FUNCTION_INFO_V1(migrate_check);

static ErrorData *apply_unless_failed(StatementCheck *check, ErrorData *error);
static bool look_at_statement(void *arg);
static bool apply_statement(void *arg);
static ErrorData *run_step(SubtransactionWork step, StatementCheck *check);
static bool must_be_rethrown(const ErrorData *error);
static void put_rows(ReturnSetInfo *result, int number, Node *statement,
					 List *rows);
static void put_text(Datum *values, bool *nulls, int column,
					 const char *text);

/*
 * migrate.check(script text): see check.sql.
 */
Datum
migrate_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	char	   *script = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ScriptState state;
	List	   *statements;
	ListCell   *cell;

	require_preloaded();
	statements = parse_script(script, "script", 1);
	if (statements == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("script contains no statement")));

	InitMaterializedSRF(fcinfo, 0);
	script_begin(&state);
	script_next_text(&state, script, 1, NULL);
	context = AllocSetContextCreate(caller, "safe_migrate check",
									ALLOCSET_DEFAULT_SIZES);
	foreach(cell, statements)
	{
		ScriptStatement *statement = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		put_rows(result, foreach_current_index(cell) + 1,
				 statement->raw->stmt,
				 check_script_statement(&state, statement));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	script_end(&state);
	return (Datum) 0;
}

/*
 * See check.h.
 */
List *
check_script_statement(ScriptState *state, ScriptStatement *statement)
{
	StatementCheck check = {state, statement};
	bool		runs_alone;
	ErrorData  *error = run_step(look_at_statement, &check);

	/* what runs alone does not have the locks of those before it */
	runs_alone = error == NULL && state->runs_alone;
	if (runs_alone)
	{
		script_advance(state, state->implicit_commit);
		error = run_step(look_at_statement, &check);
	}
	error = apply_unless_failed(&check, error);
	if (error != NULL)
		check.rows = list_make1(check_error_row(state, statement, error));
	if (state->implicit_begin != NULL && !state->in_transaction)
		script_advance(state, state->implicit_begin);
	return check.rows;
}

/* Returns the error, or the one that this throws. */
static ErrorData *
apply_unless_failed(StatementCheck *check, ErrorData *error)
{
	ErrorData  *second;

	if (error != NULL && !error_may_be_opaque(check->state, error))
		return error;
	second = run_step(apply_statement, check);
	if (second == NULL)
		script_advance(check->state, check->statement);
	return error != NULL ? error : second;
}

static bool
look_at_statement(void *arg)
{
	StatementCheck *check = arg;

	check->rows = check_rows(check->state, check->statement);
	return false;
}

static bool
apply_statement(void *arg)
{
	StatementCheck *check = arg;
	Node	   *statement = check->statement->raw->stmt;

	script_apply(check->state, check->statement);

	/* a setting is to stay until the check ends */
	return IsA(statement, VariableSetStmt) || IsA(statement, SelectStmt);
}

/* As run_in_subtransaction(). */
static ErrorData *
run_step(SubtransactionWork step, StatementCheck *check)
{
	ErrorData  *error = run_in_subtransaction(step, check);

	if (error != NULL && must_be_rethrown(error))
		ReThrowError(error);
	return error;
}

/* Errors that are not about the statement: somebody wants us to stop. */
static bool
must_be_rethrown(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_TRANSACTION_ROLLBACK:
			return true;
		default:
			return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
	}
}

static void
put_rows(ReturnSetInfo *result, int number, Node *statement, List *rows)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		Datum		values[1 + CHECK_ROW_COLUMNS];
		bool		nulls[1 + CHECK_ROW_COLUMNS] = {0};

		values[0] = Int32GetDatum(number);
		check_row_columns(lfirst(cell), statement, values + 1, nulls + 1);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
}

/*
 * See check.h.
 */
void
check_row_columns(const CheckRow *row, Node *statement, Datum *values,
				  bool *nulls)
{
	put_text(values, nulls, 0, statement == NULL ? NULL :
			 GetCommandTagName(CreateCommandTag(statement)));
	put_text(values, nulls, 1, row->relation);
	put_text(values, nulls, 2, row->lock_mode);
	put_text(values, nulls, 3, row->work);
	values[4] = Int64GetDatum((int64) row->size_bytes);
	nulls[4] = !row->has_size;
	put_text(values, nulls, 5, row->risk);
	put_text(values, nulls, 6, row->rule);
	put_text(values, nulls, 7, row->action);
	put_text(values, nulls, 8, row->message);
	put_text(values, nulls, 9, row->safe_sql);
}

static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

/*-------------------------------------------------------------------------
 *
 * take_over.c
 *	  CALL of a procedure of ours that needs transactions of its own.
 *
 * A procedure in C can commit, but cannot run what PostgreSQL wants at top
 * level, such as CREATE INDEX CONCURRENTLY or VACUUM.  A CALL that is itself
 * at top level can be taken over before it becomes a function call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/migration_flag.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "run/run.h"
#include "run/take_over.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#define MAX_PROCEDURES 16

static struct
{
	const char *name;
	TopLevelProcedure procedure;
}			procedures[MAX_PROCEDURES];
static int	procedure_count = 0;

PG_FUNCTION_INFO_V1(migrate_top_level_only);

static TopLevelProcedure find_procedure(Oid function_oid);
static ProcedureArgument *evaluate_arguments(List *arguments,
											 ParamListInfo params,
											 MemoryContext context);

void
register_top_level_procedure(const char *name, TopLevelProcedure procedure)
{
	if (procedure_count == MAX_PROCEDURES)
		elog(ERROR, "too many top-level procedures");
	procedures[procedure_count].name = name;
	procedures[procedure_count].procedure = procedure;
	procedure_count++;
}

/*
 * See take_over.h.
 */
bool
take_over_call(CallStmt *call, ParamListInfo params, QueryCompletion *qc)
{
	FuncExpr   *function = call->funcexpr;
	TopLevelProcedure procedure;
	ProcedureArgument *arguments;
	MemoryContext context;
	int			count;

	if (function == NULL || IsInTransactionBlock(true))
		return false;
	procedure = find_procedure(function->funcid);
	if (procedure == NULL)
		return false;
	if (compat_function_aclcheck(function->funcid, GetUserId(),
								 ACL_EXECUTE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_PROCEDURE,
					   get_func_name(function->funcid));

	/* the parse tree may go with the first commit */
	context = AllocSetContextCreate(PortalContext, "safe_migrate CALL",
									ALLOCSET_DEFAULT_SIZES);
	count = list_length(function->args);
	arguments = evaluate_arguments(function->args, params, context);

	procedure(count, arguments);

	end_own_transactions(CMDTAG_CALL, qc);
	return true;
}

/*
 * See take_over.h.  Each start of a transaction resets the flags.
 */
void
end_own_transactions(CommandTag tag, QueryCompletion *qc)
{
	MyXactFlags |= XACT_FLAGS_NEEDIMMEDIATECOMMIT;
	if (qc != NULL)
		SetQueryCompletion(qc, tag, 0);
}

/* By name, if it is in our schema and our extension is created. */
static TopLevelProcedure
find_procedure(Oid function_oid)
{
	char	   *name = get_func_name(function_oid);

	for (int i = 0; name != NULL && i < procedure_count; i++)
	{
		if (strcmp(procedures[i].name, name) != 0 ||
			get_func_namespace(function_oid) !=
			get_namespace_oid(MIGRATE_SCHEMA, true) ||
			!extension_is_created() ||
			!extension_owns_function(function_oid))
			continue;
		return procedures[i].procedure;
	}
	return NULL;
}

/* As ExecuteCallStmt() does, but into text. */
static ProcedureArgument *
evaluate_arguments(List *arguments, ParamListInfo params,
				   MemoryContext context)
{
	EState	   *estate = CreateExecutorState();
	ExprContext *econtext = CreateExprContext(estate);
	ProcedureArgument *values;
	ListCell   *cell;

	econtext->ecxt_param_list_info = params;
	values = MemoryContextAllocZero(context,
									sizeof(ProcedureArgument) *
									Max(list_length(arguments), 1));
	foreach(cell, arguments)
	{
		Node	   *argument = lfirst(cell);
		ProcedureArgument *value = &values[foreach_current_index(cell)];
		ExprState  *state = ExecPrepareExpr((Expr *) argument, estate);
		Datum		datum = ExecEvalExprSwitchContext(state, econtext,
													  &value->isnull);
		Oid			output;
		bool		is_varlena;

		if (value->isnull)
			continue;
		getTypeOutputInfo(exprType(argument), &output, &is_varlena);
		value->value = MemoryContextStrdup(context,
										   OidOutputFunctionCall(output,
																 datum));
	}
	FreeExecutorState(estate);
	return values;
}

/*
 * The body of every such procedure: reached when it was not taken over.
 */
Datum
migrate_top_level_only(PG_FUNCTION_ARGS)
{
	char	   *name = get_func_name(fcinfo->flinfo->fn_oid);

	require_preloaded();
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("CALL migrate.%s() commits by itself: send it alone, outside a transaction block, function or DO block",
					name ? name : "?"),
			 migration_is_running() && strncmp(name ? name : "", "deploy", 6) != 0 ?
			 errhint("In a migration, that takes -- safe_migrate: no-transaction before the first statement.") :
			 errhint("Turn autocommit on and send the CALL as the only statement; with JDBC use a plain statement \"CALL ...\", not the escape \"{call ...}\".")));
	PG_RETURN_VOID();
}

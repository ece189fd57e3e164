/*-------------------------------------------------------------------------
 *
 * step.c
 *	  Running one statement of a script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/concurrent.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "run/step.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

typedef struct Savepoint
{
	char	   *name;
	ResourceOwner owner;		/* current before the savepoint */
} Savepoint;

static bool relation_is_partitioned(RangeVar *relation);
static bool option_is(List *options, const char *name, bool value);
static bool reindex_needs_no_transaction(ReindexStmt *stmt);
static bool create_subscription_needs_no_transaction(CreateSubscriptionStmt *stmt);
static bool alter_subscription_needs_no_transaction(AlterSubscriptionStmt *stmt);
static List *plan_text(const char *text, CommandTag *tag);
static List *enter_savepoint(List *savepoints, const char *name);
static List *leave_savepoint(List *savepoints, const char *name, bool commit);
static List *leave_innermost(List *savepoints, bool commit);

/*
 * See step.h.
 */
StatementRole
statement_role(Node *statement)
{
	if (IsA(statement, VariableSetStmt))
	{
		VariableSetStmt *set = (VariableSetStmt *) statement;

		/* "TRANSACTION SNAPSHOT" as well, but not "SESSION CHARACTERISTICS" */
		if (set->name != NULL &&
			(pg_strncasecmp(set->name, "transaction", 11) == 0 &&
			 pg_strcasecmp(set->name, "transaction_timeout") != 0))
			return STATEMENT_SET_TRANSACTION;
		return STATEMENT_ORDINARY;
	}
	if (!IsA(statement, TransactionStmt))
		return STATEMENT_ORDINARY;

	switch (((TransactionStmt *) statement)->kind)
	{
		case TRANS_STMT_BEGIN:
		case TRANS_STMT_START:
			return STATEMENT_BEGIN;
		case TRANS_STMT_COMMIT:
			return STATEMENT_COMMIT;
		case TRANS_STMT_ROLLBACK:
			return STATEMENT_ROLLBACK;
		case TRANS_STMT_SAVEPOINT:
			return STATEMENT_SAVEPOINT;
		case TRANS_STMT_RELEASE:
			return STATEMENT_RELEASE;
		case TRANS_STMT_ROLLBACK_TO:
			return STATEMENT_ROLLBACK_TO;
		case TRANS_STMT_PREPARE:
			return STATEMENT_PREPARE;
		case TRANS_STMT_COMMIT_PREPARED:
		case TRANS_STMT_ROLLBACK_PREPARED:
			break;
	}
	return STATEMENT_ORDINARY;
}

/*
 * See step.h.
 */
bool
statement_needs_no_transaction(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
			return ((IndexStmt *) statement)->concurrent;
		case T_DropStmt:
			return ((DropStmt *) statement)->removeType == OBJECT_INDEX &&
				((DropStmt *) statement)->concurrent;
		case T_ReindexStmt:
			return reindex_needs_no_transaction((ReindexStmt *) statement);
		case T_AlterTableStmt:
			return detaches_concurrently((AlterTableStmt *) statement);
		case T_VacuumStmt:
			/* ANALYZE is one of these too */
			return ((VacuumStmt *) statement)->is_vacuumcmd;
		case COMPAT_CLUSTER_TAG:
			return compat_cluster_relation(statement) == NULL ||
				compat_cluster_is_concurrent(statement) ||
				relation_is_partitioned(compat_cluster_relation(statement));
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterSystemStmt:
		case T_DropSubscriptionStmt:
			return true;
		case T_AlterDatabaseStmt:
			/* the syntax allows TABLESPACE only by itself */
			return list_length(((AlterDatabaseStmt *) statement)->options) == 1 &&
				strcmp(linitial_node(DefElem, ((AlterDatabaseStmt *) statement)->options)->defname,
					   "tablespace") == 0;
		case T_CreateSubscriptionStmt:
			return create_subscription_needs_no_transaction((CreateSubscriptionStmt *) statement);
		case T_AlterSubscriptionStmt:
			return alter_subscription_needs_no_transaction((AlterSubscriptionStmt *) statement);
		case T_DiscardStmt:
			return ((DiscardStmt *) statement)->target == DISCARD_ALL;
		case T_TransactionStmt:
			return ((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED ||
				((TransactionStmt *) statement)->kind == TRANS_STMT_ROLLBACK_PREPARED;
		default:
			return false;
	}
}

static bool
relation_is_partitioned(RangeVar *relation)
{
	char		relkind;

	if (relation == NULL)
		return false;
	relkind = get_rel_relkind(RangeVarGetRelid(relation, NoLock, true));
	return relkind == RELKIND_PARTITIONED_TABLE ||
		relkind == RELKIND_PARTITIONED_INDEX;
}

/* True if an option is given with that value. */
static bool
option_is(List *options, const char *name, bool value)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option) == value;
	}
	return false;
}

static bool
reindex_needs_no_transaction(ReindexStmt *stmt)
{
	if (reindex_is_concurrent(stmt))
		return true;
	/* a schema, the system catalogs or a database */
	if (stmt->relation == NULL)
		return true;
	return relation_is_partitioned(stmt->relation);
}

/* It is the replication slot that cannot be made in a transaction. */
static bool
create_subscription_needs_no_transaction(CreateSubscriptionStmt *stmt)
{
	ListCell   *cell;

	if (option_is(stmt->options, "connect", false) ||
		option_is(stmt->options, "create_slot", false))
		return false;
	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "slot_name") == 0 &&
			strcmp(defGetString(option), "none") == 0)
			return false;
	}
	return true;
}

/*
 * Some options cannot be changed in a transaction either, which ones differs
 * between versions: all of them may as well run alone.
 */
static bool
alter_subscription_needs_no_transaction(AlterSubscriptionStmt *stmt)
{
	switch (stmt->kind)
	{
		case ALTER_SUBSCRIPTION_CONNECTION:
		case ALTER_SUBSCRIPTION_ENABLED:
		case ALTER_SUBSCRIPTION_SKIP:
			return false;
		case ALTER_SUBSCRIPTION_SET_PUBLICATION:
		case ALTER_SUBSCRIPTION_ADD_PUBLICATION:
		case ALTER_SUBSCRIPTION_DROP_PUBLICATION:
			return !option_is(stmt->options, "refresh", false);
		default:
			return true;
	}
}

/*
 * See step.h.
 *
 * These are the steps of exec_simple_query().  SPI would not do: it takes a
 * snapshot, after which SET TRANSACTION ISOLATION LEVEL is refused, and in it
 * nothing is at top level.
 */
void
run_statement_at_top_level(const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	Portal		portal;
	CommandTag	tag;
	List	   *plans;
	QueryCompletion completion;

	/* parse and plan trees must survive the commits of the statement */
	context = AllocSetContextCreate(caller, "safe_migrate statement",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	plans = plan_text(text, &tag);
	portal = CreateNewPortal();
	portal->visible = false;
	PortalDefineQuery(portal, NULL, text, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	compat_portal_run(portal, None_Receiver, &completion);
	PortalDrop(portal, false);
	CommandCounterIncrement();

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

static List *
plan_text(const char *text, CommandTag *tag)
{
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(text));
	bool		snapshot_set = false;
	List	   *plans;

	*tag = CreateCommandTag(raw->stmt);
	if (analyze_requires_snapshot(raw))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		snapshot_set = true;
	}
	plans = pg_analyze_and_rewrite_fixedparams(raw, text, NULL, 0, NULL);
	plans = pg_plan_queries(plans, text, CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot_set)
		PopActiveSnapshot();
	return plans;
}

/*
 * See step.h.
 */
char *
find_invalid_index(Node *statement)
{
	IndexStmt  *stmt = (IndexStmt *) statement;
	Oid			table;
	Oid			index;
	HeapTuple	tuple;
	bool		is_leftover = false;

	if (!IsA(statement, IndexStmt) || !stmt->concurrent ||
		stmt->idxname == NULL)
		return NULL;
	table = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(table))
		return NULL;
	index = get_relname_relid(stmt->idxname, get_rel_namespace(table));
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		is_leftover = form->indrelid == table && !form->indisvalid;
		ReleaseSysCache(tuple);
	}
	return is_leftover ? relation_display_name(index) : NULL;
}

/*
 * See step.h.
 */
void
run_statement_in_function(const char *text)
{
	SPIExecuteOptions options = {0};
	int			result;

	SPI_connect();
	options.dest = None_Receiver;
	result = SPI_execute_extended(text, &options);
	if (result < 0)
		elog(ERROR, "could not run statement: %s",
			 SPI_result_code_string(result));
	SPI_finish();
}

/*
 * See step.h.
 */
List *
run_savepoint_statement(List *savepoints, TransactionStmt *stmt)
{
	switch (stmt->kind)
	{
		case TRANS_STMT_SAVEPOINT:
			return enter_savepoint(savepoints, stmt->savepoint_name);
		case TRANS_STMT_RELEASE:
			return leave_savepoint(savepoints, stmt->savepoint_name, true);
		default:
			Assert(stmt->kind == TRANS_STMT_ROLLBACK_TO);
			savepoints = leave_savepoint(savepoints, stmt->savepoint_name,
										 false);
			/* the savepoint itself stays */
			return enter_savepoint(savepoints, stmt->savepoint_name);
	}
}

static List *
enter_savepoint(List *savepoints, const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	Savepoint  *savepoint = palloc(sizeof(Savepoint));

	savepoint->name = pstrdup(name);
	savepoint->owner = CurrentResourceOwner;
	savepoints = lcons(savepoint, savepoints);

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	return savepoints;
}

/*
 * End the subtransactions up to and including that of a savepoint.
 */
static List *
leave_savepoint(List *savepoints, const char *name, bool commit)
{
	bool		found = false;

	while (savepoints != NIL && !found)
	{
		found = strcmp(((Savepoint *) linitial(savepoints))->name, name) == 0;
		savepoints = leave_innermost(savepoints, commit);
	}
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_S_E_INVALID_SPECIFICATION),
				 errmsg("savepoint \"%s\" does not exist", name)));
	return savepoints;
}

static List *
leave_innermost(List *savepoints, bool commit)
{
	MemoryContext context = CurrentMemoryContext;
	Savepoint  *savepoint = linitial(savepoints);

	if (commit)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = savepoint->owner;
	return list_delete_first(savepoints);
}

/*
 * See step.h.
 */
void
release_all_savepoints(List *savepoints)
{
	while (savepoints != NIL)
		savepoints = leave_innermost(savepoints, true);
}

/*-------------------------------------------------------------------------
 *
 * deploy.c
 *	  CALL migrate.deploy(): each migration in a transaction of its own.
 *
 * The utility hook hands the CALL over to us, at top level and outside of a
 * transaction block, so that we may commit.  Everything that has to survive a
 * commit is in a memory context of its own.
 *
 * A migration in one transaction has its row in the ledger written by that
 * same transaction.  One that commits inside, because it says COMMIT or has a
 * statement that cannot run in a transaction, has its progress written by
 * each of its commits: whatever happens, the ledger tells how far it got, and
 * the next deploy goes on from there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/migration_flag.h"
#include "common/new_relations.h"
#include "drift/fingerprint.h"
#include "ledger/ledger.h"
#include "ledger/migration_script.h"
#include "ledger/precheck.h"
#include "ledger/session_settings.h"
#include "miscadmin.h"
#include "run/run.h"
#include "run/step.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

/* A migration that is being run. */
typedef struct Deployment
{
	MemoryContext context;		/* outlives the transactions */
	const LedgerEntry *entry;
	MigrationScript *script;
	const ScriptStatement *statement;	/* running now, NULL between them */
	int			statement_number;
	Attempt		attempt;
	Attempt		committed;		/* the same, as of the last commit */

	/* of the transaction that is open */
	bool		explicit_block; /* between BEGIN and COMMIT of the script */
	bool		used;			/* something has run in it */
	List	   *savepoints;
	int			guc_level;		/* 0: settings last beyond a commit */

	SessionSettings *settings;	/* before it, if guc_level is not used */
} Deployment;

static void deploy(int nargs, const ProcedureArgument *args);
static List *plan_deployment(const char *target);
static void report_result(int applied);
static void deploy_migration(const LedgerEntry *entry, const char *role,
							 MemoryContext parent);
static void prepare_deployment(Deployment *run);
static bool commits_inside(const MigrationScript *script);
static void start_transaction(Deployment *run);
static void commit_transaction(Deployment *run, AttemptState state);
static void roll_back_transaction(Deployment *run);
static void run_statements(Deployment *run);
static bool sets_for_session(Node *statement);
static void run_statement(Deployment *run, bool last);
static void run_begin(Deployment *run, TransactionStmt *stmt);
static void run_end(Deployment *run, TransactionStmt *stmt, bool last);
static bool must_run_alone(Deployment *run, Node *statement);
static void run_in_transaction(Deployment *run);
static void run_alone(Deployment *run, bool last);
static void run_timed(const ScriptStatement *statement);
static void drop_leftover(Deployment *run);
static void arm_statement_timeout(bool arm);
static void record_failure(Deployment *run, const ErrorData *error);
static void restore_settings(Deployment *run);

/*
 * To be called from _PG_init.
 */
void
register_ledger_procedures(void)
{
	register_top_level_procedure("deploy", deploy);
}

/*
 * The hook calls this with a transaction open and wants one open again.
 */
static void
deploy(int nargs, const ProcedureArgument *args)
{
	MemoryContext context = AllocSetContextCreate(PortalContext,
												  "safe_migrate deploy",
												  ALLOCSET_DEFAULT_SIZES);
	const char *target = nargs > 0 && !args[0].isnull ? args[0].value : NULL;
	volatile int applied = 0;

	PreventCommandDuringRecovery("CALL migrate.deploy()");
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();

	lock_ledger_for_session();
	set_migration_running(true);
	begin_new_relations();
	PG_TRY();
	{
		List	   *pending;
		ListCell   *cell;
		char	   *role;

		MemoryContextSwitchTo(context);
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		MemoryContextSwitchTo(context);
		role = GetUserNameFromId(GetUserId(), false);
		pending = plan_deployment(target);
		CommitTransactionCommand();
		arm_statement_timeout(false);

		foreach(cell, pending)
		{
			deploy_migration(lfirst(cell), role, context);
			applied++;
		}
	}
	PG_FINALLY();
	{
		end_fingerprints();
		end_new_relations();
		set_migration_running(false);
		unlock_ledger_for_session();
	}
	PG_END_TRY();

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(PortalContext);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	report_result(applied);
}

/*
 * What is to be run, checked as far as that is possible before.
 */
static List *
plan_deployment(const char *target)
{
	List	   *pending = pending_migrations(target);
	ListCell   *cell;

	check_migrations(pending);
	if (pending != NIL)
		begin_fingerprints();

	/* Nobody runs them, since we have the lock. */
	foreach(cell, pending)
	{
		LedgerEntry *entry = lfirst(cell);

		if (entry->interrupted)
			ledger_end_interrupted(entry);
	}
	return pending;
}

static void
report_result(int applied)
{
	if (applied == 0)
		ereport(NOTICE,
				(errmsg("nothing to do: no migration is pending")));
	else
		ereport(NOTICE,
				(errmsg_plural("%d migration applied",
							   "%d migrations applied",
							   applied, applied)));
}

/*
 * Run a migration, or what an earlier attempt has left of it.
 */
static void
deploy_migration(const LedgerEntry *entry, const char *role,
				 MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent,
												  "safe_migrate migration",
												  ALLOCSET_DEFAULT_SIZES);
	Deployment *run = MemoryContextAllocZero(context, sizeof(Deployment));

	run->context = context;
	run->entry = entry;
	run->attempt.entry = entry;
	run->attempt.role = role;
	run->attempt.statements = entry->statements;
	run->attempt.done_bytes = entry->done_bytes;
	run->committed = run->attempt;

	PG_TRY();
	{
		run_statements(run);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(run->context);
		error = CopyErrorData();
		FlushErrorState();
		arm_statement_timeout(false);

		AbortOutOfAnyTransaction();
		record_failure(run, error);
		if (run->script != NULL)
			locate_error(error, entry, run->statement);
		ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(parent);
	MemoryContextDelete(context);
}

/*
 * Read the script in the first transaction.  Where that goes on to run it, no
 * snapshot is taken before.
 */
static void
prepare_deployment(Deployment *run)
{
	bool		has_characteristics = false;
	ListCell   *cell;

	start_transaction(run);
	run->attempt.started_at = GetCurrentStatementStartTimestamp();
	run->script = read_migration_script(run->entry);
	run->committed = run->attempt;

	foreach(cell, run->script->statements)
	{
		Node	   *node = ((ScriptStatement *) lfirst(cell))->raw->stmt;

		has_characteristics |= statement_role(node) == STATEMENT_SET_TRANSACTION ||
			(statement_role(node) == STATEMENT_BEGIN &&
			 ((TransactionStmt *) node)->options != NIL);
	}

	/* an isolation level must not be undone before the transaction ends */
	if (!has_characteristics && !commits_inside(run->script))
	{
		run->guc_level = NewGUCNestLevel();
		return;
	}
	run->settings = save_session_settings();
}

/*
 * May the migration need more than one transaction?  Whether a CONCURRENTLY
 * is needless is known only when its turn comes.
 */
static bool
commits_inside(const MigrationScript *script)
{
	ListCell   *cell;

	if (script->no_transaction || script->commits_inside != NULL)
		return true;
	foreach(cell, script->statements)
	{
		const ScriptStatement *statement = lfirst(cell);

		if (statement_needs_no_transaction(statement->raw->stmt))
			return true;
	}
	return false;
}

/*
 * Each transaction has its own now().
 */
static void
start_transaction(Deployment *run)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	keep_extension();
	MemoryContextSwitchTo(run->context);
	run->explicit_block = false;
	run->used = false;
	run->savepoints = NIL;
}

/*
 * Commit what has been run, together with the row that says so.
 */
static void
commit_transaction(Deployment *run, AttemptState state)
{
	release_all_savepoints(run->savepoints);
	run->savepoints = NIL;
	EndImplicitTransactionBlock();
	if (run->guc_level > 0)
	{
		AtEOXact_GUC(false, run->guc_level);
		run->guc_level = 0;
	}

	run->attempt.state = state;
	if (state == ATTEMPT_APPLIED)
		run->attempt.fingerprint = fingerprint_now();
	ledger_write_attempt(&run->attempt);
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
	run->committed = run->attempt;
}

/*
 * ROLLBACK in a script.  The lock that we have outlives it.
 */
static void
roll_back_transaction(Deployment *run)
{
	AbortOutOfAnyTransaction();
	run->attempt.id = run->committed.id;
	start_transaction(run);
}

static void
run_statements(Deployment *run)
{
	ListCell   *cell;

	prepare_deployment(run);
	foreach(cell, run->script->statements)
	{
		run->statement = lfirst(cell);
		run->statement_number = foreach_current_index(cell) + 1;
		if (statement_is_done(run->entry, run->statement))
		{
			if (sets_for_session(run->statement->raw->stmt))
				run_in_transaction(run);
			continue;
		}
		CHECK_FOR_INTERRUPTS();
		run_statement(run, lnext(run->script->statements, cell) == NULL);
	}

	/* unless the last statement was a COMMIT or ran alone */
	run->statement = NULL;
	if (IsTransactionState())
		commit_transaction(run, ATTEMPT_APPLIED);
	restore_settings(run);
}

/*
 * What an earlier attempt has done stays done, but its settings went with its
 * session: the statements to come count on them.
 */
static bool
sets_for_session(Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, VariableSetStmt))
		return !((VariableSetStmt *) statement)->is_local &&
			statement_role(statement) == STATEMENT_ORDINARY;

	/* SELECT set_config(...), as pg_dump writes it */
	if (!IsA(statement, SelectStmt) ||
		((SelectStmt *) statement)->targetList == NIL)
		return false;
	foreach(cell, ((SelectStmt *) statement)->targetList)
	{
		Node	   *value = lfirst_node(ResTarget, cell)->val;

		if (value == NULL || !IsA(value, FuncCall) ||
			strcmp(strVal(llast(((FuncCall *) value)->funcname)),
				   "set_config") != 0)
			return false;
	}
	return true;
}

/*
 * After the last statement no transaction is open if that statement has
 * committed, with the row that says that the migration is applied.
 */
static void
run_statement(Deployment *run, bool last)
{
	Node	   *node = run->statement->raw->stmt;

	pgstat_report_activity(STATE_RUNNING, run->statement->text);
	switch (statement_role(node))
	{
		case STATEMENT_BEGIN:
			run_begin(run, (TransactionStmt *) node);
			break;
		case STATEMENT_COMMIT:
		case STATEMENT_ROLLBACK:
			run_end(run, (TransactionStmt *) node, last);
			return;
		case STATEMENT_SAVEPOINT:
		case STATEMENT_RELEASE:
		case STATEMENT_ROLLBACK_TO:
			BeginImplicitTransactionBlock();
			run->savepoints = run_savepoint_statement(run->savepoints,
													  (TransactionStmt *) node);
			break;
		case STATEMENT_PREPARE:
			elog(ERROR, "PREPARE TRANSACTION in a migration");
			break;
		case STATEMENT_SET_TRANSACTION:
		case STATEMENT_ORDINARY:
			if (must_run_alone(run, node))
			{
				run_alone(run, last);
				return;
			}
			run_in_transaction(run);
			break;
	}
	run->attempt.statements = run->statement_number;
	run->attempt.done_bytes = run->statement->end;
}

/*
 * BEGIN in a script: what ran before it in this transaction stays in it, as
 * in a message of several statements.
 */
static void
run_begin(Deployment *run, TransactionStmt *stmt)
{
	ListCell   *cell;

	if (run->explicit_block)
		ereport(WARNING,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("there is already a transaction in progress")));
	run->explicit_block = true;
	BeginImplicitTransactionBlock();
	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		SetPGVariable(option->defname, list_make1(option->arg), true);
	}
}

/*
 * COMMIT or ROLLBACK in a script.
 */
static void
run_end(Deployment *run, TransactionStmt *stmt, bool last)
{
	if (!run->explicit_block)
		ereport(WARNING,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("there is no transaction in progress")));
	run->attempt.statements = run->statement_number;
	run->attempt.done_bytes = run->statement->end;

	if (stmt->kind == TRANS_STMT_ROLLBACK)
	{
		roll_back_transaction(run);
		return;
	}
	commit_transaction(run, last ? ATTEMPT_APPLIED : ATTEMPT_RUNNING);
	if (!last)
		start_transaction(run);
}

static bool
must_run_alone(Deployment *run, Node *statement)
{
	if (run->explicit_block)
		return false;
	return run->script->no_transaction || statement_must_run_alone(statement);
}

/*
 * The block is what makes the server treat the statement as one of several
 * in a transaction: VACUUM is refused, SET LOCAL and LOCK TABLE are not.
 */
static void
run_in_transaction(Deployment *run)
{
	int			level;

	BeginImplicitTransactionBlock();
	run->used = true;
	level = NewGUCNestLevel();
	set_override(run->statement, GUC_ACTION_SAVE);
	run_timed(run->statement);
	AtEOXact_GUC(true, level);
}

/*
 * Run a statement that may commit by itself.  Before it, what has been run is
 * committed, and that the migration is under way.  The progress is written in
 * the transaction that the statement leaves open: for most statements, CREATE
 * INDEX CONCURRENTLY included, that is the one which completes their work.
 */
static void
run_alone(Deployment *run, bool last)
{
	const ScriptStatement *statement = run->statement;

	if (run->used || run->attempt.id == 0)
	{
		run->statement = NULL;
		commit_transaction(run, ATTEMPT_RUNNING);
		run->statement = statement;
		start_transaction(run);
	}

	drop_leftover(run);
	set_override(statement, GUC_ACTION_LOCAL);
	run_timed(statement);

	run->attempt.statements = run->statement_number;
	run->attempt.done_bytes = statement->end;
	commit_transaction(run, last ? ATTEMPT_APPLIED : ATTEMPT_RUNNING);
	if (!last)
		start_transaction(run);
}

/*
 * Before the statement at which the attempt before this one ended: drop what
 * it has left behind, which would only be in its way.
 */
static void
drop_leftover(Deployment *run)
{
	char	   *leftover;

	if (run->entry->attempt == 0 ||
		run->entry->statements != run->statement_number - 1)
		return;
	leftover = find_invalid_index(run->statement->raw->stmt);
	if (leftover == NULL)
		return;
	ereport(NOTICE,
			(errmsg("dropping index %s, which the last attempt left behind invalid",
					leftover)));
	run_statement_at_top_level(psprintf("DROP INDEX CONCURRENTLY %s",
										leftover));
	CommitTransactionCommand();
	start_transaction(run);
}

/*
 * Run a statement, which may take our lock away.
 */
static void
run_timed(const ScriptStatement *statement)
{
	arm_statement_timeout(true);
	run_statement_at_top_level(statement->text);
	arm_statement_timeout(false);
	keep_ledger_lock();
}

/*
 * statement_timeout counts for each statement of a migration, as it does when
 * a client sends them, and not for the CALL as a whole nor for what we do
 * between them.
 */
static void
arm_statement_timeout(bool arm)
{
	if (get_timeout_active(STATEMENT_TIMEOUT))
		disable_timeout(STATEMENT_TIMEOUT, false);
	if (arm && StatementTimeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
}

/*
 * Write that the attempt has failed.  A failure to do so must not hide the
 * error that the user wants to see.
 */
static void
record_failure(Deployment *run, const ErrorData *error)
{
	/* nothing but putting the settings back can have failed then */
	if (run->committed.state == ATTEMPT_APPLIED)
		return;

	run->attempt = run->committed;
	run->attempt.state = ATTEMPT_FAILED;
	run->attempt.error = error->message;
	run->attempt.sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
	if (run->statement != NULL)
	{
		run->attempt.error_statement = run->statement_number;
		run->attempt.error_line = run->statement->line;
	}

	PG_TRY();
	{
		start_transaction(run);
		if (run->attempt.started_at == 0)
			run->attempt.started_at = GetCurrentStatementStartTimestamp();
		ledger_write_attempt(&run->attempt);
		CommitTransactionCommand();
		restore_settings(run);
	}
	PG_CATCH();
	{
		ErrorData  *reason;

		/* one error is to be sent for one command: that of the migration */
		MemoryContextSwitchTo(run->context);
		reason = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		ereport(WARNING,
				(errcode(reason->sqlerrcode),
				 errmsg("the failed attempt at migration %s could not be recorded: %s",
						run->entry->label, reason->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(run->context);
}

/*
 * Take back what a migration of several transactions has SET.
 */
static void
restore_settings(Deployment *run)
{
	if (run->settings == NULL)
		return;
	start_transaction(run);
	restore_session_settings(run->settings);
	CommitTransactionCommand();
}

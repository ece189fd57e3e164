/*-------------------------------------------------------------------------
 *
 * precheck.c
 *	  What cannot run in one transaction, told before anything runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/enum_use.h"
#include "ledger/ledger.h"
#include "ledger/migration_script.h"
#include "ledger/precheck.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "run/step.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

/* Most problems that are listed in DETAIL. */
#define LISTED_PROBLEMS 20

typedef enum ProblemKind
{
	PROBLEM_COMMIT,
	PROBLEM_ENUM_VALUE,
	PROBLEM_NO_TRANSACTION,
	PROBLEM_SET_TRANSACTION,
	PROBLEM_KINDS				/* how many there are */
} ProblemKind;

/* What has been found; the text of all is in one memory context. */
typedef struct ProblemList
{
	MemoryContext context;
	int			count;
	char	   *first[PROBLEM_KINDS];
	StringInfoData all;
	EnumHistory enums;
} ProblemList;

static void look_at_migration(ProblemList *problems, const LedgerEntry *entry);
static void look_at_statement(ProblemList *problems,
							  const LedgerEntry *entry,
							  const ScriptStatement *statement);
static char *command_name(const ScriptStatement *statement);
static void add_problem(ProblemList *problems, ProblemKind kind,
						const LedgerEntry *entry,
						const ScriptStatement *statement, char *what);
static void refuse(const ProblemList *problems, int migrations);

/*
 * See precheck.h.
 */
void
check_migrations(List *pending)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate check",
												  ALLOCSET_DEFAULT_SIZES);
	ListCell   *cell;

	foreach(cell, pending)
	{
		MemoryContextSwitchTo(context);
		CHECK_FOR_INTERRUPTS();
		(void) read_migration_script(read_pending(lfirst(cell)));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/*
 * See precheck.h.
 */
void
check_migrations_for_apply(List *pending)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext parsing = AllocSetContextCreate(caller,
												  "safe_migrate check",
												  ALLOCSET_DEFAULT_SIZES);
	ProblemList problems = {caller};
	ListCell   *cell;

	initStringInfo(&problems.all);
	foreach(cell, pending)
	{
		MemoryContextSwitchTo(parsing);
		CHECK_FOR_INTERRUPTS();
		look_at_migration(&problems, read_pending(lfirst(cell)));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(parsing);
	}
	MemoryContextDelete(parsing);
	if (problems.count > 0)
		refuse(&problems, list_length(pending));
}

static void
look_at_migration(ProblemList *problems, const LedgerEntry *entry)
{
	MigrationScript *script = read_migration_script(entry);
	ListCell   *cell;

	if (script->commits_inside != NULL &&
		!statement_is_done(entry, script->commits_inside))
		add_problem(problems, PROBLEM_COMMIT, entry, script->commits_inside,
					"ends a transaction by itself");
	foreach(cell, script->statements)
	{
		const ScriptStatement *statement = lfirst(cell);

		if (!statement_is_done(entry, statement))
			look_at_statement(problems, entry, statement);
	}
}

static void
look_at_statement(ProblemList *problems, const LedgerEntry *entry,
				  const ScriptStatement *statement)
{
	Node	   *node = statement->raw->stmt;
	StatementRole role = statement_role(node);
	const EnumValue *value;
	MemoryContext old;

	if (role == STATEMENT_SET_TRANSACTION ||
		(role == STATEMENT_BEGIN && ((TransactionStmt *) node)->options != NIL))
		add_problem(problems, PROBLEM_SET_TRANSACTION, entry, statement,
					"sets the characteristics of its transaction");
	if (role != STATEMENT_ORDINARY)
		return;

	if (statement_must_run_alone(node))
		add_problem(problems, PROBLEM_NO_TRANSACTION, entry, statement,
					psprintf("has %s, which cannot run inside a transaction",
							 command_name(statement)));

	old = MemoryContextSwitchTo(problems->context);
	value = look_for_enum_use(&problems->enums, entry->label, statement);
	MemoryContextSwitchTo(old);
	if (value != NULL)
		add_problem(problems, PROBLEM_ENUM_VALUE, entry, statement,
					psprintf("uses the enum value '%s' of type \"%s\", which migration %s adds and which has to be committed first",
							 value->label, value->type, value->migration));
}

/* The command tag does not tell CONCURRENTLY. */
static char *
command_name(const ScriptStatement *statement)
{
	Node	   *node = statement->raw->stmt;
	SqlTokens  *tokens = scan_sql(statement->text);
	const char *suffix = "";

	for (int i = 0; i < tokens->count; i++)
	{
		if (token_is(tokens, i, "concurrently"))
			suffix = IsA(node, AlterTableStmt) ? " ... CONCURRENTLY" :
				" CONCURRENTLY";
	}
	return psprintf("%s%s", GetCommandTagName(CreateCommandTag(node)), suffix);
}

static void
add_problem(ProblemList *problems, ProblemKind kind, const LedgerEntry *entry,
			const ScriptStatement *statement, char *what)
{
	char	   *text = psprintf("migration %s, line %d, %s", entry->label,
								statement->line, what);

	problems->count++;
	if (problems->first[kind] == NULL)
		problems->first[kind] = MemoryContextStrdup(problems->context, text);
	if (problems->count <= LISTED_PROBLEMS)
		appendStringInfo(&problems->all, "%s%s",
						 problems->count > 1 ? ";\n" : "", text);
	else if (problems->count == LISTED_PROBLEMS + 1)
		appendStringInfoString(&problems->all, ";\n...");
}

/*
 * The message has the first problem of each kind.
 */
static void
refuse(const ProblemList *problems, int migrations)
{
	StringInfoData first;

	initStringInfo(&first);
	for (int kind = 0; kind < PROBLEM_KINDS; kind++)
	{
		if (problems->first[kind] != NULL)
			appendStringInfo(&first, "%s%s", first.len ? "; " : "",
							 problems->first[kind]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg_plural("cannot apply %d migration in one transaction, use CALL migrate.deploy(): %s",
						   "cannot apply %d migrations in one transaction, use CALL migrate.deploy(): %s",
						   migrations, migrations, first.data),
			 errdetail_plural("Found %d problem: %s.",
							  "Found %d problems: %s.",
							  problems->count, problems->count,
							  problems->all.data)));
}

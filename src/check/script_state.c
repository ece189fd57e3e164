/*-------------------------------------------------------------------------
 *
 * script_state.c
 *	  What the statements of a checked script leave behind for the later ones:
 *	  the overlay, settings, and whether a transaction is open.
 *
 * Settings that judging depends on are really set, on a GUC nest level that
 * ends with the check, so that names are looked up and verdicts are reached as
 * they will be when the script runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "check/check.h"
#include "common/set_config.h"
#include "common/settings.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "policy/opt_in.h"
#include "run/step.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

static void start_over(ScriptState *state);
static void begin_block(ScriptState *state, int begin);
static void end_block(ScriptState *state);
static void renew_settings(ScriptState *state);
static ScriptStatement *transaction_statement(TransactionStmtKind kind);
static void roll_back(ScriptState *state, int length);
static void begin_text_again(ScriptState *state, int index);
static int	find_savepoint(const ScriptState *state, const char *name);
static void apply_settings(ScriptState *state, Node *statement, bool lasting);
static void apply_set(VariableSetStmt *stmt);
static void apply_set_config(Node *expression, bool lasting);
static bool setting_matters(const char *name);
static void consume_override(void);

/* Settings that judging depends on; RESET ALL leaves the role alone. */
static const char *const settings[] = {
	"role",
	"search_path",
	"timezone",
	"default_table_access_method",
	"default_tablespace",
	"safe_migrate.rules",
	"safe_migrate.small_table",
	"safe_migrate.override",
};

/*
 * Those that only design rules depend on.  They count for our own waiting for
 * locks as well, so they are left alone where no such rule is on.
 */
static const char *const design_settings[] = {
	"lock_timeout",
	"statement_timeout",
};

/*
 * See check.h.
 */
void
script_begin(ScriptState *state)
{
	memset(state, 0, sizeof(ScriptState));
	state->context = CurrentMemoryContext;
	start_over(state);
}

/*
 * See check.h.
 */
void
script_next_text(ScriptState *state, const char *text, int first_line,
				 const char *label)
{
	MemoryContext old_context = MemoryContextSwitchTo(state->context);
	ScriptText *next = palloc(sizeof(ScriptText));

	if (state->texts != NIL)
	{
		state->line_base += line_of_offset(state->text, strlen(state->text));
		renew_settings(state);
	}
	next->label = label;
	next->first_line = first_line;
	next->first = list_length(state->applied);
	next->line_base = state->line_base;
	state->texts = lappend(state->texts, next);
	state->text = text;

	/* where there are several, the line is told apart from the message */
	state->many_lines = label == NULL && strchr(text, '\n') != NULL;
	MemoryContextSwitchTo(old_context);
}

static void
renew_settings(ScriptState *state)
{
	AtEOXact_GUC(false, state->script_level);
	state->script_level = NewGUCNestLevel();
}

/*
 * See check.h.
 */
void
script_begin_implicit(ScriptState *state)
{
	MemoryContext old_context = MemoryContextSwitchTo(state->context);

	state->implicit_begin = transaction_statement(TRANS_STMT_BEGIN);
	state->implicit_commit = transaction_statement(TRANS_STMT_COMMIT);
	MemoryContextSwitchTo(old_context);
	script_advance(state, state->implicit_begin);
}

/* As if the text had it. */
static ScriptStatement *
transaction_statement(TransactionStmtKind kind)
{
	ScriptStatement *statement = palloc0(sizeof(ScriptStatement));
	TransactionStmt *node = makeNode(TransactionStmt);

	node->kind = kind;
	statement->raw = makeNode(RawStmt);
	statement->raw->stmt = (Node *) node;
	statement->text = "";
	return statement;
}

/*
 * See check.h.
 */
void
script_end_implicit(ScriptState *state)
{
	script_advance(state, state->implicit_commit);
	state->implicit_begin = NULL;
}

static void
start_over(ScriptState *state)
{
	MemoryContext old_context = MemoryContextSwitchTo(state->context);

	state->overlay = overlay_create();
	MemoryContextSwitchTo(old_context);
	state->in_transaction = false;
	state->divisible = false;
	state->script_level = NewGUCNestLevel();
}

/*
 * See check.h.
 */
void
script_end(ScriptState *state)
{
	overlay_free(state->overlay);

	/* as after an abort: whatever was set is taken back */
	AtEOXact_GUC(false, state->script_level);
}

/*
 * See check.h.
 */
void
script_apply(ScriptState *state, const ScriptStatement *statement)
{
	Node	   *node = statement->raw->stmt;
	const ScriptText *text = llast(state->texts);

	if (IsA(node, VariableSetStmt) || IsA(node, SelectStmt))
		apply_settings(state, node, false);
	overlay_apply(state->overlay, node,
				  statement->line - text->first_line + 1 + state->line_base);
}

/*
 * See check.h.
 */
void
script_apply_settings(ScriptState *state, ScriptStatement *statement)
{
	apply_settings(state, statement->raw->stmt, !state->in_transaction);
	script_advance(state, statement);
}

/*
 * See check.h.
 */
char *
script_opaque_place(const ScriptState *state, const char **command)
{
	int			line = overlay_opaque_line(state->overlay, command);
	const ScriptText *text = llast(state->texts);
	ListCell   *cell;

	if (line > text->line_base)
		return psprintf("line %d",
						line - text->line_base + text->first_line - 1);
	foreach(cell, state->texts)
	{
		const ScriptText *other = lfirst(cell);

		if (other->line_base >= line)
			break;
		text = other;
	}
	return psprintf("line %d of migration %s",
					line - text->line_base + text->first_line - 1,
					text->label);
}

/*
 * See check.h.
 */
void
script_advance(ScriptState *state, ScriptStatement *statement)
{
	Node	   *node = statement->raw->stmt;
	StatementRole role = statement_role(node);
	MemoryContext old_context = MemoryContextSwitchTo(state->context);

	state->applied = lappend(state->applied, statement);
	MemoryContextSwitchTo(old_context);
	switch (role)
	{
		case STATEMENT_BEGIN:
			if (!state->in_transaction)
				begin_block(state, list_length(state->applied) - 1);
			state->divisible = statement == state->implicit_begin;
			break;
		case STATEMENT_COMMIT:
		case STATEMENT_PREPARE:
			if (state->in_transaction)
				end_block(state);
			break;
		case STATEMENT_ROLLBACK:
			if (state->in_transaction)
				roll_back(state, state->begin);
			break;
		case STATEMENT_ROLLBACK_TO:
			if (state->in_transaction)
				roll_back(state,
						  find_savepoint(state,
										 ((TransactionStmt *) node)->savepoint_name));
			break;
		case STATEMENT_ORDINARY:
			if (!state->in_transaction && statement_has_effects(node))
				consume_override();
			break;
		case STATEMENT_SAVEPOINT:
		case STATEMENT_RELEASE:
		case STATEMENT_SET_TRANSACTION:
			break;
	}
	if ((role == STATEMENT_COMMIT || role == STATEMENT_ROLLBACK) &&
		((TransactionStmt *) node)->chain)
		begin_block(state, list_length(state->applied));
}

static void
begin_block(ScriptState *state, int begin)
{
	state->in_transaction = true;
	state->begin = begin;
	state->block_level = NewGUCNestLevel();
}

/* SET LOCAL ends with the transaction, plain SET is there to stay. */
static void
end_block(ScriptState *state)
{
	state->in_transaction = false;
	state->divisible = false;
	overlay_release_locks(state->overlay);
	AtEOXact_GUC(false, state->block_level);
	for (int i = state->begin; i < list_length(state->applied); i++)
	{
		ScriptStatement *statement = list_nth(state->applied, i);

		apply_settings(state, statement->raw->stmt, true);
	}
	consume_override();
}

/*
 * Forget all but the first statements, by doing them once more from the
 * beginning.
 */
static void
roll_back(ScriptState *state, int length)
{
	List	   *applied = list_truncate(state->applied, length);
	ListCell   *cell;

	check_stack_depth();
	overlay_free(state->overlay);
	AtEOXact_GUC(false, state->script_level);
	start_over(state);
	state->applied = NIL;
	foreach(cell, applied)
	{
		CHECK_FOR_INTERRUPTS();
		begin_text_again(state, foreach_current_index(cell));
		script_apply(state, lfirst(cell));
		script_advance(state, lfirst(cell));
	}
	begin_text_again(state, length);
	list_free(applied);
}

/* If a text begins with that statement: as script_next_text() does. */
static void
begin_text_again(ScriptState *state, int index)
{
	ListCell   *cell;

	foreach(cell, state->texts)
	{
		const ScriptText *text = lfirst(cell);

		if (text->first != index)
			continue;
		renew_settings(state);
		state->line_base = text->line_base;
	}
}

/* How many statements stay; all if there is no such savepoint. */
static int
find_savepoint(const ScriptState *state, const char *name)
{
	for (int i = list_length(state->applied) - 1; i > state->begin; i--)
	{
		Node	   *node = ((ScriptStatement *) list_nth(state->applied,
														 i))->raw->stmt;

		if (statement_role(node) == STATEMENT_SAVEPOINT &&
			strcmp(((TransactionStmt *) node)->savepoint_name, name) == 0)
			return i + 1;
	}

	/* not the ROLLBACK TO itself, which would be done again and again */
	return list_length(state->applied) - 1;
}

/*
 * SET, RESET and SELECT set_config(), of settings that matter.  lasting: only
 * what outlives its transaction.
 */
static void
apply_settings(ScriptState *state, Node *statement, bool lasting)
{
	if (IsA(statement, VariableSetStmt))
	{
		VariableSetStmt *stmt = (VariableSetStmt *) statement;

		/* SET LOCAL outside of a block is of no effect */
		if (!stmt->is_local || (state->in_transaction && !lasting))
			apply_set(stmt);
	}
	else if (IsA(statement, SelectStmt))
	{
		ListCell   *cell;

		foreach(cell, ((SelectStmt *) statement)->targetList)
			apply_set_config(lfirst_node(ResTarget, cell)->val,
							 lasting || !state->in_transaction);
	}
}

static void
apply_set(VariableSetStmt *stmt)
{
	VariableSetStmt reset = *stmt;

	if (stmt->kind != VAR_RESET_ALL)
	{
		if (stmt->name != NULL && setting_matters(stmt->name) &&
			stmt->kind != VAR_SET_MULTI && stmt->kind != VAR_SET_CURRENT)
			ExecSetVariableStmt(stmt, false);
		return;
	}
	reset.kind = VAR_RESET;
	for (int i = 1; i < lengthof(settings); i++)
	{
		reset.name = unconstify(char *, settings[i]);
		ExecSetVariableStmt(&reset, false);
	}
}

/*
 * set_config(name, value, is_local), as pg_dump begins its scripts.  lasting:
 * not if it is local.
 */
static void
apply_set_config(Node *expression, bool lasting)
{
	ConstantSetting setting;

	if (!is_constant_set_config(expression, &setting) ||
		!setting_matters(setting.name) || (setting.is_local && lasting))
		return;
	(void) set_config_option(setting.name, setting.value,
							 superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION,
							 setting.is_local ? GUC_ACTION_LOCAL : GUC_ACTION_SET,
							 true, 0, false);
}

static bool
setting_matters(const char *name)
{
	for (int i = 0; i < lengthof(settings); i++)
		if (pg_strcasecmp(name, settings[i]) == 0)
			return true;
	for (int i = 0; design_rules_count() && i < lengthof(design_settings); i++)
		if (pg_strcasecmp(name, design_settings[i]) == 0)
			return true;
	return false;
}

/* An override is for one transaction: see end_override() in src/run. */
static void
consume_override(void)
{
	if (setting_override != NULL && setting_override[0] != '\0')
		SetConfigOption("safe_migrate.override", "", PGC_SUSET,
						PGC_S_SESSION);
}

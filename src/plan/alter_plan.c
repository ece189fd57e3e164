/*-------------------------------------------------------------------------
 *
 * alter_plan.c
 *	  Safer sequences for ALTER TABLE.
 *
 * An ALTER TABLE with several sub-commands is taken apart: those that do
 * nothing but change the catalog go first, together; each of the others
 * becomes a sequence of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/script.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "plan/alter_plan.h"
#include "policy/policy.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

typedef struct AlterPlan
{
	AlterTableStmt *stmt;
	const char *prefix;			/* "ALTER TABLE [ONLY] name" */
	RelationFacts *relation;
	List	   *pieces;			/* text of each sub-command */
	SafePlan   *result;
	List	   *names;			/* constraint names chosen so far */
} AlterPlan;

static bool plan_subcommands(AlterPlan *plan, List *findings);
static bool drops_something(AlterTableStmt *stmt);
static List *split_subcommands(const char *source_text);
static int	first_subcommand(const SqlTokens *tokens);
static char *alter_prefix(AlterTableStmt *stmt, const RelationFacts *relation);
static const Effect *problem_of(List *findings, int subcommand);
static bool plan_subcommand(AlterPlan *plan, const Effect *problem);
static void add_step(AlterPlan *plan, const char *format,...) pg_attribute_printf(2, 3);
static bool plan_not_valid(AlterPlan *plan, const Effect *problem);
static void plan_not_null(AlterPlan *plan, const char *column);
static bool plan_key(AlterPlan *plan, const Effect *problem);
static bool plan_detach(AlterPlan *plan, const Effect *problem);
static char *constraint_name(AlterPlan *plan, const char *given,
							 const char *columns, const char *label);
static char *key_name(AlterPlan *plan, Constraint *constraint);
static char *only_column(Node *expression);
static bool collect_columns(Node *node, void *context);
static char *joined_names(List *columns);
static char *column_list(List *columns);

/*
 * See alter_plan.h.
 */
SafePlan *
plan_alter_table(AlterTableStmt *stmt, List *effects, const char *source_text)
{
	AlterPlan	plan = {0};
	List	   *findings = judge_effects(effects);
	Relation	rel;
	bool		planned;

	if (findings == NIL || stmt->relation == NULL ||
		stmt->objtype != OBJECT_TABLE || drops_something(stmt))
		return NULL;
	plan.stmt = stmt;
	plan.result = palloc0(sizeof(SafePlan));
	plan.result->quick_steps = -1;
	plan.relation = ((Effect *) linitial(effects))->relation;
	plan.pieces = split_subcommands(source_text);
	plan.prefix = alter_prefix(stmt, plan.relation);
	if (list_length(plan.pieces) != list_length(stmt->cmds) ||
		plan.relation == NULL || !OidIsValid(plan.relation->relid))
		return NULL;

	/* names are looked up and chosen: the table must not go away meanwhile */
	rel = try_relation_open(plan.relation->relid, AccessShareLock);
	if (rel == NULL)
		return NULL;
	planned = plan_subcommands(&plan, findings);
	relation_close(rel, AccessShareLock);
	return planned ? plan.result : NULL;
}

static bool
plan_subcommands(AlterPlan *plan, List *findings)
{
	StringInfoData harmless;

	initStringInfo(&harmless);
	for (int i = 0; i < list_length(plan->stmt->cmds); i++)
		if (problem_of(findings, i) == NULL)
			appendStringInfo(&harmless, "%s %s", harmless.len > 0 ? "," : "",
							 (char *) list_nth(plan->pieces, i));
	if (harmless.len > 0)
		add_step(plan, "%s%s", plan->prefix, harmless.data);

	for (int i = 0; i < list_length(plan->stmt->cmds); i++)
	{
		const Effect *problem = problem_of(findings, i);

		if (problem != NULL && !plan_subcommand(plan, problem))
			return false;
	}
	return true;
}

/*
 * A statement that drops and adds is one change: in steps, the table would be
 * without the old key until the new one is built, or for good if that fails.
 */
static bool
drops_something(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableType subtype = lfirst_node(AlterTableCmd, cell)->subtype;

		if (subtype == AT_DropConstraint || subtype == AT_DropColumn ||
			subtype == AT_DropNotNull)
			return true;
	}
	return false;
}

/*
 * The text of each sub-command.  In the grammar they are separated by the
 * commas outside of parentheses and brackets, and by nothing else.
 */
static List *
split_subcommands(const char *source_text)
{
	SqlTokens  *tokens = scan_sql(source_text);
	int			token = first_subcommand(tokens);
	int			depth = 0;
	int			start;
	List	   *pieces = NIL;

	if (token >= tokens->count)
		return NIL;
	start = tokens->tokens[token].location;
	for (; token < tokens->count; token++)
	{
		int			code = tokens->tokens[token].code;

		if (code == '(' || code == '[')
			depth++;
		else if (code == ')' || code == ']')
			depth--;
		else if (code == ',' && depth == 0)
		{
			pieces = lappend(pieces,
							 statement_text(source_text, start,
											tokens->tokens[token].location));
			start = tokens->tokens[token].location + 1;
		}
	}
	return lappend(pieces, statement_text(source_text, start, -1));
}

/*
 * ALTER TABLE [IF EXISTS] [ONLY] name [*] action: index of the action.  "if"
 * may also be the name.
 */
static int
first_subcommand(const SqlTokens *tokens)
{
	int			i = 2;

	if (token_is(tokens, i, "if") && token_is(tokens, i + 1, "exists"))
		i += 2;
	if (token_is(tokens, i, "only"))
		i++;
	if (i < tokens->count && tokens->tokens[i].code == '(')
		i++;
	i++;
	while (i < tokens->count && tokens->tokens[i].code == '.')
		i += 2;
	while (i < tokens->count && (tokens->tokens[i].code == '*' ||
								 tokens->tokens[i].code == ')'))
		i++;
	return i;
}

static char *
alter_prefix(AlterTableStmt *stmt, const RelationFacts *relation)
{
	return psprintf("ALTER TABLE %s%s", stmt->relation->inh ? "" : "ONLY ",
					relation ? relation->name : "");
}

/*
 * See alter_plan.h.
 */
char *
statement_text(const char *source_text, int start, int end)
{
	int			length = (end < 0 ? (int) strlen(source_text) : end) - start;
	SqlTokens  *tokens = scan_sql(pnstrdup(source_text + start, length));
	int			last = tokens->count - 1;

	/*
	 * By tokens, because what is put behind a comment at the end would be
	 * part of it.
	 */
	while (last >= 0 && tokens->tokens[last].code == ';')
		last--;
	if (last < 0)
		return pstrdup("");
	start = tokens->tokens[0].location;
	return pnstrdup(tokens->text + start, tokens->tokens[last].location +
					tokens->tokens[last].length - start);
}

/* The effect of a sub-command that a rule does not let pass, or NULL. */
static const Effect *
problem_of(List *findings, int subcommand)
{
	ListCell   *cell;

	foreach(cell, findings)
	{
		const Finding *finding = lfirst(cell);

		if (finding->effect->subcommand == subcommand &&
			finding->action > ACTION_NOTE)
			return finding->effect;
	}
	return NULL;
}

/* False if there is no safer sequence for it. */
static bool
plan_subcommand(AlterPlan *plan, const Effect *problem)
{
	const char *piece = list_nth(plan->pieces, problem->subcommand);
	AlterTableCmd *command = list_nth_node(AlterTableCmd, plan->stmt->cmds,
										   problem->subcommand);

	switch (problem->cause)
	{
		case CAUSE_ADD_CHECK:
		case CAUSE_ADD_FOREIGN_KEY:
			return plan_not_valid(plan, problem);
		case CAUSE_SET_NOT_NULL:
			if (command->subtype != AT_SetNotNull)
				return plan_not_valid(plan, problem);
			plan_not_null(plan, command->name);
			return true;
		case CAUSE_ADD_UNIQUE:
		case CAUSE_ADD_PRIMARY_KEY:
			return plan_key(plan, problem);
		case CAUSE_VALIDATE_CONSTRAINT:
			add_step(plan, "%s %s", plan->prefix, piece);
			return true;
		case CAUSE_DETACH_PARTITION:
			return plan_detach(plan, problem);
		default:				/* the others need the user's decision */
			return false;
	}
}

static void
add_step(AlterPlan *plan, const char *format,...)
{
	StringInfoData step;
	va_list		args;
	int			needed;

	initStringInfo(&step);
	for (;;)
	{
		va_start(args, format);
		needed = appendStringInfoVA(&step, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&step, needed);
	}
	add_plan_step(plan->result, step.data, NULL);
}

/* CHECK and FOREIGN KEY: checked for new rows at once, for old ones later. */
static bool
plan_not_valid(AlterPlan *plan, const Effect *problem)
{
	AlterTableCmd *command = list_nth_node(AlterTableCmd, plan->stmt->cmds,
										   problem->subcommand);
	Constraint *constraint = castNode(Constraint, command->def);
	const char *piece = list_nth(plan->pieces, problem->subcommand);
	char	   *name;

	if (constraint->contype == CONSTR_FOREIGN &&
		plan->relation->relkind == RELKIND_PARTITIONED_TABLE &&
		!COMPAT_PARTITIONED_FK_NOT_VALID)
		return false;
	if (constraint->contype == CONSTR_FOREIGN)
		name = constraint_name(plan, constraint->conname,
							   joined_names(constraint->fk_attrs), "fkey");
	else if (constraint->contype == CONSTR_NOTNULL)
		name = constraint_name(plan, constraint->conname,
							   joined_names(constraint->keys), "not_null");
	else
		name = constraint_name(plan, constraint->conname,
							   only_column(constraint->raw_expr), "check");
	if (constraint->conname == NULL)
	{
		/* "ADD CHECK ..." gets the name that VALIDATE is to use */
		SqlTokens  *tokens = scan_sql(piece);

		piece = psprintf("ADD CONSTRAINT %s%s", quote_identifier(name),
						 piece + tokens->tokens[0].location +
						 tokens->tokens[0].length);
	}
	add_step(plan, "%s %s NOT VALID", plan->prefix, piece);
	add_step(plan, "%s VALIDATE CONSTRAINT %s", plan->prefix,
			 quote_identifier(name));
	return true;
}

/*
 * SET NOT NULL behind a CHECK that proves it; from 18 on as a constraint that
 * is NOT VALID at first, or has been so far.
 */
static void
plan_not_null(AlterPlan *plan, const char *column)
{
	const char *quoted = quote_identifier(column);
	const char *name;

	if (COMPAT_NOT_NULL_NOT_VALID)
	{
		name = compat_not_null_constraint(plan->relation->relid, column);
		if (name == NULL)
		{
			name = constraint_name(plan, NULL, column, "not_null");
			add_step(plan, "%s ADD CONSTRAINT %s NOT NULL %s NOT VALID",
					 plan->prefix, quote_identifier(name), quoted);
		}
		add_step(plan, "%s VALIDATE CONSTRAINT %s", plan->prefix,
				 quote_identifier(name));
		return;
	}
	name = quote_identifier(constraint_name(plan, NULL, column, "check"));
	add_step(plan, "%s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
			 plan->prefix, name, quoted);
	add_step(plan, "%s VALIDATE CONSTRAINT %s", plan->prefix, name);
	add_step(plan, "%s ALTER COLUMN %s SET NOT NULL", plan->prefix, quoted);
	add_step(plan, "%s DROP CONSTRAINT %s", plan->prefix, name);
}

/* UNIQUE and PRIMARY KEY: a unique index built CONCURRENTLY, then adopted. */
static bool
plan_key(AlterPlan *plan, const Effect *problem)
{
	AlterTableCmd *command = list_nth_node(AlterTableCmd, plan->stmt->cmds,
										   problem->subcommand);
	Constraint *constraint = castNode(Constraint, command->def);
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	const char *name;
	ListCell   *cell;

	if (plan->relation->relkind == RELKIND_PARTITIONED_TABLE ||
		constraint->indexname != NULL || constraint->keys == NIL ||
		constraint->options != NIL || constraint->indexspace != NULL ||
		compat_constraint_without_overlaps(constraint))
		return false;
	name = quote_identifier(key_name(plan, constraint));
	foreach(cell, constraint->keys)
	{
		char	   *column = strVal(lfirst(cell));
		AttrNumber	attnum = get_attnum(plan->relation->relid, column);

		if (primary && attnum > 0 &&
			!column_has_valid_not_null(plan->relation->relid, attnum))
			plan_not_null(plan, column);
	}
	add_step(plan, "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s)%s%s",
			 name, plan->relation->name, column_list(constraint->keys),
			 constraint->including == NIL ? "" :
			 psprintf(" INCLUDE (%s)", column_list(constraint->including)),
			 constraint->nulls_not_distinct ? " NULLS NOT DISTINCT" : "");
	add_step(plan, "%s ADD CONSTRAINT %s %s USING INDEX %s%s%s", plan->prefix,
			 name, primary ? "PRIMARY KEY" : "UNIQUE", name,
			 constraint->deferrable ? " DEFERRABLE" : "",
			 constraint->initdeferred ? " INITIALLY DEFERRED" : "");
	return true;
}

/* DETACH CONCURRENTLY, which PostgreSQL refuses beside a default partition. */
static bool
plan_detach(AlterPlan *plan, const Effect *problem)
{
	if (list_length(plan->pieces) > 1 ||
		relation_has_default_partition(plan->relation->relid))
		return false;
	add_step(plan, "%s %s CONCURRENTLY", plan->prefix,
			 (char *) linitial(plan->pieces));
	return true;
}

/* The name given, or the one that PostgreSQL would choose. */
static char *
constraint_name(AlterPlan *plan, const char *given, const char *columns,
				const char *label)
{
	char	   *name;

	if (given != NULL)
		return pstrdup(given);
	name = ChooseConstraintName(get_rel_name(plan->relation->relid), columns,
								label,
								get_rel_namespace(plan->relation->relid),
								plan->names);
	plan->names = lappend(plan->names, name);
	return name;
}

/* The name of a key, which is also that of its index. */
static char *
key_name(AlterPlan *plan, Constraint *constraint)
{
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	const char *relname = get_rel_name(plan->relation->relid);
	Oid			namespace_oid = get_rel_namespace(plan->relation->relid);
	char	   *columns = primary ? NULL : joined_names(constraint->keys);
	char	   *label = primary ? "pkey" : "key";

	if (constraint->conname != NULL)
		return constraint->conname;

	/* as ChooseRelationName(), which knows nothing of names planned before */
	for (int pass = 0;; pass++)
	{
		char	   *name = makeObjectName(relname, columns, pass == 0 ? label :
										  psprintf("%s%d", label, pass));

		if (!OidIsValid(get_relname_relid(name, namespace_oid)) &&
			!ConstraintNameExists(name, namespace_oid) &&
			!name_is_listed(plan->names, name))
		{
			plan->names = lappend(plan->names, name);
			return name;
		}
	}
}

/* The column of a CHECK that is about one column alone, or NULL. */
static char *
only_column(Node *expression)
{
	List	   *columns = NIL;

	(void) collect_columns(expression, &columns);
	return list_length(columns) == 1 ? linitial(columns) : NULL;
}

static bool
collect_columns(Node *node, void *context)
{
	List	  **columns = context;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef) && IsA(llast(((ColumnRef *) node)->fields), String))
	{
		char	   *name = strVal(llast(((ColumnRef *) node)->fields));

		foreach(cell, *columns)
		{
			if (strcmp(lfirst(cell), name) == 0)
				return false;
		}
		*columns = lappend(*columns, name);
		return false;
	}
	return raw_expression_tree_walker(node, collect_columns, context);
}

/* a_b_c, cut as PostgreSQL cuts it when it makes a name of columns. */
static char *
joined_names(List *columns)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, columns)
	{
		appendStringInfo(&names, "%s%s", names.len > 0 ? "_" : "",
						 strVal(lfirst(cell)));
		if (names.len >= NAMEDATALEN)
			break;
	}
	return names.data;
}

static char *
column_list(List *columns)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, columns)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(strVal(lfirst(cell))));
	return list.data;
}

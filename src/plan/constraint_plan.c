/*-------------------------------------------------------------------------
 *
 * constraint_plan.c
 *	  Safer sequences for new constraints of a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "nodes/value.h"
#include "parser/parse_type.h"
#include "plan/alter_plan.h"
#include "plan/tree_plan.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static char *with_qualified_reference(const char *piece,
									  const RangeVar *referenced,
									  int offset);
static bool plan_key_using_index(AlterPlan *plan, Constraint *constraint,
								 const char *piece);
static char *drop_of_constraint(AlterPlan *plan, const char *name);
static bool plan_not_null_constraint(AlterPlan *plan, const char *column,
									 const char *name);
static bool plan_not_null_proof(AlterPlan *plan, const char *column);
static Oid	type_of_column(AlterPlan *plan, const char *column);
static char *drop_of_not_null(AlterPlan *plan, const char *column);
static bool prove_key_columns(AlterPlan *plan, List *columns);
static List *columns_of_index(Oid index);
static char *key_name(AlterPlan *plan, Constraint *constraint);
static char *index_options(Constraint *constraint, const char *definition);
static char *with_clause(const char *definition);
static char *deferrable_clause(Constraint *constraint);
static void add_key(AlterPlan *plan, Constraint *constraint, char *name,
					const char *options);

/*
 * ADD CHECK, FOREIGN KEY or (18) NOT NULL.
 */
bool
plan_not_valid(AlterPlan *plan, const char *piece)
{
	int			offset;
	Constraint *constraint = castNode(Constraint,
									  parse_piece(piece, &offset)->def);

	if (constraint->contype == CONSTR_NOTNULL)
	{
		if (constraint->is_no_inherit || constraint->skip_validation)
			return false;
		return plan_not_null(plan, strVal(linitial(constraint->keys)),
							 constraint->conname);
	}
	if (constraint->pktable != NULL)
		piece = with_qualified_reference(piece, constraint->pktable, offset);
	return plan_constraint(plan, constraint,
						   definition_of_constraint(piece, 0));
}

/*
 * A CHECK or FOREIGN KEY of this definition, without its name: checked for new
 * rows at once, for old ones later.
 */
bool
plan_constraint(AlterPlan *plan, Constraint *constraint,
				const char *definition)
{
	char	   *name = constraint->conname;
	char	   *first;
	const char *quoted;

	if (constraint->contype == CONSTR_FOREIGN &&
		plan->relation->relkind == RELKIND_PARTITIONED_TABLE &&
		!COMPAT_PARTITIONED_FK_NOT_VALID)
		return false;
	if (name == NULL)
		name = default_constraint_name(plan, constraint);

	/* the old constraint keeps its name until the new one is valid */
	first = name;
	if (name_is_listed(plan->names->freed, name))
	{
		first = choose_constraint_name(plan->names, NULL, "new");
		add_step(plan->rename, NULL, "%s RENAME CONSTRAINT %s TO %s",
				 plan->prefix, quote_identifier(first), quote_identifier(name));
	}
	quoted = quote_identifier(first);
	add_step(plan->not_valid, drop_of_constraint(plan, first),
			 "%s ADD CONSTRAINT %s %s NOT VALID", plan->prefix, quoted,
			 definition);
	add_step(plan->validate, NULL, "%s VALIDATE CONSTRAINT %s", plan->prefix,
			 quoted);
	return true;
}

/*
 * The name that PostgreSQL would choose for a CHECK or FOREIGN KEY.
 */
char *
default_constraint_name(AlterPlan *plan, Constraint *constraint)
{
	const char *column;

	if (constraint->contype == CONSTR_FOREIGN)
		return choose_constraint_name(plan->names,
									  name_of_columns(constraint->fk_attrs),
									  "fkey");
	column = only_column(constraint->raw_expr);

	/* the name of the table stands for the whole row */
	if (column != NULL &&
		get_attnum(plan->relation->relid, column) == InvalidAttrNumber &&
		!name_is_listed(plan->new_columns, column))
		column = NULL;
	return choose_constraint_name(plan->names, column, "check");
}

/*
 * What stands behind ADD [CONSTRAINT name], or, for the constraint of a column
 * that begins at location, behind [CONSTRAINT name].
 */
char *
definition_of_constraint(const char *piece, int location)
{
	SqlTokens  *tokens = scan_sql(piece);
	int			i = token_at(tokens, location);

	if (location == 0 && token_is(tokens, i, "add"))
		i++;
	if (token_is(tokens, i, "constraint"))
		i += 2;
	if (i >= tokens->count)
		return pstrdup("");
	return statement_text(piece, tokens->tokens[i].location, -1);
}

static char *
with_qualified_reference(const char *piece, const RangeVar *referenced,
						 int offset)
{
	Oid			relid = RangeVarGetRelid(referenced, NoLock, true);

	if (!OidIsValid(relid))
		return pstrdup(piece);
	return with_other_name(piece, referenced->location - offset,
						   relation_display_name(relid));
}

/*
 * What takes a new constraint back.  One of that name that is there already
 * makes the step fail, and is not to go with it.
 */
static char *
drop_of_constraint(AlterPlan *plan, const char *name)
{
	if (OidIsValid(get_relation_constraint_oid(plan->relation->relid, name,
											   true)))
		return NULL;
	return psprintf("%s DROP CONSTRAINT IF EXISTS %s", plan->prefix,
					quote_identifier(name));
}

/*
 * A column becomes NOT NULL; name counts from 18 on, and NULL is PostgreSQL's
 * choice.
 */
bool
plan_not_null(AlterPlan *plan, const char *column, const char *name)
{
	if (name_is_listed(plan->not_null, column))
		return true;
	plan->not_null = lappend(plan->not_null, pstrdup(column));
	if (COMPAT_NOT_NULL_NOT_VALID)
		return plan_not_null_constraint(plan, column, name);
	return plan_not_null_proof(plan, column);
}

/* 18: by a constraint that is NOT VALID at first, or has been so far. */
static bool
plan_not_null_constraint(AlterPlan *plan, const char *column,
						 const char *name)
{
	HeapTuple	tuple = compat_find_not_null_constraint(plan->relation->relid,
														column);

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		/* a change of inheritance, or a second name, is refused */
		if (form->connoinherit || form->convalidated ||
			(name != NULL && strcmp(name, NameStr(form->conname)) != 0))
			return false;
		name = pstrdup(NameStr(form->conname));
	}
	else
	{
		if (name == NULL)
			name = choose_constraint_name(plan->names, column, "not_null");
		add_step(plan->not_valid, drop_of_constraint(plan, name),
				 "%s ADD CONSTRAINT %s NOT NULL %s NOT VALID", plan->prefix,
				 quote_identifier(name), quote_identifier(column));
	}
	add_step(plan->validate, NULL, "%s VALIDATE CONSTRAINT %s", plan->prefix,
			 quote_identifier(name));
	return true;
}

/*
 * 15-17: behind a CHECK that proves it.  Its name is not one that the
 * statement itself may need.
 */
static bool
plan_not_null_proof(AlterPlan *plan, const char *column)
{
	const char *quoted = quote_identifier(column);
	char	   *proof = choose_constraint_name(plan->names, column,
											   "not_null_proof");
	char	   *drop = drop_of_constraint(plan, proof);

	/* a CHECK of ONLY a parent is not one that counts as a proof */
	if (!plan->stmt->relation->inh &&
		find_inheritance_children(plan->relation->relid, NoLock) != NIL)
		return false;
	add_step(plan->not_valid, drop,
			 "%s ADD CONSTRAINT %s CHECK (%s) NOT VALID", plan->prefix,
			 quote_identifier(proof),
			 null_test(quoted, type_of_column(plan, column), false));
	add_step(plan->validate, NULL, "%s VALIDATE CONSTRAINT %s", plan->prefix,
			 quote_identifier(proof));
	add_step(plan->finish, drop_of_not_null(plan, column),
			 "%s ALTER COLUMN %s SET NOT NULL", plan->prefix, quoted);
	add_step(plan->finish, NULL, "%s", drop);
	return true;
}

/* Of one that is there, or that the statement adds; InvalidOid: not known. */
static Oid
type_of_column(AlterPlan *plan, const char *column)
{
	AttrNumber	attnum = get_attnum(plan->relation->relid, column);
	ListCell   *cell;

	if (attnum != InvalidAttrNumber)
		return get_atttype(plan->relation->relid, attnum);
	foreach(cell, plan->stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AddColumn &&
			strcmp(castNode(ColumnDef, command->def)->colname, column) == 0)
			return LookupTypeNameOid(NULL,
									 castNode(ColumnDef, command->def)->typeName,
									 true);
	}
	return InvalidOid;
}

/* NULL if a child would lose a NOT NULL that it has had before. */
static char *
drop_of_not_null(AlterPlan *plan, const char *column)
{
	if (plan->stmt->relation->inh &&
		is_marked_not_null_below(plan->relation->relid, column))
		return NULL;
	return psprintf("%s ALTER COLUMN %s DROP NOT NULL", plan->prefix,
					quote_identifier(column));
}

/*
 * ADD UNIQUE and PRIMARY KEY: a unique index built CONCURRENTLY, then adopted.
 */
bool
plan_key(AlterPlan *plan, const char *piece)
{
	int			offset;
	Constraint *constraint = castNode(Constraint,
									  parse_piece(piece, &offset)->def);

	if (constraint->indexname != NULL)
		return plan_key_using_index(plan, constraint, piece);
	if (constraint->keys == NIL)
		return false;
	return plan_new_key(plan, constraint, definition_of_constraint(piece, 0));
}

/* The index is there, but its columns are not known to be NOT NULL. */
static bool
plan_key_using_index(AlterPlan *plan, Constraint *constraint,
					 const char *piece)
{
	Oid			index = get_relname_relid(constraint->indexname,
										  plan->names->namespace_oid);

	if (!OidIsValid(index) || get_rel_relkind(index) != RELKIND_INDEX)
		return false;
	if (!prove_key_columns(plan, columns_of_index(index)))
		return false;
	plan->late = lappend(plan->late, pstrdup(piece));
	return true;
}

static List *
columns_of_index(Oid index)
{
	Relation	rel = relation_open(index, AccessShareLock);
	List	   *columns = NIL;

	for (int i = 0; i < rel->rd_index->indnkeyatts; i++)
	{
		AttrNumber	attnum = rel->rd_index->indkey.values[i];

		if (attnum > 0)
			columns = lappend(columns,
							  makeString(get_attname(rel->rd_index->indrelid,
													 attnum, false)));
	}
	relation_close(rel, AccessShareLock);
	return columns;
}

/* A primary key would read the table for what is not known to be NOT NULL. */
static bool
prove_key_columns(AlterPlan *plan, List *columns)
{
	ListCell   *cell;

	foreach(cell, columns)
	{
		char	   *column = strVal(lfirst(cell));
		AttrNumber	attnum = get_attnum(plan->relation->relid, column);

		if ((attnum <= 0 ? name_is_listed(plan->new_columns, column) :
			 !column_has_valid_not_null(plan->relation->relid, attnum)) &&
			!plan_not_null(plan, column, NULL))
			return false;
	}
	return true;
}

/*
 * The same for a key of this definition, without its name.
 */
bool
plan_new_key(AlterPlan *plan, Constraint *constraint, const char *definition)
{
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	char	   *name;
	char	   *options;

	if (compat_constraint_without_overlaps(constraint))
		return false;
	name = key_name(plan, constraint);
	if (name == NULL)
		return false;
	if (primary && !prove_key_columns(plan, constraint->keys))
		return false;
	options = index_options(constraint, definition);
	if (plan->relation->relkind != RELKIND_PARTITIONED_TABLE)
	{
		add_key(plan, constraint, name, options);
		return true;
	}
	if (primary && COMPAT_PRIMARY_KEY_OWNS_NOT_NULL)
		return false;
	return plan->stmt->relation->inh && !plan->drops &&
		plan_partitioned_key(plan->keys, constraint, plan->relation, name,
							 definition, options,
							 deferrable_clause(constraint));
}

/* The name of a key, which is also that of its index. */
static char *
key_name(AlterPlan *plan, Constraint *constraint)
{
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	List	   *columns;
	char	   *name = constraint->conname;

	if (name != NULL)
		return name;
	columns = list_concat_copy(constraint->keys, constraint->including);
	name = choose_index_name(plan->names, primary ? NULL :
							 name_of_columns(columns), primary ? "pkey" : "key",
							 true);

	/* a dropped column may take the owner of a better name with it */
	if (plan->dropped_columns != NIL &&
		strcmp(name, makeObjectName(plan->names->relname, primary ? NULL :
									name_of_columns(columns),
									primary ? "pkey" : "key")) != 0)
		return NULL;
	return name;
}

static void
add_key(AlterPlan *plan, Constraint *constraint, char *name,
		const char *options)
{
	const char *kind = constraint->contype == CONSTR_PRIMARY ?
	"PRIMARY KEY" : "UNIQUE";
	char	   *index = name;
	char	   *adopt;
	char	   *drop;

	/* the old key keeps its name until the new one takes its place */
	if (name_is_listed(plan->names->freed, name))
		index = choose_index_name(plan->names, NULL, "new", true);
	adopt = psprintf("ADD CONSTRAINT %s %s USING INDEX %s%s",
					 quote_identifier(name), kind, quote_identifier(index),
					 deferrable_clause(constraint));
	drop = name_is_taken(plan->names, index, true) ? NULL :
		psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
				 quote_qualified_identifier(get_namespace_name(plan->names->namespace_oid),
											index));
	add_step(plan->keys, drop,
			 "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s)%s",
			 quote_identifier(index), plan->relation->name,
			 column_list(constraint->keys), options);

	/* in one statement with what is dropped, so that there always is a key */
	if (plan->drops)
		plan->late = lappend(plan->late, adopt);
	else
		add_step(plan->keys, drop_of_constraint(plan, name), "%s %s",
				 plan->prefix, adopt);
}

/* What CREATE INDEX takes of a key's definition, behind its columns. */
static char *
index_options(Constraint *constraint, const char *definition)
{
	char	   *with = constraint->options == NIL ? NULL :
	with_clause(definition);

	return psprintf("%s%s%s%s%s%s", constraint->including == NIL ? "" :
					psprintf(" INCLUDE (%s)", column_list(constraint->including)),
					constraint->nulls_not_distinct ? " NULLS NOT DISTINCT" : "",
					with ? " " : "", with ? with : "",
					constraint->indexspace ? " TABLESPACE " : "",
					constraint->indexspace ?
					quote_identifier(constraint->indexspace) : "");
}

/* WITH (...), which stands outside of all parentheses. */
static char *
with_clause(const char *definition)
{
	SqlTokens  *tokens = scan_sql(definition);
	int			start = -1;
	int			depth = 0;

	for (int i = 0; i < tokens->count; i++)
	{
		int			code = tokens->tokens[i].code;

		if (start < 0 && depth == 0 && token_is(tokens, i, "with"))
			start = tokens->tokens[i].location;
		if (code == '(')
			depth++;
		else if (code == ')' && --depth == 0 && start >= 0)
			return statement_text(definition, start,
								  tokens->tokens[i].location + 1);
	}
	return NULL;
}

static char *
deferrable_clause(Constraint *constraint)
{
	return psprintf("%s%s", constraint->deferrable ? " DEFERRABLE" : "",
					constraint->initdeferred ? " INITIALLY DEFERRED" : "");
}

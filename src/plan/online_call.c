/*-------------------------------------------------------------------------
 *
 * online_call.c
 *	  The online change that ends where a statement would end.
 *
 * Only what a call can say in full: a collation, or a constraint with a name,
 * has no place in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "plan/alter_plan.h"
#include "plan/online_call.h"
#include "plan/plan_text.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static bool may_have_call(Node *statement);
static char *call_of_rename(const RenameStmt *stmt);
static char *call_of_drop(const DropStmt *stmt);
static char *call_of_alter(const AlterTableStmt *stmt,
						   const char *source_text);
static char *call_of_type_change(Oid relid, const char *piece);
static char *call_of_new_column(Oid relid, const char *piece);
static bool has_storage_clause(const char *text, int location);
static char *default_expression(const ColumnDef *definition,
								const char *piece, int offset,
								bool *not_null);
static int	end_of_element(const ColumnDef *definition, int location);
static Oid	table_of_statement(const RangeVar *relation);
static bool has_column(Oid relid, const char *column);
static bool column_can_be_replaced(Oid relid, const char *column);
static char *type_as_text(const TypeName *name);
static char *text_behind(const char *text, const char *word);
static char *begin_call(const char *function, Oid relid);

/*
 * See online_call.h.
 */
char *
online_call(Node *statement, const char *source_text)
{
	Node	   *parsed = NULL;

	if (may_have_call(statement))
	{
		source_text = statement_text(source_text, 0, -1);
		parsed = parse_again(statement, source_text);
	}
	if (parsed == NULL)
		return NULL;
	if (IsA(parsed, RenameStmt))
		return call_of_rename((RenameStmt *) parsed);
	if (IsA(parsed, DropStmt))
		return call_of_drop((DropStmt *) parsed);
	return call_of_alter((AlterTableStmt *) parsed, source_text);
}

/*
 * See online_call.h.
 */
char *
online_remedy(Node *statement, const char *call)
{
	if (IsA(statement, DropStmt))
		return psprintf("SELECT %s prepares it, with a time of grace", call);
	if (IsA(statement, AlterTableStmt) &&
		linitial_node(AlterTableCmd, ((AlterTableStmt *) statement)->cmds)->subtype == AT_DropColumn)
		return psprintf("SELECT %s prepares it online", call);
	return psprintf("SELECT %s does it online", call);
}

static bool
may_have_call(Node *statement)
{
	if (IsA(statement, DropStmt))
		return ((DropStmt *) statement)->removeType == OBJECT_TABLE;
	return IsA(statement, RenameStmt) ||
		(IsA(statement, AlterTableStmt) &&
		 ((AlterTableStmt *) statement)->objtype == OBJECT_TABLE);
}

static char *
call_of_rename(const RenameStmt *stmt)
{
	Oid			relid;

	if (stmt->renameType != OBJECT_TABLE && stmt->renameType != OBJECT_COLUMN)
		return NULL;
	relid = table_of_statement(stmt->relation);
	if (!OidIsValid(relid))
		return NULL;
	/* PostgreSQL tells what has that name already */
	if (stmt->renameType == OBJECT_TABLE)
		return OidIsValid(get_relname_relid(stmt->newname,
											get_rel_namespace(relid))) ? NULL :
			psprintf("%s, %s)", begin_call("rename_table", relid),
					 quote_literal_cstr(stmt->newname));
	return has_column(relid, stmt->newname) ||
		!column_can_be_replaced(relid, stmt->subname) ? NULL :
		psprintf("%s, %s, %s)", begin_call("rename_column", relid),
				 quote_literal_cstr(stmt->subname),
				 quote_literal_cstr(stmt->newname));
}

static char *
call_of_drop(const DropStmt *stmt)
{
	Oid			relid;

	if (list_length(stmt->objects) != 1 || stmt->behavior != DROP_RESTRICT)
		return NULL;
	relid = table_of_statement(makeRangeVarFromNameList(castNode(List, linitial(stmt->objects))));
	return !OidIsValid(relid) ? NULL :
		psprintf("%s)", begin_call("drop_table", relid));
}

static char *
call_of_alter(const AlterTableStmt *stmt, const char *source_text)
{
	Oid			relid;
	const AlterTableCmd *command;
	const char *column;

	if (list_length(stmt->cmds) != 1)
		return NULL;
	relid = table_of_statement(stmt->relation);
	if (!OidIsValid(relid))
		return NULL;
	command = linitial_node(AlterTableCmd, stmt->cmds);
	if (command->subtype == AT_AddColumn)
		return call_of_new_column(relid,
								  linitial(split_subcommands(source_text)));
	if (!has_column(relid, command->name) ||
		command->behavior != DROP_RESTRICT)
		return NULL;
	column = quote_literal_cstr(command->name);
	switch (command->subtype)
	{
		case AT_AlterColumnType:
			return call_of_type_change(relid,
									   linitial(split_subcommands(source_text)));
		case AT_DropColumn:
			return psprintf("%s, %s)", begin_call("drop_column", relid),
							column);
		case AT_SetNotNull:
			return psprintf("%s, %s)", begin_call("set_not_null", relid),
							column);
		default:
			return NULL;
	}
}

/* ALTER [COLUMN] name [SET DATA] TYPE type [COLLATE name] [USING expression] */
static char *
call_of_type_change(Oid relid, const char *piece)
{
	int			offset;
	const AlterTableCmd *command = parse_piece(piece, &offset);
	const ColumnDef *definition = castNode(ColumnDef, command->def);
	char	   *type = type_as_text(definition->typeName);
	StringInfoData call;

	if (type == NULL || definition->collClause != NULL ||
		!column_can_be_replaced(relid, command->name))
		return NULL;
	initStringInfo(&call);
	appendStringInfo(&call, "%s, %s, %s", begin_call("change_type", relid),
					 quote_literal_cstr(command->name),
					 quote_literal_cstr(type));
	if (definition->raw_default != NULL)
		appendStringInfo(&call, ", up := %s",
						 quote_literal_cstr(text_behind(piece, "using")));
	appendStringInfoChar(&call, ')');
	return call.data;
}

/* ADD [COLUMN] [IF NOT EXISTS] name type ..., with DEFAULT and NOT NULL alone */
static char *
call_of_new_column(Oid relid, const char *piece)
{
	int			offset;
	const AlterTableCmd *command = parse_piece(piece, &offset);
	const ColumnDef *definition = castNode(ColumnDef, command->def);
	char	   *type = type_as_text(definition->typeName);
	char	   *value;
	bool		not_null = false;

	/* NULL need not fulfil what a domain asks for, nor be what it begins with */
	if (type == NULL || definition->collClause != NULL ||
		has_column(relid, definition->colname) ||
		compat_domain_has_constraints(typenameTypeId(NULL,
													 definition->typeName)) ||
		get_typdefault(typenameTypeId(NULL, definition->typeName)) != NULL ||
		has_storage_clause(piece, definition->typeName->location - offset))
		return NULL;
	value = default_expression(definition, piece, offset, &not_null);
	return value == NULL ? NULL :
		psprintf("%s, %s, %s, value := %s%s)",
				 begin_call("add_column", relid),
				 quote_literal_cstr(definition->colname),
				 quote_literal_cstr(type), quote_literal_cstr(value),
				 not_null ? ", not_null := true" : "");
}

/* STORAGE (16+) and COMPRESSION follow the type. */
static bool
has_storage_clause(const char *text, int location)
{
	SqlTokens  *tokens = scan_sql(text);

	for (int i = token_at(tokens, location) + 1; i < tokens->count; i++)
	{
		if (token_is(tokens, i, "storage") || token_is(tokens, i, "compression"))
			return true;
		if (token_is(tokens, i, "default"))
			break;
	}
	return false;
}

/* NULL if there is none, or a constraint that the call has no argument for. */
static char *
default_expression(const ColumnDef *definition, const char *piece, int offset,
				   bool *not_null)
{
	char	   *expression = NULL;
	ListCell   *cell;

	foreach(cell, definition->constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, cell);
		int			end;

		if (constraint->conname != NULL)
			return NULL;
		switch (constraint->contype)
		{
			case CONSTR_NULL:
				break;
			case CONSTR_NOTNULL:
				if (constraint->is_no_inherit)
					return NULL;
				*not_null = true;
				break;
			case CONSTR_DEFAULT:
				end = end_of_element(definition, constraint->location);
				expression =
					text_behind(statement_text(piece,
											   constraint->location - offset,
											   end < 0 ? -1 : end - offset),
								"default");
				break;
			default:
				return NULL;
		}
	}
	return expression;
}

/* Where the next one begins; -1 if it is the last. */
static int
end_of_element(const ColumnDef *definition, int location)
{
	int			end = -1;
	ListCell   *cell;

	foreach(cell, definition->constraints)
	{
		int			other = lfirst_node(Constraint, cell)->location;

		if (other > location && (end < 0 || other < end))
			end = other;
	}
	return end;
}

/*
 * The table that an online change could be about, or InvalidOid.  ONLY makes
 * no difference where nothing inherits from it.
 */
static Oid
table_of_statement(const RangeVar *relation)
{
	Oid			relid = relation == NULL ? InvalidOid :
	RangeVarGetRelid(relation, NoLock, true);
	char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	if ((relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE) ||
		get_rel_persistence(relid) == RELPERSISTENCE_TEMP ||
		IsCatalogNamespace(get_rel_namespace(relid)) ||
		extension_owns_relation(relid) ||
		(!relation->inh && find_inheritance_children(relid, NoLock) != NIL))
		return InvalidOid;
	return relid;
}

static bool
has_column(Oid relid, const char *column)
{
	return column != NULL && get_attnum(relid, column) > 0;
}

/* As far as the table tells: the change looks at what depends on it as well. */
static bool
column_can_be_replaced(Oid relid, const char *column)
{
	AttrNumber	attnum = get_attnum(relid, column);
	Relation	rel;
	Bitmapset  *columns;
	bool		possible;

	if (attnum <= 0)
		return false;
	rel = relation_open(relid, AccessShareLock);
	columns = bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber);
	possible = !has_superclass(relid) &&
		(rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		 find_inheritance_children(relid, NoLock) == NIL) &&
		!OidIsValid(rel->rd_rel->reloftype) &&
		TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated == '\0' &&
		!has_partition_attrs(rel, columns, NULL);
	relation_close(rel, AccessShareLock);
	return possible;
}

/* NULL if there is no such type; one of the user with its schema. */
static char *
type_as_text(const TypeName *name)
{
	int32		typmod;
	Type		type = LookupTypeName(NULL, name, &typmod, true);
	Form_pg_type form;
	char	   *text = NULL;

	if (type == NULL)
		return NULL;
	form = (Form_pg_type) GETSTRUCT(type);
	if (form->typisdefined)
		text = format_type_extended(form->oid, typmod,
									FORMAT_TYPE_TYPEMOD_GIVEN |
									(IsCatalogNamespace(form->typnamespace) ?
									 0 : FORMAT_TYPE_FORCE_QUALIFY));
	ReleaseSysCache(type);
	return text;
}

/*
 * What is behind a word that is outside of parentheses, in one line: with a
 * space where the text has white space or a comment.
 */
static char *
text_behind(const char *text, const char *word)
{
	SqlTokens  *tokens = scan_sql(text);
	StringInfoData line;
	int			depth = 0;
	int			i = 0;

	for (; i < tokens->count && (depth > 0 || !token_is(tokens, i, word)); i++)
	{
		if (tokens->tokens[i].code == '(')
			depth++;
		else if (tokens->tokens[i].code == ')')
			depth--;
	}
	initStringInfo(&line);
	for (i++; i < tokens->count; i++)
	{
		const SqlToken *token = &tokens->tokens[i];
		const SqlToken *before = token - 1;

		if (line.len > 0 &&
			token->location > before->location + before->length)
			appendStringInfoChar(&line, ' ');
		appendBinaryStringInfo(&line, text + token->location, token->length);
	}
	return line.data;
}

static char *
begin_call(const char *function, Oid relid)
{
	return psprintf("migrate.%s(%s", function,
					quote_literal_cstr(relation_display_name(relid)));
}

/*-------------------------------------------------------------------------
 *
 * enum_use.c
 *	  Use of an enum value in the transaction that added it.
 *
 * PostgreSQL refuses that when the statement runs.  To tell it before
 * anything runs, we look for statements that have the label as a string
 * constant and name the type, or a relation with a column of the type.  Names
 * are compared without their schemas.  What a function or DO block does is
 * not seen; then PostgreSQL's own error is the one to see.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/compat.h"
#include "executor/spi.h"
#include "ledger/enum_use.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A relation that has a column of an enum type. */
typedef struct EnumColumn
{
	char	   *relation;
	char	   *type;
} EnumColumn;

static void note_statement(EnumHistory *history, const char *migration,
						   const ScriptStatement *statement);
static void note_new_value(EnumHistory *history, const char *migration,
						   AlterEnumStmt *stmt);
static void note_existing_columns(EnumHistory *history, Oid typid,
								  const char *type);
static void note_column(EnumHistory *history, const char *relation,
						const char *type);
static void note_column_definitions(EnumHistory *history,
									RangeVar *relation, List *elements);
static void note_derived_relation(EnumHistory *history, RangeVar *relation,
								  const ScriptStatement *statement);
static void note_rename(EnumHistory *history, RenameStmt *stmt);
static void note_drop(EnumHistory *history, DropStmt *stmt);
static void forget_type(EnumHistory *history, const char *type);
static char *last_name(List *names);
static bool statement_uses(EnumHistory *history, const EnumValue *value,
						   const ScriptStatement *statement);
static bool names_type(EnumHistory *history, const char *type,
					   SqlTokens *tokens);
static bool is_constant(const SqlTokens *tokens, int index,
						const char *constant);
static char *identifier(const SqlTokens *tokens, int index);

/*
 * See enum_use.h.
 */
const EnumValue *
look_for_enum_use(EnumHistory *history, const char *migration,
				  const ScriptStatement *statement)
{
	const EnumValue *used = NULL;
	ListCell   *cell;

	/* adding a value beside it and renaming it are no use of it */
	if (!IsA(statement->raw->stmt, AlterEnumStmt))
	{
		foreach(cell, history->new_values)
		{
			if (used == NULL &&
				statement_uses(history, lfirst(cell), statement))
				used = lfirst(cell);
		}
	}
	note_statement(history, migration, statement);
	return used;
}

static void
note_statement(EnumHistory *history, const char *migration,
			   const ScriptStatement *statement)
{
	Node	   *node = statement->raw->stmt;

	switch (nodeTag(node))
	{
		case T_CreateEnumStmt:
			history->new_types = lappend(history->new_types,
										 last_name(((CreateEnumStmt *) node)->typeName));
			break;
		case T_AlterEnumStmt:
			note_new_value(history, migration, (AlterEnumStmt *) node);
			break;
		case T_CreateStmt:
			note_column_definitions(history, ((CreateStmt *) node)->relation,
									((CreateStmt *) node)->tableElts);
			if (((CreateStmt *) node)->inhRelations != NIL)
				note_derived_relation(history,
									  ((CreateStmt *) node)->relation,
									  statement);
			break;
		case T_AlterTableStmt:
			note_column_definitions(history,
									((AlterTableStmt *) node)->relation,
									((AlterTableStmt *) node)->cmds);
			break;
		case T_CreateTableAsStmt:
			note_derived_relation(history,
								  ((CreateTableAsStmt *) node)->into->rel,
								  statement);
			break;
		case T_ViewStmt:
			note_derived_relation(history, ((ViewStmt *) node)->view,
								  statement);
			break;
		case T_RenameStmt:
			note_rename(history, (RenameStmt *) node);
			break;
		case T_DropStmt:
			note_drop(history, (DropStmt *) node);
			break;
		default:
			break;
	}
}

static void
note_new_value(EnumHistory *history, const char *migration,
			   AlterEnumStmt *stmt)
{
	char	   *type = last_name(stmt->typeName);
	Oid			typid;
	EnumValue  *value;
	ListCell   *cell;

	if (stmt->newVal == NULL || stmt->oldVal != NULL)
		return;
	if (COMPAT_NEW_ENUM_VALUE_OF_NEW_TYPE)
	{
		foreach(cell, history->new_types)
		{
			if (strcmp(lfirst(cell), type) == 0)
				return;
		}
	}

	typid = LookupTypeNameOid(NULL, makeTypeNameFromNameList(stmt->typeName),
							  true);
	if (OidIsValid(typid))
	{
		/* ADD VALUE IF NOT EXISTS */
		if (SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(typid),
								  CStringGetDatum(stmt->newVal)))
			return;
		note_existing_columns(history, typid, type);
	}

	value = palloc(sizeof(EnumValue));
	value->type = type;
	value->label = pstrdup(stmt->newVal);
	value->migration = pstrdup(migration);
	history->new_values = lappend(history->new_values, value);
}

static void
note_existing_columns(EnumHistory *history, Oid typid, const char *type)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {OIDOID};
	Datum		values[1];

	values[0] = ObjectIdGetDatum(typid);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute_with_args("SELECT DISTINCT c.relname "
							  "FROM pg_catalog.pg_class c "
							  "JOIN pg_catalog.pg_attribute a "
							  "ON a.attrelid OPERATOR(pg_catalog.=) c.oid "
							  "JOIN pg_catalog.pg_type t "
							  "ON t.oid OPERATOR(pg_catalog.=) $1 "
							  "WHERE a.atttypid OPERATOR(pg_catalog.=) "
							  "ANY (ARRAY[t.oid, t.typarray])",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for columns of an enum type");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *relation = SPI_getvalue(SPI_tuptable->vals[row],
											SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(caller);

		note_column(history, relation, type);
		MemoryContextSwitchTo(old);
	}
	PopActiveSnapshot();
	SPI_finish();
}

static void
note_column(EnumHistory *history, const char *relation, const char *type)
{
	EnumColumn *column = palloc(sizeof(EnumColumn));

	column->relation = pstrdup(relation);
	column->type = pstrdup(type);
	history->columns = lappend(history->columns, column);
}

/*
 * The columns that CREATE TABLE or ALTER TABLE makes or changes, whatever
 * their types: which ones are enums is not known yet.
 */
static void
note_column_definitions(EnumHistory *history, RangeVar *relation,
						List *elements)
{
	ListCell   *cell;

	foreach(cell, elements)
	{
		Node	   *element = lfirst(cell);
		ColumnDef  *column;

		if (IsA(element, AlterTableCmd))
			element = ((AlterTableCmd *) element)->def;
		if (element == NULL || !IsA(element, ColumnDef))
			continue;
		column = (ColumnDef *) element;
		if (column->typeName != NULL && column->typeName->names != NIL &&
			list_length(column->typeName->names) <= 2 &&
			strcmp(strVal(linitial(column->typeName->names)), "pg_catalog") != 0)
			note_column(history, relation->relname,
						last_name(column->typeName->names));
	}
}

/*
 * A view, or a table made from others, may have their columns.
 */
static void
note_derived_relation(EnumHistory *history, RangeVar *relation,
					  const ScriptStatement *statement)
{
	SqlTokens  *tokens = scan_sql(statement->text);
	List	   *types = NIL;
	ListCell   *cell;

	foreach(cell, history->columns)
	{
		EnumColumn *column = lfirst(cell);

		for (int i = 0; i < tokens->count; i++)
		{
			char	   *name = identifier(tokens, i);

			if (name != NULL && (strcmp(name, column->relation) == 0 ||
								 strcmp(name, column->type) == 0))
			{
				types = lappend(types, column->type);
				break;
			}
		}
	}
	foreach(cell, types)
		note_column(history, relation->relname, lfirst(cell));
}

static void
note_rename(EnumHistory *history, RenameStmt *stmt)
{
	ListCell   *cell;
	char	   *old;

	if (stmt->renameType == OBJECT_TYPE)
	{
		old = last_name((List *) stmt->object);
		foreach(cell, history->new_types)
		{
			if (strcmp(lfirst(cell), old) == 0)
				lfirst(cell) = pstrdup(stmt->newname);
		}
		foreach(cell, history->new_values)
		{
			EnumValue  *value = lfirst(cell);

			if (strcmp(value->type, old) == 0)
				value->type = pstrdup(stmt->newname);
		}
		foreach(cell, history->columns)
		{
			EnumColumn *column = lfirst(cell);

			if (strcmp(column->type, old) == 0)
				column->type = pstrdup(stmt->newname);
		}
	}
	else if (stmt->renameType == OBJECT_TABLE ||
			 stmt->renameType == OBJECT_VIEW ||
			 stmt->renameType == OBJECT_MATVIEW)
	{
		foreach(cell, history->columns)
		{
			EnumColumn *column = lfirst(cell);

			if (strcmp(column->relation, stmt->relation->relname) == 0)
				column->relation = pstrdup(stmt->newname);
		}
	}
}

static void
note_drop(EnumHistory *history, DropStmt *stmt)
{
	ListCell   *cell;

	if (stmt->removeType != OBJECT_TYPE)
		return;
	foreach(cell, stmt->objects)
		forget_type(history, last_name(lfirst_node(TypeName, cell)->names));
}

static void
forget_type(EnumHistory *history, const char *type)
{
	ListCell   *cell;

	foreach(cell, history->new_types)
	{
		if (strcmp(lfirst(cell), type) == 0)
			history->new_types =
				foreach_delete_current(history->new_types, cell);
	}
	foreach(cell, history->new_values)
	{
		if (strcmp(((EnumValue *) lfirst(cell))->type, type) == 0)
			history->new_values =
				foreach_delete_current(history->new_values, cell);
	}
	foreach(cell, history->columns)
	{
		if (strcmp(((EnumColumn *) lfirst(cell))->type, type) == 0)
			history->columns =
				foreach_delete_current(history->columns, cell);
	}
}

static char *
last_name(List *names)
{
	return pstrdup(strVal(llast(names)));
}

static bool
statement_uses(EnumHistory *history, const EnumValue *value,
			   const ScriptStatement *statement)
{
	SqlTokens  *tokens;
	char	   *constant;

	/* the common case */
	if (strstr(statement->text, value->label) == NULL)
		return false;

	/* of a new type of the same name and label */
	if (IsA(statement->raw->stmt, CreateEnumStmt))
		return false;

	tokens = scan_sql(statement->text);
	constant = psprintf("'%s'", value->label);
	for (int i = 0; i < tokens->count; i++)
		if (is_constant(tokens, i, constant))
			return names_type(history, value->type, tokens);
	return false;
}

/*
 * Is one of the tokens the name of the type, or of a relation with a column
 * of it?
 */
static bool
names_type(EnumHistory *history, const char *type, SqlTokens *tokens)
{
	for (int i = 0; i < tokens->count; i++)
	{
		char	   *name = identifier(tokens, i);
		ListCell   *cell;

		if (name == NULL)
			continue;
		if (strcmp(name, type) == 0)
			return true;
		foreach(cell, history->columns)
		{
			EnumColumn *column = lfirst(cell);

			if (strcmp(column->type, type) == 0 &&
				strcmp(column->relation, name) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Is the token that string constant?  Escapes are not looked into.
 */
static bool
is_constant(const SqlTokens *tokens, int index, const char *constant)
{
	const char *token = tokens->text + tokens->tokens[index].location;
	int			length = tokens->tokens[index].length;

	if (token[0] == 'E' || token[0] == 'e')
	{
		token++;
		length--;
	}
	return length == (int) strlen(constant) &&
		strncmp(token, constant, length) == 0;
}

/*
 * The name that a token stands for, or NULL if it is none.
 */
static char *
identifier(const SqlTokens *tokens, int index)
{
	const char *token = tokens->tokens[index].location + tokens->text;
	int			length = tokens->tokens[index].length;

	if (token[0] == '"')
		return pnstrdup(token + 1, length - 2);
	if (isalpha((unsigned char) token[0]) || token[0] == '_' ||
		IS_HIGHBIT_SET(token[0]))
		return downcase_identifier(token, length, false, false);
	return NULL;
}

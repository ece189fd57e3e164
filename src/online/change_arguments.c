/*-------------------------------------------------------------------------
 *
 * change_arguments.c
 *	  Arguments of the functions that start a change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/script.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "online/change_arguments.h"
#include "parser/scansup.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static char *as_name(char *text);

/*
 * See change_arguments.h.
 */
char *
needed_text(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" of %s() must not be null", name,
						get_func_name(fcinfo->flinfo->fn_oid))));
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/*
 * See change_arguments.h.
 */
char *
optional_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/*
 * See change_arguments.h.
 */
List *
text_list(FunctionCallInfo fcinfo, int number, const char *name)
{
	List	   *texts = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(number))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" of %s() must not have a null in it",
							name, get_func_name(fcinfo->flinfo->fn_oid))));
		texts = lappend(texts, TextDatumGetCString(values[i]));
	}
	return texts;
}

/*
 * See change_arguments.h.
 */
char *
needed_name(FunctionCallInfo fcinfo, int number, const char *name)
{
	return as_name(needed_text(fcinfo, number, name));
}

/*
 * See change_arguments.h.
 */
char *
optional_name(FunctionCallInfo fcinfo, int number)
{
	char	   *text = optional_text(fcinfo, number);

	return text == NULL ? NULL : as_name(text);
}

/*
 * See change_arguments.h.
 */
List *
name_list(FunctionCallInfo fcinfo, int number, const char *name)
{
	List	   *names = text_list(fcinfo, number, name);
	ListCell   *cell;

	foreach(cell, names)
		lfirst(cell) = as_name(lfirst(cell));
	return names;
}

static char *
as_name(char *text)
{
	if (text[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a column or constraint must not be empty")));
	truncate_identifier(text, strlen(text), true);
	return text;
}

/*
 * See change_arguments.h.
 */
char *
call_as_text(FunctionCallInfo fcinfo, const char *kind)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "SELECT migrate.%s(", kind);
	for (int i = 0; i < PG_NARGS(); i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, i);
		Oid			output;
		bool		is_varlena;

		appendStringInfoString(&text, i > 0 ? ", " : "");
		if (PG_ARGISNULL(i))
		{
			appendStringInfoString(&text, "NULL");
			continue;
		}
		getTypeOutputInfo(type, &output, &is_varlena);
		appendStringInfoString(&text,
							   quote_literal_cstr(OidOutputFunctionCall(output,
																		PG_GETARG_DATUM(i))));
	}
	appendStringInfoChar(&text, ')');
	return text.data;
}

/*
 * See change_arguments.h.
 */
void
require_single_subcommand(const char *statement, const char *what)
{
	List	   *statements = parse_script(statement, what, 1);
	Node	   *node = statements == NIL ? NULL :
	((ScriptStatement *) linitial(statements))->raw->stmt;

	if (list_length(statements) != 1 || !IsA(node, AlterTableStmt) ||
		list_length(((AlterTableStmt *) node)->cmds) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("this is not one %s: %s", what, statement)));
}

/*-------------------------------------------------------------------------
 *
 * choose.c
 *	  The ledger that somebody wants to adopt.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "common/errors.h"
#include "ledger/adopt/choose.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

static List *ledgers_of_the_past(const char *tool);
static void refuse_unknown_tool(const char *tool);
static void refuse_nothing_found(const char *tool, Oid relid);
static void refuse_unreadable(const ForeignLedger *ledger);
static void refuse_several_found(List *ledgers);

/*
 * See choose.h.
 */
ForeignLedger *
choose_foreign_ledger(const char *tool, Oid relid)
{
	List	   *ledgers;
	List	   *readable = NIL;
	ListCell   *cell;

	if (tool != NULL && !foreign_tool_exists(tool))
		refuse_unknown_tool(tool);
	ledgers = find_foreign_ledgers(tool, relid);
	foreach(cell, ledgers)
	{
		ForeignLedger *ledger = lfirst(cell);

		if (ledger->readable)
			readable = lappend(readable, ledger);
	}
	if (ledgers == NIL && !OidIsValid(relid))
		readable = ledgers = ledgers_of_the_past(tool);
	if (ledgers == NIL)
		refuse_nothing_found(tool, relid);
	if (readable == NIL)
		refuse_unreadable(linitial(ledgers));
	if (list_length(readable) > 1)
		refuse_several_found(readable);
	return linitial(readable);
}

/*
 * Ledgers that were adopted before and are gone: what they had said is known.
 */
static List *
ledgers_of_the_past(const char *tool)
{
	List	   *ledgers = NIL;
	ListCell   *cell;

	foreach(cell, store_adopted_ledgers())
	{
		ForeignLedger *ledger = lfirst(cell);

		if (!OidIsValid(ledger->relid) &&
			(tool == NULL || strcmp(ledger->tool->tool, tool) == 0))
			ledgers = lappend(ledgers, ledger);
	}
	return ledgers;
}

static void
refuse_unknown_tool(const char *tool)
{
	StringInfoData tools;

	initStringInfo(&tools);
	for (int i = 0; i < foreign_tool_count; i++)
		if (i == 0 ||
			strcmp(foreign_tools[i].tool, foreign_tools[i - 1].tool) != 0)
			appendStringInfo(&tools, "%s%s", i > 0 ? ", " : "",
							 foreign_tools[i].tool);
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("there is no tool \"%s\" whose ledger is known: use one of %s",
					tool, tools.data)));
}

static void
refuse_nothing_found(const char *tool, Oid relid)
{
	StringInfoData looked_for;

	if (OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("table %s is not the ledger of %s: its columns are others",
						relation_display_name(relid),
						tool ? tool : "a tool that is known")));
	initStringInfo(&looked_for);
	for (int i = 0; i < foreign_tool_count; i++)
		if ((tool == NULL || strcmp(foreign_tools[i].tool, tool) == 0) &&
			(i == 0 || strcmp(foreign_tools[i].relname,
							  foreign_tools[i - 1].relname) != 0 ||
			 strcmp(foreign_tools[i].tool, foreign_tools[i - 1].tool) != 0))
			appendStringInfo(&looked_for, "%s%s%s%s (%s)",
							 looked_for.len ? ", " : "",
							 foreign_tools[i].nspname ?
							 foreign_tools[i].nspname : "",
							 foreign_tools[i].nspname ? "." : "",
							 foreign_tools[i].relname, foreign_tools[i].tool);
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("found no ledger of %s in this database: looked in all schemas for %s with the columns that it makes there",
					tool ? tool : "another tool", looked_for.data)));
}

static void
refuse_unreadable(const ForeignLedger *ledger)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_NOT_PERMITTED),
			 errmsg("role %s may not read %s, the ledger of %s: GRANT USAGE on its schema and SELECT on it",
					GetUserNameFromId(GetUserId(), false), ledger->name,
					ledger->tool->tool)));
}

static void
refuse_several_found(List *ledgers)
{
	const ForeignLedger *first = linitial(ledgers);
	StringInfoData found;
	ListCell   *cell;

	initStringInfo(&found);
	foreach(cell, ledgers)
	{
		const ForeignLedger *ledger = lfirst(cell);

		appendStringInfo(&found, "%s%s (%s)", found.len ? ", " : "",
						 ledger->name, ledger->tool->tool);
	}
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("found %d ledgers of other tools, %s: name the one you mean, as in migrate.adopt(%s, %s)",
					list_length(ledgers), found.data,
					quote_literal_cstr(first->tool->tool),
					quote_literal_cstr(first->name))));
}

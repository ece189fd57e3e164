/*-------------------------------------------------------------------------
 *
 * column_copy_triggers.c
 *	  Triggers that name a column.
 *
 * An UPDATE OF looks at the columns that a client names.  As long as clients
 * name the one or the other, the trigger names both.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/dependency.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "common/script.h"
#include "online/change.h"
#include "online/column_copy_internal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"

static char *definition_of(Oid trigger);
static char *as_script(const List *statements);
static void refuse_other_change(ColumnCopier *copier, Form_pg_trigger form);
static bool try_trigger(ColumnCopier *copier, Form_pg_trigger form);
static void replace_trigger(ColumnCopier *copier, List **list,
							Form_pg_trigger form, char *definition);
static void redefine_trigger(ColumnCopier *copier, List **list,
							 Form_pg_trigger form, char *definition);
static void add_settings(List **list, Form_pg_trigger form);
static void set_clones(List **list, Form_pg_trigger parent);
static HeapTuple clone_of_trigger(Relation partition, Oid parent);
static bool names_column(Form_pg_trigger form, AttrNumber attnum);
static char *with_other_column(const char *definition, const char *column);
static const char *enabled_clause(char enabled);
static HeapTuple trigger_with_oid(Relation catalog, Oid oid);

/*
 * See column_copy.h.
 */
char *
portable_trigger_definition(Oid trigger)
{
	int			nest_level = NewGUCNestLevel();
	char	   *definition;

	use_portable_settings();
	definition = definition_of(trigger);
	AtEOXact_GUC(true, nest_level);
	return definition;
}

/* While the column still has its own name. */
void
remember_triggers(ColumnCopier *copier)
{
	TriggerDesc *triggers = copier->rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];
		OldTrigger *old;

		if (trigger->tgisinternal)
			continue;
		old = palloc(sizeof(OldTrigger));
		old->oid = trigger->tgoid;
		old->definition = definition_of(trigger->tgoid);
		copier->triggers = lappend(copier->triggers, old);
	}
}

static char *
definition_of(Oid trigger)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_get_triggerdef,
												   ObjectIdGetDatum(trigger)));
}

/*
 * One that depends on the column; those of partitions come with their parent's.
 */
void
copy_trigger(ColumnCopier *copier, Oid trigger)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	HeapTuple	tuple = trigger_with_oid(catalog, trigger);
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
	ListCell   *cell;

	table_close(catalog, AccessShareLock);
	if (OidIsValid(form->tgparentid) || form->tgisinternal)
		return;
	if (extension_owns_function(form->tgfoid))
	{
		refuse_other_change(copier, form);
		return;
	}
	if (!copier->same_type && !try_trigger(copier, form))
		return;
	replace_trigger(copier, &copier->switches, form,
					without_hidden(copier, definition_of(trigger)));
	if (!names_column(form, copier->attnum) || copier->at_contract)
		return;
	foreach(cell, copier->triggers)
	{
		const OldTrigger *old = lfirst(cell);
		List	   *undo = NIL;

		if (old->oid != trigger)
			continue;
		replace_trigger(copier, &copier->start, form,
						with_other_column(old->definition, copier->new_name));
		redefine_trigger(copier, &undo, form, old->definition);
		add_sql(&copier->start_undo, as_script(undo));
	}
}

/* They are left out together, if the trigger is another by then. */
static char *
as_script(const List *statements)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, statements)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ";\n" : "",
						 (char *) lfirst(cell));
	return text.data;
}

/* At the contract that of the change itself is still there. */
static void
refuse_other_change(ColumnCopier *copier, Form_pg_trigger form)
{
	if (!copier->at_contract ||
		strcmp(NameStr(form->tgname),
			   psprintf(CHANGE_TRIGGER,
						copier->change_id)) != 0)
		refuse_copy(copier,
					psprintf("trigger %s of table %s keeps the column equal to another: end that change by its contract first, or cancel it",
							 quote_identifier(NameStr(form->tgname)),
							 copier->table));
}

static bool
try_trigger(ColumnCopier *copier, Form_pg_trigger form)
{
	List	   *parsed = pg_parse_query(definition_of(form->oid));
	CreateTrigStmt *stmt = castNode(CreateTrigStmt,
									linitial_node(RawStmt, parsed)->stmt);

	return stmt->whenClause == NULL ||
		try_condition(copier, RelationGetRelid(copier->rel), stmt->whenClause,
					  true, psprintf("trigger %s of table %s",
									 quote_identifier(NameStr(form->tgname)),
									 copier->table));
}

static void
replace_trigger(ColumnCopier *copier, List **list, Form_pg_trigger form,
				char *definition)
{
	redefine_trigger(copier, list, form, definition);
	add_settings(list, form);
}

static void
redefine_trigger(ColumnCopier *copier, List **list, Form_pg_trigger form,
				 char *definition)
{
	add_sql(list, psprintf("DROP TRIGGER %s ON %s",
						   quote_identifier(NameStr(form->tgname)),
						   copier->table));
	add_sql(list, definition);
}

/*
 * See column_copy.h.
 */
List *
trigger_settings(Oid trigger)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	List	   *statements = NIL;

	add_settings(&statements,
				 (Form_pg_trigger) GETSTRUCT(trigger_with_oid(catalog, trigger)));
	table_close(catalog, AccessShareLock);
	return statements;
}

/* What CREATE TRIGGER does not say. */
static void
add_settings(List **list, Form_pg_trigger form)
{
	const char *name = quote_identifier(NameStr(form->tgname));
	char	   *table = relation_display_name(form->tgrelid);
	char	   *object = psprintf("TRIGGER %s ON %s", name, table);
	ListCell   *cell;

	if (form->tgenabled != TRIGGER_FIRES_ON_ORIGIN)
		add_sql(list, psprintf("ALTER TABLE %s %s TRIGGER %s", table,
							   enabled_clause(form->tgenabled), name));
	set_clones(list, form);
	add_comment(list, TriggerRelationId, form->oid, 0, object);
	foreach(cell, getAutoExtensionsOfObject(TriggerRelationId, form->oid))
		add_sql(list, psprintf("ALTER %s DEPENDS ON EXTENSION %s", object,
							   quote_identifier(get_extension_name(lfirst_oid(cell)))));
}

/* Those of partitions that are enabled in another way than their parent. */
static void
set_clones(List **list, Form_pg_trigger parent)
{
	ListCell   *cell;

	foreach(cell, find_inheritance_children(parent->tgrelid, AccessShareLock))
	{
		Relation	rel = table_open(lfirst_oid(cell), AccessShareLock);
		HeapTuple	tuple = clone_of_trigger(rel, parent->oid);
		Form_pg_trigger form;

		if (HeapTupleIsValid(tuple))
		{
			form = (Form_pg_trigger) GETSTRUCT(tuple);
			if (form->tgenabled != parent->tgenabled)
				add_sql(list, psprintf("ALTER TABLE %s %s TRIGGER %s",
									   relation_display_name(form->tgrelid),
									   enabled_clause(form->tgenabled),
									   quote_identifier(NameStr(form->tgname))));
			set_clones(list, form);
		}
		table_close(rel, AccessShareLock);
	}
}

/* The copy of its row for a partition; NULL if there is none. */
static HeapTuple
clone_of_trigger(Relation partition, Oid parent)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	TriggerDesc *triggers = partition->trigdesc;
	HeapTuple	result = NULL;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		HeapTuple	tuple = trigger_with_oid(catalog,
											 triggers->triggers[i].tgoid);

		if (((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid == parent)
			result = tuple;
	}
	table_close(catalog, AccessShareLock);
	return result;
}

static bool
names_column(Form_pg_trigger form, AttrNumber attnum)
{
	for (int i = 0; i < form->tgattr.dim1; i++)
		if (form->tgattr.values[i] == attnum)
			return true;
	return false;
}

/* The words UPDATE OF stand there once before any expression. */
static char *
with_other_column(const char *definition, const char *column)
{
	SqlTokens  *tokens = scan_sql(definition);

	for (int i = 0; i + 1 < tokens->count; i++)
		if (token_is(tokens, i, "update") && token_is(tokens, i + 1, "of"))
		{
			int			end = tokens->tokens[i + 1].location +
			tokens->tokens[i + 1].length;

			return psprintf("%.*s %s,%s", end, definition,
							quote_identifier(column), definition + end);
		}
	elog(ERROR, "no UPDATE OF in trigger definition: %s", definition);
}

static const char *
enabled_clause(char enabled)
{
	return enabled == TRIGGER_DISABLED ? "DISABLE" :
		enabled == TRIGGER_FIRES_ALWAYS ? "ENABLE ALWAYS" :
		enabled == TRIGGER_FIRES_ON_REPLICA ? "ENABLE REPLICA" : "ENABLE";
}

/* A copy of its row. */
static HeapTuple
trigger_with_oid(Relation catalog, Oid oid)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for trigger %u", oid);
	tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}

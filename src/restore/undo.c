/*-------------------------------------------------------------------------
 *
 * undo.c
 *	  migrate.undo_last(): taking back a destructive statement.
 *
 * Its restore point has only what that statement has removed, so that all that
 * others did since stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lock/lock.h"
#include "miscadmin.h"
#include "preserve/catalog_image.h"
#include "preserve/point.h"
#include "preserve/preserve.h"
#include "restore/catalog_diff.h"
#include "restore/catalog_restore.h"
#include "restore/constraints.h"
#include "restore/owner_sql.h"
#include "restore/restored_rows.h"
#include "restore/rollback.h"
#include "restore/rolled_back.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

static char *last_statement_point(const char *relation);
static bool point_has_relation(int64 point, const char *relation, List *names);
static bool has_name(Oid namespace_oid, const char *name, const char *relation,
					 List *names);
static List *names_of(const char *relation);
static void refuse_uncommitted(void);
static void undo_or_tell(const RestoreTarget *target);
static void undo(const RestoreTarget *target);
static void refuse_tables_in_use(const List *relids);
static void tell_of_indexes(const List *indexes);
static char *end_statement_point(const RestoreTarget *target);

PG_FUNCTION_INFO_V1(migrate_undo_last);

/*
 * migrate.undo_last(relation text) returns text
 */
Datum
migrate_undo_last(PG_FUNCTION_ARGS)
{
	char	   *relation = PG_ARGISNULL(0) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(0));
	RestoreTarget *target;

	require_preloaded();
	PreventCommandDuringRecovery("migrate.undo_last()");
	PreventCommandIfReadOnly("migrate.undo_last()");
	refuse_uncommitted();
	target = hold_restore_target(last_statement_point(relation),
								 ROLLBACK_KEEP, true);
	undo_or_tell(target);
	PG_RETURN_TEXT_P(cstring_to_text(end_statement_point(target)));
}

/*
 * The label of the last one of this session, or of anybody about a relation.
 */
static char *
last_statement_point(const char *relation)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *names = relation == NULL ? NIL : names_of(relation);
	char	   *label = NULL;
	int			count;
	int64	   *points;
	char	  **labels;

	add_own_text(&arguments, relation == NULL ? session_in_words() : NULL);
	begin_own_access(&access);
	run_own_query("SELECT id, label FROM migrate.restore_point_data "
				  "WHERE kind OPERATOR(pg_catalog.=) 'statement' "
				  "AND ($1 IS NULL OR session OPERATOR(pg_catalog.=) $1) "
				  "ORDER BY id DESC",
				  &arguments, SPI_OK_SELECT);
	count = (int) SPI_processed;
	points = MemoryContextAlloc(access.caller, (count + 1) * sizeof(int64));
	labels = MemoryContextAlloc(access.caller, (count + 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
	{
		points[i] = own_bigint_column(i, 1);
		labels[i] = own_text_column(&access, i, 2);
	}
	end_own_access(&access);
	for (int i = 0; i < count && label == NULL; i++)
	{
		if (relation == NULL || point_has_relation(points[i], relation, names))
			label = labels[i];
	}
	if (label == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 relation == NULL ?
				 errmsg("there is nothing to undo: no statement of this session has destroyed anything that was kept; name the table with migrate.undo_last('schema.table') if it was another session") :
				 errmsg("there is nothing to undo: nothing of \"%s\" that a statement has destroyed was kept",
						relation)));
	return label;
}

/* One that it has removed or changed, or of which it has removed something. */
static bool
point_has_relation(int64 point, const char *relation, List *names)
{
	List	   *rows = list_concat(load_catalog_rows(point, RelationRelationId),
								   load_concerned_relations(point));
	ListCell   *cell;

	foreach(cell, rows)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT((HeapTuple) lfirst(cell));
		Oid			namespace = get_rel_namespace(form->oid);

		/* it may have another name by now */
		if (has_name(form->relnamespace, NameStr(form->relname), relation,
					 names) ||
			(OidIsValid(namespace) &&
			 has_name(namespace, get_rel_name(form->oid), relation, names)))
			return true;
	}
	return false;
}

/* As SQL reads it, or letter by letter; qualified or not. */
static bool
has_name(Oid namespace_oid, const char *name, const char *relation,
		 List *names)
{
	char	   *namespace = get_namespace_name(namespace_oid);

	if (strcmp(relation, name) == 0 ||
		(namespace != NULL &&
		 strcmp(relation, psprintf("%s.%s", namespace, name)) == 0))
		return true;
	if (names == NIL || list_length(names) > 2 ||
		strcmp(strVal(llast(names)), name) != 0)
		return false;
	return list_length(names) == 1 ||
		(namespace != NULL && strcmp(strVal(linitial(names)), namespace) == 0);
}

/* NIL if it is none. */
static List *
names_of(const char *relation)
{
	List	   *parts;
	List	   *names = NIL;
	ListCell   *cell;

	if (!SplitIdentifierString(pstrdup(relation), '.', &parts))
		return NIL;
	foreach(cell, parts)
		names = lappend(names, makeString(lfirst(cell)));
	return names;
}

/* What is not committed has no restore point yet. */
static void
refuse_uncommitted(void)
{
	if (transaction_destroys())
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("migrate.undo_last() cannot take back what this transaction itself has destroyed: that is not committed yet; ROLLBACK instead")));
}

/* Who has a choice is told of the procedure that can be told which. */
static void
undo_or_tell(const RestoreTarget *target)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		undo(target);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (geterrcode() != ERRCODE_SM_CANNOT_UNDO)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		if (strstr(error->message, "on_conflict") != NULL ||
			strstr(error->message, "as_of") != NULL)
			error->hint = psprintf("migrate.undo_last() has no such arguments: CALL migrate.rollback_to(%s, on_conflict := '...'), or with mode := 'as_of', takes back the same statement.",
								   quote_literal_cstr(target->label));
		ReThrowError(error);
	}
	PG_END_TRY();
}

static void
undo(const RestoreTarget *target)
{
	HTAB	   *relations = choose_storage(target);
	List	   *differences = compare_catalogs_with_label(target, relations);
	List	   *tables = tables_to_lock(relations);
	RestoredRows *rows;
	int			level = begin_exact_text();

	lock_relations_patiently(CMDTAG_SELECT, "migrate.undo_last()", tables,
							 AccessExclusiveLock);
	refuse_tables_in_use(tables);

	/* others may have changed them meanwhile */
	relations = choose_storage(target);
	refuse_lost_files(target, relations);
	differences = compare_catalogs_with_label(target, relations);
	note_rollback_in_transaction(target->point);
	rows = begin_restored_rows(target, relations, ROW_CONFLICT_REFUSE);
	catch_up_restored_rows(rows, relations);
	tell_of_indexes(restore_catalogs(differences, relations));
	restore_rows(rows, differences);
	enforce_indexes(relations);
	check_constraints(differences, relations, restored_relids(rows));
	note_rollback(target, merged_relids(rows));
	AtEOXact_GUC(false, level);
}

/* A query or cursor of this session would go on in a file of another layout. */
static void
refuse_tables_in_use(const List *relids)
{
	ListCell   *cell;

	foreach(cell, relids)
	{
		Relation	rel = relation_open(lfirst_oid(cell), NoLock);

		CheckTableNotInUse(rel, "migrate.undo_last()");
		relation_close(rel, NoLock);
	}
}

/* A function cannot do it. */
static void
tell_of_indexes(const List *indexes)
{
	ListCell   *cell;

	foreach(cell, indexes)
		ereport(WARNING,
				(errmsg("index %s is not built: its table is large; REINDEX INDEX CONCURRENTLY %s when this is committed",
						relation_display_name(lfirst_oid(cell)),
						relation_display_name(lfirst_oid(cell)))));
}

/* It can be taken back once.  Returns the statement. */
static char *
end_statement_point(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *statement;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("DELETE FROM migrate.restore_point_data "
				  "WHERE id OPERATOR(pg_catalog.=) $1 RETURNING statement",
				  &arguments, SPI_OK_DELETE_RETURNING);
	statement = own_text_column(&access, 0, 1);
	end_own_access(&access);
	return statement;
}

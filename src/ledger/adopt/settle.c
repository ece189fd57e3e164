/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  Writing down what a ledger of another tool says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "common/errors.h"
#include "ledger/adopt/settle.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static int	compare_row_keys(const void *a, const void *b);
static List *read_settled_ledger(const ForeignLedger *ledger);
static bool is_as_archived(const ForeignRow *row, const ForeignRow *archived);
static bool same_or_null(const char *a, const char *b);
static void refuse_edited(const ForeignLedger *ledger, List *adoptions);
static bool is_edited(const Adoption *adoption);
static List *settle_all(const ForeignLedger *ledger, List *adoptions,
						bool accept_edited);
static AdoptResult *settle(const ForeignLedger *ledger,
						   const Adoption *adoption, bool accept_edited);
static AdoptResult *settle_rolled_back(const ForeignLedger *ledger,
									   const Adoption *adoption);
static AdoptResult *settle_changed(const ForeignLedger *ledger,
								   const Adoption *adoption);
static AdoptResult *settle_applied(const ForeignLedger *ledger,
								   const Adoption *adoption);
static const char *how_verified(const ForeignLedger *ledger,
								const Adoption *adoption);
static void archive(const ForeignLedger *ledger, const Adoption *adoption);
static AdoptResult *make_result(const Adoption *adoption, const char *state,
								const char *message);
static List *vanished_versions(const ForeignLedger *ledger, List *live,
							   List *vanished);
static List *revert_vanished(const ForeignLedger *ledger, List *vanished,
							 List *versions);
static void tell_vanished(const ForeignLedger *ledger, List *versions);

/*
 * See settle.h.
 */
List *
join_with_archive(const ForeignLedger *ledger, List *live, List **vanished)
{
	List	   *archived = store_archived_rows(ledger->name);
	int			count = list_length(archived);
	ForeignRow **by_key = palloc(Max(count, 1) * sizeof(ForeignRow *));
	bool	   *met = palloc0(Max(count, 1) * sizeof(bool));
	List	   *rows = NIL;
	ListCell   *cell;

	foreach(cell, archived)
		by_key[foreach_current_index(cell)] = lfirst(cell);
	foreach(cell, live)
	{
		ForeignRow *row = lfirst(cell);
		ForeignRow **before = bsearch(&row, by_key, count, sizeof(ForeignRow *),
									  compare_row_keys);

		if (before != NULL)
		{
			row->version = (*before)->version;
			row->in_archive = is_as_archived(row, *before);
			met[before - by_key] = true;
		}
		rows = lappend(rows, row);
	}

	/* what an empty ledger does not say is no news */
	*vanished = NIL;
	for (int i = 0; i < count; i++)
	{
		ForeignRow *row = by_key[i];

		if (met[i])
			continue;
		if (live != NIL &&
			(row->version != NULL || row->state == FOREIGN_MARK))
			*vanished = lappend(*vanished, row);
		else
			rows = lappend(rows, row);
	}
	return rows;
}

static int
compare_row_keys(const void *a, const void *b)
{
	return strcmp((*(ForeignRow *const *) a)->key,
				  (*(ForeignRow *const *) b)->key);
}

static bool
is_as_archived(const ForeignRow *row, const ForeignRow *archived)
{
	return row->state == archived->state &&
		same_or_null(row->checksum, archived->checksum) &&
		same_or_null(row->body, archived->body);
}

static bool
same_or_null(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/*
 * See settle.h.
 */
List *
adopt_ledger(const ForeignLedger *ledger, bool accept_edited)
{
	List	   *live = read_settled_ledger(ledger);
	List	   *vanished;
	List	   *rows = join_with_archive(ledger, live, &vanished);
	List	   *adoptions = match_foreign_rows(ledger->tool, rows);
	List	   *results;

	if (!accept_edited)
		refuse_edited(ledger, adoptions);
	results = revert_vanished(ledger, vanished,
							  vanished_versions(ledger, live, vanished));
	return list_concat(results, settle_all(ledger, adoptions, accept_edited));
}

/*
 * See settle.h.
 */
List *
adopt_ledger_news(const ForeignLedger *ledger)
{
	List	   *live = read_settled_ledger(ledger);
	List	   *vanished;
	List	   *rows = join_with_archive(ledger, live, &vanished);
	List	   *adoptions = match_foreign_rows(ledger->tool, rows);

	refuse_edited(ledger, adoptions);
	tell_vanished(ledger, vanished_versions(ledger, live, vanished));
	return settle_all(ledger, adoptions, false);
}

/* NIL if the ledger is gone. */
static List *
read_settled_ledger(const ForeignLedger *ledger)
{
	List	   *live;

	if (!OidIsValid(ledger->relid))
		return NIL;
	live = read_foreign_ledger(ledger);
	refuse_unsettled_ledger(ledger, live);
	return live;
}

static void
refuse_edited(const ForeignLedger *ledger, List *adoptions)
{
	StringInfoData labels;
	StringInfoData checksums;
	ListCell   *cell;

	initStringInfo(&labels);
	initStringInfo(&checksums);
	foreach(cell, adoptions)
	{
		const Adoption *adoption = lfirst(cell);

		if (!is_edited(adoption))
			continue;
		appendStringInfo(&labels, "%s%s", labels.len ? ", " : "",
						 adoption->entry->label);
		appendStringInfo(&checksums, "%s%s has %s", checksums.len ? ", " : "",
						 adoption->entry->label,
						 adoption->row->checksum ? adoption->row->checksum :
						 "another text");
	}
	if (labels.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_MIGRATION_EDITED),
				 errmsg("files are not what %s has applied: %s; restore them and load again, or take them as they are with SELECT * FROM migrate.adopt(%s%s%s, accept_edited := true)",
						ledger->tool->tool, labels.data,
						quote_literal_cstr(ledger->tool->tool),
						OidIsValid(ledger->relid) ? ", " : "",
						OidIsValid(ledger->relid) ?
						quote_literal_cstr(ledger->name) : ""),
				 errdetail("In %s, %s.", ledger->name, checksums.data)));
}

/* A repeatable one may be changed: then it is to run again. */
static bool
is_edited(const Adoption *adoption)
{
	return adoption->entry != NULL && !adoption->entry->repeatable &&
		adoption->verdict == CHECKSUM_DIFFERENT &&
		adoption->row->state != FOREIGN_ROLLED_BACK &&
		(!adoption->entry->applied || adoption->entry->edited);
}

static List *
settle_all(const ForeignLedger *ledger, List *adoptions, bool accept_edited)
{
	List	   *results = NIL;
	ListCell   *cell;

	foreach(cell, adoptions)
	{
		AdoptResult *result = settle(ledger, lfirst(cell), accept_edited);

		if (result != NULL)
			results = lappend(results, result);
	}
	return results;
}

/*
 * Write down one row; NULL if it says nothing new.
 */
static AdoptResult *
settle(const ForeignLedger *ledger, const Adoption *adoption,
	   bool accept_edited)
{
	const ForeignRow *row = adoption->row;
	const LedgerEntry *entry = adoption->entry;

	if (row->state == FOREIGN_ROLLED_BACK)
		return settle_rolled_back(ledger, adoption);
	if (entry == NULL)
	{
		if (row->in_archive)
			return NULL;
		archive(ledger, adoption);
		return make_result(adoption, "no file",
						   "no such migration is registered: when its file is loaded it counts as applied");
	}
	if (entry->applied && !(entry->edited &&
							(accept_edited || adoption->verdict == CHECKSUM_SAME)))
	{
		if (row->in_archive && row->version != NULL)
			return NULL;
		archive(ledger, adoption);
		if (row->state == FOREIGN_MARK)
			return NULL;
		return make_result(adoption, "known",
						   "it counted as applied before");
	}
	if (adoption->verdict == CHECKSUM_DIFFERENT && !accept_edited)
		return settle_changed(ledger, adoption);
	return settle_applied(ledger, adoption);
}

static AdoptResult *
settle_rolled_back(const ForeignLedger *ledger, const Adoption *adoption)
{
	bool		reverted = adoption->entry != NULL &&
	store_revert_attempt(ledger, adoption->entry->version);

	archive(ledger, adoption);
	return make_result(adoption, "rolled back",
					   reverted ? "its tool has rolled it back: it is to run again" :
					   "its tool has rolled it back, or passed it over");
}

/*
 * A repeatable migration whose file was changed since: its last run gets the
 * checksum of the tool in the place of ours, which no text has.
 */
static AdoptResult *
settle_changed(const ForeignLedger *ledger, const Adoption *adoption)
{
	store_adopted_attempt(ledger, adoption,
						  psprintf("%s:%s", ledger->tool->tool,
								   adoption->row->checksum ?
								   adoption->row->checksum : "text"), "");
	archive(ledger, adoption);
	return make_result(adoption, "pending",
					   "its file was changed since its tool ran it: it runs again");
}

static AdoptResult *
settle_applied(const ForeignLedger *ledger, const Adoption *adoption)
{
	ledger_read_body(adoption->entry);
	store_adopted_attempt(ledger, adoption, adoption->entry->checksum,
						  adoption->entry->body);
	archive(ledger, adoption);
	return make_result(adoption, "adopted", how_verified(ledger, adoption));
}

static const char *
how_verified(const ForeignLedger *ledger, const Adoption *adoption)
{
	const ForeignRow *row = adoption->row;

	switch (adoption->verdict)
	{
		case CHECKSUM_NONE:
			if (row->state == FOREIGN_MARK)
				return psprintf("not verified: %s has all up to %s",
								ledger->tool->tool, (char *) linitial(row->ids));
			return "not verified: there is no checksum of it";
		case CHECKSUM_SAME:
			return row->checksum ? "verified by its checksum" :
				"verified by its text";
		case CHECKSUM_OPAQUE:
			return psprintf("not verified: only %s itself can compute checksum %s",
							ledger->tool->tool, row->checksum);
		case CHECKSUM_DIFFERENT:
			return "taken as it is, though it is not what its tool has applied";
	}
	return NULL;
}

/*
 * A mark is about many migrations, so that the archive names none for it.
 */
static void
archive(const ForeignLedger *ledger, const Adoption *adoption)
{
	const ForeignRow *row = adoption->row;
	bool		has_version = adoption->entry != NULL &&
	row->state != FOREIGN_MARK;

	store_archive_row(ledger, row,
					  has_version ? adoption->entry->version : NULL);
}

static AdoptResult *
make_result(const Adoption *adoption, const char *state, const char *message)
{
	AdoptResult *result = palloc(sizeof(AdoptResult));

	result->version = adoption->entry ? adoption->entry->version :
		linitial(adoption->row->ids);
	result->name = adoption->entry ? adoption->entry->name :
		adoption->row->name;
	result->state = state;
	result->message = message;
	return result;
}

/*
 * The versions that were adopted from a ledger which does not have them any
 * more: most tools delete the row of what they roll back, and those that have
 * nothing but a mark set it back.
 */
static List *
vanished_versions(const ForeignLedger *ledger, List *live, List *vanished)
{
	List	   *in_effect = store_versions_in_effect(ledger);
	List	   *versions = NIL;
	ListCell   *cell;

	if (ledger->tool->single_row != NULL && live != NIL)
		return versions_after_mark(linitial(live), in_effect);
	foreach(cell, vanished)
	{
		const ForeignRow *row = lfirst(cell);

		if (row->version != NULL && name_is_listed(in_effect, row->version))
			versions = lappend(versions, row->version);
	}
	return versions;
}

/*
 * Only who adopts again says that what has vanished was rolled back.
 */
static List *
revert_vanished(const ForeignLedger *ledger, List *vanished, List *versions)
{
	List	   *results = NIL;
	ListCell   *cell;

	foreach(cell, vanished)
		store_forget_row(ledger, lfirst(cell));
	foreach(cell, versions)
	{
		AdoptResult *result = palloc0(sizeof(AdoptResult));

		(void) store_revert_attempt(ledger, lfirst(cell));
		result->version = lfirst(cell);
		result->state = "rolled back";
		result->message = "its tool does not list it any more: it is to run again";
		results = lappend(results, result);
	}
	return results;
}

static void
tell_vanished(const ForeignLedger *ledger, List *versions)
{
	StringInfoData list;
	ListCell   *cell;

	if (versions == NIL)
		return;
	initStringInfo(&list);
	foreach(cell, versions)
		appendStringInfo(&list, "%s%s", list.len ? ", " : "",
						 (char *) lfirst(cell));
	ereport(WARNING,
			(errmsg("%s does not list any more what was adopted from there: %s; that counts as applied until you say that it was rolled back, with SELECT * FROM migrate.adopt(%s, %s)",
					ledger->name, list.data,
					quote_literal_cstr(ledger->tool->tool),
					quote_literal_cstr(ledger->name))));
}

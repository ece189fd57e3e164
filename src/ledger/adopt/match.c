/*-------------------------------------------------------------------------
 *
 * match.c
 *	  Which registered migrations the rows of another tool's ledger are about.
 *
 * A row has one or several names for its migration.  A registered one goes by
 * its version, by another spelling of it, by version and name together, and,
 * if no other has it, by its name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/script.h"
#include "ledger/adopt/adopt.h"
#include "ledger/tool_checksum.h"

/* What is sure to be short enough for version_sort_key(). */
#define SORTABLE_BYTES	255
#define SORTABLE_DIGITS 32

/* Kinds of names; the first letter of the keys of the index. */
#define BY_VERSION 'v'
#define BY_LABEL 'l'
#define BY_SORT_KEY 'k'
#define BY_NAME 'n'

typedef struct IndexKey
{
	char	   *key;
	int			entry;			/* index in entries */
} IndexKey;

typedef struct MigrationIndex
{
	List	   *entries;		/* of LedgerEntry, in order */
	bool	   *claimed;		/* a row is about it */
	IndexKey   *keys;
	int			key_count;
} MigrationIndex;

static MigrationIndex *build_index(List *entries);
static void add_key(MigrationIndex *index, int entry, char kind,
					const char *name);
static int	compare_keys(const void *a, const void *b);
static int	find_entry(MigrationIndex *index, char kind, const char *name);
static int	entry_of_row(MigrationIndex *index, const ForeignTool *tool,
						 const ForeignRow *row);
static int	entry_of_ids(MigrationIndex *index, List *ids);
static bool has_letter(const char *text);
static Adoption *make_adoption(const ForeignRow *row, LedgerEntry *entry,
							   ChecksumVerdict verdict);
static bool needs_a_look(const ForeignRow *row, const LedgerEntry *entry);
static bool is_up_to_mark(const ForeignRow *row, int mark,
						  const LedgerEntry *entry, int at);
static List *add_up_to_mark(List *adoptions, MigrationIndex *index,
							const ForeignRow *row, int mark);
static ChecksumVerdict compare_checksum(const ForeignTool *tool,
										const ForeignRow *row,
										const LedgerEntry *entry);
static bool text_fits(const ForeignTool *tool, const ForeignRow *row,
					  const LedgerEntry *entry, const char *body);
static bool same_text(const char *a, const char *b);

/*
 * See adopt.h.  Rows that the archive has as they are and whose migration is
 * known and unchanged are left out.
 */
List *
match_foreign_rows(const ForeignTool *tool, List *rows)
{
	MigrationIndex *index = build_index(ledger_read());
	int		   *found = palloc(list_length(rows) * sizeof(int));
	List	   *adoptions = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		int			entry = entry_of_row(index, tool, lfirst(cell));

		found[foreach_current_index(cell)] = entry;
		if (entry >= 0)
			index->claimed[entry] = true;
	}
	foreach(cell, rows)
	{
		const ForeignRow *row = lfirst(cell);
		int			at = found[foreach_current_index(cell)];
		LedgerEntry *entry;

		/* a file that was changed since: it is where the row is */
		if (at < 0 && tool->by_checksum && row->version == NULL &&
			row->rank < list_length(index->entries) &&
			!index->claimed[row->rank])
		{
			at = row->rank;
			index->claimed[at] = true;
		}
		if (row->state == FOREIGN_MARK)
			adoptions = add_up_to_mark(adoptions, index, row, at);
		entry = at < 0 ? NULL : list_nth(index->entries, at);
		if (needs_a_look(row, entry))
			adoptions = lappend(adoptions,
								make_adoption(row, entry,
											  entry ? compare_checksum(tool, row, entry) :
											  CHECKSUM_NONE));
	}
	return adoptions;
}

static MigrationIndex *
build_index(List *entries)
{
	MigrationIndex *index = palloc0(sizeof(MigrationIndex));
	ListCell   *cell;

	index->entries = entries;
	index->claimed = palloc0(Max(list_length(entries), 1) * sizeof(bool));
	index->keys = palloc(Max(list_length(entries), 1) * 4 * sizeof(IndexKey));
	foreach(cell, entries)
	{
		const LedgerEntry *entry = lfirst(cell);
		int			at = foreach_current_index(cell);

		add_key(index, at, BY_VERSION, entry->version);
		add_key(index, at, BY_LABEL, entry->label);
		add_key(index, at, BY_SORT_KEY, foreign_sort_key(entry->version));
		add_key(index, at, BY_NAME, entry->name);
	}
	qsort(index->keys, index->key_count, sizeof(IndexKey), compare_keys);
	return index;
}

/* name may be NULL or empty: then there is no such key. */
static void
add_key(MigrationIndex *index, int entry, char kind, const char *name)
{
	if (name == NULL || name[0] == '\0')
		return;
	index->keys[index->key_count].key = psprintf("%c%s", kind, name);
	index->keys[index->key_count].entry = entry;
	index->key_count++;
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(((const IndexKey *) a)->key, ((const IndexKey *) b)->key);
}

/*
 * See adopt.h.
 */
char *
foreign_sort_key(const char *version)
{
	int			digits = 0;

	for (const char *at = version; *at; at++)
		digits += isdigit((unsigned char) *at) ? 1 : 0;
	if (version[0] == '\0' || strlen(version) > SORTABLE_BYTES ||
		digits > SORTABLE_DIGITS)
		return NULL;
	return version_sort_key(version);
}

/*
 * The index of the only entry of that name, or -1.
 */
static int
find_entry(MigrationIndex *index, char kind, const char *name)
{
	IndexKey	wanted;
	IndexKey   *found;
	IndexKey   *end = index->keys + index->key_count;

	if (name == NULL)
		return -1;
	wanted.key = psprintf("%c%s", kind, name);
	found = bsearch(&wanted, index->keys, index->key_count, sizeof(IndexKey),
					compare_keys);
	if (found == NULL)
		return -1;
	if ((found > index->keys && compare_keys(found - 1, found) == 0) ||
		(found + 1 < end && compare_keys(found + 1, found) == 0))
		return -1;
	return found->entry;
}

/*
 * The index of the entry that a row is about, or -1.
 */
static int
entry_of_row(MigrationIndex *index, const ForeignTool *tool,
			 const ForeignRow *row)
{
	int			entry;

	if (row->version != NULL)
		return find_entry(index, BY_VERSION, row->version);
	entry = entry_of_ids(index, row->ids);
	if (entry < 0 && tool->by_checksum && row->checksum != NULL)
	{
		char	   *version = store_version_of_checksum(row->checksum);

		if (version != NULL)
			entry = find_entry(index, BY_VERSION, version);
	}
	/* two rows cannot be about the same */
	return entry >= 0 && index->claimed[entry] ? -1 : entry;
}

static int
entry_of_ids(MigrationIndex *index, List *ids)
{
	ListCell   *cell;

	foreach(cell, ids)
	{
		const char *id = lfirst(cell);
		int			entry = find_entry(index, BY_VERSION, id);

		if (entry < 0)
			entry = find_entry(index, BY_LABEL, id);
		if (entry < 0)
			entry = find_entry(index, BY_SORT_KEY, foreign_sort_key(id));
		if (entry < 0 && has_letter(id))
			entry = find_entry(index, BY_NAME, id);
		if (entry >= 0)
			return entry;
	}
	return -1;
}

/* A number is a version, never a name. */
static bool
has_letter(const char *text)
{
	for (; *text; text++)
		if (isalpha((unsigned char) *text))
			return true;
	return false;
}

static Adoption *
make_adoption(const ForeignRow *row, LedgerEntry *entry,
			  ChecksumVerdict verdict)
{
	Adoption   *adoption = palloc(sizeof(Adoption));

	adoption->row = row;
	adoption->entry = entry;
	adoption->verdict = verdict;
	return adoption;
}

static bool
needs_a_look(const ForeignRow *row, const LedgerEntry *entry)
{
	if (!row->in_archive)
		return true;
	if (entry == NULL)
		return row->state != FOREIGN_ROLLED_BACK;
	if (row->state == FOREIGN_MARK)
		return false;
	return row->version == NULL || entry->edited;
}

/*
 * Is a migration, at that place, not after the mark of a tool that counts?  If
 * there is no file of that very version (mark is -1), the value of its version
 * tells; an identifier that is no number has none.
 */
static bool
is_up_to_mark(const ForeignRow *row, int mark, const LedgerEntry *entry, int at)
{
	const char *id = linitial(row->ids);
	char	   *key = has_letter(id) ? NULL : foreign_sort_key(id);

	if (mark >= 0)
		return at <= mark;
	return key != NULL && strcmp(version_sort_key(entry->version), key) <= 0;
}

/*
 * Everything up to a mark is applied.  What the mark itself is about has an
 * Adoption of its own while the archive does not have it.
 */
static List *
add_up_to_mark(List *adoptions, MigrationIndex *index, const ForeignRow *row,
			   int mark)
{
	ListCell   *cell;

	foreach(cell, index->entries)
	{
		LedgerEntry *entry = lfirst(cell);
		int			at = foreach_current_index(cell);

		if (entry->repeatable || entry->applied ||
			(at == mark && !row->in_archive) ||
			(at != mark && index->claimed[at]))
			continue;
		if (is_up_to_mark(row, mark, entry, at))
			adoptions = lappend(adoptions,
								make_adoption(row, entry, CHECKSUM_NONE));
	}
	return adoptions;
}

/*
 * See adopt.h.
 */
List *
versions_after_mark(const ForeignRow *row, List *versions)
{
	MigrationIndex *index = build_index(ledger_read());
	int			mark = entry_of_ids(index, row->ids);
	List	   *after = NIL;
	ListCell   *cell;

	/* nobody knows where that is */
	if (mark < 0 && has_letter(linitial(row->ids)))
		return NIL;
	foreach(cell, versions)
	{
		int			at = find_entry(index, BY_VERSION, lfirst(cell));

		if (at >= 0 &&
			!is_up_to_mark(row, mark, list_nth(index->entries, at), at))
			after = lappend(after, lfirst(cell));
	}
	return after;
}

static ChecksumVerdict
compare_checksum(const ForeignTool *tool, const ForeignRow *row,
				 const LedgerEntry *entry)
{
	char	   *stored;
	char	   *body;

	if (row->checksum == NULL && !(tool->keeps_text && row->body != NULL))
		return CHECKSUM_NONE;
	store_migration_text(entry->version, &stored, &body);
	if (row->checksum == NULL)
		return same_text(row->body, body) ? CHECKSUM_SAME : CHECKSUM_DIFFERENT;
	if (!tool_checksum_is_known(tool->checksum_format, row->checksum))
		return CHECKSUM_OPAQUE;

	/* computed from the file as it came, by a format of the same tool */
	if (stored != NULL && strcmp(stored, row->checksum) == 0)
		return CHECKSUM_SAME;
	return text_fits(tool, row, entry, body) ? CHECKSUM_SAME :
		CHECKSUM_DIFFERENT;
}

static bool
text_fits(const ForeignTool *tool, const ForeignRow *row,
		  const LedgerEntry *entry, const char *body)
{
	static const char *const separators[] = {"_", "-", ""};

	if (!tool->checksum_has_name)
		return tool_checksum_fits(tool->checksum_format, row->checksum, body,
								  NULL);
	for (int i = 0; i < lengthof(separators); i++)
		if (tool_checksum_fits(tool->checksum_format, row->checksum,
							   psprintf("%s%s%s.sql%s", entry->version,
										separators[i], entry->name, body),
							   NULL))
			return true;
	return false;
}

/* But for line ends, and white space around them. */
static bool
same_text(const char *a, const char *b)
{
	static const char *const space = " \t\r\n";
	const char *a_text = normalize_newlines(a);
	const char *b_text = normalize_newlines(b);
	size_t		a_length;
	size_t		b_length;

	a_text += strspn(a_text, space);
	b_text += strspn(b_text, space);
	a_length = strlen(a_text);
	b_length = strlen(b_text);
	while (a_length > 0 && strchr(space, a_text[a_length - 1]) != NULL)
		a_length--;
	while (b_length > 0 && strchr(space, b_text[b_length - 1]) != NULL)
		b_length--;
	return a_length == b_length && memcmp(a_text, b_text, a_length) == 0;
}

/*-------------------------------------------------------------------------
 *
 * shim.c
 *	  What the parsers of formats need of a server, without one.
 *
 * The headers are the server's own, and its StringInfo and JSON come from
 * libpgcommon.  Here is what only a backend has: memory that is freed as a
 * whole, lists, and errors, which end the call with longjmp().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "ledger/formats/formats.h"
#include "common/script.h"
#include "mb/pg_wchar.h"
#include "shim.h"
#include "utils/builtins.h"

/* A piece of memory; what is allocated follows. */
typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
	size_t		size;
	size_t		padding;
} Chunk;

static Chunk chunks = {&chunks, &chunks};

jmp_buf		shim_error;
char		shim_message[4096];
int			shim_sqlstate;


/* ---- memory */

void *
palloc(Size size)
{
	Chunk	   *chunk = malloc(sizeof(Chunk) + size);

	if (chunk == NULL)
		abort();
	chunk->size = size;
	chunk->next = chunks.next;
	chunk->previous = &chunks;
	chunks.next->previous = chunk;
	chunks.next = chunk;
	return chunk + 1;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *pointer)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;

	chunk->previous->next = chunk->next;
	chunk->next->previous = chunk->previous;
	free(chunk);
}

void *
repalloc(void *pointer, Size size)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;
	void	   *result = palloc(size);

	memcpy(result, pointer, Min(size, chunk->size));
	pfree(pointer);
	return result;
}

char *
pnstrdup(const char *text, Size length)
{
	char	   *result;

	length = strnlen(text, length);
	result = palloc(length + 1);
	memcpy(result, text, length);
	result[length] = '\0';
	return result;
}

char *
pstrdup(const char *text)
{
	return pnstrdup(text, strlen(text));
}

void
shim_free_all(void)
{
	while (chunks.next != &chunks)
		pfree(chunks.next + 1);
}

/* What is allocated in contexts is freed with all else. */

MemoryContext CurrentMemoryContext = NULL;

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name,
							  Size minContextSize, Size initBlockSize,
							  Size maxBlockSize)
{
	return parent;
}

void
MemoryContextReset(MemoryContext context)
{
}

void
MemoryContextDelete(MemoryContext context)
{
}


/* ---- errors */

bool
errstart(int elevel, const char *domain)
{
	return elevel >= ERROR;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	longjmp(shim_error, 1);
}

int
errcode(int sqlerrcode)
{
	shim_sqlstate = sqlerrcode;
	return 0;
}

int
errmsg(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(shim_message, sizeof(shim_message), format, arguments);
	va_end(arguments);
	return 0;
}


/* ---- lists: arrays, as in the server, but each in a piece of its own */

static List *
list_of_length(int length)
{
	List	   *list = palloc(sizeof(List));

	list->type = T_List;
	list->length = length;
	list->max_length = Max(length, 4);
	list->elements = palloc(list->max_length * sizeof(ListCell));
	return list;
}

List *
lappend(List *list, void *datum)
{
	if (list == NIL)
		list = list_of_length(0);
	if (list->length == list->max_length)
	{
		list->max_length *= 2;
		list->elements = repalloc(list->elements,
								  list->max_length * sizeof(ListCell));
	}
	list->elements[list->length++].ptr_value = datum;
	return list;
}

List *
list_make1_impl(NodeTag type, ListCell datum)
{
	return lappend(NIL, datum.ptr_value);
}

List *
list_copy(const List *other)
{
	List	   *list = NIL;
	ListCell   *cell;

	foreach(cell, other)
		list = lappend(list, lfirst(cell));
	return list;
}

List *
list_concat(List *list, const List *other)
{
	ListCell   *cell;

	foreach(cell, other)
		list = lappend(list, lfirst(cell));
	return list;
}

void
list_sort(List *list, list_sort_comparator compare)
{
	if (list != NIL)
		qsort(list->elements, list->length, sizeof(ListCell),
			  (int (*) (const void *, const void *)) compare);
}


/* ---- files: only given ones, whose texts are strings here */

char *
text_to_cstring(const text *value)
{
	return pstrdup((const char *) value);
}

text *
cstring_to_text(const char *value)
{
	return (text *) pstrdup(value);
}

struct varlena *
pg_detoast_datum_packed(struct varlena *datum)
{
	return datum;
}

Directory *
read_directory(const char *path)
{
	Directory  *directory = palloc0(sizeof(Directory));

	directory->path = path;
	directory->entries = given_entries(path);
	return directory;
}

bool
file_exists(const char *path)
{
	return given_file_exists(path);
}

char *
read_raw_file(const char *path)
{
	return given_text(path);
}

char *
read_migration_file(const char *path)
{
	return normalize_newlines(given_text(path));
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

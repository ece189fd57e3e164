/*-------------------------------------------------------------------------
 *
 * size.c
 *	  How large a relation is, with all that inherits from it.
 *
 * Sizes are those of the files: pg_class.reltuples and relpages are -1, 0 or
 * stale when it matters most, and a partitioned parent has none of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "common/new_relations.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include <sys/stat.h>

/*
 * A tree of more tables than that is measured without opening the files: a
 * backend keeps only so many open, so each would be opened and closed again.
 */
#define MANY_TABLES 100

/* Of a large tree, the indexes of that many tables are measured. */
#define MAX_TABLES_WITH_INDEXES 100

/* One table of a tree. */
struct TableSize
{
	Oid			relid;
	uint64		bytes;			/* main fork and TOAST */
};

static void estimate_tables(RelationFacts *facts, List *relids);
static void measure_tables(RelationFacts *facts, List *relids);
static uint64 table_bytes(Oid relid, bool many, bool *is_new);
static bool table_is_new(Oid relid);
static uint64 storage_bytes(Form_pg_class form, bool many);
static uint64 file_bytes(Form_pg_class form);
static uint64 bytes_of_indexes(Oid relid, bool many);
static const struct TableSize *find_table(const RelationFacts *facts,
										  Oid relid);
static int	compare_by_relid(const void *a, const void *b);
static int	compare_by_size(const void *a, const void *b);

/*
 * See effects.h.
 */
void
measure_relation(RelationFacts *facts)
{
	LOCKTAG		tag;

	if (facts->measured)
		return;
	facts->measured = true;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, facts->relid);
	/* AccessShareLock may be ours, and nobody waits for it but DROP */
	for (LOCKMODE mode = MaxLockMode; mode > AccessShareLock; mode--)
	{
		if (compat_lock_held_by_me(&tag, mode))
		{
			facts->held_lockmode = Max(facts->held_lockmode, mode);
			break;
		}
	}

	if (facts->relkind != RELKIND_RELATION &&
		facts->relkind != RELKIND_PARTITIONED_TABLE)
	{
		if (!ConditionalLockRelationOid(facts->relid, AccessShareLock))
			estimate_tables(facts, list_make1_oid(facts->relid));
		else
		{
			measure_tables(facts, list_make1_oid(facts->relid));
			UnlockRelationOid(facts->relid, AccessShareLock);
		}
	}
	else
	{
		List	   *busy;
		List	   *tree = lock_free_tree(facts->relid, &busy);

		measure_tables(facts, tree);
		unlock_tree(tree);
		estimate_tables(facts, busy);
	}
}

/*
 * The statement may have no need to wait for those that others have locked, so
 * neither does this: what ANALYZE or VACUUM saw last must do.
 */
static void
estimate_tables(RelationFacts *facts, List *relids)
{
	ListCell   *cell;

	foreach(cell, relids)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID,
											ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		facts->table_bytes += (uint64) BLCKSZ *
			Max(((Form_pg_class) GETSTRUCT(tuple))->relpages, 0);
		ReleaseSysCache(tuple);
	}
}

/* The caller holds a lock on each. */
static void
measure_tables(RelationFacts *facts, List *relids)
{
	bool		many = list_length(relids) > MANY_TABLES;
	ListCell   *cell;

	facts->tables = palloc(list_length(relids) * sizeof(struct TableSize));
	foreach(cell, relids)
	{
		struct TableSize *table = &facts->tables[facts->table_count++];

		table->relid = lfirst_oid(cell);
		table->bytes = table_bytes(table->relid, many, &facts->is_new);
		facts->table_bytes += table->bytes;
		if (table->relid == facts->relid)
			facts->own_bytes = table->bytes;
	}
	qsort(facts->tables, facts->table_count, sizeof(struct TableSize),
		  compare_by_relid);
}

/* Those of one table.  Clears *is_new if it has rows that are not new. */
static uint64
table_bytes(Oid relid, bool many, bool *is_new)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	HeapTuple	toast = NULL;
	Form_pg_class form;
	uint64		bytes = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	form = (Form_pg_class) GETSTRUCT(tuple);

	/* the block of a sequence is not data that anybody would miss */
	if (RELKIND_HAS_STORAGE(form->relkind) &&
		form->relkind != RELKIND_SEQUENCE)
	{
		bytes = storage_bytes(form, many);

		/* a new parent does not make new what was put below it */
		if (*is_new && !table_is_new(relid))
			*is_new = false;
		if (OidIsValid(form->reltoastrelid))
			toast = SearchSysCache1(RELOID,
									ObjectIdGetDatum(form->reltoastrelid));
	}
	if (HeapTupleIsValid(toast))
	{
		bytes += storage_bytes((Form_pg_class) GETSTRUCT(toast), many);
		ReleaseSysCache(toast);
	}
	ReleaseSysCache(tuple);
	return bytes;
}

static bool
table_is_new(Oid relid)
{
	Relation	rel = try_relation_open(relid, NoLock);
	bool		is_new;

	if (rel == NULL)
		return true;
	is_new = rel->rd_createSubid != InvalidSubTransactionId ||
		relation_is_remembered(relid);
	relation_close(rel, NoLock);
	return is_new;
}

/*
 * Of a table, TOAST table or index.  The lock on the table keeps the others
 * from going away: CONCURRENTLY waits for it before it drops any.
 */
static uint64
storage_bytes(Form_pg_class form, bool many)
{
	Relation	rel;
	uint64		bytes;

	/* another access method may store its rows in another way */
	if (many && form->relpersistence != RELPERSISTENCE_TEMP &&
		form->relfilenode != 0 &&
		(form->relam == HEAP_TABLE_AM_OID || form->relkind == RELKIND_INDEX))
		return file_bytes(form);
	rel = try_relation_open(form->oid, AccessShareLock);
	if (rel == NULL)
		return 0;
	bytes = (uint64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
	relation_close(rel, AccessShareLock);
	return bytes;
}

/* A file is followed by another when it has RELSEG_SIZE blocks. */
static uint64
file_bytes(Form_pg_class form)
{
	char	   *path = compat_relation_path(form);
	uint64		bytes = 0;

	for (int segment = 0;; segment++)
	{
		char	   *name = segment == 0 ? path :
		psprintf("%s.%d", path, segment);
		struct stat status;

		if (stat(name, &status) < 0)
		{
			if (errno == ENOENT)
				break;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file \"%s\": %m", name)));
		}
		bytes += status.st_size;
		if (status.st_size < (off_t) RELSEG_SIZE * BLCKSZ)
			break;
	}
	pfree(path);
	return bytes;
}

/*
 * All indexes of a relation and of all below it, which have been measured.  In
 * a large tree, those of the largest tables stand for the others.
 */
uint64
measure_indexes(RelationFacts *facts)
{
	int			count = facts->table_count;
	bool		many = count > MANY_TABLES;
	uint64		of_tables = 0;

	if (facts->indexes_measured)
		return facts->index_bytes;
	facts->indexes_measured = true;
	if (count > MAX_TABLES_WITH_INDEXES)
	{
		count = MAX_TABLES_WITH_INDEXES;
		qsort(facts->tables, facts->table_count, sizeof(struct TableSize),
			  compare_by_size);
	}
	for (int i = 0; i < count; i++)
	{
		facts->index_bytes += bytes_of_indexes(facts->tables[i].relid, many);
		of_tables += facts->tables[i].bytes;
	}
	if (count < facts->table_count)
	{
		if (of_tables > 0)
			facts->index_bytes *= (double) facts->table_bytes / of_tables;
		qsort(facts->tables, facts->table_count, sizeof(struct TableSize),
			  compare_by_relid);
	}
	return facts->index_bytes;
}

static uint64
bytes_of_indexes(Oid relid, bool many)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	uint64		bytes = 0;
	ListCell   *cell;

	if (rel == NULL)
		return 0;
	foreach(cell, RELKIND_HAS_STORAGE(rel->rd_rel->relkind) ?
			RelationGetIndexList(rel) : NIL)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID,
											ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		bytes += storage_bytes((Form_pg_class) GETSTRUCT(tuple), many);
		ReleaseSysCache(tuple);
	}
	relation_close(rel, AccessShareLock);
	return bytes;
}

/*
 * Of these tables of a measured tree, as they were when it was measured.
 */
uint64
measured_bytes(const RelationFacts *facts, List *relids)
{
	uint64		bytes = 0;
	ListCell   *cell;

	foreach(cell, facts->table_count > 0 ? relids : NIL)
	{
		const struct TableSize *table = find_table(facts, lfirst_oid(cell));

		if (table != NULL)
			bytes += table->bytes;
	}
	return bytes;
}

/* Whether a relation is in a tree that has been measured. */
bool
is_measured(const RelationFacts *facts, Oid relid)
{
	return facts->table_count > 0 && find_table(facts, relid) != NULL;
}

static const struct TableSize *
find_table(const RelationFacts *facts, Oid relid)
{
	struct TableSize key = {relid};

	return bsearch(&key, facts->tables, facts->table_count, sizeof(key),
				   compare_by_relid);
}

static int
compare_by_relid(const void *a, const void *b)
{
	return oid_cmp(&((const struct TableSize *) a)->relid,
				   &((const struct TableSize *) b)->relid);
}

/* The largest first. */
static int
compare_by_size(const void *a, const void *b)
{
	uint64		one = ((const struct TableSize *) a)->bytes;
	uint64		other = ((const struct TableSize *) b)->bytes;

	return one < other ? 1 : one > other ? -1 : compare_by_relid(a, b);
}

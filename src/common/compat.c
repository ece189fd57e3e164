/*-------------------------------------------------------------------------
 *
 * compat.c
 *	  Differences between PostgreSQL majors that need more than a macro.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/storage.h"
#include "commands/defrem.h"
#include "common/compat.h"
#include "common/relpath.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/lsyscache.h"
#include "utils/pgstat_internal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "rewrite/rewriteHandler.h"
#endif

static int	compare_files(const void *a, const void *b);

/*
 * True if a column is NOT NULL and all rows are known to have a value.  On 18
 * and later attnotnull is set for a NOT VALID constraint as well; the tuple
 * descriptor of the relation cache knows the difference.
 */
bool
compat_attribute_is_valid_not_null(Relation rel, Form_pg_attribute attribute)
{
#if PG_VERSION_NUM >= 180000
	return TupleDescCompactAttr(RelationGetDescr(rel),
								attribute->attnum - 1)->attnullability ==
		ATTNULLABLE_VALID;
#else
	return attribute->attnotnull;
#endif
}

/*
 * See compat.h.
 */
HeapTuple
compat_find_not_null_constraint(Oid relid, const char *column)
{
#if PG_VERSION_NUM >= 180000
	return findNotNullConstraint(relid, column);
#else
	return NULL;
#endif
}

/*
 * See compat.h.
 */
bool
compat_is_not_enforced(List *constraints, Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	bool		is_behind = false;
	ListCell   *cell;

	foreach(cell, constraints)
	{
		Constraint *other = lfirst_node(Constraint, cell);

		switch (other->contype)
		{
			case CONSTR_ATTR_NOT_ENFORCED:
				if (is_behind)
					return true;
				break;
			case CONSTR_ATTR_DEFERRABLE:
			case CONSTR_ATTR_NOT_DEFERRABLE:
			case CONSTR_ATTR_DEFERRED:
			case CONSTR_ATTR_IMMEDIATE:
			case CONSTR_ATTR_ENFORCED:
				break;
			default:			/* attributes belong to the last of these */
				is_behind = other == constraint;
				break;
		}
	}
#endif
	return false;
}

/*
 * See compat.h.
 */
AttrNumber
compat_not_null_attnum(HeapTuple tuple)
{
#if PG_VERSION_NUM >= 180000
	return extractNotNullColumn(tuple);
#else
	return InvalidAttrNumber;
#endif
}

/*
 * See compat.h.
 */
void
compat_altered_constraint(AlterTableCmd *command, AlteredConstraint *change)
{
#if PG_VERSION_NUM >= 180000
	ATAlterConstraint *altered = castNode(ATAlterConstraint, command->def);

	change->name = altered->conname;
	change->sets_enforced = altered->alterEnforceability;
	change->is_enforced = altered->is_enforced;
	change->sets_inherit = altered->alterInheritability;
	change->no_inherit = altered->noinherit;
#else
	change->name = castNode(Constraint, command->def)->conname;
	change->sets_enforced = change->is_enforced = false;
	change->sets_inherit = change->no_inherit = false;
#endif
}

/*
 * The name of a column's NOT NULL constraint, valid or not, palloc'd; NULL if
 * there is none, or where (15-17) it is no constraint with a name.
 */
char *
compat_not_null_constraint(Oid relid, const char *column)
{
#if PG_VERSION_NUM >= 180000
	HeapTuple	tuple = findNotNullConstraint(relid, column);

	if (HeapTupleIsValid(tuple))
		return pstrdup(NameStr(((Form_pg_constraint) GETSTRUCT(tuple))->conname));
#endif
	return NULL;
}

/*
 * See compat.h.
 */
bool
compat_column_is_marked_not_null(Oid relid, const char *column)
{
#if PG_VERSION_NUM >= 180000
	return compat_not_null_constraint(relid, column) != NULL;
#else
	HeapTuple	tuple = SearchSysCacheAttName(relid, column);
	bool		not_null;

	if (!HeapTupleIsValid(tuple))
		return false;
	not_null = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
	ReleaseSysCache(tuple);
	return not_null;
#endif
}

bool
compat_domain_has_constraints(Oid type)
{
#if PG_VERSION_NUM >= 190000
	return DomainHasConstraints(type, NULL);
#else
	return DomainHasConstraints(type);
#endif
}

/*
 * See compat.h.
 */
bool
compat_may_maintain(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 170000
	return pg_class_aclcheck(relid, roleid, ACL_MAINTAIN) == ACLCHECK_OK;
#else
	return compat_owns_relation(relid, roleid);
#endif
}

/* 17: getIdentitySequence() takes a Relation */
Oid
compat_identity_sequence(Oid relid, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 170000
	Relation	rel = try_relation_open(relid, AccessShareLock);
	Oid			sequence;

	if (rel == NULL)
		return InvalidOid;
	sequence = getIdentitySequence(rel, attnum, true);
	relation_close(rel, AccessShareLock);
	return sequence;
#else
	return getIdentitySequence(relid, attnum, true);
#endif
}

/*
 * See compat.h.  From 16 on there are soft errors, which leave nothing behind.
 */
Oid
compat_type_of_text(const char *name)
{
	Oid			type = InvalidOid;
	int32		typmod;
#if PG_VERSION_NUM >= 160000
	ErrorSaveContext context = {T_ErrorSaveContext};

	if (!parseTypeString(name, &type, &typmod, (Node *) &context))
		return InvalidOid;
#else
	parseTypeString(name, &type, &typmod, true);
#endif
	return type;
}

/*
 * The table of CLUSTER (15-18), or of CLUSTER, REPACK and VACUUM FULL in the
 * form of a RepackStmt (19); NULL when it names none.
 */
RangeVar *
compat_cluster_relation(Node *statement)
{
#if PG_VERSION_NUM >= 190000
	RepackStmt *repack = castNode(RepackStmt, statement);

	return repack->relation ? repack->relation->relation : NULL;
#else
	return castNode(ClusterStmt, statement)->relation;
#endif
}

/* True for REPACK (CONCURRENTLY), 19. */
bool
compat_cluster_is_concurrent(Node *statement)
{
#if PG_VERSION_NUM >= 190000
	ListCell   *cell;

	foreach(cell, castNode(RepackStmt, statement)->params)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "concurrently") == 0)
			return defGetBoolean(option);
	}
#endif
	return false;
}

/*
 * See compat.h.
 */
bool
compat_may_be_repacked(Node *statement, RangeVar **relation, char **index,
					   bool *is_ordered)
{
#if PG_VERSION_NUM >= 190000
	VacuumRelation *target = NULL;

	*index = NULL;
	*is_ordered = false;
	if (IsA(statement, RepackStmt))
	{
		RepackStmt *repack = (RepackStmt *) statement;

		target = repack->params == NIL ? repack->relation : NULL;
		*index = repack->indexname;
		*is_ordered = repack->usingindex ||
			repack->command == REPACK_COMMAND_CLUSTER;
	}
	else if (IsA(statement, VacuumStmt))
	{
		VacuumStmt *vacuum = (VacuumStmt *) statement;

		if (list_length(vacuum->rels) == 1 &&
			list_length(vacuum->options) == 1 &&
			strcmp(linitial_node(DefElem, vacuum->options)->defname,
				   "full") == 0)
			target = linitial_node(VacuumRelation, vacuum->rels);
	}
	if (target == NULL || target->va_cols != NIL || target->relation == NULL)
		return false;
	*relation = target->relation;
	return true;
#else
	return false;
#endif
}

/* 18: replace virtual generated columns by their expressions */
Node *
compat_expand_virtual_columns(Node *expression, Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return expand_generated_columns_in_expr(expression, rel, 1);
#else
	return expression;
#endif
}

/*
 * See compat.h.
 */
char *
compat_relation_path(Form_pg_class form)
{
	return compat_file_path(compat_relation_file(form), MAIN_FORKNUM);
}

/*
 * See compat.h.
 */
CompatFile
compat_relation_file(Form_pg_class form)
{
	CompatFile	file;

	memset(&file, 0, sizeof(file));
	compat_file_tablespace(file) = OidIsValid(form->reltablespace) ?
		form->reltablespace : MyDatabaseTableSpace;
	compat_file_database(file) = MyDatabaseId;
	compat_file_number(file) = form->relfilenode;
	return file;
}

/*
 * See compat.h.
 */
char *
compat_file_path(CompatFile file, ForkNumber fork)
{
#if PG_VERSION_NUM >= 180000
	return pstrdup(relpathperm(file, fork).str);
#else
	return relpathperm(file, fork);
#endif
}

/*
 * See compat.h.  16: files are told apart by a RelFileLocator.
 */
Oid
compat_create_file(Oid tablespace, char relpersistence)
{
#if PG_VERSION_NUM >= 160000
	RelFileLocator locator;

	locator.spcOid = OidIsValid(tablespace) ? tablespace : MyDatabaseTableSpace;
	locator.dbOid = MyDatabaseId;
	locator.relNumber = GetNewRelFileNumber(tablespace, NULL, relpersistence);
	(void) RelationCreateStorage(locator, relpersistence, true);
	return locator.relNumber;
#else
	RelFileNode locator;

	locator.spcNode = OidIsValid(tablespace) ? tablespace : MyDatabaseTableSpace;
	locator.dbNode = MyDatabaseId;
	locator.relNode = GetNewRelFileNode(tablespace, NULL, relpersistence);
	(void) RelationCreateStorage(locator, relpersistence, true);
	return locator.relNode;
#endif
}

/*
 * See compat.h.  17: REINDEX tells of itself by its statement.
 */
void
compat_reindex_index(Oid relid)
{
	ReindexParams params = {0};
	char		persistence = get_rel_persistence(relid);

#if PG_VERSION_NUM >= 170000
	reindex_index(NULL, relid, false, persistence, &params);
#else
	reindex_index(relid, false, persistence, &params);
#endif
}

/*
 * See compat.h.  17: the number of the PGPROC took the place of the backend ID.
 */
PGPROC *
compat_process_of_transaction(VirtualTransactionId vxid)
{
#if PG_VERSION_NUM < 170000
	PGPROC	   *process = BackendIdGetProc(vxid.backendId);

	if (process == NULL || process->lxid != vxid.localTransactionId)
		return NULL;
#else
	PGPROC	   *process = ProcNumberGetProc(vxid.procNumber);

	if (process == NULL || process->vxid.lxid != vxid.localTransactionId)
		return NULL;
#endif
	return process;
}

/*
 * See compat.h.
 */
bool
compat_files_are_to_be_unlinked(void)
{
	CompatFile *files;

	return smgrGetPendingDeletes(true, &files) > 0;
}

/*
 * See compat.h.
 */
Oid
compat_file_unlinked_twice(void)
{
	CompatFile *files;
	int			count = smgrGetPendingDeletes(true, &files);

	if (count == 0)
		return InvalidOid;
	qsort(files, count, sizeof(CompatFile), compare_files);
	for (int i = 1; i < count; i++)
	{
		if (compare_files(&files[i - 1], &files[i]) == 0)
			return compat_file_number(files[i]);
	}
	return InvalidOid;
}

/* All of it is numbers, without padding. */
static int
compare_files(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(CompatFile));
}

/*
 * See compat.h.
 */
PgStat_TableXactStatus *
compat_transaction_counters(Oid relid)
{
	PgStat_EntryRef *entry = pgstat_fetch_pending_entry(PGSTAT_KIND_RELATION,
														MyDatabaseId, relid);

	return entry ? ((PgStat_TableStatus *) entry->pending)->trans : NULL;
}

/*
 * See compat.h.  16: BRIN indexes do not keep an update from being HOT.
 */
bool
compat_update_row(Relation rel, ItemPointer tid, TupleTableSlot *slot,
				  bool *only_summarizing)
{
#if PG_VERSION_NUM < 160000
	bool		update_indexes;

	simple_table_tuple_update(rel, tid, slot, SnapshotSelf, &update_indexes);
	*only_summarizing = false;
	return update_indexes;
#else
	TU_UpdateIndexes update_indexes;

	simple_table_tuple_update(rel, tid, slot, SnapshotSelf, &update_indexes);
	*only_summarizing = update_indexes == TU_Summarizing;
	return update_indexes != TU_None;
#endif
}

/*
 * See compat.h.
 */
List *
compat_insert_index_entries(ResultRelInfo *target, TupleTableSlot *slot,
							EState *estate, bool only_summarizing)
{
#if PG_VERSION_NUM < 160000
	return ExecInsertIndexTuples(target, slot, estate, false, true, NULL, NIL);
#elif PG_VERSION_NUM < 190000
	return ExecInsertIndexTuples(target, slot, estate, false, true, NULL, NIL,
								 only_summarizing);
#else
	return ExecInsertIndexTuples(target, estate,
								 EIIT_NO_DUPE_ERROR |
								 (only_summarizing ? EIIT_ONLY_SUMMARIZING : 0),
								 slot, NIL, NULL);
#endif
}

/*
 * See compat.h.
 */
Oid
compat_create_hidden_heap(const char *name, Oid namespace, Oid owner,
						  TupleDesc columns, Datum reloptions)
{
	return heap_create_with_catalog(name, namespace, InvalidOid, InvalidOid,
									InvalidOid, InvalidOid, owner,
									HEAP_TABLE_AM_OID, columns, NIL,
									RELKIND_TOASTVALUE, RELPERSISTENCE_PERMANENT,
									false, false, ONCOMMIT_NOOP, reloptions,
									false, true, true, InvalidOid, NULL);
}

/*
 * See compat.h.  17: NULL stands for none.
 */
int
compat_statistics_target(HeapTuple tuple)
{
#if PG_VERSION_NUM < 170000
	return ((Form_pg_attribute) GETSTRUCT(tuple))->attstattarget;
#else
	bool		isnull;
	Datum		target = SysCacheGetAttr(ATTNUM, tuple,
										 Anum_pg_attribute_attstattarget,
										 &isnull);

	return isnull ? -1 : DatumGetInt16(target);
#endif
}

/*
 * See compat.h.
 */
int
compat_statistics_object_target(HeapTuple tuple)
{
#if PG_VERSION_NUM < 170000
	return ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxstattarget;
#else
	bool		isnull;
	Datum		target = SysCacheGetAttr(STATEXTOID, tuple,
										 Anum_pg_statistic_ext_stxstattarget,
										 &isnull);

	return isnull ? -1 : DatumGetInt16(target);
#endif
}

/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL 15, 16, 17, 18 and 19.
 *
 * The only place, with the other files of src/common, that looks at
 * PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COMPAT_H
#define SAFE_MIGRATE_COMPAT_H

#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "common/jsonapi.h"
#include "common/relpath.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "storage/proc.h"
#if PG_VERSION_NUM < 160000
#include "storage/relfilenode.h"
#else
#include "storage/relfilelocator.h"
#endif
#include "utils/acl.h"
#include "utils/rel.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "safe_migrate supports PostgreSQL 15 to 19"
#endif

/* As a string: "15". */
#define COMPAT_MAJOR_VERSION PG_MAJORVERSION
#define COMPAT_MAJOR_VERSION_NUM PG_MAJORVERSION_NUM

/* 18: the module can tell its name and version */
#ifdef PG_MODULE_MAGIC_EXT
#define COMPAT_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "safe_migrate", .version = "0.1.0")
#else
#define COMPAT_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 17: the lexer may be one of the caller */
#if PG_VERSION_NUM < 170000
#define compat_json_lexer(json, length, encoding) \
	makeJsonLexContextCstringLen(json, (int) (length), encoding, true)
#else
#define compat_json_lexer(json, length, encoding) \
	makeJsonLexContextCstringLen(NULL, json, length, encoding, true)
#endif

/* 19: post_parse_analyze_hook must not change the jumble */
#if PG_VERSION_NUM < 190000
#define COMPAT_CONST_JUMBLE
#else
#define COMPAT_CONST_JUMBLE const
#endif

/* 16: object_ownercheck() replaced one function a catalog */
#if PG_VERSION_NUM < 160000
#define compat_owns_relation(relid, roleid) \
	pg_class_ownercheck(relid, roleid)
#define compat_owns_namespace(nspoid, roleid) \
	pg_namespace_ownercheck(nspoid, roleid)
#define compat_owns_database(dboid, roleid) \
	pg_database_ownercheck(dboid, roleid)
#define compat_may_use_namespace(nspoid, roleid) \
	(pg_namespace_aclcheck(nspoid, roleid, ACL_USAGE) == ACLCHECK_OK)
#define compat_may_create_in_namespace(nspoid, roleid) \
	(pg_namespace_aclcheck(nspoid, roleid, ACL_CREATE) == ACLCHECK_OK)
#define compat_function_aclcheck(funcoid, roleid, mode) \
	pg_proc_aclcheck(funcoid, roleid, mode)
#define compat_may_connect(dboid, roleid) \
	(pg_database_aclcheck(dboid, roleid, ACL_CONNECT) == ACLCHECK_OK)
#else
#define compat_owns_relation(relid, roleid) \
	object_ownercheck(RelationRelationId, relid, roleid)
#define compat_owns_namespace(nspoid, roleid) \
	object_ownercheck(NamespaceRelationId, nspoid, roleid)
#define compat_owns_database(dboid, roleid) \
	object_ownercheck(DatabaseRelationId, dboid, roleid)
#define compat_may_use_namespace(nspoid, roleid) \
	(object_aclcheck(NamespaceRelationId, nspoid, roleid, ACL_USAGE) == \
	 ACLCHECK_OK)
#define compat_may_create_in_namespace(nspoid, roleid) \
	(object_aclcheck(NamespaceRelationId, nspoid, roleid, ACL_CREATE) == \
	 ACLCHECK_OK)
#define compat_function_aclcheck(funcoid, roleid, mode) \
	object_aclcheck(ProcedureRelationId, funcoid, roleid, mode)
#define compat_may_connect(dboid, roleid) \
	(object_aclcheck(DatabaseRelationId, dboid, roleid, ACL_CONNECT) == \
	 ACLCHECK_OK)
#endif

/* 16: a membership may be without the right to SET ROLE */
#if PG_VERSION_NUM < 160000
#define compat_can_set_role(member, roleid) is_member_of_role(member, roleid)
#else
#define compat_can_set_role(member, roleid) member_can_set_role(member, roleid)
#endif

/* 16: build_attrmap_by_name() got the argument missing_ok */
#if PG_VERSION_NUM < 160000
#define COMPAT_ATTRMAP_MISSING_OK
#else
#define COMPAT_ATTRMAP_MISSING_OK , false
#endif

/* 16: what a check hook returns in extra comes from guc_malloc() */
#if PG_VERSION_NUM < 160000
#define compat_guc_malloc(size) malloc(size)
#define compat_guc_free(pointer) free(pointer)
#else
#define compat_guc_malloc(size) guc_malloc(LOG, size)
#define compat_guc_free(pointer) guc_free(pointer)
#endif

/* 17: the kinds of process got one way of asking */
#if PG_VERSION_NUM < 170000
#define compat_is_autovacuum_worker() IsAutoVacuumWorkerProcess()
#else
#define compat_is_autovacuum_worker() AmAutoVacuumWorkerProcess()
#endif

/* 19: table_beginscan() got the argument flags */
#if PG_VERSION_NUM < 190000
#define compat_beginscan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL)
#else
#define compat_beginscan(rel, snapshot) \
	table_beginscan(rel, snapshot, 0, NULL, 0)
#endif

/* 18, 19: index_beginscan() got the arguments instrument and flags */
#if PG_VERSION_NUM < 180000
#define compat_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, nkeys, 0)
#elif PG_VERSION_NUM < 190000
#define compat_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#else
#define compat_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0, 0)
#endif

/* 16: the name of the field changed with RelFileLocator */
#if PG_VERSION_NUM < 160000
#define compat_storage_is_new(rel) \
	((rel)->rd_createSubid != InvalidSubTransactionId || \
	 (rel)->rd_firstRelfilenodeSubid != InvalidSubTransactionId)
#else
#define compat_storage_is_new(rel) \
	((rel)->rd_createSubid != InvalidSubTransactionId || \
	 (rel)->rd_firstRelfilelocatorSubid != InvalidSubTransactionId)
#endif

/* 17: LockHeldByMe() got the argument orstronger */
#if PG_VERSION_NUM < 170000
#define compat_lock_held_by_me(tag, mode) LockHeldByMe(tag, mode)
#else
#define compat_lock_held_by_me(tag, mode) LockHeldByMe(tag, mode, false)
#endif

/* 16: the local copy of what other backends do is read in another way */
#if PG_VERSION_NUM < 160000
#define compat_local_backend_status(index) \
	pgstat_fetch_stat_local_beentry(index)
#else
#define compat_local_backend_status(index) \
	pgstat_get_local_beentry_by_index(index)
#endif

/* 16: the counters of a table in pgstat lost the prefix of their names */
#if PG_VERSION_NUM < 160000
#define compat_counted_scans(status) ((int64) (status)->t_counts.t_numscans)
#else
#define compat_counted_scans(status) ((int64) (status)->counts.numscans)
#endif

/* 16: get_guc_variables() tells how many there are */
#if PG_VERSION_NUM < 160000
#define compat_guc_variables(count) \
	(*(count) = GetNumConfigOptions(), get_guc_variables())
#else
#define compat_guc_variables(count) get_guc_variables(count)
#endif

/* 18: PortalRun() lost the argument run_once */
#if PG_VERSION_NUM < 180000
#define compat_portal_run(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, true, dest, dest, completion)
#else
#define compat_portal_run(portal, dest, completion) \
	PortalRun(portal, FETCH_ALL, true, dest, dest, completion)
#endif

/* 16: an update of a column that only BRIN indexes have leaves the others alone */
#if PG_VERSION_NUM < 160000
#define compat_columns_of_indexes(rel) \
	RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_ALL)
#else
#define compat_columns_of_indexes(rel) \
	RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_HOT_BLOCKING)
#endif

/* 16: there is nothing to write back where the kernel caches nothing */
#if PG_VERSION_NUM < 160000
#define compat_write_back(rel, first, pages) \
	smgrwriteback(RelationGetSmgr(rel), MAIN_FORKNUM, first, pages)
#else
#define compat_write_back(rel, first, pages) \
	do { \
		if ((io_direct_flags & IO_DIRECT_DATA) == 0) \
			smgrwriteback(RelationGetSmgr(rel), MAIN_FORKNUM, first, pages); \
	} while (0)
#endif

/* 19: the visibility map's page is kept between calls; no look without update */
#if PG_VERSION_NUM < 190000
#define compat_prune_page(rel, buffer, map) heap_page_prune_opt(rel, buffer)
#define compat_xid_is_removable(state, xid) \
	GlobalVisTestIsRemovableXid(state, xid)
#else
#define compat_prune_page(rel, buffer, map) \
	heap_page_prune_opt(rel, buffer, map, false)
#define compat_xid_is_removable(state, xid) \
	GlobalVisTestIsRemovableXid(state, xid, true)
#endif

/* 17: the checkpointer has statistics of its own */
#if PG_VERSION_NUM < 170000
#define compat_requested_checkpoints() \
	((int64) pgstat_fetch_stat_checkpointer()->requested_checkpoints)
#else
#define compat_requested_checkpoints() \
	((int64) pgstat_fetch_stat_checkpointer()->num_requested)
#endif

/* 18: the location of a statement is that of its first token */
#define COMPAT_LOCATION_HAS_COMMENTS (PG_VERSION_NUM < 180000)

/* 17: a new enum value may be used in the transaction that made its type */
#define COMPAT_NEW_ENUM_VALUE_OF_NEW_TYPE (PG_VERSION_NUM >= 170000)

/* ALTER TABLE sub-commands that the parser of this version never makes */
#if PG_VERSION_NUM < 160000
#define COMPAT_CASES_AT_INTERNAL \
		case AT_AddColumnRecurse: \
		case AT_DropColumnRecurse: \
		case AT_AddConstraintRecurse: \
		case AT_ValidateConstraintRecurse: \
		case AT_DropConstraintRecurse: \
		case AT_CheckNotNull:
#elif PG_VERSION_NUM < 180000
#define COMPAT_CASES_AT_INTERNAL \
		case AT_CheckNotNull:
#else
#define COMPAT_CASES_AT_INTERNAL
#endif

/* 17: ALTER COLUMN ... SET EXPRESSION */
#if PG_VERSION_NUM >= 170000
#define COMPAT_CASES_AT_SET_EXPRESSION \
		case AT_SetExpression:
#else
#define COMPAT_CASES_AT_SET_EXPRESSION
#endif

/* 18: ENFORCED and NOT ENFORCED arrive as constraint attributes */
#if PG_VERSION_NUM >= 180000
#define COMPAT_CASES_CONSTR_ENFORCED \
		case CONSTR_ATTR_ENFORCED: \
		case CONSTR_ATTR_NOT_ENFORCED:
#else
#define COMPAT_CASES_CONSTR_ENFORCED
#endif

/* 18: NOT ENFORCED constraints and virtual generated columns */
#if PG_VERSION_NUM >= 180000
#define compat_constraint_is_enforced(con) ((con)->is_enforced)
#define compat_constraint_without_overlaps(con) ((con)->without_overlaps)
#define compat_constraint_row_is_enforced(form) ((form)->conenforced)
#define compat_check_is_enforced(check) ((check)->ccenforced)
#define compat_generated_is_virtual(con) \
	((con)->generated_kind == ATTRIBUTE_GENERATED_VIRTUAL)
#define compat_attribute_is_virtual(attgenerated) \
	((attgenerated) == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define compat_constraint_is_enforced(con) true
#define compat_constraint_without_overlaps(con) false
#define compat_constraint_row_is_enforced(form) true
#define compat_check_is_enforced(check) true
#define compat_generated_is_virtual(con) false
#define compat_attribute_is_virtual(attgenerated) false
#endif

/* 18: a foreign key of a partitioned table may be NOT VALID */
#define COMPAT_PARTITIONED_FK_NOT_VALID (PG_VERSION_NUM >= 180000)

/*
 * 18: a primary key that a partition gets by itself makes the NOT NULL of its
 * columns the partition's own, besides the parent's
 */
#define COMPAT_PRIMARY_KEY_OWNS_NOT_NULL (PG_VERSION_NUM >= 180000)

/* 18: NOT NULL is a constraint that may be NOT VALID */
#define COMPAT_NOT_NULL_NOT_VALID (PG_VERSION_NUM >= 180000)

/* 19: who reads a page may mark it as all-visible, not VACUUM alone */
#define COMPAT_READERS_SET_ALL_VISIBLE (PG_VERSION_NUM >= 190000)

/* 19: GetPublicationRelations() got another name */
#if PG_VERSION_NUM < 190000
#define compat_publication_relations(oid) \
	GetPublicationRelations(oid, PUBLICATION_PART_ROOT)
#else
#define compat_publication_relations(oid) \
	GetIncludedPublicationRelations(oid, PUBLICATION_PART_ROOT)
#endif

/* 17: the privilege MAINTAIN */
#ifdef ACL_MAINTAIN
#define COMPAT_ACL_MAINTAIN ACL_MAINTAIN
#else
#define COMPAT_ACL_MAINTAIN 0
#endif

/* 17: maintenance runs with a safe search_path */
#if PG_VERSION_NUM < 170000
#define compat_restrict_search_path() ((void) 0)
#else
#define compat_restrict_search_path() RestrictSearchPath()
#endif

/* 19: ALTER DOMAIN VALIDATE of a valid constraint does nothing */
#define COMPAT_DOMAIN_VALIDATES_ONCE (PG_VERSION_NUM >= 190000)

/* 19: SET EXPRESSION of a virtual column makes again what depends on it */
#define COMPAT_VIRTUAL_REBUILDS (PG_VERSION_NUM >= 190000)

/* 19: the lock under which statistics of another table are made again */
#define COMPAT_STATISTICS_LOCK \
	(PG_VERSION_NUM >= 190000 ? AccessExclusiveLock : ShareUpdateExclusiveLock)

/* 16: REINDEX DATABASE leaves out the system catalogs */
#define COMPAT_REINDEX_LEAVES_CATALOGS (PG_VERSION_NUM >= 160000)

/* 16: a rule ON SELECT cannot make a table a view any more */
#define COMPAT_RULE_MAKES_VIEW (PG_VERSION_NUM < 160000)

/* 18: ANALYZE of a table goes down to what inherits from it, without ONLY */
#define COMPAT_ANALYZE_RECURSES (PG_VERSION_NUM >= 180000)

/* 17: identity columns of a partitioned table are those of its partitions */
#define COMPAT_IDENTITY_IN_PARTITIONS (PG_VERSION_NUM >= 170000)

/* 17: the contype of the NOT NULL constraints of domains, 18: of tables */
#ifdef CONSTRAINT_NOTNULL
#define COMPAT_CONSTRAINT_NOTNULL CONSTRAINT_NOTNULL
#else
#define COMPAT_CONSTRAINT_NOTNULL 'n'
#endif

/* 19: the scanner has no warnings of its own any more */
#if PG_VERSION_NUM < 190000
#define compat_scan_without_warnings(extra) \
	((extra)->escape_string_warning = false)
#else
#define compat_scan_without_warnings(extra) ((void) 0)
#endif

/* 19: REPACK took over CLUSTER and VACUUM FULL */
#if PG_VERSION_NUM >= 190000
#define COMPAT_CLUSTER_TAG T_RepackStmt
#else
#define COMPAT_CLUSTER_TAG T_ClusterStmt
#endif

/*
 * 19: a background worker may be dismissed by CREATE, ALTER and DROP DATABASE;
 * those wait for it before
 */
#if PG_VERSION_NUM >= 190000
#define COMPAT_BGWORKER_INTERRUPTIBLE BGWORKER_INTERRUPTIBLE
#else
#define COMPAT_BGWORKER_INTERRUPTIBLE 0
#endif

/* 17: a background worker may connect as a role that cannot log in */
#define COMPAT_WORKER_BYPASSES_LOGIN (PG_VERSION_NUM >= 170000)
#if PG_VERSION_NUM >= 170000
#define COMPAT_BGWORKER_BYPASS_LOGIN BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define COMPAT_BGWORKER_BYPASS_LOGIN 0
#endif

/* 18: attnotnull is also true for a NOT NULL that is NOT VALID */
extern bool compat_attribute_is_valid_not_null(Relation rel,
											   Form_pg_attribute attribute);

/*
 * True if SET NOT NULL has nothing to do for a column: it is NOT NULL (15-17),
 * or has a constraint that says so, be it NOT VALID and yet to be validated
 * (18).
 */
extern bool compat_column_is_marked_not_null(Oid relid, const char *column);

/*
 * A copy of the row of a column's NOT NULL constraint; NULL if there is none,
 * or where (15-17) it is no constraint.
 */
extern HeapTuple compat_find_not_null_constraint(Oid relid,
												 const char *column);

/*
 * True if NOT ENFORCED is said of a constraint behind a column, as an
 * attribute that follows it in the list (18).
 */
extern bool compat_is_not_enforced(List *constraints, Constraint *constraint);

/* The column of such a row. */
extern AttrNumber compat_not_null_attnum(HeapTuple tuple);

/* What ALTER CONSTRAINT changes; before 18 only when it is checked. */
typedef struct AlteredConstraint
{
	const char *name;
	bool		sets_enforced;
	bool		is_enforced;
	bool		sets_inherit;
	bool		no_inherit;
} AlteredConstraint;

extern void compat_altered_constraint(AlterTableCmd *command,
									  AlteredConstraint *change);

extern char *compat_not_null_constraint(Oid relid, const char *column);

/* 16: RelFileNode became RelFileLocator, and its number a type of its own */
#if PG_VERSION_NUM < 160000
typedef RelFileNode CompatFile;
typedef Oid RelFileNumber;
#define compat_file_database(file) ((file).dbNode)
#define compat_file_tablespace(file) ((file).spcNode)
#define compat_file_number(file) ((file).relNode)
#else
typedef RelFileLocator CompatFile;
#define compat_file_database(file) ((file).dbOid)
#define compat_file_tablespace(file) ((file).spcOid)
#define compat_file_number(file) ((file).relNumber)
#endif

/*
 * The file of a relation of this database that has storage and is not mapped;
 * all bytes of it are set, to be a key.
 */
extern CompatFile compat_relation_file(Form_pg_class form);

/* Where a fork of it is, palloc'd. */
extern char *compat_file_path(CompatFile file, ForkNumber fork);

/* True if the commit will unlink files, other than those of temporary tables. */
extern bool compat_files_are_to_be_unlinked(void);

/*
 * A file that the commit would unlink more than once, which the server does not
 * survive, nor its recovery; InvalidOid if there is none.
 */
extern Oid	compat_file_unlinked_twice(void);

/* True if values of that domain must be checked. */
extern bool compat_domain_has_constraints(Oid type);

/* OID of a type by its name as text; InvalidOid if there is none. */
extern Oid	compat_type_of_text(const char *name);

/*
 * The process that runs a virtual transaction; NULL if it is over, or has been
 * prepared.
 */
extern PGPROC *compat_process_of_transaction(VirtualTransactionId vxid);

/* True if a role may VACUUM and CLUSTER a table of others (17: MAINTAIN). */
extern bool compat_may_maintain(Oid relid, Oid roleid);

/* The sequence of an identity column; InvalidOid if it has none. */
extern Oid	compat_identity_sequence(Oid relid, AttrNumber attnum);

/* 18: pg_class counts frozen pages besides the visible ones */
#if PG_VERSION_NUM < 180000
#define compat_copy_visible_pages(to, from) \
	((to)->relallvisible = (from)->relallvisible)
#else
#define compat_copy_visible_pages(to, from) \
	((to)->relallvisible = (from)->relallvisible, \
	 (to)->relallfrozen = (from)->relallfrozen)
#endif

/*
 * Make an empty file in a tablespace (0: that of the database), which goes if
 * the transaction is rolled back; its number.
 */
extern Oid	compat_create_file(Oid tablespace, char relpersistence);

/* Build an index anew in another file, its uniqueness checked. */
extern void compat_reindex_index(Oid relid);

/* Where the main fork of a relation is that is neither temporary nor mapped. */
extern char *compat_relation_path(Form_pg_class form);

/*
 * What this transaction has written into a relation, by the counters of
 * pgstat; NULL if nothing, or if track_counts is off.  Valid until the next
 * row is written.
 */
extern PgStat_TableXactStatus *compat_transaction_counters(Oid relid);

/* Replace a row; true if its indexes need entries of the new version. */
extern bool compat_update_row(Relation rel, ItemPointer tid,
							  TupleTableSlot *slot, bool *only_summarizing);

/*
 * Make the index entries of the row in slot.  A row that may violate a unique
 * or exclusion constraint gets them all the same, and the indexes to check
 * later are returned, as a list of OIDs.
 */
extern List *compat_insert_index_entries(ResultRelInfo *target,
										 TupleTableSlot *slot, EState *estate,
										 bool only_summarizing);

/* A heap of kind RELKIND_TOASTVALUE, so without a row type. */
extern Oid	compat_create_hidden_heap(const char *name, Oid namespace,
									  Oid owner, TupleDesc columns,
									  Datum reloptions);

/*
 * The statistics target of a row of pg_attribute, or of pg_statistic_ext; -1
 * if none was set.
 */
extern int	compat_statistics_target(HeapTuple tuple);
extern int	compat_statistics_object_target(HeapTuple tuple);

extern RangeVar *compat_cluster_relation(Node *statement);
extern bool compat_cluster_is_concurrent(Node *statement);

/*
 * What REPACK (CONCURRENTLY) needs to be told to do what CLUSTER, REPACK or
 * VACUUM FULL of one table without other options does: the index to order by,
 * or NULL for the one it was last ordered by, if it is to be ordered.  False
 * for other statements, and before 19.
 */
extern bool compat_may_be_repacked(Node *statement, RangeVar **relation,
								   char **index, bool *is_ordered);
extern Node *compat_expand_virtual_columns(Node *expression, Relation rel);

#endif							/* SAFE_MIGRATE_COMPAT_H */

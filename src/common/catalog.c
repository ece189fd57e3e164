/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  Look-ups in the catalog that several capabilities need.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

bool		library_is_preloaded = false;

/* What extension_is_created() has found the ledger table to be. */
static Oid	ledger_relid = InvalidOid;
static Oid	foreign_relid = InvalidOid;

static void forget_ledger(Datum arg, Oid relid);
static bool extension_owns(Oid class_oid, Oid object_oid);

/*
 * See catalog.h.
 */
void
require_preloaded(void)
{
	if (!library_is_preloaded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("safe_migrate is not loaded: add it to shared_preload_libraries and restart the server"),
				 errhint("shared_preload_libraries = 'safe_migrate'")));
}

/*
 * See catalog.h.
 */
void
require_read_committed(const char *function)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("%s cannot run in a transaction that is REPEATABLE READ or SERIALIZABLE: use READ COMMITTED",
						function)));
}

/*
 * See catalog.h.  The cached answer is keyed by the OID of the ledger table,
 * and forgotten when that relation changes, so that a table of the same name
 * made by a tenant is looked at once and never trusted.
 */
bool
extension_is_created(void)
{
	static bool callback_registered = false;
	Oid			namespace_oid = get_namespace_oid(MIGRATE_SCHEMA, true);
	Oid			relid;

	if (!OidIsValid(namespace_oid))
		return false;
	relid = get_relname_relid("migrations", namespace_oid);
	if (!OidIsValid(relid) || relid == foreign_relid)
		return false;
	if (relid == ledger_relid)
		return true;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(forget_ledger, (Datum) 0);
		callback_registered = true;
	}
	if (extension_owns_relation(relid))
	{
		ledger_relid = relid;
		return true;
	}
	foreign_relid = relid;
	return false;
}

/* relcache callback: no catalog access here */
static void
forget_ledger(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == ledger_relid)
		ledger_relid = InvalidOid;
	if (relid == InvalidOid || relid == foreign_relid)
		foreign_relid = InvalidOid;
}

/*
 * See catalog.h.
 */
Oid
migrate_extension_oid(bool missing_ok)
{
	return get_extension_oid(MIGRATE_EXTENSION, missing_ok);
}

/*
 * See catalog.h.
 */
Oid
migrate_extension_owner(void)
{
	Oid			extension_oid = migrate_extension_oid(false);
	Oid			owner = InvalidOid;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	/* pg_extension has no syscache before 18 */
	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension_oid));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(owner))
		elog(ERROR, "cache lookup failed for extension %u", extension_oid);
	return owner;
}

/*
 * See catalog.h.
 */
bool
extension_owns_function(Oid function_oid)
{
	return extension_owns(ProcedureRelationId, function_oid);
}

/*
 * See catalog.h.
 */
bool
extension_owns_relation(Oid relid)
{
	return extension_owns(RelationRelationId, relid);
}

static bool
extension_owns(Oid class_oid, Oid object_oid)
{
	Oid			extension_oid = migrate_extension_oid(true);

	return OidIsValid(extension_oid) &&
		getExtensionOfObject(class_oid, object_oid) == extension_oid;
}

/*
 * See catalog.h.
 */
char *
relation_display_name(Oid relid)
{
	char	   *relname = get_rel_name(relid);
	char	   *nspname;

	if (relname == NULL)
		return pstrdup("(dropped)");
	nspname = get_namespace_name_or_temp(get_rel_namespace(relid));
	return quote_qualified_identifier(nspname, relname);
}

/*
 * See catalog.h.
 */
RangeVar *
range_var_of_name(const char *name)
{
	return makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
}

/*
 * See catalog.h.
 */
char *
range_var_display_name(const RangeVar *relation)
{
	return quote_qualified_identifier(relation->schemaname,
									  relation->relname);
}

/*
 * See catalog.h.
 */
bool
column_has_valid_not_null(Oid relid, AttrNumber attnum)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		not_null;

	if (rel == NULL)
		return false;
	not_null = compat_attribute_is_valid_not_null(rel,
												  TupleDescAttr(RelationGetDescr(rel),
																attnum - 1));
	relation_close(rel, AccessShareLock);
	return not_null;
}

/*
 * See catalog.h.
 */
Oid
relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * See catalog.h.
 */
bool
relation_has_default_partition(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
	Oid			default_oid;

	if (!HeapTupleIsValid(tuple))
		return false;
	default_oid = ((Form_pg_partitioned_table) GETSTRUCT(tuple))->partdefid;
	ReleaseSysCache(tuple);
	return OidIsValid(default_oid);
}

/*
 * See catalog.h.
 */
char *
size_in_words(uint64 bytes)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	int			unit = 0;

	/* as pg_size_pretty does: change the unit from ten thousand on */
	while (bytes >= 10 * 1024 && unit < lengthof(units) - 1)
	{
		bytes = (bytes + 512) / 1024;
		unit++;
	}
	return psprintf(UINT64_FORMAT " %s", bytes, units[unit]);
}

/*
 * See catalog.h.  From 18 on a child keeps a constraint of its own.
 */
bool
is_marked_not_null_below(Oid relid, const char *column)
{
	ListCell   *cell;

	if (COMPAT_NOT_NULL_NOT_VALID)
		return compat_column_is_marked_not_null(relid, column);
	foreach(cell, find_all_inheritors(relid, NoLock, NULL))
	{
		if (compat_column_is_marked_not_null(lfirst_oid(cell), column))
			return true;
	}
	return false;
}

/*
 * See catalog.h.
 */
char *
null_test(const char *expression, Oid type, bool is_null)
{
	if (type_is_rowtype(type))
		return psprintf("%s IS %sDISTINCT FROM NULL", expression,
						is_null ? "NOT " : "");
	return psprintf("%s IS %sNULL", expression, is_null ? "" : "NOT ");
}

/*
 * See catalog.h.
 */
bool
name_is_listed(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

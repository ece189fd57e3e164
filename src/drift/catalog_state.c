/*-------------------------------------------------------------------------
 *
 * catalog_state.c
 *	  Has anything changed in the catalog?
 *
 * Each version of a row has a place and a transaction that has put it there.
 * Both are the same until the row is changed or moved, and are not given a
 * second time before transaction IDs wrap around: freezing leaves them there,
 * and what VACUUM and ANALYZE write into pg_class goes into the row as it is.
 * A sum over all rows needs no order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_conversion.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/hashfn.h"
#include "common/oid_set.h"
#include "drift/catalog_state.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

/*
 * pg_class is the first: it tells which relations are temporary, with which
 * others are busy all the time.  Of the larger ones, what belongs to those is
 * left out.
 */
static const Oid catalogs[] = {
	RelationRelationId, AttributeRelationId, TypeRelationId, IndexRelationId,
	ConstraintRelationId, AttrDefaultRelationId, AuthIdRelationId, AggregateRelationId, AccessMethodRelationId,
	AccessMethodOperatorRelationId, AccessMethodProcedureRelationId,
	CastRelationId, CollationRelationId, ConversionRelationId,
	DefaultAclRelationId, EnumRelationId, EventTriggerRelationId,
	ExtensionRelationId, ForeignDataWrapperRelationId, ForeignServerRelationId,
	ForeignTableRelationId, InheritsRelationId, LanguageRelationId,
	NamespaceRelationId, OperatorClassRelationId, OperatorRelationId,
	OperatorFamilyRelationId, PartitionedRelationId, PolicyRelationId,
	ProcedureRelationId, PublicationRelationId, PublicationNamespaceRelationId,
	PublicationRelRelationId, RangeRelationId, RewriteRelationId,
	SequenceRelationId, StatisticExtRelationId, TransformRelationId,
	TriggerRelationId, TSConfigRelationId, TSConfigMapRelationId,
	TSDictionaryRelationId, TSParserRelationId, TSTemplateRelationId,
};

/*
 * Relations, and schemas of those that are temporary.  TOAST tables come and go
 * with a change of their tables.  Those of our schema are in no manifest, and
 * what is kept for a restore point comes and goes there.
 */
typedef struct Passing
{
	HTAB	   *relations;		/* sets of OIDs */
	HTAB	   *namespaces;
	Oid			own_schema;
} Passing;

static uint64 sum_of_catalog(Oid catalog, Snapshot snapshot, Passing *passing);
static uint64 sum_of_members(Snapshot snapshot, Passing *passing);
static bool row_counts(Oid catalog, HeapTuple tuple, Passing *passing);
static bool relation_counts(Form_pg_class form, Passing *passing);
static uint64 hash_of_version(Oid catalog, HeapTuple tuple);
static inline uint64 mixed(uint64 value);
static uint64 hash_of_role(HeapTuple tuple);

/*
 * See catalog_state.h.
 */
char *
catalog_state(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	Passing		passing;
	uint64		sum = 0;

	passing.relations = make_oid_set("safe_migrate passing relations");
	passing.namespaces = make_oid_set("safe_migrate temporary schemas");
	passing.own_schema = get_namespace_oid("migrate", true);
	for (int i = 0; i < lengthof(catalogs); i++)
		sum += sum_of_catalog(catalogs[i], snapshot, &passing);
	sum += sum_of_members(snapshot, &passing);
	hash_destroy(passing.relations);
	hash_destroy(passing.namespaces);
	UnregisterSnapshot(snapshot);
	return psprintf("%s " UINT64_FORMAT " %u " UINT64_FORMAT,
					COMPAT_MAJOR_VERSION, GetSystemIdentifier(), MyDatabaseId,
					sum);
}

static uint64
sum_of_catalog(Oid catalog, Snapshot snapshot, Passing *passing)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	TableScanDesc scan = compat_beginscan(rel, snapshot);
	uint64		sum = 0;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		if (catalog == AuthIdRelationId)
			sum += hash_of_role(tuple);
		else if (row_counts(catalog, tuple, passing))
			sum += hash_of_version(catalog, tuple);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return sum;
}

/*
 * Of pg_depend, which has more rows than all others, only the members of
 * extensions.  Whatever else of it is in the manifest does not change without
 * a row of another catalog.
 */
static uint64
sum_of_members(Snapshot snapshot, Passing *passing)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	uint64		sum = 0;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ExtensionRelationId));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, snapshot, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid != RelationRelationId ||
			!is_in_oid_set(passing->relations, form->objid))
			sum += hash_of_version(DependRelationId, tuple);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return sum;
}

static bool
row_counts(Oid catalog, HeapTuple tuple, Passing *passing)
{
	void	   *form = GETSTRUCT(tuple);

	switch (catalog)
	{
		case RelationRelationId:
			return relation_counts(form, passing);
		case AttributeRelationId:
			return !is_in_oid_set(passing->relations,
								  ((Form_pg_attribute) form)->attrelid);
		case TypeRelationId:
			return !is_in_oid_set(passing->namespaces,
								  ((Form_pg_type) form)->typnamespace);
		case IndexRelationId:
			return !is_in_oid_set(passing->relations,
								  ((Form_pg_index) form)->indrelid);
		case ConstraintRelationId:
			return !is_in_oid_set(passing->namespaces,
								  ((Form_pg_constraint) form)->connamespace);
		case AttrDefaultRelationId:
			return !is_in_oid_set(passing->relations,
								  ((Form_pg_attrdef) form)->adrelid);
		case SequenceRelationId:
			return !is_in_oid_set(passing->relations,
								  ((Form_pg_sequence) form)->seqrelid);
		case TriggerRelationId:
			/* no manifest has those that belong to constraints, or to us */
			return !((Form_pg_trigger) form)->tgisinternal;
		case NamespaceRelationId:
			return strncmp(NameStr(((Form_pg_namespace) form)->nspname),
						   "pg_", strlen("pg_")) != 0;
		default:
			return true;
	}
}

static bool
relation_counts(Form_pg_class form, Passing *passing)
{
	if (form->relpersistence == RELPERSISTENCE_TEMP)
		(void) add_to_oid_set(passing->namespaces, form->relnamespace);
	else if (form->relnamespace != PG_TOAST_NAMESPACE &&
			 form->relnamespace != passing->own_schema)
		return true;
	(void) add_to_oid_set(passing->relations, form->oid);
	return false;
}

/* There are very many: this is what splitmix64 does, and needs no call. */
static uint64
hash_of_version(Oid catalog, HeapTuple tuple)
{
	uint64		hash = (uint64) catalog << 32 |
	HeapTupleHeaderGetRawXmin(tuple->t_data);

	hash = mixed(hash) + (uint64) ItemPointerGetBlockNumber(&tuple->t_self);
	return mixed(hash << 16 ^ hash >> 48 ^
				 ItemPointerGetOffsetNumber(&tuple->t_self));
}

static inline uint64
mixed(uint64 value)
{
	value += UINT64CONST(0x9e3779b97f4a7c15);
	value = (value ^ value >> 30) * UINT64CONST(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64CONST(0x94d049bb133111eb);
	return value ^ value >> 31;
}

/* Nothing else counts of those who log in. */
static uint64
hash_of_role(HeapTuple tuple)
{
	Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

	return hash_bytes_extended((unsigned char *) NameStr(form->rolname),
							   strlen(NameStr(form->rolname)), form->oid);
}

/*-------------------------------------------------------------------------
 *
 * column_copy_attributes.c
 *	  What the row of a column in pg_attribute says, and what is said of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/toast_compression.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_seclabel.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/script.h"
#include "miscadmin.h"
#include "online/column_copy_internal.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void clear_attributes(ColumnCopier *copier, List *grants);
static void revoke_grant(ColumnCopier *copier, const GrantStmt *stmt);
static void alter_column(ColumnCopier *copier, const char *change);
static void copy_options(ColumnCopier *copier, Datum options);
static void copy_storage(ColumnCopier *copier, Form_pg_attribute attribute);
static const char *storage_name(char storage);
static void copy_labels(ColumnCopier *copier);
static void add_grant(List **list, const AclItem *item, bool grantable,
					  const char *column, const char *object);

/* Privileges, comment, options, storage and security labels. */
void
copy_attributes(ColumnCopier *copier)
{
	Oid			relid = RelationGetRelid(copier->rel);
	HeapTuple	tuple = SearchSysCacheAttNum(relid, copier->attnum);
	Form_pg_attribute attribute;
	List	   *grants = NIL;
	int			target;
	Datum		datum;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for attribute %d of relation %u",
			 copier->attnum, relid);
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	datum = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &isnull);
	if (!isnull)
		add_privileges(&grants, datum, copier->rel->rd_rel->relowner,
					   copier->new_name, copier->table);
	if (copier->at_contract)
		clear_attributes(copier, grants);
	copier->start = list_concat(copier->start, grants);
	add_comment(&copier->start, RelationRelationId, relid, copier->attnum,
				psprintf("COLUMN %s.%s", copier->table,
						 quote_identifier(copier->new_name)));
	target = compat_statistics_target(tuple);
	if (target >= 0)
		alter_column(copier, psprintf("SET STATISTICS %d", target));
	datum = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attoptions,
							&isnull);
	if (!isnull)
		copy_options(copier, datum);
	copy_storage(copier, attribute);
	copy_labels(copier);
	ReleaseSysCache(tuple);
}

/*
 * What the new column has from the old one, which may have lost it since.  What
 * it has got by itself stays.
 */
static void
clear_attributes(ColumnCopier *copier, List *grants)
{
	const char *column = psprintf("COLUMN %s.%s", copier->table,
								  quote_identifier(copier->new_name));
	List	   *comment = NIL;
	ListCell   *cell;

	add_comment(&comment, RelationRelationId, RelationGetRelid(copier->rel),
				copier->new_attnum, column);
	foreach(cell, copier->begun)
	{
		const ScriptStatement *statement = lfirst(cell);
		char	   *text = pstrdup(statement->text +
								   first_token_offset(statement->text));

		if (IsA(statement->raw->stmt, GrantStmt) &&
			!name_is_listed(grants, text))
			revoke_grant(copier, (GrantStmt *) statement->raw->stmt);
		else if (name_is_listed(comment, text))
			add_sql(&copier->start, psprintf("COMMENT ON %s IS NULL", column));
	}
}

/* If it is one on the new column of the table that is looked at. */
static void
revoke_grant(ColumnCopier *copier, const GrantStmt *stmt)
{
	StringInfoData privileges;
	ListCell   *cell;

	if (stmt->objtype != OBJECT_TABLE ||
		RangeVarGetRelid(linitial(stmt->objects), NoLock, true) !=
		RelationGetRelid(copier->rel))
		return;
	initStringInfo(&privileges);
	foreach(cell, stmt->privileges)
	{
		const AccessPriv *privilege = lfirst(cell);

		if (privilege->cols == NIL ||
			strcmp(strVal(linitial(privilege->cols)), copier->new_name) != 0)
			return;
		appendStringInfo(&privileges, "%s%s (%s)",
						 privileges.len > 0 ? ", " : "", privilege->priv_name,
						 quote_identifier(copier->new_name));
	}
	foreach(cell, stmt->grantees)
	{
		const RoleSpec *role = lfirst(cell);
		bool		is_public = role->roletype == ROLESPEC_PUBLIC;

		if (is_public || OidIsValid(get_rolespec_oid(role, true)))
			add_sql(&copier->start,
					psprintf("REVOKE %s ON %s FROM %s CASCADE",
							 privileges.data, copier->table,
							 is_public ? "PUBLIC" :
							 quote_identifier(role->rolename)));
	}
}

static void
alter_column(ColumnCopier *copier, const char *change)
{
	add_sql(&copier->start, psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s %s",
									 copier->table,
									 quote_identifier(copier->new_name),
									 change));
}

/* n_distinct and n_distinct_inherited */
static void
copy_options(ColumnCopier *copier, Datum options)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, untransformRelOptions(options))
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		appendStringInfo(&list, "%s%s = %s", list.len > 0 ? ", " : "",
						 quote_identifier(option->defname),
						 quote_literal_cstr(defGetString(option)));
	}
	if (list.len > 0)
		alter_column(copier, psprintf("SET (%s)", list.data));
}

/* Where it is not what the new type gives by itself, but may have. */
static void
copy_storage(ColumnCopier *copier, Form_pg_attribute attribute)
{
	bool		is_own = attribute->attstorage !=
	get_typstorage(attribute->atttypid);

	if (is_own && get_typstorage(copier->new_type) != TYPSTORAGE_PLAIN)
		alter_column(copier, psprintf("SET STORAGE %s",
									  storage_name(attribute->attstorage)));
	if (CompressionMethodIsValid(attribute->attcompression) &&
		get_typstorage(copier->new_type) != TYPSTORAGE_PLAIN)
		alter_column(copier,
					 psprintf("SET COMPRESSION %s",
							  GetCompressionMethodName(attribute->attcompression)));
}

static const char *
storage_name(char storage)
{
	return storage == TYPSTORAGE_PLAIN ? "PLAIN" :
		storage == TYPSTORAGE_EXTERNAL ? "EXTERNAL" :
		storage == TYPSTORAGE_MAIN ? "MAIN" : "EXTENDED";
}

static void
copy_labels(ColumnCopier *copier)
{
	Relation	catalog = table_open(SecLabelRelationId, AccessShareLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_seclabel_objoid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationGetRelid(copier->rel)));
	ScanKeyInit(&key[1], Anum_pg_seclabel_classoid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[2], Anum_pg_seclabel_objsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(copier->attnum));
	scan = systable_beginscan(catalog, SecLabelObjectIndexId, true, NULL, 3,
							  key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		provider = heap_getattr(tuple, Anum_pg_seclabel_provider,
											RelationGetDescr(catalog), &isnull);
		Datum		label = heap_getattr(tuple, Anum_pg_seclabel_label,
										 RelationGetDescr(catalog), &isnull);

		add_sql(&copier->start,
				psprintf("SECURITY LABEL FOR %s ON COLUMN %s.%s IS %s",
						 quote_identifier(TextDatumGetCString(provider)),
						 copier->table, quote_identifier(copier->new_name),
						 quote_literal_cstr(TextDatumGetCString(label))));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * GRANT of what an ACL says; column is NULL for an object without columns.
 * SQL has no way to name another grantor than the owner.
 */
void
add_privileges(List **list, Datum acl_datum, Oid owner, const char *column,
			   const char *object)
{
	Acl		   *acl = DatumGetAclP(acl_datum);

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];

		if (item->ai_grantor != owner)
			ereport(NOTICE,
					(errmsg("a privilege on %s that role \"%s\" granted becomes one that the owner grants: revoke it from its holder, should that role lose it",
							object, GetUserNameFromId(item->ai_grantor, false))));
		add_grant(list, item, false, column, object);
		add_grant(list, item, true, column, object);
	}
}

static void
add_grant(List **list, const AclItem *item, bool grantable,
		  const char *column, const char *object)
{
	static const struct
	{
		AclMode		mode;
		const char *name;
	}			known[] =

	{
		{ACL_SELECT, "SELECT"},
		{ACL_INSERT, "INSERT"},
		{ACL_UPDATE, "UPDATE"},
		{ACL_REFERENCES, "REFERENCES"},
		{ACL_USAGE, "USAGE"}
	};
	AclMode		granted = ACLITEM_GET_PRIVS(*item);
	AclMode		options = ACLITEM_GET_GOPTIONS(*item) & granted;
	AclMode		wanted = grantable ? options : granted & ~options;
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(known); i++)
	{
		if ((wanted & known[i].mode) == 0)
			continue;
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 known[i].name);
		if (column != NULL)
			appendStringInfo(&names, " (%s)", quote_identifier(column));
	}
	if (names.len > 0)
		add_sql(list, psprintf("GRANT %s ON %s TO %s%s", names.data, object,
							   item->ai_grantee == ACL_ID_PUBLIC ? "PUBLIC" :
							   quote_identifier(GetUserNameFromId(item->ai_grantee,
																  false)),
							   grantable ? " WITH GRANT OPTION" : ""));
}

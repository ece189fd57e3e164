/*-------------------------------------------------------------------------
 *
 * view_grants.c
 *	  A view that stands for a table: its owner and its privileges.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_namespace.h"
#include "common/catalog.h"
#include "miscadmin.h"
#include "plan/view_grants.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* The privileges of a table that mean something for a view. */
static const struct
{
	AclMode		mode;
	const char *name;
}			view_privileges[] =

{
	{ACL_SELECT, "SELECT"},
	{ACL_INSERT, "INSERT"},
	{ACL_UPDATE, "UPDATE"},
	{ACL_DELETE, "DELETE"}
};

static void append_owner(StringInfo step, Oid relid, const char *view);
static void append_grants(StringInfo step, Oid relid, const char *view);
static void append_column_grants(StringInfo step, Oid relid,
								 const char *view, char *const *names);
static void append_acl(StringInfo step, Datum acl_datum, const char *column,
					   const char *view, Oid owner);
static void append_grant(StringInfo step, const AclItem *item,
						 const char *column, const char *view);
static const char *grantee_name(const AclItem *item);

/*
 * See view_grants.h.
 */
void
append_view_grants(StringInfo script, Oid relid, const char *view,
				   char *const *names)
{
	append_owner(script, relid, view);
	append_grants(script, relid, view);
	append_column_grants(script, relid, view, names);
}

static void
append_owner(StringInfo step, Oid relid, const char *view)
{
	Oid			owner = relation_owner(relid);

	if (owner != GetUserId())
		appendStringInfo(step, "; ALTER VIEW %s OWNER TO %s", view,
						 quote_identifier(GetUserNameFromId(owner, false)));
}

static void
append_grants(StringInfo step, Oid relid, const char *view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Datum		acl;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
		append_acl(step, acl, NULL, view, relation_owner(relid));
	ReleaseSysCache(tuple);
}

static void
append_column_grants(StringInfo step, Oid relid, const char *view,
					 char *const *names)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	int			count = RelationGetNumberOfAttributes(rel);

	relation_close(rel, NoLock);
	for (AttrNumber attnum = 1; attnum <= count; attnum++)
	{
		HeapTuple	tuple = SearchSysCacheAttNum(relid, attnum);
		const char *name;
		Datum		acl;
		bool		isnull;

		/* not for a dropped column */
		if (!HeapTupleIsValid(tuple))
			continue;
		name = names != NULL ? names[attnum - 1] :
			NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname);
		acl = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &isnull);
		if (!isnull && name != NULL)
			append_acl(step, acl, name, view, relation_owner(relid));
		ReleaseSysCache(tuple);
	}
}

static void
append_acl(StringInfo step, Datum acl_datum, const char *column,
		   const char *view, Oid owner)
{
	Acl		   *acl = DatumGetAclP(acl_datum);

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		if (ACL_DAT(acl)[i].ai_grantee != owner)
			append_grant(step, &ACL_DAT(acl)[i], column, view);
	}
}

static void
append_grant(StringInfo step, const AclItem *item, const char *column,
			 const char *view)
{
	for (int i = 0; i < lengthof(view_privileges); i++)
	{
		AclMode		mode = view_privileges[i].mode;

		if ((ACLITEM_GET_PRIVS(*item) & mode) == 0)
			continue;
		appendStringInfo(step, "; GRANT %s", view_privileges[i].name);
		if (column != NULL)
			appendStringInfo(step, " (%s)", quote_identifier(column));
		appendStringInfo(step, " ON %s TO %s%s", view,
						 grantee_name(item),
						 (ACLITEM_GET_GOPTIONS(*item) & mode) != 0 ?
						 " WITH GRANT OPTION" : "");
	}
}

/*
 * See view_grants.h.
 */
void
append_schema_grants(StringInfo script, Oid namespace_oid, const char *schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID,
										ObjectIdGetDatum(namespace_oid));
	Oid			owner;
	Datum		acl_datum;
	Acl		   *acl;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	acl_datum = SysCacheGetAttr(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl,
								&isnull);
	acl = isnull ? acldefault(OBJECT_SCHEMA, owner) : DatumGetAclP(acl_datum);
	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];

		if (item->ai_grantee != GetUserId() &&
			(ACLITEM_GET_PRIVS(*item) & ACL_USAGE) != 0)
			appendStringInfo(script, "; GRANT USAGE ON SCHEMA %s TO %s%s",
							 schema, grantee_name(item),
							 (ACLITEM_GET_GOPTIONS(*item) & ACL_USAGE) != 0 ?
							 " WITH GRANT OPTION" : "");
	}
	ReleaseSysCache(tuple);
}

/* Quoted. */
static const char *
grantee_name(const AclItem *item)
{
	return item->ai_grantee == ACL_ID_PUBLIC ? "PUBLIC" :
		quote_identifier(GetUserNameFromId(item->ai_grantee, false));
}

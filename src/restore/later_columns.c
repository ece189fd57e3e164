/*-------------------------------------------------------------------------
 *
 * later_columns.c
 *	  The columns of a file that goes and of the file that takes its place.
 *
 * They are the same by their numbers, whatever they are called now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "restore/label_rows.h"
#include "restore/later_columns.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static void find_columns(LaterWrites *later, const RestoreTarget *target);
static LaterColumn *make_column(Form_pg_attribute was, Form_pg_attribute is);
static char *holder_column_name(const LaterWrites *later, AttrNumber attnum);
static bool runs_code_of_users(Oid from, Oid to);
static bool equal_is_same(Oid type, Oid collation);
static char *equality_operator(Oid type);
static void find_key(LaterWrites *later, const RestoreTarget *target);
static char *column_list(List *columns, Size member);

/*
 * See later_columns.h.
 */
void
find_later_columns(LaterWrites *later, const RestoreTarget *target)
{
	find_columns(later, target);
	find_key(later, target);
}

static void
find_columns(LaterWrites *later, const RestoreTarget *target)
{
	ListCell   *cell;

	foreach(cell, label_attributes(target, later->relid))
	{
		Form_pg_attribute was = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));
		HeapTuple	row;

		if (was->attnum <= 0 || was->attisdropped ||
			was->attgenerated != '\0')
			continue;
		row = SearchSysCache2(ATTNUM, ObjectIdGetDatum(later->relid),
							  Int16GetDatum(was->attnum));
		if (!HeapTupleIsValid(row))
			continue;
		if (!((Form_pg_attribute) GETSTRUCT(row))->attisdropped)
		{
			LaterColumn *column = make_column(was,
											  (Form_pg_attribute) GETSTRUCT(row));

			column->holder_name = holder_column_name(later, was->attnum);
			later->columns = lappend(later->columns, column);
		}
		ReleaseSysCache(row);
	}
}

/* NULL for a column that is newer than the file, and that nobody takes back. */
static char *
holder_column_name(const LaterWrites *later, AttrNumber attnum)
{
	char	   *name = get_attname(later->relation->parked->holder, attnum,
								   true);

	return name == NULL ? NULL : pstrdup(quote_identifier(name));
}

/*
 * A type that is of the system is there before and after; of any other one
 * there is the text.
 */
static LaterColumn *
make_column(Form_pg_attribute was, Form_pg_attribute is)
{
	LaterColumn *column = palloc0(sizeof(LaterColumn));
	bool		has_type = is->atttypid < FirstNormalObjectId ||
	is->atttypid == was->atttypid;
	Oid			copied_type = has_type ? is->atttypid : TEXTOID;
	int32		typmod = is->atttypmod;
	Oid			type = getBaseTypeAndTypmod(is->atttypid, &typmod);
	CoercionPathType path;
	Oid			function;

	column->attnum = was->attnum;
	column->is_native = has_type;
	column->is_retyped = is->atttypid != was->atttypid ||
		is->atttypmod != was->atttypmod;
	column->label_typeid = was->atttypid;
	column->label_typmod = was->atttypmod;
	column->label_name = pstrdup(quote_identifier(NameStr(was->attname)));
	column->name = pstrdup(quote_identifier(NameStr(is->attname)));
	column->type = format_type_extended(type, typmod,
										FORMAT_TYPE_TYPEMOD_GIVEN |
										FORMAT_TYPE_FORCE_QUALIFY);
	column->equals = equality_operator(is->atttypid);
	column->copied = psprintf("c.%s", column->name);
	if (!has_type)
		column->copied = text_of_value(column->copied);

	column->equal_is_same = equal_is_same(is->atttypid, is->attcollation);
	column->finds_key = !column->is_retyped ||
		!runs_code_of_users(was->atttypid, is->atttypid);

	/* the type of the label may be gone now; it is asked for by OID later */
	path = find_coercion_pathway(was->atttypid, copied_type,
								 COERCION_EXPLICIT, &function);
	column->written = psprintf(copied_type == was->atttypid &&
							   is->atttypmod == was->atttypmod ?
							   "l.c%d" : path == COERCION_PATH_NONE ?
							   "l.c%d::pg_catalog.text::" : "l.c%d::",
							   was->attnum);
	if (column->written[strlen(column->written) - 1] != ':')
		column->label_type = "";
	return column;
}

/* True if a conversion runs a function that is not of the system. */
static bool
runs_code_of_users(Oid from, Oid to)
{
	Oid			function;

	switch (find_coercion_pathway(to, from, COERCION_EXPLICIT, &function))
	{
		case COERCION_PATH_FUNC:
			return function >= FirstNormalObjectId;
		case COERCION_PATH_ARRAYCOERCE:
			return from >= FirstNormalObjectId || to >= FirstNormalObjectId;
		case COERCION_PATH_NONE:
		case COERCION_PATH_RELABELTYPE:
		case COERCION_PATH_COERCEVIAIO:
			break;
	}
	return false;
}

/* As B-trees ask it before they merge entries. */
static bool
equal_is_same(Oid type, Oid collation)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
	Oid			function = InvalidOid;

	if (OidIsValid(entry->btree_opf))
		function = get_opfamily_proc(entry->btree_opf, entry->btree_opintype,
									 entry->btree_opintype,
									 BTEQUALIMAGE_PROC);
	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, collation,
										  ObjectIdGetDatum(entry->btree_opintype)));
}

/* Of a type, as SQL; NULL if it has none. */
static char *
equality_operator(Oid type)
{
	Oid			operator = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	row;
	Form_pg_operator form;
	char	   *name;

	if (!OidIsValid(operator))
		return NULL;
	row = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(row);
	name = psprintf("OPERATOR(%s.%s)",
					quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(row);
	return name;
}

static void
find_key(LaterWrites *later, const RestoreTarget *target)
{
	ListCell   *cell;

	foreach(cell, label_indexes(target, later->relid))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT((HeapTuple) lfirst(cell));

		if (!index->indisprimary)
			continue;
		for (int i = 0; i < index->indnkeyatts; i++)
		{
			LaterColumn *column = later_column(later,
											   index->indkey.values[i]);

			if (column == NULL || !column->finds_key)
			{
				later->key = NIL;
				return;
			}
			later->key = lappend(later->key, column);
		}
	}
}

/*
 * See later_columns.h.
 */
LaterColumn *
later_column(const LaterWrites *later, AttrNumber attnum)
{
	ListCell   *cell;

	foreach(cell, later->columns)
	{
		if (((LaterColumn *) lfirst(cell))->attnum == attnum)
			return lfirst(cell);
	}
	return NULL;
}

/*
 * See later_columns.h.  A value that is what the migration has made of the old
 * one was not changed by a client, and must not be converted back: that could
 * round it.
 */
void
finish_later_column(const LaterWrites *later, LaterColumn *column)
{
	char	   *target = later_target_name(later, column);

	column->label_equals = equality_operator(column->label_typeid);
	if (column->label_type != NULL)
		return;
	column->label_type = format_type_extended(column->label_typeid,
											  column->label_typmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY);
	if (column->pairs != NULL)
	{
		char	   *copy = text_of_value(psprintf("l.c%d", column->attnum));

		column->written = psprintf("(SELECT p.was FROM %s p WHERE ARRAY[p.now] OPERATOR(pg_catalog.=) ARRAY[%s])::%s",
								   column->pairs, copy, column->label_type);
		column->updated = psprintf("CASE WHEN EXISTS (SELECT FROM %s p WHERE ARRAY[p.was, p.now] OPERATOR(pg_catalog.=) ARRAY[%s, %s]) THEN t.%s ELSE %s END",
								   column->pairs,
								   text_of_value(psprintf("t.%s", target)),
								   copy, target, column->written);
		return;
	}
	column->written = psprintf("%s%s", column->written, column->label_type);
	if (column->is_retyped && column->is_native)
		column->updated = psprintf("CASE WHEN ARRAY[t.%s::%s::pg_catalog.text] OPERATOR(pg_catalog.=) ARRAY[l.c%d::pg_catalog.text] THEN t.%s ELSE %s END",
								   target, column->type, column->attnum,
								   target, column->written);
}

/*
 * See later_columns.h.
 */
char *
text_of_value(const char *value)
{
	return psprintf("CASE WHEN pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.=) 0 THEN pg_catalog.format('%%s', %s) END",
					value, value);
}

/*
 * See later_columns.h.
 */
char *
later_target_name(const LaterWrites *later, const LaterColumn *column)
{
	return later->destination == later->relid ? column->label_name :
		column->holder_name;
}

/*
 * See later_columns.h.
 */
char *
later_key_condition(const LaterWrites *later)
{
	StringInfoData condition;
	ListCell   *cell;

	initStringInfo(&condition);
	foreach(cell, later->key)
		appendStringInfo(&condition, "%st.%s %s %s",
						 foreach_current_index(cell) ? " AND " : "",
						 later_target_name(later, lfirst(cell)),
						 ((LaterColumn *) lfirst(cell))->label_equals,
						 ((LaterColumn *) lfirst(cell))->written);
	return condition.data;
}

/*
 * See later_columns.h.
 */
char *
label_column_list(const LaterWrites *later)
{
	return column_list(later->columns,
					   later->destination == later->relid ?
					   offsetof(LaterColumn, label_name) :
					   offsetof(LaterColumn, holder_name));
}

/*
 * See later_columns.h.
 */
char *
written_column_list(const LaterWrites *later)
{
	return column_list(later->columns, offsetof(LaterColumn, written));
}

static char *
column_list(List *columns, Size member)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, columns)
		appendStringInfo(&list, "%s%s",
						 foreach_current_index(cell) ? ", " : "",
						 *(char **) ((char *) lfirst(cell) + member));
	return list.data;
}

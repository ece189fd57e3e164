/*-------------------------------------------------------------------------
 *
 * enum_values.c
 *	  Values of enum types that were added since a restore point.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "restore/enum_values.h"
#include "restore/later_columns.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* A column that may have values of a type, be it inside of others. */
typedef struct TypedColumn
{
	Oid			relid;
	char	   *name;			/* as SQL */
	bool		is_direct;		/* of the type itself, or of a domain */
} TypedColumn;

static List *columns_of_type(Oid type);
static void refuse_used_value(Form_pg_enum value, const TypedColumn *column);
static void build_indexes_of_type(Oid type);

/*
 * See enum_values.h.  A value that was only renamed keeps its OID.
 */
bool
is_added_enum_value(const CatalogDifference *difference, HeapTuple row)
{
	Form_pg_enum value = (Form_pg_enum) GETSTRUCT(row);
	ListCell   *cell;

	if (difference->catalog->relid != EnumRelationId)
		return false;
	foreach(cell, difference->gone)
	{
		if (((Form_pg_enum) GETSTRUCT((HeapTuple) lfirst(cell)))->oid ==
			value->oid)
			return false;
	}
	return true;
}

/*
 * See enum_values.h.
 */
void
remove_enum_values(List *differences)
{
	List	   *types = NIL;
	ListCell   *cell;
	ListCell   *added;
	ListCell   *column;

	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);
		Relation	rel;

		if (difference->catalog->relid != EnumRelationId)
			continue;
		rel = table_open(EnumRelationId, RowExclusiveLock);
		foreach(added, difference->added)
		{
			HeapTuple	row = lfirst(added);
			Form_pg_enum value = (Form_pg_enum) GETSTRUCT(row);

			if (!is_added_enum_value(difference, row))
				continue;
			if (SearchSysCacheExists1(TYPEOID,
									  ObjectIdGetDatum(value->enumtypid)))
			{
				foreach(column, columns_of_type(value->enumtypid))
					refuse_used_value(value, lfirst(column));
				types = list_append_unique_oid(types, value->enumtypid);
			}
			CatalogTupleDelete(rel, &row->t_self);
		}
		table_close(rel, RowExclusiveLock);
	}
	CommandCounterIncrement();
	foreach(cell, types)
		build_indexes_of_type(lfirst_oid(cell));
}

static List *
columns_of_type(Oid type)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *columns = NIL;

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(type), false);
	begin_own_access(&access);
	run_own_query("WITH RECURSIVE t(oid, is_direct) AS (SELECT $1, true "
				  "UNION SELECT y.oid, t.is_direct AND "
				  "y.typbasetype OPERATOR(pg_catalog.=) t.oid "
				  "FROM t JOIN pg_catalog.pg_type y "
				  "ON y.typelem OPERATOR(pg_catalog.=) t.oid "
				  "OR y.typbasetype OPERATOR(pg_catalog.=) t.oid "
				  "OR EXISTS (SELECT FROM pg_catalog.pg_range r "
				  "WHERE r.rngtypid OPERATOR(pg_catalog.=) y.oid "
				  "AND r.rngsubtype OPERATOR(pg_catalog.=) t.oid) "
				  "OR EXISTS (SELECT FROM pg_catalog.pg_attribute p "
				  "WHERE p.attrelid OPERATOR(pg_catalog.=) y.typrelid "
				  "AND p.atttypid OPERATOR(pg_catalog.=) t.oid "
				  "AND NOT p.attisdropped)) "
				  "SELECT c.oid::bigint, pg_catalog.quote_ident(a.attname), "
				  "t.is_direct FROM t JOIN pg_catalog.pg_attribute a "
				  "ON a.atttypid OPERATOR(pg_catalog.=) t.oid "
				  "AND NOT a.attisdropped JOIN pg_catalog.pg_class c "
				  "ON c.oid OPERATOR(pg_catalog.=) a.attrelid "
				  "AND c.relkind OPERATOR(pg_catalog.=) ANY "
				  "(ARRAY['r', 'm']::pg_catalog.\"char\"[]) "
				  "AND c.relpersistence OPERATOR(pg_catalog.<>) 't'",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		TypedColumn *column = palloc(sizeof(TypedColumn));

		column->relid = (Oid) own_bigint_column(i, 1);
		column->name = own_text_column(&access, i, 2);
		column->is_direct = own_bool_column(i, 3);
		columns = lappend(columns, column);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	return columns;
}

/*
 * Inside of another value it is looked for by its text, where quotes and
 * backslashes may be doubled.
 */
static void
refuse_used_value(Form_pg_enum value, const TypedColumn *column)
{
	OwnAccess	access;
	char	   *label = quote_literal_cstr(NameStr(value->enumlabel));
	char	   *table = relation_display_name(column->relid);
	char	   *text = text_of_value(psprintf("t.%s", column->name));
	char	   *escapes = quote_literal_cstr("\"\\");
	int64		count;

	begin_own_access(&access);
	if (SPI_execute(psprintf("SELECT pg_catalog.count(*) FROM ONLY %s t WHERE "
							 "%s",
							 table,
							 column->is_direct ?
							 psprintf("%s OPERATOR(pg_catalog.=) %s",
									  text, label) :
							 psprintf("pg_catalog.strpos(pg_catalog.translate(%s, %s, ''), "
									  "pg_catalog.translate(%s, %s, '')) "
									  "OPERATOR(pg_catalog.>) 0",
									  text, escapes, label, escapes)),
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for values of an enum type in %s", table);
	count = own_bigint_column(0, 1);
	end_own_access(&access);
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back: " INT64_FORMAT " rows of %s have the enum value %s in column %s, which was added since; give them another one first",
						count, table, label, column->name)));
}

/* A deleted entry is compared with others, until it is vacuumed. */
static void
build_indexes_of_type(Oid type)
{
	OwnAccess	access;
	List	   *indexes = NIL;
	ListCell   *cell;

	foreach(cell, columns_of_type(type))
	{
		const TypedColumn *column = lfirst(cell);
		Relation	rel = table_open(column->relid, AccessShareLock);

		indexes = list_concat_unique_oid(indexes, RelationGetIndexList(rel));
		table_close(rel, NoLock);
	}
	begin_own_access(&access);
	foreach(cell, indexes)
		compat_reindex_index(lfirst_oid(cell));
	end_own_access(&access);
	CommandCounterIncrement();
}

/*-------------------------------------------------------------------------
 *
 * trait_tables.c
 *	  Traits of a table as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/settings.h"
#include "effects/trait_context.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Length and alignment of a column. */
typedef struct ColumnLayout
{
	int16		length;			/* -1: it varies */
	char		align;			/* TYPALIGN_xxx */
} ColumnLayout;

static bool has_primary_key(TraitContext *context, CreateStmt *stmt);
static void look_at_unique_keys(TraitContext *context);
static bool is_written_not_null(TraitContext *context, const char *column);
static int	written_new_columns(TraitContext *context);
static void look_at_padding(TraitContext *context);
static int	row_length(const ColumnLayout *columns, int count);
static int	compare_layouts(const void *a, const void *b);
static int	alignment(const ColumnLayout *column);

void
look_at_new_table(TraitContext *context)
{
	CreateStmt *stmt = castNode(CreateStmt, context->statement);
	int			ncolumns = written_new_columns(context);

	if (stmt->relation->relpersistence == RELPERSISTENCE_UNLOGGED)
		add_trait(context, TRAIT_UNLOGGED, NULL, stmt->relation->location,
				  "is made unlogged");
	if (ncolumns > setting_max_columns)
		add_trait(context, TRAIT_WIDE_TABLE, NULL, stmt->relation->location,
				  "has %d columns, more than %d", ncolumns,
				  setting_max_columns);

	/* a partition has the columns and keys of its parent */
	if (stmt->partbound != NULL)
		return;
	if (!has_primary_key(context, stmt))
	{
		add_trait(context, TRAIT_NO_PRIMARY_KEY, NULL,
				  stmt->relation->location, "has no primary key");
		look_at_unique_keys(context);
	}
	if (context->wanted[TRAIT_PADDING])
		look_at_padding(context);
}

static bool
has_primary_key(TraitContext *context, CreateStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, context->constraints)
	{
		if (((WrittenConstraint *) lfirst(cell))->constraint->contype ==
			CONSTR_PRIMARY)
			return true;
	}
	/* LIKE ... INCLUDING INDEXES may bring one */
	foreach(cell, stmt->tableElts)
	{
		TableLikeClause *like = (TableLikeClause *) lfirst(cell);

		if (IsA(like, TableLikeClause) &&
			(like->options & CREATE_TABLE_LIKE_INDEXES) != 0)
			return true;
	}
	return false;
}

static void
look_at_unique_keys(TraitContext *context)
{
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, context->constraints)
	{
		const WrittenConstraint *written = lfirst(cell);
		List	   *keys = written_keys(written);
		bool		not_null = keys != NIL;
		Trait	   *trait;

		if (written->constraint->contype != CONSTR_UNIQUE)
			continue;
		foreach(inner, keys)
		{
			if (!is_written_not_null(context, lfirst(inner)))
				not_null = false;
		}
		if (!not_null)
			continue;
		trait = add_trait(context, TRAIT_UNIQUE_AS_PRIMARY_KEY, NULL,
						  written->constraint->location,
						  "is UNIQUE and NOT NULL where there is no primary key");
		if (trait != NULL)
			trait->object = psprintf("(%s)", joined_names(keys));
	}
}

static bool
is_written_not_null(TraitContext *context, const char *column)
{
	ListCell   *cell;

	foreach(cell, context->constraints)
	{
		const WrittenConstraint *written = lfirst(cell);

		if ((written->constraint->contype == CONSTR_NOTNULL ||
			 written->constraint->contype == CONSTR_IDENTITY) &&
			name_is_listed(written_keys(written), column))
			return true;
	}
	foreach(cell, context->columns)
	{
		const WrittenColumn *written = lfirst(cell);

		if (strcmp(written->name, column) == 0 &&
			type_is_serial(written->type_name))
			return true;
	}
	return false;
}

static int
written_new_columns(TraitContext *context)
{
	int			count = 0;
	ListCell   *cell;

	foreach(cell, context->columns)
	{
		if (((WrittenColumn *) lfirst(cell))->is_new)
			count++;
	}
	return count;
}

/* ADD COLUMN to a table that has many. */
void
look_at_table_width(TraitContext *context)
{
	int			ncolumns = written_new_columns(context);
	Relation	rel;

	if (!context->wanted[TRAIT_WIDE_TABLE] || ncolumns == 0 ||
		!OidIsValid(context->relation->relid))
		return;
	rel = try_relation_open(context->relation->relid, AccessShareLock);
	if (rel == NULL)
		return;
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
			ncolumns++;
	relation_close(rel, AccessShareLock);
	if (ncolumns > setting_max_columns)
		add_trait(context, TRAIT_WIDE_TABLE, NULL, -1,
				  "gets %d columns, more than %d", ncolumns,
				  setting_max_columns);
}

/*
 * Bytes of each row that lie idle between columns, compared with the order
 * that has the fewest.  Values of variable length are taken as being short,
 * for then they are not aligned.
 */
static void
look_at_padding(TraitContext *context)
{
	ColumnLayout *columns = palloc(list_length(context->columns) *
								   sizeof(ColumnLayout));
	int			count = 0;
	int			longer;
	ListCell   *cell;

	foreach(cell, context->columns)
	{
		const WrittenColumn *column = lfirst(cell);
		int32		typmod;
		Oid			type;
		bool		by_value;

		if (column->type_name == NULL)
			return;
		type = written_type(context, column->type_name, &typmod);
		if (!OidIsValid(type))
			return;
		columns[count].length = -1;
		columns[count].align = TYPALIGN_CHAR;
		if (column->type_name->arrayBounds == NIL)
			get_typlenbyvalalign(type, &columns[count].length, &by_value,
								 &columns[count].align);
		count++;
	}
	longer = row_length(columns, count);
	qsort(columns, count, sizeof(ColumnLayout), compare_layouts);
	longer -= row_length(columns, count);
	if (longer > 0)
		add_trait(context, TRAIT_PADDING, NULL, context->written->location,
				  "leaves %d bytes of each row idle between its columns",
				  longer);
}

/* The row as a whole is aligned as well, so its end may be idle anyhow. */
static int
row_length(const ColumnLayout *columns, int count)
{
	int			length = 0;

	for (int i = 0; i < count; i++)
		length = TYPEALIGN(alignment(&columns[i]), length) +
			Max(columns[i].length, 1);
	return MAXALIGN(length);
}

static int
alignment(const ColumnLayout *column)
{
	if (column->length < 0)
		return 1;
	switch (column->align)
	{
		case TYPALIGN_DOUBLE:
			return ALIGNOF_DOUBLE;
		case TYPALIGN_INT:
			return ALIGNOF_INT;
		case TYPALIGN_SHORT:
			return ALIGNOF_SHORT;
		default:
			return 1;
	}
}

/* What is aligned most goes first, what varies last. */
static int
compare_layouts(const void *a, const void *b)
{
	const ColumnLayout *left = a;
	const ColumnLayout *right = b;

	if ((left->length < 0) != (right->length < 0))
		return left->length < 0 ? 1 : -1;
	return alignment(right) - alignment(left);
}

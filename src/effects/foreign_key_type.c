/*-------------------------------------------------------------------------
 *
 * foreign_key_type.c
 *	  Is a foreign key looked up again when a column of it changes its type
 *	  though no value changes?
 *
 * ATAddForeignKeyConstraint() makes the key again and asks whether values that
 * were found before are found still: by the same equality operator, after the
 * same cast.  This asks the same before the column has changed (15-19).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "effects/describe.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* One pair of columns, with the types they will have. */
typedef struct KeyColumn
{
	Oid			referenced_type;
	Oid			type;
	Oid			old_type;
	Oid			opfamily;		/* of the index of the referenced table */
	Oid			opcintype;
} KeyColumn;

static bool find_operator_class(const ForeignKey *key, AttrNumber attnum,
								Oid retyped, KeyColumn *column);
static Oid	equality_operator(const KeyColumn *column, Oid *input_type);
static CoercionPathType cast_of_key(Oid input_type, Oid type, Oid *function);
static int16 attnum_at(const ArrayType *array, int index);

/*
 * True if the rows need not be looked up again when a column of table relid
 * becomes new_type, its stored values staying what they are.
 */
bool
foreign_key_survives_type(const ForeignKey *key, Oid relid, AttrNumber attnum,
						  Oid new_type)
{
	Oid		   *operators = (Oid *) ARR_DATA_PTR(key->operators);

	for (int i = 0; i < ARR_DIMS(key->columns)[0]; i++)
	{
		AttrNumber	referencing = attnum_at(key->columns, i);
		AttrNumber	referenced = attnum_at(key->referenced_columns, i);
		bool		retypes_key = key->referenced == relid &&
		referenced == attnum;
		KeyColumn	column;
		Oid			input_type;
		Oid			old_function;
		Oid			new_function;

		column.old_type = get_atttype(key->referencing, referencing);
		column.type = key->referencing == relid && referencing == attnum ?
			new_type : column.old_type;
		column.referenced_type = retypes_key ? new_type :
			get_atttype(key->referenced, referenced);
		if (!find_operator_class(key, referenced, retypes_key ? new_type :
								 InvalidOid, &column) ||
			equality_operator(&column, &input_type) != operators[i] ||
			cast_of_key(input_type, column.old_type, &old_function) !=
			cast_of_key(input_type, column.type, &new_function) ||
			old_function != new_function ||
			(IsPolymorphicType(input_type) && column.type != column.old_type))
			return false;
	}
	return true;
}

/*
 * The operator class of the unique index: that of the index, or the default one
 * of the type that its column will have.  False for other than a B-tree.
 */
static bool
find_operator_class(const ForeignKey *key, AttrNumber attnum, Oid retyped,
					KeyColumn *column)
{
	Relation	index = try_relation_open(key->index, AccessShareLock);
	bool		found = false;

	if (index == NULL)
		return false;
	for (int i = 0; i < index->rd_index->indnkeyatts &&
		 index->rd_rel->relam == BTREE_AM_OID; i++)
	{
		if (index->rd_index->indkey.values[i] != attnum)
			continue;
		column->opfamily = index->rd_opfamily[i];
		column->opcintype = index->rd_opcintype[i];
		found = true;
	}
	relation_close(index, AccessShareLock);
	if (found && OidIsValid(retyped))
	{
		Oid			opclass = GetDefaultOpClass(retyped, BTREE_AM_OID);

		if (!OidIsValid(opclass))
			return false;
		column->opfamily = get_opclass_family(opclass);
		column->opcintype = get_opclass_input_type(opclass);
	}
	return found;
}

/* *input_type is what the operator takes on the side of the referencing one. */
static Oid
equality_operator(const KeyColumn *column, Oid *input_type)
{
	Oid			base = getBaseType(column->type);
	Oid			cross = get_opfamily_member(column->opfamily,
											column->opcintype, base,
											BTEqualStrategyNumber);
	Oid			input_types[2] = {column->referenced_type, column->type};
	Oid			target_types[2] = {column->opcintype, column->opcintype};

	*input_type = base;
	if (OidIsValid(cross) &&
		OidIsValid(get_opfamily_member(column->opfamily, base, base,
									   BTEqualStrategyNumber)))
		return cross;
	*input_type = column->opcintype;
	if (!can_coerce_type(2, input_types, target_types, COERCION_IMPLICIT))
		return InvalidOid;
	return get_opfamily_member(column->opfamily, column->opcintype,
							   column->opcintype, BTEqualStrategyNumber);
}

static CoercionPathType
cast_of_key(Oid input_type, Oid type, Oid *function)
{
	*function = InvalidOid;
	if (input_type == type)
		return COERCION_PATH_RELABELTYPE;
	return find_coercion_pathway(input_type, type, COERCION_IMPLICIT,
								 function);
}

static int16
attnum_at(const ArrayType *array, int index)
{
	return ((int16 *) ARR_DATA_PTR(array))[index];
}

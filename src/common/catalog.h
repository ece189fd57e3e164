/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  Look-ups in the catalog that several capabilities need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CATALOG_H
#define SAFE_MIGRATE_CATALOG_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/primnodes.h"

#define MIGRATE_EXTENSION	"safe_migrate"
#define MIGRATE_SCHEMA		"migrate"

/* True when the library was loaded by shared_preload_libraries. */
extern bool library_is_preloaded;

/* Raise an error that tells how to preload the library, if it is not. */
extern void require_preloaded(void);

/*
 * Raise an error in a transaction that sees the catalogs as they were when it
 * began, for a function that must not judge by those.
 */
extern void require_read_committed(const char *function);

/*
 * True if our extension is created in this database.  Costs two syscache
 * look-ups; needs a transaction.  A schema or table of the same name that
 * does not belong to the extension does not count.
 */
extern bool extension_is_created(void);

/* OID of our extension; InvalidOid or an error when it is not created. */
extern Oid	migrate_extension_oid(bool missing_ok);

/* Role that owns our extension.  Throws when it is not created. */
extern Oid	migrate_extension_owner(void);

/* True if the object is a member of our extension. */
extern bool extension_owns_function(Oid function_oid);
extern bool extension_owns_relation(Oid relid);

/*
 * Schema-qualified and quoted name of a relation, palloc'd; "(dropped)" when
 * it is gone.
 */
extern char *relation_display_name(Oid relid);

/* What a name in an argument stands for; throws if it is no name of a relation. */
extern RangeVar *range_var_of_name(const char *name);

/* A RangeVar as the user wrote it, quoted, palloc'd. */
extern char *range_var_display_name(const RangeVar *relation);

/* True if a column is NOT NULL and all rows are known to have a value. */
extern bool column_has_valid_not_null(Oid relid, AttrNumber attnum);

/*
 * True if a column, or that of a partition or child, has a NOT NULL that DROP
 * NOT NULL would take from it.
 */
extern bool is_marked_not_null_below(Oid relid, const char *column);

/* Role that owns a relation. */
extern Oid	relation_owner(Oid relid);

/* True if a partitioned table has a default partition. */
extern bool relation_has_default_partition(Oid relid);

/*
 * "<expression> IS NULL", or what that would be for a value that is a row: IS
 * NULL would ask for its fields.  Not for is_null, the opposite.
 */
extern char *null_test(const char *expression, Oid type, bool is_null);

/* True if a list of strings has that one. */
extern bool name_is_listed(List *names, const char *name);

/* Size in words: 512 kB, 41 GB; palloc'd. */
extern char *size_in_words(uint64 bytes);

#endif							/* SAFE_MIGRATE_CATALOG_H */

/*-------------------------------------------------------------------------
 *
 * parked_size.h
 *	  How much room files take.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PARKED_SIZE_H
#define SAFE_MIGRATE_PARKED_SIZE_H

#include "postgres.h"

#include "common/compat.h"

/*
 * Size of the file of a relation with all its forks, in bytes; what is not
 * there counts nothing.  Throws what stat() does.
 */
extern int64 file_bytes(CompatFile file);

#endif							/* SAFE_MIGRATE_PARKED_SIZE_H */

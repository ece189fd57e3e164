/*-------------------------------------------------------------------------
 *
 * row_images.h
 *	  What the rows that a transaction has changed were before.
 *
 * The images of a transaction are kept in one hidden relation, as a stream of
 * bytes for each file: a row of any size needs no page of its own, and most
 * need no row of their own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROW_IMAGES_H
#define SAFE_MIGRATE_ROW_IMAGES_H

#include "postgres.h"

#include "access/htup.h"
#include "storage/itemptr.h"

typedef enum RowChange
{
	ROW_UPDATED = 'U',			/* from the image to new_tid */
	ROW_DELETED = 'D',			/* the image is gone */
	ROW_INSERTED = 'I'			/* at new_tid */
} RowChange;

typedef struct RowImage
{
	RowChange	change;
	ItemPointerData old_tid;	/* not of inserted rows */
	ItemPointerData new_tid;	/* not of deleted rows */

	/*
	 * The row before, with its header, nothing of it out of line; NULL of
	 * inserted rows.
	 */
	HeapTuple	old_row;

	/*
	 * The row after, in which only the columns of the primary key have a
	 * value.  NULL unless the row was inserted, or its key was changed.
	 */
	HeapTuple	new_key;
} RowImage;

typedef struct RowImageWriter RowImageWriter;
typedef struct RowImageReader RowImageReader;

/*
 * Write: the hidden relation is made by the first image.  The writer lives in
 * the current memory context.  begin_file_images() comes before the images of
 * each file.  end_row_images() returns the OID of the hidden relation, or
 * InvalidOid if nothing was written.
 */
extern RowImageWriter *begin_row_images(void);
extern void begin_file_images(RowImageWriter *writer, Oid relid,
							  Oid filenode);
extern void write_row_image(RowImageWriter *writer, const RowImage *image);
extern Oid	end_row_images(RowImageWriter *writer);

/*
 * Read, file by file in the order of writing.  read_file_images() goes to the
 * next file, and read_row_image() to the next image of it; they return false
 * at the end.  What an image points to lives until the next call.  Files and
 * images may be left unread.  Takes AccessShareLock to the end of the
 * transaction.
 */
extern RowImageReader *begin_reading_images(Oid holder);
extern bool read_file_images(RowImageReader *reader, Oid *relid,
							 Oid *filenode);
extern bool read_row_image(RowImageReader *reader, RowImage *image);
extern void end_reading_images(RowImageReader *reader);

#endif							/* SAFE_MIGRATE_ROW_IMAGES_H */

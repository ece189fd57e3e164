/*-------------------------------------------------------------------------
 *
 * parked_size.c
 *	  How much room files take.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/htup_details.h"
#include "preserve/park.h"
#include "preserve/parked_size.h"
#include "utils/syscache.h"

static int64 fork_bytes(const char *path);

/*
 * See parked_size.h.
 */
int64
file_bytes(CompatFile file)
{
	int64		bytes = 0;

	for (ForkNumber fork = 0; fork <= MAX_FORKNUM; fork++)
	{
		char	   *path = compat_file_path(file, fork);

		bytes += fork_bytes(path);
		pfree(path);
	}
	return bytes;
}

/* By segments, as pg_relation_size() does. */
static int64
fork_bytes(const char *path)
{
	int64		bytes = 0;

	for (uint32 segment = 0;; segment++)
	{
		char	   *name = segment == 0 ? pstrdup(path) :
		psprintf("%s.%u", path, segment);
		struct stat status;

		if (stat(name, &status) < 0)
		{
			if (errno == ENOENT)
				return bytes;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file \"%s\": %m", name)));
		}
		bytes += status.st_size;
		pfree(name);
	}
}

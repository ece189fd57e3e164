/*-------------------------------------------------------------------------
 *
 * rates_file.c
 *	  The file that the rates are kept in over a restart.
 *
 * It lies where pg_stat_statements has its own: in a directory that a base
 * backup copies and a crash leaves alone.  Only the launcher writes it, soon
 * after something was learned and when the server shuts down.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "rates/rates_internal.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#define RATES_FILE			PGSTAT_STAT_PERMANENT_DIRECTORY "/safe_migrate.rates"
#define RATES_TEMP_FILE		RATES_FILE ".tmp"

#define RATES_FILE_MAGIC	0x534d5254	/* SMRT */
#define RATES_FILE_VERSION	1

/* Milliseconds between two writes. */
#define SAVE_INTERVAL		5000

typedef struct RatesFile
{
	uint32		magic;
	uint32		version;
	WorkRate	rates[RATE_KINDS];
	pg_crc32c	crc;			/* of all before it */
} RatesFile;

/* What this process has written last. */
static uint64 saved_changes = 0;
static TimestampTz saved_at = 0;

static void write_rates_file(const RatesFile *contents);
static void complain_of_file(const char *what, const char *path);
static pg_crc32c checksum(const RatesFile *contents);

/*
 * See rates_internal.h.
 */
bool
read_rates_file(WorkRate *rates)
{
	RatesFile	contents;
	FILE	   *file = AllocateFile(RATES_FILE, PG_BINARY_R);
	size_t		length;

	memset(rates, 0, RATE_KINDS * sizeof(WorkRate));
	if (file == NULL)
	{
		if (errno != ENOENT)
			complain_of_file("open", RATES_FILE);
		return false;
	}
	length = fread(&contents, 1, sizeof(contents), file);
	if (ferror(file))
	{
		complain_of_file("read", RATES_FILE);
		FreeFile(file);
		return false;
	}
	if (length != sizeof(contents) || fgetc(file) != EOF ||
		contents.magic != RATES_FILE_MAGIC ||
		contents.version != RATES_FILE_VERSION ||
		!EQ_CRC32C(contents.crc, checksum(&contents)))
	{
		FreeFile(file);
		ereport(LOG,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("ignoring invalid data in file \"%s\"", RATES_FILE),
				 errdetail("safe_migrate will learn anew how fast this server is.")));
		return false;
	}
	FreeFile(file);
	memcpy(rates, contents.rates, sizeof(contents.rates));
	return true;
}

static pg_crc32c
checksum(const RatesFile *contents)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, contents, offsetof(RatesFile, crc));
	FIN_CRC32C(crc);
	return crc;
}

static void
complain_of_file(const char *what, const char *path)
{
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not %s file \"%s\": %m", what, path)));
}

/*
 * See rates.h.  What could not be written is not tried again before something
 * else is learned: the log of a full disk has enough to say.
 */
void
save_rates(bool at_once)
{
	long		delay = next_save_of_rates();
	RatesFile	contents;

	if (delay < 0 || (delay > 0 && !at_once))
		return;

	/* the checksum covers what lies between the fields */
	memset(&contents, 0, sizeof(contents));
	contents.magic = RATES_FILE_MAGIC;
	contents.version = RATES_FILE_VERSION;
	saved_changes = copy_rates(contents.rates);
	saved_at = GetCurrentTimestamp();
	contents.crc = checksum(&contents);
	write_rates_file(&contents);
}

/*
 * See rates.h.
 */
long
next_save_of_rates(void)
{
	if (rates_changes() == saved_changes)
		return -1;
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
										   TimestampTzPlusMilliseconds(saved_at,
																	   SAVE_INTERVAL));
}

/* Under another name first, so that there is always a whole file. */
static void
write_rates_file(const RatesFile *contents)
{
	FILE	   *file = AllocateFile(RATES_TEMP_FILE, PG_BINARY_W);

	if (file == NULL)
	{
		complain_of_file("open", RATES_TEMP_FILE);
		return;
	}
	if (fwrite(contents, sizeof(*contents), 1, file) != 1)
	{
		complain_of_file("write", RATES_TEMP_FILE);
		FreeFile(file);
		unlink(RATES_TEMP_FILE);
		return;
	}
	if (FreeFile(file) != 0)
	{
		complain_of_file("write", RATES_TEMP_FILE);
		unlink(RATES_TEMP_FILE);
		return;
	}
	/* flushes the file and its directory as well */
	(void) durable_rename(RATES_TEMP_FILE, RATES_FILE, LOG);
}

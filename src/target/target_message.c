/*-------------------------------------------------------------------------
 *
 * target_message.c
 *	  What the workers of a CALL are told, as bytes in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/ledger.h"
#include "mb/pg_wchar.h"
#include "target/target_internal.h"

/* Where in the bytes a reader is. */
typedef struct MessageReader
{
	const char *at;
	const char *end;
	int			encoding;		/* of the texts */
} MessageReader;

static void pack_int(StringInfo buffer, int value);
static void pack_text(StringInfo buffer, const char *text);
static void pack_texts(StringInfo buffer, List *texts);
static void pack_settings(StringInfo buffer, List *settings);
static void pack_migration(StringInfo buffer, const MigrationText *migration);
static int	unpack_int(MessageReader *reader);
static char *unpack_text(MessageReader *reader);
static List *unpack_texts(MessageReader *reader);
static List *unpack_settings(MessageReader *reader);
static MigrationText *unpack_migration(MessageReader *reader);

/*
 * See target_internal.h.
 */
void
pack_message(StringInfo buffer, const TargetMessage *message)
{
	ListCell   *cell;

	pack_int(buffer, GetDatabaseEncoding());
	pack_text(buffer, message->version);
	pack_settings(buffer, message->settings);
	pack_int(buffer, list_length(message->history));
	foreach(cell, message->history)
		pack_migration(buffer, lfirst(cell));
}

static void
pack_int(StringInfo buffer, int value)
{
	appendBinaryStringInfo(buffer, (char *) &value, sizeof(value));
}

/* A byte tells NULL; a terminated string follows if it is none. */
static void
pack_text(StringInfo buffer, const char *text)
{
	appendStringInfoChar(buffer, text == NULL ? 'n' : 't');
	if (text != NULL)
		appendBinaryStringInfo(buffer, text, strlen(text) + 1);
}

static void
pack_texts(StringInfo buffer, List *texts)
{
	ListCell   *cell;

	pack_int(buffer, list_length(texts));
	foreach(cell, texts)
		pack_text(buffer, lfirst(cell));
}

static void
pack_settings(StringInfo buffer, List *settings)
{
	ListCell   *cell;

	pack_int(buffer, list_length(settings));
	foreach(cell, settings)
	{
		const TargetSetting *setting = lfirst(cell);

		pack_text(buffer, setting->name);
		pack_text(buffer, setting->value);
		pack_int(buffer, setting->context);
	}
}

static void
pack_migration(StringInfo buffer, const MigrationText *migration)
{
	pack_text(buffer, migration->version);
	pack_text(buffer, migration->name);
	pack_text(buffer, migration->format);
	pack_text(buffer, migration->body);
	pack_int(buffer, migration->body_line);
	pack_text(buffer, migration->down_body);
	pack_int(buffer, migration->down_line);
	pack_text(buffer, migration->tool_checksum);
	pack_texts(buffer, migration->requires);
	pack_int(buffer, migration->listed_at);
	pack_int(buffer, migration->in_transaction);
	pack_int(buffer, migration->repeatable);
}

/*
 * See target_internal.h.  The result is in the current memory context.
 */
TargetMessage *
unpack_message(const char *data, Size size)
{
	MessageReader reader = {data, data + size};
	TargetMessage *message = palloc0(sizeof(TargetMessage));
	int			count;

	reader.encoding = unpack_int(&reader);
	message->version = unpack_text(&reader);
	message->settings = unpack_settings(&reader);
	count = unpack_int(&reader);
	for (int i = 0; i < count; i++)
		message->history = lappend(message->history,
								   unpack_migration(&reader));
	return message;
}

static int
unpack_int(MessageReader *reader)
{
	int			value;

	Assert(reader->end - reader->at >= sizeof(value));
	memcpy(&value, reader->at, sizeof(value));
	reader->at += sizeof(value);
	return value;
}

static char *
unpack_text(MessageReader *reader)
{
	const char *text;
	char	   *converted;

	if (*reader->at++ == 'n')
		return NULL;
	text = reader->at;
	reader->at += strlen(text) + 1;
	converted = pg_any_to_server(text, strlen(text), reader->encoding);
	return converted == text ? pstrdup(text) : converted;
}

static List *
unpack_texts(MessageReader *reader)
{
	int			count = unpack_int(reader);
	List	   *texts = NIL;

	for (int i = 0; i < count; i++)
		texts = lappend(texts, unpack_text(reader));
	return texts;
}

static List *
unpack_settings(MessageReader *reader)
{
	int			count = unpack_int(reader);
	List	   *settings = NIL;

	for (int i = 0; i < count; i++)
	{
		TargetSetting *setting = palloc(sizeof(TargetSetting));

		setting->name = unpack_text(reader);
		setting->value = unpack_text(reader);
		setting->context = unpack_int(reader);
		settings = lappend(settings, setting);
	}
	return settings;
}

static MigrationText *
unpack_migration(MessageReader *reader)
{
	MigrationText *migration = palloc0(sizeof(MigrationText));

	migration->version = unpack_text(reader);
	migration->name = unpack_text(reader);
	migration->format = unpack_text(reader);
	migration->body = unpack_text(reader);
	migration->body_line = unpack_int(reader);
	migration->down_body = unpack_text(reader);
	migration->down_line = unpack_int(reader);
	migration->tool_checksum = unpack_text(reader);
	migration->requires = unpack_texts(reader);
	migration->listed_at = unpack_int(reader);
	migration->in_transaction = unpack_int(reader);
	migration->repeatable = unpack_int(reader);
	return migration;
}

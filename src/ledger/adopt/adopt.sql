/*
 * Taking over the records of other migration tools.
 */
CREATE FUNCTION migrate.tool_checksum(format text, file text,
	section text DEFAULT NULL)
RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migrate_tool_checksum';
REVOKE ALL ON FUNCTION migrate.tool_checksum(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.tool_checksum(text, text, text) IS
	'checksum that a tool stores for a file, or for its own section of it; null for tools that store none';

CREATE TABLE migrate.adopted_ledgers (
	ledger text COLLATE "C" NOT NULL,
	tool text COLLATE "C" NOT NULL,
	schema_name text COLLATE "C" NOT NULL,
	table_name text COLLATE "C" NOT NULL,
	adopted_at timestamptz NOT NULL,
	adopted_by text NOT NULL,
	followed boolean NOT NULL DEFAULT true,
	CONSTRAINT adopted_ledgers_pkey PRIMARY KEY (ledger)
);
REVOKE ALL ON migrate.adopted_ledgers FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.adopted_ledgers', '');

COMMENT ON TABLE migrate.adopted_ledgers IS
	'ledgers of other tools that migrate.adopt() has taken over; their new rows are taken over before anything runs';
COMMENT ON COLUMN migrate.adopted_ledgers.ledger IS
	'name of the table, qualified and quoted';
COMMENT ON COLUMN migrate.adopted_ledgers.tool IS 'tool that keeps it';
COMMENT ON COLUMN migrate.adopted_ledgers.schema_name IS 'schema of the table';
COMMENT ON COLUMN migrate.adopted_ledgers.table_name IS
	'name of the table in it';
COMMENT ON COLUMN migrate.adopted_ledgers.adopted_at IS
	'time at which it was adopted first';
COMMENT ON COLUMN migrate.adopted_ledgers.adopted_by IS
	'role that adopted it';
COMMENT ON COLUMN migrate.adopted_ledgers.followed IS
	'false: it is not looked at any more, since migrate.forget_ledger()';
COMMENT ON CONSTRAINT adopted_ledgers_pkey ON migrate.adopted_ledgers IS
	'a ledger is adopted once';

CREATE TABLE migrate.adopted_rows (
	ledger text COLLATE "C" NOT NULL,
	key text COLLATE "C" NOT NULL,
	ids text[] NOT NULL,
	name text,
	state text COLLATE "C" NOT NULL,
	version text COLLATE "C",
	applied_at timestamptz,
	role text,
	duration_ms bigint,
	checksum text,
	body text,
	adopted_at timestamptz NOT NULL,
	CONSTRAINT adopted_rows_pkey PRIMARY KEY (ledger, key),
	CONSTRAINT adopted_rows_state_check CHECK (state OPERATOR(pg_catalog.=) ANY
		(ARRAY['applied', 'mark', 'rolled back', 'failed']))
);
REVOKE ALL ON migrate.adopted_rows FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.adopted_rows', '');

COMMENT ON TABLE migrate.adopted_rows IS
	'every row of an adopted ledger as it was last seen, also those without a registered migration';
COMMENT ON COLUMN migrate.adopted_rows.ledger IS
	'the ledger, as in migrate.adopted_ledgers';
COMMENT ON COLUMN migrate.adopted_rows.key IS
	'what tells it from the other rows of that ledger';
COMMENT ON COLUMN migrate.adopted_rows.ids IS
	'names by which a registered migration is looked for, the likeliest first';
COMMENT ON COLUMN migrate.adopted_rows.name IS 'name, if the ledger has one';
COMMENT ON COLUMN migrate.adopted_rows.state IS
	'applied, mark (it and all before it are applied), rolled back or failed';
COMMENT ON COLUMN migrate.adopted_rows.version IS
	'registered migration that it is about; null: none, or all up to a mark';
COMMENT ON COLUMN migrate.adopted_rows.applied_at IS
	'time at which its tool applied it, if the ledger says so';
COMMENT ON COLUMN migrate.adopted_rows.role IS
	'who applied it, if the ledger says so';
COMMENT ON COLUMN migrate.adopted_rows.duration_ms IS
	'milliseconds it took, if the ledger says so';
COMMENT ON COLUMN migrate.adopted_rows.checksum IS
	'checksum of its file as its tool computes it, if the ledger has one';
COMMENT ON COLUMN migrate.adopted_rows.body IS
	'text of its file, if the ledger has it';
COMMENT ON COLUMN migrate.adopted_rows.adopted_at IS
	'time at which the row was seen first';
COMMENT ON CONSTRAINT adopted_rows_pkey ON migrate.adopted_rows IS
	'a row of a ledger is kept once';
COMMENT ON CONSTRAINT adopted_rows_state_check ON migrate.adopted_rows IS
	'the states there are';

CREATE FUNCTION migrate.adopt(tool text DEFAULT NULL,
	ledger regclass DEFAULT NULL, accept_edited boolean DEFAULT false)
RETURNS TABLE (tool text, ledger text, version text, name text, state text,
	message text)
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_adopt';
REVOKE ALL ON FUNCTION migrate.adopt(text, regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION migrate.adopt(text, regclass, boolean) IS
	'takes over what another migration tool has on record as applied, and says what is new in that; accept_edited: files that differ from what was applied are taken as they are';

CREATE FUNCTION migrate.forget_ledger(ledger text)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_forget_ledger';
REVOKE ALL ON FUNCTION migrate.forget_ledger(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.forget_ledger(text) IS
	'looks no more at an adopted ledger, named as in migrate.adopted_ledgers; what it had said stays known';

/* For everybody, because the readers of migrate.status call it; see there. */
CREATE FUNCTION migrate.tool_history()
RETURNS TABLE (tool text, version text, name text, state text,
	applied_at timestamptz, role text, duration_ms bigint, registered boolean,
	place text)
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_tool_history';
COMMENT ON FUNCTION migrate.tool_history() IS
	'what adopted ledgers of other tools say beside our own ledger, for migrate.status';

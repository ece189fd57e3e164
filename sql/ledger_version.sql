--
-- The order of versions: by value, whatever their width and punctuation.
--
\set VERBOSITY terse

CREATE TEMP TABLE versions (version text);
INSERT INTO versions VALUES
	('1'), ('2'), ('10'), ('1.2'), ('1.10'), ('v3'), ('V4.1'), ('1.2.3'),
	('000011'), ('0'),
	('20240101'), ('2024-01-02'), ('20240103'), ('20240102120000'),
	('2024-01-02-130000'),
	('2026-05-27-120000'), ('2026-05-27-120000-0000'),
	('2026-05-27-130000-0000'), ('2026-05-26-120000-0000'),
	('20140929103763'), ('20140929185718'),
	('00000000000000'), ('00000000000000-0001'),
	('20250625_add_pivot'), ('20250625170658_add_automations'),
	('20250626000000_next'), ('20250625170658_add_zebra'),
	('20240126184148_new_models copy'), ('20240126184148_new_models'),
	('1718236800000'), ('1718236800001');
SELECT version FROM versions ORDER BY migrate.version_key(version) COLLATE "C";

-- two of the same place
SELECT migrate.version_key('v1') = migrate.version_key('01') AS v1,
	migrate.version_key('2024-01-02') = migrate.version_key('20240102') AS dashes,
	migrate.version_key('1.0') = migrate.version_key('1') AS point;

-- a key is text of one kind in all databases
SELECT migrate.version_key('1.10'), migrate.version_key('2026-05-27-120000-0000');
SELECT migrate.version_key(NULL) IS NULL AS strict;

SELECT migrate.version_key('');
SELECT migrate.version_key(repeat('1', 33));
SELECT length(migrate.version_key(repeat('1.', 60))) AS fits;
SELECT migrate.version_key(repeat('1.', 61));

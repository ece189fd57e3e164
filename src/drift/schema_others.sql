/* Objects that are no relations, in words; see schema_relations.sql. */

CREATE FUNCTION migrate.is_extension_member(class oid, object oid) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN EXISTS (
	SELECT FROM pg_catalog.pg_depend e
	WHERE e.classid = class AND e.objid = object AND e.deptype = 'e');
COMMENT ON FUNCTION migrate.is_extension_member(oid, oid) IS
	'true for an object that an extension has brought along';

CREATE VIEW migrate.schema_functions AS
SELECT p.oid AS objid,
	CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure'
		ELSE 'function' END AS kind,
	p.oid::regprocedure::text AS identity,
	CASE p.prokind WHEN 'a' THEN (
		SELECT concat_ws(' ', pg_get_function_result(p.oid),
			pg_get_function_arguments(p.oid), p.proparallel, a.aggkind,
			a.aggnumdirectargs, a.aggtransfn::regprocedure::text,
			NULLIF(a.aggfinalfn, 0)::regprocedure::text,
			'combine', NULLIF(a.aggcombinefn, 0)::regprocedure::text,
			'serial', NULLIF(a.aggserialfn, 0)::regprocedure::text,
			NULLIF(a.aggdeserialfn, 0)::regprocedure::text,
			'moving', NULLIF(a.aggmtransfn, 0)::regprocedure::text,
			NULLIF(a.aggminvtransfn, 0)::regprocedure::text,
			NULLIF(a.aggmfinalfn, 0)::regprocedure::text,
			a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify,
			a.aggmfinalmodify, 'sort', NULLIF(a.aggsortop, 0)::regoperator::text,
			a.aggtranstype::regtype::text, a.aggtransspace,
			NULLIF(a.aggmtranstype, 0)::regtype::text, a.aggmtransspace,
			'initial', a.agginitval, 'moving', a.aggminitval)
		FROM pg_catalog.pg_aggregate a WHERE a.aggfnoid = p.oid)
	ELSE pg_get_functiondef(p.oid) END AS definition,
	p.oid::regprocedure::text || COALESCE(p.proargnames, '{}') AS names,
	p.proowner AS owner,
	COALESCE(migrate.privileges_in_words(p.proacl, 'f', p.proowner), '') AS privileges
FROM pg_catalog.pg_proc p
JOIN migrate.user_schemas n ON n.oid = p.pronamespace
WHERE NOT EXISTS (
	SELECT FROM pg_catalog.pg_depend e
	WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid
		/* and those that a range type makes */
		AND e.deptype IN ('e', 'i'));
COMMENT ON VIEW migrate.schema_functions IS
	'functions, procedures and aggregates in words';

CREATE VIEW migrate.schema_types AS
SELECT t.oid AS objid,
	CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END AS kind,
	format_type(t.oid, NULL) AS identity,
	CASE t.typtype
	WHEN 'e' THEN 'ENUM ' || (
		SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
		FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)
	WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
		'COLLATE ' || CASE WHEN t.typcollation <> b.typcollation
			THEN t.typcollation::regcollation::text END,
		'DEFAULT ' || t.typdefault,
		CASE WHEN t.typnotnull THEN 'NOT NULL' END, (
			SELECT string_agg(concat(quote_ident(o.conname), ' ',
					pg_get_constraintdef(o.oid)),
				E'\n' ORDER BY o.conname COLLATE "C")
			FROM pg_catalog.pg_constraint o
			WHERE o.contypid = t.oid AND o.contype <> 'n'))
	WHEN 'r' THEN (
		SELECT concat_ws(' ', 'RANGE', r.rngsubtype::regtype::text,
			(SELECT concat(quote_ident(cn.nspname), '.', quote_ident(c.opcname))
			 FROM pg_catalog.pg_opclass c
			 JOIN pg_catalog.pg_namespace cn ON cn.oid = c.opcnamespace
			 WHERE c.oid = r.rngsubopc),
			NULLIF(r.rngcollation, 0)::regcollation::text,
			NULLIF(r.rngcanonical, 0)::regprocedure::text,
			NULLIF(r.rngsubdiff, 0)::regprocedure::text,
			r.rngmultitypid::regtype::text)
		FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
	WHEN 'p' THEN 'SHELL'
	WHEN 'b' THEN concat_ws(' ', 'BASE', t.typlen, t.typbyval, t.typcategory,
		t.typispreferred, t.typdelim, t.typalign, t.typstorage, t.typcollation <> 0,
		t.typinput::regprocedure::text, t.typoutput::regprocedure::text,
		'receive', NULLIF(t.typreceive, 0)::regprocedure::text,
		'send', NULLIF(t.typsend, 0)::regprocedure::text,
		'typmod', NULLIF(t.typmodin, 0)::regprocedure::text,
		NULLIF(t.typmodout, 0)::regprocedure::text,
		'analyze', NULLIF(t.typanalyze, 0)::regprocedure::text,
		'subscript', NULLIF(t.typsubscript, 0)::regprocedure::text,
		'element', NULLIF(t.typelem, 0)::regtype::text,
		'DEFAULT ' || t.typdefault)
	END AS definition,
	format_type(t.oid, NULL) || ARRAY(
		SELECT e.enumlabel::text FROM pg_catalog.pg_enum e
		WHERE e.enumtypid = t.oid) AS names,
	t.typowner AS owner,
	COALESCE(migrate.privileges_in_words(t.typacl, 'T', t.typowner), '') AS privileges
FROM pg_catalog.pg_type t
JOIN migrate.user_schemas n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
WHERE t.typtype <> 'm'
	/* not the row types of tables, nor the array that every type has */
	AND (t.typrelid = 0 OR (
		SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))
	AND NOT EXISTS (
		SELECT FROM pg_catalog.pg_type e
		WHERE e.oid = t.typelem AND e.typarray = t.oid)
	AND NOT EXISTS (
		SELECT FROM pg_catalog.pg_depend e
		WHERE e.classid = 'pg_catalog.pg_type'::regclass AND e.objid = t.oid
			AND e.deptype = 'e');
COMMENT ON VIEW migrate.schema_types IS
	'enums, domains, ranges and base types in words; of a composite type the privileges count here';

CREATE VIEW migrate.schema_operators AS
SELECT 'pg_catalog.pg_operator'::regclass::oid AS classid, o.oid AS objid,
	'operator' AS kind, o.oid::regoperator::text AS identity,
	concat_ws(' ', o.oprcode::regprocedure::text, o.oprresult::regtype::text,
		'commutator', NULLIF(o.oprcom, 0)::regoperator::text,
		'negator', NULLIF(o.oprnegate, 0)::regoperator::text,
		'restrict', NULLIF(o.oprrest, 0)::regprocedure::text,
		'join', NULLIF(o.oprjoin, 0)::regprocedure::text,
		o.oprcanmerge, o.oprcanhash) AS definition,
	o.oprowner AS owner
FROM pg_catalog.pg_operator o
JOIN migrate.user_schemas n ON n.oid = o.oprnamespace
UNION ALL
SELECT 'pg_catalog.pg_opfamily'::regclass::oid, f.oid, 'operator family',
	i.identity, concat_ws(E'\n', (
		SELECT string_agg(concat_ws(' ', 'OPERATOR', a.amopstrategy,
				a.amopopr::regoperator::text, a.amoppurpose),
			', ' ORDER BY a.amopstrategy, a.amopopr::regoperator::text COLLATE "C")
		FROM pg_catalog.pg_amop a WHERE a.amopfamily = f.oid), (
		SELECT string_agg(concat_ws(' ', 'FUNCTION', a.amprocnum,
				format_type(a.amproclefttype, NULL),
				format_type(a.amprocrighttype, NULL),
				a.amproc::regprocedure::text),
			', ' ORDER BY a.amprocnum, a.amproc::regprocedure::text COLLATE "C")
		FROM pg_catalog.pg_amproc a WHERE a.amprocfamily = f.oid)),
	f.opfowner
FROM pg_catalog.pg_opfamily f
JOIN migrate.user_schemas n ON n.oid = f.opfnamespace,
	pg_identify_object('pg_catalog.pg_opfamily'::regclass, f.oid, 0) i
UNION ALL
SELECT 'pg_catalog.pg_opclass'::regclass::oid, c.oid, 'operator class',
	i.identity, concat_ws(' ', c.opcintype::regtype::text,
		CASE WHEN c.opcdefault THEN 'DEFAULT' END,
		'STORAGE ' || NULLIF(c.opckeytype, 0)::regtype::text,
		'FAMILY', f.identity),
	c.opcowner
FROM pg_catalog.pg_opclass c
JOIN migrate.user_schemas n ON n.oid = c.opcnamespace,
	pg_identify_object('pg_catalog.pg_opclass'::regclass, c.oid, 0) i,
	pg_identify_object('pg_catalog.pg_opfamily'::regclass, c.opcfamily, 0) f;
COMMENT ON VIEW migrate.schema_operators IS
	'operators, their classes and families in words';

CREATE VIEW migrate.schema_text_search AS
SELECT 'pg_catalog.pg_collation'::regclass::oid AS classid, c.oid AS objid,
	'collation' AS kind, c.oid::regcollation::text AS identity,
	/* 17 renamed a column, 16 added one */
	concat_ws(' ', c.collprovider, c.collisdeterministic, c.collencoding,
		c.collcollate, c.collctype,
		to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale',
		'RULES ' || (to_jsonb(c) ->> 'collicurules')) AS definition,
	c.collowner AS owner
FROM pg_catalog.pg_collation c
JOIN migrate.user_schemas n ON n.oid = c.collnamespace
UNION ALL
SELECT 'pg_catalog.pg_conversion'::regclass::oid, c.oid, 'conversion',
	concat(quote_ident(n.nspname), '.', quote_ident(c.conname)),
	concat_ws(' ', pg_encoding_to_char(c.conforencoding),
		pg_encoding_to_char(c.contoencoding), c.conproc::regprocedure::text,
		CASE WHEN c.condefault THEN 'DEFAULT' END),
	c.conowner
FROM pg_catalog.pg_conversion c
JOIN migrate.user_schemas n ON n.oid = c.connamespace
UNION ALL
SELECT 'pg_catalog.pg_ts_config'::regclass::oid, c.oid, 'text search configuration',
	c.oid::regconfig::text,
	concat(quote_ident(pn.nspname), '.', quote_ident(p.prsname), ' ', (
		SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapdict::regdictionary::text),
			', ' ORDER BY m.maptokentype, m.mapseqno)
		FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = c.oid)),
	c.cfgowner
FROM pg_catalog.pg_ts_config c
JOIN migrate.user_schemas n ON n.oid = c.cfgnamespace
JOIN pg_catalog.pg_ts_parser p ON p.oid = c.cfgparser
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.prsnamespace
UNION ALL
SELECT 'pg_catalog.pg_ts_dict'::regclass::oid, d.oid, 'text search dictionary',
	d.oid::regdictionary::text,
	concat_ws(' ', i.identity, d.dictinitoption), d.dictowner
FROM pg_catalog.pg_ts_dict d
JOIN migrate.user_schemas n ON n.oid = d.dictnamespace,
	pg_identify_object('pg_catalog.pg_ts_template'::regclass, d.dicttemplate, 0) i
UNION ALL
SELECT 'pg_catalog.pg_ts_parser'::regclass::oid, p.oid, 'text search parser',
	concat(quote_ident(n.nspname), '.', quote_ident(p.prsname)),
	concat_ws(' ', p.prsstart::oid::regprocedure::text, p.prstoken::oid::regprocedure::text,
		p.prsend::oid::regprocedure::text, p.prslextype::oid::regprocedure::text,
		NULLIF(p.prsheadline::oid, 0)::regprocedure::text),
	NULL
FROM pg_catalog.pg_ts_parser p
JOIN migrate.user_schemas n ON n.oid = p.prsnamespace
UNION ALL
SELECT 'pg_catalog.pg_ts_template'::regclass::oid, t.oid, 'text search template',
	concat(quote_ident(n.nspname), '.', quote_ident(t.tmplname)),
	concat_ws(' ', NULLIF(t.tmplinit::oid, 0)::regprocedure::text,
		t.tmpllexize::oid::regprocedure::text),
	NULL
FROM pg_catalog.pg_ts_template t
JOIN migrate.user_schemas n ON n.oid = t.tmplnamespace;
COMMENT ON VIEW migrate.schema_text_search IS
	'collations, conversions and the objects of text search in words';

/* Those without a schema: what initdb has made has a low number. */
CREATE VIEW migrate.schema_globals AS
SELECT 'pg_catalog.pg_namespace'::regclass::oid AS classid, n.oid AS objid,
	'schema' AS kind, quote_ident(n.nspname) AS identity, '' AS definition,
	n.nspowner AS owner,
	COALESCE(migrate.privileges_in_words(n.nspacl, 'n', n.nspowner), '') AS privileges
FROM migrate.user_schemas n
UNION ALL
SELECT 'pg_catalog.pg_extension'::regclass::oid, e.oid, 'extension',
	quote_ident(e.extname),
	concat(e.extversion, ' ', quote_ident(n.nspname)), NULL::oid, NULL
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'safe_migrate'
UNION ALL
SELECT 'pg_catalog.pg_language'::regclass::oid, l.oid, 'language',
	quote_ident(l.lanname), concat_ws(' ', l.lanpltrusted,
		NULLIF(l.lanplcallfoid, 0)::regprocedure::text,
		NULLIF(l.laninline, 0)::regprocedure::text,
		NULLIF(l.lanvalidator, 0)::regprocedure::text), l.lanowner,
	COALESCE(migrate.privileges_in_words(l.lanacl, 'l', l.lanowner), '')
FROM pg_catalog.pg_language l
WHERE l.oid >= 16384
UNION ALL
SELECT 'pg_catalog.pg_am'::regclass::oid, a.oid, 'access method',
	quote_ident(a.amname),
	concat_ws(' ', a.amtype, a.amhandler::oid::regprocedure::text), NULL, NULL
FROM pg_catalog.pg_am a
WHERE a.oid >= 16384
UNION ALL
SELECT 'pg_catalog.pg_cast'::regclass::oid, c.oid, 'cast',
	concat('(', format_type(c.castsource, NULL), ' AS ',
		format_type(c.casttarget, NULL), ')'),
	concat_ws(' ', NULLIF(c.castfunc, 0)::regprocedure::text, c.castcontext,
		c.castmethod), NULL, NULL
FROM pg_catalog.pg_cast c
WHERE c.oid >= 16384
UNION ALL
SELECT 'pg_catalog.pg_transform'::regclass::oid, t.oid, 'transform',
	replace(i.identity, 'pg_catalog.', ''),
	concat_ws(' ', NULLIF(t.trffromsql::oid, 0)::regprocedure::text, 'to',
		NULLIF(t.trftosql::oid, 0)::regprocedure::text), NULL, NULL
FROM pg_catalog.pg_transform t,
	pg_identify_object('pg_catalog.pg_transform'::regclass, t.oid, 0) i
UNION ALL
SELECT 'pg_catalog.pg_event_trigger'::regclass::oid, t.oid, 'event trigger',
	quote_ident(t.evtname), concat_ws(' ', t.evtevent,
		t.evtfoid::regprocedure::text, NULLIF(t.evtenabled, 'O'), (
			SELECT string_agg(g.tag, ', ' ORDER BY g.tag COLLATE "C")
			FROM unnest(t.evttags) g (tag))), t.evtowner, NULL
FROM pg_catalog.pg_event_trigger t
UNION ALL
SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass::oid, w.oid,
	'foreign-data wrapper', quote_ident(w.fdwname), concat_ws(' ',
		NULLIF(w.fdwhandler, 0)::regprocedure::text,
		'validator', NULLIF(w.fdwvalidator, 0)::regprocedure::text,
		migrate.options_in_words(w.fdwoptions)), w.fdwowner,
	COALESCE(migrate.privileges_in_words(w.fdwacl, 'F', w.fdwowner), '')
FROM pg_catalog.pg_foreign_data_wrapper w
UNION ALL
SELECT 'pg_catalog.pg_foreign_server'::regclass::oid, s.oid, 'server',
	quote_ident(s.srvname), concat_ws(' ', (
			SELECT quote_ident(w.fdwname)
			FROM pg_catalog.pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw),
		'TYPE', s.srvtype, 'VERSION', s.srvversion,
		migrate.options_in_words(s.srvoptions)), s.srvowner,
	COALESCE(migrate.privileges_in_words(s.srvacl, 'S', s.srvowner), '')
FROM pg_catalog.pg_foreign_server s
UNION ALL
SELECT 'pg_catalog.pg_publication'::regclass::oid, p.oid, 'publication',
	quote_ident(p.pubname), concat_ws(E'\n',
		concat_ws(' ', CASE WHEN p.puballtables THEN 'ALL TABLES' END,
			p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
			/* 18, 19 */
			'GENERATED ' || NULLIF(to_jsonb(p) ->> 'pubgencols', 'n'),
			'SEQUENCES ' || NULLIF(to_jsonb(p) ->> 'puballsequences', 'false')), (
			SELECT string_agg(concat_ws(' ', r.prrelid::regclass::text,
					(SELECT array_agg(quote_ident(a.attname) ORDER BY a.attnum)
					 FROM pg_catalog.pg_attribute a
					 WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)),
					'WHERE ' || pg_get_expr(r.prqual, r.prrelid),
					CASE WHEN (to_jsonb(r) ->> 'prexcept')::boolean THEN 'EXCEPT' END),
				', ' ORDER BY r.prrelid::regclass::text COLLATE "C")
			FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid), (
			SELECT 'SCHEMA ' || string_agg(s.pnnspid::regnamespace::text,
				', ' ORDER BY s.pnnspid::regnamespace::text COLLATE "C")
			FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = p.oid)),
	p.pubowner, NULL
FROM pg_catalog.pg_publication p
UNION ALL
SELECT 'pg_catalog.pg_default_acl'::regclass::oid, d.oid, 'default privileges',
	i.identity, '', NULL,
	COALESCE(CASE WHEN d.defaclnamespace = 0
		THEN migrate.privileges_in_words(d.defaclacl,
			CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)
		ELSE (
			SELECT string_agg(x::text, ', ' ORDER BY x::text COLLATE "C")
			FROM unnest(d.defaclacl) x) END, '')
FROM pg_catalog.pg_default_acl d,
	pg_identify_object('pg_catalog.pg_default_acl'::regclass, d.oid, 0) i
UNION ALL
SELECT 'pg_catalog.pg_statistic_ext'::regclass::oid, s.oid, 'statistics',
	concat(quote_ident(n.nspname), '.', quote_ident(s.stxname)),
	concat_ws(' ', pg_get_statisticsobjdef(s.oid),
		NULLIF((to_jsonb(s) ->> 'stxstattarget')::int, -1)), s.stxowner, NULL
FROM pg_catalog.pg_statistic_ext s
JOIN migrate.user_schemas n ON n.oid = s.stxnamespace;
COMMENT ON VIEW migrate.schema_globals IS
	'objects without a schema in words: extensions, casts, publications and the like';

/*
 * A list of varchar literals is shown in one way when it comes from what the
 * user wrote, and in another when it comes from a dump of that.
 */
CREATE FUNCTION migrate.settled_definition(definition text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(regexp_replace(definition,
		$$\(('(?:[^']|'')*'::character varying)\)::text$$, '\1', 'g'),
	$$\((ARRAY\[(?:'(?:[^']|'')*'::character varying(?:, )?)+\])\)::text\[\]$$, '\1', 'g');
COMMENT ON FUNCTION migrate.settled_definition(text) IS
	'the definition of an object as it will be after a dump and restore';

CREATE VIEW migrate.schema_definitions AS
SELECT d.classid, d.objid, d.kind, d.identity, d.unit, d.names,
	pg_get_userbyid(d.owner)::text AS owner, d.privileges,
	CASE WHEN d.definition LIKE '%::character varying%'
		THEN migrate.settled_definition(d.definition)
		ELSE d.definition END AS definition
FROM (
	SELECT 'pg_catalog.pg_class'::regclass::oid AS classid, t.objid, t.kind,
		t.identity, t.identity AS unit, t.definition, t.names, t.owner,
		t.privileges
	FROM migrate.schema_tables t
	UNION ALL
	SELECT 'pg_catalog.pg_class'::regclass::oid, s.objid, 'sequence',
		s.identity, s.identity, s.definition, ARRAY[s.identity], s.owner,
		s.privileges
	FROM migrate.schema_sequences s
	UNION ALL
	SELECT 'pg_catalog.pg_class'::regclass::oid, p.objid, p.kind,
		p.identity, p.unit, p.definition, ARRAY[p.identity], NULL, NULL
	FROM migrate.schema_parts p
	UNION ALL
	SELECT 'pg_catalog.pg_proc'::regclass::oid, f.objid, f.kind,
		f.identity, f.identity, f.definition, f.names, f.owner, f.privileges
	FROM migrate.schema_functions f
	UNION ALL
	SELECT 'pg_catalog.pg_type'::regclass::oid, t.objid, t.kind,
		t.identity, t.identity, t.definition, t.names, t.owner, t.privileges
	FROM migrate.schema_types t
	UNION ALL
	SELECT o.classid, o.objid, o.kind, o.identity, o.identity, o.definition,
		ARRAY[o.identity], o.owner, ''
	FROM migrate.schema_operators o
	WHERE NOT migrate.is_extension_member(o.classid, o.objid)
	UNION ALL
	SELECT t.classid, t.objid, t.kind, t.identity, t.identity, t.definition,
		ARRAY[t.identity], t.owner, ''
	FROM migrate.schema_text_search t
	WHERE NOT migrate.is_extension_member(t.classid, t.objid)
	UNION ALL
	SELECT g.classid, g.objid, g.kind, g.identity, g.identity, g.definition,
		ARRAY[g.identity], g.owner, g.privileges
	FROM migrate.schema_globals g
	WHERE NOT migrate.is_extension_member(g.classid, g.objid)) d;
COMMENT ON VIEW migrate.schema_definitions IS
	'all objects that count for the fingerprint, in words; names are qualified only where search_path is pg_catalog alone';

/*
 * What mentions an object in its definition.  Of a table what depends on its
 * row type as well, and on the array of that.
 */
CREATE FUNCTION migrate.dependents(class oid, object oid)
RETURNS TABLE (classid oid, objid oid)
LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
	WITH RECURSIVE dependents AS (
		SELECT p.classid, p.objid
		FROM pg_catalog.pg_depend p
		WHERE p.refclassid = class AND p.refobjid = object
			AND p.deptype <> 'e'
		UNION
		SELECT p.classid, p.objid
		FROM dependents d
		JOIN pg_catalog.pg_depend p
			ON p.refclassid = d.classid AND p.refobjid = d.objid
		WHERE d.classid = 'pg_catalog.pg_type'::regclass AND p.deptype <> 'e')
	SELECT DISTINCT u.classid, u.objid
	FROM dependents d
	CROSS JOIN LATERAL (
		SELECT d.classid,
			COALESCE((SELECT x.indrelid FROM pg_catalog.pg_index x
					  WHERE x.indexrelid = d.objid), d.objid)
		WHERE d.classid = 'pg_catalog.pg_class'::regclass
		UNION ALL
		SELECT CASE o.conrelid WHEN 0 THEN 'pg_catalog.pg_type'::regclass
				ELSE 'pg_catalog.pg_class'::regclass END,
			CASE o.conrelid WHEN 0 THEN o.contypid ELSE o.conrelid END
		FROM pg_catalog.pg_constraint o
		WHERE d.classid = 'pg_catalog.pg_constraint'::regclass AND o.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_class'::regclass::oid, a.adrelid
		FROM pg_catalog.pg_attrdef a
		WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_class'::regclass::oid, r.ev_class
		FROM pg_catalog.pg_rewrite r
		WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_class'::regclass::oid, t.tgrelid
		FROM pg_catalog.pg_trigger t
		WHERE d.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_class'::regclass::oid, y.polrelid
		FROM pg_catalog.pg_policy y
		WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND y.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_publication'::regclass::oid, r.prpubid
		FROM pg_catalog.pg_publication_rel r
		WHERE d.classid = 'pg_catalog.pg_publication_rel'::regclass AND r.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_publication'::regclass::oid, s.pnpubid
		FROM pg_catalog.pg_publication_namespace s
		WHERE d.classid = 'pg_catalog.pg_publication_namespace'::regclass
			AND s.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_opfamily'::regclass::oid, a.amopfamily
		FROM pg_catalog.pg_amop a
		WHERE d.classid = 'pg_catalog.pg_amop'::regclass AND a.oid = d.objid
		UNION ALL
		SELECT 'pg_catalog.pg_opfamily'::regclass::oid, a.amprocfamily
		FROM pg_catalog.pg_amproc a
		WHERE d.classid = 'pg_catalog.pg_amproc'::regclass AND a.oid = d.objid
		UNION ALL
		SELECT d.classid, d.objid
		WHERE d.classid NOT IN ('pg_catalog.pg_class'::regclass,
			'pg_catalog.pg_constraint'::regclass,
			'pg_catalog.pg_attrdef'::regclass,
			'pg_catalog.pg_rewrite'::regclass,
			'pg_catalog.pg_trigger'::regclass,
			'pg_catalog.pg_policy'::regclass,
			'pg_catalog.pg_publication_rel'::regclass,
			'pg_catalog.pg_publication_namespace'::regclass,
			'pg_catalog.pg_amop'::regclass,
			'pg_catalog.pg_amproc'::regclass)) u (classid, objid);
END;
COMMENT ON FUNCTION migrate.dependents(oid, oid) IS
	'objects whose definitions may name an object';

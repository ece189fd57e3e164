# What the schemas of the fuzzer contain at the moment, read by one prepared
# query of the catalogs alone: no relation of the fuzzer's is locked by it.
#
#     $catalog->{relations}   each with {columns}, {constraints}, {indexes}, ...
#     $catalog->{types}       domains, enums, composite types, ranges
#     $catalog->{functions}, {publications}, {statistics}
#
# All lists are in the order of names, so that choices do not depend on OIDs.

package Catalog;

use strict;
use warnings;

# The columns that follow the number of the part and the order in it.
my @parts = (
	{
		name => 'relation',
		fields => [
			qw(oid schema name kind persistence is_partition strategy of
			  row_security am tablespace owner bound partattrs populated)
		],
		sql => q{
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence,
	c.relispartition, p.partstrat,
	CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END,
	c.relrowsecurity, a.amname, s.spcname, pg_get_userbyid(c.relowner),
	CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
	p.partattrs, c.relispopulated
FROM pg_class c JOIN ours n ON n.oid = c.relnamespace
	LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
	LEFT JOIN pg_am a ON a.oid = c.relam
	LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
WHERE c.relkind <> 't' AND c.oid >= 16384
ORDER BY n.nspname, c.relname},
	},
	{
		name => 'column',
		fields => [
			qw(relation name number family typtype type not_null identity
			  generated has_default local inherited collation base dims element)
		],
		sql => q{
SELECT a.attrelid, a.attname, a.attnum, t.typname, t.typtype,
	format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
	a.attgenerated, a.atthasdef, a.attislocal, a.attinhcount,
	(SELECT collname FROM pg_collation o WHERE o.oid = a.attcollation),
	b.typname, a.attndims, e.typname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	JOIN ours n ON n.oid = c.relnamespace
	JOIN pg_type t ON t.oid = a.atttypid
	LEFT JOIN pg_type b ON b.oid = t.typbasetype
	LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'c')
ORDER BY a.attrelid, a.attnum},
	},
	{
		name => 'constraint',
		fields => [
			qw(relation type name kind valid deferrable no_inherit foreign local
			  inherited is_child enforced keys index check period)
		],
		sql => q{
SELECT o.conrelid, o.contypid, o.conname, o.contype, o.convalidated,
	o.condeferrable, o.connoinherit, o.confrelid, o.conislocal, o.coninhcount,
	o.conparentid <> 0, $conenforced, o.conkey, o.conindid,
	CASE WHEN o.contype = 'c' AND o.conrelid <> 0 THEN pg_get_expr(o.conbin, o.conrelid) END,
	$conperiod
FROM pg_constraint o JOIN ours n ON n.oid = o.connamespace
WHERE o.contype <> 't'
ORDER BY n.nspname, o.conname, o.oid},
	},
	{
		name => 'index',
		fields => [
			qw(oid relation unique primary exclusion immediate valid clustered
			  keys key_count partial expression constraint replica_identity)
		],
		sql => q{
SELECT i.indexrelid, i.indrelid, i.indisunique, i.indisprimary,
	i.indisexclusion, i.indimmediate, i.indisvalid, i.indisclustered,
	i.indkey, i.indnkeyatts, i.indpred IS NOT NULL, i.indexprs IS NOT NULL,
	EXISTS (SELECT FROM pg_constraint o
		WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x')),
	i.indisreplident
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	JOIN ours n ON n.oid = c.relnamespace
ORDER BY n.nspname, c.relname},
	},
	{
		name => 'inherits',
		fields => [qw(child parent)],
		sql => q{
SELECT h.inhrelid, h.inhparent
FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
	JOIN ours n ON n.oid = c.relnamespace
ORDER BY h.inhparent, c.relname},
	},
	{
		name => 'trigger',
		fields => [qw(relation name is_child)],
		sql => q{
SELECT g.tgrelid, g.tgname, g.tgparentid <> 0
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
	JOIN ours n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal
ORDER BY g.tgname},
	},
	{
		name => 'rule',
		fields => [qw(relation name)],
		sql => q{
SELECT r.ev_class, r.rulename
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
	JOIN ours n ON n.oid = c.relnamespace
WHERE r.ev_class >= 16384 AND r.rulename <> '_RETURN'
ORDER BY r.rulename},
	},
	{
		name => 'policy',
		fields => [qw(relation name)],
		sql => q{
SELECT p.polrelid, p.polname
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
	JOIN ours n ON n.oid = c.relnamespace
ORDER BY p.polname},
	},
	{
		name => 'type',
		fields => [qw(oid schema name typtype base not_null labels relation)],
		sql => q{
SELECT t.oid, n.nspname, t.typname, t.typtype,
	CASE WHEN t.typtype = 'd' THEN (SELECT typname FROM pg_type b WHERE b.oid = t.typbasetype)
		WHEN t.typtype = 'r' THEN (SELECT typname FROM pg_range r JOIN pg_type b
			ON b.oid = r.rngsubtype WHERE r.rngtypid = t.oid) END,
	t.typnotnull,
	(SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum e
		WHERE e.enumtypid = t.oid),
	t.typrelid
FROM pg_type t JOIN ours n ON n.oid = t.typnamespace
	LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.oid >= 16384 AND (t.typtype IN ('d', 'e', 'r') OR t.typtype = 'c' AND c.relkind = 'c')
ORDER BY n.nspname, t.typname},
	},
	{
		name => 'function',
		fields => [qw(schema name kind)],
		sql => q{
SELECT n.nspname, p.proname, p.prokind
FROM pg_proc p JOIN ours n ON n.oid = p.pronamespace
	LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		AND d.deptype = 'i'
WHERE p.oid >= 16384 AND d.objid IS NULL
ORDER BY n.nspname, p.proname, p.oid},
	},
	{
		name => 'statistics',
		fields => [qw(schema name relation)],
		sql => q{
SELECT n.nspname, s.stxname, s.stxrelid
FROM pg_statistic_ext s JOIN ours n ON n.oid = s.stxnamespace
ORDER BY n.nspname, s.stxname},
	},
	{
		name => 'publication',
		fields => [qw(name)],
		sql => q{SELECT pubname FROM pg_publication ORDER BY pubname},
	},
	{
		name => 'sequence',
		fields => [qw(oid relation deptype)],
		sql => q{
SELECT d.objid, d.refobjid, d.deptype
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
	JOIN ours n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass
	AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
	AND d.deptype IN ('a', 'i')
ORDER BY c.relname},
	});

# The statement that prepares the query.
sub preparation
{
	my ($version) = @_;
	my $width = 0;
	my @selects;

	foreach my $part (@parts)
	{
		$width = @{ $part->{fields} } if @{ $part->{fields} } > $width;
	}
	foreach my $i (0 .. $#parts)
	{
		my $fields = scalar @{ $parts[$i]{fields} };
		my $sql = $parts[$i]{sql};

		$sql =~ s/\$conenforced/$version >= 180000 ? 'o.conenforced' : 'true'/e;
		$sql =~ s/\$conperiod/$version >= 180000 ? 'o.conperiod' : 'false'/e;
		push @selects,
		    "SELECT $i, row_number() OVER (), "
		  . join(', ',
			map { $_ <= $fields ? "v$_\::text" : 'NULL' } 1 .. $width)
		  . " FROM ($sql) x("
		  . join(', ', map { "v$_" } 1 .. $fields) . ')';
	}
	return q{PREPARE catalog AS WITH ours AS (
SELECT oid, CASE WHEN nspname LIKE 'pg_temp%' THEN 'pg_temp' ELSE nspname END AS nspname
FROM pg_namespace WHERE nspname IN ('f', 'g') OR oid = pg_my_temp_schema())
} . join("\nUNION ALL\n", @selects) . "\nORDER BY 1, 2";
}

# Everything, as it is now in this session.
sub read_from
{
	my ($session) = @_;
	my %found = map { $_->{name} => [] } @parts;

	foreach my $row ($session->rows('EXECUTE catalog'))
	{
		my ($i, undef, @values) = @$row;
		my $fields = $parts[$i]{fields};
		my %object;

		@object{@$fields} = @values;
		foreach my $value (values %object)
		{
			$value = 0 if $value eq 'false';
		}
		push @{ $found{ $parts[$i]{name} } }, \%object;
	}
	return connect_parts(\%found);
}

sub connect_parts
{
	my ($found) = @_;
	my %by_oid = map { $_->{oid} => $_ } @{ $found->{relation} };

	foreach my $object (map { @{ $found->{$_} } } qw(relation type function statistics))
	{
		$object->{sql} = "$object->{schema}.$object->{name}";
	}
	foreach my $relation (@{ $found->{relation} })
	{
		$relation->{$_} = []
		  foreach qw(columns constraints indexes triggers rules policies parents children);
	}
	foreach my $list (
		[ 'column', 'columns' ],
		[ 'constraint', 'constraints' ],
		[ 'trigger', 'triggers' ],
		[ 'rule', 'rules' ],
		[ 'policy', 'policies' ])
	{
		foreach my $object (@{ $found->{ $list->[0] } })
		{
			my $relation = $by_oid{ $object->{relation} } or next;

			push @{ $relation->{ $list->[1] } }, $object;
		}
	}
	connect_indexes($found, \%by_oid);
	connect_families($found, \%by_oid);
	connect_types($found, \%by_oid);
	return {
		relations => $found->{relation},
		by_oid => \%by_oid,
		types => $found->{type},
		functions => $found->{function},
		statistics => $found->{statistics},
		publications => $found->{publication},
	};
}

sub connect_indexes
{
	my ($found, $by_oid) = @_;

	foreach my $index (@{ $found->{index} })
	{
		my $relation = $by_oid->{ $index->{relation} } or next;
		my $itself = $by_oid->{ $index->{oid} } or next;
		my %column = map { $_->{number} => $_ } @{ $relation->{columns} };
		my @numbers = split / /, $index->{keys};

		$index->{columns} =
		  [ grep { defined } map { $column{$_} } @numbers[ 0 .. $index->{key_count} - 1 ] ];
		@$index{qw(name schema kind sql am is_partition tablespace)} =
		  @$itself{qw(name schema kind sql am is_partition tablespace)};
		$index->{table} = $relation;
		$itself->{index} = $index;
		push @{ $relation->{indexes} }, $index;
	}
	return;
}

sub connect_families
{
	my ($found, $by_oid) = @_;

	foreach my $link (@{ $found->{inherits} })
	{
		my ($child, $parent) = map { $by_oid->{$_} } @$link{qw(child parent)};

		next unless $child && $parent;
		push @{ $child->{parents} }, $parent;
		push @{ $parent->{children} }, $child;
	}
	foreach my $sequence (@{ $found->{sequence} })
	{
		my $itself = $by_oid->{ $sequence->{oid} } or next;

		$itself->{owned} = $sequence->{deptype};
	}
	return;
}

sub connect_types
{
	my ($found, $by_oid) = @_;
	my %type = map { $_->{oid} => $_ } @{ $found->{type} };

	foreach my $type (@{ $found->{type} })
	{
		$type->{constraints} = [];
		$type->{labels} = [ split / /, $type->{labels} ];
		$type->{columns} =
		  $type->{relation} && $by_oid->{ $type->{relation} }
		  ? $by_oid->{ $type->{relation} }{columns}
		  : [];
	}
	foreach my $constraint (@{ $found->{constraint} })
	{
		my $type = $type{ $constraint->{type} } or next;

		push @{ $type->{constraints} }, $constraint;
	}
	return;
}

1;

# What a database is, seen from outside, for the tests of restore points: a
# dump, the rows of the system catalogs, the rows of all tables; and whether
# its files are in order.
#
#     my $check = RollbackCheck->new($node, 'database');
#     my $before = $check->state;
#     ...
#     is($check->difference($before, $check->state), '', 'the same schema');
#     is($check->corruption, '', 'amcheck is content');

package RollbackCheck;

use strict;
use warnings;

use PostgreSQL::Test::Utils;

# What VACUUM, storage or the way there decides, and no definition.
my $incidental = join ',', qw(
  relfilenode relfrozenxid relminmxid relpages reltuples relallvisible
  relallfrozen reltoastrelid relhasindex relhasrules relhastriggers
  relhassubclass relnatts attcacheoff atthasmissing attmissingval indcheckxmin
  reltype xmin);

# Relations whose rows are data.
my $data_relations = q{
	c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
	AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'migrate')};

sub new
{
	my ($class, $node, $database) = @_;
	my $self = bless { node => $node, database => $database }, $class;

	# of the catalogs, what is younger than this, and not as it was then
	$self->{since} = $node->safe_psql($database, 'SELECT pg_current_xact_id()');
	$self->{known} = { map { $_ => 1 } split /\n/, $self->catalog('') };
	$self->{has_amcheck} = $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'");
	return $self;
}

# The same database of another server.
sub on
{
	my ($self, $node) = @_;

	return bless { %$self, node => $node }, ref $self;
}

# Run a script; what went wrong, or nothing.
sub failure
{
	my ($self, $script) = @_;
	my ($status, $out, $err);

	$status = $self->{node}->psql(
		$self->{database}, $script,
		stdout => \$out,
		stderr => \$err,
		on_error_stop => 1,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return '' if $status == 0;
	return $err eq '' ? "psql ended with $status" : $err;
}

sub query
{
	my ($self, $query) = @_;
	my ($out, $err);
	my $status = $self->{node}->psql($self->{database}, $query, stdout => \$out, stderr => \$err);

	return $status == 0 ? $out : "failed: $err";
}

# ---- what there is

sub state
{
	my ($self) = @_;

	return {
		dump => $self->dump,
		catalog => $self->catalog,
		rows => $self->rows
	};
}

sub dump
{
	my ($self) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[ 'pg_dump', '-s', '-d', $self->{node}->connstr($self->{database}) ],
		'>', \$out, '2>', \$err);
	$out =~ s/^\\(un)?restrict .*\n//gm;
	return $out . $err;
}

# The rows of the system catalogs, one line each, with their OIDs; without those
# that have been the same all the time.
sub catalog
{
	my ($self, $condition) = @_;

	$condition //= "WHERE x.xmin::text::bigint >= $self->{since}";
	$self->{catalog_query} //= 'SET search_path = pg_catalog; ' . $self->query(qq{
SELECT string_agg(format('SELECT %L || (to_jsonb(x) - %L::text[])::text FROM %s x :condition',
	relname || ' ', '{$incidental}', CASE relname WHEN 'pg_shdepend'
		THEN '(SELECT xmin, s.* FROM pg_shdepend s WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))'
		ELSE quote_ident(relname) END), ' UNION ALL ')
FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
	AND (NOT relisshared OR relname IN ('pg_shdepend', 'pg_shdescription', 'pg_shseclabel'))
	AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject')});
	return join "\n", grep { !$self->{known}{$_} } split /\n/,
	  $self->query($self->{catalog_query} =~ s/:condition/$condition/gr);
}

# The rows of all tables, each with its table.
sub rows
{
	my ($self) = @_;

	return join "\n", sort grep { $_ ne '' } split /\n/, $self->query(qq{
SET row_security = off;
SELECT format('SELECT %L || CASE WHEN length(x) < 2000 THEN x ELSE md5(x) || length(x) END FROM
	(SELECT to_jsonb(y)::text AS x FROM ONLY %s y) y', c.oid::regclass || ' ', c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE $data_relations \\gexec
});
}

# Name, last value and state of each sequence.
sub sequences
{
	my ($self) = @_;

	return map { [ split /\|/ ] } split /\n/, $self->query(q{
SELECT format('SELECT %L, last_value, is_called FROM %s', c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'S' AND nspname !~ '^pg_' AND nspname <> 'migrate' ORDER BY c.oid::regclass::text \gexec
});
}

# ---- comparisons

# Lines that only one of both has, .
sub line_difference
{
	my ($before, $after) = @_;
	my (%count, @difference);

	$count{$_}-- foreach split /\n/, $before;
	$count{$_}++ foreach split /\n/, $after;
	foreach my $line (sort keys %count)
	{
		my $sign = $count{$line} < 0 ? '-' : '+';

		push @difference, "$sign $line" for 1 .. abs $count{$line};
	}
	return @difference;
}

sub shown
{
	my ($title, @lines) = @_;

	return '' unless @lines;
	@lines = (@lines[0 .. 19], '...') if @lines > 21;
	return join "\n", $title, map({ substr s/"\w+": (null|""|false|"0"|0)(, )?//gr, 0, 600 } @lines), '';
}

# What is not the same schema any more: nothing, or a text.  A state may be without
# the catalogs.
sub difference
{
	my ($self, $before, $after) = @_;

	return shown('dump:', line_difference($before->{dump}, $after->{dump}))
	  . shown('catalogs:', $self->catalog_difference($before, $after));
}

sub row_difference
{
	my ($before, $after) = @_;

	return shown('rows:', line_difference($before, $after));
}

# Without what restore points own, toast relations, which come and go with the
# storage, schemas of temporary objects, and the places of dropped columns.
sub catalog_difference
{
	my ($self, $before, $after) = @_;
	return unless $before->{catalog} && $after->{catalog};
	my @lines = line_difference($before->{catalog}, $after->{catalog});
	my $migrate = $self->query("SELECT 'migrate'::regnamespace::oid");
	my %own;

	foreach my $state ($before, $after)
	{
		foreach ($state->{catalog} =~ /^pg_class .*/mg)
		{
			$own{$1} = 1 if /"oid": "(\d+)".*"relnamespace": "(?:99|$migrate)"/;
		}
		foreach ($state->{catalog} =~ /^pg_trigger .*"tgname": "\S*safe_migrate.*/mg)
		{
			$own{$1} = 1 if /"oid": "(\d+)"/;
		}
	}
	return grep { !is_own($_, \%own) } @lines;
}

sub is_own
{
	my ($line, $own) = @_;

	return 1 if $line =~ /^\+ pg_attribute .*"attisdropped": true/;
	return 1 if $line =~ /^. pg_namespace .*"nspname": "pg_(toast_)?temp_/;
	while ($line =~ /"(?:oid|objid|refobjid|attrelid|indexrelid|indrelid|conrelid|adrelid|tgrelid|objoid)": "?(\d+)/g)
	{
		return 1 if $own->{$1};
	}
	return 0;
}

# ---- the files

# What amcheck finds in the schemas of the users, or, with 'catalogs', in the
# system catalogs: nothing, or a text.
sub corruption
{
	my ($self, $where) = @_;
	my $catalogs = ($where // '') eq 'catalogs';
	my $schemas =
	  $catalogs
	  ? q{n.nspname = 'pg_catalog' AND c.relpersistence = 'p'}
	  : q{n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'migrate')};

	return '' unless $self->{has_amcheck};
	return $self->failure(qq{
CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA pg_catalog;
DO \$\$
DECLARE
	r record;
	f record;
BEGIN
	FOR r IN
		WITH heap AS (
			SELECT c.oid, c.reltoastrelid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
			WHERE $schemas AND relkind IN ('r', 'm') AND relpersistence <> 't'
				AND relam = (SELECT oid FROM pg_am WHERE amname = 'heap'))
		SELECT oid FROM heap UNION ALL SELECT reltoastrelid FROM heap WHERE reltoastrelid <> 0
	LOOP
		FOR f IN SELECT * FROM verify_heapam(r.oid, check_toast => true)
		LOOP
			RAISE 'heap %: block % offset % attribute %: %', r.oid::regclass, f.blkno, f.offnum, f.attnum, f.msg;
		END LOOP;
		FOR f IN
			SELECT indexrelid FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
			WHERE indrelid = r.oid AND indisvalid AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
		LOOP
			PERFORM bt_index_check(f.indexrelid, true);
		END LOOP;
	END LOOP;
END
\$\$}) =~ s/^/amcheck: /mr =~ s/^amcheck: \z//r;
}

# Files of the database that no row of pg_class knows, beyond those there were.
sub unknown_files
{
	my ($self) = @_;

	return $self->query(q{
CHECKPOINT;
WITH place AS (
	SELECT 'base/' || d.oid AS folder, 0::oid AS spc FROM pg_database d WHERE datname = current_database()
	UNION ALL
	SELECT format('pg_tblspc/%s/%s/%s', t.oid, v, d.oid), t.oid
	FROM pg_database d, pg_tablespace t, LATERAL pg_ls_dir('pg_tblspc/' || t.oid) v
	WHERE datname = current_database() AND spcname !~ '^pg_'),
file AS (
	SELECT folder, f.name, size, substring(f.name FROM '^\d+')::oid AS node
	FROM place, LATERAL pg_ls_dir(folder, true, false) AS f (name), LATERAL pg_stat_file(folder || '/' || f.name, true)
	WHERE f.name ~ '^\d+(_[a-z]+)?(\.\d+)?$')
SELECT count(*) FROM file
WHERE size > 0 AND node NOT IN (SELECT coalesce(pg_relation_filenode(oid), 0) FROM pg_class)});
}

1;

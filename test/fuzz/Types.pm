# The types of columns: how they are spelled, values that fit, what can be done
# with them.

package Types;

use strict;
use warnings;

# group: what expressions and checks there are.  indexes: letters of the access
# methods that have an operator class, see %METHODS.  to: families that values
# turn into without a USING clause.
our %FAMILIES = (
	bool => { literal => sub { $_[0] % 2 ? 'true' : 'false' }, indexes => 'b' },
	int2 => {
		group => 'number',
		spelled => ['smallint'],
		indexes => 'bhri',
		to => [qw(int4 int8 numeric float4 float8 text)],
	},
	int4 => {
		group => 'number',
		weight => 8,
		spelled => ['integer'],
		indexes => 'bhri',
		to => [qw(int2 int8 numeric float4 float8 text oid)],
	},
	int8 => {
		group => 'number',
		weight => 4,
		spelled => ['bigint'],
		indexes => 'bhri',
		to => [qw(int2 int4 numeric float8 text)],
	},
	numeric => {
		group => 'number',
		weight => 3,
		spelled => [
			'numeric', 'numeric(10,2)', 'numeric(12,2)', 'numeric(8,0)',
			'numeric(20,4)'
		],
		indexes => 'bhri',
		to => [qw(numeric numeric int4 int8 float8 text)],
	},
	float4 => {
		group => 'number',
		spelled => ['real'],
		indexes => 'bhri',
		to => [qw(float8 numeric text)],
	},
	float8 => {
		group => 'number',
		spelled => ['double precision'],
		indexes => 'bhri',
		to => [qw(float4 numeric text)],
	},
	oid => {
		literal => sub { 1000 + $_[0] },
		indexes => 'bhri',
		to => [qw(int4 int8)],
	},
	money => { literal => sub { "'$_[0].50'" }, indexes => 'bi', to => ['numeric'] },
	text => {
		group => 'text',
		weight => 6,
		indexes => 'bhriscp',
		to => [qw(varchar bpchar text name)],
	},
	varchar => {
		group => 'text',
		weight => 5,
		spelled => [qw(varchar varchar(8) varchar(20) varchar(200))],
		indexes => 'bhriscv',
		to => [qw(text varchar varchar bpchar)],
	},
	bpchar => {
		group => 'text',
		weight => 2,
		spelled => [qw(char(8) char(12) bpchar)],
		indexes => 'bhri',
		to => [qw(text varchar bpchar)],
	},
	name => { group => 'text', indexes => 'bh', to => [qw(text varchar)] },
	bytea => { literal => sub { sprintf q{'\\x%04x'}, $_[0] }, indexes => 'bhri' },
	date => {
		group => 'date',
		weight => 2,
		literal => sub { sprintf q{'2024-%02d-%02d'}, month_and_day($_[0]) },
		indexes => 'bhri',
		to => [qw(timestamp timestamptz text)],
	},
	timestamp => {
		group => 'timestamp',
		weight => 2,
		spelled => [ 'timestamp', 'timestamp(0)', 'timestamp(3)' ],
		literal => sub { sprintf q{'2024-%02d-%02d 01:02:03.45'}, month_and_day($_[0]) },
		indexes => 'bhri',
		to => [qw(timestamptz timestamptz timestamp date)],
	},
	timestamptz => {
		group => 'timestamptz',
		weight => 2,
		spelled => [ 'timestamptz', 'timestamptz(0)', 'timestamptz(3)' ],
		literal => sub { sprintf q{'2024-%02d-%02d 01:02:03.45+00'}, month_and_day($_[0]) },
		indexes => 'bhri',
		to => [qw(timestamp timestamp timestamptz date)],
	},
	time => {
		spelled => [ 'time', 'time(2)' ],
		literal => sub { sprintf q{'%02d:%02d:01.5'}, $_[0] / 60 % 24, $_[0] % 60 },
		indexes => 'bhri',
		to => [qw(time interval)],
	},
	timetz => {
		spelled => [ 'timetz', 'timetz(2)' ],
		literal => sub { sprintf q{'%02d:%02d:01.5+00'}, $_[0] / 60 % 24, $_[0] % 60 },
		indexes => 'bhri',
		to => [qw(time timetz)],
	},
	interval => {
		spelled => [ 'interval', 'interval(2)', 'interval day to second' ],
		literal => sub { "'$_[0] days'" },
		indexes => 'bhri',
		to => ['interval'],
	},
	bit => {
		spelled => ['bit(8)'],
		literal => sub { sprintf q{B'%08b'}, $_[0] % 256 },
		indexes => 'bi',
		to => [qw(varbit bit)],
	},
	varbit => {
		spelled => [ 'bit varying', 'bit varying(10)', 'bit varying(40)' ],
		literal => sub { sprintf q{B'%b'}, $_[0] % 256 },
		indexes => 'bi',
		to => ['varbit'],
	},
	json => { literal => sub { qq{'{"a": $_[0]}'} }, indexes => '', to => [qw(jsonb text)] },
	jsonb => {
		weight => 2,
		literal => sub { qq{'{"a": $_[0]}'} },
		indexes => 'bhg',
		to => [qw(json text)],
	},
	xml => { literal => sub { "'<a>$_[0]</a>'" }, indexes => '', to => ['text'] },
	inet => {
		literal => sub { "'10.0.0." . $_[0] % 256 . q{'} },
		indexes => 'bhriS',
		to => [qw(cidr text)],
	},
	cidr => {
		literal => sub { "'10." . $_[0] % 256 . q{.0.0/16'} },
		indexes => 'bhriS',
		to => [qw(inet inet text)],
	},
	macaddr => { literal => sub { sprintf q{'08:00:2b:01:02:%02x'}, $_[0] % 256 }, indexes => 'bhri' },
	uuid => {
		literal => sub { sprintf q{'a0eebc99-9c0b-4ef8-bb6d-%012d'}, $_[0] },
		indexes => 'bhri',
		to => ['text'],
	},
	point => { literal => sub { "'($_[0],1)'" }, indexes => 'Is' },
	tsvector => { literal => sub { "'v$_[0]'" }, indexes => 'bgI' },
	int4range => {
		group => 'range',
		literal => sub { "'[$_[0]," . ($_[0] + 1) . q{)'} },
		indexes => 'bhIs',
		to => ['text'],
	},
	daterange => {
		group => 'range',
		literal => sub { sprintf q{'[2024-%02d-%02d,2025-01-01)'}, month_and_day($_[0]) },
		indexes => 'bhIs',
	},
	int4multirange => {
		literal => sub { "'{[$_[0]," . ($_[0] + 1) . q[)}'] },
		indexes => 'bhI',
	},
	_int4 => { spelled => ['integer[]'], indexes => 'bhg', to => [qw(_int8 _text)] },
	_int8 => { spelled => ['bigint[]'], indexes => 'bhg', to => [qw(_int4 _text)] },
	_text => { spelled => ['text[]'], indexes => 'bhg', to => ['_varchar'] },
	_varchar => {
		spelled => [ 'varchar[]', 'varchar(20)[]', 'varchar(40)[]' ],
		indexes => 'bhg',
		to => [qw(_varchar _text)],
	});

# How a family takes part in an index: the access method and, where it has to
# be named, the operator class.
our %METHODS = (
	b => { method => 'btree', ordered => 1 },
	p => { method => 'btree', class => 'text_pattern_ops', ordered => 1 },
	v => { method => 'btree', class => 'varchar_pattern_ops', ordered => 1 },
	h => { method => 'hash' },
	r => { method => 'brin' },
	g => { method => 'gin' },
	i => { method => 'gist', extension => 'btree_gist' },
	I => { method => 'gist' },
	S => { method => 'gist', class => 'inet_ops' },
	s => { method => 'spgist' },
	c => { method => 'gin', class => 'lib.gin_trgm_ops', extension => 'pg_trgm' });

our %GROUPS = (
	number => {
		literal => sub { $_[0] },
		expressions => [ '(%s + 1)', '(%s * 2)', 'abs(%s)', 'lib.immutable(%s)' ],
		checks => [ '%s > -1000', '%s <> 77', '%s BETWEEN -999 AND 100000' ],
		stable => q{extract(day FROM now())},
		volatile => 'random() * 100',
	},
	text => {
		literal => sub { "'v$_[0]'" },
		expressions => [ 'lower(%s)', 'length(%s)', q{(%s || 'x')} ],
		checks => [ 'length(%s) < 100000', q{%s <> 'none'}, q{%s >= '0'} ],
		stable => 'current_user',
		volatile => q{left(random()::text, 5)},
	},
	date => {
		expressions => [ '(%s + 1)', 'extract(year FROM %s)' ],
		checks => [q{%s > '1999-01-01'}],
		stable => 'current_date',
		volatile => 'clock_timestamp()',
	},
	timestamp => {
		expressions => [q{date_trunc('day', %s)}],
		checks => [q{%s > '1999-01-01'}],
		stable => 'localtimestamp',
		volatile => 'clock_timestamp()',
	},
	timestamptz => {
		expressions => [ q{(%s AT TIME ZONE 'UTC')}, q{(%s + '1 hour')} ],
		checks => [q{%s > '1999-01-01'}],
		stable => 'now()',
		volatile => 'clock_timestamp()',
	},
	range => {
		expressions => [ 'lower(%s)', 'isempty(%s)' ],
		checks => ['NOT isempty(%s)'],
	},
	any => {
		expressions => [ '(%s IS NULL)', 'lib.immutable(%s)' ],
		checks => [ '%s IS NOT NULL OR true', 'num_nulls(%s) < 2' ],
	});

sub month_and_day
{
	my ($n) = @_;

	return (1 + $n / 28 % 12, 1 + $n % 28);
}

# The group of a column, or of a type that is to be one.
sub group_of
{
	my ($type) = @_;
	my $family = $type->{base} || $type->{family};

	return $GROUPS{ ($FAMILIES{$family} || {})->{group} || 'any' };
}

# Value number $n, as an expression, or undef if none is known.
sub literal
{
	my ($world, $type, $n) = @_;
	my $family = $type->{base} || $type->{family};
	my $known = $FAMILIES{$family};

	if ($family =~ /^_(.*)/)
	{
		my $element = literal($world, { family => $1 }, $n);

		return $element ? "ARRAY[$element]::$type->{type}" : undef;
	}
	if ($known)
	{
		my $literal = $known->{literal} || group_of($type)->{literal};

		return $literal->($n);
	}
	return user_literal($world, $type, $n);
}

sub user_literal
{
	my ($world, $column, $n) = @_;
	my ($type) =
	  grep { $_->{name} eq $column->{family} } @{ $world->{catalog}{types} };

	return unless $type;
	return @{ $type->{labels} } ? "'" . $type->{labels}[ $n % @{ $type->{labels} } ] . "'" : undef
	  if $type->{typtype} eq 'e';
	return "'[$n," . ($n + 1) . ")'" if $type->{typtype} eq 'r';
	return 'ROW('
	  . join(', ', map { literal($world, $_, $n) // 'NULL' } @{ $type->{columns} })
	  . ")::$type->{sql}"
	  if $type->{typtype} eq 'c';
	return;
}

# A type for a new column: {family}, {type}, and {base} if it is a domain.
sub new_type
{
	my ($world) = @_;

	if ($world->chance(15) && @{ $world->{catalog}{types} })
	{
		my $type = $world->pick(@{ $world->{catalog}{types} });

		return {
			family => $type->{name},
			type => $type->{sql},
			typtype => $type->{typtype},
			base => $type->{typtype} eq 'd' ? $type->{base} : '',
		};
	}
	return of_family($world,
		$world->weighted(map { { weight => $FAMILIES{$_}{weight} || 1, name => $_ } }
			families($world))->{name});
}

sub families
{
	my ($world) = @_;

	return grep { $_ ne 'xml' || $world->{has}{xml} } sort keys %FAMILIES;
}

# All names of types, the longest first.
sub spellings
{
	return sort { length $b <=> length $a || $a cmp $b }
	  map { @{ $FAMILIES{$_}{spelled} || [] }, $_ } keys %FAMILIES;
}

sub of_family
{
	my ($world, $family) = @_;

	return {
		family => $family,
		base => '',
		typtype => 'b',
		type => $world->pick(@{ $FAMILIES{$family}{spelled} || [$family] }),
	};
}

sub is_integer
{
	my ($type) = @_;

	return $type->{family} =~ /^int[248]$/;
}

sub is_collatable
{
	my ($type) = @_;

	return ($type->{base} || $type->{family}) =~ /^(?:text|varchar|bpchar|_text|_varchar)$/;
}

# An expression over a column, and a condition that is likely to hold.
sub expression
{
	my ($world, $column) = @_;

	return sprintf $world->pick(@{ group_of($column)->{expressions} }), $column->{name};
}

sub condition
{
	my ($world, $column) = @_;
	my $condition = $world->pick(@{ group_of($column)->{checks} },
		'%s IS NOT NULL', @{ $GROUPS{any}{checks} });

	return sprintf $condition, $column->{name};
}

# What a DEFAULT may be, of every volatility.
sub default
{
	my ($world, $type) = @_;
	my $n = $world->between(1, 30);
	my $literal = literal($world, $type, $n) // 'NULL';
	my $group = group_of($type);
	my $how = $world->between(1, 100);

	return $literal if $how <= 45;
	return "$literal\::$type->{type}" if $how <= 55;
	return "lib.immutable($literal\::$type->{type})" if $how <= 62;
	return "lib.inlined($literal\::$type->{type})" if $how <= 68;
	return "lib.stable($literal\::$type->{type})" if $how <= 74;
	return "lib.volatile($literal\::$type->{type})" if $how <= 80;
	return 'NULL' if $how <= 84;
	return $group->{stable} // $literal if $how <= 92;
	return $group->{volatile} // $literal;
}

# The letters of %METHODS that a column can be indexed by.
sub methods
{
	my ($world, $column) = @_;
	my $letters = ($FAMILIES{ $column->{base} || $column->{family} } || {})->{indexes} //
	  { e => 'bh', c => 'b', r => 'bhIs', d => '' }->{ $column->{typtype} } // '';

	return grep { !$METHODS{$_}{extension} || $world->{has}{ $METHODS{$_}{extension} } }
	  split //, $letters;
}

1;

# Migration tools that cannot be had here, as the server sees them: each says what
# the tool says, in the tool's order and its driver's way of saying it (which
# messages of the protocol, what in a transaction, what outside), as its source
# tells: a file of the folder RunnerReplay for each.
#
#     my $node = RunnerReplay::start('tern');
#     RunnerReplay::make_database($node, 'shop');
#     my $tool = RunnerReplay::Tern->new($node, 'shop');
#     is($tool->up(RunnerReplay::history()), 3, 'three migrations');
#     is($tool->up(RunnerReplay::history(), $harmful), 0, 'none');
#     like($tool->said, qr/create_index/, 'and why');
#
# A migration is { version, name, up => [statement...], down => [...] }, and
# transaction => 0 where the tool is told to use none.  up() returns how many it
# has applied; it ends with the first failure, and said() is what the tool shows.

package RunnerReplay;

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use WireSession;

# ---- what all tests of them have

sub start
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(auth_extra => [ '--create-role' => 'migrator' ]);
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'safe_migrate'\nautovacuum = off\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE migrator LOGIN');
	return $node;
}

# Tables of any size are judged there, and rows changed without a condition, so that
# ledgers pass as ledgers alone.
sub make_database
{
	my ($node, $database) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER migrator");
	$node->safe_psql($database,
		'CREATE EXTENSION safe_migrate;'
		  . " ALTER DATABASE $database SET safe_migrate.small_table = 0;"
		  . " ALTER DATABASE $database SET safe_migrate.rules = 'update_without_where:reject, delete_without_where:reject'"
	);
	return;
}

# A history as people have it: tables, a foreign key, an index, a new column.
sub history
{
	return (
		{
			version => 1,
			name => 'create_orders',
			up => [
				'CREATE TABLE orders (id bigserial PRIMARY KEY, customer int, amount int)'
			],
			down => ['DROP TABLE orders']
		},
		{
			version => 2,
			name => 'create_payments',
			up => [
				'CREATE TABLE payments (id bigserial PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders)',
				'CREATE INDEX payments_order_id ON payments (order_id)'
			],
			down => ['DROP TABLE payments']
		},
		{
			version => 3,
			name => 'order_note',
			up => [
				'ALTER TABLE orders ADD COLUMN note text',
				'ALTER TABLE orders ALTER COLUMN amount SET NOT NULL'
			],
			down => ['ALTER TABLE orders DROP COLUMN note']
		});
}

# Harmless as long as the table is small.
sub harmful
{
	return {
		version => 4,
		name => 'order_status',
		up => [
			'ALTER TABLE orders ADD COLUMN status text',
			'CREATE INDEX orders_customer ON orders (customer)'
		],
		down => [
			'DROP INDEX orders_customer',
			'ALTER TABLE orders DROP COLUMN status'
		]
	};
}

# The same, as docs/tools.md tells to divide it.
sub divided
{
	my $harmful = harmful();

	return (
		{ %$harmful, up => [ $harmful->{up}[0] ], down => [ $harmful->{down}[1] ] },
		{
			version => 5,
			name => 'index_orders',
			up => [ $harmful->{up}[1] ],
			down => [ $harmful->{down}[0] ],
			transaction => 0
		});
}

sub fill_orders
{
	my ($node, $database) = @_;

	$node->safe_psql($database,
		'INSERT INTO orders (customer, amount) SELECT g % 1000, g FROM generate_series(1, 50000) g'
	);
	return;
}

# no, valid or invalid
sub index_state
{
	my ($node, $database, $index) = @_;

	return $node->safe_psql($database,
		"SELECT coalesce(max(CASE WHEN indisvalid THEN 'valid' ELSE 'invalid' END), 'no') FROM pg_index WHERE indexrelid = to_regclass('$index')"
	);
}

sub has_column
{
	my ($node, $database, $column) = @_;

	return $node->safe_psql($database,
		"SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = '$column' AND NOT attisdropped"
	);
}

# Of each kind one: outcome and rule, in order.
sub decisions
{
	my ($node, $database) = @_;

	# one that is just being written is in neither place for a moment
	$node->poll_query_until($database, 'SELECT count(*) = 0 FROM migrate.pending_decisions()');
	return $node->safe_psql($database,
		q{SELECT coalesce(string_agg(outcome || ' ' || coalesce(rule, ''), ', ' ORDER BY decided_at), '') FROM migrate.decisions}
	);
}

# Everything that was left for after the commit; the states it ended in.
sub wait_for_tasks
{
	my ($node, $database) = @_;

	foreach my $id (split /\n/, $node->safe_psql($database, 'SELECT id FROM migrate.tasks ORDER BY id'))
	{
		$node->psql($database, "CALL migrate.wait($id, '2 min')");
	}
	return $node->safe_psql($database, q{SELECT string_agg(state, ' ' ORDER BY id) FROM migrate.tasks});
}

# ---- what all tools have

sub new
{
	my ($class, $node, $database, %option) = @_;
	my $self = bless { node => $node, database => $database, %option }, $class;

	$self->connect;
	return $self;
}

sub connect
{
	my ($self) = @_;

	$self->{statements} = {};
	$self->{session} =
	  WireSession->new($self->{node}, $self->{database}, 'migrator');
	return;
}

sub close
{
	my ($self) = @_;

	$self->{session}->close;
	return;
}

sub session
{
	my ($self) = @_;

	return $self->{session};
}

sub said
{
	my ($self) = @_;

	return $self->{said};
}

# A field of the last error, by its letter.
sub error
{
	my ($self, $field) = @_;

	return $self->{error}{$field};
}

# What came back is no error, and its rows are kept.
sub took
{
	my ($self, $session, @answers) = @_;

	$self->{rows} = [ map { /^row (.*)/s ? $1 : () } @answers ];
	return 1 unless grep { /^error/ } @answers;
	$self->{error} = $session->{error};
	return 0;
}

sub first_row
{
	my ($self) = @_;

	return $self->{rows}[0];
}

# A failure of the tool's own statements is never ours to cause.
sub must
{
	my ($self, $taken) = @_;

	die "the tool's own statement failed: $self->{error}{M}" unless $taken;
	return;
}

# ---- drivers

# No parameters: one simple Query, whatever the driver.
sub simple
{
	my ($self, $sql) = @_;

	return $self->took($self->{session}, $self->{session}->query($sql));
}

# lib/pq with parameters: an unnamed statement, prepared by a round trip of its own.
sub lib_pq
{
	my ($self, $sql, @values) = @_;
	my $session = $self->{session};

	$self->took($session,
		$session->extended($session->parse('', $sql), $session->describe_statement('')))
	  or return 0;
	return $self->took($session,
		$session->extended($session->bind(values => \@values), $session->execute));
}

# pgx with parameters: a named statement, which it keeps.
sub pgx
{
	my ($self, $sql, @values) = @_;
	my $session = $self->{session};
	my $name = $self->{statements}{$sql};

	if (!defined $name)
	{
		$name = 'stmtcache_' . (1 + keys %{ $self->{statements} });
		$self->took($session,
			$session->extended($session->parse($name, $sql), $session->describe_statement($name)))
		  or return 0;
		$self->{statements}{$sql} = $name;
	}
	return $self->took(
		$session,
		$session->extended(
			$session->bind(statement => $name, values => \@values),
			$session->describe_portal(''),
			$session->execute));
}

# ---- texts

# Where a character of a text is, both counted from 1.
sub line_and_column
{
	my ($text, $position) = @_;
	my $before = substr $text, 0, $position - 1;
	my $line = 1 + ($before =~ tr/\n//);

	$before =~ s/.*\n//s;
	return ($line, 1 + length $before);
}

sub script
{
	my (@statements) = @_;

	return join("\n", map { "$_;" } @statements) . "\n";
}

1;

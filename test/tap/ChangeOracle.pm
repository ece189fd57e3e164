# An online change under clients that never stop, and a twin of the table that is
# never changed: whatever a client writes, it writes to both in one transaction,
# so that a row which was lost, or is wrong, is one in which they differ.
#
#     my $node = ChangeOracle::start_node('change');
#     my $oracle = ChangeOracle->new($node, 'prepared');	# or simple, extended
#     $oracle->set_up($case);				# see ChangeCases.pm
#     $oracle->start_clients('old');
#     my $id = $oracle->start_change;
#     $oracle->let_run;
#     ...
#     $oracle->stop_clients('old');			# and see that none has failed
#     $oracle->compare('verified');
#
# pgbench runs until it is told to stop, so that clients are there in every
# moment of a phase however long it takes.

package ChangeOracle;

use strict;
use warnings;

use ChangeCases;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# With SAFE_MIGRATE_ORACLE=all more rows, and more of everything in each phase;
# with the name of a case only that one.
my $which = $ENV{SAFE_MIGRATE_ORACLE} // '';
our $long = $which eq 'all';
our $rows = $long ? 200_000 : 4000;

my $transactions = $long ? 3000 : 40;
my $patience = 60;

# A server with the extension, and with these lines in its configuration.  Not
# observed: that lets go of the locks a statement has waited for patiently, to see
# it take its own, which it then stands in line for, in an order in which clients
# may deadlock with it.
sub start_node
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf',
		join("\n", q{shared_preload_libraries = 'safe_migrate'}, 'safe_migrate.observation = off', @settings));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');
	return $node;
}

sub new
{
	my ($class, $node, $protocol, %option) = @_;

	return bless {
		node => $node,
		protocol => $protocol // 'simple',
		clients => {},
		directory => PostgreSQL::Test::Utils::tempdir(),
		connection => $option{connection},
		count => $option{count} // 2,
		number => 0,
	}, $class;
}

sub query
{
	my ($self, $sql) = @_;

	return $self->{node}->safe_psql('postgres', $sql);
}

# The table with $rows rows, and its twin, which has the columns of both shapes.
sub set_up
{
	my ($self, $case) = @_;
	my $old = $case->{old};
	my $new = $case->{new};

	$self->{case} = $case;
	$self->{phase} = 'before';
	$self->query(qq{
SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
$case->{setup}});
	$self->query(sprintf(
		'SET safe_migrate.mode = off; CREATE TABLE twin AS SELECT id::bigint AS id, n%s FROM (SELECT *, id AS key_of_row FROM t) t; '
		  . 'ALTER TABLE twin ADD PRIMARY KEY (id)',
		join('', map { ", $_" } twin_values($case))));
	return;
}

# What the rows that are there at the beginning have in the twin.
sub twin_values
{
	my ($case) = @_;

	return ((map { "($_)::text AS old_$_" } sort keys %{ $case->{old}{values} }),
		(map { "($case->{up}{$_})::text AS new_$_" } sort keys %{ $case->{new}{values} }));
}

# ---- clients

# Those of a shape, with a name if there are several groups of them.
sub start_clients
{
	my ($self, $shape, %option) = @_;
	my $group = $option{group} // $shape;
	my $output = "$self->{directory}/$group-" . $self->{number}++;
	my @scripts;

	foreach my $script ($self->scripts($shape, $group))
	{
		my $file = "$self->{directory}/$group-" . $self->{number}++ . '.sql';

		append_to_file($file, $script->[1]);
		push @scripts, '-f', "$file\@$script->[0]";
	}
	$self->query("CREATE SEQUENCE IF NOT EXISTS public.traffic_$group");
	my $count = $option{count} // $self->{count};

	# a thread each: one that prepares a statement is blocked meanwhile, and in a
	# pool would wait for the connection of another
	local $ENV{PGOPTIONS} = $option{settings} // '';
	local $ENV{PGAPPNAME} = "$group clients";
	my $handle = IPC::Run::start(
		[
			$self->{node}->installed_command('pgbench'), '-n',
			'-c', $count, '-j', $count, '-T', 3600,
			'-M', $option{protocol} // $self->{protocol},
			'--max-tries=1', '--verbose-errors', @scripts,
			$self->{connection} // $self->{node}->connstr('postgres')
		],
		'<', \undef, '>', $output, '2>&1');
	$self->{clients}{$group} = { handle => $handle, output => $output };
	return;
}

# Until each group of clients has done so many transactions, or has failed.
sub let_run
{
	my ($self, $count) = @_;
	my @groups = sort keys %{ $self->{clients} };
	my %wanted = map { $_ => $self->traffic($_) + ($count // $transactions) } @groups;

	foreach my $group (@groups)
	{
		my $tries = 0;

		while ($self->traffic($group) < $wanted{$group})
		{
			last if slurp_file($self->{clients}{$group}{output}) =~ /aborted/;
			die "clients of group $group do nothing" if $tries++ > $patience * 10;
			usleep(100_000);
		}
	}
	return;
}

sub traffic
{
	my ($self, $group) = @_;

	return $self->query("SELECT last_value FROM public.traffic_$group");
}

# They finish their transactions first: the signal is that of pgbench's timer.
sub stop_clients
{
	my ($self, @groups) = @_;

	foreach my $group (@groups ? @groups : sort keys %{ $self->{clients} })
	{
		my $name = "$self->{case}{name}, $self->{protocol}: $group clients";
		my $output = $self->end_clients($group);

		ok($output !~ /ERROR|FATAL|aborted|failed:|WARNING/
			  && $output =~ /number of failed transactions: 0 /
			  && $output =~ /number of transactions actually processed: [1-9]/,
			"$name: none has failed")
		  or diag(substr $output, 0, 4000);
	}
	return;
}

# The same, whatever has become of them: what they said.
sub end_clients
{
	my ($self, $group) = @_;
	my $clients = delete $self->{clients}{$group};

	$clients->{handle}->signal('ALRM');
	$clients->{handle}->finish;
	return slurp_file($clients->{output});
}

# The server was killed: they may have said so, and nothing else.
sub forget_clients
{
	my ($self, $when) = @_;

	foreach my $group (sort keys %{ $self->{clients} })
	{
		my $lost = qr/terminat|server closed|connection|recovery mode|starting up|shutting down|not yet accepting|aborted|aborting/;
		my $output = $self->end_clients($group);
		my @errors = grep { /error:|ERROR|FATAL/ && !/$lost/ } split /\n/, $output;

		is("@errors", '', "$when: $group clients have lost their server, and nothing else");
	}
	return;
}

# ---- what they do

# Of the given shape: pairs of a weight and a script of pgbench.
sub scripts
{
	my ($self, $shape_name, $group) = @_;
	my $case = $self->{case};
	my $shape = $case->{$shape_name};
	my $table = $shape->{table} // 't';
	my $key = $shape->{key} // 'id';
	my @columns = sort keys %{ $shape->{values} };
	my ($twin_columns, $twin_values) = $self->twin_insert($shape_name);
	my $head = $self->head($group);
	my $check = $self->check_of_row($shape_name);
	my $columns = join('', map { ", $_" } @columns);
	my $inserted = join('', map { ', ' . $self->inserted($shape_name, $shape->{values}{$_}) } @columns);
	my $set = join('', map { "$_ = $shape->{values}{$_}, " } @columns);
	my $excluded = join('', map { "$_ = EXCLUDED.$_, " } @columns);
	my $merged = join('', map { "$_ = s.$_, " } @columns);
	my $twin_set = join('', map { "$_->[0] = $_->[1], " } $self->twin_update($shape_name));
	my $twin_excluded = join('', map { "$_->[0] = EXCLUDED.$_->[0], " } $self->twin_update($shape_name));
	my $twin_upsert = qq{INSERT INTO twin (id, n$twin_columns) VALUES (ID, 0$twin_values)
ON CONFLICT (id) DO UPDATE SET ${twin_excluded}n = twin.n + 1;};
	my @scripts;

	# what changes the columns, by itself and with the other table at once
	push @scripts, [ 4, qq{$head
UPDATE $table SET ${set}n = n + 1 WHERE $key = ID;
UPDATE twin SET ${twin_set}n = n + 1 WHERE id = ID;
$check
COMMIT;} ];
	push @scripts, [ 2, sprintf(q{%s
WITH c AS (UPDATE %s SET %sn = n + 1 WHERE %s = ID RETURNING %s AS id%s)
UPDATE twin SET %sn = n + 1 FROM c WHERE twin.id = c.id;
},
		$self->head($group, 'no lock'), $table, $set, $key, $key, $columns, $twin_set) ];

	# what changes nothing of it
	push @scripts, [ 2, qq{$head
UPDATE $table SET n = n + 1, pad = repeat('y', V % 100) WHERE $key = ID;
UPDATE twin SET n = n + 1 WHERE id = ID;
$check
COMMIT;} ];

	# rows that go, and come
	push @scripts, [ 1, qq{$head
DELETE FROM $table WHERE $key = ID;
DELETE FROM twin WHERE id = ID;
$check
COMMIT;} ];
	if ($case->{no_key})
	{
		push @scripts, [ 2, qq{$head
INSERT INTO $table ($key, n$columns) SELECT ID, 0$inserted WHERE NOT EXISTS (SELECT FROM $table WHERE $key = ID);
INSERT INTO twin (id, n$twin_columns) VALUES (ID, 0$twin_values) ON CONFLICT DO NOTHING;
$check
COMMIT;} ];
	}
	else
	{
		push @scripts, [ 2, qq{$head
INSERT INTO $table AS x ($key, n$columns) VALUES (ID, 0$inserted)
ON CONFLICT ($key) DO UPDATE SET ${excluded}n = x.n + 1;
$twin_upsert
$check
COMMIT;} ];
	}
	push @scripts, [ 1, qq{$head
MERGE INTO $table x USING (SELECT ID AS id$inserted) s (id$columns) ON x.$key = s.id
WHEN MATCHED THEN UPDATE SET ${merged}n = x.n + 1
WHEN NOT MATCHED THEN INSERT ($key, n$columns) VALUES (s.id, 0} . join('', map { ", s.$_" } @columns) . qq{);
$twin_upsert
$check
COMMIT;} ]
	  unless $case->{no_merge};
	if (defined $shape->{defaults} && !$shape->{gives_all})
	{
		my ($names, $defaults) = $self->twin_insert($shape_name, 'defaults');

		push @scripts, [ 1, qq{$head
DELETE FROM $table WHERE $key = ID;
INSERT INTO $table ($key, n) VALUES (ID, 0);
DELETE FROM twin WHERE id = ID;
INSERT INTO twin (id, n$names) VALUES (ID, 0$defaults);
$check
COMMIT;} ];
	}
	push @scripts, map { [ $_->[0], "$head\n$_->[1]\n$check\nCOMMIT;" ] } @{ $shape->{scripts} // [] };

	# what reads
	push @scripts, [ 4, $self->head($group, 'no lock') . "\n$check" ];
	push @scripts, [ 1, $self->head($group, 'no lock') . "\n" . $self->check_of_row($shape_name, 20) ];

	foreach my $script (@scripts)
	{
		$script->[1] = in_terms_of_pgbench($script->[1]) . "\n";
	}
	return @scripts;
}

# A value is V, a random number, and ID that of the row.
sub in_terms_of_pgbench
{
	my ($text) = @_;

	$text =~ s/\bV\b/(:v)::int/g;
	$text =~ s/\bID\b/(:id)::int/g;
	return $text;
}

# Two transactions about one row would make the two tables differ when a row
# appears between their two statements.
sub head
{
	my ($self, $group, $no_lock) = @_;
	my $limit = $rows + 200;
	my $head = "\\set id random(1, $limit)\n\\set v random(0, 999)\n";

	return $no_lock
	  ? "${head}SELECT nextval('public.traffic_$group');"
	  : "${head}BEGIN;\nSELECT nextval('public.traffic_$group'), pg_advisory_xact_lock(ID);";
}

# A new client that inserts a null cannot be told from an old one: where the old
# column has a default, that is what the row gets.
sub inserted
{
	my ($self, $shape_name, $value) = @_;

	return $value unless $shape_name eq 'new' && $self->{case}{default_for_null};
	return "coalesce($value, $self->{case}{default_for_null})";
}

# Columns and values of a row of the twin that a client of this shape inserts.
sub twin_insert
{
	my ($self, $shape_name, $what) = @_;
	my $case = $self->{case};
	my ($columns, $values) = ('', '');

	foreach my $name ('old', 'new')
	{
		my $shape = $case->{$name};
		my $from = $what // ($name eq $shape_name || !$case->{unlinked} ? 'values' : 'defaults');

		foreach my $column (sort keys %{ $shape->{values} })
		{
			my $value = $shape->{$from}{$column};

			$value = $self->inserted($shape_name, $value) if $from eq 'values';
			$columns .= ", ${name}_$column";
			$values .= ", ($value)::text";
		}
	}
	return ($columns, $values);
}

# The same of a row that it updates.
sub twin_update
{
	my ($self, $shape_name) = @_;
	my $case = $self->{case};
	my @set;

	foreach my $name ('old', 'new')
	{
		my $values = $case->{$name}{values};

		next if $name ne $shape_name && $case->{unlinked};
		push @set, map { [ "${name}_$_", "($values->{$_})::text" ] } sort keys %$values;
	}
	return @set;
}

# ---- what has to be

# A query that fails if a row, or some, differ in what a client of the shape
# reads.
sub check_of_row
{
	my ($self, $shape_name, $more) = @_;
	my $shape = $self->{case}{$shape_name};
	my $key = $shape->{key} // 'id';
	my $range = $more ? "BETWEEN ID AND ID + $more" : '= ID';

	return sprintf('SELECT 1 / (CASE WHEN EXISTS (%s) THEN 0 ELSE 1 END);',
		difference([ $self->facts($shape_name) ],
			join(', ', $key, 'n', sort keys %{ $shape->{values} }),
			($shape->{table} // 't') . " WHERE $key $range", "twin WHERE id $range", $key));
}

# Pairs of expressions over the table and its twin, after the contract with the
# names that columns have then.
sub facts
{
	my ($self, $shape_name, %rename) = @_;
	my $shape = $self->{case}{$shape_name};
	my @facts;

	foreach my $column (sort keys %{ $shape->{values} })
	{
		my $read = $shape->{read}{$column} // '%s';

		push @facts, [ sprintf($read, '(t.' . ($rename{$column} // $column) . ')::text'),
			sprintf($read, 'twin.' . ($shape->{twin}{$column} // "${shape_name}_$column")) ];
	}
	return @facts;
}

sub difference
{
	my ($facts, $columns, $table, $twin, $key) = @_;
	my $left = join(', ', 't.n', map { $_->[0] } @$facts);
	my $right = join(', ', 'twin.n', map { $_->[1] } @$facts);

	return "SELECT t.$key, twin.id, ROW($left), ROW($right) "
	  . "FROM (SELECT $columns FROM $table) t FULL JOIN (SELECT * FROM $twin) twin ON t.$key = twin.id "
	  . "WHERE ROW($left) IS DISTINCT FROM ROW($right)";
}

# All rows: of both shapes (phase "verified"), of the old one or of the new one; or
# of a shape that is named.
sub compare
{
	my ($self, $phase, $when) = @_;
	my $case = $self->{case};
	my $shape_name = $case->{$phase} ? $phase : $phase eq 'contracted' ? 'new' : 'old';
	my $shape = $case->{$shape_name};
	my %rename = $phase eq 'contracted' ? %{ $case->{renamed} // {} } : ();
	my $key = $shape->{key} // 'id';
	my @facts = $self->facts($shape_name, %rename);

	push @facts, $self->facts('new') if $phase eq 'verified';
	$key = $rename{$key} // $key;
	is($self->query(difference(\@facts, '*', $shape->{table} // 't', 'twin', $key) . ' LIMIT 10'),
		'', "$case->{name}, $self->{protocol}: no row is lost, too many or wrong, " . ($when // $phase));
	is($self->query($case->{also}{$phase}), '', "$case->{name}: what else has to be, " . ($when // $phase))
	  if $case->{also}{$phase};
	cmp_ok($self->query('SELECT count(*) FROM twin WHERE n > 0'), '>', 0, "$case->{name}: and rows were changed");
	return;
}

# ---- the change

# That of the case, or another one; returns its number.
sub start_change
{
	my ($self, $start) = @_;

	$start //= $self->{case}{start};
	$self->{id} = $self->query("SET client_min_messages = warning; SELECT $start");
	return $self->{id};
}

sub phase
{
	my ($self, $id) = @_;

	return $self->query('SELECT phase FROM migrate.changes WHERE id = ' . ($id // $self->{id}));
}

# By whoever does it first.
sub advance
{
	my ($self, $id) = @_;
	my ($status, $out, $error) = $self->{node}->psql('postgres', 'CALL migrate.advance(' . ($id // $self->{id}) . ')');

	is($status, 0, "$self->{case}{name}: advances") or diag($error);
	return;
}

sub contract
{
	my ($self, $id) = @_;
	my ($status, $out, $error) =
	  $self->{node}->psql('postgres', 'SELECT migrate.contract(' . ($id // $self->{id}) . ', force := true)');

	is($status, 0, "$self->{case}{name}: contracts") or diag($error);
	return;
}

sub cancel
{
	my ($self, $id) = @_;

	$id //= $self->{id};
	$self->query("SELECT migrate.cancel($id)");
	$self->{node}->poll_query_until('postgres', "SELECT state = 'cancelled' FROM migrate.tasks WHERE id = $id")
	  or diag($self->query("SELECT state, error FROM migrate.tasks WHERE id = $id"));
	is($self->phase($id), 'cancelled', "$self->{case}{name}: is cancelled");
	is( $self->query(qq{SELECT count(*) FROM pg_trigger WHERE tgname = '~~~safe_migrate_change_$id' AND tgrelid = 't'::regclass}),
		'0', "$self->{case}{name}: its trigger is gone");
	return;
}

# Each case whose name matches, with one of the protocols, in the long run with
# both.
sub run_cases
{
	my ($node, $pattern, $run, $layout) = @_;
	my @protocols = ('prepared', 'simple');
	my $number = 0;

	foreach my $case (ChangeCases::change_cases($layout))
	{
		next unless $case->{name} =~ $pattern;
		next unless $which eq '' || $long || $which eq $case->{name};
		foreach my $protocol ($long ? @protocols : $protocols[ $number++ % 2 ])
		{
			$run->(ChangeOracle->new($node, $protocol), $case);
		}
	}
	return;
}

# All phases up to the contract.  What clients of which shape do then is as in a
# deploy: those of the old one have stopped before it, but where the column keeps
# its name it is the old name that lasts.
sub run_to_contract
{
	my ($self, $case) = @_;
	my $lasting = $case->{renamed} ? 'old' : 'new';
	my $leaving = $case->{renamed} ? 'new' : 'old';

	$self->set_up($case);
	$self->start_clients('old');
	$self->let_run;
	$self->start_change;
	$self->let_run;
	$self->advance;
	$self->let_run;
	if ($self->phase eq 'contracted')
	{
		$self->start_clients('new');
		$self->let_run;
		$self->stop_clients;
		$self->compare('verified');
		return;
	}
	is($self->phase, 'verified', "$case->{name}: is verified");
	$self->start_clients('new');
	$self->let_run;
	$self->compare('verified', 'while clients of both shapes write');
	$self->stop_clients($leaving);
	$self->compare('verified');
	$self->contract;
	$self->let_run;
	is($self->phase, 'contracted', "$case->{name}: is contracted");
	$self->stop_clients;
	$self->compare('contracted');
	return;
}

# Cancelled when it is verified, after the new clients have gone.
sub run_to_cancel
{
	my ($self, $case) = @_;

	$self->set_up($case);
	$self->start_clients('old');
	$self->start_change;
	$self->let_run;
	$self->advance;
	$self->start_clients('new');
	$self->let_run;
	$self->stop_clients('new');
	$self->compare('verified');
	$self->cancel;
	$self->let_run;
	$self->stop_clients;
	$self->compare('cancelled');
	return;
}

1;

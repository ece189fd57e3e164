# Online changes where more is going on: two at once on one table, triggers that write
# the columns, clients that apply what was replicated, a change that is cancelled in
# the middle, and the end of a table.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeCases qw(change_case);
use ChangeOracle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('change_together');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

# ---- two changes of one table, each of which ends in the middle of the other

my $oracle = ChangeOracle->new($node, 'prepared');
my $two = {
	name => 'two changes',
	setup => ChangeCases::filled(', a int DEFAULT 5, c text', ', nullif(g % 7, 0), g % 9')
	  . 'CREATE INDEX ON t (a); CREATE INDEX ON t (c);',
	old => {
		values => { a => 'V % 100', c => 'V % 10' },
		defaults => { a => '5', c => 'NULL' }
	},
	new => {
		values => { b => 'V % 100', number => 'V % 10' },
		defaults => { b => '5', number => 'NULL' }
	},
	up => { b => 'a', number => 'c::int' },
	renamed => { number => 'c' },
};
my $between = {
	values => { b => 'V % 100', c => 'V % 10' },
	twin => { b => 'new_b', c => 'old_c' }
};
my ($first, $second);

$oracle->set_up($two);
$oracle->start_clients('old');
$first = $oracle->start_change(q{migrate.rename_column('t', 'a', 'b')});
$second = $oracle->start_change(
	q{migrate.change_type('t', 'c', 'int', up => 'c::int', down => 'number::text', new_name => 'number')});
$oracle->let_run;
$oracle->advance($first);
$oracle->advance($second);
is($oracle->phase($_), 'verified', 'two changes: each is verified') foreach ($first, $second);
$oracle->start_clients('new');
$oracle->let_run;
$oracle->compare('verified', 'both verified');
$oracle->stop_clients('old');
$oracle->contract($first);
$oracle->let_run;
is($oracle->phase($_->[0]), $_->[1], 'two changes: the contract of one is not that of the other')
  foreach ([ $first, 'contracted' ], [ $second, 'verified' ]);
$oracle->cancel($second, 'leave the clients');
$oracle->stop_clients;

$node->stop;
done_testing();

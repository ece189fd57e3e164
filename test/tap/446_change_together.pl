# Online changes where more is going on: two at once on one table, triggers that write
# the columns, clients that apply what was replicated, a change that is cancelled in
# the middle, and the end of a table.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeCases qw(change_case);
use ChangeOracle;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_together');

# ---- two changes of one table, of which the one is contracted before the other

my %two = (
	setup => ChangeCases::filled(', a int DEFAULT 5, c text', ', nullif(g % 7, 0), g % 9')
	  . 'CREATE INDEX ON t (a); CREATE INDEX ON t (c); ALTER TABLE t ADD CHECK (a > -2);',
	old => {
		values => { a => 'V % 100', c => 'V % 10' },
		defaults => { a => '5', c => 'NULL' }
	},
	new => {
		values => { b => 'V % 100', number => 'V % 10' },
		defaults => { b => '5', number => 'NULL' }
	},
	between => {
		values => { b => 'V % 100', c => 'V % 10' },
		defaults => { b => '5', c => 'NULL' },
		twin => { b => 'new_b', c => 'old_c' }
	},
	up => { b => 'a', number => 'c::int' });
my $rename = q{migrate.rename_column('t', 'a', 'b')};
my $retype = q{migrate.change_type('t', 'c', 'int', up => 'c::int', down => 'number::text', new_name => 'number'%s)};

# both in the background at once
my $oracle = ChangeOracle->new($node, 'prepared');

$oracle->set_up({ name => 'two changes', %two });
$oracle->start_clients('old');
my $first = $oracle->start_change($rename);
my $second = $oracle->start_change(sprintf $retype, '');
$oracle->let_run;
$oracle->advance($_) foreach $second, $first;
is($oracle->phase($_), 'verified', 'two changes: each is verified') foreach $first, $second;
$oracle->start_clients('new');
$oracle->let_run;
$oracle->compare('verified', 'both verified');
$oracle->stop_clients('old');
$oracle->contract($first);
$oracle->start_clients('between');
$oracle->let_run;
$oracle->stop_clients('new');
$oracle->contract($second);
$oracle->let_run;
is($oracle->phase($_), 'contracted', 'two changes: each is contracted') foreach $first, $second;
$oracle->stop_clients;
$oracle->compare('between', 'both contracted');

# the second is only started when the first is contracted, and then cancelled
$oracle = ChangeOracle->new($node, 'simple');
$oracle->set_up({ name => 'a change in another one', %two });
$oracle->start_clients('old');
$first = $oracle->start_change($rename);
$second = $oracle->start_change(sprintf $retype, q{, advance => 'manual'});
$oracle->let_run;
$oracle->advance($first);
$oracle->start_clients('between');
$oracle->let_run;
$oracle->stop_clients('old');
$oracle->contract($first);
$oracle->let_run;
$oracle->advance($second);
is($oracle->phase($second), 'verified', 'a change in another one: is verified');
$oracle->let_run;
$oracle->compare('between', 'one contracted');
is($oracle->query('SELECT count(*) FROM t WHERE number IS DISTINCT FROM c::int'), '0', 'a change in another one: and equal');
$oracle->cancel($second);
$oracle->let_run;
$oracle->stop_clients;
$oracle->compare('between', 'one contracted, one cancelled');

# ---- a trigger of the user's that writes the old column

my $own_trigger = q{
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN NEW.a := coalesce(NEW.a, 0) & 62; NEW.pad := 'tidy'; RETURN NEW; END $$;
CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tidy();
};

$oracle = ChangeOracle->new($node, 'prepared');
$oracle->set_up({
	name => 'own trigger',
	setup => ChangeCases::filled(', a int', ', g & 62') . $own_trigger,
	start => q{migrate.rename_column('t', 'a', 'b', on_conflict => 'new')},
	old => { values => { a => '(V & 62)' }, defaults => { a => '0' } },
	new => { values => { b => '(V & 62)' } },
	up => { b => 'a' },
	unlinked => 0
});
# what clients of the old shape write is what the trigger makes of it
$oracle->{case}{old}{scripts} = [ [
	4, q{UPDATE t SET a = V, n = n + 1 WHERE id = ID;
UPDATE twin SET old_a = (V & 62)::text, new_b = (V & 62)::text, n = n + 1 WHERE id = ID;} ] ];
$oracle->{case}{new}{defaults} = { b => '0' };
$oracle->{case}{new}{gives_all} = 1;
$oracle->start_clients('old');
$oracle->start_change;
$oracle->let_run;
$oracle->advance;
$oracle->start_clients('new');
$oracle->let_run;
$oracle->compare('verified');
$oracle->stop_clients('old');
$oracle->query('SET safe_migrate.mode = off; DROP TRIGGER tidy ON t');
$oracle->contract;
$oracle->let_run;
$oracle->stop_clients;
$oracle->compare('contracted');

# ---- clients for which only triggers fire that always do

foreach my $name ('rename_column', 'split_column', 'set_not_null, with a value')
{
	my $case = change_case($name);

	$case->{name} .= ', replicated';
	$oracle = ChangeOracle->new($node, 'simple');
	$oracle->set_up($case);
	$oracle->start_clients('old', settings => '-c session_replication_role=replica');
	$oracle->start_clients('old', group => 'origin', count => 1);
	$oracle->start_change;
	$oracle->let_run;
	$oracle->advance;
	$oracle->start_clients('new', settings => '-c session_replication_role=replica');
	$oracle->let_run;
	$oracle->compare('verified');
	$oracle->stop_clients('old', 'origin');
	$oracle->contract;
	$oracle->let_run;
	$oracle->stop_clients;
	$oracle->compare('contracted');
}

# ---- cancelled in the middle, and started again

$oracle = ChangeOracle->new($node, 'prepared');
$oracle->set_up(change_case('rename_column'));
$oracle->start_clients('old');
foreach my $round (1 .. 3)
{
	$oracle->start_change;
	$oracle->cancel;
	$oracle->let_run(10);
	$oracle->compare('cancelled', "cancelled $round times");
}
$oracle->start_change;
$oracle->advance;
is($oracle->phase, 'verified', 'cancelled: at last it is verified');
$oracle->let_run;
$oracle->stop_clients;
$oracle->compare('verified');

# ---- contracted, and rolled back while the new clients write: these stop then, and
# what they have written is given to the old column

$oracle = ChangeOracle->new($node, 'prepared');
$oracle->set_up({ %{ change_case('rename_column') }, name => 'rolled back' });
$oracle->start_clients('old');
$oracle->start_change;
$oracle->advance;
$oracle->start_clients('new');
$oracle->stop_clients('old');
$oracle->contract;
$oracle->let_run;
my $label = $oracle->query("SELECT restore_point FROM migrate.changes WHERE id = $oracle->{id}");
$oracle->query("CALL migrate.rollback_to('$label')");
$oracle->let_run;
$oracle->stop_clients;
$oracle->query("CALL migrate.backfill('t', 'a = b')");
$oracle->start_clients($_) foreach 'old', 'new';
$oracle->let_run;
$oracle->stop_clients;
$oracle->compare('verified', 'rolled back');

# ---- a start that needs two tables, and a client that writes to the one and then
# reads the other

$oracle = ChangeOracle->new($node, 'simple');
$oracle->set_up(change_case('add_foreign_key'));
my ($said, $complaint) = ('', '');
my $writer = IPC::Run::start(
	[
		$node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1',
		map { ('-c', $_) } 'BEGIN', 'UPDATE p SET v = v + 1 WHERE id = 7',
		q{SELECT 'written', pg_sleep(2)}, 'SELECT count(*) FROM t', 'COMMIT'
	],
	'<', \undef, '>', \$said, '2>', \$complaint);

$node->poll_query_until('postgres',
	q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE starts_with(query, $$SELECT 'written'$$))});
like($oracle->start_change, qr/^\d+$/, 'two tables: it starts');
$writer->finish;
is($complaint, '', 'two tables: and the client has not noticed');
$oracle->advance;

# ---- the end of a table that nobody uses, beside one that is used

$oracle = ChangeOracle->new($node, 'prepared');
$oracle->set_up(change_case('add_foreign_key'));
$oracle->query('CREATE TABLE unused (id int REFERENCES p); INSERT INTO unused SELECT g FROM generate_series(0, 999) g');
$oracle->start_clients('old');
$oracle->let_run;
my $id = $oracle->start_change(q{migrate.drop_table('unused', '1 second')});

$oracle->let_run;
is($oracle->phase, 'verified', 'drop_table: is prepared');
$node->poll_query_until('postgres', "SELECT grace_until < now() FROM migrate.changes WHERE id = $id");
is($oracle->query("SELECT migrate.contract($id) IS NULL"), 'f', 'drop_table: nobody has used it');
$oracle->let_run;
$oracle->stop_clients;
$oracle->compare('cancelled');
is($oracle->query("SELECT to_regclass('unused') IS NULL"), 't', 'drop_table: it is gone');

$node->stop;
done_testing();

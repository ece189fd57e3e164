# pg_safe_migrate: what runs that is not in the directory, many targets, tasks,
# adoption, repeatable migrations, and the two parts of a file, as a role that
# has the grants of the documentation and no more.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use JSON::PP qw(decode_json);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = dirname(abs_path(__FILE__)) . '/../..';
my $node = PostgreSQL::Test::Cluster->new('client_commands');
$node->init(auth_extra => [ '--create-role' => 'deployer,stranger' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
max_worker_processes = 16
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE deployer LOGIN; CREATE ROLE stranger LOGIN');

my $root = PostgreSQL::Test::Utils::tempdir;
my $database;
our $role = 'deployer';

delete $ENV{SAFE_MIGRATE_DIRECTORY};

# Those that the documentation tells.
sub documented_grants
{
	my $text = slurp_file("$top/docs/pg_safe_migrate.md");
	my $grants = join '', $text =~ /^```sql\n(GRANT .*?)^```$/gms;

	$grants =~ s/\brelease_manager\b/deployer/g;
	return $grants;
}

sub prepare_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name,
		'CREATE EXTENSION safe_migrate; GRANT CREATE ON SCHEMA public TO deployer;'
		  . documented_grants());
	return;
}

# A database, and an empty directory, for each of the tests.
sub begin_test
{
	($database) = @_;

	prepare_database($database);
	make_path("$root/$database");
	chdir "$root/$database";
	return;
}

sub file
{
	my ($path, $text) = @_;

	make_path(dirname($path));
	open my $handle, '>:raw', $path or die "$path: $!";
	print $handle $text;
	close $handle;
	return;
}

# As a superuser.
sub query
{
	my ($sql) = @_;

	local $ENV{PGOPTIONS} = '-c client_min_messages=error';
	return $node->safe_psql($database, $sql);
}

sub client
{
	my (@arguments) = @_;
	my ($stdout, $stderr) = ('', '');

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGUSER} = $role;
	local $ENV{PGDATABASE} = $database;
	IPC::Run::run([ 'pg_safe_migrate', @arguments ],
		'<', \undef, '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}

# Returns standard output.
sub is_status
{
	my ($expected, $arguments, $name, $pattern) = @_;
	my ($status, $stdout, $stderr) = client(@$arguments);

	is($status, $expected, $name) or diag("$stdout$stderr");
	like($stderr, $pattern, "$name: message") if defined $pattern;
	return $stdout;
}

# Returns the document.
sub json
{
	my ($expected, @arguments) = @_;
	my ($status, $stdout, $stderr) = client(@arguments, '--json');

	is($status, $expected, "@arguments --json") or diag("$stdout$stderr");
	return eval { decode_json($stdout) } // {};
}


# ---- what is registered and not in the directory

begin_test('others');
file('first/1_a.sql', 'CREATE TABLE a (i int);');
file('second/1_a.sql', 'CREATE TABLE a (i int);');
file('second/3_c.sql', 'CREATE TABLE c (i int);');
file('other/V4__d.sql', 'CREATE TABLE d (i int);');
is_status(0, [ 'up', 'first' ], 'a directory', qr/1 migration applied/);
query(q{SELECT migrate.register('2', 'b', 'CREATE TABLE b (i int)'); SELECT migrate.register('5', 'e', 'SELECT 5')});
for my $command ('up', 'deploy', 'apply')
{
	is_status(1, [ $command, 'second' ], "$command: others are pending",
		qr/\AERROR:  not in directory second, but registered and pending, so that they would run as well: 2, 5\nHINT:  Forget each with pg_safe_migrate unregister, or run all of them: pg_safe_migrate load with the directory, then pg_safe_migrate up --registered\.\n\z/);
}
is(query(q{SELECT string_agg(version || state, ' ' ORDER BY version) FROM migrate.status}),
	'1applied 2pending 5pending', 'nothing was done, nor registered');
is(json(1, 'up', 'second')->{error}{sqlstate}, 'SM008', 'in JSON');
is_status(1, [ 'up', 'second', '--to', '3' ], 'up to a version', qr/as well: 2$/m);
is_status(0, [ 'plan', 'second' ], 'plan tells of them', qr/WARNING:  not in directory second, .*: 2, 5$/m);
is(json(0, 'unregister', '2')->{result}{unregistered}, '2', 'what was unregistered');
is_status(0, [ 'unregister', '5' ], 'unregister');
is_status(1, [ 'unregister', '5' ], 'which can be done once', qr/5/);
is_status(0, [ 'up', 'second' ], 'then the directory is all there is', qr/1 migration applied/);
is_status(0, [ 'load', 'other' ], 'load of another directory');
is_status(1, [ 'up', 'second' ], 'what it has is not in the first', qr/as well: 4$/m);
is_status(2, [ 'up', '--registered', 'second' ], 'a contradiction', qr/up --registered reads no directory/);
is_status(0, [ 'up', '--registered' ], 'up of what is registered', qr/1 migration applied/);
is(query('SELECT count(*) FROM d'), '0', 'is done');
is_status(0, [ 'apply', '--registered' ], 'apply, too');


# ---- many targets

begin_test('tenants');
query("CREATE SCHEMA $_ AUTHORIZATION deployer") for 'tenant_1', '"tenant_2, x"', 'demo';
prepare_database('tenants_other');
file('migrations/1_orders.sql', 'CREATE TABLE orders (id int);');
is_status(2, [ 'up', '--schemas', 'x', '--databases', 'y' ], 'two kinds', qr/only one of --schemas/);
is_status(2, [ 'up', '--parallel', '2' ], 'nothing to be parallel', qr/--parallel is for --schemas/);
is_status(2, [ 'up', '--schemas', 'x', '--parallel', 'many' ], 'no number', qr/--parallel needs a number/);
is_status(2, [ 'up', '--schemas', '' ], 'no pattern', qr/--schemas needs a pattern/);
is_status(2, [ 'up', '--schemas', 'x', '--dry-run' ], 'no plan', qr/there is no plan for many targets/);
is_status(2, [ 'apply', '--schemas', 'x' ], 'nor an apply', qr/apply has no option --schemas/);
is_status(1, [ 'up', '--all-schemas' ], 'no target yet', qr/it was deployed to no schema yet: name them/);
is(query('SELECT count(*) FROM migrate.migrations'), 0, 'nothing is registered');
is_status(1, [ 'up', '--schemas', 'nowhere*' ], 'no such schema', qr/no schema matches "nowhere\*"/);
is_status(0, [ 'up', '--schemas', 'tenant_*,demo', '--parallel', '2' ], 'up --schemas',
	qr/NOTICE:  3 targets: 3 deployed \(3 migrations\), 0 with nothing to do, 0 failed/);
is(query('SELECT count(*) FROM tenant_1.orders, "tenant_2, x".orders, demo.orders'), 0, 'each has it');
is_status(1, ['up'], 'up of the database itself',
	qr/ERROR:  the migrations of this database are for schemas \(demo and 2 more\), .*HINT:  From a client: pg_safe_migrate up --all-schemas/s);
is(query("SELECT to_regclass('public.orders') IS NULL"), 't', 'builds nothing in public');
is_status(0, ['status'], 'status', qr/NOTICE:  this is about the database as a whole; pg_safe_migrate targets tells .* \(3\)/);
is_status(0, ['verify'], 'verify', qr/NOTICE:  this is about the database as a whole; pg_safe_migrate targets tells .* \(3\)/);
query('SET ROLE deployer; CREATE TABLE tenant_1.refunds (i int)');
file('migrations/2_refunds.sql', 'CREATE TABLE refunds (id int);');
is_status(1, [ 'up', '--all-schemas' ], 'one fails',
	qr/ERROR:  3 targets: 2 deployed \(2 migrations\), 0 with nothing to do, 1 failed: tenant_1: migration 2_refunds, line 1: relation "refunds" already exists/);
like(is_status(1, ['targets'], 'targets, one of which has failed'),
	qr/tenant_1 +\| failed +\| +1 \| +1 \|.*already exists/, 'tells which');
my $document = json(1, 'up', '--all-schemas');
is($document->{error}{sqlstate}, '42P07', 'in JSON');
is_deeply(
	[ map { "$_->{target_schema} $_->{state}" } @{ $document->{result}{targets} } ],
	[ 'demo deployed', 'tenant_1 failed', 'tenant_2, x deployed' ],
	'each target');
is_deeply(
	[ map { "$_->{target_schema} $_->{version} $_->{state}" } @{ $document->{result}{attempts} } ],
	['tenant_1 2 failed'], 'and each attempt');
query('DROP TABLE tenant_1.refunds');
is_status(0, [ 'up', '--all-schemas', '--to', '2' ], 'mended, it goes on',
	qr/NOTICE:  3 targets: 1 deployed \(1 migration\), 2 with nothing to do, 0 failed/);
is(scalar @{ json(0, 'targets')->{result}{targets} }, 3, 'targets in JSON');
query('DROP SCHEMA demo CASCADE');
is_status(0, [ 'up', '--all-schemas' ], 'a schema that was dropped is left out', qr/NOTICE:  2 targets:/);
$node->safe_psql('tenants_other', 'GRANT EXECUTE ON FUNCTION migrate.register(text, text, text, text) TO deployer');
is_status(0, [ 'up', '--databases', 'tenants_o*' ], 'up --databases',
	qr/NOTICE:  1 target: 1 deployed \(2 migrations\)/);
is($node->safe_psql('tenants_other', 'SELECT count(*) FROM refunds'), 0, 'is done there');
{
	local $role = 'stranger';
	is_status(1, [ 'up', '--schemas', 'tenant_1' ], 'without the grants',
		qr/have a superuser .*GRANT SELECT ON migrate.targets TO stranger; .*GRANT EXECUTE ON ROUTINE migrate.deploy_all\(text\[\], text\[\], text, int\) TO stranger$/m);
}


# ---- tasks

begin_test('tasks');
query('SET ROLE deployer; CREATE TABLE big (a int); INSERT INTO big VALUES (1), (-1)');
file('migrations/1_check.sql', 'BEGIN; ALTER TABLE big ADD CONSTRAINT positive CHECK (a > 0); COMMIT;');
query('ALTER DATABASE tasks SET safe_migrate.in_transaction = defer');
is(is_status(0, ['tasks'], 'no task') =~ tr/\n//, 4, 'none is shown');
is_status(1, ['up'], 'a task that fails', qr/is committed, but not all of it is done: task 1 failed: .*; mend the cause, SELECT migrate.retry\(1\), then deploy again/);
like(is_status(0, ['tasks'], 'tasks'), qr/^ +1 \| failed .*ADD CONSTRAINT positive/m, 'shows it');
is_status(0, ['status'], 'status says where to look', qr/^pg_safe_migrate: what is wrong, and what to do about it: pg_safe_migrate verify$/m);
like(is_status(4, ['verify'], 'verify'), qr/mend the cause, then SELECT migrate.retry\(1\)/, 'tells what to do');
for my $bad ('x', '', '1; SELECT 1', '9' x 19)
{
	is_status(2, [ 'retry', $bad ], "no task '$bad'", qr/is no number of a task/);
}
is_status(1, [ 'retry', '17' ], 'no such task', qr/task 17 does not exist/);
is_status(1, [ 'retry', '1', '--wait' ], 'retried too early', qr/task 1 failed: check constraint/);
query('UPDATE big SET a = 1');
is(json(0, 'retry', '1')->{result}{state}, 'waiting', 'retried');
is_status(0, ['up'], 'up goes on behind it', qr/1 migration applied/);
is_status(0, ['verify'], 'nothing is left');
file('migrations/2_check.sql', 'BEGIN; ALTER TABLE big ADD CONSTRAINT large CHECK (a > 10); COMMIT;');
is_status(1, ['up'], 'another one');
like(is_status(0, [ 'cancel', '2' ], 'cancel'), qr/undoing/, 'tells the state');
$node->poll_query_until($database, q{SELECT state = 'cancelled' FROM migrate.tasks WHERE id = 2});
is_deeply(json(0, 'tasks')->{result}{tasks}, [], 'it is not shown any more');
is_status(1, [ 'retry', '2' ], 'nor can it be retried', qr/task 2 is cancelled already/);
is_status(1, ['up'], 'its migration', qr/task 2 was cancelled: .*; do by hand what is missing .*, then SELECT migrate.baseline\('2'\)/);
query('UPDATE big SET a = 11; ALTER TABLE big ADD CONSTRAINT large CHECK (a > 10)');
is_status(0, [ 'baseline', '2' ], 'done by hand');
is_status(0, ['up'], 'all is well', qr/no migration is pending/);
file('migrations/3_check.sql', 'BEGIN; ALTER TABLE big ADD CONSTRAINT large3 CHECK (a > 20); COMMIT;');
is_status(1, ['up'], 'once more');
query('UPDATE big SET a = 21');
my ($task) = is_status(0, ['tasks'], 'its number') =~ /^ +(\d+) \| failed/m;
like(is_status(0, [ 'retry', $task, '--wait' ], 'retry --wait'), qr/^ +$task \| done/m, 'tells that it is done');


# ---- adopt, drift --since

begin_test('adopted');
file('migrations/1_a.sql', 'CREATE TABLE a (i int);');
file('migrations/2_b.sql', 'CREATE TABLE b (i int);');
query(q{SET ROLE deployer; CREATE TABLE a (i int); CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('1')});
is_status(0, ['load'], 'load');
is_status(1, [ 'adopt', 'flyway' ], 'no such ledger', qr/flyway/);
like(is_status(0, [ 'adopt', 'dbmate', '--ledger', 'public.schema_migrations' ], 'adopt'),
	qr/adopted/, 'tells what is new');
is_deeply(json(0, 'adopt')->{result}{adopted}, [], 'nothing is, the second time');
is_status(0, ['up'], 'up runs the rest', qr/1 migration applied/);
is_status(0, [ 'adopt', '--accept-edited' ], 'an option');
query('CREATE TABLE by_hand (i int)');
like(is_status(4, [ 'drift', '--since', 'yesterday' ], 'drift --since'), qr/by_hand/, 'what was made since');
unlike(is_status(0, [ 'drift', '--since', 'tomorrow' ], 'since then'), qr/by_hand/, 'nothing');
is_status(2, [ 'drift', '--since', 'yesterday', '--acknowledge' ], 'drift --acknowledge, not of a time',
	qr/--since and --acknowledge do not go together/);
like(is_status(4, ['drift'], 'drift, which'), qr/by_hand/, 'nobody has acknowledged');
is_status(0, [ 'drift', '--acknowledge' ], 'may stay');
is_status(0, ['drift'], 'and is told no more');
is_status(1, [ 'drift', '--since', 'nonsense' ], 'no time', qr/invalid input syntax for type timestamp/);


# ---- repeatable migrations

begin_test('repeated');
file('migrations/V1__a.sql', 'CREATE TABLE a (i int);');
file('migrations/V2__b.sql', 'CREATE TABLE b (i int);');
file('migrations/U2__b.sql', 'DROP TABLE b;');
file('migrations/R__view.sql', 'CREATE OR REPLACE VIEW v AS SELECT i FROM b;');
is_status(0, ['up'], 'up', qr/3 migrations applied/);
is_status(1, [ 'rollback', '--yes' ], 'what a repeatable one has made is in the way',
	qr/HINT:  What a repeatable migration has made \(R__view\) is not reverted: drop it in the down script, and the next deploy makes it again\./);
file('migrations/U2__b.sql', 'DROP VIEW v; DROP TABLE b;');
is_status(0, ['load'], 'a down script that drops it');
is( is_status(0, [ 'rollback', '--yes' ], 'rollback', qr/NOTICE:  the next deploy runs repeatable migrations again: R__view/),
	"reverted: 2\n", 'of the last versioned one');
is_status(0, ['up'], 'up makes both again', qr/2 migrations applied/);
is(query('SELECT count(*) FROM v'), '0', 'the view is there');
is(json(0, 'rollback', '--yes', '1')->{result}{reverted}[0], '2', 'back to a version');
is_status(0, [ 'up', '--to', '1' ], 'which does not need it', qr/no migration is pending/);
is_status(0, ['up'], 'up again');
is(query('SELECT count(*) FROM v'), '0', 'the view is there again');


# ---- the way back is not judged

begin_test('parts');
query('SET ROLE deployer; CREATE TABLE filled (i int); INSERT INTO filled VALUES (1)');
my $up = 'ALTER TABLE filled ADD COLUMN j int;';
my $down = 'DROP TABLE filled;';
my %file = (
	'dbmate.sql' => "-- migrate:up transaction:false\n$up\n\n-- migrate:down\n$down\n",
	'goose.sql' => "-- +goose Up\n$up\n\n-- +goose Down\n-- +goose StatementBegin\n$down\n-- +goose StatementEnd\n",
	'sql_migrate.sql' => "-- +migrate Up\n$up\n\n-- +migrate Down notransaction\n$down\n",
	'node.sql' => "-- Up Migration\n$up\n\n-- Down Migration\n$down\n",
	'tern.sql' => "-- tern\n$up\n\n---- create above / drop below ----\n$down\n");
for my $name (sort keys %file)
{
	file($name, $file{$name});
	like(is_status(0, [ 'check', $name ], "check $name",
			qr/\Apg_safe_migrate: $name: from line 4 on it is the way back, which is not judged\n\z/),
		qr/^ +1 \| public.filled /m, "$name: the way there is");
}
is_deeply(
	[ map { "$_->{file} $_->{statement} $_->{action}" } @{ json(0, 'check', sort keys %file)->{result}{statements} } ],
	[ map { "$_ 1 allow" } sort keys %file ],
	'of several, in JSON');
is((client('check', '--quiet', 'goose.sql'))[2], '', 'nothing is said when it is to be quiet');
file('down_first.sql', "-- +migrate Down\n$down\n-- +migrate Up\n$up\n");
is_status(1, [ 'check', 'down_first.sql' ], 'a line that begins nothing counts for nothing');
file('back_and_forth.sql', "-- +migrate Up\n$up\n-- +migrate Down\n$down\n-- +migrate Up\n$down\n");
like(is_status(1, [ 'check', 'back_and_forth.sql' ], 'two ways there'), qr/\(line 6\)/, 'the line is that of the file');
file('not_a_mark.sql', "$up\n-- migrate:down\n$down\n");
is_status(1, [ 'check', 'not_a_mark.sql' ], 'a file that has no way there by its lines is all of it');


# ---- names of files in messages

begin_test('names');
file('mixed/1_a.sql', "-- migrate:up\nSELECT 1;\n");
file('mixed/2_b.sql', "-- +goose Up\nSELECT 1;\n");
is_status(1, [ 'up', 'mixed' ], 'two formats',
	qr{ERROR:  directory "mixed" has migrations of format dbmate \("mixed/1_a.sql"\) and of format goose \("mixed/2_b.sql"\): name the one you mean, as in pg_safe_migrate --format dbmate$}m);
file("it's/1_a.sql", 'SELEKT 1;');
is_status(1, [ 'up', "it's" ], 'a syntax error', qr{ERROR:  file "it's/1_a.sql", line 1: syntax error at or near "SELEKT"});
file("\xE4/1_a.sql", 'SELEKT 1;');
is_status(1, [ 'up', "\xE4" ], 'a directory whose name is not UTF-8', qr{ERROR:  file "/1_a.sql", line 1: syntax error});
is_status(1, [ 'up', "$root/names/mixed/" ], 'a whole path', qr{\("$root/names/mixed/1_a.sql"\)});
chdir "it's";
is_status(1, [ 'up', '.' ], 'the current directory', qr{file "./1_a.sql", line 1});

chdir '/';
$node->stop;
done_testing();

# pg_safe_migrate: each command, each exit code, JSON, files of any name and
# content, signals, and what it shows on a terminal.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use IPC::Run;
use JSON::PP qw(decode_json);
use POSIX qw(:sys_wait_h setsid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $top = dirname(abs_path(__FILE__)) . '/../..';

# Whoever runs the tests in the background has SIGINT ignored, which children inherit.
$SIG{INT} = 'DEFAULT';

my $node = PostgreSQL::Test::Cluster->new('client');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
listen_addresses = '127.0.0.1'
autovacuum = off
});
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', q{
local all all trust
host all asked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
});
$node->start;
$node->safe_psql('postgres', q{
CREATE ROLE deployer LOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE asked LOGIN PASSWORD 'a secret'});

my $root = PostgreSQL::Test::Utils::tempdir;
my $temporary = "$root/tmp";
my $directory;
my $database;

mkdir $temporary;
delete $ENV{SAFE_MIGRATE_DIRECTORY};

# What the client finds in its environment.
our %environment = (
	TMPDIR => $temporary,
	PGHOST => '127.0.0.1',
	PGPORT => $node->port,
	PGUSER => 'deployer');

# The grants are those that the documentation tells, for commands in the order
# of the text.
sub documented_grants
{
	my $text = slurp_file("$top/docs/pg_safe_migrate.md");
	my $grants = join '', $text =~ /^```sql\n(GRANT .*?)^```$/gms;

	$grants =~ s/\brelease_manager\b/deployer/g;
	return $grants;
}

# A database and a directory of their own for each of the tests.
sub begin_test
{
	($database) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	query('CREATE EXTENSION safe_migrate; GRANT CREATE ON SCHEMA public TO deployer;'
		  . documented_grants());
	$environment{PGDATABASE} = $database;
	begin_directory($database);
	return;
}

sub begin_directory
{
	$directory = "$root/" . shift;
	remove_tree($directory);
	make_path($directory);
	chdir $directory;
	return;
}

# As a superuser.
sub query
{
	local $ENV{PGOPTIONS} = '-c client_min_messages=error';
	return $node->safe_psql($database, $_[0]);
}

sub file
{
	my ($path, $text) = @_;

	make_path(dirname("$directory/$path"));
	open my $handle, '>:raw', "$directory/$path" or die "$path: $!";
	print $handle $text;
	close $handle;
	return;
}

sub text_of
{
	open my $handle, '<:raw', "$directory/$_[0]" or die "$_[0]: $!";
	local $/;
	return <$handle>;
}

# Run the client; returns its exit code and what it wrote.
sub client
{
	return client_with_input(\undef, @_);
}

sub client_with_input
{
	my ($input, @arguments) = @_;
	my ($stdout, $stderr) = ('', '');

	local %ENV = (%ENV, %environment);
	IPC::Run::run([ 'pg_safe_migrate', @arguments ],
		'<', $input, '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}

sub is_status
{
	my ($expected, $arguments, $name, $pattern) = @_;
	my ($status, $stdout, $stderr) = client(@$arguments);

	is($status, $expected, $name) or diag("$stdout$stderr");
	like($stderr, $pattern, "$name: message") if defined $pattern;
	return $stdout;
}

# Run it with --json; returns the exit code and the document, which is all that
# it wrote.
sub json
{
	my ($status, $stdout, $stderr) = client(@_, '--json');
	my $document = eval { decode_json($stdout) };

	is($stderr, '', "@_ --json: nothing on standard error");
	ok(ref $document eq 'HASH', "@_ --json: one JSON document")
	  or diag("$@$stdout");
	is(($stdout =~ tr/\n//), 1, "@_ --json: on one line");
	return ($status, $document // {});
}

sub nothing_is_left
{
	my ($name) = @_;
	my @left = glob("$temporary/*");

	is("@left", '', "$name: no temporary file is left");
	return;
}


# ---- how it is called

begin_test('called');
my ($version) = slurp_file("$top/safe_migrate.control") =~ /default_version *= *'(.*)'/;
is(is_status(0, ['--version'], '--version'),
	"pg_safe_migrate $version\n", 'its version is that of the extension');
like(is_status(0, ['--help'], '--help'), qr/pg_safe_migrate up \[DIRECTORY\]/, 'help of all');
for my $command (
	qw(up load deploy apply plan status check verify drift rollback repair baseline unregister
	adopt targets tasks retry cancel new))
{
	like(is_status(0, [ $command, '--help' ], "$command --help"),
		qr/^pg_safe_migrate $command\b/, "$command has a help of its own");
}
is_status(2, [], 'no command', qr/no command is given/);
is_status(2, ['frobnicate'], 'an unknown command', qr/there is no command frobnicate/);
is_status(2, [ 'up', '--frobnicate' ], 'an unknown option', qr/there is no option --frobnicate/);
is_status(2, [ 'status', '--to', '1' ], 'an option of another command', qr/status has no option --to/);
is_status(2, [ 'up', '--to' ], 'an option without its value', qr/--to needs a value/);
is_status(2, [ 'up', 'a', 'b' ], 'too much', qr/up takes one DIRECTORY, not 2 arguments/);
is_status(2, ['check'], 'too little', qr/check needs a FILE, or several/);
is_status(2, [ 'plan', '--registered', 'a' ], 'a contradiction', qr/reads no directory/);
is_status(1, [ 'up', 'nowhere' ], 'no such directory',
	qr/there is no directory nowhere: name it with the command, or make its first migration with pg_safe_migrate new/);
file('a_file', '');
is_status(1, [ 'up', 'a_file' ], 'a file', qr/a_file is not a directory/);
unlink 'a_file';
is_status(1, [ 'up', $directory ], 'an empty directory', qr/is empty/);

my ($status, $document) = json('frobnicate');
is($status, 2, 'wrong usage in JSON');
is($document->{error}{sqlstate}, undef, 'has no SQLSTATE');
like($document->{error}{message}, qr/there is no command frobnicate/, 'but a message');


# ---- connections

{
	local $environment{PGPORT} = PostgreSQL::Test::Cluster::get_free_port();
	is_status(2, ['status'], 'no server', qr/psql: error: connection to server .* failed/);
	($status, $document) = json('status');
	is($status, 2, 'no server, in JSON');
	is($document->{error}{sqlstate}, '08001', 'SQLSTATE of a connection that failed');
	like($document->{error}{message}, qr/^connection to server .* failed/, 'and its message');
	is($document->{result}, undef, 'no result');
}
my $port = $node->port;
{
	local %environment = (
		TMPDIR => $temporary,
		PGSERVICEFILE => "$root/services");
	append_to_file("$root/services",
		"[here]\nhost=127.0.0.1\nport=$port\nuser=deployer\ndbname=$database\n");
	for my $connection (
		[ '-h', '127.0.0.1', '-p', $port, '-U', 'deployer', '-d', $database ],
		[ '-h127.0.0.1', "-p$port", '-Udeployer', "-d$database", '-w' ],
		[ '--host=127.0.0.1', "--port=$port", '--username=deployer', "--dbname=$database" ],
		[ '--host', '127.0.0.1', '--port', $port, '--username', 'deployer', '--dbname', $database, '--no-password' ],
		[ '-d', "host=127.0.0.1 port=$port user='deployer' dbname=$database" ],
		[ '-d', 'service=here' ],
		["postgresql://deployer\@127.0.0.1:$port/$database"])
	{
		is_status(0, [ 'verify', @$connection ], "verify @$connection");
	}
	$environment{PGSERVICE} = 'here';
	is_status(0, ['verify'], 'a service of the environment');
}


# ---- what a role needs

$environment{PGUSER} = 'stranger';
file('1_a.sql', 'SELECT 1');
for my $case (
	[ 'up', 'GRANT EXECUTE ON ROUTINE migrate.load_files\(text\[\], text\[\], text, text\) TO stranger; GRANT SELECT ON migrate.status TO stranger; GRANT EXECUTE ON ROUTINE migrate.deploy\(text\) TO stranger' ],
	[ 'plan', 'GRANT EXECUTE ON ROUTINE migrate.load_files\(.*\) TO stranger; GRANT EXECUTE ON ROUTINE migrate.plan\(text\) TO stranger; GRANT SELECT ON migrate.status TO stranger' ],
	[ 'status', 'GRANT SELECT ON migrate.status TO stranger' ],
	[ 'rollback', 'GRANT SELECT ON migrate.status TO stranger; GRANT EXECUTE ON ROUTINE migrate.revert\(text\) TO stranger' ],
	[ 'drift', 'GRANT EXECUTE ON ROUTINE migrate.drift\(.*' ])
{
	my ($command, $grant) = @$case;

	is_status(1,
		[ $command, $command eq 'up' || $command eq 'plan' ? $directory : () ],
		"$command without its grants",
		qr/\AERROR:  role stranger may not do "pg_safe_migrate $command" here: have a superuser $grant\n\z/);
}
($status, $document) = json('status');
is($document->{error}{sqlstate}, '42501', 'in JSON');
is_status(1, ['verify'], 'verify tells what it may not see',
	qr/WARNING:  nothing is told of migrations, .* because role stranger may not see them: have a superuser GRANT SELECT ON migrate.status TO stranger$/m);
($status, $document) = json('verify');
is($status, 1, 'also in JSON');
is_deeply($document->{result}, { findings => [] }, 'with what it may see');
like($document->{notices}[0]{message}, qr/nothing is told of migrations/, 'and what not');
is_status(0, [ 'check', '1_a.sql' ], 'check needs none');
my ($grants) = ((client('up', $directory))[2]) =~ /have a superuser (.*)/;
query($grants);
is_status(0, [ 'up', $directory ], 'that is all it needs', qr/1 migration applied/);
query("REVOKE TEMPORARY ON DATABASE $database FROM PUBLIC");
is_status(1, [ 'up', $directory ], 'no temporary tables',
	qr/have a superuser GRANT TEMPORARY ON DATABASE $database TO stranger$/);
is_status(1, [ 'status', '-d', 'postgres' ], 'no extension',
	qr/extension safe_migrate is not in database postgres: have a superuser CREATE EXTENSION/);
$environment{PGUSER} = 'deployer';


# ---- up, status, plan, verify

begin_test('commands');
file('migrations/1_orders.sql', 'CREATE TABLE orders (id int PRIMARY KEY, customer int);');
file('migrations/2_fill.sql', 'INSERT INTO orders SELECT g, g FROM generate_series(1, 100000) g;');
is_status(3, [ 'status', '--exit-code', 'migrations' ], 'status of files that were never sent');
is(query('SELECT count(*) FROM migrate.migrations'), '0', 'they stay unregistered');
like(is_status(0, ['plan'], 'plan of the usual directory'), qr/CREATE TABLE.*INSERT/s, 'it tells each statement');
like(is_status(0, [ 'up', '--dry-run' ], 'up --dry-run'), qr/CREATE TABLE.*INSERT/s, 'is the same');
is(query("SELECT count(*), to_regclass('orders') FROM migrate.migrations"), '0|', 'nothing was done');
($status, $document) = json('plan', '--to', '1');
is(scalar @{ $document->{result}{statements} }, 1, 'plan --to');
is($document->{result}{statements}[0]{command}, 'CREATE TABLE', 'in JSON');
is($document->{result}{refused}, 0, 'nothing would be refused');

is_status(0, [ 'up', '--to', '1' ], 'up --to', qr/1 migration applied/);
is_status(3, [ 'status', '--exit-code' ], 'status --exit-code: pending');
is_status(0, ['status'], 'status alone is content with it');
($status, $document) = json('up');
is($status, 0, 'up --json');
is_deeply($document->{result}{loaded}{states}, { unchanged => 2 }, 'what was loaded');
is_deeply(
	[ map { "$_->{version} $_->{state}" } @{ $document->{result}{attempts} } ],
	['2 applied'], 'what was done');
is($document->{error}, undef, 'no error');
is($document->{notices}[-1]{message}, '1 migration applied', 'and a notice');
is_status(0, [ 'status', '--exit-code' ], 'status --exit-code: nothing to do');
($status, $document) = json('status');
is_deeply($document->{result}{states}, { applied => 2 }, 'status --json');
is_deeply([ map { $_->{version} } @{ $document->{result}{migrations} } ], [ 1, 2 ], 'in order');
is((client('up', '--quiet'))[2], '', 'up --quiet says nothing');

file('migrations/3_risky.sql', "ALTER TABLE orders ALTER customer TYPE bigint;\nCREATE INDEX ON orders (customer);");
my ($stdout, $stderr);
($status, $stdout, $stderr) = client('plan');
is($status, 1, 'plan of what would be refused');
like($stdout, qr/alter_column_type/, 'it tells the rule');
like($stderr, qr/^pg_safe_migrate: \d+ of these would be refused or cannot run$/m, 'and that it is');
($status, $document) = json('plan');
is($status, 1, 'the same in JSON');
cmp_ok($document->{result}{refused}, '>=', 1, 'how many');
is($document->{error}, undef, 'that is no error');
($status, $document) = json('up');
is($status, 1, 'up of it');
is($document->{error}{sqlstate}, 'SM001', 'its SQLSTATE');
like($document->{error}{message}, qr/^migration 3_risky, line \d/, 'and message');
is($document->{result}{attempts}[0]{state}, 'failed', 'the attempt is in the result');
is_status(1, [ 'status', '--exit-code' ], 'status --exit-code: failed');
is_status(1, ['up'], 'up of it, for people', qr/^ERROR:  migration 3_risky, line \d/m);
unlink 'migrations/3_risky.sql';
file('migrations/3_bad.sql', "SELECT 1;\nSELECT \$\$\x01\t\"\\\$\$::int;");
query("SELECT migrate.unregister('3')") if query("SELECT count(*) FROM migrate.status WHERE version = '3'");
($status, $document) = json('up');
is($document->{error}{sqlstate}, '22P02', 'an error of PostgreSQL');
is( $document->{error}{message},
	"migration 3_bad, line 2: invalid input syntax for type integer: \"\x01\t\"\\\"",
	'any character comes through');
unlink 'migrations/3_bad.sql';
query("SELECT migrate.unregister('3')");

like(is_status(0, [ 'apply', 'migrations' ], 'apply'), qr/^ +0$/m, 'nothing to apply');
file('migrations/4_a.sql', 'CREATE TABLE applied (i int);');
like(is_status(0, [ 'apply', 'migrations' ], 'apply'), qr/^ +1$/m, 'one to apply');
file('migrations/5_b.sql', 'SELECT 1;');
like(is_status(0, [ 'load', 'migrations' ], 'load'), qr/^ new +\| +1$/m, 'one is new');
is(query("SELECT state FROM migrate.status WHERE version = '5'"), 'pending', 'and stays pending');
like(is_status(0, [ 'plan', '--registered' ], 'plan --registered'), qr/SELECT/, 'plans what is there');
is_status(0, [ 'baseline', '5' ], 'baseline');
is(query("SELECT state FROM migrate.status WHERE version = '5'"), 'baseline', 'marks it');
is_status(0, ['verify'], 'verify finds nothing');
query('CREATE UNIQUE INDEX half ON orders (id)');
query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half'::regclass");
like(is_status(4, ['verify'], 'verify finds something'), qr/invalid index.*half/, 'and tells');
($status, $document) = json('verify');
is($status, 4, 'verify --json');
is($document->{result}{findings}[0]{kind}, 'invalid index', 'what it found');
query('DROP INDEX half');
file('migrations/4_a.sql', 'CREATE TABLE edited (i int);');
like(is_status(4, [ 'verify', 'migrations' ], 'verify of the files'), qr/edited migration/, 'one was edited');
is_status(1, [ 'status', '--exit-code', 'migrations' ], 'status --exit-code: edited');
is_status(0, [ 'status', '--exit-code' ], 'which the ledger does not know yet');
is_status(1, ['up'], 'up of an edited one', qr/migration 4_a was changed after it had been applied/);
like(is_status(0, [ 'repair', '4' ], 'repair'), qr/accepted/, 'what it did');
is_status(0, ['up'], 'then all is well again');
query('CREATE TABLE by_hand (i int)');
like(is_status(4, ['drift'], 'drift'), qr/by_hand/, 'what was made by hand');
($status, $document) = json('drift');
ok((grep { $_->{command} eq 'CREATE TABLE' } @{ $document->{result}{changes} }), 'in JSON');
nothing_is_left('commands');


# ---- names of directories

begin_test('directories');
file('a$others$b/1_a.sql', 'SELECT 1');
is_status(0, [ 'up', 'a$others$b' ], 'dollars in the name of a directory', qr/1 migration applied/);
is_status(1, [ 'up', 'a$others$b', '--to', q{$others$'\\} ], 'and of a version',
	qr/^ERROR:  (?!syntax).*\$others\$'\\/m);
{
	local $environment{CDPATH} = $directory;
	is_status(0, [ 'status', 'a$others$b' ], 'CDPATH does not count');
}
file('-/1_a.sql', 'SELECT 1');
is_status(0, [ 'load', '-' ], 'nor does what cd makes of a dash');


# ---- check

begin_test('checked');
query('SET ROLE deployer; CREATE TABLE big (a int, b text); INSERT INTO big SELECT g, repeat(g::text, 50) FROM generate_series(1, 20000) g');
file('fine.sql', 'ALTER TABLE big ADD COLUMN c int;');
file('bad name\'s.sql', 'ALTER TABLE big ALTER a TYPE bigint;');
file('index.sql', 'CREATE INDEX ON big (a);');
file('divided.sql', "-- the index\n\n-- safe_migrate: no-transaction\nCREATE INDEX ON big (a);");
file('nonsense.sql', "SELECT 1;\nFROBNICATE;");
file('empty.sql', "-- nothing\n");
is_status(0, [ 'check', 'fine.sql' ], 'check of what is fine');
like(is_status(1, [ 'check', "bad name's.sql" ], 'check of what is refused', qr/1 of these would be refused/),
	qr/alter_column_type/, 'the rule');
like(is_status(0, [ 'check', 'index.sql' ], 'a migration is divided for the safe way'),
	qr/rewrite/, 'which is told');
is_status(1, [ 'check', '--in-transaction', 'index.sql' ],
	'in the transaction of another tool nothing can be rewritten');
is_status(0, [ 'check', 'divided.sql' ], 'nor need it say so');
($status, $document) = json('check', 'fine.sql', 'nowhere.sql');
is($status, 1, 'a file that is none');
like($document->{error}{message}, qr/is not a file$/, 'is told');
($status, $document) = json('check', './fine.sql', 'nonsense.sql', "bad name's.sql");
is($status, 1, 'check of several');
is_deeply(
	[ map { "$_->{file} $_->{action}" } @{ $document->{result}{statements} } ],
	[ './fine.sql allow', 'nonsense.sql error', "bad name's.sql reject" ],
	'each by itself, also behind one that is no SQL');
like($document->{result}{statements}[1]{message}, qr/syntax error at or near "FROBNICATE"/, 'which is told');
is(query('SELECT count(*) FROM migrate.migrations'), 0, 'nothing is registered');
($status, $stdout) = client_with_input(\'ALTER TABLE big ALTER a TYPE bigint;', 'check', '-', '--json');
is($status, 1, 'check of standard input');
is(decode_json($stdout)->{result}{statements}[0]{file}, 'standard input', 'is named so');
{
	local $environment{PGOPTIONS} = '-c safe_migrate.in_transaction=defer';
	local $environment{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
	like(is_status(0, [ 'check', '--in-transaction', 'index.sql' ], 'with in_transaction = defer it passes'),
		qr/defer/, 'being deferred');
}


# ---- files

begin_test('files');
my %text = (
	'1_plain' => "SELECT 1;\n",
	'2_without end' => 'SELECT 2;',
	"3_it's" => "SELECT 'it''s';\r\nSELECT '\\', E'\\\\', '\t';\r\n",
	'4_"double"' => "\xEF\xBB\xBFSELECT 4;\n\n\n",
	'5_back\\slash' => "SELECT 5; -- \\. \n\\.\n\\N\n" =~ s/\n\\\.\n\\N\n/ '\\.'\n-- \\N\n/r,
	'6_$HOME `id` $(id)' => "SELECT \$\$\n\\.\n\\N\n:'body' :var `id`\n\$\$;",
	"7_tab\there" => "SELECT '\x01\x02\x1f\x7f';\n",
	"8_\xC3\xA4\xE2\x82\xAC" => "SELECT '\xC3\xA4\xE2\x82\xAC\xF0\x9F\x90\x98';\n",
	'9_=x' => "\nSELECT 9;\n\r\n\r",
	'10_long' => 'SELECT length(\'' . ('x\\y' x 700_000) . '\');',
	'11_%s*?' => "SELECT '%s %d \\n';\n" x 3,
	'12_only a comment' => "-- nothing\n");
while (my ($name, $text) = each %text)
{
	file("$name.sql", $text);
}
file('.13_hidden.sql', 'no SQL');
file('.git/14_hidden.sql', 'no SQL');
file('node_modules/x/15.sql', 'no SQL');
file('README', "\0not of concern");
query("SET client_encoding = 'UTF8'");
is_status(0, [ 'up', '.' ], 'files of any name and content', qr/12 migrations applied/);
is( query("SELECT state, count(*) FROM migrate.load('$directory') GROUP BY 1"),
	'unchanged|12',
	'their texts are those that the server reads');
for my $case ([ 1, "SELECT 1;\n" ], [ 2, 'SELECT 2;' ], [ 10, $text{'10_long'} ])
{
	is(query("SELECT md5(body) FROM migrate.migrations WHERE version = '$case->[0]'"),
		$node->safe_psql('postgres', "SELECT md5(\$x\$$case->[1]\$x\$)"),
		"text $case->[0] is the file's, with or without an end of its last line");
}
is_status(0, [ 'check', map { "$_.sql" } sort keys %text ], 'they can be checked, too');

for my $case (
	[ 'nul', "SELECT 1;\nSELECT '\0';", qr/20_bad.sql: there is a NUL byte in it: save it as text in UTF-8$/ ],
	[ 'latin1', "SELECT 1;\nSELECT '\xE4';", qr/20_bad.sql, line 2: a byte is not UTF-8: save it as text in UTF-8$/ ],
	[ 'utf16', "S\0E\0", qr/20_bad.sql: there is a NUL byte in it/ ])
{
	my ($name, $text, $pattern) = @$case;

	begin_directory($name);
	file('19_good.sql', 'SELECT 1');
	file('20_bad.sql', $text);
	is_status(1, [ 'up', $directory ], "a file with $name", $pattern);
	($status, $document) = json('up', $directory);
	is($document->{error}{sqlstate}, 'SM008', "$name: in JSON");
	is_status(1, [ 'check', '20_bad.sql' ], "check of a file with $name", $pattern);
}
begin_directory('names');
file("21_line\nend.sql", 'SELECT 1');
is_status(1, [ 'up', $directory ], 'a line end in a name', qr/there is a line end in the name of a file \(end.sql\)/);
begin_directory('latin1_names');
file("22_\xE4.sql", 'SELECT 1');
($status, $document) = json('up', $directory);
is($status, 1, 'a name that is not UTF-8');
like($document->{error}{message}, qr/the name of a file is not UTF-8: rename/, 'is told, in JSON that is');
SKIP:
{
	skip 'the superuser of the system reads everything', 6 if $> == 0;
	begin_directory('unreadable');
	file('23_secret.sql', 'SELECT 1');
	chmod 0, '23_secret.sql';
	is_status(1, [ 'up', $directory ], 'an unreadable file', qr/23_secret.sql cannot be read$/);
	chmod 0600, '23_secret.sql';
	mkdir 'closed', 0;
	is_status(1, [ 'up', $directory ], 'an unreadable directory', qr/not everything in it can be read: .*closed/);
	rmdir 'closed';
	is_status(2, ['status'], 'no place for temporary files', qr/temporary files cannot be made in/)
	  if local $environment{TMPDIR} = "$root/nowhere";
}
is(query('SELECT count(*) FROM migrate.migrations'), 12, 'nothing of these is registered');
begin_directory('none');
file('1_a.txt', 'SELECT 1');
is_status(1, [ 'up', $directory ], 'no migration', qr/ERROR: .*has no migrations of a known format/);
is_status(1, [ 'up', '--format', 'nonsense', $directory ], 'no format', qr/there is no format "nonsense"/);
nothing_is_left('files');


# ---- rollback

begin_test('rolled_back');
for my $number (1 .. 4)
{
	file("${number}_t.sql", "CREATE TABLE t$number (i int);");
	file("${number}_t.down.sql", "DROP TABLE t$number;");
}
is_status(0, ['rollback'], 'rollback of nothing');
is_status(0, [ 'up', '.' ], 'up', qr/4 migrations applied/);
is_status(2, ['rollback'], 'nobody can be asked', qr/would run the down scripts of 4: say --yes/);
is(is_status(0, [ 'rollback', '--yes' ], 'the last one'), "reverted: 4\n", 'is told');
is_status(1, [ 'rollback', '--yes', '7' ], 'no such version', qr/there is no migration "7"/);
($status, $document) = json('rollback', '--yes', '01');
is($status, 0, 'back to a version, written in another way');
is_deeply($document->{result}{reverted}, [ 3, 2 ], 'the last one first');
is(query("SELECT string_agg(version || ' ' || state, ', ') FROM migrate.status"),
	'1 applied, 2 pending, 3 pending, 4 pending', 'the others are pending again');
is_status(0, [ 'up', '.' ], 'and can be applied again', qr/3 migrations applied/);
file('3_t.down.sql', 'DROP TABLE t3; SELECT 1/0;');
is_status(0, [ 'load', '.' ], 'a new down script');
($status, $document) = json('rollback', '--yes', '1');
is($status, 1, 'a down script that fails');
is($document->{error}{sqlstate}, '22012', 'is told');
is($document->{result}, undef, 'and nothing was reverted');
is(query('SELECT count(*) FROM t4'), 0, 'all or nothing');


# ---- new

sub new_files
{
	my ($name, @options) = @_;
	my ($status, $stdout, $stderr) = client('new', $name, @options);

	is($status, 0, "new $name @options in $directory") or diag($stderr);
	$stdout =~ s/\b20\d\d-\d\d-\d\d-\d{6}_/DASHED_/g;
	$stdout =~ s/\b20\d{12}/TIME/g;
	return join ' ', split /\n/, $stdout;
}

begin_directory('new');
{
	local $environment{PGPORT} = 1;
	is(new_files('first'), 'migrations/TIME_first.sql', 'plain, in the usual directory');
	is(new_files('second'), 'migrations/TIME_second.sql', 'also within the same second');
	my @files = glob('migrations/*');
	my %versions = map { m{/(\d+)_} => 1 } @files;
	is(scalar keys %versions, 2, 'two versions');
	is(new_files('third', '--down'),
		'migrations/TIME_third.sql migrations/TIME_third.down.sql', 'with a way back');
	is(new_files('fourth'),
		'migrations/TIME_fourth.sql migrations/TIME_fourth.down.sql', 'which the next one has, too');
	my ($status, $document) = json('new', 'fifth', '--directory', 'a "b');
	is($status, 0, 'new --json');
	like($document->{result}{files}[0], qr{^a "b/\d{14}_fifth.sql$}, 'names the file');

	my %layout = (
		'numbers' => [ { '1_a.sql' => '', '9_b.sql' => '' }, '10_x.sql' ],
		'padded' => [ { '001_a.sql' => '', '009_b.sql' => '' }, '010_x.sql' ],
		'golang' => [ { '000001_a.up.sql' => '', '000001_a.down.sql' => '' }, '000002_x.up.sql 000002_x.down.sql' ],
		'flyway' => [ { 'V1__a.sql' => '' }, 'V2__x.sql' ],
		'prisma' => [ { '20200101000000_a/migration.sql' => '', 'migration_lock.toml' => '' }, 'TIME_x/migration.sql' ],
		'diesel' => [ { '2020-01-01-000000_a/up.sql' => '', '2020-01-01-000000_a/down.sql' => '' }, 'DASHED_x/up.sql DASHED_x/down.sql' ],
		'dbmate' => [ { '20200101000000_a.sql' => "-- migrate:up\n" }, 'TIME_x.sql' ],
		'goose' => [ { '00001_a.sql' => "-- +goose Up\n" }, '00002_x.sql' ],
		'sql_migrate' => [ { '1_a.sql' => "-- +migrate Up\n" }, '2_x.sql' ],
		'tern' => [ { '001_a.sql' => "SELECT 1;\n---- create above / drop below ----\n" }, '002_x.sql' ],
		'postgrator' => [ { '001.do.a.sql' => '' }, '002.do.x.sql' ],
		'node' => [ { '1600000000000_a.sql' => "-- Up Migration\n" }, 'TIME_x.sql' ]);
	for my $name (sort keys %layout)
	{
		my ($files, $expected) = @{ $layout{$name} };

		begin_directory("new_$name");
		file($_, $files->{$_} || 'SELECT 1;') for keys %$files;
		is(new_files('x', '--directory', '.') =~ s{\./}{}gr, $expected, "as $name has it");
		my ($mark) = ((values %$files)[0] // '') =~ /^(-- \S+.*|---- .*)$/m;
		my ($new) = glob('*x.sql');
		like(text_of($new), qr/^\Q$mark\E/m, "$name: the file has its marks") if $mark;

		# what was made is what the server reads
		$database = 'files';
		query("SELECT count(*) FROM migrate.load('$directory')") if $name eq 'prisma';
	}
	for my $case ([ 'sqitch.plan', 'sqitch' ], [ 'meta/_journal.json', 'drizzle' ], [ 'atlas.sum', 'atlas' ])
	{
		begin_directory("new_$case->[1]");
		file($case->[0], '');
		is_status(2, [ 'new', 'x', '--directory', '.' ], $case->[1], qr/format $case->[1] is to be made with its own tool/);
	}
	begin_directory('bad_names');
	for my $bad ('a b', '', '../x', 'a/b', '-x', 'x.sql', "a\nb", "\xC3\xA4", 'x' x 151)
	{
		is_status(2, [ 'new', '--', $bad ], "the name '$bad'", qr/(is no name for a migration|name is too long)/);
	}
	is(join(' ', glob('*')), '', 'nothing was made');
	file('V1__x.sql', 'SELECT 1');
	begin_directory('there_already');
	file('migrations', 'a file');
	is_status(1, [ 'new', 'x' ], 'a file in the way', qr/migrations is not a directory/);
}
nothing_is_left('new');


# ---- signals

begin_test('signals');
file('1_slow.sql', 'SELECT pg_sleep(600)');

sub wait_for_sleep
{
	$node->poll_query_until($database,
		q{SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE a.datname = current_database() AND a.wait_event = 'PgSleep')})
	  or die 'the migration does not run';
	return;
}

for my $case ([ 'INT', 130 ], [ 'TERM', 143 ], [ 'HUP', 129 ])
{
	my ($signal, $expected) = @$case;
	my $pid = fork;

	if ($pid == 0)
	{
		setsid();
		%ENV = (%ENV, %environment);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$root/signal.out";
		open STDERR, '>', "$root/signal.err";
		exec 'pg_safe_migrate', 'up', '.' or POSIX::_exit(127);
	}
	wait_for_sleep();
	kill $signal, $pid;
	waitpid $pid, 0;
	is($? >> 8, $expected, "SIG$signal ends it");
	is(kill(0, -$pid), 0, "SIG$signal: no process is left");
	like(slurp_file("$root/signal.err"),
		qr/ERROR:  migration 1_slow, line 1: canceling statement due to user request/,
		"SIG$signal cancels the statement");
	like(slurp_file("$root/signal.err"),
		qr/^pg_safe_migrate: interrupted: the same command again goes on where it stopped$/m,
		"SIG$signal: what to do is told");
	nothing_is_left("SIG$signal");
}
is(query(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}),
	0, 'nothing runs on the server');

# the connection is lost
my %lost = (stdout => '', stderr => '');
{
	local %ENV = (%ENV, %environment);
	$lost{handle} = IPC::Run::start([ 'pg_safe_migrate', 'up', '.', '--json' ],
		'<', \undef, '>', \$lost{stdout}, '2>', \$lost{stderr});
}
wait_for_sleep();
query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
IPC::Run::finish($lost{handle});
is($lost{handle}->result, 2, 'a lost connection');
$document = decode_json($lost{stdout});
is($document->{error}{sqlstate}, '57P01', 'is told as the server told it');
is_deeply($document->{result}{loaded}{states}, { unchanged => 1 }, 'with what came before it');


# ---- a terminal

SKIP:
{
	skip 'IO::Pty is not installed', 17 unless eval { require IO::Pty; 1 };

	# Run the client on a terminal; the callback gets what it has shown so far,
	# and returns what is to be typed, once for each call that matches.
	my $columns = 0;
	my $on_terminal = sub {
		my ($answers, @arguments) = @_;
		my $terminal = IO::Pty->new;
		my $pid = fork;
		my $shown = '';

		if ($pid == 0)
		{
			$terminal->make_slave_controlling_terminal;
			my $slave = $terminal->slave;
			$slave->set_winsize(24, $columns);
			%ENV = (%ENV, %environment);
			close $terminal;
			open STDIN, '<&', $slave;
			open STDOUT, '>&', $slave;
			open STDERR, '>&', $slave;
			exec 'pg_safe_migrate', @arguments or POSIX::_exit(127);
		}
		$terminal->close_slave;
		my $end = time + $PostgreSQL::Test::Utils::timeout_default;
		while (time < $end)
		{
			my $ready = '';
			vec($ready, fileno($terminal), 1) = 1;
			if (select($ready, undef, undef, 0.2))
			{
				last unless sysread $terminal, $shown, 4096, length $shown;
			}
			if (@$answers && $shown =~ $answers->[0][0])
			{
				syswrite $terminal, $answers->[0][1];
				shift @$answers;
			}
		}
		kill 'KILL', $pid if time >= $end;
		waitpid $pid, 0;
		return ($? >> 8, $shown);
	};

	begin_test('terminal');
	file('1_first.sql', 'CREATE TABLE t (i int);');
	file('1_first.down.sql', 'DROP TABLE t;');
	file('2_slow.sql', "SELECT 1;\nSELECT pg_sleep(5);");
	my ($status, $shown) = $on_terminal->([], 'up', '.');
	is($status, 0, 'up on a terminal');
	like($shown, qr{\r2/2 2_slow, statement 2/2 SELECT, 00:00:0\d\e\[K}, 'a line of progress');
	unlike($shown, qr{\n2/2 2_slow}, 'which is overwritten');
	like($shown, qr/\r\e\[KNOTICE:  2 migrations applied\r\n/, 'by what is said');
	like($shown, qr/\r\e\[K\z/, 'and gone in the end');
	my ($code, $stdout, $stderr) = client('up', '.');
	unlike("$stdout$stderr", qr/\r|\e/, 'no such thing where there is no terminal');

	file('3_slow.sql', 'SELECT pg_sleep(5);');
	query('REVOKE SELECT ON migrate.deploy_progress FROM deployer');
	($status, $shown) = $on_terminal->([], 'up', '.', '--verbose');
	is($status, 0, 'without the right to see progress');
	like($shown, qr/no progress could be shown: .*permission denied for view deploy_progress/, 'which --verbose tells');
	like($shown, qr/NOTICE:  00000: 1 migration applied/, 'it is applied all the same');

	my $long = 'long' x 30;
	begin_test('width');
	file("1_$long.sql", 'SELECT pg_sleep(2.5);');
	$columns = 200;
	($status, $shown) = $on_terminal->([], 'up', '.');
	like($shown, qr{\r1/1 1_$long, statement 1/1 SELECT, 00:00:0\d\e\[K}, 'a wide terminal: the whole line');
	file("2_$long.sql", 'SELECT pg_sleep(2.5);');
	$columns = 40;
	($status, $shown) = $on_terminal->([], 'up', '.');
	like($shown, qr{\r1/1 2_(long){8}l\e\[K}, 'a narrow one: what fits');
	file("3_$long.sql", 'SELECT pg_sleep(2.5);');
	$columns = 0;
	{
		local $environment{COLUMNS} = 50;
		($status, $shown) = $on_terminal->([], 'up', '.');
	}
	like($shown, qr{\r1/1 3_(long){10}lon\e\[K}, 'one that does not know: what COLUMNS says');
	begin_test('terminal_again');
	file('3_slow.sql', 'SELECT 1;');
	is_status(0, [ 'up', '.' ], 'up');

	file('4_slow.sql', 'SELECT pg_sleep(600);');
	query('GRANT SELECT ON migrate.deploy_progress TO deployer');
	($status, $shown) = $on_terminal->([ [ qr{1/1 4_slow}, "\x03" ] ], 'up', '.');
	is($status, 130, 'Ctrl-C');
	like($shown, qr/canceling statement due to user request/, 'cancels the statement');
	unlike($shown, qr/could not be recorded/, 'which is on record, though the terminal cancels as well');
	nothing_is_left('Ctrl-C');
	unlink '4_slow.sql';
	query("SELECT migrate.unregister('4')");
	file('3_slow.down.sql', 'SELECT 1;');
	is_status(0, [ 'load', '.' ], 'a down script');

	($status, $shown) = $on_terminal->([ [ qr/\[y\/N\] /, "n\n" ] ], 'rollback');
	is($status, 1, 'rollback, refused');
	like($shown, qr/ 3\r\nRun the down scripts of these, in this order\?.*nothing was done/s, 'asks');
	is(query("SELECT state FROM migrate.status WHERE version = '3'"), 'applied', 'nothing was done');
	($status, $shown) = $on_terminal->([ [ qr/\[y\/N\] /, "y\n" ] ], 'rollback');
	is($status, 0, 'rollback, granted');
	is(query("SELECT state FROM migrate.status WHERE version = '3'"), 'pending', 'is done');

	($status, $shown) =
	  $on_terminal->([ [ qr/Password: /, "a secret\n" ] ], 'tasks', '-W', '-U', 'asked');
	is($status, 0, 'a password that is asked for');
	unlike($shown, qr/a secret/, 'is not shown');
	($status, $shown) =
	  $on_terminal->([ [ qr/Password: /, "a guess\n" ] ], 'tasks', '-W', '-U', 'asked');
	is($status, 2, 'a wrong password');
	is_status(2, [ 'tasks', '-w', '-U', 'asked' ], 'none', qr/no password supplied/);
}
nothing_is_left('all');

chdir '/';
$node->stop;
done_testing();

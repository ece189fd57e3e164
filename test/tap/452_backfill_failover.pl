# A standby that takes over in the middle of a backfill, or of an online change, goes
# on where the primary was: each row is set once, and none is left.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rows = 60000;
my $primary = PostgreSQL::Test::Cluster->new('primary');

$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.backfill_max_wait = 1
END
$primary->start;
$primary->backup('copy');

my $standby = PostgreSQL::Test::Cluster->new('standby');

$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

# a pause behind each statement of the backfill makes it last; and the hits of each row
$primary->safe_psql('postgres', qq{
CREATE EXTENSION safe_migrate;
CREATE TABLE filled (id int PRIMARY KEY, a int, b int, hits int NOT NULL DEFAULT 0);
CREATE TABLE renamed (LIKE filled INCLUDING ALL);
INSERT INTO filled SELECT g, g, NULL, 0 FROM generate_series(1, $rows) g;
INSERT INTO renamed SELECT g, g, NULL, 0 FROM generate_series(1, $rows) g;
CREATE FUNCTION hit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.hits := OLD.hits + 1; RETURN NEW; END';
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END';
CREATE TRIGGER hit BEFORE UPDATE ON filled FOR EACH ROW EXECUTE FUNCTION hit();
CREATE TRIGGER hit BEFORE UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION hit();
CREATE TRIGGER wait AFTER UPDATE ON filled FOR EACH STATEMENT EXECUTE FUNCTION wait();
CREATE TRIGGER wait AFTER UPDATE ON renamed FOR EACH STATEMENT EXECUTE FUNCTION wait();
});

my $id = $primary->safe_psql('postgres', q{SELECT migrate.rename_column('renamed', 'a', 'c')});
my ($out, $error) = ('', '');
my $session = IPC::Run::start(
	[ $primary->installed_command('psql'), '-XAtq', '-d', $primary->connstr('postgres'), '-c', q{CALL migrate.backfill('filled', 'b = a')} ],
	'<', \undef, '>', \$out, '2>', \$error);

$primary->poll_query_until('postgres', 'SELECT count(*) = 2 AND min(rows_done) > 1000 FROM migrate.progress') or die 'no backfill';
$primary->wait_for_catchup($standby);
$primary->stop('immediate');
eval { $session->finish };
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');

is($standby->safe_psql('postgres', qq{SELECT bool_and(done BETWEEN 1001 AND $rows - 1) FROM
	(SELECT count(b) AS done FROM filled UNION ALL SELECT sum(hits) FROM renamed) s}), 't', 'the standby has it half done');
$standby->safe_psql('postgres', 'DROP TRIGGER wait ON filled; DROP TRIGGER wait ON renamed');
my ($status, undef, $said) = $standby->psql('postgres', q{CALL migrate.backfill('filled', 'b = a')});
is($status, 0, 'the same call is sent to it');
like($said, qr/goes on with backfill \d+ of public\.filled/, 'and goes on');
is($standby->safe_psql('postgres', 'SELECT count(*), min(hits), max(hits), count(*) FILTER (WHERE b = a) FROM filled'),
	"$rows|1|1|$rows", 'each row was set, and once');
($status, undef, $said) = $standby->psql('postgres', "CALL migrate.wait($id)");
is($status, 0, 'the change is gone on with by itself') or diag($said);
is($standby->safe_psql('postgres', "SELECT phase FROM migrate.changes WHERE id = $id"), 'verified', 'to its end');
is($standby->safe_psql('postgres', 'SELECT count(*), min(hits), max(hits), count(*) FILTER (WHERE c = a) FROM renamed'),
	"$rows|1|1|$rows", 'there as well each row was set, and once');
$standby->safe_psql('postgres', "SELECT migrate.contract($id, force := true)");
is($standby->safe_psql('postgres', 'SELECT count(*) FROM renamed WHERE c = id'), $rows, 'and it is contracted there');

$standby->stop;
done_testing();

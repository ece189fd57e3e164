# Online changes that are cancelled, when they are verified and in the middle, under
# clients that never stop: everything is as if they had not been.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use ChangeOracle;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = ChangeOracle::start_node('change_cancel');

ChangeOracle::run_cases($node, qr/^(rename|change_type|split|merge|drop|add_column, a comp|set_not_null, w)/,
	sub { my ($oracle, $case) = @_; $oracle->run_to_cancel($case) });

# Where nothing is left to be contracted the change is over.
$node->safe_psql('postgres', q{
CREATE TABLE c (a int);
INSERT INTO c VALUES (1);
SELECT migrate.add_check('c', 'a > 0', 'a_is_positive', 'a = 1');
});
my $id = $node->safe_psql('postgres', 'SELECT max(id) FROM migrate.changes');

$node->safe_psql('postgres', "CALL migrate.advance($id)");
my ($status, $out, $error) = $node->psql('postgres', "SELECT migrate.cancel($id)");
like($error, qr/change $id is contracted: take it back by ALTER TABLE public.c/, 'one that is done is not cancelled');
is($node->safe_psql('postgres', "SELECT phase FROM migrate.changes WHERE id = $id"), 'contracted', 'and says so');

$node->stop;
done_testing();

#!/usr/bin/perl
#
# Write 1,000 small migrations, the same for every runner:
#
#     migrations.pl plain DIRECTORY       <version>_<name>.sql
#     migrations.pl dbmate DIRECTORY      the same, with dbmate's markers
#
# A quarter each makes a table, adds a column to it, indexes it, fills it.

use strict;
use warnings;

use constant MIGRATIONS => 1000;

my ($layout, $directory) = @ARGV;
die "usage: migrations.pl plain | dbmate DIRECTORY\n"
  unless $directory && $layout =~ /^(?:plain|dbmate)$/;

my @kinds = (
	[ 'create', <<'END' ],
CREATE TABLE item_%1$d (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
END
	[ 'add_state_to', <<'END' ],
ALTER TABLE item_%1$d ADD COLUMN state text NOT NULL DEFAULT 'new';
END
	[ 'index', <<'END' ],
CREATE INDEX item_%1$d_state_idx ON item_%1$d (state, created_at);
END
	[ 'fill', <<'END' ]);
INSERT INTO item_%1$d (name, state, created_at)
SELECT 'item ' || n, CASE n %% 3 WHEN 0 THEN 'done' ELSE 'new' END, '2024-01-01'
FROM generate_series(1, 10) n;
END

for my $i (0 .. MIGRATIONS - 1)
{
	my ($name, $sql) = @{ $kinds[ $i % @kinds ] };
	my $table = 1 + int($i / @kinds);
	my $file =
	  sprintf '%s/%d_%s_item_%d.sql', $directory, 20240101000000 + $i, $name, $table;

	open my $out, '>', $file or die "$file: $!\n";
	print $out "-- migrate:up\n" if $layout eq 'dbmate';
	printf $out $sql, $table;
	print $out "\n-- migrate:down\n" if $layout eq 'dbmate';
	close $out or die "$file: $!\n";
}

#!/usr/bin/perl
#
# Write small migrations, the same for every runner, 1,000 unless told otherwise:
#
#     migrations.pl plain DIRECTORY [COUNT]      <version>_<name>.sql
#     migrations.pl dbmate DIRECTORY [COUNT]     the same, with dbmate's markers
#     migrations.pl sqitch DIRECTORY [COUNT]     sqitch.plan and deploy/*.sql
#     migrations.pl liquibase DIRECTORY [COUNT]  one changelog.sql
#
# A quarter each makes a table, adds a column to it, indexes it, fills it.

use strict;
use warnings;

my %writer = (
	plain     => \&write_plain,
	dbmate    => \&write_dbmate,
	sqitch    => \&write_sqitch,
	liquibase => \&write_liquibase);
my ($layout, $directory, $count) = @ARGV;
die "usage: migrations.pl plain | dbmate | sqitch | liquibase DIRECTORY [COUNT]\n"
  unless $directory && $writer{$layout};

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

begin_sqitch() if $layout eq 'sqitch';
for my $i (0 .. ($count // 1000) - 1)
{
	my ($name, $sql) = @{ $kinds[ $i % @kinds ] };
	my $table = 1 + int($i / @kinds);

	$writer{$layout}
	  ->(20240101000000 + $i, "${name}_item_$table", sprintf($sql, $table));
}

sub append
{
	my ($file, $text) = @_;

	open my $out, '>>', "$directory/$file" or die "$file: $!\n";
	print $out $text;
	close $out or die "$file: $!\n";
	return;
}

sub write_plain
{
	my ($version, $name, $sql) = @_;

	append("${version}_$name.sql", $sql);
	return;
}

sub write_dbmate
{
	my ($version, $name, $sql) = @_;

	append("${version}_$name.sql", "-- migrate:up\n$sql\n-- migrate:down\n");
	return;
}

sub begin_sqitch
{
	mkdir "$directory/deploy";
	append('sqitch.conf', "[core]\n\tengine = pg\n");
	append('sqitch.plan', "%syntax-version=1.0.0\n%project=bench\n\n");
	return;
}

sub write_sqitch
{
	my ($version, $name, $sql) = @_;

	append('sqitch.plan', "$name 2024-01-01T00:00:00Z Bench <bench\@example.org>\n");
	append("deploy/$name.sql", "BEGIN;\n${sql}COMMIT;\n");
	return;
}

sub write_liquibase
{
	my ($version, $name, $sql) = @_;

	append('changelog.sql', "--liquibase formatted sql\n")
	  unless -e "$directory/changelog.sql";
	append('changelog.sql', "\n--changeset bench:$name\n$sql");
	return;
}

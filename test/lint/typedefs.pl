# Print the names that C headers and sources define by typedef, which
# pg_bsd_indent needs to tell a declaration from a multiplication:
#
#     perl typedefs.pl FILE_OR_DIRECTORY...

use strict;
use warnings;
use File::Find;

# Names that are words elsewhere; pgindent leaves them out as well, but for text,
# which is what a variable with text in it is called here.
my %not_a_type = map { $_ => 1 }
  qw(FD_SET U abs allocfunc boolean date digit ilist interval iterator other
  pointer printfunc reference string text timestamp type wrap);

my %names;

sub read_file
{
	my ($file) = @_;
	open(my $handle, '<', $file) or die "$file: $!";
	local $/ = undef;
	my $text = <$handle>;

	$text =~ s{/\*.*?\*/}{ }gs;              # comments
	$text =~ s{//[^\n]*}{ }g;
	$text =~ s{^[ \t]*\#(?:\\\n|[^\n])*}{}gm;    # preprocessor lines
	$text =~ s{"(?:\\.|[^"\\\n])*"}{""}g;    # strings

	# A system catalog is a typedef in the disguise of a macro.
	$text =~ s/^CATALOG\(/typedef struct CATALOG(/gm;

	# What stands in braces says nothing about the name.
	1 while $text =~ s/\{[^{}]*\}/ /g;

	while ($text =~ /\btypedef\b([^;]*);/g)
	{
		my $declaration = $1;
		$declaration =~ s/\bCATALOG\(.*\)//;
		$declaration =~ s/\bpg_attribute\w*(\([^()]*\))?//g;
		$declaration =~ s/\[[^\]]*\]//g;    # arrays
		if ($declaration =~ /\(\s*\*\s*(\w+)\s*\)\s*\(/)
		{
			$names{$1} = 1;                 # pointer to a function
		}
		elsif ($declaration =~ /(\w+)\s*\([^()]*\)\s*$/)
		{
			$names{$1} = 1;                 # function
		}
		else
		{
			# one name, or several: typedef struct x *a, b
			$names{$1} = 1 while $declaration =~ /(\w+)\s*(?=,|$)/g;
		}
	}
}

find(
	{   no_chdir => 1,
		wanted => sub { read_file($_) if -f $_ && /\.[ch]$/ }
	},
	@ARGV);
print "$_\n" for sort grep { !$not_a_type{$_} } keys %names;

/*-------------------------------------------------------------------------
 *
 * sqitch_plan.c
 *	  The plan of a project of sqitch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/formats/sqitch_plan.h"
#include "ledger/formats/text_lines.h"

#define PROJECT_PRAGMA "%project="

/* A name of a change with a tag, or of a tag alone, and what it stands for. */
typedef struct SqitchTag
{
	char	   *name;			/* without @ */
	SqitchChange *change;		/* the one before the tag */
	int			change_count;	/* changes before the tag */
} SqitchTag;

/* A plan that is being read. */
typedef struct SqitchPlan
{
	const char *path;
	int			line;
	char	   *project;
	List	   *changes;		/* of SqitchChange */
	List	   *tags;			/* of SqitchTag */
} SqitchPlan;

static void read_plan_line(SqitchPlan *plan, char *text);
static void add_tag(SqitchPlan *plan, const char *name);
static void add_change(SqitchPlan *plan, char *name, char *rest);
static bool is_change_name(const char *name);
static void rename_script(SqitchPlan *plan, SqitchChange *before);
static void add_dependencies(SqitchPlan *plan, SqitchChange *change,
							 char *rest);
static void add_dependency(SqitchPlan *plan, SqitchChange *change, char *word);
static char *without_project(SqitchPlan *plan, char *word);
static SqitchChange *find_change(SqitchPlan *plan, const char *reference);
static SqitchTag *find_tag(SqitchPlan *plan, const char *name);
static SqitchChange *last_change_of_name(List *changes, int count,
										 const char *name);

/*
 * See sqitch_plan.h.
 */
List *
read_sqitch_plan(const char *path, const char *text)
{
	SqitchPlan	plan = {path};
	TextLine	line = {.next = text};

	while (next_line(&line))
	{
		char	   *copy = pnstrdup(line.start, line.length);

		plan.line = line.number;
		copy[strcspn(copy, "#")] = '\0';
		copy = trimmed(copy);
		if (copy[0] != '\0')
			read_plan_line(&plan, copy);
	}
	return plan.changes;
}

static void
read_plan_line(SqitchPlan *plan, char *text)
{
	char	   *rest = text;
	char	   *word;

	if (text[0] == '%')
	{
		if (strncmp(text, PROJECT_PRAGMA, strlen(PROJECT_PRAGMA)) == 0)
			plan->project = trimmed(pstrdup(text + strlen(PROJECT_PRAGMA)));
		return;
	}
	if (text[0] == '-')
		bad_line(plan->path, plan->line,
				 "a plan that takes a change back is not understood: write a change that does so");
	if (text[0] == '+')
		rest++;
	word = next_word(&rest);
	if (word == NULL)
		bad_line(plan->path, plan->line, "there is no name of a change: write one");
	if (word[0] == '@')
		add_tag(plan, word + 1);
	else
		add_change(plan, word, rest);
}

static void
add_tag(SqitchPlan *plan, const char *name)
{
	SqitchTag  *tag = palloc0(sizeof(SqitchTag));

	if (plan->changes == NIL)
		bad_line(plan->path, plan->line,
				 psprintf("tag @%s is before all changes: put it behind one",
						  name));
	if (find_tag(plan, name) != NULL)
		bad_line(plan->path, plan->line,
				 psprintf("tag @%s is there twice: rename one of them", name));
	tag->name = pstrdup(name);
	tag->change = llast(plan->changes);
	tag->change_count = list_length(plan->changes);
	plan->tags = lappend(plan->tags, tag);
}

/*
 * The same name again stands for a new script; that of before has then been
 * renamed after the first tag that is between the two.  Its version stays, for
 * it may be registered.
 */
static void
add_change(SqitchPlan *plan, char *name, char *rest)
{
	SqitchChange *change = palloc0(sizeof(SqitchChange));
	SqitchChange *before = last_change_of_name(plan->changes,
											   list_length(plan->changes),
											   name);

	if (!is_change_name(name))
		bad_line(plan->path, plan->line,
				 psprintf("\"%s\" is not a name of a change: rename it", name));
	change->name = change->version = change->script = name;
	change->number = 1;
	change->line = plan->line;
	add_dependencies(plan, change, rest);
	if (before != NULL)
	{
		rename_script(plan, before);
		change->number = before->number + 1;
		change->version = psprintf("%s#%d", name, change->number);
	}
	plan->changes = lappend(plan->changes, change);
}

/* It is part of a path. */
static bool
is_change_name(const char *name)
{
	return name[0] != '\0' && strpbrk(name, ":@#\\[]") == NULL &&
		name[0] != '/' && name[0] != '.' && strstr(name, "/.") == NULL &&
		strstr(name, "//") == NULL && name[strlen(name) - 1] != '/';
}

static void
rename_script(SqitchPlan *plan, SqitchChange *before)
{
	ListCell   *cell;

	foreach(cell, plan->tags)
	{
		SqitchTag  *tag = lfirst(cell);

		if (last_change_of_name(plan->changes, tag->change_count,
								before->name) != before)
			continue;
		before->script = psprintf("%s@%s", before->name, tag->name);
		return;
	}
	bad_line(plan->path, plan->line,
			 psprintf("change \"%s\" is there twice without a tag between: rename one of them",
					  before->name));
}

/* [a b@tag !c], and then a time, who planned it, and a note. */
static void
add_dependencies(SqitchPlan *plan, SqitchChange *change, char *rest)
{
	char	   *end;
	char	   *word;

	rest = trimmed(rest);
	if (rest[0] != '[')
		return;
	end = strchr(rest, ']');
	if (end == NULL)
		bad_line(plan->path, plan->line,
				 "the list of what the change requires has no end: write ] behind it");
	*end = '\0';
	rest++;
	while ((word = next_word(&rest)) != NULL)
		add_dependency(plan, change, word);
}

/*
 * What a change conflicts with must not be there; the plan is the only one
 * that is looked at.
 */
static void
add_dependency(SqitchPlan *plan, SqitchChange *change, char *word)
{
	bool		conflict = word[0] == '!';
	SqitchChange *other;

	word = without_project(plan, conflict ? word + 1 : word);
	other = find_change(plan, word);
	if (conflict && other != NULL)
		bad_line(plan->path, plan->line,
				 psprintf("change \"%s\" conflicts with \"%s\", which is before it: one of them has to go",
						  change->name, word));
	if (!conflict && other == NULL)
		bad_line(plan->path, plan->line,
				 psprintf("change \"%s\" requires \"%s\", which is not before it: put it there",
						  change->name, word));
	if (!conflict)
		change->requires = lappend(change->requires, other->version);
}

static char *
without_project(SqitchPlan *plan, char *word)
{
	char	   *colon = strchr(word, ':');

	if (colon == NULL)
		return word;
	*colon = '\0';
	if (plan->project == NULL || strcmp(word, plan->project) != 0)
		bad_line(plan->path, plan->line,
				 psprintf("\"%s\" is another project, which is not looked at: take the dependency out, and see to it yourself",
						  word));
	return colon + 1;
}

/* name, name@tag or @tag, of what is before; NULL if it is not there. */
static SqitchChange *
find_change(SqitchPlan *plan, const char *reference)
{
	const char *at = strchr(reference, '@');
	SqitchTag  *tag;

	if (at == NULL)
		return last_change_of_name(plan->changes, list_length(plan->changes),
								   reference);
	tag = find_tag(plan, at + 1);
	if (tag == NULL)
		return NULL;
	if (at == reference)
		return tag->change;
	return last_change_of_name(plan->changes, tag->change_count,
							   pnstrdup(reference, at - reference));
}

static SqitchTag *
find_tag(SqitchPlan *plan, const char *name)
{
	ListCell   *cell;

	foreach(cell, plan->tags)
	{
		SqitchTag  *tag = lfirst(cell);

		if (strcmp(tag->name, name) == 0)
			return tag;
	}
	return NULL;
}

/* Of the first so many changes. */
static SqitchChange *
last_change_of_name(List *changes, int count, const char *name)
{
	for (int i = count - 1; i >= 0; i--)
	{
		SqitchChange *change = list_nth(changes, i);

		if (strcmp(change->name, name) == 0)
			return change;
	}
	return NULL;
}

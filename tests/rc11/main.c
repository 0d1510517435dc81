/* SPDX-License-Identifier: BSD-2-Clause */
#include "commands.h"
#include "enumerate.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 250 };

static const char usage[] =
    "usage: rc11 enumerate [--unpruned] [--answer] [FILE...]   the outcomes of each program\n"
    "       rc11 verify FILE...                                checks the verdicts of litmus tests\n"
    "       rc11 random [--count N] [--seed S] [SHAPE]         writes random programs\n"
    "       rc11 selftest [--count N] [--seed S]               the enumerator against interleavings and itself\n"
    "       rc11 check --engine COMMAND [--count N] [--seed S] [SHAPE] [FILE...]\n"
    "                                                          an engine against the enumerator\n"
    "\n"
    "enumerate marks an outcome + if it has an execution in which sb, rf, mo and psc together are acyclic, else -; "
    "with\n"
    "--answer it writes what an engine would. SHAPE is --threads N or N..M (2 to 4) and --ops N, the most of a thread "
    "(4).\n"
    "check runs random programs, or those of the files; COMMAND is a shell command that reads programs from its "
    "standard\n"
    "input and writes outcomes. FILE - is standard input. Exit status: 0, 1 if something is wrong, 2 for bad usage.\n";

typedef struct {
	random_options shape;
	int count;
	bool unpruned, answer;
	const char *engine;
	const char *const *files;
	int file_count;
} options;

static _Noreturn void bad_usage(const char *what)
{
	fprintf(stderr, "rc11: %s\n%s", what, usage);
	exit(2);
}

static unsigned long long number(const char *text, unsigned long long most)
{
	char *end = NULL;
	unsigned long long value = text ? strtoull(text, &end, 10) : 0;
	if (!text || text[0] < '0' || text[0] > '9' || *end || value > most)
		bad_usage("an option's number is missing or out of range");
	return value;
}

static void parse_threads(random_options *shape, const char *text)
{
	if (!text || strspn(text, "1234") != 1 || (text[1] && (strncmp(text + 1, "..", 2) != 0 || strlen(text) != 4)))
		bad_usage("--threads takes N or N..M");
	shape->min_threads = text[0] - '0';
	shape->max_threads = (int)number(text[1] ? text + 3 : text, THREAD_MAX);
	if (shape->max_threads < shape->min_threads || shape->min_threads < 2)
		bad_usage("--threads goes from 2 to 4");
}

static options parse(const char *const *arguments)
{
	options o = {.shape = {.seed = 1, .min_threads = 2, .max_threads = 3, .max_ops = 4}, .count = 1000};
	for (; *arguments && (arguments[0][0] != '-' || !arguments[0][1]) == 0; arguments++) {
		const char *name = *arguments;
		if (!strcmp(name, "--unpruned") || !strcmp(name, "--answer")) {
			*(name[2] == 'u' ? &o.unpruned : &o.answer) = true;
			continue;
		}
		const char *value = *++arguments;
		if (!strcmp(name, "--count"))
			o.count = (int)number(value, 1000000000);
		else if (!strcmp(name, "--seed"))
			o.shape.seed = number(value, UINT64_MAX);
		else if (!strcmp(name, "--ops"))
			o.shape.max_ops = (int)number(value, 4);
		else if (!strcmp(name, "--threads"))
			parse_threads(&o.shape, value);
		else if (!strcmp(name, "--engine") && value)
			o.engine = value;
		else
			bad_usage(name);
		if (!o.shape.max_ops)
			bad_usage("--ops is at least 1");
	}
	static const char *const standard_input[] = {"-", NULL};
	o.files = *arguments ? arguments : standard_input;
	while (o.files[o.file_count])
		o.file_count++;
	if (!*arguments)
		o.file_count = -1;
	return o;
}

/* Calls visit for each program of the files; returns the sum of its results. */
static int each_program(const options *o, int *programs,
                        int (*visit)(const options *, const char *file, const program *))
{
	int sum = 0;
	for (const char *const *file = o->files; *file; file++) {
		litmus_text from = {.file = stdin, .name = *file};
		program p;
		if (strcmp(*file, "-") != 0)
			from.file = fopen(*file, "r");
		if (!from.file) {
			perror(*file);
			exit(2);
		}
		for (; program_read(&from, &p); ++*programs)
			sum += visit(o, *file, &p);
		if (from.file != stdin)
			fclose(from.file);
	}
	return sum;
}

static int enumerate_one(const options *o, const char *file, const program *p)
{
	(void)file;
	outcome_set outcomes = outcomes_of(p, o->unpruned);
	printf("P %s", p->name);
	printf(o->answer ? " executions=%d exhausted=1\n" : " outcomes=%d\n", outcomes.count);
	for (int i = 0; i < outcomes.count; i++) {
		if (!o->answer)
			fputs(outcomes.list[i].prompt ? "+ " : "- ", stdout);
		outcome_print(stdout, p, &outcomes.list[i].values);
		putchar('\n');
	}
	puts("E");
	outcomes_free(&outcomes);
	return 0;
}

static int verify_one(const options *o, const char *file, const program *p)
{
	(void)o;
	return verify_program(file, p);
}

static int conclude(int programs, int wrong, const char *what)
{
	printf("%d programs, %d %s\n", programs, wrong, what);
	return wrong || !programs;
}

/* Programs that wait for the engine. */
static program batch[BATCH];
static int batch_count;

static int check_batch(const options *o)
{
	int violations = check_programs(o->engine, batch, batch_count);
	if (violations < 0)
		exit(1);
	batch_count = 0;
	return violations;
}

static int check_one(const options *o, const char *file, const program *p)
{
	(void)file;
	batch[batch_count++] = *p;
	return batch_count == BATCH ? check_batch(o) : 0;
}

static int check_random(const options *o)
{
	int violations = 0;
	for (int i = 0; i < o->count; i++) {
		program p = random_program(o->shape, i);
		violations += check_one(o, NULL, &p);
		if (!batch_count)
			fprintf(stderr, "%d of %d programs, %d violations\n", i + 1, o->count, violations);
	}
	return violations;
}

static int check(const options *o)
{
	int programs = 0, violations = 0;
	if (!o->engine)
		bad_usage("check needs --engine");
	if (o->file_count >= 0) {
		violations = each_program(o, &programs, check_one);
	} else {
		violations = check_random(o);
		programs = o->count;
	}
	if (batch_count)
		violations += check_batch(o);
	return conclude(programs, violations, "violations");
}

static int selftest(options o)
{
	int wrong = 0;
	if (o.shape.max_ops > 3)
		/* Enumeration without pruning, and with twice the operations, must stay small. */
		o.shape.max_ops = 3;
	for (int i = 0; i < o.count; i++) {
		program p = random_program(o.shape, i);
		wrong += selftest_program(&p);
	}
	return conclude(o.count, wrong, "violations");
}

int main(int argc, char **argv)
{
	if (argc < 2)
		bad_usage("which command?");
	const char *command = argv[1];
	int programs = 0;
	if (!strcmp(command, "-h") || !strcmp(command, "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	options o = parse((const char *const *)(argv + 2));
	if (!strcmp(command, "enumerate"))
		return each_program(&o, &programs, enumerate_one);
	if (!strcmp(command, "verify")) {
		int wrong = each_program(&o, &programs, verify_one);
		return conclude(programs, wrong, "wrong verdicts");
	}
	if (!strcmp(command, "check"))
		return check(&o);
	if (!strcmp(command, "selftest"))
		return selftest(o);
	if (strcmp(command, "random") != 0)
		bad_usage(command);
	for (int i = 0; i < o.count; i++) {
		program p = random_program(o.shape, i);
		program_print(stdout, &p);
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "commands.h"
#include "enumerate.h"
#include "random.h"

#include <getopt.h>

enum { BATCH = 250 };

static const char usage[] =
    "usage: rc11 enumerate [FILE...]       the outcomes of each program\n"
    "       rc11 answer [FILE...]          the same, as an engine writes them\n"
    "       rc11 verify FILE...            checks the verdicts of litmus tests\n"
    "       rc11 selftest [--count N]      the enumerator against interleavings and itself\n"
    "       rc11 check --engine COMMAND [--count N] [--seed S] [--proved PERCENT]\n"
    "                                      an engine against the enumerator, on random programs, of which it must\n"
    "                                      prove so many\n"
    "\n"
    "enumerate marks an outcome + if it has an execution in which sb, rf, mo and psc together are acyclic, else -.\n"
    "COMMAND is a shell command that reads programs from its standard input and writes outcomes. Without a FILE the\n"
    "programs are read from standard input. Exit status: 0, 1 if something is wrong, 2 for bad usage.\n";

static uint64_t count = 1000, seed = 1, least_proved;
static const char *engine;

static _Noreturn void bad_usage(const char *what)
{
	fprintf(stderr, "rc11: %s\n%s", what, usage);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end = NULL;
	uint64_t value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || value > INT32_MAX)
		bad_usage("an option's number is out of range");
	return value;
}

/* Returns the index of the first file. */
static int parse(int argc, char **argv)
{
	static const struct option known[] = {
	    {"count", required_argument, NULL, 'c'},  {"seed", required_argument, NULL, 's'},
	    {"engine", required_argument, NULL, 'e'}, {"proved", required_argument, NULL, 'p'},
	    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
	for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;)
		if (c == 'c')
			count = number(optarg);
		else if (c == 's')
			seed = number(optarg);
		else if (c == 'e')
			engine = optarg;
		else if (c == 'p')
			least_proved = number(optarg);
		else if (c != 'h')
			bad_usage("unknown option");
		else
			exit(fputs(usage, stdout) < 0);
	return optind;
}

static int conclude(int programs, int wrong, const char *what)
{
	printf("%d programs, %d %s\n", programs, wrong, what);
	return wrong || !programs;
}

/* Calls visit for each program of a text; adds up their number, and the results. */
static void each_program(litmus_text from, int (*visit)(const char *file, const program *), int *programs, int *sum)
{
	if (!from.file) {
		perror(from.name);
		exit(2);
	}
	for (program p; program_read(&from, &p); ++*programs)
		*sum += visit(from.name, &p);
	fclose(from.file);
}

static bool answers; /* outcomes are printed as an engine writes them */

static int print_outcomes(const char *file, const program *p)
{
	(void)file;
	outcome_set outcomes = outcomes_of(p, false);
	printf(answers ? "P %s executions=%d exhausted=1 proved=1\n" : "P %s outcomes=%d\n", p->name, outcomes.count);
	for (int i = 0; i < outcomes.count; i++) {
		if (!answers)
			fputs(outcomes.list[i].prompt ? "+ " : "- ", stdout);
		outcome_print(stdout, p, &outcomes.list[i].values);
		putchar('\n');
	}
	puts("E");
	outcomes_free(&outcomes);
	return 0;
}

static int check(void)
{
	static program batch[BATCH];
	int violations = 0, proved = 0;
	if (!engine)
		bad_usage("check needs --engine");
	for (int done = 0; done < (int)count;) {
		int n = 0;
		while (n < BATCH && done < (int)count)
			batch[n++] = random_program(seed, done++, 4, true);
		int found = check_programs(engine, batch, n, &proved);
		if (found < 0)
			return 1;
		violations += found;
		fprintf(stderr, "%d of %d programs, %d violations\n", done, (int)count, violations);
	}
	const int wrong = conclude((int)count, violations, "violations");
	printf("%d of them proved, at least %d %% expected\n", proved, (int)least_proved);
	return wrong || 100 * (uint64_t)proved < least_proved * count;
}

static int selftest(void)
{
	int wrong = 0;
	for (int i = 0; i < (int)count; i++) {
		/* Enumeration without pruning, and with twice the operations, must stay small. */
		program p = random_program(seed, i, 3, false);
		wrong += selftest_program(&p);
	}
	return conclude((int)count, wrong, "violations");
}

int main(int argc, char **argv)
{
	int programs = 0, wrong = 0;
	argv += parse(argc, argv);
	const char *command = *argv ? *argv++ : "";
	if (!strcmp(command, "check"))
		return check();
	if (!strcmp(command, "selftest"))
		return selftest();
	bool verifies = !strcmp(command, "verify");
	answers = !strcmp(command, "answer");
	if (!verifies && !answers && strcmp(command, "enumerate") != 0)
		bad_usage("which command?");
	int (*visit)(const char *, const program *) = verifies ? verify_program : print_outcomes;
	if (!*argv)
		each_program((litmus_text){.file = stdin, .name = "-"}, visit, &programs, &wrong);
	for (; *argv; argv++)
		each_program((litmus_text){.file = fopen(*argv, "r"), .name = *argv}, visit, &programs, &wrong);
	return verifies ? conclude(programs, wrong, "wrong verdicts") : 0;
}

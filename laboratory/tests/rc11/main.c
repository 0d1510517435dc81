/* SPDX-License-Identifier: BSD-2-Clause */
/* main(): reads the command line, and runs the command for each litmus program of the files. */
#include "commands.h"
#include "enumerate.h"

#include <getopt.h>

static const char usage[] =
    "usage: rc11 enumerate [FILE...]       the outcomes of each program\n"
    "       rc11 verify FILE...            checks the verdicts of litmus tests\n"
    "       rc11 selftest [FILE...]        the enumerator against interleavings and itself\n"
    "\n"
    "--cxx20: release sequences are those of C++20.\n"
    "enumerate marks an outcome + if it has an execution in which sb, rf, mo and psc together are acyclic, else -.\n"
    "Without a FILE the programs are read from standard input. Exit status: 0, 1 if something is wrong, 2 for bad "
    "usage.\n";

static _Noreturn void bad_usage(const char *what)
{
	fprintf(stderr, "rc11: %s\n%s", what, usage);
	exit(2);
}

/* Returns the index of the first file. */
static int parse(int argc, char **argv)
{
	static const struct option known[] = {
	    {"cxx20", no_argument, NULL, 'x'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;)
		if (c == 'x')
			rc11_cxx20 = true;
		else if (c != 'h')
			bad_usage("unknown option");
		else
			exit(fputs(usage, stdout) < 0);
	return optind;
}

/* Calls visit for each program of a text. Adds up the number of programs, and the results. */
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

static int print_outcomes(const char *file, const program *p)
{
	(void)file;
	outcome_set outcomes = outcomes_of(p, false);
	printf("P %s executions=%d races=%d\n", p->name, outcomes.executions, outcomes.races);
	for (int i = 0; i < outcomes.count; i++) {
		fputs(outcomes.list[i].prompt ? "+ " : "- ", stdout);
		outcome_print(stdout, p, &outcomes.list[i].values);
		putchar('\n');
	}
	puts("E");
	outcomes_free(&outcomes);
	return 0;
}

int main(int argc, char **argv)
{
	int programs = 0, wrong = 0;
	argv += parse(argc, argv);
	const char *command = *argv ? *argv++ : "";
	bool verifies = !strcmp(command, "verify"), tests = !strcmp(command, "selftest");
	if (!verifies && !tests && strcmp(command, "enumerate") != 0)
		bad_usage("which command?");
	int (*visit)(const char *, const program *) = verifies ? verify_program
	                                              : tests  ? selftest_program
	                                                       : print_outcomes;
	if (!*argv)
		each_program((litmus_text){.file = stdin, .name = "-"}, visit, &programs, &wrong);
	for (; *argv; argv++)
		each_program((litmus_text){.file = fopen(*argv, "r"), .name = *argv}, visit, &programs, &wrong);
	if (!verifies && !tests)
		return 0;
	printf("%d programs, %d %s\n", programs, wrong, verifies ? "wrong verdicts" : "violations");
	return wrong || !programs;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine against the enumerator. The engine must show no outcome that RC11 forbids. Of a
 * program that it calls proved, it must show all outcomes that RC11 allows; of another short
 * program, those of prompt executions.
 */
#include "commands.h"

#include "enumerate.h"

#include <sys/wait.h>
#include <unistd.h>

enum { LINE_LENGTH = 1024 };

/*
 * Runs the engine's command, whose standard input is this process's: a file with the programs. NULL
 * if that cannot be.
 */
static FILE *start_engine(const char *command, const program *programs, int count)
{
	FILE *input = tmpfile();
	if (!input)
		return NULL;
	for (int i = 0; i < count; i++)
		program_print(input, &programs[i]);
	rewind(input);
	const bool ready = dup2(fileno(input), STDIN_FILENO) == STDIN_FILENO;
	fclose(input);
	return ready ? popen(command, "r") : NULL;
}

static bool read_line(FILE *from, char *line)
{
	if (!fgets(line, LINE_LENGTH, from))
		return false;
	line[strcspn(line, "\r\n")] = 0;
	return true;
}

static bool bad_answer(const program *p, const char *line)
{
	printf("not an answer to %s: '%s'\n", p->name, line);
	return false;
}

typedef struct {
	bool exhausted, proved;
	outcome_set shown;
} answer;

/* The engine's answer to one program. */
static bool read_answer(FILE *from, const program *p, answer *a)
{
	char line[LINE_LENGTH] = "", expected[NAME_MAX_LENGTH + 16];
	int length = snprintf(expected, sizeof expected, "P %s executions=", p->name);
	if (!read_line(from, line) || strncmp(line, expected, (size_t)length) != 0)
		return bad_answer(p, line);
	const char *mark = strstr(line, " exhausted=");
	if (!mark)
		return bad_answer(p, line);
	a->proved = !strcmp(mark, " exhausted=1 proved=1");
	a->exhausted = a->proved || !strcmp(mark, " exhausted=1 proved=0");
	while (read_line(from, line) && strcmp(line, "E") != 0) {
		outcome o = {{0}};
		if (!outcome_parse(p, line, false, &o))
			return bad_answer(p, line);
		if (!outcomes_find(&a->shown, &o))
			outcomes_add(&a->shown, &o, true);
	}
	return !strcmp(line, "E") || bad_answer(p, line);
}

/* Among executions with an outcome: the one that satisfies the most axioms. */
typedef struct {
	int executions;
	int passed; /* of the axioms, by the farthest */
	execution farthest;
} explanation;

static bool keep_farthest(execution *x, void *context)
{
	explanation *best = context;
	rc11_derive(x);
	int passed = rc11_violated(x);
	if (!best->executions++ || passed > best->passed) {
		best->passed = passed;
		best->farthest = *x;
	}
	return true;
}

/* Of an outcome that is missing: an execution that RC11 allows, and that is prompt where the outcome is. */
typedef struct {
	bool prompt;
	execution found;
} witness;

static bool keep_witness(execution *x, void *context)
{
	witness *w = context;
	rc11_derive(x);
	w->found = *x;
	return rc11_violated(x) < AXIOMS || (w->prompt && !rc11_prompt(x));
}

static void say(const program *p, const char *what, const outcome *o)
{
	printf("VIOLATION in %s: %s", p->name, what);
	if (o)
		outcome_print(stdout, p, o);
	putchar('\n');
	program_print(stdout, p);
}

static void explain_wrong(const program *p, const outcome *o)
{
	static explanation best;
	best.executions = 0;
	say(p, "RC11 forbids what the engine shows: ", o);
	each_candidate(p, (search){.unpruned = true, .only = o}, keep_farthest, &best);
	if (!best.executions) {
		printf("  no sources of the reads give these values\n");
		return;
	}
	printf("  each of its executions (%d) violates an axiom; this one is farthest from it\n  %s\n", best.executions,
	       rc11_axioms[best.passed].name);
	execution_print(stdout, &best.farthest, rel_or(best.farthest.sb, best.farthest.rf));
}

static void explain_missing(const program *p, const outcome *o, bool prompt, bool proved)
{
	static witness w;
	w.prompt = prompt;
	say(p, proved ? "the engine says proved, and does not show: " : "the engine does not show: ", o);
	each_candidate(p, (search){.only = o}, keep_witness, &w);
	printf(prompt ? "  this execution does, and in this order sb, rf, mo and psc agree\n"
	              : "  this execution does; in this order sb and rf agree, but not mo and psc\n");
	execution_print(stdout, &w.found, prompt ? rc11_prompt_order(&w.found) : rel_or(w.found.sb, w.found.rf));
}

/* Whether eight remembered stores and four loads of an old value are enough for the program. */
static bool is_short(const program *p)
{
	enum { STORES_REMEMBERED = 8, PATIENCE = 4 };
	FOR_LOCATIONS (l) {
		int writes = 1;
		FOR_THREADS (t, p) {
			int reads = 0;
			FOR_OPERATIONS_OF (op, &p->thread[t]) {
				writes += op->location == l && op_writes(op);
				reads += op->location == l && op_reads(op);
			}
			if (reads > PATIENCE || writes > STORES_REMEMBERED)
				return false;
		}
	}
	return true;
}

static int compare(const program *p, const answer *a)
{
	const outcome_set *shown = &a->shown;
	const bool whole = a->proved || (a->exhausted && is_short(p));
	outcome_set allowed = outcomes_of(p, false);
	int violations = 0;
	for (int i = 0; i < shown->count; i++)
		if (!outcomes_find(&allowed, &shown->list[i].values)) {
			explain_wrong(p, &shown->list[i].values);
			violations++;
		}
	if (!a->exhausted) {
		say(p, "the engine gave up before the end", NULL);
		violations++;
	}
	for (int i = 0; whole && i < allowed.count; i++) {
		const marked_outcome *o = &allowed.list[i];
		if ((a->proved || o->prompt) && !outcomes_find(shown, &o->values)) {
			explain_missing(p, &o->values, o->prompt, a->proved);
			violations++;
		}
	}
	outcomes_free(&allowed);
	return violations;
}

int check_programs(const char *engine, const program *programs, int count, int *proved)
{
	FILE *answers = start_engine(engine, programs, count);
	if (!answers) {
		perror("the engine cannot be started");
		return -1;
	}
	int violations = 0;
	bool understood = true;
	for (int i = 0; i < count && understood; i++) {
		answer a = {.shown = {.count = 0}};
		understood = read_answer(answers, &programs[i], &a);
		if (understood)
			violations += compare(&programs[i], &a);
		*proved += a.proved;
		outcomes_free(&a.shown);
	}
	const int status = pclose(answers);
	if (understood && status) {
		printf("the engine's command ended with status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : status);
		return -1;
	}
	return understood ? violations : -1;
}

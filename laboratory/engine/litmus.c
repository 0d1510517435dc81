/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This file runs litmus programs: a few threads with a few operations on x, y, z, w.
 * laboratory/litmus/README.md has the format. A search without bounds runs each program, and all
 * its outcomes are printed.
 */
#include "model.h"
#include <fnmatch.h>
#include <inttypes.h>

enum { THREADS = 4, OPS = 8, LOCATIONS = 4, MOST_OUTCOMES = 1 << 17, VALUES = THREADS * OPS + LOCATIONS };
enum { LINE = 512, VERDICTS = 16 };

struct instruction {
	char kind; /* as in the text: W R X A C F */
	uint8_t location, value, desired;
	int order, failure;
};

struct program {
	unsigned n_threads, n[THREADS];
	char verdicts[VERDICTS][LINE]; /* the lines with a verdict */
	struct instruction code[THREADS][OPS];
	bool named[LOCATIONS];
};

struct machine {
	uint32_t memory[LOCATIONS * 16]; /* the locations are 64 bytes apart */
	uint32_t read[THREADS][OPS];
};

static struct program program;
static uint8_t outcomes[MOST_OUTCOMES / 2][VALUES];
static uint32_t table[MOST_OUTCOMES]; /* numbers of outcomes from 1 on, by hash; 0: empty */
static unsigned n_outcomes, n_values, n_reads;

static lab_value update_add(lab_value old, lab_value operand)
{
	return old + operand;
}

static void step(struct machine *m, unsigned thread, unsigned i)
{
	const struct instruction *op = &program.code[thread][i];
	uintptr_t address = (uintptr_t)&m->memory[op->location * 16], pc = 0x1000 + thread * 64 + i;
	lab_value expected = op->value;
	uint32_t *read = &m->read[thread][i];
	switch (op->kind) {
	case 'W':
		lab_atomic_store(address, 4, op->value, op->order, pc);
		break;
	case 'R':
		*read = (uint32_t)lab_atomic_load(address, 4, op->order, pc);
		break;
	case 'X':
		*read = (uint32_t)lab_atomic_rmw(address, 4, lab_update_set, op->value, op->order, pc);
		break;
	case 'A':
		*read = (uint32_t)lab_atomic_rmw(address, 4, update_add, op->value, op->order, pc);
		break;
	case 'C':
		(void)lab_atomic_cas(address, 4, &expected, op->desired, op->order, op->failure, false, pc);
		*read = (uint32_t)expected;
		break;
	default:
		lab_atomic_fence(op->order, pc);
		break;
	}
}

static void run_thread(void *state, unsigned thread)
{
	for (unsigned i = 0; i < program.n[thread]; i++)
		step(state, thread, i);
}

#define THREAD(n)                                                                                                      \
	static void thread##n(void *state)                                                                             \
	{                                                                                                              \
		run_thread(state, (n));                                                                                \
	}
THREAD(0)
THREAD(1)
THREAD(2)
THREAD(3)

/*
 * Collects the values of an outcome. `*reads` gets the number of values that are read. Returns the
 * number of values including the final ones.
 */
static unsigned collect(const struct machine *m, uint8_t values[VALUES], unsigned *reads)
{
	unsigned n = 0;
	for (unsigned t = 0; t < program.n_threads; t++)
		for (unsigned i = 0; i < program.n[t]; i++)
			if (!strchr("WF", program.code[t][i].kind))
				values[n++] = (uint8_t)m->read[t][i];
	*reads = n;
	for (unsigned l = 0; l < LOCATIONS; l++)
		if (program.named[l])
			values[n++] = (uint8_t)m->memory[l * 16];
	return n;
}

static void outcome(void *state)
{
	uint8_t values[VALUES] = {0};
	n_values = collect(state, values, &n_reads);
	(void)fl_stress_outcome(FL_STRESS_ACCEPTABLE, true, "one");
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
	for (unsigned i = 0; i < n_values; i++)
		hash = (hash ^ values[i]) * 0x100000001b3u;
	uint32_t at = (uint32_t)(hash >> 32) % MOST_OUTCOMES;
	while (table[at] && memcmp(outcomes[table[at] - 1], values, sizeof values) != 0)
		at = (at + 1) % MOST_OUTCOMES;
	if (table[at] || n_outcomes == MOST_OUTCOMES / 2)
		return;
	memcpy(outcomes[n_outcomes++], values, sizeof values);
	table[at] = n_outcomes;
}

/* --- reading --- */

static bool order_of(const char *word, int *order)
{
	static const struct {
		const char *word;
		int order;
	} orders[] = {{"rlx", __ATOMIC_RELAXED},
	              {"acq", __ATOMIC_ACQUIRE},
	              {"rel", __ATOMIC_RELEASE},
	              {"ar", __ATOMIC_ACQ_REL},
	              {"sc", __ATOMIC_SEQ_CST}};
	LAB_EACH (i, orders) {
		if (strcmp(word, orders[i].word) == 0) {
			*order = orders[i].order;
			return true;
		}
	}
	return false;
}

static bool parse_operands(struct instruction *op, char *words[], unsigned n)
{
	static const char names[] = "xyzw";
	unsigned values = op->kind == 'C' ? 2 : op->kind == 'R' ? 0 : 1;
	unsigned orders = op->kind == 'C' ? 2 : 1;
	if (n != 2 + values + orders)
		return false;
	const char *location = strchr(names, words[1][0]);
	if (!location || words[1][0] == '\0' || words[1][1] != '\0')
		return false;
	op->location = (uint8_t)(location - names);
	program.named[op->location] = true;
	if (values > 0)
		op->value = (uint8_t)atoi(words[2]);
	if (values > 1)
		op->desired = (uint8_t)atoi(words[3]);
	return order_of(words[2 + values], &op->order) && (orders < 2 || order_of(words[3 + values], &op->failure));
}

static bool parse_instruction(char *line, struct instruction *op)
{
	char *words[8], *rest = NULL;
	unsigned n = 0;
	for (char *word = strtok_r(line, " \t", &rest); word && n < 8; word = strtok_r(NULL, " \t", &rest))
		words[n++] = word;
	if (n == 0 || words[0][1] != '\0' || !strchr("WRXACF", words[0][0]))
		return false;
	op->kind = words[0][0];
	return op->kind == 'F' ? n == 2 && order_of(words[1], &op->order) : parse_operands(op, words, n);
}

static bool parse_thread(char *line)
{
	if (program.n_threads == THREADS)
		return false;
	unsigned t = program.n_threads++;
	char *rest = NULL;
	for (char *part = strtok_r(line, ";", &rest); part; part = strtok_r(NULL, ";", &rest))
		if (program.n[t] == OPS || !parse_instruction(part, &program.code[t][program.n[t]++]))
			return false;
	return true;
}

/* Removes a comment and spaces from the end of a line. */
static void chop(char *line)
{
	line[strcspn(line, "#\r\n")] = '\0';
	for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
		line[n - 1] = '\0';
}

/* --- running --- */

static void tell_outcome(const uint8_t *values, char text[LINE])
{
	size_t used = 0;
	for (unsigned i = 0; i < n_values; i++)
		used += (size_t)snprintf(text + used, LINE - used, "%s%s%u", i > 0 ? " " : "", i == n_reads ? "| " : "",
		                         values[i]);
	snprintf(text + used, LINE - used, n_values == n_reads ? " |" : "");
}

/*
 * Whether an outcome fits the pattern, as "1 0 | 2" fits "1 * | 2". Both have the same number of
 * numbers, so a star stands for one number.
 */
static bool is_seen(const char *pattern)
{
	char text[LINE];
	for (unsigned i = 0; i < n_outcomes; i++) {
		tell_outcome(outcomes[i], text);
		if (fnmatch(pattern, text, 0) == 0)
			return true;
	}
	return false;
}

static void run_program(struct lab_litmus *found, FILE *out, enum lab_strategy strategy)
{
	static const struct fl_stress_function threads[THREADS] = {
	    {"a", thread0}, {"b", thread1}, {"c", thread2}, {"d", thread3}};
	struct fl_stress_test *test = &(struct fl_stress_test){
	    .name = found->name,
	    .state_size = sizeof(struct machine),
	    .outcome = {"outcome", outcome},
	};
	memcpy(test->actors, threads, program.n_threads * sizeof threads[0]);
	const struct lab_test wrapped = {.test = test};
	struct lab_config config = LAB_CONFIG_DEFAULT;
	config.strategy = strategy;
	config.preemptions = config.stale = LAB_UNBOUNDED;
	config.faults = 0;
	n_outcomes = 0;
	memset(table, 0, sizeof table);
	const struct lab_result *result = lab_model_run(&wrapped, &config, NULL, NULL);
	bool all = result->exhausted && n_outcomes < MOST_OUTCOMES / 2;
	snprintf(found->problem, sizeof found->problem, "%s",
	         result->verdict != LAB_PASSED ? result->message
	         : all                         ? ""
	                                       : "not exhausted");
	for (unsigned i = 0; i < found->verdicts; i++) {
		const char *verdict = program.verdicts[i], *pattern = strchr(verdict, ' ') + 1;
		bool wants = verdict[0] == 'a';
		if (!found->problem[0] && is_seen(pattern) != wants)
			snprintf(found->problem, sizeof found->problem, "%s %.80s", wants ? "never saw" : "saw",
			         pattern);
	}
	if (!out)
		return;
	fprintf(out, "P %s executions=%" PRIu64 " exhausted=%d proved=%d%s%s\n", found->name, result->executions, all,
	        all && result->proved, result->verdict == LAB_PASSED ? "" : " error=", result->message);
	for (unsigned i = 0; i < n_outcomes; i++) {
		char text[LINE];
		tell_outcome(outcomes[i], text);
		fprintf(out, "%s\n", text);
	}
	fprintf(out, "E\n");
	fflush(out);
}

int lab_litmus(struct lab_litmus *found, FILE *in, FILE *out, enum lab_strategy strategy)
{
	char line[LINE];
	bool understood = true;
	while (understood && fgets(line, sizeof line, in)) {
		found->line++;
		chop(line);
		if (strncmp(line, "P ", 2) == 0) {
			program = (struct program){.n_threads = 0};
			*found = (struct lab_litmus){.line = found->line};
			snprintf(found->name, sizeof found->name, "%.127s", line + 2);
		} else if (line[0] == 'T' && (line[1] == ' ' || line[1] == '\0')) {
			understood = parse_thread(line + 1);
		} else if (strncmp(line, "allowed ", 8) == 0 || strncmp(line, "forbidden ", 10) == 0) {
			/* "allowed-" marks the model's blind spot, which is not checked */
			understood = found->verdicts < VERDICTS;
			if (understood)
				memcpy(program.verdicts[found->verdicts++], line, sizeof line);
		} else if (strcmp(line, "E") == 0) {
			run_program(found, out, strategy);
			return 1;
		}
	}
	if (understood)
		return 0;
	snprintf(found->problem, sizeof found->problem, "line %u is not understood", found->line);
	return -1;
}

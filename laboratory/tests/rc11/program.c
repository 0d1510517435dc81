/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and prints programs, outcomes and verdicts, in the text that program.h describes. */
#include "program.h"

static const char location_names[LOCATION_MAX + 1] = "xyzwbmnscr";
static const char *const order_names[] = {"rlx", "acq", "rel", "ar", "sc"};
enum { ORDERS = sizeof order_names / sizeof order_names[0], LINE_LENGTH = 1024 };

bool op_reads(const operation *op)
{
	return strchr("RXAC", op->kind) != NULL;
}

bool op_writes(const operation *op)
{
	return strchr("WXAC", op->kind) != NULL;
}

/* How many values an outcome has before the bar. */
static int program_reads(const program *p)
{
	int reads = 0;
	FOR_OPERATIONS (op, p)
		reads += op_reads(op);
	return reads;
}

bool program_names(const program *p, int location)
{
	FOR_OPERATIONS (op, p)
		if (op->location == location)
			return true;
	return false;
}

/* How many values an outcome has in all. */
static int program_values(const program *p)
{
	int values = program_reads(p);
	FOR_LOCATIONS (l)
		values += program_names(p, l);
	return values;
}

bool outcome_matches(const program *p, const outcome *o, const outcome *pattern)
{
	for (int i = 0; i < program_values(p); i++)
		if (pattern->value[i] != ANY_VALUE && pattern->value[i] != o->value[i])
			return false;
	return true;
}

void outcome_print(FILE *file, const program *p, const outcome *o)
{
	int reads = program_reads(p), values = program_values(p);
	for (int i = 0; i < values; i++) {
		if (i == reads)
			fputs("| ", file);
		if (o->value[i] == ANY_VALUE)
			fputc('*', file);
		else
			fprintf(file, "%d", o->value[i]);
		if (i + 1 < values)
			fputc(' ', file);
	}
}

static bool parse_value(const char *word, int *value)
{
	char *end = NULL;
	long number = strtol(word, &end, 10);
	*value = (int)number;
	return end > word && !*end && number > -VALUE_LIMIT && number < VALUE_LIMIT;
}

static bool outcome_parse(const program *p, const char *text, outcome *o)
{
	char line[LINE_LENGTH], *rest = NULL;
	int reads = program_reads(p), values = program_values(p), i = 0;
	bool bar = false;
	if (snprintf(line, sizeof line, "%s", text) >= LINE_LENGTH)
		return false;
	for (char *word = strtok_r(line, " \t\r\n", &rest); word; word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (!strcmp(word, "|")) {
			if (bar || i != reads)
				return false;
			bar = true;
			continue;
		}
		if (i == values || (i >= reads && !bar))
			return false;
		int *value = &o->value[i++];
		if (!strcmp(word, "*"))
			*value = ANY_VALUE;
		else if (!parse_value(word, value))
			return false;
	}
	return bar && i == values;
}

static void op_print(FILE *file, const operation *op)
{
	fputc(op->kind, file);
	if (op->kind != 'F')
		fprintf(file, " %c", location_names[op->location]);
	if (op->kind == 'C')
		fprintf(file, " %d", op->expected);
	if (op_writes(op))
		fprintf(file, " %d", op->value);
	fprintf(file, " %s", order_names[op->order]);
	if (op->kind == 'C')
		fprintf(file, " %s", order_names[op->failure]);
}

void program_print(FILE *file, const program *p)
{
	fprintf(file, "P %s\n", p->name);
	FOR_THREADS (t, p) {
		fputc('T', file);
		for (int i = 0; i < p->thread[t].count; i++) {
			fputs(i ? "; " : " ", file);
			op_print(file, &p->thread[t].op[i]);
		}
		fputc('\n', file);
	}
	fputs("E\n", file);
}

static _Noreturn void mistake(const litmus_text *from, const char *what, const char *where)
{
	fprintf(stderr, "%s:%d: %s: %s\n", from->name, from->line, what, where);
	exit(2);
}

static int words_of(char *text, char **words, int limit)
{
	char *rest = NULL;
	int count = 0;
	for (char *word = strtok_r(text, " \t\r\n", &rest); word && count < limit;
	     word = strtok_r(NULL, " \t\r\n", &rest))
		words[count++] = word;
	return count;
}

static bool parse_location(const char *word, int *location)
{
	const char *at = strlen(word) == 1 ? strchr(location_names, word[0]) : NULL;
	*location = at ? (int)(at - location_names) : -1;
	return at != NULL;
}

/* Whether the word is an order, and one of those that `these` lists by their first two letters. */
static bool parse_order(const char *word, const char *these, mem_order *order)
{
	for (int o = 0; o < ORDERS; o++)
		if (!strcmp(word, order_names[o])) {
			char key[4] = {order_names[o][0], order_names[o][1], 0};
			*order = (mem_order)o;
			return strstr(these, key) != NULL;
		}
	return false;
}

static bool parse_op(char *text, operation *op)
{
	enum { WORDS = 9 };
	char *w[WORDS];
	int count = words_of(text, w, WORDS);
	*op = (operation){.location = -1};
	if (count > 2 && strchr("pfork", w[count - 1][0]) && !w[count - 1][1])
		op->use = w[--count][0];
	if (count > 2 && strchr("?!", w[count - 1][0])) {
		op->rule = w[--count][0];
		op->values = strtoull(w[count] + 1, NULL, 16);
	}
	if (count < 2 || strlen(w[0]) != 1)
		return false;
	op->kind = w[0][0];
	if (op->kind != 'F' && !parse_location(w[1], &op->location))
		return false;
	switch (op->kind) {
	case 'F':
		return count == 2 && parse_order(w[1], "ac re ar sc", &op->order);
	case 'R':
		return count == 3 && parse_order(w[2], "rl ac sc", &op->order);
	case 'W':
	case 'X':
	case 'A':
		return count == 4 && parse_value(w[2], &op->value) &&
		       parse_order(w[3], op->kind == 'W' ? "rl re sc" : "rl ac re ar sc", &op->order);
	case 'C':
		return count == 6 && parse_value(w[2], &op->expected) && parse_value(w[3], &op->value) &&
		       parse_order(w[4], "rl ac re ar sc", &op->order) && parse_order(w[5], "rl ac sc", &op->failure);
	default:
		return false;
	}
}

static void parse_thread(const litmus_text *from, program *p, char *text)
{
	if (p->thread_count == THREAD_MAX)
		mistake(from, "too many threads", text);
	thread_ops *t = &p->thread[p->thread_count++];
	char *rest = NULL;
	for (char *part = strtok_r(text, ";\r\n", &rest); part; part = strtok_r(NULL, ";\r\n", &rest)) {
		char whole[LINE_LENGTH];
		snprintf(whole, sizeof whole, "%s", part);
		if (t->count == OP_MAX)
			mistake(from, "too many operations", whole);
		if (!parse_op(part, &t->op[t->count++]))
			mistake(from, "not an operation", whole);
	}
}

static void parse_verdict(const litmus_text *from, program *p, const char *line)
{
	static const char *const kinds[] = {
	    [ALLOWED] = "allowed ", [ALLOWED_LATE] = "allowed- ", [FORBIDDEN] = "forbidden "};
	if (p->verdict_count == VERDICT_MAX)
		mistake(from, "too many verdicts", line);
	verdict *v = &p->verdicts[p->verdict_count++];
	v->line = from->line;
	for (int k = ALLOWED; k <= FORBIDDEN; k++)
		if (!strncmp(line, kinds[k], strlen(kinds[k]))) {
			v->kind = (verdict_kind)k;
			if (outcome_parse(p, line + strlen(kinds[k]), &v->pattern))
				return;
		}
	mistake(from, "not a verdict on this program", line);
}

/*
 * How many events an execution has at most: two for each read-modify-write, and the initial stores.
 */
static int program_events(const program *p)
{
	int events = 0;
	FOR_OPERATIONS (op, p)
		events += 1 + (op_reads(op) && op_writes(op));
	return events + program_values(p) - program_reads(p);
}

static bool next_line(litmus_text *from, char *line)
{
	while (fgets(line, LINE_LENGTH, from->file)) {
		from->line++;
		size_t length = strcspn(line, "\r\n");
		if (!line[length] && length == LINE_LENGTH - 1)
			mistake(from, "too long a line", line);
		line[length] = 0;
		if (line[0] && line[0] != '#')
			return true;
	}
	return false;
}

int program_read(litmus_text *from, program *p)
{
	char line[LINE_LENGTH];
	*p = (program){.thread_count = 0};
	if (!next_line(from, line))
		return 0;
	if (strncmp(line, "P ", 2) != 0 || strlen(line + 2) > NAME_MAX_LENGTH || strpbrk(line + 2, " \t"))
		mistake(from, "not the begin of a program, P and its name", line);
	memcpy(p->name, line + 2, strlen(line + 2) + 1);
	while (next_line(from, line)) {
		if (!strcmp(line, "E")) {
			if (program_events(p) > EVENT_LIMIT)
				mistake(from, "too large a program", p->name);
			return 1;
		}
		if (line[0] != 'T')
			parse_verdict(from, p, line);
		else if (p->verdict_count)
			mistake(from, "a thread behind a verdict", line);
		else
			parse_thread(from, p, line + 1);
	}
	mistake(from, "the text ends inside a program", p->name);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of an execution as text: a line each, in columns. */
#include "tool.h"

enum { SHOWN = 60, WHAT_MAX = 56, VALUE_MAX = 44, PLACE_MAX = 48, SOURCE_MAX = 100 };

const char *short_path(const char *path)
{
	const char *last = path ? strrchr(path, '/') : NULL, *at = last;
	while (at && at > path && at[-1] != '/')
		at--;
	return at ? at : path ? path : "";
}

static void place(char *to, size_t size, const struct lab_step *step)
{
	if (!step->file)
		snprintf(to, size, "%s", step->function ? step->function : "");
	else
		snprintf(to, size, "%s:%d%s%s", short_path(step->file), step->line, step->function ? " " : "",
		         step->function ? step->function : "");
}

static size_t longer(size_t a, size_t b, size_t most)
{
	return b > most ? most : b > a ? b : a;
}

/* Returns the mark of a step: one letter, that of the rarest property. */
static char mark(const struct lab_step *step)
{
	return step->killed ? 'x' : step->stale ? '!' : step->fault ? '#' : step->preempted ? '>' : ' ';
}

/* Returns the length of the source line without its comment. */
static size_t source_length(const char *source)
{
	size_t n = strcspn(source, "\n");
	const char *comment = memmem(source, n, "/*", 2);
	if (comment && comment > source)
		n = (size_t)(comment - source);
	while (n > 0 && (source[n - 1] == ' ' || source[n - 1] == '\t'))
		n--;
	return n < SOURCE_MAX ? n : SOURCE_MAX;
}

struct widths {
	size_t thread, what, value, place;
};

static struct widths measure(const struct lab_result *r, unsigned from)
{
	struct widths w = {6, 4, 5, 5};
	for (unsigned i = from; i < r->n_steps; i++) {
		const struct lab_step *s = &r->trace[i];
		char where[256];
		place(where, sizeof where, s);
		w.thread = longer(w.thread, s->thread < r->n_threads ? strlen(r->threads[s->thread]) : 1, 24);
		w.what = longer(w.what, strlen(s->what), WHAT_MAX);
		w.value = longer(w.value, strlen(s->value), VALUE_MAX);
		w.place = longer(w.place, strlen(where), PLACE_MAX);
	}
	return w;
}

/* Writes a line for each mark in the trace. */
static void legend(FILE *to, const struct lab_result *r)
{
	static const char marks[] = ">!#x";
	static const char *const meanings[] = {
	    "this thread runs in place of another, which could have gone on",
	    "the thread sees an older value: nothing has made the newest one visible to it",
	    "the model let this happen; the specification allows it at any time",
	    "the process is killed in place of this step",
	};
	for (size_t m = 0; marks[m]; m++) {
		unsigned i = 0;
		while (i < r->n_steps && mark(&r->trace[i]) != marks[m])
			i++;
		if (i < r->n_steps)
			fprintf(to, "    %c %s\n", marks[m], meanings[m]);
	}
}

void text_trace(FILE *to, const struct lab_result *r, bool all)
{
	unsigned from = all || r->n_steps <= SHOWN ? 0 : r->n_steps - SHOWN;
	struct widths w = measure(r, from);
	fprintf(to, "      %-*s  %-*s  %-*s  %-*s  %s\n", (int)w.thread, "THREAD", (int)w.what, "STEP", (int)w.value,
	        "VALUE", (int)w.place, "WHERE", "SOURCE");
	if (from > 0)
		fprintf(to, "      (%u steps before: -v shows them)\n", from);
	for (unsigned i = from; i < r->n_steps; i++) {
		const struct lab_step *s = &r->trace[i];
		char where[256];
		place(where, sizeof where, s);
		const char *source = s->source ? s->source + strspn(s->source, " \t") : "";
		size_t length = source_length(source);
		fprintf(to, "    %c %-*s  %-*s  %-*s  %-*s  %.*s\n", mark(s), (int)w.thread,
		        s->thread < r->n_threads ? r->threads[s->thread] : "?", (int)w.what, s->what, (int)w.value,
		        s->value, (int)w.place, where, (int)length, source);
	}
	legend(to, r);
}

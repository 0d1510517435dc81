/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A result as bytes, from a test's process to the parent. The reader checks everything: a test may
 * have written anywhere.
 */
#include "tool.h"
#include <stdlib.h>
#include <string.h>

struct writer {
	char *at, *end;
	bool full;
};

static void put(struct writer *w, const void *from, size_t n)
{
	w->full = w->full || (size_t)(w->end - w->at) < n;
	if (w->full || n == 0)
		return;
	memcpy(w->at, from, n);
	w->at += n;
}

static void put_number(struct writer *w, uint64_t n)
{
	put(w, &n, sizeof n);
}

/* Length including the NUL, then the bytes; 0: NULL. */
static void put_text(struct writer *w, const char *text)
{
	size_t n = text ? strlen(text) + 1 : 0;
	put_number(w, n);
	put(w, text, n);
}

static void put_step(struct writer *w, const struct lab_step *step)
{
	put_number(w, step->thread);
	put_text(w, step->what);
	put_text(w, step->value);
	put_text(w, step->file);
	put_text(w, step->function);
	put_number(w, (uint64_t)step->line);
	put_text(w, step->source);
	put_number(w, (step->preempted ? 1u : 0u) | (step->stale ? 2u : 0u) | (step->fault ? 4u : 0u) |
	                  (step->killed ? 8u : 0u) | (step->failing ? 16u : 0u));
	put_number(w, (uint64_t)step->edge);
	put_number(w, step->from);
}

size_t pack(char *to, size_t size, const struct lab_result *r, const struct lab_site *sites, size_t n_sites)
{
	struct writer w = {to, to + size, false};
	const uint64_t numbers[] = {(uint64_t)r->verdict,
	                            r->executions,
	                            r->pruned,
	                            r->steps,
	                            r->exhausted,
	                            (uint64_t)r->found_ns,
	                            (uint64_t)r->shrunk_ns,
	                            r->hash,
	                            r->kills,
	                            r->kill_steps,
	                            r->kill_missed,
	                            r->kill_least,
	                            r->samples,
	                            r->programs,
	                            r->programs_exhausted,
	                            r->proved,
	                            (uint64_t)r->failure.verdict,
	                            r->failure.signature,
	                            r->failure.address};
	put(&w, numbers, sizeof numbers);
	put_text(&w, r->message);
	put_text(&w, r->details);
	put_text(&w, r->replay);
	put_text(&w, r->strategy);
	put_number(&w, r->n_outcomes);
	for (unsigned i = 0; i < r->n_outcomes; i++) {
		put_text(&w, r->outcomes[i].label);
		put_number(&w, (uint64_t)r->outcomes[i].expect);
		put_number(&w, r->outcomes[i].count);
	}
	put_number(&w, r->n_threads);
	for (unsigned i = 0; i < r->n_threads; i++)
		put_text(&w, r->threads[i]);
	put_number(&w, r->n_waiting);
	put_number(&w, r->n_steps + r->n_waiting);
	for (unsigned i = 0; i < r->n_steps + r->n_waiting; i++)
		put_step(&w, &r->trace[i]);
	put_number(&w, n_sites);
	for (size_t i = 0; i < n_sites; i++) {
		put_number(&w, sites[i].pc);
		put_text(&w, sites[i].operation);
		put_text(&w, sites[i].order);
		put_number(&w, sites[i].weaker);
		put_number(&w, sites[i].hits);
	}
	return w.full ? 0 : (size_t)(w.at - to);
}

struct reader {
	char *at, *end;
	bool bad;
};

static uint64_t get_number(struct reader *r)
{
	uint64_t n = 0;
	if (r->bad || (size_t)(r->end - r->at) < sizeof n) {
		r->bad = true;
		return 0;
	}
	memcpy(&n, r->at, sizeof n);
	r->at += sizeof n;
	return n;
}

static char *get_text(struct reader *r)
{
	uint64_t n = get_number(r);
	if (n == 0 || r->bad)
		return NULL;
	if ((uint64_t)(r->end - r->at) < n || r->at[n - 1] != '\0') {
		r->bad = true;
		return NULL;
	}
	char *text = r->at;
	r->at += n;
	return text;
}

static const char *get_some_text(struct reader *r)
{
	const char *text = get_text(r);
	return text ? text : "";
}

/* `count` zeroed elements; each takes at least 8 bytes of the rest, or the count is wrong. */
static void *get_array(struct reader *r, uint64_t *count, size_t size)
{
	*count = get_number(r);
	if (r->bad || *count > (uint64_t)(r->end - r->at) / sizeof(uint64_t)) {
		r->bad = true;
		*count = 0;
	}
	return zeroed(*count, size);
}

/* The macros' wrapper of an actor is inlined: mp__writer__call is mp__writer. */
static const char *get_function(struct reader *r)
{
	static const char wrapper[] = "__call";
	const size_t n = sizeof wrapper - 1;
	char *name = get_text(r);
	size_t length = name ? strlen(name) : 0;
	if (length > n && strcmp(name + length - n, wrapper) == 0)
		name[length - n] = '\0';
	return name;
}

static void get_step(struct reader *r, struct lab_step *step)
{
	step->thread = (unsigned)get_number(r);
	step->what = get_some_text(r);
	step->value = get_some_text(r);
	step->file = get_text(r);
	step->function = get_function(r);
	step->line = (int)get_number(r);
	step->source = get_text(r);
	uint64_t flags = get_number(r);
	step->preempted = (flags & 1) != 0;
	step->stale = (flags & 2) != 0;
	step->fault = (flags & 4) != 0;
	step->killed = (flags & 8) != 0;
	step->failing = (flags & 16) != 0;
	const uint64_t edge = get_number(r);
	step->edge = edge <= LAB_WAITS_FOR ? (enum lab_edge)edge : LAB_NO_EDGE;
	step->from = (unsigned)get_number(r);
}

static void get_arrays(struct reader *r, struct lab_result *result)
{
	uint64_t n;
	struct lab_outcome *outcomes = get_array(r, &n, sizeof *outcomes);
	result->outcomes = outcomes;
	result->n_outcomes = (unsigned)n;
	for (uint64_t i = 0; i < n; i++) {
		outcomes[i].label = get_some_text(r);
		outcomes[i].expect = (enum fl_stress_expect)(get_number(r) % 3);
		outcomes[i].count = get_number(r);
	}
	const char **threads = get_array(r, &n, sizeof *threads);
	result->threads = threads;
	result->n_threads = (unsigned)n;
	for (uint64_t i = 0; i < n; i++)
		threads[i] = get_some_text(r);
	const uint64_t waiting = get_number(r);
	struct lab_step *trace = get_array(r, &n, sizeof *trace);
	result->trace = trace;
	result->n_waiting = (unsigned)(waiting < n ? waiting : n);
	result->n_steps = (unsigned)n - result->n_waiting;
	for (uint64_t i = 0; i < n; i++) {
		get_step(r, &trace[i]);
		if (trace[i].from >= i)
			trace[i].edge = LAB_NO_EDGE;
	}
}

static void get_sites(struct reader *r, struct report *report)
{
	uint64_t n;
	report->sites = get_array(r, &n, sizeof *report->sites);
	report->n_sites = n;
	for (uint64_t i = 0; i < n; i++) {
		struct site *site = &report->sites[i];
		site->pc = get_number(r);
		site->operation = get_text(r);
		site->order = get_text(r);
		site->weaker = (unsigned)get_number(r);
		site->hits = get_number(r);
	}
}

bool unpack(const char *from, size_t size, struct report *report)
{
	*report = (struct report){.memory = malloc(size ? size : 1)};
	if (!report->memory)
		return false;
	memcpy(report->memory, from, size);
	struct reader r = {report->memory, (char *)report->memory + size, false};
	struct lab_result *result = &report->result;
	uint64_t verdict = get_number(&r);
	result->verdict = verdict <= LAB_DIVERGED ? (enum lab_verdict)verdict : LAB_CRASH;
	result->executions = get_number(&r);
	result->pruned = get_number(&r);
	result->steps = get_number(&r);
	result->exhausted = get_number(&r) != 0;
	result->found_ns = (int64_t)get_number(&r);
	result->shrunk_ns = (int64_t)get_number(&r);
	result->hash = get_number(&r);
	result->kills = get_number(&r);
	result->kill_steps = (unsigned)get_number(&r);
	result->kill_missed = (unsigned)get_number(&r);
	result->kill_least = get_number(&r);
	result->samples = get_number(&r);
	result->programs = (unsigned)get_number(&r);
	result->programs_exhausted = (unsigned)get_number(&r);
	result->proved = get_number(&r) != 0;
	result->failure.verdict = (enum lab_verdict)get_number(&r);
	result->failure.signature = get_number(&r);
	result->failure.address = get_number(&r);
	result->message = get_some_text(&r);
	result->details = get_some_text(&r);
	result->replay = get_some_text(&r);
	result->strategy = get_some_text(&r);
	get_arrays(&r, result);
	get_sites(&r, report);
	return !r.bad;
}

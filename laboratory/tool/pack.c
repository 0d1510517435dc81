/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A result as bytes, on its way from a test's process to the parent. One description of a result
 * serves both directions. The reader checks all lengths and indices, because a test may have
 * written anywhere.
 */
#include "tool.h"

struct stream {
	char *at, *end;
	bool reads, bad;
};

/* Whether the stream has n more bytes, or room for them. */
static bool has(struct stream *s, uint64_t n)
{
	s->bad = s->bad || (uint64_t)(s->end - s->at) < n;
	return !s->bad;
}

static void pass(struct stream *s, void *field, size_t size)
{
	if (!has(s, size)) {
		if (s->reads)
			memset(field, 0, size);
		return;
	}
	memcpy(s->reads ? field : s->at, s->reads ? s->at : field, size);
	s->at += size;
}

/*
 * Passes the length of a text with its NUL, and then the bytes. A length of 0 stands for NULL,
 * which is read as `none`.
 */
static void pass_text(struct stream *s, const char **text, const char *none)
{
	uint64_t n = !s->reads && *text ? strlen(*text) + 1 : 0;
	pass(s, &n, sizeof n);
	if (!has(s, n))
		n = 0;
	if (s->reads) {
		*text = n > 0 ? s->at : none;
		s->bad = s->bad || (n > 0 && s->at[n - 1] != '\0');
	} else if (*text) {
		memcpy(s->at, *text, n);
	}
	s->at += n;
}

/*
 * Passes an array of `count` elements, which the reader makes, and returns it. If fewer than 8
 * bytes for each element are left, the count is wrong.
 */
static void *pass_array(struct stream *s, const void *elements, size_t *count, size_t size)
{
	pass(s, count, sizeof *count);
	if (!s->reads)
		return (void *)elements;
	if (!has(s, *count > PACKED_MAX ? UINT64_MAX : *count * sizeof(uint64_t)))
		*count = 0;
	return zeroed(*count, size);
}

static void pass_step(struct stream *s, struct lab_step *step, unsigned i)
{
	pass(s, step, sizeof *step);
	pass_text(s, &step->what, "");
	pass_text(s, &step->value, "");
	pass_text(s, &step->file, NULL);
	pass_text(s, &step->function, NULL);
	pass_text(s, &step->source, NULL);
	if (!s->reads)
		return;
	if (step->edge > LAB_WAITS_FOR || step->from >= i)
		step->edge = LAB_NO_EDGE;
}

static void pass_arrays(struct stream *s, struct report *report)
{
	struct lab_result *r = &report->result;
	size_t n = r->n_outcomes;
	struct lab_outcome *outcomes = pass_array(s, r->outcomes, &n, sizeof *outcomes);
	r->outcomes = outcomes;
	r->n_outcomes = (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		pass(s, &outcomes[i], sizeof outcomes[i]);
		pass_text(s, &outcomes[i].label, "");
		if (s->reads)
			outcomes[i].expect %= FL_STRESS_FORBIDDEN + 1;
	}
	n = r->n_threads;
	const char **threads = pass_array(s, r->threads, &n, sizeof *threads);
	r->threads = threads;
	r->n_threads = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		pass_text(s, &threads[i], "");
	n = r->n_steps + r->n_waiting;
	struct lab_step *trace = pass_array(s, r->trace, &n, sizeof *trace);
	r->trace = trace;
	r->n_waiting = r->n_waiting < n ? r->n_waiting : (unsigned)n;
	r->n_steps = (unsigned)n - r->n_waiting;
	for (size_t i = 0; i < n; i++)
		pass_step(s, &trace[i], (unsigned)i);
	report->sites = pass_array(s, report->sites, &report->n_sites, sizeof *report->sites);
	for (size_t i = 0; i < report->n_sites; i++) {
		pass(s, &report->sites[i], sizeof report->sites[i]);
		pass_text(s, &report->sites[i].operation, "");
		pass_text(s, &report->sites[i].order, "");
	}
}

static void pass_report(struct stream *s, struct report *report)
{
	struct lab_result *r = &report->result;
	pass(s, r, sizeof *r);
	if (r->verdict > LAB_DIVERGED)
		r->verdict = LAB_CRASH;
	pass_text(s, &r->message, "");
	pass_text(s, &r->skipped, NULL);
	pass_text(s, &r->details, "");
	pass_text(s, &r->replay, "");
	pass_text(s, &r->strategy, "");
	pass_text(s, &r->partial, "");
	pass_arrays(s, report);
}

size_t pack(char *to, size_t size, const struct lab_result *r, const struct lab_site *sites, size_t n_sites)
{
	struct stream s = {to, to + size, .reads = false};
	struct report report = {.result = *r, .sites = (struct lab_site *)sites, .n_sites = n_sites};
	pass_report(&s, &report);
	return s.bad ? 0 : (size_t)(s.at - to);
}

bool unpack(const char *from, size_t size, struct report *report)
{
	*report = (struct report){.memory = malloc(size ? size : 1)};
	if (!report->memory)
		return false;
	memcpy(report->memory, from, size);
	struct stream s = {report->memory, (char *)report->memory + size, .reads = true};
	pass_report(&s, report);
	return !s.bad;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of an execution: recorded while `lab.recording`, and turned into words for a result. */
#include "edge.h"
#include "explore.h"
#include "lin_run.h"
#include "object.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDLESS = 60 };                   /* steps of a livelock that are shown */
enum { LONGEST_ROUND = 24, ROUNDS = 4 }; /* the longest round of a loop, and its repetitions */

struct lab_event *lab_event(const struct lab_op *op)
{
	if (!lab.recording || !lab.acting)
		return NULL;
	if (lab.n_events == lab.room_events) {
		lab.room_events = lab.room_events ? 2 * lab.room_events : 256;
		lab.events = realloc(lab.events, lab.room_events * sizeof *lab.events);
		if (!lab.events)
			abort();
	}
	struct lab_event *event = &lab.events[lab.n_events++];
	*event = (struct lab_event){
	    .op = *op, .thread = (uint8_t)lab.self->id, .preempted = lab.switched, .step = lab.steps};
	lab.switched = false;
	return event;
}

void lab_hash(uint64_t value)
{
	lab.hash = (lab.hash ^ value) * 0x100000001b3u; /* FNV-1a, by words */
}

/* --- into words --- */

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	char *copy = strdup(line);
	return copy ? copy : (char *)"";
}

static const char *order_name(int order)
{
	switch (order) {
	case __ATOMIC_RELAXED:
		return "relaxed";
	case __ATOMIC_RELEASE:
		return "release";
	case __ATOMIC_ACQ_REL:
		return "acq_rel";
	case __ATOMIC_SEQ_CST:
		return "seq_cst";
	default:
		return "acquire";
	}
}

static const char *number(char out[40], lab_value value)
{
	out[0] = '&';
	if (value <= 999999)
		snprintf(out, 40, "%" PRIu64, (uint64_t)value);
	else if (value >> 64 || !lab_name_memory((uintptr_t)value, out + 1, 39))
		snprintf(out, 40, "0x%" PRIx64, (uint64_t)value);
	return out;
}

static const char *result_name(int result)
{
	switch (result) {
	case 0:
		return "woken";
	case -EAGAIN:
		return "EAGAIN";
	case -EINTR:
		return "EINTR";
	case -ETIMEDOUT:
		return "ETIMEDOUT";
	default:
		return "?";
	}
}

/* For a call that returns an error code. */
static const char *error_name(int error)
{
	const char *name = strerrorname_np(error);
	return name ? name : "?";
}

static void say_atomic(const struct lab_event *e, const char *place, struct lab_step *step)
{
	char a[40], b[40];
	const char *order = order_name(e->op.order);
	switch (e->op.kind) {
	case LAB_STORE:
		step->what = text("store %s %s", order, place);
		step->value = text("= %s", number(a, e->value));
		break;
	case LAB_RMW:
		step->what = text("rmw %s %s", order, place);
		step->value = text("%s -> %s", number(b, e->other), number(a, e->value));
		break;
	default:
		step->what = text("%s %s %s", e->op.kind == LAB_LOAD ? "load" : "cas fails,", order, place);
		step->value = e->stale   ? text("%s (stale: %s is newest)", number(a, e->value), number(b, e->other))
		              : e->fault ? text("%s (spuriously)", number(a, e->value))
		                         : text("%s", number(a, e->value));
		break;
	}
}

/* The step in place of which it was killed. */
static const char *death_name(const struct lab_event *e, const char *place)
{
	switch ((enum lab_death)e->value) {
	case LAB_ASLEEP:
		return "asleep";
	case LAB_WOKEN:
		return "when it was woken";
	case LAB_IN_COPY:
		return "in the middle of a copy";
	default:
		break;
	}
	switch ((unsigned)e->other) {
	case LAB_LOAD:
		return text("before load %s", place);
	case LAB_STORE:
		return text("before store %s", place);
	case LAB_RMW:
		return text("before rmw %s", place);
	case LAB_PLAIN:
		return text("before plain write %s", place);
	case LAB_FUTEX_WAKE:
		return text("before wake %s", place);
	case LAB_FENCE:
		return "before the fence";
	default:
		return "before it sleeps";
	}
}

static void say(const struct lab_event *e, struct lab_step *step)
{
	char place[96], a[40], b[40];
	lab_name_address(e->op.address, place, sizeof place);
	step->value = "";
	switch (e->op.kind) {
	case LAB_LOAD:
	case LAB_STORE:
	case LAB_RMW:
	case LAB_CAS_FAILED:
		say_atomic(e, place, step);
		break;
	case LAB_FENCE:
		step->what = text("fence %s", order_name(e->op.order));
		break;
	case LAB_MEMBARRIER:
		step->what = "fence of all threads";
		break;
	case LAB_FUTEX_WAIT:
		step->what = text("futex wait %s", place);
		step->value = text("expects %s%s%s", number(a, e->value), e->fault || e->result ? ": " : "",
		                   e->fault && !e->result ? "spurious wake"
		                   : e->result            ? result_name(e->result)
		                                          : "");
		break;
	case LAB_FUTEX_DONE:
		step->what = text("futex wait %s ends", place);
		step->value = result_name(e->result);
		break;
	case LAB_FUTEX_WAKE:
		step->what = text("futex wake %s", place);
		step->value = text("%d woken", e->result);
		break;
	case LAB_INPUT:
		step->what = "choose";
		step->value = text("%s", number(a, e->value));
		break;
	case LAB_ALLOC:
		step->what = text("allocate %s", place);
		step->value = text("%s bytes", number(a, e->value));
		break;
	case LAB_FREE:
		step->what = text("free %s", place);
		break;
	case LAB_PLAIN:
		step->what = text("plain %s %s", e->op.order ? "write" : "read", place);
		break;
	case LAB_FUTEX_MANY:
		step->what = text("futex wait on several");
		step->value = text("%s words%s%s", number(a, e->value), e->result ? ": " : "",
		                   e->result ? result_name(e->result) : "");
		break;
	case LAB_KILLED:
		step->what = text("killed here");
		step->value = text("%s", death_name(e, place));
		break;
	case LAB_CALL:
	case LAB_RETURN: {
		char call[64] = "";
		lab_lin_say((unsigned)e->op.address, (int64_t)e->value, e->op.kind == LAB_RETURN, call, sizeof call);
		step->what = text("%s", e->op.kind == LAB_RETURN ? "returns" : call);
		step->value = text("%s", e->op.kind == LAB_RETURN ? call : "");
		break;
	}
	case LAB_SYNC:
		if (e->op.address)
			step->what = text("%s %s", lab_sync_verb(e->op.order), place);
		else
			step->what = lab_sync_verb(e->op.order);
		step->value = e->result ? text("%s", error_name(e->result)) : "";
		break;
	case LAB_SPAWN:
		step->what = text("starts %s", lab.threads[e->op.address].name);
		break;
	case LAB_JOIN:
		step->what = text("joins %s", ((const struct lab_thread *)e->op.address)->name);
		break;
	case LAB_OWNER_DIED:
		step->what = text("owner died, %s", place);
		step->value = text("%s -> %s", number(b, e->other), number(a, e->value));
		break;
	default:
		step->what = "end";
		break;
	}
}

/* The text of a line of a file, without leading and trailing white space. */
static const char *source_line(const char *file, int line)
{
	FILE *f = fopen(file, "re");
	if (!f)
		return NULL;
	char buffer[512];
	char *found = NULL;
	for (int n = 1; fgets(buffer, sizeof buffer, f); n++) {
		if (n != line)
			continue;
		char *from = buffer + strspn(buffer, " \t");
		from[strcspn(from, "\n")] = '\0';
		found = strdup(from);
		break;
	}
	(void)fclose(f);
	return found;
}

static void place_of(uintptr_t pc, struct lab_step *step)
{
	if (!lab_where(pc, &step->file, &step->line, &step->function))
		return;
	step->source = source_line(step->file, step->line);
}

/* --- loops --- */

static bool is_same_step(const struct lab_event *a, const struct lab_event *b)
{
	return a->thread == b->thread && a->op.kind == b->op.kind && a->op.pc == b->op.pc &&
	       a->op.address == b->op.address;
}

/*
 * The length of the round that the last steps repeat; 0: none. *begin: the first step of its first
 * round.
 */
static unsigned find_round(const struct lab_event *const *shown, unsigned n, unsigned *begin)
{
	for (unsigned length = 1; length <= LONGEST_ROUND && (ROUNDS + 1) * length < n; length++) {
		unsigned same = 0;
		while (same + length < n && is_same_step(shown[n - 1 - same], shown[n - 1 - same - length]))
			same++;
		*begin = n - same - length;
		if (same >= ROUNDS * length && *begin + length <= ENDLESS)
			return length;
	}
	return 0;
}

/*
 * For an endless execution: shows the first round of its loop, and the number of rounds. Returns
 * the steps shown.
 */
static unsigned fold_rounds(const struct lab_event *const *shown, unsigned n, struct lab_step *more)
{
	unsigned begin;
	const unsigned length = find_round(shown, n, &begin);
	if (length == 0)
		return n < ENDLESS ? n : ENDLESS;
	more->thread = shown[begin]->thread;
	more->value = "";
	more->what = length == 1 ? text("the last step again, %u times", n - begin - 1)
	                         : text("the last %u steps again, %u times", length, (n - begin) / length - 1);
	return begin + length;
}

/* Whether the last step of the execution is the failure, and not the sum of all steps. */
static bool fails_at_last(enum lab_verdict verdict)
{
	switch (verdict) {
	case LAB_CHECK:
	case LAB_PANIC:
	case LAB_RACE:
	case LAB_USE_AFTER_FREE:
	case LAB_CRASH:
	case LAB_UNMODELLED:
	case LAB_MISUSE:
		return true;
	default:
		return false;
	}
}

void lab_trace(struct lab_result *result)
{
	struct lab_step *steps = calloc(lab.n_events + LAB_THREADS + 1, sizeof *steps);
	const char **names = calloc(LAB_THREADS, sizeof *names);
	const struct lab_event **shown = calloc(lab.n_events + 1, sizeof *shown);
	if (!steps || !names || !shown)
		abort();
	for (unsigned i = 0; i < lab.n_threads; i++)
		names[i] = text("%s", lab.threads[i].name);
	unsigned n = 0;
	for (size_t i = 0; i < lab.n_events; i++)
		if (!lab.events[i].hidden)
			shown[n++] = &lab.events[i];
	struct lab_step more = {.what = NULL};
	if (lab.verdict == LAB_LIVELOCK)
		n = fold_rounds(shown, n, &more);
	for (unsigned i = 0; i < n; i++) {
		const struct lab_event *e = shown[i];
		struct lab_step *step = &steps[i];
		lab_edge_find(shown, i, step);
		step->thread = e->thread;
		step->preempted = e->preempted;
		step->stale = e->stale > 0;
		step->fault = e->fault;
		step->killed = e->op.kind == LAB_KILLED;
		say(e, step);
		place_of(e->op.pc, step);
	}
	if (more.what)
		steps[n++] = more;
	result->n_waiting = more.what ? 0 : lab_edge_waits(shown, n, steps);
	if (n > 0 && result->n_waiting == 0 && fails_at_last(lab.verdict))
		steps[n - 1].failing = true;
	for (unsigned i = n; lab.verdict == LAB_USE_AFTER_FREE && i-- > 0;)
		if (shown[i]->op.kind == LAB_FREE && shown[i]->op.address <= shown[n - 1]->op.address) {
			steps[i].failing = true;
			break;
		}
	for (unsigned i = n; i < n + result->n_waiting; i++)
		place_of(lab.threads[steps[i].thread].next.pc, &steps[i]);
	free(shown);
	result->threads = names;
	result->n_threads = lab.n_threads;
	result->trace = steps;
	result->n_steps = n;
}

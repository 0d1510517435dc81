/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records what an execution does, step by step, while `lab.recording`, and puts the steps into
 * words for a result.
 */
#include "allocated.h"
#include "edge.h"
#include "explore.h"
#include "lin_run.h"
#include "object.h"
#include "reach.h"
#include "variable.h"
#include <inttypes.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ENDLESS = 60 }; /* how many steps of a livelock are shown */
/* the longest round of a loop, and how often it must repeat */
enum { LONGEST_ROUND = 24, ROUNDS = 4 };

void lab_event_value(struct lab_event *event)
{
	event->valued = (event->op.size & (event->op.size - 1)) == 0;
	if (event->valued)
		event->value = lab_peek(event->op.address, event->op.size);
}

void lab_event_settle(void)
{
	if (lab.unsettled)
		lab_event_value(&lab.events[lab.unsettled - 1]);
	lab.unsettled = 0;
}

/*
 * Whether steps of the running thread are kept. Main runs setup and outcome, but threads of the
 * library may do work during the outcome.
 */
bool lab_records(void)
{
	return lab.recording && (lab.acting || (lab.judging && lab.self->id != 0));
}

struct lab_event *lab_event(struct lab_op op)
{
	static struct lab_event lost;
	if (!lab_records())
		return &lost;
	lab_event_settle();
	lab.events = lab_grown(lab.events, lab.n_events, &lab.room_events, sizeof *lab.events);
	struct lab_event *event = &lab.events[lab.n_events++];
	*event = (struct lab_event){.op = op,
	                            .place = lab_own_place(op.pc),
	                            .thread = (uint8_t)lab.self->id,
	                            .preempted = lab.switched,
	                            .step = lab.steps};
	lab.switched = false;
	return event;
}

struct lab_event *lab_event_then(unsigned thread, uintptr_t pc, uintptr_t address)
{
	for (size_t i = lab.n_events; i-- > 0;) {
		struct lab_event *e = &lab.events[i];
		if (e->thread == thread && e->op.pc == pc && e->op.address >> 3 == address >> 3)
			return e;
	}
	return NULL;
}

uintptr_t lab_place_then(unsigned thread, uintptr_t pc, uintptr_t address)
{
	const struct lab_event *e = lab_event_then(thread, pc, address);
	return e ? e->place : pc;
}

void lab_hash(uint64_t value)
{
	lab.hash = (lab.hash ^ value) * 0x100000001b3u; /* FNV-1a, word by word */
}

/* --- into words --- */

char *lab_text(const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	char *copy = strdup(line);
	return copy ? copy : (char *)"";
}

enum { NUMBER = 100 };

/* Writes a constant of the program if it is a text. */
static bool trace_string(char out[NUMBER], uintptr_t value)
{
	enum { SHORT = 24 };
	char bytes[SHORT];
	const struct iovec from = {(void *)value, sizeof bytes}, to = {bytes, sizeof bytes};
	if (!lab.recording || !lab_symbols(value) || lab_is_global(value) || lab_is_module_code(value) ||
	    process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)sizeof bytes)
		return false;
	size_t n = 0;
	while (n < sizeof bytes && bytes[n] >= ' ' && bytes[n] <= '~')
		n++;
	if (n == 0 || (n < sizeof bytes && bytes[n] != '\0'))
		return false;
	snprintf(out, NUMBER, "\"%.*s%s\"", (int)n, bytes, n < sizeof bytes ? "" : "...");
	return true;
}

/* Writes what a pointer points to. */
static bool trace_pointer(char out[NUMBER], uintptr_t value)
{
	if (lab_reach_pointer(value, out, NUMBER))
		return true;
	if (trace_string(out, value))
		return true;
	out[0] = '&';
	const bool is_state = !lab.program && value - (uintptr_t)lab.state < lab_running->test->state_size;
	if (lab_is_heap(value) || is_state || (lab.recording && (lab_is_global(value) || lab_is_module_code(value)))) {
		lab_name_address(value, out + 1, NUMBER - 1);
		return true;
	}
	return lab_name_memory(value, out + 1, NUMBER - 1);
}

static const char *number(char out[NUMBER], lab_value value, unsigned size)
{
	enum { MOST = 999999 };
	const uint64_t low = (uint64_t)value, sign = size > 0 && size <= 8 ? UINT64_C(1) << (8 * size - 1) : 0;
	if (value <= MOST)
		snprintf(out, NUMBER, "%" PRIu64, low);
	/* a negative number; of eight bytes, `sign << 1` is 0 and stands for 2^64 */
	else if (size >= 4 && sign != 0 && (sign << 1) - low <= MOST)
		snprintf(out, NUMBER, "-%" PRIu64, (sign << 1) - low);
	else if (value >> 64 || !trace_pointer(out, (uintptr_t)value))
		snprintf(out, NUMBER, "0x%" PRIx64, low);
	return out;
}

/*
 * Writes the value of a step on `place`. If the value is a block that is named after `place`, the
 * block's other name is used.
 */
static const char *trace_number_at(char out[NUMBER], const char *place, lab_value value, unsigned size)
{
	(void)number(out, value, size);
	if (strcmp(out, place) == 0)
		(void)lab_reach_made((uintptr_t)value, out, NUMBER);
	return out;
}

/* Names the code that a call returned. */
static const char *error_name(int error)
{
	const char *name = strerrorname_np(error);
	return name ? name : "?";
}

/* Names the result of a wait for a futex. */
static const char *result_name(int result)
{
	return result == 0 ? "woken" : error_name(-result);
}

/* Writes the step that stands for the rounds. */
static char *trace_say_rounds(unsigned length, unsigned times)
{
	return length == 1 ? lab_text("the last step again, %u times", times)
	                   : lab_text("the last %u steps again, %u times", length, times);
}

static void say_atomic(const struct lab_event *e, const char *place, struct lab_step *step)
{
	char a[NUMBER], b[NUMBER];
	const char *order = lab_order_name(e->op.order);
	const unsigned size = e->op.size;
	(void)trace_number_at(a, place, e->value, size);
	switch (e->op.kind) {
	case LAB_STORE:
		step->what = lab_text("store %s %s", order, place);
		step->value = lab_text("= %s", a);
		break;
	case LAB_RMW:
		step->what = lab_text("rmw %s %s", order, place);
		step->value = lab_text("%s -> %s", trace_number_at(b, place, e->other, size), a);
		break;
	default:
		step->what = lab_text("%s %s %s", e->op.kind == LAB_LOAD ? "load" : "cas fails,", order, place);
		step->value = e->stale
		                  ? lab_text("%s (stale: %s is newest)", a, trace_number_at(b, place, e->other, size))
		                  : lab_text(e->fault ? "%s (spuriously)" : "%s", a);
		break;
	}
}

/* Writes what a step on an object of the C library found, or left behind. */
static const char *trace_sync_value(const struct lab_event *e)
{
	const unsigned n = (unsigned)e->value;
	if (e->result)
		return error_name(e->result);
	if (e->fault)
		return "spurious wakeup";
	switch (e->op.order) {
	case LAB_SYNC_SIGNAL:
	case LAB_SYNC_BROADCAST:
		return lab_text("%u woken", n);
	case LAB_SYNC_DOWN:
	case LAB_SYNC_TRYDOWN:
		return lab_text("%u permit%s left", n, n == 1 ? "" : "s");
	case LAB_SYNC_UP:
	case LAB_SYNC_VALUE:
		return lab_text("%u permit%s", n, n == 1 ? "" : "s");
	case LAB_SYNC_ARRIVE:
		return lab_text("%u of %u", n, (unsigned)e->other);
	default:
		return "";
	}
}

/* Writes the step before which, or the state in which, the process was killed. */
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
		return lab_text("before load %s", place);
	case LAB_STORE:
		return lab_text("before store %s", place);
	case LAB_RMW:
		return lab_text("before rmw %s", place);
	case LAB_PLAIN:
		return lab_text("before plain write %s", place);
	case LAB_FUTEX_WAKE:
		return lab_text("before wake %s", place);
	case LAB_FENCE:
		return "before the fence";
	default:
		return "before it sleeps";
	}
}

static void say(const struct lab_event *e, struct lab_step *step)
{
	char place[160], a[NUMBER], b[NUMBER];
	const bool block = e->op.kind == LAB_ALLOC || e->op.kind == LAB_FREE;
	if (!block || !lab_reach_pointer(e->op.address, place, sizeof place))
		lab_name_address_at(e->op.address, (size_t)(e - lab.events), place, sizeof place);
	step->value = "";
	switch (e->op.kind) {
	case LAB_LOAD:
	case LAB_STORE:
	case LAB_RMW:
	case LAB_CAS_FAILED:
		say_atomic(e, place, step);
		break;
	case LAB_FENCE:
		step->what = lab_text("fence %s", lab_order_name(e->op.order));
		break;
	case LAB_MEMBARRIER:
		step->what = "fence of all threads";
		break;
	case LAB_FUTEX_WAIT:
		step->what = lab_text("futex wait %s", place);
		step->value = lab_text("expects %s%s%s", number(a, e->value, 4), e->fault || e->result ? ": " : "",
		                       e->fault && !e->result ? "spurious wakeup"
		                       : e->result            ? result_name(e->result)
		                                              : "");
		break;
	case LAB_FUTEX_DONE:
		step->what = lab_text("futex wait %s ends", place);
		step->value = result_name(e->result);
		break;
	case LAB_FUTEX_WAKE:
		step->what = lab_text("futex wake %s", place);
		step->value = lab_text("%d woken", e->result);
		break;
	case LAB_INPUT:
		step->what = "choose";
		step->value = lab_text("%s", number(a, e->value, 0));
		break;
	case LAB_ALLOC:
		step->what = lab_text(e->other ? "allocate %s, a freed block" : "allocate %s", place);
		step->value = lab_text("%s bytes", number(a, e->value, 0));
		break;
	case LAB_FREE:
		step->what = lab_text("free %s", place);
		break;
	case LAB_PLAIN:
		step->what =
		    lab_text("%s %s %s", e->atomic ? "atomic" : "plain", e->op.order ? "write" : "read", place);
		if (e->valued)
			step->value =
			    lab_text("%s%s", e->op.order ? "= " : "", trace_number_at(a, place, e->value, e->op.size));
		break;
	case LAB_FUTEX_MANY:
		step->what = "futex wait on several";
		step->value = lab_text("%s words%s%s", number(a, e->value, 0), e->result ? ": " : "",
		                       e->result ? result_name(e->result) : "");
		break;
	case LAB_KILLED:
		step->what = "killed here";
		step->value = death_name(e, place);
		break;
	case LAB_CALL:
	case LAB_RETURN: {
		char call[64] = "";
		lab_lin_say((unsigned)e->op.address, (int64_t)e->value, e->op.kind == LAB_RETURN, call, sizeof call);
		step->what = lab_text("%s", e->op.kind == LAB_RETURN ? "returns" : call);
		step->value = lab_text("%s", e->op.kind == LAB_RETURN ? call : "");
		break;
	}
	case LAB_SYNC:
		if (e->op.address)
			step->what = lab_text("%s %s", lab_sync_verb(e->op.order), place);
		else
			step->what = lab_sync_verb(e->op.order);
		step->value = trace_sync_value(e);
		break;
	case LAB_SPAWN:
		step->what = lab_text("starts %s", lab.threads[e->op.address].name);
		break;
	case LAB_JOIN:
		step->what = lab_text("joins %s", ((const struct lab_thread *)e->op.address)->name);
		break;
	case LAB_OWNER_DIED:
		step->what = lab_text("owner died, %s", place);
		step->value = lab_text("%s -> %s", number(b, e->other, 4), number(a, e->value, 4));
		break;
	case LAB_MISUSED:
		step->what = "misuse";
		break;
	case LAB_ROUNDS:
		step->what = trace_say_rounds((unsigned)e->other, (unsigned)e->value);
		break;
	default:
		step->what = "end";
		break;
	}
}

static void place_of(uintptr_t pc, struct lab_step *step)
{
	if (lab_where(pc, &step->file, &step->line, &step->function))
		step->source = lab_source_at(pc, 0);
}

/* --- loops --- */

static bool is_same_step(const struct lab_event *a, const struct lab_event *b)
{
	return a->thread == b->thread && a->op.kind == b->op.kind && a->op.pc == b->op.pc &&
	       a->op.address == b->op.address;
}

/*
 * Returns the length of the round that the last steps repeat; 0: none. `*begin` gets the first step
 * of its first round.
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
 * For an endless execution: shows the first round of its loop and the number of rounds, or, if no
 * loop is found, the first steps and the number of the others. Returns how many steps are shown.
 */
static unsigned fold_rounds(const struct lab_event *const *shown, unsigned n, struct lab_step *more)
{
	unsigned begin;
	const unsigned length = find_round(shown, n, &begin), kept = length > 0 ? begin + length : ENDLESS;
	if (n <= kept)
		return n;
	more->thread = shown[kept]->thread;
	more->value = "";
	more->what = length > 0 ? trace_say_rounds(length, (n - begin) / length - 1)
	                        : lab_text("%u more steps, which are not shown", n - kept);
	return kept;
}

/* Whether the step can stand for an equal step before it. */
static bool trace_is_again(const struct lab_event *e, const struct lab_event *before)
{
	return is_same_step(e, before) && e->op.order == before->op.order && e->value == before->value &&
	       e->other == before->other && e->result == before->result && e->stale == before->stale && !e->preempted &&
	       !e->fault && !e->raced;
}

/*
 * Returns how often the `length` steps at `from`, which are of one thread, are repeated directly
 * after them.
 */
static unsigned trace_count_rounds(const struct lab_event *const *shown, unsigned n, unsigned from, unsigned length)
{
	unsigned same = 0;
	for (unsigned i = 1; i < length && from + i < n; i++)
		if (shown[from + i]->thread != shown[from]->thread)
			return 0;
	while (from + length + same < n && trace_is_again(shown[from + length + same], shown[from + same]))
		same++;
	return same / length;
}

/*
 * Replaces all rounds of a loop except the first by one step. Returns how many steps are left.
 * `rounds` has room for as many elements as there are steps.
 */
static unsigned trace_fold_rounds(const struct lab_event **shown, unsigned n, struct lab_event *rounds)
{
	unsigned left = 0, folded = 0;
	for (unsigned i = 0; i < n;) {
		unsigned length = 1;
		while (length <= LONGEST_ROUND && trace_count_rounds(shown, n, i, length) < ROUNDS)
			length++;
		if (length > LONGEST_ROUND) {
			shown[left++] = shown[i++];
			continue;
		}
		const unsigned times = trace_count_rounds(shown, n, i, length);
		struct lab_event *round = &rounds[folded++];
		*round = (struct lab_event){.thread = shown[i]->thread, .value = times, .other = length};
		round->op.kind = LAB_ROUNDS;
		for (unsigned k = 0; k < length; k++)
			shown[left++] = shown[i + k];
		i += (times + 1) * length;
		shown[left++] = round;
	}
	return left;
}

/* Whether the last step of the execution is the failure, rather than the result of all steps. */
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

/* --- plain accesses before a check that fails, or before a wait that never ends --- */

enum { FEW_STEPS = 40, FEW_PLAIN = 10, MANY_EVENTS = 4000 };

static bool trace_is_of_two_threads(const struct lab_event *e)
{
	bool write = e->op.order, other = false;
	for (size_t i = 0; i < lab.n_events; i++) {
		const struct lab_event *o = &lab.events[i];
		const bool is_memory =
		    o->op.kind == LAB_PLAIN || (o->op.kind >= LAB_LOAD && o->op.kind <= LAB_CAS_FAILED);
		if (!is_memory || !lab_edge_overlaps(o, e))
			continue;
		write |= o->op.kind == LAB_PLAIN ? o->op.order : o->op.kind != LAB_LOAD;
		other |= o->thread != e->thread;
	}
	return write && other;
}

/* Shows how the object of a misuse was initialised: it may be a new object, or an old one. */
static void trace_show_initialised(void)
{
	for (size_t i = 0; lab.verdict == LAB_MISUSE && i < lab.n_events; i++)
		if (lab.events[i].op.kind == LAB_SYNC)
			lab.events[i].hidden = false;
}

/* Whether the thread reads for the check that fails, that is, after its last step. */
static bool trace_is_checked(size_t index)
{
	const struct lab_event *e = &lab.events[index];
	if (&lab.threads[e->thread] != lab.self || lab_is_stack(e->op.address))
		return false;
	for (size_t i = index; i < lab.n_events; i++)
		if (lab.events[i].op.kind != LAB_PLAIN)
			return false;
	return true;
}

/*
 * Whether the event is one of the plain reads that a thread made directly before a wait for a
 * condition that never ended.
 */
static bool trace_is_tested(const struct lab_event *e)
{
	const struct lab_event *wait = NULL;
	if (e->op.kind != LAB_PLAIN || e->op.order || lab_is_stack(e->op.address))
		return false;
	for (const struct lab_event *o = e + 1; o < lab.events + lab.n_events; o++) {
		if (o->thread != e->thread || o->op.kind == LAB_PLAIN)
			continue;
		if (wait || o->op.kind != LAB_SYNC || o->op.order != LAB_SYNC_WAIT)
			return false;
		wait = o;
	}
	return wait;
}

static bool trace_writes_tested(const struct lab_event *e)
{
	for (size_t i = 0; e->op.order && i < lab.n_events; i++)
		if (lab_edge_overlaps(&lab.events[i], e) && trace_is_tested(&lab.events[i]))
			return true;
	return false;
}

static bool trace_explains(size_t index)
{
	const struct lab_event *e = &lab.events[index];
	if (!e->hidden || e->op.kind != LAB_PLAIN || e->piece)
		return false;
	switch (lab.verdict) {
	case LAB_CHECK:
	case LAB_EXIT_STATUS:
	case LAB_CRASH:
		return trace_is_checked(index) || trace_is_of_two_threads(e);
	case LAB_DEADLOCK:
	case LAB_LOST_WAKEUP:
		return trace_is_tested(e) || trace_writes_tested(e);
	default:
		return false;
	}
}

static bool trace_is_endless(void)
{
	return lab.verdict == LAB_LIVELOCK || lab.verdict == LAB_STEP_LIMIT;
}

/* Lists the steps that are not hidden, with each loop folded. Returns how many there are. */
static unsigned trace_list_steps(const struct lab_event **shown, struct lab_event *rounds)
{
	unsigned n = 0;
	for (size_t i = 0; i < lab.n_events; i++)
		if (!lab.events[i].hidden)
			shown[n++] = &lab.events[i];
	return trace_is_endless() ? n : trace_fold_rounds(shown, n, rounds);
}

/*
 * Shows plain accesses that explain the end. A trace that ends in a failed check shows the accesses
 * to memory that two threads use, because the check is about its values. A trace that ends in a
 * wait for a condition shows what the waiting thread tested before, and the writes to it. Only the
 * last of these accesses are shown, so that the trace stays short: it has at most FEW_STEPS in all,
 * and a long trace gets FEW_PLAIN more.
 */
static void trace_show_plain(const struct lab_event **shown, struct lab_event *rounds)
{
	unsigned *plain = lab_needed(calloc(lab.n_events + 1, sizeof *plain)), n = 0, from = 0;
	const unsigned others = trace_list_steps(shown, rounds);
	const unsigned most = others + FEW_PLAIN > FEW_STEPS ? others + FEW_PLAIN : FEW_STEPS;
	for (unsigned i = 0; i < lab.n_events && lab.n_events <= MANY_EVENTS; i++)
		if (trace_explains(i))
			plain[n++] = i;
	for (unsigned i = 0; i < n; i++)
		lab.events[plain[i]].hidden = false;
	while (from < n && trace_list_steps(shown, rounds) > most)
		for (unsigned more = (n - from + 3) / 4; more > 0; more--)
			lab.events[plain[from++]].hidden = true;
	free(plain);
}

/* Marks the step that freed the block that the last step uses. */
static void trace_mark_free(const struct lab_event *const *shown, unsigned last, struct lab_step *steps)
{
	struct lab_block used, freed;
	if (!lab_block_at(shown[last]->op.address, &used))
		return;
	for (unsigned i = last; i-- > 0;)
		if (shown[i]->op.kind == LAB_FREE && lab_block_at(shown[i]->op.address, &freed) &&
		    freed.number == used.number)
			steps[i].failing = true;
}

/*
 * Whether steps of other threads during the outcome are part of the failure. This is so if one of
 * these threads fails, if no thread can go on, if these steps write the state, or if the search
 * intervened.
 */
static bool trace_outcome_matters(void)
{
	if (lab.self->id != 0 || lab.verdict == LAB_DEADLOCK || lab.verdict == LAB_LOST_WAKEUP || trace_is_endless())
		return true;
	for (const struct lab_event *e = lab.events + lab.n_acted; e < lab.events + lab.n_events; e++) {
		const bool writes =
		    e->op.kind == LAB_PLAIN ? e->op.order : e->op.kind == LAB_STORE || e->op.kind == LAB_RMW;
		if (e->preempted || e->stale || e->fault || e->raced ||
		    (writes && e->op.address - (uintptr_t)lab.state < lab_running->test->state_size))
			return true;
	}
	return false;
}

void lab_trace(struct lab_result *result)
{
	if (lab.judging && !trace_outcome_matters())
		lab.n_events = lab.n_acted;
	struct lab_step *steps = lab_needed(calloc(lab.n_events + LAB_THREADS + 1, sizeof *steps));
	const char **names = lab_needed(calloc(LAB_THREADS, sizeof *names));
	const struct lab_event **shown = lab_needed(calloc(lab.n_events + 1, sizeof *shown));
	struct lab_event *rounds = lab_needed(calloc(lab.n_events + 1, sizeof *rounds));
	LAB_EACH_THREAD (t)
		names[t->id] = lab_text("%s", t->name);
	trace_show_initialised();
	trace_show_plain(shown, rounds);
	unsigned n = trace_list_steps(shown, rounds);
	struct lab_step more = {.what = NULL};
	if (trace_is_endless())
		n = fold_rounds(shown, n, &more);
	for (unsigned i = 0; i < n; i++) {
		const struct lab_event *e = shown[i];
		struct lab_step *step = &steps[i];
		lab_edge_find(shown, i, steps);
		step->thread = e->thread;
		step->preempted = e->preempted;
		step->stale = e->stale > 0;
		step->fault = e->fault;
		step->killed = e->op.kind == LAB_KILLED;
		say(e, step);
		place_of(e->place, step);
	}
	if (more.what)
		steps[n++] = more;
	result->n_waiting = lab_edge_waits(shown, n, steps);
	if (n > 0 && result->n_waiting == 0 && fails_at_last(lab.verdict))
		steps[n - 1].failing = true;
	if (n > 0 && lab.verdict == LAB_USE_AFTER_FREE)
		trace_mark_free(shown, n - 1, steps);
	for (unsigned i = n; i < n + result->n_waiting; i++)
		place_of(lab.threads[steps[i].thread].place, &steps[i]);
	free(shown);
	free(rounds);
	lab_allocated_explain();
	lab_reach_explain();
	result->threads = names;
	result->n_threads = lab.n_threads;
	result->trace = steps;
	result->n_steps = n;
}

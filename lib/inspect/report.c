/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reports: the names of places and objects, the stacks, and the steps of a cycle, each as a text
 * for the log.
 */
#include "report.h"
#include "core/base/sys.h"
#include <stdio.h>
#include <string.h>

/* `at` is the address after the call instruction. */
void fl__backtrace_describe(struct fl__symbols *symbols, uintptr_t at, char *text, size_t size, const char **function)
{
	*function = fl__symbols_describe(symbols, at - 1, text, size);
	if (!*text)
		(void)snprintf(text, size, "%#llx", (unsigned long long)at);
}

void fl__backtrace_describe_object(struct fl__symbols *symbols, const void *object, char *text, size_t size)
{
	char place[96];
	(void)fl__symbols_describe(symbols, (uintptr_t)object, place, sizeof place);
	(void)snprintf(text, size, "%s%s%p", place, *place ? " at " : "", object);
}

static bool report_begins_with(struct fl__symbols *symbols, uintptr_t at, const char *prefix)
{
	char text[32];
	const char *function;
	fl__backtrace_describe(symbols, at, text, sizeof text, &function);
	return function && strncmp(function, prefix, strlen(prefix)) == 0;
}

/* The library's prefix. Static functions lack it, except some that may wait. */
#define REPORT_OURS "fl_"

int fl__report_first(struct fl__symbols *symbols, const uintptr_t *at, int n)
{
	int i = 0;
	/* skips the hooks that the compiler has not inlined */
	while (i + 1 < n && at[i + 1] != 0 && report_begins_with(symbols, at[i], "fl__hook_"))
		i++;
	return i + 1 < n && at[i] != 0 && at[i + 1] != 0 && !report_begins_with(symbols, at[i], REPORT_OURS) ? i + 1
	                                                                                                     : i;
}

int fl__report_caller(struct fl__symbols *symbols, const uintptr_t *at, int n)
{
	int i = fl__report_first(symbols, at, n);
	while (i + 1 < n && at[i + 1] != 0 && report_begins_with(symbols, at[i], REPORT_OURS))
		i++;
	return i;
}

static void report_stack(fl_log_level level, struct fl__symbols *symbols, const struct fl__backtrace *stack)
{
	char text[160];
	const char *function;
	const int first = fl__report_first(symbols, stack->at, FL__BACKTRACE_FRAMES);
	for (int i = first; i < FL__BACKTRACE_FRAMES && stack->at[i] != 0; i++) {
		fl__backtrace_describe(symbols, stack->at[i], text, sizeof text, &function);
		fl__log(level, "      #%d %s", i - first, text);
	}
}

void fl__report_awaited(char *text, size_t size, struct fl__symbols *symbols, struct fl__awaited awaited)
{
	char object[FL__REPORT_OBJECT];
	if (awaited.kind == FL__DEBUG_DUE)
		awaited.object = fl__load_relaxed((void *const *)awaited.object);
	if (fl__awaited_is_number(awaited.kind))
		(void)snprintf(object, sizeof object, "%llu", (unsigned long long)(uintptr_t)awaited.object);
	else
		fl__backtrace_describe_object(symbols, awaited.object, object, sizeof object);
	fl__awaited_write(text, size, awaited.kind, awaited.object ? object : NULL);
}

void fl__report_lock(char *text, size_t size, struct fl__symbols *symbols, const struct fl__report_end *end)
{
	if (end->kind == FL__DEBUG_JOIN)
		(void)snprintf(text, size, "the end of %s (%llu)", end->name, (unsigned long long)end->id);
	else
		fl__report_awaited(text, size, symbols, (struct fl__awaited){end->lock, end->kind});
	if (end->how & FL__DEBUG_READ)
		(void)strncat(text, " (to read)", size - strlen(text) - 1);
}

static void report_end(fl_log_level level, struct fl__symbols *symbols, const struct fl__report_step *step,
                       const struct fl__report_end *end)
{
	char lock[FL__REPORT_TEXT];
	const bool holds = end == &step->held;
	if (end->kind == FL__DEBUG_NOTHING)
		return;
	fl__report_lock(lock, sizeof lock, symbols, end);
	fl__log(level, "    %s (%llu) %s %s%s at", step->name, (unsigned long long)step->id, holds ? "holds" : "wants",
	        lock, holds ? ", taken" : "");
	report_stack(level, symbols, &end->stack);
}

static void report_steps(fl_log_level level, const char *title, const struct fl__report_step *steps, size_t n,
                         bool numbered)
{
	struct fl__symbols symbols = {0};
	fl__backtrace_learn_modules();
	fl__log(level, "%s", title);
	for (size_t i = 0; i < n; i++) {
		if (numbered)
			fl__log(level, "  %zu of %zu", i + 1, n);
		report_end(level, &symbols, &steps[i], &steps[i].held);
		report_end(level, &symbols, &steps[i], &steps[i].wanted);
	}
	fl__symbols_end(&symbols);
}

void fl__report_cycle(fl_log_level level, const char *title, fl__report_find *find, const void *what)
{
	for (size_t n = 2, room = 0; n > room;) {
		room = n;
		struct fl__report_step *steps = fl__sys.map(room * sizeof *steps);
		if (!steps) {
			fl__log(level, "%s: out of memory to say more", title);
			return;
		}
		fl__debug_relock();
		n = find(what, steps, room);
		fl__debug_unlock();
		if (n > 0 && n <= room)
			report_steps(level, title, steps, n, true);
		fl__sys.unmap(steps, room * sizeof *steps);
	}
}

void fl__report_one(fl_log_level level, const char *said, const struct fl__report_step *step)
{
	report_steps(level, said, step, 1, false);
}

struct fl__report_end fl__report_held(const struct fl__held *held)
{
	return (struct fl__report_end){held->lock, 0, held->kind, held->how & FL__DEBUG_READ, held->stack};
}

struct fl__report_end fl__report_wanted(const struct fl__holder *h)
{
	struct fl__report_end end = {h->lock, h->joins, h->joins ? FL__DEBUG_JOIN : h->kind, h->how & FL__DEBUG_READ,
	                             h->stack};
	memcpy(end.name, h->joined, sizeof end.name);
	return end;
}

struct fl__report_step fl__report_step(const struct fl__holder *h, const struct fl__held *held)
{
	struct fl__report_step step = {.id = h->id};
	memcpy(step.name, h->name, sizeof step.name);
	if (held)
		step.held = fl__report_held(held);
	return step;
}

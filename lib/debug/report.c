/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"
#include <fairlead/time.h>
#include <stdio.h>
#include <string.h>

static bool report_begins_with(struct fl__symbols *symbols, uintptr_t at, const char *prefix)
{
	char text[8];
	const char *function;
	fl__backtrace_describe(symbols, at, text, sizeof text, &function);
	return function && strncmp(function, prefix, strlen(prefix)) == 0;
}

/*
 * Whether the function's name has the library's prefix. Static functions lack the prefix, except
 * some that may wait, as in queue.c.
 */
static bool report_is_ours(struct fl__symbols *symbols, uintptr_t at)
{
	return report_begins_with(symbols, at, "fl_");
}

int fl__report_first(struct fl__symbols *symbols, const uintptr_t *at, int n)
{
	int i = 0;
	/* hooks that the compiler has not inlined */
	while (i + 1 < n && at[i + 1] != 0 && report_begins_with(symbols, at[i], "fl__debug_"))
		i++;
	return i + 1 < n && at[i] != 0 && at[i + 1] != 0 && !report_is_ours(symbols, at[i]) ? i + 1 : i;
}

int fl__report_caller(struct fl__symbols *symbols, const uintptr_t *at, int n)
{
	int i = fl__report_first(symbols, at, n);
	while (i + 1 < n && at[i + 1] != 0 && report_is_ours(symbols, at[i]))
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

static const struct {
	const char *name, *use;
} report_kinds[] = {
    [FL__DEBUG_NOTHING] = {"lock", ""},
    [FL__DEBUG_MUTEX] = {"mutex", ""},
    [FL__DEBUG_RMUTEX] = {"recursive mutex", ""},
    [FL__DEBUG_RWLOCK] = {"reader-writer lock", ""},
    [FL__DEBUG_SPIN] = {"spin lock", ""},
    [FL__DEBUG_JOIN] = {"end", ""},
    [FL__DEBUG_COND] = {"condition", ""},
    [FL__DEBUG_SEM] = {"semaphore", ""},
    [FL__DEBUG_GET] = {"queue", " (to get)"},
    [FL__DEBUG_PUT] = {"queue", " (to put)"},
    [FL__DEBUG_SELECT] = {"queue", " or another (to select)"},
    [FL__DEBUG_QUEUE_JOIN] = {"queue", " (to join)"},
};

void fl__report_kind(char *text, size_t size, uint8_t kind)
{
	(void)snprintf(text, size, "%s%s", report_kinds[kind].name, report_kinds[kind].use);
}

void fl__report_lock(char *text, size_t size, struct fl__symbols *symbols, const struct fl__report_end *end)
{
	char lock[FL__REPORT_OBJECT];
	if (end->kind == FL__DEBUG_JOIN) {
		(void)snprintf(text, size, "the end of %llu", (unsigned long long)end->id);
		return;
	}
	fl__backtrace_describe_object(symbols, end->lock, lock, sizeof lock);
	(void)snprintf(text, size, "%s %s%s", report_kinds[end->kind].name, lock,
	               end->how & FL__DEBUG_READ ? " (to read)" : report_kinds[end->kind].use);
}

static void report_held(fl_log_level level, struct fl__symbols *symbols, const struct fl__report_step *step)
{
	char lock[FL__REPORT_TEXT];
	fl__report_lock(lock, sizeof lock, symbols, &step->held);
	fl__log(level, "    %s (%llu) holds %s, taken at", step->name, (unsigned long long)step->id, lock);
	report_stack(level, symbols, &step->held.stack);
}

static void report_wanted(fl_log_level level, struct fl__symbols *symbols, const struct fl__report_step *step)
{
	char lock[FL__REPORT_TEXT];
	fl__report_lock(lock, sizeof lock, symbols, &step->wanted);
	fl__log(level, "    %s (%llu) wants %s at", step->name, (unsigned long long)step->id, lock);
	report_stack(level, symbols, &step->wanted.stack);
}

void fl__report_cycle(fl_log_level level, const char *title, const struct fl__report_step *steps, size_t n)
{
	struct fl__symbols symbols = {.n = 0};
	fl__backtrace_learn_modules();
	fl__log(level, "%s", title);
	for (size_t i = 0; i < n; i++) {
		fl__log(level, "  %zu of %zu", i + 1, n);
		if (steps[i].held.kind != FL__DEBUG_NOTHING)
			report_held(level, &symbols, &steps[i]);
		report_wanted(level, &symbols, &steps[i]);
	}
	fl__symbols_end(&symbols);
}

void fl__report_one(fl_log_level level, const char *said, const struct fl__report_step *step, bool wanted)
{
	struct fl__symbols symbols = {.n = 0};
	fl__backtrace_learn_modules();
	fl__log(level, "%s", said);
	report_held(level, &symbols, step);
	if (wanted)
		report_wanted(level, &symbols, step);
	fl__symbols_end(&symbols);
}

void fl__report_duration(int64_t deadline, const struct fl__backtrace *stack)
{
	struct fl__symbols symbols = {.n = 0};
	fl__backtrace_learn_modules();
	fl__log(FL_LOG_WARNING, "a deadline of %.9g s is long past; fl_after() makes one of a duration",
	        (double)deadline / (double)FL_S(1));
	report_stack(FL_LOG_WARNING, &symbols, stack);
	fl__symbols_end(&symbols);
}

struct fl__report_end fl__report_held(const struct fl__held *held)
{
	return (struct fl__report_end){held->lock, 0, held->kind, held->how & FL__DEBUG_READ, held->stack};
}

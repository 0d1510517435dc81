/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_REPORT_H
#define FL_DEBUG_REPORT_H

#include "../base/panic.h"
#include "../wait/lot.h"
#include "table.h"

/*
 * What a context holds or wants: the object `lock`, or, with kind FL__DEBUG_JOIN, the end of the
 * context `id`. `stack`: where.
 */
struct fl__report_end {
	const void *lock;
	uint64_t id;
	uint8_t kind, how;
	struct fl__backtrace stack;
};

/* A context that holds one object and wants the next. A copy, since the table may change. */
struct fl__report_step {
	char name[FL__DEBUG_NAME];
	uint64_t id;
	struct fl__report_end held, wanted;
};

/* The log handler is called, so the caller must not hold the table's lock. */
void fl__report_cycle(fl_log_level level, const char *title, const struct fl__report_step *steps, size_t n);

/*
 * The title `said`, then the stack at which the context locked `step->held`; with `wanted`, also
 * where it wants `step->wanted`.
 */
void fl__report_one(fl_log_level level, const char *said, const struct fl__report_step *step, bool wanted);

/* A call got a duration in place of a deadline. */
void fl__report_duration(int64_t deadline, const struct fl__backtrace *stack);

/* The report's form of `held`. */
struct fl__report_end fl__report_held(const struct fl__held *held);

enum { FL__REPORT_OBJECT = 128, FL__REPORT_TEXT = 2 * FL__REPORT_OBJECT + 32 };

/* "queue 0x1234 (to get)" or "the end of process 1234". */
void fl__report_awaited(char *text, size_t size, struct fl__symbols *symbols, struct fl__awaited awaited);

/* Writes, for example, "reader-writer lock table at 0x1234 (to read)". */
void fl__report_lock(char *text, size_t size, struct fl__symbols *symbols, const struct fl__report_end *end);

/*
 * The index of the first frame to show: behind the hooks (fl__debug_...), and one frame without the
 * library's prefix, a static function that called the hook; and of the first frame outside of the
 * library.
 */
int fl__report_first(struct fl__symbols *symbols, const uintptr_t *at, int n);
int fl__report_caller(struct fl__symbols *symbols, const uintptr_t *at, int n);

#endif

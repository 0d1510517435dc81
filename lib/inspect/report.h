/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/panic.h"
#include "core/wait/lot.h"
#include "table.h"

/*
 * Reports a cycle. `find` is called under the table's lock. It returns the length of the cycle, and
 * stores the steps unless there are more than `max`; it returns 0 if the cycle is gone. The caller
 * must not hold the table's lock, because the log handler is called.
 */
typedef size_t fl__report_find(const void *what, struct fl__report_step *steps, size_t max);
void fl__report_cycle(fl_log_level level, const char *title, fl__report_find *find, const void *what);

/* Reports the title `said`, followed by the stacks of what the context holds and wants. */
void fl__report_one(fl_log_level level, const char *said, const struct fl__report_step *step);

/*
 * fl__report_held() returns the report's form of `held`. fl__report_step() returns the step of the
 * context `h`, which holds `held`, or nothing if `held` is NULL.
 */
struct fl__report_end fl__report_held(const struct fl__held *held);
struct fl__report_step fl__report_step(const struct fl__holder *h, const struct fl__held *held);

/* Returns what `h` waits for, which is a lock or a join. */
struct fl__report_end fl__report_wanted(const struct fl__holder *h);

enum { FL__REPORT_OBJECT = 128, FL__REPORT_TEXT = 2 * FL__REPORT_OBJECT + 32 };

/* Writes, for example, "queue 0x1234 (to get)" or "the end of process 1234". */
void fl__report_awaited(char *text, size_t size, struct fl__symbols *symbols, struct fl__awaited awaited);

/* Writes, for example, "reader-writer lock table at 0x1234 (to read)". */
void fl__report_lock(char *text, size_t size, struct fl__symbols *symbols, const struct fl__report_end *end);

/*
 * fl__report_first() returns the index of the first frame to show. It skips the hooks
 * (fl__hook_...), and one more frame if that lacks the library's prefix, because it is a static
 * function that called the hook. fl__report_caller() returns the index of the first frame outside
 * the library, or of the last frame if there is none.
 */
int fl__report_first(struct fl__symbols *symbols, const uintptr_t *at, int n);
int fl__report_caller(struct fl__symbols *symbols, const uintptr_t *at, int n);

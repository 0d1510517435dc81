/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_REPORT_H
#define FL_DEBUG_REPORT_H

#include "../base/panic.h"
#include "../wait/lot.h"
#include "table.h"

/*
 * A lock or whatever else is waited for, or, of kind FL__DEBUG_JOIN, a context; and where somebody
 * took or wanted it.
 */
struct fl__report_end {
	const void *lock;
	uint64_t id;
	uint8_t kind, how;
	struct fl__stack_trace stack;
};

/* One step of a cycle: who holds something and wants the next. Copied out of the table, which may change meanwhile. */
struct fl__report_step {
	char name[FL__DEBUG_NAME];
	uint64_t id;
	struct fl__report_end held, wanted;
};

/* Whatever reports calls the log handler, and so is for those who have left the table. */
void fl__report_cycle(fl_log_level level, const char *title, const struct fl__report_step *steps, size_t n);

/* One lock that `step` is about; `said` says what of it. With where it was taken, and, if `wanted`, where it is wanted. */
void fl__report_one(fl_log_level level, const char *said, const struct fl__report_step *step, bool wanted);

/* What is held, for the same. */
struct fl__report_end fl__report_held(const struct fl__held *held);

/* "queue (to get)"; to `text`. */
void fl__report_kind(char *text, size_t size, uint8_t kind);

/* "mutex 0x1234 (to read)"; to `text`. */
void fl__report_lock(char *text, size_t size, const struct fl__report_end *end);

/*
 * Where a stack begins that is worth showing: past the function of ours that called the hook, if it is a static one. And the first
 * frame that is not the library's.
 */
int fl__report_first(struct fl__symbols *symbols, const uintptr_t *at, int n);
int fl__report_caller(struct fl__symbols *symbols, const uintptr_t *at, int n);

#endif

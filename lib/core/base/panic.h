/* SPDX-License-Identifier: BSD-2-Clause */
/* Panics, which end the process, and log messages. */
#pragma once

#include <fairlead/error.h>

/*
 * The reason for a panic when an object is freed while `whom` still uses it. The caller should have
 * joined `whom` first.
 */
#define FL__IN_USE(whom)                                                                                               \
	whom " uses it. Join that first; after a cancel under FL_SHIELDED, else the join returns -ECANCELED at once"

/*
 * Calls the panic handler, and then aborts. Because the handler may leave by longjmp(), the caller
 * must hold no lock of the library, and must not have changed the object, or must have undone the
 * change. There are four exceptions:
 *   - If membarrier() has stopped working, the caller may hold an executor's lock, or the lock of a
 *     bucket of the parking lot.
 *   - If a future has too many references, the caller may hold an executor's lock.
 *   - If a readers-writer lock has too many readers, the caller may hold the lock of a bucket of
 *     the parking lot.
 *   - If a biased readers-writer lock was unlocked too often, this is noticed when the bias ends,
 *     after the lock was changed.
 */
_Noreturn void fl__panic(const char *function, const void *object, const char *reason);

/*
 * The reason for a panic when a function of the user ended its thread by pthread_exit() or
 * pthread_cancel().
 */
#define FL__ENDS_THREAD "ends its thread, by pthread_exit() or pthread_cancel()"

/* Logs one line, cut to 255 bytes. */
void fl__log(fl_log_level level, const char *format, ...) FL_PRINTF(2, 3);

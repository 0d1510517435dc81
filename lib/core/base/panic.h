/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/error.h>

/*
 * The reason of a panic when an object is to be freed that `whom` still uses. The caller should
 * have joined `whom` before.
 */
#define FL__IN_USE(whom)                                                                                               \
	whom " uses it. Join that first; after a cancel under FL_SHIELDED, else the join returns -ECANCELED at once"

/*
 * Calls the panic handler, and then aborts. The handler may leave by longjmp(). So the caller holds
 * no lock of the library, and has not changed the object, or has undone its change. There are four
 * exceptions:
 *   - If membarrier() works no more, the caller may hold an executor's lock, or the lock of a
 *     bucket of the parking lot.
 *   - If a future has too many references, the caller may hold an executor's lock.
 *   - If a readers-writer lock has too many readers, the caller may hold the lock of a bucket of
 *     the parking lot.
 *   - If a biased readers-writer lock was unlocked too often, the end of the bias finds that, after
 *     it has changed the lock.
 */
_Noreturn void fl__panic(const char *function, const void *object, const char *reason);

/*
 * The reason of a panic when a function of the user has left by pthread_exit() or pthread_cancel().
 */
#define FL__ENDS_THREAD "ends its thread, by pthread_exit() or pthread_cancel()"

/* Logs one line, of which it keeps the first 255 bytes. */
void fl__log(fl_log_level level, const char *format, ...) FL_PRINTF(2, 3);

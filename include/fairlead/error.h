/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ERROR_H
#define FAIRLEAD_ERROR_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Errors are negative errno values, and FL_ETASK: the call succeeded, but the task failed.
 * fl_future_error() and fl_future_message() return the task's error. So a timeout of the call
 * (-ETIMEDOUT) can be told from a task that failed with -ETIMEDOUT (FL_ETASK).
 *
 * When a call returns FL_ETASK, its thread remembers the failure: the error, the message and, of a
 * map or an iteration, the index of the argument. The failure outlives its future. The next such
 * call on the thread replaces it. No memory is allocated, and no lock is taken. A forked child
 * keeps what its thread remembered.
 */
#define FL_ETASK (-5001)

/*
 * Returns the name of a result: "EPIPE" for -EPIPE, "FL_ETASK", "0" for 0, "E?" for a number
 * without a name. The string is static. Never waits. Async-signal-safe.
 */
FL_API const char *fl_error_name(int rc);

/*
 * Returns a description of a result, in English: what this library means by it. That is often not
 * the text of strerror(), as for -EPIPE ("Closed or broken") and -ETIMEDOUT ("Timed out: a deadline
 * has passed"). The string is static. Never waits.
 */
FL_API const char *fl_error_text(int rc);

/*
 * Prints a result and a newline to standard error: "what: EPIPE: Closed or broken". For FL_ETASK
 * prints the failure that the thread remembers: "what: FL_ETASK: the task of argument 17 failed:
 * EDOM: -3 is no length". If the calling context has no such failure, or another fiber of the
 * thread has replaced it, prints "what: FL_ETASK: the task failed". Returns EXIT_FAILURE, for
 * `return fl_perror(rc, "executor");` in main(). May block on standard error.
 */
FL_API int fl_perror(int rc, const char *what);

FL_END_DECLS

#endif

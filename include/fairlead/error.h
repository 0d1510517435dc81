/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ERROR_H
#define FAIRLEAD_ERROR_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Errors: negative errno values, and one of our own. FL_ETASK means that the call itself went well and that the *task*
 * failed: fl_future_error() and fl_future_message() tell how. So a call's own -ETIMEDOUT is never mistaken for a task's.
 *
 * A thread remembers the last failure with which a call on it returned FL_ETASK: the error, the
 * message and, of a map or an iteration, the index of the argument. The next such call on that
 * thread replaces that failure, which outlives its future. Remembering takes no memory and no lock.
 * A forked child has what its thread remembered.
 */
#define FL_ETASK (-5001)

/*
 * The name of a result: "EPIPE" for -EPIPE, "FL_ETASK", "0" for 0, "E?" for what has no name. Static; never NULL.
 * Never blocks. Safe in a signal handler.
 */
FL_API const char *fl_error_name(int rc);

/* A sentence on a result, as strerror() has it. Static; never NULL. Never blocks. */
FL_API const char *fl_error_text(int rc);

/*
 * Prints "what: EPIPE: Broken pipe" and a newline to standard error; for FL_ETASK the remembered
 * failure: "what: FL_ETASK: the task of argument 17 failed: EDOM: -3 is no length". That is the
 * failure that the calling context was told of last. Where it was told of none, or another fiber of
 * its thread was told of one since, it is "what: FL_ETASK: the task failed". Returns EXIT_FAILURE,
 * so that `return fl_perror(rc, "executor");` ends main(). May block on standard error.
 */
FL_API int fl_perror(int rc, const char *what);

FL_END_DECLS

#endif

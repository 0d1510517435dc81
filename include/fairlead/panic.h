/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PANIC_H
#define FAIRLEAD_PANIC_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * A panic ends the process after a bug of the caller that would corrupt data, such as an unlock of
 * an unlocked mutex. A handler is called first.
 */
typedef struct fl_panic_info {
	const char *function; /* "fl_mutex_unlock" */
	const void *object;   /* the function's object, or NULL */
	const char *reason;   /* "not locked" */
} fl_panic_info;

/* When the handler returns, the process aborts. May leave by longjmp(): the object is as before. */
typedef void fl_panic_handler(const fl_panic_info *info);

/*
 * Sets the handler of later panics. NULL: the default, which prints "fairlead:
 * fl_mutex_unlock(0x...): not locked" to standard error. Returns the handler before. Never waits.
 */
FL_API fl_panic_handler *fl_set_panic_handler(fl_panic_handler *handler);

FL_END_DECLS

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PANIC_H
#define FAIRLEAD_PANIC_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * A panic is the answer to misuse that is a bug of the caller (unlocking what is not locked, more task_done than items):
 * going on would corrupt. The handler gets function, object and reason.
 */
typedef struct fl_panic_info {
	const char *function; /* "fl_mutex_unlock" */
	const void *object;   /* its address, or NULL */
	const char *reason;   /* "not locked" */
} fl_panic_info;

/* May leave by longjmp: the object is as it was before the call. When it returns, the process aborts. */
typedef void fl_panic_handler(const fl_panic_info *info);

/*
 * Replaces the handler; NULL brings back the default, which prints "fairlead: fl_mutex_unlock(0x...): not locked" to
 * standard error. Returns the handler that was replaced. Takes effect for panics that begin after it. Never blocks.
 */
FL_API fl_panic_handler *fl_set_panic_handler(fl_panic_handler *handler);

FL_END_DECLS

#endif

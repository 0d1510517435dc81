/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BLOCKING_H
#define FAIRLEAD_BLOCKING_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * A blocking section is a part of a task that blocks where the library cannot see it, for example
 * in read(2). Meanwhile another worker may run tasks.
 *
 *     {
 *             FL_BLOCKING();                          // until the end of the block
 *             n = read(file, bytes, sizeof bytes);
 *     }
 *
 * A thread executor runs at most `.workers` tasks at a time, not counting those in blocking
 * sections, on up to FL_WORKERS_MAX threads. Sections may be nested. A section locks a mutex twice,
 * so use it for more than a few microseconds.
 *
 * Some waits of the library are blocking sections, too, as soon as they sleep:
 *
 * - waits for futures, and waits for FL_ON_FUTURE(), FL_ON_THREAD(), FL_ON_GROUP() and
 *   FL_ON_PROCESS();
 * - joins of threads, processes, groups, queues and executors;
 * - a loop that the task runs, while the loop is idle.
 *
 * However, a wait for a task of the worker's own executor is not a section: if that task is
 * pending, the worker runs it itself, so such tasks do not deadlock, however few workers there are.
 *
 * Waits for locks, conditions, items of queues, and similar objects are not sections, unless the
 * executor's config has `workers_max` (fairlead/executor.h).
 *
 * FL_BLOCKING() has an effect only in a task of a thread executor. In a fiber, use
 * fl_blocking_call() (fairlead/loop.h). In a loop executor, the waits above also let another task
 * start (fairlead/loop_executor.h).
 */

/* Begins a blocking section, which the same task must end. */
FL_API void fl_blocking_begin(void);

/* Ends a blocking section. Panics on a worker that is not in a section. */
FL_API void fl_blocking_end(void);

/*
 * FL_BLOCKING() is a declaration that makes the rest of the enclosing block a blocking section
 * (fairlead/defs.h, "Cleanup").
 */
#define FL_BLOCKING()                                                                                                  \
	__attribute__((__cleanup__(fl__blocking_end), __unused__)) char FL__UNIQUE(fl__blocking_) = fl__blocking_begin()

static inline char fl__blocking_begin(void)
{
	fl_blocking_begin();
	return 0;
}

static inline void fl__blocking_end(char *_unused)
{
	(void)_unused;
	fl_blocking_end();
}

FL_END_DECLS

#endif

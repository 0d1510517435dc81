/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BLOCKING_H
#define FAIRLEAD_BLOCKING_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * A blocking section is the part of a task that blocks where the library cannot see it, as in
 * read(2). During the section another worker may run tasks in place of the blocked one.
 *
 *     {
 *             FL_BLOCKING();                          // until the end of the block
 *             n = read(file, bytes, sizeof bytes);
 *     }
 *
 * The workers of a thread executor run at most `.workers` tasks at a time. A worker in a blocking
 * section does not count against this bound, so another worker may run a task meanwhile. To make
 * this possible, the executor may have up to FL_WORKERS_MAX threads. After the section the task
 * goes on at once. If no thread can be started, no error is reported. Sections may be nested. A
 * section locks a mutex twice, so use it for what takes longer than some microseconds.
 *
 * Some waits of the library are blocking sections, too, as soon as they sleep:
 *
 * - waits for futures, and waits for FL_ON_FUTURE(), FL_ON_THREAD(), FL_ON_GROUP() and
 *   FL_ON_PROCESS();
 * - joins of threads, processes, groups, queues and executors;
 * - a loop that the task runs, while the loop is idle.
 *
 * One of these waits is not a section: a wait for a task of the worker's own executor that another
 * worker runs. However, if all workers that are in no section are in such waits, another worker may
 * run tasks, because what they wait for may be in a section. A worker that waits for a pending task
 * of its own executor runs that task instead. So tasks that wait for each other's futures do not
 * deadlock, however few workers there are.
 *
 * Waits for locks, conditions, items of queues, and similar objects are not sections, unless the
 * executor's config has `workers_max` (fairlead/executor.h).
 *
 * FL_BLOCKING() has an effect only in a task of a thread executor. In tasks of other executors,
 * outside of tasks, and in a fiber it does nothing. A fiber must not block. However, the waits of
 * the list above have an effect in tasks of a loop executor, too: a task in such a wait does not
 * count against `.workers`, so another task may start. A wait for a task of another executor counts.
 */

/* Begins a blocking section. The same task must end it by fl_blocking_end(). */
FL_API void fl_blocking_begin(void);

/* Ends a blocking section. It panics on a worker that is in no section. */
FL_API void fl_blocking_end(void);

/*
 * FL_BLOCKING() is a declaration that makes the rest of the enclosing block a blocking section. The
 * section ends at the end of the block, and at a return, break or goto out of it. A longjmp() out
 * of the block does not end the section. Neither does a pthread_exit() or a pthread_cancel() in the
 * block, except where the C library unwinds the stack: glibc does so if the block is C++, or C that
 * was compiled with -fexceptions.
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

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BLOCKING_H
#define FAIRLEAD_BLOCKING_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Blocking sections: a task says that it is about to block where Fairlead does not see it: in
 * read(2), in a library.
 *
 *     {
 *             FL_BLOCKING();                          // until the end of the block
 *             n = read(file, bytes, sizeof bytes);
 *     }
 *
 * While it lasts, another worker of the thread executor may run tasks in place of this one. At most
 * `.workers` are active at a time: what blocks in a section is not counted. The executor has up to
 * FL_WORKERS_MAX threads then, one for each task that blocks. After the section the task goes on at
 * once; the worker that is one too many then sleeps when it has ended its task, and ends when it is
 * not needed for a second. It is a hint: when no thread can be started, nothing is said. Sections may
 * nest. A section costs two locks: for what takes longer than some microseconds.
 *
 * Some waits of the library are such sections by themselves, as soon as they sleep: the waits for
 * futures, for several futures, and for FL_ON_FUTURE(), FL_ON_THREAD(), FL_ON_GROUP() and
 * FL_ON_PROCESS(); the joins of threads, processes, groups, queues and executors; and a loop that the
 * task runs, while it has nothing to do. So executors whose tasks wait for each other do not
 * deadlock, however few workers they have. Not among them: a wait for a task of the worker's own
 * executor, which the worker runs itself, unless another runs it already; and the waits for locks,
 * conditions, items of queues, and the like. A task that waits for one of these until another task of
 * its executor has run declares a section.
 *
 * Does nothing on other executors, and outside of tasks; nor in a fiber, which must not block its
 * thread.
 */

/* Begins a section. Each has its end in the same task. Never waits. */
FL_API void fl_blocking_begin(void);

/* Ends it. Panics without one, where that can be seen. Never waits. */
FL_API void fl_blocking_end(void);

/* A section until the end of the block, by whatever way it is left; a declaration. */
#define FL_BLOCKING()                                                                                                  \
	__attribute__((cleanup(fl__blocking_end), unused)) char FL__JOIN(fl__blocking_, __LINE__) = fl__blocking_begin()

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

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BLOCKING_H
#define FAIRLEAD_BLOCKING_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Blocking sections: a task says that it is about to block where Fairlead does not see it: in read(2), in a library.
 *
 *     {
 *             FL_BLOCKING();                          // until the end of the block
 *             n = read(file, bytes, sizeof bytes);
 *     }
 *
 * While it lasts, the thread executor may run another worker in its place, up to FL_BLOCKING_MAX more threads than it has
 * workers. After it the task goes on at once; one worker too many sleeps when it has ended its task, and ends when it is not needed
 * for a second. It is a hint: when no thread can be started, nothing is said. Sections may nest. A section costs two locks: for
 * what takes longer than some microseconds.
 *
 * Does nothing on other executors, and outside of tasks; nor in a fiber, which should block its own thread never.
 */
#define FL_BLOCKING_MAX 256

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

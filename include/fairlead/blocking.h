/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BLOCKING_H
#define FAIRLEAD_BLOCKING_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Blocking section: a task is about to block where Fairlead cannot see it, as in read(2).
 *
 *     {
 *             FL_BLOCKING();                          // until the end of the block
 *             n = read(file, bytes, sizeof bytes);
 *     }
 *
 * During a section another worker of the thread executor may run tasks in place of this one. At
 * most `.workers` are active at a time; a worker in a section is not counted. So the executor may
 * have up to FL_WORKERS_MAX threads. After the section the task goes on at once. If no thread can
 * be started, no error is reported. Sections may nest. A section locks a mutex twice: use it for
 * what takes longer than some microseconds.
 *
 * As soon as they sleep, some waits of the library are sections, too: waits for futures, and for
 * FL_ON_FUTURE(), FL_ON_THREAD(), FL_ON_GROUP() and FL_ON_PROCESS(); joins of threads, processes,
 * groups, queues and executors; and a loop that the task runs, while the loop is idle. So tasks
 * that wait for each other do not deadlock, however few workers there are. A worker that waits for
 * a pending task of its own executor runs that task instead. Waits for locks, conditions, items of
 * queues, and the like are no sections.
 *
 * A thread executor is starved while tasks are pending (or a submit waits for a worker) and all
 * active workers have slept for 5 ms in waits of the library, of any kind; one for a shared object
 * counts unless it is FL_SHIELDED. Then another worker stands in for a sleeping one, and one more
 * each 50 ms while the executor stays starved, up to 64 and up to FL_WORKERS_MAX threads. If none
 * may stand in, the log says so once. If no thread can be started, the executor tries again each
 * 50 ms if its tasks were pending when its workers began to sleep, and else at the next submit.
 *
 * Executors over processes and MPI have no stand-ins: each task that waits for another needs a
 * worker.
 *
 * Sections do nothing on other executors, outside of tasks, and in a fiber, which must not block.
 */

/* Begins a section, which the same task must end. */
FL_API void fl_blocking_begin(void);

/* Ends a section. Panics on a worker that is in no section. */
FL_API void fl_blocking_end(void);

/* A declaration: a section until the end of the block, however the block is left. */
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

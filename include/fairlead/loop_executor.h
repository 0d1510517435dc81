/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_EXECUTOR_H
#define FAIRLEAD_LOOP_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/loop.h>

FL_BEGIN_DECLS

/*
 * The loop executor: runs tasks as fibers of an event loop. What makes a task wait (a lock, a queue, a future, a stream, a
 * time) lets the others go on, so thousands can be under way on one thread. For tasks that compute there are threads and
 * processes: here they run one after the other.
 *
 *     FL_SCOPED(fl_executor) *many = NULL;
 *     rc = fl_loop_executor_create(&many, NULL);              // check
 *     rc = download_map(many, urls, 1000, pages, NULL);       // check: all of them at once
 *
 * Everything of fairlead/executor.h holds. `workers` of the config is how many tasks may be under way at once: at most
 * FL_LOOP_EXECUTOR_MAX; 0 is FL_LOOP_EXECUTOR_DEFAULT, whatever the number of CPUs, since it is memory that they cost: a stack
 * each. Where there is none for another, those that are under way come first. Further tasks stand in line, in the order of
 * submission. A task that waits for one of the same executor which stands in line has it start at once, beyond that number.
 *
 * Each task has a fiber of its own (fairlead/fiber.h): fl_fiber_current() is that, and it may use streams, fl_sleep() and
 * fl_to_thread(), and start fibers, which are cancelled when the loop ends. Its scope is the task's token. Fibers are called
 * as the thread is. A task that blocks its thread by other means than this library's holds up all others.
 *
 * The initializer runs once. fl_executor_terminate() asks what runs to stop, as on threads. Fibers that a task has left behind
 * cannot join the executor: -EDEADLK.
 */
#define FL_LOOP_EXECUTOR_DEFAULT 1000u
#define FL_LOOP_EXECUTOR_MAX 1000000u

/*
 * Makes one with a thread of its own, which starts with the first submit, is called name-0, takes no signals, and runs a loop:
 * fl_loop_current() in its tasks. fl_loop_cancel() of that is fl_executor_cancel(). A join also cancels fibers that tasks have
 * left behind, and waits for them. A thread that finds no memory to run its loop breaks the executor.
 * `config` may be NULL. Any thread may call it. Never waits. Returns 0, -ENOMEM, -EMFILE, -ENFILE, or as fl_loop_create();
 * -EINVAL: more than FL_LOOP_EXECUTOR_MAX workers, or as fl_thread_executor_create().
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Makes one that runs its tasks on a loop of the caller's: what other threads submit, that loop
 * runs. Called by the thread of the loop, or before the loop runs. `config` may be NULL. Never
 * waits. Returns 0, -ENOMEM, -EINVAL as above, -EOWNERDEAD.
 *
 * While its loop does not run, its tasks do not either, and who waits for them waits on. When a run ends (fl_loop_run_on(),
 * fl_loop_free()), and by fl_loop_cancel(), the executor is cancelled, as by fl_executor_cancel(), and its tasks are waited
 * for: from then on it refuses tasks, as closed.
 *
 * A join waits for tasks, callbacks and drop hooks, not for the loop. In a fiber of the loop it
 * lets the others run. Elsewhere on the thread that runs the loop, or has run it, a join would keep
 * the loop from running: in a callback of the loop, between its turns (fl_loop_run_once()) or its runs,
 * and in a fiber of another loop. There, as long as there are tasks that the loop has to run, a
 * join answers -EDEADLK, but fl_executor_try_join() -EBUSY, and fl_executor_free() panics. On
 * another thread a join waits, also while the loop does not run. Before the first run of the loop
 * any thread may be the one that is going to run it, so a join waits then, on any thread. The
 * executor may be freed before its loop and after it.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config);

FL_END_DECLS

#endif

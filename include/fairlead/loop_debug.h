/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_DEBUG_H
#define FAIRLEAD_LOOP_DEBUG_H

#include <fairlead/defs.h>
#include <fairlead/loop.h>
#include <stdint.h>
#include <stdio.h>

FL_BEGIN_DECLS

/*
 * Reports what an event loop does, and what holds it up. Fibers of a loop take turns: a fiber that
 * computes for long, or waits outside of the library (a pthread mutex, a file, sleep()), holds up
 * all others.
 *
 *     const fl_loop_debug_config config = {.slow = FL_MS(100), .blocked = FL_S(1)};
 *     rc = fl_loop_debug(fl_loop_current(), &config);         // check
 *     ...
 *     fl_loop_dump(fl_loop_current(), stderr);
 *
 * Reports are warnings to the log handler (fairlead/handlers.h). The log handler must not wait.
 */
typedef struct fl_loop_debug_config {
	/*
	 * ns: reports a fiber, or callbacks, that kept the thread for longer, when they give way;
	 * 0: never
	 */
	int64_t slow;
	/*
	 * ns: reports a fiber, or callbacks, that keep the thread for so long, once, while they
	 * run; 0: never
	 */
	int64_t blocked;
} fl_loop_debug_config;

/*
 * Switches reports on, or changes them. `config` NULL or all-zero switches them off. Called by the
 * loop's thread. While reports are on, each switch between fibers reads the clock. `blocked` takes
 * a thread, which checks the loop twice in that time. Waits only for the end of that thread. After
 * an error all reports are off. Returns
 *
 *   0
 *   -EINVAL      a time is negative
 *   -ENOMEM
 *   -EAGAIN      no thread can be started
 *   -EOWNERDEAD  in a forked child
 */
FL_API FL_MUST_CHECK int fl_loop_debug(fl_loop *l, const fl_loop_debug_config *config);

/*
 * Prints the loop's fibers to `out` as a tree: each fiber below the fiber that started it, with its
 * state and its stack. A function in a stripped file is printed as an offset in the file. Called by
 * the loop's thread, in a fiber or a callback of the loop; another thread posts the call
 * (fl_loop_post()). Waits only for the file.
 */
FL_API void fl_loop_dump(fl_loop *l, FILE *out);

FL_END_DECLS

#endif

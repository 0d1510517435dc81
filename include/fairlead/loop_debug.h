/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_DEBUG_H
#define FAIRLEAD_LOOP_DEBUG_H

#include <fairlead/defs.h>
#include <fairlead/loop.h>
#include <stdint.h>
#include <stdio.h>

FL_BEGIN_DECLS

/*
 * What an event loop is doing, and who holds it up. Fibers of a loop take turns: one that computes for long, or waits for something
 * that is not the library's (a pthread mutex, a file, a sleep), holds up all others.
 *
 *     rc = fl_loop_debug(fl_loop_current(), &(fl_loop_debug_config){.slow = FL_MS(100), .blocked = FL_S(1)});   // check
 *     ...
 *     fl_loop_dump(fl_loop_current(), stderr);
 *
 * Reports are warnings to the log handler (fairlead/handlers.h). A handler that is set must not wait.
 */
typedef struct fl_loop_debug_config {
	int64_t
	    slow; /* ns: a fiber, or callbacks, that kept the thread for longer are reported when they give way; 0: never */
	int64_t blocked; /* ns: one that has kept it for so long is reported once, while it goes on; 0: never */
} fl_loop_debug_config;

/*
 * Switches reports on, changes what is reported, or, with NULL or all-zero, switches them off. By the thread of the loop. `blocked`
 * takes a thread, which looks twice in that time; `slow` a look at the clock at each switch. Never waits, except for that thread's
 * end. Returns 0, -EINVAL (a time below 0), -ENOMEM, -EAGAIN (no thread), -EOWNERDEAD in a forked child; on an error all is off.
 */
FL_API FL_MUST_CHECK int fl_loop_debug(fl_loop *l, const fl_loop_debug_config *config);

/*
 * Prints the loop's fibers to `out` as a tree, each under the one that started it, with what it does and its stack: functions by
 * name where the file that they are in was not stripped, else as an offset in it. By the thread of the loop, in a
 * fiber or a callback of its; from another thread: fl_loop_post(). Waits for nothing but the file.
 */
FL_API void fl_loop_dump(fl_loop *l, FILE *out);

FL_END_DECLS

#endif

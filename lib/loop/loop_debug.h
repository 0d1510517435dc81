/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_DEBUG_H
#define FL_LOOP_DEBUG_H

#include <fairlead/loop_debug.h>

/*
 * Called by the loop's thread before and after it polls for events, while loop->debug is not NULL.
 * The time between does not count as a run.
 */
void fl__loop_debug_pause(fl_loop *l);
void fl__loop_debug_resume(fl_loop *l);

/* Switches the reports off, if they are on. In a forked child it waits for nothing. */
void fl__loop_debug_end(fl_loop *l);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_DEBUG_H
#define FL_LOOP_DEBUG_H

#include <fairlead/loop_debug.h>

/*
 * Called before and after the loop polls for events: that time holds up no fiber. By the loop's
 * thread, while loop->debug is not NULL.
 */
void fl__loop_debug_pause(fl_loop *l);
void fl__loop_debug_resume(fl_loop *l);

/* Switches the reports off, if they are on. In a forked child it waits for nothing. */
void fl__loop_debug_end(fl_loop *l);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_DEBUG_H
#define FL_LOOP_DEBUG_H

#include <fairlead/loop.h>

/*
 * By the loop's thread around its poll, while loop->debug is not NULL: that time does not count as
 * a run.
 */
void fl__loop_debug_pause(fl_loop *l);
void fl__loop_debug_resume(fl_loop *l);

/* Switches the reports off, if they are on. In a forked child it waits for nothing. */
void fl__loop_debug_end(fl_loop *l);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_DEBUG_H
#define FL_LOOP_DEBUG_H

#include <fairlead/loop_debug.h>

/* Before and after the loop waits for events: it keeps nobody waiting meanwhile. By its thread, while loop->debug is not NULL. */
void fl__loop_debug_pause(fl_loop *l);
void fl__loop_debug_resume(fl_loop *l);

/* Ends it, if it is on. In a forked child it waits for nothing. */
void fl__loop_debug_end(fl_loop *l);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_DEBUG_H
#define FL_LOOP_DEBUG_H

#include <fairlead/loop.h>

/* Around the loop's poll, while loop->debug is not NULL: that time is no run. */
void fl__loop_debug_pause(fl_loop *l);
void fl__loop_debug_resume(fl_loop *l);

/* In a forked child it waits for nothing. */
void fl__loop_debug_end(fl_loop *l);

#endif

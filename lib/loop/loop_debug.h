/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/hooks.h"
#include "loop.h"

/*
 * Called before and after the loop's poll, which does not count as a run. `runs` is false before
 * the poll.
 */
void fl__loop_debug_switch(fl_loop *l, bool runs);
static inline void fl__loop_debug_note(fl_loop *l, bool runs)
{
	fl__hook_note(FL__TRACE_POLL, l, !runs);
	if (fl__unlikely(l->debug != NULL))
		fl__loop_debug_switch(l, runs);
}

void fl__loop_debug_end(fl_loop *l);

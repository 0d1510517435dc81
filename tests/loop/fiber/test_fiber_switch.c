/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/base/atomic.h"
#ifndef FL__TSAN
#include "fl_fiber_switch.h"

#ifndef FL__SWITCH_UCONTEXT
void fl__switch_entry(void);

/* A stack walk ends at the entry: it has no caller. */
static bool last_frame_is_in(uintptr_t from, size_t size)
{
	uintptr_t last = (uintptr_t)frames[frame_count - 1];
	return last > from && last <= from + size;
}

FL_TEST(switch_backtrace_ends_at_the_entry)
{
	take_backtrace();
	FL_IN_RANGE(frame_count, 2, 8);
	assert_true(last_frame_is_in((uintptr_t)fl__switch_entry, 32));
}
#endif
#endif

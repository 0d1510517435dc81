/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch of machines for which there is no own code, built beside the library's.
 */
#include "core/base/atomic.h"
#if !defined FL__TSAN && defined __GLIBC__ /* musl has no ucontext */
#ifndef FL__SWITCH_UCONTEXT
#define FL__SWITCH_UCONTEXT 1
#endif
#define fl__switch_init ucontext_switch_init /* the library has them */
#define fl__switch_prepare ucontext_switch_prepare
#include "fl_fiber_switch.h"
#include "loop/fiber/switch.c" /* NOLINT(bugprone-suspicious-include) */

FL_TEST(switch_backtrace_ends)
{
	if (backtrace(frames, FRAMES) < 2)
		FL_SKIP("no unwind information on this machine");
	take_backtrace();
	FL_IN_RANGE(frame_count, 2, 8);
}
#endif

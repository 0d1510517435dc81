/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a mutex is held: it has no owner, so that free is all that can be seen for nothing; who holds it the debugging knows. Apart
 * from mutex.c, so that it costs nobody who does not ask.
 */
#include "../base/panic.h"
#include "../debug/debug.h"
#include <fairlead/mutex.h>

void fl_mutex_assert_held(const fl_mutex *m)
{
	if (!fl_mutex_is_locked(m))
		fl__panic("fl_mutex_assert_held", m, "not locked");
	fl__debug_assert_held(m, "fl_mutex_assert_held");
}

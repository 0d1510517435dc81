/* SPDX-License-Identifier: BSD-2-Clause */
/* Asserts that a mutex is held, as debugging knows. Apart, so that only callers pay for it. */
#include "../base/panic.h"
#include "../hooks.h"
#include <fairlead/mutex.h>

void fl_mutex_assert_held(const fl_mutex *m)
{
	if (!fl_mutex_is_locked(m))
		fl__panic("fl_mutex_assert_held", m, "not locked");
	fl__hook_assert_held(m, "fl_mutex_assert_held");
}

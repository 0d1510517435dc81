/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fl_mutex_assert_held() asks debugging whether the caller holds the mutex. This is a file of its
 * own, so that only programs that call the function link it.
 */
#include "../base/panic.h"
#include "../hooks.h"
#include <fairlead/mutex.h>

void fl_mutex_assert_held(const fl_mutex *m)
{
	if (!fl_mutex_is_locked(m))
		fl__panic("fl_mutex_assert_held", m, "not locked");
	fl__hook_assert_held(m, "fl_mutex_assert_held");
}

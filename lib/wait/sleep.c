/* SPDX-License-Identifier: BSD-2-Clause */
#include "../base/sys.h"
#include "lot.h"
#include <errno.h>
#include <fairlead/time.h>

int fl_sleep_until(int64_t deadline, fl_cancel *cancel)
{
	if (deadline != FL_FOREVER && deadline <= fl__sys.now())
		return 0; /* it does not wait, so nothing can cancel it */
	struct fl__wait wait;
	fl__wait_begin(&wait);
	int rc = fl__wait_sleep(&wait, deadline, cancel); /* in no line: only the time or the token ends it */
	return rc == -ETIMEDOUT ? 0 : rc;
}

int fl_sleep(int64_t ns)
{
	return fl_sleep_until(fl_after(ns), NULL);
}

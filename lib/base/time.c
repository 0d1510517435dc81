/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys.h"
#include <fairlead/time.h>

int64_t fl_now(void)
{
	return fl__sys.now();
}

int64_t fl_after(int64_t ns)
{
	int64_t at;
	/* The clock is not negative, so only a sum that is too large overflows. */
	if (__builtin_add_overflow(fl__sys.now(), ns, &at))
		return FL_FOREVER;
	return at;
}

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
	if (__builtin_add_overflow(fl__sys.now(), ns, &at))
		return FL_FOREVER; /* the clock is not negative: only a sum that is too large overflows */
	return at;
}

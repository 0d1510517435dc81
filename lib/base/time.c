/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys.h"
#include <fairlead/time.h>

int64_t fl_now(void)
{
	return fl__sys.now();
}

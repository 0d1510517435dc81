/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fixed versions of the wrong algorithms in laboratory/planted. The laboratory reports no
 * failure of them.
 */
#define FIXED
/* NOLINTBEGIN(bugprone-suspicious-include): each file is compiled twice, as it is and fixed */
#include "planted/aba.c"
#include "planted/crash.c"
#include "planted/in_flight.c"
#include "planted/lin.c"
#include "planted/memory.c"
#include "planted/stuck.c"
#include "planted/wakeups.c"
#include "planted/weak.c"
/* NOLINTEND(bugprone-suspicious-include) */

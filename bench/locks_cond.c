/* SPDX-License-Identifier: BSD-2-Clause */
/* Conditions in C (conds.h). */
#include "conds.h"

#include <fairlead/cond.h>

static inline void fairlead_wait(fl_cond *c, fl_mutex *m)
{
	if (fl_cond_wait(c, m))
		bench_fail("fl_cond_wait");
}

MONITOR(fairlead, fl_mutex, fl_cond, fl_mutex_init(m), fl_cond_init(c), fl_mutex_lock(m), fl_mutex_unlock(m),
        fairlead_wait(c, m), fl_cond_signal(c), fl_cond_broadcast(c))

COND_BENCH(fairlead)
COND_BENCH(pthread)
COND_BENCH(nsync)
COND_BENCH(glib)

static const bench_row rows[] = {
    COND_ROWS(fairlead),
    COND_ROWS(pthread),
    COND_ROWS(nsync),
    COND_ROWS(glib),
};
BENCH_ROWS(rows)

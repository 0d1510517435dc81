/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures the barriers of C (barriers.h). */
#include "barriers.h"

#include <fairlead/barrier.h>
#include <pthread.h>

static inline void fairlead_init(fl_barrier *b, int parties)
{
	BENCH_OK(fl_barrier_init(b, (uint32_t)parties));
}

static inline void fairlead_wait(fl_barrier *b)
{
	if (fl_barrier_wait(b) < 0)
		bench_fail("fl_barrier_wait");
}

BARRIER_BENCH(fairlead, fl_barrier, fairlead_init(b, parties), fairlead_wait(b), (void)b)
BARRIER_BENCH(pthread, pthread_barrier_t, pthread_barrier_init(b, NULL, (unsigned)parties), pthread_barrier_wait(b),
              pthread_barrier_destroy(b))

static const bench_row rows[] = {
    BARRIER_ROW("fairlead", fairlead),
    BARRIER_ROW("pthread", pthread),
};
BENCH_ROWS(rows)

/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures events that a wait resets. */
#include "monitor.h"
#include "turns.h"

#include <fairlead/event.h>

static inline void fairlead_init(fl_event *e)
{
	fl_event_init_auto(e);
}

static inline void fairlead_take(fl_event *e)
{
	BENCH_OK(fl_event_wait(e));
}

/* The peers' event, from a mutex and a condition, is a semaphore with at most one permit. */
MONITOR_SEM(pthread_event, pthread, s->permits = 1)
MONITOR_SEM(nsync_event, nsync, s->permits = 1)

TURN_BENCH(fairlead, fl_event, fairlead_init, fl_event_set, fairlead_take)
TURN_BENCH(pthread, pthread_event, pthread_event_init, pthread_event_release, pthread_event_acquire)
TURN_BENCH(nsync, nsync_event, nsync_event_init, nsync_event_release, nsync_event_acquire)

static const bench_row rows[] = {
    TURN_ROWS("locks/event_pingpong", "fairlead", fairlead),
    TURN_ROWS("locks/event_pingpong", "pthread", pthread),
    TURN_ROWS("locks/event_pingpong", "nsync", nsync),
};
BENCH_ROWS(rows)

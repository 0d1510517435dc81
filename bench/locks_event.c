/* SPDX-License-Identifier: BSD-2-Clause */
/* Events that a wait resets, in C (events.h). */
#include "events.h"

#include <fairlead/event.h>

static inline void fairlead_init(fl_event *e)
{
	fl_event_init_auto(e);
}

static inline void fairlead_take(fl_event *e)
{
	if (fl_event_wait(e))
		bench_fail("fl_event_wait");
}

MONITOR_EVENT(pthread)
MONITOR_EVENT(nsync)
MONITOR_EVENT(glib)

TURN_BENCH(fairlead, fl_event, fairlead_init, fl_event_set, fairlead_take)
TURN_BENCH(pthread, pthread_event, pthread_event_init, pthread_event_set, pthread_event_take)
TURN_BENCH(nsync, nsync_event, nsync_event_init, nsync_event_set, nsync_event_take)
TURN_BENCH(glib, glib_event, glib_event_init, glib_event_set, glib_event_take)

static const bench_row rows[] = {
    TURN_ROWS("locks/event_pingpong", "fairlead", fairlead),
    TURN_ROWS("locks/event_pingpong", "pthread", pthread),
    TURN_ROWS("locks/event_pingpong", "nsync", nsync),
    TURN_ROWS("locks/event_pingpong", "glib", glib),
};
BENCH_ROWS(rows)

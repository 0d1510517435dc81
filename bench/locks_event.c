/* SPDX-License-Identifier: BSD-2-Clause */
/* Events that a wait resets. */
#include "monitor.h"
#include "turns.h"

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

/*
 * An event of mutex and condition (monitor.h): a wait resets it, and a set wakes one,
 * if a thread waits.
 */
#define MONITOR_EVENT(mon)                                                                                             \
	typedef struct mon##_event {                                                                                   \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond cond;                                                                                 \
		bool is_set;                                                                                           \
		unsigned waiters;                                                                                      \
	} mon##_event;                                                                                                 \
	static inline void mon##_event_init(mon##_event *e)                                                            \
	{                                                                                                              \
		mon_##mon##_mutex_init(&e->mutex);                                                                     \
		mon_##mon##_cond_init(&e->cond);                                                                       \
	}                                                                                                              \
	static inline void mon##_event_set(mon##_event *e)                                                             \
	{                                                                                                              \
		mon_##mon##_lock(&e->mutex);                                                                           \
		e->is_set = true;                                                                                      \
		bool wake = e->waiters > 0;                                                                            \
		e->waiters -= wake;                                                                                    \
		mon_##mon##_unlock(&e->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&e->cond);                                                                  \
	}                                                                                                              \
	static inline void mon##_event_take(mon##_event *e)                                                            \
	{                                                                                                              \
		mon_##mon##_lock(&e->mutex);                                                                           \
		while (!e->is_set) {                                                                                   \
			e->waiters++;                                                                                  \
			mon_##mon##_wait(&e->cond, &e->mutex);                                                         \
		}                                                                                                      \
		e->is_set = false;                                                                                     \
		mon_##mon##_unlock(&e->mutex);                                                                         \
	}

MONITOR_EVENT(pthread)
MONITOR_EVENT(nsync)

TURN_BENCH(fairlead, fl_event, fairlead_init, fl_event_set, fairlead_take)
TURN_BENCH(pthread, pthread_event, pthread_event_init, pthread_event_set, pthread_event_take)
TURN_BENCH(nsync, nsync_event, nsync_event_init, nsync_event_set, nsync_event_take)

static const bench_row rows[] = {
    TURN_ROWS("locks/event_pingpong", "fairlead", fairlead),
    TURN_ROWS("locks/event_pingpong", "pthread", pthread),
    TURN_ROWS("locks/event_pingpong", "nsync", nsync),
};
BENCH_ROWS(rows)

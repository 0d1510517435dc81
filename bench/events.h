/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include "monitor.h"
#include "turns.h"

/*
 * An event of mutex and condition (monitor.h), in C and C++: a wait resets it, and a set wakes one,
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

#endif

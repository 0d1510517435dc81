/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CLOCK_H
#define STRESS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * Sets of threads, vector clocks, and views. A view says what a thread, or the message of a store,
 * knows of the events of all threads.
 */

enum { LAB_THREADS = 128 };

/* A set of threads, with a bit for each. */
typedef unsigned __int128 lab_set;

static inline lab_set lab_bit(unsigned thread)
{
	return (lab_set)1 << thread;
}

static inline bool lab_in(lab_set set, unsigned thread)
{
	return (set >> thread & 1) != 0;
}

/* Returns the lowest thread of a set that is not empty. */
static inline unsigned lab_lowest(lab_set set)
{
	return (uint64_t)set ? (unsigned)__builtin_ctzll((uint64_t)set)
	                     : 64 + (unsigned)__builtin_ctzll((uint64_t)(set >> 64));
}

static inline unsigned lab_count(lab_set set)
{
	return (unsigned)(__builtin_popcountll((uint64_t)set) + __builtin_popcountll((uint64_t)(set >> 64)));
}

/* A vector clock says for each thread how many of its steps are known. Thread 0 is main. */
struct lab_clock {
	uint32_t at[LAB_THREADS];
};

/*
 * What a thread knows, or what the message of a store passes on to a reader that acquires. For each
 * thread, a view has four clocks. A clock of n stands for the first n events of that thread. The
 * head of memory.c explains happens-before, sb, rf, mo and psc.
 *
 *   hb       the events that happen before
 *   seen     the events that limit which stores a load may still read: those of `hb`, and those
 *            that SC fences add. An SC fence adds all that happens before earlier SC fences; this
 *            orders reads, but is not happens-before (psc)
 *   order    the events that psc puts before the next SC access
 *   before   the events from which a path of sb, rf, mo and psc leads here, if the path is neither
 *            in happens-before nor in psc
 *   fence    the step of the latest SC fence that happens before. A load after that fence reads no
 *            store that is older than an SC store which was executed before the fence
 *
 * `order` and `before` serve to find out whether a modification order was missed; memory.c has the
 * argument. Only the first `width` elements are valid. The others count as 0 and are not
 * initialised, so that copying a view costs no more than the number of threads requires.
 */
struct lab_view {
	uint32_t fence, width;
	struct lab_known {
		uint32_t hb, seen, order, before;
	} at[LAB_THREADS];
};

/* Makes the first `width` elements valid. */
static inline void lab_view_widen(struct lab_view *view, unsigned width)
{
	for (; view->width < width; view->width++)
		view->at[view->width] = (struct lab_known){0};
}

static inline void lab_view_clear(struct lab_view *view)
{
	view->fence = view->width = 0;
}

static inline void lab_view_copy(struct lab_view *to, const struct lab_view *from)
{
	const unsigned width = from->width;
	to->fence = from->fence;
	to->width = width;
	for (unsigned i = 0; i < width; i++)
		to->at[i] = from->at[i];
}

static inline void lab_raise(uint32_t *to, uint32_t from)
{
	if (*to < from)
		*to = from;
}

/* Returns the number of the thread's last event from which any path leads here. */
static inline uint32_t lab_known_most(const struct lab_known *known)
{
	uint32_t most = known->hb;
	lab_raise(&most, known->seen);
	lab_raise(&most, known->order);
	lab_raise(&most, known->before);
	return most;
}

static inline void lab_view_join(struct lab_view *to, const struct lab_view *from)
{
	const unsigned width = from->width;
	lab_view_widen(to, width);
	for (unsigned i = 0; i < width; i++) {
		lab_raise(&to->at[i].hb, from->at[i].hb);
		lab_raise(&to->at[i].seen, from->at[i].seen);
		lab_raise(&to->at[i].order, from->at[i].order);
		lab_raise(&to->at[i].before, from->at[i].before);
	}
	lab_raise(&to->fence, from->fence);
}

#endif

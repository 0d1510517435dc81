/* SPDX-License-Identifier: BSD-2-Clause */
/* What the backends with a lock share (locked.h). */
#include "locked.h"
#include "../base/sys.h"
#include <fairlead/time.h>

/*
 * Waits a while for the lock. Each look at the lock takes its cache line, and each change of the
 * holder takes the items' lines from the CPU that works on them. So the pauses grow fourfold, until
 * the holders have had some hundred sections in a row. After that the waiter yields, too, since the
 * holder may have lost its CPU, and at last naps, since the holder may have a lower priority. The
 * waiter does not switch to another fiber of its thread: a bucket of the wait table may be locked.
 */
static void stay_away(const struct fl__locked *l, unsigned round)
{
	enum { ROUNDS = 4, PAUSES = 16, PAUSES_MOST = 512, YIELDS = 32 };
	if (round < ROUNDS) {
		const unsigned pauses = (unsigned)PAUSES << 2 * round;
		fl__pause(pauses < PAUSES_MOST ? pauses : PAUSES_MOST);
	} else if (round < ROUNDS + YIELDS) {
		(void)fl__sys.give_way(fl__sys.now());
		fl__pause(PAUSES_MOST);
	} else {
		/* Only the timeout ends it. */
		(void)fl__sys.futex_wait(&l->lock, FL__LOCKED_HELD, fl_after(FL_US(50)));
	}
}

void fl__locked_enter_late(struct fl__locked *l)
{
	unsigned round = 0;
	do
		stay_away(l, round++);
	/* relaxed: the CAS acquires */
	while (fl__load_relaxed(&l->lock) != 0 || !fl__locked_try_enter(l));
}

static int look(struct fl__locked *l, int (*may)(const struct fl__locked *l))
{
	fl__locked_enter(l);
	const int rc = may(l);
	fl__locked_leave(l);
	return rc;
}

int fl__locked_can_get(void *state)
{
	return look(state, fl__locked_may_get);
}

int fl__locked_can_put(void *state)
{
	return look(state, fl__locked_may_put);
}

/*
 * relaxed, in the next two functions: a caller that acts on the result takes the lock and looks
 * again
 */

bool fl__locked_seems_get(void *state)
{
	struct fl__locked *l = state;
	return fl__load_relaxed(&l->length) > 0 || fl__load_relaxed(&l->closed);
}

bool fl__locked_seems_put(void *state)
{
	struct fl__locked *l = state;
	return fl__load_relaxed(&l->length) < l->capacity || l->overwrites || fl__load_relaxed(&l->closed);
}

static bool mark(struct fl__locked *l, enum fl__queue_side side)
{
	fl__locked_enter(l);
	const bool marks = (side == FL__GETTERS ? fl__locked_may_get(l) : fl__locked_may_put(l)) == -EAGAIN;
	if (marks)
		l->marked[side] = true;
	fl__locked_leave(l);
	return marks;
}

bool fl__locked_mark_empty(void *state)
{
	return mark(state, FL__GETTERS);
}

bool fl__locked_mark_full(void *state)
{
	return mark(state, FL__PUTTERS);
}

void fl__locked_close(void *state)
{
	struct fl__locked *l = state;
	fl__locked_enter(l);
	fl__locked_set_closed(l);
	fl__locked_leave(l);
}

bool fl__locked_is_closed(void *state)
{
	struct fl__locked *l = state;
	fl__locked_enter(l);
	const bool closed = l->closed;
	fl__locked_leave(l);
	return closed;
}

size_t fl__locked_length(void *state)
{
	struct fl__locked *l = state;
	fl__locked_enter(l);
	const size_t length = l->length;
	fl__locked_leave(l);
	return length;
}

size_t fl__locked_capacity(const void *state)
{
	return ((const struct fl__locked *)state)->capacity;
}

uint64_t fl__locked_puts(void *state)
{
	struct fl__locked *l = state;
	fl__locked_enter(l);
	const uint64_t puts = l->puts;
	fl__locked_leave(l);
	return puts;
}

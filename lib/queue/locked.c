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
static void locked_back_off(const struct locked *l, unsigned round)
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
		(void)fl__sys.futex_wait(&l->lock, LOCKED_HELD, fl_after(FL_US(50)));
	}
}

void locked_acquire_slow(struct locked *l)
{
	unsigned round = 0;
	do
		locked_back_off(l, round++);
	/* relaxed: the CAS acquires */
	while (fl__load_relaxed(&l->lock) != 0 || !locked_try_acquire(l));
}

static int locked_check(struct locked *l, int (*may)(const struct locked *l))
{
	locked_acquire(l);
	const int rc = may(l);
	locked_release(l);
	return rc;
}

int locked_can_get(void *state)
{
	return locked_check(state, locked_may_get);
}

int locked_can_put(void *state)
{
	return locked_check(state, locked_may_put);
}

/*
 * relaxed, in the next two functions: a caller that acts on the result takes the lock and looks
 * again
 */

bool locked_may_be_ready_get(void *state)
{
	struct locked *l = state;
	return fl__load_relaxed(&l->length) > 0 || fl__load_relaxed(&l->closed);
}

bool locked_may_be_ready_put(void *state)
{
	struct locked *l = state;
	return fl__load_relaxed(&l->length) < l->capacity || l->overwrites || fl__load_relaxed(&l->closed);
}

static bool locked_mark(struct locked *l, enum fl__queue_side side)
{
	locked_acquire(l);
	const bool marks = (side == FL__CONSUMERS ? locked_may_get(l) : locked_may_put(l)) == -EAGAIN;
	if (marks)
		l->marked[side] = true;
	locked_release(l);
	return marks;
}

bool locked_mark_empty(void *state)
{
	return locked_mark(state, FL__CONSUMERS);
}

bool locked_mark_full(void *state)
{
	return locked_mark(state, FL__PRODUCERS);
}

void locked_close(void *state)
{
	struct locked *l = state;
	locked_acquire(l);
	locked_set_closed(l);
	locked_release(l);
}

bool locked_is_closed(void *state)
{
	struct locked *l = state;
	locked_acquire(l);
	const bool closed = l->closed;
	locked_release(l);
	return closed;
}

size_t locked_length(void *state)
{
	struct locked *l = state;
	locked_acquire(l);
	const size_t length = l->length;
	locked_release(l);
	return length;
}

size_t locked_capacity(const void *state)
{
	return ((const struct locked *)state)->capacity;
}

uint64_t locked_puts(void *state)
{
	struct locked *l = state;
	locked_acquire(l);
	const uint64_t puts = l->puts;
	locked_release(l);
	return puts;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What is the same for all that hold items under a lock (locked.h). */
#include "locked.h"
#include "../wait/lock.h"

static int look(struct fl__locked *l, int (*may)(const struct fl__locked *l))
{
	fl__lock(&l->lock);
	const int rc = may(l);
	(void)fl__unlock(&l->lock);
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

static bool mark(struct fl__locked *l, enum fl__queue_side side)
{
	fl__lock(&l->lock);
	const bool marks = (side == FL__GETTERS ? fl__locked_may_get(l) : fl__locked_may_put(l)) == -EAGAIN;
	if (marks)
		l->marked[side] = true;
	(void)fl__unlock(&l->lock);
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
	fl__lock(&l->lock);
	l->closed = true;
	(void)fl__unlock(&l->lock);
}

bool fl__locked_is_closed(void *state)
{
	struct fl__locked *l = state;
	fl__lock(&l->lock);
	const bool closed = l->closed;
	(void)fl__unlock(&l->lock);
	return closed;
}

size_t fl__locked_length(void *state)
{
	struct fl__locked *l = state;
	fl__lock(&l->lock);
	const size_t length = l->length;
	(void)fl__unlock(&l->lock);
	return length;
}

size_t fl__locked_capacity(const void *state)
{
	return ((const struct fl__locked *)state)->capacity;
}

uint64_t fl__locked_puts(void *state)
{
	struct fl__locked *l = state;
	fl__lock(&l->lock);
	const uint64_t puts = l->puts;
	(void)fl__unlock(&l->lock);
	return puts;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for the ends of several fibers: see ends.h. */
#include "../base/panic.h"
#include "../base/sys.h"
#include "../future/as_completed.h"
#include "fiber_completion.h"
#include <errno.h>
#include <limits.h>

static bool has_failed(const struct fl_fiber *f)
{
	return !fl_fiber_is_alive(f) &&
	       fl__fiber_is_failure(f, fl__fiber_result(fl__fiber_of_extra((void *)(uintptr_t)f)));
}

static bool is_enough(const struct fl__ends *ends)
{
	return ends->left <= ends->enough || (ends->until_failure && ends->failed);
}

static void wake(struct fl__ends *ends)
{
	if (ends->waiter && is_enough(ends))
		(void)fl__node_wake(ends->waiter); /* a second wake finds the wait decided */
}

static void append(struct fl__ends *ends, struct fl__end *e)
{
	e->next = NULL;
	if (ends->last)
		ends->last->next = e;
	else
		ends->first = e;
	ends->last = e;
}

static struct fl__end *take_first(struct fl__ends *ends)
{
	struct fl__end *e = ends->first;
	if (!e)
		return NULL;
	ends->first = e->next;
	if (!ends->first)
		ends->last = NULL;
	return e;
}

void fl__ends_add(struct fl__ends *ends, struct fl__end *e, struct fl_fiber *f)
{
	e->of = ends;
	e->fiber = f;
	e->others = f->ends;
	e->here = &f->ends;
	if (e->others)
		e->others->here = &e->others;
	f->ends = e;
	if (fl_fiber_is_alive(f))
		ends->left++;
	else
		append(ends, e);
}

void fl__end_remove(struct fl__end *e)
{
	if (!e->fiber)
		return;
	e->fiber = NULL;
	*e->here = e->others;
	if (e->others)
		e->others->here = e->here;
}

void fl__ends_tell(struct fl_fiber *f)
{
	bool failed = has_failed(f);
	for (struct fl__end *e = f->ends; e; e = e->others) {
		e->of->left--;
		e->of->failed |= failed;
		append(e->of, e);
		wake(e->of);
	}
}

/* The end of a fiber that has ended stays in the waiter's list; try_next() skips it. */
void fl__ends_forget(struct fl_fiber *f)
{
	const bool alive = fl_fiber_is_alive(f);
	while (f->ends) {
		struct fl__end *e = f->ends;
		fl__end_remove(e);
		e->of->left -= alive;
		wake(e->of);
	}
}

int fl__ends_sleep(struct fl__ends *ends, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	struct fl__node node = FL__NODE(&wait);
	fl__wait_begin(&wait);
	ends->waiter = &node;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	ends->waiter = NULL;
	return rc;
}

/* fl_fibers_wait(). */

/*
 * Whether the caller can wait for all of `fibers`: it is a fiber of their loop, and not among them.
 */
static bool can_wait(fl_fiber *const *fibers, size_t n)
{
	const struct fl_fiber *self = fl_fiber_current();
	for (size_t i = 0; self && i < n; i++)
		if (fibers[i] == self || fibers[i]->loop != self->loop)
			return false;
	return self != NULL;
}

/* Waits until enough of the fibers have ended. On entry ends->left of them have not. */
static int wait_for(struct fl__ends *ends, fl_fiber *const *fibers, size_t n, int64_t deadline, fl_cancel_token *cancel)
{
	size_t used = 0;
	int rc = 0;
	struct fl__end *each = fl__alloc(ends->left, sizeof *each);
	if (!each)
		return -ENOMEM;
	ends->left = 0;
	for (size_t i = 0; i < n; i++)
		if (fl_fiber_is_alive(fibers[i]))
			fl__ends_add(ends, &each[used++], fibers[i]);
	while (rc == 0 && !is_enough(ends))
		rc = fl__ends_sleep(ends, deadline, cancel);
	while (used > 0)
		fl__end_remove(&each[--used]);
	fl__free(each);
	return rc;
}

int fl_fibers_wait_until(fl_fiber *const *fibers, size_t n, fl_wait_mode what, int64_t deadline,
                         fl_cancel_token *cancel)
{
	struct fl__ends ends = {.until_failure = what == FL_FIRST_ERROR};
	if (n > INT_MAX || (unsigned)what > FL_FIRST_ERROR)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		ends.left += fl_fiber_is_alive(fibers[i]);
		ends.failed |= has_failed(fibers[i]);
	}
	if (what == FL_FIRST_ENDED && n > 0)
		ends.enough = n - 1;
	if (!is_enough(&ends)) {
		int rc = can_wait(fibers, n) ? wait_for(&ends, fibers, n, deadline, cancel) : -EDEADLK;
		if (rc != 0)
			return rc;
	}
	return (int)(n - ends.left);
}

/* fl_as_completed: the fibers one by one, in the order of their ends. */

struct fibers {
	fl_as_completed base;
	struct fl__ends ends;
	fl_loop *loop;
	size_t n;
	struct fl__end each[];
};

static struct fibers *fibers_of(fl_as_completed *c)
{
	return (struct fibers *)(void *)c; /* base is its first member */
}

static int try_next(fl_as_completed *completed, size_t *index)
{
	struct fibers *c = fibers_of(completed);
	struct fl__end *e;
	while ((e = take_first(&c->ends)) != NULL) {
		if (!e->fiber)
			continue;
		fl__end_remove(e);
		*index = (size_t)(e - c->each);
		return 0;
	}
	return c->ends.left > 0 ? -EAGAIN : -ENODATA;
}

static int next_until(fl_as_completed *completed, size_t *index, int64_t deadline, fl_cancel_token *cancel)
{
	struct fibers *c = fibers_of(completed);
	const struct fl_fiber *self = fl_fiber_current();
	int rc = try_next(completed, index);
	if (rc == -EAGAIN && !(self && self->loop == c->loop))
		return -EDEADLK;
	while (rc == -EAGAIN) {
		if (c->ends.waiter)
			fl__panic("fl_as_completed_next", c, "somebody waits for it already");
		rc = fl__ends_sleep(&c->ends, deadline, cancel);
		if (rc == 0)
			rc = try_next(completed, index);
	}
	return rc;
}

static void free_fibers(fl_as_completed *completed)
{
	struct fibers *c = fibers_of(completed);
	if (c->ends.waiter)
		fl__panic("fl_as_completed_free", c, "somebody waits for it");
	for (size_t i = 0; i < c->n; i++)
		fl__end_remove(&c->each[i]);
	fl__free(c);
}

static const struct fl__as_completed_ops ops = {try_next, next_until, free_fibers};

int fl_fibers_as_completed_create(fl_as_completed **made, fl_fiber *const *fibers, size_t n)
{
	const struct fl_fiber *self = fl_fiber_current();
	for (size_t i = 0; i < n; i++)
		if (fibers[i] == self)
			return -EDEADLK;
	if (n > (SIZE_MAX - sizeof(struct fibers)) / sizeof(struct fl__end))
		return -ENOMEM;
	struct fibers *c = fl__alloc(1, sizeof *c + n * sizeof c->each[0]);
	if (!c)
		return -ENOMEM;
	c->base.ops = &ops;
	c->n = n;
	c->loop = n > 0 ? fibers[0]->loop : NULL;
	c->ends.enough = n;
	for (size_t i = 0; i < n; i++)
		fl__ends_add(&c->ends, &c->each[i], fibers[i]);
	*made = &c->base;
	return 0;
}

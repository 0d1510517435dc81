/* SPDX-License-Identifier: BSD-2-Clause */
#include "fiber_completion.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/future/as_completed.h"
#include <errno.h>
#include <limits.h>

static bool completion_has_failed(const struct fl_fiber *f)
{
	return !fl_fiber_is_alive(f) && fl__fiber_is_failure(f, f->in.result);
}

static bool completion_is_enough(const struct fl__completion_list *list)
{
	return list->left <= list->enough || (list->until_failure && list->failed);
}

static void completion_wake(struct fl__completion_list *list)
{
	if (completion_is_enough(list))
		fl__loop_wake(list->waiter);
}

static void completion_append(struct fl__completion_list *list, struct fl__fiber_completion *e)
{
	FL__APPEND(list->first, list->last, e, next_ended);
}

static struct fl__fiber_completion *completion_take_first(struct fl__completion_list *list)
{
	struct fl__fiber_completion *e = list->first;
	if (e)
		list->first = e->next_ended;
	return e;
}

/* If `f` has ended, appends `e` at once. */
static void completion_add(struct fl__completion_list *list, struct fl__fiber_completion *e, struct fl_fiber *f)
{
	e->of = list;
	e->fiber = f;
	FL__LIST_ADD(&f->completions, e);
	if (fl_fiber_is_alive(f))
		list->left++;
	else
		completion_append(list, e);
}

static void completion_remove(struct fl__fiber_completion *e)
{
	if (!e->fiber)
		return;
	e->fiber = NULL;
	FL__LIST_REMOVE(e);
}

void fl__completions_publish(struct fl_fiber *f)
{
	bool failed = completion_has_failed(f);
	FL__EACH (struct fl__fiber_completion, e, f->completions) {
		e->of->left--;
		e->of->failed |= failed;
		completion_append(e->of, e);
		completion_wake(e->of);
	}
}

/* completion_try_next() skips the completion. */
void fl__completions_forget(struct fl_fiber *f)
{
	const bool alive = fl_fiber_is_alive(f);
	while (f->completions) {
		struct fl__fiber_completion *e = f->completions;
		completion_remove(e);
		e->of->left -= alive;
		completion_wake(e->of);
	}
}

/* 0: woken, and the caller checks again; -ETIMEDOUT, -ECANCELED. */
static int completion_sleep(struct fl__completion_list *list, int64_t deadline, fl_cancel_token *cancel)
{
	return fl__loop_await(&list->waiter, FL__DEBUG_FIBERS, list, deadline, cancel);
}

/* fl_fibers_wait(). */

/* The caller is a fiber of that loop, and not among `fibers`. */
static bool completion_can_wait(fl_fiber *const *fibers, size_t n)
{
	const struct fl_fiber *self = fl_fiber_current();
	for (size_t i = 0; self && i < n; i++)
		if (fibers[i] == self || fibers[i]->loop != self->loop)
			return false;
	return self != NULL;
}

/* On entry list->left fibers have not ended. */
static int completion_wait(struct fl__completion_list *list, fl_fiber *const *fibers, size_t n, int64_t deadline,
                           fl_cancel_token *cancel)
{
	size_t used = 0;
	int rc = 0;
	const fl_allocator *allocator = fibers[0]->loop->allocator;
	struct fl__fiber_completion *each = fl__alloc_from(allocator, list->left, sizeof *each);
	if (!each)
		return -ENOMEM;
	list->left = 0;
	for (size_t i = 0; i < n; i++)
		if (fl_fiber_is_alive(fibers[i]))
			completion_add(list, &each[used++], fibers[i]);
	while (rc == 0 && !completion_is_enough(list))
		rc = completion_sleep(list, deadline, cancel);
	while (used > 0)
		completion_remove(&each[--used]);
	fl__free_to(allocator, each);
	return rc;
}

int fl_fibers_wait_until(fl_fiber *const *fibers, size_t n, fl_wait_mode what, int64_t deadline,
                         fl_cancel_token *cancel)
{
	struct fl__completion_list list = {.until_failure = what == FL_FIRST_ERROR};
	if (n > INT_MAX || (unsigned)what > FL_FIRST_ERROR)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		list.left += fl_fiber_is_alive(fibers[i]);
		list.failed |= completion_has_failed(fibers[i]);
	}
	if (what == FL_FIRST_ENDED && n > 0)
		list.enough = n - 1;
	if (!completion_is_enough(&list)) {
		int rc =
		    completion_can_wait(fibers, n) ? completion_wait(&list, fibers, n, deadline, cancel) : -EDEADLK;
		if (rc != 0)
			return rc;
	}
	return (int)(n - list.left);
}

struct fibers_as_completed {
	fl_as_completed base;
	struct fl__completion_list list;
	fl_loop *loop;
	const fl_allocator *allocator;
	size_t n;
	struct fl__fiber_completion each[];
};

static struct fibers_as_completed *completion_fibers_of(fl_as_completed *c)
{
	return (struct fibers_as_completed *)(void *)c; /* base is its first member */
}

static int completion_try_next(fl_as_completed *completed, size_t *index)
{
	struct fibers_as_completed *c = completion_fibers_of(completed);
	struct fl__fiber_completion *e;
	while ((e = completion_take_first(&c->list)) != NULL) {
		if (!e->fiber)
			continue;
		completion_remove(e);
		*index = (size_t)(e - c->each);
		return 0;
	}
	return c->list.left > 0 ? -EAGAIN : -ENODATA;
}

static int completion_next_until(fl_as_completed *completed, size_t *index, int64_t deadline, fl_cancel_token *cancel)
{
	struct fibers_as_completed *c = completion_fibers_of(completed);
	const struct fl_fiber *self = fl_fiber_current();
	int rc = completion_try_next(completed, index);
	if (rc == -EAGAIN && !(self && self->loop == c->loop))
		return -EDEADLK;
	while (rc == -EAGAIN) {
		if (c->list.waiter)
			fl__panic("fl_as_completed_next", c, "another fiber waits for it");
		rc = completion_sleep(&c->list, deadline, cancel);
		if (rc == 0)
			rc = completion_try_next(completed, index);
	}
	return rc;
}

static void completion_free(fl_as_completed *completed)
{
	struct fibers_as_completed *c = completion_fibers_of(completed);
	if (c->list.waiter)
		fl__panic("fl_as_completed_free", c, FL__IN_USE("a fiber"));
	for (size_t i = 0; i < c->n; i++)
		completion_remove(&c->each[i]);
	fl__free_to(c->allocator, c);
}

static const struct fl__as_completed_ops completion_ops = {completion_try_next, completion_next_until, completion_free};

int fl_fibers_as_completed_create(fl_as_completed **made, fl_fiber *const *fibers, size_t n)
{
	const struct fl_fiber *self = fl_fiber_current();
	for (size_t i = 0; i < n; i++)
		if (fibers[i] == self)
			return -EDEADLK;
	if (n > (SIZE_MAX - sizeof(struct fibers_as_completed)) / sizeof(struct fl__fiber_completion))
		return -ENOMEM;
	const fl_allocator *allocator = n > 0 ? fibers[0]->loop->allocator : NULL;
	struct fibers_as_completed *c = fl__alloc_from(allocator, 1, sizeof *c + n * sizeof c->each[0]);
	if (!c)
		return -ENOMEM;
	c->allocator = allocator;
	c->base.ops = &completion_ops;
	c->n = n;
	c->loop = n > 0 ? fibers[0]->loop : NULL;
	c->list.enough = n;
	for (size_t i = 0; i < n; i++)
		/* the newest completion of a duplicate is of this list */
		if (!fibers[i]->completions || fibers[i]->completions->of != &c->list)
			completion_add(&c->list, &c->each[i], fibers[i]);
	*made = &c->base;
	return 0;
}

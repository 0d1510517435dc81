/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_COMPLETED_H
#define FL_COMPLETED_H

/*
 * The cases of fl_as_completed, for fibers and for futures. For one source file each: everything
 * here is static.
 *
 *     FL_TEST(futures_completed_of_many) { completed_of_many(&of_futures); }
 */
#include "fl_test.h"

#define COMPLETED_FN __attribute__((unused)) static

/* Things that end, by their numbers. */
typedef struct completed_kind {
	void (*begin)(size_t n); /* makes them; none has ended */
	void (*end)(size_t i);   /* this one ends before the call returns */
	/* Creates an iteration over n things: which[0], which[1], ...; NULL: 0, 1, ... */
	int (*create)(fl_as_completed **c, const size_t *which, size_t n);
	void (*take)(size_t i); /* the iteration has returned this one; NULL: nothing */
	void (*finish)(void);   /* ends and frees them */
} completed_kind;

/* The next index is `expected`, of the thing with that number. */
COMPLETED_FN void next_is(const completed_kind *k, fl_as_completed *c, size_t expected, size_t thing)
{
	size_t index = 77;
	FL_OK(fl_as_completed_next(c, &index));
	FL_RC(index, expected);
	if (k->take)
		k->take(thing);
}

COMPLETED_FN void no_more(fl_as_completed *c)
{
	size_t index;
	FL_RC(fl_as_completed_try_next(c, &index), -ENODATA);
	FL_RC(fl_as_completed_next(c, &index), -ENODATA);
	FL_RC(fl_as_completed_next_until(c, &index, 0, NULL), -ENODATA);
}

COMPLETED_FN void completed_in_order(const completed_kind *k)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t index;
	k->begin(5);
	k->end(3);
	k->end(1);
	FL_OK(k->create(&c, NULL, 5));
	k->end(4);
	k->end(0);
	next_is(k, c, 1, 1); /* those that had ended, in the order of the array */
	next_is(k, c, 3, 3);
	next_is(k, c, 4, 4); /* the others, in that of their ends */
	next_is(k, c, 0, 0);
	FL_RC(fl_as_completed_try_next(c, &index), -EAGAIN);
	k->end(2);
	FL_OK(fl_as_completed_try_next(c, &index));
	FL_RC(index, 2);
	no_more(c);
	k->finish();
}

COMPLETED_FN void completed_of_none(const completed_kind *k)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	FL_OK(k->create(&c, NULL, 0));
	no_more(c);
	fl_as_completed_free(NULL);
}

/* Some had ended before. */
COMPLETED_FN void completed_with_duplicates(const completed_kind *k)
{
	static const size_t which[] = {0, 1, 0, 1, 2, 0};
	FL_SCOPED(fl_as_completed) *c = NULL;
	k->begin(3);
	k->end(1);
	FL_OK(k->create(&c, which, 6));
	k->end(2);
	k->end(0);
	next_is(k, c, 1, 1);
	next_is(k, c, 4, 2);
	next_is(k, c, 0, 0);
	no_more(c);
	k->finish();
}

/* An end that has come is returned whatever ends the wait. */
COMPLETED_FN void completed_in_time(const completed_kind *k)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	const int64_t deadline = fl_after(FL_MS(3));
	size_t index = 77;
	k->begin(3);
	FL_OK(k->create(&c, NULL, 3));
	FL_RC(fl_as_completed_next_until(c, &index, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_as_completed_next_until(c, &index, deadline, NULL), -ETIMEDOUT);
	FL_CHECK(fl_now() >= deadline && index == 77);
	k->end(2);
	FL_OK(fl_as_completed_next_until(c, &index, deadline, NULL));
	FL_RC(index, 2);
	FL_RC(fl_as_completed_next_until(c, &index, deadline, NULL), -ETIMEDOUT);
	FL_RC(fl_as_completed_next_until(c, &index, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_as_completed_next(c, &index), -ECANCELED);
		k->end(1);
		next_is(k, c, 1, 1);
	}
	k->finish();
}

/* Counts steps, not time: each is returned once, in the given order. */
COMPLETED_FN void completed_of_many(const completed_kind *k, size_t n)
{
	const size_t stride = 7919 % n;
	FL_SCOPED(fl_as_completed) *c = NULL;
	k->begin(n);
	FL_OK(k->create(&c, NULL, n));
	for (size_t i = 0, at = 0; i < n; i++) {
		at = (at + stride) % n;
		k->end(at);
		next_is(k, c, at, at);
	}
	no_more(c);
	k->finish();
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The lazy map over what a generator makes, for every kind of executor. */
#include "conformance.h"

#include "core/exec/map.h"

enum { N = 300 };

/* The results that a case does not check. */
static int ignored;

struct counting {
	int made, given, most; /* most: the most that were ever made and not given */
	int n, end;
};

static int make_number(void *state, void *arg)
{
	struct counting *c = state;
	if (c->made == c->n)
		return c->end;
	*(int *)arg = c->made++;
	if (c->made - c->given > c->most)
		c->most = c->made - c->given;
	return 1;
}

CONFORMANCE_ON(imap_of_a_generator, 2)
{
	for (size_t chunk = 1; chunk <= 4; chunk++)
		for (size_t window = 1; window <= 30; window += 7)
			FL_BOTH (unordered) {
				FL_SCOPED(fl_imap) *it = NULL;
				struct counting c = {.n = N, .end = unordered ? -EIO : 0};
				const fl_imap_config config = {chunk, window,     unordered, make_number,
				                               &c,    FL_FOREVER, NULL};
				int sum = 0, result, rc;
				FL_OK(square_imap(e, NULL, 0, &it, &config));
				while ((rc = square_imap_next(it, NULL, &result)) == 0) {
					sum += result;
					c.given++;
				}
				/* Its error ends it, after the elements before. */
				FL_RC(rc, unordered ? -EIO : -ENODATA);
				FL_RC(square_imap_next(it, NULL, &result), rc);
				assert_int_equal(sum, 8955050);
				assert_int_equal(c.given, N);
				/* Lazy. */
				assert_true(c.most <= (int)(window > chunk ? window : chunk));
			}
}

/* Without end, but not longer than it is asked for. */
CONFORMANCE_ON(imap_of_an_endless_generator, 3)
{
	FL_BOTH (unordered) {
		FL_SCOPED(fl_imap) *it = NULL;
		struct counting c = {.n = -1};
		const fl_imap_config config = {.next = make_number, .state = &c, .unordered = unordered};
		FL_OK(square_imap(e, NULL, 0, &it, &config));
		for (; c.given < 2000; c.given++)
			FL_OK(square_imap_next(it, NULL, &ignored));
		assert_true(c.most <= (int)fl__chunk_window(e, &square, 1));
	}
}

CONFORMANCE_ON(imap_of_what_cannot_be, 2)
{
	fl_imap *it = NULL;
	const int one[1] = {1};
	struct counting c = {.n = 5, .end = -EIO};
	const fl_imap_config config = {.next = make_number, .state = &c};
	FL_RC(fl_imap_create(&it, e, &square, one, 1, &config), -EINVAL);
	FL_RC(fl_imap_create(&it, e, &square, NULL, 1, &config), -EINVAL);
	FL_RC(fl_imap_create(&it, e, &square, one, 0, &config), -EINVAL);
	assert_null(it);
	assert_int_equal(c.made, 0);
	c.n = 0; /* an error of the first call is reported in its place, too */
	FL_OK(square_imap(e, NULL, 0, &it, &config));
	FL_RC(fl_imap_next(it, NULL, &ignored), -EIO);
	fl_imap_free(it);
	c.end = EIO; /* neither 1, 0 nor negative */
	FL_OK(square_imap(e, NULL, 0, &it, &config));
	FL_RC(fl_imap_next(it, NULL, &ignored), -EINVAL);
	fl_imap_free(it);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits for several futures at once. */
#include "../base/sys.h"
#include "watch.h"
#include <errno.h>
#include <fairlead/as_completed.h>
#include <limits.h>

enum { FEW = 8 }; /* up to this number needs no memory */

/*
 * Waits for one future after the other, so that ended futures cost nothing. Before the first wait a
 * worker helps with all futures, since the first may wait for another.
 */
static int wait_for_all(fl_future *const *f, size_t n, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	for (size_t i = 0; i < n && fl__ctx_get()->help; i++)
		if (fl_future_try_wait(f[i]) != 0)
			fl__future_help(f[i], deadline, cancel);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fl_future_wait_until(f[i], deadline, cancel);
	return rc;
}

/* Whether `f` has ended in the awaited way. */
static bool is_it(fl_future *f, fl_wait_mode what)
{
	return what == FL_FIRST_ERROR ? fl__future_has_failed(f) : fl_future_try_wait(f) == 0;
}

/*
 * Whether the awaited end has come, or all futures have ended. If `helps`, also helps with the
 * rest.
 */
static bool is_there(fl_future *const *f, size_t n, fl_wait_mode what, bool helps, int64_t deadline,
                     const fl_cancel_token *cancel)
{
	size_t ended = 0;
	for (size_t i = 0; i < n; i++) {
		if (helps && fl_future_try_wait(f[i]) != 0)
			fl__future_help(f[i], deadline, cancel);
		if (is_it(f[i], what))
			return true;
		ended += fl_future_try_wait(f[i]) == 0;
	}
	return ended == n;
}

static bool one_has_ended(const struct fl__watches *ws)
{
	return ws->first != NULL || ws->left == 0;
}

static bool one_has_failed(const struct fl__watches *ws)
{
	return ws->errors > 0 || ws->left == 0;
}

static int sleep_for_first(fl_future *const *f, size_t n, fl_wait_mode what, struct fl__watch *each, int64_t deadline,
                           fl_cancel_token *cancel)
{
	struct fl__watches ws;
	size_t parents = 0; /* in a forked child: futures that will not end here, not watched */
	fl__watches_init(&ws, fl__ctx_get()->name);
	for (size_t i = 0; i < n; i++) {
		each[i].of = NULL;
		if (fl__future_is_parents(f[i]))
			parents++;
		else
			fl__watch(&ws, &each[i], f[i]);
	}
	int rc = fl__watches_sleep(&ws, what == FL_FIRST_ERROR ? one_has_failed : one_has_ended, deadline, cancel);
	for (size_t i = 0; i < n; i++)
		if (each[i].of)
			fl__unwatch(&each[i]);
	fl__watches_fini(&ws);
	return rc == 0 && parents > 0 && !is_there(f, n, what, false, deadline, cancel) ? -EOWNERDEAD : rc;
}

static int wait_for_first(fl_future *const *f, size_t n, fl_wait_mode what, int64_t deadline, fl_cancel_token *cancel)
{
	if (is_there(f, n, what, false, deadline, cancel) || is_there(f, n, what, true, deadline, cancel))
		return 0;
	struct fl__watch few[FEW], *each = n <= FEW ? few : fl__alloc(n, sizeof *each);
	if (!each)
		return -ENOMEM;
	int rc = sleep_for_first(f, n, what, each, deadline, cancel);
	if (each != few)
		fl__free(each);
	return rc;
}

int fl_futures_wait_until(fl_future *const *f, size_t n, fl_wait_mode what, int64_t deadline, fl_cancel_token *cancel)
{
	if (n > INT_MAX || (unsigned)what > FL_FIRST_ERROR)
		return -EINVAL;
	int rc =
	    what == FL_ALL_ENDED ? wait_for_all(f, n, deadline, cancel) : wait_for_first(f, n, what, deadline, cancel);
	return rc == 0 ? (int)fl_futures_ended(f, n) : rc;
}

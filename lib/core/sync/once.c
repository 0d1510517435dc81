/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The once is a word, and a wait queue in the parking lot (wait/lot.h). The runner is the context
 * that runs the function.
 *
 *   ONCE_    meaning                 set by                         cleared by
 *   DONE     the function succeeded  the runner, as it clears       -
 *                                    RUNNING
 *   RUNNING  a runner runs the       a call: CAS from 0             the runner: CAS, or under the
 *            function                                               queue lock
 *   WAITERS  the wait queue may be   fl__word_arm(), under the      the runner, under the queue
 *            not empty               queue lock, while RUNNING      lock
 *
 * A run linearizes at the CAS or store that clears RUNNING. If the function has failed, all waiters
 * are woken, and the next runner is whichever context sets RUNNING first, one of them or another
 * caller.
 */
#include "../base/atomic.h"
#include "../wait/lot.h"
#include <fairlead/once.h>
#include <pthread.h>

enum { ONCE_DONE = FL_ONCE_DONE_, ONCE_RUNNING = 2, ONCE_WAITERS = 4 };

static const struct fl__word once_not_running = {ONCE_RUNNING, 0, ONCE_WAITERS, .kind = FL__DEBUG_ONCE};

static void once_finish(fl_once *o, uint32_t result)
{
	uint32_t expected = ONCE_RUNNING;
	/* release: pairs with the acquires in fl_once_is_done() and once_begin() */
	if (fl__cas_release(&o->word_, &expected, result))
		return;
	FL__LOT(lot, o);
	fl__lot_take(&lot, FL__ALL, 0);
	/*
	 * release: pairs with the acquires in fl_once_is_done() and once_begin(). The last access.
	 */
	fl__store_release(&o->word_, result);
}

/*
 * Tries to become the runner. Returns
 *
 *   -EINPROGRESS  the caller has become the runner
 *   -EAGAIN       another context is the runner
 *   0             the function has already succeeded
 */
static int once_begin(fl_once *o)
{
	uint32_t seen = 0;
	/* acquire: pairs with the release in once_finish() after a run that failed */
	if (fl__cas_acquire(&o->word_, &seen, ONCE_RUNNING))
		return -EINPROGRESS;
	return fl_once_is_done(o) ? 0 : -EAGAIN;
}

/* Called when `function` ends its thread, which counts as a failure. */
static void once_abandon(void *o)
{
	once_finish(o, 0);
}

/*
 * Calls the function. A fiber gets no cleanup frame, because its thread keeps one list of frames
 * for all its fibers.
 */
static int once_call_function(fl_once *o, int (*function)(void *), void *arg)
{
	int rc;
	if (fl__ctx_get()->ops != &fl__thread_parker)
		return function(arg);
	pthread_cleanup_push(once_abandon, o);
	rc = function(arg);
	pthread_cleanup_pop(0);
	return rc;
}

static int once_run(fl_once *o, int (*function)(void *), void *arg)
{
	int rc = once_call_function(o, function, arg);
	once_finish(o, rc == 0 ? ONCE_DONE : 0);
	return rc;
}

int fl_once_call_until(fl_once *o, int (*function)(void *arg), void *arg, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = fl_once_is_done(o) ? 0 : once_begin(o);
	while (rc == -EAGAIN) {
		rc = fl__word_wait(&o->word_, &once_not_running, deadline, cancel);
		if (rc == 0)
			rc = once_begin(o);
	}
	return rc == -EINPROGRESS ? once_run(o, function, arg) : rc;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks and other primitives: a condition, a deadline, permits, a barrier, and a wait for the first
 * of several objects.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdbool.h>
#include <stdio.h>

static fl_mutex lock = FL_MUTEX_INIT; /* all zero; static, stack or heap */
static fl_cond changed = FL_COND_INIT;
static bool ready;

static int wait_until_ready(void *arg)
{
	(void)arg;
	FL_LOCKED(&lock); /* until the block ends, by whatever way */
	while (!ready) {
		int rc = fl_cond_wait(&changed, &lock);
		if (rc)
			return rc;
	}
	return 0;
}

static int get_ready(void)
{
	fl_thread *waiter;
	int rc = fl_thread_start(&waiter, wait_until_ready, NULL, NULL);
	if (rc)
		return rc;
	{
		FL_LOCKED(&lock);
		ready = true;
		fl_cond_signal(&changed);
	}
	int result;
	rc = fl_thread_join(waiter, &result);
	return rc ? rc : result;
}

/* Each of these would wait for ever, and says so instead. */
static bool deadlines_pass(void)
{
	fl_cancel_token cancel;
	fl_cancel_token_init(&cancel, NULL, fl_after(FL_S(3600)));
	FL_LOCKED(&lock);
	bool timed_out = fl_mutex_lock_until(&lock, fl_after(FL_MS(5)), &cancel) == -ETIMEDOUT;
	fl_cancel_token_request(&cancel);
	bool cancelled = fl_mutex_lock_until(&lock, FL_FOREVER, &cancel) == -ECANCELED;
	fl_cancel_token_destroy(&cancel);

	fl_barrier b = FL_BARRIER_INIT(2);
	bool broke = fl_barrier_wait_until(&b, fl_after(FL_MS(5)), NULL) == -ETIMEDOUT;
	return timed_out && cancelled && broke && fl_barrier_wait(&b) == -EPIPE;
}

int main(void)
{
	int rc = get_ready();
	if (rc)
		return fl_perror(rc, "ready");
	if (!deadlines_pass())
		return fl_perror(-EPROTO, "deadlines");

	fl_sem slots = FL_SEM_INIT(0);
	fl_event stop = FL_EVENT_INIT;
	fl_sem_release_n(&slots, 3);
	/* Takes nothing. */
	int which = FL_WAIT_ANY_UNTIL(fl_after(FL_S(60)), NULL, FL_ON_EVENT(&stop), FL_ON_SEM(&slots));
	if (which != 1 || fl_sem_value(&slots) != 3)
		return fl_perror(which, "which");
	fl_event_set(&stop);
	which = FL_WAIT_ANY(FL_ON_EVENT(&stop), FL_ON_SEM(&slots));
	puts(which == 0 ? "ok" : "the event was missed");
	return 0;
}

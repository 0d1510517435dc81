/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readers-writer lock: downgrades, and waits that give up. Plain fields: only the
 * lock orders them.
 */
#include "../cases.h"
#include "rwlocks.h"

/* A downgrade lets readers in, and no writer. */
struct rw_downgrade {
	fl_rwlock l;
	int data, saw;
	fl_event inside;
};

FL_STRESS_SETUP(rw_downgrade)
{
	of_this_process(&s->l);
	fl_rwlock_write_lock(&s->l);
}

FL_STRESS_ACTOR(rw_downgrade, holder)
{
	s->data = 1;
	fl_rwlock_downgrade(&s->l);
	OK(fl_event_wait(&s->inside)); /* the reader must get in beside it */
	FL_STRESS_CHECK(s->data == 1);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(rw_downgrade, reader)
{
	FL_READ_LOCKED(&s->l);
	s->saw = s->data;
	fl_event_set(&s->inside);
}

FL_STRESS(rw_downgrade, holder, reader)
{
	RW_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->saw == 1, "came in");
}

/*
 * A writer that gives up lets in the readers behind it: the lock is read, so no unlock of a writer
 * would.
 */
struct rw_timeout_lets_readers_in {
	fl_rwlock l;
	int rc;
};

FL_STRESS_SETUP(rw_timeout_lets_readers_in)
{
	of_this_process(&s->l);
	fl_rwlock_read_lock(&s->l);
}

FL_STRESS_ACTOR(rw_timeout_lets_readers_in, writer)
{
	s->rc = fl_rwlock_write_lock_until(&s->l, fl_after(FL_MS(3)), NULL);
	if (s->rc == 0)
		fl_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(rw_timeout_lets_readers_in, reader)
{
	if (!is_awaited(&s->l))
		goto out;
	OK(fl_sleep(FL_MS(2)));
	for (int i = 0; i < 2; i++) { /* the first closes the lock, the second waits */
		fl_rwlock_read_lock(&s->l);
		fl_rwlock_read_unlock(&s->l);
	}
out:
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(rw_timeout_lets_readers_in, writer, reader)
{
	RW_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->rc == 0, "wrote");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "gave up");
}

/* A cancelled lock is not held; a cancelled reader leaves no count behind. */
struct rw_cancel_vs_unlock {
	fl_rwlock l;
	fl_cancel_token stop;
	int count, data;
};

FL_STRESS_SETUP(rw_cancel_vs_unlock)
{
	of_this_process(&s->l);
	fl_rwlock_write_lock(&s->l);
}

FL_STRESS_ACTOR(rw_cancel_vs_unlock, holder)
{
	fl_cancel_token_request(&s->stop);
	s->data = 1;
	fl_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(rw_cancel_vs_unlock, writer)
{
	/*
	 * The second wait has its node where that of the first wait was: it must not be queued
	 * there still.
	 */
	if (fl_rwlock_write_lock_until(&s->l, FL_FOREVER, &s->stop) != 0)
		fl_rwlock_write_lock(&s->l);
	s->count++;
	fl_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(rw_cancel_vs_unlock, reader)
{
	if (fl_rwlock_read_lock_until(&s->l, FL_FOREVER, &s->stop) != 0)
		return;
	FL_STRESS_CHECK(s->data == 1);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(rw_cancel_vs_unlock, holder, writer, reader)
{
	RW_IS_FREE(&s->l);
	FL_FORBIDDEN(s->count != 1, "wrong count");
	FL_ACCEPTABLE(1, "in order");
}

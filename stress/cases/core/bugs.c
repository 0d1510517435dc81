/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios across the primitives. Most of them are named after bugs of other libraries, which
 * tests/bugs.md lists.
 */
#include "../cases.h"
#include <fairlead/latch.h>
#include <fairlead/once.h>
#include <fairlead/sem.h>

/* One primitive of each kind, of which an execution uses one. */
enum { BY_MUTEX, BY_SEM, BY_SEM_IN_HANDLER, BY_EVENT, BY_LATCH, BY_ONCE, BY_TOKEN, WAYS };
struct ways {
	unsigned by;
	fl_mutex m;
	fl_sem sem;
	fl_event event;
	fl_latch latch;
	fl_once once;
	fl_cancel_token token;
	int data;
	bool written; /* guarded by the mutex */
};

static void choose_way(struct ways *w)
{
	w->by = fl_stress_choose(WAYS);
	OK(fl_latch_init(&w->latch, 1));
}

static int write_data(void *arg)
{
	*(int *)arg = 1;
	return 0;
}

static void publish(struct ways *w)
{
	if (w->by == BY_ONCE) {
		OK(fl_once_call(&w->once, write_data, &w->data));
		return;
	}
	w->data = 1;
	switch (w->by) {
	case BY_MUTEX:
		fl_mutex_lock(&w->m);
		w->written = true;
		fl_mutex_unlock(&w->m);
		break;
	case BY_SEM:
		fl_sem_release(&w->sem);
		break;
	case BY_SEM_IN_HANDLER:
		fl_sem_release_in_handler(&w->sem);
		break;
	case BY_EVENT:
		fl_event_set(&w->event);
		break;
	case BY_LATCH:
		fl_latch_count_down(&w->latch, 1);
		break;
	default:
		fl_cancel_token_request(&w->token);
	}
}

/*
 * Returns whether the writer has published. It does not wait, so that only the primitive's word
 * orders memory.
 */
static bool is_published(struct ways *w)
{
	bool written = false;
	switch (w->by) {
	case BY_MUTEX:
		if (fl_mutex_try_lock(&w->m) != 0)
			return false;
		written = w->written;
		fl_mutex_unlock(&w->m);
		return written;
	case BY_SEM:
	case BY_SEM_IN_HANDLER:
		return fl_sem_try_acquire(&w->sem) == 0;
	case BY_EVENT:
		return fl_event_is_set(&w->event);
	case BY_LATCH:
		return fl_latch_count(&w->latch) == 0;
	case BY_ONCE:
		return fl_once_is_done(&w->once);
	default:
		return fl_cancel_token_is_requested(&w->token);
	}
}

/*
 * weak_order (nsync 88fa032, parking_lot #294, #344): a context that sees the publication sees what
 * was written before it. x86 forgives a missing acquire or release; the model does not.
 */
struct weak_order {
	struct ways w;
	int seen;
};

FL_STRESS_SETUP(weak_order)
{
	choose_way(&s->w);
}

FL_STRESS_ACTOR(weak_order, writer)
{
	publish(&s->w);
}

FL_STRESS_ACTOR(weak_order, reader)
{
	if (!is_published(&s->w))
		return;
	s->seen = 1;
	FL_STRESS_CHECK(s->w.data == 1);
}

FL_STRESS(weak_order, writer, reader)
{
	const bool permits = s->w.by == BY_SEM || s->w.by == BY_SEM_IN_HANDLER;
	FL_FORBIDDEN(permits && fl_sem_value(&s->w.sem) != !s->seen, "a permit was lost, or made");
	FL_ACCEPTABLE(s->seen, "published");
	FL_ACCEPTABLE(!s->seen, "too early");
}

/*
 * waiter_flag_dekker (oneTBB #2136, libc++ #109290): the waiter sets its mark and checks the
 * condition, and the waker changes the condition and checks for marks. One of the two must see what
 * the other did. Otherwise a wakeup is lost.
 *
 * sem_destroy: the waiter may free a semaphore, an event or a latch while the waker is still
 * leaving.
 */
struct waiter_flag_dekker {
	struct ways *w;
	bool freed;
};

FL_STRESS_SETUP(waiter_flag_dekker)
{
	s->w = make(sizeof *s->w);
	choose_way(s->w);
	if (s->w->by == BY_MUTEX)
		fl_mutex_lock(&s->w->m);
}

/* Waits for the publication. Returns whether the waiter may free the object. */
static bool wait_for_publication(struct ways *w)
{
	switch (w->by) {
	case BY_MUTEX:
		fl_mutex_lock(&w->m);
		return false;
	case BY_SEM:
	case BY_SEM_IN_HANDLER:
		OK(fl_sem_acquire(&w->sem));
		FL_STRESS_CHECK(!fl__lot_has_waiters_at(&w->sem));
		return true;
	case BY_EVENT:
		OK(fl_event_wait(&w->event));
		FL_STRESS_CHECK(!fl__lot_has_waiters_at(&w->event));
		return true;
	case BY_LATCH:
		OK(fl_latch_wait(&w->latch));
		FL_STRESS_CHECK(!fl__lot_has_waiters_at(&w->latch));
		return true;
	case BY_ONCE:
		OK(fl_once_call(&w->once, write_data, &w->data));
		return false;
	default:
		FL_STRESS_CHECK(fl_sleep_until(FL_FOREVER, &w->token) == -ECANCELED);
		return false;
	}
}

FL_STRESS_ACTOR(waiter_flag_dekker, waiter)
{
	s->freed = wait_for_publication(s->w);
	FL_STRESS_CHECK(s->w->data == 1);
	if (s->freed)
		free(s->w);
}

FL_STRESS_ACTOR(waiter_flag_dekker, waker)
{
	struct ways *w = s->w;
	if (w->by != BY_MUTEX) {
		publish(w);
		return;
	}
	w->data = 1;
	fl_mutex_unlock(&w->m);
}

FL_STRESS(waiter_flag_dekker, waiter, waker)
{
	if (!s->freed)
		free(s->w);
	FL_ACCEPTABLE(1, "woken");
}

/*
 * clock_jump: the clock of the model jumps at each timeout, here by an hour during a short sleep.
 * If a wait returns -ETIMEDOUT, its deadline has passed, and exactly one context has the permit.
 */
struct clock_jump {
	fl_sem sem;
	int rc;
};

FL_STRESS_ACTOR(clock_jump, patient)
{
	fl_time deadline = fl_after(FL_S(3600));
	s->rc = fl_sem_acquire_until(&s->sem, deadline, NULL);
	if (s->rc == -ETIMEDOUT)
		FL_STRESS_CHECK(fl_time_is_past(deadline));
}

FL_STRESS_ACTOR(clock_jump, sleeper)
{
	fl_time deadline = soon();
	OK(fl_sleep_until(deadline, NULL));
	FL_STRESS_CHECK(fl_time_is_past(deadline));
	fl_sem_release(&s->sem);
}

FL_STRESS(clock_jump, patient, sleeper)
{
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->sem) == 0, "got it");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && fl_sem_value(&s->sem) == 1, "timed out, and left it");
}

/*
 * priority_inversion: a thread that computes is between the holder and the waiter. The model lets
 * each of the three threads run for as long as it can, so it would find a thread that spins until
 * another thread runs. tests/core/sync/test_mutex.c tests this with real priorities on one CPU.
 */
struct priority_inversion {
	fl_mutex m;
	atomic_int held, through;
	int count;
};

FL_STRESS_ACTOR(priority_inversion, low)
{
	FL_LOCKED(&s->m);
	SET(&s->held, 1);
	s->count++;
}

FL_STRESS_ACTOR(priority_inversion, middle)
{
	for (unsigned i = fl_stress_ops(4); i > 0 && !LOOK(&s->through); i--)
		fl_stress_relax();
}

FL_STRESS_ACTOR(priority_inversion, high)
{
	while (!LOOK(&s->held))
		fl_stress_relax();
	fl_mutex_lock(&s->m);
	s->count++;
	fl_mutex_unlock(&s->m);
	SET(&s->through, 1);
}

FL_STRESS(priority_inversion, low, middle, high)
{
	FL_ACCEPTABLE(s->count == 2, "all through");
}

/*
 * oversubscribe_64x: there are more threads than CPUs, and they sleep and wake in turn; natively
 * there are as many copies as --oversubscribe says. No waiter is forgotten.
 */
struct oversubscribe_64x {
	fl_mutex m;
	fl_cond changed;
	int here, count;
};

enum { CROWD = 8 };

static void come_and_wait_for_all(struct oversubscribe_64x *s)
{
	FL_LOCKED(&s->m);
	s->count++;
	if (++s->here == CROWD)
		fl_cond_broadcast(&s->changed);
	while (s->here < CROWD)
		OK(fl_cond_wait(&s->changed, &s->m));
	s->count++;
}

#define CROWD_ACTOR(name)                                                                                              \
	FL_STRESS_ACTOR(oversubscribe_64x, name)                                                                       \
	{                                                                                                              \
		come_and_wait_for_all(s);                                                                              \
	}
CROWD_ACTOR(a)
CROWD_ACTOR(b)
CROWD_ACTOR(c)
CROWD_ACTOR(d)
CROWD_ACTOR(e)
CROWD_ACTOR(f)
CROWD_ACTOR(g)
CROWD_ACTOR(h)

FL_STRESS(oversubscribe_64x, a, b, c, d, e, f, g, h)
{
	FL_FORBIDDEN(fl__cond_is_busy(&s->changed) || fl__mutex_is_busy(&s->m), "left in line");
	FL_ACCEPTABLE(s->count == 2 * CROWD, "all came and went");
}

/*
 * fork_while_locked: the holder forks at any moment of two contenders. In the child the word is as
 * it was, but there is neither the wait queue nor the waiter that was awake. A copy of the word
 * plays the child: there the holder unlocks, and threads of the child lock, sleep and are woken.
 */
struct fork_while_locked {
	fl_mutex m, child;
	uint32_t forked;
	int count, child_count;
};

FL_STRESS_ACTOR(fork_while_locked, forker)
{
	fl_mutex_lock(&s->m);
	s->count++;
	fl__store_relaxed(&s->child.word_, fl__load_relaxed(&s->m.word_));
	fl_mutex_unlock(&s->m);
	fl__store_release(&s->forked, 1);
	s->child_count++;
	fl_mutex_unlock(&s->child);
	FL_LOCKED(&s->child);
	s->child_count++;
}

FL_STRESS_ACTOR(fork_while_locked, contender)
{
	FL_LOCKED(&s->m);
	s->count++;
}

FL_STRESS_ACTOR(fork_while_locked, of_child)
{
	while (!fl__load_acquire(&s->forked))
		fl_stress_relax();
	FL_LOCKED(&s->child);
	s->child_count++;
}

FL_STRESS(fork_while_locked, forker, contender, contender, of_child)
{
	FL_FORBIDDEN(fl__mutex_is_busy(&s->m), "the parent's is left locked, or awaited");
	FL_FORBIDDEN(fl__mutex_is_busy(&s->child), "the child's is");
	FL_FORBIDDEN(s->m.word_ != 0, "a mark is left");
	FL_ACCEPTABLE(s->count == 3 && s->child_count == 3, "all through");
}

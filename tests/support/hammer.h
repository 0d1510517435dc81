/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_HAMMER_H
#define FL_HAMMER_H

/*
 * A hammer: threads that use one mutex, recursive mutex, semaphore, condition and event at random,
 * with deadlines and cancels in flight. At the end every count is conserved:
 *
 *   locks       the plain counters under the mutexes equal the threads' counts of their locks
 *   permits     never more out than there are; all are back
 *   tokens      made under the condition's mutex = taken + left
 *   flags       the event's waiters have all returned
 */
#include "fl_queued.h"
#include "fl_test.h"

#include "base/sys.h"

typedef struct hammer hammer;

/* One thread; another thread may find its token in `current` and cancel it, under `guard`. */
typedef struct hammer_thread {
	hammer *all;
	uint64_t random;
	fl_thread thread;
	fl_mutex guard;
	fl_cancel_token *current, token;
	unsigned locks, relocks, made, taken, cancelled, timed_out;
} hammer_thread;

enum { HAMMER_PERMITS = 5, HAMMER_STACK = 64 << 10 };

struct hammer {
	unsigned threads, rounds;
	fl_mutex mutex;
	unsigned locks; /* under mutex, plain */
	fl_rmutex rmutex;
	unsigned relocks; /* under rmutex, plain */
	fl_sem sem;
	uint32_t out; /* permits; atomic */
	fl_mutex tokens_mutex;
	fl_cond tokens_cond;
	unsigned tokens; /* under tokens_mutex, plain */
	fl_event event, start;
	hammer_thread *thread;
};

static uint32_t hammer_random(hammer_thread *t, uint32_t below)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(t->random >> 33) % below;
}

/* Holds what it holds for a while, now and then: so that others come and wait. */
static void hammer_hold(hammer_thread *t)
{
	if (hammer_random(t, 8) == 0) {
		fl__sys.yield();
		fl_fiber_yield();
	}
}

static int64_t hammer_deadline(hammer_thread *t)
{
	static const int64_t ns[] = {-1, 0, FL_US(1), FL_US(50), FL_US(500), FL_MS(2)};
	return fl_after(ns[hammer_random(t, sizeof ns / sizeof ns[0])]);
}

/* Counts how a wait ended; true when it got what it waited for. */
static bool hammer_got(hammer_thread *t, int rc)
{
	t->timed_out += rc == -ETIMEDOUT;
	t->cancelled += rc == -ECANCELED;
	FL_CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
	return rc == 0;
}

static void hammer_mutex(hammer_thread *t)
{
	hammer *h = t->all;
	int rc = 0;
	if (hammer_random(t, 2))
		rc = fl_mutex_lock_until(&h->mutex, hammer_deadline(t), &t->token);
	else
		fl_mutex_lock(&h->mutex);
	if (!hammer_got(t, rc))
		return;
	h->locks++;
	hammer_hold(t);
	t->locks++;
	fl_mutex_unlock(&h->mutex);
}

static void hammer_rmutex(hammer_thread *t)
{
	hammer *h = t->all;
	if (!hammer_got(t, fl_rmutex_lock_until(&h->rmutex, hammer_deadline(t), &t->token)))
		return;
	fl_rmutex_lock(&h->rmutex);
	h->relocks++;
	hammer_hold(t);
	t->relocks++;
	fl_rmutex_unlock(&h->rmutex);
	fl_rmutex_unlock(&h->rmutex);
}

static void hammer_sem(hammer_thread *t)
{
	hammer *h = t->all;
	if (!hammer_got(t, fl_sem_acquire_until(&h->sem, hammer_deadline(t), &t->token)))
		return;
	FL_CHECK(fl__add_relaxed(&h->out, 1) < HAMMER_PERMITS);
	if (hammer_random(t, 4) == 0)
		FL_CHECK(fl_sleep_until(fl_after(FL_US(20)), FL_SHIELDED) == 0);
	FL_CHECK(fl__sub_acq_rel(&h->out, 1) > 0);
	fl_sem_release(&h->sem);
}

static bool hammer_has_token(void *arg)
{
	return ((hammer *)arg)->tokens > 0;
}

static void hammer_make_token(hammer_thread *t)
{
	hammer *h = t->all;
	FL_LOCKED(&h->tokens_mutex);
	h->tokens++;
	hammer_hold(t);
	t->made++;
	fl_cond_signal(&h->tokens_cond);
}

static void hammer_take_token(hammer_thread *t)
{
	hammer *h = t->all;
	FL_LOCKED(&h->tokens_mutex);
	int rc = fl_cond_wait_for_until(&h->tokens_cond, &h->tokens_mutex, hammer_has_token, h, hammer_deadline(t),
	                                &t->token);
	if (!hammer_got(t, rc))
		return;
	FL_CHECK(h->tokens > 0);
	h->tokens--;
	t->taken++;
}

static void hammer_event(hammer_thread *t)
{
	hammer *h = t->all;
	switch (hammer_random(t, 4)) {
	case 0:
		fl_event_set(&h->event);
		break;
	case 1:
		fl_event_reset(&h->event);
		break;
	default:
		(void)hammer_got(t, fl_event_wait_until(&h->event, hammer_deadline(t), &t->token));
	}
}

static void hammer_cancel_somebody(hammer_thread *t)
{
	hammer_thread *victim = &t->all->thread[hammer_random(t, t->all->threads)];
	FL_LOCKED(&victim->guard);
	if (victim->current)
		fl_cancel_token_request(victim->current);
}

static void hammer_publish(hammer_thread *t, fl_cancel_token *token)
{
	FL_LOCKED(&t->guard);
	t->current = token;
}

static int hammer_run(void *arg)
{
	static void (*const strikes[])(hammer_thread * t) = {hammer_mutex, hammer_rmutex,     hammer_sem,
	                                                     hammer_event, hammer_make_token, hammer_take_token};
	hammer_thread *t = arg;
	FL_CHECK(fl_event_wait(&t->all->start) == 0);
	for (unsigned i = 0; i < t->all->rounds; i++) {
		fl_cancel_token_init(&t->token, NULL, hammer_random(t, 4) ? FL_FOREVER : hammer_deadline(t));
		hammer_publish(t, &t->token);
		strikes[hammer_random(t, sizeof strikes / sizeof strikes[0])](t);
		hammer_publish(t, NULL);
		fl_cancel_token_destroy(&t->token);
		if (hammer_random(t, 2))
			hammer_cancel_somebody(t);
	}
	return 0;
}

static void hammer_check(const hammer *h)
{
	hammer_thread sum = {.all = NULL};
	for (unsigned i = 0; i < h->threads; i++) {
		sum.locks += h->thread[i].locks;
		sum.relocks += h->thread[i].relocks;
		sum.made += h->thread[i].made;
		sum.taken += h->thread[i].taken;
		sum.timed_out += h->thread[i].timed_out;
		sum.cancelled += h->thread[i].cancelled;
	}
	print_message("%u locks, %u relocks, %u tokens made, %u taken, %u timed out, %u cancelled\n", sum.locks,
	              sum.relocks, sum.made, sum.taken, sum.timed_out, sum.cancelled);
	assert_int_equal(h->locks, sum.locks);
	assert_int_equal(h->relocks, sum.relocks);
	assert_int_equal(sum.made, sum.taken + h->tokens);
	assert_int_equal(h->out, 0);
	assert_true(sum.locks > 0 && sum.relocks > 0 && sum.taken > 0 && sum.timed_out > 0 && sum.cancelled > 0);
}

__attribute__((unused)) static void hammer_strike(unsigned threads, unsigned rounds, uint64_t seed)
{
	hammer h = {.threads = threads, .rounds = rounds, .sem = FL_SEM_INIT(HAMMER_PERMITS)};
	h.thread = calloc(threads, sizeof *h.thread);
	assert_non_null(h.thread);
	for (unsigned i = 0; i < threads; i++) {
		hammer_thread *t = &h.thread[i];
		t->all = &h;
		t->random = seed + 7919 * i;
		FL_OK(fl_thread_start(&t->thread, hammer_run, t, &(fl_thread_config){.stack_size = HAMMER_STACK}));
	}
	FL_WAIT_FOR(fl_test_queued(&h.start) == threads);
	fl_event_set(&h.start);
	for (unsigned i = 0; i < threads; i++)
		fl_test_end(&h.thread[i].thread);
	hammer_check(&h);
	assert_int_equal(fl_sem_value(&h.sem), HAMMER_PERMITS);
	FL_OK(fl_mutex_destroy(&h.mutex));
	FL_OK(fl_rmutex_destroy(&h.rmutex));
	FL_OK(fl_sem_destroy(&h.sem));
	FL_OK(fl_mutex_destroy(&h.tokens_mutex));
	FL_OK(fl_cond_destroy(&h.tokens_cond));
	FL_OK(fl_event_destroy(&h.event));
	free(h.thread);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * futex_wait and futex_wake over pthreads. A slot has a mutex and the sleepers of the words that
 * hash to it, oldest first. Each sleeper has its own condition variable.
 *
 * No lost wake: the sleeper compares the word under the slot's mutex, which a waking thread locks
 * after it has changed the word. A sleeper leaves its slot under the mutex: no waking thread
 * signals a destroyed condition variable.
 */
#include "atomic.h"
#include "sys.h"
#include <errno.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <time.h>

struct portable_sleeper {
	struct portable_sleeper *next;
	const uint32_t *word;
	pthread_cond_t woken_cond;
	bool woken;
};

enum { PORTABLE_SLOTS = 16 };

static struct portable_slot {
	pthread_mutex_t mutex;
	struct portable_sleeper *first;
} portable_slots[PORTABLE_SLOTS] = {
    [0 ... PORTABLE_SLOTS - 1] = {PTHREAD_MUTEX_INITIALIZER, NULL},
};

static struct portable_slot *portable_slot_of(const uint32_t *word)
{
	return &portable_slots[((uintptr_t)word >> 6) % PORTABLE_SLOTS];
}

static int portable_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);
	if (rc != 0)
		return rc;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* fails only for unknown clocks */
	rc = pthread_cond_init(cond, &attr);
	(void)pthread_condattr_destroy(&attr);
	return rc;
}

static void portable_enqueue(struct portable_slot *slot, struct portable_sleeper *me)
{
	struct portable_sleeper **link = &slot->first;
	while (*link)
		link = &(*link)->next;
	*link = me;
}

static void portable_dequeue(struct portable_slot *slot, const struct portable_sleeper *me)
{
	struct portable_sleeper **link = &slot->first;
	while (*link != me)
		link = &(*link)->next;
	*link = me->next;
}

static int portable_sleep(struct portable_slot *slot, struct portable_sleeper *me, int64_t deadline)
{
	/* Clamped for a 32-bit time_t: the sleeper wakes early, and waits again. */
	int64_t seconds = deadline / FL_S(1) < INT32_MAX ? deadline / FL_S(1) : INT32_MAX;
	struct timespec at = {(time_t)seconds, (long)(deadline % FL_S(1))};
	while (!me->woken) {
		int rc = deadline == FL_FOREVER ? pthread_cond_wait(&me->woken_cond, &slot->mutex)
		                                : pthread_cond_timedwait(&me->woken_cond, &slot->mutex, &at);
		if (rc == ETIMEDOUT)
			return me->woken ? 0 : -ETIMEDOUT;
	}
	return 0;
}

int fl__portable_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	struct portable_slot *slot = portable_slot_of(word);
	struct portable_sleeper me = {.word = word};
	if (portable_cond_init(&me.woken_cond) != 0)
		return -EINTR; /* the caller checks the word and waits again */
	int rc = -EAGAIN, state;
	/* pthread_cond_wait() is a cancellation point */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)pthread_mutex_lock(&slot->mutex);
	/* the mutex orders the load after the waking thread's change */
	if (fl__load_relaxed(word) == expected) {
		portable_enqueue(slot, &me);
		rc = portable_sleep(slot, &me, deadline > 0 ? deadline : 0);
		portable_dequeue(slot, &me);
	}
	(void)pthread_mutex_unlock(&slot->mutex);
	(void)pthread_cond_destroy(&me.woken_cond);
	(void)pthread_setcancelstate(state, &state);
	return rc;
}

int fl__portable_futex_wake(const uint32_t *word, int n)
{
	struct portable_slot *slot = portable_slot_of(word);
	int woken = 0;
	(void)pthread_mutex_lock(&slot->mutex);
	for (struct portable_sleeper *s = slot->first; s && woken < n; s = s->next) {
		if (s->word != word || s->woken)
			continue;
		s->woken = true;
		woken++;
		(void)pthread_cond_signal(&s->woken_cond);
	}
	(void)pthread_mutex_unlock(&slot->mutex);
	return woken;
}

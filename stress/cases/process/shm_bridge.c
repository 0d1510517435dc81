/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge: no wake is lost on its way when a waiter gives up or is killed, and it does not use
 * what its waiter has freed.
 */
#include "process/shm/shm_bridge.h"
#include "../cases.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/sync/helper.h"
#include <fairlead/event.h>
#include <limits.h>

static void change(uint32_t *word)
{
	fl__store_release(word, 1); /* pairs with see() */
	(void)fl__sys.shared_wake(word, INT_MAX);
}

static bool see(uint32_t *word)
{
	return fl__load_acquire(word) != 0; /* pairs with change() */
}

static int wait_for(uint32_t *word, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	while (rc == 0 && !see(word))
		rc = fl__bridge_wait(word, 0, deadline, cancel);
	return rc;
}

/* A wake reaches the waiter, with what was written before. */
struct shm_bridge_word {
	uint32_t word;
	int data, seen;
};

FL_STRESS_ACTOR(shm_bridge_word, waiter)
{
	OK(wait_for(&s->word, FL_FOREVER, NULL));
	s->seen = s->data;
}

FL_STRESS_ACTOR(shm_bridge_word, changer)
{
	s->data = 1;
	change(&s->word);
}

FL_STRESS(shm_bridge_word, waiter, changer)
{
	FL_ACCEPTABLE(s->seen == 1, "woken");
	FL_FORBIDDEN(1, "too early");
}

/* Two words at once, through one bridge: none is missed. */
struct shm_bridge_two_words {
	uint32_t words[2];
};

FL_STRESS_ACTOR(shm_bridge_two_words, one)
{
	OK(wait_for(&s->words[0], FL_FOREVER, NULL));
}

FL_STRESS_ACTOR(shm_bridge_two_words, two)
{
	OK(wait_for(&s->words[1], FL_FOREVER, NULL));
}

FL_STRESS_ACTOR(shm_bridge_two_words, changer)
{
	change(&s->words[0]);
	change(&s->words[1]);
}

FL_STRESS(shm_bridge_two_words, one, two, changer)
{
	FL_ACCEPTABLE(1, "woken");
}

/* A wait that gives up leaves nothing behind: its frame may be freed. */
struct shm_bridge_timeout {
	uint32_t word;
	int rc;
};

FL_STRESS_ACTOR(shm_bridge_timeout, waiter)
{
	s->rc = wait_for(&s->word, soon(), NULL);
}

FL_STRESS_ACTOR(shm_bridge_timeout, changer)
{
	change(&s->word);
}

FL_STRESS(shm_bridge_timeout, waiter, changer)
{
	FL_ACCEPTABLE(s->rc == 0, "woken");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
}

struct shm_bridge_cancel {
	uint32_t word;
	fl_cancel_token stop;
	int rc;
};

FL_STRESS_ACTOR(shm_bridge_cancel, waiter)
{
	s->rc = wait_for(&s->word, FL_FOREVER, &s->stop);
}

FL_STRESS_ACTOR(shm_bridge_cancel, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(shm_bridge_cancel, waiter, canceller)
{
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
	FL_FORBIDDEN(1, "the word did not change");
}

/* One of two objects. */
struct shm_bridge_any {
	uint32_t word;
	fl_event e;
	int index;
};

static bool on_ready(void *word)
{
	return see(word);
}

static bool on_arm(void *word, struct fl__node *node)
{
	return fl__bridge_arm(word, 0, node);
}

static void on_disarm(void *word, struct fl__node *node)
{
	(void)word;
	fl__bridge_disarm(NULL, node);
}

static const fl_on_type on_word = {on_ready, on_arm, on_disarm, NULL};

FL_STRESS_ACTOR(shm_bridge_any, waiter)
{
	s->index = FL_WAIT_ANY(FL__ON(on_word, &s->word), FL_ON_EVENT(&s->e));
}

FL_STRESS_ACTOR(shm_bridge_any, changer)
{
	change(&s->word);
}

FL_STRESS_ACTOR(shm_bridge_any, setter)
{
	fl_event_set(&s->e);
}

FL_STRESS(shm_bridge_any, waiter, changer, setter)
{
	FL_FORBIDDEN(fl_event_destroy(&s->e) != 0, "left in the queue");
	FL_ACCEPTABLE(s->index == 0, "the word");
	FL_ACCEPTABLE(s->index == 1, "the event");
	FL_FORBIDDEN(1, "an error");
}

/*
 * The end of the helpers, beside a waiter: it does not wait for a bridge that is in use, or comes
 * into use, and the waiter is woken.
 */
struct shm_bridge_end {
	uint32_t brief, word;
	int rc;
};

FL_STRESS_ACTOR(shm_bridge_end, waiter)
{
	/* After that there is a bridge without entries. */
	s->rc = wait_for(&s->brief, soon(), NULL);
	OK(wait_for(&s->word, FL_FOREVER, NULL));
}

FL_STRESS_ACTOR(shm_bridge_end, ender)
{
	fl__helpers_end();
	change(&s->word);
}

FL_STRESS(shm_bridge_end, waiter, ender)
{
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "woken");
	FL_FORBIDDEN(1, "the first word did not change");
}

/* Locks: a killed waiter, or one that gives up, does not keep a wake from the others. */
struct guarded {
	struct fl__shm_lock lock;
	int count;
};

static void count_in(struct guarded *g, int rc)
{
	FL_STRESS_CHECK(rc == 0 || rc == -EOWNERDEAD);
	g->count++;
	fl__shm_release(&g->lock, fl__shm_hold(&g->lock, 0), false);
}

struct shm_bridge_lock {
	struct guarded g;
};

FL_STRESS_ACTOR(shm_bridge_lock, plain)
{
	count_in(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_bridge_lock, bridged)
{
	count_in(&s->g, fl__bridge_acquire(&s->g.lock, 0, FL_FOREVER, NULL));
}

FL_STRESS_PROCESSES(shm_bridge_lock, plain, bridged)
{
	int killed = fl_stress_killed("plain") + fl_stress_killed("bridged");
	FL_FORBIDDEN(s->g.count + killed < 2, "a survivor did not count");
	FL_ACCEPTABLE(1, "counted");
}

struct shm_bridge_lock_three {
	struct guarded g;
};

FL_STRESS_ACTOR(shm_bridge_lock_three, first)
{
	count_in(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_bridge_lock_three, bridged)
{
	count_in(&s->g, fl__bridge_acquire(&s->g.lock, 0, FL_FOREVER, NULL));
}

FL_STRESS_ACTOR(shm_bridge_lock_three, plain)
{
	count_in(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_PROCESSES(shm_bridge_lock_three, first, bridged, plain)
{
	int killed = fl_stress_killed("first") + fl_stress_killed("bridged") + fl_stress_killed("plain");
	FL_FORBIDDEN(s->g.count + killed < 3, "a survivor did not count");
	FL_ACCEPTABLE(1, "counted");
}

struct shm_bridge_lock_gives_up {
	struct guarded g;
	int rc;
};

FL_STRESS_ACTOR(shm_bridge_lock_gives_up, first)
{
	count_in(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_bridge_lock_gives_up, brief)
{
	s->rc = fl__bridge_acquire(&s->g.lock, 0, soon(), NULL);
	if (s->rc == 0 || s->rc == -EOWNERDEAD)
		count_in(&s->g, s->rc);
}

FL_STRESS_ACTOR(shm_bridge_lock_gives_up, patient)
{
	count_in(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_PROCESSES(shm_bridge_lock_gives_up, first, brief, patient)
{
	int killed = fl_stress_killed("first") + fl_stress_killed("brief") + fl_stress_killed("patient");
	FL_FORBIDDEN(s->g.count + killed + (s->rc == -ETIMEDOUT) < 3, "a survivor did not count");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
	FL_ACCEPTABLE(1, "counted");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the bridge. No wake is lost on its way when a waiter gives up or is killed, and the
 * bridge does not use what its waiter has freed.
 */
#include "process/shm/shm_bridge.h"
#include "../cases.h"
#include "core/sync/helper.h"

static void change(uint32_t *word)
{
	fl__store_release(word, 1); /* release: pairs with the acquire in see() */
	(void)fl__sys.shared_wake(word, INT_MAX);
}

static bool see(uint32_t *word)
{
	return fl__load_acquire(word) != 0; /* acquire: pairs with the release in change() */
}

static int wait_for(uint32_t *word, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	while (rc == 0 && !see(word))
		rc = fl__bridge_wait(word, 0, deadline, cancel);
	return rc;
}

/*
 * The helpers are ended beside a waiter. The end does not wait for a bridge that is in use, or that
 * comes into use, and the waiter is woken.
 */
struct shm_bridge_end {
	uint32_t brief, word;
	int rc;
};

FL_STRESS_ACTOR(shm_bridge_end, waiter)
{
	/* Afterwards there is a bridge without entries. */
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
}

/* Locks. A waiter that is killed, or that gives up, does not keep a wake from the others. */
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

struct shm_bridge_lock_three {
	struct guarded g;
};

FL_STRESS_ACTOR(shm_bridge_lock_three, plain)
{
	count_in(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_bridge_lock_three, bridged)
{
	count_in(&s->g, fl__bridge_acquire(&s->g.lock, 0, FL_FOREVER, NULL));
}

FL_STRESS_PROCESSES(shm_bridge_lock_three, plain, bridged, plain)
{
	int killed = fl_stress_killed("plain") + fl_stress_killed("bridged");
	FL_FORBIDDEN(s->g.count + killed < 3, "a survivor did not count");
	FL_ACCEPTABLE(1, "counted");
}

struct shm_bridge_lock_gives_up {
	struct guarded g;
	int rc;
};

FL_STRESS_ACTOR(shm_bridge_lock_gives_up, patient)
{
	count_in(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_bridge_lock_gives_up, brief)
{
	s->rc = fl__bridge_acquire(&s->g.lock, 0, soon(), NULL);
	if (s->rc == 0 || s->rc == -EOWNERDEAD)
		count_in(&s->g, s->rc);
}

FL_STRESS_PROCESSES(shm_bridge_lock_gives_up, patient, brief, patient)
{
	int killed = fl_stress_killed("patient") + fl_stress_killed("brief");
	FL_FORBIDDEN(s->g.count + killed + (s->rc == -ETIMEDOUT) < 3, "a survivor did not count");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
	FL_ACCEPTABLE(1, "counted");
}

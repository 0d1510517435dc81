/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the start of a thread, or an event, costs beside many other threads. The cases count calls
 * and steps, and no time.
 */
#include "fl_debugging.h"

#include "fl_faults.h"
#include "inspect/table.h"
#include "inspect/trace.h"

/* Threads under the recorder. */

static uint32_t growth_looks, growth_maps;

static bool growth_thread_exists(uint32_t thread)
{
	fl__add_relaxed(&growth_looks, 1);
	return true;
}

static void *growth_map(size_t size)
{
	fl__add_relaxed(&growth_maps, 1);
	return fl_test_real_sys.map(size);
}

static int growth_record(void *unused)
{
	fl__hook_event(FL__TRACE_INDEX, 0, 0, NULL, 0);
	return 0;
}

/* All of them seem to be alive. */
FL_TEST(trace_of_many_threads_costs_each_thread_the_same)
{
	enum { LOOKS = 16 };
	FL_FAULTS();
	FL_OK(fl_trace_enable("ring,events=64,signal=0"));
	fl__sys.thread_exists = growth_thread_exists;
	fl__sys.map = growth_map;
	for (unsigned n = 0, most = 1000; most <= 4000; most *= 2) {
		growth_looks = 0;
		const unsigned before = n;
		for (; n < most; n++)
			fl_test_on_thread(growth_record, NULL);
		FL_IN_RANGE(growth_looks, 0, (most - before) * LOOKS);
	}
	FL_IN_RANGE(growth_maps, 1000, FL__TRACE_RINGS);
	FL_OK(fl_trace_enable(NULL));
}

/* Readers of one lock under debugging. */

enum { GROWTH_READERS = 200 };

static fl_rwlock growth_lock = FL_RWLOCK_INIT;
static fl_event growth_over = FL_EVENT_INIT;
static uint32_t growth_holders;

static int growth_hold(void *unused)
{
	fl_rwlock_read_lock(&growth_lock);
	fl__add_relaxed(&growth_holders, 1);
	FL_OK(fl_event_wait(&growth_over));
	fl_rwlock_read_unlock(&growth_lock);
	return 0;
}

static int growth_read(void *unused)
{
	fl_rwlock_read_lock(&growth_lock);
	fl_rwlock_read_unlock(&growth_lock);
	return 0;
}

/* Overtakes the writer until the lock makes it wait. */
static int growth_read_on(void *unused)
{
	while (!fl_event_is_set(&growth_over))
		FL_OK(growth_read(NULL));
	return 0;
}

static int growth_write(void *unused)
{
	fl_rwlock_write_lock(&growth_lock);
	fl_rwlock_write_unlock(&growth_lock);
	return 0;
}

/* How many contexts are recorded as waiting for the lock. */
static unsigned growth_waiters_of(const fl_rwlock *l, uint64_t *steps)
{
	unsigned n = 0;
	fl__debug_relock();
	for (size_t i = 0; i < FL__DEBUG_BUCKETS; i++) {
		const struct fl__holder *h;
		for (size_t k = 0; (h = fl__holder_nth(i, k)) != NULL; k++)
			n += h->lock == l;
	}
	*steps = fl__table_steps;
	fl__debug_unlock();
	return n;
}

static unsigned growth_waiters(uint64_t *steps)
{
	return growth_waiters_of(&growth_lock, steps);
}

FL_TEST(debug_read_lock_costs_the_same_beside_many_readers)
{
	fl_thread *holders[GROWTH_READERS], *waiters[2];
	uint64_t before, after;
	FL_DEBUGGING(FL_DEBUG_WAITS | FL_DEBUG_LOCKORDER);
	FL_EACH (i, holders)
		fl_test_go(&holders[i], growth_hold, NULL);
	FL_WAIT_FOR(fl__load_relaxed(&growth_holders) == GROWTH_READERS);
	FL_RC(growth_waiters(&before), 0);
	FL_OK(growth_read(NULL));
	FL_RC(growth_waiters(&after), 0);
	FL_IN_RANGE(after - before, 0, 10);
	/* a reader that waits behind a writer waits for each holder once */
	fl_test_go(&waiters[0], growth_write, NULL);
	FL_WAIT_FOR(growth_waiters(&before) == 1);
	fl_test_go(&waiters[1], growth_read_on, NULL);
	FL_WAIT_FOR(growth_waiters(&after) == 2);
	FL_IN_RANGE(after - before, GROWTH_READERS, 4 * GROWTH_READERS);
	fl_event_set(&growth_over);
	FL_END_ALL(holders);
	FL_END_ALL(waiters);
}

/* Many contexts that hold the first lock wait for the second one, which as many others hold. */
static fl_rwlock growth_chain[2] = {FL_RWLOCK_INIT, FL_RWLOCK_INIT};
static fl_event growth_chain_over = FL_EVENT_INIT;
static uint32_t growth_chain_holders;

static int growth_hold_second(void *unused)
{
	fl_rwlock_read_lock(&growth_chain[1]);
	fl__add_relaxed(&growth_chain_holders, 1);
	FL_OK(fl_event_wait(&growth_chain_over));
	fl_rwlock_read_unlock(&growth_chain[1]);
	return 0;
}

static int growth_hold_first(void *unused)
{
	fl_rwlock_read_lock(&growth_chain[0]);
	fl_rwlock_write_lock(&growth_chain[1]);
	fl_rwlock_write_unlock(&growth_chain[1]);
	fl_rwlock_read_unlock(&growth_chain[0]);
	return 0;
}

static int growth_write_first(void *unused)
{
	fl_rwlock_write_lock(&growth_chain[0]);
	fl_rwlock_write_unlock(&growth_chain[0]);
	return 0;
}

FL_TEST(debug_search_visits_each_holder_once)
{
	enum { MANY = GROWTH_READERS / 2 };
	fl_thread *holders[MANY], *between[MANY], *writer;
	uint64_t before, after;
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_EACH (i, holders)
		fl_test_go(&holders[i], growth_hold_second, NULL);
	FL_WAIT_FOR(fl__load_relaxed(&growth_chain_holders) == MANY);
	FL_EACH (i, between)
		fl_test_go(&between[i], growth_hold_first, NULL);
	FL_WAIT_FOR(growth_waiters_of(&growth_chain[1], &before) == MANY);
	fl_test_go(&writer, growth_write_first, NULL);
	FL_WAIT_FOR(growth_waiters_of(&growth_chain[0], &after) == 1);
	FL_IN_RANGE(after - before, MANY, 10 * MANY);
	fl_event_set(&growth_chain_over);
	FL_END_ALL(holders);
	FL_END_ALL(between);
	fl_test_end(writer);
}

/* A context that holds many locks. */

FL_TEST(debug_unlock_costs_the_same_beside_many_held_locks)
{
	static fl_mutex locks[4096];
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_EACH (i, locks)
		fl_mutex_lock(&locks[i]);
	fl__table_steps = 0;
	FL_EACH (i, locks) /* the oldest first */
		fl_mutex_unlock(&locks[i]);
	FL_IN_RANGE(fl__table_steps, 1, 10 * FL__COUNT(locks));
}

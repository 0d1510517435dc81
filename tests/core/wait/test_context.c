/* SPDX-License-Identifier: BSD-2-Clause */
/* The contexts of threads that the library did not start. */
#include "fl_faults.h"

enum { MANY = 40, MORE = 100 /* than the data that the cases before leave */, ROUNDS = 3 };

static unsigned maps, naps; /* atomic */
static bool no_memory;      /* atomic */

static void *counted_map(size_t size)
{
	fl__add_relaxed(&maps, 1); /* relaxed: a count */
	return fl__load_relaxed(&no_memory) ? NULL : fl_test_real_sys.map(size);
}

static void counted_nap(void)
{
	fl__add_relaxed(&naps, 1); /* relaxed: a count */
	fl_test_real_sys.nap();
}

static void count_calls(void)
{
	fl__sys.map = counted_map;
	fl__sys.nap = counted_nap;
	maps = naps = 0;
}

static void *call_once(void *id)
{
	*(uint64_t *)id = fl_thread_current_id();
	FL_CHECK(strcmp(fl_thread_current_name(), "foreign") == 0);
	return NULL;
}

FL_TEST(context_data_are_given_back)
{
	FL_FAULTS();
	count_calls();
	uint64_t last = fl_thread_current_id();
	for (int i = 0; i < 100; i++) {
		uint64_t id = 0;
		(void)fl_test_foreign(call_once, &id);
		assert_true(id > last); /* a context of its own, in used memory */
		last = id;
	}
	FL_RC((int)maps, 0);
}

static struct {
	fl_latch here;
	fl_event leave;
	uint64_t ids[MANY];
} crowd;

static void *stay(void *id)
{
	(void)call_once(id);
	fl_latch_count_down(&crowd.here, 1);
	FL_OK(fl_event_wait(&crowd.leave));
	return NULL;
}

static void crowd_come_and_go(void)
{
	pthread_t threads[MANY];
	crowd.here = (fl_latch)FL_LATCH_INIT(MANY);
	crowd.leave = (fl_event)FL_EVENT_INIT;
	FL_EACH (i, threads)
		FL_OK(pthread_create(&threads[i], NULL, stay, &crowd.ids[i]));
	FL_OK(fl_latch_wait(&crowd.here));
	for (int i = 0; i < MANY; i++)
		for (int j = 0; j < i; j++)
			assert_true(crowd.ids[i] != crowd.ids[j]);
	fl_event_set(&crowd.leave);
	FL_EACH (i, threads)
		FL_OK(pthread_join(threads[i], NULL));
}

FL_TEST(context_of_many_threads)
{
	FL_FAULTS();
	count_calls();
	crowd_come_and_go();
	const unsigned first = maps;
	for (int i = 0; i < 3; i++)
		crowd_come_and_go();
	FL_RC((int)maps, (int)first);
}

static struct {
	fl_event leave[MORE];
	uint64_t ids[MORE];
	uint32_t came;
} scarce;

static void *come(void *number)
{
	const size_t i = (size_t)(uintptr_t)number;
	scarce.ids[i] = fl_thread_current_id();
	fl__add_release(&scarce.came, 1); /* pairs with the waits for it */
	FL_OK(fl_event_wait(&scarce.leave[i]));
	return NULL;
}

/*
 * The first thread for which there are no data waits for them: another thread ends, or memory
 * comes.
 */
static void run_out_of_data(bool memory_comes)
{
	pthread_t threads[MORE];
	size_t n = 0;
	memset(&scarce, 0, sizeof scarce);
	naps = 0;
	fl__store_relaxed(&no_memory, true);
	while (fl__load_relaxed(&naps) == 0) {
		assert_true(n < MORE);
		FL_OK(pthread_create(&threads[n], NULL, come, (void *)(uintptr_t)n));
		n++;
		FL_WAIT_FOR(fl__load_acquire(&scarce.came) == n || fl__load_relaxed(&naps) > 0);
	}
	assert_int_equal(fl__load_acquire(&scarce.came), n - 1);
	assert_true(n > 1);
	if (memory_comes)
		fl__store_relaxed(&no_memory, false);
	else
		fl_event_set(&scarce.leave[0]);
	FL_WAIT_FOR(fl__load_acquire(&scarce.came) == n);
	for (size_t i = 0; i < n; i++) {
		fl_event_set(&scarce.leave[i]);
		FL_OK(pthread_join(threads[i], NULL));
	}
	fl__store_relaxed(&no_memory, false);
}

FL_TEST(context_without_memory_waits)
{
	FL_FAULTS();
	count_calls();
	run_out_of_data(false);
	run_out_of_data(true);
}

static pthread_key_t late_key;
static fl_rmutex late_lock = FL_RMUTEX_INIT;
static uint64_t late_id;
static unsigned late_rounds;

/* Each round of destructors runs in the same context, which owns the lock. */
static void late_destructor(void *unused)
{
	assert_true(fl_thread_current_id() == late_id);
	fl_rmutex_unlock(&late_lock);
	if (++late_rounds < ROUNDS - 1)
		FL_OK(pthread_setspecific(late_key, unused));
}

static void *lock_for_the_destructors(void *unused)
{
	late_id = fl_thread_current_id();
	for (int i = 0; i < ROUNDS - 1; i++)
		fl_rmutex_lock(&late_lock);
	FL_OK(pthread_setspecific(late_key, &late_lock));
	return unused;
}

FL_TEST(context_lasts_through_destructors)
{
	FL_OK(pthread_key_create(&late_key, late_destructor));
	late_rounds = 0;
	(void)fl_test_foreign(lock_for_the_destructors, NULL);
	FL_RC((int)late_rounds, ROUNDS - 1);
	FL_CHECK(!fl__mutex_is_busy(&late_lock.mutex_));
	FL_OK(pthread_key_delete(late_key));
}

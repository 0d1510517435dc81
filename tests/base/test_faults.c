/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_kinds.h"
#include "fl_test.h"
#include "hammer.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The next `strikes` sleeps do not happen: the kernel answers `answer` at once. */
static uint32_t strikes;
static int answer;

static bool strikes_one(uint32_t *left)
{
	uint32_t seen = fl__load_relaxed(left);
	while (seen > 0)
		if (fl__cas_weak_relaxed(left, &seen, seen - 1))
			return true;
	return false;
}

static int striking_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	return strikes_one(&strikes) ? answer : fl_test_real_sys.futex_wait(word, expected, deadline);
}

/*
 * Each kind of wait, through a storm: it continues to wait, keeps its queue entry and its deadline,
 * and ends by its wake.
 */
static void wait_through_a_storm(int rc)
{
	FL_FAULTS();
	fl__sys.futex_wait = striking_futex_wait;
	answer = rc;
	FL_EACH_KIND(kind)
	{
		fl_test_caller c;
		fl__store_relaxed(&strikes, 200);
		fl_kind_begin(&c, kind, FL_FOREVER, NULL);
		FL_WAIT_FOR(fl__load_relaxed(&strikes) == 0 && fl_kind_sleeps(kind));
		kind->finish();
		FL_RC(fl_test_call_end(&c), kind->done);
	}
	FL_EACH_KIND(kind)
	{
		int64_t deadline = fl_after(FL_MS(2));
		fl__store_relaxed(&strikes, 200);
		FL_RC(kind->wait(NULL, deadline, NULL), -ETIMEDOUT);
		assert_true(fl_now() >= deadline);
	}
	fl__store_relaxed(&strikes, 0);
}

FL_TEST(eagain_is_not_timeout)
{
	wait_through_a_storm(-EAGAIN);
}

FL_TEST(spurious_wakes_are_not_wakes)
{
	wait_through_a_storm(0);
}

/*
 * A storm without end, or a system that forbids the call: the wait polls, and its deadline and its
 * wake still work.
 */
static int useless_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	(void)word;
	(void)expected;
	(void)deadline;
	fl_test_real_sys.yield();
	return answer;
}

FL_TEST(deadline_holds_through_a_storm_without_end)
{
	static const int answers[] = {-EINTR, -EAGAIN, 0, -ENOSYS};
	FL_FAULTS();
	fl__sys.futex_wait = useless_futex_wait;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		answer = answers[i];
		FL_EACH_KIND(kind)
		{
			fl_test_caller c;
			int64_t deadline = fl_after(FL_US(300));
			FL_RC(kind->wait(NULL, deadline, NULL), -ETIMEDOUT);
			assert_true(fl_now() >= deadline);
			fl_kind_begin(&c, kind, FL_FOREVER, NULL);
			kind->finish();
			FL_RC(fl_test_call_end(&c), kind->done);
		}
	}
}

/*
 * EINTR, from the table and from real signals; ThreadSanitizer delays the latter until their thread
 * is out of the kernel.
 */
#ifdef FL__TSAN
enum { SIGNALS_ARRIVE = 0 };
#else
enum { SIGNALS_ARRIVE = 1 };
#endif
static uint32_t signals_seen, sleeper_tid;

static void count_signal(int number)
{
	(void)number;
	fl__add_relaxed(&signals_seen, 1);
}

static int signalled_wait(void *kind, int64_t deadline, fl_cancel_token *cancel)
{
	fl__store_release(&sleeper_tid, (uint32_t)syscall(SYS_gettid));
	return ((const fl_kind *)kind)->wait(NULL, deadline, cancel);
}

static void signal_the_sleeper(uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		uint32_t before = fl__load_relaxed(&signals_seen);
		int tid = (int)fl__load_acquire(&sleeper_tid);
		assert_int_equal(syscall(SYS_tgkill, getpid(), tid, SIGUSR1), 0);
		FL_WAIT_FOR(fl__load_relaxed(&signals_seen) > before);
	}
}

static void storm_of_signals(const fl_kind *kind)
{
	const void *key = kind->key ? kind->key : fl_kind_key;
	fl_test_caller c;
	fl_test_call_queued(&c, signalled_wait, (void *)kind, key, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_kind_sleeps(kind));
	signal_the_sleeper(20);
	assert_int_equal(fl_test_queued(key), 1);
	kind->finish();
	FL_RC(fl_test_call_end(&c), kind->done);
}

FL_TEST(eintr_storm)
{
	struct sigaction before, counting = {.sa_handler = count_signal};
	wait_through_a_storm(-EINTR);
	if (!SIGNALS_ARRIVE)
		return;
	assert_int_equal(sigaction(SIGUSR1, &counting, &before), 0);
	FL_EACH_KIND(kind)
	{
		storm_of_signals(kind);
	}
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

/* Wakes for an earlier owner of the sleeper's word. */
static const uint32_t *word_of_sleeper(const void *key)
{
	struct fl__wait wait;
	struct fl__lot lot;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node mine = FL__NODE(&wait);
	fl__lot_open(&lot, key);
	fl__lot_add(&lot, &mine);
	const uint32_t *word = &mine.next->wait->park_word;
	fl__lot_remove(&lot, &mine);
	fl__lot_close(&lot);
	return word;
}

FL_TEST(stray_wakes_end_no_wait)
{
	FL_EACH_KIND(kind)
	{
		const void *key = kind->key ? kind->key : fl_kind_key;
		fl_test_caller c;
		fl_kind_begin(&c, kind, FL_FOREVER, NULL);
		FL_WAIT_FOR(fl_kind_sleeps(kind));
		const uint32_t *word = word_of_sleeper(key);
		for (int woken = 0; woken < 20;) {
			int n = fl__sys.futex_wake(word, 1);
			FL_IN_RANGE(n, 0, 1);
			woken += n;
		}
		assert_int_equal(fl_test_queued(key), 1);
		kind->finish();
		FL_RC(fl_test_call_end(&c), kind->done);
	}
}

/*
 * The wake that follows an unpark comes late: its waiter is gone, and another one sleeps in the
 * same memory. The allocator causes the first, the wake the second.
 */
static void *kept_block;
static size_t kept_size;
static fl_thread first_thread, second_thread;
static fl_sem first_sem, second_sem;
static uint32_t reused;
static _Thread_local bool wakes_late;

static void *alloc_kept(size_t size)
{
	void *block = kept_block;
	if (!block || size != kept_size) {
		kept_size = size;
		return fl_test_real_sys.alloc(size);
	}
	kept_block = NULL;
	reused++;
	return block;
}

static void free_kept(void *block)
{
	FL_CHECK(!kept_block);
	kept_block = block;
}

static int acquire_one(void *sem)
{
	return fl_sem_acquire(sem);
}

static int wake_late(const uint32_t *word, int n)
{
	if (!wakes_late)
		return fl_test_real_sys.futex_wake(word, n);
	wakes_late = false;
	(void)fl_test_real_sys.futex_wake(word, n); /* of the first, which is unparked already */
	fl_test_end(&first_thread);
	fl_test_go(&second_thread, acquire_one, &second_sem);
	FL_WAIT_FOR(fl_test_asleep(&second_sem) == 1);
	int woken = 0;
	while (woken == 0) /* it does sleep there */
		woken = fl_test_real_sys.futex_wake(word, n);
	return -EFAULT;
}

FL_TEST(stray_wake_reused_memory)
{
	FL_FAULTS();
	fl__sys.alloc = alloc_kept;
	fl__sys.free = free_kept;
	fl__sys.futex_wake = wake_late;
	reused = 0;
	FL_OK(fl_sem_init(&first_sem, 0));
	FL_OK(fl_sem_init(&second_sem, 0));
	fl_test_go(&first_thread, acquire_one, &first_sem);
	FL_WAIT_FOR(fl_test_asleep(&first_sem) == 1);
	wakes_late = true;
	fl_sem_release(&first_sem);
	assert_int_equal(reused, 1);
	assert_int_equal(fl_test_queued(&second_sem), 1);
	assert_int_equal(fl_sem_value(&second_sem), 0);
	fl_sem_release(&second_sem);
	fl_test_end(&second_thread);
	fl_test_real_sys.free(kept_block);
	kept_block = NULL;
}

/* The futex over pthreads, instead of the system's. */
static void use_portable_futex(void)
{
	fl__sys.futex_wait = fl__portable_futex_wait;
	fl__sys.futex_wake = fl__portable_futex_wake;
}

FL_TEST(portable_futex_carries_every_wait)
{
	FL_FAULTS();
	use_portable_futex();
	FL_EACH_KIND(kind)
	{
		fl_test_caller c;
		fl_kind_begin(&c, kind, fl_after(FL_S(1000)), NULL);
		FL_WAIT_FOR(fl_kind_sleeps(kind));
		kind->finish();
		FL_RC(fl_test_call_end(&c), kind->done);
	}
	FL_EACH_KIND(kind)
	{
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		int64_t deadline = fl_after(FL_MS(1));
		FL_RC(kind->wait(NULL, deadline, NULL), -ETIMEDOUT);
		assert_true(fl_now() >= deadline);
		fl_kind_begin(&c, kind, FL_FOREVER, &stop);
		FL_WAIT_FOR(fl_kind_sleeps(kind));
		fl_cancel_token_request(&stop);
		FL_RC(fl_test_call_end(&c), -ECANCELED);
		fl_cancel_token_destroy(&stop);
	}
}

FL_TEST(portable_futex_carries_the_hammer)
{
	FL_FAULTS();
	use_portable_futex();
	hammer_strike(24, fl_test_scaled(600), 2);
}

/* Random kernel behaviour for all sleepers, and stray wakes beside it. */
static uint32_t dice;

static int moody_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	static const int moods[] = {0, -EINTR, -EAGAIN, -ETIMEDOUT};
	uint32_t cast = (fl__add_relaxed(&dice, 1) * 2654435761u) >> 28;
	return cast < 12 ? moods[cast % 4] : fl_test_real_sys.futex_wait(word, expected, deadline);
}

static int generous_futex_wake(const uint32_t *word, int n)
{
	(void)fl_test_real_sys.futex_wake(word, n + 3);
	return -EFAULT;
}

/* A waiter then goes to sleep wherever it can, instead of spinning. */
static void hardly_yield(void)
{
	if (fl__add_relaxed(&dice, 1) % 4 == 0)
		fl_test_real_sys.yield();
}

FL_TEST(faults_at_random_lose_nothing)
{
	FL_FAULTS();
	fl__sys.futex_wait = moody_futex_wait;
	fl__sys.futex_wake = generous_futex_wake;
	fl__sys.yield = hardly_yield;
	hammer_strike(24, fl_test_scaled(600), 3);
}

/* Without memory and without threads: an error, and nothing has happened. */
static int thread_create_rc;

static int no_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	(void)thread;
	(void)attr;
	(void)start;
	(void)arg;
	return thread_create_rc;
}

static uint32_t live_blocks;

static void *counting_alloc(size_t size)
{
	live_blocks++;
	return fl_test_real_sys.alloc(size);
}

static void counting_free(void *memory)
{
	live_blocks--;
	fl_test_real_sys.free(memory);
}

FL_TEST(thread_that_the_system_refuses)
{
	static const int refusals[] = {-EAGAIN, -ENOMEM, -EINVAL, -EPERM};
	FL_FAULTS();
	fl__sys.thread_create = no_thread;
	fl__sys.alloc = counting_alloc;
	fl__sys.free = counting_free;
	size_t before = fl_thread_enumerate(NULL, NULL);
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		fl_thread t = {NULL};
		thread_create_rc = refusals[i];
		FL_RC(fl_thread_start(&t, kind_run_once, NULL, NULL), refusals[i]);
		assert_null(t.thread_);
		assert_int_equal(fl_thread_enumerate(NULL, NULL), before);
		assert_int_equal(live_blocks, 0);
	}
}

FL_TEST(thread_without_memory)
{
	FL_FAULTS();
	fl__sys.alloc = fl_test_no_memory;
	fl_thread t = {NULL};
	FL_RC(fl_thread_start(&t, kind_run_once, NULL, NULL), -ENOMEM);
	assert_null(t.thread_);
}

FL_TEST(local_without_memory)
{
	static fl_local local = FL_LOCAL_INIT(NULL);
	static fl_local distant[64];
	int value = 0;
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_local_set(&local, &value), -ENOMEM);
		assert_null(fl_local_get(&local));
	}
	FL_OK(fl_local_set(&local, &value));
	assert_ptr_equal(fl_local_get(&local), &value);
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		int rc = 0;
		for (int i = 0; i < 64 && rc == 0; i++)
			rc = fl_local_set(&distant[i], &value);
		FL_RC(rc, -ENOMEM);
		assert_ptr_equal(fl_local_get(&local), &value);
	}
	FL_OK(fl_local_set(&local, NULL));
}

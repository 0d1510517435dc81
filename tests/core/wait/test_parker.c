/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spin of waiting threads: how long, where, and which threads do not spin. The clock is the
 * test's own, and counts its reads.
 */
#include "fl_faults.h"

static struct {
	unsigned relaxes, yields, sleeps;
	int64_t spun, slept_at; /* time of the checks and yields; begin of the sleep */
} turn;

enum { RELAX_NS = 30, YIELD_NS = 400 };

static void relax(void)
{
	turn.relaxes++;
	fl_test_time += RELAX_NS;
	turn.spun += RELAX_NS;
}

static void yield(void)
{
	turn.yields++;
	fl_test_time += YIELD_NS;
	turn.spun += YIELD_NS;
}

/* No wake: the time passes asleep. */
FL_TEST_FUTEX_WAIT(sleep_on)
{
	turn.sleeps++;
	turn.slept_at = fl_test_time;
	fl_test_time = deadline;
	return -ETIMEDOUT;
}

static void clock_ours(void)
{
	memset(&turn, 0, sizeof turn);
	fl_test_clock_stands();
	fl__sys.relax = relax;
	fl__sys.yield = yield;
	fl__sys.futex_wait = sleep_on;
}

typedef int blocking(void *object, fl_time deadline);

static int sem_acquire(void *s, fl_time deadline)
{
	return fl_sem_acquire_until(s, deadline, NULL);
}

static int event_wait(void *e, fl_time deadline)
{
	return fl_event_wait_until(e, deadline, NULL);
}

static int latch_wait(void *l, fl_time deadline)
{
	return fl_latch_wait_until(l, deadline, NULL);
}

static int barrier_wait(void *b, fl_time deadline)
{
	return fl_barrier_wait_until(b, deadline, NULL);
}

static int cond_wait(void *c, fl_time deadline)
{
	fl_mutex m = FL_MUTEX_INIT;
	FL_LOCKED(&m);
	return fl_cond_wait_until(c, &m, deadline, NULL);
}

/*
 * A wait without a wake burns at most 100 us, each time, then sleeps once; and it is not shorter
 * than its deadline.
 */
static void burns_little(blocking *call, void *object, int expected)
{
	for (int i = 0; i < 200; i++) {
		const int64_t begin = fl_test_time;
		turn.spun = turn.slept_at = 0;
		turn.sleeps = 0;
		const int rc = call(object, FL__TIME(begin + FL_S(1)));
		assert_int_equal(rc, expected);
		assert_int_equal(turn.sleeps, 1);
		assert_true(turn.spun <= FL_US(100));
		assert_true(turn.slept_at - begin <= FL_US(100));
		assert_true(fl_test_time >= begin + FL_S(1));
	}
}

FL_TEST(parker_spin_of_a_wait_that_is_never_woken_is_bounded)
{
	fl_sem s = FL_SEM_INIT(0);
	fl_event e = FL_EVENT_INIT, bell = FL_EVENT_AUTO_INIT;
	fl_latch l = FL_LATCH_INIT(1);
	fl_barrier b = FL_BARRIER_INIT(2);
	fl_cond c = FL_COND_INIT;
	FL_FAULTS();
	clock_ours();
	burns_little(sem_acquire, &s, -ETIMEDOUT);
	burns_little(event_wait, &e, -ETIMEDOUT);
	burns_little(event_wait, &bell, -ETIMEDOUT);
	burns_little(latch_wait, &l, -ETIMEDOUT);
	burns_little(cond_wait, &c, -ETIMEDOUT);
	turn.spun = 0;
	FL_RC(barrier_wait(&b, fl_after(FL_S(1))), -ETIMEDOUT); /* which is queued at once, and looks there */
	assert_true(turn.spun <= FL_US(100));
}

/* A ready object is taken without a check; a wait with an expired deadline makes none. */
FL_TEST(parker_spin_is_not_begun_uselessly)
{
	fl_sem s = FL_SEM_INIT(1);
	FL_FAULTS();
	clock_ours();
	FL_OK(fl_sem_acquire(&s));
	FL_RC(fl_sem_acquire_until(&s, fl_now(), NULL), -ETIMEDOUT);
	FL_RC(fl_sem_acquire_until(&s, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(turn.relaxes, 0);
	assert_int_equal(turn.yields, 0);
	assert_int_equal(turn.sleeps, 0);
}

/* It ends with the deadline, where that comes first. */
FL_TEST(parker_spin_ends_with_the_deadline)
{
	fl_sem s = FL_SEM_INIT(0);
	FL_FAULTS();
	clock_ours();
	const int64_t begin = fl_test_time;
	FL_RC(fl_sem_acquire_until(&s, fl_after(1), NULL), -ETIMEDOUT);
	assert_int_equal(turn.yields, 0);
	assert_true(fl_test_time - begin <= FL_US(10));
}

static fl_sem awaited = FL_SEM_INIT(0); /* Each test leaves it without permits and waiters. */
static unsigned release_at;

/* The partner on another core: it releases while this thread checks. */
static void relax_and_release(void)
{
	relax();
	if (turn.relaxes == release_at)
		fl_sem_release(&awaited);
}

/* The partner on this core: it comes to run when this thread yields. */
static void yield_and_release(void)
{
	yield();
	fl_sem_release(&awaited);
}

/*
 * A waiter that finds a permit by a check never enqueues: neither side enters the lot, and none
 * sleeps.
 */
FL_TEST(parker_spin_finds_a_permit_before_the_enqueue)
{
	FL_FAULTS();
	clock_ours();
	fl__sys.relax = relax_and_release;
	release_at = 3;
	FL_OK(fl_sem_acquire_until(&awaited, fl_after(FL_S(1)), NULL));
	assert_int_equal(awaited.word_, 0); /* not even the mark of a waiter */
	assert_int_equal(turn.sleeps, 0);
}

/*
 * If partners wait for this core the checks before the first yield become few; if they run on
 * another core they become many again.
 */
FL_TEST(parker_spin_looks_as_success_tells)
{
	FL_FAULTS();
	clock_ours();
	fl__sys.yield = yield_and_release;
	unsigned few = 0;
	for (int i = 0; i < 1000; i++) {
		turn.relaxes = turn.yields = 0;
		FL_OK(fl_sem_acquire_until(&awaited, fl_after(FL_S(1)), NULL));
		assert_int_equal(turn.yields, 1);
		few += turn.relaxes <= 8;
	}
	assert_true(few > 950);

	fl__sys.relax = relax_and_release;
	unsigned found = 0;
	for (int i = 0; i < 1000; i++) {
		turn.relaxes = turn.yields = 0;
		release_at = 20;
		FL_OK(fl_sem_acquire_until(&awaited, fl_after(FL_S(1)), NULL));
		found += turn.yields == 0;
		while (fl_sem_try_acquire(&awaited) == 0)
			;
	}
	assert_true(found > 900);
}

/*
 * While yields are barred: after a wake by a thread on the same CPU there is no spin, since the
 * partner needs this CPU; after a wake from another CPU there is.
 */
static int cpu_of_waker, cpu_of_waiter;
static bool waking;

static int cpu(void)
{
	return waking ? cpu_of_waker : cpu_of_waiter;
}

FL_TEST_FUTEX_WAIT(sleep_until_released)
{
	turn.sleeps++;
	waking = true;
	fl_sem_release(&awaited);
	waking = false;
	return 0;
}

static unsigned relaxes_of_a_wait(void)
{
	turn.relaxes = turn.sleeps = 0;
	FL_OK(fl_sem_acquire(&awaited));
	assert_int_equal(turn.sleeps, 1);
	return turn.relaxes;
}

FL_TEST(parker_spin_is_not_begun_beside_the_waker)
{
	FL_FAULTS();
	clock_ours();
	fl__sys.futex_wait = sleep_until_released;
	fl__sys.cpu = cpu;
	fl__yield_ration = fl_test_time + FL_S(1);
	cpu_of_waker = 3;
	cpu_of_waiter = 5;
	for (unsigned i = 0; i < 200; i++)
		assert_true(relaxes_of_a_wait() > 0);
	cpu_of_waiter = 3;
	assert_true(relaxes_of_a_wait() > 0);
	unsigned spins = 0;
	for (unsigned i = 0; i < 640; i++)
		spins += relaxes_of_a_wait() > 0;
	assert_int_equal(spins, 10); /* trials */
	cpu_of_waiter = 5;
	while (relaxes_of_a_wait() == 0)
		;
	assert_true(relaxes_of_a_wait() > 0);
}

/*
 * A spin becomes as long as earlier waits of the thread would have needed. The partner releases at
 * `release_due`, on another CPU.
 */
static int64_t release_due;

static void release_if_due(void)
{
	if (fl_test_time < release_due)
		return;
	release_due = INT64_MAX;
	waking = true;
	fl_sem_release(&awaited);
	waking = false;
}

static void relax_until_due(void)
{
	relax();
	release_if_due();
}

static void yield_until_due(void)
{
	yield();
	release_if_due();
}

FL_TEST_FUTEX_WAIT(sleep_until_due)
{
	enum { WAKE_NS = 40000 };
	turn.sleeps++;
	fl_test_time = release_due;
	release_if_due();
	fl_test_time += WAKE_NS;
	return 0;
}

/* Waits for a release after so many nanoseconds. Returns for how long it spun. */
static int64_t wait_for_release(int64_t ns)
{
	turn.spun = turn.sleeps = 0;
	release_due = fl_test_time + ns;
	FL_OK(fl_sem_acquire(&awaited));
	return turn.spun;
}

static void begin_releases(void)
{
	clock_ours();
	fl__sys.relax = relax_until_due;
	fl__sys.yield = yield_until_due;
	fl__sys.futex_wait = sleep_until_due;
	fl__sys.cpu = cpu;
	fl__yield_ration = 0;
	cpu_of_waker = 3;
	cpu_of_waiter = 5;
	for (unsigned i = 0; i < 100; i++) /* a spin does not pay */
		(void)wait_for_release(FL_MS(1));
}

FL_TEST(parker_spin_grows_to_what_a_sleep_shows)
{
	FL_FAULTS();
	begin_releases();
	unsigned slept = 0;
	for (unsigned i = 0; i < 100; i++) {
		(void)wait_for_release(FL_US(24));
		slept += turn.sleeps;
	}
	assert_in_range(slept, 1, 5);
	(void)wait_for_release(FL_MS(1)); /* an exception changes nothing for long */
	slept = 0;
	for (unsigned i = 0; i < 100; i++) {
		(void)wait_for_release(FL_US(24));
		slept += turn.sleeps;
	}
	assert_true(slept <= 1);
}

/* Where a spin does not pay, it is one of pauses: between waits of 20 us and of 1 ms, too. */
FL_TEST(parker_spin_does_not_yield_where_that_does_not_pay)
{
	FL_FAULTS();
	begin_releases();
	for (unsigned i = 0; i < 200; i++) {
		turn.yields = 0;
		assert_true(wait_for_release(i % 2 ? FL_MS(1) : FL_US(20)) <= 64 * RELAX_NS);
		assert_int_equal(turn.yields, 0);
	}
	fl__sys.futex_wait = sleep_on;
	FL_RC(fl_sem_acquire_until(&awaited, fl_test_soon(), NULL), -ETIMEDOUT); /* teaches nothing */
	fl__sys.futex_wait = sleep_until_due;
	turn.yields = 0;
	(void)wait_for_release(FL_MS(1));
	assert_true(turn.yields > 0);

	for (unsigned i = 0; i < 100; i++)
		(void)wait_for_release(FL_US(5));
	int64_t spun = 0;
	for (unsigned i = 0; i < 10; i++)
		spun += wait_for_release(FL_MS(1));
	assert_true(spun <= 4 * FL_US(40));
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timed waits: every blocking operation, on a thread and in a fiber of a loop, with each kind of
 * deadline, and with faults of clocks and kernels. Time is the test's: a wait of a thousand seconds
 * ends when the test moves the clock.
 */
#include "fl_denied_flags.h"
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_kinds.h"

/* Each case waits in a loop, too. */
FL_ALL_NEED(FL_TEST_EVENTFD)

/* The wall clock of this program's library: the test sets it, and counts the reads. */
static int64_t wall_step;
static uint32_t wall_looks;

#if UINTPTR_MAX > 0xffffffff /* elsewhere the library calls it by another name */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, t);
	if (clock == CLOCK_REALTIME) {
		t->tv_sec += fl__load_relaxed(&wall_step);
		fl__add_relaxed(&wall_looks, 1);
	}
	return rc;
}
#endif

/*
 * The monotonic clock: the real one, and `fl_test_ahead`. The tested waits are those until
 * `watched`: they sleep for half a millisecond at most, so that they see the clock move; `sleeps`
 * of them have begun; the next `strikes` return `answer` at once.
 */
enum { NAP = 500000 };
static int64_t watched;
static uint32_t sleeps, strikes;
static int answer;

static bool strikes_one(void)
{
	uint32_t seen = fl__load_relaxed(&strikes);
	while (seen > 0)
		if (fl__cas_weak_relaxed(&strikes, &seen, seen - 1))
			return true;
	return false;
}

FL_TEST_FUTEX_WAIT(watched_futex_wait)
{
	if (deadline != fl__load_relaxed(&watched))
		return fl_test_real_sys.futex_wait(word, expected, deadline);
	fl__add_relaxed(&sleeps, 1);
	if (strikes_one())
		return answer;
	int64_t nap = fl_test_real_sys.now() + NAP;
	int rc = fl_test_real_sys.futex_wait(word, expected, nap < deadline ? nap : deadline);
	FL_CHECK(rc == 0 || rc == -EAGAIN || rc == -EINTR || rc == -ETIMEDOUT);
	return rc == -ETIMEDOUT ? 0 : rc;
}

FL_TEST_POLLER_WAIT(watched_poller_wait)
{
	/* A check is no sleep. */
	if (deadline != fl__load_relaxed(&watched) || deadline <= fl__sys.now())
		return fl_test_real_poller.wait(poller, events, n, deadline);
	fl__add_relaxed(&sleeps, 1);
	if (strikes_one())
		return answer == -EINTR ? -EINTR : 0; /* it knows no other that is no accident */
	int64_t nap = fl__sys.now() + NAP;
	int rc = fl_test_real_poller.wait(poller, events, n, nap < deadline ? nap : deadline);
	FL_CHECK(rc >= 0 || rc == -EINTR);
	return rc;
}

static void watch_waits(void)
{
	fl_test_clock_ours();
	fl__sys.futex_wait = watched_futex_wait;
	fl__poller_sys.wait = watched_poller_wait;
	fl__store_relaxed(&strikes, 0);
	fl__store_relaxed(&watched, 0);
}

#define WATCHED()                                                                                                      \
	FL_FAULTS();                                                                                                   \
	FL_POLLER_FAULTS();                                                                                            \
	watch_waits()

/* Waits that are not enqueued at a fixed key: they have a token, and are seen in its wait queue. */
static fl_cancel_token token;
static fl_queue *queue;

static void get_make(void)
{
	fl_cancel_token_init(&token, NULL, FL_FOREVER);
	queue = FL_TEST_QUEUE(int, .capacity = 1);
}

FL_CALL(get_wait)
{
	int item = 0, rc = fl_queue_get_until(queue, &item, deadline, &token);
	FL_CHECK(item == (rc == 0 ? 5 : 0));
	return rc;
}

static void get_finish(void)
{
	FL_OK(fl_queue_try_put(queue, &(int){5}));
}

static void put_make(void)
{
	get_make();
	get_finish();
}

FL_CALL(put_wait)
{
	return fl_queue_put_until(queue, &(int){5}, deadline, &token);
}

static void put_finish(void)
{
	int item = 0;
	FL_CHECK(fl_queue_try_get(queue, &item) == 0 && item == 5);
}

static void queue_clear(void)
{
	fl_queue_free(queue);
	fl_cancel_token_destroy(&token);
}

static void sleep_make(void)
{
	fl_cancel_token_init(&token, NULL, FL_FOREVER);
}

/* The deadline is what it waits for: the result is 0. */
FL_CALL(sleep_wait)
{
	int rc = fl_sleep_until(deadline, &token);
	return rc == 0 ? -ETIMEDOUT : rc;
}

static void sleep_finish(void)
{
	fl_cancel_token_request(&token);
}

static void sleep_clear(void)
{
	fl_cancel_token_destroy(&token);
}

static const fl_kind more_kinds[] = {
    {"get", NULL, get_make, get_wait, get_finish, queue_clear, &token, 0, true, true, true},
    {"put", NULL, put_make, put_wait, put_finish, queue_clear, &token, 0, true, true, true},
    {"sleep", NULL, sleep_make, sleep_wait, sleep_finish, sleep_clear, &token, -ECANCELED, false, true, false},
};
enum { ALL_KINDS = FL_KINDS + sizeof more_kinds / sizeof more_kinds[0] };

static const fl_kind *kind_at(size_t i)
{
	return i < FL_KINDS ? &fl_kinds[i] : &more_kinds[i - FL_KINDS];
}

/* Locks and waits preserve errno (fairlead/defs.h). */
static int wait_with_errno(const fl_kind *kind, fl_time deadline, fl_cancel_token *cancel)
{
	errno = EDOM;
	const int rc = kind->wait(NULL, deadline, cancel);
	FL_CHECK(errno == EDOM);
	return rc;
}

/* Where the call is made: on the thread itself, or in a fiber of a loop that the thread runs. */
struct in_fiber {
	const fl_kind *kind;
	fl_time deadline;
};

static int wait_in_fiber(void *arg)
{
	const struct in_fiber *call = arg;
	return wait_with_errno(call->kind, call->deadline, NULL);
}

FL_CALL(on_a_loop)
{
	return fl_loop_run(wait_in_fiber, &(struct in_fiber){object, deadline});
}

FL_CALL(on_a_thread)
{
	return wait_with_errno(object, deadline, cancel);
}

static fl_test_call *const contexts[] = {on_a_thread, on_a_loop};
enum { CONTEXTS = sizeof contexts / sizeof contexts[0] };

/* Calls `run` for each kind in each context, with an object of its own. */
static void for_each(void (*run)(const fl_kind *kind, fl_test_call *call))
{
	for (size_t c = 0; c < CONTEXTS; c++) {
		for (size_t i = 0; i < ALL_KINDS; i++) {
			const fl_kind *kind = kind_at(i);
			kind->make();
			print_message("%s%s\n", kind->name, contexts[c] == on_a_loop ? ", in a fiber" : "");
			run(kind, contexts[c]);
			kind->clear();
		}
	}
}

static const void *key_of(const fl_kind *kind)
{
	return kind->key ? kind->key : fl_kind_key;
}

/* The call is made on a new thread, and is enqueued: the only waiter. */
static void line_up(fl_test_caller *c, fl_test_call *call, void *object, const void *key, fl_time deadline)
{
	fl_test_call_start(c, call, object, deadline, NULL);
	FL_WAIT_FOR(fl_test_queued(key) == 1);
}

/* The same, and it has gone to sleep. */
static void begin(fl_test_caller *c, const fl_kind *kind, fl_test_call *call, fl_time deadline)
{
	fl__store_relaxed(&watched, deadline.ns);
	uint32_t before = fl__load_relaxed(&sleeps);
	line_up(c, call, (void *)kind, key_of(kind), deadline);
	FL_WAIT_FOR(fl__load_relaxed(&sleeps) > before);
}

/* It continues to wait, whatever it has seen since: two more checks, and it is enqueued. */
static void still_waits(const fl_kind *kind)
{
	uint32_t before = fl__load_relaxed(&sleeps);
	FL_WAIT_FOR(fl__load_relaxed(&sleeps) >= before + 2);
	assert_int_equal(fl_test_queued(key_of(kind)), 1);
}

static void ends_by_its_wake(fl_test_caller *c, const fl_kind *kind)
{
	kind->finish();
	FL_RC(fl_test_call_end(c), kind->done);
}

static void ends_by_the_clock(fl_test_caller *c, fl_time deadline)
{
	fl__store_relaxed(&fl_test_ahead, deadline.ns - fl_test_real_sys.now());
	FL_RC(fl_test_call_end(c), -ETIMEDOUT);
	fl__store_relaxed(&fl_test_ahead, 0);
}

/* A case for each kind in each context, with watched waits. */
#define WAIT_TEST(name)                                                                                                \
	static void name##_of(const fl_kind *kind, fl_test_call *call);                                                \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		WATCHED();                                                                                             \
		for_each(name##_of);                                                                                   \
	}                                                                                                              \
	static void name##_of(const fl_kind *kind, fl_test_call *call)

/* A deadline that has passed, whatever its number, means: try once, and do not sleep. */
static void tries_once(const fl_kind *kind, fl_test_call *call, fl_time deadline)
{
	fl__store_relaxed(&watched, deadline.ns);
	uint32_t before = fl__load_relaxed(&sleeps);
	FL_RC(call((void *)kind, deadline, NULL), -ETIMEDOUT);
	assert_int_equal(fl__load_relaxed(&sleeps), before);
	assert_int_equal(fl_test_queued(key_of(kind)), 0);
	if (!kind->at_once)
		return;
	kind->finish();
	FL_RC(call((void *)kind, deadline, NULL), kind->done);
	kind->clear();
	kind->make();
}

WAIT_TEST(timed_wait_past_deadline)
{
	tries_once(kind, call, fl_now());
	tries_once(kind, call, fl_after(-1));
	tries_once(kind, call, fl_after(-FL_S(5)));
	tries_once(kind, call, FL_NO_WAIT);
}

WAIT_TEST(timed_wait_negative_deadline)
{
	tries_once(kind, call, FL_NO_WAIT);
	tries_once(kind, call, FL__TIME(-FL_S(1)));
	tries_once(kind, call, FL__TRY);
	tries_once(kind, call, fl_after(INT64_MIN));
}

/* A deadline that never comes: neither the kernel nor an overflow makes it come earlier. */
static fl_time huge;

FL_TEST_FUTEX_WAIT(any_futex_wait)
{
	int rc = fl_test_real_sys.futex_wait(word, expected, deadline);
	/* The kernel accepts the number, and the deadline has not passed. */
	FL_CHECK(rc == 0 || rc == -EAGAIN || rc == -EINTR);
	return rc;
}

FL_TEST_POLLER_WAIT(any_poller_wait)
{
	FL_CHECK(deadline == 0 || deadline > FL__NEVER / 4);
	fl__add_relaxed(&sleeps, deadline != 0);
	int rc = fl_test_real_poller.wait(poller, events, n, deadline);
	FL_CHECK(deadline == 0 || rc > 0 || rc == -EINTR);
	return rc;
}

static void waits_until_huge(const fl_kind *kind, fl_test_call *call)
{
	fl_test_caller c;
	uint32_t before = fl__load_relaxed(&sleeps);
	line_up(&c, call, (void *)kind, key_of(kind), huge);
	FL_WAIT_FOR(fl_test_asleep(key_of(kind)) == 1 || fl__load_relaxed(&sleeps) > before);
	assert_int_equal(fl_test_queued(key_of(kind)), 1);
	ends_by_its_wake(&c, kind);
}

FL_TEST(timed_wait_huge_deadline)
{
	const fl_time all[] = {
	    FL_FOREVER, {INT64_MAX - 1}, {INT64_MAX / 2}, fl_after(FL_DURATION_MAX), {FL_S(9000000000)}};
	FL_FAULTS();
	FL_POLLER_FAULTS();
	fl__sys.futex_wait = any_futex_wait;
	fl__poller_sys.wait = any_poller_wait;
	FL_EACH (i, all) {
		huge = all[i];
		for_each(waits_until_huge);
	}
}

/*
 * The machine was suspended, or a debugger held it: the clock jumps, short of the deadline and then
 * beyond it.
 */
WAIT_TEST(clock_jump)
{
	fl_test_caller c;
	fl_time deadline = fl_after(FL_S(1000));
	begin(&c, kind, call, deadline);
	fl__store_relaxed(&fl_test_ahead, FL_S(900));
	still_waits(kind);
	ends_by_the_clock(&c, deadline);
	deadline = fl_after(FL_S(1000));
	begin(&c, kind, call, deadline);
	fl__store_relaxed(&fl_test_ahead, FL_S(900));
	still_waits(kind);
	ends_by_its_wake(&c, kind);
	fl__store_relaxed(&fl_test_ahead, 0);
}

/*
 * It jumps beyond the deadline after the wake: a woken waiter has what it waited for, or left it;
 * never half.
 */
WAIT_TEST(clock_jump_at_the_wake)
{
	fl_test_caller c;
	fl_time deadline = fl_after(FL_S(1000));
	begin(&c, kind, call, deadline);
	kind->finish();
	fl__store_relaxed(&fl_test_ahead, FL_S(2000));
	FL_RC(fl_test_call_end(&c), kind->done);
	fl__store_relaxed(&fl_test_ahead, 0);
}

/*
 * The clock stands still for some reads, one nanosecond short, while the kernel reports a timeout:
 * the wait goes on until the clock has passed the deadline.
 */
enum { STILL_LOOKS = 40 };
static uint32_t still_looks;
static int64_t still_at;

static int64_t still_now(void)
{
	uint32_t left = fl__load_relaxed(&still_looks);
	while (left > 0)
		if (fl__cas_weak_relaxed(&still_looks, &left, left - 1))
			return fl__load_relaxed(&still_at);
	return fl_test_clock_now();
}

static void waits_while_it_stands(const fl_kind *kind, fl_test_call *call)
{
	const fl_time deadline = fl_after(1);
	fl__store_relaxed(&still_at, deadline.ns - 1);
	fl__store_relaxed(&watched, deadline.ns);
	fl__store_relaxed(&strikes, UINT32_MAX);
	answer = -ETIMEDOUT;
	fl__store_relaxed(&still_looks, STILL_LOOKS);
	FL_RC(call((void *)kind, deadline, NULL), -ETIMEDOUT);
	/*
	 * Other threads read, too, but not for ever: so all reads were made, or the wait ended
	 * without them.
	 */
	assert_int_equal(fl__load_relaxed(&still_looks), 0);
	fl__store_relaxed(&strikes, 0);
}

FL_TEST(clock_stands_still)
{
	WATCHED();
	fl__sys.now = still_now;
	for_each(waits_while_it_stands);
}

/* faketime moves the clock that a program reads, by days, and not that of the kernel. */
static void waits_by_a_moved_clock(const fl_kind *kind, fl_test_call *call)
{
	static const int64_t moves[] = {FL_S(15 * 86400), -FL_S(15 * 86400)};
	FL_EACH (i, moves) {
		fl__store_relaxed(&fl_test_ahead, moves[i]);
		FL_RC(call((void *)kind, fl_test_soon(), NULL), -ETIMEDOUT);
		fl__sys.nap(); /* a sleep of 15 days would end the program at its timeout */
	}
	fl__store_relaxed(&fl_test_ahead, 0);
}

FL_TEST(clock_that_a_tool_has_moved)
{
	FL_FAULTS();
	fl__sys.now = fl_test_clock_now;
	for_each(waits_by_a_moved_clock);
}

/* The wall clock is set back and forth: the library does not read it. */
static void waits_by_another_clock(const fl_kind *kind, fl_test_call *call)
{
	static const int64_t steps[] = {-3600, 3600, -1000000000, 1000000000};
	fl_test_caller c;
	fl_time deadline = fl_after(FL_S(1000));
	begin(&c, kind, call, deadline);
	FL_EACH (i, steps) {
		fl__store_relaxed(&wall_step, steps[i]);
		still_waits(kind);
	}
	ends_by_the_clock(&c, deadline);
	fl__store_relaxed(&wall_step, 0);
}

FL_TEST(clock_realtime_set_back)
{
#if defined FL__OS_POSIX && !defined __GLIBC__
	FL_SKIP("without sem_clockwait() each sleep of the library goes by the wall clock");
#endif
	WATCHED();
	fl__store_relaxed(&wall_looks, 0);
	for_each(waits_by_another_clock);
	assert_int_equal(fl__load_relaxed(&wall_looks), 0);
}

/* Each answer of the kernel that is neither a wake nor the time, a thousand times. */
static void waits_through_a_storm(const fl_kind *kind, fl_test_call *call)
{
	FL_BOTH (by_wake) {
		fl_test_caller c;
		fl_time deadline = fl_after(FL_S(1000));
		fl__store_relaxed(&strikes, 1000);
		begin(&c, kind, call, deadline);
		FL_WAIT_FOR(fl__load_relaxed(&strikes) == 0);
		still_waits(kind);
		if (by_wake)
			ends_by_its_wake(&c, kind);
		else
			ends_by_the_clock(&c, deadline);
	}
}

static void storm_of(int rc)
{
	WATCHED();
	answer = rc;
	for_each(waits_through_a_storm);
}

FL_TEST(timed_wait_eintr_storm)
{
	storm_of(-EINTR);
}

FL_TEST(timed_wait_eagain_is_not_timeout)
{
	storm_of(-EAGAIN);
}

FL_TEST(timed_wait_spurious_wakes)
{
	storm_of(0);
}

FL_TEST(timed_wait_early_etimedout)
{
	storm_of(-ETIMEDOUT);
}

/*
 * Real signals, from another thread, every few microseconds. ThreadSanitizer delays them for
 * threads that sleep in the kernel.
 */
#ifdef FL__TSAN
enum { SIGNALS_ARRIVE = 0 };
#else
enum { SIGNALS_ARRIVE = 1 };
#endif
static uint32_t signals_seen, sleeper_tid, storm_over;

static void count_signal(int number)
{
	fl__add_relaxed(&signals_seen, 1);
}

static int signal_all_the_time(void *unused)
{
	while (!fl__load_acquire(&storm_over)) {
		int tid = (int)fl__load_acquire(&sleeper_tid);
		if (tid != 0)
			(void)syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
		for (int i = 0; i < 50; i++)
			fl__sys.relax();
		fl__sys.yield();
	}
	return 0;
}

struct signalled {
	const fl_kind *kind;
	fl_test_call *call;
};

FL_CALL(signalled_wait)
{
	const struct signalled *s = object;
	fl__store_release(&sleeper_tid, (uint32_t)syscall(SYS_gettid));
	int rc = s->call((void *)s->kind, deadline, cancel);
	fl__store_release(&sleeper_tid, 0);
	return rc;
}

static void waits_through_signals(const fl_kind *kind, fl_test_call *call)
{
	struct signalled s = {kind, call};
	FL_BOTH (by_wake) {
		fl_test_caller c;
		fl_thread *storm;
		fl_time deadline = fl_after(FL_S(1000));
		fl__store_relaxed(&storm_over, 0);
		fl__store_relaxed(&watched, deadline.ns);
		line_up(&c, signalled_wait, &s, key_of(kind), deadline);
		uint32_t before = fl__load_relaxed(&signals_seen);
		fl_test_go(&storm, signal_all_the_time, NULL);
		FL_WAIT_FOR(fl__load_relaxed(&signals_seen) - before >= 100);
		assert_int_equal(fl_test_queued(key_of(kind)), 1);
		if (by_wake)
			kind->finish();
		else
			fl__store_relaxed(&fl_test_ahead, FL_S(2000));
		FL_RC(fl_test_call_end(&c), by_wake ? kind->done : -ETIMEDOUT);
		fl__store_relaxed(&fl_test_ahead, 0);
		fl__store_release(&storm_over, 1);
		fl_test_end(storm);
	}
}

FL_TEST(timed_wait_signal_storm)
{
	if (!SIGNALS_ARRIVE)
		skip();
	struct sigaction before, counting = {.sa_handler = count_signal, .sa_flags = fl_denied_sa_flags()};
	FL_OK(sigaction(SIGUSR1, &counting, &before));
	WATCHED();
	for_each(waits_through_signals);
	FL_OK(sigaction(SIGUSR1, &before, NULL));
}

/* The systems that sleep for a span, and not until a deadline, sleep in pieces. */
FL_TEST(timed_wait_sleeps_for_the_time_that_is_left)
{
	const int64_t now = fl__sys.now();
	assert_int_equal(fl__time_left(now, 5), 0);
	assert_int_equal(fl__time_left(INT64_MAX, 5), 5);
	assert_in_range(fl__time_left(now + FL_S(1000), INT64_MAX), 1, FL_S(1000));
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge. The table of system calls is wrapped once, before main(): bridges outlive a case, so
 * no case replaces it.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"
#include "fl_shm_child.h"

FL_ALL_NEED(FL_TEST_EVENTFD) /* the fibers' loops do, some in children */

enum fault { NONE, EINTR_ALWAYS, EAGAIN_ALWAYS, SPURIOUS_ALWAYS };

static struct fl__sys real;
static uint32_t fault, no_threads, lacks, started, sleeps, soon_bored;
static uint32_t one_each; /* this system has no futex_waitv, so a bridge serves one word */

static uint32_t look(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static int fake_wait_many(struct fl__futex *words, unsigned n, int64_t deadline)
{
	if (fl__load_relaxed(&lacks))
		return -(int)fl__load_relaxed(&lacks);
	fl__add_relaxed(&sleeps, 1);
	uint32_t now = fl__load_relaxed(&fault);
	if (now != NONE && fl__add_relaxed(&sleeps, 1) % 4 != 0) { /* else it would never sleep */
		real.yield();
		return now == EINTR_ALWAYS ? -EINTR : now == EAGAIN_ALWAYS ? -EAGAIN : 0;
	}
	if (deadline != FL__NEVER && fl__load_relaxed(&soon_bored)) {
		/* a waiter may come now: it changes the bridge's own word */
		for (int i = 0; i < 5 && look((const uint32_t *)(uintptr_t)words[0].word) == words[0].expected; i++)
			real.yield();
		return -ETIMEDOUT;
	}
	const int rc = real.wait_many(words, n, deadline);
	if (rc == -ENOSYS || rc == -EPERM)
		fl__store_relaxed(&one_each, 1);
	return rc;
}

/* Where there is no futex_waitv, this is how a bridge sleeps. */
FL_TEST_FUTEX_WAIT(counted_wait)
{
	fl__add_relaxed(&sleeps, 1);
	return real.shared_wait(word, expected, deadline);
}

FL_TEST_THREAD_CREATE(fake_create)
{
	sigset_t blocked;
	FL_OK(pthread_sigmask(SIG_SETMASK, NULL, &blocked));
	if (!sigismember(&blocked, SIGTERM)) /* one of the test's own */
		return real.thread_create(thread, attr, routine, arg);
	if (fl__load_relaxed(&no_threads))
		return -EAGAIN;
	fl__add_relaxed(&started, 1);
	return real.thread_create(thread, attr, routine, arg);
}

__attribute__((constructor)) static void wrap(void)
{
	real = fl__sys;
	fl__sys.wait_many = fake_wait_many;
	fl__sys.shared_wait = counted_wait;
	fl__sys.thread_create = fake_create;
}

/* For cases that also run in a child. */
#define IS(expr, expected) FL_CHECK((expr) == (expected))

/* For cases with threads in a child. */
#define NEEDS_CHILD()                                                                                                  \
	do {                                                                                                           \
		if (!fl_test_children_have_threads())                                                                  \
			FL_SKIP(FL_TEST_CHILDREN_REASON);                                                              \
	} while (0)
#define CHILD(function, arg) FL_OK(fl_test_child(function, arg, NULL, 0))

static void change(uint32_t *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
	(void)fl__sys.shared_wake(word, INT_MAX);
}

/* Waits until the word is not 0. */
FL_CALL(wait_for_word)
{
	int rc = 0;
	while (rc == 0 && look(object) == 0)
		rc = fl__bridge_wait(object, 0, deadline, cancel);
	return rc;
}

/* In every system call that a bridge may meet. */
static void with_each_fault(void (*run)(void))
{
	for (uint32_t f = NONE; f <= SPURIOUS_ALWAYS; f++) {
		fl__store_relaxed(&fault, f);
		run();
	}
	fl__store_relaxed(&fault, NONE);
}

static void wait_and_change(void)
{
	FL_TEST_SHARED(uint32_t, word);
	fl_test_caller c[3];
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	FL_EACH (i, c)
		fl_test_call_start(&c[i], wait_for_word, word, FL_FOREVER, i == 1 ? &token : NULL);
	change(word);
	FL_EACH (i, c)
		FL_OK(fl_test_call_end(&c[i]));
}

static void many_rounds(void)
{
	for (unsigned i = 0; i < fl_test_scaled(100); i++)
		wait_and_change();
}

FL_TEST(shm_bridge_wakes)
{
	with_each_fault(many_rounds);
}

FL_TEST(shm_bridge_wait_results)
{
	FL_TEST_SHARED(uint32_t, word);
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	*word = 1;
	FL_OK(fl__bridge_wait(word, 0, FL_NO_WAIT, NULL));
	FL_RC(fl__bridge_wait(word, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_time deadline = fl_after(FL_MS(2));
	*word = 0;
	FL_RC(wait_for_word(word, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	fl_test_caller c;
	fl_test_call_start(&c, wait_for_word, word, FL_FOREVER, &token);
	fl_cancel_token_request(&token);
	FL_RC(fl_test_call_end(&c), -ECANCELED);
	FL_RC(wait_for_word(word, FL_FOREVER, &token), -ECANCELED);
}

static int wait_in_fiber(void *word)
{
	return wait_for_word(word, FL_FOREVER, NULL);
}

static int change_when_all_wait(void *words)
{
	uint32_t *w = words;
	fl_fiber *f[20];
	FL_EACH (i, f)
		f[i] = fl_test_start(wait_in_fiber, words);
	fl_test_settle();
	change(&w[0]);
	FL_OK(wait_for_word(&w[1], FL_FOREVER, NULL));
	FL_EACH (i, f)
		FL_OK(fl_test_join(f[i]));
	return 0;
}

static int change_second(void *words)
{
	uint32_t *w = words;
	while (look(&w[0]) == 0)
		real.yield();
	change(&w[1]);
	return 0;
}

FL_TEST(shm_bridge_serves_fibers)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* of the loop that begins after the thread */
	FL_TEST_SHARED_MANY(uint32_t, words, 2);
	fl_thread *other;
	fl_test_go(&other, change_second, words);
	fl_test_in_loop(change_when_all_wait, words);
	fl_test_end(other);
}

/* An object for fl_wait_any: ready when the word is not 0. */
static bool word_ready(void *word)
{
	return look(word) != 0;
}

static bool word_arm(void *word, struct fl__node *node)
{
	return fl__bridge_arm(word, 0, node);
}

static void word_disarm(void *word, struct fl__node *node)
{
	fl__bridge_disarm(NULL, node);
}

static const fl_on_type on_word = {word_ready, word_arm, word_disarm, NULL};
#define ON_WORD(w) FL__ON(on_word, (w))

typedef struct any {
	uint32_t *words;
	fl_event e;
} any;

FL_CALL(wait_any)
{
	any *a = object;
	return FL_WAIT_ANY_UNTIL(deadline, cancel, ON_WORD(&a->words[0]), FL_ON_EVENT(&a->e), ON_WORD(&a->words[1]));
}

static void any_of_each(void)
{
	for (int which = 0; which < 4; which++) {
		FL_TEST_SHARED_MANY(uint32_t, words, 2);
		any a = {words, FL_EVENT_INIT};
		fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		fl_test_call_start(&c, wait_any, &a, FL_FOREVER, &token);
		FL_WAIT_FOR(fl_test_call_is_queued(&c, &a.e) || fl__load_relaxed(&no_threads));
		if (which == 1)
			fl_event_set(&a.e);
		else if (which == 3)
			fl_cancel_token_request(&token);
		else
			change(&a.words[which / 2]);
		IS(fl_test_call_end(&c), which == 3 ? -ECANCELED : which);
		FL_CHECK(fl_test_queued(&a.e) == 0);
	}
}

FL_TEST(shm_bridge_wait_any)
{
	with_each_fault(any_of_each);
	FL_TEST_SHARED_MANY(uint32_t, words, 2);
	any a = {words, FL_EVENT_INIT};
	FL_RC(wait_any(&a, fl_test_soon(), NULL), -ETIMEDOUT);
	change(&a.words[1]);
	FL_RC(wait_any(&a, FL_NO_WAIT, NULL), 2);
}

/* More than one bridge has room for, each on a word of its own, in as many fibers. */
enum { CROWD = 300 };

static void crowd(void)
{
	FL_TEST_SHARED_MANY(uint32_t, words, CROWD);
	fl_test_fibers fibers;
	uint32_t before = fl__load_relaxed(&started);
	fl_test_fibers_begin(&fibers, wait_in_fiber, words, sizeof *words, CROWD);
	for (int round = 0; round < 2; round++)
		for (int i = round; i < CROWD; i += 2)
			change(&words[i]);
	fl_test_fibers_end(&fibers);
	/* A bridge for each, when one serves one word alone, or ends as soon as it has none. */
	const bool one_for_each =
	    fl__load_relaxed(&one_each) || fl__load_relaxed(&lacks) || fl__load_relaxed(&soon_bored);
	FL_CHECK(fl__load_relaxed(&started) - before <= (one_for_each ? CROWD : 3));
}

/* Every word that changed in one go is seen, however many wakes came at once. */
FL_TEST(shm_bridge_several_at_once)
{
	FL_TEST_SHARED_MANY(uint32_t, words, CROWD);
	for (unsigned round = 0; round < fl_test_scaled(20); round++) {
		memset(words, 0, CROWD * sizeof *words);
		fl_test_fibers fibers;
		fl_test_fibers_begin(&fibers, wait_in_fiber, words, sizeof *words, 100);
		for (int i = 0; i < 100; i++)
			__atomic_store_n(&words[i], 1, __ATOMIC_RELEASE);
		for (int i = 99; i >= 0; i--)
			(void)fl__sys.shared_wake(&words[i], INT_MAX);
		fl_test_fibers_end(&fibers);
	}
}

/* Locks. */

typedef struct guarded {
	struct fl__shm_lock lock;
	uint32_t inside, count;
} guarded;

static void let_go(guarded *g)
{
	fl__shm_release(&g->lock, fl__shm_hold(&g->lock, 0), false);
}

/* `rc`: of an acquire. */
static int count_inside(guarded *g, int rc)
{
	if (rc != 0 && rc != -EOWNERDEAD)
		return rc;
	if (rc == -EOWNERDEAD)
		g->inside = 0;
	FL_CHECK(g->inside++ == 0);
	g->count++;
	g->inside--;
	let_go(g);
	return rc;
}

FL_CALL(take_it)
{
	guarded *g = object;
	return count_inside(g, fl__bridge_acquire(&g->lock, 0, deadline, cancel));
}

FL_CALL(take_plainly)
{
	guarded *g = object;
	return count_inside(g, fl__shm_acquire(&g->lock, 0, deadline));
}

static bool has_waiters(guarded *g)
{
	return look(fl__shm_word(&g->lock)) & FL__SHM_WAITERS;
}

static void take_results(void)
{
	FL_TEST_SHARED(guarded, g);
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_test_caller c;
	FL_OK(fl__bridge_acquire(&g->lock, 0, FL_NO_WAIT, NULL));
	IS(fl__bridge_acquire(&g->lock, 0, FL_FOREVER, NULL), -EDEADLK);
	fl_test_call_start(&c, take_it, g, FL_NO_WAIT, NULL);
	IS(fl_test_call_end(&c), -ETIMEDOUT);
	fl_test_call_start(&c, take_it, g, fl_test_soon(), NULL);
	IS(fl_test_call_end(&c), -ETIMEDOUT);
	fl_test_call_start(&c, take_it, g, FL_FOREVER, &token);
	fl_cancel_token_request(&token);
	IS(fl_test_call_end(&c), -ECANCELED);
	fl_test_call_start(&c, take_it, g, FL_FOREVER, NULL);
	FL_WAIT_FOR(has_waiters(g) || fl__load_relaxed(&no_threads));
	let_go(g);
	FL_OK(fl_test_call_end(&c));
}

FL_TEST(shm_bridge_take_results)
{
	with_each_fault(take_results);
}

typedef struct hammer {
	guarded *g;
	unsigned rounds;
	bool bridged;
	fl_cancel_token *cancel;
	uint32_t *taken;
} hammer;

static int strike(void *arg)
{
	hammer *h = arg;
	for (unsigned i = 0; i < h->rounds; i++) {
		fl_time deadline = i % 3 == 0 ? fl_after(FL_US(i % 50)) : FL_FOREVER;
		int rc = h->bridged ? take_it(h->g, deadline, NULL) : take_plainly(h->g, deadline, NULL);
		FL_CHECK(rc == 0 || (rc == -ETIMEDOUT && !fl__is_forever(deadline)));
		if (rc == 0)
			fl__add_relaxed(h->taken, 1);
	}
	return 0;
}

/* Plain and bridged waiters of one lock, some of which give up: a lost wake would hang all. */
static void mixed(void)
{
	FL_TEST_SHARED(guarded, g);
	uint32_t taken = 0;
	hammer plain = {g, fl_test_scaled(2000), false, NULL, &taken},
	       bridged = {g, fl_test_scaled(400), true, NULL, &taken};
	fl_thread *threads[4];
	FL_EACH (i, threads)
		fl_test_go(&threads[i], strike, i % 2 ? &bridged : &plain);
	FL_END_ALL(threads);
	FL_CHECK(g->count == taken);
}

FL_TEST(shm_bridge_mixed_waiters_of_a_lock)
{
	with_each_fault(mixed);
}

/* Several locks at once, each with a bridge of its own. */
FL_TEST(shm_bridge_several_locks)
{
	enum { N = 5 };
	FL_TEST_SHARED_MANY(guarded, g, N);
	fl_test_caller c[N];
	for (int i = 0; i < N; i++)
		FL_OK(fl__shm_acquire(&g[i].lock, 0, FL_FOREVER));
	FL_EACH (i, c)
		fl_test_call_start(&c[i], take_it, &g[i], FL_FOREVER, NULL);
	for (int i = 0; i < N; i++)
		FL_WAIT_FOR(has_waiters(&g[i]));
	for (int i = 0; i < N; i++)
		let_go(&g[i]);
	FL_EACH (i, c) {
		FL_OK(fl_test_call_end(&c[i]));
		assert_int_equal(g[i].count, 1);
	}
}

static void die_with_it(void *arg)
{
	guarded *g = arg;
	FL_OK(fl__shm_acquire(&g->lock, 0, FL_FOREVER));
	(void)kill(getpid(), SIGKILL);
}

FL_TEST(shm_bridge_take_from_a_dead_owner)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(guarded, g);
	for (int i = 0; i < 3; i++) {
		fl_test_child_dies(die_with_it, g, SIGKILL, NULL);
		FL_RC(fl__bridge_acquire(&g->lock, 0, FL_FOREVER, NULL), -EOWNERDEAD);
		let_go(g);
	}
}

static int strike_with_two(void *arg)
{
	guarded *g = arg;
	fl_thread *other;
	hammer h = {g, UINT_MAX, true, NULL, &g->count};
	fl_test_go(&other, strike, &h);
	return strike(&h);
}

/* kill9_waiter: a waiter that was woken through its bridge is killed; the wake reaches the next. */
FL_TEST(shm_bridge_kill9_waiter)
{
	NEEDS_CHILD();
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(guarded, g);
	for (unsigned i = 0; i < fl_test_scaled(100); i++) {
		fl_test_caller c;
		int rc = fl__shm_acquire(&g->lock, 0, FL_FOREVER);
		FL_OK_OR(rc, -EOWNERDEAD);
		g->inside = 0;
		pid_t pid = fl_test_fork(strike_with_two, g);
		FL_WAIT_FOR(has_waiters(g));
		fl_test_call_start(&c, i % 2 ? take_it : take_plainly, g, FL_FOREVER, NULL);
		let_go(g);
		for (unsigned spin = 0; spin < i * 20; spin++)
			fl__sys.relax();
		fl_test_kill(pid);
		rc = fl_test_call_end(&c);
		FL_OK_OR(rc, -EOWNERDEAD);
	}
}

static void all_of_it(void)
{
	many_rounds();
	any_of_each();
	crowd();
	take_results();
	mixed();
}

/* In a child, which has no bridges yet. */

static void as_usual(void *unused)
{
	all_of_it();
}

FL_TEST(shm_bridge_fork)
{
	NEEDS_CHILD();
	wait_and_change();
	for (int i = 0; i < 3; i++)
		CHILD(as_usual, NULL);
	wait_and_change();
}

static int fork_and_wait(void *word)
{
	(void)wait_for_word(word, FL_FOREVER, NULL);
	return 0;
}

/*
 * The child is forked while threads wait: it has no waiters, and in the parent they are woken as
 * usual.
 */
FL_TEST(shm_bridge_fork_while_waiting)
{
	NEEDS_CHILD();
	FL_TEST_SHARED(uint32_t, word);
	fl_test_fibers fibers;
	uint32_t before = fl__load_relaxed(&sleeps);
	fl_test_fibers_begin(&fibers, fork_and_wait, word, 0, 10);
	FL_WAIT_FOR(fl__load_relaxed(&sleeps) > before);
	CHILD(as_usual, NULL);
	change(word);
	fl_test_fibers_end(&fibers);
}

/* A thread waits until a bridge starts for it. */
static void start_a_bridge(void)
{
	FL_TEST_SHARED(uint32_t, word);
	fl_test_caller c;
	const uint32_t before = fl__load_relaxed(&started);
	fl_test_call_start(&c, wait_for_word, word, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl__load_relaxed(&started) > before);
	change(word);
	FL_OK(fl_test_call_end(&c));
}

static void without_threads(void *unused)
{
	fl__store_relaxed(&no_threads, 1);
	uint32_t before = fl__load_relaxed(&started);
	wait_and_change();
	any_of_each();
	crowd();
	take_results();
	IS(fl__load_relaxed(&started), before);
	fl__store_relaxed(&no_threads, 0); /* then there are some again */
	start_a_bridge();
}

FL_TEST(shm_bridge_without_threads)
{
	NEEDS_CHILD();
	CHILD(without_threads, NULL);
}

static void without_waitv(void *error)
{
	fl__store_relaxed(&lacks, *(uint32_t *)error);
	all_of_it();
}

FL_TEST(shm_bridge_without_waitv)
{
	NEEDS_CHILD();
	uint32_t errors[] = {ENOSYS, EPERM};
	FL_EACH (i, errors)
		CHILD(without_waitv, &errors[i]);
}

/* It turns out when a bridge serves many already. */
static void waitv_goes_away(void *unused)
{
	FL_TEST_SHARED_MANY(uint32_t, words, CROWD);
	fl_test_fibers fibers;
	uint32_t before = fl__load_relaxed(&sleeps);
	fl_test_fibers_begin(&fibers, wait_in_fiber, words, sizeof *words, 30);
	FL_WAIT_FOR(fl__load_relaxed(&sleeps) > before);
	fl__store_relaxed(&lacks, ENOSYS);
	for (int i = 0; i < 30; i++)
		change(&words[i]);
	fl_test_fibers_end(&fibers);
}

FL_TEST(shm_bridge_waitv_goes_away)
{
	NEEDS_CHILD();
	CHILD(waitv_goes_away, NULL);
}

static unsigned threads_now(void)
{
	return fl_test_entries("/proc/self/task");
}

static void gets_bored(void *unused)
{
	unsigned before = threads_now();
	start_a_bridge();
	fl__store_relaxed(&soon_bored, 1);
	wait_and_change();
	FL_WAIT_FOR(threads_now() == before);
	all_of_it();
	FL_WAIT_FOR(threads_now() == before);
}

/* An unused bridge ends; a waiter that comes at that moment is served. */
FL_TEST(shm_bridge_ends_when_idle)
{
	NEEDS_CHILD();
	CHILD(gets_bored, NULL);
}

/*
 * The kernel got the deadline of a clock that this process had left, for one of another time
 * namespace: an idle bridge stayed for a day, or ended at once.
 */
FL_TEST(bridge_sleeps_by_the_kernels_clock)
{
	static const int64_t moves[] = {FL_S(86400), -FL_S(86400)};
	FL_FAULTS_UNBRIDGED();
	fl__sys.now = fl_test_clock_now;
	FL_EACH (i, moves) {
		const uint32_t word = 0;
		struct fl__futex f = {0, (uint64_t)(uintptr_t)&word, FL__FUTEX_SHARED, 0};
		fl__store_relaxed(&fl_test_ahead, moves[i]);
		const int64_t deadline = fl__sys.now() + FL_MS(1);
		const int rc = fl__sys.wait_many(&f, 1, deadline);
		const int64_t end = fl__sys.now();
		fl__store_relaxed(&fl_test_ahead, 0);
		if (rc == -ENOSYS)
			FL_SKIP("the system has no futex_waitv()");
		FL_RC(rc, -ETIMEDOUT);
		assert_true(end >= deadline);
	}
}

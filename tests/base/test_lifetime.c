/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_queued.h"
#include "fl_test.h"

#include <sys/mman.h>
#include <unistd.h>

/*
 * A woken waiter may free the object at once, while the waker has not returned. Here the object has
 * its own page; the woken sleeper destroys it and unmaps the page; the waker is held in its
 * futex_wake, right after its last access, until that is done. A later access would crash.
 */
typedef struct life {
	void (*make)(void *object);
	int (*wait)(void *object); /* the sleeper: waits, then destroys; 0 */
	void (*wake)(void *object);
	size_t key; /* where in the object the word is that it waits on */
} life;

static uint32_t page_gone;
static _Thread_local bool held_in_wake;

static int hold_in_wake(const uint32_t *word, int n)
{
	(void)fl_test_real_sys.futex_wake(word, n);
	if (held_in_wake)
		FL_WAIT_FOR(fl__load_acquire(&page_gone) == 1);
	return -EFAULT;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

typedef struct sleeper {
	const life *kind;
	char *page;
	fl_thread thread;
} sleeper;

static void sleeper_init(sleeper *s, const life *kind)
{
	void *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FL_CHECK(page != MAP_FAILED);
	*s = (sleeper){kind, page, {NULL}};
	fl__store_relaxed(&page_gone, 0);
	kind->make(page);
}

static int sleeper_run(void *arg)
{
	sleeper *s = arg;
	int rc = s->kind->wait(s->page);
	FL_CHECK(munmap(s->page, page_size()) == 0);
	fl__store_release(&page_gone, 1);
	return rc;
}

static void sleeper_begin(sleeper *s)
{
	fl_test_go(&s->thread, sleeper_run, s);
	FL_WAIT_FOR(fl_test_asleep(s->page + s->kind->key) == 1);
	held_in_wake = true;
}

static void sleeper_end(sleeper *s)
{
	held_in_wake = false;
	/* The waker was held: the sleeper did sleep. */
	assert_int_equal(fl__load_acquire(&page_gone), 1);
	fl_test_end(&s->thread);
}

static void destroy_while_the_waker_leaves(const life *kind)
{
	FL_FAULTS();
	fl__sys.futex_wake = hold_in_wake;
	sleeper s;
	sleeper_init(&s, kind);
	sleeper_begin(&s);
	kind->wake(s.page);
	sleeper_end(&s);
}

static void mutex_make(void *m)
{
	fl_mutex_init(m);
	fl_mutex_lock(m);
}

static int mutex_wait(void *m)
{
	fl_mutex_lock(m);
	fl_mutex_unlock(m);
	return fl_mutex_destroy(m);
}

static void mutex_wake(void *m)
{
	fl_mutex_unlock(m);
}

FL_TEST(destroy_after_unlock)
{
	static const life kind = {mutex_make, mutex_wait, mutex_wake, 0};
	destroy_while_the_waker_leaves(&kind);
}

static void rmutex_make(void *m)
{
	fl_rmutex_init(m);
	fl_rmutex_lock(m);
}

static int rmutex_wait(void *m)
{
	fl_rmutex_lock(m);
	fl_rmutex_unlock(m);
	return fl_rmutex_destroy(m);
}

static void rmutex_wake(void *m)
{
	fl_rmutex_unlock(m);
}

FL_TEST(destroy_after_unlock_of_a_recursive_mutex)
{
	static const life kind = {rmutex_make, rmutex_wait, rmutex_wake, offsetof(fl_rmutex, mutex_)};
	destroy_while_the_waker_leaves(&kind);
}

static void sem_make(void *s)
{
	FL_OK(fl_sem_init(s, 0));
}

static int sem_wait_one(void *s)
{
	FL_CHECK(fl_sem_acquire(s) == 0);
	return fl_sem_destroy(s);
}

static void sem_wake(void *s)
{
	fl_sem_release(s);
}

FL_TEST(destroy_after_release)
{
	static const life kind = {sem_make, sem_wait_one, sem_wake, 0};
	destroy_while_the_waker_leaves(&kind);
}

static void event_make(void *e)
{
	fl_event_init(e);
}

static int event_wait(void *e)
{
	FL_CHECK(fl_event_wait(e) == 0);
	return fl_event_destroy(e);
}

static void event_wake(void *e)
{
	fl_event_set(e);
}

FL_TEST(destroy_after_set)
{
	static const life kind = {event_make, event_wait, event_wake, 0};
	destroy_while_the_waker_leaves(&kind);
}

static void latch_make(void *l)
{
	FL_OK(fl_latch_init(l, 2));
	fl_latch_count_down(l, 1);
}

static int latch_wait(void *l)
{
	FL_CHECK(fl_latch_wait(l) == 0);
	return fl_latch_destroy(l);
}

static void latch_wake(void *l)
{
	fl_latch_count_down(l, 1);
}

FL_TEST(destroy_after_count_down)
{
	static const life kind = {latch_make, latch_wait, latch_wake, 0};
	destroy_while_the_waker_leaves(&kind);
}

static void token_make(void *c)
{
	fl_cancel_token_init(c, FL_SHIELDED, FL_FOREVER);
}

static int token_wait(void *c)
{
	FL_CHECK(fl_sleep_until(FL_FOREVER, c) == -ECANCELED);
	fl_cancel_token_destroy(c);
	return 0;
}

static void token_wake(void *c)
{
	fl_cancel_token_request(c);
}

FL_TEST(destroy_after_request)
{
	static const life kind = {token_make, token_wait, token_wake, 0};
	destroy_while_the_waker_leaves(&kind);
}

/*
 * A condition may be freed as soon as its waiters are woken, even before they return: its mutex is
 * elsewhere.
 */
static fl_mutex cond_mutex;

static void cond_make(void *c)
{
	fl_cond_init(c);
}

static int cond_wait(void *c)
{
	FL_LOCKED(&cond_mutex);
	FL_CHECK(fl_cond_wait(c, &cond_mutex) == 0);
	return fl_cond_destroy(c);
}

static void cond_signal(void *c)
{
	fl_cond_signal(c);
}

static void cond_broadcast(void *c)
{
	fl_cond_broadcast(c);
}

FL_TEST(destroy_after_signal)
{
	static const life kind = {cond_make, cond_wait, cond_signal, 0};
	destroy_while_the_waker_leaves(&kind);
}

FL_TEST(destroy_after_broadcast)
{
	static const life kind = {cond_make, cond_wait, cond_broadcast, 0};
	destroy_while_the_waker_leaves(&kind);
}

static void barrier_make(void *b)
{
	FL_OK(fl_barrier_init(b, 2));
}

static int barrier_wait(void *b)
{
	FL_CHECK(fl_barrier_wait(b) == 0);
	return fl_barrier_destroy(b);
}

static void barrier_wake(void *b)
{
	FL_RC(fl_barrier_wait(b), 1);
}

FL_TEST(barrier_destroyed_while_the_last_leaves)
{
	static const life kind = {barrier_make, barrier_wait, barrier_wake, 0};
	destroy_while_the_waker_leaves(&kind);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void once_make(void *o)
{
	*(fl_once *)o = (fl_once)FL_ONCE_INIT;
}

static int once_wait(void *o)
{
	return fl_once_call(o, nothing, NULL);
}

static int begin_sleeper(void *s)
{
	sleeper_begin(s);
	return 0;
}

FL_TEST(destroy_after_once)
{
	static const life kind = {once_make, once_wait, NULL, 0};
	FL_FAULTS();
	fl__sys.futex_wake = hold_in_wake;
	sleeper s;
	sleeper_init(&s, &kind);
	FL_OK(fl_once_call((fl_once *)(void *)s.page, begin_sleeper, &s));
	sleeper_end(&s);
}

/*
 * A barrier may be freed when one party has returned, while others are still leaving. Here all but
 * the last sleep; the first to leave unmaps the page at once.
 */
typedef struct crowd {
	fl_barrier *barrier;
	uint32_t out;
} crowd;

static int leave_barrier(void *arg)
{
	crowd *c = arg;
	int order = fl_barrier_wait(c->barrier);
	FL_CHECK(order >= 0);
	if (fl__add_relaxed(&c->out, 1) == 0)
		FL_CHECK(munmap(c->barrier, page_size()) == 0);
	return 0;
}

FL_TEST(barrier_destroyed_while_others_leave)
{
	enum { PARTIES = 6 };
	for (unsigned i = 0; i < fl_test_scaled(200); i++) {
		crowd c = {mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0};
		fl_thread threads[PARTIES];
		FL_OK(fl_barrier_init(c.barrier, PARTIES));
		for (int t = 0; t < PARTIES; t++)
			fl_test_go(&threads[t], leave_barrier, &c);
		for (int t = 0; t < PARTIES; t++)
			fl_test_end(&threads[t]);
	}
}

/*
 * The pattern of glibc 13690: the thread that drops the last reference, under the mutex, frees the
 * mutex with the object.
 */
typedef struct shared {
	fl_mutex mutex;
	unsigned owners;
} shared;

static int drop(void *arg)
{
	shared *s = arg;
	fl_mutex_lock(&s->mutex);
	bool last = --s->owners == 0;
	fl_mutex_unlock(&s->mutex);
	if (last) {
		FL_CHECK(fl_mutex_destroy(&s->mutex) == 0);
		memset(s, 0xff, sizeof *s);
		free(s);
	}
	return 0;
}

FL_TEST(destroy_after_unlock_by_the_last_owner)
{
	enum { OWNERS = 4 };
	for (unsigned i = 0; i < fl_test_scaled(300); i++) {
		shared *s = calloc(1, sizeof *s);
		fl_thread threads[OWNERS - 1];
		assert_non_null(s);
		s->owners = OWNERS;
		for (int t = 0; t < OWNERS - 1; t++)
			fl_test_go(&threads[t], drop, s);
		(void)drop(s);
		for (int t = 0; t < OWNERS - 1; t++)
			fl_test_end(&threads[t]);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The robust lock: how it shares the thread's list with the C library's robust mutexes, and its
 * state after kills.
 */
#include "fl_faults.h"
#include "fl_shm_child.h"

enum { OURS = 2, THEIRS = 2, ALL = OURS + THEIRS, MANY = 100 };

struct mixed {
	fl_shm_mutex ours[OURS];
	pthread_mutex_t theirs[THEIRS];
	uint32_t order, held;
};

static void init_theirs(struct mixed *m)
{
	pthread_mutexattr_t attr;
	FL_OK(pthread_mutexattr_init(&attr));
	FL_OK(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
	FL_OK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	for (int i = 0; i < THEIRS; i++)
		FL_OK(pthread_mutex_init(&m->theirs[i], &attr));
	FL_OK(pthread_mutexattr_destroy(&attr));
}

/*
 * Checked by a try: no other thread has it, and ThreadSanitizer takes no order from it, since this
 * file locks all locks in all orders.
 */
static int lock_one(struct mixed *m, unsigned i)
{
	return i < OURS ? fl_shm_mutex_lock(&m->ours[i]) : -pthread_mutex_trylock(&m->theirs[i - OURS]);
}

static void unlock_one(struct mixed *m, unsigned i)
{
	if (i < OURS)
		fl_shm_mutex_unlock(&m->ours[i]);
	else
		FL_OK(pthread_mutex_unlock(&m->theirs[i - OURS]));
}

static void recover_one(struct mixed *m, unsigned i)
{
	if (i < OURS)
		fl_shm_mutex_recover(&m->ours[i]);
	else
		FL_OK(pthread_mutex_consistent(&m->theirs[i - OURS]));
}

enum { ORDERS = 24 }; /* of four */

/* The n-th order of 0 .. 3. */
static void order(unsigned n, unsigned out[ALL])
{
	unsigned left[ALL] = {0, 1, 2, 3};
	for (unsigned i = 0; i < ALL; i++) {
		unsigned at = n % (ALL - i);
		n /= ALL - i;
		out[i] = left[at];
		memmove(&left[at], &left[at + 1], (ALL - i - at - 1) * sizeof left[0]);
	}
}

static bool list_is_empty(void)
{
	const struct fl__robust_list *list = fl__shm_self()->list;
	return !list || (list->first == (const void *)list && list->pending == NULL);
}

/*
 * Locked in each order, and unlocked in each: the list has the held locks, and is empty at the end.
 */
FL_TEST(shm_lock_mixes_with_the_c_library)
{
	FL_TEST_SHARED(struct mixed, m);
	init_theirs(m);
	for (unsigned in = 0; in < ORDERS; in++) {
		for (unsigned out = 0; out < ORDERS; out++) {
			unsigned to[ALL], from[ALL];
			order(in, to);
			order(out, from);
			FL_EACH (i, to)
				FL_OK(lock_one(m, to[i]));
			FL_EACH (i, from)
				unlock_one(m, from[i]);
			assert_true(list_is_empty());
		}
	}
}

/* Locks all in one order, releases the low half in the other order, and pauses. */
static int lock_mixed_and_rest(void *arg)
{
	struct mixed *m = arg;
	unsigned to[ALL], from[ALL];
	order(m->order % ORDERS, to);
	order(m->order / ORDERS, from);
	FL_EACH (i, to)
		FL_OK(lock_one(m, to[i]));
	for (unsigned i = 0; i < ALL / 2; i++)
		unlock_one(m, from[i]);
	fl__add_release(&m->held, 1);
	fl_test_rest();
}

FL_TEST(shm_lock_mixes_with_the_c_library_when_killed)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct mixed, m);
	init_theirs(m);
	for (unsigned n = 0; n < ORDERS * ORDERS;
	     n += 5) { /* 5 and 576 have no common factor, but no order is left out */
		unsigned from[ALL];
		m->order = n;
		order(n / ORDERS, from);
		uint32_t before = fl__load_acquire(&m->held);
		pid_t pid = fl_test_fork(lock_mixed_and_rest, m);
		FL_WAIT_FOR(fl__load_acquire(&m->held) == before + 1);
		fl_test_kill(pid);
		FL_EACH (i, from) {
			FL_RC(lock_one(m, from[i]), i < ALL / 2 ? 0 : -EOWNERDEAD);
			if (i >= ALL / 2)
				recover_one(m, from[i]);
			unlock_one(m, from[i]);
		}
		assert_true(list_is_empty());
	}
}

struct many {
	fl_shm_mutex locks[MANY];
	uint32_t seed, held;
};

static void shuffle(unsigned *order_, unsigned n, uint32_t *seed)
{
	for (unsigned i = 0; i < n; i++)
		order_[i] = i;
	for (unsigned i = n; i > 1; i--) {
		unsigned at = fl_test_random(seed) % i, kept = order_[i - 1];
		order_[i - 1] = order_[at];
		order_[at] = kept;
	}
}

static int lock_many_and_rest(void *arg)
{
	struct many *m = arg;
	uint32_t seed = m->seed;
	unsigned to[MANY], from[MANY];
	shuffle(to, MANY, &seed);
	shuffle(from, MANY, &seed);
	FL_EACH (i, to)
		FL_OK(fl_shm_mutex_lock(&m->locks[to[i]]));
	for (unsigned i = 0; i < MANY / 2; i++)
		fl_shm_mutex_unlock(&m->locks[from[i]]);
	fl__add_release(&m->held, 1);
	fl_test_rest();
}

FL_TEST(shm_lock_a_hundred_at_once_killed)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct many, m);
	for (uint32_t round = 0; round < 20; round++) {
		unsigned from[MANY];
		m->seed = round;
		uint32_t seed = round;
		shuffle(from, MANY, &seed);
		shuffle(from, MANY, &seed);
		pid_t pid = fl_test_fork(lock_many_and_rest, m);
		FL_WAIT_FOR(fl__load_acquire(&m->held) == round + 1);
		fl_test_kill(pid);
		FL_EACH (i, from) {
			FL_RC(fl_shm_mutex_lock(&m->locks[from[i]]), i < MANY / 2 ? 0 : -EOWNERDEAD);
			if (i >= MANY / 2)
				fl_shm_mutex_recover(&m->locks[from[i]]);
		}
		for (unsigned i = 0; i < MANY; i++)
			fl_shm_mutex_unlock(&m->locks[i]);
	}
}

struct crowd {
	fl_shm_mutex locks[2048];
	struct fl__shm_lock monitors[2];
	uint32_t held;
};

static int lock_all_and_rest(void *arg)
{
	struct crowd *c = arg;
	struct fl__shm_held outer;
	uint32_t n = 0;
	while (fl_shm_mutex_lock(&c->locks[n]) == 0)
		n++;
	FL_RC(fl_shm_mutex_try_lock(&c->locks[n]), -ENOMEM);
	FL_RC(fl_shm_mutex_lock(&c->locks[2047]), -ENOMEM); /* the parent has it */
	FL_EACH (i, c->monitors)
		FL_OK(fl__shm_enter(&c->monitors[i], &outer, FL_FOREVER));
	fl__store_release(&c->held, n);
	fl_test_rest();
}

/*
 * A thread that holds as many locks as it can dies in two monitors. The kernel frees all its locks:
 * a try does not lock a lock that has an owner.
 */
FL_TEST(shm_lock_no_more_than_the_kernel_frees)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct crowd, c);
	FL_OK(fl_shm_mutex_lock(&c->locks[2047]));
	pid_t pid = fl_test_fork(lock_all_and_rest, c);
	FL_WAIT_FOR(fl__load_acquire(&c->held));
	fl_test_kill(pid);
	fl_shm_mutex_unlock(&c->locks[2047]);
	assert_int_equal(c->held, 2045);
	for (uint32_t i = 0; i < c->held; i++) {
		FL_RC(fl_shm_mutex_try_lock(&c->locks[i]), -EOWNERDEAD);
		fl_shm_mutex_recover(&c->locks[i]);
		fl_shm_mutex_unlock(&c->locks[i]);
	}
}

/* A fork while locks are held: the child's list is empty; the parent's still has them. */
static int lock_in_child(void *arg)
{
	struct many *m = arg;
	FL_CHECK(list_is_empty());
	for (unsigned i = 10; i < 20; i++)
		FL_OK(fl_shm_mutex_lock(&m->locks[i]));
	for (unsigned i = 10; i < 20; i++)
		fl_shm_mutex_unlock(&m->locks[i]);
	FL_CHECK(list_is_empty());
	return 0;
}

FL_TEST(shm_lock_fork_while_holding)
{
	FL_TEST_SHARED(struct many, m);
	for (unsigned i = 0; i < 10; i++)
		FL_OK(fl_shm_mutex_lock(&m->locks[i]));
	fl_test_reap(fl_test_fork(lock_in_child, m));
	for (unsigned i = 0; i < 10; i++)
		fl_shm_mutex_unlock(&m->locks[i]);
	assert_true(list_is_empty());
}

/* Hammers. */

enum { WORKERS = 4 };

struct counts {
	fl_shm_mutex mutex;
	uint64_t total, own[WORKERS]; /* guarded by it: total is the sum */
	uint32_t next, limit;
	uint32_t deaths, torn; /* reported deaths; those that left something to repair */
};

static uint64_t sum(const struct counts *c)
{
	uint64_t all = 0;
	for (int i = 0; i < WORKERS; i++)
		all += c->own[i];
	return all;
}

/* What its own count says has happened. */
static void repair(struct counts *c)
{
	fl__add_relaxed(&c->deaths, 1);
	if (c->total != sum(c))
		fl__add_relaxed(&c->torn, 1);
	c->total = sum(c);
	fl_shm_mutex_recover(&c->mutex);
}

static int count_up(void *arg)
{
	struct counts *c = arg;
	uint32_t me = fl__add_relaxed(&c->next, 1) % WORKERS;
	for (;;) {
		int rc = fl_shm_mutex_lock(&c->mutex);
		FL_OK_OR(rc, -EOWNERDEAD);
		if (rc != 0)
			repair(c);
		FL_CHECK(c->total == sum(c));
		bool more = c->own[me] < c->limit;
		if (more) {
			c->own[me]++;
			/* So that kills come between the two stores, too. */
			for (int i = 0; i < 200; i++)
				fl__sys.relax();
			c->total++;
		}
		fl_shm_mutex_unlock(&c->mutex);
		if (!more)
			return 0;
	}
}

/* The same while one process after another is killed at any moment, and replaced. */
FL_TEST(shm_lock_four_processes_count_and_are_killed)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct counts, c);
	pid_t pids[WORKERS];
	unsigned kills = fl_test_scaled(250);
	uint32_t seed = 1;
	c->limit = UINT32_MAX;
	for (uint32_t i = 0; i < WORKERS; i++) {
		c->next = i;
		pids[i] = fl_test_fork(count_up, c);
		FL_WAIT_FOR(fl__load_relaxed(&c->next) == i + 1);
	}
	for (unsigned n = 0; n < kills; n++) {
		uint32_t i = fl_test_random(&seed) % WORKERS;
		uint64_t before = fl__load_relaxed(&c->total), turns = fl_test_random(&seed) % 512;
		FL_WAIT_FOR(fl__load_relaxed(&c->total) - before >= turns);
		fl_test_kill(pids[i]);
		fl__store_relaxed(&c->next, i);
		pids[i] = fl_test_fork(count_up, c);
		FL_WAIT_FOR(fl__load_relaxed(&c->next) == i + 1);
	}
	fl__store_relaxed(&c->limit, 0);
	FL_EACH (i, pids)
		fl_test_reap(pids[i]);
	int rc = fl_shm_mutex_lock(&c->mutex);
	FL_OK_OR(rc, -EOWNERDEAD);
	if (rc != 0)
		repair(c);
	assert_true(c->total == sum(c));
	assert_true(c->deaths <= kills);
	print_message("%u kills: %u deaths told, %u of them in the midst of it\n", kills, c->deaths, c->torn);
	fl_shm_mutex_unlock(&c->mutex);
}

/*
 * shm_lock_releaser_killed_before_wake: the owner is killed just before, or just after, the call
 * that frees the lock and wakes the sleeper. Then another process has the lock already, so the
 * kernel does not find it free. The sleeper still gets it. With two steps, free and then wake, it
 * slept for ever if the kill came between them.
 */
struct stopped {
	fl_shm_mutex mutex;
	uint32_t after, held, at_wake, passed;
};

static struct stopped *stopped;
static void (*real_store_and_wake)(uint32_t *word, uint32_t value, int n);

static void stop_at_wake(uint32_t *word, uint32_t value, int n)
{
	if (stopped->after)
		real_store_and_wake(word, value, n);
	fl__store_release(&stopped->at_wake, 1);
	fl_test_rest();
}

static int unlock_and_stop(void *arg)
{
	stopped = arg;
	real_store_and_wake = fl__sys.shared_store_and_wake;
	/* In a child: no other thread uses the table. */
	fl__sys.shared_store_and_wake = stop_at_wake;
	FL_OK(fl_shm_mutex_lock(&stopped->mutex));
	fl__store_release(&stopped->held, 1);
	FL_WAIT_FOR(fl_test_is_slept_on(stopped->mutex.lock_));
	fl_shm_mutex_unlock(&stopped->mutex);
	return 1;
}

static int pass(void *arg)
{
	struct stopped *s = arg;
	int rc = fl_shm_mutex_lock(&s->mutex);
	FL_OK_OR(rc, -EOWNERDEAD);
	fl__store_release(&s->passed, 1);
	return 0;
}

FL_TEST(shm_lock_releaser_killed_before_wake)
{
	FL_TEST_NEEDS_DEATHS();
	for (unsigned round = 0; round < 20; round++) {
		FL_TEST_SHARED(struct stopped, s);
		s->after = round % 2;
		pid_t owner = fl_test_fork(unlock_and_stop, s);
		FL_WAIT_FOR(fl__load_acquire(&s->held));
		pid_t sleeper = fl_test_fork(pass, s);
		FL_WAIT_FOR(fl__load_acquire(&s->at_wake));
		/* -EOWNERDEAD: the sleeper was faster, and has ended with it. */
		int rc = fl_shm_mutex_try_lock(&s->mutex);
		assert_true(rc == 0 || rc == -EAGAIN || rc == -EOWNERDEAD);
		fl_test_kill(owner);
		if (rc != -EAGAIN)
			fl_shm_mutex_unlock(&s->mutex);
		if (rc != -EOWNERDEAD)
			FL_WAIT_FOR(fl__load_acquire(&s->passed));
		fl_test_reap(sleeper);
	}
}

/* The locks in the thread's list that the thread holds. The word of a node between them is 0. */
static uint32_t count_listed(void)
{
	const struct fl__shm_self *me = fl__shm_self();
	uint32_t n = 0;
	for (void **node = me->list->first; node != (void **)(void *)me->list; node = *node)
		n += *(uint32_t *)(void *)((char *)node + me->list->offset) == me->tid;
	return n;
}

/* Each release leaves the other locks in the list, and in the records. */
FL_TEST(shm_lock_released_in_any_order)
{
	enum { LOCKS = 64 };
	const unsigned strides[] = {1, 63, 3, 27, 37};
	FL_TEST_SHARED_MANY(fl_shm_mutex, m, LOCKS);
	for (size_t s = 0; fl__shm_self()->list && s < sizeof strides / sizeof strides[0]; s++) {
		for (unsigned i = 0; i < LOCKS; i++)
			FL_OK(fl_shm_mutex_lock(&m[i]));
		for (unsigned i = 0; i < LOCKS; i++) {
			assert_int_equal(count_listed(), LOCKS - i);
			fl_shm_mutex_unlock(&m[(i + 1) * strides[s] % LOCKS]);
			for (unsigned j = 0; j < LOCKS; j++)
				assert_int_equal(fl_shm_mutex_depth(&m[j]), fl_shm_mutex_is_locked(&m[j]));
		}
		assert_int_equal(count_listed(), 0);
	}
}

/* A thread's record for robust locks, by many threads at once. */

enum { HOLDERS = 50 };

static struct holder {
	fl_shm_mutex *mutex;
	const struct fl__shm_self *record;
	bool keeps; /* ends while it holds the mutex */
} holders[HOLDERS];

static fl_event all_may_end;
static uint32_t holders_ready, failed_maps;
static void *(*real_map)(size_t size);

/* The first two calls find no memory. */
static void *map_later(size_t size)
{
	return fl__add_relaxed(&failed_maps, 1) < 2 ? NULL : real_map(size);
}

static int hold(void *arg)
{
	struct holder *h = arg;
	FL_OK(fl_shm_mutex_lock(h->mutex));
	h->record = fl__shm_self();
	FL_CHECK(h->record->held == 1);
	(void)fl__add_release(&holders_ready, 1);
	FL_OK(fl_event_wait_until(&all_may_end, FL_FOREVER, FL_SHIELDED));
	if (!h->keeps)
		fl_shm_mutex_unlock(h->mutex);
	return 0;
}

static void hold_by_all(fl_shm_mutex *mutexes, bool some_keep)
{
	fl_thread *threads[HOLDERS];
	fl_event_init(&all_may_end);
	fl__store_relaxed(&holders_ready, 0);
	FL_EACH (i, threads) {
		holders[i] = (struct holder){.mutex = &mutexes[i], .keeps = some_keep && i % 5 == 0};
		fl_test_go(&threads[i], hold, &holders[i]);
	}
	FL_WAIT_FOR(fl__load_acquire(&holders_ready) == HOLDERS);
	for (unsigned i = 0; i < HOLDERS; i++)
		for (unsigned j = 0; j < i; j++)
			FL_CHECK(holders[i].record != holders[j].record);
	fl_event_set(&all_may_end);
	FL_END_ALL(threads);
}

/* Others get the record of a thread that has ended, unless the thread's locks are in it. */
FL_TEST(shm_lock_records_are_used_again)
{
	const struct fl__shm_self *kept[HOLDERS];
	FL_TEST_SHARED_MANY(fl_shm_mutex, m, HOLDERS);
	if (!fl__shm_self()->list)
		FL_SKIP("the system has no robust lists");
	FL_FAULTS();
	real_map = fl__sys.map;
	fl__sys.map = map_later;
	hold_by_all(m, true);
	FL_CHECK(fl__load_relaxed(&failed_maps) > 2);
	FL_EACH (i, kept) {
		kept[i] = holders[i].keeps ? holders[i].record : NULL;
		FL_RC(fl_shm_mutex_lock(&m[i]), kept[i] ? -EOWNERDEAD : 0);
		if (kept[i])
			fl_shm_mutex_recover(&m[i]);
		fl_shm_mutex_unlock(&m[i]);
	}
	const uint32_t maps = fl__load_relaxed(&failed_maps);
	for (int round = 0; round < 3; round++) {
		hold_by_all(m, false);
		for (unsigned i = 0; i < HOLDERS; i++)
			FL_EACH (j, kept)
				FL_CHECK(holders[i].record != kept[j]);
	}
	FL_CHECK(fl__load_relaxed(&failed_maps) <= maps + 1); /* in place of the kept ones */
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Bugs that other robust mutexes had, by the name that they have among us: tests/bugs.md. */
#include "fl_faults.h"
#include "fl_shm_owner.h"

static struct fl__shm_lock *lock_of(struct board *b)
{
	return (struct fl__shm_lock *)(void *)b->mutex.lock_;
}

static void wait_for_sleepers(struct board *b, uint32_t n)
{
	FL_WAIT_FOR(fl__load_acquire(&lock_of(b)->words_[FL__SHM_SLEEPERS]) == n);
}

/*
 * glibc 14485: an unlock touched the lock after its release, when its next owner had unmapped it;
 * and at the end of the thread the kernel read memory that had another use by then.
 */
static uint32_t *room;
static uint32_t room_words, unlocker_held, unlocker_tid, room_reused;
static _Thread_local bool stops_after_wake;

static void stop_after_wake(uint32_t *word, uint32_t value, int n)
{
	fl_test_real_sys.shared_store_and_wake(word, value, n);
	if (stops_after_wake)
		FL_WAIT_FOR(fl__load_acquire(&room_reused));
}

static int unlock_slowly(void *arg)
{
	struct board *b = arg;
	fl__store_relaxed(&unlocker_tid, fl__shm_self()->tid);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl__store_release(&unlocker_held, 1);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	stops_after_wake = true;
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

/* The new contents look like locks of the thread that is still in its unlock. */
static int unlock_and_unmap(void *arg)
{
	struct board *b = arg;
	fl_test_locks(&b->mutex);
	/* In one step: in between, another thread's memory might come there. */
	void *again = mmap(b, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	FL_CHECK(again == b);
	room = again;
	for (uint32_t i = 0; i < room_words; i++)
		room[i] = fl__load_relaxed(&unlocker_tid);
	fl__store_release(&room_reused, 1);
	return 0;
}

FL_TEST(robust_unlock_munmap)
{
	FL_FAULTS();
	fl__sys.shared_store_and_wake = stop_after_wake;
	room_words = sizeof(struct board) / sizeof(uint32_t);
	for (int round = 0; round < 20; round++) {
		FL_TEST_SHARED(struct board, b);
		fl_thread *unlocker;
		unlocker_held = room_reused = 0;
		fl_test_go(&unlocker, unlock_slowly, b);
		FL_WAIT_FOR(fl__load_acquire(&unlocker_held));
		fl_test_on_thread(unlock_and_unmap, b);
		fl_test_end(unlocker);
		for (uint32_t i = 0; i < room_words; i++)
			assert_int_equal(room[i], unlocker_tid);
	}
}

/*
 * glibc 20973: an owner after a death must still wake the others, though it dies, too: all get
 * their turn.
 */
FL_TEST(robust_lost_wake)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 3 };
	for (int round = 0; round < 10; round++) {
		FL_TEST_SHARED(struct board, b);
		(void)begin_owner(b);
		for (int i = 0; i < N; i++)
			(void)fl_test_fork(hold_and_rest, b);
		wait_for_sleepers(b, N);
		for (uint32_t i = 1; i <= N; i++) {
			fl_test_kill((pid_t)fl__load_relaxed(&b->owner));
			FL_WAIT_FOR(fl__load_acquire(&b->held) == i + 1);
		}
		fl_test_kill((pid_t)fl__load_relaxed(&b->owner));
		fl_test_recover(&b->mutex);
	}
}

/*
 * glibc 21778: a thread that takes a dead owner's lock by the fast path, while others sleep, must
 * keep the sleepers' bit in the word.
 */
FL_TEST(robust_acquire)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 2 };
	unsigned taken = 0;
	for (int round = 0; round < 20; round++) {
		FL_TEST_SHARED(struct board, b);
		pid_t owner = begin_owner(b), sleepers[N];
		FL_EACH (i, sleepers)
			sleepers[i] = fl_test_fork(lock_and_note, b);
		wait_for_sleepers(b, N);
		FL_OK(kill(owner, SIGKILL));
		int rc;
		do
			rc = fl_shm_mutex_try_lock(&b->mutex);
		while (rc == -EAGAIN && fl__load_relaxed(&b->told) == 0);
		if (rc == -EOWNERDEAD) {
			taken++;
			fl_shm_mutex_recover(&b->mutex);
		}
		if (rc != -EAGAIN)
			fl_shm_mutex_unlock(&b->mutex);
		FL_EACH (i, sleepers)
			fl_test_reap(sleepers[i]);
		assert_int_equal(b->told, rc != -EOWNERDEAD);
		assert_int_equal(b->told + b->locked, N);
		(void)fl_test_status(owner);
	}
	print_message("%u of 20 taken before a sleeper came\n", taken);
}

/*
 * glibc 8e31cafb26: a forked child has its parent's memory, but not its locks: its death frees only
 * its own.
 */
static int lock_other_and_rest(void *arg)
{
	struct board *b = arg;
	FL_CHECK(!fl_shm_mutex_depth(&b->mutex));
	FL_OK(fl_shm_mutex_lock(&b->other));
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

FL_TEST(robust_fork)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct board, b);
	for (uint32_t round = 0; round < 10; round++) {
		FL_OK(fl_shm_mutex_lock(&b->mutex));
		pid_t child = fl_test_fork(lock_other_and_rest, b);
		FL_WAIT_FOR(fl__load_acquire(&b->held) == round + 1);
		fl_test_kill(child);
		assert_true(fl_shm_mutex_depth(&b->mutex));
		fl_test_recover(&b->other);
		fl_shm_mutex_unlock(&b->mutex);
		FL_OK(fl_shm_mutex_lock(&b->mutex)); /* no owner died */
		fl_shm_mutex_unlock(&b->mutex);
	}
}

/*
 * musl 384d103d: the death of an owner in another process is reported, with and without a waiter,
 * and by each form.
 */
FL_TEST(robust_pshared_owner_died)
{
	FL_TEST_NEEDS_DEATHS();
	for (int form = 0; form < 3; form++) {
		FL_TEST_SHARED(struct board, b);
		fl_test_kill(begin_owner(b));
		FL_RC(fl_test_lock_by(&b->mutex, form), -EOWNERDEAD);
		fl_shm_mutex_recover(&b->mutex);
		fl_shm_mutex_unlock(&b->mutex);
		pid_t owner = begin_owner(b), waiter = fl_test_fork(lock_and_note, b);
		wait_for_sleepers(b, 1);
		fl_test_kill(owner);
		fl_test_reap(waiter);
		assert_int_equal(b->told, 1);
		FL_OK(fl_test_lock_by(&b->mutex, form));
		fl_shm_mutex_unlock(&b->mutex);
	}
}

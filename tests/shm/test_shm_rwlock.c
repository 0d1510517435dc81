/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_fiber.h"
#include "fl_shm_child.h"
#include <fairlead/shm_rwlock.h>

typedef struct board {
	fl_shm_rwlock lock;
	uint32_t held, go;
	uint32_t inside, writers, told, ok; /* atomic */
	uint64_t a, b;                      /* guarded: equal except during a write */
} board;

static board *make_board(void)
{
	return fl_test_share(sizeof(board));
}

static void drop(board *b)
{
	fl_test_unshare(b, sizeof *b);
}

static int read_and_rest(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_rwlock_read_lock(&b->lock) == 0);
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

static int write_and_rest(void *arg)
{
	board *b = arg;
	int rc = fl_shm_rwlock_write_lock(&b->lock);
	FL_CHECK(rc == 0 || rc == -EOWNERDEAD);
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

static pid_t begin(board *b, int (*function)(void *))
{
	uint32_t before = fl__load_acquire(&b->held);
	pid_t pid = fl_test_fork(function, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == before + 1);
	return pid;
}

FL_TEST(shm_rwlock_all_zero_is_valid)
{
	fl_shm_rwlock *l = malloc(sizeof *l), *zero = calloc(1, sizeof *zero);
	assert_true(l && zero);
	memset(l, 0xff, sizeof *l);
	fl_shm_rwlock_init(l);
	assert_memory_equal(l, zero, sizeof *l);
	FL_OK(fl_shm_rwlock_destroy(l));
	free(l);
	free(zero);
}

FL_TEST(shm_rwlock_read_and_write)
{
	board *b = make_board();
	fl_shm_rwlock *l = &b->lock;
	FL_OK(fl_shm_rwlock_read_lock(l));
	FL_OK(fl_shm_rwlock_try_read_lock(l));
	FL_OK(fl_shm_rwlock_read_lock_until(l, 0, NULL));
	FL_RC(fl_shm_rwlock_write_lock(l), -EDEADLK);
	FL_RC(fl_shm_rwlock_write_lock_until(l, FL_FOREVER, NULL), -EDEADLK);
	FL_RC(fl_shm_rwlock_try_write_lock(l), -EBUSY);
	FL_RC(fl_shm_rwlock_destroy(l), -EBUSY);
	for (int i = 0; i < 3; i++)
		fl_shm_rwlock_read_unlock(l);
	FL_OK(fl_shm_rwlock_destroy(l));
	for (int form = 0; form < 3; form++) {
		if (form == 0)
			FL_OK(fl_shm_rwlock_write_lock(l));
		else if (form == 1)
			FL_OK(fl_shm_rwlock_try_write_lock(l));
		else
			FL_OK(fl_shm_rwlock_write_lock_until(l, 0, NULL));
		FL_RC(fl_shm_rwlock_write_lock(l), -EDEADLK);
		FL_RC(fl_shm_rwlock_write_lock_until(l, 0, NULL), -EDEADLK);
		FL_RC(fl_shm_rwlock_try_write_lock(l), -EBUSY);
		FL_RC(fl_shm_rwlock_read_lock(l), -EDEADLK);
		FL_RC(fl_shm_rwlock_read_lock_until(l, 0, NULL), -EDEADLK);
		FL_RC(fl_shm_rwlock_try_read_lock(l), -EBUSY);
		FL_RC(fl_shm_rwlock_destroy(l), -EBUSY);
		fl_shm_rwlock_write_unlock(l);
		FL_OK(fl_shm_rwlock_destroy(l));
	}
	drop(b);
}

FL_TEST(shm_rwlock_misuse_panics)
{
	board *b = make_board();
	FL_PANICS(fl_shm_rwlock_read_unlock(&b->lock));
	assert_string_equal(fl_test_panic.function, "fl_shm_rwlock_read_unlock");
	FL_PANICS(fl_shm_rwlock_write_unlock(&b->lock));
	assert_string_equal(fl_test_panic.function, "fl_shm_rwlock_write_unlock");
	FL_PANICS(fl_shm_rwlock_recover(&b->lock));
	assert_string_equal(fl_test_panic.function, "fl_shm_rwlock_recover");
	FL_OK(fl_shm_rwlock_write_lock(&b->lock));
	FL_PANICS(fl_shm_rwlock_read_unlock(&b->lock));
	FL_PANICS(fl_shm_rwlock_recover(&b->lock));
	fl_shm_rwlock_write_unlock(&b->lock);
	FL_OK(fl_shm_rwlock_read_lock(&b->lock));
	FL_PANICS(fl_shm_rwlock_write_unlock(&b->lock));
	fl_shm_rwlock_read_unlock(&b->lock);
	drop(b);
}

FL_TEST(shm_rwlock_others_are_refused)
{
	board *b = make_board();
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	pid_t pid = begin(b, write_and_rest);
	FL_RC(fl_shm_rwlock_try_read_lock(&b->lock), -EBUSY);
	FL_RC(fl_shm_rwlock_try_write_lock(&b->lock), -EBUSY);
	FL_RC(fl_shm_rwlock_read_lock_until(&b->lock, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_rwlock_write_lock_until(&b->lock, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_rwlock_read_lock_until(&b->lock, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_shm_rwlock_write_lock_until(&b->lock, FL_FOREVER, &stop), -ECANCELED);
	fl_test_kill(pid);
	fl_shm_rwlock_init(&b->lock);
	pid = begin(b, read_and_rest);
	FL_OK(fl_shm_rwlock_try_read_lock(&b->lock));
	fl_shm_rwlock_read_unlock(&b->lock);
	FL_RC(fl_shm_rwlock_try_write_lock(&b->lock), -EBUSY);
	FL_RC(fl_shm_rwlock_write_lock_until(&b->lock, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_rwlock_write_lock_until(&b->lock, FL_FOREVER, &stop), -ECANCELED);
	/* The writers that gave up have left nothing behind. */
	FL_OK(fl_shm_rwlock_read_lock(&b->lock));
	fl_shm_rwlock_read_unlock(&b->lock);
	fl_test_kill(pid);
	drop(b);
}

/* Killed readers do not hold up writers, and no death is reported. */
FL_TEST(shm_rwlock_killed_readers_are_cleared_away)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 5 };
	board *b = make_board();
	pid_t pids[N];
	for (int i = 0; i < N; i++)
		pids[i] = begin(b, read_and_rest);
	FL_RC(fl_shm_rwlock_try_write_lock(&b->lock), -EBUSY);
	for (int i = 0; i < N; i++)
		fl_test_kill(pids[i]);
	FL_OK(fl_shm_rwlock_write_lock(&b->lock));
	fl_shm_rwlock_write_unlock(&b->lock);
	FL_OK(fl_shm_rwlock_read_lock(&b->lock));
	fl_shm_rwlock_read_unlock(&b->lock);
	FL_OK(fl_shm_rwlock_destroy(&b->lock));
	drop(b);
}

FL_TEST(shm_rwlock_tells_of_a_writers_death)
{
	FL_TEST_NEEDS_DEATHS();
	board *b = make_board();
	for (int form = 0; form < 3; form++) {
		fl_test_kill(begin(b, write_and_rest));
		for (int i = 0; i < 2; i++) { /* until it is repaired */
			FL_RC(fl_shm_rwlock_read_lock(&b->lock), -EOWNERDEAD);
			FL_RC(fl_shm_rwlock_try_read_lock(&b->lock), -EOWNERDEAD);
			FL_RC(fl_shm_rwlock_read_lock_until(&b->lock, 0, NULL), -EOWNERDEAD);
		}
		fl_test_kill(begin(b, write_and_rest)); /* which had the report */
		if (form == 0)
			FL_RC(fl_shm_rwlock_write_lock(&b->lock), -EOWNERDEAD);
		else if (form == 1)
			FL_RC(fl_shm_rwlock_try_write_lock(&b->lock), -EOWNERDEAD);
		else
			FL_RC(fl_shm_rwlock_write_lock_until(&b->lock, 0, NULL), -EOWNERDEAD);
		fl_shm_rwlock_recover(&b->lock);
		fl_shm_rwlock_write_unlock(&b->lock);
		FL_OK(fl_shm_rwlock_read_lock(&b->lock));
		fl_shm_rwlock_read_unlock(&b->lock);
		FL_OK(fl_shm_rwlock_write_lock(&b->lock));
		fl_shm_rwlock_write_unlock(&b->lock);
	}
	drop(b);
}

static int read_lost(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_rwlock_read_lock(&b->lock) == -ENOTRECOVERABLE);
	return 0;
}

static int write_lost(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_rwlock_write_lock(&b->lock) == -ENOTRECOVERABLE);
	return 0;
}

FL_TEST(shm_rwlock_not_recovered_is_lost_for_all)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 6 };
	board *b = make_board();
	pid_t pids[N];
	fl_test_kill(begin(b, write_and_rest));
	FL_RC(fl_shm_rwlock_write_lock(&b->lock), -EOWNERDEAD);
	for (int i = 0; i < N; i++)
		pids[i] = fl_test_fork(i % 2 ? read_lost : write_lost, b);
	FL_WAIT_FOR(fl_test_is_slept_on(b->lock.writer_));
	fl_shm_rwlock_write_unlock(&b->lock);
	for (int i = 0; i < N; i++)
		fl_test_reap(pids[i]);
	FL_RC(fl_shm_rwlock_read_lock(&b->lock), -ENOTRECOVERABLE);
	FL_RC(fl_shm_rwlock_try_read_lock(&b->lock), -ENOTRECOVERABLE);
	FL_RC(fl_shm_rwlock_read_lock_until(&b->lock, 0, NULL), -ENOTRECOVERABLE);
	FL_RC(fl_shm_rwlock_write_lock(&b->lock), -ENOTRECOVERABLE);
	FL_RC(fl_shm_rwlock_try_write_lock(&b->lock), -ENOTRECOVERABLE);
	FL_RC(fl_shm_rwlock_write_lock_until(&b->lock, 0, NULL), -ENOTRECOVERABLE);
	FL_OK(fl_shm_rwlock_destroy(&b->lock));
	fl_shm_rwlock_init(&b->lock);
	FL_OK(fl_shm_rwlock_read_lock(&b->lock));
	fl_shm_rwlock_read_unlock(&b->lock);
	drop(b);
}

/* The 33rd reader waits until one has left. */
static int read_one_more(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_rwlock_try_read_lock(&b->lock) == -EBUSY);
	FL_CHECK(fl_shm_rwlock_read_lock_until(&b->lock, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT);
	fl__add_release(&b->held, 1);
	FL_CHECK(fl_shm_rwlock_read_lock(&b->lock) == 0);
	fl_shm_rwlock_read_unlock(&b->lock);
	return 0;
}

FL_TEST(shm_rwlock_has_32_places)
{
	board *b = make_board();
	for (int i = 0; i < FL_SHM_RWLOCK_READERS; i++)
		FL_OK(fl_shm_rwlock_try_read_lock(&b->lock));
	FL_RC(fl_shm_rwlock_try_read_lock(&b->lock), -EBUSY);
	FL_RC(fl_shm_rwlock_read_lock(&b->lock), -EDEADLK);
	FL_RC(fl_shm_rwlock_read_lock_until(&b->lock, FL_FOREVER, NULL), -EDEADLK);
	pid_t pid = begin(b, read_one_more);
	for (int i = 0; i < FL_SHM_RWLOCK_READERS; i++)
		fl_shm_rwlock_read_unlock(&b->lock);
	fl_test_reap(pid);
	FL_OK(fl_shm_rwlock_write_lock(&b->lock));
	fl_shm_rwlock_write_unlock(&b->lock);
	drop(b);
}

/*
 * A waiting writer comes before later readers, and a reader must not wait behind it for a second
 * read lock.
 */
static int write_once(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_rwlock_write_lock(&b->lock) == 0);
	fl__store_relaxed(&b->writers, 1);
	fl_shm_rwlock_write_unlock(&b->lock);
	return 0;
}

FL_TEST(shm_rwlock_writers_come_before_new_readers)
{
	board *b = make_board();
	FL_OK(fl_shm_rwlock_read_lock(&b->lock));
	pid_t pid = fl_test_fork(write_once, b);
	FL_WAIT_FOR((fl__load_relaxed(fl__shm_word((void *)b->lock.writer_)) & FL__SHM_TID) != 0);
	FL_RC(fl_shm_rwlock_try_read_lock(&b->lock), -EBUSY);
	FL_RC(fl_shm_rwlock_read_lock(&b->lock), -EDEADLK);
	FL_RC(fl_shm_rwlock_read_lock_until(&b->lock, FL_FOREVER, NULL), -EDEADLK);
	assert_int_equal(fl__load_relaxed(&b->writers), 0);
	fl_shm_rwlock_read_unlock(&b->lock);
	FL_OK(fl_shm_rwlock_read_lock(&b->lock));
	fl_shm_rwlock_read_unlock(&b->lock);
	fl_test_reap(pid);
	drop(b);
}

/* Readers without a pause do not keep a writer out. */
static int read_without_pause(void *arg)
{
	board *b = arg;
	while (!fl__load_relaxed(&b->writers)) {
		FL_CHECK(fl_shm_rwlock_read_lock(&b->lock) == 0);
		fl__add_relaxed(&b->held, 1);
		fl_shm_rwlock_read_unlock(&b->lock);
	}
	return 0;
}

FL_TEST(shm_rwlock_writer_does_not_starve)
{
	enum { N = 3 };
	board *b = make_board();
	pid_t pids[N];
	for (int i = 0; i < N; i++)
		pids[i] = fl_test_fork(read_without_pause, b);
	FL_WAIT_FOR(fl__load_relaxed(&b->held) > 1000);
	FL_OK(fl_shm_rwlock_write_lock(&b->lock));
	fl__store_relaxed(&b->writers, 1);
	fl_shm_rwlock_write_unlock(&b->lock);
	for (int i = 0; i < N; i++)
		fl_test_reap(pids[i]);
	drop(b);
}

static int child_holds_nothing(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_rwlock_write_lock_until(&b->lock, 0, NULL) == -ETIMEDOUT);
	return 0;
}

FL_TEST(shm_rwlock_fork_while_holding)
{
	board *b = make_board();
	FL_OK(fl_shm_rwlock_read_lock(&b->lock));
	fl_test_reap(fl_test_fork(child_holds_nothing, b));
	fl_shm_rwlock_read_unlock(&b->lock);
	FL_OK(fl_shm_rwlock_write_lock(&b->lock));
	fl_test_reap(fl_test_fork(child_holds_nothing, b));
	fl_shm_rwlock_write_unlock(&b->lock);
	drop(b);
}

/* Fibers of one thread: each is a reader or the writer of its own. */
static int fiber_reads_and_writes(void *arg)
{
	board *b = arg;
	for (int i = 0; i < 20; i++) {
		FL_CHECK(fl_shm_rwlock_read_lock(&b->lock) == 0);
		FL_CHECK(b->a == b->b);
		b->inside++;
		fl__fiber_yield();
		FL_CHECK(b->a == b->b && b->writers == 0);
		b->inside--;
		fl_shm_rwlock_read_unlock(&b->lock);
		FL_CHECK(fl_shm_rwlock_write_lock(&b->lock) == 0);
		FL_CHECK(b->inside == 0 && b->writers++ == 0);
		b->a++;
		fl__fiber_yield();
		b->b++;
		b->writers--;
		fl_shm_rwlock_write_unlock(&b->lock);
	}
	return 0;
}

FL_TEST(shm_rwlock_fibers_are_contexts)
{
	board *b = make_board();
	fl_test_fibers_here(fiber_reads_and_writes, b, 0, 3);
	assert_int_equal(b->a, 60);
	FL_OK(fl_shm_rwlock_destroy(&b->lock));
	drop(b);
}

/* The hammer: readers and writers in four processes, killed at any moment and replaced. */
static void write_one(board *b)
{
	int rc = fl_shm_rwlock_write_lock(&b->lock);
	FL_CHECK(rc == 0 || rc == -EOWNERDEAD);
	FL_CHECK(fl__load_relaxed(&b->writers) == 0 || rc == -EOWNERDEAD);
	if (rc == -EOWNERDEAD) {
		fl__add_relaxed(&b->told, 1);
		b->b = b->a;
		fl__store_relaxed(&b->writers, 0);
		fl_shm_rwlock_recover(&b->lock);
	}
	fl__store_relaxed(&b->writers, 1);
	FL_CHECK(b->a == b->b);
	b->a++;
	for (int i = 0; i < 200; i++) /* so that kills come between the two stores, too */
		fl__sys.relax();
	b->b++;
	fl__store_relaxed(&b->writers, 0);
	fl_shm_rwlock_write_unlock(&b->lock);
}

static int hammer(void *arg)
{
	board *b = arg;
	for (unsigned i = 0; !fl__load_relaxed(&b->go); i++) {
		fl__add_relaxed(&b->ok, 1);
		if (i % 8 == 0) {
			write_one(b);
			continue;
		}
		int rc = fl_shm_rwlock_read_lock(&b->lock);
		FL_CHECK(rc == 0 || rc == -EOWNERDEAD);
		if (rc != 0)
			continue;
		FL_CHECK(b->a == b->b && fl__load_relaxed(&b->writers) == 0);
		fl_shm_rwlock_read_unlock(&b->lock);
	}
	return 0;
}

FL_TEST(shm_rwlock_four_processes_are_killed)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 4 };
	board *b = make_board();
	pid_t pids[N];
	unsigned kills = fl_test_scaled(500);
	for (int i = 0; i < N; i++)
		pids[i] = fl_test_fork(hammer, b);
	for (unsigned n = 0; n < kills; n++) {
		uint32_t before = fl__load_relaxed(&b->ok);
		FL_WAIT_FOR(fl__load_relaxed(&b->ok) - before >= n % 97);
		fl_test_kill(pids[n % N]);
		pids[n % N] = fl_test_fork(hammer, b);
	}
	fl__store_relaxed(&b->go, 1);
	for (int i = 0; i < N; i++)
		fl_test_reap(pids[i]);
	print_message("%u kills: %u times a writer's death was told; %u rounds\n", kills, b->told, b->ok);
	assert_true(b->told <= kills);
	drop(b);
}

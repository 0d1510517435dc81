/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_queued.h"

FL_TEST(sys_futex_sees_another_value)
{
	uint32_t word = 5;
	FL_RC(fl__sys.futex_wait(&word, 4, FL__NEVER), -EAGAIN);
	FL_RC(fl__sys.futex_wait(&word, 6, 0), -EAGAIN);
	assert_int_equal(word, 5);
}

/* Whether it timed out, which a signal or a spurious wake may precede. */
static bool times_out(const uint32_t *word, fl_time deadline)
{
	for (int i = 0; i < 1000; i++) {
		int rc = fl__sys.futex_wait(word, *word, fl__expiry(deadline));
		if (rc == -ETIMEDOUT)
			return fl_time_is_past(deadline);
		FL_OK_OR(rc, -EINTR);
	}
	return false;
}

FL_TEST(sys_futex_times_out_at_the_deadline)
{
	uint32_t word = 5;
	static const fl_time past[] = {{INT64_MIN}, {-FL_S(5)}, {-1}, {1}, {FL_S(1)}};
	FL_EACH (i, past)
		assert_true(times_out(&word, past[i]));
	assert_true(times_out(&word, fl_after(FL_MS(2))));
	assert_true(times_out(&word, fl_now()));
}

typedef struct sleeper {
	uint32_t *word;
	fl_time deadline;
	uint32_t *awake;
	fl_thread *thread;
} sleeper;

/* Sleeps until it is woken while the word has changed, and counts that. */
static int sleeper_run(void *arg)
{
	sleeper *s = arg;
	while (fl__load_acquire(s->word) == 0) {
		int rc = fl__sys.futex_wait(s->word, 0, fl__expiry(s->deadline));
		FL_CHECK(rc == 0 || rc == -EAGAIN || rc == -EINTR);
	}
	fl__add_relaxed(s->awake, 1);
	return 0;
}

/* Distant deadlines never expire; a wake reaches its word, and as many sleepers as it asks for. */
FL_TEST(sys_futex_wakes)
{
	enum { EACH = 4 };
	static const fl_time far[EACH] = {{0}, {INT64_MAX - 1}, {INT64_MAX / 2}, {FL_S(4000000000)}};
	uint32_t words[2] = {0, 0}; /* neighbours */
	uint32_t awake[2] = {0, 0};
	sleeper sleepers[2][EACH];
	for (int i = 0; i < 2 * EACH; i++) {
		sleeper *s = &sleepers[i % 2][i / 2];
		*s = (sleeper){&words[i % 2], far[i / 2], &awake[i % 2], NULL};
		fl_test_go(&s->thread, sleeper_run, s);
	}
	int woken = 0;
	while (woken < 100) /* all sleep again: the word is unchanged */
		woken += fl__sys.futex_wake(&words[0], 1);
	assert_int_equal(fl__load_relaxed(&awake[0]) + fl__load_relaxed(&awake[1]), 0);

	fl__store_release(&words[1], 1);
	for (int waked = 0; waked < EACH && fl__load_relaxed(&awake[1]) < EACH;) {
		int n = fl__sys.futex_wake(&words[1], 1);
		FL_IN_RANGE(n, 0, 1);
		waked += n;
	}
	for (int i = 0; i < EACH; i++)
		fl_test_end(sleepers[1][i].thread);
	assert_int_equal(fl__load_relaxed(&awake[0]), 0);

	fl__store_release(&words[0], 1);
	FL_IN_RANGE(fl__sys.futex_wake(&words[0], INT32_MAX), 0, EACH);
	for (int i = 0; i < EACH; i++)
		fl_test_end(sleepers[0][i].thread);
	FL_RC(fl__sys.futex_wake(&words[0], 1), 0);
}

/* The memory under a wake may be freed: the wake wakes no thread, and touches nothing. */
FL_TEST(sys_futex_wake_tolerates_gone_memory)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(munmap(page, size), 0);
	int rc = fl__sys.futex_wake(page, 1);
	FL_OK_OR(rc, -EFAULT);
}

static void *thread_of_the_table(void *arg)
{
	fl__store_release((uint32_t *)arg, 1);
	return NULL;
}

FL_TEST(sys_table_reaches_the_system)
{
	int64_t before = fl__sys.now();
	fl__sys.relax();
	fl__sys.yield();
	assert_true(fl__sys.now() >= before);
	void *memory = fl__sys.alloc(100);
	assert_non_null(memory);
	fl__sys.free(memory);

	uint32_t ran = 0;
	pthread_t thread;
	FL_OK(fl__sys.thread_create(&thread, NULL, thread_of_the_table, &ran));
	FL_OK(fl__sys.thread_join(thread));
	assert_int_equal(ran, 1);
	ran = 0;
	FL_OK(fl__sys.thread_create(&thread, NULL, thread_of_the_table, &ran));
	FL_OK(fl__sys.thread_detach(thread));
	FL_WAIT_FOR(fl__load_acquire(&ran) == 1);
}

FL_TEST(sys_deadlines_have_a_minimum)
{
	assert_true(fl__min_deadline(1, 2) == 1);
	assert_true(fl__min_deadline(2, 1) == 1);
	assert_true(fl__min_deadline(FL__NEVER, INT64_MIN) == INT64_MIN);
	assert_true(fl__min_deadline(FL__NEVER, FL__NEVER) == FL__NEVER);
}

/* Neither SIGPIPE nor SIGXFSZ: a text of the library ends no process. */
FL_TEST(sys_print_raises_no_signal)
{
	int ends[2];
	sigset_t pending;
	struct rlimit before;
	const int file = memfd_create("log", MFD_CLOEXEC);
	FL_CHECK(pipe(ends) == 0 && close(ends[0]) == 0 && getrlimit(RLIMIT_FSIZE, &before) == 0);
	(void)fl__sys.print(ends[1], "text", 4);
	if (file >= 0) {
		FL_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){2, before.rlim_max}) == 0);
		(void)fl__sys.print(file, "text", 4);
		FL_CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
		assert_int_equal(lseek(file, 0, SEEK_END), 2);
		FL_CHECK(close(file) == 0);
	}
	FL_CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE) && !sigismember(&pending, SIGXFSZ));
	FL_CHECK(close(ends[1]) == 0);
}

static unsigned count_mappings(void)
{
	char line[512];
	unsigned n = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	FL_CHECK(maps != NULL);
	while (fgets(line, sizeof line, maps))
		n++;
	FL_CHECK(fclose(maps) == 0);
	return n;
}

enum { GUARD_PAGES = 64 };

/* The first guard is made without memory. Later ones must cut no mapping. */
static void guard_after_a_shortage(void *arg)
{
	const size_t page = fl__page_size();
	char *memory = arg;
	struct rlimit before, limit;
	FL_CHECK(getrlimit(RLIMIT_AS, &before) == 0);
	limit = before;
	limit.rlim_cur = 0;
	FL_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	FL_CHECK(fl__sys.guard(memory, page) == 0);
	FL_CHECK(setrlimit(RLIMIT_AS, &before) == 0);
	const unsigned mappings = count_mappings();
	for (int i = 2; i < GUARD_PAGES; i += 2)
		FL_CHECK(fl__sys.guard(memory + (size_t)i * page, page) == 0);
	FL_CHECK(count_mappings() < mappings + GUARD_PAGES / 4);
}

FL_TEST(sys_guard_outlives_a_shortage)
{
	FL_NOT_ON_POSIX("guards are for the stacks of fibers");
	enum { ADVISE_GUARD = 102 };
	const size_t size = GUARD_PAGES * fl__page_size();
	char *memory = fl__sys.map(size);
	assert_non_null(memory);
	const bool has_guards = fl_test_memory_is_limited() && madvise(memory, fl__page_size(), ADVISE_GUARD) == 0;
	if (has_guards)
		FL_IN_CHILD(guard_after_a_shortage, memory);
	fl__sys.unmap(memory, size);
	if (!has_guards)
		FL_SKIP("no MADV_GUARD_INSTALL, or no limits of memory");
}

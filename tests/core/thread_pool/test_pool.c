/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor: its threads, and its refusals, which change nothing. Its end:
 * test_pool_end.c.
 */
#include "fl_child.h"
#include "fl_pool.h"

static unsigned drops, runs;

static void count_drop(void *arg)
{
	COUNT(&drops);
}

FL_TASK(pool_count, int, int, .drop_arg = count_drop)
{
	COUNT(&runs);
	*result = *arg;
	return 0;
}

static void begin_counts(void)
{
	SET(&drops, 0);
	SET(&runs, 0);
}

FL_TEST(pool_starts_threads_when_they_are_needed)
{
	unsigned before = seam_threads_started();
	FL_SCOPED(fl_executor) *e = pool_with(3), *unused = pool_with(8);
	struct gate last = {.open = FL_EVENT_INIT};
	struct held held[3];
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_executor_join(unused));
	assert_int_equal(seam_threads_started(), before);
	FL_EACH (i, held) {
		held[i] = hold_worker(e);
		assert_int_equal(seam_threads_started(), before + i + 1);
	}
	FL_OK(hold_submit(e, &last, &f)); /* there are no more workers: it waits */
	assert_int_equal(seam_threads_started(), before + 3);
	FL_STATE_IS(f, FL_PENDING);
	fl_event_set(&last.open);
	let_all_go(held, 3);
	FL_OK(fl_executor_join(e));
	assert_int_equal(seam_threads_started(), before + 3);
}

POOL_TEST(pool_starts_no_thread_while_one_is_idle, 4)
{
	unsigned before = seam_threads_started();
	for (int i = 0; i < 20; i++) {
		FL_OK(fl_test_run_task(e, &pool_count, &i, NULL));
		FL_WAIT_FOR(seam_sleepers() == 1); /* it waits for work */
	}
	assert_int_equal(seam_threads_started(), before + 1);
}

static void check_names(const char *name, const char *expected)
{
	FL_SCOPED(fl_executor) *e = pool_of(&(fl_executor_config){.workers = 3, .name = name});
	struct held held[3];
	char full[32];
	hold_workers(e, held, 3);
	FL_EACH (i, held) {
		(void)snprintf(full, sizeof full, "%s-%zu", expected, i);
		FL_WAIT_FOR(fl_test_threads_named(full) == 1); /* one that was joined before may still end */
	}
	let_all_go(held, 3);
}

FL_TEST(pool_workers_have_names)
{
	check_names(NULL, "worker");
	check_names("loader", "loader");
}

FL_TASK(pool_look_at_signals, void, sigset_t)
{
	return -pthread_sigmask(SIG_BLOCK, NULL, result);
}

/* Also a worker that runs in place of one that waits. */
FL_TEST(pool_workers_block_what_the_creator_blocks)
{
	sigset_t mine, before, seen;
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR2);
	FL_OK(pthread_sigmask(SIG_SETMASK, &mine, &before));
	FL_SCOPED(fl_executor) *e = pool_of(&(fl_executor_config){.workers = 1, .workers_max = 2});
	FL_SCOPED(fl_future) *waits = NULL, *f = NULL;
	fl_event end = FL_EVENT_INIT;
	FL_OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
	FL_OK(pool_await_submit(e, &end, &waits));
	FL_OK(pool_look_at_signals_submit(e, &f));
	FL_OK(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED));
	FL_OK(pool_look_at_signals_get(f, &seen));
	fl_event_set(&end);
	FL_OK(pool_await_get(waits));
	const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGPIPE, SIGSEGV, SIGRTMIN};
	FL_EACH (i, signals)
		assert_int_equal(sigismember(&seen, signals[i]), 0);
	assert_int_equal(sigismember(&seen, SIGUSR2), 1);
}

/* Refusals: nothing is queued, the argument stays the caller's. */

POOL_TEST(pool_without_a_single_thread_refuses, 2)
{
	char somewhere;
	fl_future *const untouched = (fl_future *)(void *)&somewhere, *f = untouched;
	begin_counts();
	seam_fail_threads(0, 3);
	for (int i = 0; i < 3; i++)
		FL_RC(pool_count_submit(e, i, &f), -EAGAIN);
	assert_ptr_equal(f, untouched);
	FL_OK(seam_heal());
	FL_OK(fl_executor_join(e)); /* nothing is queued */
	assert_int_equal(LOOK(&runs) + LOOK(&drops), 0);

	FL_SCOPED(fl_executor) *again = pool_with(2);
	seam_fail_threads(0, 1);
	FL_RC(pool_count_submit(again, 1, &f), -EAGAIN);
	FL_OK(pool_count_submit(again, 2, &f)); /* and the next may do */
	assert_int_equal(fl_test_result(f), 2);
	fl_future_free(f);
	FL_OK(fl_executor_join(again));
	assert_int_equal(LOOK(&drops), 1);
}

POOL_TEST(pool_with_one_thread_accepts_all, 4)
{
	begin_counts();
	struct held held = hold_worker(e);
	unsigned before = seam_threads_started();
	seam_fail_threads(0, 1000);
	for (int i = 0; i < 20; i++)
		FL_OK(pool_count_submit(e, i, NULL));
	assert_true(seam_heal() < 1000); /* it tried */
	assert_int_equal(seam_threads_started(), before);
	let_go(&held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 20);
	assert_int_equal(LOOK(&drops), 20);
}

POOL_TEST(pool_submit_without_memory_refuses, 2)
{
	begin_counts();
	unsigned refused = 0, accepted = 0;
	for (unsigned step = 0; step < 400; step++) {
		seam_fail_allocs(step % 4, 1);
		int rc = pool_count_submit(e, 1, NULL);
		(void)seam_heal();
		FL_OK_OR(rc, -ENOMEM);
		accepted += rc == 0;
		refused += rc != 0;
	}
	assert_true(refused > 0);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), accepted);
	assert_int_equal(LOOK(&drops), accepted);
	FL_SCOPED(fl_executor) *fresh = pool_with(2);
	SEAM_NO_MEMORY(pool_count_submit(fresh, 1, NULL), -ENOMEM);
}

/* Initializers. */

static _Thread_local int initialized;
static unsigned initializations;

FL_TASK_STATIC(initialize, int, void)
{
	initialized++;
	COUNT(&initializations);
	return *arg;
}

FL_TASK(pool_is_initialized, fl_latch *, int)
{
	fl_latch_count_down(*arg, 1);
	*result = initialized;
	return fl_latch_wait(*arg);
}

FL_TEST(pool_initializes_each_worker_once)
{
	enum { N = 3 };
	int well = 0;
	const fl_executor_config config = {.workers = N, .initialize = &initialize, .initialize_arg = &well};
	FL_SCOPED(fl_executor) *e = pool_of(&config);
	SET(&initializations, 0);
	for (int round = 0; round < 3; round++) {
		fl_latch all = FL_LATCH_INIT(N);
		fl_future *f[N];
		FL_EACH (i, f)
			FL_OK(pool_is_initialized_submit(e, &all, &f[i]));
		FL_EACH (i, f) {
			assert_int_equal(fl_test_result(f[i]), 1);
			fl_future_free(f[i]);
		}
	}
	assert_int_equal(LOOK(&initializations), N);
	FL_SCOPED(fl_executor) *s = NULL;
	/* There, the calling thread is the worker. */
	s = fl_test_executor(fl_sequential_executor_create, &config);
	assert_int_equal(LOOK(&initializations), N + 1);
	assert_int_equal(initialized, 1);
}

/* The first rows are senseless for an executor without threads, too. */
FL_TEST(pool_create_refuses_what_makes_no_sense)
{
	enum { OF_ANY = 4 };
	static const int number = 1;
	fl_task_type strict = initialize;
	strict.arg_align = FL_TASK_ALIGN_MAX;
	const fl_executor_config senseless[] = {
	    {.initialize = &initialize},                            /* without its argument */
	    {.initialize = &pool_count, .initialize_arg = &number}, /* has a result */
	    {.initialize = &strict, .initialize_arg = &number},
	    {.n_regions = FL_REGIONS_MAX + 1},
	    {.idle_timeout = -1},
	    {.backlog = FL_BACKLOG_MAX + 1},
	    {.backlog = UINT32_MAX - 1},
	    {.when_full = (fl_when_full)3},
	};
	fl_executor *e = NULL;
	FL_EACH (i, senseless) {
		print_message("row %zu\n", i);
		FL_RC(fl_thread_executor_create(&e, &senseless[i]), -EINVAL);
		if (i < OF_ANY)
			FL_RC(fl_sequential_executor_create(&e, &senseless[i]), -EINVAL);
	}
	assert_null(e);
}

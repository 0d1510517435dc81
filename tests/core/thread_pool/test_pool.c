/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor: its threads, and its refusals, which change nothing. Its end:
 * test_pool_end.c.
 */
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

typedef int create_function(fl_executor **e, const fl_executor_config *config);

/* Every step that can fail fails once; nothing is left behind, and nothing is given out. */
static void run_out_of_memory(create_function *create)
{
	fl_executor *e = NULL;
	FL_OK(create(&e, NULL)); /* so that lasting resources exist */
	fl_executor_free(e);
	e = NULL;
	long before = seam_live_allocs();
	for (unsigned step = 0; e == NULL; step++) {
		assert_true(step < 20);
		seam_fail_allocs(step, 1);
		int rc = create(&e, &(fl_executor_config){.workers = 3});
		bool struck = seam_heal() == 0;
		FL_RC(rc, struck ? -ENOMEM : 0);
		assert_true(struck ? seam_live_allocs() == before : e != NULL);
	}
	fl_executor_free(e);
	assert_int_equal(seam_live_allocs(), before);
}

FL_TEST(pool_create_without_memory)
{
	fl_executor *e = NULL;
	run_out_of_memory(fl_thread_executor_create);
	run_out_of_memory(fl_sequential_executor_create);
	seam_fail_allocs(0, 1);
	FL_RC(fl_thread_executor_create(&e, NULL), -ENOMEM);
	seam_fail_allocs(0, 1);
	FL_RC(fl_sequential_executor_create(&e, NULL), -ENOMEM);
	seam_heal();
	assert_null(e);
}

FL_TEST(pool_starts_threads_when_they_are_needed)
{
	unsigned before = seam_threads_started();
	FL_SCOPED(fl_executor) *e = pool_with(3);
	struct gate last = {.open = FL_EVENT_INIT};
	struct held held[3];
	FL_SCOPED(fl_future) *f = NULL;
	assert_int_equal(seam_threads_started(), before);
	for (unsigned i = 0; i < 3; i++) {
		held[i] = hold_worker(e);
		assert_int_equal(seam_threads_started(), before + i + 1);
	}
	FL_OK(hold_submit(e, &last, &f)); /* there are no more workers: it waits */
	assert_int_equal(seam_threads_started(), before + 3);
	assert_int_equal(fl_future_get_state(f), FL_PENDING);
	fl_event_set(&last.open);
	let_all_go(held, 3);
	FL_OK(fl_executor_join(e));
	assert_int_equal(seam_threads_started(), before + 3);
}

FL_TEST(pool_starts_no_thread_while_one_is_idle)
{
	unsigned before = seam_threads_started();
	FL_SCOPED(fl_executor) *e = pool_with(4);
	for (int i = 0; i < 20; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		int n;
		FL_OK(pool_count_submit(e, i, &f));
		FL_OK(pool_count_get(f, &n));
		FL_WAIT_FOR(seam_sleepers() == 1); /* it waits for work */
	}
	assert_int_equal(seam_threads_started(), before + 1);
}

FL_TEST(pool_that_is_never_used_has_no_threads)
{
	unsigned before = seam_threads_started();
	size_t threads = fl_thread_enumerate(NULL, NULL);
	fl_executor *e = pool_with(8);
	FL_OK(fl_executor_try_join(e));
	FL_OK(fl_executor_join(e));
	fl_executor_free(e);
	assert_int_equal(seam_threads_started(), before);
	assert_int_equal(fl_thread_enumerate(NULL, NULL), threads);
}

FL_TEST(pool_workers_are_gone_after_a_join)
{
	size_t before = fl_thread_enumerate(NULL, NULL);
	FL_SCOPED(fl_executor) *e = pool_with(2);
	struct held held[2];
	hold_workers(e, held, 2);
	assert_int_equal(fl_thread_enumerate(NULL, NULL), before + 2);
	let_all_go(held, 2);
	FL_OK(fl_executor_join(e));
	assert_int_equal(fl_thread_enumerate(NULL, NULL), before);
}

/*
 * Reports its worker's name, and waits for the others, so that each of them runs on its own worker.
 */
struct told {
	char name[40];
	fl_latch *all;
};

FL_TASK(pool_tell_name, struct told *, void)
{
	(void)snprintf((*arg)->name, sizeof(*arg)->name, "%s", fl_thread_current_name());
	fl_latch_count_down((*arg)->all, 1);
	return fl_latch_wait((*arg)->all);
}

static void check_names(const char *name, const char *expected)
{
	enum { N = 3 };
	FL_SCOPED(fl_executor) *e = pool_of(&(fl_executor_config){.workers = N, .name = name});
	fl_latch all = FL_LATCH_INIT(N);
	struct told told[N];
	unsigned seen = 0;
	for (int i = 0; i < N; i++) {
		told[i].all = &all;
		FL_OK(pool_tell_name_submit(e, &told[i], NULL));
	}
	FL_OK(fl_executor_join(e));
	for (int i = 0; i < N; i++) {
		assert_memory_equal(told[i].name, expected, strlen(expected));
		seen |= 1u << (told[i].name[strlen(expected)] - '0');
		assert_int_equal(strlen(told[i].name), strlen(expected) + 1);
	}
	assert_int_equal(seen, 7); /* -0, -1, -2, each once */
}

FL_TEST(pool_workers_have_names)
{
	check_names(NULL, "worker-");
	check_names("loader", "loader-");
}

FL_TASK(pool_look_at_signals, void, sigset_t)
{
	return -pthread_sigmask(SIG_BLOCK, NULL, result);
}

FL_TASK(pool_waits_for_signals_seen, fl_event *, void)
{
	return fl_event_wait(*arg);
}

/* Also a worker that stands in for another, although the agent, which starts it, blocks all. */
FL_TEST(pool_stand_ins_block_what_the_creator_blocks)
{
	sigset_t mine, before, seen;
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR2);
	FL_OK(pthread_sigmask(SIG_SETMASK, &mine, &before));
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *waits = NULL, *f = NULL;
	fl_event end = FL_EVENT_INIT;
	FL_OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
	FL_OK(pool_waits_for_signals_seen_submit(e, &end, &waits));
	FL_OK(pool_look_at_signals_submit(e, &f));
	FL_OK(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED));
	FL_OK(pool_look_at_signals_get(f, &seen));
	fl_event_set(&end);
	FL_OK(pool_waits_for_signals_seen_get(waits));
	const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGPIPE, SIGSEGV, SIGRTMIN};
	FL_EACH (i, signals)
		assert_int_equal(sigismember(&seen, signals[i]), 0);
	assert_int_equal(sigismember(&seen, SIGUSR2), 1);
}

/* Refusals: nothing is queued, the argument stays the caller's. */

FL_TEST(pool_without_a_single_thread_refuses)
{
	char somewhere;
	fl_future *const untouched = (fl_future *)(void *)&somewhere, *f = untouched;
	FL_SCOPED(fl_executor) *e = pool_with(2);
	begin_counts();
	seam_fail_threads(0, 3);
	for (int i = 0; i < 3; i++)
		FL_RC(fl_submit(e, &pool_count, &i, &f), -EAGAIN);
	assert_ptr_equal(f, untouched);
	FL_OK(seam_heal());
	FL_OK(fl_executor_try_join(e) == 0 ? 0 : fl_executor_join(e)); /* nothing is queued */
	assert_int_equal(LOOK(&runs) + LOOK(&drops), 0);

	FL_SCOPED(fl_executor) *again = pool_with(2);
	seam_fail_threads(0, 1);
	FL_RC(fl_submit(again, &pool_count, &(int){1}, &f), -EAGAIN);
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
		FL_OK(fl_submit(e, &pool_count, &i, NULL));
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
		int rc = fl_submit(e, &pool_count, &(int){1}, NULL);
		(void)seam_heal();
		assert_true(rc == 0 || rc == -ENOMEM);
		accepted += rc == 0;
		refused += rc != 0;
	}
	assert_true(refused > 0);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), accepted);
	assert_int_equal(LOOK(&drops), accepted);
	FL_SCOPED(fl_executor) *fresh = pool_with(2);
	seam_fail_allocs(0, 1);
	FL_RC(fl_submit(fresh, &pool_count, &(int){1}, NULL), -ENOMEM);
	FL_OK(seam_heal());
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
	FL_SCOPED(fl_executor) *e = NULL;
	int well = 0;
	const fl_executor_config config = {.workers = N, .initialize = &initialize, .initialize_arg = &well};
	FL_OK(fl_thread_executor_create(&e, &config));
	SET(&initializations, 0);
	for (int round = 0; round < 3; round++) {
		fl_latch all = FL_LATCH_INIT(N);
		fl_future *f[N];
		for (int i = 0; i < N; i++)
			FL_OK(pool_is_initialized_submit(e, &all, &f[i]));
		for (int i = 0; i < N; i++) {
			assert_int_equal(fl_test_result(f[i]), 1);
			fl_future_free(f[i]);
		}
	}
	assert_int_equal(LOOK(&initializations), N);
	FL_SCOPED(fl_executor) *s = NULL;
	/* There, the calling thread is the worker. */
	FL_OK(fl_sequential_executor_create(&s, &config));
	assert_int_equal(LOOK(&initializations), N + 1);
	assert_int_equal(initialized, 1);
}

FL_TEST(pool_create_refuses_an_initializer_that_is_none)
{
	static const int number = 1;
	fl_task_type strict = initialize;
	strict.arg_align = FL_TASK_ALIGN_MAX;
	const fl_executor_config senseless[] = {
	    {.initialize = &initialize},                            /* without its argument */
	    {.initialize = &pool_count, .initialize_arg = &number}, /* has a result */
	    {.initialize = &strict, .initialize_arg = &number},
	    {.n_regions = FL_REGIONS_MAX + 1},
	};
	fl_executor *e = NULL;
	FL_EACH (i, senseless) {
		FL_RC(fl_sequential_executor_create(&e, &senseless[i]), -EINVAL);
		FL_RC(fl_thread_executor_create(&e, &senseless[i]), -EINVAL);
	}
	assert_null(e);
}

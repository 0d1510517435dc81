/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fl_executor_map where an element, memory, threads or the executor fail: it goes on with less, or
 * nothing happened.
 */
#include "fl_pool.h"

enum { N = 500 };

static int inputs[N], outputs[N];
static unsigned runs;

/* Fails where the argument is negative. */
FL_TASK(map_square, int, int)
{
	COUNT(&runs);
	*result = *arg * *arg;
	return *arg < 0 ? *arg : 0;
}

static void begin_map(void)
{
	SET(&runs, 0);
	FL_EACH (i, inputs) {
		inputs[i] = i;
		outputs[i] = -77;
	}
}

/* Elements that wait for each other: they run at the same time, or never end. */
static fl_latch together;

FL_TASK(map_meet, int, int)
{
	fl_latch_count_down(&together, 1);
	return fl_latch_wait(&together);
}

POOL_TEST(map_uses_all_workers_at_once, 4)
{
	begin_map();
	FL_OK(fl_latch_init(&together, 4));
	FL_OK(map_meet_map(e, inputs, 4, outputs, NULL));
	FL_OK(fl_latch_init(&together, 4));
	FL_OK(map_meet_map(e, inputs, 4, outputs, &(fl_map_config){.chunk = 1}));
}

FL_TEST(map_begins_nothing_after_a_failure)
{
	FL_SCOPED(fl_executor) *s = sequential(), *e = pool_with(1);
	begin_map();
	inputs[10] = -EIO;
	/* Also without a place for the error. */
	FL_RC(map_square_map(s, inputs, N, outputs, NULL), FL_ETASK);
	assert_int_equal(LOOK(&runs), 11);
	assert_int_equal(outputs[11], -77);
	FL_RC(map_square_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 3}), FL_ETASK);
	assert_int_equal(LOOK(&runs), 2 * 11);
	/* And no task is left. */
	fl_executor_close(e);
	FL_OK(fl_executor_try_join(e) == -EAGAIN ? fl_executor_join(e) : 0);
}

/* Whatever allocation fails, either nothing was run, or the map went on with less. */
FL_TEST(map_without_memory_half_way)
{
	FL_SCOPED(fl_executor) *e = NULL;
	unsigned failed = 0;
	for (unsigned step = 0; step < 40; step++) {
		fl_executor_free(e);
		e = pool_with(3);
		begin_map();
		seam_fail_allocs(step, 1000);
		int rc = map_square_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 5});
		bool struck = seam_heal() < 1000;
		FL_OK_OR(rc, -ENOMEM);
		failed += rc != 0;
		assert_int_equal(LOOK(&runs), rc == 0 ? N : 0);
		for (int i = 0; i < N; i++)
			assert_int_equal(outputs[i], rc == 0 ? i * i : -77);
		if (!struck)
			break;
	}
	assert_true(failed > 0);
	fl_executor_free(e);
	e = pool_with(3);
	seam_fail_allocs(0, 1);
	begin_map();
	FL_RC(map_square_map(e, inputs, N, outputs, NULL), -ENOMEM);
	FL_OK(seam_heal());
}

/* Waits until the workers, those started since `before` were, refer to no task any more. */
static void settle(unsigned before)
{
	FL_WAIT_FOR(seam_sleepers() == seam_threads_started() - before);
}

/*
 * The number of tasks for which the executor has memory; this thread has freed them all when it
 * returns.
 */
static unsigned room_of(fl_executor *e, unsigned before)
{
	fl_future *f[64];
	unsigned n = 0;
	seam_fail_allocs(0, 1000);
	while (n < 64 && map_square_submit(e, 0, &f[n]) == 0)
		n++;
	(void)seam_heal();
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_future_wait(f[i]));
	settle(before); /* otherwise a worker might free the last one to its own free list */
	fl_test_futures_free(f, n);
	return n;
}

static void run_map_with_little_room(int kept, unsigned *partial)
{
	fl_future *f[64];
	unsigned before = seam_threads_started();
	FL_SCOPED(fl_executor) *e = pool_with(3);
	for (int i = 0; i < kept; i++)
		FL_OK(map_square_submit(e, i, &f[i]));
	for (int i = 0; i < kept; i++)
		FL_OK(fl_future_wait(f[i]));
	settle(before);
	unsigned room = room_of(e, before);
	begin_map();
	seam_fail_allocs(1, 1000);
	FL_RC(map_square_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 5}), room ? 0 : -ENOMEM);
	(void)seam_heal();
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), room ? N : 0);
	fl_test_futures_free(f, (size_t)kept);
	*partial += room == 1 || room == 2;
}

/*
 * Unfreed futures use up the executor's free blocks, so that the first task of a map gets one and
 * later tasks do not.
 */
FL_TEST(map_without_memory_for_all_its_tasks)
{
#ifdef FL__ASAN
	FL_SKIP("freed blocks are not used again at once");
#endif
	unsigned partial = 0;
	for (int kept = 1; kept <= 64; kept++)
		run_map_with_little_room(kept, &partial);
	assert_true(partial > 0);
}

POOL_TEST(map_without_threads, 3)
{
	begin_map();
	seam_fail_threads(0, 1000);
	FL_RC(map_square_map(e, inputs, N, outputs, NULL), -EAGAIN);
	assert_int_equal(LOOK(&runs), 0);
	seam_heal();
	seam_fail_threads(1, 1000); /* one worker has to do */
	FL_OK(map_square_map(e, inputs, N, outputs, NULL));
	seam_heal();
	assert_int_equal(outputs[N - 1], (N - 1) * (N - 1));
}

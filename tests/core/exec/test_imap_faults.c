/* SPDX-License-Identifier: BSD-2-Clause */
/* The lazy map where memory or threads fail, and from several threads at once. */
#include "fl_pool.h"

enum { N = 200 };

static int inputs[N];
static unsigned runs, made;

FL_TASK(square, int, int)
{
	COUNT(&runs);
	*result = *arg * *arg;
	return *arg < 0 ? *arg : 0;
}

static void begin_test(void)
{
	SET(&runs, 0);
	made = 0;
	fl_test_number(inputs, N);
}

static int make_input(void *unused, void *arg)
{
	if (made == N)
		return 0;
	*(int *)arg = inputs[made++];
	return 1;
}

/*
 * Any allocation fails: nothing was run, or all continues with less, or a call reports it and may
 * be repeated.
 */
static bool run_with_fault(unsigned step, unsigned count, const fl_imap_config *config)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	fl_imap *it = NULL;
	int given = 0, result, rc, refused = 0;
	begin_test();
	seam_fail_allocs(step, count);
	rc = fl_imap_create(&it, e, &square, config->next ? NULL : inputs, config->next ? 0 : N, config);
	if (rc != 0) {
		FL_RC(rc, -ENOMEM);
		bool struck = seam_heal() < count;
		assert_int_equal(LOOK(&runs), 0);
		return struck;
	}
	while ((rc = square_imap_next(it, NULL, &result)) != -ENODATA) {
		if (rc == -ENOMEM)
			refused++;
		else
			FL_OK(rc);
		given += rc == 0;
		if (refused > 3)
			(void)seam_heal();
	}
	bool struck = seam_heal() < count || refused > 3;
	assert_int_equal(given, N);
	assert_int_equal(LOOK(&runs), N);
	fl_imap_free(it);
	return struck;
}

FL_TEST(imap_without_memory)
{
	for (int how = 0; how < 8; how++) {
		const fl_imap_config config = {
		    .unordered = how & 1, .chunk = how & 2 ? 60 : 1, .window = 70, .next = how & 4 ? make_input : NULL};
		unsigned step = 0;
		while (run_with_fault(step, 1, &config))
			step++;
		assert_true(step >= 3);
		for (step = 0; run_with_fault(step, 1000, &config) && step < 30; step++)
			;
		assert_true(step >= 3);
	}
}

POOL_TEST(imap_of_a_window_without_end, 1)
{
	fl_imap *it = NULL;
	const fl_imap_config config = {.window = SIZE_MAX, .next = (int (*)(void *, void *))abort};
	FL_RC(square_imap(e, NULL, 0, &it, &config), -ENOMEM);
}

POOL_TEST(imap_without_threads, 2)
{
	FL_SCOPED(fl_imap) *it = NULL;
	begin_test();
	seam_fail_threads(0, 1000);
	FL_RC(square_imap(e, inputs, N, &it, NULL), -EAGAIN);
	seam_heal();
	assert_int_equal(LOOK(&runs), 0);
	FL_OK(square_imap(e, inputs, N, &it, NULL));
	FL_OK(square_imap_next(it, NULL, &(int){0}));
}

/*
 * Nothing is left behind, however it is freed, except the workers' queues, the figures of the type,
 * and slabs of blocks: as many as the window needs.
 */
FL_TEST(imap_gives_back_its_memory)
{
	for (int how = 0; how < 4; how++) {
		FL_SCOPED(fl_executor) *e = pool_with(2);
		const fl_imap_config config = {.unordered = how % 2, .chunk = how / 2 ? 7 : 1};
		const long before = seam_live_allocs();
		const unsigned threads_before = seam_threads_started();
		begin_test();
		for (int round = 0; round < 40; round++) {
			FL_SCOPED(fl_imap) *it = NULL;
			FL_OK(square_imap(e, inputs, N, &it, &config));
			for (int i = 0; i < round * N / 39; i++)
				FL_OK(square_imap_next(it, NULL, &(int){0}));
		}
		/* One worker may have done all. */
		FL_WAIT_FOR(seam_sleepers() == seam_threads_started() - threads_before);
		FL_WAIT_FOR(seam_live_allocs() <= before + 13);
	}
}

/*
 * With a slow generator the first result is there as soon as it exists: here, while the second
 * element is generated.
 */
struct slow {
	int made;
	struct held held;
};

static int make_slowly(void *state, void *arg)
{
	struct slow *slow = state;
	if (slow->made == 1) {
		let_go(&slow->held);
		FL_WAIT_FOR(seam_sleepers() == 1); /* the worker has ended the first */
	}
	*(int *)arg = slow->made++;
	return 1;
}

FL_TEST(imap_of_a_slow_generator)
{
	FL_BOTH (unordered) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		FL_SCOPED(fl_imap) *it = NULL;
		struct slow slow = {.held = hold_worker(e)};
		int result = 77;
		const fl_imap_config config = {
		    .unordered = unordered, .window = 20, .next = make_slowly, .state = &slow};
		FL_OK(square_imap(e, NULL, 0, &it, &config));
		assert_int_equal(slow.made, 2);
		FL_OK(square_imap_next(it, NULL, &result));
		assert_int_equal(result, 0);
		assert_int_equal(slow.made, 3);
	}
}

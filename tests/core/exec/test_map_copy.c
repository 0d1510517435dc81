/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fl_executor_map on executors that copy arguments and results. test_executor_map.c tests the
 * contract; this file the implementation.
 */
#include "fl_copying.h"

/*
 * A case with an executor `e` of that many threads, for maps of that task; 0: the caller runs them.
 */
#define COPY_TEST(name, threads, task)                                                                                 \
	static void name##_in(fl_executor *e);                                                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = executor_of(threads, &(task));                                             \
		begin_map();                                                                                           \
		name##_in(e);                                                                                          \
	}                                                                                                              \
	static void name##_in(fl_executor *e)

/* Fails where the argument is negative, and leaves something. */
FL_TASK(copy_check, int, int)
{
	COUNT(&runs);
	*result = *arg;
	return *arg < 0 ? fl_task_fail(ctx, *arg, "element %d", *arg) : 0;
}

FL_TASK(copy_nothing, int, void)
{
	FL_CHECK(result == NULL);
	COUNT(&runs);
	return *arg < 0 ? *arg : 0;
}

/* A task without argument: only fl_executor_map() itself has that. */
FL_TASK(copy_count, void, int)
{
	COUNT(&runs);
	*result = 7;
	return 0;
}

COPY_TEST(map_copy_without_argument, 2, copy_count)
{
	FL_OK(fl_executor_map(e, &copy_count, NULL, N, outputs, &(fl_map_config){.chunk = 3}));
	assert_int_equal(LOOK(&runs), N);
	for (int i = 0; i < N; i++)
		assert_int_equal(outputs[i], 7);
}

/* Sizes. */

struct large {
	int number;
	char rest[5000];
};

FL_TASK(copy_large, struct large, struct large)
{
	COUNT(&runs);
	*result = *arg;
	return 0;
}

COPY_TEST(map_copy_chooses_chunks_by_their_bytes, 0, copy_square)
{
	const fl_task_type *types[] = {&copy_square, &copy_large, &copy_nothing};
	FL_EACH (i, types) {
		const fl_task_type *type = types[i];
		size_t handy = fl__chunk_preferred(type), most = fl__chunk_most(type);
		assert_true(handy >= 1 && handy <= most);
		assert_true(handy * type->arg_size <= 16 << 10 && handy * type->result_size <= 16 << 10);
		assert_true((handy + 1) * (type->arg_size > type->result_size ? type->arg_size : type->result_size) >
		            16 << 10);
		assert_true(most * (type->arg_size + type->result_size) <= FL_TASK_SIZE_MAX);
	}
	const fl_task_type none = {.size = sizeof none},
			   huge = {.size = sizeof huge, .arg_size = SIZE_MAX, .result_size = 2};
	assert_true(fl__chunk_most(&none) <= UINT32_MAX && fl__chunk_preferred(&none) >= 1);
	assert_int_equal(fl__chunk_most(&huge), 1);
	assert_int_equal(fl__chunk_preferred(&huge), 1);
	copying_ops.result_most = 9999; /* what is larger would be lost with a worker */
	assert_int_equal(fl__chunk_limit(e, &copy_large, 7), 1);
	assert_int_equal(fl__chunk_limit(e, &copy_square, SIZE_MAX), 9999 / sizeof(int));
	assert_int_equal(fl__chunk_limit(e, &copy_square, 7), 7);
	assert_int_equal(fl__chunk_limit(e, &copy_nothing, SIZE_MAX), fl__chunk_most(&copy_nothing));
	copying_ops.result_most = 0;
	assert_int_equal(fl__chunk_limit(e, &copy_square, SIZE_MAX), fl__chunk_most(&copy_square));
}

/*
 * For small chunks more than the rings of processes hold; for larger ones as many as fit into a
 * megabyte a worker; at least two.
 */
COPY_TEST(map_copy_has_little_under_way, 3, copy_large)
{
	const size_t most = fl__chunk_window(e, &copy_square, 1), bytes = sizeof(int) * 2;
	assert_true(most >= 3 * 16 * 2);
	for (size_t chunk = 1; chunk < SIZE_MAX >> 8; chunk *= 2) {
		const size_t window = fl__chunk_window(e, &copy_square, chunk);
		assert_true(window == most || window == 3 * 2 || window * chunk * bytes <= 3 << 20);
		assert_true(window == most || (window + 3) * chunk * bytes > 3 << 20);
	}
	assert_int_equal(fl__chunk_window(e, &copy_square, SIZE_MAX >> 8), 3 * 2);
}

/* What no task may have is refused, and a chunk that none may have is cut. */
FL_TEST(map_copy_of_what_is_too_large)
{
	static const fl_task_type huge = {
	    .size = sizeof huge, .name = "huge", .run = NULL, .arg_size = FL_TASK_SIZE_MAX + 1, .arg_align = 1};
	FL_SCOPED(fl_executor) *e = executor_of(2, &huge);
	FL_RC(fl_executor_map(e, &huge, inputs, 3, NULL, NULL), -E2BIG);
}

/* Laziness: while the only worker is held, no more than the window is under way. */

struct mapping {
	fl_executor *e;
	fl_map_config config;
	int rc;
};

static int map_on_thread(void *arg)
{
	struct mapping *m = arg;
	m->rc = copy_square_map(m->e, inputs, N, outputs, &m->config);
	return 0;
}

FL_TEST(map_copy_is_lazy)
{
	for (size_t chunk = 1; chunk <= 4; chunk++) {
		FL_SCOPED(fl_executor) *e = executor_of(1, &copy_square);
		struct mapping m = {.e = e, .config.chunk = chunk};
		fl_thread *other;
		struct held held = hold_worker(e);
		begin_map();
		seam_start(&other, 1, map_on_thread, &m, 0);
		/* For its first chunk. */
		FL_WAIT_FOR(LOOK(&submitted) > 0 && seam_sleepers() == 1);
		assert_int_equal(LOOK(&submitted), fl__chunk_window(e, &copy_square, chunk));
		let_go(&held);
		seam_join(&other, 1);
		FL_OK(m.rc);
		assert_int_equal(LOOK(&runs), N);
		for (int i = 0; i < N; i++)
			assert_int_equal(outputs[i], i * i);
	}
}

/* Failures. */

/*
 * Element 0 is slow, element 1 fails: the wait for the first must end because of the second, and
 * for no other reason.
 */
static fl_event slow_runs, go_on;

FL_TASK(copy_slow, int, int)
{
	*result = *arg;
	if (*arg == 0) {
		fl_event_set(&slow_runs);
		FL_OK(fl_event_wait_until(&go_on, FL_FOREVER, FL_SHIELDED));
	}
	if (*arg == 2) /* its worker has ended element 1 */
		COUNT(&runs);
	return *arg == 1 ? -EIO : 0;
}

static int request_after_failure(void *stop)
{
	FL_OK(fl_event_wait(&slow_runs));
	FL_WAIT_FOR(LOOK(&runs) > 0);
	fl_cancel_token_request(stop);
	fl_event_set(&go_on);
	return 0;
}

COPY_TEST(map_copy_failed_before_it_was_cancelled, 2, copy_slow)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_thread *other;
	fl_map_error error = {.index = 77};
	fl_test_go(&other, request_after_failure, &stop);
	const fl_map_config config = {.chunk = 1, .cancel = &stop, .error = &error};
	FL_RC(copy_slow_map(e, inputs, 40, outputs, &config), FL_ETASK);
	seam_join(&other, 1);
	assert_int_equal(error.index, 1);
	assert_int_equal(error.error, -EIO);
	assert_int_equal(outputs[0], 0); /* it was let end */
}

FL_TEST(map_copy_begins_nothing_after_a_failure)
{
	for (size_t chunk = 1; chunk <= 3; chunk++) {
		FL_SCOPED(fl_executor) *e = executor_of(0, &copy_check);
		begin_map();
		inputs[10] = -EIO;
		FL_RC(copy_check_map(e, inputs, N, outputs, &(fl_map_config){.chunk = chunk}), FL_ETASK);
		assert_int_equal(LOOK(&runs), 11);
		assert_int_equal(outputs[11], -77);
	}
}

/*
 * The only worker is held during the submit, so that the failure comes while the rest is pending.
 */
COPY_TEST(map_copy_cancels_what_is_pending_at_a_failure, 1, copy_slow)
{
	fl_event_reset(&slow_runs);
	fl_event_set(&go_on);
	FL_RC(copy_slow_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 1}), FL_ETASK);
	assert_int_equal(outputs[0], 0);
	assert_int_equal(outputs[1], 1);
	int ran = 2; /* up to the window, in their order; the rest was not touched */
	while (ran < N && outputs[ran] == ran)
		ran++;
	assert_true(ran <= 2 + (int)fl__chunk_window(e, &copy_slow, 1));
	for (int i = ran; i < N; i++)
		assert_int_equal(outputs[i], -77);
	FL_OK(fl_executor_join(e));
}

/* A worker died with a chunk, and is not believed: no element is known to have ended. */
static int submit_losing(fl_executor *e, struct fl__task_block *block)
{
	int rc = submit_copying(e, block); /* the sequential executor: it has ended */
	if (rc == 0 && block->future.error != 0)
		block->done = block->future.count;
	return rc;
}

COPY_TEST(map_copy_of_a_chunk_that_was_lost, 0, copy_check)
{
	fl_map_error error = {0};
	copying_ops.submit = submit_losing;
	inputs[17] = -EIO; /* in the chunk 14 to 20 */
	FL_RC(copy_check_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 7, .error = &error}), FL_ETASK);
	assert_int_equal(error.index, 14);
	assert_int_equal(error.error, -EIO);
	for (int i = 0; i < 14; i++)
		assert_int_equal(outputs[i], i);
	for (int i = 15; i < N; i++)
		assert_int_equal(outputs[i], -77);
}

/* Hooks are the owner's. */
static unsigned dropped;

static void count_drop(void *element)
{
	COUNT(&dropped);
}

FL_TASK(copy_dropping, int, int, .drop_arg = count_drop, .drop_result = count_drop)
{
	*result = *arg;
	return *arg < 0 ? *arg : 0;
}

FL_TEST(map_copy_drops_nothing)
{
	for (int kind = 0; kind <= 2; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind, &copy_dropping);
		for (size_t chunk = 1; chunk < 8; chunk++) {
			const fl_map_config config = {.chunk = chunk};
			begin_map();
			FL_OK(copy_dropping_map(e, inputs, N, outputs, &config));
			inputs[N / 2] = -EIO;
			FL_RC(copy_dropping_map(e, inputs, N, outputs, &config), FL_ETASK);
		}
		fl_executor_close(e);
		FL_RC(copy_dropping_map(e, inputs, N, outputs, NULL), -EPIPE);
		FL_OK(fl_executor_join(e));
	}
	assert_int_equal(LOOK(&dropped), 0);
}

/* A type without hooks is not used after the map's return, even if a future is still referenced. */
static fl_future *kept[N];
static unsigned n_kept;

static int submit_keeping(fl_executor *e, struct fl__task_block *block)
{
	kept[n_kept++] = fl_future_ref(&block->future);
	return submit_copying(e, block);
}

FL_TEST(map_copy_leaves_no_type_behind)
{
	for (size_t chunk = 1; chunk <= 7; chunk += 6)
		FL_BOTH (fails) {
			FL_SCOPED(fl_executor) *e = executor_of(2, &copy_dropping);
			copying_ops.submit = submit_keeping;
			begin_map();
			n_kept = 0;
			inputs[N / 2] = fails ? -EIO : 0;
			FL_RC(copy_dropping_map(e, inputs, N, outputs, &(fl_map_config){.chunk = chunk}),
			      fails ? FL_ETASK : 0);
			for (unsigned i = 0; i < n_kept; i++) {
				assert_string_equal(kept[i]->type->name, "fl__chunk");
				fl_future_free(kept[i]);
			}
		}
	assert_int_equal(LOOK(&dropped), 0);
}

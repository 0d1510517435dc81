/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of the lazy map, for every kind of executor: order, places of failures, laziness,
 * its end.
 */
#include "conformance.h"

#if FL_TEST_SANITIZED || defined CONFORMANCE_MPI
enum { N = 60 }; /* a fiber each, which TSan makes slowly; or a round trip each */
#else
enum { N = 300 };
#endif

static int inputs[N];

/* The results that a case does not check. */
static int ignored;

/* Fails where the argument is negative. */
FL_TASK_STATIC(square_positive, int, int)
{
	*result += *arg * *arg; /* results start zeroed */
	return *arg < 0 ? fl_task_fail(ctx, *arg, "element %d", *arg) : 0;
}

FL_TASK_STATIC(no_result, int, void)
{
	return *arg < 0 ? *arg : 0;
}

/* How many arguments a task has. */
static size_t chunk_of(const fl_imap_config *config)
{
	const size_t chunk = config->chunk ? config->chunk : 1;
	return config->window ? FL__MIN(chunk, config->window) : chunk;
}

/* The failure of an argument: the first negative one of its chunk, up to this one; or 0. */
static int failure_of(size_t index, size_t chunk)
{
	size_t i = index - index % chunk;
	while (i < index && inputs[i] >= 0)
		i++;
	return FL__MIN(inputs[i], 0);
}

/* Every argument once, its result or its failure; in order or not. */
static void expect_all(fl_imap *it, int n, bool ordered, size_t chunk)
{
	bool seen[N] = {false};
	for (int i = 0; i < n; i++) {
		size_t index = 77;
		int result = -77, rc = square_positive_imap_next(it, &index, &result);
		assert_true(index < (size_t)n && !seen[index]);
		seen[index] = true;
		if (ordered)
			assert_int_equal(index, i);
		const int failure = failure_of(index, chunk);
		if (failure == 0) {
			FL_OK(rc);
			assert_int_equal(result, inputs[index] * inputs[index]);
			continue;
		}
		char message[64];
		(void)snprintf(message, sizeof message, "element %d", failure);
		FL_RC(rc, FL_ETASK);
		FL_RC(fl_imap_error(it), failure);
		assert_string_equal(fl_imap_message(it), message);
		assert_int_equal(result, -77);
	}
	for (int i = 0; i < 3; i++)
		FL_RC(fl_imap_next_until(it, NULL, NULL, FL_NO_WAIT, NULL), -ENODATA);
	FL_RC(fl_imap_try_next(it, NULL, NULL), -ENODATA);
}

static const size_t chunks[] = {0, 1, 2, 7, N - 1, N, N + 1, SIZE_MAX};
static const size_t windows[] = {0, 1, 3, 20, N, SIZE_MAX};

CONFORMANCE_UP_TO(imap_gives_each_result_in_its_order, 3)
{
	fl_test_number(inputs, N);
	FL_EACH (c, chunks)
		FL_EACH (w, windows)
			FL_BOTH (unordered) {
				FL_SCOPED(fl_imap) *it = NULL;
				fl_imap_config config = {.chunk = chunks[c], .window = windows[w]};
				config.unordered = unordered;
				FL_OK(square_positive_imap(e, inputs, N, &it, &config));
				expect_all(it, N, !unordered, chunk_of(&config));
				FL_RC(fl_imap_error(it), 0);
				assert_string_equal(fl_imap_message(it), "");
			}
}

CONFORMANCE_ON(imap_of_nothing, 2)
{
	FL_BOTH (unordered) {
		FL_SCOPED(fl_imap) *it = NULL;
		FL_OK(square_positive_imap(e, inputs, 0, &it, &(fl_imap_config){.unordered = unordered}));
		expect_all(it, 0, true, 1);
	}
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(square_positive_imap(e, NULL, 0, &it, NULL));
	expect_all(it, 0, true, 1);
	fl_imap_free(NULL);
}

CONFORMANCE_ON(imap_without_result, 2)
{
	FL_SCOPED(fl_imap) *it = NULL;
	size_t index = 77;
	FL_OK(no_result_imap(e, (int[]){0, -EIO, 0}, 3, &it, &(fl_imap_config){.chunk = 2}));
	FL_OK(no_result_imap_next(it, &index));
	FL_RC(no_result_imap_next(it, &index), FL_ETASK);
	assert_int_equal(index, 1);
	FL_RC(fl_imap_error(it), -EIO);
	assert_string_equal(fl_imap_message(it), "");
	FL_OK(no_result_imap_next_until(it, NULL, FL_FOREVER, NULL));
	FL_RC(no_result_imap_try_next(it, NULL), -ENODATA);
}

/* Failures. */

CONFORMANCE_ON(imap_tells_each_failure_in_its_place, 2)
{
	for (int step = 1; step < 12; step++)
		FL_EACH (c, chunks)
			FL_BOTH (unordered) {
				FL_SCOPED(fl_imap) *it = NULL;
				fl_imap_config config = {.chunk = chunks[c], .unordered = unordered, .window = 40};
				fl_test_number(inputs, N);
				for (int i = step / 2; i < N; i += step)
					inputs[i] = -1 - i;
				FL_OK(square_positive_imap(e, inputs, N, &it, &config));
				expect_all(it, N, !unordered, chunk_of(&config));
			}
}

/* The message of a task that does not fail with it is dropped. */
FL_TASK_STATIC(say_or_fail, int, int)
{
	if (*arg == 0)
		FL_IGNORE(fl_task_fail(ctx, -EIO, "nothing to speak of"));
	return *arg;
}

CONFORMANCE_ON(imap_tells_no_stale_message, 1)
{
	for (size_t chunk = 1; chunk <= 2; chunk++) {
		FL_SCOPED(fl_imap) *it = NULL;
		FL_OK(say_or_fail_imap(e, (int[]){0, -EDOM}, 2, &it, &(fl_imap_config){.chunk = chunk}));
		FL_OK(say_or_fail_imap_next(it, NULL, &ignored));
		FL_RC(say_or_fail_imap_next(it, NULL, &ignored), FL_ETASK);
		FL_RC(fl_imap_error(it), -EDOM);
		assert_string_equal(fl_imap_message(it), "");
	}
}

/* Counts what runs. */
struct step {
	int *runs;
	int error;
};

FL_TASK_STATIC(take_step, struct step, int)
{
	*result = fl__add_release(arg->runs, 1); /* pairs with counted() */
	return arg->error;
}

/* But not those that come after a failure in its chunk. */
CONFORMANCE_ON(imap_runs_each_argument_once, 3)
{
	static struct step steps[N];
	int *counters = FL_IN_ARENA(int, N), error;
	int expected[N] = {0};
	FL_EACH (c, chunks) {
		FL_SCOPED(fl_imap) *it = NULL;
		FL_EACH (i, steps)
			steps[i] = (struct step){&counters[i], i % 5 == 3 ? -EIO : 0};
		FL_OK(take_step_imap(e, steps, N, &it, &(fl_imap_config){.chunk = chunks[c], .unordered = c % 2}));
		while ((error = take_step_imap_next(it, NULL, &ignored)) != -ENODATA)
			FL_OK_OR(error, FL_ETASK);
		bool failed = false;
		for (size_t i = 0; i < N; i++) {
			failed = failed && i % FL__MAX(chunks[c], 1) != 0;
			expected[i] += !failed;
			failed = failed || steps[i].error != 0;
			assert_int_equal(counted(&counters[i]), expected[i]);
		}
	}
}

CONFORMANCE_ON(imap_tells_its_own_errors_from_the_tasks, 2)
{
	static const int errors[] = {-ENODATA, -ETIMEDOUT, -ECANCELED, -EPIPE, -EAGAIN, -ENOTRECOVERABLE};
	enum { ERRORS = sizeof errors / sizeof errors[0] };
	for (size_t chunk = 1; chunk <= ERRORS; chunk++) {
		FL_SCOPED(fl_imap) *it = NULL;
		FL_OK(fail_with_imap(e, errors, ERRORS, &it, &(fl_imap_config){.chunk = chunk}));
		for (size_t i = 0; i < ERRORS; i++) {
			FL_RC(fail_with_imap_next(it, NULL, &ignored), FL_ETASK);
			FL_RC(fl_imap_error(it), errors[i - i % chunk]); /* its own, or that of its chunk */
		}
		FL_RC(fail_with_imap_next(it, NULL, &ignored), -ENODATA);
	}
}

/* Waits. Element 0 waits for its gate; an element that is asked to stop does. */
struct visit {
	struct gate *gate; /* NULL: it ends at once */
	int number;
};

FL_TASK_STATIC(visit, struct visit, int)
{
	*result = arg->number;
	if (!arg->gate)
		return 0;
	set_event(&arg->gate->entered);
	return await_in_slices(&arg->gate->open);
}

enum { VISITS = 6 };

static struct gate *make_visits(struct visit *visits)
{
	struct gate *gate = new_gate();
	for (int i = 0; i < VISITS; i++)
		visits[i] = (struct visit){i == 0 ? gate : NULL, i};
	return gate;
}

CONFORMANCE_ABLE(imap_waits_for_the_first, 2, FL_CAP_CONCURRENT)
{
	FL_SCOPED(fl_imap) *it = NULL;
	struct visit visits[VISITS];
	size_t index = 77;
	int result = 77;
	struct gate *gate = make_visits(visits);
	FL_OK(visit_imap(e, visits, VISITS, &it, NULL));
	FL_RC(fl_imap_try_next(it, &index, &result), -EAGAIN);
	FL_RC(fl_imap_next_until(it, &index, &result, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(visit_imap_next_until(it, &index, &result, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(visit_imap_next(it, &index, &result));
	assert_int_equal(index, 77);
	assert_int_equal(result, 77);
	set_event(&gate->open);
	for (int i = 0; i < VISITS; i++) {
		FL_OK(visit_imap_next(it, &index, &result));
		assert_int_equal(index, i);
		assert_int_equal(result, i);
	}
	FL_RC(visit_imap_next(it, &index, &result), -ENODATA);
}

/* The other results come while the first element still runs. */
CONFORMANCE_ABLE(imap_unordered_gives_what_has_ended, 2, FL_CAP_CONCURRENT)
{
	if (kind->serial)
		return; /* two tasks meet */
	for (size_t window = 2; window <= VISITS; window++) {
		FL_SCOPED(fl_imap) *it = NULL;
		struct visit visits[VISITS];
		size_t index;
		int result = 77, sum = 0;
		struct gate *gate = make_visits(visits);
		FL_OK(visit_imap(e, visits, VISITS, &it, &(fl_imap_config){.unordered = true, .window = window}));
		for (int i = 1; i < VISITS; i++) {
			FL_OK(visit_imap_next(it, &index, &result));
			assert_int_equal(index, result);
			sum += result;
		}
		assert_int_equal(sum, VISITS * (VISITS - 1) / 2);
		FL_RC(visit_imap_try_next(it, &index, &result), -EAGAIN);
		FL_RC(visit_imap_next_until(it, &index, &result, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
		FL_RC(visit_imap_next_until(it, &index, &result, FL_FOREVER, fl_test_requested), -ECANCELED);
		set_event(&gate->open);
		FL_OK(visit_imap_next(it, &index, &result));
		assert_int_equal(index, 0);
		FL_RC(visit_imap_next(it, &index, &result), -ENODATA);
	}
}

/* What ends it early. */

/* Running elements are given out, and then the reason for the end. */
CONFORMANCE(imap_on_an_executor_that_is_closed)
{
	FL_BOTH (unordered) {
		FL_SCOPED(fl_executor) *e = make(kind, 2);
		FL_SCOPED(fl_imap) *it = NULL;
		int got = 0, rc;
		fl_test_number(inputs, N);
		FL_OK(square_positive_imap(e, inputs, N, &it, &(fl_imap_config){.unordered = unordered, .window = 10}));
		for (; got < 50; got++)
			FL_OK(square_positive_imap_next(it, NULL, &ignored));
		fl_executor_close(e);
		while ((rc = square_positive_imap_next(it, NULL, &ignored)) == 0)
			got++;
		FL_RC(rc, -EPIPE);
		assert_true(got >= 50 && got <= 60);
		FL_RC(fl_imap_next(it, NULL, &ignored), -EPIPE);
		FL_RC(fl_imap_try_next(it, NULL, &ignored), -EPIPE);
	}
}

CONFORMANCE_ABLE(imap_on_an_executor_that_is_cancelled, 1, FL_CAP_CONCURRENT)
{
	FL_SCOPED(fl_imap) *it = NULL;
	struct visit visits[VISITS];
	struct gate *gate = make_visits(visits);
	FL_OK(visit_imap(e, visits, VISITS, &it, NULL));
	await_event(&gate->entered);
	(void)fl_executor_cancel(e);
	for (int i = 0; i < VISITS; i++) {
		FL_RC(visit_imap_next(it, NULL, &ignored), FL_ETASK);
		FL_RC(fl_imap_error(it), -ECANCELED);
	}
	FL_RC(visit_imap_next(it, NULL, &ignored), -ENODATA); /* all of them were under way */
}

/* Those that ran are there; those that were stopped have the reason; then so has the end. */
static void expect_early_end(fl_imap *it, int reason)
{
	int good = 0, cancelled = 0, rc;
	while ((rc = fl_imap_next(it, NULL, &ignored)) == 0 || rc == FL_ETASK) {
		good += rc == 0;
		cancelled += rc == FL_ETASK;
		if (rc == FL_ETASK)
			FL_RC(fl_imap_error(it), reason);
	}
	FL_RC(rc, reason);
	FL_RC(fl_imap_next(it, NULL, &ignored), reason);
	FL_RC(fl_imap_try_next(it, NULL, &ignored), reason);
	assert_true(good + cancelled < N);
}

CONFORMANCE_ON(imap_ends_at_its_deadline, 2)
{
	for (size_t chunk = 1; chunk <= 3; chunk++)
		FL_BOTH (unordered) {
			FL_SCOPED(fl_imap) *it = NULL;
			struct visit visits[VISITS];
			(void)make_visits(visits); /* it stays closed */
			const fl_imap_config config = {
			    .chunk = chunk, .unordered = unordered, .deadline = fl_after(FL_MS(20))};
			FL_OK(visit_imap(e, visits, VISITS, &it, &config));
			expect_early_end(it, -ETIMEDOUT);
		}
	FL_SCOPED(fl_imap) *late = NULL;
	FL_OK(square_positive_imap(e, inputs, N, &late, &(fl_imap_config){.deadline = FL_NO_WAIT}));
	FL_RC(fl_imap_next(late, NULL, &ignored), -ETIMEDOUT);
	FL_RC(fl_imap_try_next(late, NULL, &ignored), -ETIMEDOUT);
	FL_RC(fl_imap_next_until(late, NULL, &ignored, FL_FOREVER, NULL), -ETIMEDOUT);
}

static int request_later(void *stop)
{
	fl_cancel_token_request(stop);
	return 0;
}

CONFORMANCE_ABLE(imap_ends_when_its_token_is_requested, 2, FL_CAP_CONCURRENT)
{
	for (size_t chunk = 1; chunk <= 3; chunk++)
		FL_BOTH (unordered) {
			fl_imap *it = NULL;
			fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
			fl_thread *other;
			struct visit visits[VISITS];
			struct gate *gate = make_visits(visits);
			const fl_imap_config config = {.chunk = chunk, .unordered = unordered, .cancel = &stop};
			FL_OK(visit_imap(e, visits, VISITS, &it, &config));
			await_event(&gate->entered);
			fl_test_go(&other, request_later, &stop);
			expect_early_end(it, -ECANCELED);
			fl_test_end(other);
			fl_imap_free(it);
			fl_cancel_token_destroy(&stop); /* nothing refers to it any more */
		}
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(square_positive_imap(e, inputs, N, &it, &(fl_imap_config){.cancel = fl_test_requested}));
	FL_RC(square_positive_imap_next(it, NULL, &ignored), -ECANCELED);
}

CONFORMANCE(imap_on_a_broken_executor)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_imap) *it = NULL;
	if (kind->create(&e, &(fl_executor_config){.workers = 2, .initialize = &fail_to_start}) != 0)
		return; /* breaks at once */
	fl_test_number(inputs, N);
	/* Less than all elements, also with a sanitizer. */
	const fl_imap_config config = {.window = 8};
	int rc = square_positive_imap(e, inputs, N, &it, &config);
	while (rc == 0 || rc == FL_ETASK) { /* what was accepted before it broke ends as failed */
		rc = square_positive_imap_next(it, NULL, &ignored);
		assert_true(rc != FL_ETASK || fl_imap_error(it) == -ENOTRECOVERABLE);
	}
	FL_RC(rc, -ENOTRECOVERABLE);
}

/* FL_CAP_NESTED: on a worker of the same executor a wait needs no other. */

struct nest {
	int depth;
	bool unordered;
	size_t chunk;
};

FL_TASK_STATIC(nest, struct nest, int)
{
	enum { CHILDREN = 3 };
	FL_SCOPED(fl_imap) *it = NULL;
	const struct nest child = {arg->depth - 1, arg->unordered, arg->chunk},
			  children[CHILDREN] = {child, child, child};
	const fl_imap_config config = {.unordered = arg->unordered, .chunk = arg->chunk};
	int leaves, rc;
	if (arg->depth == 0) {
		*result = 1;
		return 0;
	}
	rc = nest_imap(fl_executor_current(), children, CHILDREN, &it, &config);
	while (rc == 0 && (rc = fl_imap_next(it, NULL, &leaves)) == 0)
		*result += leaves;
	return rc == -ENODATA ? 0 : rc;
}

CONFORMANCE_UP_TO(imap_nested_needs_no_free_worker, 3)
{
	for (size_t chunk = 1; chunk <= 2; chunk++)
		FL_BOTH (unordered) {
			const struct nest nested = {5, unordered, chunk};
			assert_int_equal(fl_test_result_of(e, &nest, &nested), 243);
		}
}
